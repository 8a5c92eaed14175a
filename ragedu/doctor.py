"""What `ragedu doctor` looks at, from Python itself to a generated word.

Each check returns a line to show, or raises an error whose message says what is wrong and what to do.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from ragedu.models import ModelUnavailable, cache_folder, status

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def check_python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def check_packages() -> str:
    return _versions(extra="")


def check_lesson_packages() -> str:
    return _versions(extra="lab")


def check_cache() -> str:
    folder = cache_folder()
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ModelUnavailable(
            f"nothing can be written to {folder} ({error}): set RAGEDU_CACHE to another folder"
        ) from None
    return str(folder)


def check_models() -> str:
    rows = status(thorough=True)
    problems = [row.problem for row in rows if not row.verified]
    if problems:
        raise ModelUnavailable("; ".join(problems))
    return ", ".join(f"{row.name} ({row.size / 1e6:.0f} MB)" for row in rows)


def check_retrieval() -> str:
    from ragedu import Corpus, DenseRetriever

    corpus = Corpus.from_texts(["The ferry leaves at nine.", "Bread is baked before dawn."])
    hit = DenseRetriever(cache=False).fit(corpus).search("When does the boat depart?", k=1)[0]
    if hit.document.id != "0":
        raise RuntimeError("the embedding model prefers bread to boats: run  ragedu models")
    return f"the embedding model finds the right one of two documents (cosine {hit.score:.2f})"


def check_generation() -> str:
    from ragedu import Document, LanguageModel
    from ragedu.generation.prompts import build_prompt

    # With its adapter and a source, as `ragedu ask` does.
    prompt = build_prompt("What is the capital of France?", [Document("0", "The capital of France is Paris.")])
    text = LanguageModel.load(adapter="reader").generate(prompt, max_new_tokens=12)
    if "Paris" not in text:
        raise RuntimeError(f"the language model cannot read that Paris is a capital ({text!r}): run  ragedu models")
    return f"the language model says {text.strip()!r}"


def _versions(*, extra: str) -> str:
    """The versions of what ragedu itself needs (extra ""), or of what an extra adds.

    Raises RuntimeError for what is missing or not in its range. The remedy is right for a wheel and for a checkout: pip
    knows that ragedu itself is installed, and gets what it needs.
    """
    found, problems = [], []
    for needed in _requirements(extra):
        try:
            installed = version(needed.name)
        except PackageNotFoundError:
            problems.append(f"{needed.name} is not installed")
            continue
        found.append(f"{needed.name} {installed}")
        if not needed.specifier.contains(installed, prereleases=True):
            problems.append(f"{needed.name} is {installed}, not {needed.specifier}")
    if problems:
        package = f'"ragedu[{extra}]"' if extra else "ragedu"
        raise RuntimeError(f"{', '.join(problems)}: run  pip install {package}")
    return ", ".join(found)


def _requirements(extra: str) -> Iterator[Requirement]:
    """What ragedu itself requires (extra ""), or what an extra adds to that."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, requires("ragedu") or []):
        if extra and _applies(requirement, ""):
            continue
        if _applies(requirement, extra):
            yield requirement


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


CHECKS = {
    "Python": check_python,
    "packages": check_packages,
    "packages for the lessons": check_lesson_packages,
    "cache folder": check_cache,
    "models": check_models,
    "retrieval": check_retrieval,
    "generation": check_generation,
}
