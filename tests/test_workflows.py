"""What the public's machines run: workflows, Binder, the development container. They can't be run here, so this holds
them to the repository: what they name must exist, and what they promise must be what pyproject.toml promises."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from release_notes import package_version, release_notes

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in ROOT.glob(".github/workflows/*.yml")}
JOBS = [(f"{workflow}.{name}", job) for workflow, read in WORKFLOWS.items() for name, job in read["jobs"].items()]
FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
POST_BUILD = (ROOT / "binder/postBuild").read_text("utf-8")

COMMANDS = [
    line.strip()
    for text in [
        *(step["run"] for _, job in JOBS for step in job["steps"] if "run" in step),
        CONTAINER["postCreateCommand"],
        POST_BUILD,
    ]
    for line in text.splitlines()
    if line.strip() and not line.startswith("#")
]
# What the jobs make, and therefore is not in the repository.
MADE = ("dist/", "build/", "extras/", "release-notes.md", "ends.txt")


def test_the_workflows_are_there():
    assert WORKFLOWS.keys() >= {"checks", "nightly", "site", "ranges", "release"}


@pytest.mark.parametrize(("name", "workflow"), WORKFLOWS.items())
def test_a_workflow_may_do_nothing_but_read_unless_a_job_says_so(name, workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert "group" in workflow["concurrency"]


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_has_a_limit_and_its_actions_are_pinned(name, job):
    assert job["timeout-minutes"] <= 90
    for step in job["steps"]:
        uses = step.get("uses", "x/y@v1")
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+|[0-9a-f]{40})", uses), uses
        if uses.startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_who_publishes_is_the_only_one_that_may():
    writing = {name for name, job in JOBS if "write" in job.get("permissions", {}).values()}
    assert writing == {"site.publish", "release.pypi", "release.release"}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_what_is_made_is_a_target_of_the_makefile(command):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in shlex.split(command)[1:]:
        assert re.search(rf"^[^#\t\n=]*\b{re.escape(target)}\b[^=\n]*:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("command", COMMANDS)
def test_every_file_extra_and_marker_that_a_command_names_exists(command):
    words = shlex.split(command.replace("> ", ""))
    for word in words:
        if re.search(r"[/.]", word) and re.fullmatch(r"[\w./-]+\.(py|txt|toml|md|ci)|[.\w-]+/[\w./-]+", word):
            assert word.startswith(MADE) or word.startswith("/") or (ROOT / word).exists(), f"{word}: {command}"
        if named := re.search(r"\[([\w,]+)\]$", word):
            assert set(named[1].split(",")) <= PROJECT["optional-dependencies"].keys(), command
    known = {marker.partition(":")[0] for marker in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    for expression in re.findall(r'-m "([^"]+)"', command):
        assert set(re.findall(r"\w+", expression)) - {"not", "and", "or"} <= known, command


def test_every_command_of_ragedu_is_one():
    from ragedu.cli import parser

    named = {found for text in COMMANDS for found in re.findall(r"^(?:python -m )?ragedu (\w+)", text)}
    assert named
    for name in named:
        assert f"\n    {name} " in parser().format_help(), name


def classified() -> list[str]:
    names = (line.removeprefix("Programming Language :: Python :: ") for line in PROJECT["classifiers"])
    return [name for name in names if re.fullmatch(r"3\.\d+", name)]


def test_the_pythons_and_systems_are_those_that_pyproject_promises():
    matrix = WORKFLOWS["checks"]["jobs"]["quick"]["strategy"]["matrix"]
    assert matrix["python"] == classified()
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "windows", "macos"}
    ends = {each["versions"]: each for each in WORKFLOWS["ranges"]["jobs"]["ends"]["strategy"]["matrix"]["include"]}
    assert ends["lowest"]["python"] == classified()[0] and ends["newest"]["python"] == classified()[-1]
    first, last = (tuple(map(int, name.split("."))) for name in (classified()[0], classified()[-1]))
    assert PROJECT["requires-python"] == f">={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}"


def test_torch_comes_without_several_gigabytes_for_graphics_cards():
    cpu = "https://download.pytorch.org/whl/cpu"
    for name, workflow in WORKFLOWS.items():
        assert workflow["env"]["PIP_EXTRA_INDEX_URL"] == cpu, name
    assert CONTAINER["containerEnv"]["PIP_EXTRA_INDEX_URL"] == cpu
    lines = (ROOT / "binder/requirements.txt").read_text("utf-8").splitlines()
    assert f"--extra-index-url {cpu}" in lines
    assert lines.index("torch") < lines.index("-e .[lab]")
    (constraints,) = [line.split()[1] for line in lines if line.startswith("-c ")]
    assert (ROOT / "binder" / constraints).resolve() == ROOT / "constraints.txt"
    assert (ROOT / "binder/runtime.txt").read_text("utf-8").strip() == f"python-{classified()[0]}"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no execute bits on Windows")
def test_binder_can_execute_its_last_step():
    assert (ROOT / "binder/postBuild").stat().st_mode & 0o100 and POST_BUILD.startswith("#!")


def test_the_form_asks_for_lesson_cell_doctor_and_system():
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/problem.yml").read_text("utf-8"))
    fields = {field["id"]: field for field in form["body"]}
    assert {"lesson", "cell", "doctor", "system"} <= fields.keys() and len(fields) == len(form["body"])
    assert "ragedu doctor" in fields["doctor"]["attributes"]["label"]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", [ROOT / f".github/workflows/{name}.yml" for name in WORKFLOWS]),
        ("vendor.github-issue-forms", [form for form in FORMS if form.stem != "config"]),
        ("vendor.dependabot", [ROOT / ".github/dependabot.yml"]),
    ],
)
def test_the_schema_of_the_forge_is_kept(schema, files):
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed: pip install check-jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


# The text of a release.

CHANGELOG = "# Changelog\n\nWords.\n\n## [0.3.0] - 2026-12-31\n\n- New.\n\n## [0.2.0] - unreleased\n\n- Old.\n"


def test_a_release_tells_its_own_section_alone():
    assert release_notes("v0.3.0", changelog=CHANGELOG, version="0.3.0") == "- New."


@pytest.mark.parametrize(
    ("tag", "version", "message"),
    [
        ("v0.3.0", "0.3.1", "the tag is v0.3.0, and ragedu.__version__ is 0.3.1"),
        ("v0.4.0", "0.4.0", "has no section"),
        ("v0x3.0", "0x3.0", "has no section"),
        ("v0.2.0", "0.2.0", "'unreleased'; write the date"),
    ],
)
def test_a_release_is_refused_when_tag_version_and_changelog_disagree(tag, version, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        release_notes(tag, changelog=CHANGELOG, version=version)


def test_the_changelog_has_a_section_for_this_version():
    import ragedu

    assert package_version() == ragedu.__version__
    number = re.match(r"\d+\.\d+\.\d+", ragedu.__version__)[0]
    assert f"## [{number}] - " in (ROOT / "CHANGELOG.md").read_text("utf-8")


# README as a package page.

README = """# A

![a picture, of two
lines](docs/a.png)

See [a file](ragedu/a.py), [the web](https://example.org/x), [below](#what).

    corpus[0](docs/a.png)

Say `x[0](y)`.
"""


def test_a_package_page_without_an_address_has_words_and_no_dead_links():
    package_page = pytest.importorskip("package_page", reason="hatchling is not installed").package_page
    page = package_page(README)
    assert (
        "a.png)" not in page.partition("corpus")[0] and "See a file, [the web](https://example.org/x), [below]" in page
    )
    assert "    corpus[0](docs/a.png)" in page and "`x[0](y)`" in page and "\n\n\n" not in page


def test_a_package_page_with_an_address_has_whole_addresses():
    package_page = pytest.importorskip("package_page", reason="hatchling is not installed").package_page
    page = package_page(README, source="https://example.org/o/r/", version="0.3.0")
    assert "(https://example.org/o/r/raw/v0.3.0/docs/a.png)" in page
    assert "[a file](https://example.org/o/r/blob/v0.3.0/ragedu/a.py), [the web](https://example.org/x)" in page


def test_every_relative_link_of_readme_leads_to_a_file_and_none_is_left_on_the_package_page():
    module = pytest.importorskip("package_page", reason="hatchling is not installed")
    readme = (ROOT / "README.md").read_text("utf-8")
    paths = [found["path"] for found in module.PICTURE_OR_LINK.finditer(readme)]
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path.partition("#")[0]).exists()]
    assert not module.PICTURE_OR_LINK.findall(module.package_page(readme))
