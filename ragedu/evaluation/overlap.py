"""Metrics of overlap by hand: how much of a reference text is in a text that was generated?

BLEU was made for translations, ROUGE for summaries: texts of a sentence and more. For answers of a few words,
exact match and F1 (answers.py) say more.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from math import exp, log
from typing import Any

from ragedu.evaluation.answers import is_abstention
from ragedu.text import WORD

MAX_NGRAM = 4  # BLEU counts runs of 1, 2, 3 and 4 tokens


def bleu(
    predictions: str | Sequence[str], references: Sequence[str] | Sequence[Sequence[str]], *, smooth: bool = True
) -> float:
    """BLEU (Papineni et al. 2002), from 0 to 1: clipped n-gram precisions and a penalty for being too short.

    For one string, with a list of references: BLEU of the sentence. For a list of strings, with a list of references
    for each: BLEU of the corpus, which pools all counts before it divides; it is not the mean over sentences.

    smooth: where no n-gram of some length matches, its count of 0 becomes 1/2, at the next such length 1/4, and so on
    (Chen and Cherry 2014, method 3), unless nothing matches at all. Without it, one such length makes the whole 0.

    Equals sacrebleu's `sentence_bleu` and `corpus_bleu` / 100 with their defaults (signature
    case:mixed|tok:13a|smooth:exp; eff:yes for a sentence, which leaves out lengths that the prediction does not have;
    eff:no for a corpus). Upper and lower case differ, punctuation marks are tokens.

    Raises ValueError when there is no prediction, and for anything but one list of references for each.
    """
    if isinstance(predictions, str):
        return _bleu([predictions], [references], smooth, leave_out_missing=True)
    return _bleu(predictions, references, smooth, leave_out_missing=False)


def _bleu(predictions: Sequence[str], references: Sequence[Any], smooth: bool, leave_out_missing: bool) -> float:
    if not len(predictions) or len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions and {len(references)} lists of references: give one for each")
    matches, totals = [0] * MAX_NGRAM, [0] * MAX_NGRAM
    length = reference_length = 0
    for prediction, of_prediction in zip(predictions, references, strict=True):
        tokens = tokenize_13a(prediction)
        acceptable = [tokenize_13a(reference) for reference in _references(of_prediction)]
        length += len(tokens)
        # The reference that is closest in length, and of two the shorter.
        reference_length += min((abs(len(r) - len(tokens)), len(r)) for r in acceptable)[1]
        for n in range(1, MAX_NGRAM + 1):
            counts = ngrams(tokens, n)
            most: Counter[tuple[str, ...]] = Counter()
            for reference in acceptable:
                most |= ngrams(reference, n)
            matches[n - 1] += (counts & most).total()
            totals[n - 1] += counts.total()
    precisions = _precisions(matches, totals, smooth)
    if leave_out_missing:
        precisions = [precision for precision, total in zip(precisions, totals, strict=True) if total]
    if not any(matches) or not all(precisions):
        return 0.0
    brevity_penalty = min(1.0, exp(1 - reference_length / length))
    return brevity_penalty * exp(sum(map(log, precisions)) / len(precisions))


def _precisions(matches: Sequence[int], totals: Sequence[int], smooth: bool) -> list[float]:
    """The share of n-grams that match, for each length n."""
    precisions, halved = [], 1.0
    for matched, total in zip(matches, totals, strict=True):
        if total and not matched and smooth:
            halved /= 2
        precisions.append((matched or (halved if smooth else 0)) / total if total else 0.0)
    return precisions


def ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n tokens occurs."""
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def tokenize_13a(text: str) -> list[str]:
    """The tokens of BLEU's standard tokenizer, mteval-v13a, as in sacrebleu (Post 2018): ASCII punctuation marks are
    tokens of their own, except . and , within numbers, and apostrophes and hyphens within words."""
    if not isinstance(text, str):
        raise TypeError(f"a text must be a string, not {type(text).__name__}: {text!r:.60}")
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, character in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(name, character)
    text = re.sub(r"([{-~\[-` -&(-+:-@/])", r" \1 ", f" {text} ")
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    text = re.sub(r"([0-9])(-)", r"\1 \2 ", text)
    return text.split()


def rouge_l(prediction: str, references: Sequence[str]) -> float:
    """ROUGE-L (Lin 2004), from 0 to 1: the longest common subsequence of words, as an F-measure.

    With L the length of the longest sequence of words that occurs in both in this order, not necessarily side by side:
    precision = L / words of the prediction, recall = L / words of the reference, and the score is their harmonic
    mean, with the reference that gives the most. Without references the question is unanswerable, and the score is 1
    for an abstention, otherwise 0, as in `exact_match`; but a reference without a word counts as a reference here, and
    nothing matches it.

    Words are runs of letters and digits of any script with their vowel signs, lower-cased, not stemmed. On ASCII text
    this equals the package rouge-score, which throws every other letter away: it scores two identical texts in Korean
    0.
    """
    if isinstance(references, str):
        raise TypeError(f"references is a list of strings, not one string: put {references!r:.60} in [ ]")
    if not references:
        return float(is_abstention(prediction))
    words = _words(prediction)
    best = 0.0
    for reference in map(_words, references):
        common = longest_common_subsequence(words, reference)
        best = max(best, 2 * common / (len(words) + len(reference)) if common else 0.0)
    return best


def longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Its length, by dynamic programming, in time len(a) * len(b) and with one row of the table in memory."""
    row = [0] * (len(b) + 1)  # row[j]: for the words of a so far, and the first j of b
    for word in a:
        diagonal = 0
        for j, other in enumerate(b, start=1):
            above = row[j]
            row[j] = diagonal + 1 if word == other else max(above, row[j - 1])
            diagonal = above
    return row[-1]


def _words(text: str) -> list[str]:
    return WORD.findall(unicodedata.normalize("NFC", text).lower())


def _references(references: Sequence[str]) -> Sequence[str]:
    if isinstance(references, str):
        raise TypeError(f"references is a list of strings, not one string: put {references!r:.60} in [ ]")
    if not len(references):
        raise ValueError("a prediction has no reference: BLEU needs at least one text to compare with")
    return references
