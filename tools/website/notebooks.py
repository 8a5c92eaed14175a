"""A stored notebook as a page of the site. Nothing is run: what was stored is what is shown."""

from __future__ import annotations

import html
import re
from copy import deepcopy
from pathlib import Path

from navigation import WORDS

from website.course import Lesson
from website.links import Links, each_markdown_cell, text_of

PLOT_IN_WORDS = re.compile(r"<details><summary>[^<]*</summary>.*?</details>\s*", re.DOTALL)
NAVIGATION_WORD = re.compile("|".join(re.escape(word) for words in WORDS.values() for word in words.values()))
NOTEBOOK_LINK = re.compile(r"\[[^\]]*\]\([^)]*\.ipynb[^)]*\)")
# Of the cells that call these, the solutions' outputs are of no use to a reader.
HELPERS = re.compile(r"^(check|hint)\(", re.MULTILINE)


def markdown(text: str, id: str) -> dict:
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": text}


# What lessons and exercises have in common.


def is_navigation(line: str) -> bool:
    """Whether a line is the builder's line of links: the theme has its own.

    >>> is_navigation("Previous: [01 TF-IDF](01_tfidf.ipynb) · [Exercises](../exercises/02_bm25_exercises.ipynb)")
    True
    >>> is_navigation("Do the [exercises](../exercises/02_bm25_exercises.ipynb) now.")
    False
    """
    rest, links = NOTEBOOK_LINK.subn("", line)
    return links > 0 and not NAVIGATION_WORD.sub("", rest).strip(" ·:|")


def without_navigation(cells: list[dict]) -> list[dict]:
    """The cells without the lines of links at the top and at the end, and without cells that have nothing else."""
    kept = []
    for place, cell in enumerate(cells):
        if place in (0, len(cells) - 1) and cell["cell_type"] == "markdown":
            lines = [line for line in text_of(cell).split("\n") if not is_navigation(line)]
            if not "".join(lines).strip():
                continue
            cell["source"] = "\n".join(lines)
        kept.append(cell)
    return kept


def with_alt_texts(cells: list[dict]) -> list[dict]:
    """The cells with each figure's words as its alt text. The same words, folded below the figure, are left out."""
    kept: list[dict] = []
    for cell in cells:
        words = kept[-1]["metadata"].get("alt") if kept else None
        details = PLOT_IN_WORDS.match(text_of(cell)) if words and cell["cell_type"] == "markdown" else None
        if details and one_line(words) in one_line(details[0]):
            cell["source"] = text_of(cell)[details.end() :]
            if not cell["source"].strip():
                continue
        if "alt" in cell["metadata"]:
            cell["metadata"]["mystnb"] = {"image": {"alt": html.escape(cell["metadata"]["alt"])}}
        kept.append(cell)
    return kept


def one_line(text: str) -> str:
    return " ".join(text.split())


def after_title(cells: list[dict], line: str) -> None:
    """Put a line below the title in the first cell."""
    title, _, rest = text_of(cells[0]).partition("\n")
    cells[0]["source"] = f"{title}\n\n{line}\n{rest}"


def tools_line(what: str, notebook: Path, number: str, other: str) -> str:
    """Download, the command that opens it at the desk, and the page that goes with it."""
    return (
        "```{rst-class} page-tools\n```\n"
        f"{{download}}`Download this {what} (.ipynb) </originals/{notebook.name}>` · "
        f"Open at your desk: `ragedu start --only {number}`" + (f" · {other}" if other else "")
    )


def labelled(cells: list[dict]) -> list[dict]:
    """The cells with HTML that a stored output has as it is shown on the site: tables scroll by themselves."""
    for cell in cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                data.pop("application/vnd.jupyter.widget-view+json", None)
                data["text/html"] = table_that_scrolls("".join(data["text/html"]))
    return cells


def table_that_scrolls(code: str) -> str:
    """A stored HTML output in a box that scrolls, is reached by keyboard and has a name.

    pandas puts a style element into each table, which the site's own styles replace.
    """
    code = re.sub(r"<style scoped>.*?</style>", "", code, flags=re.DOTALL)
    if "<table" not in code:
        return code
    return f'<div class="scrolls" tabindex="0" role="region" aria-label="Table">{code}</div>'


# Lessons.


def lesson_page(notebook: dict, lesson: Lesson, links: Links, end: str) -> dict:
    """A lesson's page. end: what stands below it, in Markdown."""
    page = deepcopy(notebook)
    page["cells"] = labelled(with_alt_texts(without_navigation(page["cells"])))
    each_markdown_cell(page, lambda text: links.rewrite(text, f"{lesson.page}.ipynb"))
    cells = page["cells"]
    other = f"[Exercises](/{lesson.exercise_page}.ipynb)" if lesson.exercise_page else ""
    after_title(cells, tools_line("lesson", lesson.notebook, lesson.number, other))
    return page | {"cells": [*cells, markdown(end, "site-end")]}


# Exercises.


def exercise_page(student: dict, solved: dict, lesson: Lesson, links: Links) -> dict:
    """The student's exercises; below each stub its solution, folded away."""
    page = deepcopy(student)
    page["cells"] = labelled(with_alt_texts(without_navigation(page["cells"])))
    each_markdown_cell(page, lambda text: links.rewrite(text, f"{lesson.exercise_page}.ipynb"))
    solutions = {cell["id"]: cell for cell in solved["cells"]}
    cells = []
    for cell in page["cells"]:
        cells.append(cell)
        solution = solutions.get(cell.get("id"))
        if cell["cell_type"] == "code" and solution:
            cells += folded(cell, solution)
    assert lesson.exercises is not None
    other = f"[Lesson {lesson.number}](/{lesson.page}.ipynb)"
    after_title(cells, tools_line("notebook", lesson.exercises, lesson.number, other))
    return page | {"cells": cells}


def folded(cell: dict, solution: dict) -> list[dict]:
    """What the solutions have for a cell: other code, or what the same code prints. Each folded away."""
    code = text_of(solution)
    if code != text_of(cell):
        return [markdown(fold("Solution", "python", code), f"{cell['id']}-solution")]
    printed = "".join("".join(output["text"]) for output in solution["outputs"] if output["output_type"] == "stream")
    if printed and not HELPERS.search(code):
        return [
            markdown(fold("What it prints with the solutions", "text", printed.rstrip("\n")), f"{cell['id']}-printed")
        ]
    return []


def fold(summary: str, language: str, text: str) -> str:
    """Code that a click or the Enter key shows."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f'<details class="fold"><summary>{summary}</summary>\n\n{fence}{language}\n{text}\n{fence}\n\n</details>'
