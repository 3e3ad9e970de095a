"""Powder profiles: text columns, xrdml, GSAS and CIF files, as scans of one row per pattern.

A profile is a pattern of shape ``(1, columns)``, so that one of them or a whole map of them
goes through the same verbs as pictures do; the scan's axis says what the columns stand for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError, ScanError
from .options import ReadOptions
from .scan import PatternScan
from .source import source_of

if TYPE_CHECKING:
    from ..imaging import ProfileAxis

GSAS_SUFFIXES = (".gsa", ".gss", ".gsas", ".fxye")
_SPLIT = re.compile(r"[\s,;]+")


def from_profiles(
    values: Any,
    *,
    two_theta: Any = None,
    q: Any = None,
    d: Any = None,
    wavelength: float | None = None,
    radiation: str = "unknown",
    scan_size: Sequence[int] | None = None,
    name: str = "profiles",
    **fields: Any,
) -> PatternScan:
    """Return a scan of powder profiles that are already an array.

    Parameters
    ----------
    values
        Shape ``(columns,)`` of one profile, ``(n, columns)`` or ``(scan_y, scan_x, columns)``.
    two_theta, q, d
        One of them, shape ``(columns,)``: scattering angle [degrees], ``4π sin θ / λ`` [1/Å],
        or lattice spacing [Å].
    wavelength
        [Å]; the mean of a doublet. Needed with angles.
    radiation
        ``"xray"``, ``"neutron"`` or ``"unknown"``.
    scan_size
        (scan_y, scan_x) of n profiles; without it they are one line.
    name
        What to call it.
    **fields
        Other fields of :class:`~.scan.PatternScan`, such as ``step``.

    Raises
    ------
    ScanError
        If the axis is missing or does not fit the profiles.

    Examples
    --------
    >>> import numpy as np
    >>> scan = from_profiles(np.ones((3, 500)), two_theta=np.linspace(10, 80, 500), wavelength=1.54)
    >>> scan.scan_shape, scan.pattern_shape
    ((1, 3), (1, 500))
    """
    given = [(kind, v) for kind, v in (("two_theta", two_theta), ("q", q), ("d", d))
             if v is not None]  # fmt: skip
    if len(given) != 1:
        raise ScanError(
            f"profiles need one axis, got {[kind for kind, _ in given] or 'none'}; give one of "
            "two_theta, q and d"
        )
    kind, axis_values = given[0]
    array = np.asarray(values)
    if array.ndim not in (1, 2, 3) or array.shape[-1] != len(axis_values):
        raise ScanError(
            f"profiles of shape {array.shape} and an axis of {len(axis_values)} values; need "
            "(columns,), (n, columns) or (scan_y, scan_x, columns)"
        )
    axis = _axis(np.asarray(axis_values, float), kind, wavelength, radiation, name)
    stack = array[None, None] if array.ndim == 1 else array[..., None, :]
    return PatternScan.from_source(
        source_of(stack, scan_size, name), name=name, technique="powder", axis=axis, **fields
    )


def read_text_profile(path: Path, options: ReadOptions) -> PatternScan:
    """Return the profile in a text file of columns: x, intensity and what else there is.

    Lines that do not start with two numbers are comments. A table with more than three
    columns holds several profiles over the first one.
    """
    rows: list[list[float]] = []
    for line in _text(path).splitlines():
        words = _SPLIT.split(line.strip(" \t,;"))
        try:
            numbers = [float(word) for word in words if word]
        except ValueError:
            continue
        if len(numbers) >= 2 and (not rows or len(numbers) == len(rows[0])):
            rows.append(numbers)
    if len(rows) < 16:
        raise ScanError(
            f"{path} has {len(rows)} lines with two or more numbers; a powder profile is a column "
            "of angles and one of intensities, at least 16 of them"
        )
    table = np.array(rows)
    x = table[:, 0]
    values = table[:, 1:].T if table.shape[1] > 3 else table[:, 1][None]
    return _scan(path, x, values, options, "text")


def read_xrdml(path: Path, options: ReadOptions) -> PatternScan:
    """Return the scans of a Malvern Panalytical file; several of one length are a line."""
    try:
        root = ElementTree.fromstring(_text(path))
    except ElementTree.ParseError as error:
        raise ScanError(f"{path} is no valid XML ({error}); copy the file again") from error
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    x: NDArray[np.float64] | None = None
    profiles = []
    for scan in root.iter("scan"):
        counts = scan.find(".//intensities")
        counts = scan.find(".//counts") if counts is None else counts
        place = scan.find(".//positions[@axis='2Theta']")
        if counts is None or place is None or not counts.text:
            continue
        values = np.array(counts.text.split(), float)
        first, last = place.findtext("startPosition"), place.findtext("endPosition")
        if first is not None and last is not None:
            angles = np.linspace(float(first), float(last), len(values))
        else:
            angles = np.array((place.findtext("listPositions") or "").split(), float)
        if x is None:
            x = angles
        if len(angles) == len(values) == len(x) and np.allclose(angles, x, atol=1e-4):
            profiles.append(values)
    if x is None or not profiles:
        raise ScanError(f"{path} holds no scan over 2Theta with intensities; need one")
    wavelength = options.wavelength
    used = root.find(".//usedWavelength")
    if wavelength is None and used is not None:
        first_line = float(used.findtext("kAlpha1") or 0)
        second = float(used.findtext("kAlpha2") or 0)
        ratio = float(used.findtext("ratioKAlpha2KAlpha1") or 0)
        if first_line > 0:
            is_double = second > 0 and ratio > 0
            wavelength = (first_line + ratio * second) / (1 + ratio) if is_double else first_line
    return _scan(path, x, np.array(profiles), options, "xrdml", wavelength, "xray")


def read_gsas(path: Path, options: ReadOptions) -> PatternScan:
    """Return the first bank of a GSAS file, of constant wavelength or with its own x (FXYE)."""
    lines = _text(path).splitlines()
    start = next((k for k, line in enumerate(lines) if line.startswith("BANK")), None)
    if start is None:
        return read_text_profile(path, options)
    words = lines[start].split()
    kind = next((w for w in words if w in ("STD", "ESD", "FXYE", "ALT", "FXY")), "STD")
    count, binning = int(words[2]), words[4] if len(words) > 4 else ""
    body = lines[start + 1 :]
    end = next((k for k, line in enumerate(body) if line.startswith("BANK")), len(body))
    body = body[:end]
    if kind in ("FXYE", "FXY"):
        table = np.array([[float(w) for w in line.split()[:2]] for line in body if line.strip()])
        x, values = table[:, 0], table[:, 1]
        if binning == "CONST" or kind == "FXY" or x.max() <= 18_000:
            x = x / 100  # centidegrees
    elif binning == "CONST" and kind in ("STD", "ESD"):
        numbers: list[float] = []
        for line in body:
            fields = [line[k : k + 8] for k in range(0, len(line.rstrip()), 8)]
            if kind == "ESD":
                numbers += [float(f) for f in fields[::2] if f.strip()]
            else:
                # Two digits say how many counters were averaged, six the counts.
                numbers += [float(f[2:]) for f in fields if f[2:].strip()]
        values = np.array(numbers[:count])
        x = (float(words[5]) + float(words[6]) * np.arange(len(values))) / 100
    else:
        raise ScanError(
            f"{path} is a GSAS file of the kind {binning} {kind}; need CONST with STD, ESD or "
            "FXYE. Export it as FXYE or as columns."
        )
    return _scan(path, x, values[None], options, "gsas")


def read_powder_cif(path: Path, options: ReadOptions) -> PatternScan:
    """Return the measured profile in a CIF file's powder block."""
    import gemmi

    try:
        document = gemmi.cif.read(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise ScanError(f"{path} can't be read as CIF ({error})") from error
    for block in document:
        counts = _cif_column(block, ("_pd_meas_counts_total", "_pd_meas_intensity_total",
                                     "_pd_proc_intensity_total", "_pd_proc_intensity_net",
                                     "_pd_meas_counts_container"))  # fmt: skip
        if counts is None:
            continue
        x = _cif_column(block, ("_pd_meas_2theta_scan", "_pd_proc_2theta_corrected",
                                "_pd_meas_2theta_corrected"))  # fmt: skip
        if x is None:
            ends = [block.find_value(f"_pd_meas_2theta_range_{w}") for w in ("min", "inc")]
            if not all(ends):
                ends = [block.find_value(f"_pd_proc_2theta_range_{w}") for w in ("min", "inc")]
            if not all(ends):
                continue
            first, step = (gemmi.cif.as_number(str(end)) for end in ends)
            x = np.asarray(first + step * np.arange(len(counts)), np.float64)
        wavelength: float | None = options.wavelength
        if wavelength is None:
            column = _cif_column(block, ("_diffrn_radiation_wavelength",))
            wavelength = None if column is None else float(column[0])
        probe = str(block.find_value("_diffrn_radiation_probe") or "").strip("'\" ").lower()
        radiation = {"neutron": "neutron", "x-ray": "xray"}.get(probe, "unknown")
        return _scan(path, x, counts[None], options, "cif", wavelength, radiation)
    raise ScanError(
        f"{path} has no measured powder profile (_pd_meas_counts_total or the like, over 2θ); a "
        "CIF of a structure is for simulate and evaluate"
    )


def is_text_profile(path: Path) -> bool:
    """Return whether a file starts with lines of numbers, as text."""
    with path.open("rb") as file:
        head = file.read(2048)
    try:
        words = _SPLIT.split(head.decode("ascii").strip())
    except UnicodeDecodeError:
        return False
    numeric = sum(bool(re.fullmatch(r"[-+.\deE]+", word)) for word in words[:-1])
    return len(words) > 8 and numeric > 0.5 * len(words)


def _scan(
    path: Path,
    x: NDArray[np.float64],
    values: NDArray[np.float64],
    options: ReadOptions,
    reader: str,
    wavelength: float | None = None,
    radiation: str = "unknown",
) -> PatternScan:
    kept = np.isfinite(x)
    x, values = x[kept], values[:, kept]
    axis = axis_of(x, options, str(path), wavelength=wavelength, radiation=radiation)
    return PatternScan.from_source(
        source_of(values[:, None, :], options.scan_size, path.name), name=path.stem, path=path,
        technique="powder", axis=axis, metadata={"reader": reader},
    )  # fmt: skip


def axis_of(
    x: NDArray[np.float64],
    options: ReadOptions,
    name: str,
    *,
    kind: str = "",
    wavelength: float | None = None,
    radiation: str = "unknown",
) -> ProfileAxis:
    """Return what the columns of profiles stand for, by what is told and what the file says.

    Parameters
    ----------
    x
        Shape ``(columns,)``.
    options
        ``axis``, ``wavelength``, ``radiation`` and ``difc`` go before what the file says.
    name
        Of the file, for messages.
    kind, wavelength, radiation
        What the file says; without a kind the numbers decide.

    Raises
    ------
    ScanError
        If it is no axis, or a time of flight without `difc`.
    """
    kind = options.axis or kind or ("two_theta" if x.max() <= 180 else "tof")
    if kind == "tof":
        if not options.difc:
            raise ScanError(
                f"the first column of {name} goes from {x.min():g} to {x.max():g}: no angles in "
                "degrees. Of a time of flight in µs give difc, µs for 1 Å: read(path, "
                "difc=...); of q or d say so: read(path, axis='q')"
            )
        x, kind, radiation = x / options.difc, "d", "neutron"
    return _axis(x, kind, options.wavelength or wavelength, options.radiation or radiation, name)


def _axis(
    x: NDArray[np.float64], kind: str, wavelength: float | None, radiation: str, name: str
) -> ProfileAxis:
    from ..imaging import ProfileAxis

    try:
        return ProfileAxis(x, kind, wavelength, radiation)  # type: ignore[arg-type]
    except ModelError as error:
        raise ScanError(f"{name}: {error}") from error


def _cif_column(block: Any, tags: Sequence[str]) -> NDArray[np.float64] | None:
    import gemmi

    for tag in tags:
        values = [gemmi.cif.as_number(value) for value in block.find_values(tag)]
        if values and np.isfinite(values[0]):
            return np.array(values)
    return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
