"""Train a language model on (prompt, answer) pairs with LoRA (Hu et al. 2021): its own weights stay as they are.

Next to each projection W of attention a product B A of two thin matrices is learned and added: W + (alpha / rank) B A.
B begins as zeros, so training begins with exactly the model that one has. The loss is the cross-entropy of the answer's
tokens alone, so that nothing of the prompt is memorised.

    model = LanguageModel.load()
    losses = model.train(examples)       # a minute or two on a laptop; `train` below
    model.generate(prompt)
    model.save_adapter("my-reader")      # LanguageModel.load(adapter="my-reader")
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AttentionInterface

from ragedu.generation.loading import SETTINGS, find_adapter
from ragedu.generation.packing import Learner, Row, answer_loss, batches, check_examples, encode_example, pack
from ragedu.optimise import check_count, optimise, warmup_then_cosine

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj"]  # of attention, by the names that Llama's relatives have


def train(
    model: Learner,
    examples: Sequence[tuple[str, str]],
    steps: int = 60,
    *,
    batch_size: int = 4,
    learning_rate: float = 1e-3,
    rank: int = 8,
    seed: int = 0,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train `model` in place on (prompt, answer) pairs; returns the loss of each step (nats a token of the answers).

    The learning rate rises during the first twentieth of the steps and then falls to 0 along a cosine. A model that was
    trained before goes on with its adapter. If you stop it, the model keeps what it has learned. On one machine the
    same seed gives the same losses.

    Parameters
    ----------
    examples
        (prompt, answer) pairs. They are shuffled, and shuffled again when all have been seen.
    steps
        How many batches.
    batch_size
        How many examples a step takes. Neighbours in the list that differ in the question alone count as one, and
        their sources are computed once.
    learning_rate
        The largest that a step uses.
    rank
        Of the thin matrices; ignored where the model has an adapter.
    seed
        Of the order of the examples, and of a new adapter's first weights.
    after_step
        after_step(step, loss) is called after each step, counted from 1.

    Raises
    ------
    TypeError
        For examples that are no pairs of strings, such as dictionaries.
    ValueError
        For no or empty examples, for numbers below 1, and when prompt and answer exceed the model's context.
    """
    check_count("steps", steps)
    check_count("batch_size", batch_size)
    check_count("rank", rank)
    rows = pack([encode_example(model, *example) for example in check_examples(examples)])
    if not rows:
        raise ValueError("there are no examples to learn from: give a list of (prompt, answer) pairs")
    add_lora(model, rank, seed)
    return fit(
        model,
        rows,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        after_step=after_step,
    )


def fit(
    model: Learner,
    rows: Sequence[Row],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
    mixed: bool = False,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train on rows all weights of the model that require a gradient; returns the loss of each step.

    mixed: calculate in bfloat16 with weights in float32, which keep what a small step adds to them.
    """
    model.doubt = None  # it was chosen for other weights
    device = model.model.device.type
    weights = [tensor for tensor in model.model.parameters() if tensor.requires_grad]

    def loss_of_batch(batch: Sequence[Row]) -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            return answer_loss(model, batch)

    in_bfloat16 = mixed or model.model.dtype == torch.bfloat16
    with training_mode(model, write_attention_out=device == "cpu" and in_bfloat16):
        return optimise(
            weights,
            batches(rows, steps, batch_size, seed),
            loss_of_batch,
            steps=steps,
            learning_rate=learning_rate,
            schedule=warmup_then_cosine,
            after_step=after_step,
        )


@contextmanager
def training_mode(model: Learner, *, write_attention_out: bool) -> Iterator[None]:
    """transformers' training mode, with attention written out or as it is; afterwards the model is as it was."""
    usual = model.model.config._attn_implementation
    if write_attention_out:
        model.model.set_attn_implementation(WRITTEN_OUT)
    model.model.train()
    try:
        yield
    finally:
        model.model.eval()
        model.model.set_attn_implementation(usual)


def attention(module, query, key, value, attention_mask, scaling, **_) -> tuple[torch.Tensor, None]:
    """softmax(Q K' / sqrt(d) + mask) V, written out, for tensors of (row, head, token, d).

    A fused kernel saves memory by never holding all weights at once. In bfloat16 on a processor torch's is the slower
    way: training takes about three quarters of the time with these three lines.
    """
    key, value = (states.repeat_interleave(module.num_key_value_groups, dim=1) for states in (key, value))
    weights = torch.softmax((query * scaling) @ key.transpose(2, 3) + attention_mask, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), None


WRITTEN_OUT = "ragedu_written_out"
AttentionInterface.register(WRITTEN_OUT, attention)


# Adapters.


def add_lora(model: Learner, rank: int, seed: int) -> None:
    """Put a new adapter next to the projections of attention, unless the model has one; only it can learn."""
    if hasattr(model.model, "peft_config"):
        return
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ImportError("training needs the package peft: run  pip install peft") from None
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=PROJECTIONS, task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a property under its old name
        torch.manual_seed(seed)
        model.model = get_peft_model(model.model, config)


def continue_adapter(model: Learner, adapter: str | Path) -> None:
    """Put a saved adapter next to the projections, ready for `train` to go on with it.

    adapter: a folder, or the name of an adapter that comes with ragedu. (`LanguageModel.load(adapter=…)` merges it into
    the weights, from which it can't be told apart.)
    """
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model.model = PeftModel.from_pretrained(model.model, str(find_adapter(adapter)), is_trainable=True)


def save_adapter(model: Learner, folder: str | Path, *, doubt: float | None = None) -> Path:
    """Write the trained adapter in PEFT's format (in float16, 2 bytes a number); returns the folder.

    Load it on the model that was trained: `LanguageModel.load(model.name, adapter=folder)`. doubt: the limit of doubt
    that was chosen for these weights, which is then loaded with them; see `RAG`.
    Raises ValueError for a model that has not been trained.
    """
    if not hasattr(model.model, "peft_config"):
        raise ValueError("this model has no adapter to save: train it first")
    if doubt is not None and not 0 <= doubt <= 1:
        raise ValueError(f"doubt is a probability, from 0 (always abstain) to 1 (never), not {doubt!r}")
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).unlink(missing_ok=True)  # the limit of an adapter that was here before; not for these weights
    save_weights(model, folder / "adapter_model.safetensors")
    save_config(model, folder)
    if doubt is not None:
        unfinished = (folder / SETTINGS).with_suffix(".tmp")
        unfinished.write_text(json.dumps({"doubt": doubt}) + "\n", encoding="utf-8")
        unfinished.replace(folder / SETTINGS)
    return folder


def save_weights(model: Learner, file: Path) -> None:
    """Saving is atomic: under another name first."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    weights = get_peft_model_state_dict(model.model, save_embedding_layers=False)
    weights = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in weights.items()}
    unfinished = file.with_suffix(".tmp")
    unfinished.write_bytes(save(weights, metadata={"format": "pt"}))
    unfinished.replace(file)


def save_config(model: Learner, folder: Path) -> None:
    """adapter_config.json, which names the model (no path of this machine) and is ready for inference."""
    config = model.model.peft_config["default"]
    trained_on, for_inference = config.base_model_name_or_path, config.inference_mode
    config.base_model_name_or_path, config.inference_mode = Path(model.name).name, True
    with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as unfinished:  # saving is atomic here too
        config.save_pretrained(unfinished)
        os.replace(Path(unfinished, "adapter_config.json"), folder / "adapter_config.json")
    config.base_model_name_or_path, config.inference_mode = trained_on, for_inference
