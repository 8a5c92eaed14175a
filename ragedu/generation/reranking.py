"""A second look at what was found: how probable is the question, once the document has been read?"""

from __future__ import annotations

from ragedu.generation.language_model import LanguageModel
from ragedu.representation import call_repr
from ragedu.retrieval.base import Hit, Hits


class LikelihoodReranker:
    """Order hits by log p(question | document), in nats, under a language model.

    Query likelihood (Ponte and Croft 1998) with a model that reads (Sachan et al. 2022, *Improving Passage Retrieval
    with Zero-Shot Question Generation*, equation 2). Every document is read once for every question, so this is for the
    few best of a fast retriever and not for a corpus.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def __call__(self, question: str, hits: Hits) -> Hits:
        prompts = [f"{hit.document.content}\n\nWrite a question that this text answers." for hit in hits]
        scores = self.model.log_likelihood(prompts, [question] * len(hits)).tolist() if hits else []
        # sorted keeps equal scores in the order of the retriever.
        best = sorted(zip(scores, hits, strict=True), key=lambda pair: -pair[0])
        return Hits(Hit(hit.document, score, rank) for rank, (score, hit) in enumerate(best, start=1))

    def __repr__(self) -> str:
        return call_repr(self)
