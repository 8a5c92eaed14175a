"""Readers: every supported type, and for every kind of bad file an error that says where and what to do."""

import json
import os
import subprocess
import sys

import pytest

from ragedu import read_beir, read_corpus, read_squad


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
        ("z.rst", "Harbour", "Harbour\n=======\n\nlight"),
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
    assert read_corpus(tmp_path).ids == ["in/a.txt", "in/linked.txt"]
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    with pytest.raises(OSError, match="self.txt"):
        read_corpus(tmp_path / "self.txt")
    with pytest.raises(FileNotFoundError, match="self.txt is a link to something that is not there"):
        read_corpus(tmp_path)


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
def test_what_must_not_be_read_is_an_error_and_not_skipped(tmp_path, write, what):
    write("open.txt", "fine")
    secret = write("closed/secret.txt", "secret")
    locked = secret if what == "file" else secret.parent
    locked.chmod(0)
    program = (
        "import os, sys; from ragedu import read_corpus\n"
        "if os.geteuid() == 0: os.setuid(65534)  # root may read everything\n"
        "os.listdir(sys.argv[1])\n"
        "try: read_corpus(sys.argv[1])\n"
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
    assert done.stdout.startswith("refused:") and f"{locked} cannot be read" in done.stdout, done.stderr


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
        read_corpus(tmp_path)


# Text


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jsonl", "a.json", "a.csv", "a.ipynb"])
def test_only_utf_8(write, name):
    with pytest.raises(ValueError, match=rf"{name} is not UTF-8 \(byte 0xe9 at position 3\): save it as UTF-8"):
        read_corpus(write(name, "caf\u00e9".encode("latin-1")))
    with pytest.raises(ValueError, match=f"{name} is UTF-16, not UTF-8.*: save it as UTF-8"):
        read_corpus(write(name, "text".encode("utf-16")))
    with pytest.raises(ValueError, match=rf"{name}, line 2: a NUL character"):
        read_corpus(write(name, "a\nb\0"))


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
    assert table(corpus) == [("a.md#a", "A", "one"), ("a.md#b", "A › B", "two")]
    assert corpus[0].metadata == {"source": "a.md", "front_matter": "title: X\n# a comment"}
    # The front matter counts as lines of the file.
    write("b.json", [{"id": "a.md#a", "text": "x"}])
    with pytest.raises(ValueError, match=r"'a.md#a' \(.*a.md, line 5; .*b.json, item 1\)"):
        read_corpus(tmp_path)


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
    nan = '{"cells": [{"cell_type": "code", "source": "x", "outputs": [{"data": NaN}]}]}'
    assert read_corpus(write("nan.ipynb", nan))[0].text == "```python\nx\n```"
    with pytest.raises(ValueError, match="not a notebook of format 4.*nbconvert"):
        read_corpus(write("old.ipynb", {"worksheets": []}))
    with pytest.raises(ValueError, match="bad.ipynb, cell 1: the source must be a string"):
        read_corpus(write("bad.ipynb", {"cells": [cell("code", 5)]}))
    with pytest.raises(ValueError, match="cut.ipynb, line 2: not valid JSON"):
        read_corpus(write("cut.ipynb", '{"cells": [\n{'))


# Records


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
        ("a.jsonl", '{"text": "x", "id": 1.5}\n', "line 1: a document's id must be a string, not float"),
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
        ("a.json", '{"1": 3}', "a.json, item 1: the text of document '1' must be a string, not int"),
        ("a.json", '["x", "\\udfff"]', "a.json, item 2: .* lone surrogate"),
        ("a.csv", "id;text\n1;x\n", "a.csv, line 2: no 'text' among the keys .'id;text'"),
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
    with pytest.warns(UserWarning, match="2 judgments dropped.*line 2: document 'd9'"):
        assert read_beir(beir, split="odd", strict=False).qrels == {"q1": {"d1": 1}}
    write("tiny/qrels/odd.tsv", "q9\td1\t1\n")
    with pytest.raises(ValueError, match="line 1: query 'q9' is not in"):
        read_beir(beir, split="odd")


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
