"""A desk opened in JupyterLab, at its first page, with nothing of the user's own settings touched."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from ragedu.learn.index_page import PAGE

# JupyterLab takes its defaults from `labconfig` in here; what the user has set goes before them.
DEFAULTS = Path(__file__).with_name("lab")


def check_jupyterlab() -> None:
    """Raises ImportError, with what to do, where JupyterLab is not installed."""
    if not find_spec("jupyterlab"):
        raise ImportError("JupyterLab is not installed: pip install 'ragedu[lab]', or use --no-open")


def command(desk: Path, more: Sequence[str]) -> list[str]:
    """What starts JupyterLab at a desk. By default it refuses to run as root; in a container that is who one is."""
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={desk}",
        f"--LabApp.default_url=/lab/tree/{PAGE}",
        f"--LabApp.workspaces_dir={desk / '.workspaces'}",  # which notebooks are open: that of this desk
        *as_root,
        *more,
    ]


def environment() -> dict[str, str]:
    """Our defaults for JupyterLab come last in the path of its configuration; `ragedu` is found in a cell."""
    return os.environ | {
        "JUPYTER_CONFIG_PATH": joined(os.environ.get("JUPYTER_CONFIG_PATH"), str(DEFAULTS)),
        "PATH": joined(sysconfig.get_path("scripts"), os.environ.get("PATH")),
    }


def joined(*folders: str | None) -> str:
    return os.pathsep.join(filter(None, folders))


def running_at(desk: Path) -> str:
    """The address of a JupyterLab that runs at this desk already; empty when there is none."""
    try:
        from jupyter_server.serverapp import list_running_servers
    except ImportError:  # ragedu without its extra `lab`
        return ""
    for server in list_running_servers():
        with suppress(OSError, KeyError):
            if os.path.samefile(server["root_dir"], desk):
                return f"{server['url']}lab?token={server['token']}" if server["token"] else f"{server['url']}lab"
    return ""


def open_desk(desk: Path, more: Sequence[str]) -> int:
    """Run JupyterLab until it is ended by Ctrl+C, about which it asks. Returns its exit status."""
    arguments = command(desk, more)
    if os.name == "posix":  # this process becomes JupyterLab, so every signal reaches it
        sys.stdout.flush()
        os.chdir(desk)
        os.execve(sys.executable, arguments, environment())
    lab = subprocess.Popen(arguments, env=environment(), cwd=desk)
    while True:
        with suppress(KeyboardInterrupt):  # JupyterLab gets it, too
            return lab.wait()
