"""A trained network with its card: from patterns to calibrated probabilities."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ..config import CalibrationSpec
from ..errors import ModelError
from ..imaging import ProfileAxis, SpotContract, prepare_inputs
from .architectures import build
from .card import CARD_NAME, WEIGHTS_NAME, ModelCard
from .fusion import fused, versions
from .parallel import in_pieces
from .pattern_center import FoundCenter, detector_center, find_pattern_center, square_centers
from .sectornet import SectorNet
from .symmetry_center import find_symmetry_center
from .symmetrynet import SymmetryNet

CENTERED = (SectorNet, SymmetryNet)
"""Networks that are given the pattern center."""


class Model:
    """A network in evaluation mode and the card that says how to use it.

    Parameters
    ----------
    network
        Maps inputs ``(n, 1, rows, columns)`` to logits ``(n, class)``; one of ``CENTERED``
        is given the pattern centers too.
    card
        Its card.
    """

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        self.network = network.eval()
        self.card = card
        self._fused: tuple[object, nn.Module] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the copy for inference behind: it is made anew where it is needed."""
        return {**self.__dict__, "_fused": None}

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

    @property
    def reads_spots(self) -> bool:
        """Return whether the answer depends on the spots of a pattern alone."""
        return isinstance(self.card.input, SpotContract)

    @property
    def needs_pattern_center(self) -> bool:
        """Return whether the answer depends on where the pattern center is."""
        return isinstance(self.network, CENTERED)

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
        axis: ProfileAxis | None = None,
        calibration: CalibrationSpec | None = None,
    ) -> Tensor:
        """Return the patterns as the network sees them, shape ``(n, 1, rows, columns)``."""
        images = _as_tensor(patterns).to(self.device)
        background = None if static_background is None else _as_tensor(static_background)
        inside = None if mask is None else _as_tensor(mask)
        return prepare_inputs(
            images,
            self.card.input,
            static_background=None if background is None else background.to(self.device),
            mask=None if inside is None else inside.to(self.device),
            axis=axis,
            center=None if calibration is None else calibration.center,
            correction=(
                None if calibration is None or calibration.is_round else calibration.correction
            ),
        )

    def predict(
        self,
        patterns: NDArray[Any] | Tensor,
        *,
        static_background: NDArray[Any] | None = None,
        mask: NDArray[Any] | None = None,
        pattern_center: NDArray[Any] | None = None,
        axis: ProfileAxis | None = None,
        calibration: CalibrationSpec | None = None,
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
        pattern_center
            Bruker's convention, shape ``(3,)``, or ``(n, 3)`` for one per pattern. A model
            that needs it and gets None finds it from these patterns, which takes seconds.
        axis
            What the columns of profiles stand for; for a model of powder profiles alone.
        calibration
            Of spot patterns: their center and elliptic distortion, for a model that reads spots
            alone. The scale makes no difference to it.

        Returns
        -------
        probabilities
            Shape ``(n, class)``, each row sums to 1.

        Raises
        ------
        ModelError
            If the patterns do not have three axes, or a profile does not say its axis.
        """
        if patterns.ndim != 3:
            raise ModelError(
                f"predict needs patterns of shape (n, rows, columns), got {tuple(patterns.shape)}"
            )
        with torch.inference_mode():
            inputs = self.prepare(
                patterns, static_background=static_background, mask=mask, axis=axis,
                calibration=calibration,
            )  # fmt: skip
            centers = None
            if self.needs_pattern_center:
                if pattern_center is None:
                    centers = self._searched_center(inputs).center[None]
                else:
                    rows, columns = patterns.shape[-2:]
                    centers = square_centers(pattern_center, (rows, columns)).to(inputs)
            probabilities = self.probabilities(inputs, centers)
        return probabilities.cpu().numpy()

    def probabilities(self, inputs: Tensor, centers: Tensor | None = None) -> Tensor:
        """Return calibrated probabilities of prepared patterns, shape ``(n, class)``.

        Parameters
        ----------
        inputs
            As :meth:`prepare` makes them.
        centers
            Pattern centers of the central square, shape ``(n, 3)`` or ``(1, 3)``, for a
            network that needs them.
        """
        network = self._for_inference()
        if isinstance(network, SectorNet):
            _ = network.indexer  # made once, before the pieces ask for it, with all cores

        def work(inputs: Tensor, centers: Tensor | None) -> Tensor:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                takes_centers = isinstance(network, CENTERED)
                logits = network(inputs, centers) if takes_centers else network(inputs)
                return torch.softmax(logits.float() / self.card.temperature, dim=-1)

        if inputs.device.type == "cpu":
            return in_pieces(work, len(inputs), inputs, centers)
        return work(inputs, centers)

    def _for_inference(self) -> nn.Module:
        """Return the network with its normalisations fused, made anew after weights changed."""
        now = versions(self.network)
        if self._fused is None or self._fused[0] != now:
            self._fused = now, fused(self.network)
        return self._fused[1]

    def warm_up(self, count: int = 64) -> None:
        """Let the network see a batch of noise, so that the first real one need not wait.

        Makes the dictionary of the orientation search and what torch keeps of each layer.
        """
        rows, columns = self.card.input.shape
        noise = torch.randn(count, 1, rows, columns, generator=torch.Generator().manual_seed(0))
        centers = torch.tensor([[0.5, 0.3, 0.6]]) if self.needs_pattern_center else None
        self.probabilities(noise.to(self.device), centers)

    def find_pattern_center(
        self,
        patterns: NDArray[Any],
        *,
        static_background: NDArray[Any] | None = None,
        mask: NDArray[Any] | None = None,
        start: NDArray[np.float64] | None = None,
    ) -> FoundCenter:
        """Return the pattern center that explains patterns best.

        Parameters
        ----------
        patterns, static_background, mask
            As for :meth:`predict`; at most 24 patterns are used.
        start
            What the file says, Bruker's convention, shape ``(3,)``.

        Returns
        -------
        found
            Its center in fractions of the detector, Bruker's convention.

        Raises
        ------
        ModelError
            If the network has no orientation search.
        """
        if not self.needs_pattern_center:
            raise ModelError(
                f"model {self.name!r} ({self.card.architecture}) does not use the pattern center; "
                "choose a model with the architecture sectornet or symmetrynet to find one"
            )
        shape = patterns.shape[-2:]
        with torch.inference_mode():
            inputs = self.prepare(patterns, static_background=static_background, mask=mask)
            begin = None if start is None else square_centers(start, shape)[0]
            found = self._searched_center(inputs, begin)
        return replace(found, center=detector_center(found.center, shape))

    def _searched_center(self, inputs: Tensor, start: Tensor | None = None) -> FoundCenter:
        if isinstance(self.network, SectorNet):
            return find_pattern_center(self.network.indexer, inputs, start)
        return find_symmetry_center(inputs, start)

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
