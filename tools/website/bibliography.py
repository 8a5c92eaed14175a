"""What the lessons recommend for further reading, in one list with addresses, and the lessons that name each work."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from website.course import Lesson
from website.links import text_of

FURTHER = "**Further reading"
# Between semicolons: who, and when; then the title, in italics, with its address.
WORK = re.compile(r"([^;\[]*)\[([^\]\n]+)\]\((\S+?)\)(?=[\s;,.]|$)")


@dataclass(frozen=True)
class Work:
    """who: such as "Liu et al. (2023)"; may be empty."""

    who: str
    title: str
    address: str


def further_reading(notebook: dict) -> str:
    """The lesson's paragraph of further reading; empty if it has none."""
    texts = (text_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    text = next((text for text in texts if FURTHER in text), "")
    return text.partition(FURTHER)[2].partition("\n\n")[0]


def works(paragraph: str) -> list[Work]:
    """The works in it that have an address.

    >>> works(".**\\nLiu et al. (2023), [*Lost in the Middle*](https://x.org/1), chapter 2; [*FTS5*](https://x.org/2).")
    [Work(who='Liu et al. (2023)', title='Lost in the Middle', address='https://x.org/1'),
     Work(who='', title='FTS5', address='https://x.org/2')]
    """
    return [
        Work(who.strip(" ,.:*\n"), title.replace("*", ""), address) for who, title, address in WORK.findall(paragraph)
    ]


def page(recommended: Iterable[tuple[Lesson, list[Work]]]) -> str:
    """The page, in Markdown. A work that several lessons name stands there once, under its longest title."""
    named: dict[str, list[Work]] = {}
    lessons_of: dict[str, list[Lesson]] = {}
    for lesson, its_works in recommended:
        for work in its_works:
            named.setdefault(work.address, []).append(work)
            lessons_of.setdefault(work.address, []).append(lesson)
    best = [max(same, key=lambda work: len(work.title)) for same in named.values()]
    lines = ["# Bibliography", "", "What the lessons recommend for further reading.", ""]
    for work in sorted(best, key=lambda work: (work.who or work.title).casefold()):
        who = f"{work.who}, " if work.who else ""
        links = ", ".join(f"[{lesson.number}](/{lesson.page}.ipynb)" for lesson in lessons_of[work.address])
        lines.append(f"- {who}[{work.title}]({work.address}). Lesson {links}.")
    return "\n".join([*lines, ""])
