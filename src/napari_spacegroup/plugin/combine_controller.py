"""Between a viewer and the dock *Combine*: which patterns count, and what they say together.

Runs on the main thread and holds no widget. Patterns are read, and joined, on a helper thread;
what the network said of each is kept, so that a tick asks it nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SpaceGroupError
from .aide import Aide, Answer
from .bridge import Bridge
from .combine_model import CombineModel
from .combine_sources import Joined, Reading, Source, read_source
from .combine_state import AxisRow, CombineState, EvidenceRow
from .describe import axis_name, name_of, percent, rank, summed
from .layers import LayerFrame
from .regions import (
    patterns_behind,
    patterns_of_layer,
    region_layer,
    region_mask,
    start_region,
    why_not_patterns,
)
from .state import Bar, Choice

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from numpy.typing import NDArray

    from ..config import HolderSpec
    from ..infer.tilt import TiltSuggestion
    from ..workflows.combine_patterns import PatternEvidence
    from .inspect_pattern import PatternController
    from .model_follower import ModelFollower
    from .provider import ModelProvider

READ, JOIN = "read", "join"
MOST_AXES = 8


class CombineController:
    """Collect patterns of one crystal and join what the model says of them.

    Parameters
    ----------
    viewer
        Kept weakly.
    state
        What the dock shows.
    pattern
        Knows which scan and pixel are shown.
    models
        The model and the level of the other docks.
    provider
        Models.
    """

    def __init__(
        self,
        viewer: Viewer,
        state: CombineState,
        pattern: PatternController,
        models: ModelFollower,
        provider: ModelProvider,
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self.state = state
        self._pattern = pattern
        self._map_state = models.state
        self.model = CombineModel(state, models)
        self._provider = provider
        self._bridge = Bridge(self._deliver)
        self._aide = Aide(self._bridge.post)
        self._sources: dict[int, Source] = {}
        self._found: dict[int, list[PatternEvidence]] = {}
        self._joined: Joined | None = None
        self._keys = count(1)
        self._is_open = False
        viewer.layers.selection.events.changed.connect(self._look_around)
        viewer.layers.events.inserted.connect(self._look_around)
        viewer.layers.events.removed.connect(self._look_around)
        pattern.state.events.view.connect(self._look_around)
        state.events.model.connect(self.read_again)
        models.state.events.level.connect(self._show)
        for name in ("method", "alpha", "beta", "axis", "reach"):
            getattr(state.events, name).connect(self._join)

    def open(self) -> None:
        """Look at what could be added, because a dock asks."""
        self._is_open = True
        self._look_around()
        self.read_again()

    def close(self, timeout: float = 0.0) -> None:
        """End the helper thread; the dock may be opened again."""
        self._is_open = False
        self._aide.close(timeout)

    # --- what the buttons do --------------------------------------------------------

    def add_pattern(self) -> None:
        """Add the pattern that the dock *Pattern* shows, or would show."""
        found = self._pattern.current()
        if found is None:
            self.state.say(self.state.why_not_pattern, is_alert=True)
            return
        layer, scan, (row, column) = found
        region = np.zeros(scan.scan_shape, bool)
        region[row, column] = True
        name = f"{scan.name} ({row}, {column})"
        self._add([Source(name, patterns_behind(layer, scan), region)])

    def add_layers(self) -> None:
        """Add every selected layer: one pattern of a photograph, all of a stack."""
        viewer = self._viewer()
        chosen = [] if viewer is None else self._selected(viewer)
        usable = [layer for layer in chosen if not why_not_patterns(layer)]
        if not usable:
            self.state.say(self.state.why_not_layers, is_alert=True)
            return
        try:
            scans = [patterns_of_layer(layer) for layer in usable]
        except SpaceGroupError as error:
            self.state.say(str(error), is_alert=True)
            return
        pairs = zip(usable, scans, strict=True)
        self._add([Source(scan.name, patterns_behind(layer, scan)) for layer, scan in pairs])

    def add_files(self, paths: Sequence[Path]) -> None:
        """Add files: photographs or scans."""
        from ..patterns import read

        self._add([Source(path.name, partial(read, path)) for path in paths])

    def draw_region(self) -> None:
        """Let the user draw around a crystal, or add what was drawn."""
        viewer, current = self._viewer(), self._pattern.current_scan()
        if viewer is None or current is None:
            self.state.say(self.state.why_not_region, is_alert=True)
            return
        layer, scan = current
        frame = LayerFrame.of_layer(layer)
        drawn = region_layer(viewer)
        if drawn is None or not len(drawn.data):
            start_region(viewer, frame)
            self.state.is_drawing = True
            self.state.say("Draw around one crystal, then press “Add region”.")
            return
        region = region_mask(drawn, frame, scan.scan_shape)
        if not region.any():
            self.state.say("No pixel of the scan lies in what was drawn.", is_alert=True)
            return
        drawn.mode = "pan_zoom"
        name = f"{scan.name}, {int(region.sum())} pixels"
        self._add([Source(name, patterns_behind(layer, scan), region)])
        drawn.data = []
        self.state.is_drawing = False
        viewer.layers.selection.active = layer

    def tick(self, key: int, is_ticked: bool) -> None:
        """Let one line count, or not."""
        self._change(key, is_ticked=is_ticked)
        self._join()

    def remove(self, key: int) -> None:
        """Forget one line."""
        self._sources.pop(key, None)
        self._found.pop(key, None)
        self._aide.forget(f"{READ} {key}")
        self.state.rows = tuple(row for row in self.state.rows if row.key != key)
        if not self.state.rows:
            self.model.clear()
        self._join()

    def clear(self) -> None:
        """Forget all lines."""
        for row in self.state.rows:
            self.remove(row.key)
        self.state.say("")

    # --- reading and joining --------------------------------------------------------

    def _add(self, sources: Sequence[Source]) -> None:
        self.state.say("")
        for source in sources:
            key = next(self._keys)
            self._sources[key] = source
            self.state.rows = (*self.state.rows, EvidenceRow(key, source.name))
            self._read(key)

    def _read(self, key: int) -> None:
        name = self.state.model
        if name and self._is_open:
            model = self.state.chosen("model") or Choice(name, name)
            question = partial(read_source, self._sources[key], self._provider, model)
            self._aide.ask(f"{READ} {key}", question)

    def read_again(self, *_: Any) -> None:
        """Read all lines again: another model or calibration, or the dock was opened again."""
        self._found.clear()
        self.state.rows = tuple(EvidenceRow(row.key, row.name, is_ticked=row.is_ticked)
                                for row in self.state.rows)  # fmt: skip
        self._join()
        for row in self.state.rows:
            self._read(row.key)

    def _join(self, *_: Any) -> None:
        state, provider, model = self.state, self._provider, self.state.model
        read = {row.key: self._found[row.key] for row in state.rows if self._found.get(row.key)}
        ticked = [row.key for row in state.rows if row.is_ticked and row.key in read]
        if not read or not model:
            self._aide.forget(JOIN)
            self._joined = None
            self._show()
            return
        try:
            holder = self._holder()
        except SpaceGroupError as error:
            state.say(str(error), is_alert=True)
            return
        if state.is_alert:
            state.say("")
        method = state.method

        def question() -> Joined:
            loaded = provider.load(model, "inspect")
            join = partial(provider.join, loaded, method=method)
            alone = {key: join(found, axes=0).evidence.probabilities
                     for key, found in read.items()}  # fmt: skip
            patterns = [pattern for key in ticked for pattern in read[key]]
            ends = dict(zip(ticked, accumulate(len(read[key]) for key in ticked), strict=True))
            joint = join(patterns, holder=holder) if patterns else None
            return Joined(joint, ends, alone, tuple(loaded.classes))

        self._aide.ask(JOIN, question)

    def _holder(self) -> HolderSpec:
        from ..config import HolderSpec

        state = self.state
        return HolderSpec.from_mapping(
            {"alpha": state.alpha, "beta": state.beta, "axis": state.axis,
             "alpha_range": (-state.reach, state.reach),
             "beta_range": (-state.reach, state.reach)},
            "the holder",
        )  # fmt: skip

    def _deliver(self, values: list[Any]) -> None:
        for answer in values:
            if not isinstance(answer, Answer) or not self._aide.is_latest(answer):
                continue
            if answer.kind == JOIN:
                if answer.error is not None:
                    self.state.say(f"They can't be joined: {answer.error}", is_alert=True)
                    continue
                self._joined = answer.value
                self._show()
            else:
                self._on_read(int(answer.kind.split()[1]), answer)

    def _on_read(self, key: int, answer: Answer) -> None:
        if key not in self._sources:
            return
        reading = answer.value or Reading()
        if self.model.read(reading.kind):
            return  # another model reads all of them now
        found = reading.patterns
        problem = reading.problem if answer.error is None else str(answer.error)
        if not found and not problem:
            problem = "No pattern could be read: constant, empty or not finite."
        indexed = None
        if any(pattern.rotation is not None for pattern in found):
            indexed = sum(pattern.rotation is not None for pattern in found)
        self._found[key] = found
        self._change(key, count=len(found), indexed=indexed, problem=problem)
        self._join()

    def _change(self, key: int, **changes: Any) -> None:
        self.state.rows = tuple(
            replace(row, **changes) if row.key == key else row for row in self.state.rows
        )

    # --- what is shown --------------------------------------------------------------

    def _show(self, *_: Any) -> None:
        state, level, joined = self.state, self._map_state.level, self._joined
        joint = None if joined is None else joined.combination
        steps = None if joint is None else joint.evidence.steps

        def best(row: NDArray[Any] | None) -> Bar | None:
            if row is None or joined is None:
                return None
            return rank(*summed(row.astype(np.float32), joined.classes, level), level, 1)[0]

        rows = []
        for row in state.rows:
            end = None if joined is None else joined.ends.get(row.key)
            so_far = None if steps is None or end is None else steps[end - 1]
            alone = None if joined is None else joined.alone.get(row.key)
            rows.append(replace(row, alone=best(alone), joint=best(so_far)))
        state.rows = tuple(rows)
        if joint is None or joined is None:
            state.bars, state.verdict, state.axes, state.has_axes = (), "", (), False
            return
        found = joint.evidence.probabilities
        state.bars = rank(*summed(found.astype(np.float32), joined.classes, level), level)
        top, number = state.bars[0], len(joint.evidence.names)
        counted = "1 pattern" if number == 1 else f"{number} patterns"
        state.verdict = f"{name_of(top, level)}, {percent(top.probability)} from {counted}"
        state.axes = tuple(axis_row(axis) for axis in joint.suggestions[:MOST_AXES])
        state.has_axes = joint.technique == "sad"

    def _selected(self, viewer: Viewer) -> list[Any]:
        """Return the selected layers in the order of the list, the lowest first."""
        chosen = viewer.layers.selection
        return [layer for layer in viewer.layers if layer in chosen]

    def _look_around(self, *_: Any) -> None:
        viewer, state = self._viewer(), self.state
        if viewer is None or not self._is_open:
            return
        scan = self._pattern.current_scan()
        state.why_not_region = "" if scan is not None else "Open a scan and select its layer."
        no_pixel = "Point at a pixel of a scan, or click to pin one."
        state.why_not_pattern = "" if self._pattern.current() is not None else no_pixel
        chosen = self._selected(viewer)
        problems = [why_not_patterns(layer) for layer in chosen]
        if any(not problem for problem in problems):
            state.why_not_layers = ""
        else:
            state.why_not_layers = problems[0] if problems else "Select layers with patterns."
        if state.is_drawing and region_layer(viewer) is None:
            state.is_drawing = False


def axis_row(found: TiltSuggestion) -> AxisRow:
    """Return a suggestion as the dock shows it."""
    name = axis_name(found.axis)
    parts = " | ".join(" ".join(str(group) for group in part) for part in found.splits)
    detail = f"Tells apart {parts}"
    if found.other is not None:
        alpha, beta = found.other
        detail += (
            f". If the crystal lies turned by 180°, which one pattern along a zone axis leaves "
            f"open: α {alpha:.1f}°, β {beta:.1f}°"
        )
    return AxisRow(name, found.gain, found.alpha, found.beta, found.angle, detail)
