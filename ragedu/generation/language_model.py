"""A causal language model: give it a prompt, get text; or ask how probable a text is."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack, overload

import numpy as np
import torch
from tqdm.auto import tqdm

from ragedu.corpus import check_text
from ragedu.generation import decoder
from ragedu.generation.forward import TransformersBatch, log_likelihoods
from ragedu.generation.growing import Batch, GrowingText, batch_by_length, check_sampling, grow
from ragedu.generation.loading import fastest_dtype, find_adapter, merge_adapter, quiet_transformers, read_doubt
from ragedu.locks import ForkableLock
from ragedu.models import SMOLLM2, explain_failure, language_model_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROGRESS_FROM_PROMPTS = 8  # fewer, in one batch, are answered before a progress bar would be read
CONTENT = "\ue000ragedu content\ue000"  # where the user's text goes in a rendered chat template
ENCODING = ForkableLock()  # all threads share a switch of the tokenizer: whether it knows control tokens


class Options(TypedDict, total=False):
    """How a text is written. `LanguageModel.generate` says what each means, and has its default."""

    max_new_tokens: int
    temperature: float
    top_p: float | None
    top_k: int | None
    seed: int | None
    stop: str | Sequence[str] | None
    chat: bool | None
    system: str | None


class LanguageModel:
    """A causal language model of transformers with its tokenizer.

    Attributes
    ----------
    model, tokenizer
        transformers' own objects, for whoever wants to look inside.
    name : str
        What it was loaded by.
    doubt : float or None
        The limit of doubt that was chosen for its adapter, a probability; see `RAG`.
    context_length : int or infinity
        The most tokens that prompt and answer may have together.
    """

    def __init__(self, model, tokenizer, *, name: str = "", in_4_bits: bool = False) -> None:
        """in_4_bits: generate on a CPU with weights in 4 bits where the model's were quantised to 4 bits once."""
        self.model: Any = model.eval()  # PreTrainedModel, or peft's model around one while it is trained
        self._copies: dict | None = {} if in_4_bits and decoder.has_kernel_for_4_bits() else None
        # The last position is a slice of a batch, and where weights are frozen, as peft leaves them, torch multiplies a
        # slice by a copy of the output matrix for every row: 900 MB and a second for 16 rows. So the slice is copied.
        self.model.get_output_embeddings().register_forward_pre_hook(copied_slice)
        self.tokenizer: Any = tokenizer
        self.name = name
        self.loaded_with: dict[str, str] = {}  # the arguments of `load`, for the repr
        self.doubt: float | None = None
        ends = model.generation_config.eos_token_id if model.generation_config else None
        ends = [*ends] if isinstance(ends, list | tuple) else [ends]
        self.end_tokens: set[int] = {token for token in (*ends, tokenizer.eos_token_id) if token is not None}
        self.context_length: float = getattr(model.config, "max_position_embeddings", None) or math.inf

    @classmethod
    def load(
        cls,
        name: str | Path = SMOLLM2.name,
        *,
        adapter: str | Path | None = None,
        dtype: str | torch.dtype | None = None,
        device: str = "cpu",
    ) -> Self:
        """Load the bundled model, a folder, or a model on Hugging Face.

        Parameters
        ----------
        name
            "smollm2-135m", which comes with ragedu, a folder, or a name on Hugging Face.
        adapter
            The folder of a LoRA adapter (PEFT's format), or the name of one that comes with ragedu, such as "reader".
            It is merged into the weights.
        dtype
            "float32", "bfloat16", …, in which everything is then computed. By default `fastest_dtype()`, and weights
            in 4 bits where that is what they are.
        device
            As in torch.

        Raises
        ------
        ModelUnavailable
            With one line that says what to do, when something is missing or damaged.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        adapter_folder = find_adapter(adapter) if adapter is not None else None
        folder = language_model_folder(name)
        in_4_bits, given = dtype is None, {"adapter": adapter, "dtype": dtype, "device": device}
        if dtype is None:
            dtype = fastest_dtype() if torch.device(device).type == "cpu" else torch.bfloat16
        with explain_failure("language", name), quiet_transformers():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        if adapter_folder is not None:
            model = merge_adapter(model, adapter_folder)
        model.to(device)  # type: ignore[arg-type]  # transformers wraps torch's method, and loses its types
        loaded = cls(model, tokenizer, name=str(name), in_4_bits=in_4_bits)
        loaded.loaded_with = {name: str(value) for name, value in given.items() if value not in (None, "cpu")}
        if adapter_folder is not None:
            loaded.doubt = read_doubt(adapter_folder)
        return loaded

    # Text.

    @overload
    def generate(self, prompts: str, **options: Unpack[Options]) -> str: ...  # type: ignore[overload-overlap]
    @overload
    def generate(self, prompts: Sequence[str], **options: Unpack[Options]) -> list[str]: ...
    def generate(
        self,
        prompts: str | Sequence[str],
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        chat: bool | None = None,
        system: str | None = None,
    ) -> str | list[str]:
        """Continue one prompt (returns a string) or each of a list (returns a list of strings, in its order).

        Parameters
        ----------
        max_new_tokens
            The text ends after this many tokens, where the model ends it, or before a stop string.
        temperature
            0 is greedy decoding. Above 0 it samples.
        top_k, top_p
            Sample from the `top_k` most probable tokens, and from the smallest set of tokens with probability `top_p`.
        seed
            With it the same call gives the same text. Prompt number i of a list draws with seed + i, so that equal
            prompts get different texts. Torch's global random state is neither read nor changed.
        stop
            Strings before the first of which the text ends.
        chat
            Put the prompt into the model's chat template as a user's message; False continues the bare text. By
            default True when the model has a template.
        system
            A system message before the user's.

        Raises
        ------
        ValueError
            When a prompt and `max_new_tokens` together exceed the context; nothing is truncated.

        Notes
        -----
        Batches differ from single prompts by rounding, which can still turn a choice between two tokens that are nearly
        equally probable, above all in bfloat16. Where the weights are in 4 bits (see `load`), the rounding is another,
        too: up to 16 tokens at once are multiplied in bfloat16, more at once in the model's own number format. So a
        prompt of 16 tokens or fewer is read in bfloat16 when it is alone, and in float32 (on a machine that computes
        so) when it is read together with others. With `dtype` given to `load`, all is computed in that format.
        """
        check_sampling(max_new_tokens, temperature, top_p, top_k, seed)
        single, prompts = isinstance(prompts, str), as_list(prompts, "prompts")
        stop = stop if stop is None else as_list(stop, "stop")
        texts = [
            self._begin(prompt, max_new_tokens, seed if seed is None else int(seed) + i, stop, chat, system)
            for i, prompt in enumerate(prompts)
        ]
        batches = batch_by_length([len(text.prompt_tokens) + max_new_tokens for text in texts])
        quiet = len(texts) < PROGRESS_FROM_PROMPTS and len(batches) < 2
        # It goes when it is done: an evaluation, which has a bar of its own, generates many times.
        with tqdm(total=len(texts), desc="writing", unit=" prompts", leave=None, miniters=0, disable=quiet) as progress:
            for positions in batches:
                batch = [texts[position] for position in positions]
                begun = progress.n
                for step, _ in enumerate(grow(batch, self._batch, temperature, top_k, top_p), start=1):
                    progress.set_postfix_str(f"token {step}", refresh=False)
                    progress.update(begun + sum(bool(text.ended) for text in batch) - progress.n)
        return texts[0].text if single else [text.text for text in texts]

    __call__ = generate

    def steps(
        self,
        prompt: str,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        chat: bool | None = None,
        system: str | None = None,
    ) -> Iterator[GrowingText]:
        """Write the text of `generate` step by step: the same GrowingText after each token, with its tokens, its text
        and, at last, why it ended. The options are those of `generate`."""
        check_sampling(max_new_tokens, temperature, top_p, top_k, seed)
        text = self._begin(prompt, max_new_tokens, seed, stop, chat, system)
        return (text for _ in grow([text], self._batch, temperature, top_k, top_p))

    def stream(self, prompt: str, **options: Unpack[Options]) -> Iterator[str]:
        """Yield the text of `generate` piece by piece; joined, the pieces are exactly that text.

        The options are those of `generate`.
        """
        return self._pieces(self.steps(prompt, **options))

    @staticmethod
    def _pieces(steps: Iterator[GrowingText]) -> Iterator[str]:
        shown = 0
        for text in steps:
            settled = text.settled
            if len(settled) > shown:
                yield settled[shown:]
                shown = len(settled)

    @overload
    def log_likelihood(  # type: ignore[overload-overlap]  # a string is a sequence of strings, too
        self, prompts: str, continuations: str, *, chat: bool | None = None, system: str | None = None
    ) -> float: ...
    @overload
    def log_likelihood(
        self,
        prompts: str | Sequence[str],
        continuations: Sequence[str],
        *,
        chat: bool | None = None,
        system: str | None = None,
    ) -> np.ndarray: ...
    def log_likelihood(
        self,
        prompts: str | Sequence[str],
        continuations: str | Sequence[str],
        *,
        chat: bool | None = None,
        system: str | None = None,
    ) -> float | np.ndarray:
        """log p(continuation | prompt) in nats: the sum over the continuation's tokens, its end not included.

        Two strings give a float; lists give a float64 array (n,); one prompt with a list is used for all of it.
        The continuation is tokenized on its own, so without a chat template it usually begins with a space.

        Raises ValueError for lists of different lengths, an empty continuation, or more tokens than the context.
        """
        single = isinstance(prompts, str) and isinstance(continuations, str)
        continuations = as_list(continuations, "continuations")
        prompts = [prompts] * len(continuations) if isinstance(prompts, str) else as_list(prompts, "prompts")
        if len(prompts) != len(continuations):
            raise ValueError(f"{len(prompts)} prompts with {len(continuations)} continuations: give one for each")
        contexts, targets = [], []
        for prompt, continuation in zip(prompts, continuations, strict=True):
            target = self.encode_plain(check_text(continuation, "a continuation"))
            if not target:
                raise ValueError("a continuation is empty: there is nothing whose probability could be computed")
            contexts.append(self.encode(prompt, chat=chat, system=system))
            self._check_length(len(contexts[-1]), len(target))
            targets.append(target)
        scores = np.zeros(len(targets))
        batches = batch_by_length([len(c) + len(t) for c, t in zip(contexts, targets, strict=True)])
        quiet = len(batches) < 2
        with tqdm(total=len(targets), desc="scoring", unit=" texts", leave=None, disable=quiet) as progress:
            for batch in batches:
                scores[batch] = log_likelihoods(
                    self.model, [contexts[i] for i in batch], [targets[i] for i in batch], self.padding_token
                )
                progress.update(len(batch))
        return float(scores[0]) if single else scores

    # Training.

    def train(
        self,
        examples: Sequence[tuple[str, str]],
        steps: int = 60,
        *,
        batch_size: int = 4,
        learning_rate: float = 1e-3,
        rank: int = 8,
        seed: int = 0,
        after_step: Callable[[int, float], None] | None = None,
    ) -> list[float]:
        """Teach the model to answer prompts like yours: LoRA on (prompt, answer) pairs.

        Trains in place and returns the loss of each step (nats a token). What the options mean, and the errors, are
        those of `ragedu.generation.lora.train`. Its limit of doubt, which was chosen for other weights, is None then.
        """
        from ragedu.generation import lora

        return lora.train(
            self,
            examples,
            steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            rank=rank,
            seed=seed,
            after_step=after_step,
        )

    def save_adapter(self, folder: str | Path, *, doubt: float | None = None) -> Path:
        """Write what `train` learned into a folder, for `LanguageModel.load(self.name, adapter=folder)`; returns it.

        doubt: the limit of doubt that was chosen for these weights, if one was; see `RAG`.
        """
        from ragedu.generation import lora

        return lora.save_adapter(self, folder, doubt=doubt)

    # Tokens.

    def count_tokens(self, text: str) -> int:
        """The number of tokens of the bare text, without a chat template."""
        return len(self.encode_plain(check_text(text, "a text")))

    def encode(self, prompt: str, *, chat: bool | None = None, system: str | None = None) -> list[int]:
        """The token ids that this prompt is for the model.

        In a chat, control tokens written out in the prompt ("<|im_end|>") are read as ordinary characters: a
        retrieved passage can't end the user's message and begin one of its own. With chat=False they are
        control tokens, for whoever writes a template by hand.
        """
        check_text(prompt, "a prompt")
        has_template = bool(self.tokenizer.chat_template)
        if chat and not has_template:
            raise ValueError(f"the model {self.name!r} has no chat template: use chat=False")
        if has_template if chat is None else chat:
            return self._encode_chat(prompt, system)
        if system is not None:
            raise ValueError("a system message needs a chat template: leave system out, or use chat=True")
        ids, start = self._encode_with_control(prompt), self.tokenizer.bos_token_id
        if ids[:1] != [start] and self._tokens("")[:1] == [start]:  # as Llama and Gemma are used to; not SmolLM2
            ids = [start, *ids]
        return ids or [self.tokenizer.eos_token_id if start is None else start]

    def _encode_chat(self, prompt: str, system: str | None) -> list[int]:
        messages = [{"role": "user", "content": CONTENT}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": check_text(system, "the system message")})
        template = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        before, _, after = template.partition(CONTENT)
        if any(token in prompt for token in self.control_tokens):
            return [
                *self._encode_with_control(before),
                *self.encode_plain(prompt),
                *self._encode_with_control(after),
            ]
        return self._encode_with_control(before + prompt + after)

    def encode_plain(self, text: str) -> list[int]:
        """The token ids of the bare text, with control tokens read as ordinary characters."""
        return self._tokens(text, add_special_tokens=False, split_special_tokens=True)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text that token ids spell, without control tokens."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    @property
    def control_tokens(self) -> list[str]:
        """The tokens that mean something to the tokenizer besides their characters, such as "<|im_end|>"."""
        added = [token.content for token in self.tokenizer.added_tokens_decoder.values()]
        return list(dict.fromkeys([*self.tokenizer.all_special_tokens, *added]))

    @property
    def padding_token(self) -> int:
        """What fills up the shorter rows of a batch; the network doesn't look at it."""
        return min(self.end_tokens, default=0)

    def _encode_with_control(self, text: str) -> list[int]:
        return self._tokens(text, add_special_tokens=False)

    def _tokens(self, text: str, **options: bool) -> list[int]:
        with ENCODING:
            return self.tokenizer(text, verbose=False, **options).input_ids

    def _check_length(self, prompt_tokens: int, more: int) -> None:
        if prompt_tokens + more > self.context_length:
            raise ValueError(
                f"the prompt has {prompt_tokens:,} tokens and {more:,} more are to follow, but the model's context "
                f"holds {self.context_length:,}: shorten the prompt by {prompt_tokens + more - self.context_length:,}"
            )

    # Growing.

    def _begin(
        self,
        prompt: str,
        max_new_tokens: int,
        seed: int | None,
        stop: str | Sequence[str] | None,
        chat: bool | None,
        system: str | None,
    ) -> GrowingText:
        stop = as_list(stop, "stop") if stop is not None else []
        if any(not check_text(string, "a stop string") for string in stop):
            raise ValueError("a stop string is empty: every text would end before it begins")
        ids = self.encode(prompt, chat=chat, system=system)
        self._check_length(len(ids), max_new_tokens)
        seed = secrets.randbits(63) if seed is None else int(seed) % 2**64  # as torch wants it
        generator = torch.Generator(self.model.device).manual_seed(seed)
        return GrowingText(ids, max_new_tokens, generator, stop, self.end_tokens, self.decode)

    def _batch(self, texts: Sequence[GrowingText]) -> Batch:
        """The network with a key-value cache: a Llama on a CPU written out, anything else by transformers."""
        prompts = [text.prompt_tokens for text in texts]
        if decoder.can_be_written_out(self.model):
            room = max(text.max_new_tokens for text in texts)
            return decoder.LlamaBatch(decoder.Llama(self.model, copies=self._copies), prompts, room)
        return TransformersBatch(self.model, prompts, self.padding_token)

    def __getstate__(self) -> dict[str, Any]:
        """What pickle and deepcopy take. Copies of weights in 4 bits are made again when they are needed."""
        return vars(self) | {"_copies": None if self._copies is None else {}}

    def __repr__(self) -> str:
        if not self.name:
            return f"LanguageModel({type(self.model).__name__})"
        options = [f"{name}={value.removeprefix('torch.')!r}" for name, value in self.loaded_with.items()]
        call = f"LanguageModel.load({', '.join([repr(self.name), *options])})"
        return f"<{call}, trained since>" if hasattr(self.model, "peft_config") else call


def copied_slice(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """A hook of torch's, before a layer. (A function with a name, for pickle finds no lambda.)"""
    return (inputs[0].contiguous(),)


def as_list(texts: str | Sequence[str], what: str) -> list[str]:
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes | dict) or not hasattr(texts, "__iter__"):
        raise TypeError(f"{what} must be a string or a list of strings, not {type(texts).__name__}")
    return list(texts)
