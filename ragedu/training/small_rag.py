"""The model of Lewis et al. (2020) in transformers' own classes, at a size that a laptop trains: DPR, BART, one index.

The published `facebook/rag-token-nq` has 515 million weights and an index of 21 million passages. Here

- the passages are single sentences of the archive, each with the title of its page;
- the question encoder is all-MiniLM-L6-v2 in the form of a DPR encoder (`dpr_encoder`), untrained;
- the generator is a BART of 2.5 million weights, trained here from nothing (`train`) in about half an hour:

    python -m ragedu.training.small_rag      # writes the folder small-bart

The result is in ragedu/adapters/small-bart; `build` puts all parts together.

A BART that begins with random weights has to find out that answers are *copied* from the passage. From whole pages it
did not in 2,000 steps. So the passages are sentences, and it first continues sentences of the passage from a few of
their words, and questions come in gradually; log.jsonl shows copying appear after about 500 steps.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.datasets import port_ellery
from ragedu.evaluation.answers import answer_scores
from ragedu.generation.loading import ADAPTERS, fastest_dtype, quiet_transformers
from ragedu.generation.packing import NOT_LEARNED, padded
from ragedu.models import embedding_model_folder
from ragedu.optimise import mean, optimise
from ragedu.retrieval.embeddings import Embedder
from ragedu.text import sentences
from ragedu.training.end_to_end import token_log_probabilities

SMALL_BART = ADAPTERS / "small-bart"
VOCABULARY = 2000
MAX_SOURCE_TOKENS = 126  # tokens of title, sentence and question
TEMPERATURE = 0.05  # of the retriever's softmax, by which DPR's vectors are lengthened


# ---------------------------------------------------------------------------------------------------------------
# Passages


def sentence_corpus(corpus: Iterable[Document]) -> Corpus:
    """Every sentence as a document, with the title of its page."""
    return Corpus(
        Document(f"{page.id}#{number}", sentence, page.title)
        for page in corpus
        for number, sentence in enumerate(sentences(page.text))
    )


class Lesson(NamedTuple):
    """What BART learns from: a question, the passage in two parts, and the acceptable answers."""

    question: str
    title: str
    sentence: str
    answers: list[str]


def lessons(dataset: Dataset, split: str, kinds: Sequence[str]) -> list[Lesson]:
    """Each question with the first sentence of its page that has the answer; questions without one are omitted."""
    made = []
    for query, data in dataset.metadata.items():
        if data["split"] == split and data["kind"] in kinds:
            page = dataset.corpus[next(iter(dataset.qrels[query]))]
            answers = list(dataset.answers[query])
            holding = [sentence for sentence in sentences(page.text) if answers[0].lower() in sentence.lower()]
            if holding:
                made.append(Lesson(dataset.queries[query], page.title, holding[0], answers))
    return made


# ---------------------------------------------------------------------------------------------------------------
# A small BART


def make_tokenizer(texts: Iterable[str]):
    """A WordPiece vocabulary made from the texts, in lower case: RagRetriever hands on a question as the question
    encoder's tokenizer spells it, and MiniLM's knows no capitals."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    words = Tokenizer(models.WordPiece(unk_token="<unk>"))
    words.normalizer = normalizers.BertNormalizer(lowercase=True)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # "the widow ' s walk" was "the widow's walk": no sentence here has a blank before an apostrophe or hyphen.
    joined = [decoders.Replace(f" {mark} ", mark) for mark in "'-"]
    words.decoder = decoders.Sequence([decoders.WordPiece(cleanup=True), decoders.Fuse(), *joined])
    words.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=[*special.values()], show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=words, **special)


def make_bart(tokenizer, *, width: int = 160, layers: int = 3):
    """A BART with random weights for the tokenizer's vocabulary; width: of a token's vector."""
    from transformers import AutoModelForSeq2SeqLM, BartConfig

    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=width // 32,
        decoder_attention_heads=width // 32,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        max_position_embeddings=MAX_SOURCE_TOKENS + 2,
        scale_embedding=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
    )
    return AutoModelForSeq2SeqLM.from_config(config, attn_implementation="eager")


def source_ids(tokenizer, title: str, sentence: str, question: str) -> list[int]:
    """The encoder's input, as RagRetriever writes it: title / text // question. What is too long is truncated at the
    end, as RagRetriever does it, and that is where the question is."""
    ids = tokenizer(f"{title} / {sentence} // {question}", add_special_tokens=False).input_ids
    return [*ids[:MAX_SOURCE_TOKENS], tokenizer.eos_token_id]


def continuation(passages: Sequence[tuple[str, str]], dice: Random) -> tuple[str, str, str, str]:
    """(title, sentence, one to three words of the sentence instead of a question, up to six words that follow)"""
    if all(" " not in sentence for _, sentence in passages):
        raise ValueError("no passage has a sentence of two words: there is nothing to continue")
    while True:
        title, sentence = dice.choice(passages)
        words = sentence.split(" ")
        given = min(len(words) - 1, dice.randint(1, 3))
        if given >= 1:
            start = dice.randint(0, max(0, len(words) - given - 2))
            middle = start + given
            return title, sentence, " ".join(words[start:middle]), " ".join(words[middle : middle + 6])


class Batch(NamedTuple):
    """All continuations of sentences ("copy"), or all questions ("answer"), as (title, sentence, question, answer)."""

    kind: str
    examples: list[tuple[str, str, str, str]]


def draw_batches(
    asked: Sequence[Lesson],
    passages: Sequence[tuple[str, str]],
    *,
    steps: int = 3500,
    batch_size: int = 64,
    seed: int = 0,
) -> list[Batch]:
    """What BART learns from: first to copy, then to answer.

    All batches are continuations for a twentieth of the steps, then .64 of them, and fewer and fewer, down to .15 from
    about the middle on.
    """
    dice = Random(seed)
    batches = []
    for step in range(steps):
        share = 1.0 if step < steps * 0.05 else max(0.15, 0.7 * (1 - step / (steps * 0.6)))
        if dice.random() < share:
            batches.append(Batch("copy", [continuation(passages, dice) for _ in range(batch_size)]))
        else:
            drawn = [dice.choice(asked) for _ in range(batch_size)]
            batches.append(Batch("answer", [(x.title, x.sentence, x.question, x.answers[0]) for x in drawn]))
    return batches


def train(
    bart,
    tokenizer,
    batches: Sequence[Batch],
    *,
    learning_rate: float = 1e-3,
    after_step: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train BART in place, a step for each batch; returns the loss of each step (nats a token of the answers).

    after_step(step, loss) is called after each step, counted from 1.
    """

    def loss_of_batch(batch: Batch) -> torch.Tensor:
        inputs = [source_ids(tokenizer, title, text, question) for title, text, question, _ in batch.examples]
        answers = [tokenizer(answer, add_special_tokens=False).input_ids for *_, answer in batch.examples]
        ids = padded(inputs, bart.config.pad_token_id)
        labels = padded([[*answer, tokenizer.eos_token_id] for answer in answers], NOT_LEARNED)
        mask = (ids != bart.config.pad_token_id).long()
        with torch.autocast("cpu", torch.bfloat16, enabled=fastest_dtype() == torch.bfloat16):
            return bart(input_ids=ids, attention_mask=mask, labels=labels).loss

    weights = list(bart.parameters())
    bart.train()
    try:
        return optimise(
            weights,
            batches,
            loss_of_batch,
            steps=len(batches),
            learning_rate=learning_rate,
            schedule=long_warmup_then_cosine,
            optimizer=torch.optim.AdamW(weights, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
            after_step=after_step,
        )
    finally:
        bart.eval()


def long_warmup_then_cosine(step: int, steps: int) -> float:
    """It rises for 400 steps, but never above a cosine that falls to 0 at the last."""
    return min((step + 1) / 400, 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.inference_mode()
def answer(bart, tokenizer, asked: Sequence[Lesson]) -> list[str]:
    """What BART says when it is given the right sentence."""
    bart.eval()
    said = []
    for start in range(0, len(asked), 50):
        rows = [source_ids(tokenizer, x.title, x.sentence, x.question) for x in asked[start : start + 50]]
        ids = padded(rows, bart.config.pad_token_id)
        mask = (ids != bart.config.pad_token_id).long()
        outputs = bart.generate(input_ids=ids, attention_mask=mask, max_new_tokens=14, num_beams=1, do_sample=False)
        said += tokenizer.batch_decode(outputs, skip_special_tokens=True)
    return [text.strip() for text in said]


@torch.inference_mode()
def answer_log_probabilities(
    bart, tokenizer, asked: Sequence[Lesson], candidates: Sequence[Sequence[Document]]
) -> torch.Tensor:
    """ln p(y_t | x, z, y_<t), (n, k, T), as in `end_to_end.answer_log_probabilities`, with BART as the generator."""
    padding, end, parts = bart.config.pad_token_id, bart.config.eos_token_id, []
    answers = [tokenizer(lesson.answers[0], add_special_tokens=False).input_ids for lesson in asked]
    targets = padded([[*ids, end] for ids in answers], padding)
    for n, (lesson, some) in enumerate(zip(tqdm(asked, desc="reading", unit=" questions"), candidates, strict=True)):
        ids = padded([source_ids(tokenizer, z.title, z.text, lesson.question) for z in some], padding)
        start = torch.tensor([[bart.config.decoder_start_token_id]])
        written = torch.cat([start, targets[n : n + 1, :-1]], dim=1).expand(len(some), -1)
        logits = bart(input_ids=ids, attention_mask=(ids != padding).long(), decoder_input_ids=written).logits
        parts.append(token_log_probabilities(logits[None], targets[n : n + 1], padding))
    return torch.cat(parts)


# ---------------------------------------------------------------------------------------------------------------
# DPR out of MiniLM


def dpr_encoder(kind: str, *, trained: Embedder | None = None) -> tuple[Any, Any]:
    """all-MiniLM-L6-v2 as transformers' DPRQuestionEncoder ("question") or DPRContextEncoder ("context"), with its
    tokenizer. trained: takes the weights of this Embedder, which was all-MiniLM-L6-v2 once.

    DPR takes the vector of the first token, MiniLM the mean of all. Attention in which every token scores alike *is* a
    mean: one more layer, with queries of zero, brings it to the first token. Its output is normalised and
    lengthened, so that the dot product of two vectors is about cosine / TEMPERATURE.
    """
    from transformers import AutoModel, AutoTokenizer, DPRConfig, DPRContextEncoder, DPRQuestionEncoder

    folder = embedding_model_folder("all-MiniLM-L6-v2")
    with quiet_transformers():
        bert, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        same = bert.config.to_dict()
        config = DPRConfig(
            **{name: same[name] for name in DPRConfig().to_dict() if name in same and name != "model_type"}
        )
        config.num_hidden_layers = bert.config.num_hidden_layers + 1
        encoder = (DPRQuestionEncoder if kind == "question" else DPRContextEncoder)(config).eval()
    if trained is not None:
        bert.load_state_dict(trained.model[0].get_submodule("auto_model").state_dict())
    inner = getattr(encoder, encoder.base_model_prefix).bert_model
    inner.load_state_dict({n: w for n, w in bert.state_dict().items() if "pooler" not in n}, strict=False)
    average, size = inner.encoder.layer[-1], config.hidden_size
    with torch.no_grad():
        for weights in average.parameters():
            weights.zero_()
        average.attention.self.value.weight.copy_(torch.eye(size))
        # Next to a mean that is 1000 times as long, the token's own vector is nothing.
        average.attention.output.dense.weight.copy_(1000 * torch.eye(size))
        average.attention.output.LayerNorm.weight.fill_(1)
        average.output.LayerNorm.weight.fill_((1 / TEMPERATURE / size) ** 0.5)
    return encoder, tokenizer


# ---------------------------------------------------------------------------------------------------------------
# All of it


def build(corpus: Corpus, *, documents: int = 5):
    """transformers' RagTokenForGeneration over the corpus, and its RagTokenizer.

    corpus: passages of a sentence or two; documents: how many are retrieved for a question. Needs the package datasets.
    """
    from transformers import (
        AutoTokenizer,
        BartForConditionalGeneration,
        RagConfig,
        RagRetriever,
        RagTokenForGeneration,
        RagTokenizer,
    )

    questions, question_tokenizer = dpr_encoder("question")
    with quiet_transformers():
        bart = BartForConditionalGeneration.from_pretrained(SMALL_BART, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(SMALL_BART)
    index = custom_index(corpus, encode(*dpr_encoder("context"), corpus))
    config = RagConfig.from_question_encoder_generator_configs(
        questions.config, bart.config, n_docs=documents, max_combined_length=MAX_SOURCE_TOKENS, index_name="custom",
        retrieval_vector_size=questions.config.hidden_size,
    )  # fmt: skip
    retriever = RagRetriever(config, question_tokenizer, tokenizer, index=index)
    model = RagTokenForGeneration(config=config, question_encoder=questions, generator=bart, retriever=retriever)
    return model.eval(), RagTokenizer(question_tokenizer, tokenizer)


def published(
    corpus: Corpus, *, name: str = "facebook/rag-token-nq", contexts: str = "facebook/dpr-ctx_encoder-multiset-base"
):
    """A published RagTokenForGeneration over the corpus, and its RagTokenizer.

    name: the model with its question encoder and generator; contexts: the encoder of documents that goes with it. Both
    are names on the hub, or folders. The index is made here, of the corpus, and that of Wikipedia is not downloaded.
    """
    from transformers import AutoTokenizer, DPRContextEncoder, RagRetriever, RagTokenForGeneration, RagTokenizer

    encoder, reads = DPRContextEncoder.from_pretrained(contexts).eval(), AutoTokenizer.from_pretrained(contexts)
    index = custom_index(corpus, encode(encoder, reads, corpus))
    retriever = RagRetriever.from_pretrained(name, indexed_dataset=index.dataset)
    model = RagTokenForGeneration.from_pretrained(name, retriever=retriever)
    return model.eval(), RagTokenizer.from_pretrained(name)


def custom_index(corpus: Corpus, vectors: np.ndarray):
    """The passages and their vectors (n, dimension) in the form in which RagRetriever accepts an index of one's own:
    exact search by dot product, in memory."""
    try:
        import datasets
    except ImportError:
        raise ImportError("transformers' RagRetriever needs the package datasets: run  pip install datasets") from None
    import faiss
    from transformers.models.rag.retrieval_rag import CustomHFIndex

    columns = {"title": [d.title for d in corpus], "text": [d.text for d in corpus], "embeddings": vectors.tolist()}
    table = datasets.Dataset.from_dict(columns)
    datasets.disable_progress_bars()
    table.add_faiss_index("embeddings", custom_index=faiss.IndexFlatIP(vectors.shape[1]))
    return CustomHFIndex(vectors.shape[1], table)


@torch.inference_mode()
def encode(encoder, tokenizer, corpus: Sequence[Document], *, batch_size: int = 32) -> np.ndarray:
    """The vectors (n, dimension) of documents, title and text, by a DPRContextEncoder."""
    vectors = np.empty((len(corpus), encoder.config.hidden_size), np.float32)
    order = sorted(range(len(corpus)), key=lambda place: len(corpus[place].content))
    for start in tqdm(range(0, len(order), batch_size), desc="encoding", unit=" batches"):
        some = order[start : start + batch_size]
        texts = [corpus[place].content for place in some]
        inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        vectors[some] = encoder(inputs.input_ids, inputs.attention_mask).pooler_output.numpy()
    return vectors


def training_text() -> tuple[list[Lesson], list[tuple[str, str]]]:
    """The questions of the training split of four towns, and all (title, sentence) of its pages."""
    asked, passages = [], []
    for seed in range(1, 5):
        archive = port_ellery.load(2400, seed=seed, questions=100_000)
        asked += lessons(archive, "train", ("lookup", "identifier", "paraphrase"))
        pages = [page for page in archive.corpus if page.metadata["split"] == "train"]
        passages += [(page.title, sentence) for page in pages for sentence in sentences(page.text)]
    return asked, passages


def main(arguments: Sequence[str]) -> None:
    """Train the small BART on the archive's training split and write it to a folder, with the losses of the way."""
    parser = argparse.ArgumentParser(prog="python -m ragedu.training.small_rag", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("small-bart"), help="the folder to write (./small-bart)")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(given.seed)
    asked, passages = training_text()
    tests = lessons(port_ellery.load(1000, questions=300), "test", ("lookup",))
    tokenizer = make_tokenizer([*(" ".join(passage) for passage in passages), *(lesson.question for lesson in asked)])
    bart = make_bart(tokenizer)
    batches = draw_batches(asked, passages, steps=given.steps, seed=given.seed)

    started = time.monotonic()
    with open(given.out / "log.jsonl", "w", encoding="utf-8") as log:
        losses: dict[str, list[float]] = defaultdict(list)  # of copying and of answering

        def after_step(step: int, loss: float) -> None:
            losses[batches[step - 1].kind].append(loss)
            if step % 100 == 0:
                recent = {kind: round(mean(some[-30:]), 3) for kind, some in losses.items()}
                entry = {"step": step, **recent, "seconds": round(time.monotonic() - started)}
                print(json.dumps(entry), file=log, flush=True)

        try:
            train(bart, tokenizer, batches, after_step=after_step)
            said = answer(bart, tokenizer, tests)
            replies = {str(n): text for n, text in enumerate(said)}
            figures = answer_scores(replies, {str(n): lesson.answers for n, lesson in enumerate(tests)})
            print(json.dumps({"questions": len(tests), **figures}), file=log)
        finally:  # interrupted, too, so that weights and log belong together
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                bart.half().save_pretrained(given.out)
                tokenizer.save_pretrained(given.out)


if __name__ == "__main__":
    main(sys.argv[1:])
