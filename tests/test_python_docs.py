"""The corpus of installed docstrings: whole, clean, the same in every process, and its judgments sound."""

import hashlib
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ragedu.datasets import python_docs
from ragedu.datasets.python_docs import passage, plain, without_directives, without_signature


@pytest.fixture(scope="module")
def dataset():
    return python_docs.load()


def fingerprint(corpus) -> str:
    rows = [(d.id, d.title, d.text, dict(d.metadata)) for d in corpus]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


# ---- the documents ----


def test_thousands_of_passages_from_every_package(dataset):
    packages = [document.metadata["package"] for document in dataset.corpus]
    assert len(packages) > 4000
    for package, least in {"python": 2000, "numpy": 400, "scipy": 1000, "scikit-learn": 300}.items():
        assert packages.count(package) > least
    assert {document.metadata["kind"] for document in dataset.corpus} == {"function", "class", "method", "object"}


def test_passages_are_short_prose_without_traces_of_markup_or_of_this_run(dataset):
    assert dataset.corpus.ids == sorted(dataset.corpus.ids)
    for document in dataset.corpus:
        words = document.text.split()
        assert python_docs.MIN_PASSAGE_WORDS <= len(words) <= python_docs.MAX_PASSAGE_WORDS, document.id
        assert not re.search(r"\bat 0x|>>>|:func:`|:ref:|:math:`|\n\.\. |={3,} +={3,}", document.content), document.id
        assert document.title.startswith(document.id), document.id


def test_one_object_is_one_document(dataset):
    assert "numpy.concatenate" in dataset.corpus  # the name it goes by …
    assert "numpy.concat" not in dataset.corpus  # … and not its alias, though that is shorter
    assert "random.shuffle" in dataset.corpus
    assert "random.Random.shuffle" not in dataset.corpus
    assert "email.message.Message.get_payload" in dataset.corpus  # where it is defined
    assert "email.message.EmailMessage.get_payload" not in dataset.corpus  # where it is inherited
    assert not any(i.startswith("sklearn.") and i.endswith(".fit") for i in dataset.corpus.ids)


def test_a_document_says_what_the_docstring_says(dataset):
    document = dataset.corpus["numpy.argpartition"]
    assert document.title == "numpy.argpartition(a, kth, axis, kind, order)"
    assert document.text.startswith("Perform an indirect partition along the given axis")
    assert "kth: Element index to partition by." in document.text
    assert document.metadata == {"package": "numpy", "module": "numpy", "kind": "function"}
    assert dataset.corpus["str.casefold"].metadata["module"] == "builtins"
    assert dataset.corpus["os.path.samefile"].metadata["module"] == "os.path"


def test_another_process_builds_the_same_corpus(dataset):
    # Another hash seed, because numpy's __all__ has the order of a set, and no pytest, which replaces some functions.
    program = """
import hashlib, json
from ragedu.datasets import python_docs
rows = [(d.id, d.title, d.text, dict(d.metadata)) for d in python_docs.corpus()]
print(hashlib.sha256(json.dumps(rows).encode()).hexdigest())"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == fingerprint(dataset.corpus)


def test_what_other_packages_plant_in_the_standard_library_is_no_document():
    planted = lambda self: None
    planted.__module__ = "transformers.utils.logging"
    item = python_docs.Item("logging.Logger.info_once", planted, "python", "logging", "method")
    assert python_docs.is_foreign(item)
    assert not python_docs.is_foreign(item._replace(value=logging.Logger.info))
    assert not python_docs.is_foreign(item._replace(value=str.casefold))


def test_python_without_docstrings_is_refused():
    program = "from ragedu.datasets import python_docs; python_docs.corpus()"
    result = subprocess.run([sys.executable, "-OO", "-c", program], capture_output=True, text=True)
    assert result.returncode != 0
    assert "RuntimeError: Python was started with -OO" in result.stderr


# ---- from a docstring to a passage ----


def test_passage_of_a_docstring_in_numpys_style():
    doc = """Solve a thing.

.. versionadded:: 1.2
   Not of interest.

Uses :func:`~numpy.linalg.qr` and ``fast=True`` as in [1]_. Read more in
the :ref:`User Guide <solve>`.

.. note:: Slow on `Mondays`.

.. math::

    x = y

Parameters
----------
a : array_like
    The matrix. It may be
    anything.
b, c : float, optional
    Two numbers::

        1, 2

Returns
-------
x : float
    The answer.

Notes
-----
The **idea** is old::

    while True: pass

But it works.

Examples
--------
>>> solve(1)
2
"""
    assert passage(doc) == (
        "Solve a thing.\n\nUses numpy.linalg.qr and fast=True as in.\n\nSlow on Mondays.\n\n"
        "The idea is old:\n\nBut it works.\n\n"
        "Parameters: a: The matrix. b, c: Two numbers:"
    )


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("Use :class:`~a.b.C` and :meth:`.fit`.", "Use a.b.C and fit."),
        ("See :doc:`the guide </x/y>` and `a page <http://x>`_.", "See the guide and a page."),
        ("A *word*, **two words**, *args and **kwargs.", "A word, two words, *args and **kwargs."),
        ("2 * 3 * 4 and x**2 + y**2", "2 * 3 * 4 and x**2 + y**2"),
        ("for :math:`0 < x < 1`", "for 0 < x < 1"),
        ("<function f at 0x7fda4cb7e740>", "<function f>"),
    ],
)
def test_markup_goes_and_words_stay(marked, expected):
    assert plain(marked) == expected


def test_a_long_passage_ends_with_a_sentence():
    text = passage("One two three. " * 200)
    assert len(text.split()) == 249  # 83 sentences of three words: a 84th would make 252
    assert text.endswith("three.")


def test_a_signature_at_the_top_goes_but_a_lone_one_stays():
    assert without_signature("log2(x, /,\n     out=None)\n\nBase-2 logarithm.") == "Base-2 logarithm."
    assert without_signature("gcd(a, b) -> int\nGreatest divisor.") == "Greatest divisor."
    assert without_signature("dict() -> new empty dictionary\nmore") == "dict() -> new empty dictionary\nmore"
    assert without_signature("f(x)") == "f(x)"


def test_a_directive_goes_with_its_body_and_no_further():
    assert without_directives(".. plot::\n   :x: 1\n\n   code\nText.").split() == ["Text."]
    assert without_directives("Wait ... what\n... more") == "Wait ... what\n... more"


# ---- the questions and their judgments ----


def test_a_hundred_questions_most_of_them_in_other_words_than_the_documentation(dataset):
    assert len(dataset.queries) >= 95
    assert len(set(dataset.queries.values())) == len(dataset.queries)
    wordings = [dataset.metadata[query_id]["wording"] for query_id in dataset.queries]
    assert set(wordings) == {"same", "different"}
    assert min(wordings.count("same"), wordings.count("different")) >= 40


def test_every_judged_document_is_there(dataset):
    """On the versions that the judgments were made for; on others a few names may be gone or not yet there."""
    questions = python_docs.read_questions()
    judged = {i for question in questions.values() for name in python_docs.GRADES for i in question.get(name, [])}
    missing = judged - set(dataset.corpus.ids)
    assert len(missing) <= len(judged) / 20, missing
    if sys.version_info[:2] == (3, 11):
        on_3_13 = {"pathlib.Path.with_suffix", "pathlib.Path.with_name", "pathlib.Path.with_stem"}
        assert missing == on_3_13 and {i.replace("Path", "PurePath") for i in on_3_13} <= set(dataset.corpus.ids)
        assert dataset.queries.keys() == questions.keys()


def test_judgments_are_graded_once_and_every_question_has_an_exact_answer(dataset):
    for query_id, question in python_docs.read_questions().items():
        listed = [i for name in python_docs.GRADES for i in question.get(name, [])]
        assert len(listed) == len(set(listed)), query_id
        assert question.keys() <= {"question", "topic", "wording", *python_docs.GRADES}, query_id
    for query_id, judgments in dataset.qrels.items():
        assert set(judgments.values()) <= {1, 2, 3}
        assert 3 in judgments.values(), query_id


def test_no_question_gives_the_name_away(dataset):
    for query_id, question in dataset.queries.items():
        words = set(re.findall(r"\w+", question.lower()))
        for document_id, grade in dataset.qrels[query_id].items():
            if grade == 3:
                assert document_id.rpartition(".")[2].lower() not in words, (query_id, document_id)


def test_answers_are_the_long_and_short_names_of_the_exact_documents(dataset):
    question = "How do I pick the k largest values of an array without sorting all of it?"
    query_id = next(i for i, text in dataset.queries.items() if text == question)
    assert {"numpy.argpartition", "argpartition", "numpy.partition"} <= set(dataset.answers[query_id])


def test_same_wording_shares_more_words_with_its_documents(dataset):
    """The mark is not decoration: it tells vocabulary mismatch, which lesson 3 is about."""

    def overlap(query_id):
        words = set(re.findall(r"[a-z]{4,}", dataset.queries[query_id].lower()))
        exact = [i for i, grade in dataset.qrels[query_id].items() if grade == 3]
        return max(len(words & set(re.findall(r"\w+", dataset.corpus[i].content.lower()))) for i in exact) / len(words)

    mean = lambda values: sum(values) / len(values)
    same, different = (
        mean([overlap(i) for i in dataset.queries if dataset.metadata[i]["wording"] == wording])
        for wording in ("same", "different")
    )
    assert same > 0.6 and different < 0.4, (same, different)


def test_what_this_machine_lacks_is_left_out(monkeypatch):
    questions = {
        "kept": {"question": "q", "topic": "t", "wording": "same", "exact": ["numpy.gone"], "works": ["numpy.dot"]},
        "dropped": {"question": "r", "topic": "t", "wording": "same", "exact": ["no.such"], "related": ["numpy.dot"]},
    }
    monkeypatch.setattr(python_docs, "read_questions", lambda: questions)
    dataset = python_docs.load()
    assert dict(dataset.queries) == {"kept": "q"}
    assert dataset.qrels == {"kept": {"numpy.dot": 2}}
    assert dataset.answers == {}  # not [], which would mean that to abstain is right
