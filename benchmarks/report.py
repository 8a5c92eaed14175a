"""Tables, the description of the machine, and the results file."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "bm25s", "numba", "rank-bm25", "scikit-learn", "sentence-transformers", "faiss-cpu")


def machine(all_cores: bool = False) -> str:
    used = "which are all used" if all_cores else "of which one is used"
    return f"{_processor()}, {os.cpu_count()} cores {used}, {_memory()}"


def measured(text: str, all_cores: bool = False) -> str:
    """A section's text, after a line that says with what it was measured."""
    software = ", ".join([platform.system(), f"Python {platform.python_version()}", *_installed()])
    return f"Measured on {machine(all_cores)}; {software}.\n\n{text}"


def _installed() -> Iterator[str]:
    for package in PACKAGES:
        with suppress(PackageNotFoundError):  # a part that measures without this peer took place all the same
            yield f"{package} {version(package)}"


def table(rows: list[dict[str, str]]) -> str:
    """Rows with the same keys as a Markdown table."""
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([row[name] for name in header] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def read_sections(file: Path) -> dict[str, str]:
    """The results file as {heading: text}."""
    text = file.read_text("utf-8") if file.is_file() else ""
    parts = [part.partition("\n\n") for part in text.replace("\n## ", "\0## ").split("\0") if part.strip()]
    return {heading.strip(): text.strip() for heading, _, text in parts}


def keep_section(file: Path, heading: str, text: str) -> None:
    """Put one section into the results file, instead of an earlier one; all others stay as they are."""
    first = {"# Results": "Written by `python -m benchmarks`, section by section."}
    sections = first | read_sections(file) | {heading: text.strip()}
    whole = "\n\n".join(f"{heading}\n\n{text}" for heading, text in sections.items()) + "\n"
    unfinished = file.with_suffix(".tmp")
    unfinished.write_text(whole, "utf-8")
    os.replace(unfinished, file)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    except (AttributeError, ValueError, OSError):
        return "memory unknown"
