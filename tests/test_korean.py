"""Korean: syllable pairs find what white space and whole words miss.

tests/data/korean.jsonl holds thirty short passages about an invented town, each with one question, written together
by the same hand before anything was searched. So this can show that the analyzer sees through particles and endings
("등대는", "등대의") on everyday sentences, and it would show if a change broke that. It cannot show how good
retrieval is on a real Korean collection: it is small, each question has one right passage, and a question shares its
nouns with that passage more often than people's questions do. KorQuAD and MIRACL measure that.
"""

import json
import re
from pathlib import Path

import pytest

from ragedu import BM25Retriever, Corpus, Dataset, Document, TfidfRetriever, evaluate
from ragedu.text import Analyzer

LINES = (Path(__file__).parent / "data/korean.jsonl").read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def korean():
    rows = [json.loads(line) for line in LINES]
    return Dataset(
        Corpus(Document(row["id"], row["text"]) for row in rows),
        queries={row["id"] + "?": row["question"] for row in rows},
        qrels={row["id"] + "?": {row["id"]: 1} for row in rows},
    )


def ndcg(retriever, dataset):
    return evaluate(retriever, dataset, metrics=["ndcg@10"], progress=False)["ndcg@10"]


def test_syllable_pairs_beat_white_space_and_words(korean):
    words = Analyzer(stop_words=(), stemmer=None).words
    scores = {
        "white space": ndcg(BM25Retriever(analyzer=str.split), korean),
        "\\w+": ndcg(BM25Retriever(analyzer=lambda text: re.findall(r"\w+", text)), korean),
        "words": ndcg(BM25Retriever(analyzer=words), korean),
        "syllable pairs": ndcg(BM25Retriever(), korean),
        "syllable pairs, TF-IDF": ndcg(TfidfRetriever(), korean),
    }
    print(scores)
    assert scores["syllable pairs"] > 0.95
    assert scores["syllable pairs, TF-IDF"] > 0.9
    assert max(scores["white space"], scores["\\w+"], scores["words"]) < scores["syllable pairs"] - 0.05


def test_a_particle_does_not_hide_a_noun():
    corpus = Corpus.from_texts(["등대는 밤에 빛난다", "도서관은 낮에 연다", "서울에서 부산까지"])
    retriever = BM25Retriever().fit(corpus)
    for query, position in [("등대의", "0"), ("등대", "0"), ("도서관에서", "1"), ("부산으로", "2"), ("서울", "2")]:
        assert [hit.document.id for hit in retriever.search(query, 1)] == [position]
    assert BM25Retriever(analyzer=str.split).fit(corpus).search("등대의") == []


def test_text_from_a_mac_is_found(korean):
    """File names and pasted text from macOS are often decomposed: each letter of a syllable on its own."""
    import unicodedata

    retriever = BM25Retriever().fit(korean.corpus)
    for query in list(korean.queries.values())[:5]:
        assert retriever.search(unicodedata.normalize("NFD", query)) == retriever.search(query)


def test_a_particle_hides_a_noun_of_one_syllable_as_the_analyzer_says_of_itself():
    retriever = BM25Retriever().fit(Corpus.from_texts(["책을 빌려 준다", "배가 떠난다"]))
    assert retriever.search("책") == []


def test_explanations_and_indexes_are_korean_too(korean, tmp_path):
    retriever = BM25Retriever().fit(korean.corpus)
    assert retriever.explain("등대의", "등대").contributions.keys() == {"등대"}  # "대의" is nowhere
    retriever.save(tmp_path)
    assert BM25Retriever.load(tmp_path).search("등대의 불을 켜는 사람") == retriever.search("등대의 불을 켜는 사람")
