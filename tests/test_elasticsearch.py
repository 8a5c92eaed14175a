"""ElasticsearchRetriever, against a real server on loopback: noida-db, which speaks Elasticsearch's protocol."""

import http.client
import importlib.util
import shutil
import socket
import ssl
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from ragedu import RAG, BM25Retriever, Corpus, Document, ElasticsearchRetriever, HybridRetriever, evaluate
from ragedu.datasets import port_ellery
from ragedu.learn.server import SmallServer
from ragedu.retrieval.bm25 import bm25_idf, bm25_term_part
from ragedu.retrieval.elasticsearch import BulkError
from ragedu.retrieval.elasticsearch_client import is_here
from ragedu.text import Analyzer

pytest.importorskip("elasticsearch", reason="the client is not installed: pip install 'ragedu[elasticsearch]'")
if importlib.util.find_spec("noida_db") is None:
    pytest.skip("no server to talk to: pip install noida-db", allow_module_level=True)


def started(folder):
    try:
        return SmallServer(folder).start()
    except (RuntimeError, OSError) as error:
        pytest.skip(f"noida-db does not start on this machine: {error}")


def test_a_server_that_can_not_start_says_so(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RuntimeError, match="did not start: run .*noida-db"):
        SmallServer(tmp_path / "file").start()


def test_a_server_is_started_once_and_ended_whole(tmp_path):
    server = SmallServer(tmp_path)
    server.kill()  # nothing to end, and no error
    server.stop()
    first = started_again = None
    try:
        first = server.start().process
        started_again = server.start().process
    finally:
        server.stop()
    assert first is started_again and not server.listens()


def test_another_program_on_the_port_is_not_taken_for_the_server(tmp_path):
    server = SmallServer(tmp_path)
    said = f"another program listens on port {server.port}: make a new"
    with socket.create_server(("127.0.0.1", server.port)), pytest.raises(RuntimeError, match=said):
        server.start()
    assert server.process is None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = started(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may end and start again."""
    server = started(tmp_path / "data")
    yield server
    server.kill()


@contextmanager
def proxy(server, allow=lambda request: 200, certificate=None):
    """A server before the server: `allow` looks at each request, and any status but 200 is its answer."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = allow(self)
            if status is None:  # hang up
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            headers, content = {"Content-Type": "application/json"}, b'{"error": {"type": "security_exception"}}'
            if status == 200:
                behind = http.client.HTTPConnection("127.0.0.1", server.port)
                behind.request(self.command, self.path, body, dict(self.headers))
                response = behind.getresponse()
                status, headers, content = response.status, dict(response.getheaders()), response.read()
                behind.close()
            with suppress(OSError):  # whoever asked may have gone
                self.send_response(status)
                for name in headers.keys() & {"Content-Type", "content-type", "X-Elastic-Product", "x-elastic-product"}:
                    self.send_header(name, headers[name])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

        def log_message(self, *arguments):
            pass

    front = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    front.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        front.socket = context.wrap_socket(front.socket, server_side=True)
    threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{front.server_port}"
    finally:
        front.shutdown()
        front.server_close()


@pytest.fixture(scope="module")
def town():
    return port_ellery.load(400, questions=25)


@pytest.fixture
def make(server, request):
    """Retrievers over an index of this test's own."""
    name = f"test-{abs(hash(request.node.name))}"

    def make(index=name, **options):
        return ElasticsearchRetriever(server.url, index, **options)

    yield make
    make().client.options(ignore_status=404).indices.delete(index=name)


@pytest.fixture(scope="module")
def fitted(server, harbour):
    return ElasticsearchRetriever(server.url, "harbour").fit(harbour)


def ids(hits):
    return [hit.document.id for hit in hits]


# BM25.


def test_scores_are_2_2_times_those_of_lucene(make, town):
    short = Corpus(d for d in town.corpus if len(Analyzer()(d.content)) <= 40)
    ours, engine = BM25Retriever(k1=1.2, b=0.75).fit(short), make().fit(short)
    queries = list(town.queries.values())[::3]
    for query, here, there in zip(queries, ours.search_many(queries, 20), engine.search_many(queries, 20), strict=True):
        np.testing.assert_allclose(engine.scores(query), 2.2 * ours.scores(query), rtol=1e-4, atol=1e-4)
        assert [hit.score for hit in there] == pytest.approx([2.2 * hit.score for hit in here], rel=1e-4)
        assert [hit.rank for hit in there] == list(range(1, len(there) + 1))


def lucene_length(length):
    """A length as Lucene stores it in one byte: up to 40 as it is, then in ever wider steps (SmallFloat.intToByte4)."""
    shift = max(0, (length - 24).bit_length() - 4) if length > 24 else 0
    return length if length <= 24 else 24 + ((length - 24) >> shift << shift)


def test_longer_documents_differ_by_the_rounding_of_their_length_and_nothing_else(make, town):
    assert [lucene_length(n) for n in (1, 24, 40, 41, 60, 156, 179)] == [1, 24, 40, 40, 60, 152, 168]
    analyzer, engine = Analyzer(), make().fit(town.corpus)
    counts = [Counter(analyzer(document.content)) for document in town.corpus]
    lengths = np.array([count.total() for count in counts])
    assert (lengths > 40).mean() > 0.5
    stored = np.array(list(map(lucene_length, lengths.tolist()))) / lengths.mean()
    for query in list(town.queries.values())[::10]:
        expected = np.zeros(len(town.corpus))
        for term in analyzer(query):
            tf = np.array([count[term] for count in counts])
            expected += bm25_idf((tf > 0).sum(), len(counts)) * 2.2 * bm25_term_part(tf, stored, 1.2, 0.75)
        np.testing.assert_allclose(engine.scores(query), expected, rtol=1e-5, atol=1e-5)


def test_a_query_is_analysed_once(make, harbour):
    analyzer, analysed = Analyzer(), []

    def counting(text):
        analysed.append(text)
        return analyzer(text)

    retriever = make(analyzer=counting).fit(harbour)
    analysed.clear()
    for ask in (retriever.search, retriever.scores, lambda query: retriever.search_many([query])):
        assert len(ask("the harbour wall"))
    assert analysed == ["the harbour wall"] * 3


def test_ties_stand_in_the_order_of_the_corpus(make):
    texts = ["ferry" if n % 2 else "wall" for n in range(60)]
    retriever = make().fit(Corpus.from_texts(texts))
    assert ids(retriever.search("ferry", k=20)) == [str(n) for n in range(1, 40, 2)]


def test_scores_do_not_depend_on_the_shards(make, town):
    one, three = make().fit(town.corpus), make("test-three-shards", shards=3).fit(town.corpus)
    queries = list(town.queries.values())[:50]
    assert [ids(hits) for hits in one.search_many(queries)] == [ids(hits) for hits in three.search_many(queries)]
    three.client.indices.delete(index="test-three-shards")


def test_more_hits_than_a_page(make, monkeypatch):
    monkeypatch.setattr("ragedu.retrieval.elasticsearch.MAX_HITS_PER_REQUEST", 7)
    retriever = make(depth=5).fit(Corpus.from_texts(["ferry"] * 30 + ["wall"]))
    assert ids(retriever.search("ferry", 100)) == [str(n) for n in range(30)]
    assert ids(retriever.search("ferry", 21)) == [str(n) for n in range(21)]
    assert np.count_nonzero(retriever.scores("ferry")) == 30
    assert list(ElasticsearchRetriever.open(retriever.url, retriever.index, depth=5).corpus) == list(retriever.corpus)


def test_explain_adds_up(fitted, town, make):
    retriever = make().fit(town.corpus)
    for query in list(town.queries.values())[::60]:
        for hit in retriever.search(query + " " + query.split()[-1], 2):
            explanation = retriever.explain(query + " " + query.split()[-1], hit.document.id)
            assert explanation.score == pytest.approx(hit.score, rel=1e-5)
    assert fitted.explain("ferry zeppelin", "bakery").contributions == {"ferri": 0.0, "zeppelin": 0.0}
    with pytest.raises(KeyError, match="no document has the id 'nobody'"):
        fitted.explain("ferry", "nobody")


def test_a_term_is_one_token_whatever_signs_it_has(make):
    words = ['"', "a OR b", "terms:ferry", "ferry*", "Ferry", "FERRY", "책을", "ünï", "c++", "%", "new york"]
    retriever = make(analyzer=lambda text: [text]).fit(Corpus.from_texts(words))
    for position, word in enumerate(words):
        assert ids(retriever.search(word)) == [str(position)]


def test_korean(make):
    retriever = make().fit(Corpus.from_texts(["서울은 한국의 수도이다.", "부산은 항구 도시이다.", "ferry"]))
    assert ids(retriever.search("서울에서")) == ["0"]


def test_bad_calls(fitted, make):
    with pytest.raises(RuntimeError, match=r"has no corpus yet: .* ElasticsearchRetriever\.open\(url, index\)"):
        make().search("ferry")
    with pytest.raises(ValueError, match="only stop words"):
        fitted.search("who is the")
    with pytest.raises(ValueError, match="is blank"):
        fitted.search(" ")
    with pytest.raises(ValueError, match="k must be"):
        fitted.search("ferry", 0)
    with pytest.raises(ValueError, match=r"the mode 'knn' compares vectors: give embedder=Embedder\(\)"):
        fitted.mode = "knn"
    with pytest.raises(ValueError, match="no mode 'bm42'; there are: bm25, knn, hybrid"):
        make(mode="bm42")
    for name in ("*", "a,b", "_all", "", "../x", "a b", "MyNotes"):
        with pytest.raises(ValueError, match="an index has one plain name in small letters"):
            make(name)
    assert fitted.search_many([" ", "who is the", "zeppelin"]) == [[], [], []]
    assert fitted.search_many([]) == []


def test_in_rag_and_evaluate(make, town):
    retriever = make()
    here = evaluate(retriever, town, progress=False)
    there = evaluate(BM25Retriever(k1=1.2), town, progress=False)
    assert dict(here) == pytest.approx(dict(there), abs=0.01) and here["ndcg@10"] > 0.5
    answer = RAG(retriever, lambda prompt: "said", k=2).ask(next(iter(town.queries.values())))
    assert answer.text == "said" and len(answer.sources) == 2


# Vectors.


def test_vectors_and_fusion_as_with_our_own(make, harbour, embedder, make_dense):
    dense = make_dense().fit(harbour)
    bm25 = BM25Retriever(k1=1.2).fit(harbour)
    engine = make(embedder=embedder).fit(harbour)
    assert engine.mode == "hybrid"
    hybrid = HybridRetriever([bm25, dense])
    queries = ["When does the boat leave?", "thick granite wall", "the bread of the lighthouse"]
    for query in queries:
        engine.mode = "knn"
        assert ids(engine.search(query, 8)) == ids(dense.search(query, 8))
        np.testing.assert_allclose(engine.scores(query), dense.scores(query), atol=1e-5)
        best = engine.search(query)[0]
        assert engine.explain(query, best.document.id).score == pytest.approx(best.score, abs=1e-5)
        engine.mode = "hybrid"
        assert [(h.document.id, h.score) for h in engine.search(query, 8)] == [
            (h.document.id, pytest.approx(h.score)) for h in hybrid.search(query, 8)
        ]
        explanation = engine.explain(query, best.document.id)
        assert explanation.score == pytest.approx(hybrid.explain(query, best.document.id).score)
        assert any("knn, rank 1" in part for part in explanation.contributions)
    assert ids(engine.search("who is the")) == ids(dense.search("who is the"))  # its words say something to a model
    engine.mode = "bm25"
    assert ids(engine.search("lighthouse")) == ["keeper"]
    assert engine.search_many(["", "ferry"])[0] == []
    with pytest.raises(ValueError, match="was made with another embedding model: give the same"):
        make().fit(harbour)


class Lengths:
    """Two numbers a text, instead of a model."""

    name = fingerprint = "lengths"
    dimension = 2

    def encode(self, texts):
        vectors = np.array([[len(text), 50.0] for text in texts])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_explain_a_document_that_is_gone_from_the_server(make, harbour):
    retriever = make(embedder=Lengths(), mode="knn").fit(harbour)
    assert -1 <= retriever.explain("ferry", "keeper").score <= 1
    retriever.client.delete(index=retriever.index, id="keeper", refresh=True)
    with pytest.raises(
        RuntimeError, match=r"changed by another program \('keeper' is gone\): open it again, or call fit"
    ):
        retriever.explain("ferry", "keeper")


# The index.


def stored(retriever):
    if not retriever.client.indices.exists(index=retriever.index):
        return 0
    retriever.client.indices.refresh(index=retriever.index)
    return retriever.client.count(index=retriever.index)["count"]


def test_a_second_fit_sends_only_what_differs(make, harbour):
    make().fit(harbour)
    again = make()
    # A document's version counts how often it was written.
    versions = lambda: {id: again.client.get(index=again.index, id=id)["_version"] for id in again.corpus.ids}
    again.fit(harbour)
    assert set(versions().values()) == {1}
    changed = [Document(d.id, d.text + " Mended.", d.title) if d.id == "wall" else d for d in harbour]
    again.fit(Corpus(changed))
    assert {id for id, version in versions().items() if version > 1} == {"wall"}
    assert ids(again.search("mended")) == ["wall"]
    fewer = again.fit(Corpus(changed[:-1]))
    assert stored(fewer) == len(harbour) - 1 and not fewer.search("sail children")


def test_refused_documents_are_reported_and_the_others_kept(make, harbour):
    long = Document("x" * 600, "Its id is longer than a server takes.")
    retriever = make()
    with pytest.raises(BulkError, match="the server refused 1 of 9 documents") as caught:
        retriever.fit(Corpus([*harbour, long]))
    assert list(caught.value.refused) == [long.id] and not retriever.is_fitted
    assert stored(retriever) == len(harbour)
    assert ids(retriever.fit(harbour).search("lighthouse")) == ["keeper"]


def test_an_index_with_another_mapping_is_left_alone(make, harbour):
    retriever = make()
    retriever.client.index(index=retriever.index, id="theirs", document={"title": "Not ours"}, refresh=True)
    with pytest.raises(ValueError, match="has another mapping and was not made by this version of ragedu: choose"):
        retriever.fit(harbour)
    assert retriever.client.get(index=retriever.index, id="theirs")["found"]
    with pytest.raises(ValueError, match="another mapping"):
        ElasticsearchRetriever.open(retriever.url, retriever.index)


def test_an_index_of_another_analyzer(make, harbour):
    make().fit(harbour)
    with pytest.raises(ValueError, match="was made with another analyzer: give the same, choose another name, or"):
        make(analyzer=Analyzer(stemmer=None)).fit(harbour)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_server_gone_in_the_middle(own_server, end):
    server = own_server
    bulks = []

    def third_bulk_is_the_last(request):
        if request.path.startswith("/_bulk"):
            bulks.append(request.path)
            if len(bulks) == 3:
                getattr(server, end)()
                return None
        return 200

    corpus = port_ellery.load(1500, questions=0).corpus
    with proxy(server, third_bulk_is_the_last) as url:
        retriever = ElasticsearchRetriever(url, "town")
        with pytest.raises(ConnectionError, match="there is no server at .* goes on where it stopped"):
            retriever.fit(corpus)
        assert not retriever.is_fitted
        server.start()
        # This server writes to disk from time to time, so that one killed loses what it had confirmed. What counts
        # is what it has, not what it once said.
        between = stored(retriever)
        assert 0 <= between < len(corpus)
        if end == "stop":
            assert between >= 512
            with pytest.raises(RuntimeError, match="is not complete: call fit"):
                ElasticsearchRetriever.open(url, "town")
        retriever.fit(corpus)
    direct = ElasticsearchRetriever.open(server.url, "town")
    assert list(direct.corpus) == list(corpus) and stored(direct) == len(corpus)
    # Nothing twice: what had arrived before was not sent again.
    versions = direct.client.search(index="town", query={"match_all": {}}, size=1500, version=True, source=False)
    assert {hit["_version"] for hit in versions["hits"]["hits"]} == {1}
    server.kill()
    with pytest.raises(ConnectionError, match="there is no server at"):
        direct.search("ferry")


def test_an_index_that_goes_away_or_changes(make, harbour):
    retriever = make().fit(harbour)
    make().fit(Corpus([*harbour, Document("new", "A zeppelin over the harbour.")]))
    with pytest.raises(RuntimeError, match=r"changed by another program \(it found 'new'\): open it again"):
        retriever.search("zeppelin")
    retriever.client.indices.delete(index=retriever.index)
    with pytest.raises(ValueError, match=r"has no index 'test-\d+' \(any more\): call fit\(corpus\)"):
        retriever.search("ferry")
    with pytest.raises(ValueError, match="has no index"):
        ElasticsearchRetriever.open(retriever.url, retriever.index)


def test_save_and_load(make, tmp_path, harbour):
    corpus = Corpus(
        [*harbour, Document("x", "An x.", "X", metadata={"year": 1887, "tags": ["a", "책"], "": {"a.b": 1}})]
    )
    retriever = make(analyzer=Analyzer(stop_words=[]), rrf_k=10).fit(corpus)
    retriever.save(tmp_path)
    loaded = ElasticsearchRetriever.load(tmp_path)
    assert list(loaded.corpus) == list(corpus) and loaded.rrf_k == 10
    assert loaded.search("the ferry and the wall") == retriever.search("the ferry and the wall")
    with pytest.raises(ValueError, match="analyzer of your own cannot be saved"):
        retriever.analyzer = str.split
        retriever.save(tmp_path)


# Credentials, certificates, time.


@pytest.fixture
def no_credentials(monkeypatch):
    for name in ("API_KEY", "USER", "PASSWORD"):
        monkeypatch.delenv(f"ELASTICSEARCH_{name}", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "names, header",
    [
        ({"ELASTICSEARCH_API_KEY": "c2VjcmV0"}, "ApiKey c2VjcmV0"),
        ({"ELASTICSEARCH_USER": "ada", "ELASTICSEARCH_PASSWORD": "hunter2"}, "Basic YWRhOmh1bnRlcjI="),
    ],
)
def test_credentials_come_from_the_environment_and_go_nowhere_else(
    server, harbour, tmp_path, caplog, no_credentials, names, header
):
    caplog.set_level("DEBUG")
    with proxy(server, lambda request: 200 if request.headers.get("Authorization") == header else 401) as url:
        with pytest.raises(PermissionError, match="does not accept the credentials: set ELASTICSEARCH_API_KEY"):
            ElasticsearchRetriever(url, "harbour").fit(harbour)
        for name in names:
            no_credentials.setenv(name, "wrong")
        with pytest.raises(PermissionError) as caught:
            ElasticsearchRetriever(url, "harbour").fit(harbour)
        for name, value in names.items():
            no_credentials.setenv(name, value)
        retriever = ElasticsearchRetriever(url, "harbour").fit(harbour)
        retriever.save(tmp_path)
        assert ids(retriever.search("lighthouse")) == ["keeper"]
        said = [repr(retriever), repr(retriever.client), str(caught.value), caplog.text]
        said += [path.read_text("utf-8") for path in tmp_path.iterdir()]
        for secret in [*names.values(), header]:
            assert not any(secret in text for text in said if secret != "ada")


def test_an_index_from_a_stranger_gets_no_credentials(make, tmp_path, harbour, no_credentials):
    retriever = make().fit(harbour)
    here, retriever.url = retriever.url, "https://127.0.0.1.stranger.example:9200"
    retriever.save(tmp_path)
    no_credentials.setenv("ELASTICSEARCH_API_KEY", "c2VjcmV0")
    with pytest.raises(
        ValueError, match=r"names the server https://127.*stranger.example:9200, .* with load\(folder, url="
    ):
        ElasticsearchRetriever.load(tmp_path)
    assert ids(ElasticsearchRetriever.load(tmp_path, url=here).search("lighthouse")) == ["keeper"]
    assert is_here("http://localhost:9200") and is_here("http://[::1]:9200") and is_here("http://127.0.0.1:9200")
    assert not any(map(is_here, ("http://10.0.0.1:9200", "http://127.0.0.1@stranger.example:9200", "stranger")))


def test_credentials_that_are_no_good(no_credentials):
    with pytest.raises(ValueError, match="must not hold user and password") as caught:
        ElasticsearchRetriever("https://ada:hunter2@127.0.0.1:9200")
    assert "hunter2" not in str(caught.value)
    for name in ("API_KEY", "PASSWORD"):  # either kind
        no_credentials.setenv(f"ELASTICSEARCH_{name}", "hunter2")
        no_credentials.setenv("ELASTICSEARCH_USER", "ada")
        with pytest.raises(
            ValueError, match=r"http://search\.example:9200 is not encrypted, .* write https://"
        ) as caught:
            ElasticsearchRetriever("http://search.example:9200")
        assert "hunter2" not in str(caught.value)
        ElasticsearchRetriever("https://search.example:9200")  # nothing is sent yet
        no_credentials.delenv(f"ELASTICSEARCH_{name}")
    with pytest.raises(ValueError, match="set both ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD"):
        ElasticsearchRetriever()


def test_what_is_not_allowed(server, harbour):
    with (
        proxy(server, lambda request: 403 if request.command == "PUT" else 200) as url,
        pytest.raises(PermissionError, match="these credentials may not do this with 'not-allowed'"),
    ):
        ElasticsearchRetriever(url, "not-allowed").fit(harbour)


def test_a_server_that_does_not_answer_in_time(server, harbour):
    over = threading.Event()
    slow = lambda request: (request.path.startswith("/_msearch") and over.wait(5)) * 0 + 200
    with proxy(server, slow) as url:
        retriever = ElasticsearchRetriever(url, "harbour", timeout=0.3).fit(harbour)
        with pytest.raises(TimeoutError, match=r"did not answer within 0\.3 seconds: .* or raise timeout"):
            retriever.search("ferry")
        over.set()


def test_no_server(harbour):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=f"there is no server at {url}"):
            ElasticsearchRetriever(url).fit(harbour)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_certificates_are_verified(server, harbour, tmp_path, no_credentials):
    key, certificate, both = tmp_path / "key.pem", tmp_path / "certificate.pem", tmp_path / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=town -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    asked = []
    with proxy(server, lambda request: asked.append(request.headers.get("Authorization")) or 200, both) as url:
        no_credentials.setenv("ELASTICSEARCH_API_KEY", "c2VjcmV0")
        with pytest.raises(ConnectionError, match=r"no encrypted connection to .* \(.*\): does it speak https\?"):
            ElasticsearchRetriever(server.url.replace("http:", "https:"), "harbour").fit(harbour)
        with pytest.raises(ConnectionError, match="the certificate of https://.* is not trusted"):
            ElasticsearchRetriever(url, "harbour").fit(harbour)
        assert not asked  # not even the credentials were sent
        trusting = ElasticsearchRetriever(url, "harbour", ca_certs=certificate).fit(harbour)
        assert ids(trusting.search("lighthouse")) == ["keeper"]
