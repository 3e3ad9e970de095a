"""Training checkpoints: safetensors and JSON in one file, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import ModelError


@dataclass(frozen=True)
class TrainState:
    """What a checkpoint holds beside tensors.

    Parameters
    ----------
    step
        Optimiser steps done.
    seconds
        Time trained [s], over all runs.
    spec
        The JSON of the spec that trains.
    """

    step: int
    seconds: float
    spec: str


def save_checkpoint(
    path: Path,
    state: TrainState,
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    others: Mapping[str, nn.Module] | None = None,
) -> None:
    """Write a checkpoint beside the old one, then replace it; ``others`` are kept by name."""
    tensors: dict[str, Tensor] = {"generator": generator.get_state()}
    tensors |= {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for name, other in (others or {}).items():
        tensors |= {f"other.{name}.{k}": v for k, v in other.state_dict().items()}
    for index, entry in optimiser.state_dict()["state"].items():
        for key, value in entry.items():
            tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value)
    clean = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    temporary = path.with_suffix(".part")
    try:
        save_file(clean, temporary, metadata={"state": json.dumps(asdict(state))})
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise ModelError(f"can't write the checkpoint {path}: {error}") from error


def load_checkpoint(
    path: Path,
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    others: Mapping[str, nn.Module] | None = None,
) -> TrainState:
    """Fill network, average, optimiser, generator and others from a checkpoint.

    Raises
    ------
    ModelError
        If it can't be read or belongs to another network.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            state = TrainState(**json.loads(file.metadata()["state"]))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        network.load_state_dict(_part(tensors, "network."))
        average.load_state_dict(_part(tensors, "average."))
        for name, other in (others or {}).items():
            other.load_state_dict(_part(tensors, f"other.{name}."))
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"{path} is no checkpoint of this network ({error}); train without resume"
        ) from error
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(tensors, "optimiser.").items():
        index, name = key.split(".", 1)
        entries.setdefault(int(index), {})[name] = value
    if entries:
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": entries, "param_groups": groups})
    generator.set_state(tensors["generator"])
    return state


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
