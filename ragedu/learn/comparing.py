"""Is this the same as that, and if not, what differs? In words, for values of a few plain types."""

from __future__ import annotations

from collections.abc import KeysView, Mapping, Sequence
from itertools import islice
from numbers import Number
from typing import Any

import numpy as np

# Another order of operations changes the last digits of a float, another formula changes earlier ones.
CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-8, "equal_nan": True}
MAX_SHOWN_CHARACTERS = 400


def difference(got: Any, expected: Any, *, where: str = "") -> str:
    """One sentence that says how `got` differs from `expected`; empty when they are the same.

    Numbers may differ by rounding, and a number counts as the same whatever its type. `where` says where in a larger
    value these two stand, such as " at position 2".
    """
    if isinstance(expected, np.ndarray) and expected.ndim:
        return _array_difference(got, expected, where)
    if isinstance(expected, bool | np.bool_):
        if not isinstance(got, bool | np.bool_):
            return f"There is {kind(got)}{where}, and it should be True or False."
        return "" if got == expected else f"It differs{where}."
    if isinstance(expected, Number | np.ndarray):  # an array without dimensions is a number
        return _number_difference(got, expected, where)
    if not isinstance(got, type(expected)) and not (isinstance(got, Mapping) and isinstance(expected, Mapping)):
        return f"There is {kind(got)}{where}, and it should be {kind(expected)}."
    if isinstance(expected, list | tuple):
        return _sequence_difference(got, expected, where)
    if isinstance(expected, Mapping):
        return _mapping_difference(got, expected, where)
    return "" if got == expected else f"It differs{where}."


def _sequence_difference(got: Sequence, expected: Sequence, where: str) -> str:
    if len(got) != len(expected):
        return f"It has {len(got)} element{'s' * (len(got) != 1)}{where}, and should have {len(expected)}."
    for position, (part, right) in enumerate(zip(got, expected, strict=True)):
        if differs := difference(part, right, where=f" at position {position}{where}"):
            return differs
    return ""


def _mapping_difference(got: Mapping, expected: Mapping, where: str) -> str:
    for key in expected:
        if key not in got:
            return f"The key {key!r} is missing{where}."
    for key in got:
        if key not in expected:
            return f"There is a key {key!r}{where}, which should not be there."
    for key, right in expected.items():
        if differs := difference(got[key], right, where=f" for {key!r}{where}"):
            return differs
    return ""


def _number_difference(got: Any, expected: Any, where: str) -> str:
    if not _is_number(got):
        return f"There is {kind(got)}{where}, and it should be a number."
    if np.iscomplexobj(got):
        return f"The number{where} is complex."
    try:
        same = _close(float(got), expected)  # float: of a Fraction too
    except (TypeError, ValueError, OverflowError):  # an array of something else, or an int beyond all floats
        same = False
    return "" if same else f"The number{where} differs."


def _close(got: float, expected: Any) -> bool:
    """What np.isclose says of two numbers, in a tenth of the time."""
    tolerance = CLOSE["atol"] + CLOSE["rtol"] * abs(expected)
    return bool(got == expected or abs(got - expected) <= tolerance < np.inf or (got != got and expected != expected))


def _is_number(value: Any) -> bool:
    """An array without dimensions is one; True and False are none."""
    if isinstance(value, np.ndarray):
        return not value.ndim
    return isinstance(value, Number) and not isinstance(value, bool | np.bool_)


def _array_difference(got: Any, expected: np.ndarray, where: str) -> str:
    if not isinstance(got, np.ndarray) or isinstance(got, np.ma.MaskedArray):
        return f"There is {kind(got)}{where}, and it should be a numpy array."
    if got.shape != expected.shape:
        return f"The shape{where} is {got.shape}, and should be {expected.shape}."
    small_integers = expected.dtype.kind in "iu" and expected.dtype.itemsize < 4
    if got.dtype.kind not in "biuf" or (small_integers or expected.dtype.kind == "b") and got.dtype != expected.dtype:
        return f"The numbers{where} are of type {got.dtype}, and should be {expected.dtype}."
    if expected.dtype.kind not in "biuf":  # a learner's array of anything, compared with a known mistake's
        return f"The values{where} are no numbers."
    if np.array_equal(got, expected):  # most are, and isclose takes longer
        return ""
    wrong = np.argwhere(~np.isclose(got, expected, **CLOSE))
    if not len(wrong):
        return ""
    if len(wrong) == got.size:
        all_of_them = {1: "The number", 2: "Both numbers"}.get(got.size, f"All {got.size} numbers")
        return f"{all_of_them}{where} differ{'s' * (got.size == 1)}."
    first = tuple(wrong[0].tolist()) if got.ndim > 1 else int(wrong[0, 0])
    return f"{len(wrong)} of the {got.size} numbers{where} differ{'s' * (len(wrong) == 1)}, the first at {first}."


def kind(value: Any) -> str:
    """What sort of thing a value is, with its article."""
    if isinstance(value, np.ma.MaskedArray):
        return "a masked array"
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape}" if value.ndim else "a number"
    for types, name in (
        (bool | np.bool_, "True or False"),
        (Number, "a number"),
        (str, "a string"),
        (Mapping, "a dictionary"),
        (type(None), "None"),
    ):
        if isinstance(value, types):
            return name
    if type(value).__name__ in ("function", "builtin_function_or_method"):
        return "a function"
    return f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__}"


def reason(got: Any, expected: Any) -> str:
    """What the relation of the numbers says about the error; empty when it is no relation that we know."""
    keys = _keys(expected)
    a, b = _numbers(got), _numbers(expected)
    if _keys(got) != keys or a is None or b is None or a.size != b.size or not a.size:
        return ""
    if a.shape == b.shape and np.allclose(a, b, equal_nan=True):
        return ""  # they are right, and only what they stand in is not: `difference` names it
    if np.isfinite(b).all() and not np.isfinite(a).all():
        return (
            "There is nan or inf in it: somewhere something is divided by 0, a logarithm is taken of 0 or less, or an "
            "exponential is too large for a float."
        )
    if a.shape != b.shape:
        return "The numbers are right, and the shape is another." if np.allclose(a.ravel(), b.ravel()) else ""
    if a.ndim == 2 and a.shape[0] == a.shape[1] and np.allclose(a.T, b):
        return "Rows and columns are exchanged."
    if np.allclose(a, -b):
        return "The sign is the wrong way round."
    if a.size > 1 and np.allclose(np.sort(a.ravel()), np.sort(b.ravel())):
        place = "stand under the wrong keys" if keys else "their order is not"
        return f"The values are right, and {place}."
    if a.size > 1 and not a.any():
        return "Every number is 0: is something multiplied by 0, or never filled in?"
    if (b != 0).sum() > 1 and np.allclose(a[b == 0], 0):
        ratios = a[b != 0] / b[b != 0]
        if np.allclose(ratios, ratios[0]):
            return f"Every number is {ratios[0]:.4g} times the right one{_logarithm(ratios[0])}."
    if a.size > 1 and np.allclose(a - b, (a - b).flat[0]):
        return f"Every number is off by the same {(a - b).flat[0]:+.4g}: look for something that is added."
    return ""


def _keys(value: Any) -> KeysView | None:
    return value.keys() if isinstance(value, Mapping) else None


def _logarithm(ratio: float) -> str:
    for base in (2, 10):
        if np.isclose(ratio, 1 / np.log(base)):
            return f", as with a logarithm to base {base} instead of the natural one"
    return ": look for a factor"


def _numbers(value: Any) -> np.ndarray | None:
    if isinstance(value, Mapping):
        value = [value[key] for key in sorted(value, key=str)]
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biufO":  # neither complex numbers nor the digits in a string
            return None
        return np.vectorize(float, otypes=[float])(array)  # of a Fraction too, but not of None
    except (TypeError, ValueError, OverflowError):
        return None


def show(value: Any, *, digits: int = 5) -> str:
    """A short repr: few digits, and long values cut."""
    try:
        text = _show(value, digits)
    except Exception:  # the repr of an object that a learner made
        text = f"<{type(value).__name__}>"
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 2]} …"


def _show(value: Any, digits: int) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        numbers = np.array2string(
            value,
            separator=", ",
            prefix="np.array(",
            formatter={"float_kind": lambda number: f"{number:.{digits}g}"},
            threshold=40,
            edgeitems=4,
            max_line_width=90,
        )
        return f"np.array({numbers})"
    if isinstance(value, str):
        return repr(value[: 2 * MAX_SHOWN_CHARACTERS])
    if isinstance(value, bool | np.bool_):
        return repr(bool(value))
    if isinstance(value, float | np.floating | np.ndarray):
        return f"{float(value):.{digits}g}"
    if isinstance(value, np.integer):
        return str(value)
    if type(value) in (list, tuple):
        parts = [_show(part, digits) for part in value[:MAX_SHOWN_CHARACTERS]]
        if isinstance(value, list):
            return f"[{', '.join(parts)}]"
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
    if isinstance(value, dict):
        shown = islice(value.items(), MAX_SHOWN_CHARACTERS)
        return "{" + ", ".join(f"{key!r}: {_show(part, digits)}" for key, part in shown) + "}"
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    return repr(value)


def written(value: Any) -> str:
    """The value as Python code that makes it again, with numpy as np; ValueError for what can't be written."""
    if isinstance(value, np.ndarray):
        return _written_array(value)
    if isinstance(value, bool | np.bool_ | str | None):
        return repr(value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, int | np.integer):
        return repr(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value)) if np.isfinite(value) else f"{'-' if value < 0 else ''}np.{abs(value)}"
    if type(value) is list:
        return f"[{', '.join(map(written, value))}]"
    if type(value) is tuple:
        return f"({', '.join(map(written, value))}{',' * (len(value) == 1)})"
    if type(value) is dict:
        return "{" + ", ".join(f"{written(key)}: {written(part)}" for key, part in value.items()) + "}"
    raise ValueError(f"{kind(value)} can't be written as code")


def _written_array(array: np.ndarray) -> str:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"an array of type {array.dtype} can't be written as code")
    usual = array.dtype in (np.dtype(float), np.dtype(bool), np.dtype(int)) and array.size
    dtype = "" if usual or array.dtype == float else f", dtype={'int' if array.dtype == int else f'np.{array.dtype}'}"
    if 0 in array.shape[:-1]:
        return f"np.zeros({array.shape}{dtype})"
    if array.size > 8 and (array == array.flat[0]).all():
        return f"np.full({array.shape}, {written(array.flat[0])}{dtype})"
    return f"np.array({written(array.tolist())}{dtype})"
