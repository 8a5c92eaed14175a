"""Sections of a text: a heading and the lines below it, up to the next heading. Each becomes one record."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ragedu.readers.records import PlacedRecord


class Heading(NamedTuple):
    """A heading of a text: what it says, its level (1 is the highest), and the lines that it takes, from 0."""

    title: str
    level: int
    start: int
    end: int


@dataclass
class Section:
    """A heading and the text below it.

    Attributes
    ----------
    path
        The headings above it and its own, outermost first. Empty before the first heading.
    level
        The level of its own heading, from 1; 0 before the first heading.
    top
        The level of the outermost heading in `path`.
    line
        The number of the line where it begins, counted from 1.
    text
        The lines below the heading.
    """

    path: list[str]
    level: int
    top: int
    line: int
    text: str


def split_at(headings: Sequence[Heading], text: str) -> list[Section]:
    """The sections of a text. The first has level 0 and no heading: the text before any heading."""
    lines = text.split("\n")
    ends = [heading.start for heading in headings[1:]] + [len(lines)]
    first = headings[0].start if headings else len(lines)
    sections = [Section([], 0, 0, 1, _joined(lines[:first]))]
    above: list[Heading] = []  # the headings that the section stands under, outermost first
    for heading, end in zip(headings, ends, strict=False):
        while above and above[-1].level >= heading.level:
            above.pop()
        above.append(heading)
        path = [parent.title for parent in above]
        body = _joined(lines[heading.end : end])
        sections.append(Section(path, heading.level, above[0].level, heading.start + 1, body))
    return sections


def _joined(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n")


def slug(heading: str) -> str:
    """The anchor that a heading gets on GitHub: "Set up, quickly!" becomes "set-up-quickly"."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") or "section"


def records_from_sections(
    sections: list[Section], path: Path, name: str, metadata: dict[str, str], *, title: str = ""
) -> list[PlacedRecord]:
    """(place, record) for each section that says something; one for the whole text where it has at most one heading.

    Parameters
    ----------
    sections
        What `split_at` returns.
    path, name
        The file, and its path in its corpus.
    metadata
        Of every record.
    title
        Of the whole text, where something other than its headings says it. It comes first in the title of each record.
    """
    if len(sections) <= 2:
        return _one_record(sections, path, name, metadata, title)
    records = []
    anchors = _Anchors()
    for section, following in zip(sections, [*sections[1:], None], strict=True):
        if _is_left_out(section, following):
            continue
        anchor = anchors.unused(slug(section.path[-1])) if section.path else ""
        # Without a heading of level 1, the file's name is the title.
        headings = section.path if title or section.top == 1 else [path.stem, *section.path]
        record = {
            "id": f"{name}#{anchor}" if anchor else name,
            "title": _full_title(title, headings) or path.stem,
            "text": section.text,
            **metadata,
        }
        records.append((f"{path}, line {section.line}", record))
    return records


def _one_record(
    sections: list[Section], path: Path, name: str, metadata: dict[str, str], title: str
) -> list[PlacedRecord]:
    """The whole text as one record; none where it is blank and has no heading."""
    body = "\n\n".join(section.text for section in sections if section.text.strip())
    headings = sections[-1].path
    if not body and not headings:
        return []
    full_title = _full_title(title, headings) or path.stem
    return [(str(path), {"id": name, "title": full_title, "text": body, **metadata})]


def _full_title(title: str, headings: list[str]) -> str:
    """ "Guide › Installation". A first heading that repeats the title of the whole is not said twice, an empty one not
    at all."""
    headings = [heading for heading in headings if heading]
    return " › ".join([title, *headings] if title and headings[:1] != [title] else headings)


def _is_left_out(section: Section, following: Section | None) -> bool:
    """Whether a section has no text, and its heading, if it has one, lives on in the titles of sections under it."""
    if section.text.strip():
        return False
    has_sections_below = following is not None and following.level > section.level
    return section.level == 0 or has_sections_below


class _Anchors:
    """The anchors of a text so far. A second "setup" becomes "setup-1"."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._last_number: defaultdict[str, int] = defaultdict(int)

    def unused(self, anchor: str) -> str:
        """The anchor, or the first of anchor-1, anchor-2, … that was not given before."""
        candidate = anchor
        while candidate in self._used:
            self._last_number[anchor] += 1
            candidate = f"{anchor}-{self._last_number[anchor]}"
        self._used.add(candidate)
        return candidate
