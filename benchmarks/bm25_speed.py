"""All systems get the same tokens (ragedu's analyzer) and the same questions of Port Ellery, run in one process on one
thread, and return the ten best documents; ragedu's figure is that of `BM25Retriever.search_many`, its hits included.
Systems take turns over several rounds and each is shown at its best; what they built is first frozen out of garbage
collection, or each would pay for looking through the others. Index time is from tokens; the last column is
index time from text, each library with its own tokenizer, English stop words and Snowball stems."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from time import perf_counter

import bm25s
import numpy as np
import Stemmer
from rank_bm25 import BM25Okapi
from sklearn.feature_extraction.text import TfidfVectorizer

from ragedu import BM25Retriever, Corpus
from ragedu.datasets import port_ellery

K = 10
ROUNDS = 5
SECONDS = 2.0  # for one system in one round; slow systems then answer fewer questions

Tokens = Sequence[list[str]]


class Ragedu:
    name = "ragedu BM25Retriever"

    def __init__(self, tokens: Tokens) -> None:
        texts = Corpus.from_texts([" ".join(document) for document in tokens])
        self.retriever = BM25Retriever(analyzer=str.split).fit(texts)

    def search(self, queries: Tokens) -> object:
        return self.retriever.search_many([" ".join(query) for query in queries], K)


class Bm25sNumpy:
    name = "bm25s, numpy"
    backend = "numpy"

    def __init__(self, tokens: Tokens) -> None:
        self.library = bm25s.BM25(backend=self.backend)
        self.library.index(tokens, show_progress=False)

    def search(self, queries: Tokens) -> object:
        known = [[term for term in query if term in self.library.vocab_dict] for query in queries]
        return self.library.retrieve(known, k=K, show_progress=False, n_threads=1)


class Bm25sNumba(Bm25sNumpy):
    name = "bm25s, numba"
    backend = "numba"


class RankBm25:
    name = "rank_bm25"

    def __init__(self, tokens: Tokens) -> None:
        self.library = BM25Okapi(tokens)

    def search(self, queries: Tokens) -> object:
        return [_best(self.library.get_scores(query)) for query in queries]


class SklearnTfidf:
    name = "scikit-learn TF-IDF"

    def __init__(self, tokens: Tokens) -> None:
        self.vectorizer = TfidfVectorizer(analyzer=lambda document: document)
        self.documents = self.vectorizer.fit_transform(tokens)

    def search(self, queries: Tokens) -> object:
        by_document = self.documents
        return [_best((by_document @ self.vectorizer.transform([query]).T).toarray().ravel()) for query in queries]


SYSTEMS = (Ragedu, Bm25sNumba, Bm25sNumpy, SklearnTfidf, RankBm25)


def measure(n_documents: int) -> tuple[str, list[dict[str, str]]]:
    """The table's title and rows for Port Ellery with this many documents."""
    _say(f"Port Ellery, {n_documents:,} documents")
    dataset = port_ellery.load(n_documents, questions=500)
    analyzer = BM25Retriever().analyzer
    tokens = [list(map(sys.intern, analyzer(document.content))) for document in dataset.corpus]
    queries = [analyzer(question) for question in dataset.queries.values()]
    np.random.default_rng(0).shuffle(queries)
    from_text = {Ragedu.name: _index_ragedu, Bm25sNumba.name: _index_bm25s}

    Bm25sNumba(tokens[:100])  # numba compiles at its first use; that is neither indexing nor searching
    index_seconds, text_seconds, systems = {}, {}, {}
    for system in SYSTEMS:
        _say(f"  indexing: {system.name}")
        systems[system.name], index_seconds[system.name] = _timed(system, tokens)
        systems[system.name].search(queries[:1])  # what is done once, at the first search, counts for neither
    texts = [document.content for document in dataset.corpus]
    for name, index in from_text.items():
        text_seconds[name] = min(_timed(index, texts)[1] for _ in range(2))

    gc.freeze()  # what was built is no garbage: without this, each system pays for looking through all the others
    speed = dict.fromkeys(systems, 0.0)
    for number in range(ROUNDS):
        _say(f"  searching, round {number + 1} of {ROUNDS}")
        for name, system in systems.items():
            speed[name] = max(speed[name], _queries_per_second(system.search, queries))

    rows = [
        {
            "system": name,
            "questions a second": _rounded(speed[name]),
            "times rank_bm25": _rounded(speed[name] / speed[RankBm25.name]),
            "index, s": f"{index_seconds[name]:.1f}",
            "index from text, s": f"{text_seconds[name]:.1f}" if name in text_seconds else "",
        }
        for name in systems
    ]
    gc.unfreeze()
    return f"{n_documents:,} documents, {len(queries):,} questions", rows


def _queries_per_second(search: Callable[[Tokens], object], queries: Tokens) -> float:
    """Batches of growing size until the time is up."""
    done, batch, started = 0, 1, perf_counter()
    while (elapsed := perf_counter() - started) < SECONDS and done < len(queries):
        part = queries[done : done + batch]
        search(part)
        done += len(part)
        batch *= 2
        if elapsed and done / elapsed * SECONDS < done + batch:  # the next batch would not finish in time
            batch = max(1, batch // 4)
    return done / (perf_counter() - started)


def _index_ragedu(texts: list[str]) -> object:
    return BM25Retriever().fit(Corpus.from_texts(texts))


def _index_bm25s(texts: list[str]) -> object:
    library = bm25s.BM25(backend="numba")
    stemmer = Stemmer.Stemmer("english")
    library.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    return library


def _best(scores: np.ndarray) -> np.ndarray:
    best = np.argpartition(-scores, K)[:K]
    return best[np.argsort(-scores[best], kind="stable")]


def _timed(function: Callable, argument: object) -> tuple[object, float]:
    gc.collect()
    started = perf_counter()
    result = function(argument)
    return result, perf_counter() - started


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.2g}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
