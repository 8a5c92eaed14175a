"""The words of the archive, read once from the TOML files of the folder text, and which split may use which of them.

words.toml has the lists that names and objects are made of, common.toml what may stand before any sentence. Every
other file is a kind of page. Its relations have

    values, code or refers   the objects: phrases with {blanks}, an identifier, or entities of another kind
    says                     sentences that state the relation
    ask                      questions for it in the words of the page
    paraphrase               questions that share no word with the page but the name
    inverse                  questions for the subject, given the object
    hop                      with refers: ways to speak of the object in a two-hop question
    changes                  whether edition 2 may state it differently

The last third of every list of phrasings is kept for the test split.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

KINDS = (
    *("mariner", "resident", "building", "ship", "inn", "club"),
    *("festival", "bylaw", "permit", "ledger", "case", "obituary", "survey"),
)

Table = dict[str, Any]  # TOML's word: a kind of page, or a relation


def _read(name: str) -> Table:
    return tomllib.loads((Path(__file__).parent / "text" / f"{name}.toml").read_text("utf-8"))


@cache
def words() -> Table:
    """Lists of words by the name of their blank, and under "names" the rules by which names are put together."""
    lists = _read("words")
    lists["first"] = lists["woman"] + lists["man"]
    return lists


@cache
def links() -> list[str]:
    """What may stand before a sentence of any kind: "By all accounts, " and the like."""
    return _read("common")["link"]


@cache
def kinds() -> tuple[Table, ...]:
    """The kinds of page in the order of KINDS. The position of a kind in it is its slot.

    A kind may be `about` another: an obituary is a second page about a mariner.
    This adds to what the files say

    - for a kind, `slot`: the kind whose names its pages bear; and `pages`: how many there are about one entity;
    - for a relation, `target`: the slot of the kind that it refers to, or None.
    """
    tables = [_read(name) for name in KINDS]
    with_second_page = {kind["about"] for kind in tables if "about" in kind}
    for kind in tables:
        kind["pages"] = 2 if "about" in kind or kind["id"] in with_second_page else 1
        kind["slot"] = KINDS.index(kind.get("about", kind["id"]))
        for relation in kind["relation"]:
            relation["target"] = KINDS.index(relation["refers"]) if "refers" in relation else None
    return tuple(tables)


# Blocks of pages and phrasings both belong to a split.


def split_of(block: int) -> str:
    """The split of a block of pages: every third one is for testing."""
    return "test" if block % 3 == 1 else "train"


@cache
def share(count: int, split: str) -> tuple[int, int]:
    """The half-open range of the phrasings, out of `count`, that a split may use."""
    boundary = count - count // 3
    return (boundary, count) if split == "test" else (0, boundary)


def pick_phrasing(phrasings: list[str], split: str, dice: Random) -> int:
    """The position of one of the phrasings that the split may use."""
    start, stop = share(len(phrasings), split)
    return start + int(dice.random() * (stop - start))
