"""The exercises of lesson 04, generation."""

from __future__ import annotations

import numpy as np

from ragedu.learn.exercise import Exercise


def probabilities_of(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


# Warm-up: perplexity.


def perplexity(probabilities):
    return float(np.exp(-np.mean(np.log(probabilities))))


surprise = Exercise(
    name="04.perplexity",
    title="As unsure as among how many?",
    minutes=5,
    reference=perplexity,
    cases=[
        (np.array([0.5, 0.5]),),
        (np.array([0.25, 0.25, 0.25]),),
        (np.array([1.0, 1.0]),),
        (np.array([1.0, 0.25]),),
    ],
    random_case=lambda dice: (dice.uniform(0.01, 1, size=int(dice.integers(2, 7))).round(2),),
    mistakes={
        "This is the loss, the mean of -ln p. Perplexity is e to the power of it.": (
            lambda probabilities: -np.mean(np.log(probabilities))
        ),
        "The surprises are added up and not averaged: a longer text would always be more perplexing.": (
            lambda probabilities: np.exp(-np.sum(np.log(probabilities)))
        ),
        "This is one divided by the mean probability. Perplexity averages the logarithms.": (
            lambda probabilities: 1 / np.mean(probabilities)
        ),
        "This is the mean of the single values 1/p. One improbable token would outweigh all the others.": (
            lambda probabilities: np.mean(1 / probabilities)
        ),
        "The logarithm and the power have different bases: ln goes with e, log2 with 2.": (
            lambda probabilities: 2 ** -np.mean(np.log(probabilities))
        ),
        "The sign is missing: ln p is negative, so this is below 1. A model can't be unsure among less than one.": (
            lambda probabilities: np.exp(np.mean(np.log(probabilities)))
        ),
        "The minus stands outside. It belongs to the logarithms: e to the power of the mean of -ln p.": (
            lambda probabilities: -np.exp(np.mean(np.log(probabilities)))
        ),
        "This weighs each surprise by its probability (that is an entropy). The text's tokens count alike: a mean.": (
            lambda probabilities: np.exp(-np.sum(probabilities * np.log(probabilities)))
        ),
    },
    hints=(
        "Which loss did the lesson compute for an answer? Begin with it.",
        "The mean over the tokens of -ln p.",
        "If every p is 1/8, the loss is ln 8. What brings ln 8 back to 8?",
    ),
)


# A softmax that survives.


def softmax(logits, temperature):
    return probabilities_of(logits / temperature)


def _overflowing(logits, temperature):
    with np.errstate(all="ignore"):
        powers = np.exp(logits / temperature)
        return powers / powers.sum()


def _largest_too_early(logits, temperature):
    powers = np.exp(logits / temperature - logits.max())
    return powers / powers.sum()


def _afterwards(logits, temperature):
    return probabilities_of(logits) / temperature


safe_softmax = Exercise(
    name="04.softmax",
    title="A softmax that survives",
    minutes=6,
    reference=softmax,
    cases=[
        (np.array([0.0, 0.0]), 1.0),
        (np.array([2.0, 1.0, 0.0]), 0.5),
        (np.array([0.0, 2000.0, 1999.0, 0.0]), 1.0),
        (np.array([3.0, 1.0]), 0.001),
        (np.array([-2000.0, -np.inf, -2000.0]), 2.0),
    ],
    random_case=lambda dice: (dice.normal(scale=4, size=5).round(2), float(dice.choice([0.01, 0.5, 0.8, 1.5, 2.0]))),
    mistakes={
        "e to the power of 1000 is too large for a float, and inf / inf is nan. Take off the largest first.": (
            _overflowing
        ),
        "3 / 0.001 is 3000, and taking off 3 leaves 2997. Divide by the temperature, then take off the largest.": (
            _largest_too_early
        ),
        "This multiplies by the temperature; the logits are divided by it.": (
            lambda logits, temperature: softmax(logits, 1 / temperature)
        ),
        "The temperature is missing.": lambda logits, temperature: softmax(logits, 1.0),
        "The temperature comes too late: divide the logits by it, before the exponential.": _afterwards,
        "These do not sum to 1: divide by the sum, and not by the largest.": (
            lambda logits, temperature: np.exp((logits - logits.max()) / temperature)
        ),
    },
    hints=(
        "What is np.exp(1000.0)? Which numbers may you take off all logits without changing the probabilities?",
        "Divide by the temperature first; then take off the largest of what you have.",
        "After that the largest exponent is 0, so nothing overflows, and the sum is at least 1.",
    ),
)


# Min-p.


def min_p(logits, share):
    p = probabilities_of(logits)
    kept = np.where(p >= share * p.max(), p, 0.0)
    return kept / kept.sum()


def _cut(bound, normalise=True, reaches=np.greater_equal):
    """Keep tokens whose probability reaches bound(p, share)."""

    def changed(logits, share):
        p = probabilities_of(logits)
        kept = np.where(reaches(p, bound(p, share)), p, 0.0)
        return kept / kept.sum() if normalise else kept

    return changed


def _logit_zero(logits, share):
    return probabilities_of(np.where(min_p(logits, share) > 0, logits, 0.0))


def _top_p(logits, share):
    p = probabilities_of(logits)
    order = np.argsort(-p)
    kept = np.zeros_like(p)
    chosen = order[np.cumsum(p[order]) - p[order] < share]
    kept[chosen] = p[chosen]
    return kept / kept.sum()


def _on_logits(logits, share):
    p = np.where(logits >= share * logits.max(), probabilities_of(logits), 0.0)
    return p / p.sum()


minimum = Exercise(
    name="04.min_p",
    title="A fifth way to choose",
    minutes=8,
    reference=min_p,
    cases=[
        (np.log([0.6, 0.3, 0.1]), 0.2),
        (np.log([0.3, 0.25, 0.25, 0.2]), 0.28),
        (np.log([0.9, 0.06, 0.04]), 0.5),
        (np.log([0.05] * 20), 0.5),
        (np.log([0.5, 0.3, 0.2]), 1.0),
        (np.log([0.4, 0.4, 0.2]), 1.0),
    ],
    random_case=lambda dice: (dice.normal(scale=1.5, size=6).round(2), float(dice.choice([0.1, 0.23, 0.37]))),
    mistakes={
        "The bound is absolute here. Min-p measures against the most probable token: share times its probability.": (
            _cut(lambda p, share: share)
        ),
        "What is left does not sum to 1: divide by the sum of what was kept.": (
            _cut(lambda p, share: share * p.max(), normalise=False)
        ),
        "The bound is applied to the logits. It is meant for the probabilities, so take the softmax first.": _on_logits,
        "This is top-p: it adds probabilities up until there is enough. Min-p looks at each one alone.": _top_p,
        "The bound is a share of the mean; it should be one of the largest.": _cut(lambda p, share: share * p.mean()),
        "The most probable token is exactly as probable as itself: at a share of 1 it stays. At least means >=.": (
            _cut(lambda p, share: share * p.max(), reaches=np.greater)
        ),
        "These tokens are ruled out with a logit of 0, and e to the power of 0 is 1. Minus infinity makes 0.": (
            _logit_zero
        ),
    },
    hints=(
        "Take the softmax. How probable is the most probable token, and what is the share of that?",
        "np.where keeps the probabilities that reach the bound and makes 0 of the others.",
        "At last divide by the sum, so that it is a distribution again.",
    ),
)


# The repetition penalty, and the trap in it.


def penalise(logits, seen, penalty):
    changed, ids = logits.copy(), list(set(seen))
    changed[ids] = np.where(logits[ids] > 0, logits[ids] / penalty, logits[ids] * penalty)
    return changed


def _divide_all(logits, seen, penalty):
    changed, ids = logits.copy(), list(set(seen))
    changed[ids] = logits[ids] / penalty
    return changed


def _each_time(logits, seen, penalty):
    changed = logits.copy()
    for token in seen:
        changed[token] = changed[token] / penalty if changed[token] > 0 else changed[token] * penalty
    return changed


def _in_place(logits, seen, penalty):
    logits[:] = penalise(logits, seen, penalty)
    return logits


def _the_others(logits, seen, penalty):
    return penalise(logits, [token for token in range(len(logits)) if token not in seen], penalty)


def _subtract(logits, seen, penalty):
    changed, ids = logits.copy(), list(set(seen))
    changed[ids] = logits[ids] - penalty
    return changed


def _swapped(logits, seen, penalty):
    return penalise(logits, seen, 1 / penalty)


def _all(logits, seen, penalty):
    return penalise(logits, range(len(logits)), penalty)


def _floats_as_places(logits, seen, penalty):
    logits[np.unique(seen)]  # an error where nothing has occurred
    return penalise(logits, seen, penalty)


repetition = Exercise(
    name="04.penalise",
    title="Against going round in circles",
    minutes=10,
    reference=penalise,
    cases=[
        (np.array([4.0, 2.0, 1.0]), [0], 2.0),
        (np.array([4.0, -2.0, 1.0]), [1], 2.0),
        (np.array([4.0, -2.0, 1.0]), [0, 1, 0, 0], 2.0),
        (np.array([4.0, -2.0, 0.0]), [], 1.5),
    ],
    random_case=lambda dice: (
        dice.normal(scale=3, size=6).round(1),
        dice.integers(0, 6, size=4).tolist() + [2, 2],
        float(dice.choice([1.2, 1.5, 2.0])),
    ),
    mistakes={
        "Dividing a negative logit brings it nearer to 0, which makes the token more probable. Multiply those.": (
            _divide_all
        ),
        "A token that occurred three times is penalised three times. Once is what the method says.": _each_time,
        "Your function writes into the logits that it was given: work on a copy.": _in_place,
        "The tokens that did not occur are penalised; it should be those that did.": _the_others,
        "The penalty is subtracted; it divides positive logits and multiplies negative ones.": _subtract,
        "Positive logits are multiplied and negative ones divided: that raises both.": _swapped,
        "Tokens that haven't occurred are changed as well.": _all,
        "No token has occurred yet, and numpy makes floats of an empty list: use set(seen), or say dtype=int.": (
            _floats_as_places
        ),
    },
    hints=(
        "What happens to a token's probability when its logit goes from -2 to -1?",
        "Positive logits are divided, negative ones multiplied. Both get smaller.",
        "set(seen) has each token once; logits.copy() leaves the caller's array alone.",
    ),
)


# Beam search.


def beam_search(following, start, steps, width):
    return _search(following, start, steps, width)


def _search(following, start, steps, width, value=np.log, add=True, by=lambda words, total: total):
    """Beam search, with something changed."""
    beams = [([start], 0.0 if add else 1.0)]
    for _ in range(steps):
        longer = []
        for words, so_far in beams:
            options = [
                ([*words, word], so_far + value(p) if add else p) for word, p in following.get(words[-1], {}).items()
            ]
            longer += options or [(words, so_far)]
        beams = sorted(longer, key=lambda beam: -by(*beam))[:width]
    return beams[0][0]


def _without_the_finished(following, start, steps, width):
    beams = [([start], 0.0)]
    for _ in range(steps):
        longer = [
            ([*words, word], total + np.log(p))
            for words, total in beams
            for word, p in following.get(words[-1], {}).items()
        ]
        beams = sorted(longer, key=lambda beam: -beam[1])[:width] or beams
    return beams[0][0]


def _each_alone(following, start, steps, width):
    """The best `width` continuations of each text, and all of these go on."""
    beams = [([start], 0.0)]
    for _ in range(steps):
        longer = []
        for words, total in beams:
            options = [([*words, word], total + np.log(p)) for word, p in following.get(words[-1], {}).items()]
            longer += sorted(options, key=lambda beam: -beam[1])[:width] or [(words, total)]
        beams = longer
    return max(beams, key=lambda beam: beam[1])[0]


def _second(following, start, steps, width):
    return _search(following, start, steps, width)[1:]


NEXT = {
    "the": {"ferry": 0.55, "tide": 0.45},
    "ferry": {"waits": 0.4, "leaves": 0.35, "sinks": 0.25},
    "tide": {"turns": 0.95, "waits": 0.05},
    "waits": {".": 1.0},
    "turns": {".": 1.0},
}


# Two good continuations of *b* push *c* out of a beam of two, and *c* would have ended better.
CROWDED = {
    "a": {"b": 0.6, "c": 0.4},
    "b": {"d": 0.5, "e": 0.45, "n": 0.05},
    "c": {"f": 0.6, "g": 0.4},
    "d": {"h": 0.3, "i": 0.4, "j": 0.3},
    "e": {"h": 0.6, "i": 0.4},
    "f": {"j": 1.0},
    "g": {"j": 1.0},
}


LAYERS = ("a", "bc", "def", "gh")


def _table(dice):
    """Words that lead from layer to layer, so that no two texts are equally probable."""
    table = {}
    for layer, after in zip(LAYERS, LAYERS[1:], strict=False):
        for word in layer:
            table[word] = dict(zip(after, dice.dirichlet([0.7] * len(after)).tolist(), strict=True))
    return table, "a", int(dice.integers(2, 5)), int(dice.integers(2, 4))


beams = Exercise(
    name="04.beam_search",
    title="Not the next word, the whole sentence",
    minutes=20,
    reference=beam_search,
    cases=[
        (NEXT, "the", 1, 1),
        (NEXT, "the", 2, 1),
        (NEXT, "the", 2, 2),
        (NEXT, "the", 4, 3),
        ({"a": {"b": 0.6, "c": 0.4}, "b": {"d": 0.5, "e": 0.5}}, "a", 3, 2),
        ({"a": {"b": 0.9, "c": 0.1}, "c": {"d": 1.0}}, "a", 2, 2),
        (CROWDED, "a", 3, 2),
    ],
    random_case=_table,
    mistakes={
        "This is greedy: the best next word each time. Keep `width` texts, and let the best of all go on.": (
            lambda following, start, steps, width: _search(following, start, steps, 1)
        ),
        "Every text goes on here. After each step only the best `width` stay.": (
            lambda following, start, steps, width: _search(following, start, steps, None)
        ),
        "Texts are compared by their last word alone. The value of a text is the product of all its probabilities.": (
            lambda following, start, steps, width: _search(following, start, steps, width, add=False)
        ),
        "The probabilities are added up. Multiply them, or add up their logarithms.": (
            lambda following, start, steps, width: _search(following, start, steps, width, value=lambda p: p)
        ),
        "A text that has no next word is finished, and it is lost here: it keeps its place and its value.": (
            _without_the_finished
        ),
        "Long texts win here: the sum is divided by the number of words. The value of a text is the plain product.": (
            lambda following, start, steps, width: _search(
                following, start, steps, width, by=lambda words, total: total / len(words)
            )
        ),
        "A text comes back here that had been dropped: the continuations of all texts compete with each other, and "
        "`width` of them stay in all, not of each.": _each_alone,
        "The first word is missing: the text begins with `start`.": _second,
    },
    hints=(
        "Keep a list of (text, logarithm of its probability). It begins as [([start], 0.0)].",
        "In each step make every continuation of every text; a text without a next word comes along as it is.",
        "sorted(…, key=lambda pair: -pair[1])[:width] are the texts that go on; the first is the best.",
    ),
)


# Merging an adapter.


def merge(weights, down, up, alpha):
    return weights + alpha / len(down) * (up @ down)


merging = Exercise(
    name="04.merge",
    title="An adapter disappears",
    minutes=6,
    reference=merge,
    cases=[
        (np.eye(2), np.array([[1.0, 0.0]]), np.array([[0.0], [2.0]]), 1.0),
        (np.zeros((2, 2)), np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([[3.0, 1.0], [0.0, 1.0]]), 4.0),
        (np.ones((3, 2)), np.array([[1.0, 2.0]]), np.array([[0.0], [1.0], [2.0]]), 2.0),
    ],
    random_case=lambda dice: (
        dice.normal(size=(4, 4)).round(2),
        dice.normal(size=(2, 4)).round(2),
        dice.normal(size=(4, 2)).round(2),
        float(dice.choice([1.0, 4.0, 16.0])),
    ),
    mistakes={
        "The factor alpha / r is missing.": lambda weights, down, up, alpha: weights + up @ down,
        "alpha is there, and it is not divided by the rank r.": lambda weights, down, up, alpha: (
            weights + alpha * up @ down
        ),
        "This holds only where alpha is 2r, as in the lesson. Here alpha is an argument: alpha / r.": (
            lambda weights, down, up, alpha: weights + 2 * up @ down
        ),
        "A B has the shape (r, r). W has (n_out, n_in), and so has B A: up @ down.": (
            lambda weights, down, up, alpha: weights + alpha / len(down) * (down @ up)
        ),
        "The rank is the thin side of the two matrices. This divides by the wide one.": (
            lambda weights, down, up, alpha: weights + alpha / len(weights) * (up @ down)
        ),
        "The original weights are gone: the product is added to them.": (
            lambda weights, down, up, alpha: alpha / len(down) * (up @ down)
        ),
        "The product is added in the wrong direction.": (
            lambda weights, down, up, alpha: weights - alpha / len(down) * (up @ down)
        ),
        "Your function adds to the weights that it was given: `+=` changes the caller's array.": (
            lambda weights, down, up, alpha: weights.__iadd__(alpha / len(down) * (up @ down))
        ),
    },
    hints=(
        "The formula stands in the lesson: W' = W + alpha / r · B A. Which argument is A, which is B?",
        "A is `down`, with r rows; B is `up`, with r columns. Only one of the two products has the shape of W.",
        "r = len(down), or up.shape[1]; np.ndarray has @ for the product of matrices.",
    ),
)

EXERCISES = [surprise, safe_softmax, minimum, repetition, merging, beams]
