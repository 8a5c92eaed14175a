"""reStructuredText to sections, as docutils finds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ragedu.readers.pictures import without_pictures
from ragedu.readers.records import PlacedRecord
from ragedu.readers.sections import Heading, records_from_sections, split_at
from ragedu.readers.text_files import read_text

if TYPE_CHECKING:
    from docutils import nodes

SETTINGS = {
    "_disable_config": True,  # no docutils.conf of whatever folder this runs in
    "doctitle_xform": False,  # a title of the whole document is a section like any other
    "file_insertion_enabled": False,  # a document never reads another file: ".. include:: /etc/passwd"
    "raw_enabled": False,
    "sectnum_xform": False,  # a title is what was written, without a number
    "halt_level": 5,  # never: Sphinx's directives and roles, which docutils does not know, are no reason to stop
    "report_level": 5,
    "syntax_highlight": "none",
}


def read_restructured(path: Path, name: str) -> list[PlacedRecord]:
    """The sections of a reStructuredText file as records, as of a Markdown file. name: its path in its corpus."""
    text = without_pictures(read_text(path))
    try:
        headings = headings_of(text)
    except RecursionError:
        raise ValueError(f"{path}: lists or quotations are nested too deeply: take out some levels") from None
    return records_from_sections(split_at(headings, text), path, name, {"source": name})


def headings_of(text: str) -> list[Heading]:
    """The titles of the sections, in order."""
    from docutils.core import publish_doctree

    tree = publish_doctree(text, settings_overrides=SETTINGS)
    lines = text.split("\n")
    headings = []
    start = 0
    for title, level in _titles(tree, 1):
        underline = _find_underline(lines, title.rawsource, start)
        if underline is None:
            continue
        above = underline - 2
        has_overline = above >= start and _is_line_of_punctuation(lines[above])
        headings.append(
            Heading(" ".join(title.astext().split()), level, above if has_overline else above + 1, underline + 1)
        )
        start = underline + 1
    return headings


def _titles(parent: nodes.Element, level: int) -> Iterator[tuple[nodes.title, int]]:
    """The titles of the sections under a node, each with its level."""
    from docutils import nodes

    for section in parent.children:
        if isinstance(section, nodes.section):
            title = next((child for child in section.children if isinstance(child, nodes.title)), None)
            if title is not None:
                yield title, level
            yield from _titles(section, level + 1)


def _find_underline(lines: list[str], title: str, start: int) -> int | None:
    """The line of punctuation below the title, which docutils gives without its place."""
    words = title.split()
    for number in range(start + 1, len(lines)):
        if lines[number - 1].split() == words and _is_line_of_punctuation(lines[number]):
            return number
    return None


def _is_line_of_punctuation(line: str) -> bool:
    line = line.rstrip()
    return bool(line) and line == line[0] * len(line) and not line[0].isalnum() and not line[0].isspace()
