"""How text from elsewhere is shown: the one way into a terminal, and the one way into HTML.

Ids, titles, texts, file names, answers and errors may hold anything. A terminal obeys control characters: ESC clears
the screen, a line end in an id begins a line that looks like another source, and a bidi override turns words round.
HTML has its own: "<" begins an element, and Jupyter's MathJax sets "$5 and $6" as a formula.

    one_line(title), block(answer), visible(message)    for a terminal
    escape(text), escape_attribute(text)                for HTML
"""

from __future__ import annotations

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
