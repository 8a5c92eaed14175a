"""The exercises of lesson 00, the first RAG system."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from operator import le, lt

from ragedu.learn.exercise import Exercise


def words_of(text):
    return re.findall(r"[a-z0-9]+", text.lower())


# Warm-up: is the answer in there?


def contains(text, answers):
    words = words_of(text)
    return any(_stands_in(words_of(answer), words) for answer in answers)


def _stands_in(part, words):
    return any(words[start : start + len(part)] == part for start in range(len(words) - len(part) + 1))


TEXTS = (
    "It leaves at nine.",
    "Ninety pounds, they say",
    "the ART of Martin Quill",
    "At nine, or at noon",
    "Quill Martin",
)
ANSWERS = ("nine", "art", "Martin Quill", "Quill", "noon")

containing = Exercise(
    name="00.contains",
    title="Nine is not ninety",
    minutes=5,
    reference=contains,
    cases=[
        ("It leaves at nine.", ["nine"]),
        ("It cost ninety pounds.", ["nine"]),
        ("It was NINE o'clock", ["noon", "nine"]),
        ("It is a start.", ["art"]),
        ("Nine!", ["nine"]),
        ("Martin, said Martin Quill.", ["Martin Quill"]),
        ("Quill, said Martin", ["Martin Quill"]),
        ("Martin, Quill said", ["Martin Quill"]),
        ("Nobody knows.", []),
    ],
    random_case=lambda dice: (
        str(dice.choice(TEXTS)),
        [str(answer) for answer in dice.choice(ANSWERS, size=int(dice.integers(1, 3)), replace=False)],
    ),
    mistakes={
        "This finds the letters anywhere, even inside another word: nine in ninety, art in Martin.": (
            lambda text, answers: any(answer.lower() in text.lower() for answer in answers)
        ),
        "Upper and lower case still differ here: bring both texts to lower case.": (
            lambda text, answers: any(
                _stands_in(re.findall(r"\w+", answer), re.findall(r"\w+", text)) for answer in answers
            )
        ),
        "The whole text must equal the answer here. It is enough that the answer stands in it.": (
            lambda text, answers: any(words_of(text) == words_of(answer) for answer in answers)
        ),
        "Only the first of the acceptable answers is looked at.": lambda text, answers: contains(text, answers[:1]),
        "All acceptable answers must stand in the text here; one of them is enough.": (
            lambda text, answers: all(_stands_in(words_of(answer), words_of(text)) for answer in answers)
        ),
        "Every answer must be a word of the text here. One is enough (any, not all), and it may be of several words.": (
            lambda text, answers: all(answer in words_of(text) for answer in answers)
        ),
        "An answer of two words is never one word of the text: look for its words side by side.": (
            lambda text, answers: any(answer.lower() in words_of(text) for answer in answers)
        ),
        "Punctuation between two words still counts here: compare words with words, and no characters.": (
            lambda text, answers: any(
                re.search(rf"\b{re.escape(a.lower())}\b", text.lower()) is not None for a in answers
            )
        ),
        "The words of an answer must stand side by side and in order, not just anywhere in the text.": (
            lambda text, answers: any(set(words_of(answer)) <= set(words_of(text)) for answer in answers)
        ),
    },
    hints=(
        "Is “nine” a word of the text, or only a run of its letters?",
        "Cut text and answer into words. Where could an answer of two words begin?",
        "words_of(text) is a list of words; words[start : start + 2] are two neighbours. Is one such slice equal to "
        "the words of the answer?",
    ),
)


# The best k pages.


def retrieve(question, pages, k):
    return sorted(pages, key=lambda page: shared(question, pages[page]), reverse=True)[:k]


def shared(question, text, words=words_of):
    return len(set(words(question)) & set(words(text)))


def _count_repeats(question, pages, k):
    asked = set(words_of(question))
    return sorted(pages, key=lambda page: -sum(word in asked for word in words_of(pages[page])))[:k]


def _count_asked_twice(question, pages, k):
    return sorted(pages, key=lambda page: -sum(word in words_of(pages[page]) for word in words_of(question)))[:k]


def _by_name(question, pages, k):
    return sorted(pages, key=lambda page: (shared(question, pages[page]), page), reverse=True)[:k]


def _worst(question, pages, k):
    return retrieve(question, pages, len(pages))[::-1][:k]


def _ties_turned(question, pages, k):
    return retrieve(question, dict(reversed(pages.items())), k)


def _texts(question, pages, k):
    return [pages[page] for page in retrieve(question, pages, k)]


def _names_too(question, pages, k):
    return retrieve(question, {name: f"{name} {text}" for name, text in pages.items()}, k)


def _only_with_shared(question, pages, k):
    return [page for page in retrieve(question, pages, k) if shared(question, pages[page])]


def _by_words(words):
    """`retrieve` with texts cut into words in another way."""
    return lambda question, pages, k: sorted(pages, key=lambda page: -shared(question, pages[page], words))[:k]


PAGES = {
    "wall": "The harbour wall was broken by the storm.",
    "ferry": "The ferry leaves the harbour at nine; the ferry to Gull Island, the ferry of ferries.",
    "storm": "In the storm of 1887 eleven boats sank.",
    "bread": "Bread is baked before dawn.",
    "bell": "The bell rings at nine and at noon.",
}
QUESTIONS = (
    "When does the ferry leave the harbour?",
    "Which storm broke the wall",
    "At nine",
    "What is baked?",
    "bell",
)


def _archive(dice):
    names = [str(name) for name in dice.permutation(list(PAGES))]
    return str(dice.choice(QUESTIONS)), {name: PAGES[name] for name in names}, int(dice.integers(1, 7))


retrieving = Exercise(
    name="00.retrieve",
    title="More than one page",
    minutes=8,
    reference=retrieve,
    cases=[
        ("ferry", {"bread": "Bread is baked.", "ferry": "The ferry leaves."}, 1),
        ("the ferry", {"b": "the ferry", "a": "the ferry", "c": "the boat"}, 2),
        ("the ferry", {"crier": "the the the the", "ferry": "the ferry"}, 2),
        ("the boat and the ferry", {"tide": "the tide", "ferry": "boat or ferry"}, 1),
        ("the FERRY?", {"tide": "The tide", "ferry": "Ferry: the timetable"}, 2),
        ("bell", {"bell": "the wall", "wall": "the bell"}, 1),
        ("ferry", {"a": "the boat", "b": "a ferry"}, 5),
    ],
    random_case=_archive,
    mistakes={
        "A word that a page says twice counts twice here. Asked for are the different words that are shared.": (
            _count_repeats
        ),
        "A word that the question says twice counts twice here. Make a set of its words.": _count_asked_twice,
        "Pages that share equally many words have changed places: they should stay in the order in which they came.": (
            _by_name
        ),
        "Pages that share equally many words have turned round: [::-1] does that, and reverse=True does not.": (
            _ties_turned
        ),
        "These are the worst pages, not the best.": _worst,
        "These are the texts of the pages; their names were asked for.": _texts,
        "Case and punctuation still count: “FERRY?” and “ferry” should be one word.": _by_words(str.split),
        "Punctuation sticks to a word: “Ferry:” is not “ferry”. Cut texts into words with words_of.": (
            _by_words(lambda text: text.lower().strip("?.").split())
        ),
        "The words of a page's name count too; only those of its text should.": _names_too,
        "Pages without a shared word are missing: the k best of all were asked for.": _only_with_shared,
        "There is one page too few.": lambda question, pages, k: retrieve(question, pages, max(k - 1, 0)),
    },
    hints=(
        "Give each page a number: how many different words it shares with the question.",
        "sorted(pages, key=…) sorts the names by what the key says of each, and leaves equals in their order.",
        "With reverse=True the largest come first, and equals still keep their order. [:k] takes the first k.",
    ),
)


# A prompt that fits.


def build_prompt(question, sources, most_words):
    fitting, used = [], 0
    for source in sources:
        used += len(source.split())
        if used > most_words:
            break
        fitting.append(source)
    numbered = [f"[{number}] {source}" for number, source in enumerate(fitting, start=1)]
    return "\n".join([*numbered, f"Question: {question}"])


def _words(text):
    return len(text.split())


def _lines(sources, asked):
    return "\n".join([*sources, asked])


def _prompt(first=1, fits=le, count=_words, used=lambda question: 0, skip=False, cut=False, write=_lines):
    """The prompt with something changed."""

    def changed(question, sources, most_words):
        fitting, total = [], used(question)
        for source in sources:
            if fits(total + count(source), most_words):
                fitting.append(source)
                total += count(source)
            elif not skip:
                if cut and most_words > total:
                    fitting.append(" ".join(source.split()[: most_words - total]))
                break
        numbered = [f"[{number}] {source}" for number, source in enumerate(fitting, start=first)]
        return write(numbered, f"Question: {question}")

    return changed


SOURCES = (
    "The ferry leaves at nine.",
    "Bread is baked.",
    "A storm broke the wall, the mill and the bell in 1887.",
    "Ada Quill sells fish.",
    "Fog.",
)

prompting = Exercise(
    name="00.build_prompt",
    title="A prompt that fits",
    minutes=10,
    reference=build_prompt,
    cases=[
        ("When?", ["The ferry leaves at nine.", "Fog.", "Fog."], 8),
        ("When?", ["The ferry leaves at nine.", "Bread is baked."], 8),
        ("When?", ["The ferry leaves at nine.", "Bread is baked."], 7),
        ("When?", ["The ferry leaves at nine.", "The bell rings at noon.", "Fog."], 6),
        ("When?", ["The ferry leaves at nine."], 2),
    ],
    random_case=lambda dice: (
        "Who sells fish?",
        [str(source) for source in dice.choice(SOURCES, size=int(dice.integers(0, 6)), replace=False)],
        int(dice.integers(0, 24)),
    ),
    mistakes={
        "The sources are numbered from 0; people count them from 1, as the answer's [1] will.": _prompt(first=0),
        "A source that fits exactly is left out: most_words is how many there may be.": _prompt(fits=lt),
        "The number in brackets is counted as a word; only the source's own words count.": (
            _prompt(count=lambda source: 1 + _words(source))
        ),
        "The words of the question are counted too; only those of the sources count.": _prompt(used=_words),
        "This counts characters; words are asked for: len(source.split()).": _prompt(count=len),
        "A source that does not fit is skipped, and a worse one behind it is taken. Stop there.": _prompt(skip=True),
        "A source is cut in the middle. Half a sentence invites the model to invent the rest: take it whole or not.": (
            _prompt(cut=True)
        ),
        "The question stands before the sources; it belongs on the last line.": (
            _prompt(write=lambda sources, asked: "\n".join([asked, *sources]))
        ),
        "The question is missing at the end.": _prompt(write=lambda sources, asked: "\n".join(sources)),
        "With no source there is an empty line first: put the question into the list of lines, then join.": (
            _prompt(write=lambda sources, asked: "\n".join(sources) + "\n" + asked)
        ),
        "There is an empty line before the question: one line break between two lines is enough.": (
            _prompt(write=lambda sources, asked: "\n".join([*sources, "", asked]))
        ),
        "There is a line break at the end; it belongs only between the lines.": (
            _prompt(write=lambda sources, asked: "\n".join([*sources, asked, ""]))
        ),
        "All sources are in the prompt, whatever their length.": _prompt(fits=lambda used, most: True),
        "No source stands in the prompt, only the question: are the lines collected?": (
            _prompt(write=lambda sources, asked: asked)
        ),
    },
    hints=(
        "Go through the sources in order, and keep count of the words so far.",
        "len(source.split()) is the number of words of a source. When it would be too many, stop: break.",
        'Collect the lines in a list and join them: "\\n".join(lines). enumerate(…, start=1) numbers them.',
    ),
)


# The two parts, put together.


def ask(question, retrieve, generate):
    source = retrieve(question)
    return generate(f"{source}\nQuestion: {question}"), source


def search(question):
    """A retriever for the checks: the page with the most shared words."""
    return PAGES[retrieve(question, PAGES, 1)[0]]


@dataclass
class NextPage:
    """Another: at each call it finds another page."""

    calls: int = field(default=0, repr=False, compare=False)

    def __call__(self, question):
        self.calls += 1
        return list(PAGES.values())[self.calls % len(PAGES)]


def parrot(prompt):
    """A generator for the checks: it says what its prompt was."""
    return f"I was told: {prompt}"


def shout(prompt):
    """Another: it says how many lines its prompt had, and the last."""
    return f"{len(prompt.splitlines())} LINES, THE LAST: {prompt.splitlines()[-1].upper()}"


def _ask(prompt="{source}\nQuestion: {question}", result=lambda text, source, prompt: (text, source)):
    """`ask` with another prompt, or another result."""

    def changed(question, retrieve, generate):
        source = retrieve(question)
        written = prompt.format(source=source, question=question)
        return result(generate(written), source, written)

    return changed


asking = Exercise(
    name="00.ask",
    title="Put it together",
    minutes=4,
    reference=ask,
    cases=[
        ("What is baked?", search, parrot),
        ("When does the ferry leave the harbour?", search, shout),
        ("What is baked?", NextPage(), parrot),
    ],
    random_case=lambda dice: (str(dice.choice(QUESTIONS)), search, (parrot, shout)[int(dice.integers(2))]),
    mistakes={
        "The model gets the question alone: what was found is not in its prompt.": _ask("Question: {question}"),
        "The model gets the source alone, and does not know what was asked.": _ask("{source}"),
        "The question comes first and the source after it; it should be the other way round.": (
            _ask("Question: {question}\n{source}")
        ),
        "This is the lesson's prompt. The one that is asked for has two lines: the source, and “Question: …”.": (
            _ask("{source}\n\nAnswer the question with a few words from the text.\nQuestion: {question}")
        ),
        "The two results have changed places: first the text of the answer, then the source.": (
            _ask(result=lambda text, source, prompt: (source, text))
        ),
        "The source is not returned. Without it nobody can verify the answer.": (
            _ask(result=lambda text, source, prompt: text)
        ),
        "This returns the prompt; the model was never called.": (
            _ask(result=lambda text, source, prompt: (prompt, source))
        ),
        "The second result is the prompt; asked for is the source alone.": (
            _ask(result=lambda text, source, prompt: (text, prompt))
        ),
        "It retrieves twice. Keep what was found: it goes into the prompt, and it is the second result.": (
            lambda question, retrieve, generate: (ask(question, retrieve, generate)[0], retrieve(question))
        ),
    },
    hints=(
        "Three steps: find, write the prompt, generate. Each needs what the one before it made.",
        "retrieve and generate are functions: retrieve(question) gives a text, generate(prompt) gives another.",
        "The prompt has two lines: the source, then “Question: …”. Return two things, separated by a comma.",
    ),
)


# Where was it lost?


def diagnose(found, right):
    outcomes = {"right": 0, "not found": 0, "not read": 0, "lucky": 0}
    for was_found, was_right in zip(found, right, strict=True):
        outcomes[_outcome(was_found, was_right)] += 1
    return outcomes


def _outcome(was_found, was_right):
    if was_found:
        return "right" if was_right else "not read"
    return "lucky" if was_right else "not found"


def _merged(found, right):
    counts = diagnose(found, right)
    return counts | {"right": counts["right"] + counts["lucky"], "lucky": 0}


def _exchanged(found, right):
    counts = diagnose(found, right)
    return counts | {"not found": counts["not read"], "not read": counts["not found"]}


def _without_zeros(found, right):
    return {name: count for name, count in diagnose(found, right).items() if count}


def _shares(found, right):
    return {name: count / max(1, len(found)) for name, count in diagnose(found, right).items()}


diagnosing = Exercise(
    name="00.diagnose",
    title="Where was it lost?",
    minutes=6,
    reference=diagnose,
    cases=[
        ([True, True, False], [True, False, False]),
        ([False], [True]),
        ([True, False, False, True], [False, False, False, True]),
        ([], []),
    ],
    random_case=lambda dice: (
        dice.choice([True, False], size=8).tolist(),
        dice.choice([True, False], size=8).tolist(),
    ),
    mistakes={
        "An answer that is right though its page was not found counts as right here. It was luck: count it apart.": (
            _merged
        ),
        "“Not found” and “not read” are exchanged.": _exchanged,
        "Outcomes that never occurred are missing; they should be there with 0.": _without_zeros,
        "These are shares; the numbers of questions were asked for.": _shares,
        "What was not found counts as “not found” here, even where the answer was right.": (
            lambda found, right: {
                "right": sum(f and r for f, r in zip(found, right, strict=True)),
                "not found": sum(not f for f in found),
                "not read": sum(f and not r for f, r in zip(found, right, strict=True)),
                "lucky": 0,
            }
        ),
        "A lucky answer is counted twice here, as right and as lucky.": (
            lambda found, right: diagnose(found, right) | {"right": sum(right)}
        ),
        "The four overlap: each question belongs to exactly one.": (
            lambda found, right: diagnose(found, right) | {"right": sum(right), "not found": found.count(False)}
        ),
    },
    hints=(
        "There are two yes-or-no questions, so there are four outcomes. Make a little table.",
        "Begin with {name: 0} for all four, go through both lists together with zip, and add 1 to the right one.",
        "Found and wrong is “not read”; not found and wrong is “not found”; not found and right is “lucky”.",
    ),
)

EXERCISES = [containing, retrieving, prompting, asking, diagnosing]
