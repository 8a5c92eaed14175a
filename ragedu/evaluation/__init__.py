"""Evaluation: how good are the rankings and the answers?"""

from ragedu.evaluation.answers import abstention_scores, answer_scores
from ragedu.evaluation.experiment import Result, evaluate, evaluate_run
from ragedu.evaluation.ranking import (
    average_precision,
    dcg,
    get_retrieval_score,
    judged_at_k,
    ndcg,
    precision_at_k,
    r_precision,
    recall_at_k,
    reciprocal_rank,
    success_at_k,
)
from ragedu.evaluation.runs import read_qrels, read_run, write_qrels, write_run
from ragedu.evaluation.significance import bootstrap_interval, paired_test

__all__ = [
    "Result",
    "abstention_scores",
    "answer_scores",
    "average_precision",
    "bootstrap_interval",
    "dcg",
    "evaluate",
    "evaluate_run",
    "get_retrieval_score",
    "judged_at_k",
    "ndcg",
    "paired_test",
    "precision_at_k",
    "r_precision",
    "read_qrels",
    "read_run",
    "recall_at_k",
    "reciprocal_rank",
    "success_at_k",
    "write_qrels",
    "write_run",
]
