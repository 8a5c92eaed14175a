"""The quizzes of the lessons: what they must have, what is shown of them, and what is refused."""

import re
from pathlib import Path

import pytest

pytest.importorskip("ipywidgets")  # comes with ragedu[lab]

from ragedu.learn.widgets import lesson_quiz
from ragedu.learn.widgets.quizzes import LessonQuizPanel, lesson_questions, read_questions
from ragedu.showing import escape

SOURCES = sorted(Path(__file__).parents[1].glob("notebooks/source/[0-9]*.py"))
LESSONS = [path.name[:2] for path in SOURCES]
QUESTIONS = {lesson: lesson_questions(lesson) for lesson in LESSONS}
ALL = [(lesson, question, choices) for lesson, some in QUESTIONS.items() for question, choices in some]


def right_ones(choices):
    return [text for text, (right, _) in choices.items() if right]


# What the lessons' quizzes have.


def test_every_lesson_has_three_or_four_questions_with_one_right_choice_and_reasons_for_all():
    assert len(LESSONS) == 11
    assert all(3 <= len(questions) <= 4 for questions in QUESTIONS.values())
    assert len({question for _, question, _ in ALL}) == len(ALL)
    for lesson, question, choices in ALL:
        reasons = [why for _, why in choices.values()]
        assert question.endswith("?"), (lesson, question)
        assert 3 <= len(choices) <= 4 and len(right_ones(choices)) == 1, (lesson, question)
        assert all(len(why.split()) >= 5 and why.endswith((".", ")")) for why in reasons), (lesson, question)
        assert len(set(reasons)) == len(reasons), (lesson, question)
        assert not any("`" in text for text in choices), "a radio button shows its text as it is"


def test_neither_length_nor_place_gives_the_right_choice_away():
    longest = shortest = 0
    places = []
    for _, _, choices in ALL:
        (right,) = right_ones(choices)
        others = [len(text) for text in choices if text != right]
        longest += len(right) >= max(others)
        shortest += len(right) <= min(others)
        places.append(list(choices).index(right))
    assert max(longest, shortest) < 0.6 * len(ALL)
    assert all(0.15 < places.count(place) / len(ALL) < 0.5 for place in (0, 1, 2)) and 3 in places
    for lesson in LESSONS:
        of_lesson = [place for (name, _, _), place in zip(ALL, places, strict=True) if name == lesson]
        assert len(set(of_lesson)) > 1, f"lesson {lesson}: always the same place"


@pytest.mark.parametrize("path", SOURCES, ids=LESSONS)
def test_every_lesson_shows_its_own_quiz_once_in_one_cell(path):
    text = path.read_text("utf-8")
    cell = f'\n# %%\nfrom ragedu.learn.widgets import lesson_quiz\n\nlesson_quiz("{path.name[:2]}")\n\n# %% [markdown]'
    assert text.count(cell) == 1 == text.count("lesson_quiz(")
    assert "<summary>Answer" not in text


# What is shown.

TWO = '''
[[questions]]
question = """
Which does `idf`
favour?
"""
choices = [{wrong = "Frequent <ones>", why = "They are <all>."}, {right = "Rare ones", why = "See `df`."}]

[[questions]]
question = "And tf?"
choices = [{right = "Many", why = "It counts."}, {wrong = "Few", why = "It counts."}]
'''


@pytest.fixture
def panel():
    return LessonQuizPanel(read_questions(TWO))


def test_each_question_has_its_verdict_below_it_and_the_panel_counts(panel):
    first, second = panel.quizzes
    assert "0 of 2 right" in panel.shown.value and "Choose one." in first.shown.value
    panel.controls["question_1"].value = "Frequent <ones>"
    assert first.shown.value == "<p><strong>✗ Not this one.</strong> They are &lt;all&gt;.</p>"
    assert "0 of 2 right" in panel.shown.value and "Choose one." in second.shown.value
    second.controls["choice"].value = "Many"
    assert second.shown.value == "<p><strong>✓ Right.</strong> It counts.</p>" and "1 of 2 right" in panel.shown.value
    panel.controls["question_1"].value = "Rare ones"
    assert first.controls["choice"].value == "Rare ones" and "<code>df</code>" in first.shown.value
    assert "2 of 2 right" in panel.shown.value
    second.controls["choice"].value = "Few"
    assert "1 of 2 right" in panel.shown.value


def test_the_choices_stand_as_they_are_written_and_the_questions_are_numbered(panel):
    assert panel.quizzes[0].controls["choice"].options == ("Frequent <ones>", "Rare ones")
    assert [quiz.question for quiz in panel.quizzes] == ["1. Which does `idf` favour?", "2. And tf?"]


def test_on_paper_all_is_folded_and_nothing_chosen(panel):
    before = panel.static()
    panel.controls["question_2"].value = "Few"
    assert panel.static() == before and before.count("<details>") == 4 and "<details open" not in before
    assert "1. Which does <code>idf</code> favour?" in before and "of 2 right" not in before
    assert "<ones>" not in before and "Frequent &lt;ones&gt;" in before and "They are &lt;all&gt;." in before


@pytest.mark.parametrize("lesson", LESSONS)
def test_what_is_stored_of_a_lesson_has_every_choice_and_no_raw_widget(lesson):
    stored = lesson_quiz(lesson)._repr_mimebundle_()
    html, text = stored["text/html"], stored["text/plain"]
    for number, (question, choices) in enumerate(QUESTIONS[lesson], start=1):
        assert f"{number}. " + question.replace("`", "") in text
        for choice, (right, why) in choices.items():
            verdict = "✓ Right." if right else "✗ Not this one."
            assert f"<summary>{escape(choice)}</summary><p><strong>{verdict}</strong>" in html
            assert f"{verdict} {why.replace('`', '')}" in text
    assert "VBox(" not in html + text and "RadioButtons" not in html + text


# What is refused.


@pytest.mark.parametrize("lesson", ["2", "", "11", "../00", "lesson_00"])
def test_a_lesson_without_a_quiz_is_refused_in_a_sentence(lesson):
    message = re.escape(f"there is no quiz for lesson {lesson!r}: name one of 00, 01, ")
    with pytest.raises(ValueError, match=f"^{message}[^\n]*, 10$"):
        lesson_quiz(lesson)


@pytest.mark.parametrize(
    "choices, message",
    [
        ('{wrong = "a", why = "x"}, {wrong = "b", why = "y"}', "a right one among them"),
        ('{right = "a", why = "x"}', "two choices or more"),
        ('{right = "a"}, {wrong = "b", why = "y"}', "it needs why"),
        ('{right = "a", wrong = "a", why = "x"}, {wrong = "b", why = "y"}', "right or wrong"),
        ('{right = "a", why = " "}, {wrong = "b", why = "y"}', "the choice 'a' needs"),
        ('{right = "a", why = "x"}, {wrong = "a ", why = "y"}', "the choice 'a' twice"),
    ],
)
def test_a_file_with_a_fault_is_refused(choices, message):
    with pytest.raises((TypeError, ValueError), match=message):
        read_questions(f'[[questions]]\nquestion = "?"\nchoices = [{choices}]')
