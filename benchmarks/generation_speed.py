"""The bundled SmolLM2 continues the same tokens greedily in every system and writes a fixed number of tokens, ends
ignored: an answer to a question with three sources of Port Ellery, and a longer one to the bare question. ragedu is
`LanguageModel.load().generate(…)` with its defaults, without and with its adapter, which takes the weights off their
4-bit grid; transformers is `model.generate` in the fastest of its types; llama.cpp (the wheel xllamacpp) reads
the same GGUF file, with flash attention, as many threads, and a slot with continuous batching for each prompt.

What ragedu's speed costs: 66 MB for the copies in 4 bits, under a second at the first call to make them, and at every
call the time of about one token to see whether the weights are still those. It needs AVX2 or AVX-512; elsewhere the
weights are used as they are.

Each figure is the median of rounds in which the systems take turns. *Reading* is the prompts' tokens over the time to
the first new token, *writing* the further tokens over the further time, *in all* the new tokens over the whole time;
"of llama.cpp" are the medians of the rounds' ratios."""

from __future__ import annotations

import ragedu  # isort: skip (before torch: it says how torch's threads wait)

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import torch

from ragedu.datasets import port_ellery
from ragedu.generation.forward import left_pad
from ragedu.generation.loading import fastest_dtype
from ragedu.generation.prompts import build_prompt, closed_book_prompt
from ragedu.models import SMOLLM2, find_verified

THREADS = os.cpu_count()
BATCH_PROMPTS = 16
ROUNDS = 3
PEER = "llama.cpp"


class Ragedu:
    name, adapter = "ragedu", None

    def __init__(self, prompts: Sequence[str]) -> None:
        self.model = ragedu.LanguageModel.load(adapter=self.adapter)
        self.model.end_tokens = set()
        self.prompts = list(prompts)

    def generate(self, new_tokens: int) -> None:
        self.model.generate(self.prompts, max_new_tokens=new_tokens)


class RageduReader(Ragedu):
    name, adapter = "ragedu, adapter reader", "reader"


class Transformers:
    name = f"transformers, {str(fastest_dtype()).removeprefix('torch.')}"

    def __init__(self, prompts: Sequence[str]) -> None:
        loaded = ragedu.LanguageModel.load(dtype=fastest_dtype())
        self.model, self.model.generation_config.eos_token_id = loaded.model, None
        self.ids, self.mask = left_pad([loaded.encode(prompt) for prompt in prompts], 0, "cpu")

    def generate(self, new_tokens: int) -> None:
        made = self.model.generate(
            self.ids, attention_mask=self.mask, max_new_tokens=new_tokens, do_sample=False, pad_token_id=0
        )
        assert made.shape[1] == self.ids.shape[1] + new_tokens


class LlamaCpp:
    name = PEER

    def __init__(self, prompts: Sequence[str]) -> None:
        import xllamacpp

        encode = ragedu.LanguageModel.load().encode
        self.prompts = [encode(prompt) for prompt in prompts]
        settings = xllamacpp.CommonParams()
        settings.model.path = str(find_verified(SMOLLM2) / next(iter(SMOLLM2.sha256)))
        settings.n_parallel = len(prompts)
        settings.n_ctx = len(prompts) * (max(map(len, self.prompts)) + 256)
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = THREADS
        settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
        settings.cache_ram_mib, settings.verbosity = 0, -1
        self.server = xllamacpp.Server(settings)

    def generate(self, new_tokens: int) -> None:
        options = {"n_predict": new_tokens, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        ask = lambda prompt: self.server.handle_completions({"prompt": prompt, **options})
        with ThreadPoolExecutor(len(self.prompts)) as slots:
            for result in slots.map(ask, self.prompts):
                assert result["timings"]["predicted_n"] == new_tokens


def measure(rounds: int = ROUNDS) -> list[tuple[str, list[dict[str, str]]]]:
    """A title and rows for each kind of prompt, and for one prompt and a batch."""
    torch.set_num_threads(THREADS)
    systems = [Ragedu, RageduReader, Transformers]
    if find_spec("xllamacpp"):
        systems.append(LlamaCpp)
    else:
        print("  no llama.cpp: xllamacpp is not installed", file=sys.stderr)
    tables = []
    for kind, prompts, new_tokens in cases():
        for number in (1, BATCH_PROMPTS):
            built = [system(prompts[:number]) for system in systems]
            for system in built:
                system.generate(2)  # what is done once, at the first use
            lengths = [len(built[0].model.encode(prompt)) for prompt in prompts[:number]]
            size = f"{number} prompts" if number > 1 else "one prompt"
            title = f"{kind}: {size} of {round(sum(lengths) / number)} tokens, {new_tokens} new tokens each"
            times = {system.name: [] for system in built}
            for turn in range(rounds):
                print(f"  {title}, round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
                for system in built:
                    times[system.name].append((seconds(system.generate, 1), seconds(system.generate, new_tokens)))
            tables.append((title, rows(times, sum(lengths), number, new_tokens)))
            del built
    return tables


def versions() -> str:
    """What was measured: threads and packages."""
    packages = ["torch", "transformers", *(["xllamacpp"] if find_spec("xllamacpp") else [])]
    return f"{THREADS} threads; " + ", ".join(f"{package} {version(package)}" for package in packages) + "."


def cases() -> list[tuple[str, list[str], int]]:
    """What the prompts are, the prompts, and how many tokens follow each."""
    dataset = port_ellery.load(1000)
    questions = [(id, text) for id, text in dataset.queries.items() if dataset.qrels.get(id)][:BATCH_PROMPTS]
    search = ragedu.BM25Retriever().fit(dataset.corpus).search
    with_sources = [build_prompt(text, [hit.document for hit in search(text, k=3)]) for _, text in questions]
    return [
        ("Three sources and a question", with_sources, 32),
        ("A question", [closed_book_prompt(text) for _, text in questions], 128),
    ]


def seconds(generate: Callable[[int], None], new_tokens: int) -> float:
    started = perf_counter()
    generate(new_tokens)
    return perf_counter() - started


def rows(
    times: dict[str, list[tuple[float, float]]], prompt_tokens: int, number: int, new: int
) -> list[dict[str, str]]:
    speeds = {
        name: [
            (prompt_tokens / one, number * (new - 1) / max(all - one, 1e-9), number * new / all)
            for one, all in measured
        ]
        for name, measured in times.items()
    }
    made = []
    for name, measured in speeds.items():
        row = {"tokens a second": name}
        for what, values in zip(("reading", "writing", "in all"), zip(*measured, strict=True), strict=True):
            row[what] = f"{median(values):,.0f}"
        for place, what in ((1, "writing, of llama.cpp"), (2, "in all, of llama.cpp")):
            ratios = [ours[place] / peer[place] for ours, peer in zip(measured, speeds.get(PEER, []), strict=False)]
            row[what] = f"{median(ratios):.2f}" if ratios else ""
        made.append(row)
    return made
