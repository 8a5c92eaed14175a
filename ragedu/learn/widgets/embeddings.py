"""A map of query and documents: their embeddings in the two directions in which documents differ most."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ipywidgets import Box, Button, Layout, Text

from ragedu.corpus import shorten
from ragedu.learn.widgets.panel import Panel
from ragedu.retrieval.base import Hits, name_of
from ragedu.retrieval.dense import DenseRetriever
from ragedu.showing import escape, escape_attribute, table

WIDTH, HEIGHT, MARGIN = 640, 400, 28  # pixels
MAX_DOTS = 500


def embedding_map(dense: DenseRetriever, queries: Sequence[str], *, k: int = 5) -> Panel:
    """Choose a query, or type your own, and see where it falls among the documents, and which are nearest.

    The retriever is a fitted one. The two directions are the first principal components of the documents' embeddings,
    so documents keep their places whatever is asked.
    """
    if isinstance(queries, str) or not queries:
        raise TypeError("embedding_map takes a list of queries, at least one: put it in [ ]")
    dense.check_fitted()
    mean, axes, share = principal_axes(dense.embeddings)

    def show(query: str) -> str:
        hits = dense.search(query, k)
        places = (dense.embeddings - mean) @ axes.T
        place = (dense.embedder.encode([query])[0] - mean) @ axes.T
        near = [dense.corpus.position(hit.document.id) for hit in hits]
        return draw(places, place, near, dense.corpus.ids, query) + legend(hits, share, len(places))

    box = Text(queries[0], description="query", continuous_update=False, layout=Layout(width="95%"))
    return Panel({"query": box}, show, above=[_examples(queries, box)])


def _examples(queries: Sequence[str], box: Text) -> Box:
    """A button for each query, which puts it into the box."""
    # Not radio buttons: JupyterLab takes their arrow keys for moving from cell to cell.
    as_large_as_needed = Layout(width="auto", height="auto")
    buttons = [Button(description=query, layout=as_large_as_needed) for query in dict.fromkeys(queries)]
    for button in buttons:
        button.on_click(lambda button: setattr(box, "value", button.description))
    return Box(buttons, layout=Layout(flex_flow="row wrap"))


def principal_axes(vectors: np.ndarray, *, n: int = 2) -> tuple[np.ndarray, np.ndarray, float]:
    """Principal component analysis by the singular value decomposition of the centred vectors.

    `vectors` is a float array (n_vectors, dimension). Returns their mean (dimension,), the n directions of largest
    variance (n, dimension), and these directions' share of the variance, 0 to 1.
    """
    mean = vectors.mean(axis=0)
    _, lengths, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    axes = axes[:n]
    # A direction and its opposite are the same axis: the largest component is made positive, so no map is mirrored.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    axes = axes * np.where(signs == 0, 1, signs)[:, None]
    missing = n - len(axes)  # a single document has no second direction
    axes = np.vstack([axes, np.zeros((missing, vectors.shape[1]), vectors.dtype)])
    variance = float((lengths**2).sum())
    share = float((lengths[:n] ** 2).sum()) / variance if variance else 1.0
    return mean, axes, share


def draw(places: np.ndarray, query: np.ndarray, near: Sequence[int], ids: Sequence[str], text: str) -> str:
    """The map as SVG: dots are documents, numbered triangles the nearest ones, the cross is the query.

    Parameters
    ----------
    places
        Of the documents: float (n_documents, 2).
    query
        The place of the query: float (2,).
    near
        Positions in the corpus of the nearest documents, best first.
    ids
        Of all documents.
    text
        Of the query.
    """
    everything = np.vstack([places, query])
    low, high = everything.min(axis=0), everything.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    scale = room / np.where(high > low, high - low, 1)

    def on_page(place: np.ndarray) -> tuple[int, int]:
        """In pixels; y counts downwards on a page."""
        x, y = (place - low) * scale
        return round(MARGIN + x), round(HEIGHT - MARGIN - y)

    step = math.ceil(len(places) / MAX_DOTS)
    shown = range(0, len(places), step)
    dots = [_dot(*on_page(places[number]), ids[number]) for number in shown if number not in near]
    triangles = [_triangle(*on_page(places[number]), rank, ids[number]) for rank, number in enumerate(near, start=1)]
    label = f"A map of {len(places):,} documents, the query {text!r} and the {len(near)} documents nearest to it"
    return (
        f"<svg role='img' aria-label='{escape_attribute(label)}' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' "
        f"style='max-width:100%;height:auto' fill='none' stroke='currentColor' font-family='sans-serif'>"
        f"<rect x='1' y='1' width='{WIDTH - 2}' height='{HEIGHT - 2}' stroke-opacity='0.4'/>"
        f"{''.join(dots)}{''.join(triangles)}{_cross(*on_page(query), text)}</svg>"
    )


def _dot(x: int, y: int, name: str) -> str:
    return f"<circle cx='{x}' cy='{y}' r='3.5' stroke-opacity='0.6'><title>{escape_attribute(name)}</title></circle>"


def _triangle(x: int, y: int, rank: int, name: str) -> str:
    points = f"{x},{y - 7} {x - 7},{y + 5} {x + 7},{y + 5}"
    style = "fill='currentColor' stroke='none' font-size='16' font-weight='bold'"
    number = f"<text x='{x + 9}' y='{y + 5}' {style}>{rank}</text>"
    title = f"<title>{rank}: {escape_attribute(name)}</title>"
    return f"<polygon points='{points}' fill='currentColor'>{title}</polygon>{number}"


def _cross(x: int, y: int, text: str) -> str:
    # The word is written towards the middle, where there is room.
    where, anchor = (x - 13, "end") if x > WIDTH / 2 else (x + 13, "start")
    word = f"<text x='{where}' y='{y - 8}' text-anchor='{anchor}'"
    lines = f"M{x - 9},{y - 9} l18,18 m0,-18 l-18,18"
    return (
        f"<path d='{lines}' stroke-width='3'><title>{escape_attribute(text)}</title></path>"
        f"{word} fill='currentColor' stroke='none' font-size='14' font-weight='bold'>query</text>"
    )


def legend(hits: Hits, share: float, n_documents: int) -> str:
    """What the signs mean, how much the map leaves out, and the nearest documents as a table."""
    thinned = f" Of {n_documents:,} documents about {MAX_DOTS} are drawn." if n_documents > MAX_DOTS else ""
    rows = [
        [f"▲ {hit.rank}", f"{hit.score:.3f}", f"{name_of(hit)}<br>{escape(shorten(hit.document.text, 90))}"]
        for hit in hits
    ]
    return (
        f"<p>✕ query, ▲ its nearest documents by cosine, ○ other documents.{thinned} The map holds {share:.0%} of the "
        "variance: two that lie together on it may still be far apart in the directions that it leaves out.</p>"
        + table(["nearest", "cosine", "document"], rows, numbers=(0, 1))
    )
