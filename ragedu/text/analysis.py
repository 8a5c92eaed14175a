"""From text to terms.

A lexical retriever compares terms, not text. Analysis decides what counts as the same term: here a text is
normalised, lower-cased, split into words, freed of stop words and stemmed. Scripts that put no blank between a noun and
what follows it become overlapping pairs, which match in spite of their neighbours: syllables of Korean ("서울은",
"서울에서"), characters of Chinese and Japanese, letters with their vowel signs of Thai, Lao, Khmer and Burmese.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import Stemmer

from ragedu.representation import call_repr


def _characters(ranges: Iterable[range], wanted: Callable[[str], bool]) -> str:
    return "".join(filter(wanted, (chr(code) for codes in ranges for code in codes)))


# Signs that belong to the letter before them: the vowels of Hindi and Thai, the points of Arabic, accents for which
# no composed letter exists. (Not U+FE00 to FE0F, which only choose a glyph.)
MARKS = _characters(
    [range(0x300, 0xFE00), range(0xFE10, 0x1F000)], lambda character: unicodedata.category(character) in ("Mn", "Mc")
)
MARK = re.compile(f"[{MARKS}]")

# Scripts without blanks between words. Han has 々 and 〇 too, kana the sign of long vowels. Of the others (Thai and
# Lao, Burmese, Khmer, Tai Le and New Tai Lue, Tai Tham, Balinese, Javanese, more Burmese) letters and digits.
HANGUL = "가-힣"
HAN_AND_KANA = (
    "\u3005-\u3007\u3021-\u3029\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\U0001aff0-\U0001b16f"
)
WITH_VOWEL_SIGNS = [(0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF)]
WITH_VOWEL_SIGNS += [(0x1B00, 0x1B7F), (0xA980, 0xA9FF), (0xAA60, 0xAA7F)]
BLANKLESS = _characters([range(first, last + 1) for first, last in WITH_VOWEL_SIGNS], str.isalnum)

# A word is a run of one of these scripts, or of other letters and digits. Everything else separates words, the
# underscore too: "train_test_split" is three words. A joiner (U+200C, U+200D) may follow a mark.
WORD = re.compile(
    rf"[{HANGUL}]+|(?:[{HAN_AND_KANA}][{MARKS}]*)+|(?:[{BLANKLESS}][{MARKS}]*)+"
    rf"|[^\W_{HANGUL}{HAN_AND_KANA}{BLANKLESS}]+"
    rf"(?:[{MARKS}][{MARKS}\u200c\u200d]*[^\W_{HANGUL}{HAN_AND_KANA}{BLANKLESS}]*)*"
)
# Faster, and the same for texts without any of these. (Beyond U+FFFF everything: a long list of ranges would be slow.)
SIMPLE_WORD = re.compile(rf"[{HANGUL}]+|[^\W_{HANGUL}]+")
NOT_SIMPLE = re.compile(
    f"[{MARKS[: bisect(MARKS, chr(0xFFFF))]}{BLANKLESS}\u3005-\u30ff\u31f0-\u9fff\uf900-\ufaff\U00010000-\U0010ffff]"
)
# A letter with its marks, in a word that becomes pairs.
PAIRED = re.compile(f"[{HANGUL}{HAN_AND_KANA}{BLANKLESS}]")
CLUSTER = re.compile(f".[{MARKS}]*")

# Characters that nobody sees: soft hyphens, zero-width blanks and joiners, marks of direction, choices of a glyph.
UNSEEN = re.compile(
    "["
    + _characters([range(0x80, 0x10000)], lambda sign: unicodedata.category(sign) == "Cf")
    + "\u034f\ufe00-\ufe0f\U000e0000-\U000e01ef]"
)
# What writers may leave out or write otherwise: the vowel points of Arabic and Hebrew, the stroke that makes an Arabic
# word longer, and the digits of other scripts.
POINTS = "\u0640\u0670" + _characters(
    [range(0x591, 0x5BE), range(0x5BF, 0x5C8), range(0x610, 0x61B), range(0x64B, 0x653), range(0x6D6, 0x6EE)],
    lambda sign: unicodedata.category(sign) == "Mn",
)
DIGITS = _characters([range(0x80, 0xFF00)], str.isdecimal)
FOLDABLE = re.compile(f"[{POINTS}{DIGITS}]")
FOLDED = {ord(point): "" for point in POINTS} | {ord(digit): str(int(digit)) for digit in DIGITS}
# A word that was broken at the end of a line: small letters follow. ("Anglo-" before "Saxon" is a hyphen to keep.)
BROKEN_WORD = re.compile(r"(?<=[^\W\d_])[-\u2010]\r?\n[ \t]*(?=([^\W\d_]))")
# Letters of Korean that stand alone ("ㅋㅋㅋ"): NFKC would take them for parts of syllables.
LONE_LETTERS = re.compile("([\u3131-\u318e]+)")

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
    """Text to terms: lower-cased words without stop words, stemmed; scripts without blanks as pairs of characters.

    A word of one syllable is hidden by its neighbour: the Korean "책을" is one pair, which "책" does not find.

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
        text = normalise(text)
        if text.isascii() or not NOT_SIMPLE.search(text):
            return SIMPLE_WORD.findall(text)
        return WORD.findall(text)

    def terms_of_word(self, word: str) -> list[str]:
        """The terms of one word: none (a stop word), one, or several (pairs)."""
        if word in self.stop_words:
            return []
        if not word.isascii() and PAIRED.match(word):
            return [a + b for a, b in pairwise(CLUSTER.findall(word))] or [word]
        return [self._stem(word)]

    def __call__(self, text: str) -> list[str]:
        """The terms of a text, in order and with repetitions."""
        return [term for word in self.words(text) for term in self.terms_of_word(word)]

    def settings(self) -> dict[str, Any]:
        """What `Analyzer(**settings)` needs to make the same analyzer again, as plain JSON values."""
        return {"stop_words": sorted(self.stop_words), "stemmer": self.stemmer}


def _unchanged(word: str) -> str:
    return word


def normalise(text: str) -> str:
    """The text as it is compared: lower-cased, in compatible form (NFKC), without what nobody sees.

    NFKC makes the same of what looks alike or has parts: the ligature ﬁ becomes fi, a full-width Ａ an A, an e and its
    accent é. Words that were broken at the end of a line are joined.
    """
    if not text.isascii():
        # What breaks a line at a soft hyphen shows a hyphen. A trade mark's letters are no part of the name.
        text = text.replace("\xad\n", "-\n").replace("\xad\r\n", "-\n").replace("™", " ").replace("℠", " ")
        text = _compatible(UNSEEN.sub("", text))
        if FOLDABLE.search(text):
            text = text.translate(FOLDED)
    if "-\n" in text or "-\r\n" in text or "\u2010" in text:
        text = BROKEN_WORD.sub(_joined_if_small, text)
    return text.lower() if text.isascii() else text.lower().replace("i\u0307", "i")  # "İ".lower() has a second dot


def _compatible(text: str) -> str:
    if not LONE_LETTERS.search(text):
        return unicodedata.normalize("NFKC", text)
    parts = LONE_LETTERS.split(unicodedata.normalize("NFC", text))  # every second part are such letters
    return "".join(part if n % 2 else unicodedata.normalize("NFKC", part) for n, part in enumerate(parts))


def _joined_if_small(broken: re.Match[str]) -> str:
    return "" if broken[1].islower() else broken[0]
