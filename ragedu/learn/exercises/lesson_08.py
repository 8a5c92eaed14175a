"""The exercises of lesson 08, RAG as one model."""

from __future__ import annotations

import numpy as np

from ragedu.learn.exercise import Exercise


def log_sum(values, axis=-1):
    """ln of the sum of e to the power of the values; nothing overflows, and nothing becomes 0 before its time."""
    largest = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - largest).sum(axis=axis)) + largest.squeeze(axis)


def softmax(values, axis=-1):
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# Warm-up: the next token.


def next_token(documents, tokens):
    return documents @ tokens


def _geometric(documents, tokens):
    return softmax(documents @ np.log(tokens))


def _either(documents, tokens):
    best = (documents[:, None] * tokens).max(axis=0)
    return best / best.sum()


def _mix(dice):
    return dice.dirichlet([1.0] * 3), dice.dirichlet([0.6] * 4, size=3)


mixture = Exercise(
    name="08.next_token",
    title="Every document has a vote",
    minutes=5,
    reference=next_token,
    cases=[
        (np.array([0.75, 0.25]), np.array([[0.8, 0.2], [0.4, 0.6]])),
        (np.array([0.5, 0.3, 0.2]), np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])),
        (np.array([1.0, 0.0]), np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])),
    ],
    random_case=_mix,
    mistakes={
        "All documents count the same. Each has the weight p(z | x).": lambda documents, tokens: tokens.mean(axis=0),
        "Only the most probable document speaks here. The sum goes over all of them.": (
            lambda documents, tokens: tokens[documents.argmax()]
        ),
        "The weights are missing: this sum over the documents is no distribution.": (
            lambda documents, tokens: tokens.sum(axis=0)
        ),
        "The sum over the documents is missing.": lambda documents, tokens: documents[:, None] * tokens,
        "This is a mean of logarithms: a token that one document excludes would be excluded by all.": _geometric,
        "Probabilities are added up over documents, not multiplied: one of them is the right one.": (
            lambda documents, tokens: np.exp(documents @ np.log(tokens))
        ),
        "Of each token only the document that likes it best is counted. The others add to it.": _either,
        "The sum of what the documents give is divided by their number as well; the weights sum to 1 already.": (
            lambda documents, tokens: documents @ tokens / len(documents)
        ),
    },
    hints=(
        "How probable is token 0, if the first document is the right one with 0.75 and the second with 0.25?",
        "Weigh each row of `tokens` with its document's probability; then add the rows up.",
        "A vector times a matrix, with @, does both at once.",
    ),
)


# RAG-Sequence without underflow.


def rag_sequence(documents, tokens):
    return float(log_sum(documents + tokens.sum(axis=1)))


def _sequence(inner=np.sum, outer=log_sum, prior=1.0):
    """RAG-Sequence with something changed."""

    def changed(documents, tokens):
        prior_part = np.where(np.isinf(documents), documents, prior * documents) if prior else 0.0
        return float(outer(prior_part + inner(tokens, axis=1)))

    return changed


def _too_small(values):
    return np.log(np.exp(values).sum())


def _largest_taken_off(values):
    return np.log(np.exp(values - values.max()).sum())


def _largest_tokens_taken_off(documents, tokens):
    of_tokens = tokens.sum(axis=1)
    largest = of_tokens.max()
    return float(np.log((np.exp(documents) * np.exp(of_tokens - largest)).sum()) + largest)


def _token(documents, tokens):
    return float(log_sum(documents[:, None] + tokens, axis=0).sum())


def _long(dice):
    length = int(dice.choice([2, 5, 120, 200]))
    return np.log(dice.dirichlet([1.0] * 3)), -dice.uniform(0.5, 9, size=(3, 1)) + dice.uniform(
        -0.4, 0.4, size=(3, length)
    )


whole = Exercise(
    name="08.rag_sequence",
    title="Two hundred tokens",
    minutes=12,
    reference=rag_sequence,
    cases=[
        (np.log([0.75, 0.25]), np.log([[0.9, 0.2], [0.1, 0.8]])),
        (np.log([0.5, 0.5]), np.log([[0.5], [0.25]])),
        (np.log([0.5, 0.3, 0.2]), np.array([[-15.0] * 200, [-5.0] * 200, [-15.0] * 200])),
        (np.log([0.6, 0.4]), np.array([[-6.0] * 150, [-6.01] * 150])),
        (np.array([0.0, -np.inf]), np.log([[0.5, 0.5], [0.9, 0.9]])),
        (np.array([0.0, -np.inf]), np.array([[-5.0] * 200, [-0.1] * 200])),
    ],
    random_case=_long,
    mistakes={
        "e to the power of -1000 is 0 for a computer, and ln 0 is minus infinity. Take off the largest first.": (
            _sequence(outer=_too_small)
        ),
        "What was taken off before the exponential has to be added again after the logarithm.": (
            _sequence(outer=_largest_taken_off)
        ),
        "Take off the largest of ln p(z|x) + ln p(y|x,z): the document with the largest tokens may be excluded.": (
            _largest_tokens_taken_off
        ),
        "This is the best document alone. The others add their share.": _sequence(outer=np.max),
        "This is RAG-Token, with the sum over documents at every token. Here one document gives the whole answer.": (
            _token
        ),
        "ln p(z | x) is missing: all documents would count the same.": _sequence(prior=0),
        "This is the mean over the tokens. A probability of a whole text is a product, in logarithms a sum.": (
            _sequence(inner=np.mean)
        ),
        "Adding up the logarithms multiplies the documents' probabilities. They are alternatives: take their sum.": (
            _sequence(outer=np.sum)
        ),
    },
    hints=(
        "First one number for each document: ln of p(z | x) times the product over its tokens.",
        "Then ln of the sum of e to the power of these numbers. What is that sum, if all of them are -1000?",
        "ln(sum of e^a) = m + ln(sum of e^(a - m)) for any m. With the largest a for m, one term is exactly 1.",
    ),
)


# The posterior, token by token.


def posteriors(documents, tokens):
    return softmax(documents[:, None] + tokens.cumsum(axis=1), axis=0).T


def _one_token_each(documents, tokens):
    return softmax(documents[:, None] + tokens, axis=0).T


def _prior_each_time(documents, tokens):
    return softmax((documents[:, None] + tokens).cumsum(axis=1), axis=0).T


def _without_prior(documents, tokens):
    return softmax(tokens.cumsum(axis=1), axis=0).T


def _begins_with_the_prior(documents, tokens):
    before = np.concatenate([np.zeros((len(tokens), 1)), tokens[:, :-1].cumsum(axis=1)], axis=1)
    return softmax(documents[:, None] + before, axis=0).T


def _all_at_once(documents, tokens):
    return np.tile(softmax(documents + tokens.sum(axis=1)), (tokens.shape[1], 1))


def _not_normalised(documents, tokens):
    return np.exp(documents[:, None] + tokens.cumsum(axis=1)).T


def _powers_too_small(documents, tokens):
    powers = _not_normalised(documents, tokens)
    return powers / powers.sum(axis=1, keepdims=True)


def _over_places(documents, tokens):
    return softmax(documents[:, None] + tokens.cumsum(axis=1), axis=1).T


def _read(dice):
    return np.log(dice.dirichlet([2.0] * 3)), -dice.exponential(1.5, size=(3, 4)).round(1)


reading = Exercise(
    name="08.posteriors",
    title="Where is it reading?",
    minutes=12,
    reference=posteriors,
    cases=[
        (np.log([0.75, 0.25]), np.log([[0.9, 0.2], [0.1, 0.8]])),
        (np.log([0.5, 0.3, 0.2]), np.log([[0.1, 0.1], [0.1, 0.1], [0.9, 0.9]])),
        (np.log([0.6, 0.4]), np.log([[0.5], [0.25]])),
        (np.log([0.5, 0.3, 0.2]), np.array([[-3000.0, -0.5], [-1000.0, -2000.4], [-3000.0, -0.2]])),
    ],
    random_case=_read,
    mistakes={
        "Each row knows one token only, as in the lesson's table. Here a row knows all tokens up to its own.": (
            _one_token_each
        ),
        "The prior is counted again at every token. It is known once; after that each token adds its own.": (
            _prior_each_time
        ),
        "The prior is missing: before the first token the retriever had an opinion already.": _without_prior,
        "The first row is what was known before any token. It should be what is known after the first.": (
            _begins_with_the_prior
        ),
        "All rows know the whole answer. Row t knows the tokens up to t.": _all_at_once,
        "The rows don't sum to 1: divide by the sum over the documents.": _not_normalised,
        "e to the power of -1000 is 0 for a computer, and 0 / 0 is nan. Take off each token's largest first.": (
            _powers_too_small
        ),
        "This is normalised over the tokens. At each token the documents share a probability of 1.": _over_places,
        "Rows and columns are exchanged: a row for each token, a column for each document.": (
            lambda documents, tokens: posteriors(documents, tokens).T
        ),
    },
    hints=(
        "Bayes: the posterior is proportional to the prior times the probability of all that has been seen.",
        "What has been seen after token t is a product over the tokens up to t: for logarithms a sum, np.cumsum.",
        "Add ln p(z | x) to each document's sums, take the softmax over the documents, and turn the table round.",
    ),
)


# The gradient.


def gradient(scores, tokens, temperature):
    prior = softmax(scores / temperature)
    return (softmax(np.log(prior) + tokens.sum(axis=1)) - prior) / temperature


def _gradient(inside=True, outside=True, sign=1, prior_in_posterior=True, minus_prior=True):
    """The gradient with something changed."""

    def changed(scores, tokens, temperature):
        prior = softmax(scores / temperature if inside else scores)
        posterior = softmax(prior_in_posterior * np.log(prior) + tokens.sum(axis=1))
        return sign * (posterior - minus_prior * prior) / (temperature if outside else 1)

    return changed


def _gradient_of_token(scores, tokens, temperature):
    prior = softmax(scores / temperature)
    each = softmax(np.log(prior)[:, None] + tokens, axis=0)
    return (each - prior[:, None]).sum(axis=1) / temperature


def _times(scores, tokens, temperature):
    return gradient(scores, tokens, temperature) * temperature**2


def _step(dice):
    return dice.normal(size=3).round(2), -dice.exponential(1.0, size=(3, 2)).round(1), float(dice.choice([0.2, 0.5, 2]))


praise = Exercise(
    name="08.gradient",
    title="What the answer asks for",
    minutes=10,
    reference=gradient,
    cases=[
        (np.array([1.0, 0.0]), np.array([[-2.0], [-0.5]]), 1.0),
        (np.array([0.5, 0.5]), np.array([[-3.0, -1.0], [-0.5, -0.5]]), 0.5),
        (np.array([2.0, 1.0, 0.0]), np.array([[-4.0, -4.0], [-0.1, -0.2], [-5.0, -4.0]]), 2.0),
        (np.array([0.3, 0.2, 0.1]), np.array([[-1.0, -1.0]] * 3), 0.05),
    ],
    random_case=_step,
    mistakes={
        "The scores are divided by the temperature on their way to p(z | x), so the chain rule divides once more.": (
            _gradient(outside=False)
        ),
        "The temperature is missing in p(z | x): it divides the scores before the softmax.": _gradient(inside=False),
        "The temperature is missing, inside the softmax and outside of it.": _gradient(inside=False, outside=False),
        "The sign is the wrong way round: this is the gradient of the loss, and that of ln p is asked for.": (
            _gradient(sign=-1)
        ),
        "This is the posterior alone. What the retriever believed already, the prior, has to be taken off.": (
            _gradient(minus_prior=False)
        ),
        "The prior is missing in the posterior: p(z | x, y) is proportional to p(z | x) times p(y | x, z).": (
            _gradient(prior_in_posterior=False)
        ),
        "This is the gradient of RAG-Token: it asks again at each token. RAG-Sequence asks for the whole answer.": (
            _gradient_of_token
        ),
        "The chain rule divides by the temperature; here it is multiplied.": _times,
    },
    hints=(
        "The lesson has it for a temperature of 1: posterior minus prior. Write that first.",
        "The prior is softmax(scores / temperature); the posterior is the softmax of ln prior + ln p(y | x, z).",
        "s is in the softmax as s / temperature. What does the chain rule say about the derivative by s?",
    ),
)


# Answers from several documents.


def fast_decoding(documents, answers):
    total: dict[str, float] = {}
    for log_prior, said in zip(documents, answers, strict=True):
        for text, log_p in said.items():
            total[text] = total.get(text, 0.0) + np.exp(log_prior + log_p)
    return {text: float(p) for text, p in total.items()}


def _gathered(value, combine=sum):
    """Answers gathered from all documents, with something changed."""

    def changed(documents, answers):
        found: dict[str, list] = {}
        for log_prior, said in zip(documents, answers, strict=True):
            for text, log_p in said.items():
                found.setdefault(text, []).append(value(log_prior, log_p))
        return {text: float(combine(values)) for text, values in found.items()}

    return changed


def _both(log_prior, log_p):
    return np.exp(log_prior + log_p)


def _known_to_all(documents, answers):
    everywhere = set(answers[0]).intersection(*answers[1:])
    return {text: p for text, p in fast_decoding(documents, answers).items() if text in everywhere}


def _first_document(documents, answers):
    best = int(np.argmax(documents))
    return fast_decoding([documents[best]], [answers[best]])


def _made_to_sum_to_one(documents, answers):
    found = fast_decoding(documents, answers)
    return {text: p / sum(found.values()) for text, p in found.items()}


SAID = ("Oak Lane", "the mill", "1884", "Ann Orr")


def _beams(dice):
    """Of three documents each has two or three answers, and none has them all."""
    answers = []
    for _ in range(3):
        some = dice.permutation(SAID)[: int(dice.integers(2, 4))].tolist()
        answers.append(dict(zip(some, np.log(dice.dirichlet([1.0] * 4)).tolist(), strict=False)))
    return np.log(dice.dirichlet([2.0] * 3)).tolist(), answers


decoding = Exercise(
    name="08.fast_decoding",
    title="The answers of all documents",
    minutes=10,
    reference=fast_decoding,
    cases=[
        (np.log([0.5, 0.5]).tolist(), [{"Oak Lane": -0.5}, {"Oak Lane": -1.0}]),
        (np.log([0.6, 0.4]).tolist(), [{"Oak Lane": -1.0, "the mill": -1.2}, {"the mill": -0.2, "1884": -2.0}]),
        (np.log([0.9, 0.1]).tolist(), [{"Oak Lane": -3.0}, {"the mill": -0.1}]),
    ],
    random_case=_beams,
    mistakes={
        "Of each answer only the document that gives it most is counted. All that give it are added up.": (
            _gathered(_both, max)
        ),
        "p(z | x) is missing: a document that the retriever hardly believes in would speak as loudly as the best.": (
            _gathered(lambda log_prior, log_p: np.exp(log_p))
        ),
        "Adding up logarithms multiplies: an answer that more documents give would become *less* probable.": (
            _gathered(lambda log_prior, log_p: log_prior + log_p)
        ),
        "This is the mean over the documents that give the answer: one that all give gains nothing by it.": (
            _gathered(_both, np.mean)
        ),
        "Only answers that every document gives are left. What a document doesn't give has probability 0 there.": (
            _known_to_all
        ),
        "These are the answers of the most probable document alone.": _first_document,
        "The logarithms are still there: the sum is asked for, and not ln of it.": (
            _gathered(_both, lambda values: np.log(sum(values)))
        ),
        "These were made to sum to 1. The answers that no document's beam has kept have their share as well.": (
            _made_to_sum_to_one
        ),
    },
    hints=(
        "How probable is it that the document is this one and the answer that? For one pair, from two logarithms.",
        "e to the power of ln p(z | x) + ln p(y | x, z). An answer gets the sum over the documents that have it.",
        "Go through documents and their answers side by side with zip, and add to what an answer has already, or to 0.",
    ),
)

EXERCISES = [mixture, whole, reading, praise, decoding]
