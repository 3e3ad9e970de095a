"""Master patterns: the intensity that a crystal sends in every direction.

One value class and one function for all simulators. Training, the command line and the
plugin ask :func:`simulate_master` and never a simulator itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ResultError, SpecError
from .spec import DynamicalSpec, KinematicSpec, master_spec

if TYPE_CHECKING:
    from ..crystal.phase import Phase

log = logging.getLogger(__name__)

FILE_FORMAT = "napari-spacegroup master pattern"
FILE_VERSION = 1


@dataclass(frozen=True, eq=False)
class MasterPattern:
    """Intensity on the sphere of directions, in the square Lambert projection.

    Parameters
    ----------
    data
        Shape ``(n_energy, 2, n, n)``, float32, upper hemisphere first, rows along y;
        arbitrary units, the same for all energies.
    energies
        Mean exit energy of each bin [keV], shape ``(n_energy,)``.
    weights
        What each energy is multiplied by in :meth:`weighted`, shape ``(n_energy,)``.
    phase_name
        Name of the crystal.
    space_group
        Its number, 1 to 230.
    lattice
        ``(a, b, c, alpha, beta, gamma)`` [Å, degrees].
    is_centrosymmetric
        Whether the crystal has an inversion center, so that one hemisphere is enough.
    spec
        What was asked for; none for a pattern read from another program's file.
    provenance
        Versions of the programs, and what they report.
    """

    data: NDArray[np.float32]
    energies: NDArray[np.float64]
    weights: NDArray[np.float64]
    phase_name: str
    space_group: int
    lattice: tuple[float, float, float, float, float, float]
    is_centrosymmetric: bool
    spec: KinematicSpec | DynamicalSpec | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.data.shape
        if self.data.ndim != 4 or shape[1] != 2 or shape[2] != shape[3] or shape[2] % 2 == 0:
            raise SpecError(
                f"a master pattern has shape {shape}; it must be "
                "(energies, 2 hemispheres, n, n) with odd n"
            )
        if len(self.energies) != shape[0] or len(self.weights) != shape[0]:
            raise SpecError(
                f"{shape[0]} master patterns came with {len(self.energies)} energies and "
                f"{len(self.weights)} weights; give one of each per pattern"
            )

    @property
    def half_size(self) -> int:
        """Return ``(n - 1) / 2`` of the grid."""
        return (int(self.data.shape[-1]) - 1) // 2

    def weighted(self) -> NDArray[np.float32]:
        """Return the pattern summed over energies, shape ``(2, n, n)``."""
        share = self.weights / self.weights.sum()
        total: NDArray[np.float32] = np.tensordot(share, self.data, axes=1).astype(np.float32)
        return total

    def to_kikuchipy(self, *, weighted: bool = True) -> Any:
        """Return a ``kikuchipy.signals.EBSDMasterPattern`` of both hemispheres.

        Parameters
        ----------
        weighted
            Sum over energies. Otherwise the signal has an energy axis, evenly spaced, as
            hyperspy's axes are.
        """
        import kikuchipy as kp
        from diffpy.structure import Lattice, Structure
        from orix.crystal_map import Phase as OrixPhase

        phase = OrixPhase(
            name=self.phase_name,
            space_group=self.space_group,
            structure=Structure(lattice=Lattice(*self.lattice)),
        )
        data = self.weighted() if weighted else np.moveaxis(self.data, 1, 0).copy()
        if not weighted and len(self.energies) == 1:
            data = data[:, 0]
        side = self.data.shape[-1]
        axes: list[dict[str, Any]] = [{"size": 2, "name": "hemisphere"}]
        if data.ndim == 4:
            step = float(np.ptp(self.energies)) / (len(self.energies) - 1)
            axes.append(
                {
                    "size": len(self.energies),
                    "name": "energy",
                    "scale": step,
                    "offset": float(self.energies[0]),
                    "units": "keV",
                }
            )
        for name in ("height", "width"):
            axes.append({"size": side, "name": name, "offset": -(side // 2), "units": "px"})
        return kp.signals.EBSDMasterPattern(
            data, axes=axes, phase=phase, hemisphere="both", projection="lambert"
        )

    def save(self, path: str | Path) -> None:
        """Write the pattern to an HDF5 file, whole or not at all.

        Raises
        ------
        ResultError
            If the file can't be written; what stood there before is still there.
        """
        import h5py

        path = Path(path)
        data = np.ascontiguousarray(self.data, dtype=np.float32)
        temporary: str | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".partial")
            os.close(handle)
            with h5py.File(temporary, "w") as file:
                file.create_dataset("data", data=data)
                file.create_dataset("energies", data=self.energies)
                file["energies"].attrs["unit"] = "keV"
                file.create_dataset("weights", data=self.weights)
                file.attrs.update(
                    {
                        "format": FILE_FORMAT,
                        "version": FILE_VERSION,
                        "axes": "energy, hemisphere (upper, lower), y, x; square Lambert",
                        "phase_name": self.phase_name,
                        "space_group": self.space_group,
                        "lattice": np.array(self.lattice),
                        "is_centrosymmetric": self.is_centrosymmetric,
                        "spec": "" if self.spec is None else self.spec.model_dump_json(),
                        "provenance": json.dumps(dict(self.provenance)),
                        "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
                    }
                )
            Path(temporary).replace(path)
        except OSError as error:
            raise ResultError(
                f"can't write the master pattern to {path}: {error}; "
                "check that the folder exists, is writable and has space"
            ) from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> MasterPattern:
        """Return the pattern that :meth:`save` wrote.

        Raises
        ------
        ResultError
            If the file is missing, truncated, of another kind or damaged.
        """
        import h5py

        path = Path(path)
        try:
            with h5py.File(path, "r") as file:
                found = file.attrs.get("format", "none")
                if found != FILE_FORMAT or int(file.attrs["version"]) > FILE_VERSION:
                    raise ResultError(
                        f"{path} has format {found!r}; need {FILE_FORMAT!r}, at most version "
                        f"{FILE_VERSION}. EMsoft and ebsdsim files are read by read_master"
                    )
                data = file["data"][()]
                attributes = dict(file.attrs)
                energies, weights = file["energies"][()], file["weights"][()]
            if hashlib.sha256(data.tobytes()).hexdigest() != attributes["sha256"]:
                raise ResultError(
                    f"the master pattern in {path} does not match its checksum: the file is "
                    "damaged; delete it and simulate again"
                )
            lattice = tuple(float(x) for x in attributes["lattice"])
            spec = str(attributes["spec"])
            return cls(
                data,
                energies,
                weights,
                str(attributes["phase_name"]),
                int(attributes["space_group"]),
                (lattice[0], lattice[1], lattice[2], lattice[3], lattice[4], lattice[5]),
                bool(attributes["is_centrosymmetric"]),
                master_spec(spec) if spec else None,
                json.loads(str(attributes["provenance"])),
            )
        except ResultError:
            raise
        except (OSError, KeyError, ValueError, IndexError, RuntimeError) as error:
            raise ResultError(
                f"can't read a master pattern from {path}: {error}; "
                "the file is missing, truncated or of another kind"
            ) from error


def simulate_master(
    phase: Phase,
    spec: KinematicSpec | DynamicalSpec,
    *,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> MasterPattern:
    """Return the master pattern of a crystal.

    Parameters
    ----------
    phase
        The crystal.
    spec
        Which simulator, and how fine.
    device
        A torch device, for the dynamical simulator.
    on_progress
        Called with (energies done, energies in all); what it raises ends the simulation.

    Raises
    ------
    MissingPartError
        If the simulator is not installed.
    """
    if isinstance(spec, KinematicSpec):
        from .kinematic import simulate_kinematic

        data = simulate_kinematic(phase, spec)[None]
        energies, weights = np.array([spec.voltage]), np.ones(1)
        provenance = versions("diffsims", "kikuchipy")
        if on_progress is not None:
            on_progress(1, 1)
    else:
        data, energies, weights, provenance = _simulate_dynamical(phase, spec, device, on_progress)
    return MasterPattern(
        data,
        energies,
        weights,
        phase.name,
        phase.space_group,
        phase.lattice,
        bool(phase.operations.is_centrosymmetric()),
        spec,
        provenance,
    )


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package, and of this one."""
    found = {}
    for name in ("napari-spacegroup", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _simulate_dynamical(
    phase: Phase,
    spec: DynamicalSpec,
    device: str,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], dict[str, str]]:
    from .dynamical import STRONG_CUTOFFS, simulate_dynamical
    from .montecarlo import simulate_depths

    depths = simulate_depths(
        phase,
        voltage=spec.voltage,
        energy_range=spec.energy_range,
        energy_bins=spec.energy_bins,
        sample_tilt=spec.sample_tilt,
        electrons=spec.electrons,
        seed=spec.seed,
        device=device,
    )
    energies = np.asarray(depths.energies_kev, dtype=np.float64)
    counts = depths.accum_z.sum(axis=(1, 2, 3)).astype(np.float64)
    data, plans = simulate_dynamical(
        phase,
        energies,
        voltage=spec.voltage,
        half_size=spec.half_size,
        d_min=spec.d_min,
        max_strong=np.inf if spec.max_strong is None else spec.max_strong,
        sample_tilt=spec.sample_tilt,
        device=device,
        on_progress=on_progress,
        ladder=STRONG_CUTOFFS if spec.cutoffs is None else (spec.cutoffs,),
        depths=depths,
        precision=spec.precision,
    )
    weights = counts / counts.sum() if spec.weighting == "emsoft" else np.ones(len(counts))
    provenance = versions("de-ebsd", "torch")
    provenance["cutoffs"] = str([plan.cutoffs for plan in plans])
    provenance["mean strong beams"] = str([round(plan.mean_strong, 1) for plan in plans])
    provenance["backscatter yield"] = f"{counts.sum() / depths.n_total:.4f}"
    return data, energies, weights, provenance


def renamed(master: MasterPattern, name: str) -> MasterPattern:
    """Return the same pattern under another phase name."""
    return master if master.phase_name == name else replace(master, phase_name=name)
