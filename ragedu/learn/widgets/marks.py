"""What the widgets share to show: bars made of characters, and words marked in a text. No colours.

Everything that comes from a person, a document or a model goes through `escape` here or in the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ragedu.corpus import shorten
from ragedu.showing import escape
from ragedu.text import WORD


def bar(value: float, largest: float, *, width: int = 20) -> str:
    """A bar of at most `width` characters, for 0 <= value <= largest; anything above 0 is at least a sliver."""
    if value <= 0 or largest <= 0:
        return ""
    share = min(value / largest, 1)
    eighths = max(round(8 * width * share), 1)
    full, rest = divmod(eighths, 8)
    return "█" * full + " ▏▎▍▌▋▊▉"[rest].strip()


def mark_words(text: str, wanted: Callable[[str], bool]) -> str:
    """The text as HTML, with the words that are `wanted` in bold and underlined."""
    pieces, end = [], 0
    for word in WORD.finditer(text):
        if wanted(word[0]):
            pieces += [escape(text[end : word.start()]), f"<b><u>{escape(word[0])}</u></b>"]
            end = word.end()
    return "".join([*pieces, escape(text[end:])])


def excerpt(text: str, wanted: Callable[[str], bool], width: int) -> str:
    """At most about `width` characters of the text, on one line, with the first wanted word among them."""
    line = " ".join(text.split())
    first = next((word.start() for word in WORD.finditer(line) if wanted(word[0])), 0)
    if first <= width // 2:
        return shorten(line, width)
    start = line.rfind(" ", 0, first - width // 3) + 1
    return ("… " if start else "") + shorten(line[start:], width)


def stands_for(analyzer: Callable[[str], list[str]], terms: Collection[str]) -> Callable[[str], bool]:
    """A function that says of a word whether it becomes one of these terms."""

    def becomes_one(word: str) -> bool:
        return any(term in terms for term in analyzer(word))

    return becomes_one


def count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
