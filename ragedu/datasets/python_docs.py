"""Python docs: the docstrings on the reader's own machine, as a corpus with questions and graded judgments.

The documents are the public functions, classes and methods of the standard library, numpy, scipy and scikit-learn:
thousands of passages that people wrote for readers, and nothing to download.

The questions (python_docs_questions.toml) were written one by one, with their first judgments, before any retriever was
run on the corpus. The judgments were then completed by *pooling*, as TREC does: the ten best documents of TF-IDF, of
BM25 and of a dense retriever (all-MiniLM-L6-v2) were put together for each question, and what had no judgment yet was
judged by its name and first words. 126 judgments were added.
No question was changed for what a retriever had found (one word of how-021 was, because it was the name of an answer).
There was one judge, so no measure of agreement.
A document without a judgment counts as not relevant. A retriever unlike those three may find a good document that
nobody judged, and its score is then too low.

The grades: 3, this is the thing; 2, it does the job too; 1, it helps on the way or does a part of it.

This file goes from the questions (`load`) to the corpus (`corpus`), then to which objects are public, and ends with how
a docstring becomes a passage.
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
from typing import Any, NamedTuple

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

# Every estimator has the same methods, every sparse format the same arithmetic, and every kind of polynomial the
# methods of Polynomial: documents for all of them would say the same thing hundreds of times.
WITHOUT_METHODS = (
    "sklearn.",
    "scipy.sparse.",
    "numpy.polynomial.Chebyshev",
    "numpy.polynomial.Hermite",
    "numpy.polynomial.Laguerre",
    "numpy.polynomial.Legendre",
)
# Jupyter, pytest and torch replace these by functions of their own: the corpus should stay the same.
REPLACED_AT_RUN_TIME = re.compile(r"input|getpass\.getpass|inspect\.getfile|(sys|threading)\.\w+hook")

MAX_PASSAGE_WORDS = 250  # a small embedding model reads about this far
MAX_TITLE_PARAMETERS = 8
MIN_PASSAGE_WORDS = 4  # a shorter docstring ("Not implemented.") says nothing
# Paragraphs that hundreds of docstrings share word for word, and headings of what was omitted.
BOILERPLATE = re.compile(
    r"^(Array API Standard Support|Examples?:?|For example:|Usage:|[Ww]here:?)$"
    r"|experimental support for Python Array API Standard"
    r"|inherits from it a collection of generic methods"
    r"|is defined in the .standardized. form"
    r"|assuming array arguments are of specified .core. shapes"
    r"|np.matrix inputs \(not recommended for new code\)"
)
GRADES = {"exact": 3, "works": 2, "related": 1}

# Parts of a docstring.
SIGNATURE = re.compile(r"[\w.]+\(.*\)( -> \S+)?", re.DOTALL)
DIRECTIVE = re.compile(r"\s*\.\. +(?:([\w-]+)::?(?= |$)|\[|_)")
ADMONITIONS = ("note", "warning", "important", "tip", "caution")
UNDERLINE = re.compile(r"\s*(-{3,}|={3,})\s*")
TABLE = re.compile(r"={3,} +={3,}|\+-{3,}\+")


def load() -> Dataset:
    """The corpus with its questions.

    - `qrels` are graded 3, 2, 1.
    - `answers` are the names of the documents of grade 3, long and short.
    - `metadata` has topic, and wording: "same" or "different" words than the documentation's.

    Other versions of the packages have other functions. A judgment of a document that this machine lacks is omitted,
    and so is a question that has no document of grade 2 or 3 left. A question with none of grade 3 has no entry in
    `answers`, since an empty list would say that it is unanswerable.
    """
    documents = corpus()
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    answers: dict[str, list[str]] = {}
    metadata: dict[str, dict[str, str]] = {}
    for query_id, question in read_questions().items():
        grades = grades_of(question, documents)
        if max(grades.values(), default=0) < 2:
            continue
        queries[query_id] = question["question"]
        qrels[query_id] = grades
        exact = [document_id for document_id, grade in grades.items() if grade == 3]
        if exact:
            names = [name for document_id in exact for name in (document_id, last_name(document_id))]
            answers[query_id] = list(dict.fromkeys(names))
        metadata[query_id] = {"topic": question["topic"], "wording": question["wording"]}
    return Dataset(documents, queries, qrels=qrels, answers=answers, metadata=metadata, name="python-docs")


def read_questions() -> dict[str, dict[str, Any]]:
    """The questions as they were written, judgments of documents that this machine lacks included."""
    path = Path(__file__).with_name("python_docs_questions.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def grades_of(question: dict[str, Any], documents: Corpus) -> dict[str, int]:
    """{document id: grade}, best first, of the documents that this machine has."""
    return {
        document_id: grade
        for name, grade in GRADES.items()
        for document_id in question.get(name, [])
        if document_id in documents
    }


def last_name(name: str) -> str:
    """ "argpartition" of "numpy.argpartition"."""
    return name.rpartition(".")[2]


@cache
def corpus() -> Corpus:
    """The documents alone, in the order of their ids. Takes a few seconds the first time.

    - id: the public name ("numpy.argpartition");
    - title: the name with its parameters;
    - text: what the docstring says in prose, at most 250 words;
    - metadata: "package", "module" and "kind", which is "function", "class", "method", or "object" for such things as a
      probability distribution.

    Raises RuntimeError when Python was started with -OO, which removes docstrings.
    """
    if sys.flags.optimize >= 2:
        raise RuntimeError("Python was started with -OO, so there are no docstrings to search: start it without -OO")
    documents: dict[str, Document] = {}
    seen: set[tuple[str, str, str]] = set()
    for item in sorted(public_items(), key=Item.rank):
        text = passage(docstring(item.value))
        # The same function in another place has the same last name and the same text: random.Random.seed is
        # random.seed, and the shorter name came first.
        fingerprint = (item.package, last_name(item.name), text)
        if is_informative(text) and fingerprint not in seen:
            seen.add(fingerprint)
            metadata = {"package": item.package, "module": item.module, "kind": item.kind}
            documents[item.name] = Document(item.name, text, title(item), metadata=metadata)
    return Corpus(documents[name] for name in sorted(documents))


# ---- Which objects are public? ----


class Item(NamedTuple):
    """An object that may become a document. inherited: a method that the class of that name did not define."""

    name: str
    value: Any
    package: str
    module: str
    kind: str
    inherited: bool = False

    def rank(self) -> tuple[bool, bool, int, int, str]:
        """The best of several names for one object has the lowest rank.

        For a method the best is the one with the class that defined it, then the object's own name (numpy.concatenate,
        not its alias numpy.concat), then the shortest.
        """
        is_alias = getattr(self.value, "__name__", "") != last_name(self.name)
        return self.inherited, is_alias, self.name.count("."), len(self.name), self.name


def public_items() -> list[Item]:
    """Every public object once, under its best name."""
    best: dict[int, Item] = {}
    for item in all_items():
        key = id(item.value)  # stays its own, because `best` keeps the object alive
        if key not in best or item.rank() < best[key].rank():
            best[key] = item
    return [item for item in best.values() if not (REPLACED_AT_RUN_TIME.fullmatch(item.name) or is_foreign(item))]


def all_items() -> Iterator[Item]:
    """Every public object of every module, under each of its names."""
    for package, module_names in MODULES.items():
        for module_name in module_names:
            module = imported(module_name)
            if module is not None:
                yield from items_of(module, module_name, package)


def is_foreign(item: Item) -> bool:
    """Whether another package added this to the standard library, as transformers adds methods to Logger."""
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
        if inspect.isclass(value):
            yield Item(name, value, package, home, "class")
            if not name.startswith(WITHOUT_METHODS):
                yield from methods_of(value, name, home, package)
        else:
            yield Item(name, value, package, home, "function" if hasattr(value, "__name__") else "object")


def methods_of(cls: type, name: str, home: str, package: str) -> Iterator[Item]:
    """The public methods of a class, those that it inherits included."""
    for method_name in dir(cls):
        method = inspect.getattr_static(cls, method_name, None)
        method = getattr(method, "__func__", method)  # the function that a staticmethod or a classmethod wraps
        if not method_name.startswith("_") and inspect.isroutine(method):
            inherited = method_name not in vars(cls)
            yield Item(f"{name}.{method_name}", method, package, home, "method", inherited)


def exported(module: ModuleType, home: str) -> Iterator[tuple[str, object]]:
    """Names and values of what can be called in a module: of its `__all__`, or else of what was defined in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # reading a deprecated name warns
        listed: list[str] | None = getattr(module, "__all__", None)
        for name in sorted(set(listed or dir(module))):
            try:
                value = getattr(module, name, None)
            except ImportError:  # scikit-learn's experimental classes must be enabled first
                continue
            if name.startswith("_") or not callable(value):
                continue
            # bisect.bisect says that it was defined in _bisect, the same module written in C.
            if listed or (getattr(value, "__module__", None) or "").lstrip("_") == home:
                yield name, value


# ---- From a docstring to a passage ----


def docstring(value: Any) -> str:
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
    names = [with_stars(parameter) for parameter in parameters]
    if item.kind == "method" and names[:1] in (["self"], ["cls"]):
        names = names[1:]
    if len(names) > MAX_TITLE_PARAMETERS:
        names[MAX_TITLE_PARAMETERS:] = ["…"]
    return f"{item.name}({', '.join(names)})"


def with_stars(parameter: inspect.Parameter) -> str:
    """The parameter's name as a signature has it: `*args`, `**kwargs`."""
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return f"*{parameter.name}"
    return f"**{parameter.name}" if parameter.kind is inspect.Parameter.VAR_KEYWORD else parameter.name


def passage(doc: str) -> str:
    """The prose of a docstring in at most 250 words.

    First what it says, then its notes, then its parameters, each in a sentence. Code, examples, formulas, references
    and markup are omitted.
    """
    sections = sections_of(without_directives(without_signature(doc)))
    paragraphs = prose(sections.get("", "")) + prose(sections.get("Notes", ""))
    parameters = parameters_in_brief(sections.get("Parameters", ""))
    if parameters:
        paragraphs.append("Parameters: " + " ".join(parameters))
    return cut("\n\n".join(paragraphs), MAX_PASSAGE_WORDS)


def without_signature(doc: str) -> str:
    """Functions written in C begin their docstring with a signature, such as "log2(x, /, out=None)"."""
    first_paragraph, _, rest = doc.partition("\n\n")
    if rest.strip() and SIGNATURE.fullmatch(first_paragraph):
        return without_signature(rest.lstrip("\n"))  # some have two
    first_line, _, rest = doc.partition("\n")
    if rest.strip() and SIGNATURE.fullmatch(first_line):
        return rest.lstrip("\n")
    return doc


def without_directives(doc: str) -> str:
    """Drop reST directives (".. plot::") and footnotes (".. [1]") with what is indented below them.

    Of a note or a warning only its marker is dropped: its text is prose.
    """
    kept: list[str] = []
    dropped_indentation: int | None = None  # of the directive whose body is being dropped
    for line in doc.split("\n"):
        indentation = len(line) - len(line.lstrip())
        if dropped_indentation is not None and (not line.strip() or indentation > dropped_indentation):
            continue
        dropped_indentation = None
        marker = DIRECTIVE.match(line)
        if not marker:
            kept.append(line)
        elif marker[1] in ADMONITIONS:
            kept += ["", line[marker.end() :].strip()]
        else:
            kept.append("")
            dropped_indentation = indentation
    return "\n".join(kept)


def sections_of(doc: str) -> dict[str, str]:
    """{heading: text} of a docstring in numpy's style, where a line of dashes underlines a heading.

    "" is what comes before the first heading: the summary and the extended description.
    """
    sections: dict[str, str] = {}
    heading = ""
    lines = doc.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.strip() and UNDERLINE.fullmatch(following):
            heading = line.strip()
        elif not UNDERLINE.fullmatch(line):
            sections[heading] = f"{sections.get(heading, '')}{line}\n"
    return sections


def prose(section: str) -> list[str]:
    """The paragraphs and list items of a section as plain text, without examples, blocks of code and tables."""
    paragraphs = []
    announces_code = False  # "::" at the end of a paragraph
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*[*-] )", section.strip("\n")):
        is_code = ">>>" in paragraph or (announces_code and paragraph.startswith(" "))
        if is_code or TABLE.search(paragraph):
            continue
        announces_code = paragraph.rstrip().endswith("::")
        paragraphs.append(plain(paragraph))
    return [paragraph for paragraph in paragraphs if re.search(r"\w", paragraph) and not BOILERPLATE.search(paragraph)]


def parameters_in_brief(section: str) -> list[str]:
    """ "name: first sentence of its description." for each parameter."""
    entries = re.findall(r"^(\S[^:\n]*?)(?: ?:.*)?\n((?:[ \t]+.*\n|\n)+)", section, flags=re.MULTILINE)
    brief = []
    for name, description in entries:
        paragraphs = prose(inspect.cleandoc(description))
        if paragraphs:
            brief.append(f"{plain(name)}: {sentences(paragraphs[0])[0]}")
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
    """The sentences of a text, each on one line."""
    return re.split(r"(?<=[.!?]) (?=[A-Z`:*])", " ".join(text.split()))


def cut(text: str, max_words: int) -> str:
    """The text's beginning, at most `max_words` words.

    It ends with a whole sentence, or with … where that would lose more than half.
    """
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    if len(ends) <= max_words:
        return text
    beginning = text[: ends[max_words - 1]]
    full_stop = max(beginning.rfind(". "), beginning.rfind(".\n"))
    return beginning[: full_stop + 1] if full_stop > len(beginning) // 2 else beginning + "…"


def is_informative(text: str) -> bool:
    """Whether a passage says something, and not only its own signature or where to read on."""
    is_signature = re.fullmatch(r"[\w.]+\([^()]*\)( -> \S+)?", text)
    points_elsewhere = re.search(r"for full documentation|Scalar method identical to|See help\(type\(self", text)
    return len(text.split()) >= MIN_PASSAGE_WORDS and not is_signature and not points_elsewhere
