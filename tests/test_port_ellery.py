"""Port Ellery: exact sizes, the same bytes everywhere, and questions that are what they claim to be."""

import hashlib
import itertools
import os
import re
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict

import pytest
import Stemmer
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from ragedu.datasets import port_ellery
from ragedu.datasets.port_ellery import prose
from ragedu.datasets.port_ellery.chance import dice_for
from ragedu.datasets.port_ellery.names import name_of
from ragedu.datasets.port_ellery.pages import draw_page
from ragedu.datasets.port_ellery.questions import FUNCTION_WORDS
from ragedu.datasets.port_ellery.words import kinds, split_of

# Of the first 2,000 documents of seed 0, edition 1. Changing a word of the archive changes it: then write the new one.
DIGEST = "75a180eca54c1ff2b8bb5e2b831310d12974d20bb72da962ff74c83ce5e6266c"
SIZE = 1500


@pytest.fixture(scope="module")
def dataset():
    return port_ellery.load(SIZE, questions=300)


@pytest.fixture(scope="module")
def second():
    return port_ellery.load(SIZE, edition=2, questions=300)


@pytest.fixture(scope="module")
def many():
    return list(port_ellery.stream(12_000))


def of_kind(dataset, kind):
    queries = dataset.select(kind=kind).queries
    assert len(queries) >= 50
    return queries


def text_of(dataset, document_id):
    return dataset.corpus[document_id].text


def digest(documents):
    whole = hashlib.sha256()
    for d in documents:
        whole.update(repr((d.id, d.title, d.text, sorted(d.metadata.items()))).encode())
    return whole.hexdigest()


# Size and reproducibility


@pytest.mark.parametrize("documents", [1, 2, 12, 13, 14, 50, 51, 333])
def test_exact_size_and_prefix(documents, many):
    dataset = port_ellery.load(documents)
    assert len(dataset.corpus) == documents
    assert list(dataset.corpus) == many[:documents]


@pytest.mark.parametrize("seed", range(4))
def test_small_corpus_has_every_kind_of_question(seed):
    found = {(m["kind"], m["split"]) for m in port_ellery.load(50, seed=seed).metadata.values()}
    every = set(itertools.product(port_ellery.QUESTION_KINDS, ("train", "test")))
    assert ("changed", "train") in found
    assert every - found <= {("changed", "test")}  # one page in seven has changed, so of few pages perhaps none


def test_stream_is_load(dataset):
    assert list(port_ellery.stream(SIZE)) == list(dataset.corpus)


def test_pinned_bytes(many):
    assert digest(many[:2000]) == DIGEST


def test_same_bytes_in_another_process():
    code = (
        "import hashlib; from ragedu.datasets import port_ellery as p; d = p.load(300, seed=7, questions=40);"
        "print(hashlib.sha256(repr((list(d.corpus), d.queries, d.qrels, d.answers, d.metadata)).encode()).hexdigest())"
    )
    run = lambda hash_seed: (
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert run("1") == run("4242")


def test_seeds_differ():
    ours, theirs = (set(d.text for d in port_ellery.stream(200, seed=seed)) for seed in (0, 1))
    assert not ours & theirs


def test_stream_needs_bounded_memory():
    for _ in port_ellery.stream(500):  # the words are read
        pass
    tracemalloc.start()
    for _ in port_ellery.stream(3_000):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # all of them would be over 3 MB


def test_the_last_of_a_million_is_as_good_as_the_first():
    names = set()
    for number in range(999_900, 1_000_000):
        page, document = prose.write(number, 0, 1)
        assert page.name in document.text or page.kind.get("about")
        names.add(document.title)
    assert len(names) == 100
    prose.write(port_ellery.MAX_DOCUMENTS - 1, 0, 1)


# The world


def test_thirteen_kinds_of_eight_relations():
    assert len(kinds()) >= 10
    for kind in kinds():
        assert len(kind["relation"]) >= 8
        assert len({relation["name"] for relation in kind["relation"]}) == len(kind["relation"])
        assert any(relation.get("changes") for relation in kind["relation"])


RELATIONS = [
    pytest.param(kind, relation, id=f"{kind['id']}-{relation['name']}")
    for kind in kinds()
    for relation in kind["relation"]
]


@pytest.mark.parametrize("kind, relation", RELATIONS)
def test_phrasings(kind, relation):
    says, ask, paraphrase = relation["says"], relation["ask"], relation["paraphrase"]
    assert len(says) >= 5 and len(ask) >= 4 and len(paraphrase) >= 3
    for phrasings in (says, ask, paraphrase):
        assert len(set(phrasings)) == len(phrasings)
    assert all(sentence.count("{x}") == 1 and re.search(r"{[SsPpn]}", sentence) for sentence in says)
    assert all(re.search(r"{(s|p|name)}", question) and question.endswith("?") for question in ask + paraphrase)
    assert ("hop" in relation) == ("refers" in relation)
    stem = Stemmer.Stemmer("english").stemWord
    bag = lambda texts: {stem(w) for t in texts for w in re.findall(r"[a-z]+", re.sub(r"{\w+}", "", t).lower())}
    stop = {stem(word) for word in FUNCTION_WORDS}
    assert not (bag(paraphrase) & bag(says)) - stop


def test_names_ids_titles_and_texts_are_unique(many):
    for part in ("id", "title", "text"):
        assert len({getattr(d, part) for d in many}) == len(many)
    names = Counter()
    for number in range(len(many)):
        page = draw_page(number, 0, 1, dice_for(0, number))
        names[page.name] += "about" not in page.kind
    assert max(names.values()) == 1


def test_names_stay_unique_when_the_plain_ones_have_run_out():
    for slot in (slot for slot, kind in enumerate(kinds()) if "about" not in kind):
        blocks = range(0, 60_000, 3)
        assert len({name_of(slot, block, 0) for block in blocks}) == len(blocks)


def test_some_names_share_parts(dataset):
    last = Counter(d.title.split()[-1] for d in dataset.corpus if d.metadata["kind"] == "resident")
    assert sum(count for count in last.values() if count > 1) > 50


def test_every_fact_is_verbatim_and_no_other_contradicts_it(dataset):
    objects = {}
    for fact in port_ellery.facts(SIZE):
        assert fact.object in text_of(dataset, fact.document_id)
        assert objects.setdefault((fact.subject, fact.relation), fact.object) == fact.object
    assert len(objects) > 4 * SIZE


def test_entities_of_the_test_split_are_never_mentioned_in_train(many):
    mentions = defaultdict(set)
    known = {}
    for number, document in enumerate(many[:3000]):
        page = draw_page(number, 0, 1, dice_for(0, number))
        assert known.setdefault(page.name, page.split) == page.split == document.metadata["split"]
        for _, _, target in page.told:
            if target is not None:
                assert target < number
                mentions[split_of(target // len(port_ellery.KINDS))].add(page.split)
    assert mentions == {"train": {"train"}, "test": {"test"}}


# Prose


def test_length(many):
    lengths = sorted(len(d.text.split()) for d in many)
    assert lengths[0] >= 30 and lengths[-1] <= 125
    assert lengths[len(lengths) // 50] >= 40


def test_reads_as_prose(many):
    for document in many:
        text = document.content
        assert not re.search(r"[{}]|  |\.\.|\?\.|,,", text), text
        assert not re.search(
            r"(?<![-/])\b[Aa] (?!one)[aeioAEIO]|\b[Aa]n [^aeiouAEIOUh]|\bthe the\b|\b(\w+) \1\b", text
        ), text
        assert all(s[0].isupper() or s[0] == "'" for s in re.split(r"(?<=\.) ", document.text)), text


def test_no_template_shows_through(many):
    grams = Counter()
    for document in many[:6000]:
        words = document.text.lower().split()
        grams.update({tuple(words[i : i + 8]) for i in range(len(words) - 7)})
    assert grams.most_common(1)[0][1] / 6000 < 0.015
    openings = Counter(" ".join(d.text.split()[:3]) for d in many)
    assert openings.most_common(1)[0][1] / len(many) < 0.05


# Questions


def test_answers_are_in_the_supporting_documents(dataset, second):
    for edition in (dataset, second):
        for query_id, meta in edition.metadata.items():
            answers, supporting = edition.answers[query_id], list(edition.qrels[query_id])
            if meta["kind"] == "unanswerable":
                assert answers == [] and supporting == []
                continue
            assert set(edition.qrels[query_id].values()) == {1}
            assert len(supporting) == 1 + (meta["kind"] == "two-hop")
            content = edition.corpus[supporting[-1]].content
            assert answers[0] in content or answers[0].lower() in content.lower()
            assert 1 <= len(answers[0].split()) <= 9
    short = [len(a[0].split()) <= 6 for a in dataset.answers.values() if a]
    assert sum(short) / len(short) > 0.98


def test_ids_and_limit(dataset):
    assert re.fullmatch(r"q-lookup-\d{5}", next(iter(of_kind(dataset, "lookup"))))
    counts = Counter(m["kind"] for m in dataset.metadata.values())
    assert set(counts) == set(port_ellery.QUESTION_KINDS) and max(counts.values()) == 300
    assert len(set(dataset.queries.values())) == len(dataset.queries)
    assert not port_ellery.load(60, questions=0).queries


def test_splits_are_disjoint_by_entity_and_phrasing(dataset):
    for what in (
        lambda m: m["entity"],
        lambda m: m.get("bridge"),
        lambda m: m.get("hop"),
        lambda m: (m["kind"], m["relation"], m["phrasing"]) if m["kind"] != "identifier" else None,
    ):
        train, test = (
            {what(m) for m in dataset.metadata.values() if m["split"] == split} - {None} for split in ("train", "test")
        )
        assert test and not train & test


def test_passage_phrasings_are_disjoint(many):
    """Each sentence template, made a pattern, is found in documents of one split alone."""
    texts = {s: "\n".join(d.text for d in many[:4000] if d.metadata["split"] == s) for s in ("train", "test")}
    for kind in kinds():
        for phrasings in (kind["opening"], kind["colour"]):
            for position, phrasing in enumerate(phrasings):
                longest = max(re.split(r"{\w+}", phrasing), key=len).strip(" .,")
                boundary = len(phrasings) - len(phrasings) // 3
                assert longest not in texts["train" if position >= boundary else "test"]


def test_each_sentence_is_written_for_one_split_only(monkeypatch):
    used = {"train": set(), "test": set()}
    say = prose.say

    def record(phrasings, split, dice):
        chosen = say(phrasings, split, dice)
        used[split].add((id(phrasings), chosen))
        return chosen

    monkeypatch.setattr(prose, "say", record)
    for _ in port_ellery.stream(3000):
        pass
    assert len(used["train"]) > 500 and len(used["test"]) > 250
    assert not used["train"] & used["test"]


def test_paraphrases_share_the_name_and_no_other_content_word(dataset):
    assert ENGLISH_STOP_WORDS | {"did", "does"} >= FUNCTION_WORDS, FUNCTION_WORDS - ENGLISH_STOP_WORDS
    stem = Stemmer.Stemmer("english").stemWord
    bag = lambda text: {stem(w) for w in re.findall(r"\w+", text.lower()) if w not in FUNCTION_WORDS}
    for query_id, query in of_kind(dataset, "paraphrase").items():
        name = bag(dataset.metadata[query_id]["entity"])
        (supporting,) = dataset.qrels[query_id]
        assert bag(query) & bag(dataset.corpus[supporting].content) <= name
        assert name <= bag(query) and len(bag(query) - name) >= 1
        assert dataset.metadata[query_id]["pages"] == 2  # the name alone does not tell which of them
    everything = port_ellery.load(SIZE, questions=10**6).select(kind="paraphrase").metadata.values()
    assert len({(m["relation"], m["split"]) for m in everything}) > 180


def test_two_hop_needs_both_documents(dataset):
    for query_id, query in of_kind(dataset, "two-hop").items():
        meta = dataset.metadata[query_id]
        first, second = dataset.qrels[query_id]
        answer = dataset.answers[query_id][0]
        assert meta["entity"] in query and meta["bridge"] not in query
        assert meta["bridge"] in text_of(dataset, first) and answer.lower() not in text_of(dataset, first).lower()
        assert meta["entity"] not in text_of(dataset, second)


def test_identifiers_have_near_misses(dataset):
    documents = "\n".join(d.content for d in dataset.corpus)
    codes = set(re.findall(r"\b(?:PE-|HL/|QS-|EL-)\d+[-/][A-Z]\b", documents))
    lonely = 0
    for query in of_kind(dataset, "identifier").values():
        (code,) = re.findall(r"\b(?:PE-|HL/|QS-|EL-)\d+[-/][A-Z]\b", query) or [None]
        if code is not None:
            assert code in codes
            lonely += not any(other[:-1] == code[:-1] for other in codes - {code})
    assert lonely < 15  # hull numbers whose neighbours are not stated, and the last blocks


def test_hull_numbers_are_asked_about_by_number(dataset):
    asked = [q for q in of_kind(dataset, "identifier") if dataset.metadata[q]["relation"] == "hull_number"]
    assert asked and all("EL-" in dataset.queries[query_id] for query_id in asked)


def test_unanswerable_is_truly_absent(dataset):
    stated = {(fact.subject, fact.relation) for fact in port_ellery.facts(SIZE)}
    names = {fact.subject for fact in port_ellery.facts(SIZE)}
    texts = "\n".join(d.content for d in dataset.corpus)
    known = invented = 0
    for query_id, query in of_kind(dataset, "unanswerable").items():
        meta = dataset.metadata[query_id]
        assert (meta["entity"], meta["relation"]) not in stated and meta["entity"] in query
        known += meta["entity"] in names
        if meta["entity"] not in names:
            invented += 1
            assert meta["entity"] not in texts
    assert min(known, invented) > 50


# The second edition


def test_editions_differ_exactly_in_the_changed_facts(dataset, second):
    before, after = (list(port_ellery.facts(SIZE, edition=edition)) for edition in (1, 2))
    changed = defaultdict(list)
    for old, new in zip(before, after, strict=True):
        assert old._replace(object="") == new._replace(object="")
        if old.object != new.object:
            changed[old.document_id].append((old.object, new.object))
    assert all(len(facts) == 1 for facts in changed.values())
    assert 0.1 < len(changed) / SIZE < 0.2
    for old, new in zip(dataset.corpus, second.corpus, strict=True):
        if old.id in changed:
            ((was, now),) = changed[old.id]
            assert old.text != new.text and old.text.replace(was, now) == new.text or was in old.title
        else:
            assert old == new


def test_only_changed_questions_change(dataset, second):
    assert dataset.queries == second.queries and dataset.metadata == second.metadata
    assert dataset.qrels == second.qrels
    for query_id in dataset.queries:
        same = dataset.answers[query_id] == second.answers[query_id]
        assert same == (dataset.metadata[query_id]["kind"] != "changed")


# Bad input


@pytest.mark.parametrize("documents", [0, -1, 2.5, "50", True, port_ellery.MAX_DOCUMENTS + 1])
def test_bad_size(documents):
    with pytest.raises(ValueError, match="documents must be a whole number from 1 to 1,500,000"):
        port_ellery.stream(documents)
    with pytest.raises(ValueError, match="documents must be a whole number from 1 to 1,500,000"):
        port_ellery.facts(documents)


def test_bad_seed_edition_questions():
    with pytest.raises(ValueError, match="seed must be a whole number"):
        port_ellery.load(50, seed="x")
    with pytest.raises(ValueError, match="edition must be 1 or 2, not 3"):
        port_ellery.load(50, edition=3)
    with pytest.raises(ValueError, match="questions must be a whole number"):
        port_ellery.load(50, questions=-1)
