"""Train a dense retriever: pull each question's vector to that of its passage and push it away from other passages.

The loss is InfoNCE (van den Oord et al. 2018, equation 4) with in-batch negatives: in a batch of questions with their
passages, every passage is a wrong one for all questions but its own (Karpukhin et al. 2020, section 3.2). To these come
hard negatives, passages that look right and are wrong: the best of BM25 among those that do not answer.

    dataset = port_ellery.load(1000).select(split="train")
    retriever = DenseRetriever()
    losses = retriever.train(hard_negatives(dataset), folder="my-retriever")
    DenseRetriever("my-retriever")      # or SentenceTransformer("my-retriever"): it is a normal folder
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import cross_entropy, normalize

from ragedu.corpus import Dataset, Document, check_text
from ragedu.optimise import adamw, check_count, check_settings, optimise, shuffled, warmup_then_linear
from ragedu.retrieval.base import Retriever, corpus_of
from ragedu.retrieval.bm25 import BM25Retriever
from ragedu.retrieval.checkpoint import Checkpoint
from ragedu.retrieval.embeddings import ENCODING, Embedder

Pair = tuple[str, ...]  # (question, passage) or (question, passage, hard negative)

BATCH_TEXTS = 8  # how many go through the model at once


# The loss.


def contrastive_loss(questions: torch.Tensor, passages: torch.Tensor, *, temperature: float = 0.05) -> torch.Tensor:
    """InfoNCE: how surprised is a question by its own passage, when it chooses among all passages by their cosines?

    questions: (n, dimension); passages: (at least n, dimension). Passage i answers question i; all others, including
    those after the first n, are negatives. Returns the mean over questions of  -ln softmax(cosines / temperature)  at
    the right place.
    """
    cosines = normalize(questions, dim=-1) @ normalize(passages, dim=-1).T
    right = torch.arange(len(questions), device=questions.device)
    return cross_entropy(cosines / temperature, right)


def batch_loss(embedder: Embedder, batch: Sequence[Pair], temperature: float) -> torch.Tensor:
    """The loss of a batch; its hard negatives come after its passages."""
    questions = [pair[0] for pair in batch]
    passages = [pair[1] for pair in batch] + [pair[2] for pair in batch if len(pair) == 3]
    return contrastive_loss(embed(embedder, questions), embed(embedder, passages), temperature=temperature)


def embed(embedder: Embedder, texts: Sequence[str]) -> torch.Tensor:
    """What `embedder.encode` gives, (n, dimension), but with the gradient that training needs, and not normalised.

    Texts of about the same length go through the model together: padding costs as much time as text.
    """
    by_length = sorted(range(len(texts)), key=lambda position: len(texts[position]))
    vectors = []
    for start in range(0, len(texts), BATCH_TEXTS):
        with ENCODING:
            features = embedder.model.preprocess(
                [texts[position] for position in by_length[start : start + BATCH_TEXTS]]
            )
        vectors.append(embedder.model(features)["sentence_embedding"])
    places = torch.tensor(by_length).argsort()
    return torch.cat(vectors)[places]


# The training.


def train(
    embedder: Embedder,
    pairs: Iterable[Sequence[str | Document]],
    steps: int | None = None,
    *,
    batch_size: int = 32,
    learning_rate: float = 1e-4,
    temperature: float = 0.05,
    seed: int = 0,
    folder: str | Path | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train the embedder's model in place; returns the loss of each step.

    The learning rate rises during the first tenth of the steps and then falls to 0 in a straight line. On one machine
    the same seed gives the same losses. If you stop it, the model keeps what it has learned and can be used.

    Parameters
    ----------
    pairs
        (question, passage) or (question, passage, hard negative), as `hard_negatives` makes them. They are shuffled,
        and shuffled again whenever all have been seen. No text occurs twice in a batch, so where many pairs share a
        passage the batches are smaller and more. A pair without a hard negative that would be alone in its batch is
        omitted from that round.
    steps
        How many batches; by default as many as it takes to see every pair once.
    batch_size
        How many pairs are in a batch, at least 2: each is a negative for the others.
    learning_rate
        The largest that a step uses.
    temperature
        By which cosines are divided before the softmax: the lower, the more the nearest negatives count.
    seed
        Of the order of the pairs.
    folder
        Where the trained model is saved, as sentence-transformers saves models. An interrupted training leaves there
        what it needs to go on (written at least once a minute): call again with the same pairs and settings, and the
        result is the same as without the interruption.
    after_step
        after_step(step, loss) is called after each step, counted from 1.

    Raises
    ------
    TypeError, ValueError
        For what is not a list of pairs, for blank texts, for fewer than two pairs in a batch, and for a folder that
        holds another unfinished training.
    OSError
        For a folder that cannot be written, before the first step.
    """
    examples = check_pairs(pairs)
    check_settings(1 if steps is None else steps, batch_size, learning_rate, temperature, least_batch=2)
    steps = steps or steps_of_one_round(examples, batch_size, seed)
    settings = dict(steps=steps, batch_size=batch_size, learning_rate=learning_rate, temperature=temperature, seed=seed)
    weights = learned_weights(embedder.model)
    optimizer = adamw(weights)
    checkpoint = None
    if folder is not None:
        checkpoint = Checkpoint(folder, embedder, optimizer, {"pairs": describe(examples), **settings})
    losses = checkpoint.resume() if checkpoint else []

    def note(step: int, loss: float) -> None:
        if checkpoint and step < steps:
            checkpoint.save_when_due(losses)
        if after_step is not None:
            after_step(step, loss)

    embedder.model.eval()  # no dropout: a minute of training overfits little, and the same text has one vector
    try:
        optimise(
            weights,
            batches(examples, steps, batch_size, seed, skip=len(losses)),
            lambda batch: batch_loss(embedder, batch, temperature),
            steps=steps,
            learning_rate=learning_rate,
            schedule=warmup_then_linear,
            optimizer=optimizer,
            losses=losses,
            after_step=note,
        )
    except BaseException:
        if checkpoint and losses:
            checkpoint.save(losses)
        raise
    if checkpoint:
        checkpoint.finish()
    return losses


def learned_weights(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """All but the vectors of the tokens, which are half of all-MiniLM-L6-v2: a short training meets few of the tokens,
    and with them it measured no better and took a fifth longer."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    return [tensor for tensor in model.parameters() if tensor.requires_grad and id(tensor) not in tables]


def batches(pairs: Sequence[Pair], steps: int, batch_size: int, seed: int, *, skip: int = 0) -> Iterator[list[Pair]]:
    """`steps` batches, of which the first `skip` are omitted.

    No text occurs twice in a batch: a passage that answers two of its questions would be held against both.
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


def steps_of_one_round(pairs: Sequence[Pair], batch_size: int, seed: int) -> int:
    return max(1, sum(1 for _ in one_round(pairs, batch_size, Random(seed))))


def one_round(pairs: Sequence[Pair], batch_size: int, dice: Random) -> Iterator[list[Pair]]:
    """The pairs, shuffled, in batches; without those that are alone, with nothing to choose from."""
    waiting = deque(shuffled(pairs, dice))
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


# What to train on.


def hard_negatives(
    dataset: Dataset, *, retriever: Retriever | None = None, depth: int = 8, seed: int = 0
) -> list[tuple[str, str, str]]:
    """(question, relevant passage, passage that looks relevant) for every relevant document of every query.

    The third is drawn from the `depth` best that `retriever` (by default BM25) finds among the documents without a
    judgment above 0. Always to take the very best teaches less: it is too often the same sort of document. Where the
    retriever finds none, there is no triple; queries without relevant documents give none either.

    Raises ValueError when no triple is left.
    """
    check_count("depth", depth)
    retriever, dice = retriever or BM25Retriever(), Random(seed)
    if corpus_of(retriever) is not dataset.corpus:
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


def check_pairs(pairs: Iterable[Sequence[str | Document]]) -> list[Pair]:
    """The pairs as texts; TypeError or ValueError for what is not a list of pairs."""
    if isinstance(pairs, Dataset):
        raise TypeError("train takes a list of pairs, not a Dataset: use hard_negatives(dataset)")
    if isinstance(pairs, Mapping):
        raise TypeError(
            "train takes a list of (question, passage) pairs, not a dictionary: if its keys are questions, use "
            "list(pairs.items())"
        )
    if isinstance(pairs, str | bytes) or not isinstance(pairs, Iterable):
        raise TypeError(f"train takes a list of (question, passage) pairs, not {type(pairs).__name__}")
    checked = [check_pair(number, pair) for number, pair in enumerate(pairs)]
    if not checked:
        raise ValueError("there are no pairs to learn from: give a list of (question, passage)")
    return checked


def check_pair(number: int, pair: Sequence[str | Document]) -> Pair:
    if isinstance(pair, Mapping):
        raise TypeError(
            f"pair {number} must be (question, passage) or (question, passage, hard negative), and is a dictionary: "
            'use [(each["question"], each["passage"]) for each in pairs], with your own keys'
        )
    if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
        raise TypeError(
            f"pair {number} must be (question, passage) or (question, passage, hard negative), not {pair!r:.80}"
        )
    texts = tuple(part.content if isinstance(part, Document) else part for part in pair)
    for text, what in zip(texts, ("question", "passage", "hard negative"), strict=False):
        if not check_text(text, f"the {what} of pair {number}").strip():
            raise ValueError(f"the {what} of pair {number} is blank: remove that pair")
    if len(set(texts)) < len(texts):
        raise ValueError(f"pair {number} has one text twice ({texts[1]!r:.60}): a passage cannot be its own negative")
    return texts


def describe(pairs: list[Pair]) -> str:
    """The same for the same pairs in the same order."""
    digest = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
    return f"{len(pairs)} with the digest {digest[:12]}"
