"""How a page was verified: the commit it is of, which of its outputs nbval compares, how many claims it asserts."""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from website.links import text_of

NEVER_COMPARED = ("image/png", "image/jpeg")  # by nbval, even in its strict mode
VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Counts:
    """cells: of all kinds; compared, pictures and ignored: stored outputs; claims: assert statements."""

    cells: int
    code: int
    compared: int
    pictures: int
    ignored: int
    claims: int


def count(notebook: dict) -> Counts:
    """Count what a stored notebook has."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    compared = pictures = ignored = 0
    for cell in code:
        tagged = "nbval-ignore-output" in cell["metadata"].get("tags", [])
        for output in cell["outputs"]:
            types = output.get("data", {})
            if tagged:
                ignored += 1
            elif any(kind in types for kind in (*NEVER_COMPARED, VIEW)):
                pictures += 1
            else:
                compared += 1
    claims = sum(asserts(text_of(cell)) for cell in code)
    return Counts(len(notebook["cells"]), len(code), compared, pictures, ignored, claims)


def asserts(code: str) -> int:
    """The number of assert statements.

    >>> asserts("for x in (1, 2):\\n    assert x > 0\\nprint('assert')")
    1
    """
    try:
        return sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code)))
    except SyntaxError:  # a line for IPython alone, such as %timeit
        return len(re.findall(r"^\s*assert\b", code, re.MULTILINE))


@dataclass(frozen=True)
class Commit:
    """The commit that a file was last changed in; `name` is empty where there is no git, or no commit with the file."""

    name: str
    date: str
    changed_since: bool = False

    def __str__(self) -> str:
        if not self.name:
            return "not recorded: the site was built outside git"
        return f"{self.name} of {self.date}" + (", changed since" if self.changed_since else "")


def commit_of(file: Path) -> Commit:
    """The last commit of a file, by its short name, and its date (YYYY-MM-DD)."""
    name, _, date = git(file.parent, "log", "-1", "--format=%h %cs", "--", file.name).partition(" ")
    return Commit(name, date, bool(name and git(file.parent, "status", "--porcelain", "--", file.name)))


def git(folder: Path, *arguments: str) -> str:
    """What git prints; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def box(counts: Counts, commit: Commit) -> str:
    """The box at the end of a lesson, in Markdown."""
    return "\n".join(
        [
            "```{admonition} How this page was verified",
            ":class: verified",
            "",
            f"- Commit: {commit}",
            f"- Cells: {counts.cells}, of which {counts.code} are code",
            f"- Stored outputs that nbval compares with a new run: {counts.compared}",
            f"- Stored outputs that it doesn't compare: {counts.ignored} that depend on the machine, "
            f"{counts.pictures} pictures and widgets",
            f"- Claims that the cells assert: {counts.claims}",
            "",
            "`make test` runs the notebook again.",
            "It fails where a compared output differs, or an assertion doesn't hold.",
            "[All lessons](/verification.md)",
            "```",
        ]
    )
