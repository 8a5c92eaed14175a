"""SqliteRetriever: BM25 by SQLite's FTS5, in memory and in files."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragedu import RAG, BM25Retriever, Corpus, Document, SqliteRetriever, evaluate
from ragedu.datasets import port_ellery
from ragedu.retrieval.engine import as_token
from ragedu.retrieval.sqlite import explained, fts5_score
from ragedu.text import Analyzer


@pytest.fixture(scope="module")
def town():
    return port_ellery.load(500)


@pytest.fixture
def fitted(harbour):
    return SqliteRetriever().fit(harbour)


def ids(hits):
    return [hit.document.id for hit in hits]


def test_by_hand():
    # "a" occurs in 1 of 4 documents of average length 2, twice in one of length 3.
    retriever = SqliteRetriever(analyzer=str.split).fit(Corpus.from_texts(["a a b", "b c", "c d", "d"]))
    (hit,) = retriever.search("a")
    idf = np.log((4 - 1 + 0.5) / (1 + 0.5))
    assert hit.score == pytest.approx(idf * 2.2 * 2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2)), rel=1e-12)
    assert fts5_score(2, 1, 3 / 2, 4) == pytest.approx(hit.score, rel=1e-12)


def test_scores_are_2_2_times_those_of_robertson(town):
    ours = BM25Retriever(k1=1.2, b=0.75, variant="robertson").fit(town.corpus)
    engine = SqliteRetriever().fit(town.corpus)
    queries = list(town.queries.values())
    for query, here, there in zip(queries, ours.search_many(queries, 20), engine.search_many(queries, 20), strict=True):
        np.testing.assert_allclose(engine.scores(query), 2.2 * ours.scores(query), rtol=1e-5, atol=1e-4)
        assert [hit.score for hit in there] == pytest.approx([2.2 * hit.score for hit in here], rel=1e-5)
        assert [hit.rank for hit in there] == list(range(1, len(there) + 1))


def test_a_term_in_more_than_half_of_the_documents_counts_a_millionth():
    corpus = Corpus.from_texts(["sea", "sea", "sea wall", "wall"])
    hits = SqliteRetriever(analyzer=str.split).fit(corpus).search("sea")
    assert ids(hits) == ["0", "1", "2"]
    assert 0 < hits[0].score < 3e-6
    assert not BM25Retriever(variant="robertson", analyzer=str.split).fit(corpus).search("sea")


def test_ties_stand_in_the_order_of_the_corpus():
    retriever = SqliteRetriever().fit(Corpus.from_texts(["wall", "ferry", "wall", "ferry", "ferry", "x", "y", "z"]))
    assert ids(retriever.search("ferry")) == ["1", "3", "4"]
    assert ids(retriever.search("ferry", k=2)) == ["1", "3"]


def test_explain_adds_up(town):
    retriever = SqliteRetriever().fit(town.corpus)
    for query in list(town.queries.values())[::15]:
        for hit in retriever.search(query + " " + query.split()[-1], 3):
            explanation = retriever.explain(query + " " + query.split()[-1], hit.document.id)
            assert explanation.score == pytest.approx(hit.score, rel=1e-10)
            assert sum(explanation.contributions.values()) == explanation.score
    assert retriever.explain("zeppelin", town.corpus[0].id).contributions == {}
    with pytest.raises(KeyError, match="no document has the id 'nobody'"):
        retriever.explain("ferry", "nobody")


# Terms and tokens.

WORDS = ['"', "NEAR(a b)", "terms:ferry", "ferry*", "a OR b", "^a", "Ferry", "FERRY", "책을", "ünï", "c++", "%", "%25"]


def test_a_term_is_one_token_whatever_signs_it_has():
    corpus = Corpus.from_texts(WORDS)
    retriever = SqliteRetriever(analyzer=lambda text: [text]).fit(corpus)
    for position, word in enumerate(WORDS):
        assert ids(retriever.search(word)) == [str(position)]
        assert retriever.explain(word, str(position)).score == pytest.approx(retriever.search(word)[0].score)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), unique=True, min_size=1))
def test_different_terms_are_different_tokens(terms):
    tokens = list(map(as_token, terms))
    assert len(set(tokens)) == len(terms)
    retriever = SqliteRetriever(analyzer=lambda text: [terms[int(text)]])
    retriever.fit(Corpus.from_texts([str(number) for number in range(len(terms))]))
    for number in range(len(terms)):
        assert ids(retriever.search(str(number))) == [str(number)]
        assert not set(tokens[number]) & set(" \"'()*:^ABC\n\0")


def test_a_query_is_never_syntax(fitted, harbour):
    plain = fitted.search("harbour wall")
    queries = (
        'harbour" AND "wall',
        "harbour NOT wall",
        "{terms}: harbour wall",
        "-harbour + wall",
        "harbour* wall' --",
    )
    for query in queries:
        assert set(ids(plain)) <= set(ids(fitted.search(query)))
    assert ids(fitted.search('"harbour wall"')) == ids(plain)
    assert ids(fitted.search("harbour NEAR wall")) == ids(plain)


def test_a_query_of_thousands_of_words(fitted):
    assert ids(fitted.search(" ".join(f"w{n}" for n in range(5000)) + " ferry", 3))[0] in ("ferry", "storm")


def test_korean():
    retriever = SqliteRetriever().fit(Corpus.from_texts(["서울은 한국의 수도이다.", "부산은 항구 도시이다.", "ferry"]))
    assert ids(retriever.search("서울에서")) == ["0"]


# As every retriever.


def test_in_rag_and_evaluate(town):
    retriever = SqliteRetriever()
    here = evaluate(retriever, town, progress=False)
    there = evaluate(BM25Retriever(k1=1.2, variant="robertson"), town, progress=False)
    assert dict(here) == pytest.approx(dict(there), abs=0.003) and here["ndcg@10"] > 0.5
    answer = RAG(retriever, lambda prompt: "said", k=2).ask(next(iter(town.queries.values())))
    assert answer.text == "said" and len(answer.sources) == 2


def test_bad_calls(harbour, fitted):
    with pytest.raises(RuntimeError, match="SqliteRetriever has no corpus yet"):
        SqliteRetriever().search("ferry")
    with pytest.raises(ValueError, match="is blank"):
        fitted.search(" ")
    with pytest.raises(ValueError, match="only stop words"):
        fitted.search("who is the")
    with pytest.raises(ValueError, match="k must be a whole number"):
        fitted.search("ferry", 0)
    with pytest.raises(ValueError, match="the corpus is empty"):
        fitted.fit(Corpus([]))
    with pytest.raises(TypeError, match="analyzer must be a function"):
        SqliteRetriever(analyzer="english")
    assert fitted.search_many([" ", "who is the", "zeppelin"]) == [[], [], []]
    assert len(fitted.search("ferry quay", 100)) == 3


def test_a_fit_that_fails_leaves_the_old_index(fitted, harbour):
    with pytest.raises(ValueError, match="stop words only"):
        fitted.fit(Corpus.from_texts(["the", "and"]))
    with pytest.raises(TypeError, match="the metadata of document 'b' cannot be stored as JSON"):
        fitted.fit(Corpus([Document("a", "x"), Document("b", "x", metadata={"when": {1, 2}})]))

    def interrupted(text):
        raise KeyboardInterrupt

    fitted.analyzer, analyzer = interrupted, fitted.analyzer
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(harbour)
    fitted.analyzer = analyzer
    assert ids(fitted.search("lighthouse")) == ["keeper"] and fitted.corpus is harbour


def test_threads_take_turns(fitted):
    expected = fitted.search_many(["ferry quay", "harbour wall", "bread"])
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: fitted.search_many(["ferry quay", "harbour wall", "bread"]), range(80)):
            assert found == expected


# Files.


def test_a_file_is_ready_when_it_is_opened_again(tmp_path, harbour):
    corpus = Corpus([*harbour, Document("x", "An x.", "X", metadata={"year": 1887, "tags": ["a", "책"]})])
    first = SqliteRetriever(tmp_path / "town.db", analyzer=Analyzer(stop_words=[], stemmer=None)).fit(corpus)
    again = SqliteRetriever(tmp_path / "town.db")
    assert list(again.corpus) == list(corpus)
    assert again.search("the harbours wall") == first.search("the harbours wall")
    assert again.analyzer.settings() == first.analyzer.settings()
    assert (
        SqliteRetriever(tmp_path / "town.db", analyzer=Analyzer()).is_fitted is False
    )  # another analyzer, another index
    assert SqliteRetriever(tmp_path / "town.db", analyzer=str.split).is_fitted is False


def test_a_file_that_is_not_there_is_made_by_fit_alone(tmp_path, harbour):
    path = tmp_path / "twon.db"
    retriever = SqliteRetriever(path)
    for call in (
        lambda: retriever.search("ferry"),
        lambda: retriever.scores("ferry"),
        lambda: retriever.explain("ferry", "ferry"),
        lambda: retriever.save(tmp_path / "index"),
    ):
        with pytest.raises(
            FileNotFoundError, match=r"there is no database file .*twon\.db: check its name, or call fit"
        ):
            call()
    retriever.close()
    assert not list(tmp_path.iterdir())
    assert retriever.fit(harbour).search("lighthouse") == SqliteRetriever(path).search("lighthouse")


def test_other_tables_of_the_file_stay(tmp_path, harbour):
    database = sqlite3.connect(tmp_path / "town.db")
    database.executescript("CREATE TABLE pages (id, text); INSERT INTO pages VALUES ('a', 'Ferry.')")
    SqliteRetriever(tmp_path / "town.db").fit(harbour).fit(harbour)
    assert database.execute("SELECT * FROM pages").fetchall() == [("a", "Ferry.")]
    (n,) = database.execute("SELECT count(*) FROM ragedu_terms WHERE ragedu_terms MATCH 'ferri'").fetchone()
    assert n == 2  # any SQLite can search it
    database.close()


def test_an_index_that_was_replaced_meanwhile(tmp_path, harbour):
    reader = SqliteRetriever(tmp_path / "town.db").fit(harbour)
    SqliteRetriever(tmp_path / "town.db").fit(Corpus.from_texts(["ferry", "wall"]))
    with pytest.raises(RuntimeError, match="has been fitted again since it was opened here: open it again"):
        reader.search("ferry")
    with pytest.raises(RuntimeError, match="fitted again"):
        reader.explain("ferry", "ferry")
    assert ids(SqliteRetriever(tmp_path / "town.db").search("ferry")) == ["0"]


def test_a_locked_file(tmp_path, harbour):
    retriever = SqliteRetriever(tmp_path / "town.db", timeout=0.1).fit(harbour)
    other = sqlite3.connect(tmp_path / "town.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for call in (lambda: retriever.fit(harbour), lambda: retriever.search("ferry")):
        with pytest.raises(TimeoutError, match=r"town\.db is locked by another program: wait until"):
            call()
    with pytest.raises(TimeoutError, match="locked"):
        SqliteRetriever(tmp_path / "town.db", timeout=0.1)
    other.execute("ROLLBACK")
    assert ids(retriever.fit(harbour).search("lighthouse")) == ["keeper"]
    other.close()


def test_files_that_cannot_be_used(tmp_path, harbour):
    (tmp_path / "letter.db").write_text("no database at all, but long enough to be asked what it is" * 20)
    with pytest.raises(ValueError, match=r"letter\.db is not an SQLite database, or a damaged one"):
        SqliteRetriever(tmp_path / "letter.db")
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere for the database"):
        SqliteRetriever(tmp_path / "nowhere" / "town.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder cannot be used"):
        SqliteRetriever(tmp_path / "folder")
    SqliteRetriever(tmp_path / "town.db").fit(harbour).close()
    with sqlite3.connect(tmp_path / "town.db") as database:
        database.execute("UPDATE ragedu_settings SET value = '\"ragedu-sqlite-0\"' WHERE name = 'format'")
    database.close()
    with pytest.raises(ValueError, match="is not in the format ragedu-sqlite-1"):
        SqliteRetriever(tmp_path / "town.db")


def test_a_sqlite_without_fts5_is_told():
    # SQLite's own message; whether a module is there is fixed when it is compiled.
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE x USING fts6 (y)")
    error = sqlite3.OperationalError(str(caught.value).replace("fts6", "fts5"))
    assert "was built without FTS5: use BM25Retriever" in str(explained(error, "x"))


@pytest.mark.parametrize("path", [":memory:", "town.db", "wal.db"])
def test_save_and_load(tmp_path, harbour, path):
    if path == "wal.db":  # as most programs set it for a file that several read
        with sqlite3.connect(tmp_path / path) as database:
            assert database.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        database.close()
    path = path if path == ":memory:" else tmp_path / path
    retriever = SqliteRetriever(path, analyzer=Analyzer(stemmer=None)).fit(harbour)
    retriever.save(tmp_path / "index")
    loaded = SqliteRetriever.load(tmp_path / "index")
    assert list(loaded.corpus) == list(harbour) and loaded.analyzer.stemmer is None
    assert loaded.search("ferry quay boats") == retriever.search("ferry quay boats")
    assert loaded.fit(Corpus.from_texts(["ferry", "x", "y"])).search("ferry")[0].document.id == "0"
    assert ids(retriever.search("lighthouse")) == ["keeper"]


def test_a_damaged_index_is_not_read(tmp_path, fitted):
    with pytest.raises(ValueError, match="analyzer of your own cannot be saved"):
        SqliteRetriever(analyzer=str.split).fit(fitted.corpus).save(tmp_path / "index")
    fitted.save(tmp_path / "index")
    (file,) = (tmp_path / "index").glob("database-*.npy")
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        SqliteRetriever.load(tmp_path / "index")
    file.write_bytes(content[:3000])
    with pytest.raises(ValueError, match="truncated"):
        SqliteRetriever.load(tmp_path / "index")
