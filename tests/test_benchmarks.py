"""What the benchmarks write: section by section, and nothing that was not measured."""

import re
from pathlib import Path

import pytest

from benchmarks import answers, report, scale
from benchmarks.scale_systems import SYSTEMS, Server
from ragedu import records

RESULTS = Path(report.__file__).with_name("RESULTS.md")


def test_one_section_is_replaced_and_the_others_stay(tmp_path):
    kept = RESULTS.read_text("utf-8")
    sections = report.read_sections(RESULTS)
    headings = list(sections)
    assert headings[0] == "# Results" and len(headings) > 5 and all(h.startswith("## ") for h in headings[1:])
    file = tmp_path / "RESULTS.md"
    file.write_text(kept, "utf-8")
    for heading, text in sections.items():
        report.keep_section(file, heading, text)
        assert file.read_text("utf-8") == kept
    report.keep_section(file, headings[2], "### A\n\nNew.")
    assert report.read_sections(file) == sections | {headings[2]: "### A\n\nNew."}
    assert list(report.read_sections(file)) == headings and list(tmp_path.iterdir()) == [file]


def test_a_new_file_begins_with_its_title(tmp_path):
    report.keep_section(tmp_path / "new.md", "## Speed", "Quick.")
    text = (tmp_path / "new.md").read_text("utf-8")
    assert text.startswith("# Results\n\nWritten by `python -m benchmarks`") and text.endswith("## Speed\n\nQuick.\n")


def test_a_section_says_where_it_was_measured(monkeypatch):
    monkeypatch.setattr(report, "version", lambda package: "1.0")
    one, all_cores = report.measured("text"), report.measured("text", all_cores=True)
    assert one.startswith("Measured on ") and one.endswith(".\n\ntext")
    assert "cores of which one is used" in one and "cores which are all used" in all_cores


def test_a_package_that_is_missing_does_not_undo_a_measurement(monkeypatch):
    monkeypatch.setattr(report, "PACKAGES", ("numpy", "no-such-package", "scipy"))
    line = report.measured("text").partition("\n")[0]
    assert re.search(r"numpy [\d.]+, scipy [\d.]+\.$", line) and "no-such-package" not in line


def test_a_model_that_remembers_is_asked_each_thing_once_and_says_the_same():
    asked = []

    class Model:
        def generate(self, prompts, max_new_tokens=64):
            asked.extend(prompts)
            return [f"{prompt}, {max_new_tokens} tokens" for prompt in prompts]

        def log_likelihood(self, prompts, continuations):
            asked.extend(zip(prompts, continuations, strict=True))
            return [-len(prompt + continuation) for prompt, continuation in zip(prompts, continuations, strict=True)]

    model = answers._Remembering(Model())
    assert model.generate(["a", "b", "a"]) == ["a, 64 tokens", "b, 64 tokens", "a, 64 tokens"]
    assert model("b") == "b, 64 tokens" and model.generate(["c", "a"])[0] == "c, 64 tokens"
    assert model.generate(["a"], max_new_tokens=2) == ["a, 2 tokens"]  # another question
    assert list(model.log_likelihood(["a", "bb"], ["x", "x"])) == [-2, -3]
    assert list(model.log_likelihood(["bb", "bb"], ["x", "yy"])) == [-3, -4]
    assert asked == ["a", "b", "c", "a", ("a", "x"), ("bb", "x"), ("bb", "yy")]


def measured_line(name, size, **figures):
    return {"system": name, "documents": size, "machine": "A"} | figures


def test_scale_measures_what_is_not_there_and_nothing_larger_than_what_was_stopped(tmp_path, monkeypatch):
    begun = []

    def measure_apart(name, size, work):
        begun.append((name, size))
        return measured_line(name, size, **({"stopped": "too long"} if name == "FAISS flat" else {"recall": 0.5}))

    monkeypatch.setattr(scale, "measure_apart", measure_apart)
    file = tmp_path / "scale.csv"
    scale.keep(file, measured_line("FAISS HNSW", 1_000, machine="B"))
    text, vectors = scale.measure((1_000, 1_000_000), file)
    expected = {(name, size) for name in SYSTEMS for size in (1_000, 1_000_000)}
    expected -= {("FAISS HNSW", 1_000), ("FAISS flat", 1_000_000)}
    assert set(begun) == expected and len(begun) == len(expected)
    assert [row["documents"] for row in text[1] if row["system"] == Server.name] == ["1,000", "1,000,000"]
    (flat,) = [row for row in vectors[1] if row["system"] == "FAISS flat"]
    assert flat["documents"] == "1,000" and flat["index, CPU s"] == "too long" and flat["recall"] == ""
    assert scale.machines(file) == "A; B"
    assert scale.measure((1_000, 1_000_000), file) == [text, vectors] and len(begun) == len(expected)


def test_the_records_that_lessons_show_are_what_the_results_file_tells():
    sections = report.read_sections(RESULTS)
    rows = records.read_record("05.answers")
    assert len(rows) == 7 and rows[0]["system"] == "closed book"
    without_machine = [{name: text for name, text in row.items() if name != "machine"} for row in rows]
    assert report.table(without_machine) in sections["## Answers: the whole system"]
    assert {row["machine"] for row in rows} == {"AMD EPYC, 2 cores which are all used, 24 GiB of memory"}
    assert scale.read() == records.read_record("09.scale")
    (flat,) = [row for row in scale.read() if row["system"] == "FAISS flat" and row["documents"] == "1000000"]
    assert f"| {' | '.join(scale.as_text(flat).values())} |" in sections["## Scale: 1,000 to 1,000,000 documents"]


def test_every_record_has_a_file_and_is_named_in_one_sentence_when_it_has_none():
    for name, command in records.MADE_BY.items():
        assert records.path_of(name).is_file() and command.startswith("python -m benchmarks --only ")
    with pytest.raises(ValueError, match="there is no record called '05'; there are 05.answers, 09.scale"):
        records.read_record("05")


def test_a_record_is_replaced_as_a_whole(tmp_path):
    file = tmp_path / "table.csv"
    records.write_rows(file, [{"system": "a, b", "recall": 0.5}], ["system", "recall"])
    assert file.read_text("utf-8") == 'system,recall\n"a, b",0.5\n'
    with pytest.raises(ValueError):
        records.write_rows(file, [{"system": "c"}, {"other": 1}], ["system", "recall"])
    assert "a, b" in file.read_text("utf-8")
