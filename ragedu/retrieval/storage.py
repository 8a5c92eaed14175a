"""Save an index so that a reader finds the old one whole or the new one whole, never half of either.

A folder holds files named after their content and one `manifest.json` that says which of them make up the index,
with sizes and SHA-256. New files are written beside the old; then the manifest is replaced in one step; then what
no manifest names is removed. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragedu.corpus import Corpus, Document

if TYPE_CHECKING:
    from ragedu.retrieval.base import Retriever

MANIFEST = "manifest.json"
FORMAT = "ragedu-index-1"


def save_index(
    folder: str | Path,
    retriever: str,
    settings: dict[str, Any],
    arrays: dict[str, np.ndarray],
    corpus: Corpus,
) -> None:
    """Write an index to `folder`, replacing one that is there.

    retriever: the name of the class; settings: plain JSON values; arrays: the index itself.
    """
    folder = _new_folder(folder)
    contents = {f"{name}.npy": _array_bytes(array) for name, array in arrays.items()}
    try:
        contents["documents.jsonl"] = _document_bytes(corpus)
    except TypeError as error:
        raise TypeError(f"a document's metadata cannot be saved as JSON ({error})") from None
    files = {name: _write_content(folder, name, content) for name, content in contents.items()}
    _write_manifest(folder, retriever, settings, files=files)
    _remove_old(folder, keep={entry["file"] for entry in files.values()})


def load_index(folder: str | Path, retriever: str) -> tuple[dict[str, Any], dict[str, np.ndarray], Corpus]:
    """Read what `save_index` wrote: settings, arrays and corpus, after checking that all of it is there unchanged."""
    folder = Path(folder)
    manifest = _read_manifest(folder, retriever)
    contents = {name: _read_content(folder, name, entry) for name, entry in manifest["files"].items()}
    corpus = Corpus(Document(**json.loads(line)) for line in contents.pop("documents.jsonl").splitlines())
    arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(content)) for name, content in contents.items()}
    return manifest["settings"], arrays, corpus


def save_parts(folder: str | Path, retriever: str, settings: dict[str, Any], parts: Sequence[Retriever]) -> None:
    """Write the index of a retriever that is made of others: each of them in a folder of its own below `folder`."""
    folder = _new_folder(folder)
    new = uuid.uuid4().hex[:16]
    names = [f"part-{new}-{number}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        part.save(folder / name)
    _write_manifest(
        folder,
        retriever,
        settings,
        parts=[[type(part).__name__, name] for name, part in zip(names, parts, strict=True)],
    )
    for old in set(folder.glob("part-" + "[0-9a-f]" * 16 + "-*")) - {folder / name for name in names}:
        shutil.rmtree(old, ignore_errors=True)


def load_parts(folder: str | Path, retriever: str) -> tuple[dict[str, Any], list[tuple[str, Path]]]:
    """Read what `save_parts` wrote: settings, and the class name and folder of each part."""
    manifest = _read_manifest(Path(folder), retriever)
    return manifest["settings"], [(name, Path(folder) / part) for name, part in manifest["parts"]]


def _new_folder(folder: str | Path) -> Path:
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: an index needs a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _document_bytes(corpus: Corpus) -> bytes:
    lines = (
        json.dumps({"id": d.id, "text": d.text, "title": d.title, "metadata": dict(d.metadata)}, ensure_ascii=False)
        for d in corpus
    )
    return "\n".join(lines).encode()


def _write_content(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    stem, suffix = name.rsplit(".", 1)
    file = f"{stem}-{digest[:16]}.{suffix}"
    _replace(folder / file, content)
    return {"file": file, "bytes": len(content), "sha256": digest}


def _replace(path: Path, content: bytes) -> None:
    """Write a file in one step: readers see the old content or the new."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave the new name with no content
    os.replace(temporary, path)


def _remove_old(folder: Path, keep: set[str]) -> None:
    for pattern in ("*-" + "[0-9a-f]" * 16 + ".npy", "documents-" + "[0-9a-f]" * 16 + ".jsonl", "*.tmp"):
        for path in folder.glob(pattern):
            if path.name not in keep:
                path.unlink(missing_ok=True)


def _write_manifest(folder: Path, retriever: str, settings: dict[str, Any], **content: Any) -> None:
    manifest = {"format": FORMAT, "retriever": retriever, "settings": settings, **content}
    _replace(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1).encode())


def _read_manifest(folder: Path, retriever: str) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{folder} holds no index (no {MANIFEST}): save one there first") from None
    except ValueError:
        raise ValueError(f"{folder / MANIFEST} is damaged: fit the retriever again and save it") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"{folder / MANIFEST} is not in the format {FORMAT}: fit the retriever again and save it")
    if manifest["retriever"] != retriever:
        raise ValueError(f"{folder} holds an index of {manifest['retriever']}: load it with that class")
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
