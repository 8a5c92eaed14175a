"""Retrieve, read, retrieve: for questions whose second document can only be found with what the first one says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

from ragedu.corpus import Corpus
from ragedu.retrieval.base import Hit, Hits, Retriever

# Two or more capitalised words, perhaps with "of", "in" or "and" between them, or a number such as PE-9805-W.
WORD = r"(?!(?:The|At|In|It|Captain)\b)[A-Z][\w'-]+"
NAME = re.compile(rf"{WORD}(?: (?:of |in |and )?[A-Z][\w'-]+)+|\b[A-Z]{{2}}[-/]\d+[-/]\w\b")


def names(text: str) -> list[str]:
    """The names in an English text, each once: as many rules as a regular expression holds, and no more."""
    return list(dict.fromkeys(name.removesuffix("'s") for name in NAME.findall(text)))


class TwoHopRetriever:
    """Search once, read the best document, and search again with the names that it adds to the question.

    "Where was the captain of the Blue Drifter born?" finds the page on the ship, which names her captain; the question
    with that name in the place of the ship's finds the page on him. The best document stays first; then come those
    whose title has one of the new names, by the score of the second search; then the rest of the first search.

    retriever: any retriever; width: how many hits of a second search are looked at. Works in `RAG` and, by its run, in
    `evaluate_run`. The idea is that of Qi et al. 2019, *Answering Complex Open-domain Questions Through Iterative Query
    Generation*; they train a model to write the second query.
    """

    def __init__(self, retriever: Retriever, width: int = 4) -> None:
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        self.retriever, self.width = retriever, width

    _check_queries = Retriever._check_queries

    @property
    def corpus(self) -> Corpus | None:
        return self.retriever.corpus

    def fit(self, corpus: Corpus) -> Self:
        self.retriever.fit(corpus)
        return self

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents. Scores are those of the search that found a document: don't compare them."""
        return self._join(query, self.retriever.search(query, k), k)

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Hits]:
        """The k best documents for each query; none for one for which the retriever finds none."""
        queries = self._check_queries(queries)
        found = self.retriever.search_many(queries, k)
        return [self._join(query, first, k) for query, first in zip(queries, found, strict=True)]

    def _join(self, query: str, first: Hits, k: int) -> Hits:
        """The first search's hits and those of the second, each document once."""
        second = sorted(self._second(query, first), key=lambda hit: -hit.score)
        found: dict[str, Hit] = {}
        for hit in [*first[:1], *second, *first[1:]]:
            found.setdefault(hit.document.id, hit)
        best = list(found.values())[:k]
        return Hits(hit._replace(rank=rank) for rank, hit in enumerate(best, start=1))

    def _second(self, query: str, first: Hits) -> list[Hit]:
        """The hits of the second searches, one search for each name that the best document adds."""
        if not first:
            return []
        page, rest = first[0].document, NAME.sub("", query)
        new = [name for name in names(page.text) if name not in f"{query}\n{page.title}"]
        found = self.retriever.search_many([f"{name} {rest}" for name in new], self.width)
        return [hit for name, hits in zip(new, found, strict=True) for hit in hits if name in hit.document.title]
