"""RAG as one model: the probability of an answer when nobody knows which document it was read from.

Lewis et al. (2020) treat the document z as a hidden variable. The retriever says how probable each of the k best
documents is, the generator how probable each token of the answer is after reading it, and the sum over z makes one
differentiable number of both: a question whose answer is known trains the retriever, without a single relevance label.

Shapes: n questions, k documents each, T tokens in the longest answer. All probabilities are natural logarithms.
"""

from __future__ import annotations

import torch


def rag_sequence(documents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """ln p(answer | question) when the whole answer is read from one document (section 2.1, RAG-Sequence).

    documents: ln p(z | x), (n, k); tokens: ln p(y_t | x, z, y_<t), (n, k, T), 0 behind the end of a shorter answer.
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

    logits: (n, k, T, vocabulary), at place t those for token t; answers: token ids (n, T), filled up with `padding`.
    """
    wanted = answers[:, None, :, None].expand(-1, logits.shape[1], -1, -1)
    chosen = logits.log_softmax(dim=-1).gather(-1, wanted).squeeze(-1)
    return chosen.masked_fill(answers[:, None, :] == padding, 0.0)


def document_log_probabilities(scores: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """ln p(z | x) from the retriever's scores of the k documents, (n, k). A dot product of long vectors (Lewis et al.)
    needs no temperature; cosines, which end at 1, need a small one, or all documents are about equally probable."""
    return (scores / temperature).log_softmax(dim=1)
