"""The exercises of lesson 01, TF-IDF and cosine."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ragedu.learn.exercise import Exercise
from ragedu.retrieval.tfidf import tfidf_idf

WORDS = ("ferry", "gull", "island", "the", "harbour", "tide", "bell")


# Warm-up: document frequency is not how often a word occurs.


def document_frequency(documents):
    return dict(Counter(term for document in documents for term in set(document)))


def _notes(dice):
    return ([dice.choice(WORDS, size=int(dice.integers(0, 6))).tolist() for _ in range(4)],)


frequency = Exercise(
    name="01.document_frequency",
    title="In how many documents?",
    minutes=5,
    reference=document_frequency,
    cases=[
        ([["the", "ferry"], ["the", "gull"]],),
        ([["ferry", "ferry", "ferry"], ["gull", "ferry"]],),
        ([["bell"], [], ["bell"]],),
        ([["ferryman"], ["ferry"]],),
        ([],),
    ],
    random_case=_notes,
    mistakes={
        "This counts how often a word occurs in all. A document that says it three times is still one document.": (
            lambda documents: dict(Counter(term for document in documents for term in document))
        ),
        "This is the share of the documents; the document frequency is their number.": (
            lambda documents: {term: df / len(documents) for term, df in document_frequency(documents).items()}
        ),
        "A word counts as soon as one document has it: here the words of single documents are missing.": (
            lambda documents: {term: df for term, df in document_frequency(documents).items() if df > 1}
        ),
        "This finds the letters inside other words too: look in the list of words, not in a joined string.": (
            lambda documents: {t: sum(t in " ".join(d) for d in documents) for t in document_frequency(documents)}
        ),
        "This counts the documents that do not have the word.": (
            lambda documents: {t: len(documents) - df for t, df in document_frequency(documents).items()}
        ),
    },
    hints=(
        "For each document, which words does it add one to? Each of its words, however often they stand there.",
        "set(document) holds each word once.",
        "Go through the documents, through set(document), and do df[term] = df.get(term, 0) + 1.",
    ),
)


# A damped term frequency.


def sublinear(counts):
    return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0.0)


def _in_place(counts):
    counts[counts > 0] = 1 + np.log(counts[counts > 0])
    return counts


def _with_infinity(counts):
    with np.errstate(divide="ignore"):
        return 1 + np.log(counts)


def _to_base(log):
    return lambda counts: np.where(counts > 0, 1 + log(np.maximum(counts, 1)), 0.0)


damped = Exercise(
    name="01.sublinear",
    title="The tenth mention",
    minutes=6,
    reference=sublinear,
    cases=[
        (np.array([[1.0, 2.0, 10.0]]),),
        (np.array([[1.0, 0.0], [0.0, 3.0]]),),
        (np.array([[0.0, 0.0]]),),
    ],
    random_case=lambda dice: (dice.integers(0, 8, size=(3, 4)).astype(float),),
    mistakes={
        "The logarithm of 0 is minus infinity. A word that does not occur has weight 0 and needs a case of its own.": (
            _with_infinity
        ),
        "nan_to_num turns minus infinity into the lowest number there is. Give 0 a case of its own.": (
            lambda counts: np.nan_to_num(_with_infinity(counts))
        ),
        "This is ln(1 + tf), another formula: one mention gets 0.69 here, and should keep weight 1.": np.log1p,
        "The 1 in front is missing: one mention has ln 1 = 0 and would count for nothing.": (
            lambda counts: np.log(np.maximum(counts, 1))
        ),
        "Words that do not occur get weight 1. They must stay at 0.": lambda counts: 1 + np.log(np.maximum(counts, 1)),
        "This is a logarithm to base 10; here it is the natural one, np.log.": _to_base(np.log10),
        "This is a logarithm to base 2; here it is the natural one, np.log.": _to_base(np.log2),
        "Your function writes into the array that it was given, and its caller still needs it: make a new one.": (
            _in_place
        ),
    },
    hints=(
        "Two cases: where counts > 0 and where not. What should each give?",
        "np.where(condition, a, b) takes a where the condition holds and b elsewhere. It computes both everywhere.",
        "To keep ln 0 out of it, take that of np.maximum(counts, 1): nothing changes where tf is at least 1.",
    ),
)


# Distance and cosine.


def distance_from_cosine(cosine):
    return float(np.sqrt(2 - 2 * cosine))


distance = Exercise(
    name="01.distance_from_cosine",
    title="Near, or in the same direction?",
    minutes=6,
    reference=distance_from_cosine,
    cases=[(1.0,), (0.0,), (-1.0,), (0.5,)],
    random_case=lambda dice: (round(dice.uniform(-1, 1), 3),),
    mistakes={
        "This is the square of the distance: the root is missing.": lambda cosine: 2 - 2 * cosine,
        "This is 1 - cosine, often called cosine distance. Asked for is the length of the line between the tips.": (
            lambda cosine: 1 - cosine
        ),
        "This is the angle, the way along the circle. The straight line between the two tips is shorter.": np.arccos,
        "This is the height of one tip above the other arrow, the sine of the angle.": (
            lambda cosine: np.sqrt(1 - cosine**2)
        ),
        "The sign of the mixed term is wrong: (a - b)·(a - b) has -2 a·b in it, so nearer directions are less far.": (
            lambda cosine: np.sqrt(2 + 2 * cosine)
        ),
        "The two squared lengths are 1 each: 1 + 1 - 2·cosine.": lambda cosine: np.sqrt(1 - cosine),
    },
    hints=(
        "The squared length of any vector v is v·v. Which vector goes from one tip to the other?",
        "Multiply out (a - b)·(a - b). Two of the terms are squared lengths, and you know those.",
        "a·a = b·b = 1 and a·b is the cosine. Don't forget that a distance is not squared.",
    ),
)


# Cosine where there is nothing to compare.


def cosines(query, documents):
    lengths = np.linalg.norm(documents, axis=1) * np.linalg.norm(query)
    return np.divide(documents @ query, lengths, out=np.zeros(len(documents)), where=lengths > 0)


def _unsafe(query, documents):
    with np.errstate(all="ignore"):
        return documents @ query / (np.linalg.norm(documents, axis=1) * np.linalg.norm(query))


def _plus_one(query, documents):
    return documents @ query / (np.linalg.norm(documents, axis=1) * np.linalg.norm(query) + 1)


def _documents_only(query, documents):
    lengths = np.linalg.norm(documents, axis=1)
    return np.divide(documents @ query, lengths, out=np.zeros(len(documents)), where=lengths > 0)


def _one_length(query, documents):
    length = np.linalg.norm(documents) * np.linalg.norm(query)
    return documents @ query / length if length else np.zeros(len(documents))


def _all_or_none(query, documents):
    return cosines(query, documents) if documents.any(axis=1).all() else np.zeros(len(documents))


def _dropped(query, documents):
    return cosines(query, documents[np.linalg.norm(documents, axis=1) > 0])


def _texts(dice):
    documents, query = dice.integers(0, 4, size=(4, 3)).astype(float), dice.integers(0, 3, size=3).astype(float)
    documents[int(dice.integers(4))] = 0
    return query, documents


safe_cosine = Exercise(
    name="01.cosines",
    title="Nothing to compare",
    minutes=8,
    reference=cosines,
    cases=[
        (np.array([0.5, 0.0]), np.array([[0.2, 0.0], [3.0, 3.0], [0.0, 0.5]])),
        (np.array([1.0, 1.0]), np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])),
        (np.array([0.0, 0.0]), np.array([[1.0, 2.0], [0.0, 0.0]])),
    ],
    random_case=_texts,
    mistakes={
        "0 divided by 0 is nan. Where one of the two lengths is 0 there is no common word, so the score should be 0.": (
            _unsafe
        ),
        "Adding 1 to the lengths keeps nan away and makes all other cosines too small.": _plus_one,
        "The question's length is missing. The ranking stays the same, but these are no cosines: they can exceed 1.": (
            _documents_only
        ),
        "The length is taken of all documents together. Each document has its own: axis=1.": _one_length,
        "The empty documents are gone, and all others have moved up: no score fits its document any more.": _dropped,
        "One document without words makes all scores 0 here; only its own should be.": _all_or_none,
        "For an empty question there is one number; each document should have one: np.zeros(len(documents)).": (
            lambda query, documents: cosines(query, documents) if query.any() else 0.0
        ),
        "These are dot products; they have not been divided by the lengths.": lambda query, documents: (
            documents @ query
        ),
    },
    hints=(
        "Print what your function gives for a row of zeros. Which of its numbers is 0 there?",
        "Compute dot products and products of lengths first, and divide only where the latter are above 0.",
        "np.divide(a, b, out=np.zeros(len(a)), where=b > 0) divides where b > 0 and leaves the zeros elsewhere.",
    ),
)


# The idf is learned from the corpus, once.


def weigh(corpus_counts, new_counts):
    idf = tfidf_idf((corpus_counts > 0).sum(axis=0), len(corpus_counts))
    return _unit(new_counts * idf)


def _unit(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows, dtype=float), where=lengths > 0)


def _count_idf(corpus_counts, new_counts):
    return _unit(new_counts * tfidf_idf(corpus_counts.sum(axis=0), len(corpus_counts)))


def _bare_idf(corpus_counts, new_counts):
    df = (corpus_counts > 0).sum(axis=0)
    return _unit(new_counts * np.log((1 + len(corpus_counts)) / (1 + df)))


def _rough_idf(corpus_counts, new_counts):
    df = (corpus_counts > 0).sum(axis=0)
    with np.errstate(all="ignore"):
        return _unit(new_counts * (np.log(len(corpus_counts) / df) + 1))


def _long(corpus_counts, new_counts):
    return new_counts * tfidf_idf((corpus_counts > 0).sum(axis=0), len(corpus_counts))


def _common_length(corpus_counts, new_counts):
    rows = _long(corpus_counts, new_counts)
    return rows / np.linalg.norm(rows)


def _counts(dice):
    corpus = dice.integers(0, 3, size=(5, 4)).astype(float)
    new = dice.integers(0, 3, size=(2, 4)).astype(float)
    new[:, 0] += 1  # no empty rows: exercise 4 was about those
    return corpus, new


new_texts = Exercise(
    name="01.weigh",
    title="Yesterday's idf, today's question",
    minutes=10,
    reference=weigh,
    cases=[
        (np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])),
        (np.array([[2.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 1.0], [0.0, 3.0, 1.0]])),
    ],
    random_case=_counts,
    mistakes={
        "The idf comes from the new texts; it should come from the corpus, which knows how rare a word is.": (
            lambda corpus_counts, new_counts: weigh(new_counts, new_counts)
        ),
        "The idf comes from old and new texts together. The corpus was weighted without the new ones.": (
            lambda corpus_counts, new_counts: weigh(np.vstack([corpus_counts, new_counts]), new_counts)
        ),
        "The rows are not brought to length 1.": _long,
        "The length is taken of all rows together. Each text has its own: axis=1, keepdims=True.": _common_length,
        "The rows are divided by their lengths before the idf comes in; weigh first, then divide.": (
            lambda corpus_counts, new_counts: _long(corpus_counts, _unit(new_counts))
        ),
        "The document frequency is the number of documents with the word, not of its mentions.": (_count_idf),
        "The 1 behind the logarithm is missing: in this form a word of every document has weight 1.": _bare_idf,
        "The two ones inside the fraction are missing: (1 + N) / (1 + df).": _rough_idf,
    },
    hints=(
        "Which of the two arrays decides how rare a word is?",
        "Compute the idf from corpus_counts alone, as in step 2 of the lesson; multiply new_counts by it.",
        "At last divide each row by np.linalg.norm(rows, axis=1, keepdims=True).",
    ),
)


# Which word decided?


def decisive_term(query, winner, loser, vocabulary):
    return vocabulary[int(np.argmax(_differences(query, winner, loser)))]


def _differences(query, winner, loser):
    return _length_one(query) * (_length_one(winner) - _length_one(loser))


def _length_one(vector):
    return vector / np.linalg.norm(vector)


def _fractions(query, winner, loser, vocabulary):
    a, b = query * winner, query * loser
    with np.errstate(all="ignore"):
        return vocabulary[int(np.argmax(a / a.sum() - b / b.sum()))]


def _pair(dice):
    while True:
        rows = dice.uniform(0.1, 3, size=(3, 5)).round(2) * (dice.random((3, 5)) < 0.6)
        rows[:, int(dice.integers(5))] += 0.25
        rows[2] *= float(dice.choice([0.3, 1, 3]))
        second, first = np.sort(_differences(*rows))[-2:]
        if first - second > 0.01:  # one word decided
            return rows[0], rows[1], rows[2], list(WORDS[:5])


deciding = Exercise(
    name="01.decisive_term",
    title="Which word decided?",
    minutes=10,
    reference=decisive_term,
    cases=[
        (np.array([1.0, 1.0]), np.array([2.0, 1.0]), np.array([0.0, 1.0]), ["ferry", "the"]),
        (np.array([1.0, 1.0, 0.0]), np.array([1.0, 3.0, 0.0]), np.array([0.0, 3.0, 1.0]), ["ferry", "the", "gull"]),
        (np.array([1.0, 1.0]), np.array([3.0, 4.0]), np.array([50.0, 10.0]), ["ferry", "the"]),
        (np.array([0.0, 1.0, 1.0]), np.array([9.0, 4.0, 3.0]), np.array([0.0, 5.0, 1.0]), ["gull", "ferry", "the"]),
        (np.array([1.0, 1.0, 0.0]), np.array([2.0, 8.0, 3.0]), np.array([1.0, 4.0, 4.0]), ["gull", "ferry", "the"]),
        (np.array([1.0, 1.0, 0.0]), np.array([8.0, 4.0, 0.0]), np.array([4.0, 1.0, 4.0]), ["the", "ferry", "gull"]),
        (np.array([1.0, 1.0, 0.0]), np.array([5.0, 12.0, 0.0]), np.array([0.0, 7.0, 24.0]), ["the", "ferry", "gull"]),
    ],
    random_case=_pair,
    mistakes={
        "This is the word that brings the winner most. The loser may have as much of it: look at the difference.": (
            lambda query, winner, loser, vocabulary: vocabulary[int(np.argmax(query * winner))]
        ),
        "The question plays no part here: a word that it does not have decides nothing.": (
            lambda query, winner, loser, vocabulary: vocabulary[
                int(np.argmax(_length_one(winner) - _length_one(loser)))
            ]
        ),
        "The two are compared at their full lengths. A cosine divides each by its own length first.": (
            lambda query, winner, loser, vocabulary: vocabulary[int(np.argmax(query * (winner - loser)))]
        ),
        "This is the word that helped the loser most: argmin instead of argmax, or the difference turned round.": (
            lambda query, winner, loser, vocabulary: decisive_term(query, loser, winner, vocabulary)
        ),
        "This compares fractions of each cosine; asked for is the amount that a word adds.": _fractions,
        "This is the word with the largest difference in either direction; it may have helped the loser.": (
            lambda query, winner, loser, vocabulary: vocabulary[int(np.argmax(abs(_differences(query, winner, loser))))]
        ),
        "This is the position; asked for is the word that stands there in the vocabulary.": (
            lambda query, winner, loser, vocabulary: int(np.argmax(_differences(query, winner, loser)))
        ),
    },
    hints=(
        "A cosine is a sum over words. What does one word add to the winner's, and what to the loser's?",
        "What a word adds is q · d at its position, where both vectors are divided by their lengths.",
        "np.argmax of what each adds to the winner's, less what it adds to the loser's, is the position of the word.",
    ),
)

EXERCISES = [frequency, damped, distance, safe_cosine, new_texts, deciding]
