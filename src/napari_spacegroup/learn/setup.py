"""What a training spec means: the split, the network, the ranges that patterns come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from ..config import TrainSpec
from ..errors import ModelError
from ..models import SectorNet, load_model
from ..simulate.detector import Appearance, GeometryRange
from .masterset import MasterSet, split_by_prototype


def start_from(name: str, network: nn.Module, classes: tuple[int, ...]) -> None:
    """Copy the weights of a model; of its last layer the rows of classes that both have."""
    model = load_model(name)
    weights = model.network.state_dict()
    if model.classes != classes:
        weights = _for_classes(weights, network.state_dict(), model.classes, classes)
    first = "head.1.weight"
    if first in weights and isinstance(network, SectorNet) and network.bands is not None:
        # A model without band profiles starts one with them: its head is widened.
        wider = network.state_dict()[first].clone()
        if weights[first].shape[1] < wider.shape[1]:
            wider[:, : weights[first].shape[1]] = weights[first]
            weights[first] = wider
    try:
        _, unexpected = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ModelError(
            f"the weights of {name!r} do not fit this network ({error}); choose the same "
            f"architecture, width and input size ({model.card.architecture}, "
            f"{model.card.options})"
        ) from error
    if unexpected:
        raise ModelError(
            f"{name!r} is a {model.card.architecture}, with parts that this network lacks "
            f"({unexpected[0]}, ...); choose the same architecture"
        )


def _for_classes(
    weights: dict[str, Tensor],
    own: dict[str, Tensor],
    before: tuple[int, ...],
    after: tuple[int, ...],
) -> dict[str, Tensor]:
    """Return weights whose last layer has a row for each of other classes, known or new."""
    kept = [c for c in after if c in before]
    source, target = [before.index(c) for c in kept], [after.index(c) for c in kept]
    heads = [key for key in weights if key.startswith("head.")]
    last = heads[-1].rsplit(".", 1)[0] if heads else ""
    found = {}
    for key, value in weights.items():
        here = own.get(key)
        if here is not None and key.rsplit(".", 1)[0] == last:
            if here.shape[1:] != value.shape[1:]:
                continue
            rows = here.clone()
            rows[target] = value[source]
            value = rows
        elif key in heads and (here is None or here.shape != value.shape):
            continue
        found[key] = value
    return found


def split_masters(masters: MasterSet, spec: TrainSpec) -> tuple[MasterSet, MasterSet]:
    """Return what is trained on and what is held out."""
    if spec.validation:
        held = MasterSet.load(spec.validation)
        known = np.isin(held.space_groups, np.unique(masters.space_groups))
        return masters, held.subset(np.flatnonzero(known))
    train, drawn = split_by_prototype(
        masters.records, spec.validation_share, spec.seed, by=spec.split_by
    )
    return masters.subset(train), masters.subset(drawn)


def network_options(spec: TrainSpec) -> dict[str, Any]:
    """Return the options of the network's constructor."""
    width = spec.network.width
    if spec.network.architecture == "bandnet":
        return {
            "widths": [width, 2 * width, 4 * width, 6 * width],
            "side": spec.network.input_size,
        }
    if spec.network.architecture == "sectornet":
        network = spec.network
        return {"width": width, "side": network.input_size, "bands": network.bands,
                "blind": network.blind, "dropout": network.dropout,
                "is_fine": network.is_fine, "resolution": network.resolution}  # fmt: skip
    return {"width": width}


def geometry_range(spec: TrainSpec) -> GeometryRange:
    """Return the geometries that training patterns are drawn from."""
    scope = spec.microscope
    return GeometryRange(
        pcx=scope.pattern_center_x, pcy=scope.pattern_center_y, pcz=scope.pattern_center_z,
        sample_tilt=scope.sample_tilt, detector_tilt=scope.detector_tilt, azimuthal=(-3.0, 3.0),
    )  # fmt: skip


def appearance_of(spec: TrainSpec) -> Appearance:
    """Return the randomisation of how patterns look."""
    full = Appearance()
    scaled = {
        name: getattr(full, name) * spec.appearance
        for name in ("blur", "spectrum", "asymmetry", "excess_deficiency", "gain_field",
                     "offset_field", "background")
    }  # fmt: skip
    return full.model_copy(update=scaled | dict.fromkeys(spec.without, 0.0))
