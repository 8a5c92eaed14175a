# %% [markdown] lang="en"
# # Exercises 04: Generation
#
# **Know first:** lesson 04.
# **Time:** 55 minutes, and as long as you like for the last one.
# **Cost to run:** a few seconds; no language model is loaded, the probabilities are yours.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# A hint tells you a little more, three times: run `hint("04.perplexity")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import re
from collections import Counter, defaultdict

import numpy as np

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. As unsure as among how many? (5 minutes)
#
# A loss of 2.08 nats a token tells few people anything.
# **Perplexity** does: it is the number of equally probable tokens among which a model would be just as unsure.
# A model that always gives 1/8 to the right token has perplexity 8.
# In general it is $e^{\text{loss}}$, with the lesson's loss, the mean of $-\ln p$.


# %%
def perplexity(probabilities: np.ndarray) -> float:
    """The perplexity of a text, at least 1.

    probabilities: float array (n_tokens,), what the model gave to each token that then came; above
        0.
    """
    # SOLUTION perplexity
    return float(np.exp(-np.log(probabilities).mean()))
    # END


# %%
check("04.perplexity", perplexity)

# %%
hint("04.perplexity")  # run it again for the next

# %% [markdown] lang="en"
# ## 2. A softmax that survives (6 minutes)
#
# Logits can be large, and a low temperature makes them larger: at $T = 0.001$ a logit of 3 becomes 3,000, and $e^{3000}$ is infinite for a computer.
# Write the softmax with a temperature so that nothing overflows.
# (A logit of minus infinity, a token that was ruled out, gets 0.)


# %%
def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities at a temperature above 0: float array (n_tokens,) that sums to 1.

    logits: float array (n_tokens,); some, but not all, may be minus infinity.
    """
    # SOLUTION softmax
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max())
    return powers / powers.sum()
    # END


# %%
check("04.softmax", softmax)

# %% [markdown] lang="en"
# ## 3. A fifth way to choose (8 minutes)
#
# Top-k keeps as many tokens where the model is sure as where it is not.
# Top-p keeps a long tail where the probabilities are spread.
# **Min-p** (Nguyen and others, 2024) keeps the tokens that are at least a given share as probable as the **most** probable one: where the model is sure the bound is high, and where it is not the bound is low.


# %%
def min_p(logits: np.ndarray, share: float) -> np.ndarray:
    """The probabilities after min-p: float array (n_tokens,) that sums to 1, with 0 for what was
    ruled out.

    logits: float array (n_tokens,); share: above 0, at most 1.
    """
    # SOLUTION min_p
    p = np.exp(logits - logits.max())  # the most probable token has 1 here
    kept = np.where(p >= share, p, 0.0)
    return kept / kept.sum()
    # END


# %%
check("04.min_p", min_p)

# %% [markdown] lang="en"
# (If you took the softmax first, look again: the sum cancels, and e to the difference from the largest logit is enough.)
#
# ## 4. Against going round in circles (10 minutes)
#
# The lesson's greedy text went in circles.
# A common remedy lowers the logits of tokens that have occurred (Keskar and others, 2019).
# People's first try is to divide them by a penalty above 1, and it makes **some of these tokens more probable**.
# Find out which, and write it rightly: positive logits are divided by the penalty, the others multiplied by it; each token once, however often it occurred.


# %%
def penalise(logits: np.ndarray, seen: list[int], penalty: float) -> np.ndarray:
    """New logits, lower for the tokens in `seen` (which may repeat, or be empty): float array
    (n_tokens,).

    penalty: at least 1. `logits` is left as it is.
    """
    # SOLUTION penalise
    lowered = np.where(logits > 0, logits / penalty, logits * penalty)
    was_seen = np.isin(np.arange(len(logits)), seen)
    return np.where(was_seen, lowered, logits)
    # END


# %%
check("04.penalise", penalise)

# %% [markdown] lang="en"
# For answers from sources leave it off: their words are in the prompt, and they *should* be repeated.
#
# ## 5. An adapter disappears (6 minutes)
#
# An adapter beside a weight matrix costs a little time with every token: $W' = W + \frac{\alpha}{r} B A$.
# Merge it, and nothing is left of it but the better weights.
# The rank $r$ is not among the arguments.
# It need not be.


# %%
def merge(weights: np.ndarray, down: np.ndarray, up: np.ndarray, alpha: float) -> np.ndarray:
    """W': float array (n_out, n_in). `weights` is left as it is.

    weights: W, (n_out, n_in); down: A, (r, n_in); up: B, (n_out, r).
    """
    # SOLUTION merge
    return weights + alpha / len(down) * up @ down
    # END


# %%
check("04.merge", merge)

# %% [markdown] lang="en"
# ## 6. Not the next word, the whole sentence (20 minutes)
#
# Greedy decoding takes the most probable next word, and so it may miss the most probable **text**.
# After *the*, *ferry* is more probable than *tide*.
# But what follows *ferry* is uncertain, and what follows *tide* is not:

# %%
following = {
    "the": {"ferry": 0.55, "tide": 0.45},
    "ferry": {"waits": 0.4, "leaves": 0.35, "sinks": 0.25},
    "tide": {"turns": 0.95, "waits": 0.05},
}
print(f"the ferry waits {0.55 * 0.4:.3f}, the tide turns {0.45 * 0.95:.3f}")
assert 0.55 * 0.4 < 0.45 * 0.95

# %% [markdown] lang="en"
# **Beam search** keeps the `width` best texts so far instead of one.
# In each step all continuations of all of them compete, and the best `width` stay.
# A text whose last word has no followers is finished: it stays in the competition as it is.
# To multiply many probabilities, add their logarithms.


# %%
def beam_search(
    following: dict[str, dict[str, float]], start: str, steps: int, width: int
) -> list[str]:
    """The words of the best text that is left after `steps` steps, `start` included.

    following: {word: {next word: probability}}; a word that is no key of it has no followers.
    """
    # SOLUTION beam_search
    beams = [([start], 0.0)]
    for _ in range(steps):
        longer = []
        for words, log_p in beams:
            options = following.get(words[-1])
            if options:
                longer += [([*words, word], log_p + np.log(p)) for word, p in options.items()]
            else:
                longer.append((words, log_p))
        beams = sorted(longer, key=lambda beam: -beam[1])[:width]
    return beams[0][0]
    # END


# %%
check("04.beam_search", beam_search)

# %% [markdown] lang="en"
# With an endless width this finds the most probable text that so many steps can make.
# Is that the best?
# For open text, no: the most probable text is dull, goes in circles, and is short, since every word multiplies by less than 1.
#
# ## 7. Open problem: a better table (30 minutes and more)
#
# The lesson began with a language model of five sentences: count which word follows which.
# Here it is on the archive, with one added to every count (so that nothing has probability 0).
# It learns from the pages of the *train* part; pages of the *test* part tell of other people and ships in other words.
# A word that was not seen in training is `<unk>`, and so is one that was seen there only once: so a model can learn where the unknown stands.

# %%
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test

archive = port_ellery.load(600)
pages = {
    split: [
        ["<s>", *re.findall(r"[a-z0-9]+|[.,;]", page.text.lower())]
        for page in archive.corpus
        if page.metadata["split"] == split
    ]
    for split in ("train", "test")
}
seen = Counter(word for page in pages["train"] for word in page)
vocabulary = sorted({word for word, times in seen.items() if times > 1} | {"<unk>"})
known = set(vocabulary)
train = [[word if word in known else "<unk>" for word in page] for page in pages["train"]]
test = [[word if word in known else "<unk>" for word in page] for page in pages["test"]]

# %%
after = defaultdict(Counter)
for page in train:
    for word, next_word in zip(page, page[1:], strict=False):
        after[word][next_word] += 1


def add_one(before: list[str], word: str) -> float:
    counts = after[before[-1]]
    return (counts[word] + 1) / (counts.total() + len(vocabulary))


print(len(train), "and", len(test), "pages,", len(vocabulary), "words")

# %% [markdown] lang="en"
# **The measure** is the perplexity on `test`; **the baseline** is `add_one`.
# Your model is any function of the words before and the word, whose values over the vocabulary sum to 1 (a cell below looks after that).
# Win half a nat a word or more.
# Learn from `train` only; hold back a part of its pages when you want to try settings.


# %%
def learn(train: list[list[str]]):
    """Count in `train` what you need, and return a model: a function of (before, word) to a
    probability.

    before: the words so far, at least one, the first of them "<s>";
    word: any word of the vocabulary.
    """
    # SOLUTION learn
    single = Counter(word for page in train for word in page)
    after_one, after_two = defaultdict(Counter), defaultdict(Counter)
    for page in train:
        for one, word in zip(page, page[1:], strict=False):
            after_one[one][word] += 1
        for one, two, word in zip(page, page[1:], page[2:], strict=False):
            after_two[one, two][word] += 1

    def model(before, word):
        p = (single[word] + 1) / (single.total() + len(vocabulary))
        # Witten and Bell (1991): the more different words have followed, the more is left to the
        # shorter history.
        for counts in (after_one[before[-1]], after_two[tuple(before[-2:])]):
            if counts:
                p = (counts[word] + len(counts) * p) / (counts.total() + len(counts))
        return p

    return model
    # END


# %%
def losses(model, pages):
    """The loss of each page, in nats a word."""
    values = []
    for page in pages:
        values.append(np.mean([-np.log(model(page[:i], page[i])) for i in range(1, len(page))]))
    return values


with when_solved():
    my_model = learn(train)
    baseline, mine = losses(add_one, test), losses(my_model, test)
    for page in test[:3]:
        total = sum(my_model(page[:7], word) for word in vocabulary)
        assert np.isclose(total, 1), "these are no probabilities"
    gain = paired_test(baseline, mine)
    print(f"perplexity: add_one {np.exp(np.mean(baseline)):.0f}", end=", ")
    print(f"yours {np.exp(np.mean(mine)):.0f}; nats gained {gain}")
    no_gain = "no gain of half a nat: less can be had by guessing <unk> more often"
    print("a gain" if gain.low > 0.5 else no_gain)

# %% [markdown] lang="en"
# Can you compare this number with the perplexity of a model that has other tokens?
# No: it depends on what a token is, and on how many words are `<unk>`.
# Divide the loss of a whole page by its number of **letters**, and you can.
