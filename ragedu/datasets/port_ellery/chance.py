"""Chance that repeats itself: the same seed gives the same archive on every machine.

Of Python's generator only random() is asked for draws, since it yields the same numbers in every version of Python;
choice, sample and shuffle need not. A whole number below n is int(dice.random() * n).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import TypeVar

T = TypeVar("T")


def dice_for(seed: int, number: int, what: str = "page") -> Random:
    """The dice of page `number`. Each page has its own, so that it can be made without those before it."""
    return Random(f"{seed}/{number}/{what}")


def pick(items: Sequence[T], dice: Random) -> T:
    return items[int(dice.random() * len(items))]


@cache
def key_for(seed: int, what: str) -> int:
    """64 bits that make one shuffle differ from another: see permute."""
    return Random(f"{seed}/{what}").getrandbits(64)


def permute(n: int, size: int, key: int) -> int:
    """A shuffle of range(size) that needs no table: where does n go?

    Each step (add, multiply by an odd number, xor with the upper half) can be undone within `bits` bits, so no two
    numbers meet; numbers that fall outside the range go round again until they fall inside ("cycle walking").
    """
    bits = max(size - 1, 1).bit_length()
    mask, half = (1 << bits) - 1, (bits + 1) // 2
    while True:
        for _ in range(3):
            n = (n + key) * 0x9E3779B97F4A7C15 & mask
            n ^= n >> half
        if n < size:
            return n
