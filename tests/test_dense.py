"""Dense retrieval: sentence-transformers' vectors, FAISS's ranking, and a cache that remembers."""

import faiss
import numpy as np
import pytest

from ragedu import Corpus, DenseRetriever, Document
from ragedu.models import ModelUnavailable
from ragedu.retrieval.embeddings import Embedder, VectorCache
from ragedu.retrieval.storage import save_index

QUERIES = [
    "When does the boat to the island depart?",
    "Who looks after the light?",
    "fresh rolls in the morning",
    "how thick is the wall",
]


@pytest.fixture(scope="module")
def dense(harbour, embedder):
    retriever = DenseRetriever(cache=False)
    retriever.embedder = embedder
    return retriever.fit(harbour)


@pytest.fixture
def clean_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# Agreement.


def test_vectors_are_those_of_sentence_transformers(dense, harbour, embedder):
    texts = [document.content for document in harbour]
    theirs = np.stack([embedder.model.encode(text) for text in texts])
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    assert dense.embeddings.dtype == np.float32 and dense.embeddings.shape == (8, 384)
    np.testing.assert_allclose(dense.embeddings, theirs, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(dense.embeddings, axis=1), 1, atol=1e-6)


def test_ranking_is_that_of_faiss_and_numpy(dense, embedder, harbour):
    index = faiss.IndexFlatIP(384)
    index.add(dense.embeddings)
    queries = embedder.model.encode(QUERIES, normalize_embeddings=True)
    theirs, positions = index.search(queries, 5)
    for query, vector, scores, row in zip(QUERIES, queries, theirs, positions, strict=True):
        hits = dense.search(query, 5)
        assert [harbour.position(hit.document.id) for hit in hits] == row.tolist()
        np.testing.assert_allclose([hit.score for hit in hits], scores, atol=2e-6)
        np.testing.assert_allclose(dense.scores(query), dense.embeddings @ vector, atol=2e-6)
        assert row.tolist() == np.argsort(-dense.scores(query), kind="stable")[:5].tolist()


def test_meaning_is_found_without_a_word_in_common(dense):
    best = [dense.search(query, 1)[0].document.id for query in QUERIES]
    assert best == ["ferry", "keeper", "bakery", "wall"]


def test_search_many_is_search(dense):
    together = dense.search_many(QUERIES, 4)
    for query, hits in zip(QUERIES, together, strict=True):
        alone = dense.search(query, 4)
        assert [hit.document.id for hit in hits] == [hit.document.id for hit in alone]
        np.testing.assert_allclose([h.score for h in hits], [h.score for h in alone], atol=2e-6)
        assert [hit.rank for hit in hits] == [1, 2, 3, 4]


def test_cosines(dense, harbour):
    for document in harbour:
        scores = dense.scores(document.content)
        assert (np.abs(scores) <= 1 + 1e-6).all()
        assert scores[harbour.position(document.id)] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("query", [*QUERIES, "the the harbour harbour", "한국어 질문", "x"])
def test_shares_of_word_pieces_add_up_to_the_cosine(dense, query):
    for hit in dense.search(query, 3):
        explanation = dense.explain(query, hit.document.id)
        assert sum(explanation.contributions.values()) == pytest.approx(hit.score, abs=1e-5)
        assert explanation.score == pytest.approx(hit.score, abs=1e-6)
    assert {"[CLS]", "[SEP]"} < set(explanation.contributions)


def test_a_query_longer_than_the_model_reads_is_explained_by_what_it_reads(dense):
    query = "harbour wall granite " * 200
    explanation = dense.explain(query, "wall")
    assert sum(explanation.contributions.values()) == pytest.approx(explanation.score, abs=1e-5)


def test_equal_documents_stay_in_the_order_of_the_corpus(make_dense):
    ids = [f"d{(7 * number) % 150:03}" for number in range(150)]
    corpus = Corpus(Document(id, "a lamp" if number % 3 else "bread") for number, id in enumerate(ids))
    retriever = make_dense().fit(corpus)
    lamps = [id for number, id in enumerate(ids) if number % 3]
    for k in (1, 3, 17, 99, 100, 120):
        found = [hit.document.id for hit in retriever.search("a lamp", k)]
        assert found[:100] == lamps[:k]
    # "bread" pushes lamps out of the first 60: those that come last in the corpus, and no others.
    for hits in [retriever.search("bread", 60), *retriever.search_many(["bread"] * 30, 60)]:
        assert [hit.document.id for hit in hits][50:] == lamps[:10]
    for hits in retriever.search_many(["a lamp"] * 30, 9):
        assert [hit.document.id for hit in hits] == lamps[:9]


# The cache.


@pytest.fixture
def counted(monkeypatch):
    """The texts that were really encoded."""
    texts, encode = [], Embedder._encode

    def counting(self, batch, batch_size):
        texts.extend(batch)
        return encode(self, batch, batch_size)

    monkeypatch.setattr(Embedder, "_encode", counting)
    return texts


def test_a_text_is_encoded_once(clean_cache, counted, harbour):
    first = DenseRetriever().fit(harbour)
    assert sorted(counted) == sorted(document.content for document in harbour)
    counted.clear()
    changed = Corpus([*harbour[:3], Document("new", "A new document."), *harbour[3:]])
    second = DenseRetriever().fit(changed)
    assert counted == ["A new document."]
    np.testing.assert_array_equal(np.delete(second.embeddings, 3, axis=0), first.embeddings)
    counted.clear()
    same = Corpus(Document(str(number), "the same text") for number in range(5))
    assert len(second.fit(same).embeddings) == 5 and counted == ["the same text"]
    assert (clean_cache / "embeddings.sqlite").is_file()


def test_without_a_cache_nothing_is_written(clean_cache, counted, make_dense, harbour):
    make_dense().fit(harbour)
    make_dense().fit(harbour)
    assert len(counted) == 16 and not (clean_cache / "embeddings.sqlite").exists()


def test_work_that_was_interrupted_is_kept(clean_cache, monkeypatch):
    texts = [f"text number {number}" for number in range(300)]
    embedder, batches = Embedder(), []

    def encode(batch, batch_size):
        batches.append(len(batch))
        if len(batches) == 2:
            raise KeyboardInterrupt
        return np.ones((len(batch), embedder.dimension), np.float32)

    monkeypatch.setattr(embedder, "_encode", encode)
    with pytest.raises(KeyboardInterrupt):
        embedder.encode(texts)
    assert embedder.encode(texts).shape == (300, 384)
    assert batches == [256, 44, 44]


def test_a_corrupted_cache_is_one_clear_sentence(clean_cache, harbour):
    clean_cache.mkdir()
    (clean_cache / "embeddings.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(OSError, match=r"the cache of embeddings, .*embeddings.sqlite, cannot be used .*: delete that"):
        DenseRetriever().fit(harbour)
    (clean_cache / "embeddings.sqlite").unlink()
    assert DenseRetriever().fit(harbour).search(QUERIES[0], 1)[0].document.id == "ferry"


def test_vectors_come_back_from_the_cache_as_they_went_in(tmp_path):
    vectors = {bytes([a, b]): np.random.default_rng(a).random(5, np.float32) for a in range(40) for b in range(40)}
    VectorCache(tmp_path / "cache.sqlite").put(vectors)
    found = VectorCache(tmp_path / "cache.sqlite").get([*vectors, b"unknown"])
    assert found.keys() == vectors.keys()
    assert all(np.array_equal(found[key], vectors[key]) for key in vectors)


def test_texts_of_all_lengths_in_any_order(embedder):
    words = "the ferry to gull rock leaves the east quay at nine and again at noon".split()
    texts = ["", "!", *(" ".join(words[n % 5 :] * (1 + n % 37)) for n in range(60)), "ferry " * 2000]
    theirs = embedder.model.encode(texts, normalize_embeddings=True)
    for batch_size in (3, 32):
        np.testing.assert_allclose(embedder.encode(texts, batch_size), theirs, atol=3e-6)
    assert embedder.encode([]).shape == (0, 384)


# Indexes of other models.


def save_as_dense(folder, corpus, dimension, fingerprint):
    vectors = np.ones((len(corpus), dimension), np.float32)
    settings = {"model": "all-MiniLM-L6-v2", "fingerprint": fingerprint}
    save_index(folder, "DenseRetriever", settings, {"embeddings": vectors}, corpus)


def test_an_index_of_another_model_is_refused(clean_cache, harbour, embedder, tmp_path):
    save_as_dense(tmp_path / "index", harbour, 384, "0" * 32)
    with pytest.raises(
        ValueError, match=r"was made by another model \(all-MiniLM-L6-v2, other weights than .*: load it"
    ):
        DenseRetriever.load(tmp_path / "index")
    save_as_dense(tmp_path / "index", harbour, 100, embedder.fingerprint)
    with pytest.raises(ValueError, match="has vectors of 100 dimensions, but all-MiniLM-L6-v2 makes 384: load it with"):
        DenseRetriever.load(tmp_path / "index")


@pytest.mark.parametrize("name", ["no-such/model", "no-such-model"])
def test_an_unknown_model_is_one_line(name, harbour):
    with pytest.raises(
        ModelUnavailable, match=f"the embedding model '{name}' cannot be loaded .* use all-MiniLM"
    ) as error:
        DenseRetriever(name).fit(harbour)
    assert "\n" not in str(error.value)


# Bad input.


@pytest.mark.parametrize(
    "query, error, message",
    [
        ("", ValueError, "the query '' is blank: ask with at least one word"),
        (" \n", ValueError, "is blank"),
        (17, TypeError, "a query must be a string, not int"),
        ("a\0", ValueError, "a query has a NUL"),
        ("\ud800", ValueError, "a query has a lone surrogate"),
    ],
)
def test_bad_queries(dense, query, error, message):
    for ask in (dense.search, dense.scores, lambda q: dense.explain(q, "wall")):
        with pytest.raises(error, match=message):
            ask(query)


def test_batches(dense):
    found = dense.search_many(["", QUERIES[0], " "], 1)
    assert [[hit.document.id for hit in hits] for hits in found] == [[], ["ferry"], []]
    assert dense.search_many([]) == [] and len(dense.search_many(q for q in QUERIES)) == 4
    assert len(dense.search_many(np.array(QUERIES), 1)) == 4
    assert len(dense.search("lamp", 1000)) == 8
    assert len(dense.search("the of")) == 8  # stop words are words here: a sentence may consist of them
    with pytest.raises(TypeError, match="not one string"):
        dense.search_many("lamp")
    for k in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="k must be a whole number"):
            dense.search("lamp", k)


def test_corpora(make_dense):
    with pytest.raises(ValueError, match="the corpus is empty"):
        make_dense().fit(Corpus([]))
    with pytest.raises(TypeError, match="fit takes a Corpus, not list"):
        make_dense().fit(["text"])
    assert make_dense().fit(Corpus.from_texts(["only one"])).search("one", 5)[0].document.id == "0"


def test_an_unfitted_retriever_says_so(make_dense, tmp_path):
    retriever = make_dense()
    for ask in (
        lambda: retriever.search("lamp"),
        lambda: retriever.search_many(["lamp"]),
        lambda: retriever.scores("lamp"),
        lambda: retriever.explain("lamp", "wall"),
        lambda: retriever.save(tmp_path / "index"),
    ):
        with pytest.raises(RuntimeError, match="DenseRetriever has no corpus yet: call fit"):
            ask()
