"""A quiz: one question, and an explanation for every choice."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ipywidgets import HTML

from ragedu.learn.widgets.panel import Panel, radio_buttons
from ragedu.showing import escape


def quiz(question: str, choices: Mapping[str, tuple[bool, str]]) -> Panel:
    """A question with choices, {text: (whether it is right, why)}; choosing one shows whether it is right, and why.

    In the question and the explanations `backticks` make code. On a page without widgets every choice can be unfolded:

        quiz("Which words does idf favour?", {
            "Rare ones": (True, "Few documents have them, so they tell documents apart."),
            "Frequent ones": (False, "They are everywhere, and tell nothing apart."),
        })
    """
    check_choices(choices)
    return QuizPanel(question, choices)


class QuizPanel(Panel):
    """A Panel whose static form shows all choices, to be unfolded, not the one that somebody chose."""

    def __init__(self, question: str, choices: Mapping[str, tuple[bool, str]]) -> None:
        self.question, self.choices = question, choices
        buttons = radio_buttons(choices, value=None)
        super().__init__({"choice": buttons}, self.verdict, above=[HTML(asked(question))])

    def verdict(self, choice: str | None) -> str:
        return verdict(self.choices, choice)

    def static(self) -> str:
        folded = "".join(
            f"<details><summary>{escape(text)}</summary>{verdict(self.choices, text)}</details>\n"
            for text in self.choices
        )
        return f"{asked(self.question)}\n{folded}"


def check_choices(choices: Mapping[str, tuple[bool, str]]) -> None:
    """Raise TypeError or ValueError, saying what is wrong, where these are no choices or none of them is right."""
    if not isinstance(choices, Mapping):
        raise TypeError("choices are {text: (whether it is right, why)}")
    for text, choice in choices.items():
        if not (isinstance(choice, tuple) and len(choice) == 2 and isinstance(choice[0], bool) and choice[1]):
            raise TypeError(f'the choice {text!r} needs (True, "why") or (False, "why not"), not {choice!r}')
    if len(choices) < 2 or not any(right for right, _ in choices.values()):
        raise ValueError("a quiz needs two choices or more, and a right one among them")


def asked(question: str) -> str:
    return f"<p><strong>{text_with_code(question)}</strong></p>"


def verdict(choices: Mapping[str, tuple[bool, str]], choice: str | None) -> str:
    """Whether the choice is right, and why, as HTML."""
    if choice is None:
        return "<p>Choose one.</p>"
    right, why = choices[choice]
    return f"<p><strong>{'✓ Right.' if right else '✗ Not this one.'}</strong> {text_with_code(why)}</p>"


def text_with_code(text: str) -> str:
    """Escaped text in which `this` is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
