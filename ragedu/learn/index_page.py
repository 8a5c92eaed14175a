"""The first page of a desk, index.md: the lessons in order, what is done, what comes next, a way for two hours.

It is written anew at every `ragedu start` and whenever an exercise is solved. Its last line has a checksum: a page that
somebody has written into is put aside under a dated name.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragedu.learn import exercise
from ragedu.learn.course import Lesson, NoNotebook, code_cells, lessons, minutes, read_notebook, title
from ragedu.learn.desk import put_aside, replace
from ragedu.learn.progress import summary

PAGE = "index.md"
SIGNATURE = re.compile(rb"\n<!-- written by ragedu, [0-9a-f]{32} -->\s*\Z")
TWO_HOURS = Path(__file__).with_name("two_hours.toml")
DONE = 0.9  # of the code cells: who has left out a few has still done the lesson


@dataclass(frozen=True)
class State:
    """What stands in one line of the page."""

    number: str
    title: str
    minutes: int
    notebook: str  # its path within the desk; empty when it was not laid
    exercises: str
    finished: str
    solutions: str
    cells: int | None  # None for a file that is no notebook
    cells_run: int
    exercises_there: int
    exercises_solved: int

    @property
    def is_done(self) -> bool:
        return self.cells is not None and self.cells_run >= DONE * self.cells

    @property
    def is_begun(self) -> bool:
        return self.cells_run > 0 or self.exercises_solved > 0

    @property
    def link(self) -> str:
        return f"[{self.number} {self.title}]({self.notebook})"


def write_page(desk: Path, *, course: Sequence[Lesson] | None = None) -> None:
    """Write index.md as things are now."""
    page, text = desk / PAGE, signed(page_text(desk, lessons() if course is None else course))
    if os.path.lexists(page):
        there = page.read_bytes()
        if there == text.encode():
            return
        if not is_ours(there):
            put_aside(page)
    replace(page, text)


def signed(text: str) -> str:
    return f"{text}\n<!-- written by ragedu, {checksum(text.encode())} -->\n"


def checksum(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]


def is_ours(page: bytes) -> bool:
    """Whether nobody has changed this page since it was written."""
    found = SIGNATURE.search(page)
    return found is not None and checksum(page[: found.start()]).encode() in found.group()


# What is done.


def states(desk: Path, course: Sequence[Lesson]) -> list[State]:
    solved = summary(desk)
    return [state_of(lesson, desk, solved) for lesson in course]


def state_of(lesson: Lesson, desk: Path, solved: Counter[str]) -> State:
    source = read_notebook(lesson.notebook)
    path = f"notebooks/{lesson.notebook.name}"
    cells, run = cells_run(desk / path)
    practice = f"exercises/{lesson.exercises.name}" if lesson.exercises else ""
    solutions = f"finished/exercises/solutions/{lesson.solutions.name}" if lesson.solutions else ""

    def if_there(path: str) -> str:
        return path if path and os.path.lexists(desk / path) else ""

    names = exercise.exercises_of(lesson.number) if lesson.number in exercise.lessons() else {}
    return State(
        number=lesson.number,
        title=title(source),
        minutes=minutes(source),
        notebook=if_there(path),
        exercises=if_there(practice),
        finished=if_there(f"finished/{path}"),
        solutions=if_there(solutions),
        cells=cells,
        cells_run=run,
        exercises_there=len(names),
        exercises_solved=min(solved[lesson.number], len(names)),
    )


def cells_run(path: Path) -> tuple[int | None, int]:
    """How many code cells a saved notebook has, and how many of them have run; None for a file that is no notebook."""
    try:
        cells = code_cells(read_notebook(path))
    except (NoNotebook, OSError):
        return None, 0
    return len(cells), sum(cell.get("execution_count") is not None for cell in cells)


def what_comes_next(states: Sequence[State]) -> str:
    """A sentence with a link. It goes on from the last lesson that was begun, whatever was left out before it."""
    there = [state for state in states if state.notebook]
    if not there:
        return "No lesson is laid here: `ragedu start` lays them all."
    begun = [number for number, state in enumerate(there) if state.is_begun]
    if not begun:
        return f"begin with {there[0].link}, {there[0].minutes} minutes."
    last = there[begun[-1]]
    if not last.is_done:
        return f"go on with {last.link}."
    following = there[begun[-1] + 1] if begun[-1] + 1 < len(there) else None
    onward = f"{following.link}, {following.minutes} minutes" if following else ""
    if last.exercises and last.exercises_solved < last.exercises_there:
        practice = f"the [exercises of lesson {last.number}]({last.exercises})"
        return f"{practice}, and then {onward}." if onward else f"{practice}."
    return f"{onward}." if onward else "you have reached the end."


# The page.


def page_text(desk: Path, course: Sequence[Lesson]) -> str:
    """The page in Markdown."""
    there = states(desk, course)
    here = [state for state in there if state.notebook]
    parts = [
        "# Your desk",
        f"**Next:** {what_comes_next(there)}",
        table(here),
        not_laid(there),
        finished(there),
        HOW,
        two_hours(here),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def table(there: Sequence[State]) -> str:
    if not there:
        return ""
    head = "| lesson | minutes | done | exercises | solved |\n|:---|---:|:---|:---|:---|\n"
    return head + "\n".join(
        f"| {state.link} | {state.minutes} | {done(state)} | "
        f"{f'[exercises {state.number}]({state.exercises})' if state.exercises else ''} | {solved(state)} |"
        for state in there
    )


def done(state: State) -> str:
    if state.cells is None:
        return "⚠ this file can't be read as a notebook"
    if state.cells_run == state.cells:
        return "✓ all cells run"
    return f"{state.cells_run} of {state.cells} cells run" if state.cells_run else ""


def solved(state: State) -> str:
    if not state.exercises or not state.exercises_there:
        return ""
    mark = "✓ " if state.exercises_solved == state.exercises_there else ""
    return f"{mark}{state.exercises_solved} of {state.exercises_there}"


def not_laid(states: Sequence[State]) -> str:
    missing = [state.number for state in states if not state.notebook]
    if not missing or len(missing) == len(states):
        return ""
    return f"Not at this desk: {', '.join(missing)}. `ragedu start` without `--only` lays them."


def finished(states: Sequence[State]) -> str:
    """Links to the executed lessons and the solutions, for those who brought them."""
    lines = [
        f"- [{state.number} {state.title}]({state.finished})"
        + (f", [solutions of its exercises]({state.solutions})" if state.solutions else "")
        for state in states
        if state.finished
    ]
    return "\n".join(["## Executed, for reading", "", *lines]) if lines else ""


def plan() -> list[dict[str, Any]]:
    """The lessons of the way for two hours: number, minutes, sections (none for all of them), why."""
    return tomllib.loads(TWO_HOURS.read_text("utf-8"))["lesson"]


def two_hours(there: Sequence[State]) -> str:
    known = {state.number: state for state in there}
    stops = [stop for stop in plan() if stop["number"] in known]
    if not stops:
        return ""
    lines = [
        "## If you have two hours",
        "Read only the sections that are named here.\n"
        "Run the cells of the other sections without reading them, because later cells may need what they define.",
        "\n".join(stop_line(stop, known[stop["number"]]) for stop in stops),
    ]
    return "\n\n".join(lines)


def stop_line(stop: dict[str, Any], state: State) -> str:
    sections = "; ".join(f"*{name}*" for name in stop["sections"])
    what = f"Sections: {sections}." if sections else "All of it."
    return f"- {state.link}, {stop['minutes']} minutes. {stop['why']}\n  {what}"


HOW = """## How this works

- A cell is run by **Shift+Enter**.
  Run a lesson from its top: each cell uses what those above it define.
- When you have finished a lesson, choose *Shut Down Kernel* from the menu *Kernel*: it gives its memory back.
  The next day, run a lesson's cells again before you use its panels.
- What you write and run here is yours.
  `ragedu start` lays what is missing and never overwrites a file.
- Where a lesson asks *Predict first*, write your answer down before you run the next cell.
- `from ragedu.learn import progress; progress()` in any notebook shows which exercises you have solved.
  Nothing of that leaves your machine.
- To begin lesson 02 again, run `!ragedu start --no-open --fresh 02` in a cell of any notebook.
  It puts your notebooks of that lesson aside under a dated name and lays new ones.
- To read the executed lessons, run `!ragedu start --no-open --finished`.
- This page is brought up to date at every `ragedu start` and whenever you solve an exercise.
  To see that, close its tab and open `index.md` again from the list on the left."""
