"""Names: the entity of a kind in a block has one name, and no other entity has it.

No table of used names is kept, so that the archive may have any size. Entity number n takes the name at the place of n
in a shuffle of all names, and in a shuffle no two numbers have the same place.
"""

from __future__ import annotations

import re
from functools import cache
from math import prod
from typing import NamedTuple

from ragedu.datasets.port_ellery.chance import key_for, permute
from ragedu.datasets.port_ellery.words import Table, kinds, split_of, words

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"  # no I, O and Q, which look like 1 and 0
_FOUR_DIGITS, _FIVE_DIGITS = 9_000, 90_000  # how many numbers have this many digits


def name_of(slot: int, block: int, seed: int, *, exists: bool = True) -> str:
    """The name of the entity of kind `slot` in a block, or a similar one that no entity of any block has."""
    kind = kinds()[slot]
    if "code" in kind:
        member = block % 3 if exists else block % 3 + 3
        return code(kind["code"], block // 3, member, key_for(seed, kind["id"]))
    names, key = _names(kind["names"]), key_for(seed, kind["names"])
    if not exists:
        for_test = split_of(block) == "test"
        return names.of_nobody(2 * block + for_test, key)  # even numbers for train, odd ones for test
    # Mariners and residents, slots 0 and 1, share the names of people.
    return names.of(2 * block + slot if kind["names"] == "people" else block, key)


def subject_of(kind: Table, name: str) -> str:
    """The name as a sentence has it: "the Grey Heron", "permit PE-4471-K"."""
    return kind["subject"].format(name=name)


def code(pattern: str, group: int, member: int, key: int) -> str:
    """An identifier such as PE-4471-K. The members of a group differ only in the letter.

    Members 0, 1 and 2 exist, near misses of one another; 3, 4 and 5 belong to nobody.
    """
    if group < _FOUR_DIGITS:
        number = 1_000 + permute(group, _FOUR_DIGITS, key)
    else:
        number = 10_000 + permute(group - _FOUR_DIGITS, _FIVE_DIGITS, key)
    letter = _LETTERS[(number * 7 + key + 5 * member) % len(_LETTERS)]
    return pattern.format(number=number, letter=letter)


class _Pattern(NamedTuple):
    """A way to compose names: what each {blank} may be, and how many names that makes."""

    plain: str
    with_extra_word: str
    blanks: list[tuple[str, list[str]]]
    size: int


class _Names:
    """All names of one sort, people's or ships'.

    Once every plain name is given, each is given again with an extra word. A tenth of the plain names is never given to
    anyone: questions about an entity that does not exist take their names from it.
    """

    def __init__(self, sort: str) -> None:
        rules = words()["names"][sort]
        self.extra = words()[rules["extra"]]
        self.in_order = rules["extra"] == "numeral"  # II before III
        self.patterns = []
        for plain, again in zip(rules["plain"], rules["again"], strict=True):
            blanks = [(blank, words()[blank]) for blank in re.findall(r"{(\w+)}", plain)]
            self.patterns.append(_Pattern(plain, again, blanks, prod(len(entries) for _, entries in blanks)))
        self.size = sum(pattern.size for pattern in self.patterns)
        self.reserve = self.size // 20 * 2  # even: half for each split
        self.given = self.size - self.reserve

    def of(self, number: int, key: int) -> str:
        """The name of entity `number`."""
        cycle, n = divmod(number, self.given)
        return self._compose(permute(n, self.size, key), cycle)

    def of_nobody(self, number: int, key: int) -> str:
        """A name from the reserve."""
        return self._compose(permute(self.given + number % self.reserve, self.size, key), 0)

    def _compose(self, n: int, cycle: int) -> str:
        """Plain name n, or in a later cycle the same with an extra word."""
        pattern, rest = self._pattern_of(n)
        parts = {}
        for blank, entries in pattern.blanks:
            rest, which = divmod(rest, len(entries))
            parts[blank] = entries[which]
        if cycle == 0:
            return pattern.plain.format_map(parts)
        shift = 0 if self.in_order else n  # so that one cycle does not give everyone the same extra word
        parts["extra"] = self.extra[(cycle - 1 + shift) % len(self.extra)]
        return pattern.with_extra_word.format_map(parts)

    def _pattern_of(self, n: int) -> tuple[_Pattern, int]:
        """The pattern of plain name n, and the number of the name within the pattern."""
        for pattern in self.patterns:
            if n < pattern.size:
                return pattern, n
            n -= pattern.size
        raise IndexError("there are fewer names")


@cache
def _names(sort: str) -> _Names:
    return _Names(sort)
