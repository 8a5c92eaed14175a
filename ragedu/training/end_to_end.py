"""RAG as one model: the probability of an answer when nobody knows which document it was read from.

Lewis et al. (2020) treat the document z as a hidden variable. The retriever says how probable each of the k best
documents is, the generator how probable each token of the answer is after reading it, and the sum over z makes one
differentiable number of both: a question whose answer is known trains the retriever, without a single relevance label.

    candidates = [[hit.document for hit in hits] for hits in retriever.search_many(questions, k=8)]
    tokens = answer_log_probabilities(generator, questions, answers, candidates)     # constants: it is frozen
    train(question_encoder, questions, vectors_of_the_candidates, tokens)

Shapes: n questions, k documents each, T tokens in the longest answer. All probabilities are natural logarithms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.nn.functional import normalize
from tqdm.auto import tqdm

from ragedu.corpus import Document
from ragedu.generation.language_model import LanguageModel
from ragedu.generation.packing import answer_logits, encode_example, join
from ragedu.generation.prompts import build_prompt
from ragedu.optimise import check_settings, optimise, warmup_then_linear
from ragedu.retrieval.contrastive import embed, learned_weights
from ragedu.retrieval.embeddings import Embedder

QUESTIONS_PER_ROW = 24  # in one row after one document

Place = tuple[int, int]  # which question, and the rank of the document among its candidates


def rag_sequence(documents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """ln p(answer | question) when the whole answer is read from one document (section 2.1, RAG-Sequence).

    documents: ln p(z | x), (n, k); tokens: ln p(y_t | x, z, y_<t), (n, k, T), 0 after the end of a shorter answer.
    Returns (n,):  ln sum_z  p(z | x)  prod_t p(y_t | x, z, y_<t).
    """
    return torch.logsumexp(documents + tokens.sum(dim=2), dim=1)


def rag_token(documents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """ln p(answer | question) when every token may be read from another document (section 2.1, RAG-Token).

    Shapes as in `rag_sequence`. Returns (n,):  sum_t ln sum_z  p(z | x) p(y_t | x, z, y_<t).
    """
    return torch.logsumexp(documents[:, :, None] + tokens, dim=1).sum(dim=1)


def token_log_probabilities(logits: torch.Tensor, answers: torch.Tensor, padding: int) -> torch.Tensor:
    """What the generator gives to the tokens of the answers: (n, k, T), 0 where an answer has ended.

    logits: (n, k, T, vocabulary), at place t those for token t; answers: token ids (n, T), filled up with `padding`,
    which has to be an id of its own: an end token with that id would not count.
    """
    wanted = answers[:, None, :, None].expand(-1, logits.shape[1], -1, -1)
    chosen = logits.log_softmax(dim=-1).gather(-1, wanted).squeeze(-1)
    return chosen.masked_fill(answers[:, None, :] == padding, 0.0)


def document_log_probabilities(scores: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
    """ln p(z | x) from the retriever's scores of the k documents, (n, k).

    A dot product of long vectors (Lewis et al.) needs no temperature. Cosines, which end at 1, need a small one, or all
    documents are about equally probable.
    """
    return (scores / temperature).log_softmax(dim=1)


# The generator, frozen: how probable does each document make the answer?


@torch.inference_mode()
def answer_log_probabilities(
    generator: LanguageModel, questions: Sequence[str], answers: Sequence[str], candidates: Sequence[Sequence[Document]]
) -> torch.Tensor:
    """ln p(y_t | x, z, y_<t) of every token of every answer, its end included, after reading each candidate alone.

    candidates: k documents for each of the n questions. Returns (n, k, T), 0 after the end of a shorter answer.

    A document is computed once for all questions that may have been answered from it: they follow it in one row, each
    blind to the others (`packing.join`). In a small corpus that saves most of the work.

    Raises ValueError when the questions have different numbers of candidates, or there are none.
    """
    if len({len(some) for some in candidates}) > 1:
        raise ValueError("every question needs the same number of candidates: cut the longer lists, or search for more")
    if not any(map(len, candidates)):
        raise ValueError("there is nothing to read: give at least one question with at least one candidate")
    found: dict[Place, torch.Tensor] = {}
    for document, places in tqdm(by_document(candidates), desc="reading", unit=" documents"):
        for start in range(0, len(places), QUESTIONS_PER_ROW):
            some = places[start : start + QUESTIONS_PER_ROW]
            asked = [(questions[number], answers[number]) for number, _ in some]
            found |= zip(some, log_probabilities_after(document, asked, generator), strict=True)
    result = torch.zeros(len(questions), len(candidates[0]), max(map(len, found.values())))
    for (number, rank), tokens in found.items():
        result[number, rank, : len(tokens)] = tokens
    return result


def by_document(candidates: Sequence[Sequence[Document]]) -> list[tuple[Document, list[Place]]]:
    """Each document that is a candidate, with the places where it is one."""
    documents = {document.id: document for some in candidates for document in some}
    places: dict[str, list[Place]] = defaultdict(list)
    for number, some in enumerate(candidates):
        for rank, document in enumerate(some):
            places[document.id].append((number, rank))
    return [(documents[id], of_document) for id, of_document in places.items()]


def log_probabilities_after(
    document: Document, asked: Sequence[tuple[str, str]], generator: LanguageModel
) -> list[torch.Tensor]:
    """ln p of each token of the answers, after the document and its question, for (question, answer) pairs: one tensor
    (tokens of the answer,) for each."""
    row = join([encode_example(generator, build_prompt(question, [document]), answer) for question, answer in asked])
    logits, targets, branch = answer_logits(generator, [row])
    found = logits.log_softmax(dim=-1).gather(-1, targets[:, None])[:, 0].float().cpu()
    return [found[branch.cpu() == number] for number in range(1, len(asked) + 1)]


# The question encoder, which learns.


def train(
    encoder: Embedder,
    questions: Sequence[str],
    documents: np.ndarray,
    tokens: torch.Tensor,
    steps: int = 60,
    *,
    batch_size: int = 16,
    learning_rate: float = 1e-4,
    temperature: float = 0.05,
    marginal: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = rag_sequence,
    seed: int = 0,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train the encoder of questions in place, so that the answers become probable; returns the loss of each step,
    -ln p(answer | question) in nats. Nobody says which candidate is relevant.

    Parameters
    ----------
    documents
        The vectors of each question's candidates (n, k, dimension), made beforehand and not changed.
    tokens
        `answer_log_probabilities` of the same candidates, (n, k, T).
    marginal
        rag_sequence or rag_token.
    after_step
        after_step(step, loss) is called after each step, counted from 1.

    Raises
    ------
    ValueError
        For settings that make no sense, for no questions, and for shapes that do not fit together.
    """
    check_settings(steps, batch_size, learning_rate, temperature)
    if not len(questions):
        raise ValueError("there are no questions to learn from")
    vectors = torch.as_tensor(documents, dtype=torch.float32)
    if not len(questions) == len(vectors) == len(tokens) or vectors.shape[:2] != tokens.shape[:2]:
        raise ValueError(
            f"{len(questions)} questions, vectors of shape {tuple(vectors.shape)} and log-probabilities of shape "
            f"{tuple(tokens.shape)}: they must be n, (n, k, dimension) and (n, k, T)"
        )

    def loss_of_batch(batch: torch.Tensor) -> torch.Tensor:
        asked = embed(encoder, [questions[place] for place in batch.tolist()])
        cosines = torch.einsum("nd,nkd->nk", normalize(asked, dim=-1), vectors[batch])
        return -marginal(document_log_probabilities(cosines, temperature=temperature), tokens[batch]).mean()

    encoder.model.eval()  # no dropout, as in retrieval.contrastive
    return optimise(
        learned_weights(encoder.model),
        batches(len(questions), steps, batch_size, seed),
        loss_of_batch,
        steps=steps,
        learning_rate=learning_rate,
        schedule=warmup_then_linear,
        after_step=after_step,
    )


def batches(number: int, steps: int, batch_size: int, seed: int) -> Iterator[torch.Tensor]:
    """`steps` batches of places among `number` questions, drawn without repetition until all have been used."""
    dice, order = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        while len(order) < batch_size:
            order = torch.cat([order, torch.randperm(number, generator=dice)])
        yield order[:batch_size]
        order = order[batch_size:]
