"""Retrieval-augmented generation: find sources, put them into the prompt, let a model answer from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape as escape_html
from math import exp, log
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from ragedu.corpus import Corpus, Document, shorten
from ragedu.generation.prompts import ABSTAIN, build_prompt
from ragedu.retrieval.base import Hit, Hits, Retriever

# For the adapter `reader`: of the limits tried on 135 questions of Port Ellery's training split, of which a third have
# no answer, the lowest that costs at most one right answer in a hundred (exact match .911 of .922, F1 of abstaining
# .918). A lower one abstains more: .833 and .896 at .02; a higher one less: .922 and .861 at .25.
DOUBT = 0.1


class Step(NamedTuple):
    """One step on the way to an answer: its name, how long it took, and what came of it."""

    name: str
    seconds: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a RAG system says, the sources that it was given, and the prompt that held them.

    left_out: sources that were found and not read, because the prompt's budget was spent; cited: the source from which
    the answer was read, where they are read one by one; trace: every step with its time (of `ask_many`, the time of
    all questions together).
    """

    question: str
    text: str
    sources: Hits
    prompt: str
    left_out: Hits = field(default_factory=Hits)
    cited: Hit | None = None
    trace: tuple[Step, ...] = ()

    def __str__(self) -> str:
        lines = [self.text + (f" [{self.cited.rank}]" if self.cited else ""), ""]
        for hit in self.sources:
            name = f"{hit.document.title}  ({hit.document.id})" if hit.document.title else hit.document.id
            lines += [f"[{hit.rank}] {name}", f"    {shorten(hit.document.text, 110)}"]
        if self.left_out:
            lines.append(f"left out for want of room: {', '.join(hit.document.id for hit in self.left_out)}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        sources = "".join(
            f"<li value='{hit.rank}' style='margin:2px 0'><details><summary><b>{escape(hit.document.title)}</b> "
            f"<code>{escape(hit.document.id)}</code>, score {hit.score:.3f}</summary>"
            f"{escape(hit.document.text)}</details></li>"
            for hit in self.sources
        )
        left_out = ", ".join(f"<code>{escape(hit.document.id)}</code>" for hit in self.left_out)
        return (
            "<div style='border:1px solid #8888; border-radius:6px; padding:8px 12px; max-width:760px'>"
            f"<div>{escape(self.question)}</div>"
            f"<div style='font-size:1.2em; margin:6px 0'><b>{escape(self.text)}</b>"
            + (f" [{self.cited.rank}]" if self.cited else "")
            + "</div>"
            f"<div>Sources<ol style='margin:2px 0'>{sources}</ol></div>"
            + (f"<div>Left out for want of room: {left_out}</div>" if left_out else "")
            + "</div>"
        )


def escape(text: str) -> str:
    """The text as HTML. A dollar stands in an element of its own, or Jupyter would set "$5 and $6" as a formula."""
    return escape_html(text).replace("$", "<span>$</span>")


class RAG:
    """Answer questions from a corpus.

    retriever: a retriever; generator: any callable from prompt to text, such as a LanguageModel; k: how many
    sources go into the prompt; prompt: a function (question, documents) -> prompt.

    chunker: a function Corpus -> Corpus that `fit` applies first, such as `ragedu.text.chunk`. reranker: a function
    (question, hits) -> hits, which orders `candidates` hits anew before the best k are taken. budget: the most tokens
    that the prompt may have, counted by the generator's `encode`; a source that doesn't fit is left out whole, and the
    answer says so.

    reading: "together", all sources in one prompt, or "each", every source in a prompt of its own. The answer is then
    read from the source that leaves the model least inclined to say that it is not there; if even that inclination,
    p(ABSTAIN | prompt), exceeds `doubt`, the system abstains. It is RAG-Sequence (Lewis et al. 2020, section 2.1) with
    the best document in the place of the sum. The generator needs `log_likelihood` and `generate`, as LanguageModel has
    them; a question that needs two sources at once can't be answered so.

    >>> rag = RAG(BM25Retriever(), LanguageModel.load()).fit(corpus)
    >>> rag.ask("Who keeps the lighthouse?")
    """

    def __init__(
        self,
        retriever: Retriever,
        generator: Callable[[str], str],
        k: int = 3,
        prompt: Callable[[str, Sequence[Document]], str] = build_prompt,
        chunker: Callable[[Corpus], Corpus] | None = None,
        reranker: Callable[[str, Hits], Hits] | None = None,
        candidates: int = 20,
        budget: int | None = None,
        reading: str = "together",
        doubt: float = DOUBT,
    ) -> None:
        if not callable(getattr(retriever, "search", None)):
            raise TypeError(
                f"the retriever needs a method search(question, k), which a {type(retriever).__name__} has not: use "
                "BM25Retriever() or another of ours, or wrap one of LangChain's, LangChainRetriever(…)"
            )
        if not callable(generator):
            raise TypeError(
                f"the generator must be callable, from a prompt to a text, not a {type(generator).__name__}: "
                "use LanguageModel.load() or a function of your own, or wrap one of LangChain's, LangChainGenerator(…)"
            )
        if not callable(prompt):
            raise TypeError(f"prompt must be a function (question, documents) -> text, not a {type(prompt).__name__}")
        if budget is not None and not hasattr(generator, "encode"):
            raise TypeError(
                "a budget is counted in the generator's tokens, so the generator needs a method "
                "encode(prompt) -> tokens, as LanguageModel has: give such a generator, or leave budget out"
            )
        if reading not in ("together", "each"):
            raise ValueError(f'no way of reading {reading!r}; there are "together" and "each"')
        if reading == "each" and not (hasattr(generator, "log_likelihood") and hasattr(generator, "generate")):
            raise TypeError(
                'reading="each" compares probabilities, so the generator needs log_likelihood(prompts, continuations) '
                'and generate(prompts), as LanguageModel has: give such a generator, or leave reading="together"'
            )
        if not 0 <= doubt <= 1:
            raise ValueError(f"doubt is a probability, from 0 (always abstain) to 1 (never), not {doubt!r}")
        self.retriever, self.generator, self.k, self.prompt = retriever, generator, k, prompt
        self.chunker, self.reranker, self.candidates, self.budget = chunker, reranker, candidates, budget
        self.reading, self.doubt = reading, doubt

    def fit(self, corpus: Corpus) -> Self:
        """Cut the corpus into passages, if there is a chunker, and index it."""
        self.retriever.fit(self.chunker(corpus) if self.chunker else corpus)
        return self

    def ask(self, question: str) -> Answer:
        """Retrieve, prompt, generate. With no source found, no model is asked: it could only invent."""
        return self._finish(self._choose([self._prepare(question)]), self._one_by_one)[0]

    def ask_many(self, questions: Sequence[str]) -> list[Answer]:
        """`ask` for many questions. A generator that has a method `generate` gets all prompts in one call, which for a
        LanguageModel is several times as quick."""
        if isinstance(questions, str):
            raise TypeError("ask_many takes a list of questions, not one string: use ask, or put it in [ ]")
        if isinstance(questions, Mapping):
            raise TypeError("ask_many takes a list of questions, not a dictionary: use list(queries.values())")
        prepared = self._choose([self._prepare(question) for question in questions])
        return self._finish(prepared, getattr(self.generator, "generate", self._one_by_one))

    def stream(self, question: str) -> Iterator[Answer]:
        """Yield the Answer while it grows; the last one is complete. The generator needs a method `stream`."""
        if not hasattr(self.generator, "stream"):
            raise TypeError(
                "the generator needs a method stream(prompt) -> pieces, as LanguageModel has: "
                "give such a generator, or use ask"
            )
        return self._grow(self._choose([self._prepare(question)])[0])

    def _grow(self, prepared: Answer) -> Iterator[Answer]:
        if not prepared.prompt:
            yield prepared
            return
        start, text = perf_counter(), ""
        for piece in self.generator.stream(prepared.prompt):
            text += piece
            yield replace(prepared, text=text)
        written = Step("generate", perf_counter() - start, f"{len(text)} characters")
        cited = None if text.strip() == ABSTAIN else prepared.cited
        yield replace(prepared, text=text.strip(), cited=cited, trace=(*prepared.trace, written))

    # The steps.

    def _prepare(self, question: str) -> Answer:
        """Everything up to the prompt; the text is still that of a system that knows nothing."""
        for name, number in (("k", self.k), ("candidates", self.candidates)):
            if not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{name} must be a whole number of documents, at least 1, not {number!r}")
        start = perf_counter()
        hits = self.retriever.search(question, max(self.k, self.candidates) if self.reranker else self.k)
        trace = [Step("retrieve", perf_counter() - start, f"{len(hits)} found")]
        if hits and self.reranker:
            start = perf_counter()
            hits = numbered(self.reranker(question, hits)[: self.k])
            trace.append(Step("rerank", perf_counter() - start, f"the best {len(hits)} kept"))
        if not hits:
            return Answer(question, ABSTAIN, hits, "", trace=tuple(trace))
        start = perf_counter()
        read, left_out = self._within_budget(question, hits)
        prompt = self._write(question, read)
        outcome = f"{len(read)} sources" + (f", {len(left_out)} left out" if left_out else "")
        trace.append(Step("prompt", perf_counter() - start, outcome))
        return Answer(question, ABSTAIN, read, prompt, left_out, trace=tuple(trace))

    def _within_budget(self, question: str, hits: Hits) -> tuple[Hits, Hits]:
        """The hits that fit into the prompt, best first, and those that don't."""
        if self.budget is None:
            return hits, Hits()
        read, left_out = Hits(), Hits()
        for hit in hits:
            beside = read if self.reading == "together" else []
            prompt = self._write(question, [*beside, hit])
            tokens = len(self.generator.encode(prompt))
            (read if tokens <= self.budget else left_out).append(hit)
        if not read:
            raise ValueError(
                f"no source fits into a prompt of {self.budget:,} tokens (with the last one tried it has {tokens:,}): "
                "raise the budget, or cut the documents into smaller passages (chunker=ragedu.text.chunk)"
            )
        return numbered(read), left_out

    def _write(self, question: str, hits: Sequence[Hit]) -> str:
        """The prompt. A blank one would mean that nothing was found, and no model would be asked."""
        prompt = self.prompt(question, [hit.document for hit in hits])
        if not isinstance(prompt, str) or not prompt.strip():
            raise TypeError(f"the prompt function returned {prompt!r:.60}, not a text: does it lack a return?")
        return prompt

    def _choose(self, prepared: list[Answer]) -> list[Answer]:
        """Read each source alone, if so wanted, and leave of the prompt the one source that answers; none, in doubt."""
        if self.reading == "together":
            return prepared
        start = perf_counter()
        alone = [[self._write(answer.question, [hit]) for hit in answer.sources] for answer in prepared]
        flat = [prompt for prompts in alone for prompt in prompts]
        found = self.generator.log_likelihood(flat, [ABSTAIN] * len(flat)) if flat else []
        doubts = iter(one_for_each(flat, found, "log_likelihood"))
        seconds = perf_counter() - start

        def chosen(answer: Answer, prompts: list[str]) -> Answer:
            if not prompts:
                return answer
            # doubts last: zip asks it for as many as this answer has sources, and leaves the rest to the next one
            choices = zip(answer.sources, prompts, doubts, strict=False)
            hit, prompt, doubt = min(choices, key=lambda choice: choice[2])
            sure = doubt <= log(self.doubt) if self.doubt else False
            outcome = f"source {hit.rank}, doubt {exp(doubt):.3f}" + ("" if sure else ": abstains")
            trace = (*answer.trace, Step("choose", seconds, outcome))
            return replace(answer, prompt=prompt if sure else "", cited=hit if sure else None, trace=trace)

        return [chosen(answer, prompts) for answer, prompts in zip(prepared, alone, strict=True)]

    def _one_by_one(self, prompts: list[str]) -> list[str]:
        return [self.generator(prompt) for prompt in prompts]

    def _finish(self, prepared: list[Answer], generate: Callable[[list[str]], list[str]]) -> list[Answer]:
        """Let the model answer those that have a prompt."""
        start = perf_counter()
        asked = [answer for answer in prepared if answer.prompt]
        texts = iter(one_for_each(asked, generate([answer.prompt for answer in asked]) if asked else [], "generate"))
        seconds = perf_counter() - start

        def finished(answer: Answer) -> Answer:
            if not answer.prompt:
                return answer
            text = next(texts)
            if not isinstance(text, str):
                raise TypeError(f"the generator returned a {type(text).__name__}, not a string")
            text = text.strip()
            written = Step("generate", seconds, f"{len(text)} characters")
            cited = None if text == ABSTAIN else answer.cited
            return replace(answer, text=text, cited=cited, trace=(*answer.trace, written))

        return [finished(answer) for answer in prepared]


def numbered(hits: Iterable[Hit]) -> Hits:
    """The hits with the ranks that their order gives them, which is how the prompt numbers its sources."""
    return Hits(hit._replace(rank=rank) for rank, hit in enumerate(hits, start=1))


def one_for_each(prompts: Sequence, results: Any, method: str) -> list:
    """What a method of the generator returned for the prompts, as a list of as many."""
    found = list(results) if isinstance(results, Iterable) and not isinstance(results, str) else []
    if len(found) != len(prompts):
        raise TypeError(
            f"the generator's {method} takes a list of prompts and must return a list with one result for each, "
            f"and not, for {len(prompts)}, {results!r:.60}"
        )
    return found
