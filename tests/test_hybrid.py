"""Fusion by document: worked by hand, and on retrievers that disagree about which documents there are to rank."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragedu import (
    BM25Retriever,
    Corpus,
    Dataset,
    DenseRetriever,
    Document,
    HybridRetriever,
    SqliteRetriever,
    TfidfRetriever,
    TwoHopRetriever,
    evaluate,
)
from ragedu.retrieval.base import Explanation, Hit, Hits, Retriever, check_k
from ragedu.retrieval.hybrid import rank_fusion, score_fusion

CORPUS = Corpus(Document(id, f"text of {id}") for id in "abcdef")


class Fixed(Retriever):
    """Answers every query with the same documents and scores, in the order given."""

    def __init__(self, **scores):
        self.given = scores

    def fit(self, corpus):
        self.corpus = corpus
        return self

    def search_many(self, queries, k=10):
        best = list(self.given.items())[: check_k(k)]
        return [
            Hits(Hit(self.corpus[id], score, rank) for rank, (id, score) in enumerate(best, start=1)) for _ in queries
        ]

    def scores(self, query):
        return np.array([self.given.get(document.id, 0.0) for document in self.corpus])

    def explain(self, query, document_id):
        return Explanation(self.given.get(document_id, 0.0), {})

    def save(self, folder):
        raise NotImplementedError

    @classmethod
    def load(cls, folder):
        raise NotImplementedError


def found(retriever, k=10):
    return {hit.document.id: hit.score for hit in retriever.search("anything", k)}


def test_reciprocal_ranks_by_hand():
    # Only b is found by both; their orders and their documents differ.
    hybrid = HybridRetriever([Fixed(a=9, b=8, c=1), Fixed(d=0.9, b=0.8)], weights=[1, 1]).fit(CORPUS)
    expected = {
        "b": 1 / 62 + 1 / 62,  # .032258
        "a": 1 / 61,  # .016393
        "d": 1 / 61,  # as a, and after it in the corpus
        "c": 1 / 63,  # .015873
    }
    assert found(hybrid) == pytest.approx(expected) and list(found(hybrid)) == ["b", "a", "d", "c"]
    # Equal weights sum to 1 by default: the same order, half the scores.
    halved = HybridRetriever([Fixed(a=9, b=8, c=1), Fixed(d=0.9, b=0.8)]).fit(CORPUS)
    assert found(halved) == pytest.approx({id: score / 2 for id, score in expected.items()})


def test_weights_and_the_constant():
    retrievers = [Fixed(a=9, b=8), Fixed(b=0.9, a=0.8)]
    hybrid = HybridRetriever(retrievers, weights=[0.2, 0.8], rrf_k=1).fit(CORPUS)
    assert found(hybrid) == pytest.approx({"b": 0.2 / 3 + 0.8 / 2, "a": 0.2 / 2 + 0.8 / 3})
    assert list(found(hybrid)) == ["b", "a"]


def test_weighted_scores_by_hand():
    # BM25-like 12, 7, 2 become 1, .5, 0; cosines .8, .6, .3 become 1, .6, 0.
    hybrid = HybridRetriever(
        [Fixed(a=12, b=7, c=2), Fixed(d=0.8, b=0.6, a=0.3)], method="weighted", weights=[0.5, 0.5]
    ).fit(CORPUS)
    expected = {"b": 0.25 + 0.3, "a": 0.5 + 0, "d": 0.5, "c": 0.0}
    assert found(hybrid) == pytest.approx(expected) and list(found(hybrid)) == ["b", "a", "d", "c"]
    # Of a single document, or of equal scores, there is no lowest: each counts in full.
    alone = HybridRetriever([Fixed(a=5), Fixed(b=2, c=2)], method="weighted", weights=[1, 1]).fit(CORPUS)
    assert found(alone) == {"a": 1.0, "b": 1.0, "c": 1.0}


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), unique=True), min_size=1, max_size=4),
    st.integers(1, 100),
)
def test_rank_fusion_does_not_know_the_order_of_the_corpus(rankings, k):
    weights = [1 + number / 2 for number in range(len(rankings))]
    given_ = rank_fusion(rankings, weights, k=k)
    for document in "abcdef":
        expected = sum(
            w / (k + ranking.index(document) + 1)
            for ranking, w in zip(rankings, weights, strict=True)
            if document in ranking
        )
        assert sum(each.get(document, 0) for each in given_) == pytest.approx(expected)
    hybrid = HybridRetriever(
        [Fixed(**{id: -rank for rank, id in enumerate(ranking)}) for ranking in rankings], weights=weights, rrf_k=k
    )
    for corpus in (CORPUS, Corpus(reversed(CORPUS))):  # positions differ, the documents' scores must not
        assert found(hybrid.fit(corpus)) == pytest.approx(
            {id: sum(each.get(id, 0) for each in given_) for ranking in rankings for id in ranking}
        )


@pytest.mark.parametrize("rankings", list(permutations(["abc", "bca", "cab"])))
def test_the_same_ranks_in_another_order_are_a_tie(rankings):
    parts = [Fixed(**{id: -rank for rank, id in enumerate(ranking)}) for ranking in rankings]
    hits = HybridRetriever(parts).fit(CORPUS).search("anything")
    assert [hit.document.id for hit in hits] == ["a", "b", "c"] and len({hit.score for hit in hits}) == 1


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(-5, 50), min_size=2))
def test_scaled_scores_lie_in_0_to_1_and_keep_the_order(scores):
    (scaled,) = score_fusion([scores], [1])
    assert all(0 <= value <= 1 for value in scaled.values())
    by_score = sorted(scores, key=scores.get)
    assert all(scaled[low] <= scaled[high] for low, high in zip(by_score, by_score[1:], strict=False))


def test_one_retriever_finds_nothing():
    for method in ("rrf", "weighted"):
        hybrid = HybridRetriever([Fixed(), Fixed(b=2, a=1)], method=method).fit(CORPUS)
        assert list(found(hybrid)) == ["b", "a"]
        assert found(HybridRetriever([Fixed(), Fixed()], method=method).fit(CORPUS)) == {}
    with_words = HybridRetriever([BM25Retriever(), TfidfRetriever()]).fit(CORPUS)
    assert with_words.search("zeppelin") == [] and with_words.search_many(["", "the"]) == [[], []]


@pytest.mark.parametrize("method", ["rrf", "weighted"])
@pytest.mark.parametrize("depth", [2, 4, 1000])
def test_search_is_sorting_the_scores_whatever_k_and_depth(harbour, method, depth):
    hybrid = HybridRetriever(
        [BM25Retriever(), TfidfRetriever(sublinear_tf=True)], method=method, weights=[0.6, 0.4], depth=depth
    )
    hybrid.fit(harbour)
    for query in ("harbour wall on the east quay", "ferry boats", "lamp"):
        everything = hybrid.search(query, 1000)
        scores = hybrid.scores(query)
        for k in (1, 2, 3, 8):
            assert hybrid.search(query, k) == everything[:k]
        assert [hit.score for hit in everything] == sorted((hit.score for hit in everything), reverse=True)
        assert {hit.document.id: hit.score for hit in everything if hit.score} == {
            document.id: score for document, score in zip(harbour, scores, strict=True) if score
        }
        assert hybrid.search_many([query, "bread"], 5)[0] == everything[:5]
        for hit in everything:
            explanation = hybrid.explain(query, hit.document.id)
            assert sum(explanation.contributions.values()) == pytest.approx(hit.score) == explanation.score


def test_explanations_name_the_ranks(harbour):
    hybrid = HybridRetriever([BM25Retriever(), TfidfRetriever()]).fit(harbour)
    assert list(hybrid.explain("lighthouse", "keeper").contributions) == [
        "1. BM25Retriever, rank 1",
        "2. TfidfRetriever, rank 1",
    ]
    assert list(hybrid.explain("lighthouse", "wall").contributions.values()) == [0, 0]


def test_two_parts_of_one_class_are_both_explained(harbour):
    hybrid = HybridRetriever([BM25Retriever(k1=0.9), BM25Retriever(k1=2)]).fit(harbour)
    hit = hybrid.search("lighthouse")[0]
    assert hybrid.explain("lighthouse", hit.document.id).score == pytest.approx(hit.score)


def test_an_interrupted_fit_leaves_no_index(monkeypatch):
    bm25, other = BM25Retriever(), TfidfRetriever()
    hybrid = HybridRetriever([bm25, other]).fit(Corpus.from_texts(["old ferry", "old bread"]))
    new = Corpus.from_texts(["new lamp", "new wall", "new ferry"])

    def interrupted(corpus):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(other, "fit", interrupted)
        hybrid.fit(new)
    for ask in (hybrid.search, hybrid.scores, lambda query: hybrid.explain(query, "0")):
        with pytest.raises(RuntimeError, match=r"call fit\(corpus\)"):
            ask("lamp")
    assert hybrid.fit(new).search("lamp", 1)[0].document.text == "new lamp"


def test_a_part_that_was_fitted_to_something_else_is_noticed(tmp_path):
    bm25 = BM25Retriever()
    hybrid = HybridRetriever([bm25, TfidfRetriever()]).fit(CORPUS)
    bm25.fit(Corpus.from_texts(["new lamp"]))
    for ask in (hybrid.search, hybrid.scores, lambda _: hybrid.save(tmp_path)):
        with pytest.raises(RuntimeError, match="a part of this hybrid has been fitted to another corpus since: call"):
            ask("lamp")
    assert hybrid.fit(CORPUS).search("text", 1)[0].document.id == "a"


def test_the_parts_of_a_loaded_hybrid_share_its_corpus(tmp_path):
    HybridRetriever([BM25Retriever(), TfidfRetriever()]).fit(CORPUS).save(tmp_path)
    hybrid = HybridRetriever.load(tmp_path)
    assert all(part.corpus is hybrid.corpus for part in hybrid.retrievers)


def test_bm25_and_dense_help_each_other(harbour, make_dense):
    bm25, dense = BM25Retriever(), make_dense()
    hybrid = HybridRetriever([bm25, dense]).fit(harbour)
    query = "a watchman for the beacon"  # no word of the passage
    assert bm25.search(query) == [] and hybrid.search(query, 1)[0].document.id == "keeper"
    assert hybrid.search("Permit 17", 1)[0].document.id == "permit-17"
    assert len(hybrid.search("the of and", 3)) == 3  # nothing but stop words: dense alone


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: HybridRetriever([]), ValueError, "a hybrid needs at least one retriever"),
        (lambda: HybridRetriever([Fixed()], weights=[1, 2]), ValueError, "1 retrievers need as many weights, not 2"),
        (
            lambda: HybridRetriever([Fixed()], method="borda"),
            ValueError,
            'no fusion method .borda.; there are "rrf" and "weigh',
        ),
        (lambda: HybridRetriever([Fixed()], weights=[float("nan")]), ValueError, r"weights must be .* not \[nan\]"),
        (lambda: HybridRetriever([Fixed()], weights=["a"]), ValueError, "weights must be finite numbers, at least 0"),
        (lambda: HybridRetriever([Fixed()], weights=[-1]), ValueError, "weights must be finite numbers, at least 0"),
        (lambda: HybridRetriever([Fixed()], rrf_k=float("nan")), ValueError, "rrf_k must be a finite number, .* nan"),
        (lambda: HybridRetriever([Fixed()], rrf_k=-1), ValueError, "rrf_k must be a finite number, at least 0, not -1"),
        (lambda: HybridRetriever([Fixed()], depth=2.5), ValueError, "depth must be a whole number of .* not 2.5"),
        (lambda: HybridRetriever([Fixed()], depth=0), ValueError, "depth must be a whole number of .* not 0"),
        (lambda: HybridRetriever([Fixed()]).fit(CORPUS).explain(" ", "a"), ValueError, "the query ' ' is blank"),
        (lambda: HybridRetriever([Fixed()]).fit(Corpus([])), ValueError, "the corpus is empty"),
        (lambda: HybridRetriever([Fixed()]).fit(["a"]), TypeError, "fit takes a Corpus, not list"),
        (lambda: HybridRetriever([Fixed()]).search("x"), RuntimeError, "HybridRetriever has no corpus yet: call fit"),
        (lambda: HybridRetriever([Fixed()]).scores("x"), RuntimeError, "HybridRetriever has no corpus yet"),
        (lambda: HybridRetriever([Fixed()]).explain("x", "a"), RuntimeError, "HybridRetriever has no corpus yet"),
        (lambda: HybridRetriever([Fixed()]).save("x"), RuntimeError, "HybridRetriever has no corpus yet"),
        (lambda: HybridRetriever([Fixed()]).fit(CORPUS).search(" "), ValueError, "the query ' ' is blank"),
        (lambda: HybridRetriever([Fixed()]).fit(CORPUS).search("x", 0), ValueError, "k must be a whole number"),
        (lambda: HybridRetriever([Fixed()]).fit(CORPUS).search_many("x"), TypeError, "not one string"),
        (lambda: HybridRetriever([Fixed()]).fit(CORPUS).explain("x", "z"), KeyError, "no document has the id 'z'"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.model
@pytest.mark.slow  # encodes 5,183 abstracts
def test_scifact_dense_and_hybrid(scifact):
    score = lambda retriever: evaluate(retriever, scifact, metrics=["ndcg@10", "recall@100"], progress=False)
    bm25, dense = BM25Retriever(), DenseRetriever()
    of_bm25, of_dense = score(bm25), score(dense)
    # Published for all-MiniLM-L6-v2: .6451 (.925).
    assert of_dense["ndcg@10"] == pytest.approx(0.645, abs=0.003)
    assert of_dense["recall@100"] == pytest.approx(0.925, abs=0.003)
    for method, expected in (("rrf", 0.718), ("weighted", 0.727)):
        fused = score(HybridRetriever([bm25, dense], method=method))
        assert fused["ndcg@10"] > max(of_bm25["ndcg@10"], of_dense["ndcg@10"])
        assert fused["ndcg@10"] == pytest.approx(expected, abs=0.005)


def test_documents_of_a_part_that_lie_elsewhere_are_not_replaced(harbour, tmp_path):
    """A hybrid or a two-hop retriever over a database file is fitted again by its owner only."""
    kept = SqliteRetriever(tmp_path / "town.db").fit(harbour)
    other = Dataset(Corpus([Document("x", "a ferry")]), {"q": "ferry"}, {"q": {"x": 1}})
    for retriever in (HybridRetriever([kept, BM25Retriever().fit(harbour)]), TwoHopRetriever(kept)):
        assert retriever.is_external
        with pytest.raises(ValueError, match="holds another corpus, of 8 documents, which fitting it"):
            evaluate(retriever, other, progress=False)
    assert len(kept.corpus) == len(harbour) and kept.search("keeper of the lighthouse")
    assert not HybridRetriever([SqliteRetriever(), BM25Retriever()]).is_external
