"""From examples to rows to the loss: sources that are shared are computed once, and nothing else changes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ragedu import Document
from ragedu.generation import packing
from ragedu.generation.lora import add_lora
from ragedu.generation.prompts import ABSTAIN, build_prompt
from ragedu.training import reading_examples


@given(st.integers(1, 150), st.integers(1, 7), st.integers(0, 3))
def test_batches_use_every_row_before_any_again(rows, size, seed):
    rows = [packing.Row([0] * (1 + n * 7 % 11), [n], [], []) for n in range(rows)]
    whole = math.ceil(len(rows) / size)
    made = list(packing.batches(rows, 2 * whole, size, seed))
    assert len(made) == 2 * whole and all(1 <= len(batch) <= size for batch in made)
    for half in (made[:whole], made[whole:]):
        assert sorted(row.labels[0] for batch in half for row in batch) == list(range(len(rows)))


def test_tokens_are_those_that_generate_reads_and_only_the_answer_is_learned(language_model):
    prompt = build_prompt("Who keeps it?", [Document("1", "Tomas <|im_end|> keeps it.")])
    ids, labels = packing.encode_example(language_model, prompt, "Tomas")
    before = language_model.encode(prompt)
    assert ids[: len(before)] == before and set(labels[: len(before)]) == {packing.NOT_LEARNED}
    assert language_model.tokenizer.decode(ids[len(before) :]) == "Tomas<|im_end|>"
    assert labels[len(before) :] == ids[len(before) :] and ids[-1] in language_model.end_tokens


@pytest.fixture
def tiny(make_small):
    return make_small()


EXAMPLES = [
    ("Ada keeps bees. Who keeps bees?", "Ada"),
    ("Tomas keeps the lamp, and a dog. Who keeps the lamp?", "Tomas Brandt of Marl Head"),
    ("It rains. Why?", ABSTAIN),
]


def test_loss_is_that_of_the_answer_alone(tiny):
    peft = pytest.importorskip("peft")
    rows = [packing.encode_example(tiny, *example) for example in EXAMPLES]
    expected, count = 0.0, 0
    for prompt, answer in EXAMPLES:  # one at a time and without padding, by the definition
        after = tiny.tokenizer(answer + "<|im_end|>", add_special_tokens=False).input_ids
        ids = torch.tensor([tiny.encode(prompt) + after])
        logits = tiny.model(ids).logits.log_softmax(-1)[0]
        expected -= sum(logits[len(ids[0]) - len(after) + n - 1, token].item() for n, token in enumerate(after))
        count += len(after)
    tiny.model = peft.get_peft_model(tiny.model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
    assert packing.answer_loss(tiny, [packing.join([row]) for row in rows]).item() == pytest.approx(expected / count)


def test_sources_that_are_computed_once_give_the_same_loss_and_gradient(tiny):
    pytest.importorskip("peft")
    add_lora(tiny, 2, seed=0)
    encyclopaedia = reading_examples.encyclopaedia(110, seed=3)
    made = [e for e in reading_examples.examples(encyclopaedia, 60, seed=2) if len(e.prompt) < 1400]
    rows = [packing.encode_example(tiny, *example) for example in made]
    packed = packing.pack(rows)
    length = lambda some: sum(len(row[0]) for row in some)
    assert length(packed) < 0.6 * length(rows)
    assert sum(max(row.branch) for row in packed) == len(rows)

    weights = [w for name, w in tiny.model.named_parameters() if "lora_B" in name]

    def loss_and_gradient(some):
        loss = packing.answer_loss(tiny, some)
        return loss.item(), torch.autograd.grad(loss, weights)

    loss, gradient = loss_and_gradient(packed)
    expected, expected_gradient = loss_and_gradient([packing.join([row]) for row in rows])
    assert loss == pytest.approx(expected, rel=1e-5)
    for one, other in zip(gradient, expected_gradient, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_examples_that_differ_in_the_answer_alone_are_still_learned_apart(tiny):
    rows = [packing.encode_example(tiny, "Who is it?", answer) for answer in ("Ada", "Tomas Brandt")]
    (row,) = packing.pack(rows)
    learned = [token for token, label in zip(row.ids, row.labels, strict=True) if label != packing.NOT_LEARNED]
    assert tiny.tokenizer.decode(learned) == "Ada<|im_end|>Tomas Brandt<|im_end|>"
