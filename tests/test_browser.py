"""What a learner does, done in a real JupyterLab by a real browser: lessons, widgets, an exercise, a quiz.

Skipped, with the reason, where playwright or Chromium is missing. All lessons take ten minutes and more, so each but
lesson 01 is marked slow.
"""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from jupyter_lab import clear, errors, jupyter_lab, new_page, open_notebook, run_all, why_no_browser

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser() or "-")

LESSONS = sorted(path.name for path in ROOT.glob("notebooks/*.ipynb"))
ALWAYS = "01_tfidf.ipynb"
SECONDS = 600  # for a lesson; it takes under 90 s, but the machine may be busy

WIDGETS = [
    """
import time
from ragedu import *
from ragedu.learn.widgets import *
corpus = Corpus([
    Document("ferry", "The ferry to Gull Rock leaves the east quay at nine and again at noon.", "Timetable"),
    Document("bakery", "Bread is baked before dawn, and the bakery opens at six.", "Bread Lane"),
    Document("keeper", "The keeper of the lighthouse is Tomas Brandt. He lights the lamp at dusk.", "Lighthouse"),
    Document("storm", "In the storm the sea sank eleven boats. No ferry was among them, but the old ferry. "
             + "Rain fell. " * 20, ""),
])
bm25, dense = BM25Retriever().fit(corpus), DenseRetriever().fit(corpus)
""",
    'search_explorer({"BM25": bm25, "TF-IDF": TfidfRetriever().fit(corpus)}, query="ferry")',
    'bm25_sliders(corpus, "ferry")',
    'embedding_map(dense, ["Who lights the lamp?", "Where are loaves sold?"], k=2)',
    'next_token(LanguageModel.load(), "The lighthouse keeper lit the")',
    'rag_trace(RAG(bm25, lambda prompt: "Tomas Brandt", k=2), "Who is the keeper of the lighthouse?")',
    """quiz("Which words does `idf` favour?", {
    "Rare ones": (True, "They tell documents apart."),
    "Frequent ones": (False, "Those stand everywhere."),
})""",
    "time.sleep(4)",
]
SEARCH, SLIDERS, MAP, NEXT_TOKEN, TRACE, QUIZ, SLEEP = range(1, 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the JupyterLab serves: copies, so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("jupyter")
    for name in LESSONS:
        shutil.copy(ROOT / "notebooks" / name, folder / name)
        clear(folder / name)
    results = folder.parent / "benchmarks"  # kept results that lessons 05 and 09 show
    results.mkdir(exist_ok=True)
    for name in ("RESULTS.md", "scale.csv"):
        shutil.copy(ROOT / "benchmarks" / name, results / name)
    shutil.copy(ROOT / "exercises/02_bm25_exercises.ipynb", folder / "exercise.ipynb")
    metadata = nbformat.read(ROOT / "notebooks" / ALWAYS, as_version=4).metadata
    cells = [nbformat.v4.new_code_cell(code.strip()) for code in WIDGETS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "widgets.ipynb")
    return folder


@pytest.fixture(scope="module")
def address(folder):
    with jupyter_lab(folder) as address:
        yield address


@pytest.fixture(scope="module")
def page(address):
    with new_page() as page:
        page.set_default_timeout(20_000)
        yield page


def output(page, cell: int):
    """The output of the code cell with this number."""
    return page.locator(".jp-CodeCell").nth(cell).locator(".jp-Cell-outputArea")


def wait_for(page, cell: int, text: str | re.Pattern) -> str:
    """Wait until the cell's output has this text; return all of its text."""
    output(page, cell).filter(has_text=text).wait_for()
    return output(page, cell).inner_text()


# Widgets.


@pytest.fixture(scope="module")
def opened(page, address):
    open_notebook(page, address("widgets.ipynb"))
    run_all(page, SECONDS)
    assert errors(page) == []
    return page


def test_search_explorer_is_typed_into(opened):
    wait_for(opened, SEARCH, "Timetable")
    box = output(opened, SEARCH).get_by_label("query")
    box.fill("bread at dawn")
    box.press("Enter")
    assert "BM25" in wait_for(opened, SEARCH, "Bread Lane") and "bread" in wait_for(opened, SEARCH, "dawn")
    box.fill("the")
    box.press("Enter")
    shown = wait_for(opened, SEARCH, "has no words to search for")
    assert "⚠" in shown and "Traceback" not in shown


def test_bm25_sliders_are_turned_by_keyboard(opened):
    before = wait_for(opened, SLIDERS, "storm")
    assert "was 2" not in before
    b = output(opened, SLIDERS).get_by_role("slider").nth(1)
    b.focus()
    opened.keyboard.press("Home")  # b = 0: the long document is held back no longer
    after = wait_for(opened, SLIDERS, "▲ was 2")
    assert after.index("storm") < after.index("Timetable")
    assert output(opened, SLIDERS).get_by_label("b", exact=True).input_value() == "0"


def test_bm25_sliders_are_typed_into(opened):
    field = output(opened, SLIDERS).get_by_label("k1")
    field.fill("0.5")
    field.press("Enter")
    score = 0.693 / (1 + 0.5)  # its idf, ln 2, saturated, of the page that has the word once; b is 0 now
    wait_for(opened, SLIDERS, f"{score:.3f}")


def test_embedding_map_shows_another_query(opened):
    wait_for(opened, MAP, "Lighthouse")
    output(opened, MAP).get_by_label("Where are loaves sold?").focus()
    opened.keyboard.press("Space")
    wait_for(opened, MAP, re.compile(r"▲ 10\.\d+Bread Lane"))
    picture = output(opened, MAP).get_by_role("img")
    assert "Where are loaves sold?" in picture.get_attribute("aria-label")
    assert picture.locator("polygon").count() == 2 and picture.locator("circle").count() == 2
    box = output(opened, MAP).get_by_label("query", exact=True)
    box.fill("When does the boat leave?")
    box.press("Enter")
    wait_for(opened, MAP, re.compile(r"▲ 10\.\d+Timetable"))


def test_next_token_is_made_greedy_by_keyboard(opened):
    assert "ruled out" not in wait_for(opened, NEXT_TOKEN, "model says")
    output(opened, NEXT_TOKEN).get_by_role("slider").first.focus()
    opened.keyboard.press("Home")
    assert wait_for(opened, NEXT_TOKEN, "greedy decoding").count("✗ ruled out") == 9


def test_rag_trace_is_asked_something_else(opened):
    assert "100% of its content words stand in source 1" in wait_for(opened, TRACE, "Tomas Brandt")
    box = output(opened, TRACE).get_by_label("question")
    box.fill("When does the ferry leave?")
    box.press("Enter")
    assert "Gull Rock" in wait_for(opened, TRACE, "likely invented")
    output(opened, TRACE).get_by_text("Prompt:").click()
    output(opened, TRACE).get_by_text("Question: When does the ferry leave?").wait_for()


def test_a_quiz_is_answered_by_keyboard(opened):
    wait_for(opened, QUIZ, "Choose one.")
    output(opened, QUIZ).get_by_label("Frequent ones").focus()
    opened.keyboard.press("Space")
    wait_for(opened, QUIZ, "✗ Not this one. Those stand everywhere.")
    opened.keyboard.press("Shift+Tab")
    opened.keyboard.press("Space")
    wait_for(opened, QUIZ, "✓ Right. They tell documents apart.")


def test_a_widget_turned_while_the_kernel_is_busy_shows_the_last_value_afterwards(opened):
    field = output(opened, SLIDERS).get_by_label("b", exact=True)
    opened.locator(".jp-CodeCell").nth(SLEEP).locator(".cm-content").click()
    opened.keyboard.press("Control+Enter")
    opened.locator(".jp-CodeCell").nth(SLEEP).get_by_text("[*]:").wait_for()
    for value in ("0.2", "0.9", "1"):
        field.fill(value)
        field.press("Enter")
    opened.locator(".jp-CodeCell").nth(SLEEP).get_by_text(re.compile(r"\[\d+\]:")).first.wait_for()
    output(opened, SLIDERS).get_by_text("was 2").first.wait_for(state="hidden")
    assert field.input_value() == "1" and "working" not in output(opened, SLIDERS).inner_text()


# An exercise.

RIGHT = """def mentions_needed(share, k1, b, relative_length):
    norm = k1 * (1 - b + b * relative_length)
    return share * norm / (1 - share)"""
WRONG = RIGHT.replace(" / (1 - share)", "")


def test_an_exercise_is_solved_by_typing(page, address, folder):
    cells = nbformat.read(folder / "exercise.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    stub = next(number for number, source in enumerate(code) if source.startswith("def mentions_needed("))
    check = code.index('check("02.mentions_needed", mentions_needed)')
    open_notebook(page, address("exercise.ipynb"))
    for number in range(stub + 1):
        run_cell(page, number)
    run_cell(page, check)
    wait_for(page, check, "not yet written")
    write(page, stub, WRONG)
    run_cell(page, check)
    message = wait_for(page, check, "✗ 02.mentions_needed: not yet right")
    assert "it returned" in message and "expected" in message
    write(page, stub, RIGHT)
    run_cell(page, check)
    wait_for(page, check, re.compile(r"✓ 02\.mentions_needed: right in all \d+ cases"))
    assert errors(page) == []


def run_cell(page, number: int) -> None:
    """Put the cursor into a code cell, press Control+Enter, and wait until it has run."""
    cell = page.locator(".jp-CodeCell").nth(number)
    before = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    cell.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[\d+\]:")).filter(has_not_text=before).wait_for()


def write(page, number: int, code: str) -> None:
    """Replace what stands in a code cell, and run it."""
    page.locator(".jp-CodeCell").nth(number).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)
    run_cell(page, number)


# Lessons.


@pytest.mark.parametrize(
    "name", [name if name == ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in LESSONS]
)
def test_a_lesson_runs_from_top_to_bottom(page, address, name):
    open_notebook(page, address(name))
    run_all(page, SECONDS)
    assert errors(page) == []
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert len(prompts) > 10 and all(re.search(r"\d", prompt) for prompt in prompts)
