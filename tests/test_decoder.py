"""The forward pass written out, beside transformers' own."""

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ragedu import models
from ragedu.generation import decoder
from ragedu.generation.decoder import Llama, LlamaBatch, can_be_written_out, in_pieces, to_4_bits
from ragedu.generation.language_model import LanguageModel

skipped_without = pytest.mark.skipif(
    not models.status(thorough=False)[1].verified,
    reason="the language model's wheel is not installed: run  ragedu models",
)


def installed(test):
    """Mark a test of the real language model, and skip it where there is none."""
    return pytest.mark.model(skipped_without(test))


kernel = pytest.mark.skipif(not decoder.has_kernel_for_4_bits(), reason="a processor without AVX2")

PROMPTS = [[5, 9, 2, 7, 7, 1, 30, 12], [3], [8, 8, 60, 4]]
NEXT = [[11, 4, 4], [6, 50, 1], [2, 3, 90]]


def small_llama(seed=0, **settings):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4)
    sizes = dict(vocab_size=100, num_key_value_heads=2, max_position_embeddings=256, initializer_range=0.3)
    return LlamaForCausalLM(LlamaConfig(**shape | sizes | settings)).eval()


def expected_logits(model, tokens):
    """transformers' logits behind the last of these tokens."""
    with torch.inference_mode():
        return model(torch.tensor([tokens])).logits[0, -1].float()


@pytest.fixture(scope="module")
def lm():
    return LanguageModel.load()


@pytest.fixture(scope="module")
def exact():
    return LanguageModel.load(dtype="float32")


# The same logits.


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_key_value_heads": 4, "hidden_act": "gelu"},
        {"num_key_value_heads": 1, "tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True, "head_dim": 32},
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ],
)
def test_logits_equal_transformers_also_in_a_batch_of_different_lengths(settings):
    model = small_llama(**settings)
    batch = LlamaBatch(Llama(model), PROMPTS, room=len(NEXT))
    texts = [list(prompt) for prompt in PROMPTS]
    logits = batch.prefill()
    for tokens in [*NEXT, None]:
        expected = torch.stack([expected_logits(model, text) for text in texts])
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
        if tokens:
            logits = batch.step(tokens)
            texts = [text + [token] for text, token in zip(texts, tokens, strict=True)]


@pytest.mark.parametrize("kept", [[0], [1, 2], [2], [0, 1]])
def test_the_texts_that_are_kept_go_on_as_before(kept):
    model = small_llama()
    batch = LlamaBatch(Llama(model), PROMPTS, room=3)
    batch.prefill()
    batch.step(NEXT[0])
    batch.keep(kept)
    logits = batch.step([NEXT[1][row] for row in kept])
    expected = [expected_logits(model, [*PROMPTS[row], NEXT[0][row], NEXT[1][row]]) for row in kept]
    torch.testing.assert_close(logits, torch.stack(expected), atol=1e-4, rtol=1e-4)


def test_reading_in_pieces_changes_nothing(monkeypatch):
    llama = Llama(small_llama())
    at_once = LlamaBatch(llama, PROMPTS, room=0).prefill()
    monkeypatch.setattr(decoder, "MAX_PREFILL_TOKENS", 5)
    torch.testing.assert_close(LlamaBatch(llama, PROMPTS, room=0).prefill(), at_once, atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(1, 80))
def test_pieces_hold_every_position_in_order_within_the_limit(sizes, most):
    pieces = list(in_pieces(sizes, most))
    assert [position for piece in pieces for position in piece] == list(range(len(sizes)))
    assert all(len(piece) == 1 or sum(sizes[p] for p in piece) <= most for piece in pieces)


def test_bfloat16_is_as_near_to_float32_as_transformers_is():
    exact = small_llama()
    rounded = small_llama().to(torch.bfloat16)
    truth = torch.stack([expected_logits(exact, prompt) for prompt in PROMPTS])
    theirs = torch.stack([expected_logits(rounded, prompt) for prompt in PROMPTS]) - truth
    ours = LlamaBatch(Llama(rounded), PROMPTS, room=0).prefill() - truth
    assert ours.abs().mean() < 2 * theirs.abs().mean()


@installed
def test_greedy_texts_equal_transformers_generate_in_float32(exact):
    lm = exact
    for prompt in ("Name three colours.", "Why is the sea salt?"):
        ids = torch.tensor([lm.encode(prompt)])
        made = lm.model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
        expected = lm.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
        assert lm.generate(prompt, max_new_tokens=12) == expected


# Weights in 4 bits.


def on_a_grid(outputs=64, inputs=128, seed=0):
    """A matrix as Q4_1 writes it, and its rounding to bfloat16: in each 32 weights the numbers 0 and 15 occur."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, 16, (outputs, inputs // 32, 32), generator=random)
    numbers[..., 3], numbers[..., 20] = 0, 15
    step = torch.rand(outputs, inputs // 32, 1, generator=random) * 0.01 + 0.001
    low = -step * (torch.rand(step.shape, generator=random) * 8 + 4)
    return (numbers * step + low).flatten(1)


@kernel
@pytest.mark.parametrize("rows", [1, 5, 16])
def test_weights_in_4_bits_are_the_weights(rows):
    exact = on_a_grid()
    numbers, grid = to_4_bits(exact.bfloat16())
    x = torch.randn(rows, 128, generator=torch.Generator().manual_seed(1)).bfloat16()
    ours = torch.ops.aten._weight_int4pack_mm_for_cpu(x, numbers, decoder.GROUP, grid).float()
    truth = x.float() @ exact.T
    theirs = (x @ exact.bfloat16().T).float()
    assert (ours - truth).abs().mean() < 2 * (theirs - truth).abs().mean() + 1e-4
    unpacked = torch.ops.aten._weight_int4pack_mm_for_cpu(torch.eye(128).bfloat16(), numbers, decoder.GROUP, grid).T
    torch.testing.assert_close(unpacked.float(), exact, atol=4e-4, rtol=1e-2)


@kernel
def test_weights_that_are_on_no_grid_stay_as_they_are():
    assert to_4_bits(torch.randn(64, 128).bfloat16()) is None
    moved = on_a_grid()
    moved[40, 70] += (moved[40, 64:96].max() - moved[40, 64:96].min()) / 15 / 2
    assert to_4_bits(moved.bfloat16()) is None
    assert to_4_bits(on_a_grid(outputs=40).bfloat16()) is None  # not a size that the kernel takes
    numbers, grid = to_4_bits(torch.full((64, 32), 0.25).bfloat16())  # no two weights differ
    product = torch.ops.aten._weight_int4pack_mm_for_cpu(torch.ones(1, 32).bfloat16(), numbers, decoder.GROUP, grid)
    assert (product == 8).all()


@installed
@kernel
def test_the_bundled_models_matrices_are_on_their_grids_and_the_adapter_takes_them_off(lm):
    find = lambda model: [
        part.in_4_bits is not None
        for layer in Llama(model.model, copies=model._copies).layers
        for part in (layer.qkv, layer.out, layer.gate_up, layer.down)
    ]
    assert all(find(lm))
    assert not any(find(LanguageModel.load(adapter="reader")))


@installed
@kernel
def test_4_bits_are_as_near_to_float32_as_bfloat16_is(lm, exact):
    rounded = LanguageModel.load(dtype="bfloat16")
    ids = exact.encode("The ferry leaves the harbour at noon, and")
    following = exact.encode_plain(" returns at night with the fishermen and their catch.")

    def logits(model):
        batch = LlamaBatch(Llama(model.model, copies=model._copies), [ids], len(following))
        return torch.cat([batch.prefill(), *(batch.step([token]) for token in following)])

    assert rounded._copies is None and exact._copies is None  # an explicit type is the type of everything
    truth = logits(exact)
    of_bfloat16, of_4_bits = ((logits(model) - truth).abs().mean() for model in (rounded, lm))
    assert of_4_bits < 2 * of_bfloat16 < 0.1 * truth.std()


@kernel
@pytest.mark.parametrize("way", ["in place", "through .data", "another tensor", "rows reversed", "columns reversed"])
def test_changed_weights_are_never_answered_from_an_old_copy(way):
    model = small_llama(hidden_size=64, intermediate_size=128, head_dim=32).to(torch.bfloat16)
    projection = model.model.layers[1].mlp.down_proj
    projection.weight.data = on_a_grid(64, 128).bfloat16()
    copies = {}
    first = LlamaBatch(Llama(model, copies=copies), PROMPTS, room=0).prefill()
    made = copies[projection,][1]
    assert made is not None and Llama(model, copies=copies).layers[1].down.in_4_bits is made  # not made again
    other = on_a_grid(64, 128, seed=5).bfloat16() * 8
    if way == "in place":
        with torch.no_grad():
            projection.weight.copy_(other)
    elif way == "through .data":
        projection.weight.data.copy_(other)
    elif way == "another tensor":
        projection.weight.data = other
    else:
        projection.weight.data = projection.weight.flip(0 if way == "rows reversed" else 1)
    again = LlamaBatch(Llama(model, copies=copies), PROMPTS, room=0).prefill()
    torch.testing.assert_close(again, LlamaBatch(Llama(model, copies={}), PROMPTS, room=0).prefill())
    assert (again - first).abs().max() > 0.1
    for weight in (torch.randn(64, 128).bfloat16(), torch.randn(128, 64).bfloat16().T):
        projection.weight.data = weight
        assert Llama(model, copies=copies).layers[1].down.in_4_bits is None


# What is not written out.


def test_a_model_that_is_trained_generates_with_what_it_has_learned():
    peft = pytest.importorskip("peft", reason="peft is not installed")
    model = small_llama()
    before = LlamaBatch(Llama(model), PROMPTS[:1], room=0).prefill()
    settings = peft.LoraConfig(r=4, target_modules=["q_proj", "o_proj", "up_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(model, settings).eval()
    assert can_be_written_out(adapted)
    for scale in (1.0, 3.0):
        for name, weights in adapted.named_parameters():
            if "lora_B" in name:
                weights.data *= scale
        logits = LlamaBatch(Llama(adapted, copies={}), PROMPTS[:1], room=0).prefill()
        torch.testing.assert_close(logits[0], expected_logits(adapted, PROMPTS[0]), atol=1e-3, rtol=1e-3)
        assert (logits - before).abs().max() > 0.1
    with adapted.disable_adapter():
        logits = LlamaBatch(Llama(adapted), PROMPTS[:1], room=0).prefill()
        torch.testing.assert_close(logits, before, atol=1e-4, rtol=1e-4)
    merged = adapted.merge_and_unload()
    logits = LlamaBatch(Llama(merged), PROMPTS[:1], room=0).prefill()
    torch.testing.assert_close(logits[0], expected_logits(merged, PROMPTS[0]), atol=1e-4, rtol=1e-4)


def test_only_what_is_understood_is_written_out():
    from transformers import MistralConfig, MistralForCausalLM

    model = small_llama()
    assert can_be_written_out(model)
    handle = model.model.layers[2].mlp.register_forward_hook(lambda *_: None)
    assert not can_be_written_out(model)  # or the hook would not be called
    handle.remove()
    assert can_be_written_out(model)
    assert not can_be_written_out(model.train())
    shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    other = MistralForCausalLM(MistralConfig(vocab_size=50, num_key_value_heads=1, sliding_window=4, **shape))
    assert not can_be_written_out(other.eval())
    peft = pytest.importorskip("peft", reason="peft is not installed")
    prompted = peft.get_peft_model(small_llama(), peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    assert not can_be_written_out(prompted.eval())


@installed
@pytest.mark.parametrize("family", ["GPT2", "Mistral"])
def test_other_models_are_read_by_transformers(lm, family):
    import transformers

    torch.manual_seed(0)
    shape = dict(vocab_size=len(lm.tokenizer), initializer_range=0.3, eos_token_id=2, bos_token_id=1)
    if family == "GPT2":
        config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=2, **shape)
    else:
        layers = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
        config = transformers.MistralConfig(num_key_value_heads=1, sliding_window=6, **layers, **shape)
    model = getattr(transformers, f"{family}{'LMHeadModel' if family == 'GPT2' else 'ForCausalLM'}")(config)
    other = LanguageModel(model, lm.tokenizer)
    assert not can_be_written_out(other.model)
    prompts = ["The ferry", "The ferry leaves the harbour at noon and", "A"]
    expected = []
    for prompt in prompts:
        ids = torch.tensor([other.encode(prompt)])
        made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        expected.append(other.decode(made[0, ids.shape[1] :].tolist()))
    assert [other.generate(prompt, max_new_tokens=8) for prompt in prompts] == expected
    assert other.generate(prompts, max_new_tokens=8) == expected


def test_torchs_settings_are_left_as_they_were():
    model = small_llama().to(torch.bfloat16)
    before = torch.get_num_threads(), torch.backends.mkldnn.enabled
    torch.set_num_threads(2)
    try:
        batch = LlamaBatch(Llama(model), [[1, 2]], room=2)
        batch.prefill(), batch.step([3])
        assert (torch.get_num_threads(), torch.backends.mkldnn.enabled) == (2, before[1])
        batch.llama.head = nn.Linear(3, 3)  # which fails
        with pytest.raises(RuntimeError):
            batch.step([4])
        assert (torch.get_num_threads(), torch.backends.mkldnn.enabled) == (2, before[1])
    finally:
        torch.set_num_threads(before[0])


def test_threads_that_write_leave_torchs_settings_as_they_were():
    before = torch.get_num_threads(), torch.backends.mkldnn.enabled
    torch.set_num_threads(2)

    # The first leaves while the second is in, if they can be in together; then the second restores what it found.
    first_in, second_in = threading.Event(), threading.Event()

    def first():
        with decoder.one_thread(), decoder.torch_matrix_vector():
            first_in.set(), second_in.wait(0.5)

    def second():
        first_in.wait()
        with decoder.one_thread(), decoder.torch_matrix_vector():
            second_in.set(), threads[0].join()

    def look():
        found.extend([torch.get_num_threads(), torch.backends.mkldnn.enabled])

    found = []
    try:
        threads = [threading.Thread(target=work) for work in (first, second)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        new = threading.Thread(target=look)
        new.start(), new.join()
        assert found == [2, before[1]]
    finally:
        torch.set_num_threads(before[0])
        torch.backends.mkldnn.enabled = before[1]
