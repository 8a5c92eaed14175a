"""What is wrong with a folder of HTML pages: broken links and anchors, addresses outside, pictures without words."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """The ids of a page, and the addresses that it links to and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if values.get("id"):
            self.ids.append(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADED and values.get(LOADED[tag]) and values.get("rel") not in ("author", "canonical"):
            self.loaded.append(values[LOADED[tag]])
        if tag == "img" and not values.get("alt"):
            self.unnamed.append(values.get("src", "")[:80])


def problems_of(folder: Path) -> list[str]:
    """A sentence for each problem; empty for a site that is whole."""
    pages = {file.resolve(): Page(file.read_text("utf-8")) for file in sorted(folder.rglob("*.html"))}
    problems = []
    for file, page in pages.items():
        name = file.relative_to(folder.resolve())
        problems += [f"{name}: the picture {source} has no alt text" for source in page.unnamed]
        problems += [f"{name} has the id {id} twice" for id in set(page.ids) if page.ids.count(id) > 1]
        for address in (*page.links, *page.loaded):
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                if address in page.loaded or parts.scheme not in ("http", "https", "mailto"):
                    problems.append(f"{name} loads {address}")
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.is_file():
                problems.append(f"{name} leads to {address}, which is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                problems.append(f"{name} leads to {address}, and the page has no such id")
    return problems
