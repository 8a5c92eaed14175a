"""What several test files need: corpora, and the two models, which are loaded once."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported; no test may need a network

import pytest
from hypothesis import settings

from ragedu import Corpus, Document, read_beir

settings.register_profile("ragedu", deadline=None, max_examples=60)
settings.load_profile("ragedu")

HARBOUR = [
    ("ferry", "Timetable", "The ferry to Gull Rock leaves the east quay at nine and again at noon."),
    ("bakery", "Bread Lane", "Bread is baked before dawn, and the bakery opens at six."),
    ("permit-17", "Permit 17", "Permit 17 allows Ada Quill to sell smoked fish on the east quay."),
    ("keeper", "The lighthouse", "The keeper of the lighthouse is Tomas Brandt. He lights the lamp at dusk."),
    ("storm", "", "In the storm of 1887 the sea broke the harbour wall and sank eleven boats, no ferry among them."),
    ("choir", "Choir", "The choir sings in the old customs house on Thursdays; singers of every age are welcome."),
    ("wall", "", "The harbour wall was rebuilt with granite from the island and is forty feet thick."),
    ("school", "School", "Children learn to sail in their first year at school, in small boats with red sails."),
]


@pytest.fixture(scope="session")
def harbour() -> Corpus:
    return Corpus(Document(id, text, title) for id, title, text in HARBOUR)


@pytest.fixture(scope="session")
def scifact_folder() -> Path:
    """SciFact in the form of BEIR, which is not part of the project."""
    if not (folder := os.environ.get("RAGEDU_SCIFACT")):
        pytest.skip("set RAGEDU_SCIFACT to the folder of the SciFact collection (BEIR's form)")
    return Path(folder)


@pytest.fixture(scope="session")
def scifact(scifact_folder):
    return read_beir(scifact_folder)


@pytest.fixture(scope="session")
def embedder():
    """The bundled embedding model, without a cache on disk."""
    from ragedu.retrieval.embeddings import Embedder

    return Embedder(cache=False)


@pytest.fixture
def make_dense(embedder):
    """A new DenseRetriever that shares the loaded model."""
    from ragedu import DenseRetriever

    def make():
        retriever = DenseRetriever(cache=False)
        retriever.embedder = embedder
        return retriever

    return make


@pytest.fixture(scope="session")
def language_model():
    from ragedu import LanguageModel

    return LanguageModel.load()


@pytest.fixture(scope="session")
def make_small(language_model):
    """Makes language models of two layers with random weights and the real tokenizer, for tests to which it does not
    matter what the text says. settings: of LlamaConfig, instead of the usual ones."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ragedu import LanguageModel

    tokenizer = language_model.tokenizer
    usual = dict(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.3, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip

    def make(**settings):
        torch.manual_seed(0)
        return LanguageModel(LlamaForCausalLM(LlamaConfig(**usual | settings)), tokenizer, name="small")

    return make
