"""What a stored figure needs beside it: versions and hardware."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ..infer.provenance import versions


def provenance() -> dict[str, Any]:
    """Return versions of the packages that matter and a description of the machine."""
    return {
        "versions": versions(),
        "hardware": {"processor": _processor(), "cores": os.cpu_count(), "gpu": _gpu()},
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
