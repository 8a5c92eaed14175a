"""BM25 and nearest vectors by Elasticsearch, or by another server that speaks its protocol."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from ragedu.corpus import Corpus, Document, shorten
from ragedu.retrieval.base import Explanation, Hits, check_corpus, check_queries, check_query
from ragedu.retrieval.dense import model_of
from ragedu.retrieval.elasticsearch_client import connect, credentials, explained, is_here, no_index
from ragedu.retrieval.elasticsearch_index import ServerIndex
from ragedu.retrieval.embeddings import Embedder
from ragedu.retrieval.engine import as_token, tokenizer
from ragedu.retrieval.hybrid import rank_fusion
from ragedu.retrieval.storage import check_form, damage_told, load_index, save_index
from ragedu.retrieval.terms import TermRetriever, analyzer_settings, settings_to_save
from ragedu.text import Analyzer

FORMAT = "ragedu-elasticsearch-1"
MODES = ("bm25", "knn", "hybrid")
SAVED: dict[str, Any] = {
    "url": str,
    "index": str,
    "mode": str,
    "rrf_k": int | float,
    "depth": int,
    "timeout": int | float,
}
SAVED |= {"ca_certs": str | None, "model": str | None}
MAX_HITS_PER_REQUEST = 10_000  # the most that a server gives in one answer, unless its owner has changed that
QUERIES_PER_REQUEST = 64

Ranking = list[tuple[str, float]]  # document ids and scores, best first
Key = TypeVar("Key")


class BulkError(RuntimeError):
    """The server has refused documents. `refused` is {document id: reason}; all others are indexed."""

    def __init__(self, refused: dict[str, str], total: int):
        self.refused = refused
        first = "; ".join(f"{id!r}: {shorten(reason, 160)}" for id, reason in list(refused.items())[:3])
        super().__init__(
            f"the server refused {len(refused):,} of {total:,} documents ({first}{'; …' if len(refused) > 3 else ''}); "
            "the others are indexed: correct these and call fit again, and only what is missing is sent"
        )


class ElasticsearchRetriever(TermRetriever):
    """Rank documents by a server's BM25, by its nearest vectors, or by both fused.

    Credentials come from the environment: ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD. They
    are kept nowhere else, and sent over http to this machine only. Certificates are verified.

    BM25 is that of Lucene with k1 = 1.2 and b = 0.75, times (k1 + 1) = 2.2. A length above 40 terms is stored in one
    byte, rounded down, so scores of longer documents differ by some per cent from BM25Retriever(k1=1.2, b=0.75).

    Parameters
    ----------
    url
        Where the server is, such as "http://127.0.0.1:9200".
    index
        The name of the index on the server.
    mode
        "bm25", "knn" (cosine) or "hybrid" (reciprocal rank fusion of both); by default "hybrid" if there is an
        embedder. It may be changed at any time.
    embedder
        An Embedder, for vectors next to the terms.
    shards
        In how many parts a new index is cut.
    rrf_k
        The constant of reciprocal rank fusion.
    depth
        How many hits of each ranking are fused.
    timeout
        How many seconds to wait for an answer.
    ca_certs
        The file of a certificate authority of your own.
    analyzer
        A function from text to terms, by default ragedu.text.Analyzer().

    Raises
    ------
    ConnectionError, TimeoutError, PermissionError
        Where the server is not there, does not answer or refuses the credentials.
    ValueError
        For an index that was made otherwise.
    BulkError
        For documents that the server refuses.
    """

    _how_to_fit = "call fit(corpus), or for an index that is on the server ElasticsearchRetriever.open(url, index)"

    def __init__(
        self,
        url: str = "http://127.0.0.1:9200",
        index: str = "ragedu",
        *,
        mode: str | None = None,
        embedder: Embedder | None = None,
        shards: int = 1,
        rrf_k: int = 60,
        depth: int = 1000,
        timeout: float = 30.0,
        ca_certs: str | Path | None = None,
        analyzer: Callable[[str], list[str]] | None = None,
    ) -> None:
        super().__init__(analyzer=analyzer)
        if not index or set(index) & set("*?,/ ") or index[0] in "-_+." or index != index.lower():
            raise ValueError(
                f"an index has one plain name in small letters, without wildcards, such as 'ragedu', not {index!r}"
            )
        if rrf_k < 0 or not 1 <= depth <= MAX_HITS_PER_REQUEST:
            raise ValueError(
                f"rrf_k must be at least 0 and depth from 1 to {MAX_HITS_PER_REQUEST:,}, not {rrf_k} and {depth}"
            )
        self.url, self.index, self.embedder, self.shards = url, index, embedder, shards
        self.rrf_k, self.depth, self.timeout = rrf_k, depth, timeout
        self.ca_certs = None if ca_certs is None else str(ca_certs)
        self.mode = mode or self._usual_mode()
        self.client = connect(url, timeout, self.ca_certs)

    @property
    def mode(self) -> str:
        """How documents are ranked: "bm25", "knn" or "hybrid"."""
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"no mode {mode!r}; there are: {', '.join(MODES)}")
        if mode != "bm25" and self.embedder is None:
            raise ValueError(f"the mode {mode!r} compares vectors: give embedder=Embedder()")
        self._mode = mode

    def _usual_mode(self) -> str:
        return "bm25" if self.embedder is None else "hybrid"

    @property
    def is_external(self) -> bool:
        """Always: the documents are kept on the server, where fitting again deletes them."""
        return True

    # The index.

    def fit(self, corpus: Corpus) -> Self:
        """Make the index hold this corpus: what is missing or has changed is sent, what is no longer in it deleted.

        So after an interruption the same call goes on, and a second one changes nothing. Until it has ended, the
        index holds some of the old and some of the new.

        Elasticsearch counts a document that was replaced or deleted among those with its terms until it merges its
        files, so scores may change a little some time after a second fit.
        """
        check_corpus(corpus)
        with self._explained():
            kept, making = self._kept(), self._making()
            made = kept.made()
            if made is None:
                kept.create(making, self.shards, self.embedder.dimension if self.embedder else None)
            else:
                self._check_made(made, making)
            kept.mark(making, documents=None)
            self._corpus = None  # from here to the end the index is neither the old one nor the new
            refused = kept.send(corpus, kept.digests(), tokenizer(self.analyzer), self.embedder)
            kept.refresh()
            if refused:
                raise BulkError(refused, len(corpus))
            there = kept.count()
            if there == len(corpus):
                kept.mark(making, documents=there)
        if there != len(corpus):
            raise RuntimeError(
                f"the index {self.index!r} has {there:,} documents instead of {len(corpus):,}: "
                "another program writes to it; give each an index of its own, and call fit again"
            )
        self.corpus = corpus
        return self

    @classmethod
    def open(cls, url: str, index: str, *, analyzer: Callable[[str], list[str]] | None = None, **options: Any) -> Self:
        """An index that is on the server already, ready to be searched; the options are those of the class.

        The analyzer is the one that the index was made with, which need be given only if it is code of your own. The
        documents are read from the server.
        """
        retriever = cls(url, index, analyzer=analyzer, **options)
        with retriever._explained():
            kept = retriever._kept()
            made = kept.made()
            if made is None:
                raise ValueError(f"{url} has no index {index!r}: call fit(corpus) to make it")
            if analyzer is None and made.get("analyzer"):
                retriever.analyzer = Analyzer(**made["analyzer"])
            wanted = retriever._making()
            if retriever.embedder is None:  # the terms can be searched without the model that made the vectors
                wanted["model"] = made.get("model")
            retriever._check_made(made, wanted)
            retriever.corpus = Corpus(kept.documents(made.get("documents")))
        return retriever

    def save(self, folder: str | Path) -> None:
        """Write down where the index is and how to search it. It stays on the server, and so do the documents."""
        self.check_fitted()
        settings_to_save(self.analyzer)  # they are on the server, if it has any
        settings: dict[str, Any] = {"url": self.url, "index": self.index, "mode": self.mode}
        settings |= {"rrf_k": self.rrf_k, "depth": self.depth, "timeout": self.timeout, "ca_certs": self.ca_certs}
        settings["model"] = str(self.embedder.name) if self.embedder else None
        save_index(folder, type(self).__name__, settings, {}, Corpus([]))

    @classmethod
    def load(cls, folder: str | Path, *, url: str | None = None, embedder: Embedder | None = None) -> Self:
        """Open the index of which `save` wrote.

        url: where the server is, if not where it was. It must be given where the environment has credentials and the
        server is not on this machine: they would be sent to whatever address the folder names.

        embedder: the model that made its vectors, when not found by name.
        """
        settings, _, _ = load_index(folder, cls.__name__)
        with damage_told(folder):
            check_form(settings.keys() == SAVED.keys(), f"settings {sorted(settings)} instead of {sorted(SAVED)}")
            for name, kind in SAVED.items():
                check_form(isinstance(settings[name], kind), f"the setting {name} is {settings[name]!r:.100}")
        if url is None and credentials() and not is_here(settings["url"]):
            raise ValueError(
                f"{folder} names the server {settings['url']}, and your credentials would be sent there: if that is "
                f"right, say so with load(folder, url={settings['url']!r})"
            )
        settings["url"] = url or settings["url"]
        model = settings.pop("model")
        if model is not None and embedder is None:
            embedder = Embedder(model_of(Path(folder).expanduser(), model))
        return cls.open(embedder=embedder, **settings)

    def _kept(self) -> ServerIndex:
        """What the server keeps."""
        return ServerIndex(self.client, self.index)

    def _making(self) -> dict[str, Any]:
        """What the documents in the index depend on; it is written into the index's mapping."""
        model = self.embedder.fingerprint if self.embedder else None
        return {"format": FORMAT, "analyzer": analyzer_settings(self.analyzer), "model": model}

    def _check_made(self, made: dict[str, Any], wanted: dict[str, Any]) -> None:
        if made.get("format") != FORMAT:
            raise ValueError(
                f"the index {self.index!r} on {self.url} has another mapping and was not made by this version of "
                "ragedu: choose another name"
            )
        for name, what in {"analyzer": "analyzer", "model": "embedding model"}.items():
            if made[name] != wanted[name]:
                raise ValueError(
                    f"the index {self.index!r} on {self.url} was made with another {what}: give the same, choose "
                    "another name, or delete the index first"
                )

    # Searching.

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents for the query. Raises ValueError for one without any word to search for."""
        if self.mode == "bm25":
            return super().search(query, k)
        k = self._within_corpus(k)
        return self._hits(self._rank([check_query(query)], k)[0])

    def search_many(self, queries: Iterable[str], k: int = 10) -> list[Hits]:
        """The k best documents for each query; none for a blank one, or for BM25 one of stop words only."""
        if self.mode == "bm25":
            return super().search_many(queries, k)
        queries = check_queries(queries)
        k = self._within_corpus(k)
        return [self._hits(ranking) for ranking in self._rank(queries, k)]

    def _search_terms(self, queries: Sequence[list[str]], k: int) -> list[Hits]:
        return [self._hits(ranking) for ranking in self._rank_by_terms(queries, k)]

    def scores(self, query: str) -> np.ndarray:
        """As every retriever; with vectors, 0 for documents that are not among the nearest 10,000."""
        self.check_fitted()
        if self.mode == "bm25":
            ranking = self._rank_by_terms([self.query_terms(query)], len(self.corpus))[0]
        else:
            ranking = self._rank([check_query(query)], len(self.corpus))[0]
        scores = np.zeros(len(self.corpus))
        for document_id, score in ranking:
            scores[self.corpus.position(document_id)] = score
        return scores

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each term of the query added to the document's score ("bm25"), the cosine ("knn"), or what each
        of the two rankings added ("hybrid")."""
        self.corpus.position(document_id)
        if self.mode == "bm25":
            contributions = self._explain_terms(self.query_terms(query), document_id)
        elif self.mode == "knn":
            contributions = self._explain_cosine(check_query(query), document_id)
        else:
            contributions = self._explain_ranks(check_query(query), document_id)
        return Explanation(sum(contributions.values()), contributions)

    def _explain_terms(self, terms: list[str], document_id: str) -> dict[str, float]:
        bodies = {}
        for term, times in Counter(terms).items():
            query = {"must": _match([as_token(term)] * times), **_only(document_id)}
            bodies[term] = {"query": {"bool": query}}
        found = self._run(bodies, 1)
        return {term: ranking[0][1] if ranking else 0.0 for term, ranking in found.items()}

    def _explain_cosine(self, query: str, document_id: str) -> dict[str, float]:
        (vector,) = self._embed([query])
        found = self._run({query: {"knn": _nearest(vector, 1) | _only(document_id)}}, 1)[query]
        if not found:
            raise self._changed(f"{document_id!r} is gone")
        return {"cosine": _cosine(found[0][1])}

    def _explain_ranks(self, query: str, document_id: str) -> dict[str, float]:
        (by_terms,), (by_vectors,) = self._rankings_to_fuse([query])
        contributions = {}
        for number, (mode, ranking) in enumerate({"bm25": by_terms, "knn": by_vectors}.items(), start=1):
            ids = [id for id, _ in ranking]
            place = f"rank {ids.index(document_id) + 1}" if document_id in ids else "not found"
            (given,) = rank_fusion([ids], [1 / 2], k=self.rrf_k)
            contributions[f"{number}. {mode}, {place}"] = given.get(document_id, 0.0)
        return contributions

    # Rankings.

    def _rank(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """The k best for each query with the help of vectors; none for a blank one."""
        if self.mode == "knn":
            return self._rank_by_vectors(queries, k)
        pairs = zip(*self._rankings_to_fuse(queries), strict=True)
        return [self._fuse(by_terms, by_vectors)[:k] for by_terms, by_vectors in pairs]

    def _rank_by_terms(self, queries: Sequence[list[str]], k: int) -> list[Ranking]:
        """The k best by BM25 for each query, which is given by its terms; none for one without terms."""
        bodies = {}
        for number, terms in enumerate(queries):
            if terms:
                bodies[number] = {"query": _match([as_token(term) for term in terms])}
        found = self._run(bodies, k)
        return [found.get(number, []) for number in range(len(queries))]

    def _rank_by_vectors(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """The k nearest for each query, 10,000 at most; none for a blank one."""
        asked = {number: query for number, query in enumerate(queries) if query.strip()}
        if not asked:
            return [[] for _ in queries]
        k = min(k, MAX_HITS_PER_REQUEST)
        bodies = {}
        for number, vector in zip(asked, self._embed(list(asked.values())), strict=True):
            bodies[number] = {"knn": _nearest(vector, k)}
        found = self._run(bodies, k)
        return [[(id, _cosine(score)) for id, score in found.get(number, [])] for number in range(len(queries))]

    def _rankings_to_fuse(self, queries: Sequence[str]) -> tuple[list[Ranking], list[Ranking]]:
        """By terms and by vectors: the two rankings for each query, `depth` hits each."""
        by_terms = self._rank_by_terms([self.analyzer(query) for query in queries], self.depth)
        return by_terms, self._rank_by_vectors(queries, self.depth)

    def _fuse(self, by_terms: Ranking, by_vectors: Ranking) -> Ranking:
        fused: dict[str, float] = defaultdict(float)
        ids = [[id for id, _ in ranking] for ranking in (by_terms, by_vectors)]
        for given in rank_fusion(ids, [1 / 2, 1 / 2], k=self.rrf_k):
            for document_id, value in given.items():
                fused[document_id] += value
        return sorted(fused.items(), key=lambda item: (-item[1], self.corpus.position(self._document(item[0]).id)))

    def _embed(self, queries: Sequence[str]) -> list[list[float]]:
        assert self.embedder is not None  # else no mode but "bm25" could be set
        return self.embedder.encode(queries).tolist()

    def _hits(self, ranking: Ranking) -> Hits:
        return Hits.ranked([self._document(id) for id, _ in ranking], [score for _, score in ranking])

    def _document(self, document_id: str) -> Document:
        if document_id not in self.corpus:
            raise self._changed(f"it found {document_id!r}")
        return self.corpus[document_id]

    # The server's answers.

    def _run(self, bodies: Mapping[Key, dict[str, Any]], k: int) -> dict[Key, Ranking]:
        """Up to k hits of each search: many searches in one request, and one of more than 10,000 hits in several."""
        common = {"_source": False, "sort": ["_score", {"position": "asc"}], "size": min(k, MAX_HITS_PER_REQUEST)}
        pending = {key: common | body for key, body in bodies.items()}
        found: dict[Key, Ranking] = {key: [] for key in bodies}
        while pending:
            asked = dict(list(pending.items())[:QUERIES_PER_REQUEST])
            for key, hits in self._request(asked).items():
                found[key] += [(hit["_id"], hit["_score"]) for hit in hits]
                body = pending.pop(key)
                if len(hits) == MAX_HITS_PER_REQUEST and len(found[key]) < k and "knn" not in body:
                    pending[key] = body | {"search_after": hits[-1]["sort"]}
        return {key: ranking[:k] for key, ranking in found.items()}

    def _request(self, bodies: Mapping[Key, dict[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
        """The hits of several searches, in the server's words, by one request."""
        lines = []
        for body in bodies.values():
            lines += [self._header(body), body]
        with self._explained():
            answers = self.client.msearch(searches=lines)["responses"]
        return {key: self._check_answer(answer) for key, answer in zip(bodies, answers, strict=True)}

    def _header(self, body: dict[str, Any]) -> dict[str, Any]:
        # A shard counts its own documents only, and its idf would depend on how the corpus is cut into shards. "dfs"
        # collects the counts of all shards first. (With vectors there is nothing to count, and no choice.)
        return {"index": self.index} if "knn" in body else {"index": self.index, "search_type": "dfs_query_then_fetch"}

    def _check_answer(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """The hits of an answer that is whole."""
        if "error" in answer:
            error = answer["error"]
            if error.get("type") == "index_not_found_exception":
                raise no_index(self.url, self.index)
            causes = error.get("root_cause") or [error]
            raise RuntimeError(f"the server {self.url} refused the search: {causes[0].get('reason', error)}")
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise RuntimeError(f"a part of the index {self.index!r} did not answer, so hits may be missing: try again")
        return answer["hits"]["hits"]

    def _changed(self, what: str) -> RuntimeError:
        return RuntimeError(
            f"the index {self.index!r} has been changed by another program ({what}): open it again, or call fit(corpus)"
        )

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.url, self.index, self.timeout)

    def _repr_instead(self) -> dict[str, Any]:
        mode = None if self.mode == self._usual_mode() else self.mode
        return super()._repr_instead() | {"mode": mode}


# The server's language of queries.


def _match(tokens: Sequence[str]) -> dict[str, Any]:
    return {"match": {"terms": " ".join(tokens)}}


def _nearest(vector: Sequence[float], k: int) -> dict[str, Any]:
    candidates = min(MAX_HITS_PER_REQUEST, max(100, 2 * k))
    return {"field": "vector", "query_vector": vector, "k": k, "num_candidates": candidates}


def _only(document_id: str) -> dict[str, Any]:
    return {"filter": {"ids": {"values": [document_id]}}}


def _cosine(score: float) -> float:
    """The server makes (1 + cosine) / 2 of a cosine, so that no score is negative."""
    return 2 * score - 1
