"""Retrieval-augmented generation: find sources, put them into the prompt, let a model answer from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from ragedu.corpus import Document, shorten
from ragedu.generation.prompts import ABSTAIN, build_prompt
from ragedu.retrieval.base import Hits, Retriever


@dataclass(frozen=True, slots=True)
class Answer:
    """What a RAG system says, the sources that it was given, and the prompt that held them."""

    question: str
    text: str
    sources: Hits
    prompt: str

    def __str__(self) -> str:
        lines = [self.text, ""]
        for hit in self.sources:
            name = f"{hit.document.title}  ({hit.document.id})" if hit.document.title else hit.document.id
            lines += [f"[{hit.rank}] {name}", f"    {shorten(hit.document.text, 110)}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        sources = "".join(
            f"<li value='{hit.rank}' style='margin:2px 0'><details><summary><b>{escape(hit.document.title)}</b> "
            f"<code>{escape(hit.document.id)}</code>, score {hit.score:.3f}</summary>"
            f"{escape(hit.document.text)}</details></li>"
            for hit in self.sources
        )
        return (
            "<div style='border:1px solid #8888; border-radius:6px; padding:8px 12px; max-width:760px'>"
            f"<div>{escape(self.question)}</div>"
            f"<div style='font-size:1.2em; margin:6px 0'><b>{escape(self.text)}</b></div>"
            f"<div>Sources<ol style='margin:2px 0'>{sources}</ol></div></div>"
        )


class RAG:
    """Answer questions from a corpus.

    retriever: a fitted retriever; generator: any callable from prompt to text, such as a LanguageModel; k: how many
    sources go into the prompt; prompt: a function (question, documents) -> prompt.

    >>> rag = RAG(BM25Retriever().fit(corpus), LanguageModel.load())
    >>> rag.ask("Who keeps the lighthouse?")
    """

    def __init__(
        self,
        retriever: Retriever,
        generator: Callable[[str], str],
        k: int = 3,
        prompt: Callable[[str, Sequence[Document]], str] = build_prompt,
    ) -> None:
        if not callable(generator):
            raise TypeError(
                f"the generator must be callable, from a prompt to a text, not a {type(generator).__name__}: "
                "use LanguageModel.load() or a function of your own"
            )
        self.retriever = retriever
        self.generator = generator
        self.k = k
        self.prompt = prompt

    def ask(self, question: str) -> Answer:
        """Retrieve, prompt, generate. With no source found, no model is asked: it could only invent."""
        hits = self.retriever.search(question, self.k)
        if not hits:
            return Answer(question, ABSTAIN, hits, prompt="")
        prompt = self.prompt(question, [hit.document for hit in hits])
        text = self.generator(prompt)
        if not isinstance(text, str):
            raise TypeError(f"the generator returned a {type(text).__name__}, not a string")
        return Answer(question, text.strip(), hits, prompt)
