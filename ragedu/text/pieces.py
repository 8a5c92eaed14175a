"""From text to the pieces that passages are made of: sentences, and lines whose ends carry meaning.

Sentences of prose may be joined in one line. A line of code, a list or a table keeps its place below the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from ragedu.text.analysis import BROKEN_WORD, MARKS, WITH_VOWEL_SIGNS

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
WORD_OF_A_PASSAGE = re.compile(rf"[{UNSPACED}][{MARKS}]*|[^\s{UNSPACED}]+")
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


def sentences(text: str) -> list[str]:
    """The sentences of a text, by punctuation: simple, and wrong at "Dr. Smith", which chunking forgives."""
    return [sentence.strip() for _, sentence in separated_sentences(text, " ")]


def separated_sentences(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """(what stands before it, a sentence): at first `separator`, then nothing after a full stop of Chinese, or a blank.

    The first and the last sentence keep the white space around them; none is blank.
    """
    has_wide_end = not text.isascii() and any(sign in text for sign in "。！？")
    for sentence in (WIDE_END if has_wide_end else SENTENCE_END).split(text):
        if sentence.strip():
            yield separator, sentence
            separator = "" if AFTER_WIDE_END.search(sentence) else " "


def count_words(text: str) -> int:
    """How many words the text has, as passages count them."""
    if text.isascii() or not HAS_UNSPACED.search(text):
        return len(text.split())
    return len(WORD_OF_A_PASSAGE.findall(text))


def pieces(text: str) -> Iterator[tuple[str, str]]:
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
    for separator, sentence in separated_sentences(text, " "):
        yield separator, SPACE.sub(_blank, sentence.strip()) if "-\n" in sentence else " ".join(sentence.split())


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
