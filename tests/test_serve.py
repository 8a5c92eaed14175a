"""The service, on a real server and over real connections."""

import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from html import escape
from http.client import HTTPConnection

import httpx
import pytest

import ragedu
from ragedu import RAG, BM25Retriever, Corpus, Document
from ragedu.serve import CLIENT, create_app, key_from_environment, listening, running

KEY = "a-key-for-tests-3f9c1e"
WORDS = [f"word{number}" for number in range(60)]


def rag_with(generator, k=1):
    """Every word has a document of its own."""
    corpus = Corpus(Document(word, f"The page about {word}.", word.title()) for word in WORDS)
    return RAG(BM25Retriever().fit(corpus), generator, k=k, prompt=lambda question, documents: question)


class Batches:
    """A generator that says the question back, and remembers what it was asked together."""

    failure = RuntimeError

    def __init__(self):
        self.asked = []

    def __call__(self, prompt):
        return self.generate([prompt])[0]

    def generate(self, prompts):
        self.asked.append(list(prompts))
        if any("kraken" in prompt for prompt in prompts):
            raise self.failure("the secret of the kraken")
        return [f"so you ask: {prompt}" for prompt in prompts]


class Gate(Batches):
    """It answers only when the gate is open."""

    def __init__(self):
        super().__init__()
        self.open, self.entered = threading.Event(), threading.Event()

    def generate(self, prompts):
        self.entered.set()
        assert self.open.wait(20)
        return super().generate(prompts)


def client(url, key=KEY, **options):
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, **options)


def post(url, question, path="/query", **more):
    with client(url) as service:
        return service.post(path, json={"question": question, **more})


def at_the_same_time(url, questions):
    with ThreadPoolExecutor(len(questions)) as clients:
        return list(clients.map(lambda question: post(url, question), questions))


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within ten seconds")


def waiting(url):
    return httpx.get(f"{url}/health").json()["waiting"]


def events(text):
    parts = re.findall(r"event: (\w+)\ndata: (.*)\n\n", text)
    assert "".join(f"event: {name}\ndata: {data}\n\n" for name, data in parts) == text
    return [(name, json.loads(data)) for name, data in parts]


@pytest.fixture(scope="module")
def url():
    with running(create_app(rag_with(Batches()), KEY, largest=2000)) as url:
        yield url


# One client.


def test_a_reply_is_what_ask_says(url):
    rag = rag_with(Batches(), k=2)
    for k in (1, 2):
        rag.k = k
        answer = rag.ask("word7 and word8")
        reply = post(url, "word7 and word8", k=k).json()
        assert list(reply) == ["question", "answer", "sources", "seconds"]  # as of  ragedu ask --json
        assert reply["question"] == "word7 and word8" and reply["answer"] == answer.text and 0 <= reply["seconds"] < 20
        assert reply["sources"] == [
            {"id": hit.document.id, "title": hit.document.title, "score": hit.score, "text": hit.document.text}
            for hit in answer.sources
        ]
        assert len(reply["sources"]) == k
    assert len(post(url, "word7 and word8").json()["sources"]) == 1  # another's k is not kept


def test_a_question_about_nothing(url):
    reply = post(url, "zeppelin").json()
    assert reply["answer"] == "Not in the sources." and reply["sources"] == []
    assert [name for name, _ in events(post(url, "zeppelin", "/stream").text)] == ["sources", "piece", "done"]


@pytest.mark.parametrize("path", ["/query", "/stream"])
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", f"Basic {KEY}", KEY, f"Bearer {KEY[:-1]}", f"Bearer {KEY}x", b"Bearer \xff\xe9"],
)
def test_a_wrong_key(url, path, header):
    headers = {} if header is None else {"Authorization": header}
    refused = httpx.post(url + path, json={"question": "word1"}, headers=headers)
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json() == {"detail": "send the header  Authorization: Bearer KEY"}


@pytest.mark.parametrize("path", ["/query", "/stream"])
def test_an_oversized_request(url, path):
    body = json.dumps({"question": "word1 " * 2000}).encode()
    pieces = (body[start : start + 100] for start in range(0, len(body), 100))
    with client(url) as service:
        for content in (body, b"x" * 20_000_000, pieces):  # the last is chunked: it has no Content-Length
            assert service.post(path, content=content, headers={"Content-Type": "application/json"}).status_code == 413
        fits = json.dumps({"question": "word1 " + "x" * 1900}).encode()
        assert service.post(path, content=fits, headers={"Content-Type": "application/json"}).status_code == 200


@pytest.mark.parametrize("path", ["/query", "/stream"])
@pytest.mark.parametrize(
    "body, says",
    [
        ('{"question": " "}', "is blank: ask with at least one word"),
        ('{"question": "the"}', "only stop words"),
        ('{"question": "a\\u0000b"}', "NUL character"),
        ('{"question": "\\ud800"}', "lone surrogate"),
        ("{", "JSON decode error"),
        ("{}", "question: Field required"),
        ('{"question": 3}', "question: Input should be a valid string"),
        ('{"question": "word1", "k": 0}', "k: Input should be greater than or equal to 1"),
        ('{"question": "word1", "k": 21}', "k: Input should be less than or equal to 20"),
        ('{"question": "word1", "n": 1}', "n: Extra inputs are not permitted"),
        ('["word1"]', "valid dictionary"),
    ],
)
def test_a_malformed_request(url, path, body, says):
    with client(url) as service:
        refused = service.post(path, content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422 and says in refused.json()["detail"]


@pytest.mark.parametrize("path", ["/query", "/stream"])
def test_a_request_that_is_not_said_to_be_json(url, path):
    with client(url) as service:
        for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):  # the latter is what curl -d says
            refused = service.post(path, content=b'{"question": "word1"}', headers=headers)
            assert refused.status_code == 422
            assert refused.json() == {"detail": "send JSON, with the header  Content-Type: application/json"}


def test_the_page_fetches_nothing(url):
    page = httpx.get(f"{url}/docs").text
    assert not re.search(r"<script|<link|<img|src=|url\(", page)
    assert set(re.findall(r"https?://([\w.]+)", page)) == {"127.0.0.1"}  # in the example
    described = httpx.get(f"{url}/openapi.json").json()
    assert list(described["paths"]) == ["/query", "/stream", "/health"]
    assert all(path in page for path in described["paths"])
    assert described["components"]["securitySchemes"] == {"HTTPBearer": {"type": "http", "scheme": "bearer"}}
    assert "security" in described["paths"]["/query"]["post"] and "security" in described["paths"]["/stream"]["post"]


def test_the_client_of_the_documentation(url, monkeypatch, capsys):
    assert len(CLIENT.splitlines()) == 10 and escape(CLIENT) in httpx.get(f"{url}/docs").text
    code = CLIENT.replace("http://127.0.0.1:8000", url)
    code = code.replace("Who keeps the lighthouse?", "word3?").replace("When does the ferry leave?", "word4?")
    monkeypatch.setenv("RAGEDU_API_KEY", KEY)
    exec(code, {})
    shown = capsys.readouterr().out
    assert shown.startswith("so you ask: word3?\nevent: sources\n") and 'event: piece\ndata: {"text": "so you' in shown


# Many clients.


def test_fifty_clients_get_each_their_own_answer():
    generator = Batches()
    with running(create_app(rag_with(generator), KEY, at_once=8)) as url, ThreadPoolExecutor(50) as clients:

        def ask_often(number):
            replies = []
            with client(url) as service:
                for turn in range(4):
                    path = "/stream" if (number + turn) % 10 == 0 else "/query"
                    question = f"{WORDS[number]}, turn {turn}?"
                    response = service.post(path, json={"question": question, "k": 1 + turn % 2})
                    assert response.status_code == 200
                    replies.append((question, response.json() if path == "/query" else events(response.text)[-1][1]))
            return replies

        for number, replies in enumerate(clients.map(ask_often, range(50))):
            for question, reply in replies:
                assert reply["question"] == question and reply["answer"] == f"so you ask: {question}"
                assert [source["id"] for source in reply["sources"]] == [WORDS[number]]
    assert sum(map(len, generator.asked)) == 200  # each once
    assert 1 < max(map(len, generator.asked)) <= 8  # together, but never more than wanted


def test_overload():
    gate = Gate()
    with (
        running(create_app(rag_with(gate), KEY, at_once=1, waiting=2)) as url,
        ThreadPoolExecutor(3) as clients,
    ):
        served = [clients.submit(post, url, "word0")]
        assert gate.entered.wait(20)
        for number in (1, 2):
            served.append(clients.submit(post, url, f"word{number}"))
            wait_for(lambda number=number: waiting(url) == number)
        for path in ("/query", "/stream"):
            refused = post(url, "word3", path)
            assert refused.status_code == 503 and int(refused.headers["Retry-After"]) >= 1
            assert refused.json() == {"detail": "too many questions wait: ask again later"}
        gate.open.set()
        assert [reply.result().json()["answer"] for reply in served] == [f"so you ask: word{n}" for n in range(3)]
        assert post(url, "word3").status_code == 200
    assert gate.asked == [["word0"], ["word1"], ["word2"], ["word3"]]


def test_time_limit():
    gate = Gate()
    with running(create_app(rag_with(gate), KEY, at_once=1, seconds=0.3)) as url:
        with ThreadPoolExecutor(3) as clients:
            first = clients.submit(post, url, "word0")
            assert gate.entered.wait(20)
            late = [first, *(clients.submit(post, url, "word1", path) for path in ("/query", "/stream"))]
            for reply in late:
                assert reply.result().status_code == 504
                assert reply.result().json() == {"detail": "no answer within 0.3 seconds"}
        assert waiting(url) == 0
        gate.open.set()
        wait_for(lambda: post(url, "word2").status_code == 200)
    assert ["word1"] not in gate.asked  # nobody waits for it any more


def test_clients_that_hang_up():
    gate = Gate()
    with running(create_app(rag_with(gate), KEY, at_once=4, waiting=4)) as url, ThreadPoolExecutor(2) as clients:
        first = clients.submit(post, url, "word0")
        assert gate.entered.wait(20)
        for path in ("/query", "/stream"):
            connection = HTTPConnection(url.removeprefix("http://"))
            headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
            connection.request("POST", path, '{"question": "word1"}', headers)
            wait_for(lambda: waiting(url) == 1)
            connection.close()
            wait_for(lambda: waiting(url) == 0)  # its place is free
        last = clients.submit(post, url, "word2")
        wait_for(lambda: waiting(url) == 1)
        gate.open.set()
        assert first.result().status_code == last.result().status_code == 200
    assert gate.asked == [["word0"], ["word2"]]


@pytest.mark.parametrize("failing", [0, 3, 7])
def test_a_failing_question_leaves_its_neighbours_alone(failing, caplog):
    gate = Gate()
    with running(create_app(rag_with(gate), KEY, at_once=8)) as url, ThreadPoolExecutor(9) as clients:
        first = clients.submit(post, url, "word0")
        assert gate.entered.wait(20)
        questions = [f"word{n}, the kraken?" if n == failing else f"word{n}?" for n in range(6)]
        questions += ["the", "word6?" if failing != 7 else "word6, the kraken?"]  # "the" fails before any prompt
        replies = [clients.submit(post, url, question) for question in questions]
        wait_for(lambda: waiting(url) == 8)
        gate.open.set()
        assert first.result().status_code == 200
        for question, reply in zip(questions, [reply.result() for reply in replies], strict=True):
            if "kraken" in question:
                assert reply.status_code == 500 and "secret" not in reply.text
            elif question == "the":
                assert reply.status_code == 422
            else:
                assert reply.json()["answer"] == f"so you ask: {question}"
    assert "the secret of the kraken" in caplog.text and KEY not in caplog.text


@pytest.mark.parametrize("path", ["/query", "/stream"])
@pytest.mark.parametrize("failure", [BaseException, asyncio.CancelledError, SystemExit, StopIteration, ValueError])
def test_whatever_fails_the_service_goes_on_and_tells_the_log_alone(failure, path, caplog):
    generator = Batches()
    generator.failure = failure
    with running(create_app(rag_with(generator), KEY, seconds=5)) as url:
        failed = post(url, "word1, the kraken?", path)
        assert failed.status_code == 500 and "secret" not in failed.text
        assert post(url, "word2", path).status_code == 200
    assert "the secret of the kraken" in caplog.text


def test_a_service_that_answers_no_more_is_not_healthy():
    app = create_app(rag_with(Batches()), KEY)
    with running(app) as url:
        assert httpx.get(f"{url}/health").status_code == 200
        app.state.batcher.answer = None  # nothing that it may do ends its work; so it is broken here
        with ThreadPoolExecutor(1) as clients:
            headers = {"Authorization": f"Bearer {KEY}"}
            clients.submit(httpx.post, f"{url}/query", json={"question": "word1"}, headers=headers, timeout=2)
            wait_for(lambda: httpx.get(f"{url}/health").status_code == 503)


def test_what_is_no_rag():
    with pytest.raises(TypeError, match=r"answers from a RAG, not a function: .* RAG\(LangChainRetriever"):
        create_app(lambda question: question, KEY)


@pytest.mark.parametrize("limits", [{"at_once": 0}, {"waiting": 0}, {"seconds": 0}, {"seconds": -1}])
def test_limits_that_let_nobody_ask(limits):
    with pytest.raises(ValueError, match="leave no question room"):
        create_app(rag_with(Batches()), KEY, **limits)


def test_a_generator_without_batches():
    with running(create_app(rag_with(lambda prompt: prompt.upper()), KEY)) as url:
        questions = [f"word{number}?" for number in range(20)]
        replies = [reply.json()["answer"] for reply in at_the_same_time(url, questions)]
        assert replies == [question.upper() for question in questions]
        names, data = zip(*events(post(url, "word1?", "/stream").text), strict=True)
        assert names == ("sources", "piece", "done") and data[1] == {"text": "WORD1?"}


def test_memory_is_flat(monkeypatch):
    """Answers, refusals and failures by the hundred leave nothing behind."""
    monkeypatch.setattr(ragedu.serve.batcher.log, "error", lambda *_, **__: None)  # pytest keeps what is logged

    def generator(prompt):
        return prompt if "kraken" not in prompt else 1 / 0

    def ask(number):
        for turn in range(number):
            question = ["word1", "the", "word2, the kraken?", "zeppelin"][turn % 4] + 10_000 * "?"
            service.post("/stream" if turn % 3 == 0 else "/query", json={"question": question})
        service.post("/query", content=b"x" * 100_000)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    with running(create_app(rag_with(generator), KEY)) as url, client(url) as service:
        tracemalloc.start()
        try:
            growth = -ask(20) + ask(100)
        finally:
            tracemalloc.stop()
    assert growth < 300_000  # the questions alone, if they were kept, are 800,000 bytes more


# Streams.


class Writer:
    """A generator that writes `pieces`; `pause` is waited for after the first."""

    def __init__(self, *pieces):
        self.pieces, self.pause, self.ended = pieces, threading.Event(), threading.Event()

    def __call__(self, prompt):
        return "".join(self.pieces).strip()

    def stream(self, prompt):
        try:
            yield self.pieces[0]
            assert self.pause.wait(20)
            for piece in self.pieces[1:]:
                if piece is None:
                    raise RuntimeError("the secret of the kraken")
                yield piece
        finally:
            self.ended.set()


def test_a_stream_comes_as_it_is_written():
    writer = Writer("Bread ", "is\nbaked ", "", "before dawn: 빵 ")
    with (
        running(create_app(rag_with(writer), KEY)) as url,
        client(url) as service,
        service.stream("POST", "/stream", json={"question": "word5"}) as response,
    ):
        assert response.headers["Content-Type"].startswith("text/event-stream")
        text = ""
        for piece in response.iter_text():
            text += piece
            if "event: piece" in text and not writer.pause.is_set():
                assert not writer.ended.is_set() and "done" not in text  # read while the rest is not yet written
                writer.pause.set()
    (first, sources), *pieces, (last, reply) = events(text)
    assert first == "sources" and [source["id"] for source in sources] == ["word5"] and last == "done"
    assert [data["text"] for _, data in pieces] == ["Bread ", "is\nbaked ", "before dawn: 빵 "]
    assert reply["answer"] == writer("") and reply["sources"] == sources and reply["question"] == "word5"


def test_a_stream_that_fails_or_takes_too_long(caplog):
    writer = Writer("Bread ", None)
    writer.pause.set()
    with running(create_app(rag_with(writer), KEY)) as url:
        told = events(post(url, "word5", "/stream").text)
    assert [name for name, _ in told] == ["sources", "piece", "error"] and told[-1][1]["status"] == 500
    assert "secret" not in told[-1][1]["detail"] and "secret of the kraken" in caplog.text
    writer = Writer("Bread ", "is late")
    with running(create_app(rag_with(writer), KEY, seconds=2)) as url:
        told = events(post(url, "word5", "/stream").text)
        writer.pause.set()
    assert [name for name, _ in told] == ["sources", "piece", "error"]
    assert told[-1][1] == {"status": 504, "detail": "no answer within 2 seconds"}


def test_a_stream_that_nobody_reads_ends():
    writer = Writer("Bread ", *["and butter "] * 1_000_000)
    with running(create_app(rag_with(writer), KEY)) as url:
        with client(url) as service, service.stream("POST", "/stream", json={"question": "word5"}) as response:
            next(response.iter_text())
        writer.pause.set()
        assert writer.ended.wait(20)
        writer.pieces = ("Bread",)
        assert post(url, "word6").json()["answer"] == "Bread"  # the model is free


# Keys, and what starts and ends a service.


def test_without_a_key_only_this_machine_asks():
    with running(create_app(rag_with(Batches()), key=None)) as url:
        assert httpx.post(f"{url}/query", json={"question": "word1"}).status_code == 200
        named = httpx.post(f"{url}/query", json={"question": "word1"}, headers={"Host": "evil.example"})
        assert named.status_code == 400
        plain = httpx.post(f"{url}/query", content='{"question": "word1"}', headers={"Content-Type": "text/plain"})
        assert plain.status_code == 422  # what a page in a browser may send unasked


@pytest.mark.parametrize(
    "key", ["", "short", "fifteen letters", "long enough but with blanks", "schlüssel" * 3, "a\n" * 9]
)
def test_a_bad_key(key, monkeypatch):
    with pytest.raises(ValueError, match="16 or more ASCII characters and no blank: make a key with") as error:
        create_app(rag_with(Batches()), key)
    assert not key or key not in str(error.value)
    monkeypatch.setenv("RAGEDU_API_KEY", key)
    with pytest.raises(ValueError, match="make a key with  python -c"):
        key_from_environment()


def test_questions_on_the_way_are_answered_at_the_end():
    gate = Gate()
    with ThreadPoolExecutor(1) as clients:
        with running(create_app(rag_with(gate), KEY)) as url:
            reply = clients.submit(post, url, "word1")
            assert gate.entered.wait(20)
            threading.Timer(0.3, gate.open.set).start()  # after the end has begun
        assert reply.result().json()["answer"] == "so you ask: word1"
    with pytest.raises(httpx.ConnectError):
        post(url, "word1")


def test_a_generator_that_hangs_keeps_no_program_from_ending():
    code = """
import threading, time
import httpx
from ragedu import RAG, BM25Retriever, Corpus
from ragedu.serve import create_app, running

def hang(prompt):
    entered.set()
    time.sleep(60)

entered = threading.Event()
with running(create_app(RAG(BM25Retriever().fit(Corpus.from_texts(["ferry", "boat"])), hang), None)) as url:
    asked = dict(url=url + "/query", json={"question": "ferry"}, timeout=60)
    threading.Thread(target=httpx.post, kwargs=asked, daemon=True).start()
    assert entered.wait(20)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=45, stderr=subprocess.DEVNULL)


def test_an_app_runs_again():
    app = create_app(rag_with(Batches()), KEY)
    for _ in range(2):
        with running(app) as url:
            assert post(url, "word1").status_code == 200


def test_the_packages_are_asked_for_only_here():
    code = (
        "import sys, ragedu, ragedu.cli; assert not {'fastapi', 'uvicorn', 'ragedu.serve'} & sys.modules.keys()\n"
        "sys.modules['fastapi'] = None\n"
        "import ragedu.serve"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stderr.endswith(
        'ImportError: the service needs FastAPI and uvicorn: run  pip install "ragedu[serve]"\n'
    )


def test_the_language_model_answers_everybody_as_ask_does(language_model, harbour):
    """One by one, exactly: in batches rounding may choose another word (see the table of results)."""
    rag = RAG(BM25Retriever().fit(harbour), language_model, k=2)
    questions = ["When does the ferry leave?", "Who is the keeper?", "What did the storm break?"]
    with running(create_app(rag, KEY, at_once=1)) as url:
        replies = [reply.json() for reply in at_the_same_time(url, questions)]
        streamed = events(post(url, questions[0], "/stream").text)
    for question, reply in zip(questions, replies, strict=True):
        answer = rag.ask(question)
        assert reply["question"] == question and reply["answer"] == answer.text
        assert [source["id"] for source in reply["sources"]] == [hit.document.id for hit in answer.sources]
    assert len(streamed) > 3 and streamed[-1][1]["answer"] == replies[0]["answer"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
@pytest.mark.model
def test_the_command(tmp_path):
    (tmp_path / "town.md").write_text("# Ferry\n\nThe ferry to Gull Rock is called the Merry Widgeon.\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "ragedu", "serve", "--corpus", str(tmp_path), "--port", "0", "-k", "1"],
        env=os.environ | {"RAGEDU_API_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        log = process.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", log)[0]
        assert httpx.post(f"{url}/query", json={"question": "ferry"}, timeout=30).status_code == 401
        reply = post(url, "What is the ferry to Gull Rock called?").json()
        assert "Merry Widgeon" in reply["answer"] and reply["sources"][0]["title"] == "Ferry"
        process.send_signal(signal.SIGINT)
        log += process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in log and KEY not in log
    assert '"POST /query HTTP/1.1" 401' in log and '"POST /query HTTP/1.1" 200' in log


# The key comes first, and connections have limits.


@pytest.mark.parametrize("path", ["/query", "/stream"])
@pytest.mark.parametrize(
    "body, headers",
    [
        (b"{", {"Content-Type": "application/json"}),
        (b'{"question": 3}', {"Content-Type": "application/json"}),
        (b"\xff\xfe", {"Content-Type": "application/json"}),
        (b"question=word1", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"", {}),
        (b"x" * 100_000, {"Content-Type": "application/json"}),
        (b"{", {"Content-Type": "application/json", "Authorization": "Bearer wrong-wrong-wrong"}),
    ],
)
def test_without_the_key_nothing_else_is_looked_at(url, path, body, headers):
    for content in (body, iter([body])):  # the latter is sent in chunks
        refused = httpx.post(url + path, content=content, headers=headers)
        assert refused.status_code == 401 and refused.json() == {"detail": "send the header  Authorization: Bearer KEY"}


def test_a_service_in_another_one_asks_for_its_key():
    from fastapi import FastAPI

    inner = create_app(rag_with(Batches()), KEY)

    @contextlib.asynccontextmanager
    async def lifespan(app):
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/rag", inner)
    with running(outer) as url:
        assert httpx.post(f"{url}/rag/query", content=b"{").status_code == 401
        assert post(url, "word1", "/rag/query").status_code == 200


def connections_to(url, number):
    host, port = url.removeprefix("http://").split(":")
    return [socket.create_connection((host, int(port)), timeout=10) for _ in range(number)]


def is_closed(connection):
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "sent", [b"", b"GET /hea", b"POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"]
)
def test_who_sends_no_whole_request_is_hung_up_on(monkeypatch, sent):
    monkeypatch.setattr(listening, "SILENCE_SECONDS", 0.4)
    with running(create_app(rag_with(Batches()), None)) as url:
        (connection,) = connections_to(url, 1)
        connection.sendall(sent)
        assert is_closed(connection)


def test_who_sends_a_byte_now_and_then_is_hung_up_on_too(monkeypatch):
    monkeypatch.setattr(listening, "SILENCE_SECONDS", 0.5)
    with running(create_app(rag_with(Batches()), None)) as url:
        (connection,) = connections_to(url, 1)
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in b"GET /health HTTP/1.1\r\nHost: x" * 3:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - started < 4


def test_who_waits_for_an_answer_is_not_hung_up_on(monkeypatch):
    monkeypatch.setattr(listening, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(listening, "most_connections", lambda: 4)
    gate = Gate()
    with running(create_app(rag_with(gate), KEY)) as url, ThreadPoolExecutor(1) as clients:
        reply = clients.submit(post, url, "word1")
        assert gate.entered.wait(20)
        silent = connections_to(url, 10)
        time.sleep(0.5)
        gate.open.set()
        assert reply.result().json()["answer"] == "so you ask: word1"
        assert all(map(is_closed, silent))


def test_silent_connections_keep_nobody_out(monkeypatch):
    monkeypatch.setattr(listening, "most_connections", lambda: 20)
    with running(create_app(rag_with(Batches()), KEY)) as url:
        silent = connections_to(url, 100)
        for _ in range(5):
            assert httpx.get(f"{url}/health").status_code == 200
            silent += connections_to(url, 10)
        assert post(url, "word1").status_code == 200
        assert all(map(is_closed, silent[:120]))  # those that were silent longest


SMALL = """
import resource
import sys
resource.setrlimit(resource.RLIMIT_NOFILE, (192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from ragedu import RAG, BM25Retriever, Corpus
from ragedu.serve import create_app, listen, serve
listener = listen("127.0.0.1", 0)
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

def slow(prompt):
    import time
    time.sleep(60)

serve(create_app(RAG(BM25Retriever().fit(Corpus.from_texts(["ferry", "boat"])), slow), None), listener)
print("ended", flush=True)
"""


@contextlib.contextmanager
def small_service():
    """In a process of its own, which may have few files open; its generator takes a minute."""
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


on_unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither SIGINT for others nor such a limit")


@on_unix
def test_more_connections_than_files_leave_the_service_alive():
    with small_service() as (process, url):
        wait_for(lambda: httpx.get(f"{url}/health", timeout=10).status_code == 200)
        silent = connections_to(url, 300)
        for _ in range(3):
            assert httpx.get(f"{url}/health", timeout=10).status_code == 200
        process.send_signal(signal.SIGINT)
        log = process.communicate(timeout=20)[0]
        assert log.endswith("ended\n") and "Traceback" not in log and "Too many open files" not in log
        for connection in silent:
            connection.close()


@on_unix
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_two_signals_end_it_at_once_and_quietly(pause):
    with small_service() as (process, url), ThreadPoolExecutor(2) as clients:
        wait_for(lambda: httpx.get(f"{url}/health", timeout=10).status_code == 200)
        asked = [
            clients.submit(httpx.post, url + path, json={"question": "ferry"}, timeout=30)
            for path in ("/query", "/stream")
        ]
        wait_for(lambda: waiting(url) == 1)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        log = process.communicate(timeout=8)[0]
        assert log.endswith("ended\n") and "Traceback" not in log and "Error" not in log, log
        assert process.returncode == 0
        for reply in asked:
            assert isinstance(reply.exception(), httpx.TransportError)


@on_unix
def test_one_signal_and_an_answer_that_takes_too_long(monkeypatch):
    code = SMALL.replace("serve(create", "import ragedu.serve.listening as l; l.PATIENCE_SECONDS = 0.5\nserve(create")
    monkeypatch.setitem(globals(), "SMALL", code)
    with small_service() as (process, url), ThreadPoolExecutor(1) as clients:
        wait_for(lambda: httpx.get(f"{url}/health", timeout=10).status_code == 200)
        clients.submit(httpx.post, f"{url}/query", json={"question": "ferry"}, timeout=30)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        log = process.communicate(timeout=8)[0]
        assert log.endswith("ended\n") and "Traceback" not in log and "Error" not in log, log
