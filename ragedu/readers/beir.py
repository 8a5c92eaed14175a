"""`read_beir`: a collection in the layout of the BEIR benchmark (Thakur et al. 2021) to a Dataset."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.readers.records import document_from, read_jsonl
from ragedu.readers.text_files import path_from, read_lines, refuse_web_address, whole_number

GRADE_COLUMN = ("score", "grade", "label", "rel", "relevance")


def read_beir(folder: str | PathLike[str], *, split: str = "test", strict: bool = True) -> Dataset:
    """A BEIR folder: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

    corpus.jsonl has _id, title, text and metadata, queries.jsonl has _id and text. The judgments are query id,
    document id and grade, separated by tabs, with or without a header.
    Only the queries that have judgments in this split are kept, in the order of queries.jsonl.

    Parameters
    ----------
    folder
        The folder of the collection.
    split
        Which judgments: "test", "train", "dev" …
    strict
        A judgment about a document or query that is not in the collection is an error, since dropping it changes what
        recall means: nobody can find that document. With strict=False such judgments are dropped, and a warning
        counts them.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If anything is malformed. The message names file and line.
    """
    refuse_web_address(folder, "download the collection, unpack it, and give its folder")
    folder = path_from(folder)
    _check_files(folder, split)
    corpus = _read_corpus(folder / "corpus.jsonl")
    queries = _read_queries(folder / "queries.jsonl")
    qrels_file = folder / "qrels" / f"{split}.tsv"
    qrels, dropped, judged_queries = _read_qrels(qrels_file, corpus, queries, strict)
    if not qrels:
        about = f" of what is in the collection (first: {dropped[0]})" if dropped else ""
        raise ValueError(f"{qrels_file} has no judgments{about}: nothing could be evaluated")
    if dropped:
        lost = len(judged_queries - qrels.keys())
        queries_lost = f"; {lost:,} {'query is' if lost == 1 else 'queries are'} left without any" if lost else ""
        judgments = "judgment" if len(dropped) == 1 else "judgments"
        warnings.warn(
            f"{len(dropped):,} {judgments} dropped, about what is not in the collection (first: {dropped[0]})"
            f"{queries_lost}",
            stacklevel=2,
        )
    judged = [query for query in queries.values() if query.id in qrels]
    return Dataset(
        corpus,
        queries={query.id: query.text for query in judged},
        qrels={query.id: qrels[query.id] for query in judged},
        metadata={query.id: dict(query.metadata) for query in judged if query.metadata},
        name=folder.resolve().name,
    )


def _check_files(folder: Path, split: str) -> None:
    qrels_file = folder / "qrels" / f"{split}.tsv"
    for file in (folder, folder / "corpus.jsonl", folder / "queries.jsonl", qrels_file):
        if not file.exists():
            splits = sorted(path.stem for path in folder.glob("qrels/*.tsv"))
            hint = f"; the splits there are {', '.join(splits)}" if splits and file == qrels_file else ""
            raise FileNotFoundError(
                f"there is no {file}: a BEIR folder has corpus.jsonl, queries.jsonl and qrels/{split}.tsv{hint}"
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


def _read_queries(path: Path) -> dict[str, Document]:
    """The queries by their ids, as documents: they have the same keys."""
    queries: dict[str, Document] = {}
    for place, record in read_jsonl(path):
        query = _document_from(record, place)
        if query.id in queries:
            raise ValueError(f"{place}: a second query with the id {query.id!r}: ids must be unique")
        queries[query.id] = query
    return queries


def _read_qrels(
    path: Path, corpus: Corpus, queries: dict[str, Document], strict: bool
) -> tuple[dict[str, dict[str, int]], list[str], set[str]]:
    """The judgments; a line about each that was dropped because its query or document is not there; all queries."""
    qrels: dict[str, dict[str, int]] = {}
    judged_at: dict[tuple[str, str], str] = {}
    dropped = []
    for place, query_id, document_id, grade in _judgments(path):
        pair = query_id, document_id
        if pair in judged_at and qrels.get(query_id, {}).get(document_id, grade) != grade:
            raise ValueError(f"{place}: {pair} was judged otherwise at {judged_at[pair]}: keep one of the two")
        judged_at.setdefault(pair, place)
        if query_id in queries and document_id in corpus:
            qrels.setdefault(query_id, {})[document_id] = grade
            continue
        missing = f"query {query_id!r}" if query_id not in queries else f"document {document_id!r}"
        if strict:
            raise ValueError(f"{place}: {missing} is not in the collection; strict=False drops such judgments")
        dropped.append(f"{place}: {missing}")
    return qrels, dropped, {query_id for query_id, _ in judged_at}


def _document_from(record: dict[str, Any], place: str) -> Document:
    """The id is "_id" where the record has one, even when it has an "id" as well."""
    return document_from(record, place, id="_id" if "_id" in record else None)


def _judgments(path: Path) -> Iterator[tuple[str, str, str, int]]:
    """(place, query id, document id, grade) of each line but the header."""
    for position, (number, line) in enumerate(read_lines(path)):
        place = f"{path}, line {number}"
        columns = line.rstrip("\n").split("\t")
        if len(columns) != 3:
            raise ValueError(
                f"{place}: {len(columns)} columns where there must be query-id, corpus-id, score (by tabs)"
            )
        query_id, document_id, grade = (column.strip() for column in columns)
        if position == 0 and grade.lower() in GRADE_COLUMN:
            continue
        try:
            yield place, query_id, document_id, whole_number(grade)
        except ValueError:
            raise ValueError(f"{place}: the grade {grade!r} is not a whole number") from None
