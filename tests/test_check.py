"""The machine behind the exercises: what `check` says of functions that do anything at all."""

import importlib
import io
import os
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ragedu.learn import check, hint
from ragedu.learn import exercise as definitions
from ragedu.learn.card import Card
from ragedu.learn.check import found_unwritten, hints_given
from ragedu.learn.comparing import difference, reason, show
from ragedu.learn.exercise import Exercise
from ragedu.learn.running import MAX_COLLECTED_CHARACTERS, TimeIsUp, call, quiet


def total(values, factor):
    return float(values.sum() * factor)


SUM = Exercise(
    name="99.total",
    title="A total",
    minutes=1,
    reference=total,
    cases=[(np.array([1.0, 2.0]), 2.0), (np.array([]), 1.0)],
    random_case=lambda dice: (dice.normal(size=4), 3.0),
    mistakes={
        "This is the mean, not the sum.": lambda values, factor: values.mean() * factor if len(values) else 0.0,
        "The factor is missing.": lambda values, factor: values.sum(),
    },
    hints=("one <b>", "two", "three"),
    seconds=0.5,
)


@pytest.fixture(autouse=True)
def exercise(monkeypatch):
    original = definitions.exercises_of
    monkeypatch.setattr(definitions, "lessons", lambda: ["02", "99"])
    monkeypatch.setattr(
        definitions, "exercises_of", lambda lesson: {SUM.name: SUM} if lesson == "99" else original(lesson)
    )
    hints_given.clear()
    found_unwritten.clear()


def text_of(function, name="99.total"):
    card = check(name, function)
    assert not card
    return repr(card)


def test_a_right_function_passes():
    card = check("99.total", lambda values, factor: np.sum(values) * factor)
    assert card and card.passed
    assert repr(card) == "✓ 99.total: right in all 12 cases"


def test_a_wrong_function_is_told_what_was_called_what_came_what_was_expected_and_why():
    text = text_of(lambda values, factor: values.sum())
    assert "called         total(np.array([1.0, 2.0]), 2.0)" in text
    assert "it returned    3\n" in text and "expected       6\n" in text
    assert "The factor is missing." in text and 'hint("99.total")' in text


def test_the_reason_is_sought_on_all_cases_and_not_on_the_first_alone():
    """Both mistakes give 3 on the first case, where the mean times two is the sum; later cases tell them apart."""
    assert "This is the mean" in text_of(SUM.mistakes["This is the mean, not the sum."])
    assert "The factor is missing." in text_of(SUM.mistakes["The factor is missing."])


def test_an_unwritten_function_is_no_failure():
    def stub(values, factor):
        raise NotImplementedError("Exercise 99.total")

    card = check("99.total", stub)
    assert not card and "not yet written" in repr(card) and "NotImplementedError" in repr(card)
    assert not card.findings


def test_not_written_is_said_of_nothing_that_is_written():
    def calls(message):
        def other(values):
            raise NotImplementedError(message)

        return lambda values, factor: other(values)

    assert text_of(calls("Exercise 02.idf")) == "… 99.total: it calls exercise 02.idf, which is not yet written"
    text = text_of(calls("an abstract method"))
    assert "NotImplementedError: an abstract method" in text and "raise NotImplementedError(message)" in text


def test_an_error_is_shown_at_the_learners_own_line():
    def broken(values, factor):
        doubled = np.asarray(values) * 2
        return np.dot(doubled, np.ones(99))  # this line fails, deep inside numpy

    text = text_of(broken)
    line = broken.__code__.co_firstlineno + 2
    assert "it raised" in text and "ValueError: shapes (2,) and (99,)" in text
    assert f"line {line} of test_check.py:  return np.dot(doubled, np.ones(99))" in text


def test_an_error_in_a_cell_is_shown_at_the_line_of_the_cell():
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_cell("def helper(values):\n    return values[7]\n")
    shell.run_cell("def mine(values, factor):\n    # a comment\n    return helper(values)\n")
    text = text_of(shell.user_ns["mine"])
    assert "IndexError: index 7" in text and "line 2 of the cell:  return values[7]" in text


def leave(values, factor):
    raise SystemExit("bye")


def divide(values, factor):
    return 1 / 0


def recurse(values, factor):
    return recurse(values, factor)


def speechless(values, factor):
    class Speechless(Exception):
        def __str__(self):
            raise RuntimeError("no")

    raise Speechless


def garrulous(values, factor):
    raise ValueError("x" * 1_000_000)


@pytest.mark.parametrize(
    "function, said",
    [
        (leave, "SystemExit: bye"),
        (divide, "ZeroDivisionError: division by zero"),
        (recurse, "The function calls itself without end"),
        (speechless, "Speechless: (its message cannot be shown)"),
        (garrulous, f"ValueError: {'x' * 300} …\n"),
        (lambda values, factor: np.array("x"), "The number differs."),
        (lambda values, factor: 10**400, "The number differs."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_that_is_raised_gets_out(function, said):
    assert said in text_of(function)


def forever(values, factor):
    while True:
        pass


def unfinished(values):
    return len(values) < 1000


def stubborn(values, factor):
    while unfinished(values):
        try:
            total = sum(range(100))
        except:  # noqa: E722  what learners write
            total = 0
        del total


def generate_forever(values, factor):
    return sum(1 for _ in iter(int, 1))


def long_work(values):
    result = 0
    for number in range(20_000):
        result += number
    return result


def all_in_a_try(values, factor):
    while True:
        try:  # noqa: SIM105
            long_work(values)
        except:  # noqa: E722
            pass


def goes_on_in_the_handler(values, factor):
    while True:
        try:
            try:
                long_work(values)
            except:  # noqa: E722
                long_work(values)
        except BaseException:
            continue


def goes_on_in_finally(values, factor):
    while True:
        try:
            long_work(values)
        finally:
            continue  # noqa: B012


def suppresses(values, factor):
    while True:
        with suppress(BaseException):
            long_work(values)


def begins_again(values, factor):
    try:
        forever(values, factor)
    except:  # noqa: E722
        begins_again(values, factor)


def prints_forever(values, factor):
    while True:
        print("x" * 1000)


ENDLESS = [
    forever,
    stubborn,
    generate_forever,
    all_in_a_try,
    goes_on_in_the_handler,
    goes_on_in_finally,
    suppresses,
    begins_again,
    prints_forever,
]


@pytest.mark.parametrize("function", ENDLESS, ids=lambda function: function.__name__)
def test_a_loop_that_never_ends_is_ended(function):
    before = set(threading.enumerate())  # one of another test may end meanwhile
    text = text_of(function)
    assert "stopped after 0.5 seconds" in text and "does a loop never end" in text and "again and again" in text
    assert "your line" in text and "of test_check.py" in text
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("function", [stubborn, all_in_a_try], ids=lambda function: function.__name__)
def test_a_loop_is_ended_on_a_busy_machine_too(function):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    stop = threading.Event()
    threads = [threading.Thread(target=lambda: all(iter(lambda: not stop.is_set(), False))) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        outcomes = [call(function, ([1], 2), 0.05) for _ in range(5)]
    finally:
        stop.set()
        for process in busy:
            process.kill()
            process.wait()
    assert all(isinstance(outcome.error, TimeIsUp) and not outcome.still_running for outcome in outcomes)


def module_that_takes(tmp_path, monkeypatch, name, code):
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("code", ["time.sleep(1.2)", "while time.monotonic() < start + 1.2: pass"])
def test_a_first_import_is_no_part_of_the_time_and_is_never_ended_half_way(tmp_path, monkeypatch, code):
    name = f"slow_{len(code)}"
    module_that_takes(tmp_path, monkeypatch, name, f"import time\nstart = time.monotonic()\n{code}\nNUMBER = 3\n")

    def imports(values, factor):
        module = importlib.import_module(name)
        return values.sum() * factor * module.NUMBER / 3

    assert check("99.total", imports)  # it has half a second
    assert sys.modules[name].NUMBER == 3


def test_after_an_import_the_time_goes_on(tmp_path, monkeypatch):
    module_that_takes(tmp_path, monkeypatch, "slow_before_a_loop", "import time\ntime.sleep(0.8)\nNUMBER = 3\n")

    def imports_and_never_ends(values, factor):
        import slow_before_a_loop

        while slow_before_a_loop.NUMBER:
            pass

    outcome = call(imports_and_never_ends, (1, 2), 0.3)
    assert isinstance(outcome.error, TimeIsUp) and not outcome.still_running
    assert sys.modules["slow_before_a_loop"].NUMBER == 3


def test_a_module_that_is_not_found_again_and_again_does_not_stop_the_time():
    """The import system holds locks that the whole process needs: what never leaves it is left behind, and told."""
    stop = threading.Event()

    def looks_for_nothing(values, factor):
        while not stop.is_set():
            with suppress(ImportError):
                import no_such_module_anywhere  # noqa: F401

    begin = time.monotonic()
    outcome = call(looks_for_nothing, (1, 2), 0.2)
    stop.set()
    assert isinstance(outcome.error, TimeIsUp) and time.monotonic() - begin < 10
    import json.tool  # the locks are free  # noqa: F401


def test_a_loop_is_ended_outside_the_main_thread_too():
    cards = []
    thread = threading.Thread(target=lambda: cards.append(check("99.total", forever)))
    thread.start()
    thread.join(20)
    assert "does a loop never end" in repr(cards[0])


def test_a_call_that_cannot_be_ended_is_left_behind():
    text = text_of(lambda values, factor: time.sleep(4))
    assert "still runs in the background" in text and "restart the kernel" in text


def test_prints_come_from_where_they_were_and_are_shown_when_something_is_wrong(capsys):
    def talkative(values, factor):
        print("factor is", factor)
        return values.sum()

    text = text_of(talkative)
    assert "it printed     factor is 2.0" in text
    assert capsys.readouterr().out == ""
    assert check("99.total", lambda values, factor: print("hello") or total(values, factor))
    assert capsys.readouterr().out == ""


def test_endless_printing_is_cut():
    def talkative(values, factor):
        print("x" * 5000)

    assert len(text_of(talkative)) < 1500


def test_endless_printing_is_not_collected():
    outcome = call(prints_forever, (1, 2), 0.3)
    assert isinstance(outcome.error, TimeIsUp) and len(outcome.printed) <= MAX_COLLECTED_CHARACTERS
    with quiet() as printed:
        assert print("x" * 10 * MAX_COLLECTED_CHARACTERS) is None
        assert sys.stdout.write("y" * 30) == 30
        sys.stdout.writelines(["z\n"] * MAX_COLLECTED_CHARACTERS)
    assert printed.getvalue() == "x" * MAX_COLLECTED_CHARACTERS


def test_arguments_must_not_be_changed():
    def sorts(values, factor):
        values *= factor
        return values.sum()

    text = text_of(sorts)
    assert "it changed" in text and "values, which belongs to whoever called" in text and "work on a copy" in text


def test_a_call_that_was_ended_does_not_count_as_running_while_its_arguments_are_compared():
    outcome = call(lambda values: forever(values, 1), ([0.5] * 20_000,), 0.1)
    assert isinstance(outcome.error, TimeIsUp) and not outcome.still_running and not outcome.changed


def test_comparing_the_arguments_is_no_part_of_the_time():
    assert call(len, ([0.5] * 20_000,), 0.1).value == 20_000


def test_two_checks_at_once_leave_printing_as_it_was():
    def waits(seconds):
        with quiet():
            time.sleep(seconds)

    standard_output = sys.stdout
    threads = [threading.Thread(target=waits, args=[seconds]) for seconds in (0.1, 0.2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is standard_output


def test_a_change_does_not_reach_the_next_case():
    cases = [case[0].copy() for case in SUM.cases]

    def changes(values, factor):
        values[:] = 0
        return 0.0

    text_of(changes)
    assert all(np.array_equal(case[0], before) for case, before in zip(SUM.cases, cases, strict=True))


@pytest.mark.parametrize(
    "returned, said",
    [
        (None, "does not return its result"),
        ("6", "There is a string, and it should be a number."),
        ([6.0], "There is a list, and it should be a number."),
        (np.array([6.0, 1.0]), "a numpy array of shape (2,), and it should be a number"),
        (float("nan"), "nan or inf"),
        (-6.0, "The result is the same in every case"),
        (True, "There is True or False, and it should be a number."),
        (np.complex128(6 + 1j), "The number is complex."),
        (print, "There is a function"),
    ],
)
def test_wrong_types_and_values_are_named(returned, said):
    assert said in text_of(lambda values, factor: returned)


def test_none_in_some_cases_is_another_mistake_than_no_return():
    text = text_of(lambda values, factor: total(values, factor) if factor > 2 else None)
    assert "printing is not returning" not in text and "does every branch" in text


def test_a_difference_too_small_to_see_is_shown_with_its_digits():
    text = text_of(lambda values, factor: total(values, factor) + 0.0001)
    assert "6.0001" in text


@pytest.mark.parametrize("given, kind", [(6.0, "a number"), (None, "None"), ("total", "a string"), ([1], "a list")])
def test_something_that_is_no_function_is_refused_kindly(given, kind):
    text = text_of(given)
    assert f"this is {kind}, not a function" in text and 'check("99.total", total)' in text


def test_a_function_with_other_parameters_is_told_the_right_ones():
    text = text_of(lambda values: values.sum())
    assert "calls it with 2 arguments, (values, factor)" in text and "too many positional arguments" in text


def test_classes_builtins_and_partials_can_be_checked():
    from functools import partial

    assert check("99.total", partial(lambda scale, values, factor: float(values.sum() * factor) * scale, 1))
    assert not check("99.total", max)
    assert not check("99.total", dict)


@pytest.mark.parametrize(
    "name, near",
    [("99.totl", "99.total"), ("02.iddf", "02.idf"), ("2.idf", "02.idf"), ("77.nothing", "99"), ("", "02")],
)
def test_an_unknown_name_is_told_the_near_ones(name, near):
    for function in (hint, lambda name: check(name, total)):
        card = function(name)
        assert not card and near in card.title
        assert card.title.startswith(f"✗ There is no exercise {name!r}; did you mean")


def test_an_open_problem_has_neither_check_nor_hints():
    for function in (hint, lambda name: check(name, total)):
        assert "03.encode is an open problem: it has no check and no hints" in repr(function("03.encode"))


def test_a_name_that_is_no_string_is_refused():
    assert 'named by a string such as "02.idf"' in repr(check(total, "99.total"))
    assert 'named by a string such as "02.idf"' in repr(hint(2))


def test_hints_come_one_at_a_time():
    assert [hint("99.total").closing for _ in range(3)] == list(SUM.hints)
    again = hint("99.total")
    assert "no more hints" in again.title and [text for _, text in again.findings] == list(SUM.hints)


def test_running_all_cells_spends_no_hint(monkeypatch):
    def stub(values, factor):
        raise NotImplementedError("Exercise 99.total")

    for _ in range(2):
        check("99.total", stub)
        waiting = hint("99.total")
        assert "hints wait here" in waiting.title and SUM.hints[0] not in repr(waiting)
    assert hint("99.total").closing == SUM.hints[0]  # asked for
    check("99.total", stub)
    assert hint("99.total").closing == SUM.hints[1]


def test_somebody_who_reads_the_card_first_gets_the_hint(monkeypatch):
    def stub(values, factor):
        raise NotImplementedError("Exercise 99.total")

    check("99.total", stub)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 5)
    assert hint("99.total").closing == SUM.hints[0]


def test_backticks_are_code_in_html_and_left_out_in_text():
    card = Card(
        "✗ write `x`", findings=[("likely reason", "It lacks `a < b`."), ("it printed", "`kept`")], closing="`y`"
    )
    assert repr(card) == "✗ write x\n  likely reason  It lacks a < b.\n  it printed     `kept`\ny"
    html = card._repr_html_()
    assert "<code>x</code>" in html and "It lacks <code>a &lt; b</code>." in html and "<code>y</code>" in html
    assert "`kept`" in html and html.count("`") == 2


def test_the_card_shows_control_characters_and_formulas_as_they_are():
    card = Card("title", findings=[("it printed", "\x1b[2J $x$")])
    assert "\x1b" not in repr(card) and "␛[2J" in repr(card)
    assert "$x$" not in card._repr_html_()


def arguments_of(called):
    """What a pasted call gives a function."""
    *imports, line = called.split("\n")
    space = {"total": lambda *arguments: arguments, "np": np}
    exec("\n".join(imports), space)
    return eval(line, space)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.array([1.0, 2.5]), 1 / 3),
        (np.array([1, 2]), np.int64(3)),
        (np.array([np.nan, -np.inf, np.inf]), float("-inf")),
        (np.array([], dtype=int), float("nan")),
        (np.zeros((0, 3)), True),
        (np.array([[True], [False]]), None),
        (np.array([1, 2], dtype=np.int8), ["a", ("b",)]),
        (np.full((2, 200), -5.0), {"a": [1.5], "b": np.float64(2.5)}),
        (np.random.default_rng(0).normal(size=(3, 200)), 1.0),
        (np.array([0.1, 1 / 3], dtype=np.float32), len),
    ],
    ids=str,
)
def test_the_call_can_be_pasted(arguments, monkeypatch):
    one = replace(SUM, cases=[arguments], reference=lambda values, factor: 0.0)
    monkeypatch.setattr(definitions, "exercises_of", lambda lesson: {SUM.name: one})
    findings = dict(check("99.total", lambda values, factor: 1.0).findings)
    pasted = arguments_of(findings.get("to repeat it") or findings["called"])
    for given, meant in zip(pasted, arguments, strict=True):
        assert not difference(given, meant) and type(given) is type(meant) or given == meant
        assert not isinstance(meant, np.ndarray) or given.dtype == meant.dtype


def test_a_pasted_call_brings_numpy_where_the_learners_cells_lack_it():
    space = {}
    exec("def total(values, factor): return 0", space)
    called = dict(check("99.total", space["total"]).findings)["called"]
    assert called == "import numpy as np\ntotal(np.array([1.0, 2.0]), 2.0)"


RIGHT = "def total(values, factor):\n    return float(values.sum() * factor)\n"


@pytest.mark.parametrize(
    "cells, passed",
    [
        ([RIGHT], True),
        ([RIGHT, "def total(values, factor):\n    return values.sum( * factor\n"], False),
        ([RIGHT, "def total(values, factor):\nreturn 1\n"], False),
        ([RIGHT, "def total(values, factor):\n    return (\n", RIGHT], True),
        ([RIGHT, "def total(values, factor:\n", RIGHT.replace("sum", "mean")], None),  # wrong, and it is the newest
        ([RIGHT, "x = (\n"], True),  # another cell's error
        ([RIGHT, "def totality(values):\n    return (\n"], True),
        ([RIGHT, "# def total, once more (\nx = 1\n"], True),
        ([RIGHT, "%timeit -n1 -r1 1\n"], True),
        (["import numpy\n\n\n" + RIGHT, "  def total(values, factor): return (\n"], False),
    ],
)
def test_a_definition_that_was_not_read_earns_nothing_for_the_one_before(cells, passed, monkeypatch):
    import IPython
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    with redirect_stdout(io.StringIO()):
        for cell in cells:
            shell.run_cell(cell, store_history=True)
    card = check("99.total", shell.user_ns["total"])
    assert bool(card) is bool(passed)
    assert ("this function is older" in repr(card) and "Error" in repr(card)) is (passed is False)


def test_the_card_escapes_what_it_shows():
    def wicked(values, factor):
        print("</code><script>alert(1)</script>")
        raise ValueError("<img src=x>")

    html = check("99.total", wicked)._repr_html_()
    assert "<script>" not in html and "<img" not in html and "&lt;script&gt;" in html
    assert "<b>" not in hint("99.total")._repr_html_()


def test_the_card_says_in_words_whether_it_passed():
    passed, failed = Card("✓ right", passed=True)._repr_html_(), Card("✗ not yet right")._repr_html_()
    assert "solid" in passed and "dashed" in failed and "color:" not in passed.replace("currentColor", "")


def test_warnings_of_the_learners_code_are_silent(recwarn):
    text_of(lambda values, factor: np.float64(0) / np.float64(0))
    assert not recwarn.list


def test_a_call_reports_the_time_limit_and_leaves_printing_as_it_was():
    standard_output = sys.stdout
    outcome = call(forever, (1, 2), 0.1)
    assert isinstance(outcome.error, TimeIsUp) and not outcome.still_running
    assert sys.stdout is standard_output


def test_a_mistake_is_tried_out_so_that_stop_gets_out(monkeypatch):
    def pressed(values, factor):
        raise KeyboardInterrupt

    impatient = replace(SUM, mistakes={"A mistake.": pressed})
    monkeypatch.setattr(definitions, "exercises_of", lambda lesson: {SUM.name: impatient})
    standard_output = sys.stdout
    with pytest.raises(KeyboardInterrupt):
        check("99.total", lambda values, factor: 0.0)
    assert sys.stdout is standard_output


def test_an_interruption_ends_the_call_and_gets_out(monkeypatch):
    monkeypatch.setattr(threading.Thread, "join", interrupted_once(threading.Thread.join))
    before = set(threading.enumerate())  # one of another test may end meanwhile
    with pytest.raises(KeyboardInterrupt):
        call(forever, (1, 2), 5)
    assert set(threading.enumerate()) <= before


def interrupted_once(join):
    """What pressing stop does to a kernel that waits."""
    state = {"interrupted": False}

    def wrapper(thread, timeout=None):
        if not state["interrupted"]:
            state["interrupted"] = True
            raise KeyboardInterrupt
        return join(thread, timeout)

    return wrapper


@pytest.mark.parametrize(
    "got, expected, said",
    [
        (1.0, 1, ""),
        (np.float32(0.1), 0.1, ""),
        (np.array(3.0), 3.0, ""),
        (float("inf"), float("inf"), ""),
        (np.True_, True, ""),
        (1, True, "There is a number, and it should be True or False."),
        ([1.0, 2.0], np.array([1.0, 2.0]), "There is a list, and it should be a numpy array."),
        (np.zeros((2, 1)), np.zeros(2), "The shape is (2, 1), and should be (2,)."),
        (np.array([1.0, 5.0]), np.array([1.0, 2.0]), "1 of the 2 numbers differs, the first at 1."),
        (np.zeros(3), np.ones(3), "All 3 numbers differ."),
        (np.zeros(2), np.ones(2), "Both numbers differ."),
        (np.zeros(1), np.ones(1), "The number differs."),
        (Fraction(1, 2), 0.5, ""),
        (1j, 0.5, "The number is complex."),
        (np.complex128(0.5 + 3j), 0.5, "The number is complex."),
        ([np.array(0.5 + 3j)], [0.5], "The number at position 0 is complex."),
        (np.ma.masked_invalid([1.0, np.nan]), np.ones(2), "There is a masked array, and it should be a numpy array."),
        (np.array("x"), 0.5, "The number differs."),
        (10**400, 0.5, "The number differs."),
        (np.ones((2, 2)), np.eye(2), "2 of the 4 numbers differ, the first at (0, 1)."),
        (np.ones(2, dtype=float), np.ones(2, dtype=np.int8), "The numbers are of type float64, and should be int8."),
        (np.array(["a"]), np.array([1.0]), "The numbers are of type <U1, and should be float64."),
        ((1, 2), [1, 2], "There is a tuple, and it should be a list."),
        ([1, 2], [1, 2, 3], "It has 2 elements, and should have 3."),
        ([1], [], "It has 1 element, and should have 0."),
        ([1, [2]], [1, [3]], "The number at position 0 at position 1 differs."),
        ({"a": 1}, {"b": 1}, "The key 'b' is missing."),
        ({"a": 1, "b": 2}, {"a": 1}, "There is a key 'b', which should not be there."),
        ({"a": 1.5}, {"a": 1}, "The number for 'a' differs."),
        ("Ferry", "ferry", "It differs."),
        (None, 1.5, "There is None, and it should be a number."),
        (None, np.zeros(2), "There is None, and it should be a numpy array."),
        ({"a": None}, {"a": 1}, "There is None for 'a', and it should be a number."),
    ],
)
def test_differences_in_words(got, expected, said):
    assert difference(got, expected) == said


@pytest.mark.parametrize(
    "got, expected, said",
    [
        (np.log10([2, 3, 5]), np.log([2, 3, 5]), "logarithm to base 10"),
        (np.log2([2, 3, 5]), np.log([2, 3, 5]), "logarithm to base 2"),
        ([2.5, 5, 0], [1, 2, 0], "2.5 times the right one"),
        ([2.0, 3, 9], [1.0, 2, 8], "off by the same +1"),
        ([3.0, 1, 2], [1.0, 2, 3], "their order is not"),
        (np.array([[1, 2], [3, 4]]), np.array([[1, 3], [2, 4]]), "Rows and columns are exchanged"),
        (np.array([[1.0], [2.0]]), np.array([1.0, 2.0]), "the shape is another"),
        ([1.0, 5.0, 2.0], [1.0, 2.0, 3.0], ""),
        ("text", 3.0, ""),
        # The numbers are right, which no sentence about numbers may hide.
        ([1.0, 2.0], np.array([1.0, 2.0]), ""),
        ([0.0, 0.0], np.zeros(2), ""),
        ({"a": 1, "b": 2}, {"a": 1, "c": 2}, ""),
        ([2.0, 1.0], {"a": 1, "b": 2}, ""),
        # No numbers.
        ("-3", 3.0, ""),
        ([None, 1.0], [2.0, 1.0], ""),
        (np.array([-1 + 1j]), np.array([1.0]), ""),
        (10**400, 0.5, ""),
        ({"a": 2, "b": 1}, {"a": 1, "b": 2}, "stand under the wrong keys"),
        (Fraction(-1, 2), 0.5, "The sign"),
    ],
)
def test_the_relation_of_numbers_gives_an_error_away(got, expected, said):
    found = reason(got, expected)
    assert said in found if said else found == ""


def test_values_are_shown_shortly():
    assert show(np.array([1 / 3, 2.0])) == "np.array([0.33333, 2])"
    assert show([np.float64(0.5), "a", None, True]) == "[0.5, 'a', None, True]"
    assert show((1,)) == "(1,)" and show({"a": np.int64(3)}) == "{'a': 3}"
    assert len(show("x" * 10_000)) <= 400 and show("x" * 10_000).endswith("…")


def test_a_value_that_cannot_be_shown_is_named_by_its_type():
    class Odd:
        def __repr__(self):
            raise RuntimeError("no")

    assert "<Odd>" in text_of(lambda values, factor: Odd())


def test_input_is_no_unwritten_exercise():
    class NoInput(NotImplementedError):
        """What a kernel raises when a cell asks for input that nobody can give."""

    def asks(values, factor):
        raise NoInput("input was requested")

    assert "NoInput: input was requested" in text_of(asks)


def test_an_exercise_can_give_more_time():
    slow = replace(SUM, seconds=2.0)
    assert call(lambda values, factor: time.sleep(0.05) or 1, SUM.cases[0], slow.seconds).value == 1


def test_learning_imports_nothing_heavy():
    code = (
        "import sys, ragedu.learn; print(sorted({'torch', 'transformers', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_that_is_forked_during_a_call_can_call():
    code = """
import os, signal, threading, time
from ragedu.learn.running import call, quiet

def hold():
    with quiet():
        held.set()
        time.sleep(3)

held = threading.Event()
threading.Thread(target=hold, daemon=True).start()
held.wait()
if not (child := os.fork()):
    signal.alarm(2)
    os._exit(call(len, ([1, 2],), 1.0).value)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
