"""`read_files`: a file, or a folder of files, to a Corpus."""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document
from ragedu.readers.finding import UNSUPPORTED_TYPE, FoundFiles, find_files, patterns_from
from ragedu.readers.markdown import read_markdown, read_notebook
from ragedu.readers.plain_text import read_plain
from ragedu.readers.records import PlacedRecord, document_from, make_document, read_json, read_jsonl, read_table
from ragedu.readers.restructured import read_restructured
from ragedu.readers.text_files import path_from
from ragedu.showing import one_line

PLAIN = (".txt",)
RESTRUCTURED = (".rst",)
MARKDOWN = (".md", ".markdown")
NOTEBOOK = (".ipynb",)
JSON_LINES = (".jsonl", ".ndjson")
RECORDS = (".json", *JSON_LINES, ".csv", ".tsv")
SUPPORTED = (*PLAIN, *MARKDOWN, *RESTRUCTURED, *NOTEBOOK, *RECORDS)  # in the order in which messages list them
DATABASE = (".db", ".sqlite", ".sqlite3")
# In the line about what was skipped; the warning has all as `skipped`.
PROGRESS_FROM_FILES = 500  # fewer are read before a progress bar would be read
MAX_SHOWN_REASONS = 8
MAX_SHOWN_SUFFIXES = 20
MAX_SHOWN_FILES = 3  # of each reason


class SkippedFiles(UserWarning):
    """Files of a folder were not read. The message is one line: how many, and why.

    Attributes
    ----------
    skipped
        {path relative to the folder: why}.
    """

    def __init__(self, message: str, skipped: Mapping[str, str]) -> None:
        super().__init__(message)
        self.skipped = dict(skipped)


def read_files(
    path: str | PathLike[str],
    *,
    text: str = "text",
    title: str | None = None,
    id: str | None = None,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    strict: bool = False,
) -> Corpus:
    """The documents of a file, or of every supported file in a folder and its subfolders, in order of their paths.

    Markdown (.md, .markdown), reStructuredText (.rst), notebooks (.ipynb; their Markdown and code, not the outputs) and
    text (.txt, where titles are underlined) with several headings are one document a section: id
    "guide.md#installation", title "Guide › Installation". Others are one document, whose id is the path relative to the
    folder.
    Records (.json, .jsonl, .ndjson, .csv, .tsv) are one document each: keys or columns "id" or "_id", "title", "text";
    all others become metadata. A record without an id gets "path#n", where n counts the file's records from 1.

    A folder is read as far as it can be. Files that cannot be read, and those of other types, are skipped, and one
    `SkippedFiles` warning says how many, and why. So are links that lead out of the folder, and links to folders (a
    link back up would never end). Hidden files and folders, and blank files, are skipped without a word.
    A file that is named alone is read, or is an error.

    Parameters
    ----------
    path
        A file or a folder.
    text, title, id
        Other names for those keys and columns.
    include, exclude
        Which files of the folder: patterns relative to it, such as `docs/**/*.md`. A pattern without "/" is for names
        at any depth (`*.md`, `node_modules`), and one for a folder is for all that is in it.
    strict
        The first file of the folder that cannot be read is an error.

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
    path = path_from(path)
    if path.is_dir():
        patterns = {"include": patterns_from(include, "include"), "exclude": patterns_from(exclude, "exclude")}
        found = find_files(path, SUPPORTED, **patterns)
        return _read_folder(path, found, strict, text=text, title=title, id=id)
    if include is not None or exclude is not None:
        raise ValueError(f"include=… and exclude=… choose among the files of a folder, and {path} is none")
    _check_file(path)
    documents = _with_unique_ids(_documents(path, path.name, text, title, id), {})
    if not documents:
        raise ValueError(f"{path} is empty: there is no text in it")
    return Corpus(document for _, document in documents)


def _check_file(path: Path) -> None:
    if not path.exists() and not path.is_symlink():
        raise FileNotFoundError(f"there is no file or folder {path}: check its name and the folder you are in")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is neither a file nor a folder")
    if path.suffix.lower() in DATABASE:
        raise ValueError(f"{path} looks like a database: write  sqlite:///{path}")
    if path.suffix.lower() not in SUPPORTED:
        raise ValueError(f"{path} is of a type that cannot be read; supported are {', '.join(SUPPORTED)}")


def _read_folder(
    folder: Path, found: FoundFiles, strict: bool, *, text: str, title: str | None, id: str | None
) -> Corpus:
    """The documents of the files that were found. What could not be read is told in one warning."""
    unreadable = dict(found.unreadable)
    documents: list[Document] = []
    places: dict[str, str] = {}
    n_read = 0
    quiet = len(found.files) < PROGRESS_FROM_FILES
    for name, file in tqdm(found.files.items(), desc="reading", unit=" files", disable=quiet):
        if strict and unreadable:
            break
        try:
            of_file = _with_unique_ids(_documents(file, name, text, title, id), places)
        except (OSError, TypeError, ValueError) as error:
            unreadable[name] = error
            continue
        n_read += bool(of_file)
        places.update((document.id, place) for place, document in of_file)
        documents.extend(document for _, document in of_file)
    if strict and unreadable:
        raise next(iter(unreadable.values()))
    reasons = {name: _reason(error, folder / name) for name, error in unreadable.items()}
    if not documents:
        raise ValueError(_why_nothing(folder, found, reasons))
    skipped = dict(sorted((reasons | found.unsupported).items()))
    if skipped:
        files = "file" if n_read == 1 else "files"
        message = f"{one_line(str(folder))}: {n_read:,} {files} read, {len(skipped):,} skipped: {_summary(skipped)}"
        warnings.warn(SkippedFiles(message, skipped), stacklevel=4)
    return Corpus(documents)


def _with_unique_ids(
    documents: Iterable[tuple[str, Document]], places: Mapping[str, str]
) -> list[tuple[str, Document]]:
    """The documents of a file, whose ids must be new. places: where the ids of earlier files are."""
    found: dict[str, str] = {}
    checked = []
    for place, document in documents:
        if before := found.get(document.id) or places.get(document.id):
            raise ValueError(f"two documents have the id {document.id!r} ({before}; {place}): ids must be unique")
        found[document.id] = place
        checked.append((place, document))
    return checked


# What is said about files that were not read.


def _reason(error: Exception, file: Path) -> str:
    """The error without the name of the file, which is said anyway."""
    return " ".join(str(error).replace(str(file), "").split()).lstrip(" ,:")


def _why_nothing(folder: Path, found: FoundFiles, reasons: Mapping[str, str]) -> str:
    if reasons:
        return f"nothing in {folder} could be read: {_summary(reasons)}"
    if found.files:
        return f"{folder} is empty: there is no text in its files"
    others = f"; there are {_summary(found.unsupported)}" if found.unsupported else ""
    return f"the folder {folder} has no file of a type that can be read: {', '.join(SUPPORTED)}{others}"


def _summary(skipped: Mapping[str, str]) -> str:
    """Why files were skipped: of other types how many, and of each other reason some files."""
    by_suffix: Counter[str] = Counter()
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in skipped.items():
        if reason == UNSUPPORTED_TYPE:
            by_suffix[Path(name).suffix.lower() or "without suffix"] += 1
        else:
            by_reason[_without_details(reason)].append(name)
    groups = sorted(by_reason.items(), key=lambda group: -len(group[1]))
    said = [_group(reason, names) for reason, names in groups[:MAX_SHOWN_REASONS]]
    if rest := sum(len(names) for _, names in groups[MAX_SHOWN_REASONS:]):
        said.append(f"{rest:,} for other reasons")
    if by_suffix:
        counts = [f"{count:,} {one_line(suffix)}" for suffix, count in by_suffix.most_common(MAX_SHOWN_SUFFIXES)]
        more = ", …" if len(by_suffix) > MAX_SHOWN_SUFFIXES else ""
        said.insert(0, f"types that cannot be read ({', '.join(counts)}{more})")
    return "; ".join(said)


def _without_details(reason: str) -> str:
    """The reason as other files have it too: without the line and what was found there."""
    return re.sub(r"^(?:line|item|cell) [\d,]+: | ?\([^()]*\)", "", reason)


def _group(reason: str, names: Sequence[str]) -> str:
    shown = ", ".join(map(one_line, names[:MAX_SHOWN_FILES]))
    more = f", … {len(names)} in all" if len(names) > MAX_SHOWN_FILES else ""
    return f"{one_line(reason)} ({shown}{more})"


# The documents of one file.


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
    return read_jsonl(file) if suffix in JSON_LINES else read_table(file, text=text)


def _sections(file: Path, name: str) -> Iterable[PlacedRecord]:
    suffix = file.suffix.lower()
    if suffix in PLAIN:
        suffix = Path(file.stem).suffix.lower()  # Sphinx calls the sources that it shows "guide.rst.txt"
    if suffix in RESTRUCTURED:
        return read_restructured(file, name)
    if suffix in NOTEBOOK:
        return read_notebook(file, name)
    return read_markdown(file, name) if suffix in MARKDOWN else read_plain(file, name)
