"""Valid arguments for the exercises from other generators than those of `check`: other sizes, other ranges, more ties.

An exercise without a generator here gets `random_case` with other seeds, so a new one is tried without being named.
"""

import math

import numpy as np

from ragedu.learn.exercise import Exercise
from ragedu.learn.exercises import lesson_00

WORDS = ("nine", "ninety", "art", "start", "it", "is", "a", "martin", "quill", "ferry", "1887", "18", "tide")
SIGNS = (" ", " ", " ", ", ", ". ", "-", "'", ": ", "  ")
PAGES = ("wall", "storm", "ferry", "choir", "crane", "bell", "tide")


def some(dice, low, high):
    return int(dice.integers(low, high + 1))


def words(dice, low, high, vocabulary=WORDS):
    return [str(word) for word in dice.choice(vocabulary, size=some(dice, low, high))]


def text(dice, low, high):
    """Words with signs between them, some in capitals."""
    written = ""
    for word in words(dice, low, high):
        written += (word.upper() if dice.random() < 0.2 else word) + str(dice.choice(SIGNS))
    return written if dice.random() < 0.5 else written.strip()


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def log_probabilities(dice, size):
    return np.log(dice.dirichlet([0.7] * size))


def contains(dice):
    answers = [text(dice, 1, 3) for _ in range(some(dice, 0, 3))]
    kind = dice.random()
    if answers and kind < 0.4:  # a text that has an answer, at its end, in its middle, or as the whole
        return text(dice, 0, 3) + " " * (kind < 0.35) + answers[0] + " " + text(dice, 0, 2), answers
    return text(dice, 0, 8), answers


def retrieve(dice):
    names = dice.permutation(PAGES)[: some(dice, 1, 7)].tolist()
    return text(dice, 1, 6), {name: text(dice, 0, 7) for name in names}, some(dice, 1, 8)


def build_prompt(dice):
    sources = [" ".join(words(dice, 1, 5)) + str(dice.choice([".", "!", " ?"])) for _ in range(some(dice, 0, 5))]
    if len(sources) > 1 and dice.random() < 0.3:
        sources[1] = sources[0]
    return text(dice, 1, 5), sources, some(dice, 0, 16)


def ask(dice):
    retrieve = lesson_00.search if dice.random() < 0.8 else lesson_00.NextPage()
    generate = (lesson_00.parrot, lesson_00.shout)[some(dice, 0, 1)]
    return text(dice, 1, 6) + str(dice.choice(["", "?", " {x}", "\\n"])), retrieve, generate


def diagnose(dice):
    n = some(dice, 0, 9)
    return (dice.random(n) < 0.5).tolist(), (dice.random(n) < 0.5).tolist()


def document_frequency(dice):
    return ([words(dice, 0, 7) for _ in range(some(dice, 0, 6))],)


def sublinear(dice):
    counts = dice.integers(0, int(dice.choice([2, 4, 60])), size=(some(dice, 1, 4), some(dice, 1, 5)))
    return (counts.astype(float),)


def cosines(dice):
    n = some(dice, 1, 5)
    scale = float(dice.choice([0.001, 0.3, 1, 20]))
    documents = (dice.random((some(dice, 1, 6), n)) * (dice.random((1, n)) < 0.8)) * scale
    documents[dice.random(len(documents)) < 0.3] = 0
    query = dice.random(n) * (dice.random(n) < 0.7) * float(dice.choice([0.01, 1, 9]))
    return query, documents


def weigh(dice):
    n = some(dice, 1, 5)
    corpus = dice.integers(0, 4, size=(some(dice, 1, 7), n)) * (dice.random((1, n)) < 0.8)
    new = dice.integers(0, 4, size=(some(dice, 1, 4), n)).astype(float)
    new[:, some(dice, 0, n - 1)] += 1
    return corpus.astype(float), new


def decisive_term(dice):
    while True:
        n = some(dice, 2, 7)
        rows = dice.uniform(0, 3, size=(3, n)) * (dice.random((3, n)) < 0.7) * dice.choice([0.2, 1, 5], size=(3, 1))
        rows[:, 0] += 0.1
        second, first = np.sort(unit(rows[0]) * (unit(rows[1]) - unit(rows[2])))[-2:]
        if first - second > 0.001:  # one word decided
            return rows[0], rows[1], rows[2], list(WORDS[:n])


def mentions_needed(dice):
    return float(dice.uniform(0.001, 0.999)), float(dice.uniform(0.1, 5)), float(dice.random()), dice.uniform(0.05, 9)


def idf(dice):
    n = some(dice, 1, 200)
    return dice.integers(1, n + 1, size=some(dice, 1, 6)), n, str(dice.choice(["lucene", "robertson", "atire"]))


def accumulate(dice):
    n, size = some(dice, 1, 9), some(dice, 0, 14)
    return n, dice.integers(0, n, size=size), dice.uniform(0.01, 4, size=size)


def skippable(dice):
    n = some(dice, 1, 7)
    weights = dice.choice(np.arange(1, 60), size=n, replace=False) / 8
    threshold = float(np.sort(weights)[: some(dice, 0, n)].sum()) + float(dice.choice([-0.125, 0, 0.125, 1]))
    return dict(zip(dice.permutation(WORDS)[:n].tolist(), weights.tolist(), strict=True)), max(threshold, 0.0)


CODES = ("EL-5071-L", "17/204", "b-12", "3-4-5", "PH/88-a", "GX-1", "3.50", "12", "and/or", "well-known", "A-b/3", "7-")


def analyze(dice):
    pieces = dice.permutation([*words(dice, 0, 5), *dice.choice(CODES, size=some(dice, 0, 4)).tolist()]).tolist()
    return ("".join(piece + str(dice.choice([" ", " ", ", ", "! ", " (", ") "])) for piece in pieces),)


def shorten(dice):
    n = some(dice, 2, 8)
    return unit(dice.normal(size=(some(dice, 1, 5), n))), some(dice, 1, n)


def quantise(dice):
    scale = dice.choice([0.01, 1, 40], size=(some(dice, 1, 5), 1))
    return (dice.normal(size=(len(scale), some(dice, 2, 8))) * scale,)


def recall(dice):
    queries, k, width = some(dice, 1, 5), some(dice, 1, 4), some(dice, 1, 6)
    exact = np.array([dice.permutation(12)[:k] for _ in range(queries)])
    found = np.array([dice.permutation(12)[:width] for _ in range(queries)])
    for row in found:
        row[some(dice, 0, width) :] = -1
    return found, exact


def info_nce(dice):
    n = some(dice, 1, 6)
    passages = dice.integers(0, n, size=n)
    cosines = dice.uniform(-1, 1, size=(n, n))[:, passages]
    return cosines, [f"p{number}" for number in passages], float(dice.choice([0.05, 0.2, 0.5, 1.0, 1.5]))


def late_interaction(dice):
    n = some(dice, 2, 6)
    query, document = unit(dice.normal(size=(some(dice, 1, 4), n))), unit(dice.normal(size=(some(dice, 1, 7), n)))
    mask = (dice.random(len(document)) < 0.6).astype(int)
    mask[some(dice, 0, len(mask) - 1)] = 1
    return query, document, mask


def perplexity_04(dice):
    return (dice.uniform(0.0005, 1, size=some(dice, 1, 30)),)


def softmax(dice):
    logits = dice.normal(scale=float(dice.choice([0.1, 3, 400])), size=some(dice, 1, 8))
    if dice.random() < 0.2:
        logits[:-1][dice.random(len(logits) - 1) < 0.4] = -np.inf
    return logits + float(dice.choice([0, 0, -2000, 900])), float(dice.choice([0.001, 0.3, 1, 1.7, 4]))


def min_p(dice):
    logits = dice.normal(scale=float(dice.choice([0.3, 1, 3])), size=some(dice, 1, 9)) + float(dice.choice([0, -9, 9]))
    return logits, float(dice.uniform(0.01, 0.99))


def penalise(dice):
    logits = dice.normal(scale=4, size=some(dice, 1, 8))
    return logits, dice.integers(0, len(logits), size=some(dice, 0, 7)).tolist(), float(dice.uniform(1.05, 3))


def merge(dice):
    out, into, rank = some(dice, 1, 6), some(dice, 1, 6), some(dice, 1, 4)
    matrices = [dice.normal(size=shape) for shape in ((out, into), (rank, into), (out, rank))]
    return *matrices, float(dice.choice([0.5, 1, 3, 16]))


def beam_search(dice):
    """Words that lead to words of a later letter, and some that lead nowhere."""
    letters, table = "abcdefgh", {}
    for place, word in enumerate(letters[:-1]):
        after = list(letters[place + 1 :])[: some(dice, 1, 4)]
        if place == 0 or dice.random() < 0.8:
            table[word] = dict(zip(after, dice.dirichlet([0.7] * len(after)).tolist(), strict=True))
    return table, "a", some(dice, 1, 5), some(dice, 1, 4)


def rescale(dice):
    scores = dice.integers(-4, 9, size=some(dice, 0, 6)) * float(dice.choice([0.25, 1, 30]))
    return (dict(zip(PAGES, scores.tolist(), strict=False)),)


def fuse(dice):
    pieces = [f"{page}/{number}" for page in ("mill", "quay", "wall", "bell") for number in (1, 2, 3, 14, 100)]
    rankings = [dice.permutation(pieces)[: some(dice, 0, 9)].tolist() for _ in range(some(dice, 1, 5))]
    return rankings, int(dice.choice([1, 10, 60, 100]))


def within_budget(dice):
    sizes = (10 * dice.integers(1, 20, size=some(dice, 0, 8))).tolist()
    return sizes, some(dice, 1, 9) * 10, some(dice, 2, 50) * 10


def cut(dice):
    limit = some(dice, 3, 14)
    sizes = dice.integers(1, min(limit, 6) + 1, size=some(dice, 0, 10))
    return [" ".join(words(dice, size, size)) + "." for size in sizes], limit, some(dice, 0, limit - 1)


def choose(dice):
    doubts = dice.choice([0.01, 0.02, 0.1, 0.3, 0.5, 0.9, 1.0], size=some(dice, 0, 6)).tolist()
    limit = doubts[0] if doubts and dice.random() < 0.1 else float(dice.uniform(0.01, 1))
    logs = [math.log(doubt) for doubt in doubts]
    return logs, math.exp(math.log(limit))  # a doubt at the limit is at it after rounding, too


def ranking(dice):
    ranked = dice.permutation(PAGES)[: some(dice, 0, 7)].tolist()
    judged = dice.permutation([*PAGES, "engineer", "granite"])[: some(dice, 1, 9)].tolist()
    grades = dice.integers(0, 4, size=len(judged))
    grades[0] = max(grades[0], 1)
    return ranked, dict(zip(judged, grades.tolist(), strict=True)), some(dice, 1, 10)


def fair_reciprocal_rank(dice):
    n = some(dice, 1, 9)
    return (dice.integers(-2, some(dice, -1, 5), size=n) / 2).tolist(), some(dice, 0, n - 1)


def questions_needed(dice):
    return float(dice.uniform(0.02, 2)), float(dice.uniform(0.005, 0.5))


def sign_test(dice):
    chances = dice.dirichlet([1, 1, 1])
    return (dice.choice([-0.5, 0.0, 0.25], p=chances, size=some(dice, 0, 20)).tolist(),)


def best_f1(dice):
    vocabulary = ("the", "a", "an", "mill", "Mill", "road", "old", "Tomas", "Brandt", "of", "nine")
    write = lambda low: "".join(
        w + str(dice.choice([" ", " ", ", ", "! "])) for w in words(dice, low, 5, vocabulary)
    ).strip()
    return write(0), [f"{write(0)} {dice.choice(vocabulary[3:])}" for _ in range(some(dice, 1, 4))]


def perplexity_07(dice):
    texts = [-dice.exponential(1.5, size=some(dice, 0, 9)) for _ in range(some(dice, 1, 5))]
    return ([*texts, -dice.exponential(3, size=some(dice, 1, 3))],)


def answer_loss(dice):
    n, vocabulary = some(dice, 2, 9), some(dice, 2, 6)
    logits = dice.normal(scale=3, size=(n, vocabulary)) + float(dice.choice([0, 5, -20]))
    return logits, dice.integers(0, vocabulary, size=n).tolist(), some(dice, 1, n - 1)


def break_even(dice):
    millions = lambda: 1_000_000 * int(dice.choice([50, 100, 200, 400]))
    tokens = lambda: 10 * int(dice.choice([1, 3, 6, 12, 50]))
    return millions(), 1000 * some(dice, 1, 500), tokens(), millions(), tokens()


def share_right(dice):
    readings = {page: int(dice.choice([0, 1, 2, 6, 18])) for page in PAGES[: some(dice, 1, 7)]}
    pages = dice.choice(list(readings), size=some(dice, 0, 12)).tolist()
    return dice.choice([0.0, 1.0], size=len(pages)).tolist(), pages, readings


def forgetting(dice):
    n = some(dice, 0, 10)
    known, now = dice.random(2)
    return (dice.random(n) < known).tolist(), (dice.random(n) < now).tolist()


def next_token(dice):
    k, vocabulary = some(dice, 1, 5), some(dice, 1, 6)
    return dice.dirichlet([0.8] * k), dice.dirichlet([0.8] * vocabulary, size=k)


def rag_sequence(dice):
    k = some(dice, 1, 5)
    tokens = -dice.exponential(float(dice.choice([0.3, 2, 12])), size=(k, int(dice.choice([1, 2, 5, 150]))))
    return log_probabilities(dice, k), tokens - dice.choice([0, 0, 400], size=(k, 1))


def posteriors(dice):
    k = some(dice, 1, 5)
    tokens = -dice.exponential(float(dice.choice([0.3, 2])), size=(k, int(dice.choice([1, 3, 6]))))
    return log_probabilities(dice, k), tokens - dice.choice([0, 0, 900], size=(k, 1))


def gradient(dice):
    k = some(dice, 1, 5)
    tokens = -dice.exponential(1.0, size=(k, some(dice, 1, 5)))
    return dice.normal(size=k), tokens, float(dice.choice([0.1, 0.3, 1, 1.5, 3]))


def fast_decoding(dice):
    k = some(dice, 1, 5)
    said = ("Oak Lane", "the mill", "1884", "Ann Orr", "nine")
    shares = np.log(dice.dirichlet([0.8] * 6, size=k))
    answers = [{a: float(p) for a, p in zip(said, row, strict=False) if dice.random() < 0.5} for row in shares]
    return log_probabilities(dice, k).tolist(), answers


OTHER = {
    "00.contains": contains,
    "00.retrieve": retrieve,
    "00.build_prompt": build_prompt,
    "00.ask": ask,
    "00.diagnose": diagnose,
    "01.document_frequency": document_frequency,
    "01.sublinear": sublinear,
    "01.distance_from_cosine": lambda dice: (float(dice.uniform(-1, 1)),),
    "01.cosines": cosines,
    "01.weigh": weigh,
    "01.decisive_term": decisive_term,
    "02.mentions_needed": mentions_needed,
    "02.idf": idf,
    "02.accumulate": accumulate,
    "02.skippable": skippable,
    "02.analyze": analyze,
    "03.shorten": shorten,
    "03.quantise": quantise,
    "03.recall": recall,
    "03.info_nce": info_nce,
    "03.late_interaction": late_interaction,
    "04.perplexity": perplexity_04,
    "04.softmax": softmax,
    "04.min_p": min_p,
    "04.penalise": penalise,
    "04.merge": merge,
    "04.beam_search": beam_search,
    "05.rescale": rescale,
    "05.fuse": fuse,
    "05.within_budget": within_budget,
    "05.cut": cut,
    "05.choose": choose,
    "06.precision": ranking,
    "06.ndcg": ranking,
    "06.fair_reciprocal_rank": fair_reciprocal_rank,
    "06.questions_needed": questions_needed,
    "06.sign_test": sign_test,
    "06.best_f1": best_f1,
    "07.perplexity": perplexity_07,
    "07.answer_loss": answer_loss,
    "07.break_even": break_even,
    "07.share_right": share_right,
    "07.forgetting": forgetting,
    "08.next_token": next_token,
    "08.rag_sequence": rag_sequence,
    "08.posteriors": posteriors,
    "08.gradient": gradient,
    "08.fast_decoding": fast_decoding,
}


def other_inputs(exercise: Exercise, number: int = 500) -> list[tuple]:
    """Arguments that `check` does not use: most from the generator above, some from `random_case` with other seeds."""
    other = OTHER.get(exercise.name, exercise.random_case)
    generators = [other, other, exercise.random_case]
    return [generators[seed % 3](np.random.default_rng(10_000 + seed)) for seed in range(number)]
