"""Why is it wrong? What the outcomes of all cases say together, when no known mistake explains them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ragedu.learn.comparing import difference, kind

Pair = tuple[Any, Any]  # (what came, what should have come)

# The first that fits is told, so the special ones come before the general.
OF_ERRORS: tuple[tuple[type, str, str], ...] = (
    (ZeroDivisionError, "", "Something is divided by 0: which count, sum or length is 0 for these arguments?"),
    (
        np.exceptions.AxisError,
        "",
        "There is no such axis: 0 goes down the columns, 1 along the rows, and a flat array has only 0.",
    ),
    (IndexError, "", "An index reaches past the end. What is shorter than it expects, or empty?"),
    (
        KeyError,
        "",
        "A key is looked up that is not there. Does every key exist, and is it spelt so? .get has a default.",
    ),
    (UnboundLocalError, "", "A name gets its value only in a branch or a loop that did not run for these arguments."),
    (NameError, "", "A name is used that nothing was assigned to. Is it misspelt, or was its cell not run?"),
    (AttributeError, "", "This value has no such method or attribute: print its type just before this line."),
    (ValueError, "broadcast", "The shapes do not fit together: print the .shape of both just before this line."),
    (ValueError, "mismatch", "The shapes do not fit together: print the .shape of both just before this line."),
    (ValueError, "aligned", "The shapes do not fit together: print the .shape of both just before this line."),
    (ValueError, "zero-size", "Something is empty here, and has neither a largest nor a smallest nor a mean."),
    (ValueError, "empty", "Something is empty here, and has neither a largest nor a smallest nor a mean."),
    (ValueError, "ambiguous", "`if`, `and` and `or` want one truth value, and this is an array of several."),
    (ValueError, "math domain", "A logarithm or a root is taken of a number that has none: 0 or less."),
    (ValueError, "zip()", "The two that go side by side have different lengths: something was dropped, or added."),
    (ValueError, "unpack", "The number of names on the left is not the number of values on the right."),
    (ValueError, "", "A function got a value that it can do nothing with: print its arguments just before this line."),
    (TypeError, "", "An operation or a call does not suit the types of its values: print them just before this line."),
    (
        OverflowError,
        "",
        "A number became too large for a float: is an exponential or a power taken of something large?",
    ),
)


def reason_of_error(error: BaseException, said: str) -> str:
    """What an error of this type usually means; empty for one that says enough, or that the learner raised."""
    fits = (
        sentence for type_, part, sentence in OF_ERRORS if isinstance(error, type_) and part in said.replace("\n", " ")
    )
    return next(fits, "")


def nothing_computed(names: Sequence[str], cases: Sequence[tuple], pairs: Sequence[Pair]) -> str:
    """Whether the result never changes, or is always one of the arguments; empty when it is neither."""
    came, right = zip(*pairs, strict=True)
    same = len(came) > 2 and not any(difference(each, came[0]) for each in came)
    if same and np.isfinite(_leaves(came[0]) or 0).all() and any(difference(each, right[0]) for each in right):
        return "The result is the same in every case, whatever the arguments: which of them should change it?"
    for place, name in enumerate(names):
        if not any(difference(value, case[place]) for value, case in zip(came, cases, strict=True)):
            return f"The result is always `{name}` as it came: is something computed, and not used or not returned?"
    return ""


def exact_relation(pairs: Sequence[Pair]) -> str:
    """One formula between what came and what should have come, in every case; empty when there is none."""
    numbers = _flat_numbers(pairs)
    return _of_formulas(*numbers) if numbers else ""


def relation(pairs: Sequence[Pair]) -> str:
    """What all that is wrong has in common: the values, or their sizes; empty when nothing is."""
    wrong = [pair for pair in pairs if difference(*pair)]
    if wrong and not _flat_numbers(wrong) and all(_sort(got) != _sort(expected) for got, expected in wrong):
        got, expected = map(_sort, wrong[0])
        return f"It gives {got} where {expected} is asked for: which step at the end makes the one of the other?"
    if all(isinstance(value, bool | np.bool_) for pair in pairs for value in pair):
        return _of_truths(wrong, len(pairs))
    if all(isinstance(value, str) for pair in wrong for value in pair):
        return _of_texts(wrong)
    collections = all(isinstance(value, list | dict) for pair in wrong for value in pair)
    if collections and (said := _of_collections(wrong)):
        return said
    if numbers := _flat_numbers(pairs):
        return _of_numbers(*numbers)
    return ""


def _sort(value: Any) -> str:
    return kind(value).partition(" of shape")[0]


def _of_truths(wrong: Sequence[Pair], n_cases: int) -> str:
    where = f"in {len(wrong)} of the {n_cases} cases"
    if all(got for got, _ in wrong):
        return f"It is wrong only by saying True, {where}: it accepts too much. Which condition is missing or too weak?"
    if not any(got for got, _ in wrong):
        return f"It is wrong only by saying False, {where}: it accepts too little. Which condition is too strict?"
    if len(wrong) == n_cases:
        return "It says the opposite in every case: a `not` too many or too few."
    return ""


def _of_texts(wrong: Sequence[Pair]) -> str:
    simplify: dict[str, Callable[[str], Any]] = {
        "Only upper and lower case differ.": str.lower,
        "Only blanks and line breaks differ.": lambda text: "".join(text.split()),
        "The right lines, in another order.": lambda text: sorted(text.splitlines()),
        "Only digits differ: is something counted from another number?": lambda text: [
            c for c in text if not c.isdigit()
        ],
    }
    for sentence, simple in simplify.items():
        if all(simple(got) == simple(expected) for got, expected in wrong):
            return sentence
    lines = [(len(got.splitlines()), len(expected.splitlines())) for got, expected in wrong]
    if all(got > expected for got, expected in lines):
        return "There are lines too many wherever it is wrong: what should have ended earlier, or been left out?"
    if all(got < expected for got, expected in lines):
        return "Lines are missing wherever it is wrong: what ends too early, or is left out?"
    got, expected = wrong[0]
    both = zip(got.splitlines(), expected.splitlines(), strict=False)
    number = next((number for number, (line, right) in enumerate(both, start=1) if line != right), 1)
    return f"The lines before line {number} are right: look at what makes that one." if number > 1 else ""


def _of_collections(wrong: Sequence[Pair]) -> str:
    got, expected = zip(*((_parts(a), _parts(b)) for a, b in wrong), strict=True)
    both = list(zip(got, expected, strict=True))
    if all(a == b for a, b in both):
        if all(list(a) == list(b)[::-1] for a, b in wrong):
            return "The right ones, the wrong way round."
        return (
            ""
            if isinstance(wrong[0][0], dict)
            else "The right ones, in another order: what decides it, and among equals?"
        )
    if isinstance(wrong[0][0], dict) and all(a - b and (a - b).total() == (b - a).total() for a, b in both):
        other, wanted = (next(iter(difference)) for difference in (both[0][0] - both[0][1], both[0][1] - both[0][0]))
        return f"A key is another wherever it is wrong, such as {other} here, where {wanted} should be."
    if all(not a - b for a, b in both):
        missing = next(iter(both[0][1] - both[0][0]))
        return f"What is there is right, and something is missing wherever it is wrong, such as {missing} here."
    if all(not b - a for a, b in both):
        extra = next(iter(both[0][0] - both[0][1]))
        return (
            f"All that should be there is there, and something is too many wherever it is wrong, such as {extra} here."
        )
    return ""


def _parts(value: list | dict) -> Counter:
    return Counter(map(repr, value))  # of a dictionary the keys


def _flat_numbers(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray] | None:
    """All numbers of all cases, what came and what should have come; None where these do not stand side by side."""
    came, right = [], []
    for got, expected in pairs:
        a, b = _leaves(got), _leaves(expected)
        if a is None or b is None or len(a) != len(b):
            return None
        came += a
        right += b
    return (np.array(came), np.array(right)) if came else None


def _leaves(value: Any) -> list[float] | None:
    if isinstance(value, Mapping):
        value = [value[key] for key in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        parts = [_leaves(each) for each in value]
        return None if any(part is None for part in parts) else [each for part in parts for each in part or ()]
    try:
        array = np.asarray(value)
        return array.astype(float).ravel().tolist() if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError):
        return None


RELATIONS: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("The sign is the wrong way round in every case.", lambda right: -right),
    ("In every case this is 1 divided by the right number: the fraction is upside down.", lambda right: 1 / right),
    ("In every case this is 1 minus the right number: the other share, or the other side.", lambda right: 1 - right),
    ("In every case this is the square of the right number: a root is missing, or a square too many.", np.square),
    ("In every case this is the root of the right number: a square is missing, or a root too many.", np.sqrt),
    ("In every case this is the logarithm of the right number: an exponential is missing.", np.log),
    ("In every case this is e to the power of the right number: a logarithm is missing.", np.exp),
)


def _of_formulas(came: np.ndarray, right: np.ndarray) -> str:
    with np.errstate(all="ignore"):
        finite = np.isfinite(right) & np.isfinite(came)
        a, b = came[finite], right[finite]
        if len(a) < 2 or np.allclose(a, b):
            return ""
        if not a.any():
            return "Only zeros come: is something multiplied by 0, or never filled in or added to?"
        for sentence, of in RELATIONS:
            if np.allclose(a, of(b), equal_nan=True):
                return sentence
        ratios = a[b != 0] / b[b != 0]
        if len(ratios) > 1 and np.allclose(ratios, ratios[0]) and np.allclose(a[b == 0], 0):
            return f"In every case this is {ratios[0]:.4g} times the right number: look for a factor."
        if np.allclose(a - b, (a - b)[0]):
            return f"In every case this is off by the same {(a - b)[0]:+.4g}: look for something that is added."
    return ""


def _of_numbers(came: np.ndarray, right: np.ndarray) -> str:
    finite = np.isfinite(right) & np.isfinite(came)
    a, b = came[finite], right[finite]
    differs = ~np.isclose(a, b)
    if differs.sum() < 3:
        return ""
    if np.allclose(a, np.round(a)) and (np.abs(a - b) < 1).all() and not np.allclose(b, np.round(b)):
        return "Only whole numbers come: does `//`, int or a rounding drop what is behind the point?"
    if np.allclose(np.abs(a - b)[differs], 1) and np.allclose(b, np.round(b)):
        return "Off by one wherever it is wrong: is a bound included that shouldn't be, or the other way round?"
    if np.allclose(a[differs], a[differs][0]):
        return f"Wherever it is wrong there is a {a[differs][0]:.4g}: which branch, or which start value, gives that?"
    if (a > b)[differs].all():
        return (
            "Too large wherever it is wrong: is something counted that should not be, or is a division, a subtraction "
            "or a factor below 1 missing?"
        )
    if (a < b)[differs].all():
        return (
            "Too small wherever it is wrong: is something left out that should be counted, or divided or subtracted "
            "that should not be?"
        )
    return ""


def common_ground(names: Sequence[str], cases: Sequence[tuple], wrong: Sequence[bool]) -> str:
    """What the arguments of all cases that go wrong have in common, and no other case has; empty when nothing is."""
    if not 2 <= sum(wrong) <= len(wrong) - 2:  # what one case has may be chance
        return ""
    for place, name in enumerate(names):
        for sentence, has in FEATURES:
            if [_holds(has, case[place]) for case in cases] == list(wrong):
                return f"It goes wrong exactly where `{name}` {sentence}, and is right everywhere else."
    return ""


def _holds(has: Callable[[Any], bool], value: Any) -> bool:
    try:
        return bool(has(value))
    except (TypeError, ValueError, AttributeError):
        return False


def _values(value: Any) -> list:
    return list(value.values()) if isinstance(value, Mapping) else list(np.ravel(value))


FEATURES: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("is empty", lambda value: len(value) == 0),
    ("has one element only", lambda value: len(value) == 1),
    ("is 0", lambda value: not isinstance(value, str) and np.ndim(value) == 0 and value == 0),
    ("is 1", lambda value: not isinstance(value, str) and np.ndim(value) == 0 and value == 1),
    ("is not a whole number", lambda value: np.ndim(value) == 0 and not float(value).is_integer()),
    ("has a 0", lambda value: any(each == 0 for each in _values(value))),
    ("has a negative number", lambda value: any(each < 0 for each in _values(value))),
    ("has equal values", lambda value: len(set(map(repr, _values(value)))) < len(_values(value))),
    ("has minus infinity", lambda value: any(each == -math.inf for each in _values(value))),
    ("has a row of zeros", lambda value: value.ndim == 2 and not value.any(axis=1).all()),
    ("has several rows", lambda value: value.ndim == 2 and len(value) > 1),
    ("has several elements", lambda value: len(value) > 1),
)
