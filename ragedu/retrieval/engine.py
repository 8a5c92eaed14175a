"""What retrievers on a search engine have in common: the engine ranks, but the terms are ours.

Every engine comes with ways of its own to split a text into terms. Two engines that disagree may then disagree about
the words only, and a language that an engine does not know it cannot search. So texts are analysed here, as for
BM25Retriever, and the engine gets the terms as tokens separated by spaces, to be taken as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from ragedu.corpus import Document
from ragedu.retrieval.base import Hits, Retriever
from ragedu.retrieval.lexical import LexicalRetriever
from ragedu.text import Analyzer

# An engine may split at white space or punctuation, fold capitals, or read signs as operators. What is left are
# small letters and digits, and letters beyond ASCII.
SPECIAL = re.compile(r"[^a-z0-9\u0080-\U0010ffff]|\s")


def as_token(term: str) -> str:
    """The term without any sign that an engine could take for more than a letter; different terms stay different.

    >>> as_token("harbour"), as_token("c++")
    ('harbour', 'c%2b%2b')
    """
    return SPECIAL.sub(lambda sign: "".join(f"%{byte:02x}" for byte in sign[0].encode()), term) or "%"


def metadata_json(document: Document) -> str:
    """The metadata as a database stores them; TypeError for what JSON has no word for."""
    try:
        return json.dumps(dict(document.metadata), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the metadata of document {document.id!r} cannot be stored as JSON ({error}): "
            "use strings, numbers, lists and dictionaries"
        ) from None


class EngineRetriever(Retriever):
    """A retriever whose index is kept by a search engine, over the terms of an analyzer of ours."""

    def __init__(self, analyzer: Callable[[str], list[str]] | None = None) -> None:
        if analyzer is not None and not callable(analyzer):
            raise TypeError(f"analyzer must be a function from text to a list of terms, not {analyzer!r}")
        self.analyzer = Analyzer() if analyzer is None else analyzer

    _terms = LexicalRetriever._terms  # the query's terms; an error for a query that has none

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents for the query, fewer when fewer share a term with it.

        Raises ValueError for a query without any word to search for (blank, or stop words only).
        """
        self._check_k(k)
        self._terms(query)
        return self.search_many([query], k)[0]

    def _tokenizer(self) -> Callable[[str], list[str]]:
        """A function from text to tokens for many texts: each distinct word is analysed once."""
        if type(self.analyzer) is not Analyzer:  # a subclass may have its own way from text to terms
            return lambda text: list(map(as_token, self.analyzer(text)))
        tokens = cache(lambda word: [as_token(term) for term in self.analyzer.terms_of_word(word)])
        return lambda text: [token for word in self.analyzer.words(text) for token in tokens(word)]

    def _analyzer_settings(self) -> dict[str, Any] | None:
        """What makes the same analyzer again; None for one that is code of the user's."""
        return self.analyzer.settings() if type(self.analyzer) is Analyzer else None

    def _saved_analyzer(self) -> dict[str, Any]:
        settings = self._analyzer_settings()
        if settings is None:
            raise ValueError(
                "an index made with an analyzer of your own cannot be saved, because code is not saved with it: "
                "use ragedu.text.Analyzer, or fit again when you need it"
            )
        return settings
