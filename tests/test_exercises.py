"""Every exercise, with everything that a learner may hand in: the solution, the stub, and mistakes of many sorts."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from lesson_source import Source, read_source

from ragedu.learn import check
from ragedu.learn import exercise as definitions
from ragedu.learn.exercise import OPEN_PROBLEMS, Exercise, exercises_of, lessons

SOURCES = {path.stem[:2]: path for path in sorted((Path(__file__).parents[1] / "exercises/source").glob("*.py"))}
SOLUTIONS = Path(__file__).parents[1] / "exercises/solutions"
EXERCISES = [exercise for lesson in lessons() for exercise in exercises_of(lesson).values()]
CHECK = re.compile(r'^check\("(\d\d\.\w+)", (\w+)\)', re.MULTILINE)
HEADING = re.compile(r"^## (\d)\. (.+) \((\d+) minutes( and more)?\)$", re.MULTILINE)

each_lesson = pytest.mark.parametrize("lesson", lessons())
each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)


@cache
def source(lesson: str) -> Source:
    return read_source(SOURCES[lesson])


def names_of(lesson: str) -> dict[str, str]:
    """{exercise: the name of the learner's function}, as the notebook checks them."""
    return {name: own for cell in source(lesson).cells for name, own in CHECK.findall(cell.text)}


@cache
def notebook(lesson: str, solved: bool) -> dict:
    """What the notebook's cells define, up to the last check: the open problem after it is run by nbval."""
    text_of = source(lesson).solution_code if solved else source(lesson).student_code
    cells = [cell for cell in source(lesson).cells if cell.language is None]
    last = max(number for number, cell in enumerate(cells) if CHECK.search(cell.text))
    namespace = {"__name__": "notebook"}
    for cell in cells[:last]:
        exec(compile(text_of(cell), f"<{lesson}, line {cell.line}>", "exec"), namespace)
    return namespace


def own_function(exercise: Exercise, solved: bool):
    lesson = exercise.name[:2]
    return notebook(lesson, solved)[names_of(lesson)[exercise.name]]


def test_lessons_with_exercises_have_a_notebook_and_the_other_way_round():
    assert lessons() == list(SOURCES)


@each_lesson
def test_a_notebook_checks_each_exercise_once_and_names_its_title_and_minutes(lesson):
    checks = [name for cell in source(lesson).cells for name, _ in CHECK.findall(cell.text)]
    assert checks == list(exercises_of(lesson))
    prose = "\n".join(cell.text for cell in source(lesson).cells if cell.language == "en")
    headings = HEADING.findall(prose)
    assert [number for number, *_ in headings] == [str(number) for number in range(1, len(headings) + 1)]
    assert 4 <= len(headings) <= 7
    assert [(title, int(minutes)) for _, title, minutes, _ in headings[:-1]] == [
        (exercise.title, exercise.minutes) for exercise in exercises_of(lesson).values()
    ]
    assert headings[0][2] in "456" and headings[-1][1].startswith("Open problem") and headings[-1][3]


@each_lesson
def test_an_open_problem_is_measured_and_asserted(lesson):
    """Its solution beats the baseline. The notebook of the solutions asserts it and nbval runs that, or it prints the
    verdict, which learners find kinder, and nbval compares it."""
    cells = [cell for cell in source(lesson).cells if cell.language is None]
    last_check = max(number for number, cell in enumerate(cells) if CHECK.search(cell.text))
    after = cells[last_check + 1 :]
    assert any("# SOLUTION" in cell.text for cell in after)
    measured = next(cell for cell in after if '"no gain' in cell.text)
    verdict = r"assert .*, " if "nbval-ignore-output" in measured.tags else r'(assert .*, |print\("a gain" if .* else )'
    assert re.search(rf'^with when_solved\(\):.*\n(    .*\n)+    {verdict}("no gain|no_gain)', measured.text, re.M)


@each_lesson
def test_the_solution_of_an_open_problem_has_no_verdict_against_it(lesson):
    stored = json.loads((SOLUTIONS / f"{SOURCES[lesson].stem}_solutions.ipynb").read_text("utf-8"))
    printed = ["".join(output.get("text", "")) for cell in stored["cells"] for output in cell.get("outputs", ())]
    assert not any("no gain" in text for text in printed)


def test_open_problems_are_known_by_name():
    stubs = [
        f"{lesson}.{name}"
        for lesson in lessons()
        for cell in source(lesson).cells
        for name in re.findall(r"# SOLUTION (\w+)", cell.text)
    ]
    assert [name for name in stubs if name not in exercises_of(name[:2])] == list(OPEN_PROBLEMS)


@each_lesson
def test_stubs_are_typed_and_documented(lesson):
    namespace = notebook(lesson, solved=False)
    for name, own in names_of(lesson).items():
        function = namespace[own]
        assert function.__doc__ and "return" in function.__annotations__, name
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
        assert all(parameter in function.__annotations__ for parameter in parameters), name
        reference = exercises_of(lesson)[name].reference.__code__
        assert parameters == reference.co_varnames[: reference.co_argcount], name


@each_exercise
def test_an_exercise_is_complete(exercise):
    assert len(exercise.hints) == 3 and len(set(exercise.hints)) == 3
    assert len(exercise.cases) >= 3 or len(exercise.all_cases()) >= 12
    assert len(exercise.mistakes) >= 3
    for sentence in [*exercise.mistakes, *exercise.hints]:
        assert sentence.endswith((".", "?", "…")) and len(sentence) < 230, sentence


@each_exercise
def test_the_cases_are_the_same_every_time(exercise):
    assert repr(exercise.all_cases()) == repr(exercise.all_cases())


@each_exercise
def test_hints_do_not_give_the_solution_away(exercise):
    own = names_of(exercise.name[:2])[exercise.name]
    cell = next(cell.text for cell in source(exercise.name[:2]).cells if f"def {own}(" in cell.text)
    solution = re.search(r"# SOLUTION \w+\n(.+?)# END", cell, re.DOTALL)[1]
    lines = ["".join(line.split()) for line in solution.splitlines()]
    for text in exercise.hints:
        assert not any(len(line) > 25 and line in "".join(text.split()) for line in lines)


@each_exercise
def test_what_learners_hand_in(exercise, monkeypatch, record_count):
    """Solution, stub, the exercise's own mistakes, and mistakes that are possible in every exercise."""
    solution, stub = own_function(exercise, solved=True), own_function(exercise, solved=False)
    brief = replace(exercise, seconds=0.4)
    monkeypatch.setattr(definitions, "exercises_of", lambda lesson: {exercise.name: brief})

    accepted = check(exercise.name, solution)
    record_count("solutions accepted", bool(accepted), f"{exercise.name}: {accepted}")

    unwritten = check(exercise.name, stub)
    helpful = not unwritten and "not yet written" in repr(unwritten) and "hint" in repr(unwritten)
    record_count("stubs answered", helpful, f"{exercise.name}: {unwritten}")

    for sentence, mistake in exercise.mistakes.items():
        card = check(exercise.name, mistake)
        record_count(
            "own mistakes explained", not card and sentence.replace("`", "") in repr(card), f"{exercise.name}: {card}"
        )
    for said, mistake in general_mistakes(solution, exercise):
        card = check(exercise.name, mistake)
        record_count("general mistakes explained", not card and said in repr(card), f"{exercise.name}: {card}")


def general_mistakes(solution, exercise):
    """(what the message must say, a function that is wrong in a way that is possible everywhere)"""

    def returns_nothing(*arguments):
        solution(*arguments)

    def prints_only(*arguments):
        print(solution(*arguments))

    def wrong_type(*arguments):
        return {"not", "this"}

    def raises(*arguments):
        solution(*arguments)
        return {}["no such key"]

    def never_ends(*arguments):
        while arguments is not None:
            pass

    yield "does not return its result", returns_nothing
    yield "it printed", prints_only
    yield "There is a set", wrong_type
    yield 'return {}["no such key"]', raises
    yield "does a loop never end", never_ends
    yield "calls it with", lambda one, two, three, four, five, six, seven: None
    if isinstance(solution(*deepcopy(exercise.cases[0])), np.ndarray):
        only_the_difference = "There is a list, and it should be a numpy array.\nStuck?"
        yield only_the_difference, lambda *arguments: solution(*arguments).tolist()
    first = next((n for n, value in enumerate(exercise.cases[0]) if isinstance(value, np.ndarray | list | dict)), None)
    if first is not None:

        def changes(*arguments):
            value, result = arguments[first], solution(*arguments)
            if isinstance(value, np.ndarray):
                value += 1
            elif isinstance(value, list):
                value.append(value[0] if value else "one more")
            else:
                value["one more"] = 1
            return result

        yield "which belongs to whoever called", changes


COUNTS: dict[str, list[bool]] = {}


@pytest.fixture
def record_count():
    """Count what was as it should be, and fail at the end for what was not."""
    failures = []

    def record(kind: str, right: bool, description: str) -> None:
        COUNTS.setdefault(kind, []).append(right)
        if not right:
            failures.append(f"{kind}: not so for {description}")

    yield record
    assert not failures, "\n\n".join(failures)


def test_totals(capsys):
    """The counts, for the record; a failure is reported by the test of its exercise."""
    if len(COUNTS.get("solutions accepted", ())) < len(EXERCISES):
        pytest.skip("the totals are those of all exercises: run the whole file")
    with capsys.disabled():
        print("\n" + "; ".join(f"{kind}: {sum(right)} of {len(right)}" for kind, right in COUNTS.items()))


def test_abstaining_too_often_is_no_missing_return():
    solution = exercises_of("05")["05.choose"].reference
    text = repr(check("05.choose", lambda log_doubts, limit: solution(log_doubts, limit / 3)))
    assert "it returned" in text and "None" in text
    assert "return its result" not in text  # None may be meant


def test_codes_of_eight_bytes_are_called_what_they_are():
    def quantise(vectors):
        scales = np.abs(vectors).max(axis=1) / 127
        return np.round(vectors / scales[:, None]).astype(int), scales

    text = repr(check("03.quantise", quantise))
    assert "of type int64" in text and "as floats or as int64" in text
    assert "0.0078740," not in text and "0.00787401574" not in text


def test_an_unsolved_exercise_is_named_and_no_other_error_is_hidden(capsys):
    from ragedu.learn import when_solved

    with when_solved():
        raise NotImplementedError("Exercise 00.my_retriever")
    assert capsys.readouterr().out == "Exercise 00.my_retriever: solve it, then run this cell again.\n"
    with when_solved():
        print("measured")
    assert capsys.readouterr().out == "measured\n"
    for error in (NotImplementedError("an abstract method"), ValueError("Exercise")):
        with pytest.raises(type(error)), when_solved():
            raise error
