"""Documents, corpora, datasets: what they promise and what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragedu import Corpus, Dataset, Document
from ragedu.corpus import check_text, shorten


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Document(7, "text"), TypeError, "a document's id must be a string, not int: 7"),
        (lambda: Document(None, "text"), TypeError, "id must be a string, not NoneType"),
        (lambda: Document("", "some text"), ValueError, "id that is not blank .its text: 'some text'"),
        (lambda: Document(" \t", "text"), ValueError, "id that is not blank"),
        (lambda: Document("a", None), TypeError, "the text of document 'a' must be a string, not NoneType"),
        (lambda: Document("a", b"text"), TypeError, "the text of document 'a' must be a string, not bytes"),
        (lambda: Document("a", "text", 5), TypeError, "the title of document 'a' must be a string, not int"),
        (lambda: Document("a", "ab\0c"), ValueError, "the text of document 'a' has a NUL character at position 2"),
        (lambda: Document("a", "x\udc80"), ValueError, "lone surrogate at position 1: .* read it again as UTF-8"),
        (
            lambda: Document("a", "x", metadata=None),
            TypeError,
            "metadata of document 'a' must be a dictionary, not None",
        ),
        (lambda: Document("a", "x", metadata=["y"]), TypeError, "must be a dictionary, not list"),
        (lambda: Document("\ud800", "x"), ValueError, "a document's id has a lone surrogate at position 0"),
        (lambda: Document("a", "x", "\0"), ValueError, "the title of document 'a' has a NUL"),
        (lambda: Corpus(["plain"]), TypeError, r"element 0 is a str, not a Document: use Corpus.from_texts"),
        (lambda: Corpus("plain"), TypeError, "element 0 is a str"),
        (lambda: Corpus([Document("a", ""), {"id": "b"}]), TypeError, "element 1 is a dict"),
        (
            lambda: Corpus([Document("a", "x"), Document("b", "y"), Document("a", "z")]),
            ValueError,
            r"two documents have the id 'a' \(positions 0 and 2\): ids must be unique",
        ),
        (lambda: Corpus.from_texts("one string"), TypeError, r"a list of strings, not one string: put it in \[ \]"),
        (lambda: Corpus.from_texts(["fine", 3]), TypeError, "the text of document '1' must be a string, not int"),
    ],
)
def test_bad_documents(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_corpus_is_a_sequence_that_knows_its_ids(harbour):
    assert len(harbour) == 8 and [d.id for d in harbour] == harbour.ids
    assert harbour["permit-17"] is harbour[2] and harbour[-1].id == "school"
    assert harbour.position("keeper") == 3
    assert "keeper" in harbour and "Keeper" not in harbour and harbour[3] in harbour
    assert Document("other", "text") not in harbour and 3 not in harbour
    assert harbour[2:4].ids == ["permit-17", "keeper"] and isinstance(harbour[2:4], Corpus)
    assert harbour[2:4].position("keeper") == 1
    with pytest.raises(KeyError, match="no document has the id 'lighthouse'"):
        harbour["lighthouse"]
    with pytest.raises(IndexError):
        harbour[8]
    assert repr(harbour) == "Corpus(8 documents)" and repr(Corpus([])) == "Corpus(0 documents)"


def test_texts_get_their_positions_as_ids():
    corpus = Corpus.from_texts(text for text in ["a", "", "한국어"])
    assert corpus.ids == ["0", "1", "2"] and corpus["2"].text == "한국어" and corpus["1"].text == ""


def test_content_is_title_and_text():
    assert Document("a", "text", "Title").content == "Title\ntext"
    assert Document("a", "text").content == "text"


def test_html_is_escaped_and_counts_what_it_leaves_out():
    html = Corpus.from_texts(["<script>alert(1)</script>"] * 7)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "and 2 more documents" in html
    assert "more documents" not in Corpus.from_texts(["a"])._repr_html_()


DOCUMENTS = Corpus([Document("a", "x"), Document("b", "y")])


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"queries": {"1": 5}}, TypeError, "query '1' must be a string, not int"),
        ({"queries": {"1": "a\0"}}, ValueError, "query '1' has a NUL"),
        ({"queries": {"1": "x"}, "qrels": {"2": {"a": 1}}}, ValueError, r"qrels of unknown queries: \['2'\]"),
        ({"queries": {"1": "x"}, "qrels": {"2": {}, 3: {}}}, ValueError, r"qrels of unknown queries: \['2', 3\]"),
        ({"queries": {"1": "x"}, "qrels": {"1": {"a": "1"}}}, TypeError, "'a' for query '1' must be a number, not '1'"),
        ({"queries": {"1": "x"}, "answers": {"2": ["y"]}}, ValueError, r"answers of unknown queries: \['2'\]"),
        ({"queries": {"1": "x"}, "metadata": {"2": {}}}, ValueError, r"metadata of unknown queries: \['2'\]"),
        (
            {"queries": {"1": "x"}, "qrels": {"1": {"a": 1, "z": 0}}},
            ValueError,
            "query '1' is judged against 'z', which is not in the corpus",
        ),
    ],
)
def test_bad_datasets(arguments, error, message):
    with pytest.raises(error, match=message):
        Dataset(DOCUMENTS, **arguments)


def test_select_keeps_what_belongs_to_the_chosen_queries():
    dataset = Dataset(
        DOCUMENTS,
        {"1": "one", "2": "two", "3": "three"},
        qrels={"1": {"a": 1}, "3": {"b": 2}},
        answers={"1": ["x"], "2": []},
        metadata={"1": {"kind": "lookup", "split": "test"}, "2": {"kind": "lookup"}, "3": {"kind": "other"}},
        name="town",
    )
    chosen = dataset.select(kind="lookup")
    assert chosen.queries == {"1": "one", "2": "two"} and chosen.qrels == {"1": {"a": 1}}
    assert chosen.answers == {"1": ["x"], "2": []} and chosen.corpus is DOCUMENTS and chosen.name == "town"
    assert list(dataset.select(kind="lookup", split="test").queries) == ["1"]
    assert dataset.select(kind=["lookup", "none such"]).queries == chosen.queries
    assert list(dataset.select(["3", "1"]).queries) == ["1", "3"]  # in the dataset's order
    assert dataset.select(["3"], kind="lookup").queries == {} == dataset.select(kind="none such").queries
    assert repr(dataset) == "Dataset(town: 2 documents, 3 queries)"
    with pytest.raises(KeyError, match=r"no such queries: \['9'\]"):
        dataset.select(["1", "9"])
    with pytest.raises(KeyError, match=r"no such queries: \['9', None\]"):
        dataset.select(["9", None])
    with pytest.raises(TypeError, match=r"a list of query ids, not one string: put '12' in \[ \]"):
        dataset.select("12")  # not "1" and "2"
    with pytest.raises(KeyError, match=r"no query has the metadata \['knd'\]; there are: \['kind', 'split'\]"):
        dataset.select(knd="lookup")
    assert dataset.select([]).select(split="test").queries == {}  # nothing was misspelt


@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_check_text_accepts_exactly_what_can_be_stored(text):
    try:
        storable = "\0" not in text and text.encode("utf-8") is not None
    except UnicodeEncodeError:
        storable = False
    if storable:
        assert check_text(text, "it") is text
    else:
        with pytest.raises(ValueError, match="^it has a (NUL|lone surrogate)"):
            check_text(text, "it")


@given(st.text(max_size=60), st.integers(1, 40))
def test_shorten_fits_on_a_line_and_shows_where_it_cut(text, width):
    short = shorten(text, width)
    assert len(short) <= width and "\n" not in short
    whole = " ".join(text.split())
    assert short == whole if len(whole) <= width else short.endswith("…") and whole.startswith(short[:-1])
