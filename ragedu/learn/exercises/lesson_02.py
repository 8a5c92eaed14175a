"""The exercises of lesson 02, BM25."""

from __future__ import annotations

import re
from itertools import accumulate as running_sum

import numpy as np

from ragedu.learn.exercise import Exercise
from ragedu.retrieval.bm25 import bm25_idf
from ragedu.text import Analyzer

# Warm-up: the saturation curve, read from the other side.


def mentions_needed(share, k1, b, relative_length):
    return share / (1 - share) * k1 * (1 - b + b * relative_length)


mentions = Exercise(
    name="02.mentions_needed",
    title="How many mentions are enough?",
    minutes=5,
    reference=mentions_needed,
    cases=[(0.5, 1.5, 0.75, 1.0), (0.9, 1.5, 0.75, 1.0), (0.9, 1.5, 0.75, 3.0), (0.5, 2.0, 0.0, 3.0)],
    random_case=lambda dice: (
        round(dice.uniform(0.05, 0.95), 2),
        round(dice.uniform(0.2, 4), 1),
        round(dice.uniform(0, 1), 2),
        round(dice.uniform(0.1, 5), 1),
    ),
    mistakes={
        "This is right for a document of average length only: k1 is stretched by L, which depends on the length.": (
            lambda share, k1, b, relative_length: share / (1 - share) * k1
        ),
        "The fraction stands on its head: a larger share needs more mentions, not fewer.": (
            lambda share, k1, b, relative_length: (1 - share) / share * k1 * (1 - b + b * relative_length)
        ),
        "The length is not mixed by b: L is 1 - b + b times the relative length, so that b = 0 ignores length.": (
            lambda share, k1, b, relative_length: share / (1 - share) * k1 * relative_length
        ),
        "The 1 - b is missing from L: L = 1 - b + b times the relative length.": (
            lambda share, k1, b, relative_length: share / (1 - share) * k1 * b * relative_length
        ),
        "L divides here; it stretches k1, so that long documents need more mentions.": (
            lambda share, k1, b, relative_length: share / (1 - share) * k1 / (1 - b + b * relative_length)
        ),
        "It need not be whole: don't round.": (
            lambda share, k1, b, relative_length: np.ceil(mentions_needed(share, k1, b, relative_length))
        ),
        "This multiplies by the share and never divides by what is left, 1 - share: a share near 1 needs very many.": (
            lambda share, k1, b, relative_length: share * k1 * (1 - b + b * relative_length)
        ),
        "This is the share that so many mentions reach. You are asked for the way back.": (
            lambda share, k1, b, relative_length: share / (share + k1 * (1 - b + b * relative_length))
        ),
    },
    hints=(
        "Write down the share that tf mentions reach: share = tf / (tf + k1 · L). You want tf.",
        "Multiply both sides by the denominator, and bring everything that has tf in it to one side.",
        "You have tf · (1 - share) = share · k1 · L. And L is the formula of idea 2 of the lesson.",
    ),
)


# Three idfs from the table of variants.


def idf(document_frequency, n_documents, variant):
    return bm25_idf(document_frequency, n_documents, variant=variant)


def _idf(log=np.log, one=1.0, half=0.5, not_negative=lambda idf: np.maximum(idf, 0), atire=lambda df, N: N / df):
    """The three idfs with something changed."""

    def changed(document_frequency, n_documents, variant):
        df, N = document_frequency, n_documents
        with np.errstate(all="ignore"):
            odds = (N - df + half) / (df + half)
            if variant == "lucene":
                return log(one + odds)
            return not_negative(log(odds)) if variant == "robertson" else log(atire(df, N))

    return changed


idfs = Exercise(
    name="02.idf",
    title="Three idfs",
    minutes=8,
    reference=idf,
    cases=[
        (np.array([1, 2, 4]), 4, "lucene"),
        (np.array([1, 2, 4]), 4, "robertson"),
        (np.array([1, 2, 4]), 4, "atire"),
        (np.array([7]), 100, "lucene"),
    ],
    random_case=lambda dice: (
        dice.integers(1, 60, size=4),
        int(dice.integers(60, 90)),
        str(dice.choice(["lucene", "robertson", "atire"])),
    ),
    mistakes={
        "This is a logarithm to base 10; BM25 takes the natural one, np.log.": _idf(log=np.log10),
        "This is a logarithm to base 2; BM25 takes the natural one, np.log.": _idf(log=np.log2),
        "Lucene's 1 is missing: it stands inside the logarithm, in front of the odds.": _idf(one=0.0),
        "The halves are missing: 0.5 is added above and below the fraction, so that it is neither 0 nor infinite.": (
            _idf(half=0.0)
        ),
        "Robertson's idf may not be negative: a term in more than half of the documents gets 0, each one on its own.": (
            _idf(not_negative=lambda idf: idf)
        ),
        "That is rank_bm25's rule, a quarter of the average. Here negative values become 0.": (
            _idf(not_negative=lambda idf: np.where(idf < 0, idf.mean() / 4, idf))
        ),
        "The sign is dropped here; a negative value should become 0.": _idf(not_negative=np.abs),
        "max(…) and `if` want single numbers; for an array it is np.maximum(0, x).": (
            _idf(not_negative=lambda idf: max(0, idf))
        ),
        "ATIRE's form has no 1 in front of the fraction.": _idf(atire=lambda df, N: 1 + N / df),
        "The fraction of atire stands on its head: the rarer the term, the larger its idf.": (
            _idf(atire=lambda df, N: df / N)
        ),
    },
    hints=(
        "Name the odds once: how many documents are without the term, for each that has it, with a half added to both.",
        "document_frequency is an array, so every step must work on all of its elements: no `if` on an idf, no max(…).",
        "np.maximum(x, 1) sets every element below 1 to 1, and the logarithm of 1 is 0. Take it before the logarithm.",
    ),
)


# A bug: += with an index that is repeated.


def accumulate(n_documents, numbers, weights):
    return np.bincount(numbers, weights, minlength=n_documents)


def _fancy(n_documents, numbers, weights):
    scores = np.zeros(n_documents)
    scores[numbers] += weights
    return scores


def _largest(n_documents, numbers, weights):
    scores = np.zeros(n_documents)
    np.maximum.at(scores, numbers, weights)
    return scores


def _whole(n_documents, numbers, weights):
    scores = np.zeros(n_documents, dtype=int)
    for number, weight in zip(numbers, weights, strict=True):
        scores[number] += weight
    return scores


def _without_weights(n_documents, numbers, weights):
    return np.bincount(numbers, minlength=n_documents).astype(float)


def _mean(n_documents, numbers, weights):
    return accumulate(n_documents, numbers, weights) / np.maximum(np.bincount(numbers, minlength=n_documents), 1)


def _postings(dice):
    n = int(dice.integers(4, 9))
    size = int(dice.integers(5, 12))
    return n, dice.integers(0, n - 1, size=size), dice.uniform(0.1, 2, size=size).round(2)


accumulating = Exercise(
    name="02.accumulate",
    title="Lost points",
    minutes=8,
    reference=accumulate,
    cases=[
        (3, np.array([0, 2]), np.array([1.0, 0.5])),
        (3, np.array([0, 2, 0]), np.array([1.0, 0.5, 0.25])),
        (5, np.array([1, 1, 1]), np.array([1.0, 1.0, 2.0])),
        (2, np.array([], dtype=int), np.array([])),
    ],
    random_case=_postings,
    mistakes={
        "numpy adds only once where an index is repeated, and a plain = keeps only a document's last points.": _fancy,
        "Only the largest of a document's points is kept: add them.": _largest,
        "The array holds whole numbers and cuts off the fractions: make it with np.zeros(n_documents).": _whole,
        "The array is as long as the largest number needs. Documents without a posting have a score too: 0.": (
            lambda n_documents, numbers, weights: np.bincount(numbers, weights)
        ),
        "This counts the postings of each document; it should add up their weights.": _without_weights,
        "This is the mean of a document's weights. A score is their sum: each word found adds to it.": _mean,
    },
    hints=(
        "Try scores = np.zeros(3); scores[[0, 0]] += 1; print(scores). Is that what you expected?",
        "A Python loop over the postings is right. For speed, numpy has two functions that add at repeated indices.",
        "Look up np.add.at, and np.bincount with its `weights` and `minlength`.",
    ),
)


# Why engines need not look at every document: MaxScore.


def skippable(max_weights, threshold):
    terms = sorted(max_weights, key=max_weights.get)
    together = running_sum(max_weights[term] for term in terms)
    return [term for term, sum_ in zip(terms, together, strict=True) if sum_ <= threshold]


def _descending(max_weights, threshold):
    terms = sorted(max_weights, key=max_weights.get, reverse=True)
    together = running_sum(max_weights[term] for term in terms)
    return [term for term, sum_ in zip(terms, together, strict=True) if sum_ <= threshold]


def _each_alone(max_weights, threshold):
    return [term for term in sorted(max_weights, key=max_weights.get) if max_weights[term] <= threshold]


def _strict(max_weights, threshold):
    terms = sorted(max_weights, key=max_weights.get)
    together = running_sum(max_weights[term] for term in terms)
    return [term for term, sum_ in zip(terms, together, strict=True) if sum_ < threshold]


def _unsorted(max_weights, threshold):
    together = running_sum(max_weights.values())
    return [term for term, sum_ in zip(max_weights, together, strict=True) if sum_ <= threshold]


def _one_too_many(max_weights, threshold):
    terms = sorted(max_weights, key=max_weights.get)
    return terms[: len(skippable(max_weights, threshold)) + 1]


def _in_their_order(max_weights, threshold):
    can_be_skipped = skippable(max_weights, threshold)
    return [term for term in max_weights if term in can_be_skipped]


def _needed(max_weights, threshold):
    can_be_skipped = skippable(max_weights, threshold)
    return [term for term in sorted(max_weights, key=max_weights.get) if term not in can_be_skipped]


def _query(dice):
    terms = dice.choice(["ferry", "gull", "island", "the", "harbour", "tide", "bell"], size=5, replace=False)
    weights = dice.choice(np.arange(1, 30), size=5, replace=False) / 8  # eighths, so that sums are exact
    smallest = float(np.sort(weights)[: int(dice.integers(1, 5))].sum())
    return dict(zip(terms.tolist(), weights.tolist(), strict=True)), smallest + float(dice.choice([0, 0.125, 0.5]))


skipping = Exercise(
    name="02.skippable",
    title="Whom need we not even look at?",
    minutes=12,
    reference=skippable,
    cases=[
        ({"the": 0.25, "ferry": 1.5, "gull": 2.0}, 1.0),
        ({"the": 0.25, "ferry": 1.5, "gull": 2.0}, 1.75),
        ({"gull": 2.0, "the": 0.25, "ferry": 1.5}, 1.875),
        ({"gull": 2.0, "the": 0.25}, 0.0),
        ({"gull": 2.0, "the": 0.25}, 5.0),
    ],
    random_case=_query,
    mistakes={
        "Each term alone stays at or below the threshold, but a document may have several of them: their sum counts.": (
            _each_alone
        ),
        "Begin with the smallest weights: that leaves out the most terms.": _descending,
        "A sum equal to the threshold does not get in, so such a term can be skipped too: at most, not below.": (
            _strict
        ),
        "The terms are taken in the question's order; take them from the smallest weight up.": _unsorted,
        "One term too many: test the sum before you take the term in.": _one_too_many,
        "The right terms, in the order of the question: smallest weight first.": _in_their_order,
        "The right terms, in alphabetical order: smallest weight first.": (
            lambda max_weights, threshold: sorted(skippable(max_weights, threshold))
        ),
        "These are the terms that are needed. The others were asked for.": _needed,
    },
    hints=(
        "Which score can a document reach at most, if it has only the first m of some terms?",
        "Sort the terms by their largest weight, smallest first, and follow the running sum.",
        "sorted(max_weights, key=max_weights.get) sorts the terms; go on while sum so far + next ≤ threshold.",
    ),
)


# Identifiers, whole and in pieces.

_terms = Analyzer()
CODE = re.compile(r"[^\W_]+(?:[-/][^\W_]+)+")


def analyze(text):
    return _terms(text) + _codes(text)


def _codes(text, pattern=CODE):
    return [code.lower() for code in re.findall(pattern, text) if re.search(r"\d", code)]


def _by_pattern(pattern):
    """`analyze` with another idea of what an identifier is."""
    return lambda text: _terms(text) + _codes(text, pattern)


def _pieces_dropped(text):
    pieces = {piece for code in _codes(text) for piece in re.split("[-/]", code)}
    return [term for term in _terms(text) if term not in pieces] + _codes(text)


def _groups_joined(text):
    codes = ["".join(groups).lower() for groups in re.findall(r"([^\W_]+)([-/][^\W_]+)+", text)]
    return _terms(text) + [code for code in codes if re.search(r"\d", code)]


CODES = ("EL-5071-L", "17/204", "b-12", "3-4-5", "PH/88-a", "GX-1", "3.50")
WORDS = ("the", "ferry", "well-known", "permit", "hull", "is", "painted", "north-east", "in", "1887", "and/or")


def _note(dice):
    words = [str(word) for word in dice.choice(WORDS, size=5)] + [str(code) for code in dice.choice(CODES, size=2)]
    return (" ".join(dice.permutation(words).tolist()) + ".",)


analyzing = Exercise(
    name="02.analyze",
    title="Numbers, whole and in pieces",
    minutes=12,
    reference=analyze,
    cases=[
        ("the ferry",),
        ("Hull number EL-5071-L.",),
        ("Is permit 17/204 for the well-known Ada Quill?",),
        ("3-4 or 1887, for 3.50",),
        ("17/204 for 17/240, and 17/204 again",),
        ("The hull (EL-5071-L): afloat.",),
        ("",),
    ],
    random_case=_note,
    mistakes={
        "A well-known word is no identifier: only what has a digit in it counts as one.": (
            lambda text: _terms(text) + [code.lower() for code in CODE.findall(text)]
        ),
        "The case of the letters is kept. Who types el-5071-l should find EL-5071-L: use lower case.": (
            lambda text: _terms(text) + [code for code in CODE.findall(text) if code.lower() in _codes(text)]
        ),
        "The pieces are gone. Keep them as well: somebody may remember the number only.": _pieces_dropped,
        "These are the analyzer's terms alone; the whole identifiers should follow them.": _terms,
        "These are the whole identifiers alone; the analyzer's terms should come before them.": _codes,
        "The identifiers come first here; the usual terms should.": lambda text: _codes(text) + _terms(text),
        "An identifier that occurs twice is a term twice: BM25 counts.": (
            lambda text: _terms(text) + list(dict.fromkeys(_codes(text)))
        ),
        "Terms that occur twice are kept once here. Leave the repeats in: BM25 counts.": (
            lambda text: list(dict.fromkeys(analyze(text)))
        ),
        "Identifiers are joined by a hyphen or by a slash: 17/204 is one too.": _by_pattern(r"[^\W_]+(?:-[^\W_]+)+"),
        "This finds one form only. Two or more pieces of letters and digits make an identifier: 17/204 is one too.": (
            _by_pattern("[A-Z]{2}[-/][0-9]{4}[-/][A-Z]")
        ),
        "Only two pieces are taken; there may be more: repeat the second part.": _by_pattern(r"[^\W_]+[-/][^\W_]+"),
        "With round brackets re.findall returns the groups, not the whole match: write (?:…).": _groups_joined,
        "re.findall returns only what stands in the round brackets, the last piece: write (?:…).": (
            _by_pattern(r"[^\W_]+([-/][^\W_]+)+")
        ),
        "Punctuation sticks to the identifier: find it by a pattern in place of cutting at blanks.": (
            _by_pattern(r"\S+[-/]\S+")
        ),
        "Not all signs are cut off: brackets and colons stick to the identifier. Find it by a pattern.": (
            _by_pattern(r"\S+[-/]\S*[^\s.,?]")
        ),
    },
    hints=(
        "Begin with Analyzer()(text), and add to that list.",
        'A piece is [A-Za-z0-9]+ as a regular expression. An identifier is a piece, then at least once "-" or "/" '
        "and a piece. (?:…)+ repeats a group without capturing it, so that re.findall returns the whole match.",
        "any(character.isdigit() for character in code) tells an identifier from a well-known word.",
    ),
)

EXERCISES = [mentions, idfs, accumulating, skipping, analyzing]
