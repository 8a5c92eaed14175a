# %% [markdown] lang="en"
# # Exercises 05: The whole RAG system
#
# **Know first:** lesson 05.
# **Time:** 50 minutes, and as long as you like for the last one.
# **Cost to run:** a few seconds; no model is loaded, the parts between the models are what you write.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# A hint tells you a little more, three times: run `hint("05.rescale")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import math
from collections import Counter

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. One scale for every retriever (4 minutes)
#
# The lesson brought scores to one scale, lowest 0 and highest 1, before adding them.
# A retriever may also find a single page, several of equal score, or nothing, and one of these breaks the lesson's function.
# Write it from the formula, without looking, so that it survives all three.
# What was found, and is no worse than anything else that was found, gets 1.


# %%
def rescale(scores: dict[str, float]) -> dict[str, float]:
    """{page: score} with the lowest 0 and the highest 1; all 1 where all are equal.

    scores: {page: score}, of any sign; may be empty.
    """
    # SOLUTION rescale
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if low == high:
        return dict.fromkeys(scores, 1.0)
    return {page: (score - low) / (high - low) for page, score in scores.items()}
    # END


# %%
check("05.rescale", rescale)

# %%
hint("05.rescale")  # run it again for the next

# %% [markdown] lang="en"
# ## 2. A page in many pieces (10 minutes)
#
# You have cut the pages into pieces, `mill/1`, `mill/2`, …, and each retriever ranks pieces.
# You want **pages**, fused by reciprocal rank.
# A page stands where its best piece stands, its other pieces don't count, and they take no place away from the pages behind them.


# %%
def fuse(rankings: list[list[str]], k: int) -> dict[str, float]:
    """{page: score}, the sum of 1 / (k + rank) over the rankings that have the page; ranks count
    pages, from 1.

    rankings: of each retriever the pieces, best first; a piece's page is what stands before its
        slash.
    """
    # SOLUTION fuse
    fused = {}
    for ranking in rankings:
        # Each page once, where it came first.
        pages = dict.fromkeys(piece.split("/")[0] for piece in ranking)
        for rank, page in enumerate(pages, start=1):
            fused[page] = fused.get(page, 0.0) + 1 / (k + rank)
    return fused
    # END


# %%
check("05.fuse", fuse)

# %% [markdown] lang="en"
# Everything here goes by the page's **name**.
# Two arrays of scores, added place by place, are wrong as soon as one retriever has left something out.
#
# ## 3. What doesn't fit is left out whole (8 minutes)
#
# A prompt may have so many tokens and no more.
# The instruction and the question come first, and always.
# Then the sources, the best first: each is read if it still fits as a whole, and is left out if not.
# A shorter one behind it may find room.


# %%
def within_budget(sizes: list[int], fixed: int, budget: int) -> list[int]:
    """The places (from 0) of the sources that are read, best first.

    sizes: the tokens of each source, best first;
    fixed: those of instruction and question;
    budget: of the whole prompt.
    """
    # SOLUTION within_budget
    read, used = [], fixed
    for place, size in enumerate(sizes):
        if used + size <= budget:
            read.append(place)
            used += size
    return read
    # END


# %%
check("05.within_budget", within_budget)

# %% [markdown] lang="en"
# To skip or to stop is a decision.
# Who stops at the first source that doesn't fit never reads the third without the second; who skips uses the room.
# `RAG` skips, and says in `left_out` what was skipped.
#
# ## 4. Across the cut (15 minutes)
#
# *The Blue Drifter was built by Ann Orr.
# She was launched in 1884.*
# A cut between these sentences destroys a fact, and **overlap** saves it: the next chunk begins with the last sentences of the one before, as many as have at most `overlap` words together **and** leave room for the sentence that has to come.


# %%
def cut(sentences: list[str], words: int, overlap: int) -> list[str]:
    """Chunks of whole sentences, joined by spaces, each as long as it can be and of at most `words`
    words.

    sentences: in order, none of more than `words` words;
    overlap: the most words that neighbours share, below `words`. Without sentences there are no
        chunks: [].
    """
    # SOLUTION cut
    length = lambda chunk: sum(len(sentence.split()) for sentence in chunk)
    chunks, chunk = [], []
    for sentence in sentences:
        if chunk and length([*chunk, sentence]) > words:
            chunks.append(" ".join(chunk))
            while chunk and (length(chunk) > overlap or length([*chunk, sentence]) > words):
                chunk = chunk[1:]
        chunk = [*chunk, sentence]
    return [*chunks, " ".join(chunk)] if chunk else chunks
    # END


# %%
check("05.cut", cut)

# %% [markdown] lang="en"
# What does overlap cost?
# If neighbours share a fifth, the index grows by a quarter; and two neighbours, both found, say some things twice in one prompt.
#
# ## 5. The least doubt (8 minutes)
#
# Reading one by one, a system asks of every source how probable *Not in the sources.* is: its doubt.
# `log_likelihood` answers with natural **logarithms**; the limit, 0.1 in `ragedu`, is a **probability**.
# Which source is the answer read from, and when from none?


# %%
def choose(log_doubts: list[float], limit: float) -> int | None:
    """The place (from 0) of the source with the least doubt, the first of equals; None, to abstain,
    if even that doubt is above the limit, or if there is no source.

    log_doubts: ln p(abstain) of each source; limit: a probability.
    """
    # SOLUTION choose
    if not log_doubts:
        return None
    least = min(log_doubts)
    return None if math.exp(least) > limit else log_doubts.index(least)
    # END


# %%
check("05.choose", choose)

# %% [markdown] lang="en"
# ## 6. Open problem: thirty words (30 minutes and more)
#
# Reading takes nearly all of the time, and it grows with every word.
# So don't let the model read three pages where one sentence would do.
# Here are test questions of the archive, each with the three best pages of BM25:

# %%
from ragedu import BM25Retriever, Document
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test
from ragedu.text import Analyzer, sentences

archive = port_ellery.load(600, questions=1000)
bm25 = BM25Retriever().fit(archive.corpus)
terms = Analyzer()
pages_with = Counter(term for page in archive.corpus for term in set(terms(page.content)))


def asked(split: str) -> list[tuple[str, list[Document], list[str]]]:
    """(question, its three best pages, its answers) for questions that one page answers."""
    kinds = ("lookup", "paraphrase", "identifier")
    ids = [query for kind in kinds for query in archive.select(kind=kind, split=split).queries]
    found = bm25.search_many([archive.queries[query] for query in ids], k=3)
    return [
        (archive.queries[query], [hit.document for hit in hits], archive.answers[query])
        for query, hits in zip(ids, found, strict=True)
    ]


train, test = asked("train"), asked("test")
print(len(train), "and", len(test), "questions, such as:", train[0][0], train[0][2])


# %%
def first_words(question: str, pages: list[Document]) -> str:
    words = " ".join(f"{page.title}: {page.text}" for page in pages).split()
    return " ".join(words[:30])


def kept(compress, questions) -> list[bool]:
    """Of each question: whether the answer stands in the text that is left."""
    texts = [compress(question, pages) for question, pages, _ in questions]
    assert max(len(text.split()) for text in texts) <= 30, "more than thirty words"
    values = []
    for text, (*_, answers) in zip(texts, questions, strict=True):
        values.append(any(answer in text for answer in answers))
    return values


baseline = kept(first_words, test)
print(f"the first thirty words: {sum(baseline) / len(baseline):.3f}")

# %% [markdown] lang="en"
# **The measure** is the share of test questions whose answer stands in your thirty words; **the baseline** are the first thirty.
# Take from the pages what you like, as it stands there.
# `sentences`, `terms` and `pages_with` (in how many pages a term occurs) may be of use; the answers may not.
# A sentence often lacks the name that the question asks for: it stands in the title or in a neighbour.
# Try things on `train`, and use `test` once, at the end.


# %%
def compress(question: str, pages: list[Document]) -> str:
    """At most thirty words of the pages, with the answer if possible. pages: the best three, best
    first."""
    # SOLUTION compress
    asked_for, ranked = set(terms(question)), []
    for rank, page in enumerate(pages):
        title = set(terms(page.title))
        for number, sentence in enumerate(sentences(page.text)):
            # A sentence is about its page: what the title says needn't be said again.
            shared = asked_for & (title | set(terms(sentence)))
            # A rare word says more about where the answer stands: inverse document frequency.
            # sorted: a set has no order, and the order decides how a sum is rounded, and so who
            # wins a tie.
            n = len(archive.corpus)
            weight = sum(math.log(n / pages_with[term]) for term in sorted(shared))
            ranked.append((-weight, rank, number, sentence))
    words = []
    for *_, sentence in sorted(ranked):
        if len(words) + len(sentence.split()) <= 30:
            words += sentence.split()
    return " ".join(words)
    # END


# %%
with when_solved():
    mine = kept(compress, test)
    gain = paired_test(mine, baseline)
    print(f"first words {sum(baseline) / len(test):.3f}, yours {sum(mine) / len(test):.3f}")
    print("gain", gain)
    no_gain = "no gain that these questions can show: look at ten that you lose"
    print("a gain" if gain.low > 0 else no_gain)

# %% [markdown] lang="en"
# Look at the questions that are lost.
# *Where did Tryphena Quick have rooms ashore?* shares no word with *When in port she was to be found at her lodgings in Capstan Square*.
# A model that compares meanings (lesson 03) finds some of these.
