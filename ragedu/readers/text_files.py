"""Text files, read strictly: what is not UTF-8 is an error that says where, never a replacement character."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (with or without a byte order mark), its line ends turned into "\\n".

    Raises FileNotFoundError and PermissionError in one sentence, and ValueError, which names file and position, for
    anything that is not UTF-8 or has a NUL character.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}: check its name and the folder you are in") from None
    except PermissionError:
        raise PermissionError(f"{path} cannot be read: permission denied; change the file's permissions") from None
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{path} is UTF-16, not UTF-8 (its first two bytes say so): save it as UTF-8")
    bom = len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0
    try:
        text = content[bom:].decode("utf-8")
    except UnicodeDecodeError as error:
        at = bom + error.start
        raise ValueError(f"{path} is not UTF-8 (byte 0x{content[at]:02x} at position {at}): save it as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{path}, line {line}: a NUL character, so this is not a text file: remove the NUL or the file"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number in the file, counted from 1."""
    # Not splitlines(): it also splits at characters such as U+2028, which a JSON string may hold.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line
