"""Take the README's pictures: a lesson, a widget and an exercise in JupyterLab.

    python tools/screenshot.py                                 # all three, into docs
    python tools/screenshot.py --only widget --dark --to /tmp  # one of them, in the dark theme, elsewhere

It needs the packages playwright and Pillow, which come with the extras `test` and `lab`, and a Chromium. JupyterLab
runs on loopback for the time of the pictures and shows copies of the notebooks: the lesson as it is stored, the other
two run and operated as a learner does it. That takes one to four minutes, and loads no model. Look at the pictures
before you keep them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from jupyter_lab import DARK, clear, jupyter_lab, new_page, open_notebook, run_all, why_no_browser
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
RUN_TIMEOUT_SECONDS = 1200  # for all cells of a notebook; they take under 60, but the machine may be busy

# Right only for documents of average length, which `check` notices.
WRONG = '''def mentions_needed(share: float, k1: float, b: float, relative_length: float) -> float:
    """The term frequency (it need not be whole) at which the saturated count equals `share`."""
    return k1 * share / (1 - share)'''


# What each picture shows. Each function opens its notebook, operates it, and returns the first and the last cell.


def lesson(page, address):
    """Lesson 00 as it is stored: the model invents, then reads."""
    open_notebook(page, address("notebooks/00_start_here.ipynb"))
    return cell(page, "Ask it something that it cannot know"), cell(page, "with_page = model.generate")


def widget(page, address):
    """The sliders of lesson 02, with b turned to 0."""
    open_notebook(page, address("notebooks/02_bm25.ipynb"))
    run_all(page, RUN_TIMEOUT_SECONDS)
    sliders = cell(page, "bm25_sliders(docs.corpus")
    sliders.get_by_role("slider").nth(1).focus()
    page.keyboard.press("Home")
    sliders.get_by_text("▲ was").first.wait_for()
    return sliders, sliders


def exercise(page, address):
    """The first exercise of lesson 02, with a typed mistake that `check` recognizes."""
    open_notebook(page, address("exercises/02_bm25_exercises.ipynb"))
    cell(page, "def mentions_needed(").locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(WRONG)
    run_all(page, RUN_TIMEOUT_SECONDS)
    check = cell(page, 'check("02.mentions_needed"')
    check.get_by_text("likely reason").wait_for()
    return cell(page, "1. How many mentions are enough?"), check


PICTURES = {function.__name__: function for function in (lesson, widget, exercise)}


def cell(page, text: str):
    return page.locator(".jp-Cell", has_text=text).first


def take(page, first, last, picture: Path) -> None:
    """Write what reaches from the first cell to the last as a PNG file."""
    page.keyboard.press("Control+b")  # fold the file browser away
    page.wait_for_timeout(2000)  # for formulas and fonts
    first.evaluate("cell => { cell.style.scrollMargin = '4px'; cell.scrollIntoView() }")
    top, end = first.bounding_box(), last.bounding_box()
    shot = page.screenshot(clip=top | {"height": end["y"] + end["height"] - top["y"]})
    # 128 colours look the same, in less than half the bytes.
    Image.open(BytesIO(shot)).convert("RGB").quantize(128).save(picture, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PICTURES, help="one of them instead of all three")
    parser.add_argument("--to", type=Path, default=ROOT / "docs", help="the folder for the PNG files")
    parser.add_argument("--dark", action="store_true", help="in JupyterLab's dark theme")
    options = parser.parse_args()
    if reason := why_no_browser():
        sys.exit(f"screenshot: {reason}")
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("notebooks", "exercises"):
            shutil.copytree(ROOT / part, Path(folder, part))
        clear(Path(folder, "notebooks/02_bm25.ipynb"))  # which will be run
        # Wide enough for the longest lines of code; with more pixels than the README shows, so that text is crisp.
        with jupyter_lab(Path(folder), DARK if options.dark else {}) as address, new_page(1100, 1400, 1.5) as page:
            for name in [options.only] if options.only else PICTURES:
                first, last = PICTURES[name](page, address)
                take(page, first, last, options.to / f"{name}.png")


if __name__ == "__main__":
    main()
