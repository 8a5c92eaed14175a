"""The reference: a page for each module, from its docstrings, in the order of README's map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from website.course import Lesson, SiteError, map_rows
from website.links import module_name

NO_PAGE = ("ragedu.learn.exercises", "ragedu.learn.lab")  # what `check` knows of each exercise, its solution included


def modules_of(names: Iterable[str], package: Path) -> list[str]:
    """The modules behind the names in one row of the map. A name without a folder is in that of the name before.

    Raises SiteError for a name that is not there.
    """
    modules, folder = [], package
    for name in names:
        path = next((place / name for place in (package, folder) if (place / name).exists()), None)
        if path is None:
            raise SiteError(f"README.md: the map of the package names {name}, which is not there")
        folder = path.parent
        files = sorted(path.rglob("*.py"), key=lambda file: (file.parent, file.name)) if path.is_dir() else [path]
        modules += [module_name(file.relative_to(package.parent).as_posix()) for file in files]
    return [module for module in modules if not module.startswith(NO_PAGE) and ".__" not in module]


def map_of_modules(root: Path) -> list[tuple[list[str], str]]:
    """The rows of README's map, with modules instead of files. A module stands in the first row that names it."""
    seen: set[str] = set()
    rows = []
    for names, what in map_rows((root / "README.md").read_text("utf-8")):
        new = [module for module in dict.fromkeys(modules_of(names, root / "ragedu")) if module not in seen]
        seen.update(new)
        rows.append((new, what))
    return rows


def built_in(lessons: Iterable[Lesson], modules: Iterable[str]) -> dict[str, list[Lesson]]:
    """{module: the lessons that build it up}, from README's table of lessons."""
    lessons_of: dict[str, list[Lesson]] = {module: [] for module in modules}
    for lesson in lessons:
        for module in modules_of_lesson(lesson, lessons_of):
            lessons_of[module].append(lesson)
    return lessons_of


def modules_of_lesson(lesson: Lesson, modules: Iterable[str]) -> list[str]:
    """The modules of the files, and of the folders, that a lesson builds up."""
    named = [module_name(file) for file in lesson.files]
    return [module for module in modules if any(module == name or module.startswith(f"{name}.") for name in named)]


def module_page(module: str, lessons: Iterable[Lesson], neighbours: Mapping[str, str | None]) -> str:
    """One page, in reStructuredText, from which Sphinx's autodoc makes the rest.

    neighbours: {"Previous": the module before it in the map, "Next": the one after it}. The page is an orphan, as
    Sphinx calls it: with all modules in the sidebar of every page, the build would take twice as long.
    """
    title = module.removeprefix("ragedu.")
    steps = [f"{word}: :doc:`{near.removeprefix('ragedu.')} <{near}>`" for word, near in neighbours.items() if near]
    links = ", ".join(f":doc:`lesson {lesson.number} </{lesson.page}>`" for lesson in lessons)
    built = f"Built in {links}.\n\n" if links else ""
    top = ".. rst-class:: page-tools\n\n" + " · ".join([":doc:`Reference <index>`", *steps]) + "\n\n"
    options = "".join(f"   :{option}:\n" for option in ("members", "ignore-module-all", "show-inheritance"))
    return f":orphan:\n\n{title}\n{'=' * len(title)}\n\n{top}{built}.. automodule:: {module}\n{options}"


def index_page(rows: Iterable[tuple[list[str], str]], public: dict[str, str]) -> str:
    """The first page of the reference, in Markdown: the public names, and the modules in the order of the map.

    public: {name that `ragedu` exports: its module}.
    """
    lines = ["# Reference", "", "## What `ragedu` exports", ""]
    lines += [
        f"- {{py:obj}}`{name} <{module}.{name}>`, from [{module}]({module}.rst)" for name, module in public.items()
    ]
    lines += ["", "## The modules", "", "A module imports only from modules above it in this list.", ""]
    for row, what in rows:
        names = ", ".join(f"[{module.removeprefix('ragedu.')}]({module}.rst)" for module in row)
        lines.append(f"- {names}: {what}")
    return "\n".join([*lines, ""])
