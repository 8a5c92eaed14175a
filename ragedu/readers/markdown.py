"""Markdown to sections: a heading and what stands under it, up to the next heading."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragedu.readers.records import parse_json
from ragedu.readers.text_files import read_text

HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t](.*))?$")
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
PARAGRAPH = re.compile(r" {0,3}(?![-+*]\s|[>#|]|\d+[.)]\s|[-=*_]{3,})\S")
# Between two lines of ---, and beginning, after blank lines and comments, with a key of YAML: else --- is a rule.
FRONT_MATTER = re.compile(
    r"---[ \t]*\n(?=(?:[ \t]*(?:#[^\n]*)?\n)*(?:[\w\"'-]+[ \t]*:(?=\s)|---|\.\.\.))"
    r"(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)


@dataclass
class Section:
    """path: the headings above it and its own, outermost first; level: that of its own heading; top: that of the
    outermost; line: where it begins."""

    path: list[str]
    level: int
    top: int
    line: int
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip("\n")


def split_sections(text: str) -> list[Section]:
    """The sections of a Markdown text. The first has level 0 and no heading: what stands before any heading.

    Headings are lines that begin with # or are underlined with = or -. Lines inside a fenced code block (between
    ``` or ~~~) or indented by four spaces are code, whatever they begin with.
    """
    sections = [Section([], 0, 0, 1)]
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        current = sections[-1]
        mark = FENCE.match(line)
        if fence:
            # Only a fence of the same character, at least as long and with nothing after it, closes the block.
            if re.match(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*$", line):
                fence = ""
        elif mark:
            fence = mark[1]
        elif heading := HEADING.match(line):
            sections.append(_section(sections, len(heading[1]), heading[2] or "", number))
            continue
        elif (underline := UNDERLINE.match(line)) and _is_one_line_paragraph(current.lines):
            title = current.lines.pop()
            sections.append(_section(sections, 1 if underline[1][0] == "=" else 2, title, number - 1))
            continue
        current.lines.append(line)
    return sections


def _is_one_line_paragraph(lines: list[str]) -> bool:
    return bool(lines) and bool(PARAGRAPH.match(lines[-1])) and (len(lines) == 1 or not lines[-2].strip())


def _section(before: list[Section], level: int, title: str, line: int) -> Section:
    # A heading belongs under the nearest earlier one of a lower level, whose own path says the rest.
    above = next((section for section in reversed(before) if section.level < level), before[0])
    return Section([*above.path, plain(title)], level, above.top or level, line)


def plain(heading: str) -> str:
    """A heading without Markdown's marks: links become their text, `code` and **bold** lose their signs."""
    heading = heading.strip()
    opened = heading.rstrip("#")
    if not opened or opened[-1] in " \t":  # "## Setup ##" may close as it opens; "C#" may not
        heading = opened
    return re.sub(r"[`*]", "", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip()


def slug(heading: str) -> str:
    """The anchor that a heading gets on GitHub: "Set up, quickly!" becomes "set-up-quickly"."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") or "section"


def read_markdown(path: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    return records_from_markdown(read_text(path), path, name)


def records_from_markdown(text: str, path: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    """(place, record) for each section that says something.

    A text with at most one heading is one document with the id `name`. Otherwise each section is one, with the id
    "guide.md#installation" and the title "Guide › Installation".
    """
    front_matter = FRONT_MATTER.match(text)
    if front_matter:
        # Keep the line numbers of what follows.
        text = "\n" * front_matter[0].count("\n") + text[front_matter.end() :]
    metadata = {"source": name, **({"front_matter": front_matter[1].strip()} if front_matter else {})}
    sections = split_sections(text)
    if len(sections) <= 2:
        title = sections[-1].path[0] if len(sections) == 2 and sections[-1].path[0] else path.stem
        body = "\n\n".join(section.text for section in sections if section.text.strip())
        if not body and len(sections) < 2:
            return []
        return [(str(path), {"id": name, "title": title, "text": body, **metadata})]

    records, used = [], set()
    for section, following in zip(sections, [*sections[1:], None], strict=True):
        if not section.text.strip():
            # A bare heading lives on in the titles of the sections under it, if there are any.
            leads_on = following is not None and following.level > section.level
            if section.level == 0 or leads_on:
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


def _unused(anchor: str, used: set[str]) -> str:
    """The anchor, or the first of anchor-1, anchor-2, … that no section before has."""
    candidate, number = anchor, 0
    while candidate in used:
        number += 1
        candidate = f"{anchor}-{number}"
    used.add(candidate)
    return candidate


def read_notebook(path: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    """The Markdown and code cells of a Jupyter notebook (not their outputs), read as one Markdown text."""
    content = read_text(path)
    notebook = parse_json(content, path) if content.strip() else {"cells": []}
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise ValueError(
            f"{path} is no notebook of format 4 (it has no list of cells): "
            "open it in JupyterLab and save it, or convert it with jupyter nbconvert --to notebook"
        )
    parts = []
    for number, cell in enumerate(cells, start=1):
        kind, source = (cell.get("cell_type"), cell.get("source", "")) if isinstance(cell, dict) else (None, None)
        source = "".join(source) if isinstance(source, list) and all(isinstance(s, str) for s in source) else source
        if not isinstance(source, str):
            raise ValueError(f"{path}, cell {number}: the source must be a string or a list of strings")
        if kind == "markdown":
            parts.append(source)
        elif kind == "code" and source.strip():
            # A fence longer than any in the code keeps the code together.
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", source)), default=0))
            parts.append(f"{fence}python\n{source}\n{fence}")
    # Lines of this text are not lines of the file, so the place of a section is the notebook.
    return [(str(path), record) for _, record in records_from_markdown("\n\n".join(parts), path, name)]
