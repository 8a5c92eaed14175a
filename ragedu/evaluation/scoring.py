"""From the names of metrics to a value for each query: what every experiment has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real

from ragedu.evaluation.answers import exact_match, f1
from ragedu.evaluation.overlap import rouge_l
from ragedu.evaluation.ranking import parse
from ragedu.evaluation.runs import trec_order

DEPTH_WITHOUT_CUTOFF = 1000  # documents retrieved for a metric without a cutoff, as is usual at TREC
ANSWER_METRICS = {"exact_match": exact_match, "f1": f1, "rouge_l": rouge_l}


def ranking_metrics(metrics: Sequence[str]) -> list[str]:
    """The names as a list. Raises ValueError for no name, an unknown one, and one that scores answers."""
    names = _as_list(metrics)
    for name in names:
        if name in ANSWER_METRICS:
            raise ValueError(
                f"{name} scores answers, and a retriever gives none: name a metric of rankings, such as ndcg@10 "
                "(for systems that answer, in Python, use evaluate_answers, or compare)"
            )
        parse(name)
    return names


def answer_metrics(metrics: Sequence[str]) -> list[str]:
    """The names as a list, where metrics of answers and of rankings are both welcome."""
    names = _as_list(metrics)
    for name in names:
        if name not in ANSWER_METRICS:
            try:
                parse(name)
            except ValueError as error:
                raise ValueError(f"{error}; for answers there are {', '.join(ANSWER_METRICS)}") from None
    return names


def _as_list(metrics: Sequence[str]) -> list[str]:
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not names:
        raise ValueError("name at least one metric, such as ndcg@10")
    return [name.lower() if str(name).lower() in ANSWER_METRICS else name for name in names]


def search_depth(metrics: Sequence[str], k: int | None) -> int:
    """How many documents to retrieve: k, or the largest cutoff. Raises ValueError for a k below that cutoff."""
    cutoffs = [parse(metric)[1] for metric in metrics]
    needed = max(cutoff or 0 for cutoff in cutoffs)
    if k is None:
        return max(needed, DEPTH_WITHOUT_CUTOFF) if None in cutoffs else needed
    if isinstance(k, bool) or not isinstance(k, int) or k < max(needed, 1):
        raise ValueError(f"k must be a whole number, at least the largest cutoff of the metrics, {needed}: not {k!r}")
    return k


def check_numbers(what: str, number: str, numbers: Mapping[str, object]) -> None:
    """Raise TypeError unless these are mappings of mappings to numbers, and ValueError for one that is not finite.

    what, number: what it is called, and what a number in it is: "a run", "score".
    """
    form = f"{what} is {{query id: {{document id: {number}}}}}"
    if not isinstance(numbers, Mapping):
        raise TypeError(f"{form}, not a {type(numbers).__name__}")
    for query_id, of_query in numbers.items():
        if not isinstance(of_query, Mapping):
            kind = type(of_query).__name__
            raise TypeError(f"{form}, and for query {query_id!r} there is a {kind}: {of_query!r:.60}")
        for document_id, value in of_query.items():
            if isinstance(value, Real) and isfinite(value):
                continue
            place = f"query {query_id!r}, document {document_id!r}"
            if not isinstance(value, Real):
                raise TypeError(f"{place}: the {number} must be a number, not {value!r:.60}")
            raise ValueError(f"{place}: the {number} {value!r} is not a finite number")


def judged_queries(qrels: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    """The queries that have judgments. Raises ValueError when there are none, TypeError for those that are none."""
    check_numbers("a set of judgments (qrels)", "grade", qrels)
    judged = {query_id: judgments for query_id, judgments in qrels.items() if judgments}
    if not judged:
        raise ValueError("there are no relevance judgments (qrels): without them nothing can be evaluated")
    return judged


def is_itself(document_id: str, query_id: str, judgments: Mapping[str, int]) -> bool:
    """Some collections take their queries from the corpus, and such a query is not to find itself."""
    return document_id == query_id and document_id not in judgments


def score_rankings(
    metrics: Sequence[str], qrels: Mapping[str, Mapping[str, int]], run: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """{metric: {query id: value}} for every query of the qrels; one that the run lacks counts 0."""
    rankings = {query_id: trec_order(run.get(query_id, {})) for query_id in qrels}
    per_query = {}
    for metric in metrics:
        score, _ = parse(metric)
        per_query[metric] = {query_id: score(rankings[query_id], qrels[query_id]) for query_id in qrels}
    return per_query


def score_texts(
    metrics: Sequence[str], answers: Mapping[str, Sequence[str]], texts: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """{metric: {query id: value}} for every question of `answers`; one without a text counts 0."""
    per_query = {}
    for metric in metrics:
        score = ANSWER_METRICS[metric]
        per_query[metric] = {
            query_id: score(texts[query_id], acceptable) if query_id in texts else 0.0
            for query_id, acceptable in answers.items()
        }
    return per_query
