"""`ragedu.serve` with the bundled model and its adapter `reader`, BM25 and three sources of Port Ellery, over real
connections on this machine, clients and service in one process. A client sends a question when it has the answer to its
last one; of those that wait, the service answers up to eight together.

Each reply is compared with `rag.ask` of its question. *Mixed up* is one with another's question or sources; *other
words* one with the right sources and another text, as rounding in batches makes of it. *Memory* is what the process
held before and after. Batches speed up the writing; the prompts, most of the work here, are read by a processor hardly
faster together than one by one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import httpx
import numpy as np
import psutil
import torch

from ragedu import RAG, BM25Retriever, LanguageModel
from ragedu.datasets import port_ellery
from ragedu.serve import create_app, running

KEY = "only-for-this-run"
Sent = tuple[str, float, httpx.Response]  # the question, the seconds until the reply, the reply


def measure(documents: int = 2000, questions: int = 50, clients: int = 50) -> tuple[str, list[dict[str, str]]]:
    """The title of the table, and a row for one client and for many; each question is asked once by the one, twice by
    the many. About five minutes on two cores."""
    torch.set_num_threads(os.cpu_count() or 1)
    archive = port_ellery.load(documents, questions=400)
    rag = RAG(BM25Retriever().fit(archive.corpus), LanguageModel.load(adapter="reader"))
    asked = list(archive.select(split="test").queries.values())
    asked = asked[:: len(asked) // questions][:questions]
    rag.ask_many(asked[:8])  # what is done once, at the first use
    print("  without a service", file=sys.stderr, flush=True)
    expected = {question: rag.ask(question) for question in asked}
    rows = []
    with running(create_app(rag, KEY, at_once=8, seconds=600)) as url:
        for number, sends in ((1, asked), (clients, asked * 2)):
            print(f"  clients: {number}", file=sys.stderr, flush=True)
            before, started = _memory(), perf_counter()
            with ThreadPoolExecutor(number) as threads:
                shares = threads.map(lambda share: ask_all(url, share), [sends[i::number] for i in range(number)])
                replies = [sent for share in shares for sent in share]
            seconds = perf_counter() - started
            rows.append({"clients": f"{number}"} | figures(replies, expected, seconds))
            rows[-1]["memory, MiB"] = f"{before:,.0f}, then {_memory():,.0f}"
    return f"{documents:,} documents", rows


def ask_all(url: str, questions: Sequence[str]) -> list[Sent]:
    """One client's questions, one after the other."""
    sent = []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=None) as service:
        for question in questions:
            started = perf_counter()
            response = service.post("/query", json={"question": question})
            sent.append((question, perf_counter() - started, response))
    return sent


def figures(replies: Sequence[Sent], expected: dict, seconds: float) -> dict[str, str]:
    latencies = [latency for _, latency, _ in replies]
    good = [(question, response.json()) for question, _, response in replies if response.status_code == 200]
    sources = lambda question: [hit.document.id for hit in expected[question].sources]
    own = [
        (question, reply)
        for question, reply in good
        if reply["question"] == question and [source["id"] for source in reply["sources"]] == sources(question)
    ]
    return {
        "questions": f"{len(replies)}",
        "questions a second": f"{len(replies) / seconds:.2f}",
        "seconds, median": f"{np.percentile(latencies, 50):.1f}",
        "seconds, 95 %": f"{np.percentile(latencies, 95):.1f}",
        "errors": f"{len(replies) - len(good)}",
        "mixed up": f"{len(good) - len(own)}",
        "other words": f"{sum(reply['answer'] != expected[question].text for question, reply in own)}",
    }


def _memory() -> float:
    return psutil.Process().memory_info().rss / 2**20
