"""What the reader learns from: questions with passages around them, in many layouts.

There are four kinds of text, so that the model learns to answer from what it is given and not to know one town::

    archive()        Port Ellery's training split, told and asked in five times as many ways: close to the lessons
    encyclopaedia()  invented articles on scientists, rivers, battles, films …, with long sentences full of names, years
                     and numbers that could each be the answer to some other question
    stories()        some eleven hundred paragraphs written one by one, with their questions (the folder stories)
    documentation()  real prose, the docstrings on this machine, with questions made from it by rules

Each gives questions: the text of the question, its answer word for word as the passage has it (None when no passage
has it) and the passages that it needs. `examples` adds distractors, passages that do not answer, some as similar as
BM25 can find, and writes the prompt, mostly as `build_prompt` does and otherwise in one of nine other layouts.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.datasets import port_ellery, python_docs
from ragedu.datasets.port_ellery.words import kinds, share, split_of
from ragedu.generation.prompts import ABSTAIN, build_prompt
from ragedu.optimise import shuffled
from ragedu.retrieval.bm25 import BM25Retriever

TEXT = Path(__file__).with_name("reading_text")
STORIES = TEXT / "stories"
MAX_SOURCE_CHARACTERS = 5_000  # of all sources of a prompt together, about 1,200 tokens


class ReadingQuestion(NamedTuple):
    """A question about passages.

    answer: verbatim in one of the passages, or None when it is unanswerable; passages: the gold ones, or for an
    unanswerable question the one that comes near; answers: all acceptable ones, for evaluation.
    """

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

    questions: list[ReadingQuestion]
    corpus: Corpus


def read_toml(file: Path) -> dict[str, Any]:
    """A file of training text. Raises FileNotFoundError, which says where it is, in an installed wheel without it."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the training text {file.name} is not installed: the wheel leaves it out; train in a checkout of ragedu, "
            "or from its source distribution"
        ) from None


# ---------------------------------------------------------------------------------------------------------------
# Any dataset, and Port Ellery


def from_dataset(dataset: Dataset) -> Collection:
    """The questions of a Dataset that has answers, such as `read_squad(path)`: people's own data, too."""
    questions = []
    for query_id, answers in dataset.answers.items():
        judgments = dataset.qrels.get(query_id, {})
        passages = tuple(dataset.corpus[document_id] for document_id, grade in judgments.items() if grade > 0)
        answer = answers[0] if answers else None
        questions.append(ReadingQuestion(dataset.queries[query_id], answer, passages, tuple(answers)))
    return Collection(questions, dataset.corpus)


def archive(documents: int, *, each: int = 900, split: str = "train", seed: int = 0, times: int = 1) -> Collection:
    """Questions about a Port Ellery of that many documents, at most `each` of every kind.

    All of them are asked `times` times, in other words each time. In the split "train" no entity and no phrasing of the
    test split of any seed occurs, neither in the questions nor in the passages around the gold one.
    """
    load = lambda: from_dataset(port_ellery.load(documents, seed=seed, questions=each).select(split=split))
    if split == "test":
        return load()
    asked: dict[str, ReadingQuestion] = {}
    for time in range(times):
        with more_phrasings(time):
            collection = load()
        asked |= {question.text: question for question in collection.questions}
    return Collection(list(asked.values()), Corpus(d for d in collection.corpus if not in_block_of_test_split(d)))


def in_block_of_test_split(document: Document) -> bool:
    block = int(document.id.rpartition("-")[2])
    return split_of(block) == "test"


@contextmanager
def more_phrasings(time: int) -> Iterator[None]:
    """Until it ends, Port Ellery's training split is told and asked in the phrasings of archive.toml too.

    time: how often everything was asked before. The questions come in another order each time, so that the same dice
    put the same questions in other words; what the pages say stays as it is.
    """
    new = read_toml(TEXT / "archive.toml")  # new["ship"]["captain"]["ask"] is a list
    dice = Random(f"{time}/phrasings")
    relations = [(relation, new[kind["id"]][relation["name"]]) for kind in kinds() for relation in kind["relation"]]
    before = [dict(relation) for relation, _ in relations]
    for relation, phrasings in relations:
        for role in phrasings:
            in_other_order = dice if time and role != "says" else None
            relation[role] = extended(relation[role], phrasings[role], in_other_order)
    try:
        yield
    finally:
        for (relation, _), as_it_was in zip(relations, before, strict=True):
            relation.update(as_it_was)


def extended(own: list[str], new: list[str], dice: Random | None) -> list[str]:
    """A relation's own phrasings and new ones for the training split. The test split, which has the last third of every
    list, keeps its own, repeated until they are a third again."""
    first_of_test, _ = share(len(own), "test")
    for_training = [*own[:first_of_test], *new]
    if dice is not None:
        for_training = shuffled(for_training, dice)
    for_test = islice(cycle(own[first_of_test:]), len(for_training) // 2)
    return [*for_training, *for_test]


# ---------------------------------------------------------------------------------------------------------------
# The encyclopaedia


@cache
def read_words() -> dict[str, list[str]]:
    words = read_toml(TEXT / "words.toml")
    return {key: _choices(entry) for key, entry in words.items()}


def _choices(entry: str | list[str]) -> list[str]:
    if isinstance(entry, list):
        return entry
    return entry.split(" | ") if " | " in entry else entry.split()


@cache
def read_domains() -> dict[str, dict]:
    return read_toml(TEXT / "encyclopaedia.toml")


def encyclopaedia(articles: int, *, seed: int = 0, held_out: bool = False) -> Collection:
    """That many invented articles with all their questions; `held_out`: of the domains kept for evaluation."""
    domains = [domain for domain in read_domains().values() if domain.get("held_out", False) == held_out]
    questions: list[ReadingQuestion] = []
    documents = []
    for number in range(articles):
        dice = Random(f"{seed}/encyclopaedia/{number}")
        document, asked = article(domains[number % len(domains)], f"article-{number}", dice)
        documents.append(document)
        questions += asked
    return Collection(questions, Corpus(documents))


def article(domain: dict, article_id: str, dice: Random) -> tuple[Document, list[ReadingQuestion]]:
    """Draw the facts, write the text, and ask for everything that it says, and for a few things that it doesn't."""
    slots: dict[str, str] = {}

    def fill(text: str, of: Callable[[str], str]) -> str:
        text = re.sub(r"{(\w+)}", lambda match: of(match[1]), text)
        return re.sub(r"<([\d,]+)-([\d,]+)>", lambda match: _number(match[1], match[2], dice), text)

    def word(name: str) -> str:  # within a slot, {town} is any town, and not this article's slot of that name
        return fill(_pick(read_words()[name], dice), word) if name in read_words() else value(name)

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
            questions.append(ReadingQuestion(_with_articles(asked), answer, (document,)))
    return document, questions


def _number(low: str, high: str, dice: Random) -> str:
    first, last = int(low.replace(",", "")), int(high.replace(",", ""))
    return str(first + int(dice.random() * (last - first + 1)))


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


def stories(*, held_out: bool = False) -> Collection:
    """Invented paragraphs with questions, written one by one; `held_out`: those kept for evaluation."""
    files = sorted(STORIES.glob("*.toml")) or [STORIES / "first.toml"]  # which is told to be missing
    written = [story for file in files for story in read_toml(file)["story"]]
    questions, documents = [], []
    for number, story in enumerate(written):
        if story.get("held_out", False) != held_out:
            continue
        document = Document(f"story-{number}", " ".join(story["text"].split()), story["title"])
        documents.append(document)
        questions += [ReadingQuestion(text, answer, (document,)) for text, answer in story["questions"]]
        questions += [ReadingQuestion(text, None, (document,)) for text in story["unanswerable"]]
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


def documentation(*, held_out: bool = False) -> Collection:
    """Docstrings with questions made by rules; `held_out`: those of scikit-learn, kept for evaluation."""
    documents = [d for d in python_docs.corpus() if (d.metadata["package"] == "scikit-learn") == held_out]
    questions = [question for document in documents for question in ask_by_rules(document)]
    return Collection(questions, Corpus(documents))


def ask_by_rules(document: Document) -> Iterator[ReadingQuestion]:
    """Questions that the grammar of a sentence gives away: "X is a Y that …" answers "What is X?"."""
    name, text = document.id, document.text
    dice = Random(f"ask/{name}")
    does = re.match(rf"(?P<verb>\w+?)(?:s|es)? {CLAUSE}", text)
    if does and does["verb"].lower() in VERBS:
        asked = _pick(VERB_QUESTIONS, dice).format(name=name, verb=does["verb"].lower())
        yield ReadingQuestion(asked, does["answer"].strip(), (document,))
    for pattern, wording in RULES:
        found = re.search(pattern, text)
        if found:
            parts = found.groupdict()
            parts["x"] = re.sub("^The ", "the ", parts["x"])
            yield ReadingQuestion(wording.format(**parts, name=name), parts["answer"].strip(), (document,))
    yield from _blank(document, dice)


def _blank(document: Document, dice: Random) -> Iterator[ReadingQuestion]:
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
        yield ReadingQuestion(_pick(BLANKS, dice).format(gapped=gapped), gap, (document,))


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


# ---------------------------------------------------------------------------------------------------------------
# Drawing examples


class Pool:
    """What examples are drawn from: a collection's questions by kind and by passage, and a search in its corpus."""

    def __init__(self, collection: Collection) -> None:
        self.corpus = collection.corpus
        self.retriever = BM25Retriever().fit(collection.corpus)
        self.answerable = [question for question in collection.questions if question.answer is not None]
        self.unanswerable = [question for question in collection.questions if question.answer is None]
        self.several_hops = [question for question in self.answerable if len(question.passages) > 1]
        self.by_passage: dict[str, list[ReadingQuestion]] = defaultdict(list)
        for question in collection.questions:
            for passage in question.passages:
                self.by_passage[passage.id].append(question)

    def about(self, documents: Iterable[Document]) -> list[ReadingQuestion]:
        """The questions that need one of the documents."""
        return [question for document in documents for question in self.by_passage.get(document.id, ())]

    def search(self, question: ReadingQuestion, k: int) -> list[Document]:
        try:
            return [hit.document for hit in self.retriever.search(question.text, k)]
        except ValueError:  # "When?" has no word to search for
            return []


def examples(
    collection: Collection,
    number: int,
    *,
    seed: int = 0,
    most_sources: int = 8,
    absent: float = 0.3,
    together: int = 6,
) -> list[Example]:
    """`number` examples, each a prompt with 1 to `most_sources` sources, the gold one anywhere among them.

    A share `absent` is unanswerable, because the passages do not say it, because the gold one is left out, or because
    the question is about something else that is much like what the passages are about.

    Up to `together` examples in a row ask about the same sources, so that `train` computes those only once, and so that
    the model must tell apart what the sources say of one thing and of another.
    """
    dice, pool = Random(f"{seed}/examples"), Pool(collection)
    sizes = [size for size in (1, 1, 2, 2, 3, 3, 4, 5, 5, 5, 6, 8) if size <= most_sources]
    made: list[Example] = []
    while len(made) < number:
        first = draw_question(pool, absent, dice)
        sources = with_distractors(first, pool, _pick(sizes, dice), dice)
        layout = build_prompt if dice.random() < 0.65 else _pick(LAYOUTS, dice)
        if first.answer is not None and dice.random() < 0.5 * absent:
            first, sources = without_its_passages(first, sources)
        asked = [first]
        if layout is not _question_first:  # where the question comes first, nothing is shared by several
            asked += draw_more(first, sources, pool, together - 1, absent, dice)
        made += [example(question, sources, layout) for question in asked]
    return made[:number]


def example(question: ReadingQuestion, sources: Sequence[Document], layout: Layout) -> Example:
    return Example(layout(question.text, sources), ABSTAIN if question.answer is None else question.answer)


def draw_question(pool: Pool, absent: float, dice: Random) -> ReadingQuestion:
    """A quarter needs several passages, where there are such questions; half of the share `absent` is unanswerable."""
    several = pool.several_hops and dice.random() < 0.25
    question = _pick(pool.several_hops if several else pool.answerable, dice)
    if pool.unanswerable and dice.random() < 0.5 * absent:
        question = _pick(pool.unanswerable, dice)
    return question


def with_distractors(question: ReadingQuestion, pool: Pool, size: int, dice: Random) -> list[Document]:
    """The gold passages and as many others as make `size`, in random order."""
    around = distractors(question, pool, size, dice)[: max(size - len(question.passages), 0)]
    return shuffled([*question.passages, *_that_fit(question, around)], dice)


def distractors(question: ReadingQuestion, pool: Pool, number: int, dice: Random) -> list[Document]:
    """Up to `number` passages other than the gold ones: the best of BM25, in half of the cases with some at random."""
    golden = _ids(question.passages)
    near = [document for document in pool.search(question, number + 4) if document.id not in golden]
    chosen = {d.id: d for d in near[: number if dice.random() < 0.5 else number // 2]}
    for _ in range(4 * number):  # a small corpus may have fewer
        if len(chosen) >= number:
            break
        document = pool.corpus[int(dice.random() * len(pool.corpus))]
        if document.id not in golden:
            chosen[document.id] = document
    return list(chosen.values())[:number]


def without_its_passages(question: ReadingQuestion, sources: list[Document]) -> tuple[ReadingQuestion, list[Document]]:
    """The question as an unanswerable one, and the sources without its passages; both as they are where another source
    says the answer too, or there is none."""
    rest = [source for source in sources if source.id not in _ids(question.passages)]
    if not rest or _says(rest, question.answer):
        return question, sources
    return question._replace(answer=None), rest


def draw_more(
    first: ReadingQuestion, sources: list[Document], pool: Pool, number: int, absent: float, dice: Random
) -> list[ReadingQuestion]:
    """Up to `number` further questions to the same sources, of which a share `absent` is unanswerable."""
    about_sources = [question for question in pool.about(sources) if _ids(question.passages) <= _ids(sources)]
    similar = [document for document in pool.search(first, 6) if document.id not in _ids(sources)]
    about_most_similar = unanswerable_from(sources, pool.about(similar[:1]))
    about_similar = unanswerable_from(sources, pool.about(similar))
    asked = [first]
    for _ in range(number):
        unanswerable = dice.random() < absent
        choices = [q for q in about_sources if (q.answer is None) == unanswerable and q not in asked]
        if unanswerable and about_similar and (not choices or dice.random() < 0.6):
            nearest = about_most_similar and dice.random() < 0.5
            choices = about_most_similar if nearest else about_similar
        if choices:
            asked.append(_pick(choices, dice))
    return asked[1:]


def unanswerable_from(sources: list[Document], questions: list[ReadingQuestion]) -> list[ReadingQuestion]:
    """Those of the questions that have an answer which the sources do not say, as unanswerable ones."""
    return [q._replace(answer=None) for q in questions if q.answer and not _says(sources, q.answer)]


def _ids(documents: Iterable[Document]) -> set[str]:
    return {document.id for document in documents}


def _says(documents: Iterable[Document], answer: str | None) -> bool:
    return answer is not None and any(answer.lower() in document.content.lower() for document in documents)


def _that_fit(question: ReadingQuestion, around: Sequence[Document]) -> list[Document]:
    left = MAX_SOURCE_CHARACTERS - sum(len(document.content) for document in question.passages)
    kept = []
    for document in around:
        left -= len(document.content)
        if left >= 0:
            kept.append(document)
    return kept


class Part(NamedTuple):
    """A part of the mixture: its share, and the settings of `examples` for it."""

    collection: Collection
    share: float
    most_sources: int
    absent: float
    together: int


def mixture(number: int, *, seed: int = 0) -> list[Example]:
    """Training examples of all four kinds in random order, those that ask about the same sources together.

    In most there is one source, as `RAG(reading="each")` shows it, and about half of those are unanswerable; in the
    others there are up to five.
    """
    # Lessons and tests use towns below 1000: none of them can be memorised.
    town = archive(1800, each=3000, seed=1000 + seed, times=4)
    two_hop = with_questions(town, lambda question: len(question.passages) > 1)
    one_hop = with_questions(town, lambda question: len(question.passages) == 1)
    twins = with_questions(one_hop, has_two_pages)
    articles, written = encyclopaedia(max(200, number // 20), seed=seed), stories()
    parts = [
        Part(town, 0.26, most_sources=1, absent=0.5, together=12),
        Part(twins, 0.18, most_sources=1, absent=0.6, together=12),
        Part(town, 0.06, most_sources=5, absent=0.3, together=12),
        Part(two_hop, 0.11, most_sources=3, absent=0.2, together=6),
        Part(written, 0.24, most_sources=1, absent=0.4, together=12),
        Part(written, 0.07, most_sources=5, absent=0.3, together=12),
        Part(articles, 0.05, most_sources=1, absent=0.5, together=8),
        Part(documentation(), 0.03, most_sources=4, absent=0.3, together=2),
    ]
    groups = []
    for part in parts:
        made = examples(
            part.collection,
            round(number * part.share) + part.together,
            seed=seed,
            most_sources=part.most_sources,
            absent=part.absent,
            together=part.together,
        )
        groups += [made[start : start + part.together] for start in range(0, len(made), part.together)]
    return [example for group in shuffled(groups, Random(f"{seed}/mixture")) for example in group][:number]


def with_questions(collection: Collection, wanted: Callable[[ReadingQuestion], bool]) -> Collection:
    """The collection with only those questions."""
    return collection._replace(questions=[question for question in collection.questions if wanted(question)])


def has_two_pages(question: ReadingQuestion) -> bool:
    """Whether there is a second page about what the question's page is about, which tells other things."""
    return question.passages[0].metadata["kind"] in ("mariner", "obituary", "ship", "survey")
