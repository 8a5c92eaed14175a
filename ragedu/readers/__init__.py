"""Readers: files and databases to a Corpus or a Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from ragedu.corpus import Corpus
from ragedu.readers.beir import read_beir
from ragedu.readers.folder import SkippedFiles, read_files
from ragedu.readers.sql import is_database, read_sql
from ragedu.readers.squad import read_squad
from ragedu.readers.text_files import refuse_web_address

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

__all__ = ["SkippedFiles", "read_beir", "read_corpus", "read_squad"]

WANTED = (
    "give a file, a folder, or the URL of a database such as sqlite:///town.db; "
    "a page becomes a file with  pandoc -t gfm --wrap=none ADDRESS -o page.md"
)


def read_corpus(
    path: str | PathLike[str] | URL | Engine,
    *,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
    table: str | None = None,
    query: str | None = None,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    strict: bool = False,
) -> Corpus:
    """The documents of a file, of a folder, or of a database.

    Parameters
    ----------
    path
        A file, or a folder with all in it that can be read: text, Markdown, reStructuredText, notebooks, JSON, JSONL,
        CSV. What becomes a document, and which errors are raised, is described at `ragedu.readers.folder.read_files`.
        Or the URL of a database, such as "sqlite:///town.db": see `ragedu.readers.sql.stream_sql`.
    text, title, id
        The keys or columns that hold them, where they have other names.
    table
        Which table of a database. It may be omitted where there is only one.
    query
        A SELECT statement instead of a table.
    include, exclude
        Which files of a folder, as one pattern or several: "*.md", "docs/**".
    strict
        By default, files of a folder that cannot be read are skipped, and one warning (`SkippedFiles`) says how many,
        and why. With strict=True the first of them is an error.

    Examples
    --------
    Records with other keys, a part of a folder, a table, and a query::

        read_corpus("notes", text="body")
        read_corpus("notes", include=["*.md", "*.rst"], exclude="drafts")
        read_corpus("sqlite:///town.db", table="pages", text="body")
        read_corpus("sqlite:///town.db", query="SELECT id, body AS text FROM pages WHERE year > 1880")
    """
    if isinstance(path, str | PathLike):
        refuse_web_address(path, WANTED)
    if is_database(path):
        if include is not None or exclude is not None:
            raise ValueError("include=… and exclude=… choose among the files of a folder, and this is a database")
        return read_sql(path, table=table, query=query, text=text, title=title, id=id)
    if not isinstance(path, str | PathLike):
        raise TypeError(f"read_corpus takes one path or the URL of a database, not {type(path).__name__}: {path!r:.60}")
    if table is not None or query is not None:
        raise ValueError(f"table and query are for databases, and {path} is a path: write  sqlite:///{path}")
    return read_files(path, text=text, title=title, id=id, include=include, exclude=exclude, strict=strict)
