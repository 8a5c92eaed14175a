"""What it costs to index and to search 1,000 to 1,000,000 documents. Each system and size runs in a process of its own,
on one thread, and is asked one question at a time; what is measured once stays in `ragedu/records/09.scale.csv`, so
that an interrupted run goes on where it stopped. CPU is that of all threads, the server's included; it is what the
curves show, since the machine had much other work when these were taken, and the clock counts that, too. Memory is the
peak while indexing and searching, less what the documents took before (vectors are made as they are added, and not kept
elsewhere); an operating system's cache of files comes on top for SQLite. Disk is what was saved, with the documents for
the first three.

Text is Port Ellery with the same lookup questions at every size, about pages among its first thousand; *recall* is the
share of questions whose page is among the ten best. Vectors are **made**, 384 numbers each, because to encode a million
passages would take hours here: random mixtures of two of a thousand real ones with noise, as in lesson 03. The
questions' vectors are real. *Recall* is there the share of the exact ten nearest that were found. HNSW: 16 links,
efConstruction 40, efSearch 80. IVF-PQ: min(2 sqrt n, n / 40) lists, 16 of them probed, 48 bytes a vector; it finds
candidates, whose exact cosines one would compute afterwards. The server is noida-db, which speaks Elasticsearch's
protocol and is not Elasticsearch; at 100,000 it was asked two questions only, of three CPU seconds each."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import sleep

import numpy as np
import psutil

from benchmarks.report import machine
from benchmarks.scale_systems import SYSTEMS, TOWN_DOCUMENTS, Text, Vectors, say
from ragedu.datasets import port_ellery
from ragedu.records import path_of, write_rows

RESULTS = path_of("09.scale")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
MAX_CPU_SECONDS = 900  # for one system and size
MAX_GIB = 8.0  # for one system and size, its server included


def measure(sizes: tuple[int, ...] = SIZES, results: Path = RESULTS) -> list[tuple[str, list[dict[str, str]]]]:
    """Measure what `results` does not have yet, from the smallest size up; the tables' titles and rows."""
    with tempfile.TemporaryDirectory(prefix="ragedu-scale-") as work:
        for size in sizes:
            for name in SYSTEMS:
                earlier = [row for row in read(results) if row["system"] == name]
                done = any(row["documents"] == str(size) or row["stopped"] for row in earlier)
                if done:
                    continue
                keep(results, measure_apart(name, size, Path(work)))
    rows = read(results)
    part = lambda kind: [as_text(row) for row in rows if issubclass(SYSTEMS[row["system"]], kind)]
    return [("Text of Port Ellery", part(Text)), ("Made vectors of 384 dimensions", part(Vectors))]


def measure_apart(name: str, documents: int, work: Path) -> dict[str, object]:
    """The measurement in a process of its own, which is ended when it takes more time or memory than it may."""
    if issubclass(SYSTEMS[name], Vectors) and not (work / "vectors.npz").exists():
        save_real_vectors(work / "vectors.npz")
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    row = {"system": name, "documents": documents, "machine": machine()}
    with tempfile.TemporaryDirectory(dir=work) as folder:
        command = [sys.executable, "-m", "benchmarks.scale_systems", name, str(documents), folder]
        process = psutil.Popen(command, stdout=subprocess.PIPE, env=os.environ | one_thread, text=True)
        try:
            while process.poll() is None and "stopped" not in row:
                sleep(0.2)
                seconds, held = taken(process)
                if seconds > MAX_CPU_SECONDS:
                    row["stopped"] = f"not done after {MAX_CPU_SECONDS:,} CPU s"
                elif held > MAX_GIB * 2**30:
                    row["stopped"] = f"needs more than {MAX_GIB:g} GiB"
        finally:
            for one in family(process):
                one.kill()
        output = process.communicate()[0]
    if "stopped" in row:
        say(f"{name}, {documents:,} documents: {row['stopped']}")
        return row
    if process.returncode:
        raise RuntimeError(f"{name} with {documents:,} documents failed: see above")
    return row | json.loads(output)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and those that it has started, as far as they are there."""
    try:
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def taken(process: psutil.Process) -> tuple[float, int]:
    """CPU seconds and bytes of memory of the whole family."""
    seconds, held = 0.0, 0
    for one in family(process):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(one.cpu_times()[:2])
            held += one.memory_info().rss
    return seconds, held


def save_real_vectors(file: Path) -> None:
    """The vectors of a thousand passages and of questions about them."""
    from ragedu.retrieval.embeddings import Embedder

    town = port_ellery.load(TOWN_DOCUMENTS, questions=300)
    questions = list(town.select(kind="lookup").queries.values())[:220]
    encode = Embedder().encode
    np.savez(file, passages=encode([document.content for document in town.corpus]), questions=encode(questions))


COLUMNS = (
    "system documents index_s index_cpu_s question_ms question_cpu_ms memory_mb documents_mb everything_mb disk_mb "
    "recall questions stopped machine"
).split()


def read(results: Path = RESULTS) -> list[dict[str, str]]:
    """The lines of the results file."""
    if not results.is_file():
        return []
    with results.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def keep(results: Path, row: dict[str, object]) -> None:
    """Add a line, in order of system and size; the file is the old one or the new one, never half of either."""
    order = list(SYSTEMS)
    rows = sorted([*read(results), row], key=lambda row: (order.index(row["system"]), int(row["documents"])))
    write_rows(results, rows, COLUMNS)


def machines(results: Path = RESULTS) -> str:
    """On which the kept lines were measured."""
    return "; ".join(dict.fromkeys(row["machine"] for row in read(results)))


def as_text(row: dict) -> dict[str, str]:
    """A line of the table; of a measurement that was stopped, the reason."""
    figure = lambda name, form: format(float(row[name]), form) if row[name] else ""
    return {
        "system": row["system"],
        "documents": figure("documents", ",.0f"),
        "index, CPU s": row["stopped"] or figure("index_cpu_s", ",.1f"),
        "by the clock, s": figure("index_s", ",.1f"),
        "a question, CPU ms": figure("question_cpu_ms", ",.3g"),
        "by the clock (median), ms": figure("question_ms", ",.3g"),
        "memory, MB": figure("memory_mb", ",.0f"),
        "with documents and saving, MB": figure("everything_mb", ",.0f"),
        "disk, MB": figure("disk_mb", ",.1f"),
        "recall": figure("recall", ".3f"),
        "questions": figure("questions", ".0f"),
    }
