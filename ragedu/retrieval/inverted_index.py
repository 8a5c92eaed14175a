"""The inverted index: for each term, the documents that contain it and the weight it has there.

A lexical score is a dot product of two sparse vectors, the query's and the document's. Everything about the
document's side is known before any query comes, so its weights are computed once ("eager scoring", as in bm25s:
Lù 2024) and stored by term. A query then adds up the posting lists of its terms, and no other document is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from scipy.sparse import sparray

# From this share of the corpus on, a term counts as frequent. Frequent terms make up most of the postings that queries
# touch, and the same few come together again and again ("of the harbour"): their sums are kept.
FREQUENT_SHARE = 1 / 16
KEPT_BYTES = 2**27  # of such sums
KEPT_LISTS = 1024  # posting lists of rare terms, made ready for use

SMALLEST_SCORE = float(np.finfo(np.float32).tiny)  # the least that counts as above 0


class InvertedIndex:
    """Postings by term, from a sparse array of weights (n_documents, n_terms), none of them negative.

    documents, weights: the postings of all terms, one after the other, each list in the order of the corpus;
    those of term t stand at starts[t]:starts[t + 1].
    """

    def __init__(self, starts: np.ndarray, documents: np.ndarray, weights: np.ndarray, n_documents: int) -> None:
        self.starts = starts
        self.documents = documents
        self.weights = weights
        self.n_documents = n_documents
        self.document_frequency = np.diff(starts)
        self._is_frequent = set(np.flatnonzero(self.document_frequency > FREQUENT_SHARE * n_documents).tolist())
        row_bytes = max(1, n_documents * weights.dtype.itemsize)
        self._sum_of_frequent = lru_cache(maxsize=max(1, KEPT_BYTES // row_bytes))(self._add_up)
        self._ready_postings = lru_cache(maxsize=KEPT_LISTS)(self._widened)

    @classmethod
    def from_weights(cls, weights: sparray) -> InvertedIndex:
        by_term = weights.tocsc()
        return cls(by_term.indptr, by_term.indices, by_term.data, weights.shape[0])

    def __reduce__(self):
        """A copy, or what another process unpickles, has the same postings and makes its own caches."""
        return InvertedIndex, (self.starts, self.documents, self.weights, self.n_documents)

    def postings(self, term: int) -> tuple[np.ndarray, np.ndarray]:
        """The documents that contain the term, and its weight in each."""
        start, end = self.starts[term], self.starts[term + 1]
        return self.documents[start:end], self.weights[start:end]

    def weight(self, term: int, document: int) -> float:
        """The weight of one term in one document, 0 where it does not occur."""
        documents, weights = self.postings(term)
        place = np.searchsorted(documents, document)
        return float(weights[place]) if place < len(documents) and documents[place] == document else 0.0

    def scores(self, query: Mapping[int, float], *, into: np.ndarray | None = None) -> np.ndarray:
        """The score of every document for the query {term: weight}: array (n_documents,).

        into: an array from `zeros()` that is overwritten. For many queries one after the other, a new array each time
        would cost more than the adding.
        """
        scores = self.zeros() if into is None else into
        frequent: list[tuple[int, float]] = []
        rare: list[tuple[int, float]] = []
        for item in query.items():
            (frequent if item[0] in self._is_frequent else rare).append(item)
        np.copyto(scores, self._sum_of_frequent(tuple(frequent)))
        for term, factor in rare:
            self._add(scores, *self._ready_postings(term), factor)
        return scores

    def zeros(self) -> np.ndarray:
        return np.zeros(self.n_documents, dtype=self.weights.dtype)

    @staticmethod
    def _add(scores: np.ndarray, documents: np.ndarray, weights: np.ndarray, factor: float) -> None:
        np.add.at(scores, documents, weights if factor == 1 else weights * weights.dtype.type(factor))

    def _add_up(self, terms: tuple[tuple[int, float], ...]) -> np.ndarray:
        scores = self.zeros()
        for term, factor in terms:
            self._add(scores, *self.postings(term), factor)
        return scores

    def _widened(self, term: int) -> tuple[np.ndarray, np.ndarray]:
        """A posting list whose documents are machine integers, which numpy need not convert at every use."""
        documents, weights = self.postings(term)
        return documents.astype(np.intp), weights


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """The positions of the k highest scores above 0, best first, ties in order of position."""
    floor = max(lower_bound_of_kth(scores, k), SMALLEST_SCORE)
    positions = (scores >= floor).nonzero()[0]
    return positions[np.argsort(-scores[positions], kind="stable")[:k]]


def lower_bound_of_kth(scores: np.ndarray, k: int) -> float:
    """A number that at least k of the scores reach, close to the k-th highest of them; 0 for fewer than k scores.

    The scores are dealt into groups. Each group's maximum is the score of a different document, so the k-th highest
    maximum will do, and maxima cost a fraction of what sorting or partitioning all scores costs.
    """
    groups = 8 * k
    if len(scores) >= 4 * groups:
        scores = np.maximum.reduceat(scores, _first_of_groups(len(scores), groups))
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) if len(scores) >= k else 0.0


@lru_cache(maxsize=64)
def _first_of_groups(n: int, groups: int) -> np.ndarray:
    return np.arange(groups) * (n // groups)
