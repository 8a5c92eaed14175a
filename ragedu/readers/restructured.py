"""reStructuredText to sections, as docutils finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragedu.readers.pictures import without_pictures
from ragedu.readers.records import PlacedRecord
from ragedu.readers.sections import Heading, records_from_sections, split_at
from ragedu.readers.text_files import read_text

if TYPE_CHECKING:
    from docutils import nodes
    from docutils.parsers.rst.states import Inliner

SETTINGS = {
    "file_insertion_enabled": False,  # a document never reads another file: ".. include:: /etc/passwd"
    "raw_enabled": False,
    "line_length_limit": 2**31,  # docutils gives up a whole file for one long line
    "halt_level": 5,  # never: Sphinx's directives and roles, which docutils does not know, are no reason to stop
    "report_level": 5,
    "syntax_highlight": "none",
}

# No title is in a grid table, and for one of thousands of columns docutils takes minutes.
GRID_TABLE = re.compile(r"^[ \t]*\+[-=+]+\+[ \t]*\n(?:[ \t]*[|+][^\n]*\n)+", re.MULTILINE)
# Sphinx's roles, which docutils leaves as they are: :mod:`os`, :doc:`the guide <guide>`, :func:`~os.walk`.
ROLE = re.compile(r":[\w.+-]++(?::[\w.+-]++)*+:`~?([^`<]*+)(?:<[^`>]*+>)?`")
MAX_INLINE_CHARACTERS = 1000  # of a piece of text whose *emphasis* is looked for; docutils' time grows with the square


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
    tree = _parsed(text)
    lines = text.split("\n")
    headings = []
    start = 0
    for title, level in _titles(tree, 1):
        underline = _find_underline(lines, title.rawsource, start)
        if underline is None:
            continue
        above = underline - 2
        has_overline = above >= start and _is_line_of_punctuation(lines[above])
        headings.append(Heading(plain(title.astext()), level, above if has_overline else above + 1, underline + 1))
        start = underline + 1
    return headings


def _parsed(text: str) -> nodes.document:
    """What the parser finds. Nothing is filled in: substitutions within substitutions would take forever."""
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser
    from docutils.utils import new_document

    settings = get_default_settings(Parser)  # and no docutils.conf of whatever folder this runs in
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    document = new_document("", settings)
    text = GRID_TABLE.sub(lambda table: "\n" * table[0].count("\n"), text)
    Parser(inliner=_inliner_of_short_texts()).parse(text, document)
    return document


def _inliner_of_short_texts() -> Inliner:
    """docutils' reader of markup within lines, which leaves long texts as they are."""
    from docutils import nodes
    from docutils.parsers.rst.states import Inliner

    inliner = Inliner()  # of this class itself: it takes its patterns from the names in it
    parse = inliner.parse

    def parse_if_short(text: str, *place: Any) -> Any:
        return parse(text, *place) if len(text) <= MAX_INLINE_CHARACTERS else ([nodes.Text(text)], [])

    inliner.parse = parse_if_short
    return inliner


def plain(title: str) -> str:
    """A title without the roles that docutils does not know, on one line."""
    return " ".join((ROLE.sub(r"\1", title) if len(title) <= MAX_INLINE_CHARACTERS else title).split())


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
