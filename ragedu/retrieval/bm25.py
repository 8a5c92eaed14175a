"""BM25: TF-IDF with two afterthoughts, saturation and length normalisation (Robertson and Zaragoza 2009).

The five variants are those of Kamphuis et al. (2020), "Which BM25 do you mean?", as the library bm25s has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ragedu.retrieval.lexical import LexicalRetriever

VARIANTS = ("lucene", "robertson", "atire", "bm25l", "bm25+")


def bm25_idf(document_frequency: np.ndarray, n_documents: int, *, variant: str = "lucene") -> np.ndarray:
    """The inverse document frequency of terms that occur in `document_frequency` of `n_documents` documents."""
    N, df = n_documents, document_frequency
    if variant == "lucene":
        return np.log(1 + (N - df + 0.5) / (df + 0.5))
    if variant == "robertson":  # negative for a term in more than half of the documents: floored at 0
        return np.log(np.maximum((N - df + 0.5) / (df + 0.5), 1))
    if variant == "atire":
        return np.log(N / df)
    if variant == "bm25l":
        return np.log((N + 1) / (df + 0.5))
    return np.log((N + 1) / df)  # bm25+


def bm25_term_part(
    tf: np.ndarray, length: np.ndarray, k1: float, b: float, *, delta: float = 0.5, variant: str = "lucene"
) -> np.ndarray:
    """What `tf` occurrences of a term count for in documents of relative length `length` = |d| / average |d|.

    k1 sets how fast repetition saturates (0: at once), b how much long documents are held back (0: not at all).
    """
    norm = k1 * (1 - b + b * length)
    if variant in ("lucene", "robertson"):
        return tf / (tf + norm)
    if variant == "bm25l":
        c = tf / (1 - b + b * length)
        return (k1 + 1) * (c + delta) / (k1 + c + delta)
    saturated = (k1 + 1) * tf / (tf + norm)
    return saturated + delta if variant == "bm25+" else saturated  # or atire


class BM25Retriever(LexicalRetriever):
    """Rank documents by BM25.

    The defaults are those of bm25s. Scores equal bm25s's for each variant to 1e-5.

    In bm25l and bm25+ every query term adds a constant to every document's score, whether it occurs there or not.
    `search` still returns only documents that share a term with the query.

    Parameters
    ----------
    k1
        Saturation of term frequency, at least 0.
    b
        Length normalisation, 0 to 1.
    delta
        The floor that bm25l and bm25+ (Lv and Zhai 2011) give to a term that occurs at all, at least 0.
    variant
        "lucene" (what Elasticsearch computes), "robertson", "atire", "bm25l" or "bm25+".
    analyzer
        A function from text to terms, by default ragedu.text.Analyzer().

    Examples
    --------
    >>> BM25Retriever(k1=1.2, variant="atire")
    BM25Retriever(k1=1.2, variant='atire')
    """

    def __init__(
        self,
        *,
        k1: float = 1.5,
        b: float = 0.75,
        delta: float = 0.5,
        variant: str = "lucene",
        analyzer: Callable[[str], list[str]] | None = None,
    ) -> None:
        super().__init__(analyzer=analyzer)
        if variant not in VARIANTS:
            raise ValueError(f"no BM25 variant {variant!r}; there are: {', '.join(VARIANTS)}")
        _check_numbers(k1=k1, b=b, delta=delta)
        if not (0 <= k1 < math.inf and 0 <= b <= 1 and 0 <= delta < math.inf):
            raise ValueError(f"k1 and delta must be at least 0 and finite, b within 0..1, not {k1=}, {delta=}, {b=}")
        self.k1, self.b, self.delta, self.variant = float(k1), float(b), float(delta), variant

    def _settings(self) -> dict[str, Any]:
        return {"k1": self.k1, "b": self.b, "delta": self.delta, "variant": self.variant}

    def _document_weights(self, counts: csr_array) -> csr_array:
        """idf times term part, less what an absent term would get, so that absent terms need no postings."""
        n_documents, n_terms = counts.shape
        lengths = counts.sum(axis=1)
        relative = np.repeat(lengths / lengths.mean(), np.diff(counts.indptr))
        document_frequency = np.bincount(counts.indices, minlength=n_terms)
        idf = bm25_idf(document_frequency, n_documents, variant=self.variant)
        parts = bm25_term_part(counts.data, relative, self.k1, self.b, delta=self.delta, variant=self.variant)
        parts -= self._absent_part()
        weights = (parts * idf[counts.indices]).astype(np.float32)
        return csr_array((weights, counts.indices, counts.indptr), shape=counts.shape)

    def _query_weights(self, counts: Mapping[int, int]) -> Mapping[int, float]:
        """A query's weights are its plain counts."""
        return counts

    def _with_constant(self, scores: np.ndarray, weights: Mapping[int, float]) -> np.ndarray:
        return super()._with_constant(scores, weights) if self._absent_part() else scores

    def _absent_weight(self, term: int) -> float:
        idf = bm25_idf(self.index.document_frequency[term], self.index.n_documents, variant=self.variant)
        return float(idf * self._absent_part())

    def _absent_part(self) -> float:
        """The term part of a term that does not occur: above 0 in bm25l and bm25+ only."""
        if self.variant == "bm25+":
            return self.delta
        if self.variant == "bm25l" and self.delta:
            return (self.k1 + 1) * self.delta / (self.k1 + self.delta)
        return 0.0


def _check_numbers(**settings: object) -> None:
    for name, value in settings.items():
        if not isinstance(value, Real):
            raise TypeError(f"{name} must be a number, not {value!r}")
