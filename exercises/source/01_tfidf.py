# %% [markdown] lang="en"
# # Exercises 01: TF-IDF and cosine
#
# **Know first:** lesson 01.
# **Time:** 45 minutes, and as long as you like for the last one.
# **Cost to run:** under a minute, no model, no network.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# A hint tells you a little more, three times: run `hint("01.document_frequency")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import random

import numpy as np

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. In how many documents? (5 minutes)
#
# The lesson read the document frequency off a table of counts.
# Here are no tables, only documents as lists of tokens.
# For each word that occurs at all: in how many documents does it?


# %%
def document_frequency(documents: list[list[str]]) -> dict[str, int]:
    """{term: number of documents that contain it}, for every term of the documents."""
    # SOLUTION document_frequency
    df = {}
    for document in documents:
        for term in set(document):
            df[term] = df.get(term, 0) + 1
    return df
    # END


# %%
check("01.document_frequency", document_frequency)

# %%
hint("01.document_frequency")  # run it again for the next

# %% [markdown] lang="en"
# ## 2. The tenth mention (6 minutes)
#
# The lesson counts every mention in full.
# A common variant, scikit-learn's `sublinear_tf=True`, replaces the count $\mathrm{tf}$ by $1 + \ln \mathrm{tf}$.
# A word that does not occur keeps 0.
# Write it for a whole table, without a loop.


# %%
def sublinear(counts: np.ndarray) -> np.ndarray:
    """1 + ln(tf) where tf is above 0, and 0 elsewhere: float array of the same shape.

    counts: float array (n_documents, n_terms), whole numbers from 0; it is left as it is.
    """
    # SOLUTION sublinear
    return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0.0)
    # END


# %%
check("01.sublinear", sublinear)

# %% [markdown] lang="en"
# Ten mentions weigh about as much as 3.3 did, and a hundred about as much as 5.6.
# Lesson 02 has another answer to the same question, a curve that never rises above 1.

# %%
print((1 + np.log([1, 10, 100])).round(1))

# %% [markdown] lang="en"
# ## 3. Near, or in the same direction? (6 minutes)
#
# Some vector databases ask you to choose between *cosine* and *Euclidean distance*, the length of the straight line between the tips of two arrows.
# For arrows of length 1 you can compute one from the other.
# How?
# (Begin with the squared length of $a - b$.)


# %%
def distance_from_cosine(cosine: float) -> float:
    """The Euclidean distance between the tips of two vectors of length 1.

    cosine: that of the two vectors, from -1 to 1.
    """
    # SOLUTION distance_from_cosine
    return float(np.sqrt(2 - 2 * cosine))
    # END


# %%
check("01.distance_from_cosine", distance_from_cosine)

# %% [markdown] lang="en"
# **A check by experiment.**
# The larger the cosine, the smaller the distance, always.
# So for unit vectors both give the same ranking, and the choice makes no difference.
# Here it is on a thousand random arrows.

# %%
dice = np.random.default_rng(0)
arrows = dice.normal(size=(1001, 50))
arrows /= np.linalg.norm(arrows, axis=1, keepdims=True)
query, documents = arrows[0], arrows[1:]
by_cosine = np.argsort(-(documents @ query))
by_distance = np.argsort(np.linalg.norm(documents - query, axis=1))
assert (by_cosine == by_distance).all()
print("the same ranking of", len(documents))

# %% [markdown] lang="en"
# ## 4. Nothing to compare (8 minutes)
#
# The lesson's cosine has a hole.
# A question whose words are all unknown, or a document of stop words only, is an arrow of length 0, and 0 divided by 0 is `nan`.
# It is worse than a wrong number: `nan` sorts to an end of the list, and which end depends on the function.
# Write a cosine that gives 0 there.


# %%
def cosines(query: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """The cosine of the query with each document: float array (n_documents,); 0 where either has
    length 0.

    query: float array (n_terms,); documents: float array (n_documents, n_terms).
    """
    # SOLUTION cosines
    lengths = np.linalg.norm(documents, axis=1) * np.linalg.norm(query)
    return np.divide(documents @ query, lengths, out=np.zeros(len(documents)), where=lengths > 0)
    # END


# %%
check("01.cosines", cosines)

# %% [markdown] lang="en"
# ## 5. Yesterday's idf, today's question (10 minutes)
#
# The archive was weighted yesterday.
# Today somebody asks, and a new page comes in.
# Both must be weighted so that they can be compared with the old pages.
# Which idf do they get?
# Write the function that weights them.
# Use the lesson's idf, $\ln\frac{1 + N}{1 + \mathrm{df}} + 1$.


# %%
def weigh(corpus_counts: np.ndarray, new_counts: np.ndarray) -> np.ndarray:
    """TF-IDF vectors of length 1 of new texts, comparable with the corpus: float array of
    new_counts' shape.

    corpus_counts: (n_documents, n_terms); new_counts: (n_new, n_terms), none of its rows empty.
    """
    # SOLUTION weigh
    df = (corpus_counts > 0).sum(axis=0)
    rows = new_counts * (np.log((1 + len(corpus_counts)) / (1 + df)) + 1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
    # END


# %%
check("01.weigh", weigh)

# %% [markdown] lang="en"
# scikit-learn separates `fit`, which learns the idf, from `transform`, which applies it.
# Its `TfidfTransformer` agrees with you:

# %%
from sklearn.feature_extraction.text import TfidfTransformer

with when_solved():
    yesterday, today = np.array([[1, 0], [1, 2]]), np.array([[3, 1]])
    theirs = TfidfTransformer().fit(yesterday).transform(today).toarray()
    assert np.allclose(weigh(yesterday, today), theirs)
    print("the same numbers")

# %% [markdown] lang="en"
# And if many pages come in?
# Then the old idf no longer describes the archive, and all is weighted anew.
#
# ## 6. Which word decided? (10 minutes)
#
# One document came out ahead of another, and you want to know why.
# Every word adds something to each of the two cosines.
# Find the word that adds more to the winner's than to the loser's by the largest **amount**.


# %%
def decisive_term(
    query: np.ndarray, winner: np.ndarray, loser: np.ndarray, vocabulary: list[str]
) -> str:
    """The term that did most to put `winner` ahead of `loser`.

    query, winner, loser: TF-IDF vectors (n_terms,), not yet of length 1;
    vocabulary: the term of each position.
    """
    # SOLUTION decisive_term
    unit = lambda vector: vector / np.linalg.norm(vector)
    return vocabulary[int(np.argmax(unit(query) * (unit(winner) - unit(loser))))]
    # END


# %%
check("01.decisive_term", decisive_term)

# %% [markdown] lang="en"
# ## 7. Open problem: one letter off (30 minutes and more)
#
# In the lesson two exchanged letters made the rarest word of a question worthless.
# Here nearly every question has a word of six letters or more with two letters exchanged or one missing.

# %%
from ragedu import TfidfRetriever, evaluate
from ragedu.corpus import Dataset
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test
from ragedu.text import Analyzer


def misspell(question: str, dice: random.Random) -> str:
    words = question.split()
    place = dice.choice([n for n, word in enumerate(words) if len(word) >= 6] or [0])
    word, at = words[place], dice.randrange(1, max(2, len(words[place]) - 2))
    exchanged = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    words[place] = exchanged if dice.random() < 0.5 else word[:at] + word[at + 1 :]
    return " ".join(words)


# %%
def misspelt(dataset: Dataset) -> Dataset:
    dice = random.Random(0)
    queries = {query_id: misspell(text, dice) for query_id, text in dataset.queries.items()}
    return Dataset(dataset.corpus, queries, qrels=dataset.qrels)


archive = port_ellery.load(1000, questions=600)
train, test = (misspelt(archive.select(split=split, kind="lookup")) for split in ("train", "test"))
for question in list(train.queries.values())[:3]:
    print(question)

# %% [markdown] lang="en"
# **The measure** is MRR@10 on `test`; **the baseline** is TF-IDF as it comes.
# Try things on `train`, as often as you like, and use `test` once, at the end.
# You write the analyzer: it makes terms of pages and questions alike, and nobody says that a term must be a word.


# %%
usual_terms = Analyzer()


def my_analyzer(text: str) -> list[str]:
    """Terms by which a misspelt word still finds its page."""
    # SOLUTION my_analyzer
    terms = usual_terms(text)
    marked = [f"^{term}$" for term in terms]
    # Each word also as its runs of three letters: one wrong letter spoils some of them and leaves
    # the others.
    return terms + [f"#{word[i : i + 3]}" for word in marked for i in range(len(word) - 2)]
    # END


# %%
def reciprocal_ranks(analyzer, dataset):
    retriever = TfidfRetriever(analyzer=analyzer)
    result = evaluate(retriever, dataset, metrics=["mrr@10"], progress=False)
    return list(result.per_query["mrr@10"].values())


# %%
with when_solved():
    mine, usual = reciprocal_ranks(my_analyzer, train), reciprocal_ranks(usual_terms, train)
    print("on train:", paired_test(mine, usual))

# %% [markdown] lang="en"
# Once, at the end:

# %%
with when_solved():
    baseline, mine = reciprocal_ranks(usual_terms, test), reciprocal_ranks(my_analyzer, test)
    gain = paired_test(mine, baseline)
    print(f"baseline {np.mean(baseline):.3f}, yours {np.mean(mine):.3f}; gain {gain}")
    assert gain.low > 0, "no gain that these questions can show"

# %% [markdown] lang="en"
# And what does it cost on questions **without** an error, and in the size of the index?
# An improvement for some that harms the others is a choice, not a gift.
