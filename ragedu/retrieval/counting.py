"""Count the terms of many texts: the matrix that every lexical retriever starts from."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

import numpy as np
from scipy.sparse import csr_array
from tqdm.auto import tqdm

from ragedu.text import Analyzer

PROGRESS_FROM_TEXTS = 20_000  # fewer are counted before a progress bar would be read


class Numbering(dict):
    """Gives every new key the next number: 0, 1, 2, … in order of first appearance."""

    def __missing__(self, key: str) -> int:
        number = self[key] = len(self)
        return number


def count_terms(
    texts: Iterable[str], analyzer: Callable[[str], list[str]], *, total: int | None = None
) -> tuple[dict[str, int], csr_array]:
    """How often each term occurs in each text.

    Returns the vocabulary {term: column} and the counts, a sparse float array (n_texts, n_terms). `total`, the
    number of texts, is for the progress bar only.
    """
    if type(analyzer) is not Analyzer:  # a subclass may have its own way from text to terms
        return _count(texts, analyzer, total)
    # A text is long, its vocabulary is short: stop words and stems are looked up once for each distinct word,
    # as a matrix (n_words, n_terms) that turns counts of words into counts of terms.
    words, counts = _count(texts, analyzer.words, total)
    vocabulary, terms_of_words = _terms_of_words(words, analyzer)
    return vocabulary, counts @ terms_of_words


def _count(
    texts: Iterable[str], split: Callable[[str], list[str]], total: int | None
) -> tuple[dict[str, int], csr_array]:
    """How often each part that `split` cuts a text into occurs in each text."""
    parts, numbers, ends = Numbering(), array("i"), array("q", [0])
    quiet = total is None or total < PROGRESS_FROM_TEXTS
    for text in tqdm(texts, desc="counting terms", total=total, unit=" texts", disable=quiet):
        numbers.extend(map(parts.__getitem__, split(text)))
        ends.append(len(numbers))
    columns = np.frombuffer(numbers, dtype=np.int32) if numbers else np.empty(0, np.int32)
    ones = np.ones(len(columns), dtype=np.float32)
    counts = csr_array((ones, columns, np.frombuffer(ends, dtype=np.int64)), shape=(len(ends) - 1, len(parts)))
    counts.sum_duplicates()
    return dict(parts), counts


def _terms_of_words(words: Iterable[str], analyzer: Analyzer) -> tuple[dict[str, int], csr_array]:
    """The vocabulary {term: column}, and how often each word stands for each term: an array (n_words, n_terms)."""
    vocabulary, ends = Numbering(), [0]
    columns: list[int] = []
    for word in words:
        columns.extend(vocabulary[term] for term in analyzer.terms_of_word(word))
        ends.append(len(columns))
    ones = np.ones(len(columns), dtype=np.float32)
    return dict(vocabulary), csr_array((ones, columns, ends), shape=(len(ends) - 1, len(vocabulary)))
