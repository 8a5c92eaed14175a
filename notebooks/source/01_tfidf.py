# %% [markdown] lang="en"
# # 01 TF-IDF and cosine: which text is about my question?
#
# **You will be able to** turn texts into vectors by hand, rank them for a question by the angle between vectors, match scikit-learn to twelve decimals, and say when this works and why it fails.
#
# **Know first:** Python lists and dictionaries, a little numpy; lesson 00 helps.
# **Time:** 45 minutes.
# **Cost to run:** under a minute on a laptop, no model, no network.

# %%
import re
from importlib.metadata import version
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

for package in ("numpy", "scikit-learn", "matplotlib"):
    print(package, ".".join(version(package).split(".")[:2]))

# %% [markdown] lang="en"
# ## Five notes and a question
#
# Someone in the harbour town of Port Ellery has five notes and one question.
# You see at once which note answers it.
# The whole lesson is about making a program see it too.

# %%
notes = [
    "The ferry to Gull Island leaves the harbour at nine.",
    (
        "The harbour master keeps the keys of the harbour gate, the harbour crane, "
        "the weighing house, the ice house and the long stairs."
    ),
    "Bread is baked on Fish Street while the harbour sleeps.",
    "The ferry was painted in May, and the lighthouse was painted in June.",
    "The bell of the chapel by the market rings at noon, when the clock and the tide allow.",
]
question = "When does the ferry to the island leave the harbour?"

# %% [markdown] lang="en"
# ## Step 1: count words
#
# We start with a program that knows no meanings, only words.
# First a text must become a list of them.
# The regular expression takes runs of the letters a to z and digits; everything is lower-cased, so that *The* and *the* are one word.
# Such words are called **tokens**, and the distinct ones the **vocabulary**.


# %%
def tokenize(text):
    return re.findall(r"[a-z0-9]+", text.lower())


vocabulary = sorted({token for note in notes for token in tokenize(note)})
print(tokenize(notes[0]))
print(len(vocabulary), "distinct tokens")

# %% [markdown] lang="en"
# Now every text becomes a row of numbers: how often each word of the vocabulary occurs in it.
# This count is the **term frequency**, written $\mathrm{tf}(t, d)$ for a term $t$ in a document $d$.
# The word order is lost; this is why people call the row a *bag of words*.


# %%
def count(text):
    tokens = tokenize(text)
    return np.array([tokens.count(term) for term in vocabulary])


counts = np.array([count(note) for note in notes])
chosen = ["the", "harbour", "ferry", "island", "leaves", "bell"]
pd.DataFrame(counts, columns=vocabulary)[chosen]

# %% [markdown] lang="en"
# To score a note, multiply its row with the question's row, position by position, and add up.
# This **dot product** is large when the two share words, and larger when they use them often.
# (Words of the question that are in no note have no column and drop out.)
#
# **Predict first.**
# Note 0 is the right one.
# In which order will the dot product put the five notes?
# Write it down, then run the cell.

# %%
scores = counts @ count(question)
ranking = np.argsort(-scores, kind="stable")
for note in ranking:
    print(f"{scores[note]:3d}  note {note}: {notes[note][:60]}")

# %% [markdown] lang="en"
# Note 1 wins with *the*: seven times in the note, three times in the question, 21 of its 24 points.
# Worse, note 4 comes second, and look at what it shares with the question:

# %%
shared = {note: sorted(set(tokenize(notes[note])) & set(tokenize(question))) for note in range(5)}
for note, words in shared.items():
    print(note, words)

the = vocabulary.index("the")
assert counts[1, the] * count(question)[the] == 21 and scores[1] == 24
assert ranking[0] == 1 and ranking[1] == 4 and shared[4] == ["the", "when"]

# %% [markdown] lang="en"
# *The* and *when*, which tell nothing about a ferry, beat the ferry.
# Two things are wrong: **every word counts the same**, and **long notes collect more points**.
# We mend them one at a time.
#
# ## Step 2: rare words say more
#
# *The* occurs in every note, so sharing it tells you nothing.
# *Island* occurs in one, so sharing it points to that note.
# Let $N$ be the number of documents and $\mathrm{df}(t)$, the **document frequency**, the number of documents that contain $t$.
# The **inverse document frequency** turns this into a weight:
#
# $$\mathrm{idf}(t) = \ln\frac{1 + N}{1 + \mathrm{df}(t)} + 1$$
#
# Karen Spärck Jones proposed the idea in 1972.
# The two ones inside the fraction act as if one more document contained every word, so that nothing is divided by zero; the one at the end keeps a word that is everywhere at weight 1 instead of 0.
# This is the form that scikit-learn uses.


# %%
def idf(counts):
    n_documents = len(counts)
    document_frequency = (counts > 0).sum(axis=0)
    return np.log((1 + n_documents) / (1 + document_frequency)) + 1


weights = idf(counts)
table = pd.DataFrame({"df": (counts > 0).sum(axis=0), "idf": weights.round(3)}, index=vocabulary)
table.loc[chosen]

# %% [markdown] lang="en"
# Check one by hand: *ferry* is in 2 of 5 notes, so its idf is $\ln(6/3) + 1 = \ln 2 + 1$.

# %%
by_hand = np.log(6 / 3) + 1
print(round(by_hand, 3))
assert np.isclose(weights[vocabulary.index("ferry")], by_hand)

# %% [markdown] lang="en"
# Term frequency times inverse document frequency is **TF-IDF**.
# We weight the question and the notes in the same way.
#
# **Predict first.**
# Which word will bring note 1 the most points now?
# Will note 0 be on top?

# %%
scores = (counts * weights) @ (count(question) * weights)
ranking = np.argsort(-scores, kind="stable")
for note in ranking:
    print(f"{scores[note]:6.2f}  note {note}: {notes[note][:60]}")

parts = pd.Series(counts[1] * weights * count(question) * weights, index=vocabulary)
print("note 1:", parts[parts > 0].round(2).to_dict())

# %% [markdown] lang="en"
# Still *the*: weight 1 is no penalty, others only gain.
# Note 0 has climbed over the chapel bell, by a narrow lead.
# *To* and *when* occur in one note each, so idf takes them for as telling as *island*: in five notes, rare and telling are not the same.
# And the harbour master's long list is still first.
# The second fault is left.
#
# ## Step 3: compare directions, not lengths
#
# Think of each row as an arrow.
# A note that says everything twice is an arrow twice as long in the same direction, and it should not score twice as much.
# So divide each arrow $d$, with weight $d_t$ for term $t$, by its length $\lVert d \rVert = \sqrt{\sum_t d_t^2}$.
# The dot product of two arrows of length 1 is the **cosine** of the angle between them: 1 when they point the same way, 0 when they share no word.
#
# $$\cos(q, d) = \frac{q \cdot d}{\lVert q \rVert \, \lVert d \rVert}$$


# %%
assert list(ranking[:3]) == [1, 0, 4] and parts["the"] == 21


def cosine(query, documents):
    return documents @ query / np.linalg.norm(documents, axis=1) / np.linalg.norm(query)


scores = cosine(count(question) * weights, counts * weights)
ranking = np.argsort(-scores, kind="stable")
for note in ranking:
    print(f"{scores[note]:.3f}  note {note}: {notes[note][:60]}")

assert ranking[0] == 0

# %% [markdown] lang="en"
# The ferry is first.
# You can see why in a picture: take only two of the many dimensions, *ferry* and *harbour*.
# (Note 2 lies on note 1's arrow; note 4 has neither word.)

# %%
two_words = [vocabulary.index("ferry"), vocabulary.index("harbour")]
plane = (counts * weights)[:, two_words]  # of each note: its weights of these two words
direction = (count(question) * weights)[two_words]
direction = direction / np.linalg.norm(direction)

# %% tags=["hide-input"] alt="The plane of the words ferry (across) and harbour (up). The question's direction is a dashed line going up to the right. Note 0 is an arrow that ends on that line, note 3 an arrow along the ferry axis, and note 1 a long arrow straight up the harbour axis; a dotted line drops from its tip to the dashed line and meets it beyond the tip of note 0."
figure, axis = plt.subplots(figsize=(5.6, 4.6))
axis.plot(*np.outer([0, 3.6], direction).T, "--", color="black")
axis.text(2.85, 2.3, "the question's direction")
arrow = {"arrowstyle": "->", "lw": 2.5, "color": "tab:blue"}
for note, offset in ((0, (6, -12)), (1, (8, 0)), (3, (-10, 8))):
    axis.annotate("", plane[note], (0, 0), arrowprops=arrow)
    axis.annotate(f"note {note}", plane[note], xytext=offset, textcoords="offset points")
foot = direction * (plane[1] @ direction)
axis.plot(*np.array([plane[1], foot]).T, ":", color="black")
axis.set(xlabel="weight of “ferry”", ylabel="weight of “harbour”", aspect="equal")
axis.set(xlim=(-0.1, 5.4), ylim=(-0.2, 4.6))
plt.show()

# %% [markdown] lang="en"
# The dotted line shows how far note 1 reaches in the question's direction: further than note 0, so its dot product is larger.
# But it points elsewhere, and the cosine only asks where an arrow points.
# In this plane note 0 points exactly where the question does.
# In all 45 dimensions its angle is wider, and still the smallest of the five:

# %%
print(np.degrees(np.arccos(scores)).round(), "degrees")

# %% [markdown] lang="en"
# ## Does a professional library agree?
#
# `TfidfVectorizer` of scikit-learn does all three steps at once.
# If our few lines are right, the numbers must be equal to almost the last digit that a float holds, about 1e-16.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer

vectorizer = TfidfVectorizer(token_pattern=r"[a-z0-9]+")
theirs = vectorizer.fit_transform(notes) @ vectorizer.transform([question]).T

difference = np.abs(theirs.toarray().ravel() - scores).max()
print("largest difference below 1e-12:", bool(difference < 1e-12))
assert difference < 1e-12

# %% [markdown] lang="en"
# And `ragedu`'s own retriever: the same formulas over an index that stores no zeros, which lesson 02 builds.
# It takes the tokenizer as its `analyzer`.

# %%
from ragedu import Corpus, TfidfRetriever

retriever = TfidfRetriever(analyzer=tokenize).fit(Corpus.from_texts(notes))
assert np.abs(retriever.scores(question) - scores).max() < 1e-12
retriever.search(question, k=3)

# %% [markdown] lang="en"
# Because a dot product is a sum over words, every score can be taken apart.
# Always do this when a ranking surprises you.

# %%
print(retriever.explain(question, "0"))

# %% [markdown] lang="en"
# ## Better tokens
#
# *Does* and *leave* are missing from that list: no note contains them, so the vocabulary doesn't either (*leaves* is another word to a program).
# *When* is in the vocabulary but not in this note, so it adds 0.
# And *the* adds the most of all.
# An **analyzer** repairs this before anything is counted: it drops **stop words** (*the*, *when*, *does*: words that build a sentence and name nothing), and maps words to **stems** by the rules of the Snowball stemmer, so that *leave* and *leaves* become one.

# %%
from ragedu.text import Analyzer

analyzer = Analyzer()
print(analyzer(question))
print(analyzer(notes[0]))

# %%
hits = TfidfRetriever().fit(Corpus.from_texts(notes)).search(question, k=5)
print(hits)
assert len(hits) == 4

# %% [markdown] lang="en"
# The right note is now far ahead, and note 4 is gone from the list: a document that shares no term with the question has cosine 0, and `ragedu` does not return it.
# A stem need not be a word (*leav*), as long as it is the same on both sides.
#
# ## A real archive
#
# Port Ellery's archive is invented, so no model can have read it, and generated from facts, so for every question the answer and its page are known, or it is known that the archive has none.
# `qrels` holds, for each question, the pages that are relevant to it (the word is short for *query relevance judgments*).
# The questions come in two parts that share no entity and no phrasing; we use the part called *test*.
# Look at one page before you search a thousand.

# %%
from ragedu.datasets import port_ellery

archive = port_ellery.load(1000, questions=300)  # at most 300 questions of each kind
print(archive)
print(archive.corpus[3].title)
print(fill(archive.corpus[3].text, 100))

# %%
tfidf = TfidfRetriever().fit(archive.corpus)
tests = archive.select(split="test")
query_id = list(tests.select(kind="lookup").queries)[0]
print(tests.queries[query_id])
print("wanted:", *tests.qrels[query_id])
tfidf.search(tests.queries[query_id], k=3)

# %% [markdown] lang="en"
# One good result proves nothing.
# So ask every test question that has an answer, and score every ranking.
# We use the **reciprocal rank**: 1 if a wanted page is first, 1/2 if the first of them is second, and so on down to rank 10, then 0.
# Its mean over questions is called **MRR@10**.


# %%
def reciprocal_rank(scores, relevant):
    top10 = np.argsort(-scores, kind="stable")[:10]
    for rank, position in enumerate(top10, start=1):
        if position in relevant:
            return 1 / rank
    return 0.0


assert reciprocal_rank(np.array([0.1, 0.9, 0.5]), {2}) == 1 / 2  # document 2 is second

# %%
texts = [document.content for document in archive.corpus]
answerable = [q for q in tests.queries if tests.qrels[q]]
questions = [tests.queries[q] for q in answerable]
wanted = [{archive.corpus.position(page) for page in tests.qrels[q]} for q in answerable]


def reciprocal_ranks(tokens_of, use_idf, use_cosine):
    norm = "l2" if use_cosine else None
    vectorizer = TfidfVectorizer(analyzer=tokens_of, use_idf=use_idf, norm=norm)
    documents = vectorizer.fit_transform(texts)
    queries = vectorizer.transform(questions)
    scores = (queries @ documents.T).toarray()  # a row for each question
    return [reciprocal_rank(row, pages) for row, pages in zip(scores, wanted, strict=True)]


# %% [markdown] lang="en"
# We have three parts: idf, cosine, analyzer.
# Each can be on or off, which makes eight systems.
#
# **Predict first.**
# Start from bare counts and allow yourself **one** part.
# Which one helps most on a thousand pages: idf, the cosine, or the analyzer?
# And with the other two already in place, which one would you miss least?

# %%
from ragedu.evaluation import bootstrap_interval

weightings = {  # use_idf, use_cosine
    "counts": (False, False),
    "cosine": (False, True),
    "idf": (True, False),
    "idf + cosine": (True, True),
}
systems, intervals = {}, {}
for tokens, tokens_of in (("plain tokens", tokenize), ("analyzer", analyzer)):
    for name, (use_idf, use_cosine) in weightings.items():
        values = reciprocal_ranks(tokens_of, use_idf, use_cosine)
        systems[tokens, name] = values
        intervals[tokens, name] = bootstrap_interval(values)

# %% tags=["hide-input"]
table = pd.DataFrame(index=["analyzer", "plain tokens"], columns=list(weightings))
for (tokens, name), interval in intervals.items():
    table.loc[tokens, name] = f"{interval.mean:.3f}"
table

# %% tags=["hide-input"] alt="MRR@10 with 95 % intervals of eight systems: counts, cosine, idf and idf with cosine, each with plain tokens (circles) and with the analyzer (squares). With bare counts the circle is far to the left of the square; with cosine the gap is smaller; with idf, circle and square lie together on the right."
figure, axis = plt.subplots(figsize=(6, 2.8))
for (tokens, name), (mean, low, high) in intervals.items():
    place = list(weightings).index(name) + (0.15 if tokens == "analyzer" else -0.15)
    axis.plot([low, high], [place, place], color="black", lw=2)
    axis.plot(mean, place, "s" if tokens == "analyzer" else "o", color="black", mfc="white", ms=8)
axis.plot([], [], "o", color="black", mfc="white", ms=8, label="plain tokens")
axis.plot([], [], "s", color="black", mfc="white", ms=8, label="analyzer")
axis.set_yticks(range(4), weightings)
axis.set(xlabel=f"MRR@10 over {len(questions)} questions, with 95 % interval")
axis.set(xlim=(0, 1), ylim=(3.6, -0.6))
axis.legend(loc="lower left")
axis.grid(axis="x", alpha=0.3)
plt.show()

# %% [markdown] lang="en"
# The lines are 95 % intervals.
# Other questions of the same kind would have given another mean; the interval shows how much it plausibly varies.
# The **bootstrap** makes it: draw as many questions as there are, with replacement, ten thousand times, and keep the middle 95 % of the means.
#
# To compare two systems, look at the differences question by question instead: a hard question is hard for both, and that cancels.
# The **paired test** does.
# Its *p-value*: if a coin decided, question by question, which system gets which of the two scores, how often would the mean difference be at least as large?
# (0.0001 is the least that ten thousand tosses can show.)

# %%
from ragedu.evaluation import paired_test

comparisons = {
    "idf rather than analyzer": (("plain tokens", "idf"), ("analyzer", "counts")),
    "analyzer rather than cosine": (("analyzer", "counts"), ("plain tokens", "cosine")),
    "analyzer on bare counts": (("analyzer", "counts"), ("plain tokens", "counts")),
    "cosine on idf": (("plain tokens", "idf + cosine"), ("plain tokens", "idf")),
    "analyzer on idf + cosine": (("analyzer", "idf + cosine"), ("plain tokens", "idf + cosine")),
}
gains = {}
for name, (better, worse) in comparisons.items():
    gains[name] = paired_test(systems[better], systems[worse])
    print(f"{name:<27} {gains[name]}")

# %%
stops_only = np.mean(reciprocal_ranks(Analyzer(stemmer=None), False, False))
print(f"of the analyzer, dropping stop words alone gives {stops_only:.3f}")
assert abs(stops_only - np.mean(systems["analyzer", "counts"])) < 0.02
assert gains["idf rather than analyzer"].low > 0 and gains["analyzer rather than cosine"].low > 0
assert gains["cosine on idf"].low > 0
assert gains["analyzer on idf + cosine"].low < 0 < gains["analyzer on idf + cosine"].high

# %% [markdown] lang="en"
# As the only part, idf helps most, then the analyzer, then the cosine.
# The analyzer does so by its stop words alone (the line below the table of gains), and idf gives the same words a low weight: they mend the same fault.
# Once idf and the cosine are there, the interval of the analyzer's gain holds 0: it adds nothing that we can measure here, and is missed least.
# (We keep it: *leave* should find *leaves*.)
# When somebody tells you what a part is worth, ask: on top of what?
#
# ## Turn it yourself
#
# Type into the box and press Enter.
# The first question has a misspelt word; mend it and see.
# Under each page stand the words that matched and what each added.
# (A page that cannot run widgets shows the table as it was.)

# %%
from ragedu.learn.widgets import search_explorer

misspelt = "Whom has the Upturend Otter as licensee?"
mended = misspelt.replace("Upturend", "Upturned")
first_page, right_page = (tfidf.search(text, k=1)[0].document for text in (misspelt, mended))
assert first_page.title != right_page.title
search_explorer({"TF-IDF": tfidf}, query=misspelt)

# %% [markdown] lang="en"
# Two letters exchanged, a word of the inn's name is worth nothing, and the wrong inn comes first.
# Try a question of stop words only too, and one in other words than the page uses.
# The last one leads to the failure.
#
# ## Where it fails
#
# Port Ellery's questions come in kinds.
# A *lookup* question mostly uses words of its page.
# A *paraphrase* question names the same person or ship, but otherwise shares **no** content word with its page.
#
# **Predict first.**
# Every person or ship that they ask about has two pages.
# If the name is all that matches, what will MRR@10 be: above 0.9, about three quarters, about a half, nearly 0?

# %%
from ragedu import evaluate

by_kind = {}
for kind in ("lookup", "paraphrase"):
    result = evaluate(tfidf, tests.select(kind=kind), metrics=["mrr@10"], progress=False)
    by_kind[kind] = result.per_query["mrr@10"]
    print(f"{kind:<11} {bootstrap_interval(by_kind[kind].values())}")

mean = {kind: np.mean(list(values.values())) for kind, values in by_kind.items()}

# %% [markdown] lang="en"
# Just what a coin would give: first or second by chance is (1 + 1/2) / 2 = 0.75.
# Look at the ranks of the right pages, and at one question closely.


# %%
assert mean["lookup"] - mean["paraphrase"] > 0.1
assert {tests.metadata[q]["pages"] for q in by_kind["paraphrase"]} == {2}
assert abs(mean["paraphrase"] - 0.75) < 0.05


def rank_of(reciprocal):
    return f"rank {1 / reciprocal:.0f}" if reciprocal else "not in the first 10"


ranks = pd.Series(by_kind["paraphrase"]).map(rank_of)
print(ranks.value_counts().to_string())
assert (ranks == "rank 1").mean() < 0.7

# %%
behind = [query_id for query_id, value in by_kind["paraphrase"].items() if value < 1][0]
print(tests.queries[behind])
for hit in tfidf.search(tests.queries[behind], k=3):
    mark = "<- wanted" if hit.document.id in tests.qrels[behind] else ""
    added = tfidf.explain(tests.queries[behind], hit.document.id).contributions
    matched = [term for term, value in added.items() if value > 0]
    print(f"{hit.rank}. {hit.document.title:<42} matched: {', '.join(matched)} {mark}")

# %% [markdown] lang="en"
# The **name** carries the search.
# It brings the pages that bear it to the top, and then nothing in the question tells them apart: the page answers in other words, and to TF-IDF other words are other things.
# Now take the name away, and keep the words that ask for something:

# %%
page = archive.corpus[list(tests.qrels[behind])[0]]
name_terms = set(analyzer(page.title))
asked_for = [term for term in analyzer(tests.queries[behind]) if term not in name_terms]
print("the question asks for:", asked_for)
print("the page says:", fill(page.text, 100))
assert not set(asked_for) & set(analyzer(page.text))

# %% [markdown] lang="en"
# This is **vocabulary mismatch**, and no weighting repairs it: a dimension that one of the two vectors does not have contributes nothing.
# Where no name helps, it is a disaster.
# The second corpus is the documentation of Python and its libraries, as installed on your machine, with how-to questions that the course's author wrote.
# Some (*same*) use the documentation's own words; others (*different*) do not.

# %% tags=["nbval-ignore-output"]
from ragedu.datasets import python_docs

docs = python_docs.load()
docs_tfidf = TfidfRetriever().fit(docs.corpus)
found = {}
for wording in ("same", "different"):
    result = evaluate(docs_tfidf, docs.select(wording=wording), metrics=["mrr@10"], progress=False)
    found[wording] = list(result.per_query["mrr@10"].values())
    interval = bootstrap_interval(found[wording])
    print(f"{wording:<10} {len(found[wording]):3d} questions, MRR@10 {interval}")

# %%
assert np.mean(found["same"]) > 4 * np.mean(found["different"])

# %% tags=["nbval-ignore-output"]
example = "how-010"
print(docs.queries[example])
best_pages = [page for page, grade in docs.qrels[example].items() if grade == 3]  # the best grade
print("wanted:", ", ".join(best_pages))
docs_tfidf.search(docs.queries[example], k=3)

# %% [markdown] lang="en"
# Different questions, so no paired comparison; but a factor of more than four is not bad luck.
# (The digits depend on the library versions that you have installed, so the course checks the conclusion.)
#
# ## What the article says
#
# This course grew out of a Korean article that introduces RAG (the README tells its story), and each lesson tests one of its sentences.
# It warns of an “unsuitable corpus”, but does not say how you would notice.
# Does the score tell?
# We take questions whose answer is in the archive and questions whose answer is **not**, and look at the best cosine of each.
#
# **Predict first.**
# Draw one question of each sort.
# How often will the one with an answer have the higher score: always, three times in four, or one time in two?


# %%
def best_scores(kind):
    questions = tests.select(kind=kind).queries.values()
    return np.array([tfidf.search(question, k=1)[0].score for question in questions])


with_answer = best_scores("lookup")
without = best_scores("unanswerable")
assert with_answer.mean() > without.mean()

# %% tags=["hide-input"] alt="Two histograms of the best cosine, one above the other: questions with an answer in the archive and questions without. They overlap over most of their range."
figure, axes = plt.subplots(2, sharex=True, sharey=True, figsize=(6, 3.4))
best = {"answer in the archive": with_answer, "answer not in the archive": without}
for axis, (name, values) in zip(axes, best.items(), strict=True):
    axis.hist(values, bins=np.linspace(0, 1, 21), color="0.6", edgecolor="black")
    axis.set(title=f"{name} (n = {len(values)})", ylabel="questions")
axes[1].set_xlabel("cosine of the best page")
figure.tight_layout()
plt.show()

# %% [markdown] lang="en"
# How often does the question with an answer win (1 would be perfect separation, 0.5 a coin toss)?
# Some of the others ask about a name that the archive does not have, some about a known name and a fact that no page tells:

# %%
names = [tests.metadata[q]["entity"] for q in tests.select(kind="unanswerable").queries]
known = np.array([any(name in page.content for page in archive.corpus) for name in names])
groups = {"all": without, "name unknown": without[~known], "name known": without[known]}
higher = {}
for title, part in groups.items():
    higher[title] = np.mean(with_answer[:, None] > part)
    print(f"{title:<12} n = {len(part):3d}  {higher[title]:.2f}")

assert higher["name unknown"] > 0.8 and higher["name known"] < 0.65

# %% [markdown] lang="en"
# The score tells whether the archive knows the **name**, hardly whether it knows the **answer**: where only the fact is missing, it is nearly a coin toss.
# So the warning is right and the remedy is missing: a retriever returns its best guess whenever one word matches.
# Lesson 05 teaches the part that answers to abstain; lesson 06 measures it.
#
# ## Recap
#
# - A text becomes a vector of term frequencies; the dot product rewards shared words.
# - idf makes rare words count; the cosine takes length out of it; an analyzer decides what counts as the same word.
# - TF-IDF can be taken apart word by word, needs no training, and sees words only.
#
# Lesson 02 asks whether the tenth *harbour* should count as much as the first.
#
# ## Quiz
#
# Decide before you look: every choice, right or wrong, says why.

# %%
from ragedu.learn.widgets import lesson_quiz

lesson_quiz("01")

# %% [markdown] lang="en"
# **Further reading.**
# Spärck Jones (1972), [*A statistical interpretation of term specificity*](https://doi.org/10.1108/eb026526); Salton, Wong and Yang (1975), [*A vector space model for automatic indexing*](https://doi.org/10.1145/361219.361220); Manning, Raghavan and Schütze, [*Introduction to Information Retrieval*](https://nlp.stanford.edu/IR-book/), chapter 6.
