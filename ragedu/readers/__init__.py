"""Readers: files to a Corpus or a Dataset."""

from ragedu.readers.beir import read_beir
from ragedu.readers.folder import read_corpus
from ragedu.readers.squad import read_squad

__all__ = ["read_beir", "read_corpus", "read_squad"]
