# %% [markdown] lang="en"
# # Exercises 03: Dense retrieval
#
# **Know first:** lesson 03.
# **Time:** 50 minutes, and as long as you like for the last one.
# **Cost to run:** a few seconds; the last one encodes some 1,400 sentences, which takes up to a minute.
#
# Write your lines in the place of `raise NotImplementedError(…)`, run the cell, then run the `check` below it.
# It tries your function on small cases and on random ones, and says what it found; it never shows the solution.
# A hint tells you a little more, three times: run `hint("03.shorten")` and so on.
# Solutions: `!ragedu start --no-open --finished` in a cell lays them in your folder `finished`.
# Look at them afterwards; there is often another way.

# %%
import numpy as np

from ragedu.learn import check, hint, when_solved

# %% [markdown] lang="en"
# ## 1. Half the memory (5 minutes)
#
# Some embedding models are trained so that the first numbers of a vector matter most, and you may cut the rest off (*Matryoshka* embeddings, after the nested dolls).
# What must be done after the cut, so that dot products are cosines again?


# %%
def shorten(vectors: np.ndarray, dimension: int) -> np.ndarray:
    """The first `dimension` numbers of each vector, at length 1 again: float array (n_texts,
    dimension).

    vectors: float array (n_texts, n), each row of length 1.
    """
    # SOLUTION shorten
    cut = vectors[:, :dimension]
    return cut / np.linalg.norm(cut, axis=1, keepdims=True)
    # END


# %%
check("03.shorten", shorten)

# %%
hint("03.shorten")  # run it again for the next

# %% [markdown] lang="en"
# ## 2. One byte for each number (10 minutes)
#
# A float takes four bytes, and a vector hardly needs them.
# Store each number as a whole one from −127 to 127, in one byte (`np.int8`), together with one **scale** for each text: what a step of 1 is worth there.
# Code times scale then gives nearly the number back.
# Choose the scale of a row so that its largest absolute value becomes 127.


# %%
def quantise(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(codes, scales): int8 array of the shape of `vectors`, and float array (n_texts,).

    vectors: float array (n_texts, n), no row all zeros. codes * scales is as near to it as whole
        codes can be.
    """
    # SOLUTION quantise
    scales = np.abs(vectors).max(axis=1) / 127
    codes = np.round(vectors / scales[:, None]).astype(np.int8)
    return codes, scales
    # END


# %%
check("03.quantise", quantise)

# %% [markdown] lang="en"
# By how much can a number be wrong afterwards?
# By half a step at most.
# When you add 384 products, the errors, some up and some down, mostly cancel.
#
# ## 3. What an index misses (8 minutes)
#
# The lesson measured approximate indexes by recall@10 against exact search.
# In practice you may ask an index for more candidates than there are neighbours that count.
# And FAISS writes −1 where it found fewer than you asked for: why does that do no harm here?


# %%
def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """The share of the exact neighbours that were found: its mean over queries, from 0 to 1.

    found: int array (n_queries, n_candidates), filled up with -1; exact: int array (n_queries, k).
    """
    # SOLUTION recall
    pairs = zip(found.tolist(), exact.tolist(), strict=True)
    shares = [len(set(a) & set(b)) / len(b) for a, b in pairs]
    return float(np.mean(shares))
    # END


# %%
check("03.recall", recall)

# %% [markdown] lang="en"
# ## 4. The passage that stands there twice (15 minutes)
#
# The quiz of the lesson asked: in a batch two questions have the same right passage; what goes wrong?
# Each question would be pushed away from a text that answers it.
# `ragedu` puts no text twice into a batch.
# Here is the other remedy.
# Take such a batch as it is, and leave the **copies** of a question's own passage out of the sum below the fraction; the passage itself stays in it.


# %%
def info_nce(cosines: np.ndarray, passages: list[str], temperature: float) -> float:
    """The mean InfoNCE loss of a batch.

    cosines: float array (n, n), question i with the passage of row j; its own stands on the
        diagonal;
    passages: the id of each row's passage; equal ids are copies.
    """
    # SOLUTION info_nce
    ids = np.array(passages)
    keep = (ids[:, None] != ids[None, :]) | np.eye(len(ids), dtype=bool)
    powers = np.exp(cosines / temperature)
    return float(-np.log(powers.diagonal() / (powers * keep).sum(axis=1)).mean())
    # END


# %%
check("03.info_nce", info_nce)

# %% [markdown] lang="en"
# ## 5. One vector is not enough (12 minutes)
#
# One mean must hold everything that might be asked for.
# Khattab and Zaharia (*ColBERT*, 2020) keep a vector for **every piece** and let them meet late: each piece of the question looks for the piece of the document that is most like it, and the score is the sum of these best cosines.
# Write the score for one document.
# Mind the filling.


# %%
def late_interaction(query: np.ndarray, document: np.ndarray, mask: np.ndarray) -> float:
    """The sum, over the pieces of the query, of the best cosine with a piece of the document.

    query: float array (n_query_pieces, n);
    document: (n_document_pieces, n); rows of length 1;
    mask: int array (n_document_pieces,), 1 for text and 0 for filling.
    """
    # SOLUTION late_interaction
    return float((query @ document[mask == 1].T).max(axis=1).sum())
    # END


# %%
check("03.late_interaction", late_interaction)

# %% [markdown] lang="en"
# It can find more, and it stores one vector for each piece where lesson 03 stored one for each text.
# That is why exercise 2 and the next one are taken so seriously.
#
# ## 6. Open problem: 48 bytes (40 minutes and more)
#
# A vector of this model takes $384 \cdot 4 = 1536$ bytes.
# Keep **one bit** of each number, its sign, and 48 bytes are left.
# Here are some sentences of the archive and 150 questions as real vectors, and what the signs alone still find.

# %% tags=["nbval-ignore-output"]
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test
from ragedu.retrieval.embeddings import Embedder
from ragedu.text import sentences

archive = port_ellery.load(200, questions=400)
texts = []
for page in archive.corpus:
    texts += [f"{page.title}: {sentence}" for sentence in sentences(page.text)]
embedder = Embedder()
vectors = embedder.encode(texts)
queries = embedder.encode(list(archive.queries.values())[:150])
print(vectors.shape, queries.shape)
assert vectors.shape[1] == 384


# %%
def nearest(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :10]


def recalls(scores: np.ndarray) -> list[float]:
    """Of each query: the share of the ten that exact search finds."""
    exact = nearest(queries @ vectors.T)
    return [len(set(a) & set(b)) / 10 for a, b in zip(nearest(scores), exact, strict=True)]


def sign_codes(vectors: np.ndarray) -> np.ndarray:
    return np.packbits(vectors > 0, axis=1)  # eight signs in a byte


def signs(codes: np.ndarray) -> np.ndarray:
    return np.unpackbits(codes, axis=1) * 2.0 - 1


baseline = recalls(signs(sign_codes(queries)) @ signs(sign_codes(vectors)).T)
print(f"recall@10 of the signs: {np.mean(baseline):.3f}")

# %% [markdown] lang="en"
# **The measure** is recall@10 against exact search; **the baseline** is the agreement of signs.
# `encode` may keep 48 bytes for each document, and anything that is shared by all (up to the size of four vectors).
# `score` gets the questions as they are.
# Look at both: what does a bit say about its document, and what is thrown away about the question, which nobody has to store?


# %%
def encode(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(codes, shared): uint8 array (n_documents, 48), and whatever all documents share."""
    # SOLUTION encode
    # A bit tells most when it is 1 for half of the documents: so the sign is that of the difference
    # from the mean.
    mean = vectors.mean(axis=0)
    return sign_codes(vectors - mean), mean
    # END


def score(queries: np.ndarray, codes: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Float array (n_queries, n_documents), higher for nearer."""
    # SOLUTION score
    return queries @ signs(codes).T  # the question keeps all its digits: nobody has to store it
    # END


# %% tags=["nbval-ignore-output"]
with when_solved():
    codes, shared = encode(vectors)
    mine = recalls(score(queries, codes, shared))
    gain = paired_test(mine, baseline)
    assert codes.shape == (len(vectors), 48), "48 bytes for each document"
    assert codes.dtype == np.uint8, "48 bytes for each document"
    assert np.size(shared) <= 4 * 384, "what all share may be as large as four vectors"
    print(f"signs {np.mean(baseline):.3f}, yours {np.mean(mine):.3f}; gain {gain}")

# %%
with when_solved():  # in a cell of its own, since this is the same on every machine
    gain = paired_test(recalls(score(queries, *encode(vectors))), baseline)
    no_gain = "no gain that these questions can show: look at ten that you lose"
    print("a gain" if gain.low > 0 else no_gain)

# %% [markdown] lang="en"
# Where is the limit?
# Product quantisation, in the lesson, also keeps 48 bytes: `faiss.IndexPQ(384, 48, 8)` tells you how far a method gets whose shared patterns are as large as 256 vectors.
# (It warns that 1,400 vectors are few to learn them from.
# The lesson's 0.36 was among 100,000 made vectors: more rivals, and a harder test.)
