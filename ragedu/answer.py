"""What a RAG system says: the answer with its sources, its prompt, and the steps that led to it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from time import perf_counter
from typing import NamedTuple

from ragedu.corpus import shorten
from ragedu.retrieval.base import Hit, Hits, name_of, written_scores
from ragedu.showing import block, escape, one_line, visible


class Step(NamedTuple):
    """One step on the way to an answer: its name, how long it took, and what came of it."""

    name: str
    seconds: float
    outcome: str


class Trace(list[Step]):
    """The steps so far."""

    def add(self, name: str, started: float, outcome: str) -> None:
        """Note a step that has just ended and that began at `started`, a value of perf_counter()."""
        self.append(Step(name, perf_counter() - started, outcome))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a RAG system says, the sources that it was given, and the prompt that held them.

    Attributes
    ----------
    question, text : str
        What was asked, and what was answered: "Not in the sources." where the system abstains.
    sources : Hits
        The documents that the model was given.
    prompt : str
        What the model was asked; empty when no model was, because nothing was found or every source left doubt.
    left_out : Hits
        Sources that were found and omitted, because the prompt's budget was spent.
    cited : Hit or None
        The source from which the answer was read, where sources are read one by one.
    trace : tuple of Step
        Every step with its time; of `ask_many`, the time of all questions together.
    """

    question: str
    text: str
    sources: Hits
    prompt: str
    _: KW_ONLY
    left_out: Hits = field(default_factory=Hits)
    cited: Hit | None = None
    trace: tuple[Step, ...] = ()

    def __str__(self) -> str:
        text = block(self.text)
        lines = [f"{text} [{self.cited.rank}]" if self.cited else text, ""]
        for hit in self.sources:
            title, id = one_line(hit.document.title), one_line(hit.document.id)
            lines += [f"[{hit.rank}] {f'{title}  ({id})' if title else id}"]
            lines += [f"    {visible(shorten(hit.document.text, 110))}"]
        if self.left_out:
            lines.append(f"omitted, over the budget: {', '.join(one_line(hit.document.id) for hit in self.left_out)}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A card for Jupyter: the question, the answer, and the sources, each to be unfolded."""
        cited = f" [{self.cited.rank}]" if self.cited else ""
        omitted = ", ".join(map(name_of, self.left_out))
        sources = "".join(map(_source, self.sources, written_scores(self.sources)))
        return (
            "<div style='border:1px solid #8888;border-radius:6px;padding:8px 12px;max-width:760px;overflow-x:auto'>"
            f"<div>{escape(self.question)}</div>"
            f"<div style='font-size:1.2em; margin:6px 0'><b>{escape(self.text)}</b>{cited}</div>"
            f"<div>Sources<ol style='margin:2px 0'>{sources}</ol></div>"
            f"{f'<div>Omitted, over the budget: {omitted}</div>' if omitted else ''}</div>"
        )


def _source(hit: Hit, score: str) -> str:
    summary = f"<summary>{name_of(hit)}, score {score}</summary>"
    return f"<li value='{hit.rank}' style='margin:2px 0'><details>{summary}{escape(hit.document.text)}</details></li>"
