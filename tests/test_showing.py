"""Whatever a document, an answer or a system is called: nothing of it reaches the terminal as a command, or HTML as
markup or as a formula."""

import io
import json
import re
import sys
from html import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragedu import RAG, BM25Retriever, Corpus, Document
from ragedu.answer import Answer, Step
from ragedu.cli import main, print_json
from ragedu.corpus import Dataset
from ragedu.evaluation import Comparison
from ragedu.evaluation.result import Result
from ragedu.retrieval.base import Explanation, Hit, Hits
from ragedu.showing import block, columns, escape, escape_attribute, fit, one_line, pad, table, visible

EVIL = "\x1b[2J\x07a\u202eb\x9b31m\r\n[2] Forged  (forged)\u2028[3] Forged\x85[4] x\x0b[5] y\x0c\x7f\t$5 \\(x\\) <b>&"
TEXTS = st.text(
    st.one_of(
        st.sampled_from("\x1b\x07\x08\r\n\t\x0b\x0c\x1c\x7f\x85\x9b\u2028\u2029\u202e\u2066$\\()[]<>&'\"` 1"),
        st.characters(codec="utf-8", exclude_characters="\0"),
    ),
    min_size=1,
    max_size=30,
)
NAMES = TEXTS.filter(str.strip)
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
HARMLESS = "<span>$</span>", "<span>\\</span>"


def lines_of(shown):
    """The lines of what was shown, which has nothing that a terminal obeys."""
    assert not OBEYED.search(shown), shown
    assert shown.split("\n") == shown.splitlines() or not shown or shown.endswith("\n")
    return shown.split("\n")


def check_html(html, *texts):
    """No markup but ours, and nothing that MathJax would take for the beginning of a formula."""
    rest = html
    for span in HARMLESS:
        rest = rest.replace(span, "")
    assert "$" not in rest and "\\" not in rest
    ours = re.sub(r"</?(?:a|b|br|code|details|div|em|h2|li|ol|p|pre|span|strong|style|summary|svg|table|td|th|tr|u)"
                  r"(?: [a-z-]+='[^'<>]*')*>", "", rest)  # fmt: skip
    assert "<" not in ours and ">" not in ours, ours


def answer_with(id, title, text, written="Nine.", question="When?"):
    hits = Hits.ranked([Document(id, text, title), Document("second", "Two.")], [2.0, 1.0])
    return Answer(question, written, hits, "prompt", left_out=Hits([Hit(Document(id + "!", text, title), 0.5, 3)]))


@given(TEXTS)
@example(EVIL)
def test_text_for_a_terminal(text):
    assert len(lines_of(one_line(text))) == 1
    assert not OBEYED.search(visible(text))
    assert all(line.startswith("    ") or not line for line in lines_of(block(text))[1:])


def test_ordinary_text_is_shown_as_it_is():
    text = "Côte d'Azur — 빵집, 我喜欢, สวัสดี, नमस्ते, 👩‍👩‍👧, שלום\u200f (“ﬁn”) a  b"
    assert one_line(text) == visible(text) == block(text) == text
    assert block("a\n\n\tb\r\nc") == "a\n    \n        b\n    c"
    assert visible("a\x1b[2J\x7f\x9b\u202e\udcff") == "a␛[2J␡\\x9b\\u202e\\udcff"
    assert escape("<b> & '\"") == "&lt;b&gt; &amp; &#x27;&quot;"


@given(st.text(), st.integers(1, 30))
@example("한국어 ferry", 6)
@example("e\u0301" * 9, 5)
def test_text_for_the_columns_of_a_terminal(text, width):
    line = " ".join(text.split())
    short = fit(text, width)
    assert columns(short) <= width and line.startswith(short.removesuffix("…"))
    assert (short == line) == (columns(line) <= width)
    assert columns(pad(short, width)) == width


def test_columns_of_wide_and_of_no_width():
    assert [columns(text) for text in ("ferry", "한국어", "港の", "ﾌｪﾘｰ", "ｆ", "é", "e\u0301", "")] == [
        5,
        6,
        4,
        4,
        2,
        1,
        1,
        0,
    ]
    assert fit("한국어", 5) == "한국…" and fit("한국어", 4) == "한…" and pad("한", 4) + "|" == "한  |"


def test_a_table_aligns_numbers_on_the_right_with_and_without_styles():
    html = table(["rank", "text"], [["1", "a"]], numbers=[0])
    cells = re.findall(r"<t[hd][^>]*align='(\w+)' style='text-align:(\w+)[^']*'>(\w+)</t[hd]>", html)
    right, left = ("right", "right"), ("left", "left")
    assert cells == [(*right, "rank"), (*left, "text"), (*right, "1"), (*left, "a")]


@given(TEXTS)
@example(EVIL)
@example(r"$x$ $$x$$ \(x\) \[x\] \begin{cases} \$")
def test_text_for_html(text):
    html = escape(text)
    check_html(html)
    assert unescape(re.sub(r"</?span>", "", html)) == text
    attribute = escape_attribute(text)
    assert not re.search(r"[$\\<>'\"]", attribute)
    assert unescape(attribute).replace("＄", "$").replace("＼", "\\") == text.replace("＄", "$").replace("＼", "\\")


@given(NAMES, TEXTS, TEXTS, TEXTS, TEXTS)
@example(EVIL, EVIL, EVIL, EVIL, EVIL)
def test_an_answer(id, title, text, written, question):
    answer = answer_with(id, title, text, written, question)
    lines = lines_of(str(answer))
    numbered = [line for line in lines[1:] if not line.startswith("    ") and line.startswith("[")]
    assert [line[:4] for line in numbered] == ["[1] ", "[2] "] and numbered[1] == "[2] second"
    check_html(answer._repr_html_())


@given(NAMES, TEXTS, TEXTS)
@example(EVIL, EVIL, EVIL)
def test_hits_explanations_and_corpora(id, title, text):
    hits = answer_with(id, title, text).sources
    assert [line[:3] for line in lines_of(repr(hits))] == ["  1", "  2"]
    check_html(hits._repr_html_())
    assert len(lines_of(repr(Explanation(1.0, {id: 0.5, title + "!": 0.5})))) == len({id, title + "!"}) + 1
    corpus = Corpus([Document(id, text, title)])
    check_html(corpus._repr_html_())
    assert len(lines_of(repr(Dataset(corpus, {}, name=title)))) == 1


@given(NAMES, NAMES)
@example(EVIL, EVIL)
def test_results_and_comparisons(system, metric):
    result = Result({metric: {"q1": 0.5, "q2": 1.0}}, {}, unfinished=1)
    comparison = Comparison({system: result, system + "!": result})
    comparison.missing = [system + "?"]
    assert len(lines_of(repr(result))) == 2 and len(lines_of(repr(comparison))) == 5
    check_html(result._repr_html_())
    check_html(comparison._repr_html_())


@given(NAMES, TEXTS, TEXTS, TEXTS)
@example(EVIL, EVIL, EVIL, EVIL)
def test_widgets(id, title, text, written):
    from ragedu.learn.widgets import quizzes, tracing
    from ragedu.learn.widgets.embeddings import draw
    from ragedu.learn.widgets.panel import as_text, sentence

    answer = answer_with(id, title, text, written)
    steps = Answer(answer.question, written, answer.sources, f"prompt\n{text}", trace=(Step("retrieve", 0.1, title),))
    html = tracing.trace(steps, budget=100, tokens=50)
    check_html(html)
    rows = [line for line in lines_of(as_text(html)) if re.match(r"\[\d", line)]
    assert [row[:3] for row in rows] == ["[1]", "[2]"]
    check_html(quizzes.verdict({id: (True, text), "x": (False, "y")}, id))

    import numpy as np

    picture = draw(np.zeros((1, 2)), np.zeros(2), [0], [id], text)
    assert not re.search(r"[$\\]", picture) and "<b>" not in picture
    assert len(lines_of(as_text(picture))) == 1
    assert "\n" not in sentence(ValueError(text))


def test_an_error_on_the_command_line(tmp_path, capsys):
    for name in ("a\x1b[2J\x07.nothing", "b\nragedu: all is well", "c\u202e.exe", "d\x9b31m"):
        assert main(["ask", "Who?", "--corpus", str(tmp_path / name)]) == 2
        shown = capsys.readouterr().err
        assert len(lines_of(shown.rstrip("\n"))) == 1 and shown.startswith("ragedu: ")
    with pytest.raises(SystemExit):
        main(["ask", "Who?", "--retriever", "\x1b[2J\n"])
    assert all(not OBEYED.search(line) for line in capsys.readouterr().err.split("\n"))


def test_json_on_the_command_line(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", output)
    print_json({"answer": EVIL})
    output.flush()
    written = output.buffer.getvalue().decode()
    assert json.loads(written) == {"answer": EVIL}
    assert not OBEYED.search(written)


def test_what_ask_prints_is_an_answer_of_three_lines_and_no_more():
    corpus = Corpus([Document(f"ferry {EVIL}", f"ferry {EVIL}", f"Ferry {EVIL}")])
    shown = str(RAG(BM25Retriever().fit(corpus), lambda prompt: "Nine.").ask("ferry"))
    assert len(lines_of(shown)) == 4 and "␛[2J" in shown
