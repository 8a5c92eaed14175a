"""The inverted index against plain matrix arithmetic, on corpora large enough for pruning to happen."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from ragedu.retrieval.inverted_index import InvertedIndex, top_k

N, TERMS = 2000, 150


def make_weights(kind: str, seed: int = 0) -> np.ndarray:
    """Skewed as words are: the first terms stand in nearly all documents, the last in one or two."""
    dice = np.random.default_rng(seed)
    share = np.minimum(0.95, 3 / np.arange(1, TERMS + 1) ** 1.4)
    there = dice.random((N, TERMS)) < share
    there[: N // 10] = there[0]  # the same document many times over
    there[N - 100 :] = False  # and some without any term
    if kind == "ties":
        weights = there * dice.integers(1, 3, TERMS)  # one weight a term: nearly everything ties
    elif kind == "zeros":
        weights = there * (np.arange(TERMS) % 3)  # terms that weigh nothing, as Robertson's floored idf makes them
    elif kind == "spiky":
        weights = there * dice.pareto(1.2, (N, TERMS))  # one document may outweigh all others
    else:
        weights = there * dice.random((N, TERMS)) * (1 + np.arange(TERMS) / 30)  # rare terms weigh more
    return weights.astype(np.float32)


def index_of(weights: np.ndarray) -> InvertedIndex:
    sparse = csr_array(weights)
    return InvertedIndex.from_weights(sparse)


def queries(count: int, seed: int):
    dice = np.random.default_rng(seed)
    for _ in range(count):
        terms = dice.choice(
            TERMS,
            size=dice.integers(1, 12),
            replace=False,
            p=1 / np.arange(1, TERMS + 1) / np.sum(1 / np.arange(1, TERMS + 1)),
        )
        factors = dice.choice([1, 1, 2, 0.37], len(terms))
        yield dict(zip(terms.tolist(), factors.tolist(), strict=True))
    yield {0: 1}  # one term that nearly all have
    yield {TERMS - 1: 1}  # one that hardly any has
    yield {0: 1, TERMS - 1: 1}
    yield dict.fromkeys(range(TERMS), 1)
    yield {}


@pytest.mark.parametrize("kind", ["random", "ties", "zeros", "spiky"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_top_k_is_sorting_the_scores(kind, dtype):
    weights = make_weights(kind).astype(dtype)
    index = index_of(weights)
    array = index.zeros()  # the same for all queries, so what one leaves in it would spoil the next
    for query in queries(40, seed=1):
        vector = np.zeros(TERMS, dtype)
        vector[list(query)] = list(query.values())
        scores = index.scores(query)
        assert scores.dtype == dtype
        np.testing.assert_allclose(scores, weights @ vector, rtol=1e-4, atol=1e-6)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > 0]
        for k in (1, 2, 10, 60, 100, 1000, N, 3 * N):
            again = index.scores(query, into=array)
            np.testing.assert_array_equal(again, scores)
            np.testing.assert_array_equal(top_k(again, k), order[:k])


@pytest.mark.parametrize("n_documents", [1, 2, 15, 31, 33, 64, 257])
def test_small_corpora(n_documents):
    weights = make_weights("ties")[-100 - n_documents : -100]
    index = index_of(weights)
    for query in queries(10, seed=2):
        scores = index.scores(query)
        order = [p for p in np.argsort(-scores, kind="stable") if scores[p] > 0]
        for k in (1, 3, n_documents, 2 * n_documents):
            assert top_k(scores, k).tolist() == order[:k]


def test_a_tie_made_by_rounding_keeps_the_order_of_the_corpus():
    """Document 1 has 10 + 6e-7 from two terms, which float32 rounds up to just what document 5 has from one."""
    weights = np.zeros((40, 3), np.float32)
    weights[5, 0] = np.nextafter(np.float32(10), np.float32(11))  # 10.000001
    weights[1, 1] = 6e-7
    weights[1:39:2, 2] = 10  # frequent, but not in document 5
    weights[5, 2] = 0
    index = index_of(weights)
    query = {0: 1, 1: 1, 2: 1}
    assert index.scores(query)[1] == index.scores(query)[5]
    assert top_k(index.scores(query), 1).tolist() == [1]


def test_weights_and_postings():
    weights = make_weights("random")
    index = index_of(weights)
    assert index.document_frequency.tolist() == np.count_nonzero(weights, axis=0).tolist()
    for term in (0, 7, TERMS - 1):
        documents, values = index.postings(term)
        assert (np.diff(documents) > 0).all()
        np.testing.assert_array_equal(values, weights[documents, term])
        for document in (0, 3, N // 2, N - 1):
            assert index.weight(term, document) == weights[document, term]
