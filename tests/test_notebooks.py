"""The lessons and exercises as they are stored: built from their sources, and shaped as lessons should be.

What the cells compute is verified by nbval, which `make test` runs after this.
"""

import re
from pathlib import Path

import build_notebooks
import nbformat
import pytest
from lesson_source import read_source

ROOT = build_notebooks.ROOT
LESSONS = sorted(ROOT.glob("notebooks/source/*.py"))
EXERCISES = sorted(ROOT.glob("exercises/source/*.py"))
NOTEBOOKS = [
    path
    for folder in ("notebooks", "exercises")
    for path in sorted((ROOT / folder).rglob("*.ipynb"))
    if ".ipynb_checkpoints" not in path.parts
]
ASSERTION = re.compile(r"^\s*(assert\b|np\.testing\.assert_)", re.MULTILINE)

each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
each_source = pytest.mark.parametrize("path", [*LESSONS, *EXERCISES], ids=lambda path: f"{path.parts[-3]}-{path.stem}")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT).as_posix())


def english(path: Path):
    return [cell for cell in read_source(path).cells if cell.language != "ko"]


def code(path: Path) -> list[str]:
    return [cell.text for cell in read_source(path).cells if cell.language is None]


def test_every_notebook_is_what_its_source_says_and_was_executed(capsys):
    status = build_notebooks.main(["--check"], ROOT)
    assert status == 0, capsys.readouterr().err


@each_lesson
def test_a_lesson_opens_with_its_title_and_what_it_teaches(path):
    first = english(path)[0]
    assert first.language == "en" and first.text.startswith("# ")
    assert "you will be able to" in "\n".join(cell.text for cell in english(path)[:3]).lower()


@each_lesson
def test_a_lesson_fits_into_an_hour_and_its_cells_on_a_screen(path):
    assert len(english(path)) <= 92
    shown = [cell.text for cell in read_source(path).cells if cell.language is None and "hide-input" not in cell.tags]
    long = [cell for cell in shown if len(cell.splitlines()) > 20]
    assert len(long) <= 3, "\n\n".join(long)


@each_source
def test_a_source_works_from_any_folder(path):
    """What a cell reads comes from the package: no path leads to where the notebook happens to lie."""
    for cell in code(path):
        near = re.search(r"\.\./|notebooks/|exercises/|benchmarks/|(?<![\w.])open\(\s*[f]?[\"']|Path\([\"']", cell)
        assert near is None, f"{path.name}: {near.group()}\n{cell}"


@each_source
def test_links_between_notebooks_are_the_builders(path):
    text = "\n".join(cell.text for cell in read_source(path).cells if cell.language)
    assert not re.search(r"\.ipynb\)", text), "the builder links the notebooks: tools/navigation.py"


@each_lesson
def test_further_reading_has_addresses(path):
    """Every item of the last list has a link, or there is none whose address would be sure."""
    last = "\n".join(cell.text for cell in english(path) if cell.language)
    reading = last[last.rindex("**Further reading") :]
    items = re.split(r"; ", reading.split("**", 2)[2])
    without = [item for item in items if "](https://" not in item]
    assert not without, without


@each_lesson
def test_a_lesson_asserts_what_it_claims(path):
    assert sum(bool(ASSERTION.search(cell)) for cell in code(path)) >= 3


@each_source
def test_what_nbval_does_not_compare_is_asserted_soon_after(path):
    cells = [cell for cell in read_source(path).cells if cell.language is None]
    for position, cell in enumerate(cells):
        if "nbval-ignore-output" in cell.tags:
            following = cells[position : position + 3]
            assert any(ASSERTION.search(near.text) for near in following), (
                f"{path.name}, line {cell.line}: its output is ignored, "
                "and neither it nor the next two code cells assert what the prose concludes from it"
            )


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_a_lesson_leads_to_its_exercises(path):
    lesson = (ROOT / "notebooks" / f"{path.stem}.ipynb").read_text("utf-8")
    assert f"(../exercises/{path.stem}_exercises.ipynb)" in lesson


@each_notebook
def test_links_lead_somewhere_and_pictures_have_alt_text(path):
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert not re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=)", text), "a picture without alt text"
    for target in re.findall(r"\]\(([^)\s#]+)", text):
        if not re.match(r"\w+:", target):
            assert (path.parent / target).exists(), f"broken link: {target}"


# Asserted there, and no answer to the prediction.
SET_UP = (
    "the documentation's lengths do differ",
    "len(found) == 100",
    "with_answer.mean() > without.mean()",
    "len(kept) == len(pieces)",
    "len(pieces) > 2",
)


@each_lesson
def test_the_cell_after_a_prediction_does_not_give_the_answer_away(path):
    """At the learner's desk that cell stands below the question: what it comes to is asserted after the prose."""
    asked = False
    for cell in english(path):
        if cell.language:
            asked = "Predict first" in cell.text.split("\n## ")[-1]
            continue
        answers = [line for line in cell.text.splitlines() if line.startswith("assert ")]
        answers = [line for line in answers if not any(words in line for words in SET_UP)]
        assert not (asked and answers), f"line {cell.line}: {answers}"
        asked = False
