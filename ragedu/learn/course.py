"""The course as it is installed: which lessons there are, where they lie, and what their first cell says of them.

A checkout has them in `notebooks` and `exercises`, an installed package in `ragedu/lessons`. Both are executed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import ragedu

PACKAGE = Path(ragedu.__file__).parent
TITLE = re.compile(r"#\s+\d\d\w?\s+(?P<title>[^\n:]+)")
MINUTES = re.compile(r"\*\*Time:\*\*\s+(\d+)\s+minutes")


@dataclass(frozen=True)
class Lesson:
    """One lesson: its number, such as "02", and its notebooks, of which only the first is always there."""

    number: str
    notebook: Path
    _: KW_ONLY
    exercises: Path | None = None
    solutions: Path | None = None


class NoNotebook(ValueError):
    """A file that is not a notebook."""


def checkout() -> Path | None:
    """The root of the checkout that this package runs from; None for an installed package."""
    root = PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def lessons(*, root: Path | None = None) -> list[Lesson]:
    """The lessons in order: those of a checkout, whose root may be given, or those of the installed package.

    Raises FileNotFoundError for an installation without lessons.
    """
    root = root or checkout()
    folder = root / "notebooks" if root else PACKAGE / "lessons"
    exercises = root / "exercises" if root else folder / "exercises"
    found = [
        Lesson(
            number_of(notebook),
            notebook,
            exercises=existing(exercises / f"{notebook.stem}_exercises.ipynb"),
            solutions=existing(exercises / "solutions" / f"{notebook.stem}_solutions.ipynb"),
        )
        for notebook in sorted(folder.glob("[0-9][0-9]*_*.ipynb"))
    ]
    if not found:
        raise FileNotFoundError(f"there are no lessons in {folder}: install ragedu again")
    return found


def number_of(notebook: Path) -> str:
    return notebook.name.partition("_")[0]


def existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def choose(lessons: Sequence[Lesson], numbers: Sequence[str]) -> list[Lesson]:
    """The lessons with these numbers ("2" is "02"), in order; all of them when no number is given.

    Raises ValueError for a lesson that there isn't.
    """
    wanted = {number.strip().zfill(2) if number.strip().isdecimal() else number.strip() for number in numbers}
    known = [lesson.number for lesson in lessons]
    if unknown := sorted(wanted - set(known)):
        raise ValueError(f"there is no lesson {unknown[0]!r}: there are {', '.join(known)}")
    return [lesson for lesson in lessons if not wanted or lesson.number in wanted]


# What is in a notebook.


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as JSON has it.

    Raises NoNotebook for a file that is none, and OSError for one that can't be read.
    """
    try:
        notebook = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise NoNotebook(f"it is not a notebook ({error})") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise NoNotebook("it is not a notebook (there is no list of cells)")
    return notebook


def text_of(cell: dict[str, Any]) -> str:
    """What stands in a cell. The format allows a string and a list of lines."""
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell.get("cell_type") == "code" and text_of(cell).strip()]


def headings(notebook: dict[str, Any]) -> list[str]:
    """Its sections, in order."""
    texts = [text_of(cell) for cell in notebook["cells"] if cell.get("cell_type") == "markdown"]
    return [line[3:].strip() for text in texts for line in text.splitlines() if line.startswith("## ")]


def title(notebook: dict[str, Any]) -> str:
    """ "BM25" for a first cell that begins with "# 02 BM25: is the tenth mention …"."""
    found = TITLE.search(first_cell(notebook))
    return found["title"].strip() if found else ""


def minutes(notebook: dict[str, Any]) -> int:
    """How long a lesson takes, as its first cell says; 0 when it doesn't."""
    found = MINUTES.search(first_cell(notebook))
    return int(found[1]) if found else 0


def first_cell(notebook: dict[str, Any]) -> str:
    return text_of(notebook["cells"][0]) if notebook["cells"] else ""


def without_outputs(notebook: dict[str, Any]) -> dict[str, Any]:
    """The same notebook as if nobody had run it."""
    cleared = deepcopy(notebook)
    for cell in cleared["cells"]:
        if cell.get("cell_type") == "code":
            cell["outputs"], cell["execution_count"] = [], None
            cell.get("metadata", {}).pop("execution", None)
    cleared.get("metadata", {}).pop("widgets", None)
    return cleared


def fingerprint(notebook: dict[str, Any]) -> str:
    """The same for two notebooks that differ in their outputs and metadata alone."""
    cells = [[cell.get("cell_type"), text_of(cell)] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:32]
