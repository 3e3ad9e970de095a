"""Read the master patterns of other programs, EMsoft's and ebsdsim's, through kikuchipy."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, ResultError
from .masters import MasterPattern, versions

log = logging.getLogger(__name__)


def read_master(path: str | Path) -> MasterPattern:
    """Return the master pattern in an EMsoft (``.h5``), ebsdsim (``.npz``) or own file.

    Both hemispheres are read. The energies are weighted by the file's own exit energy
    histogram; where it has none, they all weigh the same.

    Parameters
    ----------
    path
        The file; an EMsoft file that holds Monte Carlo data alone is refused.

    Raises
    ------
    ResultError
        If the file is missing or holds no EBSD master pattern.
    MissingPartError
        If kikuchipy, or for ``.npz`` ebsdsim, is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ResultError(f"there is no file {path}; give an EMsoft, ebsdsim or own master pattern")
    if _is_own(path):
        return MasterPattern.load(path)
    if path.suffix != ".npz":
        _require_emsoft(path)
    signal = _load(path, "upper" if path.suffix == ".npz" else "both")
    return from_kikuchipy(signal, weights=_histogram(path), source=path)


def from_kikuchipy(
    signal: Any, *, weights: NDArray[np.float64] | None = None, source: Path | None = None
) -> MasterPattern:
    """Return a ``kikuchipy.signals.EBSDMasterPattern`` as a :class:`MasterPattern`.

    Parameters
    ----------
    signal
        In the square Lambert projection, lazy or not; with both hemispheres, or one of a
        centrosymmetric crystal, of which the other is then the inversion image.
    weights
        One per energy; all the same if none are given.
    source
        The file that the signal is from, for the provenance and to read the second
        hemisphere.

    Raises
    ------
    ResultError
        If the projection, the phase or a hemisphere is missing.
    """
    phase = signal.phase
    if signal.projection != "lambert":
        raise ResultError(
            f"the master pattern is in the {signal.projection} projection; "
            "need the square Lambert one: call its as_lambert(), or load with "
            "projection='lambert'"
        )
    if phase.point_group is None or phase.space_group is None:
        raise ResultError(
            "the master pattern names no space group; set signal.phase.space_group first"
        )
    data = np.asarray(signal.data, dtype=np.float32)
    energies = _energies(signal)
    centrosymmetric = bool(phase.point_group.contains_inversion)
    if signal.hemisphere == "both":
        data = data.reshape(2, len(energies), *data.shape[-2:]).swapaxes(0, 1)
    else:
        one = data.reshape(len(energies), *data.shape[-2:])
        if centrosymmetric:
            # Inversion takes (x, y, z) to (-x, -y, -z), on the square a half turn.
            other = one[:, ::-1, ::-1]
        elif source is not None and signal.hemisphere == "upper":
            lower = np.asarray(_load(source, "lower").data, dtype=np.float32)
            other = lower.reshape(one.shape)
        else:
            raise ResultError(
                f"the master pattern has the {signal.hemisphere} hemisphere alone and its "
                f"point group {phase.point_group.name} has no inversion center; load both "
                "(hemisphere='both')"
            )
        pair = (one, other) if signal.hemisphere == "upper" else (other, one)
        data = np.stack(pair, axis=1)
    if weights is None or len(weights) != len(energies):
        weights = np.full(len(energies), 1 / len(energies))
    provenance = versions("kikuchipy")
    if source is not None:
        provenance["file"] = source.name
    lattice = np.array(phase.structure.lattice.abcABG(), dtype=float)
    if signal.original_metadata.has_item("CrystalData"):
        lattice[:3] *= 10  # EMsoft counts in nm
    return MasterPattern(
        np.ascontiguousarray(data),
        energies,
        weights,
        str(phase.name),
        int(phase.space_group.number),
        tuple(float(x) for x in lattice),  # type: ignore[arg-type]
        centrosymmetric,
        None,
        provenance,
    )


def _load(path: Path, hemisphere: str) -> Any:
    try:
        import kikuchipy as kp
    except ImportError as error:
        raise MissingPartError(
            f"reading {path.name} needs kikuchipy ({error}); pip install kikuchipy"
        ) from error

    options: dict[str, Any] = {"hemisphere": hemisphere}
    if path.suffix != ".npz":
        options |= {"projection": "lambert", "lazy": True}
    else:
        try:
            import_module("ebsdsim")
        except ImportError as error:
            raise MissingPartError(
                f"reading {path.name} needs ebsdsim ({error}); pip install ebsdsim"
            ) from error
    try:
        signal = kp.load(str(path), **options)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise ResultError(
            f"kikuchipy can't read a master pattern from {path}: {error}; need a file of "
            "EMsoft's EMEBSDmaster or of ebsdsim"
        ) from error
    return signal


def _require_emsoft(path: Path) -> None:
    import h5py

    found = "no HDF5 file"
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            if "EMData/EBSDmaster" in file:
                return
            found = "an HDF5 file with " + (", ".join(list(file)[:5]) or "nothing in it")
    raise ResultError(
        f"{path} is {found}; an EMsoft master pattern has the group EMData/EBSDmaster "
        "(a Monte Carlo file has not). Scans are read by napari_spacegroup.read"
    )


def _is_own(path: Path) -> bool:
    import h5py

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "format" in file.attrs


def _energies(signal: Any) -> NDArray[np.float64]:
    for axis in signal.axes_manager.navigation_axes:
        if str(axis.name) == "energy":
            return np.asarray(axis.axis, dtype=np.float64)
    return np.zeros(1)


def _histogram(path: Path) -> NDArray[np.float64] | None:
    """Return the share of backscattered electrons in each energy bin, where it is stored."""
    import h5py

    if not h5py.is_hdf5(path):
        # ebsdsim
        with np.load(path, allow_pickle=False) as archive:
            if "bin_weights" not in archive.files:
                return None
            shares = np.asarray(archive["bin_weights"], dtype=np.float64)
        return shares / shares.sum() if shares.sum() > 0 else None
    with h5py.File(path, "r") as file:
        group = file.get("EMData/MCOpenCL")
        if group is None or "accum_e" not in group:
            log.info("%s has no Monte Carlo histogram; all energies weigh the same", path.name)
            return None
        counts = np.asarray(group["accum_e"][()], dtype=np.float64)
    histogram = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
    return np.asarray(histogram / histogram.sum())
