"""The exercises of lesson 06, evaluation."""

from __future__ import annotations

import math

import numpy as np

from ragedu import evaluation
from ragedu.evaluation import answers as answer_metrics
from ragedu.learn.exercise import Exercise

PAGES = ("wall", "storm", "ferry", "choir", "crane", "bell")


def _ranking(dice):
    """(ranked, judgments, k), sometimes with fewer pages than k, always with something relevant."""
    ranked = dice.permutation(PAGES)[: int(dice.integers(2, 7))].tolist()
    judged = dice.permutation([*PAGES, "engineer", "granite"])[:5].tolist()
    grades = dice.integers(0, 4, size=5)
    grades[int(dice.integers(5))] = 3
    return ranked, dict(zip(judged, grades.tolist(), strict=True)), int(dice.integers(1, 6))


# Warm-up: what counts, and what it is divided by.


def precision(ranked, judgments, k):
    return evaluation.precision_at_k(ranked, judgments, k)


precision_at_k = Exercise(
    name="06.precision",
    title="A list that ends too soon",
    minutes=5,
    reference=precision,
    cases=[
        (["wall", "bell"], {"wall": 3}, 2),
        (["wall"], {"wall": 3, "storm": 2}, 5),
        (["wall", "choir", "storm"], {"wall": 1, "choir": 0, "storm": 2}, 2),
        ([], {"wall": 1}, 3),
    ],
    random_case=_ranking,
    mistakes={
        "This divides by the number of pages returned. A list with one right page and nothing else would be perfect.": (
            lambda ranked, judgments, k: (
                sum(judgments.get(page, 0) > 0 for page in ranked[:k]) / max(1, len(ranked[:k]))
            )
        ),
        "A page that was judged counts here as relevant, even when its grade is 0.": (
            lambda ranked, judgments, k: sum(page in judgments for page in ranked[:k]) / k
        ),
        "The grades are added up. Precision asks only whether a page is relevant or not.": (
            lambda ranked, judgments, k: sum(judgments.get(page, 0) for page in ranked[:k]) / k
        ),
        "This is recall: it divides by the number of relevant pages.": (
            lambda ranked, judgments, k: evaluation.recall_at_k(ranked, judgments, k)
        ),
        "One page too many is looked at: ranked[:k] has k of them.": (
            lambda ranked, judgments, k: sum(judgments.get(page, 0) > 0 for page in ranked[: k + 1]) / k
        ),
        "All pages of the list are looked at, and not the first k only.": (
            lambda ranked, judgments, k: sum(judgments.get(page, 0) > 0 for page in ranked) / k
        ),
    },
    hints=(
        "Two questions: which pages are counted, and what is their number divided by?",
        "judgments.get(page, 0) is the grade of a page, and 0 for a page that nobody judged.",
        "The places are k, whether they are filled or not.",
    ),
)


# The other nDCG.


def ndcg(ranked, judgments, k):
    return evaluation.ndcg(ranked, judgments, k=k, gain="exponential")


def _ndcg(gain=lambda grade: 2.0**grade - 1, discount=lambda rank: math.log2(rank + 1), ideal=None):
    """nDCG with something changed."""

    def changed(ranked, judgments, k):
        dcg = lambda grades: sum(gain(grade) / discount(rank) for rank, grade in enumerate(grades, start=1))
        best = ideal(ranked, judgments, k) if ideal else sorted(judgments.values(), reverse=True)[:k]
        return dcg([judgments.get(page, 0) for page in ranked[:k]]) / (dcg(best) or 1)

    return changed


def _found(ranked, judgments, k):
    return sorted((judgments.get(page, 0) for page in ranked[:k]), reverse=True)


other_ndcg = Exercise(
    name="06.ndcg",
    title="The other nDCG",
    minutes=12,
    reference=ndcg,
    cases=[
        (["wall", "storm"], {"wall": 3, "storm": 1}, 2),
        (["storm", "wall"], {"wall": 3, "storm": 1}, 2),
        (["storm"], {"storm": 1, "engineer": 3}, 10),
        (["wall", "storm", "bell"], {"wall": 1, "storm": 2, "bell": 3, "engineer": 3}, 2),
    ],
    random_case=_ranking,
    mistakes={
        "The gain is the grade itself, as in the lesson. Here it is 2 to the power of the grade, minus 1.": (
            _ndcg(gain=lambda grade: grade)
        ),
        "The 1 is missing in the gain: a page of grade 0 would gain 2 to the power of 0, which is 1.": (
            _ndcg(gain=lambda grade: 2.0**grade)
        ),
        "The best ranking is made of the pages that were found. It has all judged pages, so that a miss costs.": (
            _ndcg(ideal=_found)
        ),
        "The best ranking is not cut at k: nobody could put more than k pages into k places.": (
            _ndcg(ideal=lambda ranked, judgments, k: sorted(judgments.values(), reverse=True))
        ),
        "The discount of rank r is log2(r + 1), so that the first place is divided by 1; here it is one place off.": (
            _ndcg(discount=lambda rank: math.log2(rank + 2))
        ),
        "Each gain is divided by its rank; the discount is the logarithm of rank + 1.": _ndcg(
            discount=lambda rank: rank
        ),
        "This is DCG: it has not been divided by the DCG of the best ranking.": (
            lambda ranked, judgments, k: evaluation.dcg(2.0 ** judgments.get(page, 0) - 1 for page in ranked[:k])
        ),
    },
    hints=(
        "Write dcg(grades) first, for a list of grades in the order of the ranking. You need it twice.",
        "The best list is sorted(judgments.values(), reverse=True), of which k places are filled.",
        "enumerate(grades, start=1) gives the ranks; what stands at rank r is divided by log2(r + 1).",
    ),
)


# Ties, fairly.


def fair_reciprocal_rank(scores, relevant):
    above, equal = _above_and_equal(scores, relevant)
    return sum(1 / (above + place) for place in range(1, equal + 1)) / equal


def _above_and_equal(scores, relevant):
    score = scores[relevant]
    return sum(other > score for other in scores), sum(other == score for other in scores)


def _one_over_mean(scores, relevant):
    above, equal = _above_and_equal(scores, relevant)
    return 1 / (above + (equal + 1) / 2)


def _lucky(scores, relevant):
    above, _ = _above_and_equal(scores, relevant)
    return 1 / (above + 1)


def _unlucky(scores, relevant):
    above, equal = _above_and_equal(scores, relevant)
    return 1 / (above + equal)


def _as_listed(scores, relevant):
    return 1 / (sorted(range(len(scores)), key=lambda n: -scores[n]).index(relevant) + 1)


def _nothing_above(scores, relevant):
    _, equal = _above_and_equal(scores, relevant)
    return sum(1 / place for place in range(1, equal + 1)) / equal


def _first_and_last(scores, relevant):
    return (_lucky(scores, relevant) + _unlucky(scores, relevant)) / 2


fair_ties = Exercise(
    name="06.fair_reciprocal_rank",
    title="Ties, fairly",
    minutes=10,
    reference=fair_reciprocal_rank,
    cases=[
        ([3.0, 2.0, 1.0], 1),
        ([1.0, 1.0], 1),
        ([1.0, 1.0, 1.0], 0),
        ([5.0, 2.0, 2.0, 0.0], 2),
    ],
    random_case=lambda dice: (dice.integers(0, 3, size=7).astype(float).tolist(), int(dice.integers(7))),
    mistakes={
        "This is one divided by the mean rank. Take the reciprocal of each possible rank, then their mean.": (
            _one_over_mean
        ),
        "This lets the relevant page come first among its equals, always. Each place among them is equally likely.": (
            _lucky
        ),
        "This lets the relevant page come last among its equals, always. Each place among them is equally likely.": (
            _unlucky
        ),
        "This takes the order of the list for the order of the ranking. Among equals chance decides.": _as_listed,
        "Pages with a higher score certainly stand before it; here they are forgotten.": _nothing_above,
        "This is the mean of the best and the worst case; the places between them count as well.": _first_and_last,
    },
    hints=(
        "How many pages certainly stand before the relevant one? How many, itself included, share its score?",
        "With a before it and m equals, it stands at one of the ranks a + 1 to a + m, each with probability 1/m.",
        "The expected value is the mean of 1 / (a + 1), 1 / (a + 2), …, 1 / (a + m).",
    ),
)


# How many questions?


def questions_needed(standard_deviation, half_width):
    return math.ceil((1.96 * standard_deviation / half_width) ** 2)


enough = Exercise(
    name="06.questions_needed",
    title="How many questions to write?",
    minutes=6,
    reference=questions_needed,
    cases=[(0.5, 0.1), (0.3, 0.02), (0.3, 0.01), (0.2, 0.5), (1.0, 1.96)],
    random_case=lambda dice: (round(dice.uniform(0.1, 0.5), 3), round(dice.uniform(0.01, 0.15), 3)),
    mistakes={
        "The square is missing: half the width costs four times the questions, not twice.": (
            lambda standard_deviation, half_width: math.ceil(1.96 * standard_deviation / half_width)
        ),
        "There are no fractions of questions: round up, so that the interval is no wider than was wanted.": (
            lambda standard_deviation, half_width: (1.96 * standard_deviation / half_width) ** 2
        ),
        "This rounds down, and the interval comes out a little wider than was wanted.": (
            lambda standard_deviation, half_width: int((1.96 * standard_deviation / half_width) ** 2)
        ),
        "This adds one even where the number is whole already: round up with math.ceil.": (
            lambda standard_deviation, half_width: int((1.96 * standard_deviation / half_width) ** 2) + 1
        ),
        "The 1.96 is missing: without it the interval holds about two thirds of what chance gives, not 95 %.": (
            lambda standard_deviation, half_width: math.ceil((standard_deviation / half_width) ** 2)
        ),
        "The half-width is how far the interval reaches to one side, and not from end to end.": (
            lambda standard_deviation, half_width: math.ceil((2 * 1.96 * standard_deviation / half_width) ** 2)
        ),
    },
    hints=(
        "Begin with the rule of thumb of the lesson: half-width = 1.96 · s / √n.",
        "Solve for √n, then for n.",
        "math.ceil rounds up to a whole number.",
    ),
)


# An exact test with wins and losses.


def sign_test(differences):
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    n = wins + losses
    as_few = sum(math.comb(n, count) for count in range(min(wins, losses) + 1))
    return min(1.0, 2 * as_few / 2**n)


def _sign_test(ties_are_losses=False, sides=2, at_most=1.0, and_this_many=1):
    """The sign test with something changed."""

    def changed(differences):
        wins = sum(d > 0 for d in differences)
        losses = len(differences) - wins if ties_are_losses else sum(d < 0 for d in differences)
        n = wins + losses
        as_few = sum(math.comb(n, count) for count in range(min(wins, losses) + and_this_many))
        return min(at_most, sides * as_few / 2**n)

    return changed


def _exactly_so_many(differences):
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return min(1.0, 2 * math.comb(wins + losses, wins) / 2 ** (wins + losses))


signs = Exercise(
    name="06.sign_test",
    title="Only count who won",
    minutes=12,
    reference=sign_test,
    cases=[
        ([0.5, 0.2, 0.1, 0.3, 0.9, 0.4],),
        ([0.5, 0.2, -0.1, 0.3, 0.9, 0.4],),
        ([-0.5, 0.0, -0.1, -0.3, 0.0, -0.2, 0.4, -0.6],),
        ([0.1, -0.1],),
        ([0.0, 0.0],),
    ],
    random_case=lambda dice: (
        dice.choice([0.0, 0.5, 0.25, -0.25, -0.5, -1.0], size=int(dice.integers(5, 16))).tolist(),
    ),
    mistakes={
        "Questions on which both systems are equal count as losses here. They say nothing: leave them out.": (
            _sign_test(ties_are_losses=True)
        ),
        "This counts one direction only. Nobody knew beforehand which system would win: take both, twice as much.": (
            _sign_test(sides=1)
        ),
        "A probability is at most 1: when wins and losses are equal, the two directions overlap.": (
            _sign_test(at_most=math.inf)
        ),
        "The split that was observed is missing: count splits as uneven as this one, it included.": (
            _sign_test(and_this_many=0)
        ),
        "This is the chance of exactly this split. A p-value adds all that are even more uneven.": _exactly_so_many,
    },
    hints=(
        "Count wins and losses; n is their sum. If the systems were equal, each would be the toss of a coin.",
        "Of the 2ⁿ ways in which n coins fall, math.comb(n, c) show heads c times.",
        "Add up math.comb(n, c) for c from 0 to the smaller of wins and losses, divide by 2ⁿ, and double it; "
        "never above 1.",
    ),
)


# Several right answers.


def best_f1(prediction, answers):
    return answer_metrics.f1(prediction, answers)


def _f1(normalise=answer_metrics.normalise, words=str.split, best=max, shared=None, combine=None):
    """The best F1 with something changed."""
    multiset = lambda a, b: sum(min(a.count(word), b.count(word)) for word in set(a))
    shared = shared or multiset

    def one(prediction, answer):
        said, wanted = words(normalise(prediction)), words(normalise(answer))
        common = shared(said, wanted)
        if not common:
            return 0.0
        return combine(common / len(said), common / len(wanted)) if combine else 2 * common / (len(said) + len(wanted))

    return lambda prediction, answers: best([one(prediction, answer) for answer in answers])


ANSWERS = ("the old mill", "Tomas Brandt", "mill mill road", "a mill", "Brandt", "old Tomas of the road")
SAID = ("In the mill!", "Tomas Brandt.", "mill mill", "the old road", "TOMAS of the Mill", "a road")

several = Exercise(
    name="06.best_f1",
    title="More than one right answer",
    minutes=10,
    reference=best_f1,
    cases=[
        ("nine", ["nine"]),
        ("in the old mill", ["the mill", "old mill in the valley"]),
        ("Mill, mill!", ["the mill"]),
        ("at noon", ["nine o'clock", "at nine"]),
        ("bread", ["fog", "tide"]),
    ],
    random_case=lambda dice: (
        str(dice.choice(SAID)),
        [str(answer) for answer in dice.choice(ANSWERS, size=3, replace=False)],
    ),
    mistakes={
        "This is the mean over the acceptable answers. One of them is enough: take the best.": _f1(best=np.mean),
        "Only the first of the acceptable answers is looked at.": _f1(best=lambda values: values[0]),
        "Case, punctuation and articles still count; normalise both texts first.": (_f1(normalise=lambda text: text)),
        "These are letters, not words: `normalise` gives a text here, so split it.": _f1(words=list),
        "A word that was said twice is credited twice, or once too seldom: share it as often as both texts have it.": (
            _f1(shared=lambda a, b: sum(word in b for word in a))
        ),
        "Sets forget how often a word occurs: share it as often as both texts have it.": (
            _f1(shared=lambda a, b: len(set(a) & set(b)))
        ),
        "This is the plain mean of precision and recall. F1 is the harmonic one: 2 · shared / (words of both).": (
            _f1(combine=lambda precision, recall: (precision + recall) / 2)
        ),
    },
    hints=(
        "Write it for one answer first, as in the lesson. Then: what to do with several?",
        "Counter(a) & Counter(b) keeps each word as often as both have it, and .total() adds up.",
        "max(…) over the acceptable answers; and where nothing is shared, F1 is 0.",
    ),
)

EXERCISES = [precision_at_k, other_ndcg, fair_ties, enough, signs, several]
