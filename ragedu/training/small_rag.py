"""The model of Lewis et al. (2020) in transformers' own classes, at a size that a laptop trains: DPR, BART, one index.

The published `facebook/rag-token-nq` has 515 million weights and an index of 21 million passages. Here

- the passages are single sentences of the archive, each with the title of its page;
- the question encoder is all-MiniLM-L6-v2 in the form of a DPR encoder (`dpr_encoder`), untrained;
- the generator is a BART of 2.5 million weights, trained here from nothing (`train`) in about half an hour:

    python -m ragedu.training.small_rag      # writes the folder small-bart

What came of it lies in ragedu/adapters/small-bart; `build` puts all parts together.

A BART that begins with random weights has to find out that answers are *copied* from the passage. From whole pages it
did not in 2,000 steps. So the passages are sentences, and it first continues sentences of the passage from a few of
their words, and questions come in gradually; log.jsonl shows copying appear after about 500 steps.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.generation.language_model import ADAPTERS, fastest_dtype, quiet_transformers
from ragedu.models import embedding_model_folder
from ragedu.retrieval.embeddings import Embedder
from ragedu.text import sentences
from ragedu.training.end_to_end import token_log_probabilities

SMALL_BART = ADAPTERS / "small-bart"
VOCABULARY = 2000
LONGEST = 126  # tokens of title, sentence and question
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
    """Each question with the first sentence of its page that has the answer; those without such a sentence left out."""
    made = []
    for query, data in dataset.metadata.items():
        if data["split"] == split and data["kind"] in kinds:
            page = dataset.corpus[next(iter(dataset.qrels[query]))]
            answers = dataset.answers[query]
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


def make_bart(tokenizer, width: int = 160, layers: int = 3):
    from transformers import BartConfig, BartForConditionalGeneration

    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=width,
        **{f"{side}_layers": layers for side in ("encoder", "decoder")},
        **{f"{side}_attention_heads": width // 32 for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": 4 * width for side in ("encoder", "decoder")},
        **dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), 0.0),
        max_position_embeddings=LONGEST + 2,
        scale_embedding=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
    )
    return BartForConditionalGeneration._from_config(config, attn_implementation="eager")


def source_ids(tokenizer, title: str, sentence: str, question: str) -> list[int]:
    """What the encoder reads, as RagRetriever writes it: title / text // question. What is too long is cut off at
    the end, as RagRetriever does it, and there stands the question."""
    ids = tokenizer(f"{title} / {sentence} // {question}", add_special_tokens=False).input_ids
    return [*ids[:LONGEST], tokenizer.eos_token_id]


def continuation(passages: Sequence[tuple[str, str]], dice: Random) -> tuple[str, str, str, str]:
    """(title, sentence, one to three words of the sentence in the place of a question, up to six words that follow)"""
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


def train(
    bart,
    tokenizer,
    asked: Sequence[Lesson],
    passages: Sequence[tuple[str, str]],
    steps: int = 3500,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    after_step: Callable[[int, str, float], None] | None = None,
) -> None:
    """Teach BART to copy, then to answer. A batch is all continuations or all questions: all are continuations for a
    twentieth of the steps, then .64 of them, and fewer and fewer, down to .15 from about the middle on.
    after_step(step, "copy" or "answer", loss) follows each."""
    dice = Random(seed)
    optimizer = torch.optim.AdamW(bart.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    def example(copying: bool) -> tuple[list[int], list[int]]:
        if copying:
            title, sentence, question, answer = continuation(passages, dice)
        else:
            question, title, sentence, (answer, *_) = dice.choice(asked)
        target = tokenizer(answer, add_special_tokens=False).input_ids
        return source_ids(tokenizer, title, sentence, question), [*target, tokenizer.eos_token_id]

    bart.train()
    for step in tqdm(range(steps), desc="training", unit="step"):
        share = 1.0 if step < steps * 0.05 else max(0.15, 0.7 * (1 - step / (steps * 0.6)))
        copying = dice.random() < share
        rows = [example(copying) for _ in range(batch_size)]
        ids, labels = padded([row[0] for row in rows], bart.config.pad_token_id), padded([row[1] for row in rows], -100)
        mask = (ids != bart.config.pad_token_id).long()
        with torch.autocast("cpu", torch.bfloat16, enabled=fastest_dtype() == torch.bfloat16):
            loss = bart(input_ids=ids, attention_mask=mask, labels=labels).loss
        pace = min((step + 1) / 400, 0.5 * (1 + math.cos(math.pi * step / steps)))
        optimizer.param_groups[0]["lr"] = learning_rate * pace
        loss.backward()
        torch.nn.utils.clip_grad_norm_(bart.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if after_step is not None:
            after_step(step + 1, "copy" if copying else "answer", loss.item())
    bart.eval()


def padded(rows: Sequence[list[int]], filler: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])


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
    """ln p(y_t | x, z, y_<t) as `end_to_end.answer_log_probabilities` has it, (n, k, T), with BART as the generator."""
    padding, parts = bart.config.pad_token_id, []
    targets = [[*tokenizer(x.answers[0], add_special_tokens=False).input_ids, bart.config.eos_token_id] for x in asked]
    targets = padded(targets, padding)
    for n, (lesson, some) in enumerate(zip(tqdm(asked, desc="reading", unit=" questions"), candidates, strict=True)):
        ids = padded([source_ids(tokenizer, z.title, z.text, lesson.question) for z in some], padding)
        start = torch.tensor([[bart.config.decoder_start_token_id]])
        written = torch.cat([start, targets[n : n + 1, :-1]], dim=1).expand(len(some), -1)
        logits = bart(input_ids=ids, attention_mask=(ids != padding).long(), decoder_input_ids=written).logits
        parts.append(token_log_probabilities(logits[None], targets[n : n + 1], padding))
    return torch.cat(parts)


# ---------------------------------------------------------------------------------------------------------------
# DPR out of MiniLM


def dpr_encoder(kind: str = "question", trained: Embedder | None = None):
    """all-MiniLM-L6-v2 as transformers' DPRQuestionEncoder or DPRContextEncoder ("context"), with its tokenizer.
    trained: takes the weights of this Embedder, which was all-MiniLM-L6-v2 once.

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
        bert.load_state_dict(trained.model[0].auto_model.state_dict())
    inner = getattr(encoder, encoder.base_model_prefix).bert_model
    inner.load_state_dict({n: w for n, w in bert.state_dict().items() if "pooler" not in n}, strict=False)
    average, size = inner.encoder.layer[-1], config.hidden_size
    with torch.no_grad():
        for weights in average.parameters():
            weights.zero_()
        average.attention.self.value.weight.copy_(torch.eye(size))
        average.attention.output.dense.weight.copy_(
            1000 * torch.eye(size)
        )  # beside which the token's own vector is nothing
        average.attention.output.LayerNorm.weight.fill_(1)
        average.output.LayerNorm.weight.fill_((1 / TEMPERATURE / size) ** 0.5)
    return encoder, tokenizer


# ---------------------------------------------------------------------------------------------------------------
# All of it


def build(corpus: Corpus, documents: int = 5):
    """transformers' RagTokenForGeneration over the corpus, and its RagTokenizer.

    corpus: passages of a sentence or two; documents: how many are read for a question. Needs the package datasets.
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
        questions.config, bart.config, n_docs=documents, max_combined_length=LONGEST, index_name="custom",
        retrieval_vector_size=questions.config.hidden_size,
    )  # fmt: skip
    retriever = RagRetriever(config, question_tokenizer, tokenizer, index=index)
    model = RagTokenForGeneration(config=config, question_encoder=questions, generator=bart, retriever=retriever)
    return model.eval(), RagTokenizer(question_tokenizer, tokenizer)


def published(
    corpus: Corpus, name: str = "facebook/rag-token-nq", contexts: str = "facebook/dpr-ctx_encoder-multiset-base"
):
    """A published RagTokenForGeneration over the corpus, and its RagTokenizer: `name` with its question encoder and
    generator, `contexts` with the encoder of documents that goes with it. Names on the hub, or folders.

    The index is made here, of the corpus, and that of Wikipedia is not downloaded.
    """
    from transformers import AutoTokenizer, DPRContextEncoder, RagRetriever, RagTokenForGeneration, RagTokenizer

    encoder, reads = DPRContextEncoder.from_pretrained(contexts).eval(), AutoTokenizer.from_pretrained(contexts)
    index = custom_index(corpus, encode(encoder, reads, corpus))
    retriever = RagRetriever.from_pretrained(name, indexed_dataset=index.dataset)
    model = RagTokenForGeneration.from_pretrained(name, retriever=retriever)
    return model.eval(), RagTokenizer.from_pretrained(name)


def custom_index(corpus: Corpus, vectors: np.ndarray):
    """The passages and their vectors (n, dimension) as RagRetriever takes an index of one's own: exact search by dot
    product, in memory."""
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
def encode(encoder, tokenizer, corpus: Sequence[Document], together: int = 32) -> np.ndarray:
    """The vectors (n, dimension) of documents, title and text, by a DPRContextEncoder."""
    vectors = np.empty((len(corpus), encoder.config.hidden_size), np.float32)
    order = sorted(range(len(corpus)), key=lambda place: len(corpus[place].content))
    for start in tqdm(range(0, len(order), together), desc="encoding", unit="batch"):
        some = order[start : start + together]
        inputs = tokenizer(
            [corpus[place].content for place in some], padding=True, truncation=True, return_tensors="pt"
        )
        vectors[some] = encoder(inputs.input_ids, inputs.attention_mask).pooler_output.numpy()
    return vectors


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the small BART on the archive's training split and write it to a folder, with the losses of the way."""
    from ragedu.datasets import port_ellery
    from ragedu.evaluation.answers import answer_scores

    parser = argparse.ArgumentParser(prog="python -m ragedu.training.small_rag", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("small-bart"), help="the folder to write (./small-bart)")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(given.seed)
    kinds = ("lookup", "identifier", "paraphrase")
    asked, passages = [], []
    for seed in range(1, 5):
        archive = port_ellery.load(2400, seed=seed, questions=100_000)
        asked += lessons(archive, "train", kinds)
        pages = [page for page in archive.corpus if page.metadata["split"] == "train"]
        passages += [(page.title, sentence) for page in pages for sentence in sentences(page.text)]
    tests = lessons(port_ellery.load(1000, questions=300), "test", ("lookup",))
    tokenizer = make_tokenizer([*(" ".join(passage) for passage in passages), *(lesson.question for lesson in asked)])
    bart = make_bart(tokenizer)

    started = time.monotonic()
    with open(given.out / "log.jsonl", "w", encoding="utf-8") as log:
        recent: dict[str, list[float]] = {}

        def after_step(step: int, kind: str, loss: float) -> None:
            recent.setdefault(kind, []).append(loss)
            if step % 100 == 0:
                losses = {kind: round(sum(some[-30:]) / len(some[-30:]), 3) for kind, some in recent.items()}
                entry = {"step": step, **losses, "seconds": round(time.monotonic() - started)}
                print(json.dumps(entry), file=log, flush=True)

        try:
            train(bart, tokenizer, asked, passages, given.steps, seed=given.seed, after_step=after_step)
            said = answer(bart, tokenizer, tests)
            figures = answer_scores(dict(enumerate(said)), {n: lesson.answers for n, lesson in enumerate(tests)})
            print(json.dumps({"questions": len(tests), **figures}), file=log)
        finally:  # interrupted, too, so that weights and log belong together
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                bart.half().save_pretrained(given.out)
                tokenizer.save_pretrained(given.out)


if __name__ == "__main__":
    main()
