"""BM25's sliders without a kernel: the counts that the formula needs, for every page that the sliders can bring up.

The widget of lesson 02 weighs a corpus again for any k1 and b. A reader of the site has no kernel, so the page gets
each term's idf and, for every document that is among the best at some setting of the sliders, its term frequencies
and its length. The script docs/_static/bm25.js does the rest with the formula of the lesson.
"""

from __future__ import annotations

import ast
import json
from html import escape

import numpy as np

from website.links import text_of

STEP, MOST_K1, BEST = 0.05, 5.0, 5  # the widget's


def query_of(code: str) -> str | None:
    """The question in a cell that shows the sliders over the documentation of Python; None for any other cell.

    >>> query_of('example = "Replace a pattern"\\nbm25_sliders(docs.corpus, example)')
    'Replace a pattern'
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return None
    texts: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                texts[name] = text
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="bm25_sliders"), args=[corpus, query]) if (
                ast.unparse(corpus) == "docs.corpus"
            ):
                return query.value if isinstance(query, ast.Constant) else texts.get(ast.unparse(query))
    return None


def data_for(corpus, query: str) -> dict:
    """What the script needs: the terms with their weight, and the documents that come up at some setting."""
    from ragedu.learn.widgets.marks import excerpt, mark_words, stands_for
    from ragedu.learn.widgets.weighting import K1, B, Bm25Ranking
    from ragedu.retrieval.bm25 import bm25_idf

    ranking = Bm25Ranking(corpus)
    terms, tf, at_start = ranking.contributions(query, K1, B)
    times = np.array([ranking.analyzer(query).count(term) for term in terms])
    weights = times * bm25_idf((tf > 0).sum(axis=0), len(corpus))
    lengths = ranking.relative_lengths
    matching = np.flatnonzero(tf.any(axis=1))
    shown = among_the_best(tf[matching], lengths[matching], weights)
    start_order = np.argsort(-at_start.sum(axis=1), kind="stable").tolist()
    matched = stands_for(ranking.analyzer, terms)
    documents = [
        {
            "name": document.title or document.id,
            "text": mark_words(excerpt(document.text, matched, 90), matched),
            "tf": [int(n) for n in tf[position]],
            "length": round(float(lengths[position]), 6),
            "before": start_order.index(position) + 1,
        }
        for position, document in ((int(matching[place]), corpus[int(matching[place])]) for place in shown)
    ]
    return {
        "query": query,
        "k1": K1,
        "b": B,
        "terms": terms,
        "weights": weights.round(9).tolist(),
        "documents": documents,
    }


def among_the_best(tf: np.ndarray, lengths: np.ndarray, weights: np.ndarray) -> list[int]:
    """The rows that are among the BEST at some setting of the two sliders, in their order."""
    found: set[int] = set()
    for b in np.arange(0, 1 + STEP / 2, STEP):
        norm = (1 - b + b * lengths)[:, None]
        for k1 in np.arange(0, MOST_K1 + STEP / 2, STEP):
            parts = tf / (tf + k1 * norm) if k1 else (tf > 0) * 1.0
            found.update(np.argsort(-(parts @ weights).round(9), kind="stable")[:BEST].tolist())
    return sorted(found)


def with_live_sliders(notebook: dict, load) -> int:
    """Put the sliders' data into the outputs that show them as a picture, which stays for who runs no script.

    load: gives the corpus, and is called only when a cell needs it. Returns how many cells were changed.
    """
    changed = 0
    for cell in notebook["cells"]:
        query = query_of(text_of(cell)) if cell["cell_type"] == "code" else None
        picture = next(
            (output["data"] for output in cell.get("outputs", []) if "text/html" in output.get("data", {})), None
        )
        if query is None or picture is None:
            continue
        data = json.dumps(data_for(load(), query), separators=(",", ":")).replace("<", "\\u003c")
        still = "".join(picture["text/html"])
        picture["text/html"] = (
            f'<div class="bm25-sliders" aria-label="{escape("BM25 with its two parameters")}" role="group">{still}'
            f'<script type="application/json">{data}</script></div>'
        )
        changed += 1
    return changed
