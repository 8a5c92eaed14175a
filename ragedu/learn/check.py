"""Exercises that check themselves: `check("02.idf", idf)` tries the learner's function and says what it found.

The exercises are data, one file a lesson (exercises/lesson_02.py, …). This file says what is done with them: the
function is called on every case up to the first that goes wrong, and the likeliest reason is sought among the mistakes
that are known.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import deepcopy
from pathlib import PurePath
from traceback import FrameSummary
from typing import Any

from ragedu.learn.card import Card
from ragedu.learn.comparing import difference, kind, reason, show
from ragedu.learn.exercise import Exercise, find
from ragedu.learn.running import Call, TimeIsUp, call, call_here, cut, is_cell, message, own_line, quiet

hints_given: dict[str, int] = {}


def check(name: str, function: object) -> Card:
    """Try your function on the cases of an exercise, as in check("02.idf", idf).

    Returns a card that says what came of it, and that is true when every case was right. A wrong function raises
    nothing here, whatever it does. Only the name does: KeyError when it does not exist, TypeError when it is no string.
    """
    exercise = find(name)
    if not callable(function):
        own = name.partition(".")[2]
        advice = f'Give the function itself, without brackets behind its name: check("{name}", {own})'
        return Card(f"✗ {name}: this is {kind(function)}, not a function", closing=advice)
    with quiet():  # comparing odd values may warn, too
        return try_all_cases(exercise, function)


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
            findings = describe(exercise, function, arguments, outcome, expected)
            if likely := likely_reason(exercise, function, cases, position, outcome, expected):
                findings.append(("likely reason", likely))
            where = f"{position} case{'s' * (position != 1)} right, then this" if position else "the first case"
            return Card(f"✗ {name}: not yet right ({where})", findings=findings, closing=offer_hint(name))
    return Card(f"✓ {name}: right in all {len(cases)} cases", passed=True)


def hint(name: str) -> Card:
    """The next of three hints for an exercise, each a step further; after the third, all of them again."""
    exercise = find(name)
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
    exercise: Exercise, function: Callable, arguments: tuple, outcome: Call, expected: Any
) -> list[tuple[str, str]]:
    """What was called, what came, and what should have come."""
    called = getattr(function, "__name__", "").replace("<lambda>", "") or exercise.name.partition(".")[2]
    findings = [("called", f"{called}({', '.join(map(show, arguments))})")]
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
            "It waits, is inside one very long call, or catches every error with a bare `except:`. It could not be "
            "stopped and still runs in the background: fix it, and restart the kernel."
        )
    if isinstance(outcome.error, TimeIsUp):
        return (
            f"It takes more than {exercise.seconds:g} seconds, and should take a moment: does a loop never end (what "
            "makes its condition false?), or is something computed again and again?"
        )
    if sentence := known_mistake(exercise, function, cases, position, outcome):
        return sentence
    if isinstance(outcome.error, RecursionError):
        return "The function calls itself without end: which call should return without calling again?"
    if outcome.error:
        return ""
    if outcome.changed:
        return "Something like x += 1, x[0] = 1, x.append(1) or x.sort() changes the argument itself: work on a copy."
    if outcome.value is None:
        if all(alike(call(function, each, exercise.seconds), outcome) for each in cases):
            return "The function does not `return` its result (printing is not returning)."
        if all(exercise.reference(*deepcopy(each)) is not None for each in cases):  # else None may be meant
            return "For these arguments it gave None: does every branch that should give a value reach a `return`?"
    return reason(outcome.value, expected)


def known_mistake(exercise: Exercise, function: Callable, cases: list[tuple], position: int, outcome: Call) -> str:
    """What the exercise says about the mistake that does most nearly what the learner's function does.

    On one small case several mistakes may come to the same, so the function is called on the other cases as well. The
    mistake must agree with it on the case that went wrong, and on three of four in all.
    """
    outcomes = {position: outcome}
    for number, arguments in enumerate(cases):
        if number != position:
            other = call(function, arguments, exercise.seconds)
            if isinstance(other.error, TimeIsUp):
                return ""
            outcomes[number] = other
    best, most = "", 0.75 * len(outcomes)
    for sentence, mistake in exercise.mistakes.items():
        agrees = {number: alike(call_here(mistake, cases[number]), its) for number, its in outcomes.items()}
        if agrees[position] and sum(agrees.values()) > most:
            best, most = sentence, sum(agrees.values())
    return best


def alike(a: Call, b: Call) -> bool:
    if a.error or b.error:
        return type(a.error) is type(b.error)
    return a.changed == b.changed and not difference(a.value, b.value)
