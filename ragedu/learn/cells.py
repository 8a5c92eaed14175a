"""What a notebook knows about the cell that defines a function: whether a newer one failed to."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any


def failed_definition(function: Callable) -> str:
    """Why this function is an older one than the learner's last `def` of its name; empty when it isn't.

    A cell with a syntax error defines nothing, so the name still means what an earlier cell defined. Only the history
    of IPython tells. Without it, and for functions that no cell defines, nothing is said.
    """
    inner = inspect.unwrap(function)
    code, cells = getattr(inner, "__code__", None), cells_so_far()
    if code is None or not cells:
        return ""
    name, home = code.co_name, "".join(linecache.getlines(code.co_filename))
    own = max((number for number, cell in enumerate(cells) if cell.strip() == home.strip()), default=None)
    if own is None or not home.strip():
        return ""
    definition = re.compile(rf"^[ \t]*(async[ \t]+)?def[ \t]+{re.escape(name)}\b", re.MULTILINE)
    later = [cell for cell in cells[own + 1 :] if definition.search(cell)]
    return syntax_error(later[-1]) if later else ""


def cells_so_far() -> Sequence[str]:
    """The code of all cells that were run, in order, those with errors too; empty outside of IPython."""
    if "IPython" not in sys.modules:
        return ()
    shell: Any = sys.modules["IPython"].get_ipython()
    return list(shell.user_ns.get("In", ())) if shell else ()


def syntax_error(cell: str) -> str:
    """What is wrong with a cell that Python can't read; empty when it can."""
    try:
        compile(cell, "the cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        return f"{type(error).__name__}{f' in line {line}' if line else ''}: {getattr(error, 'msg', error)}"
    return ""
