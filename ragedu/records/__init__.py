"""Results that are too slow to make in a lesson, each as a table (CSV), with the command that made it.

`05.answers`: the whole system with every retriever, for lesson 05. `09.scale`: engines from a thousand documents to a
million, for lesson 09. `benchmarks/`, in the checkout, measures them and writes them here.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

MADE_BY = {
    "05.answers": "python -m benchmarks --only answers",
    "09.scale": "python -m benchmarks --only scale",
}


def path_of(name: str) -> Path:
    """The file of a record, to be read by `pandas.read_csv`, for example."""
    if name not in MADE_BY:
        raise ValueError(f"there is no record called {name!r}; there are {', '.join(MADE_BY)}")
    return Path(__file__).with_name(f"{name}.csv")


def read_record(name: str) -> list[dict[str, str]]:
    """The rows of a record; every value is text, as it stands in the file."""
    with path_of(name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Iterable[Mapping[str, object]], columns: Iterable[str]) -> None:
    """Write a table; an interruption leaves the old file whole."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(unfinished, path)
