"""BM25 by SQLite: a search engine that is part of Python, in memory or in a single file.

SQLite's full-text index, FTS5, has BM25 built in, with k1 = 1.2 and b = 0.75 that nobody can change:
https://www.sqlite.org/fts5.html#the_bm25_function
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document
from ragedu.retrieval.base import Explanation, Hits, check_corpus
from ragedu.retrieval.bm25 import bm25_term_part
from ragedu.retrieval.engine import as_token, metadata_json, tokenizer
from ragedu.retrieval.storage import DamagedIndex, check_form, damage_told, load_index, save_index
from ragedu.retrieval.terms import TermRetriever, analyzer_settings, load_analyzer, settings_to_save

FORMAT = "ragedu-sqlite-1"
PROGRESS_FROM_DOCUMENTS = 20_000  # fewer are indexed before a progress bar would be read

# A table of the index is not a copy of the text (content=''), and its tokens are what is between white space and
# punctuation, except % (see as_token); letters beyond ASCII are left alone by the tokenizer "ascii".
TABLES = {
    "ragedu_settings": "CREATE TABLE ragedu_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "ragedu_documents": "CREATE TABLE ragedu_documents (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, "
    "title TEXT NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL, length INTEGER NOT NULL)",
    "ragedu_terms": "CREATE VIRTUAL TABLE ragedu_terms "
    """USING fts5 (terms, content = '', tokenize = "ascii tokenchars '%'")""",
}
# FTS5's scores are negative, the best the lowest.
SEARCH = """
    SELECT rowid, -bm25(ragedu_terms) AS score FROM ragedu_terms WHERE ragedu_terms MATCH ?
    ORDER BY score DESC, rowid LIMIT ?
"""


def fts5_score(tf: float, document_frequency: int, relative_length: float, n_documents: int) -> float:
    """What a term that occurs `tf` times adds to the score of a document of relative length |d| / average |d|.

    Robertson's idf times (k1 + 1) times the usual term part. A term in more than half of the documents would count
    against them, and counts 0.000001 instead (sqlite3, ext/fts5/fts5_aux.c).
    """
    N, df = n_documents, document_frequency
    idf = max(math.log((N - df + 0.5) / (df + 0.5)), 1e-6)
    return float(idf * (1.2 + 1) * bm25_term_part(np.array(tf), np.array(relative_length), k1=1.2, b=0.75))


class SqliteRetriever(TermRetriever):
    """Rank documents by the BM25 of SQLite's FTS5.

    Documents and index are kept in tables named `ragedu_…`, next to any tables that the file has already. A file that
    was fitted before is ready to be searched, by this program and by others. One that is not there is made by fit.

    Scores equal 2.2 times those of BM25Retriever(k1=1.2, b=0.75, variant="robertson"), except for terms in more than
    half of the documents, to which that gives nothing at all.

    Parameters
    ----------
    path
        A database file, or ":memory:".
    timeout
        How many seconds to wait while another program writes.
    analyzer
        A function from text to terms. By default ragedu.text.Analyzer(), or for a file that was fitted before the one
        that it was fitted with.

    Raises
    ------
    TimeoutError
        For a database that stays locked.
    ValueError
        For a file that is not a database or is damaged.
    OSError
        For a file that cannot be read or written.
    RuntimeError
        Where SQLite was built without FTS5.
    """

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        timeout: float = 5.0,
        analyzer: Callable[[str], list[str]] | None = None,
    ) -> None:
        super().__init__(analyzer=analyzer)
        self.path = ":memory:" if path == ":memory:" else str(Path(path).expanduser())
        self.timeout = timeout
        if self.is_external and not Path(self.path).parent.is_dir():
            raise FileNotFoundError(f"there is no folder {Path(self.path).parent} for the database: make it first")
        self._turn = threading.RLock()
        self._database: sqlite3.Connection | None = None
        if not self.is_external or Path(self.path).exists():
            with self._explained():
                self._open(given=analyzer is not None)

    @property
    def is_external(self) -> bool:
        """Whether the documents are kept in a file, where fitting again deletes them."""
        return self.path != ":memory:"

    def fit(self, corpus: Corpus) -> Self:
        """Index the corpus instead of what was indexed before. Fitting is atomic: if it fails, nothing has changed."""
        check_corpus(corpus)
        settings = {"format": FORMAT, "analyzer": analyzer_settings(self.analyzer), "stamp": uuid.uuid4().hex}
        with self._explained(), self._transaction() as database:
            for name, create in TABLES.items():
                database.execute(f"DROP TABLE IF EXISTS {name}")
                database.execute(create)
            rows = ((name, json.dumps(value)) for name, value in settings.items())
            database.executemany("INSERT INTO ragedu_settings VALUES (?, ?)", rows)
            n_tokens = self._insert(corpus, database)
            if not n_tokens:
                raise ValueError("no document has a term to index: the corpus is blank, or holds stop words only")
            database.execute("INSERT INTO ragedu_terms (ragedu_terms) VALUES ('optimize')")
        self.corpus, self._stamp = corpus, settings["stamp"]
        return self

    def scores(self, query: str) -> np.ndarray:
        self.check_fitted()
        scores = np.zeros(len(self.corpus))
        for position, score in self._rank(self.query_terms(query), len(self.corpus)):
            scores[position] = score
        return scores

    def _search_terms(self, queries: Sequence[list[str]], k: int) -> list[Hits]:
        return [self._hits(self._rank(terms, k)) for terms in queries]

    def _hits(self, ranking: Sequence[tuple[int, float]]) -> Hits:
        documents = [self.corpus[position] for position, _ in ranking]
        return Hits.ranked(documents, [score for _, score in ranking])

    def _rank(self, terms: Sequence[str], k: int) -> list[tuple[int, float]]:
        """Positions and scores of the k best documents, best first."""
        if not terms:
            return []
        # Each token in quotes is a string to FTS5, whatever it says; outside them NEAR, * and : would be operators.
        match = " OR ".join(f'"{as_token(term)}"' for term in terms)
        with self._reading() as database:
            return database.execute(SEARCH, (match, k)).fetchall()

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each term of the query added to the document's score, by FTS5's formula from the counts in the index."""
        self.check_fitted()
        position = self.corpus.position(document_id)
        contributions = {}
        with self._reading() as database:
            for kind in ("row", "instance"):  # views of the index: one row a term, or one for each time it occurs
                database.execute(
                    f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.by_{kind} USING fts5vocab (main, ragedu_terms, {kind})"
                )

            def value(sql: str, *arguments: object) -> Any:
                row = database.execute(sql, arguments).fetchone()
                return row[0] if row else 0

            average = value("SELECT avg(length) FROM ragedu_documents")
            length = value("SELECT length FROM ragedu_documents WHERE position = ?", position)
            for term, times in Counter(self.query_terms(query)).items():
                token = as_token(term)
                if df := value("SELECT doc FROM temp.by_row WHERE term = ?", token):
                    tf = value("SELECT count(*) FROM temp.by_instance WHERE term = ? AND doc = ?", token, position)
                    contributions[term] = times * fts5_score(tf, df, length / average, len(self.corpus))
        return Explanation(sum(contributions.values()), contributions)

    def save(self, folder: str | Path) -> None:
        """As every retriever: the whole database, with documents and all. (One in a file is kept there anyway.)"""
        self.check_fitted()
        settings_to_save(self.analyzer)  # they are in the database, if it has any
        with self._explained():
            database = np.frombuffer(self._connection().serialize(), np.uint8)
        save_index(folder, type(self).__name__, {}, {"database": database}, Corpus([]))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote, into memory."""
        settings, arrays, corpus = load_index(folder, cls.__name__)
        retriever = cls()
        with damage_told(folder), database_damage_told():
            check_form(not settings and not corpus, "settings or documents outside of the database")
            check_form(arrays["database"].dtype == np.uint8 and len(arrays["database"]), "a database that is none")
            content = bytearray(arrays["database"])
            # A database in WAL mode (2, 2) cannot be opened in memory: the log would be a file.
            content[18:20] = b"\1\1"
            retriever._connection().deserialize(content)
            check_tables(retriever._connection())
            retriever._open()
            check_form(retriever.is_fitted, "no analyzer")
        return retriever

    def __reduce__(self):
        raise TypeError(
            "a SqliteRetriever is tied to its database and cannot be copied or pickled: use save(folder) and "
            "SqliteRetriever.load(folder), or open the file again with SqliteRetriever(path)"
        )

    def close(self) -> None:
        """Close the database file."""
        if self._database is not None:
            self._database.close()
        self._corpus = None

    def check_fitted(self) -> None:
        if self._database is None:
            raise FileNotFoundError(
                f"there is no database file {self.path}: check its name, or call fit(corpus) to make it"
            )
        super().check_fitted()

    def _connection(self) -> sqlite3.Connection:
        """The connection to the database, which is made here if it is not there."""
        if self._database is None:
            self._database = sqlite3.connect(
                self.path,
                timeout=self.timeout,
                isolation_level=None,  # transactions begin and end where this file says so
                check_same_thread=sqlite3.threadsafety < 3,  # 3: SQLite lets threads take turns
            )
        return self._database

    def _open(self, given: bool = False) -> None:
        """Take over an index that is there. One by another analyzer than the one given must be made again."""
        execute = self._connection().execute
        if not execute("SELECT 1 FROM sqlite_master WHERE name = 'ragedu_settings'").fetchone():
            return
        with damage_told(self.path), self._transaction("DEFERRED"):
            settings = {name: json.loads(value) for name, value in execute("SELECT * FROM ragedu_settings")}
            if settings.get("format") != FORMAT:
                raise DamagedIndex(f"the index in {self.path} is not in the format {FORMAT}: delete its ragedu_ tables")
            check_form(isinstance(settings["stamp"], str), "no stamp")
            if settings["analyzer"] is None or (given and settings["analyzer"] != analyzer_settings(self.analyzer)):
                return
            analyzer = load_analyzer(settings["analyzer"])
            corpus = Corpus(read_documents(self._connection()))
        self.analyzer, self._stamp, self.corpus = analyzer, settings["stamp"], corpus

    def _insert(self, corpus: Corpus, database: sqlite3.Connection) -> int:
        """Add all documents to the new tables; returns the number of tokens."""
        tokenize, n_tokens = tokenizer(self.analyzer), 0
        progress = tqdm(corpus, desc="indexing", unit=" documents", disable=len(corpus) < PROGRESS_FROM_DOCUMENTS)
        for position, document in enumerate(progress):
            tokens = tokenize(document.content)
            row = (position, document.id, document.title, document.text, metadata_json(document), len(tokens))
            database.execute("INSERT INTO ragedu_documents VALUES (?, ?, ?, ?, ?, ?)", row)
            # A document without terms has a row too: it counts in N and in the average length.
            database.execute("INSERT INTO ragedu_terms (rowid, terms) VALUES (?, ?)", (position, " ".join(tokens)))
            n_tokens += len(tokens)
        return n_tokens

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """What is read together is of one index, and of the one that the corpus here belongs to."""
        with self._explained(), self._transaction("DEFERRED") as database:
            stamp = database.execute("SELECT value FROM ragedu_settings WHERE name = 'stamp'").fetchone()
            if stamp != (json.dumps(self._stamp),):
                raise RuntimeError(f"{self.path} has been fitted again since it was opened here: open it again")
            yield database

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """All of it or nothing. IMMEDIATE asks for the right to write at once, before any work is done."""
        with self._turn:  # a connection has one transaction at a time, and several threads may ask
            database = self._connection()
            database.execute(f"BEGIN {kind}")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:  # SQLite may have rolled back itself, for lack of space
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explained(error, self.path) from None


def read_documents(database: sqlite3.Connection) -> Iterator[Document]:
    """The documents of an index, in order. Raises ValueError where their table and that of their terms differ."""
    rows = database.execute(
        "SELECT position, id, text, title, metadata, length FROM ragedu_documents ORDER BY position"
    )
    indexed = database.execute("SELECT id FROM ragedu_terms_docsize ORDER BY id")
    for place, (row, (document,)) in enumerate(zip(rows, indexed, strict=True)):
        position, id, text, title, metadata, length = row
        check_form(place == position == document, f"no document at position {place}")
        check_form(type(length) is int and length >= 0, f"a document of length {length!r:.100}")
        yield Document(id, text, title, metadata=json.loads(metadata))


def check_tables(database: sqlite3.Connection) -> None:
    """Raise ValueError or sqlite3.Error unless a database from elsewhere is whole, with tables as `fit` makes them."""

    def rows(sql: str, *arguments: object) -> list:
        return database.execute(sql, arguments).fetchall()

    rows("PRAGMA trusted_schema = OFF")
    check_form(rows("PRAGMA quick_check(1)") == [("ok",)], "a database that is not whole")
    made = dict(rows("SELECT name, sql FROM sqlite_master WHERE name LIKE 'ragedu%'"))
    check_form(TABLES.items() <= made.items(), "other tables than there are")
    rows("INSERT INTO ragedu_terms (ragedu_terms) VALUES ('integrity-check')")
    rows("CREATE VIRTUAL TABLE temp.all_terms USING fts5vocab (main, ragedu_terms, row)")
    beginnings = [beginning for (beginning,) in rows("SELECT DISTINCT substr(term, 1, 1) FROM temp.all_terms")]
    rows("DROP TABLE temp.all_terms")
    # A search that finds every document reads all that a search can read.
    found = rows(SEARCH, " OR ".join(f'"{beginning}"*' for beginning in beginnings), -1)
    positions = {position for (position,) in rows("SELECT position FROM ragedu_documents WHERE length > 0")}
    check_form({position for position, _ in found} == positions, "terms of other documents than there are")
    check_form(all(type(score) is float and score > 0 for _, score in found), "a score that is no number")


@contextmanager
def database_damage_told() -> Iterator[None]:
    """Inside of `damage_told`: what SQLite says about a database in memory that was saved elsewhere."""
    try:
        yield
    except sqlite3.Error as error:
        if is_without_fts5(error):
            raise explained(error, ":memory:") from None
        raise ValueError(str(error)) from None


def is_without_fts5(error: sqlite3.Error) -> bool:
    return "fts5" in str(error) and "module" in str(error)


def explained(error: sqlite3.Error, path: str) -> Exception:
    """SQLite's error as one that says what to do."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TimeoutError(f"{path} is locked by another program: wait until that has finished, or raise timeout=…")
    if is_without_fts5(error):
        return RuntimeError(
            f"this Python's SQLite ({sqlite3.sqlite_version}) was built without FTS5: use BM25Retriever, or a Python "
            "from python.org, conda or your system"
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return ValueError(f"{path} is not an SQLite database, or a damaged one ({error}): use another file")
    if "no such table" in str(error) or "no such column" in str(error) or "decode to UTF-8" in str(error):
        return ValueError(f"the index in {path} is damaged ({error}): delete its ragedu_ tables and fit again")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM")):
        return OSError(f"{path} cannot be used ({error}): check its folder, its permissions and the free space")
    return RuntimeError(f"{path}: {error}")
