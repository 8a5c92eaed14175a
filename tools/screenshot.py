"""Take a picture of a notebook in JupyterLab, scrolled to a piece of its text.

    python tools/screenshot.py notebooks/00_start_here.ipynb "Ask it something" docs/lesson.png
    python tools/screenshot.py --run notebooks/01_tfidf.ipynb "Turn it yourself" docs/widget.png

It needs the package playwright, which comes with the extra `test`, and a Chromium. JupyterLab runs on loopback for the
time of the picture and shows a copy of the folder's notebook as it is stored; with --run all cells are run first.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from jupyter_lab import DARK, jupyter_lab, new_page, open_notebook, run_all, why_no_browser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path, help="such as notebooks/00_start_here.ipynb")
    parser.add_argument("text", help="what the picture is to begin with")
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    parser.add_argument("--run", action="store_true", help="run all cells first")
    parser.add_argument("--dark", action="store_true", help="in JupyterLab's dark theme")
    options = parser.parse_args()
    if reason := why_no_browser():
        sys.exit(f"screenshot: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(options.notebook, folder)
        with jupyter_lab(Path(folder), DARK if options.dark else {}) as address, new_page() as page:
            open_notebook(page, address(options.notebook.name))
            page.keyboard.press("Control+b")  # fold the file browser away
            if options.run:
                run_all(page, seconds=600)
            page.locator(".jp-Cell", has_text=options.text).first.evaluate("cell => cell.scrollIntoView()")
            page.wait_for_timeout(2000)
            options.picture.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=options.picture)


if __name__ == "__main__":
    main()
