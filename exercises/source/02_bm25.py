# %% [markdown] lang="en"
# # Exercises 02: BM25
#
# **Know first:** lesson 02.
# **Time:** 45 minutes, and as long as you like for the last one.
# **Cost to run:** under a minute, no model, no network.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# Stuck?
# Each `hint("02.idf")` tells you a little more, three times.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import re

import numpy as np

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. How many mentions are enough? (5 minutes)
#
# The lesson went from mentions to value: $\mathrm{tf} / (\mathrm{tf} + k_1 L)$.
# Go the other way.
# How often must a term occur for its value to reach a given share of the most that it can ever reach, which is 1?
# As in the lesson,
#
# $$L = 1 - b + b \cdot \frac{|d|}{\mathrm{avgdl}}$$


# %%
def mentions_needed(share: float, k1: float, b: float, relative_length: float) -> float:
    """The term frequency (it need not be whole) at which the saturated count equals `share`.

    share: above 0 and below 1; relative_length: |d| / avgdl.
    """
    # SOLUTION mentions_needed
    norm = k1 * (1 - b + b * relative_length)
    return share * norm / (1 - share)
    # END


# %%
check("02.mentions_needed", mentions_needed)

# %%
hint("02.mentions_needed")  # run it again for the next

# %% [markdown] lang="en"
# When it is right, ask it: with $k_1 = 1.5$ and $b = 0.75$, how many mentions does a page of average length need for 90 % of the value?
# And a page of three times that length?

# %%
with when_solved():
    for relative_length in (1, 3):
        print(round(mentions_needed(0.9, 1.5, 0.75, relative_length), 1))

# %% [markdown] lang="en"
# Who stuffs **long** pages with keywords has to stuff a lot.
#
# ## 2. Three idfs (8 minutes)
#
# The lesson's table has three forms that people take for the same thing.
# Write them for a whole array of document frequencies at once:
#
# - `"lucene"`: $\ln\left(1 + \frac{N - df + 0.5}{df + 0.5}\right)$
# - `"robertson"`: $\ln\frac{N - df + 0.5}{df + 0.5}$, negative values set to 0
# - `"atire"`: $\ln\frac{N}{df}$


# %%
def idf(document_frequency: np.ndarray, n_documents: int, variant: str) -> np.ndarray:
    """The idf of each term: float array of the shape of `document_frequency`.

    document_frequency: integers, at least 1.

    variant: "lucene", "robertson" or "atire".
    """
    # SOLUTION idf
    if variant == "atire":
        return np.log(n_documents / document_frequency)
    odds = (n_documents - document_frequency + 0.5) / (document_frequency + 0.5)
    return np.log(1 + odds) if variant == "lucene" else np.log(np.maximum(odds, 1))
    # END


# %%
check("02.idf", idf)

# %% [markdown] lang="en"
# **A check by experiment.**
# How much does the choice matter in a million documents?
# Here are `ragedu`'s three, for terms in 10, in ten thousand, and in 900,000 of them.

# %%
from ragedu.retrieval.bm25 import bm25_idf

frequencies = np.array([10, 10_000, 900_000])
for variant in ("lucene", "robertson", "atire"):
    print(f"{variant:<10}", bm25_idf(frequencies, 1_000_000, variant=variant).round(2))

# %% [markdown] lang="en"
# For words that can tell documents apart they are all but equal.
# The quarrel is about words that are nearly everywhere, or about collections that are tiny.
#
# ## 3. Lost points (8 minutes)
#
# A colleague has put the posting lists of all the question's terms one behind the other, and adds them up in one line:
#
# ```python
# scores = np.zeros(n_documents)
# scores[numbers] += weights
# ```
#
# It is fast, it raises no error, and pages that have **several** of the words score too little.
# Find out why, and mend it.
# Documents without any posting score 0.


# %%
def accumulate(n_documents: int, numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The score of every document: float array (n_documents,).

    numbers: the document of each posting, an int array in which a document may occur several times;
    weights: what each posting adds, a float array of the same length.
    """
    # SOLUTION accumulate
    scores = np.zeros(n_documents)
    np.add.at(scores, numbers, weights)
    return scores
    # END


# %%
check("02.accumulate", accumulate)

# %% [markdown] lang="en"
# ## 4. Whom need we not even look at? (12 minutes)
#
# An inverted index touches only documents that share a term with the question.
# A search engine touches fewer still.
# For each term it knows the **largest** weight in its posting list.
# Say that we want the best ten, have found ten already, and the tenth of them scores 1.0; that is the **threshold**: only a score above it gets in.
# A document that has no word of the question but *the*, whose largest weight is 0.25, can't.
# So nobody needs to walk through the very long list of *the* in search of new documents.
#
# More terms can be skipped together: those whose largest weights **add up** to no more than the threshold.
# Take them from the smallest up, as many as possible.
# (Turtle and Flood called this *MaxScore* in 1995, and Lucene uses its descendants.)


# %%
def skippable(max_weights: dict[str, float], threshold: float) -> list[str]:
    """The terms whose posting lists need not be searched for new documents, smallest weight first.

    max_weights: for each term of the question its largest weight in any document, above 0, no two
        equal;
    threshold: the score that a document has to exceed.
    """
    # SOLUTION skippable
    skipped, together = [], 0.0
    for term in sorted(max_weights, key=max_weights.get):
        together += max_weights[term]
        if together > threshold:
            break
        skipped.append(term)
    return skipped
    # END


# %%
check("02.skippable", skippable)

# %% [markdown] lang="en"
# The words that tell least have the longest lists, so this spares the most work just where there is most.
# And the result is exact: nobody who belongs among the ten is missed.
#
# ## 5. Numbers, whole and in pieces (12 minutes)
#
# The lesson found that the analyzer cuts *EL-5071-L* at its hyphens, so that a page about *EL-5071-K* looks nearly right.
# Write an analyzer that gives the usual terms **and after them** every identifier as a whole, in lower case.
# An identifier here is two or more runs of letters and digits, joined by hyphens or slashes, with at least one digit somewhere: *EL-5071-L* and *17/204*, but not *well-known*.

# %%
from ragedu.text import Analyzer

usual_terms = Analyzer()
print(usual_terms("Hull number EL-5071-L"))


# %%
def analyze(text: str) -> list[str]:
    """The usual terms of a text, then its identifiers as they stand there, in lower case, each as
    often as it occurs."""
    # SOLUTION analyze
    joined = re.findall(r"[A-Za-z0-9]+(?:[-/][A-Za-z0-9]+)+", text)
    return usual_terms(text) + [code.lower() for code in joined if re.search("[0-9]", code)]
    # END


# %%
check("02.analyze", analyze)

# %% [markdown] lang="en"
# ## 6. Open problem: as people write them (30 minutes and more)
#
# On the archive's identifier questions your `analyze` makes BM25 perfect, MRR@10 = 1 (try it: `BM25Retriever(analyzer=analyze)`).
# But people don't copy identifiers.
# They leave out the hyphens, put blanks, or swap two digits.
# `as_written` does this to the questions; the pages stay as they are.

# %%
from ragedu import BM25Retriever, evaluate
from ragedu.corpus import Dataset
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test

IDENTIFIER = re.compile(r"([A-Z]{2})([-/])(\d{4})([-/])([A-Z])")


def swapped(match: re.Match) -> str:
    """The identifier with its second and third digit exchanged."""
    first, second, third, last = match[3]
    digits = first + third + second + last
    return f"{match[1]}{match[2]}{digits}{match[4]}{match[5]}"


def as_written(question: str, number: int) -> str:
    """The question with its identifier written in one of three other ways, in turn."""
    if number % 3 == 0:
        return IDENTIFIER.sub(r"\1\3\5", question)  # EL5071L
    if number % 3 == 1:
        return IDENTIFIER.sub(r"\1 \3 \5", question)  # EL 5071 L
    return IDENTIFIER.sub(swapped, question)  # EL-5701-L


# %%
def rewritten(dataset: Dataset) -> Dataset:
    queries = {q: as_written(text, n) for n, (q, text) in enumerate(dataset.queries.items())}
    return Dataset(dataset.corpus, queries, qrels=dataset.qrels)


archive = port_ellery.load(2000, questions=1000)
train = rewritten(archive.select(split="train", kind="identifier"))
test = rewritten(archive.select(split="test", kind="identifier"))
for question in list(train.queries.values())[:3]:
    print(question)

# %% [markdown] lang="en"
# **The measure** is MRR@10 on `test`; **the baseline** is BM25 as it comes.
# Try things on `train`, as often as you like, and use `test` once, at the end.
# `my_analyzer` sees pages and questions alike, and may return any terms it wants.


# %%
def my_analyzer(text: str) -> list[str]:
    """Terms with which BM25 finds identifiers, however they are written."""
    # SOLUTION my_analyzer
    terms = usual_terms(text)
    identifier = r"\b([A-Za-z]{2})[-/ ]?(\d{4})[-/ ]?([A-Za-z])\b"
    for letters, digits, last in re.findall(identifier, text):
        code = (letters + digits + last).lower()
        # The code as a whole, however it is joined; and once more with its digits in order, which a
        # swap leaves as they are.
        terms += [code, letters.lower() + "".join(sorted(digits)) + last.lower()]
    return terms
    # END


# %%
def reciprocal_ranks(analyzer, dataset):
    result = evaluate(BM25Retriever(analyzer=analyzer), dataset, metrics=["mrr@10"], progress=False)
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
# What does your idea cost?
# A term that many pages share by accident brings near misses back.
# And what would you do if the form of the identifiers were not known in advance?
