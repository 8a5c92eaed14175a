"""The command line: `ragedu start | ask | evaluate | serve | models | doctor`.

For each command there are two functions: `add_…` says which options it takes, and the one below it does the work.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import ragedu
from ragedu.corpus import Corpus, Dataset
from ragedu.models import ModelUnavailable
from ragedu.showing import one_line, visible, visible_json

if TYPE_CHECKING:
    from ragedu.evaluation import Comparison
    from ragedu.generation.language_model import LanguageModel
    from ragedu.learn.desk import Laid
    from ragedu.retrieval.base import Retriever

RETRIEVERS = {
    "bm25": "BM25Retriever",
    "tfidf": "TfidfRetriever",
    "dense": "DenseRetriever",
    "hybrid": "HybridRetriever",
    "sqlite": "SqliteRetriever",
}
METRICS = "ndcg@10,recall@100,mrr@10"


class _Parser(ArgumentParser):
    """An ArgumentParser that reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"ragedu: {one_line(message)}; see  {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. A user's mistake is one line on standard error and exit status 2."""
    # A pipe on Windows may know few characters: "?" for the others is better than no answer.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    options = parser().parse_args(arguments)
    if options.command is not start:  # from which a JupyterLab and its kernels would inherit them
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        return options.command(options)
    except BrokenPipeError:  # whoever read the output has seen enough, as in  ragedu … | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ModelUnavailable, ImportError, OSError, TypeError, ValueError) as error:
        print(f"ragedu: {visible(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ragedu: interrupted", file=sys.stderr)
        return 130


def parser() -> ArgumentParser:
    """What `ragedu --help` shows."""
    parser = _Parser(prog="ragedu", description="Retrieval-augmented generation, offline, with real models.")
    parser.add_argument("--version", action="version", version=f"ragedu {ragedu.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    add_start(commands.add_parser("start", help="lay out the lessons in a folder of your own and open JupyterLab"))
    add_ask(commands.add_parser("ask", help="answer a question from documents"))
    add_evaluate(commands.add_parser("evaluate", help="score and compare retrievers on judged queries"))
    add_serve(commands.add_parser("serve", help="answer questions over HTTP"))
    add_models(commands.add_parser("models", help="fetch, verify and list the model weights"))
    add_doctor(commands.add_parser("doctor", help="check this installation"))
    return parser


# ragedu start.


def add_start(command: ArgumentParser) -> None:
    command.description = start.__doc__
    command.set_defaults(command=start)
    command.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        help="where your copies of the lessons lie (default: my, in a checkout at its root, else in this folder)",
    )
    command.add_argument(
        "--only", type=numbers, default=[], metavar="NN[,NN]", help="lay these lessons alone, such as 01,02"
    )
    command.add_argument(
        "--fresh",
        type=numbers,
        default=[],
        metavar="NN[,NN]",
        help="put your notebooks of these lessons aside, under a dated name, and lay new ones",
    )
    command.add_argument(
        "--finished",
        action="store_true",
        help="also lay the executed lessons, and the solutions of the exercises, into FOLDER/finished, for reading",
    )
    command.add_argument("--no-open", action="store_true", help="don't open JupyterLab")
    command.add_argument(
        "--jupyter",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option for JupyterLab, such as --jupyter=--no-browser; may be repeated",
    )


def start(options: Namespace) -> int:
    """Lay out the lessons, without their outputs, and the exercises in a folder of your own, and open JupyterLab there.

    A file of yours is never overwritten.
    """
    from ragedu.learn import desk, index_page, opening

    if not options.no_open:
        opening.check_jupyterlab()
    folder = (options.folder or desk.default_folder(Path.cwd())).expanduser().resolve()
    laid = desk.lay(folder, only=options.only, fresh=options.fresh, finished=options.finished)
    index_page.write_page(folder)
    print_laid(folder, laid)
    if options.fresh and not laid.aside:
        print(f"Nothing to put aside: lesson {', '.join(options.fresh)} is as it was laid.")
    address = opening.running_at(folder)
    if options.no_open:
        how = "open index.md again" if address else f"open it with:  {own_call()} start {shell_quoted(folder)}"
        print(f"To see it, {how}")
        return 0
    if address:
        print(f"JupyterLab already runs there: {one_line(address)}")
        return 0
    print("JupyterLab opens there. Ctrl+C in this terminal ends it.", flush=True)
    return opening.open_desk(folder, options.jupyter)


def print_laid(folder: Path, laid: Laid) -> None:
    """What was laid, what was put aside, and what is older than the lessons of this version."""
    print(f"Your desk is {one_line(str(folder))}: {len(laid.new) or 'no'} new notebook{'s' * (len(laid.new) != 1)}.")
    for before, now in laid.aside.items():
        print(f"Put aside: {before} is now {now}")
    if laid.aside:
        print("If it is open, close its tab and open it again; if JupyterLab asks, choose Revert.")
    if any(path.startswith("finished/") for path in laid.new):
        print("The finished ones lie in the folder finished.")
    for path, reason in laid.unreadable.items():
        print(
            f"ragedu: {one_line(path)} stays as it is, but {one_line(reason)}; --fresh lays a new one", file=sys.stderr
        )
    if laid.changed:
        print(f"Changed since you got them: {', '.join(laid.changed)}. Yours stay as they are. For the new ones:")
        print(f"    {own_call()} start {shell_quoted(folder)} --fresh {','.join(laid.changed)}")


def own_call() -> str:
    """How this program was called, for a line that can be typed again."""
    program = Path(sys.argv[0])
    found = shutil.which(program.name)
    if program.stem == "ragedu" and found and program.exists() and os.path.samefile(found, program):
        return "ragedu"
    python = sys.executable
    with suppress(ValueError):
        python = str(Path(python).relative_to(Path.cwd()))
    return f"{shell_quoted(python)} -m ragedu"


def shell_quoted(path: Path | str) -> str:
    """A path as one types it: from here if it lies below, in quotes if it has to be."""
    with suppress(ValueError):
        path = Path(path).relative_to(Path.cwd())
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


# ragedu ask.


def add_ask(command: ArgumentParser) -> None:
    command.description = ask.__doc__
    command.set_defaults(command=ask)
    command.add_argument("question", metavar="QUESTION")
    add_corpus(command)
    add_rag(command)
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def ask(options: Namespace) -> int:
    """Answer one question from a corpus and show the sources."""
    from ragedu.rag import RAG

    def generator(prompt: str) -> str:
        """The model, loaded when it is first called: a mistake in the question is then reported at once."""
        return language_model(options)(prompt)

    started = time.perf_counter()
    answer = RAG(fitted_retriever(options), generator, k=options.k).ask(options.question)
    seconds = time.perf_counter() - started
    if not options.json:
        print(answer)
        return 0
    sources = [
        {"id": hit.document.id, "title": hit.document.title, "score": hit.score, "text": hit.document.text}
        for hit in answer.sources
    ]
    print_json({"question": options.question, "answer": answer.text, "sources": sources, "seconds": round(seconds, 3)})
    return 0


# ragedu evaluate.


def add_evaluate(command: ArgumentParser) -> None:
    command.description = evaluate.__doc__
    command.set_defaults(command=evaluate)
    command.add_argument(
        "dataset",
        metavar="BEIR_FOLDER",
        help="a folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv; or port-ellery or python-docs",
    )
    command.add_argument(
        "--retriever",
        type=retriever_names,
        action="append",
        metavar="NAME[,NAME]",
        help=f"how to search: {', '.join(RETRIEVERS)} (default: bm25); give several, by commas or by repeating the "
        "option, and each is compared with the first",
    )
    command.add_argument(
        "--split",
        default="test",
        help="which judgments: qrels/SPLIT.tsv, or train or test of port-ellery (default: %(default)s)",
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="refuse judgments about documents or queries that are not in the collection, instead of dropping them",
    )
    command.add_argument("--metrics", default=METRICS, help="names separated by commas (default: %(default)s)")
    command.add_argument(
        "--run",
        type=Path,
        metavar="FILE",
        help="also write the rankings, as a TREC run file; for several retrievers a folder, which gets NAME.run files",
    )
    command.add_argument(
        "--with-run",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a TREC run file of any other system, to score and compare in the same table; may be repeated",
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object and nothing else: dataset, retriever, queries, metrics, seconds; for several "
        'retrievers dataset, against (the first) and a list "systems" of such objects, each with intervals (95 %%) and '
        "differences to the first (difference, low, high, p_value)",
    )


def evaluate(options: Namespace) -> int:
    """Score retrievers on a dataset with relevance judgments, and compare them with the first."""
    from ragedu.evaluation import Comparison, compare, evaluate_run, read_run
    from ragedu.evaluation.runs import check_run_ids

    names = list(dict.fromkeys(name for given in options.retriever or [["bm25"]] for name in given))
    files = run_files(options.run, names)
    given = named_runs(options.with_run, names)
    with on_one_line():
        dataset = load_dataset(options.dataset, split=options.split, strict=options.strict)
    if files:
        check_run_ids(dataset.queries, dataset.corpus.ids)
    metrics = [name.strip().lower() for name in options.metrics.split(",") if name.strip()]
    others = {name: evaluate_run(read_run(file), dataset.qrels, metrics=metrics) for name, file in given.items()}
    systems = {name: new_retriever(name) for name in names}
    try:
        comparison = compare(systems, dataset, metrics=metrics, progress=sys.stderr.isatty())
    except Exception as error:
        write_runs(getattr(error, "comparison", {}), files)  # of the systems before the one that failed
        raise
    not_written = write_what_can_be(comparison, files)
    if others and not comparison.interrupted:
        comparison = Comparison({**comparison, **others})
    if options.json and not comparison.interrupted:
        print_json(as_json(comparison, dataset.name))
    elif not options.json:
        name = one_line(dataset.name or options.dataset)
        print(f"{', '.join([*names, *others])} on {name}, {len(dataset.corpus):,} documents")
        print_comparison(comparison)
    if not_written is not None:
        raise not_written
    if comparison.interrupted:
        raise KeyboardInterrupt
    return 0


def run_files(run: Path | None, names: Sequence[str]) -> dict[str, Path]:
    """Where the run of each retriever goes. What is wrong is said now, not after minutes of searching."""
    from ragedu.evaluation.runs import check_target

    if run is None:
        return {}
    run = run.expanduser()
    files = files_in(run, names)
    for file in files.values():
        check_target(file)
    return files


def files_in(run: Path, names: Sequence[str]) -> dict[str, Path]:
    if len(names) == 1 and not run.is_dir():
        if not run.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {run.parent} for the run: make it first")
        return {names[0]: run}
    if not run.is_dir():
        raise NotADirectoryError(
            f"{run} is not a folder: the runs of several retrievers go into one, as {names[0]}.run …; make it first"
        )
    return {name: run / f"{name}.run" for name in names}


def named_runs(files: Sequence[Path], retrievers: Sequence[str]) -> dict[str, Path]:
    """The runs of other systems by their files' names; by their paths where names are the same, as in a/run, b/run."""
    named: dict[str, Path] = {}
    for file in files:
        name = file.name if [other.name for other in files].count(file.name) == 1 else str(file)
        if name in named or name in retrievers:
            raise ValueError(f"two systems are called {name!r}: rename that run file, or give it once")
        named[name] = file
    return named


def write_runs(comparison: Mapping, files: Mapping[str, Path]) -> None:
    """Write the run of each retriever that was run. A part of a run never replaces a whole one."""
    from ragedu.evaluation import write_run

    for name, file in files.items():
        if name in comparison:
            if comparison[name].unfinished:
                file = file.with_name(f"{file.name}.unfinished")
                print(f"ragedu: {name} has not finished; what it found is in {one_line(str(file))}", file=sys.stderr)
            write_run(comparison[name].run, file, tag=f"ragedu-{name}")


def write_what_can_be(comparison: Mapping, files: Mapping[str, Path]) -> OSError | None:
    """Write the runs. An error is returned: the table, which took long to compute, is printed first."""
    try:
        write_runs(comparison, files)
    except OSError as error:
        return error
    return None


def print_comparison(comparison: Comparison) -> None:
    """The table, and how long each retriever took."""
    print(comparison)
    for name, result in comparison.items():
        if result.seconds:
            print(f"{name}: {result.seconds['index']:.3f} s to index, {result.seconds['search']:.3f} s to search")


def as_json(comparison: Comparison, dataset: str) -> dict[str, Any]:
    """One retriever by itself; several under "systems", with intervals and the comparison with the first."""
    systems: list[dict[str, Any]] = [
        {
            "retriever": name,
            "queries": result.n_queries,
            "metrics": dict(result),
            "seconds": {part: round(value, 3) for part, value in result.seconds.items()},
        }
        for name, result in comparison.items()
    ]
    if len(systems) == 1:
        return {"dataset": dataset} | systems[0]
    for system in systems:
        rows = [row for row in comparison.rows if row.system == system["retriever"]]
        system["intervals"] = {row.metric: [row.interval.low, row.interval.high] for row in rows}
        system["differences"] = {row.metric: row.test._asdict() for row in rows if row.test}
    return {"dataset": dataset, "against": comparison.against, "systems": systems}


# ragedu serve.


def add_serve(command: ArgumentParser) -> None:
    command.description = serve.__doc__
    command.set_defaults(command=serve)
    add_corpus(command)
    add_rag(command)
    command.add_argument(
        "--reading",
        choices=("together", "each"),
        default="together",
        help="all sources in one prompt (default), or each in a prompt of its own",
    )
    command.add_argument(
        "--doubt",
        type=probability,
        metavar="P",
        help="with --reading each: above this probability of having no answer it abstains (default: the limit that the "
        "model's adapter was chosen with)",
    )
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen (default: %(default)s); this is HTTP, so let others in through a proxy that speaks HTTPS",
    )
    command.add_argument("--port", type=port, default=8000, metavar="N", help="0 takes a free one (default: 8000)")
    command.add_argument("--no-key", action="store_true", help="let everybody on this machine ask, without a key")


def serve(options: Namespace) -> int:
    """Answer questions over HTTP, until Ctrl+C. Clients send the key that is in the environment as RAGEDU_API_KEY."""
    from ragedu import serve as service
    from ragedu.rag import RAG

    if options.no_key and options.host not in service.LOOPBACK:
        raise ValueError(f"--no-key is for this machine alone, and {options.host} is not: leave out --no-key or --host")
    key = None if options.no_key else service.key_from_environment()
    with service.listen(options.host, options.port) as listener:  # now, so that a taken port is reported at once
        retriever, model = fitted_retriever(options), language_model(options)
        with options_for_arguments():
            rag = RAG(retriever, model, k=options.k, reading=options.reading, doubt=options.doubt)
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        print(f"ragedu: answers at {url}, what to send at {url}/docs; Ctrl+C ends it", file=sys.stderr, flush=True)
        service.serve(service.create_app(rag, key), listener)
    return 0


# ragedu models, ragedu doctor.


def add_models(command: ArgumentParser) -> None:
    command.description = models.__doc__
    command.set_defaults(command=models)


def models(options: Namespace) -> int:
    """Fetch what is missing, verify everything, list it."""
    from ragedu.models import fetch, language_model_folder, status

    fetch()
    language_model_folder(thorough=True)  # converted now, so that the first question need not wait
    for row in status(thorough=True):
        state = "verified" if row.verified else row.problem
        print(f"{row.role:<10} {row.name:<18} {row.size / 1e6:7.1f} MB  {state}")
    return 0


def add_doctor(command: ArgumentParser) -> None:
    command.description = doctor.__doc__
    command.set_defaults(command=doctor)


def doctor(options: Namespace) -> int:
    """Check the installation from Python to a generated word."""
    from ragedu.doctor import CHECKS

    healthy = True
    for name, check in CHECKS.items():
        try:
            print(f"ok       {name}: {check()}", flush=True)
        except Exception as error:  # whatever is wrong, the other checks are still worth running
            healthy = False
            kind = "" if isinstance(error, RuntimeError) else f"{type(error).__name__}: "  # ours say it in words
            print(f"PROBLEM  {name}: {kind}{visible(' '.join(str(error).split()))}", flush=True)
    return 0 if healthy else 1


# Options that several commands have, and what they stand for.


def add_corpus(command: ArgumentParser) -> None:
    command.add_argument(
        "--corpus",
        default="port-ellery",
        metavar="PATH",
        help="a file or folder (text, Markdown, reStructuredText, notebooks, JSON, JSONL, CSV), the URL of a database "
        "such as sqlite:///town.db, port-ellery (default) or python-docs",
    )
    command.add_argument(
        "--include",
        action="append",
        metavar="GLOB",
        help="which files of the folder, such as '*.md' or 'docs/**'; may be repeated (default: all that can be read)",
    )
    command.add_argument(
        "--exclude",
        action="append",
        metavar="GLOB",
        help="which files of the folder not, such as drafts; may be repeated",
    )
    command.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first file of the folder that cannot be read, instead of skipping",
    )
    command.add_argument("--table", metavar="NAME", help="which table of the database, if it has several")
    command.add_argument("--query", metavar="SELECT", help="which rows of the database, instead of a table")
    command.add_argument("--text", metavar="NAME", default="text", help="the key or column of the text (default: text)")
    command.add_argument("--title", metavar="NAME", help="the key or column of the title (default: title, if any)")
    command.add_argument("--id", metavar="NAME", help="the key or column of the id (default: id or _id)")


def add_rag(command: ArgumentParser) -> None:
    command.add_argument("--retriever", choices=RETRIEVERS, default="bm25", help="how to search (default: bm25)")
    command.add_argument("-k", type=positive, default=3, metavar="N", help="sources in the prompt (default: 3)")
    command.add_argument(
        "--model", default="smollm2-135m", help="the language model: name or folder (default: %(default)s)"
    )
    command.add_argument(
        "--untrained", action="store_true", help="take the model without the adapter that was trained to read sources"
    )


def fitted_retriever(options: Namespace) -> Retriever:
    """The retriever over the passages of the corpus."""
    from ragedu.text import chunk

    corpus = load_corpus(options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an estimate of tokens does; whoever needs the missing model says so
        passages = chunk(corpus)
    return new_retriever(options.retriever).fit(passages)


def new_retriever(name: str) -> Retriever:
    return getattr(ragedu, RETRIEVERS[name])()


def language_model(options: Namespace) -> LanguageModel:
    adapter = "reader" if options.model == "smollm2-135m" and not options.untrained else None
    return ragedu.LanguageModel.load(options.model, adapter=adapter)


def load_corpus(options: Namespace) -> Corpus:
    if options.corpus in ("port-ellery", "python-docs"):
        return load_dataset(options.corpus).corpus
    names = ("text", "title", "id", "table", "query", "include", "exclude", "strict")
    with options_for_arguments(), on_one_line():
        return ragedu.read_corpus(options.corpus, **{name: getattr(options, name) for name in names})


@contextmanager
def options_for_arguments() -> Iterator[None]:
    """What is "text=…" in Python is "--text" here, also in the errors of the block."""
    try:
        yield
    except ValueError as error:
        raise ValueError(as_options(str(error))) from None


def as_options(message: str) -> str:
    return re.sub(r"(\w+)=…", r"--\1", message).replace("strict=False", "leaving out --strict")


@contextmanager
def on_one_line() -> Iterator[None]:
    """Each warning of the block as one line on standard error, as mistakes are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", UserWarning)
        yield
    for warning in caught:
        print(f"ragedu: {visible(' '.join(as_options(str(warning.message)).split()))}", file=sys.stderr)


def load_dataset(name: str, *, split: str = "test", strict: bool = True) -> Dataset:
    if name == "port-ellery":
        from ragedu.datasets import port_ellery

        if split not in ("train", "test"):
            raise ValueError(f"port-ellery has no split {split!r}: there are train and test")
        return port_ellery.load().select(split=split)
    if name == "python-docs":
        from ragedu.datasets import python_docs

        if split != "test":
            raise ValueError(f"python-docs has no split {split!r}: all its queries are for testing, leave out --split")
        return python_docs.load()
    with options_for_arguments():
        return ragedu.read_beir(name, split=split, strict=strict)


def print_json(value: dict[str, Any]) -> None:
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(visible_json(json.dumps(value, ensure_ascii=not utf8, indent=2)))


def retriever_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in RETRIEVERS:
            raise ArgumentTypeError(f"invalid choice: {name!r} (choose from {', '.join(RETRIEVERS)})")
    return names


def numbers(text: str) -> list[str]:
    return [number.strip() for number in text.split(",") if number.strip()]


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return int(text)


def probability(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return number


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"must be a whole number from 0 to 65535, not {text!r}")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
