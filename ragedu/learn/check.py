"""Exercises that check themselves: `check("02.idf", idf)` tries the learner's function and says what it found.

The exercises are data, one file a lesson (exercises/lesson_02.py, …). This file says what is done with them: the
function is called on every case up to the first that goes wrong, and the likeliest reason is sought among the mistakes
that are known.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import PurePath
from traceback import FrameSummary
from typing import Any

import numpy as np

from ragedu.learn.card import Card
from ragedu.learn.cells import failed_definition
from ragedu.learn.comparing import difference, kind, reason, show, written
from ragedu.learn.exercise import Exercise, UnknownExercise, find
from ragedu.learn.index_page import write_page
from ragedu.learn.progress import note
from ragedu.learn.reasons import common_ground, exact_relation, nothing_computed, reason_of_error, relation
from ragedu.learn.running import Call, TimeIsUp, call, call_here, cut, is_cell, message, own_line, quiet

MAX_CALL_CHARACTERS = 600
RUN_OF_ALL_CELLS_SECONDS = 1.0  # nobody reads a card and asks for a hint within it

hints_given: dict[str, int] = {}
found_unwritten: dict[str, float] = {}  # when `check` last found an exercise unwritten


def check(name: str, function: object) -> Card:
    """Try your function on the cases of an exercise, as in check("02.idf", idf).

    Returns a card that says what came of it, and that is true when every case was right. Nothing that you give it
    raises an error: neither a wrong function nor a misspelt name.
    """
    try:
        exercise = find(name)
    except (UnknownExercise, TypeError) as error:
        return unknown(error)
    if not callable(function):
        own = name.partition(".")[2]
        advice = f'Give the function itself, without brackets behind its name: `check("{name}", {own})`'
        return Card(f"✗ {name}: this is {kind(function)}, not a function", closing=advice)
    if failed := failed_definition(function):
        advice = f"Mend the cell, run it, and check again. It has a {failed}."
        return Card(f"✗ {name}: the cell with your latest lines did not run; this function is older", closing=advice)
    with quiet():  # comparing odd values may warn, too
        card = try_all_cases(exercise, function)
    if card.title.startswith("…"):
        found_unwritten[name] = time.monotonic()
    else:
        keep(name, card.passed)
    return card


def keep(name: str, passed: bool) -> None:
    """Note the try at the learner's desk. Whatever goes wrong there is no concern of the exercise."""
    desk = note(name, passed=passed)
    if desk and passed:
        with suppress(Exception):
            write_page(desk)


def unknown(error: Exception) -> Card:
    said = str(error)
    return Card(f"✗ {said[:1].upper()}{said[1:]}")


def try_all_cases(exercise: Exercise, function: Callable) -> Card:
    """Up to the first case that goes wrong."""
    name, cases = exercise.name, exercise.all_cases()
    for position, arguments in enumerate(cases):
        if complaint := wrong_signature(exercise, function, arguments):
            return Card(f"✗ {name}: it cannot be called", closing=complaint)
        outcome = call(function, arguments, exercise.seconds)
        expected = exercise.reference(*deepcopy(arguments))
        if stub := unwritten(outcome.error):
            if stub != name:
                return Card(f"… {name}: it calls exercise {stub}, which is not yet written")
            advice = "Write your lines instead of `raise NotImplementedError(…)`."
            return Card(f"… {name}: not yet written", closing=f"{advice} {offer_hint(name)}")
        if outcome.error or outcome.changed or difference(outcome.value, expected):
            findings = describe(exercise, function, position, outcome, expected)
            with suppress(Exception):  # values of a learner's own class may fail at being compared
                if likely := likely_reason(exercise, function, cases, position, outcome, expected):
                    findings.append(("likely reason", likely))
            where = f"{position} case{'s' * (position != 1)} right, then this" if position else "the first case"
            return Card(f"✗ {name}: not yet right ({where})", findings=findings, closing=offer_hint(name))
    return Card(f"✓ {name}: right in all {len(cases)} cases", passed=True)


def hint(name: str) -> Card:
    """The next of three hints for an exercise, each a step further; after the third, all of them again.

    When all cells of a notebook are run, `hint` follows at once upon the `check` of an unwritten exercise. That is
    nobody asking, and no hint is given.
    """
    try:
        exercise = find(name)
    except (UnknownExercise, TypeError) as error:
        return unknown(error)
    since = time.monotonic() - found_unwritten.pop(name, -float("inf"))
    if since < RUN_OF_ALL_CELLS_SECONDS and not hints_given.get(name):
        return Card(f"{name}: {len(exercise.hints)} hints wait here", closing="Run this cell again for the first.")
    given = hints_given[name] = hints_given.get(name, 0) + 1
    if given > len(exercise.hints):
        all_of_them = [(str(number), text) for number, text in enumerate(exercise.hints, start=1)]
        return Card(f"{name}: there are no more hints", findings=all_of_them)
    return Card(f"{name}: hint {given} of {len(exercise.hints)}", closing=exercise.hints[given - 1])


def offer_hint(name: str) -> str:
    return f'Stuck? Press Esc, then B for a new cell, and run `hint("{name}")`'


def unwritten(error: BaseException | None) -> str:
    """The exercise whose stub raised this error; empty for every other error, other NotImplementedErrors included."""
    said = message(error) if type(error) is NotImplementedError else ""
    return said.removeprefix("Exercise ") if said.startswith("Exercise ") else ""


def wrong_signature(exercise: Exercise, function: Callable, arguments: tuple) -> str:
    """Why the function does not take these arguments; empty when it does."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        wanted = ", ".join(inspect.signature(exercise.reference).parameters)
        return f"The exercise calls it with {len(arguments)} arguments, ({wanted}), and your function says: {error}."
    except ValueError:  # a function written in C may not tell its signature
        pass
    return ""


def describe(
    exercise: Exercise, function: Callable, position: int, outcome: Call, expected: Any
) -> list[tuple[str, str]]:
    """What was called, what came, and what should have come."""
    findings = describe_call(exercise, function, position)
    if isinstance(outcome.error, TimeIsUp):
        findings.append(("it returned", f"nothing: it was stopped after {exercise.seconds:g} seconds"))
    elif outcome.error:
        findings.append(("it raised", f"{type(outcome.error).__name__}: {message(outcome.error)}"))
    elif not outcome.changed:
        differs = difference(outcome.value, expected)
        # Two numbers that differ and look the same are shown with all their digits.
        digits = 17 if "differ" in differs and show(outcome.value) == show(expected) else 5
        findings.append(("it returned", show(outcome.value, digits=digits)))
        findings.append(("expected", show(expected, digits=digits)))
        findings.append(("difference", differs))
    if outcome.error and (line := own_line(outcome.error, function)):
        findings.append(("your line", describe_line(line)))
    if outcome.changed:
        names = list(inspect.signature(exercise.reference).parameters)
        changed = ", ".join(names[number] for number in outcome.changed)
        findings.append(("it changed", f"{changed}, which belongs to whoever called your function"))
    if printed := outcome.printed.strip():
        findings.append(("it printed", cut(printed)))
    return findings


def describe_call(exercise: Exercise, function: Callable, position: int) -> list[tuple[str, str]]:
    """The call as code that can be pasted into a cell; where that is too long, or no code, how to make it again."""
    called = getattr(function, "__name__", "").replace("<lambda>", "") or exercise.name.partition(".")[2]
    arguments = exercise.all_cases()[position]
    try:
        code = f"{called}({', '.join(map(written, arguments))})"
    except ValueError:  # a function among the arguments
        code = ""
    if not code or len(code) > MAX_CALL_CHARACTERS:
        again = f'from ragedu.learn.exercise import find\n{called}(*find("{exercise.name}").all_cases()[{position}])'
        return [("called", f"{called}({', '.join(map(show, arguments))})"), ("to repeat it", again)]
    knows_numpy = getattr(function, "__globals__", {}).get("np") is np
    return [("called", code if knows_numpy or "np." not in code else f"import numpy as np\n{code}")]


def describe_line(line: FrameSummary) -> str:
    in_a_file = line.filename.endswith(".py") and not is_cell(line)
    place = PurePath(line.filename).name if in_a_file else "the cell"
    return f"line {line.lineno} of {place}:  {line.line}"


def likely_reason(
    exercise: Exercise, function: Callable, cases: list[tuple], position: int, outcome: Call, expected: Any
) -> str:
    """A sentence on what may have gone wrong; empty when nothing fits."""
    if outcome.still_running:
        return (
            "It waits, or is inside one very long call. It could not be stopped and still runs in the background: "
            "fix it, and restart the kernel."
        )
    if isinstance(outcome.error, TimeIsUp):
        return (
            f"It takes more than {exercise.seconds:g} seconds, and should take a moment: does a loop never end (what "
            "makes its condition false?), or is something computed again and again?"
        )
    outcomes = all_outcomes(exercise, function, cases, position, outcome)
    right, mistakes = what_is_known(exercise, cases)
    if outcomes and (sentence := reason_of_outcomes(exercise, cases, outcomes, mistakes, right, position)):
        return sentence
    if isinstance(outcome.error, RecursionError):
        return "The function calls itself without end: which call should return without calling again?"
    if outcome.error:
        return reason_of_error(outcome.error, message(outcome.error))
    if outcome.changed:
        return "Something like x += 1, x[0] = 1, x.append(1) or x.sort() changes the argument itself: work on a copy."
    if outcome.value is None and all(value is not None for value in right):  # else None may be meant
        return "For these arguments it gave None: does every branch that should give a value reach a `return`?"
    if not outcomes:
        return reason(outcome.value, expected)
    return (
        exact_relation(pairs_of(outcomes, right))
        or reason_that_holds(outcomes, right, position)
        or likelier_mistake(mistakes, outcomes, right, position)
        or reason_of_all(exercise, cases, outcomes, right)
        or mistake_here(mistakes, outcomes[position], position)
    )


def what_is_known(exercise: Exercise, cases: list[tuple]) -> tuple[list[Any], dict[str, list[Call]]]:
    """The right value of every case, and what each of the known mistakes makes of it."""
    right = [exercise.reference(*deepcopy(arguments)) for arguments in cases]
    return right, {
        sentence: [call_here(mistake, arguments) for arguments in cases]
        for sentence, mistake in exercise.mistakes.items()
    }


def all_outcomes(
    exercise: Exercise, function: Callable, cases: list[tuple], position: int, outcome: Call
) -> list[Call]:
    """What the function does in every case; nothing when one of them takes too long."""
    outcomes = []
    for number, arguments in enumerate(cases):
        outcomes.append(outcome if number == position else call(function, arguments, exercise.seconds))
        if isinstance(outcomes[-1].error, TimeIsUp):
            return []
    return outcomes


def reason_of_outcomes(
    exercise: Exercise,
    cases: list[tuple],
    outcomes: list[Call],
    mistakes: dict[str, list[Call]],
    right: Sequence[Any],
    position: int,
) -> str:
    """A known mistake, if the function does the same or nearly; before the latter, what is plain without it."""
    sentence, agrees = known_mistake(mistakes, outcomes, position)
    if agrees == len(outcomes):
        return sentence
    if all(alike(outcome, Call()) for outcome in outcomes):
        return "The function does not `return` its result (printing is not returning)."
    names = list(inspect.signature(exercise.reference).parameters)
    if all(outcome.value is not None and not outcome.changed for outcome in outcomes) and (
        plain := nothing_computed(names, cases, pairs_of(outcomes, right))
    ):
        return plain
    return sentence if agrees > 0.75 * len(outcomes) else ""


def known_mistake(mistakes: dict[str, list[Call]], outcomes: list[Call], position: int) -> tuple[str, int]:
    """What the exercise says about the mistake that does most nearly what the function does, and in how many cases.

    On one small case several mistakes may come to the same, so all cases are compared. The mistake must agree with the
    function on the case that went wrong.
    """
    best, most = "", 0
    for sentence, its in mistakes.items():
        agrees = list(map(alike, its, outcomes))
        if agrees[position] and sum(agrees) > most:
            best, most = sentence, sum(agrees)
    return best, most


def reason_that_holds(outcomes: list[Call], right: Sequence[Any], position: int) -> str:
    """What the numbers of this case say, unless those of another case that went wrong contradict it."""
    said = reason(outcomes[position].value, right[position])
    others = [reason(*pair) for pair in pairs_of(outcomes, right) if difference(*pair) and np.size(pair[1]) > 1]
    alike_so_far = sum(other[:20] == said[:20] for other in others)
    return said if "nan" in said or 2 * alike_so_far >= len(others) else ""


def likelier_mistake(mistakes: dict[str, list[Call]], outcomes: list[Call], right: Sequence[Any], position: int) -> str:
    """The same for a function with two mistakes: the one that explains most of what goes wrong, a third at least.

    It counts for a mistake where both come to the same wrong result, and against it where it alone is wrong.
    """
    wrong = [is_wrong(outcome, value) for outcome, value in zip(outcomes, right, strict=True)]
    best, most = "", sum(wrong) / 3
    for sentence, its in mistakes.items():
        its_wrong = [is_wrong(one, value) for one, value in zip(its, right, strict=True)]
        agrees = list(map(alike, its, outcomes))
        explained = sum(a and b for a, b in zip(agrees, wrong, strict=True))
        contradicted = sum(a and not b for a, b in zip(its_wrong, wrong, strict=True))
        if agrees[position] and explained - contradicted > most:
            best, most = sentence, explained - contradicted
    return best


def mistake_here(mistakes: dict[str, list[Call]], outcome: Call, position: int) -> str:
    """A known mistake that comes to the same in the case that is shown, though not in others: it may be one of two.

    Two mistakes can have the same yes, 0, 1 or empty list by chance, and a longer result hardly ever.
    """
    by_chance = (
        isinstance(outcome.value, bool | str)
        or not np.size(outcome.value)
        or bool(np.all(np.isin(outcome.value, (0, 1))))
    )
    same = [] if by_chance else [sentence for sentence, its in mistakes.items() if alike(its[position], outcome)]
    return f"There may be two mistakes. One that gives the same result here: {same[0]}" if same else ""


def reason_of_all(exercise: Exercise, cases: list[tuple], outcomes: list[Call], right: Sequence[Any]) -> str:
    """What all cases say together."""
    wrong = [is_wrong(outcome, value) for outcome, value in zip(outcomes, right, strict=True)]
    names = list(inspect.signature(exercise.reference).parameters)
    return relation(pairs_of(outcomes, right)) or common_ground(names, cases, wrong)


def pairs_of(outcomes: list[Call], right: Sequence[Any]) -> list[tuple[Any, Any]]:
    """(what came, what should have come) in every case that gave a value."""
    return [(outcome.value, value) for outcome, value in zip(outcomes, right, strict=True) if not outcome.error]


def is_wrong(outcome: Call, right: Any) -> bool:
    return bool(outcome.error or outcome.changed or difference(outcome.value, right))


def alike(a: Call, b: Call) -> bool:
    if a.error or b.error:
        return type(a.error) is type(b.error)
    return a.changed == b.changed and not difference(a.value, b.value)
