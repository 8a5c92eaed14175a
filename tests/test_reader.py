"""The adapter `reader`: the recipe's log and page, and a smoke test of the adapter that comes with ragedu."""

import json
import re

import pytest

from ragedu import Document, LanguageModel
from ragedu.generation.loading import ADAPTERS, read_doubt
from ragedu.training import reader, reading_examples
from ragedu.training.reading_examples import Example


def test_the_page_of_an_adapter_tells_all_of_its_stages_and_figures():
    stage = lambda steps, machine: {"settings": {"steps": steps, "start": None}, "torch": "9.9", "machine": machine}
    log = [
        stage(900, "card"),
        {"model": "untrained", "evaluation": {"archive": {"questions": 7, "f1": 0.1}}},
        {"step": 1, "loss": 0.5},
        {"model": "reader", "evaluation": {"archive": {"questions": 7, "f1": 0.7}}},
        {"changed": "it was made smaller"},
        stage(40, "x86_64"),
        {"model": "untrained", "evaluation": {}},  # not evaluated again
        {"step": 40, "loss": 0.4},
        {"model": "reader", "evaluation": {"archive": {"questions": 7, "f1": 0.8}}},
        {"model": "reader, each", "evaluation": {"archive": {"questions": 5, "f1": 0.9}}},
    ]
    page = reader.report(log)
    assert "--steps 900   # card, torch 9.9, stopped after step 1\n" in page
    assert "stopped after step 1\n    # then it was made smaller\n    python" in page
    assert "--steps 40   # x86_64, torch 9.9\n" in page
    assert reader.ABOUT_DOUBT in page
    assert "| archive | f1 | 0.1 (7) | 0.8 (7) | 0.9 (5) |" in page


def test_a_question_that_is_asked_twice_finds_the_sources_of_each_in_turn():
    first, second = [Document("a", "one")], [Document("b", "two"), Document("c", "three")]
    asked = [reader.HeldOutQuestion("Which?", sources, []) for sources in (first, second)]
    retriever = reader.GivenSources(asked)
    found = [[hit.document for hit in retriever.search("Which?", k=1)] for _ in asked]
    assert found == [first, second]


@pytest.mark.model
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
    assert trained.doubt == read_doubt(folder) == reader.DOUBT
    sets = reader.held_out_sets(5)
    chosen = {name: sets[name] for name in ("port-ellery", "unseen-domains-unanswerable", "unseen-documentation")}
    figures = reader.evaluate(trained, chosen)
    assert figures["port-ellery"]["exact_match"] >= 0.4  # the untrained model: 0
    assert figures["unseen-domains-unanswerable"]["exact_match"] >= 0.4
    # Read one by one it abstains from most of what five sources in one prompt tempt it to answer.
    several = {name: sets[name] for name in ("port-ellery", "port-ellery-unanswerable")}
    alone = reader.evaluate(trained, several, reading="each")
    assert alone["port-ellery"]["exact_match"] >= 0.4 and alone["port-ellery-abstention"]["recall"] >= 0.6


@pytest.mark.model
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
