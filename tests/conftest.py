"""What all tests share: measured data if they are at hand, and no network."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

os.environ["MPLBACKEND"] = "Agg"

ROOT = Path(__file__).resolve().parents[1]
LOCAL = {"localhost", "127.0.0.1", "::1", ""}


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Measured and structural data beside the checkout; without them the test is skipped."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the measured data in ../shared/data, which are not here")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    """Refuse connections that leave this machine, so that no test depends on one."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address):
        is_remote = self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL
        if is_remote and not str(address[0]).startswith("127."):
            raise ConnectionRefusedError(f"a test tried to reach {address[0]}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        yield
