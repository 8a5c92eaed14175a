"""Put knowledge into a model's weights: fine-tuning on the facts, as the rival of retrieving them.

    model = LanguageModel.load(dtype="float32")       # all weights learn, and learn in small steps
    fine_tune(model, page_rows(model, pages) * 18)    # every page eighteen times
    model(closed_book_prompt("Who keeps the keys of the Bolitho Mill?"))

Lesson 07 does this with a few pages. The same with more pages, and with every rival of its table, takes longer than a
lesson may, so it is done once, and what every system said is kept in knowledge.jsonl next to this file:

    python -m ragedu.training.knowledge      # writes a knowledge.jsonl of your own, here; call again to go on
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.datasets import port_ellery, python_docs
from ragedu.generation.language_model import LanguageModel
from ragedu.generation.loading import fastest_dtype
from ragedu.generation.lora import add_lora, fit
from ragedu.generation.packing import Row, encode_example
from ragedu.generation.prompts import closed_book_prompt
from ragedu.rag import RAG
from ragedu.reading import Reading
from ragedu.retrieval.bm25 import BM25Retriever

Entry = dict[str, Any]  # a line of the results
RESULTS = Path(__file__).with_suffix(".jsonl")
ARCHIVE = 600  # documents among which retrieval has to find what fine-tuning has learned
READINGS = (2, 6, 18)  # how often a rare, a middling and a popular page is learned from
TELLINGS = 6  # paraphrases of a page, where there are several


# ---------------------------------------------------------------------------------------------------------------
# Fine-tuning


def page_rows(model: LanguageModel, pages: Sequence[Document]) -> list[Row]:
    """Pages to be memorised, title and text, every token from those before it."""
    encoded = [[*model.encode(page.content, chat=False), model.tokenizer.eos_token_id] for page in pages]
    return [Row.of_one(ids, ids) for ids in encoded]


def question_rows(model: LanguageModel, questions: Sequence[tuple[str, str]]) -> list[Row]:
    """(question, answer) pairs to be learned without any source; the loss is on the answers."""
    encoded = [encode_example(model, closed_book_prompt(question), answer) for question, answer in questions]
    return [Row.of_one(ids, labels) for ids, labels in encoded]


def fine_tune(
    model: LanguageModel,
    rows: Sequence[Row],
    *,
    learning_rate: float = 1e-4,
    batch_size: int = 4,
    rank: int | None = None,
    seed: int = 0,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train on every row once, in random order; returns the loss of each step (nats a token).

    Parameters
    ----------
    rows
        A row from which the model is to learn six times occurs six times in the list.
    rank
        Of LoRA's matrices. None lets all weights of the model learn, which then must be in float32, since a bfloat16
        has no place for a change of less than a 256th.
    after_step
        after_step(step, loss) is called after each step, counted from 1.

    Raises
    ------
    ValueError
        For no rows, and for all weights of a model that is not in float32.
    """
    if not rows:
        raise ValueError("there is nothing to learn: give page_rows(…) or question_rows(…)")
    if rank is not None:
        add_lora(model, rank, seed)
    elif model.model.dtype != torch.float32:
        raise ValueError(
            f"to train all weights they must be in float32, not {model.model.dtype}: "
            'use LanguageModel.load(dtype="float32")'
        )
    return fit(
        model,
        rows,
        steps=math.ceil(len(rows) / batch_size),
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        mixed=rank is None and fastest_dtype() == torch.bfloat16,
        after_step=after_step,
    )


# ---------------------------------------------------------------------------------------------------------------
# What is asked afterwards


@torch.inference_mode()
def perplexity(model: LanguageModel, texts: Sequence[str], *, longest: int = 200) -> float:
    """exp of the mean surprise (nats) at a token, over the first `longest` tokens of each text."""
    surprise, tokens = 0.0, 0
    for text in texts:
        ids = torch.tensor([model.encode(text, chat=False)[:longest]])
        logits = model.model(ids).logits[0, :-1].float()
        surprise += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        tokens += ids.shape[1] - 1
    return math.exp(surprise / tokens)


def general_questions() -> list[tuple[str, list[str]]]:
    """Questions of general knowledge, each with the words of which the answer must have one."""
    table = tomllib.loads(Path(__file__).with_name("general_questions.toml").read_text("utf-8"))
    return [(question, answers) for question, *answers in table["questions"]]


def general_answers(model: LanguageModel) -> list[str]:
    """What the model answers to the general questions."""
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


class KnowledgeQuestion(NamedTuple):
    """A question whose answer a page of the task has.

    kind: "asked" (in training, in these words), "unasked" (as plain, of a page that was learned and never asked about),
    "anew" (a paraphrase of an asked question), "two-hop", "changed" (in edition 2); page: the one that holds the answer
    (the first of two).
    """

    text: str
    answers: list[str]
    kind: str
    page: str


class Task(NamedTuple):
    """What the models learn, and what is asked about it afterwards.

    pages: those to be learned; readings: how often each, by its id; tellings: paraphrases of each, by its id; changed:
    the same for those that edition 2 states differently; after_change: the questions about these, with the new answers.
    """

    pages: list[Document]
    readings: dict[str, int]
    tellings: dict[str, list[Document]]
    changed: dict[str, list[Document]]
    questions: list[KnowledgeQuestion]
    after_change: list[KnowledgeQuestion]


def make_task(*, unchanged: int = 24, changing: int = 16) -> Task:
    """Pages of the test split, which the adapter `reader` has never seen; training asks about every second one."""
    first = port_ellery.load(ARCHIVE, questions=100_000)
    second = port_ellery.load(ARCHIVE, edition=2, questions=100_000)
    tests = {query: data for query, data in first.metadata.items() if data["split"] == "test"}
    page_of = {query: next(iter(first.qrels[query])) for query in tests if first.qrels.get(query)}
    about_changes = [query for query, data in tests.items() if data["kind"] == "changed"]
    may_change = {page_of[query] for query in about_changes}
    chosen = sorted(about_changes, key=lambda query: first.corpus.position(page_of[query]))[:changing]

    own = [d for d in first.corpus if d.metadata["split"] == "test" and d.id not in may_change][:unchanged]
    pages = own + [first.corpus[page_of[query]] for query in chosen]
    in_mixed_order = sorted(pages, key=lambda page: page.id[::-1])  # every kind of page is learned more and less often
    readings = {page.id: READINGS[place % 3] for place, page in enumerate(in_mixed_order)}
    ids = {page.id for page in pages}
    tellings, new_tellings = _tellings(ids, edition=1), _tellings(ids, edition=2)
    changed = {page_of[query]: new_tellings[page_of[query]] for query in chosen}

    asked_pages = {document.id for document in own[::2]}
    questions = []
    for query, data in tests.items():
        kind = _kind(data["kind"], page_of.get(query) in asked_pages)
        if kind and query in page_of and set(first.qrels[query]) <= ids:
            questions.append(_question(first, query, kind))
    questions += [_question(first, query, "changed") for query in chosen]
    after_change = [_question(second, query, "changed") for query in chosen]
    return Task(pages, readings, tellings, changed, questions, after_change)


def _kind(kind: str, asked: bool) -> str | None:
    """The kind of a question here, from its kind in Port Ellery and whether training asks about its page; None for a
    question that is not used."""
    if kind in ("lookup", "identifier"):
        return "asked" if asked else "unasked"
    if kind == "two-hop":
        return "two-hop"
    return "anew" if asked and kind != "changed" else None


def _question(dataset: Dataset, query: str, kind: str) -> KnowledgeQuestion:
    page = next(iter(dataset.qrels[query]))
    return KnowledgeQuestion(dataset.queries[query], list(dataset.answers[query]), kind, page)


def _tellings(ids: set[str], edition: int) -> dict[str, list[Document]]:
    told: dict[str, list[Document]] = {id: [] for id in ids}
    for telling in range(TELLINGS):
        for document in port_ellery.stream(ARCHIVE, edition=edition, telling=telling):
            if document.id in ids:
                told[document.id].append(document)
    return told


def lessons(model: LanguageModel, task: Task, *, several: bool = False, asked: bool = False) -> list[Row]:
    """Every page as often as it is learned from; several: in its paraphrases by turns; asked: its questions as often,
    too."""
    rows = []
    for page in task.pages:
        told = page_rows(model, task.tellings[page.id] if several else [page])
        rows += [told[turn % len(told)] for turn in range(task.readings[page.id])]
        if asked:
            about = [q for q in task.questions if q.page == page.id and q.kind in ("asked", "changed")]
            pairs = [(question.text, question.answers[0]) for question in about]
            rows += question_rows(model, pairs) * task.readings[page.id]
    return rows


def closed_book(model: LanguageModel, questions: Sequence[KnowledgeQuestion]) -> list[str]:
    """The model's answers without any source."""
    return model.generate([closed_book_prompt(question.text) for question in questions], max_new_tokens=24)


def with_retrieval(
    model: LanguageModel, questions: Sequence[KnowledgeQuestion], *, edition: int = 1, reading: Reading = "together"
) -> list[str]:
    """The model's answers from the three best sources of BM25."""
    rag = RAG(BM25Retriever(), model, k=3, reading=reading).fit(Corpus(port_ellery.stream(ARCHIVE, edition=edition)))
    return [answer.text for answer in rag.ask_many([question.text for question in questions])]


def main(arguments: Sequence[str]) -> None:
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
        done = read_results(file=given.out)
    except ValueError as error:
        parser.error(str(error))
    task = make_task(unchanged=given.pages, changing=given.changing)
    if done and done[0]["task"] != [question._asdict() for question in task.questions]:
        parser.error(f"{given.out} holds the results of another task: delete it, or give another --out")
    if done and done[0]["learning rate"] != given.learning_rate:
        parser.error(
            f"{given.out} holds results of the learning rate {done[0]['learning rate']}: "
            "go on with that one, or give another --out"
        )
    names = {entry.get("system") for entry in done}
    new = 0
    with open(given.out, "a", encoding="utf-8") as out:
        for entry in experiment(task, learning_rate=given.learning_rate, only=given.only, done=names):
            print(json.dumps(entry, ensure_ascii=False), file=out, flush=True)
            new += 1
    if not new:
        print(f"nothing was left to do: {given.out} has it all; give another --out to begin again")


def read_results(*, file: Path = RESULTS) -> list[Entry]:
    """The task, and then one entry for every system. Raises ValueError for a truncated line."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError:
        raise ValueError(f"{file} has a truncated line, as a killed run leaves at its end: delete it") from None


def experiment(
    task: Task, *, learning_rate: float = 1e-4, only: Sequence[str] | None = None, done: Collection[str | None] = ()
) -> Iterator[Entry]:
    """One entry for the task and one for every system: what it said, what it took, what it forgot.

    only: names of systems, by default all; done: names of those that are omitted, so that an interrupted experiment
    goes on where it was.
    """
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
        "RAG, reader": lambda name: retrieving(task, name, adapter="reader", reading="each"),
    }
    for name, way in ways.items():
        names = {name, f"{name}, with RAG", f"{name}, updated"} if name.endswith("and questions") else {name}
        if not names <= set(done) and (only is None or not names.isdisjoint(only)):
            yield from (entry for entry in way(name) if entry["system"] not in done)


def untouched(task: Task, name: str) -> Iterator[Entry]:
    """The model as it is."""
    model = LanguageModel.load()
    yield {"system": name, **ask(model, task, closed_book), **keeps(model)}


def retrieving(task: Task, name: str, *, adapter: str | None = None, reading: Reading = "together") -> Iterator[Entry]:
    """The model with retrieval, before and after edition 2 has replaced the pages."""
    model = LanguageModel.load(adapter=adapter)
    way = partial(with_retrieval, reading=reading)
    news = with_retrieval(model, task.after_change, edition=2, reading=reading)
    yield {"system": name, **ask(model, task, way), **keeps(model), "after change": news}


def tuned(task: Task, name: str, learning_rate: float, *, rank: int | None = None, **what: bool) -> Iterator[Entry]:
    """The model fine-tuned on its lessons; one that learned from questions too is also asked with retrieval, and then
    updated to edition 2. what: the options of `lessons`."""
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
    """Fine-tune, and then calculate as everybody else does; returns what it took."""
    started = time.perf_counter()
    losses = fine_tune(model, rows, learning_rate=learning_rate, rank=rank)
    took = {
        "training seconds": round(time.perf_counter() - started, 1),
        "training tokens": sum(len(row.ids) for row in rows),
        "losses": [round(loss, 3) for loss in losses],
    }
    model.model.to(fastest_dtype())
    return took


def ask(model: LanguageModel, task: Task, way: Callable[..., list[str]]) -> Entry:
    """What the model says to the task's questions in one of the ways of asking, and how long that takes."""
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
    main(sys.argv[1:])
