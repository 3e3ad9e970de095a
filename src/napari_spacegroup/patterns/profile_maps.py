"""Maps of powder profiles in containers: which array holds them, and which their axis.

Shared by the reader of finished HDF5 and zarr files and by the sources that follow growing
ones. Profiles are an array ``(n, columns)`` or ``(scan_y, scan_x, columns)`` beside a vector
of as many columns whose name or unit says what it is, as NeXus, pyFAI and xarray write it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ScanError
from .options import ReadOptions
from .profiles import axis_of

if TYPE_CHECKING:
    import h5py

    from ..imaging import ProfileAxis

LEAST_COLUMNS = 16
"""Fewer columns are no profile: the same as for files of text."""

_KINDS = {
    "two_theta": ("two_theta", "twotheta", "2theta", "2_theta", "tth", "2th", "ttheta"),
    "q": ("q",),
    "d": ("d", "d_spacing", "dspacing"),
    "tof": ("tof", "time_of_flight"),
}
_UNITS = {
    ("two_theta", 1.0): ("deg", "degree", "degrees", "°"),
    ("two_theta", 180 / np.pi): ("rad", "radian", "radians"),
    ("q", 1.0): ("a^-1", "å^-1", "angstrom^-1", "1/a", "1/å", "1/angstrom", "å⁻¹"),
    ("q", 0.1): ("nm^-1", "1/nm", "nm⁻¹"),
    ("d", 1.0): ("a", "å", "angstrom", "angstroms"),
    ("d", 10.0): ("nm",),
    ("tof", 1.0): ("us", "µs", "μs", "microsecond", "microseconds"),
}
_BY_UNIT_ALONE = ("radial", "angle", "axis")
_ERRORS = re.compile(r"(?:^|_)(?:err|error|errors|sigma|std|sem|variance|esd|norm\w*|weights?)$")
_WAVELENGTHS = ("wavelength", "incident_wavelength")
_LENGTHS = {"m": 1e10, "nm": 10.0, "pm": 0.01}


class StoredArray(Protocol):
    """An array in a container: of h5py, of zarr, or something that looks like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of its values."""
        ...

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Return what is written beside it."""
        ...

    def __getitem__(self, key: Any) -> Any:
        """Return some of its values."""
        ...


@dataclass(frozen=True, eq=False)
class ProfileMap:
    """Profiles in a container.

    Parameters
    ----------
    name
        Of their array.
    axis
        What their columns stand for.
    """

    name: str
    axis: ProfileAxis


def find_profiles(
    arrays: Mapping[str, StoredArray],
    options: ReadOptions,
    path: str,
    *,
    signals: Collection[str] = (),
) -> ProfileMap | None:
    """Return the profiles among the arrays of a container.

    Parameters
    ----------
    arrays
        By their full names, parts divided by ``/``; profiles and axis share all but the last.
    options
        ``dataset``, ``wavelength``, ``radiation``, ``axis`` and ``difc`` go before what the
        container says.
    path
        Of the container, for messages.
    signals
        Names of arrays that are marked as what is to be looked at.

    Returns
    -------
    found
        None if there are none.

    Raises
    ------
    ScanError
        If several arrays may be the profiles and nothing tells them apart, or the axis is none.
    """
    axes = {name: _axis_beside(name, arrays) for name in arrays}
    found = [name for name, axis in axes.items() if axis]
    if options.dataset is not None:
        found = [name for name in found if name.strip("/") == options.dataset.strip("/")]
    found = [name for name in found if name in signals] or found
    if len(found) > 1:
        found = [name for name in found if not _ERRORS.search(_last(name))] or found
    if not found:
        return None
    if len(found) > 1:
        raise ScanError(
            f"{path} holds profiles in {', '.join(sorted(found))}; say which: "
            f"read(path, dataset={found[0]!r})"
        )
    name, beside = found[0], axes[found[0]]
    values = np.asarray(arrays[beside][...], np.float64).ravel()
    kind, factor = _kind_of(beside, arrays[beside])
    told = replace(options, wavelength=options.wavelength or _wavelength(name, beside, arrays))
    told = replace(told, radiation=options.radiation or _radiation(name, beside, arrays))
    axis = axis_of(values * factor, told, path, kind=kind)
    return ProfileMap(name, axis)


def find_profiles_hdf5(file: h5py.File, options: ReadOptions, path: str) -> ProfileMap | None:
    """Return the profiles of an HDF5 file; see :func:`find_profiles`."""
    import h5py

    arrays: dict[str, StoredArray] = {}
    signals: set[str] = set()

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item
        elif "signal" in item.attrs:
            signals.add(f"{name}/{_text(item.attrs['signal'])}".lstrip("/"))

    file.visititems(note)
    return find_profiles(arrays, options, path, signals=signals)


def _axis_beside(name: str, arrays: Mapping[str, StoredArray]) -> str:
    """Return the name of the axis of profiles; empty if the array holds none."""
    shape, dtype = arrays[name].shape, arrays[name].dtype
    is_like = len(shape) in (2, 3) and np.dtype(dtype).kind in "uif"
    if not is_like or shape[-1] < LEAST_COLUMNS:
        return ""
    folder = name.rpartition("/")[0]
    for other, array in arrays.items():
        is_near = other.rpartition("/")[0] == folder and array.shape == shape[-1:]
        if is_near and _kind_of(other, array)[0]:
            return other
    return ""


def _kind_of(name: str, array: StoredArray) -> tuple[str, float]:
    """Return what a vector is, "" for no axis of profiles, and the factor to our unit of it."""
    word, _, unit_in_name = _last(name).rpartition("_")
    units = _text(array.attrs.get("units", "")).strip().lower()
    known = {unit: pair for pair, words in _UNITS.items() for unit in words}
    by_name = next((kind for kind, words in _KINDS.items() if _last(name) in words), "")
    if not by_name and unit_in_name in known:  # as pyFAI names them: 2th_deg, q_nm^-1
        by_name = next((kind for kind, words in _KINDS.items() if word in words), "")
        units = units or unit_in_name
    kind, factor = known.get(units, ("", 1.0))
    if by_name:
        return by_name, factor if kind == by_name else 1.0
    return (kind, factor) if _last(name) in _BY_UNIT_ALONE else ("", 1.0)


def _wavelength(name: str, beside: str, arrays: Mapping[str, StoredArray]) -> float | None:
    """Return the wavelength that stands beside profiles [Å], or in a dataset of that name."""
    for array in (arrays[name], arrays[beside]):
        if "wavelength" in array.attrs:
            return float(np.ravel(array.attrs["wavelength"])[0])
    for other, array in arrays.items():
        if _last(other) in _WAVELENGTHS and int(np.prod(array.shape)) == 1:
            units = _text(array.attrs.get("units", "")).strip().lower()
            return float(np.ravel(array[...])[0]) * _LENGTHS.get(units, 1.0)
    return None


def _radiation(name: str, beside: str, arrays: Mapping[str, StoredArray]) -> str | None:
    for array in (arrays[name], arrays[beside]):
        word = _text(array.attrs.get("radiation", "")).strip().lower()
        if word:
            return {"x-ray": "xray", "x-rays": "xray", "neutrons": "neutron"}.get(word, word)
    return None


def _last(name: str) -> str:
    return name.rpartition("/")[2].strip().lower()


def _text(value: Any) -> str:
    value = np.ravel(np.asarray(value, object))[0] if np.size(value) else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
