"""Training a dense retriever: the loss, what is trained on, and that an interruption costs nothing."""

import errno
import json
import math
import os
import tempfile
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from ragedu import BM25Retriever, Corpus, Dataset, DenseRetriever, Document, evaluate
from ragedu.models import embedding_model_folder
from ragedu.retrieval.checkpoint import CHECKPOINT_FILE
from ragedu.retrieval.contrastive import batches, check_pairs, contrastive_loss, embed, hard_negatives, train
from ragedu.retrieval.embeddings import Embedder

pytestmark = pytest.mark.model

PAIRS = [(f"Where is ship number {n}?", f"Ship number {n} lies at quay {n * 7 % 12}.") for n in range(12)]
TRIPLES = [(question, passage, f"The tide table of day {n}.") for n, (question, passage) in enumerate(PAIRS)]


def make_tiny(folder, seed):
    """The folder of a model of two small layers with random weights, which trains in no time."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(embedding_model_folder())
    torch.manual_seed(seed)
    size = dict(hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2)
    BertModel(BertConfig(vocab_size=len(tokenizer), **size)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), seed=0)


@pytest.fixture
def model(tiny):
    return Embedder(tiny, cache=False)


def weights(embedder):
    return {name: tensor.clone() for name, tensor in embedder.model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


# The loss.


def test_the_loss_by_hand():
    questions = torch.tensor([[1.0, 0.0], [0.0, 5.0]])
    passages = torch.tensor([[2.0, 0.0], [3.0, 3.0], [0.0, -1.0]])  # the third is a hard negative
    half = math.sqrt(0.5)  # the cosine of 45 degrees
    first = math.log(math.exp(1 / 0.5) + math.exp(half / 0.5) + math.exp(0 / 0.5)) - 1 / 0.5
    second = math.log(math.exp(0 / 0.5) + math.exp(half / 0.5) + math.exp(-1 / 0.5)) - half / 0.5
    assert contrastive_loss(questions, passages, temperature=0.5).item() == pytest.approx(
        (first + second) / 2, abs=1e-6
    )


@pytest.mark.parametrize("columns", [2, 3])
def test_the_loss_is_that_of_sentence_transformers(model, columns):
    texts = [list(column) for column in zip(*TRIPLES, strict=True)][:columns]
    theirs = MultipleNegativesRankingLoss(model.model, scale=1 / 0.07)([model.model.preprocess(t) for t in texts], None)
    ours = contrastive_loss(embed(model, texts[0]), embed(model, sum(texts[1:], [])), temperature=0.07)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)


def test_the_gradient_pulls_the_right_passage_and_pushes_the_others():
    questions = torch.randn(4, 8, generator=torch.manual_seed(0))
    passages = torch.randn(6, 8, generator=torch.manual_seed(1)).requires_grad_()
    contrastive_loss(questions, passages).backward()
    towards = -(passages.grad @ torch.nn.functional.normalize(questions, dim=-1).T)
    assert (towards.diagonal() > 0).all() and (towards.sum(dim=1)[4:] < 0).all()


# Batches.


@given(st.integers(0, 1000), st.integers(2, 7), st.integers(1, 40))
def test_every_pair_once_before_any_twice_and_no_text_twice_in_a_batch(seed, batch_size, number):
    dice = Random(number)
    pairs = [(f"q{n}", f"p{dice.randrange(1 + number // 2)}") for n in range(number)] + [("x", "y", "z")]
    made = list(batches(pairs, 2 * len(pairs), batch_size, seed))
    for batch in made:
        texts = [text for pair in batch for text in pair]
        assert len(texts) == len(set(texts)) and 1 <= len(batch) <= batch_size
    seen = [pair for batch in made for pair in batch]
    alone = 1 + len({pair[1] for pair in pairs[:-1]})  # one of each may be left over at the end of a round
    assert len(set(seen[: len(pairs) - 1])) >= min(len(seen), len(pairs) - alone)
    assert list(batches(pairs, 2 * len(pairs), batch_size, seed, skip=3)) == made[3:]


def test_batches_are_full_and_shuffled_anew():
    first, second, third, fourth = batches(PAIRS, 4, 6, seed=0)
    assert {*first, *second} == {*third, *fourth} == set(PAIRS)
    assert first != third and first != next(batches(PAIRS, 4, 6, seed=1))


# Training.


def test_training_lifts_the_ranking(embedder_of_one_test, harbour):
    """The meaning of a code is nothing that the model could know."""
    codes = ["aleph", "beth", "gimel", "daleth", "he", "waw", "zayin", "heth"]
    corpus = Corpus(Document(d.id, d.text) for d in harbour)
    asked = {code: f"What does the signal {code} mean?" for code in codes}
    learned = [(f"signal {code}", d.text) for code, d in zip(codes, corpus, strict=True)]
    dataset = Dataset(corpus, asked, qrels={code: {d.id: 1} for code, d in zip(codes, corpus, strict=True)})
    retriever = DenseRetriever(cache=False)
    retriever.embedder = embedder_of_one_test
    before = evaluate(retriever, dataset, metrics=["mrr@10"], progress=False)["mrr@10"]
    losses = retriever.train(learned, steps=12, batch_size=8, learning_rate=3e-4)
    after = evaluate(retriever, dataset, metrics=["mrr@10"], progress=False)["mrr@10"]
    assert losses[-1] < losses[0] / 2 and before < 0.6 < 0.9 < after


@pytest.fixture
def embedder_of_one_test():
    return Embedder(cache=False)


def test_the_same_seed_gives_the_same_losses(tiny):
    runs = [
        train(Embedder(tiny, cache=False), TRIPLES, 6, batch_size=4, learning_rate=1e-3, seed=seed)
        for seed in (3, 3, 4)
    ]
    assert runs[0] == runs[1] != runs[2] and len(runs[0]) == 6


def test_one_pass_is_the_default(model):
    assert len(train(model, iter(PAIRS), batch_size=5)) == 3


def test_one_pass_sees_every_pair_though_many_share_a_passage(model, monkeypatch):
    pairs = [(f"Question {n}?", f"Passage {n % 2}.") for n in range(24)]
    seen = []
    loss = lambda embedder, batch, _: seen.extend(batch) or embed(embedder, [batch[0][0]]).sum()
    monkeypatch.setattr("ragedu.retrieval.contrastive.batch_loss", loss)
    assert len(train(model, pairs)) == 12
    assert sorted(seen) == sorted(pairs)


def test_documents_are_read_with_their_titles(tiny):
    first, second = (Embedder(tiny, cache=False) for _ in range(2))
    documents = [(q, Document("d", p, "Title"), Document("e", n, "")) for q, p, n in TRIPLES]
    texts = [(q, f"Title\n{p}", n) for q, p, n in TRIPLES]
    assert train(first, documents, 3, batch_size=4) == train(second, texts, 3, batch_size=4)


def interrupt(at):
    def after_step(step, loss):
        if step == at:
            raise KeyboardInterrupt

    return after_step


def test_an_interrupted_training_goes_on_where_it_was(tiny, tmp_path):
    whole = Embedder(tiny, cache=False)
    at_4 = {}
    losses = train(
        whole,
        TRIPLES,
        9,
        batch_size=4,
        learning_rate=1e-3,
        after_step=lambda step, _: at_4.update({step: weights(whole)}),
    )

    model = Embedder(tiny, cache=False)
    with pytest.raises(KeyboardInterrupt):
        train(model, TRIPLES, 9, batch_size=4, learning_rate=1e-3, folder=tmp_path / "run", after_step=interrupt(4))
    assert same(weights(model), at_4[4])  # it keeps what it has learned,
    assert model.encode(["Where?"]).shape == (1, 24)  # and can be used
    assert train(model, TRIPLES, 9, batch_size=4, learning_rate=1e-3, folder=tmp_path / "run") == losses
    assert same(weights(model), weights(whole))

    with pytest.raises(KeyboardInterrupt):
        train(
            Embedder(tiny, cache=False),
            TRIPLES,
            9,
            batch_size=4,
            learning_rate=1e-3,
            folder=tmp_path / "other",
            after_step=interrupt(7),
        )
    fresh = Embedder(tiny, cache=False)  # as another process would have it
    assert train(fresh, TRIPLES, 9, batch_size=4, learning_rate=1e-3, folder=tmp_path / "other") == losses
    assert same(weights(fresh), weights(whole))
    assert not (tmp_path / "other" / CHECKPOINT_FILE).exists()


def test_an_interruption_behind_the_last_step_costs_nothing(tiny, tmp_path):
    whole, model = Embedder(tiny, cache=False), Embedder(tiny, cache=False)
    losses = train(whole, TRIPLES, 3, batch_size=4, learning_rate=1e-3)
    with pytest.raises(KeyboardInterrupt):
        train(model, TRIPLES, 3, batch_size=4, learning_rate=1e-3, folder=tmp_path, after_step=interrupt(3))
    assert train(model, TRIPLES, 3, batch_size=4, learning_rate=1e-3, folder=tmp_path) == losses
    assert same(weights(model), weights(whole)) and (tmp_path / "model.safetensors").is_file()


@pytest.mark.parametrize("at", [1, 3, 4])
def test_an_interruption_between_a_step_and_its_loss_repeats_no_step(tiny, tmp_path, monkeypatch, at):
    whole, model = Embedder(tiny, cache=False), Embedder(tiny, cache=False)
    losses = train(whole, TRIPLES, 4, batch_size=4, learning_rate=1e-3)

    class Interrupted(torch.optim.AdamW):
        made = 0

        def step(self):
            super().step()
            self.made += 1
            if self.made == at:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(model, TRIPLES, 4, batch_size=4, learning_rate=1e-3, folder=tmp_path)
    assert train(model, TRIPLES, 4, batch_size=4, learning_rate=1e-3, folder=tmp_path) == losses
    assert same(weights(model), weights(whole))


def test_another_training_is_not_continued_by_mistake(tiny, model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path, after_step=interrupt(2))
    kept = (tmp_path / CHECKPOINT_FILE).read_bytes()
    for change, message in [
        (dict(pairs=PAIRS[:-1]), r"other pairs \(12 with the digest"),
        (dict(steps=8), r"other steps \(9, now 8\): call with the same to continue it, or give another folder"),
        (dict(learning_rate=1e-3), "other learning_rate"),
        (dict(seed=1), "other seed"),
    ]:
        with pytest.raises(ValueError, match=message):
            train(Embedder(tiny, cache=False), **(dict(pairs=PAIRS, steps=9, batch_size=4, folder=tmp_path) | change))
    assert (tmp_path / CHECKPOINT_FILE).read_bytes() == kept
    (tmp_path / CHECKPOINT_FILE).write_bytes(kept[:-100])
    with pytest.raises(ValueError, match="unfinished-training.safetensors is damaged .*: delete it to begin"):
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path)


def test_the_unfinished_training_of_another_model_is_refused(model, embedder_of_one_test, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path, after_step=interrupt(2))
    before = embedder_of_one_test.encode(["ferry"])
    with pytest.raises(ValueError, match="unfinished training of another model than all-MiniLM-L6-v2"):
        train(embedder_of_one_test, PAIRS, 9, batch_size=4, folder=tmp_path)
    np.testing.assert_array_equal(embedder_of_one_test.encode(["ferry"]), before)


def test_so_is_that_of_a_model_of_the_same_shape(model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path / "run", after_step=interrupt(2))
    other = Embedder(make_tiny(tmp_path / "tiny", seed=1), cache=False)
    before = weights(other)
    with pytest.raises(ValueError, match="unfinished training of another model than .*/tiny: call with the same"):
        train(other, PAIRS, 9, batch_size=4, folder=tmp_path / "run")
    assert same(weights(other), before)


def test_a_folder_that_cannot_be_written_is_told_before_the_first_step(model, tmp_path, monkeypatch):
    before = weights(model)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="the model cannot be saved in .*file.*: give another folder"):
            train(model, PAIRS, 2, batch_size=4, folder=folder)

    def refuse(dir):  # root may write anywhere
        if dir == tmp_path:
            raise PermissionError(13, "Permission denied")

        return open(tmp_path / "probe", "w")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    for folder in (tmp_path, tmp_path / "new"):  # the finished model is first written beside its folder
        with pytest.raises(OSError, match=r"cannot be saved in .* \(Permission denied\): give another folder"):
            train(model, PAIRS, 2, batch_size=4, folder=folder)
    assert same(weights(model), before)


DAMAGED_TRAININGS = [
    lambda tensors, metadata: metadata.update(losses="{}"),
    lambda tensors, metadata: metadata.update(losses='["a"]'),
    lambda tensors, metadata: metadata.update(losses="no json"),
    lambda tensors, metadata: metadata.update(settings="[]"),
    lambda tensors, metadata: metadata.pop("losses"),
    lambda tensors, metadata: tensors.update({first(tensors, "model/"): torch.zeros(3)}),
    lambda tensors, metadata: tensors.pop(first(tensors, "model/")),
    lambda tensors, metadata: tensors.update({"model/more": torch.zeros(3)}),
    lambda tensors, metadata: tensors.update({"optimizer/9999/step": torch.zeros(())}),
    lambda tensors, metadata: tensors.update({"optimizer/x/step": torch.zeros(())}),
    lambda tensors, metadata: tensors.update({"optimizer/0/more": torch.zeros(())}),
    lambda tensors, metadata: tensors.update({"optimizer/0/exp_avg": torch.zeros(3)}),
    lambda tensors, metadata: tensors.pop("optimizer/0/exp_avg"),
]


def first(tensors, beginning):
    return next(name for name in tensors if name.startswith(beginning))


@pytest.mark.parametrize("damage", DAMAGED_TRAININGS)
def test_an_unfinished_training_of_a_wrong_form(damage, model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path, after_step=interrupt(2))
    with safe_open(tmp_path / CHECKPOINT_FILE, "pt") as stored:
        metadata = stored.metadata()
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    damage(tensors, metadata)
    save_file(tensors, tmp_path / CHECKPOINT_FILE, metadata)
    before = weights(model)
    with pytest.raises(ValueError, match="unfinished-training.safetensors is damaged .*: delete it to begin") as caught:
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path)
    assert "\n" not in str(caught.value) and same(weights(model), before)


def test_a_read_only_disk_is_one_line(model, tmp_path, monkeypatch):
    def replace(*_):
        raise OSError(errno.EROFS, "Read-only file system", "/some/hidden-file.tmp")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match=f"{CHECKPOINT_FILE} cannot be written .Read-only file system, .* MB free.$"):
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path, after_step=interrupt(2))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="the model cannot be saved in .*folder .Read-only file system, .* MB free"):
        model.save(tmp_path / "folder")


def test_a_full_disk_leaves_no_half_file(model, tmp_path, monkeypatch):
    def save_file(tensors, file, metadata):
        file.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("ragedu.retrieval.checkpoint.save_file", save_file)
    with pytest.raises(OSError, match=f"{CHECKPOINT_FILE} cannot be written .*No space left"):
        train(model, PAIRS, 9, batch_size=4, folder=tmp_path, after_step=interrupt(2))
    assert list(tmp_path.iterdir()) == []


# What is left behind.


def test_a_normal_folder(model, tiny, tmp_path):
    train(model, TRIPLES, 3, batch_size=4, learning_rate=1e-3, folder=tmp_path / "new" / "trained")
    folder = tmp_path / "new" / "trained"
    texts = [text for pair in TRIPLES for text in pair]
    ours = model.encode(texts)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.abs(Embedder(tiny, cache=False).encode(texts) - ours).max() > 1e-3
    retriever = DenseRetriever(str(folder), cache=False).fit(Corpus.from_texts(texts[1::3]))
    assert retriever.embedder.fingerprint == model.fingerprint and model.name == str(folder)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["trained"]
    for file in folder.rglob("*.json"):
        assert str(tmp_path) not in file.read_text("utf-8") and json.loads(file.read_text("utf-8"))


def fitted(model_folder, corpus):
    return DenseRetriever(model_folder, cache=False).fit(corpus)


def test_a_fitted_retriever_is_fitted_again(tiny, harbour):
    retriever = fitted(tiny, harbour)
    before = retriever.embeddings
    retriever.train(PAIRS, steps=3, batch_size=4, learning_rate=1e-3)
    assert np.abs(retriever.embeddings - before).max() > 1e-3
    np.testing.assert_array_equal(retriever.embeddings, retriever.embedder.encode([d.content for d in harbour]))


def test_a_stale_index_is_refused(tiny, harbour, tmp_path):
    retriever = fitted(tiny, harbour)
    train(retriever.embedder, PAIRS, 2, batch_size=4, learning_rate=1e-3)
    for ask in (
        lambda: retriever.search("ferry"),
        lambda: retriever.search_many(["ferry"]),
        lambda: retriever.scores("ferry"),
        lambda: retriever.explain("ferry", "wall"),
        lambda: retriever.save(tmp_path / "index"),
    ):
        with pytest.raises(RuntimeError, match=r"the model has been trained since .* call fit\(corpus\) again"):
            ask()
    assert len(retriever.fit(harbour).search("ferry", 3)) == 3


def test_a_training_by_other_means_is_noticed(tiny, harbour):
    """A cache that took the new vectors for the old model's would be wrong for ever after."""
    retriever = fitted(tiny, harbour)
    before = retriever.embedder.fingerprint
    optimizer = torch.optim.AdamW(retriever.embedder.model.parameters(), lr=1e-6, fused=True)
    embed(retriever.embedder, ["ferry"]).sum().backward()
    optimizer.step()
    assert retriever.embedder.fingerprint != before
    with pytest.raises(RuntimeError, match="trained since"):
        retriever.search("ferry")


def test_an_index_keeps_its_trained_model(tiny, harbour, tmp_path):
    retriever = fitted(tiny, harbour)
    retriever.train(PAIRS, steps=2, batch_size=4, learning_rate=1e-3)
    retriever.save(tmp_path / "index")
    (tmp_path / "index").rename(tmp_path / "moved")
    found = DenseRetriever.load(tmp_path / "moved", cache=False)
    np.testing.assert_allclose(found.scores("ferry"), retriever.scores("ferry"), atol=1e-6)
    with pytest.raises(ValueError, match="was made by another model"):
        DenseRetriever.load(tmp_path / "moved", model=tiny)

    retriever.train(PAIRS, steps=1, batch_size=4)
    retriever.save(tmp_path / "moved")
    assert len(list((tmp_path / "moved").glob("trained-model-*"))) == 1
    found = DenseRetriever.load(tmp_path / "moved", cache=False)
    np.testing.assert_allclose(found.scores("ferry"), retriever.scores("ferry"), atol=1e-6)
    found.save(tmp_path / "moved")  # the model that it was loaded from must survive this
    found.save(tmp_path / "copy")
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    for folder in ("copy", "elsewhere"):
        again = DenseRetriever.load(tmp_path / folder, cache=False)
        np.testing.assert_allclose(again.scores("ferry"), retriever.scores("ferry"), atol=1e-6)

    DenseRetriever(tiny, cache=False).fit(harbour).save(tmp_path / "copy")
    assert not list((tmp_path / "copy").glob("trained-model-*"))


def test_an_interrupted_retriever_says_what_to_do(tiny, harbour, monkeypatch):
    retriever = fitted(tiny, harbour)
    monkeypatch.setattr("ragedu.retrieval.contrastive.warmup_then_linear", lambda step, steps: 1 / (step != 2))
    with pytest.raises(ZeroDivisionError):
        retriever.train(PAIRS, steps=5, batch_size=4)
    with pytest.raises(RuntimeError, match=r"call fit\(corpus\) again"):
        retriever.search("ferry")


# Hard negatives.


def test_hard_negatives_look_right_and_are_wrong(harbour):
    queries = {"a": "ferry east quay", "b": "the harbour wall", "c": "no such words", "d": "Tomas Brandt"}
    qrels = {"a": {"ferry": 2, "permit-17": 0}, "b": {"wall": 1, "storm": 1}, "c": {}, "d": {"keeper": 1}}
    triples = hard_negatives(Dataset(harbour, queries, qrels=qrels), depth=1)
    content = {document.id: document.content for document in harbour}
    ranked = [hit.document.id for hit in BM25Retriever().fit(harbour).search("the harbour wall")]
    assert set(ranked) == {"wall", "storm"}  # and nothing else has these words, so b has no hard negative; nor has d
    assert triples == [("ferry east quay", content["ferry"], content["permit-17"])]


def test_hard_negatives_are_drawn_from_the_best():
    corpus = Corpus.from_texts([f"ship {n}" + " at sea" * n for n in range(12)])
    queries = {str(n): "ship sea" for n in range(12)}
    dataset = Dataset(corpus, queries, qrels={query_id: {"3": 1, "1": 1} for query_id in queries})
    best = [hit.document.text for hit in BM25Retriever().fit(corpus).search("ship sea", 12)]
    wrong = [text for text in best if text not in (corpus["1"].text, corpus["3"].text)]
    drawn = hard_negatives(dataset, depth=4)
    assert len(drawn) == 24 and {right for _, right, _ in drawn} == {corpus["1"].text, corpus["3"].text}
    assert {negative for _, _, negative in drawn} == set(wrong[:4])
    assert drawn == hard_negatives(dataset, depth=4) != hard_negatives(dataset, depth=4, seed=1)


def test_a_copy_of_the_right_passage_is_no_negative():
    corpus = Corpus.from_texts(["a ship", "a ship", "a ship at sea"])
    dataset = Dataset(corpus, {"q": "which ship"}, qrels={"q": {"0": 1}})
    assert hard_negatives(dataset, depth=2) == [("which ship", "a ship", "a ship at sea")]


def test_hard_negatives_of_another_retriever(harbour, make_dense):
    dataset = Dataset(harbour, {"a": "ferry east quay"}, qrels={"a": {"permit-17": 1}})
    dense = make_dense()
    ((question, right, wrong),) = hard_negatives(dataset, retriever=dense, depth=1)
    best = [hit.document for hit in dense.search(question, 2) if hit.document.id != "permit-17"]
    assert (right, wrong) == (harbour["permit-17"].content, best[0].content)


def test_nothing_to_take_negatives_from(harbour):
    with pytest.raises(ValueError, match="no query with a relevant document and a wrong one that looks like it"):
        hard_negatives(Dataset(harbour, {"a": "ferry"}, qrels={}))


def test_hard_negatives_are_drawn_from_one_at_least(harbour):
    for depth in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match=f"depth must be a whole number, at least 1, not {depth}"):
            hard_negatives(Dataset(harbour, {"a": "ferry"}, qrels={"a": {"ferry": 1}}), depth=depth)


def test_the_vectors_of_tokens_stay(model):
    before = weights(model)
    train(model, PAIRS, 2, batch_size=4, learning_rate=1e-3)
    after = weights(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    tables = {name for name in before if "embeddings" in name and "LayerNorm" not in name}
    assert len(tables) >= 3 and changed and not changed & tables
    assert all(tensor.grad is None for tensor in model.model.parameters())


# Bad input.


@pytest.mark.parametrize(
    "pairs, error, message",
    [
        ([], ValueError, r"there are no pairs to learn from: give a list of \(question, passage\)"),
        ("text", TypeError, "takes a list of .question, passage. pairs, not str"),
        (None, TypeError, "takes a list of .question, passage. pairs, not NoneType"),
        (["question", "passage"], TypeError, r"pair 0 must be \(question, passage\) or .* not 'question'"),
        ([("a", "b"), ("a",)], TypeError, r"pair 1 must be"),
        ([("a", "b"), ("a", "b", "c", "d")], TypeError, r"pair 1 must be"),
        ([("a", 7)], TypeError, "the passage of pair 0 must be a string, not int"),
        ([("a", "b", None)], TypeError, "the hard negative of pair 0 must be a string"),
        ([("a", "b"), (" ", "b")], ValueError, "the question of pair 1 is blank: remove that pair"),
        ([("a", "\ud800")], ValueError, "the passage of pair 0 has a lone surrogate"),
        ([("a", "b", "b")], ValueError, "pair 0 has one text twice .* cannot be its own negative"),
        ([("a", "b"), ("c", "b")], ValueError, "no two of the pairs differ in both question and passage"),
        ([("a", "b")], ValueError, "no two of the pairs differ"),
    ],
)
def test_bad_pairs(model, pairs, error, message):
    before = weights(model)
    with pytest.raises(error, match=message):
        train(model, pairs, 2, batch_size=4)
    assert same(weights(model), before)


def test_a_dataset_is_no_list_of_pairs(model, harbour):
    with pytest.raises(TypeError, match=r"not a Dataset: use hard_negatives\(dataset\)"):
        train(model, Dataset(harbour, {}))


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(batch_size=1), "batch_size must be a whole number, at least 2, not 1"),
        (dict(batch_size=0), "batch_size must be"),
        (dict(batch_size=2.5), "batch_size must be"),
        (dict(steps=0), "steps must be a whole number, at least 1, not 0"),
        (dict(steps=True), "steps must be"),
        (dict(batch_size="many"), "batch_size must be"),
        (dict(temperature=0), "temperature must be a number above 0, not 0"),
        (dict(learning_rate=float("nan")), "learning_rate must be a number above 0"),
        (dict(learning_rate="fast"), "learning_rate must be a number above 0"),
    ],
)
def test_bad_settings(model, settings, message):
    with pytest.raises(ValueError, match=message):
        train(model, PAIRS, **settings)


@pytest.mark.parametrize(
    "pairs, says",
    [
        ([{"question": "Who?", "passage": "Ada."}], r'pair 0 .* is a dictionary: use \[\(each\["question"\]'),
        ([("Who?", "Ada."), {"a": 1, "b": 2, "c": 3}], "pair 1 .* is a dictionary"),
        (["ab", "cd"], r"pair 0 must be \(question, passage\)"),
        ([{"a", "b"}], r"pair 0 must be \(question, passage\)"),
        ({"Who?": "Ada."}, r"not a dictionary: .* list\(pairs.items\(\)\)"),
        ("ab", r"a list of \(question, passage\) pairs, not str"),
        (b"ab", r"a list of \(question, passage\) pairs, not bytes"),
        (("Who?", "Ada."), "pair 0 must be"),
    ],
)
def test_what_is_no_list_of_pairs_shows_the_form(pairs, says):
    with pytest.raises(TypeError, match=says):
        check_pairs(pairs)
