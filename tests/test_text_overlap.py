"""BLEU and ROUGE-L: hand examples, and equality with sacrebleu and rouge-score on thousands of random texts."""

from itertools import combinations
from math import exp

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from ragedu.evaluation import bleu, rouge_l
from ragedu.evaluation.overlap import longest_common_subsequence, ngrams, tokenize_13a

# Few words, so that n-grams repeat and match; pieces that the tokenizer treats in its own way.
words = st.sampled_from("the the a ferry ferry leaves at nine gull Gull 1,000 3.5 9- o'clock co-op . , ! ? ; -".split())
sentences = st.lists(words, max_size=12).map(" ".join)
odd_pieces = st.sampled_from([*"ab1 .,-&;:!?'\"@/{}[]~`\n\t<>é한$", "&amp;", "<skipped>", "-\n", "1.5", "1-"])
odd_texts = st.lists(odd_pieces, max_size=20).map("".join)
reference_lists = st.lists(sentences, min_size=1, max_size=3)

SENTENCE = BLEU(effective_order=True)
SENTENCE_UNSMOOTHED = BLEU(effective_order=True, smooth_method="none")
ROUGE = RougeScorer(["rougeL"])


def corpus_bleu(predictions, references, **options):
    """sacrebleu wants the first reference of every text, then the second of every text, …; None where there is none."""
    most = max(map(len, references))
    columns = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    return BLEU(**options).corpus_score(predictions, columns).score / 100


def test_bleu_by_hand():
    prediction, reference = "the ferry leaves the harbour at nine", "the ferry leaves at nine every day"
    # 7 tokens, 5 of them in the reference (one "the" is clipped, "harbour" is not there); of 6 pairs 3 match; of 5
    # triples 1 (the ferry leaves); of 4 runs of four none, so that count is 1/2. Both have 7 tokens: no penalty.
    by_hand = (5 / 7 * 3 / 6 * 1 / 5 * 0.5 / 4) ** (1 / 4)
    assert bleu(prediction, [reference]) == pytest.approx(by_hand)
    assert bleu(prediction, [reference], smooth=False) == 0
    # Half as long as the reference, and right so far: only the penalty, e^(1 - 8/4).
    assert bleu("the ferry leaves at", ["the ferry leaves at nine and at ten"]) == pytest.approx(exp(1 - 8 / 4))
    # Lengths that the prediction does not have are left out for a sentence, and smoothed to nothing in a corpus.
    assert bleu("nine", ["nine"]) == 1
    assert bleu(["nine"], [["nine"]]) == 0
    assert ngrams("a b a b".split(), 2) == {("a", "b"): 2, ("b", "a"): 1}


def test_the_closest_reference_sets_the_length_and_any_may_match():
    assert bleu("ferry at nine", ["a ferry at ten", "at nine"]) == pytest.approx(
        SENTENCE.sentence_score("ferry at nine", ["a ferry at ten", "at nine"]).score / 100
    )
    # 4 and 2 tokens are equally far from 3; the shorter counts, so there is no penalty: 3/3 words, 1/2 pairs, 0 -> 1/2.
    assert bleu("ferry at nine", ["a ferry at ten", "at nine"]) == pytest.approx((3 / 3 * 2 / 2 * 0.5 / 1) ** (1 / 3))


@settings(max_examples=400)
@given(st.lists(st.tuples(sentences, reference_lists), min_size=1, max_size=8))
@example([("", ["ferry"]), ("ferry", [""]), ("", [""])])
@example([("the the the the", ["the ferry the"]), ("the the the the", ["the ferry the"])])
def test_corpora_and_sentences_equal_sacrebleu(pairs):
    predictions, references = map(list, zip(*pairs, strict=True))
    for smooth, method in ((True, "exp"), (False, "none")):
        theirs = corpus_bleu(predictions, references, smooth_method=method)
        assert bleu(predictions, references, smooth=smooth) == pytest.approx(theirs, abs=1e-12)
    for prediction, of_prediction in pairs:
        for smooth, sacrebleu in ((True, SENTENCE), (False, SENTENCE_UNSMOOTHED)):
            theirs = sacrebleu.sentence_score(prediction, of_prediction).score / 100
            assert bleu(prediction, of_prediction, smooth=smooth) == pytest.approx(theirs, abs=1e-12)


@settings(max_examples=500)
@given(odd_texts)
def test_the_tokenizer_is_sacrebleus(text):
    assert " ".join(tokenize_13a(text)) == Tokenizer13a()(text.rstrip())


@settings(max_examples=500)
@given(sentences, reference_lists)
def test_rouge_l_equals_rouge_score(prediction, references):
    theirs = ROUGE.score_multi(references, prediction)["rougeL"].fmeasure
    assert rouge_l(prediction, references) == pytest.approx(theirs, abs=1e-12)


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_the_longest_common_subsequence_is_the_longest(a, b):
    subsequences = {choice for n in range(len(b) + 1) for choice in combinations(b, n)}
    longest = max(n for n in range(len(a) + 1) if any(choice in subsequences for choice in combinations(a, n)))
    assert longest_common_subsequence(a, b) == longest_common_subsequence(b, a) == longest


def test_rouge_l_by_hand():
    # the ferry … at nine: 4 of 6 words in order, 4 of 5 of the reference: 2 * 4 / 11.
    assert rouge_l("the old ferry leaves at nine", ["The ferry at nine sharp."]) == pytest.approx(8 / 11)
    assert rouge_l("nine at", ["at nine"]) == 0.5  # order counts
    assert rouge_l("", ["nine"]) == rouge_l("...", ["nine"]) == 0
    assert rouge_l("ten", ["nine", "ten o'clock"]) == pytest.approx(2 / 4)  # o and clock are two words
    assert rouge_l("Not in the sources.", []) == 1 and rouge_l("nine", []) == 0


def test_rouge_l_reads_korean_which_the_common_package_does_not():
    text = "여객선은 아홉 시에 떠난다"
    assert rouge_l(text, [text]) == 1
    assert ROUGE.score(text, text)["rougeL"].fmeasure == 0


@pytest.mark.parametrize(
    "word, other",
    [
        ("दिन", "दान"),
        ("กิน", "กัน"),
        ("ກິນ", "ກັນ"),
        ("ទឹក", "ទូក"),
        ("မီး", "မူး"),
        ("தினம்", "தானம்"),
        ("שָׁלוֹם", "שִׁלוֹם"),
        ("𑄌𑄋𑄴", "𑄌𑄋"),
    ],
)
def test_vowel_signs_belong_to_words(word, other):
    assert rouge_l(word, [other]) == 0
    assert rouge_l(word, [word]) == 1
    assert rouge_l(f"one {word}", [f"one {other}"]) == 0.5


@given(sentences, reference_lists, sentences)
def test_scores_lie_between_0_and_1_and_another_reference_never_hurts_rouge(prediction, references, more):
    assert 0 <= bleu(prediction, references) <= 1 + 1e-12
    assert 0 <= rouge_l(prediction, references) <= rouge_l(prediction, [*references, more]) <= 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bleu([], []), ValueError, "0 predictions"),
        (lambda: bleu(["a", "b"], [["a"]]), ValueError, "2 predictions and 1 lists of references"),
        (lambda: bleu("a", []), ValueError, "no reference"),
        (lambda: bleu("a", "a"), TypeError, r"list of strings, not one string: put 'a' in \[ \]"),
        (lambda: bleu(["a"], ["a"]), TypeError, "not one string"),
        (lambda: bleu([None], [["a"]]), TypeError, "must be a string, not NoneType"),
        (lambda: rouge_l("a", "a"), TypeError, "not one string"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
