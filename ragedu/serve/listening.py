"""Running a service: on a port until Ctrl+C, or in a thread while a block of code runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI


def listen(host: str, port: int) -> socket.socket:
    """A socket for `serve`; port 0 takes a free one. Raises OSError when the port is taken."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve until Ctrl+C or SIGTERM. Those who wait then still get their answers, for ten seconds at most."""
    with suppress(KeyboardInterrupt):  # which uvicorn raises after all is done
        uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=10)).run([listener])


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve in a thread, on a free port of this machine, while the block runs; gives the URL."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
