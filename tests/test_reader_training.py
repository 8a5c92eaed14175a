"""The reader's training text is sound and keeps train and test apart, and the recipe does what it says."""

import json
import math
import re
import tomllib
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ragedu import Corpus, Dataset, Document, LanguageModel
from ragedu.datasets import port_ellery
from ragedu.datasets.port_ellery import words
from ragedu.generation.language_model import ADAPTERS
from ragedu.generation.prompts import ABSTAIN, build_prompt
from ragedu.training import reader, reading_examples
from ragedu.training.reader import Example, save_adapter, train

# ---- the training text ----


@pytest.fixture(scope="module")
def encyclopaedia():
    return reading_examples.encyclopaedia(110, seed=3)


def all_collections(encyclopaedia):
    yield encyclopaedia
    yield reading_examples.encyclopaedia(20, seed=3, held_out=True)
    yield reading_examples.stories()
    yield reading_examples.stories(held_out=True)
    yield reading_examples.archive(260, 40)


def test_every_answer_stands_word_for_word_in_a_passage(encyclopaedia):
    for collection in all_collections(encyclopaedia):
        for question in collection.questions:
            if question.answer is not None:
                content = " ".join(passage.content for passage in question.passages)
                assert question.answer.lower() in content.lower(), question


def test_no_placeholder_is_left_and_questions_are_questions(encyclopaedia):
    for collection in all_collections(encyclopaedia):
        for text in [d.content for d in collection.corpus] + [q.text for q in collection.questions]:
            assert not re.search(r"[{}<>|]|\ba (?!one|eu|ewe)[aeio][a-z]", text), text
        orders = ("Name ", "Please ", "State ", "Quote ", "Describe ", "Tell ", "Give ", "Say ")
        assert not [q.text for q in collection.questions if not (q.text.endswith("?") or q.text.startswith(orders))]


def test_what_an_article_does_not_say_is_asked_too_and_is_not_in_it(encyclopaedia):
    untold = [question for question in encyclopaedia.questions if question.answer is None]
    assert len(untold) > 0.1 * len(encyclopaedia.questions)
    assert all(question.acceptable == [] and len(question.passages) == 1 for question in untold)


def test_every_slot_that_an_article_can_say_can_be_asked_and_the_other_way_round():
    for name, domain in reading_examples._domains().items():
        said = {s.lower().rstrip("_") for group in domain["text"] for w in group for s in re.findall(r"{(\w+)}", w)}
        assert domain["ask"].keys() <= said, name
        mentioned = {s for phrasings in domain["ask"].values() for p in phrasings for s in re.findall(r"{(\w+)}", p)}
        assert {s.lower() for s in mentioned} <= said | {"name"}, name


def test_the_archive_never_shows_the_test_split():
    test = port_ellery.load(1000).select(split="test")
    forbidden = {row["entity"] for row in test.metadata.values() if "entity" in row}
    phrasings = {(row["kind"], row["relation"], row["phrasing"]) for row in test.metadata.values()}
    train_set = port_ellery.load(1500, questions=200).select(split="train")
    assert not phrasings & {(row["kind"], row["relation"], row["phrasing"]) for row in train_set.metadata.values()}
    collection = reading_examples.archive(1500, 200)
    text = "\n".join([d.content for d in collection.corpus] + [q.text for q in collection.questions])
    assert forbidden and not [entity for entity in forbidden if re.search(rf"\b{re.escape(entity)}\b", text)]


def test_the_archive_in_other_words_has_none_of_the_phrasings_that_are_kept_for_the_test_split():
    bare = lambda phrasing: re.sub(r"\W+", " ", re.sub(r"{\w+}", "_", phrasing)).lower().strip()
    more = tomllib.loads((reading_examples.TEXT / "archive.toml").read_text("utf-8"))
    for kind in words.kinds():
        for relation in kind["relation"]:
            lists = [relation[role] for role in ("says", "ask", "paraphrase", "inverse", "hop") if role in relation]
            kept = {bare(p) for phrasings in lists for p in phrasings[words.share(len(phrasings), "test")[0] :]}
            new = more[kind["id"]][relation["name"]]
            assert len(new["says"]) >= 6 and len(new["ask"]) >= 8
            assert not kept & {bare(p) for phrasings in new.values() for p in phrasings}
            assert all(says.count("{x}") == 1 for says in new["says"])


def test_the_archive_is_told_and_asked_in_more_words_and_is_itself_again_afterwards():
    before = port_ellery.load(300, questions=100)
    collection = reading_examples.archive(300, 100)
    after = port_ellery.load(300, questions=100)
    assert before.queries == after.queries and [d.text for d in before.corpus] == [d.text for d in after.corpus]
    usual = {" ".join(text.split()[:3]) for text in before.select(split="train").queries.values()}
    asked = {" ".join(question.text.split()[:3]) for question in collection.questions}
    assert len(asked - usual) > 0.5 * len(usual)


def test_what_is_asked_several_times_is_asked_in_other_words_of_the_same_pages():
    once, thrice = reading_examples.archive(300, 60), reading_examples.archive(300, 60, times=3)
    assert [d.text for d in once.corpus] == [d.text for d in thrice.corpus]
    assert {q.text for q in once.questions} < {q.text for q in thrice.questions}
    assert len(thrice.questions) > 2 * len(once.questions)
    asked = lambda collection: {(q.passages, q.answer) for q in collection.questions if q.answer}
    assert len(asked(thrice)) < 1.2 * len(asked(once))  # a paraphrase that shares a word with its page gives way


def test_domains_and_stories_kept_for_evaluation_are_not_trained_on():
    held_out = [n for n, domain in reading_examples._domains().items() if domain.get("held_out")]
    assert len(held_out) >= 4
    titles = lambda collection: {document.title for document in collection.corpus}
    assert not titles(reading_examples.stories()) & titles(reading_examples.stories(held_out=True))


def test_rules_ask_what_the_sentence_says():
    text = (
        "Returns the mean of the values. The ufunc is a function that works on arrays. ValueError is raised if x < 0."
    )
    asked = {q.text: q.answer for q in reading_examples.ask_by_rules(Document("m.mean", text))}
    assert asked["What is the ufunc?"] == "a function"
    assert asked["When is ValueError raised by m.mean?"] == "x < 0"
    assert "the mean of the values" in asked.values()


def test_examples_have_one_gold_passage_at_any_place_and_absent_ones_none(encyclopaedia):
    gold = {(q.text, q.answer) for q in encyclopaedia.questions}
    made = reading_examples.examples(encyclopaedia, 400, seed=1)
    assert len(made) == 400
    sources, places = Counter(), Counter()
    for prompt, answer in made:
        fenced = re.findall(r'<source id="\d+"[^>]*>\n(.*?)\n</source>', prompt, re.DOTALL)
        if not fenced:
            continue  # another layout
        question = prompt.rpartition("Question: ")[2]
        sources[len(fenced)] += 1
        if answer == ABSTAIN:
            told = {a for text, a in gold if text == question and a}
            assert not any(a in text for a in told for text in fenced)
        else:
            assert (question, answer) in gold
            places[next(n for n, text in enumerate(fenced) if answer in text)] += 1
    assert {1, 2, 3, 4, 5, 6, 8} <= sources.keys()
    assert min(places[n] for n in range(4)) >= 5
    abstaining = sum(answer == ABSTAIN for _, answer in made) / len(made)
    assert 0.22 < abstaining < 0.38


def test_some_unanswerable_questions_ask_about_what_is_much_like_the_sources(encyclopaedia):
    names = {passage.title for question in encyclopaedia.questions for passage in question.passages}
    elsewhere = 0
    for prompt, answer in reading_examples.examples(encyclopaedia, 300, seed=1):
        question = re.split(r"Question: |\n", prompt)[-1]
        asked_about = {name for name in names if name in question}
        elsewhere += answer == ABSTAIN and bool(asked_about) and not any(prompt.count(n) > 1 for n in asked_about)
    assert elsewhere >= 10


def test_no_more_sources_than_wanted(encyclopaedia):
    made = reading_examples.examples(encyclopaedia, 200, most_sources=2)
    assert {prompt.count("<source id=") for prompt, _ in made} == {0, 1, 2}  # 0: another layout


def test_layouts_hold_question_and_every_source(encyclopaedia):
    sources = encyclopaedia.corpus[:3]
    for layout in [build_prompt, *reading_examples.LAYOUTS]:
        prompt = layout("Who was it?", list(sources))
        assert all(source.text in prompt for source in sources) and "Who was it?" in prompt


def test_the_same_seed_gives_the_same_examples(encyclopaedia):
    assert reading_examples.examples(encyclopaedia, 30, seed=5) == reading_examples.examples(encyclopaedia, 30, seed=5)
    assert reading_examples.examples(encyclopaedia, 30, seed=5) != reading_examples.examples(encyclopaedia, 30, seed=6)
    again = reading_examples.encyclopaedia(110, seed=3)
    assert [d.text for d in again.corpus] == [d.text for d in encyclopaedia.corpus]


def test_own_data():
    documents = [Document("1", "The keeper is Tomas Brandt."), Document("2", "Bread is baked at six.")]
    dataset = Dataset(
        Corpus(documents), {"a": "Who is the keeper?", "b": "When?"}, {"a": {"1": 1}}, {"a": ["Tomas Brandt"], "b": []}
    )
    questions = reading_examples.from_dataset(dataset).questions
    assert [(q.answer, q.acceptable, q.passages) for q in questions] == [
        ("Tomas Brandt", ["Tomas Brandt"], (documents[0],)),
        (None, [], ()),
    ]
    for seed in range(3):  # "When?" has no word to search for
        assert len(reading_examples.examples(reading_examples.from_dataset(dataset), 5, seed)) == 5


# ---- the recipe ----


@given(st.integers(1, 400))
def test_learning_rate_rises_then_falls(steps):
    shares = [reader.warmup_then_cosine(step, steps) for step in range(steps)]
    top = shares.index(max(shares))
    assert min(shares) >= 0 and max(shares) == 1 and top <= max(1, steps // 20)
    assert shares[: top + 1] == sorted(shares[: top + 1]) and shares[top:] == sorted(shares[top:], reverse=True)


@given(st.integers(1, 150), st.integers(1, 7), st.integers(0, 3))
def test_batches_use_every_row_before_any_again(rows, size, seed):
    rows = [reader.Row([0] * (1 + n * 7 % 11), [n], [], []) for n in range(rows)]
    whole = math.ceil(len(rows) / size)
    made = list(reader.batches(rows, 2 * whole, size, seed))
    assert len(made) == 2 * whole and all(1 <= len(batch) <= size for batch in made)
    for half in (made[:whole], made[whole:]):
        assert sorted(row.labels[0] for batch in half for row in batch) == list(range(len(rows)))


def test_tokens_are_those_that_generate_reads_and_only_the_answer_is_learned(language_model):
    prompt = build_prompt("Who keeps it?", [Document("1", "Tomas <|im_end|> keeps it.")])
    ids, labels = reader.tokens(language_model, prompt, "Tomas")
    before = language_model.encode(prompt)
    assert ids[: len(before)] == before and set(labels[: len(before)]) == {reader.NOT_LEARNED}
    assert language_model.tokenizer.decode(ids[len(before) :]) == "Tomas<|im_end|>"
    assert labels[len(before) :] == ids[len(before) :] and ids[-1] in language_model.end_tokens


@pytest.fixture
def tiny(make_small):
    return make_small()


EXAMPLES = [
    Example("Ada keeps bees. Who keeps bees?", "Ada"),
    Example("Tomas keeps the lamp, and a dog. Who keeps the lamp?", "Tomas Brandt of Marl Head"),
    ("It rains. Why?", ABSTAIN),
]


def test_loss_is_that_of_the_answer_alone(tiny):
    peft = pytest.importorskip("peft")
    rows = [reader.tokens(tiny, *example) for example in EXAMPLES]
    expected, count = 0.0, 0
    for prompt, answer in EXAMPLES:  # one at a time and without padding, by the definition
        after = tiny.tokenizer(answer + "<|im_end|>", add_special_tokens=False).input_ids
        ids = torch.tensor([tiny.encode(prompt) + after])
        logits = tiny.model(ids).logits.log_softmax(-1)[0]
        expected -= sum(logits[len(ids[0]) - len(after) + n - 1, token].item() for n, token in enumerate(after))
        count += len(after)
    tiny.model = peft.get_peft_model(tiny.model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
    assert reader.answer_loss(tiny, [reader.join([row]) for row in rows]).item() == pytest.approx(expected / count)


def test_sources_that_are_read_once_give_the_same_loss_and_gradient(tiny, encyclopaedia):
    pytest.importorskip("peft")
    reader.add_lora(tiny, 2, seed=0)
    made = [e for e in reading_examples.examples(encyclopaedia, 60, seed=2) if len(e.prompt) < 1400]
    rows = [reader.tokens(tiny, *example) for example in made]
    packed = reader.pack(rows)
    length = lambda some: sum(len(row[0]) for row in some)
    assert length(packed) < 0.6 * length(rows)
    assert sum(max(row.branch) for row in packed) == len(rows)

    weights = [w for name, w in tiny.model.named_parameters() if "lora_B" in name]

    def loss_and_gradient(some):
        loss = reader.answer_loss(tiny, some)
        return loss.item(), torch.autograd.grad(loss, weights)

    loss, gradient = loss_and_gradient(packed)
    expected, expected_gradient = loss_and_gradient([reader.join([row]) for row in rows])
    assert loss == pytest.approx(expected, rel=1e-5)
    for one, other in zip(gradient, expected_gradient, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_examples_that_differ_in_the_answer_alone_are_still_learned_apart(tiny):
    rows = [reader.tokens(tiny, "Who is it?", answer) for answer in ("Ada", "Tomas Brandt")]
    (row,) = reader.pack(rows)
    learned = [token for token, label in zip(row.ids, row.labels, strict=True) if label != reader.NOT_LEARNED]
    assert tiny.tokenizer.decode(learned) == "Ada<|im_end|>Tomas Brandt<|im_end|>"


def test_training_learns_and_repeats_and_leaves_the_models_own_weights(tiny, language_model, tmp_path):
    pytest.importorskip("peft")
    before = {name: weights.clone() for name, weights in tiny.model.state_dict().items()}
    seen = []
    state = torch.random.get_rng_state()
    losses = train(tiny, EXAMPLES, 30, 3, 3e-2, 4, seed=1, after_step=lambda step, loss: seen.append((step, loss)))
    assert torch.equal(state, torch.random.get_rng_state())  # the caller's dice are not touched
    assert seen == list(enumerate(losses, start=1)) and losses[-1] < losses[0] - 1
    assert not tiny.model.training
    base = {n.replace(".base_layer", ""): w for n, w in tiny.model.get_base_model().state_dict().items()}
    assert all(torch.equal(base[name], weights) for name, weights in before.items())

    folder = save_adapter(tiny, tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "small" and config["r"] == 4 and config["inference_mode"]
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]

    from transformers import LlamaForCausalLM

    from ragedu.generation.language_model import merge_adapter

    config = tiny.model.get_base_model().config

    def fresh():
        model = LlamaForCausalLM(config)
        model.load_state_dict(before)
        return model

    merged = LanguageModel(merge_adapter(fresh(), folder), tiny.tokenizer, "tiny")
    assert merged.log_likelihood(*EXAMPLES[1]) == pytest.approx(tiny.log_likelihood(*EXAMPLES[1]), abs=0.05)
    again = LanguageModel(fresh(), tiny.tokenizer)
    assert again.train(EXAMPLES, 30, batch_size=3, learning_rate=3e-2, rank=4, seed=1) == losses
    saved = again.save_adapter(tmp_path / "again") / "adapter_model.safetensors"
    assert saved.read_bytes() == (folder / "adapter_model.safetensors").read_bytes()

    resumed = LanguageModel(fresh(), tiny.tokenizer, "tiny")
    reader.continue_adapter(resumed, folder)
    assert resumed.log_likelihood(*EXAMPLES[1]) == pytest.approx(tiny.log_likelihood(*EXAMPLES[1]), abs=0.05)
    before_more = resumed.log_likelihood(*EXAMPLES[1])
    train(resumed, EXAMPLES, 3, 3, 1e-2)
    assert resumed.log_likelihood(*EXAMPLES[1]) != before_more
    more = train(tiny, EXAMPLES, 3, 3, 1e-3)  # goes on with what was learned
    assert more[0] < losses[0] - 1


def test_attention_written_out_is_torchs_attention():
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, 9, 4, generator=draw)
    key, value = (torch.randn(2, 2, 9, 4, generator=draw) for _ in range(2))  # each for three heads of the query
    mask = torch.zeros(2, 1, 9, 9).masked_fill(torch.rand(2, 1, 9, 9, generator=draw) < 0.3, float("-inf"))
    mask.diagonal(dim1=2, dim2=3).zero_()  # every token sees itself

    class Module:
        num_key_value_groups = 3

    ours, _ = reader.attention(Module, query, key, value, mask, scaling=0.5)
    grouped = (states.repeat_interleave(3, dim=1) for states in (key, value))
    theirs = torch.nn.functional.scaled_dot_product_attention(query, *grouped, attn_mask=mask, scale=0.5)
    assert torch.allclose(ours, theirs.transpose(1, 2), atol=1e-6)


def test_in_bfloat16_training_writes_attention_out_and_puts_the_usual_one_back(tiny):
    pytest.importorskip("peft")
    from transformers import AttentionInterface

    calls = []
    watched = lambda *arguments, **options: calls.append(1) or reader.attention(*arguments, **options)
    AttentionInterface.register(reader.WRITTEN_OUT, watched)
    usual = tiny.model.config._attn_implementation
    tiny.model.bfloat16()
    losses = train(tiny, EXAMPLES, 8, 3, 3e-2)
    assert len(calls) == 8 * 2 and losses[-1] < losses[0]  # two layers
    assert tiny.model.config._attn_implementation == usual
    AttentionInterface.register(reader.WRITTEN_OUT, reader.attention)


def test_the_page_of_an_adapter_tells_all_of_its_stages_and_figures():
    stage = lambda steps, machine: {"settings": {"steps": steps, "start": None}, "torch": "9.9", "machine": machine}
    log = [
        stage(900, "card"),
        {"model": "untrained", "evaluation": {"archive": {"questions": 7, "f1": 0.1}}},
        {"step": 1, "loss": 0.5},
        {"model": "reader", "evaluation": {"archive": {"questions": 7, "f1": 0.7}}},
        {"changed": "it was made smaller"},
        stage(40, "x86_64"),
        {"model": "untrained", "evaluation": {}},  # not evaluated anew
        {"step": 40, "loss": 0.4},
        {"model": "reader", "evaluation": {"archive": {"questions": 7, "f1": 0.8}}},
        {"model": "reader, each", "evaluation": {"archive": {"questions": 5, "f1": 0.9}}},
    ]
    page = reader.report(log)
    assert "--steps 900   # card, torch 9.9, stopped after step 1\n" in page
    assert "stopped after step 1\n    # then it was made smaller\n    python" in page
    assert "--steps 40   # x86_64, torch 9.9\n" in page
    assert "| archive | f1 | 0.1 (7) | 0.8 (7) | 0.9 (5) |" in page


def test_bad_input(tiny, tmp_path):
    with pytest.raises(ValueError, match="no examples to learn from"):
        train(tiny, [])
    with pytest.raises(ValueError, match="steps must be a whole number, at least 1, not 0"):
        train(tiny, EXAMPLES, steps=0)
    with pytest.raises(ValueError, match="answer is empty .*use 'Not in the sources.'"):
        train(tiny, [("Who?", " ")])
    with pytest.raises(ValueError, match="context holds 512: shorten its prompt"):
        train(tiny, [("word " * 600, "word")])
    with pytest.raises(ValueError, match="no adapter to save: train it first"):
        save_adapter(tiny, tmp_path)


# ---- the adapter that comes with ragedu ----


def test_the_shipped_adapter_reads_and_abstains():
    pytest.importorskip("peft")
    folder = ADAPTERS / "reader"
    if not (folder / "adapter_config.json").is_file():
        pytest.skip("the adapter has not been trained in this checkout: python -m ragedu.training.reader")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 4_000_000
    assert not re.search(r'"/|[A-Z]:\\', (folder / "adapter_config.json").read_text())
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert {"settings", "evaluation", "loss"} <= {key for entry in entries for key in entry}

    # A smoke test on a few prompts; how well it reads is in the adapter's README.md, measured on hundreds.
    trained = LanguageModel.load(adapter="reader")
    sets = reader.test_sets(5)
    chosen = {name: sets[name] for name in ("port-ellery", "unseen-domains-unanswerable", "unseen-documentation")}
    figures = reader.evaluate(trained, chosen)
    assert figures["port-ellery"]["exact_match"] >= 0.4  # the untrained model: 0
    assert figures["unseen-domains-unanswerable"]["exact_match"] >= 0.4
    # Read one by one it abstains from most of what five sources in one prompt tempt it to answer.
    alone = reader.evaluate(trained, {name: sets[name] for name in ("port-ellery", "port-ellery-unanswerable")}, "each")
    assert alone["port-ellery"]["exact_match"] >= 0.4 and alone["port-ellery-abstention"]["recall"] >= 0.6


def test_a_stage_without_test_questions_keeps_the_figures_on_record(tmp_path, monkeypatch):
    pytest.importorskip("peft")
    monkeypatch.setattr(reading_examples, "mixture", lambda number, seed: [Example("Who? Tomas Brandt.", "Tomas")] * 2)
    options = "--start reader --steps 1 --batch-size 1 --test-questions 0 --out".split()
    reader.main([*options, str(tmp_path / "stage")])
    on_record = []
    for folder in (ADAPTERS / "reader", tmp_path / "stage"):
        entries = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
        figures = {entry["model"]: entry["evaluation"] for entry in entries if "evaluation" in entry}
        on_record.append((figures, sum("step" in entry for entry in entries)))
    (before, steps), (after, more_steps) = on_record
    assert before == after and more_steps == steps + 1
