"""Markdown to sections: a heading and the text below it, up to the next heading."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ragedu.readers.records import PlacedRecord, parse_json
from ragedu.readers.text_files import read_text

HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t](.*))?$")
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
PARAGRAPH = re.compile(r" {0,3}(?![-+*]\s|[>#|]|\d+[.)]\s|[-=*_]{3,})\S")
# Between two lines of ---, and beginning, after blank lines and comments, with a key of YAML.
# Otherwise --- is a horizontal rule.
FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?=(?:[ \t]*(?:#[^\n]*)?\n)*(?:[\w\"'-]+[ \t]*:(?=\s)|---|\.\.\.))"
    r"(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)


@dataclass
class Section:
    """A heading and the lines below it.

    Attributes
    ----------
    path
        The headings above it and its own, outermost first. Empty before the first heading.
    level
        The level of its own heading, 1 to 6; 0 before the first heading.
    top
        The level of the outermost heading in `path`.
    line
        The number of the line where it begins, counted from 1.
    lines
        The lines below the heading.
    """

    path: list[str]
    level: int
    top: int
    line: int
    lines: list[str] = field(default_factory=list, kw_only=True)

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip("\n")


def split_sections(text: str) -> list[Section]:
    """The sections of a Markdown text. The first has level 0 and no heading: the text before any heading.

    Headings are lines that begin with # or are underlined with = or -. Lines inside a fenced code block (between
    ``` or ~~~) or indented by four spaces are code, whatever they begin with.
    """
    sections = [Section([], 0, 0, 1)]
    fence = ""  # what opened the code block, inside one
    for number, line in enumerate(text.split("\n"), start=1):
        lines = sections[-1].lines
        if fence:
            lines.append(line)
            if _closes(line, fence):
                fence = ""
        elif opening := FENCE.match(line):
            lines.append(line)
            fence = opening[1]
        elif heading := HEADING.match(line):
            sections.append(_section(sections, len(heading[1]), heading[2] or "", number))
        elif (underline := UNDERLINE.match(line)) and _ends_with_one_line_paragraph(lines):
            level = 1 if underline[1].startswith("=") else 2
            sections.append(_section(sections, level, lines.pop(), number - 1))
        else:
            lines.append(line)
    return sections


def _closes(line: str, fence: str) -> bool:
    """Only a fence of the same character, at least as long and with nothing after it, closes a code block."""
    return bool(re.match(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*$", line))


def _ends_with_one_line_paragraph(lines: list[str]) -> bool:
    return bool(lines) and bool(PARAGRAPH.match(lines[-1])) and (len(lines) == 1 or not lines[-2].strip())


def _section(before: list[Section], level: int, title: str, line: int) -> Section:
    # A heading belongs under the nearest earlier one of a lower level, whose own path says the rest.
    above = next((section for section in reversed(before) if section.level < level), before[0])
    return Section([*above.path, plain(title)], level, above.top or level, line)


def plain(heading: str) -> str:
    """A heading without Markdown's markup: links become their text, `code` and **bold** lose their signs."""
    heading = heading.strip()
    without_closing = heading.rstrip("#")
    if not without_closing or without_closing[-1] in " \t":  # "## Setup ##" closes as it opens; "C#" does not
        heading = without_closing
    heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[`*]", "", heading).strip()


def slug(heading: str) -> str:
    """The anchor that a heading gets on GitHub: "Set up, quickly!" becomes "set-up-quickly"."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") or "section"


def read_markdown(path: Path, name: str) -> list[PlacedRecord]:
    """The sections of a Markdown file as records. name: the file's path in its corpus."""
    return records_from_markdown(read_text(path), path, name)


def records_from_markdown(text: str, path: Path, name: str) -> list[PlacedRecord]:
    """(place, record) for each section that says something.

    A text with at most one heading is one document with the id `name`. Otherwise each section is one, with the id
    "guide.md#installation" and the title "Guide › Installation".
    """
    metadata = {"source": name}
    front_matter = FRONT_MATTER.match(text)
    if front_matter:
        metadata["front_matter"] = front_matter[1].strip()
        # Blank lines instead of it, so that the line numbers of what follows stay.
        text = "\n" * front_matter[0].count("\n") + text[front_matter.end() :]
    sections = split_sections(text)
    if len(sections) <= 2:
        return _one_record(sections, path, name, metadata)

    records = []
    used: set[str] = set()
    for section, following in zip(sections, [*sections[1:], None], strict=True):
        if _is_left_out(section, following):
            continue
        root = [] if section.top == 1 else [path.stem]  # without a level-1 heading, the file's name is the title
        anchor = _unused(slug(section.path[-1]), used) if section.path else ""
        record = {
            "id": f"{name}#{anchor}" if anchor else name,
            "title": " › ".join([*root, *section.path]),
            "text": section.text,
            **metadata,
        }
        records.append((f"{path}, line {section.line}", record))
    return records


def _one_record(sections: list[Section], path: Path, name: str, metadata: dict[str, str]) -> list[PlacedRecord]:
    """The whole text as one record; none where it is blank and has no heading."""
    body = "\n\n".join(section.text for section in sections if section.text.strip())
    heading = sections[1].path[0] if len(sections) == 2 else ""
    if not body and len(sections) == 1:
        return []
    return [(str(path), {"id": name, "title": heading or path.stem, "text": body, **metadata})]


def _is_left_out(section: Section, following: Section | None) -> bool:
    """Whether a section has no text, and its heading, if it has one, lives on in the titles of sections under it."""
    if section.text.strip():
        return False
    has_sections_below = following is not None and following.level > section.level
    return section.level == 0 or has_sections_below


def _unused(anchor: str, used: set[str]) -> str:
    """The anchor, or the first of anchor-1, anchor-2, … that no section before has."""
    candidate, number = anchor, 0
    while candidate in used:
        number += 1
        candidate = f"{anchor}-{number}"
    used.add(candidate)
    return candidate


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
