"""The site: what its pages are made of, a small one built and checked, and the whole one read in a real browser.

Building needs the extra `site`, and without it those tests are skipped; `make test-all` installs it. No request leaves
the machine: in the browser every address that isn't a file is blocked, and recorded as a failure.
"""

import doctest
import importlib
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from build_site import build, pack
from jupyter_lab import chromium, why_no_browser
from lesson_source import read_source
from navigation import navigation
from packaging.requirements import Requirement
from site_checking import problems_of
from website import bibliography, reference, tables, verification
from website.course import SiteError, lessons
from website.links import Links
from website.notebooks import exercise_page, is_navigation, with_alt_texts, without_navigation
from website.sliders import data_for, query_of

from ragedu import BM25Retriever

ROOT = Path(__file__).resolve().parents[1]
MODULES = "course links notebooks sliders verification reference bibliography tables staging".split()


def prose(text, id="p"):
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": text}


def code(text, *outputs, id="c", **metadata):
    return {"cell_type": "code", "id": id, "metadata": metadata, "source": text, "outputs": list(outputs)}


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": [text]}


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module):
    flags = doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(importlib.import_module(f"website.{module}"), optionflags=flags).failed == 0


# Notebooks.


def test_the_builders_navigation_is_left_out_and_prose_is_not():
    source = read_source(ROOT / "notebooks/source/02_bm25.py")
    line = navigation(source, ROOT / "notebooks/02_bm25.ipynb", "en")
    assert line and is_navigation(line)
    kept = without_navigation([prose(f"# 02 BM25\n\n{line}\n\nText."), code("1"), prose(line)])
    assert len(kept) == 2 and "Text." in kept[0]["source"] and ".ipynb" not in kept[0]["source"]
    linked = prose("Go on with [the next](03_dense.ipynb), or stop.")
    assert without_navigation([prose("# T"), dict(linked)])[1] == linked


def test_a_figures_words_become_its_alt_text_and_other_details_stay():
    words = prose('<details><summary>The plot in words</summary>\n\nIt "rises",\nslowly.\n\n</details>')
    quiz = prose("<details><summary>Rare ones</summary>\n\nRight.\n\n</details>")
    cells = with_alt_texts([code("plt.show()", alt='It "rises", slowly.'), dict(words), dict(quiz)])
    assert [cell["source"] for cell in cells] == ["plt.show()", quiz["source"]]
    assert cells[0]["metadata"]["mystnb"]["image"]["alt"] == "It &quot;rises&quot;, slowly."
    assert with_alt_texts([code("plt.show()"), dict(quiz)])[1] == quiz  # no figure before it


def test_solutions_are_folded_below_their_stubs(tmp_path):
    lesson = next(lesson for lesson in lessons(ROOT) if lesson.number == "02")
    stub = code("def f():\n    raise NotImplementedError", id="a")
    student = {"cells": [prose("# T"), stub, code("check(f)", id="b"), code("show(f)", id="c")]}
    solution = code('def f():\n    return "```"', id="a")
    solved = [
        prose("# T"),
        solution,
        code("check(f)", printed("right"), id="b"),
        code("show(f)", printed("7\n"), id="c"),
    ]
    page = exercise_page(student, {"cells": solved}, lesson, Links(tmp_path, set(), set()))
    texts = [cell["source"] for cell in page["cells"][1:]]
    assert [text.partition("\n")[0].partition(">")[0] for text in texts] == [
        "def f():", "<details class=\"fold\"", "check(f)", "show(f)", "<details class=\"fold\"",
    ]  # fmt: skip
    assert '````python\ndef f():\n    return "```"\n````' in texts[1] and "\n7\n" in texts[4]
    assert len({cell["id"] for cell in page["cells"]}) == len(page["cells"])
    assert student["cells"][0]["source"] == "# T"  # the page is a copy


@pytest.fixture
def links(tmp_path):
    (tmp_path / "LICENSE").write_text("free")
    pages = {"notebooks/01_tfidf.ipynb", "exercises/02_bm25_exercises.ipynb"}
    return Links(tmp_path, pages, {"ragedu.text", "ragedu.evaluation"})


@pytest.mark.parametrize(
    "link, expected",
    [
        ("[a](01_tfidf.ipynb#idf)", "[a](01_tfidf.ipynb#idf)"),
        ("[a](../exercises/solutions/02_bm25_solutions.ipynb)", "[a](../exercises/02_bm25_exercises.ipynb)"),
        ("[a](../ragedu/text.py)", "[a](../reference/ragedu.text.rst)"),
        ("[a](../ragedu/evaluation)", "[a](../reference/ragedu.evaluation.rst)"),
        ('[a](../LICENSE "l")', '[a](../files/LICENSE "l")'),
        ("[a](https://example.org/x.py) and [b](#here)", "[a](https://example.org/x.py) and [b](#here)"),
    ],
)
def test_links_of_the_repository_lead_somewhere_on_the_site(links, link, expected):
    assert links.rewrite(link, "notebooks/02_bm25.ipynb") == expected


@pytest.mark.parametrize("target", ["../nothing.md", "../../LICENSE", "02_bm25.ipynb"])
def test_a_link_to_nothing_stops_the_build(links, target):
    with pytest.raises(SiteError, match="which is not there"):
        links.rewrite(f"[a]({target})", "notebooks/02_bm25.ipynb")


# Verification.


def test_what_nbval_compares_is_counted():
    picture = {"output_type": "display_data", "data": {"image/png": "", "text/plain": ""}}
    cells = [
        prose("assert"),
        code("assert 1\nassert 2  # assert", printed("x"), picture),
        code("x", printed("0.3 s"), tags=["nbval-ignore-output"]),
        code("%timeit x\nassert x", printed("y")),
    ]
    assert verification.count({"cells": cells}) == verification.Counts(
        4, 3, compared=2, pictures=1, ignored=1, claims=3
    )


def test_the_commit_of_a_page_and_what_stands_without_git(tmp_path):
    file = tmp_path / "a.ipynb"
    file.write_text("1")
    outside = verification.commit_of(file)
    assert not outside.name and "outside git" in str(outside)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    commit = verification.commit_of(file)
    assert len(commit.name) >= 7 and commit.date[:2] == "20" and not commit.changed_since
    file.write_text("2")
    assert str(verification.commit_of(file)).endswith("changed since")


# BM25's sliders.


def test_the_question_of_the_sliders_is_found():
    assert query_of('bm25_sliders(docs.corpus, "a b")') == "a b"
    for other in ("bm25_sliders(mine, 'a')", "bm25_sliders(docs.corpus, make())", "%magic", "x = 'bm25_sliders'"):
        assert query_of(other) is None, other


@pytest.mark.parametrize("k1, b", [(1.5, 0.75), (0.05, 0), (5, 1), (2.35, 0.4)])
def test_the_pages_data_give_the_retrievers_ranking(harbour, k1, b):
    query = "the ferry of the east quay, the harbour wall and the boats"
    data = data_for(harbour, query)
    tf = np.array([document["tf"] for document in data["documents"]])
    norm = k1 * (1 - b + b * np.array([document["length"] for document in data["documents"]]))
    scores = (tf / (tf + norm[:, None])) @ np.array(data["weights"])
    hits = BM25Retriever(k1=k1, b=b).fit(harbour).search(query, k=5)
    order = np.argsort(-scores, kind="stable")[:5]
    assert [data["documents"][i]["name"] for i in order] == [hit.document.title or hit.document.id for hit in hits]
    assert scores[order] == pytest.approx([hit.score for hit in hits], abs=1e-5)
    before = {document["name"]: document["before"] for document in data["documents"]}
    for hit in BM25Retriever().fit(harbour).search(query, k=5):
        assert before[hit.document.title or hit.document.id] == hit.rank


# Reference, bibliography, data.


def test_every_module_has_a_page_once_and_every_lesson_leads_to_some():
    listed = [module for row, _ in reference.map_of_modules(ROOT) for module in row]
    files = (file.relative_to(ROOT).as_posix() for file in (ROOT / "ragedu").rglob("*.py"))
    every = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files}
    wanted = {name for name in every if not name.startswith(reference.NO_PAGE) and ".__" not in name} - {"ragedu"}
    packages = {name for name in wanted if (ROOT / name.replace(".", "/")).is_dir()}  # the map may leave them out
    assert len(listed) == len(set(listed)) and wanted - packages <= set(listed)
    for lesson in lessons(ROOT):
        assert reference.modules_of_lesson(lesson, listed), lesson.number
    assert [lesson.number for lesson in reference.built_in(lessons(ROOT), listed)["ragedu.retrieval.bm25"]] == ["02"]


def test_every_address_of_further_reading_is_in_the_bibliography():
    recommended = []
    for lesson in lessons(ROOT):
        paragraph = bibliography.further_reading(json.loads(lesson.notebook.read_text("utf-8")))
        assert paragraph, lesson.number
        recommended.append((lesson, bibliography.works(paragraph)))
        assert len(recommended[-1][1]) == paragraph.count("](http"), lesson.number
    page = bibliography.page(recommended)
    assert all(page.count(f"]({work.address})") == 1 for _, its_works in recommended for work in its_works)


def test_a_work_that_two_lessons_name_stands_there_once():
    first, second = lessons(ROOT)[:2]
    paragraphs = ".** Ng (2019), [*BERT*](https://x.org/b).", ".**\nNg (2019), [*BERT: a model*](https://x.org/b)."
    page = bibliography.page(zip((first, second), map(bibliography.works, paragraphs), strict=True))
    (line,) = [line for line in page.splitlines() if line.startswith("- ")]
    assert line.startswith("- Ng (2019), [BERT: a model](https://x.org/b). Lesson [00](") and ", [01](" in line


def test_pages_of_data_come_when_their_data_come(tmp_path):
    assert tables.data_pages(tmp_path) == {}
    for folder in ("docs", "ragedu/atlas"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docs/glossary.toml").write_text('[terms]\nidf = "weight"\nBM25 = """a\nb"""\n')
    (tmp_path / "ragedu/atlas/atlas.csv").write_text("method,year\nBM25 <b>,1994\n")
    pages = tables.data_pages(tmp_path)
    assert pages["glossary"].endswith("```{glossary}\nBM25\n  a\n  b\n\nidf\n  weight\n\n```\n")
    assert "<th scope='row'>BM25 &lt;b&gt;</th><td>1994</td>" in pages["atlas"]


def test_what_the_site_needs_is_pinned():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["site"]
    lines = (ROOT / "constraints.txt").read_text("utf-8").lower().splitlines()
    pinned = dict(line.partition(";")[0].split("==") for line in lines if "==" in line and line[0] != "#")
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[requirement.name.lower()].strip()), requirement


# A small site, built.

SMALL_README = """
| 00 | [Start here](notebooks/00_start_here.ipynb) | 25 | run | [rag.py](ragedu/rag.py) |
| 02 | [BM25](notebooks/02_bm25.ipynb) | 50 | derive | [retrieval/bm25.py](ragedu/retrieval/bm25.py) |
## A map of the package
| `rag.py`, `retrieval/lexical.py`, **`bm25.py`** | all of it |
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two lessons, their exercises and three modules."""
    pytest.importorskip("sphinx", reason="the extra site is not installed: pip install -e .[site]")
    root = tmp_path_factory.mktemp("small")
    (root / "README.md").write_text(SMALL_README)
    shutil.copytree(ROOT / "docs", root / "docs")
    (root / "docs/teaching").mkdir(exist_ok=True)
    (root / "docs/teaching/index.md").write_text("# A guide\n")
    (root / "ragedu").symlink_to(ROOT / "ragedu")
    for number in ("00_start_here", "02_bm25"):
        for name in (f"{number}.ipynb", f"{number}_exercises.ipynb", f"solutions/{number}_solutions.ipynb"):
            file = root / ("notebooks" if name == f"{number}.ipynb" else "exercises") / name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file.relative_to(root), file)
    return build(root, tmp_path_factory.mktemp("built"))


def test_a_small_site_is_whole(small, tmp_path):
    assert problems_of(small) == []
    page = re.sub("</?span[^>]*>", "", (small / "notebooks/02_bm25.html").read_text("utf-8"))
    for part in ("ragedu start --only 02", "Download this lesson", "bm25-sliders", "How this page was verified"):
        assert part in page, part
    assert "Saturation curves" in page and "The plot in words" not in page
    assert "The plot in words" not in (small / "notebooks/00_start_here.html").read_text("utf-8")
    assert '<details class="fold">' in (small / "exercises/02_bm25_exercises.html").read_text("utf-8")
    assert "teaching/index.html" in page
    reference_page = (small / "reference/ragedu.retrieval.bm25.html").read_text("utf-8")
    assert "02_bm25.html" in reference_page and "../_modules/ragedu/retrieval/bm25.html#bm25_idf" in reference_page
    packed = pack(small, tmp_path / "site.zip")
    assert packed.stat().st_size < 25e6
    shutil.unpack_archive(packed, tmp_path)
    assert problems_of(tmp_path / "site") == []


# The whole site, in a browser, from disk.

needs_browser = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser() or "-")
THEMES = ("light", "dark")
KINDS = [
    "index", "notebooks/02_bm25", "exercises/02_bm25_exercises", "reference/index", "reference/ragedu.retrieval.bm25",
    "_modules/ragedu/retrieval/bm25", "verification", "bibliography", "search", "genindex",
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """All of it. A warning of Sphinx is an error."""
    pytest.importorskip("sphinx", reason="the extra site is not installed: pip install -e .[site]")
    return build(ROOT, tmp_path_factory.mktemp("site"), strict=True)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, site):
    """Open a page of the site from disk. What goes wrong on it, or asks for an address outside, fails the test."""
    wrong, contexts = [], []

    def open_page(name, theme="light", width=1280):
        contexts.append(browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.route(lambda address: not address.startswith(("file:", "data:", "blob:")), lambda route: route.abort())
        page.on("request", lambda request: outside(request.url) and wrong.append(f"{name} asks for {request.url}"))
        page.on("console", lambda message: message.type == "error" and wrong.append(f"{name}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"{name}: {error}"))
        page.goto(f"file://{site}/{name}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def outside(address):
    return not address.startswith(("file:", "data:", "blob:"))


@pytest.mark.slow
def test_no_link_of_the_site_is_broken(site):
    assert problems_of(site) == []


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("theme", THEMES)
def test_every_page_is_whole_and_readable_on_a_telephone(site, open_page, theme):
    page = open_page("index.html", theme, width=360)
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        page.wait_for_function("!window.MathJax || (MathJax.startup && MathJax.startup.promise)")
        page.evaluate("window.MathJax && MathJax.startup.promise")
        name = file.relative_to(site)
        assert page.locator("[data-mjx-error], mjx-merror").count() == 0, name
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, f"{name} is wider than the screen"


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_serious(open_page, name, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(f"{name}.html" + ("?q=idf" if name == "search" else ""), theme)
    page.wait_for_timeout(1500)  # for formulas, and for the results of the search
    # preload: axe itself would ask for the style sheets again, which a page from disk must not.
    found = Axe().run(page, options={"preload": False}).response["violations"]
    serious = [
        (rule["id"], node["html"][:200], node["failureSummary"][:200])
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    assert serious == []


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize(
    "words, page_name", [("reciprocal rank fusion", "05_rag.html"), ("idf", "#ragedu.retrieval.bm25.bm25_idf")]
)
def test_search_works_from_disk(open_page, words, page_name):
    page = open_page("index.html")
    box = page.get_by_role("searchbox").or_(page.get_by_placeholder("Search")).first
    box.fill(words)
    box.press("Enter")
    page.locator(f"#search-results a[href*='{page_name}']").first.wait_for(timeout=20_000)


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
def test_the_formula_of_idf_and_its_code_are_three_clicks_away(open_page):
    page = open_page("index.html")
    page.locator("article").get_by_role("link", name="reference", exact=True).click()
    page.locator("article").get_by_role("link", name="retrieval.bm25", exact=True).click()
    page.locator("dt", has_text="bm25_idf").get_by_text("[source]").click()
    assert "np.log(1 + (N - df + 0.5) / (df + 0.5))" in page.locator("#bm25_idf").inner_text()


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("width", [1400, 360])
@pytest.mark.parametrize("name", ["notebooks/02_bm25.html", "exercises/02_bm25_exercises.html", "verification.html"])
def test_the_keyboard_reaches_everything(open_page, name, width):
    page = open_page(name, width=width)
    page.wait_for_timeout(1000)
    wanted = page.evaluate(
        """() => {
            const all = [...document.querySelectorAll('a[href], button, input, summary, label[for]')];
            const seen = all.filter(e => e.checkVisibility({visibilityProperty: true, opacityProperty: false})
                && e.getBoundingClientRect().width > 0 && !e.classList.contains('overlay'));
            seen.forEach((e, i) => e.dataset.wanted = i);
            return seen.length;
        }"""
    )
    reached = set()
    for _ in range(2 * wanted):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.wanted"))
    missed = [number for number in range(wanted) if str(number) not in reached]
    shown = page.evaluate(
        "all => all.map(i => document.querySelector(`[data-wanted='${i}']`).outerHTML.slice(0, 150))", missed
    )
    assert wanted > 20 and shown == []


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
def test_the_sliders_turn_by_keyboard_and_tables_are_sorted(open_page):
    page = open_page("notebooks/02_bm25.html")
    sliders = page.locator(".bm25-sliders")
    before = sliders.inner_text()
    sliders.get_by_role("slider").nth(1).focus()
    page.keyboard.press("Home")
    assert "b = 0.00" in sliders.locator("[role=status]").inner_text()
    assert "was" in sliders.inner_text() != before
    page = open_page("verification.html")
    page.get_by_role("button", name="claims asserted").click()
    claims = [int(text) for text in page.locator("tbody td:last-child").all_inner_texts()]
    assert claims == sorted(claims) and claims[0] < claims[-1]
