"""BM25 and nearest vectors by Elasticsearch, or by another server that speaks its protocol."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document, shorten
from ragedu.retrieval.base import Explanation, Hit, Hits
from ragedu.retrieval.embeddings import Embedder
from ragedu.retrieval.engine import EngineRetriever, as_token, metadata_json
from ragedu.retrieval.hybrid import rank_fusion
from ragedu.retrieval.storage import load_index, save_index
from ragedu.text import Analyzer

FORMAT = "ragedu-elasticsearch-1"
MODES = ("bm25", "knn", "hybrid")
PAGE = 10_000  # the most hits that a server gives in one answer, unless its owner has changed that
TOGETHER = 64  # queries in one request
BULK = 256  # documents in one request
PROGRESS_FROM = 5_000  # documents; fewer are sent before a progress bar would be read


class BulkError(RuntimeError):
    """The server has refused documents. `refused` is {document id: reason}; all others are indexed."""

    def __init__(self, refused: dict[str, str], total: int):
        self.refused = refused
        first = "; ".join(f"{id!r}: {shorten(reason, 160)}" for id, reason in list(refused.items())[:3])
        super().__init__(
            f"the server refused {len(refused):,} of {total:,} documents ({first}{'; …' if len(refused) > 3 else ''}); "
            "the others are indexed: mend these and call fit again, and only what is missing is sent"
        )


class ElasticsearchRetriever(EngineRetriever):
    """Rank documents by a server's BM25, by its nearest vectors, or by both fused.

    url: such as "http://127.0.0.1:9200"; index: its name on the server. Credentials come from the environment:
    ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD. They are kept nowhere else, and sent
    over http to this machine only. Certificates are verified; ca_certs is the file of an authority of your own.

    embedder: an Embedder, for vectors beside the terms; mode: "bm25", "knn" (cosine) or "hybrid" (reciprocal rank
    fusion of both, with `depth` hits of each and the constant rrf_k); hybrid if there is an embedder, unless told. The
    mode may be changed at any time.

    analyzer: a function from text to terms; ragedu.text.Analyzer() unless told otherwise. shards: in how many parts a
    new index is cut. timeout: seconds to wait for an answer.

    BM25 is that of Lucene with k1 = 1.2 and b = 0.75, times (k1 + 1) = 2.2. A length above 40 terms is stored in one
    byte, rounded down, so scores of longer documents differ by some per cent from BM25Retriever(k1=1.2, b=0.75).

    Raises ConnectionError, TimeoutError or PermissionError where the server is not there, does not answer or refuses
    the credentials; ValueError for an index that was made otherwise; BulkError for documents that it refuses.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:9200",
        index: str = "ragedu",
        mode: str | None = None,
        embedder: Embedder | None = None,
        analyzer: Callable[[str], list[str]] | None = None,
        shards: int = 1,
        rrf_k: int = 60,
        depth: int = 1000,
        timeout: float = 30.0,
        ca_certs: str | Path | None = None,
    ) -> None:
        super().__init__(analyzer)
        if not index or set(index) & set("*?,/ ") or index[0] in "-_+." or index != index.lower():
            raise ValueError(
                f"an index has one plain name in small letters, without wildcards, such as 'ragedu', not {index!r}"
            )
        if rrf_k < 0 or not 1 <= depth <= PAGE:
            raise ValueError(f"rrf_k must be at least 0 and depth from 1 to {PAGE:,}, not {rrf_k} and {depth}")
        self.url, self.index, self.embedder, self.shards = url, index, embedder, shards
        self.rrf_k, self.depth, self.timeout, self.ca_certs = rrf_k, depth, timeout, ca_certs
        self.mode = mode or ("hybrid" if embedder else "bm25")
        self.client = _client(url, timeout, ca_certs)

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

    def fit(self, corpus: Corpus) -> Self:
        """Make the index hold this corpus: what is missing or has changed is sent, what is no longer in it deleted.

        So after an interruption the same call goes on, and a second one changes nothing. Until it has ended, the
        index holds some of the old and some of the new.

        Elasticsearch counts a document that was replaced or deleted among those with its terms until it merges its
        files, so scores may change a little some time after a second fit.
        """
        self._check_corpus(corpus)
        with self._explained():
            self._create()
            self._mark(documents=None)
            self.corpus = None  # from here to the end the index is neither the old one nor the new
            stored = dict(self._digests())
            refused = self._send(corpus, stored)
            self.client.indices.refresh(index=self.index)
            if refused:
                raise BulkError(refused, len(corpus))
            there = self.client.count(index=self.index)["count"]
            if there == len(corpus):
                self._mark(documents=there)
        if there != len(corpus):
            raise RuntimeError(
                f"the index {self.index!r} has {there:,} documents instead of {len(corpus):,}: "
                "another program writes to it; give each an index of its own, and call fit again"
            )
        self.corpus = corpus
        return self

    @classmethod
    def open(cls, url: str, index: str, analyzer: Callable[[str], list[str]] | None = None, **options: Any) -> Self:
        """An index that is on the server already, ready to be searched; the options are those of the class.

        The analyzer is the one that the index was made with, which need be given only if it is code of your own. The
        documents are read from the server.
        """
        retriever = cls(url, index, analyzer=analyzer, **options)
        with retriever._explained():
            made = retriever._made()
            if made is None:
                raise ValueError(f"{url} has no index {index!r}: call fit(corpus) to make it")
            if analyzer is None and made.get("analyzer"):
                retriever.analyzer = Analyzer(**made["analyzer"])
            wanted = retriever._making()
            if retriever.embedder is None:  # the terms can be searched without the model that made the vectors
                wanted["model"] = made.get("model")
            retriever._check_made(made, wanted)
            retriever.corpus = Corpus(retriever._documents(made.get("documents")))
        return retriever

    def scores(self, query: str) -> np.ndarray:
        """As every retriever; with vectors, 0 for documents that are not among the nearest 10,000."""
        self._check_fitted()
        self._check_words(query)
        scores = np.zeros(len(self.corpus))
        for document_id, score in self._rank([query], self.mode, len(self.corpus))[0]:
            scores[self.corpus.position(document_id)] = score
        return scores

    def search(self, query: str, k: int = 10) -> Hits:
        """The k best documents for the query. Raises ValueError for one without any word to search for."""
        self._check_k(k)
        self._check_words(query)
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Hits]:
        """The k best documents for each query; none for a blank one, or for BM25 one of stop words only."""
        queries = self._check_queries(queries)
        k = self._check_k(k)
        return [
            Hits(Hit(self._document(id), score, rank) for rank, (id, score) in enumerate(ranking, start=1))
            for ranking in self._rank(queries, self.mode, k)
        ]

    def explain(self, query: str, document_id: str) -> Explanation:
        """What each term of the query added to the document's score ("bm25"), the cosine ("knn"), or what each
        of the two rankings added ("hybrid")."""
        self._check_fitted()
        self.corpus.position(document_id)
        only_here = {"filter": {"ids": {"values": [document_id]}}}
        if self.mode == "bm25":
            terms = Counter(self._terms(query))
            bodies = [
                {"query": {"bool": {"must": self._match([as_token(term)] * times), **only_here}}, "size": 1}
                for term, times in terms.items()
            ]
            parts = zip(terms, self._run(bodies, 1), strict=True)
            contributions = {term: found[0][1] if found else 0.0 for term, found in parts}
        elif self.mode == "knn":
            vector = self.embedder.encode([self._check_query(query)])[0].tolist()
            (found,) = self._run([{"knn": self._nearest(vector, 1) | only_here, "size": 1}], 1)
            if not found:
                raise self._changed(f"{document_id!r} is gone")
            contributions = {"cosine": _cosine(found[0][1])}
        else:
            contributions = {}
            for number, (mode, ranking) in enumerate(self._parts([self._check_query(query)])[0].items(), start=1):
                ids = [id for id, _ in ranking]
                place = f"rank {ids.index(document_id) + 1}" if document_id in ids else "not found"
                given = rank_fusion([ids], [1 / 2], self.rrf_k)[0].get(document_id, 0.0)
                contributions[f"{number}. {mode}, {place}"] = given
        return Explanation(sum(contributions.values()), contributions)

    def save(self, folder: str | Path) -> None:
        """Write down where the index is and how to search it. It stays on the server, and so do the documents."""
        self._check_fitted()
        self._saved_analyzer()
        settings = {"url": self.url, "index": self.index, "mode": self.mode, "rrf_k": self.rrf_k, "depth": self.depth}
        settings |= {"timeout": self.timeout, "ca_certs": self.ca_certs and str(self.ca_certs)}
        settings["model"] = self.embedder and str(self.embedder.name)
        save_index(folder, type(self).__name__, settings, {}, Corpus([]))

    @classmethod
    def load(cls, folder: str | Path, url: str | None = None, embedder: Embedder | None = None) -> Self:
        """Open the index of which `save` wrote. embedder: the model that made its vectors, when not found by name.

        url: where the server is, if not where it was. It must be given where the environment has credentials and the
        server is not on this machine: they would be sent to whatever address the folder names.
        """
        settings, _, _ = load_index(folder, cls.__name__)
        if url is None and _credentials() and not _is_here(settings["url"]):
            raise ValueError(
                f"{folder} names the server {settings['url']}, and your credentials would be sent there: if that is "
                f"right, say so with load(folder, url={settings['url']!r})"
            )
        settings["url"] = url or settings["url"]
        model = settings.pop("model")
        if model is not None and embedder is None:
            embedder = Embedder(model)
        return cls.open(embedder=embedder, **settings)

    def __repr__(self) -> str:
        return f"ElasticsearchRetriever({self.url!r}, {self.index!r}, mode={self.mode!r})"

    # The index.

    def _making(self) -> dict[str, Any]:
        """What the documents in the index depend on; it is written into the index's mapping."""
        model = self.embedder and self.embedder.fingerprint
        return {"format": FORMAT, "analyzer": self._analyzer_settings(), "model": model}

    def _made(self) -> dict[str, Any] | None:
        """How the index on the server was made; None if it is not there, {} if not by ragedu."""
        if not self.client.indices.exists(index=self.index):
            return None
        (answer,) = self.client.indices.get_mapping(index=self.index).values()
        return answer["mappings"].get("_meta", {}).get("ragedu", {})

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

    def _create(self) -> None:
        made = self._made()
        if made is not None:
            return self._check_made(made, self._making())
        properties = {
            "id": {"type": "keyword"},
            "position": {"type": "integer"},
            "digest": {"type": "keyword", "index": False},
            # The terms are ready: nothing is left to do but to cut at white space.
            "terms": {"type": "text", "analyzer": "whitespace"},
            "document": {"type": "object", "enabled": False},  # kept as it is, not searched
        }
        if self.embedder:
            properties["vector"] = {
                "type": "dense_vector",
                "dims": self.embedder.dimension,
                "index": True,
                "similarity": "dot_product",
                "index_options": {"type": "hnsw"},
            }
        self.client.indices.create(
            index=self.index,
            settings={"number_of_shards": self.shards},
            mappings={"dynamic": "strict", "_meta": {"ragedu": self._making()}, "properties": properties},
        )

    def _mark(self, documents: int | None) -> None:
        """Note in the mapping how many documents a fit has left, None while one is under way."""
        self.client.indices.put_mapping(index=self.index, meta={"ragedu": self._making() | {"documents": documents}})

    def _send(self, corpus: Corpus, stored: dict[str, str]) -> dict[str, str]:
        """Bring the index from {id: digest} to the corpus; returns what the server refused and why."""
        from elasticsearch.helpers import streaming_bulk

        # The fewest requests: only what differs, and a few hundred documents in each. What the server has answered
        # for is safe, and the ids are the documents', so that to send one twice is to write it once.
        quiet = len(corpus) < PROGRESS_FROM
        refused = {}
        with tqdm(total=len(corpus), desc="sending", unit=" documents", disable=quiet) as progress:
            actions = self._actions(corpus, stored, progress.update)
            answers = streaming_bulk(
                self.client, actions, chunk_size=BULK, raise_on_error=False, max_retries=5, initial_backoff=1
            )
            for fine, answer in answers:
                (result,) = answer.values()
                if not fine and result["status"] != 404:  # to delete what is gone already is no failure
                    error = result.get("error", result["status"])
                    refused[result["_id"]] = error.get("reason", str(error)) if isinstance(error, dict) else str(error)
        return refused

    def _actions(
        self, corpus: Corpus, stored: dict[str, str], tick: Callable[[int], object]
    ) -> Iterator[dict[str, Any]]:
        """What must be done, in the bulk helper's words."""
        for document_id in stored.keys() - set(corpus.ids):
            yield {"_op_type": "delete", "_index": self.index, "_id": document_id}
        tokenize = self._tokenizer()
        for start in range(0, len(corpus), BULK):
            sources = {}
            for position, document in enumerate(corpus[start : start + BULK], start=start):
                source = _source(position, document, " ".join(tokenize(document.content)))
                if stored.get(document.id) != source["digest"]:
                    sources[document.id] = source
            if self.embedder and sources:
                vectors = self.embedder.encode([corpus[document_id].content for document_id in sources])
                for source, vector in zip(sources.values(), vectors.tolist(), strict=True):
                    source["vector"] = vector
            for document_id, source in sources.items():
                yield {"_op_type": "index", "_index": self.index, "_id": document_id, "_source": source}
            tick(min(BULK, len(corpus) - start))

    def _digests(self) -> Iterator[tuple[str, str]]:
        self.client.indices.refresh(index=self.index)  # else what an interrupted fit has sent might not be seen yet
        for hit in self._pages({"sort": [{"id": "asc"}], "_source": ["digest"]}, PAGE):
            yield hit["_id"], hit["_source"].get("digest", "")

    def _documents(self, total: int | None) -> Iterator[Document]:
        """All documents, in order, as the server has them; an error unless they are `total`, the number at the last
        fit's end."""
        if total != self.client.count(index=self.index)["count"]:
            raise RuntimeError(f"the index {self.index!r} is not complete: call fit(corpus) to end what was begun")
        pages = self._pages({"sort": [{"position": "asc"}], "_source": ["document"]}, 1000)
        for hit in tqdm(pages, total=total, desc="reading", unit=" documents", disable=total < PROGRESS_FROM):
            yield Document(**hit["_source"]["document"])

    def _pages(self, body: dict[str, Any], size: int) -> Iterator[dict[str, Any]]:
        """Every document, page by page: each page begins after the last one's end."""
        after = {}
        while hits := self.client.search(index=self.index, body=body | after | {"size": size})["hits"]["hits"]:
            yield from hits
            after = {"search_after": hits[-1]["sort"]}

    # Searching.

    def _check_fitted(self) -> None:
        if self.corpus is None:
            raise RuntimeError(
                "ElasticsearchRetriever has no corpus yet: call fit(corpus), or for an index that is on the server "
                "ElasticsearchRetriever.open(url, index)"
            )

    def _check_words(self, query: str) -> None:
        self._terms(query) if self.mode == "bm25" else self._check_query(query)

    def _document(self, document_id: str) -> Document:
        if document_id not in self.corpus:
            raise self._changed(f"it found {document_id!r}")
        return self.corpus[document_id]

    def _rank(self, queries: Sequence[str], mode: str, k: int) -> list[list[tuple[str, float]]]:
        """Document ids and scores for each query, best first."""
        if mode == "hybrid":
            return [self._fuse(parts)[:k] for parts in self._parts(queries)]
        bodies: list[dict | None] = [None] * len(queries)
        if mode == "bm25":
            tokens = [list(map(as_token, self.analyzer(query))) for query in queries]
            bodies = [{"query": self._match(of_query)} if of_query else None for of_query in tokens]
        elif any(query.strip() for query in queries):
            k = min(k, PAGE)
            vectors = self.embedder.encode(queries).tolist()
            bodies = [
                {"knn": self._nearest(vector, k)} if query.strip() else None
                for query, vector in zip(queries, vectors, strict=True)
            ]
        asked = [body | {"size": min(k, PAGE)} for body in bodies if body]
        answers = iter(self._run(asked, k))
        rankings = [next(answers) if body else [] for body in bodies]
        if mode == "knn":
            rankings = [[(id, _cosine(score)) for id, score in ranking] for ranking in rankings]
        return rankings

    def _parts(self, queries: Sequence[str]) -> list[dict[str, list[tuple[str, float]]]]:
        """For each query the two rankings that are fused."""
        found = {mode: self._rank(queries, mode, self.depth) for mode in ("bm25", "knn")}
        return [dict(zip(found, of_query, strict=True)) for of_query in zip(*found.values(), strict=True)]

    def _fuse(self, parts: dict[str, list[tuple[str, float]]]) -> list[tuple[str, float]]:
        fused: Counter[str] = Counter()
        for given in rank_fusion([[id for id, _ in ranking] for ranking in parts.values()], [1 / 2, 1 / 2], self.rrf_k):
            for document_id, value in given.items():
                fused[document_id] += value
        position = lambda id: self.corpus.position(self._document(id).id)
        return sorted(fused.items(), key=lambda item: (-item[1], position(item[0])))

    @staticmethod
    def _match(tokens: Sequence[str]) -> dict[str, Any]:
        return {"match": {"terms": " ".join(tokens)}}

    @staticmethod
    def _nearest(vector: Sequence[float], k: int) -> dict[str, Any]:
        return {"field": "vector", "query_vector": vector, "k": k, "num_candidates": min(PAGE, max(100, 2 * k))}

    def _run(self, bodies: Sequence[dict], k: int) -> list[list[tuple[str, float]]]:
        """The hits of each search: many searches in one request, and a search of more than 10,000 hits in several."""
        # A shard counts its own documents only, and its idf would depend on how the corpus is cut into shards. "dfs"
        # collects the counts of all shards first. (With vectors there is nothing to count, and no choice.)
        header = lambda body: {"index": self.index} | ({} if "knn" in body else {"search_type": "dfs_query_then_fetch"})
        common = {"_source": False, "sort": ["_score", {"position": "asc"}]}
        found: list[list[tuple[str, float]]] = [[] for _ in bodies]
        pending = {number: common | body for number, body in enumerate(bodies)}
        while pending:
            part = dict(list(pending.items())[:TOGETHER])
            with self._explained():
                lines = [line for body in part.values() for line in (header(body), body)]
                answers = self.client.msearch(searches=lines)["responses"]
            for (number, body), answer in zip(part.items(), answers, strict=True):
                hits = self._hits(answer)
                found[number] += [(hit["_id"], hit["_score"]) for hit in hits]
                del pending[number]
                if len(hits) == PAGE and len(found[number]) < k and "knn" not in body:
                    pending[number] = body | {"search_after": hits[-1]["sort"]}
        return [ranking[:k] for ranking in found]

    def _hits(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        if "error" in answer:
            error = answer["error"]
            if error.get("type") == "index_not_found_exception":
                raise self._no_index()
            causes = error.get("root_cause") or [error]
            raise RuntimeError(f"the server {self.url} refused the search: {causes[0].get('reason', error)}")
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise RuntimeError(f"a part of the index {self.index!r} did not answer, so hits may be missing: try again")
        return answer["hits"]["hits"]

    # Errors.

    def _changed(self, what: str) -> Exception:
        return RuntimeError(
            f"the index {self.index!r} has been changed by another program ({what}): open it again, or call fit(corpus)"
        )

    def _no_index(self) -> Exception:
        return ValueError(f"{self.url} has no index {self.index!r} (any more): call fit(corpus) to make it")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The client's errors as ones that say what to do. Neither has credentials in it."""
        import elasticsearch as es

        try:
            yield
        except es.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise ConnectionError(
                    f"no encrypted connection to {self.url} could be made ({_reason(error)}): does it speak https?"
                ) from None
            raise ConnectionError(
                f"the certificate of {self.url} is not trusted ({_reason(error)}): give ca_certs=, the file of the "
                "authority that signed it"
            ) from None
        except es.ConnectionTimeout:
            raise TimeoutError(
                f"{self.url} did not answer within {self.timeout:g} seconds: look at the server, or raise timeout=…; "
                "a fit that was interrupted goes on where it stopped"
            ) from None
        except es.ConnectionError as error:
            raise ConnectionError(
                f"there is no server at {self.url} ({_reason(error)}): start it, or mend the URL; "
                "a fit that was interrupted goes on where it stopped"
            ) from None
        except es.AuthenticationException:
            raise PermissionError(
                f"{self.url} does not accept the credentials: set ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USER and "
                "ELASTICSEARCH_PASSWORD, before the retriever is made"
            ) from None
        except es.AuthorizationException:
            raise PermissionError(
                f"these credentials may not do this with {self.index!r} on {self.url}: ask for the right"
            ) from None
        except es.NotFoundError:
            raise self._no_index() from None
        except es.ApiError as error:
            raise RuntimeError(f"the server {self.url} refused: {_reason(error)}") from None
        except es.TransportError as error:
            raise RuntimeError(f"{self.url} gave no answer that can be read: {_reason(error)}") from None


def _client(url: str, timeout: float, ca_certs: str | Path | None):
    try:
        from elasticsearch import Elasticsearch
    except ModuleNotFoundError:
        raise ModuleNotFoundError("this needs the client: run  pip install 'ragedu[elasticsearch]'") from None
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "the URL must not hold user and password, which would be shown and saved: set ELASTICSEARCH_USER and "
            "ELASTICSEARCH_PASSWORD, or ELASTICSEARCH_API_KEY"
        )
    credentials = _credentials()
    if credentials and parts.scheme == "http" and not _is_here(url):
        raise ValueError(
            f"{url} is not encrypted, and your credentials could be read on the way: write https://, or take "
            "ELASTICSEARCH_… out of the environment"
        )
    # The client tries again where a connection breaks, and logs each time with a traceback. Where nobody has asked for
    # logs, Python would print that; what is wrong in the end is told by the error.
    logging.getLogger("elastic_transport").addHandler(logging.NullHandler())
    return Elasticsearch(url, request_timeout=timeout, ca_certs=ca_certs and str(ca_certs), **credentials)


def _credentials() -> dict[str, Any]:
    key, user, password = (os.environ.get(f"ELASTICSEARCH_{name}") for name in ("API_KEY", "USER", "PASSWORD"))
    if key:
        return {"api_key": key}
    if bool(user) != bool(password):
        raise ValueError("set both ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD, or ELASTICSEARCH_API_KEY")
    return {"basic_auth": (user, password)} if user else {}


def _is_here(url: str) -> bool:
    """Whether the server is on this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host) is not None


def _cosine(score: float) -> float:
    """The server makes (1 + cosine) / 2 of a cosine, lest a score be negative."""
    return 2 * score - 1


def _reason(error: Exception) -> str:
    return shorten(str(error), 200)


def _source(position: int, document: Document, terms: str) -> dict[str, Any]:
    """What the server keeps of a document, with a digest by which a second fit sees whether it has changed."""
    kept = {"id": document.id, "title": document.title, "text": document.text}
    kept["metadata"] = json.loads(metadata_json(document))
    source = {"id": document.id, "position": position, "terms": terms, "document": kept}
    content = json.dumps(source, sort_keys=True).encode()
    return source | {"digest": hashlib.blake2b(content, digest_size=16).hexdigest()}
