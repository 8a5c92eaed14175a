"""The whole system on Port Ellery: the language model with the adapter `reader` answers questions of the test split,
without sources and with five of each retriever (three where two searches found them), all in one prompt ("together")
or one by one ("each"). Exact match by the SQuAD rules, with 95 % bootstrap intervals over the questions; abstaining is
measured over answerable and unanswerable questions together. The hybrid's weights (BM25 .7, dense .3) and the limit of
doubt (.1, kept with the adapter) were chosen on the training split."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import torch

from ragedu import RAG, BM25Retriever, DenseRetriever, HybridRetriever, LanguageModel, TfidfRetriever
from ragedu.corpus import Dataset
from ragedu.datasets import port_ellery
from ragedu.evaluation import bootstrap_interval, evaluate_answers
from ragedu.evaluation.answers import abstention_scores
from ragedu.generation.prompts import closed_book_prompt
from ragedu.retrieval.two_hop import TwoHopRetriever

KINDS = ("lookup", "paraphrase", "identifier")


def measure(documents: int = 2000, questions: int = 36) -> tuple[str, list[dict[str, str]]]:
    """The title of the table and a row for each system; `questions` of each kind. Some twenty minutes on two cores."""
    torch.set_num_threads(os.cpu_count() or 1)
    archive = port_ellery.load(documents, questions=400)
    of_kind = {kind: _some(archive, kind, questions) for kind in (*KINDS, "two-hop", "unanswerable")}
    reader = _Remembering(LanguageModel.load(adapter="reader"))
    bm25, dense = BM25Retriever(), DenseRetriever()
    hybrid = HybridRetriever([bm25, dense], method="weighted", weights=[0.7, 0.3]).fit(archive.corpus)
    systems = {
        "closed book": _ClosedBook(reader),
        "TF-IDF, each": RAG(TfidfRetriever().fit(archive.corpus), reader, k=5, reading="each"),
        "BM25, each": RAG(bm25, reader, k=5, reading="each"),
        "dense, each": RAG(dense, reader, k=5, reading="each"),
        "hybrid, each": RAG(hybrid, reader, k=5, reading="each"),
        "hybrid, together": RAG(hybrid, reader, k=5),
        "hybrid, two hops, three together": RAG(TwoHopRetriever(hybrid, titles=port_ellery.TITLES), reader, k=3),
    }
    rows = []
    for name, system in systems.items():
        print(f"  {name}", file=sys.stderr, flush=True)
        results = {kind: evaluate_answers(system, some, progress=kind) for kind, some in of_kind.items()}
        right = {kind: list(result.per_query["exact_match"].values()) for kind, result in results.items()}
        texts = {query: text for result in results.values() for query, text in result.answers.items()}
        wanted = {query: answers for some in of_kind.values() for query, answers in some.answers.items()}
        rows.append(
            {
                "system": name,
                "one page": str(bootstrap_interval([value for kind in KINDS for value in right[kind]])),
                **{kind: f"{sum(right[kind]) / len(right[kind]):.2f}" for kind in KINDS},
                "two-hop": str(bootstrap_interval(right["two-hop"])),
                "abstaining, F1": f"{abstention_scores(texts, wanted)['f1']:.2f}",
            }
        )
    counts = ", ".join(f"{len(some.queries)} {kind}" for kind, some in of_kind.items())
    return f"{documents:,} documents; questions: {counts}", rows


class _Remembering:
    """The model, asked each thing once: the retrievers often find the same page for a question."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.known: dict = {}

    @property
    def doubt(self) -> float | None:
        return self.model.doubt

    def log_likelihood(self, prompts: Sequence[str], continuations: Sequence[str]) -> list[float]:
        pairs = list(zip(prompts, continuations, strict=True))
        return self._ask(pairs, lambda new: self.model.log_likelihood(*zip(*new, strict=True)))

    def generate(self, prompts: Sequence[str], **options) -> list[str]:
        settings = tuple(options.items())
        return self._ask(
            [(prompt, settings) for prompt in prompts],
            lambda new: self.model.generate([prompt for prompt, _ in new], **options),
        )

    def __call__(self, prompt: str) -> str:
        return self.generate([prompt])[0]

    def _ask(self, things: list, answers: Callable[[list], Sequence]) -> list:
        if new := list(dict.fromkeys(thing for thing in things if thing not in self.known)):
            self.known.update(zip(new, answers(new), strict=True))
        return [self.known[thing] for thing in things]


class _ClosedBook:
    """The model alone."""

    def __init__(self, model: _Remembering) -> None:
        self.model = model

    def ask_many(self, questions: list[str]) -> list[str]:
        return self.model.generate([closed_book_prompt(question) for question in questions], max_new_tokens=24)


def _some(archive: Dataset, kind: str, number: int) -> Dataset:
    subset = archive.select(kind=kind, split="test")
    return subset.select(list(subset.queries)[:number])
