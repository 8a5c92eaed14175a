"""Save an index atomically: a reader finds the old one whole or the new one whole, never half of either.

A folder holds files and a manifest, `ragedu-index.json`, that says which of them make up the index, with sizes and
SHA-256. New files, under names that no other save uses, are written next to the old; then the manifest is replaced in
one step; then what the old one named is removed. Of two saves at the same time the last to end wins, and its index is
whole. A save that fails removes what it has written.

An index may come from a stranger. So nothing is ever unpickled, only files with names that a save gives are opened, and
whatever does not have the form that a save gives it is refused before it is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import shutil
import stat
import time
import tokenize
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from ragedu.corpus import Corpus, Document
from ragedu.readers.text_files import path_from

if TYPE_CHECKING:
    from ragedu.retrieval.base import Retriever

MANIFEST = "ragedu-index.json"
FORMAT = "ragedu-index-1"
AGAIN = "fit the retriever again and save it"
STALE_AFTER_SECONDS = 3600  # a younger file that no manifest names may be that of a save at work
MAX_MANIFEST_BYTES = 2**24  # settings and names; real ones have a few thousand bytes
FILE = re.compile(r"[a-z_]+-[0-9a-f]{16}\.(npy|jsonl)")
PART = re.compile(r"part-[0-9a-f]{16}-[0-9]+")  # the folder of one of several retrievers
MODEL = re.compile(r"trained-model-[0-9a-f]{32}")  # the folder of a model that is kept next to an index
OURS = re.compile(rf"({FILE.pattern}|ragedu-index\.json)(\.[0-9a-f]{{32}}\.tmp)?|{PART.pattern}|{MODEL.pattern}(-\w+)?")
MODULE = re.compile(r"sentence_transformers(\.[A-Za-z_][A-Za-z_0-9]*)+")  # code that comes with sentence-transformers

# What Python, numpy and json raise for data that does not have the form that it should have.
MALFORMED = (
    ArithmeticError,
    AttributeError,
    AssertionError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


class DamagedIndex(ValueError):
    """An index is not as `save` wrote it."""


@contextmanager
def damage_told(folder: str | Path) -> Iterator[None]:
    """Around what takes a loaded index apart: any error about its form becomes one line that says what to do."""
    try:
        yield
    except DamagedIndex:
        raise
    except MALFORMED as error:
        reason = f"no {error}" if isinstance(error, KeyError) else reason_of(error)
        raise DamagedIndex(f"the index in {folder} is damaged ({reason}): {AGAIN}") from None


def reason_of(error: BaseException) -> str:
    """An error's message, or its name where it has none, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def check_form(is_right: object, what_is_wrong: str) -> None:
    """Inside of `damage_told`: say what is wrong unless it is right."""
    if not is_right:
        raise ValueError(what_is_wrong)


def save_index(
    folder: str | Path,
    retriever: str,
    settings: dict[str, Any],
    arrays: dict[str, np.ndarray],
    corpus: Corpus,
) -> None:
    """Write an index to `folder`, replacing one that is there.

    Parameters
    ----------
    folder
        Made if it is not there.
    retriever
        The name of the class.
    settings
        Plain JSON values.
    arrays
        The index itself.
    corpus
        The documents, whose metadata must be plain JSON values too.

    Raises
    ------
    NotADirectoryError
        Where `folder` is a file.
    OSError
        For a folder that cannot be written, or a full disk.
    TypeError
        For metadata that JSON has no word for.
    """
    with saving(folder) as (folder, written):
        contents = {f"{name}.npy": _array_bytes(array) for name, array in arrays.items()}
        contents["documents.jsonl"] = _document_bytes(corpus)
        files = {}
        for name, content in contents.items():
            files[name] = _write_content(folder, name, content)
            written.append(folder / files[name]["file"])
        before = _named(folder)
        _write_manifest(folder, retriever, settings, files=files)
    _remove_old(folder, before)


def load_index(folder: str | Path, retriever: str) -> tuple[dict[str, Any], dict[str, np.ndarray], Corpus]:
    """Read what `save_index` wrote: settings, arrays and corpus, after checking that all of it is there unchanged.

    Raises FileNotFoundError where something is missing, ValueError for an index that is damaged or of another class.
    """
    folder = path_from(folder)
    settings, contents = _read_while_saved(
        folder,
        retriever,
        lambda manifest: {name: _read_content(folder, name, entry) for name, entry in manifest["files"].items()},
    )
    with damage_told(folder):
        corpus = Corpus(map(_read_document, contents.pop("documents.jsonl").splitlines()))
        arrays = {name.removesuffix(".npy"): _read_array(name, content) for name, content in contents.items()}
    return settings, arrays, corpus


def save_parts(folder: str | Path, retriever: str, settings: dict[str, Any], parts: Sequence[Retriever]) -> None:
    """Write the index of a retriever that is made of others: each of them in a folder of its own below `folder`."""
    new = uuid.uuid4().hex[:16]
    names = [f"part-{new}-{number}" for number in range(len(parts))]
    with saving(folder) as (folder, written):
        for name, part in zip(names, parts, strict=True):
            written.append(folder / name)
            part.save(folder / name)
        before = _named(folder)
        _write_manifest(
            folder,
            retriever,
            settings,
            parts=[[type(part).__name__, name] for name, part in zip(names, parts, strict=True)],
        )
    _remove_old(folder, before)


def load_parts(
    folder: str | Path, retriever: str, load: Callable[[str, Path], Retriever]
) -> tuple[dict[str, Any], list[Retriever]]:
    """Read what `save_parts` wrote: settings, and each part as `load` reads it, given its class name and folder."""
    folder = path_from(folder)
    return _read_while_saved(
        folder,
        retriever,
        lambda manifest: [load(name, own_folder(folder, part)) for name, part in manifest["parts"]],
    )


def own_folder(folder: Path, name: str) -> Path:
    """The folder of a part or a model inside an index; ValueError for a link, which could lead anywhere."""
    path = folder / name
    if os.path.lexists(path) and not stat.S_ISDIR(os.lstat(path).st_mode):
        raise DamagedIndex(f"{path} is no folder of its own: {AGAIN}")
    return path


def check_model(folder: Path) -> None:
    """Check, before it is loaded, that a model's folder holds plain files and names no code of its own.

    Raises ValueError for a link, a pipe or a device in it, and for a step that sentence-transformers lacks.
    """
    for path in sorted(folder.rglob("*")):
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise DamagedIndex(f"{path} is no regular file: {AGAIN}")
    check_modules(folder)


def check_modules(folder: Path) -> None:
    """Raise ValueError for a sentence-transformers model that would run code from elsewhere when it is loaded."""
    with damage_told(folder):
        for name in modules_of(folder) if folder.is_dir() else ():
            if not MODULE.fullmatch(name):
                raise DamagedIndex(
                    f"the model in {folder} would run code that is not part of sentence-transformers ({name!r:.200}): "
                    "it is not loaded"
                )


def modules_of(folder: Path) -> Iterator[str]:
    """The classes that a model's folder names: of its steps, and of what a Router among them chooses from."""
    if (folder / "modules.json").exists():
        for step in json.loads((folder / "modules.json").read_bytes()):
            path = PurePosixPath(step["path"].replace("\\", "/"))
            check_form(
                not path.is_absolute() and ".." not in path.parts, f"modules.json leads to {step['path']!r:.200}"
            )
            yield step["type"]
    for router in folder.rglob("router_config.json"):
        yield from json.loads(router.read_bytes())["types"].values()


def _read_while_saved(folder: Path, retriever: str, read: Callable[[dict], Any]) -> tuple[dict[str, Any], Any]:
    """The settings, and what `read` makes of the manifest; once more when a save has removed files meanwhile."""
    while True:
        manifest = _read_manifest(folder)
        if manifest["retriever"] != retriever:
            raise ValueError(f"{folder} holds an index of {manifest['retriever']}: load it with that class")
        try:
            return manifest["settings"], read(manifest)
        except FileNotFoundError:
            if _read_manifest(folder) == manifest:
                raise


def check_settings(settings: dict[str, Any], like: dict[str, Any]) -> None:
    """Raise ValueError unless the settings have the same names, and values of the same types."""
    check_form(settings.keys() == like.keys(), f"settings {sorted(settings)} instead of {sorted(like)}")
    for name, value in like.items():
        check_form(type(settings[name]) is type(value), f"the setting {name} is {settings[name]!r:.100}")


@contextmanager
def saving(folder: str | Path) -> Iterator[tuple[Path, list[Path]]]:
    """Around a save: the folder, which is made if it is not there, and a list for the paths that the save writes.

    Where the save fails they are removed at once: what stayed would fill the disk that was too full already.
    """
    folder = path_from(folder)
    if os.path.exists(folder) and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: an index needs a folder of its own")
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder, written
    except BaseException as error:
        named = _named(folder)  # by the new manifest, if the save was interrupted just after it was in its place
        for path in written:
            if path.name not in named:
                _remove(path)
        if comes_from_the_disk(error):
            raise unsaved("the index", folder, error) from error
        raise


def comes_from_the_disk(error: BaseException) -> bool:
    """Whether a file could not be written. To safetensors that is no OSError: its message ends in "(os error 28)"."""
    return isinstance(error, OSError) or "(os error" in str(error)


def unsaved(what: str, folder: Path, error: BaseException) -> OSError:
    """The error of a save that failed in one line: into which folder, why, and how much room is there."""
    while isinstance(error, OSError) and error.errno is None and error.__cause__:
        error = error.__cause__  # of a part: told again with the folder that was asked for
    reason = getattr(error, "strerror", None) or reason_of(error)
    kind = type(error) if isinstance(error, OSError) else OSError
    return kind(
        f"{what} cannot be saved in {folder} ({reason}{room_in(folder)}): make room there, or give another folder"
    )


def room_in(folder: Path) -> str:
    """How much room there is on the disk, for the end of a sentence; "" where that cannot be told."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        return f", {shutil.disk_usage(there).free / 1e6:,.0f} MB free"
    except OSError:
        return ""


def _remove(path: Path) -> None:
    with suppress(OSError):  # gone meanwhile; or, on Windows, open in a reader: then a later save removes it
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read_array(name: str, content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    try:
        # The header first: numpy would set aside the memory for an array of any size that it names.
        read_header = HEADERS[np.lib.format.read_magic(stream)]
        shape, is_transposed, dtype = read_header(stream)
        size = math.prod(shape) * dtype.itemsize
        check_form(dtype.kind in "iuf" and not is_transposed and min(shape, default=0) >= 0, f"{dtype} {shape}")
        check_form(size == len(content) - stream.tell(), f"{shape} is not the shape of {len(content):,} bytes")
        return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape).copy()
    except MALFORMED as error:
        raise DamagedIndex(f"{name} does not hold an array of numbers ({reason_of(error)}): {AGAIN}") from None


HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _read_document(line: bytes) -> Document:
    record = json.loads(line)
    check_form(set(record) == {"id", "text", "title", "metadata"}, "a document lacks its text, or has more than that")
    return Document(**record)


def _document_bytes(corpus: Corpus) -> bytes:
    lines = []
    for d in corpus:
        record = {"id": d.id, "text": d.text, "title": d.title, "metadata": dict(d.metadata)}
        try:
            lines.append(json.dumps(record, ensure_ascii=False).encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"the metadata of document {d.id!r} cannot be saved as JSON ({error}): "
                "use strings, numbers, lists and dictionaries"
            ) from None
    return b"\n".join(lines)


def _write_content(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    stem, suffix = name.rsplit(".", 1)
    file = f"{stem}-{uuid.uuid4().hex[:16]}.{suffix}"
    _replace(folder / file, content)
    return {"file": file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _replace(path: Path, content: bytes) -> None:
    """Write a file in one step: readers see the old content or the new."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")  # a name of its own, should two save at once
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name with no content
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


def _named(folder: Path) -> set[str]:
    """What the index that is now in the folder consists of."""
    try:
        manifest = _read_manifest(folder)
    except (OSError, ValueError):  # none yet, or a damaged one
        return {MANIFEST}
    files = [entry["file"] for entry in manifest.get("files", {}).values()]
    parts = [name for _, name in manifest.get("parts", [])]
    return {MANIFEST, str(manifest["settings"].get("model")), *files, *parts}


def _remove_old(folder: Path, before: set[str]) -> None:
    """Remove what the manifest before named, and what interrupted saves have left.

    What is young may belong to a save that has not come to its manifest yet; other files in the folder are not ours.
    """
    keep = _named(folder)  # another save may have replaced our manifest already
    for path in folder.iterdir():
        with suppress(OSError):  # gone meanwhile
            unused = OURS.fullmatch(path.name) and path.name not in keep
            if unused and (path.name in before or time.time() - path.stat().st_mtime > STALE_AFTER_SECONDS):
                _remove(path)


def _write_manifest(folder: Path, retriever: str, settings: dict[str, Any], **content: Any) -> None:
    manifest = {"format": FORMAT, "retriever": retriever, "settings": settings, **content}
    manifest["sha256"] = _digest(manifest)
    _replace(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1).encode())


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        content = _read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{folder} holds no index (no {MANIFEST}): save one there first") from None
    damaged = DamagedIndex(f"{path} is damaged: {AGAIN}")
    try:
        manifest = json.loads(content)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DamagedIndex(f"{path} is not in the format {FORMAT}: {AGAIN}")
        if manifest.pop("sha256", None) != _digest(manifest) or not _is_manifest(manifest):
            raise damaged
    except DamagedIndex:
        raise
    except (ValueError, RecursionError):
        raise damaged from None
    return manifest


def _is_manifest(manifest: dict[str, Any]) -> bool:
    """Whether it has the form that a save gives it, and names nothing but what a save writes."""
    if not isinstance(manifest.get("retriever"), str) or not isinstance(manifest.get("settings"), dict):
        return False
    kinds = {"files", "parts"} & manifest.keys()
    if kinds == {"files"}:
        files = manifest["files"]
        return isinstance(files, dict) and all(_is_entry(name, entry) for name, entry in files.items())
    parts = manifest.get("parts")
    return kinds == {"parts"} and isinstance(parts, list) and bool(parts) and all(map(_is_part, parts))


def _is_entry(name: str, entry: Any) -> bool:
    """Whether it is the entry of a file whose name begins and ends as it should, such as weights-….npy."""
    if not isinstance(entry, dict) or entry.keys() != {"file", "bytes", "sha256"}:
        return False
    file, size, sha256 = entry["file"], entry["bytes"], entry["sha256"]
    if not isinstance(file, str) or type(size) is not int or not isinstance(sha256, str):
        return False
    stem, _, suffix = name.rpartition(".")
    return bool(FILE.fullmatch(file)) and file.startswith(f"{stem}-") and file.endswith(f".{suffix}") and size >= 0


def _is_part(part: Any) -> bool:
    """Whether it is the name of a class and that of a part's folder."""
    return (
        isinstance(part, list)
        and len(part) == 2
        and all(isinstance(name, str) for name in part)
        and PART.fullmatch(part[1]) is not None
    )


def _read_content(folder: Path, name: str, entry: dict[str, Any]) -> bytes:
    path = folder / entry["file"]
    try:
        content = _read_file(path, expected_bytes=entry["bytes"])
    except FileNotFoundError:
        raise FileNotFoundError(f"the index in {folder} lacks its {name}: {AGAIN}") from None
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise DamagedIndex(f"{path} is damaged (its SHA-256 differs): {AGAIN}")
    return content


def _read_file(path: Path, *, expected_bytes: int | None = None) -> bytes:
    """The content of a regular file. A pipe or device is never opened: reading could hang, or never come to an end."""
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise DamagedIndex(f"{path} is no regular file: {AGAIN}")
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NONBLOCK", "O_NOFOLLOW"))
    try:
        with open(os.open(path, flags), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != expected_bytes if expected_bytes is not None else size > MAX_MANIFEST_BYTES:
                wanted = f"at most {MAX_MANIFEST_BYTES:,}" if expected_bytes is None else f"{expected_bytes:,}"
                raise DamagedIndex(f"{path} is truncated or altered ({size:,} bytes instead of {wanted}): {AGAIN}")
            return file.read(size)
    except PermissionError as error:
        raise PermissionError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    except MemoryError:
        raise DamagedIndex(
            f"{path} has {size:,} bytes, more than there is memory: load it on a larger machine"
        ) from None
