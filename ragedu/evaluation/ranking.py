"""Ranking metrics by hand: how good is one ranked list, given which documents are relevant?

Every metric takes::

    ranked     the ids of the documents found, best first, none twice
    judgments  {document id: grade}; a grade above 0 means relevant, a document without a grade counts as not
               relevant, and grades below 0 (used for spam) count as 0
    k          the cutoff: only the first k documents are looked at (None: all of them)

and returns a number from 0 to 1. Definitions and conventions are those of trec_eval, hence of ir_measures: a query
without any relevant document scores 0. Source of the definitions, where no other is named: Manning, Raghavan and
Schütze, Introduction to Information Retrieval (2008), chapter 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from math import log2
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Judgments = Mapping[Any, float]


def grades(ranked: Iterable[Hashable], judgments: Judgments, *, k: int | None = None) -> list[float]:
    """The grade of each of the first k documents, in the order of the ranking; what every metric starts from.

    Raises ValueError for a document that is ranked twice (it would be rewarded twice) and for k below 1.
    """
    if isinstance(ranked, str):
        raise TypeError(f"a ranking is a list of document ids, not one string: {ranked!r:.60}")
    ranked = list(ranked)
    if len(set(ranked)) < len(ranked):
        twice = next(document for document in ranked if ranked.count(document) > 1)
        raise ValueError(f"document {twice!r} is ranked twice: a ranking holds each document once")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1):
        raise ValueError(f"k must be a whole number of documents, at least 1, not {k!r}")
    return [max(judgments.get(document, 0), 0) for document in ranked[:k]]


def number_relevant(judgments: Judgments) -> int:
    return sum(grade > 0 for grade in judgments.values())


def precision_at_k(ranked: Iterable[Hashable], judgments: Judgments, k: int) -> float:
    """P@k: the share of the first k places that hold a relevant document. Empty places count against it."""
    return sum(grade > 0 for grade in grades(ranked, judgments, k=k)) / k


def recall_at_k(ranked: Iterable[Hashable], judgments: Judgments, k: int) -> float:
    """R@k: the share of all relevant documents that are among the first k.

    Many RAG tutorials call something else "recall@k": whether *any* relevant document was found. That is
    `success_at_k`.
    """
    relevant = number_relevant(judgments)
    return sum(grade > 0 for grade in grades(ranked, judgments, k=k)) / relevant if relevant else 0.0


def success_at_k(ranked: Iterable[Hashable], judgments: Judgments, k: int) -> float:
    """Success@k, also called hit rate: 1 if a relevant document is among the first k, otherwise 0."""
    return float(any(grades(ranked, judgments, k=k)))


def reciprocal_rank(ranked: Iterable[Hashable], judgments: Judgments, *, k: int | None = None) -> float:
    """RR: 1 / the rank of the first relevant document, 0 if there is none. Its mean over queries is the MRR."""
    for rank, grade in enumerate(grades(ranked, judgments, k=k), start=1):
        if grade > 0:
            return 1 / rank
    return 0.0


def average_precision(ranked: Iterable[Hashable], judgments: Judgments, *, k: int | None = None) -> float:
    """AP: the precision at the rank of each relevant document, averaged over all relevant documents.

    A relevant document that was not found contributes 0. Its mean over queries is the MAP.
    """
    found, total = 0, 0.0
    for rank, grade in enumerate(grades(ranked, judgments, k=k), start=1):
        if grade > 0:
            found += 1
            total += found / rank
    relevant = number_relevant(judgments)
    return total / relevant if relevant else 0.0


def r_precision(ranked: Iterable[Hashable], judgments: Judgments) -> float:
    """Rprec: the precision at R, where R is the number of relevant documents of this query."""
    relevant = number_relevant(judgments)
    return precision_at_k(ranked, judgments, relevant) if relevant else 0.0


def dcg(gains: Iterable[float]) -> float:
    """Discounted cumulative gain: each gain divided by log2(rank + 1), added up (Järvelin and Kekäläinen 2002)."""
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def ndcg(ranked: Iterable[Hashable], judgments: Judgments, *, k: int | None = None, gain: str = "linear") -> float:
    """nDCG: the ranking's DCG divided by the best DCG that any ranking could reach.

    The best possible ranking has *all judged* documents of the query in order of their grades, whether they were
    found or not. (Taking only those found, as some code does, forgives every miss.)

    gain: "linear", the grade itself, as trec_eval, BEIR and scikit-learn do; or "exponential", 2^grade - 1, as in
    Burges et al. 2005 and web search, which makes the top grades count for more. Published figures that differ
    only in this are not comparable.
    """
    if gain not in ("linear", "exponential"):
        raise ValueError(f'gain must be "linear" or "exponential", not {gain!r}')
    to_gain = float if gain == "linear" else lambda grade: 2.0**grade - 1
    best = sorted((grade for grade in judgments.values() if grade > 0), reverse=True)
    actual_dcg = dcg(map(to_gain, grades(ranked, judgments, k=k)))
    return actual_dcg / dcg(map(to_gain, best[:k])) if best else 0.0


def judged_at_k(ranked: Iterable[Hashable], judgments: Judgments, *, k: int | None = None) -> float:
    """Judged@k: the share of the first k documents found that somebody has judged, relevant or not.

    It does not measure quality, but how far to trust a measure of it: unjudged documents count as not relevant
    everywhere else.
    """
    ranked = list(ranked)
    length = len(grades(ranked, judgments, k=k))
    return sum(document in judgments for document in ranked[:length]) / length if length else 0.0


# Names: those of ir_measures in lower case, and those that people use.
METRICS: dict[str, Callable[..., float]] = {
    "ndcg": ndcg,
    "p": precision_at_k,
    "precision": precision_at_k,
    "r": recall_at_k,
    "recall": recall_at_k,
    "success": success_at_k,
    "rr": reciprocal_rank,
    "mrr": reciprocal_rank,
    "ap": average_precision,
    "map": average_precision,
    "rprec": r_precision,
    "judged": judged_at_k,
}
CUTOFF_NEEDED = ("p", "precision", "r", "recall", "success")


def parse(name: str) -> tuple[Callable[[Iterable[Hashable], Judgments], float], int | None]:
    """The function that a name such as "ndcg@10", "mrr@10" or "map" stands for, and its cutoff.

    The function takes (ranked, judgments). Upper case is as good as lower. Raises ValueError for a name that
    does not exist, for "recall" without a cutoff and for "rprec" with one.
    """
    match = re.fullmatch(r"([a-z]+)(?:@([1-9][0-9]*))?", str(name).strip().lower())
    if match is None or match[1] not in METRICS:
        raise ValueError(
            f"there is no metric {name!r}; there are {', '.join(METRICS)}, with a whole-number cutoff of at least 1 "
            "after @, as in ndcg@10"
        )
    metric, cutoff = match[1], int(match[2]) if match[2] else None
    if cutoff is None and metric in CUTOFF_NEEDED:
        raise ValueError(f"{metric} needs a cutoff, as in {metric}@10")
    if cutoff is not None and metric == "rprec":
        raise ValueError("rprec takes no cutoff: it is the precision at the number of relevant documents")
    function = METRICS[metric]
    return (partial(function, k=cutoff) if cutoff else function), cutoff


def get_retrieval_score(y_true: ArrayLike, y_score: ArrayLike, *, metric: str = "ndcg", k: int | None = 10) -> float:
    """The mean over queries of a ranking metric, from two arrays.

    Queries without a relevant document count 0.

    Parameters
    ----------
    y_true
        Grades, float or int array (n_queries, n_documents), or (n_documents,) for one query; above 0 means relevant.
        Every document counts as judged.
    y_score
        What the retriever scored, an array of the same shape; higher is better. Equal scores are in the order of
        their positions, as in every ragedu retriever (scikit-learn's `ndcg_score` averages over the possible orders
        instead; without ties the two agree).
    metric
        "ndcg", "recall", "precision", "mrr", "map", "success" or another name that `parse` knows.
    k
        The cutoff; None for no cutoff.

    Raises
    ------
    ValueError
        For shapes that differ or are not 1-D or 2-D, for empty arrays, NaNs, infinite grades and unknown metrics.
    """
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1):
        raise ValueError(f"k must be a whole number of documents, at least 1, or None, not {k!r}")
    score, cutoff = parse(metric if k is None or "@" in str(metric) else f"{metric}@{k}")
    true, scored = _numbers(y_true, "y_true"), _numbers(y_score, "y_score")
    if true.shape != scored.shape:
        raise ValueError(
            f"y_true has shape {true.shape} and y_score {scored.shape}: both must be (n_queries, n_documents)"
        )
    if np.isinf(true).any():
        raise ValueError("y_true has infinite grades")
    per_query = []
    for query_grades, query_scores in zip(np.atleast_2d(true), np.atleast_2d(scored), strict=True):
        # The documents' ids are their positions.
        ranked = np.argsort(-query_scores, kind="stable")
        if cutoff is not None:
            ranked = ranked[:cutoff]
        per_query.append(score(ranked.tolist(), dict(enumerate(query_grades.tolist()))))
    return float(np.mean(per_query))


def _numbers(values: ArrayLike, name: str) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers with rows of equal length ({error})") from None
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}: it must be (n_queries, n_documents) or (n_documents,), and not empty"
        )
    if np.isnan(array).any():
        raise ValueError(f"{name} has NaN at index {tuple(np.argwhere(np.isnan(array))[0].tolist())}")
    return array
