"""100 questions on real documentation: what people ask Python's, git's and Debian's own pages.

The corpus is the text in four packages of Debian: `python3.11-doc` (the sources of its pages, reStructuredText),
`git-doc` (AsciiDoc), and `debian-reference-common` and `debian-reference-en` (one text: a preface, twelve chapters, an
appendix). Where they are installed with their documentation, the folder is "/". Elsewhere they are unpacked:

    apt-get download python3.11-doc git-doc debian-reference-common debian-reference-en
    for package in *.deb; do dpkg-deb -x "$package" unpacked; done
    python -m benchmarks.documentation unpacked

The pages are read by `read_corpus` and cut by `chunk`, both with their defaults. git's configuration variables are not
in the corpus, because the package describes them in HTML only.

The questions (documentation.jsonl) were written on 30 November 2026, by an AI assistant that read parts of the pages,
chosen from all over them. They were written **before any retriever or reader was run on them**, and no question was
changed for what one had found. 30 are on Python, 25 on git, 20 on the Debian Reference, at most three on a page, and 25
have no answer in the corpus. Nothing may be trained or tuned on them; nothing in ragedu was trained on them or on these
pages. There was one author, so there is no measure of agreement. The answer may stand on another page, too, which then
counts as not relevant.

Each line has

    id            a name and a number
    question      as one would ask it
    answers       the first is in the page, word for word; the others are other ways to say the same
    document      the page, such as "python/library/shutil"
    quote         at most twelve words of the page, which locate the passage
    kind          lookup        a number, a default, a name, a version
                  definition    what something is, or what it is called
                  paraphrase    asked in other words: besides names, the question shares no content word with the
                                sentence that answers it
                  table         the answer is in a cell of a table
                  code          the answer is a line of code or of a console
                  unanswerable  a near miss: there are no answers, and document and quote are blank. The text of all
                                pages was searched (grep) for its terms, to see that none answers it

Quotes and answers are short citations. The pages have licences of their own and are no part of ragedu: Python's are
under the Python Software Foundation License, version 2, git's under the GNU GPL, version 2, and the Debian Reference is
under the GNU GPL, version 2 or later.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ragedu import Corpus, Dataset, chunk, read_corpus

QUESTIONS = Path(__file__).with_suffix(".jsonl")
PACKAGES = ("python3.11-doc", "git-doc", "debian-reference-common", "debian-reference-en")
COLLECTIONS = ("python", "git", "debian-reference")

# The Debian Reference in one text: its parts and headings begin a line, with a no-break space after the number.
PART = re.compile(r"^(?:(Preface)|(Chapter)\xa0(\d+)\.\xa0(.+)|(Appendix)\xa0A\.\xa0(.+))$", re.MULTILINE)
HEADING = re.compile(r"^((?:\d+|A)(?:\.\d+)*)\.\xa0(.+(?:\n\S.*)*)$", re.MULTILINE)
UNDERLINES = "=-~^'"  # of a part, of a section, and so on


def questions(*, path: Path = QUESTIONS) -> list[dict[str, Any]]:
    """The questions as they are kept, in order."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def corpus(folder: str | Path) -> Corpus:
    """The pages in passages. The metadata of each has its page as "source", such as "python/library/shutil.rst".

    folder: where the packages are unpacked, or "/".

    Raises FileNotFoundError where a package is missing.
    """
    return chunk(documents(folder))


def documents(folder: str | Path) -> Corpus:
    """The pages, each section a document."""
    with tempfile.TemporaryDirectory(prefix="ragedu-documentation-") as name:
        for page, text in pages(folder).items():
            file = Path(name, page)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return read_corpus(name, strict=True)


def dataset(folder: str | Path) -> Dataset:
    """The passages with the questions. A passage is relevant if it is of the question's page and holds its quote.

    Raises ValueError for a question whose quote is in no passage.
    """
    passages = corpus(folder)
    asked = {question["id"]: question for question in questions()}
    of_page: dict[str, list[tuple[str, str]]] = {}
    for passage in passages:
        page = str(Path(passage.metadata["source"]).with_suffix(""))
        of_page.setdefault(page, []).append((passage.id, one_spaced(passage.content)))
    qrels: dict[str, dict[str, int]] = {}
    for id, question in asked.items():
        quote = one_spaced(question["quote"])
        qrels[id] = {passage: 1 for passage, text in of_page.get(question["document"], []) if quote and quote in text}
        if quote and not qrels[id]:
            raise ValueError(f"no passage of {question['document']} holds the quote of {id}: {quote!r}")
    return Dataset(
        passages,
        {id: question["question"] for id, question in asked.items()},
        qrels,
        {id: question["answers"] for id, question in asked.items()},
        metadata={id: {"kind": question["kind"], "document": question["document"]} for id, question in asked.items()},
        name="documentation",
    )


def pages(folder: str | Path) -> dict[str, str]:
    """{"python/library/shutil.rst": its text, …} for all three, in the order of their names."""
    share = Path(folder) / "usr" / "share"
    python = share / "doc" / "python3.11" / "html" / "_sources"
    git = share / "doc" / "git-doc"
    debian = share / "debian-reference" / "debian-reference.en.txt.gz"
    for package, place in (("python3.11-doc", python), ("git-doc", git), ("debian-reference-en", debian)):
        if not place.exists():
            raise FileNotFoundError(f"there is no {place}: unpack the package {package} into {folder} (dpkg-deb -x)")
    found = {f"python/{file.relative_to(python)}".removesuffix(".txt"): file for file in python.rglob("*.rst.txt")}
    found |= {f"git/{file.relative_to(git)}": file for file in git.rglob("*.txt")}
    texts = {name: file.read_text("utf-8") for name, file in sorted(found.items())}
    whole = gzip.decompress(debian.read_bytes()).decode("utf-8")
    texts |= {f"debian-reference/{name}.txt": text for name, text in chapters(whole)}
    return {name: text for name, text in texts.items() if text.strip()}


def chapters(book: str) -> Iterator[tuple[str, str]]:
    """(name, text) of the Debian Reference's preface, chapters and appendix, with underlined headings."""
    parts = list(PART.finditer(book))[1:]  # the first is in the table of contents
    ends = [part.start() for part in parts[1:]] + [len(book)]
    for part, end in zip(parts, ends, strict=True):
        preface, chapter, number, title, _, appendix = part.groups()
        name = "preface" if preface else f"ch{int(number):02}" if chapter else "appendix"
        body = HEADING.sub(_underlined, book[part.end() : end]).replace("\xa0", " ")
        body = re.sub("^ {4}", "", body, flags=re.MULTILINE)  # all text is indented
        yield name, f"{_with_line(preface or title or appendix, UNDERLINES[0])}\n{body.strip()}\n"


def _underlined(heading: re.Match[str]) -> str:
    number, title = heading.groups()
    return _with_line(f"{number}. {' '.join(title.split())}", UNDERLINES[1 + number.count(".")])


def _with_line(title: str, sign: str) -> str:
    return f"{title}\n{sign * len(title)}\n"


def one_spaced(text: str) -> str:
    """The text with one blank wherever it has white space: a quote may stand on two lines."""
    return " ".join(text.split())


def versions(folder: str | Path) -> dict[str, str]:
    """{package: its version}, by the first line of its change log, which an unpacked package has, too."""
    found = {}
    for package in PACKAGES:
        place = Path(folder) / "usr" / "share" / "doc" / package
        logs = [place / name for name in ("changelog.Debian.gz", "changelog.gz") if (place / name).exists()]
        first_line = gzip.decompress(logs[0].read_bytes()).decode("utf-8").partition("\n")[0] if logs else ""
        found[package] = match[1] if (match := re.search(r"\((\S+)\)", first_line)) else "unknown"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documentation", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help='where the packages are unpacked; "/" where they are installed')
    folder = parser.parse_args().folder
    for package, version in versions(folder).items():
        print(f"{package} {version}")
    data = dataset(folder)
    for collection in COLLECTIONS:
        of_it = [passage for passage in data.corpus if passage.id.startswith(f"{collection}/")]
        n_pages = len({passage.metadata["source"] for passage in of_it})
        print(f"{collection}: {n_pages:,} pages, {len(of_it):,} passages")
    print(f"{len({passage.metadata['source'] for passage in data.corpus}):,} pages, {len(data.corpus):,} passages")
    kinds = Counter(str(metadata["kind"]) for metadata in data.metadata.values())
    print(f"{len(data.queries)} questions: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}")
    print(f"passages that are relevant to a question: {sum(map(len, data.qrels.values()))}")


if __name__ == "__main__":
    main()
