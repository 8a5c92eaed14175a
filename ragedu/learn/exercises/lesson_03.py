"""The exercises of lesson 03, dense retrieval."""

from __future__ import annotations

import numpy as np

from ragedu.learn.exercise import Exercise


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# Warm-up: shorter vectors.


def shorten(vectors, dimension):
    return unit(vectors[:, :dimension])


shortening = Exercise(
    name="03.shorten",
    title="Half the memory",
    minutes=5,
    reference=shorten,
    cases=[
        (np.array([[0.6, 0.0, 0.8], [0.48, 0.6, 0.64], [0.0, 0.8, 0.6]]), 2),
        (np.array([[0.6, 0.8]]), 2),
        (np.array([[-0.6, 0.8]]), 1),
    ],
    random_case=lambda dice: (unit(dice.normal(size=(3, 6))), int(dice.integers(1, 6))),
    mistakes={
        "The shortened rows no longer have length 1, so their dot products are no cosines.": (
            lambda vectors, dimension: vectors[:, :dimension]
        ),
        "This keeps the first texts; the first numbers of every text were wanted: vectors[:, :dimension].": (
            lambda vectors, dimension: unit(vectors[:dimension])
        ),
        "This keeps the last numbers. Models that are made to be cut put what matters most in front.": (
            lambda vectors, dimension: unit(vectors[:, -dimension:])
        ),
        "All rows are divided by one length. Each text has its own: axis=1, keepdims=True.": (
            lambda vectors, dimension: vectors[:, :dimension] / np.linalg.norm(vectors[:, :dimension])
        ),
        "Each column is divided by its own length. Each text, that is each row, has one: axis=1.": (
            lambda vectors, dimension: vectors[:, :dimension] / np.linalg.norm(vectors[:, :dimension], axis=0)
        ),
        "The lengths lie flat, one for each text. keepdims=True makes a column, which divides the rows.": (
            lambda vectors, dimension: vectors[:, :dimension] / np.linalg.norm(vectors[:, :dimension], axis=1)
        ),
    },
    hints=(
        "Which of the two axes counts texts, and which counts numbers?",
        "Cut first. How long is each row then?",
        "np.linalg.norm(rows, axis=1, keepdims=True) has one length for each row, in a shape that divides rows.",
    ),
)


# One byte for each number.


def quantise(vectors):
    scales = np.abs(vectors).max(axis=1) / 127
    return np.round(vectors / scales[:, None]).astype(np.int8), scales


def _one_scale(vectors):
    scale = np.abs(vectors).max() / 127
    return np.round(vectors / scale).astype(np.int8), np.full(len(vectors), scale)


def _cut_off(vectors):
    scales = np.abs(vectors).max(axis=1) / 127
    return (vectors / scales[:, None]).astype(np.int8), scales


def _overflow(vectors):
    scales = np.abs(vectors).max(axis=1) / 128
    return np.round(vectors / scales[:, None]).astype(np.int64).astype(np.int8), scales


def _signed_largest(vectors):
    scales = vectors.max(axis=1) / 127
    return np.round(vectors / scales[:, None]).astype(np.int64).astype(np.int8), scales


def _no_integers(vectors):
    scales = np.abs(vectors).max(axis=1) / 127
    return np.round(vectors / scales[:, None]), scales


def _by_column(vectors):
    scales = np.abs(vectors).max(axis=0) / 127
    return np.round(vectors / scales).astype(np.int8), scales


def _flat(vectors):
    scales = np.abs(vectors).max(axis=1) / 127
    return np.round(vectors / scales).astype(np.int8), scales


def _steps_in_one(vectors):
    codes, scales = quantise(vectors)
    return codes, 1 / scales


def _same_step(vectors):
    return np.round(vectors * 127).astype(np.int64).astype(np.int8), np.full(len(vectors), 1 / 127)


quantising = Exercise(
    name="03.quantise",
    title="One byte for each number",
    minutes=10,
    reference=quantise,
    cases=[
        (np.array([[1.0, 0.4, -0.2]]),),
        (np.array([[0.3, -1.0], [0.1, 0.3], [-0.5, 0.2]]),),
        (np.array([[-2.0, 1.99, 0.0], [0.3, 0.0, -0.1]]),),
    ],
    random_case=lambda dice: (dice.normal(size=(3, 5)).round(3),),
    mistakes={
        "One scale for all rows wastes the range of every row but the one with the largest number.": _one_scale,
        "astype cuts off what is behind the point: 63.9 becomes 63. Round first.": _cut_off,
        "int8 reaches from -128 to 127, so 128 falls over the edge and becomes -128. Scale to 127.": _overflow,
        "The largest number may be negative: take the largest absolute value of the row.": _signed_largest,
        "The codes take eight bytes each, as floats or as int64: convert them to np.int8.": _no_integers,
        "The scales are those of the columns; each text, a row, was to have one.": _by_column,
        "The scales lie flat, one for each text. scales[:, None] makes a column, which divides the rows.": _flat,
        "This is how many steps make 1. The scale is what one step is worth: one divided by it.": _steps_in_one,
        "The step is 1/127 everywhere here. Choose it for each row, so that its largest absolute value becomes 127.": (
            _same_step
        ),
    },
    hints=(
        "The number with the largest absolute value of a row shall become 127 or -127. What is one step then worth?",
        "scale = largest absolute value / 127, for each row; code = value / scale, rounded.",
        "np.round(…).astype(np.int8), and scales[:, None] turns the scales into a column that divides the rows.",
    ),
)


# How many of the true neighbours were found?


def recall(found, exact):
    return float(np.mean([len(set(f) & set(e)) / len(e) for f, e in zip(found.tolist(), exact.tolist(), strict=True)]))


def _same_place(found, exact):
    width = min(found.shape[1], exact.shape[1])
    return float((found[:, :width] == exact[:, :width]).sum() / exact.size)


def _of_found(found, exact):
    pairs = zip(found.tolist(), exact.tolist(), strict=True)
    return float(np.mean([len(set(f) & set(e)) / max(1, len(set(f) - {-1})) for f, e in pairs]))


def _anywhere(found, exact):
    return float(np.mean(np.isin(exact, found)))


def _at_least_one(found, exact):
    return float(np.mean([bool(set(f) & set(e)) for f, e in zip(found.tolist(), exact.tolist(), strict=True)]))


def _width(found, exact):
    return recall(found, exact) * exact.shape[1] / found.shape[1]


def _neighbours(dice):
    exact = np.array([dice.permutation(9)[:3] for _ in range(4)])
    found = np.array([dice.permutation(9)[:5] for _ in range(4)])
    found[0, 1:] = -1
    found[1, 3:] = -1
    return found, exact


neighbours = Exercise(
    name="03.recall",
    title="What an index misses",
    minutes=8,
    reference=recall,
    cases=[
        (np.array([[4, 2]]), np.array([[4, 2]])),
        (np.array([[2, 4]]), np.array([[4, 7]])),
        (np.array([[3, -1], [5, 8]]), np.array([[3, 1], [8, 5]])),
        (np.array([[1, 2, 3, 4]]), np.array([[4, 9]])),
    ],
    random_case=_neighbours,
    mistakes={
        "This compares place with place. A neighbour that was found in another order was found.": _same_place,
        "This divides by the number found: that is precision. Who finds one and misses nine would be perfect.": (
            _of_found
        ),
        "A neighbour counts as found when it was found for any of the queries. Compare row with row.": _anywhere,
        "This asks whether any of the neighbours was found, which is success; recall is the share.": _at_least_one,
        "This divides by how many places `found` has; what is to be found is in `exact`.": _width,
        "Only the first k candidates are looked at. Whoever asks for more may use them all.": (
            lambda found, exact: recall(found[:, : exact.shape[1]], exact)
        ),
    },
    hints=(
        "Take one row of each. Does the order matter?",
        "set(a) & set(b) are those found. FAISS writes -1 where it found nothing, and no true neighbour is called -1.",
        "For each row the number of common elements, divided by the length of the row of `exact`; then the mean.",
    ),
)


# InfoNCE, when a passage stands twice in the batch.


def info_nce(cosines, passages, temperature):
    return _loss(cosines, passages, temperature)


def _loss(cosines, passages, temperature, left_out="copies", axis=1, end=np.mean, log=np.log):
    """InfoNCE with something changed."""
    same = np.array([[a == b for b in passages] for a in passages])
    if left_out == "copies":
        keep = ~same | np.eye(len(passages), dtype=bool)
    elif left_out == "own too":
        keep = ~same
    else:
        keep = np.ones_like(same)
    powers = np.exp(cosines / temperature) * keep
    right = np.exp(np.diagonal(cosines) / temperature)
    return float(end(-log(right / powers.sum(axis=axis))))


def _first_only(cosines, passages, temperature):
    rows = [n for n, passage in enumerate(passages) if passage not in passages[:n]]
    return _loss(cosines[np.ix_(rows, rows)], [passages[n] for n in rows], temperature)


def _cosine_zero(cosines, passages, temperature):
    copies = np.array([[a == b for b in passages] for a in passages]) & ~np.eye(len(passages), dtype=bool)
    return _loss(np.where(copies, 0, cosines), passages, temperature, left_out="nothing")


def _each_passage_once(cosines, passages, temperature):
    powers, losses = np.exp(cosines / temperature), []
    for n, row in enumerate(powers):
        once = dict(zip(passages, row, strict=True)) | {passages[n]: row[n]}
        losses.append(-np.log(row[n] / sum(once.values())))
    return float(np.mean(losses))


def _batch(dice):
    numbers = dice.permutation([0, 0, 0, 1, 2])
    cosines = dice.uniform(0.1, 0.9, size=(5, 3)).round(2)[:, numbers]  # copies are equally near to a question
    return cosines, [f"p{number}" for number in numbers], float(dice.choice([0.2, 0.5, 1.0]))


contrast = Exercise(
    name="03.info_nce",
    title="The passage that stands there twice",
    minutes=15,
    reference=info_nce,
    cases=[
        (np.array([[0.8, 0.2], [0.1, 0.9]]), ["p1", "p2"], 0.5),
        (np.array([[0.8, 0.8], [0.7, 0.7]]), ["p1", "p1"], 0.5),
        (np.array([[0.8, 0.2, 0.8], [0.1, 0.9, 0.1], [0.7, 0.3, 0.7]]), ["p1", "p2", "p1"], 0.2),
    ],
    random_case=_batch,
    mistakes={
        "The copies of a question's own passage still count as wrong ones, and push it away from what answers it.": (
            lambda cosines, passages, temperature: _loss(cosines, passages, temperature, left_out="nothing")
        ),
        "The question's own passage is left out of the sum as well. It belongs there: the fraction is a probability.": (
            lambda cosines, passages, temperature: _loss(cosines, passages, temperature, left_out="own too")
        ),
        "The copies' cosines are set to 0, and e to the power of 0 is 1: they still count. Make the exponential 0.": (
            _cosine_zero
        ),
        "Every passage counts once here. Only the copies of the question's *own* passage are left out.": (
            _each_passage_once
        ),
        "The questions of repeated passages are gone. They teach as well; leave out the copies alone.": (_first_only),
        "This sums over the questions for each passage (columns). Each question chooses among passages: its row.": (
            lambda cosines, passages, temperature: _loss(cosines, passages, temperature, axis=0)
        ),
        "This is the sum over the batch; the loss is the mean.": (
            lambda cosines, passages, temperature: _loss(cosines, passages, temperature, end=np.sum)
        ),
        "The temperature is missing.": lambda cosines, passages, temperature: _loss(cosines, passages, 1.0),
        "This multiplies by the temperature; the cosines are divided by it.": (
            lambda cosines, passages, temperature: _loss(cosines, passages, 1 / temperature)
        ),
    },
    hints=(
        "Row i are the cosines of question i with all passages, and its own stands on the diagonal. Which ones "
        "of the row must not count as wrong?",
        "Make a table keep[i, j] that is False where j is another row with the same passage as i, and True elsewhere.",
        "Multiply the exponentials by keep before you sum each row; the right one is the diagonal.",
    ),
)


# Late interaction.


def late_interaction(query, document, mask):
    return float((query @ document[mask == 1].T).max(axis=1).sum())


def _late(masked=True, axis=1, end=np.sum, best=np.max):
    """Late interaction with something changed."""

    def changed(query, document, mask):
        cosines = query @ (document[mask == 1] if masked else document).T
        return float(end(best(cosines, axis=axis)))

    return changed


def _zeroed(query, document, mask):
    return float((query @ (document * mask[:, None]).T).max(axis=1).sum())


def _mask_as_places(query, document, mask):
    return late_interaction(query, document[mask], np.ones_like(mask))


def _until(query, document, mask):
    return late_interaction(query, document[: mask.sum()], mask[mask == 1])


def _best_pair(query, document, mask):
    return float((query @ document[mask == 1].T).max())


def _tokens(dice):
    query, document = unit(dice.normal(size=(3, 4))), unit(dice.normal(size=(6, 4)))
    document[4:] = unit(query[:2] + 0.1)  # filling that looks tempting
    query[2] = -unit(document[:4].sum(axis=0))  # and a piece that nothing resembles
    return query, document, np.array([1, 1, 1, 1, 0, 0])


late = Exercise(
    name="03.late_interaction",
    title="One vector is not enough",
    minutes=12,
    reference=late_interaction,
    cases=[
        (np.array([[1.0, 0.0]]), np.array([[0.6, 0.8], [0.28, 0.96]]), np.array([1, 1])),
        (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.6, 0.8], [0.8, 0.6], [0.0, 1.0]]), np.array([1, 1, 1])),
        (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.6, 0.8], [1.0, 0.0]]), np.array([1, 0])),
        (np.array([[1.0, 0.0]]), np.array([[-0.6, 0.8], [1.0, 0.0]]), np.array([1, 0])),
        (np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([0, 1])),
    ],
    random_case=_tokens,
    mistakes={
        "The filling is among the candidates: pieces whose mask is 0 are no words of the document.": _late(
            masked=False
        ),
        "Each piece of the document looks for its best piece of the question. It is the other way round.": _late(
            axis=0
        ),
        "This is the mean over the question's pieces; the score is their sum.": _late(end=np.mean),
        "This adds up all cosines. Each piece of the question counts with its best partner alone.": _late(best=np.sum),
        "Filling that is set to zeros has cosine 0, and 0 beats every negative cosine. Leave it out instead.": _zeroed,
        "`document[mask]` with numbers takes rows 0 and 1 again and again. A choice is true or false: mask == 1.": (
            _mask_as_places
        ),
        "This is divided by the number of the document's pieces. The score is the plain sum.": (
            lambda query, document, mask: late_interaction(query, document, mask) / mask.sum()
        ),
        "Filling needn't stand at the end: some models put it in front. Go by the mask itself, not by its sum.": _until,
        "This is the best of all pairs. Each piece of the question brings its own best; add these.": _best_pair,
    },
    hints=(
        "query @ document.T has a row for each piece of the question and a column for each piece of the document.",
        "Which columns may be chosen from? Then the largest of each row.",
        "Index the rows of the document with a condition on `mask`, and take .max along the axis of its pieces.",
    ),
)

EXERCISES = [shortening, quantising, neighbours, contrast, late]
