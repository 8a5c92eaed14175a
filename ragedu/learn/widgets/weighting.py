"""BM25 sliders: move k1 and b, and see the ranking and the contributions change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ipywidgets import Layout, Text

from ragedu.corpus import Corpus
from ragedu.learn.widgets.marks import bar, excerpt, mark_words, stands_for
from ragedu.learn.widgets.panel import Panel, Slider
from ragedu.retrieval.base import Hit, check_corpus, check_k, name_of
from ragedu.retrieval.bm25 import bm25_idf, bm25_term_part
from ragedu.retrieval.counting import count_terms
from ragedu.retrieval.inverted_index import top_k
from ragedu.showing import columns, escape, pad, table
from ragedu.text import Analyzer

K1, B = 1.5, 0.75  # where the sliders begin, and what ranks are compared with
ONE_LINE = "white-space:nowrap"


def bm25_sliders(corpus: Corpus, query: str, *, k: int = 5) -> Panel:
    """Sliders for k1 (0 to 5) and b (0 to 1) over the k best documents for a query, with what each term adds.

    The scores are those of BM25Retriever(k1=k1, b=b), up to rounding, which may exchange documents with equal scores.
    Each row also tells the document's rank at k1 = 1.5 and b = 0.75.
    """
    ranking = Bm25Ranking(corpus)
    box = Text(query, description="query", continuous_update=False, layout=Layout(width="95%"))
    controls = {"query": box, "k1": Slider(K1, 0, 5, "k1"), "b": Slider(B, 0, 1, "b")}
    return Panel(controls, lambda query, k1, b: ranking.html(query, k1, b, k=k))


class Bm25Ranking:
    """A corpus whose terms are counted once, and weighted again for any k1 and b."""

    def __init__(self, corpus: Corpus, *, analyzer: Callable[[str], list[str]] | None = None) -> None:
        self.corpus, self.analyzer = check_corpus(corpus), analyzer or Analyzer()
        texts = (document.content for document in corpus)
        self.vocabulary, counts = count_terms(texts, self.analyzer, total=len(corpus))
        lengths = counts.sum(axis=1)
        self.relative_lengths = lengths / max(lengths.mean(), 1e-9)  # |d| / average |d|
        self.counts = counts.tocsc()  # by columns: a query needs those of its terms only

    def contributions(self, query: str, k1: float, b: float) -> tuple[list[str], np.ndarray, np.ndarray]:
        """The query's known terms, how often each occurs in each document, and what it adds to the document's score.

        The latter two are float arrays (n_documents, n_terms).
        """
        asked = self.analyzer(query)
        terms = [term for term in dict.fromkeys(asked) if term in self.vocabulary]
        tf = self.counts[:, [self.vocabulary[term] for term in terms]].toarray()
        idf = bm25_idf((tf > 0).sum(axis=0), len(self.corpus))
        times_asked = np.array([asked.count(term) for term in terms])
        part = bm25_term_part(tf, self.relative_lengths[:, None], k1, b) if k1 else (tf > 0) * 1.0
        return terms, tf, times_asked * idf * part

    def html(self, query: str, k1: float, b: float, *, k: int = 5) -> str:
        """The k best documents as a table."""
        k = check_k(k)
        terms, tf, added = self.contributions(query, k1, b)
        if not terms:
            return "<p>No document has a word of this query: type another one and press Enter.</p>"
        order = top_k(added.sum(axis=1), k)
        before = top_k(self.contributions(query, K1, B)[2].sum(axis=1), len(self.corpus)).tolist()
        largest = added[order].max()
        matched = stands_for(self.analyzer, terms)
        names = [pad(term, max(map(columns, terms))) for term in terms]
        rows = []
        for rank, position in enumerate(order.tolist(), start=1):
            hit = Hit(self.corpus[position], added[position].sum(), rank)
            parts = [
                _part(name, times, value, largest)
                for name, times, value in zip(names, tf[position], added[position], strict=True)
                if value
            ]
            text = mark_words(excerpt(hit.document.text, matched, 90), matched)
            rows.append(
                [
                    f"<span style='{ONE_LINE}'>{rank}{_moved(before.index(position) + 1, rank)}</span>",
                    f"{hit.score:.3f}",
                    "<br>".join(parts),
                    f"{name_of(hit)} · {self.relative_lengths[position]:.1f} × the average length<br>{text}",
                ]
            )
        return table(["rank", "score", "what each term adds", "document"], rows, numbers=(1,))


def _part(term: str, times: float, value: float, largest: float) -> str:
    """What a term that occurs this often adds to a document's score."""
    line = f"{escape(term)} ×{times:.0f} {value:.3f} {bar(value, largest, width=12)}"
    return f"<code style='white-space:pre'>{line}</code>"


def _moved(before: int, now: int) -> str:
    if before == now:
        return ""
    return f" {'▲' if now < before else '▼'} was {before}"
