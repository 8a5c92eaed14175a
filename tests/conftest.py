"""What several test files need: corpora, and the two models, which are loaded once."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported; no test may need a network

import pytest
from hypothesis import settings

from ragedu import Corpus, Document, read_beir

settings.register_profile("ragedu", deadline=None, max_examples=60)
settings.load_profile("ragedu")

SCIFACT = Path(__file__).parents[2] / "shared/data/scifact"

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
def scifact():
    if not SCIFACT.is_dir():
        pytest.skip("the SciFact collection is not on this machine (it is no part of the project)")
    return read_beir(SCIFACT)


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
