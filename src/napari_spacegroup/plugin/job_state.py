"""What the states of all docks with a job share: a message, the choices, whether they are busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..jobs import JobState

if TYPE_CHECKING:
    from .state import Choice

BUSY = (JobState.PREPARING, JobState.RUNNING, JobState.PAUSED, JobState.FINISHING)


class DockState:
    """Base of a dock's state; the fields are the dataclass's that inherits it."""

    job: JobState
    message: str
    is_alert: bool

    def say(self, message: str, *, is_alert: bool = False) -> None:
        """Show a message; an alert stands out."""
        self.is_alert = is_alert and bool(message)
        self.message = message

    def chosen(self, name: str) -> Choice | None:
        """Return the chosen entry of a box: of ``"model"`` among ``models``, and so on."""
        key = getattr(self, name)
        return next((c for c in getattr(self, name + "s") if c.key == key), None)

    @property
    def is_busy(self) -> bool:
        """Whether the dock's job is under way."""
        return self.job in BUSY
