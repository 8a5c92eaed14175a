"""The line of links at the top and at the end of every lesson and exercise: the lesson before, the exercises, the next.

Which notebooks there are, the sources say by their names, so that a new lesson needs no other one edited.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from lesson_source import Source

WORDS = {
    "en": {"previous": "Previous", "lesson": "Lesson", "exercises": "Exercises", "next": "Next"},
    "ko": {"previous": "이전", "lesson": "수업", "exercises": "연습 문제", "next": "다음"},
}


class Neighbours:
    """The lessons and exercises that stand around one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root = source.path.parents[2]

    @cached_property
    def lessons(self) -> list[Path]:
        """The sources of all lessons, in their order: 03a_… comes after 03_…."""
        return sorted((self.root / "notebooks" / "source").glob("*.py"))

    @property
    def previous(self) -> Path | None:
        earlier = [path for path in self.lessons if path.stem < self.source.name]
        return earlier[-1] if earlier and not self.source.is_exercise else None

    @property
    def lesson(self) -> Path | None:
        """Of an exercise: the lesson with its name."""
        return self._if_there("notebooks") if self.source.is_exercise else None

    @property
    def exercises(self) -> Path | None:
        return None if self.source.is_exercise else self._if_there("exercises")

    @property
    def next(self) -> Path | None:
        return next((path for path in self.lessons if path.stem > self.source.name), None)

    def _if_there(self, folder: str) -> Path | None:
        path = self.root / folder / "source" / f"{self.source.name}.py"
        return path if path.exists() else None


def navigation(source: Source, notebook: Path, language: str) -> str:
    """The line of links for the notebook that stands at `notebook`; empty when there is nothing to link to."""
    neighbours = Neighbours(source)
    links = []
    for name, word in WORDS[language].items():
        path = getattr(neighbours, name)
        if path is not None:
            title, target = title_and_notebook(path, language)
            address = Path(os.path.relpath(target, notebook.parent)).as_posix()
            links.append(f"{word}: [{title}]({address})" if name != "exercises" else f"[{word}]({address})")
    return " · ".join(links)


def title_and_notebook(source: Path, language: str) -> tuple[str, Path]:
    """The short title of another source, and its notebook in this language, or in English if it has no other."""
    text = source.read_text(encoding="utf-8")
    if f'[markdown] lang="{language}"' not in text:
        language = "en"
    own = text.partition(f'[markdown] lang="{language}"')[2]
    heading = next((line for line in own.splitlines() if line.startswith("# # ")), f"# # {source.stem}")
    ending = "_exercises" if source.parents[1].name == "exercises" else ""
    folder = source.parents[1] if language == "en" else source.parents[1] / language
    return heading.removeprefix("# # ").partition(":")[0], folder / f"{source.stem}{ending}.ipynb"
