"""The models at hand: those in the package, and those in the user's model folders.

``NAPARI_SPACEGROUP_MODELS`` adds folders (separated as in PATH) in which each model is a
folder of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..imaging import ProfileAxis, ProfileContract
from .card import CARD_NAME, ModelCard
from .model import Model, read_model

BUNDLED = Path(__file__).parent / "bundled"
FOLDERS_VARIABLE = "NAPARI_SPACEGROUP_MODELS"


def model_folders() -> dict[str, Path]:
    """Return the folder of each model at hand, by name; the user's shadow the bundled."""
    found: dict[str, Path] = {}
    extra = [Path(p) for p in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if p]
    for root in (BUNDLED, *extra):
        if root.is_dir():
            for card in sorted(root.glob(f"*/{CARD_NAME}")):
                found[card.parent.name] = card.parent
    return found


def list_models() -> list[str]:
    """Return the names of the models at hand."""
    return sorted(model_folders())


def find_model(name: str | Path) -> Path:
    """Return the folder of a model, given its name or its folder.

    Raises
    ------
    ModelError
        If there is none.
    """
    folder = Path(name)
    if (folder / CARD_NAME).is_file():
        return folder
    known = model_folders()
    if str(name) in known:
        return known[str(name)]
    if folder.is_file():
        raise ModelError(
            f"{folder} is a file; a model is a folder with {CARD_NAME} and its weights as "
            "safetensors (pickled weights are refused)"
        )
    raise ModelError(
        f"no model {str(name)!r}; at hand are {', '.join(known) or 'none'}, or give the folder "
        f"of a model (with {CARD_NAME})"
    )


def load_model(name: str | Path, *, device: str = "cpu") -> Model:
    """Return a model by its bundled name or its folder.

    Parameters
    ----------
    name
        For instance ``"ebsd-cubic"``, or a folder that ``train`` wrote.
    device
        A torch device, or ``"auto"``.

    Raises
    ------
    ModelError
        If there is no such model, or it can't be trusted; see
        :func:`napari_spacegroup.models.model.read_model`.
    """
    return read_model(find_model(name), device=device)


def show_model(name: str | Path) -> ModelCard:
    """Return the card of a model, without loading its weights."""
    return ModelCard.load(find_model(name) / CARD_NAME)


def check_model(name: str | Path) -> list[str]:
    """Return what is wrong with a model, as sentences; an empty list for a sound one.

    The weights are loaded, held against their SHA-256 and asked for one prediction.
    """
    try:
        model = load_model(name)
        contract = model.card.input
        noise = np.random.default_rng(0).normal(size=(2, *contract.shape)).astype(np.float32)
        axis = ProfileAxis(contract.q(), "q") if isinstance(contract, ProfileContract) else None
        probabilities = model.predict(noise, axis=axis)
    except ModelError as error:
        return [str(error)]
    problems = []
    if not np.isfinite(probabilities).all():
        problems.append("its answer to noise is not finite")
    elif abs(probabilities.sum(axis=1) - 1).max() > 1e-5:
        problems.append("its probabilities do not sum to 1")
    if list(model.classes) != sorted(set(model.classes)):
        problems.append(f"its classes {model.classes} are not ascending and unique")
    return problems
