"""Between the pattern that is shown and its calibration by hand.

Runs on the main thread and holds no widget. Spots and lattices are looked for on a helper thread
while the marks move; *Use for this scan* writes the calibration into the scan behind the layer.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from ..config import CalibrationSpec
from ..errors import SpaceGroupError
from ..patterns.calibrated import FILE_CALIBRATION, check_center
from .aide import Aide, Answer
from .bridge import Bridge
from .calibrate_state import CalibrateState, SeenSpots
from .calibration_marks import CalibrationMarks
from .describe import axis_name
from .layers import set_calibration
from .present import NAVIGATION_SUFFIX

if TYPE_CHECKING:
    import napari.layers
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from ..infer import FoundCalibration, PatternMeasurement
    from ..patterns import PatternScan
    from .inspect_pattern import PatternController

MEASURE, FIND = "measure", "find"


class CalibrateController:
    """Move marks, measure with them, and give them to the scan.

    Parameters
    ----------
    viewer
        Kept weakly.
    state
        What the dock shows.
    pattern
        Knows which layer, scan and pixel are shown.
    """

    used = Signal()
    """A scan has another calibration now."""

    def __init__(self, viewer: Viewer, state: CalibrateState, pattern: PatternController) -> None:
        self._viewer = weakref.ref(viewer)
        self.state = state
        self._pattern = pattern
        self._bridge = Bridge(self._deliver)
        self._aide = Aide(self._bridge.post)
        self._layer: weakref.ref[napari.layers.Layer] | None = None
        self._puts_ring = self._is_measured = False
        state.events.is_on.connect(self._on_switch)
        state.events.marks.connect(self._on_marks)
        pattern.state.events.view.connect(self._on_view)

    def close(self, timeout: float = 0.0) -> None:
        """End the helper thread; calibrating again starts another."""
        self.state.is_on = False
        self._aide.close(timeout)

    def find(self) -> None:
        """Look for center and ellipse in the scan's own patterns."""
        current = self._pattern.current()
        if current is None or self.state.is_finding:
            return
        scan = current[1]

        def question() -> FoundCalibration:
            from ..infer import find_calibration

            return find_calibration(scan)

        self.state.is_finding = True
        self.state.say("")
        self._aide.ask(FIND, question)

    def reset(self) -> None:
        """Put the marks back to what the file says; the rest is found."""
        current = self._pattern.current()
        if current is not None:
            self._take(current[1], current[1].metadata.get(FILE_CALIBRATION))
            self.state.say("As the file has it")

    def use(self) -> None:
        """Write the calibration into the scan, for all that comes."""
        current, marks = self._pattern.current(), self.state.marks
        if current is None or marks is None:
            return
        layer, scan, _ = current
        try:
            calibration = marks.calibration()
            check_center(calibration, scan.pattern_shape, scan.name)
        except SpaceGroupError as error:
            self.state.say(str(error), is_alert=True)
            return
        told = None if calibration == CalibrationSpec() else calibration
        for each in self._companions(layer):
            set_calibration(each, told)
        self.state.in_use = True
        self.state.say("In use: classify, combine and tilts go by it")
        self._pattern.refresh()
        self.used.emit()

    def _companions(self, layer: napari.layers.Layer) -> list[napari.layers.Layer]:
        """Return a layer, and where it is a stack or its navigation image the other one too."""
        viewer = self._viewer()
        stem = layer.name.removesuffix(NAVIGATION_SUFFIX)
        others = [] if viewer is None else list(viewer.layers)
        names = {stem, stem + NAVIGATION_SUFFIX} - {layer.name}
        return [layer, *(other for other in others if other.name in names
                         and getattr(other, "data", None) is not None
                         and other._type_string == "image")]  # fmt: skip

    def _on_switch(self, is_on: bool) -> None:
        self._layer = None
        if is_on:
            self.state.say("")
            self._on_view()
        else:
            self._aide.forget(MEASURE)
            self._aide.forget(FIND)
            self.state.is_finding = False
            self.state.marks = self.state.spots = None

    def _on_view(self, *_: Any) -> None:
        """Follow to another pattern; another scan has marks of its own."""
        current, state = self._pattern.current(), self.state
        if not state.is_on:
            return
        if current is None:
            state.marks = state.spots = None
            return
        layer, scan, _ = current
        if self._layer is None or self._layer() is not layer or state.marks is None:
            self._layer = weakref.ref(layer)
            state.is_single = scan.n_patterns == 1
            self._aide.forget(FIND)
            state.is_finding = False
            state.say("")
            self._take(scan, scan.calibration)
        else:
            self._measure()

    def _take(self, scan: PatternScan, calibration: CalibrationSpec | None) -> None:
        # The ring goes through the strongest spot once the spots are known.
        self._puts_ring = True
        self.state.spots = None
        marks = CalibrationMarks.of(calibration, scan.pattern_shape, is_fixed=False)
        if marks == self.state.marks:
            self._on_marks()
        self.state.marks = marks

    def _on_marks(self, *_: Any) -> None:
        current, marks = self._pattern.current(), self.state.marks
        if current is None or marks is None:
            return
        told = current[1].calibration or CalibrationSpec()
        try:
            self.state.in_use = marks.calibration() == told
        except SpaceGroupError:
            self.state.in_use = False
        if not self._is_measured:
            self._measure()

    def _measure(self) -> None:
        current, marks, view = self._pattern.current(), self.state.marks, self._pattern.state.view
        if current is None or marks is None or view is None:
            return
        measured, mask = view.measured, view.mask

        def question() -> PatternMeasurement:
            from ..infer import measure_pattern

            return measure_pattern(measured, mask=mask, calibration=marks.calibration())

        self._aide.ask(MEASURE, question)

    def _deliver(self, values: list[Any]) -> None:
        for answer in values:
            if not isinstance(answer, Answer) or not self._aide.is_latest(answer):
                continue
            if answer.kind == FIND:
                self._on_found(answer)
            elif answer.error is not None:
                self.state.spots = None
                self.state.say(f"Nothing can be measured: {answer.error}", is_alert=True)
            elif self.state.marks is not None:
                self._on_measured(answer.value, self.state.marks)

    def _on_measured(self, found: PatternMeasurement, marks: CalibrationMarks) -> None:
        moved = marks
        if not marks.is_fixed:
            moved = replace(moved, center=found.center)
        if self._puts_ring and len(found.spots):
            moved = moved.with_ring_through(*found.spots[0].tolist())
        self._puts_ring = False
        self.state.spots = seen_spots(found)
        if moved != marks:
            # What was measured holds for the moved marks too: no second look.
            self._is_measured = True
            self.state.marks = moved
            self._is_measured = False

    def _on_found(self, answer: Answer) -> None:
        self.state.is_finding = False
        marks = self.state.marks
        if answer.error is not None:
            self.state.say(str(answer.error), is_alert=True)
            return
        if marks is None:
            return
        found: FoundCalibration = answer.value
        ellipse = found.calibration.ellipse if found.views else marks.ellipse
        is_fixed = found.calibration.center is not None and not self.state.is_single
        center = found.center if is_fixed or self.state.is_single else marks.center
        self.state.marks = replace(marks, center=center, is_fixed=is_fixed, ellipse=ellipse)
        self.state.say(found.remark)


def seen_spots(found: PatternMeasurement) -> SeenSpots:
    """Return what was measured as the dock shows it."""
    count = len(found.spots)
    if found.hkl is None:
        none = np.zeros(count, bool)
        return SeenSpots(found.spots, none, f"{count} spots, no cubic lattice explains them")
    is_on: NDArray[np.bool_] = (found.hkl != 0).any(axis=1)
    parts = [f"{int(is_on.sum())} of {count} spots on a cubic lattice"]
    if found.lattice_parameter is not None:
        parts.append(f"a = {found.lattice_parameter:.3f} Å")
    if found.axis is not None:
        axis, angle = found.axis
        parts.append(f"{axis_name(axis)} {angle:.1f}° away".replace(" ", "\u00a0"))
    return SeenSpots(found.spots, is_on, ", ".join(parts))
