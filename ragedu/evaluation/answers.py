"""Answer metrics by hand: is this short answer the right one?

The rules are those of SQuAD's official evaluation script (Rajpurkar et al. 2016, section 6.1; Rajpurkar, Jia and Liang
2018 for questions without an answer): case, punctuation, articles and extra blanks don't count, and of several
acceptable answers the best match counts.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from ragedu.generation.prompts import ABSTAIN
from ragedu.text import MARKS

# An "a" before a mark is no article: "a\u0308" is an ä.
_ARTICLES = re.compile(rf"\b(a|an|the)\b(?![{MARKS}])")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, without punctuation (ASCII only, as SQuAD has it), articles and extra blanks.

    >>> normalise("The  Crimson Herring!")
    'crimson herring'
    """
    if not isinstance(text, str):
        raise TypeError(f"an answer must be a string, not {type(text).__name__}: {text!r:.60}")
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


def is_abstention(prediction: str) -> bool:
    """Whether a prediction gives no answer: it is empty, or says ABSTAIN (however it is capitalised or ends)."""
    return normalise(prediction) in ("", _abstain())


@cache
def _abstain() -> str:
    return normalise(ABSTAIN)


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the normalised prediction equals one of the normalised answers, otherwise 0.0.

    With no answers the question is unanswerable, and the right prediction is an abstention.
    """
    answers = _acceptable(answers)
    if not answers:
        return float(is_abstention(prediction))
    return float(any(normalise(prediction) == normalise(answer) for answer in answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """The F1 of the words that prediction and answer share, with the answer that gives the most, from 0 to 1.

    precision = shared / words of the prediction, recall = shared / words of the answer, and F1 is their harmonic
    mean, 2 * shared / (words of both). A word that occurs twice in both is shared twice. For an unanswerable
    question F1 is the same as the exact match.
    """
    answers = _acceptable(answers)
    if not answers:
        return float(is_abstention(prediction))
    return max(_shared_words(normalise(prediction).split(), normalise(answer).split()) for answer in answers)


def _shared_words(prediction: list[str], answer: list[str]) -> float:
    shared = sum((Counter(prediction) & Counter(answer)).values())
    return 2 * shared / (len(prediction) + len(answer)) if shared else 0.0


def _acceptable(answers: Sequence[str]) -> list[str]:
    """The answers without those that are nothing but articles and punctuation, as in SQuAD's script."""
    if isinstance(answers, str):
        raise TypeError(f"answers is a list of acceptable answers, not one string: put {answers!r:.60} in [ ]")
    return [answer for answer in answers if normalise(answer)]


def answer_scores(predictions: Mapping[str, str], answers: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Mean exact match and F1 over all questions that have an entry in `answers`.

    A question without a prediction counts 0, even an unanswerable one: silence is not a decision to abstain.
    Predictions for questions that `answers` lacks are ignored.

    Parameters
    ----------
    predictions
        {query id: text}.
    answers
        {query id: [acceptable answer, …]}. The list is empty where the question is unanswerable.

    Returns
    -------
    dict
        {"exact_match": 0..1, "f1": 0..1}.

    Raises
    ------
    ValueError
        When there are no questions, or none that a prediction is for.
    """
    if not answers:
        raise ValueError("answers is empty: there is no question to score")
    if predictions and not predictions.keys() & answers.keys():
        raise ValueError(
            f"no prediction is for a question of the answers: the ids of the predictions look like "
            f"{next(iter(predictions))!r}, those of the answers like {next(iter(answers))!r}"
        )
    answered = [(predictions[key], acceptable) for key, acceptable in answers.items() if key in predictions]
    return {
        "exact_match": sum(exact_match(text, acceptable) for text, acceptable in answered) / len(answers),
        "f1": sum(f1(text, acceptable) for text, acceptable in answered) / len(answers),
    }


def abstention_scores(predictions: Mapping[str, str], answers: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Does the reader abstain when it should, and only then?

    precision: the share of the abstentions that were right; recall: the share of the unanswerable questions on which it
    abstained; f1: their harmonic mean. All three are 0 when no abstention was right.
    A question without a prediction does not count as an abstention.
    """
    abstained = {key for key in answers if key in predictions and is_abstention(predictions[key])}
    unanswerable = {key for key, acceptable in answers.items() if not _acceptable(acceptable)}
    right = len(abstained & unanswerable)
    if not right:
        return {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    precision, recall = right / len(abstained), right / len(unanswerable)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}
