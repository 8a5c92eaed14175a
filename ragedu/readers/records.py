"""Files of records: JSON, JSONL, CSV, TSV. Each record, a dictionary with an id, title and text, is one document."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ragedu.corpus import Document
from ragedu.readers.text_files import read_lines, read_text


def document_from(
    record: Mapping[str, Any],
    place: str,
    default_id: str | None,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
) -> Document:
    """The document that a record describes; what is not id, title or text becomes its metadata.

    place: where the record stands, for error messages. default_id: for a record without an id; None if it must
    have one. text, title, id: the keys that hold them; a title or id that is named must be there, and an id not blank;
    otherwise they are "title" and "id" or "_id" where present.
    """
    # A misspelt name must not pass as "these records have no ids".
    for option, key in (("text", text), ("title", title), ("id", id)):
        if key is not None and key not in record:
            keys = ", ".join(map(repr, record)) or "none at all"
            raise ValueError(f"{place}: no {key!r} among the keys ({keys}): name the right one with {option}=…")
    id_key = id or next((key for key in ("id", "_id") if key in record), None)
    title_key = title or "title"
    document_id = record.get(id_key)
    if isinstance(document_id, int) and not isinstance(document_id, bool):
        document_id = str(document_id)  # {"id": 17} is common, and means "17"
    if document_id is None or document_id == "":
        document_id = default_id if id is None else None
    if document_id is None:
        raise ValueError(f"{place}: the record has no id: give it an {id or '_id'!r}")
    metadata = {key: value for key, value in record.items() if key not in (id_key, title_key, text)}
    inner = metadata.get("metadata")
    if isinstance(inner, dict) and not inner.keys() & metadata.keys():
        metadata = {**{key: value for key, value in metadata.items() if key != "metadata"}, **inner}
    document_title = record.get(title_key)
    return make_document(place, document_id, record[text], "" if document_title is None else document_title, metadata)


def make_document(
    place: str, id: str, text: str, title: str = "", metadata: Mapping[str, Any] | None = None
) -> Document:
    """A Document, or an error that says where in the files it comes from."""
    try:
        return Document(id, text, title, metadata or {})
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}: {error}") from None


def parse_json(text: str, path: Path, line: int | None = None) -> Any:
    """The value of a file's JSON text, or of one line of it.

    Raises ValueError if it is malformed, or names a key twice in one object (one of the two would be lost).
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"the key {twice!r} appears twice in one object")
        return value

    try:
        # A notebook may hold NaN in its outputs, which nobody reads.
        constant = float if path.suffix.lower() == ".ipynb" else refuse
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        found = line or getattr(error, "lineno", None)
        place = f"{path}, line {found}" if found else str(path)
        raise ValueError(f"{place}: not valid JSON ({reason}): fix {'or remove that line' if line else 'it'}") from None


def read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file (one on each line; blank lines are skipped), each with its place."""
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        record = parse_json(line, path, number)
        if not isinstance(record, dict):
            raise ValueError(f"{place}: each line must be a JSON object {{…}}, not a {type(record).__name__}")
        yield place, record


def read_json(path: Path, text: str = "text") -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a JSON file: a list of objects or of strings, one object, or {id: text or object}."""
    content = read_text(path)
    value = parse_json(content, path) if content.strip() else []
    if isinstance(value, dict):
        value = [value] if text in value else [_named(id, item, text) for id, item in value.items()]
    if not isinstance(value, list):
        raise ValueError(
            f"{path} holds a {type(value).__name__}: it must be a list of objects or strings, or {{id: text}}"
        )
    for number, item in enumerate(value, start=1):
        place = f"{path}, item {number}"
        if not isinstance(item, str | dict):
            raise ValueError(f"{place} must be an object or a string, not a {type(item).__name__}")
        yield place, item if isinstance(item, dict) else {text: item}


def _named(id: str, item: Any, text: str) -> dict[str, Any]:
    return {"id": id, **item} if isinstance(item, dict) else {"id": id, text: item}


def read_table(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a CSV or TSV file, whose first row must name the columns."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    # strict: a quotation mark that is never closed is an error instead of swallowing the rest of the file.
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(2**31 - 1)  # the default, 131,072 characters, is less than a long document
    rows, number = [], 1  # with the line on which each begins
    try:
        for row in reader:
            if row:
                rows.append((number, row))
            number = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {number}: malformed ({error}): "
            "quote a field that contains quotation marks, and double those inside it"
        ) from None
    finally:
        csv.field_size_limit(limit)
    header = rows[0][1] if rows else []
    if len(set(header)) < len(header):
        raise ValueError(f"{path}, line 1: two columns have the same name: {', '.join(header)}")
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"{path}, line {number}: {len(row)} fields where the header has {len(header)} ({', '.join(header)}): "
                "quote fields that contain the separator"
            )
        yield f"{path}, line {number}", dict(zip(header, row, strict=True))
