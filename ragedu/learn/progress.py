"""What was solved at a desk, when, and after how many tries. `check` notes it; `progress()` shows it.

It is a file of the desk, `progress.jsonl`, with a line for each try until an exercise is solved:

    {"exercise": "02.idf", "time": "2026-11-30T20:51:43+00:00", "passed": false, "tries": 1}

Lines are only ever added, so two notebooks may write at the same time. A line that can't be read is passed over.
Nothing leaves the machine.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ragedu.learn.desk import find_desk
from ragedu.learn.exercise import exercises_of, lessons
from ragedu.showing import escape, visible

FILE = "progress.jsonl"
CELL = "style='text-align:left;padding:0.1em 0.8em'"


@dataclass(kw_only=True)
class Tried:
    """What a learner has done about one exercise: tries up to the right one, and when that was."""

    tries: int = 0
    solved: datetime | None = None


@dataclass(frozen=True)
class Row:
    """One exercise in the table."""

    lesson: str
    exercise: str
    title: str
    solved: str
    tries: str


@dataclass(frozen=True)
class Progress:
    """The table that `progress()` shows, for a notebook and for a terminal."""

    title: str
    _: KW_ONLY
    rows: tuple[Row, ...] = ()
    closing: str = ""

    def __repr__(self) -> str:
        table = [("lesson", "exercise", "", "solved", "tries"), *map(as_cells, self.rows)] if self.rows else []
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        return visible("\n".join([self.title, *lines, *filter(None, [self.closing])]))

    def _repr_html_(self) -> str:
        head = "".join(f"<th {CELL}>{name}</th>" for name in ("lesson", "exercise", "", "solved", "tries"))
        rows = "".join(
            "<tr>" + "".join(f"<td {CELL}>{escape(text)}</td>" for text in as_cells(row)) + "</tr>" for row in self.rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if self.rows else ""
        closing = f"<div>{escape(self.closing)}</div>" if self.closing else ""
        edge = "border-left:4px solid currentColor;padding:0.2em 0.8em"
        return f"<div style='{edge}'><strong>{escape(self.title)}</strong>{table}{closing}</div>"


def as_cells(row: Row) -> tuple[str, ...]:
    return row.lesson, row.exercise, row.title, row.solved, row.tries


def progress(*, folder: str | Path = ".") -> Progress:
    """A table of the exercises that you have tried at the desk that `folder` is or lies in."""
    desk = find_desk(Path(folder).resolve())
    if desk is None:
        return Progress("This folder is no desk: progress is kept at the desk that ragedu start lays.")
    tried, rows, solved, not_begun = read(desk), [], 0, []
    for lesson in lessons():
        exercises = exercises_of(lesson)
        if not tried.keys() & exercises.keys():
            not_begun.append(lesson)
            continue
        for name, exercise in exercises.items():
            its = tried.get(name, Tried())
            solved += its.solved is not None
            when = f"✓ {its.solved.astimezone():%Y-%m-%d %H:%M}" if its.solved else "not yet" if its.tries else ""
            rows.append(Row(lesson, name, exercise.title, when, str(its.tries or "")))
    total = sum(len(exercises_of(lesson)) for lesson in lessons())
    closing = f"Not yet begun: the exercises of {', '.join(not_begun)}." if not_begun else ""
    return Progress(f"{solved} of {total} exercises solved", rows=tuple(rows), closing=closing)


def solved_in(desk: Path) -> set[str]:
    """The names of the exercises that were solved at a desk."""
    return {name for name, its in read(desk).items() if its.solved}


def read(desk: Path) -> dict[str, Tried]:
    """{name: what was done} of every exercise that was tried."""
    tried: dict[str, Tried] = {}
    for name, passed, when in lines(desk / FILE):
        its = tried.setdefault(name, Tried())
        if not its.solved:
            its.tries += 1
            its.solved = when if passed else None
    return tried


def lines(file: Path) -> list[tuple[str, bool, datetime]]:
    """What each line says: exercise, whether it was right, when."""
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return []
    said = []
    for line in text.splitlines():
        with suppress(ValueError, TypeError, KeyError, RecursionError):  # torn, or not from `note`
            entry = json.loads(line)
            when = datetime.fromisoformat(entry["time"])
            if isinstance(entry["exercise"], str) and isinstance(entry["passed"], bool) and when.tzinfo:
                said.append((entry["exercise"], entry["passed"], when))
    return said


def note(name: str, *, passed: bool, here: Path | None = None) -> Path | None:
    """Add a line for a try of an exercise that was not solved before, where the notebook works at a desk.

    Returns the desk where a line was added. Whatever goes wrong (a full disk, a folder that was removed): None.
    """
    with suppress(Exception):
        desk = find_desk((here or Path.cwd()).resolve())
        if desk is None:
            return None
        before = read(desk).get(name, Tried())
        if before.solved:
            return None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"exercise": name, "time": now, "passed": passed, "tries": before.tries + 1}
        append(desk / FILE, json.dumps(entry) + "\n")
        return desk
    return None


def append(file: Path, line: str) -> None:
    """Add a line in one write. Where the last line was torn, it gets its end first."""
    torn = False
    with suppress(FileNotFoundError), file.open("rb") as there:
        size = there.seek(0, os.SEEK_END)
        if size:
            there.seek(size - 1)
            torn = there.read(1) != b"\n"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        os.write(handle, (("\n" if torn else "") + line).encode())
    finally:
        os.close(handle)


def summary(desk: Path) -> Counter[str]:
    """{lesson: how many of its exercises are solved}."""
    return Counter(name.partition(".")[0] for name in solved_in(desk))
