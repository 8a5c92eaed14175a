"""Documents from an SQL database: every row of a table, or of a query, is one document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard
from uuid import UUID

from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document
from ragedu.readers.records import document_from

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine, Select

ROWS_PER_FETCH = 1000
SELECT = re.compile(r"(?>[\s(]|--[^\n]*\n|/\*.*?\*/)*(SELECT|WITH|VALUES)\b", re.IGNORECASE | re.DOTALL)
SECRET = ("pass", "pwd", "secret", "token", "key", "connect")  # parts of the names of options in a URL
PACKAGES = {  # of drivers, where the package has another name than the module
    "psycopg2": "psycopg2-binary",
    "psycopg": "psycopg[binary]",
    "MySQLdb": "mysqlclient",
}


def is_database(source: object) -> TypeGuard[str | URL | Engine]:
    """Whether a source of documents is a database's URL, such as "sqlite:///town.db", or an object of SQLAlchemy."""
    if isinstance(source, str):
        return "://" in source
    return any(kind.__module__.partition(".")[0] == "sqlalchemy" for kind in type(source).__mro__)


def read_sql(
    source: str | URL | Engine,
    *,
    table: str | None = None,
    query: str | None = None,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
) -> Corpus:
    """The documents of a table or query, in order; parameters and errors are those of `stream_sql`.

    Also raises ValueError for a duplicate id and for a table or query without rows.
    """
    documents = _with_unique_ids(stream_sql(source, table=table, query=query, text=text, title=title, id=id))
    first = next(documents, None)  # what is wrong with the table shows here, before there is a progress bar
    if first is None:
        raise ValueError("the table or query has no rows: there is nothing to read")
    return Corpus(tqdm(chain([first], documents), desc="reading rows", unit=" rows", delay=3))


def _with_unique_ids(documents: Iterator[Document]) -> Iterator[Document]:
    rows: dict[str, int] = {}
    for row, document in enumerate(documents, start=1):
        first = rows.setdefault(document.id, row)
        if first != row:
            raise ValueError(f"rows {first} and {row} have the same id, {document.id!r}: ids must be unique")
        yield document


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

    Every row needs an id and a text; whole numbers and UUIDs become text. A NULL title is no title.
    All other columns become metadata, with dates, decimal numbers and UUIDs as text, so that it can be saved as JSON.
    Of binary values only the size is kept.

    SQLAlchemy quotes the names of tables and columns, which are never part of a statement as they are.
    The database is only read: a query must begin with SELECT, WITH or VALUES, SQLite and PostgreSQL refuse one that
    would still change something, and nothing is committed. No message holds a password.

    Parameters
    ----------
    source
        A URL as SQLAlchemy writes them, "sqlite:///town.db" or "postgresql://host/archive", or an Engine of yours.
        `URL.create` takes a password that no file should hold.
    table
        A table or view, "schema.table" in another schema. It may be omitted where there is only one. Its rows come in
        the order of its primary key, or else of the ids.
    query
        A SELECT statement instead of a table. Its order is its own.
    text
        The column of the text.
    title, id
        The columns of title and id; by default "title", and "id" or "_id".

    Raises
    ------
    ModuleNotFoundError
        If SQLAlchemy or the database's driver is not installed.
    ConnectionError, FileNotFoundError, TimeoutError
        If the database cannot be reached, is not there, or is locked.
    ValueError
        If the URL is malformed, there is no such table or column, the database refuses the query, or a row has no id
        or text.
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
    try:
        with _explained(engine.url, f"cannot connect to {_name(engine.url)}", ConnectionError):
            connection = engine.connect()
        with connection, _explained(engine.url, f"{_name(engine.url)} refuses the query", ValueError):
            connection = connection.execution_options(yield_per=ROWS_PER_FETCH, postgresql_readonly=True)
            if query is None:
                table, statement = _select(connection, table, id)
                rows, place = connection.execute(statement), f"table {table!r}"
            else:
                rows, place = _execute(connection, query), "the query"
            columns = list(rows.keys())
            _check_columns(columns, place, text=text, title=title, id=id)
            id_column = id or ("id" if "id" in columns else "_id")
            for number, row in enumerate(rows.mappings(), start=1):
                yield document_from_row(dict(row), f"{place}, row {number}", text, title, id_column)
    finally:
        if engine is not source:
            engine.dispose()


def _engine(source: str | URL) -> Engine:
    import sqlalchemy

    try:
        url = sqlalchemy.make_url(source)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # Neither the URL nor the reason: a password with "/" or "@" in it ends up in the reason.
        raise ValueError(
            "this is not the URL of a database: write  sqlite:///file.db  or  postgresql://user@host/database , "
            "with signs such as @ : / in a password as %40 %3A %2F"
        ) from None
    file = url.database if url.get_backend_name() == "sqlite" else None
    if url.host and url.drivername == "sqlite":
        path = "/".join(filter(None, [url.host, file]))
        raise ValueError(f"a file has three slashes before it: write  sqlite:///{path}")
    # SQLite would make a file that is not there, and an empty database would be searched in vain.
    if file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
        raise FileNotFoundError(f"there is no database file {file}: check its name and the folder you are in")
    try:
        return sqlalchemy.create_engine(url)
    except sqlalchemy.exc.NoSuchModuleError:
        raise ValueError(
            f"SQLAlchemy does not support the database {url.drivername!r}: check how the URL begins"
        ) from None
    except ModuleNotFoundError as error:
        module = str(error.name)
        package = PACKAGES.get(module, module)
        raise ModuleNotFoundError(f"{url.drivername} needs a driver: run  pip install '{package}'") from None


def _select(connection: Connection, table: str | None, id: str | None) -> tuple[str, Select[Any]]:
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
    order = key or [column for column in (id, "id", "_id") if column is not None and column in columns]
    # Without types: a value comes as the driver gives it, and SQLite's columns hold values of any type anyway.
    source = sqlalchemy.table(name, *map(sqlalchemy.column, columns), schema=schema)
    return table, sqlalchemy.select(source).order_by(*(source.c[column] for column in order))


def _execute(connection: Connection, query: str) -> CursorResult[Any]:
    if connection.dialect.name != "sqlite":
        return _execute_verbatim(connection, query)
    # Python's driver would commit a WITH … DELETE before anybody could roll it back.
    before = connection.exec_driver_sql("PRAGMA query_only").scalar()
    connection.exec_driver_sql("PRAGMA query_only = ON")
    try:
        return _execute_verbatim(connection, query)
    finally:  # the connection may be the caller's
        connection.exec_driver_sql(f"PRAGMA query_only = {before}")


def _execute_verbatim(connection: Connection, query: str) -> CursorResult[Any]:
    """The query as it was written: sqlalchemy.text would take ":word" for a parameter, and a driver "%" for one."""
    return connection.exec_driver_sql(query, execution_options={"no_parameters": True})


def _split(table: str) -> tuple[str | None, str]:
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _check_columns(columns: list[str], place: str, *, text: str, title: str | None, id: str | None) -> None:
    there_are = ", ".join(columns)
    for option, column in (("text", text), ("title", title), ("id", id)):
        if column is not None and column not in columns:
            raise ValueError(f"{place} has no column {column!r}: name one of these with {option}=…: {there_are}")
    if id is None and "id" not in columns and "_id" not in columns:
        raise ValueError(f"{place} has no column 'id': name one of these with id=…: {there_are}")
    for column in columns:
        if columns.count(column) > 1:
            raise ValueError(f"{place} has two columns {column!r}: rename one with AS")


def document_from_row(row: Mapping[str, Any], place: str, text: str, title: str | None, id: str) -> Document:
    """The document of a row. place: "table 'pages', row 3", for error messages; text, title, id: its columns."""
    for column in (id, text):
        if row[column] is None:
            raise ValueError(f"{place}: {column!r} is NULL: give it a value, or leave such rows out with query=…")
    record = {column: plain_value(value) for column, value in row.items()}
    for column in (text, title or "title"):
        if _is_binary(row.get(column)):
            record[column] = row[column]  # bytes are a mistake here, which Document explains
    record[id] = _id_as_text(row[id])
    return document_from(record, place, text=text, title=title, id=id)


def _id_as_text(value: Any) -> Any:
    """Whole numbers and UUIDs as text. Document explains what is wrong with anything else."""
    if isinstance(value, Decimal) and value.is_finite() and value == int(value):
        return str(int(value))
    return str(value) if isinstance(value, int | UUID) else value


def plain_value(value: Any) -> Any:
    """The value as JSON can hold it: what JSON has no type for becomes text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain_value(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple):
        return [plain_value(inner) for inner in value]
    return f"{len(bytes(value)):,} bytes" if _is_binary(value) else str(value)


def _is_binary(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


# Messages. What a driver says may repeat the password, and a URL always repeats it.


def _name(url: URL) -> str:
    """The database without user, password and options."""
    return url.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()


@contextmanager
def _explained(url: URL, what: str, kind: type[Exception]) -> Iterator[None]:
    """Raise what goes wrong inside as an error of this kind, "what: the driver's reason"."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        sqlite_error = getattr(error.orig, "sqlite_errorname", "")
        if sqlite_error.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise TimeoutError(f"{_name(url)} is locked by another program: wait until that has finished") from None
        if sqlite_error == "SQLITE_READONLY":
            raise ValueError("the query would change the database, which is only read: give a SELECT") from None
        reason = " ".join(str(error.orig).split())
        raise kind(f"{what}: {_without_secrets(reason, url)}") from None
    except SQLAlchemyError as error:
        raise ValueError(f"{what}: {_without_secrets(str(error), url)}") from None


def _without_secrets(text: str, url: URL) -> str:
    options = [value for key, value in url.query.items() if any(part in key.lower() for part in SECRET)]
    for secret in filter(None, [url.password, *options]):
        text = text.replace(str(secret), "***")
    return text
