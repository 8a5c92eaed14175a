"""Dense retrieval: sentence-transformers' vectors, FAISS's ranking, and a cache that remembers."""

import json
import os
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest
import torch
from tokenizers import normalizers

from ragedu import Corpus, DenseRetriever, Document
from ragedu.models import ModelUnavailable
from ragedu.retrieval import embeddings
from ragedu.retrieval.embeddings import Embedder, VectorCache
from ragedu.retrieval.storage import save_index

pytestmark = pytest.mark.model

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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folders of two models of one layer that differ in nothing but the pooling."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] ferry harbour bread lamp wall storm search".split()
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    torch.manual_seed(0)
    size = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    BertModel(BertConfig(vocab_size=len(words), initializer_range=1.0, **size)).save_pretrained(folder / "bert")
    for mode in ("mean", "cls"):
        modules = [Transformer(str(folder / "bert")), Pooling(16, mode), Normalize()]
        SentenceTransformer(modules=modules, device="cpu").save(str(folder / mode), create_model_card=False)
    return folder


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


@pytest.mark.parametrize("pooling, prompt", [("mean", ""), ("mean", "search "), ("cls", "")])
def test_an_explanation_adds_up_whatever_the_pooling_and_the_prompt(tiny, pooling, prompt):
    retriever = DenseRetriever(str(tiny / pooling), cache=False)
    retriever.embedder.model.prompts["ours"] = prompt
    retriever.embedder.model.default_prompt_name = "ours"
    retriever.fit(Corpus.from_texts(["ferry harbour", "bread lamp", "storm wall"]))
    explanation = retriever.explain("ferry bread storm", "0")
    assert sum(explanation.contributions.values()) == pytest.approx(explanation.score, abs=1e-5)
    assert ("cosine" in explanation.contributions) == (pooling == "cls")
    assert ("search" in explanation.contributions) == bool(prompt)


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

    def counting(self, batch, batch_size, tick):
        texts.extend(batch)
        return encode(self, batch, batch_size, tick)

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


def test_the_bar_moves_with_every_batch(tiny, monkeypatch):
    moves = []

    class Bar(embeddings.tqdm):
        def update(self, n=1):
            moves.append(n)
            return super().update(n)

    monkeypatch.setattr(embeddings, "tqdm", Bar)
    texts = [f"text number {number}" for number in range(embeddings.PROGRESS_FROM_TEXTS)]
    Embedder(tiny / "mean", cache=False).encode(texts)
    assert sum(moves) == len(texts) and max(moves) <= 32


def test_work_that_was_interrupted_is_kept(clean_cache, monkeypatch):
    texts = [f"text number {number}" for number in range(300)]
    embedder, batches = Embedder(), []

    def encode(batch, batch_size, tick):
        batches.append(len(batch))
        if len(batches) == 2:
            raise KeyboardInterrupt
        return np.ones((len(batch), embedder.dimension), np.float32)

    monkeypatch.setattr(embedder, "_encode", encode)
    with pytest.raises(KeyboardInterrupt):
        embedder.encode(texts)
    assert embedder.encode(texts).shape == (300, 384)
    assert batches == [256, 44, 44]


@pytest.fixture
def fit_tiny(tiny, harbour):
    """Fits a retriever with a small model and the cache, and checks its vectors, whatever the cache is like."""
    sound = Embedder(tiny / "mean", cache=False).encode([document.content for document in harbour])

    def fit(corpus=harbour):
        retriever = DenseRetriever(tiny / "mean").fit(corpus)
        np.testing.assert_allclose(retriever.embeddings, sound[: len(corpus)], atol=1e-6)
        return retriever

    return fit


def spoil_rows(value):
    """All vectors in the cache become this expression of SQL."""

    def spoil(file):
        with sqlite3.connect(file) as database:
            database.execute(f"UPDATE vectors SET vector = {value}")
        database.close()

    return spoil


def other_vectors(file):
    """Each row gets the vector of another."""
    with sqlite3.connect(file) as database:
        rows = database.execute("SELECT key, vector FROM vectors").fetchall()
        others = [(vector, key) for (key, _), (_, vector) in zip(rows, rows[1:] + rows[:1], strict=True)]
        database.executemany("UPDATE vectors SET vector = ? WHERE key = ?", others)
    database.close()


def into_a_folder(file):
    file.unlink()
    file.mkdir()


RUINED = "cannot be used .*, and we go on without it: "
ALTERED = "holds vectors that are not as they were stored: they are computed again"
SPOILT_CACHES = [
    pytest.param(lambda file: file.write_bytes(b"this is no database" * 100), f"{RUINED}delete that", id="nonsense"),
    pytest.param(lambda file: file.write_bytes(file.read_bytes()[:700]), f"{RUINED}delete that", id="truncated"),
    pytest.param(into_a_folder, f"{RUINED}check its permissions", id="folder"),
    *(
        pytest.param(spoil_rows(value), ALTERED, id=value)
        for value in ["zeroblob(1536)", "x'00'", "NULL", "7", "'text'"]
    ),
    pytest.param(spoil_rows("substr(vector, 1, 20)"), ALTERED, id="shorter"),
    pytest.param(spoil_rows("CAST(vector || x'00000000' AS BLOB)"), ALTERED, id="longer"),
    pytest.param(other_vectors, ALTERED, id="swapped"),
]


@pytest.mark.parametrize("spoil, told", SPOILT_CACHES)
def test_a_spoilt_cache_is_told_once_and_changes_nothing(spoil, told, clean_cache, fit_tiny):
    fit_tiny()
    spoil(clean_cache / "embeddings.sqlite")
    with pytest.warns(UserWarning, match=f"the cache of embeddings, .*embeddings.sqlite, {told}") as warned:
        assert fit_tiny().search("ferry", 3)
    assert len([warning for warning in warned if "cache" in str(warning.message)]) == 1


def test_altered_vectors_in_the_cache_are_replaced(clean_cache, counted, fit_tiny):
    fit_tiny()
    spoil_rows("x'00'")(clean_cache / "embeddings.sqlite")
    with pytest.warns(UserWarning, match=ALTERED):
        fit_tiny()
    counted.clear()
    fit_tiny()
    assert not counted


def test_vectors_of_earlier_versions_are_computed_again_without_a_word(clean_cache, counted, fit_tiny, recwarn):
    fit_tiny()
    spoil_rows("substr(vector, 1, length(vector) - 4)")(clean_cache / "embeddings.sqlite")  # they had no checksum
    counted.clear()
    fit_tiny()
    assert len(counted) == 8 and not [w for w in recwarn if "cache" in str(w.message)]


def refusing(file, allowed):
    """Open a database that can be read but not written, as for somebody else's file: root may write everywhere."""
    connect = sqlite3.connect

    def read_only(path, **options):
        return connect(f"file:{path}?mode=ro", uri=True, **options) if allowed else connect("/nowhere/at/all")

    return read_only


@pytest.mark.parametrize("readable", [True, False])
def test_a_cache_that_cannot_be_written(readable, clean_cache, counted, fit_tiny, harbour, monkeypatch):
    fit_tiny(harbour[:3])
    counted.clear()
    monkeypatch.setattr(sqlite3, "connect", refusing(clean_cache, readable))
    with pytest.warns(UserWarning, match=f"{RUINED}check its permissions and the space on the disk") as warned:
        fit_tiny().fit(harbour)
    assert len([warning for warning in warned if "cache" in str(warning.message)]) == 1
    assert len(counted) == (2 * 5 if readable else 2 * 8)


def test_a_cache_folder_that_cannot_be_made(tmp_path, monkeypatch, fit_tiny):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="embeddings are not kept: the cache folder .* cannot be written"):
        assert fit_tiny().search("ferry", 3)


@pytest.mark.parametrize(
    "begin, remedy",
    [
        ("BEGIN EXCLUSIVE", "another program is writing to it; try again"),
        ("ALTER TABLE vectors RENAME TO mine", "delete that file"),
    ],
)
def test_a_cache_that_cannot_be_used_says_what_to_do(begin, remedy, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "LOCK_TIMEOUT_SECONDS", 0.05)
    cache = VectorCache(tmp_path / "cache.sqlite")
    other = sqlite3.connect(tmp_path / "cache.sqlite", isolation_level=None)
    other.execute(begin)
    with pytest.warns(UserWarning, match=f"the cache of embeddings, .*cache.sqlite, {RUINED}{remedy}"):
        assert cache.get([b"x"]) == {}
    other.close()


def test_a_cache_without_a_folder_is_not_to_be_deleted(tmp_path):
    with pytest.warns(UserWarning, match="unable to open .*: check its permissions and the space on the disk"):
        VectorCache(tmp_path / "no such folder" / "cache.sqlite")


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
        np.testing.assert_allclose(embedder.encode(texts, batch_size=batch_size), theirs, atol=3e-6)
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


def test_models_that_differ_in_their_pooling_are_two(clean_cache, tiny, tmp_path):
    corpus = Corpus.from_texts(["ferry harbour", "bread lamp", "storm wall"])
    mean, cls = (DenseRetriever(str(tiny / pooling)).fit(corpus) for pooling in ("mean", "cls"))
    fresh = DenseRetriever(str(tiny / "cls"), cache=False).fit(corpus)
    np.testing.assert_allclose(cls.embeddings, fresh.embeddings, atol=1e-6)
    mean.save(tmp_path / "index")
    with pytest.raises(ValueError, match="was made by another model"):
        DenseRetriever.load(tmp_path / "index", model=str(tiny / "cls"))


def test_the_fingerprint_is_that_of_everything_that_makes_vectors(tiny, tmp_path):
    def remove_a_rule(model):
        model.tokenizer.backend_tokenizer.normalizer = normalizers.NFC()

    def learn_words(model):
        with torch.no_grad():
            model[0].auto_model.embeddings.word_embeddings.weight[5:] += 1

    changes = [
        lambda model: setattr(model, "max_seq_length", 5),
        lambda model: setattr(model[1], "pooling_mode", "max"),
        lambda model: setattr(model, "default_prompt_name", "ours"),
        learn_words,
    ]
    embedder = Embedder(str(tiny / "mean"), cache=False)
    embedder.model.prompts["ours"] = "search "
    seen = [embedder.fingerprint]
    embedder.encode(["ferry harbour", "storm"])
    assert embedder.fingerprint == seen[0] == embedder._digest()
    for change in changes:
        change(embedder.model)
        assert embedder.fingerprint not in seen
        seen.append(embedder.fingerprint)
    embedder.save(tmp_path / "saved")
    assert Embedder(str(tmp_path / "saved"), cache=False).fingerprint == embedder.fingerprint
    remove_a_rule(embedder.model)
    assert embedder._digest() not in seen


@pytest.mark.parametrize("name", ["trained-model-v1", "trained-model-"])
def test_a_model_of_ones_own_beside_the_index_stays(name, tiny, harbour, tmp_path):
    shutil.copytree(tiny / "mean", tmp_path / name)
    for _ in range(2):
        DenseRetriever(str(tmp_path / name), cache=False).fit(harbour).save(tmp_path)
    with pytest.warns(UserWarning, match="names a model elsewhere"):
        assert DenseRetriever.load(tmp_path, cache=False).search("ferry", 1)


def test_a_kept_model_is_where_its_index_was_saved_last(tiny, harbour, tmp_path):
    retriever = DenseRetriever(str(tiny / "mean"), cache=False)
    with torch.no_grad():
        retriever.embedder.model[0].auto_model.embeddings.word_embeddings.weight[5:] += 1
    retriever.fit(harbour).save(tmp_path)
    loaded = DenseRetriever.load(tmp_path, cache=False)
    loaded.save(tmp_path)
    again = DenseRetriever(loaded.embedder.name, cache=False)
    assert again.embedder.fingerprint == retriever.embedder.fingerprint
    assert len(list(tmp_path.glob("trained-model-*"))) == 1


def index_with_a_model(tiny, harbour, folder):
    """An index that keeps its trained model next to it; returns the model's folder."""
    retriever = DenseRetriever(str(tiny / "mean"), cache=False)
    with torch.no_grad():
        retriever.embedder.model[0].auto_model.embeddings.word_embeddings.weight[5:] += 1
    retriever.fit(harbour).save(folder)
    return next(folder.glob("trained-model-*"))


def steps_of(model, change):
    steps = json.loads((model / "modules.json").read_text("utf-8"))
    change(steps)
    (model / "modules.json").write_text(json.dumps(steps))


STRANGE_STEPS = [
    lambda steps: steps[0].update(type="evil.Transformer"),
    lambda steps: steps[-1].update(type="evil.Transformer"),
    lambda steps: steps[0].update(type="sentence_transformers_evil.models.Transformer"),
    lambda steps: steps[0].update(type="sentence_transformers.models.Transformer\n"),
    lambda steps: steps[0].update(type="os.system"),
    lambda steps: steps[0].update(type=None),
    lambda steps: steps[0].update(path="../elsewhere"),
    lambda steps: steps[1].update(path="/tmp"),
    lambda steps: steps[0].pop("type"),
    lambda steps: steps.append("evil"),
]


@pytest.mark.parametrize("change", STRANGE_STEPS)
def test_code_that_a_model_brings_is_not_run(change, tiny, harbour, tmp_path, monkeypatch):
    model = index_with_a_model(tiny, harbour, tmp_path / "index")
    steps_of(model, change)
    (model / "evil.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nclass Transformer: pass\n")
    monkeypatch.syspath_prepend(model)
    monkeypatch.setattr("ragedu.retrieval.dense.Embedder", None)  # it is not even asked
    with pytest.raises(ValueError, match="would run code that is not part of sentence-transformers|is damaged"):
        DenseRetriever.load(tmp_path / "index", cache=False)
    for name in (str(model), "elsewhere"):  # nor where an index names the model somewhere else
        if name == "elsewhere":
            name = str(shutil.copytree(model, tmp_path / "elsewhere"))
        with pytest.raises(ValueError, match="would run code|is damaged"):
            DenseRetriever.load(tmp_path / "index", model=name, cache=False)
    assert not (tmp_path / "sprung").exists()


def test_code_that_a_router_chooses_is_not_run(tiny, harbour, tmp_path):
    model = index_with_a_model(tiny, harbour, tmp_path / "index")
    steps_of(model, lambda steps: steps[1].update(type="sentence_transformers.base.modules.router.Router"))
    (model / "1_Pooling" / "router_config.json").write_text(json.dumps({"types": {"query": "evil.Transformer"}}))
    with pytest.raises(ValueError, match="code that is not part of sentence-transformers .'evil.Transformer'"):
        DenseRetriever.load(tmp_path / "index", cache=False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes and links")
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "modules.json", "1_Pooling"])
@pytest.mark.parametrize("what", ["pipe", "device", "link"])
def test_a_kept_model_has_regular_files_only(what, name, tiny, harbour, tmp_path):
    model = index_with_a_model(tiny, harbour, tmp_path / "index")
    (model / name).rename(tmp_path / "aside")
    if what == "pipe":
        os.mkfifo(model / name)
    else:
        (model / name).symlink_to("/dev/zero" if what == "device" else tmp_path / "aside")
    with pytest.raises(ValueError, match="is no regular file: fit the retriever again"):
        DenseRetriever.load(tmp_path / "index", cache=False)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "modules.json", "tokenizer.json"])
def test_a_damaged_kept_model(name, tiny, harbour, tmp_path):
    model = index_with_a_model(tiny, harbour, tmp_path / "index")
    content = (model / name).read_bytes()
    for damaged in (b"", content[:-9], b"[" * 100):
        (model / name).write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged|made by another model") as caught:
            DenseRetriever.load(tmp_path / "index", cache=False)
        assert "\n" not in str(caught.value)
    (model / name).write_bytes(content)
    assert DenseRetriever.load(tmp_path / "index", cache=False).search("ferry", 1)
    shutil.rmtree(model)
    with pytest.raises(FileNotFoundError, match=f"lacks its {model.name}: fit the retriever again and save it"):
        DenseRetriever.load(tmp_path / "index", cache=False)


def test_a_model_elsewhere_is_named(tiny, harbour, tmp_path, recwarn):
    DenseRetriever(str(tiny / "mean"), cache=False).fit(harbour).save(tmp_path / "index")
    with pytest.warns(
        UserWarning, match=r"names a model elsewhere, '.*mean', which is loaded now: .*load\(folder, model=…"
    ):
        DenseRetriever.load(tmp_path / "index", cache=False)
    recwarn.clear()
    DenseRetriever.load(tmp_path / "index", model=str(tiny / "mean"), cache=False)  # the caller has said which
    index_with_a_model(tiny, harbour, tmp_path / "kept")
    DenseRetriever.load(tmp_path / "kept", cache=False)
    assert not [warning for warning in recwarn if "elsewhere" in str(warning.message)]


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


def test_one_thread_at_a_time_is_in_the_model(embedder, monkeypatch):
    """They share the tokenizer's padding: counting tokens turns it off, encoding turns it on."""
    inside, together = [], []
    encode = type(embedder.model).encode

    def watched(model, texts, **options):
        inside.append(texts)
        time.sleep(0.01)
        together.append(len(inside))
        try:
            return encode(model, texts, **options)
        finally:
            inside.remove(texts)

    monkeypatch.setattr(type(embedder.model), "encode", watched)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: embedder.encode([f"ferry {number}"]), range(16)))
    assert together == [1] * 16


def test_eight_threads_encode_as_one_does(embedder):
    texts = [f"{'word ' * (number % 23)}ferry {number}" for number in range(96)]
    expected = embedder.encode(texts)
    parts = [list(range(thread, len(texts), 8)) for thread in range(8)]

    def encode_often(part):
        for _ in range(3):
            got = embedder.encode([texts[number] for number in part], batch_size=4)
            np.testing.assert_allclose(got, expected[part], atol=1e-5)
        embedder.word_pieces(texts[part[0]])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(encode_often, parts))
