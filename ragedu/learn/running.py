"""Call a function that somebody is still learning to write: it may fail, print, change its arguments, or never end.

The call runs in a thread of its own. When its time is up, an exception is raised inside that thread, which ends any
loop of Python code, on every system and from every thread. (Signals would do so only on Unix and in the main thread.)
One long call of a C library, such as time.sleep, can't be ended so. Then the thread goes on running, and the caller is
told. Nothing is raised in the import system: half a module in memory, or a lock that nobody opens again, would spoil
every later import. While the thread loads a module its time stands still.
"""

from __future__ import annotations

import ctypes
import inspect
import io
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from ragedu.learn.comparing import difference
from ragedu.locks import ForkableLock

MAX_PRINTED_CHARACTERS = 300  # of what a learner's function prints, or says in an error
MAX_COLLECTED_CHARACTERS = 10_000  # an endless loop that prints would fill the memory before its time is up
IMPORT_SECONDS = 120.0  # the first import of a large library on a slow disk
ENDING_SECONDS = 2.0
LOOK_EVERY_SECONDS = 0.02
ONE_AT_A_TIME = ForkableLock()  # standard output is one for the whole process


class TimeIsUp(BaseException):
    """Raised inside a call that took too long. No Exception, so that `except Exception` does not stop it."""


class EndNow(TimeIsUp):
    """TimeIsUp from another thread, which a bare `except:` may catch where it lands.

    It is made in the thread that it ends, when something there catches it. The next line of the learner's functions
    raises it again, that of the handler, which is left by it.
    """

    def __init__(self) -> None:
        super().__init__()
        frames = learners(frames_from(inspect.currentframe())[1:])
        for frame in frames:
            frame.f_trace = raise_twice
        if frames:
            sys.settrace(raise_twice)


def raise_twice(frame: FrameType, event: str, _: object) -> Callable:
    """A trace function, which Python calls at every line and at every call, until it raises something.

    The handler may itself stand in a `try`. So another EndNow waits behind the one that is raised here. It must not
    come before this function is left, hence no ordinary call: Python looks for what waits after each of those.
    """
    if event not in ("line", "call") or any(map(is_import, frames_from(frame))):
        return raise_twice
    now, ident = TimeIsUp(), ctypes.c_ulong(threading.get_ident())
    another = map(ctypes.pythonapi.PyThreadState_SetAsyncExc, [ident], [ctypes.py_object(EndNow)])
    _ = [*another]
    raise now


@dataclass(kw_only=True)
class Call:
    """How a call went: it returned a value, or raised an error (TimeIsUp when it was ended)."""

    value: Any = None
    error: BaseException | None = None
    printed: str = ""
    changed: list[int] = field(default_factory=list)  # positions of the arguments that are no longer what they were
    still_running: bool = False


def call(function: Callable, arguments: tuple, seconds: float) -> Call:
    """Call `function(*arguments)` in a thread, for at most `seconds`. The function gets copies of the arguments."""
    given, outcome = deepcopy(arguments), Call(error=TimeIsUp())

    thread = threading.Thread(target=run, args=(function, given, outcome), daemon=True)
    # This holds for the whole process, so it is entered here, where it is also left when the thread never ends.
    with quiet() as printed:
        thread.start()
        try:
            wait(thread, seconds)
        finally:  # also when the learner presses stop
            end(thread)
    if thread.is_alive():
        return Call(error=TimeIsUp(), printed=printed.getvalue(), still_running=True)
    outcome.printed, outcome.changed = printed.getvalue(), changes(given, arguments)
    return outcome


def run(function: Callable, arguments: tuple, outcome: Call) -> None:
    with suppress(TimeIsUp), suppress(TimeIsUp):  # it may come when the function has just ended, and once more
        try:
            outcome.value, outcome.error = function(*arguments), None
        except BaseException as error:  # SystemExit too: a learner's exit() must not end the lesson
            outcome.error = error
            if isinstance(error, TimeIsUp):
                sys.settrace(None)


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


def wait(thread: threading.Thread, seconds: float) -> None:
    """Wait until the thread ends, for at most `seconds` without the time in which it loads modules."""
    importing = 0.0
    while seconds > 0 and importing < IMPORT_SECONDS:
        start = time.monotonic()
        thread.join(min(seconds, LOOK_EVERY_SECONDS))
        if not thread.is_alive():
            return
        spent = time.monotonic() - start
        if loads_a_module(frames_of(thread)):
            importing += spent
        else:
            seconds -= spent


def frames_of(thread: threading.Thread) -> list[FrameType]:
    """The frames of a running thread, innermost first."""
    return frames_from(sys._current_frames().get(thread.ident or 0))


def frames_from(frame: FrameType | None) -> list[FrameType]:
    frames = []
    while frame:
        frames.append(frame)
        frame = frame.f_back
    return frames


def learners(frames: list[FrameType]) -> list[FrameType]:
    """Those of the function that `run` called; none before it begins and after it has ended."""
    codes = [frame.f_code for frame in frames]
    return frames[: codes.index(run.__code__)] if run.__code__ in codes else []


def loads_a_module(frames: list[FrameType]) -> bool:
    """Whether a module is being opened or executed; looking for one is not enough to stop the clock."""
    return any(frame.f_code.co_name == "_load_unlocked" and is_import(frame) for frame in frames)


def is_import(frame: FrameType) -> bool:
    """Whether this is Python's import system, which holds locks that the whole process needs: raise nothing in it."""
    return frame.f_code.co_filename.startswith("<frozen importlib")


class Collected(io.StringIO):
    """What is printed, up to a limit; what comes after it is dropped."""

    def __init__(self) -> None:
        super().__init__()

    def write(self, text: str) -> int:
        super().write(text[: max(0, MAX_COLLECTED_CHARACTERS - self.tell())])
        return len(text)


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Collect what is printed, and warn of nothing: 0 divided by 0 is seen in the result."""
    with ONE_AT_A_TIME, redirect_stdout(Collected()) as printed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield printed


def end(thread: threading.Thread) -> None:
    """Raise EndNow in the thread until it ends, for two seconds at most, but nowhere outside the learner's function."""
    assert thread.ident is not None  # it was started
    give_up = time.monotonic() + ENDING_SECONDS
    while thread.is_alive() and time.monotonic() < give_up:
        frames = frames_of(thread)
        if any(map(is_import, frames)):
            thread.join(0.001)  # it will be out of it for a moment
        else:
            if learners(frames):
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(EndNow))
            thread.join(LOOK_EVERY_SECONDS)


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
