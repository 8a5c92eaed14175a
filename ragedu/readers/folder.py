"""`read_corpus`: a file, or a folder of files, to a Corpus."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ragedu.corpus import Corpus, Document
from ragedu.readers.markdown import read_markdown, read_notebook
from ragedu.readers.records import document_from, make_document, read_json, read_jsonl, read_table
from ragedu.readers.text_files import read_text

TEXT = (".txt", ".md", ".markdown", ".rst", ".ipynb")
RECORDS = (".json", ".jsonl", ".csv", ".tsv")
SUPPORTED = ", ".join([*TEXT, *RECORDS])


def read_corpus(path: str | Path, *, text: str = "text", title: str | None = None, id: str | None = None) -> Corpus:
    """The documents of a file, or of every supported file in a folder and its subfolders, in order of their paths.

    Text (.txt, .rst) is one document a file; its id is the path relative to the folder. Markdown (.md, .markdown)
    and notebooks (.ipynb; their Markdown and code, not the outputs) with several headings are one document a
    section: id "guide.md#installation", title "Guide › Installation". Records (.json, .jsonl, .csv, .tsv) are one
    document each: keys or columns "id" or "_id", "title", "text"; all others become metadata. A record without
    an id gets "path#n", n counting the file's records from 1.

    text, title, id: other names for those keys and columns.

    Skipped: files of other types, hidden files and folders, blank files in a folder, links to folders (a link
    back up would never end). Everything else is read or is an error that says where: FileNotFoundError,
    PermissionError, TypeError for text that is no string, and ValueError for a folder or file with nothing to read,
    an unsupported file, text that is not UTF-8, malformed JSON or CSV, a missing key, a duplicate id.
    """
    path = Path(path).expanduser()
    if not path.exists() and not path.is_symlink():
        raise FileNotFoundError(f"there is no file or folder {path}: check its name and the folder you are in")
    if path.is_dir():
        files = _files(path)
        if not files:
            raise ValueError(f"the folder {path} has no file of a type that can be read: {SUPPORTED}")
    else:
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is neither a file nor a folder")
        if path.suffix.lower() in (".db", ".sqlite", ".sqlite3"):
            raise ValueError(f"{path} looks like a database: write  sqlite:///{path}")
        if path.suffix.lower() not in (*TEXT, *RECORDS):
            raise ValueError(f"{path} is of a type that cannot be read; supported are {SUPPORTED}")
        files = [path]
    documents: list[Document] = []
    places: dict[str, str] = {}
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        for place, document in _documents(file, name, text, title, id):
            if document.id in places:
                raise ValueError(
                    f"two documents have the id {document.id!r} ({places[document.id]}; {place}): ids must be unique"
                )
            places[document.id] = place
            documents.append(document)
    if not documents:
        raise ValueError(f"{path} is empty: there is no text in {'its files' if path.is_dir() else 'it'}")
    return Corpus(documents)


def _files(folder: Path) -> list[Path]:
    """The supported files under the folder, sorted by their relative paths."""

    def fail(error: OSError) -> None:
        # Without this, os.walk skips a folder that cannot be read and says nothing.
        raise type(error)(f"the folder {error.filename} cannot be read: {error.strerror}") from None

    files = []
    for parent, subfolders, names in os.walk(folder, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for file in (Path(parent, name) for name in names if not name.startswith(".")):
            if file.suffix.lower() not in (*TEXT, *RECORDS):
                continue
            if file.is_symlink() and not file.exists():
                raise FileNotFoundError(f"{file} is a link to something that is not there: repair or remove it")
            if file.is_file():  # neither a pipe nor a device, from which reading might never return
                files.append(file)
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def _documents(file: Path, name: str, text: str, title: str | None, id: str | None) -> Iterable[tuple[str, Document]]:
    suffix = file.suffix.lower()
    is_utf_8 = not any("\ud800" <= character <= "\udfff" for character in name)
    if suffix in RECORDS:
        read = {".json": lambda path: read_json(path, text), ".jsonl": read_jsonl}.get(suffix, read_table)
        for number, (place, record) in enumerate(read(file), start=1):
            yield place, document_from(record, place, f"{name}#{number}" if is_utf_8 else None, text, title, id)
    else:
        read = {".txt": _read_plain, ".rst": _read_plain, ".ipynb": read_notebook}.get(suffix, read_markdown)
        for place, record in read(file, name):
            if not is_utf_8:
                raise ValueError(f"the name of the file {str(file)!r} is not UTF-8, so it can be no id: rename it")
            metadata = {key: value for key, value in record.items() if key not in ("id", "title", "text")}
            yield place, make_document(place, record["id"], record["text"], record["title"], metadata)


def _read_plain(path: Path, name: str) -> list[tuple[str, dict[str, Any]]]:
    text = read_text(path)
    if not text.strip():
        return []
    # In reStructuredText the title is a line underlined with punctuation.
    underlined = (
        re.search(r"^(\S.*)\n([=\-~^\"'#*+])\2{2,}[ \t]*$", text, re.MULTILINE)
        if path.suffix.lower() == ".rst"
        else None
    )
    title = underlined[1].strip() if underlined else path.stem
    return [(str(path), {"id": name, "title": title, "text": text, "source": name})]
