"""Retrieve, read, retrieve: for questions whose second document can only be found with what the first one says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Self

from ragedu.corpus import Corpus
from ragedu.representation import call_repr
from ragedu.retrieval.base import Hit, Hits, Retriever, check_queries, corpus_of

SENTENCE_STARTS = ("The", "At", "In", "It")  # words with a capital that begin no name


@cache
def _name_pattern(titles: tuple[str, ...]) -> re.Pattern[str]:
    """Two or more capitalised words, perhaps with "of", "in" or "and" between them, or a number such as PE-9805-W."""
    excluded = "|".join(map(re.escape, (*SENTENCE_STARTS, *titles)))
    first = rf"(?!(?:{excluded})\b)[A-Z][\w'-]+"
    return re.compile(rf"{first}(?: (?:of |in |and )?[A-Z][\w'-]+)+|\b[A-Z]{{2}}[-/]\d+[-/]\w\b")


def names(text: str, *, titles: Iterable[str] = ()) -> list[str]:
    """The names in an English text, each once: as many rules as a regular expression holds, and no more.

    titles: words that come before a name and do not belong to it.

    >>> names("Captain Ann Orr lay at the Barrel in Bethel Street.", titles=["Captain"])
    ['Ann Orr', 'Barrel in Bethel Street']
    """
    found = _name_pattern(tuple(titles)).findall(text)
    return list(dict.fromkeys(name.removesuffix("'s") for name in found))


def without_names(text: str, *, titles: Iterable[str] = ()) -> str:
    """What is left of a text without its names.

    >>> without_names("Where was the captain of the Blue Drifter born?")
    'Where was the captain of the  born?'
    """
    return _name_pattern(tuple(titles)).sub("", text)


class TwoHopRetriever:
    """Search once, read the best document, and search again with the names that it adds to the question.

    "Where was the captain of the Blue Drifter born?" finds the page on the ship, which names her captain; the question
    with that name instead of the ship's finds the page on him. The best document stays first; then come those
    whose title has one of the new names, by the score of the second search; then the rest of the first search.

    It works in `RAG` and, by its run, in `evaluate_run`. The idea is that of Qi et al. 2019, *Answering Complex
    Open-domain Questions Through Iterative Query Generation*; they train a model to write the second query.

    Parameters
    ----------
    retriever
        Any retriever.
    width
        How many hits of a second search are looked at.
    titles
        Words that come before a name in this corpus and do not belong to it, such as
        `ragedu.datasets.port_ellery.TITLES`.
    """

    def __init__(self, retriever: Retriever | TwoHopRetriever, *, width: int = 4, titles: Iterable[str] = ()) -> None:
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        if isinstance(titles, str):
            raise TypeError("titles is a collection of words, not one string: use titles=[...]")
        self.retriever, self.width, self.titles = retriever, width, tuple(titles)

    @property
    def corpus(self) -> Corpus:
        return self.retriever.corpus

    @property
    def is_fitted(self) -> bool:
        return corpus_of(self.retriever) is not None

    @property
    def is_external(self) -> bool:
        """Whether the retriever keeps its documents in a database file or on a server."""
        return getattr(self.retriever, "is_external", False)

    def fit(self, corpus: Corpus) -> Self:
        self.retriever.fit(corpus)
        return self

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents. Scores are those of the search that found a document: don't compare them."""
        return self._join(query, self.retriever.search(query, k), k)

    def search_many(self, queries: Iterable[str], k: int = 10) -> list[Hits]:
        """The k best documents for each query; none for one for which the retriever finds none."""
        queries = check_queries(queries)
        found = self.retriever.search_many(queries, k)
        return [self._join(query, first, k) for query, first in zip(queries, found, strict=True)]

    def _join(self, query: str, first: Hits, k: int) -> Hits:
        """The first search's hits and those of the second, each document once."""
        second = sorted(self._second(query, first), key=lambda hit: -hit.score)
        found: dict[str, Hit] = {}
        for hit in [*first[:1], *second, *first[1:]]:
            found.setdefault(hit.document.id, hit)
        best = list(found.values())[:k]
        return Hits.ranked([hit.document for hit in best], [hit.score for hit in best])

    def _second(self, query: str, first: Hits) -> list[Hit]:
        """The hits of the second searches, one search for each name that the best document adds."""
        if not first:
            return []
        page, rest = first[0].document, without_names(query, titles=self.titles)
        new = [name for name in names(page.text, titles=self.titles) if name not in f"{query}\n{page.title}"]
        found = self.retriever.search_many([f"{name} {rest}" for name in new], self.width)
        return [hit for name, hits in zip(new, found, strict=True) for hit in hits if name in hit.document.title]

    def __repr__(self) -> str:
        return call_repr(self)
