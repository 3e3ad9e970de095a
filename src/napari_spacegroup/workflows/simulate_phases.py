"""``simulate``: phases and a microscope give master patterns or EBSD patterns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import SimulateSpec, sad_condition
from ..config.simulate import (
    BlochIntensities,
    EbsdOutput,
    KinematicIntensities,
    SadOutput,
    TwoBeamIntensities,
)
from ..crystal.phase import Phase
from ..errors import CancelledError, PhaseError, SpecError
from ..infer.whole_file import whole_file
from ..jobs import CancelToken, Done, Event, Executor, Progress, as_executor
from ..jobs.executor import Kind
from ..learn.masterset import MasterRecord, MasterSet
from ..simulate import MasterCache, MasterFailed, MasterPattern, simulate_many

if TYPE_CHECKING:
    import torch

    from ..simulate.reflections import Reflections
    from ..simulate.spot_patterns import Scatter


def simulate(
    spec: SimulateSpec | str | Path,
    out: str | Path,
    *,
    executor: Executor | Kind | None = None,
    scheduler: str | None = None,
    cancel: CancelToken | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Path:
    """Simulate phases and write the result to one file.

    Parameters
    ----------
    spec
        A spec, or the YAML file of one.
    out
        ``.npz``: a set of master patterns that ``train`` takes, or EBSD or spot patterns
        with labels. ``.h5``: the master pattern of a single phase, all energies kept.
    executor, scheduler
        Where it runs; see :func:`napari_spacegroup.jobs.as_executor`. On dask each phase is
        a task; elsewhere ``spec.workers`` says how many processes work here.
    cancel
        Ends the simulation; nothing is written.
    on_event
        Called with ``Progress`` events.

    Returns
    -------
    out
        The file.

    Raises
    ------
    PhaseError
        If a phase can't be read or simulated.
    SpecError
        If the file type does not fit what is asked.
    ResultError
        If it can't be written.
    CancelledError
        If it was cancelled.
    """
    if not isinstance(spec, SimulateSpec):
        spec = SimulateSpec.from_yaml(spec)
    out = Path(out)
    phases = _read_phases(spec.phases)
    is_single = out.suffix in (".h5", ".hdf5")
    if is_single and (len(phases) > 1 or isinstance(spec.output, EbsdOutput | SadOutput)):
        raise SpecError(
            f"{out.name} can hold one master pattern; for {len(phases)} phases or for "
            "patterns give a name that ends in .npz"
        )
    if isinstance(spec.output, SadOutput):
        _write_spot_patterns(out, phases, spec.output, spec.seed, cancel or CancelToken())
        return out
    chosen, is_ours = as_executor(executor, scheduler)
    try:
        client = None if chosen.shares_memory else getattr(chosen, "client", None)
        masters = _masters(spec, phases, cancel or CancelToken(), on_event, client)
    finally:
        if is_ours:
            chosen.close()
    if is_single:
        masters[0].save(out)
        return out
    content = as_master_set(masters, spec.master.voltage)
    if isinstance(spec.output, EbsdOutput):
        _write_patterns(out, content, spec.output, spec.seed)
    else:
        with whole_file(out) as file:
            content.save(file)
    return out


def as_master_set(masters: Sequence[MasterPattern], voltage: float) -> MasterSet:
    """Return master patterns as a set to train on; ``voltage`` [kV] is noted with each."""
    arrays = [_hemispheres(m) for m in masters]
    records = [
        MasterRecord(
            m.phase_name,
            m.space_group,
            energy=float(m.energies @ m.weights) / float(m.weights.sum()),
            voltage=voltage,
        )
        for m in masters
    ]
    return MasterSet.from_arrays(arrays, records, size=arrays[0].shape[-1])


def _read_phases(paths: Sequence[Path]) -> list[Phase]:
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.cif")) if path.is_dir() else [path]
        if not found:
            raise PhaseError(f"no CIF file in {path}; give a folder with one CIF per phase")
        files += found
    return [Phase.from_cif(file) for file in files]


def _hemispheres(master: MasterPattern) -> NDArray[np.float32]:
    """Return one hemisphere where the other is its inverse, else both."""
    sheets: NDArray[np.float32] = np.asarray(master.weighted())
    count = 1 if master.is_centrosymmetric else 2
    kept: NDArray[np.float32] = sheets[:count]
    return kept


def _masters(
    spec: SimulateSpec,
    phases: Sequence[Phase],
    cancel: CancelToken,
    on_event: Callable[[Event], None] | None,
    client: Any = None,
) -> list[MasterPattern]:
    results: list[MasterPattern] = []
    device = "cpu" if spec.device == "auto" else spec.device
    scheduler = "synchronous" if spec.workers == 1 else "processes"
    events = simulate_many(
        phases, spec.master, scheduler=scheduler, workers=spec.workers, device=device,
        client=client, cache=MasterCache(), cancel=cancel,
    )  # fmt: skip
    for event in events:
        if isinstance(event, MasterFailed):
            raise PhaseError(f"{event.phase_name} could not be simulated: {event.error}")
        if isinstance(event, Progress) and on_event is not None:
            on_event(event)
        if isinstance(event, Done):
            if event.is_cancelled:
                raise CancelledError("the simulation was cancelled; nothing was written")
            results = list(event.result)
    return results


def _write_patterns(out: Path, masters: MasterSet, output: EbsdOutput, seed: int) -> None:
    import torch

    from ..imaging import InputContract
    from ..learn.batches import condition_batch

    generator = torch.Generator().manual_seed(seed)
    indices = torch.arange(len(masters)).repeat_interleave(output.patterns_per_phase)
    patterns = [
        condition_batch(masters, part, output.condition, InputContract(), generator).images.numpy()
        for part in indices.split(512)
    ]
    with whole_file(out) as file:
        np.savez(
            file,
            patterns=np.concatenate(patterns).astype(np.float32),
            space_groups=masters.space_groups[indices.numpy()].astype(np.int16),
            names=np.array([masters.records[int(i)].name for i in indices]),
            spec=json.dumps(output.model_dump(mode="json") | {"seed": seed}),
        )


def _write_spot_patterns(
    out: Path, phases: Sequence[Phase], output: SadOutput, seed: int, cancel: CancelToken
) -> None:
    import torch

    from ..simulate.reflections import simulate_reflections
    from ..simulate.spot_patterns import draw_patterns

    asked = sad_condition(output.condition).replace(zone_share=output.zone_share)
    generator = torch.Generator().manual_seed(seed)
    patterns, names, groups = [], [], []
    for phase in phases:
        crystal = simulate_reflections(phase, 1.3)
        scatter = _scatter_of(output.intensities, phase, crystal, generator)
        for start in range(0, output.patterns_per_phase, 64):
            if cancel.is_cancelled:
                raise CancelledError("the simulation was cancelled; nothing was written")
            count = min(64, output.patterns_per_phase - start)
            drawn = draw_patterns([crystal] * count, asked, generator, scatter=scatter)
            patterns.append(drawn.numpy())
            names += [phase.name] * count
            groups += [phase.space_group] * count
    with whole_file(out) as file:
        np.savez_compressed(
            file,
            patterns=np.concatenate(patterns).astype(np.float32),
            space_groups=np.array(groups, np.int16),
            names=np.array(names),
            spec=json.dumps(output.model_dump(mode="json") | {"seed": seed}),
        )


def _scatter_of(
    intensities: KinematicIntensities | TwoBeamIntensities | BlochIntensities,
    phase: Phase,
    crystal: Reflections,
    generator: torch.Generator,
) -> Scatter | None:
    """Return how spots get their intensities; none for kinematic ones."""
    from ..simulate.bloch import crystal_potential
    from ..simulate.thick_spots import bloch_scatter, two_beam_scatter

    if isinstance(intensities, TwoBeamIntensities):
        return two_beam_scatter(crystal, intensities.thickness, generator)
    if isinstance(intensities, BlochIntensities):
        return bloch_scatter(
            crystal_potential(phase), intensities.thickness, generator,
            absorption=intensities.absorption, max_beams=intensities.max_beams,
        )  # fmt: skip
    return None
