"""`read_squad`: reading comprehension in the format of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018) to a Dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ragedu.corpus import Corpus, Dataset, Document
from ragedu.readers.records import make_document, parse_json
from ragedu.readers.text_files import path_from, read_text, refuse_web_address


def read_squad(path: str | PathLike[str]) -> Dataset:
    """SQuAD JSON: every paragraph is a document, and every question is judged relevant (grade 1) to its paragraph.

    A document's id is "Title#n", where n counts the article's paragraphs from 1, with underscores for blanks; its title
    is the article's, with blanks for underscores.
    Of paragraphs with the same text, the first is the document for all their questions.

    `answers` are without repetition. They are empty for a question that its paragraph does not answer (is_impossible),
    and omitted where the file keeps them secret. `metadata` is {"is_impossible": bool}.

    Raises FileNotFoundError, and ValueError, which names article, paragraph and question, for anything malformed.
    """
    refuse_web_address(path, "download the file, and give its path")
    path = path_from(path)
    documents: dict[str, Document] = {}  # by text
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    answers: dict[str, list[str]] = {}
    metadata: dict[str, dict[str, bool]] = {}
    for paragraph in _paragraphs(path):
        text = _get(paragraph.content, "context", str, paragraph.place)
        if text not in documents:
            documents[text] = make_document(paragraph.place, paragraph.id, text, title=paragraph.title)
        for question in _get(paragraph.content, "qas", list, paragraph.place):
            query_id = _get(question, "id", str, f"{paragraph.place}, a question")
            place = f"{paragraph.place}, question {query_id!r}"
            if query_id in queries:
                raise ValueError(f"{place}: a second question with this id: ids must be unique")
            queries[query_id] = _get(question, "question", str, place).strip()
            qrels[query_id] = {documents[text].id: 1}
            is_impossible = bool(question.get("is_impossible", False))
            metadata[query_id] = {"is_impossible": is_impossible}
            texts = [_get(answer, "text", str, place) for answer in question.get("answers") or []]
            if is_impossible:
                answers[query_id] = []
            elif texts:
                answers[query_id] = list(dict.fromkeys(texts))
    if not documents:
        raise ValueError(f"{path} has no paragraphs: there is nothing to read")
    return Dataset(Corpus(documents.values()), queries, qrels=qrels, answers=answers, metadata=metadata, name=path.stem)


class _Paragraph(NamedTuple):
    content: Any
    title: str
    id: str
    place: str


def _paragraphs(path: Path) -> Iterator[_Paragraph]:
    """The paragraphs of all articles. Articles with the same title count theirs together, so that ids are unique."""
    counts: Counter[str] = Counter()
    data = parse_json(read_text(path), path)
    for article_number, article in enumerate(_get(data, "data", list, str(path)), start=1):
        article_place = f"{path}, article {article_number}"
        title = " ".join(_get(article, "title", str, article_place).replace("_", " ").split())
        for paragraph in _get(article, "paragraphs", list, article_place):
            counts[title] += 1
            number = counts[title]
            place = f"{article_place} ({title}), paragraph {number}"
            yield _Paragraph(paragraph, title, f"{title.replace(' ', '_')}#{number}", place)


def _get(value: Any, key: str, kind: type, place: str) -> Any:
    """value[key], of this type, or an error that says where the file is not as SQuAD's are."""
    if not isinstance(value, dict) or not isinstance(value.get(key), kind):
        raise ValueError(f"{place}: {key!r}, a {kind.__name__}, is missing: this is not SQuAD's JSON format")
    return value[key]
