"""What an exercise is, and where to find one by its name."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module

import numpy as np

import ragedu.learn.exercises

RANDOM_CASES = 10
OPEN_PROBLEMS = (
    "00.my_retriever",
    "01.my_analyzer",
    "02.my_analyzer",
    "03.encode",
    "03.score",
    "04.learn",
    "05.compress",
    "06.my_score",
    "07.classify",
    "08.learn",
)


@dataclass(frozen=True)
class Exercise:
    """One exercise: what the learner's function is compared with, and what is known about getting it wrong.

    Parameters
    ----------
    name
        Its lesson and the name of the learner's function, as in "02.idf".
    title
        Its heading in the notebook.
    minutes
        How long a learner needs.
    reference
        Computes the right answer; its parameters are named as in the learner's stub.
    cases
        Arguments small enough to follow with a pencil, tried first, in this order.
    random_case
        A function from a random generator to more arguments.
    mistakes
        {what to tell the learner: a function that makes this mistake}.
    hints
        Three, each a step further, none the solution.
    seconds
        How long one call may take.
    """

    name: str
    title: str
    minutes: int
    reference: Callable
    cases: Sequence[tuple]
    random_case: Callable[[np.random.Generator], tuple]
    mistakes: Mapping[str, Callable]
    hints: tuple[str, str, str]
    seconds: float = field(default=3.0, kw_only=True)

    def all_cases(self) -> list[tuple]:
        """The worked cases, then the random ones, which are the same on every machine."""
        return [*self.cases, *(self.random_case(np.random.default_rng(seed)) for seed in range(RANDOM_CASES))]


def lessons() -> list[str]:
    """The numbers of the lessons that have exercises: "00", "01", …"""
    modules = pkgutil.iter_modules(ragedu.learn.exercises.__path__)
    return sorted(module.name.removeprefix("lesson_") for module in modules)


def exercises_of(lesson: str) -> dict[str, Exercise]:
    """{name: exercise} of one lesson, in the order of its notebook."""
    module = import_module(f"ragedu.learn.exercises.lesson_{lesson}")
    return {exercise.name: exercise for exercise in module.EXERCISES}


def find(name: str) -> Exercise:
    """The exercise called `name`, such as "02.idf".

    Raises KeyError, with the nearest names, when there is no such exercise, and TypeError when `name` is no string.
    """
    if not isinstance(name, str):
        raise TypeError(f'an exercise is named by a string such as "02.idf", not by {name!r:.60}')
    if name in OPEN_PROBLEMS:
        raise UnknownExercise(
            f"{name} is an open problem: it has no check and no hints. Its measure is in the cell below it."
        )
    lesson = name.partition(".")[0]
    known = exercises_of(lesson) if lesson in lessons() else {}
    if name in known:
        return known[name]
    names = [name for lesson in lessons() for name in exercises_of(lesson)]
    near = get_close_matches(name, names, n=3, cutoff=0.5) or list(known) or [f"{lesson}.…" for lesson in lessons()]
    raise UnknownExercise(f"there is no exercise {name!r}; did you mean {' or '.join(near)}?")


class UnknownExercise(KeyError):
    """A KeyError that shows its message as it is, without the quotes that KeyError puts around it."""

    def __str__(self) -> str:
        return self.args[0]
