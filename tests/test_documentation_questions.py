"""The questions on real documentation: the file is whole, and every answer stands in its page."""

import gzip
import os
from collections import Counter

import pytest

from benchmarks import documentation
from ragedu.evaluation.answers import normalise

KINDS = {"lookup", "definition", "paraphrase", "table", "code", "unanswerable"}
QUESTIONS = documentation.questions()
ANSWERABLE = [question for question in QUESTIONS if question["answers"]]

RST = """Harbours
========

.. function:: lamp(hours=7)

   Light the lamp.  The default is seven hours.
"""
ASCIIDOC = "git-quay(1)\n===========\n\nNAME\n----\ngit-quay - Tie a ship to the quay\n"
# As the package has it: a table of contents first, no-break spaces after numbers, all text indented.
BOOK = """Debian Harbour

Table of Contents

Preface
    1. Disclaimer
1. The quay

Preface

1.\xa0Disclaimer

    The tide is warranted
    by nobody.

Chapter\xa01.\xa0The quay

1.1.\xa0Mooring with a rope that is so long that its title takes another
line

    Tie it twice.

1.1.1.\xa0Knots

    $ bowline --tight

Appendix\xa0A.\xa0Appendix

A.1.\xa0Thanks

    Thanks.
"""


@pytest.fixture
def unpacked(tmp_path):
    """The packages in small."""
    share = tmp_path / "usr" / "share"
    sources, git, debian = share / "doc/python3.11/html/_sources/library", share / "doc/git-doc", share
    for folder in (sources, git, debian / "debian-reference", share / "doc/python3.11-doc"):
        folder.mkdir(parents=True)
    (sources / "harbour.rst.txt").write_text(RST, "utf-8")
    (git / "git-quay.txt").write_text(ASCIIDOC, "utf-8")
    (git / "git-quay.html").write_text("<p>Not read.</p>", "utf-8")
    (debian / "debian-reference/debian-reference.en.txt.gz").write_bytes(gzip.compress(BOOK.encode()))
    log = b"python3.11 (3.11.2-6+deb12u9) bookworm-security; urgency=medium\n\n  * (Another.)\n"
    (share / "doc/python3.11-doc/changelog.Debian.gz").write_bytes(gzip.compress(log))
    return tmp_path


def test_there_are_a_hundred_questions_and_a_quarter_has_no_answer():
    assert len(QUESTIONS) == 100
    assert len({question["id"] for question in QUESTIONS}) == 100
    assert len({question["question"] for question in QUESTIONS}) == 100
    assert Counter(question["document"].partition("/")[0] for question in QUESTIONS) == {
        "python": 30,
        "git": 25,
        "debian-reference": 20,
        "": 25,
    }
    kinds = Counter(question["kind"] for question in QUESTIONS)
    assert kinds.keys() == KINDS and kinds["unanswerable"] == 25
    assert 3 * kinds["paraphrase"] >= len(ANSWERABLE)
    pages = Counter(question["document"] for question in ANSWERABLE)
    assert max(pages.values()) <= 3 and len(pages) >= 60


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["id"])
def test_every_question_is_well_formed(question):
    assert list(question) == ["id", "question", "answers", "document", "quote", "kind"]
    assert question["question"].endswith("?") and 4 <= len(question["question"].split()) <= 25
    answered = question["kind"] != "unanswerable"
    assert bool(question["answers"]) == bool(question["document"]) == bool(question["quote"]) == answered
    assert len(question["quote"].split()) <= 12  # the pages are not ours to copy
    assert all(len(answer) <= 100 for answer in question["answers"])
    # What the SQuAD rules leave nothing of would be right for every prediction that is empty.
    assert all(normalise(answer) for answer in question["answers"])


@pytest.fixture(scope="module")
def real_pages():
    folder = os.environ.get("RAGEDU_DOCUMENTATION")
    if not folder:
        pytest.skip("RAGEDU_DOCUMENTATION names no folder with Debian's documentation packages")
    pages = documentation.pages(folder)
    return {name.rpartition(".")[0]: documentation.one_spaced(text) for name, text in pages.items()}


def test_every_quote_and_answer_stands_in_its_page(real_pages):
    for question in ANSWERABLE:
        page = real_pages[question["document"]]
        quote, answer = documentation.one_spaced(question["quote"]), question["answers"][0]
        assert page.count(quote) == 1, question["id"]
        start = page.index(quote)
        assert answer in page[max(0, start - 250) : start + len(quote) + 250], question["id"]


def test_the_debian_reference_becomes_chapters_with_underlined_headings():
    chapters = dict(documentation.chapters(BOOK))
    assert list(chapters) == ["preface", "ch01", "appendix"]
    assert "1. Disclaimer\n-------------\n" in chapters["preface"]
    assert "\nThe tide is warranted\nby nobody." in chapters["preface"]
    title = "1.1. Mooring with a rope that is so long that its title takes another line"
    assert f"{title}\n{'~' * len(title)}\n" in chapters["ch01"]
    assert "1.1.1. Knots\n^^^^^^^^^^^^\n" in chapters["ch01"] and "\n$ bowline --tight\n" in chapters["ch01"]
    assert not any("\xa0" in text for text in chapters.values())


def test_pages_become_passages_and_quotes_find_theirs(unpacked, monkeypatch):
    asked = [
        (
            "a",
            "How long does lamp burn?",
            ["seven hours"],
            "python/library/harbour",
            "default is seven hours.",
        ),
        ("b", "Which knot is tied?", ["bowline"], "debian-reference/ch01", "$ bowline --tight"),
        ("c", "Who owns the quay?", [], "", ""),
    ]
    names = ("id", "question", "answers", "document", "quote")
    monkeypatch.setattr(
        documentation, "questions", lambda: [dict(zip(names, one, strict=True), kind="lookup") for one in asked]
    )
    data = documentation.dataset(unpacked)
    assert {passage.metadata["source"] for passage in data.corpus} == {
        "python/library/harbour.rst",
        "git/git-quay.txt",
        "debian-reference/preface.txt",
        "debian-reference/ch01.txt",
        "debian-reference/appendix.txt",
    }
    (of_a,), (of_b,) = data.qrels["a"], data.qrels["b"]
    assert "seven hours" in data.corpus[of_a].text and data.corpus[of_b].title.endswith("1.1.1. Knots")
    assert data.qrels["c"] == {} and data.answers["c"] == []
    assert documentation.versions(unpacked)["python3.11-doc"] == "3.11.2-6+deb12u9"

    asked[1] = (*asked[1][:4], "$ clove hitch")
    with pytest.raises(ValueError, match="no passage of debian-reference/ch01 holds the quote of b: '\\$ clove hitch'"):
        documentation.dataset(unpacked)


def test_a_package_that_is_missing_is_named(unpacked, tmp_path):
    (unpacked / "usr/share/debian-reference/debian-reference.en.txt.gz").unlink()
    with pytest.raises(FileNotFoundError, match="unpack the package debian-reference-en into"):
        documentation.pages(tmp_path)
