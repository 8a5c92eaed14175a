"""Two-hop retrieval: the second page is found with what the first one says."""

from __future__ import annotations

import pytest

from ragedu import RAG, BM25Retriever, Corpus, Document
from ragedu.datasets import port_ellery
from ragedu.evaluation import paired_test
from ragedu.retrieval.two_hop import TwoHopRetriever, names

TOWN = Corpus(
    [
        Document("1", "The Blue Drifter has Captain Ann Orr on her quarterdeck.", "The Blue Drifter"),
        Document("2", "Orr first saw the light in Eelford.", "Ann Orr, master mariner"),
        Document("3", "Where was the Drifter of Long Shingle built? In Crabbery.", "The Drifter of Long Shingle"),
        Document("4", "Ben Ash was born in Stonemouth and met Ann Orr there.", "Ben Ash"),
    ]
)
QUESTION = "Where was the captain of the Blue Drifter born?"


def test_names_have_two_words_or_are_numbers_and_come_once():
    text = "The Blue Drifter, Captain Ann Orr's ship, lay at the Barrel in Bethel Street. Ann Orr holds PE-9805-W."
    assert names(text) == ["Blue Drifter", "Captain Ann Orr", "Barrel in Bethel Street", "Ann Orr", "PE-9805-W"]
    assert names(text, titles=["Captain"]) == ["Blue Drifter", "Ann Orr", "Barrel in Bethel Street", "PE-9805-W"]
    assert names("Rain fell on Monday. Nobody minded.") == []


def test_the_page_about_the_name_comes_second_and_the_one_that_only_mentions_it_does_not():
    one_step = BM25Retriever().fit(TOWN)
    hits = TwoHopRetriever(one_step, titles=port_ellery.TITLES).search(QUESTION, k=2)
    assert [hit.document.id for hit in hits] == ["1", "2"]
    assert [hit.document.id for hit in one_step.search(QUESTION, k=2)] != ["1", "2"]
    assert [hit.rank for hit in hits] == [1, 2]


def test_k_documents_come_each_once_and_the_best_one_stays_first():
    two_hop = TwoHopRetriever(BM25Retriever(), titles=port_ellery.TITLES).fit(TOWN)
    for k in (1, 2, 3, 4):
        ids = [hit.document.id for hit in two_hop.search(QUESTION, k)]
        assert len(ids) == len(set(ids)) == k and ids[0] == "1"


def test_a_page_found_by_both_searches_stands_where_the_second_put_it():
    archive = port_ellery.load(400, questions=200)
    bm25 = BM25Retriever().fit(archive.corpus)
    two_hop, twice = TwoHopRetriever(bm25, titles=port_ellery.TITLES), 0
    for question in archive.select(kind="two-hop", split="test").queries.values():
        first = bm25.search(question, k=5)
        second = sorted(two_hop._second(question, first), key=lambda hit: -hit.score)
        expected = list(dict.fromkeys(hit.document.id for hit in [first[0], *second, *first[1:]]))[:5]
        assert [hit.document.id for hit in two_hop.search(question, k=5)] == expected
        twice += bool({hit.document.id for hit in second} & {hit.document.id for hit in first[1:]})
    assert twice > 3  # the case occurs


def test_without_a_new_name_it_is_the_retriever_itself():
    bm25 = BM25Retriever().fit(TOWN)
    assert TwoHopRetriever(bm25).search("Eelford", k=3) == bm25.search("Eelford", k=3)
    assert TwoHopRetriever(bm25).search("zzz") == []
    assert TwoHopRetriever(bm25).search_many(["  ", "Eelford"], k=3) == bm25.search_many(["  ", "Eelford"], k=3)
    with pytest.raises(ValueError, match="blank"):
        TwoHopRetriever(bm25).search(" ")
    with pytest.raises(ValueError, match="no words to search for"):
        TwoHopRetriever(bm25).search("the of")


def test_many_questions_are_asked_as_any_retriever_is_asked():
    two_hop = TwoHopRetriever(BM25Retriever().fit(TOWN), titles=port_ellery.TITLES)
    found = two_hop.search_many((query for query in ["the of", QUESTION, " "]), k=2)
    assert found == [[], two_hop.search(QUESTION, k=2), []]
    with pytest.raises(TypeError, match="not one string"):
        two_hop.search_many("ferry")
    with pytest.raises(TypeError, match="a query must be a string, not None"):
        two_hop.search_many([None])


def test_the_width_is_a_number_of_hits():
    bm25 = BM25Retriever()
    with pytest.raises(ValueError, match="width"):
        TwoHopRetriever(bm25, width=0)


def test_titles_are_several_words():
    with pytest.raises(TypeError, match="titles is a collection of words, not one string"):
        TwoHopRetriever(BM25Retriever(), titles="Captain")


def test_rag_reads_both_pages():
    answer = RAG(
        TwoHopRetriever(BM25Retriever().fit(TOWN), titles=port_ellery.TITLES), lambda prompt: "Eelford", k=2
    ).ask(QUESTION)
    assert "light in Eelford" in answer.prompt and "quarterdeck" in answer.prompt


def test_it_finds_both_pages_of_the_archives_two_hop_questions_far_more_often():
    archive = port_ellery.load(400, questions=200)
    asked = archive.select(kind="two-hop", split="test")
    bm25 = BM25Retriever().fit(archive.corpus)

    def both(retriever) -> list[bool]:
        found = retriever.search_many(list(asked.queries.values()), k=3)
        pages = [{hit.document.id for hit in hits} for hits in found]
        return [set(asked.qrels[query]) <= ids for query, ids in zip(asked.queries, pages, strict=True)]

    gain = paired_test(both(TwoHopRetriever(bm25, titles=port_ellery.TITLES)), both(bm25))
    assert gain.difference > 0.5 and gain.p_value < 0.001, gain
