"""The prompt: how retrieved sources and a question become one text for a language model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from ragedu.corpus import Document

ABSTAIN = "Not in the sources."  # what a trained reader says when the sources do not hold the answer
INSTRUCTION = "Answer the question with a few words from the sources."

# The beginning of a tag that looks like the fence's own, however it is written: "</source>", "< / SOURCE >", …
FENCE_TAG = re.compile(r"<(?=\s*/?\s*source)", re.IGNORECASE)


class Generator(Protocol):
    """Whatever turns a prompt into a text: a LanguageModel, or any function from a string to a string."""

    def __call__(self, prompt: str, /) -> str: ...


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
    title = FENCE_TAG.sub("‹", " ".join(source.title.split())).replace('"', "'")
    opening = f'<source id="{number}" title="{title}">' if title else f'<source id="{number}">'
    return f"{opening}\n{FENCE_TAG.sub('‹', source.text)}\n</source>"
