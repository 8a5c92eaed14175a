"""Full-text search by PostgreSQL itself, beside BM25: the same documents are found, but they are ranked without idf.

ragedu has no retriever for it. `ts_rank` and `ts_rank_cd` know nothing of the corpus, so there is no score that
`explain` could take apart; a corpus in PostgreSQL is read by `read_corpus` and searched by any other retriever.
"""

import pytest

from ragedu import BM25Retriever, read_corpus
from ragedu.datasets import port_ellery
from ragedu.text import Analyzer

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'ragedu[sql]'")

from test_sql import postgres  # noqa: E402, F401 (a server of this file's own; skipped where none is installed)

ALL_WORDS = "websearch_to_tsquery('english', :question)"
ANY_WORD = f"replace({ALL_WORDS}::text, ' & ', ' | ')::tsquery"
K = 10


@pytest.fixture(scope="module")
def town():
    return port_ellery.load(400, questions=60)


@pytest.fixture(scope="module")
def bm25(town):
    return BM25Retriever().fit(town.corpus)


@pytest.fixture(scope="module")
def database(postgres, town):  # noqa: F811
    engine = sqlalchemy.create_engine(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE pages (place int PRIMARY KEY, id text UNIQUE, title text, body text, "
            "words tsvector GENERATED ALWAYS AS (to_tsvector('english', title || ' ' || body)) STORED)"
        )
        connection.exec_driver_sql("CREATE INDEX pages_words ON pages USING gin (words)")
        rows = [{"p": place, "i": d.id, "t": d.title, "b": d.text} for place, d in enumerate(town.corpus)]
        connection.execute(sqlalchemy.text("INSERT INTO pages VALUES (:p, :i, :t, :b)"), rows)
    yield engine
    engine.dispose()


@pytest.fixture
def search(database):
    """Ids of the pages that a question finds, best first."""

    def search(question, asked=ANY_WORD, rank="ts_rank_cd", k=None):
        statement = sqlalchemy.text(
            f"SELECT id FROM pages, (SELECT {asked} AS asked) AS q WHERE words @@ asked "
            f"ORDER BY {rank}(words, asked) DESC, place LIMIT :k"
        )
        with database.connect() as connection:
            return connection.execute(statement, {"question": question, "k": k}).scalars().all()

    return search


def mrr(rankings, dataset):
    """Mean over the questions of 1 / the rank of the first right page, 0 where there is none."""
    first = (
        next((rank for rank, id in enumerate(ids, start=1) if id in dataset.qrels[query]), 0)
        for query, ids in rankings.items()
    )
    return sum(1 / rank if rank else 0 for rank in first) / len(rankings)


def test_the_table_as_a_corpus(database, town, bm25):
    url = database.url
    corpus = read_corpus(url, table="pages", text="body")
    assert [(d.id, d.title, d.text) for d in corpus] == [(d.id, d.title, d.text) for d in town.corpus]
    assert corpus[7].metadata["place"] == 7
    # The same ranking as from the corpus that never was in a database.
    again = BM25Retriever().fit(corpus)
    for question in list(town.queries.values())[:50]:
        assert [(h.document.id, h.score) for h in again.search(question)] == [
            (h.document.id, h.score) for h in bm25.search(question)
        ]
    # A full-text search as the corpus: only what it finds, in its order.
    query = "SELECT id, title, body AS text FROM pages WHERE words @@ to_tsquery('english', 'harbour') ORDER BY place"
    found = read_corpus(url, query=query).ids
    assert found == [d.id for d in town.corpus if "harbour" in Analyzer()(d.content)] and len(found) > 10


def test_nearly_the_same_terms(database, town):
    analyzer = Analyzer()
    words = sorted({word for document in town.corpus for word in analyzer.words(document.content)})
    statement = sqlalchemy.text("SELECT w, ts_lexize('english_stem', w) FROM unnest(CAST(:words AS text[])) AS w")
    with database.connect() as connection:
        theirs = dict(connection.execute(statement, {"words": words}).all())
    other = [word for word in words if theirs[word] != analyzer.terms_of_word(word)]
    # Both stem by Snowball, in another version ("evening" to "even"), and the stop lists are not quite the same.
    assert len(words) > 2000 and len(other) < 0.01 * len(words)


def test_the_same_pages_are_found(town, bm25, search):
    """Any word of the question: the pages with a BM25 score above 0. All words: those that have every term."""
    terms = [set(bm25.analyzer(document.content)) for document in town.corpus]
    lookup = town.select(kind="lookup").queries.values()
    same, empty = 0, 0
    for question in lookup:
        asked = set(bm25.analyzer(question))
        every = {document.id for document, there in zip(town.corpus, terms, strict=True) if asked <= there}
        some = {hit.document.id for hit in bm25.search(question, k=len(town.corpus))}
        same += set(search(question, ALL_WORDS)) == every and set(search(question)) == some
        empty += not every
    assert same >= 0.9 * len(lookup)
    # Why a question in plain language cannot be asked as a web search is: most pages lack one of its words.
    assert empty > 0.5 * len(lookup)


def test_ranked_without_idf(town, bm25, search):
    for kind, rank, least, most in (
        # Names are rare and stand together: the cover density sees that.
        ("lookup", "ts_rank_cd", -0.2, 0.05),
        # A number among frequent words: a rare match counts no more than a frequent one.
        ("identifier", "ts_rank_cd", -0.7, -0.25),
        ("identifier", "ts_rank", -0.2, 0.05),
    ):
        asked = town.select(kind=kind)
        ours = {id: [hit.document.id for hit in bm25.search(text, K)] for id, text in asked.queries.items()}
        theirs = {id: search(text, rank=rank, k=K) for id, text in asked.queries.items()}
        assert least < mrr(theirs, asked) - mrr(ours, asked) < most, (kind, rank)
        if kind == "lookup":
            assert sum(ours[id][:1] == theirs[id][:1] for id in ours) > 0.6 * len(ours)
            assert all(set(theirs[id]) & set(asked.qrels[id]) for id in ours)


@pytest.mark.parametrize(
    "typed, words",
    [
        ("harbour & (", "harbour"),
        ("harbour:* | !ferry <-> \\", "harbour ferry"),
        ("'harbour", "harbour"),
        ("'; DROP TABLE pages; --", "drop table pages"),
        ("c++", "c"),
    ],
)
def test_what_people_type_is_data(database, search, typed, words):
    assert search(typed) == search(words) and search(typed, ALL_WORDS) == search(words, ALL_WORDS)
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pages").scalar() == 400


def test_the_other_query_language_is_a_program(search):
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="in tsquery"):
        search("harbour & (", "to_tsquery('english', :question)")
    for blank in ("-", '"', "the of", ""):
        assert search(blank) == []
