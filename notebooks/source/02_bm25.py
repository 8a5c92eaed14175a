# %% [markdown] lang="en"
# # 02 BM25: is the tenth mention worth as much as the first?
#
# **You will be able to** derive BM25's two ideas, saturation and length normalisation, compute a score by hand, say why
# libraries give different scores and the same ranking, and make the search fast with an index.
#
# **Know first:** lesson 01 (term frequency, idf, dot product). **Time:** 50 minutes. **Cost to run:** under a minute, no
# model, no network.

# %%
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

for package in ("numpy", "bm25s", "rank-bm25"):
    print(package, ".".join(version(package).split(".")[:2]))

# %% [markdown] lang="en"
# ## A note that shouts
#
# Four notes about crossing the water, and one question. The first note answers it. The second is an advertisement. The
# third answers it too, at greater length.

# %%
notes = [
    "the ferry to gull island leaves at nine",
    "ferry ferry ferry ferry ferry tickets for the ferry",
    "in summer the ferry to gull island leaves at nine and at four but in winter when the sea is high "
    "the boatman waits for the tide and the passengers wait for the boatman",
    "bread is baked before the boats are out",
]
question = "ferry gull island"
tokens = [note.split() for note in notes]

# %% [markdown] lang="en"
# Lesson 01's weight of a term was its count times its idf. Here is that sum without the cosine.

# %%
vocabulary = sorted({token for note in tokens for token in note})
counts = np.array([[note.count(term) for term in vocabulary] for note in tokens])
query = np.array([question.split().count(term) for term in vocabulary])
document_frequency = (counts > 0).sum(axis=0)

tfidf_idf = np.log((1 + len(notes)) / (1 + document_frequency)) + 1
for note, score in enumerate((counts * tfidf_idf) @ query):
    print(f"{score:5.2f}  {notes[note][:60]}")

assert np.argmax((counts * tfidf_idf) @ query) == 1

# %% [markdown] lang="en"
# The advertisement wins with one word, six times. A person reads the second *ferry* and thinks: yes, I know, it is about
# a ferry. Each further mention tells less. BM25 begins with this thought.
#
# ## Idea 1: saturation
#
# Replace the count $\mathrm{tf}$ by
#
# $$\frac{\mathrm{tf}}{\mathrm{tf} + k_1}$$
#
# It is 0 for no mention, grows with each, and never reaches 1. The parameter $k_1 \ge 0$ sets how quickly it gets
# there: after $k_1$ mentions it is at one half.
#
# **Predict first.** With $k_1 = 1.5$, how much of the value of the first mention does the tenth still add: a half, a tenth,
# less than a twentieth?


# %%
def saturation(tf, k1=1.5):
    return tf / (tf + k1)


first = saturation(1) - saturation(0)
tenth = saturation(10) - saturation(9)
print(f"first {first:.3f}, tenth {tenth:.3f}, a share of {tenth / first:.3f}")
assert tenth / first < 1 / 20

# %% alt="Saturation curves of the value of a term against its count from 0 to 20, for k1 of 0.5, 1.5 and 5: all rise steeply at first and flatten towards 1, sooner for a small k1. A straight dashed line shows TF-IDF's raw count leaving the picture."
tf = np.linspace(0, 20, 200)
figure, axis = plt.subplots(figsize=(6, 3.2))
for k1, style in ((0.5, "-"), (1.5, "--"), (5, ":")):
    axis.plot(tf, saturation(tf, k1), style, color="black", label=f"k1 = {k1}")
axis.plot(tf, tf / 5, "-.", color="tab:blue", label="raw count (a fifth of it)")
axis.set(xlabel="count of the term in the document", ylabel="value", ylim=(0, 1.2))
axis.legend(loc="lower right")
plt.show()

# %% [markdown] lang="en"
# ## Idea 2: length
#
# A long text mentions a word more easily than a short one, so its mentions should weigh less. Let $|d|$ be the number of
# tokens of document $d$, and $\overline{|d|}$ its average over the corpus. BM25 stretches $k_1$ by
#
# $$L = 1 - b + b \cdot \frac{|d|}{\overline{|d|}}$$
#
# The parameter $b$ lies between 0 and 1. With $b = 0$ length is ignored; with $b = 1$ a document of twice the average
# length needs twice the mentions.

# %%
lengths = counts.sum(axis=1)
relative = lengths / lengths.mean()
for b in (0, 0.75, 1):
    print(f"b = {b:<4}  L =", (1 - b + b * relative).round(2))

# %% [markdown] lang="en"
# ## Idea 3: the same idf, from another side
#
# Stephen Robertson and Karen Spärck Jones derived the weight of a term from odds: how many documents are without the term,
# for each one that has it? The halves keep the fraction finite. The 1 in front is a later addition of the search library
# Lucene, and you will see soon what happens without it.
#
# $$\mathrm{idf}(t) = \ln\left(1 + \frac{N - \mathrm{df}(t) + 0.5}{\mathrm{df}(t) + 0.5}\right)$$


# %%
def idf(document_frequency, n_documents):
    return np.log(1 + (n_documents - document_frequency + 0.5) / (document_frequency + 0.5))


weights = pd.DataFrame({"df": document_frequency, "idf": idf(document_frequency, 4).round(3)}, index=vocabulary)
weights.loc[["the", "ferry", "island", "bread"]]

# %% [markdown] lang="en"
# ## All of it
#
# For each term of the question, idf times the saturated, length-normalised count, added up:
#
# $$\mathrm{BM25}(q, d) = \sum_{t \in q} \mathrm{idf}(t) \cdot
# \frac{\mathrm{tf}(t, d)}{\mathrm{tf}(t, d) + k_1 L}$$


# %%
def bm25_weights(counts, k1=1.5, b=0.75):
    """The weight of every term in every document, (n_documents, n_terms)."""
    lengths = counts.sum(axis=1, keepdims=True)
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    return idf((counts > 0).sum(axis=0), len(counts)) * counts / (counts + norm)


scores = bm25_weights(counts) @ query
for note in np.argsort(-scores, kind="stable"):
    print(f"{scores[note]:.3f}  {notes[note][:60]}")

assert list(np.argsort(-scores, kind="stable")) == [0, 2, 1, 3]

# %% [markdown] lang="en"
# The short answer is first, the long one second, and the advertisement third. Now do one weight with a pencil: *gull* in
# note 0. It occurs once there and in 2 of 4 notes. The note has 8 tokens; the average is printed below.

# %%
average = lengths.mean()
gull_idf = np.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
gull_norm = 1.5 * (1 - 0.75 + 0.75 * 8 / average)
by_hand = gull_idf * 1 / (1 + gull_norm)
print(f"average {average}, idf {gull_idf:.4f}, k1·L {gull_norm:.4f}, weight {by_hand:.4f}")

assert np.isclose(bm25_weights(counts)[0, vocabulary.index("gull")], by_hand)

# %% [markdown] lang="en"
# ## Do professional libraries agree?
#
# `bm25s` is a fast, well-kept BM25 in Python. On the same tokens it must give our numbers (it stores 32-bit floats, so we
# ask for five decimals). `ragedu`'s retriever must too.

# %%
import bm25s

from ragedu import BM25Retriever, Corpus

library = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
library.index(tokens, show_progress=False)
retriever = BM25Retriever(analyzer=str.split).fit(Corpus.from_texts(notes))

assert np.allclose(library.get_scores(question.split()), scores, atol=1e-5)
assert np.allclose(retriever.scores(question), scores, atol=1e-5)
print(retriever.explain(question, "0"))

# %% [markdown] lang="en"
# But there is not one BM25. Kamphuis and others (2020) counted the variants in use. Here are five, and a sixth from the
# much used `rank_bm25`, on our four notes.
#
# **Predict first.** Will the scores agree? Will the rankings?

# %%
from rank_bm25 import BM25Okapi

table = pd.DataFrame(index=[note[:30] for note in notes])
for variant in ("lucene", "robertson", "atire", "bm25l", "bm25+"):
    variant_of = BM25Retriever(variant=variant, analyzer=str.split).fit(Corpus.from_texts(notes))
    table[variant] = variant_of.scores(question)
table["rank_bm25"] = BM25Okapi(tokens).get_scores(question.split())
table.round(3)

# %% [markdown] lang="en"
# Six columns, six sets of numbers. Part of it is a constant: older texts multiply by $(k_1 + 1)$, which Lucene dropped,
# because a factor that all scores share cannot change their order. The rest is the idf. And the rankings?

# %%
for name in table:
    print(f"{name:<10} ranks the notes", np.argsort(-table[name].to_numpy(), kind="stable"))

assert (table["lucene"] > 0).tolist() == [True, True, True, False]
assert (table["robertson"] == 0).all() and table["rank_bm25"].argmax() == 1

# %% [markdown] lang="en"
# Four agree. Robertson's column is all zeros, and rank_bm25 puts the advertisement first. This catches many people who try
# BM25 on three sentences, so look at it closely.
#
# ## What surprises people on small corpora
#
# Without Lucene's 1, idf is the logarithm of odds. Odds are even when exactly **half** of the documents have the term, and
# the logarithm of even odds is 0. *Gull* is in 2 of 4 notes.

# %%
pairs = [["gull", "island"], ["gull", "stone"], ["bread"], ["boat"]]
print("gull in 2 of 4:", BM25Okapi(pairs).get_scores(["gull"]).round(3))
print("gull in 2 of 5:", BM25Okapi([*pairs, ["tide"]]).get_scores(["gull"]).round(3))

assert (BM25Okapi(pairs).get_scores(["gull"]) == 0).all()

# %% [markdown] lang="en"
# A perfect match scores 0, and adding an unrelated document repairs it. A term in **more** than half of the documents has
# a negative idf; rank_bm25 replaces it by a quarter of the average idf, which may be negative itself. Then a document
# that has the word ranks below one that lacks it:

# %%
common = [["ferry", "gull"], ["ferry"], ["ferry", "gull"], ["bread", "gull", "ferry"]]
negative = BM25Okapi(common).get_scores(["ferry"])
print(negative.round(3))
assert (negative < 0).all()

# %% [markdown] lang="en"
# And its BM25Plus, meant to be kind to long documents, gives points to documents that have **none** of the words:

# %%
from rank_bm25 import BM25Plus

plus = BM25Plus([["gull"], ["bread"], ["boat"]]).get_scores(["gull"])
print(plus.round(3))
assert plus[1] > 0 and plus[2] > 0

# %% [markdown] lang="en"
# None of these is a bug in your code, and each can cost you an evening. `ragedu` uses Lucene's idf, which is never negative,
# and returns no document that shares no term with the question.
#
# ## BM25 is a dot product
#
# Look at `bm25_weights` again: it does not know the question. Everything about a document is settled before anyone asks. So
# each document is a vector, the question is a vector of counts, and searching is multiplying. This is lesson 01's
# machinery with other weights, and it will be lesson 03's with other vectors.

# %%
document_vector = retriever.document_vector("0")
query_vector = retriever.query_vector(question)
print({term: round(weight, 3) for term, weight in document_vector.items()})
print(query_vector)

product = sum(weight * document_vector.get(term, 0) for term, weight in query_vector.items())
assert np.isclose(product, scores[0], atol=1e-5)

# %% [markdown] lang="en"
# ## Make it fast
#
# Now a real archive. The plain way, one document after the other, as a first program would do it:

# %%
from ragedu.datasets import port_ellery
from ragedu.text import Analyzer

analyzer = Analyzer()
archive = port_ellery.load(2000)
pages = [analyzer(document.content) for document in archive.corpus]
tests = archive.select(split="test")
questions = list(tests.queries.values())
print(archive)


# %%
def plain_search(terms, pages, k1=1.5, b=0.75):
    average = np.mean([len(page) for page in pages])
    idf_of = {term: idf(sum(term in page for page in pages), len(pages)) for term in terms}
    scores = []
    for page in pages:
        norm = k1 * (1 - b + b * len(page) / average)
        scores.append(sum(idf_of[term] * page.count(term) / (page.count(term) + norm) for term in terms))
    return np.array(scores)


# %% [markdown] lang="en"
# It reads every page for every question, though most pages share no term with it. An **inverted index** turns the table
# round: for each term, the list of pages that have it, with the weight already computed. Such a list is called a
# **posting list**. A question then touches the lists of its own terms and nothing else.


# %%
def build_index(pages, k1=1.5, b=0.75):
    average = np.mean([len(page) for page in pages])
    postings = {}
    for number, page in enumerate(pages):
        norm = k1 * (1 - b + b * len(page) / average)
        for term in set(page):
            tf = page.count(term)
            postings.setdefault(term, []).append((number, tf / (tf + norm)))
    index = {}
    for term, entries in postings.items():
        numbers, parts = zip(*entries, strict=True)
        index[term] = np.array(numbers), np.array(parts) * idf(len(numbers), len(pages))
    return index


def fast_search(terms, index, n_pages):
    scores = np.zeros(n_pages)
    for term in terms:
        if term in index:
            numbers, weights = index[term]
            scores[numbers] += weights  # a list holds no page twice, so += is safe
    return scores


# %%
index = build_index(pages)
for text in questions[:5]:
    assert np.allclose(fast_search(analyzer(text), index, len(pages)), plain_search(analyzer(text), pages))
touched = np.mean([sum(len(index[t][0]) for t in analyzer(text) if t in index) for text in questions])
print(f"postings touched by an average question: {touched:.0f}, tokens in the archive: {sum(map(len, pages)):,}")

# %% [markdown] lang="en"
# The same scores. **Predict first:** how many times faster is it?

# %% tags=["nbval-ignore-output"]
from time import perf_counter


def questions_per_second(search, texts):
    started = perf_counter()
    for text in texts:
        search(analyzer(text))
    return len(texts) / (perf_counter() - started)


plain = questions_per_second(lambda terms: plain_search(terms, pages), questions[:10])
fast = questions_per_second(lambda terms: fast_search(terms, index, len(pages)), questions)
print(f"plain {plain:.0f}, with an index {fast:,.0f} questions a second: {fast / plain:.0f} times")

# %%
assert fast > 50 * plain

# %% [markdown] lang="en"
# `BM25Retriever` is this index with a few more ideas (compact arrays, frequent terms apart, the best ten found without
# sorting), and it gives the same ranking as sorting our scores.

# %%
bm25 = BM25Retriever().fit(archive.corpus)
for text in questions:
    ours = fast_search(analyzer(text), index, len(pages))
    hits = bm25.search(text, k=10)
    assert np.allclose([hit.score for hit in hits], np.sort(ours)[::-1][: len(hits)], atol=1e-4)
print(len(questions), "questions, same scores")

# %% [markdown] lang="en"
# And the variants? On two thousand pages idf has no odd values any more. How many of Lucene's ten best pages does each
# variant share, and does it find the right page as early?

# %%
from ragedu import evaluate

lucene_best = [{hit.document.id for hit in hits} for hits in bm25.search_many(questions)]
for variant in ("lucene", "robertson", "atire", "bm25l", "bm25+"):
    other = BM25Retriever(variant=variant).fit(archive.corpus)
    best = [{hit.document.id for hit in hits} for hits in other.search_many(questions)]
    overlap = np.mean([len(a & b) / 10 for a, b in zip(lucene_best, best, strict=True)])
    print(f"{variant:<10} shares {overlap:.0%}, MRR@10 {evaluate(other, tests, ['mrr@10'], progress=False)['mrr@10']:.3f}")
    assert overlap > 0.8

# %% [markdown] lang="en"
# On a real collection the choice of variant hardly matters. Choices that do come next.
#
# ## Is it better than TF-IDF?
#
# **Predict first.** Saturation and length were mended. Do you expect a large gain on Port Ellery's archive, whose pages
# are short and of similar length? And on the documentation of Python and its libraries, where a page has 5 words or 250?

# %% tags=["nbval-ignore-output"]
from ragedu import TfidfRetriever
from ragedu.datasets import python_docs
from ragedu.evaluation import bootstrap_interval, paired_test

docs = python_docs.load()
collections = {"Port Ellery": tests, "Python docs": docs}
results = {}
for collection, dataset in collections.items():
    for name, system in {"TF-IDF": TfidfRetriever(), "BM25": BM25Retriever()}.items():
        result = evaluate(system, dataset, metrics=["mrr@10"], progress=False)
        results[collection, name] = list(result.per_query["mrr@10"].values())
        print(f"{collection:<12} {name:<7} MRR@10 {bootstrap_interval(results[collection, name])}")

# %% tags=["nbval-ignore-output"]
gains = {
    collection: paired_test(results[collection, "BM25"], results[collection, "TF-IDF"]) for collection in collections
}
for collection, gain in gains.items():
    print(f"{collection:<12} BM25 minus TF-IDF: {gain}")

# %%
assert gains["Python docs"].difference > gains["Port Ellery"].difference
assert gains["Python docs"].p_value < 0.05

# %% [markdown] lang="en"
# On texts of very different lengths the gain is real; where lengths hardly differ, there is little to normalise.
# (The digits depend on the library versions that you have installed, so the course checks the conclusions.)
#
# ## Turn k1 and b
#
# Move the sliders (with the mouse or the arrow keys) and watch the ranking of a question over the documentation. The pages
# that move are those whose length is far from the average.

# %%
from html import escape

import ipywidgets as widgets

from ragedu.retrieval.bm25 import bm25_idf, bm25_term_part
from ragedu.retrieval.counting import count_terms

terms, term_counts = count_terms((document.content for document in docs.corpus), analyzer)
by_term = term_counts.tocsc()
doc_lengths = term_counts.sum(axis=1)


def ranking(text, k1, b):
    """The five best pages for any k1 and b, from the counts, without building an index anew."""
    scores = np.zeros(len(docs.corpus))
    for term in analyzer(text):
        if term in terms:
            column = slice(*by_term.indptr[terms[term] : terms[term] + 2])
            rows, tf = by_term.indices[column], by_term.data[column]
            weight = bm25_idf(len(rows), len(docs.corpus))
            scores[rows] += weight * bm25_term_part(tf, doc_lengths[rows] / doc_lengths.mean(), k1, b)
    return [(docs.corpus[int(i)], scores[i], int(doc_lengths[i])) for i in np.argsort(-scores, kind="stable")[:5]]


# %%
example = "Replace the occurrences of a pattern in a string"


def as_table(k1, b):
    rows = "".join(
        f"<tr><td>{score:.2f}</td><td>{length}</td><td>{escape(document.id)}</td></tr>"
        for document, score, length in ranking(example, k1, b)
    )
    return f"<table><tr><th>score</th><th>terms</th><th>page</th></tr>{rows}</table>"


k1_slider = widgets.FloatSlider(value=1.5, min=0, max=5, step=0.1, description="k1")
b_slider = widgets.FloatSlider(value=0.75, min=0, max=1, step=0.05, description="b")
shown = widgets.HTML(value=as_table(1.5, 0.75))
for slider in (k1_slider, b_slider):
    slider.observe(lambda change: setattr(shown, "value", as_table(k1_slider.value, b_slider.value)), names="value")
widgets.VBox([k1_slider, b_slider, shown])

# %% [markdown] lang="en"
# For those who read this on a page without widgets, three settings side by side:

# %% tags=["nbval-ignore-output"]
settings = [(1.5, 0.0), (1.5, 0.75), (1.5, 1.0)]
pd.DataFrame({f"k1={k1}, b={b}": [d.id for d, _, _ in ranking(example, k1, b)] for k1, b in settings})

# %% [markdown] lang="en"
# Which setting is best? There is no best in general. Measure it on your own questions, and if you try many, keep some
# questions aside for the final figure (lesson 06 shows what happens if you don't).

# %% alt="MRR@10 on the Python documentation against b from 0 to 1, one line for each of three values of k1. All lines are highest in the middle, near b = 0.5, and fall towards b = 1, the more the larger k1 is." tags=["nbval-ignore-output"]
grid_b = [0, 0.25, 0.5, 0.75, 1]
figure, axis = plt.subplots(figsize=(6, 3.2))
grid = {}
for k1, style in ((0.5, "o-"), (1.5, "s--"), (3, "^:")):
    for b in grid_b:
        grid[k1, b] = evaluate(BM25Retriever(k1=k1, b=b), docs, metrics=["mrr@10"], progress=False)["mrr@10"]
    axis.plot(grid_b, [grid[k1, b] for b in grid_b], style, color="black", label=f"k1 = {k1}")
axis.set(xlabel="b (length normalisation)", ylabel="MRR@10, Python docs")
axis.legend()
plt.show()

# %%
assert max(grid, key=grid.get) != (1.5, 0.75) and max(grid.values()) - grid[1.5, 0.75] < 0.1

# %% [markdown] lang="en"
# The defaults are not the best setting for this collection, and not far from it. That is what defaults are for.

# %% [markdown] lang="en"
# ## Where it shines, and where it fails
#
# A permit number occurs in a handful of pages, so its idf is huge. **Predict first:** on which kind of question is BM25
# best, on which worst: *lookup* (the page's own words), *identifier* (a permit or hull number), *paraphrase* (the name, and
# otherwise other words)?

# %%
by_kind = {}
for kind in ("lookup", "identifier", "paraphrase"):
    result = evaluate(bm25, tests.select(kind=kind), metrics=["mrr@10"], progress=False)
    by_kind[kind] = list(result.per_query["mrr@10"].values())
    print(f"{kind:<11} MRR@10 {bootstrap_interval(by_kind[kind])}")

means = {kind: np.mean(values) for kind, values in by_kind.items()}
assert min(means, key=means.get) == "paraphrase"

# %% [markdown] lang="en"
# Paraphrases lose again, as in lesson 01. Better weights cannot help where there is nothing to weigh:

# %%
result = evaluate(bm25, tests.select(kind="paraphrase"), metrics=["mrr@10"], progress=False)
failed = min(result.per_query["mrr@10"], key=result.per_query["mrr@10"].get)
page = archive.corpus[next(iter(tests.qrels[failed]))]
print("question:", tests.queries[failed], "\n")
print(page.title)
print(page.text, "\n")
print(bm25.explain(tests.queries[failed], page.id))

# %% [markdown] lang="en"
# Only the name contributes. Every page with the name looks alike to BM25, and the words that decide are outside its
# vocabulary. What we need is a vector in which words of similar meaning lie close together. That is lesson 03.
#
# ## What the article says
#
# The article that this course grew out of offers “Elasticsearch” as a place to keep the corpus, in one list with a JSON
# file. Elasticsearch is a search engine, and what it computes by default is Lucene's BM25, the first column of
# our table. A JSON file becomes the same thing the moment you index it, as you have just done. The article also calls a
# `get_retrieval_score()` without saying what it computes. Under that name `ragedu` has the standard measures:

# %%
from ragedu.evaluation import get_retrieval_score

relevant = np.array([[document.id in tests.qrels[q] for document in archive.corpus] for q in tests.qrels], dtype=int)
scored = np.array([bm25.scores(tests.queries[q]) for q in tests.qrels])
for metric in ("mrr", "recall", "ndcg"):
    print(f"{metric}@10  {get_retrieval_score(relevant, scored, metric=metric, k=10):.3f}")

# %% [markdown] lang="en"
# ## Recap
#
# - Saturation: each further mention adds less; $k_1$ says how fast. Length normalisation: $b$ says how much long texts are
#   held back.
# - Scores of two libraries differ by a constant and by their idf; compare rankings, never scores.
# - All weights of a document are known in advance, so BM25 is a dot product, and an inverted index makes it fast.
# - It finds exact words, numbers and names very well, and other words for the same thing not at all.
#
# **Quiz.** Decide before you open the answer.
#
# 1. With $k_1 = 0$, what does the term frequency do?
# <details><summary>Answer</summary>Nothing: tf / (tf + 0) is 1 for every document that has the term. Only idf is
# left.</details>
#
# 2. A colleague's BM25 gives 12.5 where yours gives 5.0, for every document. Who is wrong?
# <details><summary>Answer</summary>Nobody: the ratio 2.5 is k1 + 1 for k1 = 1.5. One library kept the factor, the other
# dropped it, and the ranking is the same.</details>
#
# 3. You add a thousand unrelated pages to the archive. Which parts of the score of an old page change?
# <details><summary>Answer</summary>Its idfs (N grows, df does not) and the average length. The counts stay. An index with
# weights computed in advance must be rebuilt or corrected.</details>
#
# 4. Why does `scores[numbers] += weights` work, though numpy adds only once where an index is repeated?
# <details><summary>Answer</summary>A posting list holds each document once, so within one list no index is
# repeated.</details>
#
# **Exercises:** the folder `exercises` has a notebook for this lesson. **Next:** 03, dense retrieval.
#
# **Further reading.** Robertson and Zaragoza (2009), *The Probabilistic Relevance Framework: BM25 and Beyond*; Kamphuis, de
# Vries, Boytsov and Lin (2020), *Which BM25 Do You Mean?*; Lù (2024), *BM25S: Orders of magnitude faster lexical search via
# eager sparse scoring*.
