"""Port Ellery, the archive of a harbour town that does not exist.

Captains and shopkeepers, ships, inns, clubs, feasts, bylaws, permits, ledgers and court cases: every page is
written from facts (subject, relation, object), so every question has a known answer and known supporting pages,
and no language model can have read any of it. The archive has any size, and the same seed gives the same bytes on
every machine; a smaller archive is the beginning of a larger one. Edition 2 is the same archive some years later:
about one page in seven states one fact differently.

    dataset = port_ellery.load(1000)
    dataset.select(kind="paraphrase", split="test")

How it is made. Pages come in blocks, one page of each kind in a block. A page may mention only entities of its own
block or of earlier blocks of the same split, so two-hop questions never leave the corpus and the train split never
mentions an entity of the test split. All words are in the TOML files of the folder port_ellery_text: each kind has
its relations, and each relation the objects it may have, sentences that state it (`says`), questions for it (`ask`),
questions that share no word with the page but the name (`paraphrase`), and for a relation whose object has a page of
its own (`refers`), ways to speak of that object in a two-hop question (`hop`). The last third of every list of
phrasings is kept for the test split.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from ragedu.corpus import Corpus, Dataset, Document

KINDS = (
    *("mariner", "resident", "building", "ship", "inn", "club"),
    *("festival", "bylaw", "permit", "ledger", "case", "obituary", "survey"),
)
QUESTION_KINDS = ("lookup", "paraphrase", "identifier", "two-hop", "unanswerable", "changed")
LARGEST = 1_500_000  # documents; the names of inns run out first
CHANGED = 0.15  # of the pages state one fact differently in edition 2
WINDOW = 6  # blocks: how far back a page looks for someone to mention

_FOLDER = Path(__file__).parent / "port_ellery_text"
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_PRONOUNS = {"woman": ("she", "her", "her", "herself"), "man": ("he", "his", "him", "himself")}


class Fact(NamedTuple):
    """What a document states: the `relation` of the `subject` is the `object`, verbatim in the document's text."""

    subject: str
    relation: str
    object: str
    document_id: str


# ---------------------------------------------------------------------------------------------------------------
# Words, read once from the TOML files


@cache
def _words() -> dict[str, Any]:
    words = tomllib.loads((_FOLDER / "words.toml").read_text("utf-8"))
    words["first"] = words["woman"] + words["man"]
    return words


@cache
def _kinds() -> tuple[dict[str, Any], ...]:
    kinds = [tomllib.loads((_FOLDER / f"{name}.toml").read_text("utf-8")) for name in KINDS]
    twice = {kind["about"] for kind in kinds if "about" in kind}
    for kind in kinds:
        kind["pages"] = 2 if "about" in kind or kind["id"] in twice else 1  # of the archive about one entity
        kind["slot"] = KINDS.index(kind.get("about", kind["id"]))  # whose name this page bears
        for relation in kind["relation"]:
            relation["target"] = KINDS.index(relation["refers"]) if "refers" in relation else None
    return tuple(kinds)


@cache
def _links() -> list[str]:
    return tomllib.loads((_FOLDER / "common.toml").read_text("utf-8"))["link"]


@cache
def _share(count: int, split: str) -> tuple[int, int]:
    """First and last+1 of the phrasings, out of `count`, that a split may use."""
    boundary = count - count // 3
    return (boundary, count) if split == "test" else (0, boundary)


def _split(block: int) -> str:
    return "test" if block % 3 == 1 else "train"


def _pick(items, dice: Random):
    # random() yields the same numbers in every version of Python; choice, sample and shuffle need not.
    return items[int(dice.random() * len(items))]


def _phrasing(phrasings: list[str], split: str, dice: Random) -> int:
    start, stop = _share(len(phrasings), split)
    return start + int(dice.random() * (stop - start))


# ---------------------------------------------------------------------------------------------------------------
# Names: entity number n of a kind has one name, and no other entity has it


@cache
def _key(seed: int, what: str) -> int:
    return Random(f"{seed}/{what}").getrandbits(64)


def _permute(n: int, size: int, key: int) -> int:
    """A shuffle of range(size) that needs no table: where does n go?

    Each step (add, multiply by an odd number, xor with the upper half) can be undone within `bits` bits, so no two
    numbers meet; numbers that fall outside the range go round again until they fall inside ("cycle walking").
    """
    bits = max(size - 1, 1).bit_length()
    mask, half = (1 << bits) - 1, (bits + 1) // 2
    while True:
        for _ in range(3):
            n = (n + key) * 0x9E3779B97F4A7C15 & mask
            n ^= n >> half
        if n < size:
            return n


class _Names:
    """All names of one sort. A tenth of the plain names is never given to anyone: questions about an entity that
    does not exist take theirs from it."""

    def __init__(self, sort: str) -> None:
        rules = _words()["names"][sort]
        self.extra = _words()[rules["extra"]]
        self.turn = rules["extra"] != "numeral"
        self.patterns = []
        for plain, again in zip(rules["plain"], rules["again"], strict=True):
            slots = [(slot, _words()[slot]) for slot in re.findall(r"{(\w+)}", plain)]
            size = 1
            for _, entries in slots:
                size *= len(entries)
            self.patterns.append((size, slots, plain, again))
        self.size = sum(size for size, *_ in self.patterns)
        self.reserve = self.size // 20 * 2
        self.given = self.size - self.reserve

    def of(self, number: int, key: int) -> str:
        cycle, n = divmod(number, self.given)
        return self._compose(_permute(n, self.size, key), cycle)

    def of_nobody(self, number: int, key: int) -> str:
        return self._compose(_permute(self.given + number % self.reserve, self.size, key), 0)

    def _compose(self, n: int, cycle: int) -> str:
        rest = n
        for size, slots, plain, again in self.patterns:  # noqa: B007
            if rest < size:
                break
            rest -= size
        words = {}
        for slot, entries in slots:
            rest, which = divmod(rest, len(entries))
            words[slot] = entries[which]
        if not cycle:
            return plain.format_map(words)
        words["extra"] = self.extra[(cycle - 1 + n * self.turn) % len(self.extra)]
        return again.format_map(words)


@cache
def _names(sort: str) -> _Names:
    return _Names(sort)


def _code(pattern: str, group: int, member: int, key: int) -> str:
    """An identifier such as PE-4471-K. The members 0, 1, 2 of a group differ in the letter alone; those of 3, 4, 5 are
    nobody's."""
    few, many = 9_000, 90_000
    number = 1_000 + _permute(group, few, key) if group < few else 10_000 + _permute(group - few, many, key)
    letter = _LETTERS[(number * 7 + key + 5 * member) % len(_LETTERS)]
    return pattern.format(number=number, letter=letter)


def _name(slot: int, block: int, seed: int, exists: bool = True) -> str:
    """The name of the entity of kind `slot` in a block, or one like it that no entity of any block has."""
    kind = _kinds()[slot]
    if "code" in kind:
        return _code(kind["code"], block // 3, block % 3 + 3 * (not exists), _key(seed, kind["id"]))
    names, key = _names(kind["names"]), _key(seed, kind["names"])
    if not exists:  # even numbers for train, odd for test
        return names.of_nobody(2 * block + (_split(block) == "test"), key)
    return names.of(2 * block + slot if kind["names"] == "people" else block, key)


# ---------------------------------------------------------------------------------------------------------------
# Pages: which facts, told how


@dataclass(slots=True)
class _Page:
    number: int
    kind: dict[str, Any]
    block: int
    split: str
    name: str
    year: int
    told: list[tuple[dict[str, Any], str, int | None]]  # relation, object, number of the object's own page
    change: int | None = None  # which of `told` the two editions state differently
    untold: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.kind['id']}-{self.block:06d}"

    @property
    def title(self) -> str:
        return self.kind["title"].format(name=self.name)


def _subject(kind: dict[str, Any], name: str) -> str:
    return kind["subject"].format(name=name)


def _pronouns(kind: dict[str, Any], name: str) -> tuple[str, ...]:
    if "pronouns" in kind:
        return tuple(kind["pronouns"])
    return _PRONOUNS["woman" if name.split(" ", 1)[0] in _women() else "man"]


@cache
def _women() -> frozenset[str]:
    return frozenset(_words()["woman"])


def _object(relation: dict[str, Any], page: _Page, seed: int, dice: Random) -> tuple[str, int | None]:
    """Draw the object of a relation: its text, and the number of its own page where it has one."""
    if relation["target"] is not None:
        block = page.block - 3 * int(dice.random() * min(WINDOW, page.block // 3 + 1))
        slot = relation["target"]
        return _subject(_kinds()[slot], _name(slot, block, seed)), block * len(KINDS) + slot
    if "code" in relation:
        return _code(relation["code"], page.block // 3, page.block % 3, _key(seed, relation["name"])), None
    value = _pick(relation["values"], dice)
    if "{" in value:
        value = re.sub(r"{(\w+)}", lambda match: _fill(match[1], page, dice), value)
        value = re.sub(r"\ba (?=[aeio])", "an ", value)
    return value, None


def _fill(slot: str, page: _Page, dice: Random) -> str:
    if slot == "year":
        return str(page.year)
    if slot == "past":
        return str(page.year - 4 - int(dice.random() * 45))
    return _pick(_words()[slot], dice)


def _page(number: int, seed: int, edition: int, dice: Random) -> _Page:
    """The facts of document `number`. The same dice then tell how it is written, so both editions read alike."""
    block, slot = divmod(number, len(KINDS))
    kind = _kinds()[slot]
    year = 1868 + int(dice.random() * 64)
    page = _Page(number, kind, block, _split(block), _name(kind["slot"], block, seed), year, [])
    relations = list(kind["relation"])
    for _ in range(4 + int(dice.random() * 3)):
        relation = relations.pop(int(dice.random() * len(relations)))
        page.told.append((relation, *_object(relation, page, seed, dice)))
    page.untold = relations
    if dice.random() < CHANGED:
        _change(page, seed, edition, dice)
    return page


def _change(page: _Page, seed: int, edition: int, dice: Random) -> None:
    """Choose one stated fact that may change and draw its new object; use it in edition 2."""
    candidates = [i for i, (relation, *_) in enumerate(page.told) if relation.get("changes")]
    if not candidates:
        return
    which = _pick(candidates, dice)
    relation, before, _ = page.told[which]
    for _ in range(20):  # the first blocks have so few people that there may be no other one
        after, target = _object(relation, page, seed, dice)
        if after != before:
            page.change = which
            if edition == 2:
                page.told[which] = (relation, after, target)
            return


def _dice(seed: int, number: int, what: str = "page") -> Random:
    return Random(f"{seed}/{number}/{what}")


# ---------------------------------------------------------------------------------------------------------------
# Prose


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _possessive(form: str) -> str:
    return form + ("'" if form.endswith("s") else "'s")


def _forms(form: str, pronouns: tuple[str, ...], pronoun: bool = False) -> dict[str, str]:
    """What the placeholders of a sentence stand for when its subject is called `form`, or by a pronoun.

    S, n: the subject at the beginning of a sentence and within; P: its possessive at the beginning. With `pronoun`
    these three become "she" and "her". s, p: the same within a sentence, always `form`, since "of she" would be
    wrong. he, his, him, himself: always a pronoun.
    """
    he, his, him, himself = pronouns
    possessive = _possessive(form)
    subject = he if pronoun else form
    return {
        **{"S": _capital(subject), "n": subject, "P": _capital(his if pronoun else possessive)},
        **{"s": form, "p": possessive, "he": he, "his": his, "him": him, "himself": himself, "His": _capital(his)},
    }


def _tell(page: _Page, dice: Random) -> str:
    """Write the page: its facts in the order drawn, each in one of the phrasings of its split.

    The dice are never asked about an object's text, so both editions of a page differ in the object alone.
    """
    kind, split = page.kind, page.split
    subject, pronouns = _subject(kind, page.name), _pronouns(kind, page.name)
    parts = page.name.split(" ")
    named = _forms(subject, pronouns)
    short = _pick(kind["short"], dice).format(first=parts[0], last=parts[-1])
    short, short_pronoun = _forms(short, pronouns), _forms(short, pronouns, pronoun=True)

    sentences: list[str] = []
    if len(page.told) == 4 or dice.random() < 0.6:
        sentences.append(_say(kind["opening"], split, dice).format_map(named))
    asides = {4: 2, 5: 1, 6: 1}[len(page.told)]
    said = None
    linked = unclear = joinable = False
    for position, (relation, value, target) in enumerate(page.told):
        template = _say(relation["says"], split, dice)
        chance = dice.random()
        if not sentences:
            forms = named
        elif unclear:  # the last sentence spoke of somebody else: "she" might be either
            forms = named if chance < 0.4 else short
        else:
            forms = named if chance < 0.1 else short if chance < 0.3 else short_pronoun
        sentence = template.format(x=value, **forms)
        simple = template.startswith("{S} ") and "," not in template and " and " not in template
        chance = dice.random()
        if joinable and simple and chance < 0.5:
            sentences[-1] = f"{sentences[-1][:-1]} and {template[4:].format(x=value, **forms)}"
            simple = False
        elif sentences and not linked and chance > 0.8:
            linked, simple = True, False
            sentences.append(_say(_links(), split, dice) + _after_link(template, sentence, forms))
        else:
            sentences.append(sentence[0].upper() + sentence[1:])
        unclear = target is not None
        joinable = simple and not unclear
        last = position == len(page.told) - 1
        if asides and not unclear and (last or dice.random() < 0.3):
            aside = _say(kind["colour"], split, dice)
            if aside != said:
                sentences.append(aside.format_map(short_pronoun))
                said, joinable = aside, False
                asides -= 1
    return " ".join(sentences)


def _say(phrasings: list[str], split: str, dice: Random) -> str:
    return phrasings[_phrasing(phrasings, split, dice)]


def _after_link(template: str, sentence: str, forms: dict[str, str]) -> str:
    """The sentence without its capital, unless it begins with a name."""
    if template.startswith("{S}"):
        return forms["n"][0] + sentence[1:]
    if template.startswith("{P}") and forms["P"] == _capital(forms["p"]):
        return forms["p"][0] + sentence[1:]
    return sentence if template.startswith(("{x}", "Captain")) else sentence[0].lower() + sentence[1:]


def _document(number: int, seed: int, edition: int) -> tuple[_Page, Document]:
    dice = _dice(seed, number)
    page = _page(number, seed, edition, dice)
    metadata = {"kind": page.kind["id"], "year": page.year, "split": page.split}
    return page, Document(page.id, _tell(page, dice), page.title, metadata)


# ---------------------------------------------------------------------------------------------------------------
# Questions


class _Question(NamedTuple):
    kind: str
    text: str
    answers: list[str]
    documents: list[str]
    metadata: dict[str, Any]


_FUNCTION_WORDS = frozenset(
    "a an the and or but if of in on at by for from to with into as is was were are be been being has have had do "
    "does did can may must would should will one what which who whom whose when where why how it its she he her his "
    "him they them their this that these those there no not so than then up out off over under while after before "
    "behind through during between".split()
)


def _stems(text: str) -> set[str]:
    """The first three letters of every content word: coarser than any stemmer, so what differs here differs there."""
    return {word[:3] for word in re.findall(r"\w+", text.lower()) if word not in _FUNCTION_WORDS}


def _answers(value: str) -> list[str]:
    bare = re.sub(r"^(a|an|the) ", "", value)
    return [value] if bare == value else [value, bare]


def _questions(number: int, seed: int, edition: int) -> Iterator[_Question]:
    """Every question about one page. They are the same in both editions but for the answers of the changed kind:
    pages with a changed fact are asked about nothing else."""
    page, document = _document(number, seed, edition)
    kind, split, name = page.kind, page.split, page.name
    dice = _dice(seed, number, "questions")
    subject, pronouns = _subject(kind, name), _pronouns(kind, name)

    def make(sort, relation, phrasings, answers, documents, subject=subject, entity=name, **more):
        phrasing = _phrasing(phrasings, split, dice)
        forms = _forms(subject, pronouns) | {"name": entity, "x": more.pop("value", "")}
        metadata = {"kind": sort, "split": split, "relation": relation["name"], "entity": entity}
        metadata |= {"phrasing": phrasing, **more}
        return _Question(sort, phrasings[phrasing].format_map(forms), answers, documents, metadata)

    if page.change is not None:
        relation, value, _ = page.told[page.change]
        yield make("changed", relation, relation["ask"], _answers(value), [page.id])
        return

    known = _stems(document.content) - _stems(name)
    for relation, value, target in page.told:
        answers = _answers(value)
        yield make("identifier" if "code" in kind else "lookup", relation, relation["ask"], answers, [page.id])
        if "inverse" in relation:
            yield make("identifier", relation, relation["inverse"], _answers(subject), [page.id], value=value)
        question = make("paraphrase", relation, relation["paraphrase"], answers, [page.id], pages=kind["pages"])
        said_otherwise = _stems(question.text) - _stems(name)
        if said_otherwise and not said_otherwise & known:
            yield question
        if target is not None:
            yield from _two_hop(page, document, relation, target, make, seed, edition, dice)

    nobody = _name(kind["slot"], page.block, seed, exists=False)
    unknown = [make("unanswerable", relation, relation["ask"], [], []) for relation in page.untold]
    relation = _pick(kind["relation"], dice)
    invented = make("unanswerable", relation, relation["ask"], [], [], _subject(kind, nobody), nobody)
    unknown.insert(0 if dice.random() < 0.5 else len(unknown), invented)
    yield from unknown


def _two_hop(page, document, first, target: int, make: Callable, seed, edition, dice) -> Iterator[_Question]:
    """Ask for a fact of the object of `first`, spoken of only by its relation to this page's subject."""
    bridge = _page(target, seed, edition, _dice(seed, target))
    if bridge.change is not None:
        return
    second, value, _ = _pick(bridge.told, dice)
    hop = _phrasing(first["hop"], page.split, dice)
    middle = first["hop"][hop].format(s=_subject(page.kind, page.name))
    # "the captain of the Grey Heron's" is no English: leave out questions that need a possessive or a pronoun.
    askable = [text for text in second["ask"] if "{p}" not in text and "{his}" not in text]
    if value.lower() in document.content.lower() or _share(len(askable), page.split)[0] == len(askable):
        return
    question = make(
        *("two-hop", second, askable, _answers(value), [page.id, bridge.id]),
        subject=middle,
        bridge=bridge.name,
        hop=f"{first['name']}/{hop}",
    )
    text = second["ask"].index(askable[question.metadata["phrasing"]])
    yield question._replace(metadata=question.metadata | {"entity": page.name, "phrasing": text})


def _choose(documents: int, seed: int, edition: int, most: int) -> Iterator[tuple[str, _Question]]:
    """At most `most` questions of each kind with their ids, first one from each page, then a second one, …

    Where an entity has one page, its name alone finds the page and a paraphrase proves little, so paraphrases about
    entities with two pages come first.
    """
    rounds: dict[str, dict[int, list[_Question]]] = {kind: defaultdict(list) for kind in QUESTION_KINDS}
    seen: set[str] = set()
    key = _key(seed, "order of questions")
    for position in range(documents):
        count = dict.fromkeys(QUESTION_KINDS, 0)
        for question in _questions(_permute(position, documents, key), seed, edition):
            if question.text not in seen:
                seen.add(question.text)
                late = 100 if question.metadata.get("pages") == 1 else 0
                rounds[question.kind][late + count[question.kind]].append(question)
                count[question.kind] += 1
        if all(len(rounds[kind][0]) >= most for kind in QUESTION_KINDS):
            break
    for kind in QUESTION_KINDS:
        chosen = [question for turn in sorted(rounds[kind]) for question in rounds[kind][turn]]
        for number, question in enumerate(chosen[:most]):
            yield f"q-{kind}-{number:05d}", question


# ---------------------------------------------------------------------------------------------------------------
# What people call


def _check(documents: int, seed: int, edition: int) -> None:
    whole = lambda value: isinstance(value, int) and not isinstance(value, bool)
    if not whole(documents) or not 1 <= documents <= LARGEST:
        raise ValueError(f"documents must be a whole number from 1 to {LARGEST:,}, not {documents!r}")
    if not whole(seed):
        raise ValueError(f"seed must be a whole number, not {seed!r}")
    if edition not in (1, 2):
        raise ValueError(f"edition must be 1 or 2, not {edition!r}: the archive has had two editions")


def stream(documents: int, seed: int = 0, edition: int = 1) -> Iterator[Document]:
    """The documents of `load(documents, seed, edition)`, in the same order, one at a time and in bounded memory."""
    _check(documents, seed, edition)
    return (_document(number, seed, edition)[1] for number in range(documents))


def facts(documents: int, seed: int = 0, edition: int = 1) -> Iterator[Fact]:
    """Every fact that the documents state, in their order."""
    _check(documents, seed, edition)
    for number in range(documents):
        page = _page(number, seed, edition, _dice(seed, number))
        for relation, value, _ in page.told:
            yield Fact(page.name, relation["name"], value, page.id)


def load(documents: int = 1000, seed: int = 0, edition: int = 1, questions: int | None = None) -> Dataset:
    """The archive with questions whose answers are known.

    documents: how many, exactly; questions: at most so many of each kind (100 unless told), fewer where the corpus
    offers fewer. Kinds of question: lookup, paraphrase (shares the name and no other content word with its
    document), identifier (a permit, ledger, case or hull number), two-hop (needs two documents), unanswerable
    (no judgments, no answers), changed (the answer differs between the editions).

    metadata[query id]: kind, split ("train" or "test"; no entity and no phrasing is in both), relation, entity,
    phrasing (its number); for paraphrase also pages, how many pages there are about the entity (2 come first, since
    the meaning must tell them apart); for two-hop also bridge, the entity in between, and hop.

    Raises ValueError for a size, seed or edition that there is not.
    """
    most = 100 if questions is None else questions
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise ValueError(f"questions must be a whole number, at least 0, or None, not {questions!r}")
    corpus = Corpus(stream(documents, seed, edition))
    chosen = dict(_choose(documents, seed, edition, most))
    return Dataset(
        corpus,
        queries={query_id: question.text for query_id, question in chosen.items()},
        qrels={query_id: dict.fromkeys(question.documents, 1) for query_id, question in chosen.items()},
        answers={query_id: question.answers for query_id, question in chosen.items()},
        metadata={query_id: question.metadata for query_id, question in chosen.items()},
        name="port-ellery",
    )
