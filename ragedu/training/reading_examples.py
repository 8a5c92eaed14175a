"""What the reader learns from: questions with passages around them, in many layouts.

Four kinds of text, so that the model learns to read and not to know one town:

    archive()        Port Ellery's training split, told and asked in five times as many ways: close to the lessons
    encyclopaedia()  invented articles on scientists, rivers, battles, films …, with long sentences full of names, years
                     and numbers that could each be the answer to some other question
    stories()        some eleven hundred paragraphs written one by one, with their questions (the folder stories)
    documentation()  real prose, the docstrings on this machine, with questions made from it by rules

Each gives Questions: the text of the question, its answer word for word as the passage has it (None when no passage
has it) and the passages that it needs. `examples` puts passages that do not answer around them, some as like as
BM25 can find, and writes the prompt, mostly as `build_prompt` does and otherwise in one of a dozen other layouts.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.generation.prompts import ABSTAIN, build_prompt
from ragedu.retrieval.bm25 import BM25Retriever

TEXT = Path(__file__).with_name("reading_text")
LONGEST = 5_000  # characters of all sources of a prompt together, about 1,200 tokens


class Question(NamedTuple):
    """text; answer: verbatim in one of the passages, or None when it is unanswerable; passages: the gold ones, or for
    an unanswerable question the one that comes near; answers: all acceptable ones, for evaluation."""

    text: str
    answer: str | None
    passages: tuple[Document, ...]
    answers: tuple[str, ...] = ()

    @property
    def acceptable(self) -> list[str]:
        return [] if self.answer is None else list(self.answers or (self.answer,))


class Example(NamedTuple):
    """A prompt, as a person would give it to `LanguageModel.generate`, and the answer to be learned."""

    prompt: str
    answer: str


class Collection(NamedTuple):
    """Questions, and the corpus from which the passages around the gold one are taken."""

    questions: list[Question]
    corpus: Corpus


# ---------------------------------------------------------------------------------------------------------------
# Any dataset, and Port Ellery


def from_dataset(dataset: Dataset) -> Collection:
    """The questions of a Dataset that has answers, such as `read_squad(path)`: people's own data, too."""
    questions = []
    for query_id, answers in dataset.answers.items():
        judgments = dataset.qrels.get(query_id, {})
        passages = tuple(dataset.corpus[document_id] for document_id, grade in judgments.items() if grade > 0)
        answer = answers[0] if answers else None
        questions.append(Question(dataset.queries[query_id], answer, passages, tuple(answers)))
    return Collection(questions, dataset.corpus)


def archive(documents: int = 6000, each: int = 900, split: str = "train", seed: int = 0, times: int = 1) -> Collection:
    """Questions about Port Ellery, at most `each` of every kind; all of them `times` times, in other words each time.
    In the split "train" no entity and no phrasing of the test split of any seed occurs, neither in the questions nor
    in the passages around the gold one."""
    from ragedu.datasets import port_ellery

    if split == "test":
        return from_dataset(port_ellery.load(documents, seed, questions=each).select(split=split))
    more, asked = tomllib.loads((TEXT / "archive.toml").read_text("utf-8")), {}
    for time in range(times):
        with more_phrasings(more, time):
            collection = from_dataset(port_ellery.load(documents, seed, questions=each).select(split=split))
        asked |= {question.text: question for question in collection.questions}
    return Collection(list(asked.values()), Corpus(d for d in collection.corpus if _block(d) % 3 != 1))


def _block(document: Document) -> int:
    return int(document.id.rpartition("-")[2])  # every third block is the test split's


@contextmanager
def more_phrasings(more: dict[str, dict], time: int = 0) -> Iterator[None]:
    """Until it ends, Port Ellery's training split has these phrasings besides its own: more["ship"]["captain"]["ask"]
    is a list of questions for the captain of a ship. The test split keeps its own, and they stay a third of all.
    time: the questions come in another order each time, so that the same dice put the same questions in other words;
    what the pages say stays as it is."""
    from ragedu.datasets.port_ellery.words import kinds, share

    before, dice = [], Random(f"{time}/phrasings")
    for kind in kinds():
        for relation in kind["relation"]:
            for role, phrasings in more[kind["id"]][relation["name"]].items():
                own = relation[role]
                before.append((relation, role, own))
                boundary, _ = share(len(own), "test")
                known = [*own[:boundary], *phrasings]
                if time and role != "says":
                    known = _shuffled(known, dice)
                relation[role] = [*known, *islice(cycle(own[boundary:]), len(known) // 2)]
    try:
        yield
    finally:
        for relation, role, own in before:
            relation[role] = own


# ---------------------------------------------------------------------------------------------------------------
# The encyclopaedia


@cache
def _words() -> dict[str, list[str]]:
    words = tomllib.loads((TEXT / "words.toml").read_text("utf-8"))
    return {key: _choices(entry) for key, entry in words.items()}


def _choices(entry: str | list[str]) -> list[str]:
    if isinstance(entry, list):
        return entry
    return entry.split(" | ") if " | " in entry else entry.split()


@cache
def _domains() -> dict[str, dict]:
    return tomllib.loads((TEXT / "encyclopaedia.toml").read_text("utf-8"))


def encyclopaedia(articles: int, seed: int = 0, held_out: bool = False) -> Collection:
    """That many invented articles with all their questions; `held_out`: of the domains kept for evaluation."""
    domains = [domain for domain in _domains().values() if domain.get("held_out", False) == held_out]
    questions, documents = [], []
    for number in range(articles):
        dice = Random(f"{seed}/encyclopaedia/{number}")
        document, asked = article(domains[number % len(domains)], f"article-{number}", dice)
        documents.append(document)
        questions += asked
    return Collection(questions, Corpus(documents))


def article(domain: dict, article_id: str, dice: Random) -> tuple[Document, list[Question]]:
    """Draw the facts, write the text, and ask for everything that it says, and for a few things that it doesn't."""
    slots: dict[str, str] = {}

    def fill(text: str, of: Callable[[str], str]) -> str:
        text = re.sub(r"{(\w+)}", lambda match: of(match[1]), text)
        return re.sub(r"<([\d,]+)-([\d,]+)>", lambda match: _number(match[1], match[2], dice), text)

    def word(name: str) -> str:  # within a slot, {town} is any town, and not this article's slot of that name
        return fill(_pick(_words()[name], dice), word) if name in _words() else value(name)

    def value(slot: str) -> str:
        key = slot.lower().rstrip("_")
        if key not in slots:
            if key != "name" and key not in domain["slots"]:
                return word(key)
            wanted = domain["name"] if key == "name" else _pick(domain["slots"][key].split(" | "), dice)
            slots[key] = fill(wanted, word)
        return slots[key] if slot[0].islower() else slots[key][0].upper() + slots[key][1:]

    wordings = [_pick(sentence, dice) for n, sentence in enumerate(domain["text"]) if n == 0 or dice.random() < 0.8]
    text = _with_articles(" ".join(fill(wording, value) for wording in wordings))
    name = value("name")
    document = Document(article_id, text, name[0].upper() + name[1:])
    said = {slot.lower().rstrip("_") for wording in wordings for slot in re.findall(r"{(\w+)}", wording)}

    questions = []
    for slot, phrasings in domain["ask"].items():
        usable = [p for p in phrasings if {s.lower() for s in re.findall(r"{(\w+)}", p)} <= said | {"name"}]
        if not usable:
            continue
        phrasing = _pick(usable, dice)
        if "{" not in phrasing:  # among several films, "How long did filming take?" has no answer
            phrasing = f"According to the article on {{name}}, {phrasing[0].lower()}{phrasing[1:]}"
        asked = fill(phrasing, value)
        answer = _as_written(value(slot), text) if slot in said else None
        if answer or value(slot).lower() not in text.lower():
            questions.append(Question(_with_articles(asked), answer, (document,)))
    return document, questions


def _number(low: str, high: str, dice: Random) -> str:
    low, high = int(low.replace(",", "")), int(high.replace(",", ""))
    return str(low + int(dice.random() * (high - low + 1)))


def _with_articles(text: str) -> str:
    return re.sub(r"\b([Aa]) (?=[aeioAEIO](?!ne\b|u)|un[^i])", r"\1n ", text)


def _as_written(answer: str, text: str) -> str | None:
    """The answer with the capitals that it has in the text; None when it isn't there."""
    start = text.lower().find(answer.lower())
    return text[start : start + len(answer)] if start >= 0 else None


def _pick(items: Sequence, dice: Random):
    # random() yields the same numbers in every version of Python; choice and sample need not.
    return items[int(dice.random() * len(items))]


# ---------------------------------------------------------------------------------------------------------------
# Stories


def stories(held_out: bool = False) -> Collection:
    """Invented paragraphs with questions, written one by one; `held_out`: those kept for evaluation."""
    files = sorted((TEXT / "stories").glob("*.toml"))
    written = [story for file in files for story in tomllib.loads(file.read_text("utf-8"))["story"]]
    questions, documents = [], []
    for number, story in enumerate(written):
        if story.get("held_out", False) != held_out:
            continue
        document = Document(f"story-{number}", " ".join(story["text"].split()), story["title"])
        documents.append(document)
        questions += [Question(text, answer, (document,)) for text, answer in story["questions"]]
        questions += [Question(text, None, (document,)) for text in story["unanswerable"]]
    return Collection(questions, Corpus(documents))


# ---------------------------------------------------------------------------------------------------------------
# Real prose


VERBS = """apply build calculate change check close compute construct convert copy count create decode delete draw
encode estimate evaluate extract fetch find fit generate get insert load make open parse perform plot print raise read
remove replace return save select send set sort split start stop store transform update wait write""".split()
CLAUSE = r"(?P<answer>[^,.;:()]{5,80}?)(?=[.;,:)]| that | which | when | if | using | by | \()"
START = r"(?:^|(?<=\. ))"
NAME = r"(?P<x>The [\w ]{3,40}|(?!It|The|Th[ai]s|There|If|He|What|Which|Note)[A-Z]\w\w+)"
# What a sentence says, and a question that it answers. {name} is the document's.
RULES = [
    (rf"{START}{NAME} (?P<is>is|are) (?=an? |the ){CLAUSE}", "What {is} {x}?"),
    (rf"{START}{NAME} (?P<is>is|are) (?:used|useful) (?:to|for) {CLAUSE}", "For what {is} {x} used?"),
    (rf"(?P<x>\w+Error) (?:is|will be) raised (?:if|when) {CLAUSE}", "When is {x} raised by {name}?"),
    (r"\b(?P<x>\w{3,}) (?:defaults to|is by default) (?P<answer>\S*\w)", "What does {x} default to in {name}?"),
]
VERB_QUESTIONS = ["What does {name} {verb}?", "What will {name} {verb}?", "{name} is used to {verb} what?"]
BLANKS = ["Fill in the blank: {gapped}", "Which words are missing? {gapped}", "Complete the sentence: {gapped}"]


def documentation(held_out: bool = False) -> Collection:
    """Docstrings with questions made by rules; `held_out`: those of scikit-learn, kept for evaluation."""
    from ragedu.datasets import python_docs

    documents = [d for d in python_docs.corpus() if (d.metadata["package"] == "scikit-learn") == held_out]
    questions = [question for document in documents for question in ask_by_rules(document)]
    return Collection(questions, Corpus(documents))


def ask_by_rules(document: Document) -> Iterator[Question]:
    """Questions that the grammar of a sentence gives away: "X is a Y that …" answers "What is X?"."""
    name, text = document.id, document.text
    dice = Random(f"ask/{name}")
    does = re.match(rf"(?P<verb>\w+?)(?:s|es)? {CLAUSE}", text)
    if does and does["verb"].lower() in VERBS:
        asked = _pick(VERB_QUESTIONS, dice).format(name=name, verb=does["verb"].lower())
        yield Question(asked, does["answer"].strip(), (document,))
    for pattern, wording in RULES:
        found = re.search(pattern, text)
        if found:
            parts = found.groupdict()
            parts["x"] = re.sub("^The ", "the ", parts["x"])
            yield Question(wording.format(**parts, name=name), parts["answer"].strip(), (document,))
    yield from _blank(document, dice)


def _blank(document: Document, dice: Random) -> Iterator[Question]:
    """A sentence with a gap, and the few words that fill it."""
    sentences = [s for s in re.split(r"(?<=[.!?])\s", document.text) if 9 <= len(s.split()) <= 35]
    if not sentences:
        return
    words = _pick(sentences, dice).rstrip(".").split()
    length = 1 + int(dice.random() * 3)
    start = 3 + int(dice.random() * (len(words) - length - 2))
    gap = " ".join(words[start : start + length])
    if re.fullmatch(r"\w[\w -]{2,}\w", gap) and document.text.count(gap) == 1:
        gapped = " ".join([*words[:start], "____", *words[start + length :]])
        yield Question(_pick(BLANKS, dice).format(gapped=gapped), gap, (document,))


# ---------------------------------------------------------------------------------------------------------------
# From question to prompt


def _titled(source: Document) -> str:
    return f"{source.title}\n{source.text}" if source.title else source.text


def _numbered(question: str, sources: Sequence[Document]) -> str:
    listed = "\n\n".join(f"[{n}] {_titled(source)}" for n, source in enumerate(sources, start=1))
    return f"{listed}\n\nQuestion: {question}\nShort answer:"


def _question_first(question: str, sources: Sequence[Document]) -> str:
    return f"Question: {question}\n\n" + "\n\n".join(map(_titled, sources)) + "\n\nAnswer in a few words."


def _bulleted(question: str, sources: Sequence[Document]) -> str:
    return "Notes:\n" + "\n".join(f"- {source.text}" for source in sources) + f"\n\n{question}"


def _markdown(question: str, sources: Sequence[Document]) -> str:
    return "\n\n".join(f"## {s.title or 'Passage'}\n\n{s.text}" for s in sources) + f"\n\n**{question}**"


Layout = Callable[[str, Sequence[Document]], str]
LAYOUTS: list[Layout] = [
    lambda q, s: "Context: " + "\n\n".join(map(_titled, s)) + f"\n\nQuestion: {q}\nAnswer:",
    lambda q, s: "\n\n".join(d.text for d in s) + f"\n\n{q}",
    lambda q, s: f"Answer with a few words from the text.\n\n{' '.join(d.text for d in s)}\n\nQuestion: {q}",
    lambda q, s: "Use these passages to answer the question.\n\n" + "\n---\n".join(map(_titled, s)) + f"\n---\n{q}",
    lambda q, s: "Read the context and answer briefly.\nContext:\n" + "\n".join(d.text for d in s) + f"\nQ: {q}\nA:",
    _question_first,
    _numbered,
    _bulleted,
    _markdown,
]


def example(question: Question, sources: Sequence[Document], layout: Layout = build_prompt) -> Example:
    return Example(layout(question.text, sources), ABSTAIN if question.answer is None else question.answer)


def examples(
    collection: Collection,
    number: int,
    seed: int = 0,
    most_sources: int = 8,
    absent: float = 0.3,
    together: int = 6,
) -> list[Example]:
    """`number` examples: 1 to `most_sources` sources, the gold one anywhere among them; a share `absent` is
    unanswerable, because the passages do not say it, because the gold one is left out, or because the question is
    about something else that is much like what the passages are about.

    Up to `together` examples in a row ask about the same sources, so that `train` needs to read those only once, and
    so that the model must tell apart what the sources say of one thing and of another.
    """
    dice = Random(f"{seed}/examples")
    retriever = BM25Retriever().fit(collection.corpus)
    answerable = [question for question in collection.questions if question.answer is not None]
    untold = [question for question in collection.questions if question.answer is None]
    several_hops = [question for question in answerable if len(question.passages) > 1]
    about = defaultdict(list)  # document id -> questions that need it
    for question in collection.questions:
        for passage in question.passages:
            about[passage.id].append(question)

    sizes = [size for size in (1, 1, 2, 2, 3, 3, 4, 5, 5, 5, 6, 8) if size <= most_sources]
    made: list[Example] = []
    while len(made) < number:
        first = _pick(several_hops if several_hops and dice.random() < 0.25 else answerable, dice)
        if untold and dice.random() < 0.5 * absent:
            first = _pick(untold, dice)
        size = _pick(sizes, dice)
        sources = _sources(first, collection.corpus, retriever, size, dice)
        layout = build_prompt if dice.random() < 0.65 else _pick(LAYOUTS, dice)
        asked = [first]
        if first.answer is not None and dice.random() < 0.5 * absent:  # the same question without its passage
            rest = [source for source in sources if source.id not in _ids(first.passages)]
            if rest and not _says(rest, first.answer):
                asked, sources = [first._replace(answer=None)], rest
        others = [q for source in sources for q in about[source.id] if _ids(q.passages) <= _ids(sources)]
        alike = [document for document in _found(first, retriever, 6) if document.id not in _ids(sources)]
        elsewhere = [
            [q._replace(answer=None) for d in some for q in about[d.id] if q.answer and not _says(sources, q.answer)]
            for some in (alike[:1], alike)
        ]
        for _ in range(together - 1 if layout is not _question_first else 0):  # there, nothing is read once for all
            missing = dice.random() < absent
            more = [q for q in others if (q.answer is None) == missing and q not in asked]
            if missing and any(elsewhere) and (not more or dice.random() < 0.6):
                nearest, near = elsewhere
                more = nearest if nearest and dice.random() < 0.5 else near
            if more:
                asked.append(_pick(more, dice))
        made += [example(question, sources, layout) for question in asked]
    return made[:number]


def _sources(question: Question, corpus: Corpus, retriever, size: int, dice: Random) -> list[Document]:
    around = neighbours(question, corpus, retriever, size, dice)[: max(size - len(question.passages), 0)]
    return _shuffled([*question.passages, *_that_fit(question, around)], dice)


def _ids(documents: Sequence[Document]) -> set[str]:
    return {document.id for document in documents}


def neighbours(question: Question, corpus: Corpus, retriever, number: int, dice: Random) -> list[Document]:
    """Up to `number` passages other than the gold ones: the best of BM25, in half of the cases with some at random."""
    golden = {document.id for document in question.passages}
    near = [document for document in _found(question, retriever, number + 4) if document.id not in golden]
    chosen = {d.id: d for d in near[: number if dice.random() < 0.5 else number // 2]}
    for _ in range(4 * number):  # a small corpus may not have so many
        if len(chosen) >= number:
            break
        document = corpus[int(dice.random() * len(corpus))]
        if document.id not in golden:
            chosen[document.id] = document
    return list(chosen.values())[:number]


def _found(question: Question, retriever, number: int) -> list[Document]:
    try:
        return [hit.document for hit in retriever.search(question.text, k=number)]
    except ValueError:  # "When?" has no word to search for
        return []


def _says(documents: Sequence[Document], answer: str) -> bool:
    return any(answer.lower() in document.content.lower() for document in documents)


def _that_fit(question: Question, around: Sequence[Document]) -> list[Document]:
    room = LONGEST - sum(len(document.content) for document in question.passages)
    kept = []
    for document in around:
        room -= len(document.content)
        if room >= 0:
            kept.append(document)
    return kept


def _shuffled(items: list, dice: Random) -> list:
    return sorted(items, key=lambda _: dice.random())


def mixture(number: int, seed: int = 0) -> list[Example]:
    """Training examples of all four kinds in random order, those that ask about the same sources together. In most a
    source stands alone, as `RAG(reading="each")` shows it, and about half of those are unanswerable; in the others
    there are up to five."""
    # Lessons and tests use towns below 1000: nothing is known by heart.
    town = archive(1800, 3000, seed=1000 + seed, times=4)
    two_hop = town._replace(questions=[question for question in town.questions if len(question.passages) > 1])
    alone = town._replace(questions=[question for question in town.questions if len(question.passages) == 1])
    about_two = lambda question: question.passages[0].metadata["kind"] in ("mariner", "obituary", "ship", "survey")
    twins = alone._replace(questions=[question for question in alone.questions if about_two(question)])
    articles, written = encyclopaedia(max(200, number // 20), seed), stories()
    parts = [  # collection, share, most sources, share without an answer, how many on the same sources
        (town, 0.26, 1, 0.5, 12),
        (twins, 0.18, 1, 0.6, 12),  # of what these pages are about there is a second page, which tells other things
        (town, 0.06, 5, 0.3, 12),
        (two_hop, 0.11, 3, 0.2, 6),
        (written, 0.24, 1, 0.4, 12),
        (written, 0.07, 5, 0.3, 12),
        (articles, 0.05, 1, 0.5, 8),
        (documentation(), 0.03, 4, 0.3, 2),
    ]
    made = []
    for collection, share, most_sources, absent, together in parts:
        some = examples(collection, round(number * share) + together, seed, most_sources, absent, together)
        made += [some[start : start + together] for start in range(0, len(some), together)]
    return [example for group in _shuffled(made, Random(f"{seed}/mixture")) for example in group][:number]
