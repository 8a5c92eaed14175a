"""How text from elsewhere is shown: the one way into a terminal, and the one way into HTML.

Ids, titles, texts, file names, answers and errors may hold anything. A terminal obeys control characters: ESC clears
the screen, a line end in an id begins a line that looks like another source, and a bidi override turns words round.
HTML has its own: "<" begins an element, and Jupyter's MathJax sets "$5 and $6" as a formula.

    one_line(title), block(answer), visible(message)    for a terminal
    columns(text), fit(text, 60), pad(text, 60)         its columns in a terminal
    escape(text), escape_attribute(text)                for HTML
    table(header, rows)                                 a table of HTML
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from html import escape as escape_html

# What a terminal obeys: C0 (U+0000 to U+001F), DEL and C1 (to U+009F), and the marks that turn the direction of text.
DIRECTIONS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
LINE_ENDS = (0x2028, 0x2029)  # Unicode's own
SURROGATES = range(0xD800, 0xE000)  # halves of characters, as in a file's name that is not UTF-8

PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) != "\n"} | {0x7F: "␡"}  # ESC as ␛
AS_NUMBERS = {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
AS_NUMBERS |= {code: f"\\u{code:04x}" for code in (*LINE_ENDS, *DIRECTIONS, *SURROGATES)}
VISIBLE = PICTURES | AS_NUMBERS
IN_JSON = {code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0), *LINE_ENDS, *DIRECTIONS)}

INACTIVE = str.maketrans({"$": "<span>$</span>", "\\": "<span>\\</span>"})
LOOKS_ALIKE = str.maketrans({"$": "＄", "\\": "＼"})


# Into a terminal.


def visible(text: str) -> str:
    """The text with its control characters written out, except for line ends: ESC as ␛, U+202E as \\u202e."""
    return text.translate(VISIBLE)


def one_line(text: str) -> str:
    """A title, an id or a name: line ends and tabs become blanks, other control characters are written out."""
    return visible(" ".join(text.splitlines()).replace("\t", " "))


def block(text: str, *, indent: int = 4) -> str:
    """A text of several lines, which keeps them. All but the first are indented, so none can pass for one of ours."""
    lines = [visible(line.expandtabs(4)) for line in text.splitlines()]
    return f"\n{' ' * indent}".join(lines)


def visible_json(written: str) -> str:
    """JSON in which characters that a terminal obeys are escaped. What it says is the same."""
    return written.translate(IN_JSON)  # C0 is escaped already: JSON demands it


# The columns of a terminal.


def columns(text: str) -> int:
    """How many columns a terminal gives the text: two for each wide character (한, 海), none for an accent."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if unicodedata.category(character) in ("Mn", "Me", "Cf") else 1


def pad(text: str, width: int) -> str:
    """The text with blanks up to this many columns."""
    return text + " " * (width - columns(text))


def fit(text: str, width: int) -> str:
    """The text on one line, truncated to at most `width` columns, with … at its end where something is missing."""
    line = " ".join(text.split())
    if columns(line) <= width:
        return line
    end = 0
    room = width - 1
    while (room := room - columns(line[end])) >= 0:
        end += 1
    return line[:end].rstrip() + "…"


# Into HTML.


def escape(text: str) -> str:
    """The text as HTML.

    A dollar and a backslash stand in an element of their own, or MathJax would set "$5 and $6", "\\(x\\)" and
    "\\begin{cases}" as formulas. It looks for them within one piece of text.
    """
    return escape_html(text).translate(INACTIVE)


def escape_attribute(text: str) -> str:
    """The same where no element can stand, in an attribute or a <title>: a dollar and a backslash become characters
    that look like them."""
    return escape_html(text).translate(LOOKS_ALIKE)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[int] = ()) -> str:
    """A table of cells that are HTML already. The columns at the positions `numbers` are aligned on the right.

    On a narrow page the table scrolls, and the page doesn't. Where a page takes styles away, `align` still stands.
    """
    head = "".join(_cell("th scope='col'", cell, place in numbers) for place, cell in enumerate(header))
    body = "".join(
        f"<tr>{''.join(_cell('td', cell, place in numbers) for place, cell in enumerate(row))}</tr>\n" for row in rows
    )
    return f"<div style='overflow-x:auto'><table style='margin-left:0'>\n<tr>{head}</tr>\n{body}</table></div>"


def _cell(tag: str, cell: str, is_number: bool) -> str:
    side, wrap = ("right", ";white-space:nowrap") if is_number else ("left", "")
    return f"<{tag} align='{side}' style='text-align:{side};vertical-align:top{wrap}'>{cell}</{tag[:2]}>"
