"""``microscope``: a scan of a known sample, written while you watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..config import SimulatedMicroscopeSpec
from ..crystal.phase import Phase
from ..errors import CancelledError, PhaseError, SpecError
from ..jobs import CancelToken, Done, Event, Log, Progress
from ..simulate import MasterCache, MasterFailed, MasterPattern, simulate_many
from ..stream.microscope import MicroscopeReport, SimulatedMicroscope, save_truth
from ..stream.order import ScanOrder
from ..stream.polycrystal import (
    PatternMaker,
    PatternStore,
    grow_polycrystal,
    quick_master_spec,
    read_phases,
)

TRUTH_SUFFIX = ".truth.h5"
SUFFIXES = {"up1": ".up1", "up2": ".up2", "ebsp": ".ebsp", "hdf5": ".h5", "zarr": ".zarr"}
"""What the name of an output must end in, because readers go by it."""


def prepare_microscope(
    spec: SimulatedMicroscopeSpec | str | Path,
    out: str | Path,
    *,
    cancel: CancelToken | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> SimulatedMicroscope:
    """Return a simulated microscope whose patterns are drawn and whose truth is written.

    Parameters
    ----------
    spec
        A spec, or the YAML file of one.
    out
        What it will write: a file, or a folder for images and NORDIF. Beside it comes
        ``out.truth.h5``: space group, phase, grain, Euler angles (Bunge, degrees) and
        quaternion of every pixel, and the pattern center.
    cancel
        Ends the preparation.
    on_event
        Called with ``Progress`` events.

    Returns
    -------
    microscope
        Call ``run`` for a real rate, ``advance`` to go step by step.

    Raises
    ------
    PhaseError
        If a phase can't be read or simulated.
    SpecError
        If the name of the output does not fit its format.
    ResultError
        If it can't be written.
    CancelledError
        If it was cancelled.
    """
    if not isinstance(spec, SimulatedMicroscopeSpec):
        spec = SimulatedMicroscopeSpec.from_yaml(spec)
    out = Path(out)
    suffix = SUFFIXES.get(spec.format)
    if suffix is not None and out.suffix.lower() != suffix:
        raise SpecError(
            f"{out.name} can't be a file of format {spec.format!r}; need a name that ends in "
            f"{suffix}"
        )
    cancel = cancel or CancelToken()

    def tell(event: Event) -> None:
        cancel.raise_if_cancelled()
        if on_event is not None:
            on_event(event)

    phases = read_phases(spec.phases)
    masters = _masters(spec, phases, cancel, tell)
    crystal = grow_polycrystal(spec.scan_shape, spec.grains, len(phases), spec.seed)
    maker = PatternMaker(spec, crystal, masters)
    order = ScanOrder(spec.scan_order)
    pixels = order.pixel_of(np.arange(spec.n_patterns, dtype=np.int64), spec.scan_shape)
    store = PatternStore(maker, pixels)
    store.prepare(lambda done, total: tell(Progress(done, total, "drawing patterns")))
    microscope = SimulatedMicroscope(
        spec, out, store.get, dtype=maker.dtype, background=maker.static_background(),
        voltage=20.0 if spec.master is None else spec.master.voltage,
    )  # fmt: skip
    save_truth(truth_path(out), microscope, _truth(phases, crystal))
    return microscope


def run_microscope(
    spec: SimulatedMicroscopeSpec | str | Path,
    out: str | Path,
    *,
    cancel: CancelToken | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> MicroscopeReport:
    """Simulate a scan and write it at a real rate, with the faults of the spec.

    Takes and raises what :func:`prepare_microscope` does. When the run is over, the
    truth file also says what became of each pixel.

    Returns
    -------
    report
        How many patterns were written, and at which rate really.
    """
    cancel = cancel or CancelToken()
    microscope = prepare_microscope(spec, out, cancel=cancel, on_event=on_event)

    def show(done: int, total: int) -> None:
        if on_event is not None:
            on_event(Progress(done, total, "scanning"))

    report = microscope.run(cancel, show)
    _save_states(truth_path(out), microscope)
    if on_event is not None:
        on_event(
            Log(
                f"wrote {report.written} patterns in {report.seconds:.2f} s: {report.rate:.0f} per "
                f"second, {microscope.spec.rate:g} were asked for"
            )
        )
    return report


def truth_path(out: str | Path) -> Path:
    """Return where the truth of a simulated scan stands."""
    out = Path(out)
    return out.with_name(out.name + TRUTH_SUFFIX)


def _save_states(path: Path, microscope: SimulatedMicroscope) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        file["state"][...] = microscope.state.reshape(microscope.spec.scan_shape)
        file.attrs["restarts"] = microscope.generation


def _truth(phases: list[Phase], crystal: Any) -> dict[str, Any]:
    from orix.quaternion import Rotation

    quaternions = crystal.orientations[crystal.grain]
    euler = Rotation(crystal.orientations).to_euler(degrees=True)[crystal.grain]
    space_groups = np.array([phase.space_group for phase in phases], dtype=np.int16)
    return {
        "space_group": space_groups[crystal.phase],
        "phase": crystal.phase,
        "grain": crystal.grain,
        "quaternion": quaternions,
        "euler": euler,
        "phase_space_group": space_groups,
        "phase_names": json.dumps([phase.name for phase in phases]),
    }


def _masters(
    spec: SimulatedMicroscopeSpec,
    phases: list[Phase],
    cancel: CancelToken,
    tell: Callable[[Event], None],
) -> list[MasterPattern]:
    master = quick_master_spec() if spec.master is None else spec.master
    device = "cpu" if spec.device == "auto" else spec.device
    results: list[MasterPattern] = []
    events = simulate_many(
        phases, master, scheduler="synchronous", device=device, cache=MasterCache(), cancel=cancel
    )
    for event in events:
        if isinstance(event, MasterFailed):
            raise PhaseError(f"{event.phase_name} could not be simulated: {event.error}")
        if isinstance(event, Progress):
            tell(event)
        if isinstance(event, Done):
            if event.is_cancelled:
                raise CancelledError("the simulation was cancelled; nothing was written")
            results = list(event.result)
    return results
