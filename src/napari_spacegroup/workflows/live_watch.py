"""Asking a source again and again, and giving what it says to a session."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from ..config import FollowSpec
from ..infer.classifier import Classifier
from ..jobs import CancelToken, Event, Log, Prefetcher, Progress
from ..stream import LiveSource, SourceState
from .live_session import LiveSession
from .live_start import Heard
from .live_status import LiveStatus, MapBegun

_log = logging.getLogger(__name__)

STATUS_SECONDS = 0.25
POLL_SECONDS = 0.02
"""How long to wait after a poll that brought nothing."""
MOST_WAIT_SECONDS = 0.1
"""The same when nothing has come for long."""
LONGEST_STEP = 0.5
"""Most that one poll adds to the idle time [s], so that a held or sleeping follower does not
take its own absence for the end of the scan."""


def watch(
    session: LiveSession,
    source: LiveSource,
    spec: FollowSpec,
    token: CancelToken,
) -> Iterator[Event | LiveStatus | MapBegun]:
    """Take in what comes until the scan is over."""
    wake = threading.Event()
    forget = token.on_cancel(wake.set)
    idle, last = 0.0, time.monotonic()
    told = 0.0
    try:
        reader = _heard(source, session, token, wake)
        with Prefetcher(reader, depth=2, cancel=token) as arrivals:
            for heard in arrivals:
                came = heard.arrival is not None and heard.arrival.count > 0
                if came or session.waits:
                    token.take_turn()
                yield from session.take(heard, token, more=arrivals.is_ahead)
                now = time.monotonic()
                is_unsettled = heard.arrival is not None and heard.arrival.is_unsettled
                waits = heard.is_paused or came or is_unsettled
                idle = 0.0 if waits else idle + min(now - last, LONGEST_STEP)
                last = now
                if now - told >= STATUS_SECONDS:
                    told = now
                    status = session.status()
                    yield status
                    yield Progress(status.shown, status.total, "Following")
                if token.wants_stop or session.is_over:
                    return
                if not came and not session.waits:
                    token.rest()
                if spec.until_idle is not None and idle >= spec.until_idle:
                    yield Log(
                        f"Nothing new came for {spec.until_idle:g} s: taking this for the end"
                    )
                    return
    finally:
        forget()
        wake.set()


def _heard(
    source: LiveSource,
    session: LiveSession,
    token: CancelToken,
    wake: threading.Event,
) -> Iterator[Heard]:
    """Ask the source again and again; runs on the reader's thread."""
    _warm_up(session.path, session.model)
    source.open()
    asked = time.monotonic()
    pause = POLL_SECONDS
    while not token.wants_stop:
        if token.is_paused:
            yield Heard(None, None, time.monotonic(), is_paused=True)
            wake.wait(MOST_WAIT_SECONDS)
            continue
        before, asked = asked, time.monotonic()
        arrival = source.poll(session.most_patterns)
        # What came in this poll was written after the one before, or is told as backlog.
        yield Heard(arrival, source.info, before)
        if arrival.state in (SourceState.ENDED, SourceState.REPLACED):
            return
        is_news = arrival.count > 0 or len(arrival.withheld) > 0
        pause = POLL_SECONDS if is_news else min(1.05 * pause, MOST_WAIT_SECONDS)
        if not is_news:
            wake.wait(pause)


def _warm_up(path: Path | None, model: Classifier) -> None:
    """Load what takes seconds while there is nothing to read yet: file formats, the network."""
    if path is None or path.exists():
        return
    warm_up = getattr(model, "warm_up", None)
    if warm_up is not None:
        warm_up()
    if model.card.technique == "powder":
        return
    try:
        for name in ("io.plugins.nordif._api", "io.plugins.edax_binary._api"):
            import_module(f"kikuchipy.{name}")
        import_module("kikuchipy.detectors").EBSDDetector  # noqa: B018  loaded when asked for
    except ImportError as error:
        _log.debug("could not load the readers in advance: %s", error)
