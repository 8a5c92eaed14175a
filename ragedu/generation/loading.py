"""What a language model is loaded with: its number format, its adapter, and the limit of doubt that comes with that."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ragedu.models import ModelUnavailable

ADAPTERS = Path(__file__).parent.parent / "adapters"
SETTINGS = "ragedu.json"  # in an adapter's folder, next to PEFT's own files


def fastest_dtype() -> torch.dtype:
    """bfloat16 on processors that support it (AVX512-BF16 or AMX), where it takes half the memory and about
    half the time; float32 on others, which would have to imitate it.

    With ATEN_CPU_CAPABILITY=avx2 in the environment torch does without those instructions, and so do we: then a fast
    machine can be measured as a common laptop.
    """
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    in_use = torch.backends.cpu.get_cpu_capability() == "AVX512"
    native = in_use and (capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32


def find_adapter(adapter: str | Path) -> Path:
    """The folder of an adapter, given its folder or the name of one that comes with ragedu.

    A folder that has the name of a shipped adapter is written as "./reader". Raises ModelUnavailable.
    """
    shipped = sorted(path.parent.name for path in ADAPTERS.glob("*/adapter_config.json"))
    folder = ADAPTERS / adapter if adapter in shipped else Path(adapter).expanduser()
    if (folder / "adapter_config.json").is_file():
        return folder
    raise ModelUnavailable(
        f"there is no adapter {str(adapter)!r}: give a folder with an adapter_config.json"
        + (f", or one of {', '.join(shipped)}" if shipped else " (no adapter comes with this version of ragedu)")
    )


def read_doubt(folder: Path) -> float | None:
    """The limit of doubt that was chosen for this adapter; None where nobody has chosen one (see `RAG`)."""
    file = folder / SETTINGS
    if not file.is_file():
        return None
    try:
        doubt = json.loads(file.read_text("utf-8"))["doubt"]
        if isinstance(doubt, int | float) and not isinstance(doubt, bool) and 0 <= doubt <= 1:
            return float(doubt)
    except (ValueError, KeyError, TypeError):
        pass
    raise ModelUnavailable(f'{file} is damaged: it should read {{"doubt": 0.1}}, a number from 0 to 1, or be deleted')


def merge_adapter(model, folder: Path):
    """The model with a LoRA adapter added into its weights, so that it is as fast as without."""
    try:
        from peft import PeftModel
    except ImportError:
        raise ModelUnavailable("an adapter needs the package peft: run  pip install peft") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers; nothing a user can do
            return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelUnavailable(
            f"the adapter {str(folder)!r} cannot be merged into this model ({reason}): load it with the model that it "
            "was trained for, which its adapter_config.json names, or train it again"
        ) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bar for a second's work."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
