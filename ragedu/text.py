"""From text to terms (analysis) and from long documents to passages (chunking).

A lexical retriever compares terms, not text. Analysis decides what counts as the same term: here a text is
normalised, lower-cased, split into words, freed of stop words and stemmed. Korean words carry their particles
("서울은", "서울에서"), so they become overlapping pairs of syllables, which match in spite of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

import Stemmer

from ragedu.corpus import Corpus, Document

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

    A Korean noun of one syllable is hidden by its particle: "책을" is one pair, and not found by "책".

    stop_words: words to leave out (an empty collection keeps all), lower-cased and split as texts are; stemmer: a
    language of the Snowball project such as "english", or None to keep words as they are.

    >>> Analyzer()("The harbours of Port Ellery, 1887")
    ['harbour', 'port', 'elleri', '1887']
    """

    def __init__(self, stop_words: Iterable[str] = ENGLISH_STOP_WORDS, stemmer: str | None = "english") -> None:
        if isinstance(stop_words, str):
            raise TypeError("stop_words is a collection of words, not one string: use stop_words=[...]")
        if stemmer is not None and stemmer not in Stemmer.algorithms():
            raise ValueError(f"no stemmer for {stemmer!r}; there are: {', '.join(Stemmer.algorithms())}")
        self.stop_words = frozenset(part for word in stop_words for part in self.words(word))
        self.stemmer = stemmer
        self._stem = Stemmer.Stemmer(stemmer).stemWord if stemmer else lambda word: word

    def __reduce__(self):
        """A copy makes a stemmer of its own: stemmers can be neither copied nor pickled."""
        return type(self), (self.stop_words, self.stemmer)

    def words(self, text: str) -> list[str]:
        """The lower-cased words of a text, in order, stop words included."""
        # Composed form (NFC), because the same letter can be written as one character or as two.
        text = unicodedata.normalize("NFC", text).lower()
        if text.isascii() or not MARK.search(text):
            return WORD.findall(text)
        return MARKED_WORD.findall(text.replace("i\u0307", "i"))  # "İ".lower() is an i and a second dot

    def terms_of_word(self, word: str) -> list[str]:
        """The terms that one word stands for: none (a stop word), one, or several (Hangul)."""
        if word in self.stop_words:
            return []
        if "가" <= word[0] <= "힣":
            return [a + b for a, b in pairwise(word)] or [word]
        return [self._stem(word)]

    def __call__(self, text: str) -> list[str]:
        return [term for word in self.words(text) for term in self.terms_of_word(word)]

    def settings(self) -> dict:
        """What `Analyzer(**settings)` needs to make the same analyzer again, as plain JSON values."""
        return {"stop_words": sorted(self.stop_words), "stemmer": self.stemmer}


# A sentence ends at . ! ? or …, or at one of these with a closing quote or bracket, before white space; a blank
# line ends one too. After 。！？, as in Chinese and Japanese, there need be no white space.
WIDE_END = r"(?<=[。！？])(?![。！？」』”’）])|(?<=[。！？][」』”’）])"
SENTENCE_END = re.compile(rf"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’)\]])\s+|\n\s*\n|(?:{WIDE_END})\s*")
# What counts as a word of a passage: what stands between white space, but each character of a script that has none
# between words (Thai, Japanese, Chinese).
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
COUNTED = re.compile(rf"[{UNSPACED}][{MARKS}]*|[^\s{UNSPACED}]+")


def sentences(text: str) -> list[str]:
    """The sentences of a text, by punctuation: simple, and wrong at "Dr. Smith", which chunking forgives."""
    return [stripped for part in SENTENCE_END.split(text) if (stripped := part.strip())]


def passages(text: str, words: int = 150, overlap: int | None = None) -> Iterator[str]:
    """Cut a text at sentence ends into passages of at most `words` words.

    Neighbouring passages share whole sentences of at most `overlap` words together, so that a fact told across
    a cut is whole in one of them; a fifth of `words` unless told. A single sentence longer than `words` is cut between
    words. In Chinese, Japanese and Thai each character counts as a word. Line ends become blanks.
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
    """Sentences, each on one line, those of more than `words` words cut into several."""
    for sentence in sentences(text):
        line = " ".join(sentence.split())
        found = list(COUNTED.finditer(line))
        for start in range(0, len(found), words):
            part = found[start : start + words]
            yield line[part[0].start() : part[-1].end()]


def _joined(passage: list[str]) -> str:
    return re.sub(f"(?:{WIDE_END}) ", "", " ".join(passage))


def chunk(corpus: Corpus, words: int = 150, overlap: int | None = None) -> Corpus:
    """The same corpus in passages of at most `words` words; see `passages`.

    A document that is short enough stays as it is. The passages of a longer one get its title and metadata, with its
    id as "document", and the ids "its-id/1", "its-id/2", …, with ' after those that a document of yours has already.
    """
    overlap = _overlap(words, overlap)

    def split() -> Iterator[Document]:
        for document in corpus:
            if _length(document.text) <= words:
                yield document
                continue
            metadata = {**document.metadata, "document": document.id}
            for number, text in enumerate(passages(document.text, words, overlap), start=1):
                name = f"{document.id}/{number}"
                while name in corpus:
                    name += "'"
                yield Document(name, text, document.title, metadata)

    return Corpus(split())
