"""What holds for every retriever: it shows itself as the call that makes it again, and tells whether it is fitted."""

from inspect import signature

import pytest

from ragedu import (
    BM25Retriever,
    Corpus,
    DenseRetriever,
    ElasticsearchRetriever,
    HybridRetriever,
    SqliteRetriever,
    TfidfRetriever,
)
from ragedu.retrieval.base import Retriever, check_corpus, check_k, check_queries, check_query, corpus_of
from ragedu.retrieval.embeddings import Embedder
from ragedu.retrieval.two_hop import TwoHopRetriever
from ragedu.text import Analyzer

NAMES = {
    **{cls.__name__: cls for cls in (BM25Retriever, TfidfRetriever, DenseRetriever, HybridRetriever, SqliteRetriever)},
    **{cls.__name__: cls for cls in (ElasticsearchRetriever, TwoHopRetriever, Analyzer, Embedder)},
}
KOREAN = Analyzer(stop_words=["the", "of"], stemmer=None)

RETRIEVERS = [
    BM25Retriever(),
    BM25Retriever(k1=1.2, b=0.4, delta=1, variant="bm25+"),
    BM25Retriever(analyzer=KOREAN),
    TfidfRetriever(),
    TfidfRetriever(sublinear_tf=True, analyzer=Analyzer(stemmer="german")),
    SqliteRetriever(),
    SqliteRetriever(timeout=1.5, analyzer=KOREAN),
    DenseRetriever(),
    DenseRetriever("a/model", cache=False),
    HybridRetriever(),
    HybridRetriever([BM25Retriever(k1=0.9), TfidfRetriever()], method="weighted", weights=[0.7, 0.3], depth=50),
    HybridRetriever([BM25Retriever(), SqliteRetriever()], rrf_k=10),
    TwoHopRetriever(BM25Retriever()),
    TwoHopRetriever(HybridRetriever([BM25Retriever(b=0.3)]), width=2, titles=["Captain"]),
]


def settings(made):
    """All parameters of an object, and of the objects that it is made of."""
    if isinstance(made, Analyzer):
        return made.settings()
    if isinstance(made, list):
        return [settings(part) for part in made]
    if not type(made).__module__.startswith("ragedu"):
        return made
    return type(made), {name: settings(getattr(made, name)) for name in signature(type(made)).parameters}


@pytest.mark.parametrize("retriever", RETRIEVERS, ids=repr)
def test_the_repr_makes_the_retriever_again(retriever):
    assert settings(eval(repr(retriever), NAMES)) == settings(retriever)


def test_the_repr_of_a_retriever_on_a_server_makes_it_again(monkeypatch):
    pytest.importorskip("elasticsearch", reason="the client is not installed: pip install 'ragedu[elasticsearch]'")
    monkeypatch.delenv("ELASTICSEARCH_API_KEY", raising=False)
    for retriever in (
        ElasticsearchRetriever(),
        ElasticsearchRetriever("http://localhost:9201", "notes", rrf_k=10, depth=20, timeout=5.0, analyzer=KOREAN),
    ):
        assert settings(eval(repr(retriever), NAMES)) == settings(retriever)
    assert repr(ElasticsearchRetriever()) == "ElasticsearchRetriever()"


def test_the_repr_of_a_retriever_in_a_file_opens_it_again(tmp_path, harbour):
    retriever = SqliteRetriever(tmp_path / "town.db", analyzer=KOREAN).fit(harbour)
    again = eval(repr(retriever), NAMES)
    assert settings(again) == settings(retriever) and again.search("ferry") == retriever.search("ferry")


def test_the_repr_of_an_embedder_makes_it_again(embedder):
    assert repr(embedder) == "Embedder(cache=False)"
    assert settings(eval(repr(embedder), NAMES)) == settings(embedder)
    dense = DenseRetriever(question_encoder=embedder)
    assert repr(dense) == "DenseRetriever(question_encoder=Embedder(cache=False))"


def test_an_analyzer_of_ones_own_is_shown_by_its_name():
    def in_capitals(text):
        return text.upper().split()

    assert repr(BM25Retriever(analyzer=in_capitals)) == "BM25Retriever(analyzer=in_capitals)"
    assert repr(SqliteRetriever(analyzer=in_capitals)) == "SqliteRetriever(analyzer=in_capitals)"


@pytest.mark.parametrize("retriever", [r for r in RETRIEVERS if isinstance(r, Retriever)], ids=repr)
def test_a_retriever_has_a_corpus_once_it_is_fitted(retriever):
    assert not retriever.is_fitted and corpus_of(retriever) is None and not retriever.is_external
    for ask in (lambda: retriever.corpus, retriever.check_fitted):
        with pytest.raises(RuntimeError, match=rf"{type(retriever).__name__} has no corpus yet: call fit\(corpus\)"):
            ask()


@pytest.mark.parametrize("make", [BM25Retriever, SqliteRetriever, lambda: HybridRetriever([TfidfRetriever()])])
def test_a_fitted_retriever_knows_its_corpus(make, harbour):
    retriever = make()
    assert not retriever.is_fitted
    retriever.fit(harbour)
    assert retriever.is_fitted and retriever.corpus is harbour is corpus_of(retriever)
    two_hop = TwoHopRetriever(retriever)
    assert two_hop.is_fitted and two_hop.corpus is harbour and not TwoHopRetriever(make()).is_fitted


def test_the_corpus_of_a_retriever_of_ones_own():
    class Theirs:
        corpus = None

    assert corpus_of(Theirs()) is None and corpus_of(object()) is None


def test_documents_in_a_file_are_kept_elsewhere(tmp_path):
    assert SqliteRetriever(tmp_path / "town.db").is_external and not (tmp_path / "town.db").exists()


@pytest.mark.parametrize("make", [BM25Retriever, TfidfRetriever, SqliteRetriever])
def test_a_query_is_analysed_once(make, harbour):
    analyzer, analysed = Analyzer(), []

    def counting(text):
        analysed.append(text)
        return analyzer(text)

    retriever = make(analyzer=counting).fit(harbour)
    analysed.clear()
    for ask in (retriever.search, retriever.scores, lambda query: retriever.search_many([query, "bread"])):
        assert len(ask("the harbour wall"))
        assert analysed.count("the harbour wall") == 1
        analysed.clear()


def test_questions_asked_before_any_search(harbour):
    assert check_corpus(harbour) is harbour and check_query("ferry") == "ferry" and check_k(3) == 3
    assert check_queries(query for query in ["ferry", " "]) == ["ferry", " "]
    for check, wrong, error in [
        (check_corpus, ["ferry"], TypeError),
        (check_corpus, Corpus([]), ValueError),
        (check_query, " ", ValueError),
        (check_query, 17, TypeError),
        (check_queries, "ferry", TypeError),
        (check_k, True, ValueError),
    ]:
        with pytest.raises(error):
            check(wrong)
