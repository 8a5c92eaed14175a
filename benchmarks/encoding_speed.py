"""Texts a second through all-MiniLM-L6-v2: `SentenceTransformer.encode` as it comes, and ragedu's `Embedder.encode`,
which gives it batches of equal length and limited size (no cache of vectors on either side; at most 32 texts a batch on
both; tokenisation included). The two take turns on the same model and each is shown at its best. The last column is the
largest difference between any two numbers of their vectors."""

from __future__ import annotations

import sys
from random import Random
from time import perf_counter

import numpy as np

from ragedu.datasets import port_ellery, python_docs
from ragedu.retrieval.embeddings import Embedder

ROUNDS = 4
TEXTS = 256


def measure(n_texts: int = TEXTS) -> tuple[str, list[dict[str, str]]]:
    """The table's title and rows."""
    embedder = Embedder(cache=False)
    systems = {
        "sentence-transformers": lambda texts: embedder.model.encode(
            texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        ),
        "ragedu Embedder": lambda texts: embedder.encode(texts, batch_size=32),
    }
    documentation = [document.content for document in python_docs.corpus()]
    collections = {
        "Port Ellery": [document.content for document in port_ellery.load(n_texts, questions=0).corpus],
        "Python docs": Random(0).sample(documentation, min(n_texts, len(documentation))),
    }
    rows = []
    for collection, texts in collections.items():
        print(f"encoding {collection}", file=sys.stderr, flush=True)
        best = dict.fromkeys(systems, float("inf"))
        vectors = {}
        for _ in range(ROUNDS):
            for name, encode in systems.items():
                started = perf_counter()
                vectors[name] = encode(texts)
                best[name] = min(best[name], perf_counter() - started)
        theirs, ours = systems
        difference = np.abs(vectors[ours] - vectors[theirs]).max()
        rows += [
            {
                "texts": collection,
                "system": name,
                "texts a second": f"{len(texts) / seconds:.0f}",
                "times sentence-transformers": f"{best[theirs] / seconds:.2f}",
                "largest difference": f"{difference:.0e}" if name == ours else "",
            }
            for name, seconds in best.items()
        ]
    return f"{n_texts:,} texts of each collection", rows
