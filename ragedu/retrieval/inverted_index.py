"""The inverted index: for each term, the documents that contain it and the weight it has there.

A lexical score is a dot product of two sparse vectors, the query's and the document's. Everything about the
document's side is known before any query comes, so its weights are computed once ("eager scoring", as in bm25s:
Lù 2024) and stored by term. A query then adds up the posting lists of its terms, and no other document is touched.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import sparray

# From this share of the corpus on, a term counts as frequent. Then its weights written out as a row of n scores,
# zeros included, are quicker to add than its posting list, and a document is found in a row without searching.
FREQUENT = 1 / 8

# Bounds and scores add the same floats in different orders; this share is given away to rounding.
ROUNDING = 1e-5


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
        self._frequent = set(np.flatnonzero(self.document_frequency > FREQUENT * n_documents).tolist())
        self._rows: dict[int, tuple[np.ndarray, float]] = {}

    @classmethod
    def from_weights(cls, weights: sparray) -> InvertedIndex:
        by_term = weights.tocsc()
        return cls(by_term.indptr, by_term.indices, by_term.data, weights.shape[0])

    def postings(self, term: int) -> tuple[np.ndarray, np.ndarray]:
        """The documents that contain the term, and its weight in each."""
        start, end = self.starts[term], self.starts[term + 1]
        return self.documents[start:end], self.weights[start:end]

    def weight(self, term: int, document: int) -> float:
        """The weight of one term in one document, 0 where it does not occur."""
        documents, weights = self.postings(term)
        place = np.searchsorted(documents, document)
        return float(weights[place]) if place < len(documents) and documents[place] == document else 0.0

    def scores(self, query: Mapping[int, float]) -> np.ndarray:
        """The score of every document for the query {term: weight}: array (n_documents,)."""
        scores = self.zeros()
        frequent = self._add_rare(query, scores)
        for term, factor in frequent:
            scores += times(self._row(term)[0], factor)
        return scores

    def top_k(self, query: Mapping[int, float], k: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The k documents of highest score above 0, best first, ties in the order of the corpus; and their scores.

        scores: an array from `zeros()`, to be used for one query after the other: a new one each time would cost more
        than the search. The result is exactly that of sorting `scores(query)`, but frequent terms are added only to
        documents that can still get into the top k (after MaxScore, Turtle and Flood 1995): those whose score
        without them is not further below the k-th best than all frequent terms together could lift it.
        """
        scores.fill(0)
        frequent = self._add_rare(query, scores)
        lift = sum(self._row(term)[1] * factor for term, factor in frequent)
        floor = lower_bound_of_kth(scores, k) - lift
        if floor > 0:
            candidates = np.flatnonzero(scores >= floor * (1 - ROUNDING))
            found = scores[candidates]
        else:
            candidates, found = None, scores
        for term, factor in frequent:
            row, _ = self._row(term)
            found += times(row if candidates is None else row[candidates], factor)
        best = best_positions(found, k)
        return best if candidates is None else candidates[best], found[best]

    def zeros(self) -> np.ndarray:
        return np.zeros(self.n_documents, dtype=self.weights.dtype)

    def _add_rare(self, query: Mapping[int, float], scores: np.ndarray) -> list[tuple[int, float]]:
        """Add the terms that are not frequent to the scores; return the others, with their weights in the query."""
        frequent = []
        for term, factor in query.items():
            if term in self._frequent:
                frequent.append((term, factor))
            else:
                documents, weights = self.postings(term)
                np.add.at(scores, documents, times(weights, factor))
        return frequent

    def _row(self, term: int) -> tuple[np.ndarray, float]:
        """A frequent term's weights as a row, and the highest of them; kept from its first use on."""
        if term not in self._rows:
            documents, weights = self.postings(term)
            row = self.zeros()
            row[documents] = weights
            self._rows[term] = row, float(row.max())
        return self._rows[term]


def times(weights: np.ndarray, factor: float) -> np.ndarray:
    """The weights multiplied; the weights themselves, not a copy, for the factor 1 that most query terms have."""
    return weights if factor == 1 else weights * weights.dtype.type(factor)


def best_positions(scores: np.ndarray, k: int) -> np.ndarray:
    """Where the k highest scores above 0 stand, best first, ties in order of position."""
    floor = max(lower_bound_of_kth(scores, k), np.finfo(scores.dtype).tiny)
    positions = np.flatnonzero(scores >= floor)
    return positions[np.argsort(-scores[positions], kind="stable")[:k]]


def lower_bound_of_kth(scores: np.ndarray, k: int) -> float:
    """A number that at least k of the scores reach, close to the k-th highest of them; 0 for fewer than k scores.

    The scores are dealt into groups. Each group's maximum is the score of a different document, so the k-th highest
    maximum will do, and maxima cost a fraction of what sorting or partitioning all scores costs.
    """
    groups = 8 * k
    if len(scores) >= 4 * groups:
        size = len(scores) // groups
        scores = scores[: groups * size].reshape(groups, size).max(axis=1)
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) if len(scores) >= k else 0.0
