"""Answer metrics: hand examples, the official script's rules, and what must always hold."""

import re
import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragedu.evaluation.answers import (
    abstention_scores,
    answer_scores,
    exact_match,
    f1,
    is_abstention,
    normalise,
)
from ragedu.generation.prompts import ABSTAIN

words = st.text(st.sampled_from("ab the an.,é'-1 "), max_size=24)


def official_tokens(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def official_f1(a_gold, a_pred):
    """The formula as SQuAD 2.0's script writes it: precision and recall first, then their harmonic mean."""
    gold, predicted = official_tokens(a_gold), official_tokens(a_pred)
    if not gold or not predicted:
        return int(gold == predicted)
    same = sum((Counter(gold) & Counter(predicted)).values())
    if not same:
        return 0
    precision, recall = same / len(predicted), same / len(gold)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Crimson Herring.", "crimson herring"),
        ("an  apple a day", "apple day"),
        ("Anthem of the theatre", "anthem of theatre"),  # articles are words, not beginnings of words
        ("co-operate, U.S.", "cooperate us"),
        ("‘Łódź’ 3.14", "‘łódź’ 314"),  # only ASCII punctuation goes, as in the official script
        ("the", ""),
    ],
)
def test_normalise(text, expected):
    assert normalise(text) == expected


def test_vowel_signs_and_accents_belong_to_words():
    assert normalise("a\u0308pfel a a\u0300 an\u0303o the") == "a\u0308pfel a\u0300 an\u0303o"
    for word, other in [("दिन", "दान"), ("กิน", "กัน"), ("a\u0300", "u\u0300"), ("a\u0300", "a")]:
        assert exact_match(word, [word]) == f1(word, [word]) == 1
        assert exact_match(word, [other]) == f1(word, [other]) == 0


def test_worked_example():
    # "in the old mill" -> in old mill (3 words), "the mill" -> mill (1): shared 1, F1 = 2*1/(3+1)
    assert f1("in the old mill", ["the mill"]) == 0.5
    assert exact_match("in the old mill", ["the mill"]) == 0
    assert exact_match("Mill!", ["the old mill", "the mill"]) == 1
    assert f1("old mill", ["the mill", "old mill house"]) == pytest.approx(0.8)  # the better of 2/3 and 4/5
    assert f1("no no no", ["no no"]) == pytest.approx(0.8)  # shared twice, not three times


def test_scores_are_means_and_a_missing_prediction_counts_zero():
    answers = {"1": ["Ada Quill"], "2": ["1887", "in 1887"], "3": [], "4": ["oak"], "5": []}
    predictions = {"1": "ada quill", "2": "the year 1887", "3": ABSTAIN, "4": ABSTAIN, "other": "ignored"}
    scores = answer_scores(predictions, answers)
    assert scores == {"exact_match": pytest.approx(2 / 5), "f1": pytest.approx((1 + 2 / 3 + 1) / 5)}
    assert abstention_scores(predictions, answers) == {"precision": 0.5, "recall": 0.5, "f1": 0.5}


def test_unanswerable_questions_want_an_abstention():
    for text in ("", " ", ABSTAIN, "not in the sources", "NOT IN SOURCES!"):
        assert is_abstention(text) and exact_match(text, []) == f1(text, []) == 1
    for text in ("It is not in the sources that I know", "sources", "0"):
        assert not is_abstention(text) and exact_match(text, []) == f1(text, []) == 0
    assert exact_match("", ["the"]) == 1  # an answer of articles alone is none, as in the official script


def test_abstaining_everywhere_or_nowhere():
    answers = {"1": ["a b"], "2": [], "3": ["c"]}
    everywhere = abstention_scores(dict.fromkeys(answers, ABSTAIN), answers)
    assert everywhere == {"precision": pytest.approx(1 / 3), "recall": 1, "f1": 0.5}
    assert abstention_scores(dict.fromkeys(answers, "c"), answers) == {"precision": 0, "recall": 0, "f1": 0}


def test_bad_input():
    with pytest.raises(ValueError, match="no question to score"):
        answer_scores({}, {})
    with pytest.raises(TypeError, match=r"list of acceptable answers, not one string: put 'oak' in \[ \]"):
        answer_scores({"1": "oak"}, {"1": "oak"})
    with pytest.raises(TypeError, match="must be a string, not NoneType"):
        exact_match(None, ["oak"])


@settings(max_examples=300)
@given(st.lists(st.tuples(words, st.lists(words, max_size=3)), min_size=5, max_size=8))
def test_both_scores_are_those_of_the_official_script(pairs):
    """Duplicate answers, answers of articles alone, empty predictions: whatever comes."""
    for prediction, answers in pairs:
        # The script drops gold answers that normalise to nothing; if none is left, "" is the one right answer.
        golds = [answer for answer in answers if official_tokens(answer)] or [""]
        if official_tokens(prediction) != official_tokens(ABSTAIN):  # ragedu's own way to say nothing
            assert exact_match(prediction, answers) == max(
                " ".join(official_tokens(gold)) == " ".join(official_tokens(prediction)) for gold in golds
            )
            assert f1(prediction, answers) == pytest.approx(max(official_f1(gold, prediction) for gold in golds))


@given(words, words)
def test_f1_is_the_official_one_and_symmetric(one, other):
    if normalise(other):
        assert f1(one, [other]) == pytest.approx(official_f1(other, one))
    if normalise(one) and normalise(other):
        assert f1(one, [other]) == f1(other, [one])


@given(words, st.lists(words, max_size=4))
def test_exact_match_is_where_f1_is_one_or_word_order_alone_differs(prediction, answers):
    em, score = exact_match(prediction, answers), f1(prediction, answers)
    assert 0 <= em <= score <= 1
    if score == 1 and any(map(normalise, answers)):
        assert any(sorted(normalise(prediction).split()) == sorted(normalise(a).split()) for a in answers)


@given(words, st.lists(words, min_size=1, max_size=3), words)
def test_another_acceptable_answer_never_hurts(prediction, answers, more):
    if any(map(normalise, answers)):
        assert f1(prediction, [*answers, more]) >= f1(prediction, answers)
        assert exact_match(prediction, [*answers, more]) >= exact_match(prediction, answers)


@given(words)
def test_normalise_is_idempotent_after_articles_are_gone(text):
    once = normalise(text)
    assert normalise(once) == once


def test_predictions_for_other_questions_do_not_pass_as_wrong_answers():
    with pytest.raises(ValueError, match="look like 1, those of the answers like '1'"):
        answer_scores({1: "red"}, {"1": ["red"]})
