"""Tables and the description of the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "bm25s", "numba", "rank-bm25", "scikit-learn", "sentence-transformers", "faiss-cpu")


def machine() -> str:
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores of which one is used, {_memory()}; "
        f"{platform.system()}, Python {platform.python_version()}, {packages}."
    )


def table(rows: list[dict[str, str]]) -> str:
    """Rows with the same keys as a Markdown table."""
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([row[name] for name in header] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
