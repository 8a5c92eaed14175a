# %% [markdown] lang="en"
# # Exercises 06: Evaluation
#
# **Know first:** lesson 06.
# **Time:** 55 minutes, and as long as you like for the last one.
# **Cost to run:** a few seconds, no model, no network.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# A hint tells you a little more, three times: run `hint("06.precision")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import math
from collections import Counter

import numpy as np

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. A list that ends too soon (5 minutes)
#
# BM25 returns no page that shares no word with the question, so a list may have fewer than $k$ pages.
# And not every page that was judged was judged to be good.
# Write precision@k for such a list and such judgments.


# %%
def precision(ranked: list[str], judgments: dict[str, int], k: int) -> float:
    """The share of the first k places that hold a relevant page; a place that is not filled holds
    none.

    ranked: the pages found, best first;
    judgments: {page: grade}, relevant above 0, not judged is not relevant.
    """
    # SOLUTION precision
    return sum(judgments.get(page, 0) > 0 for page in ranked[:k]) / k
    # END


# %%
check("06.precision", precision)

# %%
hint("06.precision")  # run it again for the next

# %% [markdown] lang="en"
# ## 2. The other nDCG (12 minutes)
#
# Web search engines use another gain: not the grade, but $2^{\mathrm{grade}} - 1$.
# A page of grade 3 is then worth seven of grade
# 1. Papers call both of them nDCG and often don't say which. Write this one.


# %%
def ndcg(ranked: list[str], judgments: dict[str, int], k: int) -> float:
    """nDCG@k with the gain 2**grade - 1, from 0 to 1.

    At least one judged page has a grade above 0.
    """

    # SOLUTION ndcg
    def dcg(grades):
        ranked_grades = enumerate(grades, start=1)
        return sum((2**grade - 1) / math.log2(rank + 1) for rank, grade in ranked_grades)

    best = sorted(judgments.values(), reverse=True)
    return dcg([judgments.get(page, 0) for page in ranked[:k]]) / dcg(best[:k])
    # END


# %%
check("06.ndcg", ndcg)

# %% [markdown] lang="en"
# **A case where they disagree.**
# Does it matter?
# One system finds a fair page and a good one, the other only the best, in second place.
# The two measures disagree about which system is better:

# %%
from ragedu import evaluation

judgments = {"fair": 1, "good": 2, "best": 3}
values = {}
for gain in ("linear", "exponential"):
    first = evaluation.ndcg(["fair", "good"], judgments, k=3, gain=gain)
    second = evaluation.ndcg(["other", "best"], judgments, k=3, gain=gain)
    values[gain] = (first, second)
    print(f"{gain:<12} first system {first:.3f}, second {second:.3f}")
assert values["linear"][0] > values["linear"][1]
assert values["exponential"][0] < values["exponential"][1]

# %% [markdown] lang="en"
# ## 3. Ties, fairly (10 minutes)
#
# A retriever gave several pages the same score, and the relevant one is among them.
# The lesson's tools take one order or another.
# A fair value is the **expected** reciprocal rank, when chance decides among equals.


# %%
def fair_reciprocal_rank(scores: list[float], relevant: int) -> float:
    """The mean reciprocal rank over all orders that pages of equal score can have.

    scores: of each page, higher is better; relevant: the position of the only relevant page.
    """
    # SOLUTION fair_reciprocal_rank
    above = sum(score > scores[relevant] for score in scores)
    equal = sum(score == scores[relevant] for score in scores)
    return sum(1 / (above + place) for place in range(1, equal + 1)) / equal
    # END


# %%
check("06.fair_reciprocal_rank", fair_reciprocal_rank)

# %% [markdown] lang="en"
# ## 4. How many questions to write? (6 minutes)
#
# You plan a test and want a 95 % interval that reaches no further than 0.02 to either side of the mean.
# From a trial you know the standard deviation over questions.
# Invert the lesson's rule of thumb, $1.96\,s/\sqrt{n}$: how many questions must you write?


# %%
def questions_needed(standard_deviation: float, half_width: float) -> int:
    """The smallest number of questions whose interval is at most `half_width` to either side."""
    # SOLUTION questions_needed
    return math.ceil((1.96 * standard_deviation / half_width) ** 2)
    # END


# %%
check("06.questions_needed", questions_needed)

# %% [markdown] lang="en"
# Ask it about 0.3 and 0.02, and then about 0.01.
# If the answer makes you sigh, you have understood why small gains are so seldom proven.
#
# ## 5. Only count who won (12 minutes)
#
# The lesson's test tosses coins ten thousand times.
# There is an older one that needs no computer.
# On each question one system wins, or neither does.
# Leave the draws out.
# If the systems were equal, every win would be the toss of a coin.
# How probable is a split **at least as uneven** as the observed one, in either direction?
# (The exact number: count the ways, don't toss.)


# %%
def sign_test(differences: list[float]) -> float:
    """The exact two-sided p-value of the sign test, at most 1 (and 1 when no question has a
    winner)."""
    # SOLUTION sign_test
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    as_few = sum(math.comb(wins + losses, count) for count in range(min(wins, losses) + 1))
    return min(1.0, 2 * as_few / 2 ** (wins + losses))
    # END


# %%
check("06.sign_test", sign_test)

# %% [markdown] lang="en"
# It ignores how large a difference is.
# So it is deaf to a system that wins seldom and by far, and it can't be misled by a single enormous value.
# And the least p-value that six questions can give is $2/2^6 = 1/32$: with five, no result at all would be below 0.05.
#
# ## 6. More than one right answer (10 minutes)
#
# *When does the ferry leave?* “nine”, “nine o'clock”, “at nine”: a question may have several acceptable answers.
# SQuAD's rule takes the one that fits best.
# `normalise` is given: it drops case, punctuation and articles.
# Unlike the lesson's it returns a text, so `.split()` it.

# %%
from ragedu.evaluation.answers import normalise

print(normalise("The Old Mill!"))


# %%
def best_f1(prediction: str, answers: list[str]) -> float:
    """The largest F1 that the prediction has with any of the answers, from 0 to 1.

    answers: at least one.
    """
    # SOLUTION best_f1
    said = normalise(prediction).split()
    scores = []
    for answer in answers:
        wanted = normalise(answer).split()
        shared = (Counter(said) & Counter(wanted)).total()
        scores.append(2 * shared / (len(said) + len(wanted)) if shared else 0.0)
    return max(scores)
    # END


# %%
check("06.best_f1", best_f1)

# %% [markdown] lang="en"
# ## 7. Open problem: right, wrong, and both at once (30 minutes and more)
#
# In the lesson, wrong answers that came close beat a right answer in a full sentence.
# Here are such questions from the archive, each with the right answer, the **nearest wrong** one, and **both at once**.
# The last is what a system learns to say when its measure only asks whether the right words occur.

# %%
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test
from ragedu.evaluation.answers import f1

archive = port_ellery.load(1000, questions=600)
SENTENCES = {
    "train": (
        "According to the archive it is {}.",
        "The page that I was given says: {}.",
        "{}, as far as the sources tell.",
    ),
    "test": (
        "You asked, and I believe that it must be {}.",
        "{}, if what was written there is right.",
        "From my reading: {}, though I may be wrong.",
    ),
}
JOINED = ("{} or {}", "{} and {}", "{}, {}")


# %%
def cases_of(split: str) -> list[tuple[str, str, str, str]]:
    """(wanted, wrong, both, sentence) for each answer of two words or more that another one comes
    close to."""
    questions = archive.select(split=split, kind="lookup")
    first_answers = {answers[0] for answers in questions.answers.values()}
    answers = sorted(answer for answer in first_answers if len(answer.split()) > 1)
    cases = []
    for wanted in answers:
        others = [other for other in answers if f1(other, [wanted]) < 1]
        wrong = max(others, key=lambda other: f1(other, [wanted]))
        if f1(wrong, [wanted]):
            number = len(cases)
            two = (wanted, wrong) if number % 2 else (wrong, wanted)
            both = JOINED[number // 3 % 3].format(*two)
            cases.append((wanted, wrong, both, SENTENCES[split][number % 3]))
    return cases


train, test = cases_of("train"), cases_of("test")
print(len(train), "and", len(test), "cases")
for wanted, wrong, both, sentence in train[:3]:
    print(f"right: {sentence.format(wanted)}\n    wrong: {wrong}\n    both:  {both}")

# %% [markdown] lang="en"
# Write a score that puts the right answer above the other two.
# Liking long texts would be enough if only the right one stood in a sentence, so each comparison is made the other way round as well: the right answer tersely, the other in the sentence.
# **The measure** is the share of the four comparisons that your score orders rightly on `test`, equal scores counting one half.


# %%
def ordered_rightly(score, cases) -> np.ndarray:
    """Array (n_cases, 4): 1 where the right answer is above, 1/2 where both are equal; twice the
    wrong one, twice both."""
    values = []
    for wanted, wrong, both, sentence in cases:
        for other in (wrong, both):
            for good, bad in ((sentence.format(wanted), other), (wanted, sentence.format(other))):
                good, bad = score(good, wanted), score(bad, wanted)
                values.append((good > bad) + (good == bad) / 2)
    return np.reshape(values, (-1, 4))


# %%
def contains(said: str, wanted: str) -> bool:
    return normalise(wanted) in normalise(said)


def show(name: str, ordered: np.ndarray) -> None:
    wrong, both = ordered[:, :2].mean(), ordered[:, 2:].mean()
    print(f"{name:<9} {ordered.mean():.3f} (against the wrong answer {wrong:.3f},", end=" ")
    print(f"against both at once {both:.3f})")


of_f1 = ordered_rightly(lambda said, wanted: f1(said, [wanted]), test)
baseline = ordered_rightly(contains, test)
show("F1", of_f1)
show("contains", baseline)
assert baseline.mean() > of_f1.mean() and baseline[:, :2].mean() > 0.95
assert (baseline[:, 2:] == 0.5).all()

# %% [markdown] lang="en"
# **The baseline** is the better of these two, one line long.
# Against a wrong answer it is nearly perfect, and against both at once it tosses a coin: that half is the problem.
# Try things on `train`, where other sentences are used, and use `test` once, at the end.
# The archive's pages and everything of `train` may help; a score that knows the sentences of `test`, or the words that join two answers, is no score.
# Which words *around* the right answer do no harm?


# %%
def my_score(said: str, wanted: str) -> float:
    """How right the answer `said` is, if `wanted` is the right one: any scale, higher is better."""
    # SOLUTION my_score
    answers = {word for right, wrong, *_ in train for word in normalise(f"{right} {wrong}").split()}
    said, wanted = Counter(normalise(said).split()), Counter(normalise(wanted).split())
    # More words do no harm, unless they are such as answers are made of.
    too_many = sum(word in answers for word in said - wanted)
    return (said & wanted).total() / wanted.total() - 0.1 * too_many
    # END


# %%
with when_solved():
    mine = ordered_rightly(my_score, test)
    show("yours", mine)
    gain = paired_test(mine.mean(axis=1), baseline.mean(axis=1))
    print(f"gain {gain}")
    assert gain.low > 0, "no gain that these questions can show"

# %% [markdown] lang="en"
# Does your score get on `test` what it gets on `train`?
# Try one that takes every word for a wrong answer that few pages have, and you will see what its success depends on.
# And what would a system say that is trained to please yours?
# Every measure that becomes a goal is attacked sooner or later.
