"""The application: a RAG behind routes of HTTP."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import Receive, Scope, Send

import ragedu
from ragedu.answer import Answer
from ragedu.rag import RAG
from ragedu.serve.batcher import Batcher, PendingQuestion
from ragedu.serve.documentation import page
from ragedu.serve.keys import LOOPBACK, check_key
from ragedu.serve.messages import Query, Reply


def create_app(
    rag: RAG, key: str | None, *, at_once: int = 8, waiting: int = 64, seconds: float = 120, largest: int = 16_384
) -> FastAPI:
    """A web application that answers from `rag`, for any ASGI server; `serve` and `running` run it.

    A question that ragedu refuses with a ValueError gets 422 and that sentence. Any other failure gets 500, and only
    the log says what it was.

    Parameters
    ----------
    rag
        Any RAG, fitted.
    key
        What clients must send, as `Authorization: Bearer KEY`; None lets everybody on this machine ask.
    at_once
        The most questions answered together.
    waiting
        The most questions that wait; the next gets 503 with Retry-After.
    seconds
        Since a question's arrival, after which its client gets 504.
    largest
        Bytes of a request, above which it gets 413.

    Raises
    ------
    ValueError
        For a key that is short or that no header can carry, and for limits that let nobody ask.
    TypeError
        For what is no RAG.
    """
    check_rag(rag)
    check_limits(at_once, waiting, seconds)
    if key is not None:
        check_key(key)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.batcher = Batcher(rag, at_once=at_once, places=waiting, seconds=seconds)
        yield
        app.state.batcher.stop()

    app = FastAPI(
        title="ragedu",
        version=ragedu.__version__,
        lifespan=lifespan,
        exception_handlers={RequestValidationError: malformed},
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.key = key
    if key is None:  # else a web page could give its own name this machine's address, and ask (DNS rebinding)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    # The key itself is checked by QuestionRoute; this puts it into the description of the service.
    app.include_router(questions, dependencies=[Depends(HTTPBearer(auto_error=False))], max_body_size=largest)
    app.include_router(about)
    return app


def check_rag(rag: object) -> None:
    if not isinstance(rag, RAG):
        raise TypeError(
            f"the service answers from a RAG, not a {type(rag).__name__}: put LangChain's parts into one, "
            "RAG(LangChainRetriever(…), LangChainGenerator(…))"
        )


def check_limits(at_once: int, waiting: int, seconds: float) -> None:
    if at_once < 1 or waiting < 1 or seconds <= 0:
        raise ValueError(
            f"at_once={at_once!r}, waiting={waiting!r} and seconds={seconds!r} leave no question room: "
            "the first two must be at least 1, and seconds above 0"
        )


class QuestionRoute(APIRoute):
    """A route that refuses whoever does not send the key, before it looks at anything else of the request."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if sends_key(Headers(scope=scope), scope["app"].state.key):
            await super().handle(scope, receive, send)
        else:
            detail = {"detail": "send the header  Authorization: Bearer KEY"}
            refusal = JSONResponse(detail, 401, headers={"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)


def sends_key(headers: Headers, key: str | None) -> bool:
    """Whether a request with these headers has the key; without a key, every request does."""
    if key is None:
        return True
    scheme, sent = get_authorization_scheme_param(headers.get("Authorization"))
    # == stops at the first character that differs, and by the time that it takes a key could be guessed in pieces.
    return scheme.lower() == "bearer" and secrets.compare_digest(sent.encode(), key.encode())


async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    """The answer to a request that is no Query: what is wrong with it, in words."""
    if "json" not in request.headers.get("Content-Type", "").lower():
        detail = "send JSON, with the header  Content-Type: application/json"
    else:
        parts = [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
        detail = "; ".join(parts)
    return JSONResponse({"detail": detail}, 422)


# The routes.

questions, about = APIRouter(route_class=QuestionRoute), APIRouter()


def batcher_of(request: Request) -> Batcher:
    return request.app.state.batcher


@questions.post("/query")
async def query(asked: Query, request: Request) -> Reply:
    """Answer one question."""
    question = batcher_of(request).add(asked)
    try:
        return question.reply(await question.first(request))
    finally:
        question.leave()


@questions.post("/stream", response_class=StreamingResponse)
async def stream(asked: Query, request: Request) -> StreamingResponse:
    """Answer one question in server-sent events: `sources`, each `piece` of the text as it is written, and `done` with
    the whole reply; or `error`."""
    question = batcher_of(request).add(asked, streamed=True)
    try:
        first = await question.first(request)  # an error before it still gets a status of its own
    except BaseException:
        question.leave()
        raise
    return StreamingResponse(events(question, first), media_type="text/event-stream")


async def events(question: PendingQuestion, first: Answer) -> AsyncIterator[str]:
    """The events of a stream, which begins with its first answer: the sources are known, and some of the text."""
    answer: Answer | None = first
    last, shown = first, ""
    try:
        yield event("sources", question.reply(first).model_dump()["sources"])
        while answer is not None:
            last = answer
            if piece := last.text[len(shown) :]:
                yield event("piece", {"text": piece})
                shown = last.text
            answer = await question.result()
        yield event("done", question.reply(last).model_dump())
    except HTTPException as error:
        yield event("error", {"status": error.status_code, "detail": error.detail})
    finally:
        question.leave()


def event(name: str, data: Any) -> str:
    """A server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


@about.get("/health")
async def health(request: Request) -> dict[str, str | int]:
    """Whether the service is there, and how many questions wait. Needs no key."""
    batcher = batcher_of(request)
    if not batcher.is_working:
        raise HTTPException(503, "nothing is answered any more: start the service again")
    return {"status": "ok", "waiting": len(batcher.waiting)}


@about.get("/docs", response_class=HTMLResponse, include_in_schema=False)
async def docs(request: Request) -> str:
    return page(request.app.openapi())
