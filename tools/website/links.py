"""Where a relative link of the repository leads on the site.

Lessons and exercises keep their places, so most links stay as they are. A solution is folded into the page of its
exercise, a file of the package has its page in the reference, and any other file goes along as a download.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from website.course import SiteError

# A target in brackets, perhaps with a title behind it: [words](target "title").
TARGET = re.compile(r"(?<=\]\()([^()\s]+)(?=(?: \"[^\"]*\")?\))")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|#|//", re.IGNORECASE)


def module_name(path: str) -> str:
    """The module that a file or folder of the package is.

    >>> module_name("ragedu/retrieval/bm25.py"), module_name("ragedu/evaluation/")
    ('ragedu.retrieval.bm25', 'ragedu.evaluation')
    """
    return path.removesuffix("/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class Links:
    """Rewrites links; remembers in `files` which other files of the repository have to go along.

    pages: the pages that come from the repository, such as {"notebooks/02_bm25.ipynb"}; modules: those with a page.
    """

    def __init__(self, root: Path, pages: set[str], modules: set[str]) -> None:
        self.root, self.pages, self.modules = root, pages, modules
        self.files: set[str] = set()

    def rewrite(self, markdown: str, page: str) -> str:
        """The same text as it stands on the page with this path, such as notebooks/02_bm25.ipynb."""
        return TARGET.sub(lambda match: self.target(match[1], page), markdown)

    def target(self, target: str, page: str) -> str:
        """Raises SiteError for a link to what the repository does not have."""
        if OUTSIDE.match(target):
            return target
        path, mark, anchor = target.partition("#")
        folder = posixpath.dirname(page)
        wanted = posixpath.normpath(posixpath.join(folder, path))
        wanted = re.sub(r"^exercises/solutions/(.*)_solutions\.ipynb$", r"exercises/\1_exercises.ipynb", wanted)
        if wanted in self.pages:
            return posixpath.relpath(wanted, folder or ".") + mark + anchor
        if module_name(wanted) in self.modules:
            return posixpath.relpath(f"reference/{module_name(wanted)}.rst", folder or ".")
        if wanted.startswith("..") or not (self.root / wanted).is_file():
            raise SiteError(f"{page} links to {target}, which is not there")
        self.files.add(wanted)
        return posixpath.relpath(f"files/{wanted}", folder or ".")


def each_markdown_cell(notebook: dict, change: Callable[[str], str]) -> None:
    """Change the text of every cell that is prose."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = change(text_of(cell))


def text_of(cell: dict) -> str:
    """A cell's text, which a stored notebook may have as a list of lines."""
    return "".join(cell["source"])
