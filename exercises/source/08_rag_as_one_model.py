# %% [markdown] lang="en"
# # Exercises 08: RAG as one model
#
# **Know first:** lesson 08.
# **Time:** 50 minutes, and as long as you like for the last one.
# **Cost to run:** half a minute; no language model is loaded, and the training at the end takes seconds.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# A hint tells you a little more, three times: run `hint("08.next_token")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import numpy as np

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. Every document has a vote (5 minutes)
#
# RAG-Token writes one token after the other, and at each step every document says how probable each token of the vocabulary is.
# What is the **one** distribution from which the next token is taken?
# This is the sum inside RAG-Token's product, for all tokens at once.


# %%
def next_token(documents: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """p(token | x, what was written so far): float array (n_vocabulary,).

    documents: p(z | x), float array (k,);
    tokens: p(token | x, z, what was written), float array (k, n_vocabulary).
    """
    # SOLUTION next_token
    return documents @ tokens
    # END


# %%
check("08.next_token", next_token)

# %%
hint("08.next_token")  # run it again for the next

# %% [markdown] lang="en"
# ## 2. Two hundred tokens (12 minutes)
#
# An answer of two hundred tokens with a probability of $e^{-5}$ each has $e^{-1000}$ in all.
# No float can hold that: `np.exp(-1000)` is 0, and the logarithm of the sum is minus infinity.
# Write RAG-Sequence so that it stays finite, without a ready-made `logsumexp`.
# (A document that the retriever excludes has $\ln p(z \mid x) = -\infty$, and that is no error.)


# %%
def rag_sequence(documents: np.ndarray, tokens: np.ndarray) -> float:
    """ln p(answer | x), when the whole answer is read from one document:
    ln sum_z p(z|x) prod_t p(y_t|x,z,y_<t).

    documents: ln p(z | x), float array (k,), not all minus infinity;
    tokens: ln p(y_t | x, z, y_<t), (k, n_tokens).
    """
    # SOLUTION rag_sequence
    of_document = documents + tokens.sum(axis=1)
    largest = of_document.max()
    return float(largest + np.log(np.exp(of_document - largest).sum()))
    # END


# %%
check("08.rag_sequence", rag_sequence)

# %% [markdown] lang="en"
# ## 3. Where is it reading? (12 minutes)
#
# The lesson's table asked after each token, by itself, which document it came from.
# RAG-Sequence reads the whole answer from one document, so there every token is evidence about the same secret.
# What is known after the first token, after the first two, and so on?
# The answer may again have two hundred tokens.
#
# $$p(z \mid x, y_{\le t}) \propto p(z \mid x) \prod_{s \le t} p(y_s \mid x, z, y_{<s})$$


# %%
def posteriors(documents: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """p(z | x, y_<=t): float array (n_tokens, k), row t after the tokens up to and with t; rows sum
    to 1.

    documents: ln p(z | x), float array (k,);
    tokens: ln p(y_t | x, z, y_<t), float array (k, n_tokens).
    """
    # SOLUTION posteriors
    log_joint = documents[:, None] + np.cumsum(tokens, axis=1)
    powers = np.exp(log_joint - log_joint.max(axis=0))
    return (powers / powers.sum(axis=0)).T
    # END


# %%
check("08.posteriors", posteriors)

# %% [markdown] lang="en"
# **A check.**
# Use these instead of $p(z \mid x)$ as the weights of RAG-**Token**: before each token what is known from the tokens before it.
# The product is RAG-**Sequence**.
# So the two models differ in one thing: whether the mixture *learns* while it writes.

# %%
prior = np.array([0.75, 0.25])
of_tokens = np.array([[0.9, 0.2], [0.1, 0.8]])  # the lesson's two documents
after_first = prior * of_tokens[:, 0] / (prior @ of_tokens[:, 0])
learning = (prior @ of_tokens[:, 0]) * (after_first @ of_tokens[:, 1])
print(f"RAG-Token, learning {learning:.4f}; RAG-Sequence {prior @ of_tokens.prod(axis=1):.4f}")
assert np.isclose(learning, prior @ of_tokens.prod(axis=1))

# %% [markdown] lang="en"
# ## 4. What the answer asks for (10 minutes)
#
# Posterior minus prior: so it is when $p(z \mid x)$ is the softmax of the scores $s$.
# But cosines are divided by a temperature first, $p(z \mid x) = \mathrm{softmax}(s / \tau)$.
# What is the gradient of RAG-Sequence's $\ln p(y \mid x)$ by the **scores** then?


# %%
def gradient(scores: np.ndarray, tokens: np.ndarray, temperature: float) -> np.ndarray:
    """d ln p(y | x) / d scores for RAG-Sequence: float array (k,).

    scores: the retriever's, float array (k,);
    tokens: ln p(y_t | x, z, y_<t), float array (k, n_tokens).
    """
    # SOLUTION gradient
    softmax = lambda values: np.exp(values - values.max()) / np.exp(values - values.max()).sum()
    prior = softmax(scores / temperature)
    posterior = softmax(scores / temperature + tokens.sum(axis=1))
    return (posterior - prior) / temperature
    # END


# %%
check("08.gradient", gradient)

# %% [markdown] lang="en"
# With $\tau = 0.05$, as in the lesson, the gradient is twenty times as large as posterior minus prior.
# Do the gradient's numbers always sum to the same?
# To what, and why?
#
# <details><summary>Answer</summary>To 0: posterior and prior both sum to 1, so what one document wins, the others lose.</details>
#
# ## 5. The answers of all documents (10 minutes)
#
# To *write* with RAG-Sequence, every document's generator keeps its few best answers, a beam each.
# Whose answer is the best of all?
# Lewis et al. (2020, section 2.5) add up, for every answer, what the documents give it.
# Where an answer isn't in a document's beam, they take 0 (**fast decoding**) or ask the generator once more (*thorough decoding*).
# Write the fast way.


# %%
def fast_decoding(documents: list[float], answers: list[dict[str, float]]) -> dict[str, float]:
    """{answer: sum_z p(z | x) p(answer | x, z)} for every answer of any document; 0 where a
    document doesn't have it.

    documents: ln p(z | x) of each; answers: of each document {answer: ln p(answer | x, z)}.
    """
    # SOLUTION fast_decoding
    total = {}
    for log_document, beam in zip(documents, answers, strict=True):
        for answer, log_p in beam.items():
            total[answer] = total.get(answer, 0.0) + float(np.exp(log_document + log_p))
    return total
    # END


# %%
check("08.fast_decoding", fast_decoding)

# %% [markdown] lang="en"
# An answer that three documents give with 0.3 beats one that a single document gives with 0.6, if all are equally probable.
# The most probable document may lose.
#
# ## 6. Open problem: a retriever that learns from answers (40 minutes and more)
#
# The lesson trained an encoder with a language model as its teacher.
# Here is the same in small, with nothing but numpy.
# For each question of another town there are twenty pages, each with three BM25 scores: of title and text together, of the title alone, and of the text alone.
# How much should each count?
# The teacher is as simple as it can be: a "generator" that finds an answer probable when it stands in the page.
# No page is marked as the right one.

# %%
from ragedu import BM25Retriever, Corpus, Document
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test


# %%
def candidates(seed: int, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For n questions with k = 20 pages each: scores (n, k, 3), ln p(answer | page) (n, k), and
    marks (n, k)."""
    town = port_ellery.load(600, seed=seed, questions=1000)
    views = [lambda page: page.content, lambda page: page.title, lambda page: page.text]
    bm25 = []
    for view in views:
        corpus = Corpus(Document(page.id, view(page)) for page in town.corpus)
        bm25.append(BM25Retriever().fit(corpus))
    scores, likely, marked = [], [], []
    for kind in ("lookup", "paraphrase", "identifier"):
        for query, question in town.select(kind=kind, split=split).queries.items():
            of_views = np.stack([retriever.scores(question) for retriever in bm25], axis=1)
            best = np.argsort(-of_views[:, 0], kind="stable")[:20]
            pages = [town.corpus[int(place)] for place in best]
            scores.append(of_views[best])
            has_answer = [any(a in page.text for a in town.answers[query]) for page in pages]
            likely.append([0.0 if it_has else -5.0 for it_has in has_answer])
            marked.append([page.id in town.qrels[query] for page in pages])
    return np.array(scores), np.array(likely), np.array(marked)


# %%
train_scores, train_likely, _ = candidates(seed=1, split="train")  # the marks are not for us
test_scores, _, test_marked = candidates(seed=0, split="test")
print(train_scores.shape, test_scores.shape)

# %% [markdown] lang="en"
# **The measure** is the share of test questions (of this town, other names and phrasings) whose best page is the marked one; **the baseline** is BM25 of title and text, the first of the three.
# Return a function that scores pages.
# Three weights are enough for a gain; you may also make new features of the three, and compare with what you would have set by hand.


# %%
def learn(scores: np.ndarray, likely: np.ndarray):
    """A function from scores (n, k, 3) to one score for each page (n, k), learned from answers
    alone.

    scores: float array (n, k, 3); likely: ln p(answer | question, page), float array (n, k).
    """
    # SOLUTION learn
    softmax = lambda values: np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    weights = np.array([1.0, 0.0, 0.0])
    for _ in range(500):
        own = scores @ weights
        own -= own.max(axis=1, keepdims=True)
        # Posterior minus prior, by the chain rule from pages to weights.
        wanted = softmax(own + likely) - softmax(own)
        weights = weights + 0.05 * np.einsum("nk,nkf->f", wanted, scores) / len(scores)
    print("weights", weights.round(2))
    return lambda scores: scores @ weights
    # END


# %%
def first_is_marked(of_pages: np.ndarray) -> np.ndarray:
    return test_marked[np.arange(len(test_marked)), of_pages.argmax(axis=1)]


baseline = first_is_marked(test_scores[:, :, 0])
with when_solved():
    mine = first_is_marked(learn(train_scores, train_likely)(test_scores))
    gain = paired_test(mine, baseline)
    print(f"BM25 {baseline.mean():.3f}, yours {mine.mean():.3f}; gain {gain}")
    assert gain.low > 0, "no gain that these questions can show"

# %% [markdown] lang="en"
# Print your weights: what does it think of words in the title?
# And try a worse teacher: let the answer be found probable on random pages, too.
# How much noise does the method bear?
