"""What `ragedu doctor` looks at, from Python itself to a generated word.

Each check returns a line to show, or raises an error whose message says what is wrong and what to do.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, requires, version
from tempfile import TemporaryFile

from ragedu.models import ModelUnavailable, cache_folder, status


def check_python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def check_packages() -> str:
    return _versions("", "pip install -e .")


def check_lesson_packages() -> str:
    return _versions("lab", 'pip install -e ".[lab]"')


def check_cache() -> str:
    folder = cache_folder()
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ModelUnavailable(f"nothing can be written to {folder} ({error}): set RAGEDU_CACHE to another") from None
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


def _versions(extra: str, remedy: str) -> str:
    """The versions of what ragedu itself needs (extra ""), or of what an extra adds, which must be in their ranges."""
    from packaging.requirements import Requirement

    found, problems = [], []
    for needed in map(Requirement, requires("ragedu") or []):
        of_itself = needed.marker is None or needed.marker.evaluate({"extra": ""})
        of_extra = needed.marker is None or needed.marker.evaluate({"extra": extra})
        if not of_extra or (extra and of_itself):
            continue
        try:
            installed = version(needed.name)
        except PackageNotFoundError:
            problems.append(f"{needed.name} is not installed")
            continue
        found.append(f"{needed.name} {installed}")
        if not needed.specifier.contains(installed, prereleases=True):
            problems.append(f"{needed.name} is {installed}, not {needed.specifier}")
    if problems:
        raise RuntimeError(f"{', '.join(problems)}; in the folder of ragedu's README run  {remedy}")
    return ", ".join(found)


CHECKS = {
    "Python": check_python,
    "packages": check_packages,
    "packages for the lessons": check_lesson_packages,
    "cache folder": check_cache,
    "models": check_models,
    "retrieval": check_retrieval,
    "generation": check_generation,
}
