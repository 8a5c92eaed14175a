"""A small search server for lesson 09, the tests and the benchmarks: noida-db, which speaks Elasticsearch's protocol
and is not Elasticsearch."""

from __future__ import annotations

import atexit
import importlib.util
import os
import socket
import subprocess
from pathlib import Path
from time import sleep

START_TIMEOUT_SECONDS = 60


class SmallServer:
    """noida-db as a process of its own, on a free port of this machine, with its data in a folder.

    server = SmallServer(folder).start()
    client = Elasticsearch(server.url)
    server.kill()

    `kill` ends it at once, as a power cut would. `stop` lets it write what it has; on Windows, which has no gentle way
    to end a process, it does the same as `kill`. Once ended it can be started again, on the same port and folder. It
    ends with Python at the latest.

    Raises ImportError where noida-db is not installed, and RuntimeError when it does not listen within a minute or
    another program listens on its port.
    """

    def __init__(self, folder: str | Path) -> None:
        package = importlib.util.find_spec("noida_db")
        if package is None or package.origin is None:
            raise ImportError("the small search server is not installed: run  pip install noida-db")
        self.program = Path(package.origin).with_name("noida-db" + ".exe" * (os.name == "nt"))
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None
        atexit.register(self.kill)

    def start(self) -> SmallServer:
        """Returns when it listens; does nothing when it is running."""
        if self.process and self.process.poll() is None:
            return self
        if self.listens():
            raise RuntimeError(f"another program listens on port {self.port}: make a new SmallServer, on another port")
        if not os.access(self.program, os.X_OK):  # an installer may have forgotten that it is a program
            self.program.chmod(0o755)
        command = [str(self.program), "start", "--only", "elasticsearch", "--data-dir", str(self.folder)]
        command += ["--elasticsearch-port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(START_TIMEOUT_SECONDS * 20):
            if self.process.poll() is not None:
                break
            if self.listens():
                return self
            sleep(0.05)
        self.kill()
        raise RuntimeError(f"noida-db did not start: run {self.program} in a terminal and read what it says")

    def listens(self) -> bool:
        """Whether anybody listens on the port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()
