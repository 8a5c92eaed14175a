"""Right solutions of the exercises in other forms than the course's: numpy, plain Python, scikit-learn, torch."""

import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from itertools import accumulate, groupby, takewhile

import numpy as np

RIGHT: dict[str, list[Callable]] = {}


def right(name: str) -> Callable:
    def add(function: Callable) -> Callable:
        RIGHT.setdefault(name, []).append(function)
        return function

    return add


def words_of(text):
    return re.findall(r"[a-z0-9]+", text.lower())


# 00


@right("00.contains")
def by_expression(text, answers):
    patterns = (r"\b" + r"\W+".join(map(re.escape, words_of(answer))) + r"\b" for answer in answers)
    return any(re.search(pattern, " ".join(words_of(text))) is not None for pattern in patterns)


@right("00.contains")
def by_loops(text, answers):
    words = words_of(text)
    for answer in answers:
        wanted = words_of(answer)
        for start in range(len(words)):
            if words[start : start + len(wanted)] == wanted:
                return True
    return False


@right("00.contains")
def by_counting(text, answers):
    line = "|" + "|".join(words_of(text)) + "|"
    return sum(line.count("|" + "|".join(words_of(answer)) + "|") for answer in answers) > 0


@right("00.retrieve")
def by_pairs(question, pages, k):
    asked = set(words_of(question))
    ranked = sorted(enumerate(pages), key=lambda pair: (-len(asked.intersection(words_of(pages[pair[1]]))), pair[0]))
    return [name for _, name in ranked[:k]]


@right("00.retrieve")
def by_choosing_the_best(question, pages, k):
    left, found = list(pages), []
    shared = lambda name: len(set(words_of(question)) & set(words_of(pages[name])))
    while left and len(found) < k:
        best = max(left, key=shared)
        left.remove(best)
        found.append(best)
    return found


@right("00.retrieve")
def by_argsort(question, pages, k):
    shared = np.array([len(set(words_of(question)) & set(words_of(text))) for text in pages.values()])
    return [list(pages)[place] for place in np.argsort(-shared, kind="stable")[:k]]


@right("00.build_prompt")
def by_takewhile(question, sources, most_words):
    totals = accumulate(len(source.split()) for source in sources)
    fitting = takewhile(lambda pair: pair[1] <= most_words, zip(sources, totals, strict=False))
    lines = [f"[{number}] {source}\n" for number, (source, _) in enumerate(fitting, 1)]
    return "".join(lines) + f"Question: {question}"


@right("00.build_prompt")
def by_subtraction(question, sources, most_words):
    prompt = ""
    for number, source in enumerate(sources, start=1):
        most_words = most_words - len(source.split())
        if most_words < 0:
            return prompt + "Question: " + question
        prompt += "[" + str(number) + "] " + source + "\n"
    return prompt + "Question: " + question


@right("00.build_prompt")
def by_number(question, sources, most_words):
    totals = np.cumsum([len(source.split()) for source in sources])
    kept = int((totals <= most_words).sum())
    lines = [f"[{place + 1}] {sources[place]}" for place in range(kept)]
    return "\n".join(lines + ["Question: " + question])


@right("00.ask")
def by_plus(question, retrieve, generate):
    source = retrieve(question)
    return generate(source + "\nQuestion: " + question), source


@right("00.ask")
def by_join(question, retrieve, generate):
    page = retrieve(question)
    return (generate("\n".join([page, "Question: " + question])), page)


@right("00.ask")
def by_assignment(question, retrieve, generate):
    result = tuple([generate(f"{(page := retrieve(question))}\nQuestion: {question}"), page])
    return result


@right("00.diagnose")
def by_counter(found, right):
    counts = Counter(zip(found, right, strict=True))
    return {
        "right": counts[True, True],
        "lucky": counts[False, True],
        "not read": counts[True, False],
        "not found": counts[False, False],
    }


@right("00.diagnose")
def by_arrays(found, right):
    f, r = np.array(found, dtype=bool), np.array(right, dtype=bool)
    return {
        "right": int((f & r).sum()),
        "not found": int((~f & ~r).sum()),
        "not read": (f & ~r).sum(),
        "lucky": (~f & r).sum(),
    }


@right("00.diagnose")
def by_branches(found, right):
    counts = dict.fromkeys(["right", "not found", "not read", "lucky"], 0)
    for place in range(len(found)):
        if found[place] and right[place]:
            counts["right"] += 1
        elif found[place]:
            counts["not read"] += 1
        elif right[place]:
            counts["lucky"] += 1
        else:
            counts["not found"] += 1
    return counts


# 01


@right("01.document_frequency")
def df_by_counter(documents):
    counts = Counter()
    for document in documents:
        counts.update(set(document))
    return counts


@right("01.document_frequency")
def df_by_asking(documents):
    terms = {term for document in documents for term in document}
    return {term: sum(term in document for document in documents) for term in terms}


@right("01.document_frequency")
def df_by_default(documents):
    df = defaultdict(int)
    for document in documents:
        for term in dict.fromkeys(document):
            df[term] += 1
    return df


@right("01.document_frequency")
def df_by_scikit_learn(documents):
    from sklearn.feature_extraction.text import CountVectorizer

    if not any(documents):
        return {}
    model = CountVectorizer(analyzer=lambda document: document, binary=True)
    counts = model.fit_transform(documents).sum(axis=0)
    return {term: int(counts[0, place]) for term, place in model.vocabulary_.items()}


@right("01.sublinear")
def sublinear_where(counts):
    logs = np.log(counts, out=np.zeros_like(counts), where=counts > 0)
    return (counts > 0) * (1 + logs)


@right("01.sublinear")
def sublinear_copy(counts):
    damped = counts.copy()
    damped[damped > 0] = 1 + np.log(damped[damped > 0])
    return damped


@right("01.sublinear")
def sublinear_loop(counts):
    return np.array([[1 + math.log(tf) if tf else 0.0 for tf in row] for row in counts.tolist()])


@right("01.sublinear")
def sublinear_torch(counts):
    import torch

    tf = torch.tensor(counts)
    return torch.where(tf > 0, 1 + tf.clamp(min=1).log(), 0.0).numpy()


@right("01.sublinear")
def sublinear_scikit_learn(counts):
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(norm=None, use_idf=False, sublinear_tf=True).fit_transform(counts).toarray()


right("01.distance_from_cosine")(lambda cosine: math.sqrt(2 * (1 - cosine)))
right("01.distance_from_cosine")(lambda cosine: 2 * np.sin(np.arccos(cosine) / 2))
right("01.distance_from_cosine")(lambda cosine: math.dist((1, 0), (cosine, math.sqrt(1 - cosine**2))))
right("01.distance_from_cosine")(lambda cosine: (1 + 1 - 2 * cosine) ** 0.5)


@right("01.cosines")
def cosines_units(query, documents):
    unit = lambda v: v / norm if (norm := np.sqrt((v**2).sum())) else v
    return np.array([unit(document) @ unit(query) for document in documents])


@right("01.cosines")
def cosines_nan(query, documents):
    with np.errstate(all="ignore"):
        return np.nan_to_num(documents @ query / np.linalg.norm(documents, axis=1) / np.linalg.norm(query))


@right("01.cosines")
def cosines_loop(query, documents):
    result = []
    for document in documents.tolist():
        length = math.hypot(*document) * math.hypot(*query.tolist())
        result.append(math.sumprod(document, query) / length if length and hasattr(math, "sumprod") else 0.0)
        if length and not hasattr(math, "sumprod"):
            result[-1] = sum(a * b for a, b in zip(document, query.tolist(), strict=True)) / length
    return np.array(result)


@right("01.cosines")
def cosines_scikit_learn(query, documents):
    from sklearn.metrics.pairwise import cosine_similarity

    return cosine_similarity(documents, query[None, :])[:, 0]


@right("01.cosines")
def cosines_torch(query, documents):
    import torch

    return torch.cosine_similarity(torch.tensor(documents), torch.tensor(query)[None], dim=1, eps=1e-30).numpy()


@right("01.weigh")
def weigh_log1p(corpus_counts, new_counts):
    n, df = len(corpus_counts), np.count_nonzero(corpus_counts, axis=0)
    rows = new_counts * (1 + np.log(n + 1) - np.log(df + 1))
    return rows / np.sqrt((rows**2).sum(axis=1))[:, None]


@right("01.weigh")
def weigh_loop(corpus_counts, new_counts):
    columns = corpus_counts.T.tolist()
    idf = [1 + math.log((1 + len(corpus_counts)) / (1 + sum(tf > 0 for tf in column))) for column in columns]
    rows = [[tf * weight for tf, weight in zip(row, idf, strict=True)] for row in new_counts.tolist()]
    return np.array([[x / math.hypot(*row) for x in row] for row in rows])


@right("01.weigh")
def weigh_scikit_learn(corpus_counts, new_counts):
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer().fit(corpus_counts).transform(new_counts).toarray()


@right("01.weigh")
def weigh_normalize(corpus_counts, new_counts):
    from sklearn.preprocessing import normalize

    df = (corpus_counts > 0).sum(axis=0)
    return normalize(new_counts * (np.log((1 + corpus_counts.shape[0]) / (1 + df)) + 1))


@right("01.weigh")
def weigh_torch(corpus_counts, new_counts):
    import torch

    corpus, new = torch.tensor(corpus_counts), torch.tensor(new_counts)
    idf = torch.log((1 + len(corpus)) / (1 + (corpus > 0).sum(0).double())) + 1
    return torch.nn.functional.normalize(new * idf, dim=1).numpy()


@right("01.decisive_term")
def decisive_max(query, winner, loser, vocabulary):
    gain = query * (winner / np.sqrt(winner @ winner) - loser / np.sqrt(loser @ loser))
    return max(zip(gain.tolist(), vocabulary, strict=True))[1]


@right("01.decisive_term")
def decisive_loop(query, winner, loser, vocabulary):
    best, most = None, -math.inf
    for place, term in enumerate(vocabulary):
        gain = query[place] * winner[place] / math.hypot(*winner) - query[place] * loser[place] / math.hypot(*loser)
        if gain > most:
            best, most = term, gain
    return best


@right("01.decisive_term")
def decisive_sorted(query, winner, loser, vocabulary):
    a, b = winner / np.linalg.norm(winner), loser / np.linalg.norm(loser)
    return vocabulary[np.argsort(query * a - query * b)[-1]]


# 02

right("02.mentions_needed")(
    lambda share, k1, b, relative_length: k1 * (1 + b * (relative_length - 1)) / (1 / share - 1)
)
right("02.mentions_needed")(
    lambda share, k1, b, relative_length: -share * k1 * ((1 - b) + b * relative_length) / (share - 1)
)


@right("02.mentions_needed")
def mentions_by_fractions(share, k1, b, relative_length):
    s, k, b, length = map(Fraction, (share, k1, b, relative_length))
    return s / (1 - s) * k * (1 - b + b * length)


@right("02.idf")
def idf_loop(document_frequency, n_documents, variant):
    def one(df):
        if variant == "atire":
            return math.log(n_documents) - math.log(df)
        odds = (n_documents - df + 0.5) / (df + 0.5)
        return math.log1p(odds) if variant == "lucene" else max(0.0, math.log(odds))

    return np.array([one(df) for df in document_frequency.tolist()])


@right("02.idf")
def idf_clip(document_frequency, n_documents, variant):
    df, n = document_frequency.astype(float), n_documents
    return {
        "lucene": np.log((n + 1) / (df + 0.5)),
        "robertson": np.clip(np.log((n - df + 0.5) / (df + 0.5)), 0, None),
        "atire": -np.log(df / n),
    }[variant]


@right("02.idf")
def idf_torch(document_frequency, n_documents, variant):
    import torch

    df = torch.tensor(document_frequency, dtype=torch.double)
    odds = (n_documents - df + 0.5) / (df + 0.5)
    forms = {
        "lucene": torch.log1p(odds),
        "robertson": torch.relu(torch.log(odds)),
        "atire": torch.log(n_documents / df),
    }
    return forms[variant].numpy()


@right("02.accumulate")
def accumulate_loop(n_documents, numbers, weights):
    scores = [0.0] * n_documents
    for number, weight in zip(numbers, weights, strict=True):
        scores[number] += weight
    return np.array(scores)


@right("02.accumulate")
def accumulate_matrix(n_documents, numbers, weights):
    return (np.arange(n_documents)[:, None] == numbers[None, :]) @ weights


@right("02.accumulate")
def accumulate_masks(n_documents, numbers, weights):
    return np.array([weights[numbers == number].sum() for number in range(n_documents)])


@right("02.accumulate")
def accumulate_torch(n_documents, numbers, weights):
    import torch

    scores = torch.zeros(n_documents, dtype=torch.double)
    return scores.index_add(0, torch.tensor(numbers), torch.tensor(weights)).numpy()


@right("02.accumulate")
def accumulate_scipy(n_documents, numbers, weights):
    from scipy.sparse import coo_array

    return coo_array((weights, (np.zeros_like(numbers), numbers)), shape=(1, n_documents)).toarray()[0]


@right("02.skippable")
def skippable_bisect(max_weights, threshold):
    terms = sorted(max_weights, key=lambda term: max_weights[term])
    return terms[: bisect_right(list(accumulate(max_weights[term] for term in terms)), threshold)]


@right("02.skippable")
def skippable_cumsum(max_weights, threshold):
    terms, weights = np.array(list(max_weights)), np.array(list(max_weights.values()))
    order = weights.argsort()
    return terms[order][np.cumsum(weights[order]) <= threshold].tolist()


@right("02.skippable")
def skippable_prefix(max_weights, threshold):
    pairs = sorted(max_weights.items(), key=lambda pair: pair[1])
    fits = lambda n: sum(weight for _, weight in pairs[:n]) <= threshold
    return [term for n, (term, _) in enumerate(pairs, 1) if fits(n)]


@right("02.analyze")
def analyze_finditer(text):
    from ragedu.text import Analyzer

    terms = Analyzer()(text)
    for match in re.finditer(r"[A-Za-z0-9]+([-/][A-Za-z0-9]+)+", text):
        if any(character.isdigit() for character in match[0]):
            terms.append(match[0].lower())
    return terms


@right("02.analyze")
def analyze_lower_first(text):
    from ragedu import Analyzer

    codes = re.findall(r"(?:[a-z0-9]+[-/])+[a-z0-9]+", text.lower())
    return [*Analyzer()(text), *filter(re.compile(r"\d").search, codes)]


@right("02.analyze")
def analyze_runs(text):
    from ragedu import Analyzer

    runs = re.findall(r"[a-z0-9/-]+", text.lower())
    codes = [run.strip("-/") for run in runs]
    return Analyzer()(text) + [code for code in codes if re.search("[-/]", code) and re.search("[0-9]", code)]


# 03


@right("03.shorten")
def shorten_loop(vectors, dimension):
    rows = [row[:dimension] for row in vectors.tolist()]
    return np.array([[x / math.hypot(*row) for x in row] for row in rows])


@right("03.shorten")
def shorten_einsum(vectors, dimension):
    kept = vectors[..., :dimension]
    return kept / np.sqrt(np.einsum("ij,ij->i", kept, kept))[:, None]


@right("03.shorten")
def shorten_scikit_learn(vectors, dimension):
    from sklearn.preprocessing import normalize

    return normalize(vectors[:, :dimension])


@right("03.shorten")
def shorten_torch(vectors, dimension):
    import torch

    return torch.nn.functional.normalize(torch.tensor(vectors)[:, :dimension], dim=1).numpy()


@right("03.shorten")
def shorten_transposed(vectors, dimension):
    kept = np.split(vectors, [dimension], axis=1)[0]
    return (kept.T / np.linalg.norm(kept, axis=1)).T


@right("03.quantise")
def quantise_rint(vectors):
    scales = np.maximum(vectors.max(axis=1), -vectors.min(axis=1)) / 127
    return np.rint(vectors / scales.reshape(-1, 1)).astype("int8"), scales


@right("03.quantise")
def quantise_loop(vectors):
    scales = [max(map(abs, row)) / 127 for row in vectors.tolist()]
    codes = [[round(x / scale) for x in row] for row, scale in zip(vectors.tolist(), scales, strict=True)]
    return np.array(codes, dtype=np.int8), np.array(scales)


@right("03.quantise")
def quantise_torch(vectors):
    import torch

    rows = torch.tensor(vectors)
    scales = rows.abs().amax(dim=1) / 127
    return (rows / scales[:, None]).round().to(torch.int8).numpy(), scales.numpy()


@right("03.recall")
def recall_isin(found, exact):
    return float(np.mean([np.isin(right, got).mean() for got, right in zip(found, exact, strict=True)]))


@right("03.recall")
def recall_broadcast(found, exact):
    return (found[:, None, :] == exact[:, :, None]).any(axis=2).mean()


@right("03.recall")
def recall_loop(found, exact):
    hits = 0
    for row in range(len(exact)):
        for neighbour in exact[row]:
            hits += neighbour in found[row]
    return hits / exact.size


@right("03.info_nce")
def info_nce_loop(cosines, passages, temperature):
    losses = []
    for i, row in enumerate(cosines.tolist()):
        wrong = [c for j, c in enumerate(row) if j == i or passages[j] != passages[i]]
        total = sum(math.exp(c / temperature) for c in wrong)
        losses.append(math.log(total) - row[i] / temperature)
    return sum(losses) / len(losses)


@right("03.info_nce")
def info_nce_masked(cosines, passages, temperature):
    from scipy.special import logsumexp

    names = np.array(passages)
    copies = (names[:, None] == names) & ~np.eye(len(names), dtype=bool)
    logits = np.where(copies, -np.inf, cosines / temperature)
    return float(np.mean(logsumexp(logits, axis=1) - np.diag(logits)))


@right("03.info_nce")
def info_nce_torch(cosines, passages, temperature):
    import torch

    n = len(passages)
    copies = torch.tensor([[i != j and passages[i] == passages[j] for j in range(n)] for i in range(n)])
    logits = (torch.tensor(cosines) / temperature).masked_fill(copies, -torch.inf)
    return torch.nn.functional.cross_entropy(logits, torch.arange(n)).item()


@right("03.late_interaction")
def late_loop(query, document, mask):
    pieces = [row for row, is_text in zip(document, mask, strict=True) if is_text]
    return sum(max(float(q @ piece) for piece in pieces) for q in query)


@right("03.late_interaction")
def late_masked(query, document, mask):
    return np.where(mask[None, :] > 0, query @ document.T, -np.inf).max(axis=1).sum()


@right("03.late_interaction")
def late_scikit_learn(query, document, mask):
    from sklearn.metrics.pairwise import cosine_similarity

    return float(cosine_similarity(query, document[mask.astype(bool)]).max(axis=1).sum())


@right("03.late_interaction")
def late_torch(query, document, mask):
    import torch

    q, d = (torch.nn.functional.normalize(torch.tensor(x), dim=1) for x in (query, document))
    return (q @ d.T).masked_fill(torch.tensor(mask) == 0, -torch.inf).amax(1).sum().item()


@right("03.late_interaction")
def late_distances(query, document, mask):
    from scipy.spatial.distance import cdist

    return float((1 - cdist(query, document[np.flatnonzero(mask)], "cosine")).max(axis=1).sum())


# 04

right("04.perplexity")(lambda probabilities: math.prod(probabilities.tolist()) ** (-1 / len(probabilities)))
right("04.perplexity")(lambda probabilities: 2 ** float(np.mean(-np.log2(probabilities))))
right("04.perplexity")(lambda probabilities: math.exp(-sum(map(math.log, probabilities)) / len(probabilities)))
right("04.perplexity")(lambda probabilities: 1 / np.exp(np.log(probabilities).mean()))


@right("04.perplexity")
def perplexity_scipy(probabilities):
    from scipy.stats import gmean

    return float(1 / gmean(probabilities))


@right("04.softmax")
def softmax_scipy(logits, temperature):
    from scipy.special import softmax

    return softmax(logits / temperature)


@right("04.softmax")
def softmax_torch(logits, temperature):
    import torch

    return torch.softmax(torch.tensor(logits) / temperature, dim=0).numpy()


@right("04.softmax")
def softmax_loop(logits, temperature):
    scaled = [logit / temperature for logit in logits.tolist()]
    powers = [math.exp(each - max(scaled)) for each in scaled]
    return np.array([power / sum(powers) for power in powers])


@right("04.softmax")
def softmax_log(logits, temperature):
    scaled = (logits - np.max(logits)) / temperature
    return np.exp(scaled - np.logaddexp.reduce(scaled))


@right("04.softmax")
def softmax_in_place(logits, temperature):
    powers = logits / temperature
    powers -= powers.max()
    np.exp(powers, out=powers)
    powers /= powers.sum()
    return powers


@right("04.min_p")
def min_p_loop(logits, share):
    powers = [math.exp(logit) for logit in logits.tolist()]
    kept = [power if power >= share * max(powers) else 0.0 for power in powers]
    return np.array([each / sum(kept) for each in kept])


@right("04.min_p")
def min_p_mask(logits, share):
    p = np.exp(logits) / np.exp(logits).sum()
    p[p < p.max() * share] = 0
    return p / np.sum(p)


@right("04.min_p")
def min_p_scipy(logits, share):
    from scipy.special import softmax

    p = softmax(logits)
    return softmax(np.where(p >= share * p.max(), logits, -np.inf))


@right("04.min_p")
def min_p_torch(logits, share):
    import torch

    p = torch.softmax(torch.tensor(logits), 0)
    kept = p * (p >= share * p.max())
    return (kept / kept.sum()).numpy()


@right("04.penalise")
def penalise_loop(logits, seen, penalty):
    changed = logits.copy()
    for token in set(seen):
        if logits[token] > 0:
            changed[token] /= penalty
        else:
            changed[token] *= penalty
    return changed


@right("04.penalise")
def penalise_mask(logits, seen, penalty):
    occurred = np.isin(np.arange(len(logits)), seen)
    return np.where(occurred, np.where(logits < 0, logits * penalty, logits / penalty), logits)


@right("04.penalise")
def penalise_power(logits, seen, penalty):
    changed = np.array(logits)
    ids = np.unique(np.array(seen, dtype=int))
    changed[ids] *= penalty ** -np.sign(changed[ids])
    return changed


@right("04.penalise")
def penalise_torch(logits, seen, penalty):
    import torch

    changed = torch.tensor(logits)
    ids = torch.tensor(sorted(set(seen)), dtype=torch.long)
    changed[ids] = torch.where(changed[ids] < 0, changed[ids] * penalty, changed[ids] / penalty)
    return changed.numpy()


right("04.merge")(lambda weights, down, up, alpha: weights + np.matmul(up, down) * alpha / down.shape[0])
right("04.merge")(lambda weights, down, up, alpha: np.einsum("or,ri->oi", up, down) * (alpha / up.shape[1]) + weights)


@right("04.merge")
def merge_ranks(weights, down, up, alpha):
    merged = weights.astype(float)
    for rank in range(len(down)):
        merged = merged + alpha / len(down) * np.outer(up[:, rank], down[rank])
    return merged


@right("04.merge")
def merge_torch(weights, down, up, alpha):
    import torch

    w, a, b = map(torch.tensor, (weights, down, up))
    return torch.addmm(w, b, a, alpha=alpha / len(a)).numpy()


@right("04.merge")
def merge_loop(weights, down, up, alpha):
    rank = len(down)
    return np.array(
        [
            [w + alpha / rank * sum(up[i, r] * down[r, j] for r in range(rank)) for j, w in enumerate(row)]
            for i, row in enumerate(weights.tolist())
        ]
    )


@right("04.beam_search")
def beam_products(following, start, steps, width):
    beams = [(1.0, [start])]
    for _ in range(steps):
        longer = []
        for p, text in beams:
            if text[-1] not in following:
                longer.append((p, text))
            for word, its in following.get(text[-1], {}).items():
                longer.append((p * its, [*text, word]))
        longer.sort(key=lambda pair: pair[0], reverse=True)
        beams = longer[:width]
    return beams[0][1]


@right("04.beam_search")
def beam_heap(following, start, steps, width):
    import heapq

    beams = {(start,): 0.0}
    for _ in range(steps):
        longer = {}
        for words, score in beams.items():
            nexts = following.get(words[-1])
            if not nexts:
                longer[words] = score
            else:
                longer.update({(*words, word): score + math.log(p) for word, p in nexts.items()})
        beams = dict(heapq.nlargest(width, longer.items(), key=lambda pair: pair[1]))
    return list(max(beams, key=beams.get))


@right("04.beam_search")
def beam_reduce(following, start, steps, width):
    def step(beams, _):
        longer = [
            (words + extra, cost - np.log(p))
            for words, cost in beams
            for extra, p in ([([w], p) for w, p in following.get(words[-1], {}).items()] or [([], 1.0)])
        ]
        return sorted(longer, key=lambda beam: beam[1])[:width]

    return reduce(step, range(steps), [([start], 0.0)])[0][0]


# 05


@right("05.rescale")
def rescale_arrays(scores):
    if not scores:
        return {}
    values = np.array(list(scores.values()))
    span = np.ptp(values)
    scaled = (values - values.min()) / span if span else np.ones(len(values))
    return dict(zip(scores, scaled.tolist(), strict=True))


@right("05.rescale")
def rescale_from_above(scores):
    high, low = max(scores.values(), default=0.0), min(scores.values(), default=0.0)
    return {page: 1 - (high - score) / (high - low) if high > low else 1 for page, score in scores.items()}


@right("05.rescale")
def rescale_scikit_learn(scores):
    from sklearn.preprocessing import minmax_scale

    if len(set(scores.values())) < 2:
        return dict.fromkeys(scores, 1.0)
    return dict(zip(scores, minmax_scale(list(scores.values())).tolist(), strict=True))


@right("05.fuse")
def fuse_counter(rankings, k):
    fused = Counter()
    for ranking in rankings:
        pages = [page for page, _ in groupby(piece.split("/")[0] for piece in ranking)]
        for rank, page in enumerate(sorted(set(pages), key=pages.index)):
            fused[page] += 1 / (k + rank + 1)
    return dict(fused)


@right("05.fuse")
def fuse_seen(rankings, k):
    fused = {}
    for ranking in rankings:
        seen = []
        for piece in ranking:
            page = piece[: piece.index("/")]
            if page not in seen:
                seen.append(page)
                fused.setdefault(page, 0.0)
                fused[page] += 1 / (k + len(seen))
    return fused


@right("05.fuse")
def fuse_by_page(rankings, k):
    pages = [list(dict.fromkeys(re.sub("/.*", "", piece) for piece in ranking)) for ranking in rankings]
    names = set().union(*pages)
    return {name: math.fsum(1 / (k + 1 + its.index(name)) for its in pages if name in its) for name in names}


@right("05.within_budget")
def budget_left(sizes, fixed, budget):
    left, places = budget - fixed, []
    for place in range(len(sizes)):
        if sizes[place] <= left:
            left -= sizes[place]
            places += [place]
    return places


@right("05.within_budget")
def budget_sum(sizes, fixed, budget):
    places = []
    for place, size in enumerate(sizes):
        if fixed + sum(sizes[other] for other in places) + size <= budget:
            places.append(place)
    return places


@right("05.within_budget")
def budget_reduce(sizes, fixed, budget):
    take = lambda state, new: ([*state[0], new[0]], state[1] + new[1]) if state[1] + new[1] <= budget else state
    return reduce(take, enumerate(sizes), ([], fixed))[0]


@right("05.cut")
def cut_places(sentences, words, overlap):
    """By places: a chunk is sentences[start:end]."""
    n = [len(sentence.split()) for sentence in sentences]
    chunks, start, end = [], 0, 0
    while end < len(n):
        while end < len(n) and (end == start or sum(n[start : end + 1]) <= words):
            end += 1
        chunks.append(" ".join(sentences[start:end]))
        if end < len(n):
            start = next(s for s in range(start, end + 1) if sum(n[s:end]) <= min(overlap, words - n[end]))
    return chunks


@right("05.cut")
def cut_backwards(sentences, words, overlap):
    """The overlap is gathered from the end of the chunk."""
    count = lambda text: len(text.split())
    chunks, chunk, used = [], [], 0
    for sentence in sentences:
        if chunk and used + count(sentence) > words:
            chunks.append(" ".join(chunk))
            kept, room = [], min(overlap, words - count(sentence))
            for earlier in reversed(chunk):
                if count(earlier) > room:
                    break
                kept.insert(0, earlier)
                room -= count(earlier)
            chunk, used = kept, sum(map(count, kept))
        chunk.append(sentence)
        used += count(sentence)
    if chunk:
        chunks.append(" ".join(chunk))
    return chunks


@right("05.cut")
def cut_recursive(sentences, words, overlap):
    size = lambda texts: len(" ".join(texts).split())
    if not sentences:
        return []
    end = max(e for e in range(1, len(sentences) + 1) if e == 1 or size(sentences[:e]) <= words)
    if end == len(sentences):
        return [" ".join(sentences)]
    fits = lambda s: size(sentences[s:end]) <= overlap and size(sentences[s : end + 1]) <= words
    start = next(s for s in range(end + 1) if fits(s))
    return [" ".join(sentences[:end]), *cut_recursive(sentences[start:], words, overlap)]


@right("05.choose")
def choose_loop(log_doubts, limit):
    best = None
    for place, doubt in enumerate(log_doubts):
        if math.exp(doubt) <= limit and (best is None or doubt < log_doubts[best]):
            best = place
    return best


@right("05.choose")
def choose_argmin(log_doubts, limit):
    if len(log_doubts) == 0:
        return None
    place = int(np.argmin(log_doubts))
    return place if np.exp(log_doubts[place]) <= limit else None


@right("05.choose")
def choose_min(log_doubts, limit):
    doubt, place = min(((math.exp(d), place) for place, d in enumerate(log_doubts)), default=(math.inf, None))
    return None if doubt > limit else place


# 06

right("06.precision")(lambda ranked, judgments, k: len([p for p in ranked[:k] if p in judgments and judgments[p]]) / k)
right("06.precision")(
    lambda ranked, judgments, k: len({p for p, g in judgments.items() if g > 0} & set(ranked[:k])) / k
)


@right("06.precision")
def precision_loop(ranked, judgments, k):
    relevant = 0
    for place in range(k):
        if place < len(ranked) and judgments.get(ranked[place], 0) >= 1:
            relevant += 1
    return float(Fraction(relevant, k))


@right("06.ndcg")
def ndcg_arrays(ranked, judgments, k):
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gain = lambda grades: 2.0 ** np.pad(np.array(grades, dtype=float), (0, k))[:k] - 1
    found = gain([judgments.get(page, 0) for page in ranked])
    return float(found @ discounts / (gain(sorted(judgments.values())[::-1]) @ discounts))


@right("06.ndcg")
def ndcg_loop(ranked, judgments, k):
    def dcg(pages):
        total = 0.0
        for place, page in enumerate(pages):
            if place < k:
                total += (2 ** judgments.get(page, 0) - 1) * math.log(2) / math.log(place + 2)
        return total

    return dcg(ranked) / dcg(sorted(judgments, key=judgments.get, reverse=True))


@right("06.ndcg")
def ndcg_scikit_learn(ranked, judgments, k):
    from sklearn.metrics import ndcg_score

    pages = [*ranked, *(page for page in judgments if page not in ranked)]
    gains = [2 ** judgments.get(page, 0) - 1 for page in pages]
    scores = [len(ranked) - place if place < len(ranked) else -1 for place in range(len(pages))]
    # Pages that were not found gain nothing; filling puts them behind place k.
    fill = [0] * k
    return float(ndcg_score([[*gains, *fill]], [[*scores, *([-0.5] * k)]], k=k))


@right("06.fair_reciprocal_rank")
def fair_bounds(scores, relevant):
    ranked = sorted(scores, reverse=True)
    first = ranked.index(scores[relevant]) + 1
    last = len(ranked) - ranked[::-1].index(scores[relevant])
    return float(np.mean(1 / np.arange(first, last + 1)))


@right("06.fair_reciprocal_rank")
def fair_arrays(scores, relevant):
    values = np.array(scores)
    above, equal = (values > values[relevant]).sum(), (values == values[relevant]).sum()
    return (1 / (above + 1 + np.arange(equal))).mean()


@right("06.fair_reciprocal_rank")
def fair_fractions(scores, relevant):
    mine = scores[relevant]
    above, equal = sum(s > mine for s in scores), scores.count(mine)
    return sum((Fraction(1, above + place + 1) for place in range(equal)), Fraction(0)) / equal


right("06.questions_needed")(
    lambda standard_deviation, half_width: int(np.ceil((1.96 * standard_deviation / half_width) ** 2))
)
right("06.questions_needed")(
    lambda standard_deviation, half_width: -int(-((1.96 * standard_deviation / half_width) ** 2) // 1)
)


@right("06.questions_needed")
def needed_by_whole(standard_deviation, half_width):
    n = (1.96 * standard_deviation / half_width) ** 2
    return int(n) if n == int(n) else int(n) + 1


@right("06.sign_test")
def sign_test_scipy(differences):
    from scipy.stats import binomtest

    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


@right("06.sign_test")
def sign_test_upper_tail(differences):
    signs = np.sign([d for d in differences if d])
    n, more = len(signs), max((signs > 0).sum(), (signs < 0).sum())
    return min(1.0, 2 * sum(math.comb(n, int(c)) for c in range(int(more), n + 1)) * 0.5**n)


@right("06.sign_test")
def sign_test_pascal(differences):
    row = [Fraction(1)]
    for _ in (d for d in differences if d != 0):
        row = [(a + b) / 2 for a, b in zip([0, *row], [*row, 0], strict=True)]
    losses = sum(d < 0 for d in differences)
    fewer = min(losses, len(row) - 1 - losses)
    return min(1, 2 * sum(row[: fewer + 1]))


@right("06.sign_test")
def sign_test_uneven(differences):
    wins, n = sum(d > 0 for d in differences), sum(d != 0 for d in differences)
    as_uneven = [c for c in range(n + 1) if abs(2 * c - n) >= abs(2 * wins - n)]
    return sum(math.comb(n, c) for c in as_uneven) / 2**n


@right("06.best_f1")
def best_f1_harmonic(prediction, answers):
    from ragedu.evaluation.answers import normalise

    best = 0.0
    for answer in answers:
        said, wanted = Counter(normalise(prediction).split()), Counter(normalise(answer).split())
        shared = sum(min(said[word], wanted[word]) for word in said)
        if shared:
            precision, recall = shared / sum(said.values()), shared / sum(wanted.values())
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


@right("06.best_f1")
def best_f1_removing(prediction, answers):
    from ragedu.evaluation.answers import normalise

    def f1(said, left):
        n, shared = len(said) + len(left), 0
        for word in said:
            if word in left:
                left.remove(word)
                shared += 1
        return 2 * shared / n if n else 0.0

    return max(f1(normalise(prediction).split(), normalise(answer).split()) for answer in answers)


@right("06.best_f1")
def best_f1_fractions(prediction, answers):
    from ragedu.evaluation.answers import normalise

    said = Counter(normalise(prediction).split())
    pairs = [(said, Counter(normalise(answer).split())) for answer in answers]
    return max(float(Fraction(2 * (a & b).total(), max(1, a.total() + b.total()))) for a, b in pairs)


# 07

right("07.perplexity")(lambda texts: math.exp(-sum(map(sum, texts)) / sum(map(len, texts))))
right("07.perplexity")(lambda texts: float(1 / np.exp(np.mean(np.hstack(texts)))))
right("07.perplexity")(lambda texts: float(np.exp(np.average([-p for text in texts for p in text]))))


@right("07.perplexity")
def perplexity_weighted(texts):
    texts = [text for text in texts if len(text)]
    return math.exp(np.average([-text.mean() for text in texts], weights=[len(text) for text in texts]))


@right("07.perplexity")
def perplexity_torch(texts):
    import torch

    return torch.exp(-torch.cat([torch.tensor(text) for text in texts]).mean()).item()


@right("07.answer_loss")
def answer_loss_loop(logits, ids, prompt):
    losses = []
    for place in range(prompt, len(ids)):
        powers = [math.exp(x) for x in logits[place - 1]]
        losses.append(-math.log(powers[ids[place]] / sum(powers)))
    return sum(losses) / len(losses)


@right("07.answer_loss")
def answer_loss_torch(logits, ids, prompt):
    import torch

    return torch.nn.functional.cross_entropy(torch.tensor(logits)[prompt - 1 : -1], torch.tensor(ids)[prompt:]).item()


@right("07.answer_loss")
def answer_loss_scipy(logits, ids, prompt):
    from scipy.special import log_softmax

    rows = log_softmax(logits, axis=1)[prompt - 1 : len(ids) - 1]
    return -np.take_along_axis(rows, np.array(ids[prompt:])[:, None], axis=1).mean()


@right("07.answer_loss")
def answer_loss_scikit_learn(logits, ids, prompt):
    from sklearn.metrics import log_loss

    powers = np.exp(logits[prompt - 1 : -1])
    p = powers / powers.sum(axis=1, keepdims=True)
    return float(log_loss(ids[prompt:], p, labels=list(range(logits.shape[1]))))


@right("07.answer_loss")
def answer_loss_one_hot(logits, ids, prompt):
    p = np.exp(logits) / np.exp(logits).sum(axis=1)[:, None]
    wanted = np.eye(logits.shape[1])[ids[prompt:]]
    return float(-np.log((p[prompt - 1 : -1] * wanted).sum(axis=1)).mean())


@right("07.break_even")
def break_even_difference(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    difference = reader * rag_tokens - tuned * closed_tokens
    return math.inf if difference <= 0 else 3 * tuned * training_tokens / difference


@right("07.break_even")
def break_even_fraction(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    try:
        n = Fraction(6 * tuned * training_tokens, 2 * (reader * rag_tokens - tuned * closed_tokens))
    except ZeroDivisionError:
        return float("inf")
    return n if n > 0 else float("inf")


@right("07.break_even")
def break_even_prices(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    training, closed, rag = 6 * tuned * training_tokens, 2 * tuned * closed_tokens, 2 * reader * rag_tokens
    if rag > closed:
        return np.float64(training) / np.float64(rag - closed)
    return np.inf


@right("07.share_right")
def share_right_counters(right, pages, readings):
    asked = Counter(readings[page] for page in pages)
    known = Counter()
    for value, page in zip(right, pages, strict=True):
        known[readings[page]] += value
    return {number: known[number] / asked[number] for number in asked}


@right("07.share_right")
def share_right_arrays(right, pages, readings):
    groups, values = np.array([readings[page] for page in pages], dtype=int), np.array(right)
    return {int(number): float(values[groups == number].mean()) for number in np.unique(groups)}


@right("07.share_right")
def share_right_sorted(right, pages, readings):
    pairs = sorted((readings[page], value) for page, value in zip(pages, right, strict=True))
    grouped = ((number, [value for _, value in its]) for number, its in groupby(pairs, key=lambda pair: pair[0]))
    return {number: math.fsum(values) / len(values) for number, values in grouped}


@right("07.forgetting")
def forgetting_counter(before, after):
    boxes = Counter(zip(before, after, strict=True))
    known, unknown = boxes[True, True] + boxes[True, False], boxes[False, True] + boxes[False, False]
    return boxes[True, False] / (known or 1), boxes[False, True] / (unknown or 1)


@right("07.forgetting")
def forgetting_arrays(before, after):
    b, a = np.array(before, dtype=bool), np.array(after, dtype=bool)
    return float((~a[b]).mean()) if b.any() else 0.0, float(a[~b].mean()) if (~b).any() else 0.0


@right("07.forgetting")
def forgetting_loop(before, after):
    lost = won = 0
    for place, was_known in enumerate(before):
        lost += was_known and not after[place]
        won += after[place] and not was_known
    return lost / max(1, before.count(True)), won / max(1, before.count(False))


# 08

right("08.next_token")(lambda documents, tokens: np.average(tokens, axis=0, weights=documents))
right("08.next_token")(lambda documents, tokens: (documents[:, None] * tokens).sum(axis=0))
right("08.next_token")(lambda documents, tokens: np.einsum("k,kv->v", documents, tokens))
right("08.next_token")(lambda documents, tokens: tokens.T.dot(documents) / documents.sum())
right("08.next_token")(lambda documents, tokens: np.array([math.fsum(documents * column) for column in tokens.T]))


@right("08.next_token")
def next_token_torch(documents, tokens):
    import torch

    return (torch.tensor(documents) @ torch.tensor(tokens)).numpy()


right("08.rag_sequence")(lambda documents, tokens: float(np.logaddexp.reduce(documents + tokens.sum(axis=1))))


@right("08.rag_sequence")
def rag_sequence_scipy(documents, tokens):
    from scipy.special import log_softmax, logsumexp

    return float(logsumexp(log_softmax(documents) + tokens.sum(axis=1)))


@right("08.rag_sequence")
def rag_sequence_torch(documents, tokens):
    import torch

    return torch.logsumexp(torch.tensor(documents) + torch.tensor(tokens).sum(1), 0).item()


@right("08.rag_sequence")
def rag_sequence_loop(documents, tokens):
    joint = [document + math.fsum(row) for document, row in zip(documents.tolist(), tokens.tolist(), strict=True)]
    return max(joint) + math.log(sum(math.exp(each - max(joint)) for each in joint))


@right("08.rag_sequence")
def rag_sequence_weighted(documents, tokens):
    joint = tokens.sum(axis=1) + documents
    best = joint.argmax()
    return joint[best] + np.log1p(np.exp(np.delete(joint, best) - joint[best]).sum())


@right("08.posteriors")
def posteriors_scipy(documents, tokens):
    from scipy.special import softmax

    return softmax(documents + np.cumsum(tokens, axis=1).T, axis=1)


@right("08.posteriors")
def posteriors_torch(documents, tokens):
    import torch

    return torch.softmax(torch.tensor(documents) + torch.tensor(tokens).cumsum(1).T, dim=1).numpy()


@right("08.posteriors")
def posteriors_step_by_step(documents, tokens):
    belief, rows = documents, []
    for column in tokens.T:
        belief = belief + column
        belief = belief - np.logaddexp.reduce(belief)
        rows.append(np.exp(belief))
    return np.array(rows)


@right("08.posteriors")
def posteriors_ratios(documents, tokens):
    joint = documents[:, None] + tokens.cumsum(axis=1)
    with np.errstate(over="ignore"):
        return (1 / np.exp(joint[None, :, :] - joint[:, None, :]).sum(axis=1)).T


@right("08.posteriors")
def posteriors_loop(documents, tokens):
    table = []
    for t in range(tokens.shape[1]):
        joint = [documents[z] + tokens[z, : t + 1].sum() for z in range(len(documents))]
        powers = [math.exp(each - max(joint)) for each in joint]
        table.append([power / sum(powers) for power in powers])
    return np.array(table)


@right("08.gradient")
def gradient_scipy(scores, tokens, temperature):
    from scipy.special import log_softmax, softmax

    prior = log_softmax(scores / temperature)
    return (softmax(prior + tokens.sum(axis=1)) - np.exp(prior)) / temperature


@right("08.gradient")
def gradient_torch(scores, tokens, temperature):
    import torch

    s = torch.tensor(scores, requires_grad=True)
    torch.logsumexp(torch.log_softmax(s / temperature, 0) + torch.tensor(tokens).sum(1), 0).backward()
    return s.grad.numpy()


@right("08.gradient")
def gradient_loop(scores, tokens, temperature):
    def softmax(values):
        powers = [math.exp(value - max(values)) for value in values]
        return [power / sum(powers) for power in powers]

    prior = softmax([score / temperature for score in scores])
    likely = [score / temperature + sum(row) for score, row in zip(scores, tokens.tolist(), strict=True)]
    return np.array([(b - a) / temperature for a, b in zip(prior, softmax(likely), strict=True)])


@right("08.gradient")
def gradient_jacobian(scores, tokens, temperature):
    powers = np.exp((scores - scores.max()) / temperature)
    prior = powers / powers.sum()
    answer = np.exp(tokens.sum(axis=1) - tokens.sum(axis=1).max())
    jacobian = (np.diag(prior) - np.outer(prior, prior)) / temperature
    return jacobian @ answer / (prior @ answer)


@right("08.gradient")
def gradient_bayes(scores, tokens, temperature):
    powers = np.exp((scores - scores.max()) / temperature)
    prior = powers / powers.sum()
    answer = np.exp(tokens.sum(axis=1) - tokens.sum(axis=1).max())
    return prior * (answer / np.average(answer, weights=prior) - 1) / temperature


@right("08.fast_decoding")
def decoding_default(documents, answers):
    total = defaultdict(float)
    for document, said in zip(documents, answers, strict=True):
        for answer in said:
            total[answer] += math.exp(document) * math.exp(said[answer])
    return dict(total)


@right("08.fast_decoding")
def decoding_by_answer(documents, answers):
    texts = set().union(*answers)
    weights = np.exp(documents)
    return {text: float(weights @ np.exp([said.get(text, -np.inf) for said in answers])) for text in texts}


@right("08.fast_decoding")
def decoding_counter(documents, answers):
    total = Counter()
    for document, said in zip(documents, answers, strict=True):
        total.update({text: math.exp(document + log_p) for text, log_p in said.items()})
    return total


# More, where a library has a form of its own: five for each of these exercises.


@right("01.document_frequency")
def df_by_pairs(documents):
    pairs = {(number, term) for number, document in enumerate(documents) for term in document}
    return dict(Counter(term for _, term in pairs))


@right("02.idf")
def idf_select(document_frequency, n_documents, variant):
    odds = (n_documents + 0.5 - document_frequency) / (0.5 + document_frequency)
    forms = [np.log1p(odds), np.where(odds > 1, np.log(odds), 0.0), np.log(n_documents) - np.log(document_frequency)]
    return forms[["lucene", "robertson", "atire"].index(variant)]


@right("02.idf")
def idf_logits(document_frequency, n_documents, variant):
    from scipy.special import logit

    if variant == "atire":
        return -np.log(document_frequency / n_documents)
    log_odds = -logit((document_frequency + 0.5) / (n_documents + 1))
    return np.logaddexp(0, log_odds) if variant == "lucene" else log_odds.clip(min=0)


@right("03.quantise")
def quantise_scikit_learn(vectors):
    from sklearn.preprocessing import maxabs_scale

    return np.round(127 * maxabs_scale(vectors, axis=1)).astype(np.int8), np.abs(vectors).max(axis=1) / 127


@right("03.quantise")
def quantise_norm(vectors):
    scales = np.linalg.norm(vectors, ord=np.inf, axis=1) / 127
    return np.array([np.round(row / scale) for row, scale in zip(vectors, scales, strict=True)], dtype=np.int8), scales


@right("03.info_nce")
def info_nce_probabilities(cosines, passages, temperature):
    names = np.array(passages)
    copies = np.equal.outer(names, names)
    np.fill_diagonal(copies, False)
    powers = np.where(copies, 0, np.exp(cosines / temperature))
    return float(-np.log(np.diag(powers / powers.sum(axis=1, keepdims=True))).mean())


@right("03.info_nce")
def info_nce_rows(cosines, passages, temperature):
    losses = []
    for i, row in enumerate(cosines / temperature):
        kept = np.array([j == i or passage != passages[i] for j, passage in enumerate(passages)])
        losses.append(np.logaddexp.reduce(row[kept]) - row[i])
    return np.mean(losses)


@right("04.min_p")
def min_p_differences(logits, share):
    kept = np.where(logits - logits.max() >= np.log(share), logits, -np.inf)
    powers = np.exp(kept - kept.max())
    return powers / powers.sum()


@right("04.penalise")
def penalise_max(logits, seen, penalty):
    penalised = np.minimum(logits / penalty, logits * penalty)
    return np.array([penalised[token] if token in seen else logit for token, logit in enumerate(logits)])


@right("05.rescale")
def rescale_torch(scores):
    import torch

    values = torch.tensor(list(scores.values()), dtype=torch.double)
    if not len(values) or values.amin() == values.amax():
        return {page: 1.0 for page in scores}
    scaled = (values - values.amin()) / (values.amax() - values.amin())
    return dict(zip(scores, scaled.tolist(), strict=True))


@right("05.rescale")
def rescale_interpolated(scores):
    if len(set(scores.values())) <= 1:
        return {page: 1.0 for page in scores}
    ends = min(scores.values()), max(scores.values())
    return {page: float(np.interp(score, ends, (0, 1))) for page, score in scores.items()}


@right("06.ndcg")
def ndcg_fsum(ranked, judgments, k):
    gains = [2 ** judgments.get(page, 0) - 1 for page in ranked]
    ideal = sorted((2**grade - 1 for grade in judgments.values()), reverse=True)
    dcg = lambda values: math.fsum(value / math.log2(2 + place) for place, value in enumerate(values[:k]))
    return dcg(gains) / dcg(ideal)


@right("06.ndcg")
def ndcg_torch(ranked, judgments, k):
    import torch

    def dcg(grades):
        gains = torch.exp2(torch.tensor(grades[:k], dtype=torch.double)) - 1
        return (gains / torch.log2(torch.arange(len(gains)) + 2.0).double()).sum()

    found, best = [judgments.get(page, 0) for page in ranked], sorted(judgments.values(), reverse=True)
    return (dcg(found) / dcg(best)).item()


@right("06.sign_test")
def sign_test_distribution(differences):
    from scipy.stats import binom

    wins, n = sum(d > 0 for d in differences), sum(d != 0 for d in differences)
    return float(min(1.0, 2 * binom.cdf(min(wins, n - wins), n, 0.5)))


# And so that each exercise has five.


@right("00.contains")
def by_windows(text, answers):
    words = words_of(text)
    windows = lambda size: zip(*(words[start:] for start in range(size)), strict=False)
    return any(tuple(words_of(answer)) in windows(len(words_of(answer))) for answer in answers)


@right("00.contains")
def by_scikit_learn(text, answers):
    from sklearn.feature_extraction.text import CountVectorizer

    wanted = [words_of(answer) for answer in answers]
    longest = max(map(len, wanted), default=1)
    grams = CountVectorizer(token_pattern="[a-z0-9]+", ngram_range=(1, longest)).build_analyzer()(text)
    return not set(grams).isdisjoint(map(" ".join, wanted))


@right("00.retrieve")
def by_heap(question, pages, k):
    import heapq

    asked = frozenset(words_of(question))
    return heapq.nlargest(k, pages, key=lambda name: len(asked & set(words_of(pages[name]))))


@right("00.retrieve")
def by_most_common(question, pages, k):
    counts = Counter(dict.fromkeys(pages, 0))
    for word in set(words_of(question)):
        counts.update(name for name, text in pages.items() if word in words_of(text))
    return [name for name, _ in counts.most_common(k)]


@right("00.build_prompt")
def by_bisection(question, sources, most_words):
    kept = bisect_right(list(accumulate(len(source.split()) for source in sources)), most_words)
    return "\n".join([*map("[{}] {}".format, range(1, kept + 1), sources), f"Question: {question}"])


@right("00.build_prompt")
def by_recursion(question, sources, most_words, number=1):
    if not sources or len(sources[0].split()) > most_words:
        return "Question: " + question
    rest = by_recursion(question, sources[1:], most_words - len(sources[0].split()), number + 1)
    return f"[{number}] {sources[0]}\n{rest}"


@right("00.ask")
def by_percent(question, retrieve, generate):
    source = retrieve(question)
    prompt = "%s\nQuestion: %s" % (source, question)  # noqa: UP031
    return generate(prompt), source


right("00.ask")(lambda question, retrieve, generate: (
    lambda source: (generate(source + "\n" + f"Question: {question}"), source)
)(retrieve(question)))  # fmt: skip


@right("00.diagnose")
def by_confusion_matrix(found, right):
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(found, right, labels=[True, False]) if found else np.zeros((2, 2), dtype=int)
    return dict(zip(["right", "not read", "lucky", "not found"], counts.ravel().tolist(), strict=True))


@right("00.diagnose")
def by_bincount(found, right):
    numbers = 2 * np.array(found, dtype=int) + np.array(right, dtype=int)
    return dict(zip(["not found", "lucky", "not read", "right"], np.bincount(numbers, minlength=4), strict=True))


right("01.distance_from_cosine")(lambda cosine: abs(1 - complex(cosine, math.sqrt(1 - cosine**2))))


@right("01.decisive_term")
def decisive_scikit_learn(query, winner, loser, vocabulary):
    from sklearn.preprocessing import normalize

    rows = normalize([winner, loser])
    return vocabulary[(query * (rows[0] - rows[1])).argmax()]


@right("01.decisive_term")
def decisive_torch(query, winner, loser, vocabulary):
    import torch

    one, other = torch.nn.functional.normalize(torch.tensor(np.stack([winner, loser])), dim=1)
    return vocabulary[int(torch.argmax(torch.tensor(query) * (one - other)))]


@right("02.mentions_needed")
def mentions_by_search(share, k1, b, relative_length):
    from scipy.optimize import brentq

    k = k1 * (1 - b + b * relative_length)
    return brentq(lambda tf: tf / (tf + k) - share, 0, 1e6)


@right("02.mentions_needed")
def mentions_by_roots(share, k1, b, relative_length):
    return float(np.roots([1 - share, -share * k1 * (1 - b + b * relative_length)])[0])


@right("02.skippable")
def skippable_loop(max_weights, threshold):
    skipped, total = [], 0.0
    for term, weight in sorted(max_weights.items(), key=lambda item: item[1]):
        total += weight
        if total > threshold:
            break
        skipped.append(term)
    return skipped


@right("02.skippable")
def skippable_heap(max_weights, threshold):
    import heapq

    heap = [(weight, place, term) for place, (term, weight) in enumerate(max_weights.items())]
    heapq.heapify(heap)
    skipped, total = [], 0.0
    while heap and total + heap[0][0] <= threshold:
        weight, _, term = heapq.heappop(heap)
        total, skipped = total + weight, [*skipped, term]
    return skipped


@right("02.analyze")
def analyze_callback(text):
    from ragedu import Analyzer

    terms = Analyzer()(text)
    keep = lambda match: terms.append(match[0]) if not match[0].replace("-", "").replace("/", "").isalpha() else None
    re.sub("[a-z0-9]+(?:[/-][a-z0-9]+)+", lambda match: keep(match) or "", text.lower())
    return terms


@right("02.analyze")
def analyze_merging(text):
    from ragedu import Analyzer

    codes, text = [], text.lower()
    for match in re.finditer("[a-z0-9]+", text):
        start, end = match.span()
        if codes and start == codes[-1][1] + 1 and text[start - 1] in "-/":
            codes[-1] = (codes[-1][0], end)
        else:
            codes.append((start, end))
    found = [text[start:end] for start, end in codes]
    return Analyzer()(text) + [code for code in found if set("-/") & set(code) and set("0123456789") & set(code)]


@right("03.recall")
def recall_sets(found, exact):
    shared = [set(got) & set(right) for got, right in zip(found.tolist(), exact.tolist(), strict=True)]
    return sum(map(len, shared)) / sum(map(len, exact))


@right("03.recall")
def recall_intersections(found, exact):
    n, k = exact.shape
    return sum(np.intersect1d(found[row], exact[row]).size for row in range(n)) / (n * k)


@right("04.beam_search")
def beam_arrays(following, start, steps, width):
    texts, scores = [[start]], np.zeros(1)
    for _ in range(steps):
        parts = [[(text, 0.0)] for text in texts]
        for place, text in enumerate(texts):
            if text[-1] in following:
                parts[place] = [([*text, word], math.log(p)) for word, p in following[text[-1]].items()]
        scores = np.concatenate([score + [log_p for _, log_p in its] for score, its in zip(scores, parts, strict=True)])
        longer = [text for its in parts for text, _ in its]
        order = np.argsort(-scores, kind="stable")[:width]
        texts, scores = [longer[place] for place in order], scores[order]
    return texts[0]


@right("04.beam_search")
def beam_recursive(following, start, steps, width, beams=None):
    beams = beams or [([start], 1.0)]
    if steps == 0:
        return max(beams, key=lambda beam: beam[1])[0]
    longer = []
    for words, p in beams:
        nexts = following.get(words[-1]) or {None: 1.0}
        longer += [(words if word is None else words + [word], p * its) for word, its in nexts.items()]
    best = sorted(longer, key=lambda beam: beam[1])[::-1][:width]
    return beam_recursive(following, start, steps - 1, width, best)


@right("05.fuse")
def fuse_bincount(rankings, k):
    pages = [list(dict.fromkeys(piece.split("/")[0] for piece in ranking)) for ranking in rankings]
    names, places = np.unique([page for its in pages for page in its], return_inverse=True)
    weights = [1 / (k + rank) for its in pages for rank in range(1, len(its) + 1)]
    return dict(zip(names.tolist(), np.bincount(places, weights, len(names)).tolist(), strict=True)) if weights else {}


@right("05.fuse")
def fuse_best_rank(rankings, k):
    fused = defaultdict(Fraction)
    for ranking in rankings:
        first = {}
        for place, piece in enumerate(ranking):
            first.setdefault(piece.rpartition("/")[0], place)
        for page, place in first.items():
            fused[page] += Fraction(1, k + 1 + sum(other < place for other in first.values()))
    return dict(fused)


@right("05.within_budget")
def budget_accumulate(sizes, fixed, budget):
    used = list(accumulate(sizes, lambda n, size: n + size if n + size <= budget else n, initial=fixed))
    return [place for place, size in enumerate(sizes) if used[place] + size <= budget]


@right("05.within_budget")
def budget_recursive(sizes, fixed, budget, place=0):
    if place == len(sizes):
        return []
    if fixed + sizes[place] > budget:
        return budget_recursive(sizes, fixed, budget, place + 1)
    return [place] + budget_recursive(sizes, fixed + sizes[place], budget, place + 1)


@right("05.cut")
def cut_deque(sentences, words, overlap):
    from collections import deque

    chunks, window, used = [], deque(), 0
    for sentence in sentences:
        n = len(sentence.split())
        if window and used + n > words:
            chunks.append(" ".join(window))
            while window and (used > overlap or used + n > words):
                used -= len(window.popleft().split())
        window.append(sentence)
        used += n
    return [*chunks, " ".join(window)] if window else chunks


@right("05.cut")
def cut_searchsorted(sentences, words, overlap):
    total = np.cumsum([0, *(len(sentence.split()) for sentence in sentences)])
    chunks, start, end = [], 0, 0
    while end < len(sentences):
        end = int(np.searchsorted(total, total[start] + words, side="right")) - 1
        chunks.append(" ".join(sentences[start:end]))
        if end < len(sentences):
            start = int(np.searchsorted(total, max(total[end] - overlap, total[end + 1] - words)))
    return chunks


@right("05.choose")
def choose_filtered(log_doubts, limit):
    allowed = (place for place, doubt in enumerate(log_doubts) if math.exp(doubt) <= limit)
    return min(allowed, key=lambda place: log_doubts[place], default=None)


@right("05.choose")
def choose_masked(log_doubts, limit):
    doubts = np.exp(np.array(log_doubts, dtype=float))
    allowed = np.flatnonzero(doubts <= limit)
    return allowed[doubts[allowed].argmin()] if allowed.size else None


@right("06.precision")
def precision_isin(ranked, judgments, k):
    relevant = [page for page, grade in judgments.items() if grade > 0]
    return np.isin(np.array(ranked[:k], dtype=object), relevant).sum() / k


@right("06.precision")
def precision_counters(ranked, judgments, k):
    return (Counter(ranked[:k]) & Counter(page for page in judgments if judgments[page] > 0)).total() / k


@right("06.fair_reciprocal_rank")
def fair_scipy(scores, relevant):
    from scipy.stats import rankdata

    first, last = (int(rankdata(-np.array(scores), how)[relevant]) for how in ("min", "max"))
    return sum(1 / rank for rank in range(first, last + 1)) / (last - first + 1)


@right("06.fair_reciprocal_rank")
def fair_harmonic(scores, relevant):
    from scipy.special import digamma

    above = sum(score > scores[relevant] for score in scores)
    equal = sum(score == scores[relevant] for score in scores)
    return (digamma(above + equal + 1) - digamma(above + 1)) / equal


@right("06.questions_needed")
def needed_by_bisection(standard_deviation, half_width):
    from bisect import bisect_left

    z = 1.96
    return bisect_left(range(10**8), True, key=lambda n: n >= (z * standard_deviation / half_width) ** 2)


@right("06.questions_needed")
def needed_by_remainder(standard_deviation, half_width):
    whole, rest = divmod((1.96 / half_width * standard_deviation) ** 2, 1)
    return int(whole) + (rest > 0)


@right("06.best_f1")
def best_f1_numbered(prediction, answers):
    from ragedu.evaluation.answers import normalise

    def numbered(text):
        words = normalise(text).split()
        return {(word, words[:place].count(word)) for place, word in enumerate(words)}

    dice = lambda a, b: 2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0
    return max(dice(numbered(prediction), numbered(answer)) for answer in answers)


@right("06.best_f1")
def best_f1_scikit_learn(prediction, answers):
    from sklearn.feature_extraction.text import CountVectorizer

    from ragedu.evaluation.answers import normalise

    model = CountVectorizer(analyzer=lambda text: [*normalise(text).split(), "the end"])
    counts = model.fit_transform([prediction, *answers]).toarray()
    shared = np.minimum(counts[1:], counts[0]).sum(axis=1) - 1
    n_words = counts[1:].sum(axis=1) + counts[0].sum() - 2
    return float((2 * shared / np.maximum(n_words, 1)).max())


@right("07.break_even")
def break_even_dividing(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    saved = np.float64(2 * reader * rag_tokens - 2 * tuned * closed_tokens)
    with np.errstate(divide="ignore"):
        return float(6 * tuned * training_tokens / max(saved, np.float64(0)))


@right("07.break_even")
def break_even_lines(tuned, training_tokens, closed_tokens, reader, rag_tokens):
    """Where the two lines of the costs cross, in units of what one question to RAG costs."""
    unit = 2 * reader * rag_tokens
    start, slope = 6 * tuned * training_tokens / unit, 2 * tuned * closed_tokens / unit
    if slope >= 1:
        return math.inf
    return float(np.linalg.solve([[1, -1], [slope, -1]], [0, -start])[0])


@right("07.share_right")
def share_right_bincount(right, pages, readings):
    numbers, groups = np.unique(np.array([readings[page] for page in pages], dtype=int), return_inverse=True)
    means = np.bincount(groups, right, len(numbers)) / np.bincount(groups, minlength=len(numbers)) if pages else []
    return dict(zip(numbers.tolist(), means, strict=True))


@right("07.share_right")
def share_right_lists(right, pages, readings):
    from statistics import fmean

    groups = defaultdict(list)
    for place, page in enumerate(pages):
        groups[readings[page]].append(right[place])
    return {number: fmean(values) for number, values in groups.items()}


@right("07.forgetting")
def forgetting_scikit_learn(before, after):
    from sklearn.metrics import confusion_matrix

    if not before:
        return 0.0, 0.0
    shares = confusion_matrix(before, after, labels=[False, True], normalize="true")
    return float(shares[1, 0]), float(shares[0, 1])


@right("07.forgetting")
def forgetting_means(before, after):
    from statistics import fmean

    rate = lambda values: fmean(values) if values else 0.0
    lost = [not now for was, now in zip(before, after, strict=True) if was]
    return rate(lost), rate([now for was, now in zip(before, after, strict=True) if not was])


@right("08.fast_decoding")
def decoding_logs(documents, answers):
    total = {}
    for document, said in zip(documents, answers, strict=True):
        for text, log_p in said.items():
            total[text] = np.logaddexp(total.get(text, -np.inf), document + log_p)
    return {text: math.exp(log_p) for text, log_p in total.items()}


@right("08.fast_decoding")
def decoding_scipy(documents, answers):
    from scipy.special import logsumexp

    joint = defaultdict(list)
    for place, said in enumerate(answers):
        for text in said:
            joint[text].append(documents[place] + said[text])
    return {text: float(np.exp(logsumexp(values))) for text, values in joint.items()}
