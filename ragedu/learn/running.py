"""Call a function that somebody is still learning to write: it may fail, print, change its arguments, or never end.

The call runs in a thread of its own. When its time is up, an exception is raised inside that thread, which ends any
loop of Python code, on every system and from every thread. (Signals would do so only on Unix and in the main thread.)
Two things cannot be ended so: one long call of a C library, such as time.sleep, and a loop whose whole body is in a try
with a bare `except:`. Then the thread goes on running, and the caller is told.
"""

from __future__ import annotations

import ctypes
import io
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from ragedu.learn.comparing import difference

MAX_PRINTED_CHARACTERS = 300  # of what a learner's function prints, or says in an error
ONE_AT_A_TIME = threading.RLock()  # standard output is one for the whole process


class TimeIsUp(BaseException):
    """Raised inside a call that took too long. No Exception, so that `except Exception` does not stop it."""


@dataclass(kw_only=True)
class Call:
    """How a call went: it returned a value, or raised an error (TimeIsUp when it was ended)."""

    value: Any = None
    error: BaseException | None = None
    printed: str = ""
    changed: list[int] = field(default_factory=list)  # positions of the arguments that are no longer what they were
    still_running: bool = False


def call(function: Callable, arguments: tuple, seconds: float) -> Call:
    """Call function(*arguments) in a thread, for at most `seconds`. The function gets copies of the arguments."""
    given, outcome = deepcopy(arguments), Call(error=TimeIsUp())

    def run() -> None:
        with suppress(TimeIsUp):  # it may come when the function has just ended
            try:
                outcome.value, outcome.error = function(*given), None
            except BaseException as error:  # SystemExit too: a learner's exit() must not end the lesson
                outcome.error = error

    thread = threading.Thread(target=run, daemon=True)
    # This holds for the whole process, so it is entered here, where it is also left when the thread never ends.
    with quiet() as printed:
        thread.start()
        try:
            thread.join(seconds)
        finally:  # also when the learner presses stop
            end(thread)
    if thread.is_alive():
        return Call(error=TimeIsUp(), printed=printed.getvalue(), still_running=True)
    outcome.printed, outcome.changed = printed.getvalue(), changes(given, arguments)
    return outcome


def call_here(function: Callable, arguments: tuple) -> Call:
    """The same in this thread and without a limit, for functions that are known to come to an end."""
    given, outcome = deepcopy(arguments), Call()
    try:
        outcome.value = function(*given)
    except Exception as error:  # and not the learner's pressing stop
        outcome.error = error
    outcome.changed = changes(given, arguments)
    return outcome


def changes(given: tuple, arguments: tuple) -> list[int]:
    """The positions of the arguments that are no longer what they were."""
    pairs = zip(given, arguments, strict=True)
    return [number for number, (now, before) in enumerate(pairs) if difference(now, before)]


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Collect what is printed, and warn of nothing: 0 divided by 0 is seen in the result."""
    with ONE_AT_A_TIME, redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield printed


def end(thread: threading.Thread) -> None:
    """Raise TimeIsUp in the thread, for a second at most, again and again: a bare `except:` may catch it."""
    assert thread.ident is not None  # it was started
    for _ in range(50):
        if not thread.is_alive():
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeIsUp))
        thread.join(0.02)


def message(error: BaseException) -> str:
    """What an error says. A learner's own class may say too much, or fail at saying it."""
    try:
        return cut(str(error))
    except Exception:
        return "(its message cannot be shown)"


def cut(text: str) -> str:
    return text[:MAX_PRINTED_CHARACTERS] + " …" * (len(text) > MAX_PRINTED_CHARACTERS)


def own_line(error: BaseException, function: Callable) -> traceback.FrameSummary | None:
    """The last of the learner's own lines that the error passed through.

    Own lines are those of the file, or the notebook cell, that defines the function, and of other cells.
    """
    home = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == home or is_cell(frame)]
    return frames[-1] if frames else None


def is_cell(frame: traceback.FrameSummary) -> bool:
    return "ipykernel_" in frame.filename or frame.filename.startswith("<ipython-input")
