"""Prose: the facts of a page become sentences that a clerk might have written.

The sentences say "Captain Orrell", "the captain" and "she" in turn, two of them may be joined, and there are remarks of
no consequence between the facts. No draw depends on the text of an object, so that the two editions of a page differ
only in the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

from ragedu.corpus import Document
from ragedu.datasets.port_ellery.chance import dice_for, pick
from ragedu.datasets.port_ellery.names import subject_of
from ragedu.datasets.port_ellery.pages import Page, Statement, draw_page
from ragedu.datasets.port_ellery.words import Table, links, pick_phrasing, words

_PRONOUNS = {"woman": ("she", "her", "her", "herself"), "man": ("he", "his", "him", "himself")}


def write(number: int, seed: int, edition: int, *, telling: int = 0) -> tuple[Page, Document]:
    """Page `number` and the document that it becomes.

    telling: 1, 2, … gives paraphrases of it, with other sentences in another order.
    """
    dice = dice_for(seed, number)
    page = told = draw_page(number, seed, edition, dice)
    if telling:
        dice = dice_for(seed, number, what=f"telling {telling}")
        told = replace(page, told=sorted(page.told, key=lambda _: dice.random()))
    metadata = {"kind": page.kind["id"], "year": page.year, "split": page.split}
    return page, Document(page.id, _tell(told, dice), page.title, metadata=metadata)


def say(phrasings: list[str], split: str, dice: Random) -> str:
    """One of the phrasings that the split may use."""
    return phrasings[pick_phrasing(phrasings, split, dice)]


Forms = dict[str, str]  # what the blanks of a sentence stand for


def forms_of(called: str, pronouns: Sequence[str], *, pronoun: bool = False) -> Forms:
    """The forms of a subject that is `called` so, or with `pronoun` only "she".

    pronouns: the words for he, his, him, himself.
    """
    he, his, him, himself = pronouns
    possessive = called + ("'" if called.endswith("s") else "'s")
    subject = he if pronoun else called
    return {
        "S": _capital(subject),  # at the beginning of a sentence
        "n": subject,  # within it
        "P": _capital(his if pronoun else possessive),
        "s": called,  # never "she": "of she" would be wrong
        "p": possessive,
        "he": he,
        "his": his,
        "him": him,
        "himself": himself,
        "His": _capital(his),
    }


def pronouns_of(kind: Table, name: str) -> Sequence[str]:
    """The words for he, his, him, himself: those of the kind, or for a person those that go with the first name."""
    if "pronouns" in kind:
        return kind["pronouns"]
    return _PRONOUNS["woman" if name.split(" ", 1)[0] in _women() else "man"]


@cache
def _women() -> frozenset[str]:
    return frozenset(words()["woman"])


def _tell(page: Page, dice: Random) -> str:
    """Write the page: its facts in the order drawn, each in one of the phrasings of its split."""
    writer = _Writer(page, dice)
    writer.open()
    for position, statement in enumerate(page.told):
        writer.state(statement)
        writer.remark(is_last=position == len(page.told) - 1)
    return " ".join(writer.sentences)


class _Writer:
    """Adds sentence after sentence, and remembers what the next one depends on."""

    def __init__(self, page: Page, dice: Random) -> None:
        self.page, self.dice = page, dice
        self.named, self.short, self.pronoun = _ways_to_call(page, dice)
        self.has_few_facts = len(page.told) == 4
        self.sentences: list[str] = []
        self.remarks_left = 2 if self.has_few_facts else 1
        self.last_remark = ""  # none is made twice
        self.has_link = False  # has a sentence begun with "By all accounts, "? Once is enough
        self.is_unclear = False  # did the last sentence name somebody else? "She" might be either
        self.can_be_joined = False  # can the last sentence take another predicate? "She sails east and keeps a cat."

    def open(self) -> None:
        """Perhaps a sentence that introduces the subject."""
        if self.has_few_facts or self.dice.random() < 0.6:
            self.sentences.append(self._say(self.page.kind["opening"]).format_map(self.named))

    def state(self, statement: Statement) -> None:
        """A fact, as a sentence of its own or joined to the last one."""
        template = self._say(statement.relation["says"])
        forms = self._choose_forms()
        is_simple = template.startswith("{S} ") and "," not in template and " and " not in template
        sentence = template.format(x=statement.value, **forms)
        chance = self.dice.random()
        if self.can_be_joined and is_simple and chance < 0.5:
            predicate = template.removeprefix("{S} ").format(x=statement.value, **forms)
            self.sentences[-1] = f"{self.sentences[-1][:-1]} and {predicate}"
            is_simple = False
        elif self.sentences and not self.has_link and chance > 0.8:
            self.sentences.append(self._say(links()) + _after_link(template, sentence, forms))
            self.has_link, is_simple = True, False
        else:
            self.sentences.append(_capital(sentence))
        self.is_unclear = statement.target is not None
        self.can_be_joined = is_simple and not self.is_unclear

    def remark(self, *, is_last: bool) -> None:
        """Perhaps a remark of no consequence about the subject."""
        if self.remarks_left and not self.is_unclear and (is_last or self.dice.random() < 0.3):
            remark = self._say(self.page.kind["colour"])
            if remark != self.last_remark:
                self.sentences.append(remark.format_map(self.pronoun))
                self.last_remark, self.can_be_joined = remark, False
                self.remarks_left -= 1

    def _choose_forms(self) -> Forms:
        """How the sentence speaks of the subject: by name, by the short name, or by a pronoun."""
        chance = self.dice.random()
        if not self.sentences:
            return self.named
        if self.is_unclear:
            return self.named if chance < 0.4 else self.short
        if chance < 0.1:
            return self.named
        return self.short if chance < 0.3 else self.pronoun

    def _say(self, phrasings: list[str]) -> str:
        return say(phrasings, self.page.split, self.dice)


def _ways_to_call(page: Page, dice: Random) -> tuple[Forms, Forms, Forms]:
    """The forms of the subject by its full name, by a short one, and by a pronoun."""
    pronouns = pronouns_of(page.kind, page.name)
    parts = page.name.split(" ")
    short = pick(page.kind["short"], dice).format(first=parts[0], last=parts[-1])
    named = forms_of(subject_of(page.kind, page.name), pronouns)
    return named, forms_of(short, pronouns), forms_of(short, pronouns, pronoun=True)


def _after_link(template: str, sentence: str, forms: Forms) -> str:
    """The sentence without its capital, unless it begins with a name."""
    if template.startswith("{S}"):
        return forms["n"][0] + sentence[1:]
    if template.startswith("{P}") and forms["P"] == _capital(forms["p"]):
        return forms["p"][0] + sentence[1:]
    if template.startswith(("{x}", "Captain")):
        return sentence
    return sentence[0].lower() + sentence[1:]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
