"""From text to terms (analysis) and from long documents to passages (chunking).

A lexical retriever compares terms, not text. Analysis decides what counts as the same term: here a text is
normalised, lower-cased, split into words, freed of stop words and stemmed. Scripts that put no blank between a noun and
what follows it become overlapping pairs, which match in spite of their neighbours: syllables of Korean ("서울은",
"서울에서"), characters of Chinese and Japanese, letters with their vowel signs of Thai, Lao, Khmer and Burmese.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import Stemmer
from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Document
from ragedu.models import MINILM
from ragedu.representation import call_repr
from ragedu.tokens import TokenCounter, embedder_tokens, token_counter


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


# A sentence ends at . ! ? or …, or at one of these with a closing quote or bracket, before white space; a blank
# line ends one too. (The white space comes first, because it is rarer than what may stand before it.)
SENTENCE_END = re.compile(r"\s(?:(?<=[.!?…]\s)|(?<=[.!?…][\"'”’)\]]\s)|(?<=\n)(?=\s*\n))\s*")
# After 。！？, as in Chinese and Japanese, there need be no white space.
WIDE_END = re.compile(rf"(?<=[。！？])(?![。！？」』”’）])\s*|(?<=[。！？][」』”’）])\s*|{SENTENCE_END.pattern}")
AFTER_WIDE_END = re.compile(r"[。！？][」』”’）]?$")  # no blank after the full stop of Chinese and Japanese
# What counts as a word of a passage: the characters between white space. In a script that has no white space between
# words (Thai, Japanese, Chinese …) each character counts.
UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in WITH_VOWEL_SIGNS)
UNSPACED += "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
COUNTED = re.compile(rf"[{UNSPACED}][{MARKS}]*|[^\s{UNSPACED}]+")
HAS_UNSPACED = re.compile(f"[{UNSPACED}]")

# Lines whose ends carry meaning: of code, lists and tables. Of prose that was wrapped, a line looks like none of these.
STRUCTURED = re.compile(
    r"""^(?:
    (?:[ ]{2,}|\t)[ \t]*\S                                # indented: code, or a list within a list
  | (?:[-*+•]|\d{1,3}[.)]|[a-z]\))[ \t]                   # an item of a list
  | >[ ] | // | /\*                                       # a quotation, a comment
  | \| | [^\n]*\S[ ]\|[ ]\S | [+][-=+]{2,} | [-:]+[ ]*\|  # a row of a table, a rule in one
  | (?![^\n]*[.!?]\s+\S) (?:                              # no two sentences, and
      [^\n]*\S(?:\t|[ ]{3,})\S                            #   columns
    | [^,\n]+(?:,(?!\s)[^,\n]*){2,}$ )                    #   or values between commas
  | >>>[ ] | [.]{3}[ ] | [$][ ] | [#]include\b | @\w+     # a prompt, a directive, a decorator
  | import[ ][\w.]+(?:[ ]as[ ]\w+|,[ ][\w.]+)*$ | from[ ][\w.]+[ ]import[ ]
  | (?:async[ ])?def[ ]\w+\( | class[ ]\w+[(:{]
  | (?:[\w.\[\]]+[ ]){1,3}[-+*/|&%@:]?=[ ]?\S             # an assignment
  | [\w.]+\([^\n]*\)$ | \w+(?:[ ]\w+)?;$                  # a call, a statement
  | [^\n]*(?:[{}\[(]|\);)$ | </?\w[^\n]*>$                # a bracket at the end, a tag
    )""",
    re.VERBOSE | re.MULTILINE,
)
FENCE = re.compile(r"[ \t]*(?:[-*+>]|\d{1,9}[.)])?[ \t]*(```+|~~~+)")
# White space that becomes one blank. A line end within a broken word stays, so that the word can be joined.
SPACE = re.compile(rf"({BROKEN_WORD.pattern})|\s+")
# A picture within an address, which nobody reads: "data:image/png;base64,iVBORw0KGgo…"
DATA_URL = re.compile(r"\bdata:[a-z]+/[\w.+-]+(?:;[\w.+=-]+)*,[^\s\"'<>()\[\]]*", re.IGNORECASE)
PROGRESS_FROM_CHARACTERS = 10_000_000  # fewer are cut before a progress bar would be read


def sentences(text: str) -> list[str]:
    """The sentences of a text, by punctuation: simple, and wrong at "Dr. Smith", which chunking forgives."""
    return [part.strip() for part in _split_sentences(text)]


def _split_sentences(text: str) -> Iterator[str]:
    """The sentences, with white space around the first and the last of them, and none that is blank."""
    has_wide_end = not text.isascii() and any(sign in text for sign in "。！？")
    return filter(str.strip, (WIDE_END if has_wide_end else SENTENCE_END).split(text))


class _Room(NamedTuple):
    """What a passage may hold: so many words, so many tokens, and so many words that it shares with its neighbour."""

    words: int
    overlap: int
    tokens: float
    cost: Callable[[str], int]  # of a text in tokens

    def holds(self, words: int, tokens: int) -> bool:
        return words <= self.words and tokens <= self.tokens


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
                unit.alone or words > room.overlap or not room.holds(words + unit.words, tokens + unit.tokens)
            ):
                first = passage.pop(0)
                words, tokens = words - first.words, tokens - first.tokens
        passage.append(unit)
        words, tokens = words + unit.words, tokens + unit.tokens
    if passage:
        yield _joined(passage)


def _joined(units: list[_Unit]) -> str:
    return units[0].text + "".join(unit.separator + unit.text for unit in units[1:])


def _length(text: str) -> int:
    if text.isascii() or not HAS_UNSPACED.search(text):
        return len(text.split())
    return len(COUNTED.findall(text))


def _units(text: str, room: _Room) -> Iterator[_Unit]:
    """Sentences on one line each and lines that carry meaning. Those that are too long are cut into several."""
    for separator, piece in _pieces(text):
        words, tokens = _length(piece), room.cost(piece if separator == " " else separator + piece)
        if room.holds(words, tokens):
            yield _Unit(separator, piece, words, tokens)
        else:  # a long line of a list or table is cut at its sentences first
            for before, part in _sentences(separator, piece):
                yield from _cut(before, part, room)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(what stands before it, a sentence of prose on one line or a line that carries meaning)."""
    if "\n" not in text or not (STRUCTURED.search(text) or "```" in text or "~~~" in text):
        yield from _prose(text)
        return
    after_structure, blank_lines = False, 0
    for structured, group in groupby(_told_apart(text), key=itemgetter(0)):
        lines = [line for _, line in group]
        if structured:
            for line in lines:
                if line.strip():
                    yield "\n" * (1 + blank_lines), line.rstrip()
                blank_lines = 0 if line.strip() else blank_lines + 1
            after_structure = True
            continue
        leading = next((n for n, line in enumerate(lines) if line.strip()), len(lines))
        for n, (separator, sentence) in enumerate(_prose("\n".join(lines))):
            yield "\n" * (1 + blank_lines + leading) if after_structure and n == 0 else separator, sentence
        trailing = next((n for n, line in enumerate(reversed(lines)) if line.strip()), len(lines))
        blank_lines = trailing if leading < len(lines) else blank_lines + len(lines)
        after_structure = after_structure and leading == len(lines)


def _prose(text: str) -> Iterator[tuple[str, str]]:
    for separator, sentence in _sentences(" ", text):
        yield separator, SPACE.sub(_blank, sentence.strip()) if "-\n" in sentence else " ".join(sentence.split())


def _sentences(separator: str, text: str) -> Iterator[tuple[str, str]]:
    """(what stands before it, a sentence): nothing where Chinese or Japanese ended, elsewhere a blank."""
    for sentence in _split_sentences(text):
        yield separator, sentence
        separator = "" if AFTER_WIDE_END.search(sentence) else " "


def _blank(space: re.Match[str]) -> str:
    return "-\n" if space[1] else " "


def _told_apart(text: str) -> Iterator[tuple[bool, str]]:
    """Each line, and whether its end carries meaning."""
    fence = ""
    for line in text.split("\n"):
        opening = FENCE.match(line)
        if fence:
            yield True, line
            if opening and opening[1].startswith(fence) and line.strip() == opening[1]:
                fence = ""
        elif opening:
            fence = opening[1]
            yield True, line
        else:
            yield bool(STRUCTURED.match(line)), line


def _cut(separator: str, piece: str, room: _Room) -> Iterator[_Unit]:
    """Cut between words, and words that are longer than a passage anywhere."""
    start = end = words = tokens = 0
    for word in COUNTED.finditer(piece):
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
    if _length(document.text) <= words and room.cost(document.text) <= room.tokens:
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
