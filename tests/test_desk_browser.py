"""A learner's first hours, in a real JupyterLab by a real browser: `ragedu start` in a copy of the checkout, lessons
and exercises opened, run and saved, `check` as a person meets it, and the desk opened again.

Skipped, with the reason, where playwright or Chromium is missing. All lessons take ten minutes and more, so each but
lesson 01 is marked slow.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from jupyter_lab import errors, free_port, new_page, open_notebook, run_all, wait_until_ready, why_no_browser

from ragedu.learn.course import code_cells, read_notebook, text_of

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser() or "-")

START = [sys.executable, "-m", "ragedu", "start"]
SECONDS = 600  # for a lesson; it takes under 90 s, but the machine may be busy
FIRST = "notebooks/01_tfidf.ipynb"
OTHERS = sorted(f"notebooks/{path.name}" for path in ROOT.glob("notebooks/*.ipynb") if path.name != Path(FIRST).name)
EXERCISES = ["exercises/01_tfidf_exercises.ipynb", "exercises/02_bm25_exercises.ipynb"]


def git(*command: str, folder: Path) -> str:
    ours = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *ours, *command], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this checkout as it is now, committed."""
    folder = tmp_path_factory.mktemp("checkout")
    try:
        listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z", folder=ROOT)
    except subprocess.CalledProcessError:
        pytest.skip("this is no checkout")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git("init", "--quiet", folder=folder)
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--message=As it is", folder=folder)
    return folder


@dataclass
class Lab:
    """A JupyterLab that `ragedu start` has opened."""

    server: subprocess.Popen
    port: int
    token: str

    def address(self, path: str = "") -> str:
        """What opens a path at the desk; the first page when none is given."""
        return f"http://127.0.0.1:{self.port}/{f'lab/tree/{path}' if path else ''}?token={self.token}"

    def end(self) -> None:
        self.server.terminate()
        self.server.wait()


@contextmanager
def started(checkout: Path, own: Path) -> Iterator[Lab]:
    """`ragedu start` as a learner calls it."""
    settings = own / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('{"windowingMode": "none"}')  # so that all cells are there, not only those in view
    port, token, log = free_port(), secrets.token_hex(), own / "log"
    options = ["no-browser", "ip=127.0.0.1", f"port={port}", "ServerApp.port_retries=0"]
    options += [f"IdentityProvider.token={token}", f"LabApp.user_settings_dir={own / 'settings'}"]
    command = [*START, *(f"--jupyter=--{option}" for option in options)]
    with log.open("w") as lines:
        server = subprocess.Popen(command, cwd=checkout, env=environment(checkout), stdout=lines, stderr=lines)
    lab = Lab(server, port, token)
    try:
        wait_until_ready(server, f"http://127.0.0.1:{port}/api", log)
        yield lab
    finally:
        lab.end()


def environment(checkout: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(checkout)}


@pytest.fixture(scope="module")
def lab(checkout, tmp_path_factory):
    with started(checkout, tmp_path_factory.mktemp("own")) as lab:
        yield lab


@pytest.fixture(scope="module")
def page():
    with new_page() as page:
        page.set_default_timeout(30_000)
        yield page


@pytest.fixture(scope="module")
def desk(checkout, lab) -> Path:
    return checkout / "my"


# What one does on a page.


def code_cell(page, number: int):
    """A code cell of the notebook that is in front."""
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(number)


def output(page, number: int):
    return code_cell(page, number).locator(".jp-Cell-outputArea")


def run_cell(page, number: int) -> None:
    """Put the cursor into a code cell, press Control+Enter, and wait until it has run."""
    cell = code_cell(page, number)
    before = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    cell.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[\d+\]:")).filter(has_not_text=before).wait_for()


def write(page, number: int, code: str) -> None:
    """Replace what stands in a code cell, and run it."""
    code_cell(page, number).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    run_cell(page, number)


def save(page, file: Path) -> None:
    """Save the notebook that is in front, and wait until it is written."""
    before = file.stat().st_mtime_ns
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    for _ in range(300):
        if file.stat().st_mtime_ns != before:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{file} was not saved")


def code_of(file: Path) -> list[str]:
    return [text_of(cell) for cell in read_notebook(file)["cells"] if cell["cell_type"] == "code"]


def number_of(code: list[str], begins: str) -> int:
    return next(number for number, source in enumerate(code) if source.startswith(begins))


# The tests follow one another as a learner's hours do.


def test_the_desk_opens_at_its_first_page_rendered_and_leads_to_a_lesson(page, lab, desk):
    page.goto(lab.address())
    page.get_by_role("heading", name="Your desk").wait_for(timeout=120_000)
    page.get_by_role("link", name="01 TF-IDF and cosine").first.click()
    page.get_by_role("tab", name="01_tfidf.ipynb").wait_for()
    page.locator(".jp-Notebook").get_by_role("heading", name="Five notes and a question").wait_for()
    assert page.locator(".jp-OutputArea-output").count() == 0  # no answer below "Predict first"
    assert page.get_by_text("official Jupyter news").count() == 0


@pytest.mark.parametrize("path", [FIRST, *EXERCISES])
def test_notebooks_are_opened_run_and_saved(page, lab, desk, path):
    run_and_save(page, lab, desk, path)


@pytest.mark.slow
@pytest.mark.parametrize("path", OTHERS)
def test_every_lesson_runs_from_top_to_bottom(page, lab, desk, path):
    run_and_save(page, lab, desk, path)


def run_and_save(page, lab, desk, path):
    open_notebook(page, lab.address(path) + "&reset")
    run_all(page, SECONDS)
    assert errors(page) == []
    save(page, desk / path)
    cells = code_cells(read_notebook(desk / path))
    assert len(cells) > 10 and all(cell["execution_count"] for cell in cells)


STUB, CHECK, HINT = "def mentions_needed(", 'check("02.mentions_needed"', 'hint("02.mentions_needed"'
RIGHT = """def mentions_needed(share, k1, b, relative_length):
    norm = k1 * (1 - b + b * relative_length)
    return share * norm / (1 - share)"""
WRONG = RIGHT.replace(" / (1 - share)", "")
TWO_MISTAKES = WRONG.replace("1 - b + b * relative_length", "b")
SYNTAX_ERROR = RIGHT.replace(":", "", 1)


def test_check_as_a_person_meets_it(page, lab, desk):
    file = desk / EXERCISES[1]
    code = code_of(file)
    stub, check, hint = (number_of(code, begins) for begins in (STUB, CHECK, HINT))
    open_notebook(page, lab.address(EXERCISES[1]) + "&reset")
    # It was run from top to bottom before: that has spent no hint, and an unwritten exercise is not a try.
    assert "3 hints wait here" in output(page, hint).inner_text()
    assert "not yet written" in output(page, check).inner_text()
    assert output(page, check).locator("code", has_text="raise NotImplementedError").count() == 1
    assert "`" not in output(page, check).inner_text() and not (desk / "progress.jsonl").exists()
    for number in range(stub):
        run_cell(page, number)
    for wrong in (WRONG, TWO_MISTAKES):
        write(page, stub, wrong)
        run_cell(page, check)
        card = output(page, check).filter(has_text="likely reason")
        card.wait_for()
        assert "✗ 02.mentions_needed: not yet right" in card.inner_text()
    called = card.locator("tr", has_text="called").first.locator("code").inner_text()
    write(page, hint, called)  # pasted into a cell
    assert errors(page) == [] and re.search(r"\d", output(page, hint).inner_text())
    write(page, stub, RIGHT)
    write(page, stub, SYNTAX_ERROR)
    run_cell(page, check)
    output(page, check).filter(has_text="this function is older").wait_for()
    write(page, check, 'check("02.mention_needed", mentions_needed)')
    output(page, check).filter(has_text="did you mean 02.mentions_needed").wait_for()
    write(page, stub, RIGHT)
    write(page, check, code[check])
    output(page, check).filter(has_text=re.compile(r"✓ 02\.mentions_needed: right in all \d+ cases")).wait_for()
    write(page, hint, "from ragedu.learn import progress\nprogress()")
    row = output(page, hint).locator("tr", has_text="02.mentions_needed")
    assert re.search(r"✓ \d{4}-\d\d-\d\d \d\d:\d\d\s+3$", row.inner_text())
    assert errors(page) == []
    save(page, file)


def test_opened_again_nothing_is_lost_and_git_sees_nothing(page, lab, checkout, desk, tmp_path):
    second = subprocess.run(START, cwd=checkout, env=environment(checkout), capture_output=True, text=True)
    assert f"JupyterLab already runs there: http://127.0.0.1:{lab.port}/lab" in second.stdout
    lab.end()
    before = {path: path.read_bytes() for path in [*desk.glob("*/*.ipynb"), desk / "progress.jsonl"]}
    assert RIGHT in code_of(desk / EXERCISES[1])
    with started(checkout, tmp_path) as again:
        page.goto(again.address())
        row = page.get_by_role("row", name="02 BM25").first
        row.get_by_text("1 of 5").wait_for(timeout=120_000)
        assert "all cells run" in page.get_by_role("row", name="01 TF-IDF").first.inner_text()
        row.get_by_role("link", name="exercises 02").click()
        output(page, number_of(code_of(desk / EXERCISES[1]), CHECK)).get_by_text("right in all").wait_for()
    assert {path: path.read_bytes() for path in before} == before
    assert git("status", "--porcelain", folder=checkout) == ""
    progress = [json.loads(line) for line in (desk / "progress.jsonl").read_text("utf-8").splitlines()]
    assert [entry["passed"] for entry in progress] == [False, False, True]
