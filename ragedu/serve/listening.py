"""Running a service: on a port until Ctrl+C, or in a thread while a block of code runs."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

SILENCE_SECONDS = 30  # within which a client must have sent its whole request
MAX_CONNECTIONS = 512
PATIENCE_SECONDS = 10  # for answers that are under way when the service is to end


def listen(host: str, port: int) -> socket.socket:
    """A socket for `serve`; port 0 takes a free one. Raises OSError when the port is taken."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve until Ctrl+C or SIGTERM. Those who wait then still get their answers, for ten seconds at most or until
    Ctrl+C comes again."""
    with suppress(KeyboardInterrupt):  # which uvicorn raises after all is done
        Server(app, patience=PATIENCE_SECONDS).run([listener])


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve in a thread, on a free port of this machine, while the block runs; gives the URL."""
    listener = listen("127.0.0.1", 0)
    server = Server(app, patience=1, log_level="warning")
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


class Server(uvicorn.Server):
    """uvicorn's, which ends without a traceback. patience: seconds for answers that are under way at the end."""

    def __init__(self, app: FastAPI, *, patience: float, log_level: str | None = None) -> None:
        files = most_files()
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            log_level=log_level,
            backlog=min(max(files // 16, 16), 128),  # so many are opened before the first of them is looked at
            timeout_graceful_shutdown=int(patience) + 2,  # after which uvicorn cancels, and logs what it cancelled
        )
        super().__init__(config)
        self.patience = patience

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(1024)  # so many wait in the system, and cost this process nothing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends the service in good order, the second one at once."""
        if self.should_exit:
            self.hang_up()
        else:
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        timer = asyncio.get_running_loop().call_later(self.patience, self.hang_up)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    def hang_up(self) -> None:
        """Close every connection. Whatever worked for it learns that its client has gone, and ends."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Connection(H11Protocol):
    """uvicorn's, with two limits that it lacks: how long a client may be silent, and how many may be connected.

    Above the limit the client that has been silent longest is hung up on, so that a question, or somebody who asks for
    the service's health, always gets through. Clients that wait for their answers are left alone.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.silence: asyncio.TimerHandle | None = None  # hangs up, unless a request comes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's
        super().connection_made(transport)
        self._expect_a_request()
        if len(self.connections) > most_connections():
            silent = [other for other in self.connections if isinstance(other, Connection) and other.silence]
            if silent:
                min(silent, key=Connection.silent_until).hang_up()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._stop_the_clock_for_a_request()

    def on_response_complete(self) -> None:
        self._expect_a_request()
        super().on_response_complete()  # which takes up a request that has come already
        self._stop_the_clock_for_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_the_clock()
        super().connection_lost(exc)

    def silent_until(self) -> float:
        """When its time is up."""
        return self.silence.when() if self.silence else float("inf")

    def hang_up(self) -> None:
        self._stop_the_clock()
        self.connections.discard(self)
        self.transport.abort()

    def _expect_a_request(self) -> None:
        self._stop_the_clock()
        self.silence = self.loop.call_later(SILENCE_SECONDS, self.hang_up)

    def _stop_the_clock_for_a_request(self) -> None:
        """A request that has come whole is answered, however long that takes."""
        if self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete:
            self._stop_the_clock()

    def _stop_the_clock(self) -> None:
        if self.silence:
            self.silence.cancel()
            self.silence = None


def most_connections() -> int:
    """At most half of the files that a process may have open; a connection is one."""
    return min(MAX_CONNECTIONS, most_files() // 2)


def most_files() -> int:
    """How many files this process may have open at a time. Windows sets no such limit."""
    try:
        import resource
    except ImportError:
        return 2 * MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft
