"""The model card: what a network expects, was trained on, reaches and can't do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import ModelError
from ..imaging import AnyContract

CARD_NAME = "card.json"
WEIGHTS_NAME = "weights.safetensors"


class ModelCard(BaseModel):
    """Everything about a model but its weights; stored as ``card.json`` beside them."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str = Field(description="Name of the model.")
    technique: Literal["ebsd", "sad", "powder"] = Field(description="What it classifies.")
    summary: str = Field("", description="One sentence for a list of models.")
    classes: tuple[int, ...] = Field(min_length=2, description="Space groups, in output order.")
    architecture: str = Field(description="Key of the architecture.")
    options: dict[str, Any] = Field(default_factory=dict, description="Its constructor options.")
    input: AnyContract = Field(description="What it expects of a pattern.")
    temperature: float = Field(1.0, gt=0, description="Divides the logits: calibration.")
    equivalence_sets: tuple[tuple[int, ...], ...] = Field(
        (), description="Groups that physics cannot separate for this technique."
    )
    cannot_separate: tuple[str, ...] = Field((), description="The same in words, with evidence.")
    finest_level: str = Field(
        "space_group", description="What it tells apart; finer answers are shared out by a prior."
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="Structures, simulator, microscope range, seed, cost."
    )
    metrics: dict[str, Any] = Field(default_factory=dict, description="Evaluation reports.")
    package_version: str = Field("", description="Version that trained it.")
    licence: str = Field("CC-BY-4.0", description="Licence of the weights.")
    sha256: str = Field("", description="SHA-256 of the weights file, hexadecimal.")

    @classmethod
    def load(cls, path: Path) -> ModelCard:
        """Return the card in a JSON file.

        Raises
        ------
        ModelError
            If the file is missing or is no card.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelError(
                f"no model card at {path} ({error.strerror}); a model is a folder with "
                f"{CARD_NAME} and {WEIGHTS_NAME}"
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ModelError(
                f"{path} is no model card: {place}: {first['msg']}; train the model again "
                "or fetch it anew"
            ) from error

    def save(self, path: Path) -> None:
        """Write the card as indented JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
