from __future__ import annotations

import json

import pytest

from napari_spacegroup.crystal import LEVELS
from napari_spacegroup.errors import ResultError
from napari_spacegroup.infer import SpaceGroupMap, save_report


def test_a_report_survives_json(random_map, tmp_path):
    result = random_map(
        (10, 12), step=(0.5, 0.5), step_unit="um", equivalence_sets=[(221, 229)], scan_name="Ni"
    )
    path = save_report(result, tmp_path / "report.json", threshold=0.6)
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report == result.report(threshold=0.6)
    assert report["scan"] == {
        "name": "Ni",
        "shape": [10, 12],
        "step": [0.5, 0.5],
        "step_unit": "um",
    }
    pixels = report["pixels"]
    unknown = {row["status"]: row["count"] for row in report["unknown"]}
    assert pixels["total"] == pixels["done"] == 120
    assert pixels["complete"] is True
    assert unknown["constant"] == unknown["not_finite"] == 1
    assert pixels["known"] + sum(unknown.values()) == 120
    assert all(row["reason"] for row in report["unknown"])
    assert set(report["levels"]) == set(LEVELS)
    known = sum(row["pixels"] for row in report["levels"]["space_group"])
    assert known == pixels["known"]
    for spread in (report["confidence"], report["entropy"]):
        low, high = spread["percentile_5"], spread["percentile_95"]
        assert 0 <= low <= spread["median"] <= high <= 1


def test_a_report_of_nothing():
    result = SpaceGroupMap.empty((2, 3), (225, 229))
    report = json.loads(json.dumps(result.report()))
    assert report["confidence"] is None
    assert report["unknown"] == [
        {"status": "pending", "reason": "not computed yet", "count": 6},
    ]
    assert report["levels"]["space_group"] == []


def test_a_report_that_can_not_be_written(random_map, tmp_path):
    with pytest.raises(ResultError, match="does not exist"):
        save_report(random_map(), tmp_path / "no" / "report.json")
