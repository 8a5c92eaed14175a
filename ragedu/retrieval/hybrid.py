"""Hybrid retrieval: ask several retrievers and fuse what they say, always by document, never by place in an array."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Self

import numpy as np

from ragedu.corpus import Corpus
from ragedu.retrieval.base import Explanation, Hit, Hits, Retriever
from ragedu.retrieval.bm25 import BM25Retriever
from ragedu.retrieval.dense import DenseRetriever
from ragedu.retrieval.storage import load_parts, save_parts
from ragedu.retrieval.tfidf import TfidfRetriever

CLASSES = {cls.__name__: cls for cls in (TfidfRetriever, BM25Retriever, DenseRetriever)}


def rank_fusion(rankings: Sequence[Sequence[str]], weights: Sequence[float], k: int = 60) -> list[dict[str, float]]:
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


def _is_weight(value: object) -> bool:
    return isinstance(value, Real) and 0 <= value < math.inf


class HybridRetriever(Retriever):
    """Fuse the results of several retrievers over the same corpus.

    retrievers: BM25 and dense unless told otherwise; method: "rrf" (by ranks) or "weighted" (by scores scaled to 0..1);
    weights: one for each retriever, equal unless told otherwise; rrf_k: the constant of reciprocal rank fusion;
    depth: how many hits each retriever is asked for; whatever k is, so that the first hits do not depend on it.
    """

    def __init__(
        self,
        retrievers: Sequence[Retriever] | None = None,
        method: str = "rrf",
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
        self.weights = [1 / len(self.retrievers)] * len(self.retrievers) if weights is None else list(weights)
        if len(self.weights) != len(self.retrievers):
            raise ValueError(f"{len(self.retrievers)} retrievers need as many weights, not {len(self.weights)}")
        if not all(map(_is_weight, self.weights)):
            raise ValueError(f"weights must be finite numbers, at least 0, not {self.weights}")
        self.method, self.rrf_k, self.depth = method, rrf_k, depth
        first = self.retrievers[0].corpus
        if all(retriever.corpus is first for retriever in self.retrievers):
            self.corpus = first  # fitted already, all to the same corpus: ready to search

    def fit(self, corpus: Corpus) -> Self:
        self._check_corpus(corpus)
        self.corpus = None  # from here to the end some parts know the old corpus and some the new
        for retriever in self.retrievers:
            retriever.fit(corpus)
        self.corpus = corpus
        return self

    def scores(self, query: str) -> np.ndarray:
        """Fused scores; 0 for documents that no retriever has among its first `depth`."""
        self._check_fitted()
        scores = np.zeros(len(self.corpus))
        for hit in self.search(query, len(self.corpus)):
            scores[self.corpus.position(hit.document.id)] = hit.score
        return scores

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Hits]:
        queries = self._check_queries(queries)
        k = self._check_k(k)
        found = [retriever.search_many(queries, self.depth) for retriever in self.retrievers]
        return [self._fuse(of_query, k) for of_query in zip(*found, strict=True)]

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each retriever added, with the rank that it gave."""
        self._check_fitted()
        self._check_query(query)
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
            return rank_fusion([[hit.document.id for hit in hits] for hits in found], self.weights, self.rrf_k)
        return score_fusion([{hit.document.id: hit.score for hit in hits} for hits in found], self.weights)

    def _fuse(self, found: Sequence[Hits], k: int) -> Hits:
        given = self._contributions(found)
        # fsum rounds once, whatever the order: the same ranks, given by other retrievers, make the same score.
        fused = {id: math.fsum(part.get(id, 0.0) for part in given) for id in set().union(*given)}
        best = sorted(fused, key=lambda document_id: (-fused[document_id], self.corpus.position(document_id)))[:k]
        return Hits(Hit(self.corpus[document_id], fused[document_id], rank) for rank, document_id in enumerate(best, 1))

    def _check_fitted(self) -> None:
        super()._check_fitted()
        if any(retriever.corpus is not self.corpus for retriever in self.retrievers):
            raise RuntimeError(
                "a part of this hybrid has been fitted to another corpus since: call fit(corpus) of the hybrid again"
            )

    def save(self, folder: str | Path) -> None:
        self._check_fitted()
        for retriever in self.retrievers:
            if type(retriever) not in CLASSES.values():
                raise TypeError(f"a hybrid with a {type(retriever).__name__} cannot be saved: save its parts yourself")
        settings = {"method": self.method, "weights": self.weights, "rrf_k": self.rrf_k, "depth": self.depth}
        save_parts(folder, type(self).__name__, settings, self.retrievers)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        settings, parts = load_parts(folder, cls.__name__, lambda name, path: CLASSES[name].load(path))
        for part in parts:  # which have each read a copy of their own
            part.corpus = parts[0].corpus
        return cls(parts, **settings)
