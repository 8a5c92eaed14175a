"""An experiment with systems that answer: ask them the questions of a dataset and score what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from ragedu.corpus import Corpus, Dataset
from ragedu.evaluation.result import Result, go_through, keep_what_is_done
from ragedu.evaluation.scoring import ANSWER_METRICS, answer_metrics, score_rankings, score_texts
from ragedu.evaluation.support import cut_from
from ragedu.generation.prompts import ABSTAIN
from ragedu.retrieval.base import Hits

BATCH_QUESTIONS = 16  # asked between two steps of the progress bar, of a system that takes many at once


class Asks(Protocol):
    """A system with a method that answers one question, such as RAG."""

    def ask(self, question: str, /) -> Any: ...


class AsksMany(Protocol):
    """A system with a method that answers many questions, such as RAG."""

    def ask_many(self, questions: list[str], /) -> Iterable[Any]: ...


def evaluate_answers(
    system: Asks | AsksMany | Callable[[str], Any] | Mapping[str, str],
    dataset: Dataset,
    *,
    metrics: Sequence[str] = ("exact_match", "f1"),
    progress: bool | str = True,
    answers: Mapping[str, str] | None = None,
    run: Mapping[str, Mapping[str, float]] | None = None,
) -> Result:
    """Ask every question of the dataset that has an entry in its answers, and score what the system says.

    A question without a prediction counts 0; one that a RAG's retriever refuses, as having no words to search for, is
    an abstention. A passage that `ragedu.text.chunk` has cut counts as its document, unless it is itself in the
    dataset's corpus.

    Parameters
    ----------
    system
        A RAG (whatever has `ask`, or `ask_many`, giving answers with `text` and `sources`), a function from a question
        to a text, or {query id: text}, what any system has said.
    dataset
        Questions with acceptable answers.
    metrics
        exact_match, f1 and rouge_l of the text; and, where there are sources, ranking metrics of these, such as
        success@3: then one table shows what was found and what was understood. Ranking metrics leave out the questions
        without judgments, as in `evaluate`; answer metrics count every question, also the unanswerable ones.
    progress
        As in `evaluate`.
    answers, run
        Those of the result of an interrupted call: what was said, which is not asked again, and its sources.

    Returns
    -------
    Result
        Its `answers` has the texts, its `run` the sources, in their order.

    Raises
    ------
    ValueError
        When the dataset has no answers, for unknown metrics and where none can be measured.
    Interrupted
        As in `evaluate`; an error on the way holds its `result` too.
    """
    metrics = answer_metrics(metrics)
    if not dataset.answers:
        raise ValueError("the dataset has no answers: without them no answer can be scored")
    texts = {query_id: text for query_id, text in (answers or {}).items() if query_id in dataset.answers}
    sources = {query_id: dict(scores) for query_id, scores in (run or {}).items() if query_id in texts}
    if isinstance(system, Mapping):
        texts |= {query_id: system[query_id] for query_id in dataset.answers if query_id in system}
        return _measured(_score_answers(metrics, dataset, dataset.answers, texts, sources, {}), metrics)

    asking = _Asking(system, dataset, metrics, texts, sources)
    with keep_what_is_done(asking):
        go_through(asking, BATCH_QUESTIONS if hasattr(system, "ask_many") else 1, "answering", progress)
        return _measured(asking.result(), metrics)


@dataclass
class _Asking:
    """What a system has said so far: `texts`, {query id: text}, and `run`, {query id: its sources}."""

    system: Asks | AsksMany | Callable[[str], Any]
    dataset: Dataset
    metrics: Sequence[str]
    texts: dict[str, str]
    run: dict[str, dict[str, float]]
    started: float = field(default_factory=time.perf_counter)
    resume: ClassVar[str] = "answers=result.answers, run=result.run"

    @property
    def n_done(self) -> int:
        return len(self.texts)

    @property
    def left(self) -> list[str]:
        return [query_id for query_id in self.dataset.answers if query_id not in self.texts]

    def add(self, query_ids: Sequence[str]) -> None:
        said = _ask(self.system, [self.dataset.queries[query_id] for query_id in query_ids])
        for query_id, answer in zip(query_ids, said, strict=True):
            text = answer if isinstance(answer, str) else getattr(answer, "text", None)
            if not isinstance(text, str):
                raise TypeError(f"query {query_id!r}: the system gave no text, but a {type(answer).__name__}")
            if hasattr(answer, "sources"):
                self.run[query_id] = _sources(answer.sources, self.dataset.corpus)
            self.texts[query_id] = text

    def result(self) -> Result:
        seconds = {"answer": time.perf_counter() - self.started}
        return _score_answers(self.metrics, self.dataset, self.texts, self.texts, self.run, seconds)


def _score_answers(
    metrics: Sequence[str],
    dataset: Dataset,
    query_ids: Iterable[str],
    texts: Mapping[str, str],
    run: Mapping[str, Mapping[str, float]],
    seconds: dict[str, float],
) -> Result:
    """Score the texts for these questions, and their sources where the system shows any."""
    answers = {query_id: dataset.answers[query_id] for query_id in query_ids}
    judged = {query_id: dataset.qrels[query_id] for query_id in answers if dataset.qrels.get(query_id)}
    per_query = score_texts([name for name in metrics if name in ANSWER_METRICS], answers, texts)
    if run:
        per_query |= score_rankings([name for name in metrics if name not in ANSWER_METRICS], judged, run)
    measured = {name: per_query[name] for name in metrics if per_query.get(name)}
    unfinished = len(dataset.answers) - len(answers)
    return Result(measured, run, seconds=seconds, answers=texts, unfinished=unfinished)


def _measured(result: Result, metrics: Sequence[str]) -> Result:
    if not result:
        raise ValueError(
            f"nothing was measured: {', '.join(metrics)} needs sources with relevance judgments, and either the system "
            f"shows no sources or they have no judgments; name a metric of answers: {', '.join(ANSWER_METRICS)}"
        )
    return result


def _ask(system: Asks | AsksMany | Callable[[str], Any], questions: list[str]) -> list[Any]:
    """What the system says to each question: a text, or an answer that has one."""
    if hasattr(system, "ask_many"):
        return _ask_many(system, questions)
    ask: Any = getattr(system, "ask", system)
    return [ask(question) for question in questions]


def _ask_many(system: Any, questions: list[str]) -> list[Any]:
    try:
        return list(system.ask_many(questions))
    except ValueError:
        # A RAG refuses a question of stop words to a person, who can ask another. Here the other questions go on.
        refused = {question for question in questions if _refused(system, question)}
        if not refused:
            raise
        said = iter(system.ask_many([question for question in questions if question not in refused]))
        return [ABSTAIN if question in refused else next(said) for question in questions]


def _refused(system: Any, question: str) -> bool:
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
