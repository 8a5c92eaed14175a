"""Train a dense retriever: draw each question's vector to that of its passage and push it away from other passages.

The loss is InfoNCE (van den Oord et al. 2018, equation 4) with the negatives that are there for nothing: in a batch of
questions with their passages, every passage is a wrong one for all questions but its own (Karpukhin et al. 2020,
section 3.2). To these come hard negatives, passages that look right and are wrong: the best of BM25 among those that
do not answer.

    dataset = port_ellery.load(1000).select(split="train")
    retriever = DenseRetriever()
    losses = retriever.train(hard_negatives(dataset), folder="my-retriever")
    DenseRetriever("my-retriever")      # or SentenceTransformer("my-retriever"): it is a normal folder
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, normalize
from tqdm.auto import tqdm

from ragedu.corpus import Dataset, Document, check_text
from ragedu.retrieval.base import Retriever
from ragedu.retrieval.bm25 import BM25Retriever
from ragedu.retrieval.embeddings import Embedder

__all__ = ["contrastive_loss", "hard_negatives", "train"]

Pair = tuple[str, ...]  # (question, passage) or (question, passage, hard negative)

UNFINISHED = "unfinished-training.safetensors"
TOGETHER = 8  # texts that go through the model at once
SAVE_EVERY = 60  # seconds: what a power cut may cost


# ---------------------------------------------------------------------------------------------------------------
# The recipe


def contrastive_loss(questions: torch.Tensor, passages: torch.Tensor, temperature: float = 0.05) -> torch.Tensor:
    """InfoNCE: how surprised is a question by its own passage, when it chooses among all passages by their cosines?

    questions: (n, dimension); passages: (at least n, dimension). Passage i answers question i; all others, those
    behind the first n too, are negatives. Returns the mean over questions of  -ln softmax(cosines / temperature)  at
    the right place.
    """
    cosines = normalize(questions, dim=-1) @ normalize(passages, dim=-1).T
    right = torch.arange(len(questions), device=questions.device)
    return cross_entropy(cosines / temperature, right)


def train(
    embedder: Embedder,
    pairs: Iterable[Sequence[str | Document]],
    steps: int | None = None,
    batch_size: int = 32,
    learning_rate: float = 1e-4,
    temperature: float = 0.05,
    seed: int = 0,
    folder: str | Path | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train the embedder's model in place on (question, passage) or (question, passage, hard negative); returns the
    loss of each step.

    steps: how many batches; by default as many as it takes to see every pair once. The pairs are shuffled, and shuffled
    anew whenever all have been seen; no text stands twice in a batch, so where many pairs share a passage the batches
    are smaller and more. A pair without a hard negative that would be alone in its batch is left out of that round. The
    learning rate rises during the first tenth of the steps and then falls to 0 in a straight line.

    folder: where the trained model is saved, as sentence-transformers saves models. An interrupted training leaves
    there what it needs to go on (written at least once a minute): call again with the same pairs and settings, and
    the result is the same as without the interruption. With or without a folder, an interrupted model keeps what it
    has learned and can be used.

    after_step(step, loss) is called after each step, counted from 1.

    On one machine the same seed gives the same losses. Raises TypeError or ValueError for pairs that are none, for
    blank texts, for fewer than two pairs in a batch, and for a folder that holds another unfinished training; OSError
    for a folder that cannot be written, before the first step.
    """
    examples = [check_pair(number, pair) for number, pair in enumerate(check_list(pairs))]
    check_settings(steps, batch_size, learning_rate, temperature)
    if steps is None:
        steps = max(1, sum(1 for _ in one_round(examples, batch_size, Random(seed))))

    model = embedder.model
    weights = learned_weights(model)
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0, fused=True)
    named = embedder._named  # the digest of what the model's name stands for, which no training changes
    settings = {"model": named} | describe(examples, steps, batch_size, learning_rate, temperature, seed)
    losses = []
    if folder is not None:
        folder = Path(folder).expanduser()
        make_folder(folder)
        losses = resume(folder, embedder, optimizer, settings)
    model.eval()  # no dropout: a minute of training overfits little, and the same text has one vector
    saved = time.monotonic()
    try:
        with tqdm(total=steps, initial=len(losses), desc="training", unit="step") as progress:
            for batch in batches(examples, steps, batch_size, seed, skip=len(losses)):
                loss = batch_loss(embedder, batch, temperature)
                optimizer.param_groups[0]["lr"] = learning_rate * warmup_then_linear(len(losses), steps)
                optimizer.zero_grad(set_to_none=True)
                loss.backward(inputs=weights)
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
                losses.append(loss.item())
                progress.update()
                progress.set_postfix_str(f"loss {sum(losses[-20:]) / len(losses[-20:]):.3f}")
                if folder is not None and len(losses) < steps and time.monotonic() - saved > SAVE_EVERY:
                    save_unfinished(folder, embedder, optimizer, settings, losses)
                    saved = time.monotonic()
                if after_step is not None:
                    after_step(len(losses), losses[-1])
    except BaseException:
        if steps_made(optimizer) > len(losses):  # interrupted between a step and its loss
            losses.append(loss.item())
        if folder is not None and losses:
            save_unfinished(folder, embedder, optimizer, settings, losses)
        raise
    finally:
        optimizer.zero_grad(set_to_none=True)
    if folder is not None:
        embedder.save(folder)
        embedder.rename(str(folder))
        (folder / UNFINISHED).unlink(missing_ok=True)
    return losses


def learned_weights(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """All but the vectors of the tokens, which are half of all-MiniLM-L6-v2: a short training meets few of the tokens,
    and with them it measured no better and took a fifth longer."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    return [tensor for tensor in model.parameters() if tensor.requires_grad and id(tensor) not in tables]


def batch_loss(embedder: Embedder, batch: Sequence[Pair], temperature: float) -> torch.Tensor:
    """The loss of a batch; its hard negatives stand behind its passages."""
    questions = [pair[0] for pair in batch]
    passages = [pair[1] for pair in batch] + [pair[2] for pair in batch if len(pair) == 3]
    return contrastive_loss(embed(embedder, questions), embed(embedder, passages), temperature)


def embed(embedder: Embedder, texts: Sequence[str]) -> torch.Tensor:
    """What `embedder.encode` gives but for the length of the vectors, with the gradient that training needs.

    Texts of about the same length go through the model together: padding costs as much time as text.
    """
    by_length = sorted(range(len(texts)), key=lambda position: len(texts[position]))
    vectors = []
    for start in range(0, len(texts), TOGETHER):
        features = embedder.model.preprocess([texts[position] for position in by_length[start : start + TOGETHER]])
        vectors.append(embedder.model(features)["sentence_embedding"])
    places = torch.tensor(by_length).argsort()
    return torch.cat(vectors)[places]


def warmup_then_linear(step: int, steps: int) -> float:
    """What share of the learning rate step number `step`, counted from 0, uses."""
    warmup = max(1, steps // 10)
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def batches(pairs: Sequence[Pair], steps: int, batch_size: int, seed: int, skip: int = 0) -> Iterator[list[Pair]]:
    """`steps` batches, of which the first `skip` are left out.

    No text stands twice in a batch: a passage that answers two of its questions would be held against both.
    """
    dice, made = Random(seed), 0
    while True:
        begun = made
        for batch in one_round(pairs, batch_size, dice):
            made += 1
            if made > skip:
                yield batch
            if made == steps:
                return
        if made == begun:
            raise ValueError("no two of the pairs differ in both question and passage: there is nothing to tell apart")


def one_round(pairs: Sequence[Pair], batch_size: int, dice: Random) -> Iterator[list[Pair]]:
    """The pairs, shuffled, in batches; without those that stand alone, with nothing to choose from."""
    waiting = deque(sorted(pairs, key=lambda _: dice.random()))
    while waiting:
        batch: list[Pair] = []
        seen: set[str] = set()
        later: list[Pair] = []
        while waiting and len(batch) < batch_size:
            pair = waiting.popleft()
            if seen.isdisjoint(pair):
                batch.append(pair)
                seen.update(pair)
            else:
                later.append(pair)
        waiting.extendleft(reversed(later))
        if len(batch) > 1 or len(batch[0]) == 3:
            yield batch


# ---------------------------------------------------------------------------------------------------------------
# What to train on


def hard_negatives(
    dataset: Dataset, retriever: Retriever | None = None, depth: int = 8, seed: int = 0
) -> list[tuple[str, str, str]]:
    """(question, relevant passage, passage that looks relevant) for every relevant document of every query.

    The third is drawn from the `depth` best that `retriever` (BM25 unless told) finds among the documents without a
    judgment above 0. Always to take the very best teaches less: it is too often the same sort of document. Where the
    retriever finds none, there is no triple; queries without relevant documents give none either.

    Raises ValueError when no triple is left.
    """
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth must be a whole number, at least 1, not {depth!r}")
    retriever, dice = retriever or BM25Retriever(), Random(seed)
    if retriever.corpus is not dataset.corpus:
        retriever.fit(dataset.corpus)
    relevant = {
        query_id: [document_id for document_id, grade in judgments.items() if grade > 0]
        for query_id, judgments in dataset.qrels.items()
    }
    most = max(map(len, relevant.values()), default=0)
    found = retriever.search_many([dataset.queries[query_id] for query_id in relevant], depth + most)
    triples = []
    for (query_id, document_ids), hits in zip(relevant.items(), found, strict=True):
        question, right = dataset.queries[query_id], [dataset.corpus[id].content for id in document_ids]
        # By their text, not by their ids: a copy of the right passage is not wrong.
        wrong = [hit.document.content for hit in hits if hit.document.content not in (question, *right)][:depth]
        if wrong:
            triples += [(question, passage, dice.choice(wrong)) for passage in right]
    if not triples:
        raise ValueError("the dataset has no query with a relevant document and a wrong one that looks like it")
    return triples


def check_list(pairs: Iterable) -> list:
    if isinstance(pairs, Dataset):
        raise TypeError("train takes a list of pairs, not a Dataset: use hard_negatives(dataset)")
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise TypeError(f"train takes a list of (question, passage) pairs, not {type(pairs).__name__}")
    pairs = list(pairs)
    if not pairs:
        raise ValueError("there are no pairs to learn from: give a list of (question, passage)")
    return pairs


def check_pair(number: int, pair: Sequence[str | Document]) -> Pair:
    if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
        raise TypeError(
            f"pair {number} is to be (question, passage) or (question, passage, hard negative), not {pair!r:.80}"
        )
    texts = tuple(part.content if isinstance(part, Document) else part for part in pair)
    for text, what in zip(texts, ("question", "passage", "hard negative"), strict=False):
        if not check_text(text, f"the {what} of pair {number}").strip():
            raise ValueError(f"the {what} of pair {number} is blank: remove that pair")
    if len(set(texts)) < len(texts):
        raise ValueError(f"pair {number} has one text twice ({texts[1]!r:.60}): a passage cannot be its own negative")
    return texts


def check_settings(
    steps: int | None, batch_size: int, learning_rate: float, temperature: float, smallest: int = 2
) -> None:
    for number, what, least in [(batch_size, "batch_size", smallest), (1 if steps is None else steps, "steps", 1)]:
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ValueError(f"{what} must be a whole number, at least {least}, not {number!r}")
    for number, what in [(learning_rate, "learning_rate"), (temperature, "temperature")]:
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < float("inf"):
            raise ValueError(f"{what} must be a number above 0, not {number!r}")


# ---------------------------------------------------------------------------------------------------------------
# Interrupted and continued


def describe(examples: list[Pair], steps: int, batch_size: int, learning_rate: float, temperature: float, seed: int):
    """What a training must have in common with the one that it continues, beside the model."""
    digest = hashlib.sha256(json.dumps(examples).encode()).hexdigest()
    return {
        "pairs": f"{len(examples)} with the digest {digest[:12]}",
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "temperature": temperature,
        "seed": seed,
    }


def save_unfinished(folder: Path, embedder: Embedder, optimizer, settings: dict, losses: list[float]) -> None:
    """Weights, the optimizer's moments and the losses so far in one file, which is there whole or not at all."""
    tensors = {f"model/{name}": tensor.detach() for name, tensor in embedder.model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": tensor for name, tensor in state.items()}
    temporary = folder / f"{UNFINISHED}.tmp"
    try:
        save_file(tensors, temporary, {"settings": json.dumps(settings), "losses": json.dumps(losses)})
        os.replace(temporary, folder / UNFINISHED)
    except SafetensorError as error:  # of a full disk; it is no OSError
        raise OSError(f"{folder / UNFINISHED} cannot be written ({error})") from None
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make the folder, and try before a long training what is done behind it: files in it, a folder beside it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, folder.parent):
            tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise OSError(
            f"the model cannot be saved in {folder} ({error.strerror or error}): give another folder"
        ) from None


def steps_made(optimizer) -> int:
    """How many steps the weights have in them."""
    return max((int(state["step"]) for state in optimizer.state.values()), default=0)


def resume(folder: Path, embedder: Embedder, optimizer, settings: dict) -> list[float]:
    """Put model and optimizer where an unfinished training in `folder` left them; the losses of the steps it made."""
    file = folder / UNFINISHED
    if not file.is_file():
        return []
    try:
        with safe_open(file, "pt") as stored:
            metadata = stored.metadata()
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        begun, losses = json.loads(metadata["settings"]), json.loads(metadata["losses"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}): delete it to begin the training anew") from None
    for name, value in settings.items():
        if begun.get(name) != value:
            other = f"with other {name} ({begun.get(name)}, now {value})"
            if name == "model":
                other = f"of another model than {embedder.name}"
            raise ValueError(
                f"{folder} holds an unfinished training {other}: "
                "call with the same to continue it, or give another folder"
            )
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            states.setdefault(int(number), {})[key] = tensor
    embedder.model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return losses
