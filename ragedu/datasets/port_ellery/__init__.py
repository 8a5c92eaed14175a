"""Port Ellery, the archive of a harbour town that does not exist.

Captains and shopkeepers, ships, inns, clubs, feasts, bylaws, permits, ledgers and court cases: every page is
written from facts (subject, relation, object), so that every question has a known answer and known supporting pages,
and no language model can have read any of it.
The archive has any size, and the same seed gives the same bytes on every machine. A smaller archive is the beginning of
a larger one. Edition 2 is the same archive some years later: about one page in seven states one fact differently.

    dataset = port_ellery.load(1000)
    dataset.select(kind="paraphrase", split="test")

How it is made: pages come in blocks, one page of each kind in a block. A page may mention only entities of its own
block or of earlier blocks of the same split. So two-hop questions never leave the corpus, and the train split never
mentions an entity of the test split. Read on in this order:

    chance.py     random numbers that are the same on every machine
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

__all__ = ["KINDS", "MAX_DOCUMENTS", "QUESTION_KINDS", "TITLES", "Fact", "facts", "load", "stream"]

MAX_DOCUMENTS = 1_500_000  # the names of inns run out first
TITLES = ("Captain",)  # words that come before a name and do not belong to it, for `TwoHopRetriever`


class Fact(NamedTuple):
    """What a document states: the `relation` of the `subject` is the `object`, verbatim in the document's text."""

    subject: str
    relation: str
    object: str
    document_id: str


def stream(documents: int, *, seed: int = 0, edition: int = 1, telling: int = 0) -> Iterator[Document]:
    """The documents of `load(…)` with the same arguments, in the same order, one at a time, in bounded memory.

    telling: 1, 2, … gives paraphrases, the same facts in other sentences and another order, as fine-tuning on facts
    needs them.

    Raises ValueError for a size, seed, edition or telling that does not exist.
    """
    _check(documents, seed, edition)
    if not _is_whole(telling) or telling < 0:
        raise ValueError(f"telling must be a whole number, at least 0, not {telling!r}")
    return (write(number, seed, edition, telling=telling)[1] for number in range(documents))


def facts(documents: int, *, seed: int = 0, edition: int = 1) -> Iterator[Fact]:
    """Every fact that the documents state, in their order."""
    _check(documents, seed, edition)
    pages = (draw_page(number, seed, edition, dice_for(seed, number)) for number in range(documents))
    return (Fact(page.name, relation["name"], value, page.id) for page in pages for relation, value, _ in page.told)


def load(documents: int = 1000, *, seed: int = 0, edition: int = 1, questions: int | None = None) -> Dataset:
    """The archive with questions whose answers are known.

    The kinds of question:

    - lookup;
    - paraphrase: shares the name and no other content word with its document;
    - identifier: about a permit, ledger, case or hull number;
    - two-hop: needs two documents;
    - unanswerable: no judgments, no answers;
    - changed: the answer differs between the editions.

    `metadata[query id]` has kind, split ("train" or "test"), relation, entity, and phrasing (its number). No entity and
    no phrasing is in both splits.
    A paraphrase also has pages, the number of pages about the entity; those with 2 come first, since only the meaning
    tells the two apart. A two-hop question also has bridge, the entity in between, and hop.

    Parameters
    ----------
    documents
        How many, exactly.
    seed
        Another seed gives another town.
    edition
        1 or 2.
    questions
        The most questions of each kind, by default 100. There are fewer where the corpus offers fewer.

    Raises
    ------
    ValueError
        For a size, seed or edition that does not exist, or a negative number of questions.
    """
    most = 100 if questions is None else questions
    if not _is_whole(most) or most < 0:
        raise ValueError(f"questions must be a whole number, at least 0, or None, not {questions!r}")
    corpus = Corpus(stream(documents, seed=seed, edition=edition))
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
    if not _is_whole(documents) or not 1 <= documents <= MAX_DOCUMENTS:
        raise ValueError(f"documents must be a whole number from 1 to {MAX_DOCUMENTS:,}, not {documents!r}")
    if not _is_whole(seed):
        raise ValueError(f"seed must be a whole number, not {seed!r}")
    if edition not in (1, 2):
        raise ValueError(f"edition must be 1 or 2, not {edition!r}: the archive has had two editions")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
