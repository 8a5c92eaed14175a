"""Text files, read strictly: what is not UTF-8 is an error that says where, never a replacement character."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path

# The encodings that say what they are in their first bytes. UTF-32 first: its mark begins with that of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WEB_ADDRESS = re.compile(r"(https?|ftps?|s3|gs|file):/", re.IGNORECASE)
HINT_BYTES = 65536  # so much of a file is enough to guess its encoding


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (with or without a byte order mark), its line ends turned into "\\n".

    UTF-16 and UTF-32 are read as well where a byte order mark says so.

    Raises FileNotFoundError and PermissionError in one sentence, and ValueError, which names file and position, for
    anything in another encoding (with a guess which) or with a NUL character.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}: check its name and the folder you are in") from None
    except PermissionError:
        raise PermissionError(f"{path} cannot be read: permission denied; change the file's permissions") from None
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}") from None
    text = _decode(content, path)
    if "\0" in text:
        if encoding := _utf_16_without_mark(content):
            raise ValueError(f"{path} is not UTF-8: save it as UTF-8; it looks like {encoding}")
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{path}, line {line}: a NUL character, so this is not a text file: remove the NUL or the file"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode(content: bytes, path: Path) -> str:
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                raise ValueError(
                    f"{path} begins as {encoding.upper()} and goes on as something else: save it as UTF-8"
                ) from None
    bom = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    try:
        return content[bom:].decode("utf-8")
    except UnicodeDecodeError as error:
        at = bom + error.start
        guess = _utf_16_without_mark(content) or _likely_encoding(content)
        hint = f"; it looks like {guess}" if guess else ""
        raise ValueError(
            f"{path} is not UTF-8 (byte 0x{content[at]:02x} at position {at}): save it as UTF-8{hint}"
        ) from None


def _utf_16_without_mark(content: bytes) -> str:
    """The byte order, if this looks like UTF-16. In every script a blank or a line end has a NUL as its upper byte."""
    sample = content[:HINT_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if len(content) % 2 or max(even, odd) < 2 or max(even, odd) < len(sample) / 40:
        return ""
    return "UTF-16-BE" if even > 3 * odd else "UTF-16-LE" if odd > 3 * even else ""


def _likely_encoding(content: bytes) -> str:
    """What charset-normalizer takes the lines for that are not plain ASCII, or "" where it finds nothing."""
    import charset_normalizer

    sample = b"\n".join(line for line in content.split(b"\n") if not line.isascii())[:HINT_BYTES]
    # It takes four bytes of Latin text for two Chinese characters in UTF-16, which was looked for already.
    matches = charset_normalizer.from_bytes(sample, cp_exclusion=["utf_16_le", "utf_16_be", "utf_32", "utf_7"])
    best = matches.best()
    if best is None:
        return ""
    # A few letters look alike in many encodings. Then the most common one is the best guess.
    as_good = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
    same = {name for match in as_good for name in match.could_be_from_charset}
    return "cp1252" if "cp1252" in same else best.encoding.replace("_", "-")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number in the file, counted from 1."""
    # Not splitlines(): it also splits at characters such as U+2028, which a JSON string may hold.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line


def whole_number(text: str) -> int:
    """The number that a grade says: "2", or "2.0", as pandas writes it. Raises ValueError for anything else."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)


def refuse_web_address(path: str | PathLike[str], instead: str) -> None:
    """Raise ValueError if the path is the address of something on the web. instead: what can be given."""
    # Not the address itself: it may hold a password.
    found = WEB_ADDRESS.match(fspath(path))
    if found is None:
        return
    if found[1].lower() == "file":
        raise ValueError("a path is given as it is, without file://")
    raise ValueError(f"{found[1].lower()}:// is an address on the web, and nothing is read from there: {instead}")
