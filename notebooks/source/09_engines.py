# %% [markdown] lang="en"
# # 09 Engines: does it matter where the corpus lives?
#
# **You will be able to** read a corpus from JSON, from an SQL database and from a search server, build a search engine out of two SQL tables, use the one that SQLite has inside, run the same RAG over Elasticsearch's protocol, find out whether an engine does what it says, and work out when one machine is no longer enough.
#
# **Know first:** lessons 02 (BM25) and 06 (evaluation); a little SQL helps.
# **Time:** 55 minutes.
# **Cost to run:** about a minute, no network beyond your own machine.

# %%
import json
import math
import os
import sqlite3
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ragedu import BM25Retriever, ElasticsearchRetriever, SqliteRetriever, read_corpus
from ragedu.corpus import Corpus, Document
from ragedu.datasets import port_ellery
from ragedu.evaluation import compare
from ragedu.learn.server import SmallServer
from ragedu.retrieval.bm25 import bm25_idf, bm25_term_part
from ragedu.text import Analyzer

# %% [markdown] lang="en"
# ## Five notes in three containers
#
# You keep your notes in a JSON file, a colleague hers in a database, and the company has Elasticsearch.
# Do the three get the same answers?

# %%
notes = [
    {"id": "ferry", "text": "The ferry leaves the harbour at nine.", "year": 1887},
    {"id": "wall", "text": "The harbour wall is forty feet thick.", "year": 1871},
    {"id": "bakery", "text": "Bread is baked before the boats leave the harbour.", "year": 1902},
    {"id": "choir", "text": "The choir sings in the chapel on Sunday.", "year": 1887},
    {"id": "roof", "text": "A wallflower grows on the roof of the chapel.", "year": 1911},
]

# %%
workplace = TemporaryDirectory(ignore_cleanup_errors=True)
folder = Path(workplace.name)
(folder / "notes.json").write_text(json.dumps(notes), encoding="utf-8")
lines = "".join(json.dumps(note) + "\n" for note in notes)
(folder / "notes.jsonl").write_text(lines, encoding="utf-8")
print(lines.split("\n")[0])

# %% [markdown] lang="en"
# JSON is one list, to be read whole.
# JSONL has one record a line: you can read it as it comes, and find the line that is broken.
# The third container is a table.

# %%
town = sqlite3.connect(folder / "town.db")
town.execute("CREATE TABLE pages (number INTEGER PRIMARY KEY, name TEXT, body TEXT, year INTEGER)")
rows = [(note["id"], note["text"], note["year"]) for note in notes]
town.executemany("INSERT INTO pages (name, body, year) VALUES (?, ?, ?)", rows)
town.commit()
town.execute("SELECT * FROM pages WHERE year = 1887").fetchall()

# %% [markdown] lang="en"
# `read_corpus` reads all three.
# A database is told by its URL (`postgresql://host/archive` would do as well); you name the columns, or rename them in a query.

# %%
database = f"sqlite:///{folder / 'town.db'}"
query = "SELECT name AS id, body AS text, year FROM pages ORDER BY number"
corpus = read_corpus(folder / "notes.json")
assert list(corpus) == list(read_corpus(folder / "notes.jsonl"))
assert list(corpus) == list(read_corpus(database, query=query))
print(corpus["ferry"])
by_table = read_corpus(database, table="pages", id="name", text="body")
assert by_table.ids == corpus.ids and by_table["ferry"].metadata == {"number": 1, "year": 1887}

# %% [markdown] lang="en"
# ## A question is data, and never part of a program
#
# A function as in many tutorials, and a table that nobody should see.
# **Predict first:** what will the last call return?


# %%
def careless(name):
    return town.execute(f"SELECT body FROM pages WHERE name = '{name}'").fetchall()


town.execute("CREATE TABLE wages (person TEXT, pounds INT)")
town.execute("INSERT INTO wages VALUES ('harbour master', 90)")
town.commit()
print(careless("ferry"))
attack = "nobody' UNION SELECT person || ' ' || pounds FROM wages --"
stolen = careless(attack)
print(stolen)

# %% [markdown] lang="en"
# The quote closed the string, and the rest was read as SQL.
# The cure is a **parameter**: the statement is fixed before the words arrive.


# %%
assert stolen == [("harbour master 90",)]


def careful(name):
    return town.execute("SELECT body FROM pages WHERE name = ?", (name,)).fetchall()


assert careful("ferry") and careful(attack) == []
careful("ferry"), careful(attack)

# %% [markdown] lang="en"
# Names of tables cannot be parameters.
# `read_corpus` looks them up in the database's own list, opens the database to read only, and refuses one that is not there: SQLite itself would make an empty file with the misspelt name.
# A `query=` is a program, yours; it never comes from a user.


# %%
def refused(call):
    try:
        call()
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace(str(folder) + os.sep, ""))
        return True


assert refused(lambda: read_corpus(database, table="pages; DROP TABLE pages"))
assert refused(lambda: read_corpus(database, table="pages", id="name", text="1; DROP TABLE pages"))
assert refused(lambda: read_corpus(f"sqlite:///{folder / 'twon.db'}", table="pages"))
assert refused(lambda: read_corpus(database, query="DROP TABLE wages"))
assert town.execute("SELECT * FROM wages").fetchall()
assert not (folder / "twon.db").exists() and len(read_corpus(database, query=query)) == 5

# %% [markdown] lang="en"
# ## A search engine in two tables
#
# SQL can search, can it not?

# %%
found = town.execute("SELECT name FROM pages WHERE body LIKE '%wall%'").fetchall()
print(found)
assert found == [("wall",), ("roof",)]

# %% [markdown] lang="en"
# `LIKE` compares letters, so it finds a wallflower; it reads every row, and ranks none.
# Lesson 02 had the answer: an inverted index.
# In SQL that is a table, where one row says: this term occurs in this document so many times.

# %%
analyzer = Analyzer()
pages = [analyzer(document.content) for document in corpus]

town.execute("CREATE TABLE documents (document INTEGER PRIMARY KEY, length INTEGER)")
town.execute("""
CREATE TABLE postings (term TEXT, document INTEGER, tf INTEGER, PRIMARY KEY (term, document))
WITHOUT ROWID
""")
for number, page in enumerate(pages):
    town.execute("INSERT INTO documents VALUES (?, ?)", (number, len(page)))
    counts = [(term, number, tf) for term, tf in Counter(page).items()]
    town.executemany("INSERT INTO postings VALUES (?, ?, ?)", counts)
town.commit()
some = "SELECT * FROM postings WHERE term IN ('harbour', 'wall', 'wallflow')"
pd.read_sql(f"{some} ORDER BY term, document", town)

# %% [markdown] lang="en"
# `WITHOUT ROWID` stores the rows in the order of the primary key, so those of *harbour* stand together: a posting list.
# All else that BM25 needs can be counted: $N$ and the average length in `documents`, the document frequency in `postings`.
# So BM25 is one query.
# (Not every build of SQLite has `ln`, so we give it ours.
# The terms arrive as a JSON list, in one parameter.)

# %%
town.create_function("ln", 1, math.log)
BM25 = """
WITH corpus AS (SELECT count(*) AS n, avg(length) AS average FROM documents),  -- one row
     asked AS (  -- a row for each term of the question, with its document frequency
         SELECT value AS term,
                (SELECT count(*) FROM postings WHERE postings.term = value) AS df
         FROM json_each(?)
     )
SELECT document,  -- k1 = 1.5, b = 0.75, so 1 - b = 0.25
       sum(
           ln(1 + (n - df + 0.5) / (df + 0.5))
           * tf / (tf + 1.5 * (0.25 + 0.75 * length / average))
       ) AS score
FROM asked
JOIN postings USING (term)
JOIN documents USING (document)
CROSS JOIN corpus  -- its one row beside each
GROUP BY document
ORDER BY score DESC, document
LIMIT ?
"""


# %%
def search_in_sql(question, k=10):
    return town.execute(BM25, (json.dumps(analyzer(question)), k)).fetchall()


for number, score in search_in_sql("How thick is the harbour wall?"):
    print(f"{score:.4f}  {corpus[number].text}")

# %% [markdown] lang="en"
# Is it right?
# Here is the formula in numpy, our yardstick.
# (`stored`, what an engine makes of a length, is for later.)


# %%
def by_formula(question, pages, k1=1.5, variant="lucene", stored=lambda length: length):
    lengths = [len(page) for page in pages]
    relative = np.array([stored(length) for length in lengths]) / np.mean(lengths)
    scores = np.zeros(len(pages))
    for term in analyzer(question):
        tf = np.array([page.count(term) for page in pages])
        idf = bm25_idf((tf > 0).sum(), len(pages), variant=variant)
        scores += idf * bm25_term_part(tf, relative, k1, 0.75)
    return scores


# %%
def scores_in_sql(question, n):
    found = dict(search_in_sql(question, n))
    return np.array([found.get(number, 0.0) for number in range(n)])


known = ["How thick is the harbour wall?", "harbour harbour chapel", "boats leave on Sunday"]
for question in [*known, "zeppelin"]:
    in_sql = scores_in_sql(question, 5)
    assert np.allclose(in_sql, by_formula(question, pages), atol=1e-9, rtol=0)
    if question in known:
        assert np.allclose(in_sql, BM25Retriever().fit(corpus).scores(question), atol=1e-5)

# %% [markdown] lang="en"
# The formula to nine digits, and `BM25Retriever` to the five that it stores.
# Does the database use the index?
# Ask for its plan.

# %% tags=["nbval-ignore-output"]
steps = [row[3] for row in town.execute("EXPLAIN QUERY PLAN " + BM25, ("[]", 10))]
print("\n".join(dict.fromkeys(steps)))
assert "SEARCH postings" in " ".join(steps) and "SCAN postings" not in " ".join(steps)

# %% [markdown] lang="en"
# `SEARCH` jumps to the right place, `SCAN` reads everything.
# The postings are never scanned.
# The documents are, to count them and their average length; two numbers that a real engine keeps.
# (`SCAN corpus` reads the one row that holds those, `SCAN json_each` the question's terms.)
#
# ## SQLite has one inside
#
# FTS5 is SQLite's full-text index.
# It keeps the postings in a compact form, and `bm25()` is a function.

# %%
town.execute("CREATE VIRTUAL TABLE fulltext USING fts5 (body)")
town.execute("INSERT INTO fulltext SELECT body FROM pages ORDER BY number")
FTS5 = """
SELECT body, round(bm25(fulltext), 4)
FROM fulltext
WHERE fulltext MATCH ?
ORDER BY bm25(fulltext)
"""
best = town.execute(FTS5, ("thick OR wall",)).fetchall()
print(best)
assert len(best) == 1 and best[0][1] < 0

# %% [markdown] lang="en"
# Scores are **negative**, so that the best comes first when sorted upwards.
# And what follows `MATCH` is a language, with words like `OR`.
# So the question is a program again.

# %%
for words in ("wall NOT thick", "c++", "harbour* AND (wall OR choir", 'body : "choir"'):
    try:
        print(f"{words:<28}", [body[:20] for body, _ in town.execute(FTS5, (words,))])
    except sqlite3.OperationalError:
        print(f"{words:<28} an error")

assert not town.execute(FTS5, ("wall NOT thick",)).fetchall()

# %% [markdown] lang="en"
# Nobody who types *c++* wants an error.
# `SqliteRetriever` analyses the text as lesson 02 did and hands each term over in quotes, its signs encoded: the words are ours, the ranking is SQLite's.
# **Predict first:** notes that have *harbour* and not *wall* will score next to nothing.
# Why?

# %%
sqlite = SqliteRetriever().fit(corpus)
for question in ("harbour wall", '"harbour" AND wall', "harbour NOT (wall", "c++ wall*"):
    found = [(hit.document.id, round(hit.score, 4)) for hit in sqlite.search(question)]
    print(f"{question:<20}", found)
print(sqlite.explain("harbour wall", "wall"))

# %% [markdown] lang="en"
# *Harbour* is in three of five notes, and SQLite replaces Robertson's idf, negative for a term in more than half of the documents, by a millionth.
# In a real archive, how do SQLite's scores and ours compare?

# %%
assert sqlite.search("harbour NOT (wall")[0].document.id == "wall"
assert 0 < sqlite.search("harbour wall")[1].score < 3e-6

archive = port_ellery.load(1000).select(split="test")
questions = [archive.queries[query_id] for query_id, judged in archive.qrels.items() if judged]
sqlite = SqliteRetriever(folder / "archive.db").fit(archive.corpus)
robertson = BM25Retriever(k1=1.2, variant="robertson").fit(archive.corpus)
theirs = np.concatenate([sqlite.scores(question) for question in questions])
ours = np.concatenate([robertson.scores(question) for question in questions])
ratios = theirs[theirs > 0] / ours[theirs > 0]
print(f"{len(questions)} questions, {len(ratios):,} scores,", end=" ")
print(f"ratio from {ratios.min():.4f} to {ratios.max():.4f}")
assert np.allclose(ratios, 2.2, rtol=1e-5)

# %% [markdown] lang="en"
# Always 2.2: that is $k_1 + 1$ with $k_1 = 1.2$, the factor of lesson 02, which changes no ranking.
#
# ## A server
#
# Elasticsearch keeps indexes and speaks JSON over HTTP.
# It is a large program in Java, so the course starts **noida-db**, a small one that speaks Elasticsearch's protocol.
# **It is a compatible server, and it is not Elasticsearch.**
#
# First by hand, with the official client.
# An index has a **mapping**: `text` is split into terms and scored, `integer` can be compared.
# One note gets a remark that is not meant for readers.

# %%
from elasticsearch import Elasticsearch

server = SmallServer(folder / "server").start()
client = Elasticsearch(server.url)
fields = {"body": {"type": "text"}, "year": {"type": "integer"}, "remark": {"type": "text"}}
no_refresh = {"index": {"refresh_interval": "-1"}}
client.indices.create(index="by-hand", mappings={"properties": fields}, settings=no_refresh)
for note in notes:
    remark = "debts" if note["id"] == "choir" else ""
    document = {"body": note["text"], "year": note["year"], "remark": remark}
    client.index(index="by-hand", id=note["id"], document=document)


# %%
def ask(**query):
    return [hit["_id"] for hit in client.search(index="by-hand", query=query)["hits"]["hits"]]


at_once = ask(match={"body": "chapel"})
client.indices.refresh(index="by-hand")
print("at once:", at_once, " after a refresh:", ask(match={"body": "chapel"}))
assert at_once == [] and len(ask(match={"body": "chapel"})) == 2

# %% [markdown] lang="en"
# New documents become searchable with the next **refresh**, by default once a second while the index is being searched (`-1` switches that off).
# And here too one kind of query is a language, which you must keep away from people's words:

# %%
words = "wall OR remark:debts"
print("query_string:", ask(query_string={"query": words, "default_field": "body"}))
print("match:       ", ask(match={"body": words}))
assert "choir" in ask(query_string={"query": words}) and ask(match={"body": words}) == ["wall"]

# %% [markdown] lang="en"
# An index that is there already is read by `scan`.
# `ElasticsearchRetriever` fits an index of its own beside it, in bulk, with our terms; `open` finds that again without the documents.
# Credentials come from the environment (`ELASTICSEARCH_…`) and never stand in a notebook; over `https` certificates are verified.


# %%
from elasticsearch.helpers import scan

everything = scan(client, index="by-hand")
theirs = Corpus(Document(hit["_id"], hit["_source"]["body"]) for hit in everything)
assert {page.text for page in theirs} == {page.text for page in corpus}
engine = ElasticsearchRetriever(server.url, "notes").fit(theirs)
assert set(ElasticsearchRetriever.open(server.url, "notes").corpus.ids) == set(corpus.ids)
print(engine.search("How thick is the harbour wall?"))
print(engine.explain("How thick is the harbour wall?", "wall"))

# %% [markdown] lang="en"
# Give it an embedding model, and each document gets a vector beside its terms.
# The words *depart* and *vessel* are in no note.

# %% tags=["nbval-ignore-output"]
from ragedu.retrieval.embeddings import Embedder

both = ElasticsearchRetriever(server.url, "notes-with-vectors", embedder=Embedder()).fit(corpus)
question = "When does the vessel depart?"
for mode in ("bm25", "knn", "hybrid"):
    both.mode = mode
    found = [(hit.document.id, round(hit.score, 4)) for hit in both.search(question, 3)]
    print(f"{mode:<7}", found)
assert not engine.search(question) and "ferry" in [page for page, score in found[:2]]

# %% [markdown] lang="en"
# (Hybrid is reciprocal rank fusion, each list with half a vote.)
#
# ## The same code, three engines
#
# Now the archive.
# **Predict first:** will the three differ measurably?

# %%
engine = ElasticsearchRetriever(server.url, "archive").fit(archive.corpus)
engines = {
    "BM25Retriever": BM25Retriever(k1=1.2).fit(archive.corpus),
    "SQLite": sqlite,
    "server": engine,
}
comparison = compare(engines, archive, metrics=["mrr@10", "recall@10"], progress=False)
comparison

# %% [markdown] lang="en"
# Nothing that 180 questions could show.
# And RAG?
# This generator remembers what it was asked, so it tells us whether the prompts are the same.

# %% tags=["nbval-ignore-output"]
from functools import cache

assert all(row.test is None or row.test.low <= 0 <= row.test.high for row in comparison.rows)

from ragedu import RAG, LanguageModel

model = LanguageModel.load(adapter="reader")


@cache  # the same prompt is answered once
def generate(prompt):
    return model.generate(prompt, max_new_tokens=24)


question, prompts = "Which hymn had Quenna Sandry chosen?", set()
for name, retriever in engines.items():
    answer = RAG(retriever, generate, k=2).ask(question)
    prompts.add(answer.prompt)
    print(f"{name:<14} {answer.text}  {[hit.document.id for hit in answer.sources]}")
assert len(prompts) == 1 and generate.cache_info().misses == 1

# %% tags=["nbval-ignore-output"]
sources_of = {}
for name, retriever in engines.items():
    found = retriever.search_many(questions, 2)
    sources_of[name] = [[hit.document.id for hit in hits] for hits in found]
by_us, by_sqlite, by_server = sources_of.values()
alike = [a == b == c for a, b, c in zip(by_us, by_sqlite, by_server, strict=True)]
same = np.mean(alike)
print(f"the same two sources from all three for {same:.0%} of {len(questions)} questions")
assert len(questions) == 180 and 0.9 < same < 1

# %% [markdown] lang="en"
# One prompt, and the model was called once: the **answer** hardly depends on where the corpus lives.
# The **scores**?
# Elasticsearch ranks by Lucene's formula as it was before version 8, with the factor $k_1 + 1$, so expect 2.2 times our variant `lucene`.


# %%
ours = BM25Retriever(k1=1.2).fit(archive.corpus)
pages = [analyzer(document.content) for document in archive.corpus]
lengths = np.array([len(page) for page in pages])
theirs, formula = (np.concatenate([one.scores(q) for q in questions]) for one in (engine, ours))
found = theirs > 0
ratio, length = theirs[found] / formula[found], np.tile(lengths, len(questions))[found]
for label, some in {"at most 40": length <= 40, "41 or more": length > 40}.items():
    print(f"pages of {label} terms: ratio from {ratio[some].min():.3f} to {ratio[some].max():.3f}")

assert np.allclose(ratio[length <= 40], 2.2, rtol=1e-4) and ratio[length > 40].max() > 2.21

# %% [markdown] lang="en"
# Exact up to 40 terms, then up to some per cent too high.
# An error that begins at a certain length points to how the length is stored.
# Lucene gives it **one byte**, and this server does as Lucene's source says: above 40 only its four leading binary digits (counted from 24) are kept, so it is rounded down.


# %%
def lucene_length(length):
    if length <= 24:
        return length
    above = length - 24
    shift = max(0, above.bit_length() - 4)
    return 24 + (above >> shift << shift)


print({length: lucene_length(length) for length in (24, 40, 41, 42, 57, 60, 100, 150)})
for question in questions[::4]:
    expected = 2.2 * by_formula(question, pages, k1=1.2, stored=lucene_length)
    assert np.allclose(engine.scores(question), expected, rtol=1e-5, atol=1e-5)
print("with the stored length, every score agrees to five digits")

# %% tags=["hide-input"] alt="Length as stored against true length, from 1 to 160 terms. A thin dashed diagonal is the true length. The stored length follows it exactly up to 40 and then is a staircase below it, with steps that are 2 terms wide up to 56, then 4 up to 88, then 8, then 16. Short ticks at the bottom show the lengths of the archive's pages."
n = np.arange(1, 161)
figure, axis = plt.subplots(figsize=(6, 3.4))
stored = [lucene_length(int(length)) for length in n]
axis.step(n, stored, where="post", color="black", label="rounded as Lucene does")
axis.plot(n, n, "--", color="tab:blue", lw=1, label="true")
look = {"color": "black", "alpha": 0.3, "label": "pages of the archive"}
axis.plot(lengths, np.full(len(lengths), 3), "|", **look)
axis.set(xlabel="terms in the page", ylabel="length as stored", xlim=(0, 160), ylim=(0, 165))
axis.legend(loc="upper left")
plt.show()

# %% [markdown] lang="en"
# A page of 40 terms and one of 41 count as equally long.
#
# ## A setting that does nothing
#
# An index has a setting for $k_1$.
# We make one with $k_1 = 1.5$, of pages whose length is stored exactly, and ask the server what it has understood.

# %%
similarity = {"similarity": {"default": {"type": "BM25", "k1": 1.5, "b": 0.75}}}
one_field = {"properties": {"terms": {"type": "text", "analyzer": "whitespace"}}}
client.indices.create(index="tuned", settings={"index": similarity}, mappings=one_field)
short = [page for page in pages if len(page) <= 40]
for number, page in enumerate(short):
    client.index(index="tuned", id=str(number), document={"terms": " ".join(page)})
client.indices.refresh(index="tuned")
print(client.indices.get_settings(index="tuned")["tuned"]["settings"]["index"]["similarity"])

# %% [markdown] lang="en"
# No error, and the setting is echoed back.
# **Predict first:** by which $k_1$ does this index score?


# %%
def scores_of(index, question, n):
    match = {"match": {"terms": " ".join(analyzer(question))}}
    hits = client.search(index=index, query=match, size=n)["hits"]["hits"]
    scores = np.zeros(n)
    for hit in hits:
        scores[int(hit["_id"])] = hit["_score"]
    return scores


def shape(scores):
    return scores / scores.max()  # whatever factor an engine multiplies by


# %%
answered = [q for q in questions if by_formula(q, short).any()][:20]
furthest = {}
for k1 in (1.2, 1.5):
    furthest[k1] = 0.0
    for q in answered:
        theirs = shape(scores_of("tuned", q, len(short)))
        expected = shape(by_formula(q, short, k1=k1))
        furthest[k1] = max(furthest[k1], np.abs(theirs - expected).max())
    print(f"k1 = {k1}: furthest from the formula {furthest[k1]:.4f}, the best score being 1")
assert furthest[1.2] < 1e-5 and furthest[1.5] > 0.001

# %% [markdown] lang="en"
# By 1.2.
# The server accepts 1.5, stores it, shows it, and scores with 1.2.
# Whoever tuned this index would conclude that $k_1$ does not matter.
# (Elasticsearch's reference says that it obeys.)
# **A setting that is echoed is not a setting that works.**
# Compare scores before you compare settings.
#
# ## The server dies in the middle
#
# A thousand pages are on their way, 256 a request, and the process is killed.
# We do this to a second server, with an analyzer that pulls the plug at the nine hundredth page.


# %%
def treacherous(text):
    treacherous.pages += 1
    if treacherous.pages == 900:
        shaky.kill()
    return analyzer(text)


treacherous.pages = 0
shaky = SmallServer(folder / "shaky").start()
fault = ElasticsearchRetriever(shaky.url, "town", analyzer=treacherous)
try:
    fault.fit(archive.corpus)
except ConnectionError as error:
    message = str(error).replace(shaky.url, "http://…")
    print(message.split(" (")[0], "(…):", message.rsplit("): ")[-1])
assert not fault.is_fitted and treacherous.pages >= 900

# %% [markdown] lang="en"
# Pages are analysed one request ahead, so the third request failed; two had been confirmed, 512 pages.
# **Predict first:** how many has the server when it comes back, and how many after a second `fit`: 1,000, or 1,512?


# %% tags=["nbval-ignore-output"]
def pages_there():
    if not fault.client.indices.exists(index="town"):
        return 0
    fault.client.indices.refresh(index="town")
    return fault.client.count(index="town")["count"]


shaky.start()
before = pages_there()
fault.fit(archive.corpus)
print("after the crash:", before, " after the second fit:", pages_there())
found, wanted = fault.search(questions[0]), engine.search(questions[0])

# %% [markdown] lang="en"
# A kill may cost what this server had confirmed: above you see what was left of 512.
# (Elasticsearch writes a log to disk before it confirms, unless told otherwise.)
# Resume from what a server **has**, never from what it **said**.
# And when something *is* left?
# Interrupt it, as Ctrl+C does:


# %%
assert before <= 512 and pages_there() == 1000
assert [hit.document.id for hit in found] == [hit.document.id for hit in wanted]


def interrupted(text):
    interrupted.pages += 1
    if interrupted.pages == 900:
        raise KeyboardInterrupt
    return analyzer(text)


interrupted.pages = 0
again = ElasticsearchRetriever(shaky.url, "town-again", analyzer=interrupted)
try:
    again.fit(archive.corpus)
except KeyboardInterrupt:
    again.client.indices.refresh(index="town-again")
    print("after Ctrl+C:", again.client.count(index="town-again")["count"])

# %%
again.fit(archive.corpus)
options = {"query": {"match_all": {}}, "size": 1000, "version": True, "source": False}
everything = again.client.search(index="town-again", **options)
versions = [hit["_version"] for hit in everything["hits"]["hits"]]
print("after the second fit:", len(versions))
assert len(versions) == 1000 and set(versions) == {1}

# %% [markdown] lang="en"
# Every page was written once: its *version* is 1.
# The second `fit` asked first what is there, by a digest of each document (a short hash of its content), and sent the rest.
# And since each document has an **id of its own**, sending it again would only replace it.
# An embedded database has faults of its own, such as a second program that holds the file:


# %%
other = sqlite3.connect(folder / "archive.db", isolation_level=None)
other.execute("BEGIN EXCLUSIVE")
assert refused(lambda: SqliteRetriever(folder / "archive.db", timeout=0.1).search("ferry"))
other.execute("ROLLBACK")
other.close()
assert SqliteRetriever(folder / "archive.db").search("ferry")

# %% [markdown] lang="en"
# ## How it grows
#
# **Predict first:** with sixteen times the pages, how many times longer does a question take, in `BM25Retriever` and in SQLite?


# %%
def seconds(call, *arguments):
    started = perf_counter()
    call(*arguments)
    return perf_counter() - started


def measure(retriever, pages, some):
    index_seconds = seconds(retriever.fit, pages)
    times = [[seconds(retriever.search, question) for question in some] for _ in range(5)]
    return index_seconds, 1000 * np.median(np.min(times, axis=0))


# %% tags=["nbval-ignore-output"]
sizes = (1000, 4000, 16_000)
large = port_ellery.load(max(sizes), questions=0).corpus
rows = []
for n in sizes:
    for retriever in (BM25Retriever(), SqliteRetriever(folder / f"{n}.db")):
        index_seconds, ms = measure(retriever, large[:n], questions[::30])
        rows.append((type(retriever).__name__, n, index_seconds, ms))
live = pd.DataFrame(rows, columns=["engine", "pages", "index s", "ms a question"])
live = live.set_index(["engine", "pages"])
live.sort_index().round(2)

# %%
quick = live.loc["BM25Retriever", "ms a question"]
slow = live.loc["SqliteRetriever", "ms a question"]
assert slow.iloc[-1] > 3 * slow.iloc[0] and slow.iloc[-1] > 4 * quick.iloc[-1]
assert quick.iloc[-1] < 3 * quick.iloc[0]

# %% [markdown] lang="en"
# SQLite's time grows with the pages, ours hardly.
# A script went to a million: on one core, and FAISS over made vectors as in lesson 03.
# (It is `python -m benchmarks --only scale`, in the repository; its table comes with `ragedu`.)
# The table has the largest size of each; memory is without the documents.
# (At a million noida-db was stopped: it needed more than 8 GiB.)
#
# Below, both axes are logarithmic.
# There a cost of the form $c \cdot n^s$ is a straight line, and its **slope** is $s$.
# Slope 1: twice the pages, twice the cost.
# Slope 0: the size does not matter.

# %%
from ragedu.records import path_of

scale = pd.read_csv(path_of("09.scale"))
measured = scale[scale["stopped"].isna()].sort_values("documents", kind="stable")
print(scale["machine"].iloc[0])
costs = {
    "index_cpu_s": "CPU s to index",
    "question_cpu_ms": "CPU ms a question",
    "memory_mb": "MB of memory",
}
largest = measured.groupby("system", sort=False).last()
names = list(largest.index)
largest[["documents", *costs, "disk_mb", "recall", "questions"]].round(2)

# %% alt="Six panels with logarithmic axes: CPU seconds to index, CPU milliseconds a question and megabytes of memory, from 1,000 to 1,000,000. Above, pages: BM25Retriever (circles, solid), SqliteRetriever (squares, dashed) and noida-db (triangles, dotted, not as far). Below, vectors: FAISS flat (diamonds, solid), HNSW (triangles, dashed) and IVF-PQ (crosses, dotted). A thin grey line has slope 1. Indexing runs beside it, noida-db's steeper at the end. For a question noida-db lies highest and beside it, SqliteRetriever below; BM25Retriever is level at first and then bends upwards. Flat search rises beside it on the whole, HNSW and IVF-PQ are much flatter. In memory SqliteRetriever lies far below the other two, and IVF-PQ below flat and HNSW, which run together." tags=["hide-input", "nbval-ignore-output"]
figure, panels = plt.subplots(2, 3, figsize=(11, 5.6), sharex=True, sharey="col")
for place, name in enumerate(names):
    some = measured[measured["system"] == name]
    for panel, cost in zip(panels[place // 3], costs, strict=True):
        style = ("o-", "s--", "^:", "D-", "v--", "x:")[place]
        look = {"color": "black", "mfc": "white", "label": name.split(", ")[-1]}
        panel.loglog(some["documents"], some[cost], style, **look)
for row, what in zip(panels, ("pages", "vectors"), strict=True):
    for panel, (cost, title) in zip(row, costs.items(), strict=True):
        top = measured[cost].max()
        look = {"color": "tab:gray", "lw": 1, "alpha": 0.5, "zorder": 0, "label": "slope 1"}
        panel.loglog([1e3, 1e6], [top / 1000, top], **look)
        panel.set(title=title, xlabel=what)
    row[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
figure.tight_layout()
plt.show()


# %% tags=["nbval-ignore-output"]
def line(name, cost, sizes=slice(-2, None)):
    """Slope s and factor c of the straight line through two sizes, by default the largest two."""
    some = measured[measured["system"] == name].iloc[sizes]
    slope, intercept = np.polyfit(np.log(some["documents"]), np.log(some[cost]), 1)
    return slope, np.exp(intercept)


slopes = pd.DataFrame(index=names)
for cost, title in costs.items():
    slopes[title] = [line(name, cost)[0] for name in names]

slope, factor = line("BM25Retriever", "question_cpu_ms", slice(0, 2))
promised, found = factor * 1e6**slope, largest.loc["BM25Retriever", "question_cpu_ms"]
print(f"BM25Retriever at a million, by its first two points: {promised:.2f} ms;", end=" ")
print(f"measured: {found:.2f} ms")

# %%
recall = measured.loc[measured["system"] == "BM25Retriever", "recall"]
of = slopes["CPU ms a question"]
assert found > 3 * promised and of["FAISS HNSW"] < of["FAISS flat"] - 0.3
assert recall.iloc[0] > 0.99 and recall.iloc[-1] < 0.8

# %% tags=["nbval-ignore-output"]
at = measured[measured["documents"] == 100_000].set_index("system")["question_cpu_ms"]
print("CPU ms a question, 100,000 pages:", at[names[:3]].round(2).to_dict())
near = measured[measured["system"] == "FAISS HNSW"].set_index("documents")["recall"]
print("recall of HNSW:", near.to_dict())
assert at[names[2]] > 100 * at["SqliteRetriever"] > 1000 * at["BM25Retriever"]
assert near.iloc[0] > 0.98 and near.iloc[-1] < 0.7
slopes.round(2)

# %% [markdown] lang="en"
# `BM25Retriever` touches only the postings of the question's terms, with weights that are ready.
# **A slope holds where it was measured.**
# At the right end all three rise about as the pages do, for the posting list of a common word grows with the archive.
# An index changes the **factor**.
# SQLite decodes the same postings and computes a score for each while you wait.
# The third takes a hundred times as long again, so its curve tells nothing about Elasticsearch.
# HNSW's line is far flatter than that of flat search, and it pays in *recall*, here the share of the exact ten nearest that it found, at the same setting (with made vectors; real ones may do better or worse).
# (For pages it is the share of questions whose page is among the ten best; among a million more look alike.)
#
# ## Where one machine ends
#
# Say, where a question takes a tenth of a second, or documents and index fill 24 GiB.
# For the two engines that lose nothing by their index, the lines through the last two points, continued (beyond what was measured: the order of magnitude, no more):


# %% tags=["nbval-ignore-output"]
def out_of_memory(name, limit=24 * 1024**3 / 1e6):
    """Pages that fill so many megabytes, at the cost of those between the two largest sizes."""
    some = measured[measured["system"] == name].iloc[-2:]
    n1, n2 = some["documents"]
    mb1, mb2 = some["everything_mb"]
    return n2 + (limit - mb2) * (n2 - n1) / (mb2 - mb1)


# %% tags=["nbval-ignore-output"]
ends = pd.DataFrame({"24 GiB": {name: out_of_memory(name) for name in names[:2]}})
lines = [line(name, "question_cpu_ms") for name in names[:2]]
ends["100 ms"] = [(100 / factor) ** (1 / slope) for slope, factor in lines]
ends["one machine"] = ends.min(axis=1)
ours_end, sqlite_end = ends.loc["BM25Retriever"], ends.loc["SqliteRetriever"]
assert ours_end["24 GiB"] < ours_end["100 ms"] and ours_end["one machine"] > 2e6
assert sqlite_end["100 ms"] < sqlite_end["24 GiB"]
assert 1e5 < sqlite_end["one machine"] < ours_end["one machine"]
ends.map(lambda pages: f"{float(f'{pages:.2g}'):,.0f}")

# %% [markdown] lang="en"
# `BM25Retriever` ends by memory; SQLite earlier, by time.
# Below, no cluster is needed *for size*.
# But one machine answers only so many questions a second, and none while it restarts.
# A cluster has:
#
# - **shards**, parts of the documents, each with its index. A question goes to all $m$ at once, each searches $n / m$ documents, and the best hits are
#   merged: $\mathrm{ms}(n / m)$ with $\mathrm{ms}(n) = c \cdot n^s$, and a little for merging.
# - **replicas**, copies of a shard. Copies share the questions, $1000 / \mathrm{ms}(n / m)$ a second each, and one may fail. They make no single question
#   quicker.
#
# Say we want 200 questions a second, each search within those limits (merging and waiting come on top), each copy on one core, which may be busy 60 % of the time: questions come in bursts, and at 100 % the queue never ends.


# %% tags=["nbval-ignore-output"]
rows = []
for name in names[:2]:
    slope, factor = line(name, "question_cpu_ms")
    for amount in (10**6, 10**7, 10**8, 10**9):
        shards = math.ceil(amount / ends.loc[name, "one machine"])
        ms = factor * (amount / shards) ** slope
        copies = max(2, math.ceil(200 * ms / 1000 / 0.6))
        rows.append((name, f"{amount:,}", shards, round(ms, 1), copies, shards * copies))
plan = pd.DataFrame(rows, columns=["engine", "pages", "shards", "ms a question", "copies", "cores"])
assert (plan["ms a question"] <= 101).all()
assert all(cores.is_monotonic_increasing for _, cores in plan.groupby("engine")["cores"])
plan

# %% [markdown] lang="en"
# (At least two copies: disks break.)
# Ready weights save cores, but a new page changes every idf, and all must be weighed anew.
# Elasticsearch computes while you wait and, says its reference, skips postings that cannot win.
#
# One thing is hidden in *the best hits are merged*.
# Build this cluster by hand: three retrievers, a third of the archive each, a merge by score.
# **Predict first:** is it the ranking of one index?


# %%
def third(part):
    size = math.ceil(len(archive.corpus) / 3)
    return BM25Retriever(k1=1.2).fit(archive.corpus[part * size : (part + 1) * size])


def merged(question, k=10):
    hits = [hit for shard in shards for hit in shard.search_many([question], k)[0]]
    return [hit.document.id for hit in sorted(hits, key=lambda hit: -hit.score)[:k]]


shards = [third(part) for part in range(3)]
whole = [[hit.document.id for hit in hits] for hits in ours.search_many(questions, 10)]
same = [merged(question) == ids for question, ids in zip(questions, whole, strict=True)]
first = [merged(question, 1) == ids[:1] for question, ids in zip(questions, whole, strict=True)]
print(
    f"the same ten in the same order: {np.mean(same):.0%} of {len(questions)} questions;", end=" "
)
print(f"the same first: {np.mean(first):.0%}")

# %%
(term,) = analyzer("licensee")
dfs = [sum(term in analyzer(page.content) for page in shard.corpus) for shard in shards]
print("pages with 'licensee' in each shard:", dfs)
assert len(set(dfs)) > 1

# %% [markdown] lang="en"
# A shard counts its own documents only.
# They disagree on how rare a word is and on the average length, so their scores are measured with different yardsticks.
# Elasticsearch can collect the counts of all shards first (`search_type=dfs_query_then_fetch`), and `ElasticsearchRetriever` asks for that in every BM25 search.
#
# ## What the article says
#
# A corpus, it says, “can be an SQL database, Elasticsearch or a simple JSON file”.
# It can, and the answers hardly changed.
# But the three are no alternatives:
#
# | | keeps | searches | good when |
# |---|---|---|---|
# | JSON, JSONL | a file | nothing; you index it | it fits in memory; easy to share |
# | SQL | rows that change, with rights | what you built, or FTS5 | the truth is there already |
# | Elasticsearch | copies, in shards | BM25, vectors, filters | many ask, or one machine cannot hold it |
#
# A common arrangement: the truth in SQL, an export in JSONL, a search index that can be thrown away.

# %%
assert np.mean(same) < 0.5 and 0.8 < np.mean(first) < 1

for connection in (engine.client, both.client, client, fault.client, again.client, town):
    connection.close()
for running in (server, shaky):
    running.kill()
    assert running.process.poll() is not None

# %% [markdown] lang="en"
# ## Recap
#
# - The same terms and nearly the same formula gave rankings whose quality nobody could tell apart, wherever the documents lay.
# - An inverted index is a table; BM25 is one query over it.
# - What people type is data: parameters for values, known names for tables, quoted terms for search languages.
# - Engines differ in $k_1 + 1$, in idf, in how a length is stored. Know your formula, and you can explain every digit.
# - Measure: a setting was echoed and ignored.
# - Ids of your own make sending twice harmless. Resume from what is there.
#
# You have put three engines behind one interface; other people's programs expect LangChain's, which lesson 10 uses.
#
# ## Quiz
#
# Decide before you look: every choice, right or wrong, says why.

# %%
from ragedu.learn.widgets import lesson_quiz

lesson_quiz("09")

# %% [markdown] lang="en"
# **Further reading.**
# [*SQLite FTS5 Extension*](https://www.sqlite.org/fts5.html); [*Similarity module*](https://www.elastic.co/guide/en/elasticsearch/reference/current/index-modules-similarity.html) in Elasticsearch's reference; Mühleisen, Samar, Lin and de Vries (2014), [*Old Dogs Are Great at New Tricks: Column Stores for IR Prototyping*](https://doi.org/10.1145/2600428.2609460).
