"""One system at one size, in a process of its own: what `benchmarks.scale` starts and prints a line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import psutil

from ragedu import BM25Retriever, Corpus, ElasticsearchRetriever, SqliteRetriever
from ragedu.datasets import port_ellery
from ragedu.learn.server import SmallServer

TOWN_DOCUMENTS = 1_000  # that the questions are about, at every size
ASKING_CPU_SECONDS = 60  # a slow system answers fewer questions
K = 10
WARM_UP_QUESTIONS = 20  # that are asked before the clock runs
DIMENSIONS = 384
CHUNK_VECTORS = 1_000  # made at a time
TRAINING_VECTORS = 10_000  # that the codes of IVF-PQ need at least


# What is measured: text.


class Text:
    """A corpus, and a retriever that `build` makes."""

    def __init__(self, documents: int, folder: Path) -> None:
        self.folder = folder
        self.corpus = Corpus(port_ellery.stream(documents))
        lookup = port_ellery.load(TOWN_DOCUMENTS, questions=300).select(kind="lookup")
        self.questions = list(lookup.queries.values())
        self.wanted = [set(lookup.qrels[query_id]) for query_id in lookup.queries]

    def build(self, watch: Watch) -> None:
        with watch:
            self.retriever.fit(self.corpus)

    def search(self, question: str) -> set[str]:
        return {hit.document.id for hit in self.retriever.search(question, K)}

    def save(self) -> None:
        """What is in a file, or on a server, is saved already."""


class Bm25(Text):
    name = "BM25Retriever"

    def __init__(self, documents: int, folder: Path) -> None:
        super().__init__(documents, folder)
        self.retriever = BM25Retriever()

    def save(self) -> None:
        self.retriever.save(self.folder)


class Sqlite(Text):
    name = "SqliteRetriever"

    def __init__(self, documents: int, folder: Path) -> None:
        super().__init__(documents, folder)
        self.retriever = SqliteRetriever(folder / "index.db")


class Server(Text):
    name = "ElasticsearchRetriever, noida-db"

    def __init__(self, documents: int, folder: Path) -> None:
        super().__init__(documents, folder)
        self.server = SmallServer(folder).start()
        self.retriever = ElasticsearchRetriever(self.server.url, "scale", timeout=300)

    def save(self) -> None:
        self.retriever.client.indices.flush(index="scale")
        self.server.stop()


# What is measured: vectors.


class Vectors:
    """Made vectors, and a FAISS index that `build` makes."""

    def __init__(self, documents: int, folder: Path) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.folder, self.documents = folder, documents
        real = np.load(folder.parent / "vectors.npz")
        self.passages, self.questions = real["passages"], list(real["questions"])
        best = None  # scores and positions of the ten nearest so far
        for start, vectors in self.made():
            scores = np.stack(self.questions) @ vectors.T
            positions = np.broadcast_to(np.arange(start, start + len(vectors)), scores.shape)
            if best is not None:
                scores, positions = (np.hstack(pair) for pair in zip(best, (scores, positions), strict=True))
            order = np.argpartition(-scores, K, axis=1)[:, :K]
            best = [np.take_along_axis(values, order, axis=1) for values in (scores, positions)]
        self.wanted = [set(row.tolist()) for row in best[1]]
        self.index = self.empty(faiss)

    def made(self) -> Iterator[tuple[int, np.ndarray]]:
        """Chunks of vectors of length 1 and the position of the first; a smaller set is the beginning of a larger."""
        for start in range(0, self.documents, CHUNK_VECTORS):
            rng = np.random.default_rng(start)
            a, b = (self.passages[rng.integers(len(self.passages), size=CHUNK_VECTORS)] for _ in range(2))
            share = rng.uniform(0.5, 1, size=(CHUNK_VECTORS, 1)).astype(np.float32)
            noise = rng.standard_normal((CHUNK_VECTORS, DIMENSIONS), dtype=np.float32)
            vectors = share * a + (1 - share) * b + 0.025 * noise
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield start, vectors[: self.documents - start]

    def build(self, watch: Watch) -> None:
        for _, vectors in self.made():
            with watch:
                self.index.add(vectors)

    def search(self, question: np.ndarray) -> set[int]:
        return set(self.index.search(question[None], K)[1][0].tolist())

    def save(self) -> None:
        import faiss

        faiss.write_index(self.index, str(self.folder / "index.faiss"))


class Flat(Vectors):
    name = "FAISS flat"

    def empty(self, faiss):
        return faiss.IndexFlatIP(DIMENSIONS)


class Hnsw(Vectors):
    name = "FAISS HNSW"

    def empty(self, faiss):
        index = faiss.IndexHNSWFlat(DIMENSIONS, 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = 40, 80
        return index


class IvfPq(Vectors):
    name = "FAISS IVF-PQ"

    def empty(self, faiss):
        self.lists = int(min(2 * self.documents**0.5, self.documents / 40))
        index = faiss.index_factory(DIMENSIONS, f"IVF{self.lists},PQ48np", faiss.METRIC_INNER_PRODUCT)
        index.nprobe = 16
        index.pq.cp.niter, index.pq.cp.max_points_per_centroid = 6, 40  # more takes longer and gains little here
        return index

    def build(self, watch: Watch) -> None:
        """The lists' centres are learned from 40 vectors each, the codes' 256 patterns from at least 10,000 in all."""
        enough = max(40 * self.lists, TRAINING_VECTORS)
        some = np.concatenate([vectors for start, vectors in self.made() if start < enough])[:enough]
        with watch:
            self.index.train(some)
        del some
        super().build(watch)


SYSTEMS = {system.name: system for system in (Bm25, Sqlite, Server, Flat, Hnsw, IvfPq)}


# One measurement, in a process of its own.


class Watch:
    """Seconds by the clock and of CPU that pass within `with watch:`, added up."""

    def __init__(self, others: list[psutil.Process]) -> None:
        self.others, self.wall, self.cpu = others, 0.0, 0.0

    def _now(self) -> tuple[float, float]:
        theirs = sum(sum(other.cpu_times()[:2]) for other in self.others)
        return perf_counter(), process_time() + theirs

    def __enter__(self) -> None:
        self._started = self._now()

    def __exit__(self, *_) -> None:
        wall, cpu = self._now()
        self.wall += wall - self._started[0]
        self.cpu += cpu - self._started[1]


def measure_here(name: str, documents: int, folder: Path) -> dict[str, object]:
    """Build, ask, save, in this process: what it took."""
    me = psutil.Process()
    system = SYSTEMS[name](documents, folder)
    documents_bytes, others = me.memory_info().rss, me.children()
    forget_peak()
    say(f"{name}, {documents:,} documents: indexing")
    building = Watch(others)
    system.build(building)

    say(f"{name}, {documents:,} documents: {len(system.questions)} questions")
    warming, asking, times, right = Watch(others), Watch(others), [], []
    for question in system.questions[:WARM_UP_QUESTIONS]:
        if warming.cpu < ASKING_CPU_SECONDS / 4:
            with warming:
                system.search(question)
    for question, wanted in zip(system.questions[WARM_UP_QUESTIONS:], system.wanted[WARM_UP_QUESTIONS:], strict=True):
        before = asking.wall
        with asking:
            found = system.search(question)
        times.append(asking.wall - before)
        right.append(len(found & wanted) / len(wanted))
        if asking.cpu > ASKING_CPU_SECONDS:
            break

    peak = sum(map(peak_bytes, [me, *others]))
    system.save()
    with_saving = max(peak, peak_bytes(me))
    return {
        "system": name,
        "documents": documents,
        "index_s": round(building.wall, 6),
        "index_cpu_s": round(building.cpu, 6),
        "question_ms": round(1000 * median(times), 4),
        "question_cpu_ms": round(1000 * asking.cpu / len(times), 4),
        "memory_mb": round((peak - documents_bytes) / 1e6, 1),
        "documents_mb": round(documents_bytes / 1e6, 1),
        "everything_mb": round(with_saving / 1e6, 1),
        "disk_mb": round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6, 2),
        "recall": round(float(np.mean(right)), 4),
        "questions": len(times),
    }


def forget_peak() -> None:
    """Let Linux count this process's peak again, without what it took to make the documents."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(process: psutil.Process) -> int:
    """The most memory that a process has held, as Linux counts it; elsewhere what it holds now.

    (getrusage does not do: its figure for a new process begins with that of the process that started it.)
    """
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return process.memory_info().rss


def say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    name, documents, folder = sys.argv[1:]
    print(json.dumps(measure_here(name, int(documents), Path(folder))))
