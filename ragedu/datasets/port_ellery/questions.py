"""Questions of every kind, each with its answers and the documents that support them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
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
    kind: str
    text: str
    answers: list[str]
    documents: list[str]
    metadata: dict[str, Any]


def choose(documents: int, seed: int, edition: int, most: int) -> Iterator[tuple[str, Question]]:
    """At most `most` questions of each kind with their ids, first one from each page, then a second one, …

    Where an entity has one page, its name alone finds the page and a paraphrase proves little, so paraphrases about
    entities with two pages come first.
    """
    rounds: dict[str, dict[int, list[Question]]] = {kind: defaultdict(list) for kind in QUESTION_KINDS}
    seen: set[str] = set()
    key = key_for(seed, "order of questions")
    for position in range(documents):
        count = dict.fromkeys(QUESTION_KINDS, 0)
        for question in _questions(permute(position, documents, key), seed, edition):
            if question.text not in seen:
                seen.add(question.text)
                late = 100 if question.metadata.get("pages") == 1 else 0
                rounds[question.kind][late + count[question.kind]].append(question)
                count[question.kind] += 1
        if all(len(rounds[kind][0]) >= most for kind in QUESTION_KINDS):
            break
    for kind in QUESTION_KINDS:
        chosen = [question for turn in sorted(rounds[kind]) for question in rounds[kind][turn]]
        for number, question in enumerate(chosen[:most]):
            yield f"q-{kind}-{number:05d}", question


def _questions(number: int, seed: int, edition: int) -> Iterator[Question]:
    """Every question about one page. They are the same in both editions but for the answers of the changed kind:
    pages with a changed fact are asked about nothing else."""
    page, document = write(number, seed, edition)
    dice = dice_for(seed, number, "questions")
    ask = partial(_ask, page, dice)
    if page.change is not None:
        relation, value, _ = page.told[page.change]
        yield ask("changed", relation, relation["ask"], _answers(value), [page.id])
        return

    direct = "identifier" if "code" in page.kind else "lookup"
    subject, stems_of_name = subject_of(page.kind, page.name), _stems(page.name)
    stems_of_page = _stems(document.content) - stems_of_name
    for stated in page.told:
        relation, answers = stated.relation, _answers(stated.value)
        yield ask(direct, relation, relation["ask"], answers, [page.id])
        if "inverse" in relation:
            yield ask("identifier", relation, relation["inverse"], _answers(subject), [page.id], value=stated.value)
        paraphrases, pages = relation["paraphrase"], page.kind["pages"]
        question = ask("paraphrase", relation, paraphrases, answers, [page.id], more={"pages": pages})
        said_otherwise = _stems(question.text) - stems_of_name
        if said_otherwise and not said_otherwise & stems_of_page:
            yield question
        if stated.target is not None:
            yield from _two_hop(page, document, stated, seed, edition, dice)

    nobody = name_of(page.kind["slot"], page.block, seed, exists=False)
    unknown = [ask("unanswerable", relation, relation["ask"], [], []) for relation in page.untold]
    relation = pick(page.kind["relation"], dice)
    invented = ask("unanswerable", relation, relation["ask"], [], [], entity=nobody)
    unknown.insert(0 if dice.random() < 0.5 else len(unknown), invented)
    yield from unknown


def _two_hop(
    page: Page, document: Document, first: Statement, seed: int, edition: int, dice: Random
) -> Iterator[Question]:
    """Ask for a fact of the object of `first`, the bridge, which is spoken of only by its relation to this page's
    subject: "In which street does the caretaker of the Old Granary live?" """
    bridge = draw_page(first.target, seed, edition, dice_for(seed, first.target))
    if bridge.change is not None:
        return
    second, value, _ = pick(bridge.told, dice)
    hop = pick_phrasing(first.relation["hop"], page.split, dice)
    called = first.relation["hop"][hop].format(s=subject_of(page.kind, page.name))
    # "the captain of the Grey Heron's" is no English: leave out questions that need a possessive or a pronoun.
    askable = [text for text in second["ask"] if "{p}" not in text and "{his}" not in text]
    if value.lower() in document.content.lower() or share(len(askable), page.split)[0] == len(askable):
        return
    more = {"bridge": bridge.name, "hop": f"{first.relation['name']}/{hop}"}
    documents = [page.id, bridge.id]
    question = _ask(page, dice, "two-hop", second, askable, _answers(value), documents, called=called, more=more)
    # The number of the phrasing among all of them, not among the askable.
    phrasing = second["ask"].index(askable[question.metadata["phrasing"]])
    yield question._replace(metadata=question.metadata | {"phrasing": phrasing})


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
    """Put a question in one of the phrasings of the page's split. It is about the page's entity, or about `entity`
    in its place; `called`: how it speaks of its subject, if not by name; `value`: the object, where it is given."""
    entity = entity or page.name
    phrasing = pick_phrasing(phrasings, page.split, dice)
    forms = forms_of(called or subject_of(page.kind, entity), pronouns_of(page.kind, page.name))
    text = phrasings[phrasing].format(name=entity, x=value, **forms)
    metadata = {"kind": kind, "split": page.split, "relation": relation["name"], "entity": entity, "phrasing": phrasing}
    return Question(kind, text, answers, documents, metadata | (more or {}))


def _answers(value: str) -> list[str]:
    """The object as it stands, and without its article."""
    bare = re.sub(r"^(a|an|the) ", "", value)
    return [value] if bare == value else [value, bare]


def _stems(text: str) -> set[str]:
    """The first three letters of every content word: coarser than any stemmer, so what differs here differs there."""
    return {word[:3] for word in re.findall(r"\w+", text.lower()) if word not in FUNCTION_WORDS}
