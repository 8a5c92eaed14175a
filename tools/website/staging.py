"""Everything that Sphinx reads, written into one folder outside the tree."""

from __future__ import annotations

import json
import shutil
from html import escape
from importlib.metadata import files as files_of
from pathlib import Path

from website import bibliography, reference, verification
from website.course import Lesson, SiteError, lessons
from website.links import Links
from website.notebooks import exercise_page, lesson_page
from website.sliders import with_live_sliders
from website.tables import data_pages, html_table

# One file has all of TeX that the lessons use, and draws with paths: it needs no fonts and loads nothing else.
MATHJAX = ("sphinx-mathjax-offline", "static/mathjax/tex-svg.js")


def stage(root: Path, folder: Path) -> list[Lesson]:
    """Write the site's sources into a new folder; returns the lessons."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "docs", folder)
    copy_mathjax(folder / "_static" / "mathjax")
    course = lessons(root)
    rows = reference.map_of_modules(root)
    modules = [module for row, _ in rows for module in row]
    pages = {f"{page}.ipynb" for lesson in course for page in (lesson.page, lesson.exercise_page) if page}
    links = Links(root, pages, set(modules))

    write_reference(folder / "reference", rows, course)
    counted, named = [], []
    for lesson in course:
        notebook = read(lesson.notebook)
        counts, commit = verification.count(notebook), verification.commit_of(lesson.notebook)
        counted.append((lesson, counts, commit))
        named.append((lesson, bibliography.works(bibliography.further_reading(notebook))))
        with_live_sliders(notebook, python_docs)
        end = in_the_package(lesson, modules) + verification.box(counts, commit)
        write(folder / f"{lesson.page}.ipynb", lesson_page(notebook, lesson, links, end))
        if lesson.exercises and lesson.solutions:
            page = exercise_page(read(lesson.exercises), read(lesson.solutions), lesson, links)
            write(folder / f"{lesson.exercise_page}.ipynb", page)
        for original in filter(None, (lesson.notebook, lesson.exercises)):
            copy(original, folder / "originals" / original.name)
    for file in links.files:
        copy(root / file, folder / "files" / file)

    (folder / "verification.md").write_text(verification_page(counted), "utf-8")
    (folder / "bibliography.md").write_text(bibliography.page(named), "utf-8")
    others = data_pages(root)
    guides = [f"{page.parent.name}/index" for page in sorted((root / "docs").glob("*/index.md"))]  # such as teaching
    for name, text in others.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    (folder / "contents.txt").write_text(contents(course, ["verification", "bibliography", *others, *guides]), "utf-8")
    return course


def read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def write(path: Path, notebook: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, ensure_ascii=False), "utf-8")


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def copy_mathjax(folder: Path) -> None:
    package, wanted = MATHJAX
    file = next((file for file in files_of(package) or [] if file.as_posix().endswith(wanted)), None)
    if file is None:
        raise SiteError(f"the package {package} has no {wanted}: install the extra `site` again")
    copy(Path(str(file.locate())), folder / file.name)


def python_docs():
    """The corpus of the sliders."""
    from ragedu.datasets import python_docs

    return python_docs.load().corpus


def write_reference(folder: Path, rows: list[tuple[list[str], str]], course: list[Lesson]) -> None:
    import ragedu

    folder.mkdir()
    modules = [module for row, _ in rows for module in row]
    lessons_of = reference.built_in(course, modules)
    for before, module, after in zip([None, *modules], modules, [*modules[1:], None], strict=False):
        page = reference.module_page(module, lessons_of[module], {"Previous": before, "Next": after})
        (folder / f"{module}.rst").write_text(page, "utf-8")
    homes = {name: getattr(ragedu, name).__module__ for name in ragedu.__all__}
    public = {name: home for name, home in homes.items() if home in modules}
    (folder / "index.md").write_text(reference.index_page(rows, public), "utf-8")


def in_the_package(lesson: Lesson, modules: list[str]) -> str:
    """From a lesson to the reference: a line in Markdown."""
    names = reference.modules_of_lesson(lesson, modules)
    links = ", ".join(f"[{name.removeprefix('ragedu.')}](/reference/{name}.rst)" for name in names)
    return f"In the reference, with the source: {links}.\n\n" if links else ""


def contents(course: list[Lesson], others: list[str]) -> str:
    """The start page's table of lessons, and the lists from which the sidebar is made."""
    lines = ["| | lesson | minutes | by the end you can |", "|---|---|---|---|"]
    lines += [
        f"| {lesson.number} | [{lesson.title}]({lesson.page}.ipynb) | {lesson.minutes} | {lesson.outcome} |"
        for lesson in course
    ]
    listed = {
        "Lessons": [f"{lesson.number} {lesson.title} <{lesson.page}>" for lesson in course],
        "Exercises": [
            f"{lesson.number} {lesson.title} <{lesson.exercise_page}>" for lesson in course if lesson.exercises
        ],
        "Package": ["reference/index"],
        "About": others,
    }
    for caption, pages in listed.items():
        lines += ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]
    return "\n".join([*lines, ""])


def verification_page(counted: list[tuple[Lesson, verification.Counts, verification.Commit]]) -> str:
    """The overview of how all lessons were verified, in Markdown."""
    columns = ["lesson", "commit", "cells", "outputs compared", "depend on the machine", "pictures", "claims asserted"]
    rows = [
        [
            f'<a href="{lesson.page}.html">{lesson.number} {escape(lesson.title)}</a>',
            escape(str(commit)),
            *(str(n) for n in (counts.cells, counts.compared, counts.ignored, counts.pictures, counts.claims)),
        ]
        for lesson, counts, commit in counted
    ]
    text = """# How the lessons were verified

The pages of this site are built from stored notebooks, and nothing is run while they are built.
`make test` runs every notebook again, from its first cell to its last.
nbval, in its strict mode, compares what it prints with what is stored.
An output that depends on the machine is tagged and not compared: a time, the text of a language model, a version.
A cell soon after it asserts what the prose concludes from it.
nbval compares no pictures and no widgets.

"""
    return text + html_table("What was verified in each lesson", columns, rows, numbers=range(2, 7)) + "\n"
