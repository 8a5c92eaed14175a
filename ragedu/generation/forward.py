"""The forward pass of transformers' own model: for batches with padding, on any device, with a key-value cache.

Shapes: B texts, n tokens processed at once, T tokens in all, V possible tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch

from ragedu.generation import decoder

MAX_LOGIT_TOKENS = 512  # tokens whose logits are held at once; one token's are 200 kB


def left_pad(rows: Sequence[Sequence[int]], filler: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of different lengths as one tensor (B, T) that ends flush, and its mask (B, T), 0 on the padding."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), filler)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, width - len(row) :] = torch.tensor(row)
        mask[number, width - len(row) :] = 1
    return ids.to(device), mask.to(device)


@torch.inference_mode()
def forward(model, ids: torch.Tensor, mask: torch.Tensor, cache, *, keep: int = 1) -> torch.Tensor:
    """The logits after the last `keep` of the tokens `ids` (B, n), which follow what is in the cache.

    mask: (B, T), over all tokens up to the last of `ids`. Returns float32 (B, keep, V).
    """
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    one_token = ids.numel() == 1 and model.dtype == torch.bfloat16 and ids.device.type == "cpu"
    with decoder.TURN, decoder.torch_matrix_vector() if one_token else nullcontext():
        return model(
            input_ids=ids,
            attention_mask=None if mask.all() else mask,  # without padding attention has a faster kernel
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        ).logits.float()


class TransformersBatch:
    """Texts that any causal model of transformers continues side by side; `decoder.LlamaBatch` has the same methods."""

    def __init__(self, model, prompts: Sequence[Sequence[int]], padding: int) -> None:
        from transformers import DynamicCache

        self.model, self.kv_cache = model, DynamicCache(config=model.config)
        self.ids, self.mask = left_pad(prompts, padding, model.device)

    def prefill(self) -> torch.Tensor:
        return forward(self.model, self.ids, self.mask, self.kv_cache)[:, -1]  # (B, V)

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        ids = torch.tensor(tokens, device=self.mask.device)[:, None]  # (B, 1)
        self.mask = torch.cat([self.mask, torch.ones_like(ids)], dim=1)
        return forward(self.model, ids, self.mask, self.kv_cache)[:, -1]  # (B, V)

    def keep(self, rows: Sequence[int]) -> None:
        self.kv_cache.batch_select_indices(torch.tensor(rows, device=self.mask.device))
        self.mask = self.mask[rows]


def log_likelihoods(model, contexts: list[list[int]], targets: list[list[int]], padding: int) -> list[float]:
    """log p(target | context) in nats, for each pair of token lists, all in one batch.

    The logits of all targets' tokens at once would take much memory, so the targets are processed in pieces.
    """
    from transformers import DynamicCache

    ids, mask = left_pad([c + t for c, t in zip(contexts, targets, strict=True)], padding, model.device)  # (B, T)
    width, longest = ids.shape[1], max(len(target) for target in targets)
    piece = max(1, MAX_LOGIT_TOKENS // len(targets))
    cache = DynamicCache(config=model.config)
    scores = torch.zeros(len(targets), dtype=torch.float64)
    lengths = torch.tensor([len(target) for target in targets])
    start = 0
    for end in [*range(width - longest, width - 1, piece), width - 1]:
        # The logits after token i are about token i + 1, so the last token needs none.
        first = max(start, width - longest - 1)
        logits = forward(model, ids[:, start:end], mask[:, :end], cache, keep=end - first)  # (B, end - first, V)
        of_next = logits.log_softmax(-1).gather(-1, ids[:, first + 1 : end + 1, None])[..., 0].cpu().double()
        in_target = torch.arange(first + 1, end + 1) >= (width - lengths)[:, None]
        scores += torch.where(in_target, of_next, 0.0).sum(dim=1)
        start = end
    return scores.tolist()
