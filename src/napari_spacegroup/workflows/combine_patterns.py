"""``combine``: several patterns of one crystal give joint evidence, and where to look next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import HolderSpec
from ..errors import ScanError
from ..infer.combine import CombinedEvidence, combine_probabilities
from ..infer.pixel_status import PixelStatus, pattern_status
from ..infer.tilt import TiltSuggestion, suggest_axes
from .classify_scan import ScanLike, as_model, as_scan

if TYPE_CHECKING:
    from ..config import CombineMethod
    from ..models.model import Model

MOST = 4096
"""Patterns that are joined at most: more of one crystal say nothing new."""


@dataclass(frozen=True, eq=False)
class Combination:
    """What patterns of one crystal say together, and how to go on.

    Parameters
    ----------
    evidence
        Probabilities of each pattern and of all.
    suggestions
        Zone axes to tilt to, the best first; for spot patterns of cubic candidates.
    rotation
        Crystal frame to picture of the last pattern, shape ``(3, 3)``; None where no cubic
        lattice explains its spots, and for other techniques.
    is_indexed
        Whether a cubic lattice explains each pattern, shape ``(n,)``.
    """

    evidence: CombinedEvidence
    suggestions: tuple[TiltSuggestion, ...]
    rotation: NDArray[np.float64] | None
    is_indexed: NDArray[np.bool_]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        found = self.evidence
        return {
            "method": found.method,
            "space_groups": [
                {"space_group": int(g), "probability": float(p)}
                for g, p in sorted(zip(found.classes, found.probabilities, strict=True),
                                   key=lambda pair: -pair[1])
            ],
            "extinction_groups": [
                {"name": name, "probability": p} for name, p in found.ranked("extinction_group")
            ],
            "patterns": [
                {"name": name, "is_indexed": bool(ok),
                 "space_group": int(found.classes[int(row.argmax())]),
                 "probability": float(row.max()),
                 "joint": int(found.classes[int(step.argmax())]),
                 "joint_probability": float(step.max())}
                for name, row, step, ok in zip(
                    found.names, found.each, found.steps, self.is_indexed, strict=True)
            ],
            "next": [
                {"axis": list(s.axis), "family": list(s.family), "gain_bits": s.gain,
                 "alpha": s.alpha if s.is_reachable else None,
                 "beta": s.beta if s.is_reachable else None,
                 "alpha_beta_if_turned": None if s.other is None else list(s.other),
                 "angle": s.angle if np.isfinite(s.angle) else None,
                 "splits": [list(part) for part in s.splits]}
                for s in self.suggestions
            ],
        }  # fmt: skip


def combine(
    patterns: ScanLike | Sequence[ScanLike],
    model: Model | str | Path,
    *,
    method: CombineMethod = "bayes",
    independence: float | None = None,
    error_share: float = 0.01,
    holder: HolderSpec | None = None,
    axes: int = 16,
    region: NDArray[np.bool_] | None = None,
    device: str | None = None,
) -> Combination:
    """Return what several patterns of one crystal say together.

    Parameters
    ----------
    patterns
        Files, arrays or scans; each may hold one pattern or many, of any size.
    model
        A model, its bundled name, or its folder.
    method, independence, error_share
        See :class:`~napari_spacegroup.config.CombineSpec`.
    holder
        The specimen holder at the last pattern, for the tilts of the suggestions.
    axes
        How many low-index zone axes may be suggested.
    region
        Which pixels of a single scan, shape ``(scan_y, scan_x)``.
    device
        Torch device; see :func:`~.classify_scan.classify`.

    Raises
    ------
    ScanError
        If there is no pattern, or none that can be classified.
    ModelError
        If there is no such model.

    Examples
    --------
    >>> joint = combine(["001.png", "103.png"], "sad-cubic")  # doctest: +SKIP
    >>> joint.evidence.ranked()[0], joint.suggestions[0].axis  # doctest: +SKIP
    """
    network: Any = as_model(model, device)
    sources = _sources(patterns)
    if region is not None and len(sources) != 1:
        raise ScanError(f"a region needs one scan, got {len(sources)}; leave it out or give one")
    names: list[str] = []
    rows: list[NDArray[np.float32]] = []
    inputs: list[Any] = []
    for source in sources:
        scan = as_scan(source)
        chosen = np.arange(scan.n_patterns) if region is None else _region(region, scan)
        if len(chosen) + len(names) > MOST:
            raise ScanError(
                f"{len(chosen) + len(names)} patterns are no one crystal's; need at most {MOST}: "
                "give a region, or fewer files"
            )
        flat = np.asarray(scan.data.reshape((-1, *scan.pattern_shape))[chosen])
        ok = pattern_status(flat, scan.mask) == PixelStatus.OK
        if not ok.any():
            continue
        options = {"static_background": scan.static_background, "mask": scan.mask}
        rows.append(network.predict(flat[ok], **options))
        names += [scan.name if len(flat) == 1 else f"{scan.name} {int(i)}" for i in chosen[ok]]
        if network.card.technique == "sad" and getattr(network.card.input, "kind", "") == "spots":
            inputs.append(network.prepare(flat[ok], mask=scan.mask).cpu())
    if not rows:
        raise ScanError("no pattern could be classified; all are constant, empty or not finite")
    if independence is None:
        independence = float(network.card.training.get("independence", 1.0))
    evidence = combine_probabilities(
        np.concatenate(rows), network.classes, method=method, independence=independence,
        error_share=error_share, names=names,
    )  # fmt: skip
    rotation, is_indexed = _orientation(inputs, len(names))
    suggestions: tuple[TiltSuggestion, ...] = ()
    if network.card.technique == "sad":
        suggestions = tuple(suggest_axes(
            evidence.classes, evidence.probabilities, rotation=rotation, holder=holder, axes=axes,
        ))  # fmt: skip
    return Combination(evidence, suggestions, rotation, is_indexed)


def _sources(patterns: Any) -> list[Any]:
    if isinstance(patterns, list | tuple):
        return list(patterns)
    return [patterns]


def _region(region: NDArray[np.bool_], scan: Any) -> NDArray[np.int64]:
    if region.shape != scan.scan_shape:
        raise ScanError(f"the region has shape {region.shape}, the scan {scan.scan_shape}")
    return np.flatnonzero(region)


def _orientation(
    inputs: list[Any], count: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """Return the last pattern's orientation, and which patterns a cubic lattice explains."""
    if not inputs:
        return None, np.zeros(count, bool)
    import torch

    from ..models.spot_indexing import SURE, index_cubic

    with torch.inference_mode():
        spots = torch.cat(inputs)[:, 0, :-1]
        found = index_cubic(spots[..., :2], spots[..., 2])
    is_indexed = (found.evidence > SURE).numpy()
    rotation = found.rotation[-1].double().numpy() if is_indexed[-1] else None
    return rotation, is_indexed


__all__ = ["Combination", "combine"]
