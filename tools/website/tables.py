"""A table in HTML that a script makes sortable, and the pages of data that may or may not be there yet."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path


def html_table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()
) -> str:
    """A table whose columns can be sorted. `caption` and `columns` are text; the cells of `rows` are HTML.

    The first cell of a row is its heading. numbers: the columns that are aligned as figures.
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = []
    for row in rows:
        cells = [
            f"<th scope='row'>{cell}</th>"
            if place == 0
            else f"<td{' class=number' if place in numbers else ''}>{cell}</td>"
            for place, cell in enumerate(row)
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    # A wide table scrolls by itself; what scrolls must be reached by keyboard, and be named.
    return (
        f'<div class="scrolls" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="sortable"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(body) + "\n</tbody></table></div>"
    )


def glossary_page(file: Path) -> str:
    """docs/glossary.toml as Sphinx's glossary: a table [terms] of each term and its meaning, in Markdown."""
    terms = tomllib.loads(file.read_text("utf-8"))["terms"]
    lines = ["# Glossary", "", "```{glossary}"]
    for term in sorted(terms, key=str.casefold):
        meaning = "\n".join(f"  {line}".rstrip() for line in terms[term].strip().splitlines())
        lines += [term, meaning, ""]
    return "\n".join([*lines, "```", ""])


def atlas_page(file: Path) -> str:
    """A CSV file with a row of headings as a page with one sortable table."""
    with file.open(encoding="utf-8", newline="") as lines:
        columns, *rows = csv.reader(lines)
    return "# Atlas\n\n" + html_table("Atlas", columns, [[escape(cell) for cell in row] for row in rows]) + "\n"


# A page stands on the site when its data are in the repository.
DATA_PAGES = {"glossary": ("docs/glossary.toml", glossary_page), "atlas": ("ragedu/atlas/atlas.csv", atlas_page)}


def data_pages(root: Path) -> dict[str, str]:
    """{name of the page: its text} for those whose data are there."""
    return {name: make(root / file) for name, (file, make) in DATA_PAGES.items() if (root / file).is_file()}
