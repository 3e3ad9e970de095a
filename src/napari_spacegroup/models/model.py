"""A trained network with its card: from patterns to calibrated probabilities."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ..errors import ModelError
from ..imaging import prepare
from .architectures import build
from .card import CARD_NAME, WEIGHTS_NAME, ModelCard


class Model:
    """A network in evaluation mode and the card that says how to use it.

    Parameters
    ----------
    network
        Maps inputs ``(n, 1, rows, columns)`` to logits ``(n, class)``.
    card
        Its card.
    """

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        self.network = network.eval()
        self.card = card

    @property
    def name(self) -> str:
        """Return the name on the card."""
        return self.card.name

    @property
    def classes(self) -> tuple[int, ...]:
        """Return the space groups, in the order of the last axis of :meth:`predict`."""
        return self.card.classes

    @property
    def device(self) -> torch.device:
        """Return where the network lies."""
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> Model:
        """Return the model, moved to a torch device; ``"auto"`` takes a GPU if there is one.

        Raises
        ------
        ModelError
            If the device does not exist here.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.network.to(device)
        except (RuntimeError, AssertionError) as error:
            raise ModelError(
                f"device {device!r} can't be used here ({error}); choose 'cpu' or 'auto'"
            ) from error
        return self

    def prepare(
        self,
        patterns: NDArray[Any] | Tensor,
        *,
        static_background: NDArray[Any] | None = None,
        mask: NDArray[Any] | None = None,
    ) -> Tensor:
        """Return the patterns as the network sees them, shape ``(n, 1, rows, columns)``."""
        images = _as_tensor(patterns).to(self.device)
        background = None if static_background is None else _as_tensor(static_background)
        inside = None if mask is None else _as_tensor(mask)
        return prepare(
            images,
            self.card.input,
            static_background=None if background is None else background.to(self.device),
            mask=None if inside is None else inside.to(self.device),
        )

    def predict(
        self,
        patterns: NDArray[Any] | Tensor,
        *,
        static_background: NDArray[Any] | None = None,
        mask: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """Return calibrated probabilities.

        Parameters
        ----------
        patterns
            Shape ``(n, rows, columns)``, any intensity unit and size.
        static_background
            Shape ``(rows, columns)``, or None if the patterns are corrected already.
        mask
            True inside the screen, shape ``(rows, columns)``, or None.

        Returns
        -------
        probabilities
            Shape ``(n, class)``, each row sums to 1.

        Raises
        ------
        ModelError
            If the patterns do not have three axes.
        """
        if patterns.ndim != 3:
            raise ModelError(
                f"predict needs patterns of shape (n, rows, columns), got {tuple(patterns.shape)}"
            )
        with torch.inference_mode():
            inputs = self.prepare(patterns, static_background=static_background, mask=mask)
            logits = self.network(inputs.contiguous(memory_format=torch.channels_last))
            probabilities = torch.softmax(logits.float() / self.card.temperature, dim=-1)
        return probabilities.cpu().numpy()

    def save(self, folder: str | Path) -> Path:
        """Write ``card.json`` and ``weights.safetensors`` into a folder.

        Returns
        -------
        folder
            Where the model lies now; its card carries the SHA-256 of the weights.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            key: value.detach().cpu().contiguous()
            for key, value in self.network.state_dict().items()
        }
        blob = save_tensors(tensors)
        self.card = self.card.model_copy(update={"sha256": hashlib.sha256(blob).hexdigest()})
        _write_atomic(folder / WEIGHTS_NAME, blob)
        _write_atomic(folder / CARD_NAME, (self.card.model_dump_json(indent=2) + "\n").encode())
        return folder


def read_model(folder: Path, *, device: str = "cpu") -> Model:
    """Return the model in a folder.

    Raises
    ------
    ModelError
        If the card or the weights are missing, the weights are not safetensors (a pickle,
        for instance), their SHA-256 is not the card's, or they do not fit the network.
    """
    card = ModelCard.load(folder / CARD_NAME)
    path = folder / WEIGHTS_NAME
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"model {card.name!r} has no weights at {path} ({error.strerror}); "
            "weights are kept as safetensors, and pickles are never loaded"
        ) from error
    digest = hashlib.sha256(blob).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"the weights of {card.name!r} have SHA-256 {digest[:12]}…, its card says "
            f"{card.sha256[:12] or 'nothing'}…; the file was changed or cut: fetch the model anew"
        )
    try:
        tensors = load_tensors(blob)
    except SafetensorError as error:
        raise ModelError(
            f"{path} is no safetensors file ({error}); pickled weights are refused because "
            "loading them can run code"
        ) from error
    network = build(card.architecture, len(card.classes), **card.options)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(
            f"the weights of {card.name!r} do not fit {card.architecture}: {error}"
        ) from error
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(network, card).to(device)


def _as_tensor(array: NDArray[Any] | Tensor) -> Tensor:
    if isinstance(array, Tensor):
        return array
    values = np.asarray(array)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    elif values.dtype.kind == "u" and values.dtype.itemsize > 1:
        values = values.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(values))


def _write_atomic(path: Path, blob: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise ModelError(f"can't write {path}: {error.strerror}; free some space there") from error
