"""`read_files`: a file, or a folder of files, to a Corpus."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from ragedu.corpus import Corpus, Document
from ragedu.readers.markdown import read_markdown, read_notebook
from ragedu.readers.records import PlacedRecord, document_from, make_document, read_json, read_jsonl, read_table
from ragedu.readers.text_files import read_text

PLAIN = (".txt", ".rst")
MARKDOWN = (".md", ".markdown")
NOTEBOOK = (".ipynb",)
RECORDS = (".json", ".jsonl", ".csv", ".tsv")
SUPPORTED = (".txt", *MARKDOWN, ".rst", *NOTEBOOK, *RECORDS)  # in the order in which messages list them
DATABASE = (".db", ".sqlite", ".sqlite3")
# In reStructuredText a title is a line that is underlined with punctuation.
UNDERLINED = re.compile(r"^(\S.*)\n([=\-~^\"'#*+])\2{2,}[ \t]*$", re.MULTILINE)


def read_files(
    path: str | PathLike[str], *, text: str = "text", title: str | None = None, id: str | None = None
) -> Corpus:
    """The documents of a file, or of every supported file in a folder and its subfolders, in order of their paths.

    Text (.txt, .rst) is one document a file; its id is the path relative to the folder.
    Markdown (.md, .markdown) and notebooks (.ipynb; their Markdown and code, not the outputs) with several headings
    are one document a section: id "guide.md#installation", title "Guide › Installation".
    Records (.json, .jsonl, .csv, .tsv) are one document each: keys or columns "id" or "_id", "title", "text"; all
    others become metadata. A record without an id gets "path#n", where n counts the file's records from 1.

    Skipped are files of other types, hidden files and folders, blank files in a folder, and links to folders (a link
    back up would never end). Everything else is read, or is an error that says where.

    Parameters
    ----------
    path
        A file or a folder.
    text, title, id
        Other names for those keys and columns.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or a link leads nowhere.
    PermissionError
        If a file or folder must not be read.
    TypeError
        If the text of a record is not a string.
    ValueError
        If a folder or file holds nothing to read, or a file is unsupported; if text is not UTF-8, or JSON or CSV is
        malformed; if a key is missing, or an id is there twice.
    """
    path = Path(path).expanduser()
    files = _supported_files(path)
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


def _supported_files(path: Path) -> list[Path]:
    """The file itself, or the supported files of a folder, of which there is at least one."""
    if not path.exists() and not path.is_symlink():
        raise FileNotFoundError(f"there is no file or folder {path}: check its name and the folder you are in")
    if path.is_dir():
        files = _files_under(path)
        if not files:
            raise ValueError(f"the folder {path} has no file of a type that can be read: {', '.join(SUPPORTED)}")
        return files
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is neither a file nor a folder")
    if path.suffix.lower() in DATABASE:
        raise ValueError(f"{path} looks like a database: write  sqlite:///{path}")
    if path.suffix.lower() not in SUPPORTED:
        raise ValueError(f"{path} is of a type that cannot be read; supported are {', '.join(SUPPORTED)}")
    return [path]


def _files_under(folder: Path) -> list[Path]:
    """The supported files under the folder, sorted by their relative paths."""

    def fail(error: OSError) -> None:
        # Without this, os.walk skips a folder that cannot be read and says nothing.
        raise type(error)(f"the folder {error.filename} cannot be read: {error.strerror}") from None

    files = []
    for parent, subfolders, names in os.walk(folder, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]  # os.walk enters what stays
        for name in names:
            file = Path(parent, name)
            if name.startswith(".") or file.suffix.lower() not in SUPPORTED:
                continue
            if file.is_symlink() and not file.exists():
                raise FileNotFoundError(f"{file} is a link to something that is not there: repair or remove it")
            if file.is_file():  # neither a pipe nor a device, from which reading might never return
                files.append(file)
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def _documents(file: Path, name: str, text: str, title: str | None, id: str | None) -> Iterator[tuple[str, Document]]:
    """The documents of one file, each with its place. name: the file's path relative to the folder."""
    is_utf_8 = not any("\ud800" <= character <= "\udfff" for character in name)
    if file.suffix.lower() in RECORDS:
        for number, (place, record) in enumerate(_records(file, text), start=1):
            default_id = f"{name}#{number}" if is_utf_8 else None
            yield place, document_from(record, place, default_id=default_id, text=text, title=title, id=id)
        return
    for place, section in _sections(file, name):
        if not is_utf_8:
            raise ValueError(f"the name of the file {str(file)!r} is not UTF-8, so it cannot be an id: rename it")
        metadata = {key: value for key, value in section.items() if key not in ("id", "title", "text")}
        yield place, make_document(place, section["id"], section["text"], title=section["title"], metadata=metadata)


def _records(file: Path, text: str) -> Iterable[PlacedRecord]:
    suffix = file.suffix.lower()
    if suffix == ".json":
        return read_json(file, text=text)
    return read_jsonl(file) if suffix == ".jsonl" else read_table(file)


def _sections(file: Path, name: str) -> Iterable[PlacedRecord]:
    suffix = file.suffix.lower()
    if suffix in PLAIN:
        return _read_plain(file, name)
    return read_notebook(file, name) if suffix in NOTEBOOK else read_markdown(file, name)


def _read_plain(path: Path, name: str) -> list[PlacedRecord]:
    text = read_text(path)
    if not text.strip():
        return []
    underlined = UNDERLINED.search(text) if path.suffix.lower() == ".rst" else None
    title = underlined[1].strip() if underlined else path.stem
    return [(str(path), {"id": name, "title": title, "text": text, "source": name})]
