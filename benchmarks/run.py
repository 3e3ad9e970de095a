"""One table of ratios: what ``make bench`` prints.

Every row compares two things in the same run on the same machine, checks that both gave
the right answer, and is stored with versions and hardware in
``benchmarks/results/bench.json``. Rows that need a GPU are marked as not measured where
there is none.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import live
import numpy as np
import spots
from row import SEED, Row, median_seconds

RESULTS = Path(__file__).parent / "results"


def projector() -> list[Row]:
    """Compare the torch projector with kikuchipy's, 1,000 patterns of 60 x 60."""
    import kikuchipy as kp
    import torch
    from orix.quaternion import Rotation

    from napari_spacegroup.simulate.projector import DetectorGeometry, project

    count, shape, center = 1000, (60, 60), (0.42, 0.22, 0.5)
    master = kp.data.nickel_ebsd_master_pattern_small(projection="lambert", hemisphere="both")
    quaternions = np.random.default_rng(SEED).normal(size=(count, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    detector = kp.detectors.EBSDDetector(shape=shape, pc=center, sample_tilt=70, tilt=5)
    rotations = Rotation(quaternions)

    def theirs() -> np.ndarray:
        return master.get_patterns(
            rotations, detector, energy=20, dtype_out="float32", compute=True,
            show_progressbar=False,
        ).data  # fmt: skip

    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    seconds = median_seconds(theirs)
    expected = theirs()
    rows = []
    for device in devices:
        sheets = torch.tensor(master.data.astype(np.float32), device=device)[None]
        turned = torch.tensor(quaternions, dtype=torch.float32, device=device)
        geometry = DetectorGeometry.fixed(
            shape, center, detector_tilt=5.0, count=count, device=device
        )

        def ours(
            sheets: torch.Tensor = sheets,
            geometry: DetectorGeometry = geometry,
            turned: torch.Tensor = turned,
        ) -> np.ndarray:
            with torch.inference_mode():
                return project(sheets, geometry, turned).cpu().numpy()

        mine = median_seconds(ours)
        worst = min(
            np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(ours(), expected, strict=True)
        )
        assert worst > 0.9999, f"the projector and kikuchipy disagree: {worst}"
        rows.append(
            Row(
                f"projector against kikuchipy get_patterns ({device})",
                seconds / mine,
                "at least 1 on two CPU cores" if device == "cpu" else "at least 200",
                f"{count / mine:.0f} against {count / seconds:.0f} patterns/s, "
                f"worst correlation {worst:.6f}",
            )
        )
    if len(devices) == 1:
        rows.append(Row("projector on a GPU against kikuchipy on the CPU", None, "at least 200",
                        "not measured: no GPU here"))  # fmt: skip
    return rows


def classification(folder: Path) -> Row:
    """Compare ``classify`` from file to saved map with the bare forward pass."""
    import torch

    import napari_spacegroup as nsg
    from napari_spacegroup.crystal.levels import LEVELS, level_names
    from napari_spacegroup.infer import scan_center
    from napari_spacegroup.models.pattern_center import square_centers

    path = nickel_scan(folder, (24, 64))
    model = nsg.load_model("ebsd-cubic")
    for level in LEVELS:
        level_names(level)
    scan = nsg.read(path)
    flat = scan.data.compute().reshape(-1, *scan.pattern_shape)
    center = scan_center(scan, model).of(0, 1)
    centers = square_centers(center, scan.pattern_shape)
    inputs = model.prepare(flat).split(256)

    def bare() -> np.ndarray:
        return torch.cat([model.probabilities(part, centers) for part in inputs]).numpy()

    def whole() -> np.ndarray:
        result = nsg.classify(path, model, batch_size=256)
        result.save(folder / "map.h5")
        return result.labels("space_group")

    labels = whole().ravel()
    assert np.mean(labels == np.array(model.classes)[bare().argmax(1)]) > 0.99
    whole_seconds, bare_seconds = median_seconds(whole), median_seconds(bare)
    count = len(flat)
    return Row(
        "classify, file to saved map, against the bare forward pass",
        bare_seconds / whole_seconds,
        "at least 0.8",
        f"{count / whole_seconds:.0f} against {count / bare_seconds:.0f} patterns/s, same labels",
    )


def nickel_scan(folder: Path, shape: tuple[int, int]) -> Path:
    """Write a scan of simulated nickel, noise as strong as the pattern, as kikuchipy does."""
    import kikuchipy as kp
    from orix.quaternion import Rotation

    rng = np.random.default_rng(SEED)
    master = kp.data.nickel_ebsd_master_pattern_small(projection="lambert", hemisphere="both")
    detector = kp.detectors.EBSDDetector(shape=(60, 60), pc=(0.42, 0.22, 0.5), sample_tilt=70)
    quaternions = rng.normal(size=(shape[0] * shape[1], 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    ideal = master.get_patterns(
        Rotation(quaternions), detector, energy=20, dtype_out="float32", compute=True,
        show_progressbar=False,
    ).data  # fmt: skip
    noisy = (ideal - ideal.mean()) / ideal.std() + rng.normal(size=ideal.shape)
    data = np.clip(128 + 30 * noisy, 0, 255).astype(np.uint8).reshape(*shape, 60, 60)
    path = folder / "nickel.h5"
    kp.signals.EBSD(data, detector=detector).save(path)
    return path


def importing() -> Row:
    """Time the import and look for heavy modules in it."""
    code = (
        "import time; t = time.perf_counter(); import napari_spacegroup; "
        "s = time.perf_counter() - t; import sys; "
        "print(s, [m for m in ('torch', 'qtpy', 'PySide6', 'napari', 'kikuchipy') "
        "if m in sys.modules])"
    )
    seconds, heavy = [], ""
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        first, heavy = done.stdout.split(maxsplit=1)
        seconds.append(float(first))
    assert heavy.strip() == "[]", f"the import brings {heavy}"
    median = statistics.median(seconds)
    return Row("import napari_spacegroup against 0.3 s", median / 0.3, "at most 1",
               f"{median * 1000:.0f} ms, no torch, Qt, napari or kikuchipy")  # fmt: skip


def main() -> None:
    """Measure, print, store."""
    first: dict[str, Callable[[Path], list[Row]]] = {
        "projector": lambda _: projector(),
        "classify": lambda folder: [classification(folder)],
        "spots": lambda _: spots.renderer(),
        "import": lambda _: [importing()],
    }
    names = [*first, *live.PARTS]
    parser = argparse.ArgumentParser(description="Print the table of ratios and store it.")
    parser.add_argument("--json", type=Path, help="where to store it (default: the results)")
    parser.add_argument("--only", choices=names, help="one part; with --json its rows "
                        "take the place of those stored there")  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="small live scans, to try it out; as --only"
    )
    options = parser.parse_args()
    is_part = options.only is not None or options.quick
    out = options.json or (None if is_part else RESULTS / "bench.json")
    rows: list[Row] = []
    kept = stored_rows(out) if options.only is not None else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, measure in first.items():
            if options.only in (None, part):
                rows += measure(folder)
                store(rows, out, kept)
        for part in live.PARTS:
            if options.only in (None, part):
                rows += live.rows(folder, part, is_quick=options.quick)
                store(rows, out, kept)
    width = max(len(row.name) for row in rows)
    print(f"{'row':{width}}  ratio    target                        detail")
    for row in rows:
        ratio = "not measured" if row.ratio is None else f"{row.ratio:.2f}x"
        print(f"{row.name:{width}}  {ratio:7}  {row.target:28}  {row.detail}")


def stored_rows(out: Path | None) -> list[dict[str, Any]]:
    """Return the rows of an earlier run."""
    if out is None or not out.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))["rows"]
    return rows


def store(rows: list[Row], out: Path | None, kept: list[dict[str, Any]]) -> None:
    """Write what is measured so far: the whole takes a quarter of an hour."""
    if out is None:
        return
    new = {row.name: asdict(row) for row in rows}
    both = [new.pop(row["name"], row) for row in kept] + list(new.values())
    from napari_spacegroup.workflows.provenance import provenance

    report = {"rows": both, "seed": SEED, "made": provenance(),
              "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
