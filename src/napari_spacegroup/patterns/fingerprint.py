"""What tells one scan from another at the price of two patterns."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .scan import PatternScan


def scan_fingerprint(scan: PatternScan) -> str:
    """Return a cheap hash of a scan; see :meth:`.scan.PatternScan.fingerprint`."""
    facts: list[Any] = [list(scan.data.shape), str(scan.dtype), scan.metadata.get("crop")]
    if scan.axis is not None:
        facts += [scan.axis.kind, scan.axis.wavelength, scan.axis.values[[0, -1]].tolist()]
    if scan.path is not None:
        facts.append(str(scan.path.resolve()))
        if scan.path.exists():
            status = scan.path.stat()
            facts += [status.st_size, status.st_mtime_ns]
    digest = hashlib.blake2b(json.dumps(facts, default=str).encode(), digest_size=16)
    for start in (0, scan.n_patterns - 1):
        _, pattern = next(scan.batches(1, start=start, stop=start + 1))
        digest.update(np.ascontiguousarray(pattern).tobytes())
    return digest.hexdigest()
