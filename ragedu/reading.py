"""Read sources one by one: which of them leaves the model least inclined to say that the answer is not there?

It is RAG-Sequence (Lewis et al. 2020, section 2.1) with the best document instead of the sum. A question that needs
two sources at once can't be answered so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log
from typing import Any, Literal, NamedTuple

from ragedu.generation.prompts import ABSTAIN
from ragedu.retrieval.base import Hit, Hits

Reading = Literal["together", "each"]  # all sources in one prompt, or each in a prompt of its own


class Choice(NamedTuple):
    """The source to answer from, its prompt, and ln p(ABSTAIN | prompt): the logarithm of the doubt that it leaves."""

    hit: Hit
    prompt: str
    log_doubt: float

    def is_sure(self, limit: float) -> bool:
        """Whether the doubt is within the limit, a probability; a limit of 0 leaves nothing sure."""
        return limit > 0 and self.log_doubt <= log(limit)

    def outcome(self, limit: float) -> str:
        """The choice in words."""
        abstains = "" if self.is_sure(limit) else ": abstains"
        return f"source {self.hit.rank}, doubt {exp(self.log_doubt):.3f}{abstains}"


def choose(generator: Any, sources: Sequence[Hits], prompts: Sequence[Sequence[str]]) -> list[Choice | None]:
    """For each question the source that leaves the least doubt; None where there is no source.

    Parameters
    ----------
    generator
        With a method log_likelihood(prompts, continuations), as LanguageModel has it; it is called once for all.
    sources, prompts
        For each question its sources, and a prompt with each of them alone.
    """
    choices: list[Choice | None] = []
    for hits, alone, log_doubts in zip(sources, prompts, log_doubts_of(generator, prompts), strict=True):
        candidates = [Choice(*candidate) for candidate in zip(hits, alone, log_doubts, strict=True)]
        choices.append(min(candidates, key=lambda choice: choice.log_doubt, default=None))
    return choices


def log_doubts_of(generator: Any, prompts: Sequence[Sequence[str]]) -> list[list[float]]:
    """ln p(ABSTAIN | prompt) of every prompt, grouped as the prompts are."""
    flat = [prompt for group in prompts for prompt in group]
    found = generator.log_likelihood(flat, [ABSTAIN] * len(flat)) if flat else []
    log_doubts = one_for_each(flat, found, "log_likelihood")
    grouped, start = [], 0
    for group in prompts:
        grouped.append(log_doubts[start : start + len(group)])
        start += len(group)
    return grouped


def one_for_each(prompts: Sequence, results: object, method: str) -> list:
    """What a method of the generator returned for the prompts, as a list of the same length.

    Raises TypeError for anything else: generators may be other people's.
    """
    found = list(results) if isinstance(results, Iterable) and not isinstance(results, str) else []
    if len(found) != len(prompts):
        raise TypeError(
            f"the generator's {method} takes a list of prompts and must return a list with one result for each, "
            f"and not, for {len(prompts)}, {results!r:.60}"
        )
    return found
