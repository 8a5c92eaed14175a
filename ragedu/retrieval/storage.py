"""Save an index atomically: a reader finds the old one whole or the new one whole, never half of either.

A folder holds files and a manifest, `ragedu-index.json`, that says which of them make up the index, with sizes and
SHA-256. New files, under names that no other save uses, are written next to the old; then the manifest is replaced in
one step; then what the old one named is removed. Of two saves at the same time the last to end wins, and its index is
whole. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragedu.corpus import Corpus, Document

if TYPE_CHECKING:
    from ragedu.retrieval.base import Retriever

MANIFEST = "ragedu-index.json"
FORMAT = "ragedu-index-1"
STALE_AFTER_SECONDS = 3600  # a younger file that no manifest names may be that of a save at work
MODEL = re.compile(r"trained-model-[0-9a-f]{32}")  # the folder of a model that is kept next to an index
OURS = re.compile(
    r"(\w+-[0-9a-f]{16}\.(npy|jsonl)|ragedu-index\.json)(\.[0-9a-f]{32}\.tmp)?|part-[0-9a-f]{16}-\d+"
    rf"|{MODEL.pattern}(-\w+)?"
)


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
    TypeError
        For metadata that JSON has no word for.
    """
    folder = _new_folder(folder)
    contents = {f"{name}.npy": _array_bytes(array) for name, array in arrays.items()}
    contents["documents.jsonl"] = _document_bytes(corpus)
    files = {name: _write_content(folder, name, content) for name, content in contents.items()}
    before = _named(folder)
    _write_manifest(folder, retriever, settings, files=files)
    _remove_old(folder, before)


def load_index(folder: str | Path, retriever: str) -> tuple[dict[str, Any], dict[str, np.ndarray], Corpus]:
    """Read what `save_index` wrote: settings, arrays and corpus, after checking that all of it is there unchanged.

    Raises FileNotFoundError where something is missing, ValueError for an index that is damaged or of another class.
    """
    folder = Path(folder).expanduser()
    settings, contents = _read_while_saved(
        folder,
        retriever,
        lambda manifest: {name: _read_content(folder, name, entry) for name, entry in manifest["files"].items()},
    )
    corpus = Corpus(Document(**json.loads(line)) for line in contents.pop("documents.jsonl").splitlines())
    arrays = {name.removesuffix(".npy"): _read_array(name, content) for name, content in contents.items()}
    return settings, arrays, corpus


def save_parts(folder: str | Path, retriever: str, settings: dict[str, Any], parts: Sequence[Retriever]) -> None:
    """Write the index of a retriever that is made of others: each of them in a folder of its own below `folder`."""
    folder = _new_folder(folder)
    new = uuid.uuid4().hex[:16]
    names = [f"part-{new}-{number}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
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
    folder = Path(folder).expanduser()
    return _read_while_saved(
        folder, retriever, lambda manifest: [load(name, folder / part) for name, part in manifest["parts"]]
    )


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


def _new_folder(folder: str | Path) -> Path:
    folder = Path(folder).expanduser()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: an index needs a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _read_array(name: str, content: bytes) -> np.ndarray:
    try:
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except ValueError as error:
        raise ValueError(
            f"{name} does not hold an array of numbers ({error}): fit the retriever again and save it"
        ) from None


def _document_bytes(corpus: Corpus) -> bytes:
    lines = []
    for d in corpus:
        record = {"id": d.id, "text": d.text, "title": d.title, "metadata": dict(d.metadata)}
        try:
            lines.append(json.dumps(record, ensure_ascii=False).encode())
        except (TypeError, ValueError) as error:
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
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave the new name with no content
    os.replace(temporary, path)


def _named(folder: Path) -> set[str | None]:
    """What the index that is now in the folder consists of."""
    try:
        manifest = _read_manifest(folder)
    except (OSError, ValueError):  # none yet, or a damaged one
        return {MANIFEST}
    files = [entry["file"] for entry in manifest.get("files", {}).values()]
    parts = [name for _, name in manifest.get("parts", [])]
    return {MANIFEST, manifest["settings"].get("model"), *files, *parts}


def _remove_old(folder: Path, before: set[str | None]) -> None:
    """Remove what the manifest before named, and what interrupted saves have left.

    What is young may belong to a save that has not come to its manifest yet; other files in the folder are not ours.
    """
    keep = _named(folder)  # another save may have replaced our manifest already
    for path in folder.iterdir():
        with suppress(OSError):  # gone meanwhile; or, on Windows, open in a reader: then a later save removes it
            unused = OURS.fullmatch(path.name) and path.name not in keep
            if unused and (path.name in before or time.time() - path.stat().st_mtime > STALE_AFTER_SECONDS):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def _write_manifest(folder: Path, retriever: str, settings: dict[str, Any], **content: Any) -> None:
    manifest = {"format": FORMAT, "retriever": retriever, "settings": settings, **content}
    manifest["sha256"] = _digest(manifest)
    _replace(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1).encode())


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{folder} holds no index (no {MANIFEST}): save one there first") from None
    except ValueError:
        raise ValueError(f"{folder / MANIFEST} is damaged: fit the retriever again and save it") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"{folder / MANIFEST} is not in the format {FORMAT}: fit the retriever again and save it")
    if manifest.pop("sha256", None) != _digest(manifest):
        raise ValueError(f"{folder / MANIFEST} is damaged: fit the retriever again and save it")
    return manifest


def _read_content(folder: Path, name: str, entry: dict[str, Any]) -> bytes:
    path = folder / entry["file"]
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the index in {folder} lacks its {name}: fit the retriever again and save it"
        ) from None
    if len(content) != entry["bytes"]:
        raise ValueError(
            f"{path} is truncated or altered ({len(content):,} bytes instead of {entry['bytes']:,}): "
            "fit the retriever again and save it"
        )
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise ValueError(f"{path} is damaged (its SHA-256 differs): fit the retriever again and save it")
    return content
