"""Port Ellery, the archive of a harbour town that does not exist.

Captains and shopkeepers, ships, inns, clubs, feasts, bylaws, permits, ledgers and court cases: every page is
written from facts (subject, relation, object), so every question has a known answer and known supporting pages,
and no language model can have read any of it. The archive has any size, and the same seed gives the same bytes on
every machine; a smaller archive is the beginning of a larger one. Edition 2 is the same archive some years later:
about one page in seven states one fact differently.

    dataset = port_ellery.load(1000)
    dataset.select(kind="paraphrase", split="test")

How it is made. Pages come in blocks, one page of each kind in a block. A page may mention only entities of its own
block or of earlier blocks of the same split, so two-hop questions never leave the corpus and the train split never
mentions an entity of the test split. Read on in this order:

    chance.py     dice that fall alike on every machine
    words.py      all words, from the TOML files of the folder text, and which split may use which
    names.py      a name for every entity, no two alike
    pages.py      the facts of a page, and the one that edition 2 changes
    prose.py      the facts told in sentences
    questions.py  questions of every kind
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.datasets.port_ellery.chance import dice_for
from ragedu.datasets.port_ellery.pages import draw_page
from ragedu.datasets.port_ellery.prose import write
from ragedu.datasets.port_ellery.questions import QUESTION_KINDS, choose
from ragedu.datasets.port_ellery.words import KINDS

__all__ = ["KINDS", "LARGEST", "QUESTION_KINDS", "Fact", "facts", "load", "stream"]

LARGEST = 1_500_000  # documents; the names of inns run out first


class Fact(NamedTuple):
    """What a document states: the `relation` of the `subject` is the `object`, verbatim in the document's text."""

    subject: str
    relation: str
    object: str
    document_id: str


def stream(documents: int, seed: int = 0, edition: int = 1, telling: int = 0) -> Iterator[Document]:
    """The documents of `load(documents, seed, edition)`, in the same order, one at a time and in bounded memory.

    telling: 1, 2, … gives the same facts in other sentences and another order, as fine-tuning on facts needs them.
    """
    _check(documents, seed, edition)
    if not isinstance(telling, int) or isinstance(telling, bool) or telling < 0:
        raise ValueError(f"telling must be a whole number, at least 0, not {telling!r}")
    return (write(number, seed, edition, telling)[1] for number in range(documents))


def facts(documents: int, seed: int = 0, edition: int = 1) -> Iterator[Fact]:
    """Every fact that the documents state, in their order."""
    _check(documents, seed, edition)
    pages = (draw_page(number, seed, edition, dice_for(seed, number)) for number in range(documents))
    return (Fact(page.name, relation["name"], value, page.id) for page in pages for relation, value, _ in page.told)


def load(documents: int = 1000, seed: int = 0, edition: int = 1, questions: int | None = None) -> Dataset:
    """The archive with questions whose answers are known.

    documents: how many, exactly; questions: at most so many of each kind (100 unless told), fewer where the corpus
    offers fewer. Kinds of question: lookup, paraphrase (shares the name and no other content word with its
    document), identifier (a permit, ledger, case or hull number), two-hop (needs two documents), unanswerable
    (no judgments, no answers), changed (the answer differs between the editions).

    metadata[query id]: kind, split ("train" or "test"; no entity and no phrasing is in both), relation, entity,
    phrasing (its number); for paraphrase also pages, how many pages there are about the entity (2 come first, since
    the meaning must tell them apart); for two-hop also bridge, the entity in between, and hop.

    Raises ValueError for a size, seed or edition that there is not.
    """
    most = 100 if questions is None else questions
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise ValueError(f"questions must be a whole number, at least 0, or None, not {questions!r}")
    corpus = Corpus(stream(documents, seed, edition))
    chosen = dict(choose(documents, seed, edition, most))
    return Dataset(
        corpus,
        queries={query_id: question.text for query_id, question in chosen.items()},
        qrels={query_id: dict.fromkeys(question.documents, 1) for query_id, question in chosen.items()},
        answers={query_id: question.answers for query_id, question in chosen.items()},
        metadata={query_id: question.metadata for query_id, question in chosen.items()},
        name="port-ellery",
    )


def _check(documents: int, seed: int, edition: int) -> None:
    whole = lambda value: isinstance(value, int) and not isinstance(value, bool)
    if not whole(documents) or not 1 <= documents <= LARGEST:
        raise ValueError(f"documents must be a whole number from 1 to {LARGEST:,}, not {documents!r}")
    if not whole(seed):
        raise ValueError(f"seed must be a whole number, not {seed!r}")
    if edition not in (1, 2):
        raise ValueError(f"edition must be 1 or 2, not {edition!r}: the archive has had two editions")
