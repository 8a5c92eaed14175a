"""Support and causes: is the answer in the sources, and which part of the system lost the wrong ones?"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from ragedu.corpus import Dataset, Document
from ragedu.evaluation.answers import exact_match, normalise
from ragedu.evaluation.result import Result
from ragedu.retrieval.base import Hit
from ragedu.showing import escape
from ragedu.text import Analyzer

# Quotes, dashes and dots beyond ASCII, which SQuAD's rule takes for letters.
TYPOGRAPHIC = re.compile(r"[«»\u2010-\u205e\u3001-\u301f]")


class Support(NamedTuple):
    """How far the best source supports an answer.

    Attributes
    ----------
    share
        Of the answer's content words, how many are in that source, 0 to 1.
    contained
        Whether the whole answer is there, word by word.
    source
        The number of that source, from 1 as in the prompt, or None.
    """

    share: float
    contained: bool
    source: int | None


def support(answer: str, sources: Sequence[str | Document | Hit]) -> Support:
    """Is the answer in the sources? The best single source counts: words from several prove nothing together.

    sources: texts, documents or hits, such as `answer.sources`. Words are compared as retrieval compares them (stop
    words left out, stemmed); an answer of stop words alone is compared in all its words. `contained` compares
    as exact match does, without case, punctuation (typographic quotes and dashes too) and articles. Titles count as
    part of a source.

    What it can't see: whether the answer is right, or answers this question (the name of another person on the page is
    fully supported); a "not"; who did what to whom; that 17 and seventeen are the same. It is a cheap alarm for
    inventions, and no proof. An abstention claims nothing and has no support: ask `is_abstention` first.
    """
    if isinstance(sources, str | Document):
        raise TypeError("sources is a list of texts, documents or hits, not one: put it in [ ]")
    texts = [_text(source) for source in sources]
    terms = _analyzer() if _analyzer()(answer) else _analyzer().words
    claimed, words = set(terms(answer)), _plain(answer)
    best = Support(0.0, False, None)
    for number, text in enumerate(texts, start=1):
        share = len(claimed & set(terms(text))) / len(claimed) if claimed else 0.0
        contained = bool(words) and f" {words} " in f" {_plain(text)} "
        if (contained, share) > (best.contained, best.share):
            best = Support(share, contained, number)
    return best


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace("’", "'")
    return normalise(TYPOGRAPHIC.sub(" ", text))


@cache
def _analyzer() -> Analyzer:
    return Analyzer()


def _text(source: str | Document | Hit) -> str:
    if isinstance(source, Hit):
        source = source.document
    if isinstance(source, Document):
        return source.content
    if isinstance(source, str):
        return source
    raise TypeError(f"a source is a text, a document or a hit, not a {type(source).__name__}")


OUTCOMES = {
    "right": "right",
    "right without source": "right, though retrieval missed",
    "lost by retrieval": "wrong, and the sources lacked it",
    "lost by reading": "wrong, with the right source in the prompt",
    "invented": "answered, though nothing can answer it",
}


class Diagnosis(dict[str, str]):
    """{query id: outcome}, an outcome being one of OUTCOMES; shows itself as a count of each."""

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(self.values())
        return {outcome: counted[outcome] for outcome in OUTCOMES}

    def __repr__(self) -> str:
        rows = [f"{n:>5}  {outcome:<20}  {OUTCOMES[outcome]}" for outcome, n in self.counts.items()]
        return "\n".join([*rows, f"{len(self):>5}  questions"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{n}</td><td style='text-align:left'>{outcome}</td>"
            f"<td style='text-align:left'>{escape(OUTCOMES[outcome])}</td></tr>"
            for outcome, n in self.counts.items()
        )
        header = "<tr><th>questions</th><th style='text-align:left'>outcome</th><th></th></tr>"
        return (
            f"<table>{header}{rows}<tr><td>{len(self)}</td><td style='text-align:left'>all</td><td></td></tr></table>"
        )


def diagnose(
    result: Result,
    dataset: Dataset,
    *,
    need: str = "any",
    is_right: Callable[[str, Sequence[str]], float] = exact_match,
) -> Diagnosis:
    """Of the wrong answers, how many did retrieval lose and how many did reading lose?

    A question without acceptable answers can't be lost by retrieval: it is right (an abstention) or invented. One that
    was asked and has no prediction is wrong; those that an unfinished result lacks are left out.

    Parameters
    ----------
    result
        What `evaluate_answers` returned: its `answers`, and as its `run` the sources that were in the prompt. Of a
        system that shows no sources, retrieval has lost every wrong answer.
    dataset
        The questions, with acceptable answers and relevance judgments.
    need
        What must have been among the sources: "any" relevant document, or "all", as two-hop questions need.
    is_right
        When an answer counts as right, yes or no.

    Raises
    ------
    ValueError
        For questions that have answers but no relevant document: of these nobody can tell. And for an `is_right` that
        says neither yes nor no.
    """
    if need not in ("any", "all"):
        raise ValueError(f'need must be "any" or "all" of the relevant documents, not {need!r}')
    if not result.answers:
        raise ValueError("the result has no answers: diagnose what evaluate_answers has returned")
    asked = [query_id for query_id in dataset.answers if query_id in result.answers or not result.unfinished]
    answerable = {query_id: any(map(normalise, dataset.answers[query_id])) for query_id in asked}
    _check_judged([query_id for query_id in asked if answerable[query_id]], dataset)
    outcomes = Diagnosis()
    for query_id in asked:
        right = _is_right(query_id, result, dataset, is_right)
        if not answerable[query_id]:
            outcomes[query_id] = "right" if right else "invented"
        elif _is_found(query_id, result, dataset, need):
            outcomes[query_id] = "right" if right else "lost by reading"
        else:
            outcomes[query_id] = "right without source" if right else "lost by retrieval"
    return outcomes


def _check_judged(query_ids: Sequence[str], dataset: Dataset) -> None:
    not_judged = [query_id for query_id in query_ids if not _relevant(query_id, dataset)]
    if not_judged:
        raise ValueError(
            f"{len(not_judged):,} questions that have answers have no relevant document in qrels, such as "
            f"{not_judged[0]!r}: nobody can tell what retrieval should have found; leave them out with dataset.select"
        )


def _relevant(query_id: str, dataset: Dataset) -> set[str]:
    return {document_id for document_id, grade in dataset.qrels.get(query_id, {}).items() if grade > 0}


def _is_found(query_id: str, result: Result, dataset: Dataset, need: str) -> bool:
    relevant = _relevant(query_id, dataset)
    found = relevant & result.run.get(query_id, {}).keys()
    return found == relevant if need == "all" else bool(found)


def _is_right(query_id: str, result: Result, dataset: Dataset, is_right: Callable[[str, Sequence[str]], float]) -> bool:
    if query_id not in result.answers:
        return False
    right = is_right(result.answers[query_id], dataset.answers[query_id])
    if right not in (0, 1):
        raise ValueError(
            f"is_right must say yes or no, not {right!r} (query {query_id!r}): give a threshold, as in "
            "is_right=lambda text, answers: f1(text, answers) >= 0.5"
        )
    return bool(right)


def cut_from(document: Document) -> str:
    """The id of the document that a passage was cut from, as `ragedu.text.chunk` writes it down; else its own."""
    return str(document.metadata.get("document", document.id))
