"""Training as a stream of events: it can be watched, cancelled, killed and resumed.

Needs torch, numpy and pydantic alone, so that it runs on a bare GPU node.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .._version import __version__
from ..config import BaseTrainSpec
from ..errors import ModelError
from ..jobs.cancel import CancelToken
from ..models import Model, ModelCard
from .checkpoint import TrainState, load_checkpoint, save_checkpoint
from .masterset import MasterSet
from .metrics import fit_temperature
from .setup import start_from
from .supply import supply_of
from .unlabelled import UnlabelledScan, unlabelled_loss

log = logging.getLogger(__name__)
CHECKPOINT_NAME = "checkpoint.safetensors"
AVERAGE_DECAY = 0.998


@dataclass(frozen=True)
class TrainStep:
    """Losses since the last such event.

    Parameters
    ----------
    step, steps
        Steps done and planned.
    loss, plane_loss
        Mean cross entropy [nat] and mean loss of the second task.
    accuracy
        On the randomised training patterns.
    seconds
        Time trained [s].
    unlabelled_loss
        Mean loss on patterns without labels [nat]; 0 where there are none.
    """

    step: int
    steps: int
    loss: float
    plane_loss: float
    accuracy: float
    seconds: float
    unlabelled_loss: float = 0.0


@dataclass(frozen=True)
class Validation:
    """Score on structures that training does not see, standard condition.

    Parameters
    ----------
    step
        Steps done.
    accuracy
        Mean over the space groups.
    loss
        Cross entropy [nat].
    """

    step: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class TrainDone:
    """The end of training.

    Parameters
    ----------
    model
        The averaged network with its card, saved already.
    is_cancelled
        True where it was stopped early.
    """

    model: Model
    is_cancelled: bool


TrainEvent = TrainStep | Validation | TrainDone


def train_events(
    spec: BaseTrainSpec,
    out: str | Path,
    *,
    resume: bool = False,
    cancel: CancelToken | None = None,
    masters: MasterSet | None = None,
    held: Any = None,
    unlabelled: Sequence[UnlabelledScan] = (),
    report_every: int = 50,
) -> Iterator[TrainEvent]:
    """Train a network and save it as a model.

    Parameters
    ----------
    spec
        What to train on and how.
    out
        Folder of the model; checkpoints go there too.
    resume
        Go on from the checkpoint in ``out``, if there is one.
    cancel
        Ends training after the present batch; what is learnt by then is saved.
    masters
        Master patterns already in memory, instead of those that the spec names.
    held
        The same for other techniques; for powder a :class:`~..simulate.lineset.LineSet`.
    unlabelled
        What the scans hold that ``spec.unlabelled`` names.
    report_every
        Steps between two :class:`TrainStep` events.

    Yields
    ------
    event
        Steps, validations, and :class:`TrainDone` at the end.

    Raises
    ------
    ModelError
        If a class has no structure, the checkpoint belongs to another network, or no pattern
        without a label can be used.
    """
    session = _Session(spec, Path(out), masters if held is None else held, unlabelled, resume)
    yield from session.run(cancel or CancelToken(), report_every)


class _Session:
    """The parts of one training run."""

    def __init__(
        self,
        spec: BaseTrainSpec,
        out: Path,
        held: Any,
        unlabelled: Sequence[UnlabelledScan],
        resume: bool,
    ) -> None:
        self.spec, self.out = spec, out
        out.mkdir(parents=True, exist_ok=True)
        device = spec.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.supply = supply_of(spec, self.device, held)
        torch.manual_seed(spec.seed)
        self.network = self.supply.build()
        if spec.start is not None:
            start_from(spec.start, self.network, self.supply.classes)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        schedule = spec.schedule
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.unlabelled = None
        if spec.unlabelled is not None and unlabelled:
            self.unlabelled = unlabelled_loss(
                spec.unlabelled, self.supply, self.network, unlabelled
            )
        self.step, self.seconds = 0, 0.0
        checkpoint = out / CHECKPOINT_NAME
        if resume and checkpoint.exists():
            state = load_checkpoint(
                checkpoint, self.network, self.average, self.optimiser, self.supply.generator,
                self._others,
            )  # fmt: skip
            self.step, self.seconds = state.step, state.seconds
            log.info("resumed at step %d", self.step)

    def run(self, cancel: CancelToken, report_every: int) -> Iterator[TrainEvent]:
        schedule = self.spec.schedule
        sums = np.zeros(4)
        count = 0
        last = time.monotonic()
        while self._share_done() < 1 and not cancel.is_cancelled:
            sums += self._one_step()
            count += 1
            now = time.monotonic()
            self.seconds += now - last
            last = now
            if self.step % report_every == 0:
                loss, plane, accuracy, other = sums / count
                yield TrainStep(
                    self.step, schedule.steps, loss, plane, accuracy, self.seconds, other
                )
                sums, count = np.zeros(4), 0
            if self.step % schedule.evaluate_every == 0:
                self._checkpoint()
                if self.supply.has_validation:
                    yield self._validate()
                last = time.monotonic()
        self._checkpoint()
        model = self._finish()
        yield TrainDone(model, cancel.is_cancelled)

    def _share_done(self) -> float:
        schedule = self.spec.schedule
        share = self.step / schedule.steps
        return max(share, self.seconds / schedule.seconds) if schedule.seconds else share

    def _one_step(self) -> np.ndarray[Any, Any]:
        schedule = self.spec.schedule
        done = self._share_done()
        rate = schedule.learning_rate * min(1.0, done / max(schedule.warmup, 1e-9) + 0.01)
        rate *= 0.5 * (1 + math.cos(math.pi * done)) + 2e-3
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = self.supply.draw(schedule.batch_size)
        self.network.train()
        with _precision(schedule.precision, self.device):
            logits, plane_loss = self.supply.forward(self.network, batch)
            loss = functional.cross_entropy(
                logits.float(), batch.labels, label_smoothing=schedule.label_smoothing
            )
            other = self._without_labels()
        self.optimiser.zero_grad(set_to_none=True)
        total = loss + schedule.plane_weight * plane_loss + other
        if not torch.isfinite(total):
            raise ModelError(
                f"the loss is {total.item()} at step {self.step}; lower the learning rate "
                f"({schedule.learning_rate})"
            )
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self._update_average()
        hits = (logits.argmax(-1) == batch.labels).float().mean()
        return np.array(
            [loss.item(), float(plane_loss.detach()), hits.item(), float(other.detach())]
        )

    def _without_labels(self) -> torch.Tensor:
        """Return the weighted loss of patterns without labels, 0 where there are none."""
        asked = self.spec.unlabelled
        if self.unlabelled is None or asked is None:
            return torch.zeros((), device=self.device)
        count = max(2, round(asked.share * self.spec.schedule.batch_size))
        return asked.weight * self.unlabelled(self.network, self.average, count)

    def _update_average(self) -> None:
        decay = min(AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        state = self.network.state_dict()
        with torch.no_grad():
            for key, value in self.average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(state[key], 1 - decay)
                else:
                    value.copy_(state[key])

    def _validate(self) -> Validation:
        logits, labels = self.supply.held_out(self.average, 16, seed=1)
        hits = (logits.argmax(-1) == labels).float()
        balanced = np.mean([hits[labels == k].mean().item() for k in labels.unique()])
        loss = functional.cross_entropy(logits, labels).item()
        return Validation(self.step, float(balanced), loss)

    def _checkpoint(self) -> None:
        state = TrainState(self.step, self.seconds, self.spec.model_dump_json())
        save_checkpoint(
            self.out / CHECKPOINT_NAME, state, self.network, self.average, self.optimiser,
            self.supply.generator, self._others,
        )  # fmt: skip

    @property
    def _others(self) -> dict[str, nn.Module]:
        return {} if self.unlabelled is None else self.unlabelled.parts

    def _finish(self) -> Model:
        temperature = 1.0
        if self.supply.has_validation:
            temperature = fit_temperature(*self.supply.held_out(self.average, 64, seed=2))
        card = ModelCard(
            name=self.spec.name,
            technique=self.spec.technique,
            classes=self.supply.classes,
            architecture=self.supply.architecture,
            options=self.supply.options,
            input=self.supply.contract,
            temperature=temperature,
            package_version=__version__,
            training={
                **self.supply.facts(),
                "steps": self.step,
                "patterns": self.step * self.spec.schedule.batch_size,
                "seconds": round(self.seconds, 1),
                "hardware": _hardware(self.device),
                "torch": torch.__version__,
            },
        )
        model = Model(self.average, card)
        model.save(self.out)
        return model


def _precision(precision: str, device: torch.device) -> Any:
    if precision == "auto":
        precision = "bfloat16" if device.type == "cuda" else "float32"
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
