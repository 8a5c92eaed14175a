"""The learner's desk: what is laid, that nothing of a learner's is ever lost, the first page, and the progress."""

import importlib
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragedu.cli import main
from ragedu.learn import check, desk, exercise, index_page, opening, progress
from ragedu.learn.course import (
    Lesson,
    choose,
    code_cells,
    fingerprint,
    headings,
    lessons,
    minutes,
    read_notebook,
    title,
)

note_try = importlib.import_module("ragedu.learn.progress").note  # `progress` is the function of this name
tries_at = importlib.import_module("ragedu.learn.progress").read

ROOT = Path(__file__).parents[1]
COURSE = lessons()
TOTAL = sum(len(exercise.exercises_of(lesson)) for lesson in exercise.lessons())


# A small course, and its desk.


def notebook_of(*cells, **metadata) -> str:
    """A notebook as JSON. A cell is its text; one that begins with "#" is Markdown, others are code that has run."""
    made = [
        {"cell_type": "markdown", "metadata": {}, "source": text}
        if text.startswith("#")
        else {
            "cell_type": "code",
            "execution_count": number,
            "metadata": {"execution": {"iopub.status.busy": "now"}, "tags": ["kept"]},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "the answer"}],
            "source": text.splitlines(keepends=True),
        }
        for number, text in enumerate(cells, start=1)
    ]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def course_in(folder: Path, *, edition: str = "first") -> list[Lesson]:
    """Lessons 01, with exercises and solutions, and 09, with nothing else."""
    (folder / "exercises/solutions").mkdir(parents=True, exist_ok=True)
    (folder / "notebooks").mkdir(exist_ok=True)
    first = (
        f"# 01 TF-IDF: which?\n\n**Time:** 45 minutes.\n\n[exercises](../exercises/01_tfidf_exercises.ipynb) {edition}"
    )
    texts = {
        "notebooks/01_tfidf.ipynb": (first, "1 + 1", "2 + 2", "## Recap", "3 + 3"),
        "notebooks/09_engines.ipynb": ("# 09 Engines\n\n**Time:** 30 minutes, and more.", "1 + 1"),
        "exercises/01_tfidf_exercises.ipynb": ("# Exercises 01: TF-IDF", f"raise NotImplementedError  # {edition}"),
        "exercises/solutions/01_tfidf_solutions.ipynb": ("# Solutions 01", f"42  # {edition}"),
    }
    for name, cells in texts.items():
        (folder / name).write_text(
            notebook_of(*cells, widgets={"state": "big"}, kernelspec={"name": "python3"}), "utf-8"
        )
    return lessons(root=folder)


@pytest.fixture
def course(tmp_path) -> list[Lesson]:
    return course_in(tmp_path / "course")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "my"


LESSON, ENGINES, EXERCISES = (
    "notebooks/01_tfidf.ipynb",
    "notebooks/09_engines.ipynb",
    "exercises/01_tfidf_exercises.ipynb",
)
SOLUTIONS = "finished/exercises/solutions/01_tfidf_solutions.ipynb"


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What is laid.


def test_lessons_are_laid_as_if_nobody_had_run_them(course, folder):
    laid = desk.lay(folder, course=course)
    assert laid.new == [LESSON, EXERCISES, ENGINES] and not (laid.aside or laid.changed or laid.unreadable)
    assert files_in(folder).keys() == {*laid.new, desk.MARKER}
    for path in laid.new:
        notebook = read_notebook(folder / path)
        assert "widgets" not in notebook["metadata"] and notebook["metadata"]["kernelspec"] == {"name": "python3"}
        for cell in code_cells(notebook):
            assert cell["outputs"] == [] and cell["execution_count"] is None and cell["metadata"] == {"tags": ["kept"]}
    assert fingerprint(read_notebook(folder / LESSON)) == fingerprint(read_notebook(course[0].notebook))


def test_finished_lessons_keep_their_outputs_and_lead_to_the_exercises_of_the_desk(course, folder):
    laid = desk.lay(folder, course=course, finished=True)
    assert {SOLUTIONS, f"finished/{LESSON}", f"finished/{ENGINES}"} < set(laid.new)
    cells = read_notebook(folder / "finished" / LESSON)["cells"]
    assert cells[1]["outputs"][0]["text"] == "the answer"
    (link,) = re.findall(r"\]\(([^)]+)\)", cells[0]["source"])
    assert (folder / "finished/notebooks" / link).resolve() == folder / EXERCISES
    assert desk.lay(folder, course=course).new == []
    index_page.write_page(folder, course=course)
    page = (folder / "index.md").read_text("utf-8")
    assert f"- [01 TF-IDF](finished/{LESSON}), [solutions of its exercises]({SOLUTIONS})\n" in page


def test_only_some_lessons_are_laid_and_later_the_others(course, folder):
    assert desk.lay(folder, course=course, only=["9"]).new == [ENGINES]
    assert desk.lay(folder, course=course).new == [LESSON, EXERCISES]


@pytest.mark.parametrize("option", ["only", "fresh"])
def test_a_lesson_that_there_is_not_is_refused_before_anything_is_laid(course, folder, option):
    with pytest.raises(ValueError, match="there is no lesson '17': there are 01, 09"):
        desk.lay(folder, course=course, **{option: ["01", "17"]})
    assert not folder.exists()


def test_the_lessons_of_this_checkout_are_laid_without_outputs_and_their_links_lead_somewhere(folder):
    laid = desk.lay(folder)
    assert {f"notebooks/{path.name}" for path in ROOT.glob("notebooks/*.ipynb")} <= set(laid.new)
    assert {f"exercises/{path.name}" for path in ROOT.glob("exercises/*.ipynb")} <= set(laid.new)
    for path in laid.new:
        notebook = read_notebook(folder / path)
        assert not any(cell["outputs"] or cell["execution_count"] for cell in code_cells(notebook))
        for link in re.findall(r"\]\(([^)#:]+\.ipynb)", json.dumps(notebook["cells"])):
            assert "solutions" in link or (folder / path).parent.joinpath(link).exists(), (path, link)


def test_every_lesson_says_its_title_and_its_minutes():
    for lesson in COURSE:
        notebook = read_notebook(lesson.notebook)
        assert len(title(notebook)) > 3 and 10 <= minutes(notebook) <= 90, lesson.number


# What is there stays.


def test_nothing_is_overwritten_even_what_is_no_notebook(course, folder):
    desk.lay(folder, course=course)
    mine = {LESSON: b'{"cells": [', EXERCISES: b"\xff\x00 mine", ENGINES: b""}
    for path, text in mine.items():
        (folder / path).write_bytes(text)
    laid = desk.lay(folder, course=course)
    assert not laid.new and laid.unreadable.keys() == mine.keys() and not laid.changed
    assert files_in(folder).items() >= mine.items()


def test_fresh_puts_aside_under_a_dated_name_also_twice_a_day(course, folder):
    desk.lay(folder, course=course)
    asides = []
    for text in (b"first", b"second"):
        (folder / LESSON).write_bytes(text)
        laid = desk.lay(folder, course=course, fresh=["01"])
        assert laid.new == [LESSON] and laid.aside.keys() == {LESSON}  # nobody has touched the exercises
        asides.append(laid.aside[LESSON])
    assert [(folder / path).read_bytes() for path in asides] == [b"first", b"second"]
    assert asides == [f"notebooks/01_tfidf_{date.today()}.ipynb", f"notebooks/01_tfidf_{date.today()}_2.ipynb"]
    assert fingerprint(read_notebook(folder / LESSON)) == fingerprint(read_notebook(course[0].notebook))


def test_after_an_update_the_lessons_that_have_changed_are_named(course, folder):
    desk.lay(folder, course=course, finished=True)
    saved = read_notebook(folder / LESSON)  # as JupyterLab saves it: run, with other metadata
    saved["cells"][1]["execution_count"], saved["metadata"]["language_info"] = 7, {"name": "python"}
    saved["cells"].append({"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 8, "source": "mine"})
    (folder / LESSON).write_text(json.dumps(saved), "utf-8")
    assert desk.lay(folder, course=course).changed == []
    newer = course_in(course[0].notebook.parents[1], edition="second")
    assert desk.lay(folder, course=newer).changed == ["01"]
    assert read_notebook(folder / LESSON) == saved
    laid = desk.lay(folder, course=newer, fresh=["01"])
    assert laid.changed == [] and laid.aside.keys() == {LESSON, EXERCISES, f"finished/{LESSON}", SOLUTIONS}
    assert "second" in (folder / LESSON).read_text("utf-8")
    assert desk.lay(folder, course=newer).changed == []


def test_an_update_of_outputs_alone_is_no_change(course, folder):
    desk.lay(folder, course=course)
    for lesson in course:
        notebook = read_notebook(lesson.notebook)
        code_cells(notebook)[0]["outputs"] = []
        lesson.notebook.write_text(json.dumps(notebook), "utf-8")
    assert desk.lay(folder, course=course).changed == []


def test_four_at_once_lay_one_desk(course, folder):
    barrier = threading.Barrier(4)

    def start(_):
        barrier.wait()
        return desk.lay(folder, course=course).new

    with ThreadPoolExecutor(4) as threads:
        new = sorted(path for paths in threads.map(start, range(4)) for path in paths)
    assert new == sorted([LESSON, EXERCISES, ENGINES])  # each by one of them
    assert files_in(folder).keys() == {*new, desk.MARKER}
    for path in new:
        read_notebook(folder / path)


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten(course, folder, monkeypatch):
    real = desk.give_name

    def late(temporary, path):
        path.write_bytes(b"mine")
        real(temporary, path)

    folder.mkdir()
    monkeypatch.setattr(desk, "give_name", late)
    assert not desk.create(folder / "lesson.ipynb", "ours") and files_in(folder) == {"lesson.ipynb": b"mine"}


def test_a_file_system_without_hard_links_has_a_desk_too(course, folder, monkeypatch):
    def refuse(*_):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert len(desk.lay(folder, course=course).new) == 3
    (folder / LESSON).write_bytes(b"mine")
    assert desk.lay(folder, course=course).new == [] and (folder / LESSON).read_bytes() == b"mine"
    assert not list(folder.rglob("*.tmp"))


def test_temporary_files_of_a_killed_start_are_removed_after_an_hour(course, folder):
    desk.lay(folder, course=course)
    left, young, other = (
        folder / "notebooks" / name for name in (f".a.{'0' * 32}.tmp", f".b.{'0' * 32}.tmp", ".c.tmp")
    )
    for path in (left, young, other):
        path.write_bytes(b"")
    for path in (left, other):
        os.utime(path, (0, 0))
    desk.lay(folder, course=course)
    assert (left.exists(), young.exists(), other.exists()) == (False, True, True)


# Whatever a learner does, and whenever a start is killed, nothing of theirs is lost.

THINGS = [LESSON, EXERCISES, ENGINES, "index.md", f"finished/{LESSON}", "notebooks/notes.txt"]
STEPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(THINGS)),
    st.tuples(st.just("remove"), st.sampled_from(THINGS)),
    st.tuples(st.just("start"), st.sets(st.sampled_from(["fresh", "finished"]))),
    st.tuples(st.just("kill"), st.integers(0, 25)),
    st.tuples(st.just("update"), st.integers(0, 3)),
)


def killed_at(step: int, work) -> None:
    """Do the work in a child that ends, without any cleaning up, before it touches the disk for the step-th time."""
    child = os.fork()
    if not child:
        left = iter(range(step))

        def dies(name):
            real = getattr(os, name)

            def call(*arguments, **options):
                if next(left, None) is None:
                    os._exit(9)
                return real(*arguments, **options)

            setattr(os, name, call)

        for name in ("link", "replace", "unlink", "mkdir"):
            dies(name)
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="killed children need a fork")


@needs_fork
def test_a_first_start_that_was_killed_anywhere_is_completed_by_the_next(course, tmp_path):
    for step in range(20):
        folder = tmp_path / str(step)
        killed_at(step, lambda folder=folder: desk.lay(folder, course=course))
        desk.lay(folder, course=course)
        laid = desk.lay(folder, course=course)
        assert not laid.new and not laid.unreadable, step
        assert {LESSON, EXERCISES, ENGINES} <= files_in(folder).keys()


@needs_fork
@settings(max_examples=25)
@given(steps=st.lists(STEPS, max_size=10))
def test_no_bytes_of_a_learner_are_ever_lost(tmp_path_factory, steps):
    base = tmp_path_factory.mktemp("desk")
    course, folder = course_in(base / "course"), base / "my"
    mine: dict[str, bytes] = {}  # what the learner wrote last, by the name that it had then
    kept: set[bytes] = set()  # what was put aside since

    def start(**options):
        desk.lay(folder, course=course, **options)
        index_page.write_page(folder, course=course)

    start()
    for number, (what, detail) in enumerate(steps):
        if what in ("write", "remove"):
            path = folder / detail
            if detail in mine and path.exists() and path.read_bytes() != mine[detail]:
                kept.add(mine[detail])  # somebody has put it aside
            mine.pop(detail, None)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if what == "write":
                mine[detail] = f"{number} is mine".encode()
                path.write_bytes(mine[detail])
        elif what == "start":
            start(fresh=["01"] if "fresh" in detail else [], finished="finished" in detail)
        elif what == "kill":
            killed_at(detail, lambda: start(fresh=["01", "09"], finished=True))
            start()  # the next one heals
            assert not desk.lay(folder, course=course).new
        else:
            course = course_in(base / "course", edition=str(detail))
        there = set(files_in(folder).values())
        assert kept | set(mine.values()) <= there, (what, detail)
    start()
    assert {LESSON, EXERCISES, ENGINES, "index.md", desk.MARKER} <= files_in(folder).keys()


# Which folder it is.


def test_a_folder_of_something_else_is_refused_and_left_alone(course, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("…")
    with pytest.raises(ValueError, match="has files in it and is not a desk"):
        desk.lay(tmp_path / "thesis", course=course)
    assert files_in(tmp_path / "thesis").keys() == {"chapter.tex"}
    with pytest.raises(NotADirectoryError, match="is a file, and a desk is a folder"):
        desk.lay(tmp_path / "thesis/chapter.tex", course=course)


def test_an_empty_folder_is_taken_whatever_hidden_files_are_in_it(course, folder):
    (folder / ".git").mkdir(parents=True)
    assert len(desk.lay(folder, course=course).new) == 3


def test_the_default_folder_is_the_desk_that_one_is_at_else_my(course, folder, tmp_path, monkeypatch):
    assert desk.default_folder(tmp_path) == ROOT / "my"  # in a checkout
    monkeypatch.setattr(desk, "checkout", lambda: None)
    assert desk.default_folder(tmp_path) == tmp_path / "my"
    desk.lay(folder, course=course)
    assert desk.default_folder(folder / "notebooks") == folder


# The first page.


def page(folder, course) -> str:
    index_page.write_page(folder, course=course)
    return (folder / "index.md").read_text("utf-8")


def next_on(folder, course) -> str:
    return re.search(r"\*\*Next:\*\* (.*)", page(folder, course))[1]


def run(path: Path, cells: int) -> None:
    notebook = read_notebook(path)
    for cell in code_cells(notebook)[:cells]:
        cell["execution_count"] = 1
    path.write_text(json.dumps(notebook), "utf-8")


def test_the_page_shows_what_is_done_and_what_comes_next(course, folder):
    desk.lay(folder, course=course)
    assert next_on(folder, course) == f"begin with [01 TF-IDF]({LESSON}), 45 minutes."
    assert f"| [09 Engines]({ENGINES}) | 30 |" in page(folder, course)
    run(folder / LESSON, 2)
    assert (
        "2 of 3 cells run" in page(folder, course) and next_on(folder, course) == f"go on with [01 TF-IDF]({LESSON})."
    )
    run(folder / LESSON, 3)
    assert "✓ all cells run" in page(folder, course) and "| 0 of 6 |" in page(folder, course)
    practice = f"the [exercises of lesson 01]({EXERCISES}), and then [09 Engines]({ENGINES}), 30 minutes."
    assert next_on(folder, course) == practice
    names = ("document_frequency", "sublinear", "distance_from_cosine", "cosines", "weigh", "decisive_term")
    for name in names:
        note_try(f"01.{name}", passed=True, here=folder / "exercises")
    assert "| ✓ 6 of 6 |" in page(folder, course)
    assert next_on(folder, course) == f"[09 Engines]({ENGINES}), 30 minutes."
    run(folder / ENGINES, 1)
    assert next_on(folder, course) == "you have reached the end."


def test_the_page_of_a_desk_with_some_lessons_says_which_are_missing(course, folder):
    desk.lay(folder, course=course, only=["09"])
    assert "Not at this desk: 01." in page(folder, course) and "TF-IDF" not in page(folder, course)


def test_the_page_survives_a_lesson_that_is_no_notebook(course, folder):
    desk.lay(folder, course=course)
    (folder / LESSON).write_text("[]")
    assert "can't be read as a notebook" in page(folder, course)


def test_a_page_that_somebody_wrote_into_is_put_aside(course, folder):
    desk.lay(folder, course=course)
    mine = page(folder, course) + "\nAsk Ada about lesson 02.\n"
    (folder / "index.md").write_text(mine, "utf-8")
    assert "Ada" not in page(folder, course)
    assert (folder / f"index_{date.today()}.md").read_text("utf-8") == mine
    page(folder, course)
    assert len(list(folder.glob("index*.md"))) == 2


def test_the_way_for_two_hours_names_sections_that_are_there_and_takes_two_hours():
    plan = index_page.plan()
    assert 90 <= sum(stop["minutes"] for stop in plan) <= 120
    for stop in plan:
        (lesson,) = choose(COURSE, [stop["number"]])
        there = headings(read_notebook(lesson.notebook))
        assert [name for name in there if name in stop["sections"]] == stop["sections"], (
            f"lesson {stop['number']}: {there}"
        )
        assert stop["minutes"] <= minutes(read_notebook(lesson.notebook)) and stop["why"].endswith(".")


# Progress.


@pytest.fixture
def at_desk(course, folder, monkeypatch):
    """Where an exercise runs: in a folder of the desk."""
    desk.lay(folder, course=course)
    monkeypatch.chdir(folder / "exercises")
    return folder


def test_check_notes_tries_and_the_day_but_no_stub(at_desk):
    def unwritten(count):
        raise NotImplementedError("Exercise 01.sublinear")

    check("01.sublinear", unwritten)
    check("01.sublinear", "no function")
    check("01.sublimear", len)
    assert not (at_desk / "progress.jsonl").exists()
    reference = exercise.find("01.sublinear").reference
    assert not check("01.sublinear", lambda count: -1.0) and not check("01.sublinear", lambda: 0)
    assert check("01.sublinear", reference) and check("01.sublinear", reference)
    lines = [json.loads(line) for line in (at_desk / "progress.jsonl").read_text().splitlines()]
    assert [(line["exercise"], line["passed"], line["tries"]) for line in lines] == [
        ("01.sublinear", False, 1),
        ("01.sublinear", False, 2),
        ("01.sublinear", True, 3),
    ]
    shown = progress()
    assert f"1 of {TOTAL} exercises solved" in repr(shown)
    assert re.search(r"01 +01\.sublinear +The tenth mention +✓ \d{4}-\d\d-\d\d \d\d:\d\d +3", repr(shown))
    assert "01.sublinear" in shown._repr_html_() and "<table>" in shown._repr_html_()
    assert "| 1 of 6 |" in (at_desk / "index.md").read_text("utf-8")  # the first page is up to date


def test_without_a_desk_check_writes_nothing_and_progress_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert note_try("01.sublinear", passed=True) is None and not list(tmp_path.iterdir())
    assert "no desk" in repr(progress()) and "ragedu start" in progress()._repr_html_()


def test_a_torn_line_loses_nothing_but_itself(at_desk):
    note_try("01.sublinear", passed=False)
    with (at_desk / "progress.jsonl").open("ab") as file:
        file.write(b'{"exercise": "01.sublinear", "time": "20')
    note_try("01.sublinear", passed=True)
    assert tries_at(at_desk)["01.sublinear"].tries == 2 and tries_at(at_desk)["01.sublinear"].solved


@given(damage=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps({"exercise": text}).encode()))
def test_no_content_of_the_file_makes_progress_fail(tmp_path_factory, damage):
    folder = tmp_path_factory.mktemp("desk")
    (folder / desk.MARKER).write_text("{}")
    (folder / "progress.jsonl").write_bytes(damage)
    assert note_try("02.idf", passed=True, here=folder) == folder
    assert tries_at(folder)["02.idf"].tries == 1
    assert f"1 of {TOTAL} exercises solved" in repr(progress(folder=folder))


def test_progress_that_cannot_be_written_is_no_concern_of_an_exercise(at_desk):
    (at_desk / "progress.jsonl").mkdir()
    assert note_try("01.sublinear", passed=True) is None and tries_at(at_desk) == {}


def test_two_kernels_add_their_lines_to_one_file(at_desk):
    code = "from ragedu.learn.progress import note\nfor n in range(200): note(f'02.x{n % 20}', passed=False)"
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=at_desk) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert sum(its.tries for its in tries_at(at_desk).values()) == 400


# The command.


def test_start_lays_a_desk_and_says_how_to_open_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["start", "desk", "--no-open", "--only", "01,2"]) == 0
    said = capsys.readouterr().out
    assert f"Your desk is {tmp_path / 'desk'}: 4 new notebooks." in said and "start desk" in said
    assert {path.name[:2] for path in tmp_path.glob("desk/*/*.ipynb")} == {"01", "02"}
    assert main(["start", "desk", "--no-open", "--fresh", "2", "--finished"]) == 0
    assert "Nothing to put aside: lesson 2 is as it was laid." in capsys.readouterr().out
    run(tmp_path / "desk/notebooks/02_bm25.ipynb", 3)
    assert main(["start", "desk", "--no-open", "--fresh", "2"]) == 0
    said = capsys.readouterr().out
    assert f"Put aside: notebooks/02_bm25.ipynb is now notebooks/02_bm25_{date.today()}.ipynb" in said
    assert (tmp_path / "desk/finished/notebooks/02_bm25.ipynb").is_file()


def test_start_says_which_lessons_have_changed_and_how_to_get_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["start", "my", "--no-open", "--only=01,02,03"])
    for name in ("01_tfidf", "03_dense"):
        path = tmp_path / f"my/notebooks/{name}.ipynb"
        notebook = read_notebook(path)
        notebook["metadata"]["ragedu"]["laid_from"] = "an earlier lesson"
        path.write_text(json.dumps(notebook), "utf-8")
    (tmp_path / "my/notebooks/02_bm25.ipynb").write_text("<<<<<<< Updated upstream")
    capsys.readouterr()
    assert main(["start", "my", "--no-open", "--only=01"]) == 0
    said = capsys.readouterr()
    assert "Changed since you got them: 01, 03." in said.out and "start my --fresh 01,03" in said.out
    assert "notebooks/02_bm25.ipynb stays as it is" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start", "full", "--no-open"], "full has files in it and is not a desk"),
        (["start", "my", "--no-open", "--only", "17"], "there is no lesson '17': there are 00, 01"),
        (["start", "full/file", "--no-open"], "full/file is a file, and a desk is a folder"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("ragedu: ") and said in error and error.count("\n") == 1
    assert not (tmp_path / "my").exists()


def test_without_jupyterlab_it_says_what_to_install_and_lays_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    assert main(["start", "my"]) == 2
    assert "JupyterLab is not installed: pip install 'ragedu[lab]'" in capsys.readouterr().err
    assert not (tmp_path / "my").exists()


def test_jupyterlab_opens_with_defaults_of_ours_and_nothing_else_for_its_kernels(tmp_path, monkeypatch):
    """TRANSFORMERS_VERBOSITY and its like, which other commands set, would change what the lessons show."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRANSFORMERS_VERBOSITY", "TOKENIZERS_PARALLELISM"):
        monkeypatch.delenv(name, raising=False)
    seen = {}
    monkeypatch.setattr(opening, "running_at", lambda folder: "")
    monkeypatch.setattr(opening.os, "execve", lambda *given: seen.update(zip("pac", given, strict=True)) or sys.exit(0))
    monkeypatch.setattr(opening, "os", opening.os)
    if os.name != "posix":
        pytest.skip("on Windows JupyterLab is a child")
    with pytest.raises(SystemExit):
        main(["start", "my", "--only=09", "--jupyter=--port=9999"])
    assert f"--ServerApp.root_dir={tmp_path / 'my'}" in seen["a"] and seen["a"][-1] == "--port=9999"
    assert ("--allow-root" in seen["a"]) == (os.geteuid() == 0)
    changed = {name for name in seen["c"] if seen["c"][name] != os.environ.get(name)}
    assert changed <= {"JUPYTER_CONFIG_PATH", "PATH"}
    folder = Path(seen["c"]["JUPYTER_CONFIG_PATH"].split(os.pathsep)[-1])
    assert json.loads((folder / "labconfig/default_setting_overrides.json").read_text("utf-8"))
