"""The training loop: its schedules, and that an interruption leaves what belongs together."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ragedu.optimise import adamw, optimise, steps_made, warmup_then_cosine, warmup_then_linear


@pytest.mark.parametrize("schedule, share", [(warmup_then_cosine, 20), (warmup_then_linear, 10)])
@given(steps=st.integers(1, 400))
def test_learning_rate_rises_then_falls(schedule, share, steps):
    shares = [schedule(step, steps) for step in range(steps)]
    top = shares.index(max(shares))
    assert min(shares) >= 0 and max(shares) == 1 and top <= max(1, steps // share)
    assert shares[: top + 1] == sorted(shares[: top + 1]) and shares[top:] == sorted(shares[top:], reverse=True)


def constant(step, steps):
    return 1.0


def train(weights, targets, **options):
    """Move the weights towards each target."""
    distance = lambda target: (weights - target).square().sum()
    settings = dict(steps=len(targets), learning_rate=0.1, schedule=constant)
    return optimise([weights], targets, distance, **settings | options)


def test_a_step_is_adamw_with_a_clipped_gradient():
    weights, by_hand = (torch.tensor([3.0, -40.0], requires_grad=True) for _ in range(2))
    seen = []
    losses = train(weights, [1.0, 2.0], schedule=warmup_then_linear, after_step=lambda *step: seen.append(step))
    optimizer = torch.optim.AdamW([by_hand], weight_decay=0.0, fused=True)
    expected = []
    for step, target in enumerate([1.0, 2.0]):
        optimizer.param_groups[0]["lr"] = 0.1 * warmup_then_linear(step, 2)
        optimizer.zero_grad()
        loss = (by_hand - target).square().sum()
        loss.backward()
        by_hand.grad /= by_hand.grad.norm() + 1e-6  # it is far longer than 1
        optimizer.step()
        expected.append(loss.item())
    assert torch.allclose(weights, by_hand) and losses == expected
    assert seen == [(1, losses[0]), (2, losses[1])] and weights.grad is None


def test_losses_are_added_to_those_of_the_steps_that_were_made_before():
    whole, parts = (torch.ones(3, requires_grad=True) for _ in range(2))
    expected = train(whole, [5.0, 2.0, 4.0, 1.0], schedule=warmup_then_linear)
    losses, optimizer = [], adamw([parts])
    options = dict(steps=4, schedule=warmup_then_linear, optimizer=optimizer, losses=losses)
    train(parts, [5.0, 2.0], **options)
    assert train(parts, [4.0, 1.0], **options) is losses and losses == expected
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("at", [1, 3])
def test_after_an_interruption_there_is_a_loss_for_each_step_that_is_in_the_weights(at):
    class Interrupted(torch.optim.AdamW):
        def step(self):
            super().step()
            if steps_made(self) == at:
                raise KeyboardInterrupt

    weights, targets, losses = torch.ones(3, requires_grad=True), [5.0, 2.0, 4.0, 1.0], []
    with pytest.raises(KeyboardInterrupt):
        train(weights, targets, optimizer=Interrupted([weights], weight_decay=0.0), losses=losses)
    assert len(losses) == at and weights.grad is None
    assert losses == pytest.approx(train(torch.ones(3, requires_grad=True), targets)[:at])
