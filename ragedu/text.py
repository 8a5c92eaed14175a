"""From text to terms (analysis) and from long documents to passages (chunking).

A lexical retriever compares terms, not text. Analysis decides what counts as the same term: here a text is
normalised, lower-cased, split into words, freed of stop words and stemmed. Korean words carry their particles
("서울은", "서울에서"), so they become overlapping pairs of syllables, which match in spite of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import Stemmer

from ragedu.corpus import Corpus, Document
from ragedu.representation import call_repr

# A word is a run of Hangul syllables or a run of other letters and digits. Everything else separates words,
# the underscore too: "train_test_split" is three words.
WORD = re.compile(r"[가-힣]+|[^\W_가-힣]+")

# Signs that belong to the letter before them: the vowels of Hindi and Thai, the points of Arabic, accents for which
# no composed letter exists. (Not U+FE00 to FE0F, which only choose a glyph; nor rare scripts beyond U+FFFF, which
# would make the search for marks slow.)
MARKS = "".join(
    character
    for character in map(chr, (*range(0x300, 0xFE00), *range(0xFE10, 0x10000)))
    if unicodedata.category(character) in ("Mn", "Mc")
)
MARK = re.compile(f"[{MARKS}]")
# Slower than WORD, and the same for words without marks. A joiner (U+200C, U+200D) may follow a mark.
MARKED_WORD = re.compile(rf"[가-힣]+|[^\W_가-힣]+(?:[{MARKS}][{MARKS}\u200c\u200d]*[^\W_가-힣]*)*")

# Function words of English, after the stop list of the Snowball project, with what contractions leave behind
# ("don't" -> "don", "t"). Question words are among them: "when" in a question says nothing about its topic.
ENGLISH_STOP_WORDS = frozenset(
    """
    a about above after again against all am an and any are as at be because been before being below between both
    but by can cannot could couldn did didn do does doesn doing don down during each few for from further had hadn
    has hasn have haven having he her here hers herself him himself his how i if in into is isn it its itself just
    ll m me more most mustn my myself no nor not now of off on once only or other our ours ourselves out over own re
    s same shan she should shouldn so some such t than that the their theirs them themselves then there these they
    this those through to too under until up ve very was wasn we were weren what when where which while who whom
    why will with won would wouldn you your yours yourself yourselves
    """.split()
)


class Analyzer:
    """Text to terms: lower-cased words without stop words, stemmed; Hangul as syllable pairs.

    A Korean noun of one syllable is hidden by its particle: "책을" is one pair, which "책" does not find.

    Analyzers with the same settings are equal, and their repr makes them again.

    Parameters
    ----------
    stop_words
        Words to leave out, lower-cased and split as texts are. An empty collection keeps all words.
    stemmer
        A language of the Snowball project such as "english", or None to keep words as they are.

    Raises
    ------
    TypeError
        If `stop_words` is one string.
    ValueError
        If there is no such stemmer.

    Examples
    --------
    >>> Analyzer()("The harbours of Port Ellery, 1887")
    ['harbour', 'port', 'elleri', '1887']
    >>> Analyzer(stop_words=["of", "the"], stemmer=None)
    Analyzer(stop_words=('of', 'the'), stemmer=None)
    """

    def __init__(self, *, stop_words: Iterable[str] = ENGLISH_STOP_WORDS, stemmer: str | None = "english") -> None:
        if isinstance(stop_words, str):
            raise TypeError("stop_words is a collection of words, not one string: use stop_words=[...]")
        if stemmer is not None and stemmer not in Stemmer.algorithms():
            raise ValueError(f"no stemmer for {stemmer!r}; there are: {', '.join(Stemmer.algorithms())}")
        self.stop_words = frozenset(part for word in stop_words for part in self.words(word))
        self.stemmer = stemmer
        self._stem: Callable[[str], str] = Stemmer.Stemmer(stemmer).stemWord if stemmer else _unchanged

    def __repr__(self) -> str:
        is_default = self.stop_words == ENGLISH_STOP_WORDS
        return call_repr(self, stop_words=ENGLISH_STOP_WORDS if is_default else tuple(sorted(self.stop_words)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Analyzer):
            return NotImplemented
        return type(self) is type(other) and (self.stop_words, self.stemmer) == (other.stop_words, other.stemmer)

    def __hash__(self) -> int:
        return hash((type(self), self.stop_words, self.stemmer))

    def __reduce__(self) -> tuple[Callable[[], Analyzer], tuple[()]]:
        """A copy makes a stemmer of its own: stemmers can be neither copied nor pickled."""
        return partial(type(self), stop_words=self.stop_words, stemmer=self.stemmer), ()

    def words(self, text: str) -> list[str]:
        """The lower-cased words of a text, in order, stop words included."""
        # Composed form (NFC), because the same letter can be written as one character or as two.
        text = unicodedata.normalize("NFC", text).lower()
        if text.isascii() or not MARK.search(text):
            return WORD.findall(text)
        return MARKED_WORD.findall(text.replace("i\u0307", "i"))  # "İ".lower() is an i and a second dot

    def terms_of_word(self, word: str) -> list[str]:
        """The terms of one word: none (a stop word), one, or several (Hangul)."""
        if word in self.stop_words:
            return []
        if "가" <= word[0] <= "힣":
            return [a + b for a, b in pairwise(word)] or [word]
        return [self._stem(word)]

    def __call__(self, text: str) -> list[str]:
        """The terms of a text, in order and with repetitions."""
        return [term for word in self.words(text) for term in self.terms_of_word(word)]

    def settings(self) -> dict[str, Any]:
        """What `Analyzer(**settings)` needs to make the same analyzer again, as plain JSON values."""
        return {"stop_words": sorted(self.stop_words), "stemmer": self.stemmer}


def _unchanged(word: str) -> str:
    return word


# A sentence ends at . ! ? or …, or at one of these with a closing quote or bracket, before white space; a blank
# line ends one too. After 。！？, as in Chinese and Japanese, there need be no white space.
WIDE_END = r"(?<=[。！？])(?![。！？」』”’）])|(?<=[。！？][」』”’）])"
SENTENCE_END = re.compile(rf"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’)\]])\s+|\n\s*\n|(?:{WIDE_END})\s*")
# What counts as a word of a passage: the characters between white space. In a script that has no white space between
# words (Thai, Japanese, Chinese) each character counts.
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
COUNTED = re.compile(rf"[{UNSPACED}][{MARKS}]*|[^\s{UNSPACED}]+")


def sentences(text: str) -> list[str]:
    """The sentences of a text, by punctuation: simple, and wrong at "Dr. Smith", which chunking forgives."""
    return [stripped for part in SENTENCE_END.split(text) if (stripped := part.strip())]


def passages(text: str, *, words: int = 150, overlap: int | None = None) -> Iterator[str]:
    """Cut a text at sentence ends into passages. Line ends become blanks.

    Parameters
    ----------
    text
        Any text. In Chinese, Japanese and Thai each character counts as a word.
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
    overlap = _overlap(words, overlap)
    passage: list[str] = []
    length = 0
    for sentence in _pieces(text, words):
        size = _length(sentence)
        if length + size > words:
            yield _joined(passage)
            while passage and (length > overlap or length + size > words):
                length -= _length(passage.pop(0))
        passage.append(sentence)
        length += size
    if passage:
        yield _joined(passage)


def _overlap(words: int, overlap: int | None) -> int:
    overlap = words // 5 if overlap is None else overlap
    if words < 1 or not 0 <= overlap < words:
        raise ValueError(f"words must be at least 1 and overlap smaller than words, not {words} and {overlap}")
    return overlap


def _length(text: str) -> int:
    return len(COUNTED.findall(text))


def _pieces(text: str, words: int) -> Iterator[str]:
    """Sentences, each on one line. A sentence of more than `words` words is cut into several pieces."""
    for sentence in sentences(text):
        line = " ".join(sentence.split())
        counted = list(COUNTED.finditer(line))
        for start in range(0, len(counted), words):
            piece = counted[start : start + words]
            yield line[piece[0].start() : piece[-1].end()]


def _joined(sentences: list[str]) -> str:
    """Sentences with blanks between them, but none after the full stop of Chinese and Japanese."""
    return re.sub(f"(?:{WIDE_END}) ", "", " ".join(sentences))


def chunk(corpus: Corpus, *, words: int = 150, overlap: int | None = None) -> Corpus:
    """The same corpus in passages of at most `words` words; `passages` explains `words` and `overlap`.

    A document that is short enough stays as it is. The passages of a longer one get its title and metadata, with its
    id as "document", and the ids "its-id/1", "its-id/2", …
    An id that a document of the corpus has already gets a ' at its end.
    """
    overlap = _overlap(words, overlap)
    return Corpus(passage for document in corpus for passage in _split(document, corpus, words, overlap))


def _split(document: Document, corpus: Corpus, words: int, overlap: int) -> Iterator[Document]:
    if _length(document.text) <= words:
        yield document
        return
    metadata = {**document.metadata, "document": document.id}
    for number, text in enumerate(passages(document.text, words=words, overlap=overlap), start=1):
        passage_id = f"{document.id}/{number}"
        while passage_id in corpus:
            passage_id += "'"
        yield Document(passage_id, text, document.title, metadata=metadata)
