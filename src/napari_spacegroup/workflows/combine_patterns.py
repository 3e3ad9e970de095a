"""``combine``: several patterns of one crystal give joint evidence, and where to look next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import CalibrationSpec, HolderSpec
from ..errors import ScanError
from ..infer import CenterFinder, scan_center
from ..infer.combine import CombinedEvidence, combine_probabilities
from ..infer.map_start import with_wavelength
from ..infer.pixel_status import PixelStatus, pattern_status
from ..infer.tilt import TiltSuggestion, axes_along, cubic_misorientations, suggest_axes
from ..infer.view import PatternView, told_calibration
from .classify_scan import ScanLike, as_model, as_scan

if TYPE_CHECKING:
    from ..config import CombineMethod
    from ..models.model import Model

SAME_VIEW = 3.0
"""Orientations that are nearer [degrees] show the same spots: no new evidence but less noise."""

MOST = 4096
"""Patterns that are joined at most: more of one crystal say nothing new."""


@dataclass(frozen=True, eq=False)
class PatternEvidence:
    """What a model says of one pattern.

    Parameters
    ----------
    name
        Of the pattern.
    probabilities
        Shape ``(class,)``.
    rotation
        Crystal frame to picture, shape ``(3, 3)``; None where no cubic lattice explains the
        spots, and for other techniques.
    grain
        Names the region that it was taken from, in which the crystal lies in one way; empty for
        a pattern of its own.
    """

    name: str
    probabilities: NDArray[np.float32]
    rotation: NDArray[np.float64] | None = None
    grain: str = ""


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
    technique
        Of the model.
    """

    evidence: CombinedEvidence
    suggestions: tuple[TiltSuggestion, ...]
    rotation: NDArray[np.float64] | None
    is_indexed: NDArray[np.bool_]
    technique: str = "sad"

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
    calibration: CalibrationSpec | None = None,
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
    calibration
        What it says of center, camera constant and ellipse goes before what the scans say.
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
    found: list[PatternEvidence] = []
    for source in sources:
        if calibration is not None:
            source = as_scan(source).with_calibration(**calibration.given())
        found += pattern_evidence(source, network, region=region, most=MOST - len(found))
    if independence is None:
        independence = card_independence(network)
    return join_evidence(
        found, network.classes, technique=network.card.technique, method=method,
        independence=independence, error_share=error_share, holder=holder, axes=axes,
    )  # fmt: skip


def card_independence(network: Any) -> float:
    """Return what each further pattern adds, by a model's card; 1 where it does not say."""
    return float(network.card.training.get("independence", 1.0))


def pattern_evidence(
    source: ScanLike, network: Any, *, region: NDArray[np.bool_] | None = None, most: int = MOST
) -> list[PatternEvidence]:
    """Return what a model says of each pattern of a scan; dead ones are left out.

    Parameters
    ----------
    source
        A file, array or scan of one pattern or many.
    network
        A loaded model.
    region
        Which pixels, shape ``(scan_y, scan_x)``; all where None.
    most
        Patterns that are still one crystal's.

    Raises
    ------
    ScanError
        If there are more, or the region does not fit.
    """
    scan = as_scan(source)
    chosen = np.arange(scan.n_patterns) if region is None else _region(region, scan)
    if len(chosen) > most:
        raise ScanError(
            f"{len(chosen) + MOST - most} patterns are no one crystal's; need at most {MOST}: "
            "give a region, or fewer files"
        )
    if not len(chosen):
        return []
    flat = np.asarray(scan.data.reshape((-1, *scan.pattern_shape))[chosen])
    ok = pattern_status(flat, scan.mask) == PixelStatus.OK
    if not ok.any():
        return []
    names = [scan.name if scan.n_patterns == 1 else f"{scan.name} {int(i)}" for i in chosen[ok]]
    told = told_calibration(scan, network)
    calibration = {} if told is None else {"calibration": told}
    rows = network.predict(
        flat[ok], mask=scan.mask, **calibration, **_of_scan(scan, network, chosen[ok])
    )
    rotations: list[NDArray[np.float64] | None] = [None] * len(names)
    if network.card.technique == "sad" and getattr(network.card.input, "kind", "") == "spots":
        rotations = _orientations(network.prepare(flat[ok], mask=scan.mask, **calibration).cpu())
    grain = "" if region is None else f"{scan.name} {hash(region.tobytes())}"
    return [PatternEvidence(*each, grain) for each in zip(names, rows, rotations, strict=True)]


def join_evidence(
    patterns: Sequence[PatternEvidence],
    classes: Sequence[int],
    *,
    technique: str,
    method: CombineMethod = "bayes",
    independence: float = 1.0,
    error_share: float = 0.01,
    holder: HolderSpec | None = None,
    axes: int = 16,
) -> Combination:
    """Return what patterns of one crystal say together; the network is not asked again.

    Parameters
    ----------
    patterns
        In the order they count; the last one is how the crystal now lies.
    classes
        Space groups of the model that read them.
    technique
        Of that model; zone axes are suggested for ``"sad"``.
    method, independence, error_share
        See :class:`~napari_spacegroup.config.CombineSpec`.
    holder, axes
        As in :func:`combine`.

    Raises
    ------
    ScanError
        If there is no pattern.
    """
    if not patterns:
        raise ScanError("no pattern could be classified; all are constant, empty or not finite")
    evidence = combine_probabilities(
        np.stack([pattern.probabilities for pattern in patterns]), classes, method=method,
        independence=independence, error_share=error_share,
        names=[pattern.name for pattern in patterns], views=views_of(patterns),
    )  # fmt: skip
    rotation = patterns[-1].rotation
    suggestions: tuple[TiltSuggestion, ...] = ()
    if technique == "sad":
        suggestions = tuple(suggest_axes(
            evidence.classes, evidence.probabilities, rotation=rotation, holder=holder, axes=axes,
            seen=axes_along([p.rotation for p in patterns if p.rotation is not None], axes),
        ))  # fmt: skip
    is_indexed = np.array([pattern.rotation is not None for pattern in patterns])
    return Combination(evidence, suggestions, rotation, is_indexed, technique)


def views_of(patterns: Sequence[PatternEvidence]) -> list[int]:
    """Return a number per pattern, the same for those that show the crystal from one side.

    These are the patterns of one region, and those whose orientations differ by less than
    :data:`SAME_VIEW`.
    """
    found: list[int] = []
    grains: dict[str, int] = {}
    firsts: list[NDArray[np.float64]] = []
    numbers: list[int] = []
    for pattern in patterns:
        view = grains.get(pattern.grain) if pattern.grain else None
        if view is None and pattern.rotation is not None:
            near = cubic_misorientations(firsts, pattern.rotation) < SAME_VIEW
            view = numbers[int(near.argmax())] if near.any() else None
        if view is None:
            view = max(found, default=-1) + 1
            if pattern.rotation is not None:
                firsts.append(pattern.rotation)
                numbers.append(view)
        if pattern.grain:
            grains[pattern.grain] = view
        found.append(view)
    return found


def _sources(patterns: Any) -> list[Any]:
    if isinstance(patterns, list | tuple):
        return list(patterns)
    return [patterns]


def _region(region: NDArray[np.bool_], scan: Any) -> NDArray[np.int64]:
    if region.shape != scan.scan_shape:
        raise ScanError(f"the region has shape {region.shape}, the scan {scan.scan_shape}")
    return np.flatnonzero(region)


def _of_scan(scan: Any, network: Any, chosen: NDArray[np.int64]) -> dict[str, Any]:
    """Return what a model is told of a scan besides its patterns."""
    told: dict[str, Any] = {"static_background": scan.static_background}
    if isinstance(network, CenterFinder) and network.needs_pattern_center:
        card: Any = network.card  # type: ignore[attr-defined]
        centers = scan_center(scan, network, card.sha256).centers
        told["pattern_center"] = centers if centers.ndim == 1 else centers[chosen]
    if scan.axis is not None:
        told["axis"] = with_wavelength(PatternView(axis=scan.axis), network)[0].axis
    return told


def _orientations(inputs: Any) -> list[NDArray[np.float64] | None]:
    """Return crystal frame to picture of spot patterns; None where no cubic lattice fits."""
    import torch

    from ..models.spot_indexing import SURE, index_cubic

    with torch.inference_mode():
        spots = inputs[:, 0, :-1]
        found = index_cubic(spots[..., :2], spots[..., 2])
    return [
        rotation.double().numpy() if evidence > SURE else None
        for rotation, evidence in zip(found.rotation, found.evidence, strict=True)
    ]


__all__ = [
    "Combination",
    "PatternEvidence",
    "card_independence",
    "combine",
    "join_evidence",
    "pattern_evidence",
    "views_of",
]
