"""Measure ragedu beside its peers in one run and write the tables to benchmarks/RESULTS.md.

python -m benchmarks                      # everything: about a quarter of an hour on two cores
python -m benchmarks --sizes 5000         # a quick look
python -m benchmarks --beir FOLDER        # effectiveness on a BEIR folder of yours
"""

from __future__ import annotations

import os

# One thread for everybody, set before numpy, torch or numba read it.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import sys
from pathlib import Path

from benchmarks import bm25_speed, effectiveness
from benchmarks.report import machine, table

RESULTS = Path(__file__).with_name("RESULTS.md")
SCIFACT = Path(__file__).parents[2] / "shared" / "data" / "scifact"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="5000,70000,500000", help="documents of Port Ellery, separated by commas")
    parser.add_argument("--beir", type=Path, default=SCIFACT, help="a BEIR folder (default: SciFact, where present)")
    options = parser.parse_args()

    sections = ["# Results", "Written by `python -m benchmarks`. " + machine()]
    sections.append("## BM25: speed\n\n" + bm25_speed.__doc__.strip())
    for size in map(int, options.sizes.split(",")):
        title, rows = bm25_speed.measure(size)
        sections.append(f"### {title}\n\n{table(rows)}")
        print(sections[-1], "\n", flush=True)
    if options.beir.is_dir():
        title, rows = effectiveness.measure(options.beir)
        sections.append(f"## Effectiveness on {title}\n\n{effectiveness.__doc__.strip()}\n\n{table(rows)}")
        print(sections[-1], flush=True)
    else:
        print(f"no effectiveness: there is no folder {options.beir.name}", file=sys.stderr)
    RESULTS.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


main()
