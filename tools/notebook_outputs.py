"""Run a notebook's code, and decide which of its outputs may be stored."""

from __future__ import annotations

import json
import os
import re
import sysconfig
import tempfile
import time
from pathlib import Path

import ipywidgets
import nbclient
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbformat import NotebookNode
from tqdm import tqdm

LARGE_OUTPUT_BYTES = 300_000  # of one cell's outputs, above which the builder warns
PROGRESS_BAR = re.compile(r"[^|]*\d+%\|")  # as tqdm writes it
# What an ipywidget says of itself: `VBox(children=(…` and the like. Matplotlib's `Text(0, 0, …)` is none.
WIDGET = re.compile(
    rf"(?:{'|'.join(name for name, value in vars(ipywidgets).items() if isinstance(value, type))})\((?:\w+=|\))"
)
IGNORED = "nbval-ignore-output"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class NotebookError(Exception):
    """A notebook cannot be built or read: the message says why, and shows the cell whose code failed."""


class CurrentEnvironment(AsyncKernelManager):
    """Starts the kernel of the Python that runs this file, whatever kernels the machine has registered."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(resource_dir="", **get_kernel_dict())


def execute(notebook: NotebookNode, folder: Path, lines: list[int], timeout: float) -> list[float]:
    """Run all code cells in a fresh kernel that works in `folder`; return the seconds that each took.

    lines: where each code cell stands in the source, for messages. Outputs go into `notebook`. The cache is empty, as
    a learner's is at first: with a full one, a progress bar that learners see may stay away.
    """
    client = nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        kernel_manager_class=CurrentEnvironment,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    code = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    seconds = []
    with tempfile.TemporaryDirectory() as cache, client.setup_kernel(env=environment | {"RAGEDU_CACHE": cache}):
        for (index, cell), line in zip(tqdm(code, unit="cell", leave=False, disable=None), lines, strict=True):
            start = time.perf_counter()
            try:
                client.execute_cell(cell, index)
            except (nbclient.exceptions.CellControlSignal, nbclient.exceptions.DeadKernelError) as error:
                raise NotebookError(describe_failure(cell, len(seconds) + 1, line, error)) from None
            seconds.append(time.perf_counter() - start)
            cell.outputs = clean(cell)
    return seconds


def describe_failure(cell: NotebookNode, number: int, line: int, error: Exception) -> str:
    tracebacks = ["\n".join(output.traceback) for output in cell.outputs if output.output_type == "error"]
    traceback = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(tracebacks) or f"{type(error).__name__}: {error}")
    last = "\n".join(traceback.rstrip().split("\n")[-12:])
    return f"code cell {number} (line {line}) failed:\n\n{cell.source}\n\n{last}"


def clean(cell: NotebookNode) -> list[NotebookNode]:
    """The cell's outputs without what differs from run to run though the result is the same.

    A stream arrives in as many pieces as the kernel happened to flush; a widget's view names a random model; and a
    progress bar without its widget is a bar that stands at 0 % for ever. A bar that nbval would compare is left, to be
    refused.
    """
    ignored = IGNORED in cell.metadata.get("tags", [])
    cleaned: list[NotebookNode] = []
    for output in cell.outputs:
        is_widget = output.get("data", {}).pop(WIDGET_VIEW, None)
        if is_widget and ignored and shows_progress(output):
            continue
        previous = cleaned[-1] if cleaned else {}
        if output.output_type == "stream" and previous.get("name") == output.name:
            previous.text += output.text
        else:
            cleaned.append(output)
    return cleaned


def shows_progress(output: NotebookNode) -> bool:
    return bool(PROGRESS_BAR.match(output.get("data", {}).get("text/plain", "")))


def shows_bare_widget(output: NotebookNode) -> bool:
    data = output.get("data", {})
    return "text/html" not in data and bool(WIDGET.match(data.get("text/plain", "")))


def output_problems(cell: NotebookNode, root: Path) -> list[str]:
    """Why the outputs of this code cell must not be stored; an empty list when they may be."""
    problems = []
    tags = cell.metadata.get("tags", [])
    for output in cell.outputs:
        if output.output_type == "error":
            problems.append(f"it raised {output.ename}: {output.evalue}")
        elif output.get("name") == "stderr" and "allow-stderr" not in tags:
            problems.append(f"it writes to standard error (silence it, or tag it allow-stderr): {output.text!r:.200}")
        if shows_progress(output):
            problems.append(f"it shows a progress bar, which stays away when the cache is full: tag it {IGNORED}")
        if shows_bare_widget(output):
            problems.append(
                f"it shows a widget that is nothing without a kernel ({output.data['text/plain']:.60}): "
                "wrap it in a Panel, whose static form is stored"
            )
        for text in texts(output):
            found = machine_dependent(root).search(text)
            if found:
                context = text[max(0, found.start() - 40) : found.end()]
                problems.append(f"its output differs between machines or runs: …{context!r}")
    images = [mime for output in cell.outputs for mime in output.get("data", {}) if mime.startswith("image/")]
    if images and "alt" not in cell.metadata:
        problems.append('it shows a plot without alt text: write what the plot shows, `# %% alt="…"`')
    if "alt" in cell.metadata and len(images) != 1:
        problems.append(f"it has alt text, which is for one plot, but shows {len(images)}: one plot a cell")
    return problems


def texts(output: NotebookNode) -> list[str]:
    """Everything in an output that is text (pictures, which are base64, are not)."""
    data = {mime: value for mime, value in output.get("data", {}).items() if mime not in ("image/png", "image/jpeg")}
    values = [output.get("text", ""), *data.values()]
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def machine_dependent(root: Path) -> re.Pattern:
    """Folders of this machine and memory addresses."""
    folders = {str(root), str(Path.home()), sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")}
    paths = [re.escape(folder) + r"(?![\w-])" for folder in sorted(folders, reverse=True) if len(folder) > 1]
    return re.compile("|".join([*paths, r"\bipykernel_\d+", r"\b0x[0-9a-fA-F]{6,}"]))


def size(cell: NotebookNode) -> int:
    """Bytes that the outputs of a cell take in the file."""
    return len(json.dumps(cell.get("outputs", []), ensure_ascii=False).encode())
