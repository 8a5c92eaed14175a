"""The exercises of lesson 07, RAG or fine-tuning."""

from __future__ import annotations

import math

import numpy as np

from ragedu.learn.exercise import Exercise

# Warm-up: the perplexity of several texts.


def perplexity(texts):
    return float(np.exp(-np.concatenate(texts).mean()))


several = Exercise(
    name="07.perplexity",
    title="One number for several texts",
    minutes=5,
    reference=perplexity,
    cases=[
        ([np.array([-1.0, -1.0])],),
        ([np.array([-1.0, -3.0]), np.array([-2.0, -2.0])],),
        ([np.array([-1.0, -1.0, -1.0]), np.array([-5.0])],),
        ([np.array([0.0]), np.array([-2.0, -4.0, 0.0])],),
    ],
    random_case=lambda dice: (
        [-dice.exponential(2, size=int(dice.integers(1, 7))).round(1) for _ in range(int(dice.integers(2, 4)))],
    ),
    mistakes={
        "Each text counts the same here, however short it is. Add up over all tokens first, then take one mean.": (
            lambda texts: np.exp(-np.mean([np.mean(text) for text in texts]))
        ),
        "This is the mean of the texts' perplexities. The mean is for the logarithms, over all tokens together.": (
            lambda texts: np.mean([np.exp(-np.mean(text)) for text in texts])
        ),
        "This is the loss, the mean of -ln p. Perplexity is e to the power of it.": (
            lambda texts: -np.concatenate(texts).mean()
        ),
        "The sign is missing: ln p is negative, and this comes out below 1.": (
            lambda texts: np.exp(np.concatenate(texts).mean())
        ),
        "The surprises are added up and not averaged: more text would mean more perplexity.": (
            lambda texts: np.exp(-np.concatenate(texts).sum())
        ),
        "The sum over all tokens is divided by the number of texts; divide it by the number of tokens.": (
            lambda texts: np.exp(-sum(text.sum() for text in texts) / len(texts))
        ),
        "The logarithm and the power have different bases: these are natural logarithms, so take e.": (
            lambda texts: 2 ** -np.concatenate(texts).mean()
        ),
    },
    hints=(
        "Perplexity is e to the power of the mean surprise at a token. Of how many tokens is the mean to be taken?",
        "A text of a thousand tokens weighs a thousand times as much as one of a single token.",
        "np.concatenate makes one array of all of them; the surprise at a token is minus its ln p.",
    ),
)


# The loss on the answer alone.


def answer_loss(logits, ids, prompt):
    return _loss(logits, ids, prompt)


def _loss(logits, ids, first, shift=1, end=np.mean, normalise=True, last=None):
    """The loss on the tokens from place `first` on, with something changed."""
    places = np.arange(max(first, shift), len(ids) if last is None else last)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)) if normalise else logits
    return float(-end(log_p[places - shift, np.array(ids)[places]]))


def _over_all(logits, ids, prompt):
    return _loss(logits, ids, prompt, end=np.sum) / (len(ids) - 1)


def _text(dice):
    return dice.normal(scale=2, size=(7, 5)).round(1), dice.integers(0, 5, size=7).tolist(), int(dice.integers(2, 5))


taught = Exercise(
    name="07.answer_loss",
    title="What the training praises",
    minutes=12,
    reference=answer_loss,
    cases=[
        (np.log([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]), [0, 1, 1], 2),
        (np.log([[0.5, 0.25, 0.25], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1]]), [0, 1, 1, 2], 2),
        (np.array([[0.0, 2.0], [3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), [1, 1, 0, 1], 3),
    ],
    random_case=_text,
    mistakes={
        "Place t of the logits is the guess about the token at t + 1. Here it is held against the one at t.": (
            lambda logits, ids, prompt: _loss(logits, ids, prompt, shift=0)
        ),
        "The prompt is learned as well: the model would practise asking. Only the answer's tokens count.": (
            lambda logits, ids, prompt: _loss(logits, ids, 1)
        ),
        "The first token of the answer is lost. It is predicted at the last place of the prompt.": (
            lambda logits, ids, prompt: _loss(logits, ids, prompt + 1)
        ),
        "The last token of the prompt is learned as well: one token too many.": (
            lambda logits, ids, prompt: _loss(logits, ids, prompt - 1)
        ),
        "The last token is lost, and the model never learns where an answer ends.": (
            lambda logits, ids, prompt: _loss(logits, ids, prompt, last=len(ids) - 1)
        ),
        "This is the sum over the answer; the loss is the mean.": (
            lambda logits, ids, prompt: _loss(logits, ids, prompt, end=np.sum)
        ),
        "The mean is over the tokens that are learned: the prompt's take no part, neither above nor below.": _over_all,
        "Logits are no logarithms of probabilities yet: take the log of the softmax of each row.": (
            lambda logits, ids, prompt: _loss(logits, ids, prompt, normalise=False)
        ),
    },
    hints=(
        "Which tokens should be learned? And at which place of the logits does the model guess the first of them?",
        "The tokens at places prompt, prompt + 1, … are guessed at places prompt - 1, prompt, … of the logits.",
        "From each of these rows take the log-softmax at the token that came; the loss is minus their mean.",
    ),
)


# Break-even.


def break_even(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    return _break_even()(tuned, training_tokens, closed_tokens, reader, rag_tokens)


def _break_even(learning=6, asking=2, own=1, never=math.inf, weights=None):
    """Questions until RAG has computed more, with something changed."""

    def changed(tuned, training_tokens, closed_tokens, reader, rag_tokens):
        first, second = (tuned, reader) if weights is None else (weights(tuned, reader),) * 2
        more = asking * (second * rag_tokens - own * first * closed_tokens)
        if more <= 0 and never is not None:
            return never
        return learning * first * training_tokens / more

    return changed


def _reader_in_both(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    more = 2 * reader * (rag_tokens - closed_tokens)
    return 6 * tuned * training_tokens / more if more > 0 else math.inf


def _upside_down(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    return 1 / break_even(tuned, training_tokens, closed_tokens, reader, rag_tokens)


def _price(dice):
    millions = lambda *choices: 1_000_000 * int(dice.choice(choices))
    return (
        millions(100, 200, 500),
        1000 * int(dice.integers(10, 200)),
        10 * int(dice.integers(3, 7)),
        millions(100, 300, 500),
        100 * int(dice.integers(2, 9)),
    )


price = Exercise(
    name="07.break_even",
    title="After how many questions?",
    minutes=8,
    reference=break_even,
    cases=[
        (100, 1000, 10, 100, 40),
        (500_000_000, 50_000, 60, 100_000_000, 300),
        (100_000_000, 50_000, 50, 400_000_000, 300),
        (900_000_000, 50_000, 50, 100_000_000, 300),
    ],
    random_case=_price,
    mistakes={
        "Learning from a token takes three times what reading it takes: forward, and twice as much backward.": (
            _break_even(learning=2)
        ),
        "To read a token takes a multiplication and an addition for every weight: 2, not 1.": _break_even(asking=1),
        "The fine-tuned model has to read questions too: only what RAG computes *more* makes up for the training.": (
            _break_even(own=0)
        ),
        "The two systems have models of different size: count each with its own weights.": (
            _break_even(weights=lambda tuned, reader: tuned)
        ),
        "The question without sources is asked of the fine-tuned model, whose weights are `tuned`.": _reader_in_both,
        "Where RAG computes no more for a question than the other, it never catches up: math.inf.": (
            _break_even(never=None)
        ),
        "RAG never catches up here, so there is no number of questions, not even 0: math.inf.": _break_even(never=0.0),
        "The fraction is upside down: the price of the training, divided by what a question costs more.": _upside_down,
    },
    hints=(
        "What does the training cost, once? What does a question cost, the one way and the other?",
        "Training: 6 for every weight and token. A question: 2 for every weight and token. RAG pays nothing once.",
        "How often does the difference of the two questions' prices fit into the training? And if it isn't above 0?",
    ),
)


# Rare and popular.


def share_right(right, pages, readings):
    groups: dict[int, list[bool]] = {}
    for value, page in zip(right, pages, strict=True):
        groups.setdefault(readings[page], []).append(value)
    return {number: sum(values) / len(values) for number, values in groups.items()}


def _shares(of_group, key=None, empty=False):
    """Shares by readings, with something changed."""

    def changed(right, pages, readings):
        groups: dict[int | str, list] = {number: [] for number in readings.values()} if empty else {}
        for value, page in zip(right, pages, strict=True):
            groups.setdefault(page if key == "page" else readings[page], []).append((value, page))
        return {number: of_group(found, len(right)) for number, found in groups.items()}

    return changed


def _mean(found, _):
    return sum(value for value, _ in found) / len(found) if found else 0.0


def _mean_of_pages(found, _):
    pages = {page for _, page in found}
    return float(np.mean([np.mean([value for value, its in found if its == page]) for page in pages]))


def _answers(dice):
    """Pages of which one is asked about often, another once, and a third perhaps never."""
    readings = dict(zip(("mill", "quay", "wall", "bell", "choir"), dice.permutation([2, 2, 6, 18, 18]), strict=True))
    pages = dice.choice(list(readings), size=9, p=[0.5, 0.2, 0.15, 0.1, 0.05]).tolist()
    right = dice.choice([0.0, 0.0, 1.0], size=9).tolist()
    return right, pages, {page: int(number) for page, number in readings.items()}


popular = Exercise(
    name="07.share_right",
    title="The rare and the popular",
    minutes=8,
    reference=share_right,
    cases=[
        ([1.0, 0.0, 1.0], ["mill", "mill", "quay"], {"mill": 2, "quay": 18}),
        ([1.0, 0.0, 0.0, 0.0], ["mill", "quay", "quay", "quay"], {"mill": 2, "quay": 2}),
        ([1.0, 1.0], ["mill", "mill"], {"mill": 6, "quay": 18}),
        ([0.0, 1.0, 1.0], ["wall", "mill", "quay"], {"mill": 18, "quay": 2, "wall": 18}),
    ],
    random_case=_answers,
    mistakes={
        "This is the mean of the pages' shares. Every question counts the same, also where a page has many.": (
            _shares(_mean_of_pages)
        ),
        "These are sums: how many were right. The share is divided by how many were asked in that group.": (
            _shares(lambda found, _: sum(value for value, _ in found))
        ),
        "This divides by the number of all questions. Each group has a number of its own.": (
            _shares(lambda found, total: sum(value for value, _ in found) / total)
        ),
        "This divides by the number of pages in the group; a page may have several questions.": (
            _shares(lambda found, _: sum(value for value, _ in found) / len({page for _, page in found}))
        ),
        "The keys are pages here. Group the questions by how often their page was read: readings[page].": (
            _shares(_mean, key="page")
        ),
        "A number of readings about which nothing was asked has no share, and 0 would say that all were wrong.": (
            _shares(_mean, empty=True)
        ),
        "Leave out the numbers of readings that no question has; here their mean is nan.": (
            _shares(lambda found, total: _mean(found, total) if found else math.nan, empty=True)
        ),
    },
    hints=(
        "Each question has a page, and each page was read so many times. Which questions belong together?",
        "readings[page] is the group of a question. Collect the values of each group in a list.",
        "A dictionary of lists does it: groups.setdefault(number, []) gives the list of a number, new or old.",
    ),
)


# What was forgotten.


def forgetting(before, after):
    pairs = list(zip(before, after, strict=True))
    known, unknown = [a for b, a in pairs if b], [a for b, a in pairs if not b]
    lost = sum(not a for a in known) / len(known) if known else 0.0
    won = sum(bool(a) for a in unknown) / len(unknown) if unknown else 0.0
    return lost, won


def _counts(before, after):
    pairs = list(zip(before, after, strict=True))
    return sum(b and not a for b, a in pairs), sum(a and not b for b, a in pairs)


def _net(before, after):
    known, now, n = sum(before), sum(after), len(before)
    lost = max(0, known - now) / known if known else 0.0
    return lost, max(0, now - known) / (n - known) if n > known else 0.0


def _of_all(before, after):
    lost, won = _counts(before, after)
    return lost / len(before), won / len(before)


def _of_what_it_knows_now(before, after):
    return forgetting(before, after)[0], _counts(before, after)[1] / max(1, sum(after))


def _unprotected(before, after):
    lost, won = _counts(before, after)
    return lost / sum(before), won / (len(before) - sum(before))


forgotten = Exercise(
    name="07.forgetting",
    title="Won and lost",
    minutes=8,
    reference=forgetting,
    cases=[
        ([True, True, False, False], [True, False, True, False]),
        ([True, True, True, True, False], [False, True, True, True, True]),
        ([False, False, True], [True, True, False]),
        ([True, True], [True, False]),
        ([False, False, False], [False, True, False]),
    ],
    random_case=lambda dice: (
        (dice.random(size=8) < dice.choice([0.3, 0.6, 0.8])).tolist(),
        (dice.random(size=8) < dice.choice([0.4, 0.7])).tolist(),
    ),
    mistakes={
        "This compares the totals. Two lost and two won cancel there; compare question by question.": _net,
        "Both are divided by all questions. Only what was known can be lost, and only the rest can be won.": _of_all,
        "The two are exchanged: first what was lost, then what was won.": (
            lambda before, after: forgetting(before, after)[::-1]
        ),
        "The second is divided by what is known now. It is a share of what was not known before.": (
            _of_what_it_knows_now
        ),
        "Who knew nothing can't lose anything, and who knew all can't win: no division by 0, but 0.0.": _unprotected,
        "These are counts; shares are asked for.": _counts,
        "The first is the share that was kept. What was lost is the rest.": (
            lambda before, after: (1 - forgetting(before, after)[0], forgetting(before, after)[1])
        ),
        "`before` and `after` are exchanged.": lambda before, after: forgetting(after, before),
    },
    hints=(
        "Every question falls into one of four boxes: known before or not, known after or not.",
        "Two of the boxes were known before. Which share of their questions is in the box that isn't known any more?",
        "zip(before, after) gives the pairs; keep those with `before` for the first number, the others for the second.",
    ),
)

EXERCISES = [several, taught, price, popular, forgotten]
