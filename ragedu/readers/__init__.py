"""Readers: files and databases to a Corpus or a Dataset."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from ragedu.corpus import Corpus
from ragedu.readers.beir import read_beir
from ragedu.readers.folder import read_files
from ragedu.readers.sql import is_database, read_sql
from ragedu.readers.squad import read_squad

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

__all__ = ["read_beir", "read_corpus", "read_squad"]


def read_corpus(
    path: str | PathLike[str] | URL | Engine,
    *,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
    table: str | None = None,
    query: str | None = None,
) -> Corpus:
    """The documents of a file, of a folder, or of a database.

    Parameters
    ----------
    path
        A file, or a folder with all that it holds: text, Markdown, notebooks, JSON, JSONL, CSV. What becomes a
        document, and which errors are raised, is described at `ragedu.readers.folder.read_files`.
        Or the URL of a database, such as "sqlite:///town.db": see `ragedu.readers.sql.stream_sql`.
    text, title, id
        The keys or columns that hold them, where they have other names.
    table
        Which table of a database. It may be omitted where there is only one.
    query
        A SELECT statement instead of a table.

    Examples
    --------
    Records with other keys, a table, and a query::

        read_corpus("notes", text="body")
        read_corpus("sqlite:///town.db", table="pages", text="body")
        read_corpus("sqlite:///town.db", query="SELECT id, body AS text FROM pages WHERE year > 1880")
    """
    if is_database(path):
        return read_sql(path, table=table, query=query, text=text, title=title, id=id)
    if not isinstance(path, str | PathLike):
        raise TypeError(f"read_corpus takes one path or the URL of a database, not {type(path).__name__}: {path!r:.60}")
    if table is not None or query is not None:
        raise ValueError(f"table and query are for databases, and {path} is a path: write  sqlite:///{path}")
    return read_files(path, text=text, title=title, id=id)
