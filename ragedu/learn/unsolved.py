"""A measurement that waits for the exercise that it measures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def when_solved() -> Iterator[None]:
    """Do what stands in the block; while an exercise in it is unsolved, say which, and go on below.

    >>> with when_solved():
    ...     print(measure(my_retriever))
    Exercise 00.my_retriever: solve it, then run this cell again.
    """
    try:
        yield
    except NotImplementedError as unsolved:
        if not str(unsolved).startswith("Exercise "):
            raise
        print(f"{unsolved}: solve it, then run this cell again.")
