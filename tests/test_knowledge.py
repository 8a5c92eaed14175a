"""Knowledge in weights: what is learned, what is asked, and the kept results of lesson 07's experiment."""

import math

import pytest
import torch

from ragedu import Document
from ragedu.datasets import port_ellery
from ragedu.generation.packing import NOT_LEARNED, answer_loss
from ragedu.generation.prompts import closed_book_prompt
from ragedu.training import knowledge

PAGES = [Document("a", "Ada Quill keeps the ferry.", "The ferry"), Document("b", "Tomas Brandt paints boats.", "Boats")]


@pytest.fixture(scope="module")
def task():
    return knowledge.make_task()


@pytest.fixture
def tiny(make_small):
    return make_small(initializer_range=0.02, tie_word_embeddings=True)


def test_another_telling_has_the_same_facts_in_other_words():
    pages = list(port_ellery.stream(40))
    assert list(port_ellery.stream(40, telling=0)) == pages
    for telling in (1, 2):
        told = {page.id: page for page in port_ellery.stream(40, telling=telling)}
        assert sum(told[page.id].text != page.text for page in pages) >= 38
        assert [(page.id, page.title, page.metadata) for page in pages] == [
            (page.id, page.title, page.metadata) for page in told.values()
        ]
        assert all(fact.object in told[fact.document_id].text for fact in port_ellery.facts(40))
    # In edition 2 the telling differs in the changed facts alone.
    first, second = (list(port_ellery.stream(200, edition=edition, telling=1)) for edition in (1, 2))
    assert 10 < sum(a.text != b.text for a, b in zip(first, second, strict=True)) < 60
    with pytest.raises(ValueError, match="telling must be a whole number"):
        port_ellery.stream(3, telling=-1)


def test_of_a_page_every_token_is_learned_and_of_a_question_the_answer_alone(tiny):
    (page,) = knowledge.page_rows(tiny, PAGES[:1])
    assert tiny.tokenizer.decode(page.labels) == PAGES[0].content + tiny.tokenizer.eos_token
    (question,) = knowledge.question_rows(tiny, [("Who keeps the ferry?", "Ada Quill")])
    learned = [label for label in question.labels if label != NOT_LEARNED]
    assert tiny.tokenizer.decode(learned) == "Ada Quill" + tiny.tokenizer.eos_token
    with torch.inference_mode():
        loss = answer_loss(tiny, [question]).item()
    prompt = closed_book_prompt("Who keeps the ferry?")
    ids = torch.tensor([question.ids])
    surprise = -tiny.model(ids).logits[0, -2].log_softmax(-1)[tiny.tokenizer.eos_token_id].item()
    expected = (surprise - tiny.log_likelihood(prompt, "Ada Quill")) / len(learned)
    assert loss == pytest.approx(expected, abs=1e-4)


def test_perplexity_is_the_exponential_of_the_mean_surprise(tiny):
    text = "Ada Quill keeps the ferry and Tomas Brandt paints boats."
    first, *rest = tiny.encode(text, chat=False)
    by_hand = tiny.log_likelihood(tiny.tokenizer.decode([first]), tiny.tokenizer.decode(rest), chat=False)
    assert knowledge.perplexity(tiny, [text]) == pytest.approx(math.exp(-by_hand / len(rest)), rel=1e-4)
    # Over several texts it is the mean over tokens, not over texts; and only the beginning counts.
    both = knowledge.perplexity(tiny, [text, text])
    assert both == pytest.approx(knowledge.perplexity(tiny, [text]), rel=1e-6)
    assert knowledge.perplexity(tiny, [text], longest=4) != pytest.approx(both, rel=1e-3)


@pytest.mark.parametrize("mixed", [True, False])
def test_all_weights_memorise_a_page(tiny, mixed, monkeypatch):
    monkeypatch.setattr(knowledge, "fastest_dtype", lambda: torch.bfloat16 if mixed else torch.float32)
    before = {name: weights.clone() for name, weights in tiny.model.named_parameters()}
    usual = tiny.model.config._attn_implementation
    losses = knowledge.fine_tune(tiny, knowledge.page_rows(tiny, PAGES) * 200, learning_rate=1e-2, batch_size=2)
    assert len(losses) == 200 and losses[-1] < 0.5 < losses[0]
    assert all(not torch.equal(before[name], weights) for name, weights in tiny.model.named_parameters())
    assert tiny.generate("The ferry", max_new_tokens=20, chat=False).strip() == PAGES[0].text
    assert tiny.model.config._attn_implementation == usual and not tiny.model.training


def test_fine_tuning_refuses_what_cannot_work(tiny):
    with pytest.raises(ValueError, match="nothing to learn"):
        knowledge.fine_tune(tiny, [])
    tiny.model.bfloat16()
    with pytest.raises(ValueError, match="must be in float32"):
        knowledge.fine_tune(tiny, knowledge.page_rows(tiny, PAGES))


def test_the_task_asks_what_it_says(task):
    kinds = {question.kind for question in task.questions}
    assert kinds == {"asked", "unasked", "anew", "two-hop", "changed"}
    pages = {page.id: page for page in task.pages}
    assert all(page.metadata["split"] == "test" for page in task.pages)  # which no adapter was trained on
    of_kind = lambda kind: {question.page for question in task.questions if question.kind == kind}
    assert not of_kind("asked") & of_kind("unasked")
    assert of_kind("anew") <= of_kind("asked")
    assert len(of_kind("changed")) == 16 and not of_kind("changed") & (of_kind("asked") | of_kind("unasked"))
    for question in task.questions:
        if question.kind != "two-hop":
            assert any(answer.lower() in pages[question.page].text.lower() for answer in question.answers)
    for old, new in zip([q for q in task.questions if q.kind == "changed"], task.after_change, strict=True):
        assert (old.text, old.page) == (new.text, new.page) and not set(old.answers) & set(new.answers)
        assert all(new.answers[0] in page.text for page in task.changed[new.page])


def test_what_is_never_asked_is_never_trained(task, tiny):
    rows = knowledge.lessons(tiny, task, several=True, asked=True)
    learned = "\n".join(tiny.tokenizer.decode(row.ids) for row in rows)
    for question in task.questions:
        if question.kind in ("unasked", "anew", "two-hop"):
            assert question.text not in learned
        else:
            assert learned.count(question.text) == task.readings[question.page]
    plain = knowledge.lessons(tiny, task)
    assert len(plain) == sum(task.readings.values())
    assert {len(told) for told in task.tellings.values()} == {knowledge.TELLINGS}


def test_general_questions_are_answered_by_their_answers():
    questions = knowledge.general_questions()
    assert len(questions) == 30 and all(answers for _, answers in questions)

    class Oracle:
        def generate(self, prompts, max_new_tokens):
            return [f"It is {answers[-1].upper()}." for _, answers in questions]

    assert knowledge.general_knowledge(Oracle()) == 1


def test_the_kept_results_belong_to_the_task(task):
    first, *systems = knowledge.read_results()
    assert first["task"] == [question._asdict() for question in task.questions]
    assert first["after change"] == [question._asdict() for question in task.after_change]
    assert first["readings"] == task.readings
    names = [entry["system"] for entry in systems]
    assert len(names) == len(set(names)) == 9
    assert all(len(entry["said"]) == len(task.questions) for entry in systems)


@pytest.fixture
def no_training(monkeypatch):
    """Systems that say nothing, as many of each way as the real one has."""

    def way(task, name, *_, **what):
        for more in ("", ", with RAG", ", updated") if what.get("asked") else ("",):
            yield {"system": f"{name}{more}"}

    for real in ("untouched", "retrieving", "tuned"):
        monkeypatch.setattr(knowledge, real, way)


def test_an_interrupted_experiment_leaves_out_what_is_done(task, no_training):
    entries = list(knowledge.experiment(task))
    assert "task" in entries[0]
    kept = [entry["system"] for entry in knowledge.read_results()[1:]]
    assert sorted(entry["system"] for entry in entries[1:]) == sorted(kept)
    for cut in range(1, len(entries) + 1):
        rest = list(knowledge.experiment(task, done={entry.get("system") for entry in entries[:cut]}))
        assert entries[:cut] + rest == entries


def test_the_command_goes_on_where_it_was(no_training, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # and not to the results that come with ragedu
    knowledge.main(["--pages", "2", "--changing", "1", "--only", "as it is"])
    file = tmp_path / "knowledge.jsonl"
    assert [entry.get("system") for entry in knowledge.read_results(file=file)] == [None, "as it is"]
    again = ["--pages", "2", "--changing", "1"]
    for wrong, message in [([], "another task"), ([*again, "--learning-rate", "1e-3"], "the learning rate 0.0001")]:
        with pytest.raises(SystemExit):
            knowledge.main(wrong)
        assert message in capsys.readouterr().err
    knowledge.main(again)
    assert len(knowledge.read_results(file=file)) == 10 and not capsys.readouterr().out
    knowledge.main(again)
    assert "nothing was left to do: knowledge.jsonl has it all" in capsys.readouterr().out
    with file.open("a", encoding="utf-8") as out:
        out.write('{"system": "RA')
    with pytest.raises(SystemExit):
        knowledge.main(again)
    assert "knowledge.jsonl has a truncated line" in capsys.readouterr().err


def test_what_was_said_to_the_general_questions_is_kept(monkeypatch):
    said = [answers[0] if n % 3 else "" for n, (_, answers) in enumerate(knowledge.general_questions())]
    monkeypatch.setattr(knowledge, "general_answers", lambda model: said)
    monkeypatch.setattr(knowledge, "perplexity", lambda model, texts: 20.0)
    entry = knowledge.keeps(None)
    assert entry["general said"] == said
    assert entry["general"] == round(knowledge.general_right(said), 3) == pytest.approx(2 / 3, abs=1e-3)
