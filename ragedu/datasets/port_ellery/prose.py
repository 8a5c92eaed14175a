"""Prose: the facts of a page become sentences that a clerk might have written.

The sentences say "Captain Orrell", "the captain" and "she" in turn, two of them may become one, and remarks of no
consequence stand between the facts. The dice are never asked about an object's text, so the two editions of a page
differ in the object alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

from ragedu.corpus import Document
from ragedu.datasets.port_ellery.chance import dice_for, pick
from ragedu.datasets.port_ellery.names import subject_of
from ragedu.datasets.port_ellery.pages import Page, draw_page
from ragedu.datasets.port_ellery.words import Table, links, pick_phrasing, words

_PRONOUNS = {"woman": ("she", "her", "her", "herself"), "man": ("he", "his", "him", "himself")}


def write(number: int, seed: int, edition: int, telling: int = 0) -> tuple[Page, Document]:
    """Page `number` and the document that it becomes; in another telling, in other sentences and another order."""
    dice = dice_for(seed, number)
    page = told = draw_page(number, seed, edition, dice)
    if telling:
        dice = dice_for(seed, number, f"telling {telling}")
        told = replace(page, told=sorted(page.told, key=lambda _: dice.random()))
    metadata = {"kind": page.kind["id"], "year": page.year, "split": page.split}
    return page, Document(page.id, _tell(told, dice), page.title, metadata)


def say(phrasings: list[str], split: str, dice: Random) -> str:
    """One of the phrasings that the split may use."""
    return phrasings[pick_phrasing(phrasings, split, dice)]


def forms_of(called: str, pronouns: Sequence[str], pronoun: bool = False) -> dict[str, str]:
    """What the blanks of a sentence stand for when its subject is `called` so, or with `pronoun` "she"."""
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
    """The words for he, his, him, himself: those of the kind, or for a person those that the first name tells."""
    if "pronouns" in kind:
        return kind["pronouns"]
    return _PRONOUNS["woman" if name.split(" ", 1)[0] in _women() else "man"]


@cache
def _women() -> frozenset[str]:
    return frozenset(words()["woman"])


def _tell(page: Page, dice: Random) -> str:
    """Write the page: its facts in the order drawn, each in one of the phrasings of its split."""
    named, short, pronoun = _ways_to_call(page, dice)
    few = len(page.told) == 4
    sentences: list[str] = []
    if few or dice.random() < 0.6:
        sentences.append(say(page.kind["opening"], page.split, dice).format_map(named))

    asides = 2 if few else 1  # so many more remarks may be made
    said = None  # the last of them: none is made twice
    linked = False  # has a sentence begun with "By all accounts, "? Once is enough
    unclear = False  # did the last sentence name somebody else? "She" might be either
    joinable = False  # can the last sentence take another predicate? "She sails east" "and keeps a cat."
    for position, (relation, value, target) in enumerate(page.told):
        template = say(relation["says"], page.split, dice)
        chance = dice.random()
        if not sentences:
            forms = named
        elif unclear:
            forms = named if chance < 0.4 else short
        else:
            forms = named if chance < 0.1 else short if chance < 0.3 else pronoun
        sentence = template.format(x=value, **forms)
        simple = template.startswith("{S} ") and "," not in template and " and " not in template

        chance = dice.random()
        if joinable and simple and chance < 0.5:
            predicate = template.removeprefix("{S} ").format(x=value, **forms)
            sentences[-1] = f"{sentences[-1][:-1]} and {predicate}"
            simple = False
        elif sentences and not linked and chance > 0.8:
            sentences.append(say(links(), page.split, dice) + _after_link(template, sentence, forms))
            linked, simple = True, False
        else:
            sentences.append(_capital(sentence))
        unclear = target is not None
        joinable = simple and not unclear

        last = position == len(page.told) - 1
        if asides and not unclear and (last or dice.random() < 0.3):
            aside = say(page.kind["colour"], page.split, dice)
            if aside != said:
                sentences.append(aside.format_map(pronoun))
                said, joinable = aside, False
                asides -= 1
    return " ".join(sentences)


def _ways_to_call(page: Page, dice: Random) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """The forms of the subject by its full name, by a short one, and by a pronoun."""
    pronouns = pronouns_of(page.kind, page.name)
    parts = page.name.split(" ")
    short = pick(page.kind["short"], dice).format(first=parts[0], last=parts[-1])
    named = forms_of(subject_of(page.kind, page.name), pronouns)
    return named, forms_of(short, pronouns), forms_of(short, pronouns, pronoun=True)


def _after_link(template: str, sentence: str, forms: dict[str, str]) -> str:
    """The sentence without its capital, unless it begins with a name."""
    if template.startswith("{S}"):
        return forms["n"][0] + sentence[1:]
    if template.startswith("{P}") and forms["P"] == _capital(forms["p"]):
        return forms["p"][0] + sentence[1:]
    return sentence if template.startswith(("{x}", "Captain")) else sentence[0].lower() + sentence[1:]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
