"""From text to terms (analysis) and from long documents to passages (chunking)."""

from ragedu.text.analysis import ENGLISH_STOP_WORDS, MARKS, WORD, Analyzer, normalise
from ragedu.text.chunking import chunk, passages
from ragedu.text.pieces import sentences

__all__ = ["ENGLISH_STOP_WORDS", "MARKS", "WORD", "Analyzer", "chunk", "normalise", "passages", "sentences"]
