"""An experiment: run one system on a dataset's queries and average the metrics over them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import ClassVar

from ragedu.corpus import Corpus, Dataset
from ragedu.evaluation.result import Result, go_through, keep_what_is_done
from ragedu.evaluation.runs import without_ties
from ragedu.evaluation.scoring import (
    check_numbers,
    is_itself,
    judged_queries,
    ranking_metrics,
    score_rankings,
    search_depth,
)
from ragedu.retrieval.base import FitsAndSearches, Hits, corpus_of

BATCH_QUERIES = 64  # searched between two steps of the progress bar


def evaluate(
    retriever: FitsAndSearches,
    dataset: Dataset,
    *,
    metrics: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
    k: int | None = None,
    progress: bool | str = True,
    run: Mapping[str, Mapping[str, float]] | None = None,
) -> Result:
    """Search for every judged query of the dataset and score the rankings.

    Queries without judgments are left out (nobody knows what would be right); queries for which nothing was
    found, or whose judged documents are all irrelevant, count 0. A document with the id of the query itself is
    not counted as found, unless it is judged: some collections take their queries from the corpus.

    What is scored is the ranking as the retriever returned it. `result.run` holds it with ties broken as in
    `without_ties`, so that ir_measures and trec_eval compute the same figures from `write_run(result.run, …)`.

    Parameters
    ----------
    retriever
        Fitted to the dataset's corpus here unless it already is; but one that keeps other documents in a database
        file or on a server is refused, for fitting it would delete these.
    dataset
        A corpus with queries and relevance judgments.
    metrics
        Names as `ragedu.evaluation.ranking.parse` knows them: those of ir_measures, lower case.
    k
        Documents retrieved for a query; by default the largest cutoff among the metrics, 1,000 where one has none.
    progress
        Show a progress bar, on standard error or as a widget; a string is its title.
    run
        What an interrupted call has found already, with the same retriever and k; its queries are not searched again.

    Raises
    ------
    ValueError
        When the dataset has no judgments, for an unknown metric, for k below a metric's cutoff and for a retriever
        that returns a document twice or out of order.
    Interrupted
        When somebody presses stop or Ctrl-C. It holds the result of the queries that are done, as its `result`; so does
        an error on the way, such as a server that goes down.
    """
    metrics = ranking_metrics(metrics)
    depth = search_depth(metrics, k)
    judged = judged_queries(dataset.qrels)
    found = {query_id: dict(scores) for query_id, scores in (run or {}).items() if query_id in judged}
    index_seconds = _fit(retriever, dataset.corpus)

    search = _Search(retriever, dataset, judged, metrics, depth, found, index_seconds)
    with keep_what_is_done(search):
        go_through(search, BATCH_QUERIES, "searching", progress)
    return search.result()


@dataclass
class _Search:
    """The rankings that are found so far: `run`, {query id: {document id: score}}."""

    retriever: FitsAndSearches
    dataset: Dataset
    judged: Mapping[str, Mapping[str, int]]
    metrics: Sequence[str]
    depth: int
    run: dict[str, dict[str, float]]
    index_seconds: float
    started: float = field(default_factory=time.perf_counter)
    resume: ClassVar[str] = "run=result.run"

    @property
    def n_done(self) -> int:
        return len(self.run)

    @property
    def left(self) -> list[str]:
        return [query_id for query_id in self.judged if query_id not in self.run]

    @cached_property
    def n_fetched(self) -> int:
        """One more than the depth where a query may find itself, so that enough are left when that one is dropped."""
        return self.depth + any(query_id in self.dataset.corpus for query_id in self.judged)

    def add(self, query_ids: Sequence[str]) -> None:
        """All of a batch or nothing: an interruption leaves no query half done."""
        found = self.retriever.search_many([self.dataset.queries[query_id] for query_id in query_ids], self.n_fetched)
        self.run |= {
            query_id: _scores(query_id, hits, self.judged[query_id], self.depth)
            for query_id, hits in zip(query_ids, found, strict=True)
        }

    def result(self) -> Result:
        done = {query_id: judgments for query_id, judgments in self.judged.items() if query_id in self.run}
        return Result(
            score_rankings(self.metrics, done, self.run),
            self.run,
            seconds={"index": self.index_seconds, "search": time.perf_counter() - self.started},
            unfinished=len(self.judged) - len(done),
        )


def _scores(query_id: str, hits: Hits, judgments: Mapping[str, int], k: int) -> dict[str, float]:
    """One query's part of the run: {document id: score}, in the order of the hits."""
    kept = [hit for hit in hits if not is_itself(hit.document.id, query_id, judgments)][:k]
    try:
        scores = without_ties([hit.score for hit in kept])
    except ValueError as error:
        raise ValueError(f"query {query_id!r}: {error}") from None
    run = dict(zip((hit.document.id for hit in kept), scores, strict=True))
    if len(run) < len(kept):
        raise ValueError(f"query {query_id!r}: the retriever returned a document twice")
    return run


def _fit(retriever: FitsAndSearches, corpus: Corpus) -> float:
    """Fit the retriever to the corpus unless it is. Returns the seconds that this took."""
    started = time.perf_counter()
    known = corpus_of(retriever)
    if known is None:
        retriever.fit(corpus)
    elif not _same(known, corpus):
        # To fit again costs an index in memory some seconds, but a database or a server its documents.
        if getattr(retriever, "is_external", False):
            raise ValueError(
                f"{type(retriever).__name__} holds another corpus, of {len(known):,} documents, which fitting it to "
                "the dataset's would delete: give one with a database file or an index of its own, or call "
                "fit(dataset.corpus) yourself first"
            )
        retriever.fit(corpus)
    return time.perf_counter() - started


def _same(corpus: Corpus, other: Corpus) -> bool:
    """An index that was loaded holds another Corpus object with the same documents: no reason to build it again."""
    same = lambda a, b: (a.id, a.content) == (b.id, b.content)  # metadata may come back as lists for tuples
    return corpus is other or (len(corpus) == len(other) and all(map(same, corpus, other)))


def _check_same_kind(what: str, ids: Iterable[object], judged: Iterable[object]) -> None:
    """5 is another id than "5": such a run would score 0 without a word."""
    expected, *others = judged
    for id in chain(others, ids):
        if isinstance(id, str) is not isinstance(expected, str):
            kinds = f"{id!r} is {type(id).__name__}, {expected!r} is {type(expected).__name__}"
            raise ValueError(f"the {what} ids of the run and of the qrels must be of one type, as strings: {kinds}")


def evaluate_run(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]] | Dataset,
    *,
    metrics: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
) -> Result:
    """Score a run that any system has made, such as one from `read_run`.

    Documents are ranked as trec_eval does (see `trec_order`); the mean is over all queries of the qrels that have
    judgments, those missing from the run counting 0. A document with the id of the query itself is left out unless it
    is judged, as in `evaluate`. Otherwise this equals ir_measures, with one exception: where a run has ties,
    ir_measures breaks them the other way round for RR@k and Judged@k, because other programs compute these two.

    Parameters
    ----------
    run
        {query id: {document id: score}}.
    qrels
        {query id: {document id: grade}}, or a dataset that has them.
    metrics
        As in `evaluate`.

    Raises
    ------
    ValueError
        When there are no judgments, or none for any query of the run; when ids of the run are strings and those of the
        judgments are not, or the other way round; and for scores that are not finite.
    """
    metrics = ranking_metrics(metrics)
    judged = judged_queries(qrels.qrels if isinstance(qrels, Dataset) else qrels)
    check_numbers("a run", "score", run)
    if run and not run.keys() & judged.keys():
        raise ValueError(
            f"no query of the run has judgments: its query ids look like {next(iter(run))!r}, "
            f"those of the qrels like {next(iter(judged))!r}"
        )
    _check_same_kind("query", run, judged)
    _check_same_kind("document", chain.from_iterable(run.values()), chain.from_iterable(judged.values()))
    others = {
        query_id: {id: score for id, score in scores.items() if not is_itself(id, query_id, judged.get(query_id, {}))}
        for query_id, scores in run.items()
    }
    return Result(score_rankings(metrics, judged, others), others)
