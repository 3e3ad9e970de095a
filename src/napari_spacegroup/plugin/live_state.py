"""What the dock *Live* shows, as an evented model that knows neither Qt nor napari."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from ..jobs import JobState
from .job_state import DockState
from .model_state import EBSD
from .state import Choice

if TYPE_CHECKING:
    from ..workflows.live_status import LiveStatus

MAP_SUFFIX = ".map.h5"
FORMATS = {
    ".up1": "EDAX up1",
    ".up2": "EDAX up2",
    ".dat": "NORDIF Pattern.dat",
    ".ebsp": "Oxford ebsp",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".h5ebsd": "HDF5",
    ".h5oina": "HDF5 (Oxford)",
    ".zarr": "zarr",
}
FOLDER = "folder of images or powder profiles"
EBSD_SUFFIXES = (".up1", ".up2", ".dat", ".ebsp", ".h5ebsd", ".h5oina")
IF_BEHIND = (
    Choice("catch_up", "Catch up later", "All patterns in their order, however late"),
    Choice("sample", "Sample the newest", "Some of the newest now, the rest when the scan ends"),
)


def format_of(path: str) -> Choice:
    """Return what a path looks like: a label, whether it is there, and what is wrong with it."""
    if not path.strip():
        return Choice("", "", "The file that the microscope writes; it need not be there yet.")
    target = Path(path)
    suffix = target.suffix.lower()
    name = FORMATS.get(suffix, "" if suffix else FOLDER)
    if target.is_dir() and not name:
        name = FOLDER
    if not name:
        known = ", ".join(FORMATS)
        return Choice("", "", problem=f"“{suffix}” can't be followed: need {known} or a folder.")
    if not target.absolute().parent.is_dir():
        return Choice("", name, problem=f"There is no folder {target.absolute().parent}.")
    there = "there already" if target.exists() else "not there yet: will wait for it"
    kind = EBSD if suffix in EBSD_SUFFIXES else None
    return Choice(suffix, name, f"{name}, {there}", kind=kind)


@dataclass
class LiveState(DockState):
    """Everything that the dock *Live* shows, beside the map and the choice of the model.

    Attributes
    ----------
    path, out
        What is followed, and where the map is saved; empty takes the path's own.
    until_idle
        End when nothing came for so long [s]; 0 waits until somebody stops it.
    if_behinds, if_behind
        What to do when patterns come faster than they are classified.
    rows, columns
        Shape of the scan where the file does not say it; 0 takes the file's.
    wavelength, difc
        Of powder profiles [Å] and [µs], where their files do not say them; 0 takes what
        they say, or copper's wavelength for X-rays.
    positions
        Whether cells are looked for that explain where the lines of a profile stand.
    job, message, is_alert
        State of the job, and one line about it.
    status
        How the scan stands; None before the first poll.
    latest
        The last file of a series of profiles, and what was said of it.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    path: str = ""
    out: str = ""
    until_idle: float = 0.0
    if_behinds: tuple[Choice, ...] = IF_BEHIND
    if_behind: str = "catch_up"
    rows: int = 0
    columns: int = 0
    wavelength: float = 0.0
    difc: float = 0.0
    positions: bool = False
    job: JobState = JobState.IDLE
    message: str = ""
    is_alert: bool = False
    status: LiveStatus | None = None
    latest: str = ""

    @property
    def output(self) -> Path:
        """Where the map is saved."""
        if self.out.strip():
            return Path(self.out)
        path = Path(self.path)
        return path.with_name(path.name + MAP_SUFFIX)

    @property
    def scan_shape(self) -> tuple[int, int] | None:
        """Rows and columns, or None to take what the file says."""
        return (self.rows, self.columns) if self.rows > 0 and self.columns > 0 else None

    @property
    def told(self) -> dict[str, float | bool]:
        """Return what was said of powder profiles, as ``follow`` takes it."""
        values = {"wavelength": self.wavelength, "difc": self.difc, "positions": self.positions}
        return {name: value for name, value in values.items() if value}

    @property
    def why_not_start(self) -> str:
        """Why the scan can't be followed; empty if it can."""
        if self.is_busy:
            return "A scan is being followed: stop it first."
        if not self.path.strip():
            return "Give the file or folder that the microscope writes."
        return format_of(self.path).problem

    @property
    def facts(self) -> tuple[tuple[str, str, str], ...]:
        """Name, value and explanation of each number that the dock shows."""
        status = self.status
        if status is None:
            return ()
        of = f" of {status.total}" if status.total else ""
        late, latest = status.latency, status.latency_99
        seconds = "–" if late != late else f"{late:.2f} s  (99 %: {latest:.2f} s)"
        rows = [
            ("Shown", f"{status.shown}{of} pixels", "Pixels that the map shows"),
            (
                "Speed",
                f"{status.read_rate:.0f}/s read, {status.classified_rate:.0f}/s classified",
                "Over the last two seconds",
            ),
            ("Backlog", f"{status.backlog} patterns", "In the file and not read yet"),
            ("Latency", seconds, "From the file to the map"),
        ]
        if self.latest:
            rows.insert(1, ("Latest", self.latest, "The last file, and what was said of it"))
        if status.left_out:
            rows.append(("Left out", f"{status.left_out} for now", "To keep up; they come later"))
        if status.withheld:
            rows.append(
                (
                    "Withheld",
                    f"{status.withheld} patterns",
                    "Skipped, repeated, damaged, random or unreadable",
                )
            )
        return tuple(rows)
