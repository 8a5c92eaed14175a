"""Title and text joined, default settings unless named; the test queries. rank_bm25 and bm25s get ragedu's tokens, so
that systems and not tokenizers are compared. The last column has published figures."""

from __future__ import annotations

import sys
from pathlib import Path

import bm25s
import numpy as np
from rank_bm25 import BM25Okapi

from ragedu import BM25Retriever, DenseRetriever, HybridRetriever, TfidfRetriever, evaluate, read_beir
from ragedu.corpus import Dataset
from ragedu.evaluation import evaluate_run

METRICS = ("ndcg@10", "recall@100", "mrr@10")
PUBLISHED = {
    "bm25s, k1=1.5": ".687 (its own tokens)",
    "rank_bm25, k1=1.5": ".685 (its own tokens)",
    "ragedu dense, all-MiniLM-L6-v2": ".6451",
}


def measure(folder: Path) -> tuple[str, list[dict[str, str]]]:
    """The dataset's name and size, and a row for each system."""
    dataset = read_beir(folder)
    bm25, dense = BM25Retriever(), DenseRetriever()
    systems = {
        "ragedu TF-IDF": TfidfRetriever(),
        "ragedu TF-IDF, sublinear": TfidfRetriever(sublinear_tf=True),
        "ragedu BM25, k1=1.2": BM25Retriever(k1=1.2),
        "ragedu BM25, k1=1.5": bm25,
        "ragedu dense, all-MiniLM-L6-v2": dense,
        "ragedu hybrid, ranks (RRF)": HybridRetriever([bm25, dense]),
        "ragedu hybrid, scores": HybridRetriever([bm25, dense], method="weighted"),
    }
    results = {}
    for name, system in systems.items():
        print(f"  {name}", file=sys.stderr, flush=True)
        results[name] = evaluate(system, dataset, metrics=METRICS)
    results |= {
        name: evaluate_run(run, dataset, metrics=METRICS) for name, run in _peers(dataset, bm25.analyzer).items()
    }
    rows = [
        {
            "system": name,
            **{metric: f"{result[metric]:.4f}" for metric in METRICS},
            "published nDCG@10": PUBLISHED.get(name, "") if dataset.name == "scifact" else "",
        }
        for name, result in results.items()
    ]
    return f"{dataset.name}, {len(dataset.corpus):,} documents, {len(dataset.queries):,} queries", rows


def _peers(dataset: Dataset, analyzer) -> dict[str, dict[str, dict[str, float]]]:
    """Runs of the other libraries: {system: {query id: {document id: score}}}."""
    tokens = [analyzer(document.content) for document in dataset.corpus]
    fast = bm25s.BM25(k1=1.5, b=0.75)
    fast.index(tokens, show_progress=False)
    slow = BM25Okapi(tokens, k1=1.5, b=0.75)
    scores_of = {
        "bm25s, k1=1.5": lambda terms: fast.get_scores([term for term in terms if term in fast.vocab_dict]),
        "rank_bm25, k1=1.5": slow.get_scores,
    }
    runs = {name: {} for name in scores_of}
    for query_id, query in dataset.queries.items():
        terms = analyzer(query)
        for name, scores_for in scores_of.items():
            scores = scores_for(terms)
            best = np.argsort(-scores, kind="stable")[:1000]
            runs[name][query_id] = {dataset.corpus[int(i)].id: float(scores[i]) for i in best}
    return runs
