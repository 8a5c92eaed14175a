"""Markdown to sections: a heading and the text below it, up to the next heading. Notebooks are read as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ragedu.readers.front_matter import split_front_matter
from ragedu.readers.pictures import without_pictures
from ragedu.readers.records import PlacedRecord, parse_json
from ragedu.readers.sections import Heading, records_from_sections, split_at
from ragedu.readers.text_files import read_text

MAX_PARSED_HEADING = 500  # characters; over thousands of brackets the parser's time grows with their square
ATTRIBUTES = re.compile(r"\s*\{:?\s*[#.][^{}]*+\}\s*$")  # {#installation .note}, which is not shown


def headings_of(text: str) -> list[Heading]:
    """The headings of a Markdown text as CommonMark has them, in order.

    What looks like a heading inside a code block, an HTML comment, <pre>, a list or a quotation is none.
    """
    definitions: dict[str, Any] = {}
    blocks = MarkdownIt("commonmark").disable("inline").parse(text, definitions)
    return [
        Heading(plain(inline.content, definitions), int(block.tag[1:]), *block.map)
        for block, inline in zip(blocks, blocks[1:], strict=False)
        if block.type == "heading_open" and block.level == 0 and block.map
    ]


def plain(heading: str, definitions: dict[str, Any]) -> str:
    """A heading as it is read: links and pictures become their text, and other markup is left out.

    definitions: what the parser found of the text's link definitions.
    """
    if len(heading) > MAX_PARSED_HEADING:
        return " ".join(heading.split())
    (inline,) = _parser().parseInline(ATTRIBUTES.sub("", heading), definitions)
    return " ".join(_shown_text(inline.children or []).split())


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


def _shown_text(tokens: Sequence[Token]) -> str:
    """The text of the tokens of a heading. A picture stands for itself by its alternative text, HTML for nothing."""
    parts = []
    for token in tokens:
        if token.type == "image":
            parts.append(_shown_text(token.children or []))
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif token.type != "html_inline":
            parts.append(token.content)
    return "".join(parts)


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
    metadata = {"source": name}
    title = ""
    parts: list[str] = []
    headings: list[Heading] = []
    line = 0  # of the text that the cells make together
    for number, cell in enumerate(cells, start=1):
        source = without_pictures(_source_of(cell, f"{path}, cell {number}"))
        kind = cell.get("cell_type")
        if kind in ("markdown", "raw") and not parts:
            front_matter, source = split_front_matter(source)  # where Quarto has the title
            if front_matter is not None:
                metadata["front_matter"], title = front_matter
        if kind not in ("markdown", "code") or not source.strip():
            continue
        if kind == "code":
            source = _fenced(source, _language_of(notebook))
        else:
            # Each cell is a text of its own: a code block or comment that one leaves open ends with it.
            found = headings_of(source)
            headings += [h._replace(start=h.start + line, end=h.end + line) for h in found]
        parts.append(source)
        line += source.count("\n") + 2
    # Lines of this text are not lines of the file, so the place of a section is the notebook.
    sections = split_at(headings, "\n\n".join(parts))
    return [(str(path), record) for _, record in records_from_sections(sections, path, name, metadata, title=title)]


def _language_of(notebook: dict[str, Any]) -> str:
    """Of the code, such as "julia": where the notebook says none it is Python."""
    metadata = notebook.get("metadata")
    for part, key in (("language_info", "name"), ("kernelspec", "language")):
        found = metadata.get(part) if isinstance(metadata, dict) else None
        language = found.get(key) if isinstance(found, dict) else None
        if isinstance(language, str) and re.fullmatch(r"[\w+#-]{1,30}", language):
            return language.lower()
    return "python"


def _source_of(cell: object, place: str) -> str:
    source = cell.get("source", "") if isinstance(cell, dict) else None
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise ValueError(f"{place}: the source must be a string or a list of strings")
    return source


def _fenced(code: str, language: str) -> str:
    """A code block whose fence is longer than any in the code, which keeps the code together."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
