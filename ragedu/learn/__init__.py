"""Learning by doing: exercises that check themselves."""

from ragedu.learn.check import check, hint
from ragedu.learn.progress import progress
from ragedu.learn.unsolved import when_solved

__all__ = ["check", "hint", "progress", "when_solved"]
