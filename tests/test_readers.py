"""Readers: every supported type, and for every kind of bad file an error that says where and what to do."""

import gzip
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ragedu import read_beir, read_corpus, read_squad
from ragedu.readers import SkippedFiles
from ragedu.readers.finding import matches, patterns_from
from ragedu.readers.markdown import headings_of, records_from_markdown
from ragedu.readers.pictures import without_pictures
from ragedu.readers.restructured import headings_of as rst_headings_of


@pytest.fixture
def write(tmp_path):
    """write("name", content) makes a file, parents included, and returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content = content if isinstance(content, str) else json.dumps(content)
            path.write_text(content, encoding="utf-8", newline="")
        return path

    return write


def table(corpus):
    return [(document.id, document.title, document.text) for document in corpus]


# Folders


def test_a_folder_of_everything(tmp_path, write):
    write("b.txt", "plain\r\ntext")
    write("a/deep/c.MD", "# One heading\n\nbody")
    write("z.rst", "Harbour\n=======\n\nlight")
    write("a/rows.csv", 'id,title,text,year\nr1,First,"two\nlines",1901\n')
    write("a/rows.tsv", "text\tid\ntabbed, text\tr2\n")
    write("list.json", ["one", {"_id": 7, "text": "two"}])
    write("map.json", {"m1": "mapped", "m2": {"text": "object", "title": "M"}})
    write("lines.jsonl", '{"text": "no id", "lang": "en"}\n\n{"id": "l2", "text": "\u2028 stays"}\n')
    write(".hidden/x.txt", "hidden")
    write(".hidden.txt", "hidden")
    write("blank.txt", " \n")
    write("photo.png", b"\x89PNG\0")
    with pytest.warns(SkippedFiles, match=r"8 files read, 1 skipped: types that cannot be read \(1 \.png\)$"):
        corpus = read_corpus(tmp_path)
    assert table(corpus) == [
        ("a/deep/c.MD", "One heading", "body"),
        ("r1", "First", "two\nlines"),
        ("r2", "", "tabbed, text"),
        ("b.txt", "b", "plain\ntext"),
        ("lines.jsonl#1", "", "no id"),
        ("l2", "", "\u2028 stays"),
        ("list.json#1", "", "one"),
        ("7", "", "two"),
        ("m1", "", "mapped"),
        ("m2", "M", "object"),
        ("z.rst", "Harbour", "light"),
    ]
    assert corpus["r1"].metadata == {"year": "1901"}
    assert corpus["lines.jsonl#1"].metadata == {"lang": "en"}
    assert corpus["b.txt"].metadata == {"source": "b.txt"}
    assert table(read_corpus(str(tmp_path / "b.txt"))) == [("b.txt", "b", "plain\ntext")]


def test_links_that_go_round_do_not_hang(tmp_path, write):
    write("in/a.txt", "found")
    (tmp_path / "in/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "in/linked.txt").symlink_to(tmp_path / "in/a.txt")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "in/pipe.txt")  # reading it would wait for ever
    with pytest.warns(SkippedFiles, match=r"a link to a folder \(in/up\)"):
        assert read_corpus(tmp_path).ids == ["in/a.txt", "in/linked.txt"]
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    with pytest.raises(OSError, match="self.txt"):
        read_corpus(tmp_path / "self.txt")
    with pytest.warns(SkippedFiles, match=r"is a link to something that is not there: .* \(self.txt\)"):
        read_corpus(tmp_path)
    with pytest.raises(FileNotFoundError, match="self.txt is a link to something that is not there"):
        read_corpus(tmp_path, strict=True)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path, write):
    """Whoever made the folder could have a file of ours read, and shown to whoever asks."""
    secret = write("home/secret.txt", "the key")
    write("notes/a.txt", "a note")
    (tmp_path / "notes/b.txt").symlink_to(secret)
    with pytest.warns(SkippedFiles, match=r"1 file read, 1 skipped: is a link out of the folder: .* \(b.txt\)"):
        assert read_corpus(tmp_path / "notes").ids == ["a.txt"]
    with pytest.raises(ValueError, match="b.txt is a link out of the folder: put a copy in its place"):
        read_corpus(tmp_path / "notes", strict=True)
    assert read_corpus(tmp_path / "notes/b.txt")[0].text == "the key"  # named alone, it is what was asked for


def test_nothing_to_read(tmp_path, write):
    with pytest.raises(FileNotFoundError, match="there is no file or folder .*nowhere"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"has no file of a type that can be read: \.txt, \.md"):
        read_corpus(tmp_path)
    with pytest.raises(ValueError, match=r"photo.png is of a type that cannot be read; supported are \.txt, \.md"):
        read_corpus(write("photo.png", b"\x89PNG\0"))
    for name in ("a.txt", "a.md", "a.json", "a.jsonl", "a.csv", "a.ipynb"):
        with pytest.raises(ValueError, match=f"{name} is empty"):
            read_corpus(write(name, ""))
    with pytest.raises(ValueError, match="is empty: there is no text in its files"):
        read_corpus(tmp_path)
    for name, content in (("b.json", "[]"), ("b.csv", "id,text\n"), ("b.jsonl", "\n\n")):
        with pytest.raises(ValueError, match=f"{name} is empty"):
            read_corpus(write(name, content))


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions work differently on Windows")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_must_not_be_read_is_told(tmp_path, write, what):
    write("open.txt", "fine")
    secret = write("closed/secret.txt", "secret")
    locked = secret if what == "file" else secret.parent
    locked.chmod(0)
    program = (
        "import os, sys; from ragedu import read_corpus\n"
        "if os.geteuid() == 0: os.setuid(65534)  # root may read everything\n"
        "os.listdir(sys.argv[1])\n"
        "print(*read_corpus(sys.argv[1]).ids)\n"
        "try: read_corpus(sys.argv[1], strict=True)\n"
        "except PermissionError as error: print('refused:', error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    try:
        done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
    finally:
        locked.chmod(0o700)
    if "listdir" in done.stderr:
        pytest.skip("the temporary folder is out of an ordinary user's reach")
    assert done.stdout.startswith("open.txt\nrefused:") and f"{locked} cannot be read" in done.stdout, done.stderr
    assert "1 file read, 1 skipped:" in done.stderr and "cannot be read" in done.stderr


@pytest.mark.parametrize("path", [["a.txt", "b.txt"], None, b"/tmp", 7])
def test_what_is_no_path(path):
    with pytest.raises(
        TypeError, match="read_corpus takes one path or the URL of a database, not (list|None|bytes|int)"
    ):
        read_corpus(path)


def test_a_name_that_is_not_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / f"{name}.csv").write_text("id,text\n1,x\n", encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert read_corpus(tmp_path).ids == ["1"]  # its name is needed for nothing
    (tmp_path / f"{name}.txt").write_text("text", encoding="utf-8")
    with pytest.raises(ValueError, match=r"the name of the file .*udce9.txt' is not UTF-8, .*: rename it"):
        read_corpus(tmp_path, strict=True)
    with pytest.warns(SkippedFiles, match=r"is not UTF-8, so it cannot be an id: rename it \(caf.udce9.txt\)") as told:
        read_corpus(tmp_path)
    str(told[0].message).encode("utf-8")  # it can be printed


# A folder is read as far as it can be.


@pytest.fixture
def repository(tmp_path, write):
    """A folder as it is met: three good files, and what lies beside them."""
    write("docs/guide.md", "# Guide\n\nThe light is red.")
    write("docs/api/notes.rst", "Notes\n=====\n\nThe wall is old.")
    write("readme.txt", "Read this.")
    write("package.json", {"name": "harbour", "version": "1.0", "scripts": {"test": "x"}, "private": True})
    write("docs/_category_.json", {"label": "Guides", "position": 2, "link": {"type": "doc"}})
    write("data/prices.csv", "day,price\n1,2.50\n")
    write("data/old.txt", "Grüße aus Köln".encode("cp1252"))
    write("data/wide.txt", "The light is red.".encode("utf-16-le"))
    write("old.ipynb", {"worksheets": [], "nbformat": 3})
    for number in range(5):
        write(f"site/page{number}.html", "<p>")
    write("Makefile", "all:")
    write("node_modules/x/readme.md", "Not ours.")
    return tmp_path


def test_the_good_files_are_read_and_one_line_says_what_was_skipped(repository):
    with pytest.warns(SkippedFiles) as told:
        corpus = read_corpus(repository)
    assert corpus.ids == ["docs/api/notes.rst", "docs/guide.md", "node_modules/x/readme.md", "readme.txt"]
    (warning,) = told
    assert warning.filename == __file__
    line = str(warning.message)
    assert "\n" not in line and f"{repository}: 4 files read, 12 skipped: " in line
    assert "12 skipped: types that cannot be read (5 .html, 1 without suffix); " in line
    assert "no 'text' among the keys: name the right one with text=…" in line
    for name in (
        "package.json",
        "docs/_category_.json",
        "data/prices.csv",
        "data/old.txt",
        "data/wide.txt",
        "old.ipynb",
    ):
        assert name in line and name in warning.message.skipped
    assert warning.message.skipped["data/old.txt"].endswith("save it as UTF-8; it looks like cp1252")
    assert "('name', 'version', 'scripts', 'private')" in warning.message.skipped["package.json"]
    assert len(warning.message.skipped) == 12


@pytest.mark.parametrize(
    ("name", "error"), [("package.json", "no 'text' among"), ("data/old.txt", "UTF-8"), ("old.ipynb", "format 4")]
)
def test_strict_and_a_file_named_alone(repository, name, error):
    with pytest.raises(ValueError, match=error):
        read_corpus(repository / name)
    with pytest.raises(ValueError, match=f"{Path(name).name}.*{error}"):
        read_corpus(repository, include=name, strict=True)
    with pytest.raises(ValueError, match=f"nothing in .* could be read: .*{error}.*{name}"):
        read_corpus(repository, include=name)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"include": "*.md"}, ["docs/guide.md", "node_modules/x/readme.md"]),
        ({"include": "docs/*.md"}, ["docs/guide.md"]),
        ({"include": ["./docs/**", "*.txt"], "exclude": ["data", "*.json"]},
         ["docs/api/notes.rst", "docs/guide.md", "readme.txt"]),
        ({"include": "**/*.rst"}, ["docs/api/notes.rst"]),
        ({"include": "docs", "exclude": "api/"}, ["docs/guide.md"]),
        ({"include": ["*.md", "*.rst"], "exclude": "node_modules"}, ["docs/api/notes.rst", "docs/guide.md"]),
    ],
)  # fmt: skip
def test_include_and_exclude(repository, options, ids):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedFiles)
        assert read_corpus(repository, **options).ids == ids


def test_what_is_left_out_on_purpose_is_not_told(repository):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_corpus(repository, include=["*.md", "*.rst"])


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*.md", "a.md", True), ("*.md", "x/y/a.md", True), ("x/*.md", "x/a.md", True), ("x/*.md", "x/y/a.md", False),
        ("x/**/*.md", "x/a.md", True), ("x/**/*.md", "x/y/z/a.md", True), ("**/a.md", "a.md", True),
        ("x/**", "x/y/a.md", True), ("x", "x/y/a.md", True), ("y", "x/y/a.md", True), ("x/y", "z/x/y/a.md", False),
        ("/x", "z/x/a.md", False), ("[ab].md", "b.md", True), ("?.md", "ab.md", False), ("*.md", "a.MD", False),
    ],
)  # fmt: skip
def test_patterns(glob, path, fits):
    (pattern,) = patterns_from(glob, "include")
    assert matches(path.split("/"), pattern) is fits


def test_patterns_that_can_be_none(tmp_path, write):
    write("a.txt", "x")
    for include in ("", "/", ["*.md", 5]):
        with pytest.raises(ValueError, match="include=….* is no pattern for files: give one such as"):
            read_corpus(tmp_path, include=include)
    with pytest.raises(ValueError, match="choose among the files of a folder, and .*a.txt is none"):
        read_corpus(tmp_path / "a.txt", exclude="b")
    with pytest.raises(ValueError, match="choose among the files of a folder, and this is a database"):
        read_corpus("sqlite:///town.db", include="b")
    with pytest.raises(ValueError, match=r"has no file of a type that can be read"):
        read_corpus(tmp_path, include="*.md")


def test_a_folder_of_other_types_says_what_is_there(tmp_path, write):
    for number in range(99):
        write(f"{number:02}.pdf", b"%PDF")
    with pytest.raises(
        ValueError, match=r"no file of a type that can be read: .*; there are types that .* \(99 \.pdf\)"
    ):
        read_corpus(tmp_path)
    write("a.md", "text")
    with pytest.warns(SkippedFiles, match=r"1 file read, 99 skipped: types that cannot be read \(99 \.pdf\)"):
        assert read_corpus(tmp_path).ids == ["a.md"]


def test_what_was_skipped_stays_on_one_line(tmp_path, write):
    write("a.md", "text")
    for number in range(40):
        write(f"x.t{number:02}", "")
    try:
        write("two\nlines\x1b[2J.json", "{")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.warns(SkippedFiles) as told:
        read_corpus(tmp_path)
    line = str(told[0].message)
    assert line.isprintable() and "(two lines␛[2J.json)" in line and "1 .t19, …)" in line


@pytest.mark.parametrize("address", ["https://example.org/a.md", "HTTP://x", "ftp://x/y", "s3://bucket/x"])
def test_an_address_on_the_web_is_no_path(address):
    with pytest.raises(ValueError, match="is an address on the web.*give a file, a folder.*pandoc -t gfm"):
        read_corpus(address)
    with pytest.raises(ValueError, match="is an address on the web.*pandoc"):
        read_corpus(Path(address))
    with pytest.raises(ValueError, match="is an address on the web.*unpack it"):
        read_beir(address)
    with pytest.raises(ValueError, match="is an address on the web.*download the file"):
        read_squad(address)
    with pytest.raises(ValueError, match="a path is given as it is, without file://"):
        read_corpus("file:///notes")


# Text


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jsonl", "a.json", "a.csv", "a.ipynb"])
def test_only_utf_8(write, name):
    with pytest.raises(ValueError, match=rf"{name} is not UTF-8 \(byte 0xe9 at position 3\): save it as UTF-8"):
        read_corpus(write(name, "caf\u00e9".encode("latin-1")))
    with pytest.raises(ValueError, match=f"{name} is not UTF-8: save it as UTF-8; it looks like UTF-16-LE"):
        read_corpus(write(name, "The light is red.".encode("utf-16-le")))
    with pytest.raises(ValueError, match=rf"{name}, line 2: a NUL character"):
        read_corpus(write(name, "a\nb\0"))


@pytest.mark.parametrize(
    ("text", "encoding", "hint"),
    [
        ("Le café est fermé à cause de l'été.", "cp1252", "cp1252"),
        ("café", "latin-1", "cp1252"),
        ("“Grüße”, sagt sie – aus Köln", "cp1252", "cp1252"),
        ("Привет мир, это гавань и маяк", "cp1251", "cp1251"),
        ("항구의 등대는 붉다", "euc-kr", "cp949"),
        ("항구의 등대는 붉다. 배가 온다.\n", "utf-16-le", "UTF-16-LE"),
        ("The light is red.\nThe wall is old.\n", "utf-16-be", "UTF-16-BE"),
    ],
)
def test_the_encoding_of_what_is_not_utf_8_is_guessed(tmp_path, write, text, encoding, hint):
    path = write("a.txt", text.encode(encoding))
    with pytest.raises(ValueError, match=f"a.txt is not UTF-8.*: save it as UTF-8; it looks like {hint}$"):
        read_corpus(path)
    write("b.txt", "good")
    with pytest.warns(SkippedFiles, match=f"is not UTF-8: save it as UTF-8; it looks like {hint} .a.txt"):
        assert read_corpus(tmp_path).ids == ["b.txt"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_the_encoding(write, encoding):
    text = "등대는 붉다.\nThe light is red."
    assert read_corpus(write("a.txt", text.encode(encoding)))[0].text == text
    rows = "id,text\n1,등대\n"
    assert read_corpus(write("a.csv", rows.encode(encoding)))["1"].text == "등대"
    if encoding != "utf-8-sig":
        with pytest.raises(ValueError, match="a.txt begins as UTF-(16|32) and goes on as something else"):
            read_corpus(write("a.txt", text.encode(encoding) + b"\x00"))


def test_a_byte_order_mark_is_no_part_of_the_text(write):
    bom = b"\xef\xbb\xbf"
    assert read_corpus(write("a.txt", bom + b"text"))[0].text == "text"
    assert read_corpus(write("a.csv", bom + b"id,text\n1,x\n")).ids == ["1"]
    assert read_corpus(write("a.jsonl", bom + b'{"id": "1", "text": "x"}')).ids == ["1"]
    with pytest.raises(ValueError, match="position 5"):  # in the file, as an editor counts
        read_corpus(write("a.txt", bom + b"ab\xff"))


# Markdown and notebooks

GUIDE = """Before.

# Guide

About `this`.

## Installation
```sh
# a comment, no heading
```
~~~
```
# nor is this
~~~

## Use ##
### In [C#](https://example.org)
x
## Installation
again
    # code, by its indent

#hashtag

Underlined
----------
* item
---
### Bare heading
"""


def test_markdown_is_split_at_its_headings(write):
    corpus = read_corpus(write("guide.md", GUIDE))
    assert [(document.id, document.title) for document in corpus] == [
        ("guide.md", "guide"),
        ("guide.md#guide", "Guide"),
        ("guide.md#installation", "Guide › Installation"),
        ("guide.md#in-c", "Guide › Use › In C#"),
        ("guide.md#installation-1", "Guide › Installation"),
        ("guide.md#underlined", "Guide › Underlined"),
        ("guide.md#bare-heading", "Guide › Underlined › Bare heading"),
    ]
    assert corpus["guide.md#installation"].text == "```sh\n# a comment, no heading\n```\n~~~\n```\n# nor is this\n~~~"
    assert corpus["guide.md#installation-1"].text == "again\n    # code, by its indent\n\n#hashtag"
    assert corpus["guide.md#underlined"].text == "* item\n---"
    # Nothing but the marks of headings is lost.
    everything = " ".join(document.content for document in corpus)
    for word in GUIDE.replace("#", " ").replace("`", " ").replace("[", " ").replace("]", " ").split():
        assert word in everything or set(word) <= set("-~") or "example.org" in word, word


def test_slugs_are_unique_and_keep_other_alphabets(write):
    text = "# 한국어 안내\na\n# Set up, quickly!\nb\n# x\nc\n# x\nd\n# x-1\ne\n# !!\nf\n"
    assert [id.split("#")[1] for id in read_corpus(write("a.md", text)).ids] == [
        "한국어-안내",
        "set-up-quickly",
        "x",
        "x-1",
        "x-1-1",
        "section",
    ]


def test_markdown_without_a_top_heading_is_named_after_its_file(write):
    assert [d.title for d in read_corpus(write("notes.md", "## A\na\n### B\nb\n"))] == ["notes › A", "notes › A › B"]
    assert table(read_corpus(write("plain.md", "only\ntext\n"))) == [("plain.md", "plain", "only\ntext")]


def test_front_matter_is_metadata(tmp_path, write):
    corpus = read_corpus(write("a.md", "---\ntitle: X\n# a comment\n---\n# A\none\n## B\ntwo\n"))
    assert table(corpus) == [("a.md#a", "X › A", "one"), ("a.md#b", "X › A › B", "two")]
    assert corpus[0].metadata == {"source": "a.md", "front_matter": "title: X\n# a comment"}
    # The front matter counts as lines of the file.
    write("b.json", [{"id": "a.md#a", "text": "x"}])
    with pytest.raises(ValueError, match=r"'a.md#a' \(.*a.md, line 5; .*b.json, item 1\)"):
        read_corpus(tmp_path, strict=True)
    with pytest.warns(SkippedFiles, match=r"1 file read, 1 skipped: two documents have the id 'a.md#a'.*\(b.json\)"):
        assert table(read_corpus(tmp_path)) == table(corpus)


RULES = [
    "---\nThe ferry leaves at nine.\n\n---\nThe bakery opens at six.\n",
    "---\n# Harbour\n\nText.\n\n---\n",
    "---\n\n```python\nferry: int = 1\n```\n\n---\nEnd.\n",
]


@pytest.mark.parametrize("text", RULES)
def test_what_stands_between_two_rules_is_no_front_matter(write, text):
    (document,) = read_corpus(write("a.md", text))
    assert "front_matter" not in document.metadata
    assert all(word in document.content for word in text.replace("---", "").replace("# ", "").split())


@pytest.mark.parametrize("inner", ["", "\n# a comment\n\nmy-key: 1\n", '"title" : x\n', "tags:\n- a\n"])
def test_front_matter_begins_with_a_key(write, inner):
    (document,) = read_corpus(write("a.md", f"---\n{inner}---\nText.\n"))
    assert document.text.strip() == "Text." and document.metadata["front_matter"] == inner.strip()


def cell(kind, source):
    return {"cell_type": kind, "source": source, "outputs": [{"text": "an output"}]}


def test_notebooks(write):
    cells = [
        cell("markdown", ["# Lesson\n", "Read this."]),
        cell("code", "# not a heading\nprint(1)"),
        cell("raw", "raw"),
        cell("markdown", "## Next"),
        cell("code", ['text = """\n', "```\n", '"""']),
        cell("code", ""),
    ]
    corpus = read_corpus(write("l.ipynb", {"cells": cells, "nbformat": 4}))
    assert table(corpus) == [
        ("l.ipynb#lesson", "Lesson", "Read this.\n\n```python\n# not a heading\nprint(1)\n```"),
        ("l.ipynb#next", "Lesson › Next", '````python\ntext = """\n```\n"""\n````'),
    ]
    quarto = [cell("raw", "---\ntitle: Harbour\n---"), cell("markdown", "## Light\nred"), cell("raw", "raw")]
    assert table(read_corpus(write("q.ipynb", {"cells": quarto}))) == [("q.ipynb", "Harbour › Light", "red")]
    nan = '{"cells": [{"cell_type": "code", "source": "x", "outputs": [{"data": NaN}]}]}'
    assert read_corpus(write("nan.ipynb", nan))[0].text == "```python\nx\n```"
    with pytest.raises(ValueError, match="not a notebook of format 4.*nbconvert"):
        read_corpus(write("old.ipynb", {"worksheets": []}))
    with pytest.raises(ValueError, match="bad.ipynb, cell 1: the source must be a string"):
        read_corpus(write("bad.ipynb", {"cells": [cell("code", 5)]}))
    with pytest.raises(ValueError, match="cut.ipynb, line 2: not valid JSON"):
        read_corpus(write("cut.ipynb", '{"cells": [\n{'))


TITLES = [
    ("---\ntitle: How to renew the certificate\n---\nRun the script in March.", "How to renew the certificate"),
    ('---\nlayout: x\ntitle: "Renew: \\"it\\""  # comment\n---\nText.', 'Renew: "it"'),
    ("---\ntitle: 'It''s old'\n---\nText.", "It's old"),
    ("---\ntitle: Renew # not this\n---\nText.", "Renew"),
    ("---\ntitle: >-\n  How to\n  renew\ndate: 1\n---\nText.", "How to renew"),
    ("---\ntitle: How to\n  renew\n---\nText.", "How to renew"),
    ("---\nTitle: C# in a week\n...\nText.", "C# in a week"),
    ("---\ndate: 1\nauthor:\n  title: Dr\n---\nText.", "a"),
    ("---\ntitle:\n---\nText.", "a"),
    ('+++\ntitle = "How to renew"\n[extra]\ntitle = "no"\n+++\nText.', "How to renew"),
    ('+++\ntitle = """\nHow to\nrenew"""\n+++\nText.', "How to renew"),
    ("+++\ndate = 2024-01-01\n+++\nText.", "a"),
    ("---\ntitle: Guide\n---\n# Guide\nText.", "Guide"),
    ("---\ntitle: Guide\n---\n# Setup\nText.", "Guide › Setup"),
]


@pytest.mark.parametrize(("text", "title"), TITLES)
def test_the_title_in_the_front_matter_is_searched(write, text, title):
    (document,) = read_corpus(write("a.md", text))
    assert document.title == title and title in document.content
    assert document.text.strip() in ("Text.", "Run the script in March.") and document.metadata["front_matter"]


def test_the_title_in_the_front_matter_comes_before_the_headings(write):
    text = "+++\ntitle = 'Harbour'\n+++\nBefore.\n## Light\nred\n## Wall\nold\n"
    assert [document.title for document in read_corpus(write("a.md", text))] == [
        "Harbour", "Harbour › Light", "Harbour › Wall",
    ]  # fmt: skip


NO_FRONT_MATTER = [
    "+++\nThe ferry leaves at nine.\n+++\nEnd.",
    "+++\ntitle = 'x'\n",
    "---\ntitle: x\n",
    f"+++\na = {'[' * 50_000}\n+++\nEnd.",
]


@pytest.mark.parametrize("text", NO_FRONT_MATTER, ids=range(len(NO_FRONT_MATTER)))
def test_what_is_no_front_matter_stays_text(text):
    ((_, record),) = records_from_markdown(text, Path("a.md"), "a.md")
    assert "front_matter" not in record and all(word in record["text"] + record["title"] for word in text.split()[1:])


# As CommonMark: a fence that opens on a line of a list, comments, HTML; and what is a heading all the same.
MARKDOWN_CASES = {
    "1. ```bash\n   # a comment\n   ```\n\n# Next\ntext\n": ["Next"],
    "- ~~~\n  # x\n  ~~~\n- item\n\n# Next\n": ["Next"],
    "> ```\n> # x\n\n# Next\n": ["Next"],
    "* a\n\n  ```\n  # x\n  ```\n\n## Next\n": ["Next"],
    "<!--\n# Draft\n\n# Old\n-->\n# Next\n": ["Next"],
    "<pre>\n\n# in it\n\nx\n===\n</pre>\n\n# Next\n": ["Next"],
    "<script>\n# x\n</script>\n# Next\n": ["Next"],
    "<div>\n# x\n\n# Next\n</div>\n": ["Next"],
    "    # code\n\n# Next\n": ["Next"],
    "1. item\n   # in the list\n\n# Next\n": ["Next"],
    "> # quoted\n\n# Next\n": ["Next"],
    "#Next\n# Next #\n#\n####### seven\n": ["Next", ""],
    "two\nlines\n===\nx\n---\n\n---\n": ["two lines", "x"],
    "```\n# never closed\n": [],
    "# [![passing](b.svg)](ci) **Set** `up` [x](y_(z))\n": ["passing Set up x"],
}


@pytest.mark.parametrize("text", MARKDOWN_CASES)
def test_headings_are_those_of_commonmark(text):
    assert [heading.title for heading in headings_of(text)] == MARKDOWN_CASES[text]


def test_the_sections_of_our_own_files_are_those_of_commonmark():
    """Nothing but headings is cut away, whatever the file: every other line is in some section, in order."""
    root = Path(__file__).parents[1]
    for path in sorted(root.glob("*.md")):
        text = path.read_text("utf-8")
        tokens = MarkdownIt("commonmark").parse(text)
        marks = {
            line for token in tokens if token.type == "heading_open" and token.level == 0 for line in range(*token.map)
        }
        lines = [line for number, line in enumerate(text.split("\n")) if number not in marks and line.strip()]
        records = records_from_markdown(text, path, path.name)
        read = [line for _, record in records for line in record["text"].split("\n") if line.strip()]
        assert read == lines, path


BASE64 = "iVBORw0KGgo" * 5000
PICTURES = {
    f"See ![the harbour](data:image/png;base64,{BASE64}==) here.": "See the harbour here.",
    f'See ![the harbour](data:image/png;base64,{BASE64} "a title") here.': "See the harbour here.",
    f"![](data:image/jpeg;charset=utf-8;base64,{BASE64})": "",
    f'<img alt="the harbour" src="data:image/png;base64,{BASE64}">': "the harbour",
    f"<IMG width=5 src='data:image/gif;base64,{BASE64}' alt='the harbour' />": "the harbour",
    f'a <img\n  src="data:image/png;base64,{BASE64[:40]}\n{BASE64}"\n> b': "a \n\n\n b",
    f"![the harbour][image1]\n\n[image1]: <data:image/png;base64,{BASE64}>": "![the harbour][image1]\n\n",
    f"a {{background: url(data:font/woff2;base64,{BASE64})}}": "a {background: url()}",
    "![plan](data:image/svg+xml;utf8,%3Csvg%3E)": "plan",
    '<img src="data:image/svg+xml,<svg a=\'b\'/>" alt="plan">': "plan",
    '![a](b.png) <img src="data.png" alt="x"> the data: 5': '![a](b.png) <img src="data.png" alt="x"> the data: 5',
    "data:text/plain;base64,SGVsbG8= is text": "data:text/plain;base64,SGVsbG8= is text",
}


@pytest.mark.parametrize("text", PICTURES, ids=range(len(PICTURES)))
def test_a_picture_in_a_data_url_is_no_text(write, text):
    assert without_pictures(text) == PICTURES[text]
    for name, content in (
        ("a.md", f"# A\n\n{text}\n\nEnd."),
        ("a.ipynb", {"cells": [cell("markdown", f"# A\n\n{text}\n\nEnd.")]}),
        ("a.rst", f"A\n=\n\n{text}\n\nEnd."),
    ):
        (document,) = read_corpus(write(name, content))
        assert document.text.split() == [*PICTURES[text].split(), "End."] and "iVBOR" not in document.content


def test_a_picture_in_a_program_is_no_text_either(write):
    source = f'show("data:image/png;base64,{BASE64}")'
    assert read_corpus(write("a.ipynb", {"cells": [cell("code", source)]}))[0].text == '```python\nshow("")\n```'


# Each text takes a time that grows with its length, not with its square.
LONG_TEXTS = {
    "sections": lambda n: "# a\nx\n" * n,
    "levels": lambda n: "".join(f"{'#' * (i % 6 + 1)} h\n" for i in range(n)),
    "anchors": lambda n: "# x\na\n# x-1\na\n" * (n // 2),
    "brackets": lambda n: f"# {'[' * 8 * n}\n# b\n",
    "links": lambda n: f"# {'[a](b(c' * n}\n# b\n",
    "front matter": lambda n: "---\na: 1\n" + "b: 2\n" * n,
    "blank front matter": lambda n: "---\n" + "\n" * n + " # x\n" * n,
    "TOML": lambda n: "+++\n" + "a = 1\n" * n,
    "title": lambda n: "---\n" + "title:\n\n" * n + "---\n",
    "pictures": lambda n: "data: " + "![a](data:" * n,
    "tags": lambda n: "data: " + '<img "' * n,
    "sources": lambda n: "<img" + " src=   " * n + "data:>",
    "kinds": lambda n: "data:image/png" + ";base64" * n,
    "definitions": lambda n: "data:\n" + "[a\n" * n,
    "quotations": lambda n: "> " * n,
    "comment": lambda n: "<!--\n" * n,
}


def seconds(function, text):
    times = []
    for _ in range(3):
        start = time.process_time()
        function(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("name", LONG_TEXTS)
def test_markdown_takes_linear_time(name):
    make = LONG_TEXTS[name]

    def read(text):
        return records_from_markdown(text, Path("a.md"), "a.md")

    short, long = seconds(read, make(500)), seconds(read, make(4000))
    assert long < 40 * short or long < 0.3  # 8 times the text; its square would be 64 times


# reStructuredText

RST = """\
Before.

=======
Harbour
=======

About ``this``.

Light & `Wall`
--------------

.. code:: sh

    Not a title
    ===========

.. toctree::

   one

:ref:`see <x>` that.

Keeper
~~~~~~
Tomas Brandt.

Ferry
-----

.. include:: /etc/passwd

At nine.
"""


def test_restructured_text_is_split_at_its_titles(write, capfd):
    corpus = read_corpus(write("guide.rst", RST))
    assert [(document.id, document.title) for document in corpus] == [
        ("guide.rst", "guide"),
        ("guide.rst#harbour", "Harbour"),
        ("guide.rst#light--wall", "Harbour › Light & Wall"),
        ("guide.rst#keeper", "Harbour › Light & Wall › Keeper"),
        ("guide.rst#ferry", "Harbour › Ferry"),
    ]
    assert corpus["guide.rst#harbour"].text == "About ``this``."
    assert corpus["guide.rst#keeper"].text == "Tomas Brandt."
    wall = corpus["guide.rst#light--wall"].text
    assert wall.startswith(".. code:: sh\n\n    Not a title") and ":ref:`see <x>` that." in wall
    assert corpus["guide.rst#ferry"].text == ".. include:: /etc/passwd\n\nAt nine."  # and nothing of that file
    assert capfd.readouterr() == ("", "")  # docutils, which does not know Sphinx's directives, says nothing
    assert table(read_corpus(write("plain.rst", "Only text.\n"))) == [("plain.rst", "plain", "Only text.")]
    with pytest.raises(ValueError, match="deep.rst: lists or quotations are nested too deeply"):
        read_corpus(write("deep.rst", "- " * 2000 + "x"))


def test_restructured_text_takes_linear_time():
    short, long = (seconds(rst_headings_of, "title\n=====\n\nx\n\n" * n) for n in (125, 1000))
    assert long < 40 * short or long < 0.3


# Records


@pytest.mark.parametrize(
    "content",
    [
        {"id": "a1", "title": "Harbour", "body": "Built in 1881"},
        {"title": "Harbour", "content": "Built in 1881"},
        {"_id": "a1", "passage": "Built in 1881"},
        {"headline": "Harbour", "body": "Built in 1881", "year": 1881},
        {"name": "harbour", "version": "1.0"},
        {"type": "commonjs", "module": "x"},
        {"slug": "harbour", "html": "<p>Built in 1881</p>"},
        {"label": "Harbour", "position": 2},
    ],
)
def test_one_object_without_a_text_is_no_mapping(write, content):
    key = next(iter(content))
    with pytest.raises(ValueError, match=rf"a.json, item 1: no 'text' among the keys \('{key}', .*with text=…"):
        read_corpus(write("a.json", content))
    name = "body" if "body" in content else list(content)[1]
    if isinstance(content[name], str):
        assert read_corpus(write("a.json", content), text=name)[0].text == content[name]


def test_records_inside_an_object(write):
    rows = [{"id": "1", "text": "one"}, {"id": "2", "text": "two"}]
    for content in ({"data": rows}, {"version": "2", "results": rows, "count": 2}, {"info": {"a": 1}, "items": rows}):
        assert read_corpus(write("a.json", content)).ids == ["1", "2"]
    assert [d.text for d in read_corpus(write("b.json", {"data": ["one", "two"]}))] == ["one", "two"]
    with pytest.raises(ValueError, match="b.json is empty"):
        read_corpus(write("b.json", {"data": []}))
    article = {"id": "1", "title": "T", "text": "whole", "sections": [{"text": "part"}]}
    assert table(read_corpus(write("c.json", article))) == [("1", "T", "whole")]


def test_texts_by_their_ids_may_have_any_id(write):
    words = {"title": "The name of a page.", "body": "Its text."} | {f"word {number}": "…" for number in range(30)}
    assert read_corpus(write("a.json", words)).ids == list(words)
    named = {"title": {"text": "x"}, "body": {"text": "y"}}
    assert read_corpus(write("b.json", named)).ids == ["title", "body"]
    with pytest.raises(TypeError, match="item 3: the text of document 'c' must be a string, not list"):
        read_corpus(write("c.json", {"a": {"text": "x"}, "b": {"text": "y"}, "c": [{"text": "z"}]}))


def test_many_keys_are_not_all_listed(write):
    with pytest.raises(ValueError, match=r"among the keys \('title', 'n', 'k0', .*'k9', …\): name") as error:
        read_corpus(write("a.json", {"title": "x", "n": 1} | {f"k{number}": "v" for number in range(500)}))
    assert len(str(error.value)) < 400


def test_numbers_as_ids_and_titles(write):
    lines = '{"id": 17.0, "title": 1984, "text": "a"}\n{"id": 1.5, "title": 2.5, "text": "b"}\n{"id": 3, "text": "c"}\n'
    for name in ("a.jsonl", "a.ndjson", "a.NDJSON"):
        assert table(read_corpus(write(name, lines))) == [("17", "1984", "a"), ("1.5", "2.5", "b"), ("3", "", "c")]


TABLES = {
    "semicolons": ("a.csv", "id;title;text\n1;Harbour;Built, in 1881\n2;Wall;Old\n"),
    "first line": ("a.csv", "sep=;\nid;title;text\n1;Harbour;Built, in 1881\n2;Wall;Old\n"),
    "quoted first line": ("a.csv", '"sep=|"\r\nid|title|text\r\n1|Harbour|Built, in 1881\r\n2|Wall|Old\r\n'),
    "tabs": ("a.csv", "id\ttitle\ttext\n1\tHarbour\tBuilt, in 1881\n2\tWall\tOld\n"),
    "bars": ("a.csv", "id|title|text\n1|Harbour|Built, in 1881\n2|Wall|Old\n"),
    "commas in .tsv": ("a.tsv", 'id,title,text\n1,Harbour,"Built, in 1881"\n2,Wall,Old\n'),
    "quoted header": ("a.csv", '"id";"title";"text"\n"1";"Harbour";"Built, in 1881"\n2;Wall;Old\n'),
    "trailing": ("a.csv", 'id,title,text,,\n1,Harbour,"Built, in 1881",,\n,,,,\n2,Wall,Old,,\n,,,,\n'),
    "trailing in rows": ("a.csv", 'id,title,text\n1,Harbour,"Built, in 1881",\n,,,\n2,Wall,Old,,\n'),
    "blank rows first": ("a.csv", ',,\n\nid,title,text\n1,Harbour,"Built, in 1881"\n , ,\n2,Wall,Old\n'),
    "blanks in the header": ("a.csv", 'id, title, text\n1,Harbour,"Built, in 1881"\n2,Wall,Old\n'),
    "byte order mark": ("a.csv", "\ufeffsep=;\nid;title;text\n1;Harbour;Built, in 1881\n2;Wall;Old\n"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_programs_write_them(write, name):
    corpus = read_corpus(write(*TABLES[name]))
    assert table(corpus) == [("1", "Harbour", "Built, in 1881"), ("2", "Wall", "Old")]
    assert all(document.metadata == {} for document in corpus)


def test_other_columns_and_places_of_tables(write):
    for header in ("key;headline;body", "key|headline|body"):
        rows = f"{header}\nk1;Harbour;Built, in 1881, of stone\n".replace(";", header[3])
        path = write("a.csv", rows)
        assert table(read_corpus(path, id="key", title="headline", text="body")) == [
            ("k1", "Harbour", "Built, in 1881, of stone")
        ]
        with pytest.raises(ValueError, match=r"no 'text' among the keys \('key', 'headline', 'body'\)"):
            read_corpus(path)
    with pytest.raises(ValueError, match="a.csv, line 4: 3 fields where the header has 2"):
        read_corpus(write("a.csv", "sep=;\nid;text\n1;x\n2;y;z\n"))
    with pytest.raises(ValueError, match="a.csv, line 2: two columns have the same name: id, text, text"):
        read_corpus(write("a.csv", "sep=;\nid;text;text;;\n1;x;y;;\n"))
    # A column without a name is kept where there is something in it.
    assert read_corpus(write("a.csv", "id,text,,\n1,x,,z\n"))["1"].metadata == {"column 3": "", "column 4": "z"}
    assert read_corpus(write("a.csv", ",id,text\n0,1,x\n"))["1"].metadata == {"": "0"}
    # A comma in every sentence is no separator.
    assert read_corpus(write("a.csv", "text\nno comma here\nnor here\n")).ids == ["a.csv#1", "a.csv#2"]


def test_other_names_for_the_keys(write):
    path = write("a.csv", "key,body,headline,text\nk1,B,H,T\n")
    document = read_corpus(path, text="body", title="headline", id="key")[0]
    assert (document.id, document.text, document.title, document.metadata) == ("k1", "B", "H", {"text": "T"})
    assert read_corpus(path)[0].text == "T" and read_corpus(path).ids == ["a.csv#1"]
    with pytest.raises(ValueError, match="b.csv, line 3: the record has no id: give it an 'key'"):
        read_corpus(write("b.csv", "key,text\nk1,x\n,y\n"), id="key")
    for option in ("text", "title", "id"):
        with pytest.raises(ValueError, match=rf"a.csv, line 2: no 'bdy' among the keys .*'headline'.*with {option}=…"):
            read_corpus(path, **{option: "bdy"})


def test_a_field_longer_than_the_csv_module_expects(write):
    assert len(read_corpus(write("a.csv", f"id,text\n1,{'x' * 200_000}\n"))["1"].text) == 200_000


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            '{"id": "1", "text": "x"}\n\n{"id": 2,\n',
            r"a.jsonl, line 3: not valid JSON .*: fix or remove that line",
        ),
        (
            "a.jsonl",
            '{"id": "1"}\n',
            r"a.jsonl, line 1: no 'text' among the keys \('id'\): name the right one with text=…",
        ),
        ("a.jsonl", '["x"]\n', "a.jsonl, line 1: each line must be a JSON object"),
        (
            "a.jsonl",
            '{"text": "x"}\n{"text": 5}\n',
            "a.jsonl, line 2: the text of document .* must be a string, not int",
        ),
        ("a.jsonl", '{"text": null}\n', "line 1: .* must be a string, not NoneType"),
        ("a.jsonl", '{"text": "x", "title": ["t"]}\n', "line 1: the title of .* must be a string, not list"),
        ("a.jsonl", '{"text": "x", "id": true}\n', "line 1: a document's id must be a string, not bool"),
        ("a.jsonl", '{"text": "x", "title": true}\n', "line 1: the title of .* must be a string, not bool"),
        ("a.jsonl", '{"text": "x", "id": " "}\n', "line 1: a document needs an id that is not blank"),
        ("a.jsonl", '{"text": "x"}\n{"text": "\\ud800"}\n', "a.jsonl, line 2: .* lone surrogate"),
        ("a.jsonl", '{"text": "x\\u0000"}\n', "a.jsonl, line 1: .* NUL"),
        (
            "a.jsonl",
            '{"id": "1", "text": "a"}\n{"id": 1, "text": "b"}\n',
            r"id '1' \(.*a.jsonl, line 1; .*a.jsonl, line 2\)",
        ),
        ("a.jsonl", '{"text": "a", "text": "b"}\n', "line 1: not valid JSON .*'text' appears twice"),
        ("a.jsonl", "[" * 100_000, "line 1: not valid JSON"),
        ("a.json", '[{"text": "x"},\n{"text" "y"}]', "a.json, line 2: not valid JSON .*: fix it"),
        ("a.json", '{"1": "x", "1": "y"}', "a.json: not valid JSON .*'1' appears twice"),
        ("a.json", '"text"', "a.json holds a str: it must be a list"),
        ("a.json", '["x", 3]', "a.json, item 2 must be an object or a string, not a int"),
        ("a.json", '{"1": 3}', r"a.json, item 1: no 'text' among the keys \('1'\)"),
        ("a.json", '["x", "\\udfff"]', "a.json, item 2: .* lone surrogate"),
        ("a.csv", "id;body\n1;x\n", r"a.csv, line 2: no 'text' among the keys \('id', 'body'\): name the right one"),
        ("a.csv", "id,text\n1,x,y\n", r"a.csv, line 2: 3 fields where the header has 2 \(id, text\)"),
        ("a.csv", "id,text\n1,x\n2\n", "a.csv, line 3: 1 fields where"),
        ("a.csv", 'id,text\n1,"never closed\n2,x\n', "a.csv, line 2: malformed .*double those inside"),
        ("a.csv", 'id,text\n1,"two\nlines"\n\n2,"three\nlong\nlines",z\n', "a.csv, line 5: 3 fields where"),
        ("a.jsonl", '{"text": "x", "year": NaN}\n', r"a.jsonl, line 1: not valid JSON \(JSON has no number NaN\)"),
        ("a.csv", "id,text,text\n1,x,y\n", "line 1: two columns have the same name"),
        ("a.csv", "id,text\n1,x\n1,y\n", r"id '1' \(.*line 2; .*line 3\)"),
    ],
)
def test_bad_records(write, name, content, message):
    with pytest.raises((ValueError, TypeError), match=message):
        read_corpus(write(name, content))


# BEIR


@pytest.fixture
def beir(write):
    write(
        "tiny/corpus.jsonl",
        '{"_id": "d1", "title": "T", "text": "one", "metadata": {"url": "u"}}\n'
        '{"_id": "d2", "title": "", "text": ""}\n',
    )
    write(
        "tiny/queries.jsonl", '{"_id": "q1", "text": "first"}\n{"_id": "q2", "text": "second", "metadata": {"n": 1}}\n'
    )
    write("tiny/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq2\td1\t2\nq2\td2\t0\n")
    return write("tiny/qrels/dev.tsv", "q1\td1\t1\nq2\td2\t-1\n").parents[1]


def test_a_beir_folder(beir):
    dataset = read_beir(beir)
    assert table(dataset.corpus) == [("d1", "T", "one"), ("d2", "", "")]
    assert dataset.corpus["d1"].metadata == {"url": "u"}
    assert dataset.queries == {"q2": "second"} and dataset.metadata == {"q2": {"n": 1}}
    assert dataset.qrels == {"q2": {"d1": 2, "d2": 0}} and dataset.name == "tiny"
    # Without a header, the first line is a judgment like any other.
    assert read_beir(beir, split="dev").qrels == {"q1": {"d1": 1}, "q2": {"d2": -1}}


def test_a_beir_folder_goes_by_its_own_ids(beir, write):
    write("tiny/corpus.jsonl", '{"_id": "d1", "id": 0, "text": "x"}\n{"_id": "d2", "id": 1, "text": "y"}\n')
    write("tiny/queries.jsonl", '{"_id": "q2", "id": 0, "text": "second"}\n')
    dataset = read_beir(beir)
    assert dataset.corpus.ids == ["d1", "d2"] and dataset.qrels == {"q2": {"d1": 2, "d2": 0}}
    assert dataset.corpus["d2"].metadata == {"id": 1} and dataset.metadata == {"q2": {"id": 0}}


def test_judgments_of_what_is_not_there(beir, write):
    write("tiny/qrels/odd.tsv", "q1\td1\t1\nq1\td9\t1\nq9\td1\t1\n")
    with pytest.raises(ValueError, match="odd.tsv, line 2: document 'd9' is not in the collection; strict=False"):
        read_beir(beir, split="odd")
    with pytest.warns(UserWarning, match="2 judgments dropped.*line 2: document 'd9'.*; 1 query is left without any"):
        assert read_beir(beir, split="odd", strict=False).qrels == {"q1": {"d1": 1}}
    write("tiny/qrels/odd.tsv", "q9\td1\t1\n")
    with pytest.raises(ValueError, match="line 1: query 'q9' is not in"):
        read_beir(beir, split="odd")
    with pytest.raises(ValueError, match="has no judgments of what is in the collection .first: .*'q9'"):
        read_beir(beir, split="odd", strict=False)


def test_judgments_as_other_programs_write_them(beir, write):
    write("tiny/qrels/odd.tsv", "\n \nquery-id\tcorpus-id\tscore\nq1\td1\t1.0\nq2\td2\t-1.0\n")
    assert read_beir(beir, split="odd").qrels == {"q1": {"d1": 1}, "q2": {"d2": -1}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.jsonl", '{"title": "T", "text": "x"}\n', "corpus.jsonl, line 1: the record has no id"),
        ("corpus.jsonl", "", "corpus.jsonl is empty"),
        (
            "corpus.jsonl",
            '{"_id": "1", "text": "x"}\n{"_id": "1", "text": "y"}\n',
            "line 2: the id '1' was taken at .*line 1",
        ),
        (
            "queries.jsonl",
            '{"_id": "1", "text": "x"}\n{"_id": "1", "text": "y"}\n',
            "queries.jsonl, line 2: a second query",
        ),
        ("queries.jsonl", '{"_id": "1", "text": "x"\n', "queries.jsonl, line 1: not valid JSON"),
        ("qrels/test.tsv", "q1\td1\t1\nq1 d2 1\n", "test.tsv, line 2: 1 columns where there must be query-id"),
        ("qrels/test.tsv", "q1\td1\tyes\n", "test.tsv, line 1: the grade 'yes' is not a whole number"),
        ("qrels/test.tsv", "q1\td1\t1\nq1\td1\t0\n", "test.tsv, line 2: .* was judged otherwise at .*line 1"),
        ("qrels/test.tsv", "q1\td1\t1.5\n", "test.tsv, line 1: the grade '1.5' is not a whole number"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "test.tsv has no judgments"),
    ],
)
def test_bad_beir_folders(beir, write, name, content, message):
    write(f"tiny/{name}", content)
    with pytest.raises(ValueError, match=message):
        read_beir(beir)


def test_missing_beir_files(beir, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"qrels/train.tsv.*the splits there are dev, test"):
        read_beir(beir, split="train")
    with pytest.raises(FileNotFoundError, match="there is no .*nowhere: a BEIR folder has corpus.jsonl"):
        read_beir(tmp_path / "nowhere")
    (beir / "queries.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="there is no .*queries.jsonl"):
        read_beir(beir)


def test_scifact(scifact_folder):
    dataset = read_beir(scifact_folder)
    assert (len(dataset.corpus), len(dataset.queries)) == (5183, 300)
    assert sum(map(len, dataset.qrels.values())) == 339
    assert dataset.corpus[0].id == "4983" and dataset.corpus[0].title.startswith("Microstructural development")
    assert dataset.queries["1"] == "0-dimensional biomaterials show inductive properties."
    # The same file is a corpus like any other.
    assert read_corpus(scifact_folder / "corpus.jsonl").ids == dataset.corpus.ids


# SQuAD


def question(id, *answers, **more):
    return {"id": id, "question": f" {id}? ", "answers": [{"text": a, "answer_start": 0} for a in answers], **more}


def test_squad(write):
    articles = [
        {
            "title": "Port_Ellery",
            "paragraphs": [
                {"context": "The light is red.", "qas": [question("a", "red", "red", "is red")]},
                {"context": "The wall is old.", "qas": [question("b", is_impossible=True, plausible_answers=[])]},
            ],
        },
        {
            "title": "Port_Ellery",
            "paragraphs": [
                {"context": "The light is red.", "qas": [question("c", "light")]},
                {"context": "A ship.", "qas": [{"id": "d", "question": "what?"}]},
            ],
        },
    ]
    dataset = read_squad(write("squad.json", {"version": "v2.0", "data": articles}))
    assert table(dataset.corpus) == [
        ("Port_Ellery#1", "Port Ellery", "The light is red."),
        ("Port_Ellery#2", "Port Ellery", "The wall is old."),
        ("Port_Ellery#4", "Port Ellery", "A ship."),
    ]
    assert dataset.queries == {"a": "a?", "b": "b?", "c": "c?", "d": "what?"}
    assert dataset.answers == {"a": ["red", "is red"], "b": [], "c": ["light"]}
    assert dataset.qrels["c"] == {"Port_Ellery#1": 1} and dataset.qrels["d"] == {"Port_Ellery#4": 1}
    assert [dataset.metadata[id]["is_impossible"] for id in "abcd"] == [False, True, False, False]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "'data', a list, is missing"),
        ({"data": []}, "has no paragraphs"),
        ({"data": [{"paragraphs": []}]}, "article 1: 'title', a str, is missing"),
        ({"data": [{"title": "T", "paragraphs": [{"qas": []}]}]}, r"article 1 \(T\), paragraph 1: 'context'"),
        (
            {"data": [{"title": "T", "paragraphs": [{"context": "c", "qas": [question("a"), question("a")]}]}]},
            "paragraph 1, question 'a': a second question with this id",
        ),
        (
            {
                "data": [
                    {
                        "title": "T",
                        "paragraphs": [{"context": "c", "qas": [{"id": "a", "question": "q", "answers": [3]}]}],
                    }
                ]
            },
            "question 'a': 'text', a str, is missing: this is not SQuAD's",
        ),
    ],
)
def test_bad_squad(write, data, message):
    with pytest.raises(ValueError, match=message):
        read_squad(write("squad.json", data))


# Files as strangers have them


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"hello", mtime=0), "is compressed by gzip"),
        (b"PK\x03\x04 and so on", "is a ZIP archive"),
        (b"%PDF-1.7\n1 0 obj", "is a PDF, not text"),
        (b"SQLite format 3\0 and so on", "is an SQLite database: give it as  sqlite:///PATH"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "run  git lfs pull"),
        ("港の灯台は古い。".encode("iso2022_jp"), "it looks like ISO-2022-JP"),
        ("항구의 등대".encode("iso2022_kr"), "it looks like ISO-2022-KR"),
        ("Grüße\n".encode() * 3 + "Größe".encode("latin-1"), "most of it is UTF-8: mend this byte"),
    ],
)
def test_what_is_no_text_is_told_whatever_it_is_called(write, content, message):
    for name in ("a.txt", "a.md", "a.csv", "a.ndjson", "a.ipynb"):
        with pytest.raises(ValueError, match=f"{name} .*{message}"):
            read_corpus(write(name, content))


def test_files_that_were_put_together_have_byte_order_marks_inside(write):
    assert read_corpus(write("a.jsonl", '\ufeff{"id": "1", "text": "x"}\n\ufeff{"id": "2", "text": "y"}\n')).ids == [
        "1",
        "2",
    ]
    assert read_corpus(write("a.md", "\ufeff# A\nx\n\ufeff# B\ny")).ids == ["a.md#a", "a.md#b"]


@pytest.mark.parametrize("path", ["", " ", "~there-is-no-such-user/x"])
def test_a_path_that_leads_nowhere(path):
    for read in (read_corpus, read_beir, read_squad):
        with pytest.raises(ValueError, match="the path is blank|no such user"):
            read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"id": "1", "title": "Harbour", "text": "x"}\n{"id": "2", "text": "y"}\n'),  # JSON lines
        ("a.jsonl", '[\n  {"id": "1", "title": "Harbour", "text": "x"},\n  {"id": "2", "text": "y"}\n]\n'),
        ("a.ndjson", '[{"id": "1", "title": "Harbour", "text": "x"}, {"id": "2", "text": "y"}]'),
        ("a.json", '{"id":{"0":1,"1":2},"title":{"0":"Harbour","1":null},"text":{"0":"x","1":"y"}}'),  # pandas
        ("a.csv", "ID,Title,Text\n1,Harbour,x\n2,,y\n"),
        ("a.jsonl", '{"_id": 1, "Title": "Harbour", "TEXT": "x"}\n{"_id": 2, "TEXT": "y"}\n'),
        ("a.csv", 'id, title, text\n1, "Harbour", "x"\n2, , y\n'),
    ],
)
def test_records_under_other_names(write, name, content):
    assert table(read_corpus(write(name, content))) == [("1", "Harbour", "x"), ("2", "", "y")]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.tsv", 'id\ttext\n1\t"Yes" she said\n', '"Yes" she said'),
        ("a.tsv", 'id\ttext\n1\t"an inch"\n2\t5" and\n', "an inch"),
        ("a.tsv", 'id\ttext\n1\t"once\n2\ttwice"\n', '"once'),
        ("a.tsv", 'id\ttext\n1\t"a ""b"""\n', 'a "b"'),
        ("a.csv", 'id,text\n1,"He said \\"no\\", and left"\n', 'He said "no", and left'),
        ("a.csv", 'id,text\n1,"ends in a \\"\n', "ends in a \\"),
    ],
)
def test_quotation_marks_in_tables(write, name, content, text):
    assert read_corpus(write(name, content))["1"].text == text


@pytest.mark.parametrize(
    "content",
    [
        {"max_seq_length": 256, "do_lower_case": False},
        {"took": 1, "hits": {"hits": []}},
        {"train": [{"text": "x"}], "test": [{"text": "y"}]},
        {"columns": ["id", "text"], "index": [0], "data": [["1", "x"]]},
    ],
)
def test_an_object_of_other_things_holds_no_texts_by_their_ids(write, content):
    key = next(iter(content))
    with pytest.raises(ValueError, match=rf"a.json, item 1: no 'text' among the keys \('{key}'"):
        read_corpus(write("a.json", content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps({"k" * 100_000: 1})),
        ("a.json", '{"' + "k" * 100_000 + '": 1, "' + "k" * 100_000 + '": 2}'),
        ("a.csv", "k" * 100_000 + "\nx\n"),
        ("a.csv", ",".join(f"column{number}" for number in range(2000)) + "\n1\n"),
        ("a.csv", "same," * 2000 + "\n1\n"),
    ],
)
def test_messages_stay_short(write, name, content):
    with pytest.raises(ValueError) as error:
        read_corpus(write(name, content))
    assert len(str(error.value)) < 1000


HEADINGS = {
    "# Install {#install .note}": "Install",
    "# Install {: #install}": "Install",
    '# <a name="x"></a>Install <br/>': "Install",
    "# ![logo](logo.png) Install": "logo Install",
    "# [Install][1] _it_ __now__": "Install it now",
    "# `__init__` & snake_case": "__init__ & snake_case",
    "# 2 \\* 3 &lt; 7": "2 * 3 < 7",
    "# <https://example.org>": "https://example.org",
    "# A {set}": "A {set}",
    "Install\n*now*\n===": "Install now",
    "#": "a",
}


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_is_what_a_reader_sees(write, heading):
    assert read_corpus(write("a.md", f"{heading}\n\nText.\n\n[1]: /x"))[0].title == HEADINGS[heading]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('{\n  "title": "Renew it",\n  "draft": false\n}\n\nText.', "Renew it"),
        ("\n\n---\ntitle: Renew it\n---\nText.", "Renew it"),
        ("---\ntitle:\n  - Renew\n  - it\n---\nText.", "a"),
        ("---\ntitle: [Renew, it]\n---\nText.", "a"),
    ],
)
def test_front_matter_of_other_programs(write, text, title):
    (document,) = read_corpus(write("a.md", text))
    assert (document.title, document.text.strip()) == (title, "Text.") and document.metadata["front_matter"]


@pytest.mark.parametrize("text", ['{"a": 1}\nText.', '{"title": "x"}', "{} Text.", "{{ template }}\nText."])
def test_an_object_without_a_title_or_a_text_is_no_front_matter(write, text):
    assert read_corpus(write("a.md", text))[0].text == text


def test_a_cell_that_leaves_something_open_ends_with_itself(write):
    cells = [
        cell("markdown", "```\ncode"),
        cell("code", "x"),
        cell("markdown", "<!-- a\n\n## note"),
        cell("markdown", "# A\na\n# B\nb"),
    ]
    corpus = read_corpus(write("a.ipynb", {"cells": cells, "metadata": {"kernelspec": {"language": "R"}}}))
    assert table(corpus)[1:] == [("a.ipynb#a", "A", "a"), ("a.ipynb#b", "B", "b")]
    assert corpus[0].text == "```\ncode\n\n```r\nx\n```\n\n<!-- a\n\n## note"


UNDERLINED = """\
Before.

Harbour
=======
It was built in 1881.

Light
-----
Red.

    $ git log
------------
no title, since its underline is longer

港の灯台
--------
古い。
---
Not apart.
---
"""


def test_text_is_split_at_underlined_titles(write):
    corpus = read_corpus(write("a.txt", UNDERLINED))
    assert [(d.id, d.title) for d in corpus] == [
        ("a.txt", "a"),
        ("a.txt#harbour", "Harbour"),
        ("a.txt#light", "Harbour › Light"),
        ("a.txt#港の灯台", "Harbour › 港の灯台"),
    ]
    assert corpus["a.txt#light"].text.endswith("longer") and corpus[-1].text.endswith("Not apart.\n---")
    # As Sphinx calls the sources that it shows.
    assert read_corpus(write("b.rst.txt", RST)).ids[1:3] == ["b.rst.txt#harbour", "b.rst.txt#light--wall"]
    assert read_corpus(write("c.md.txt", "# A\nx\n# B\ny")).ids == ["c.md.txt#a", "c.md.txt#b"]


def test_commands_in_asciidoc_blocks_are_no_titles(write):
    text = "Notes\n=====\n\n----\n$ make\n----\n\n[source]\n....\na\n\nb = 1\n....\n\nLamp\n----\nRed.\n"
    corpus = read_corpus(write("notes.txt", text))
    assert [document.title for document in corpus] == ["Notes", "Notes › Lamp"]
    assert "$ make" in corpus[0].text and "b = 1" in corpus[0].text


def test_titles_of_restructured_text_lose_sphinx_roles(write):
    titles = ["The :mod:`os` module", ":py:func:`~os.walk`, :doc:`more <index>`"]
    text = "\n".join(f"{title}\n{'=' * len(title)}\n\nx\n" for title in titles)
    assert [document.title for document in read_corpus(write("a.rst", text))] == ["The os module", "os.walk, more"]
    line = "word " * 5000  # docutils by itself gives up a file with a line of more than 10,000 characters
    table = "+--+--+\n|  |  |\n+--+--+\n"
    assert len(read_corpus(write("b.rst", f"A\n=\n\n{line}\n\nB\n=\n\n{table}\nC\n=\n\nx"))) == 3


HOSTILE_RST = {
    "substitutions in substitutions": lambda n: (
        "|a0|\n\n" + "".join(f".. |a{i}| replace:: |a{i + 1}| |a{i + 1}|\n" for i in range(n // 40))
    ),
    "markup never closed": lambda n: "*a `b |c " * n,
    "a table of many columns": lambda n: ("+--" * n + "+\n" + "|  " * n + "|\n") * 4 + "+--" * n + "+\n",
}


@pytest.mark.parametrize("name", HOSTILE_RST)
def test_hostile_restructured_text_takes_linear_time(name):
    short, long = (seconds(rst_headings_of, HOSTILE_RST[name](n)) for n in (250, 2000))
    assert long < 40 * short or long < 0.3


def test_a_key_that_appears_twice_among_many_is_found_in_linear_time(write):
    keys = ",".join(f'"k{number}": "v"' for number in range(60_000))
    with pytest.raises(ValueError, match="the key 'k59999' appears twice"):
        read_corpus(write("a.json", f'{{{keys}, "k59999": "w"}}'))
