"""Documents from an SQL database: every row of a table, or of a query, is one document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document
from ragedu.readers.records import document_from

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

ROWS = 1000  # fetched at a time
SELECT = re.compile(r"(?>[\s(]|--[^\n]*\n|/\*.*?\*/)*(SELECT|WITH|VALUES)\b", re.IGNORECASE | re.DOTALL)
SECRET = ("pass", "pwd", "secret", "token", "key", "connect")  # in the names of a URL's options
PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}


def is_database(source: object) -> bool:
    """Whether a source of documents is a database's URL, such as "sqlite:///town.db", or an object of SQLAlchemy."""
    if isinstance(source, str):
        return "://" in source
    return any(kind.__module__.partition(".")[0] == "sqlalchemy" for kind in type(source).__mro__)


def read_sql(source: str | URL | Engine, **options: str | None) -> Corpus:
    """The documents of a table or query, in order; the options and errors are those of `stream_sql`.

    Also raises ValueError for a duplicate id and for a table or query without rows.
    """
    rows: dict[str, int] = {}

    def checked() -> Iterator[Document]:
        for row, document in enumerate(stream_sql(source, **options), start=1):
            first = rows.setdefault(document.id, row)
            if first != row:
                raise ValueError(f"rows {first} and {row} have the same id, {document.id!r}: ids must be unique")
            yield document

    documents = checked()
    first = next(documents, None)  # what is wrong with the table shows here, before there is a progress bar
    if first is None:
        raise ValueError("the table or query has no rows: there is nothing to read")
    return Corpus(tqdm(chain([first], documents), desc="reading rows", unit=" rows", delay=3))


def stream_sql(
    source: str | URL | Engine,
    *,
    table: str | None = None,
    query: str | None = None,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
) -> Iterator[Document]:
    """One document a row, read as they are asked for, so that a table may be larger than memory.

    source: a URL as SQLAlchemy writes them, "sqlite:///town.db" or "postgresql://host/archive", or an Engine of yours
    (`URL.create` takes a password that no file should hold). table: a table or view, "schema.table" in another schema,
    and may be left out where there is only one; its rows come in the order of its primary key, or else of the ids.
    query: a SELECT in place of a table; its order is its own.

    text, title, id: the columns; "id" or "_id", "title" and "text" unless told. A NULL title is no title; every row
    needs an id (whole numbers and UUIDs become text) and a text. All other columns become metadata, with dates,
    decimal numbers and UUIDs as text, so that it can be saved as JSON; of binary values only the size is kept.

    Names of tables and columns are quoted by SQLAlchemy and never part of a statement as they are. The database is
    only read: a query must begin with SELECT, WITH or VALUES, SQLite and PostgreSQL refuse one that would still change
    something, and nothing is committed. No message holds a password.

    Raises ModuleNotFoundError where SQLAlchemy or the database's driver is not installed; ConnectionError,
    FileNotFoundError or TimeoutError (locked) where the database cannot be had; ValueError for a malformed URL, a
    table or column that is not there, a query that the database refuses, a row without id or text.
    """
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        raise ModuleNotFoundError("databases are read by SQLAlchemy: run  pip install 'ragedu[sql]'") from None
    if table is not None and query is not None:
        raise ValueError("give a table or a query, not both")
    if query is not None and not SELECT.match(query):
        raise ValueError("the query must be a SELECT: the database is read, and nothing in it is changed")
    engine = source if isinstance(source, sqlalchemy.Engine) else _engine(source)
    name = _name(engine.url)
    try:
        with _explained(engine.url, f"cannot connect to {name}"):
            connection = engine.connect()
        with connection, _explained(engine.url, f"{name} refuses the query"):
            connection = connection.execution_options(yield_per=ROWS, postgresql_readonly=True)
            if query is None:
                table, statement = _select(connection, table, id)
                rows, place = connection.execute(statement), f"table {table!r}"
            else:
                rows, place = _execute(connection, query), "the query"
            keys = list(rows.keys())
            _check_columns(keys, place, text=text, title=title, id=id)
            id = id or next(key for key in ("id", "_id") if key in keys)
            for number, row in zip(count(1), rows.mappings()):
                yield _document(row, f"{place}, row {number}", text, title, id)
    finally:
        if engine is not source:
            engine.dispose()


def _engine(url: str | URL) -> Engine:
    import sqlalchemy

    try:
        url = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # Neither the URL nor the reason: a password with "/" or "@" in it ends up in the reason.
        raise ValueError(
            "this is no URL of a database: write  sqlite:///file.db  or  postgresql://user@host/database , "
            "with signs such as @ : / in a password as %40 %3A %2F"
        ) from None
    file = url.database if url.get_backend_name() == "sqlite" else None
    if url.host and url.drivername == "sqlite":
        path = "/".join(filter(None, [url.host, file]))
        raise ValueError(f"a file has three slashes before it: write  sqlite:///{path}")
    # SQLite makes a file that is not there, and an empty database would be searched in vain.
    if file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
        raise FileNotFoundError(f"there is no database file {file}: check its name and the folder you are in")
    try:
        return sqlalchemy.create_engine(url)
    except sqlalchemy.exc.NoSuchModuleError:
        raise ValueError(f"SQLAlchemy knows no database {url.drivername!r}: check how the URL begins") from None
    except ModuleNotFoundError as error:
        package = PACKAGES.get(error.name, error.name)
        raise ModuleNotFoundError(f"{url.drivername} needs a driver: run  pip install '{package}'") from None


def _select(connection: Connection, table: str | None, id: str | None) -> tuple[str, Any]:
    """The name of the table, and the statement that reads it."""
    import sqlalchemy

    inspector = sqlalchemy.inspect(connection)
    names = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
    if table is None:
        if len(names) != 1:
            raise ValueError(f"say which table to read with table=…; there are: {', '.join(names) or 'none'}")
        table = names[0]
    schema, name = (None, table) if table in names else _split(table)
    try:
        columns = [column["name"] for column in inspector.get_columns(name, schema)]
        key = inspector.get_pk_constraint(name, schema)["constrained_columns"]
    except sqlalchemy.exc.NoSuchTableError:
        raise ValueError(f"there is no table {table!r}; there are: {', '.join(names) or 'none'}") from None
    order = key or [column for column in (id, "id", "_id") if column in columns]
    # Without types: a value comes as the driver gives it, and SQLite's columns hold what they like anyway.
    source = sqlalchemy.table(name, *map(sqlalchemy.column, columns), schema=schema)
    return table, sqlalchemy.select(source).order_by(*(source.c[key] for key in order))


def _execute(connection: Connection, query: str) -> Any:
    # As it stands: sqlalchemy.text would take ":word" for a parameter, and a driver "%" for a place.
    execute = lambda: connection.exec_driver_sql(query, execution_options={"no_parameters": True})
    if connection.dialect.name != "sqlite":
        return execute()
    # Python's driver would commit a WITH … DELETE before anybody could roll it back.
    before = connection.exec_driver_sql("PRAGMA query_only").scalar()
    connection.exec_driver_sql("PRAGMA query_only = ON")
    try:
        return execute()
    finally:  # the connection may be the caller's
        connection.exec_driver_sql(f"PRAGMA query_only = {before}")


def _split(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _check_columns(keys: list[str], place: str, **wanted: str | None) -> None:
    columns = ", ".join(keys)
    for option, key in wanted.items():
        if key is not None and key not in keys:
            raise ValueError(f"{place} has no column {key!r}: name one of these with {option}=…: {columns}")
    if wanted["id"] is None and not {"id", "_id"} & set(keys):
        raise ValueError(f"{place} has no column 'id': name one of these with id=…: {columns}")
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ValueError(f"{place} has two columns {twice!r}: rename one with AS")


def _document(row: Mapping[str, Any], place: str, text: str, title: str | None, id: str) -> Document:
    for key in (id, text):
        if row[key] is None:
            raise ValueError(f"{place}: {key!r} is NULL: give it a value, or leave such rows out with query=…")
    texts = (text, title or "title")  # bytes here are a mistake
    record = {key: value if key in texts and _is_binary(value) else _plain(value) for key, value in row.items()}
    whole = isinstance(row[id], Decimal) and row[id].is_finite() and row[id] == int(row[id])
    record[id] = str(int(row[id])) if whole else str(row[id]) if isinstance(row[id], int | UUID) else row[id]
    return document_from(record, place, None, text, title, id)


def _plain(value: Any) -> Any:
    """What JSON has no word for, as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return f"{len(bytes(value)):,} bytes" if _is_binary(value) else str(value)


def _is_binary(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


# Messages. What a driver says may repeat the password, and a URL always does.


def _name(url: URL) -> str:
    """The database without user, password and options."""
    return url.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


@contextmanager
def _explained(url: URL, what: str) -> Iterator[None]:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        reason = _without_secrets(" ".join(str(error.orig).split()), url)
        if getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise TimeoutError(f"{_name(url)} is locked by another program: wait until that has finished") from None
        if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_READONLY":
            raise ValueError("the query would change the database, which is only read: give a SELECT") from None
        raise (ConnectionError if what.startswith("cannot") else ValueError)(f"{what}: {reason}") from None
    except SQLAlchemyError as error:
        raise ValueError(f"{what}: {_without_secrets(str(error), url)}") from None


def _without_secrets(text: str, url: URL) -> str:
    options = [value for key, value in url.query.items() if any(part in key.lower() for part in SECRET)]
    for secret in filter(None, [url.password, *options]):
        text = text.replace(str(secret), "***")
    return text
