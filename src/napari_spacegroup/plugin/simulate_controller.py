"""Between the choices of the dock *Simulate*, a master pattern, and what is drawn from it.

Runs on the main thread and holds no widget. The master pattern is made in the worker
process; patterns are drawn from it on a helper thread, the latest wish first, so that a
slider never waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config.master import DynamicalSpec, KinematicSpec
from ..errors import SpaceGroupError
from ..jobs import CancelToken, Executor, JobState
from ..jobs.events import Done, Event, Failed, Progress
from .aide import Aide, Answer
from .bridge import Bridge
from .clock import Clock
from .running import JobController, JobEvent
from .simulate_state import SimulateState
from .state import PatternState, PatternView

if TYPE_CHECKING:
    from ..config import EbsdViewSpec
    from ..crystal.phase import Phase
    from ..simulate.masters import MasterPattern

_log = logging.getLogger(__name__)

DRAW, MATCH, SEARCH, CLEAN = "draw", "match", "search", "clean"
PAUSE_MS = 350
"""Rest after a change of the voltage before a kinematic master pattern is made anew."""

DRAWS_PER_SECOND = 40


@dataclass(frozen=True)
class Match:
    """How well a pattern matches, or why that is not known."""

    value: float | None
    why_not: str = ""


class SimulateController(JobController):
    """Simulate patterns for one viewer.

    Parameters
    ----------
    state
        What the dock shows.
    pattern_state
        Which measured pattern counts.
    executor
        Gives the executor that jobs run on, on the job's own thread.
    """

    state: SimulateState

    def __init__(
        self, state: SimulateState, pattern_state: PatternState, executor: Callable[[], Executor]
    ) -> None:
        super().__init__(state, Bridge(self._deliver, DRAWS_PER_SECOND))
        self._executor = executor
        self._aide = Aide(self._bridge.post)
        self._seeker = Aide(self._bridge.post)
        self._pattern_state = pattern_state
        self._master: MasterPattern | None = None
        self._sheets: NDArray[np.float32] | None = None
        self._asked: tuple[Any, ...] = ()
        self._held: tuple[Any, ...] = ()
        self._is_open = False
        self._clock = Clock(self.simulate)
        state.events.view.connect(self._redraw)
        for name in ("phase", "method", "voltage"):
            getattr(state.events, name).connect(self._on_wish)
        pattern_state.events.view.connect(self._on_measured)

    @property
    def master(self) -> MasterPattern | None:
        """The master pattern that is drawn from, or None."""
        return self._master

    def open(self) -> None:
        """Follow the cursor, because a dock shows the patterns."""
        self._is_open = True
        self._on_measured()

    def choose(self, name: str) -> None:
        """Take a phase of the library."""
        from ..crystal.library import library_entries

        entry = next((e for e in library_entries() if e.name == name), None)
        if entry is not None:
            self._take(entry.phase(), entry.reference)

    def open_cif(self, path: Path) -> None:
        """Take the phase of a CIF file."""
        from ..crystal.phase import Phase

        try:
            phase = Phase.from_cif(path)
        except (SpaceGroupError, OSError) as error:
            self.state.say(str(error), is_alert=True)
            return
        self._take(phase, path.name)

    def look(self, **changes: Any) -> None:
        """Change the view; what is out of bounds is refused with a message."""
        try:
            self.state.view = self.state.view.replace(**changes)
        except SpaceGroupError as error:
            self.state.say(str(error), is_alert=True)

    def simulate(self) -> None:
        """Make the master pattern of the present choices, or take it from the cache."""
        self._clock.stop()
        state, phase = self.state, self.state.phase
        if phase is None:
            state.say(state.why_not_simulate, is_alert=True)
            return
        self._asked = self._wish()
        try:
            spec = master_spec_for(phase, state.method, state.voltage)
        except SpaceGroupError as error:
            state.say(str(error), is_alert=True)
            return
        state.done, state.total = 0, 0
        state.say("Starting the worker process")

        def job(cancel: CancelToken) -> Iterable[Event]:
            # Here, on the job's thread: this imports torch.
            from ..workflows.master_job import master_task

            return self._executor().run(master_task(phase, spec), cancel)

        self.run(job, "master pattern")

    def cancel(self) -> None:
        """Stop; the pattern before stays."""
        if self.state.is_busy:
            self.abandon()
            self.state.say("Cancelled")

    def take_scan_geometry(self) -> None:
        """Take screen, pattern center, tilts and voltage of the measured pattern's scan."""
        shown = self._pattern_state.view
        if shown is None or shown.geometry is None:
            return
        from ..config.ebsd_view import LARGEST

        geometry, shape = shown.geometry, shown.measured.shape
        shrink = max(1, -(-max(shape) // LARGEST))
        x, y, z = (float(value) for value in geometry.mean_pattern_center)
        self.look(
            shape=(shape[0] // shrink, shape[1] // shrink),
            pattern_center_x=x,
            pattern_center_y=y,
            pattern_center_z=z,
            sample_tilt=geometry.sample_tilt,
            detector_tilt=geometry.detector_tilt,
            azimuthal=geometry.azimuthal,
        )
        if geometry.voltage is not None:
            self.state.voltage = float(geometry.voltage)

    def search(self) -> None:
        """Look for the orientation at which the pattern matches the measured one best."""
        state, sheets, shown = self.state, self._sheets, self._pattern_state.view
        why = state.why_not_search
        if why or sheets is None or shown is None or self._master is None:
            state.say(why, is_alert=True)
            return
        view, number = state.view, self._master.space_group

        def question() -> Any:
            from ..simulate.orient import find_orientation

            return find_orientation(sheets, number, view, flat_field(shown), shown.mask)

        state.is_searching = True
        state.say("Looking for the orientation")
        self._seeker.ask(SEARCH, question)

    def facts(self) -> dict[str, Any]:
        """Return what a layer of the present pattern is tagged with, plain values only."""
        from .._version import __version__

        state, master = self.state, self._master
        if master is None or state.drawn is None:
            return {}
        return {
            "technique": state.technique,
            "phase": master.phase_name,
            "space_group": master.space_group,
            "lattice": list(master.lattice),
            "reference": state.reference,
            "master": None if master.spec is None else master.spec.model_dump(mode="json"),
            "view": state.view.model_dump(mode="json"),
            "version": __version__,
        }

    def on_abandoned(self) -> None:
        """Show that the job was left behind."""
        super().on_abandoned()
        self._show_staleness()

    def close(self, timeout: float = 0.0) -> None:
        """End the job and the helper thread; the dock may be opened again."""
        self._is_open = False
        self._clock.stop()
        self.abandon(timeout)
        self.state.is_searching = False
        self._aide.close(timeout)
        self._seeker.close(timeout)

    def _take(self, phase: Phase, reference: str) -> None:
        self.state.reference = reference
        self.state.say("")
        self.state.phase = phase

    def _wish(self) -> tuple[Any, ...]:
        return self.state.phase, self.state.method, self.state.voltage

    def _on_wish(self, *_: Any) -> None:
        state = self.state
        if self._held and self._held[0] is not state.phase:
            # The picture of another crystal would be taken for this one's.
            self._sheets = self._master = None
            self._held = ()
            state.drawn, state.drawn_of, state.match = None, "", None
        self._show_staleness()
        if state.phase is None or not state.is_stale:
            return
        if state.method == "kinematic":
            self.abandon()
            self._clock.start(PAUSE_MS)
        elif state.is_busy and self._asked != self._wish():
            self.cancel()

    def _show_staleness(self) -> None:
        self.state.is_stale = self.state.phase is not None and self._held != self._wish()

    def _on_measured(self, *_: Any) -> None:
        shown, state = self._pattern_state.view, self.state
        if not self._is_open:
            return
        if shown is None:
            self._aide.forget(CLEAN)
            state.measured = None
        else:
            self._aide.ask(CLEAN, lambda: cleaned(shown))
        state.has_scan_geometry = shown is not None and shown.geometry is not None
        name = "" if shown is None else f"row {shown.scan_y}, column {shown.scan_x}"
        state.measured_name = name
        self._redraw()

    def _redraw(self, *_: Any) -> None:
        sheets, view, shown = self._sheets, self.state.view, self._pattern_state.view
        if sheets is None or not self._is_open:
            return

        self._aide.ask(DRAW, lambda: draw(sheets, view))
        self._aide.ask(MATCH, lambda: match(sheets, view, shown))

    def _deliver(self, values: list[Any]) -> None:
        for event in self.latest([value for value in values if isinstance(value, JobEvent)]):
            self._on_event(event)
        for answer in values:
            if not isinstance(answer, Answer):
                continue
            aide = self._seeker if answer.kind == SEARCH else self._aide
            if not aide.is_latest(answer):
                continue
            if answer.kind == SEARCH:
                self._on_found(answer)
            elif answer.error is not None:
                self.state.say(f"The pattern can't be drawn: {answer.error}", is_alert=True)
            elif answer.kind == CLEAN:
                self.state.measured = answer.value
            elif answer.kind == MATCH:
                self.state.why_no_match = answer.value.why_not
                self.state.match = answer.value.value
            else:
                self.state.drawn = answer.value

    def _on_found(self, answer: Answer) -> None:
        state = self.state
        state.is_searching = False
        if answer.error is not None:
            state.say(f"No orientation was found: {answer.error}", is_alert=True)
            return
        state.say("")
        phi1, capital_phi, phi2 = answer.value.euler
        self.look(phi1=phi1, capital_phi=capital_phi, phi2=phi2)

    def _on_event(self, event: Any) -> None:
        state = self.state
        if isinstance(event, Progress):
            state.done, state.total = event.done, event.total
            state.say(event.message)
        elif isinstance(event, Failed):
            state.say(str(event.error) or type(event.error).__name__, is_alert=True)
        elif isinstance(event, Done) and event.result is not None:
            self._on_master(event.result)
        elif isinstance(event, JobState) and (event is JobState.RUNNING or event.is_final):
            state.job = event

    def _on_master(self, master: MasterPattern) -> None:
        state = self.state
        count = 1 if master.is_centrosymmetric else 2
        self._sheets = np.ascontiguousarray(master.weighted()[:count])
        self._master, self._held = master, self._asked
        method = "kinematic" if self._asked[1] == "kinematic" else "dynamical"
        state.drawn_of = f"{master.phase_name}, {method}, {self._asked[2]:g} kV"
        self._show_staleness()
        state.say("")
        self._redraw()


def draw(sheets: NDArray[np.float32], view: EbsdViewSpec) -> NDArray[np.float32]:
    """Return a pattern; runs on a helper thread."""
    from ..simulate.single import draw_ebsd, one_thread

    with one_thread():
        return draw_ebsd(sheets, view)


def match(sheets: NDArray[np.float32], view: EbsdViewSpec, shown: PatternView | None) -> Match:
    """Return how well a pattern matches the measured one; runs on a helper thread."""
    from ..simulate.single import correlation, draw_ebsd, has_same_aspect, one_thread

    if shown is None:
        return Match(None, "Point at a pixel of a scan to compare.")
    if not has_same_aspect(view.shape, shown.measured.shape):
        rows, columns = shown.measured.shape
        return Match(None, f"Give the screen the shape of the measured one, {rows} × {columns}.")
    with one_thread():
        pattern = draw_ebsd(sheets, view)
        return Match(correlation(pattern, flat_field(shown), shown.mask))


def flat_field(shown: PatternView) -> NDArray[np.float32]:
    """Return a measured pattern without the static background of its scan."""
    measured = np.asarray(shown.measured, dtype=np.float32)
    if shown.static_background is None:
        return measured
    background = np.asarray(shown.static_background, dtype=np.float32)
    mean = float(np.nanmean(background))
    safe = np.where(background > 0.02 * mean, background, np.float32(mean))
    return np.asarray(measured / safe, dtype=np.float32)


def cleaned(shown: PatternView) -> NDArray[np.float32]:
    """Return a measured pattern as it is compared, at most 240 rows; on a helper thread."""
    from ..simulate.single import comparable, one_thread

    rows, columns = shown.measured.shape
    shape = (min(rows, 240), max(8, round(min(rows, 240) * columns / rows)))
    with one_thread():
        flat: NDArray[np.float32] = comparable(flat_field(shown), shape, shown.mask).numpy()
    return flat.reshape(shape)


def master_spec_for(phase: Phase, method: str, voltage: float) -> KinematicSpec | DynamicalSpec:
    """Return how the dock simulates a phase: coarser where the cell is large.

    Parameters
    ----------
    method
        ``"kinematic"`` or ``"dynamical"``.
    voltage
        Beam energy [kV].
    """
    volume = phase.volume
    if method == "kinematic":
        fineness = 0.7 if volume < 200 else 0.9 if volume < 800 else 1.2
        return KinematicSpec(voltage=voltage, d_min=fineness)
    d_min = 0.5 if volume < 100 else 0.6 if volume < 400 else 0.8
    return DynamicalSpec(
        voltage=voltage, d_min=d_min, half_size=100, energy_bins=3, electrons=20_000, max_strong=60
    )
