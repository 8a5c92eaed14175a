"""Chance that repeats itself: the same seed gives the same archive on every machine.

Of Python's generator only random() draws, because it yields the same numbers in every version of Python, which choice,
sample and shuffle do not promise. A whole number below n is int(dice.random() * n).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import TypeVar

T = TypeVar("T")


def dice_for(seed: int, number: int, *, what: str = "page") -> Random:
    """The random generator of page `number`. Each page has its own, so that it can be made without those before it."""
    return Random(f"{seed}/{number}/{what}")


def pick(items: Sequence[T], dice: Random) -> T:
    """One of the items, all equally likely."""
    return items[int(dice.random() * len(items))]


@cache
def key_for(seed: int, what: str) -> int:
    """64 bits that make one shuffle differ from another: see `permute`."""
    return Random(f"{seed}/{what}").getrandbits(64)


def permute(n: int, size: int, key: int) -> int:
    """The place of n in a shuffle of range(size) that needs no table.

    Each step (add, multiply by an odd number, xor with the upper half) can be undone within `bits` bits, so that no two
    numbers get the same place. A number that falls outside the range is shuffled again until it falls inside, which is
    called cycle walking (Black and Rogaway 2002).
    """
    bits = max(size - 1, 1).bit_length()
    mask, half = (1 << bits) - 1, (bits + 1) // 2
    while True:
        for _ in range(3):
            n = (n + key) * 0x9E3779B97F4A7C15 & mask
            n ^= n >> half
        if n < size:
            return n
