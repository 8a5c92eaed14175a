"""The learner's desk: a folder of one's own with the lessons without outputs, and the exercises.

    FOLDER/notebooks/02_bm25.ipynb   FOLDER/exercises/02_bm25_exercises.ipynb   FOLDER/index.md   FOLDER/progress.jsonl

What is there is never overwritten. A new file is written under a temporary name and then linked to its own, which fails
where there is one; what makes room is renamed. So it does no harm to lay a desk twice at the same time, or to be killed
in the middle. Each laid notebook says in its metadata which lesson it was made from. There is no list that could be
wrong about it.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import ragedu
from ragedu.learn.course import (
    Lesson,
    NoNotebook,
    checkout,
    choose,
    fingerprint,
    lessons,
    read_notebook,
    text_of,
    without_outputs,
)

MARKER = ".ragedu-desk.json"
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
STALE_AFTER_SECONDS = 3600  # a younger temporary file may be that of a `ragedu start` at work


@dataclass(kw_only=True)
class Laid:
    """What `lay` found and did; numbers of lessons, and paths within the desk."""

    new: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)  # what it was called: what it is called now
    changed: list[str] = field(default_factory=list)  # the numbers of lessons that are newer than what is at the desk
    unreadable: dict[str, str] = field(default_factory=dict)  # path: why


class Piece(NamedTuple):
    """One notebook of the desk: its path within the desk, what it is made from, and whether it keeps its outputs."""

    path: str
    source: Path
    finished: bool


def pieces(lesson: Lesson) -> Iterator[Piece]:
    """What there is to lay of a lesson."""
    yield Piece(f"notebooks/{lesson.notebook.name}", lesson.notebook, False)
    if lesson.exercises:
        yield Piece(f"exercises/{lesson.exercises.name}", lesson.exercises, False)
    yield Piece(f"finished/notebooks/{lesson.notebook.name}", lesson.notebook, True)
    if lesson.solutions:
        yield Piece(f"finished/exercises/solutions/{lesson.solutions.name}", lesson.solutions, True)


# Where the desk is.


def find_desk(folder: Path) -> Path | None:
    """The desk that a folder is, or lies in; None where there is none."""
    return next((place for place in (folder, *folder.parents) if (place / MARKER).is_file()), None)


def default_folder(here: Path) -> Path:
    """The desk that one is at; else `my` at the root of the checkout, or in the current folder."""
    return find_desk(here) or (checkout() or here) / "my"


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, and a desk is a folder: name another")
    if not folder.exists():
        return
    holds_files = any(not path.name.startswith(".") for path in folder.iterdir())
    # The marker is asked for last: another `ragedu start` may be at work, which writes it before anything else.
    if holds_files and not (folder / MARKER).is_file():
        raise ValueError(
            f"{folder} has files in it and is not a desk, and ragedu would lay its own among them: name a new folder, "
            f"such as {folder / 'my'}"
        )


# Laying it.


def lay(
    folder: Path,
    *,
    only: Sequence[str] = (),
    fresh: Sequence[str] = (),
    finished: bool = False,
    course: Sequence[Lesson] | None = None,
) -> Laid:
    """Lay what is missing at a desk; nothing that is there is overwritten.

    Parameters
    ----------
    folder
        The desk, which is made if it is not there.
    only
        Numbers of lessons; all by default.
    fresh
        Numbers of lessons whose notebooks are put aside under a dated name and laid again.
    finished
        Whether to lay the executed lessons, too, and the solutions, where they are installed.
    course
        The lessons; those of this installation by default.

    Raises
    ------
    ValueError
        For a lesson that there isn't, and a folder that holds something else.
    OSError
        For a folder that cannot be written.
    """
    course = lessons() if course is None else course
    again = choose(course, fresh) if fresh else []
    wanted = [*again, *(choose(course, only) if only or not fresh else [])]
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    create(folder / MARKER, json.dumps({"what": "a desk of ragedu", "version": ragedu.__version__}) + "\n")
    remove_stale(folder)
    done = Laid()
    for lesson in course:
        for piece in pieces(lesson):
            place = folder / piece.path
            to_lay = lesson in wanted and (finished or not piece.finished)
            if lesson in again and os.path.lexists(place) and not is_as_laid(place, piece):
                done.aside[piece.path] = put_aside(place).relative_to(folder).as_posix()
                to_lay = True
            if to_lay and create(place, as_laid(piece)):
                done.new.append(piece.path)
            elif os.path.lexists(place):
                compare(piece, place, lesson, done)
    return done


def as_laid(piece: Piece) -> str:
    """The text of the file that is laid."""
    notebook = read_notebook(piece.source)
    note = {"laid_from": fingerprint(notebook), "version": ragedu.__version__}
    laid = with_links_out_of_finished(notebook) if piece.finished else without_outputs(notebook)
    laid.setdefault("metadata", {})["ragedu"] = note
    return json.dumps(laid, ensure_ascii=False, indent=1) + "\n"


def is_as_laid(place: Path, piece: Piece) -> bool:
    """Whether a file is what would be laid now, to the byte: nobody has saved it since."""
    with suppress(OSError):
        return place.read_bytes() == as_laid(piece).encode("utf-8", errors="surrogatepass")
    return False


def with_links_out_of_finished(notebook: dict[str, Any]) -> dict[str, Any]:
    """A finished lesson lies one folder deeper than the exercises to which it leads."""
    for cell in notebook["cells"]:
        if cell.get("cell_type") == "markdown":
            cell["source"] = re.sub(r"\]\(\.\./exercises/(?!solutions/)", "](../../exercises/", text_of(cell))
    return notebook


def compare(piece: Piece, place: Path, lesson: Lesson, done: Laid) -> None:
    """Note whether what is there was laid from an older lesson, or is no notebook any more."""
    try:
        note = read_notebook(place).get("metadata")
    except (NoNotebook, OSError) as error:
        done.unreadable[piece.path] = str(error)
        return
    ours = note.get("ragedu") if isinstance(note, dict) else None
    laid_from = ours.get("laid_from") if isinstance(ours, dict) else None
    is_older = laid_from is not None and laid_from != fingerprint(read_notebook(piece.source))
    if is_older and lesson.number not in done.changed:
        done.changed.append(lesson.number)


# Files that appear whole, and never in the place of another.


def create(path: Path, text: str) -> bool:
    """Write a new file, whole or not at all. False where there is one of this name, which stays as it is."""
    if os.path.lexists(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = written_aside(path, text)
    try:
        give_name(temporary, path)
    except FileExistsError:  # of another `ragedu start`, in this moment
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def replace(path: Path, text: str) -> None:
    """Write a file that is ours to change, whole or not at all."""
    temporary = written_aside(path, text)
    try:
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def written_aside(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_text(text, "utf-8", errors="surrogatepass", newline="\n")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def give_name(temporary: Path, path: Path) -> None:
    """Raises FileExistsError where there is a file of this name."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as a USB stick's
        path.open("x").close()
        os.replace(temporary, path)


def put_aside(path: Path, *, today: date | None = None) -> Path:
    """Rename a file to a dated name that is free: 02_bm25.ipynb to 02_bm25_2026-11-30.ipynb. Returns the new path."""
    day, number = today or date.today(), 1
    while True:
        aside = path.with_name(f"{path.stem}_{day}{f'_{number}' if number > 1 else ''}{path.suffix}")
        if not os.path.lexists(aside):
            with suppress(FileExistsError):
                aside.open("x").close()  # so that nobody else takes the name
                break
        number += 1
    try:
        os.replace(path, aside)
    except OSError:
        aside.unlink()
        raise
    return aside


def remove_stale(folder: Path) -> None:
    """Remove temporary files that a killed `ragedu start` has left."""
    for place in (folder, *(folder / name for name in ("notebooks", "exercises"))):
        for path in place.glob(".*.tmp"):
            with suppress(OSError):
                if TEMPORARY.fullmatch(path.name) and time.time() - path.stat().st_mtime > STALE_AFTER_SECONDS:
                    path.unlink()
