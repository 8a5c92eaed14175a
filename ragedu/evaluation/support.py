"""Support and causes: does the answer stand in the sources, and which part of the system lost the wrong ones?"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from html import escape
from typing import NamedTuple

from ragedu.corpus import Document
from ragedu.evaluation.answers import exact_match, normalise
from ragedu.retrieval.base import Hit
from ragedu.text import Analyzer

# Quotes, dashes and dots beyond ASCII, which SQuAD's rule would take for letters.
TYPOGRAPHIC = re.compile(r"[«»\u2010-\u205e\u3001-\u301f]")


class Support(NamedTuple):
    """share: of the answer's content words, how many stand in the best source, 0 to 1; contained: whether the whole
    answer stands there, word by word; source: the number of that source, from 1 as in the prompt, or None."""

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
    terms = _analyzer()
    if not terms(answer):
        terms = _analyzer().words
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
    predictions: Mapping[str, str],
    answers: Mapping[str, Sequence[str]],
    retrieved: Mapping[str, Iterable[str | Document | Hit]],
    qrels: Mapping[str, Mapping[str, int]],
    need: str = "any",
    is_right: Callable[[str, Sequence[str]], bool] = exact_match,
) -> Diagnosis:
    """Of the wrong answers, how many did retrieval lose and how many did reading lose?

    predictions: {query id: text}, answers: {query id: acceptable answers}, as in `answer_scores`; a question without
    a prediction is wrong. retrieved: {query id: what was in the prompt}, as ids, documents or hits; a run will do. A
    passage that `ragedu.text.chunk` has cut stands for its document too.
    qrels: {query id: {document id: grade}}. need: "any" relevant document, or "all", as two-hop questions do.
    is_right: when an answer counts as right, yes or no.

    A question without acceptable answers can't be lost by retrieval: it is right (an abstention) or invented. Raises
    ValueError for other questions without a relevant document in qrels: of these nobody can tell.
    """
    if need not in ("any", "all"):
        raise ValueError(f'need must be "any" or "all" of the relevant documents, not {need!r}')
    outcomes, not_judged = Diagnosis(), []
    for query_id, acceptable in answers.items():
        right = is_right(predictions[query_id], acceptable) if query_id in predictions else False
        if right not in (0, 1):
            raise ValueError(
                f"is_right must say yes or no, not {right!r} (query {query_id!r}): give a threshold, as in "
                "is_right=lambda text, answers: f1(text, answers) >= 0.5"
            )
        relevant = {document_id for document_id, grade in qrels.get(query_id, {}).items() if grade > 0}
        present = relevant & {id for source in retrieved.get(query_id, ()) for id in _ids(source)}
        found = bool(present) and (need == "any" or present == relevant)
        if not any(map(normalise, acceptable)):
            outcomes[query_id] = "right" if right else "invented"
        elif not relevant:
            not_judged.append(query_id)
        elif right:
            outcomes[query_id] = "right" if found else "right without source"
        else:
            outcomes[query_id] = "lost by reading" if found else "lost by retrieval"
    if not_judged:
        raise ValueError(
            f"{len(not_judged):,} questions that have answers have no relevant document in qrels, such as "
            f"{not_judged[0]!r}: nobody can tell what retrieval should have found; leave them out of answers"
        )
    return outcomes


def cut_from(document: Document) -> str:
    """The id of the document that a passage was cut from, as `ragedu.text.chunk` writes it down; else its own."""
    return str(document.metadata.get("document", document.id))


def _ids(source: str | Document | Hit) -> set[str]:
    """Judgments may speak of the passage, or of its document."""
    if isinstance(source, Hit):
        source = source.document
    return {source.id, cut_from(source)} if isinstance(source, Document) else {source}
