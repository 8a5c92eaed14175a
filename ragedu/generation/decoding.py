"""From logits to the next token: the four ways of decoding, each a function of a few lines.

`logits` is a float tensor (..., vocabulary size): one unnormalised score for every token that could come next.
Softmax turns them into probabilities; a logit of minus infinity is a probability of 0.
"""

from __future__ import annotations

import torch

# Below it a division by the temperature overflows float32. Long before, all probability is the best token's.
LOWEST_TEMPERATURE = 1e-30


def is_greedy(temperature: float) -> bool:
    """Whether at this temperature the most probable token is taken, always."""
    return temperature < LOWEST_TEMPERATURE


def greedy(logits: torch.Tensor) -> torch.Tensor:
    """The most probable token: int64 tensor (...)."""
    return logits.argmax(dim=-1)


def apply_temperature(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Divide by the temperature: below 1 sharpens the distribution, above 1 flattens it."""
    return logits / temperature


def keep_top_k(logits: torch.Tensor, k: int) -> torch.Tensor:
    """Rule out all but the k most probable tokens (Fan et al., 2018); those tied with the k-th stay."""
    kth = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < kth, -torch.inf)


def keep_top_p(logits: torch.Tensor, p: float) -> torch.Tensor:
    """Keep the smallest set of most probable tokens whose probabilities sum to p or more: nucleus sampling
    (Holtzman et al., 2020, section 3.1). The most probable token always stays."""
    ascending, order = logits.sort(dim=-1)
    tail = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    tail[..., -1] = False
    return logits.masked_fill(tail.scatter(-1, order, tail), -torch.inf)


def sample(logits: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw a token from softmax(logits): int64 tensor (...)."""
    probabilities = logits.softmax(dim=-1)
    drawn = torch.multinomial(probabilities.reshape(-1, logits.shape[-1]), 1, generator=generator)
    return drawn.reshape(logits.shape[:-1])


def next_token(
    logits: torch.Tensor,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Greedy at temperature 0 and next to it; otherwise sample, after temperature, top-k and top-p in transformers'
    order."""
    if is_greedy(temperature):
        return greedy(logits)
    logits = apply_temperature(logits, temperature)
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    return sample(logits, generator=generator)
