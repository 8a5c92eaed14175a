"""evaluate and compare: systems against a dataset, figures equal to ir_measures on the run that is written."""

import ir_measures
import numpy as np
import pytest

from ragedu import RAG, BM25Retriever, Corpus, Dataset, Document, SqliteRetriever, evaluate
from ragedu.evaluation import (
    Comparison,
    Interrupted,
    answer_scores,
    bootstrap_interval,
    compare,
    diagnose,
    evaluate_answers,
    evaluate_run,
    holm,
    paired_test,
    read_run,
    reciprocal_rank,
    write_run,
)
from ragedu.generation.prompts import ABSTAIN
from ragedu.retrieval.base import Hit, Hits
from ragedu.text import chunk


class SharedWords:
    """A retriever as a learner might write one: the score is the number of words in common. It ties a lot."""

    def __init__(self):
        self.corpus, self.fitted, self.asked = None, 0, []

    def fit(self, corpus):
        self.corpus, self.fitted = corpus, self.fitted + 1
        self.words = [set(document.content.lower().split()) for document in corpus]
        return self

    def search_many(self, queries, k=10):
        self.asked.append((len(queries), k))
        return [self.search(query, k) for query in queries]

    def search(self, query, k=10):
        scores = np.array([len(words & set(query.lower().split())) for words in self.words], dtype=np.float32)
        best = [position for position in np.argsort(-scores, kind="stable")[:k] if scores[position] > 0]
        return Hits(Hit(self.corpus[int(p)], float(scores[p]), rank) for rank, p in enumerate(best, start=1))


@pytest.fixture
def dataset():
    corpus = Corpus(
        Document(id, text)
        for id, text in [
            ("a", "the harbour light"),
            ("z", "the harbour wall"),
            ("m", "a ship in the harbour"),
            ("b", "bread and salt"),
        ]
    )
    queries = {"1": "harbour light", "2": "the harbour", "3": "nothing here", "4": "not judged", "5": "salt"}
    qrels = {"1": {"a": 2, "m": 1}, "2": {"a": 1}, "3": {"b": 1}, "4": {}, "5": {"b": 0}}
    return Dataset(corpus, queries, qrels=qrels)


def test_a_wrapper_that_passes_everything_on_is_asked_like_what_it_wraps(harbour):
    class Wrapper:
        def __init__(self, inner):
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

    asked = Dataset(harbour, {"q": "Who keeps the lighthouse?"}, {}, {"q": ["Tomas Brandt"]})
    rag = RAG(BM25Retriever().fit(harbour), lambda prompt: "Tomas Brandt")
    assert evaluate_answers(Wrapper(rag), asked, progress=False)["exact_match"] == 1


def test_means_are_over_the_judged_queries(dataset):
    result = evaluate(SharedWords(), dataset, metrics=["mrr@10", "recall@2", "rprec"], progress=False)
    # Query 3 finds nothing and query 5 has nothing relevant: both count 0. Nobody judged query 4: it does not count.
    assert result.per_query["mrr@10"] == {"1": 1.0, "2": 1.0, "3": 0.0, "5": 0.0}
    assert result["mrr@10"] == 0.5
    assert result["recall@2"] == pytest.approx((1 / 2 + 1 + 0 + 0) / 4)
    assert list(result) == ["mrr@10", "recall@2", "rprec"]
    assert result.run["3"] == {} and "4" not in result.run


def test_what_is_scored_is_the_ranking_as_shown_and_every_tool_agrees(dataset, tmp_path):
    # In query 2, three documents tie. The retriever shows a first; trec_eval, left to itself, would show z first
    # and find the relevant one last.
    retriever = SharedWords()
    names = {"mrr@10": "RR@10", "mrr": "RR", "ndcg@2": "nDCG@2", "p@1": "P@1", "judged@2": "Judged@2"}
    result = evaluate(retriever, dataset, metrics=list(names), progress=False)
    shown = [hit.document.id for hit in retriever.search("the harbour")]
    assert shown == ["a", "z", "m"]
    assert result.per_query["mrr"]["2"] == reciprocal_rank(shown, dataset.qrels["2"]) == 1.0

    write_run(result.run, tmp_path / "run.txt")
    written = read_run(tmp_path / "run.txt")
    qrels = {query: judgments for query, judgments in dataset.qrels.items() if judgments}
    theirs = ir_measures.calc_aggregate(list(map(ir_measures.parse_measure, names.values())), qrels, written)
    for ours, name in names.items():
        assert result[ours] == pytest.approx(theirs[ir_measures.parse_measure(name)], abs=1e-9), name
    assert evaluate_run(written, dataset.qrels, metrics=list(names)) == result
    assert evaluate_run(written, dataset, metrics=list(names)) == result


def test_retrieves_as_deep_as_the_largest_cutoff(dataset):
    for metrics, k, depth in (
        (["ndcg@10", "recall@100"], None, 100),
        ("mrr@10", None, 10),
        (["map", "ndcg@10"], None, 1000),
        (["map@2000", "map"], None, 2000),
        (["map", "ndcg@10"], 50, 50),
    ):
        retriever = SharedWords()
        evaluate(retriever, dataset, metrics=metrics, k=k, progress=False)
        assert {asked for _, asked in retriever.asked} == {depth}


def test_fits_only_when_it_must(dataset):
    retriever = SharedWords()
    evaluate(retriever, dataset, progress=False)
    evaluate(retriever, dataset, progress=False)
    assert retriever.fitted == 1
    # An index that was loaded has an equal corpus, which is another object.
    retriever.corpus = Corpus(list(dataset.corpus))
    evaluate(retriever, dataset, progress=False)
    assert retriever.fitted == 1
    evaluate(retriever.fit(Corpus.from_texts(["another corpus"])), dataset, progress=False)
    assert retriever.fitted == 3 and retriever.corpus is dataset.corpus


def test_a_database_file_is_never_fitted_to_other_documents(dataset, tmp_path):
    mine = Corpus([Document("red", "red boat", metadata={"tags": ("a", "b")}), Document("blue", "blue boat")])
    SqliteRetriever(tmp_path / "my.db").fit(mine).close()
    retriever = SqliteRetriever(tmp_path / "my.db")
    with pytest.raises(
        ValueError, match=r"holds another corpus, of 2 documents, .* would delete.*fit\(dataset.corpus\)"
    ):
        evaluate(retriever, dataset, metrics="mrr@10", progress=False)
    assert retriever.corpus.ids == SqliteRetriever(tmp_path / "my.db").corpus.ids == ["red", "blue"]
    # The same documents: nothing is fitted, though a tuple has come back as a list.
    same = Dataset(mine, {"q": "red boat"}, qrels={"q": {"red": 1}})
    stamp = retriever._stamp
    assert evaluate(retriever, same, metrics="mrr@10", progress=False)["mrr@10"] == 1 and retriever._stamp == stamp
    # One in memory is fitted again, as every retriever is whose index lives here only.
    assert evaluate(SqliteRetriever().fit(mine), dataset, metrics="mrr@10", progress=False)["mrr@10"] > 0


def test_a_query_that_is_a_document_does_not_find_itself():
    corpus = Corpus([Document("x", "red red boat"), Document("y", "red boat sails"), Document("z", "boat")])
    dataset = Dataset(corpus, {"x": "red boat sails", "q": "red boat"}, qrels={"x": {"z": 1}, "q": {"x": 1}})
    result = evaluate(SharedWords(), dataset, metrics=["mrr@2", "recall@2"], progress=False)
    assert list(result.run["x"]) == ["y", "z"]  # x is dropped, and two documents are left nevertheless
    assert list(result.run["q"]) == ["x", "y"]
    # A run of another system is scored alike.
    retriever = SharedWords().fit(corpus)
    ranked = {query_id: retriever.search(query) for query_id, query in dataset.queries.items()}
    unfiltered = {query_id: {hit.document.id: 1 / hit.rank for hit in hits} for query_id, hits in ranked.items()}
    assert "x" in unfiltered["x"]
    result = evaluate(SharedWords(), dataset, metrics=["mrr@3", "recall@2"], progress=False)
    assert evaluate_run(unfiltered, dataset.qrels, metrics=["mrr@3", "recall@2"]).per_query == result.per_query
    # Ids that coincide by chance: a judged document is one that the query was meant to find.
    numbered = Dataset(Corpus.from_texts(["red boat", "blue"]), {"0": "red boat"}, qrels={"0": {"0": 1}})
    assert evaluate(SharedWords(), numbered, metrics="mrr@10", progress=False)["mrr@10"] == 1.0


def test_many_queries_go_in_batches_and_stay_with_their_ids():
    corpus = Corpus.from_texts([f"word{number}" for number in range(150)])
    dataset = Dataset(
        corpus,
        {f"q{number}": f"word{number}" for number in range(150)},
        qrels={f"q{number}": {str(number): 1} for number in range(150)},
    )
    retriever = SharedWords()
    assert evaluate(retriever, dataset, metrics="mrr@1", progress=False)["mrr@1"] == 1.0
    assert len(retriever.asked) > 1 and sum(size for size, _ in retriever.asked) == 150


def test_progress_is_on_standard_error_and_can_be_switched_off(dataset, capsys):
    evaluate(SharedWords(), dataset)
    shown = capsys.readouterr()
    assert shown.out == "" and "4/4" in shown.err
    evaluate(SharedWords(), dataset, progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_result_shows_itself(dataset):
    result = evaluate(SharedWords(), dataset, metrics=["ndcg@10", "mrr@10"], progress=False)
    assert repr(result) == f"ndcg@10  {result['ndcg@10']:.4f}\nmrr@10   0.5000\nmean over 4 queries"
    assert "<td>0.5000</td>" in result._repr_html_() and "4 queries" in result._repr_html_()
    assert dict(result) == {"ndcg@10": result["ndcg@10"], "mrr@10": 0.5}


def test_mistakes(dataset):
    retriever = SharedWords()
    with pytest.raises(ValueError, match="no relevance judgments"):
        evaluate(retriever, Dataset(dataset.corpus, dataset.queries), progress=False)
    with pytest.raises(ValueError, match="no relevance judgments"):
        evaluate(retriever, Dataset(dataset.corpus, dataset.queries, qrels={"1": {}}), progress=False)
    with pytest.raises(ValueError, match="there is no metric 'ncdg@10'"):
        evaluate(retriever, dataset, metrics=["ncdg@10"])
    with pytest.raises(ValueError, match="at least one metric"):
        evaluate(retriever, dataset, metrics=[])
    with pytest.raises(ValueError, match="at least the largest cutoff of the metrics, 100"):
        evaluate(retriever, dataset, metrics=["recall@100"], k=10)
    assert retriever.fitted == 0  # all this is said before any work is done
    with pytest.raises(ValueError, match="ids look like 'one', those of the qrels like '1'"):
        evaluate_run({"one": {"a": 1.0}}, dataset.qrels)


QRELS = {"q1": {"5": 1, "6": 0}, "2": {"5": 1}}
OTHER_TYPES = [
    ({"q1": {5: 1.0}}, QRELS, "document ids .* as strings: 5 is int, '5' is str"),
    ({"q1": {"5": 1.0, 6: 0.5}}, QRELS, "document ids .*: 6 is int, '5' is str"),
    ({"q1": {"5": 1.0}, "2": {5: 1.0}}, QRELS, "document ids"),
    ({"q1": {"5": 1.0}, 2: {"5": 1.0}}, QRELS, "query ids .*: 2 is int, 'q1' is str"),
    ({"q1": {"5": 1.0}}, {"q1": {5: 1}}, "document ids .*: '5' is str, 5 is int"),
    ({"q1": {"5": 1.0}}, {"q1": {"5": 1, 6: 1}}, "document ids .*: 6 is int, '5' is str"),
    ({"q1": {np.int64(5): 1.0}}, QRELS, "document ids .* is int64, '5' is str"),
    ({"q1": {None: 1.0}}, QRELS, "document ids"),
]


@pytest.mark.parametrize(("run", "qrels", "message"), OTHER_TYPES)
def test_ids_of_another_type_do_not_score_0_without_a_word(run, qrels, message):
    with pytest.raises(ValueError, match=f"the {message}"):
        evaluate_run(run, qrels)


def test_ids_need_not_be_strings():
    assert evaluate_run({1: {5: 1.0}}, {1: {5: 1}}, metrics=["mrr"])["mrr"] == 1
    assert evaluate_run({"q1": {np.str_("5"): 1.0}}, QRELS, metrics=["mrr"]).per_query["mrr"]["q1"] == 1
    assert evaluate_run({"q1": {"9": 1.0}}, QRELS, metrics=["mrr"])["mrr"] == 0  # found nothing that was judged


@pytest.mark.parametrize(
    ("scores", "positions", "message"),
    [
        ([1.0, 2.0], [0, 1], "query '1': the score at rank 2 .* is above"),
        ([2.0, float("nan")], [0, 1], "query '1': score nan at rank 2 is not a finite number"),
        ([2.0, 1.0], [0, 0], "query '1': the retriever returned a document twice"),
    ],
)
def test_a_retriever_that_ranks_wrongly_is_found_out(dataset, scores, positions, message):
    class Wrong(SharedWords):
        def search(self, query, k=10):
            return Hits(Hit(self.corpus[p], s, r) for r, (p, s) in enumerate(zip(positions, scores, strict=True), 1))

    with pytest.raises(ValueError, match=message):
        evaluate(Wrong(), dataset, progress=False)


# Interruption.


class Stopped(SharedWords):
    """Somebody presses Ctrl-C during the batch of this number."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def search_many(self, queries, k=10):
        found = super().search_many(queries, k)
        if len(self.asked) == self.batch:
            raise KeyboardInterrupt
        return found


@pytest.fixture
def many():
    return Dataset(
        Corpus.from_texts([f"word{number} more" for number in range(150)]),
        {f"q{number}": f"word{number}" for number in range(150)},
        qrels={f"q{number}": {str(number): 1} for number in range(150)},
    )


def test_an_interruption_keeps_what_is_done_and_can_be_resumed(many):
    with pytest.raises(Interrupted, match="128 of 150 queries are done.*run=result.run") as stopped:
        evaluate(Stopped(batch=3), many, metrics="mrr@10", progress=False)
    part = stopped.value.result
    assert isinstance(stopped.value, KeyboardInterrupt)  # nothing that catches errors swallows it
    assert part.n_queries == len(part.run) == 128 and part.unfinished == 22 and part["mrr@10"] == 1.0
    assert "interrupted: 22 more were to come" in repr(part) and "22 more" in part._repr_html_()

    retriever = SharedWords()
    whole = evaluate(retriever, many, metrics="mrr@10", progress=False, run=part.run)
    assert sum(size for size, _ in retriever.asked) == 22  # and no query twice
    assert whole == evaluate(SharedWords(), many, metrics="mrr@10", progress=False)
    assert len(whole.run) == 150 and len(part.run) == 128 and whole.unfinished == 0


def test_an_error_keeps_what_is_done(many):
    class Down(Stopped):
        def search_many(self, queries, k=10):
            try:
                return super().search_many(queries, k)
            except KeyboardInterrupt:
                raise ConnectionError("the server is down") from None

    with pytest.raises(ConnectionError, match="the server is down") as failed:
        evaluate(Down(batch=3), many, metrics="mrr@10", progress=False)
    assert failed.value.result.n_queries == 128 and "run=result.run" in failed.value.__notes__[0]
    with pytest.raises(ConnectionError) as failed:
        evaluate(Down(batch=1), many, metrics="mrr@10", progress=False)
    assert not hasattr(failed.value, "result")

    systems = {"words": SharedWords(), "down": Down(batch=2), "never": SharedWords()}
    with pytest.raises(ConnectionError) as failed:
        compare(systems, many, metrics="mrr@10", against="never", progress=False)
    comparison = failed.value.comparison
    assert [row.n_queries for row in comparison.rows] == [150, 64] and comparison.missing == ["never"]
    # The baseline that was chosen is not there, and no other takes its place.
    assert comparison.against == "never" and all(row.test is None for row in comparison.rows)
    assert "difference" not in repr(comparison) and " p " not in repr(comparison)


def test_an_interruption_before_anything_is_done_is_one(many):
    with pytest.raises(KeyboardInterrupt) as stopped:
        evaluate(Stopped(batch=1), many, metrics="mrr@10", progress=False)
    assert not isinstance(stopped.value, Interrupted)


# Answers.


@pytest.fixture
def answered(dataset):
    return Dataset(
        dataset.corpus, dataset.queries, qrels=dataset.qrels, answers={"1": ["light"], "2": ["a wall"], "4": []}
    )


def test_evaluate_answers_of_a_rag(answered):
    says = {"harbour light": "the light", "the harbour": "a wall of stone", "not judged": "Not in the sources."}
    rag = RAG(SharedWords().fit(answered.corpus), lambda prompt: says[prompt.rsplit("Question: ", 1)[1]], k=2)
    metrics = ["success@1", "exact_match", "f1", "rouge_l"]
    result = evaluate_answers(rag, answered, metrics=metrics, progress=False)
    assert list(result) == metrics
    assert result.answers == {"1": "the light", "2": "a wall of stone", "4": "Not in the sources."}
    assert result.per_query["exact_match"] == {"1": 1, "2": 0, "4": 1}
    assert {name: result[name] for name in ("exact_match", "f1")} == answer_scores(result.answers, answered.answers)
    assert result.per_query["rouge_l"]["2"] == pytest.approx(2 * 2 / (4 + 2))
    assert result.per_query["success@1"] == {"1": 1, "2": 1}  # query 4 has no judgments
    assert list(result.run["2"]) == ["a", "z"] and result.seconds["answer"] > 0
    assert evaluate_answers(rag.ask, answered, metrics=metrics, progress=False) == result
    # The same texts without their sources.
    said = evaluate_answers(result.answers, answered, metrics=["f1"], progress=False)
    assert said.per_query["f1"] == result.per_query["f1"]


def test_predictions_that_are_missing_count_zero(answered):
    result = evaluate_answers({"1": "light", "other": "x"}, answered)
    assert result.per_query["exact_match"] == {"1": 1, "2": 0, "4": 0} and result.unfinished == 0


def test_answering_is_interrupted_and_asked_in_batches(answered):
    class Slow:
        def __init__(self):
            self.asked = []

        def ask_many(self, questions):
            self.asked.append(list(questions))
            return ["light"] * len(questions)

    system = Slow()
    assert evaluate_answers(system, answered, progress=False)["exact_match"] == pytest.approx(1 / 3)
    assert system.asked == [["harbour light", "the harbour", "not judged"]]

    def stops(question):
        if question == "not judged":
            raise KeyboardInterrupt
        return "light"

    with pytest.raises(Interrupted, match="2 of 3 queries are done") as stopped:
        evaluate_answers(stops, answered, progress=False)
    assert stopped.value.result["exact_match"] == 0.5


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionError])
def test_answering_goes_on_where_it_was(answered, error):
    asked = []

    def breaks(question):
        asked.append(question)
        if len(asked) == 3:
            raise error
        return rag.ask(question)

    rag = RAG(SharedWords().fit(answered.corpus), lambda prompt: "light", k=2)
    metrics = ["success@1", "exact_match"]
    whole = evaluate_answers(rag, answered, metrics=metrics, progress=False)
    with pytest.raises(error) as stopped:
        evaluate_answers(breaks, answered, metrics=metrics, progress=False)
    part = stopped.value.result
    said = " ".join([str(stopped.value), *getattr(stopped.value, "__notes__", [])])
    assert "2 of 3 queries are done" in said and "answers=result.answers, run=result.run goes on from there" in said
    resumed = evaluate_answers(breaks, answered, metrics=metrics, progress=False, answers=part.answers, run=part.run)
    assert asked == ["harbour light", "the harbour", "not judged", "not judged"]  # none that was answered, twice
    assert resumed == whole and resumed.per_query == whole.per_query
    assert resumed.answers == whole.answers and resumed.run == whole.run and resumed.unfinished == 0


def test_a_question_without_words_is_an_abstention():
    corpus = Corpus.from_texts(["red boat", "blue bird"])
    queries = {"q": "boat?", "r": "who are they?", "s": "bird?"}
    dataset = Dataset(
        corpus, queries, qrels={"q": {"0": 1}, "r": {"1": 1}}, answers={"q": ["red"], "r": ["two"], "s": []}
    )
    rag = RAG(BM25Retriever().fit(corpus), lambda prompt: "red", k=1)
    result = evaluate_answers(rag, dataset, metrics=["success@1", "exact_match"], progress=False)
    assert result.answers == {"q": "red", "r": ABSTAIN, "s": "red"}
    assert result.per_query == {"success@1": {"q": 1, "r": 0}, "exact_match": {"q": 1, "r": 0, "s": 0}}
    # Any other ValueError is a mistake, and ends it.
    broken = RAG(BM25Retriever().fit(corpus), lambda prompt: [].index(prompt), k=1)
    with pytest.raises(ValueError, match="not in list"):
        evaluate_answers(broken, dataset, progress=False)


def test_passages_count_as_their_document():
    corpus = Corpus(
        [
            Document("keeper", "The lamp is lit. " * 30 + "Tomas Brandt keeps the lighthouse."),
            *(Document(f"d{n}", "something else altogether") for n in range(3)),
        ]
    )
    dataset = Dataset(
        corpus, {"q": "Who keeps the lighthouse?"}, qrels={"q": {"keeper": 1}}, answers={"q": ["Tomas Brandt"]}
    )
    rag = RAG(BM25Retriever(), lambda prompt: "Ada", k=2, chunker=lambda corpus: chunk(corpus, words=40)).fit(corpus)
    result = evaluate_answers(rag, dataset, metrics=["success@1", "exact_match"], progress=False)
    assert rag.retriever.search("lighthouse", 1)[0].document.id != "keeper"
    assert result["success@1"] == 1 and result.run["q"]["keeper"] == 1
    assert diagnose(result, dataset) == {"q": "lost by reading"}
    # Unless the passages are themselves what was judged.
    passages = chunk(corpus, words=40)
    last = max(id for id in passages.ids if id.startswith("keeper/"))
    cut = Dataset(passages, dataset.queries, qrels={"q": {last: 1}}, answers=dataset.answers)
    assert evaluate_answers(rag, cut, metrics=["success@2"], progress=False)["success@2"] == 1


def test_metrics_of_answers_in_any_case(answered):
    assert evaluate_answers({"1": "light"}, answered, metrics=["F1"])["f1"] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="there are ndcg.*for answers there are exact_match, f1, rouge_l"):
        evaluate_answers({"1": "light"}, answered, metrics=["f2"])


def test_where_nothing_is_measured(answered):
    for system in (str, {"1": "light"}):
        with pytest.raises(ValueError, match="nothing was measured: success@1 needs sources"):
            evaluate_answers(system, answered, metrics=["success@1"], progress=False)
    with pytest.raises(TypeError, match="query '1': the system gave no text, but a NoneType"):
        evaluate_answers(lambda question: None, answered, progress=False)


# Several systems.


class LongestFirst(SharedWords):
    def search(self, query, k=10):
        best = sorted(super().search(query, 100), key=lambda hit: -len(hit.document.text))[:k]
        return Hits(Hit(hit.document, 9.0 - rank, rank) for rank, hit in enumerate(best, 1))


class Nothing(SharedWords):
    def search(self, query, k=10):
        return Hits()


SYSTEMS = {"words": SharedWords, "longest": LongestFirst, "nothing": Nothing}


def test_compare(dataset):
    metrics = ["mrr@10", "recall@2"]
    comparison = compare({name: make() for name, make in SYSTEMS.items()}, dataset, metrics=metrics, progress=False)
    alone = {name: evaluate(make(), dataset, metrics=metrics, progress=False) for name, make in SYSTEMS.items()}
    assert comparison == alone and comparison.against == "words" and not comparison.interrupted
    assert [(row.metric, row.system) for row in comparison.rows] == [(m, s) for m in metrics for s in SYSTEMS]
    values = {name: list(result.per_query["mrr@10"].values()) for name, result in alone.items()}
    tests = {name: paired_test(values[name], values["words"]) for name in ("longest", "nothing")}
    corrected = holm([test.p_value for test in tests.values()])
    for row in comparison.rows[:3]:
        assert row.interval == bootstrap_interval(values[row.system]) and row.n_queries == 4
        if row.system == "words":
            assert row.test is None
        else:
            assert row.test == tests[row.system]._replace(p_value=corrected[list(tests).index(row.system)])
    lines = repr(comparison).splitlines()
    assert lines[0].split() == "metric system mean 95 % interval difference to words p".split()
    assert lines[1].startswith("mrr@10    words    0.5000  [") and lines[3].startswith("          nothing  0.0000  [")
    assert (
        lines[-1] == "mean over 4 queries; p by paired randomisation against words, corrected for 2 comparisons (Holm)"
    )
    assert comparison._repr_html_().count("<tr>") == 7 and "difference to words" in comparison._repr_html_()


def test_another_baseline_and_a_single_system(dataset):
    comparison = compare(
        {name: make() for name, make in SYSTEMS.items()}, dataset, metrics="mrr@10", against="nothing", progress=False
    )
    assert [row.test is None for row in comparison.rows] == [False, False, True]
    assert comparison.rows[0].test.difference == 0.5
    single = compare({"words": SharedWords()}, dataset, metrics="mrr@10", progress=False)
    assert "difference" not in repr(single) and repr(single).endswith("mean over 4 queries")


def test_names_are_escaped(dataset):
    html = compare({"a": SharedWords(), "<b>": Nothing()}, dataset, metrics="mrr@10", progress=False)._repr_html_()
    assert "&lt;b&gt;" in html and "<b>" not in html


def test_an_interrupted_comparison_is_usable(many):
    systems = {"words": SharedWords(), "stopped": Stopped(batch=2), "never": SharedWords()}
    comparison = compare(systems, many, metrics="mrr@10", progress=False)
    assert comparison.interrupted and list(comparison) == ["words", "stopped"] and comparison.missing == ["never"]
    assert [row.n_queries for row in comparison.rows] == [150, 64]
    assert comparison.rows[1].test.difference == 0  # on the 64 that both have
    assert repr(comparison).endswith("interrupted: stopped lacks 86 queries, never was not run")
    assert "64 to 150 queries" in repr(comparison) and "never was not run" in comparison._repr_html_()
    with pytest.raises(KeyboardInterrupt):
        compare({"stopped": Stopped(batch=1)}, many, progress=False)


def test_compare_systems_that_answer(answered):
    rag = RAG(SharedWords().fit(answered.corpus), lambda prompt: "light", k=1)
    systems = {"RAG": rag, "function": lambda question: "Not in the sources."}
    comparison = compare(systems, answered, metrics=["success@1", "exact_match"], progress=False)
    # A function shows no sources, so nothing is said about them.
    assert [(row.metric, row.system) for row in comparison.rows] == [
        ("success@1", "RAG"),
        ("exact_match", "RAG"),
        ("exact_match", "function"),
    ]
    assert [row.interval.mean for row in comparison.rows] == pytest.approx([1, 2 / 3, 1 / 3])
    assert [row.n_queries for row in comparison.rows] == [2, 3, 3]
    assert "mean over 2 to 3 queries" in repr(comparison)


def test_progress_names_the_systems(dataset, capsys):
    compare({"words": SharedWords(), "nothing": Nothing()}, dataset)
    shown = capsys.readouterr()
    assert shown.out == "" and all(text in shown.err for text in ("systems", "2/2", "words", "nothing"))
    compare({"words": SharedWords()}, dataset, progress="my title")
    assert "my title" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: compare({}, d), ValueError, "at least one system"),
        (lambda d: compare([SharedWords()], d), TypeError, "dictionary, name: retriever"),
        (lambda d: compare({"a": SharedWords()}, d, against="b"), ValueError, "'b' is not one of the systems: a"),
        (lambda d: compare({"a": 17}, d), TypeError, "'a' is a int: a system is a retriever, a RAG or a function"),
        (lambda d: compare({"a": str}, d), ValueError, "'a' answers questions: name a metric of answers, exact_match"),
        (lambda d: compare({"a": SharedWords()}, d, metrics=["f1"]), ValueError, "a retriever gives none"),
        (lambda d: Comparison({}), ValueError, "nothing to compare"),
        (lambda d: evaluate(SharedWords(), d, metrics=["exact_match"]), ValueError, "use evaluate_answers, or compare"),
        (lambda d: evaluate_answers(str, d), ValueError, "the dataset has no answers"),
        (lambda d: evaluate_answers(str, d, metrics=["accuracy"]), ValueError, "no metric 'accuracy'"),
    ],
)
def test_mistakes_in_comparing(dataset, call, error, message):
    with pytest.raises(error, match=message):
        call(dataset)


def test_equal_ir_measures_on_scifact(scifact, tmp_path):
    names = {
        "ndcg@10": "nDCG@10",
        "recall@100": "R@100",
        "mrr@10": "RR@10",
        "map@100": "AP@100",
        "success@5": "Success@5",
    }
    result = evaluate(SharedWords(), scifact.select(list(scifact.queries)[:60]), metrics=list(names), progress=False)
    write_run(result.run, tmp_path / "run.txt")
    qrels = {query: scifact.qrels[query] for query in result.run}
    theirs = ir_measures.calc_aggregate(
        list(map(ir_measures.parse_measure, names.values())),
        qrels,
        ir_measures.read_trec_run(str(tmp_path / "run.txt")),
    )
    for ours, name in names.items():
        assert result[ours] == pytest.approx(theirs[ir_measures.parse_measure(name)], abs=1e-9), name
    assert result["recall@100"] > 0.2  # counting words is a poor retriever, but no random one
