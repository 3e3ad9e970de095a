"""What the docks show, as evented models that know neither Qt nor napari nor torch.

Widgets bind to these models both ways and compute nothing, so a dock can be rebuilt from
its model and the model can be tested without a window. One :class:`MapState` and one
:class:`PatternState` belong to each viewer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from ..jobs import JobState
from .job_state import DockState
from .model_state import why_not

if TYPE_CHECKING:
    from ..imaging import ProfileAxis
    from ..infer import LegendRow
    from ..patterns.geometry import Geometry
    from .model_state import PatternKind

EMPTY_HINT = (
    "Open a scan: File ▸ Open File(s), or try File ▸ Open Sample. "
    "Any image layer that holds a stack of patterns will do as well."
)


@dataclass(frozen=True)
class Choice:
    """One entry of a combo box.

    Attributes
    ----------
    key
        What the program calls it.
    label
        What the user reads.
    detail
        One line that the hint below the box shows.
    problem
        Why it can't be chosen; empty if it can.
    kind
        Of a scan or model: what patterns it holds or is for; None for what suits all.
    is_own
        Whether it is a model that the user trained.
    """

    key: str
    label: str
    detail: str = ""
    problem: str = ""
    kind: PatternKind | None = None
    is_own: bool = False


@dataclass
class MapState(DockState):
    """Everything that the dock *Space-group map* shows.

    Attributes
    ----------
    layers, layer
        Layers that could be classified, and the key of the chosen one.
    models, model, devices, device
        The same for models and devices.
    model_note
        That the model was chosen by itself, and for what; empty if it was not.
    places, place
        The same for where jobs run.
    batch_size
        Patterns per forward pass.
    job, done, total, message
        State of the job, patterns done of a total, and one line about it.
    is_alert
        Whether the message says that something went wrong.
    levels, level, threshold
        Symmetry level shown, and the least confidence for which a pixel is named.
    legend
        Rows of the legend in step with the map layer; the first ones cover most pixels.
    map_name
        Name of the map layer that legend, level and threshold refer to; empty if none.
    hover
        One line about the pixel under the cursor.
    is_live
        Whether a scan that is being written is followed.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    layers: tuple[Choice, ...] = ()
    layer: str = ""
    models: tuple[Choice, ...] = ()
    model: str = ""
    model_note: str = ""
    devices: tuple[Choice, ...] = (Choice("auto", "Automatic", "A GPU if there is one"),)
    device: str = "auto"
    places: tuple[Choice, ...] = ()
    place: str = ""
    batch_size: int = 64
    job: JobState = JobState.IDLE
    done: int = 0
    total: int = 0
    message: str = ""
    is_alert: bool = False
    levels: tuple[Choice, ...] = ()
    level: str = "space_group"
    threshold: float = 0.0
    legend: tuple[LegendRow, ...] = ()
    map_name: str = ""
    hover: str = ""
    is_live: bool = False

    @property
    def hint(self) -> str:
        """What to do next, while there is nothing to classify; else empty."""
        return "" if self.layers else EMPTY_HINT

    @property
    def why_not_classify(self) -> str:
        """Why the main button is disabled; empty if it is not."""
        if self.is_busy:
            return "A classification is running: wait for it or cancel it."
        if self.is_live:
            return "A scan is being followed: stop that in the dock Live first."
        if not self.layers:
            return "There is no scan yet."
        layer = self.chosen("layer")
        if layer is None:
            return "Choose a scan."
        if layer.problem:
            return layer.problem
        if not self.models:
            return "No model is installed: see “napari-spacegroup models list”."
        model = self.chosen("model")
        if model is None:
            return "Choose a model."
        if model.problem:
            return model.problem
        mismatch = why_not(model.label, model.kind, layer.kind)
        if mismatch:
            return mismatch
        device = self.chosen("device")
        return device.problem if device is not None else "Choose a device."

    @property
    def why_no_map(self) -> str:
        """Why level, threshold and saving are disabled; empty if they are not."""
        return "" if self.map_name else "There is no map yet."

    @property
    def why_not_save(self) -> str:
        """Why the map can't be saved; empty if it can."""
        if self.map_name and (self.is_busy or self.is_live):
            return "The map is still filling in: wait for it or cancel it."
        return self.why_no_map


@dataclass(frozen=True)
class Bar:
    """One candidate of a pattern.

    Attributes
    ----------
    symbol, number
        Name and 1-based index of the class at the shown level.
    probability
        From 0 to 1.
    color
        RGBA, each from 0 to 1; the colour of the class in the map.
    """

    symbol: str
    number: int
    probability: float
    color: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Reasons:
    """Where the network looked.

    Attributes
    ----------
    heat
        Importance from 0 to 1 on what the network sees, shape ``(rows, columns)``.
    marks
        Zone axes: name, and place in fractions of that picture from its left and top edge.
    """

    heat: NDArray[np.float32]
    marks: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class TickRow:
    """Where the lines of one crystal lie on a profile.

    Attributes
    ----------
    name
        Space group and cell.
    places
        In fractions of the profile from its first column, rising, shape ``(n,)``.
    color
        RGBA, each from 0 to 1; the colour of the space group in the map.
    """

    name: str
    places: NDArray[np.float64]
    color: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class PatternView:
    """One pattern of a scan as the dock *Pattern* shows it.

    Attributes
    ----------
    scan_name, scan_y, scan_x
        Which pattern.
    measured
        Shape ``(detector_y, detector_x)``, in the file's own unit.
    network
        Shape of the model's input, as the network sees it, or None.
    missing
        Why ``network`` is None; empty if it is not.
    bars
        At most five candidates, the likeliest first.
    verdict
        One line: the class, or why the pixel is unknown.
    reasons
        Where the network looked, if that was asked for.
    mask
        True inside the screen, shape of ``measured``, or None.
    geometry
        Of the screen for this pixel, or None where the scan does not know it.
    static_background
        Of the scan, shape of ``measured``, or None.
    ticks
        Of a profile: where the lines of its likeliest crystals lie, if that was asked for.
    can_calibrate
        Whether it is, or is taken for, a spot pattern.
    is_single
        Whether the scan is this pattern alone.
    axis
        Of a profile: what its columns stand for; None for a picture.
    model
        Name of the model that was asked; empty if none was.
    """

    scan_name: str
    scan_y: int
    scan_x: int
    measured: NDArray[np.generic]
    network: NDArray[np.float32] | None = None
    missing: str = ""
    bars: tuple[Bar, ...] = ()
    verdict: str = ""
    reasons: Reasons | None = None
    mask: NDArray[np.bool_] | None = None
    geometry: Geometry | None = None
    static_background: NDArray[np.generic] | None = None
    ticks: tuple[TickRow, ...] = ()
    can_calibrate: bool = False
    is_single: bool = False
    axis: ProfileAxis | None = None
    model: str = ""

    @property
    def seen_by(self) -> str:
        """What the picture of ``network`` is."""
        return f"As {self.model or 'the network'} sees it"


@dataclass
class PatternState:
    """Everything that the dock *Pattern* shows.

    Attributes
    ----------
    pinned
        ``(scan_y, scan_x)`` of the pinned pixel, or None to follow the cursor.
    view
        The pattern shown, or None.
    message
        What to do, or what went wrong, in one line.
    asks_why
        Whether to show where the network looked.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    asks_why: bool = False
    pinned: tuple[int, int] | None = None
    view: PatternView | None = field(default=None)
    message: str = EMPTY_HINT
