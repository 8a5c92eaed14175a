"""Several systems on the same questions: one table with intervals, and which differences are real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from ragedu.corpus import Dataset
from ragedu.evaluation.asking import evaluate_answers
from ragedu.evaluation.experiment import evaluate
from ragedu.evaluation.result import Interrupted, Result, kept_result
from ragedu.evaluation.scoring import ANSWER_METRICS
from ragedu.evaluation.significance import Interval, PairedTest, bootstrap_interval, holm, paired_test
from ragedu.showing import escape, one_line


class Row(NamedTuple):
    """One line of the table.

    `test` compares with the baseline, on the questions that both have; its p-value is corrected for the number of
    systems. It is None for the baseline itself.
    """

    metric: str
    system: str
    n_queries: int
    interval: Interval
    test: PairedTest | None


class Comparison(dict[str, Result]):
    """{system: Result}, shown as one table: 95 % bootstrap intervals, and each system's difference to the baseline with
    its paired randomisation test.

    results: of `evaluate`, `evaluate_answers` or `evaluate_run`, on the same questions. against: the baseline, by
    default the first. Choose it before you look: the best of many looks better than it is. p-values are corrected for
    the number of systems that are compared with it, for each metric on its own (`holm`).
    """

    def __init__(self, results: Mapping[str, Result], *, against: str | None = None) -> None:
        super().__init__(results)
        if not self:
            raise ValueError("there is nothing to compare: give at least one system")
        self.against = next(iter(self)) if against is None else against
        self.missing: list[str] = []  # systems that an interruption or an error has left
        if self.against not in self:
            raise ValueError(f"the baseline {self.against!r} is not one of the systems: {', '.join(self)}")

    @property
    def _compares(self) -> bool:
        return len(self) > 1 and self.against in self  # an interruption may have come before the baseline

    @property
    def interrupted(self) -> bool:
        return bool(self.missing) or any(result.unfinished for result in self.values())

    @cached_property
    def rows(self) -> list[Row]:
        """The table's lines, metric by metric; `pandas.DataFrame(comparison.rows)` makes a frame of them."""
        metrics = dict.fromkeys(metric for result in self.values() for metric in result)
        return [row for metric in metrics for row in self._rows_of(metric)]

    def _rows_of(self, metric: str) -> list[Row]:
        values = {name: result.per_query[metric] for name, result in self.items() if metric in result}
        tests = self._tests(values)
        return [
            Row(metric, name, len(of_system), bootstrap_interval(of_system.values()), tests.get(name))
            for name, of_system in values.items()
        ]

    def _tests(self, values: Mapping[str, Mapping[str, float]]) -> dict[str, PairedTest]:
        """Each system against the baseline, on the questions that both have, with corrected p-values."""
        baseline = values.get(self.against, {})
        tests = {}
        for name, of_system in values.items():
            both = [query_id for query_id in of_system if query_id in baseline]
            if name != self.against and both:
                tests[name] = paired_test([of_system[q] for q in both], [baseline[q] for q in both])
        corrected = holm([test.p_value for test in tests.values()])
        return {name: test._replace(p_value=p) for (name, test), p in zip(tests.items(), corrected, strict=True)}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["metric", "system", "mean", "95 % interval"]
        if self._compares:
            header += [f"difference to {self.against}", "p"]
        rows, last = [], None
        for metric, system, _, interval, test in self.rows:
            row = ["" if metric == last else metric, system]
            row += [f"{interval.mean:.4f}", f"[{interval.low:.4f}, {interval.high:.4f}]"]
            if self._compares:
                row += [f"{test.difference:+.4f} [{test.low:+.4f}, {test.high:+.4f}]", _p(test)] if test else ["", ""]
            rows.append(row)
            last = metric
        return header, rows

    def _notes(self) -> list[str]:
        counts = sorted({row.n_queries for row in self.rows}) or [0]
        notes = [f"mean over {' to '.join(f'{n:,}' for n in (counts[0], counts[-1])[: len(counts)])} queries"]
        others = len(self) - 1
        if self._compares:
            corrected = f", corrected for {others} comparisons (Holm)" if others > 1 else ""
            notes[0] += f"; p by paired randomisation against {self.against}{corrected}"
        left = [f"{name} lacks {result.unfinished:,} queries" for name, result in self.items() if result.unfinished]
        left += [f"{name} was not run" for name in self.missing]
        return [*notes, f"interrupted: {', '.join(left)}"] if left else notes

    def __repr__(self) -> str:
        header, rows = self._cells()
        table = [[one_line(cell) for cell in row] for row in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        return "\n".join([*lines, *map(one_line, self._notes())])

    def _repr_html_(self) -> str:
        header, rows = self._cells()
        left = "style='text-align:left'"
        head = "".join(f"<th {left}>{escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td {left}>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self._notes())
        return f"<table><tr>{head}</tr>{body}</table>{notes}"


def compare(
    systems: Mapping[str, object],
    dataset: Dataset,
    *,
    metrics: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
    against: str | None = None,
    k: int | None = None,
    progress: bool | str = True,
) -> Comparison:
    """Run several systems on one dataset: `compare({"BM25": BM25Retriever(), "dense": DenseRetriever()}, dataset)`.

    When somebody presses stop or Ctrl-C, the comparison comes back with what is done: systems that are finished, the
    queries that one had got to, and at its foot what is missing (`comparison.interrupted`). Only if nothing at all is
    done does the interruption pass through. An error of a system passes, with what is done as its `comparison`.

    Parameters
    ----------
    systems
        {name: retriever}, each scored by `evaluate`; or {name: RAG or function}, scored by `evaluate_answers`, with
        metrics such as ("exact_match", "f1").
    dataset
        A corpus with queries and relevance judgments, or with answers.
    metrics, k
        As in `evaluate` and `evaluate_answers`.
    against
        The system that all others are compared with, by default the first.
    progress
        Show a progress bar over the systems, titled "systems" or with this string, and one for each of them.

    Raises
    ------
    ValueError
        For no systems, an unknown baseline or metric, and what `evaluate` raises.
    """
    if not isinstance(systems, Mapping):
        raise TypeError("systems is a dictionary, name: retriever, as in {'BM25': BM25Retriever()}")
    if against is not None and against not in systems:
        raise ValueError(f"the baseline {against!r} is not one of the systems: {', '.join(systems)}")
    results: dict[str, Result] = {}
    try:
        for name, system in _with_bar(systems, progress):
            results[name] = _run(name, system, dataset, metrics, k, progress=name if progress else False)
    except Interrupted as stopped:
        results[name] = stopped.result
    except KeyboardInterrupt:
        if not results:
            raise
    except Exception as error:
        if (result := kept_result(error)) is not None:
            results[name] = result
        if results:
            vars(error)["comparison"] = _compared(results, systems, against)
            error.add_note(f"{name!r} failed; the systems that are done are the `comparison` of this error")
        raise
    return _compared(results, systems, against)


def _compared(results: Mapping[str, Result], systems: Mapping[str, object], against: str | None) -> Comparison:
    comparison = Comparison(results)
    # The baseline was chosen before anybody looked: where it was not run, no other takes its place.
    comparison.against = next(iter(systems)) if against is None else against
    comparison.missing = [name for name in systems if name not in results]
    return comparison


def _with_bar(systems: Mapping[str, object], progress: bool | str) -> Iterable[tuple[str, object]]:
    title = progress if isinstance(progress, str) else "systems"
    return tqdm(systems.items(), desc=title, unit=" systems", disable=not progress)


def _run(
    name: str, system: Any, dataset: Dataset, metrics: Sequence[str], k: int | None, *, progress: str | bool
) -> Result:
    if hasattr(system, "search_many"):
        return evaluate(system, dataset, metrics=metrics, k=k, progress=progress)
    if not (hasattr(system, "ask") or callable(system)):
        raise TypeError(f"{name!r} is a {type(system).__name__}: a system is a retriever, a RAG or a function")
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not ANSWER_METRICS.keys() & set(names):
        raise ValueError(f"{name!r} answers questions: name a metric of answers, {', '.join(ANSWER_METRICS)}")
    return evaluate_answers(system, dataset, metrics=names, progress=progress)


def _p(test: PairedTest) -> str:
    return f"{test.p_value:.4f}" if test.p_value >= 0.001 else "< 0.001"
