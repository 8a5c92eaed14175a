"""Support by sources, and which part of a system lost the wrong answers."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragedu import Corpus, Dataset, Document
from ragedu.evaluation import Interrupted, Result, answer_scores, diagnose, evaluate_answers, support
from ragedu.evaluation.answers import f1
from ragedu.generation.prompts import ABSTAIN
from ragedu.retrieval.base import Hit, Hits
from ragedu.text import chunk

KEEPER = Document(
    "keeper", "The keeper of the lighthouse is Tomas Brandt. He lights the lamp at dusk.", "The lighthouse"
)
PERMIT = Document("permit", "Permit 17 allows Ada Quill to sell smoked fish on the east quay.")


def test_by_hand():
    assert support("Tomas Brandt", [PERMIT, KEEPER]) == (1.0, True, 2)
    assert support("the  TOMAS brandt!", [PERMIT, KEEPER]) == (1.0, True, 2)  # compared as exact match compares
    assert support("He sells smoked fish", [KEEPER, PERMIT]) == (1.0, False, 2)  # sells -> sell: the same stem
    assert support("Ada Quill keeps the lighthouse", [KEEPER, PERMIT]).contained is False
    # ada, quill | keep, lighthous: of these four words, one page has two and the other two; never all from both.
    assert support("Ada Quill keeps the lighthouse", [KEEPER, PERMIT]).share == 0.5
    assert support("a zeppelin", [KEEPER, PERMIT]) == (0.0, False, None)
    assert support("The lighthouse", [KEEPER]).contained  # in its title


@pytest.mark.parametrize(
    "source", ["“Tomas Brandt” is the keeper", "the keeper—Tomas Brandt—lights it", "Tomas Brandt… and others"]
)
def test_typographic_signs_are_signs(source):
    assert support("Tomas Brandt", [source]) == support("“Tomas Brandt”", [source]) == (1.0, True, 1)


def test_one_letter_in_two_encodings_is_one():
    assert support("Zo\u00eb", ["Zoe\u0308 bakes"]) == support("Zoe\u0308", ["Zo\u00eb bakes"]) == (1.0, True, 1)
    assert support("nine o’clock", ["at nine o'clock"]).contained


@pytest.mark.parametrize("word, other", [("दिन", "दान"), ("กิน", "กัน"), ("ទឹក", "ទូក"), ("မီး", "မူး")])
def test_vowel_signs_belong_to_words(word, other):
    assert support(word, [other]) == (0.0, False, None)
    assert support(word, [f"17 {word} 17"]) == (1.0, True, 1)


def test_what_it_cannot_see():
    """Said in the docstring, and held to: support is not truth."""
    assert support("Ada Quill", [KEEPER, PERMIT]).contained  # though she keeps no lighthouse
    assert support("He doesn't light the lamp", [KEEPER]).share == 1
    assert support("seventeen", [PERMIT]).share == 0


def test_words_are_whole_and_side_by_side():
    assert not support("1", ["permit 17"]).contained and support("1", ["permit 17"]).share == 0
    assert not support("Tomas lights", [KEEPER]).contained
    assert support("17", [PERMIT]).contained


def test_answers_without_content_words():
    assert support("he", [KEEPER]) == (1.0, True, 1)  # a stop word: compared as it is
    assert support("", [KEEPER]) == support("?!", [KEEPER]) == (0.0, False, None)
    assert support("Tomas", []) == (0.0, False, None)


def test_takes_texts_documents_and_hits():
    hits = Hits([Hit(PERMIT, 2.0, 1), Hit(KEEPER, 1.0, 2)])
    assert support("Tomas Brandt", hits) == support("Tomas Brandt", [PERMIT.text, KEEPER.text]) == (1.0, True, 2)
    with pytest.raises(TypeError, match=r"put it in \[ \]"):
        support("x", "one text")
    with pytest.raises(TypeError, match="a text, a document or a hit, not a int"):
        support("x", [1])


texts = st.lists(st.sampled_from("the ferry leaves Gull island at nine 17 not".split()), max_size=6).map(" ".join)


@given(texts, st.lists(texts, max_size=4), texts)
def test_more_sources_never_support_less(answer, sources, more):
    before, after = support(answer, sources), support(answer, [*sources, more])
    assert 0 <= before.share <= 1
    assert after.contained >= before.contained
    if not after.contained:
        assert after.share >= before.share
    if before.source:
        assert 1 <= before.source <= len(sources)


@given(texts, texts, texts)
def test_a_part_of_a_source_is_contained(before, answer, after):
    result = support(answer, [f"{before} {answer} {after}"])
    if answer.replace("the", "").strip():
        assert result.contained and result.share == 1


# diagnose.

ANSWERS = {"a": ["nine"], "b": ["oak"], "c": ["Ada"], "d": ["1887"], "e": [], "f": [], "g": ["red"]}
QRELS = {"a": {"1": 1}, "b": {"1": 1, "2": 0}, "c": {"3": 2, "4": 1}, "d": {"5": 1}, "g": {"6": 1}}
PREDICTIONS = {"a": "Nine.", "b": "elm", "c": "Bob", "d": "1887", "e": ABSTAIN, "f": "blue"}
FOUND = {"a": ["1"], "b": ["2", "7"], "c": ["4", "1"], "d": ["7"], "e": ["1"], "f": ["1"], "g": ["6"]}


def dataset_of(answers=ANSWERS, qrels=QRELS):
    corpus = Corpus(Document(str(number), f"text {number}") for number in range(1, 8))
    return Dataset(corpus, {query_id: "a question" for query_id in answers}, qrels=qrels, answers=answers)


def result_of(predictions=PREDICTIONS, found=FOUND, unfinished=0):
    """Of what evaluate_answers gives, the texts and the sources that were in the prompt."""
    run = {query_id: {id: 1 / rank for rank, id in enumerate(ids, 1)} for query_id, ids in found.items()}
    return Result({}, run, answers=predictions, unfinished=unfinished)


def test_every_outcome():
    diagnosis = diagnose(result_of(), dataset_of())
    assert diagnosis == {
        "a": "right",
        "b": "lost by retrieval",  # document 2 is judged, and not relevant
        "c": "lost by reading",  # one of two relevant documents was there
        "d": "right without source",
        "e": "right",
        "f": "invented",
        "g": "lost by reading",  # no prediction is no answer
    }
    assert diagnosis.counts == {
        "right": 2,
        "right without source": 1,
        "lost by retrieval": 1,
        "lost by reading": 2,
        "invented": 1,
    }
    assert "    2  lost by reading" in repr(diagnosis) and "    7  questions" in repr(diagnosis)
    assert "<td>2</td><td style='text-align:left'>lost by reading</td>" in diagnosis._repr_html_()


def test_questions_that_an_unfinished_result_lacks_are_left_out():
    whole, part = diagnose(result_of(), dataset_of()), diagnose(result_of(unfinished=1), dataset_of())
    assert part == {query_id: outcome for query_id, outcome in whole.items() if query_id != "g"}

    def stops(question):
        if question == "second":
            raise KeyboardInterrupt
        return "elm"

    dataset = Dataset(
        Corpus.from_texts(["oak"]), {"1": "first", "2": "second"}, qrels={}, answers={"1": [], "2": ["oak"]}
    )
    with pytest.raises(Interrupted) as stopped:
        evaluate_answers(stops, dataset, progress=False)
    assert diagnose(stopped.value.result, dataset) == {"1": "invented"}


def test_two_hops_need_both_documents():
    assert diagnose(result_of(), dataset_of(), need="all")["c"] == "lost by retrieval"
    both = result_of(found=FOUND | {"c": ["4", "3"]})
    assert diagnose(both, dataset_of(), need="all")["c"] == "lost by reading"


def test_the_right_ones_are_those_of_answer_scores():
    diagnosis = diagnose(result_of(), dataset_of())
    right = diagnosis.counts["right"] + diagnosis.counts["right without source"]
    assert right / len(ANSWERS) == answer_scores(PREDICTIONS, ANSWERS)["exact_match"]


def test_a_passage_stands_for_its_document():
    documents = Corpus([Document("keeper", "Tomas Brandt keeps it. " * 9)])
    passages = chunk(documents, words=10, overlap=0)
    hits = Hits([Hit(passages[1], 1.0, 1)])
    assert hits[0].document.id == "keeper/2"
    system = lambda question: SimpleNamespace(text="x", sources=hits)
    for corpus, judged in ((documents, "keeper"), (passages, "keeper/2")):  # the judgments may be of either
        dataset = Dataset(corpus, {"q": "who?"}, qrels={"q": {judged: 1}}, answers={"q": ["y"]})
        assert diagnose(evaluate_answers(system, dataset, progress=False), dataset) == {"q": "lost by reading"}


def test_what_nobody_has_judged_is_not_blamed_on_retrieval():
    dataset = dataset_of({"q": ["y"], "r": []}, {})
    with pytest.raises(ValueError, match="1 questions that have answers .* such as 'q'.* leave them out with dataset"):
        diagnose(result_of({"q": "x"}, {"q": ["1"]}), dataset)


def test_right_is_yes_or_no():
    dataset = dataset_of({"a": ["nine"]}, {"a": {"1": 1}})
    with pytest.raises(ValueError, match=r"yes or no, not 0\.4.* \(query 'a'\): give a threshold"):
        diagnose(result_of({"a": "nine in the old town"}, {"a": ["1"]}), dataset, is_right=f1)


def test_another_judge():
    contains = lambda text, acceptable: any(answer in text for answer in acceptable)
    dataset = dataset_of({"a": ["nine"]}, {"a": {"1": 1}})
    assert diagnose(result_of({"a": "at nine o'clock"}, {"a": ["1"]}), dataset, is_right=contains) == {"a": "right"}


def test_mistakes_in_diagnosing():
    with pytest.raises(ValueError, match='need must be "any" or "all"'):
        diagnose(result_of(), dataset_of(), need="some")
    with pytest.raises(ValueError, match="the result has no answers: diagnose what evaluate_answers has returned"):
        diagnose(Result({}, {}), dataset_of())
