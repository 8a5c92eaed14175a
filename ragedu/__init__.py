"""ragedu: learn retrieval-augmented generation by building it.

Names are loaded when first used, so that `import ragedu` is fast and a lesson on BM25 never waits for torch.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.2.0.dev0"

# torch's threads wait for each other by spinning, and where another process wants the core (a second notebook, a
# browser), every small matrix product then waits for the scheduler: a hundred times slower, measured on two cores.
# Asleep they wait as well. This is read when torch is imported, so it is set here, and only if nobody has set it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:  # what an editor and a type checker see
    from ragedu.answer import Answer
    from ragedu.corpus import Corpus, Dataset, Document
    from ragedu.evaluation.comparison import compare
    from ragedu.evaluation.experiment import evaluate
    from ragedu.generation.language_model import LanguageModel
    from ragedu.rag import RAG
    from ragedu.readers import read_beir, read_corpus, read_squad
    from ragedu.retrieval.bm25 import BM25Retriever
    from ragedu.retrieval.dense import DenseRetriever
    from ragedu.retrieval.elasticsearch import ElasticsearchRetriever
    from ragedu.retrieval.hybrid import HybridRetriever
    from ragedu.retrieval.sqlite import SqliteRetriever
    from ragedu.retrieval.tfidf import TfidfRetriever
    from ragedu.retrieval.two_hop import TwoHopRetriever
    from ragedu.text import Analyzer, chunk

_HOME = {  # the same for Python: where each name is imported from when it is first used
    "Document": "corpus",
    "Corpus": "corpus",
    "Dataset": "corpus",
    "read_corpus": "readers",
    "read_beir": "readers",
    "read_squad": "readers",
    "Analyzer": "text",
    "chunk": "text",
    "TfidfRetriever": "retrieval.tfidf",
    "BM25Retriever": "retrieval.bm25",
    "DenseRetriever": "retrieval.dense",
    "HybridRetriever": "retrieval.hybrid",
    "TwoHopRetriever": "retrieval.two_hop",
    "SqliteRetriever": "retrieval.sqlite",
    "ElasticsearchRetriever": "retrieval.elasticsearch",
    "LanguageModel": "generation.language_model",
    "RAG": "rag",
    "Answer": "answer",
    "evaluate": "evaluation.experiment",
    "compare": "evaluation.comparison",
}
__all__ = [
    "RAG",
    "Analyzer",
    "Answer",
    "BM25Retriever",
    "Corpus",
    "Dataset",
    "DenseRetriever",
    "Document",
    "ElasticsearchRetriever",
    "HybridRetriever",
    "LanguageModel",
    "SqliteRetriever",
    "TfidfRetriever",
    "TwoHopRetriever",
    "chunk",
    "compare",
    "evaluate",
    "read_beir",
    "read_corpus",
    "read_squad",
]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'ragedu' has no attribute {name!r}")
    value = getattr(import_module(f"ragedu.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
