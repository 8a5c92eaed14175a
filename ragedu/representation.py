"""Show an object as the call that makes it again: BM25Retriever(k1=1.2)."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any


def call_repr(made: object, **instead: Any) -> str:
    """The call of the object's class that makes the object again, without arguments that are at their defaults.

    Each parameter of `__init__` is read from the attribute of the same name, or from `instead` where the attribute
    says it in other words, such as the default that stands for None.
    """
    shown = []
    for name, parameter in signature(type(made)).parameters.items():
        value = instead[name] if name in instead else getattr(made, name)
        if parameter.default is Parameter.empty:
            shown.append(value_repr(value))
        elif value is not parameter.default and value != parameter.default:
            shown.append(f"{name}={value_repr(value)}")
    return f"{type(made).__name__}({', '.join(shown)})"


def value_repr(value: object) -> str:
    """A function or class by its name, which is how one writes it; anything else by its repr.

    A lambda has no name to write, so what uses one can't be made again from its repr.
    """
    if not callable(value) or not hasattr(value, "__qualname__"):
        return repr(value)
    return str(value.__qualname__).rpartition("<locals>.")[2]
