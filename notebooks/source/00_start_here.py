# %% [markdown] lang="en"
# # 00 Start here: a model that invents, and the same model with sources
#
# **You will be able to** run a whole retrieval-augmented generation (RAG) system on your own machine, see a language model invent an answer, see the same model give the right one from a source, and say which of its two parts failed when it still gets one wrong.
#
# **Know first:** Python lists and functions.
# **Time:** 25 minutes.
# **Cost to run:** about a minute and about 1 GB of memory, no network, no graphics card.
# The very first run also converts the model's weights once, which takes some 20 seconds.

# %%
from textwrap import fill

from ragedu.models import status

for model in status(thorough=False):
    print(
        f"{model.role:<10} {model.name:<18} {model.size / 1e6:4.0f} MB  {'ready' if model.verified else model.problem}"
    )

assert all(model.verified for model in status(thorough=False)), "run `ragedu models` in a terminal, then start again"

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
inventions = [model.generate(question, max_new_tokens=25, temperature=0.8, seed=seed) for seed in range(4)]
for invention in inventions:
    print("-", invention)

# %%
assert len(set(inventions)) == len(inventions)
assert not any(words in invention for invention in inventions for words in ("not know", "n't know"))

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
page = next(
    document for document in archive.corpus if document.title.endswith("Violet Wherry") and "will" in document.text
)
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
# ## A retriever in four lines
#
# The simplest idea: the best page is the one that shares the most words with the question.
# Try it on three pages first.


# %%
def shared_words(question, text):
    return set(question.lower().rstrip("?").split()) & set(text.lower().replace(".", "").split())


def retrieve(question, pages):
    return max(pages, key=lambda page: len(shared_words(question, page.content)))  # content: title and text


three_pages = [archive.corpus[0], archive.corpus[3], page]
for document in three_pages:
    print(f"{document.title:<40}", sorted(shared_words(question, document.content)))

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
    prompt = f"{source.text}\n\nAnswer the question with a few words from the text.\nQuestion: {question}"
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
found_pages = [hits[0].document for hits in bm25.search_many(questions, k=1)]
prompts = [rag.prompt(q, [found]) for q, found in zip(questions, found_pages, strict=True)]
opened = model.generate(prompts, max_new_tokens=20)

closed_right = [is_right(text, acceptable) for text, acceptable in zip(closed, answers, strict=True)]
rag_right = [is_right(text, acceptable) for text, acceptable in zip(opened, answers, strict=True)]
print(f"{len(questions)} questions: closed book {sum(closed_right)} right, RAG {sum(rag_right)} right")

# %% [markdown] lang="en"
# Other questions would have given somewhat different shares.
# Each bar is a share, and the black line the range in which it could well lie (a 95 % interval; lesson 06 builds it by hand).
# A share of 0 has no line: the interval is made from the answers seen, and none of them was right.

# %% alt="The share of right answers: 0 or nearly 0 for closed book, without a bar; for RAG a bar, with a line for its 95 % interval, which stays well above." tags=["nbval-ignore-output"]
import matplotlib.pyplot as plt

from ragedu.evaluation import bootstrap_interval, paired_test

shares = {"closed book": bootstrap_interval(closed_right), "RAG": bootstrap_interval(rag_right)}
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
assert sum(closed_right) <= 2 and shares["RAG"].low > shares["closed book"].high
assert paired_test(rag_right, closed_right).p_value < 0.05

# %% [markdown] lang="en"
# RAG wins, and it is far from perfect.
# A wrong answer to a question that the archive can answer has two possible causes, and the first question is always which: was the right page **not found**, or was it found and **not read**?

# %% tags=["nbval-ignore-output"]
import pandas as pd

was_found = [found.id in tests.qrels[query_id] for found, query_id in zip(found_pages, tests.queries, strict=True)]
names = {True: "right", False: "wrong"}
pd.crosstab(
    pd.Series(was_found, name="page").map({True: "found", False: "not found"}),
    pd.Series(rag_right, name="answer").map(names),
)

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
wanted = archive.corpus[next(iter(list(tests.qrels.values())[i]))]
print("wanted:  ", wanted.title)
print("it says: ", next(s for s in wanted.text.split(". ") if any(a.lower() in s.lower() for a in answers[i])))

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
inn = next(query_id for query_id, text in changed.items() if "the Ship in Sexton's Lane" in text)
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
# You have just seen it work with a corpus of **three pages**, and the whole system was a retriever of two short functions and an `ask` of three lines.
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
reader_right = [is_right(text, acceptable) for text, acceptable in zip(read, answers, strict=True)]
print(f"{len(questions)} questions: untrained {sum(rag_right)} right, trained to read {sum(reader_right)} right")

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
# **Quiz.**
# Decide before you open the answer.
#
# 1. You ask the same question four times without a source, and get four times the same answer. Is it true?
# <details><summary>Answer</summary>Not necessarily. With temperature 0 a model always repeats itself, and a common error is
# repeated too. Agreement with itself is no evidence; a source is.</details>
#
# 2. Your RAG system gives a wrong answer. What do you look at first?
# <details><summary>Answer</summary>At the prompt: is the right page in it? If not, work on retrieval; if so, on reading.</details>
#
# 3. A price changes in your documents every day. What does RAG need each day, and what would a fine-tuned model need?
# <details><summary>Answer</summary>RAG needs the changed pages indexed again. A fine-tuned
# model needs training on the new price, and has to forget the old one.</details>
#
# **Exercises:** [`exercises/00_start_here_exercises`](../exercises/00_start_here_exercises.ipynb), which check themselves.
#
# **Next:** 01 builds the retriever from the ground up.
# **Further reading:** Lewis et al. (2020), *Retrieval-Augmented Generation for Knowledge-Intensive NLP Tasks*, the paper that gave RAG its name.
