"""An interrupted training of a dense retriever: what it leaves in its folder, and how the next call goes on from there.

One file holds weights, the optimizer's moments, the losses so far, and the settings. A training with other settings
refuses to continue it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ragedu.retrieval.embeddings import Embedder
from ragedu.retrieval.storage import MALFORMED, check_form, reason_of, room_in

CHECKPOINT_FILE = "unfinished-training.safetensors"
SAVE_EVERY_SECONDS = 60  # what a power cut may cost


class Checkpoint:
    """The state of an unfinished training, in the folder where its model will be.

    Parameters
    ----------
    folder
        It is made, and tried: OSError for one that cannot be written.
    embedder, optimizer
        Whose state is saved and restored.
    settings
        By name, what a training must have in common with the one that it continues, apart from the model.
    """

    def __init__(
        self, folder: str | Path, embedder: Embedder, optimizer: torch.optim.Optimizer, settings: dict[str, Any]
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.file = self.folder / CHECKPOINT_FILE
        self.embedder, self.optimizer = embedder, optimizer
        self.settings = {"model": embedder.named_fingerprint, **settings}  # which no training changes
        self.saved_at = time.monotonic()
        make_folder(self.folder)

    def resume(self) -> list[float]:
        """Put model and optimizer where the unfinished training left them; returns the losses of the steps it made.

        Raises ValueError for a damaged file, and for the training of another model or with other settings.
        """
        if not self.file.is_file():
            return []
        tensors, settings, losses = load(self.file)
        self.check_settings(settings)
        weights = below("model", tensors)
        moments: dict[int, dict[str, torch.Tensor]] = {}
        try:
            for name, tensor in below("optimizer", tensors).items():
                number, _, key = name.partition("/")
                moments.setdefault(int(number), {})[key] = tensor
            self.check_shapes(weights, moments)
        except MALFORMED as error:
            raise damaged(self.file, error) from None
        self.embedder.model.load_state_dict(weights)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        return losses

    def check_shapes(self, weights: dict[str, torch.Tensor], moments: dict[int, dict[str, torch.Tensor]]) -> None:
        """Raise ValueError unless these are weights of the model and moments of its parameters, by their shapes."""
        for name, tensor in self.embedder.model.state_dict().items():
            check_form(name in weights and weights[name].shape == tensor.shape, f"other weights {name}")
        check_form(len(weights) == len(self.embedder.model.state_dict()), "more weights than the model has")
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for number, by_name in moments.items():
            shape = parameters[number].shape
            check_form(number >= 0 and by_name.keys() == {"step", "exp_avg", "exp_avg_sq"}, f"moments {list(by_name)}")
            check_form(by_name["step"].shape == (), "a number of steps that is none")
            check_form(by_name["exp_avg"].shape == by_name["exp_avg_sq"].shape == shape, "moments of another shape")

    def check_settings(self, begun: dict[str, Any]) -> None:
        """Raise ValueError unless the training that was begun has these settings."""
        for name, value in self.settings.items():
            if begun.get(name) == value:
                continue
            other = f"with other {name} ({begun.get(name)}, now {value})"
            if name == "model":
                other = f"of another model than {self.embedder.name}"
            raise ValueError(
                f"{self.folder} holds an unfinished training {other}: "
                "call with the same to continue it, or give another folder"
            )

    def save(self, losses: list[float]) -> None:
        """Write the state after the steps that had these losses; saving is atomic."""
        tensors = {f"model/{name}": tensor.detach() for name, tensor in self.embedder.model.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{name}": tensor for name, tensor in moments.items()}
        temporary = self.file.with_name(f"{CHECKPOINT_FILE}.tmp")
        try:
            save_file(tensors, temporary, {"settings": json.dumps(self.settings), "losses": json.dumps(losses)})
            os.replace(temporary, self.file)
        except SafetensorError as error:  # of a full disk; it is not an OSError
            raise OSError(f"{self.file} cannot be written ({reason_of(error)}{room_in(self.folder)})") from None
        except OSError as error:
            reason = error.strerror or reason_of(error)
            raise type(error)(f"{self.file} cannot be written ({reason}{room_in(self.folder)})") from None
        finally:
            temporary.unlink(missing_ok=True)
        self.saved_at = time.monotonic()

    def save_when_due(self, losses: list[float]) -> None:
        """Save, unless that was done less than SAVE_EVERY_SECONDS ago."""
        if time.monotonic() - self.saved_at > SAVE_EVERY_SECONDS:
            self.save(losses)

    def finish(self) -> None:
        """Save the model itself, as sentence-transformers saves models, and delete its unfinished training."""
        self.embedder.save(self.folder)
        self.embedder.rename(str(self.folder))
        self.file.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make the folder, and try before a long training what is done after it: files in it, a folder next to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place in (folder, folder.parent):
            tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise OSError(
            f"the model cannot be saved in {folder} ({error.strerror or error}): give another folder"
        ) from None


def load(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], list[float]]:
    """The tensors by name, the settings and the losses of an unfinished training; ValueError for a damaged file."""
    try:
        with safe_open(file, "pt") as stored:
            metadata = stored.metadata()
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        settings, losses = json.loads(metadata["settings"]), json.loads(metadata["losses"])
        check_form(isinstance(settings, dict), "settings that are none")
        check_form(isinstance(losses, list) and all(type(loss) is float for loss in losses), "losses that are none")
        return tensors, settings, losses
    except (SafetensorError, *MALFORMED) as error:
        raise damaged(file, error) from None


def damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file} is damaged ({reason_of(error)}): delete it to begin the training again")


def below(part: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `part/`, by the rest of their names."""
    prefix = f"{part}/"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
