"""Build the site from the stored notebooks: build/site, and a zip that works from a folder without any network.

    python tools/build_site.py            # what `make site` runs
    python tools/build_site.py --strict   # a warning is an error

It needs the extra `site`. No notebook is run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

from website.course import SiteError
from website.staging import stage

ROOT = Path(__file__).resolve().parents[1]
NOT_SHIPPED = (".doctrees", ".buildinfo", "objects.inv", "_sources")


def build(root: Path, build_folder: Path, *, strict: bool = False) -> Path:
    """Build the site of the repository at `root`; returns its folder. Raises SiteError when Sphinx fails."""
    from sphinx.cmd.build import main as sphinx

    source, site = build_folder / "site-source", build_folder / "site"
    stage(root, source)
    shutil.rmtree(site, ignore_errors=True)
    arguments = ["-q", "-b", "html", "-j", str(min(4, os.cpu_count() or 1)), "-d", str(build_folder / "site-doctrees")]
    arguments += ["--fail-on-warning"] if strict else []
    if sphinx([*arguments, str(source), str(site)]):
        raise SiteError("Sphinx could not build the site: its messages are above")
    for name in NOT_SHIPPED:
        remove(site / name)
    return site


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def pack(site: Path, file: Path) -> Path:
    """Write the site's folder as one zip file: a new one replaces the old one only when it is complete."""
    unfinished = file.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for path in sorted(site.rglob("*")):
            if path.is_file():
                zipped.write(path, Path(file.stem) / path.relative_to(site))
    return unfinished.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strict", action="store_true", help="a warning is an error")
    parser.add_argument("--to", type=Path, default=ROOT / "build", help="the folder to build in")
    options = parser.parse_args()
    import ragedu

    started = time.monotonic()
    try:
        site = build(ROOT, options.to, strict=options.strict)
    except SiteError as error:
        sys.exit(f"build_site: {error}")
    packed = pack(site, options.to / f"ragedu-site-{ragedu.__version__}.zip")
    megabytes = packed.stat().st_size / 1e6
    print(f"{site / 'index.html'}\n{packed}: {megabytes:.1f} MB, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
