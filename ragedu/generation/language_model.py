"""A causal language model: give it a prompt, get text; or ask how probable a text is."""

from __future__ import annotations

import math
import secrets
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Self

import numpy as np
import torch
from tqdm.auto import tqdm

from ragedu.corpus import check_text
from ragedu.generation import decoder
from ragedu.generation.decoding import next_token
from ragedu.models import SMOLLM2, ModelUnavailable, explain_failure, language_model_folder

ADAPTERS = Path(__file__).parent.parent / "adapters"
BATCH_ROWS = 16
BATCH_TOKENS = 4096  # rows times tokens: bounds the memory that a batch of long prompts takes
LOGITS_AT_ONCE = 512  # tokens; one token's logits are 200 kB
CONTENT = "\ue000ragedu content\ue000"  # where the user's text goes in a rendered chat template
ENCODING = threading.Lock()  # whether control tokens are read is a switch of the tokenizer, which all threads share


class LanguageModel:
    """A causal language model of transformers with its tokenizer.

    `model` and `tokenizer` are transformers' own objects, for whoever wants to look inside.
    """

    def __init__(self, model, tokenizer, name: str = "", in_4_bits: bool = False) -> None:
        """in_4_bits: generate on a CPU with weights in 4 bits where the model's were quantised to 4 bits once."""
        self.model = model.eval()
        self._copies = {} if in_4_bits and decoder.has_kernel_for_4_bits() else None
        # The last position is a slice of a batch, and where weights are frozen, as peft leaves them, torch multiplies a
        # slice by a copy of the output matrix for every row: 900 MB and a second for 16 rows. So the slice is copied.
        self.model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
        self.tokenizer = tokenizer
        self.name = name
        ends = model.generation_config.eos_token_id if model.generation_config else None
        ends = [*ends] if isinstance(ends, list | tuple) else [ends]
        self.end_tokens = {token for token in (*ends, tokenizer.eos_token_id) if token is not None}
        # The most tokens that prompt and answer may have together.
        self.context_length = getattr(model.config, "max_position_embeddings", None) or math.inf

    @classmethod
    def load(
        cls,
        name: str | Path = SMOLLM2.name,
        adapter: str | Path | None = None,
        dtype: str | torch.dtype | None = None,
        device: str = "cpu",
    ) -> Self:
        """Load the bundled model, a folder, or a model on Hugging Face.

        adapter: the folder of a LoRA adapter (PEFT's format), or the name of one that comes with ragedu; it is
        merged into the weights. dtype: "float32", "bfloat16", …, in which everything is calculated then; None takes
        `fastest_dtype()`, and weights in 4 bits where that is what they are. device: as in torch.

        Raises ModelUnavailable, with one line that says what to do, when something is missing or damaged.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        adapter_folder = find_adapter(adapter) if adapter is not None else None
        folder = language_model_folder(name)
        in_4_bits = dtype is None
        if dtype is None:
            dtype = fastest_dtype() if torch.device(device).type == "cpu" else torch.bfloat16
        with explain_failure("language", name), quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        if adapter_folder is not None:
            model = merge_adapter(model, adapter_folder)
        return cls(model.to(device), tokenizer, str(name), in_4_bits)

    # Text.

    def generate(
        self,
        prompts: str | Sequence[str],
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

        temperature 0 is greedy decoding; above 0 it samples, from the `top_k` most probable tokens and the
        smallest set with probability `top_p`, if given. With `seed` the same call gives the same text; prompt
        number i of a list draws with seed + i, so that equal prompts get different texts. Torch's global random
        state is neither read nor changed.

        The text ends where the model ends it, before the first of the strings in `stop`, or after
        `max_new_tokens` tokens. chat: put the prompt into the model's chat template as a user's message, after the
        `system` message; False continues the bare text; None is True when the model has a template.

        Batches differ from single prompts by rounding only, which can still turn a choice between two tokens that
        are nearly equally probable, above all in bfloat16.

        Raises ValueError when a prompt and `max_new_tokens` together exceed the context; nothing is truncated.
        """
        check_sampling(max_new_tokens, temperature, top_p, top_k, seed)
        single, prompts = isinstance(prompts, str), as_list(prompts, "prompts")
        stop = stop if stop is None else as_list(stop, "stop")
        texts = [
            self._unfinished(prompt, max_new_tokens, seed if seed is None else int(seed) + i, stop, chat, system)
            for i, prompt in enumerate(prompts)
        ]
        batches = batch_by_length([len(text.prompt) + max_new_tokens for text in texts])
        with tqdm(total=len(texts), unit="prompt", disable=len(batches) < 2) as progress:
            for batch in batches:
                for _ in self._decode([texts[i] for i in batch], temperature, top_k, top_p):
                    pass
                progress.update(len(batch))
        return texts[0].text if single else [text.text for text in texts]

    __call__ = generate

    def stream(
        self,
        prompt: str,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        chat: bool | None = None,
        system: str | None = None,
    ) -> Iterator[str]:
        """Yield the text of `generate` piece by piece; joined, the pieces are exactly that text."""
        check_sampling(max_new_tokens, temperature, top_p, top_k, seed)
        text = self._unfinished(prompt, max_new_tokens, seed, stop, chat, system)

        def pieces():
            shown = 0
            for _ in self._decode([text], temperature, top_k, top_p):
                settled = text.settled
                if len(settled) > shown:
                    yield settled[shown:]
                    shown = len(settled)

        return pieces()

    def log_likelihood(
        self,
        prompts: str | Sequence[str],
        continuations: str | Sequence[str],
        chat: bool | None = None,
        system: str | None = None,
    ) -> float | np.ndarray:
        """log p(continuation | prompt) in nats: the sum over the continuation's tokens, its end not included.

        Two strings give a float; lists give a float64 array (n,); one prompt with a list is used for all of it.
        The continuation is tokenised on its own, so without a chat template it usually begins with a space.

        Raises ValueError for lists of different lengths, an empty continuation, or more tokens than the context.
        """
        single = isinstance(prompts, str) and isinstance(continuations, str)
        continuations = as_list(continuations, "continuations")
        prompts = [prompts] * len(continuations) if isinstance(prompts, str) else as_list(prompts, "prompts")
        if len(prompts) != len(continuations):
            raise ValueError(f"{len(prompts)} prompts with {len(continuations)} continuations: give one for each")
        contexts, targets = [], []
        for prompt, continuation in zip(prompts, continuations, strict=True):
            target = self._encode_plain(check_text(continuation, "a continuation"))
            if not target:
                raise ValueError("a continuation is empty: there is nothing whose probability could be computed")
            contexts.append(self.encode(prompt, chat, system))
            self._check_length(len(contexts[-1]), len(target))
            targets.append(target)
        scores = np.zeros(len(targets))
        batches = batch_by_length([len(c) + len(t) for c, t in zip(contexts, targets, strict=True)])
        for batch in tqdm(batches, unit="batch", disable=len(batches) < 2):
            scores[batch] = self._score([contexts[i] for i in batch], [targets[i] for i in batch])
        return float(scores[0]) if single else scores

    # Training.

    def train(self, examples: Sequence[tuple[str, str]], steps: int = 60, **options) -> list[float]:
        """Teach the model to answer prompts like yours: LoRA on (prompt, answer) pairs.

        Trains in place and returns the loss of each step (nats a token). The options (batch_size, learning_rate, rank,
        seed, after_step) and the errors are those of `ragedu.training.reader.train`, which says what they do.
        """
        from ragedu.training import reader

        return reader.train(self, examples, steps, **options)

    def save_adapter(self, folder: str | Path) -> Path:
        """Write what `train` learned into a folder, for `LanguageModel.load(self.name, adapter=folder)`."""
        from ragedu.training import reader

        return reader.save_adapter(self, folder)

    # Tokens.

    def count_tokens(self, text: str) -> int:
        """The number of tokens of the bare text, without a chat template."""
        return len(self._encode_plain(check_text(text, "a text")))

    def encode(self, prompt: str, chat: bool | None = None, system: str | None = None) -> list[int]:
        """The token ids that the model reads for this prompt.

        In a chat, control tokens written out in the prompt ("<|im_end|>") are read as ordinary characters: a
        retrieved passage can't end the user's message and begin one of its own. With chat=False they are
        control tokens, for whoever writes a template by hand.
        """
        check_text(prompt, "a prompt")
        has_template = bool(self.tokenizer.chat_template)
        if chat and not has_template:
            raise ValueError(f"the model {self.name!r} has no chat template: use chat=False")
        if not (has_template if chat is None else chat):
            if system is not None:
                raise ValueError("a system message needs a chat template: leave system out, or use chat=True")
            ids, start = self._encode_with_control(prompt), self.tokenizer.bos_token_id
            if ids[:1] != [start] and self._tokens("")[:1] == [start]:  # as Llama and Gemma are used to; not SmolLM2
                ids = [start, *ids]
            return ids or [self.tokenizer.eos_token_id if start is None else start]

        messages = [{"role": "user", "content": CONTENT}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": check_text(system, "the system message")})
        template = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        before, _, after = template.partition(CONTENT)
        if any(token in prompt for token in self.tokenizer.all_special_tokens + self._added_tokens()):
            return [
                *self._encode_with_control(before),
                *self._encode_plain(prompt),
                *self._encode_with_control(after),
            ]
        return self._encode_with_control(before + prompt + after)

    def _added_tokens(self) -> list[str]:
        return [token.content for token in self.tokenizer.added_tokens_decoder.values()]

    def _encode_with_control(self, text: str) -> list[int]:
        return self._tokens(text, add_special_tokens=False)

    def _encode_plain(self, text: str) -> list[int]:
        return self._tokens(text, add_special_tokens=False, split_special_tokens=True)

    def _tokens(self, text: str, **options) -> list[int]:
        with ENCODING:
            return self.tokenizer(text, verbose=False, **options).input_ids

    def _decode_text(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _check_length(self, prompt_tokens: int, more: int) -> None:
        if prompt_tokens + more > self.context_length:
            raise ValueError(
                f"the prompt has {prompt_tokens:,} tokens and {more:,} more are to follow, but the model's context "
                f"holds {self.context_length:,}: shorten the prompt by {prompt_tokens + more - self.context_length:,}"
            )

    # The loop.

    def _unfinished(self, prompt, max_new_tokens, seed, stop, chat, system) -> GeneratedText:
        stop = as_list(stop, "stop") if stop is not None else []
        if any(not check_text(string, "a stop string") for string in stop):
            raise ValueError("a stop string is empty: every text would end before it begins")
        ids = self.encode(prompt, chat, system)
        self._check_length(len(ids), max_new_tokens)
        seed = secrets.randbits(63) if seed is None else int(seed) % 2**64  # as torch wants it
        generator = torch.Generator(self.model.device).manual_seed(seed)
        return GeneratedText(ids, max_new_tokens, generator, stop, self.end_tokens, self._decode_text)

    def _decode(self, texts: list[GeneratedText], temperature, top_k, top_p) -> Iterator[None]:
        """Grow the texts together, a token each at every step, until all are finished."""
        with decoder.TURN:
            reading = self._begin_reading([text.prompt for text in texts], max(text.max_new_tokens for text in texts))
            logits = reading.read_prompts()
        while True:
            for text, row in zip(texts, logits, strict=True):
                text.append(int(next_token(row, temperature, top_k, top_p, text.generator)))
            yield
            going = [row for row, text in enumerate(texts) if not text.finished]
            if not going:
                return
            if len(going) < len(texts):
                reading.keep(going)
                texts = [texts[row] for row in going]
            with decoder.TURN:
                logits = reading.read_next([text.tokens[-1] for text in texts])

    def _begin_reading(self, prompts: list[list[int]], room: int) -> decoder.Reading | ReadingByTransformers:
        if decoder.can_be_written_out(self.model):
            return decoder.Reading(decoder.Llama(self.model, self._copies), prompts, room)
        return ReadingByTransformers(self, prompts)

    @torch.inference_mode()
    def _forward(self, ids, mask, cache, keep: int = 1) -> torch.Tensor:
        """Read ids (rows, n) after what is in the cache; the logits behind the last `keep` of them, in float32:
        (rows, keep, vocabulary), or (rows, vocabulary) when keep is 1."""
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        one_token = ids.numel() == 1 and self.model.dtype == torch.bfloat16 and ids.device.type == "cpu"
        with decoder.TURN, decoder.torch_matrix_vector() if one_token else nullcontext():
            logits = self.model(
                input_ids=ids,
                attention_mask=None if mask.all() else mask,  # without padding attention has a quicker kernel
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=keep,
            ).logits.float()
        return logits[:, -1] if keep == 1 else logits

    def _left_pad(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of different lengths as one tensor that ends flush, and the mask that is 0 on the padding."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), min(self.end_tokens, default=0))
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, width - len(row) :] = torch.tensor(row)
            mask[number, width - len(row) :] = 1
        return ids.to(self.model.device), mask.to(self.model.device)

    def _score(self, contexts: list[list[int]], targets: list[list[int]]) -> list[float]:
        """log p(target | context) of each row."""
        from transformers import DynamicCache

        ids, mask = self._left_pad([c + t for c, t in zip(contexts, targets, strict=True)])
        width, longest = ids.shape[1], max(len(target) for target in targets)
        at_once = max(1, LOGITS_AT_ONCE // len(targets))
        cache = DynamicCache(config=self.model.config)
        scores = torch.zeros(len(targets), dtype=torch.float64)
        lengths = torch.tensor([len(target) for target in targets])
        start = 0
        for end in [*range(width - longest, width - 1, at_once), width - 1]:
            # The logits behind token i are about token i + 1, so the last token needs none.
            first = max(start, width - longest - 1)
            logits = self._forward(ids[:, start:end], mask[:, :end], cache, keep=end - first)
            logits = logits.reshape(len(targets), end - first, -1)
            of_next = logits.log_softmax(-1).gather(-1, ids[:, first + 1 : end + 1, None])[..., 0].cpu().double()
            in_target = torch.arange(first + 1, end + 1) >= (width - lengths)[:, None]
            scores += torch.where(in_target, of_next, 0.0).sum(dim=1)
            start = end
        return scores.tolist()

    def __repr__(self) -> str:
        size = sum(weights.numel() for weights in self.model.parameters()) / 1e6
        dtype = str(self.model.dtype).removeprefix("torch.")
        return f"LanguageModel({self.name!r}, {size:,.0f} million parameters, {dtype})"


class ReadingByTransformers:
    """`decoder.Reading` for any causal model of transformers on any device."""

    def __init__(self, model: LanguageModel, prompts: list[list[int]]) -> None:
        from transformers import DynamicCache

        self.model, self.cache = model, DynamicCache(config=model.model.config)
        self.ids, self.mask = model._left_pad(prompts)

    def read_prompts(self) -> torch.Tensor:
        return self.model._forward(self.ids, self.mask, self.cache)

    def read_next(self, tokens: list[int]) -> torch.Tensor:
        ids = torch.tensor(tokens, device=self.mask.device)[:, None]
        self.mask = torch.cat([self.mask, torch.ones_like(ids)], dim=1)
        return self.model._forward(ids, self.mask, self.cache)

    def keep(self, rows: list[int]) -> None:
        self.cache.batch_select_indices(torch.tensor(rows, device=self.mask.device))
        self.mask = self.mask[rows]


class GeneratedText:
    """One text while it grows: its prompt's tokens, its own tokens, and the text that they spell."""

    def __init__(self, prompt, max_new_tokens, generator, stop, end_tokens, decode) -> None:
        self.prompt: list[int] = prompt
        self.tokens: list[int] = []
        self.text = ""
        self.finished = False
        self.generator = generator
        self.max_new_tokens, self._stop = max_new_tokens, stop
        self._end_tokens, self._decode = end_tokens, decode

    def append(self, token: int) -> None:
        self.tokens.append(token)
        self.text = self._decode(self.tokens)
        self.finished = token in self._end_tokens or len(self.tokens) >= self.max_new_tokens
        cuts = [cut for string in self._stop if (cut := self.text.find(string)) >= 0]
        if cuts:
            self.text, self.finished = self.text[: min(cuts)], True

    @property
    def settled(self) -> str:
        """The beginning of the text that later tokens can't change.

        Unsettled are a character of which some bytes are still to come (decoded as U+FFFD until then), and what
        could be the beginning of a stop string.
        """
        if self.finished:
            return self.text
        text = self.text.rstrip("\ufffd")
        held = [n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])]
        return text[: len(text) - max(held, default=0)]


def batch_by_length(lengths: list[int]) -> list[list[int]]:
    """Positions grouped into batches of similar length, longest first, so that little of a batch is padding."""
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda p: -lengths[p]):
        last = batches[-1] if batches else []
        # The first of a batch is its longest.
        if last and len(last) < BATCH_ROWS and (len(last) + 1) * lengths[last[0]] <= BATCH_TOKENS:
            last.append(position)
        else:
            batches.append([position])
    return batches


# Loading.


def fastest_dtype() -> torch.dtype:
    """bfloat16 on processors that calculate with it (AVX512-BF16 or AMX), where it takes half the memory and about
    half the time; float32 on others, which would have to imitate it."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.bfloat16 if native else torch.float32


def find_adapter(adapter: str | Path) -> Path:
    """The folder of an adapter, given its folder or the name of one that comes with ragedu. (A folder of the same name
    is to be given as "./reader".)"""
    shipped = sorted(path.parent.name for path in ADAPTERS.glob("*/adapter_config.json"))
    folder = ADAPTERS / adapter if adapter in shipped else Path(adapter).expanduser()
    if (folder / "adapter_config.json").is_file():
        return folder
    raise ModelUnavailable(
        f"there is no adapter {str(adapter)!r}: give a folder with an adapter_config.json"
        + (f", or one of {', '.join(shipped)}" if shipped else " (no adapter comes with this version of ragedu)")
    )


def merge_adapter(model, folder: Path):
    """The model with a LoRA adapter added into its weights, so that it is as quick as without."""
    try:
        from peft import PeftModel
    except ImportError:
        raise ModelUnavailable("an adapter needs the package peft: run  pip install peft") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers; nothing a user can do
            return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelUnavailable(
            f"the adapter {str(folder)!r} cannot be merged into this model ({reason}): load it with the model that it "
            "was trained for, which its adapter_config.json names, or train it again"
        ) from error


@contextmanager
def quiet_transformers():
    """No progress bar for a second's work."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


# Checks.


def as_list(texts: str | Sequence[str], what: str) -> list[str]:
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes | dict) or not hasattr(texts, "__iter__"):
        raise TypeError(f"{what} must be a string or a list of strings, not {type(texts).__name__}")
    return list(texts)


def check_sampling(max_new_tokens, temperature, top_p, top_k, seed) -> None:
    is_whole = lambda n: isinstance(n, int | np.integer) and not isinstance(n, bool)
    if not is_whole(max_new_tokens) or max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be a whole number, at least 1, not {max_new_tokens!r}")
    if not isinstance(temperature, int | float | np.number) or not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be a number, 0 (greedy) or above, not {temperature!r}")
    if top_p is not None and not (isinstance(top_p, int | float | np.number) and 0 < top_p <= 1):
        raise ValueError(f"top_p must be a probability above 0 and at most 1, not {top_p!r}")
    if top_k is not None and (not is_whole(top_k) or top_k < 1):
        raise ValueError(f"top_k must be a whole number of tokens, at least 1, not {top_k!r}")
    if seed is not None and (not is_whole(seed) or seed < 0):
        raise ValueError(f"seed must be a whole number, 0 or above, not {seed!r}")
