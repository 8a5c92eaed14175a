"""The prompt: how retrieved sources and a question become one text for a language model."""

from __future__ import annotations

from collections.abc import Sequence

from ragedu.corpus import Document

INSTRUCTION = "Answer the question with a few words from the sources."


def build_prompt(question: str, sources: Sequence[Document]) -> str:
    """Numbered, fenced sources, then the question.

    Retrieved text is data, not instruction: each source stands between a <source> and a </source>, and a source
    that contains such a tag itself cannot end its own fence, because it is written otherwise there.
    """
    fenced = [_fence(number, source) for number, source in enumerate(sources, start=1)]
    return "\n\n".join([*fenced, f"{INSTRUCTION}\nQuestion: {question}"])


def closed_book_prompt(question: str) -> str:
    """The question alone: what the model says without any source."""
    return f"Answer the question in a few words.\nQuestion: {question}"


def _fence(number: int, source: Document) -> str:
    title = " ".join(source.title.split()).replace('"', "'")
    opening = f'<source id="{number}" title="{title}">' if title else f'<source id="{number}">'
    text = source.text.replace("<source", "‹source").replace("</source", "‹/source")
    return f"{opening}\n{text}\n</source>"
