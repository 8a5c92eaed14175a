"""Quizzes: a question of your own, or all questions of a lesson; an explanation for every choice."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from ipywidgets import HTML
from traitlets import Unicode, link

from ragedu.learn.widgets.panel import Panel, radio_buttons
from ragedu.showing import escape

Choices = Mapping[str, tuple[bool, str]]  # {text: (whether it is right, why)}


def quiz(question: str, choices: Choices) -> Panel:
    """A question with choices, {text: (whether it is right, why)}; choosing one shows whether it is right, and why.

    In the question and the explanations `backticks` make code. On a page without widgets every choice can be unfolded::

        quiz("Which words does idf favour?", {
            "Rare ones": (True, "Few documents have them, so they tell documents apart."),
            "Frequent ones": (False, "They are everywhere, and tell nothing apart."),
        })
    """
    check_choices(choices)
    return QuizPanel(question, choices)


def lesson_quiz(lesson: str) -> Panel:
    """The questions of a lesson, such as "02": choosing an answer shows whether it is right, and why."""
    return LessonQuizPanel(lesson_questions(lesson))


class QuizPanel(Panel):
    """A Panel whose static form shows all choices, to be unfolded, not the one that somebody chose."""

    value = Unicode(None, allow_none=True)  # the choice

    def __init__(self, question: str, choices: Choices) -> None:
        self.question, self.choices = question, choices
        buttons = radio_buttons(choices, value=None)
        above = [HTML(asked(question)).add_class("jp-RenderedHTMLCommon")]
        super().__init__({"choice": buttons}, self.verdict, above=above)
        link((buttons, "value"), (self, "value"))

    def verdict(self, choice: str | None) -> str:
        return verdict(self.choices, choice)

    def static(self) -> str:
        folded = "".join(
            f"<details><summary>{escape(text)}</summary>{verdict(self.choices, text)}</details>\n"
            for text in self.choices
        )
        return f"{asked(self.question)}\n{folded}"


class LessonQuizPanel(Panel):
    """Several questions, each with its verdict below it, and below all of them how many are right."""

    def __init__(self, questions: Sequence[tuple[str, Choices]]) -> None:
        self.quizzes = [
            QuizPanel(f"{number}. {question}", choices) for number, (question, choices) in enumerate(questions, start=1)
        ]
        numbered = {f"question_{number}": quiz for number, quiz in enumerate(self.quizzes, start=1)}
        keys = HTML("<p>By keyboard: Tab leads to a choice, the space bar takes it.</p>")
        super().__init__(numbered, self.count, above=[keys.add_class("jp-RenderedHTMLCommon")])

    def count(self, **chosen: str | None) -> str:
        """How many of the chosen answers are right, as HTML."""
        answers = zip(self.quizzes, chosen.values(), strict=True)
        right = sum(quiz.choices[choice][0] for quiz, choice in answers if choice is not None)
        return f"<p><strong>{right} of {len(chosen)} right</strong></p>"

    def static(self) -> str:
        return "\n".join(f"<div style='margin-bottom: 1.5em'>{quiz.static()}</div>" for quiz in self.quizzes)


# The questions of the lessons.

QUIZZES = files("ragedu.learn") / "quizzes"


def lesson_questions(lesson: str) -> list[tuple[str, Choices]]:
    """The questions of a lesson with their choices, in the order of its file."""
    file_of = {file.name.removeprefix("lesson_").removesuffix(".toml"): file for file in QUIZZES.iterdir()}
    if lesson not in file_of:
        raise ValueError(f"there is no quiz for lesson {lesson!r}: name one of {', '.join(sorted(file_of))}")
    return read_questions(file_of[lesson].read_text("utf-8"))


def read_questions(toml: str) -> list[tuple[str, Choices]]:
    """Questions as the files in `quizzes` have them; a choice is {right = text, why = …} or {wrong = text, why = …}."""
    questions: list[tuple[str, Choices]] = []
    for entry in tomllib.loads(toml)["questions"]:
        question = on_one_line(entry["question"])
        choices: dict[str, tuple[bool, str]] = {}
        for choice in entry["choices"]:
            if choice.keys() not in ({"right", "why"}, {"wrong", "why"}):
                raise ValueError(f"a choice of {question!r} has {', '.join(choice)}: it needs why, and right or wrong")
            right = "right" in choice
            text = on_one_line(choice["right" if right else "wrong"])
            if text in choices:
                raise ValueError(f"the question {question!r} has the choice {text!r} twice")
            choices[text] = (right, on_one_line(choice["why"]))
        check_choices(choices)
        questions.append((question, choices))
    return questions


def on_one_line(text: str) -> str:
    """The files have one sentence a line."""
    return " ".join(text.split())


# What all quizzes share.


def check_choices(choices: Choices) -> None:
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


def verdict(choices: Choices, choice: str | None) -> str:
    """Whether the choice is right, and why, as HTML."""
    if choice is None:
        return "<p>Choose one.</p>"
    right, why = choices[choice]
    return f"<p><strong>{'✓ Right.' if right else '✗ Not this one.'}</strong> {text_with_code(why)}</p>"


def text_with_code(text: str) -> str:
    """Escaped text in which `this` is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
