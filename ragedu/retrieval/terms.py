"""What all retrievers share that compare terms, wherever the index is: the analyzer and the terms of a query."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ragedu.representation import call_repr
from ragedu.retrieval.base import Hits, Retriever, check_queries, check_query
from ragedu.text import Analyzer


class TermRetriever(Retriever):
    """A retriever that compares the terms of a query with those of the documents.

    analyzer: a function from text to terms, by default ragedu.text.Analyzer().
    """

    def __init__(self, *, analyzer: Callable[[str], list[str]] | None = None) -> None:
        if analyzer is not None and not callable(analyzer):
            raise TypeError(f"analyzer must be a function from text to a list of terms, not {analyzer!r}")
        self.analyzer: Callable[[str], list[str]] = Analyzer() if analyzer is None else analyzer

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents for the query, fewer when fewer share a term with it.

        Raises ValueError for a query without any word to search for (blank, or stop words only).
        """
        k = self._within_corpus(k)
        return self._search_terms([self.query_terms(query)], k)[0]

    def search_many(self, queries: Iterable[str], k: int = 10) -> list[Hits]:
        """The k best documents for each query; none for a query without any word to search for."""
        queries = check_queries(queries)
        k = self._within_corpus(k)
        return self._search_terms([self.analyzer(query) for query in queries], k)

    @abstractmethod
    def _search_terms(self, queries: Sequence[list[str]], k: int) -> list[Hits]:
        """The k best documents for each query, which is given by its terms; none for one without terms."""

    def query_terms(self, query: str) -> list[str]:
        """The query's terms, known to the corpus or not. Raises ValueError for a query that has none."""
        terms = self.analyzer(check_query(query))
        if not terms:
            raise ValueError(
                f"the query {query!r} has no words to search for, only stop words or signs: "
                "ask with at least one word that carries meaning"
            )
        return terms

    def __repr__(self) -> str:
        return call_repr(self, **self._repr_instead())

    def _repr_instead(self) -> dict[str, Any]:
        """Parameters for which None stands where the attribute has what None means."""
        return {"analyzer": None if self.analyzer == Analyzer() else self.analyzer}


def analyzer_settings(analyzer: Callable[[str], list[str]]) -> dict[str, Any] | None:
    """What makes the same analyzer again, as plain JSON values; None for one that is code of the user's."""
    return analyzer.settings() if type(analyzer) is Analyzer else None


def settings_to_save(analyzer: Callable[[str], list[str]]) -> dict[str, Any]:
    """What makes the analyzer of a saved index again. Raises ValueError for one that is code of the user's."""
    settings = analyzer_settings(analyzer)
    if settings is None:
        raise ValueError(
            "an index made with an analyzer of your own cannot be saved, because code is not saved with it: "
            "use ragedu.text.Analyzer, or fit again when you need it"
        )
    return settings


def load_analyzer(settings: Any) -> Analyzer:
    """The analyzer with the settings of a saved index. Raises TypeError or ValueError for settings that are none."""
    if not isinstance(settings, dict) or settings.keys() != {"stop_words", "stemmer"}:
        raise ValueError("an analyzer without its stop words or stemmer")
    if not isinstance(settings["stop_words"], list):
        raise TypeError("stop words that are no list")
    return Analyzer(**settings)
