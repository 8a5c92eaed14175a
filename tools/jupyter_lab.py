"""A JupyterLab on loopback for a short time, and a browser to look at it with: for pictures and for tests."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat

# So that nothing asks or moves while somebody looks: no news, and all cells there, not only those in view.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
DARK = {"apputils-extension/themes": {"theme": "JupyterLab Dark"}}
# How JupyterLab shows an error: as what is written to standard error, told apart by the line that names its class.
STDERR = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
NAMES_ERROR = r"^[\w.]*(Error|Exception|Interrupt|Exit)\b"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def why_no_browser() -> str:
    """Why no browser can be driven here, in a sentence; empty when one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the package playwright is not installed: pip install playwright"
    if not chromium():
        return f"there is no browser: none of {', '.join(BROWSERS)} is on the PATH"
    return ""


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def new_page(width: int = 1280, height: int = 1120, scale: float = 1) -> Iterator:
    """A page of a headless Chromium; `scale` pixels of a picture for each of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # In a container one is root, for whom Chromium's sandbox does not start; the pages are our own.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
        finally:
            browser.close()


@contextmanager
def jupyter_lab(
    folder: Path, settings: dict | None = None, arguments: Sequence[str] = ()
) -> Iterator[Callable[[str], str]]:
    """Serve a folder for a while. Yields a function from a path in the folder to the address that opens it.

    arguments: what else stands behind `jupyter lab`.
    The server keeps its settings and its log in a folder of its own, which is thrown away.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        for name, values in (SETTINGS | (settings or {})).items():
            file = Path(own, "settings", "@jupyterlab", f"{name}.jupyterlab-settings")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values), "utf-8")
        port, token = free_port(), secrets.token_hex()
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
        command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
        command += [f"--LabApp.user_settings_dir={own}/settings", f"--LabApp.workspaces_dir={own}/workspaces"]
        command += ["--allow-root"] if sys.platform != "win32" else []
        command += arguments
        log = Path(own, "log")
        with log.open("w") as lines:
            server = subprocess.Popen(command, cwd=folder, stdout=lines, stderr=lines)
        try:
            wait_until_ready(server, f"http://127.0.0.1:{port}/api", log)
            yield lambda path: f"http://127.0.0.1:{port}/lab/tree/{path}?reset&token={token}"
        finally:
            server.terminate()  # it ends its kernels, too
            server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(server: subprocess.Popen, address: str, log: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def clear(copy: Path) -> None:
    """Take outputs and numbers out of the copy of a notebook: else one could not see what has run and what has not."""
    notebook = nbformat.read(copy, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, copy)


# What one does on a page.


def open_notebook(page, address: str) -> None:
    """Open a notebook and wait until its cells and its kernel are there."""
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=120_000)
    # The sign in the toolbar says "idle" before there is a kernel; the status bar does not.
    page.locator("#jp-bottom-panel").get_by_text(re.compile(r"\| Idle")).wait_for(timeout=120_000)


def run_all(page, seconds: float) -> None:
    """Run all cells of a cleared notebook from the menu and wait until none is left to run."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    wait_until_run(page, seconds)


def wait_until_run(page, seconds: float) -> None:
    """Wait until every cell has run, or one has failed (Jupyter then leaves those after it alone)."""
    page.wait_for_function(
        """([stderr, error]) => {
            const texts = selector => [...document.querySelectorAll(selector)].map(element => element.innerText);
            // A collapsed cell shows no number. It runs between its neighbours, which do.
            const prompts = texts('.jp-CodeCell .jp-InputPrompt:not(.jp-Placeholder-prompt)');
            const failed = texts(stderr).some(text => new RegExp(error, 'm').test(text));
            return !prompts.some(p => p.includes('*')) && (failed || prompts.every(p => /\\d/.test(p)));
        }""",
        arg=[STDERR, NAMES_ERROR],
        timeout=seconds * 1000,
    )


def errors(page) -> list[str]:
    """The errors that cells show."""
    return [text for text in page.locator(STDERR).all_inner_texts() if re.search(NAMES_ERROR, text, re.MULTILINE)]
