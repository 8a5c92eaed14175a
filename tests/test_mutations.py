"""No exercise accepts a wrong function: its reference and its solution are mutated, and `check` has to refuse them."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice

import pytest
from exercise_inputs import other_inputs
from mutating import mutants_of_source, sources_of
from right_solutions import RIGHT
from test_exercises import EXERCISES, notebook, own_function, source

from ragedu.learn.check import check, try_all_cases
from ragedu.learn.comparing import difference
from ragedu.learn.exercise import Exercise
from ragedu.learn.running import Call, TimeIsUp, call_here, quiet

SECONDS = 0.3
SAMPLE = (0, 3)  # of every five mutants these are tried in `make test`; all of them take a minute


def call_in_time(function: Callable, arguments: tuple, seconds: float = SECONDS) -> Call:
    """What `call` of `check` does, in this thread: a signal ends a mutant that never would."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        return call_here(function, arguments)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Call(error=error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def ring(*_: object) -> None:
    raise TimeIsUp


@dataclass
class Found:
    """What came of the mutants of one exercise."""

    wrong: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)  # they agree on every input
    unexplained: list[str] = field(default_factory=list)


def mutants_of(
    exercise: Exercise, *, chosen: Callable[[int], bool] = lambda number: True
) -> Iterator[tuple[str, Callable]]:
    """Of the reference, and of the solution in the notebook."""
    text, namespace = sources_of(exercise.reference)
    for label, mutant in mutants_of_source(text, exercise.reference.__name__, namespace, chosen=chosen):
        yield f"{exercise.name} (reference) {label}", mutant
    lesson = exercise.name[:2]
    solution = own_function(exercise, solved=True)
    cell = next(cell for cell in source(lesson).cells if f"def {solution.__name__}(" in cell.text)
    code = source(lesson).solution_code(cell)
    for label, mutant in mutants_of_source(code, solution.__name__, notebook(lesson, solved=True), chosen=chosen):
        yield f"{exercise.name} (solution) {label}", mutant


def differs_somewhere(mutant: Callable, inputs: list[tuple]) -> tuple | None:
    for arguments, right in inputs:
        outcome = call_in_time(mutant, arguments)
        if outcome.error or outcome.changed or difference(outcome.value, right):
            return arguments
    return None


def try_mutants(exercise: Exercise, mutants: Iterable[tuple[str, Callable]], n_inputs: int = 500) -> Found:
    found, inputs = Found(), None
    with quiet(), in_this_thread():
        for label, mutant in mutants:
            card = try_all_cases(exercise, mutant)
            if card:
                if inputs is None:
                    inputs = [(each, exercise.reference(*deepcopy(each))) for each in other_inputs(exercise, n_inputs)]
                if (arguments := differs_somewhere(mutant, inputs)) is None:
                    found.dropped.append(label)
                    continue
                found.accepted.append(f"{label}: {arguments!r:.300}")
            found.wrong.append(label)
            if "likely reason" in dict(card.findings):
                found.explained.append(label)
            else:
                found.unexplained.append(f"{label}: {dict(card.findings)!r:.300}")
    return found


@contextmanager
def in_this_thread() -> Iterator[None]:
    """`check` without a thread for each call, and what it knows of an exercise computed once."""
    module, before = sys.modules["ragedu.learn.check"], signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "call", call_in_time)
            patch.setattr(module, "what_is_known", once_for_each(module.what_is_known))
            patch.setattr(Exercise, "all_cases", once_for_each(Exercise.all_cases))
            yield
    finally:
        signal.signal(signal.SIGALRM, before)


def once_for_each(function: Callable) -> Callable:
    known: dict = {}

    def computed_once(exercise: Exercise, *arguments: object) -> object:
        if exercise.name not in known:
            known[exercise.name] = function(exercise, *arguments)
        return known[exercise.name]

    return computed_once


each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
needs_signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="ends endless mutants by a signal")
SAMPLED: dict[str, Found] = {}


@needs_signals
@each_exercise
def test_no_exercise_accepts_a_mutant(exercise):
    sample = mutants_of(exercise, chosen=lambda number: number % 5 in SAMPLE)
    found = SAMPLED[exercise.name] = try_mutants(exercise, sample)
    assert not found.accepted, "\n".join(found.accepted)


@needs_signals
def test_totals(capsys):
    if len(SAMPLED) < len(EXERCISES):
        pytest.skip("the totals are those of all exercises: run the whole file")
    wrong, explained = show_totals(SAMPLED, capsys)
    assert wrong >= 1000 and explained >= 0.7 * wrong


@needs_signals
@pytest.mark.slow
def test_no_exercise_accepts_any_mutant(capsys):
    found = {exercise.name: try_mutants(exercise, mutants_of(exercise), 1500) for exercise in EXERCISES}
    wrong, explained = show_totals(found, capsys)
    accepted = [label for one in found.values() for label in one.accepted]
    assert not accepted, "\n".join(accepted)
    assert wrong >= 1000 and explained >= 0.7 * wrong


def show_totals(found: dict[str, Found], capsys) -> tuple[int, int]:
    wrong, explained, accepted = (
        sum(len(getattr(one, part)) for one in found.values()) for part in ("wrong", "explained", "accepted")
    )
    dropped = [label for one in found.values() for label in one.dropped]
    with capsys.disabled():
        print(f"\n{wrong} mutants, {accepted} accepted; a reason for {explained} ({explained / wrong:.0%})")
        print(f"{len(dropped)} agree with the reference on all inputs and are dropped:", *dropped, sep="\n  ")
    return wrong, explained


@each_exercise
def test_the_real_check_says_the_same_of_a_mutant(exercise):
    """With its threads and its clock: one mutant of each exercise."""
    label, mutant = next(islice(mutants_of(exercise), 2, None))
    with quiet(), in_this_thread():
        meant = try_all_cases(exercise, mutant)
    assert repr(check(exercise.name, mutant)) == repr(meant), label


@each_exercise
def test_other_inputs_are_others_and_valid(exercise):
    inputs = other_inputs(exercise)
    assert len(inputs) >= 500
    assert len({repr(each) for each in inputs}) >= min(250, len({repr(each) for each in inputs}))
    solution = own_function(exercise, solved=True)
    for arguments in inputs:
        assert not difference(solution(*deepcopy(arguments)), exercise.reference(*deepcopy(arguments))), arguments


def solutions() -> list:
    return [(name, function) for name, functions in RIGHT.items() for function in functions]


@pytest.mark.parametrize("name, function", solutions(), ids=lambda value: getattr(value, "__name__", value))
def test_right_solutions_in_other_forms_are_accepted(name, function):
    card = check(name, function)
    assert card, card


def test_every_exercise_has_right_solutions_in_five_forms():
    for exercise in EXERCISES:
        assert len(RIGHT.get(exercise.name, [])) >= 5, exercise.name
