"""Texts to vectors: a sentence-transformers model, and a memory of what it has encoded before."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tqdm.auto import tqdm

from ragedu.locks import ForkableLock
from ragedu.models import ModelUnavailable, cache_folder, embedding_model_folder, explain_failure
from ragedu.representation import call_repr
from ragedu.retrieval.storage import comes_from_the_disk, unsaved
from ragedu.tokens import TokenCounter

PROGRESS_FROM_TEXTS = 256  # fewer are encoded before a progress bar would be read
LOCK_TIMEOUT_SECONDS = 60  # for another program that writes to the cache
BATCH_TOKENS = 1024  # what a layer computes for this many stays in the processor's cache: a fifth faster than in memory
# All threads share a switch of the tokenizer, padding, which counting tokens turns off and encoding turns on.
ENCODING = ForkableLock()
MAX_TOKENS_PER_CHARACTER = 4  # hardly ever more, so most queries need not be counted


class TruncationWarning(UserWarning):
    """The model doesn't read a text to its end."""


class Embedder:
    """Encodes texts as vectors of length 1, so that a dot product is a cosine.

    Parameters
    ----------
    name
        "all-MiniLM-L6-v2" (installed with ragedu), or the name or folder of any sentence-transformers model.
    cache
        Keep vectors on disk by the content of text and model; a text is then encoded once in a lifetime.

    The attribute `named_fingerprint` is the fingerprint of the weights that `name` stands for. Training does not
    change it.
    """

    def __init__(self, name: str | Path = "all-MiniLM-L6-v2", *, cache: bool = True) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # loading weights takes no time worth a bar
        with explain_failure("embedding", name):
            self.model = SentenceTransformer(embedding_model_folder(name), device="cpu")
        self.cache = cache
        self._vectors = open_cache() if cache else None
        self._sample: list | None = None
        self._counter: TokenCounter | None = None
        self.rename(str(name))

    @property
    def dimension(self) -> int:
        dimension = self.model.get_embedding_dimension()
        assert dimension is not None  # a model that makes one vector of a text knows how long it is
        return dimension

    @property
    def fingerprint(self) -> str:
        """A digest of weights, settings and tokenizer: two models with the same fingerprint give the same vectors."""
        with ENCODING:
            return self._current_fingerprint()

    def _current_fingerprint(self) -> str:
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
        return self.fingerprint != self.named_fingerprint

    def rename(self, name: str) -> None:
        """Let `name` stand for the weights as they are now."""
        self.name, self.named_fingerprint = name, self.fingerprint

    def save(self, folder: str | Path) -> None:
        """Write the model as sentence-transformers does, replacing one that is there.

        Raises OSError for a folder that cannot be written, or a full disk.
        """
        folder = Path(folder).expanduser()
        try:
            self._save(folder)
        except Exception as error:
            if comes_from_the_disk(error):
                raise unsaved("the model", folder, error) from error
            raise

    def _save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as unfinished:
            self.model.save(unfinished, create_model_card=False)
            for file in sorted(path for path in Path(unfinished).rglob("*") if path.is_file()):
                target = folder / file.relative_to(unfinished)
                target.parent.mkdir(exist_ok=True)
                os.replace(file, target)

    def _settings(self) -> str:
        """What makes vectors besides weights and tokenizer: pooling, lengths, the prompt before each text."""
        modules = [[type(module).__name__, _config(module)] for module in self.model]
        settings = [self.model.max_seq_length, self.dimension, self._prompt(), modules]
        return json.dumps(settings, sort_keys=True, default=lambda value: type(value).__name__)

    def _prompt(self) -> str:
        """What the model puts before each text."""
        name = self.model.default_prompt_name
        return "" if name is None else self.model.prompts.get(name) or ""

    def _tokenizer(self) -> str:
        """The tokenizer's vocabulary and rules, except for padding and truncation, which every call sets again."""
        tokenizer: Any = getattr(self.model, "tokenizer", None)
        tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
        rules = json.loads(tokenizer.to_str()) if hasattr(tokenizer, "to_str") else {}
        return json.dumps(rules | {"padding": None, "truncation": None}, sort_keys=True)

    def _digest(self) -> str:
        digest = hashlib.blake2b(f"{self._settings()}\n{self._tokenizer()}".encode(), digest_size=16)
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str], *, batch_size: int = 32) -> np.ndarray:
        """Unit vectors, float32 (n_texts, dimension). After an interruption, finished work need not be done again.

        batch_size: at most this many texts go through the model at once. Of a text with more tokens than the model
        reads, the rest is left out, and a TruncationWarning says of how many.
        """
        self._warn_of_truncation(texts)
        fingerprint = self.fingerprint
        keys = [hashlib.blake2b(f"{fingerprint}\n{text}".encode(), digest_size=20).digest() for text in texts]
        known = self._vectors.get(keys) if self._vectors else {}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        # Long texts together, so that little time goes into padding; a few hundred at a time, which are then kept.
        todo = sorted(missing.items(), key=lambda item: -len(item[1]))
        quiet = len(todo) < PROGRESS_FROM_TEXTS
        with tqdm(total=len(todo), desc="encoding", unit=" texts", disable=quiet) as progress:
            for start in range(0, len(todo), 8 * batch_size):
                part = dict(todo[start : start + 8 * batch_size])
                encoded = self._encode(list(part.values()), batch_size, progress.update)
                vectors = dict(zip(part, encoded, strict=True))
                if self._vectors:
                    self._vectors.put(vectors)
                known |= vectors
        return np.stack([known[key] for key in keys]) if keys else np.empty((0, self.dimension), np.float32)

    @property
    def token_counter(self) -> TokenCounter | None:
        """Counts the tokens that the model reads of a text; None for a model whose tokenizer can't be asked.

        It is what `ragedu.chunk(corpus, tokenizer=embedder.token_counter)` takes.
        """
        tokenizer: Any = getattr(self.model, "tokenizer", None)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            return None
        limit, prompt = self.model.max_seq_length, self._prompt()
        if self._counter is None or (self._counter.limit, self._counter.prompt) != (limit, prompt):
            self._counter = TokenCounter(backend, limit=limit, prompt=prompt)
        return self._counter

    def _warn_of_truncation(self, texts: Sequence[str]) -> None:
        """Also of texts whose vectors are remembered: these say no more than they did."""
        limit = self.model.max_seq_length
        if limit is None:
            return
        long = [text for text in texts if MAX_TOKENS_PER_CHARACTER * len(text) >= limit]
        if not long or (counter := self.token_counter) is None:
            return
        truncated = sum(counter.count(text) > limit for text in long)
        if truncated:
            what = f"{truncated:,} of {len(texts):,} texts have" if len(texts) > 1 else "the text has"
            warnings.warn(
                f"{what} more than {limit} tokens, which {self.name} reads; the rest is not in the vector: "
                "cut the documents into passages with ragedu.chunk",
                TruncationWarning,
                stacklevel=3,
            )

    def _encode(self, texts: Sequence[str], batch_size: int, tick: Callable[[int], object]) -> np.ndarray:
        """What `SentenceTransformer.encode` gives, in batches of nearly equal length and of at most BATCH_TOKENS.

        tick is called with the size of each batch that is done.
        """
        with ENCODING:
            return self._encode_in_turn(texts, batch_size, tick)

    def _encode_in_turn(self, texts: Sequence[str], batch_size: int, tick: Callable[[int], object]) -> np.ndarray:
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
            tick(size)
        return vectors

    def _token_counts(self, texts: Sequence[str]) -> list[int]:
        tokenizer = getattr(self.model, "tokenizer", None)
        if not callable(tokenizer):  # a model that does not read tokens one by one
            return [1] * len(texts)
        tokens = tokenizer(list(texts), truncation=True, max_length=self.model.max_seq_length)["input_ids"]
        return [max(1, len(ids)) for ids in tokens]

    def word_pieces(self, text: str) -> tuple[list[str], np.ndarray] | None:
        """The word pieces of a text, special tokens included, and the vector of each, float32 (n_pieces, dimension).

        The text's embedding is the mean of these vectors, divided by its length. None for a model that pools otherwise.
        """
        modules = list(self.model)
        if [type(module).__name__ for module in modules] != ["Transformer", "Pooling", "Normalize"]:
            return None
        pooling = _config(modules[1])
        if (pooling.get("pooling_mode"), pooling.get("include_prompt")) != ("mean", True):
            return None

        import torch

        with ENCODING, torch.inference_mode():
            inputs = self.model.preprocess([text], prompt=self._prompt() or None)
            vectors = modules[0](inputs)["token_embeddings"][0].numpy()
        return self.model.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]), vectors

    def __repr__(self) -> str:
        return call_repr(self)


def _config(module: Any) -> dict[str, Any]:
    """The settings of one step of a model: its pooling, for example."""
    return module.get_config_dict() if hasattr(module, "get_config_dict") else {}


def open_cache() -> VectorCache | None:
    """The cache in the cache folder; None, and a warning, where there can be no such folder."""
    try:
        return VectorCache(cache_folder() / "embeddings.sqlite")
    except ModelUnavailable as error:
        warnings.warn(f"embeddings are not kept: {error}", stacklevel=3)
        return None


class VectorCache:
    """float32 vectors by key in one SQLite file, which several processes may use at once.

    Nothing depends on it. Where it cannot be read or written, a warning says so once, and it does nothing from then on.
    A vector that is not as it was stored counts as missing, and the next one that is put in its place mends it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_readable = self._is_writable = True
        self._was_told: set[str] = set()
        with self._failure_told(), self._database() as database:
            database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors that are there, by key."""
        found: dict[bytes, np.ndarray] = {}
        if not self._is_readable:
            return found
        with self._failure_told(), self._database() as database:
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                marks = ",".join("?" * len(part))
                rows = database.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part)
                found |= {key: vector for key, blob in rows if (vector := self._read(key, blob)) is not None}
        return found

    def put(self, vectors: dict[bytes, np.ndarray]) -> None:
        if not (self._is_readable and self._is_writable):
            return
        rows = [(key, with_checksum(key, vector.tobytes())) for key, vector in vectors.items()]
        with self._failure_told(writing=True), self._database() as database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    def _read(self, key: bytes, blob: Any) -> np.ndarray | None:
        """The vector that was stored under the key; None if this is not what was stored."""
        if isinstance(blob, bytes) and len(blob) > 4 and blob == with_checksum(key, blob[:-4]) and len(blob) % 4 == 0:
            return np.frombuffer(blob[:-4], dtype=np.float32)
        if not is_of_before_checksums(blob):
            self._tell("holds vectors that are not as they were stored: they are computed again")
        return None

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=LOCK_TIMEOUT_SECONDS)) as database, database:
            yield database

    @contextmanager
    def _failure_told(self, *, writing: bool = False) -> Iterator[None]:
        """Around work with the database: if it fails, a warning says so, and it is not tried again."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if writing:
                self._is_writable = False
            else:
                self._is_readable = False
            self._tell(f"cannot be used ({error}), and we go on without it: {_remedy(error)}")

    def _tell(self, what: str) -> None:
        """Warn, once about the same."""
        if what not in self._was_told:
            self._was_told.add(what)
            warnings.warn(f"the cache of embeddings, {self.path}, {what}", stacklevel=2)


def with_checksum(key: bytes, content: bytes) -> bytes:
    """What is stored of a vector: its bytes, and four that change with any of them, or with the key."""
    return content + zlib.crc32(key + content).to_bytes(4, "little")


def is_of_before_checksums(blob: Any) -> bool:
    """Whether it may be a vector that was stored without a checksum, as versions before 0.2 did."""
    if not isinstance(blob, bytes) or not blob or len(blob) % 4:
        return False
    vector = np.frombuffer(blob, dtype=np.float32)
    with np.errstate(all="ignore"):  # it may be anything
        return bool(abs(np.linalg.norm(vector) - 1) < 0.05)


def _remedy(error: sqlite3.DatabaseError) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "another program is writing to it; try again, or set RAGEDU_CACHE to a folder of your own"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_READONLY")):
        return "check its permissions and the space on the disk, or set RAGEDU_CACHE to another folder"
    return "delete that file"
