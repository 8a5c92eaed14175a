# %% [markdown] lang="en"
# # Exercises 00: Start here
#
# **Know first:** lesson 00.
# **Time:** 35 minutes, and as long as you like for the last one.
# **Cost to run:** a few seconds, no model, no network.
#
# **How this works.**
# Each exercise has a cell with a function whose body is missing.
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell (Shift and Enter), then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found: what was called, what came, what should have come, and often why.
# It never shows the solution, and nothing that you write can break it.
# A hint tells you a little more, three times: run `hint("00.contains")`, `hint("00.retrieve")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import re

from ragedu.learn import check, hint, when_solved


def words_of(text: str) -> list[str]:
    """The words of a text as these exercises understand them: runs of the letters a to z and
    digits, in lower case."""
    return re.findall(r"[a-z0-9]+", text.lower())


# %% [markdown] lang="en"
# ## 1. Nine is not ninety (5 minutes)
#
# The lesson counted an answer as right when its letters occur anywhere in the text: `answer.lower() in text.lower()`.
# So “It cost ninety pounds” would contain the answer “nine”.
# Write a stricter test that compares **whole words**.
# Case and punctuation don't count, and one of the acceptable answers is enough.


# %%
def contains(text: str, answers: list[str]) -> bool:
    """Whether the words of one of the answers stand in the text, side by side and in this order.
    Words: `words_of`."""
    # SOLUTION contains
    padded = f" {' '.join(words_of(text))} "
    return any(f" {' '.join(words_of(answer))} " in padded for answer in answers)
    # END


# %%
check("00.contains", contains)

# %%
hint("00.contains")  # run it again for the next

# %% [markdown] lang="en"
# Every number in a table of results stands on a small function like this one.
# When two systems are compared, look at it first.
#
# ## 2. More than one page (8 minutes)
#
# The lesson's retriever returns one page.
# Usually one takes the best few, so that the answer is likely to be among them.
# Return the names of the best $k$, by the number of **different** words that they share with the question.
# Pages with equally many stay in the order in which they came.


# %%
def retrieve(question: str, pages: dict[str, str], k: int) -> list[str]:
    """The names of the k best pages, best first; all of them when there are fewer.

    pages: {name: text}.
    """
    # SOLUTION retrieve
    asked = set(words_of(question))
    shared = {name: len(asked & set(words_of(text))) for name, text in pages.items()}
    return sorted(pages, key=shared.get, reverse=True)[:k]
    # END


# %%
check("00.retrieve", retrieve)

# %% [markdown] lang="en"
# ## 3. A prompt that fits (10 minutes)
#
# A model reads a limited number of tokens, and long prompts are slow.
# Put sources into the prompt, best first, as long as they fit, and number them, so that an answer can say where it comes from.
# Take a source whole or not at all, and stop at the first that does not fit.
# (Skipping it and trying the next is the other choice, of lesson 05.)
# The prompt looks like this:
#
# ```text
# [1] The ferry leaves at nine.
# [2] Bread is baked before dawn.
# Question: When does the ferry leave?
# ```


# %%
def build_prompt(question: str, sources: list[str], most_words: int) -> str:
    """Numbered sources, one a line, then the question.

    sources: best first;
    most_words: how many words all sources together may have (split at blanks; the numbers in
        brackets and the question don't count).
    """
    # SOLUTION build_prompt
    lines, words = [], 0
    for number, source in enumerate(sources, start=1):
        words += len(source.split())
        if words > most_words:
            break
        lines.append(f"[{number}] {source}")
    return "\n".join([*lines, f"Question: {question}"])
    # END


# %%
check("00.build_prompt", build_prompt)

# %% [markdown] lang="en"
# ## 4. Put it together (4 minutes)
#
# The third part of a RAG system is the line that joins the other two.
# Retriever and generator are given to you as functions, and `ask` must work with any.
# Inside it `retrieve` is the argument, not your function from exercise 2: it takes the question and returns the text of one page.
# The prompt is that text, and on a second line `Question: …`.
# (`ragedu`'s own `RAG` is made like this, so you can put it in front of the model that you already use.)

# %%
from collections.abc import Callable


def ask(
    question: str, retrieve: Callable[[str], str], generate: Callable[[str], str]
) -> tuple[str, str]:
    """(the generated text, the source that it was given).

    retrieve: from a question to the text of a page; generate: from a prompt to a text.
    """
    # SOLUTION ask
    source = retrieve(question)
    text = generate(f"{source}\nQuestion: {question}")
    return text, source
    # END


# %%
check("00.ask", ask)

# %% [markdown] lang="en"
# ## 5. Where was it lost? (6 minutes)
#
# A wrong answer has two possible causes, said the lesson: the page was not found, or it was found and not read.
# There is a fourth case, beside these and success: the page was **not** found, and the answer is right all the same.
# Count all four.


# %%
def diagnose(found: list[bool], right: list[bool]) -> dict[str, int]:
    """{"right": …, "not found": …, "not read": …, "lucky": …}: how many questions ended so.

    An outcome that no question had is there, with 0.

    found: for each question, whether its page was in the prompt;
    right: whether the answer was right.
    """
    # SOLUTION diagnose
    names = {
        (True, True): "right",
        (False, False): "not found",
        (True, False): "not read",
        (False, True): "lucky",
    }
    counts = dict.fromkeys(names.values(), 0)
    for outcome in zip(found, right, strict=True):
        counts[names[outcome]] += 1
    return counts
    # END


# %%
check("00.diagnose", diagnose)

# %% [markdown] lang="en"
# Is a lucky answer a good one?
# The model knew it, or guessed it, or another page said the same.
# It can't be verified from its source, and next time it may be wrong.
#
# ## 6. Open problem: a better retriever, with what you have (30 minutes and more)
#
# Here is the lesson's retriever on a thousand pages.
# It counts shared words, and a shared *the* counts as much as a shared *Upturned*.

# %%
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test

archive = port_ellery.load(1000, questions=600)
page_words = {page.id: set(words_of(page.content)) for page in archive.corpus}


def shared_words(question: str) -> str:
    asked = set(words_of(question))
    return max(page_words, key=lambda page: len(asked & page_words[page]))


# %%
def hits(retriever, split: str) -> list[float]:
    """1 for each question whose page came first, 0 for the others."""
    some = archive.select(split=split, kind="lookup")
    values = []
    for query_id, text in some.queries.items():
        values.append(float(retriever(text) in some.qrels[query_id]))
    return values


baseline = hits(shared_words, "test")
print(f"{len(baseline)} questions; the right page first: {sum(baseline) / len(baseline):.2f}")

# %% [markdown] lang="en"
# **The measure** is the share of the `test` questions whose page comes first; **the baseline** is `shared_words`.
# Try things on `train`: `hits(my_retriever, "train")`.
# Use `test` once, at the end.
# You may compute from the pages whatever you like; you may not look at the judgments.
# (The next lessons solve this systematically.
# What do you find by yourself?)


# %%
def my_retriever(question: str) -> str:
    """The id of the page that is most likely to answer the question."""
    # SOLUTION my_retriever
    asked = set(words_of(question))
    # A word is worth the less, the more pages have it.
    pages_with = {word: sum(word in words for words in page_words.values()) for word in asked}
    worth = {word: 1 / count for word, count in pages_with.items() if count}
    # sorted: a set has no order, and the order decides how a sum is rounded, and so who wins a tie.
    score = lambda page: sum(worth[word] for word in sorted(asked & page_words[page]))
    return max(page_words, key=score)
    # END


# %%
with when_solved():
    mine = hits(my_retriever, "test")
    gain = paired_test(mine, baseline)
    print(f"baseline {sum(baseline) / len(baseline):.2f}, yours {sum(mine) / len(mine):.2f}")
    print("gain", gain)
    assert gain.low > 0, "no gain that these questions can show"

# %% [markdown] lang="en"
# If you weighted rare words more, you have found the idea of Karen Spärck Jones (1972), and lesson 01 will be easy.
