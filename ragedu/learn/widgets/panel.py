"""The panel that every widget is: controls on top, and below them what a function shows for their values."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from html.parser import HTMLParser
from threading import RLock

import ipywidgets
from ipywidgets import HTML, BoundedFloatText, FloatSlider, HBox, Layout, RadioButtons, VBox
from traitlets import Float, link

from ragedu.corpus import shorten
from ragedu.showing import block, escape, one_line, visible

# ipywidgets gives every choice and every button the height of one line, and lets longer ones overlap or cuts them off.
# It lets a wide table widen the panel, so that the controls scroll away with it; and its mark of the focus is faint.
STYLE = """<style>
.ragedu-choices label {height: auto !important; line-height: 1.5 !important; white-space: normal;
  display: flex; flex-direction: row-reverse; justify-content: flex-end; align-items: baseline}
.ragedu-choices input {flex: none; align-self: flex-start; height: 1.5em !important}
.ragedu-panel .jupyter-button {white-space: normal; text-align: left; line-height: 1.5; padding: 2px 10px}
.ragedu-panel .widget-html-content {min-width: 0; line-height: 1.5}
.jupyter-widgets.ragedu-panel :focus-visible {outline: 2px solid currentColor !important; outline-offset: 1px}
</style>"""
IN_JUPYTER = "<em>(a picture; the controls work in Jupyter)</em>"


class Panel(VBox):
    """Controls, and what a function shows for their values.

    Where widgets do not run (a page on GitHub, a printed notebook), the panel is what it showed last, as HTML or text.

    Parameters
    ----------
    controls
        {name: control}. A control should have continuous_update=False: it then reports where a slider comes to rest and
        what was typed when Enter is pressed, not every step on the way. While the panel works on a value, Jupyter keeps
        only the newest of those that come after it, so nothing piles up behind a slow function.
    show
        A function that takes the controls' values by these names and returns HTML.
    above
        Other widgets, which stand above the controls.
    """

    def __init__(
        self, controls: Mapping[str, ipywidgets.Widget], show: Callable[..., str], *, above: Sequence = ()
    ) -> None:
        # JupyterLab's class for HTML in outputs: tables look as everywhere else, in light themes and in dark ones.
        self.shown = HTML().add_class("jp-RenderedHTMLCommon")
        self.controls, self._show = dict(controls), show
        self._one_at_a_time = RLock()  # JupyterLab may run this at the same time as a cell, in another thread
        style = HTML(STYLE, layout=Layout(display="none"))
        super().__init__([style, *above, *self.controls.values(), self.shown])
        self.add_class("ragedu-panel")
        for control in self.controls.values():
            control.observe(self._refresh, names="value")
        self._refresh()

    def _refresh(self, change: object = None) -> None:
        with self._one_at_a_time:
            if change is not None:
                # Dimmed, and marked as busy, so that nobody takes the old result for the new one.
                self.shown.value = f"<p><em>… working</em></p><div style='opacity:0.5'>{self.shown.value}</div>"
            try:
                html = self._show(**{name: control.value for name, control in self.controls.items()})
            except Exception as error:
                html = f"<p><strong>⚠ {escape(sentence(error))}</strong></p>"
            self.shown.value = html

    def static(self) -> str:
        """What the panel shows now, with the state of its controls, as HTML that needs no kernel."""
        settings = [
            f"{escape(control.description)} <strong>{escape(_setting(control.value))}</strong>"
            for control in self.controls.values()
            if control.description
        ]
        return f"<p>{', '.join(settings)} {IN_JUPYTER}</p>\n{pictures_as_images(self.shown.value)}"

    def __repr__(self) -> str:
        return as_text(self.static())

    def _repr_mimebundle_(self, **kwargs) -> dict:
        return super()._repr_mimebundle_(**kwargs) | {"text/html": self.static(), "text/plain": repr(self)}


def _setting(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def pictures_as_images(html: str) -> str:
    """The same with each <svg> as an image, for pages that let no SVG through: GitHub, a notebook that isn't trusted.

    An image doesn't know the colours of its page, so it is black on white, as the lessons' figures are.
    """
    return re.sub(r"<svg .*?</svg>", _as_image, html, flags=re.DOTALL)


def _as_image(svg: re.Match) -> str:
    (label,) = re.findall(r"aria-label='([^']*)'", svg[0])
    (width,) = re.findall(r" width='(\d+)' style", svg[0])
    head, _, body = re.sub(r"<title>.*?</title>| aria-label='[^']*'", "", svg[0], flags=re.DOTALL).partition(">")
    paper = "<rect width='100%' height='100%' fill='white' stroke='none'/>"
    alone = f"{head} xmlns='http://www.w3.org/2000/svg'>{paper}{body}"
    data = b64encode(alone.encode()).decode()
    return f"<img width='{width}' alt='{label}' src='data:image/svg+xml;base64,{data}'>"


def radio_buttons(options: Iterable[str], value: str | None) -> RadioButtons:
    """Choices that Tab reaches and the space bar takes.

    Not a drop-down list: JupyterLab takes its arrow keys for moving from cell to cell.
    """
    layout = Layout(width="95%", max_height="14em", overflow="auto")
    return RadioButtons(options=list(options), value=value, layout=layout).add_class("ragedu-choices")


class Slider(HBox):
    """A number, set by a slider or typed into a field, whose label screen readers read aloud."""

    value = Float()

    def __init__(self, value: float, low: float, high: float, description: str, *, step: float = 0.05) -> None:
        limits = {"value": value, "min": low, "max": high, "step": step, "continuous_update": False}
        field = BoundedFloatText(**limits, description=description, layout=Layout(width="12em"))
        field.style.description_width = "7em"
        track = FloatSlider(**limits, readout=False, layout=Layout(width="14em"))
        super().__init__([field, track], value=value)
        self.description = description
        ipywidgets.jslink((track, "value"), (field, "value"))  # in the browser, at once
        link((field, "value"), (self, "value"))


def sentence(error: Exception) -> str:
    """An error as one sentence. Its type is named when the message alone may not say what happened."""
    # A KeyError shows its message in quotes, as if it were a key.
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    message = shorten(str(message), 400)
    if isinstance(error, ValueError | TypeError | RuntimeError) and message:
        return message
    return f"{type(error).__name__}: {message}" if message else f"{type(error).__name__}, without a message"


# From HTML to text.

LINE_ENDS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")  # what str.splitlines takes for one


def as_text(html: str) -> str:
    """The same for a terminal: a line for each row of a table, and pictures as what they are called.

    Only the markup begins a line. Line ends in what people and documents write become blanks, or are indented where
    the text is preformatted.
    """
    reader = _TextOfHTML()
    reader.feed(html)
    lines = [visible(line).rstrip() for line in "".join(reader.pieces).split("\n")]
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip("\n")


class _TextOfHTML(HTMLParser):
    LINES = {"p", "div", "tr", "table", "li", "summary", "details", "caption", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.preformatted: list[str] | None = None  # the text of a <pre>, until its end
        self.in_picture = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "svg":
            self.in_picture = True
            self.pieces.append(f"\n[picture: {one_line(dict(attributes).get('aria-label') or '')}]\n")
        elif tag == "img":
            self.pieces.append(f"\n[picture: {one_line(dict(attributes).get('alt') or '')}]\n")
        elif tag == "pre":
            self.preformatted = []
        elif tag in self.LINES:
            self.pieces.append("\n")
        elif tag in ("td", "th") and self.pieces[-1:] != ["\n"]:
            self.pieces.append("  |  ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "svg":
            self.in_picture = False
        elif tag == "pre":
            self.pieces.append(f"\n    {block(''.join(self.preformatted or []))}\n")
            self.preformatted = None
        elif tag in self.LINES:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self.preformatted is not None:
            self.preformatted.append(data)
        elif not self.in_picture:
            self.pieces.append(LINE_ENDS.sub(" ", data))
