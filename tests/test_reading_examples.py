"""The reader's training text is sound and keeps train and test apart."""

import re
import tomllib
from collections import Counter

import pytest

from ragedu import Corpus, Dataset, Document
from ragedu.datasets import port_ellery
from ragedu.datasets.port_ellery import words
from ragedu.generation.prompts import ABSTAIN, build_prompt
from ragedu.training import reading_examples


@pytest.fixture(scope="module")
def encyclopaedia():
    return reading_examples.encyclopaedia(110, seed=3)


def all_collections(encyclopaedia):
    yield encyclopaedia
    yield reading_examples.encyclopaedia(20, seed=3, held_out=True)
    yield reading_examples.stories()
    yield reading_examples.stories(held_out=True)
    yield reading_examples.archive(260, each=40)


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
    for name, domain in reading_examples.read_domains().items():
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
    collection = reading_examples.archive(1500, each=200)
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
    collection = reading_examples.archive(300, each=100)
    after = port_ellery.load(300, questions=100)
    assert before.queries == after.queries and [d.text for d in before.corpus] == [d.text for d in after.corpus]
    usual = {" ".join(text.split()[:3]) for text in before.select(split="train").queries.values()}
    asked = {" ".join(question.text.split()[:3]) for question in collection.questions}
    assert len(asked - usual) > 0.5 * len(usual)


def test_what_is_asked_several_times_is_asked_in_other_words_of_the_same_pages():
    once, thrice = reading_examples.archive(300, each=60), reading_examples.archive(300, each=60, times=3)
    assert [d.text for d in once.corpus] == [d.text for d in thrice.corpus]
    assert {q.text for q in once.questions} < {q.text for q in thrice.questions}
    assert len(thrice.questions) > 2 * len(once.questions)
    asked = lambda collection: {(q.passages, q.answer) for q in collection.questions if q.answer}
    assert len(asked(thrice)) < 1.2 * len(asked(once))  # a paraphrase that shares a word with its page gives way


def test_domains_and_stories_kept_for_evaluation_are_not_trained_on():
    held_out = [n for n, domain in reading_examples.read_domains().items() if domain.get("held_out")]
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
        Corpus(documents),
        {"a": "Who is the keeper?", "b": "When?"},
        qrels={"a": {"1": 1}},
        answers={"a": ["Tomas Brandt"], "b": []},
    )
    questions = reading_examples.from_dataset(dataset).questions
    assert [(q.answer, q.acceptable, q.passages) for q in questions] == [
        ("Tomas Brandt", ["Tomas Brandt"], (documents[0],)),
        (None, [], ()),
    ]
    for seed in range(3):  # "When?" has no word to search for
        assert len(reading_examples.examples(reading_examples.from_dataset(dataset), 5, seed=seed)) == 5


def test_training_texts_that_a_wheel_leaves_out_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(reading_examples, "STORIES", tmp_path)
    with pytest.raises(FileNotFoundError, match="not installed: the wheel leaves it out; train in a checkout"):
        reading_examples.stories()
