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
MARK_AT_LINE = re.compile(r"^\ufeff+", re.MULTILINE)
WEB_ADDRESS = re.compile(r"(https?|ftps?|s3|gs|file):/", re.IGNORECASE)
HINT_BYTES = 65536  # so much of a file is enough to guess its encoding
# How files begin that are no text, whatever they are called.
SIGNATURES = {
    b"\x1f\x8b": "is compressed by gzip: unpack it first",
    b"BZh91AY&SY": "is compressed by bzip2: unpack it first",
    b"\xfd7zXZ\0": "is compressed by xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: unpack it first",
    b"PK\x03\x04": "is a ZIP archive or an Office document, not text: unpack or export it first",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is an Office document, not text: export it as text",
    b"%PDF-": "is a PDF, not text: extract its text first",
    b"{\\rtf": "is an RTF document, not text: save it as text",
    b"SQLite format 3\0": "is an SQLite database: give it as  sqlite:///PATH",
    b"PAR1": "is a Parquet file, not text: convert it to CSV or JSONL",
    b"\x89PNG\r\n\x1a\n": "is a picture, not text",
    b"\xff\xd8\xff": "is a picture, not text",
    b"GIF89a": "is a picture, not text",
    b"\x7fELF": "is a program, not text",
    b"version https://git-lfs.github.com/spec/": "stands for a file that Git LFS keeps: run  git lfs pull",
}
# ISO-2022-JP and its like are ASCII to whoever doesn't know them.
ESCAPED_CHARACTERS = re.compile(r"\x1b\$(?:[@AB]|\([CD]|\)[ACG])")


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
    if "\x1b$" in text and ESCAPED_CHARACTERS.search(text):
        raise ValueError(f"{path} is not UTF-8: save it as UTF-8; it looks like {_escaped_encoding(content)}")
    if "\0" in text:
        if encoding := _utf_16_without_mark(content):
            raise ValueError(f"{path} is not UTF-8: save it as UTF-8; it looks like {encoding}")
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{path}, line {line}: a NUL character, so this is not a text file: remove the NUL or the file"
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Files that each begin with a byte order mark, put together, have one at every joint.
    return MARK_AT_LINE.sub("", text) if content.startswith(codecs.BOM_UTF8) else text


def _decode(content: bytes, path: Path) -> str:
    for signature, what in SIGNATURES.items():
        if content.startswith(signature):
            raise ValueError(f"{path} {what}")
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
        hint = _hint(content)
        raise ValueError(
            f"{path} is not UTF-8 (byte 0x{content[at]:02x} at position {at}): save it as UTF-8{hint}"
        ) from None


def _hint(content: bytes) -> str:
    """What the file looks like, for the end of a sentence, or ""."""
    guess = _utf_16_without_mark(content)
    if not guess:
        lines = [line for line in content[:HINT_BYTES].split(b"\n") if not line.isascii()]
        good = sum(map(_is_utf_8, lines))
        if good > len(lines) / 2:
            return "; most of it is UTF-8: mend this byte and those like it"
        guess = _likely_encoding(content)
    return f"; it looks like {guess}" if guess else ""


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _escaped_encoding(content: bytes) -> str:
    return "ISO-2022-KR" if b"\x1b$)C" in content else "ISO-2022-CN" if b"\x1b$)A" in content else "ISO-2022-JP"


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


def path_from(given: str | PathLike[str]) -> Path:
    """The path, with "~" replaced. Raises ValueError for an unknown user, and for a blank path, which is a mistake."""
    if isinstance(given, str) and not given.strip():
        raise ValueError("the path is blank: give a file or a folder, or . for the one you are in")
    if "\0" in str(given):
        raise ValueError("the path has a NUL character: no file can have such a name")
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise ValueError(f"{given}: there is no such user: write ./~… for a name that begins with ~") from None


def refuse_web_address(path: str | PathLike[str], instead: str) -> None:
    """Raise ValueError if the path is the address of something on the web. instead: what can be given."""
    # Not the address itself: it may hold a password.
    found = WEB_ADDRESS.match(fspath(path))
    if found is None:
        return
    if found[1].lower() == "file":
        raise ValueError("a path is given as it is, without file://")
    raise ValueError(f"{found[1].lower()}:// is an address on the web, and nothing is read from there: {instead}")
