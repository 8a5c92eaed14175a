# %% [markdown] lang="en"
# # Exercises 07: RAG or fine-tuning?
#
# **Know first:** lesson 07.
# **Time:** 40 minutes, and as long as you like for the last one.
# **Cost to run:** a few seconds; the last one reads the documentation on your machine, which takes up to half a minute.
# No language model is trained: you write what judges them.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# A hint tells you a little more, three times: run `hint("07.perplexity")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import math

import numpy as np

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. One number for several texts (5 minutes)
#
# To see what fine-tuning destroyed, the lesson took the perplexity on twenty texts of different length: as unsure as among how many tokens is the model, on average over **all their tokens**?
# (A text of one hard word would otherwise weigh as much as a page.)


# %%
def perplexity(texts: list[np.ndarray]) -> float:
    """The perplexity over all tokens of all texts, at least 1.

    texts: of each text a float array with the natural logarithm of each token's probability; at
        least one token.
    """
    # SOLUTION perplexity
    return float(np.exp(-np.concatenate(texts).mean()))
    # END


# %%
check("07.perplexity", perplexity)

# %%
hint("07.perplexity")  # run it again for the next

# %% [markdown] lang="en"
# ## 2. What the training praises (12 minutes)
#
# *Question: Who keeps the keys of the mill?
# Answer: Ann Orr.*
# When you fine-tune on that, the loss counts the **answer** (and the token that ends it) and not the prompt, or the model practises asking.
# Mind the shift: place $t$ of the logits is the guess about the token at place $t + 1$.


# %%
def answer_loss(logits: np.ndarray, ids: list[int], prompt: int) -> float:
    """The mean of -ln p over the tokens of the answer, in nats.

    logits: float array (n_tokens, n_vocabulary), small enough for np.exp;
    ids: the n_tokens tokens of prompt and answer;
    prompt: how many of them are the prompt, at least 1.
    """
    # SOLUTION answer_loss
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    places = np.arange(prompt, len(ids))
    return float(-log_p[places - 1, np.array(ids)[places]].mean())
    # END


# %%
check("07.answer_loss", answer_loss)

# %% [markdown] lang="en"
# Libraries do the same with labels: the prompt's are −100, which PyTorch's `cross_entropy` leaves out, and the model shifts them itself.
# Shift them once more, and it learns to guess the token after the next.
#
# ## 3. After how many questions? (8 minutes)
#
# About $6N$ multiplications and additions to learn from a token, $2N$ to read or write one.
# In the lesson both ways had the same model.
# Yours may differ: a large one that was fine-tuned, a small one that reads sources.
# After how many questions has RAG computed as much as the other way, training included?
# Where that never happens the answer is `math.inf`.


# %%
def break_even(
    tuned: int, training_tokens: int, closed_tokens: int, reader: int, rag_tokens: int
) -> float:
    """The number of questions (with a fraction) after which both ways have computed the same;
    math.inf if never.

    tuned, reader: the weights of the fine-tuned model and of RAG's;
    training_tokens: learned from, once;
    closed_tokens, rag_tokens: read and written for one question without sources and with them.
    """
    # SOLUTION break_even
    more = 2 * reader * rag_tokens - 2 * tuned * closed_tokens
    return 6 * tuned * training_tokens / more if more > 0 else math.inf
    # END


# %%
check("07.break_even", break_even)

# %% [markdown] lang="en"
# With two models of the same size the weights cancel: then only tokens count.
# And for a server that remembers the beginning of a prompt, tokens that it has read before cost nothing again: subtract them from `rag_tokens`.
#
# ## 4. The rare and the popular (8 minutes)
#
# The lesson's curve: the share of right answers by how often their page was read in training.


# %%
def share_right(right: list[float], pages: list[str], readings: dict[str, int]) -> dict[int, float]:
    """{number of readings: the share right of the questions whose page was read so often}; each
    question counts once.

    right: 1.0 or 0.0 for each question;
    pages: the page of each;
    readings: {page: how often it was read}. Numbers of readings without a question are left out.
    """
    # SOLUTION share_right
    groups = {}
    for value, page in zip(right, pages, strict=True):
        groups.setdefault(readings[page], []).append(value)
    return {number: sum(values) / len(values) for number, values in groups.items()}
    # END


# %%
check("07.share_right", share_right)

# %% [markdown] lang="en"
# ## 5. Won and lost (8 minutes)
#
# A model knew half of the general questions before fine-tuning, and half of them afterwards.
# Did it forget nothing?
# Compare question by question: which share of what it **knew** is lost, and which share of what it **didn't know** has it won?


# %%
def forgetting(before: list[bool], after: list[bool]) -> tuple[float, float]:
    """(lost, won): the share of what was known before and isn't after, and the share of what wasn't
    known before and is after; 0.0 where there was nothing to lose, or nothing to win.

    before, after: for each question whether it was answered rightly.
    """
    # SOLUTION forgetting
    pairs = list(zip(before, after, strict=True))
    known = [is_known for was_known, is_known in pairs if was_known]
    unknown = [is_known for was_known, is_known in pairs if not was_known]
    lost = known.count(False) / len(known) if known else 0.0
    won = unknown.count(True) / len(unknown) if unknown else 0.0
    return lost, won
    # END


# %%
check("07.forgetting", forgetting)

# %% [markdown] lang="en"
# **A proof by experiment.**
# Two models with the same totals.
# One has been changed by its training far more than the other, and no table of totals shows it:

# %%
knew = [True] * 10 + [False] * 10
steady = [True] * 9 + [False] + [True] + [False] * 9
shaken = [False] * 8 + [True] * 2 + [True] * 8 + [False] * 2
for name, now in (("steady", steady), ("shaken", shaken)):
    kept = sum(was and is_known for was, is_known in zip(knew, now, strict=True))
    print(f"{name}: right before {sum(knew)}, after {sum(now)};", end=" ")
    print(f"of what it knew it kept {kept} of {sum(knew)}")
assert sum(steady) == sum(shaken) == sum(knew)

# %% [markdown] lang="en"
# ## 6. Open problem: a label without a network (30 minutes and more)
#
# *What fine-tuning is for: behaviour.*
# The lesson taught a program to say from which library a sentence of documentation comes, once with counted words and once with 22 million weights.
# Here is the same task with more sentences to test on.
# How far do you get in seconds, without the weights, with 480 examples to learn from?

# %% tags=["nbval-ignore-output"]
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from ragedu.datasets import python_docs
from ragedu.evaluation import paired_test

by_library = {}
for document in python_docs.load().corpus:
    sentence = document.text.strip().split("\n\n")[0].replace("\n", " ")[:160]
    if len(sentence.split()) >= 4:
        by_library.setdefault(document.metadata["package"], set()).add(sentence)

# %%
dice = np.random.default_rng(0)
examples = []
for name, of_it in by_library.items():
    examples += [(text, name) for text in dice.permutation(sorted(of_it))[:400]]
texts, labels = np.array([examples[place] for place in dice.permutation(len(examples))]).T
train_texts, test_texts = texts[:480], texts[480:]
train_labels, test_labels = labels[:480], labels[480:]
print(len(train_texts), "to learn from,", len(test_texts), "to test;", sorted(by_library))
assert len(by_library) == 4 and len(test_texts) > 1000

# %% tags=["nbval-ignore-output"]
words = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
baseline = words.fit(train_texts, train_labels).predict(test_texts) == test_labels
print(f"TF-IDF and logistic regression: {baseline.mean():.3f} right")
assert baseline.mean() > 0.5

# %% [markdown] lang="en"
# **The measure** is the share of right labels on the test sentences; **the baseline** is the lesson's, TF-IDF of words and logistic regression.
# Anything goes that sees no test label: letters, retrieval (let the nearest training sentences vote), many small models in one.
# Hold back a part of the training sentences when you want to try settings.
# What, other than whole words, gives a library away?


# %%
def classify(
    train_texts: np.ndarray, train_labels: np.ndarray, test_texts: np.ndarray
) -> np.ndarray:
    """A label for each test text. All three are arrays of strings."""
    # SOLUTION classify
    # Pieces of words speak even in a word that was never seen as a whole.
    letters = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5))
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    model = make_pipeline(make_union(words, letters), LogisticRegression(C=10, max_iter=1000))
    return model.fit(train_texts, train_labels).predict(test_texts)
    # END


# %% tags=["nbval-ignore-output"]
with when_solved():
    mine = classify(train_texts, train_labels, test_texts) == test_labels
    gain = paired_test(mine, baseline)
    print(f"words {baseline.mean():.3f}, yours {mine.mean():.3f}; gain {gain}")
    assert gain.low > 0, "no gain that these sentences can show"

# %% [markdown] lang="en"
# Before you fine-tune anything, have a number like this one.
# It took seconds and no network, and whatever costs more has to beat it.
