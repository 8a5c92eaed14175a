"""Python docs: the docstrings on the reader's own machine, as a corpus with questions and graded judgments.

The documents are the public functions, classes and methods of the standard library, numpy, scipy and
scikit-learn: thousands of passages that real people wrote for real readers, and nothing to download.

The questions (python_docs_questions.toml) were written one by one, with their first judgments, before any
retriever was run on the corpus. The judgments were then completed by *pooling*, as TREC does: the ten best
documents of TF-IDF, of BM25 and of a dense retriever (all-MiniLM-L6-v2) were put together for each question, and
what had no judgment yet was judged by its name and first words; 126 judgments were added. No question was changed
for what a retriever had found (one word of how-021 was, because it was the name of an answer). There was one
judge, so no measure of agreement. A document in no judgment is held not relevant: a retriever unlike those three
may find a good one that nobody judged, and is then scored too low.

The grades: 3, this is the thing; 2, it does the job too; 1, it helps on the way or does a part of it.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
import warnings
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from ragedu.corpus import Corpus, Dataset, Document

# Only modules that are safe to import: none opens a window, asks the network, or prints.
MODULES = {
    "python": """
        builtins argparse array asyncio base64 binascii bisect bz2 cProfile calendar cmath codecs
        collections colorsys concurrent.futures configparser contextlib contextvars copy csv dataclasses
        datetime decimal difflib email.message email.utils enum filecmp fileinput fnmatch fractions ftplib
        functools gc getopt getpass gettext glob graphlib gzip hashlib heapq hmac html html.parser
        http.client http.server inspect io ipaddress itertools json keyword locale logging logging.config
        logging.handlers lzma marshal math mimetypes mmap multiprocessing multiprocessing.pool
        multiprocessing.shared_memory operator optparse os os.path pathlib pickle platform pprint pstats
        queue random re sched secrets selectors shelve shlex shutil signal smtplib socket socketserver
        sqlite3 ssl stat statistics string struct subprocess sys tarfile tempfile textwrap threading time
        timeit trace traceback tracemalloc types typing unicodedata unittest unittest.mock urllib.parse
        urllib.request urllib.robotparser uuid warnings wave weakref webbrowser xml.etree.ElementTree
        xml.sax.saxutils zipfile zlib zoneinfo
    """.split(),
    "numpy": """
        numpy numpy.fft numpy.lib.format numpy.lib.scimath numpy.lib.stride_tricks numpy.linalg numpy.polynomial
        numpy.random numpy.strings numpy.testing
    """.split(),
    "scipy": """
        scipy.cluster.hierarchy scipy.cluster.vq scipy.constants scipy.differentiate scipy.fft scipy.integrate
        scipy.interpolate scipy.io scipy.io.wavfile scipy.linalg scipy.ndimage scipy.optimize
        scipy.optimize.elementwise scipy.signal scipy.signal.windows scipy.sparse scipy.sparse.csgraph
        scipy.sparse.linalg scipy.spatial scipy.spatial.distance scipy.spatial.transform scipy.special
        scipy.stats scipy.stats.contingency scipy.stats.qmc scipy.stats.sampling
    """.split(),
    "scikit-learn": """
        sklearn sklearn.base sklearn.calibration sklearn.cluster sklearn.compose sklearn.covariance
        sklearn.cross_decomposition sklearn.datasets sklearn.decomposition sklearn.discriminant_analysis
        sklearn.dummy sklearn.ensemble sklearn.feature_extraction sklearn.feature_extraction.image
        sklearn.feature_extraction.text sklearn.feature_selection sklearn.gaussian_process
        sklearn.gaussian_process.kernels sklearn.impute sklearn.inspection sklearn.isotonic
        sklearn.kernel_approximation sklearn.kernel_ridge sklearn.linear_model sklearn.manifold sklearn.metrics
        sklearn.metrics.cluster sklearn.metrics.pairwise sklearn.mixture sklearn.model_selection
        sklearn.multiclass sklearn.multioutput sklearn.naive_bayes sklearn.neighbors sklearn.neural_network
        sklearn.pipeline sklearn.preprocessing sklearn.random_projection sklearn.semi_supervised sklearn.svm
        sklearn.tree sklearn.utils
    """.split(),
}

# Every estimator has the same methods, every sparse format the same arithmetic, and every kind of polynomial what
# Polynomial has: documents for all of them would say the same thing hundreds of times.
WITHOUT_METHODS = (
    "sklearn.",
    "scipy.sparse.",
    "numpy.polynomial.Chebyshev",
    "numpy.polynomial.Hermite",
    "numpy.polynomial.Laguerre",
    "numpy.polynomial.Legendre",
)
# Jupyter, pytest and torch put functions of their own in the place of these: the corpus should stay the same.
REPLACED_AT_RUN_TIME = re.compile(r"input|getpass\.getpass|inspect\.getfile|(sys|threading)\.\w+hook")

LONGEST = 250  # words in a passage: a small embedding model reads about as far
SHORTEST = 4  # words: a docstring below that ("Not implemented.") tells nobody anything
# Paragraphs that stand, word for word, in hundreds of docstrings, and headings of what was left out.
BOILERPLATE = re.compile(
    r"^(Array API Standard Support|Examples?:?|For example:|Usage:|[Ww]here:?)$"
    r"|experimental support for Python Array API Standard"
    r"|inherits from it a collection of generic methods"
    r"|is defined in the .standardized. form"
    r"|assuming array arguments are of specified .core. shapes"
    r"|np.matrix inputs \(not recommended for new code\)"
)
GRADES = {"exact": 3, "works": 2, "related": 1}


def load() -> Dataset:
    """The corpus with its questions: `queries`, graded `qrels` (3, 2, 1), `answers` (the names of the documents
    of grade 3, long and short) and `metadata`: topic, and wording "same" or "different", which says whether the
    question speaks the documentation's language.

    Other versions of the packages have other functions: a judgment of a document that this machine does not have
    is left out, and so is a question that has no document of grade 2 or 3 left. One with none of grade 3 is left
    without answers.
    """
    documents = corpus()
    queries, qrels, answers, metadata = {}, {}, {}, {}
    for query_id, question in read_questions().items():
        grades = {
            document_id: grade
            for name, grade in GRADES.items()
            for document_id in question.get(name, [])
            if document_id in documents
        }
        if max(grades.values(), default=0) < 2:
            continue
        queries[query_id] = question["question"]
        qrels[query_id] = grades
        exact = [document_id for document_id, grade in grades.items() if grade == 3]
        if exact:  # an empty list would say that there is no answer
            answers[query_id] = list(dict.fromkeys(name for i in exact for name in (i, i.rpartition(".")[2])))
        metadata[query_id] = {"topic": question["topic"], "wording": question["wording"]}
    return Dataset(documents, queries, qrels, answers, metadata, name="python-docs")


def read_questions() -> dict[str, dict]:
    """The questions as they were written, judgments of documents that this machine lacks included."""
    path = Path(__file__).with_name("python_docs_questions.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def corpus() -> Corpus:
    """The documents alone, in the order of their ids. Takes a few seconds the first time.

    id: the public name ("numpy.argpartition"); title: the name with its parameters; text: what the docstring says
    in prose, 250 words at most; metadata: "package", "module" and "kind", which is "function", "class", "method",
    or "object" for such things as a probability distribution.

    Raises RuntimeError when Python was started with -OO, which throws docstrings away.
    """
    if sys.flags.optimize >= 2:
        raise RuntimeError("Python was started with -OO, so there are no docstrings to search: start it without -OO")
    documents, seen = {}, set()
    for item in sorted(public_items(), key=Item.rank):
        text = passage(docstring(item.value))
        # The same function in another place has the same last name and the same text: random.Random.seed is
        # random.seed, and the shorter name came first.
        fingerprint = (item.package, item.name.rpartition(".")[2], text)
        if is_informative(text) and fingerprint not in seen:
            seen.add(fingerprint)
            metadata = {"package": item.package, "module": item.module, "kind": item.kind}
            documents[item.name] = Document(item.name, text, title(item), metadata)
    return Corpus(documents[name] for name in sorted(documents))


# ---- Which objects are public? ----


class Item(NamedTuple):
    """An object that may become a document. inherited: a method that the class of that name did not define."""

    name: str
    value: object
    package: str
    module: str
    kind: str
    inherited: bool = False

    def rank(self) -> tuple:
        """Of several names for one object the best has the lowest rank: a method's that names the class which
        defined it, then the one that the object itself goes by (numpy.concatenate, not its alias numpy.concat),
        then the shortest."""
        is_alias = getattr(self.value, "__name__", "") != self.name.rpartition(".")[2]
        return self.inherited, is_alias, self.name.count("."), len(self.name), self.name


def public_items() -> list[Item]:
    """Every public object once, under its best name."""
    best: dict[int, Item] = {}
    for package, module_names in MODULES.items():
        for module_name in module_names:
            if (module := imported(module_name)) is None:
                continue
            for item in items_of(module, module_name, package):
                key = id(item.value)
                if key not in best or item.rank() < best[key].rank():
                    best[key] = item  # this also keeps the object alive, so its id stays its own
    return [item for item in best.values() if not (REPLACED_AT_RUN_TIME.fullmatch(item.name) or is_foreign(item))]


def is_foreign(item: Item) -> bool:
    """Whether another package planted this in the standard library, as transformers adds methods to Logger."""
    source = getattr(item.value, "__module__", None) or "builtins"
    return item.package == "python" and str(source).partition(".")[0] not in sys.stdlib_module_names


def imported(name: str) -> ModuleType | None:
    """The module, or None where this version of Python or of the package does not have it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return import_module(name)
        except ImportError:
            return None


def items_of(module: ModuleType, home: str, package: str) -> Iterator[Item]:
    """The public functions and classes of a module, and the public methods of these classes.

    home: the module's public name, which need not be its `__name__` (os.path calls itself posixpath, or ntpath).
    """
    prefix = "" if home == "builtins" else home + "."
    for attribute, value in exported(module, home):
        name = prefix + attribute
        if not inspect.isclass(value):
            yield Item(name, value, package, home, "function" if hasattr(value, "__name__") else "object")
            continue
        yield Item(name, value, package, home, "class")
        if name.startswith(WITHOUT_METHODS):
            continue
        for method_name in dir(value):
            method = inspect.getattr_static(value, method_name, None)
            method = getattr(method, "__func__", method)  # what a staticmethod or a classmethod wraps
            if not method_name.startswith("_") and inspect.isroutine(method):
                inherited = method_name not in vars(value)
                yield Item(f"{name}.{method_name}", method, package, home, "method", inherited)


def exported(module: ModuleType, home: str) -> Iterator[tuple[str, object]]:
    """Names and values of what can be called in a module: its `__all__`, or else what was defined in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # reading a deprecated name warns
        listed = getattr(module, "__all__", None)
        for name in sorted(set(listed or dir(module))):
            try:
                value = getattr(module, name, None)
            except ImportError:  # scikit-learn's experimental classes ask to be switched on first
                continue
            if name.startswith("_") or not callable(value):
                continue
            # bisect.bisect says that it was defined in _bisect, the same module written in C.
            if listed or (getattr(value, "__module__", None) or "").lstrip("_") == home:
                yield name, value


# ---- From a docstring to a passage ----


def docstring(value: object) -> str:
    """The object's own docstring; for a class that has none, that of its `__init__`."""
    doc = value.__doc__
    if not doc and inspect.isclass(value) and "__init__" in vars(value):
        doc = value.__init__.__doc__
    return inspect.cleandoc(doc) if isinstance(doc, str) else ""


def title(item: Item) -> str:
    """The name with its parameters, without their defaults: these may hold an address in memory."""
    try:
        parameters = list(inspect.signature(item.value).parameters.values())
    except (TypeError, ValueError):  # many functions written in C have no signature
        return item.name
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = [stars.get(parameter.kind, "") + parameter.name for parameter in parameters]
    if item.kind == "method" and names[:1] in (["self"], ["cls"]):
        names = names[1:]
    if len(names) > 8:
        names[8:] = ["…"]
    return f"{item.name}({', '.join(names)})"


def passage(doc: str) -> str:
    """The prose of a docstring in 250 words at most: what it says first, then its notes, then its parameters, each
    in a sentence. Code, examples, formulas, references and markup are left out."""
    sections = sections_of(without_directives(without_signature(doc)))
    paragraphs = prose(sections.get("", "")) + prose(sections.get("Notes", ""))
    if parameters := parameters_in_brief(sections.get("Parameters", "")):
        paragraphs.append("Parameters: " + " ".join(parameters))
    return cut("\n\n".join(paragraphs), LONGEST)


def without_signature(doc: str) -> str:
    """Functions written in C begin their docstring with a signature, such as "log2(x, /, out=None)"."""
    first, _, rest = doc.partition("\n\n")
    if rest.strip() and re.fullmatch(r"[\w.]+\(.*\)( -> \S+)?", first, flags=re.DOTALL):
        return without_signature(rest.lstrip("\n"))  # some have two
    first, _, rest = doc.partition("\n")
    if rest.strip() and re.fullmatch(r"[\w.]+\(.*\)( -> \S+)?", first):
        return rest.lstrip("\n")
    return doc


def without_directives(doc: str) -> str:
    """Drop reST directives (".. plot::") and footnotes (".. [1]") with what is indented below them.

    Of a note or a warning only its marker goes: what it says is prose.
    """
    kept, dropping = [], None  # dropping: the indentation of the directive that is being dropped
    for line in doc.split("\n"):
        indentation = len(line) - len(line.lstrip())
        if dropping is not None and (not line.strip() or indentation > dropping):
            continue
        dropping = None
        marker = re.match(r"\s*\.\. +(?:([\w-]+)::?(?= |$)|\[|_)", line)
        if not marker:
            kept.append(line)
        elif marker[1] in ("note", "warning", "important", "tip", "caution"):
            kept += ["", line[marker.end() :].strip()]
        else:
            dropping = indentation
            kept.append("")
    return "\n".join(kept)


def sections_of(doc: str) -> dict[str, str]:
    """{heading: text} of a docstring in numpy's style, where a line of dashes underlines a heading. "" is what
    comes before the first heading: the summary and the extended description."""
    sections, heading, lines = {}, "", doc.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.strip() and re.fullmatch(r"\s*(-{3,}|={3,})\s*", following):
            heading = line.strip()
        elif not re.fullmatch(r"\s*(-{3,}|={3,})\s*", line):
            sections[heading] = f"{sections.get(heading, '')}{line}\n"
    return sections


def prose(section: str) -> list[str]:
    """The paragraphs and list items of a section as plain text, without examples, blocks of code and tables."""
    paragraphs, after_colons = [], False
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*[*-] )", section.strip("\n")):
        is_code = ">>>" in paragraph or (after_colons and paragraph.startswith(" "))
        is_table = re.search(r"={3,} +={3,}|\+-{3,}\+", paragraph)
        if not is_code and not is_table:
            after_colons = paragraph.rstrip().endswith("::")
            paragraphs.append(plain(paragraph))
    return [paragraph for paragraph in paragraphs if re.search(r"\w", paragraph) and not BOILERPLATE.search(paragraph)]


def parameters_in_brief(section: str) -> list[str]:
    """ "name: first sentence of its description." for each parameter."""
    entries = re.findall(r"^(\S[^:\n]*?)(?: ?:.*)?\n((?:[ \t]+.*\n|\n)+)", section, flags=re.MULTILINE)
    brief = []
    for name, description in entries:
        first = prose(inspect.cleandoc(description))[:1]
        if first:
            brief.append(f"{plain(name)}: {sentences(first[0])[0]}")
    return brief


def plain(text: str) -> str:
    """Text without reST markup, on one line."""
    # Pointers into a website ("Read more in the :ref:`User Guide <svm>`.") lead nowhere from here.
    text = " ".join(sentence for sentence in sentences(text) if ":ref:" not in sentence)
    text = re.sub(r" ?\[\w+\]_", "", text)  # a footnote
    text = re.sub(r":math:`([^`]*)`", r"\1", text)
    text = re.sub(r":[\w:]+:`~?\.?([^`<]*?)(?: *<[^`]*>)?`", r"\1", text)  # :func:`name`, :doc:`text <target>`
    text = re.sub(r"`([^`<]+?) *<[^`]*>`_*", r"\1", text)  # `text <address>`_
    text = re.sub(r"`+([^`]*)`+_*", r"\1", text)
    text = re.sub(r"(?<![\w*])\*{1,2}([^*\s](?:[^*]*[^*\s])?)\*{1,2}(?![\w*])", r"\1", text)  # emphasis
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return text.replace("::", ":").strip()


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?]) (?=[A-Z`:*])", " ".join(text.split()))


def cut(text: str, longest: int) -> str:
    """The text's beginning, `longest` words at most, ending with a whole sentence where there is one."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    if len(ends) <= longest:
        return text
    beginning = text[: ends[longest - 1]]
    stop = max(beginning.rfind(". "), beginning.rfind(".\n"))
    return beginning[: stop + 1] if stop > len(beginning) // 2 else beginning + "…"


def is_informative(text: str) -> bool:
    """Whether a passage says something, and not only its own signature or where to read on."""
    is_signature = re.fullmatch(r"[\w.]+\([^()]*\)( -> \S+)?", text)
    points_elsewhere = re.search(r"for full documentation|Scalar method identical to|See help\(type\(self", text)
    return len(text.split()) >= SHORTEST and not is_signature and not points_elsewhere
