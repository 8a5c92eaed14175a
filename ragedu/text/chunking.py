"""From long documents to passages that a model reads to their ends (chunking)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document
from ragedu.models import MINILM
from ragedu.text.analysis import MARK
from ragedu.text.pieces import WORD_OF_A_PASSAGE, count_words, pieces, separated_sentences
from ragedu.tokens import TokenCounter, embedder_tokens, token_counter

# A picture within an address, which nobody reads: "data:image/png;base64,iVBORw0KGgo…"
DATA_URL = re.compile(r"\bdata:[a-z]+/[\w.+-]+(?:;[\w.+=-]+)*,[^\s\"'<>()\[\]]*", re.IGNORECASE)
PROGRESS_FROM_CHARACTERS = 10_000_000  # fewer are cut before a progress bar would be read


class _Room(NamedTuple):
    """What a passage may hold: so many words, so many tokens, and so many words that it shares with its neighbour."""

    words: int
    overlap: int
    tokens: float
    cost: Callable[[str], int]  # of a text in tokens

    def holds(self, words: int, tokens: int) -> bool:
        return words <= self.words and tokens <= self.tokens

    def shares(self, words: int, tokens: int) -> bool:
        """Whether neighbours may share so much: of the tokens the same part as of the words. A row of a table is few
        words and many tokens; by its words alone a passage would hold little else than what the one before held."""
        return words <= self.overlap and tokens * self.words <= self.tokens * self.overlap


class _Unit(NamedTuple):
    """What is never cut: a sentence, a line of code, or a part of one that is too long."""

    separator: str  # between it and the unit before
    text: str
    words: int
    tokens: int
    alone: bool = False  # a part of one endless word: begins a passage


def passages(text: str, *, words: int = 150, overlap: int | None = None) -> Iterator[str]:
    """Cut a text at sentence ends into passages.

    Line ends become blanks, except where they carry meaning: in code, lists and tables.

    Parameters
    ----------
    text
        Any text. In a script without blanks between words, such as Chinese or Thai, each character counts as a word.
    words
        The most words of a passage. A single sentence that is longer is cut between words.
    overlap
        The most words that neighbouring passages share, always whole sentences, so that a fact told across a cut is
        whole in one of them. By default a fifth of `words`.

    Raises
    ------
    ValueError
        If `words` is below 1, or `overlap` negative or not smaller than `words`.
    """
    return _passages(text, _Room(words, _overlap(words, overlap), tokens=0, cost=lambda text: 0))


def _overlap(words: int, overlap: int | None) -> int:
    overlap = words // 5 if overlap is None else overlap
    if words < 1 or not 0 <= overlap < words:
        raise ValueError(f"words must be at least 1 and overlap smaller than words, not {words} and {overlap}")
    return overlap


def _passages(text: str, room: _Room) -> Iterator[str]:
    passage: list[_Unit] = []
    words = tokens = 0
    for unit in _units(text, room):
        if passage and (unit.alone or not room.holds(words + unit.words, tokens + unit.tokens)):
            yield _joined(passage)
            # What both passages hold: the last sentences, as many as the overlap allows and as leave room for this one.
            while passage and (
                unit.alone or not room.shares(words, tokens) or not room.holds(words + unit.words, tokens + unit.tokens)
            ):
                first = passage.pop(0)
                words, tokens = words - first.words, tokens - first.tokens
        passage.append(unit)
        words, tokens = words + unit.words, tokens + unit.tokens
    if passage:
        yield _joined(passage)


def _joined(units: list[_Unit]) -> str:
    return units[0].text + "".join(unit.separator + unit.text for unit in units[1:])


def _units(text: str, room: _Room) -> Iterator[_Unit]:
    """Sentences on one line each and lines that carry meaning. Those that are too long are cut into several."""
    for separator, piece in pieces(text):
        words, tokens = count_words(piece), room.cost(piece if separator == " " else separator + piece)
        if room.holds(words, tokens):
            yield _Unit(separator, piece, words, tokens)
        else:  # a long line of a list or table is cut at its sentences first
            for before, part in separated_sentences(piece, separator):
                yield from _cut(before, part, room)


def _cut(separator: str, piece: str, room: _Room) -> Iterator[_Unit]:
    """Cut between words, and words that are longer than a passage anywhere."""
    start = end = words = tokens = 0
    for word in WORD_OF_A_PASSAGE.finditer(piece):
        cost = room.cost(word[0])
        if words and not room.holds(words + 1, tokens + cost):
            yield _Unit(separator, piece[start:end], words, tokens)
            separator, start = piece[end : word.start()], word.start()
            words = tokens = 0
        if cost > room.tokens:
            for part in _slices(word[0], room):
                yield _Unit(separator, part, 1, room.cost(part), alone=True)
            separator, start, end = "", word.end(), word.end()
            continue
        words, tokens, end = words + 1, tokens + cost, word.end()
    if words:
        yield _Unit(separator, piece[start:end], words, tokens)


def _slices(word: str, room: _Room) -> Iterator[str]:
    """Parts of an endless word that fit into a passage each, cut after a sign where there is one near."""
    start, size = 0, max(1, int(room.tokens))
    while start < len(word):
        while size > 1 and room.cost(word[start : start + size]) > room.tokens:
            size = size * 3 // 4
        end = start + size
        if end < len(word):
            nearest = range(end, end - size // 4, -1)
            end = next((n for n in nearest if not (word[n - 1].isalnum() or MARK.match(word, n))), end)
            end = next((n for n in range(end, end - size // 4, -1) if not MARK.match(word, n)), end)
        yield word[start:end]
        start, size = end, size + size // 4 + 1


def chunk(
    corpus: Corpus,
    *,
    words: int = 150,
    overlap: int | None = None,
    tokenizer: str | Path | TokenCounter | None = MINILM.name,
) -> Corpus:
    """The same corpus in passages that a model reads to their ends.

    A document that is short enough stays as it is. The passages of a longer one get its title and metadata, with its
    id as "document", and the ids "its-id/1", "its-id/2", …
    An id that a document of the corpus has already gets a ' at its end.
    Pictures within data URLs are no text and are left out; a title of more than half the tokens is shortened.

    Parameters
    ----------
    words, overlap
        As in `passages`.
    tokenizer
        Whose tokens are counted: title, text and special tokens of a passage together are never more than this model
        reads. The name of a bundled model, the folder of any model, or the `token_counter` of an Embedder; None counts
        words only. Where the bundled embedding model is not installed, its tokens are estimated, and a warning says so.

    Raises
    ------
    ValueError
        As in `passages`.
    ModelUnavailable
        If there is no model of that name.
    """
    overlap = _overlap(words, overlap)
    counter = _counter(tokenizer)
    quiet = sum(len(document.text) for document in corpus) < PROGRESS_FROM_CHARACTERS
    with tqdm(corpus, desc="cutting passages", unit=" documents", disable=quiet) as documents:
        return Corpus(
            passage
            for document in documents
            for passage in _split(_readable(document, counter), corpus, words, overlap, counter)
        )


def _counter(tokenizer: str | Path | TokenCounter | None) -> TokenCounter | None:
    if tokenizer is None or isinstance(tokenizer, TokenCounter):
        return tokenizer
    return embedder_tokens() if tokenizer == MINILM.name else token_counter(tokenizer)


def _readable(document: Document, counter: TokenCounter | None) -> Document:
    """The document without pictures in data URLs, and with a title that leaves room for a text."""
    text, title = document.text, document.title
    if "data:" in text or "DATA:" in text:
        text = DATA_URL.sub("", text)
    if counter and counter.limit and counter.cost(title) > counter.limit // 2:
        room = _Room(words=1, overlap=0, tokens=counter.limit // 2, cost=counter.cost)
        title = next(_slices(title, room))
    changed = (text, title) != (document.text, document.title)
    return replace(document, text=text, title=title) if changed else document


def _split(
    document: Document, corpus: Corpus, words: int, overlap: int, counter: TokenCounter | None
) -> Iterator[Document]:
    room = _room(document, words, overlap, counter)
    if count_words(document.text) <= words and room.cost(document.text) <= room.tokens:
        yield document
        return
    if not document.text.strip():  # thousands of blanks
        yield replace(document, text="")
        return
    metadata = {**document.metadata, "document": document.id}
    found = (part for text in _passages(document.text, room) for part in _fitting(text, room))
    for number, text in enumerate(found, start=1):
        passage_id = f"{document.id}/{number}"
        while passage_id in corpus:
            passage_id += "'"
        yield Document(passage_id, text, document.title, metadata=metadata)


def _room(document: Document, words: int, overlap: int, counter: TokenCounter | None) -> _Room:
    if counter is None or counter.limit is None:
        return _Room(words, overlap, tokens=0, cost=lambda text: 0)
    title = counter.cost(f"{document.title}\n") if document.title else 0
    return _Room(words, overlap, counter.limit - counter.special - title, counter.cost)


def _fitting(text: str, room: _Room) -> Iterator[str]:
    """The text, or its halves where some tokenizer reads more tokens in a whole than in its parts."""
    if room.cost(text) <= room.tokens or len(text) < 2:
        yield text
        return
    middle = len(text) // 2
    middle = next((n for n in range(middle, len(text) // 4, -1) if text[n].isspace()), middle)
    for half in (text[:middle], text[middle:]):
        yield from _fitting(half.strip(), room)
