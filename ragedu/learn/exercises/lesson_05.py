"""The exercises of lesson 05, the whole RAG system."""

from __future__ import annotations

import math

from ragedu.learn.exercise import Exercise

# Warm-up: one scale.


def rescale(scores):
    return _scale(scores)


def _scale(scores, equal=1.0, reverse=False):
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if low == high:
        return dict.fromkeys(scores, equal)
    return {page: (high - s if reverse else s - low) / (high - low) for page, s in scores.items()}


def _divide_by_zero(scores):
    low, high = min(scores.values(), default=0), max(scores.values(), default=0)
    return {page: (score - low) / (high - low) for page, score in scores.items()}


def _empty_has_no_least(scores):
    min(scores.values())
    return _scale(scores)


def _by_the_largest(scores):
    return {page: score / max(scores.values()) for page, score in scores.items()}


def _by_the_sum(scores):
    return {page: score / sum(scores.values()) for page, score in scores.items()}


def _not_divided(scores):
    return {page: score - min(scores.values()) for page, score in scores.items()}


def _scores(dice):
    pages = ("mill", "quay", "wall", "bell", "choir")[: int(dice.integers(1, 6))]
    return ({page: float(score) for page, score in zip(pages, dice.integers(-3, 9, size=5) / 2, strict=False)},)


scaling = Exercise(
    name="05.rescale",
    title="One scale for every retriever",
    minutes=4,
    reference=rescale,
    cases=[
        ({"mill": 12.0, "quay": 11.0, "wall": 4.0},),
        ({"mill": 0.9, "quay": 0.1},),
        ({"mill": -2.0, "quay": 0.0, "wall": 2.0},),
        ({"mill": 3.0},),
        ({"mill": 0.5, "quay": 0.5},),
        ({},),
    ],
    random_case=_scores,
    mistakes={
        "Where all scores are equal, highest minus lowest is 0, and you divide by it. All pages get 1 then.": (
            _divide_by_zero
        ),
        "Pages of equal score get 0 here, as if they hadn't been found. All of them are the best: 1.": (
            lambda scores: _scale(scores, equal=0.0)
        ),
        "A retriever may find nothing, and an empty dictionary has no lowest score: then there is nothing to scale.": (
            _empty_has_no_least
        ),
        "This divides by the largest score. The lowest must become 0, so take it off first.": _by_the_largest,
        "This divides by the sum, as probabilities are made. Here the lowest becomes 0 and the highest 1.": _by_the_sum,
        "The lowest is taken off, and the division by highest minus lowest is missing.": _not_divided,
        "The worst page has 1 and the best 0: it is the wrong way round.": lambda scores: _scale(scores, reverse=True),
    },
    hints=(
        "The formula stands in the lesson. For which dictionaries can it not be computed?",
        "With one page, or with equal scores, highest minus lowest is 0. With no page there is neither.",
        "Return early: an empty dictionary for an empty one, and 1.0 for every page where all scores are equal.",
    ),
)


# Reciprocal rank fusion of passages.


def fuse(rankings, k):
    return _fuse(rankings, k)


def _page(piece):
    return piece.partition("/")[0]


def _fuse(rankings, k, page=_page, once=dict.fromkeys):
    """Reciprocal rank fusion, with something changed."""
    fused: dict[str, float] = {}
    for ranking in rankings:
        for rank, name in enumerate(once(map(page, ranking)), start=1):
            fused[name] = fused.get(name, 0) + 1 / (k + rank)
    return fused


def _piece_ranks(rankings, k):
    fused: dict[str, float] = {}
    for ranking in rankings:
        best: dict[str, int] = {}
        for rank, piece in enumerate(ranking, start=1):
            best.setdefault(_page(piece), rank)
        for page, rank in best.items():
            fused[page] = fused.get(page, 0) + 1 / (k + rank)
    return fused


def _best_ranking_only(rankings, k):
    alone = [fuse([ranking], k) for ranking in rankings]
    return {page: max(one.get(page, 0) for one in alone) for page in fuse(rankings, k)}


def _once_in_all(rankings, k):
    fused: dict[str, float] = {}
    for ranking in rankings:
        new = [page for page in dict.fromkeys(map(_page, ranking)) if page not in fused]
        fused |= {page: 1 / (k + rank) for rank, page in enumerate(new, start=1)}
    return fused


def _found_by_all(rankings, k):
    in_all = set.intersection(*(set(map(_page, ranking)) for ranking in rankings))
    return {page: score for page, score in fuse(rankings, k).items() if page in in_all}


def _rankings(dice):
    pieces = [f"{page}/{number}" for page in ("mill", "quay", "wall", "bell") for number in (1, 2, 3)]
    rankings = [dice.permutation(pieces)[: int(dice.integers(4, 8))].tolist() for _ in range(int(dice.integers(2, 4)))]
    return rankings, int(dice.choice([10, 60]))


fusing = Exercise(
    name="05.fuse",
    title="A page in many pieces",
    minutes=10,
    reference=fuse,
    cases=[
        ([["mill/1", "quay/1"], ["quay/1", "wall/2"]], 60),
        ([["mill/1", "mill/2", "quay/1"]], 60),
        ([["mill/3", "mill/1", "quay/1"], ["quay/2", "quay/1", "mill/3"]], 10),
        ([["mill/1"], []], 60),
        ([["mill/12", "quay/1", "mill/2"]], 60),
    ],
    random_case=_rankings,
    mistakes={
        "The rank is that of the piece. Two pieces of the mill in front must not push the next page to rank 3.": (
            _piece_ranks
        ),
        "Each piece of a page counts here, so long pages win because they have many. A page's best piece counts.": (
            lambda rankings, k: _fuse(rankings, k, once=list)
        ),
        "These are the pieces. The page is what stands before the slash, and its pieces count as one.": (
            lambda rankings, k: _fuse(rankings, k, page=str)
        ),
        "The best rank stands at 1: here the first page is worth 1 / k, and it should be 1 / (k + 1).": (
            lambda rankings, k: fuse(rankings, k - 1)
        ),
        "The constant k is missing: the first page would be worth twice the second.": (
            lambda rankings, k: fuse(rankings, 0)
        ),
        "Only the better of a page's ranks counts here. Fusing adds up what all rankings say.": _best_ranking_only,
        "Pages that a ranking doesn't have are gone. They keep what the other rankings give them.": _found_by_all,
        "A set forgets the order, and the rank with it. dict.fromkeys keeps each page where it came first.": (
            lambda rankings, k: _fuse(rankings, k, once=set)
        ),
        "A page that an earlier ranking had gets nothing from this one: begin again for each ranking.": _once_in_all,
        "mill/12 and mill/2 are pieces of one page: take what stands before the slash, however long the number.": (
            lambda rankings, k: _fuse(rankings, k, page=lambda piece: piece[:-2])
        ),
    },
    hints=(
        "Turn each ranking of pieces into a ranking of pages first. Where does a page stand in it?",
        "dict.fromkeys(names) keeps every name once, where it came first. piece.split('/') takes an id apart.",
        "Then go through the pages with enumerate, starting at 1, and add to what the page has already, or to 0.",
    ),
)


# The budget.


def within_budget(sizes, fixed, budget):
    return _fill(sizes, fixed, budget)


def _fill(sizes, fixed, budget, order=None, stop=False, each=0, strict=False):
    """The budget, with something changed."""
    read, used = [], fixed
    for place in order or range(len(sizes)):
        if used + sizes[place] + each < budget + (not strict):
            read.append(place)
            used += sizes[place] + each
        elif stop:
            break
    return read


def _smallest_first(sizes, fixed, budget):
    return sorted(_fill(sizes, fixed, budget, order=sorted(range(len(sizes)), key=lambda place: sizes[place])))


def _one_too_many(sizes, fixed, budget):
    """Looks at what was used before the source, not after it."""
    read, used = [], fixed
    for place, size in enumerate(sizes):
        if used < budget:
            read.append(place)
            used += size
    return read


budgeting = Exercise(
    name="05.within_budget",
    title="What doesn't fit is left out whole",
    minutes=8,
    reference=within_budget,
    cases=[
        ([100, 120, 90], 40, 300),
        ([100, 250, 90], 40, 300),
        ([100, 120, 40], 40, 300),
        ([300, 80, 60], 50, 120),
        ([500], 40, 300),
    ],
    random_case=lambda dice: (
        (10 * dice.integers(4, 20, size=6)).tolist(),
        int(10 * dice.integers(3, 9)),
        int(10 * dice.integers(25, 50)),
    ),
    mistakes={
        "Behind the first source that doesn't fit nothing more is read: by a `break`, or because its size was added "
        "although it was left out. A shorter one may still find room.": (
            lambda sizes, fixed, budget: _fill(sizes, fixed, budget, stop=True)
        ),
        "Instruction and question take room as well: begin to count at `fixed`.": (
            lambda sizes, fixed, budget: _fill(sizes, 0, budget)
        ),
        "A prompt of exactly `budget` tokens is allowed.": (
            lambda sizes, fixed, budget: _fill(sizes, fixed, budget, strict=True)
        ),
        "The smallest come first here: that is more sources, and worse ones. The best have the first claim.": (
            _smallest_first
        ),
        "`fixed` is counted with every source. The instruction and the question stand in the prompt once.": (
            lambda sizes, fixed, budget: _fill(sizes, 0, budget, each=fixed)
        ),
        "The source that breaks the budget is still read: look at the sum with it, before you take it.": _one_too_many,
        "Each source fits alone. What was read before it takes room as well.": (
            lambda sizes, fixed, budget: [place for place, size in enumerate(sizes) if fixed + size <= budget]
        ),
        "These are the sizes; the places of the sources, from 0, are asked for.": (
            lambda sizes, fixed, budget: [sizes[place] for place in _fill(sizes, fixed, budget)]
        ),
    },
    hints=(
        "Keep two things while you go through the sizes: what was read, and how much is used.",
        "At the beginning `fixed` tokens are used. A source is read when it still fits; nothing else happens when not.",
        "enumerate gives places and sizes together. One `if` is enough, without `break` and without `else`.",
    ),
)


# Chunks with overlap.


def cut(sentences, words, overlap):
    return _cut(sentences, words, overlap)


def _length(sentences):
    return sum(len(sentence.split()) for sentence in sentences)


def _cut(sentences, words, overlap, room=True, last=True, too_late=False, length=_length):
    """Cut at sentences, with something changed."""
    chunks: list[str] = []
    chunk: list[str] = []
    for sentence in sentences:
        if chunk and length(chunk if too_late else [*chunk, sentence]) > words:
            chunks.append(" ".join(chunk))
            while chunk and (length(chunk) > overlap or room and length([*chunk, sentence]) > words):
                chunk = chunk[1:]
        chunk = [*chunk, sentence]
    return [*chunks, " ".join(chunk)] if chunk and last else chunks


def _overlapping(keep):
    """A cut after which the next chunk begins with keep(chunk, overlap, the words that fit)."""

    def changed(sentences, words, overlap):
        chunks: list[str] = []
        chunk: list[str] = []
        for sentence in sentences:
            if chunk and _length([*chunk, sentence]) > words:
                chunks.append(" ".join(chunk))
                chunk = keep(chunk, overlap, min(overlap, words - _length([sentence])))
            chunk = [*chunk, sentence]
        return [*chunks, " ".join(chunk)] if chunk else chunks

    return changed


def _last_words(chunk, overlap, room):
    return [" ".join(" ".join(chunk).split()[-overlap:])] if overlap else []


def _back(chunk, overlap, room):
    while _length(chunk) > room:
        chunk = chunk[1:]
    return chunk


def _front(chunk, overlap, room):
    while _length(chunk) > room:
        chunk = chunk[:-1]
    return chunk


def _with_a_hole(chunk, overlap, room):
    kept: list[str] = []
    for sentence in reversed(chunk):
        if _length([sentence, *kept]) <= room:
            kept = [sentence, *kept]
    return kept


TALE = ["The mill burned.", "Nobody was hurt.", "Ann Orr built it again.", "It took years.", "She sold it."]
WORDS = ("mill", "quay", "wall", "bell", "fog", "tide", "salt", "rope", "lamp", "oak")


def _sentences(dice):
    sizes = dice.integers(1, 5, size=8)
    return (
        [" ".join(dice.choice(WORDS, size=size).tolist()) + "." for size in sizes],
        int(dice.integers(6, 9)),
        int(dice.integers(2, 5)),
    )


cutting = Exercise(
    name="05.cut",
    title="Across the cut",
    minutes=15,
    reference=cut,
    cases=[
        (TALE, 8, 0),
        (TALE, 8, 3),
        (TALE, 6, 3),
        (TALE, 100, 20),
        (["One.", "Two three four.", "Five six.", "Seven eight nine."], 6, 3),
        (["One two three.", "Four.", "Five six.", "Seven eight nine."], 6, 3),
        ([], 8, 3),
    ],
    random_case=_sentences,
    mistakes={
        "Nothing is cut: all sentences are in one chunk.": (
            lambda sentences, words, overlap: [" ".join(sentences)] if sentences else []
        ),
        "There is no overlap: the next chunk begins with the last sentences of the one before.": (
            lambda sentences, words, overlap: _cut(sentences, words, 0)
        ),
        "The last chunk is missing: when the sentences end, one is still in your hand.": (
            lambda sentences, words, overlap: _cut(sentences, words, overlap, last=False)
        ),
        "A chunk is closed only when it is too long already: look at its length with the new sentence, and before.": (
            lambda sentences, words, overlap: _cut(sentences, words, overlap, too_late=True)
        ),
        "The overlap leaves no room for the new sentence, and the chunk gets longer than `words`: let go of more.": (
            lambda sentences, words, overlap: _cut(sentences, words, overlap, room=False)
        ),
        "One sentence is taken over whatever its length. It may be several, or none: count their words.": (
            _overlapping(lambda chunk, overlap, room: chunk[-1:] if overlap else [])
        ),
        "This takes over so many *sentences*; the overlap is counted in words.": (
            _overlapping(lambda chunk, overlap, room: chunk[-overlap:] if overlap else [])
        ),
        "Half a sentence is taken over. The overlap consists of whole sentences, and may be shorter than allowed.": (
            _overlapping(_last_words)
        ),
        "The overlap is taken from the front of the last chunk; its last sentences are wanted.": _overlapping(_front),
        "The overlap has a hole: where a sentence doesn't fit, those before it stay out, too.": (
            _overlapping(_with_a_hole)
        ),
        "More than one sentence may fit into `overlap`.": (
            _overlapping(lambda chunk, overlap, room: _back(chunk, overlap, room)[-1:])
        ),
        "The overlap's sentences stand in the wrong order.": (
            _overlapping(lambda chunk, overlap, room: _back(chunk, overlap, room)[::-1])
        ),
        "This counts characters; `words` and `overlap` are numbers of words.": (
            lambda sentences, words, overlap: _cut(sentences, words, overlap, length=lambda chunk: len(" ".join(chunk)))
        ),
        "No sentences make no chunk, and not an empty one.": (
            lambda sentences, words, overlap: cut(sentences, words, overlap) or [""]
        ),
    },
    hints=(
        "Keep the chunk that you are filling as a list of sentences. When does it have to be closed?",
        "When it would be longer than `words` with the next sentence. Then let go of sentences at its front…",
        "… while it has more than `overlap` words, or more than fit next to the new one. One chunk is left at the end.",
    ),
)


# Reading one by one.


def choose(log_doubts, limit):
    if not log_doubts or math.exp(min(log_doubts)) > limit:
        return None
    return log_doubts.index(min(log_doubts))


def _turned_round(log_doubts, limit):
    if not log_doubts or math.exp(min(log_doubts)) < limit:
        return None
    return log_doubts.index(min(log_doubts))


def _two_scales(log_doubts, limit):
    if not log_doubts or min(log_doubts) > limit:
        return None
    return log_doubts.index(min(log_doubts))


def _most_doubtful(log_doubts, limit):
    return None if choose(log_doubts, limit) is None else log_doubts.index(max(log_doubts))


def _first_below(log_doubts, limit):
    return next((place for place, doubt in enumerate(log_doubts) if math.exp(doubt) <= limit), None)


def _any_doubt(log_doubts, limit):
    if not log_doubts or math.exp(max(log_doubts)) > limit:
        return None
    return log_doubts.index(min(log_doubts))


def _mean_doubt(log_doubts, limit):
    if not log_doubts or sum(map(math.exp, log_doubts)) / len(log_doubts) > limit:
        return None
    return log_doubts.index(min(log_doubts))


def _nothing_found(log_doubts, limit):
    min(log_doubts)
    return choose(log_doubts, limit)


def _largest(log_doubts, limit):
    if not log_doubts or math.exp(max(log_doubts)) > limit:
        return None
    return log_doubts.index(max(log_doubts))


def _as_if_sure(log_doubts, limit):
    if not log_doubts or 1 - math.exp(min(log_doubts)) > limit:
        return None
    return log_doubts.index(min(log_doubts))


def _at_the_limit(log_doubts, limit):
    return choose(log_doubts, math.nextafter(limit, 0))


def _last_of_equals(log_doubts, limit):
    place = choose(log_doubts[::-1], limit)
    return place if place is None else len(log_doubts) - 1 - place


def _counted_from_one(log_doubts, limit):
    place = choose(log_doubts, limit)
    return place if place is None else place + 1


def _logs(*doubts):
    return [round(math.log(doubt), 2) for doubt in doubts]


def _doubts(dice):
    doubts = dice.choice([0.02, 0.05, 0.3, 0.5, 0.7, 0.8], size=int(dice.integers(2, 4)), replace=False)
    return _logs(*doubts.tolist()), float(dice.choice([0.15, 0.6, 0.9]))


choosing = Exercise(
    name="05.choose",
    title="The least doubt",
    minutes=8,
    reference=choose,
    cases=[
        (_logs(0.6, 0.05, 0.3), 0.15),
        (_logs(0.1, 0.02, 0.9), 0.15),
        (_logs(0.5, 0.2), 0.15),
        (_logs(0.8, 0.6), 0.7),
        (_logs(0.13, 0.14, 0.12), 0.15),
        ([], 0.15),
        (_logs(0.05, 0.3, 0.05), 0.15),
        ([0.0], 1.0),
    ],
    random_case=_doubts,
    mistakes={
        "A logarithm of a probability is never above 0, so it is always below the limit: bring both to one scale.": (
            _two_scales
        ),
        "The largest value is the greatest doubt: it belongs to the source that answers least.": _most_doubtful,
        "The largest doubt is looked at, and it abstains because of it. Look for the least one.": _largest,
        "It answers where the doubt is above the limit, and abstains below: the comparison is the wrong way round.": (
            _turned_round
        ),
        "This takes the doubt off 1, which is how sure the source is. The doubt itself is p, e to the power of ln p.": (
            _as_if_sure
        ),
        "This takes the first source below the limit. A later one may leave less doubt.": _first_below,
        "One source that doesn't hold the answer is no reason to abstain: most don't. The least doubt decides.": (
            _any_doubt
        ),
        "This compares the mean doubt with the limit. Sources without the answer would outvote the one that has it.": (
            _mean_doubt
        ),
        "With no source there is no least doubt: then the system abstains.": _nothing_found,
        "Place 0 is a place: in Python `0 or None` and `if place` take it for nothing.": (
            lambda log_doubts, limit: choose(log_doubts, limit) or None
        ),
        "A doubt that is just the limit isn't above it.": _at_the_limit,
        "Of equal doubts the first counts: that source was found further up.": _last_of_equals,
        "Places count from 0 here, as in every list.": _counted_from_one,
    },
    hints=(
        "Which source has the least doubt? For that the logarithms can stay as they are.",
        "Is that doubt small enough? It is a logarithm and the limit a probability: math.exp helps, or math.log.",
        "Abstain, None, when the list is empty or even the least doubt is above the limit; else its place, with index.",
    ),
)

EXERCISES = [scaling, fusing, budgeting, cutting, choosing]
