"""Which lessons there are, and what README's two tables say of them and of the package's files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TABLE_ROW = re.compile(r"^\|(.+)\|\s*$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


class SiteError(Exception):
    """Something that the site cannot be built from: the message says what, and where."""


@dataclass(frozen=True)
class Lesson:
    """A lesson and what goes with it. `files` are the package's files that it builds up, such as ragedu/rag.py."""

    notebook: Path
    title: str
    minutes: str
    outcome: str
    files: tuple[str, ...]
    exercises: Path | None = None
    solutions: Path | None = None

    @property
    def number(self) -> str:
        return self.notebook.stem.partition("_")[0]

    @property
    def page(self) -> str:
        return f"notebooks/{self.notebook.stem}"

    @property
    def exercise_page(self) -> str | None:
        return f"exercises/{self.exercises.stem}" if self.exercises else None


def lessons(root: Path) -> list[Lesson]:
    """The lessons in order, each with its row in README's table."""
    described = {row["notebook"]: row for row in lesson_rows((root / "README.md").read_text("utf-8"))}
    found = []
    for notebook in sorted((root / "notebooks").glob("[0-9][0-9]*_*.ipynb")):
        row = described.get(f"notebooks/{notebook.name}")
        if row is None:
            raise SiteError(f"README.md: the table of lessons has no row for notebooks/{notebook.name}")
        exercises = root / "exercises" / f"{notebook.stem}_exercises.ipynb"
        solutions = root / "exercises" / "solutions" / f"{notebook.stem}_solutions.ipynb"
        found.append(
            Lesson(
                notebook,
                row["title"],
                row["minutes"],
                row["outcome"],
                row["files"],
                exercises if exercises.exists() else None,
                solutions if solutions.exists() else None,
            )
        )
    return found


def lesson_rows(readme: str) -> list[dict]:
    """The rows of "The lessons": number, title, notebook, minutes, outcome, files.

    >>> text = "| 02 | [BM25](notebooks/02_bm25.ipynb) | 50 | derive it | [bm25.py](ragedu/retrieval/bm25.py) |"
    >>> lesson_rows(text)[0]["files"]
    ('ragedu/retrieval/bm25.py',)
    """
    rows = []
    for line in TABLE_ROW.findall(readme):
        cells = [cell.strip() for cell in line.split("|")]
        link = LINK.fullmatch(cells[1]) if len(cells) == 5 else None
        if link and link[2].startswith("notebooks/"):
            files = tuple(target for _, target in LINK.findall(cells[4]))
            rows.append(dict(title=link[1], notebook=link[2], minutes=cells[2], outcome=cells[3], files=files))
    return rows


def map_rows(readme: str) -> list[tuple[list[str], str]]:
    """The rows of "A map of the package": the names of files and folders, and what they do.

    >>> map_rows("## A map of the package\\n| `retrieval/base.py`, **`storage.py`** | what it promises |")
    [(['retrieval/base.py', 'storage.py'], 'what it promises')]
    """
    text = readme.partition("## A map of the package")[2].partition("\n## ")[0]
    rows = []
    for line in TABLE_ROW.findall(text):
        files, _, what = line.strip().partition(" | ")
        if names := re.findall(r"`([^`]+)`", files):
            rows.append((names, what.strip()))
    return rows
