"""What is installed: the wheel has the lessons and all that the package reads, and not what only training reads."""

import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("hatchling", reason="hatchling is not installed: pip install 'ragedu[test]'")

ROOT = Path(__file__).parents[1]
LESSONS = {path.name for path in ROOT.glob("notebooks/*.ipynb")}
EXERCISES = {path.name for path in ROOT.glob("exercises/*.ipynb")}
SOLUTIONS = {path.name for path in ROOT.glob("exercises/solutions/*.ipynb")}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder with the wheel and the source distribution, made from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", folder, ROOT]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """Where the wheel is unpacked."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_installed(installed: Path, folder: Path, code: str) -> str:
    """What the code prints where the unpacked wheel is the only ragedu, in a folder outside the checkout."""
    first = f"import sys; sys.path.insert(0, {str(installed)!r})\n"
    run = subprocess.run([sys.executable, "-c", first + code], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_wheel_has_the_package_and_nothing_beside_it(installed):
    (info,) = installed.glob("ragedu-*.dist-info")
    assert {path.name for path in installed.iterdir()} == {"ragedu", info.name}
    assert (installed / "ragedu/py.typed").is_file() and (info / "licenses/LICENSE").is_file()


def test_the_wheel_has_the_lessons_the_exercises_and_their_solutions(installed):
    assert LESSONS and {path.name for path in installed.glob("ragedu/lessons/*.ipynb")} == LESSONS
    assert EXERCISES and {path.name for path in installed.glob("ragedu/lessons/exercises/*.ipynb")} == EXERCISES
    assert {path.name for path in installed.glob("ragedu/lessons/exercises/solutions/*.ipynb")} == SOLUTIONS
    assert not [path for path in installed.rglob("*") if path.name == "source"]


def test_the_wheel_has_every_file_of_the_package_but_the_texts_of_training_and_its_log(installed):
    listed = subprocess.run(["git", "ls-files", "ragedu"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    files = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    missing = {name for name in files if not (installed / name).exists()}
    texts = {name for name in files if name.startswith("ragedu/training/reading_text/")}
    assert missing == texts - {"ragedu/training/reading_text/archive.toml"} | {"ragedu/adapters/small-bart/log.jsonl"}


def test_the_source_distribution_has_what_the_wheel_leaves_out(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"ragedu/training/reading_text/stories/history.toml", "ragedu/adapters/small-bart/log.jsonl"} <= names
    assert {"Makefile", "constraints.txt", "notebooks/source/01_tfidf.py", "tests/test_wheel.py"} <= names
    assert not [name for name in names if ".venv" in name or "__pycache__" in name]


def test_the_installed_package_finds_its_data(installed, tmp_path):
    code = """
import ragedu
from ragedu import BM25Retriever, RAG, models
from ragedu.datasets import port_ellery, python_docs
from ragedu.generation.loading import find_adapter
from ragedu.training import knowledge, reading_examples
dataset = port_ellery.load(200)
rag = RAG(BM25Retriever().fit(dataset.corpus), lambda prompt: "Tomas Brandt", k=2)
assert rag.ask(next(iter(dataset.queries.values()))).sources
reader = find_adapter("reader")
assert (reader / "log.jsonl").is_file() and (reader.parent / "small-bart/model.safetensors").is_file()
assert models.REQUIREMENTS.is_file() and knowledge.RESULTS.is_file()
assert reading_examples.archive(600, each=20, seed=1).questions
print(ragedu.__file__)
"""
    assert Path(run_installed(installed, tmp_path, code)) == installed / "ragedu/__init__.py"


def test_the_version_is_that_of_the_package(installed, tmp_path):
    (info,) = installed.glob("ragedu-*.dist-info")
    version = run_installed(installed, tmp_path, "import ragedu; print(ragedu.__version__)")
    assert f"\nVersion: {version}\n" in (info / "METADATA").read_text("utf-8")


def test_the_installed_package_lays_a_desk_in_any_folder(installed, tmp_path):
    code = """
from ragedu.cli import main
assert main(["start", "--no-open", "--finished"]) == 0
from ragedu.learn import opening
assert (opening.DEFAULTS / "labconfig/default_setting_overrides.json").is_file()
"""
    assert f"Your desk is {tmp_path / 'my'}" in run_installed(installed, tmp_path, code)
    assert {path.name for path in tmp_path.glob("my/notebooks/*.ipynb")} == LESSONS
    assert {path.name for path in tmp_path.glob("my/exercises/*.ipynb")} == EXERCISES
    assert {path.name for path in tmp_path.glob("my/finished/notebooks/*.ipynb")} == LESSONS
    assert {path.name for path in tmp_path.glob("my/finished/exercises/solutions/*.ipynb")} == SOLUTIONS
    assert "If you have two hours" in (tmp_path / "my/index.md").read_text("utf-8")
