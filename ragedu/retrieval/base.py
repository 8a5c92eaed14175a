"""What every retriever promises, and the small objects that searching returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, SupportsIndex, overload

import numpy as np

from ragedu.corpus import Corpus, Document, check_text, shorten
from ragedu.showing import columns, escape, fit, one_line, pad, table, visible

LINE = 100  # columns of a hit in a terminal, unless its id is so long that no room is left for the text


class Hit(NamedTuple):
    """One document found: its score (higher is better) and its rank (1 is best)."""

    document: Document
    score: float
    rank: int


class Hits(list[Hit]):
    """A ranked list of hits that shows itself as a table in Jupyter and in a terminal."""

    @classmethod
    def ranked(cls, documents: Iterable[Document], scores: Iterable[float]) -> Self:
        """Hits of documents that come best first, with their scores and the ranks 1, 2, …"""
        return cls(map(Hit._make, zip(documents, scores, count(1), strict=False)))  # faster than Hit(…) in a loop

    @overload
    def __getitem__(self, key: SupportsIndex) -> Hit: ...

    @overload
    def __getitem__(self, key: slice) -> Hits: ...

    def __getitem__(self, key: SupportsIndex | slice) -> Hit | Hits:
        return Hits(super().__getitem__(key)) if isinstance(key, slice) else super().__getitem__(key)

    def __repr__(self) -> str:
        if not self:
            return "no document found"
        ids = [one_line(hit.document.id) for hit in self]
        scores = written_scores(self)
        widest, longest = max(map(columns, ids)), max(map(len, scores))
        room = max(LINE - widest - longest - 9, 40)
        return "\n".join(
            f"{hit.rank:>3}  {score:>{longest}}  {pad(id, widest)}  {fit(_title_and_text(hit.document), room)}"
            for hit, score, id in zip(self, scores, ids, strict=True)
        )

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no document found</p>"
        rows = [
            [str(hit.rank), score, f"{name_of(hit)}<br>{escape(shorten(hit.document.text, 160))}"]
            for hit, score in zip(self, written_scores(self), strict=True)
        ]
        return table(["rank", "score", "document"], rows, numbers=(0, 1))


def name_of(hit: Hit) -> str:
    """A document's title, in bold, and its id, which is never broken, as HTML."""
    title = f"<b>{escape(hit.document.title)}</b> " if hit.document.title else ""
    return f"{title}<code style='white-space:nowrap'>{escape(hit.document.id)}</code>"


def written_scores(hits: Sequence[Hit]) -> list[str]:
    """The scores, all with the same number of decimals."""
    digits = decimals(hits)
    return [f"{hit.score:.{digits}f}" for hit in hits]


def decimals(hits: Sequence[Hit]) -> int:
    """How many decimals these hits' scores are written with: five where all are small, as in rank fusion."""
    return 3 if not hits or abs(hits[0].score) >= 0.1 else 5


def _title_and_text(document: Document) -> str:
    title, text = (visible(" ".join(part.split())) for part in (document.title, document.text))
    return f"{title} | {text}" if title else text


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a document got its score for a query: what each part added. The parts sum to the score."""

    score: float
    contributions: dict[str, float]

    def __repr__(self) -> str:
        shown = [(one_line(part), value) for part, value in self.contributions.items()]
        width = max((len(part) for part, _ in shown), default=0)
        parts = [f"{part:<{width}}  {value:+.4f}" for part, value in shown]
        return "\n".join([*parts, f"{'score':<{width}}  {self.score:+.4f}"])


class Searcher(Protocol):
    """Whatever searches: each retriever here, or an object of your own with this method."""

    def search(self, query: str, k: int, /) -> Hits:
        """The k best documents for the query, best first."""


class FitsAndSearches(Protocol):
    """Whatever indexes a corpus and searches it: each retriever here, or an object of your own with these methods."""

    def fit(self, corpus: Corpus, /) -> Any: ...

    def search_many(self, queries: list[str], k: int, /) -> Sequence[Hits]: ...


class Retriever(ABC):
    """Fit on a corpus once, then search it.

    Order of every result: score descending; equal scores in the order of the corpus.
    """

    _corpus: Corpus | None = None
    _how_to_fit = "call fit(corpus) or load(folder) first"

    @property
    def corpus(self) -> Corpus:
        """The documents that are searched. Raises RuntimeError before there are any."""
        if self._corpus is None:
            raise RuntimeError(f"{type(self).__name__} has no corpus yet: {self._how_to_fit}")
        return self._corpus

    @corpus.setter
    def corpus(self, corpus: Corpus) -> None:
        self._corpus = corpus

    @property
    def is_fitted(self) -> bool:
        """Whether there is a corpus to search."""
        return self._corpus is not None

    @property
    def is_external(self) -> bool:
        """Whether the documents are kept in a database file or on a server, where fitting again deletes them."""
        return False

    @abstractmethod
    def fit(self, corpus: Corpus) -> Self:
        """Index the corpus and return the retriever itself."""

    @abstractmethod
    def scores(self, query: str) -> np.ndarray:
        """The query's score for every document, in the order of the corpus: float array (n_documents,)."""

    @abstractmethod
    def explain(self, query: str, document_id: str) -> Explanation:
        """What each term of the query added to the document's score."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the index and the documents to `folder`. Saving is atomic: an index is replaced whole or not at all."""

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote."""

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents for the query, best first. Raises ValueError for a blank query."""
        return self.search_many([check_query(query)], k)[0]

    @abstractmethod
    def search_many(self, queries: Iterable[str], k: int = 10) -> list[Hits]:
        """The k best documents for each query; none for a blank one."""

    def check_fitted(self) -> None:
        """Raise RuntimeError where there is no corpus to search, or the index no longer belongs to it."""
        _ = self.corpus

    def _within_corpus(self, k: int) -> int:
        """k, no larger than the corpus: asking for more documents than there are is not a mistake."""
        k = check_k(k)
        self.check_fitted()
        return min(k, len(self.corpus))


def corpus_of(retriever: Any) -> Corpus | None:
    """The corpus of any retriever, also of one that is no Retriever; None where it has none, or is not fitted yet."""
    return getattr(retriever, "corpus", None) if getattr(retriever, "is_fitted", True) else None


# What is asked before any search.


def check_corpus(corpus: object) -> Corpus:
    """The corpus, if it is one that can be searched. Raises TypeError or ValueError (empty)."""
    if not isinstance(corpus, Corpus):
        raise TypeError(f"fit takes a Corpus, not {type(corpus).__name__}: use Corpus.from_texts([...])")
    if not len(corpus):
        raise ValueError("the corpus is empty: there is nothing to search")
    return corpus


def check_query(query: str) -> str:
    """The query, if it can be searched for. Raises TypeError or ValueError (blank, or with a NUL)."""
    if not check_text(query, "a query").strip():
        raise ValueError(f"the query {query!r} is blank: ask with at least one word")
    return query


def check_queries(queries: Iterable[str]) -> list[str]:
    """The queries as a list, blank ones among them. Raises TypeError for anything but several strings."""
    if isinstance(queries, str):
        raise TypeError("search_many takes a list of queries, not one string: use search, or put it in [ ]")
    if isinstance(queries, Mapping):
        raise TypeError("search_many takes a list of queries, not a dictionary: use list(queries.values())")
    return [check_text(query, "a query") for query in queries]


def check_k(k: int) -> int:
    """k, if it is a number of documents. Raises ValueError."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k must be a whole number of documents, at least 1, not {k!r}")
    return int(k)
