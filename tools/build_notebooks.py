"""Build the notebooks from their sources, and check that they agree.

    notebooks/source/NN_name.py   ->  notebooks/NN_name.ipynb (English, executed)
                                      notebooks/ko/NN_name.ipynb (Korean, if it has Korean cells; same outputs)
    exercises/source/NN_name.py   ->  exercises/NN_name.ipynb (the student's: stubs, not executed)
                                      exercises/solutions/NN_name.ipynb (executed)

How a source is written: see lesson_source.py. What may not be stored: see notebook_outputs.py.
A notebook is replaced only when all of its source ran and nothing in its outputs is refused.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat
from lesson_source import Source, SourceError, read_source
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_outputs import LARGE_OUTPUT, ExecutionError, execute, output_problems, size

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("notebooks", "exercises")
LARGEST_NOTEBOOK = 2_000_000  # bytes
PLOT_IN_WORDS = {"en": "The plot in words", "ko": "그래프를 글로 읽기"}
# What every machine would write: no version of Python, no name of an environment.
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


@dataclass(frozen=True)
class Edition:
    """One notebook that is built from a source."""

    source: Source
    path: Path
    language: str
    executed: bool


def editions(source: Source) -> list[Edition]:
    folder = source.path.parent.parent
    places = [(folder / "solutions", True), (folder, False)] if source.is_exercise else [(folder, True)]
    return [
        Edition(
            source,
            place / ("" if language == "en" else language) / f"{source.name}.ipynb",
            language,
            executed,
        )
        for place, executed in places
        for language in source.languages
    ]


def blank_notebook(edition: Edition) -> NotebookNode:
    """The edition as its source defines it: everything but the outputs."""
    source, cells = edition.source, []
    for cell in source.cells:
        if cell.language == edition.language:
            cells.append(new_markdown_cell(cell.text))
        elif cell.language is None:
            code = source.solution_code(cell) if edition.executed else source.student_code(cell)
            alt = cell.alt.get(edition.language)
            metadata = ({"tags": cell.tags} if cell.tags else {}) | ({"alt": alt} if alt else {})
            cells.append(new_code_cell(code, metadata=metadata))
            if alt and edition.executed:
                # JupyterLab and GitHub show no alt text of an output, so the words also stand below the plot.
                summary = PLOT_IN_WORDS[edition.language]
                cells.append(new_markdown_cell(f"<details><summary>{summary}</summary>\n\n{alt}\n\n</details>"))
    for position, cell in enumerate(cells, start=1):
        cell.id = f"{source.name.replace('_', '-')[:50]}-{position:03d}"
    metadata = METADATA | {"ragedu": {"source_sha256": source.sha256}}
    return new_notebook(cells=cells, metadata=deepcopy(metadata), nbformat_minor=5)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def copy_outputs(executed: NotebookNode, notebook: NotebookNode) -> None:
    """Give `notebook` the outputs of another edition, with the alt text of its own language."""
    for source, target in zip(code_cells(executed), code_cells(notebook), strict=True):
        target.outputs = deepcopy(source.outputs)
        target.execution_count = source.execution_count
        for output in target.outputs if "alt" in target.metadata else []:
            for mime in output.get("data", {}):
                if mime.startswith("image/"):
                    output.metadata[mime] = output.metadata.get(mime, {}) | {"alt": target.metadata.alt}


def build(source: Source, root: Path, timeout: float) -> list[tuple[float, int]]:
    """Run the source once and write all its editions; return (seconds, source line) of each code cell."""
    notebooks = [(edition, blank_notebook(edition)) for edition in editions(source)]
    first, executed = notebooks[0]
    for edition, _ in notebooks:
        edition.path.parent.mkdir(parents=True, exist_ok=True)
    seconds = execute(executed, first.path.parent, source.code_lines, timeout)

    texts = []
    for edition, notebook in notebooks:
        if edition.executed:
            copy_outputs(executed, notebook)
        texts.append(nbformat.writes(notebook) + "\n")
    problems = execution_problems(source, executed, root)
    if len(texts[0].encode()) > LARGEST_NOTEBOOK:
        problems.append(f"the notebook has {len(texts[0].encode()):,} bytes; the limit is {LARGEST_NOTEBOOK:,}")
    if problems:
        raise ExecutionError("\n  ".join(problems))
    for (edition, _), text in zip(notebooks, texts, strict=True):
        replace_file(edition.path, text)
    return list(zip(seconds, source.code_lines, strict=True))


def replace_file(path: Path, text: str) -> None:
    """Write beside the file and rename, so that an interruption leaves the old file whole."""
    temporary = path.with_suffix(".ipynb.tmp")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def execution_problems(source: Source, notebook: NotebookNode, root: Path) -> list[str]:
    """What is wrong with the execution: cells not run, or run out of order; outputs that are refused."""
    problems = []
    for number, (cell, line) in enumerate(zip(code_cells(notebook), source.code_lines, strict=True), start=1):
        where = f"code cell {number} (line {line} of the source)"
        if cell.execution_count != number:
            problems.append(f"{where} was not run in its turn: its number is {cell.execution_count}")
        problems += [f"{where}: {problem}" for problem in output_problems(cell, root)]
        if size(cell) > LARGE_OUTPUT:
            print(f"{source.name}, {where}: {size(cell):,} bytes of output; show less", file=sys.stderr)
    return problems


def check(source: Source, root: Path) -> list[str]:
    """How the stored notebooks of this source differ from what it defines; nothing is executed."""
    problems, executed = [], None
    for edition in editions(source):
        name = edition.path.relative_to(root).as_posix()
        try:
            notebook = nbformat.read(edition.path, as_version=nbformat.NO_CONVERT)
            nbformat.validate(notebook)
        except FileNotFoundError:
            return [*problems, f"{name} is missing"]
        except (OSError, ValueError, nbformat.ValidationError) as error:
            return [*problems, f"{name} is no notebook: {str(error).splitlines()[0]}"]
        expected = blank_notebook(edition)
        differences = compare(notebook, expected)
        if not differences and edition.executed:
            executed = executed or notebook
            copy_outputs(executed, expected)
            differences = execution_problems(source, notebook, root)
        differences = differences or compare_outputs(notebook, expected)
        problems += [f"{name}: {difference}" for difference in differences]
    return problems


def compare(notebook: NotebookNode, expected: NotebookNode) -> list[str]:
    """Differences in everything but the outputs."""
    stored = notebook.metadata.get("ragedu", {}).get("source_sha256")
    if stored != expected.metadata.ragedu.source_sha256:
        return ["its source has changed since it was built"]
    if notebook.metadata != expected.metadata or notebook.nbformat_minor != expected.nbformat_minor:
        return ["the metadata of the notebook were edited"]
    if len(notebook.cells) != len(expected.cells):
        return [f"it has {len(notebook.cells)} cells, its source defines {len(expected.cells)}"]
    without_outputs = lambda cell: {k: v for k, v in cell.items() if k not in ("outputs", "execution_count")}
    return [
        f"cell {number} ({wanted.id}) is not what its source says"
        for number, (cell, wanted) in enumerate(zip(notebook.cells, expected.cells, strict=True), start=1)
        if without_outputs(cell) != without_outputs(wanted)
    ]


def compare_outputs(notebook: NotebookNode, expected: NotebookNode) -> list[str]:
    """Outputs that differ: from the English edition's, or from none at all in a student's notebook."""
    return [
        f"the outputs of code cell {number} are not those of the build"
        for number, (cell, wanted) in enumerate(zip(code_cells(notebook), code_cells(expected), strict=True), start=1)
        if (cell.outputs, cell.execution_count) != (wanted.outputs, wanted.execution_count)
    ]


def find_sources(root: Path, names: list[str]) -> tuple[list[Source], list[str]]:
    """All sources, or those named (by `01` or `01_tfidf`), and what is wrong with those it cannot read."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder / "source").glob("*.py"))]
    known = {name for path in paths for name in (path.stem, path.stem[:2])}
    problems = [f"there is no source called {name!r}; there are {sorted(known)}" for name in names if name not in known]
    if not paths:
        problems.append("there are no sources: notebooks/source/*.py matches nothing")
    sources = []
    for path in paths:
        if not names or path.stem in names or path.stem[:2] in names:
            try:
                sources.append(read_source(path))
            except SourceError as error:
                problems.append(str(error))
    return sources, problems


def find_orphans(root: Path, sources: list[Source]) -> list[str]:
    """Notebooks that no source defines."""
    defined = {edition.path for source in sources for edition in editions(source)}
    found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.ipynb"))]
    return [
        f"{path.relative_to(root).as_posix()}: no source defines this notebook; remove it"
        for path in found
        if path not in defined and ".ipynb_checkpoints" not in path.parts
    ]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="01 or 01_tfidf; without names, all sources")
    parser.add_argument("--check", action="store_true", help="execute nothing; say which notebooks differ")
    parser.add_argument("--all", action="store_true", help="also build what is up to date")
    parser.add_argument("--timing", action="store_true", help="print the seconds of every cell, not the slowest only")
    parser.add_argument("--cell-timeout", type=float, default=900, metavar="SECONDS", help="default: %(default)s")
    options = parser.parse_args(arguments)

    sources, problems = find_sources(root, options.names)
    if not (options.names or problems):
        problems += find_orphans(root, sources)
    for source in sources:
        differences = check(source, root)
        if options.check:
            problems += differences
        elif differences or options.all:
            print(f"{source.path.relative_to(root).as_posix()}: building", file=sys.stderr, flush=True)
            start = time.perf_counter()
            try:
                cells = build(source, root, options.cell_timeout)
            except ExecutionError as error:
                problems.append(f"{source.path.relative_to(root).as_posix()}: {error}")
                continue
            print(timing_report(source.name, time.perf_counter() - start, cells, options.timing), flush=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(sources)} source{'s' * (len(sources) != 1)}: every notebook agrees with its source")
    return 1 if problems else 0


def timing_report(name: str, total: float, cells: list[tuple[float, int]], every_cell: bool) -> str:
    title = "cells" if every_cell else "slowest"
    shown = cells if every_cell else sorted(cells, reverse=True)[:3]
    parts = ", ".join(f"line {line}: {seconds:.1f} s" for seconds, line in shown)
    return f"{name}: {total:.1f} s with the kernel's start; {title}: {parts}"


if __name__ == "__main__":
    sys.exit(main())
