"""The training loop: whatever learns in ragedu (LoRA, the dense retriever, RAG as one model) learns in `optimise`.

A step takes a batch, computes its loss and the loss's gradient, and moves the weights against it, by AdamW (Loshchilov
and Hutter 2019). A schedule says what share of the learning rate each step uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

import torch
from torch.nn.utils import clip_grad_norm_
from tqdm.auto import tqdm

Batch = TypeVar("Batch")
Item = TypeVar("Item")


def optimise(
    weights: Sequence[torch.Tensor],
    batches: Iterable[Batch],
    loss_of_batch: Callable[[Batch], torch.Tensor],
    *,
    steps: int,
    learning_rate: float,
    schedule: Callable[[int, int], float],
    optimizer: torch.optim.Optimizer | None = None,
    losses: list[float] | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Change the weights, one step for each batch, so that the loss falls; returns the loss of each step.

    If you stop it, the weights keep what they have learned.

    Parameters
    ----------
    weights
        The tensors that learn, in place.
    batches
        What the steps are made of, one after the other; `loss_of_batch` understands them.
    loss_of_batch
        The loss of a batch as a tensor of one number, computed from the weights.
    steps
        How many steps the whole training has.
    learning_rate
        The largest that a step uses.
    schedule
        A function (step, steps) -> share of the learning rate, with steps counted from 0.
    optimizer
        `adamw(weights)` by default.
    losses
        The list to which the losses are added. It holds the losses of the steps that were made earlier where a training
        is continued, and after an interruption those of all steps that are in the weights.
    after_step
        after_step(step, loss) is called after each step, counted from 1.
    """
    optimizer = optimizer or adamw(weights)
    losses = [] if losses is None else losses
    made_before = steps_made(optimizer)
    noted_before = len(losses)
    try:
        with tqdm(total=steps, initial=len(losses), desc="training", unit=" steps") as progress:
            for batch in batches:
                set_learning_rate(optimizer, learning_rate * schedule(len(losses), steps))
                loss = loss_of_batch(batch)
                loss.backward(inputs=weights)
                clip_grad_norm_(weights, 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                losses.append(loss.item())
                progress.update()
                progress.set_postfix_str(f"loss {mean(losses[-20:]):.3f}")
                if after_step is not None:
                    after_step(len(losses), losses[-1])
    finally:
        if steps_made(optimizer) - made_before > len(losses) - noted_before:  # interrupted between a step and its loss
            losses.append(loss.item())
        optimizer.zero_grad(set_to_none=True)
    return losses


def adamw(weights: Iterable[torch.Tensor]) -> torch.optim.AdamW:
    """AdamW as it is used here: without weight decay, and in one fused kernel."""
    return torch.optim.AdamW(weights, weight_decay=0.0, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def steps_made(optimizer: torch.optim.Optimizer) -> int:
    """How many steps the weights have in them."""
    return max((int(state["step"]) for state in optimizer.state.values()), default=0)


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


# Schedules: what share of the learning rate step number `step`, counted from 0, uses.


def warmup_then_cosine(step: int, steps: int) -> float:
    """It rises during the first twentieth of the steps and then falls to 0 along a cosine."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def warmup_then_linear(step: int, steps: int) -> float:
    """It rises during the first tenth of the steps and then falls to 0 in a straight line."""
    warmup = max(1, steps // 10)
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


# What trainings ask of their settings and of their batches.


def check_settings(
    steps: int, batch_size: int, learning_rate: float, temperature: float, *, least_batch: int = 1
) -> None:
    """Raise ValueError for settings that make no sense, such as a batch of fewer than `least_batch`."""
    check_count("steps", steps)
    check_count("batch_size", batch_size, least=least_batch)
    check_positive("learning_rate", learning_rate)
    check_positive("temperature", temperature)


def check_count(name: str, number: object, *, least: int = 1) -> None:
    """Raise ValueError for what is not a whole number, or is below `least`."""
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, not {number!r}")


def check_positive(name: str, number: object) -> None:
    """Raise ValueError for what is not a number above 0, such as a learning rate or a temperature."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
        raise ValueError(f"{name} must be a number above 0, not {number!r}")


def shuffled(items: Iterable[Item], dice: Random) -> list[Item]:
    """The items in random order, the same in every version of Python (as `Random.shuffle` need not be)."""
    return sorted(items, key=lambda _: dice.random())
