"""A Llama's forward pass written out, with the key-value cache that generating needs.

transformers' own serves training, every device and hundreds of kinds of networks; on a CPU a small Llama spends as much
time on that generality as on arithmetic. Here is the arithmetic, with the weights, norms and rotary angles of
transformers' model, and with its logits as the result.

Two things make it fast. The keys and values of all tokens so far stay where they are, in a tensor made
beforehand (the key-value cache). And since one token's way through the network takes about as long as fetching all
weights from memory, weights that lie on a grid of 16 values are kept in 4 bits as well.

Shapes: B texts; N tokens processed at once, of all texts together; T columns of the cache, a token each; C numbers in a
token's state (hidden size); H query heads and K key heads of D numbers each; V possible tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import accumulate
from typing import TypeGuard

import torch
from torch import nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention

from ragedu.locks import ForkableLock

GROUP = 32  # weights of a row that share a grid of 16 values, as in llama.cpp's format Q4_1
GRID_TOLERANCE = 0.1  # how far off the grid, in its steps, rounding to bfloat16 may have taken a weight
MAX_4_BIT_ROWS = 16  # with more, unpacking 4 bits for each of them takes longer than fetching 16
MAX_ONE_THREAD_WEIGHTS = 4_000_000  # of a matrix that one thread has multiplied by a vector before a second wakes up
MAX_PREFILL_TOKENS = 1024  # of several prompts at once, which bounds the memory that reading them takes
# Which kernel multiplies, and with how many threads, torch decides for the whole process, and writing changes that for
# the time of a token. So those who read or write in several threads take turns, token by token.
TURN = ForkableLock()


class LlamaBatch:
    """Texts that a Llama continues side by side, with their key-value cache: the keys and values of all tokens so far.

    The prompts end flush, so that every text's next token comes into the same column:

        . . . . The ferry  | leaves
        How many ships lie | in
    """

    def __init__(self, llama: Llama, prompts: Sequence[Sequence[int]], room: int) -> None:
        """room: how many tokens may follow the prompts."""
        self.llama, self.prompts = llama, prompts
        self.filled = max(map(len, prompts))  # columns
        self.padding = torch.tensor([self.filled - len(prompt) for prompt in prompts])  # (B,) columns before each text
        shape = (2, len(prompts), llama.key_heads, self.filled + room, llama.head_size)  # keys and values, B, K, T, D
        self.kv_cache = [torch.empty(shape, dtype=llama.dtype) for _ in llama.layers]

    @torch.inference_mode()
    def prefill(self) -> torch.Tensor:
        """Process the prompts; the logits (B, V) of the token after each.

        Several prompts are processed as one sequence, one after the other, and so without padding. Only attention has
        to know where each begins and ends.
        """
        states_after = []
        for rows in in_pieces([len(prompt) for prompt in self.prompts], MAX_PREFILL_TOKENS):
            prompts = [self.prompts[row] for row in rows]
            ends = list(accumulate(map(len, prompts)))
            spans = [(row, end - len(prompt), end) for row, prompt, end in zip(rows, prompts, ends, strict=True)]
            ids = torch.tensor([token for prompt in prompts for token in prompt])  # (N,)
            positions = torch.cat([torch.arange(len(prompt)) for prompt in prompts])  # (N,)
            states = self.llama.forward(ids, positions, partial(self._attend_within, spans))  # (N, C)
            states_after.append(states[torch.tensor(ends) - 1])
        return self.llama.head(torch.cat(states_after)).float()  # (B, V)

    def _attend_within(self, spans: Sequence[tuple[int, int, int]], layer: int, q, k, v) -> torch.Tensor:
        """Attention among the tokens start:end of each row alone. q: (N, H, D); k, v: (N, K, D); returns (N, H, D)."""
        mixed = torch.empty_like(q)
        for row, start, end in spans:
            queries, keys, values = (part[start:end].transpose(0, 1) for part in (q, k, v))  # (H or K, T, D)
            cache, padding = self.kv_cache[layer][:, row], self.filled - (end - start)  # (2, K, T, D)
            cache[:, :, :padding] = 0  # not "not a number", which would not be masked by a weight of 0
            cache[0, :, padding : self.filled], cache[1, :, padding : self.filled] = keys, values
            sharing = len(queries) // len(keys)  # query heads that share a key head
            keys, values = keys.repeat_interleave(sharing, dim=0), values.repeat_interleave(sharing, dim=0)
            result = scaled_dot_product_attention(queries[None], keys[None], values[None], is_causal=True)
            mixed[start:end] = result[0].transpose(0, 1)
        return mixed

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Process one more token of each text; the logits (B, V) of the one after it."""
        column, self.filled = self.filled, self.filled + 1
        mask = None
        if self.padding.any():
            padding = torch.arange(self.filled) < self.padding[:, None, None, None]  # (B, 1, 1, T)
            mask = torch.zeros(padding.shape, dtype=self.llama.dtype).masked_fill(padding, -torch.inf)

        def attention(layer: int, q, k, v) -> torch.Tensor:
            cache = self.kv_cache[layer]
            cache[0, :, :, column], cache[1, :, :, column] = k, v
            keys, values = cache[:, :, :, : self.filled]  # (B, K, T, D)
            # Query heads that share a key head are given as if they were queries of several positions.
            queries = q.unflatten(1, (k.shape[1], -1))  # (B, K, H / K, D)
            return scaled_dot_product_attention(queries, keys, values, mask).flatten(1, 2)  # (B, H, D)

        one_row = len(tokens) == 1 and self.llama.dtype == torch.bfloat16
        alone = len(tokens) <= 4 and self.llama.is_small
        with one_thread() if alone else nullcontext(), torch_matrix_vector() if one_row else nullcontext():
            states = self.llama.forward(torch.tensor(tokens), column - self.padding, attention)  # (B, C)
            return self.llama.head(states).float()  # (B, V)

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these texts only."""
        self.padding = self.padding[torch.tensor(rows)]
        for layer, cache in enumerate(self.kv_cache):
            self.kv_cache[layer] = torch.empty_like(cache[:, : len(rows)])
            self.kv_cache[layer][:, :, :, : self.filled] = cache[:, rows, :, : self.filled]


def can_be_written_out(model) -> bool:
    """Whether a Llama here does what `model` does when it is called: transformers' LlamaForCausalLM, as it is or with
    LoRA's layers in it, on the CPU, not in training, and with nobody's hooks inside, which would not be called here."""
    from transformers import LlamaForCausalLM

    adapters = getattr(model, "peft_config", {}).values()
    if any(adapter.peft_type != "LORA" or getattr(adapter, "alora_invocation_tokens", None) for adapter in adapters):
        return False
    whole = model.get_base_model() if adapters else model
    if type(whole) is not LlamaForCausalLM:
        return False
    inside = [model, whole, *whole.get_decoder().modules()]
    hooked = any(part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part) for part in inside)
    return not hooked and not model.training and all(part.device.type == "cpu" for part in model.parameters())


def has_kernel_for_4_bits() -> bool:
    """torch has a fast kernel for them on processors with AVX2 or AVX-512."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


class Llama:
    """The network of transformers' LlamaForCausalLM.

    copies: where weights in 4 bits are kept between one use and the next; None for no such weights.
    """

    def __init__(self, model, *, copies: dict | None = None) -> None:
        model = model.get_base_model() if hasattr(model, "peft_config") else model
        inner = model.get_decoder()
        self.embed, self.rotary, self.norm = inner.embed_tokens, inner.rotary_emb, Norm(inner.norm)
        self.layers = [Layer(layer, copies) for layer in inner.layers]
        self.head = model.get_output_embeddings()
        self.key_heads, self.head_size = model.config.num_key_value_heads, inner.layers[0].self_attn.head_dim
        self.dtype = model.dtype
        self.is_small = model.config.hidden_size * model.config.intermediate_size * 2 < MAX_ONE_THREAD_WEIGHTS

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, attention: Callable) -> torch.Tensor:
        """The states (N, C) after N tokens; attention(layer, q, k, v) mixes the values, (N, H, D)."""
        x = self.embed(ids)  # (N, C)
        cos, sin = rotation(*self.rotary(x, positions[None]))  # (N, 1, D)
        for number, layer in enumerate(self.layers):
            heads = layer.qkv(layer.norm(x)).unflatten(1, (-1, self.head_size))  # (N, H + 2 K, D)
            qk, v = heads[:, : -self.key_heads], heads[:, -self.key_heads :]  # (N, H + K, D), (N, K, D)
            qk = rotate(qk, cos, sin)
            mixed = attention(number, qk[:, : -self.key_heads], qk[:, -self.key_heads :], v)  # (N, H, D)
            x = x + layer.out(mixed.flatten(1))  # (N, C)
            gate, up = layer.gate_up(layer.mlp_norm(x)).chunk(2, dim=1)  # (N, intermediate size) each
            x = x + layer.down(layer.activation(gate) * up)  # (N, C)
        return self.norm(x)


class Layer:
    def __init__(self, layer, copies: dict | None) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.norm, self.mlp_norm = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        self.qkv = Projections((attention.q_proj, attention.k_proj, attention.v_proj), copies)
        self.out = Projections((attention.o_proj,), copies)
        self.gate_up = Projections((mlp.gate_proj, mlp.up_proj), copies)
        self.down = Projections((mlp.down_proj,), copies)
        self.activation = mlp.act_fn


class Norm:
    """Division by the root of the mean square (Zhang & Sennrich 2019)."""

    def __init__(self, norm) -> None:
        self.weight, self.eps = norm.weight, norm.variance_epsilon

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return rms_norm(x, self.weight.shape, self.weight, self.eps)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding (Su et al. 2021): number i of a head's first half and number i of its second are the
    coordinates of a point, which is turned about the origin by an angle that grows with the position.

    x: (N, heads, D); cos and sin: (N, 1, D), as `rotation` makes them.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def rotation(cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """transformers' tables (1, N, D), whose halves are equal, with the sign that the sine has in a rotation."""
    first, second = sin[0, :, None].chunk(2, dim=-1)
    return cos[0, :, None], torch.cat([-first, second], dim=-1)


class Projections:
    """Linear layers with the same input: all at once and in 4 bits for few rows, if their weights are of that kind."""

    def __init__(self, modules: tuple[nn.Module, ...], copies: dict | None) -> None:
        self.modules = modules
        self.in_4_bits = None if copies is None else copied_in_4_bits(modules, copies)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x: (N, inputs) -> (N, sum of all outputs)"""
        if self.in_4_bits and len(x) <= MAX_4_BIT_ROWS:
            numbers, grid = self.in_4_bits
            return torch.ops.aten._weight_int4pack_mm_for_cpu(x.bfloat16(), numbers, GROUP, grid).to(x.dtype)
        results = [module(x) for module in self.modules]
        return results[0] if len(results) == 1 else torch.cat(results, dim=1)


def copied_in_4_bits(modules: tuple[nn.Module, ...], copies: dict):
    """What `to_4_bits` makes of the layers' weights; made again only when their bits add up to something else than last
    time. Adding them up takes as long as two tokens, and whoever trains or edits weights need not tell anybody."""
    weights = [module.weight.detach() for module in modules if is_plain(module)]
    if len(weights) < len(modules):
        return None
    if weights[0].shape[1] % GROUP:
        return None
    bits = [sum_of_bits(weight) for weight in weights]
    if modules not in copies or copies[modules][0] != bits:
        copies[modules] = bits, to_4_bits(torch.cat(weights))
    return copies[modules][1]


def is_plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether a layer is a matrix and nothing more: no bias, no matrices of LoRA's next to it."""
    return type(module) is nn.Linear and module.bias is None


def sum_of_bits(weight: torch.Tensor) -> int:
    """Of all 8 bytes of a matrix, each times an odd number that depends on their place, so that rows which change
    places are seen. (Modulo 2 ** 64 an odd factor loses nothing.)"""
    numbers = weight.contiguous().view(torch.int64)
    rows, columns = (torch.arange(1, 2 * size, 2) for size in numbers.shape)
    return int((rows @ (numbers @ columns)).item())


@torch.inference_mode()
def to_4_bits(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """A matrix (outputs, inputs) as torch's kernel for 4 bits takes it; None where that would be another matrix.

    Q4_1 writes 32 weights as low + step * q with q from 0 to 15, where low is the smallest of them and low + 15 * step
    the largest. So the grid can be read off the weights. Those of a matrix that never was quantised, or has been
    trained since, are not on theirs.
    """
    if weight.shape[0] % 64:
        return None
    for part in (weight[:64], weight):  # a look at a few rows spares the work where there is no grid
        groups = part.float().unflatten(1, (-1, GROUP))
        low, high = groups.aminmax(dim=-1, keepdim=True)
        step = ((high - low) / 15).clamp(min=1e-30)
        exact = (groups - low).div_(step)
        q = exact.round()
        if exact.sub_(q).abs_().max() > GRID_TOLERANCE:
            return None
    numbers = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q.flatten(1).int(), 1)
    grid = torch.cat([step, low + 8 * step], dim=-1)  # the kernel counts q from -8 to 7
    return numbers, grid.transpose(0, 1).bfloat16().contiguous()


def in_pieces(sizes: Sequence[int], most: int) -> Iterator[list[int]]:
    """Positions in their order, in pieces whose sizes sum to `most` or less, or of one position."""
    piece: list[int] = []
    for position, size in enumerate(sizes):
        if piece and sum(sizes[p] for p in piece) + size > most:
            yield piece
            piece = []
        piece.append(position)
    if piece:
        yield piece


@contextmanager
def one_thread() -> Iterator[None]:
    with TURN:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def torch_matrix_vector() -> Iterator[None]:
    """For one token a matrix is multiplied by a single vector, and there torch's own bfloat16 kernel is twice as
    fast as oneDNN's, which torch prefers because it is better with matrices."""
    with TURN, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TF32")
        with torch.backends.mkldnn.flags(enabled=False):
            yield
