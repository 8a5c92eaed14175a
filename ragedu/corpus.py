"""Documents, corpora, and datasets: what every other part of ragedu reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import KW_ONLY, dataclass, field, replace
from numbers import Real
from typing import Any, SupportsIndex, TypeVar, overload

from ragedu.showing import escape, one_line, table

Value = TypeVar("Value")


def check_text(text: object, what: str) -> str:
    """Return `text` if it is a string that can be stored and analysed; otherwise say what is wrong.

    A NUL or a lone surrogate (half of a character, as left by a wrong decoding) would pass silently through
    Python and fail much later, in a tokenizer or when a file is written.

    Raises TypeError for anything but a string, ValueError for a NUL or a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a string, not {type(text).__name__}: {text!r:.60}")
    if "\0" in text:
        raise ValueError(f"{what} has a NUL character at position {text.index(chr(0))}: remove it first")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{what} has a lone surrogate at position {error.start}: "
                "the file was decoded wrongly; read it again as UTF-8"
            ) from None
    return text


@dataclass(frozen=True, slots=True)
class Document:
    """One retrievable piece of text.

    Parameters
    ----------
    id
        Unique within its corpus, and not blank.
    text
        What is searched and what a generator gets to read.
    title
        Searched together with the text.
    metadata
        Anything else that belongs to the document (source file, date, …). It is never searched.

    Raises
    ------
    TypeError
        If id, text or title is not a string, or metadata is not a dictionary.
    ValueError
        If id is blank, or a text has a NUL or a lone surrogate.
    """

    id: str
    text: str
    title: str = ""
    _: KW_ONLY
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_text(self.id, "a document's id")
        if not self.id.strip():
            raise ValueError(f"a document needs an id that is not blank (its text: {self.text!r:.60})")
        check_text(self.text, f"the text of document {self.id!r}")
        check_text(self.title, f"the title of document {self.id!r}")
        if not isinstance(self.metadata, Mapping):
            raise TypeError(
                f"the metadata of document {self.id!r} must be a dictionary, not {type(self.metadata).__name__}"
            )

    @property
    def content(self) -> str:
        """Title and text together: what a retriever indexes, and what a generator gets to read."""
        return f"{self.title}\n{self.text}" if self.title else self.text


class Corpus(Sequence[Document]):
    """A sequence of documents that are also found by their ids: `corpus[0]`, `corpus["permit-17"]`.

    A slice of a corpus is a corpus.

    Raises TypeError for an element that is not a Document, ValueError for a duplicate id.

    >>> corpus = Corpus([Document("quay", "The ferry leaves the east quay at nine."), Document("lamp", "It is lit.")])
    >>> corpus["lamp"].text, corpus[0].id, corpus[1:].ids
    ('It is lit.', 'quay', ['lamp'])
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self.documents = tuple(documents)
        self._position: dict[str, int] = {}
        for position, document in enumerate(self.documents):
            if not isinstance(document, Document):
                raise TypeError(
                    f"element {position} is a {type(document).__name__}, not a Document: "
                    "use Corpus.from_texts([...]) for plain strings"
                )
            first = self._position.setdefault(document.id, position)
            if first != position:
                raise ValueError(
                    f"two documents have the id {document.id!r} (positions {first} and {position}): ids must be unique"
                )

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Corpus:
        """A corpus of plain strings; their ids are their positions, "0", "1", …"""
        if isinstance(texts, str):
            raise TypeError("from_texts takes a list of strings, not one string: put it in [ ]")
        return cls(Document(str(position), text) for position, text in enumerate(texts))

    def __len__(self) -> int:
        return len(self.documents)

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def __contains__(self, item: object) -> bool:
        return item in self._position if isinstance(item, str) else item in self.documents

    @overload
    def __getitem__(self, key: str | SupportsIndex) -> Document: ...
    @overload
    def __getitem__(self, key: slice) -> Corpus: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> Document | Corpus:
        if isinstance(key, str):
            return self.documents[self.position(key)]
        if isinstance(key, slice):
            return Corpus(self.documents[key])
        return self.documents[key]

    def position(self, document_id: str) -> int:
        """The position of the document with this id, counted from 0. Raises KeyError where there is none."""
        try:
            return self._position[document_id]
        except KeyError:
            raise KeyError(f"no document has the id {document_id!r}") from None

    @property
    def ids(self) -> list[str]:
        """The ids of the documents, in their order."""
        return list(self._position)

    def __repr__(self) -> str:
        return f"Corpus({len(self):,} documents)"

    def _repr_html_(self) -> str:
        rows = [
            [f"<code style='white-space:nowrap'>{escape(d.id)}</code>", escape(d.title), escape(shorten(d.text, 140))]
            for d in self.documents[:5]
        ]
        more = f"<p>… and {len(self) - 5:,} more documents</p>" if len(self) > 5 else ""
        return table(["id", "title", "text"], rows) + more


@dataclass(frozen=True, slots=True)
class Dataset:
    """A corpus with questions whose answers are known: what an evaluation needs.

    Parameters
    ----------
    corpus
        The documents that are searched.
    queries
        {query id: question}.
    qrels
        Query relevance judgments, {query id: {document id: grade}}. A grade of 0 or below means not relevant.
    answers
        {query id: [acceptable answer, …]}. The list is empty where the question is unanswerable.
    metadata
        {query id: {name: value}}, such as the kind of question.
    name
        Shown in the repr and in tables of results.

    Raises
    ------
    TypeError
        If a query is not a string, a grade not a number, or answers are one string instead of a list.
    ValueError
        If judgments, answers or metadata name an unknown query, or judgments a document that the corpus lacks.
    """

    corpus: Corpus
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _: KW_ONLY
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        for query_id, query in self.queries.items():
            check_text(query, f"query {query_id!r}")
        for name, mapping in (("qrels", self.qrels), ("answers", self.answers), ("metadata", self.metadata)):
            unknown = mapping.keys() - self.queries.keys()
            if unknown:
                raise ValueError(f"{name} of unknown queries: {sorted(unknown, key=str)[:3]}; queries has no such ids")
        for query_id, judgments in self.qrels.items():
            for document_id, grade in judgments.items():
                self._check_judgment(query_id, document_id, grade)
        for query_id, answers in self.answers.items():
            if isinstance(answers, str):
                raise TypeError(f"the answers to query {query_id!r} must be a list of strings: put {answers!r} in [ ]")

    def _check_judgment(self, query_id: str, document_id: str, grade: object) -> None:
        if document_id not in self.corpus:
            raise ValueError(f"query {query_id!r} is judged against {document_id!r}, which is not in the corpus")
        if not isinstance(grade, Real):
            raise TypeError(
                f"the grade of document {document_id!r} for query {query_id!r} must be a number, not {grade!r}"
            )

    def select(self, query_ids: Iterable[str] | None = None, **conditions: Any) -> Dataset:
        """The same corpus with fewer queries: those that are named and whose metadata match.

        A condition that is a list allows any of its values: `dataset.select(kind=["lookup", "paraphrase"],
        split="test")`. The order of the queries stays.

        Raises TypeError where `query_ids` is one string, KeyError for an unknown query or an unknown name of metadata.
        """
        if isinstance(query_ids, str):
            raise TypeError(f"select takes a list of query ids, not one string: put {query_ids!r} in [ ]")
        chosen = set(self.queries if query_ids is None else query_ids)
        unknown = chosen - self.queries.keys()
        if unknown:
            raise KeyError(f"no such queries: {sorted(unknown, key=str)[:3]}")
        self._check_metadata_names(conditions.keys())
        allowed = {
            name: value if isinstance(value, list | tuple | set) else [value] for name, value in conditions.items()
        }

        def matches(query_id: str) -> bool:
            metadata = self.metadata.get(query_id, {})
            return all(metadata.get(name) in values for name, values in allowed.items())

        kept = [query_id for query_id in self.queries if query_id in chosen and matches(query_id)]
        return replace(
            self,
            queries=_subset(self.queries, kept),
            qrels=_subset(self.qrels, kept),
            answers=_subset(self.answers, kept),
            metadata=_subset(self.metadata, kept),
        )

    def _check_metadata_names(self, names: Set[str]) -> None:
        known = {name for metadata in self.metadata.values() for name in metadata}
        missing = names - known
        if self.queries and missing:
            raise KeyError(f"no query has the metadata {sorted(missing)}; there are: {sorted(known, key=str)}")

    def __repr__(self) -> str:
        name = f"{one_line(self.name)}: " if self.name else ""
        return f"Dataset({name}{len(self.corpus):,} documents, {len(self.queries):,} queries)"


def _subset(mapping: Mapping[str, Value], query_ids: list[str]) -> dict[str, Value]:
    return {query_id: mapping[query_id] for query_id in query_ids if query_id in mapping}


def shorten(text: str, width: int) -> str:
    """`text` on one line, truncated to at most `width` characters, with … at its end where something is missing."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
