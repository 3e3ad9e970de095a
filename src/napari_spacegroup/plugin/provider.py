"""Where the docks get models and devices from; tests put a small model in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import SpaceGroupError
from .model_state import kind_of_model
from .state import Choice, Reasons, TickRow
from .workers import models_folder, ready_executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ..infer import SpaceGroupMap
    from ..jobs import CancelToken
    from ..jobs.events import Event
    from ..patterns import PatternScan
    from ..workflows.combine_patterns import Combination, PatternEvidence
    from ..workflows.follow_scan import FollowEvent

Purpose = Literal["classify", "inspect"]


class ModelProvider(Protocol):
    """What the docks ask of the rooms below; all methods may be slow, none needs a window."""

    def models(self) -> tuple[Choice, ...]:
        """Return the models at hand."""
        ...

    def devices(self) -> tuple[Choice, ...]:
        """Return the devices, those that can't be used with the reason."""
        ...

    def load(self, name: str, purpose: Purpose) -> Any:
        """Return a loaded model, the same object for the same name and purpose.

        A job may move its model to another device while the dock *Pattern* asks its own.
        """
        ...

    def empty_map(self, scan: PatternScan, model: Any) -> SpaceGroupMap:
        """Return the map of a scan before its first pixel."""
        ...

    def events(
        self, scan: PatternScan, model: Any, *, batch_size: int, device: str, cancel: CancelToken
    ) -> Iterable[Event]:
        """Return the events of a classification."""
        ...

    def follow(self, path: Path, model: Any, **options: Any) -> Iterable[FollowEvent]:
        """Return the events of following a scan."""
        ...

    def warm_up(self) -> None:
        """Start what jobs run on."""
        ...

    def network_view(
        self, model: Any, pattern: NDArray[Any], scan: PatternScan
    ) -> NDArray[np.float32]:
        """Return one pattern as the network sees it, shape ``(rows, columns)``."""
        ...

    def predict(self, model: Any, pattern: NDArray[Any], scan: PatternScan) -> NDArray[np.float32]:
        """Return the probabilities of one pattern, shape ``(class,)``."""
        ...

    def reasons(self, model: Any, pattern: NDArray[Any], scan: PatternScan) -> Reasons:
        """Return where the network looks for its answer to one pattern."""
        ...

    def ticks(
        self, model: Any, profile: NDArray[Any], scan: PatternScan
    ) -> tuple[tuple[TickRow, ...], NDArray[np.float64]]:
        """Return where the lines of the likeliest crystals lie on a profile.

        And the probabilities ``(class,)`` of the network and these cells together.
        """
        ...

    def evidence(
        self, model: Any, scan: PatternScan, region: NDArray[np.bool_] | None
    ) -> list[PatternEvidence]:
        """Return what the model says of each pattern of a scan, or of a region of it."""
        ...

    def join(self, model: Any, patterns: Sequence[PatternEvidence], **options: Any) -> Combination:
        """Return what patterns say together; ``options`` as for ``join_evidence``."""
        ...


class ZooProvider:
    """The models that are installed, run with torch."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, Purpose], tuple[str, Any]] = {}

    def models(self) -> tuple[Choice, ...]:
        """Return one's own models and the zoo's, those that can't be read with the reason."""
        from ..models import list_models

        mine = sorted(card.parent for card in models_folder().glob("*/card.json"))
        own = tuple(_model_choice(str(folder), folder.name) for folder in mine)
        return own + tuple(_model_choice(name) for name in list_models())

    def devices(self) -> tuple[Choice, ...]:
        """Return automatic, CPU, and each GPU that torch can use."""
        import torch

        found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        titles = [f"GPU {i}: {torch.cuda.get_device_name(i)}" for i in range(len(found))]
        if torch.backends.mps.is_available():
            found.append("mps")
            titles.append("GPU (Apple)")
        gpus = tuple(Choice(name, title) for name, title in zip(found, titles, strict=True))
        if not gpus:
            gpus = (Choice("cuda", "GPU", problem="torch finds no GPU on this machine."),)
        best = titles[0] if found else "the CPU"
        return (Choice("auto", "Automatic", f"Runs on {best}"), Choice("cpu", "CPU"), *gpus)

    def load(self, name: str, purpose: Purpose) -> Any:
        """Return a model of the zoo, loaded once for each purpose, and anew when it changed."""
        from ..models import load_model, show_model

        key, weights = (name, purpose), show_model(name).sha256
        if key not in self._loaded or self._loaded[key][0] != weights:
            self._loaded[key] = (weights, load_model(name))
        return self._loaded[key][1]

    def empty_map(self, scan: PatternScan, model: Any) -> SpaceGroupMap:
        """Return a map with every pixel pending, in the scan's frame and the model's classes."""
        from ..infer import empty_map

        return empty_map(scan, model)

    def events(
        self, scan: PatternScan, model: Any, *, batch_size: int, device: str, cancel: CancelToken
    ) -> Iterable[Event]:
        """Return the events of a classification in the worker process."""
        from ..workflows.classify_scan import classify_on

        return classify_on(
            ready_executor(), scan, model, cancel=cancel, batch_size=batch_size, device=device
        )

    def follow(self, path: Path, model: Any, **options: Any) -> Iterable[FollowEvent]:
        """Return the events of following a scan in the worker process."""
        from ..workflows.follow_scan import follow_on

        return follow_on(ready_executor(), path, model, **options)

    def warm_up(self) -> None:
        """Start the worker process, so that the first job need not wait for it."""
        ready_executor()

    def network_view(
        self, model: Any, pattern: NDArray[Any], scan: PatternScan
    ) -> NDArray[np.float32]:
        """Return the input that the model's own preprocessing makes."""
        inputs = model.prepare(
            _inside(pattern, scan)[None],
            static_background=scan.static_background,
            mask=scan.mask,
            **_told(scan, model),
        )
        seen = np.asarray(inputs[0, 0].cpu().numpy(), dtype=np.float32)
        is_spots = getattr(model.card.input, "kind", "") == "spots"
        return spots_picture(seen[:-1]) if is_spots else seen

    def predict(self, model: Any, pattern: NDArray[Any], scan: PatternScan) -> NDArray[np.float32]:
        """Return the model's calibrated probabilities."""
        found = model.predict(
            _inside(pattern, scan)[None],
            static_background=scan.static_background,
            mask=scan.mask,
            pattern_center=_mean_center(scan, model),
            **_told(scan, model),
        )
        return np.asarray(found[0], dtype=np.float32)

    def reasons(self, model: Any, pattern: NDArray[Any], scan: PatternScan) -> Reasons:
        """Return where the network looks for its likeliest class, and the zone axes there."""
        from ..infer.explain import explain_pattern

        found = explain_pattern(
            model,
            _inside(pattern, scan),
            static_background=scan.static_background,
            mask=scan.mask,
            pattern_center=_mean_center(scan, model),
        )
        rows, columns = pattern.shape
        side = min(rows, columns)
        top, left = (rows - side) // 2, (columns - side) // 2
        marks = tuple(
            (mark.name, (mark.x + 0.5 - left) / side, (mark.y + 0.5 - top) / side)
            for mark in found.zone_axes
        )
        inside = tuple(mark for mark in marks if 0 <= mark[1] <= 1 and 0 <= mark[2] <= 1)
        return Reasons(found.heat[top : top + side, left : left + side], inside)

    def ticks(
        self, model: Any, profile: NDArray[Any], scan: PatternScan
    ) -> tuple[tuple[TickRow, ...], NDArray[np.float64]]:
        """Return the lines of the likeliest crystals, whose cells are looked for."""
        from .ticks import tick_rows

        network = self.predict(model, profile, scan)
        return tick_rows(_axis(scan, model)["axis"], profile, model.classes, network)

    def evidence(
        self, model: Any, scan: PatternScan, region: NDArray[np.bool_] | None
    ) -> list[PatternEvidence]:
        """Return what the model says of each pattern, and how its crystal lies."""
        from ..workflows.combine_patterns import pattern_evidence

        return pattern_evidence(scan, model, region=region)

    def join(self, model: Any, patterns: Sequence[PatternEvidence], **options: Any) -> Combination:
        """Return what patterns say together, each further one counting as the card says."""
        from ..workflows.combine_patterns import card_independence, join_evidence

        independence = card_independence(model)
        return join_evidence(
            patterns, model.classes, technique=model.card.technique, independence=independence,
            **options,
        )  # fmt: skip


def spots_picture(spots: NDArray[np.float32], side: int = 160) -> NDArray[np.float32]:
    """Return spots as a picture: what a network that reads a list of them is told.

    Parameters
    ----------
    spots
        x to the right, y up over the pattern's side, strength, ..., shape ``(n, >= 3)``.
    side
        Of the picture [pixels].
    """
    step = (np.arange(side) + 0.5) / side - 0.5
    picture = np.zeros((side, side), np.float32)
    for x, y, strength in spots[spots[:, 2] > 0, :3]:
        distance = (step[None] - x) ** 2 + (-step[:, None] - y) ** 2
        picture += np.float32(max(strength, 0.02) ** 0.4) * np.exp(-distance / 0.011**2)
    return picture


def _mean_center(scan: PatternScan, model: Any) -> NDArray[np.float64] | None:
    """Return the scan's mean pattern center: the docks look at a pattern without its pixel."""
    from ..infer import CenterFinder, scan_center

    if not isinstance(model, CenterFinder) or not model.needs_pattern_center:
        return None
    center = scan_center(scan, model, model.card.sha256)  # type: ignore[attr-defined]
    mean: NDArray[np.float64] = center.centers.reshape(-1, 3).mean(0)
    return mean


def _told(scan: PatternScan, model: Any) -> dict[str, Any]:
    """Return what a model is told of profiles and of spots besides the pattern."""
    from ..infer.view import told_calibration

    calibration = told_calibration(scan, model)
    known = {} if calibration is None else {"calibration": calibration}
    return _axis(scan, model) | known


def _axis(scan: PatternScan, model: Any) -> dict[str, Any]:
    """Return what a model is told of the columns of profiles; nothing for pictures."""
    if scan.axis is None:
        return {}
    from ..infer.map_start import with_wavelength
    from ..infer.view import PatternView

    view, _ = with_wavelength(PatternView(axis=scan.axis), model)
    return {"axis": view.axis}


def _inside(pattern: NDArray[Any], scan: PatternScan) -> NDArray[Any]:
    """Return a pattern without the NaN that some files have outside the screen."""
    if scan.mask is not None and pattern.dtype.kind == "f":
        pattern = np.where(scan.mask, pattern, pattern.dtype.type(0))
    return np.ascontiguousarray(pattern)


def _model_choice(name: str, title: str = "") -> Choice:
    from ..models import find_model, show_model
    from ..models.zoo import BUNDLED
    from .describe import classes_line

    try:
        card = show_model(name)
    except SpaceGroupError as error:
        return Choice(name, title or name, problem=str(error))
    shown = classes_line(card.classes, getattr(card, "finest_level", "space_group"))
    detail = f"{card.technique.upper()}: {shown}"
    is_own = find_model(name).parent != BUNDLED
    return Choice(name, title or name, detail, kind=kind_of_model(card), is_own=is_own)


_factory: Callable[[], ModelProvider] = ZooProvider


def make_provider() -> ModelProvider:
    """Return the provider for a new viewer."""
    return _factory()


def set_provider(factory: Callable[[], ModelProvider] | None) -> None:
    """Put another provider in place, or the usual one with None; for tests and embedding."""
    global _factory
    _factory = ZooProvider if factory is None else factory
