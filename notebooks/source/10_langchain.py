# %% [markdown] lang="en"
# # 10 LangChain: what does a framework give you?
#
# **You will be able to** write the core of a framework in ten lines, put a retriever and a language model of your own into LangChain and take theirs into `RAG`, say what a chain hides and what it costs, see whom a library calls, and offer your system to other programs over HTTP.
#
# **Know first:** lessons 05 and 06.
# **Time:** 45 minutes.
# **Cost to run:** one to four minutes, no network beyond your own machine.
#
# You have a RAG system in one file of a few pages, `ragedu/rag.py`.
# Most tutorials begin with a framework instead.
# What would you gain?
#
# ## Listen first
#
# A framework brings tens of thousands of lines that you haven't read.
# Python can report every connection that is opened by its own sockets, so begin with that.
# And set a variable that many tutorials tell you to set.

# %%
import os
import sys
import warnings

contacted = []


def listen(event, arguments):
    if event == "socket.getaddrinfo" and arguments[0]:
        contacted.append(str(arguments[0]))
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        contacted.append(str(arguments[1][0]))


sys.addaudithook(listen)
os.environ["LANGSMITH_TRACING"] = "true"

# %%
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    from ragedu.langchain import (
        ChatRagedu,
        LangChainGenerator,
        LangChainRetriever,
        RageduRetriever,
        from_langchain,
    )

told = [str(warning.message) for warning in warned if "LangSmith" in str(warning.message)]
print(*told)
assert len(told) == 1  # to run this cell again, restart the kernel: an import warns once

# %% [markdown] lang="en"
# LangSmith is the same company's service that records what chains do, on its servers: your users' questions, your documents, the answers.
# That can be what you want.
# It should not happen because of a line in somebody's `.bashrc`, so `ragedu.langchain` turns it off, and says so.
# (Only where it is imported: elsewhere, unset the variable.)
# At the end we look at who was contacted.

# %%
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from operator import itemgetter
from pathlib import Path
from statistics import median
from time import perf_counter

import langchain_core
import matplotlib.pyplot as plt
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableBranch, RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from ragedu import RAG, BM25Retriever, Corpus, DenseRetriever, HybridRetriever, LanguageModel
from ragedu.datasets import port_ellery
from ragedu.evaluation import bootstrap_interval, paired_test
from ragedu.evaluation.answers import exact_match
from ragedu.generation.prompts import ABSTAIN, build_prompt

# %% [markdown] lang="en"
# ## A framework in ten lines
#
# The idea is the pipe of the command line: parts that take one thing and return one thing, put in a row by `|`.


# %%
class Step:
    """A function that can be put in a row with others: (f | g).invoke(x) is g(f(x))."""

    def __init__(self, function):
        self.invoke = function

    def __or__(self, other):
        following = other.invoke if isinstance(other, Step) else other
        return Step(lambda value: following(self.invoke(value)))

    def batch(self, values):
        with ThreadPoolExecutor() as pool:
            return list(pool.map(self.invoke, values))


count_words = Step(str.split) | len
print(count_words.invoke("The ferry leaves at nine"))
print(count_words.batch(["Gull Rock", "the old east quay"]))

# %% [markdown] lang="en"
# Now RAG on three notes, with a generator that only repeats the first source.
# Look at what goes from part to part.

# %%
notes = [
    "The ferry leaves the harbour at nine.",
    "The harbour wall is forty feet thick.",
    "The choir sings on Sunday.",
]
index = BM25Retriever().fit(Corpus.from_texts(notes))


def find(question):
    sources = [hit.document for hit in index.search(question, k=1)]
    return {"question": question, "sources": sources}


def write(state):
    return build_prompt(state["question"], state["sources"])


def parrot(prompt):
    return prompt.splitlines()[1]


# %%
value = "How thick is the wall?"
for part in (find, write, parrot):
    value = part(value)
    print(f"{part.__name__:<7}{value!r:.110}")

# %% [markdown] lang="en"
# In LangChain a part is a **Runnable**, a function becomes one by `RunnableLambda`, and `|` is the same `|`.
# (The notation is called LCEL, LangChain's expression language.)

# %%
ours = Step(find) | write | parrot
theirs = RunnableLambda(find) | write | parrot
questions = ["How thick is the wall?", "When does the ferry leave?", "When does the choir sing?"]
print(theirs.invoke(questions[0]))
by_calls = [parrot(write(find(question))) for question in questions]
assert ours.batch(questions) == theirs.batch(questions) == by_calls

# %% [markdown] lang="en"
# Equal.
# So what are all the other lines?
# Every Runnable can also `stream`, run in `asyncio`, retry, fall back to another, and report each step to whoever listens; and many models and stores come ready-made as Runnables.
#
# **Predict first.**
# Some of this is prepared at every call, even where nobody uses it.
# How much longer does a chain of three trivial functions take than the three calls: twice, ten times, a thousand times?


# %% tags=["nbval-ignore-output"]
def microseconds(call, times=300):
    taken = []
    for _ in range(times):
        start = perf_counter()
        call("the ferry")
        taken.append(1e6 * (perf_counter() - start))
    return median(taken)


def raised(text):
    return text.upper()


def split(text):
    return text.split()


def count(words):
    return len(words)


# %% tags=["nbval-ignore-output"]
cost = {}
cost["three calls"] = microseconds(lambda text: count(split(raised(text))))
cost["Step"] = microseconds((Step(raised) | split | count).invoke)
cost["LangChain"] = microseconds((RunnableLambda(raised) | split | count).invoke)
for name, value in cost.items():
    print(f"{name:<12} {value:8.2f} µs, {value / cost['three calls']:7.1f} times the three calls")
assert cost["LangChain"] > 100 * cost["three calls"] and cost["LangChain"] > 100 * cost["Step"]

# %% [markdown] lang="en"
# Hundreds of times or more: at each call it makes a configuration and callbacks for every part, and inspects every function's signature (`python -m cProfile` shows it).
# Whether that matters depends on what stands between the pipes, so keep the number.
#
# ## Your parts in their chain
#
# Now the archive of lesson 05 and the trained reader.
# `RageduRetriever` makes a LangChain retriever of any retriever of ours.
# (LangChain's parts take their settings by name.)

# %%
archive = port_ellery.load(400, questions=300)
tests = archive.select(kind="lookup", split="test")
asked = list(tests.queries.values())[:8]
bm25 = BM25Retriever().fit(archive.corpus)

retriever = RageduRetriever(retriever=bm25, k=2)
found = retriever.invoke(asked[0])
print(type(found[0]), found[0].id)
print(found[0].metadata)
by_bm25 = [hit.document for hit in bm25.search(asked[0], k=2)]
assert [from_langchain(document) for document in found] == by_bm25

# %% [markdown] lang="en"
# Their document has a text, an id, and metadata for everything else, so title and score went there.
# Remember that.
#
# `ChatRagedu` makes a **chat model** of our language model: it takes messages, each from somebody, and returns one with its bill.
# (Ours abstains: it has no source.)

# %% tags=["nbval-ignore-output"]
reader = LanguageModel.load(adapter="reader")
chat = ChatRagedu(language_model=reader)
message = chat.invoke([SystemMessage("You are the archivist."), HumanMessage("Who are you?")])
print(repr(message.text))
print(message.usage_metadata, message.response_metadata)
prompt_tokens = reader.encode("Who are you?", system="You are the archivist.")
assert isinstance(message, AIMessage)
assert message.usage_metadata["input_tokens"] == len(prompt_tokens)

# %% [markdown] lang="en"
# How do you know that such an adapter keeps all promises of the interface?
# LangChain publishes its own tests for retrievers and chat models; `make test` runs them on both of ours.
# Prefer a framework that can tell you what being compatible means.
#
# And the chain.
# `assign` adds a key to a dictionary and keeps the rest, so that the sources are still there when the answer comes.
# (Where a plain function such as `itemgetter("question")` stands on the left of `|`, Python asks the part on the right, by its method `__ror__`.)


# %%
def write(state):
    sources = [from_langchain(document) for document in state["sources"]]
    return build_prompt(state["question"], sources)


with_sources = RunnablePassthrough.assign(sources=itemgetter("question") | retriever)
prepare = with_sources.assign(prompt=RunnableLambda(write))
speak = itemgetter("prompt") | chat | StrOutputParser()
chain = prepare.assign(answer=speak)

# %% [markdown] lang="en"
# **Predict first.**
# `RAG` and this chain have the same retriever, the same prompt, the same model.
# Same answers and sources, always?

# %% tags=["nbval-ignore-output"]
rag = RAG(bm25, reader, k=2)
for question in asked[:4]:
    state, answer = chain.invoke({"question": question}), rag.ask(question)
    print(f"{question}  ->  {state['answer']}")
    assert state["answer"].strip() == answer.text
    assert state["prompt"] == answer.prompt
    in_chain = [document.id for document in state["sources"]]
    assert in_chain == [hit.document.id for hit in answer.sources]

# %% [markdown] lang="en"
# The same.
# (`RAG` also strips a blank at the end.)
# Now a question that shares no word with the archive:

# %% tags=["nbval-ignore-output"]
stray = "Zeppelin?"
state, answer = chain.invoke({"question": stray}), rag.ask(stray)
print("chain:", state["sources"], "prompt:", repr(state["prompt"]), "->", state["answer"])
print("RAG:  ", list(answer.sources), "prompt:", repr(answer.prompt), "->", answer.text)
assert state["sources"] == [] and stray in state["prompt"]
assert answer.prompt == "" and answer.text == ABSTAIN

# %% [markdown] lang="en"
# `RAG` doesn't ask the model when nothing was found.
# The chain asked it, with no source at all: our reader was trained to admit that, another model may invent.
# A pipe has no `if`, so we lay one: a `RunnableBranch` takes the first part whose condition holds, and the last one otherwise.

# %%
branch = RunnableBranch((itemgetter("sources"), speak), lambda state: ABSTAIN)
guarded = prepare.assign(answer=branch)
assert guarded.invoke({"question": stray})["answer"] == rag.ask(stray).text == ABSTAIN
print(guarded.invoke({"question": stray})["answer"])

# %% [markdown] lang="en"
# Python has had `if` for thirty years.
# That is the price of a notation: what it can't say gets a class of its own.
#
# ## What you can swap
#
# And the gain: a part has no idea what stands beside it.
# Another retriever is another line.
# Or a retriever that may fail, with a substitute:


# %%
def gone(question):
    print("asked the server that is gone")
    raise ConnectionError("the search server does not answer")


twice = RunnableLambda(gone).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
safe = twice.with_fallbacks([retriever])
assert safe.invoke(asked[0]) == retriever.invoke(asked[0])

# %% tags=["nbval-ignore-output", "allow-stderr"]
dense = DenseRetriever().fit(archive.corpus)
hybrid = RageduRetriever(retriever=HybridRetriever([bm25, dense]), k=2)
for name, part in {"with fallback": safe, "hybrid": hybrid}.items():
    print(f"{name:<14}", [document.id for document in part.invoke(asked[0])])
first_query = list(tests.queries)[0]
assert hybrid.invoke(asked[0])[0].id in tests.qrels[first_query]

# %% [markdown] lang="en"
# Two calls for what would be a dozen careful lines.
# This is what a framework is for.
#
# Now swap the prompt.
# This is one as it stands in countless tutorials:

# %%
template = "Answer the question based only on the following context:\n{context}\n\n"
tutorial = ChatPromptTemplate.from_template(template + "Question: {question}")


def join(state):
    return "\n\n".join(document.page_content for document in state["sources"])


usual = with_sources.assign(context=join) | tutorial
print(usual.invoke({"question": asked[0]}).to_messages()[0].text[:150])

# %% [markdown] lang="en"
# **Predict first.**
# The same pages, the same reader, which was trained on our prompt.
# Of eight questions, how many does it answer right with ours, how many with this one?


# %% tags=["nbval-ignore-output"]
def right(texts):
    pairs = zip(texts, islice(tests.queries, len(texts)), strict=True)
    return [exact_match(text.strip(), tests.answers[query]) for text, query in pairs]


inputs = [{"question": question} for question in asked]
prompts = {
    "ours": [prepare.invoke(state)["prompt"] for state in inputs],
    "tutorial": [usual.invoke(state).to_messages()[0].text for state in inputs],
}
scores = {name: right(reader.generate(texts)) for name, texts in prompts.items()}
for name, score in scores.items():
    print(f"{name:<9} right {bootstrap_interval(score)}")

# %%
difference = paired_test(scores["ours"], scores["tutorial"])
assert difference.low <= 0 <= difference.high
for name, texts in prompts.items():
    print(f"{name:<9}", {mark: mark in texts[0] for mark in ("title=", "</source>")})
assert "title=" in prompts["ours"][0] and "title=" not in prompts["tutorial"][0]

# %% [markdown] lang="en"
# No difference that eight questions could show, and eight show little.
# (Lesson 06 says how many would tell.)
# But look at what went missing, without a word.
# The titles: they are metadata, and `page_content` has none.
# And the fence, which marks where a source ends.
# A chain shows its parts and hides the text that runs between them.
# **Print the prompt before you judge the model.**
#
# ## Streaming, and how to lose it
#
# `stream` passes pieces on as they come.
# Of our chain they are dictionaries, so a page can show the sources while the model still writes:

# %% tags=["nbval-ignore-output"]
state = prepare.invoke(inputs[0])
parts = list(chain.stream(inputs[0]))
keys = [key for part in parts for key in part]
print(keys)
assert keys[:3] == ["question", "sources", "prompt"] and keys.count("answer") > 2
assert "".join(part.get("answer", "") for part in parts) == speak.invoke(state)

# %% [markdown] lang="en"
# **Predict first.**
# An answer may have a blank at its end, so we add `| str.strip`, as `RAG` does.
# How many pieces will the answer come in?

# %% tags=["nbval-ignore-output"]
tell = "Describe the harbour town in two sentences."
free = ChatRagedu(language_model=reader, max_tokens=24) | StrOutputParser()
pieces, stripped = list(free.stream(tell)), list((free | str.strip).stream(tell))
print(len(pieces), "pieces without,", len(stripped), "with strip:", repr("".join(pieces)))


def upper(pieces):
    yield from (piece.upper() for piece in pieces)


kept = list((free | upper).stream(tell))
print(len(kept), "with a function that takes and yields pieces")

# %% [markdown] lang="en"
# One.
# `str.strip` needs the whole text, so the pipe waits for it, without a word.
# A function that takes and yields pieces keeps the stream.
# (The reader refused: it had no sources.
# Its pieces are enough for us.)
#
# ## Many questions at once
#
# `batch` takes a list.
# LangChain runs one call per question in a pool of threads (cores + 4, unless `config={"max_concurrency": …}` says otherwise), as our `Step` did.
#
# **Predict first.**
# Eight short prompts, 32 tokens each: one after the other, by LangChain's `batch`, and by our `generate`, which gives the model the whole list.
# Which is the quickest, and does `batch` gain anything?

# %% tags=["nbval-ignore-output"]
assert len(kept) == len(pieces) and "".join(kept) == "".join(pieces).upper()
assert len(pieces) > 2 and stripped == ["".join(pieces).strip()]

writer = LanguageModel.load()
author = ChatRagedu(language_model=writer, max_tokens=32) | StrOutputParser()
words = "ferries bread choirs granite storms harbours lighthouses salt".split()
themes = [f"Write about {word}." for word in words]
seconds, texts = {}, {}


def time(name, way):
    took = []
    for _ in range(2):  # the quicker of two: whatever else the machine does makes it slower
        start = perf_counter()
        texts[name] = way()
        took.append((perf_counter() - start) / 8)
    seconds[name] = min(took)
    print(f"{name:<22} {seconds[name]:.2f} s each")


# %% tags=["nbval-ignore-output"]
author.invoke(themes[0])  # the first call is slower
time("write: one by one", lambda: [author.invoke(theme) for theme in themes])
time("write: batch", lambda: author.batch(themes))
time("write: generate", lambda: writer.generate(themes, max_new_tokens=32))
assert texts["write: batch"] == texts["write: one by one"]
author = writer = None  # two models need twice the memory

# %%
assert seconds["write: generate"] < 0.7 * min(seconds["write: one by one"], seconds["write: batch"])
assert seconds["write: batch"] > 0.6 * seconds["write: one by one"]

# %% [markdown] lang="en"
# `batch` gains little, if anything; the list much.
# Threads help where one *waits*, for a model behind a network.
# Ours is here and computes, so they take turns at it.
# What helps is to fetch each weight once for eight texts, and a part that is called with one prompt at a time doesn't know of the others.
# In LCEL the remedy is a part that gets the list (`.map()` makes a part for one thing a part for a list):


# %% tags=["nbval-ignore-output"]
def generate_all(states):
    return reader.generate([state["prompt"] for state in states])


together = prepare.map() | RunnableLambda(generate_all)
time("RAG: one by one", lambda: [chain.invoke(state)["answer"] for state in inputs])
time("RAG: map, generate", lambda: together.invoke(inputs))
time("RAG: reading only", lambda: reader.generate(prompts["ours"], max_new_tokens=1))
pairs = zip(texts["RAG: one by one"], texts["RAG: map, generate"], strict=True)
same = sum(one == other for one, other in pairs)
print(f"{same} of {len(asked)} answers are the same")
assert same >= len(asked) - 1

# %% [markdown] lang="en"
# Less gained.
# A RAG question is a long prompt with a short answer: most of the time goes into **reading** (the last line: all prompts, one token each; if that exceeds the line above, it is noise), and reading has many tokens at once anyway.
# Batches speed up writing.
#
# And the cost of the pipe?
# Put the same retriever into both, with the parrot for a model, so that nothing but chain is left:

# %% tags=["nbval-ignore-output"]
light = prepare.assign(answer=itemgetter("prompt") | RunnableLambda(parrot))
light_rag = RAG(bm25, parrot, k=2)
through_chain = microseconds(lambda _: light.invoke(inputs[0]), 50)
through_rag = microseconds(lambda _: light_rag.ask(asked[0]), 50)
overhead = (through_chain - through_rag) / 1e6
print(f"chain {through_chain / 1000:.2f} ms, RAG {through_rag / 1000:.2f} ms")
print(f"the difference is {overhead / seconds['RAG: one by one']:.2%} of a question to the reader")

# %%
gain_writing = seconds["write: one by one"] / seconds["write: generate"]
gain_reading = seconds["RAG: one by one"] / seconds["RAG: map, generate"]
assert gain_writing > gain_reading
assert seconds["RAG: reading only"] > 0.5 * seconds["RAG: map, generate"]
assert through_chain > 2 * through_rag and overhead < 0.1 * seconds["RAG: one by one"]

# %% alt="Horizontal bars, seconds a text, light for one prompt a call and dark for the list at once. The base model's writing: one by one and batch are long, generate much shorter. The reader's answers: one by one and the list differ less, and reading only is most or all of the latter. The bar of the chain's own overhead is hardly to be seen." tags=["hide-input", "nbval-ignore-output"]
bars = {**seconds, "overhead of the chain": overhead}
figure, axis = plt.subplots(figsize=(7, 2.8))
colours = ["0.75", "0.75", "tab:blue", "0.75", "tab:blue", "tab:blue", "black"]
axis.barh(list(bars), list(bars.values()), color=colours)
for place, value in enumerate(bars.values()):
    axis.text(value, place, f" {1000 * value:,.0f} ms", va="center")
axis.invert_yaxis()
axis.set(xlabel="seconds a text (grey: one prompt a call; blue: the list at once)")
axis.set(xlim=(0, 1.25 * max(bars.values())))
plt.tight_layout()
plt.show()

# %%
assert overhead < min(seconds.values())

# %% [markdown] lang="en"
# Milliseconds: little beside a model.
# What a chain keeps you from doing can cost more than what it does.
#
# ## Their parts in your RAG
#
# The other direction.
# LangChain has adapters for dozens of vector stores; the smallest store is a dictionary in memory.
# It takes an embedding model of ours by two functions:


# %%
class OurEmbeddings(Embeddings):
    def embed_documents(self, texts):
        return dense.embedder.encode(texts).tolist()

    def embed_query(self, text):
        return self.embed_documents([text])[0]


store = InMemoryVectorStore(OurEmbeddings())
contents = [page.content for page in archive.corpus]  # title and text, as dense reads it
store.add_texts(contents, ids=archive.corpus.ids)
print(len(store.store), "pages")

# %% [markdown] lang="en"
# **Predict first.**
# We ask the store's retriever, and name no number.
# How many pages come?

# %%
default = store.as_retriever().invoke(asked[0])
print(len(default))

# %% [markdown] lang="en"
# Four; the line doesn't say so.
# `LangChainRetriever` passes on the k that `RAG` wants.
# Given the corpus, it can be evaluated too.
# Is a vector store's search our dense search?

# %%
assert len(default) == 4

store_retriever = LangChainRetriever(store.as_retriever(), corpus=archive.corpus)
for question in asked:
    ours, theirs = dense.search(question, k=6), store_retriever.search(question, k=6)
    assert [hit.document.id for hit in ours] == [hit.document.id for hit in theirs]
print([(hit.document.id, round(hit.score, 3)) for hit in theirs[:3]])

# %% [markdown] lang="en"
# The same pages in the same order, for every question.
# The scores are 1, 1/2, 1/3: LangChain's interface for retrievers has **no scores**, so nothing is left of them but the order.
# (Ours travel in the metadata; this store's don't.)
# Fusing by scaled scores, abstaining below a score, lesson 05's smoke detector: all need what was dropped.
#
# A whole RAG of LangChain's parts, in our `RAG`:

# %% tags=["nbval-ignore-output"]
borrowed = RAG(store_retriever, LangChainGenerator(chat), k=2)
answer = borrowed.ask(asked[0])
print(answer)
assert answer.text == RAG(dense, reader, k=2).ask(asked[0]).text

# %% [markdown] lang="en"
# ## Who was called?


# %%
from langsmith.utils import tracing_is_enabled


def strangers():
    return sorted(set(contacted) - {"127.0.0.1", "::1", "localhost"})


print("contacted outside this machine:", strangers())
assert strangers() == [] and os.environ["LANGSMITH_TRACING"] == "true" and not tracing_is_enabled()

# %% [markdown] lang="en"
# Nobody so far, and tracing is off although the variable is still set.
# An empty list proves something only if the listener hears; in a moment it will.
#
# ## A chain lives in one notebook
#
# Here is what fails next.
# A colleague wants to ask too; so does the town's web page.
# Another notebook with the same chain loads the model again: the memory of two, and an index that grows stale.
# A program that others use is a **service**.
#
# ## What the article says
#
# It shows a corpus sent away by `langchain upload`, and then `RagService(api_key=…)` and `rag_service.query(…)`.
# Does LangChain have them?
# Its core is installed here, so search that.

# %%
files = [file.read_text("utf-8") for file in Path(langchain_core.__file__).parent.rglob("*.py")]
for name in ("RagService", "rag_service", "langchain upload", "BaseRetriever"):
    print(f"{name:<17}", "there" if any(name in file for file in files) else "not there")
assert not any("RagService" in file or "langchain upload" in file for file in files)
assert sum(file.count("\n") for file in files) > 20_000

# %% [markdown] lang="en"
# Not in the core.
# (Another package, langchain-cli, has a command `langchain`; it makes and serves projects, and has no `upload`.)
# But the wish is right: one line to ask, and a key, since whoever may ask may read your documents, and exhaust the machine.
# In a terminal, in the course's folder, it is
#
# ```
# export RAGEDU_API_KEY=$(.venv/bin/python -c "import secrets; print(secrets.token_urlsafe(24))")
# .venv/bin/ragedu serve --retriever hybrid
# ```
#
# (on Windows `$env:RAGEDU_API_KEY = …` and `.venv\Scripts`; `--corpus my_notes` serves your own).
# The key travels as it is: fine on this machine; for others put a proxy that speaks HTTPS in front.
# A chain of yours is served as `RAG(LangChainRetriever(…), LangChainGenerator(…))`.
#
# Here we start the same service inside the notebook, on a free port, around the RAG that we have.
# And the article's class is ten lines:

# %%
import secrets

import httpx

from ragedu.serve import create_app, running

batches = []


class Counting(RAG):
    def ask_many(self, questions):
        batches.append(len(questions))
        return super().ask_many(questions)


key = secrets.token_urlsafe(24)
closing = ExitStack()  # keeps the service running until closing.close()
url = closing.enter_context(running(create_app(Counting(bm25, reader, k=2), key, seconds=300)))


# %%
class RagService:
    def __init__(self, api_key):
        headers = {"Authorization": f"Bearer {api_key}"}
        options = {"timeout": 300, "trust_env": False}  # by no proxy
        self.client = httpx.Client(base_url=url, headers=headers, **options)

    def query(self, question):
        reply = self.client.post("/query", json={"question": question})
        reply.raise_for_status()
        return reply.json()


# %% tags=["nbval-ignore-output"]
rag_service = RagService(api_key=key)
reply = rag_service.query(asked[0])
print(reply["answer"], [source["id"] for source in reply["sources"]])
assert reply["answer"] == rag.ask(asked[0]).text

# %% [markdown] lang="en"
# The article's two lines work.
# With a wrong key:

# %%
try:
    RagService(api_key="guess" * 5).query(asked[0])
except httpx.HTTPStatusError as error:
    print(error.response.status_code, error.response.json())
    status = error.response.status_code
assert status == 401

# %% [markdown] lang="en"
# The service (`ragedu/serve/app.py`) compares keys in constant time: a comparison that stops at the first wrong letter tells, by how long it took, how many were right.
#
# **Predict first.**
# Eight clients ask at the same moment, and there is one model.
# Will answers be mixed up?
# Will somebody be refused?

# %% tags=["nbval-ignore-output"]
batches.clear()
start = perf_counter()
with ThreadPoolExecutor(8) as clients:
    replies = list(clients.map(rag_service.query, asked))
print(f"{(perf_counter() - start) / len(asked):.2f} s a question, asked in batches of {batches}")
alone = [text.strip() for text in texts["RAG: one by one"]]
same = sum(reply["answer"] == text for reply, text in zip(replies, alone, strict=True))

# %% [markdown] lang="en"
# Neither.
# The service collects the questions that wait and gives them to the model together, which threads can't; and should too many wait, the next one gets 503 and is told when to come again (`tests/test_serve.py` asks so often), before the line grows without end.
#
# And what did the listener hear?

# %%
assert sum(batches) == 8 and max(batches) > 1
assert [reply["question"] for reply in replies] == asked
assert same >= len(asked) - 1

rag_service.client.close()
closing.close()
print("127.0.0.1" in contacted, strangers())
assert "127.0.0.1" in contacted and strangers() == []
del os.environ["LANGSMITH_TRACING"]

# %% [markdown] lang="en"
# It heard our own calls to this machine, so it would have heard others that this process opens through Python's sockets.
#
# ## With or without?
#
# | take a framework when | stay with your own lines when |
# |---|---|
# | you try many vendors' models and stores | you have one of each, and know them |
# | retries, fallbacks, streams and `asyncio` all matter | you must see every prompt and every score |
# | your team knows its vocabulary | the next reader knows only Python |
#
# Adapters of a few pages (`ragedu/langchain.py`) keep the choice open.
# It isn't one for life.
#
# ## Recap
#
# - `|` is composition; ten lines do it. The rest is streaming, threads, retries, callbacks, and many ready-made parts.
# - The same retriever, prompt and model give the same answer, through a chain or not. What differs is at the edges: nothing found, a default of four, a lost title.
# - A chain hides the prompt. Print it, and measure whether it matters.
# - Its cost in time is small beside a model's. Writing one by one what could be written together costs more; reading gains little.
# - One part that needs the whole text ends the stream.
# - Listen to whom your program calls. A variable can send your documents away.
#
# What comes next is your own documents.
# You have all the parts, and know how to tell whether they work.
#
# ## Quiz
#
# Decide before you look: every choice, right or wrong, says why.

# %%
from ragedu.learn.widgets import lesson_quiz

lesson_quiz("10")

# %% [markdown] lang="en"
# **Further reading.**
# LangChain's [*Runnable* reference](https://reference.langchain.com/python/langchain-core/runnables) and [*Standard tests*](https://docs.langchain.com/oss/python/contributing/standard-tests-langchain); Yu et al. (2022), [*Orca: A Distributed Serving System for Transformer-Based Generative Models*](https://www.usenix.org/conference/osdi22/presentation/yu), on batching requests that arrive at different times; PEP 578, [*Python Runtime Audit Hooks*](https://peps.python.org/pep-0578/).
