"""ragedu: learn retrieval-augmented generation by building it.

Names are loaded when first used, so that `import ragedu` is quick and a lesson on BM25 never waits for torch.
"""

import os
from importlib import import_module

__version__ = "0.1.0"

# torch's threads wait for each other by spinning, and where another process wants the core (a second notebook, a
# browser), every small matrix product then waits for the scheduler: a hundred times slower, measured on two cores.
# Asleep they wait as well. This is read when torch is imported, so it is set here, and only if nobody has set it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOME = {
    "Document": "corpus",
    "Corpus": "corpus",
    "Dataset": "corpus",
    "read_corpus": "readers",
    "read_beir": "readers",
    "read_squad": "readers",
    "TfidfRetriever": "retrieval.tfidf",
    "BM25Retriever": "retrieval.bm25",
    "DenseRetriever": "retrieval.dense",
    "HybridRetriever": "retrieval.hybrid",
    "SqliteRetriever": "retrieval.sqlite",
    "ElasticsearchRetriever": "retrieval.elasticsearch",
    "LanguageModel": "generation.language_model",
    "RAG": "rag",
    "Answer": "rag",
    "evaluate": "evaluation.experiment",
}
__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'ragedu' has no attribute {name!r}")
    value = getattr(import_module(f"ragedu.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
