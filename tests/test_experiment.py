"""evaluate: a retriever against a dataset, figures equal to ir_measures on the run that it writes."""

from pathlib import Path

import ir_measures
import numpy as np
import pytest

from ragedu import Corpus, Dataset, Document, evaluate, read_beir
from ragedu.evaluation import evaluate_run, read_run, reciprocal_rank, write_run
from ragedu.retrieval.base import Hit, Hits

SCIFACT = Path(__file__).parents[2] / "shared/data/scifact"


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
    return Dataset(corpus, queries, qrels)


def test_means_are_over_the_judged_queries(dataset):
    result = evaluate(SharedWords(), dataset, ["mrr@10", "recall@2", "rprec"], progress=False)
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
    result = evaluate(retriever, dataset, list(names), progress=False)
    shown = [hit.document.id for hit in retriever.search("the harbour")]
    assert shown == ["a", "z", "m"]
    assert result.per_query["mrr"]["2"] == reciprocal_rank(shown, dataset.qrels["2"]) == 1.0

    write_run(result.run, tmp_path / "run.txt")
    written = read_run(tmp_path / "run.txt")
    qrels = {query: judgments for query, judgments in dataset.qrels.items() if judgments}
    theirs = ir_measures.calc_aggregate(list(map(ir_measures.parse_measure, names.values())), qrels, written)
    for ours, name in names.items():
        assert result[ours] == pytest.approx(theirs[ir_measures.parse_measure(name)], abs=1e-9), name
    assert evaluate_run(written, dataset.qrels, list(names)) == result


def test_retrieves_as_deep_as_the_largest_cutoff(dataset):
    for metrics, k, depth in (
        (["ndcg@10", "recall@100"], None, 100),
        ("mrr@10", None, 10),
        (["map", "ndcg@10"], None, 1000),
        (["map@2000", "map"], None, 2000),
        (["map", "ndcg@10"], 50, 50),
    ):
        retriever = SharedWords()
        evaluate(retriever, dataset, metrics, k=k, progress=False)
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


def test_a_query_that_is_a_document_does_not_find_itself():
    corpus = Corpus([Document("x", "red red boat"), Document("y", "red boat sails"), Document("z", "boat")])
    dataset = Dataset(corpus, {"x": "red boat sails", "q": "red boat"}, {"x": {"z": 1}, "q": {"x": 1}})
    result = evaluate(SharedWords(), dataset, ["mrr@2", "recall@2"], progress=False)
    assert list(result.run["x"]) == ["y", "z"]  # x is dropped, and two documents are left nevertheless
    assert list(result.run["q"]) == ["x", "y"]
    # Ids that coincide by chance: a judged document is one that the query was meant to find.
    numbered = Dataset(Corpus.from_texts(["red boat", "blue"]), {"0": "red boat"}, {"0": {"0": 1}})
    assert evaluate(SharedWords(), numbered, "mrr@10", progress=False)["mrr@10"] == 1.0


def test_many_queries_go_in_batches_and_stay_with_their_ids():
    corpus = Corpus.from_texts([f"word{number}" for number in range(150)])
    dataset = Dataset(
        corpus,
        {f"q{number}": f"word{number}" for number in range(150)},
        {f"q{number}": {str(number): 1} for number in range(150)},
    )
    retriever = SharedWords()
    assert evaluate(retriever, dataset, "mrr@1", progress=False)["mrr@1"] == 1.0
    assert len(retriever.asked) > 1 and sum(size for size, _ in retriever.asked) == 150


def test_progress_is_on_standard_error_and_can_be_switched_off(dataset, capsys):
    evaluate(SharedWords(), dataset)
    shown = capsys.readouterr()
    assert shown.out == "" and "4/4" in shown.err
    evaluate(SharedWords(), dataset, progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_result_shows_itself(dataset):
    result = evaluate(SharedWords(), dataset, ["ndcg@10", "mrr@10"], progress=False)
    assert repr(result) == f"ndcg@10  {result['ndcg@10']:.4f}\nmrr@10   0.5000\nmean over 4 queries"
    assert "<td>0.5000</td>" in result._repr_html_() and "4 queries" in result._repr_html_()
    assert dict(result) == {"ndcg@10": result["ndcg@10"], "mrr@10": 0.5}


def test_mistakes(dataset):
    retriever = SharedWords()
    with pytest.raises(ValueError, match="no relevance judgments"):
        evaluate(retriever, Dataset(dataset.corpus, dataset.queries), progress=False)
    with pytest.raises(ValueError, match="no relevance judgments"):
        evaluate(retriever, Dataset(dataset.corpus, dataset.queries, {"1": {}}), progress=False)
    with pytest.raises(ValueError, match="there is no metric 'ncdg@10'"):
        evaluate(retriever, dataset, ["ncdg@10"])
    with pytest.raises(ValueError, match="at least one metric"):
        evaluate(retriever, dataset, [])
    with pytest.raises(ValueError, match="at least the largest cutoff of the metrics, 100"):
        evaluate(retriever, dataset, ["recall@100"], k=10)
    assert retriever.fitted == 0  # all this is said before any work is done
    with pytest.raises(ValueError, match="ids look like 'one', those of the qrels like '1'"):
        evaluate_run({"one": {"a": 1.0}}, dataset.qrels)


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


@pytest.mark.skipif(not SCIFACT.exists(), reason="the SciFact collection is not beside this checkout")
def test_equal_ir_measures_on_scifact(tmp_path):
    dataset = read_beir(SCIFACT)
    names = {
        "ndcg@10": "nDCG@10",
        "recall@100": "R@100",
        "mrr@10": "RR@10",
        "map@100": "AP@100",
        "success@5": "Success@5",
    }
    result = evaluate(SharedWords(), dataset.select(list(dataset.queries)[:60]), list(names), progress=False)
    write_run(result.run, tmp_path / "run.txt")
    qrels = {query: dataset.qrels[query] for query in result.run}
    theirs = ir_measures.calc_aggregate(
        list(map(ir_measures.parse_measure, names.values())),
        qrels,
        ir_measures.read_trec_run(str(tmp_path / "run.txt")),
    )
    for ours, name in names.items():
        assert result[ours] == pytest.approx(theirs[ir_measures.parse_measure(name)], abs=1e-9), name
    assert result["recall@100"] > 0.2  # counting words is a poor retriever, but no random one
