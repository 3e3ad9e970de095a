"""The tables of docs/powder.md are those of the stored results."""

from __future__ import annotations

import importlib.util
import json


def test_the_page_holds_what_is_stored(repository):
    path = repository / "benchmarks" / "powder_table.py"
    spec = importlib.util.spec_from_file_location("powder_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (repository / "docs" / "powder.md").read_text(encoding="utf-8")
    for name, lines in module.blocks().items():
        _, shown, _ = module.parts(page, name)
        assert shown.strip() == "\n".join(lines).strip(), name


def test_classify_weighs_as_was_fitted(repository):
    from napari_spacegroup.infer import powder_joint

    stored = json.loads(
        (repository / "benchmarks" / "results" / "powder_index.json").read_text(encoding="utf-8")
    )
    assert stored["fits"]["both"] == {
        "trust": powder_joint.TRUST, "temperature": powder_joint.TEMPERATURE,
        "absences": powder_joint.ABSENCES, "unfound": powder_joint.UNFOUND,
        "misled": powder_joint.MISLED,
    }  # fmt: skip
