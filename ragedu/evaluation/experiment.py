"""An experiment: run one system on a dataset's queries and average the metrics over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Dataset
from ragedu.evaluation.answers import exact_match, f1
from ragedu.evaluation.overlap import rouge_l
from ragedu.evaluation.ranking import parse
from ragedu.evaluation.runs import trec_order, without_ties
from ragedu.evaluation.support import cut_from
from ragedu.generation.prompts import ABSTAIN
from ragedu.retrieval.base import Hits, Retriever

DEPTH = 1000  # documents retrieved for a metric without a cutoff, as is usual at TREC
BATCH = 64  # queries between two steps of the progress bar
ANSWER_METRICS = {"exact_match": exact_match, "f1": f1, "rouge_l": rouge_l}


class Result(dict[str, float]):
    """{metric: mean over queries}, with what it was computed from.

    per_query: {metric: {query id: value}}, in the order of the qrels; run: {query id: {document id: score}};
    seconds: {"index": …, "search": …} or {"answer": …}, empty when nothing was searched; answers: {query id: text},
    what a system that answers has said; unfinished: how many queries an interruption has left.
    """

    def __init__(
        self,
        per_query: dict[str, dict[str, float]],
        run: Mapping[str, Mapping[str, float]],
        seconds: dict[str, float] | None = None,
        answers: Mapping[str, str] | None = None,
        unfinished: int = 0,
    ):
        super().__init__({metric: fmean(values.values()) for metric, values in per_query.items()})
        self.per_query = per_query
        self.run = run
        self.seconds = seconds or {}
        self.answers = answers or {}
        self.unfinished = unfinished

    @property
    def n_queries(self) -> int:
        return max((len(values) for values in self.per_query.values()), default=0)

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        rows = [f"{metric:<{width}}  {mean:.4f}" for metric, mean in self.items()]
        return "\n".join([*rows, self._count()])

    def _count(self) -> str:
        left = f" (interrupted: {self.unfinished:,} more were to come)" if self.unfinished else ""
        return f"mean over {self.n_queries:,} queries{left}"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{metric}</td><td>{mean:.4f}</td></tr>" for metric, mean in self.items()
        )
        header = f"<tr><th>metric</th><th>{self._count()}</th></tr>"
        return f"<table>{header}{rows}</table>"


class Interrupted(KeyboardInterrupt):
    """Somebody stopped an evaluation; `result` is what was done. (In Jupyter: `sys.last_value.result`.)"""

    def __init__(self, result: Result, resume: str = "run=result.run"):
        super().__init__(_what_is_done(result, resume))
        self.result = result


def _what_is_done(result: Result, resume: str) -> str:
    done = len(result.answers) or result.n_queries
    return (
        f"{done:,} of {done + result.unfinished:,} queries are done: their scores are the `result` of this error "
        f"(in Jupyter: sys.last_value.result), and {resume} goes on from there"
    )


def evaluate(
    retriever: Retriever,
    dataset: Dataset,
    metrics: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
    k: int | None = None,
    progress: bool | str = True,
    run: Mapping[str, Mapping[str, float]] | None = None,
) -> Result:
    """Search for every judged query of the dataset and score the rankings.

    retriever: fitted to the dataset's corpus here unless it already is; but one that keeps other documents in a
        database file or on a server is refused, for fitting it would delete these.
    metrics: names as `ragedu.evaluation.ranking.parse` reads them: those of ir_measures, lower case.
    k: documents retrieved a query; by default the largest cutoff among the metrics, 1,000 where one has none.
    progress: show a progress bar, on standard error or as a widget; a string is its title.
    run: what an interrupted call has found already, with the same retriever and k; its queries are not searched again.

    Queries without judgments are left out (nobody knows what would be right); queries for which nothing was
    found, or whose judged documents are all irrelevant, count 0. A document with the id of the query itself is
    not counted as found, unless it is judged: some collections take their queries from the corpus.

    What is scored is the ranking as the retriever returned it. `result.run` holds it with ties broken as in
    `without_ties`, so ir_measures and trec_eval compute the same figures from `write_run(result.run, …)`.

    Raises ValueError when the dataset has no judgments, for an unknown metric, for k below a metric's cutoff and
    for a retriever that returns a document twice or out of order; and Interrupted, which holds the result of the
    queries that are done, when somebody presses stop or Ctrl-C. An error on the way, such as a server that goes down,
    holds it too, as its `result`.
    """
    metrics = _names(metrics)
    depth = _depth(metrics, k)
    judged = _judged(dataset.qrels)

    started = time.perf_counter()
    if retriever.corpus is None or not _same(retriever.corpus, dataset.corpus):
        _check_replaceable(retriever)
        retriever.fit(dataset.corpus)
    indexed = time.perf_counter()

    # One more where a query may find itself, so that k documents are left when that one is dropped.
    spare = any(query_id in dataset.corpus for query_id in judged)
    run = {query_id: dict(scores) for query_id, scores in (run or {}).items() if query_id in judged}
    query_ids = [query_id for query_id in judged if query_id not in run]

    def result() -> Result:
        done = {query_id: judgments for query_id, judgments in judged.items() if query_id in run}
        seconds = {"index": indexed - started, "search": time.perf_counter() - indexed}
        return Result(_per_query(metrics, done, run), run, seconds, unfinished=len(judged) - len(done))

    try:
        with _bar(progress, "searching", len(query_ids)) as bar:
            for start in range(0, len(query_ids), BATCH):
                batch = query_ids[start : start + BATCH]
                found = retriever.search_many([dataset.queries[query_id] for query_id in batch], depth + spare)
                # All of a batch or nothing: an interruption leaves no query half done.
                run |= {
                    query_id: _scores(query_id, hits, judged[query_id], depth)
                    for query_id, hits in zip(batch, found, strict=True)
                }
                bar.update(len(batch))
    except KeyboardInterrupt:
        if not run:
            raise
        raise Interrupted(result()) from None
    except Exception as error:
        if run:
            _keep(error, result(), "run=result.run")
        raise
    return result()


def evaluate_answers(
    system: Callable[[str], str] | Mapping[str, str],
    dataset: Dataset,
    metrics: Sequence[str] = ("exact_match", "f1"),
    progress: bool | str = True,
    answers: Mapping[str, str] | None = None,
    run: Mapping[str, Mapping[str, float]] | None = None,
) -> Result:
    """Ask every question of the dataset that has an entry in its answers, and score what the system says.

    system: a RAG (whatever has `ask`, or `ask_many`, giving answers with `text` and `sources`), a function from a
        question to a text, or {query id: text}, what any system has said.
    metrics: exact_match, f1 and rouge_l of the text; and, where there are sources, ranking metrics of these, such as
        success@3: then one table shows what was found and what was read. Ranking metrics leave out the questions
        without judgments, as in `evaluate`; answer metrics count every question, also the unanswerable ones.
    answers, run: those of the result of an interrupted call: what was said, which is not asked again, and its sources.

    Returns a Result: `answers` has the texts, `run` the sources, in their order. A passage that `ragedu.text.chunk` has
    cut counts as its document, unless it is itself in the dataset's corpus. A question without a prediction counts 0;
    one that a RAG's retriever refuses, as having no words to search for, is an abstention.

    Raises ValueError when the dataset has no answers, for unknown metrics and where none can be measured; Interrupted
    as `evaluate` does, and an error on the way holds its `result` too.
    """
    metrics = _names(metrics, answered=True)
    if not dataset.answers:
        raise ValueError("the dataset has no answers: without them no answer can be scored")
    started = time.perf_counter()
    texts = {query_id: text for query_id, text in (answers or {}).items() if query_id in dataset.answers}
    run = {query_id: dict(scores) for query_id, scores in (run or {}).items() if query_id in texts}

    def result() -> Result:
        done = dataset.answers if isinstance(system, Mapping) else {q: dataset.answers[q] for q in texts}
        judged = {q: dataset.qrels[q] for q in done if dataset.qrels.get(q)}
        # A system that shows no sources is not measured by them.
        per_query = _per_query([name for name in metrics if name not in ANSWER_METRICS], judged, run) if run else {}
        for name in metrics:
            if name in ANSWER_METRICS:
                score = ANSWER_METRICS[name]
                per_query[name] = {q: score(texts[q], wanted) if q in texts else 0.0 for q, wanted in done.items()}
        per_query = {name: per_query[name] for name in metrics if per_query.get(name)}
        seconds = {} if isinstance(system, Mapping) else {"answer": time.perf_counter() - started}
        return Result(per_query, run, seconds, texts, unfinished=len(dataset.answers) - len(done))

    if isinstance(system, Mapping):
        texts |= {query_id: system[query_id] for query_id in dataset.answers if query_id in system}
        return _measured(result(), metrics)
    query_ids = [query_id for query_id in dataset.answers if query_id not in texts]
    resume = "answers=result.answers, run=result.run"
    size = 16 if hasattr(system, "ask_many") else 1
    try:
        with _bar(progress, "answering", len(query_ids)) as bar:
            for start in range(0, len(query_ids), size):
                batch = query_ids[start : start + size]
                said = _ask(system, [dataset.queries[query_id] for query_id in batch])
                for query_id, answer in zip(batch, said, strict=True):
                    text = answer if isinstance(answer, str) else getattr(answer, "text", None)
                    if not isinstance(text, str):
                        raise TypeError(f"query {query_id!r}: the system gave no text, but a {type(answer).__name__}")
                    if hasattr(answer, "sources"):
                        run[query_id] = _sources(answer.sources, dataset.corpus)
                    texts[query_id] = text
                bar.update(len(batch))
        return _measured(result(), metrics)
    except KeyboardInterrupt:
        if not texts:
            raise
        raise Interrupted(result(), resume) from None
    except Exception as error:
        if texts:
            _keep(error, result(), resume)
        raise


def _keep(error: Exception, result: Result, resume: str) -> None:
    """What took minutes or hours is not lost with what failed."""
    error.result = result
    error.add_note(_what_is_done(result, resume))


def _measured(result: Result, metrics: Sequence[str]) -> Result:
    if not result:
        raise ValueError(
            f"nothing was measured: {', '.join(metrics)} needs sources with relevance judgments, and either the system "
            f"shows no sources or they have no judgments; name a metric of answers: {', '.join(ANSWER_METRICS)}"
        )
    return result


def _ask(system, questions: list[str]) -> Sequence:
    if not hasattr(system, "ask_many"):
        return [system.ask(question) if hasattr(system, "ask") else system(question) for question in questions]
    try:
        return list(system.ask_many(questions))
    except ValueError:
        # A RAG refuses a question of stop words to a person, who can ask another. Here the other questions go on.
        refused = {question for question in questions if _refused(system, question)}
        if not refused:
            raise
        said = iter(system.ask_many([question for question in questions if question not in refused]))
        return [ABSTAIN if question in refused else next(said) for question in questions]


def _refused(system, question: str) -> bool:
    try:
        system.retriever.search(question, 1)
    except ValueError:
        return True
    except AttributeError:  # no RAG of ours
        pass
    return False


def _sources(hits: Hits, corpus: Corpus) -> dict[str, float]:
    """The part of a run that an answer's sources are: {document id: 1 / rank}, by the first passage of a document."""
    scores: dict[str, float] = {}
    for rank, hit in enumerate(hits, start=1):
        document_id = hit.document.id if hit.document.id in corpus else cut_from(hit.document)
        scores.setdefault(document_id, 1.0 / rank)
    return scores


def evaluate_run(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Mapping[str, int]],
    metrics: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
) -> Result:
    """Score a run that any system has made, such as one from `read_run`.

    Documents are ranked as trec_eval does (see `trec_order`); the mean is over all queries of the qrels that have
    judgments, those missing from the run counting 0. A document with the id of the query itself is left out unless it
    is judged, as in `evaluate`. Otherwise this equals ir_measures, with one exception: where a run has ties,
    ir_measures breaks them the other way round for RR@k and Judged@k, because other programs compute these two.

    Raises ValueError when there are no judgments, or none for any query of the run, and for scores that are not finite.
    """
    metrics = _names(metrics)
    qrels = _judged(qrels)
    if run and not run.keys() & qrels.keys():
        raise ValueError(
            f"no query of the run has judgments: its query ids look like {next(iter(run))!r}, "
            f"those of the qrels like {next(iter(qrels))!r}"
        )
    run = {
        query_id: {id: score for id, score in scores.items() if not _is_itself(id, query_id, qrels.get(query_id, {}))}
        for query_id, scores in run.items()
    }
    return Result(_per_query(metrics, qrels, run), run)


def _is_itself(document_id: str, query_id: str, judgments: Mapping[str, int]) -> bool:
    """Some collections take their queries from the corpus, and such a query is not to find itself."""
    return document_id == query_id and document_id not in judgments


def _per_query(metrics: Sequence[str], qrels: Mapping, run: Mapping) -> dict[str, dict[str, float]]:
    rankings = {query_id: trec_order(run.get(query_id, {})) for query_id in qrels}
    per_query = {}
    for metric in metrics:
        score, _ = parse(metric)
        per_query[metric] = {query_id: score(rankings[query_id], qrels[query_id]) for query_id in qrels}
    return per_query


def _judged(qrels: Mapping[str, Mapping[str, int]]) -> dict[str, Mapping[str, int]]:
    judged = {query_id: judgments for query_id, judgments in qrels.items() if judgments}
    if not judged:
        raise ValueError("there are no relevance judgments (qrels): without them nothing can be evaluated")
    return judged


def _bar(progress: bool | str, title: str, total: int) -> tqdm:
    title = progress if isinstance(progress, str) else title
    return tqdm(total=total, desc=title, unit="query", disable=not progress)


def _names(metrics: Sequence[str], answered: bool = False) -> list[str]:
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not names:
        raise ValueError("name at least one metric, such as ndcg@10")
    names = [name.lower() if str(name).lower() in ANSWER_METRICS else name for name in names]
    for name in names:
        if name in ANSWER_METRICS and not answered:
            raise ValueError(
                f"{name} scores answers, and a retriever gives none: name a metric of rankings, such as ndcg@10 "
                "(for systems that answer, in Python, use evaluate_answers, or compare)"
            )
        if name not in ANSWER_METRICS:
            try:
                parse(name)
            except ValueError as error:
                also = f"; for answers there are {', '.join(ANSWER_METRICS)}" if answered else ""
                raise ValueError(f"{error}{also}") from None
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
    same = lambda a, b: (a.id, a.content) == (b.id, b.content)  # metadata may come back as lists for tuples
    return corpus is other or (len(corpus) == len(other) and all(map(same, corpus, other)))


def _check_replaceable(retriever: Retriever) -> None:
    """To fit a retriever anew costs an index in memory some seconds, but a database or a server its documents."""
    if retriever.corpus is None:
        return
    from ragedu.retrieval.engine import EngineRetriever  # here, for it takes scipy along

    if isinstance(retriever, EngineRetriever) and getattr(retriever, "path", None) != ":memory:":
        raise ValueError(
            f"{type(retriever).__name__} holds another corpus, of {len(retriever.corpus):,} documents, which fitting "
            "it to the dataset's would delete: give one with a database file or an index of its own, or call "
            "fit(dataset.corpus) yourself first"
        )


def _scores(query_id: str, hits: Hits, judgments: Mapping[str, int], k: int) -> dict[str, float]:
    """One query's part of the run: {document id: score}, in the order of the hits."""
    kept = [hit for hit in hits if not _is_itself(hit.document.id, query_id, judgments)][:k]
    try:
        scores = without_ties([hit.score for hit in kept])
    except ValueError as error:
        raise ValueError(f"query {query_id!r}: {error}") from None
    run = dict(zip((hit.document.id for hit in kept), scores, strict=True))
    if len(run) < len(kept):
        raise ValueError(f"query {query_id!r}: the retriever returned a document twice")
    return run
