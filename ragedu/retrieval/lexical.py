"""What TF-IDF and BM25 share: terms are counted, weighted, and stored in an inverted index.

They differ in two formulas only, the weight of a term in a document and its weight in a query.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array

from ragedu.corpus import Corpus
from ragedu.retrieval.base import Explanation, Hits, check_corpus
from ragedu.retrieval.counting import count_terms
from ragedu.retrieval.inverted_index import InvertedIndex, top_k
from ragedu.retrieval.storage import check_form, check_settings, damage_told, load_index, save_index
from ragedu.retrieval.terms import TermRetriever, load_analyzer, settings_to_save


class LexicalRetriever(TermRetriever):
    """A retriever whose score is the dot product of a sparse query vector and a sparse document vector."""

    index: InvertedIndex  # once fitted

    def __init__(self, *, analyzer: Callable[[str], list[str]] | None = None) -> None:
        super().__init__(analyzer=analyzer)
        self.vocabulary: dict[str, int] = {}

    @abstractmethod
    def _document_weights(self, counts: csr_array) -> csr_array:
        """From the counts of terms to the weights of terms, both (n_documents, n_terms)."""

    @abstractmethod
    def _query_weights(self, counts: Mapping[int, int]) -> Mapping[int, float]:
        """From the counts of known terms in a query to their weights."""

    def _absent_weight(self, term: int) -> float:
        """What a term of the query adds to the score of a document without it."""
        return 0.0

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """What `__init__` needs to make the same retriever again, without the analyzer."""

    def fit(self, corpus: Corpus) -> Self:
        check_corpus(corpus)
        texts = (document.content for document in corpus)
        vocabulary, counts = count_terms(texts, self.analyzer, total=len(corpus))
        if not vocabulary:
            raise ValueError("no document has a term to index: the corpus is blank, or holds stop words only")
        self.index = InvertedIndex.from_weights(self._document_weights(counts))
        self.vocabulary = vocabulary
        self.corpus = corpus
        return self

    def query_vector(self, query: str) -> dict[str, float]:
        """The query's terms that occur in the corpus, with their weights."""
        self.check_fitted()
        terms = self.query_terms(query)
        weights = self._weigh(terms)
        return {term: weights[self.vocabulary[term]] for term in dict.fromkeys(terms) if term in self.vocabulary}

    def document_vector(self, document_id: str) -> dict[str, float]:
        """The document's terms with their weights. (Looks into every posting list: for lessons, not for searching.)"""
        position = self.corpus.position(document_id)
        weights = {term: self.index.weight(number, position) for term, number in self.vocabulary.items()}
        return {term: weight for term, weight in weights.items() if weight}

    def scores(self, query: str) -> np.ndarray:
        self.check_fitted()
        weights = self._weigh(self.query_terms(query))
        return self._with_constant(self.index.scores(weights), weights)

    def _search_terms(self, queries: Sequence[list[str]], k: int) -> list[Hits]:
        scores = self.index.zeros()
        return [self._best(self._weigh(terms), k, scores) for terms in queries]

    def _best(self, weights: Mapping[int, float], k: int, scores: np.ndarray) -> Hits:
        """The k best documents for the query {term: weight}; `scores` is overwritten."""
        positions = top_k(self.index.scores(weights, into=scores), k)
        best = self._with_constant(scores[positions], weights)
        return Hits.ranked(map(self.corpus.documents.__getitem__, positions.tolist()), best.tolist())

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each term of the query added to the document's score."""
        position = self.corpus.position(document_id)
        contributions = {}
        for term, factor in self.query_vector(query).items():
            number = self.vocabulary[term]
            contributions[term] = factor * (self.index.weight(number, position) + self._absent_weight(number))
        return Explanation(sum(contributions.values()), contributions)

    def save(self, folder: str | Path) -> None:
        self.check_fitted()
        settings = {**self._settings(), "analyzer": settings_to_save(self.analyzer)}
        arrays = {
            "starts": self.index.starts,
            "postings": self.index.documents,
            "weights": self.index.weights,
            "vocabulary": np.frombuffer("\n".join(self.vocabulary).encode(), dtype=np.uint8),
        }
        save_index(folder, type(self).__name__, settings, arrays, self.corpus)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        settings, arrays, corpus = load_index(folder, cls.__name__)
        with damage_told(folder):
            check_settings(settings, cls()._settings() | {"analyzer": {}})
            retriever = cls(**settings | {"analyzer": load_analyzer(settings["analyzer"])})
            check_form(arrays["vocabulary"].dtype == np.uint8, "a vocabulary that is no text")
            terms = arrays["vocabulary"].tobytes().decode().split("\n")
            retriever.vocabulary = {term: number for number, term in enumerate(terms)}
            check_form(len(retriever.vocabulary) == len(terms), "a term that stands in the vocabulary twice")
            check_postings(arrays["starts"], arrays["postings"], arrays["weights"], len(terms), len(corpus))
            retriever.corpus = corpus
            retriever.index = InvertedIndex(arrays["starts"], arrays["postings"], arrays["weights"], len(corpus))
        return retriever

    def _weigh(self, terms: list[str]) -> Mapping[int, float]:
        """The weights of the query's terms that are known, by their numbers in the vocabulary."""
        counts: dict[int, int] = {}
        for number in map(self.vocabulary.get, terms):
            if number is not None:
                counts[number] = counts.get(number, 0) + 1
        return self._query_weights(counts)

    def _with_constant(self, scores: np.ndarray, weights: Mapping[int, float]) -> np.ndarray:
        """Add what the query's terms give to every document; in double precision, so that rounding makes no ties."""
        constant = sum(factor * self._absent_weight(term) for term, factor in weights.items())
        return scores.astype(np.float64) + constant


def check_postings(
    starts: np.ndarray, postings: np.ndarray, weights: np.ndarray, n_terms: int, n_documents: int
) -> None:
    """Raise ValueError unless the three arrays are the posting lists of so many terms in so many documents."""
    for name, array in (("starts", starts), ("postings", postings)):
        check_form(array.dtype in (np.int32, np.int64) and array.ndim == 1, f"{name} of {array.dtype} {array.shape}")
    check_form(
        weights.dtype in (np.float32, np.float64) and weights.shape == postings.shape, "other weights than postings"
    )
    check_form(len(starts) == n_terms + 1, f"{len(starts) - 1:,} posting lists for {n_terms:,} terms")
    check_form(starts[0] == 0 and starts[-1] == len(postings), "posting lists that are not all postings")
    check_form((np.diff(starts) > 0).all(), "a posting list that is empty or ends before it begins")
    check_form(postings.min() >= 0 and postings.max() < n_documents, "a posting of a document that is not there")
    is_same_list = np.ones(len(postings), bool)
    is_same_list[starts[:-1]] = False
    check_form((np.diff(postings) > 0)[is_same_list[1:]].all(), "a posting list out of the order of the corpus")
    # Rounding may leave a weight that is 0 a trifle below it.
    check_form(np.isfinite(weights).all() and weights.min() > -1e-6, "a weight that is no number, or negative")
