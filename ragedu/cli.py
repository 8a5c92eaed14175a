"""The command line: `ragedu ask | evaluate | models | doctor`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import ragedu
from ragedu.corpus import Corpus, Dataset
from ragedu.models import ModelUnavailable

RETRIEVERS = {
    "bm25": "BM25Retriever",
    "tfidf": "TfidfRetriever",
    "dense": "DenseRetriever",
    "hybrid": "HybridRetriever",
}
METRICS = "ndcg@10,recall@100,mrr@10"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's mistake is one line on standard error and exit status 2."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # A pipe on Windows may know few characters: "?" for the others is better than no answer.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except BrokenPipeError:  # whoever read the output has seen enough, as in  ragedu … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ModelUnavailable, OSError, TypeError, ValueError) as error:
        print(f"ragedu: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ragedu: interrupted", file=sys.stderr)
        return 130


def ask(options: argparse.Namespace) -> int:
    """Answer one question from a corpus and show the sources."""
    from ragedu.rag import RAG
    from ragedu.text import chunk

    started = time.perf_counter()
    corpus = chunk(_corpus(options.corpus))
    retriever = _retriever(options.retriever).fit(corpus)
    # The model is loaded when it is first called, so that a mistake in the question is told at once.
    adapter = "reader" if options.model == "smollm2-135m" and not options.untrained else None
    generator = lambda prompt: ragedu.LanguageModel.load(options.model, adapter=adapter)(prompt)
    answer = RAG(retriever, generator, k=options.k).ask(options.question)
    seconds = time.perf_counter() - started
    if options.json:
        sources = [
            {"id": h.document.id, "title": h.document.title, "score": h.score, "text": h.document.text}
            for h in answer.sources
        ]
        _print_json(
            {"question": options.question, "answer": answer.text, "sources": sources, "seconds": round(seconds, 3)}
        )
    else:
        print(answer)
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Score a retriever on a dataset with relevance judgments."""
    if options.run and not options.run.parent.is_dir():  # said now, not after minutes of searching
        raise FileNotFoundError(f"there is no folder {options.run.parent} for the run: make it first")
    dataset = _dataset(options.dataset, options.split)
    metrics = [name.strip().lower() for name in options.metrics.split(",") if name.strip()]
    result = ragedu.evaluate(_retriever(options.retriever), dataset, metrics, progress=sys.stderr.isatty())
    if options.run:
        from ragedu.evaluation import write_run

        write_run(result.run, options.run, tag=f"ragedu-{options.retriever}")
    seconds = {name: round(value, 3) for name, value in result.seconds.items()}
    if options.json:
        _print_json(
            {
                "dataset": dataset.name,
                "retriever": options.retriever,
                "queries": result.n_queries,
                "metrics": dict(result),
                "seconds": seconds,
            }
        )
    else:
        print(f"{options.retriever} on {dataset.name or options.dataset}, {len(dataset.corpus):,} documents")
        print(result)
        print(f"{seconds['index']} s to index, {seconds['search']} s to search")
    return 0


def models(options: argparse.Namespace) -> int:
    """Fetch what is missing, verify everything, list it."""
    from ragedu.models import fetch, language_model_folder, status

    fetch()
    language_model_folder(thorough=True)  # converted now, so that the first question need not wait
    for row in status(thorough=True):
        state = "verified" if row.verified else row.problem
        print(f"{row.role:<10} {row.name:<18} {row.size / 1e6:7.1f} MB  {state}")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Check the installation from Python to a generated word."""
    from ragedu.doctor import CHECKS

    healthy = True
    for name, check in CHECKS.items():
        try:
            print(f"ok       {name}: {check()}", flush=True)
        except Exception as error:  # whatever is wrong, the other checks still tell something
            healthy = False
            print(f"PROBLEM  {name}: {' '.join(str(error).split())}", flush=True)
    return 0 if healthy else 1


def _corpus(name: str) -> Corpus:
    if name in ("port-ellery", "python-docs"):
        return _dataset(name).corpus
    return ragedu.read_corpus(name)


def _dataset(name: str, split: str = "test") -> Dataset:
    if name == "port-ellery":
        from ragedu.datasets import port_ellery

        return port_ellery.load()
    if name == "python-docs":
        from ragedu.datasets import python_docs

        return python_docs.load()
    return ragedu.read_beir(name, split)


def _retriever(name: str):
    return getattr(ragedu, RETRIEVERS[name])()


def _print_json(value: dict) -> None:
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, ensure_ascii=not utf8, indent=2))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ragedu: {message}; see  {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ragedu", description="Retrieval-augmented generation, offline, with real models.")
    parser.add_argument("--version", action="version", version=f"ragedu {ragedu.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)

    command = commands.add_parser("ask", help="answer a question from documents", description=ask.__doc__)
    command.set_defaults(command=ask)
    command.add_argument("question", metavar="QUESTION")
    command.add_argument(
        "--corpus",
        default="port-ellery",
        metavar="PATH",
        help="a file or folder (text, Markdown, notebooks, JSON, JSONL, CSV), port-ellery (default) or python-docs",
    )
    _add_retriever(command)
    command.add_argument("-k", type=_positive, default=3, metavar="N", help="sources in the prompt (default: 3)")
    command.add_argument(
        "--model", default="smollm2-135m", help="the language model: name or folder (default: %(default)s)"
    )
    command.add_argument(
        "--untrained", action="store_true", help="without the adapter that was trained to read sources"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    command = commands.add_parser("evaluate", help="score a retriever on judged queries", description=evaluate.__doc__)
    command.set_defaults(command=evaluate)
    command.add_argument(
        "dataset",
        metavar="BEIR_FOLDER",
        help="corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv in a folder; or port-ellery or python-docs",
    )
    _add_retriever(command)
    command.add_argument("--split", default="test", help="which judgments: qrels/SPLIT.tsv (default: %(default)s)")
    command.add_argument("--metrics", default=METRICS, help="names separated by commas (default: %(default)s)")
    command.add_argument("--run", type=Path, metavar="FILE", help="also write the rankings, as a TREC run file")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    command = commands.add_parser("models", help="fetch, verify and list the model weights", description=models.__doc__)
    command.set_defaults(command=models)
    command = commands.add_parser("doctor", help="check this installation", description=doctor.__doc__)
    command.set_defaults(command=doctor)
    return parser


def _add_retriever(command: argparse.ArgumentParser) -> None:
    command.add_argument("--retriever", choices=RETRIEVERS, default="bm25", help="how to search (default: bm25)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
