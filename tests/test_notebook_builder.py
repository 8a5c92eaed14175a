"""The builder in tools/, on tiny lessons that it really executes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import build_notebooks
import jupytext
import nbformat
import pytest
from bs4 import BeautifulSoup
from lesson_source import SourceError, read_source
from nbconvert import HTMLExporter
from notebook_outputs import LARGE_OUTPUT_BYTES, NotebookError, output_problems

ENGLISH, KOREAN = "notebooks/01_tiny.ipynb", "notebooks/ko/01_tiny.ipynb"
STUDENTS = "exercises/01_tiny_exercises.ipynb"

LESSON = """\
# %% [markdown] lang="en"
# # A tiny lesson
#
# Its second paragraph.

# %% [markdown] lang="ko"
# # 작은 수업
#
# 둘째 문단.

# %%
import sys

import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import IntSlider

from ragedu.learn.widgets.panel import Panel

for number in np.random.default_rng(7).random(3):
    print(f"{number:.3f}")
    sys.stdout.flush()
np.arange(3)

# %% alt="A line that rises, from 0 to \\"2\\"." alt_ko="0에서 2로 오르는 직선."
plt.plot([0, 1, 2])
plt.show()

# %%
slider = IntSlider(value=3)
panel = Panel({"k": slider}, lambda k: f"k = {k}")
text = panel.shown
panel

# %%
slider.value = 5
text.value
"""

EXERCISE = '''\
# %% [markdown] lang="en"
# # Exercises

# %%
def idf(n_documents, document_frequency):
    """The inverse document frequency."""
    # SOLUTION idf
    if document_frequency == 0:
        return 0.0
    return n_documents / document_frequency
    # END


# SOLUTION twice
def twice(x):
    return 2 * x
# END

assert idf(4, 2) == twice(1)
'''


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def source(path: Path, *cells: str):
    """The source of a lesson with an English title and these cells."""
    return read_source(
        write(path / "notebooks/source/01_x.py", "\n".join(['# %% [markdown] lang="en"', "# # X", *cells]))
    )


def read(path: Path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the lesson and the exercise, built; the tests only read it."""
    root = tmp_path_factory.mktemp("built")
    write(root / "notebooks/source/01_tiny.py", LESSON)
    write(root / "exercises/source/01_tiny.py", EXERCISE)
    assert build_notebooks.main([], root) == 0
    return root


@pytest.fixture
def copy(built, tmp_path) -> Path:
    """A copy of the built folder, to be damaged."""
    return shutil.copytree(built, tmp_path / "copy")


# What is built


def test_one_source_gives_an_english_and_a_korean_notebook_with_the_same_execution(built):
    english, korean = read(built / "notebooks/01_tiny.ipynb"), read(built / "notebooks/ko/01_tiny.ipynb")
    for notebook in (english, korean):
        nbformat.validate(notebook)
    exercises = "[Exercises](../exercises/01_tiny_exercises.ipynb)"
    assert english.cells[0].source == f"# A tiny lesson\n\n{exercises}\n\nIts second paragraph."
    exercises = "[연습 문제](../../exercises/01_tiny_exercises.ipynb)"
    assert korean.cells[0].source == f"# 작은 수업\n\n{exercises}\n\n둘째 문단."
    assert [cell.id for cell in english.cells] == [cell.id for cell in korean.cells]
    assert english.cells[2].id == "01-tiny-003"
    code = [[cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (english, korean)]
    assert [cell.execution_count for cell in code[0]] == [1, 2, 3, 4]
    for one, other in zip(*code, strict=True):
        assert one.source == other.source
        assert [o.get("data", o.get("text")) for o in one.outputs] == [
            o.get("data", o.get("text")) for o in other.outputs
        ]


def test_a_second_build_gives_the_same_bytes(built, copy):
    before = {path.relative_to(built): path.read_bytes() for path in built.rglob("*.ipynb")}
    assert len(before) == 4
    assert build_notebooks.main(["--all"], copy) == 0
    assert {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*.ipynb")} == before


def test_nothing_of_this_run_or_machine_is_stored(built):
    text = (built / "notebooks/01_tiny.ipynb").read_text(encoding="utf-8")
    stored = json.loads(text)
    assert set(stored["metadata"]) == {"kernelspec", "language_info"}
    assert "version" not in stored["metadata"]["language_info"]
    assert "model_id" not in text and "widget-view" not in text  # random names of widgets
    assert all("execution" not in cell["metadata"] for cell in stored["cells"])  # times of execution
    streams = [o for cell in stored["cells"] for o in cell.get("outputs", []) if o["output_type"] == "stream"]
    assert len(streams) == 1  # three flushed prints, which may arrive in one, two or three pieces


def test_the_parser_reads_cells_as_jupytext_does(built):
    ours = read_source(built / "notebooks/source/01_tiny.py").cells
    theirs = jupytext.reads(LESSON, fmt="py:percent").cells
    assert [cell.text for cell in ours] == [cell.source for cell in theirs]
    assert [cell.alt.get("ko") for cell in ours] == [cell.metadata.get("alt_ko") for cell in theirs]


def test_a_comment_that_looks_like_a_command_stays_a_comment(tmp_path):
    assert source(tmp_path, "# %%", "# cat the texts", "x = 1").cells[1].text == "# cat the texts\nx = 1"


def test_alt_text_reaches_readers_of_the_notebook_and_of_html(built):
    english, korean = read(built / "notebooks/01_tiny.ipynb"), read(built / "notebooks/ko/01_tiny.ipynb")
    assert 'A line that rises, from 0 to "2".' in english.cells[3].source
    assert korean.cells[3].source.startswith("<details><summary>그래프를 글로 읽기</summary>\n\n0에서 2로")
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(english)
    assert BeautifulSoup(page, "html.parser").img["alt"] == 'A line that rises, from 0 to "2".'
    page, _ = HTMLExporter(template_name="lab").from_notebook_node(english)
    assert "<summary>The plot in words</summary>" in page


# Exercises


def test_students_get_stubs_and_solutions_run(built):
    student, solution = read(built / STUDENTS), read(built / "exercises/solutions/01_tiny_solutions.ipynb")
    assert student.cells[1].source == (
        "def idf(n_documents, document_frequency):\n"
        '    """The inverse document frequency."""\n'
        '    raise NotImplementedError("Exercise 01.idf")\n\n\n'
        'raise NotImplementedError("Exercise 01.twice")\n\n'
        "assert idf(4, 2) == twice(1)"
    )
    assert student.cells[1].execution_count is None and not student.cells[1].outputs
    assert "SOLUTION" not in solution.cells[1].source and "# END" not in solution.cells[1].source
    assert "    return n_documents / document_frequency\n\n\ndef twice" in solution.cells[1].source
    assert solution.cells[1].execution_count == 1


@pytest.mark.parametrize(
    "code",
    ["# SOLUTION a\nx = 1", "x = 1\n# END", "# SOLUTION\nx = 1\n# END", "if 1:\n    # SOLUTION a\n    x = 1\n# END"],
    ids=["no end", "no begin", "no name", "indentation"],
)
def test_a_broken_solution_marker_is_refused_and_not_shown_to_students(tmp_path, code):
    path = write(tmp_path / "exercises/source/01_x.py", f'# %% [markdown] lang="en"\n# # X\n\n# %%\n{code}\n')
    with pytest.raises(SourceError, match="01_x.py, line 4: a solution is '# SOLUTION name'"):
        read_source(path)


# What is refused


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["# %% [markdown]", "# no language"], 'line 3: a markdown cell says its language, lang="en" or'),
        (['# %% [markdown] lang="fr"', "# x"], "line 3: a markdown cell says its language"),
        (['# %% [markdown] lang="en"', "x = 1"], "line 4: a line of a markdown cell begins with '# '"),
        (["# %%", "x = 1", '# %% [markdown] lang="ko"', "# 글"], "line 1: .* 1 English cells but 0 Korean"),
        (['# %% [markdown] lang="ko"', "# 글", '# %% [markdown] lang="ko"', "# 글"], "1 English cells but 2 Korean"),
        (["# %% tags=[nbval]", "x"], "line 3: cannot read the cell's options"),
        (['# %% tags=["nbval-ignore-ouput"]', "x"], "line 3: unknown tag 'nbval-ignore-ouput'"),
        (['# %% lang="en"', "x"], "line 3: a code cell has no option 'lang'"),
        (["# %% a title", "x"], "line 3: a code cell has no option 'a title'"),
        (["# %%", ""], "line 3: the cell is empty"),
        (["# %%", "x  # NBVAL_SKIP"], "line 3: steer nbval with a tag"),
        (["# %%", "x", "#", "# ## A heading"], "line 3: a heading stands in code"),
        (['# %% alt_ko="그래프"', "x"], r"line 3: the plot is in words in \['ko'\]"),
        (["# %%%", "x"], "line 3: cannot read the cell marker"),
        (["# %%", "", "x = 1", f"y = '{'z' * 95}'"], "line 6: a line of code has 101 characters; a cell shows 100"),
        (["# %%", "# SOLUTION a", "x" * 101, "# END"], "line 5: a line of code has 101 characters"),
    ],
)
def test_a_source_with_a_mistake_is_refused_with_its_line(tmp_path, cells, message):
    with pytest.raises(SourceError, match=message):
        source(tmp_path, *cells)


def code_cell(*outputs, **metadata):
    outputs = [nbformat.v4.new_output(**output) for output in outputs]
    return nbformat.v4.new_code_cell("", outputs=outputs, metadata=metadata)


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def display(**data):
    return {"output_type": "display_data", "data": {key.replace("_", "/"): value for key, value in data.items()}}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (code_cell(stream("<object at 0x7f3a2b1c>")), "differs between machines or runs.*0x7f3a2b1c"),
        (code_cell(display(text_html=f"<b>{Path.home()}/x</b>")), "differs between machines or runs"),
        (code_cell(display(application_json={"file": "/course/notebooks/x"})), "differs.*/course"),
        (code_cell(stream("/tmp/ipykernel_123/4.py:1: UserWarning", "stdout")), "differs.*ipykernel_123"),
        (code_cell(stream("careful", "stderr")), "standard error .*'careful'"),
        (code_cell({"output_type": "error", "ename": "KeyError", "evalue": "'x'"}), "it raised KeyError: 'x'"),
        (code_cell(display(image_png="AAAA")), "a plot without alt text"),
        (code_cell(display(image_png="AA"), display(image_png="BB"), alt="x"), "shows 2: one plot a cell"),
        (code_cell(stream("no plot"), alt="x"), "shows 0"),
        (code_cell(display(text_plain="VBox(children=(IntSlider(value=3),")), "a widget that is nothing without a ker"),
        (code_cell(display(text_plain="Output()")), "widget"),
        (
            code_cell(display(text_plain="encoding:   0%|          | 0/300 [00:00<?, ? texts/s]")),
            "a progress bar.*tag it",
        ),
    ],
)
def test_outputs_that_must_not_be_stored(cell, message):
    (problem,) = output_problems(cell, Path("/course"))
    assert re.search(message, problem), problem


@pytest.mark.parametrize(
    "cell",
    [
        code_cell(stream("careful", "stderr"), tags=["allow-stderr"]),
        code_cell(stream("0xff and /courses are fine, so is 0x7f3a")),
        code_cell(display(image_png="0x7f3a2b1c"), alt="A plot."),  # base64 says nothing
        code_cell(display(text_plain="VBox(children=(", text_html="<p>k = 3</p>")),  # as a panel is stored
        code_cell(display(text_plain="Text(0.5, 1.0, 'title')")),  # matplotlib's
    ],
)
def test_outputs_that_may_be_stored(cell):
    assert output_problems(cell, Path("/course")) == []


def test_a_progress_bar_is_shown_to_a_first_run_and_kept_from_what_nbval_compares(tmp_path):
    """What a full cache would save is computed, so that its bar is seen, and refused unless the cell says so."""
    code = "import os\nfrom tqdm.auto import tqdm\nassert not os.listdir(os.environ['RAGEDU_CACHE'])\n"
    code += "_ = list(tqdm('ab'))"
    with pytest.raises(NotebookError, match="code cell 1 .*progress bar.*nbval-ignore-output"):
        build_notebooks.build(source(tmp_path, "# %%", code), tmp_path, 60)
    build_notebooks.build(source(tmp_path, '# %% tags=["nbval-ignore-output"]', code), tmp_path, 60)
    assert read(tmp_path / "notebooks/01_x.ipynb").cells[-1].outputs == []


def test_a_failing_cell_is_shown_and_the_old_notebooks_stay(copy, capsys):
    before = {path: path.read_bytes() for path in copy.rglob("*.ipynb")}
    broken = '# %% [markdown] lang="en"\n# # A tiny lesson\n\n# %%\nvalue = 0\n\n# %%\nprint(1 / value)\n'
    write(copy / "notebooks/source/01_tiny.py", broken)
    assert build_notebooks.main(["01"], copy) == 1
    message = capsys.readouterr().err
    assert "notebooks/source/01_tiny.py: code cell 2 (line 7) failed" in message
    assert "print(1 / value)" in message and "ZeroDivisionError: division by zero" in message
    assert {path: path.read_bytes() for path in copy.rglob("*.ipynb*")} == before


def test_a_lesson_that_prints_a_path_is_run_but_not_stored(tmp_path, capsys):
    path = source(tmp_path, "# %%", "import os", "print(os.getcwd())", f"print('x' * {LARGE_OUTPUT_BYTES})").path
    assert build_notebooks.main([], tmp_path) == 1
    message = capsys.readouterr().err
    assert f"{path.name}: code cell 1 (line 3 of the source): its output differs between machines" in message
    assert str(tmp_path) in message
    assert "bytes of output; show less" in message
    assert not list(tmp_path.rglob("*.ipynb*"))


# What is run again, and what is not


@pytest.fixture
def runs(monkeypatch) -> list[str]:
    """The names of the notebooks that are run; running is only pretended, with the output 'ran'."""
    names = []

    def execute(notebook, folder, lines, timeout):
        names.append(folder.name)
        for number, cell in enumerate(build_notebooks.code_cells(notebook), start=1):
            cell.execution_count, cell.outputs = number, [nbformat.v4.new_output(**stream("ran"))]
            if "alt" in cell.metadata:
                cell.outputs = [nbformat.v4.new_output(**display(image_png="AAAA"))]
        return [0.0] * len(lines)

    monkeypatch.setattr(build_notebooks, "execute", execute)
    return names


def change_lesson(root: Path, *changes: tuple[str, str]) -> None:
    text = LESSON
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    write(root / "notebooks/source/01_tiny.py", text)


def outputs(path: Path):
    return [(cell.execution_count, cell.outputs) for cell in build_notebooks.code_cells(read(path))]


def without_alt(outputs):
    """Outputs as they were made, without the text that the builder writes into the metadata of a picture."""
    return json.loads(json.dumps(outputs), object_hook=lambda value: {k: v for k, v in value.items() if k != "alt"})


IMPORT_NUMPY = "import numpy as np\n"
PLOT = '# %% alt="A line that rises, from 0 to \\"2\\"." alt_ko="0에서 2로 오르는 직선."\n'
LAST_CELL = "# %%\nslider.value = 5\ntext.value\n"


@pytest.mark.parametrize(
    "changes",
    [
        [("Its second paragraph.", "Its second, longer paragraph.\n#\n# And a third.")],
        [("A line that rises", "A straight line that rises")],
        [("# %%\nslider.value", '# %% tags=["allow-stderr"]\nslider.value')],
        [("# %%\nslider.value", '# %% tags=["hide-input"]\nslider.value')],
        [(LAST_CELL, f'# %% [markdown] lang="en"\n# New.\n\n# %% [markdown] lang="ko"\n# 새것.\n\n{LAST_CELL}')],
    ],
    ids=["prose", "alt text", "tag", "collapsed", "new prose"],
)
def test_changed_prose_runs_nothing_and_keeps_the_outputs(copy, built, runs, changes, capsys):
    change_lesson(copy, *changes)
    assert build_notebooks.main([], copy) == 0
    assert runs == [] and "no code cell has changed" in capsys.readouterr().out
    assert without_alt(outputs(copy / ENGLISH)) == without_alt(outputs(built / ENGLISH))
    assert build_notebooks.main(["--check"], copy) == 0


def test_a_changed_alt_text_reaches_the_kept_picture(copy, runs):
    change_lesson(copy, ("A line that rises", "A straight line"))
    assert build_notebooks.main([], copy) == 0
    _, (picture, *_) = outputs(copy / ENGLISH)[1]
    assert picture.metadata["image/png"]["alt"].startswith("A straight line")


def test_a_lost_korean_edition_is_written_without_running(copy, built, runs):
    (copy / KOREAN).unlink()
    assert build_notebooks.main([], copy) == 0
    assert runs == []
    assert (copy / KOREAN).read_bytes() == (built / KOREAN).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        [("random(3)", "random(4)")],
        [("text.value\n", "text.value\n\n# %%\nslider.value\n")],
        [(LAST_CELL, "")],
        [(LAST_CELL, ""), ("# %%\nslider = ", f"{LAST_CELL}\n# %%\nslider = ")],
        [(IMPORT_NUMPY, ""), (LAST_CELL, f"{LAST_CELL}{IMPORT_NUMPY}")],
        [("# %%\nslider.value", '# %% tags=["nbval-ignore-output"]\nslider.value')],
    ],
    ids=["changed", "added", "deleted", "reordered", "a line moved", "compared by nbval or not"],
)
def test_changed_code_is_run(copy, runs, changes):
    change_lesson(copy, *changes)
    assert build_notebooks.main([], copy) == 0
    assert runs == ["notebooks"]
    assert build_notebooks.main(["--check"], copy) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / ENGLISH).unlink(),
        lambda root: write(root / ENGLISH, "<html>"),
        lambda root: edit_json(root / ENGLISH, lambda notebook: first_code(notebook).update(execution_count=9)),
        lambda root: edit_json(root / ENGLISH, lambda notebook: first_code(notebook)["outputs"].append(ERROR)),
    ],
    ids=["missing", "no notebook", "not run in its turn", "refused"],
)
def test_stored_outputs_that_are_none_are_made_again(copy, runs, change):
    change(copy)
    assert build_notebooks.main([], copy) == 0
    assert runs == ["notebooks"]
    assert build_notebooks.main(["--check"], copy) == 0


def test_all_runs_what_is_up_to_date(copy, runs):
    assert build_notebooks.main(["--all"], copy) == 0
    assert runs == ["notebooks", "solutions"]


def test_a_changed_solution_is_run_and_a_changed_task_is_not(copy, runs):
    path = copy / "exercises/source/01_tiny.py"
    write(path, EXERCISE.replace("# # Exercises", "# # Tasks"))
    assert build_notebooks.main([], copy) == 0 and runs == []
    assert read(copy / STUDENTS).cells[0].source.startswith("# Tasks\n")
    write(path, EXERCISE.replace("return 0.0", "return 1.0"))
    assert build_notebooks.main([], copy) == 0 and runs == ["solutions"]


def test_outputs_are_kept_for_a_renaming_and_stay_to_be_verified(copy, built, runs, capsys):
    change_lesson(copy, ("slider", "control"), ("Its second", "The second"))
    assert build_notebooks.main(["--keep-outputs"], copy) == 0
    assert "notebooks/source/01_tiny.py: outputs kept; verify those of 2 changed code cells" in capsys.readouterr().out
    assert runs == [] and outputs(copy / ENGLISH) == outputs(built / ENGLISH)
    assert build_notebooks.code_cells(read(copy / ENGLISH))[-1].source == "control.value = 5\ntext.value"
    assert (copy / STUDENTS).read_bytes() == (built / STUDENTS).read_bytes()
    assert build_notebooks.main(["--check"], copy) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(LAST_CELL, "")], "it has 3 code cells, the notebook has 4: run it, without --keep-outputs"),
        ([(PLOT, "# %%\n")], "a plot without alt text"),
    ],
    ids=["another number of cells", "outputs that are refused"],
)
def test_outputs_that_cannot_be_kept_leave_the_notebook_as_it_was(copy, runs, capsys, changes, message):
    before = {path: path.read_bytes() for path in copy.rglob("*.ipynb")}
    change_lesson(copy, *changes)
    assert build_notebooks.main(["--keep-outputs"], copy) == 1
    assert message in capsys.readouterr().err
    assert runs == [] and {path: path.read_bytes() for path in copy.rglob("*.ipynb*")} == before


def test_a_new_lesson_has_no_outputs_to_keep(copy, runs, capsys):
    (copy / ENGLISH).unlink()
    assert build_notebooks.main(["--keep-outputs"], copy) == 1
    assert "01_tiny.ipynb is missing: run it, without --keep-outputs" in capsys.readouterr().err


# The way from one notebook to the next


def text_source(title: str) -> str:
    return f'# %% [markdown] lang="en"\n# # {title}: a question?\n#\n# Prose.\n\n# %%\nx = 1\n'


@pytest.fixture
def course(tmp_path, runs) -> Path:
    """Lessons 01, 03, 03a and 04, the first two with exercises."""
    for name in ("01_words", "03_dense", "03a_more", "04_last"):
        write(tmp_path / f"notebooks/source/{name}.py", text_source(f"Lesson {name[:3].strip('_')}"))
    for name in ("01_words", "03_dense"):
        write(tmp_path / f"exercises/source/{name}.py", text_source(f"Exercises {name[:2]}"))
    assert build_notebooks.main([], tmp_path) == 0
    runs.clear()
    return tmp_path


def links(notebook: Path) -> str:
    """The line of links, which is the same at the top and at the end."""
    first, *_, last = read(notebook).cells
    title, line, prose = first.source.split("\n\n")
    assert title.startswith("# ") and prose == "Prose." and last.source == line and last.cell_type == "markdown"
    for target in re.findall(r"\]\(([^)]+)\)", line):
        assert (notebook.parent / target).is_file(), target
    return line


def test_lessons_and_exercises_link_to_their_neighbours(course):
    lessons = {path.name[:3].strip("_"): links(path) for path in course.glob("notebooks/*.ipynb")}
    assert lessons == {
        "01": "[Exercises](../exercises/01_words_exercises.ipynb) · Next: [Lesson 03](03_dense.ipynb)",
        "03": "Previous: [Lesson 01](01_words.ipynb) · [Exercises](../exercises/03_dense_exercises.ipynb)"
        " · Next: [Lesson 03a](03a_more.ipynb)",
        "03a": "Previous: [Lesson 03](03_dense.ipynb) · Next: [Lesson 04](04_last.ipynb)",
        "04": "Previous: [Lesson 03a](03a_more.ipynb)",
    }
    of_exercise = "Lesson: [Lesson 03]({0}notebooks/03_dense.ipynb) · Next: [Lesson 03a]({0}notebooks/03a_more.ipynb)"
    assert links(course / "exercises/03_dense_exercises.ipynb") == of_exercise.format("../")
    assert links(course / "exercises/solutions/03_dense_solutions.ipynb") == of_exercise.format("../../")


def test_a_new_neighbour_changes_the_links_and_runs_nothing_else(course, runs, capsys):
    write(course / "notebooks/source/02_new.py", text_source("Lesson 02"))
    assert build_notebooks.main(["--check"], course) == 1
    assert "01_words.ipynb: cell 1 (01-words-001) and 1 more are not" in capsys.readouterr().err
    assert build_notebooks.main([], course) == 0
    assert runs == ["notebooks"]  # the new lesson's own code
    assert "Next: [Lesson 02](02_new.ipynb)" in links(course / "notebooks/01_words.ipynb")
    assert "Previous: [Lesson 02](02_new.ipynb)" in links(course / "notebooks/03_dense.ipynb")


def test_a_second_part_is_built_by_its_own_number(course, runs):
    assert build_notebooks.main(["--all", "03a"], course) == 0
    assert runs == ["notebooks"]
    write(course / "exercises/source/03a_more.py", text_source("Exercises 03a") + "# SOLUTION y\ny = 1\n# END\n")
    assert build_notebooks.main([], course) == 0
    student = read(course / "exercises/03a_more_exercises.ipynb")
    assert student.cells[1].source.endswith('raise NotImplementedError("Exercise 03a.y")')


def test_a_collapsed_cell_is_collapsed_in_jupyterlab_and_on_the_site(course):
    text = text_source("Lesson 04").replace("# %%\nx", '# %% tags=["hide-input"]\nx')
    write(course / "notebooks/source/04_last.py", text)
    assert build_notebooks.main([], course) == 0
    metadata = read(course / "notebooks/04_last.ipynb").cells[1].metadata
    assert metadata == {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    assert "jupyter" not in read(course / "notebooks/01_words.ipynb").cells[1].metadata


# --check


def edit_json(path: Path, change) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def first_code(notebook):
    return next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")


def last_code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"][-1]


ERROR = {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": []}


def edit(path, change):
    return lambda root: edit_json(root / path, change)


DAMAGES = {
    "edited cell": (
        edit(ENGLISH, lambda notebook: notebook["cells"][0]["source"].append("!")),
        f"{ENGLISH}: cell 1 (01-tiny-001) is not what its source says",
    ),
    "cell added": (
        edit(ENGLISH, lambda notebook: notebook["cells"].append(notebook["cells"][0] | {"id": "new"})),
        f"{ENGLISH}: it has 8 cells, its source defines 7",
    ),
    "tag added": (
        edit(ENGLISH, lambda notebook: first_code(notebook)["metadata"].update(tags=["nbval-skip"])),
        f"{ENGLISH}: cell 2 (01-tiny-002) is not what its source says",
    ),
    "not executed": (
        edit(ENGLISH, lambda notebook: first_code(notebook).update(execution_count=None, outputs=[])),
        f"{ENGLISH}: code cell 1 (line 11 of the source) was not run in its turn: its number is None",
    ),
    "output of the Korean edition": (
        edit(KOREAN, lambda notebook: first_code(notebook)["outputs"].pop()),
        f"{KOREAN}: the outputs of code cell 1 are not those of the build",
    ),
    "student's notebook executed": (
        edit(STUDENTS, lambda notebook: first_code(notebook).update(execution_count=1)),
        f"{STUDENTS}: the outputs of code cell 1 are not those of the build",
    ),
    "another kernel": (
        edit(ENGLISH, lambda notebook: notebook["metadata"]["kernelspec"].update(name="mine")),
        f"{ENGLISH}: its metadata are not those of the build",
    ),
    "edited source": (
        lambda root: write(root / "notebooks/source/01_tiny.py", LESSON.replace("A tiny", "A small").replace("5", "6")),
        f"{ENGLISH}: cell 1 (01-tiny-001) and 1 more are not what their source says",
    ),
    "cell added to the source": (
        lambda root: write(root / "notebooks/source/01_tiny.py", LESSON + "\n# %%\nx = 1\n"),
        f"{ENGLISH}: it has 7 cells, its source defines 8",
    ),
    "missing": (lambda root: (root / KOREAN).unlink(), f"{KOREAN} is missing"),
    "no notebook": (lambda root: write(root / ENGLISH, "<html>"), f"{ENGLISH} is no notebook"),
    "orphan": (
        lambda root: shutil.copy(root / ENGLISH, root / "notebooks/09_old.ipynb"),
        "notebooks/09_old.ipynb: no source defines this notebook",
    ),
    "no sources": (
        lambda root: [path.unlink() for path in root.rglob("*.py")],
        "there are no sources: notebooks/source/*.py matches nothing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_check_finds_every_damage(copy, capsys, damage):
    change, message = DAMAGES[damage]
    change(copy)
    assert build_notebooks.main(["--check"], copy) == 1
    assert message in capsys.readouterr().err


def test_check_says_what_to_run(copy, capsys):
    write(copy / "notebooks/source/01_tiny.py", LESSON.replace("A tiny", "A small"))
    assert build_notebooks.main(["--check"], copy) == 1
    assert "run: python tools/build_notebooks.py 01_tiny\n" in capsys.readouterr().err


def test_check_accepts_what_was_built_and_line_endings_of_windows(copy, capsys):
    path = copy / "notebooks/source/01_tiny.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert build_notebooks.main(["--check"], copy) == 0
    assert build_notebooks.main(["01"], copy) == 0
    assert "running" not in capsys.readouterr().err


def test_an_unknown_name_is_an_error(copy, capsys):
    assert build_notebooks.main(["--check", "77"], copy) == 1
    assert "no source called '77'; there are ['01', '01_tiny']" in capsys.readouterr().err


# nbval

CHANGED = {"text/plain": "'k = 6'"}


def test_nbval_passes_what_was_built_and_fails_a_changed_output(built, tmp_path):
    shutil.copy(built / ENGLISH, tmp_path)
    edit_json(tmp_path / "01_tiny.ipynb", lambda notebook: last_code(notebook)["outputs"][0]["data"].update(CHANGED))
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-rA"]
    result = subprocess.run([*command, "--color=no", "."], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    for number in (0, 1, 2):  # prints in pieces and a repr; a plot; a widget
        assert f"PASSED 01_tiny.ipynb::Cell {number}" in result.stdout, result.stdout
    assert "FAILED 01_tiny.ipynb::Cell 3" in result.stdout
