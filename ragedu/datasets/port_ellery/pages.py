"""Pages before they are written: which facts a page states, and which of them edition 2 states differently."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from random import Random
from typing import NamedTuple

from ragedu.datasets.port_ellery.chance import key_for, pick
from ragedu.datasets.port_ellery.names import code, name_of, subject_of
from ragedu.datasets.port_ellery.words import KINDS, Table, kinds, split_of, words

CHANGED_SHARE = 0.15  # of the pages state one fact differently in edition 2
WINDOW_BLOCKS = 6  # of its own split: how far back a page looks for someone to mention

_BLANK = re.compile(r"{(\w+)}")
_A_VOWEL = re.compile(r"\ba (?=[aeio])")


class Statement(NamedTuple):
    """One fact of a page: the `relation` of the page's subject is `value`.

    target: the number of the page about `value`, or None where `value` is not an entity.
    """

    relation: Table
    value: str
    target: int | None


@dataclass(slots=True)
class Page:
    """What a page will say.

    Attributes
    ----------
    number, block
        Its position in the archive, and the block that it belongs to, both counted from 0.
    kind
        The table of its kind.
    split
        "train" or "test".
    name, year
        The entity that it is about, and when it was written.
    told
        The facts that it states.
    untold
        The relations that it says nothing about.
    change
        Which of `told` the two editions state differently, or None.
    """

    number: int
    kind: Table
    block: int
    split: str
    name: str
    year: int
    _: KW_ONLY
    told: list[Statement] = field(default_factory=list)
    untold: list[Table] = field(default_factory=list)
    change: int | None = None

    @property
    def id(self) -> str:
        return f"{self.kind['id']}-{self.block:06d}"

    @property
    def title(self) -> str:
        return self.kind["title"].format(name=self.name)


def draw_page(number: int, seed: int, edition: int, dice: Random) -> Page:
    """The facts of page `number`, drawn with its dice (see chance.dice_for).

    The draws are the same for both editions, and the same dice then say how the page is written, so that both editions
    use the same sentences.
    """
    block, slot = divmod(number, len(KINDS))
    kind = kinds()[slot]
    year = 1868 + int(dice.random() * 64)
    name = name_of(kind["slot"], block, seed)
    page = Page(number, kind, block, split_of(block), name, year, untold=list(kind["relation"]))
    for _ in range(4 + int(dice.random() * 3)):
        relation = page.untold.pop(int(dice.random() * len(page.untold)))
        page.told.append(_state(relation, page, seed, dice))
    if dice.random() < CHANGED_SHARE:
        _change(page, seed, edition, dice)
    return page


def _change(page: Page, seed: int, edition: int, dice: Random) -> None:
    """Choose one stated fact that may change and draw its new object, which edition 2 states."""
    candidates = [i for i, stated in enumerate(page.told) if stated.relation.get("changes")]
    if not candidates:
        return
    which = pick(candidates, dice)
    before = page.told[which]
    for _ in range(20):  # the first blocks have so few people that there may be no other object
        after = _state(before.relation, page, seed, dice)
        if after.value != before.value:
            page.change = which
            if edition == 2:
                page.told[which] = after
            return


def _state(relation: Table, page: Page, seed: int, dice: Random) -> Statement:
    """Draw the object of a relation."""
    if relation["target"] is not None:
        return _mention(relation, page, seed, dice)
    if "code" in relation:
        key = key_for(seed, relation["name"])
        return Statement(relation, code(relation["code"], page.block // 3, page.block % 3, key), None)
    value = pick(relation["values"], dice)
    if "{" in value:
        value = _BLANK.sub(lambda match: _fill(match[1], page, dice), value)
        value = _A_VOWEL.sub("an ", value)
    return Statement(relation, value, None)


def _mention(relation: Table, page: Page, seed: int, dice: Random) -> Statement:
    """An entity of the page's own block or of an earlier one; every third block is of the same split."""
    slot = relation["target"]
    block = page.block - 3 * int(dice.random() * min(WINDOW_BLOCKS, page.block // 3 + 1))
    value = subject_of(kinds()[slot], name_of(slot, block, seed))
    return Statement(relation, value, block * len(KINDS) + slot)


def _fill(blank: str, page: Page, dice: Random) -> str:
    if blank == "year":
        return str(page.year)
    if blank == "past":
        return str(page.year - 4 - int(dice.random() * 45))
    return pick(words()[blank], dice)
