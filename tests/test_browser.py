"""What a learner does with the widgets, done in a real JupyterLab by a real browser.

Skipped, with the reason, where playwright or Chromium is missing. Lessons and exercises are in test_desk_browser.py.
"""

import re
from pathlib import Path

import nbformat
import pytest
from jupyter_lab import errors, jupyter_lab, new_page, open_notebook, run_all, why_no_browser

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser() or "-")

SECONDS = 600  # for all cells; they take under 60 s, but the machine may be busy

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
    """long = Corpus([
    Document("scipy.sparse.csgraph.maximum_bipartite_matching-whose-id-is-long", "The ferry. " * 30, "Graph"),
    *corpus])
BM25Retriever().fit(long).search("ferry")""",
    'RAG(BM25Retriever(), lambda prompt: "At nine.").fit(long).ask("When does the ferry leave the quay?")',
    """from ragedu.learn import check
check("02.mentions_needed", lambda share, k1, b, relative_length: 0.123456789)""",
]
SEARCH, SLIDERS, MAP, NEXT_TOKEN, TRACE, QUIZ, SLEEP, HITS, ANSWER, CARD = range(1, 11)
PANELS = (SEARCH, SLIDERS, MAP, NEXT_TOKEN, TRACE, QUIZ)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the JupyterLab serves."""
    folder = tmp_path_factory.mktemp("jupyter")
    metadata = nbformat.read(ROOT / "notebooks/01_tfidf.ipynb", as_version=4).metadata
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
    output(opened, MAP).get_by_role("button", name="Where are loaves sold?").focus()
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


# Keyboard, width and themes.

# What has the focus: in which cell, what it is, what it is called, how the focus is shown.
FOCUSED = """() => {
    const it = document.activeElement, style = getComputedStyle(it);
    const name = it.labels?.[0]?.innerText || it.getAttribute('aria-label') || it.innerText;
    const cells = [...document.querySelectorAll('.jp-CodeCell')];
    return [cells.findIndex(cell => cell.contains(it)), it.type || it.role || it.tagName, name || '',
            `${style.outlineStyle} ${style.outlineWidth}`];
}"""


def test_tab_goes_through_every_control_and_shows_where_it_is(opened):
    reached = []
    output(opened, SEARCH).get_by_label("query").focus()
    for _ in range(40):
        cell, kind, name, outline = opened.evaluate(FOCUSED)
        if cell > QUIZ:
            break
        reached.append((cell, kind, name))
        assert outline == "solid 2px" or cell not in PANELS, (cell, kind, name)
        opened.keyboard.press("Tab")
    expected = [
        *[(SLIDERS, "text", "query"), (SLIDERS, "number", "k1"), (SLIDERS, "slider", "")],
        *[(SLIDERS, "number", "b"), (SLIDERS, "slider", "")],
        *[(MAP, "submit", "Who lights the lamp?"), (MAP, "submit", "Where are loaves sold?"), (MAP, "text", "query")],
        *[(NEXT_TOKEN, "textarea", "prompt"), (NEXT_TOKEN, "checkbox", "as a chat message")],
        *[(NEXT_TOKEN, "number", "temperature"), (NEXT_TOKEN, "slider", "")],
        *[(NEXT_TOKEN, "number", "top-p"), (NEXT_TOKEN, "slider", ""), (TRACE, "text", "question")],
        *[(QUIZ, "radio", "Rare ones"), (QUIZ, "radio", "Frequent ones")],
    ]
    assert [control for control in reached if control in expected] == expected


def test_arrows_turn_a_slider_and_its_field_and_leave_the_cell_where_it_is(opened):
    field, slider = output(opened, SLIDERS).get_by_label("k1"), output(opened, SLIDERS).get_by_role("slider").first
    field.fill("1")
    field.press("Enter")
    for control, key, value in (
        (field, "ArrowUp", "1.05"),
        (slider, "ArrowRight", "1.1"),
        (slider, "ArrowDown", "1.05"),
    ):
        control.focus()
        opened.keyboard.press(key)
        assert field.input_value() == value
        assert opened.evaluate(FOCUSED)[0] == SLIDERS


# Which elements of an output stick out of it, though nothing scrolls them; and which ids are broken into lines.
STICK_OUT = """() => {
    const found = [];
    for (const area of document.querySelectorAll('.jp-CodeCell .jp-Cell-outputArea')) {
        const scrolls = it => it === area ? false
            : getComputedStyle(it).overflowX === 'auto' && it.tagName === 'DIV' && it.style.overflowX === 'auto'
            || scrolls(it.parentElement);
        for (const it of area.querySelectorAll('*'))
            if (it.getBoundingClientRect().right > area.getBoundingClientRect().right + 1 && !scrolls(it.parentElement))
                found.push(`${it.tagName}.${it.className}: ${it.textContent.slice(0, 40)}`);
        for (const id of area.querySelectorAll('b + code, td > code:first-child'))
            if (id.getClientRects().length > 1) found.push(`broken: ${id.textContent}`);
    }
    return found;
}"""
# Which parts of a panel lie on one another.
OVERLAP = """() => [...document.querySelectorAll('.ragedu-panel')].flatMap(panel => {
    const boxes = [...panel.children].map(it => [it, it.getBoundingClientRect()]).filter(([_, box]) => box.height);
    return boxes.slice(1).filter(([_, box], n) => box.top < boxes[n][1].bottom - 1).map(([it, _]) => it.textContent);
})"""
# The least contrast of a text with its background in each output, by WCAG's formula, with the text.
CONTRAST = """() => {
    const parsed = colour => { const c = colour.match(/[\\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c };
    const over = (top, below) => below.map((value, n) => top[n] * top[3] + value * (1 - top[3]));
    const luminance = colour => colour.map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
    const background = it => !it ? [255, 255, 255]
        : over(parsed(getComputedStyle(it).backgroundColor), background(it.parentElement));
    const contrast = it => {
        const below = background(it), text = over(parsed(getComputedStyle(it).color), below);
        const [dark, light] = [luminance(below), luminance(text)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const hasText = it => it.matches('input, textarea')
        || [...it.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    return [...document.querySelectorAll('.jp-CodeCell .jp-OutputArea-output')].flatMap(area =>
        [...area.querySelectorAll('*')]
            .filter(it => it.tagName !== 'STYLE' && it.getClientRects().length && hasText(it))
            .map(it => [contrast(it), it.textContent.slice(0, 40)])
            .sort((a, b) => a[0] - b[0]).slice(0, 1));
}"""


@pytest.mark.parametrize("width", [1280, 700])
def test_nothing_sticks_out_or_overlaps(opened, width):
    opened.set_viewport_size({"width": width, "height": 1120})
    if width == 700:
        opened.keyboard.press("Control+b")  # fold the file browser away
    opened.wait_for_timeout(500)
    assert opened.evaluate(STICK_OUT) == []
    assert opened.evaluate(OVERLAP) == []


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_can_be_read_in_both_themes(opened, theme):
    opened.get_by_role("menuitem", name="Settings", exact=True).click()
    opened.locator(".lm-Menu-item", has_text=re.compile(r"^\s*Theme\s*$")).click()
    opened.locator(".lm-Menu-item", has_text=theme).first.click()
    opened.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
    opened.wait_for_timeout(500)  # colours fade
    least = opened.evaluate(CONTRAST)
    assert len(least) >= len(PANELS) + 3
    assert [text for text in least if text[0] < 4.5] == []
