"""Build the notebooks from their sources, and check that they agree.

    notebooks/source/NN_name.py   ->  notebooks/NN_name.ipynb (English, executed)
                                      notebooks/ko/NN_name.ipynb (Korean, if it has Korean cells; same outputs)
    exercises/source/NN_name.py   ->  exercises/NN_name_exercises.ipynb (the student's: stubs, not executed)
                                      exercises/solutions/NN_name_solutions.ipynb (executed)

Where only prose has changed, the stored outputs stay and nothing is run. Where code has changed, all code is run.
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
from navigation import navigation
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebook_outputs import IGNORED, LARGE_OUTPUT_BYTES, NotebookError, execute, output_problems, size

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("notebooks", "exercises")
MAX_NOTEBOOK_BYTES = 2_000_000
HIDDEN = "hide-input"
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
    """All notebooks of a source; the first is the one that is run."""
    folder = source.path.parent.parent
    kinds = [(folder, "", True)]
    if source.is_exercise:
        kinds = [(folder / "solutions", "_solutions", True), (folder, "_exercises", False)]
    return [
        Edition(source, of_language(folder, language) / f"{source.name}{ending}.ipynb", language, executed)
        for folder, ending, executed in kinds
        for language in source.languages
    ]


def of_language(folder: Path, language: str) -> Path:
    """Where the notebooks of a language stand: the English ones in the folder itself."""
    return folder if language == "en" else folder / language


def blank_notebook(edition: Edition) -> NotebookNode:
    """The edition as its source defines it: everything but the outputs."""
    source, cells = edition.source, []
    for cell in source.cells:
        if cell.language == edition.language:
            cells.append(new_markdown_cell(cell.text if cells else titled(cell.text, edition)))
        elif cell.language is None:
            code = source.solution_code(cell) if edition.executed else source.student_code(cell)
            alt = cell.alt.get(edition.language)
            metadata = ({"tags": cell.tags} if cell.tags else {}) | ({"alt": alt} if alt else {})
            if HIDDEN in cell.tags:  # the tag is for the site, the rest for JupyterLab
                metadata["jupyter"] = {"source_hidden": True}
            cells.append(new_code_cell(code, metadata=metadata))
            if alt and edition.executed:
                # JupyterLab and GitHub show no alt text of an output, so the words also stand below the plot.
                summary = PLOT_IN_WORDS[edition.language]
                cells.append(new_markdown_cell(f"<details><summary>{summary}</summary>\n\n{alt}\n\n</details>"))
    add_navigation(cells, navigation(source, edition.path, edition.language))
    for position, cell in enumerate(cells, start=1):
        cell.id = f"{source.name.replace('_', '-')[:50]}-{position:03d}"
    return new_notebook(cells=cells, metadata=deepcopy(METADATA), nbformat_minor=5)


def titled(text: str, edition: Edition) -> str:
    """The first cell: the solutions are told apart from the exercises by their title."""
    if edition.source.is_exercise and edition.executed:
        return text.replace("# Exercises ", "# Solutions ", 1)
    return text


def add_navigation(cells: list[NotebookNode], links: str) -> None:
    """Put the links below the title, and once more at the end."""
    if links:
        title, _, rest = cells[0].source.partition("\n")
        cells[0].source = "\n\n".join(part for part in (title, links, rest.strip("\n")) if part)
        cells.append(new_markdown_cell(links))


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


# Building


def build(source: Source, root: Path, timeout: float, *, run_again: bool = False) -> list[tuple[float, int]]:
    """Write all editions; return (seconds, source line) of each code cell, or nothing where no cell had to be run.

    run_again: run the code even if it is the code that made the stored outputs.
    """
    first = editions(source)[0]
    notebook = None if run_again else with_stored_outputs(first)
    if notebook and not execution_problems(source, notebook, root):
        write_editions(source, notebook, root)
        return []
    print(f"{source.path.relative_to(root).as_posix()}: running", file=sys.stderr, flush=True)
    notebook = blank_notebook(first)
    first.path.parent.mkdir(parents=True, exist_ok=True)
    seconds = execute(notebook, first.path.parent, source.code_lines, timeout)
    write_editions(source, notebook, root)
    return list(zip(seconds, source.code_lines, strict=True))


def with_stored_outputs(edition: Edition) -> NotebookNode | None:
    """The edition with the outputs that its file has; None when other code made those, or there are none."""
    notebook = blank_notebook(edition)
    try:
        stored = read_notebook(edition.path)
    except NotebookError:
        return None
    if what_runs(stored) != what_runs(notebook):
        return None
    copy_outputs(stored, notebook)
    return notebook


def what_runs(notebook: NotebookNode) -> list[tuple[str, bool]]:
    """What decides about the outputs that are stored: each cell's code, and whether nbval compares its output."""
    return [(cell.source, IGNORED in cell.metadata.get("tags", [])) for cell in code_cells(notebook)]


def keep_outputs(source: Source, root: Path) -> int:
    """Write all editions with the stored outputs, though other code made them; return how many cells that concerns."""
    first = editions(source)[0]
    notebook = blank_notebook(first)
    try:
        stored = read_notebook(first.path)
    except NotebookError as error:
        raise NotebookError(f"{first.path.name} {error}: run it, without --keep-outputs") from None
    before, now = len(code_cells(stored)), len(code_cells(notebook))
    if before != now:
        raise NotebookError(f"it has {now} code cells, the notebook has {before}: run it, without --keep-outputs")
    copy_outputs(stored, notebook)
    write_editions(source, notebook, root)
    return sum(old != new for old, new in zip(what_runs(stored), what_runs(notebook), strict=True))


def copy_outputs(executed: NotebookNode, notebook: NotebookNode) -> None:
    """Give `notebook` the outputs of another edition, with the alt text of its own language."""
    for source, target in zip(code_cells(executed), code_cells(notebook), strict=True):
        target.outputs = deepcopy(source.outputs)
        target.execution_count = source.execution_count
        for output in target.outputs if "alt" in target.metadata else []:
            for mime in output.get("data", {}):
                if mime.startswith("image/"):
                    output.metadata[mime] = output.metadata.get(mime, {}) | {"alt": target.metadata.alt}


def write_editions(source: Source, executed: NotebookNode, root: Path) -> None:
    """Write all editions of a source with the outputs of the executed notebook, or none if something is refused."""
    texts = {}
    for edition in editions(source):
        notebook = blank_notebook(edition)
        if edition.executed:
            copy_outputs(executed, notebook)
        texts[edition.path] = nbformat.writes(notebook) + "\n"
    problems = execution_problems(source, executed, root)
    largest = max(len(text.encode()) for text in texts.values())
    if largest > MAX_NOTEBOOK_BYTES:
        problems.append(f"the notebook has {largest:,} bytes; the limit is {MAX_NOTEBOOK_BYTES:,}")
    warn_of_large_outputs(source, executed)
    if problems:
        raise NotebookError("\n  ".join(problems))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)


def replace_file(path: Path, text: str) -> None:
    """Write a temporary file and rename it, so that an interruption leaves the old file whole."""
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
    return problems


def warn_of_large_outputs(source: Source, notebook: NotebookNode) -> None:
    for cell, line in zip(code_cells(notebook), source.code_lines, strict=True):
        if size(cell) > LARGE_OUTPUT_BYTES:
            print(f"{source.name}, line {line}: {size(cell):,} bytes of output; show less", file=sys.stderr)


# Checking


def check(source: Source, root: Path) -> list[str]:
    """How the stored notebooks of this source differ from what it defines; nothing is executed."""
    problems, executed = [], None
    for edition in editions(source):
        name = edition.path.relative_to(root).as_posix()
        try:
            notebook = read_notebook(edition.path)
        except NotebookError as error:
            return [*problems, f"{name} {error}"]
        expected = blank_notebook(edition)
        differences = compare(notebook, expected)
        if not differences and edition.executed:
            executed = executed or notebook
            copy_outputs(executed, expected)
            differences = execution_problems(source, notebook, root)
        differences = differences or compare_outputs(notebook, expected)
        problems += [f"{name}: {difference}" for difference in differences]
    return problems


def read_notebook(path: Path) -> NotebookNode:
    """A stored notebook; raises NotebookError, whose message says what the file is instead."""
    try:
        notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise NotebookError("is missing") from None
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise NotebookError(f"is no notebook: {str(error).splitlines()[0]}") from None
    return notebook


def compare(notebook: NotebookNode, expected: NotebookNode) -> list[str]:
    """Differences in everything but the outputs."""
    if len(notebook.cells) != len(expected.cells):
        return [f"it has {len(notebook.cells)} cells, its source defines {len(expected.cells)}"]
    if notebook.metadata != expected.metadata or notebook.nbformat_minor != expected.nbformat_minor:
        return ["its metadata are not those of the build"]
    differing = [
        f"cell {number} ({wanted.id})"
        for number, (cell, wanted) in enumerate(zip(notebook.cells, expected.cells, strict=True), start=1)
        if without_outputs(cell) != without_outputs(wanted)
    ]
    if not differing:
        return []
    if len(differing) == 1:
        return [f"{differing[0]} is not what its source says"]
    return [f"{differing[0]} and {len(differing) - 1} more are not what their source says"]


def without_outputs(cell: NotebookNode) -> dict:
    return {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}


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
    known = {name for path in paths for name in (path.stem, number_of(path))}
    problems = [f"there is no source called {name!r}; there are {sorted(known)}" for name in names if name not in known]
    if not paths:
        problems.append("there are no sources: notebooks/source/*.py matches nothing")
    sources = []
    for path in paths:
        if not names or path.stem in names or number_of(path) in names:
            try:
                sources.append(read_source(path))
            except SourceError as error:
                problems.append(str(error))
    return sources, problems


def number_of(source: Path) -> str:
    """01 of 01_tfidf.py, 03a of 03a_more.py."""
    return source.stem.partition("_")[0]


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
    options = parse_arguments(arguments)
    sources, problems = find_sources(root, options.names)
    if not (options.names or problems):
        problems += find_orphans(root, sources)
    stale = []
    for source in sources:
        differences = check(source, root)
        if options.check and differences:
            problems += differences
            stale.append(source.name)
        elif differences or options.all:
            problems += bring_up_to_date(source, root, options)
    for problem in problems:
        print(problem, file=sys.stderr)
    if stale:
        print(f"run: python tools/build_notebooks.py {' '.join(sorted(set(stale)))}", file=sys.stderr)
    if not problems:
        print(f"{len(sources)} source{'s' * (len(sources) != 1)}: every notebook agrees with its source")
    return 1 if problems else 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="01 or 01_tfidf; without names, all sources")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; say which notebooks differ")
    what.add_argument("--all", action="store_true", help="run all code again, also what is up to date")
    what.add_argument(
        "--keep-outputs",
        action="store_true",
        help="run nothing: keep the stored outputs though code has changed, for a renaming that changes no result. "
        "Each notebook must have as many code cells as before, and nbval must verify its outputs afterwards: "
        "make test does",
    )
    parser.add_argument("--timing", action="store_true", help="print the seconds of every cell, not the slowest only")
    parser.add_argument("--cell-timeout", type=float, default=900, metavar="SECONDS", help="default: %(default)s")
    return parser.parse_args(arguments)


def bring_up_to_date(source: Source, root: Path, options: argparse.Namespace) -> list[str]:
    """Write the notebooks of a source as the options say, and tell what was done; return what went wrong."""
    name = source.path.relative_to(root).as_posix()
    start = time.perf_counter()
    try:
        if options.keep_outputs:
            changed = keep_outputs(source, root)
            print(f"{name}: outputs kept; verify those of {changed} changed code cells with nbval", flush=True)
        elif cells := build(source, root, options.cell_timeout, run_again=options.all):
            print(timing_report(source.name, time.perf_counter() - start, cells, options.timing), flush=True)
        else:
            print(f"{name}: outputs kept, since no code cell has changed", flush=True)
    except NotebookError as error:
        return [f"{name}: {error}"]
    return []


def timing_report(name: str, total: float, cells: list[tuple[float, int]], every_cell: bool) -> str:
    title = "cells" if every_cell else "slowest"
    shown = cells if every_cell else sorted(cells, reverse=True)[:3]
    parts = ", ".join(f"line {line}: {seconds:.1f} s" for seconds, line in shown)
    return f"{name}: {total:.1f} s with the kernel's start; {title}: {parts}"


if __name__ == "__main__":
    sys.exit(main())
