"""What a type checker makes of the package, and of README's example: lazy names are the classes that they stand for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed: pip install 'ragedu[test]'")

ROOT = Path(__file__).parents[1]
CONCLUSIONS = """
from typing import assert_type

import ragedu

assert_type(rag, ragedu.RAG)
assert_type(rag.ask("x"), ragedu.Answer)
assert_type(rag.ask("x").text, str)
assert_type(corpus, ragedu.Corpus)
"""
# What the types of torch and transformers say of a call, although most of their files are skipped (pyproject.toml).
MISUSES = """
import torch
from transformers import AutoTokenizer, LlamaConfig, PreTrainedModel

torch.zeros(2).reshaped(1)
torch.nn.functional.normalize("x")
LlamaConfig.from_nowhere("x")
torch.optim.AdamW(3)
PreTrainedModel.from_nowhere("x")
AutoTokenizer.from_nowhere("x")
"""


def readmes_example() -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def complaints(tmp_path_factory) -> dict[str, list[str]]:
    """{file: what mypy says of it} of the package and of a few files, in one run, for most of it is reading others."""
    folder = tmp_path_factory.mktemp("typed")
    files = {
        "example.py": readmes_example() + CONCLUSIONS,
        "wrong_example.py": readmes_example() + "\nrag.ask(1)\n",
        "misuses.py": MISUSES,
    }
    for name, code in files.items():
        (folder / name).write_text(code, "utf-8")
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "ragedu", *(folder / name for name in files)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not run.stderr, run.stderr
    found = {name: [line for line in run.stdout.splitlines() if line.startswith(str(folder / name))] for name in files}
    return {**found, "ragedu": [line for line in run.stdout.splitlines() if not line.startswith(str(folder))]}


def test_the_package_type_checks(complaints):
    assert not complaints["ragedu"], "\n" + "\n".join(complaints["ragedu"])


def test_readmes_example_has_the_types_that_one_expects(complaints):
    assert not complaints["example.py"]
    (wrong,) = complaints["wrong_example.py"]
    assert '"ask" of "RAG" has incompatible type "int"' in wrong


def test_a_wrong_call_of_torch_or_transformers_is_found(complaints):
    wrong_lines = {int(line.split(":")[1]) for line in complaints["misuses.py"]}
    assert wrong_lines == {n for n, line in enumerate(MISUSES.splitlines(), 1) if "(" in line}
