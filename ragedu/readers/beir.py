"""`read_beir`: a collection in the layout of the BEIR benchmark (Thakur et al. 2021) to a Dataset."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.readers.records import document_from, read_jsonl
from ragedu.readers.text_files import read_lines

GRADE_COLUMN = ("score", "grade", "label", "rel", "relevance")


def read_beir(folder: str | Path, split: str = "test", strict: bool = True) -> Dataset:
    """A BEIR folder: corpus.jsonl (_id, title, text, metadata), queries.jsonl (_id, text) and qrels/SPLIT.tsv
    (query id, document id, grade, separated by tabs, with or without a header).

    Only the queries that have judgments in this split are kept, in the order of queries.jsonl.

    strict: a judgment about a document or query that is not in the collection is an error, since dropping it
    changes what recall means (nobody can find that document). With strict=False such judgments are dropped and a
    warning counts them.

    Raises FileNotFoundError for a missing file, ValueError, naming file and line, for anything malformed.
    """
    folder = Path(folder).expanduser()
    qrels_file = folder / "qrels" / f"{split}.tsv"
    for file in (folder, folder / "corpus.jsonl", folder / "queries.jsonl", qrels_file):
        if not file.exists():
            splits = sorted(path.stem for path in folder.glob("qrels/*.tsv"))
            hint = f"; the splits there are {', '.join(splits)}" if splits and file == qrels_file else ""
            raise FileNotFoundError(
                f"there is no {file}: a BEIR folder has corpus.jsonl, queries.jsonl and qrels/{split}.tsv{hint}"
            )
    corpus = _read_corpus(folder / "corpus.jsonl")
    queries = _read_queries(folder / "queries.jsonl")

    qrels: dict[str, dict[str, int]] = {}
    judged_at: dict[tuple[str, str], str] = {}
    dropped = []
    for place, query_id, document_id, grade in _judgments(qrels_file):
        pair = query_id, document_id
        if pair in judged_at and qrels.get(query_id, {}).get(document_id, grade) != grade:
            raise ValueError(f"{place}: {pair} was judged otherwise at {judged_at[pair]}: keep one of the two")
        judged_at.setdefault(pair, place)
        missing = f"query {query_id!r}" if query_id not in queries else f"document {document_id!r}"
        if query_id in queries and document_id in corpus:
            qrels.setdefault(query_id, {})[document_id] = grade
        elif strict:
            raise ValueError(f"{place}: {missing} is not in the collection; strict=False drops such judgments")
        else:
            dropped.append(f"{place}: {missing}")
    if dropped:
        warnings.warn(
            f"{len(dropped)} judgments dropped, about what is not in the collection (first: {dropped[0]})", stacklevel=2
        )
    if not qrels:
        raise ValueError(f"{qrels_file} has no judgments: nothing could be evaluated")
    return Dataset(
        corpus,
        queries={query_id: text for query_id, (text, _) in queries.items() if query_id in qrels},
        qrels={query_id: qrels[query_id] for query_id in queries if query_id in qrels},
        metadata={query_id: more for query_id, (_, more) in queries.items() if query_id in qrels and more},
        name=folder.resolve().name,
    )


def _read_corpus(path: Path) -> Corpus:
    documents: dict[str, Document] = {}
    places: dict[str, str] = {}
    for place, record in read_jsonl(path):
        document = _document_from(record, place)
        if document.id in places:
            raise ValueError(f"{place}: the id {document.id!r} was taken at {places[document.id]}: ids must be unique")
        documents[document.id], places[document.id] = document, place
    if not documents:
        raise ValueError(f"{path} is empty: it must have one document a line")
    return Corpus(documents.values())


def _read_queries(path: Path) -> dict[str, tuple[str, dict]]:
    queries: dict[str, tuple[str, dict]] = {}
    for place, record in read_jsonl(path):
        query = _document_from(record, place)  # a query has the same keys
        if query.id in queries:
            raise ValueError(f"{place}: a second query with the id {query.id!r}: ids must be unique")
        queries[query.id] = query.text, dict(query.metadata)
    return queries


def _document_from(record: dict, place: str) -> Document:
    """By its "_id", whatever else the record calls an id."""
    return document_from(record, place, default_id=None, id="_id" if "_id" in record else None)


def _judgments(path: Path) -> Iterator[tuple[str, str, str, int]]:
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        columns = line.rstrip("\n").split("\t")
        if len(columns) != 3:
            raise ValueError(
                f"{place}: {len(columns)} columns where there must be query-id, corpus-id, score (by tabs)"
            )
        query_id, document_id, grade = (column.strip() for column in columns)
        if number == 1 and grade.lower() in GRADE_COLUMN:
            continue
        try:
            yield place, query_id, document_id, int(grade)
        except ValueError:
            raise ValueError(f"{place}: the grade {grade!r} is not a whole number") from None
