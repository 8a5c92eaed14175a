"""Evaluation: how good are the rankings and the answers?"""

from ragedu.evaluation.answers import abstention_scores, answer_scores
from ragedu.evaluation.asking import evaluate_answers
from ragedu.evaluation.comparison import Comparison, compare
from ragedu.evaluation.experiment import evaluate, evaluate_run
from ragedu.evaluation.overlap import bleu, rouge_l
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
from ragedu.evaluation.result import Interrupted, Result
from ragedu.evaluation.runs import read_qrels, read_run, write_qrels, write_run
from ragedu.evaluation.significance import bootstrap_interval, holm, paired_test
from ragedu.evaluation.support import diagnose, support

__all__ = [
    "Comparison",
    "Interrupted",
    "Result",
    "abstention_scores",
    "answer_scores",
    "average_precision",
    "bleu",
    "bootstrap_interval",
    "compare",
    "dcg",
    "diagnose",
    "evaluate",
    "evaluate_answers",
    "evaluate_run",
    "get_retrieval_score",
    "holm",
    "judged_at_k",
    "ndcg",
    "paired_test",
    "precision_at_k",
    "r_precision",
    "read_qrels",
    "read_run",
    "recall_at_k",
    "reciprocal_rank",
    "rouge_l",
    "success_at_k",
    "support",
    "write_qrels",
    "write_run",
]
