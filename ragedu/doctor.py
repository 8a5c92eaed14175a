"""What `ragedu doctor` looks at, from Python itself to a generated word.

Each check returns a line to show, or raises an error whose message says what is wrong and what to do.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from ragedu.models import ModelUnavailable, cache_folder, status

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "PyStemmer",
    "faiss-cpu",
    "torch",
    "transformers",
    "sentence-transformers",
)
LESSON_PACKAGES = ("jupyterlab", "ipywidgets", "matplotlib", "pandas", "rank-bm25", "bm25s")


def check_python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def check_packages() -> str:
    return _versions(PACKAGES, "pip install ragedu")


def check_lesson_packages() -> str:
    return _versions(LESSON_PACKAGES, 'pip install "ragedu[lab]"')


def check_cache() -> str:
    return str(cache_folder())


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
    from ragedu import LanguageModel

    text = LanguageModel.load().generate("What is the capital of France?", max_new_tokens=12)
    if "Paris" not in text:
        raise RuntimeError(f"the language model does not know the capital of France ({text!r}): run  ragedu models")
    return f"the language model says {text.strip()!r}"


def _versions(packages: tuple[str, ...], remedy: str) -> str:
    found, missing = [], []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; run  {remedy}")
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
