"""How sure can we be? Intervals for one system, and a test for two systems on the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

PART = 2_000_000  # numbers drawn at a time


class Interval(NamedTuple):
    """A mean with the interval that it could as well have been, had other questions been asked."""

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
    values: Sequence[float], level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The percentile bootstrap (Efron 1979): draw as many questions as there are, with replacement, again and again;
    the interval holds the middle `level` of the means.

    values: one score for each question. Questions are taken to be independent: where several hang together (about one
        page, by one user), the true interval is wider, and one should draw such groups instead.
    """
    values = _scores(values, "values")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    means = _resampled_means(values, resamples, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired_test(a: Sequence[float], b: Sequence[float], resamples: int = 10_000, seed: int = 0) -> PairedTest:
    """Is system a better than system b? Paired randomisation (Fisher 1935; for retrieval, Smucker et al. 2007).

    If the systems were equal, the sign of each question's difference would be a coin toss. p is the share of coin
    tosses that give a mean difference at least as large, in either direction, as the one observed. The interval is
    the bootstrap's, over differences.

    a, b: scores for the same questions in the same order.
    """
    a, b = _scores(a, "a"), _scores(b, "b")
    if len(a) != len(b):
        raise ValueError(f"a has {len(a)} scores and b has {len(b)}: both need one for each question, in one order")
    differences = a - b
    observed = abs(differences.mean())
    toss = lambda dice, rows: dice.choice((-1.0, 1.0), size=(rows, len(differences))) @ differences
    tossed = np.abs(_in_parts(toss, resamples, len(differences), seed)) / len(differences)
    # Equal sums, added up in another order, differ in the last digits: by as much as the differences are large.
    at_least = int(np.sum(tossed >= observed - 1e-12 * np.abs(differences).mean()))
    low, high = np.quantile(_resampled_means(differences, resamples, seed), [0.025, 0.975])
    return PairedTest(float(differences.mean()), float(low), float(high), (at_least + 1) / (resamples + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several comparisons, corrected for their number (Holm 1979), in the order given.

    Of twenty comparisons of equal systems one has p < 0.05 on average. The smallest of m p-values is multiplied by
    m, the next by m - 1, and so on (none smaller than the one before, none above 1). Then the chance that any of
    the comparisons without a difference has p < 0.05 is at most 0.05, however they hang together.
    """
    p_values = _scores(p_values, "p_values") if len(p_values) else np.empty(0)
    if ((p_values < 0) | (p_values > 1)).any():
        raise ValueError(f"p_values must lie between 0 and 1, not {p_values.tolist()}")
    corrected = np.empty(len(p_values))
    order = np.argsort(p_values, kind="stable")
    multiplied = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(multiplied), 1)
    return corrected.tolist()


def _resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    draw = lambda dice, rows: values[dice.integers(len(values), size=(rows, len(values)))].mean(axis=1)
    return _in_parts(draw, resamples, len(values), seed)


def _in_parts(draw, resamples: int, n: int, seed: int) -> np.ndarray:
    """The same draws as all at once, in parts: 10,000 resamples of 10,000 questions would take 800 MB."""
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    dice, rows = np.random.default_rng(seed), max(1, PART // n)
    return np.concatenate([draw(dice, min(rows, resamples - start)) for start in range(0, resamples, rows)])


def _scores(values: Sequence[float], name: str) -> np.ndarray:
    if isinstance(values, Mapping):  # of which list() would take the keys, and some query ids are numbers
        raise TypeError(f"{name} is a dictionary, {{query id: score}}: give its scores, {name}.values()")
    try:
        array = np.asarray(list(values), dtype=float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold at least one score, one for each question, and numbers only")
    return array
