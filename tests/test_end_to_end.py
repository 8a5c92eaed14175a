"""RAG as one model: marginalisation by hand, by its definition, and as transformers has it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ragedu import Document
from ragedu.training.end_to_end import document_log_probabilities, rag_sequence, rag_token, token_log_probabilities

PADDING = 1


def test_two_documents_by_hand():
    documents = torch.tensor([[0.75, 0.25]]).log()
    tokens = torch.tensor([[[0.5, 0.2], [0.1, 0.8]]]).log()
    assert rag_sequence(documents, tokens).exp().item() == pytest.approx(0.75 * 0.5 * 0.2 + 0.25 * 0.1 * 0.8)
    assert rag_token(documents, tokens).exp().item() == pytest.approx(
        (0.75 * 0.5 + 0.25 * 0.1) * (0.75 * 0.2 + 0.25 * 0.8)
    )


probabilities = st.floats(0.01, 1.0)


@given(arrays(float, (3, 4, 5), elements=probabilities), arrays(float, (3, 4), elements=probabilities))
def test_the_definition(of_tokens, of_documents):
    of_documents = of_documents / of_documents.sum(axis=1, keepdims=True)
    documents, tokens = torch.tensor(of_documents).log(), torch.tensor(of_tokens).log()
    n, k, length = of_tokens.shape
    for row in range(n):
        whole = sum(of_documents[row, z] * math.prod(of_tokens[row, z]) for z in range(k))
        each = math.prod(sum(of_documents[row, z] * of_tokens[row, z, t] for z in range(k)) for t in range(length))
        assert rag_sequence(documents, tokens)[row].item() == pytest.approx(math.log(whole), abs=1e-9)
        assert rag_token(documents, tokens)[row].item() == pytest.approx(math.log(each), abs=1e-9)
    # With one document, and for one token, there is nothing to tell the two apart.
    only, its_tokens = torch.zeros(n, 1), tokens[:, :1]
    assert torch.allclose(rag_sequence(only, its_tokens), rag_token(only, its_tokens))
    assert torch.allclose(rag_sequence(documents, tokens[:, :, :1]), rag_token(documents, tokens[:, :, :1]))


def test_the_gradient_asks_for_the_document_that_explains_the_answer():
    scores = torch.zeros(1, 3, requires_grad=True)
    tokens = torch.tensor([[[-5.0, -5.0], [-0.1, -0.1], [-5.0, -5.0]]])
    for marginal in (rag_sequence, rag_token):
        (gradient,) = torch.autograd.grad(marginal(document_log_probabilities(scores), tokens).sum(), scores)
        assert gradient.argmax() == 1 and gradient.sum().abs() < 1e-6 and gradient[0, 0] < 0


def test_a_low_temperature_tells_cosines_apart():
    cosines = torch.tensor([[0.7, 0.6]])
    assert document_log_probabilities(cosines).exp()[0, 0] < 0.53
    assert document_log_probabilities(cosines, temperature=0.02).exp()[0, 0] > 0.99


@pytest.fixture(scope="module")
def rag_models():
    """transformers' two classes around a small question encoder and a small BART with random weights."""
    transformers = pytest.importorskip("transformers")
    if not hasattr(transformers, "RagTokenForGeneration"):
        pytest.skip("this version of transformers has no RAG classes any more")
    small = dict(vocab_size=60, max_position_embeddings=40)
    encoder = transformers.DPRConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, **small
    )
    generator = transformers.BartConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=24, decoder_ffn_dim=24, pad_token_id=PADDING, init_std=0.5, **small,
    )  # fmt: skip
    config = transformers.RagConfig.from_question_encoder_generator_configs(encoder, generator, n_docs=3)
    torch.manual_seed(0)
    question_encoder, bart = (
        transformers.DPRQuestionEncoder(encoder),
        transformers.BartForConditionalGeneration(generator),
    )
    return [
        cls(config=config, question_encoder=question_encoder, generator=bart).eval()
        for cls in (transformers.RagSequenceForGeneration, transformers.RagTokenForGeneration)
    ]


def answers(seed: int) -> torch.Tensor:
    """Four answers of 2 to 6 tokens, the first token that with which decoding begins."""
    draw = np.random.default_rng(seed)
    ids = np.full((4, 7), PADDING)
    for row, length in enumerate((2, 3, 6, 4)):
        ids[row, : length + 1] = [2, *draw.integers(4, 60, length)]
    return torch.tensor(ids)


@pytest.mark.parametrize("seed", range(3))
def test_losses_are_those_of_transformers(rag_models, seed):
    torch.manual_seed(seed)
    contexts, scores, labels = torch.randint(4, 60, (12, 9)), torch.randn(4, 3), answers(seed)
    for model, marginal in zip(rag_models, (rag_sequence, rag_token), strict=True):
        with torch.no_grad():
            theirs = model(
                context_input_ids=contexts,
                context_attention_mask=torch.ones_like(contexts),
                doc_scores=scores,
                decoder_input_ids=labels,
                labels=labels,
            )
            logits = model.generator(
                input_ids=contexts,
                attention_mask=torch.ones_like(contexts),
                decoder_input_ids=labels.repeat_interleave(3, dim=0),
            ).logits.view(4, 3, 7, -1)
        tokens = token_log_probabilities(logits[:, :, :-1], labels[:, 1:], PADDING)
        ours = -marginal(document_log_probabilities(scores), tokens)
        assert torch.allclose(ours, theirs.loss, atol=1e-5), (ours, theirs.loss)


def test_where_transformers_differs_an_answer_of_one_token(rag_models):
    """RagSequenceForGeneration adds ln p(z) at the second token. An answer that has none loses it."""
    sequence, _ = rag_models
    logits, scores = torch.randn(1, 3, 3, 60), torch.tensor([[5.0, 0.0, 0.0]])
    labels = torch.tensor([[2, 7, PADDING]])
    theirs = sequence.get_nll(logits.view(3, 3, 60), scores, labels, n_docs=3)
    tokens = token_log_probabilities(logits[:, :, :-1], labels[:, 1:], PADDING)
    without_documents = -torch.logsumexp(tokens.sum(dim=2), dim=1)
    assert torch.allclose(theirs, without_documents, atol=1e-5)
    assert not torch.allclose(theirs, -rag_sequence(document_log_probabilities(scores), tokens), atol=0.1)


# With models of our own


def test_a_document_read_once_for_many_questions_gives_each_answer_its_own_probability(
    make_small, harbour, monkeypatch
):
    from ragedu.generation.prompts import build_prompt
    from ragedu.training import end_to_end

    small = make_small()
    monkeypatch.setattr(end_to_end, "QUESTIONS_PER_ROW", 2)  # so that there are several rounds
    questions = ["Who keeps the light?", "When does the bakery open?", "Who paints?", "Who keeps the light?"]
    wanted = ["Tomas Brandt", "at six", "nobody", "Ada"]
    candidates = [
        [harbour[0], harbour[3]],
        [harbour[3], harbour[1]],
        [harbour[3], harbour[0]],
        [harbour[0], harbour[3]],
    ]
    found = end_to_end.answer_log_probabilities(small, questions, wanted, candidates)
    longest = max(len(small.encode(answer, chat=False)) for answer in wanted) + 1
    assert found.shape == (4, 2, longest) and (found <= 0).all()
    for n, some in enumerate(candidates):
        length = len(small.encode(wanted[n], chat=False))
        for rank, document in enumerate(some):
            expected = small.log_likelihood(build_prompt(questions[n], [document]), wanted[n])
            assert found[n, rank, :length].sum().item() == pytest.approx(expected, abs=1e-3)
            assert found[n, rank, length] < 0 and (found[n, rank, length + 1 :] == 0).all()  # the end, then nothing


@pytest.mark.model
@pytest.mark.parametrize("marginal", [rag_sequence, rag_token])
def test_the_question_encoder_learns_from_answers_alone(harbour, marginal):
    from ragedu import DenseRetriever
    from ragedu.retrieval.embeddings import Embedder
    from ragedu.training import end_to_end

    dense = DenseRetriever(cache=False).fit(harbour)
    questions = ["zyx", "wvu", "tsr", "qpo"]  # words without meaning, so that all is to be learned
    candidates = np.stack([dense.embeddings[:4]] * 4).astype(np.float64)  # as numpy makes them
    tokens = torch.full((4, 4, 3), -4.0)
    tokens[range(4), range(4)] = -0.1  # question i is answered by document i
    encoder = Embedder(cache=False)
    settings = dict(batch_size=4, learning_rate=3e-4, marginal=marginal, seed=1)
    seen = []
    losses = end_to_end.train(
        encoder, questions, candidates, tokens, 25, **settings, after_step=lambda *step: seen.append(step)
    )
    assert seen == list(enumerate(losses, start=1))
    assert losses[-1] < 0.7 * losses[0]
    trained = DenseRetriever(cache=False, question_encoder=encoder).fit(harbour)
    assert np.array_equal(trained.embeddings, dense.embeddings)  # the documents' vectors are the old ones
    assert [int(trained.scores(question)[:4].argmax()) for question in questions] == [0, 1, 2, 3]
    assert [hits[0].document for hits in trained.search_many(questions, k=8)] == [
        harbour[int(trained.scores(question).argmax())] for question in questions
    ]
    with pytest.raises(ValueError, match="an encoder of their own"):
        trained.save("nowhere")
    with pytest.raises(ValueError, match=r"4 questions, vectors of shape \(3, 4, 384\)"):
        end_to_end.train(encoder, questions, candidates[:3], tokens)


def test_questions_without_equally_many_candidates_are_refused():
    from ragedu.training import end_to_end

    one, two = [Document("a", "one")], [Document("a", "one"), Document("b", "two")]
    with pytest.raises(ValueError, match="the same number of candidates"):
        end_to_end.answer_log_probabilities(None, ["q", "r"], ["x", "y"], [one, two])
    for nothing in ([], [[], []]):
        with pytest.raises(ValueError, match="there is nothing to read: give at least one question with"):
            end_to_end.answer_log_probabilities(None, ["q", "r"][: len(nothing)], ["x", "y"], nothing)


def test_a_control_token_in_an_answer_is_so_many_characters(make_small, harbour):
    from ragedu.training import end_to_end

    found = end_to_end.answer_log_probabilities(make_small(), ["Who?"], ["<|im_end|>"], [[harbour[0]]])
    assert found.shape[2] > 2 and (found < 0).all()


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(questions=[]), "there are no questions to learn from"),
        (dict(steps=0), "steps must be a whole number, at least 1, not 0"),
        (dict(batch_size=0), "batch_size must be a whole number, at least 1, not 0"),
        (dict(temperature=0), "temperature must be a number above 0, not 0"),
        (dict(learning_rate=-1.0), "learning_rate must be a number above 0"),
    ],
)
def test_bad_settings(settings, message):
    from ragedu.training import end_to_end

    questions = settings.pop("questions", ["q"])
    n = len(questions)
    with pytest.raises(ValueError, match=message):
        end_to_end.train(None, questions, np.zeros((n, 3, 2), np.float32), torch.zeros(n, 3, 4), **settings)
