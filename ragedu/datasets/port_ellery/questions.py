"""Questions of every kind, each with its answers and the documents that support them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from random import Random
from typing import Any, NamedTuple

from ragedu.corpus import Document
from ragedu.datasets.port_ellery.chance import dice_for, key_for, permute, pick
from ragedu.datasets.port_ellery.names import name_of, subject_of
from ragedu.datasets.port_ellery.pages import Page, Statement, draw_page
from ragedu.datasets.port_ellery.prose import forms_of, pronouns_of, write
from ragedu.datasets.port_ellery.words import Table, pick_phrasing, share

QUESTION_KINDS = ("lookup", "paraphrase", "identifier", "two-hop", "unanswerable", "changed")

FUNCTION_WORDS = frozenset(
    "a an the and or but if of in on at by for from to with into as is was were are be been being has have had do "
    "does did can may must would should will one what which who whom whose when where why how it its she he her his "
    "him they them their this that these those there no not so than then up out off over under while after before "
    "behind through during between".split()
)


class Question(NamedTuple):
    """documents: the ids of those that support the answers."""

    kind: str
    text: str
    answers: list[str]
    documents: list[str]
    metadata: dict[str, Any]


def choose(documents: int, seed: int, edition: int, most: int) -> Iterator[tuple[str, Question]]:
    """At most `most` questions of each kind with their ids: first one from each page, then a second one from each, …

    Paraphrases about entities with two pages come first. Where an entity has one page, its name alone finds the page,
    and a paraphrase proves little.
    """
    found: dict[str, list[tuple[_Turn, Question]]] = {kind: [] for kind in QUESTION_KINDS}
    firsts: Counter[str] = Counter()  # how many questions of each kind are of the first turn
    seen: set[str] = set()
    key = key_for(seed, "order of questions")
    for position in range(documents):
        on_this_page: Counter[str] = Counter()
        for question in _questions(permute(position, documents, key), seed, edition):
            if question.text in seen:
                continue
            seen.add(question.text)
            turn = _Turn(question.metadata.get("pages") == 1, on_this_page[question.kind])
            found[question.kind].append((turn, question))
            on_this_page[question.kind] += 1
            firsts[question.kind] += turn == _Turn(False, 0)
        if all(firsts[kind] >= most for kind in QUESTION_KINDS):
            break
    for kind, questions in found.items():
        in_turns = sorted(questions, key=itemgetter(0))
        for number, (_, question) in enumerate(in_turns[:most]):
            yield f"q-{kind}-{number:05d}", question


class _Turn(NamedTuple):
    """Questions of an earlier turn are chosen before those of a later one."""

    is_late: bool
    number_on_page: int


def _questions(number: int, seed: int, edition: int) -> Iterator[Question]:
    """Every question about one page.

    They are the same in both editions but for the answers of the changed kind: a page with a changed fact is asked
    about nothing else.
    """
    page, document = write(number, seed, edition)
    dice = dice_for(seed, number, what="questions")
    if page.change is not None:
        relation, value, _ = page.told[page.change]
        yield _ask(page, dice, "changed", relation, relation["ask"], _answers(value), [page.id])
        return
    for statement in page.told:
        yield from _direct(page, statement, dice)
        yield from _paraphrase(page, document, statement, dice)
        if statement.target is not None:
            yield from _two_hop(page, document, statement, statement.target, seed, edition, dice)
    yield from _unanswerable(page, seed, dice)


def _direct(page: Page, statement: Statement, dice: Random) -> Iterator[Question]:
    """Ask for the object in the words of the page, and for the subject where the object identifies it."""
    relation = statement.relation
    kind = "identifier" if "code" in page.kind else "lookup"
    yield _ask(page, dice, kind, relation, relation["ask"], _answers(statement.value), [page.id])
    if "inverse" in relation:
        answers = _answers(subject_of(page.kind, page.name))
        yield _ask(page, dice, "identifier", relation, relation["inverse"], answers, [page.id], value=statement.value)


def _paraphrase(page: Page, document: Document, statement: Statement, dice: Random) -> Iterator[Question]:
    """Ask for the object in other words, if no word but the name is in the page."""
    relation = statement.relation
    more = {"pages": page.kind["pages"]}
    answers = _answers(statement.value)
    question = _ask(page, dice, "paraphrase", relation, relation["paraphrase"], answers, [page.id], more=more)
    stems_of_name = _stems(page.name)
    stems_of_question = _stems(question.text) - stems_of_name
    stems_of_page = _stems(document.content) - stems_of_name
    if stems_of_question and not stems_of_question & stems_of_page:
        yield question


def _two_hop(
    page: Page, document: Document, first: Statement, target: int, seed: int, edition: int, dice: Random
) -> Iterator[Question]:
    """Ask for a fact of the object of `first`, the bridge, which is spoken of only by its relation to this page's
    subject: "In which street does the caretaker of the Old Granary live?"

    target: the number of the page about the bridge.
    """
    bridge = draw_page(target, seed, edition, dice_for(seed, target))
    if bridge.change is not None:
        return
    second, value, _ = pick(bridge.told, dice)
    hop = pick_phrasing(first.relation["hop"], page.split, dice)
    called = first.relation["hop"][hop].format(s=subject_of(page.kind, page.name))
    # "the captain of the Grey Heron's" is not English: leave out questions that need a possessive or a pronoun.
    askable = [text for text in second["ask"] if "{p}" not in text and "{his}" not in text]
    is_in_this_page = value.lower() in document.content.lower()
    if is_in_this_page or share(len(askable), page.split)[0] == len(askable):
        return
    more = {"bridge": bridge.name, "hop": f"{first.relation['name']}/{hop}"}
    documents = [page.id, bridge.id]
    question = _ask(page, dice, "two-hop", second, askable, _answers(value), documents, called=called, more=more)
    # The number of the phrasing among all of them, not among the askable.
    phrasing = second["ask"].index(askable[question.metadata["phrasing"]])
    yield question._replace(metadata=question.metadata | {"phrasing": phrasing})


def _unanswerable(page: Page, seed: int, dice: Random) -> Iterator[Question]:
    """Ask for what the page says nothing about, and about an entity that does not exist, first or last."""
    questions = [_ask(page, dice, "unanswerable", relation, relation["ask"], [], []) for relation in page.untold]
    nobody = name_of(page.kind["slot"], page.block, seed, exists=False)
    relation = pick(page.kind["relation"], dice)
    invented = _ask(page, dice, "unanswerable", relation, relation["ask"], [], [], entity=nobody)
    comes_first = dice.random() < 0.5
    yield from [invented, *questions] if comes_first else [*questions, invented]


def _ask(
    page: Page,
    dice: Random,
    kind: str,
    relation: Table,
    phrasings: list[str],
    answers: list[str],
    documents: list[str],
    *,
    entity: str | None = None,
    called: str | None = None,
    value: str = "",
    more: dict[str, Any] | None = None,
) -> Question:
    """A question in one of the phrasings of the page's split.

    Parameters
    ----------
    kind, answers, documents
        Of the question.
    entity
        What the question is about; by default the page's entity.
    called
        How the question speaks of its subject; by default by its name.
    value
        The object of the relation, where the question gives it.
    more
        More metadata.
    """
    entity = entity or page.name
    phrasing = pick_phrasing(phrasings, page.split, dice)
    forms = forms_of(called or subject_of(page.kind, entity), pronouns_of(page.kind, page.name))
    text = phrasings[phrasing].format(name=entity, x=value, **forms)
    metadata = {"kind": kind, "split": page.split, "relation": relation["name"], "entity": entity, "phrasing": phrasing}
    return Question(kind, text, answers, documents, metadata | (more or {}))


def _answers(value: str) -> list[str]:
    """The object as the page states it, and without its article."""
    bare = re.sub(r"^(a|an|the) ", "", value)
    return [value] if bare == value else [value, bare]


def _stems(text: str) -> set[str]:
    """The first three letters of every content word: coarser than any stemmer, so what differs here differs there."""
    return {word[:3] for word in re.findall(r"\w+", text.lower()) if word not in FUNCTION_WORDS}
