"""Texts to vectors: a sentence-transformers model, and a memory of what it has encoded before."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ragedu.models import cache_folder, embedding_model_folder, explain_failure

PROGRESS_FROM = 256  # texts; fewer are encoded before a progress bar would be read


class Embedder:
    """Encodes texts as vectors of length 1, so that a dot product is a cosine.

    name: "all-MiniLM-L6-v2" (installed with ragedu), or the name or folder of any sentence-transformers model.
    cache: keep vectors on disk by the content of text and model; a text is then encoded once in a lifetime.
    """

    def __init__(self, name: str = "all-MiniLM-L6-v2", cache: bool = True) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # loading weights takes no time worth a bar
        self.name = name
        with explain_failure("embedding", name):
            self.model = SentenceTransformer(embedding_model_folder(name), device="cpu")
        self._cache = VectorCache(cache_folder() / "embeddings.sqlite") if cache else None

    @property
    def dimension(self) -> int:
        return self.model.get_embedding_dimension()

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the weights: two models with the same fingerprint give the same vectors."""
        digest = hashlib.blake2b(str(self.model.max_seq_length).encode(), digest_size=16)
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Unit vectors, float32 (n_texts, dimension). Interrupted work is kept and need not be done again."""
        if self._cache is None:
            return self._encode(texts, batch_size)
        keys = [self._key(text) for text in texts]
        known = self._cache.get(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        # Long texts together, so that little time goes into padding; some hundred at a time, then they are safe.
        todo = sorted(missing.items(), key=lambda item: -len(item[1]))
        with tqdm(total=len(todo), desc="encoding", unit=" texts", disable=len(todo) < PROGRESS_FROM) as progress:
            for start in range(0, len(todo), 8 * batch_size):
                part = dict(todo[start : start + 8 * batch_size])
                vectors = dict(zip(part, self._encode(list(part.values()), batch_size), strict=True))
                self._cache.put(vectors)
                known |= vectors
                progress.update(len(part))
        return np.stack([known[key] for key in keys]) if keys else np.empty((0, self.dimension), np.float32)

    def _encode(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        return self.model.encode(
            list(texts), batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False
        ).astype(np.float32, copy=False)

    def _key(self, text: str) -> bytes:
        return hashlib.blake2b(f"{self.fingerprint}\n{text}".encode(), digest_size=20).digest()


class VectorCache:
    """float32 vectors by key in one SQLite file, which several processes may use at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._database() as database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors that are there, by key."""
        found = {}
        with self._database() as database:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                rows = database.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
                found |= {key: np.frombuffer(vector, dtype=np.float32) for key, vector in rows}
        return found

    def put(self, vectors: dict[bytes, np.ndarray]) -> None:
        rows = [(key, vector.tobytes()) for key, vector in vectors.items()]
        with self._database() as database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as database, database:
                yield database
        except sqlite3.DatabaseError as error:
            raise OSError(f"the cache of embeddings, {self.path}, cannot be used ({error}): delete that file") from None
