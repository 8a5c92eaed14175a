"""Passages that a model reads to their ends: tokens are counted without it, and an encoder that truncates says so."""

import random
import subprocess
import sys
import warnings
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragedu import Corpus, Document, tokens
from ragedu.models import ModelUnavailable, embedding_model_folder, language_model_folder
from ragedu.retrieval.embeddings import Embedder, TruncationWarning
from ragedu.text import chunk, passages
from ragedu.tokens import TokenCounter, TokenEstimate, token_counter

pytestmark = pytest.mark.model


def tokenizer_in(folder):
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="module")
def minilm():
    return tokenizer_in(embedding_model_folder())


@pytest.fixture(scope="module")
def smollm2():
    return tokenizer_in(language_model_folder())


PIECES = [
    "harbour",
    "unaffordable",
    "3.14",
    "\n",
    "  ",
    "\t",
    "\x0b",
    "\xa0",
    "\u200b",
    "[SEP]",
    "é",
    "등대",
    "港",
    "น้ำ",
    "😀",
    "x" * 150,
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=12).map("".join)


@given(TEXTS)
def test_the_tokens_of_a_text_are_those_of_its_words(minilm, smollm2, text):
    for name, tokenizer in [("all-MiniLM-L6-v2", minilm), ("smollm2-135m", smollm2)]:
        counter = token_counter(name)
        assert counter.count(text) == len(tokenizer.encode(text).ids)
        assert counter.cost(text) >= counter.count(text) - counter.special


def test_limits_and_names(tmp_path):
    assert (token_counter().limit, token_counter("smollm2-135m").limit) == (256, 8192)
    assert token_counter(embedding_model_folder()).count("The ferry") == token_counter().count("The ferry") == 4
    with pytest.raises(ModelUnavailable, match=r"no tokenizer.json in 'intfloat/e5': .*Embedder\(name\).token_counter"):
        token_counter("intfloat/e5")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        token_counter(tmp_path)


def test_counting_loads_no_torch():
    code = (
        "import sys; from ragedu import Corpus, chunk; chunk(Corpus.from_texts(['a b c'])); "
        "from ragedu.tokens import token_counter; assert token_counter().count('a b') == 4; "
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Passages.

BYTES = random.Random(1).randbytes(45_000)
CODE = "def f(x):\n    if x:\n        return [y ** 2 for y in range(x)]\n\n    return None\n\n\n"
HARD = {
    "base64": b64encode(BYTES).decode(),
    "wrapped": "\n".join(BYTES[start : start + 38].hex() for start in range(0, 20_000, 38)),
    "one word": "a" * 60_000,
    "an endless word in prose": "Hello there. " + "b" * 3_000 + " is the end of it.",
    "numbers": " ".join(str(number * 7919) for number in range(50_000)),
    "numbers, no blanks": ",".join(str(number * 7919) for number in range(5_000)),
    "JSON": "[" + ",".join(f'{{"a":{number},"b":"x"}}' for number in range(3_000)) + "]",
    "minified": "function(){var a=1;b(c,d);return a+b};" * 1_500,
    "Thai": "ที่นี่อากาศดีมากและน้ำทะเลใสสะอาด" * 300,
    "Khmer": "ក្រុងភ្នំពេញជារាជធានីនៃប្រទេសកម្ពុជា" * 200,
    "Korean": "등대는 밤에 빛난다. 여객선은 아홉 시에 떠난다. " * 300,
    "Chinese": "港口的灯塔由守灯人看守。真的吗？" * 300,
    "Hindi": "दिन में किताब हिन्दी। " * 400,
    "Amharic": "ኢትዮጵያ ሰላም " * 500,
    "emoji": "😀😃😄" * 3_000,
    "accents": "e" + "\u0301" * 5_000,
    "zero width": "a\u200b" * 5_000,
    "control characters": "ab\x0bcd\x1cef\x85" * 3_000,
    "blanks": "x" + " " * 50_000 + "y",
    "empty lines": "a" + " \n" * 50_000 + "b",
    "signs": "!?.,;:" * 5_000,
    "special tokens": "[SEP][CLS] [MASK]" * 400,
    "code": CODE * 60,
    "fenced": f"Text.\n\n```\n{CODE * 60}```\n\nText.",
    "table": "| name | age |\n|---|---|\n" + "| Ada Quill | 41 |\n" * 400,
    "list": "- one item, which is long\n  and goes on\n- second item\n" * 150,
    "prose": "The harbour of Port Ellery was built in 1881, and the ferry leaves the east quay at nine. " * 60,
}


@pytest.mark.parametrize("name", HARD)
def test_no_passage_exceeds_what_the_model_reads(minilm, smollm2, name):
    check_passages(minilm, smollm2, HARD[name], "A title")


@pytest.mark.parametrize("title", ["", "T" * 50_000, "long title " * 500, "제목 " * 900, "\n\n"])
@pytest.mark.parametrize("name", ["base64", "code", "Thai", "prose"])
def test_no_title_is_too_long(minilm, smollm2, name, title):
    check_passages(minilm, smollm2, HARD[name], title)


def check_passages(minilm, smollm2, text, title):
    made = chunk(Corpus([Document("it", text, title)]), overlap=0)
    assert max(len(minilm.encode(document.content).ids) for document in made) <= 256
    assert max(len(smollm2.encode(document.text).ids) for document in made) < 2_200  # nor what the reader can bear
    assert "".join("".join(document.text.split()) for document in made) == "".join(text.split())


@pytest.mark.parametrize(
    "picture",
    [
        "data:image/png;base64,{}",
        "DATA:image/jpeg;charset=utf-8;base64,{}",
        "data:application/pdf;name=a.pdf;base64,{}",
    ],
)
def test_pictures_in_data_urls_are_no_text(picture):
    picture = picture.format(HARD["base64"])
    for text in (
        f"Before. ![pic]({picture}) After.",
        f'Before. <img src="{picture}"> After.',
        f"Before. {picture} After.",
    ):
        (document,) = chunk(Corpus([Document("note", text, metadata={"a": 1})]))
        assert document.id == "note" and document.metadata == {"a": 1}
        assert document.text.startswith("Before.") and document.text.endswith("After.") and len(document.text) < 40
    plain = Document("plain", "Send data: image, text and data:text/x.")
    assert chunk(Corpus([plain]))[0] is plain


def test_ordinary_prose_is_cut_as_by_words():
    text = " ".join(f"The harbour has {n} boats, and each of them leaves at nine. Some return." for n in range(100))
    assert [document.text for document in chunk(Corpus.from_texts([text]))] == list(passages(text))
    assert [document.text for document in chunk(Corpus.from_texts([text]), tokenizer=None)] == list(passages(text))


def test_another_model_is_counted(minilm, embedder):
    text = " ".join(f"The harbour has {n} boats." for n in range(600))
    small = TokenCounter(minilm, limit=40)
    assert all(small.count(document.content) <= 40 for document in chunk(Corpus.from_texts([text]), tokenizer=small))
    for tokenizer in (embedder.token_counter, "all-MiniLM-L6-v2", embedding_model_folder()):
        assert chunk(Corpus.from_texts([text]), tokenizer=tokenizer).ids == chunk(Corpus.from_texts([text])).ids
    large = chunk(Corpus.from_texts([text]), words=1_000, tokenizer="smollm2-135m")
    assert max(len(document.text.split()) for document in large) > 900
    with pytest.raises(ModelUnavailable):
        chunk(Corpus.from_texts([text]), tokenizer="no-such-model")


def test_without_the_model_tokens_are_estimated_and_that_is_said_once(monkeypatch):
    def missing(*arguments):
        raise ModelUnavailable("the embedding model is not installed: run  ragedu models")

    monkeypatch.setattr(tokens, "token_counter", missing)
    tokens._estimate.cache_clear()
    with pytest.warns(UserWarning, match=r"cut by an estimate.*run  ragedu models") as said:
        for text in HARD.values():
            made = chunk(Corpus.from_texts([text]))
            assert all(TokenEstimate().count(document.text) <= 256 for document in made)
    assert len(said) == 1
    tokens._estimate.cache_clear()


def documents(number):
    chance = random.Random(0)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(8_000)]
    for position in range(number):
        text = chance.choices(words, k=224)
        text[13::14] = [word + "." for word in text[13::14]]
        yield Document(str(position), " ".join(text), "A title")


def test_long_work_shows_how_far_it_is(monkeypatch, capsys):
    corpus = Corpus(documents(100))
    chunk(corpus)
    assert "cutting" not in capsys.readouterr().err
    monkeypatch.setattr("ragedu.text.chunking.PROGRESS_FROM_CHARACTERS", 1_000)
    chunk(corpus)
    assert "cutting passages: 100%" in capsys.readouterr().err


# An encoder that truncates says so.


def test_an_encoder_that_truncates_warns_once_with_the_number_of_texts(embedder, tmp_path, monkeypatch):
    texts = ["harbour " * 300, "The ferry leaves at nine.", "a, b " * 130, "x" * 5_000]
    with pytest.warns(
        TruncationWarning, match="2 of 4 texts have more than 256 tokens, which all-MiniLM.*chunk"
    ) as said:
        embedder.encode(texts)
    assert len(said) == 1 and said[0].filename == __file__
    with pytest.warns(TruncationWarning, match="the text has more than 256 tokens"):
        embedder.encode(texts[:1])
    monkeypatch.setenv("RAGEDU_CACHE", str(tmp_path))
    remembering = Embedder()
    for _ in range(2):  # a vector that is remembered says no more than before
        with pytest.warns(TruncationWarning, match="2 of 4 texts"):
            remembering.encode(texts)


def test_passages_are_encoded_without_a_warning(embedder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = chunk(Corpus([Document("code", CODE * 20, "A title"), Document("thai", HARD["Thai"][:3_000])]))
        embedder.encode([document.content for document in made])
        embedder.encode(["harbour " * 254])
        embedder.encode([])


def test_the_limit_is_that_of_the_model(embedder):
    text = "harbour " * 100
    embedder.model.max_seq_length, usual = 64, embedder.model.max_seq_length
    try:
        with pytest.warns(TruncationWarning, match="more than 64 tokens"):
            embedder.encode([text])
        assert embedder.token_counter.limit == 64
    finally:
        embedder.model.max_seq_length = usual
