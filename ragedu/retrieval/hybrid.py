"""Hybrid retrieval: ask several retrievers and fuse what they say, always by document, never by position."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from ragedu.corpus import Corpus
from ragedu.representation import call_repr
from ragedu.retrieval.base import (
    Explanation,
    FitsAndSearches,
    Hits,
    Retriever,
    check_corpus,
    check_queries,
    check_query,
    corpus_of,
)
from ragedu.retrieval.bm25 import BM25Retriever
from ragedu.retrieval.dense import DenseRetriever
from ragedu.retrieval.storage import check_form, damage_told, load_parts, save_parts
from ragedu.retrieval.tfidf import TfidfRetriever

CLASSES: dict[str, type[Retriever]] = {cls.__name__: cls for cls in (TfidfRetriever, BM25Retriever, DenseRetriever)}


def rank_fusion(rankings: Sequence[Sequence[str]], weights: Sequence[float], *, k: int = 60) -> list[dict[str, float]]:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): rank r is worth weight / (k + r).

    Takes document ids, best first; returns for each ranking what it gives to each document. Their sum is the fused
    score. Scores of different retrievers have different scales; ranks have the same.
    """
    return [
        {document_id: weight / (k + rank) for rank, document_id in enumerate(ranking, start=1)}
        for ranking, weight in zip(rankings, weights, strict=True)
    ]


def score_fusion(scored: Sequence[Mapping[str, float]], weights: Sequence[float]) -> list[dict[str, float]]:
    """Weighted fusion of scores that were brought to the same scale, 0 for the lowest and 1 for the highest.

    Takes {document id: score} from each retriever; returns what each gives to each document. A document that a
    retriever did not return gets nothing from it.
    """
    return [
        {document_id: weight * scaled for document_id, scaled in _min_max(scores).items()}
        for scores, weight in zip(scored, weights, strict=True)
    ]


def _min_max(scores: Mapping[str, float]) -> dict[str, float]:
    low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    return {key: (score - low) / (high - low) if high > low else 1.0 for key, score in scores.items()}


def _load_part(name: str, folder: Path) -> Retriever:
    with damage_told(folder.parent):
        check_form(name in CLASSES, f"a part that is a {name!r:.100}")
    return CLASSES[name].load(folder)


def _is_weight(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) < math.inf


class HybridRetriever(Retriever):
    """Fuse the results of several retrievers over the same corpus.

    Parameters
    ----------
    retrievers
        By default BM25 and dense.
    method
        "rrf" (by ranks) or "weighted" (by scores scaled to 0..1).
    weights
        One for each retriever, equal by default.
    rrf_k
        The constant of reciprocal rank fusion.
    depth
        How many hits each retriever is asked for, whatever k is, so that the first hits do not depend on k.

    Examples
    --------
    >>> HybridRetriever([BM25Retriever(k1=1.2), TfidfRetriever()], weights=[0.7, 0.3])
    HybridRetriever(retrievers=[BM25Retriever(k1=1.2), TfidfRetriever()], weights=[0.7, 0.3])
    """

    def __init__(
        self,
        retrievers: Sequence[FitsAndSearches] | None = None,
        *,
        method: Literal["rrf", "weighted"] = "rrf",
        weights: Sequence[float] | None = None,
        rrf_k: int = 60,
        depth: int = 1000,
    ) -> None:
        if method not in ("rrf", "weighted"):
            raise ValueError(f'no fusion method {method!r}; there are "rrf" and "weighted"')
        if isinstance(retrievers, Retriever):
            raise TypeError("a hybrid takes a list of retrievers, not one: put them in [ ]")
        if not _is_weight(rrf_k):
            raise ValueError(f"rrf_k must be a finite number, at least 0, not {rrf_k!r}")
        if not isinstance(depth, int | np.integer) or isinstance(depth, bool) or depth < 1:
            raise ValueError(f"depth must be a whole number of documents, at least 1, not {depth!r}")
        self.retrievers = [BM25Retriever(), DenseRetriever()] if retrievers is None else list(retrievers)
        if not self.retrievers:
            raise ValueError("a hybrid needs at least one retriever")
        self.weights = self._equal_weights() if weights is None else list(weights)
        if len(self.weights) != len(self.retrievers):
            raise ValueError(f"{len(self.retrievers)} retrievers need as many weights, not {len(self.weights)}")
        if not all(map(_is_weight, self.weights)):
            raise ValueError(f"weights must be finite numbers, at least 0, not {self.weights}")
        self.method, self.rrf_k, self.depth = method, rrf_k, depth
        first = corpus_of(self.retrievers[0])
        if all(corpus_of(retriever) is first for retriever in self.retrievers):
            self._corpus = first  # fitted already, all to the same corpus: ready to search

    @property
    def is_external(self) -> bool:
        """Whether one of the retrievers keeps its documents in a database file or on a server."""
        return any(getattr(retriever, "is_external", False) for retriever in self.retrievers)

    def _equal_weights(self) -> list[float]:
        return [1 / len(self.retrievers)] * len(self.retrievers)

    def fit(self, corpus: Corpus) -> Self:
        check_corpus(corpus)
        self._corpus = None  # from here to the end some parts know the old corpus and some the new
        for retriever in self.retrievers:
            retriever.fit(corpus)
        self.corpus = corpus
        return self

    def scores(self, query: str) -> np.ndarray:
        """Fused scores; 0 for documents that no retriever has among its first `depth`."""
        self.check_fitted()
        scores = np.zeros(len(self.corpus))
        for hit in self.search(query, len(self.corpus)):
            scores[self.corpus.position(hit.document.id)] = hit.score
        return scores

    def search_many(self, queries: Iterable[str], k: int = 10) -> list[Hits]:
        queries = check_queries(queries)
        k = self._within_corpus(k)
        found = [retriever.search_many(queries, self.depth) for retriever in self.retrievers]
        return [self._fuse(of_query, k) for of_query in zip(*found, strict=True)]

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each retriever added, with the rank that it gave."""
        self.check_fitted()
        check_query(query)
        self.corpus.position(document_id)
        found = [retriever.search_many([query], self.depth)[0] for retriever in self.retrievers]
        contributions = {}
        parts = zip(self.retrievers, found, self._contributions(found), strict=True)
        for number, (retriever, hits, given) in enumerate(parts, start=1):
            rank = next((hit.rank for hit in hits if hit.document.id == document_id), None)
            place = f"rank {rank}" if rank else "not found"
            contributions[f"{number}. {type(retriever).__name__}, {place}"] = given.get(document_id, 0.0)
        return Explanation(math.fsum(contributions.values()), contributions)

    def _contributions(self, found: Sequence[Hits]) -> list[dict[str, float]]:
        if self.method == "rrf":
            return rank_fusion([[hit.document.id for hit in hits] for hits in found], self.weights, k=self.rrf_k)
        return score_fusion([{hit.document.id: hit.score for hit in hits} for hits in found], self.weights)

    def _fuse(self, found: Sequence[Hits], k: int) -> Hits:
        given = self._contributions(found)
        # fsum rounds once, whatever the order: the same ranks, given by other retrievers, make the same score.
        ids = {document_id for part in given for document_id in part}
        fused = {id: math.fsum(part.get(id, 0.0) for part in given) for id in ids}
        best = sorted(fused, key=lambda id: (-fused[id], self.corpus.position(id)))[:k]
        return Hits.ranked([self.corpus[id] for id in best], [fused[id] for id in best])

    def check_fitted(self) -> None:
        super().check_fitted()
        if any(corpus_of(retriever) is not self.corpus for retriever in self.retrievers):
            raise RuntimeError(
                "a part of this hybrid has been fitted to another corpus since: call fit(corpus) of the hybrid again"
            )

    def save(self, folder: str | Path) -> None:
        self.check_fitted()
        parts: list[Retriever] = []
        for retriever in self.retrievers:
            if not isinstance(retriever, Retriever) or type(retriever) not in CLASSES.values():
                raise TypeError(f"a hybrid with a {type(retriever).__name__} cannot be saved: save its parts yourself")
            parts.append(retriever)
        settings: dict[str, Any] = {
            "method": self.method,
            "weights": self.weights,
            "rrf_k": self.rrf_k,
            "depth": self.depth,
        }
        save_parts(folder, type(self).__name__, settings, parts)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        settings, parts = load_parts(folder, cls.__name__, _load_part)
        with damage_told(folder):
            for part in parts:  # which have each read a copy of their own
                check_form(part.corpus.documents == parts[0].corpus.documents, "parts with different documents")
                part.corpus = parts[0].corpus
            check_form(settings.keys() == {"method", "weights", "rrf_k", "depth"}, f"the settings {sorted(settings)}")
            return cls(parts, **settings)

    def __repr__(self) -> str:
        return call_repr(self, weights=None if self.weights == self._equal_weights() else self.weights)
