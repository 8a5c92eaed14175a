"""Plain text to sections: titles are lines with a line of signs below them, as in the notes of many programs."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from ragedu.readers.pictures import without_pictures
from ragedu.readers.records import PlacedRecord
from ragedu.readers.sections import Heading, records_from_sections, split_at
from ragedu.readers.text_files import read_text

UNDERLINE = re.compile(r"([-=~^\"'`#*+.:_])\1{2,}+[ \t]*")
FENCE = re.compile(r"([-=.*_+])\1{3}[ \t]*")  # AsciiDoc's, around a block of code: "----"
OPENS_BLOCK = re.compile(r"\s*|\+|\[.*\][ \t]*")  # the line before a fence
MAX_DIFFERENCE = 2  # between a title and its underline. Below a line of code that ends a block it is longer.


def read_plain(path: Path, name: str) -> list[PlacedRecord]:
    """The sections of a text as records, as of a Markdown file. name: its path in its corpus."""
    text = without_pictures(read_text(path))
    return records_from_sections(split_at(headings_of(text), text), path, name, {"source": name})


def headings_of(text: str) -> list[Heading]:
    """Underlined titles after a blank line, in order. The first kind of underline that occurs is for the highest level.

    >>> headings_of("Harbour\\n=======\\nIt was built in 1881.\\n\\nLight\\n-----\\n")
    [Heading(title='Harbour', level=1, start=0, end=2), Heading(title='Light', level=2, start=4, end=6)]
    """
    lines = text.split("\n")
    levels: dict[tuple[str, bool], int] = {}
    headings: list[Heading] = []
    fenced = fenced_lines(lines)
    for number in range(1, len(lines)):
        if number in fenced:
            continue
        title, sign = lines[number - 1].strip(), lines[number][:1]
        if not UNDERLINE.fullmatch(lines[number]) or not any(map(str.isalnum, title)):
            continue
        above = number - 2
        has_overline = above >= 0 and lines[above].rstrip() == lines[number].rstrip()
        start = above if has_overline else number - 1
        is_apart = start == 0 or not lines[start - 1].strip()
        if is_apart and abs(len(lines[number].rstrip()) - _columns(title)) <= MAX_DIFFERENCE:
            level = levels.setdefault((sign, has_overline), len(levels) + 1)
            headings.append(Heading(" ".join(title.split()), level, start, number + 1))
    return headings


def fenced_lines(lines: list[str]) -> set[int]:
    """The numbers of the lines in blocks of code, of the fences that end these too.

    >>> sorted(fenced_lines(["Build it:", "", "----", "$ make", "----", "Done"]))
    [2, 3, 4]
    """
    closing: dict[str, list[int]] = {}  # where each kind of fence stands, the last one first
    for number in reversed(range(len(lines))):
        if FENCE.fullmatch(lines[number]):
            closing.setdefault(lines[number].rstrip(), []).append(number)
    inside: set[int] = set()
    for number, line in enumerate(lines):
        if number in inside or not FENCE.fullmatch(line):
            continue
        if number and not OPENS_BLOCK.fullmatch(lines[number - 1]):
            continue
        ends = closing[line.rstrip()]
        while ends and ends[-1] <= number:
            ends.pop()
        if ends:
            inside.update(range(number, ends[-1] + 1))
    return inside


def _columns(title: str) -> int:
    """How wide a title is: characters of Chinese, Japanese and Korean take two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in title)
