"""Saved indexes: what was saved comes back, a save that is killed loses nothing, damage is noticed."""

import errno
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from ragedu import BM25Retriever, Corpus, Document, HybridRetriever, TfidfRetriever
from ragedu.retrieval import storage
from ragedu.text import Analyzer

QUERIES = ["Who keeps the lighthouse?", "harbour wall", "east quay", "zeppelin", "bread"]

LEXICAL = [
    pytest.param(lambda: TfidfRetriever(sublinear_tf=True), id="tfidf"),
    pytest.param(lambda: BM25Retriever(k1=0.9, b=0.4), id="bm25"),
    pytest.param(lambda: BM25Retriever(variant="bm25+", delta=0.7), id="bm25+"),
    pytest.param(lambda: BM25Retriever(analyzer=Analyzer(stop_words=["quay"], stemmer=None)), id="analyzer"),
    pytest.param(
        lambda: HybridRetriever([BM25Retriever(), TfidfRetriever()], method="weighted", weights=[0.7, 0.3], depth=5),
        id="hybrid",
    ),
]
every_kind = pytest.mark.parametrize("make", LEXICAL)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder: Path) -> list[bytes]:
    """What lies in the folder, whatever its files are called, but for the manifest, which has their names."""
    return sorted((folder / name).read_bytes() for name in files(folder) if not name.endswith("ragedu-index.json"))


def make_old(folder: Path) -> None:
    """As if all that is there were of two hours ago."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)


@every_kind
def test_round_trip(make, harbour, tmp_path):
    retriever = make().fit(harbour)
    retriever.save(tmp_path / "new" / "index")
    again = type(retriever).load(str(tmp_path / "new" / "index"))
    assert [document for document in again.corpus] == [document for document in harbour]
    for query in QUERIES:
        assert again.search(query) == retriever.search(query)
        np.testing.assert_array_equal(again.scores(query), retriever.scores(query))
        assert again.explain(query, "wall") == retriever.explain(query, "wall")
    again.save(tmp_path / "again")  # what was loaded can be saved, and is the same
    assert contents(tmp_path / "new" / "index") == contents(tmp_path / "again")


def test_round_trip_of_a_dense_and_a_hybrid_index(harbour, make_dense, tmp_path, monkeypatch):
    from ragedu import DenseRetriever

    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "cache"))
    hybrid = HybridRetriever([BM25Retriever(), make_dense()]).fit(harbour)
    hybrid.save(tmp_path / "index")
    again = HybridRetriever.load(tmp_path / "index")
    dense = again.retrievers[1]
    assert isinstance(dense, DenseRetriever)
    np.testing.assert_array_equal(dense.embeddings, hybrid.retrievers[1].embeddings)
    for query in QUERIES:
        assert again.search(query) == hybrid.search(query)
        assert dense.search(query) == hybrid.retrievers[1].search(query)


def test_any_text_and_metadata_come_back(tmp_path):
    nasty = 'ferry \u2028 line \x0b\x0c\x1c\x85 \r\n tab\t "quoted" \\ 한국어 \U0001f6a2'
    metadata = {"lines": ["a\nb", None, 1.5, True], "nested": {"é": [1, 2]}}
    corpus = Corpus([Document("a/b\n\u2028", nasty, "T\u2028\n", metadata=metadata), Document("plain", "bread")])
    BM25Retriever().fit(corpus).save(tmp_path)
    assert list(BM25Retriever.load(tmp_path).corpus) == list(corpus)


def test_saving_again_replaces_and_leaves_nothing_behind(harbour, tmp_path):
    TfidfRetriever().fit(harbour).save(tmp_path)
    first = files(tmp_path)
    HybridRetriever([BM25Retriever(), TfidfRetriever()]).fit(harbour).save(tmp_path)
    BM25Retriever().fit(harbour[:3]).save(tmp_path)
    assert len(files(tmp_path)) == len(first) and not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert BM25Retriever.load(tmp_path).corpus.ids == harbour.ids[:3]


def test_files_of_others_stay(harbour, tmp_path):
    names = ["notes.tmp", "data.npy", "documents.jsonl", "part-1", "README.md", "photo-1234.npy"]
    names += ["trained-model-v1", "trained-model-"]
    for name in names:
        (tmp_path / name).write_text("mine")
    make_old(tmp_path)
    for _ in range(2):
        BM25Retriever().fit(harbour).save(tmp_path)
        HybridRetriever([BM25Retriever()]).fit(harbour).save(tmp_path)
    assert [(tmp_path / name).read_text() for name in names] == ["mine"] * len(names)


def test_what_an_interrupted_save_left_goes_after_an_hour(harbour, tmp_path):
    left = ["weights-0123456789abcdef.npy", f"ragedu-index.json.{'a' * 32}.tmp"]
    for name in left:
        (tmp_path / name).write_text("half")
    for folder in ("part-0123456789abcdef-0", f"trained-model-{'b' * 32}", f"trained-model-{'b' * 32}-x_y8ab12"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("half")
    before = files(tmp_path)
    BM25Retriever().fit(harbour).save(tmp_path)
    assert before < files(tmp_path)
    make_old(tmp_path)
    BM25Retriever().fit(harbour).save(tmp_path)
    assert len(files(tmp_path)) == 6 and not before & files(tmp_path)
    assert BM25Retriever.load(tmp_path).corpus.ids == harbour.ids


def test_a_file_that_cannot_be_removed_is_no_failure(harbour, tmp_path, monkeypatch):
    """On Windows a file that a reader has open stays."""
    BM25Retriever().fit(harbour).save(tmp_path)
    old = files(tmp_path)

    def unlink(*_, **__):
        raise PermissionError("open in another program")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        BM25Retriever().fit(harbour[:3]).save(tmp_path)
    assert old < files(tmp_path) and BM25Retriever.load(tmp_path).corpus.ids == harbour.ids[:3]


def test_home_is_expanded(harbour, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    BM25Retriever().fit(harbour).save("~/index")
    assert (tmp_path / "index" / "ragedu-index.json").is_file()
    assert BM25Retriever.load("~/index").corpus.ids == harbour.ids
    HybridRetriever([BM25Retriever()]).fit(harbour).save("~/hybrid")
    assert HybridRetriever.load("~/hybrid").corpus.ids == harbour.ids


# A save that does not get to its end.

KILLED = """
import json, os, sys
from pathlib import Path
from ragedu import BM25Retriever, Corpus, HybridRetriever, TfidfRetriever

folder, kind = Path(sys.argv[1]), sys.argv[2]
make = BM25Retriever if kind == "bm25" else lambda: HybridRetriever([BM25Retriever(), TfidfRetriever()])
old = Corpus.from_texts(["the old ferry", "old bread"])
new = Corpus.from_texts(["the new ferry", "new bread", "a new lamp"])

def die_at(step):
    '''Before the step-th change on the disk, as if the power went.'''
    steps = 0
    def counted(change):
        def wrapped(*arguments, **keywords):
            nonlocal steps
            steps += 1
            if steps == step:
                os._exit(9)
            return change(*arguments, **keywords)
        return wrapped
    os.fsync, os.replace, os.unlink, os.rmdir = map(counted, (os.fsync, os.replace, os.unlink, os.rmdir))

for step in range(1, 100):
    make().fit(old).save(folder)
    child = os.fork()
    if not child:
        die_at(step)
        make().fit(new).save(folder)
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    loaded = make().__class__.load(folder)
    texts = [document.text for document in loaded.corpus]
    hits = [hit.document.text for hit in loaded.search("ferry")]
    print(json.dumps([killed, texts, hits]), flush=True)
    if not killed:
        break
for path in folder.rglob("*"):
    os.utime(path, (0, 0))  # all of it is of long ago
make().fit(new).save(folder)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children of a fork, which this system does not have")
@pytest.mark.parametrize("kind", ["bm25", "hybrid"])
def test_a_killed_save_leaves_the_old_index_or_the_new_one(kind, tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path, kind], capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    outcomes = [json.loads(line) for line in process.stdout.splitlines()]
    old = [["the old ferry", "old bread"], ["the old ferry"]]
    new = [["the new ferry", "new bread", "a new lamp"], ["the new ferry"]]
    assert [outcome[0] for outcome in outcomes] == [True] * (len(outcomes) - 1) + [False]
    contents = [outcome[1:] for outcome in outcomes]
    turn = contents.index(new)
    assert contents == [old] * turn + [new] * (len(contents) - turn)
    assert turn >= 12 and len(contents) - turn >= 3  # killed often before the manifest was replaced, and after
    # A later save has removed what those that were killed had left.
    manifest = json.loads((tmp_path / "ragedu-index.json").read_bytes())
    if kind == "bm25":
        assert files(tmp_path) == {"ragedu-index.json", *(entry["file"] for entry in manifest["files"].values())}
    else:
        assert {path.name for path in tmp_path.iterdir()} == {
            "ragedu-index.json",
            *(part for _, part in manifest["parts"]),
        }


@pytest.mark.parametrize("step", [1, 3, 6])
def test_an_interrupted_save_leaves_the_old_index(step, harbour, tmp_path, monkeypatch):
    BM25Retriever().fit(harbour).save(tmp_path)
    before = contents(tmp_path)
    left = step

    def interrupted(_):
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", interrupted)
        BM25Retriever().fit(harbour[:2]).save(tmp_path)
    assert BM25Retriever.load(tmp_path).corpus.ids == harbour.ids
    make_old(tmp_path)
    BM25Retriever().fit(harbour).save(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["bm25", "hybrid"])
def test_a_save_amidst_another_destroys_neither(kind, tmp_path, monkeypatch):
    make = BM25Retriever if kind == "bm25" else lambda: HybridRetriever([BM25Retriever(), TfidfRetriever()])
    first, second = (make().fit(Corpus.from_texts([f"ferry {name}"])) for name in ("one", "two"))
    write, amidst = storage._write_manifest, []

    def write_after_another(folder, *arguments, **content):
        if folder == tmp_path and not amidst:
            amidst.append(True)
            second.save(tmp_path)
            second.save(tmp_path)  # which removes what the manifest named before
        write(folder, *arguments, **content)

    first.save(tmp_path)
    monkeypatch.setattr(storage, "_write_manifest", write_after_another)
    first.save(tmp_path)
    assert type(first).load(tmp_path).corpus[0].text == "ferry one"


@pytest.mark.parametrize("kind", ["bm25", "hybrid"])
def test_two_that_save_again_and_again(kind, tmp_path):
    make = BM25Retriever if kind == "bm25" else lambda: HybridRetriever([BM25Retriever(), TfidfRetriever()])
    retrievers = [make().fit(Corpus.from_texts([f"ferry {name}"])) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        for saved in [pool.submit(retriever.save, tmp_path) for _ in range(20) for retriever in retrievers]:
            saved.result()
    assert make().__class__.load(tmp_path).corpus[0].text in ("ferry one", "ferry two")
    make_old(tmp_path)
    retrievers[0].save(tmp_path)
    assert len(list(tmp_path.iterdir())) == (6 if kind == "bm25" else 3)


@pytest.mark.parametrize("kind", ["bm25", "hybrid"])
def test_readers_see_one_index_or_the_other_while_it_is_saved(kind, tmp_path):
    make = BM25Retriever if kind == "bm25" else lambda: HybridRetriever([BM25Retriever(), TfidfRetriever()])
    versions = [make().fit(Corpus.from_texts([f"ferry {name}", f"bread {name}"])) for name in ("one", "two")]
    versions[0].save(tmp_path)
    done, seen, errors = threading.Event(), set(), []

    def read():
        while not done.is_set():
            try:
                loaded = type(versions[0]).load(tmp_path)
                seen.add(
                    (loaded.corpus[0].text, loaded.corpus[1].text, len(loaded.search("one")), len(loaded.search("two")))
                )
            except Exception as error:
                errors.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(16):
        versions[number % 2].save(tmp_path)
    done.set()
    for reader in readers:
        reader.join()
    assert not errors
    assert seen <= {("ferry one", "bread one", 2, 0), ("ferry two", "bread two", 0, 2)} and seen


# Damage.


@pytest.fixture
def saved(harbour, tmp_path):
    BM25Retriever().fit(harbour).save(tmp_path)
    return tmp_path


def a_file(folder: Path, name: str) -> Path:
    return folder / json.loads((folder / "ragedu-index.json").read_bytes())["files"][name]["file"]


NAMES = ["weights.npy", "postings.npy", "starts.npy", "vocabulary.npy", "documents.jsonl"]


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(saved, name):
    file = a_file(saved, name)
    content = file.read_bytes()
    file.write_bytes(content[:-7])
    with pytest.raises(ValueError, match=f"{file.name} is truncated or altered .* fit the retriever again and save it"):
        BM25Retriever.load(saved)
    file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(ValueError, match=f"{file.name} is damaged .its SHA-256 differs.: fit the retriever again"):
        BM25Retriever.load(saved)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"the index in .* lacks its {name}: fit the retriever again"):
        BM25Retriever.load(saved)
    file.write_bytes(content)
    assert BM25Retriever.load(saved).search("ferry")


def test_every_byte_of_the_manifest_counts(saved):
    manifest = saved / "ragedu-index.json"
    content = manifest.read_bytes()
    sound = json.loads(content)
    for position in range(0, len(content), 5):
        damaged = content[:position] + bytes([content[position] ^ 2]) + content[position + 1 :]
        manifest.write_bytes(damaged)
        try:
            same = json.loads(damaged) == sound  # such as a blank that became another
        except ValueError:
            same = False
        if not same:
            with pytest.raises(ValueError, match="ragedu-index.json is (damaged|not in the format)"):
                BM25Retriever.load(saved)
    manifest.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="ragedu-index.json is damaged: fit the retriever again and save it"):
        BM25Retriever.load(saved)


@pytest.mark.parametrize("content", ['["a list"]', "{}", '{"format": "ragedu-index-9"}', '{"name": "my web app"}'])
def test_manifests_of_others(saved, content):
    (saved / "ragedu-index.json").write_text(content)
    with pytest.raises(
        ValueError, match="ragedu-index.json is not in the format ragedu-index-1: fit the retriever again"
    ):
        BM25Retriever.load(saved)


def test_the_wrong_class(saved, tmp_path_factory, harbour):
    with pytest.raises(ValueError, match="holds an index of BM25Retriever: load it with that class"):
        TfidfRetriever.load(saved)
    with pytest.raises(ValueError, match="holds an index of BM25Retriever: load it with that class"):
        HybridRetriever.load(saved)


def test_no_index_there(tmp_path, harbour):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "missing", tmp_path / "file", tmp_path / "file" / "below"):
        for cls in (BM25Retriever, HybridRetriever):
            with pytest.raises(
                FileNotFoundError, match=r"holds no index \(no ragedu-index.json\): save one there first"
            ):
                cls.load(place)
    with pytest.raises(NotADirectoryError, match="file is a file: an index needs a folder of its own"):
        BM25Retriever().fit(harbour).save(tmp_path / "file")


def test_a_missing_part_of_a_hybrid(harbour, tmp_path):
    HybridRetriever([BM25Retriever(), TfidfRetriever()]).fit(harbour).save(tmp_path)
    part = next(tmp_path.glob("part-*-1"))
    part.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match=f"{part.name} holds no index"):
        HybridRetriever.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder(harbour, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="the index cannot be saved in .*index .Permission denied, .* MB free"):
        BM25Retriever().fit(harbour).save(tmp_path / "index")


REFUSALS = [
    (OSError(errno.ENOSPC, "No space left on device", "/some/hidden-file.tmp"), OSError),
    (OSError(errno.EDQUOT, "Disk quota exceeded", "/some/hidden-file.tmp"), OSError),
    (OSError(errno.EROFS, "Read-only file system", "/some/hidden-file.tmp"), OSError),
    (PermissionError(errno.EACCES, "Permission denied", "/some/hidden-file.tmp"), PermissionError),
]


def failing_at(number, error):
    """A function that raises the error at its number-th call, and at no other."""
    calls = itertools.count(1)

    def failing(*_, **__):
        if next(calls) == number:
            raise error

    return failing


def check_that_nothing_is_left(make, error, kind, step, corpus, folder, monkeypatch):
    make().fit(corpus).save(folder)
    before = {path.relative_to(folder) for path in folder.rglob("*")}
    monkeypatch.setattr(os, "fsync", failing_at(step, error))  # the last that a file needs before it is in its place
    with pytest.raises(kind) as caught:
        make().fit(corpus[:3]).save(folder)
    assert re.fullmatch(
        rf"the index cannot be saved in {re.escape(str(folder))} \({error.strerror}, [\d,]+ MB free\): "
        "make room there, or give another folder",
        str(caught.value),
    )
    assert {path.relative_to(folder) for path in folder.rglob("*")} == before
    assert type(make()).load(folder).corpus.ids == corpus.ids


@pytest.mark.parametrize("step", range(1, 7))
@every_kind
def test_a_save_on_a_full_disk_leaves_nothing(make, step, harbour, tmp_path, monkeypatch):
    check_that_nothing_is_left(make, *REFUSALS[0], step, harbour, tmp_path / "index", monkeypatch)


@pytest.mark.parametrize("error, kind", REFUSALS[1:], ids=lambda value: getattr(value, "strerror", ""))
def test_a_save_that_is_refused_leaves_nothing(error, kind, harbour, tmp_path, monkeypatch):
    check_that_nothing_is_left(BM25Retriever, error, kind, 3, harbour, tmp_path / "index", monkeypatch)


def test_a_full_disk_leaves_no_model_next_to_an_index(harbour, make_dense, tmp_path, monkeypatch):
    retriever = make_dense().fit(harbour)
    monkeypatch.setattr(retriever.embedder, "named_fingerprint", "as after a training")

    def half(folder, **_):
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(retriever.embedder.model, "save", half)
        for save in (retriever.save, HybridRetriever([retriever]).save):
            with pytest.raises(OSError, match=rf"the index cannot be saved in {tmp_path / 'index'} \(.*error 28.*free"):
                save(tmp_path / "index")
            assert not files(tmp_path)
        with pytest.raises(OSError, match=rf"the model cannot be saved in {tmp_path / 'index'} \(.*os error 28.*free"):
            retriever.embedder.save(tmp_path / "index")
    monkeypatch.setattr(os, "fsync", failing_at(2, OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="the index cannot be saved in .*No space left on device, .* MB free"):
        retriever.save(tmp_path / "index")
    assert not files(tmp_path) and not list((tmp_path / "index").iterdir())


def test_a_folder_that_cannot_be_made(harbour, tmp_path, monkeypatch):
    def mkdir(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "/hidden")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    for retriever in (BM25Retriever(), HybridRetriever([BM25Retriever()])):
        with pytest.raises(OSError, match=r"the index cannot be saved in .*new \(Read-only file system, .* MB free"):
            retriever.fit(harbour).save(tmp_path / "new")


def test_an_interruption_behind_the_manifest_leaves_the_new_index(harbour, tmp_path, monkeypatch):
    BM25Retriever().fit(harbour).save(tmp_path)
    replace = os.replace

    def interrupted(source, target):
        replace(source, target)
        if Path(target).name == "ragedu-index.json":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        BM25Retriever().fit(harbour[:3]).save(tmp_path)
    assert BM25Retriever.load(tmp_path).corpus.ids == harbour.ids[:3]


def test_nothing_is_unpickled(harbour, tmp_path):
    """An index from a stranger, all its checksums right, with a pickle inside that would create a file."""

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    index = tmp_path / "index"
    BM25Retriever().fit(harbour).save(index)
    manifest = json.loads((index / "ragedu-index.json").read_bytes())
    np.save(tmp_path / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    pure = b"cos\nsystem\n(S'true'\ntR."
    for content in ((tmp_path / "trap.npy").read_bytes(), pure):
        manifest["files"]["weights.npy"] = storage._write_content(index, "weights.npy", content)
        storage._write_manifest(index, manifest["retriever"], manifest["settings"], files=manifest["files"])
        with pytest.raises(
            ValueError, match="weights.npy does not hold an array of numbers .*: fit the retriever again"
        ):
            BM25Retriever.load(index)
    assert not (tmp_path / "sprung").exists()


# What cannot be saved.


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), "\ud800"])
def test_metadata_that_json_cannot_hold(value, tmp_path):
    corpus = Corpus([Document("a", "ferry"), Document("b", "bread", metadata={"x": value})])
    with pytest.raises(TypeError, match="the metadata of document 'b' cannot be saved as JSON .*: use strings"):
        BM25Retriever().fit(corpus).save(tmp_path)
    assert not files(tmp_path)


class Shouting(Analyzer):
    def __call__(self, text):
        return super().__call__(text.upper())


@pytest.mark.parametrize("analyzer", [str.split, Shouting()], ids=["function", "subclass"])
def test_an_analyzer_of_ones_own_cannot_be_saved(analyzer, harbour, tmp_path):
    retriever = BM25Retriever(analyzer=analyzer).fit(harbour)
    with pytest.raises(ValueError, match="an analyzer of your own cannot be saved, because code is not saved with it"):
        retriever.save(tmp_path / "index")
    with pytest.raises(ValueError, match="an analyzer of your own cannot be saved"):
        HybridRetriever([retriever]).fit(harbour).save(tmp_path / "index")
    with pytest.raises(FileNotFoundError):
        HybridRetriever.load(tmp_path / "index")


def test_a_hybrid_of_unknown_retrievers_cannot_be_saved(harbour, tmp_path):
    nested = HybridRetriever([HybridRetriever([BM25Retriever()])]).fit(harbour)
    with pytest.raises(TypeError, match="a hybrid with a HybridRetriever cannot be saved: save its parts yourself"):
        nested.save(tmp_path)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("", "path is blank"),
        ("~there-is-no-such-user/x", "no such user"),
        ("x" * 300, "cannot be saved in .*File name too long"),
    ],
)
def test_folders_that_no_index_can_have(tmp_path, monkeypatch, folder, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((OSError, ValueError), match=message):
        BM25Retriever().fit(Corpus.from_texts(["The harbour."])).save(folder)
    assert list(tmp_path.iterdir()) == []


def test_metadata_that_is_too_deep_for_json(tmp_path):
    deep: dict = {}
    for _ in range(200_000):
        deep = {"a": deep}
    with pytest.raises(TypeError, match="the metadata of document '1' cannot be saved as JSON"):
        BM25Retriever().fit(Corpus([Document("1", "The harbour.", metadata=deep)])).save(tmp_path / "x")
