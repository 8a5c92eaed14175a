"""Front matter: what stands at the head of a Markdown file, in YAML between ---, in TOML between +++, in JSON."""

from __future__ import annotations

import json
import re
import tomllib
from typing import NamedTuple

KEY = re.compile(r"[\w\"'-]+[ \t]*:(?=\s|$)")
TITLE = re.compile(r"(?:title|\"title\"|'title')[ \t]*:(?:[ \t]+(.*))?$", re.IGNORECASE)
BLOCK_SCALAR = re.compile(r"[|>][-+\d]*$")  # "title: >-": the value is on the lines below, which are indented
MAX_TOML_CHARACTERS = 10_000  # the time for a key of many dots grows with their square


class FrontMatter(NamedTuple):
    """The text between the two lines that enclose it, and the title that it gives, or ""."""

    text: str
    title: str


def split_front_matter(text: str) -> tuple[FrontMatter | None, str]:
    """The front matter of a Markdown text, if it has one, and the rest.

    The rest has blank lines instead of it, so that the numbers of the lines stay.
    """
    body = text.lstrip("\n")
    if body.startswith("{"):
        return _split_json(text, body)
    lines = text.split("\n")
    first = len(text) - len(body)  # blank lines before it
    opening = lines[first].rstrip()
    if opening not in ("---", "+++"):
        return None, text
    closings = ("---", "...") if opening == "---" else ("+++",)
    after = enumerate(lines[first + 1 :], start=first + 1)
    end = next((number for number, line in after if line.rstrip() in closings), None)
    if end is None:
        return None, text
    inner = lines[first + 1 : end]
    if opening == "---":
        # Otherwise --- is a horizontal rule.
        found = _from_yaml(inner) if _begins_with_a_key(inner) else None
    else:
        found = _from_toml("\n".join(inner))
    if found is None:
        return None, text
    return found, "\n" * (end + 1) + "\n".join(lines[end + 1 :])


def _split_json(text: str, body: str) -> tuple[FrontMatter | None, str]:
    """As Hugo has it: an object by itself before the text, with a title among its keys."""
    try:
        value, length = json.JSONDecoder().raw_decode(body)
    except (ValueError, RecursionError):
        return None, text
    end = len(text) - len(body) + length
    rest = text[end:]
    if not rest.startswith("\n") or not rest.strip() or "title" not in value:
        return None, text
    return FrontMatter(body[:length], _as_title(value.get("title"))), "\n" * text.count("\n", 0, end) + rest


def _as_title(value: object) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def _begins_with_a_key(lines: list[str]) -> bool:
    """Whether the first line that is neither blank nor a comment is "key: …". Nothing at all is front matter too."""
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), None)
    return first is None or bool(KEY.match(first))


def _from_yaml(lines: list[str]) -> FrontMatter:
    return FrontMatter("\n".join(lines).strip(), _yaml_title(lines))


def _yaml_title(lines: list[str]) -> str:
    """The value of the key "title". Of YAML this knows what titles are written in: plain, quoted, and in a block."""
    for number, line in enumerate(lines):
        if found := TITLE.match(line.rstrip()):
            value = (found[1] or "").strip()
            below = []
            for following in lines[number + 1 :]:
                if following.strip() and not following.startswith((" ", "\t")):
                    break
                below.append(following.strip())
            return _yaml_string(" ".join([*([] if BLOCK_SCALAR.match(value) else [value]), *below]))
    return ""


def _yaml_string(value: str) -> str:
    value = " ".join(value.split())
    if quoted := re.match(r"'((?:[^']|'')*+)'", value):
        return quoted[1].replace("''", "'")
    if quoted := re.match(r'"(?:[^"\\]|\\.)*+"', value):
        return _unquoted(quoted[0])
    value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    is_list = value.startswith(("- ", "[", "{"))
    return "" if value in ("null", "~") or is_list else value


def _unquoted(value: str) -> str:
    """A YAML string in double quotes, whose escapes are JSON's, but for rare ones."""
    try:
        return " ".join(json.loads(value).split())
    except ValueError:
        return value[1:-1]


def _from_toml(text: str) -> FrontMatter | None:
    """None where it is no TOML: then +++ was meant as text."""
    if len(text) > MAX_TOML_CHARACTERS:
        return None
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    return FrontMatter(text.strip(), _as_title(table.get("title")))
