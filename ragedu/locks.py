"""Locks for what all threads of a process share, which outlive a fork."""

from __future__ import annotations

import os
import threading
from typing import Any

from tqdm.std import TqdmDefaultWriteLock


def forkable_lock() -> Any:  # what threading.RLock makes has no type of its own before Python 3.13
    """A lock for a whole module, which one thread may take several times.

    A forked process has one thread, which is the copy of the one that forked. What another thread held at that moment
    nobody would ever release in it. So whoever forks waits for the lock first: what it protects is then whole in both
    processes, and free.
    """
    lock = threading.RLock()
    take_for_forks(lock)
    return lock


def take_for_forks(lock: Any) -> None:
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


# Whatever shows a progress bar, or only could show one, takes tqdm's lock.
take_for_forks(TqdmDefaultWriteLock.th_lock)
