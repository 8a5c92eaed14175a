# %% [markdown] lang="en"
# # 00 Start here: a model that invents, and the same model with sources
#
# **You will be able to** run a whole retrieval-augmented generation (RAG) system on your own machine, see a language model invent an answer, see the same model give the right one from a source, and say which of its two parts failed when it still gets one wrong.
#
# **Know first:** Python lists and functions.
# **Time:** 25 minutes.
# **Cost to run:** about a minute and about 1 GB of memory, no network, no graphics card.
# On a processor that doesn't support bfloat16 it takes up to two minutes and 1.9 GB.
# The very first run also converts the model's weights once, which takes some 20 seconds.
#
# **Shift+Enter** runs a cell and goes to the next; run them all, from the top.
# A line that begins with `assert` checks what the text claims: it does nothing when the claim holds on your machine, and stops with an error when it does not.

# %%
from textwrap import fill

from ragedu.models import status

for model in status(thorough=False):
    megabytes = round(model.size / 1_000_000)
    state = "ready" if model.verified else model.problem
    print(model.role, model.name, megabytes, "MB:", state)
    assert model.verified, "run `ragedu models` in a terminal, then start again"

# %% [markdown] lang="en"
# Two models came with the installation: one that turns text into vectors, which you will meet in lesson 03, and one that writes.
# The one that writes is SmolLM2 with 135 million **parameters**, the numbers that training has set.
# That is small for a language model.
# It works like the large ones and has their faults, more of them, in a size that your laptop can run, train and open up.

# %% tags=["nbval-ignore-output"]
from ragedu import LanguageModel

model = LanguageModel.load()

# %% tags=["nbval-ignore-output"]
answer = model.generate("What is the capital of France?", max_new_tokens=30)
answer

# %%
assert "Paris" in answer

# %% [markdown] lang="en"
# ## Ask it something that it cannot know
#
# Port Ellery is a harbour town that does not exist.
# Its archive was invented for this course, after this model was trained, so the model can't have read a word about it.
# Violet Wherry, says the archive, left something to the town in her will.
#
# **Predict first.**
# You ask the model what it was.
# Will it say that it does not know?
# Ask four times and see.
# (A *temperature* above 0 lets the model choose among likely words, so that each *seed* can give another answer.)

# %% tags=["nbval-ignore-output"]
question = "What does the will of Violet Wherry bestow upon the town?"
inventions = []
for seed in range(4):
    invention = model.generate(question, max_new_tokens=25, temperature=0.8, seed=seed)
    inventions.append(invention)
    print("-", invention)

# %% tags=["hide-input"]
# Does the text below say what came?
assert len(set(inventions)) == 4
for invention in inventions:
    assert "not know" not in invention and "n't know" not in invention

# %% [markdown] lang="en"
# Fluent, different every time, and made up.
# Not once did it say that it didn't know.
# (They are cut off after 25 *tokens*, the pieces of words in which the model writes.)
# People call this **hallucination**.
# A language model continues text with words that are likely to follow, and nothing in that requires them to be true.
# An answer that it has read somewhere and one that it makes up come out of the same process and sound the same.
#
# ## Show it the page
#
# Now put the right page of the archive in front of the question, as you would for a person.

# %%
from ragedu.datasets import port_ellery

archive = port_ellery.load(1000)
for document in archive.corpus:
    if document.title.endswith("Violet Wherry") and "will" in document.text:
        page = document
        break

print(page.title)
print(fill(page.text, 100))

# %% tags=["nbval-ignore-output"]
prompt = f"{page.text}\n\nAnswer the question with a few words from the text.\nQuestion: {question}"
with_page = model.generate(prompt, max_new_tokens=30)
with_page

# %%
assert "beehive" in with_page.lower()

# %% [markdown] lang="en"
# The same model, the same question, and the right answer.
# Nothing was trained.
# The model did not know the answer; it **read** it.
# That is the whole idea of retrieval-augmented generation:
#
# > find the page, put it into the prompt, let the model read.
#
# You found the page by knowing where to look.
# A program must find it among a thousand.
#
# ## A retriever in a few lines
#
# The simplest idea: the best page is the one that shares the most words with the question.
# Try it on three pages first.


# %%
def shared_words(question, text):
    return set(question.lower().rstrip("?").split()) & set(text.lower().replace(".", "").split())


def retrieve(question, pages):
    def score(page):
        return len(shared_words(question, page.content))  # content: title and text

    return max(pages, key=score)


three_pages = [archive.corpus[0], archive.corpus[3], page]
for document in three_pages:
    print(document.title, "shares", sorted(shared_words(question, document.content)))

# %%
found = retrieve(question, three_pages)
print(found.title)
assert found is page

# %% [markdown] lang="en"
# ## The whole system
#
# A retriever, a prompt, a generator.
# Here they are together, and now the retriever searches all thousand pages.

# %% tags=["nbval-ignore-output"]


def ask(question, pages):
    source = retrieve(question, pages)
    prompt = f"{source.text}\n\nAnswer the question with a few words from the text."
    prompt += f"\nQuestion: {question}"
    return model.generate(prompt, max_new_tokens=30), source


print("of three pages:", ask(question, three_pages)[0])
text, source = ask(question, archive.corpus)
print("of a thousand: ", text)
print("source:", source.id, source.title)

# %%
assert source.id == page.id and "beehive" in text.lower()
assert "beehive" in ask(question, three_pages)[0].lower()

# %% [markdown] lang="en"
# That is a RAG system.
# Everything else in this course makes its parts better and finds out whether they are.
#
# `ragedu` has the same three parts, with better insides: BM25 for finding (lesson 02), a prompt that keeps sources apart from instructions (lesson 05), and an answer that shows what it rests on.
# Open a source below to read it.

# %% tags=["nbval-ignore-output"]
from ragedu import RAG, BM25Retriever

bm25 = BM25Retriever().fit(archive.corpus)
rag = RAG(bm25, model, k=1)
card = rag.ask(question)
card

# %% [markdown] lang="en"
# The prompt is no secret.
# Always look at it when an answer surprises you.

# %%
print("\n".join(fill(line, 100) for line in card.prompt.splitlines()))
assert card.sources[0].document is page and "beehive" in card.text.lower()

# %% [markdown] lang="en"
# ## How good is it?
#
# One question proves nothing.
# The archive comes with questions whose answers are known; we take those that ask for one fact of one page (*lookup*), once without a source (**closed book**) and once with RAG, and count how often the right answer occurs in the text.
#
# **Predict first.**
# Of 40 questions, how many will each get right?

# %%
from ragedu.generation.prompts import closed_book_prompt

tests = archive.select(kind="lookup", split="test")
questions = list(tests.queries.values())
answers = list(tests.answers.values())


def is_right(text, acceptable):
    return any(answer.lower() in text.lower() for answer in acceptable)


# %% tags=["nbval-ignore-output"]
closed = model.generate([closed_book_prompt(q) for q in questions], max_new_tokens=20)
found_pages, prompts = [], []
for q in questions:
    best = bm25.search(q, k=1)[0].document
    found_pages.append(best)
    prompts.append(rag.prompt(q, [best]))
opened = model.generate(prompts, max_new_tokens=20)

# %% tags=["nbval-ignore-output"]
closed_right = [is_right(text, wanted) for text, wanted in zip(closed, answers, strict=True)]
rag_right = [is_right(text, wanted) for text, wanted in zip(opened, answers, strict=True)]
print(len(questions), "questions")
print("right without a source:", sum(closed_right))
print("right with RAG:        ", sum(rag_right))

# %% [markdown] lang="en"
# Other questions would have given somewhat different shares.
# The cell that draws them is collapsed, like every cell of this course that only makes a figure, a table or a slider; click the bar or the “…” in its place to read it.
# Each bar is a share, and the black line the range in which it could well lie (a 95 % interval; lesson 06 builds it by hand).
# A share of 0 has no line: the interval is made from the answers seen, and none of them was right.

# %%
from ragedu.evaluation import bootstrap_interval, paired_test

shares = {"closed book": bootstrap_interval(closed_right), "RAG": bootstrap_interval(rag_right)}
assert sum(closed_right) <= 2 and shares["RAG"].low > shares["closed book"].high

# %% alt="The share of right answers: 0 or nearly 0 for closed book, without a bar; for RAG a bar, with a line for its 95 % interval, which stays well above." tags=["hide-input", "nbval-ignore-output"]
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(5, 2))
for place, (mean, low, high) in enumerate(shares.values()):
    axis.barh(place, mean, color="0.75", edgecolor="black")
    axis.plot([low, high], [place, place], color="black", lw=2)
    axis.text(high + 0.02, place, f"{mean:.0%}", va="center")
axis.set_yticks(range(2), shares)
axis.invert_yaxis()
axis.set(xlabel="share of right answers", xlim=(0, 1))
plt.show()

# %%
assert paired_test(rag_right, closed_right).p_value < 0.05

# %% [markdown] lang="en"
# RAG wins, and it is far from perfect.
# A wrong answer to a question that the archive can answer has two possible causes, and the first question is always which: was the right page **not found**, or was it found and **not read**?

# %% tags=["nbval-ignore-output"]
import pandas as pd

was_found = []
for query_id, found in zip(tests.queries, found_pages, strict=True):
    was_found.append(found.id in tests.qrels[query_id])  # qrels: the right pages of each question

page_column = pd.Series(["found" if it_was else "not found" for it_was in was_found], name="page")
answer_column = pd.Series(["right" if it_was else "wrong" for it_was in rag_right], name="answer")
pd.crosstab(page_column, answer_column)

# %%
not_read = [i for i, right in enumerate(rag_right) if was_found[i] and not right]
not_found = [i for i, found in enumerate(was_found) if not found]
assert len(not_read) > len(not_found) > 0

# %% [markdown] lang="en"
# ## Where it fails
#
# Most errors are errors of reading: the page was in the prompt, and the model still got it wrong.
# Look at two.

# %% tags=["nbval-ignore-output"]
assert len(not_read) >= 2
for i in not_read[:2]:
    print("question:", questions[i])
    print("page:    ", fill(found_pages[i].text, 90, subsequent_indent=" " * 10))
    print("model:   ", opened[i])
    print("wanted:  ", answers[i][0], "\n")

# %% [markdown] lang="en"
# A small model loses the thread or copies the wrong words, with the right ones in front of it.
# That can be trained, as you will see at the end of this lesson.
# And a page that was not found:

# %%
i = not_found[0]
print("question:", questions[i])
print("found:   ", found_pages[i].title)
query_id = list(tests.queries)[i]
right_pages = list(tests.qrels[query_id])
wanted = archive.corpus[right_pages[0]]
print("wanted:  ", wanted.title)
for sentence in wanted.text.split(". "):
    if is_right(sentence, answers[i]):
        print("it says: ", sentence)

# %% [markdown] lang="en"
# Two pages bear this name, and the wanted one says it in other words than the question.
# BM25, which lesson 02 builds, goes by words.
# Lesson 03 builds a retriever that goes by meaning.
#
# ## Change the facts
#
# Years go by in Port Ellery, and some facts change: the second edition of the archive has a new landlord here, another price there.
# **Predict first:** what must be done so that the system answers from the new edition?
# Must the model be trained again?

# %%
second = port_ellery.load(1000, edition=2)
changed = archive.select(kind="changed").queries
for query_id, text in changed.items():
    if "the Ship in Sexton's Lane" in text:
        inn = query_id
        break

print(changed[inn])
print("first edition: ", archive.answers[inn][0])
print("second edition:", second.answers[inn][0])

# %% tags=["nbval-ignore-output"]
updated = RAG(BM25Retriever().fit(second.corpus), model, k=1)
told_before, told_after = rag.ask(changed[inn]).text, updated.ask(changed[inn]).text
print("before:", told_before)
print("after: ", told_after)

# %%
assert is_right(told_before, archive.answers[inn]) and is_right(told_after, second.answers[inn])

# %% [markdown] lang="en"
# A new index, and the old answer is gone.
# The model's weights were not touched.
# That was one question; lesson 07 asks more, and measures what it costs to teach changed facts to the weights instead.
#
# ## What the article says
#
# This course grew out of an article that says RAG needs “a large corpus” and is harder to build than fine-tuning.
# You have just seen it work with a corpus of **three pages**, and the whole system was two short functions for finding and a short one, `ask`, for the rest.
# What is right about the claim: RAG answers only what its corpus says, so the corpus must hold the answer.
# That is a matter of the right pages and not of many.
# Ask about something that no page has:

# %% tags=["nbval-ignore-output"]
nowhere = rag.ask("What is the name of the airport of Port Ellery?")
print(nowhere.text)
print("source:", nowhere.sources[0].document.title)

# %%
assert not any("airport" in document.content.lower() for document in archive.corpus)
assert nowhere.text != "Not in the sources."

# %% [markdown] lang="en"
# A page was found, as always: a retriever returns the best there is, however bad.
# None speaks of an airport, and the system answers all the same.
# A good system would say so.
#
# ## The same model, taught to read
#
# Lesson 04 trains this very model to read: it practises answering from sources, on other texts and other questions, and saying “Not in the sources.” when they do not hold the answer.
# What it learnt is a file of less than 4 MB, an *adapter*, that comes with `ragedu`.
# It was trained on another archive: other names, other facts.
# (The first model is put away, so that one fits into memory.
# To play with `ask` again, run the cell `model = LanguageModel.load()` first.)
#
# **Predict first.**
# How many of the same questions, with the same pages, will it get right?

# %% tags=["nbval-ignore-output"]
model = rag = updated = None  # two models at once would need twice the memory
reader = LanguageModel.load(adapter="reader")
read = reader.generate(prompts, max_new_tokens=20)
reader_right = [is_right(text, wanted) for text, wanted in zip(read, answers, strict=True)]
print(len(questions), "questions")
print("right, untrained:      ", sum(rag_right))
print("right, trained to read:", sum(reader_right))

# %%
gain = paired_test(reader_right, rag_right)
assert gain.difference > 0.1 and gain.p_value < 0.05

# %% tags=["nbval-ignore-output"]
rag = RAG(bm25, reader, k=1)
airport = rag.ask("What is the name of the airport of Port Ellery?")
airport

# %%
assert airport.text == "Not in the sources."

# %% [markdown] lang="en"
# More answers are right, and here it said no.
# How reliably it says so, above all where a name or a number is *nearly* in the archive, is measured in lesson 04.
#
# ## On your own documents
#
# A folder of text, Markdown, notebooks, JSON or CSV is a corpus too:
#
# ```python
# from ragedu import BM25Retriever, RAG, LanguageModel, read_corpus
# rag = RAG(BM25Retriever().fit(read_corpus("my_notes")), LanguageModel.load(adapter="reader"))
# rag.ask("…")
# ```
#
# or, in a terminal, `ragedu ask "…" --corpus my_notes`.
# And `RAG` takes any function from a prompt to a text as its generator, so it works with whatever model you already use.
#
# ## Recap
#
# - A language model continues text. Without a source it invents, fluently.
# - RAG = retrieve, put into the prompt, generate. No training, and facts change by changing the pages.
# - It fails in three ways: not found, not read, or not in the corpus at all. Each has its own remedy.
#
# Lesson 01 builds the retriever from the ground up.
#
# ## Quiz
#
# Decide before you look: every choice, right or wrong, says why.

# %%
from ragedu.learn.widgets import lesson_quiz

lesson_quiz("00")

# %% [markdown] lang="en"
# **Further reading:** Lewis et al. (2020), [*Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks*](https://arxiv.org/abs/2005.11401), the paper that gave RAG its name.
