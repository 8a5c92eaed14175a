"""Runs and relevance judgments as the files that every retrieval evaluation tool reads (TREC format).

A run, {query id: {document id: score}}, is what a system answered; qrels, {query id: {document id: grade}}, is what
people judged. Their files have one line a document, with columns separated by white space:

    run     query-id  Q0  document-id  rank  score  tag
    qrels   query-id  0   document-id  grade
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from numbers import Real
from pathlib import Path

import numpy as np

from ragedu.corpus import check_text
from ragedu.readers.text_files import path_from, read_lines, whole_number


def trec_order(scores: Mapping[str, float]) -> list[str]:
    """The document ids of one query's {document id: score} in the order in which trec_eval ranks them.

    Score descending, compared in *single precision* because trec_eval stores it so; equal scores by document id,
    descending. Ranks in a run file are ignored. Raises ValueError for a score that is not a finite number: it has no
    place in an order.
    """
    values = np.fromiter(scores.values(), dtype=float, count=len(scores))
    if not np.isfinite(values).all():
        wrong = next(document_id for document_id, score in scores.items() if not isfinite(score))
        raise ValueError(f"document {wrong!r}: the score {scores[wrong]!r} is not a finite number")
    with np.errstate(over="ignore"):
        single = values.astype(np.float32).tolist()
    return [document_id for _, document_id in sorted(zip(single, scores, strict=True), reverse=True)]


def without_ties(scores: Sequence[float]) -> list[float]:
    """Scores in descending order, with each tie broken in favour of the earlier one by the smallest step there is.

    Evaluation tools disagree about ties: trec_eval puts the later document id first, MS MARCO's script (which
    ir_measures uses for RR@k) the earlier one, and neither asks in which order the system showed them. Scores
    that are distinct, in single precision too, leave no room: every tool ranks the documents as they were shown.
    (Anserini does the same when it writes a run.) A score that ties with nothing is returned unchanged.

    Raises ValueError for scores that rise, or that are not finite in single precision.
    """
    double = np.asarray(scores, dtype=np.float64)
    with np.errstate(over="ignore"):
        single = double.astype(np.float32)
    if not np.isfinite(single).all():
        position = int(np.argmin(np.isfinite(single)))
        raise ValueError(
            f"score {scores[position]!r} at rank {position + 1} is not a finite number in single precision"
        )
    if (double[1:] > double[:-1]).any():
        position = int(np.argmax(double[1:] > double[:-1])) + 1
        raise ValueError(
            f"the score at rank {position + 1} ({scores[position]!r}) is above the one before "
            f"({scores[position - 1]!r}): sort by score, highest first"
        )
    if (single[1:] < single[:-1]).all():
        return double.tolist()
    kept, last = [], np.inf
    for score, in_single in zip(double.tolist(), single.tolist(), strict=True):
        if in_single >= last:
            score = in_single = float(np.nextafter(np.float32(last), np.float32(-np.inf)))
        kept.append(score)
        last = in_single
    return kept


def write_run(run: Mapping[str, Mapping[str, float]], path: str | Path, *, tag: str = "ragedu") -> None:
    """Write a run; `read_run` gives back exactly the same scores. Ranks are those of `trec_order`.

    A query for which nothing was found leaves no line: tools count it 0, as they should, from the qrels.

    Raises ValueError for ids with white space (the columns would shift) and for scores that are not finite.
    """
    tag = _column(tag, "the tag")
    lines = []
    for query_id, scores in run.items():
        query_column = _column(query_id, "query id")
        for document_id, score in scores.items():
            _column(document_id, f"query {query_id!r}: document id")
            if not _is_finite(score):
                raise ValueError(f"query {query_id!r}, document {document_id!r}: {score!r} is not a finite score")
        for rank, document_id in enumerate(trec_order(scores), start=1):
            # repr of a Python float is the shortest text that reads back as the same number.
            exact = repr(float(scores[document_id]))
            lines.append(f"{query_column} Q0 {document_id} {rank} {exact} {tag}\n")
    _write(path, lines)


def read_run(path: str | Path) -> dict[str, dict[str, float]]:
    """Read a run: {query id: {document id: score}}. The rank column is ignored: the score decides, as in trec_eval.

    Raises ValueError, naming file and line, for lines without six columns, scores that are not finite numbers and
    a document listed twice for a query.
    """
    run: dict[str, dict[str, float]] = {}
    for place, columns in _rows(path, "query-id Q0 document-id rank score tag"):
        query_id, _, document_id, _, text, _ = columns
        try:
            score = float(text)
        except ValueError:
            score = float("nan")
        if not isfinite(score):
            raise ValueError(f"{place}: the score {text!r} is not a finite number")
        if document_id in run.setdefault(query_id, {}):
            raise ValueError(f"{place}: document {document_id!r} appears a second time for query {query_id!r}")
        run[query_id][document_id] = score
    return run


def write_qrels(qrels: Mapping[str, Mapping[str, int]], path: str | Path) -> None:
    """Write relevance judgments. Raises ValueError for ids with white space and grades that aren't whole numbers."""
    lines: list[str] = []
    for query_id, judgments in qrels.items():
        for document_id, grade in judgments.items():
            if not _is_finite(grade) or int(grade) != grade:
                raise ValueError(f"query {query_id!r}, document {document_id!r}: grade {grade!r} is not a whole number")
            query_column = _column(query_id, "query id")
            document_column = _column(document_id, f"query {query_id!r}: document id")
            lines.append(f"{query_column} 0 {document_column} {int(grade)}\n")
    _write(path, lines)


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Read relevance judgments: {query id: {document id: grade}}.

    Raises ValueError, naming file and line, for lines without four columns, grades that aren't whole numbers and
    a document judged twice for a query.
    """
    qrels: dict[str, dict[str, int]] = {}
    for place, columns in _rows(path, "query-id 0 document-id grade"):
        query_id, _, document_id, text = columns
        try:
            grade = whole_number(text)
        except ValueError:
            raise ValueError(f"{place}: the grade {text!r} is not a whole number") from None
        if document_id in qrels.setdefault(query_id, {}):
            raise ValueError(f"{place}: document {document_id!r} is judged a second time for query {query_id!r}")
        qrels[query_id][document_id] = grade
    return qrels


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and isfinite(value)


def check_run_ids(query_ids: Iterable[str], document_ids: Iterable[str]) -> None:
    """Raise the ValueError of `write_run` for ids with white space: before a search, which may take long."""
    for what, ids in (("query id", query_ids), ("document id", document_ids)):
        for id in ids:
            _column(id, what)


def check_target(path: str | Path) -> None:
    """Raise the OSError of `write_run` if no file can be written there, by writing an empty one under another name."""
    path = path_from(path)
    temporary = _temporary(path)
    try:
        is_folder = path.is_dir()
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise type(error)(f"{path} cannot be written: {error.strerror}") from None
    if is_folder:
        raise IsADirectoryError(f"{path} is a folder: give the name of a file in it")


def _column(text: str, what: str) -> str:
    if check_text(text, what).split() != [text]:
        raise ValueError(f"{what} {text!r} is empty or has white space, which separates the columns of a TREC file")
    return text


def _rows(path: str | Path, columns: str) -> Iterable[tuple[str, list[str]]]:
    for number, line in read_lines(path_from(path)):
        row = line.split()
        if len(row) != len(columns.split()):
            raise ValueError(f"{path}, line {number}: {len(row)} columns where there must be: {columns}")
        yield f"{path}, line {number}", row


def _write(path: str | Path, lines: Iterable[str]) -> None:
    """Write to a temporary name and rename, so that an interrupted write never leaves half a file."""
    path = path_from(path)
    if not os.path.isdir(path.parent):  # unlike Path.is_dir, no error of its own for a name that is too long
        raise FileNotFoundError(f"there is no folder {path.parent} for {path.name}: make it first")
    temporary = _temporary(path)
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
        temporary.replace(path)
    except OSError as error:
        raise type(error)(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")
