"""Names: the entity of a kind in a block has one name, and no other entity has it.

No table of used names is kept, or the archive could not be of any size. Entity number n takes the name to which a
shuffle of all names sends n, and a shuffle sends no two numbers to one place.
"""

from __future__ import annotations

import re
from functools import cache
from math import prod

from ragedu.datasets.port_ellery.chance import key_for, permute
from ragedu.datasets.port_ellery.words import Table, kinds, split_of, words

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"  # no I, O and Q, too like 1 and 0


def name_of(slot: int, block: int, seed: int, exists: bool = True) -> str:
    """The name of the entity of kind `slot` in a block, or one like it that no entity of any block has."""
    kind = kinds()[slot]
    if "code" in kind:
        return code(kind["code"], block // 3, block % 3 + 3 * (not exists), key_for(seed, kind["id"]))
    names, key = _names(kind["names"]), key_for(seed, kind["names"])
    if not exists:  # even numbers for train, odd for test
        return names.of_nobody(2 * block + (split_of(block) == "test"), key)
    # Mariners and residents, slots 0 and 1, share the names of people.
    return names.of(2 * block + slot if kind["names"] == "people" else block, key)


def subject_of(kind: Table, name: str) -> str:
    """The name as a sentence has it: "the Grey Heron", "permit PE-4471-K"."""
    return kind["subject"].format(name=name)


def code(pattern: str, group: int, member: int, key: int) -> str:
    """An identifier such as PE-4471-K. The members of a group differ in the letter alone: 0, 1 and 2 exist, near
    misses of one another; 3, 4 and 5 are nobody's."""
    few, many = 9_000, 90_000  # numbers of four digits, then of five
    number = 1_000 + permute(group, few, key) if group < few else 10_000 + permute(group - few, many, key)
    letter = _LETTERS[(number * 7 + key + 5 * member) % len(_LETTERS)]
    return pattern.format(number=number, letter=letter)


class _Names:
    """All names of one sort. Once every plain name is given, each is given again with an extra word. A tenth of the
    plain names is never given to anyone: questions about an entity that does not exist take theirs from it."""

    def __init__(self, sort: str) -> None:
        rules = words()["names"][sort]
        self.extra = words()[rules["extra"]]
        self.in_order = rules["extra"] == "numeral"  # II before III
        self.patterns = []
        for plain, again in zip(rules["plain"], rules["again"], strict=True):
            blanks = [(blank, words()[blank]) for blank in re.findall(r"{(\w+)}", plain)]
            self.patterns.append((prod(len(entries) for _, entries in blanks), blanks, plain, again))
        self.size = sum(size for size, *_ in self.patterns)
        self.reserve = self.size // 20 * 2  # even: half for each split
        self.given = self.size - self.reserve

    def of(self, number: int, key: int) -> str:
        cycle, n = divmod(number, self.given)
        return self._compose(permute(n, self.size, key), cycle)

    def of_nobody(self, number: int, key: int) -> str:
        return self._compose(permute(self.given + number % self.reserve, self.size, key), 0)

    def _compose(self, n: int, cycle: int) -> str:
        """Plain name n, or in a later cycle the same with an extra word."""
        rest = n
        for size, blanks, plain, again in self.patterns:  # noqa: B007
            if rest < size:
                break
            rest -= size
        parts = {}
        for blank, entries in blanks:
            rest, which = divmod(rest, len(entries))
            parts[blank] = entries[which]
        if not cycle:
            return plain.format_map(parts)
        turn = 0 if self.in_order else n  # so that one cycle does not give everyone the same extra word
        parts["extra"] = self.extra[(cycle - 1 + turn) % len(self.extra)]
        return again.format_map(parts)


@cache
def _names(sort: str) -> _Names:
    return _Names(sort)
