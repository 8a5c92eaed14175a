"""Dense retrieval: query and documents become vectors, and the nearest vectors win (Karpukhin et al. 2020)."""

from __future__ import annotations

import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from ragedu.corpus import Corpus, Document
from ragedu.models import MINILM, ModelUnavailable
from ragedu.representation import call_repr
from ragedu.retrieval.base import Explanation, Hits, Retriever, check_corpus, check_queries, check_query
from ragedu.retrieval.embeddings import Embedder
from ragedu.retrieval.storage import (
    AGAIN,
    MODEL,
    DamagedIndex,
    check_form,
    check_model,
    check_modules,
    check_settings,
    damage_told,
    load_index,
    own_folder,
    save_index,
    saving,
)

BUNDLED_NAMES = (MINILM.name, f"sentence-transformers/{MINILM.name}")


class DenseRetriever(Retriever):
    """Rank documents by the cosine between the embeddings of query and document, found by exact search in FAISS.

    Once fitted, `embeddings` are the unit vectors of the documents, float32 (n_documents, dimension), in the order of
    the corpus.

    Parameters
    ----------
    model
        "all-MiniLM-L6-v2" (installed with ragedu), or the name or folder of any sentence-transformers model.
    cache
        Keep embeddings on disk, so that fitting the same texts again is instant.
    question_encoder
        An Embedder for questions alone, where they have one of their own, as in DPR: see ragedu.training.end_to_end.
    """

    embeddings: np.ndarray  # once fitted

    def __init__(
        self, model: str | Path = "all-MiniLM-L6-v2", *, cache: bool = True, question_encoder: Embedder | None = None
    ) -> None:
        self.model = str(model)
        self.cache = cache
        self.question_encoder = question_encoder

    @cached_property
    def embedder(self) -> Embedder:
        return Embedder(self.model, cache=self.cache)

    def fit(self, corpus: Corpus) -> Self:
        check_corpus(corpus)
        self._set(corpus, self.embedder.encode([document.content for document in corpus]))
        return self

    def train(
        self,
        pairs: Iterable[Sequence[str | Document]],
        steps: int | None = None,
        *,
        batch_size: int = 32,
        learning_rate: float = 1e-4,
        temperature: float = 0.05,
        seed: int = 0,
        folder: str | Path | None = None,
        after_step: Callable[[int, float], None] | None = None,
    ) -> list[float]:
        """Train the model, then index the corpus again, if there is one; returns the loss of each step.

        pairs: (question, passage), or triples (question, passage, hard negative). `ragedu.retrieval.contrastive.train`
        says what the options do, and which errors there are.

        After an interruption the model keeps what it has learned, and the old index refuses to be searched.
        """
        from ragedu.retrieval.contrastive import train  # here, because it takes torch along

        losses = train(
            self.embedder,
            pairs,
            steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            temperature=temperature,
            seed=seed,
            folder=folder,
            after_step=after_step,
        )
        if self.is_fitted:
            self.fit(self.corpus)
        return losses

    def scores(self, query: str) -> np.ndarray:
        self.check_fitted()
        return self.embeddings @ self._encode([check_query(query)])[0]

    def search_many(self, queries: Iterable[str], k: int = 10) -> list[Hits]:
        queries = check_queries(queries)
        k = self._within_corpus(k)
        if not queries:
            return []
        depth = min(k + self._spare, len(self.corpus))
        scores, positions = self._index.search(self._encode(queries), depth)
        found = []
        for number, query in enumerate(queries):
            # The embedding of a blank query is that of no words at all: it would be close to anything.
            found.append(self._best(positions[number], scores[number], k) if query.strip() else Hits())
        return found

    def _best(self, positions: np.ndarray, scores: np.ndarray, k: int) -> Hits:
        """The k best of the documents that were found; equal scores in the order of the corpus."""
        order = np.lexsort((positions, -scores))[:k]
        documents = [self.corpus[position] for position in positions[order].tolist()]
        return Hits.ranked(documents, scores[order].tolist())

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each word piece of the query added to the cosine.

        The query's embedding is the mean of its word pieces' vectors, divided by its length. A dot product
        distributes over a sum, so each piece's share is its own vector's dot product with the document's. For a model
        that pools otherwise there are no shares, only the cosine.
        """
        position = self.corpus.position(document_id)
        score = float(self.scores(query)[position])
        found = self._encoder.word_pieces(query)
        if found is None:
            return Explanation(score, {"cosine": score})
        pieces, vectors = found
        shares = vectors @ self.embeddings[position] / np.linalg.norm(vectors.sum(axis=0))
        contributions: dict[str, float] = {}
        for piece, share in zip(pieces, shares.tolist(), strict=True):
            contributions[piece] = contributions.get(piece, 0.0) + share
        return Explanation(score, contributions)

    def save(self, folder: str | Path) -> None:
        """As every retriever; a model that was trained and is in no folder of its own is kept next to the index."""
        self.check_fitted()
        if self.question_encoder is not None:
            raise ValueError(
                "an index whose questions have an encoder of their own is not saved as one: set question_encoder to "
                "None, save, save the encoder with its own save(folder), and set it again after load"
            )
        model, kept = str(self.embedder.name), None
        with saving(folder) as (folder, written):
            if self.embedder.is_trained or MODEL.fullmatch(Path(model).name):
                model = f"trained-model-{uuid.uuid4().hex}"
                kept = folder / model
                written.append(kept)
                self.embedder.save(kept)
            settings = {"model": model, "fingerprint": self.embedder.fingerprint}
            save_index(folder, type(self).__name__, settings, {"embeddings": self.embeddings}, self.corpus)
        if kept and not self.embedder.is_trained:
            self.embedder.rename(str(kept))  # its former folder may have gone with the index that was there

    @classmethod
    def load(cls, folder: str | Path, *, model: str | None = None, cache: bool = True) -> Self:
        """Read what `save` wrote. model: where the model is now, when not where it was.

        A model that lies elsewhere than next to the index is named in a warning, because an index from a stranger could
        name any. `model` says which is right.

        Raises ValueError for an index that another model made: its vectors would mean nothing to this one; for one
        that is damaged; and for a model that would run code that is not part of sentence-transformers.
        """
        folder = Path(folder).expanduser()
        settings, arrays, corpus = load_index(folder, cls.__name__)
        with damage_told(folder):
            check_settings(settings, {"model": "", "fingerprint": ""})
            check_vectors(embeddings := arrays["embeddings"], len(corpus))
        retriever = cls(model or model_of(folder, settings["model"]), cache=cache)
        check_modules(Path(retriever.model).expanduser())
        try:
            embedder = retriever.embedder
        except ModelUnavailable as error:
            if model is None and MODEL.fullmatch(settings["model"]):
                raise DamagedIndex(f"the index in {folder} has a damaged model ({error}): {AGAIN}") from None
            raise
        if embeddings.shape != (len(corpus), embedder.dimension):
            raise ValueError(
                f"the index in {folder} has vectors of {embeddings.shape[1]} dimensions, but {embedder.name} makes "
                f"{embedder.dimension}: load it with the model that made it ({settings['model']}), or fit again"
            )
        if embedder.fingerprint != settings["fingerprint"]:
            raise ValueError(
                f"the index in {folder} was made by another model ({settings['model']}, other weights than "
                f"{embedder.name} has now): load it with that model, or fit again"
            )
        with damage_told(folder):
            check_lengths(embeddings)
        retriever._set(corpus, embeddings)
        return retriever

    @property
    def _encoder(self) -> Embedder:
        """What encodes queries."""
        return self.question_encoder or self.embedder

    def _encode(self, queries: Sequence[str]) -> np.ndarray:
        return self._encoder.encode(queries)

    def check_fitted(self) -> None:
        super().check_fitted()
        if self._made_by != self.embedder.fingerprint:
            raise RuntimeError(
                "the model has been trained since this index was made, so its vectors no longer fit the model's: "
                "call fit(corpus) again"
            )

    def _set(self, corpus: Corpus, embeddings: np.ndarray) -> None:
        import faiss

        self.corpus, self.embeddings, self._made_by = corpus, embeddings, self.embedder.fingerprint
        self._index = faiss.IndexFlatIP(embeddings.shape[1])
        self._index.add(embeddings)
        # Among equal scores FAISS keeps any. With so many hits more, all copies of a vector are among them, and the
        # order of the corpus can decide.
        self._spare = max(Counter(hash(vector.tobytes()) for vector in embeddings).values()) - 1

    def __repr__(self) -> str:
        # Training with folder=… has renamed the model, and only a model that was loaded can have been trained.
        name = str(self.embedder.name) if "embedder" in vars(self) else self.model
        return call_repr(self, model=name)


# What is asked of an index before it is used.


def model_of(folder: Path, name: str) -> str:
    """The model that an index names: bundled, next to it (and then checked), or elsewhere, which a warning tells."""
    if MODEL.fullmatch(name):
        if not own_folder(folder, name).is_dir():
            raise FileNotFoundError(f"the index in {folder} lacks its {name}: {AGAIN}")
        check_model(folder / name)
        return str(folder / name)
    with damage_told(folder):
        check_form(name.strip() and "\0" not in name, f"the model {name!r:.100}")
    if name not in BUNDLED_NAMES:
        warnings.warn(
            f"the index in {folder} names a model elsewhere, {name!r:.200}, which is loaded now: if the index is not "
            "yours, look at that model first; load(folder, model=…) says which to load",
            stacklevel=3,
        )
    check_modules(Path(name).expanduser())
    return name


def check_vectors(embeddings: np.ndarray, n_documents: int) -> None:
    """Raise ValueError unless there is one vector of numbers for each document."""
    check_form(embeddings.dtype == np.float32 and embeddings.ndim == 2, f"{embeddings.dtype} {embeddings.shape}")
    check_form(n_documents, "no documents")
    check_form(len(embeddings) == n_documents, f"{len(embeddings):,} vectors for {n_documents:,} documents")
    check_form(np.isfinite(embeddings).all(), "a vector with a value that is no number")


def check_lengths(embeddings: np.ndarray) -> None:
    """Raise ValueError unless the vectors have length 1, as far as the precision of a model allows, or are 0."""
    lengths = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings))
    check_form(((abs(lengths - 1) < 0.05) | (lengths == 0)).all(), "a vector that has not the length 1")
