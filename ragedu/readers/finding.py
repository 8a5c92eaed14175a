"""Which files of a folder are to be read: by their types, by patterns, and by where they really are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

UNSUPPORTED_TYPE = "a type that cannot be read"
Pattern = tuple[str, ...]  # the parts of a glob, "docs/*.md" as ("docs", "*.md")


@dataclass
class FoundFiles:
    """What is in a folder, each by its path relative to it.

    Attributes
    ----------
    files
        What can be read, in the order of their paths.
    unreadable
        What ought to be read and cannot be, with the error that says why.
    unsupported
        Files of other types, and links to folders, with the reason.
    """

    files: dict[str, Path]
    unreadable: dict[str, Exception]
    unsupported: dict[str, str]


def patterns_from(given: str | Sequence[str] | None, option: str) -> list[Pattern]:
    """Globs, one string or several, as their parts. A glob without "/" is for names at any depth."""
    globs = [given] if isinstance(given, str) else list(given or [])
    patterns = []
    for glob in globs:
        if not isinstance(glob, str) or not glob.strip("/"):
            raise ValueError(f"{option}=…: {glob!r} is no pattern for files: give one such as '*.md' or 'docs/**'")
        parts = tuple(part for part in glob.split("/") if part not in ("", "."))
        patterns.append(("**", *parts) if "/" not in glob.removeprefix("./").rstrip("/") else parts)
    return patterns


def matches(path: Sequence[str], pattern: Pattern) -> bool:
    """Whether the pattern is for this path, or for a folder that it is in. "**" is for any number of folders."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(matches(path[start:], pattern[1:]) for start in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and matches(path[1:], pattern[1:])


def find_files(
    folder: Path, suffixes: Sequence[str], *, include: Sequence[Pattern] = (), exclude: Sequence[Pattern] = ()
) -> FoundFiles:
    """The files under a folder, but for hidden ones and those that the patterns leave out.

    Parameters
    ----------
    folder
        Where to look.
    suffixes
        Of the files that can be read, in lower case.
    include, exclude
        What `patterns_from` returns. No `include` is for all files.
    """
    home = folder.resolve()
    found = FoundFiles({}, {}, {})

    def wanted(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        return not path.name.startswith(".") and not any(matches(parts, pattern) for pattern in exclude)

    def included(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        return not include or any(matches(parts, pattern) for pattern in include)

    def note(error: OSError) -> None:
        # Without this, os.walk skips a folder that cannot be read and says nothing.
        reason = type(error)(f"the folder {error.filename} cannot be read: {error.strerror}")
        found.unreadable[_name(Path(error.filename), folder)] = reason

    for parent, subfolders, names in os.walk(folder, onerror=note):
        kept = [name for name in subfolders if wanted(Path(parent, name))]
        for name in kept:
            link = Path(parent, name)
            if link.is_symlink() and included(link):
                found.unsupported[_name(link, folder)] = "a link to a folder"
        subfolders[:] = kept  # os.walk enters what stays, but for links
        for name in names:
            file = Path(parent, name)
            if wanted(file) and included(file):
                _sort_in(file, _name(file, folder), home, suffixes, found)
    found.files = dict(sorted(found.files.items()))
    return found


def _sort_in(file: Path, name: str, home: Path, suffixes: Sequence[str], found: FoundFiles) -> None:
    if file.suffix.lower() not in suffixes:
        found.unsupported[name] = UNSUPPORTED_TYPE
    elif file.is_symlink() and not file.exists():
        found.unreadable[name] = FileNotFoundError(
            f"{file} is a link to something that is not there: repair or remove it"
        )
    elif file.is_symlink() and not file.resolve().is_relative_to(home):
        # Somebody else's folder may be a trap: a link to a file of yours would be read, and shown to whoever asks.
        found.unreadable[name] = ValueError(f"{file} is a link out of the folder: put a copy in its place")
    elif not file.is_file():  # a pipe or a device, from which reading might never return
        found.unsupported[name] = "neither a file nor a folder"
    else:
        found.files[name] = file


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
