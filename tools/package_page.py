"""README as a package page shows it, where nothing lies beside it: hatchling asks this file when it builds.

In the repository README's links and pictures are relative. On a package page they must be whole addresses, and only
`[project.urls] Source` in pyproject.toml knows the repository's. Where it names none, a link is its words alone and a
picture is left out: better than a link that leads nowhere.
"""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE_OR_LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\[\]]*)\]\((?!https?://|mailto:|#)(?P<path>[^()\s]+)\)")
CODE = re.compile(r"^```.*?^```$|^    [^\n]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


class PackagePage(MetadataHookInterface):
    """Sets `readme`, which pyproject.toml therefore calls dynamic."""

    def update(self, metadata: dict) -> None:
        readme = (Path(self.root) / "README.md").read_text("utf-8")
        source = metadata.get("urls", {}).get("Source")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": package_page(readme, source=source, version=metadata.get("version")),
        }


def package_page(readme: str, *, source: str | None = None, version: str | None = None) -> str:
    """README with whole addresses.

    Parameters
    ----------
    source
        The repository's address, such as https://github.com/OWNER/ragedu, or None if it has none.
    version
        Whose tag the links name, so that the page of an old version leads to that version's files; without it, HEAD.
    """
    at = f"v{version}" if version else "HEAD"

    def replacement(found: re.Match) -> str:
        picture, words, path = found.group("picture", "words", "path")
        if source is None:
            return "" if picture else words
        return f"{picture}[{words}]({source.rstrip('/')}/{'raw' if picture else 'blob'}/{at}/{path})"

    page = outside_code(readme, lambda text: PICTURE_OR_LINK.sub(replacement, text))
    return re.sub(r"\n{3,}", "\n\n", page)


def outside_code(text: str, change) -> str:
    """The text with all changed that is not code."""
    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [change(text[end : code.start()]), code.group()]
        end = code.end()
    return "".join([*parts, change(text[end:])])
