"""Locks for what all threads of a process share, which outlive a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm
from tqdm.std import TqdmDefaultWriteLock


class ForkableLock:
    """A lock for a whole module, which one thread may take several times.

    A forked process has one thread, which is the copy of the one that forked. What another thread held at that moment
    nobody would ever release in it, so it gets a new lock. (To wait for the lock before a fork would be tidier. But
    whoever waits for several locks, one after the other, may wait for ever.)

    It frees these locks only. torch's threads do not survive a fork, so the child of a process that computes may still
    hang in torch: start a new process instead.
    """

    def __init__(self) -> None:
        self._renew()
        in_every_child(self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()


def in_every_child(renew: Callable[[], None]) -> None:
    """Call the function in each process that this one forks, before anything else."""
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(after_in_child=renew)


def renew_the_lock_of_progress_bars() -> None:
    """Whatever shows a progress bar, or only could show one, takes tqdm's lock."""
    TqdmDefaultWriteLock.th_lock = threading.RLock()
    tqdm.set_lock(TqdmDefaultWriteLock())


in_every_child(renew_the_lock_of_progress_bars)
