"""Reading ahead on a second thread, so that the disk works while the network does.

The reader never holds more than a few items: a scan of any size passes through in
constant memory. An error in the reader reaches the consumer as itself, in its place.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from .cancel import CancelToken

_log = logging.getLogger(__name__)

Item = TypeVar("Item")

_numbers = itertools.count(1)


class Prefetcher(Generic[Item]):
    """An iterator whose source runs ahead on its own thread, by a bounded number of items.

    At most ``depth`` items wait or are being read, and one is with the consumer. Use it
    in a ``with`` block, or call :meth:`close`, so that its thread ends.

    Parameters
    ----------
    source
        Iterated on the reader thread alone; a generator is closed there too.
    depth
        How many items may be read ahead, at least 1.
    cancel
        Ends the iteration, also while it waits for a slow source.

    Raises
    ------
    ValueError
        If ``depth`` is below 1.
    """

    def __init__(
        self, source: Iterable[Item], *, depth: int = 2, cancel: CancelToken | None = None
    ) -> None:
        if depth < 1:
            raise ValueError(f"depth is {depth}; reading ahead needs room for at least 1 item")
        self._source = source
        self._depth = depth
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._error: BaseException | None = None
        self._is_finished = False
        self._is_closed = False
        self._forget = cancel.on_cancel(self._stop) if cancel is not None else lambda: None
        self._thread = threading.Thread(
            target=self._read, name=f"nsg-reader-{next(_numbers)}", daemon=True
        )
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Return whether the reader thread still runs."""
        return self._thread.is_alive()

    @property
    def is_ahead(self) -> bool:
        """Return whether the next item is there already: the consumer is the slower one."""
        with self._changed:
            return bool(self._items)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_finished or self._is_closed)
            if self._is_closed:
                raise StopIteration
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def __enter__(self) -> Prefetcher[Item]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self, timeout: float = 2.0) -> None:
        """Stop reading and wait for the thread.

        Parameters
        ----------
        timeout
            How long to wait [s]; a read that hangs longer is left to end by itself, and
            what it brings is thrown away.
        """
        self._forget()
        self._stop()
        self._thread.join(timeout)
        if self._thread.is_alive():
            _log.warning("a read takes longer than %.1f s to stop; leaving it behind", timeout)

    def _stop(self) -> None:
        with self._changed:
            self._is_closed = True
            self._items.clear()
            self._changed.notify_all()

    def _read(self) -> None:
        iterator = iter(self._source)
        try:
            while self._wait_for_room():
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                with self._changed:
                    if self._is_closed:
                        break
                    self._items.append(item)
                    del item
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001  handed to the consumer's thread
            with self._changed:
                self._error = error
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._is_finished = True
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._items) < self._depth)
            return not self._is_closed
