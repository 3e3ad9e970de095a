"""The table of faults: everything that may go wrong, on every format, and what was lost.

``python benchmarks/faults.py`` runs every case, stores the counts in
``benchmarks/results/faults.json`` and writes ``docs/faults.md`` from them. ``--only`` runs
some groups again and keeps the stored cases of the others; ``--page`` writes the page alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import tempfile
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "faults.json"
PAGE = HERE.parent / "docs" / "faults.md"
GROUPS = (
    "microscope", "kill", "worker", "scheduler", "training", "disk", "replaced",
)  # fmt: skip

MEANING = {
    "pause": "every pattern; the follower waits",
    "stop": "every pattern that was written; the rest is *missing*",
    "truncate": "every whole pattern that had been read; the cut one is *missing*",
    "repeat": "every pattern but the copies, which are *missing*",
    "skip": "every pattern; the holes are *missing*",
    "restart": "the map of the first scan; nothing of the second one gets into it",
    "delete": "every pattern that had been read",
    "garbage": "every pattern but the random bytes, which are *missing*",
}
"""What the map holds after a fault of the microscope."""


def measure(groups: tuple[str, ...], layouts: tuple[str, ...], file: Path) -> dict[str, Any]:
    """Run groups of cases, store the report after each case, and return it.

    Stored cases that are not run again stay in it.
    """
    import fault_cases
    import fault_files
    import fault_kills
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    known = json.loads(file.read_text(encoding="utf-8"))["cases"] if file.exists() else []
    cases = {(c["group"], c["fault"], c["layout"]): c for c in known}
    report: dict[str, Any] = {}
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, fault_cases.own_cache(Path(name)):
        bench = fault_cases.Bench(Path(name))
        for group in groups:
            modules = {"microscope": fault_cases, "disk": fault_files, "replaced": fault_files}
            module = modules.get(group, fault_kills)
            for case in getattr(module, f"{group}_cases")(bench, layouts):
                row = json.loads(json.dumps(asdict(case), ensure_ascii=False))
                row["note"] = without_folders(row["note"], name)
                cases[case.group, case.fault, case.layout] = row
                show(row)
                report = report_of(list(cases.values()))
                text = json.dumps(report, indent=1, ensure_ascii=False)
                file.write_text(text + "\n", encoding="utf-8")
    return report


def report_of(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Return cases in the order of the page, with seed, versions and hardware."""
    import fault_cases
    import fault_kills

    from napari_spacegroup.workflows.provenance import provenance

    rows = {(c["group"], c["fault"]): place for place, c in reversed(list(enumerate(cases)))}
    cases.sort(
        key=lambda c: (
            GROUPS.index(c["group"]),
            rows[c["group"], c["fault"]],
            [*fault_cases.FORMATS, ""].index(c["layout"]),
        )
    )
    return {
        "cases": cases,
        "formats": list(fault_cases.FORMATS),
        "scan": {
            "followed": fault_cases.GRID, "killed": fault_kills.GRID,
            "pattern": fault_cases.FRAME, "chunk": fault_cases.CHUNK,
            "fault_at": fault_cases.AT, "patterns_per_poll": fault_cases.STEP,
        },
        "seed": fault_cases.SEED,
        "made": provenance(),
        "seconds": round(sum(c["numbers"].get("seconds", 0) for c in cases), 1),
    }  # fmt: skip


def without_folders(text: str, folder: str) -> str:
    """Return a message without the temporary folder of its case."""
    return re.sub(rf"{re.escape(folder)}/(case\d+/)?", "", text)


def show(row: dict[str, Any]) -> None:
    """Print one case."""
    verdict = {True: "holds", False: "FAILED", None: "not run"}[row["passed"]]
    seconds = row["numbers"].get("seconds", 0)
    words = f"{row['group']:10} {row['fault']:24} {row['layout']:7} {row['cell']}"
    print(f"{verdict:8} {seconds:6.1f} s  {words}  {'' if row['passed'] else row['note']}",
          flush=True)  # fmt: skip


def page(report: dict[str, Any]) -> str:
    """Return the page of a report."""
    cases, formats, scan = report["cases"], report["formats"], report["scan"]
    failed = [c for c in cases if c["passed"] is False]
    not_run = [c for c in cases if c["passed"] is None]
    total = len(cases) - len(not_run)
    wrong = sum(c["numbers"].get("wrong", 0) for c in cases)
    worst = max(c["numbers"].get("largest_difference", 0) for c in cases)
    invented = sum(c["numbers"].get("invented", 0) for c in cases)
    again = sum(c["numbers"].get("done_again", 0) for c in cases)
    chunks = scan["killed"][0] * scan["killed"][1] // scan["chunk"]
    made = report["made"]
    words = {group: ran(cases, group) for group in GROUPS}
    lines = [
        "# What goes wrong, and what it costs",
        "",
        *prose(
            "A scan that is being written can stop, jump, start again or disappear, and the "
            "program that follows it can be killed. Each case below was run on a simulated scan "
            "in every format, and its map compared with the one of the same patterns when nothing "
            "goes wrong."
        ),
        *prose(
            f"{total - len(failed)} of {total} cases keep what [Live](live.md) and [Where the "
            f"work runs](executors.md) promise; {wrong} pixels got a wrong label.",
            f"{len(not_run)} cases were not run: {reasons(not_run)}." if not_run else "",
        ),
        *prose(
            f"The microscope writes {times(scan['followed'])} patterns of "
            f"{times(scan['pattern'])} pixels, {scan['patterns_per_poll']} between two looks; "
            f"faults happen before pattern {scan['fault_at']}. Kills are done on scans of "
            f"{times(scan['killed'])}. The network is small and untrained, and classifies chunks "
            f"of {scan['chunk']} patterns. A pixel counts as wrong where its label is not that of "
            f"the undisturbed map; probabilities differ by {worst:.2g} at most. "
            f"{invented} pixels got a label without a whole pattern. Cases that failed are "
            "printed **bold**."
        ),
        "## Faults of the microscope",
        "",
        *prose(
            "Patterns in the map / patterns that were written whole (before a restart or a "
            "deletion: until then)."
        ),
        *table(cases, "microscope", formats, ("wrong",), MEANING),
        "",
        *prose(on_losses(cases)),
        "## kill -9, and the same command again",
        "",
        *prose(
            "The command line runs in a process of its own and is killed at a random moment after "
            "its first chunk; `follow` while the scan is being written. Of "
            f"{chunks} chunks: how many stood in `map.h5.partial` after the kill, and how many "
            f"were begun twice. {count(cases, 'kill', 'is_exact')} of {words['kill']} finished "
            "maps equal the undisturbed one bit for bit. Before each kill a second process was "
            "set on the same output: it was refused "
            f"{count(cases, 'kill', 'is_second_refused')} of {words['kill']} times."
        ),
        *table(cases, "kill", formats, ("wrong", "twice"), {}),
        "",
        "## Workers of dask",
        "",
        *prose(
            "A worker process is killed while it classifies or follows. Patterns in the map, and "
            f"of {chunks} chunks those that were begun twice: with `classify` the ones that the "
            "worker was at and those whose answer nobody had fetched from it, with `follow` the "
            "one that it was at."
        ),
        *table(cases, "worker", formats, ("wrong", "twice"), {}),
        "",
        *single(cases),
        "",
        "## A full disk",
        "",
        *prose(
            "The system says *no space left* to three writes of the unfinished map, or to the "
            "finished one (the error is injected). Patterns in the saved map; where the map "
            f"itself could not be saved, after a second run, which classified {again} chunks again."
        ),
        *table(cases, "disk", formats, ("wrong",), {}),
        "",
        "## Another scan under the same name",
        "",
        *prose(
            "Another scan of the same size is moved to the place of the one that is being read, "
            "or written over it in the same file. *refused* means an error that says so, and no "
            "map; else the patterns of the first scan that are in the map / those that were read."
        ),
        *table(cases, "replaced", formats, ("wrong",), {}),
        "",
        *failures(failed),
        *prose(
            f"Made by `benchmarks/faults.py` with seed {report['seed']}; all counts stand in "
            f"`benchmarks/results/faults.json`. {made['hardware']['processor']}, "
            f"napari-spacegroup {made['versions'].get('napari-spacegroup', '')}, Python "
            f"{made['python']}, {made['system']}."
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def prose(*sentences: str) -> list[str]:
    """Return a paragraph in lines of at most 95 characters, and an empty line."""
    text = " ".join(sentence for sentence in sentences if sentence)
    return [textwrap.fill(text, 95, break_long_words=False, break_on_hyphens=False), ""]


def times(shape: list[int]) -> str:
    """Return a shape as people write it."""
    return " x ".join(str(size) for size in shape)


def table(
    cases: list[dict[str, Any]], group: str, formats: list[str], sums: tuple[str, ...],
    meaning: dict[str, str],
) -> list[str]:  # fmt: skip
    """Return a table, one row per fault and one column per format."""
    mine = [c for c in cases if c["group"] == group]
    heads = ["fault", *formats, *(f"{name}, worst" if name == "twice" else name for name in sums)]
    heads += ["what the map holds"] if meaning else []
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for fault in dict.fromkeys(c["fault"] for c in mine):
        row = {c["layout"]: c for c in mine if c["fault"] == fault}
        cells = [fault]
        for layout in formats:
            case = row.get(layout)
            cells.append("" if case is None else mark(case))
        for name in sums:
            values = [c["numbers"][name] for c in row.values() if name in c["numbers"]]
            cells.append(str((max if name == "twice" else sum)(values)) if values else "")
        cells += [meaning[fault]] if meaning else []
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def mark(case: dict[str, Any]) -> str:
    """Return a cell; a failed case is bold."""
    if case["passed"] is None:
        return "not run"
    return case["cell"] if case["passed"] else f"**{case['cell']}**"


def on_losses(cases: list[dict[str, Any]]) -> str:
    """Say where whole patterns were lost."""
    lost = [c for c in cases if c["group"] == "microscope" and c["numbers"].get("lost")]
    if not lost:
        return "No whole pattern was lost."
    faults = ", ".join(dict.fromkeys(c["fault"] for c in lost))
    most = max(c["numbers"]["lost"] for c in lost)
    return (
        f"Where the file goes away ({faults}), the newest pattern may be lost: where no later one "
        "follows, it is believed when it looks the same 0.25 s later, and by then it was gone. "
        f"The worst loss was {most} pattern{'s' if most > 1 else ''}."
    )


def single(cases: list[dict[str, Any]]) -> list[str]:
    """Return the table of faults that have nothing to do with the format."""
    lines = ["| killed | what happened | holds |", "|---|---|---|"]
    for case in cases:
        numbers = case["numbers"]
        if case["group"] == "scheduler" and "kept" in numbers:
            words = (
                f"`classify` with an output ends with the error “{case['note']}”. "
                f"{numbers['arrived']} of {numbers['chunks']} chunks had arrived, "
                f"{numbers['kept']} were kept; the second run did the other "
                f"{numbers['begun_after']} ({case['layout']})"
            )
        elif case["group"] == "training" and "is_close" in numbers:
            words = (
                "a new worker goes on from the last checkpoint; against the unbroken run, "
                f"{case['cell']}, of the temperature "
                f"{abs(numbers['temperature'][0] - numbers['temperature'][1]):.1e}"
            )
        elif case["group"] in ("scheduler", "training"):
            words = case["note"]
        else:
            continue
        lines.append(f"| {case['fault']} | {words} | {'yes' if case['passed'] else '**no**'} |")
    return lines


def failures(failed: list[dict[str, Any]]) -> list[str]:
    """Return what went wrong, in words."""
    if not failed:
        return []
    lines = ["## Failed", ""]
    for case in failed:
        where = ", ".join(part for part in (case["group"], case["fault"], case["layout"]) if part)
        lines.append(f"- {where}: {case['note'] or case['numbers']}")
    return [*lines, ""]


def reasons(cases: list[dict[str, Any]]) -> str:
    """Return why cases were not run, each reason once."""
    return "; ".join(dict.fromkeys(case["note"] for case in cases))


def count(cases: list[dict[str, Any]], group: str, name: str) -> int:
    """Return in how many cases of a group something was true."""
    return sum(bool(c["numbers"].get(name)) for c in cases if c["group"] == group)


def ran(cases: list[dict[str, Any]], group: str) -> int:
    """Return how many cases of a group were run."""
    return sum(c["passed"] is not None for c in cases if c["group"] == group)


def main() -> None:
    """Run, store, write the page."""
    parser = argparse.ArgumentParser(description="Run every fault and write the table of them.")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--formats", nargs="+", metavar="FORMAT", help="default: all")
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=PAGE)
    parser.add_argument("--page", action="store_true", help="write the page from what is stored")
    options = parser.parse_args()
    if options.page:
        report = json.loads(options.json.read_text(encoding="utf-8"))
    else:
        import fault_cases

        layouts = tuple(options.formats or fault_cases.FORMATS)
        report = measure(tuple(options.only), layouts, options.json)
    options.docs.write_text(page(report), encoding="utf-8")


if __name__ == "__main__":
    main()
