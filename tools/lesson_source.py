"""Read the source of a lesson or of an exercise: one py:percent file around which all editions are built.

    # %% [markdown] lang="en"                 prose in English; lang="ko": the same cell in Korean
    # # TF-IDF

    # %% tags=["nbval-ignore-output"]         code, shared by all languages
    # %% alt="…" alt_ko="…"                   code that draws one plot, and the plot in words

One sentence of the prose stands on one line, so that a changed sentence is a changed line; Markdown joins them again.

In an exercise the lines between `# SOLUTION name` and `# END` are the solution. The student's notebook has

    raise NotImplementedError("Exercise 02.name")

instead, where 02 is the number of the file. A lesson's second part is numbered 03a and follows lesson 03.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

TAGS = {
    "nbval-ignore-output": "its output depends on the machine: a cell soon after asserts what the prose concludes",
    "allow-stderr": "what it writes to standard error is part of the lesson",
    "hide-input": "it only draws a plot or a table, or asserts what a prediction comes to: its code is collapsed",
}
MAX_CODE_LINE = 100  # as many characters as a cell shows without scrolling
OPTIONS = {"markdown": {"lang"}, "code": {"tags", "alt", "alt_ko"}}
MARKER = re.compile(r"# %%(?: \[(?P<kind>\w+)\])?(?P<options>(?: .*)?)")
OPTION = re.compile(r'\s+(\w+)=("(?:[^"\\]|\\.)*"|\[[^\]]*\])')
SOLUTION = re.compile(r"^( *)# SOLUTION (\w+)\n(.+?)^\1# END$\n?", re.MULTILINE | re.DOTALL)


class SourceError(Exception):
    """A source that cannot be built: the message names the file and the line."""


@dataclass(frozen=True)
class Cell:
    line: int
    language: str | None  # None: code, which belongs to every language
    text: str
    tags: list[str] = field(default_factory=list)
    alt: dict[str, str] = field(default_factory=dict)  # {language: the plot in words}


@dataclass(frozen=True)
class Source:
    path: Path
    cells: list[Cell]
    languages: list[str]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.name.partition("_")[0]

    @property
    def is_exercise(self) -> bool:
        return self.path.parent.parent.name == "exercises"

    @property
    def code_lines(self) -> list[int]:
        """The line of each code cell."""
        return [cell.line for cell in self.cells if cell.language is None]

    def student_code(self, cell: Cell) -> str:
        """The cell's code with a stub instead of each solution."""
        stub = rf'\1raise NotImplementedError("Exercise {self.number}.\2")\n'
        return SOLUTION.sub(stub, cell.text + "\n").rstrip("\n")

    def solution_code(self, cell: Cell) -> str:
        """The cell's code without the lines that mark the solutions."""
        return SOLUTION.sub(r"\3", cell.text + "\n").rstrip("\n")


def read_source(path: Path) -> Source:
    """Parse and check one source; raises SourceError, whose message says where and why."""
    text = path.read_text(encoding="utf-8")  # any line ending becomes \n
    if not re.fullmatch(r"\d\d[a-z]?_\w+", path.stem):
        raise SourceError(f"{path.name}: a source is named like 01_tfidf.py")
    try:
        cells = [parse_cell(line, header, body) for line, header, body in split_cells(text)]
        languages = check_languages(cells)
        for cell in cells:
            check_code(cell, languages)
    except SourceError as error:
        raise SourceError(f"{path.name}, {error}") from None
    source = Source(path, cells, languages)
    for cell in cells:
        left_over = re.search(r"^ *# (SOLUTION|END)\b", source.solution_code(cell), re.MULTILINE)
        if cell.language is None and left_over:
            raise SourceError(
                f"{path.name}, line {cell.line}: a solution is '# SOLUTION name', its lines, '# END', "
                "with the two markers at the same indentation"
            )
    return source


def split_cells(text: str) -> list[tuple[int, re.Match, list[str]]]:
    """(line number of the marker, the marker, the lines below it) for each cell."""
    cells = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("# %%"):
            marker = MARKER.fullmatch(line.rstrip())
            if marker is None:
                raise SourceError(f"line {number}: cannot read the cell marker {line!r}")
            cells.append((number, marker, []))
        elif cells:
            cells[-1][2].append(line)
        elif line.strip():
            raise SourceError(f"line {number}: text before the first cell; begin the file with a '# %%' line")
    return cells


def parse_cell(line: int, marker: re.Match, body: list[str]) -> Cell:
    kind = marker["kind"] or "code"
    if kind not in OPTIONS:
        raise SourceError(f"line {line}: a cell is code or [markdown], not [{kind}]")
    try:
        options = {name: json.loads(value) for name, value in OPTION.findall(marker["options"])}
    except json.JSONDecodeError as error:
        raise SourceError(f"line {line}: cannot read the cell's options ({error})") from None
    unread = OPTION.sub("", marker["options"]).strip()
    if unread or options.keys() - OPTIONS[kind]:
        what = unread or ", ".join(options.keys() - OPTIONS[kind])
        raise SourceError(f"line {line}: a {kind} cell has no option {what!r}; it has {sorted(OPTIONS[kind])}")

    if kind == "markdown":
        if options.get("lang") not in ("en", "ko"):
            raise SourceError(f'line {line}: a markdown cell says its language, lang="en" or lang="ko"')
        text = uncomment(line, body)
    else:
        check_width(line, body)
        text = "\n".join(body).strip("\n").rstrip()
    if not text.strip():
        raise SourceError(f"line {line}: the cell is empty; write something or remove it")
    alt = {language: options[key] for language, key in (("en", "alt"), ("ko", "alt_ko")) if key in options}
    return Cell(line, options.get("lang"), text, options.get("tags", []), alt)


def uncomment(line: int, body: list[str]) -> str:
    while body and not body[-1].strip():
        body = body[:-1]
    for number, text in enumerate(body, start=line + 1):
        if not (text.rstrip() == "#" or text.startswith("# ")):
            raise SourceError(f"line {number}: a line of a markdown cell begins with '# ': {text!r:.60}")
    return "\n".join(text[2:] for text in body).strip("\n")


def check_width(line: int, body: list[str]) -> None:
    for number, text in enumerate(body, start=line + 1):
        if len(text) > MAX_CODE_LINE:
            raise SourceError(
                f"line {number}: a line of code has {len(text)} characters; a cell shows {MAX_CODE_LINE}, so break it"
            )


def check_languages(cells: list[Cell]) -> list[str]:
    """The source's languages, each with the same number of cells in every stretch of markdown."""
    used = {cell.language for cell in cells}
    if "en" not in used:
        raise SourceError("line 1: there is no English markdown cell")
    if "ko" not in used:
        return ["en"]
    for is_code, group in groupby(cells, key=lambda cell: cell.language is None):
        stretch = list(group)
        english, korean = (sum(cell.language == language for cell in stretch) for language in ("en", "ko"))
        if not is_code and english != korean:
            raise SourceError(
                f"line {stretch[0].line}: from here to the next code there are {english} English cells "
                f"but {korean} Korean ones; write the missing ones"
            )
    return ["en", "ko"]


def check_code(cell: Cell, languages: list[str]) -> None:
    unknown = set(cell.tags) - TAGS.keys()
    if unknown:
        raise SourceError(f"line {cell.line}: unknown tag {sorted(unknown)[0]!r}; there are {sorted(TAGS)}")
    if cell.language is None and "NBVAL_" in cell.text:
        raise SourceError(f"line {cell.line}: steer nbval with a tag on the cell's '# %%' line, not in the code")
    if cell.language is None and re.search(r"^# ##* ", cell.text, re.MULTILINE):
        raise SourceError(f"line {cell.line}: a heading stands in code; a '# %% [markdown]' line is missing before it")
    if cell.alt and list(cell.alt) != languages:
        raise SourceError(f"line {cell.line}: the plot is in words in {list(cell.alt)}, the lesson in {languages}")
