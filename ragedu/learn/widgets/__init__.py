"""Widgets for the lessons: interactive controls, and below them what they change.

Each file has one: plain functions that say what is shown, as HTML, and below them the few lines that connect them to
controls. They need the package ipywidgets, which comes with ragedu's extra `lab`; nothing else in ragedu does.
"""

try:
    import ipywidgets  # noqa: F401
except ImportError:
    raise ImportError('the widgets need the package ipywidgets: run  pip install "ragedu[lab]"') from None

from ragedu.learn.widgets.decoding import next_token
from ragedu.learn.widgets.embeddings import embedding_map
from ragedu.learn.widgets.quizzes import lesson_quiz, quiz
from ragedu.learn.widgets.searching import search_explorer
from ragedu.learn.widgets.tracing import rag_trace
from ragedu.learn.widgets.weighting import bm25_sliders

__all__ = ["bm25_sliders", "embedding_map", "lesson_quiz", "next_token", "quiz", "rag_trace", "search_explorer"]
