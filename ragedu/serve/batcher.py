"""The questions that wait, and the one thread that answers them.

The event loop puts questions into the queue and takes batches out of it. The thread is the only one that uses the RAG.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from copy import copy
from math import ceil
from queue import SimpleQueue
from threading import Thread

from fastapi import HTTPException, Request

from ragedu.answer import Answer
from ragedu.rag import RAG
from ragedu.serve.messages import Query, Reply, Source
from ragedu.showing import block

log = logging.getLogger(__name__)


class PendingQuestion:
    """A question while its client waits: the model's thread puts results in, and the event loop takes them out.

    A result is an Answer, or the error that there is instead. A stream has several, each longer than the last, and None
    after the last.
    """

    def __init__(self, batcher: Batcher, query: Query, *, streamed: bool) -> None:
        self.batcher, self.text, self.k, self.streamed = batcher, query.question, query.k, streamed
        self.loop = asyncio.get_running_loop()
        self.arrived = self.loop.time()
        self.results: asyncio.Queue[Answer | BaseException | None] = asyncio.Queue()
        self.left = False

    def put(self, result: Answer | BaseException | None) -> None:
        """For the model's thread."""
        self.loop.call_soon_threadsafe(self.results.put_nowait, result)

    async def first(self, request: Request) -> Answer:
        """The first result. Raises HTTPException as `result` does, and when the client hangs up before."""
        watching = asyncio.create_task(self._watch(request))
        try:
            answer = await self.result()
        finally:
            watching.cancel()
        assert answer is not None  # None comes only after an answer
        return answer

    async def result(self) -> Answer | None:
        """The next result, None after a stream's last. Raises HTTPException when there will be none."""
        seconds = self.batcher.seconds
        try:
            async with asyncio.timeout_at(self.arrived + seconds):
                result = await self.results.get()
        except TimeoutError:
            raise HTTPException(504, f"no answer within {seconds:g} seconds") from None
        if isinstance(result, BaseException):
            raise as_http(result)
        return result

    async def _watch(self, request: Request) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.results.put_nowait(HTTPException(499, "the client has gone"))

    def leave(self) -> None:
        """Whoever has an answer, or has given up, holds neither a place in the queue nor the model."""
        self.left = True
        if self in self.batcher.waiting:
            self.batcher.waiting.remove(self)

    def reply(self, answer: Answer) -> Reply:
        """What the client gets."""
        sources = [
            Source(id=hit.document.id, title=hit.document.title, score=hit.score, text=hit.document.text)
            for hit in answer.sources
        ]
        seconds = round(self.loop.time() - self.arrived, 3)
        return Reply(question=self.text, answer=answer.text, sources=sources, seconds=seconds)


class Batcher:
    """The queue and the thread. It is made in a running event loop, and works until `stop`.

    Parameters
    ----------
    rag
        What answers.
    at_once
        The most questions that are answered together.
    places
        The most questions that wait.
    seconds
        How long a question may take, waiting included.
    """

    def __init__(self, rag: RAG, *, at_once: int, places: int, seconds: float) -> None:
        self.rag, self.at_once, self.places, self.seconds = rag, at_once, places, seconds
        self.waiting: list[PendingQuestion] = []
        self.arrival = asyncio.Event()
        self.seconds_of_the_last_batch = 1.0
        self.batches: SimpleQueue[tuple[list[PendingQuestion], Future[None]] | None] = SimpleQueue()
        # A daemon: at its end Python waits for any other thread, of a pool too, however long the generator hangs.
        Thread(target=self._answer_batches, name="ragedu", daemon=True).start()
        self.work = asyncio.create_task(self._make_batches())

    @property
    def is_working(self) -> bool:
        return not self.work.done()

    def stop(self) -> None:
        self.work.cancel()
        self.batches.put(None)

    # In the event loop, the only one that touches `waiting`.

    def add(self, query: Query, *, streamed: bool = False) -> PendingQuestion:
        """Put a question into the queue. Raises HTTPException when too many wait."""
        if len(self.waiting) >= self.places:
            patience = max(1, ceil(self.seconds_of_the_last_batch * self.places / self.at_once))
            raise HTTPException(503, "too many questions wait: ask again later", {"Retry-After": str(patience)})
        question = PendingQuestion(self, query, streamed=streamed)
        self.waiting.append(question)
        self.arrival.set()
        return question

    async def _make_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = self._take(await self._first())
            started = loop.time()
            answered: Future[None] = Future()
            self.batches.put((batch, answered))
            await asyncio.wrap_future(answered)
            self.seconds_of_the_last_batch = loop.time() - started

    async def _first(self) -> PendingQuestion:
        """The question that has waited longest, as soon as one waits."""
        while not self.waiting:
            self.arrival.clear()
            await self.arrival.wait()
        return self.waiting[0]

    def _take(self, first: PendingQuestion) -> list[PendingQuestion]:
        """Take a question out of the queue, and with it those that can be answered together with it."""
        batch = [first]
        if not first.streamed:
            alike = [other for other in self.waiting if other.k == first.k and not other.streamed]
            batch = alike[: self.at_once]
        self.waiting = [question for question in self.waiting if question not in batch]
        return batch

    # In the thread.

    def _answer_batches(self) -> None:
        while (job := self.batches.get()) is not None:
            batch, answered = job
            if answered.set_running_or_notify_cancel():
                try:
                    self.answer(batch)
                except BaseException as error:
                    answered.set_exception(error)
                else:
                    answered.set_result(None)

    def answer(self, batch: list[PendingQuestion]) -> None:
        """Answer the questions, all with the same k; a streamed one is alone."""
        rag = copy(self.rag)  # the same retriever and model
        rag.k = batch[0].k or rag.k
        if batch[0].streamed:
            stream(rag, batch[0])
            return
        results = answer_all(rag, [question.text for question in batch])
        for question, result in zip(batch, results, strict=True):
            question.put(result)


def answer_all(rag: RAG, questions: Sequence[str]) -> list[Answer | BaseException]:
    """The answer to each question, or its error: a batch that fails is halved until whatever fails is alone."""
    try:
        return [*rag.ask_many(questions)]
    except BaseException as error:  # a panic in a library of Rust is no Exception
        if len(questions) == 1:
            return [error]
    middle = len(questions) // 2
    return answer_all(rag, questions[:middle]) + answer_all(rag, questions[middle:])


def stream(rag: RAG, question: PendingQuestion) -> None:
    """Answer a question piece by piece, or at once where the generator has no pieces, until its client has left."""
    try:
        answers = rag.stream(question.text) if hasattr(rag.generator, "stream") else [rag.ask(question.text)]
        for answer in answers:
            if question.left:
                return
            question.put(answer)
        question.put(None)
    except BaseException as error:
        question.put(error)


def as_http(error: BaseException) -> HTTPException:
    """What the client is told of an error: a sentence of ragedu's own, or else only that there was one."""
    if isinstance(error, HTTPException):
        return error
    # Not its subclasses: those of decoding would tell what was being decoded.
    if type(error) is ValueError and is_ours(error):
        return HTTPException(422, str(error))
    # The error may say what a client has sent, and a log is read in a terminal.
    log.error("a question failed\n%s", block("".join(traceback.format_exception(error)), indent=0))
    return HTTPException(500, "the answer failed; the log of the service says why")


def is_ours(error: Exception) -> bool:
    """Whether ragedu itself raised it. What others say may hold what no client should read: an address, a key."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith("ragedu.")
