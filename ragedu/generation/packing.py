"""From (prompt, answer) pairs to the logits of the answers' tokens: what a language model is trained on.

Examples that ask different things of the same sources begin alike. They are packed into one row, a tree written flat:
the shared beginning once, then the rest of each example, which looks at the beginning and at itself and never at the
other examples. So the sources are computed once for all their questions, and the loss is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from random import Random
from typing import Any, NamedTuple, Protocol

import torch

from ragedu.corpus import Dataset
from ragedu.generation.prompts import ABSTAIN
from ragedu.optimise import shuffled

NOT_LEARNED = -100  # the label of a token that is not a target, as in torch's cross_entropy

Encoded = tuple[list[int], list[int]]  # an example's token ids and labels, of the same length


class Learner(Protocol):
    """What training needs of a language model: its network and tokenizer, and how it turns text into tokens."""

    model: Any
    tokenizer: Any
    name: str
    context_length: float
    doubt: float | None

    def encode(self, prompt: str, /) -> list[int]: ...

    def encode_plain(self, text: str, /) -> list[int]: ...


class Row(NamedTuple):
    """One example, or several that begin alike: token ids, labels, positions, and branch, which is 0 for what all of
    them share and 1, 2, … for what belongs to the first, the second, … alone."""

    ids: list[int]
    labels: list[int]
    positions: list[int]
    branch: list[int]

    @classmethod
    def of_one(cls, ids: list[int], labels: list[int]) -> Row:
        """The row of a single example."""
        return cls(ids, labels, list(range(len(ids))), [0] * len(ids))


# From examples to rows.


def encode_example(model: Learner, prompt: str, answer: str) -> Encoded:
    """The token ids of prompt, answer and end token, and their labels: the prompt's are NOT_LEARNED.

    The prompt's tokens are those that `generate` computes with, so the model is trained on what it will see.
    Raises ValueError for an empty answer, and when both together exceed the model's context.
    """
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError(
            f"an example's answer is empty (prompt: {prompt[:60]!r}): use {ABSTAIN!r} where the sources have no answer"
        )
    before = model.encode(prompt)
    after = [*model.encode_plain(answer), model.tokenizer.eos_token_id]
    if len(before) + len(after) > model.context_length:
        raise ValueError(
            f"an example has {len(before) + len(after):,} tokens but the model's context holds "
            f"{model.context_length:,}: shorten its prompt ({prompt[:60]!r}…)"
        )
    return before + after, [NOT_LEARNED] * len(before) + after


def check_examples(examples: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    """The examples as a list of (prompt, answer); TypeError, which shows the form, for what is no list of such pairs.

    A dictionary would otherwise be taken for its keys, and a string of two letters for a prompt and an answer.
    """
    form = 'train takes a list of (prompt, answer) pairs, as in [("Who keeps the light?", "Tomas Brandt.")]'
    if isinstance(examples, Mapping):
        raise TypeError(f"{form}, not a dictionary: if its keys are prompts, use list(examples.items())")
    if isinstance(examples, str | bytes | Dataset) or not isinstance(examples, Iterable):
        raise TypeError(f"{form}, not a {type(examples).__name__}")
    checked = []
    for number, example in enumerate(examples):
        if isinstance(example, Mapping):
            cure = '[(each["prompt"], each["answer"]) for each in examples], with your own keys'
            raise TypeError(f"{form}, and example {number} is a dictionary: use {cure}")
        if not isinstance(example, tuple | list) or len(example) != 2:
            raise TypeError(f"{form}, and example {number} is not a pair: {example!r:.80}")
        for text, what in zip(example, ("prompt", "answer"), strict=True):
            if not isinstance(text, str):
                raise TypeError(f"{form}, and the {what} of example {number} is a {type(text).__name__}")
        checked.append((example[0], example[1]))
    return checked


def pack(examples: Sequence[Encoded]) -> list[Row]:
    """Join neighbours of which more than half is the same, as where they ask different things of the same sources."""
    groups: list[list[Encoded]] = []
    for example in examples:
        ids, _ = example
        if groups and shared_beginning([groups[-1][0], example]) > len(ids) / 2:
            groups[-1].append(example)
        else:
            groups.append([example])
    return [join(group) for group in groups]


def shared_beginning(examples: Sequence[Encoded]) -> int:
    """How many tokens are the same at the beginning of all; the last token before an answer is never counted."""
    before_answer = min(prompt_length(labels) for _, labels in examples)
    columns = zip(*(ids for ids, _ in examples), strict=False)
    same = takewhile(lambda column: len(set(column)) == 1, columns)
    return min(before_answer - 1, sum(1 for _ in same))


def prompt_length(labels: Sequence[int]) -> int:
    return next(place for place, label in enumerate(labels) if label != NOT_LEARNED)


def join(examples: Sequence[Encoded]) -> Row:
    """One row of several examples: the shared beginning, then each one's rest, all of which begin at one position."""
    shared = shared_beginning(examples)
    ids, labels = examples[0][0][:shared], [NOT_LEARNED] * shared
    positions, branch = list(range(shared)), [0] * shared
    for number, (own_ids, own_labels) in enumerate(examples, start=1):
        ids += own_ids[shared:]
        labels += own_labels[shared:]
        positions += range(shared, len(own_ids))
        branch += [number] * (len(own_ids) - shared)
    return Row(ids, labels, positions, branch)


def batches(rows: Sequence[Row], steps: int, batch_size: int, seed: int) -> Iterator[list[Row]]:
    """`steps` batches, drawn without repetition until all rows have been used, and then again.

    Rows are batched with others of about their length (out of 16 batches shuffled together), because short rows are
    filled up with padding to the longest, and padding costs as much time as text.
    """
    dice, made = Random(seed), 0
    while True:
        order = shuffled(range(len(rows)), dice)
        for start in range(0, len(order), 16 * batch_size):
            by_length = sorted(order[start : start + 16 * batch_size], key=lambda place: len(rows[place].ids))
            for cut in shuffled(range(0, len(by_length), batch_size), dice):
                yield [rows[place] for place in by_length[cut : cut + batch_size]]
                made += 1
                if made == steps:
                    return


# From rows to the loss.


def answer_loss(model: Learner, batch: Sequence[Row]) -> torch.Tensor:
    """Mean cross-entropy of the answers' tokens, each given all tokens before it in its own example."""
    logits, targets, _ = answer_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits, targets)


def answer_logits(model: Learner, batch: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each of the n tokens that are to be learned, row by row: the logits at its place (n, vocabulary), the token
    itself (n,), and the branch of its row to which it belongs (n,).

    Logits of 49,152 possible tokens are computed for the few tokens that are learned, and not for all the hundreds of
    the prompt, which would take most of the memory and a third of the time.
    """
    device = model.model.device
    ids = padded([row.ids for row in batch], 0).to(device)
    labels = padded([row.labels for row in batch], NOT_LEARNED).to(device)
    positions = padded([row.positions for row in batch], 0).to(device)
    branch = padded([row.branch for row in batch], -1).to(device)

    whole = model.model.get_base_model() if hasattr(model.model, "peft_config") else model.model
    layers, head = getattr(whole, whole.base_model_prefix), whole.get_output_embeddings()
    mask = attention_mask(branch, model.model.dtype)
    states = layers(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)[0]

    learned = labels[:, 1:] != NOT_LEARNED  # the state of token i predicts token i + 1
    return head(states[:, :-1][learned]).float(), labels[:, 1:][learned], branch[:, 1:][learned]


def attention_mask(branch: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores of attention, (rows, 1, tokens, tokens): 0 where the token of the line sees the token
    of the column, the lowest number elsewhere.

    A token sees those before it that are shared or of its own branch. branch: (rows, tokens).
    """
    shared = branch[:, None, :] == 0
    same_branch = branch[:, None, :] == branch[:, :, None]
    before = torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool, device=branch.device).tril()
    visible = (shared | same_branch) & before
    mask = torch.zeros(visible.shape, dtype=dtype, device=branch.device)
    return mask.masked_fill(~visible, torch.finfo(dtype).min)[:, None]


def padded(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    """Rows of different lengths as one tensor (rows, longest), filled up at their ends."""
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])
