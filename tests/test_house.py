"""The rules of the house: which way imports point, what is private, and how arguments are given."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import ragedu

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ragedu"
FILES = sorted(PACKAGE.rglob("*.py"))
EVERYBODY = [*FILES, *sorted(ROOT.glob("benchmarks/*.py")), *sorted(ROOT.glob("tools/*.py"))]
EVERYBODY += [*sorted(ROOT.glob("notebooks/source/*.py")), *sorted(ROOT.glob("exercises/source/*.py"))]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_every_file_says_what_it_is_for():
    for path in FILES:
        tree = tree_of(path)
        if tree.body and path.name != "__main__.py":
            assert ast.get_docstring(tree), path


# Which way imports point.

# A file imports only from units on lines above its own, wherever in the file the import stands, and from those on its
# own line where that makes no circle.
ORDER = [
    {"locks", "showing", "representation", "corpus", "records"},
    {"models", "gguf"},
    {"tokens"},
    {"text"},
    {"readers"},
    {"datasets"},
    {"optimise"},
    {"retrieval"},
    {"generation"},
    {"reading", "answer", "rag"},
    {"evaluation"},
    {"training"},
    {"learn"},
    {"langchain", "serve"},
    {"cli", "doctor", "__main__"},
]


def for_type_checkers(node: ast.AST) -> bool:
    """Whether it is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, but for what only type checkers see."""
    yield node
    for child in node.orelse if for_type_checkers(node) else ast.iter_child_nodes(node):
        yield from nodes_that_run(child)


def imported_modules(path: Path) -> set[str]:
    """The modules of ragedu that a file names in its imports; a lazy name of `ragedu` is resolved to its home."""
    found = set()
    for node in nodes_that_run(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name in MODULES}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            for name in node.names if node.module in MODULES else ():
                home = f"ragedu.{ragedu._HOME[name.name]}" if name.name in ragedu._HOME else ""
                if f"{node.module}.{name.name}" in MODULES:
                    found.add(f"{node.module}.{name.name}")
                else:
                    found.add(home if node.module == "ragedu" and home else node.module)
    return found


def unit_of(module: str) -> str:
    return module.split(".")[1]


def test_every_progress_bar_says_what_it_counts():
    calls = [node for path in FILES for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    bars = [call for call in calls if ast.unparse(call.func) == "tqdm"]
    assert len(bars) > 10
    for bar in bars:
        assert {"desc", "unit"} <= {keyword.arg for keyword in bar.keywords}, ast.unparse(bar)


def test_a_file_imports_only_from_files_above_it():
    level = {unit: number for number, units in enumerate(ORDER) for unit in units}
    units = {unit_of(module) for module in MODULES if module != "ragedu"}
    assert units <= level.keys(), f"without a place in the order: {units - level.keys()}"
    wrong = [
        f"{module} imports {other}, which stands below it"
        for module, path in MODULES.items()
        for other in imported_modules(path)
        if "ragedu" not in (module, other) and level[unit_of(other)] > level[unit_of(module)]
    ]
    assert not wrong, "\n" + "\n".join(sorted(wrong))


def circle_among(imports: dict[str, set[str]]) -> list[str]:
    """Modules each of which imports the next, the last one the first; an empty list where there are none."""
    finished: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return trail[trail.index(module) :]
        if module in finished:
            return []
        for other in sorted(imports[module]):
            if circle := visit(other, [*trail, module]):
                return circle
        finished.add(module)
        return []

    return next(filter(None, (visit(module, []) for module in sorted(imports))), [])


def test_a_circle_is_found():
    assert circle_among({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
    assert circle_among({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_circle_among_the_modules():
    imports = {module: imported_modules(path) for module, path in MODULES.items()}
    for module in imports:
        imports[module] -= {"ragedu"}  # `from ragedu import __version__`; its other names were resolved
    circle = circle_among(imports)
    assert not circle, " imports ".join([*circle, circle[0]])


# What is private.

OF_NAMEDTUPLES = {"_replace", "_asdict", "_make", "_fields"}
# Attributes of other people's objects for which there is no public name, and whose they are.
OF_OTHERS = {
    "_current_frames": "sys: where the threads stand; documented in spite of its name",
    "_attn_implementation": "transformers: which attention a loaded model computes with",
    "_convert_weight_to_int4pack_for_cpu": "torch: the kernel for 4 bits",
    "_weight_int4pack_mm_for_cpu": "torch: the same",
    "_forward_hooks": "torch: whether somebody watches a module",
    "_forward_pre_hooks": "torch: the same",
    "_version": "torch: how often a tensor was changed",
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__")) and name.strip("_") != ""


def defined_in(tree: ast.Module) -> set[str]:
    """Every name that the file itself gives to something: functions, classes, variables, attributes, parameters."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
            names.add(node.attr)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


def is_own(value: ast.expr) -> bool:
    """Whether it is `self`, `cls` or `super()`."""
    return ast.unparse(value) in ("self", "cls", "super()")


def private_names_of_others(path: Path) -> Iterator[str]:
    tree = tree_of(path)
    allowed = defined_in(tree) | OF_NAMEDTUPLES | OF_OTHERS.keys()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            used = [name.name for name in node.names]
        elif isinstance(node, ast.Attribute) and not is_own(node.value) and node.attr not in allowed:
            used = [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            text = node.args[1] if len(node.args) > 1 and not is_own(node.args[0]) else None
            used = [text.value] if isinstance(text, ast.Constant) and text.value not in allowed else []
        else:
            continue
        if any(map(is_private, used)):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_what_is_private_is_found(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        "from ragedu.a import _b, c\n"
        "class A:\n    def _own(self):\n        self._kept = c._replace(x=1)\n        return super()._of_the_base()\n"
        "a._own()\na._kept\na.__dict__\na._strange\ngetattr(a, '_stranger', None)\nc(self._model)._strangest\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "ROOT", tmp_path)
        found = [line.split(": ")[1] for line in private_names_of_others(file)]
    assert sorted(found) == [
        "a._strange", "c(self._model)._strangest", "from ragedu.a import _b, c", "getattr(a, '_stranger', None)",
    ]  # fmt: skip


def test_no_file_uses_a_private_name_of_another():
    wrong = [line for path in EVERYBODY for line in private_names_of_others(path)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_other_peoples_private_names_are_still_needed():
    texts = [path.read_text("utf-8") for path in EVERYBODY]
    for name in OF_OTHERS:
        assert any(name in text for text in texts), f"{name} is used nowhere: take it off the list"


# How arguments are given: what has a default, by name.

# The exceptions: the parts that a thing consists of, and the one leading argument that says which thing.
BY_POSITION = {
    "Document": {"title"},
    "Dataset": {"qrels", "answers"},
    "Dataset.select": {"query_ids"},
    "embedding_model_folder": {"name"},
    "language_model_folder": {"name"},
    "Embedder": {"name"},
    "token_counter": {"name"},
    "DenseRetriever": {"model"},
    "SqliteRetriever": {"path"},
    "HybridRetriever": {"retrievers"},
    "ElasticsearchRetriever": {"url", "index"},
    "LanguageModel.load": {"name"},
    "port_ellery.load": {"documents"},
    "cli.main": {"arguments"},
}
IN_EVERY = {"search": {"k"}, "search_many": {"k"}, "train": {"steps"}}


def public_modules() -> Iterator[object]:
    for module in MODULES:
        if module.startswith("ragedu.learn.exercises.") or module.endswith("__main__"):
            continue
        if not any(is_private(part) for part in module.split(".")):
            yield importlib.import_module(module)


def public_callables() -> Iterator[tuple[str, object]]:
    """(qualified name, callable) of all that is public and written here."""
    for module in public_modules():
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value):
                yield f"{module.__name__}.{name}", value
            elif inspect.isclass(value) and not is_declared(value):
                yield f"{module.__name__}.{name}", value
                for method in public_methods(value):
                    yield f"{module.__name__}.{name}.{method}", getattr(value, method)


def is_declared(kind: type) -> bool:
    """Whether it is a NamedTuple or a model of pydantic's: its arguments are its fields."""
    return hasattr(kind, "_fields") or hasattr(kind, "model_fields")


def public_methods(kind: type) -> Iterator[str]:
    """The names of the methods that a class defines, but for those whose arguments somebody else's base class fixes."""
    others = [base for base in kind.__mro__[1:] if not base.__module__.startswith("ragedu")]
    for name, value in vars(kind).items():
        if name.startswith("_") or any(hasattr(base, name) for base in others):
            continue
        if inspect.isfunction(value) or isinstance(value, classmethod | staticmethod):
            yield name


def defaults_by_position(value: object) -> set[str]:
    try:
        parameters = inspect.signature(value).parameters.values()
    except ValueError:  # a class without an __init__ of its own
        return set()
    return {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty}


def exceptions_for(name: str) -> Iterator[str]:
    """The endings of the name for which there is an exception."""
    parts = name.split(".")
    yield from BY_POSITION.keys() & {".".join(parts[-2:]), parts[-1]}


def test_an_argument_with_a_default_is_given_by_name():
    wrong, needed = [], set()
    for name, value in public_callables():
        by_position = defaults_by_position(value)
        for ending in exceptions_for(name):
            needed |= {(ending, argument) for argument in by_position & BY_POSITION[ending]}
            by_position -= BY_POSITION[ending]
        by_position -= IN_EVERY.get(name.rpartition(".")[2], set())
        if by_position:
            wrong.append(f"{name}: {', '.join(sorted(by_position))}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert needed == {(ending, argument) for ending, arguments in BY_POSITION.items() for argument in arguments}
