"""A RAG system as a service over HTTP: `ragedu serve`, or `create_app` around a RAG of your own.

A client in ten lines, with httpx:

    import os, httpx

    headers = {"Authorization": f"Bearer {os.environ['RAGEDU_API_KEY']}"}
    with httpx.Client(base_url="http://127.0.0.1:8000", headers=headers, timeout=60) as service:
        reply = service.post("/query", json={"question": "Who keeps the lighthouse?"})
        reply.raise_for_status()
        print(reply.json()["answer"])
        with service.stream("POST", "/stream", json={"question": "When does the ferry leave?"}) as lines:
            for line in lines.iter_lines():
                print(line)

All clients share one model. Questions wait in a queue, and one thread takes up to `at_once` of them and answers them
together, by `RAG.ask_many`: for every token the weights are then read once for all, so that eight answers are written
in much less than eight times the time of one. Nobody waits for a batch to fill: at an idle service a question is a
batch of one. A streamed question is answered alone. In batches rounding differs, which now and then chooses another
word (see `LanguageModel.generate`); with at_once=1 the answers are exactly those of `ask`.

The service speaks HTTP, not HTTPS, and is patient with clients that send slowly: where others than you can reach it,
put a reverse proxy before it, such as nginx.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from copy import copy
from html import escape
from math import ceil
from queue import SimpleQueue

import ragedu
from ragedu.rag import RAG, Answer

try:
    import uvicorn
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
    from pydantic import BaseModel, ConfigDict, Field
    from starlette.middleware.body_limit import RequestBodyLimitMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
except ImportError as error:
    raise ImportError('the service needs FastAPI and uvicorn: run  pip install "ragedu[serve]"') from error

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAKE_A_KEY = "make a key with  python -c 'import secrets; print(secrets.token_urlsafe())'  and set RAGEDU_API_KEY to it"
log = logging.getLogger(__name__)


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str
    k: int | None = Field(None, ge=1, le=20, description="how many sources to read")


class Source(BaseModel):
    id: str
    title: str
    score: float
    text: str


class Reply(BaseModel):
    question: str
    answer: str
    sources: list[Source]
    seconds: float = Field(description="since the question arrived, waiting included")


def create_app(
    rag: RAG, key: str | None, at_once: int = 8, waiting: int = 64, seconds: float = 120, largest: int = 16_384
) -> FastAPI:
    """A web application that answers from `rag`, for any ASGI server; `serve` and `running` run it.

    key: what clients must send, as `Authorization: Bearer KEY`; None lets everybody on this machine ask. at_once: the
    most questions answered together. waiting: the most that wait; the next gets 503 with Retry-After. seconds: since a
    question's arrival, after which its client gets 504. largest: bytes of a request, above which it gets 413.

    A question that ragedu refuses with a ValueError gets 422 and that sentence. Any other failure gets 500; what it was
    is told to the log alone.

    Raises ValueError for a key that is short or that no header can carry, and for limits that let nobody ask;
    TypeError for what is no RAG.
    """
    if not isinstance(rag, RAG):
        raise TypeError(
            f"the service answers from a RAG, not a {type(rag).__name__}: put LangChain's parts into one, "
            "RAG(LangChainRetriever(…), LangChainGenerator(…))"
        )
    if at_once < 1 or waiting < 1 or seconds <= 0:
        raise ValueError(
            f"at_once={at_once!r}, waiting={waiting!r} and seconds={seconds!r} leave no question room: "
            "the first two must be at least 1, and seconds above 0"
        )
    if key is not None:
        check_key(key)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher = app.state.batcher = Batcher(rag, at_once, waiting, seconds)
        work = app.state.work = asyncio.create_task(batcher.work())
        yield
        work.cancel()
        batcher.batches.put(None)

    def authorise(sent: HTTPAuthorizationCredentials | None = Depends(HTTPBearer(auto_error=False))) -> None:  # noqa: B008
        # == stops at the first character that differs, and by the time that it takes a key could be guessed in pieces.
        if key and not secrets.compare_digest(sent.credentials.encode() if sent else b"", key.encode()):
            raise HTTPException(401, "send the header  Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})

    app = FastAPI(
        title="ragedu",
        version=ragedu.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=largest)
    if not key:  # else a web page could give its own name this machine's address, and ask (DNS rebinding)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        told = [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
        if "json" not in request.headers.get("Content-Type", "").lower():
            told = ["send JSON, with the header  Content-Type: application/json"]
        return JSONResponse({"detail": "; ".join(told)}, 422)

    @app.post("/query", dependencies=[Depends(authorise)])
    async def query(asked: Query, request: Request) -> Reply:
        """Answer one question."""
        question = app.state.batcher.add(asked)
        try:
            return question.reply(await question.first(request))
        finally:
            question.leave()

    @app.post("/stream", dependencies=[Depends(authorise)], response_class=StreamingResponse)
    async def stream(asked: Query, request: Request) -> StreamingResponse:
        """Answer one question in server-sent events: `sources`, each `piece` of the text as it is written, and `done`
        with the whole reply; or `error`."""
        question = app.state.batcher.add(asked, streamed=True)
        try:
            first = await question.first(request)  # an error before it still gets a status of its own
        except BaseException:
            question.leave()
            raise
        return StreamingResponse(events(question, first), media_type="text/event-stream")

    @app.get("/health")
    async def health() -> dict[str, str | int]:
        """Whether the service is there, and how many questions wait. Needs no key."""
        if app.state.work.done():
            raise HTTPException(503, "nothing is answered any more: start the service again")
        return {"status": "ok", "waiting": len(app.state.batcher.waiting)}

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs() -> str:
        return page(app.openapi())

    return app


async def events(question: Question, answer: Answer | None) -> AsyncIterator[str]:
    event = lambda name, data: f"event: {name}\ndata: {json.dumps(data)}\n\n"
    try:
        yield event("sources", question.reply(answer).model_dump()["sources"])
        shown = ""
        while answer is not None:
            last, piece = answer, answer.text[len(shown) :]
            if piece:
                yield event("piece", {"text": piece})
                shown = last.text
            answer = await question.result()
        yield event("done", question.reply(last).model_dump())
    except HTTPException as error:
        yield event("error", {"status": error.status_code, "detail": error.detail})
    finally:
        question.leave()


def page(schema: dict) -> str:
    """The interface for people. FastAPI's own page fetches its scripts from the internet; this one has none."""
    parts = [
        f"<h2><code>{method.upper()} {path}</code></h2><p>{escape(operation.get('description', ''))}</p>"
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    for name in ("Query", "Reply", "Source"):
        parts.append(f"<h2>{name}</h2><pre>{escape(json.dumps(schema['components']['schemas'][name], indent=2))}</pre>")
    client = __doc__.split("\n\n    ", 1)[1].split("\n\nAll ")[0]
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>ragedu</title>"
        "<body style='font-family: sans-serif; max-width: 50em; margin: 2em auto'>"
        f"<h1>ragedu {ragedu.__version__}</h1><p>For programs: <a href='openapi.json'>openapi.json</a></p>"
        f"{''.join(parts)}<h2>A client</h2><pre>    {escape(client)}</pre></body></html>"
    )


# The questions and the model.


class Question:
    """A question while its client waits: results are put in by the model's thread and taken out by the event loop."""

    def __init__(self, batcher: Batcher, asked: Query, streamed: bool) -> None:
        self.batcher, self.text, self.k, self.streamed = batcher, asked.question, asked.k, streamed
        self.loop = asyncio.get_running_loop()
        self.arrived = self.loop.time()
        self.results: asyncio.Queue[Answer | BaseException | None] = asyncio.Queue()
        self.left = False

    def put(self, result: Answer | BaseException | None) -> None:
        self.loop.call_soon_threadsafe(self.results.put_nowait, result)

    async def result(self) -> Answer | None:
        """The next result, None after a stream's last. Raises HTTPException when there will be none."""
        try:
            async with asyncio.timeout_at(self.arrived + self.batcher.seconds):
                result = await self.results.get()
        except TimeoutError:
            raise HTTPException(504, f"no answer within {self.batcher.seconds:g} seconds") from None
        if isinstance(result, HTTPException):
            raise result
        # Not its subclasses: those of decoding would tell what was being decoded.
        if type(result) is ValueError and is_ours(result):
            raise HTTPException(422, str(result))
        if isinstance(result, BaseException):
            log.error("a question failed", exc_info=result)
            raise HTTPException(500, "the answer failed; the log of the service says why")
        return result

    async def first(self, request: Request) -> Answer | None:
        """The first result, unless the client hangs up before."""

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            self.results.put_nowait(HTTPException(499, "the client has gone"))

        watching = asyncio.create_task(watch())
        try:
            return await self.result()
        finally:
            watching.cancel()

    def leave(self) -> None:
        """Whoever has an answer, or has given up, holds neither a place in the queue nor the model."""
        self.left = True
        if self in self.batcher.waiting:
            self.batcher.waiting.remove(self)

    def reply(self, answer: Answer) -> Reply:
        found = [(hit.document, hit.score) for hit in answer.sources]
        sources = [Source(id=one.id, title=one.title, score=score, text=one.text) for one, score in found]
        seconds = round(self.loop.time() - self.arrived, 3)
        return Reply(question=self.text, answer=answer.text, sources=sources, seconds=seconds)


class Batcher:
    """The queue, which only the event loop touches, and the thread, the only one that uses the RAG."""

    def __init__(self, rag: RAG, at_once: int, places: int, seconds: float) -> None:
        self.rag, self.at_once, self.places, self.seconds = rag, at_once, places, seconds
        self.waiting: list[Question] = []
        self.new = asyncio.Event()
        self.pace = 1.0  # seconds that the last batch took
        self.batches: SimpleQueue[tuple[list[Question], Future] | None] = SimpleQueue()
        # A daemon: for any other thread, of a pool too, Python waits at its end, however long the generator hangs.
        threading.Thread(target=self._use_the_rag, name="ragedu", daemon=True).start()

    def add(self, asked: Query, streamed: bool = False) -> Question:
        if len(self.waiting) >= self.places:
            patience = max(1, ceil(self.pace * self.places / self.at_once))
            raise HTTPException(503, "too many questions wait: ask again later", {"Retry-After": str(patience)})
        question = Question(self, asked, streamed)
        self.waiting.append(question)
        self.new.set()
        return question

    async def work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self.waiting:
                self.new.clear()
                await self.new.wait()
            first = self.waiting[0]
            alike = [other for other in self.waiting if other.k == first.k and not other.streamed]
            batch = [first] if first.streamed else alike[: self.at_once]
            self.waiting = [question for question in self.waiting if question not in batch]
            started, answered = loop.time(), Future()
            self.batches.put((batch, answered))
            await asyncio.wrap_future(answered)
            self.pace = loop.time() - started

    def _use_the_rag(self) -> None:
        while (job := self.batches.get()) is not None:
            batch, answered = job
            if answered.set_running_or_notify_cancel():
                try:
                    answered.set_result(self._stream(batch) if batch[0].streamed else self._answer(batch))
                except BaseException as error:
                    answered.set_exception(error)

    def _answer(self, batch: list[Question]) -> None:
        results = answer_all(self._rag(batch[0].k), [question.text for question in batch])
        for question, result in zip(batch, results, strict=True):
            question.put(result)

    def _stream(self, batch: list[Question]) -> None:
        [question], rag = batch, self._rag(batch[0].k)
        try:
            in_pieces = hasattr(rag.generator, "stream")
            for answer in rag.stream(question.text) if in_pieces else [rag.ask(question.text)]:
                if question.left:
                    return
                question.put(answer)
            question.put(None)
        except BaseException as error:  # a panic in a library of Rust is no Exception
            question.put(error)

    def _rag(self, k: int | None) -> RAG:
        rag = copy(self.rag)  # the same retriever and model
        rag.k = k or rag.k
        return rag


def answer_all(rag: RAG, questions: Sequence[str]) -> list[Answer | BaseException]:
    """The answer to each question, or its error: a batch that fails is halved until whatever fails is alone."""
    try:
        return rag.ask_many(questions)
    except BaseException as error:
        if len(questions) == 1:
            return [error]
    middle = len(questions) // 2
    return answer_all(rag, questions[:middle]) + answer_all(rag, questions[middle:])


def is_ours(error: Exception) -> bool:
    """Whether ragedu itself raised it. What others say may hold what no client should read: an address, a key."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").startswith("ragedu.")


# Running it.


def key_from_environment() -> str:
    """RAGEDU_API_KEY. Raises ValueError, which says how to make one, where there is none or a bad one."""
    if not (key := os.environ.get("RAGEDU_API_KEY")):
        raise ValueError(f"the environment has no RAGEDU_API_KEY: {MAKE_A_KEY}")
    return check_key(key)


def check_key(key: str) -> str:
    if len(key) < 16 or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"the API key must have 16 or more ASCII characters and no blank: {MAKE_A_KEY}")
    return key


def listen(host: str, port: int) -> socket.socket:
    """A socket for `serve`; port 0 takes a free one. Raises OSError when the port is taken."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve until Ctrl+C or SIGTERM, and then for ten seconds at most those who wait already."""
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
