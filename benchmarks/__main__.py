"""Measure ragedu next to its peers in one run and write the tables to benchmarks/RESULTS.md.

python -m benchmarks                            # everything: about half an hour on two cores
python -m benchmarks --only bm25 --sizes 5000   # a quick look
python -m benchmarks --beir FOLDER              # effectiveness on a BEIR folder of yours
python -m benchmarks --only serving             # one part alone (see --help)

Every table is written when it is measured; what isn't measured stays as it was. What lessons 05 and 09 show is kept as
data, too, in ragedu/records.
"""

from __future__ import annotations

import os

# One thread for everybody, set before numpy, torch or numba read it; generation then asks for all of them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import ragedu  # isort: skip (before torch: it says how torch's threads wait) # noqa: F401

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import answers, bm25_speed, effectiveness, encoding_speed, generation_speed, scale, serving
from benchmarks.report import keep_section, machine, measured, table
from ragedu.records import path_of, write_rows

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    parts = {
        "bm25": bm25,
        "effectiveness": effectiveness_on_beir,
        "encoding": encoding,
        "generation": generation,
        "answers": whole_systems,
        "serving": serving_clients,
        "scale": to_a_million,
    }
    scifact = Path(os.environ.get("RAGEDU_SCIFACT") or "scifact")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="5000,70000,500000", help="of bm25: documents, separated by commas")
    parser.add_argument("--beir", type=Path, default=scifact, help="a BEIR folder (default: that of RAGEDU_SCIFACT)")
    parser.add_argument("--only", choices=parts, help="measure this alone")
    options = parser.parse_args()

    for part in [options.only] if options.only else parts:
        for heading, text in parts[part](options):
            keep_section(RESULTS, heading, text)
            print(f"{heading}\n\n{text}\n", flush=True)


def bm25(options) -> Iterator[tuple[str, str]]:
    tables = [bm25_speed.measure(size) for size in map(int, options.sizes.split(","))]
    yield "## BM25: speed", measured(with_tables(bm25_speed, tables))


def effectiveness_on_beir(options) -> Iterator[tuple[str, str]]:
    if options.beir.is_dir():
        title, rows = effectiveness.measure(options.beir)
        yield f"## Effectiveness on {title}", measured(f"{effectiveness.__doc__.strip()}\n\n{table(rows)}")
    else:
        print(f"no effectiveness: there is no folder {options.beir.name}", file=sys.stderr)


def encoding(options) -> Iterator[tuple[str, str]]:
    yield "## Encoding: speed", measured(with_tables(encoding_speed, [encoding_speed.measure()]))


def generation(options) -> Iterator[tuple[str, str]]:
    text = with_tables(generation_speed, generation_speed.measure())
    yield "## Generation: speed", measured(f"{generation_speed.versions()}\n\n{text}", all_cores=True)


def whole_systems(options) -> Iterator[tuple[str, str]]:
    title, rows = answers.measure()
    kept = [row | {"machine": machine(all_cores=True)} for row in rows]
    write_rows(path_of("05.answers"), kept, kept[0])  # lesson 05 shows them
    yield "## Answers: the whole system", measured(with_tables(answers, [(title, rows)]), all_cores=True)


def to_a_million(options) -> Iterator[tuple[str, str]]:
    text = with_tables(scale, scale.measure())
    yield "## Scale: 1,000 to 1,000,000 documents", f"Measured on {scale.machines()}.\n\n{text}"


def serving_clients(options) -> Iterator[tuple[str, str]]:
    yield "## Serving: one client and fifty", measured(with_tables(serving, [serving.measure()]), all_cores=True)


def with_tables(module, tables: list[tuple[str, list[dict[str, str]]]]) -> str:
    return "\n\n".join([module.__doc__.strip(), *(f"### {title}\n\n{table(rows)}" for title, rows in tables)])


if __name__ == "__main__":
    main()
