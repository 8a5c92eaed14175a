"""Widgets without a browser: set a control's value, read the HTML. (test_browser.py operates them in JupyterLab.)"""

import base64
import re
import subprocess
import sys
import threading
from html import unescape
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ipykernel.kernelspec import get_kernel_dict
from ipywidgets import Text
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient

from ragedu import RAG, BM25Retriever, Corpus, DenseRetriever, Document, HybridRetriever, TfidfRetriever
from ragedu.learn.widgets import bm25_sliders, decoding, embeddings, quiz, rag_trace, search_explorer
from ragedu.learn.widgets.decoding import bars, next_token, probabilities_after
from ragedu.learn.widgets.marks import bar, excerpt, mark_words
from ragedu.learn.widgets.panel import Panel, as_text, sentence
from ragedu.learn.widgets.searching import side_by_side, sum_of, unknown_words
from ragedu.learn.widgets.tracing import trace
from ragedu.learn.widgets.weighting import Bm25Ranking

EVIL = "<script>alert(1)</script> & <b>'\"bold"


def rows(html: str) -> list[list[str]]:
    """The rows of the tables in the HTML, as the text of their cells."""
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr>(.*?)</tr>", html, re.S)]
    return [[as_text(cell) for cell in row] for row in cells]


@pytest.fixture
def bm25(harbour):
    return BM25Retriever().fit(harbour)


@pytest.fixture
def tfidf(harbour):
    return TfidfRetriever().fit(harbour)


# The panel.


def test_importing_ragedu_loads_no_widgets_and_the_widgets_no_torch():
    code = (
        "import sys, ragedu.learn; assert 'ipywidgets' not in sys.modules\n"
        "import ragedu.learn.widgets; assert 'ipywidgets' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_ipywidgets_the_error_says_what_to_install():
    code = "import sys; sys.modules['ipywidgets'] = None\nimport ragedu.learn.widgets"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.search(r"ImportError: the widgets need the package ipywidgets: run  pip install", process.stderr)


def test_an_error_is_one_sentence_in_place_and_the_next_value_works():
    panel = Panel({"x": Text("1", description="x")}, lambda x: f"<p>{1 / int(x)}</p>")
    panel.controls["x"].value = "0"
    assert panel.shown.value == "<p><strong>⚠ ZeroDivisionError: division by zero</strong></p>"
    panel.controls["x"].value = "<i>"
    assert (
        "invalid literal" in panel.shown.value and "&lt;i&gt;" in panel.shown.value and "<i>" not in panel.shown.value
    )
    panel.controls["x"].value = "2"
    assert panel.shown.value == "<p>0.5</p>"


@pytest.mark.parametrize(
    "error, expected",
    [
        (ValueError("the query '' is blank:\nask"), "the query '' is blank: ask"),
        (KeyError("no document has the id 'x'"), "KeyError: no document has the id 'x'"),
        (AssertionError(), "AssertionError, without a message"),
        (OSError(2, "No such file"), "FileNotFoundError: [Errno 2] No such file"),
    ],
)
def test_an_error_as_a_sentence(error, expected):
    assert sentence(error) == expected


def test_while_it_works_the_old_result_is_dimmed_and_values_that_come_meanwhile_are_not_lost():
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def slow(x):
        if x == "slow":
            begun.set()
            assert go_on.wait(10)
        seen.append(x)
        return f"<p>{x}</p>"

    panel = Panel({"x": Text("first")}, slow)
    thread = threading.Thread(target=lambda: setattr(panel.controls["x"], "value", "slow"))
    thread.start()
    assert begun.wait(10)
    assert "working" in panel.shown.value and "<p>first</p>" in panel.shown.value
    other = threading.Thread(target=lambda: setattr(panel.controls["x"], "value", "last"))
    other.start()
    go_on.set()
    thread.join(10), other.join(10)
    assert panel.shown.value == "<p>last</p>" and seen[-1] == "last"


def test_the_same_value_again_is_not_computed_again():
    calls = []
    panel = Panel({"x": Text("a")}, lambda x: calls.append(x) or "")
    panel.controls["x"].value = "b"
    panel.controls["x"].value = "b"
    assert calls == ["a", "b"]


def test_a_panel_is_also_html_and_text_of_its_present_state(bm25):
    panel = search_explorer({"BM25": bm25}, query="ferry", k=1)
    panel.controls["query"].value = "bread"
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert "bakery" in bundle["text/html"] and "query <strong>bread</strong>" in bundle["text/html"]
    first, *rest = bundle["text/plain"].splitlines()
    assert first == "query bread (a picture; the controls work in Jupyter)" and "bread 1." in "".join(rest)
    assert "<" not in bundle["text/plain"]


def test_every_control_reports_once_and_has_a_label(bm25, harbour, language_model):
    panels = [
        search_explorer({"BM25": bm25}),
        bm25_sliders(harbour, "ferry"),
        rag_trace(RAG(bm25, str), "Who?"),
        next_token(language_model, "The"),
    ]
    for panel in panels:
        for name, control in panel.controls.items():
            assert control.description, name
            parts = [control, *getattr(control, "children", [])]
            assert not any(getattr(part, "continuous_update", False) for part in parts), name


# What a page may take away (GitHub takes styles, a JupyterLab that doesn't trust the notebook takes SVG and scripts).


def test_every_panel_on_paper_says_that_its_controls_work_in_jupyter_and_needs_no_style(bm25, harbour, language_model):
    panels = [
        search_explorer({"BM25": bm25}, query="ferry"),
        bm25_sliders(harbour, "ferry"),
        rag_trace(RAG(bm25, lambda prompt: "Nine."), "Where is the ferry?"),
        next_token(language_model, "The", chat=True),
    ]
    for panel in panels:
        html = panel.static()
        assert "the controls work in Jupyter" in html.splitlines()[0]
        assert not re.search(r"<(svg|script|style|button|input)|VBox|class=", html)
        plain = re.sub(r" style='[^']*'", "", html)
        assert as_text(plain) == as_text(html) and "<td align='right'>" in plain and "scope='col'" in plain
    assert "as a chat message <strong>yes</strong>" in panels[-1].static()


def test_text_of_html():
    html = "<p>a &amp; b</p><table><tr><th>x</th><th>y</th></tr><tr><td>1<br>2</td><td><b>3</b></td></tr></table>"
    assert as_text(html) == "a & b\nx  |  y\n1\n2  |  3"
    assert as_text("<svg aria-label='A map'><text>7</text></svg><p>below</p>") == "[picture: A map]\nbelow"


# Marks.


@given(st.floats(0, 1), st.integers(1, 40))
def test_a_bar_grows_with_its_value(value, width):
    length = lambda text: 8 * text.count("█") + sum(" ▏▎▍▌▋▊▉".index(c) for c in text if c != "█")
    assert abs(length(bar(value, 1, width=width)) - 8 * width * value) <= 1
    assert (length(bar(value, 1, width=width)) > 0) == (value > 0)


def test_a_bar_of_nothing():
    assert bar(0, 0) == bar(1, 0) == bar(-1, 1) == ""
    assert bar(1e-9, 1) == "▏" and bar(2, 1, width=3) == "███"


@given(st.text())
def test_marking_loses_nothing_and_escapes_all(text):
    html = mark_words(text, lambda word: len(word) % 2)
    plain = re.sub(r"<b><u>|</u></b>|</?span>", "", html)  # a span round a dollar or a backslash: see showing.escape
    assert "<" not in plain
    assert unescape(plain) == text


def test_an_excerpt_holds_the_first_wanted_word():
    text = "sea " * 100 + "ferry\n" + "rain " * 100
    cut = excerpt(text, lambda word: word == "ferry", 60)
    assert cut.startswith("… sea") and " ferry rain" in cut and cut.endswith("…") and len(cut) <= 62
    assert excerpt("a ferry", lambda word: False, 60) == "a ferry"


# Search explorer.


def test_retrievers_stand_side_by_side_with_what_each_term_added(bm25, tfidf):
    panel = search_explorer({"BM25": bm25, "TF-IDF": tfidf}, query="ferry at the quay")
    header, first, *_ = rows(panel.shown.value)
    assert header == ["rank", "BM25", "TF-IDF"]
    for cell, retriever in zip(first[1:], (bm25, tfidf), strict=True):
        explanation = retriever.explain("ferry at the quay", "ferry")
        assert cell.splitlines()[0] == "Timetable ferry"
        assert cell.splitlines()[-1].startswith(f"{explanation.score:.3f} = ")
        for term, value in explanation.contributions.items():
            assert f"{term} {value:.3f}" in cell
    assert "The <b><u>ferry</u></b> to Gull Rock leaves the east <b><u>quay</u></b> at" in panel.shown.value
    panel.controls["query"].value = "singers"
    assert rows(panel.shown.value)[1][1].startswith("Choir choir")


def test_a_document_that_only_one_finds_is_marked(bm25, make_dense, harbour):
    html = side_by_side({"BM25": bm25, "dense": make_dense().fit(harbour)}, "ferry", k=4)
    cells = rows(html)
    assert [len(row) for row in cells] == [3] * 5 and cells[3][1] == ""  # BM25 has two, dense has four
    assert "only here" in cells[4][2] and "only here" not in cells[1][1] + cells[1][2]
    assert "only here" not in side_by_side({"BM25": bm25}, "ferry")


def test_a_hybrid_says_which_part_added_what(bm25, tfidf):
    html = side_by_side({"both": HybridRetriever([bm25, tfidf])}, "ferry", k=1)
    assert (
        "0.01639 = <code>1. BM25Retriever, rank 1</code> 0.00820 + <code>2. TfidfRetriever, rank 1</code> 0.00820"
        in html
    )


def test_a_retriever_that_fails_leaves_the_others_their_columns(bm25):
    html = side_by_side({"BM25": bm25, "empty": TfidfRetriever()}, "ferry")
    cells = rows(html)
    assert cells[1][2].startswith("⚠ TfidfRetriever has no corpus yet: call fit(corpus)")
    assert cells[2][1].startswith("Timetable")


def test_nothing_found_and_nothing_asked(bm25, tfidf):
    assert rows(side_by_side({"BM25": bm25}, "zeppelin"))[1] == ["", "no document found"]
    assert "has no words to search for" in side_by_side({"BM25": bm25}, "the of")
    assert "Type a query" in search_explorer({"BM25": bm25}).shown.value


def test_words_that_no_document_has_are_named(bm25, tfidf, make_dense, harbour):
    ask = "Zeppelin ferries for <airmen>, zeppelin by the quay"
    both = HybridRetriever([make_dense(), BM25Retriever()]).fit(harbour)
    for retrievers in ({"BM25": bm25}, {"TF-IDF": tfidf, "dense": make_dense().fit(harbour)}, {"both": both}):
        named = as_text(side_by_side(retrievers, ask)).splitlines()[0]
        # Not "ferries", which the archive has as "ferry", and not "for", "by" and "the", which are left out.
        assert named == "No document has these words: Zeppelin, airmen, zeppelin"
    assert "No document has this word: <b>zeppelin</b></p>" in side_by_side({"BM25": bm25}, "zeppelin quay")
    assert "No document has" not in side_by_side({"BM25": bm25}, "the ferry")
    assert "No document has" not in side_by_side({"dense": make_dense().fit(harbour)}, "zeppelin")


def test_a_word_that_one_vocabulary_has_is_known(bm25):
    plain = BM25Retriever(analyzer=str.split).fit(Corpus.from_texts(["zeppelin"]))
    assert unknown_words([bm25, plain], "zeppelin airmen") == ["airmen"]
    assert unknown_words([BM25Retriever()], "zeppelin") == []  # not fitted: it knows nothing of any archive


def test_the_scores_of_a_column_have_the_same_decimals(bm25, tfidf):
    html = side_by_side({"TF-IDF": tfidf, "both": HybridRetriever([bm25, tfidf])}, "ferry lamp harbour", k=4)
    for column, digits in ((1, 3), (2, 5)):
        scores = [row[column].splitlines()[-1].split(" = ")[0] for row in rows(html)[1:] if row[column]]
        assert len(scores) >= 3 and {len(score.partition(".")[2]) for score in scores} == {digits}


def test_many_terms_are_summed_up():
    added = {"a": 0.1, "b": -0.5, "c": 0.2, "d": 0.3}
    assert as_text(sum_of(added, most=2)) == "b -0.500 + d 0.300 + 2 more 0.300"
    assert as_text(sum_of({"a": 0.5, "b": -0.1})) == "a 0.500 + b -0.100" and sum_of({}) == "0"


def test_explorer_wants_a_dictionary(bm25):
    with pytest.raises(TypeError, match="takes {name: retriever}"):
        search_explorer([bm25])


def test_what_people_and_documents_write_is_escaped():
    corpus = Corpus([Document(EVIL, f"ferry {EVIL}", EVIL), Document("2", "boat")])
    bm25 = BM25Retriever().fit(corpus)
    rag = RAG(bm25, lambda prompt: f"ferry {EVIL}").fit(corpus)
    choices = {EVIL: (True, EVIL), "x": (False, EVIL)}
    panels = [
        search_explorer({EVIL: bm25}, query=f"ferry {EVIL}"),
        bm25_sliders(corpus, f"ferry {EVIL}"),
        rag_trace(rag, f"ferry {EVIL}"),
        quiz(EVIL, choices),
    ]
    panels[-1].controls["choice"].value = EVIL
    for panel in panels:
        for html in (panel.static(), panel.shown.value, *(getattr(c, "value", "") or "" for c in panel.children[-1:])):
            assert "<script" not in html and "<b>'" not in html
        assert "&lt;script&gt;" in panel.static()


# BM25 sliders.


@pytest.mark.parametrize("k1, b", [(1.5, 0.75), (0, 0), (5, 1), (0.5, 0.3)])
@pytest.mark.parametrize("query", ["harbour wall", "boats boats red sails", "ferry zeppelin"])
def test_sliders_show_what_the_retriever_scores(harbour, k1, b, query):
    hits = BM25Retriever(k1=k1, b=b).fit(harbour).search(query, 8)
    shown = rows(Bm25Ranking(harbour).html(query, k1, b, k=8))[1:]
    assert [(row[0].split()[0], row[1]) for row in shown] == [(str(hit.rank), f"{hit.score:.3f}") for hit in hits]
    assert all(hit.document.id in row[3] for hit, row in zip(hits, shown, strict=True))


def test_turning_a_slider_moves_documents_and_says_from_where(harbour):
    corpus = Corpus([Document("long", "ferry ferry ferry ferry" + " sea" * 60), Document("short", "ferry boat")])
    panel = bm25_sliders(corpus, "ferry")
    assert [row[3].split()[0] for row in rows(panel.shown.value)[1:]] == ["short", "long"]
    panel.controls["b"].value = 0
    turned = rows(panel.shown.value)[1:]
    assert [row[0] for row in turned] == ["1 ▲ was 2", "2 ▼ was 1"] and turned[0][3].startswith("long")
    assert panel.static().startswith("<p>query <strong>ferry</strong>, k1 <strong>1.5</strong>, b <strong>0.0</strong>")
    panel.controls["query"].value = "zeppelin"
    assert "No document has a word of this query" in panel.shown.value


def test_the_field_and_the_slider_are_one(harbour):
    slider = bm25_sliders(harbour, "ferry").controls["k1"]
    field, _track = slider.children
    field.value = 2.5
    assert slider.value == 2.5 and field.description == "k1"
    field.value = 99  # held at the end of its range
    assert slider.value == 5


def test_sliders_need_documents(harbour):
    with pytest.raises(ValueError, match="the corpus is empty"):
        bm25_sliders(Corpus([]), "ferry")
    for k in (0, -1, 2.5):
        shown = bm25_sliders(harbour, "ferry", k=k).static()
        assert f"k must be a whole number of documents, at least 1, not {k}" in shown


# The map.


def test_principal_axes_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(0).normal(size=(30, 6)) * [5, 3, 1, 1, 1, 1]
    mean, axes, share = embeddings.principal_axes(vectors)
    reference = PCA(2).fit(vectors)
    np.testing.assert_allclose(np.abs((vectors - mean) @ axes.T), np.abs(reference.transform(vectors)), atol=1e-9)
    assert share == pytest.approx(reference.explained_variance_ratio_.sum())


def test_the_map_of_one_document_is_a_point():
    mean, axes, share = embeddings.principal_axes(np.ones((1, 4)))
    assert axes.shape == (2, 4) and share == 1.0
    svg = embeddings.draw(np.zeros((1, 2)), np.zeros(2), [0], ["only"], "q")
    assert svg.count("<polygon") == 1 and "nan" not in svg


def test_the_map_marks_the_query_and_its_nearest_by_shape(make_dense, harbour):
    panel = embeddings.embedding_map(make_dense().fit(harbour), ["Who lights the lamp?", "sailing <lessons>"], k=3)
    html = panel.shown.value
    assert (html.count("<polygon"), html.count("<circle"), html.count(">query</text>")) == (3, 5, 1)
    assert rows(html)[1][0] == "▲ 1" and "keeper" in rows(html)[1][2]
    _style, examples, *_ = panel.children
    examples.children[1].click()
    assert panel.controls["query"].value == "sailing <lessons>"
    assert "school" in rows(panel.shown.value)[1][2] and "<lessons>" not in panel.static()
    panel.controls["query"].value = "bread"
    assert "bakery" in rows(panel.shown.value)[1][2] and "'bread'" in repr(panel)


def test_the_map_draws_in_the_colour_of_the_page_and_inside_its_frame():
    places = np.random.default_rng(1).normal(size=(1_200, 2)) * 100
    svg = embeddings.draw(places, np.array([500.0, 0.0]), [0, 1], [str(n) for n in range(1_200)], "q")
    assert "currentColor" in svg and not re.search(r"#[0-9a-f]{3}|rgb|red|blue|black|white", svg)
    assert 300 < svg.count("<circle") <= embeddings.MAX_DOTS and svg.count("<polygon") == 2
    for x, y in re.findall(r"cx='(-?\d+)' cy='(-?\d+)'", svg):
        assert 0 <= int(x) <= embeddings.WIDTH and 0 <= int(y) <= embeddings.HEIGHT


def test_on_a_page_without_svg_the_map_is_an_image_that_stands_alone(make_dense):
    corpus = Corpus([Document(EVIL + "\x1b", "ferry"), Document("b", "boat"), Document("c", "sea")])
    panel = embeddings.embedding_map(make_dense().fit(corpus), [f"ferry {EVIL}\x1b"], k=1)
    html = panel.static()
    assert "<svg" not in html and "<svg" in panel.shown.value
    (data,) = re.findall(r"src='data:image/svg\+xml;base64,([^']+)'", html)
    picture = ElementTree.fromstring(base64.b64decode(data))  # XML, and not only HTML
    assert [child.tag.partition("}")[2] for child in picture].count("circle") == 2
    assert picture[0].attrib["fill"] == "white"  # an image doesn't know the colours of its page
    assert re.search(r"<img [^>]*alt='A map of 3 documents, the query &#x27;?", html)
    assert "[picture: A map of 3 documents" in repr(panel) and "svg+xml" not in repr(panel)


def test_the_map_wants_a_list_of_queries_and_a_fitted_retriever(make_dense, harbour):
    with pytest.raises(TypeError, match="takes a list of queries"):
        embeddings.embedding_map(make_dense().fit(harbour), "one")
    with pytest.raises(RuntimeError, match="has no corpus yet"):
        embeddings.embedding_map(DenseRetriever(), ["one"])


# Next token.

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))
WORDS = [" lamp", "\n", "<b>", ""]


def test_bars_by_hand():
    table = rows(bars(LOGITS, WORDS, temperature=1, top_p=1))
    assert [row[:2] for row in table[1:]] == [
        ["␣lamp", "50.0%"],
        ["⏎", "30.0%"],
        ["<b>", "15.0%"],
        ["(nothing)", "5.0%"],
    ]
    assert table[1][2:] == ["50.0%", "█" * 12]
    cold = rows(bars(LOGITS, WORDS, temperature=0.5, top_p=1))[1:]  # squares, scaled to sum to 1
    assert [row[2] for row in cold] == ["68.5%", "24.7%", "6.2%", "0.7%"]
    nucleus = rows(bars(LOGITS, WORDS, temperature=1, top_p=0.8))[1:]
    assert [row[2] for row in nucleus] == ["62.5%", "37.5%", "–", "–"]
    assert [row[3] for row in nucleus][2:] == ["✗ ruled out"] * 2


def test_temperature_0_is_greedy():
    html = bars(LOGITS, WORDS, temperature=0, top_p=0.5)
    assert [row[2] for row in rows(html)[1:]] == ["100.0%", "–", "–", "–"] and "greedy decoding" in html


@given(st.just(0) | st.floats(0.05, 2), st.floats(0.05, 1))
def test_what_can_be_drawn_is_a_distribution_with_the_first_in_it(temperature, top_p):
    p = probabilities_after(LOGITS, temperature, top_p)
    assert float(p.sum()) == pytest.approx(1) and p.argmax() == 0


def test_of_a_tie_the_first_is_taken():
    logits = torch.zeros(5)
    assert decoding.top(logits, 2) == [0, 1]
    assert rows(bars(logits, ["a", "b"], temperature=0, top_p=1))[1][2] == "100.0%"


def test_next_token_shows_the_models_own_choice(language_model):
    prompt = "The lighthouse keeper lit the"
    panel = next_token(language_model, prompt)
    first = language_model.generate(prompt, max_new_tokens=1, chat=False)
    assert rows(panel.shown.value)[1][0] == first.replace(" ", "␣")
    panel.controls["top_p"].value = 0.05
    assert "1 token of 49,152 can be drawn" in panel.shown.value
    panel.controls["prompt"].value = "word " * 9_000
    assert "but the model's context holds 8,192: shorten it" in repr(panel)


# RAG trace.


def test_the_trace_marks_what_supports_the_answer(harbour):
    rag = RAG(BM25Retriever(), lambda prompt: "Tomas <Brandt> of Paris", k=2).fit(harbour)
    panel = rag_trace(rag, "Who is the keeper of the lighthouse on the quay?")
    html = panel.shown.value
    assert "<b><u>Tomas</u></b> &lt;<b><u>Brandt</u></b>&gt; of Paris" in html
    assert "67% of its content words stand in source 1" in html
    assert "is <b><u>Tomas</u></b> <b><u>Brandt</u></b>." in html and html.count("<u>Tomas") == 2
    assert [row[0] for row in rows(html)] == ["source", "[1]", "[2]", "step", "retrieve", "prompt", "generate"]


def test_the_trace_shows_the_budget_and_what_was_left_out(harbour, language_model):
    class Reader:
        encode = language_model.encode

        def __call__(self, prompt):
            return "Not in the sources."

    rag = RAG(BM25Retriever(), Reader(), k=4, budget=120).fit(harbour)
    answer = rag.ask("the ferry at the east quay")
    html = rag_trace(rag, "the ferry at the east quay").shown.value
    assert f"Prompt: {len(language_model.encode(answer.prompt))} tokens of 120" in html
    assert answer.left_out and sum("omitted" in row[2] for row in rows(html) if len(row) > 2) == len(answer.left_out)
    assert "It abstains." in html


def test_the_trace_of_a_question_without_a_source_and_of_an_invention(harbour):
    rag = RAG(BM25Retriever(), lambda prompt: "zeppelins").fit(harbour)
    panel = rag_trace(rag, "xylophone")
    assert "No source was found, so the model was not asked." in panel.shown.value
    panel.controls["question"].value = "ferry"
    assert "No word of it stands in a source: likely invented." in panel.shown.value
    panel.controls["question"].value = " "
    assert repr(panel).endswith("\n⚠ the query ' ' is blank: ask with at least one word")


def test_the_trace_says_which_source_was_cited(harbour):
    answer = RAG(BM25Retriever(), lambda prompt: "noon", k=2).fit(harbour).ask("ferry")
    cited = trace(type(answer)(answer.question, "noon", answer.sources, "", cited=answer.sources[0]))
    assert [row[2] for row in rows(cited)[1:3]] == ["✓ cited", "read alone, not chosen"]


# Quiz.

CHOICES = {"Rare words": (True, "They tell documents apart: `df` is small."), "Frequent": (False, "They are <all>.")}


def test_a_quiz_says_whether_and_why():
    panel = quiz("Which does `idf` favour?", CHOICES)
    assert panel.controls["choice"].value is None and panel.shown.value == "<p>Choose one.</p>"
    panel.controls["choice"].value = "Frequent"
    assert panel.shown.value == "<p><strong>✗ Not this one.</strong> They are &lt;all&gt;.</p>"
    panel.controls["choice"].value = "Rare words"
    assert panel.shown.value.startswith("<p><strong>✓ Right.</strong>") and "<code>df</code>" in panel.shown.value
    assert "Which does <code>idf</code> favour?" in panel.children[1].value


def test_a_quiz_on_paper_has_every_choice_folded_and_none_chosen():
    panel = quiz("Which?", CHOICES)
    before = panel.static()
    panel.controls["choice"].value = "Frequent"
    assert panel.static() == before and before.count("<details>") == 2 and "Choose one" not in before


@pytest.mark.parametrize(
    "choices, message",
    [
        ({"a": (False, "no"), "b": (False, "no")}, "a right one among them"),
        ({"a": (True, "yes")}, "two choices or more"),
        ({"a": (True, ""), "b": (False, "no")}, "the choice 'a' needs"),
        ({"a": True, "b": False}, "the choice 'a' needs"),
        (["a", "b"], "choices are {text"),
    ],
)
def test_a_quiz_without_explanations_or_a_right_choice_is_refused(choices, message):
    with pytest.raises((TypeError, ValueError), match=message):
        quiz("?", choices)


# In a stored notebook.


class ThisPython(AsyncKernelManager):
    @property
    def kernel_spec(self):
        return KernelSpec(resource_dir="", **get_kernel_dict())


def test_a_stored_cell_has_the_picture_and_is_the_same_in_every_run():
    code = (
        "from ragedu import BM25Retriever, Corpus\nfrom ragedu.learn.widgets import *\n"
        "corpus = Corpus.from_texts(['the old ferry', 'a boat'])\n"
        "search_explorer({'BM25': BM25Retriever().fit(corpus)}, query='ferry')"
    )
    bundles = []
    for _ in range(2):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        NotebookClient(notebook, timeout=60, kernel_manager_class=ThisPython).execute()
        (output,) = notebook.cells[0].outputs
        assert output.data.pop("application/vnd.jupyter.widget-view+json")  # its random name is not compared by nbval
        bundles.append(output.data)
    assert bundles[0] == bundles[1] and set(bundles[0]) == {"text/plain", "text/html"}
    assert "<u>ferry</u>" in bundles[0]["text/html"] and "ferri 0." in bundles[0]["text/plain"]
