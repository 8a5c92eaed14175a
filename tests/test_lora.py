"""LoRA: what is trained, what stays, and what is saved."""

import json

import pytest
import torch

from ragedu import LanguageModel
from ragedu.generation import lora
from ragedu.generation.loading import read_doubt
from ragedu.generation.lora import save_adapter, train
from ragedu.generation.prompts import ABSTAIN
from ragedu.training.reading_examples import Example


@pytest.fixture
def tiny(make_small):
    return make_small()


EXAMPLES = [
    Example("Ada keeps bees. Who keeps bees?", "Ada"),
    Example("Tomas keeps the lamp, and a dog. Who keeps the lamp?", "Tomas Brandt of Marl Head"),
    ("It rains. Why?", ABSTAIN),
]


def test_training_learns_and_repeats_and_leaves_the_models_own_weights(tiny, language_model, tmp_path):
    pytest.importorskip("peft")
    before = {name: weights.clone() for name, weights in tiny.model.state_dict().items()}
    seen = []
    state = torch.random.get_rng_state()
    losses = train(
        tiny, EXAMPLES, 30, batch_size=3, learning_rate=3e-2, rank=4, seed=1, after_step=lambda *step: seen.append(step)
    )
    assert torch.equal(state, torch.random.get_rng_state())  # the caller's dice are not touched
    assert seen == list(enumerate(losses, start=1)) and losses[-1] < losses[0] - 1
    assert not tiny.model.training
    base = {n.replace(".base_layer", ""): w for n, w in tiny.model.get_base_model().state_dict().items()}
    assert all(torch.equal(base[name], weights) for name, weights in before.items())

    folder = save_adapter(tiny, tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "small" and config["r"] == 4 and config["inference_mode"]
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]

    from transformers import LlamaForCausalLM

    from ragedu.generation.loading import merge_adapter

    config = tiny.model.get_base_model().config

    def fresh():
        model = LlamaForCausalLM(config)
        model.load_state_dict(before)
        return model

    merged = LanguageModel(merge_adapter(fresh(), folder), tiny.tokenizer, name="tiny")
    assert merged.log_likelihood(*EXAMPLES[1]) == pytest.approx(tiny.log_likelihood(*EXAMPLES[1]), abs=0.05)
    again = LanguageModel(fresh(), tiny.tokenizer)
    assert again.train(EXAMPLES, 30, batch_size=3, learning_rate=3e-2, rank=4, seed=1) == losses
    saved = again.save_adapter(tmp_path / "again") / "adapter_model.safetensors"
    assert saved.read_bytes() == (folder / "adapter_model.safetensors").read_bytes()

    resumed = LanguageModel(fresh(), tiny.tokenizer, name="tiny")
    lora.continue_adapter(resumed, folder)
    assert resumed.log_likelihood(*EXAMPLES[1]) == pytest.approx(tiny.log_likelihood(*EXAMPLES[1]), abs=0.05)
    before_more = resumed.log_likelihood(*EXAMPLES[1])
    train(resumed, EXAMPLES, 3, batch_size=3, learning_rate=1e-2)
    assert resumed.log_likelihood(*EXAMPLES[1]) != before_more
    more = train(tiny, EXAMPLES, 3, batch_size=3, learning_rate=1e-3)  # goes on with what was learned
    assert more[0] < losses[0] - 1


def test_a_limit_of_doubt_is_saved_with_the_weights_that_it_was_chosen_for(tiny, tmp_path):
    pytest.importorskip("peft")
    tiny.doubt = 0.2
    train(tiny, EXAMPLES, 1)
    assert tiny.doubt is None
    assert read_doubt(save_adapter(tiny, tmp_path, doubt=0.3)) == 0.3
    assert read_doubt(save_adapter(tiny, tmp_path)) is None  # that of the adapter that was there is gone
    with pytest.raises(ValueError, match="doubt is a probability"):
        save_adapter(tiny, tmp_path, doubt=7)


def test_attention_written_out_is_torchs_attention():
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, 9, 4, generator=draw)
    key, value = (torch.randn(2, 2, 9, 4, generator=draw) for _ in range(2))  # each for three heads of the query
    mask = torch.zeros(2, 1, 9, 9).masked_fill(torch.rand(2, 1, 9, 9, generator=draw) < 0.3, float("-inf"))
    mask.diagonal(dim1=2, dim2=3).zero_()  # every token sees itself

    class Module:
        num_key_value_groups = 3

    ours, _ = lora.attention(Module, query, key, value, mask, scaling=0.5)
    grouped = (states.repeat_interleave(3, dim=1) for states in (key, value))
    theirs = torch.nn.functional.scaled_dot_product_attention(query, *grouped, attn_mask=mask, scale=0.5)
    assert torch.allclose(ours, theirs.transpose(1, 2), atol=1e-6)


def test_in_bfloat16_training_writes_attention_out_and_puts_the_usual_one_back(tiny):
    pytest.importorskip("peft")
    from transformers import AttentionInterface

    calls = []
    watched = lambda *arguments, **options: calls.append(1) or lora.attention(*arguments, **options)
    AttentionInterface.register(lora.WRITTEN_OUT, watched)
    usual = tiny.model.config._attn_implementation
    tiny.model.bfloat16()
    losses = train(tiny, EXAMPLES, 8, batch_size=3, learning_rate=3e-2)
    assert len(calls) == 8 * 2 and losses[-1] < losses[0]  # two layers
    assert tiny.model.config._attn_implementation == usual
    AttentionInterface.register(lora.WRITTEN_OUT, lora.attention)


def test_bad_input(tiny, tmp_path):
    with pytest.raises(ValueError, match="no examples to learn from"):
        train(tiny, [])
    with pytest.raises(ValueError, match="steps must be a whole number, at least 1, not 0"):
        train(tiny, EXAMPLES, steps=0)
    with pytest.raises(ValueError, match="answer is empty .*use 'Not in the sources.'"):
        train(tiny, [("Who?", " ")])
    with pytest.raises(ValueError, match="context holds 512: shorten its prompt"):
        train(tiny, [("word " * 600, "word")])
    with pytest.raises(ValueError, match="no adapter to save: train it first"):
        save_adapter(tiny, tmp_path)


@pytest.mark.parametrize(
    "examples, says",
    [
        ([{"prompt": "Who?", "answer": "Ada"}], r'example 0 is a dictionary: use \[\(each\["prompt"\]'),
        ([("Who?", "Ada"), {"a": "b", "c": "d"}], "example 1 is a dictionary"),
        (["ab", "cd"], "example 0 is not a pair: 'ab'"),
        ([("Who?", "Ada"), "ab"], "example 1 is not a pair: 'ab'"),
        ([{"a", "b"}], "example 0 is not a pair"),
        ([b"ab"], "example 0 is not a pair"),
        ([("a", "b", "c")], "example 0 is not a pair"),
        ([("a",)], "example 0 is not a pair"),
        ([("a", 7)], "the answer of example 0 is a int"),
        ([(["a"], "b")], "the prompt of example 0 is a list"),
        ({"Who?": "Ada"}, r"not a dictionary: if its keys are prompts, use list\(examples.items\(\)\)"),
        ("ab", "not a str"),
        (("Who?", "Ada"), "example 0 is not a pair: 'Who\\?'"),
        (None, "not a NoneType"),
        (7, "not a int"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_pairs_is_refused_before_anything_is_trained(tiny, examples, says):
    before = tiny.generate("Hi", max_new_tokens=3)
    with pytest.raises(TypeError, match=rf"train takes a list of \(prompt, answer\) pairs, as in .*{says}"):
        tiny.train(examples, 2)
    assert not hasattr(tiny.model, "peft_config") and tiny.generate("Hi", max_new_tokens=3) == before
