"""Functions made from a right one by one change of its syntax tree, each a mistake that somebody could make."""

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator
from itertools import islice

OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq, ast.GtE),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.Is: (ast.IsNot,),
}
NAMES = {
    "max": ("min", "sum"),
    "min": ("max", "sum"),
    "sum": ("max", "len"),
    "any": ("all",),
    "all": ("any",),
    "mean": ("sum", "max"),
    "log": ("log2", "log10", "log1p"),
    "log2": ("log", "log10"),
    "exp": ("exp2", "expm1"),
    "sqrt": ("square", "cbrt"),
    "maximum": ("minimum", "add"),
    "minimum": ("maximum",),
    "ceil": ("floor",),
    "round": ("floor", "ceil"),
    "abs": ("negative", "square"),
    "argmax": ("argmin",),
    "cumsum": ("cumprod",),
    "set": ("list",),
    "lower": ("upper",),
    "sorted": ("list", "reversed_list"),
    "setdefault": ("get",),
    "partition": ("rpartition",),
    "greater_equal": ("greater",),
}
EXTRA = {"reversed_list": lambda values, **_: list(values)[::-1]}


def sources_of(function: Callable) -> tuple[str, dict]:
    """The source of a function and of the helpers in `ragedu` that it calls, and the names that they know."""
    found: dict[str, Callable] = {}

    def add(each: Callable) -> None:
        if each.__name__ in found:
            return
        found[each.__name__] = each
        for name in each.__code__.co_names:
            other = each.__globals__.get(name)
            if inspect.isfunction(other) and other.__module__.startswith("ragedu.") and other.__name__ == name:
                add(other)

    add(function)
    namespace: dict = {}
    for each in reversed(found.values()):
        namespace |= each.__globals__
    return "\n\n".join(textwrap.dedent(inspect.getsource(each)) for each in found.values()), namespace


def mutants_of_source(
    source: str, name: str, namespace: dict, *, chosen: Callable[[int], bool] = lambda number: True
) -> Iterator[tuple[str, Callable]]:
    """(label, function) for each change; `chosen` says which of them are made, by their number."""
    tree = stripped(source)
    seen, number = {ast.dump(tree)}, -1
    for place, node in enumerate(ast.walk(tree)):
        for label, change in changes_of(node):
            number += 1
            if not chosen(number):
                continue
            copy = stripped(source)
            target = next(islice(ast.walk(copy), place, None))
            try:
                change(target, copy)
            except (IndexError, AttributeError, ValueError):
                continue
            ast.fix_missing_locations(copy)
            if (dumped := ast.dump(copy)) in seen:
                continue
            seen.add(dumped)
            scope = {**namespace, **EXTRA}
            try:
                exec(compile(copy, f"<{name}: {label}>", "exec"), scope)
            except (SyntaxError, TypeError, ValueError):
                continue
            where = f"line {getattr(node, 'lineno', 0)}: {label} in `{ast.unparse(node)[:60]}`"
            yield where, scope[name]


def stripped(source: str) -> ast.Module:
    """The syntax tree without docstrings and annotations, which are no place for a mistake; nor is `strict=`."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        if isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "strict"]
        if isinstance(node, ast.FunctionDef):
            node.returns, node.decorator_list = None, []
            for argument in [*node.args.args, *node.args.kwonlyargs]:
                argument.annotation = None
            if ast.get_docstring(node) is not None and len(node.body) > 1:
                node.body = node.body[1:]
    return tree


def replace_with(make: Callable) -> Callable:
    """A change that puts another node in a node's place."""

    def change(target: ast.AST, tree: ast.Module) -> None:
        new = make(target)
        for parent in ast.walk(tree):
            for field, value in ast.iter_fields(parent):
                if value is target:
                    setattr(parent, field, new)
                    return
                if isinstance(value, list) and any(each is target for each in value):
                    place = next(n for n, each in enumerate(value) if each is target)
                    value[place : place + 1] = new if isinstance(new, list) else [new]
                    return

    return change


def set_field(field: str, value: object) -> Callable:
    def change(target: ast.AST, tree: ast.Module) -> None:
        setattr(target, field, value() if isinstance(value, type) else value)

    return change


def parsed(code: str) -> ast.expr:
    return ast.parse(code, mode="eval").body


def changes_of(node: ast.AST) -> Iterator[tuple[str, Callable]]:
    """(label, change) for everything that may go wrong at this node."""
    makers = {
        ast.BinOp: binary,
        ast.Compare: comparison,
        ast.Constant: constant,
        ast.Call: called,
        ast.BoolOp: both,
        ast.UnaryOp: unary,
        ast.IfExp: either,
        ast.If: branch,
        ast.Slice: sliced,
        ast.AugAssign: augmented,
        ast.For: loop,
        ast.comprehension: loop,
        ast.Break: lambda node: [("no break", replace_with(lambda n: ast.Pass()))],
        ast.Attribute: lambda node: renamed(node, "attr"),
        ast.Name: lambda node: renamed(node, "id"),
        ast.keyword: keyword,
        ast.Subscript: subscript,
        ast.Return: returned,
    }
    yield from makers.get(type(node), lambda node: [])(node)


def binary(node: ast.BinOp) -> Iterator[tuple[str, Callable]]:
    for other in OPERATORS.get(type(node.op), ()):
        yield f"{other.__name__} for {type(node.op).__name__}", set_field("op", other)
    yield "right side left out", replace_with(lambda n: n.left)
    yield "left side left out", replace_with(lambda n: n.right)
    if isinstance(node.op, ast.Sub | ast.Div | ast.MatMult | ast.Pow):
        yield "sides exchanged", replace_with(lambda n: ast.BinOp(n.right, n.op, n.left))
    if isinstance(node.op, ast.Sub) and ".max(" in ast.unparse(node.right):
        for other in ("{0}.min()", "{0}.mean()", "{0}.ravel()[0]", "{0}.ravel()[-1]", "min(0, {0}.max())"):
            yield (
                f"takes off {other}",
                replace_with(lambda n, other=other: ast.BinOp(n.left, n.op, parsed(other.format(ast.unparse(n.left))))),
            )


def comparison(node: ast.Compare) -> Iterator[tuple[str, Callable]]:
    for other in COMPARISONS.get(type(node.ops[0]), ()):
        yield f"{other.__name__} for {type(node.ops[0]).__name__}", set_field("ops", [other()])


def constant(node: ast.Constant) -> Iterator[tuple[str, Callable]]:
    value = node.value
    if isinstance(value, bool):
        yield "the other truth", set_field("value", not value)
    elif isinstance(value, int | float):
        for other in {value + 1, value - 1, 2 * value, -value, 0} - {value}:
            yield f"{other:g} for {value:g}", set_field("value", other)
    elif isinstance(value, str) and value:
        yield "another text", set_field("value", value + " " if value.isspace() else value[:-1])


def renamed(node: ast.AST, field: str) -> Iterator[tuple[str, Callable]]:
    for other in NAMES.get(getattr(node, field), ()):
        yield f"{other} for {getattr(node, field)}", set_field(field, other)


def called(node: ast.Call) -> Iterator[tuple[str, Callable]]:
    if node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield "argument for its value", replace_with(lambda n: n.args[0])
    if isinstance(node.func, ast.Attribute):
        yield "method left out", replace_with(lambda n: n.func.value)
        if node.func.attr == "norm":
            for order in (1, math.inf):
                yield (
                    f"norm {order}",
                    lambda n, tree, order=order: n.keywords.append(ast.keyword("ord", ast.Constant(order))),
                )
    if len(node.args) == 2:
        yield "arguments exchanged", set_field("args", list(reversed(node.args)))
    if isinstance(node.func, ast.Name) and node.func.id == "sorted":
        yield (
            "ties by name",
            lambda n, tree: n.args.__setitem__(0, parsed(f"sorted({ast.unparse(n.args[0])}, key=str)")),
        )
        yield (
            "ties turned",
            lambda n, tree: n.args.__setitem__(0, parsed(f"list({ast.unparse(n.args[0])})[::-1]")),
        )
    if isinstance(node.func, ast.Name) and node.func.id == "len":
        yield "distinct ones counted", replace_with(lambda n: parsed(f"len(set(map(str, {ast.unparse(n.args[0])})))"))
        yield "one more", replace_with(lambda n: parsed(f"{ast.unparse(n)} + 1"))


def keyword(node: ast.keyword) -> Iterator[tuple[str, Callable]]:
    yield (
        f"without {node.arg}",
        lambda n, tree: next(
            call for call in ast.walk(tree) if isinstance(call, ast.Call) and n in call.keywords
        ).keywords.remove(n),
    )


def both(node: ast.BoolOp) -> Iterator[tuple[str, Callable]]:
    yield "and/or exchanged", set_field("op", ast.Or if isinstance(node.op, ast.And) else ast.And)
    for place in range(len(node.values)):
        yield f"only condition {place}", replace_with(lambda n, place=place: n.values[place])


def unary(node: ast.UnaryOp) -> Iterator[tuple[str, Callable]]:
    yield f"without {type(node.op).__name__}", replace_with(lambda n: n.operand)


def either(node: ast.IfExp) -> Iterator[tuple[str, Callable]]:
    yield "always the first", replace_with(lambda n: n.body)
    yield "always the second", replace_with(lambda n: n.orelse)


def branch(node: ast.If) -> Iterator[tuple[str, Callable]]:
    yield "always", replace_with(lambda n: n.body)
    yield "never", replace_with(lambda n: n.orelse or ast.Pass())


def sliced(node: ast.Slice) -> Iterator[tuple[str, Callable]]:
    for field in ("lower", "upper"):
        if bound := getattr(node, field):
            yield f"{field} bound one more", set_field(field, parsed(f"{ast.unparse(bound)} + 1"))
            yield f"{field} bound one less", set_field(field, parsed(f"max(0, {ast.unparse(bound)} - 1)"))
            yield f"no {field} bound", set_field(field, None)


def augmented(node: ast.AugAssign) -> Iterator[tuple[str, Callable]]:
    yield "= for +=", replace_with(lambda n: ast.Assign([n.target], n.value))
    yield "nothing added", replace_with(lambda n: ast.Pass())
    for other in OPERATORS.get(type(node.op), ()):
        yield f"{other.__name__} for {type(node.op).__name__}", set_field("op", other)


def loop(node: ast.For | ast.comprehension) -> Iterator[tuple[str, Callable]]:
    for label, code in (("without the first", "list({})[1:]"), ("without the last", "list({})[:-1]")):
        yield label, set_field("iter", parsed(code.format(ast.unparse(node.iter))))
    yield "backwards", set_field("iter", parsed(f"list({ast.unparse(node.iter)})[::-1]"))
    if isinstance(node, ast.comprehension) and node.ifs:
        yield "without the condition", set_field("ifs", [])


def subscript(node: ast.Subscript) -> Iterator[tuple[str, Callable]]:
    if isinstance(node.ctx, ast.Load):
        yield "the whole for its part", replace_with(lambda n: n.value)


def returned(node: ast.Return) -> Iterator[tuple[str, Callable]]:
    if isinstance(node.value, ast.Tuple):
        yield "results exchanged", lambda n, tree: n.value.elts.reverse()
