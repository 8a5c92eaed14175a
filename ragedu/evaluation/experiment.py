"""An experiment: run a retriever on a dataset's queries and average the metrics over them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import fmean

from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Dataset
from ragedu.evaluation.ranking import parse
from ragedu.evaluation.runs import trec_order, without_ties
from ragedu.retrieval.base import Hits, Retriever

DEPTH = 1000  # documents retrieved for a metric without a cutoff, as is usual at TREC
BATCH = 64  # queries between two steps of the progress bar


class Result(dict[str, float]):
    """{metric: mean over queries}, with what it was computed from.

    per_query: {metric: {query id: value}}, in the order of the qrels; run: {query id: {document id: score}};
    seconds: {"index": …, "search": …}, empty when nothing was searched.
    """

    def __init__(
        self,
        per_query: dict[str, dict[str, float]],
        run: Mapping[str, Mapping[str, float]],
        seconds: dict[str, float] | None = None,
    ):
        super().__init__({metric: fmean(values.values()) for metric, values in per_query.items()})
        self.per_query = per_query
        self.run = run
        self.seconds = seconds or {}

    @property
    def n_queries(self) -> int:
        return max((len(values) for values in self.per_query.values()), default=0)

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        rows = [f"{metric:<{width}}  {mean:.4f}" for metric, mean in self.items()]
        return "\n".join([*rows, f"mean over {self.n_queries:,} queries"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{metric}</td><td>{mean:.4f}</td></tr>" for metric, mean in self.items()
        )
        header = f"<tr><th>metric</th><th>mean over {self.n_queries:,} queries</th></tr>"
        return f"<table>{header}{rows}</table>"


def evaluate(
    retriever: Retriever,
    dataset: Dataset,
    metrics: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
    k: int | None = None,
    progress: bool = True,
) -> Result:
    """Search for every judged query of the dataset and score the rankings.

    retriever: fitted to the dataset's corpus here unless it already is.
    metrics: names as `ragedu.evaluation.ranking.parse` reads them: those of ir_measures, lower case.
    k: documents retrieved a query; by default the largest cutoff among the metrics, 1,000 where one has none.
    progress: show a progress bar, on standard error or as a widget.

    Queries without judgments are left out (nobody knows what would be right); queries for which nothing was
    found, or whose judged documents are all irrelevant, count 0. A document with the id of the query itself is
    not counted as found, unless it is judged: some collections take their queries from the corpus.

    What is scored is the ranking as the retriever returned it. `result.run` holds it with ties broken as in
    `without_ties`, so ir_measures and trec_eval compute the same figures from `write_run(result.run, …)`.

    Raises ValueError when the dataset has no judgments, for an unknown metric, for k below a metric's cutoff and
    for a retriever that returns a document twice or out of order.
    """
    metrics = _names(metrics)
    depth = _depth(metrics, k)
    judged = {query_id: judgments for query_id, judgments in dataset.qrels.items() if judgments}
    if not judged:
        raise ValueError("the dataset has no relevance judgments (qrels): without them nothing can be evaluated")

    started = time.perf_counter()
    if retriever.corpus is None or not _same(retriever.corpus, dataset.corpus):
        retriever.fit(dataset.corpus)
    indexed = time.perf_counter()

    # One more where a query may find itself, so that k documents are left when that one is dropped.
    spare = any(query_id in dataset.corpus for query_id in judged)
    run: dict[str, dict[str, float]] = {}
    query_ids = list(judged)
    with tqdm(total=len(query_ids), desc="searching", unit="query", disable=not progress) as bar:
        for start in range(0, len(query_ids), BATCH):
            batch = query_ids[start : start + BATCH]
            found = retriever.search_many([dataset.queries[query_id] for query_id in batch], depth + spare)
            for query_id, hits in zip(batch, found, strict=True):
                run[query_id] = _scores(query_id, hits, judged[query_id], depth)
            bar.update(len(batch))
    searched = time.perf_counter()

    result = evaluate_run(run, judged, metrics)
    result.seconds = {"index": indexed - started, "search": searched - indexed}
    return result


def evaluate_run(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]],
    metrics: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
) -> Result:
    """Score a run that any system has made, such as one from `read_run`.

    Documents are ranked as trec_eval does (see `trec_order`); the mean is over all queries of the qrels that have
    judgments, those missing from the run counting 0. Equals ir_measures, with one exception: where a run has ties,
    ir_measures breaks them the other way round for RR@k and Judged@k, because other programs compute these two.

    Raises ValueError when there are no judgments, or none for any query of the run.
    """
    metrics = _names(metrics)
    qrels = {query_id: judgments for query_id, judgments in qrels.items() if judgments}
    if not qrels:
        raise ValueError("there are no relevance judgments (qrels): without them nothing can be evaluated")
    if run and not run.keys() & qrels.keys():
        raise ValueError(
            f"no query of the run has judgments: its query ids look like {next(iter(run))!r}, "
            f"those of the qrels like {next(iter(qrels))!r}"
        )
    rankings = {query_id: trec_order(run.get(query_id, {})) for query_id in qrels}
    per_query = {}
    for metric in metrics:
        score, _ = parse(metric)
        per_query[metric] = {query_id: score(rankings[query_id], qrels[query_id]) for query_id in qrels}
    return Result(per_query, run)


def _names(metrics: Sequence[str]) -> list[str]:
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not names:
        raise ValueError("name at least one metric, such as ndcg@10")
    for name in names:
        parse(name)
    return names


def _depth(metrics: Sequence[str], k: int | None) -> int:
    needed = max(parse(metric)[1] or 0 for metric in metrics)
    if k is None:
        return max(needed, DEPTH) if any(parse(metric)[1] is None for metric in metrics) else needed
    if isinstance(k, bool) or not isinstance(k, int) or k < max(needed, 1):
        raise ValueError(f"k must be a whole number, at least the largest cutoff of the metrics, {needed}: not {k!r}")
    return k


def _same(corpus: Corpus, other: Corpus) -> bool:
    """An index that was loaded holds another Corpus object with the same documents: no reason to build it anew."""
    return corpus is other or (len(corpus) == len(other) and all(map(lambda a, b: a == b, corpus, other)))


def _scores(query_id: str, hits: Hits, judgments: Mapping[str, int], k: int) -> dict[str, float]:
    """One query's part of the run: {document id: score}, in the order of the hits."""
    kept = [hit for hit in hits if hit.document.id != query_id or query_id in judgments][:k]
    try:
        scores = without_ties([hit.score for hit in kept])
    except ValueError as error:
        raise ValueError(f"query {query_id!r}: {error}") from None
    run = dict(zip((hit.document.id for hit in kept), scores, strict=True))
    if len(run) < len(kept):
        raise ValueError(f"query {query_id!r}: the retriever returned a document twice")
    return run
