"""Dense retrieval: query and documents become vectors, and the nearest vectors win (Karpukhin et al. 2020)."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from ragedu.corpus import Corpus, Document
from ragedu.retrieval.base import Explanation, Hit, Hits, Retriever
from ragedu.retrieval.embeddings import Embedder
from ragedu.retrieval.storage import MODEL, load_index, save_index


class DenseRetriever(Retriever):
    """Rank documents by the cosine between the embeddings of query and document, found by exact search in FAISS.

    model: "all-MiniLM-L6-v2" (installed with ragedu), or the name or folder of any sentence-transformers model;
    cache: keep embeddings on disk, so that fitting the same texts again is instant; question_encoder: an Embedder for
    questions alone, where they have one of their own, as in DPR: see ragedu.training.end_to_end.

    embeddings: float32 (n_documents, dimension), unit vectors in the order of the corpus.
    """

    def __init__(
        self, model: str = "all-MiniLM-L6-v2", cache: bool = True, question_encoder: Embedder | None = None
    ) -> None:
        self.model = model
        self.cache = cache
        self.question_encoder = question_encoder
        self.embeddings: np.ndarray | None = None

    @cached_property
    def embedder(self) -> Embedder:
        return Embedder(self.model, self.cache)

    def fit(self, corpus: Corpus) -> Self:
        self._check_corpus(corpus)
        self._set(corpus, self.embedder.encode([document.content for document in corpus]))
        return self

    def train(self, pairs: Iterable[Sequence[str | Document]], steps: int | None = None, **options) -> list[float]:
        """Train the model on (question, passage) pairs or (question, passage, hard negative) triples, then index the
        corpus anew, if there is one; returns the loss of each step. The options (batch_size, learning_rate,
        temperature, seed, folder, after_step) and the errors are those of `ragedu.training.retriever.train`, which says
        what they do.

        After an interruption the model keeps what it has learned, and the old index refuses to be searched.
        """
        from ragedu.training.retriever import train  # training stands on top of retrieval, so it is not there before

        losses = train(self.embedder, pairs, steps, **options)
        if self.corpus is not None:
            self.fit(self.corpus)
        return losses

    def scores(self, query: str) -> np.ndarray:
        self._check_fitted()
        return self.embeddings @ self._encode([self._check_query(query)])[0]

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Hits]:
        queries = self._check_queries(queries)
        k = self._check_k(k)
        if not queries:
            return []
        scores, positions = self._index.search(self._encode(queries), min(k + self._spare, len(self.corpus)))
        # The embedding of a blank query is that of no words at all, and near it would be anything.
        found = zip(queries, positions, scores, strict=True)
        return [self._hits(*row, k) if query.strip() else Hits() for query, *row in found]

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each word piece of the query added to the cosine.

        The query's embedding is the mean of its word pieces' vectors, divided by its length. A dot product
        distributes over a sum, so each piece's share is its own vector's dot product with the document's.
        """
        import torch

        score = float(self.scores(query)[self.corpus.position(document_id)])
        document = self.embeddings[self.corpus.position(document_id)]
        model = (self.question_encoder or self.embedder).model
        names = [type(module).__name__ for module in model]
        pooling = model[1].get_config_dict() if names == ["Transformer", "Pooling", "Normalize"] else {}
        if (pooling.get("pooling_mode"), pooling.get("include_prompt")) != ("mean", True):
            return Explanation(score, {"cosine": score})  # another kind of pooling: no share for each piece
        inputs = model.preprocess([query], prompt=model.prompts.get(model.default_prompt_name))
        with torch.inference_mode():
            vectors = model[0](inputs)["token_embeddings"][0].numpy()
        pieces = model.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
        shares = vectors @ document / np.linalg.norm(vectors.sum(axis=0))
        contributions: dict[str, float] = {}
        for piece, share in zip(pieces, shares.tolist(), strict=True):
            contributions[piece] = contributions.get(piece, 0.0) + share
        return Explanation(score, contributions)

    def save(self, folder: str | Path) -> None:
        """As every retriever; a model that was trained and stands in no folder of its own is kept beside the index."""
        self._check_fitted()
        if self.question_encoder is not None:
            raise ValueError(
                "an index whose questions have an encoder of their own is not saved as one: set question_encoder to "
                "None, save, save the encoder with its own save(folder), and set it again after load"
            )
        folder, model, beside = Path(folder).expanduser(), self.embedder.name, None
        if self.embedder.is_trained or MODEL.fullmatch(Path(model).name):
            model = f"trained-model-{uuid.uuid4().hex}"
            beside = folder / model
            self.embedder.save(beside)
        settings = {"model": str(model), "fingerprint": self.embedder.fingerprint}
        save_index(folder, type(self).__name__, settings, {"embeddings": self.embeddings}, self.corpus)
        if beside and not self.embedder.is_trained:
            self.embedder.rename(str(beside))  # its former folder may have gone with the index that was there

    @classmethod
    def load(cls, folder: str | Path, model: str | None = None, cache: bool = True) -> Self:
        """Read what `save` wrote. model: where the model is now, when not where it was.

        Raises ValueError for an index that another model made: its vectors would mean nothing to this one.
        """
        settings, arrays, corpus = load_index(folder, cls.__name__)
        if MODEL.fullmatch(settings["model"]):
            settings["model"] = str(Path(folder).expanduser() / settings["model"])
        retriever = cls(model or settings["model"], cache)
        embedder, embeddings = retriever.embedder, arrays["embeddings"]
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
        retriever._set(corpus, embeddings)
        return retriever

    def _encode(self, queries: Sequence[str]) -> np.ndarray:
        return (self.question_encoder or self.embedder).encode(queries)

    def _check_fitted(self) -> None:
        super()._check_fitted()
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

    def _hits(self, positions: np.ndarray, scores: np.ndarray, k: int) -> Hits:
        order = np.lexsort((positions, -scores))[:k]
        found = zip(positions[order].tolist(), scores[order].tolist(), strict=True)
        return Hits(Hit(self.corpus[p], score, rank) for rank, (p, score) in enumerate(found, start=1))
