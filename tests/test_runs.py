"""Run and qrels files: round trips, agreement with ir_measures' reader, and malformed input."""

from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragedu.evaluation import evaluate_run, read_qrels, read_run, write_qrels, write_run
from ragedu.evaluation.runs import check_run_ids, check_target, trec_order, without_ties

ids = st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=6)
finite = st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(ids, st.dictionaries(ids, finite, min_size=1)))
def test_a_run_survives_the_round_trip_exactly(tmp_path_factory, run):
    path = tmp_path_factory.mktemp("runs") / "run.txt"
    write_run(run, path)
    assert read_run(path) == run


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(ids, st.dictionaries(ids, st.integers(-3, 9), min_size=1)))
def test_qrels_survive_the_round_trip(tmp_path_factory, qrels):
    path = tmp_path_factory.mktemp("qrels") / "qrels.txt"
    write_qrels(qrels, path)
    assert read_qrels(path) == qrels


def test_float32_scores_keep_their_value(tmp_path):
    write_run({"q": {"a": np.float32(0.1)}}, tmp_path / "run.txt")
    assert read_run(tmp_path / "run.txt")["q"]["a"] == float(np.float32(0.1)) != 0.1


def test_the_file_is_what_trec_eval_reads(tmp_path):
    write_run({"q1": {"a": 0.5, "b": 2, "c": 0.5}}, tmp_path / "run.txt", tag="bm25")
    # Ranks follow trec_eval's order: c before a, whose score is equal.
    assert (tmp_path / "run.txt").read_text() == ("q1 Q0 b 1 2.0 bm25\nq1 Q0 c 2 0.5 bm25\nq1 Q0 a 3 0.5 bm25\n")
    write_qrels({"q1": {"a": 1, "b": np.int64(0)}}, tmp_path / "qrels.txt")
    assert (tmp_path / "qrels.txt").read_text() == "q1 0 a 1\nq1 0 b 0\n"


def test_written_files_evaluate_alike_in_ir_measures(tmp_path):
    rng = np.random.default_rng(7)
    # Scores on a coarse grid tie often; +1e-9 makes scores that tie in single precision only.
    run = {
        f"q{q}": {f"d{d}": float(np.round(rng.normal(), 1) + 1e-9 * rng.integers(3)) for d in range(60)}
        for q in range(20)
    }
    qrels = {f"q{q}": {f"d{d}": int(rng.integers(-1, 4)) for d in range(0, 80, 7)} for q in range(25)}
    write_run(run, tmp_path / "run.txt")
    write_qrels(qrels, tmp_path / "qrels.txt")
    names = {"ndcg@10": "nDCG@10", "recall@20": "R@20", "map": "AP", "mrr": "RR", "p@5": "P@5", "rprec": "Rprec"}
    theirs = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in names.values()],
        ir_measures.read_trec_qrels(str(tmp_path / "qrels.txt")),
        ir_measures.read_trec_run(str(tmp_path / "run.txt")),
    )
    ours = evaluate_run(read_run(tmp_path / "run.txt"), read_qrels(tmp_path / "qrels.txt"), metrics=list(names))
    for name, their_name in names.items():
        assert ours[name] == pytest.approx(theirs[ir_measures.parse_measure(their_name)], abs=1e-9), name


def test_trec_order():
    assert trec_order({"a": 1.0, "b": 2.0, "c": 1.0}) == ["b", "c", "a"]
    # trec_eval holds scores in single precision: these two are equal there, so the id decides.
    assert trec_order({"a": 1.0 + 1e-12, "b": 1.0}) == ["b", "a"]
    assert trec_order({"a": 1.0 + 1e-6, "b": 1.0}) == ["a", "b"]


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, 1.0 + 1e-12, 3.0, -2.0]) | st.floats(-1e30, 1e30), max_size=30))
def test_without_ties_keeps_the_order_and_hardly_moves_a_score(scores):
    scores = sorted(scores, reverse=True)
    untied = without_ties(scores)
    single = np.array(untied, dtype=np.float32)
    assert np.all(np.diff(untied) < 0) and np.all(np.diff(single) < 0)
    assert untied == pytest.approx(scores, rel=1e-5, abs=1e-40)
    if np.all(np.diff(np.array(scores, dtype=np.float32)) < 0):
        assert untied == scores


def test_without_ties_refuses_what_is_no_ranking():
    with pytest.raises(ValueError, match=r"rank 2 \(2.0\) is above the one before"):
        without_ties([1.0, 2.0])
    for score in (float("nan"), float("inf"), 1e300):
        with pytest.raises(ValueError, match="not a finite number"):
            without_ties([score])


@pytest.mark.parametrize("bad", ["two words", "", "tab\there", "non breaking", "line\nbreak"])
def test_ids_with_white_space_would_shift_the_columns(tmp_path, bad):
    for write, value in ((write_run, 1.0), (write_qrels, 1)):
        with pytest.raises(ValueError, match="white space"):
            write({"q": {bad: value}}, tmp_path / "file")
        with pytest.raises(ValueError, match="white space"):
            write({bad: {"d": value}}, tmp_path / "file")
    with pytest.raises(ValueError, match="the tag"):
        write_run({"q": {"d": 1.0}}, tmp_path / "file", tag=bad)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "run.txt"
    write_run({"q": {"d": 1.0}}, path)
    for bad in (float("nan"), float("inf"), "1.0"):
        with pytest.raises(ValueError, match="is not a finite score"):
            write_run({"q": {"d": 2.0}, "r": {"d": bad}}, path)
    with pytest.raises(ValueError, match="lone surrogate"):
        write_run({"q": {"\ud800": 2.0}}, path)
    for bad in (0.5, float("nan"), float("inf"), None):
        with pytest.raises(ValueError, match="query 'q', document 'd': grade .* is not a whole number"):
            write_qrels({"q": {"d": bad}}, path)
    assert read_run(path) == {"q": {"d": 1.0}}
    assert [file.name for file in tmp_path.iterdir()] == ["run.txt"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q Q0 d 1 0.5 tag\nq Q0 e 2 0.4\n", r"run.txt, line 2: 5 columns where there must be: query-id Q0"),
        ("q Q0 d 1 high tag\n", "run.txt, line 1: the score 'high' is not a finite number"),
        ("q Q0 d 1 nan tag\n", "line 1: the score 'nan' is not"),
        ("q Q0 d 1 1 tag\n\nq Q0 d 2 0.5 tag\n", "line 3: document 'd' appears a second time for query 'q'"),
    ],
)
def test_malformed_runs(tmp_path, content, message):
    (tmp_path / "run.txt").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_run(tmp_path / "run.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q 0 d 1\nq 0 e\n", "qrels.txt, line 2: 3 columns"),
        ("q 0 d 1.5\n", "line 1: the grade '1.5' is not a whole number"),
        ("q 0 d nan\n", "line 1: the grade 'nan' is not a whole number"),
        ("q 0 d 1\nq 0 d 0\n", "line 2: document 'd' is judged a second time for query 'q'"),
    ],
)
def test_malformed_qrels(tmp_path, content, message):
    (tmp_path / "qrels.txt").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_qrels(tmp_path / "qrels.txt")


def test_where_files_are_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_run({"q": {"d": 1.0}}, "~/home.run")
    assert read_run(tmp_path / "home.run") == read_run("~/home.run") == {"q": {"d": 1.0}}
    write_qrels({"q": {"d": 1}}, "~/home.qrels")
    assert read_qrels("~/home.qrels") == {"q": {"d": 1}}
    with pytest.raises(FileNotFoundError, match="there is no folder .*none for my.run: make it first"):
        write_run({"q": {"d": 1.0}}, tmp_path / "none" / "my.run")


def test_what_can_be_found_out_before_a_search(tmp_path):
    check_target(tmp_path / "my.run")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(IsADirectoryError, match="is a folder: give the name of a file in it"):
        check_target(tmp_path)
    with pytest.raises(OSError, match="cannot be written: .+"):
        check_target(tmp_path / ("x" * 300))
    check_run_ids(["q"], ["d"])
    for query_ids, document_ids, what in (
        (["q", "a b"], ["d"], "query id 'a b'"),
        (["q"], ["d", ""], "document id ''"),
    ):
        with pytest.raises(ValueError, match=f"{what} is empty or has white space"):
            check_run_ids(query_ids, document_ids)


def test_a_write_that_fails_names_the_file(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"my.run cannot be written: No space left on device$"):
        write_run({"q": {"d": 1.0}}, tmp_path / "my.run")
    assert list(tmp_path.iterdir()) == []


def test_grades_and_blank_lines_as_other_programs_write_them(tmp_path):
    (tmp_path / "qrels.txt").write_text("\n \nq 0 d 1.0\nq 0 e 2\n\nr 0 d -1.0\n")
    assert read_qrels(tmp_path / "qrels.txt") == {"q": {"d": 1, "e": 2}, "r": {"d": -1}}


def test_what_is_not_finite_has_no_place_in_an_order():
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="document 'b': the score (nan|inf) is not a finite number"):
            evaluate_run({"q": {"a": 1.0, "b": bad}}, {"q": {"a": 1}}, metrics=["mrr"])


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_run(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes("q Q0 é 1 1 t".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8 .*position 5"):
        read_run(tmp_path / "latin.txt")


@pytest.mark.parametrize(
    ("run", "qrels", "message"),
    [
        ({"q": ["d"]}, {"q": {"d": 1}}, "a run is {query id: .*for query 'q' there is a list"),
        (None, {"q": {"d": 1}}, "a run is {query id: .*not a NoneType"),
        ({"q": {"d": None}}, {"q": {"d": 1}}, "query 'q', document 'd': the score must be a number, not None"),
        ({"q": {"d": "1"}}, {"q": {"d": 1}}, "the score must be a number, not '1'"),
        ({"q": {"d": 1.0}}, {"q": {"d": "1"}}, "the grade must be a number, not '1'"),
        ({"q": {"d": 1.0}}, {"q": {"d": float("nan")}}, "the grade nan is not a finite number"),
    ],
)
def test_what_is_no_run_or_no_judgments(run, qrels, message):
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate_run(run, qrels, metrics=["ndcg@10"])


def test_a_path_that_no_run_can_have(tmp_path):
    for path, message in (
        ("", "path is blank"),
        ("a\0b", "NUL"),
        (tmp_path / ("x" * 300), "cannot be written: File name"),
    ):
        with pytest.raises((OSError, ValueError), match=message):
            write_run({"q": {"d": 1.0}}, path)
