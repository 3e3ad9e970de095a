"""The pattern center that a scan is classified with: the file's, checked, or a found one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..patterns.geometry import Geometry
from ..patterns.scan import PatternScan
from .pixel_status import PixelStatus, pattern_status

_log = logging.getLogger(__name__)

SAMPLE = 24
"""Patterns, spread over the scan, that the center is found from."""

EXPLAINED = 0.2
"""Explained share below which nothing cubic was recognised; noise reaches 0.1."""

SURE = 0.27
"""The same where the center adapts to a single pattern; noise reaches 0.2 there."""


class Found(Protocol):
    """A pattern center and how much of the patterns it explains."""

    @property
    def center(self) -> Any:
        """Fractions of the detector, Bruker's convention, shape ``(3,)``."""
        ...

    @property
    def score(self) -> float:
        """Explained share, 0 to 1."""
        ...

    @property
    def start_score(self) -> float:
        """The same at the center that the file states; NaN without one."""
        ...

    @property
    def scores(self) -> Any:
        """The share of each pattern, shape ``(n,)``."""
        ...


@runtime_checkable
class CenterFinder(Protocol):
    """A model whose answer depends on the pattern center."""

    @property
    def needs_pattern_center(self) -> bool:
        """Whether it does."""
        ...

    def find_pattern_center(
        self,
        patterns: NDArray[Any],
        *,
        static_background: NDArray[Any] | None = None,
        mask: NDArray[Any] | None = None,
        start: NDArray[np.float64] | None = None,
    ) -> Found:
        """Return the center that explains the patterns best."""
        ...


@dataclass(frozen=True, eq=False)
class ScanCenter:
    """Pattern centers of a scan, and where they come from.

    Parameters
    ----------
    centers
        Fractions of the detector, Bruker's convention, shape ``(3,)``, or ``(n, 3)`` for
        one per scan pixel, row by row.
    source
        ``"file"``, ``"file, refined"``, ``"found"``, ``"found one by one"`` or ``"given"``.
    explained
        Share of the sampled patterns that the model explains with it, 0 to 1; NaN for
        a given one, which nobody checked.
    shift
        What was added to the centers of the file, shape ``(3,)``; None if they are not used.
    """

    centers: NDArray[np.float64]
    source: str
    explained: float
    shift: NDArray[np.float64] | None = None

    def of(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the centers of a run of scan pixels, shape ``(3,)`` or ``(n, 3)``."""
        return self.centers if self.centers.ndim == 1 else self.centers[start:stop]

    def sentence(self) -> str:
        """Return what a person should know about it."""
        x, y, z = self.centers.reshape(-1, 3).mean(0)
        how = {
            "file": "Pattern center of the file",
            "file, refined": "Pattern center of the file, refined",
            "found": "Pattern center found from the patterns",
            "found one by one": "Pattern centers found from the patterns one by one, on average",
            "given": "Pattern center as given",
        }[self.source]
        text = f"{how}: ({x:.3f}, {y:.3f}, {z:.3f}), Bruker's convention"
        if self.explained < EXPLAINED:
            text += (
                f"; the model explains only {self.explained:.0%} of the patterns with it: few are "
                "of crystals that it is for, or they are too noisy, or the center is wrong"
            )
        return text


_known: WeakKeyDictionary[PatternScan, dict[str, ScanCenter]] = WeakKeyDictionary()


def scan_center(scan: PatternScan, model: CenterFinder, key: str = "") -> ScanCenter:
    """Return the pattern center that a model should use for a scan.

    It is looked for once for each scan and model. What the file says is refined with up to
    24 patterns, and set aside where another center explains them much better: pattern
    centers in another convention than the file claims are common, and silent.

    Parameters
    ----------
    scan
        The patterns.
    model
        Has the orientation search.
    key
        Tells models apart, such as the checksum of their weights.
    """
    known = _known.setdefault(scan, {})
    if key not in known:
        known[key] = _look(scan, model)
    return known[key]


def _look(scan: PatternScan, model: CenterFinder) -> ScanCenter:
    places, sample = _sample(scan)
    options = {"static_background": scan.static_background, "mask": scan.mask}
    center, scores = _decide(sample, model, scan.geometry, name=scan.name, **options)
    is_small = scan.n_patterns <= SAMPLE
    if center.source != "found" or scan.geometry is not None or not is_small or len(sample) < 2:
        return center
    # A small stack may be pictures of several microscopes rather than a scan.
    every = np.tile(center.centers, (scan.n_patterns, 1))
    best = scores.copy()
    for i in np.flatnonzero(scores < EXPLAINED):
        alone = model.find_pattern_center(sample[i : i + 1], start=None, **options)
        if alone.score >= SURE and alone.score > scores[i]:
            every[places[i]] = np.asarray(alone.center, dtype=np.float64)
            best[i] = alone.score
    if (best == scores).all():
        return center
    return ScanCenter(every, "found one by one", float(best.mean()))


def decide_center(
    sample: NDArray[Any],
    model: CenterFinder,
    geometry: Geometry | None,
    *,
    static_background: NDArray[Any] | None = None,
    mask: NDArray[np.bool_] | None = None,
    name: str = "the scan",
) -> ScanCenter:
    """Return the center that a sample of patterns and the file's geometry speak for.

    The same rule for a finished scan and for the first patterns of one that has begun.

    Parameters
    ----------
    sample
        Up to 24 patterns that can be classified, shape ``(n, detector_y, detector_x)``.
    model
        Has the orientation search.
    geometry
        What the file says, or None.
    static_background, mask
        As for the model.
    name
        Of the scan, for messages.
    """
    options = {"static_background": static_background, "mask": mask}
    return _decide(sample, model, geometry, name=name, **options)[0]


def _decide(
    sample: NDArray[Any],
    model: CenterFinder,
    geometry: Geometry | None,
    *,
    name: str,
    **options: Any,
) -> tuple[ScanCenter, NDArray[np.float64]]:
    """Return the center, and the explained share of each pattern, shape ``(n,)``."""
    stated = None if geometry is None else geometry.mean_pattern_center
    if len(sample) == 0:
        fallback = np.array([0.5, 0.3, 0.6]) if stated is None else stated
        source = "file" if stated is not None else "found"
        return ScanCenter(fallback, source, 0.0), np.zeros(0)
    found = model.find_pattern_center(sample, start=stated, **options)
    scores = _plain_scores(found, len(sample))
    center = np.asarray(found.center, dtype=np.float64)
    if stated is None or geometry is None:
        return ScanCenter(center, "found", found.score), scores
    move = np.abs(center - stated).max()
    if found.score <= max(1.05 * found.start_score, EXPLAINED) and move < 0.1:
        stated_all = geometry.pattern_center.reshape(-1, 3)
        own = stated_all if geometry.is_per_pixel else stated
        return ScanCenter(own, "file", found.start_score, np.zeros(3)), scores
    if move < 0.1:
        shift = center - stated
        every = geometry.pattern_center.reshape(-1, 3) + shift
        own = every if geometry.is_per_pixel else center
        return ScanCenter(own, "file, refined", found.score, shift), scores
    _log.warning(
        "%s: the file's pattern center (%.3f, %.3f, %.3f) explains %.0f %% of the patterns, "
        "(%.3f, %.3f, %.3f) explains %.0f %%; the latter is used",
        name, *stated, 100 * found.start_score, *center, 100 * found.score,
    )  # fmt: skip
    return ScanCenter(center, "found", found.score), scores


def _plain_scores(found: Found, count: int) -> NDArray[np.float64]:
    scores = found.scores
    if scores is None:
        return np.full(count, np.nan)
    if hasattr(scores, "cpu"):  # a tensor, perhaps on a GPU
        scores = scores.cpu()
    return np.asarray(scores, dtype=np.float64)[:count]


def _sample(scan: PatternScan) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return patterns that are spread over the scan and can be classified, and their places."""
    present = None if scan.present is None else scan.present.ravel()
    count = scan.n_patterns
    places = np.unique(np.linspace(0, count - 1, min(2 * SAMPLE, count)).astype(np.int64))
    chosen, kept = [], []
    for place in places:
        if present is not None and not present[place]:
            continue
        pattern = scan.pattern(*divmod(int(place), scan.scan_shape[1]))
        if pattern_status(pattern[None], scan.mask)[0] == PixelStatus.OK:
            if scan.mask is not None and pattern.dtype.kind == "f":
                pattern = np.where(scan.mask, pattern, pattern.dtype.type(0))
            chosen.append(pattern)
            kept.append(place)
    step = max(1, len(chosen) // SAMPLE)
    taken = slice(0, SAMPLE * step, step)
    return np.array(kept[taken], dtype=np.int64), np.array(chosen[taken])
