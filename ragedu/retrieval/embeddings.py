"""Texts to vectors: a sentence-transformers model, and a memory of what it has encoded before."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ragedu.models import cache_folder, embedding_model_folder, explain_failure

PROGRESS_FROM = 256  # texts; fewer are encoded before a progress bar would be read
WAIT = 60  # seconds for another program that writes to the cache
BATCH_TOKENS = 1024  # what a layer computes for so many stays in the processor's cache: a fifth faster than in memory


class Embedder:
    """Encodes texts as vectors of length 1, so that a dot product is a cosine.

    name: "all-MiniLM-L6-v2" (installed with ragedu), or the name or folder of any sentence-transformers model.
    cache: keep vectors on disk by the content of text and model; a text is then encoded once in a lifetime.
    """

    def __init__(self, name: str = "all-MiniLM-L6-v2", cache: bool = True) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # loading weights takes no time worth a bar
        with explain_failure("embedding", name):
            self.model = SentenceTransformer(embedding_model_folder(name), device="cpu")
        self._cache = VectorCache(cache_folder() / "embeddings.sqlite") if cache else None
        self._sample: list | None = None
        self.rename(name)

    @property
    def dimension(self) -> int:
        return self.model.get_embedding_dimension()

    @property
    def fingerprint(self) -> str:
        """A digest of weights, settings and tokenizer: two models with the same fingerprint give the same vectors."""
        # To read all weights takes a fifth of a second. PyTorch counts the changes of each tensor; for changes behind
        # its back, through `tensor.data`, there is one number of each.
        tensors = [tensor for tensor in self.model.state_dict().values() if tensor.numel()]
        sample = [self._settings(), *((t.data_ptr(), t._version, t.ravel()[0].item()) for t in tensors)]
        if sample != self._sample:
            self._sample, self._fingerprint = sample, self._digest()
        return self._fingerprint

    @property
    def is_trained(self) -> bool:
        """Whether the weights are no longer those that `name` stands for."""
        return self.fingerprint != self._named

    def rename(self, name: str) -> None:
        """Let `name` stand for the weights as they are now."""
        self.name, self._named = name, self.fingerprint

    def save(self, folder: str | Path) -> None:
        """Write the model as sentence-transformers does, replacing one that is there."""
        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as unfinished:
            self.model.save(unfinished, create_model_card=False)
            for file in sorted(path for path in Path(unfinished).rglob("*") if path.is_file()):
                target = folder / file.relative_to(unfinished)
                target.parent.mkdir(exist_ok=True)
                os.replace(file, target)

    def _settings(self) -> str:
        """What makes vectors besides weights and tokenizer: pooling, lengths, the prompt before each text."""
        modules = [[type(module).__name__, getattr(module, "get_config_dict", dict)()] for module in self.model]
        prompt = self.model.prompts.get(self.model.default_prompt_name) or ""
        settings = [self.model.max_seq_length, self.dimension, prompt, modules]
        return json.dumps(settings, sort_keys=True, default=lambda value: type(value).__name__)

    def _tokenizer(self) -> str:
        """The tokenizer's vocabulary and rules, but for padding and truncation, which every call sets anew."""
        tokenizer = getattr(self.model, "tokenizer", None)
        tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
        rules = json.loads(tokenizer.to_str()) if hasattr(tokenizer, "to_str") else {}
        return json.dumps(rules | {"padding": None, "truncation": None}, sort_keys=True)

    def _digest(self) -> str:
        digest = hashlib.blake2b(f"{self._settings()}\n{self._tokenizer()}".encode(), digest_size=16)
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Unit vectors, float32 (n_texts, dimension). Interrupted work is kept and need not be done again.

        batch_size: at most so many texts go through the model at once.
        """
        fingerprint = self.fingerprint
        keys = [hashlib.blake2b(f"{fingerprint}\n{text}".encode(), digest_size=20).digest() for text in texts]
        known = self._cache.get(keys) if self._cache else {}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        # Long texts together, so that little time goes into padding; some hundred at a time, then they are safe.
        todo = sorted(missing.items(), key=lambda item: -len(item[1]))
        with tqdm(total=len(todo), desc="encoding", unit=" texts", disable=len(todo) < PROGRESS_FROM) as progress:
            for start in range(0, len(todo), 8 * batch_size):
                part = dict(todo[start : start + 8 * batch_size])
                vectors = dict(zip(part, self._encode(list(part.values()), batch_size), strict=True))
                if self._cache:
                    self._cache.put(vectors)
                known |= vectors
                progress.update(len(part))
        return np.stack([known[key] for key in keys]) if keys else np.empty((0, self.dimension), np.float32)

    def _encode(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        """What `SentenceTransformer.encode` gives, in batches of nearly equal length and of at most BATCH_TOKENS."""
        lengths = self._token_counts(texts)
        order = sorted(range(len(texts)), key=lambda position: -lengths[position])
        vectors = np.empty((len(texts), self.dimension), np.float32)
        while order:
            size = min(batch_size, max(1, BATCH_TOKENS // lengths[order[0]]))
            batch, order = order[:size], order[size:]
            vectors[batch] = self.model.encode(
                [texts[position] for position in batch],
                batch_size=size,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return vectors

    def _token_counts(self, texts: Sequence[str]) -> list[int]:
        tokenizer = getattr(self.model, "tokenizer", None)
        if not callable(tokenizer):  # a model that does not read tokens one by one
            return [1] * len(texts)
        tokens = tokenizer(list(texts), truncation=True, max_length=self.model.max_seq_length)["input_ids"]
        return [max(1, len(ids)) for ids in tokens]


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
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as database, database:
                yield database
        except sqlite3.DatabaseError as error:
            raise OSError(f"the cache of embeddings, {self.path}, cannot be used ({error}): {_remedy(error)}") from None


def _remedy(error: sqlite3.DatabaseError) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "another program is writing to it; try again, or set RAGEDU_CACHE to a folder of your own"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY")):
        return "check its permissions and the space on the disk, or set RAGEDU_CACHE to another folder"
    return "delete that file"
