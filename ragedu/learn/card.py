"""What `check` and `hint` show: a small card in Jupyter, plain text in a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from ragedu.showing import escape, visible

CODE = re.compile(r"`([^`\n]+)`")  # in prose, as in Markdown
PROSE = ("difference", "likely reason", "1", "2", "3")  # everything else is code, or what code wrote
CELL = "style='text-align:left;vertical-align:top;white-space:pre-wrap'"


@dataclass(frozen=True)
class Card:
    """A title, labelled findings, a closing sentence; true when an exercise was passed."""

    title: str
    _: KW_ONLY
    findings: Sequence[tuple[str, str]] = ()
    closing: str = ""
    passed: bool = False

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        width = max((len(label) for label, _ in self.findings), default=0)
        next_line = "\n" + " " * (width + 4)
        findings = [(label, _plain(text) if label in PROSE else text) for label, text in self.findings]
        lines = [f"  {label:<{width}}  {text.replace(chr(10), next_line)}" for label, text in findings]
        return visible("\n".join([_plain(self.title), *lines, *filter(None, [_plain(self.closing)])]))

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th {CELL}>{escape(label)}</th><td {CELL}>{_html(label, text)}</td></tr>"
            for label, text in self.findings
        )
        table = f"<table>{rows}</table>" if rows else ""
        closing = f"<div>{_prose_html(self.closing)}</div>" if self.closing else ""
        # The title says by its words and its mark whether this is a success; the edge says it again, without colour.
        edge = f"border-left:4px {'solid' if self.passed else 'dashed'} currentColor"
        title = f"<strong>{_prose_html(self.title)}</strong>"
        return f"<div style='{edge};padding:0.2em 0.8em'>{title}{table}{closing}</div>"


def _html(label: str, text: str) -> str:
    return (
        _prose_html(text)
        if label in PROSE
        else f"<code style='white-space:pre-wrap;overflow-wrap:anywhere'>{escape(text)}</code>"
    )


def _prose_html(text: str) -> str:
    return CODE.sub(r"<code>\1</code>", escape(text))


def _plain(text: str) -> str:
    return CODE.sub(r"\1", text)
