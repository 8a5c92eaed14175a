"""The index on an Elasticsearch server: how it is made, filled and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document
from ragedu.retrieval.embeddings import Embedder
from ragedu.retrieval.engine import metadata_json

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

DOCUMENTS_PER_REQUEST = 256  # that are sent
DOCUMENTS_PER_PAGE = 1000  # that are read back
DIGESTS_PER_PAGE = 10_000
PROGRESS_FROM_DOCUMENTS = 5_000  # fewer are sent before a progress bar would be read


class ServerIndex:
    """One index on a server: for each document what came from it, its terms, perhaps a vector, and a digest of these.

    How the index was made (the format, the analyzer, the model) is kept in its mapping, and with it the number of
    documents that the last fit has left: None while one is under way.
    """

    def __init__(self, client: Elasticsearch, name: str) -> None:
        self.client = client
        self.name = name

    def made(self) -> dict[str, Any] | None:
        """How the index was made; None if it is not there, {} if not by ragedu."""
        if not self.client.indices.exists(index=self.name):
            return None
        (answer,) = self.client.indices.get_mapping(index=self.name).values()
        return answer["mappings"].get("_meta", {}).get("ragedu", {})

    def create(self, made: dict[str, Any], shards: int, dimension: int | None) -> None:
        """Make the index, with room for vectors of this dimension, if any."""
        properties: dict[str, Any] = {
            "id": {"type": "keyword"},
            "position": {"type": "integer"},
            "digest": {"type": "keyword", "index": False},
            # The terms are ready: nothing is left to do but to cut at white space.
            "terms": {"type": "text", "analyzer": "whitespace"},
            "document": {"type": "object", "enabled": False},  # kept as it is, not searched
        }
        if dimension is not None:
            properties["vector"] = {
                "type": "dense_vector",
                "dims": dimension,
                "index": True,
                "similarity": "dot_product",
                "index_options": {"type": "hnsw"},
            }
        self.client.indices.create(
            index=self.name,
            settings={"number_of_shards": shards},
            mappings={"dynamic": "strict", "_meta": {"ragedu": made}, "properties": properties},
        )

    def mark(self, made: dict[str, Any], documents: int | None) -> None:
        """Note how many documents a fit has left, None while one is under way."""
        self.client.indices.put_mapping(index=self.name, meta={"ragedu": made | {"documents": documents}})

    def refresh(self) -> None:
        """Let searches see everything that was sent."""
        self.client.indices.refresh(index=self.name)

    def count(self) -> int:
        return self.client.count(index=self.name)["count"]

    def digests(self) -> dict[str, str]:
        """What is there: the digest of each document by its id."""
        self.refresh()  # else what an interrupted fit has sent might not be seen yet
        pages = self._pages({"sort": [{"id": "asc"}], "_source": ["digest"]}, DIGESTS_PER_PAGE)
        return {hit["_id"]: hit["_source"].get("digest", "") for hit in pages}

    def documents(self, total: int | None) -> Iterator[Document]:
        """All documents, in order. Raises RuntimeError unless they are `total`, the number at the last fit's end."""
        if total is None or total != self.count():
            raise RuntimeError(f"the index {self.name!r} is not complete: call fit(corpus) to end what was begun")
        pages = self._pages({"sort": [{"position": "asc"}], "_source": ["document"]}, DOCUMENTS_PER_PAGE)
        quiet = total < PROGRESS_FROM_DOCUMENTS
        for hit in tqdm(pages, total=total, desc="reading", unit=" documents", disable=quiet):
            yield Document(**hit["_source"]["document"])

    def send(
        self, corpus: Corpus, stored: dict[str, str], tokenize: Callable[[str], list[str]], embedder: Embedder | None
    ) -> dict[str, str]:
        """Bring the index from {id: digest} to the corpus; returns what the server refused and why."""
        from elasticsearch.helpers import streaming_bulk

        # The fewest requests: only what differs, and a few hundred documents in each. What the server has answered
        # for is safe, and the ids are the documents', so that to send one twice is to write it once.
        quiet = len(corpus) < PROGRESS_FROM_DOCUMENTS
        refused = {}
        with tqdm(total=len(corpus), desc="sending", unit=" documents", disable=quiet) as progress:
            answers = streaming_bulk(
                self.client,
                self._actions(corpus, stored, tokenize, embedder, progress.update),
                chunk_size=DOCUMENTS_PER_REQUEST,
                raise_on_error=False,
                max_retries=5,
                initial_backoff=1,
            )
            for fine, answer in answers:
                (result,) = answer.values()
                if not fine and result["status"] != 404:  # deleting what is gone already is not a failure
                    error = result.get("error", result["status"])
                    refused[result["_id"]] = error.get("reason", str(error)) if isinstance(error, dict) else str(error)
        return refused

    def _actions(
        self,
        corpus: Corpus,
        stored: dict[str, str],
        tokenize: Callable[[str], list[str]],
        embedder: Embedder | None,
        tick: Callable[[int], object],
    ) -> Iterator[dict[str, Any]]:
        """What must be done, in the bulk helper's words."""
        for document_id in stored.keys() - set(corpus.ids):
            yield {"_op_type": "delete", "_index": self.name, "_id": document_id}
        for start in range(0, len(corpus), DOCUMENTS_PER_REQUEST):
            part = corpus[start : start + DOCUMENTS_PER_REQUEST]
            sources = {}
            for position, document in enumerate(part, start=start):
                source = _source(position, document, " ".join(tokenize(document.content)))
                if stored.get(document.id) != source["digest"]:
                    sources[document.id] = source
            if embedder and sources:
                vectors = embedder.encode([corpus[document_id].content for document_id in sources])
                for source, vector in zip(sources.values(), vectors.tolist(), strict=True):
                    source["vector"] = vector
            for document_id, source in sources.items():
                yield {"_op_type": "index", "_index": self.name, "_id": document_id, "_source": source}
            tick(len(part))

    def _pages(self, body: dict[str, Any], size: int) -> Iterator[dict[str, Any]]:
        """Every document, page by page: each page begins after the last one's end."""
        after: dict[str, Any] = {}
        while hits := self.client.search(index=self.name, body=body | after | {"size": size})["hits"]["hits"]:
            yield from hits
            after = {"search_after": hits[-1]["sort"]}


def _source(position: int, document: Document, terms: str) -> dict[str, Any]:
    """What the server keeps of a document, with a digest by which a second fit sees whether it has changed."""
    kept = {"id": document.id, "title": document.title, "text": document.text}
    kept["metadata"] = json.loads(metadata_json(document))
    source = {"id": document.id, "position": position, "terms": terms, "document": kept}
    content = json.dumps(source, sort_keys=True).encode()
    return source | {"digest": hashlib.blake2b(content, digest_size=16).hexdigest()}
