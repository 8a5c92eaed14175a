"""Files of records: JSON, JSONL, CSV, TSV. Each record, a dictionary with an id, title and text, is one document."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ragedu.corpus import Document, shorten
from ragedu.readers.text_files import read_lines, read_text

MAX_FIELD_CHARACTERS = 2**31 - 1  # of a CSV field; csv's default, 131,072, is less than a long document has
MAX_SHOWN_KEYS = 12
MAX_SHOWN_CHARACTERS = 60
MAX_RECORD_KEYS = 20  # of an object that is one record; {id: text} may have any number
DELIMITERS = ",;\t|"
# How quotation marks are written inside of quoted fields: doubled, or after a backslash, as MySQL does it. Tables with
# tabs need no quotes, and many have single ones.
QUOTINGS: list[dict[str, Any]] = [{"doublequote": True}, {"doublequote": False, "escapechar": "\\"}]
NO_QUOTING: dict[str, Any] = {"quoting": csv.QUOTE_NONE}
SNIFFED_CHARACTERS = 8192  # of a table; csv.Sniffer takes long over more
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ \t]*\n', re.IGNORECASE)  # Excel's first line, which names the separator
# Keys that say what a JSON object is: one record whose text is called otherwise, and not {id: text}.
RECORD_KEYS = set(
    "_id id uuid slug url uri title name headline heading subject body content contents passage html markdown abstract "
    "summary description author date type version".split()
)

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
    if text == "text":
        text = _key_like(record, text)
    # A misspelt name must not pass as "these records have no ids".
    for option, key in (("text", text), ("title", title), ("id", id)):
        if key is not None and key not in record:
            raise ValueError(
                f"{place}: no {key!r} among the keys ({_shown_keys(record)}): name the right one with {option}=…"
            )
    id_key = id or _key_like(record, "id", "_id")
    title_key = title or _key_like(record, "title")
    document_id = _id_of(record, id_key, default_id if id is None else None)
    if document_id is None:
        raise ValueError(f"{place}: the record has no id: give it an {id or '_id'!r}")
    metadata = {key: value for key, value in record.items() if key not in (id_key, title_key, text)}
    return make_document(
        place,
        document_id,
        record[text],
        title=_title_of(record, title_key),
        metadata=_unfolded(metadata),
    )


def _key_like(record: Mapping[str, Any], *names: str) -> str:
    """The key in a record that nobody has named: one of these names, or one like it, "Title" for "title"."""
    for name in names:
        if name in record:
            return name
    return next((key for key in record if key.lower() == names[0]), names[-1])


def _shown_keys(record: Mapping[str, Any]) -> str:
    return shown([repr(shorten(key, MAX_SHOWN_CHARACTERS)) for key in record]) or "none at all"


def shown(names: Sequence[str]) -> str:
    """The names for a message, which stays readable however many and long they are."""
    short = [shorten(name, MAX_SHOWN_CHARACTERS) for name in names[:MAX_SHOWN_KEYS]]
    return ", ".join([*short, "…"] if len(names) > len(short) else short)


def _id_of(record: Mapping[str, Any], key: str, default: str | None) -> Any:
    """The id that the record gives, or the default where it gives none or a blank one."""
    value = record.get(key)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas writes 17.0 for 17 where another row has no id
    if _is_number(value):
        return str(value)  # {"id": 17} is common, and means "17"
    return default if value is None or value == "" else value


def _title_of(record: Mapping[str, Any], key: str) -> Any:
    value = record.get(key)
    if value is None:
        return ""
    return str(value) if _is_number(value) else value  # {"title": 1984}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
        if isinstance(error, RecursionError):
            reason = "nested too deeply"
        found = line or getattr(error, "lineno", None)
        place = f"{path}, line {found}" if found else str(path)
        raise ValueError(f"{place}: not valid JSON ({reason}): fix {'or remove that line' if line else 'it'}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"JSON has no number {name}")


def _object_with_unique_keys(pairs: list[tuple[str, Any]]) -> Record:
    value = dict(pairs)
    if len(value) < len(pairs):
        repeated = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {shorten(repeated, MAX_SHOWN_CHARACTERS)!r} appears twice in one object")
    return value


def read_jsonl(path: Path) -> Iterator[PlacedRecord]:
    """The objects of a JSONL file, one on each line. Blank lines are skipped. A JSON list of objects is read, too."""
    lines = list(read_lines(path))
    if lines and not isinstance(_json_or_none(lines[0][1]), dict):
        value = _json_or_none("\n".join(line for _, line in lines))
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield from read_json(path)
            return
    for number, line in lines:
        place = f"{path}, line {number}"
        record = parse_json(line, path, line=number)
        if not isinstance(record, dict):
            raise ValueError(f"{place}: each line must be a JSON object {{…}}, not a {type(record).__name__}")
        yield place, record


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_json(path: Path, *, text: str = "text") -> Iterator[PlacedRecord]:
    """The records of a JSON file: a list of objects or of strings, one object, or {id: text or object}.

    The list may be inside an object, as in {"version": 1, "data": […]}. A file with one object a line is read as well.
    """
    content = read_text(path)
    if _has_an_object_a_line(content):
        yield from read_jsonl(path)
        return
    value = parse_json(content, path) if content.strip() else []
    if isinstance(value, dict):
        value = _items_of(value, text)
    if not isinstance(value, list):
        raise ValueError(
            f"{path} holds a {type(value).__name__}: it must be a list of objects or strings, or {{id: text}}"
        )
    for number, item in enumerate(value, start=1):
        place = f"{path}, item {number}"
        if not isinstance(item, str | dict):
            raise ValueError(f"{place} must be an object or a string, not a {type(item).__name__}")
        yield place, item if isinstance(item, dict) else {text: item}


def _has_an_object_a_line(content: str) -> bool:
    """Whether this is JSONL under another name: the first two lines are each an object."""
    lines = content.lstrip().split("\n", 2)[:2]
    return len(lines) == 2 and all(isinstance(_json_or_none(line), dict) for line in lines)


def _items_of(value: Record, text: str) -> list[Any]:
    """The records that an object stands for: those of the one list in it, itself, or its values by their ids."""
    lists = [item for item in value.values() if isinstance(item, list)]
    has_own_id = bool({"id", "_id", "title"} & value.keys())
    has_named_records = any(isinstance(item, dict) and text in item for item in value.values())
    if text not in value and len(lists) == 1 and not has_own_id and not has_named_records:
        (items,) = lists
        if len(value) == 1 or (items and all(isinstance(item, dict) for item in items)):
            return items
    if text in value:
        return _rows_of_columns(value) or [value]
    may_be_named = sum(isinstance(item, str | dict) for item in value.values())
    if _is_one_record(value) or (value and may_be_named <= len(value) / 2):
        return [value]
    return [_named(id, item, text) for id, item in value.items()]


def _rows_of_columns(value: Record) -> list[Record]:
    """The rows of {column: {number: value}}, as pandas writes a table by default; none where it is no such table."""
    columns = list(value.values())
    if not all(isinstance(column, dict) and all(map(str.isdecimal, column)) for column in columns):
        return []
    numbers = dict.fromkeys(number for column in columns for number in column)
    return [{name: column.get(number) for name, column in value.items()} for number in numbers]


def _is_one_record(value: Record) -> bool:
    """Whether an object without a text is a record all the same, and not {id: text or object}.

    Two of three signs decide: keys that records have, values of other types beside strings, and few keys.
    """
    has_record_keys = any(key.lower() in RECORD_KEYS and not isinstance(item, dict) for key, item in value.items())
    kinds = {type(item) for item in value.values()}
    is_mixed = str in kinds and not kinds <= {str, dict}
    return has_record_keys + is_mixed + (len(value) <= MAX_RECORD_KEYS) >= 2


def _named(id: str, item: Any, text: str) -> Record:
    return {"id": id, **item} if isinstance(item, dict) else {"id": id, text: item}


def read_table(path: Path, *, text: str = "text") -> Iterator[PlacedRecord]:
    """The rows of a CSV or TSV file, whose first row must name the columns.

    The separator is a comma (.csv) or a tab (.tsv), or whichever of comma, semicolon, tab and | the header shows, or
    what a first line "sep=;" says. Rows without content are skipped, and so are columns at the end that have no name.
    """
    rows = _csv_rows(path, text)
    header = _column_names(rows[0][1]) if rows else []
    named = header[: _width(rows[0][1])] if rows else []
    for number, row in rows[1:]:
        width = _width(row)
        if len(row) < len(named) or width > len(header):
            raise ValueError(
                f"{path}, line {number}: {len(row)} fields where the header has {len(named)} ({shown(named)}): "
                "quote fields that contain the separator"
            )
        yield f"{path}, line {number}", dict(zip(header, row[: max(width, len(named))], strict=False))


def _width(row: list[str]) -> int:
    """The number of fields up to the last one that is not blank."""
    return max((number for number, field in enumerate(row, start=1) if field.strip()), default=0)


def _column_names(row: list[str]) -> list[str]:
    """The names in the header. Where several columns have none, each is called by its number."""
    names = [name.strip() for name in row]
    if names.count("") < 2:
        return names
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def _csv_rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    """The rows with content, each with the number of the line on which it begins."""
    content = read_text(path)
    number = 1
    if separator := SEPARATOR_LINE.match(content):
        content = content[separator.end() :]
        number = 2
    delimiter = separator[1] if separator else _delimiter(content, path, text)
    rows: list[tuple[int, list[str]]] = []
    errors = []
    quotings = QUOTINGS if '\\"' in content else QUOTINGS[:1]
    for quoting in quotings:
        try:
            rows = list(_parsed(content, number, quoting | {"delimiter": delimiter}))
            break
        except _Malformed as error:
            errors.append(error)
    if delimiter == "\t" and '"' in content:
        unquoted = list(_parsed(content, number, NO_QUOTING | {"delimiter": delimiter}))
        if len(unquoted) > len(rows) and len({len(row) for _, row in unquoted}) == 1:
            rows, errors = unquoted, []
    if len(errors) == len(quotings):
        raise ValueError(
            f"{path}, {errors[0]}: quote a field that contains quotation marks, and double those inside it"
        )
    if rows:
        _check_names(rows[0][1], f"{path}, line {rows[0][0]}")
    return rows


class _Malformed(Exception):
    """A table that cannot be read with some way of quoting: on which line, and why."""


def _parsed(content: str, number: int, dialect: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """The rows with content, the first of which is on the line of this number."""
    header = content[: content.find("\n") + 1 or None]
    # strict: a quotation mark that is never closed is an error instead of swallowing the rest of the file.
    reader = csv.reader(
        io.StringIO(content, newline=""),
        **dialect,
        skipinitialspace=f"{dialect['delimiter']} " in header,
        strict=True,
    )
    default_limit = csv.field_size_limit(MAX_FIELD_CHARACTERS)
    lines_before = number - 1
    try:
        for row in reader:
            if _width(row) > 0:
                yield number, row
            number = lines_before + reader.line_num + 1
    except csv.Error as error:
        raise _Malformed(f"line {number}: malformed ({error})") from None
    finally:
        csv.field_size_limit(default_limit)


def _check_names(header: list[str], place: str) -> None:
    names = [name.strip() for name in header if name.strip()]
    if len(set(names)) < len(names):
        raise ValueError(f"{place}: two columns have the same name: {shown(names)}")


def _delimiter(content: str, path: Path, text: str) -> str:
    """The separator with which the header has a column of this name; else what csv.Sniffer says, if it splits it."""
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    header = next((line for line in content.split("\n") if line.strip(DELIMITERS + " ")), "")
    for delimiter in (usual, *DELIMITERS):
        if text in _names_in(header, delimiter):
            return delimiter
    try:
        sniffed = csv.Sniffer().sniff(content[:SNIFFED_CHARACTERS], delimiters=DELIMITERS).delimiter
    except csv.Error:
        return usual
    # The Sniffer looks at how often characters occur: a comma in every sentence looks like a separator to it.
    is_better = len(_names_in(header, sniffed)) > len(_names_in(header, usual))
    return sniffed if is_better else usual


def _names_in(header: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"') for name in header.split(delimiter)]
