"""How sure can we be? Intervals for one system, and a test for two systems on the same questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

PART_NUMBERS = 2_000_000  # drawn at a time


class Interval(NamedTuple):
    """A mean, and the interval in which it might as well have fallen with other questions of the same kind."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class PairedTest(NamedTuple):
    """The mean difference of two systems on the same questions, its 95 % interval, and how surprising it would be."""

    difference: float
    low: float
    high: float
    p_value: float

    def __str__(self) -> str:
        return f"{self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p = {self.p_value:.4f}"


def bootstrap_interval(
    values: Iterable[float], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The percentile bootstrap (Efron 1979): draw as many questions as there are, with replacement, again and again;
    the interval holds the middle `level` of the means.

    values: one score for each question. Questions are taken to be independent: where several belong together (about
    one page, by one user), the true interval is wider, and one should draw such groups instead.
    """
    scores = _scores(values, "values")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    means = _resampled_means(scores, resamples, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(scores.mean()), float(low), float(high))


def paired_test(a: Iterable[float], b: Iterable[float], *, resamples: int = 10_000, seed: int = 0) -> PairedTest:
    """Is system a better than system b? Paired randomisation (Fisher 1935; for retrieval, Smucker et al. 2007).

    If the systems were equal, the sign of each question's difference would be a coin toss. p is the share of coin
    tosses that give a mean difference at least as large, in either direction, as the one observed. The interval is
    the bootstrap's, over differences.

    a, b: scores for the same questions in the same order.
    """
    of_a, of_b = _scores(a, "a"), _scores(b, "b")
    if len(of_a) != len(of_b):
        raise ValueError(
            f"a has {len(of_a)} scores and b has {len(of_b)}: both need one for each question, in one order"
        )
    differences = of_a - of_b
    observed = abs(differences.mean())

    def toss(dice: np.random.Generator, rows: int) -> np.ndarray:
        return dice.choice((-1.0, 1.0), size=(rows, len(differences))) @ differences

    tossed = np.abs(_in_parts(toss, resamples, len(differences), seed)) / len(differences)
    # Equal sums, added up in another order, differ in the last digits: by as much as the differences are large.
    at_least = int(np.sum(tossed >= observed - 1e-12 * np.abs(differences).mean()))
    low, high = np.quantile(_resampled_means(differences, resamples, seed), [0.025, 0.975])
    return PairedTest(float(differences.mean()), float(low), float(high), (at_least + 1) / (resamples + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several comparisons, corrected for their number (Holm 1979), in the order given.

    Of twenty comparisons of equal systems one has p < 0.05 on average. The smallest of m p-values is multiplied by
    m, the next by m - 1, and so on (none smaller than the one before, none above 1). Then the chance that any of
    the comparisons without a difference has p < 0.05 is at most 0.05, however they are correlated.
    """
    values = _scores(p_values, "p_values") if len(p_values) else np.empty(0)
    if ((values < 0) | (values > 1)).any():
        raise ValueError(f"p_values must lie between 0 and 1, not {values.tolist()}")
    corrected = np.empty(len(values))
    order = np.argsort(values, kind="stable")
    multiplied = values[order] * np.arange(len(values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(multiplied), 1)
    return corrected.tolist()


def _resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    def draw(dice: np.random.Generator, rows: int) -> np.ndarray:
        return values[dice.integers(len(values), size=(rows, len(values)))].mean(axis=1)

    return _in_parts(draw, resamples, len(values), seed)


def _in_parts(draw: Callable[[np.random.Generator, int], np.ndarray], resamples: int, n: int, seed: int) -> np.ndarray:
    """The same draws as all at once, in parts: 10,000 resamples of 10,000 questions would take 800 MB."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    dice, rows = np.random.default_rng(seed), max(1, PART_NUMBERS // n)
    return np.concatenate([draw(dice, min(rows, resamples - start)) for start in range(0, resamples, rows)])


def _scores(values: Iterable[float], name: str) -> np.ndarray:
    if isinstance(values, Mapping):  # of which list() would take the keys, and some query ids are numbers
        raise TypeError(f"{name} is a dictionary, {{query id: score}}: give its scores, {name}.values()")
    try:
        array = np.asarray(list(values), dtype=float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold at least one score, one for each question, and numbers only")
    return array
