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

    stop_words: words to leave out (an empty collection keeps all); stemmer: a language of the Snowball project
    such as "english", or None to keep words as they are.

    >>> Analyzer()("The harbours of Port Ellery, 1887")
    ['harbour', 'port', 'elleri', '1887']
    """

    def __init__(self, stop_words: Iterable[str] = ENGLISH_STOP_WORDS, stemmer: str | None = "english") -> None:
        if isinstance(stop_words, str):
            raise TypeError("stop_words is a collection of words, not one string: use stop_words=[...]")
        if stemmer is not None and stemmer not in Stemmer.algorithms():
            raise ValueError(f"no stemmer for {stemmer!r}; there are: {', '.join(Stemmer.algorithms())}")
        self.stop_words = frozenset(stop_words)
        self.stemmer = stemmer
        self._stem = Stemmer.Stemmer(stemmer).stemWord if stemmer else lambda word: word

    def words(self, text: str) -> list[str]:
        """The lower-cased words of a text, in order, stop words included."""
        # Composed form (NFC), because the same letter can be written as one character or as two.
        return WORD.findall(unicodedata.normalize("NFC", text).lower())

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
# line ends one too.
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’)\]])\s+|\n\s*\n")


def sentences(text: str) -> list[str]:
    """The sentences of a text, by punctuation: simple, and wrong at "Dr. Smith", which chunking forgives."""
    return [stripped for part in SENTENCE_END.split(text) if (stripped := part.strip())]


def passages(text: str, words: int = 150, overlap: int | None = None) -> Iterator[str]:
    """Cut a text at sentence ends into passages of at most `words` words.

    Neighbouring passages share whole sentences of at most `overlap` words together, so that a fact told across
    a cut is whole in one of them; a fifth of `words` unless told. A single sentence longer than `words` is cut between
    words.
    """
    overlap = words // 5 if overlap is None else overlap
    if words < 1 or not 0 <= overlap < words:
        raise ValueError(f"words must be at least 1 and overlap smaller than words, not {words} and {overlap}")
    passage: list[str] = []
    length = 0
    for sentence in _pieces(text, words):
        size = len(sentence.split())
        if length + size > words:
            yield " ".join(passage)
            while passage and (length > overlap or length + size > words):
                length -= len(passage.pop(0).split())
        passage.append(sentence)
        length += size
    if passage:
        yield " ".join(passage)


def _pieces(text: str, words: int) -> Iterator[str]:
    """Sentences, those of more than `words` words cut into several."""
    for sentence in sentences(text):
        parts = sentence.split()
        for start in range(0, len(parts), words):
            yield " ".join(parts[start : start + words])


def chunk(corpus: Corpus, words: int = 150, overlap: int | None = None) -> Corpus:
    """The same corpus in passages of at most `words` words; see `passages`.

    A document that is short enough stays as it is. The passages of a longer one get its title and metadata, and
    the ids "its-id/1", "its-id/2", …
    """

    def split() -> Iterator[Document]:
        for document in corpus:
            if len(document.text.split()) <= words:
                yield document
                continue
            for number, text in enumerate(passages(document.text, words, overlap), start=1):
                yield Document(f"{document.id}/{number}", text, document.title, document.metadata)

    return Corpus(split())
