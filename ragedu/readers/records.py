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

MAX_FIELD_CHARACTERS = 2**31 - 1  # of a CSV field; csv's default, 131,072, is less than a long document has

Record = dict[str, Any]
PlacedRecord = tuple[str, Record]  # where the record is ("town.jsonl, line 3"), for error messages, and the record


def document_from(
    record: Mapping[str, Any],
    place: str,
    *,
    default_id: str | None = None,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
) -> Document:
    """The document that a record describes. What is not id, title or text becomes its metadata.

    Parameters
    ----------
    record
        {key: value}.
    place
        Where the record is ("town.jsonl, line 3"), for error messages.
    default_id
        The id of a record that has none. With None every record must have one.
    text
        The key of the text.
    title, id
        The keys of title and id. Where they are named they must be there, and the id not blank. By default they are
        "title", and "id" or "_id", where present.
    """
    # A misspelt name must not pass as "these records have no ids".
    for option, key in (("text", text), ("title", title), ("id", id)):
        if key is not None and key not in record:
            keys = ", ".join(map(repr, record)) or "none at all"
            raise ValueError(f"{place}: no {key!r} among the keys ({keys}): name the right one with {option}=…")
    id_key = id or ("id" if "id" in record else "_id")
    title_key = title or "title"
    document_id = _id_of(record, id_key, default_id if id is None else None)
    if document_id is None:
        raise ValueError(f"{place}: the record has no id: give it an {id or '_id'!r}")
    document_title = record.get(title_key)
    metadata = {key: value for key, value in record.items() if key not in (id_key, title_key, text)}
    return make_document(
        place,
        document_id,
        record[text],
        title="" if document_title is None else document_title,
        metadata=_unfolded(metadata),
    )


def _id_of(record: Mapping[str, Any], key: str, default: str | None) -> Any:
    """The id that the record gives, or the default where it gives none or a blank one."""
    value = record.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # {"id": 17} is common, and means "17"
    return default if value is None or value == "" else value


def _unfolded(metadata: Record) -> Record:
    """A record's "metadata", as in BEIR, is not put into "metadata" once more, unless names would collide."""
    inner = metadata.get("metadata")
    if not isinstance(inner, dict) or inner.keys() & metadata.keys():
        return metadata
    return {key: value for key, value in metadata.items() if key != "metadata"} | inner


def make_document(
    place: str, id: str, text: str, *, title: str = "", metadata: Mapping[str, Any] | None = None
) -> Document:
    """A Document, or an error that says where in the files it comes from."""
    try:
        return Document(id, text, title, metadata=metadata or {})
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}: {error}") from None


def parse_json(text: str, path: Path, *, line: int | None = None) -> Any:
    """The value of a file's JSON text, or of one line of it.

    Raises ValueError if it is malformed, or names a key twice in one object (one of the two would be lost).
    """
    # A notebook's outputs, which are not read, may hold NaN.
    constant = float if path.suffix.lower() == ".ipynb" else _refuse_constant
    try:
        return json.loads(text, object_pairs_hook=_object_with_unique_keys, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        found = line or getattr(error, "lineno", None)
        place = f"{path}, line {found}" if found else str(path)
        raise ValueError(f"{place}: not valid JSON ({reason}): fix {'or remove that line' if line else 'it'}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no number {name}")


def _object_with_unique_keys(pairs: list[tuple[str, Any]]) -> Record:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated!r} appears twice in one object")
    return value


def read_jsonl(path: Path) -> Iterator[PlacedRecord]:
    """The objects of a JSONL file, one on each line. Blank lines are skipped."""
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        record = parse_json(line, path, line=number)
        if not isinstance(record, dict):
            raise ValueError(f"{place}: each line must be a JSON object {{…}}, not a {type(record).__name__}")
        yield place, record


def read_json(path: Path, *, text: str = "text") -> Iterator[PlacedRecord]:
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


def _named(id: str, item: Any, text: str) -> Record:
    return {"id": id, **item} if isinstance(item, dict) else {"id": id, text: item}


def read_table(path: Path) -> Iterator[PlacedRecord]:
    """The rows of a CSV or TSV file, whose first row must name the columns."""
    rows = _csv_rows(path)
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


def _csv_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of the line on which it begins."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    # strict: a quotation mark that is never closed is an error instead of swallowing the rest of the file.
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    default_limit = csv.field_size_limit(MAX_FIELD_CHARACTERS)
    rows, number = [], 1
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
        csv.field_size_limit(default_limit)
    return rows
