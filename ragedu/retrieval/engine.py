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

from ragedu.corpus import Document
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


def tokenizer(analyzer: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """A function from text to tokens for many texts: each distinct word is analysed once."""
    if type(analyzer) is not Analyzer:  # a subclass may have its own way from text to terms
        return lambda text: [as_token(term) for term in analyzer(text)]

    @cache
    def tokens_of_word(word: str) -> list[str]:
        return [as_token(term) for term in analyzer.terms_of_word(word)]

    def tokens(text: str) -> list[str]:
        return [token for word in analyzer.words(text) for token in tokens_of_word(word)]

    return tokens


def metadata_json(document: Document) -> str:
    """The metadata as a database stores them. Raises TypeError for what JSON has no word for."""
    try:
        return json.dumps(dict(document.metadata), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the metadata of document {document.id!r} cannot be stored as JSON ({error}): "
            "use strings, numbers, lists and dictionaries"
        ) from None
