# %% [markdown] lang="en"
# # 01 TF-IDF and cosine: which text is about my question?
#
# **You will be able to** turn texts into vectors by hand, rank them for a question by the angle between vectors, match
# scikit-learn to twelve decimals, and say when this works and why it fails.
#
# **Know first:** Python lists and dictionaries, a little numpy; lesson 00 helps. **Time:** 45 minutes. **Cost to run:**
# under a minute on a laptop, no model, no network.

# %%
import re
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

for package in ("numpy", "scikit-learn", "matplotlib"):
    print(package, version(package).split(".")[0])  # the major version: what this lesson was run with

# %% [markdown] lang="en"
# ## Five notes and a question
#
# Someone in the harbour town of Port Ellery has five notes and one question. You see at once which note answers it. The
# whole lesson is about making a program see it too.

# %%
notes = [
    "The ferry to Gull Island leaves the harbour at nine.",
    "The harbour master keeps the keys of the harbour gate, the harbour crane, "
    "the weighing house, the ice house and the long stairs.",
    "Bread is baked on Fish Street while the harbour sleeps.",
    "The ferry was painted in May, and the lighthouse was painted in June.",
    "The bell of the chapel by the market rings at noon, when the clock and the tide allow.",
]
question = "When does the ferry to the island leave the harbour?"

# %% [markdown] lang="en"
# ## Step 1: count words
#
# A program cannot compare meanings, but it can compare words. First a text must become a list of them. The regular
# expression takes runs of letters and digits; everything is lower-cased, so that *The* and *the* are one word. Such
# words are called **tokens**, and the distinct ones the **vocabulary**.


# %%
def tokenize(text):
    return re.findall(r"[a-z0-9]+", text.lower())


vocabulary = sorted({token for note in notes for token in tokenize(note)})
print(tokenize(notes[0]))
print(len(vocabulary), "distinct tokens")

# %% [markdown] lang="en"
# Now every text becomes a row of numbers: how often each word of the vocabulary occurs in it. This count is the **term
# frequency**, written $\mathrm{tf}(t, d)$ for a term $t$ in a document $d$. The word order is lost; this is why people
# call the row a *bag of words*.


# %%
def count(text):
    tokens = tokenize(text)
    return np.array([tokens.count(term) for term in vocabulary])


counts = np.array([count(note) for note in notes])
chosen = ["the", "harbour", "ferry", "island", "leaves", "bell"]
pd.DataFrame(counts, columns=vocabulary)[chosen]

# %% [markdown] lang="en"
# To score a note, multiply its row with the question's row, position by position, and add up. This **dot product** is
# large when the two share words, and larger when they use them often.
#
# **Predict first.** Note 0 is the right one. In which order will the dot product put the five notes? Write it down, then
# run the cell.

# %%
scores = counts @ count(question)
ranking = np.argsort(-scores, kind="stable")
for note in ranking:
    print(f"{scores[note]:3d}  note {note}: {notes[note][:60]}")

# %% [markdown] lang="en"
# Note 1 wins by repeating *harbour* and *the*. Worse, note 4 comes second, and look at what it shares with the question:

# %%
shared = {note: sorted(set(tokenize(notes[note])) & set(tokenize(question))) for note in range(5)}
for note, words in shared.items():
    print(note, words)

assert ranking[0] == 1 and ranking[1] == 4 and shared[4] == ["the", "when"]

# %% [markdown] lang="en"
# *The* and *when*, words of every English text, beat the ferry. Two things are wrong: **every word counts the same**, and **long notes collect
# more points**. We mend them one at a time.
#
# ## Step 2: rare words say more
#
# *The* occurs in every note, so sharing it tells you nothing. *Island* occurs in one, so sharing it tells you nearly
# everything. Let $N$ be the number of documents and $\mathrm{df}(t)$, the **document frequency**, the number of documents
# that contain $t$. The **inverse document frequency** turns this into a weight:
#
# $$\mathrm{idf}(t) = \ln\frac{1 + N}{1 + \mathrm{df}(t)} + 1$$
#
# Karen Spärck Jones proposed the idea in 1972. The two ones inside the fraction act as if one more document contained
# every word, so that nothing is divided by zero; the one at the end keeps a word that is everywhere at weight 1 instead of
# 0. This is the form that scikit-learn uses.


# %%
def idf(counts):
    n_documents = len(counts)
    document_frequency = (counts > 0).sum(axis=0)
    return np.log((1 + n_documents) / (1 + document_frequency)) + 1


weights = idf(counts)
pd.DataFrame({"df": (counts > 0).sum(axis=0), "idf": weights.round(3)}, index=vocabulary).loc[chosen]

# %% [markdown] lang="en"
# Check one by hand: *ferry* is in 2 of 5 notes, so its idf is $\ln(6/3) + 1 = \ln 2 + 1$.

# %%
by_hand = np.log(6 / 3) + 1
print(round(by_hand, 3))
assert np.isclose(weights[vocabulary.index("ferry")], by_hand)

# %% [markdown] lang="en"
# Term frequency times inverse document frequency is **TF-IDF**. We weight the question and the notes in the same way.
#
# **Predict first.** Which of the two faults does this mend? Will note 0 be on top now?

# %%
scores = (counts * weights) @ (count(question) * weights)
ranking = np.argsort(-scores, kind="stable")
for note in ranking:
    print(f"{scores[note]:6.2f}  note {note}: {notes[note][:60]}")

assert list(ranking[:3]) == [1, 0, 4]

# %% [markdown] lang="en"
# Note 0 has climbed over the chapel bell, because *island* and *ferry* now outweigh *the*. But the harbour master's
# long list is still first. The second fault is left.
#
# ## Step 3: compare directions, not lengths
#
# Think of each row as an arrow. A note that says everything twice is an arrow twice as long in the same direction, and
# it should not score twice as much. So divide each arrow by its length $\lVert d \rVert = \sqrt{\sum_t d_t^2}$. The dot
# product of two arrows of length 1 is the **cosine** of the angle between them: 1 when they point the same way, 0 when
# they share no word.
#
# $$\cos(q, d) = \frac{q \cdot d}{\lVert q \rVert \, \lVert d \rVert}$$


# %%
def cosine(query, documents):
    return documents @ query / np.linalg.norm(documents, axis=1) / np.linalg.norm(query)


scores = cosine(count(question) * weights, counts * weights)
ranking = np.argsort(-scores, kind="stable")
for note in ranking:
    print(f"{scores[note]:.3f}  note {note}: {notes[note][:60]}")

assert ranking[0] == 0

# %% [markdown] lang="en"
# The ferry is first. You can see why in a picture: take only two of the many dimensions, *ferry* and *harbour*.

# %% alt="The plane of the words ferry (across) and harbour (up). The question's direction is a dashed line going up to the right. Note 0 is a short arrow exactly on that line, note 3 an arrow along the ferry axis, and note 1 a long arrow straight up the harbour axis; a dotted line drops from its tip to the dashed line and meets it beyond the tip of note 0."
axes = [vocabulary.index("ferry"), vocabulary.index("harbour")]
plane = (counts * weights)[:, axes]
direction = (count(question) * weights)[axes]
direction = direction / np.linalg.norm(direction)

figure, axis = plt.subplots(figsize=(5, 4.4))
axis.plot(*np.outer([0, 3.6], direction).T, "--", color="black")
axis.text(2.0, 2.5, "the question's direction", ha="center")
for note, offset in ((0, (6, -12)), (1, (8, 0)), (3, (-10, 8))):
    axis.annotate("", plane[note], (0, 0), arrowprops=dict(arrowstyle="->", lw=2.5, color="tab:blue"))
    axis.annotate(f"note {note}", plane[note], xytext=offset, textcoords="offset points")
foot = direction * (plane[1] @ direction)
axis.plot(*np.array([plane[1], foot]).T, ":", color="black")
axis.set(xlabel="weight of “ferry”", ylabel="weight of “harbour”", xlim=(-0.1, 3.4), ylim=(-0.2, 4.6), aspect="equal")
plt.show()

# %% [markdown] lang="en"
# The dotted line shows how far note 1 reaches in the question's direction: further than note 0, so its dot product is
# larger. But it points elsewhere, and the cosine only asks where an arrow points. In this plane note 0 points exactly where
# the question does; in all 45 dimensions, nearly.
#
# ## Does a professional library agree?
#
# `TfidfVectorizer` of scikit-learn does all three steps at once. If our few lines are right, the numbers must be the same,
# not nearly, but to the last digits that a float holds.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer

vectorizer = TfidfVectorizer(token_pattern=r"[a-z0-9]+")
theirs = vectorizer.fit_transform(notes) @ vectorizer.transform([question]).T

difference = np.abs(theirs.toarray().ravel() - scores).max()
print("largest difference below 1e-12:", difference < 1e-12)
assert difference < 1e-12

# %% [markdown] lang="en"
# And `ragedu`'s own retriever, which is these lines with a sparse index underneath, so that it also works on a million
# texts. It takes the tokenizer as its `analyzer`.

# %%
from ragedu import Corpus, TfidfRetriever

retriever = TfidfRetriever(analyzer=tokenize).fit(Corpus.from_texts(notes))
assert np.abs(retriever.scores(question) - scores).max() < 1e-12
retriever.search(question, k=3)

# %% [markdown] lang="en"
# Because a dot product is a sum over words, every score can be taken apart. Always do this when a ranking surprises you.

# %%
print(retriever.explain(question, "0"))

# %% [markdown] lang="en"
# ## Better tokens
#
# Two words of the question are missing from that list: *leave* is not *leaves* to a program. And *the* and *to* still add
# something. An **analyzer** repairs both before anything is counted: it drops **stop words** and cuts words down to
# **stems**.

# %%
from ragedu.text import Analyzer

analyzer = Analyzer()
print(analyzer(question))
print(analyzer(notes[0]))

# %%
print(TfidfRetriever().fit(Corpus.from_texts(notes)).search(question, k=5))

# %% [markdown] lang="en"
# The right note is now far ahead, and two of the notes are gone from the list: a document that shares no term with the
# question has cosine 0, and `ragedu` does not return it. A stem need not be a word (*leav*), as long as it is the same
# on both sides.
#
# ## A real archive
#
# Port Ellery's archive is invented, so no model can have read it, and generated from facts, so every question has a
# known answer and a known document. Look at one page before you search a thousand.

# %%
from ragedu.datasets import port_ellery

archive = port_ellery.load(1000, questions=300)
print(archive)
print(archive.corpus[3].title)
print(archive.corpus[3].text)

# %%
tfidf = TfidfRetriever().fit(archive.corpus)
tests = archive.select(split="test")
query_id = next(iter(tests.select(kind="lookup").queries))
print(tests.queries[query_id])
print("wanted:", *tests.qrels[query_id])
tfidf.search(tests.queries[query_id], k=3)

# %% [markdown] lang="en"
# One good result proves nothing. So ask all test questions and score every ranking. We use the **reciprocal rank**: 1 if the
# wanted page is first, 1/2 if it is second, 1/3 if third, and so on down to rank 10, then 0. Its mean over questions is
# called **MRR@10**.
#
# **Predict first.** We built three steps: counting, idf, cosine; then the analyzer. Which one buys the most on a real
# archive? Order the four systems below from worst to best before you run the cell.

# %%
from ragedu.evaluation import bootstrap_interval

texts = [document.content for document in archive.corpus]
wanted = [{archive.corpus.position(i) for i in tests.qrels[q]} for q in tests.queries if tests.qrels.get(q)]
questions = [tests.queries[q] for q in tests.queries if tests.qrels.get(q)]


def reciprocal_rank(scores, relevant):
    top10 = np.argsort(-scores, kind="stable")[:10]
    return next((1 / rank for rank, position in enumerate(top10, 1) if position in relevant), 0.0)


def reciprocal_ranks(tokens_of, use_idf, use_cosine):
    vectorizer = TfidfVectorizer(analyzer=tokens_of, use_idf=use_idf, norm="l2" if use_cosine else None)
    documents, queries = vectorizer.fit_transform(texts), vectorizer.transform(questions)
    return [reciprocal_rank(s, r) for s, r in zip((queries @ documents.T).toarray(), wanted, strict=True)]


# %%
systems = {
    "counts": reciprocal_ranks(tokenize, use_idf=False, use_cosine=False),
    "+ idf": reciprocal_ranks(tokenize, use_idf=True, use_cosine=False),
    "+ cosine": reciprocal_ranks(tokenize, use_idf=True, use_cosine=True),
    "+ analyzer": reciprocal_ranks(analyzer, use_idf=True, use_cosine=True),
}
intervals = {name: bootstrap_interval(values) for name, values in systems.items()}
for name, interval in intervals.items():
    print(f"{name:<11} MRR@10 {interval}   ({len(questions)} questions)")

# %% [markdown] lang="en"
# The brackets are 95 % intervals: had we asked other questions of the same kind, the mean could as well have come out
# anywhere in them. They come from the **bootstrap**, which draws questions with replacement ten thousand times and looks
# how much the mean moves.

# %% alt="MRR@10 of four systems with 95 % intervals, one under the other: counts is far to the left, idf makes the largest step to the right, cosine adds a small one, and the analyzer stays where cosine was."
figure, axis = plt.subplots(figsize=(6, 2.6))
for place, (name, (mean, low, high)) in enumerate(intervals.items()):
    axis.plot([low, high], [place, place], color="black", lw=2)
    axis.plot(mean, place, "o", color="black")
axis.set_yticks(range(4), intervals)
axis.invert_yaxis()
axis.set(xlabel="MRR@10 with 95 % interval", xlim=(0, 1))
axis.grid(axis="x", alpha=0.3)
plt.show()

# %% [markdown] lang="en"
# Intervals that overlap do not settle which of two systems is better, because hard questions are hard for both. The
# **paired test** compares them question by question.

# %%
from ragedu.evaluation import paired_test

names = list(systems)
steps = {better: paired_test(systems[better], systems[worse]) for worse, better in zip(names, names[1:], strict=False)}
for name, step in steps.items():
    print(f"{name:<11} {step}")

assert max(steps, key=lambda name: steps[name].difference) == "+ idf"
assert steps["+ cosine"].difference > 0 and steps["+ cosine"].p_value < 0.05
assert steps["+ analyzer"].low < 0 < steps["+ analyzer"].high

# %% [markdown] lang="en"
# idf buys by far the most: with a thousand pages there are many common words to be fooled by, which five notes could not
# show. The cosine adds a step that is small and sure. For the analyzer the interval of the difference holds 0: on these
# pages and questions stems and stop words bring nothing that we could measure. A thing that helped on the toy need not
# help on your texts, and the only way to know is to measure.
#
# ## Turn it yourself
#
# Type into the box and press Enter. Each row shows the words that matched and what each added. (On a page that cannot
# run widgets you see the table below instead.)

# %%
from html import escape

import ipywidgets as widgets


def table(query):
    try:
        hits = tfidf.search(query, k=5)
    except ValueError as error:
        return f"<p>{escape(str(error))}</p>"
    rows = ""
    for hit in hits:
        parts = tfidf.explain(query, hit.document.id).contributions.items()
        why = ", ".join(f"{escape(term)} {value:.2f}" for term, value in parts if value)
        rows += f"<tr><td>{hit.score:.2f}</td><td>{escape(hit.document.title)}</td><td>{why}</td></tr>"
    return f"<table><tr><th>cosine</th><th>page</th><th>matched terms</th></tr>{rows}</table>"


# %%
box = widgets.Text(value=questions[0], description="question", continuous_update=False, layout={"width": "90%"})
result = widgets.HTML(value=table(box.value))
box.observe(lambda change: setattr(result, "value", table(change["new"])), names="value")
widgets.VBox([box, result])

# %%
from IPython.display import HTML

HTML(table(questions[0]))

# %% [markdown] lang="en"
# Try a question with a spelling mistake in its rarest word, a question of stop words only, and a question in other
# words than the page uses. The last one leads to the failure.
#
# ## Where it fails
#
# Port Ellery's questions come in kinds. A *lookup* question uses words of its page. A *paraphrase* question names the same
# person or ship, but otherwise shares **no** content word with its page.
#
# **Predict first.** How far will MRR@10 fall from lookup to paraphrase?

# %%
from ragedu import evaluate

by_kind = {}
for kind in ("lookup", "paraphrase"):
    result_of_kind = evaluate(tfidf, tests.select(kind=kind), metrics=["mrr@10"], progress=False)
    by_kind[kind] = list(result_of_kind.per_query["mrr@10"].values())
    print(f"{kind:<11} {bootstrap_interval(by_kind[kind])}")

assert np.mean(by_kind["lookup"]) - np.mean(by_kind["paraphrase"]) > 0.1

# %% [markdown] lang="en"
# Look at one of them closely. The name finds pages, but nothing in the question tells the right page from the others
# that bear the same name.

# %%
run = evaluate(tfidf, tests.select(kind="paraphrase"), metrics=["mrr@10"], progress=False)
failed = min(run.per_query["mrr@10"], key=run.per_query["mrr@10"].get)
page = archive.corpus[next(iter(tests.qrels[failed]))]
print("question:", tests.queries[failed])
print("answer:  ", tests.answers[failed][0], "\n")
print(page.id, page.title)
print(page.text, "\n")
print("shared terms:", sorted(set(analyzer(tests.queries[failed])) & set(analyzer(page.content))))

# %% [markdown] lang="en"
# The page answers the question in other words, and to TF-IDF other words are other things. This is **vocabulary mismatch**,
# and no weighting repairs it: a dimension that one of the two vectors does not have contributes nothing.
#
# It is no quirk of an invented town. The second corpus is the documentation of Python and its libraries, as installed on
# your machine, with questions that people would ask. Some use the documentation's own words; some do not.

# %% tags=["nbval-ignore-output"]
from ragedu.datasets import python_docs

docs = python_docs.load()
docs_tfidf = TfidfRetriever().fit(docs.corpus)
found = {}
for wording in ("same", "different"):
    result_of_wording = evaluate(docs_tfidf, docs.select(wording=wording), metrics=["recall@10"], progress=False)
    found[wording] = list(result_of_wording.per_query["recall@10"].values())
    print(f"{wording:<10} recall@10 {bootstrap_interval(found[wording])}")

# %%
assert np.mean(found["same"]) > 3 * np.mean(found["different"])

# %% tags=["nbval-ignore-output"]
example = "how-010"
print(docs.queries[example])
print("wanted:", ", ".join(i for i, grade in docs.qrels[example].items() if grade == 3))
docs_tfidf.search(docs.queries[example], k=5)

# %% [markdown] lang="en"
# Where the wording differs, less than a third as much is found. (This cell's numbers depend on the library versions that
# you have installed, so the course checks the conclusion and not the digits.)
#
# ## What the article says
#
# The article that this course grew out of warns of an “unsuitable corpus”, but does not say how you would notice. Does the
# score tell? We take test questions whose answer is in the archive and questions whose answer is **not**, and look at the
# best cosine of each.

# %% alt="Two histograms of the best cosine, one above the other: questions with an answer in the archive and questions without. They overlap over most of their range."
unanswerable = list(tests.select(kind="unanswerable").queries.values())
answerable = list(tests.select(kind="lookup").queries.values())
best = {
    "answer in the archive": [tfidf.search(q, k=1)[0].score for q in answerable],
    "answer not in the archive": [tfidf.search(q, k=1)[0].score for q in unanswerable],
}
figure, axes = plt.subplots(2, sharex=True, figsize=(6, 3.2))
for axis, (name, values) in zip(axes, best.items(), strict=True):
    axis.hist(values, bins=np.linspace(0, 1, 21), color="0.6", edgecolor="black")
    axis.set(title=name, ylabel="questions")
axes[1].set_xlabel("cosine of the best page")
figure.tight_layout()
plt.show()

# %% [markdown] lang="en"
# How often does a question with an answer score higher than one without? 1 would be perfect separation, 0.5 a coin toss.

# %%
higher = np.mean([a > b for a in best["answer in the archive"] for b in best["answer not in the archive"]])
print(f"{higher:.2f}")
assert higher < 0.95

# %% [markdown] lang="en"
# So the warning is right and the remedy is missing: a retriever **always** returns its best guess, and its score alone
# does not tell whether the corpus is suitable. Lesson 05 teaches the reader to abstain, lesson 06 how to measure it.
#
# ## Recap
#
# - A text becomes a vector of term frequencies; the dot product rewards shared words.
# - idf makes rare words count; the cosine takes length out of it; an analyzer decides what counts as the same word.
# - TF-IDF is exact, quick, explainable, needs no training, and sees words only.
#
# **Quiz.** Decide before you open the answer.
#
# 1. A word occurs in every document. What does it change in a ranking by TF-IDF and cosine?
# <details><summary>Answer</summary>A little: in scikit-learn's form its idf is 1, not 0, so it still adds to dot products
# and to lengths. With Spärck Jones's original ln(N/df) it would be 0 and change nothing.</details>
#
# 2. You copy a document's text twice into the same document. What happens to its cosine with any question?
# <details><summary>Answer</summary>Nothing: the vector doubles in length and keeps its direction. (The counts of the
# collection change idf only through df, and df stays.)</details>
#
# 3. Two documents have the same words in another order, “dog bites man” and “man bites dog”. Which ranks higher?
# <details><summary>Answer</summary>Neither: a bag of words has no order. Their vectors are equal, and the tie is broken by
# position in the corpus.</details>
#
# 4. Would a larger archive have fewer vocabulary mismatches?
# <details><summary>Answer</summary>Only where it says the same thing in several wordings. For a fact that is told once, the
# mismatch stays, and more documents mean more competitors.</details>
#
# **Exercises:** the folder `exercises` has a notebook for this lesson. **Next:** 02 asks whether the tenth *harbour*
# should count as much as the first.
#
# **Further reading.** Spärck Jones (1972), *A statistical interpretation of term specificity*; Salton, Wong and Yang (1975),
# *A vector space model for automatic indexing*; Manning, Raghavan and Schütze, *Introduction to Information Retrieval*,
# chapter 6.
