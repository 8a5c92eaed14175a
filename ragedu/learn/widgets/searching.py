"""Search explorer: one query, several retrievers side by side, and what each matched term contributed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from ipywidgets import Layout, Text

from ragedu.learn.widgets.marks import excerpt, mark_words, stands_for
from ragedu.learn.widgets.panel import Panel, sentence
from ragedu.retrieval.base import Hit, Hits, Retriever, decimals, name_of
from ragedu.retrieval.lexical import LexicalRetriever
from ragedu.showing import escape, table
from ragedu.text import WORD

MAX_TERMS = 6  # contributions shown of one document; the rest is summed up


def search_explorer(retrievers: Mapping[str, Retriever], *, query: str = "", k: int = 5) -> Panel:
    """Type a query and see the k best documents of each retriever in a column of its own.

    Below each document stands what `retriever.explain` says that each term, word piece or part added to its score.
    Matched words are bold and underlined in the text. A document that no other column has is marked "only here".
    Words of the query that no document has are named, as far as a retriever keeps a vocabulary.
    `retrievers` is {name: fitted retriever}:

        search_explorer({"TF-IDF": tfidf, "BM25": bm25}, query="the old ferry")
    """
    if not isinstance(retrievers, Mapping) or not retrievers:
        raise TypeError('search_explorer takes {name: retriever}, as in {"BM25": bm25}')
    box = Text(query, description="query", placeholder="type, then press Enter", continuous_update=False)
    box.layout = Layout(width="95%")
    return Panel({"query": box}, lambda query: side_by_side(retrievers, query, k=k))


def side_by_side(retrievers: Mapping[str, Retriever], query: str, *, k: int = 5) -> str:
    """The k best documents of each retriever as HTML: a row for each rank, a column for each retriever."""
    if not query.strip():
        return "<p>Type a query and press Enter.</p>"
    columns: list[list[str]] = []
    remarks: list[str] = []
    found, failed = _search(retrievers, query, k)
    for name, hits in found.items():
        elsewhere = _elsewhere(found, name)
        columns.append([_cell(retrievers[name], query, hit, elsewhere, decimals(hits)) for hit in hits])
        remarks.append(_remark(hits, failed.get(name)))
    rows = [["", *remarks]] if any(remarks) else []
    for number, cells in enumerate(zip_longest(*columns, fillvalue=""), start=1):
        rows.append([str(number), *cells])
    return _about_unknown(retrievers, query) + table(["rank", *map(escape, found)], rows, numbers=(0,))


def _about_unknown(retrievers: Mapping[str, Retriever], query: str) -> str:
    words = unknown_words(retrievers.values(), query)
    if not words:
        return ""
    listed = ", ".join(f"<b>{escape(word)}</b>" for word in words)
    return f"<p>No document has {'this word' if len(words) == 1 else 'these words'}: {listed}</p>"


def unknown_words(retrievers: Iterable[Retriever], query: str) -> list[str]:
    """The query's words that are in no vocabulary of these retrievers; words that all of them leave out aside."""
    lexical = [part for retriever in retrievers for part in _lexical_parts(retriever)]

    def terms(word: str) -> list[bool]:
        """Whether each of the word's terms is known."""
        return [term in retriever.vocabulary for retriever in lexical for term in retriever.analyzer(word)]

    words = dict.fromkeys(word[0] for word in WORD.finditer(query))
    return [word for word in words if (known := terms(word)) and not any(known)]


def _lexical_parts(retriever: Retriever) -> list[LexicalRetriever]:
    """The retriever, or the parts of a hybrid one, as far as they are fitted and have a vocabulary."""
    parts = getattr(retriever, "retrievers", [retriever])
    return [part for part in parts if isinstance(part, LexicalRetriever) and part.is_fitted]


def _search(retrievers: Mapping[str, Retriever], query: str, k: int) -> tuple[dict[str, Hits], dict[str, str]]:
    """What each retriever found, and what went wrong: one that fails leaves the others their columns."""
    found, failed = {}, {}
    for name, retriever in retrievers.items():
        try:
            found[name] = retriever.search(query, k)
        except Exception as error:
            found[name], failed[name] = Hits(), sentence(error)
    return found, failed


def _remark(hits: Hits, failure: str | None) -> str:
    """Why a column is empty, as HTML; nothing for one that is not."""
    if failure is not None:
        return f"⚠ {escape(failure)}"
    return "" if hits else "no document found"


def _elsewhere(found: Mapping[str, Hits], name: str) -> set[str] | None:
    """The documents in the other columns; None when there is no other column."""
    others = [hits for other, hits in found.items() if other != name]
    return {hit.document.id for hits in others for hit in hits} if others else None


def _cell(retriever: Retriever, query: str, hit: Hit, elsewhere: set[str] | None, digits: int) -> str:
    contributions = retriever.explain(query, hit.document.id).contributions
    added = {part: value for part, value in contributions.items() if abs(value) >= 0.000005}
    analyzer = getattr(retriever, "analyzer", None)
    matched = stands_for(analyzer, added) if analyzer else _no_word
    text = mark_words(excerpt(hit.document.text, matched, 160), matched)
    only = " · <em>only here</em>" if elsewhere is not None and hit.document.id not in elsewhere else ""
    score = f"{hit.score:.{digits}f} = {sum_of(added, digits=digits)}"
    # A column beside one with a long id keeps room for its text.
    return f"<div style='min-width:11em'>{name_of(hit)}{only}<br>{text}<br>{score}</div>"


def _no_word(word: str) -> bool:
    """What a retriever without an analyzer marks."""
    return False


def sum_of(added: Mapping[str, float], *, digits: int = 3, most: int = MAX_TERMS) -> str:
    """{"ferri": 1.2, "quay": 0.5} as "ferri 1.200 + quay 0.500"; the largest first, the smallest summed up."""
    largest = sorted(added.items(), key=lambda part: -abs(part[1]))
    parts = [f"<code>{escape(part)}</code> {value:.{digits}f}" for part, value in largest[:most]]
    if rest := largest[most:]:
        parts.append(f"{len(rest)} more {sum(value for _, value in rest):.{digits}f}")
    return " + ".join(parts) or "0"
