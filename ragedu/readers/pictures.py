"""Pictures inside a text, as data URLs. Their base64 is no text: only their alternative text is."""

from __future__ import annotations

import re

# None of these patterns can begin again inside what it has passed over, and none gives back what it has taken ("++"):
# so the time grows with the length of the text, whatever it holds.
MARKDOWN_IMAGE = re.compile(
    r"!\[([^\[\]]*+)\]\(\s*+<?data:[^()\s>]*+(?:\([^()\s]*+\)[^()\s>]*+)*+>?[^()\n]*+\)", re.IGNORECASE
)
HTML_IMAGE = re.compile(r"<img\b(?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+>", re.IGNORECASE)
DATA_SOURCE = re.compile(r"""\bsrc\s*+=\s*+["']?\s*+data:""", re.IGNORECASE)
ALTERNATIVE = re.compile(r"""\balt\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE)
# [photo]: data:image/png;base64,… as Google Docs and others write it.
DEFINITION = re.compile(r"^ {0,3}\[[^\[\]\n]++\]:[ \t]*+<?data:[^\n]*+$", re.MULTILINE | re.IGNORECASE)
# Whatever else holds one: CSS, a string in a program.
DATA_URL = re.compile(
    r"data:(?:(?:image|audio|video|font|application)/[\w.+;=-]*?)?;base64,[a-z0-9+/_=%-]*+", re.IGNORECASE
)


def without_pictures(text: str) -> str:
    """The text without pictures in data URLs. Their alternative text is kept, and so are the numbers of the lines."""
    if "data:" not in text.lower():
        return text
    text = MARKDOWN_IMAGE.sub(lambda image: image[1] + _line_ends(image), text)
    text = HTML_IMAGE.sub(_without_data, text)
    text = DEFINITION.sub("", text)
    return DATA_URL.sub("", text)


def _without_data(image: re.Match[str]) -> str:
    if DATA_SOURCE.search(image[0]) is None:
        return image[0]
    found = ALTERNATIVE.search(image[0])
    alternative = next(filter(None, found.groups()), "") if found else ""
    return alternative + "\n" * (image[0].count("\n") - alternative.count("\n"))


def _line_ends(image: re.Match[str]) -> str:
    return "\n" * (image[0].count("\n") - image[1].count("\n"))
