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
from ragedu.learn.reasons import common_ground, reason_of_error, relation
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
        advice = f'Give the function itself, without brackets behind its name: check("{name}", {own})'
        return Card(f"✗ {name}: this is {kind(function)}, not a function", closing=advice)
    if failed := failed_definition(function):
        advice = f"Mend the cell, run it, and check again. It has a {failed}."
        return Card(f"✗ {name}: the cell with your latest lines did not run; this function is older", closing=advice)
    with quiet():  # comparing odd values may warn, too
        card = try_all_cases(exercise, function)
    if card.title.startswith("…"):
        found_unwritten[name] = time.monotonic()
    return card


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
    return f'Stuck? hint("{name}")'


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
    if outcomes and (sentence := known_mistake(mistakes, outcomes, position)):
        return sentence
    if isinstance(outcome.error, RecursionError):
        return "The function calls itself without end: which call should return without calling again?"
    if outcome.error:
        return reason_of_error(outcome.error, message(outcome.error))
    if outcome.changed:
        return "Something like x += 1, x[0] = 1, x.append(1) or x.sort() changes the argument itself: work on a copy."
    if outcome.value is None:
        if all(alike(each, outcome) for each in outcomes):
            return "The function does not `return` its result (printing is not returning)."
        if all(value is not None for value in right):  # else None may be meant
            return "For these arguments it gave None: does every branch that should give a value reach a `return`?"
    if sentence := reason(outcome.value, expected):
        return sentence
    if not outcomes:
        return ""
    return likelier_mistake(mistakes, outcomes, right, position) or reason_of_all(exercise, cases, outcomes, right)


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


def known_mistake(mistakes: dict[str, list[Call]], outcomes: list[Call], position: int) -> str:
    """What the exercise says about the mistake that does most nearly what the learner's function does.

    On one small case several mistakes may come to the same, so all cases are compared. The mistake must agree with the
    function on the case that went wrong, and on three of four in all.
    """
    best, most = "", 0.75 * len(outcomes)
    for sentence, its in mistakes.items():
        agrees = list(map(alike, its, outcomes))
        if agrees[position] and sum(agrees) > most:
            best, most = sentence, sum(agrees)
    return best


def likelier_mistake(mistakes: dict[str, list[Call]], outcomes: list[Call], right: Sequence[Any], position: int) -> str:
    """The same for a function with two mistakes: the one that explains most of what goes wrong.

    It counts for a mistake where both come to the same wrong result, and against it where it alone is wrong.
    """
    best, most = "", 0
    wrong = [is_wrong(outcome, value) for outcome, value in zip(outcomes, right, strict=True)]
    for sentence, its in mistakes.items():
        its_wrong = [is_wrong(one, value) for one, value in zip(its, right, strict=True)]
        agrees = list(map(alike, its, outcomes))
        explained = sum(a and b for a, b in zip(agrees, wrong, strict=True))
        contradicted = sum(a and not b for a, b in zip(its_wrong, wrong, strict=True))
        if agrees[position] and explained - contradicted > most:
            best, most = sentence, explained - contradicted
    return best


def reason_of_all(exercise: Exercise, cases: list[tuple], outcomes: list[Call], right: Sequence[Any]) -> str:
    """What all cases say together."""
    wrong = [is_wrong(outcome, value) for outcome, value in zip(outcomes, right, strict=True)]
    values = [(outcome.value, value) for outcome, value in zip(outcomes, right, strict=True) if not outcome.error]
    names = list(inspect.signature(exercise.reference).parameters)
    return relation(values) or common_ground(names, cases, wrong)


def is_wrong(outcome: Call, right: Any) -> bool:
    return bool(outcome.error or outcome.changed or difference(outcome.value, right))


def alike(a: Call, b: Call) -> bool:
    if a.error or b.error:
        return type(a.error) is type(b.error)
    return a.changed == b.changed and not difference(a.value, b.value)
