"""Train a language model to read: to answer from the sources in its prompt, with a few words or not at all.

The recipe is LoRA (Hu et al. 2021). The model's own weights W stay as they are; beside each projection of attention
a product B A of two thin matrices is learned and added, W + (alpha / rank) B A. B begins as zeros, so training begins
with exactly the model that one has. The loss is the cross-entropy of the answer's tokens alone: the prompt is read,
and nothing is to be learned from it by heart.

    model = LanguageModel.load()
    losses = train(model, examples(archive(), 240))     # a minute or two on a laptop
    model.generate(prompt)
    save_adapter(model, "my-reader")                    # LanguageModel.load(adapter="my-reader")

The adapter that comes with ragedu, `LanguageModel.load(adapter="reader")`, is the same recipe run for longer, and in
its last stages beside the matrices of the MLPs as well:

    python -m ragedu.training.reader
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from tqdm.auto import tqdm
from transformers import AttentionInterface

from ragedu.corpus import Document
from ragedu.evaluation.answers import abstention_scores, answer_scores
from ragedu.generation.language_model import LanguageModel, find_adapter
from ragedu.generation.prompts import ABSTAIN
from ragedu.rag import RAG
from ragedu.readers import read_squad
from ragedu.retrieval.base import Hit, Hits
from ragedu.training import reading_examples
from ragedu.training.reading_examples import Collection, Example

__all__ = ["ABSTAIN", "Example", "save_adapter", "train"]

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj"]  # of attention, by the names that Llama's relatives have
NOT_LEARNED = -100  # the label of a token that is read and not predicted, as in torch's cross_entropy


# ---------------------------------------------------------------------------------------------------------------
# The recipe


def train(
    model: LanguageModel,
    examples: Sequence[Example | tuple[str, str]],
    steps: int = 60,
    batch_size: int = 4,
    learning_rate: float = 1e-3,
    rank: int = 8,
    seed: int = 0,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train `model` in place on (prompt, answer) pairs; returns the loss of each step (nats a token of the answers).

    Every step takes `batch_size` examples (neighbours in the list that differ in the question alone count as one, and
    their sources are read once); when all have been seen they are shuffled anew. The learning rate rises
    during the first twentieth of the steps and then falls to 0 along a cosine. Training a model that was trained
    before goes on with its adapter (`rank` is then not looked at). Interrupting keeps what has been learned.
    after_step(step, loss) is called after each step, counted from 1.

    On one machine the same seed gives the same losses. Raises ValueError for no or empty examples, for numbers below
    1, and when prompt and answer exceed the model's context.
    """
    for number, what in [(steps, "steps"), (batch_size, "batch_size"), (rank, "rank")]:
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{what} must be a whole number, at least 1, not {number!r}")
    rows = pack([tokens(model, *example) for example in examples])
    if not rows:
        raise ValueError("there are no examples to learn from: give a list of (prompt, answer) pairs")
    add_lora(model, rank, seed)
    return fit(model, rows, steps, batch_size, learning_rate, seed, after_step)


def fit(
    model: LanguageModel,
    rows: Sequence[Row],
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
    after_step: Callable[[int, float], None] | None = None,
    mixed: bool = False,
) -> list[float]:
    """The loop of `train`, for all weights of the model that are free to learn. mixed: calculate in bfloat16 with
    weights in float32, which keep what a small step adds to them."""
    usual_attention = model.model.config._attn_implementation
    if model.model.device.type == "cpu" and (mixed or model.model.dtype == torch.bfloat16):
        model.model.set_attn_implementation(WRITTEN_OUT)
    learned = [weights for weights in model.model.parameters() if weights.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=learning_rate, weight_decay=0.0, fused=mixed)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_then_cosine(step, steps))
    losses: list[float] = []
    model.model.train()
    try:
        with tqdm(total=steps, unit="step") as progress:
            for batch in batches(rows, steps, batch_size, seed):
                with torch.autocast(model.model.device.type, torch.bfloat16, enabled=mixed):
                    loss = answer_loss(model, batch)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(learned, 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                schedule.step()
                losses.append(loss.item())
                progress.update()
                progress.set_postfix_str(f"loss {sum(losses[-20:]) / len(losses[-20:]):.3f}")
                if after_step is not None:
                    after_step(len(losses), losses[-1])
    finally:
        model.model.eval()
        model.model.set_attn_implementation(usual_attention)
    return losses


def tokens(model: LanguageModel, prompt: str, answer: str) -> tuple[list[int], list[int]]:
    """The token ids of prompt, answer and end, and their labels: the prompt's are NOT_LEARNED.

    The prompt's tokens are those that `generate` reads, so the model is trained on what it will see.
    """
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError(
            f"an example's answer is empty (prompt: {prompt[:60]!r}): use {ABSTAIN!r} where nothing is to be found"
        )
    before = model.encode(prompt)
    after = model.tokenizer(answer, add_special_tokens=False, split_special_tokens=True).input_ids
    after = [*after, model.tokenizer.eos_token_id]
    if len(before) + len(after) > model.context_length:
        raise ValueError(
            f"an example has {len(before) + len(after):,} tokens but the model's context holds "
            f"{model.context_length:,}: shorten its prompt ({prompt[:60]!r}…)"
        )
    return before + after, [NOT_LEARNED] * len(before) + after


def add_lora(model: LanguageModel, rank: int, seed: int) -> None:
    """Put a new adapter beside the projections of attention, unless the model has one; only it can learn."""
    if hasattr(model.model, "peft_config"):
        return
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise ImportError("training needs the package peft: run  pip install peft") from None
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=PROJECTIONS, task_type="CAUSAL_LM")
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a property under its old name
        torch.manual_seed(seed)
        model.model = get_peft_model(model.model, config)


def continue_adapter(model: LanguageModel, adapter: str | Path) -> None:
    """Put a saved adapter beside the projections, ready for `train` to go on with it: a folder, or the name of one that
    comes with ragedu. (`LanguageModel.load(adapter=…)` merges it into the weights, where it can't be told apart.)"""
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model.model = PeftModel.from_pretrained(model.model, str(find_adapter(adapter)), is_trainable=True)


def warmup_then_cosine(step: int, steps: int) -> float:
    """What share of the learning rate step number `step`, counted from 0, uses."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def batches(rows: Sequence[Row], steps: int, batch_size: int, seed: int) -> Iterable[list[Row]]:
    """`steps` batches, drawn without repetition until all rows have been used.

    Rows are batched with others of about their length (out of 16 batches shuffled together), because short rows
    must be filled up with padding to the longest, and padding costs as much time as text.
    """
    dice, made = Random(seed), 0
    while True:
        order = sorted(range(len(rows)), key=lambda _: dice.random())
        for start in range(0, len(order), 16 * batch_size):
            some = sorted(order[start : start + 16 * batch_size], key=lambda row: len(rows[row].ids))
            cuts = sorted(range(0, len(some), batch_size), key=lambda _: dice.random())
            for cut in cuts:
                yield [rows[row] for row in some[cut : cut + batch_size]]
                made += 1
                if made == steps:
                    return


class Row(NamedTuple):
    """One example, or several that begin alike: token ids, labels, positions, and branch, which is 0 for what all of
    them share and 1, 2, … for what belongs to the first, the second, … alone."""

    ids: list[int]
    labels: list[int]
    positions: list[int]
    branch: list[int]


def pack(rows: Sequence[tuple[list[int], list[int]]]) -> list[Row]:
    """Join neighbours that ask about the same sources, so that the sources are read once for all their questions."""
    groups: list[list] = []
    for row in rows:
        if groups and shared_beginning([groups[-1][0], row]) > len(row[0]) / 2:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [join(group) for group in groups]


def shared_beginning(rows: Sequence[tuple[list[int], list[int]]]) -> int:
    """How many tokens are the same at the beginning of all; the last token before an answer is never counted."""
    before_answer = min(next(n for n, label in enumerate(labels) if label != NOT_LEARNED) for _, labels in rows)
    same = takewhile(lambda column: len(set(column)) == 1, zip(*(ids for ids, _ in rows), strict=False))
    return min(before_answer - 1, sum(1 for _ in same))


def join(rows: Sequence[tuple[list[int], list[int]]]) -> Row:
    """A tree written as one row: the shared beginning, then each row's own rest, which begins at the same position."""
    shared = shared_beginning(rows)
    ids, labels = rows[0][0][:shared], [NOT_LEARNED] * shared
    positions, branch = list(range(shared)), [0] * shared
    for number, (own_ids, own_labels) in enumerate(rows, start=1):
        ids, labels = ids + own_ids[shared:], labels + own_labels[shared:]
        positions += range(shared, len(own_ids))
        branch += [number] * (len(own_ids) - shared)
    return Row(ids, labels, positions, branch)


def answer_loss(model: LanguageModel, batch: Sequence[Row]) -> torch.Tensor:
    """Mean cross-entropy of the answers' tokens, each given all that stands before it in its own example."""
    logits, learned, _ = answer_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits, learned)


def answer_logits(model: LanguageModel, batch: Sequence[Row]) -> tuple[torch.Tensor, ...]:
    """For every token that is to be learned, row by row: the logits in its place (n, vocabulary), the token itself, and
    the branch of its row that it stands in, each (n,).

    Logits of 49,152 possible tokens are computed behind the few tokens that are learned, and not behind all the
    hundreds of the prompt, which would take most of the memory and a third of the time.
    """
    width = max(len(row.ids) for row in batch)
    fill = lambda rows, filler: torch.tensor([row + [filler] * (width - len(row)) for row in rows])
    ids, labels, positions, branch = (
        fill(rows, filler).to(model.model.device)
        for rows, filler in zip(zip(*batch, strict=True), (0, NOT_LEARNED, 0, -1), strict=True)
    )
    # A token looks at what stands before it and is shared or in its own branch.
    visible = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    visible &= torch.ones_like(visible[0]).tril()
    lowest = torch.finfo(model.model.dtype).min
    mask = torch.zeros(visible.shape, dtype=model.model.dtype, device=ids.device).masked_fill(~visible, lowest)

    whole = model.model.get_base_model() if hasattr(model.model, "peft_config") else model.model
    layers, head = getattr(whole, whole.base_model_prefix), whole.get_output_embeddings()
    states = layers(input_ids=ids, attention_mask=mask[:, None], position_ids=positions, use_cache=False)[0]
    learned = labels[:, 1:] != NOT_LEARNED  # the state behind token i predicts token i + 1
    return head(states[:, :-1][learned]).float(), labels[:, 1:][learned], branch[:, 1:][learned]


def attention(module, query, key, value, attention_mask, scaling, **_) -> tuple[torch.Tensor, None]:
    """softmax(Q K' / sqrt(d) + mask) V, written out, for tensors of (row, head, token, d).

    A fused kernel saves memory by never holding all weights at once. In bfloat16 on a processor torch's is the slower
    way: training takes about three quarters of the time with these three lines.
    """
    key, value = (states.repeat_interleave(module.num_key_value_groups, dim=1) for states in (key, value))
    weights = torch.softmax((query * scaling) @ key.transpose(2, 3) + attention_mask, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), None


WRITTEN_OUT = "ragedu_written_out"
AttentionInterface.register(WRITTEN_OUT, attention)


def save_adapter(model: LanguageModel, folder: str | Path) -> Path:
    """Write the trained adapter in PEFT's format (in float16, 2 bytes a number); returns the folder.

    It is to be loaded on the model that was trained: `LanguageModel.load(model.name, adapter=folder)`.
    Raises ValueError for a model that has not been trained.
    """
    if not hasattr(model.model, "peft_config"):
        raise ValueError("this model has no adapter to save: train it first")
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(model.model, save_embedding_layers=False)
    weights = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in weights.items()}
    unfinished = folder / "adapter_model.tmp"
    unfinished.write_bytes(save(weights, metadata={"format": "pt"}))
    unfinished.replace(folder / "adapter_model.safetensors")
    config = model.model.peft_config["default"]
    trained_on, config.base_model_name_or_path = config.base_model_name_or_path, Path(model.name).name
    for_inference, config.inference_mode = config.inference_mode, True
    config.save_pretrained(folder)
    config.base_model_name_or_path, config.inference_mode = trained_on, for_inference
    return folder


# ---------------------------------------------------------------------------------------------------------------
# How well does it read?


class TestQuestion(NamedTuple):
    """What is asked, of which sources, and the acceptable answers (none: it is unanswerable)."""

    text: str
    sources: list[Document]
    answers: list[str]


def test_sets(number: int, squad: Sequence[Path] = ()) -> dict[str, list[TestQuestion]]:
    """Sets of at most `number` questions that have nothing to do with the training text: other entities, other
    phrasings, other domains, other libraries. squad: files in SQuAD's format to be read besides."""
    archive = reading_examples.archive(1000, 400, split="test")
    kind = lambda answerable, gold: archive._replace(
        questions=[q for q in archive.questions if bool(q.answer) == answerable and len(q.passages) == gold]
    )
    encyclopaedia = reading_examples.encyclopaedia(80, seed=1, held_out=True)
    told = encyclopaedia._replace(questions=[q for q in encyclopaedia.questions if q.answer])
    untold = encyclopaedia._replace(questions=[q for q in encyclopaedia.questions if not q.answer])
    documentation, stories = reading_examples.documentation(True), reading_examples.stories(True)
    return {
        "port-ellery": test_questions(kind(True, 1), number, sources=5),
        "port-ellery-unanswerable": test_questions(kind(False, 0), number, sources=5),
        "port-ellery-two-hop": test_questions(kind(True, 2), number // 2, sources=5),
        "unseen-domains": test_questions(told, number, sources=1),
        "unseen-domains-5-sources": test_questions(told, number, sources=5),
        "unseen-domains-unanswerable": test_questions(untold, number, sources=1),
        "unseen-stories": test_questions(stories, number, sources=1),
        "unseen-documentation": test_questions(documentation, number // 2, sources=1),
        **{path.stem: test_questions(reading_examples.from_dataset(read_squad(path)), number, 1) for path in squad},
    }


def test_questions(collection: Collection, number: int, sources: int) -> list[TestQuestion]:
    """The gold passages with the best of BM25 beside them, in random order."""
    from ragedu.retrieval.bm25 import BM25Retriever

    dice = Random("test")
    retriever = BM25Retriever().fit(collection.corpus)
    made = []
    for question in sorted(collection.questions, key=lambda _: dice.random())[:number]:
        golden = {document.id for document in question.passages}
        hits = [hit.document for hit in retriever.search(question.text, k=sources + len(golden))]
        around = [document for document in hits if document.id not in golden][: max(0, sources - len(golden))]
        shuffled = sorted([*question.passages, *around], key=lambda _: dice.random())
        made.append(TestQuestion(question.text, shuffled, question.acceptable))
    return made


class Given:
    """A retriever that finds what it is given: with it, `RAG` reads the sources of a test."""

    def __init__(self, questions: Sequence[TestQuestion]) -> None:
        self.sources = iter([question.sources for question in questions])

    def search(self, query: str, k: int) -> Hits:
        return Hits(Hit(document, 0.0, rank) for rank, document in enumerate(next(self.sources), start=1))


def evaluate(model: LanguageModel, sets: dict[str, list[TestQuestion]], reading: str = "together") -> dict[str, dict]:
    """Exact match and F1 on each set, and for Port Ellery's answerable and unanswerable questions together also
    how well the model abstains. reading: all sources in one prompt or each in its own, as in `RAG`."""
    figures, everything = {}, ({}, {})
    for name, questions in sets.items():
        said = RAG(Given(questions), model, reading=reading).ask_many([question.text for question in questions])
        predictions = {f"{name}/{n}": answer.text for n, answer in enumerate(said)}
        answers = {f"{name}/{n}": question.answers for n, question in enumerate(questions)}
        figures[name] = {"questions": len(answers), **answer_scores(predictions, answers)}
        if name in ("port-ellery", "port-ellery-unanswerable"):
            everything[0].update(predictions), everything[1].update(answers)
    if everything[1]:
        figures["port-ellery-abstention"] = {"questions": len(everything[1]), **abstention_scores(*everything)}
    return {name: {key: round(value, 3) for key, value in row.items()} for name, row in figures.items()}


# ---------------------------------------------------------------------------------------------------------------
# python -m ragedu.training.reader


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the adapter `reader`: evaluate the model as it is, train it, save the adapter, evaluate that."""
    parser = argparse.ArgumentParser(prog="python -m ragedu.training.reader", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--examples", type=int, default=4400)
    parser.add_argument("--learning-rate", type=float, default=7e-4)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--start", help="an adapter to go on from: a folder, or a name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, …")
    parser.add_argument("--dtype", default=None, help="float32 or bfloat16; what is fastest unless told")
    parser.add_argument("--test-questions", type=int, default=100, help="of each test set; 0 for no evaluation")
    parser.add_argument("--squad", type=Path, nargs="*", default=[], help="SQuAD files to evaluate on as well")
    parser.add_argument("--save-every", type=int, default=50, help="steps")
    parser.add_argument("--out", type=Path, default=Path("reader"), help="the folder to write (./reader)")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)

    started = time.monotonic()
    history = (find_adapter(given.start) / "log.jsonl").read_text("utf-8") if given.start else ""
    with open(given.out / "log.jsonl", "w", encoding="utf-8") as log:
        log.write(history)  # what the adapter went through before belongs to its story

        def note(**entry) -> None:
            if entry.get("evaluation") == {}:
                return  # without test questions, what is on record stays
            entry["seconds"] = round(time.monotonic() - started, 1)
            print(json.dumps(entry, ensure_ascii=False), file=log, flush=True)

        settings = {key: value for key, value in vars(given).items() if key not in ("out", "squad")}
        machine = torch.cuda.get_device_name() if given.device.startswith("cuda") else platform.machine()
        note(settings=settings, torch=torch.__version__, machine=machine, threads=torch.get_num_threads())
        load = lambda **adapter: LanguageModel.load(device=given.device, dtype=given.dtype, **adapter)
        model = load()
        sets = test_sets(given.test_questions, given.squad) if given.test_questions else {}
        note(model="untrained", evaluation=evaluate(model, sets))
        if given.start:
            continue_adapter(model, given.start)
        learned = reading_examples.mixture(given.examples, given.seed)
        note(examples=len(learned), abstaining=sum(answer == ABSTAIN for _, answer in learned))

        def after_step(step: int, loss: float) -> None:
            note(step=step, loss=round(loss, 4))
            if step % given.save_every == 0:
                save_adapter(model, given.out)

        train(
            *(model, learned, given.steps, given.batch_size, given.learning_rate, given.rank, given.seed),
            after_step=after_step,
        )
        save_adapter(model, given.out)
        note(training="finished")
        reader = load(adapter=given.out)  # as people load it: merged, from the file
        note(model="reader", evaluation=evaluate(reader, sets))
        several = {name: some for name, some in sets.items() if len(some[0].sources) > 1}
        note(model="reader, each source alone", evaluation=evaluate(reader, several, "each"))
    lines = (given.out / "log.jsonl").read_text("utf-8").splitlines()
    (given.out / "README.md").write_text(report([json.loads(line) for line in lines]), encoding="utf-8")


def report(log: Sequence[dict]) -> str:
    """What was done and what came of it, for the people who get the adapter: a page made from the lines of its log."""
    stages = []
    for entry in log:
        if "settings" in entry or "changed" in entry:
            stages.append(dict(entry, done=0))
        elif "step" in entry:
            stages[-1]["done"] = entry["step"]
    figures = {entry["model"]: entry["evaluation"] for entry in log if entry.get("evaluation")}
    lines = [
        "# The adapter `reader`\n",
        "LoRA for smollm2-135m, trained to answer with a few words from the sources in the prompt, or with",
        f'"{ABSTAIN}". Losses of all steps and the times are in log.jsonl. Made by:\n',
    ]
    for stage in stages:
        if "changed" in stage:
            lines.append(f"    # then {stage['changed']}")
            continue
        options = {key: value for key, value in stage["settings"].items() if value is not None}
        options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in options.items())
        stopped = f", stopped after step {stage['done']}" if stage["done"] < stage["settings"]["steps"] else ""
        lines.append(
            f"    python -m ragedu.training.reader {options}   # {stage['machine']}, torch {stage['torch']}{stopped}"
        )
    lines += [
        "\nEach stage learned from `reading_examples.mixture` as it was then, and --start names the adapter of the",
        "stage before: to repeat one, take the version of ragedu that made it. Behind each figure stands its number",
        "of questions.",
        f"\n| test set | measure | {' | '.join(figures)} |",
        "|---|---" + "|---" * len(figures) + "|",
    ]
    for name, row in sorted({**figures.get("untrained", {}), **figures.get("reader", {})}.items()):
        for measure in sorted(row.keys() - {"questions"}):
            rows = [of_model.get(name, {}) for of_model in figures.values()]
            values = [f"{its[measure]} ({its['questions']})" if measure in its else "" for its in rows]
            lines.append(f"| {name} | {measure} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
