"""Retrieval-augmented generation: find sources, put them into the prompt, let a model answer from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from ragedu.answer import Answer, Trace
from ragedu.corpus import Corpus, Document
from ragedu.generation.prompts import ABSTAIN, Generator, build_prompt
from ragedu.reading import Reading, choose, one_for_each
from ragedu.representation import call_repr
from ragedu.retrieval.base import Hit, Hits, Searcher


class Prompt(NamedTuple):
    """What the model is asked, and the one source in it where sources are read one by one."""

    text: str
    cited: Hit | None = None


class RAG:
    """Answer questions from a corpus.

    Parameters
    ----------
    retriever
        A retriever, or whatever has a method search(question, k).
    generator
        Any callable from prompt to text, such as a LanguageModel.
    k
        How many sources go into the prompt.
    prompt
        A function (question, documents) -> prompt.
    chunker
        A function Corpus -> Corpus that `fit` applies first, such as `ragedu.chunk`.
    reranker
        A function (question, hits) -> hits. It orders `candidates` hits again, of which the best k are taken.
    candidates
        How many hits the reranker gets.
    budget
        The most tokens that the prompt may have, counted by the generator's `encode`. A source that doesn't fit is
        omitted whole, and the answer says so.
    reading
        "together", all sources in one prompt, or "each", every source in a prompt of its own. The answer is then read
        from the source that leaves the model least inclined to say that it is not there. The generator needs
        `log_likelihood` and `generate`, as LanguageModel has them.
    doubt
        The limit of doubt for reading="each", a probability: where even that inclination, p(ABSTAIN | prompt), exceeds
        it, the system abstains. By default the limit that the generator's adapter was chosen with, `generator.doubt`.

    Examples
    --------
    >>> from ragedu import BM25Retriever
    >>> corpus = Corpus.from_texts(["The keeper of the lighthouse is Orsolya Vint.", "The ferry leaves at nine."])
    >>> rag = RAG(BM25Retriever().fit(corpus), lambda prompt: prompt.splitlines()[1], k=1)
    >>> rag.ask("Who keeps the lighthouse?").text
    'The keeper of the lighthouse is Orsolya Vint.'
    """

    def __init__(
        self,
        retriever: Searcher,
        generator: Generator,
        *,
        k: int = 3,
        prompt: Callable[[str, Sequence[Document]], str] = build_prompt,
        chunker: Callable[[Corpus], Corpus] | None = None,
        reranker: Callable[[str, Hits], Sequence[Hit]] | None = None,
        candidates: int = 20,
        budget: int | None = None,
        reading: Reading = "together",
        doubt: float | None = None,
    ) -> None:
        check_parts(retriever, generator, prompt)
        check_budget(generator, budget)
        check_reading(generator, reading, doubt)
        self.retriever, self.generator, self.k, self.prompt = retriever, generator, k, prompt
        self.chunker, self.reranker, self.candidates, self.budget = chunker, reranker, candidates, budget
        self.reading: Reading = reading
        self.doubt = doubt

    def fit(self, corpus: Corpus) -> Self:
        """Cut the corpus into passages, if there is a chunker, and index it."""
        retriever: Any = self.retriever  # one that only searches has no fit, and says so
        retriever.fit(self.chunker(corpus) if self.chunker else corpus)
        return self

    def ask(self, question: str) -> Answer:
        """Retrieve, rerank, fit the budget, write the prompt, generate, answer."""
        trace = Trace()
        hits = self._retrieve(question, trace)
        hits = self._rerank(question, hits, trace)
        sources, left_out = self._fit_budget(question, hits, trace)
        prompt = self._prompt(question, sources, trace)
        text = self._generate(prompt, trace)
        return put_together(question, text, sources, left_out, prompt, trace)

    def ask_many(self, questions: Sequence[str]) -> list[Answer]:
        """`ask` for many questions. A generator that has a method `generate` gets all prompts in one call, which for a
        LanguageModel is several times as fast."""
        if isinstance(questions, str):
            raise TypeError("ask_many takes a list of questions, not one string: use ask, or put it in [ ]")
        if isinstance(questions, Mapping):
            raise TypeError("ask_many takes a list of questions, not a dictionary: use list(queries.values())")
        traces = [Trace() for _ in questions]
        found = []
        for question, trace in zip(questions, traces, strict=True):
            hits = self._retrieve(question, trace)
            hits = self._rerank(question, hits, trace)
            found.append(self._fit_budget(question, hits, trace))
        sources = [fitting for fitting, _ in found]
        prompts = self._prompts(questions, sources, traces)
        texts = self._generate_many(prompts, traces)
        parts = zip(questions, texts, found, prompts, traces, strict=True)
        return [put_together(question, text, *of_it, prompt, trace) for question, text, of_it, prompt, trace in parts]

    def stream(self, question: str) -> Iterator[Answer]:
        """Yield the Answer while it grows; the last one is complete. The generator needs a method `stream`."""
        if not hasattr(self.generator, "stream"):
            raise TypeError(
                "the generator needs a method stream(prompt) -> pieces, as LanguageModel has: "
                "give such a generator, or use ask"
            )
        trace = Trace()
        hits = self._retrieve(question, trace)
        hits = self._rerank(question, hits, trace)
        sources, left_out = self._fit_budget(question, hits, trace)
        prompt = self._prompt(question, sources, trace)
        asked = put_together(question, "" if prompt else ABSTAIN, sources, left_out, prompt, trace)
        return self._stream(asked, prompt, trace) if prompt else iter([asked])

    # The steps.

    def _retrieve(self, question: str, trace: Trace) -> Hits:
        for name, number in (("k", self.k), ("candidates", self.candidates)):
            if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{name} must be a whole number of documents, at least 1, not {number!r}")
        started = perf_counter()
        hits = self.retriever.search(question, max(self.k, self.candidates) if self.reranker else self.k)
        trace.add("retrieve", started, f"{len(hits)} found")
        return hits

    def _rerank(self, question: str, hits: Hits, trace: Trace) -> Hits:
        if self.reranker is None or not hits:
            return hits
        started = perf_counter()
        best = numbered(self.reranker(question, hits)[: self.k])
        trace.add("rerank", started, f"the best {len(best)} kept")
        return best

    def _fit_budget(self, question: str, hits: Hits, trace: Trace) -> tuple[Hits, Hits]:
        """The hits that fit into the prompt, best first, and those that don't."""
        if self.budget is None or not hits:
            return hits, Hits()
        generator: Any = self.generator  # which has `encode`: see check_budget
        started = perf_counter()
        fitting, left_out, tokens = Hits(), Hits(), 0
        for hit in hits:
            prompt = self._write(question, [*fitting, hit] if self.reading == "together" else [hit])
            tokens = len(generator.encode(prompt))
            (fitting if tokens <= self.budget else left_out).append(hit)
        if not fitting:
            raise ValueError(
                f"no source fits into a prompt of {self.budget:,} tokens (with the last one tried it has {tokens:,}): "
                "raise the budget, or cut the documents into smaller passages (chunker=ragedu.chunk)"
            )
        trace.add("budget", started, f"{len(fitting)} fit, {len(left_out)} omitted")
        return numbered(fitting), left_out

    def _prompt(self, question: str, sources: Hits, trace: Trace) -> Prompt | None:
        return self._prompts([question], [sources], [trace])[0]

    def _prompts(
        self, questions: Sequence[str], sources: Sequence[Hits], traces: Sequence[Trace]
    ) -> list[Prompt | None]:
        """For each question its prompt; None where no model should be asked: it could only invent."""
        if self.reading == "each":
            return self._surest(questions, sources, traces)
        prompts: list[Prompt | None] = []
        for question, hits, trace in zip(questions, sources, traces, strict=True):
            started = perf_counter()
            prompts.append(Prompt(self._write(question, hits)) if hits else None)
            if hits:
                trace.add("prompt", started, f"{len(hits)} sources")
        return prompts

    def _surest(
        self, questions: Sequence[str], sources: Sequence[Hits], traces: Sequence[Trace]
    ) -> list[Prompt | None]:
        """For each question the prompt with the one source that leaves the least doubt; None above the limit."""
        limit = limit_of_doubt(self.generator, self.doubt)
        prompts = []  # of each question, one with each source alone
        for question, hits, trace in zip(questions, sources, traces, strict=True):
            started = perf_counter()
            prompts.append([self._write(question, [hit]) for hit in hits])
            if hits:
                trace.add("prompt", started, f"{len(hits)} sources, one by one")
        started = perf_counter()
        choices = choose(self.generator, sources, prompts)
        for choice, trace in zip(choices, traces, strict=True):
            if choice:
                trace.add("choose", started, choice.outcome(limit))
        return [Prompt(choice.prompt, choice.hit) if choice and choice.is_sure(limit) else None for choice in choices]

    def _write(self, question: str, hits: Sequence[Hit]) -> str:
        prompt = self.prompt(question, [hit.document for hit in hits])
        if not isinstance(prompt, str) or not prompt.strip():
            raise TypeError(f"the prompt function returned {prompt!r:.60}, not a text: does it lack a return?")
        return prompt

    def _generate(self, prompt: Prompt | None, trace: Trace) -> str:
        """What the model writes; ABSTAIN without a prompt."""
        if prompt is None:
            return ABSTAIN
        started = perf_counter()
        text = answer_text(self.generator(prompt.text))
        trace.add("generate", started, f"{len(text)} characters")
        return text

    def _generate_many(self, prompts: Sequence[Prompt | None], traces: Sequence[Trace]) -> list[str]:
        """`_generate` for all prompts, by one call where the generator can."""
        started = perf_counter()
        asked = {place: prompt.text for place, prompt in enumerate(prompts) if prompt}
        generate = getattr(self.generator, "generate", self._one_by_one)
        written = generate(list(asked.values())) if asked else []
        texts = [ABSTAIN] * len(prompts)
        for place, text in zip(asked, one_for_each(list(asked), written, "generate"), strict=True):
            texts[place] = answer_text(text)
            traces[place].add("generate", started, f"{len(texts[place])} characters")
        return texts

    def _one_by_one(self, prompts: Sequence[str]) -> list[str]:
        return [self.generator(prompt) for prompt in prompts]

    def _stream(self, asked: Answer, prompt: Prompt, trace: Trace) -> Iterator[Answer]:
        generator: Any = self.generator  # which has `stream`: see `stream`
        started, text = perf_counter(), ""
        for piece in generator.stream(prompt.text):
            text += piece
            yield replace(asked, text=text)
        trace.add("generate", started, f"{len(text)} characters")
        yield put_together(asked.question, text.strip(), asked.sources, asked.left_out, prompt, trace)

    def __repr__(self) -> str:
        return call_repr(self)


def numbered(hits: Iterable[Hit]) -> Hits:
    """The hits with the ranks that their order gives them, which is how the prompt numbers its sources."""
    return Hits(hit._replace(rank=rank) for rank, hit in enumerate(hits, start=1))


def answer_text(written: object) -> str:
    """What a generator returned, without white space around it."""
    if not isinstance(written, str):
        raise TypeError(f"the generator returned a {type(written).__name__}, not a string")
    return written.strip()


def put_together(
    question: str, text: str, sources: Hits, left_out: Hits, prompt: Prompt | None, trace: Trace
) -> Answer:
    """The Answer. Where the model itself abstains, its text was read from no source."""
    return Answer(
        question,
        text,
        sources,
        prompt.text if prompt else "",
        left_out=left_out,
        cited=prompt.cited if prompt and text != ABSTAIN else None,
        trace=tuple(trace),
    )


def limit_of_doubt(generator: object, doubt: float | None) -> float:
    """The limit given, or else the one that the generator's adapter was chosen with."""
    limit = getattr(generator, "doubt", None) if doubt is None else doubt
    if limit is None:
        raise ValueError(
            'reading="each" needs a limit of doubt, and this generator comes without one: give doubt=…, a probability '
            'from 0 (always abstain) to 1 (never), or use LanguageModel.load(adapter="reader")'
        )
    return limit


# What is wrong with the parts is told when they are put together, not after a search.


def check_parts(retriever: object, generator: object, prompt: object) -> None:
    if not callable(getattr(retriever, "search", None)):
        raise TypeError(
            f"the retriever needs a method search(question, k), which a {type(retriever).__name__} lacks: use "
            "BM25Retriever() or another of ours, or wrap one of LangChain's, LangChainRetriever(…)"
        )
    if not callable(generator):
        raise TypeError(
            f"the generator must be callable, from a prompt to a text, not a {type(generator).__name__}: "
            "use LanguageModel.load() or a function of your own, or wrap one of LangChain's, LangChainGenerator(…)"
        )
    if not callable(prompt):
        raise TypeError(f"prompt must be a function (question, documents) -> text, not a {type(prompt).__name__}")


def check_budget(generator: object, budget: int | None) -> None:
    if budget is not None and not hasattr(generator, "encode"):
        raise TypeError(
            "a budget is counted in the generator's tokens, so the generator needs a method "
            "encode(prompt) -> tokens, as LanguageModel has: give such a generator, or leave budget out"
        )


def check_reading(generator: object, reading: str, doubt: float | None) -> None:
    if reading not in ("together", "each"):
        raise ValueError(f'no way of reading {reading!r}; there are "together" and "each"')
    if doubt is not None and not 0 <= doubt <= 1:
        raise ValueError(f"doubt is a probability, from 0 (always abstain) to 1 (never), not {doubt!r}")
    if reading == "together":
        return
    if not (hasattr(generator, "log_likelihood") and hasattr(generator, "generate")):
        raise TypeError(
            'reading="each" compares probabilities, so the generator needs log_likelihood(prompts, continuations) '
            'and generate(prompts), as LanguageModel has: give such a generator, or leave reading="together"'
        )
    limit_of_doubt(generator, doubt)
