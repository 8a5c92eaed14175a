"""Learning by doing: exercises that check themselves."""

from ragedu.learn.check import check, hint
from ragedu.learn.unsolved import when_solved

__all__ = ["check", "hint", "when_solved"]
