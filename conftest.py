"""What all tests share, those in docstrings included: markers, the order in which files run, names for examples, and
what happens where torch is not installed."""

import re
from importlib.util import find_spec

import pytest

import ragedu

# A test that uses one of these, directly or through another fixture, has a real model loaded.
LOADS_A_MODEL = {"embedder", "language_model"}
# So has an example in a docstring that calls one of these.
MODEL_CALLS = ("LanguageModel.load(", "DenseRetriever(", "Embedder(")

IN_A_BROWSER = ("test_browser.py", "test_desk_browser.py")
LONGEST = (*IN_A_BROWSER, "test_types.py")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if example := getattr(item, "dtest", None):
            name_public_things(example)
        if loads_a_model(item):
            item.add_marker("model")
        if item.path.name in IN_A_BROWSER:
            item.add_marker("browser")
    if hasattr(config, "workerinput"):  # one of several processes, to which whole files are handed
        longest_first(items)


def source_of(example) -> str:
    return "".join(line.source for line in example.examples)


def name_public_things(example) -> None:
    """Let an example in a docstring use what `ragedu` exports without importing it, as the text around it does."""
    for name in ragedu.__all__:
        if name in source_of(example):
            example.globs.setdefault(name, getattr(ragedu, name))


def loads_a_model(item) -> bool:
    example = getattr(item, "dtest", None)
    if example and any(call in source_of(example) for call in MODEL_CALLS):
        return True
    return not LOADS_A_MODEL.isdisjoint(getattr(item, "fixturenames", ()))


def longest_first(items) -> None:
    """Put the files with a browser or mypy first, then those with a model, so that none is left alone at the end."""
    with_models = {item.path for item in items if item.get_closest_marker("model")}
    items.sort(key=lambda item: (item.path.name not in LONGEST, item.path not in with_models))


# Where torch is not installed, nothing that needs it is a failure: the other tests still say something about a Python
# or a system for which there is no torch yet. What is missing must be torch, or a package that cannot be without it.

NEEDS_TORCH = re.compile(r"No module named '(torch|sentence_transformers|peft)\b|(requires|needs?) the PyTorch library")
WHY = "torch is not installed"

if find_spec("torch") is None:

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(collector):
        report = yield
        if report.failed and NEEDS_TORCH.search(str(report.longrepr)):
            report.outcome, report.longrepr = "skipped", (str(collector.path), None, f"Skipped: {WHY}")
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(item):
        try:
            return (yield)
        except Exception as error:
            if NEEDS_TORCH.search(str(error)):
                pytest.skip(WHY)
            raise
