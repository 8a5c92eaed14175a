"""Documents from databases, by way of SQLAlchemy: SQLite in files, and PostgreSQL where it is installed."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ragedu import BM25Retriever, Document, read_corpus
from ragedu.cli import main
from ragedu.readers.sql import document_from_row, plain_value, stream_sql

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'ragedu[sql]'")

ROWS = [
    (3, "Ferry", "The ferry leaves at nine.", 1887),
    (1, None, "Bread is baked before dawn.", 1901),
    (2, "Wall", "The harbour wall is forty feet thick.", None),
]


def make(path, *statements, rows=ROWS):
    with sqlite3.connect(path) as database:
        for statement in statements or ["CREATE TABLE pages (id INTEGER PRIMARY KEY, title, text, year)"]:
            database.execute(statement)
        database.executemany("INSERT INTO pages VALUES (?, ?, ?, ?)", rows)
    database.close()
    return f"sqlite:///{path}"


@pytest.fixture
def town(tmp_path):
    return make(tmp_path / "town.db")


def test_a_table_in_the_order_of_its_key(town):
    corpus = read_corpus(town, table="pages")
    assert list(corpus) == [
        Document("1", "Bread is baked before dawn.", metadata={"year": 1901}),
        Document("2", "The harbour wall is forty feet thick.", "Wall", metadata={"year": None}),
        Document("3", "The ferry leaves at nine.", "Ferry", metadata={"year": 1887}),
    ]
    assert read_corpus(town).ids == corpus.ids  # the only table need not be named


def test_without_a_key_rows_come_in_the_order_of_the_ids(tmp_path):
    rows = [(id, None, "x", 0) for id in ("b", "c", "a")]
    url = make(tmp_path / "town.db", "CREATE TABLE pages (name, title, text, year)", rows=rows)
    assert read_corpus(url, id="name").ids == ["a", "b", "c"]


def test_a_query_in_its_own_order(town):
    query = "SELECT id AS number, text AS body, year FROM pages WHERE text NOT LIKE ':%dawn%' ORDER BY id DESC"
    corpus = read_corpus(town, query=query, id="number", text="body")
    assert corpus.ids == ["3", "2", "1"] and corpus["3"].metadata == {"year": 1887}


def test_names_with_quotes_are_names(tmp_path):
    name, column = 'pages"; DROP TABLE pages; --', "bo'dy\"; SELECT 1"
    quote = lambda text: '"' + text.replace('"', '""') + '"'
    path = tmp_path / "town.db"
    url = make(
        path,
        "CREATE TABLE pages (id, title, text, year)",
        f"CREATE TABLE {quote(name)} (id, {quote(column)})",
        f"INSERT INTO {quote(name)} VALUES ('a', 'Ferry.')",
    )
    assert read_corpus(url, table=name, text=column)["a"].text == "Ferry."
    with pytest.raises(ValueError, match="there is no table 'pages; DROP TABLE pages'; there are: pages, pages\""):
        read_corpus(url, table="pages; DROP TABLE pages")
    with pytest.raises(ValueError, match="has no column '1=1 --': name one of these with id=…: id, title, text, year"):
        read_corpus(url, table="pages", id="1=1 --")
    assert len(read_corpus(url, table="pages")) == 3


def test_views_attached_schemas_and_engines(tmp_path, town):
    sqlite3.connect(tmp_path / "town.db").execute("CREATE VIEW old AS SELECT * FROM pages WHERE year < 1900").close()
    assert read_corpus(town, table="old").ids == ["3"]
    assert read_corpus(town, table="main.pages").ids == ["1", "2", "3"]
    engine = sqlalchemy.create_engine(town)
    assert read_corpus(engine, table="pages").ids == ["1", "2", "3"]
    assert read_corpus(sqlalchemy.make_url(town), table="pages").ids == ["1", "2", "3"]
    with pytest.raises(ValueError, match="say which table to read with table=…; there are: old, pages"):
        read_corpus(town)


def test_rows_are_read_as_they_are_asked_for(tmp_path):
    # Row 5,000 is a mistake, which a reader of all rows would find before giving any.
    rows = [(n, None, "text" if n < 5000 else None, 0) for n in range(10_000)]
    documents = stream_sql(make(tmp_path / "town.db", rows=rows))
    assert [next(documents).id for _ in range(2000)] == [str(n) for n in range(2000)]
    with pytest.raises(ValueError, match=r"table 'pages', row 5001: 'text' is NULL"):
        list(documents)


def test_values_that_json_lacks_become_text():
    key = uuid.uuid4()
    values = [Decimal("12.50"), key, datetime(1887, 3, 1, 9), 7, None, True, "x"]
    plain = ["12.50", str(key), "1887-03-01T09:00:00", 7, None, True, "x"]
    assert [plain_value(value) for value in values] == plain and plain_value({1: tuple(values)}) == {"1": plain}
    assert plain_value(timedelta(hours=9)) == "9:00:00" and plain_value({"b", "a"}) == ["a", "b"]
    assert plain_value(b"x" * 2000) == plain_value(memoryview(b"x" * 2000)) == "2,000 bytes"


def test_what_was_read_can_be_saved(tmp_path):
    rows = [("a", None, "The ferry leaves at nine.", b"\xff\xd8")]
    corpus = read_corpus(make(tmp_path / "town.db", "CREATE TABLE pages (id, title, text, photo BLOB)", rows=rows))
    assert corpus["a"].metadata == {"photo": "2 bytes"}
    BM25Retriever().fit(corpus).save(tmp_path / "index")


def test_ids_that_are_decimal_numbers():
    row = lambda id: {"id": id, "text": "x"}
    assert document_from_row(row(Decimal("17")), "here", "text", None, "id").id == "17"
    for id in (Decimal("17.5"), Decimal("NaN"), Decimal("Infinity"), b"17"):
        with pytest.raises(TypeError, match="here: a document's id must be a string, not (Decimal|bytes)"):
            document_from_row(row(id), "here", "text", None, "id")


@pytest.mark.parametrize(
    "rows, message",
    [
        ([(None, None, "x", 0)], r"table 'pages', row 1: 'id' is NULL: give it a value, or leave such rows out"),
        ([("a", None, "x", 0), ("b", None, None, 0)], r"row 2: 'text' is NULL"),
        ([("a", None, "x", 0), ("b", None, "y", 0), ("a", None, "z", 0)], "rows 1 and 2 have the same id, 'a'"),
        ([("", None, "x", 0)], "the record has no id"),
        ([], "the table or query has no rows"),
    ],
)
def test_rows_that_are_no_documents(tmp_path, rows, message):
    url = make(tmp_path / "town.db", "CREATE TABLE pages (id, title, text, year)", rows=rows)
    with pytest.raises(ValueError, match=message):
        read_corpus(url)


def test_text_that_is_no_text(tmp_path):
    url = make(tmp_path / "town.db", "CREATE TABLE pages (id, title, text, year)", rows=[("a", None, b"x", 0)])
    with pytest.raises(TypeError, match=r"table 'pages', row 1: the text of document 'a' must be a string, not bytes"):
        read_corpus(url)


def test_mistakes_in_the_call(town, tmp_path):
    with pytest.raises(ValueError, match=r"no table 'page'; there are: pages$"):
        read_corpus(town, table="page")
    with pytest.raises(ValueError, match=r"no column 'body': name one of these with text=…: id, title, text, year"):
        read_corpus(town, text="body")
    with pytest.raises(ValueError, match=r"no column 'headline': name one of these with title=…"):
        read_corpus(town, title="headline")
    with pytest.raises(ValueError, match=r"the query has no column 'id': name one of these with id=…: text"):
        read_corpus(town, query="SELECT text FROM pages")
    with pytest.raises(ValueError, match=r"refuses the query: no such column: body"):
        read_corpus(town, query="SELECT body FROM pages")
    with pytest.raises(ValueError, match=r"refuses the query: no such column: locked"):
        read_corpus(town, query="SELECT id, text FROM pages WHERE locked = 0")
    with pytest.raises(ValueError, match=r"two columns 'text': rename one with AS"):
        read_corpus(town, query="SELECT id, text, year AS text FROM pages")
    with pytest.raises(ValueError, match="a table or a query, not both"):
        read_corpus(town, table="pages", query="SELECT 1")
    with pytest.raises(ValueError, match="table and query are for databases"):
        read_corpus(tmp_path / "town.db", table="pages")
    sqlite3.connect(tmp_path / "town.db").execute("CREATE TABLE wages (id, text)").close()
    for table in ("Pages", "main.Pages"):  # SQLite ignores capitals, SQLAlchemy doesn't everywhere
        with pytest.raises(ValueError, match=f"there is no table '{table}'; there are: pages, wages"):
            read_corpus(town, table=table)


CHANGES = [
    "DROP TABLE pages",
    "DELETE FROM pages",
    "DELETE FROM pages RETURNING *",
    "UPDATE pages SET text = 'x' RETURNING *",
    "CREATE TABLE fares (id)",
    "CREATE TABLE copy AS SELECT * FROM pages",
    "ALTER TABLE pages RENAME TO old",
    "PRAGMA user_version = 7",
    "PRAGMA journal_mode = WAL",
    "ATTACH 'other.db' AS other",
    "VACUUM INTO 'other.db'",
    "/* SELECT */ -- SELECT\nDROP TABLE pages",
    "WITH x AS (SELECT 1) DELETE FROM pages",
    "WITH x AS (SELECT 1) DELETE FROM pages RETURNING *",
    "WITH x AS (SELECT 1) INSERT INTO pages VALUES (4, '', '', 0)",
]


@pytest.mark.parametrize("query", CHANGES)
def test_a_query_changes_nothing(town, tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    # One connection, which must be the caller's own again afterwards.
    engine = sqlalchemy.create_engine(town, poolclass=sqlalchemy.pool.StaticPool)
    for source in (town, engine):
        with pytest.raises(ValueError, match="the query (must be a SELECT|would change the database)"):
            read_corpus(source, query=query)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM pages WHERE id = 1")
    assert read_corpus(engine, table="pages").ids == ["2", "3"]
    engine.dispose()


def test_an_engine_is_left_as_it_was(town):
    engine = sqlalchemy.create_engine(town, poolclass=sqlalchemy.pool.StaticPool)
    setting = lambda: engine.connect().exec_driver_sql("PRAGMA query_only").scalar()
    documents = stream_sql(engine, query="SELECT * FROM pages")
    next(documents)
    assert setting() == 0  # and not only when all rows have been read
    documents.close()
    engine.connect().exec_driver_sql("PRAGMA query_only = ON")
    assert len(read_corpus(engine, query="SELECT * FROM pages")) == 3 and setting() == 1
    engine.dispose()


@pytest.mark.parametrize(
    "query",
    [
        "\n  select * from pages;",
        "-- the pages\n/* all\n of them */ SELECT * FROM pages",
        "WITH x AS (SELECT * FROM pages) SELECT * FROM x",
        "SELECT column1 AS id, column2 AS text FROM (VALUES (1, 'x'), (2, 'y'), (3, 'z'))",
    ],
)
def test_queries_that_read(town, query):
    assert sorted(read_corpus(town, query=query).ids) == ["1", "2", "3"]


def test_databases_that_cannot_be_had(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no database file .*nowhere\.db"):
        read_corpus(f"sqlite:///{tmp_path}/nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()  # which SQLite would have made
    (tmp_path / "letter.db").write_text("no database at all, but long enough to be asked what it is" * 20)
    with pytest.raises(ValueError, match=r"refuses the query: file is not a database"):
        read_corpus(f"sqlite:///{tmp_path}/letter.db")
    with pytest.raises(ValueError, match="SQLAlchemy does not support the database 'cobol'"):
        read_corpus("cobol://archive")
    for written in ("town.db", "data/town.db"):
        with pytest.raises(ValueError, match=f"three slashes before it: write  sqlite:///{written}"):
            read_corpus(f"sqlite://{written}")
    with pytest.raises(ValueError, match=r"letter\.db looks like a database: write  sqlite:////.*letter\.db"):
        read_corpus(tmp_path / "letter.db")


def test_a_locked_database(town, tmp_path):
    writer = sqlite3.connect(tmp_path / "town.db")
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TimeoutError, match="is locked by another program"):
        read_corpus(f"{town}?timeout=0.1")
    writer.close()
    assert len(read_corpus(town)) == 3


@pytest.mark.parametrize("url", ["postgresql://ada:pa/ss@word@host:port/archive", "://hunter2", "sqlite//hunter2://"])
def test_a_malformed_url_is_not_repeated(url):
    with pytest.raises(ValueError, match="not the URL of a database") as caught:
        read_corpus(url)
    assert not any(part in str(caught.value) for part in ("ss@", "hunter2", "ada"))
    assert caught.value.__suppress_context__


def test_no_message_holds_a_password(tmp_path):
    class Refusing(sqlite3.dbapi2.OperationalError):
        pass

    # A driver that repeats what it was given.
    def connect():
        raise Refusing("login failed for ada with password=hunter2, token s3cret")

    engine = sqlalchemy.create_engine("sqlite://", creator=connect)
    engine.url = sqlalchemy.make_url("postgresql://ada:hunter2@db.example/archive?auth_token=s3cret")
    with pytest.raises(ConnectionError, match=r"cannot connect to postgresql://db\.example/archive: login") as caught:
        read_corpus(engine)
    assert "hunter2" not in str(caught.value) and "s3cret" not in str(caught.value)


def test_what_is_not_installed_is_told():
    def message(code):
        code = f"import sys\n{code}"
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        return process.stderr.strip().splitlines()[-1]

    read = "from ragedu import read_corpus\nread_corpus('postgresql+psycopg2://ada:hunter2@host/archive')"
    assert "run  pip install 'ragedu[sql]'" in message(f"sys.modules['sqlalchemy'] = None\n{read}")
    last = message(f"sys.modules['psycopg2'] = None\n{read}")
    assert "postgresql+psycopg2 needs a driver: run  pip install 'psycopg2-binary'" in last and "hunter2" not in last


# PostgreSQL, where it is installed: a server in a folder of the test's own.


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL: pip install 'psycopg[binary]'")
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), *os.get_exec_path()]
    program = next((Path(place, "initdb") for place in places if Path(place, "initdb").is_file()), None)
    if program is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="ragedu-"))  # a path short enough for a socket
    # PostgreSQL refuses to run as root, which is who one is in a container.
    as_user = {"user": "postgres"} if hasattr(os, "geteuid") and os.geteuid() == 0 else {}
    run = lambda *command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **as_user)
    try:
        if as_user:
            shutil.chown(folder, "postgres")
        (folder / "password").write_text("hunter2")
        run(program, "-D", folder / "data", "-U", "ada", "--pwfile", folder / "password", "-A", "scram-sha-256", "-N")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run(program.with_name("pg_ctl"), "-D", folder / "data", "-o", options, "-l", folder / "log", "-w", "start")
    except (LookupError, OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start on this machine: {error}")
    yield sqlalchemy.make_url(f"postgresql+psycopg://ada:hunter2@127.0.0.1:{port}/postgres")
    run(program.with_name("pg_ctl"), "-D", folder / "data", "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def test_postgresql(postgres):
    engine = sqlalchemy.create_engine(postgres)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA archive")
        connection.exec_driver_sql("CREATE SEQUENCE archive.fares")
        connection.exec_driver_sql(
            "CREATE TABLE archive.pages (id uuid PRIMARY KEY, title text, body text, made date, price numeric(8, 2), "
            "data jsonb)"
        )
        connection.exec_driver_sql(
            "INSERT INTO archive.pages SELECT ('00000000-0000-0000-0000-' || lpad((20001 - n)::text, 12, '0'))::uuid, "
            "NULL, 'Ferry ' || n || ' is 100%% late.', '1887-03-01', 12.5, '{\"a\": [1]}' "
            "FROM generate_series(1, 20000) n"
        )
    corpus = read_corpus(postgres, table="archive.pages", text="body")
    assert len(corpus) == 20_000 and corpus.ids == sorted(corpus.ids)
    assert corpus[0] == Document(
        "00000000-0000-0000-0000-000000000001",
        "Ferry 20000 is 100% late.",
        metadata={"made": "1887-03-01", "price": "12.50", "data": {"a": [1]}},
    )
    assert (
        len(read_corpus(postgres, query="SELECT id, body AS text FROM archive.pages WHERE body LIKE '%7 is%'")) == 2000
    )
    with pytest.raises(ValueError, match="refuses the query: syntax error"):
        read_corpus(postgres, query="SELECT FROM WHERE")
    # What no rollback takes back. The engine's connection may write again afterwards.
    for source in (engine, postgres):
        with pytest.raises(ValueError, match="cannot execute setval.* in a read-only transaction"):
            read_corpus(source, query="SELECT setval('archive.fares', 7) AS id, 'x' AS text")
        with pytest.raises(ValueError, match="must not contain data-modifying statements"):
            read_corpus(source, query="WITH gone AS (DELETE FROM archive.pages RETURNING *) SELECT * FROM gone")
    with engine.begin() as connection:
        assert connection.exec_driver_sql("DELETE FROM archive.pages WHERE body = 'Ferry 1 is 100%% late.'").rowcount
    with pytest.raises(ValueError, match="there is no table 'pages'; there are: none"):
        read_corpus(postgres, table="pages")
    # A cursor on the server: the first thousand rows of a query that would take an hour.
    endless = "SELECT generate_series(1, 10000000000)::text AS id, 'x' AS text"
    documents = stream_sql(postgres, query=endless)
    assert [next(documents).id for _ in range(1500)][-1] == "1500"
    documents.close()
    engine.dispose()


def test_a_wrong_password_is_told_and_not_repeated(postgres):
    with pytest.raises(ConnectionError, match=r"cannot connect to .*password authentication failed") as caught:
        read_corpus(postgres.set(password="swordfish"))
    assert "swordfish" not in str(caught.value) and "hunter2" not in str(caught.value)


def test_from_the_command_line(town, tmp_path, capsys):
    # A question that finds nothing asks no language model: this is about reading.
    assert main(["ask", "zeppelin", "--corpus", town]) == 0
    sqlite3.connect(tmp_path / "town.db").execute("CREATE TABLE people (name)").close()
    assert main(["ask", "zeppelin", "--corpus", town, "--table", "pages", "--retriever", "sqlite"]) == 0
    capsys.readouterr()
    assert main(["ask", "zeppelin", "--corpus", town]) == 2
    assert capsys.readouterr().err == "ragedu: say which table to read with --table; there are: pages, people\n"
    assert main(["ask", "zeppelin", "--corpus", "sqlite://town.db"]) == 2
    assert "three slashes" in capsys.readouterr().err


def test_columns_of_other_names_from_the_command_line(tmp_path, capsys):
    town = make(tmp_path / "town.db", "CREATE TABLE pages (name, headline, body, year)")
    ask = ["ask", "lighthouse ferry", "--corpus", town]
    assert main(ask) == 2
    said = "table 'pages' has no column 'text': name one of these with --text: name, headline, body, year"
    assert capsys.readouterr().err == f"ragedu: {said}\n"
    ask[1] = "zeppelin"
    assert main([*ask, "--text", "body", "--id", "name", "--title", "headline"]) == 0
    assert main([*ask, "--query", "SELECT name AS id, body AS text FROM pages"]) == 0
    assert main([*ask, "--query", "DROP TABLE pages"]) == 2
    assert main([*ask, "--text", "body", "--id", "name"]) == 0
