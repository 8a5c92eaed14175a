"""Damage: an index, or a cache of vectors, that is not as it was saved. And saves that are killed.

A damaged index gives the answers that it gave before, or one error that says what to do, and never anything else, also
where whoever damaged it has made the checksums right again. Each damage is drawn by its number, so that one that gets
through can be looked at again: `damage_index(folder, Random(number))`.
"""

import hashlib
import io
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import warnings
from copy import deepcopy
from pathlib import Path
from random import Random

import numpy as np
import pytest

from ragedu import BM25Retriever, Corpus, DenseRetriever, HybridRetriever, SqliteRetriever, TfidfRetriever
from ragedu.models import ModelUnavailable
from ragedu.retrieval import storage
from ragedu.retrieval.embeddings import VectorCache

QUERIES = ["harbour wall", "ferry to the island", "bread lamp keeper", "zeppelin", "the choir sings in school"]
MANIFEST = "ragedu-index.json"
MAKE = {
    "bm25": lambda: BM25Retriever(k1=0.9),
    "tfidf": lambda: TfidfRetriever(sublinear_tf=True),
    "sqlite": SqliteRetriever,
    "hybrid": lambda: HybridRetriever([BM25Retriever(variant="bm25+"), TfidfRetriever()], method="weighted", depth=7),
    "dense": lambda: DenseRetriever(cache=False),
}


class FakeEmbedder:
    """Stands for the model of a dense index: loading the real one a thousand times takes long."""

    fingerprint, dimension, is_trained = "f" * 32, 6, False

    def __init__(self, name="all-MiniLM-L6-v2", *, cache=True):
        if name != "all-MiniLM-L6-v2":
            raise ModelUnavailable(f"the embedding model {name!r:.80} cannot be loaded (it is not here): use another")
        self.name = name

    def encode(self, texts):
        vectors = [np.frombuffer(hashlib.sha256(text.encode()).digest()[:6], np.uint8) + 1.0 for text in texts]
        return np.array([vector / np.linalg.norm(vector) for vector in vectors], np.float32)

    def word_pieces(self, text):
        return None


@pytest.fixture
def no_model(monkeypatch):
    monkeypatch.setattr("ragedu.retrieval.dense.Embedder", FakeEmbedder)


@pytest.fixture
def saved(request, harbour, tmp_path, no_model):
    """Saves a retriever of a kind and returns its folder."""

    def save(kind, folder="sound"):
        MAKE[kind]().fit(harbour).save(tmp_path / folder)
        return tmp_path / folder

    return save


def answers(kind, folder):
    """All that a loaded index says."""
    retriever = type(MAKE[kind]()).load(folder)
    found = [retriever.search(query, k) for query in QUERIES for k in (1, 20)]
    scores = [retriever.scores(query).tolist() for query in QUERIES]
    shares = [retriever.explain(query, document.id) for query in QUERIES for document in retriever.corpus]
    return repr([found, scores, shares, list(retriever.corpus)])


# Changing an index so that its checksums are right.


def manifest_of(folder):
    return json.loads((folder / MANIFEST).read_bytes())


def write_manifest(folder, manifest):
    """With the checksum that it must have, whatever it says."""
    if isinstance(manifest, dict):
        manifest = {name: value for name, value in manifest.items() if name != "sha256"}
        manifest["sha256"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def content_of(folder, name):
    return (folder / manifest_of(folder)["files"][name]["file"]).read_bytes()


def write_content(folder, name, content):
    manifest = manifest_of(folder)
    entry = manifest["files"][name]
    (folder / entry["file"]).write_bytes(content)
    entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_manifest(folder, manifest)


def array_of(folder, name):
    return np.load(io.BytesIO(content_of(folder, name)))


def write_array(folder, name, array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    write_content(folder, name, buffer.getvalue())


def change_setting(folder, name, value):
    manifest = manifest_of(folder)
    manifest["settings"][name] = value
    write_manifest(folder, manifest)


# Damages that are drawn.

JUNK = [None, True, -1, 0, 3, 2**70, 1e308, float("nan"), float("inf"), "", "x", "../x", "/dev/zero", "\0", "\ud800"]
JUNK += [[], {}, [[]], ["a", 1], {"a": None}, "9" * 5000]
DTYPES = ["i1", "u1", "i4", "i8", "u8", "f2", "f4", "f8", ">f4", ">i8", "c8", "?", "S3", "U2", "O", "M8[s]"]


def damage_bytes(content, random):
    """Some bytes changed, lost, doubled, or all others."""
    content = bytearray(content)
    place = random.randrange(len(content) + 1)
    end = min(len(content), place + random.choice([1, 1, 2, 8, 100, 5000]))
    match random.randrange(7):
        case 0:
            content[place:end] = bytes(random.randrange(256) for _ in range(end - place))
        case 1:
            content[place:end] = b""
        case 2:
            content[place:place] = content[place:end]
        case 3:
            content[place:end] = bytes(end - place)
        case 4:
            del content[place:]
        case 5:
            content[:] = random.randbytes(random.choice([0, 1, 50, 3000]))
        case 6 if place < len(content):
            content[place] ^= 1 << random.randrange(8)
    return bytes(content)


def damage_json(value, random):
    """Something in it missing, of another type or value, or too much."""
    if isinstance(value, dict | list) and value and random.random() < 0.75:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = random.choice(keys)
        if random.random() < 0.2:
            del value[key]
        else:
            value[key] = damage_json(value[key], random)
        return value
    if isinstance(value, dict) and random.random() < 0.3:
        return value | {"more": random.choice(JUNK)}
    if isinstance(value, list) and random.random() < 0.3:
        return value + value[:1]
    return deepcopy(random.choice(JUNK))


def damage_array(array, random):
    """Another type, shape, order or value."""
    array = array.copy()
    flat = array.reshape(-1)
    match random.randrange(9):
        case 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return array.astype(random.choice(DTYPES), casting="unsafe")
        case 1:
            return random.choice([array[None], array[..., None], array.reshape(-1), array.T, array[:0], array.sum()])
        case 2:
            return array[: random.randrange(len(array))] if random.random() < 0.5 else array[::-1]
        case 3:
            return np.concatenate([array, array[: random.randrange(1, 4)]])
        case 4 if array.dtype.kind == "f":
            flat[random.randrange(len(flat))] = random.choice([np.nan, np.inf, -np.inf, -1, 1e30, 0])
        case 5:
            flat[random.randrange(len(flat))] = random.choice([0, 1, 100, 127])
        case 6:
            return np.sort(array, axis=0)
        case 7:
            np.random.default_rng(random.randrange(99)).shuffle(array)
        case 8:
            return np.zeros_like(array)
    return array


def damage_files(folder, random):
    """Names: files and folders lost, swapped, or of another kind. Returns nothing; checksums stay as they are."""
    file = random.choice(sorted(folder.rglob("*")))
    aside = folder / "aside"
    match random.randrange(6):
        case 0:
            file.rename(aside)
        case 1:
            other = random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
            if file.is_file() and file != other:
                file.rename(aside)
                other.rename(file)
                aside.rename(other)
        case 2:
            file.rename(aside)
            file.mkdir()
        case 3:
            file.rename(aside)
            os.mkfifo(file)
        case 4:
            file.rename(aside)
            file.symlink_to(random.choice([aside, "/dev/zero", "/nowhere", folder, file]))
        case 5:
            file.rename(aside)
            file.touch()


def damage_index(folder, random):
    """One damage; returns whether a checksum that was right before is right again."""
    file = random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    part = file.parent  # itself, or one of the parts of a hybrid
    what = random.choice(["bytes", "files", "manifest", "contents"])
    if what == "bytes":
        file.write_bytes(damage_bytes(file.read_bytes(), random))
    elif what == "files":
        damage_files(folder, random)
    elif what == "manifest":
        write_manifest(part, damage_json(manifest_of(part), random))
    else:
        while not (part / MANIFEST).exists() or "files" not in manifest_of(part):
            part = random.choice([path for path in folder.iterdir() if path.is_dir()])
        damage_contents(part, random)
    return what in ("manifest", "contents")


def damage_contents(folder, random):
    name = random.choice(sorted(manifest_of(folder)["files"]))
    if random.random() < 0.2:
        write_content(folder, name, damage_bytes(content_of(folder, name), random))
    elif name == "documents.jsonl":
        lines = content_of(folder, name).splitlines() or [b"{}"]
        number = random.randrange(len(lines))
        lines[number] = json.dumps(damage_json(json.loads(lines[number]), random)).encode()
        write_content(folder, name, b"\n".join(lines))
    elif name == "database.npy" and random.random() < 0.8:
        write_array(folder, name, damage_database(array_of(folder, name), random, folder / "aside.db"))
    else:
        write_array(folder, name, damage_array(array_of(folder, name), random))


def damage_database(array, random, file):
    """Rows or tables that are lost or changed, by SQLite itself."""
    file.write_bytes(array.tobytes())
    table = random.choice(["ragedu_settings", "ragedu_documents", *(f"ragedu_terms_{n}" for n in ("data", "docsize"))])
    with sqlite3.connect(file) as database:
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        (rows,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
        some = f"WHERE rowid = (SELECT rowid FROM {table} LIMIT 1 OFFSET {random.randrange(rows)})"
        value = random.choice(["NULL", "'x'", "-1", "999", "x'00ff'", "''", "zeroblob(9)", "'null'", "'{}'", "1.5"])
        try:
            match random.randrange(4):
                case 0:
                    database.execute(f"DELETE FROM {table} {some}")
                case 1:
                    database.execute(f"DROP TABLE {table}")
                case _:
                    database.execute(f"UPDATE OR IGNORE {table} SET {random.choice(columns)} = {value} {some}")
        except sqlite3.Error:
            database.execute("PRAGMA user_version = 7")  # what the table refuses: a change that means nothing
    database.close()
    content = np.frombuffer(file.read_bytes(), np.uint8)
    file.unlink()
    return content


def try_damages(kind, sound, numbers):
    """Damage copies of a sound index; returns how many were refused, and how many gave answers all the same."""
    before = answers(kind, sound)
    refused = 0
    for number in numbers:
        random, folder = Random(f"{kind} {number}"), sound.with_name("damaged")
        shutil.copytree(sound, folder)
        is_consistent = damage_index(folder, random)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # a model elsewhere
                loaded = type(MAKE[kind]()).load(folder)
        except (ValueError, FileNotFoundError, ModelUnavailable) as error:
            assert "\n" not in str(error) and ": " in str(error), f"{kind} {number}: {error}"
            assert str(folder) in str(error) or isinstance(error, storage.DamagedIndex | ModelUnavailable), error
            refused += 1
        except BaseException as error:
            raise AssertionError(f"{kind} {number}: {error!r}") from error
        else:
            assert loaded.corpus
            try:
                after = answers(kind, folder)
            except BaseException as error:
                raise AssertionError(f"{kind} {number} fails in a search: {error!r}") from error
            assert is_consistent or after == before, f"{kind} {number} gives other answers"
        shutil.rmtree(folder)
    return refused, len(numbers) - refused


EVERY_KIND = pytest.mark.parametrize("kind", MAKE)
needs_posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes pipes and links")


@needs_posix
@EVERY_KIND
def test_damages(kind, saved):
    refused, answered = try_damages(kind, saved(kind), range(50))
    assert refused > answered


@needs_posix
@pytest.mark.slow
@EVERY_KIND
def test_two_thousand_damages(kind, saved):
    refused, answered = try_damages(kind, saved(kind), range(50, 550))
    print(f"{kind}: {refused} refused, {answered} answered")


def test_a_sound_index_that_is_written_by_these_helpers_is_loaded(saved):
    folder = saved("bm25")
    before = answers("bm25", folder)
    for name in manifest_of(folder)["files"]:
        write_content(folder, name, content_of(folder, name))
    write_array(folder, "weights.npy", array_of(folder, "weights.npy"))
    assert answers("bm25", folder) == before


# Damages by name: each is refused when it is loaded, whatever the checksums say.


def part(array, end):
    return array[:end]


def put(array, value, place=0):
    array = array.copy()
    array.reshape(-1)[place] = value
    return array


ARRAYS = {
    "lexical": [
        ("weights.npy", lambda a: put(a, np.nan)),
        ("weights.npy", lambda a: put(a, np.inf)),
        ("weights.npy", lambda a: put(a, -1)),
        ("weights.npy", lambda a: a[:-1]),
        ("weights.npy", lambda a: a[:, None]),
        ("weights.npy", lambda a: a.astype("i4")),
        ("weights.npy", lambda a: a.astype(a.dtype.newbyteorder(">"))),
        ("weights.npy", lambda a: a.astype("O")),
        ("weights.npy", lambda a: a.sum()),
        ("postings.npy", lambda a: put(a, 8)),
        ("postings.npy", lambda a: put(a, -1)),
        ("postings.npy", lambda a: a[::-1]),
        ("postings.npy", lambda a: a.astype("f8")),
        ("postings.npy", lambda a: np.zeros_like(a)),
        ("starts.npy", lambda a: a[:-1]),
        ("starts.npy", lambda a: put(a, 1)),
        ("starts.npy", lambda a: put(a, 0, place=5)),
        ("starts.npy", lambda a: put(a, 10**6, place=-1)),
        ("starts.npy", lambda a: a[:0]),
        ("vocabulary.npy", lambda a: a[:-20]),
        ("vocabulary.npy", lambda a: np.frombuffer(a.tobytes().replace(b"harbour", b"ferri"), np.uint8)),
        ("vocabulary.npy", lambda a: put(a, 255)),
        ("vocabulary.npy", lambda a: a.astype("f4")),
    ],
    "dense": [
        ("embeddings.npy", lambda a: put(a, np.nan)),
        ("embeddings.npy", lambda a: put(a, np.inf)),
        ("embeddings.npy", lambda a: a * 7),
        ("embeddings.npy", lambda a: a[:-1]),
        ("embeddings.npy", lambda a: a[:, :-1]),
        ("embeddings.npy", lambda a: a[..., None]),
        ("embeddings.npy", lambda a: a.reshape(-1)),
        ("embeddings.npy", lambda a: a.astype("f8")),
        ("embeddings.npy", lambda a: a.sum()),
        ("embeddings.npy", np.asfortranarray),
    ],
    "sqlite": [
        ("database.npy", lambda a: a[:0]),
        ("database.npy", lambda a: a[:10]),
        ("database.npy", lambda a: a[:5000]),
        ("database.npy", lambda a: a[::-1]),
        ("database.npy", lambda a: a.astype("i4")),
        ("database.npy", lambda a: np.zeros_like(a)),
    ],
}
ARRAY_CASES = [
    (kind, name, change)
    for group, kinds in {"lexical": ("bm25", "tfidf"), "dense": ("dense",), "sqlite": ("sqlite",)}.items()
    for kind in kinds
    for name, change in ARRAYS[group]
]


def refused(kind, folder, match="damaged|does not hold an array|not in the format|dimensions"):
    with pytest.raises((ValueError, FileNotFoundError), match=match) as caught:
        type(MAKE[kind]()).load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind, name, change", ARRAY_CASES)
def test_arrays_of_a_wrong_form(kind, name, change, saved):
    folder = saved(kind)
    write_array(folder, name, change(array_of(folder, name)))
    refused(kind, folder)


def test_an_array_that_claims_to_be_larger_than_memory(saved):
    folder = saved("bm25")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)})
    for shape in [header.getvalue(), header.getvalue().replace(b"(1000000000000000,)", b"(-10000000000000,) ")]:
        write_content(folder, "weights.npy", shape + b"1234")
        refused("bm25", folder)


SETTINGS = [
    *(("bm25", name, value) for name, value in [("k1", None), ("k1", "1.5"), ("k1", float("nan")), ("b", 2.0)]),
    *(("bm25", name, value) for name, value in [("variant", []), ("variant", "bm26"), ("delta", -1.0), ("more", 1)]),
    *(("bm25", "analyzer", value) for value in [None, {}, [], "x", {"stop_words": [], "stemmer": "klingon"}]),
    *(("bm25", "analyzer", {"stop_words": words, "stemmer": None}) for words in ["the", [1], None, {"a": 1}]),
    *(("tfidf", "sublinear_tf", value) for value in [None, "yes", 1]),
    *(("dense", "model", value) for value in [None, 7, "", " ", []]),
    *(("dense", "fingerprint", value) for value in [None, 7]),
    *(
        ("hybrid", name, value)
        for name, value in [("method", "sum"), ("method", []), ("weights", [1.0]), ("weights", 1)]
    ),
    *(("hybrid", name, value) for name, value in [("depth", 0), ("rrf_k", "x"), ("more", 1), ("weights", 1)]),
    *(("hybrid", name, value) for name, value in [("weights", [float("nan"), 1.0]), ("weights", None)]),
    ("sqlite", "more", 1),
]


@pytest.mark.parametrize("kind, name, value", SETTINGS)
def test_settings_of_a_wrong_form(kind, name, value, saved):
    folder = saved(kind)
    if (kind, name, value) == ("hybrid", "weights", None):
        pytest.skip("None is what the constructor takes for equal weights")
    change_setting(folder, name, value)
    refused(kind, folder, match="damaged .*: fit the retriever again and save it")


@EVERY_KIND
def test_every_key_of_a_manifest_is_needed(kind, saved):
    folder = saved(kind)
    manifest = manifest_of(folder)
    for place in (lambda m: m, lambda m: m["settings"], lambda m: m.get("files", {})):
        for name in place(manifest):
            changed = deepcopy(manifest)
            del place(changed)[name]
            write_manifest(folder, changed)
            if name != "sha256":
                refused(kind, folder)
    for junk in JUNK:
        for name in sorted(name for name in manifest if name != "sha256" and manifest[name] != junk):
            write_manifest(folder, manifest | {name: junk})
            with pytest.raises(ValueError, match="damaged|not in the format|holds an index of"):
                type(MAKE[kind]()).load(folder)
    MAKE[kind]().fit(Corpus.from_texts(["ferry", "bread"])).save(folder)  # over a damaged one
    assert answers(kind, folder)


DOCUMENTS = [
    b"", b"[]", b"{}", b"nonsense", b"null", b'{"id": "x", "text": "t", "title": ""}', b"[" * 5000,
    b'{"id": 1, "text": "t", "title": "", "metadata": {}}', b'{"id": "x", "text": "t", "title": "", "metadata": []}',
    b'{"id": "x", "text": null, "title": "", "metadata": {}}', b'{"id": "x", "text": "t", "title": "", "m": {}}',
    b'{"id": "bakery", "text": "t", "title": "", "metadata": {}}', b'{"id": "\xff", "text": "t"}',
    b'{"id": "x", "text": "t\\u0000", "title": "", "metadata": {}}',
]  # fmt: skip


@pytest.mark.parametrize("line", DOCUMENTS)
def test_documents_of_a_wrong_form(line, saved):
    for kind in ("bm25", "dense"):
        folder = saved(kind)
        lines = content_of(folder, "documents.jsonl").splitlines()
        write_content(folder, "documents.jsonl", b"\n".join([line, *lines[1:]]))
        refused(kind, folder, match="damaged .*: fit the retriever again and save it")
        write_content(folder, "documents.jsonl", b"\n".join(lines[1:]))
        refused(kind, folder, match="damaged .*: fit the retriever again and save it")


DATABASES = [
    "DELETE FROM ragedu_settings",
    "DELETE FROM ragedu_settings WHERE name = 'stamp'",
    "UPDATE ragedu_settings SET value = 'null' WHERE name = 'analyzer'",
    "UPDATE ragedu_settings SET value = '{}' WHERE name = 'analyzer'",
    "UPDATE ragedu_settings SET value = 'no json'",
    "UPDATE ragedu_settings SET value = '\"ragedu-sqlite-0\"' WHERE name = 'format'",
    "DROP TABLE ragedu_settings",
    "DROP TABLE ragedu_documents",
    "DROP TABLE ragedu_terms",
    "DELETE FROM ragedu_documents WHERE position = 7",
    "DELETE FROM ragedu_documents",
    "UPDATE ragedu_documents SET position = 99 WHERE position = 3",
    "UPDATE ragedu_documents SET metadata = '[]'",
    "UPDATE ragedu_documents SET metadata = 'no json'",
    "UPDATE ragedu_documents SET text = x'ff'",
    "UPDATE ragedu_documents SET title = CAST(x'ff' AS TEXT)",
    "UPDATE ragedu_documents SET id = ''  WHERE position = 3",
    "UPDATE ragedu_documents SET length = 'long'",
    "DELETE FROM ragedu_terms_docsize WHERE id = 3",
    "UPDATE ragedu_terms_docsize SET sz = x''",
    "DELETE FROM ragedu_terms_data WHERE id = 1",
    "DELETE FROM ragedu_terms_data",
    "INSERT INTO ragedu_terms (rowid, terms) VALUES (50, 'ferri')",
    "ALTER TABLE ragedu_documents ADD COLUMN more",
]


@pytest.mark.parametrize("change", DATABASES)
def test_databases_of_a_wrong_form(change, saved, tmp_path):
    folder = saved("sqlite")
    (tmp_path / "aside.db").write_bytes(array_of(folder, "database.npy").tobytes())
    with sqlite3.connect(tmp_path / "aside.db") as database:
        database.execute(change)
    database.close()
    write_array(folder, "database.npy", np.frombuffer((tmp_path / "aside.db").read_bytes(), np.uint8))
    refused("sqlite", folder)


def test_parts_that_do_not_belong_together(saved, tmp_path):
    folder = saved("hybrid")
    BM25Retriever().fit(Corpus.from_texts(["ferry", "bread"])).save(tmp_path / "other")
    name = manifest_of(folder)["parts"][0][1]
    shutil.rmtree(folder / name)
    shutil.move(tmp_path / "other", folder / name)
    refused("hybrid", folder, match="damaged .parts with different documents.: fit the retriever again")


SERVER = {"url": "http://localhost:1", "index": "x", "mode": "bm25", "rrf_k": 60, "depth": 9, "timeout": 1.0}
SERVER |= {"ca_certs": None, "model": None}


@pytest.mark.parametrize("name", SERVER)
def test_settings_of_an_index_on_a_server(name, tmp_path):
    from ragedu.retrieval.elasticsearch import ElasticsearchRetriever

    for settings in ({key: value for key, value in SERVER.items() if key != name}, SERVER | {name: []}, {}):
        storage.save_index(tmp_path, "ElasticsearchRetriever", settings, {}, Corpus([]))
        with pytest.raises(ValueError, match="damaged .*: fit the retriever again|must be|timeout"):
            ElasticsearchRetriever.load(tmp_path)


# Names in a manifest.

NAMES = ["/dev/zero", "/etc/passwd", "../weights-0123456789abcdef.npy", "weights.npy", "", ".", "..", "a\0b"]
NAMES += ["postings-0123456789abcdef.npy", "weights-0123456789abcdef.npy/../x", "weights-0123456789ABCDEF.npy"]
NAMES += ["weights-0123456789abcdef.npy\n", "part-0123456789abcdef-0", "trained-model-" + "0" * 32, 7, None, ["x"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_names_only_what_a_save_names(name, saved, monkeypatch):
    for kind in ("bm25", "hybrid"):
        folder = saved(kind, kind)
        manifest = manifest_of(folder)
        if kind == "bm25":
            manifest["files"]["weights.npy"]["file"] = name
        else:
            manifest["parts"][0][1] = "../x" if name == "part-0123456789abcdef-0" else name
        write_manifest(folder, manifest)
        refused(kind, folder, match=f"{MANIFEST} is damaged: fit the retriever again and save it")


@needs_posix
@pytest.mark.parametrize("name", ["weights.npy", "documents.jsonl", MANIFEST])
@pytest.mark.parametrize("what", ["pipe", "device", "link", "folder", "socket"])
def test_only_regular_files_are_opened(name, what, saved, tmp_path, monkeypatch):
    import socket

    folder = saved("bm25")
    file = folder / (name if name == MANIFEST else manifest_of(folder)["files"][name]["file"])
    file.rename(tmp_path / "aside")
    if what == "pipe":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            monkeypatch.chdir(folder)  # the path of a socket must be short
            listening.bind(file.name)
            monkeypatch.undo()
    else:
        file.symlink_to("/dev/zero" if what == "device" else tmp_path / "aside")
    refused("bm25", folder, match="is no regular file: fit the retriever again and save it")


def test_the_size_is_compared_before_anything_is_read(saved):
    folder = saved("bm25")
    with open(folder / manifest_of(folder)["files"]["weights.npy"]["file"], "ab") as file:
        file.truncate(2**40)  # a file with a hole: a terabyte that takes no room
    refused("bm25", folder, match="1,099,511,627,776 bytes instead of .*: fit the retriever again")
    with open(folder / MANIFEST, "ab") as file:
        file.truncate(2**40)
    refused("bm25", folder, match="1,099,511,627,776 bytes instead of at most 16,777,216.: fit the retriever again")


@needs_posix
def test_the_folder_of_a_part_is_no_link(saved, tmp_path):
    folder = saved("hybrid")
    part = folder / manifest_of(folder)["parts"][0][1]
    part.rename(tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    refused("hybrid", folder, match="is no folder of its own: fit the retriever again")


def test_the_folder_of_an_index_may_be_a_link(saved, tmp_path):
    folder = saved("bm25")
    (tmp_path / "link").symlink_to(folder)
    assert answers("bm25", tmp_path / "link") == answers("bm25", folder)


# The cache of vectors.

VECTORS = {bytes([n]) * 20: np.random.default_rng(n).normal(size=384).astype(np.float32) for n in range(150)}


def damage_cache(file, random):
    if random.random() < 0.6:
        file.write_bytes(damage_bytes(file.read_bytes(), random))
        return
    value = random.choice(
        ["NULL", "x''", "x'00'", "zeroblob(1536)", "zeroblob(1540)", "'text'", "7", "substr(vector, 5)"]
    )
    with sqlite3.connect(file) as database:
        database.execute(f"UPDATE vectors SET vector = {value} WHERE key > x'{random.randrange(150):02x}'")
    database.close()


def try_caches(folder, numbers):
    VectorCache(folder / "sound.sqlite").put(VECTORS)
    for number in numbers:
        file = folder / f"{number}.sqlite"
        shutil.copy(folder / "sound.sqlite", file)
        damage_cache(file, Random(number))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            cache = VectorCache(file)
            for _ in range(2):
                found = cache.get(list(VECTORS))
                assert all(np.array_equal(found[key], VECTORS[key]) for key in found), number
                cache.put({key: vector for key, vector in VECTORS.items() if key not in found})
        assert len(told) <= 2 and all("the cache of embeddings" in str(warning.message) for warning in told), number
        file.unlink()


def test_damaged_caches(tmp_path):
    try_caches(tmp_path, range(50))


@pytest.mark.slow
def test_four_hundred_damaged_caches(tmp_path):
    try_caches(tmp_path, range(50, 450))


# What cannot be copied says what can be done instead.


@pytest.mark.parametrize("path", [":memory:", "town.db"])
@pytest.mark.parametrize("copy", [deepcopy, pickle.dumps], ids=["deepcopy", "pickle"])
def test_a_retriever_with_a_database_is_not_copied(copy, path, harbour, tmp_path):
    retriever = SqliteRetriever(path if path == ":memory:" else tmp_path / path).fit(harbour)
    for thing in (retriever, HybridRetriever([retriever])):
        with pytest.raises(
            TypeError, match=r"cannot be copied or pickled: use save\(folder\) and SqliteRetriever.load"
        ):
            copy(thing)


@pytest.mark.parametrize("kind", ["bm25", "tfidf", "hybrid", "dense"])
def test_the_others_can_be_copied(kind, harbour, no_model):
    retriever = MAKE[kind]().fit(harbour)
    for again in (deepcopy(retriever), pickle.loads(pickle.dumps(retriever))):
        assert again.search("harbour wall") == retriever.search("harbour wall")


# Saves that are killed.

KILLED = Path(__file__).with_name("killing.py")
KINDS = ["index", "parts", "sqlite", "vectors", "dense", "embedder", "checkpoint", "adapter", "conversion"]


def outcomes(kind, count, folder):
    command = [sys.executable, KILLED, kind, str(count), folder]
    process = subprocess.run(command, capture_output=True, text=True, timeout=560)
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith('"')]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children of a fork, which this system does not have")
@pytest.mark.parametrize("kind", KINDS[:4])
def test_a_killed_save(kind, tmp_path):
    found = outcomes(kind, 5, tmp_path)
    assert len(found) == 6 and set(found) <= {"old", "new"}
    assert found[0] == "old" and found[-1] == "new"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children of a fork, which this system does not have")
@pytest.mark.parametrize("kind", KINDS)
def test_fifty_killed_saves(kind, tmp_path):
    found = outcomes(kind, 50, tmp_path)
    print(f"{kind}: {found.count('old')} old, {found.count('new') - 1} new, of {len(found) - 1} kills")
    assert len(found) == 51 and set(found) <= {"old", "new"}
    assert found[0] == "old" and found[-1] == "new"
