"""Learning by doing: exercises that check themselves."""

from ragedu.learn.check import check, hint

__all__ = ["check", "hint"]
