"""Markdown to sections: a heading and the text below it, up to the next heading. Notebooks are read as Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt

from ragedu.readers.front_matter import split_front_matter
from ragedu.readers.pictures import without_pictures
from ragedu.readers.records import PlacedRecord, parse_json
from ragedu.readers.sections import Heading, records_from_sections, split_at
from ragedu.readers.text_files import read_text

# Each part of these patterns ends where the next could begin, and gives nothing back ("++"): so they take a time that
# grows with the length of the heading, whatever it holds.
LINK = re.compile(r"!?\[([^\[\]]*+)\]\((?:[^()]++|\([^()]*+\))*+\)")
MARKUP = re.compile(r"[`*]")


def headings_of(text: str) -> list[Heading]:
    """The headings of a Markdown text as CommonMark has them, in order.

    What looks like a heading inside a code block, an HTML comment, <pre>, a list or a quotation is none.
    """
    blocks = MarkdownIt("commonmark").disable("inline").parse(text)
    return [
        Heading(plain(inline.content), int(block.tag[1:]), *block.map)
        for block, inline in zip(blocks, blocks[1:], strict=False)
        if block.type == "heading_open" and block.level == 0 and block.map
    ]


def plain(heading: str) -> str:
    """A heading without Markdown's markup: links become their text, `code` and **bold** lose their signs."""
    heading = heading.replace("\n", " ")
    for _ in range(2):  # a picture inside a link: [![passing](badge.svg)](builds)
        heading = LINK.sub(r"\1", heading)
    return MARKUP.sub("", heading).strip()


def read_markdown(path: Path, name: str) -> list[PlacedRecord]:
    """The sections of a Markdown file as records. name: the file's path in its corpus."""
    return records_from_markdown(read_text(path), path, name)


def records_from_markdown(text: str, path: Path, name: str) -> list[PlacedRecord]:
    """(place, record) for each section that says something.

    A text with at most one heading is one document with the id `name`. Otherwise each section is one, with the id
    "guide.md#installation" and the title "Guide › Installation". A title in the front matter comes before these.
    """
    metadata = {"source": name}
    front_matter, text = split_front_matter(text)
    if front_matter is not None:
        metadata["front_matter"] = front_matter.text
    text = without_pictures(text)
    title = front_matter.title if front_matter is not None else ""
    return records_from_sections(split_at(headings_of(text), text), path, name, metadata, title=title)


def read_notebook(path: Path, name: str) -> list[PlacedRecord]:
    """The Markdown and code cells of a Jupyter notebook (not their outputs), read as one Markdown text."""
    content = read_text(path)
    notebook = parse_json(content, path) if content.strip() else {"cells": []}
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError(
            f"{path} is not a notebook of format 4 (it has no list of cells): "
            "open it in JupyterLab and save it, or convert it with jupyter nbconvert --to notebook"
        )
    parts = []
    for number, cell in enumerate(cells, start=1):
        source = _source_of(cell, f"{path}, cell {number}")
        if cell.get("cell_type") == "markdown":
            parts.append(source)
        elif cell.get("cell_type") == "raw" and number == 1 and split_front_matter(source)[0] is not None:
            parts.append(source)  # where Quarto has the title
        elif cell.get("cell_type") == "code" and source.strip():
            parts.append(_fenced(source))
    # Lines of this text are not lines of the file, so the place of a section is the notebook.
    return [(str(path), record) for _, record in records_from_markdown("\n\n".join(parts), path, name)]


def _source_of(cell: object, place: str) -> str:
    source = cell.get("source", "") if isinstance(cell, dict) else None
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise ValueError(f"{place}: the source must be a string or a list of strings")
    return source


def _fenced(code: str) -> str:
    """A code block whose fence is longer than any in the code, which keeps the code together."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}python\n{code}\n{fence}"
