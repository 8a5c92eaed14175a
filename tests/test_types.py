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


def mypy(*files: Path) -> list[str]:
    """What mypy complains of in the files, by default in the whole package."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *files]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert not run.stderr, run.stderr
    return run.stdout.splitlines()


def complaints(code: str, folder: Path) -> list[str]:
    file = folder / "example.py"
    file.write_text(code, "utf-8")
    return [line for line in mypy(file) if line.startswith(str(file))]


def test_the_package_type_checks():
    found = mypy()
    assert not found, "\n" + "\n".join(found)


def test_readmes_example_has_the_types_that_one_expects(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    example = "\n".join(blocks)
    assert not complaints(example + CONCLUSIONS, tmp_path)
    (wrong,) = complaints(example + "\nrag.ask(1)\n", tmp_path)
    assert '"ask" of "RAG" has incompatible type "int"' in wrong
