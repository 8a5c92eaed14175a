"""What an experiment has found, whether it was finished or ended early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean
from typing import ClassVar, Protocol

from tqdm.auto import tqdm

from ragedu.showing import escape, one_line


class Result(dict[str, float]):
    """{metric: mean over queries}, with what it was computed from.

    Attributes
    ----------
    per_query
        {metric: {query id: value}}, in the order of the qrels.
    run
        {query id: {document id: score}}: what was found, or the sources of an answer.
    seconds
        {"index": …, "search": …} or {"answer": …}; empty when nothing was searched.
    answers
        {query id: text}: what a system that answers has said.
    unfinished
        How many queries an interruption or an error has left.
    """

    def __init__(
        self,
        per_query: dict[str, dict[str, float]],
        run: Mapping[str, Mapping[str, float]],
        *,
        seconds: dict[str, float] | None = None,
        answers: Mapping[str, str] | None = None,
        unfinished: int = 0,
    ) -> None:
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
        shown = [(one_line(metric), mean) for metric, mean in self.items()]
        width = max((len(metric) for metric, _ in shown), default=0)
        rows = [f"{metric:<{width}}  {mean:.4f}" for metric, mean in shown]
        return "\n".join([*rows, self._count()])

    def _count(self) -> str:
        left = f" (interrupted: {self.unfinished:,} more were to come)" if self.unfinished else ""
        return f"mean over {self.n_queries:,} queries{left}"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(metric)}</td><td>{mean:.4f}</td></tr>"
            for metric, mean in self.items()
        )
        header = f"<tr><th>metric</th><th>{self._count()}</th></tr>"
        return f"<table>{header}{rows}</table>"


class Interrupted(KeyboardInterrupt):
    """Somebody stopped an evaluation; `result` is what was done. (In Jupyter: `sys.last_value.result`.)"""

    def __init__(self, result: Result, *, resume: str = "run=result.run") -> None:
        super().__init__(_what_is_done(result, resume))
        self.result = result


class Experiment(Protocol):
    """An experiment under way. `resume`: the arguments of a later call that go on from its result."""

    resume: ClassVar[str]

    @property
    def n_done(self) -> int: ...

    @property
    def left(self) -> list[str]: ...

    def add(self, query_ids: list[str], /) -> None: ...

    def result(self) -> Result: ...


def go_through(experiment: Experiment, size: int, title: str, progress: bool | str) -> None:
    """Take the queries that are left through the experiment, `size` at a time."""
    left = experiment.left
    title = progress if isinstance(progress, str) else title
    with tqdm(total=len(left), desc=title, unit=" queries", disable=not progress) as bar:
        for start in range(0, len(left), size):
            batch = left[start : start + size]
            experiment.add(batch)
            bar.update(len(batch))


@contextmanager
def keep_what_is_done(experiment: Experiment) -> Iterator[None]:
    """What ends the block early takes along the result of the queries that are done, which may have taken hours.

    Stop or Ctrl-C becomes `Interrupted`. An error stays what it is, with that result as its `result` and a note that
    says so. Where nothing is done yet, both pass as they are.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not experiment.n_done:
            raise
        raise Interrupted(experiment.result(), resume=experiment.resume) from None
    except Exception as error:
        if experiment.n_done:
            result = experiment.result()
            vars(error)["result"] = result
            error.add_note(_what_is_done(result, experiment.resume))
        raise


def kept_result(error: Exception) -> Result | None:
    """The result that `keep_what_is_done` has given to an error; None where nothing was done."""
    result = vars(error).get("result")
    return result if isinstance(result, Result) else None


def _what_is_done(result: Result, resume: str) -> str:
    done = len(result.answers) or result.n_queries
    return (
        f"{done:,} of {done + result.unfinished:,} queries are done: their scores are the `result` of this error "
        f"(in Jupyter: sys.last_value.result), and {resume} goes on from there"
    )
