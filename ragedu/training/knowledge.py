"""Put knowledge into a model's weights: fine-tuning on the facts, as the rival of retrieving them.

    model = LanguageModel.load(dtype="float32")       # all weights learn, and learn in small steps
    fine_tune(model, page_rows(model, pages) * 18)    # every page is read eighteen times
    model(closed_book_prompt("Who keeps the keys of the Bolitho Mill?"))

Lesson 07 does this with a few pages. The same with more pages, and with every rival of its table, takes longer than a
lesson may, so it is done once, and what every system said is kept in knowledge.jsonl beside this file:

    python -m ragedu.training.knowledge      # writes a knowledge.jsonl of your own, here; call again to go on
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ragedu.corpus import Corpus, Document
from ragedu.datasets import port_ellery, python_docs
from ragedu.generation.language_model import LanguageModel, fastest_dtype
from ragedu.generation.prompts import closed_book_prompt
from ragedu.rag import RAG
from ragedu.retrieval.bm25 import BM25Retriever
from ragedu.training import reader
from ragedu.training.reader import Row

Entry = dict[str, Any]  # a line of the results
RESULTS = Path(__file__).with_suffix(".jsonl")
ARCHIVE = 600  # documents among which retrieval has to find what fine-tuning has learned
READINGS = (2, 6, 18)  # how often a rare, a middling and a popular page is read
TELLINGS = 6  # ways in which a page is told, where it is told in several


# ---------------------------------------------------------------------------------------------------------------
# Fine-tuning


def page_rows(model: LanguageModel, pages: Sequence[Document]) -> list[Row]:
    """Pages to be learned by heart, title and text, every token from those before it."""
    rows = []
    for page in pages:
        ids = [*model.encode(page.content, chat=False), model.tokenizer.eos_token_id]
        rows.append(Row(ids, ids, list(range(len(ids))), [0] * len(ids)))
    return rows


def question_rows(model: LanguageModel, questions: Sequence[tuple[str, str]]) -> list[Row]:
    """(question, answer) pairs to be learned without any source; the loss is on the answers."""
    rows = [reader.tokens(model, closed_book_prompt(question), answer) for question, answer in questions]
    return [Row(ids, labels, list(range(len(ids))), [0] * len(ids)) for ids, labels in rows]


def fine_tune(
    model: LanguageModel,
    rows: Sequence[Row],
    learning_rate: float = 1e-4,
    batch_size: int = 4,
    rank: int | None = None,
    seed: int = 0,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train on every row once, in random order: a row that is to be read six times stands six times in the list.

    rank: of LoRA's matrices; None lets all weights of the model learn, which then should be in float32, since a
    bfloat16 has no place for a change of less than a 256th. Returns the loss of each step (nats a token).
    """
    if not rows:
        raise ValueError("there is nothing to learn: give page_rows(…) or question_rows(…)")
    if rank is not None:
        reader.add_lora(model, rank, seed)
    elif model.model.dtype != torch.float32:
        raise ValueError(
            f"to train all weights they must be in float32, not {model.model.dtype}: "
            'use LanguageModel.load(dtype="float32")'
        )
    steps = math.ceil(len(rows) / batch_size)
    mixed = rank is None and fastest_dtype() == torch.bfloat16
    return reader.fit(model, rows, steps, batch_size, learning_rate, seed, after_step, mixed)


# ---------------------------------------------------------------------------------------------------------------
# What is asked afterwards


@torch.inference_mode()
def perplexity(model: LanguageModel, texts: Sequence[str], longest: int = 200) -> float:
    """exp of the mean surprise (nats) at a token, over the first `longest` tokens of each text."""
    surprise, tokens = 0.0, 0
    for text in texts:
        ids = torch.tensor([model.encode(text, chat=False)[:longest]])
        logits = model.model(ids).logits[0, :-1].float()
        surprise += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        tokens += ids.shape[1] - 1
    return math.exp(surprise / tokens)


def general_questions() -> list[tuple[str, list[str]]]:
    """Questions of general knowledge, each with the words of which one has to stand in the answer."""
    table = tomllib.loads(Path(__file__).with_name("general_questions.toml").read_text("utf-8"))
    return [(question, answers) for question, *answers in table["questions"]]


def general_answers(model: LanguageModel) -> list[str]:
    """What the model says to the general questions."""
    return model.generate([closed_book_prompt(question) for question, _ in general_questions()], max_new_tokens=24)


def general_right(said: Sequence[str]) -> float:
    """The share of the general questions to which the right thing was said."""
    asked = zip(general_questions(), said, strict=True)
    right = [any(a.lower() in s.lower() for a in answers) for (_, answers), s in asked]
    return sum(right) / len(right)


def general_knowledge(model: LanguageModel) -> float:
    """The share of the general questions that the model answers."""
    return general_right(general_answers(model))


# ---------------------------------------------------------------------------------------------------------------
# The experiment of lesson 07


class Question(NamedTuple):
    """kind: asked (in training, in these words), unasked (as plain, of a page that was read and never asked about),
    anew (a fact of an asked question in other words), two-hop, changed (in edition 2); page: the one that holds the
    answer (the first of two)."""

    text: str
    answers: list[str]
    kind: str
    page: str


class Task(NamedTuple):
    """pages: those to be learned; readings: how often each; tellings: every page in several ways, by its id; changed:
    those that edition 2 states differently, in its tellings."""

    pages: list[Document]
    readings: dict[str, int]
    tellings: dict[str, list[Document]]
    changed: dict[str, list[Document]]
    questions: list[Question]
    after_change: list[Question]


def make_task(unchanged: int = 24, changing: int = 16) -> Task:
    """Pages of the test split, which the adapter `reader` has never seen; training asks about every second one."""
    first = port_ellery.load(ARCHIVE, questions=100_000)
    second = port_ellery.load(ARCHIVE, edition=2, questions=100_000)
    tests = {query: data for query, data in first.metadata.items() if data["split"] == "test"}
    gold = {query: list(first.qrels.get(query, ())) for query in tests}
    changes = [query for query, data in tests.items() if data["kind"] == "changed"]
    at = {document.id: place for place, document in enumerate(first.corpus)}
    changes = sorted(changes, key=lambda query: at[gold[query][0]])[:changing]
    may_change = {gold[query][0] for query, data in tests.items() if data["kind"] == "changed"}
    own = [d for d in first.corpus if d.metadata["split"] == "test" and d.id not in may_change][:unchanged]
    asked = {document.id for document in own[::2]}
    pages = own + [first.corpus[gold[query][0]] for query in changes]
    ids = {page.id for page in pages}

    questions = []
    for query, data in tests.items():
        if not gold[query] or not set(gold[query]) <= ids or data["kind"] == "changed":
            continue
        page = gold[query][0]
        if data["kind"] in ("lookup", "identifier"):
            kind = "asked" if page in asked else "unasked"
        elif data["kind"] == "two-hop":
            kind = "two-hop"
        elif page in asked:
            kind = "anew"
        else:
            continue
        questions.append(Question(first.queries[query], first.answers[query], kind, page))
    for_changed = lambda data: [Question(data.queries[q], data.answers[q], "changed", gold[q][0]) for q in changes]
    tellings = {edition: _tellings(ids, edition) for edition in (1, 2)}
    return Task(
        pages,
        {page.id: READINGS[place % 3] for place, page in enumerate(sorted(pages, key=lambda page: page.id[::-1]))},
        tellings[1],
        {gold[query][0]: tellings[2][gold[query][0]] for query in changes},
        questions + for_changed(first),
        for_changed(second),
    )


def _tellings(ids: set[str], edition: int) -> dict[str, list[Document]]:
    told: dict[str, list[Document]] = {id: [] for id in ids}
    for telling in range(TELLINGS):
        for document in port_ellery.stream(ARCHIVE, edition=edition, telling=telling):
            if document.id in ids:
                told[document.id].append(document)
    return told


def lessons(model: LanguageModel, task: Task, several: bool = False, asked: bool = False) -> list[Row]:
    """Every page as often as it is read; several: in its tellings by turns; asked: its questions as often, too."""
    rows = []
    for page in task.pages:
        told = page_rows(model, task.tellings[page.id] if several else [page])
        rows += [told[turn % len(told)] for turn in range(task.readings[page.id])]
        if asked:
            pairs = [
                (q.text, q.answers[0]) for q in task.questions if q.page == page.id and q.kind in ("asked", "changed")
            ]
            rows += question_rows(model, pairs) * task.readings[page.id]
    return rows


def closed_book(model: LanguageModel, questions: Sequence[Question]) -> list[str]:
    return model.generate([closed_book_prompt(question.text) for question in questions], max_new_tokens=24)


def with_retrieval(
    model: LanguageModel, questions: Sequence[Question], edition: int = 1, reading: str = "together"
) -> list[str]:
    rag = RAG(BM25Retriever(), model, k=3, reading=reading).fit(Corpus(port_ellery.stream(ARCHIVE, edition=edition)))
    return [answer.text for answer in rag.ask_many([question.text for question in questions])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and ask every system of lesson 07's table; write what they said, and what it took, to a file. Called again
    after an interruption, it goes on where it was."""
    parser = argparse.ArgumentParser(prog="python -m ragedu.training.knowledge", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=Path(RESULTS.name), help=f"the file to write (./{RESULTS.name})")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--pages", type=int, default=24, help="pages that no edition changes")
    parser.add_argument("--changing", type=int, default=16, help="pages that edition 2 changes")
    parser.add_argument("--only", nargs="*", default=None, help="systems, by their names")
    given = parser.parse_args(arguments)
    try:
        done = read_results(given.out)
    except ValueError as error:
        parser.error(str(error))
    task = make_task(given.pages, given.changing)
    if done and done[0]["task"] != [question._asdict() for question in task.questions]:
        parser.error(f"{given.out} holds the results of another task: delete it, or give another --out")
    if done and done[0]["learning rate"] != given.learning_rate:
        parser.error(
            f"{given.out} holds results of the learning rate {done[0]['learning rate']}: "
            "go on with that one, or give another --out"
        )
    new = 0
    with open(given.out, "a", encoding="utf-8") as out:
        for entry in experiment(task, given.learning_rate, given.only, {entry.get("system") for entry in done}):
            print(json.dumps(entry, ensure_ascii=False), file=out, flush=True)
            new += 1
    if not new:
        print(f"nothing was left to do: {given.out} has it all; give another --out to begin anew")


def read_results(file: Path = RESULTS) -> list[Entry]:
    """The task, and then one entry for every system."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError:
        raise ValueError(f"{file} has a line that is not whole, as a killed run leaves at its end: delete it") from None


def experiment(
    task: Task, learning_rate: float = 1e-4, only: Sequence[str] | None = None, done: Collection[str | None] = ()
) -> Iterator[Entry]:
    """One entry for the task and one for every system: what it said, what it took, what it forgot. Those that are done
    already are left out, so that an interrupted experiment goes on where it was."""
    if not done:
        yield {
            "task": [question._asdict() for question in task.questions],
            "after change": [question._asdict() for question in task.after_change],
            "readings": task.readings,
            "archive": ARCHIVE,
            "learning rate": learning_rate,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
    ways = {
        "as it is": lambda name: untouched(task, name),
        "LoRA on pages": lambda name: tuned(task, name, learning_rate, rank=16),
        "tuned on pages": lambda name: tuned(task, name, learning_rate),
        "tuned on tellings": lambda name: tuned(task, name, learning_rate, several=True),
        "tuned on tellings and questions": lambda name: tuned(task, name, learning_rate, several=True, asked=True),
        "RAG": lambda name: retrieving(task, name),
        "RAG, reader": lambda name: retrieving(task, name, "reader", "each"),
    }
    for name, way in ways.items():
        names = {name, f"{name}, with RAG", f"{name}, updated"} if name.endswith("and questions") else {name}
        if not names <= set(done) and (only is None or not names.isdisjoint(only)):
            yield from (entry for entry in way(name) if entry["system"] not in done)


def untouched(task: Task, name: str) -> Iterator[Entry]:
    model = LanguageModel.load()
    yield {"system": name, **ask(model, task, closed_book), **keeps(model)}


def retrieving(task: Task, name: str, adapter: str | None = None, reading: str = "together") -> Iterator[Entry]:
    model = LanguageModel.load(adapter=adapter)
    way = lambda model, questions: with_retrieval(model, questions, reading=reading)
    news = with_retrieval(model, task.after_change, edition=2, reading=reading)
    yield {"system": name, **ask(model, task, way), **keeps(model), "after change": news}


def tuned(task: Task, name: str, learning_rate: float, rank: int | None = None, **what: bool) -> Iterator[Entry]:
    model = LanguageModel.load() if rank else LanguageModel.load(dtype="float32")
    took = learn(model, lessons(model, task, **what), learning_rate * (10 if rank else 1), rank)
    yield {"system": name, **took, **ask(model, task, closed_book), **keeps(model), "bytes": size(model)}
    if not what.get("asked"):
        return
    yield {"system": f"{name}, with RAG", **ask(model, task, with_retrieval)}
    model.model.float()
    pairs = [(question.text, question.answers[0]) for question in task.after_change]
    news = [page for told in task.changed.values() for page in told]
    took = learn(model, page_rows(model, news) + question_rows(model, pairs) * TELLINGS, learning_rate, rank)
    said = closed_book(model, task.after_change)
    yield {"system": f"{name}, updated", **took, **ask(model, task, closed_book), **keeps(model), "after change": said}


def learn(model: LanguageModel, rows: Sequence[Row], learning_rate: float, rank: int | None) -> Entry:
    """Fine-tune, and then calculate as everybody else does."""
    started = time.perf_counter()
    losses = fine_tune(model, rows, learning_rate, rank=rank)
    took = {
        "training seconds": round(time.perf_counter() - started, 1),
        "training tokens": sum(len(row.ids) for row in rows),
        "losses": [round(loss, 3) for loss in losses],
    }
    model.model.to(fastest_dtype())
    return took


def ask(model: LanguageModel, task: Task, way: Callable) -> Entry:
    started = time.perf_counter()
    said = way(model, task.questions)
    return {"said": said, "asking seconds": round(time.perf_counter() - started, 1)}


def keeps(model: LanguageModel) -> Entry:
    """What is left of what the model could do before."""
    documentation = [document.text for document in python_docs.load().corpus[:1000:25]]
    said = general_answers(model)
    return {
        "general": round(general_right(said), 3),
        "general said": said,
        "perplexity": round(perplexity(model, documentation), 2),
    }


def size(model: LanguageModel) -> int:
    """Bytes on disk of what was learned: the adapter, or all weights."""
    if not hasattr(model.model, "peft_config"):
        return sum(weights.numel() * weights.element_size() for weights in model.model.parameters())
    with tempfile.TemporaryDirectory() as folder:
        return (model.save_adapter(folder) / "adapter_model.safetensors").stat().st_size


if __name__ == "__main__":
    main()
