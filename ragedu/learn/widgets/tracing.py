"""RAG trace: a question on its way through retrieval, prompt and model, and the answer with what supports it."""

from __future__ import annotations

from ipywidgets import Layout, Text

from ragedu.answer import Answer
from ragedu.evaluation.answers import is_abstention
from ragedu.evaluation.support import support
from ragedu.learn.widgets.marks import bar, count, excerpt, mark_words, stands_for
from ragedu.learn.widgets.panel import Panel
from ragedu.rag import RAG
from ragedu.retrieval.base import decimals, name_of
from ragedu.showing import escape, table
from ragedu.text import Analyzer


def rag_trace(rag: RAG, question: str) -> Panel:
    """Type a question and see every step: what was found, what went into the prompt and how full it is, and the answer.

    The RAG is a fitted one. Words of the answer that stand in the source that supports it best are bold and underlined,
    there and in the answer. The steps show their seconds, so the cell's output differs from run to run.
    """
    box = Text(question, description="question", continuous_update=False, layout=Layout(width="95%"))

    def show(question: str) -> str:
        answer = rag.ask(question)
        return trace(answer, budget=budget_of(rag), tokens=tokens_of(rag, answer.prompt))

    return Panel({"question": box}, show)


def tokens_of(rag: RAG, prompt: str) -> int | None:
    """The number of the prompt's tokens, as the generator counts them; None when it doesn't."""
    encode = getattr(rag.generator, "encode", None)
    return len(encode(prompt)) if encode and prompt else None


def budget_of(rag: RAG) -> int | None:
    """The most tokens that a prompt may have: the budget, or else the model's context; None when neither is known."""
    if rag.budget:
        return rag.budget
    context = getattr(rag.generator, "context_length", None)
    return context if isinstance(context, int) else None


def trace(answer: Answer, *, budget: int | None = None, tokens: int | None = None) -> str:
    """An Answer as HTML: the answer, its sources, the prompt, the steps.

    `budget` is the most tokens that the prompt may have, and `tokens` how many it has, where these are known.
    """
    return _answer(answer) + _sources(answer) + _prompt(answer.prompt, budget, tokens) + _steps(answer)


def _supporting(answer: Answer) -> tuple[set[str], int | None]:
    """The answer's terms, and the number of the source that supports them best."""
    if is_abstention(answer.text):
        return set(), None
    return set(Analyzer()(answer.text)), support(answer.text, answer.sources).source


def _answer(answer: Answer) -> str:
    terms, number = _supporting(answer)
    if number is None:
        remark = "It abstains." if is_abstention(answer.text) else "No word of it stands in a source: likely invented."
        return f"<p>Answer: <strong>{escape(answer.text) or '(nothing)'}</strong><br>{remark}</p>"
    found = support(answer.text, answer.sources)
    in_source = terms & set(Analyzer()(answer.sources[number - 1].document.content))
    text = mark_words(answer.text, stands_for(Analyzer(), in_source))
    literal = ", word by word" if found.contained else ""
    words = f"{found.share:.0%} of its content words stand in source {number}{literal} (<b><u>underlined</u></b>)."
    return f"<p>Answer: {text}<br>{words} This does not prove it right.</p>"


def _sources(answer: Answer) -> str:
    if not answer.sources:
        return "<p>No source was found, so the model was not asked.</p>"
    terms, number = _supporting(answer)
    rows, digits = [], decimals(answer.sources)
    for place, hit in enumerate(answer.sources, start=1):
        marks = stands_for(Analyzer(), terms if place == number else ())
        remark = "read"
        if answer.cited:
            remark = "✓ cited" if hit.rank == answer.cited.rank else "read alone, not chosen"
        text = mark_words(excerpt(hit.document.text, marks, 400), marks)
        rows.append([f"[{hit.rank}]", f"{hit.score:.{digits}f}", remark, f"{name_of(hit)}<br>{text}"])
    for hit in answer.left_out:
        rows.append(["–", f"{hit.score:.{digits}f}", "✗ omitted: over the budget", name_of(hit)])
    return table(["source", "score", "", "document"], rows, numbers=(0, 1))


def _prompt(prompt: str, budget: int | None, tokens: int | None) -> str:
    if not prompt:
        return ""
    size = count(len(prompt.split()), "word") if tokens is None else count(tokens, "token")
    if tokens is not None and budget:
        size += f" of {budget:,} <code>{bar(tokens, budget):·<20}</code>"
    text = f"<pre style='white-space:pre-wrap'>{escape(prompt)}</pre>"
    return f"<details><summary>Prompt: {size}</summary>{text}</details>"


def _steps(answer: Answer) -> str:
    rows = [[escape(step.name), escape(step.outcome), f"{step.seconds:.3f}"] for step in answer.trace]
    return table(["step", "what came of it", "seconds"], rows, numbers=(2,))
