"""Prints the text of a release, which is its section of CHANGELOG.md:  python tools/release_notes.py v0.2.0

Where the tag, `ragedu.__version__` and the changelog disagree it exits with status 2, so that nothing is released.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def release_notes(tag: str, *, changelog: str, version: str) -> str:
    """The changelog's section for a tag such as v0.2.0, without its heading."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, and ragedu.__version__ is {version}: they must be the same")
    found = re.search(
        rf"^## \[{re.escape(version)}\] - ([^\n]+)\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if not found:
        raise ValueError(f"CHANGELOG.md has no section '## [{version}] - date': write it")
    date, text = found.groups()
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        raise ValueError(f"CHANGELOG.md says of {version}: {date!r}; write the date of the release, as 2026-12-31")
    return text.strip()


def package_version() -> str:
    """`ragedu.__version__`, read without importing the package, which need not be installed here."""
    return re.search(r'^__version__ = "(.+)"', (ROOT / "ragedu/__init__.py").read_text("utf-8"), re.MULTILINE)[1]


if __name__ == "__main__":
    try:
        notes = release_notes(
            sys.argv[1], changelog=(ROOT / "CHANGELOG.md").read_text("utf-8"), version=package_version()
        )
    except ValueError as error:
        print(f"release_notes: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    sys.stdout.reconfigure(encoding="utf-8")
    print(notes)
