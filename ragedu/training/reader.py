"""The adapter `reader`: how it is trained to answer from the sources in its prompt, and how well it does.

The adapter that comes with ragedu, `LanguageModel.load(adapter="reader")`, went through ten stages. The first ran on a
graphics card, with LoRA of rank 16 next to the projections of attention alone; three shorter ones followed on a CPU.
Then a script that was not kept reduced the rank to 6 and put an adapter of rank 6 next to the matrices of the MLPs as
well, and six more stages trained all of these. So no single command makes it again. The README.md and the log.jsonl of
ragedu/adapters/reader have the settings, the losses and the machine of every stage.

One call is one stage, of LoRA next to attention or, with --start, of whatever matrices that adapter has:

    python -m ragedu.training.reader --out first
    python -m ragedu.training.reader --start ./first --out second
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch

from ragedu.corpus import Document
from ragedu.evaluation.answers import abstention_scores, answer_scores
from ragedu.generation.language_model import LanguageModel
from ragedu.generation.loading import find_adapter
from ragedu.generation.lora import continue_adapter, save_adapter, train
from ragedu.generation.prompts import ABSTAIN
from ragedu.optimise import shuffled
from ragedu.rag import RAG
from ragedu.readers import read_squad
from ragedu.reading import Reading
from ragedu.retrieval.base import Hit, Hits
from ragedu.retrieval.bm25 import BM25Retriever
from ragedu.training import reading_examples
from ragedu.training.reading_examples import Collection, ReadingQuestion

DOUBT = 0.1  # the limit that is saved with the adapter; ABOUT_DOUBT says why
ABOUT_DOUBT = """\
The limit of doubt, 0.1 (in ragedu.json), was chosen for the adapter that comes with ragedu, on 135 questions of Port
Ellery's training split, of which a third have no answer. Of the limits tried it is the lowest that costs at most one
right answer in a hundred (exact match .911 of .922, F1 of abstaining .918). A lower limit abstains more: .833 and .896
at .02. A higher one abstains less: .922 and .861 at .25."""

Figures = dict[str, dict[str, float]]  # test set -> measure -> value


# ---------------------------------------------------------------------------------------------------------------
# How well does it read?


class HeldOutQuestion(NamedTuple):
    """What is asked, of which sources, and the acceptable answers (none: it is unanswerable)."""

    text: str
    sources: list[Document]
    answers: list[str]


def held_out_sets(number: int, *, squad: Sequence[Path] = ()) -> dict[str, list[HeldOutQuestion]]:
    """Sets of at most `number` questions that have nothing to do with the training text: other entities, other
    phrasings, other domains, other libraries. squad: further files, in SQuAD's format."""
    archive = reading_examples.archive(1000, each=400, split="test")
    encyclopaedia = reading_examples.encyclopaedia(80, seed=1, held_out=True)
    one_page = with_questions(archive, answerable=True, passages=1)
    two_pages = with_questions(archive, answerable=True, passages=2)
    no_page = with_questions(archive, answerable=False, passages=0)
    told = with_questions(encyclopaedia, answerable=True, passages=1)
    untold = with_questions(encyclopaedia, answerable=False, passages=1)
    documentation = reading_examples.documentation(held_out=True)
    stories = reading_examples.stories(held_out=True)
    return {
        "port-ellery": held_out_questions(one_page, number, sources=5),
        "port-ellery-unanswerable": held_out_questions(no_page, number, sources=5),
        "port-ellery-two-hop": held_out_questions(two_pages, number // 2, sources=5),
        "unseen-domains": held_out_questions(told, number, sources=1),
        "unseen-domains-5-sources": held_out_questions(told, number, sources=5),
        "unseen-domains-unanswerable": held_out_questions(untold, number, sources=1),
        "unseen-stories": held_out_questions(stories, number, sources=1),
        "unseen-documentation": held_out_questions(documentation, number // 2, sources=1),
        **{path.stem: held_out_questions(reading_examples.from_dataset(read_squad(path)), number, 1) for path in squad},
    }


def with_questions(collection: Collection, *, answerable: bool, passages: int) -> Collection:
    """The collection with only those questions that have an answer, or none, and that many gold passages."""

    def wanted(question: ReadingQuestion) -> bool:
        return bool(question.answer) == answerable and len(question.passages) == passages

    return reading_examples.with_questions(collection, wanted)


def held_out_questions(collection: Collection, number: int, sources: int) -> list[HeldOutQuestion]:
    """The gold passages with the best of BM25 around them, in random order."""
    dice = Random("test")
    retriever = BM25Retriever().fit(collection.corpus)
    made = []
    for question in shuffled(collection.questions, dice)[:number]:
        golden = {document.id for document in question.passages}
        hits = [hit.document for hit in retriever.search(question.text, k=sources + len(golden))]
        around = [document for document in hits if document.id not in golden][: max(0, sources - len(golden))]
        made.append(HeldOutQuestion(question.text, shuffled([*question.passages, *around], dice), question.acceptable))
    return made


class GivenSources:
    """A retriever that finds the sources which come with a question, so that `RAG` answers the questions of a test."""

    def __init__(self, questions: Sequence[HeldOutQuestion]) -> None:
        self.sources: dict[str, deque[list[Document]]] = defaultdict(deque)
        for question in questions:
            self.sources[question.text].append(question.sources)

    def search(self, query: str, k: int = 10) -> Hits:
        """All of its sources. A text that is asked of several lists of sources finds the next one each time."""
        sources = self.sources[query].popleft()
        return Hits(Hit(document, 0.0, rank) for rank, document in enumerate(sources, start=1))


def evaluate(
    model: LanguageModel,
    sets: dict[str, list[HeldOutQuestion]],
    *,
    reading: Reading = "together",
    doubt: float | None = None,
) -> Figures:
    """Exact match and F1 on each set, and for Port Ellery's answerable and unanswerable questions together also
    how well the model abstains.

    reading: all sources in one prompt or each in its own, as in `RAG`; doubt: the limit for "each", by default the
    model's.
    """
    figures: Figures = {}
    all_replies: dict[str, str] = {}  # to Port Ellery's questions
    all_answers: dict[str, list[str]] = {}
    for name, questions in sets.items():
        rag = RAG(GivenSources(questions), model, reading=reading, doubt=doubt)
        asked = rag.ask_many([question.text for question in questions])
        replies = {f"{name}/{n}": answer.text for n, answer in enumerate(asked)}
        answers = {f"{name}/{n}": question.answers for n, question in enumerate(questions)}
        figures[name] = {"questions": len(answers), **answer_scores(replies, answers)}
        if name in ("port-ellery", "port-ellery-unanswerable"):
            all_replies |= replies
            all_answers |= answers
    if all_answers:
        scores = abstention_scores(all_replies, all_answers)
        figures["port-ellery-abstention"] = {"questions": len(all_answers), **scores}
    return {name: {measure: round(value, 3) for measure, value in row.items()} for name, row in figures.items()}


# ---------------------------------------------------------------------------------------------------------------
# python -m ragedu.training.reader


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ragedu.training.reader", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--examples", type=int, default=4400)
    parser.add_argument("--learning-rate", type=float, default=7e-4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--start", help="an adapter to go on from: a folder, or a name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, …")
    parser.add_argument("--dtype", default=None, help="float32 or bfloat16; by default what is fastest")
    parser.add_argument("--test-questions", type=int, default=100, help="of each test set; 0 for no evaluation")
    parser.add_argument("--squad", type=Path, nargs="*", default=[], help="SQuAD files to evaluate on as well")
    parser.add_argument("--save-every", type=int, default=50, help="steps")
    parser.add_argument("--out", type=Path, default=Path("reader"), help="the folder to write (./reader)")
    return parser


def main(arguments: Sequence[str]) -> None:
    """Train the adapter `reader`: evaluate the model as it is, train it, save the adapter, evaluate that."""
    given = make_parser().parse_args(arguments)
    log = begin_log(given)
    load = partial(LanguageModel.load, device=given.device, dtype=given.dtype)
    sets = held_out_sets(given.test_questions, squad=given.squad) if given.test_questions else {}

    model = load()
    log.note_figures("untrained", evaluate(model, sets))
    train_reader(model, given, log)

    reader = load(adapter=given.out)  # as people load it: merged, from the file
    log.note_figures("reader", evaluate(reader, sets))
    several = {name: questions for name, questions in sets.items() if len(questions[0].sources) > 1}
    log.note_figures("reader, each source alone", evaluate(reader, several, reading="each", doubt=DOUBT))
    (given.out / "README.md").write_text(report(log.entries()), encoding="utf-8")


def begin_log(given: argparse.Namespace) -> Log:
    """The log in the folder that is written. It begins with what the adapter went through before."""
    history = (find_adapter(given.start) / "log.jsonl").read_text("utf-8") if given.start else ""
    given.out.mkdir(parents=True, exist_ok=True)
    log = Log(given.out / "log.jsonl", history)
    settings = {key: value for key, value in vars(given).items() if key not in ("out", "squad")}
    machine = torch.cuda.get_device_name() if given.device.startswith("cuda") else platform.machine()
    log.note(settings=settings, torch=torch.__version__, machine=machine, threads=torch.get_num_threads())
    return log


def train_reader(model: LanguageModel, given: argparse.Namespace, log: Log) -> None:
    """Train on a mixture of examples; log every loss, and save the adapter now and then and at the end."""
    if given.start:
        continue_adapter(model, given.start)
    examples = reading_examples.mixture(given.examples, seed=given.seed)
    log.note(examples=len(examples), abstaining=sum(answer == ABSTAIN for _, answer in examples))

    def after_step(step: int, loss: float) -> None:
        log.note(step=step, loss=round(loss, 4))
        if step % given.save_every == 0:
            save_adapter(model, given.out, doubt=DOUBT)

    train(
        model,
        examples,
        given.steps,
        batch_size=given.batch_size,
        learning_rate=given.learning_rate,
        rank=given.rank,
        seed=given.seed,
        after_step=after_step,
    )
    save_adapter(model, given.out, doubt=DOUBT)
    log.note(training="finished")


class Log:
    """What was done and what came of it: a file with one JSON object a line, which begins with its history."""

    def __init__(self, file: Path, history: str) -> None:
        self.file, self.started = file, time.monotonic()
        file.write_text(history, encoding="utf-8")

    def note(self, **entry: Any) -> None:
        """Add a line, with the seconds since the log was begun."""
        entry["seconds"] = round(time.monotonic() - self.started, 1)
        with open(self.file, "a", encoding="utf-8") as file:
            print(json.dumps(entry, ensure_ascii=False), file=file)

    def note_figures(self, model: str, figures: Figures) -> None:
        """Add an evaluation. Without test questions there is none, and the one on record stays."""
        if figures:
            self.note(model=model, evaluation=figures)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()]


def report(log: Sequence[dict[str, Any]]) -> str:
    """The page for the people who get the adapter, made from the entries of its log."""
    figures = {entry["model"]: entry["evaluation"] for entry in log if entry.get("evaluation")}
    lines = [
        "# The adapter `reader`\n",
        "LoRA for smollm2-135m, trained to answer with a few words from the sources in the prompt, or with",
        f'"{ABSTAIN}". Losses of all steps and the times are in log.jsonl. Made by:\n',
        *(f"    {stage}" for stage in stages(log)),
        "\nEach stage learned from `reading_examples.mixture` as it was then, and --start names the adapter of the",
        "stage before: to repeat one, take the version of ragedu that made it.",
        f"\n{ABOUT_DOUBT}",
        "\nThe number of questions is in parentheses.\n",
        *table(figures),
    ]
    return "\n".join(lines) + "\n"


def stages(log: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The command of each training, and what was changed by other means in between."""
    for number, entry in enumerate(log):
        if "changed" in entry:
            yield f"# then {entry['changed']}"
        if "settings" in entry:
            options = {key: value for key, value in entry["settings"].items() if value is not None}
            command = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
            done = steps_done(log[number + 1 :])
            stopped = f", stopped after step {done}" if done < entry["settings"]["steps"] else ""
            yield f"python -m ragedu.training.reader {command}   # {entry['machine']}, torch {entry['torch']}{stopped}"


def steps_done(later: Sequence[dict[str, Any]]) -> int:
    """The last step that was logged before the next stage begins."""
    done = 0
    for entry in later:
        if "settings" in entry or "changed" in entry:
            break
        done = entry.get("step", done)
    return done


def table(figures: dict[str, Figures]) -> Iterator[str]:
    """A line for each measure of each test set, a column for each model, in Markdown."""
    yield f"| test set | measure | {' | '.join(figures)} |"
    yield "|---|---" + "|---" * len(figures) + "|"
    for name, row in sorted({**figures.get("untrained", {}), **figures.get("reader", {})}.items()):
        for measure in sorted(row.keys() - {"questions"}):
            rows = [of_model.get(name, {}) for of_model in figures.values()]
            values = [f"{its[measure]} ({its['questions']})" if measure in its else "" for its in rows]
            yield f"| {name} | {measure} | {' | '.join(values)} |"


if __name__ == "__main__":
    main(sys.argv[1:])
