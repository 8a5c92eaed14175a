"""What every retriever promises, and the small objects that searching returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from ragedu.corpus import Corpus, Document, check_text, shorten


class Hit(NamedTuple):
    """One document found: its score (higher is better) and its rank (1 is best)."""

    document: Document
    score: float
    rank: int


class Hits(list[Hit]):
    """A ranked list of hits that shows itself as a table in Jupyter and in a terminal."""

    def __getitem__(self, key):
        return Hits(super().__getitem__(key)) if isinstance(key, slice) else super().__getitem__(key)

    def __repr__(self) -> str:
        if not self:
            return "no document found"
        return "\n".join(
            f"{hit.rank:>3}  {hit.score:7.3f}  {hit.document.id}  {shorten(hit.document.content, 80)}" for hit in self
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{hit.rank}</td><td>{hit.score:.3f}</td><td><code>{escape(hit.document.id)}</code></td>"
            f"<td style='text-align:left'>{escape(shorten(hit.document.content, 160))}</td></tr>"
            for hit in self
        )
        header = "<tr><th>rank</th><th>score</th><th>id</th><th>document</th></tr>"
        return f"<table>{header}{rows}</table>" if self else "<p>no document found</p>"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a document got its score for a query: what each part added. The parts sum to the score."""

    score: float
    contributions: dict[str, float]

    def __repr__(self) -> str:
        width = max((len(part) for part in self.contributions), default=0)
        parts = [f"{part:<{width}}  {value:+.4f}" for part, value in self.contributions.items()]
        return "\n".join([*parts, f"{'score':<{width}}  {self.score:+.4f}"])


class Retriever(ABC):
    """Fit on a corpus once, then search it.

    Order of every result: score descending; equal scores in the order of the corpus.
    """

    corpus: Corpus | None = None

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
        """Write the index and the documents to `folder`; an index that was there stays whole until this is done."""

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote."""

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents for the query, best first. Raises ValueError for a blank query."""
        return self.search_many([self._check_query(query)], k)[0]

    @abstractmethod
    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Hits]:
        """The k best documents for each query; none for a blank one."""

    # What subclasses share: the questions that must be asked before any search.

    def _check_corpus(self, corpus: Corpus) -> Corpus:
        if not isinstance(corpus, Corpus):
            raise TypeError(f"fit takes a Corpus, not {type(corpus).__name__}: use Corpus.from_texts([...])")
        if not len(corpus):
            raise ValueError("the corpus is empty: there is nothing to search")
        return corpus

    def _check_query(self, query: str) -> str:
        if not check_text(query, "a query").strip():
            raise ValueError(f"the query {query!r} is blank: ask with at least one word")
        return query

    def _check_queries(self, queries: Sequence[str]) -> list[str]:
        if isinstance(queries, str):
            raise TypeError("search_many takes a list of queries, not one string: use search, or put it in [ ]")
        if isinstance(queries, Mapping):
            raise TypeError("search_many takes a list of queries, not a dictionary: use list(queries.values())")
        return [check_text(query, "a query") for query in queries]

    def _check_fitted(self) -> None:
        if self.corpus is None:
            raise RuntimeError(f"{type(self).__name__} has no corpus yet: call fit(corpus) or load(folder) first")

    def _check_k(self, k: int) -> int:
        """k, no larger than the corpus: asking for more documents than there are is no mistake."""
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise ValueError(f"k must be a whole number of documents, at least 1, not {k!r}")
        self._check_fitted()
        return min(int(k), len(self.corpus))
