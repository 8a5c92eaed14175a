"""TF-IDF and the cosine: the classical vector space model (Salton, Wong and Yang 1975)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ragedu.retrieval.lexical import LexicalRetriever


def tfidf_idf(document_frequency: np.ndarray, n_documents: int) -> np.ndarray:
    """ln((1 + N) / (1 + df)) + 1: rarer terms weigh more; scikit-learn's smoothed form, which is never 0."""
    return np.log((1 + n_documents) / (1 + document_frequency)) + 1


class TfidfRetriever(LexicalRetriever):
    """Rank documents by the cosine between the TF-IDF vectors of query and document.

    A term's weight is its count in the text times its idf, and each vector is divided by its length. With
    `sublinear_tf` the count becomes 1 + ln(count), so that the tenth occurrence adds less than the first. Scores lie in
    0..1. Weights equal those of scikit-learn's TfidfVectorizer when it is given the same analyzer.

    analyzer: a function from text to terms, by default ragedu.text.Analyzer().

    >>> TfidfRetriever(sublinear_tf=True)
    TfidfRetriever(sublinear_tf=True)
    """

    def __init__(self, *, sublinear_tf: bool = False, analyzer: Callable[[str], list[str]] | None = None) -> None:
        super().__init__(analyzer=analyzer)
        self.sublinear_tf = sublinear_tf

    def _settings(self) -> dict[str, Any]:
        return {"sublinear_tf": bool(self.sublinear_tf)}

    def _document_weights(self, counts: csr_array) -> csr_array:
        document_frequency = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = tfidf_idf(document_frequency, counts.shape[0])
        weights = self._term_frequency(counts.data.astype(np.float64)) * idf[counts.indices]
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        lengths = np.sqrt(np.bincount(rows, weights**2, minlength=counts.shape[0]))
        return csr_array((weights / lengths[rows], counts.indices, counts.indptr), shape=counts.shape)

    def _query_weights(self, counts: Mapping[int, int]) -> Mapping[int, float]:
        if not counts:
            return {}
        frequencies = self._term_frequency(np.array(list(counts.values()), dtype=np.float64))
        weights = frequencies * tfidf_idf(self.index.document_frequency[list(counts)], self.index.n_documents)
        length = np.sqrt(np.sum(weights**2))
        return dict(zip(counts, (weights / length).tolist(), strict=True))

    def _term_frequency(self, counts: np.ndarray) -> np.ndarray:
        return 1 + np.log(counts) if self.sublinear_tf else counts
