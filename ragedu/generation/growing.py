"""Texts that grow, a token at each step: the loop in which a language model writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
import torch

from ragedu.generation import decoder
from ragedu.generation.decoding import next_token

MAX_BATCH_ROWS = 16
MAX_BATCH_TOKENS = 4096  # rows times tokens: bounds the memory that a batch of long prompts takes


class Batch(Protocol):
    """Texts that a network continues side by side: `decoder.LlamaBatch` or `forward.TransformersBatch`."""

    def prefill(self) -> torch.Tensor:
        """Process the prompts; the logits (texts, vocabulary) of the token after each."""

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Process one more token of each text; the logits (texts, vocabulary) of the token after it."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these texts only."""


class GrowingText:
    """One text while it grows.

    Attributes
    ----------
    prompt_tokens, tokens : lists of token ids
        What the model has read, and what it has written so far.
    text : str
        What `tokens` spell, without what follows a stop string.
    ended : str
        "" while it grows; then why it ended: "end token", "stop string" or "max_new_tokens".
    """

    def __init__(
        self,
        prompt_tokens: list[int],
        max_new_tokens: int,
        generator: torch.Generator | None,
        stop: Sequence[str],
        end_tokens: set[int],
        decode: Callable[[list[int]], str],
    ) -> None:
        self.prompt_tokens = prompt_tokens
        self.tokens: list[int] = []
        self.text = ""
        self.ended: Literal["", "end token", "stop string", "max_new_tokens"] = ""
        self.max_new_tokens, self.generator = max_new_tokens, generator
        self._stop, self._end_tokens, self._decode = stop, end_tokens, decode

    def append(self, token: int) -> None:
        self.tokens.append(token)
        self.text = self._decode(self.tokens)
        if token in self._end_tokens:
            self.ended = "end token"
        elif len(self.tokens) >= self.max_new_tokens:
            self.ended = "max_new_tokens"
        cuts = [cut for string in self._stop if (cut := self.text.find(string)) >= 0]
        if cuts:
            self.text, self.ended = self.text[: min(cuts)], "stop string"

    @property
    def settled(self) -> str:
        """The beginning of the text that later tokens can't change.

        Unsettled are a character of which some bytes are still to come (decoded as U+FFFD until then), and what
        could be the beginning of a stop string.
        """
        if self.ended:
            return self.text
        text = self.text.rstrip("\ufffd")
        held = [n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])]
        return text[: len(text) - max(held, default=0)]


def grow(
    texts: Sequence[GrowingText],
    make_batch: Callable[[Sequence[GrowingText]], Batch],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> Iterator[None]:
    """Let the texts grow together, by one token each at every step, until all have ended.

    The batch is made at the first step: a text that nobody waits for costs nothing.
    """
    temperature = float(temperature)
    with decoder.TURN:
        batch = make_batch(texts)
        logits = batch.prefill()
    while True:
        for text, row in zip(texts, logits, strict=True):
            chosen = next_token(row, temperature=temperature, top_k=top_k, top_p=top_p, generator=text.generator)
            text.append(int(chosen))
        yield
        going = [row for row, text in enumerate(texts) if not text.ended]
        if not going:
            return
        if len(going) < len(texts):
            batch.keep(going)
            texts = [texts[row] for row in going]
        with decoder.TURN:
            logits = batch.step([text.tokens[-1] for text in texts])


def batch_by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Positions grouped into batches of similar length, longest first, so that little of a batch is padding."""
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda p: -lengths[p]):
        last = batches[-1] if batches else []
        # The first of a batch is its longest.
        if last and len(last) < MAX_BATCH_ROWS and (len(last) + 1) * lengths[last[0]] <= MAX_BATCH_TOKENS:
            last.append(position)
        else:
            batches.append([position])
    return batches


def check_sampling(
    max_new_tokens: int, temperature: float, top_p: float | None, top_k: int | None, seed: int | None
) -> None:
    """Raise ValueError, naming the option, for a setting that makes no sense."""
    if not _is_whole(max_new_tokens) or max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be a whole number, at least 1, not {max_new_tokens!r}")
    if not _is_temperature(temperature):
        raise ValueError(f"temperature must be a number, 0 (greedy) or above, not {temperature!r}")
    if top_p is not None and not (isinstance(top_p, int | float | np.number) and 0 < top_p <= 1):
        raise ValueError(f"top_p must be a probability above 0 and at most 1, not {top_p!r}")
    if top_k is not None and (not _is_whole(top_k) or top_k < 1):
        raise ValueError(f"top_k must be a whole number of tokens, at least 1, not {top_k!r}")
    if seed is not None and (not _is_whole(seed) or seed < 0):
        raise ValueError(f"seed must be a whole number, 0 or above, not {seed!r}")


def _is_temperature(number: object) -> bool:
    try:
        return isinstance(number, int | float | np.number) and 0 <= float(number) < math.inf
    except (OverflowError, TypeError):  # a whole number beyond all floats, a complex number
        return False


def _is_whole(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
