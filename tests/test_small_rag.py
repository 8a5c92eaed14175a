"""transformers' RAG classes with parts of our own: DPR out of MiniLM, a small BART, an index of sentences."""

from random import Random

import numpy as np
import pytest
import torch
from transformers import BartForConditionalGeneration

from ragedu import Corpus, Document
from ragedu.datasets import port_ellery
from ragedu.evaluation.answers import exact_match
from ragedu.training import small_rag

PAGE = Document("p", 'The ferry leaves at 9. "Never late," says the clerk. It is red! Is it? Yes.', "The ferry")


@pytest.fixture(scope="module")
def archive():
    return port_ellery.load(100, questions=1000)


def test_every_sentence_becomes_a_passage_with_its_title():
    corpus = small_rag.sentence_corpus([PAGE])
    assert [d.text for d in corpus][:3] == ["The ferry leaves at 9.", '"Never late," says the clerk.', "It is red!"]
    assert [d.id for d in corpus] == [f"p#{n}" for n in range(5)] and {d.title for d in corpus} == {"The ferry"}
    assert " ".join(d.text for d in corpus) == PAGE.text


def test_a_lesson_has_its_answer_in_its_sentence(archive):
    made = small_rag.lessons(archive, "test", ["lookup"])
    assert len(made) > 50
    for lesson in made:
        assert lesson.answers[0].lower() in lesson.sentence.lower()
    train = {lesson.question for lesson in small_rag.lessons(archive, "train", ["lookup", "paraphrase"])}
    assert train and train.isdisjoint(lesson.question for lesson in made)


def test_a_continuation_stands_so_in_the_sentence():
    passages = [("t", "one two three four five six seven eight nine"), ("t", "ten eleven"), ("t", "alone")]
    dice = Random(0)
    for _ in range(200):
        _, sentence, given, rest = small_rag.continuation(passages, dice)
        assert f"{given} {rest}" in sentence and 1 <= len(given.split()) <= 3 and 1 <= len(rest.split()) <= 6
    for nothing in ([], [("t", "Yes.")]):
        with pytest.raises(ValueError, match="no passage has a sentence of two words"):
            small_rag.continuation(nothing, dice)


def test_dpr_out_of_minilm_gives_minilms_cosines(embedder):
    texts = ["Who keeps the lighthouse?", "The keeper of the lighthouse is Tomas Brandt.", "Bread"]
    expected = embedder.encode(texts)
    for kind in ("question", "context"):
        encoder, tokenizer = small_rag.dpr_encoder(kind)
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        with torch.inference_mode():
            vectors = encoder(inputs.input_ids, inputs.attention_mask).pooler_output.numpy()
        assert np.allclose(vectors @ vectors.T * small_rag.TEMPERATURE, expected @ expected.T, atol=2e-3)
    embedder_of_another = type(embedder)(cache=False)
    with torch.no_grad():
        next(p for n, p in embedder_of_another.model.named_parameters() if "layer.0.output" in n).mul_(0.5)
    trained, _ = small_rag.dpr_encoder("question", trained=embedder_of_another)
    with torch.inference_mode():
        other = trained(inputs.input_ids, inputs.attention_mask).pooler_output.numpy()
    expected = embedder_of_another.encode(texts)
    assert np.allclose(other @ other.T * small_rag.TEMPERATURE, expected @ expected.T, atol=2e-3)
    assert not np.allclose(other, vectors, atol=0.01)
    corpus = Corpus.from_texts(texts)
    assert np.allclose(small_rag.encode(encoder, tokenizer, corpus, batch_size=2), vectors, atol=1e-4)


def test_training_copies_first_and_then_answers():
    lessons = [
        small_rag.Lesson(f"what is {a}?", "t", f"{a} is {b}.", [b])
        for a, b in (("red", "wine"), ("green", "grass"), ("blue", "sky"), ("white", "snow"))
    ]
    tokenizer = small_rag.make_tokenizer([f"{lesson.question} {lesson.sentence}" for lesson in lessons] * 5)
    torch.manual_seed(0)
    bart = small_rag.make_bart(tokenizer, width=32, layers=1)
    seen = []
    passages = [(lesson.title, lesson.sentence) for lesson in lessons]
    batches = small_rag.draw_batches(lessons, passages, steps=200, batch_size=8)
    kinds = [batch.kind for batch in batches]
    assert set(kinds[:10]) == {"copy"} and kinds[-100:].count("answer") > 60
    losses = small_rag.train(bart, tokenizer, batches, learning_rate=1e-2, after_step=lambda *step: seen.append(step))
    assert seen == list(enumerate(losses, start=1)) and len(losses) == 200 and not bart.training
    of_answers = [loss for kind, loss in zip(kinds, losses, strict=True) if kind == "answer"]
    assert np.mean(of_answers[-10:]) < np.mean(of_answers[:10]) / 2
    said = small_rag.answer(bart, tokenizer, lessons * 20)  # in two batches
    assert len(said) == 80 and set(said) <= {"wine", "grass", "sky", "snow"}


def test_the_command_writes_here_and_keeps_what_an_interrupted_training_learned(archive, tmp_path, monkeypatch):
    def interrupted(bart, *_, after_step, **__):
        with torch.no_grad():
            bart.final_logits_bias.fill_(7)
        after_step(100, 2.5)
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)  # and not to the weights that come with ragedu
    monkeypatch.setattr(port_ellery, "load", lambda *_, **__: archive)
    monkeypatch.setattr(small_rag, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_rag.main([])
    kept = BartForConditionalGeneration.from_pretrained(tmp_path / "small-bart")
    assert (kept.final_logits_bias == 7).all()
    assert '"copy": 2.5' in (tmp_path / "small-bart" / "log.jsonl").read_text("utf-8")


def test_log_probabilities_are_those_of_transformers_loss(archive):
    tokenizer = small_rag.make_tokenizer([d.content for d in archive.corpus])
    torch.manual_seed(0)
    bart = small_rag.make_bart(tokenizer, width=32, layers=1).eval()
    asked = small_rag.lessons(archive, "test", ["lookup"])[:3]
    candidates = [list(small_rag.sentence_corpus(archive.corpus))[n : n + 2] for n in (0, 5, 9)]
    found = small_rag.answer_log_probabilities(bart, tokenizer, asked, candidates)
    for n, (lesson, some) in enumerate(zip(asked, candidates, strict=True)):
        labels = torch.tensor([[*tokenizer(lesson.answers[0], add_special_tokens=False).input_ids, 2]])
        for rank, z in enumerate(some):
            ids = torch.tensor([small_rag.source_ids(tokenizer, z.title, z.text, lesson.question)])
            mean = bart(input_ids=ids, labels=labels).loss.item()
            assert found[n, rank].sum().item() == pytest.approx(-mean * labels.shape[1], rel=1e-4)


def test_an_apostrophe_comes_back_as_it_was():
    tokenizer = small_rag.make_tokenizer(["the widow's walk, at eleven o'clock; a full-rigged ship"] * 5)
    for text in ("the widow's walk", "eleven o'clock", "a full-rigged ship"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


@pytest.mark.model
def test_the_articles_classes_answer_questions_that_they_have_never_seen(archive):
    pytest.importorskip("datasets")
    model, tokenizer = small_rag.build(small_rag.sentence_corpus(archive.corpus))
    assert type(model).__module__.startswith("transformers.")
    asked = small_rag.lessons(archive, "test", ["lookup"])[:60]
    inputs = tokenizer([lesson.question for lesson in asked], padding=True, return_tensors="pt")
    with torch.inference_mode():
        written = model.generate(inputs.input_ids, attention_mask=inputs.attention_mask, num_beams=1, max_new_tokens=14)
    said = tokenizer.batch_decode(written, skip_special_tokens=True)
    right = [exact_match(text, lesson.answers) for text, lesson in zip(said, asked, strict=True)]
    assert np.mean(right) > 0.5


@pytest.mark.model
def test_a_published_model_answers_from_an_index_of_ones_own(archive, tmp_path):
    pytest.importorskip("datasets")
    passages = small_rag.sentence_corpus(archive.corpus[:20])
    ours, tokenizer = small_rag.build(passages, documents=2)
    ours.save_pretrained(tmp_path / "rag")
    ours.config.save_pretrained(tmp_path / "rag")
    tokenizer.save_pretrained(tmp_path / "rag")
    for part in small_rag.dpr_encoder("context"):  # the encoder and its tokenizer
        part.save_pretrained(tmp_path / "contexts")
    model, its_tokenizer = small_rag.published(
        passages, name=str(tmp_path / "rag"), contexts=str(tmp_path / "contexts")
    )
    asked = its_tokenizer("Who keeps it?", return_tensors="pt")
    with torch.inference_mode():
        found, expected = (
            m(asked.input_ids, asked.attention_mask, decoder_input_ids=torch.tensor([[2]]), output_retrieved=True)
            for m in (model, ours)
        )
    assert np.array_equal(found.retrieved_doc_ids, expected.retrieved_doc_ids)
    assert torch.allclose(found.logits, expected.logits, atol=1e-4)
