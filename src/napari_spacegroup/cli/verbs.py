"""One function per verb: options to a spec, the spec to the workflow, the result to a file."""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .calibrating import asked_calibration, calibrated
from .shown import ProgressLine, check_output, print_accuracy, print_summary, say, write_json

if TYPE_CHECKING:
    from ..config import ClassifySpec
    from ..jobs import CancelToken

EXIT_OK = 0
EXIT_REFUSED = 2


def microscope(options: argparse.Namespace) -> int:
    """Simulate a microscope that writes a scan."""
    from ..config import FaultSpec, SimulatedMicroscopeSpec

    names: tuple[str, ...] = ("phases", "format", "rate", "scan_shape", "pattern_shape", "grains")
    names += ("noise", "scan_order", "seed")
    asked = given(**{name: getattr(options, name) for name in names})
    if options.fault:
        asked["faults"] = tuple(FaultSpec.from_text(text) for text in options.fault)
    if options.spec is not None:
        spec = SimulatedMicroscopeSpec.from_yaml(options.spec).replace(**asked)
    else:
        spec = SimulatedMicroscopeSpec.from_mapping(asked, "the command line")
    from ..workflows.microscope import run_microscope, truth_path

    with ProgressLine() as line:
        run_microscope(spec, options.out, on_event=line.show)
    say(f"the truth stands in {truth_path(options.out)}")
    return EXIT_OK


def demo(options: argparse.Namespace) -> int:
    """Classify the bundled scan."""
    from .. import workflows

    with ProgressLine() as line:
        result = workflows.demo(options.out, on_event=line.show)
    print_summary(result)
    say(f"wrote map.h5, map.png and report.json to {options.out}")
    return EXIT_OK


def classify(options: argparse.Namespace) -> int:
    """Classify a scan, and save the map."""
    from ..config import ClassifySpec

    spec = ClassifySpec.from_mapping(given(**_asked(options)), "the command line")
    check_output(options.out, options.json)
    from .. import workflows

    with ProgressLine() as line:
        result = workflows.classify(
            opened(options.scan, options, technique=_technique(spec.model, options)),
            spec.model,
            device=spec.device,
            batch_size=spec.batch_size,
            out=options.out,
            on_event=line.show,
            **given(positions=options.positions),
            **_extras(spec, options),
            **_place(options),
        )
    if options.json is not None:
        write_json(options.json, workflows.map_report(result))
    print_summary(result)
    return EXIT_OK


def follow(options: argparse.Namespace) -> int:
    """Follow a scan that is being written; the first Ctrl-C ends it with what is there."""
    from ..config import FollowSpec
    from ..jobs import CancelToken, Progress

    asked = _asked(options) | {"until_idle": options.until_idle, "if_behind": options.if_behind}
    asked |= {"scan_shape": options.scan_shape, "scan_order": options.scan_order}
    told = _told(options) | ({"positions": True} if options.positions else {})
    asked |= told
    spec = FollowSpec.from_mapping(given(**asked), "the command line")
    check_output(options.out, options.json)
    from .. import workflows
    from ..workflows.live_status import LiveStatus

    token = CancelToken()
    with ProgressLine() as line, _ends_at_interrupt(token):

        def show(event: Any) -> None:
            if isinstance(event, LiveStatus):
                line.show_live(event)
            elif not isinstance(event, Progress):
                line.show(event)

        result = workflows.follow(
            options.path,
            spec.model,
            out=options.out,
            until_idle=spec.until_idle,
            if_behind=spec.if_behind,
            device=spec.device,
            batch_size=spec.batch_size,
            scan_shape=spec.scan_shape,
            scan_order=spec.scan_order,
            cancel=token,
            on_event=show,
            **told,
            **_extras(spec, options),
            **_place(options),
        )
    if options.json is not None:
        write_json(options.json, workflows.map_report(result))
    print_summary(result)
    return EXIT_OK


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    names = ("model", "device", "batch_size", "pattern_center", "like")
    return {name: getattr(options, name) for name in names}


def _extras(spec: ClassifySpec, options: argparse.Namespace) -> dict[str, Any]:
    """Return what is passed on only where somebody asked for it."""
    extras = given(pattern_center=spec.pattern_center, like=spec.like)
    return {**extras, "anew": True} if options.anew else extras


def opened(path: Path, options: argparse.Namespace, *, technique: str = "powder") -> Any:
    """Return a scan, read with what was said of its profiles or spots; else the path as it is.

    A camera constant makes profiles of pictures for the technique ``"powder"``.
    """
    told = _told(options)
    is_found = getattr(options, "find_calibration", False)
    if not told and asked_calibration(options) is None and not is_found:
        return path
    from ..patterns.read import read

    scan = calibrated(read(path, **told), options)
    if technique != "powder" or options.camera_constant is None:
        return scan
    from ..patterns import ring_profiles

    return ring_profiles(scan)


def _told(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was said of powder profiles."""
    names = ("wavelength", "radiation", "difc", "axis")
    return given(**{name: getattr(options, name) for name in names})


def _technique(model: str, options: argparse.Namespace) -> str:
    """Return what a model is for, where the answer matters for how a scan is opened."""
    if options.camera_constant is None:
        return "powder"
    from ..models import show_model

    return show_model(model).technique


def _place(options: argparse.Namespace) -> dict[str, Any]:
    """Return where the work runs, if that was asked for."""
    if options.scheduler == "dask":
        return {"executor": "dask"}
    return given(scheduler=options.scheduler)


@contextlib.contextmanager
def _ends_at_interrupt(token: CancelToken) -> Iterator[None]:
    """Let the first Ctrl-C end the work, and the second one break it off."""

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        say("stopping; the map is saved (Ctrl-C again breaks off, and leaves it unfinished)")
        token.cancel()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def simulate(options: argparse.Namespace) -> int:
    """Simulate what a spec asks for."""
    from ..config import SimulateSpec

    spec = SimulateSpec.from_yaml(options.spec)
    check_output(options.out)
    from .. import workflows

    with ProgressLine() as line:
        workflows.simulate(spec, options.out, on_event=line.show, **_place(options))
    say(f"wrote {options.out}")
    return EXIT_OK


def train(options: argparse.Namespace) -> int:
    """Train a model."""
    from ..config import read_train_spec

    spec = read_train_spec(options.spec)
    from .. import workflows

    with ProgressLine() as line:
        workflows.train(
            spec, options.out, resume=options.resume, on_event=line.show, **_place(options)
        )
    say(f"wrote the model to {options.out}")
    return EXIT_OK


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate a model."""
    from ..config import EvaluateSpec

    names: tuple[str, ...] = ("model", "phases", "scan", "truth", "condition")
    names += ("patterns_per_phase", "thick_share", "seed", "device", "batch_size")
    spec = EvaluateSpec.from_mapping(
        given(**{name: getattr(options, name) for name in names}), "the command line"
    )
    check_output(options.json)
    from .. import workflows

    with ProgressLine() as line:
        report = workflows.evaluate(
            spec.model,
            phases=spec.phases,
            scan=None
            if spec.scan is None
            else opened(spec.scan, options, technique=_technique(spec.model, options)),
            truth=spec.truth,
            condition=spec.condition,
            patterns_per_phase=spec.patterns_per_phase,
            thick_share=spec.thick_share,
            seed=spec.seed,
            device=spec.device,
            batch_size=spec.batch_size,
            on_event=line.show,
        )
    if options.json is not None:
        write_json(options.json, report)
    print_accuracy(report)
    return EXIT_OK


def explain(options: argparse.Namespace) -> int:
    """Draw where a model looks on one pattern, and on average in crystal directions."""
    from ..config import ExplainSpec

    names = ("model", "pixel", "space_group", "method", "patterns", "device")
    asked = given(**{name: getattr(options, name) for name in names})
    spec = ExplainSpec.from_mapping(asked, "the command line")
    check_output(options.out, options.json)
    from ..infer.explain_figure import draw_explanation
    from ..workflows.classify_scan import as_scan
    from ..workflows.explain_patterns import explain as explain_one
    from ..workflows.explain_patterns import explain_many, explainable, explanation_report

    scan, model = as_scan(options.scan), explainable(spec.model, spec.device)
    found = explain_one(scan, model, spec.pixel, space_group=spec.space_group, method=spec.method)
    sphere = None
    if spec.patterns:
        sphere = explain_many(
            scan, model, space_group=found.space_group, method=spec.method, patterns=spec.patterns
        )
    draw_explanation(found, options.out, sphere)
    report = explanation_report(found, sphere)
    if options.json is not None:
        write_json(options.json, report)
    print(f"{found.space_group} with {found.probability:.0%} at {spec.pixel}, {found.method}")
    for name, value in report.get("near_zone_axes", {}).items():
        print(f"within 5 degrees of {name}: {value:.2f} times the mean")
    return EXIT_OK


def list_models(options: argparse.Namespace) -> int:
    """List the models at hand."""
    del options
    from .. import models

    for name in models.list_models():
        print(name)
    return EXIT_OK


def show_model(options: argparse.Namespace) -> int:
    """Print a model card."""
    from .. import models

    print(models.show_model(options.model).model_dump_json(indent=2))
    return EXIT_OK


def check_model(options: argparse.Namespace) -> int:
    """Verify a model."""
    from .. import models

    problems = models.check_model(options.model)
    for problem in problems:
        say(f"error: {problem}")
    if problems:
        return EXIT_REFUSED
    print(f"{options.model}: weights, card and checksum agree")
    return EXIT_OK


def given(**values: Any) -> dict[str, Any]:
    """Return the options that were given; the spec knows the defaults of the others."""
    return {name: value for name, value in values.items() if value is not None}
