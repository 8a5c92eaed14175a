"""Ranking metrics: worked examples by hand, and agreement with ir_measures (trec_eval) and scikit-learn."""

import ir_measures
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from ragedu.evaluation import (
    average_precision,
    evaluate_run,
    get_retrieval_score,
    judged_at_k,
    ndcg,
    precision_at_k,
    r_precision,
    recall_at_k,
    reciprocal_rank,
    success_at_k,
)
from ragedu.evaluation.ranking import parse
from ragedu.evaluation.runs import trec_order, without_ties

# Found: a (grade 3), b (1), c (not relevant), d (2). Missed: e (3).
JUDGMENTS = {"a": 3, "b": 1, "c": 0, "d": 2, "e": 3}
RANKED = ["a", "b", "c", "d"]

# ragedu's name, ir_measures' name, and which program computes it there.
TREC_EVAL = {
    "ndcg@1": "nDCG@1",
    "ndcg@3": "nDCG@3",
    "ndcg": "nDCG",
    "p@1": "P@1",
    "p@5": "P@5",
    "recall@2": "R@2",
    "recall@100": "R@100",
    "success@1": "Success@1",
    "success@5": "Success@5",
    "mrr": "RR",
    "map": "AP",
    "map@3": "AP@3",
    "rprec": "Rprec",
}
OTHER_PROGRAMS = {"mrr@1": "RR@1", "mrr@3": "RR@3", "mrr@10": "RR@10", "judged@3": "Judged@3", "judged@10": "Judged@10"}

documents = st.sampled_from([f"d{number}" for number in range(8)] + ["é", "한", "Z", "z"])
# Few different scores, so that ties abound; two that differ in double precision only.
scores = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.0 + 1e-12, 2.5]) | st.floats(-1e6, 1e6)
queries = st.sampled_from(["q1", "q2", "q3", "q4"])
runs = st.dictionaries(queries, st.dictionaries(documents, scores, min_size=1), min_size=1)
judgments_of_a_query = st.dictionaries(documents, st.integers(-2, 4), min_size=1)
# Of queries with negative grades only, pytrec_eval 0.5.11 now and then never returns (it reads beside an array).
all_qrels = st.dictionaries(queries, judgments_of_a_query.filter(lambda j: max(j.values()) >= 0), min_size=1)


def by_ir_measures(names, qrels, run):
    measures = {name: ir_measures.parse_measure(theirs) for name, theirs in names.items()}
    per_query = {name: {} for name in names}
    for measure in ir_measures.iter_calc(list(measures.values()), qrels, run):
        name = next(name for name, one in measures.items() if one == measure.measure)
        per_query[name][measure.query_id] = measure.value
    # A query of the run that nobody judged is no part of the evaluation.
    return {name: {query: values[query] for query in qrels} for name, values in per_query.items()}


@settings(max_examples=200, deadline=None)
@given(runs, all_qrels)
def test_equal_ir_measures_with_ties_missing_queries_and_negative_grades(run, qrels):
    assume(run.keys() & qrels.keys())
    ours = evaluate_run(run, qrels, metrics=list(TREC_EVAL))
    theirs = by_ir_measures(TREC_EVAL, qrels, run)
    for name in TREC_EVAL:
        assert ours.per_query[name] == pytest.approx(theirs[name], abs=1e-9), name
        assert ours[name] == pytest.approx(np.mean(list(theirs[name].values())), abs=1e-9), name


def test_equal_ir_measures_on_thousands_of_random_queries():
    """Depths from 0 to 60, scores on a coarse grid (ties in most queries), grades from -2 to 4, missing queries."""
    rng = np.random.default_rng(11)
    ids = np.array([f"d{number}" for number in range(80)])
    run, qrels = {}, {}
    for query in map(str, range(3000)):
        found = rng.permutation(ids)[: rng.integers(0, 60)]
        scores = np.round(rng.normal(size=len(found)), int(rng.integers(0, 3)))
        if len(found):
            run[query] = dict(zip(found.tolist(), scores.tolist(), strict=True))
        judged = rng.permutation(ids)[: rng.integers(1, 30)]
        qrels[query] = dict(zip(judged.tolist(), rng.integers(-2, 5, len(judged)).tolist(), strict=True))
        qrels[query][str(judged[0])] = max(qrels[query][str(judged[0])], 0)
    ours = evaluate_run(run, qrels, metrics=list(TREC_EVAL))
    theirs = by_ir_measures(TREC_EVAL, qrels, run)
    assert len(run) < len(qrels) == 3000
    for name in TREC_EVAL:
        assert ours.per_query[name] == pytest.approx(theirs[name], abs=1e-9), name


@settings(max_examples=150, deadline=None)
@given(runs, all_qrels)
def test_equal_ir_measures_where_other_programs_compute_the_metric(run, qrels):
    # These break ties by document id ascending, trec_eval descending: compare on a ranking without ties.
    assume(run.keys() & qrels.keys())
    for query, of_query in run.items():
        order = trec_order(of_query)
        run[query] = dict(zip(order, without_ties([-rank for rank in range(len(order))]), strict=True))
    ours = evaluate_run(run, qrels, metrics=list(OTHER_PROGRAMS))
    theirs = by_ir_measures(OTHER_PROGRAMS, qrels, run)
    for name in OTHER_PROGRAMS:
        assert ours.per_query[name] == pytest.approx(theirs[name], abs=1e-9), name


@settings(max_examples=100, deadline=None)
@given(runs, all_qrels, st.integers(1, 5))
def test_exponential_gain_equals_trec_eval_with_mapped_grades(run, qrels, k):
    gains = {grade: 2**grade - 1 for grade in range(5)}
    measure = ir_measures.nDCG(gains=gains) @ k
    for metric in ir_measures.iter_calc([measure], qrels, run):
        if metric.query_id in qrels:
            ranked = trec_order(run.get(metric.query_id, {}))
            ours = ndcg(ranked, qrels[metric.query_id], k=k, gain="exponential")
            assert ours == pytest.approx(metric.value, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(documents, unique=True), st.dictionaries(documents, st.integers(-2, 4)), st.integers(1, 12))
def test_every_metric_is_between_0_and_1_and_the_ideal_ranking_is_best(ranked, judgments, k):
    ideal = sorted(judgments, key=judgments.get, reverse=True)
    for name in ("ndcg", "p", "recall", "success", "mrr", "map", "judged"):
        score, _ = parse(f"{name}@{k}")
        assert 0 <= score(ranked, judgments) <= 1 + 1e-12
        if name != "judged":
            assert score(ranked, judgments) <= score(ideal, judgments) + 1e-12


def test_worked_example():
    assert ndcg(RANKED, JUDGMENTS) == pytest.approx(0.7104, abs=5e-5)
    assert ndcg(RANKED, JUDGMENTS, gain="exponential") == pytest.approx(0.6685, abs=5e-5)
    # What one gets by forgetting the document that was missed: the very ranking looks excellent.
    assert ndcg(RANKED, {id: JUDGMENTS[id] for id in RANKED}) == pytest.approx(0.9434, abs=5e-5)
    assert precision_at_k(RANKED, JUDGMENTS, 2) == 1.0
    assert precision_at_k(RANKED, JUDGMENTS, 10) == 3 / 10
    assert recall_at_k(RANKED, JUDGMENTS, 2) == 2 / 4
    assert success_at_k(["c", "x", "b"], JUDGMENTS, 2) == 0.0
    assert success_at_k(["c", "x", "b"], JUDGMENTS, 3) == 1.0
    assert reciprocal_rank(["c", "x", "b"], JUDGMENTS) == 1 / 3
    assert reciprocal_rank(["c", "x", "b"], JUDGMENTS, k=2) == 0.0
    assert average_precision(RANKED, JUDGMENTS) == pytest.approx((1 / 1 + 2 / 2 + 3 / 4) / 4)
    assert average_precision(RANKED, JUDGMENTS, k=2) == pytest.approx((1 / 1 + 2 / 2) / 4)
    assert r_precision(RANKED, JUDGMENTS) == 3 / 4
    assert judged_at_k(["a", "x", "c"], JUDGMENTS, k=2) == 1 / 2


def test_grades_below_zero_count_as_zero():
    assert ndcg(["a", "b"], {"a": -5, "b": 2}) == ndcg(["a", "b"], {"b": 2})
    result = evaluate_run({"q": {"a": 1.0}}, {"q": {"a": -1}}, metrics=[*TREC_EVAL, *OTHER_PROGRAMS])
    assert all(mean == 0 for name, mean in result.items() if "judged" not in name)


def test_a_ranking_holds_each_document_once():
    for metric in (ndcg, reciprocal_rank, average_precision, r_precision):
        with pytest.raises(ValueError, match="'b' is ranked twice"):
            metric(["a", "b", "b"], JUDGMENTS)


@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_k_must_be_a_whole_number_of_documents(k):
    with pytest.raises(ValueError, match="k must be a whole number"):
        recall_at_k(RANKED, JUDGMENTS, k)
    with pytest.raises(ValueError, match="k must be a whole number"):
        get_retrieval_score([1, 0], [1, 0], k=k)


def test_names():
    assert parse("nDCG@10")[1] == 10 and parse("map")[1] is None
    for theirs, ours in (("RR@10", "mrr@10"), ("R@5", "recall@5"), ("AP", "map"), ("P@5", "precision@5")):
        assert parse(theirs)[0](RANKED, JUDGMENTS) == parse(ours)[0](RANKED, JUDGMENTS)
    with pytest.raises(ValueError, match=r"no metric 'nddcg@10'; there are ndcg, p, .*recall"):
        parse("nddcg@10")
    for malformed in ("ndcg@0", "ndcg@ten", "ndcg@-1", "ndcg@", "ndcg@1.5", ""):
        with pytest.raises(ValueError, match="whole-number cutoff"):
            parse(malformed)
    with pytest.raises(ValueError, match="recall needs a cutoff, as in recall@10"):
        parse("recall")
    with pytest.raises(ValueError, match="rprec takes no cutoff"):
        parse("rprec@10")


# get_retrieval_score


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5), st.integers(2, 12), st.integers(1, 15), st.integers(0, 10**6))
def test_equals_scikit_learn_without_ties(n_queries, n_documents, k, seed):
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 4, (n_queries, n_documents))
    y_score = np.array([rng.permutation(n_documents) for _ in range(n_queries)]) - 3.5
    assert get_retrieval_score(y_true, y_score, metric="ndcg", k=k) == pytest.approx(ndcg_score(y_true, y_score, k=k))
    assert get_retrieval_score(y_true, y_score, metric="ndcg", k=None) == pytest.approx(ndcg_score(y_true, y_score))


def test_retrieval_score_by_hand():
    y_true = [[1, 0, 0, 1], [0, 0, 1, 0]]
    y_score = [[0.9, 0.8, 0.7, 0.1], [0.9, 0.8, 0.7, 0.1]]
    assert get_retrieval_score(y_true, y_score, metric="precision", k=2) == pytest.approx((1 / 2 + 0) / 2)
    assert get_retrieval_score(y_true, y_score, metric="recall", k=3) == pytest.approx((1 / 2 + 1) / 2)
    assert get_retrieval_score(y_true, y_score, metric="mrr") == pytest.approx((1 + 1 / 3) / 2)
    assert get_retrieval_score(y_true, y_score, metric="map") == pytest.approx(((1 + 2 / 4) / 2 + 1 / 3) / 2)
    assert get_retrieval_score(y_true, y_score, metric="success", k=1) == 0.5
    assert get_retrieval_score(y_true[0], y_score[0], metric="success", k=1) == 1.0
    assert get_retrieval_score(y_true, y_score, metric="rprec", k=None) == pytest.approx((1 / 2 + 0) / 2)


def test_equal_scores_stand_in_the_order_of_their_positions():
    assert get_retrieval_score([1, 0, 0], [5, 5, 5], metric="mrr") == 1.0
    assert get_retrieval_score([0, 0, 1], [5, 5, 5], metric="mrr") == 1 / 3
    # Enough equal scores to bring out an unstable sort.
    assert get_retrieval_score([0] * 99 + [1], [5] * 100, metric="mrr", k=None) == 1 / 100


@pytest.mark.parametrize(
    ("y_true", "y_score", "message"),
    [
        ([1, 0], [1, 0, 0], r"y_true has shape \(2,\) and y_score \(3,\)"),
        ([[1, 0]], [1, 0], r"shape \(1, 2\) and y_score \(2,\)"),
        ([], [], "not empty"),
        ([[]], [[]], "not empty"),
        ([[[1]]], [[[1]]], r"shape \(1, 1, 1\)"),
        ([[1, 0], [1]], [[1, 0], [1]], "rows of equal length"),
        ([1, 0], ["a", "b"], "y_score must be an array of numbers"),
        ([1, 0, 0], [1, float("nan"), 2], r"y_score has NaN at index \(1,\)"),
        ([[0, 1], [float("nan"), 0]], [[1, 2], [1, 2]], r"y_true has NaN at index \(1, 0\)"),
        ([float("inf"), 0], [1, 0], "infinite grades"),
    ],
)
def test_arrays_that_cannot_be_scored(y_true, y_score, message):
    with pytest.raises(ValueError, match=message):
        get_retrieval_score(y_true, y_score)
