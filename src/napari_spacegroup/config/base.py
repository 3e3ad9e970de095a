"""What all specs share: frozen values, unknown keys refused, one message per fault.

A spec is written by hand in YAML, filled in by a dock, or built in a script; all three
come through :meth:`Spec.from_mapping`, so all three get the same checks and the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..errors import SpecError


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    if low > high:
        raise ValueError(f"a range goes from low to high, this one from {low} to {high}")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""Lower and upper limit, in the unit of the field."""

Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")]
"""A torch device, or ``auto``: the GPU when there is one."""


def quantity(default: Any, unit: str, sentence: str, **bounds: Any) -> Any:
    """Return a pydantic field that states its unit.

    Parameters
    ----------
    default
        Value when the spec is silent; ``...`` for a field that must be given.
    unit
        Unit of the number; ``"1"`` for a count or a share.
    sentence
        What the quantity is: shown as tooltip and in the docs.
    **bounds
        ``ge``, ``gt``, ``le``, ``lt`` and what else pydantic's ``Field`` takes.
    """
    return Field(default, description=sentence, json_schema_extra={"unit": unit}, **bounds)


class Spec(BaseModel):
    """Base of all specs: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, protected_namespaces=()
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "the spec") -> Self:
        """Return a spec from plain values.

        Parameters
        ----------
        values
            One entry per field; nested specs are mappings.
        source
            Where the values come from, for the message.

        Raises
        ------
        SpecError
            Names every field at fault, what it got and what it needs.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SpecError(_message(cls, error, source)) from error

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Return the spec in a YAML file; relative paths in it start at its folder.

        Raises
        ------
        SpecError
            If the file can't be read, is no YAML mapping, or holds a wrong spec.
        """
        path = Path(path)
        values = read_mapping(path, cls.__name__, cls._required())
        return cls.from_mapping(values, str(path)).anchored(path.parent)

    def to_yaml(self) -> str:
        """Return the spec as YAML text that :meth:`from_yaml` reads back."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        return text

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values, checked like a new spec.

        Raises
        ------
        SpecError
            If the changed spec is not valid.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return self.from_mapping({**values, **changes}, f"the changed {type(self).__name__}")

    def anchored(self, folder: Path) -> Self:
        """Return a copy whose relative paths start at ``folder``."""
        changes: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Path):
                changes[name] = folder / value
            elif isinstance(value, tuple) and value and all(isinstance(v, Path) for v in value):
                changes[name] = tuple(folder / v for v in value)
            elif isinstance(value, Spec):
                changes[name] = value.anchored(folder)
        return self.model_copy(update=changes)

    @classmethod
    def _required(cls) -> list[str]:
        return [name for name, field in cls.model_fields.items() if field.is_required()]


def read_mapping(path: Path, what: str, required: Sequence[str]) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Parameters
    ----------
    path
        The file.
    what, required
        Name of the spec that it should hold, and keys that it must have; for messages.

    Raises
    ------
    SpecError
        If the file can't be read, or is no YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read {path} ({error}); give a YAML file with a {what}") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is no valid YAML: {error}; mend the line it names") from error
    if not isinstance(values, dict):
        raise SpecError(
            f"{path} holds {type(values).__name__ if values is not None else 'nothing'}; "
            f"a {what} is a mapping, with at least: {', '.join(required)}"
        )
    return values


def _message(spec: type[Spec], error: ValidationError, source: str) -> str:
    lines = [f"{source} is no valid {spec.__name__}:"]
    for fault in error.errors(include_url=False):
        place = ".".join(str(part) for part in fault["loc"]) or "taken together"
        if fault["type"] == "extra_forbidden":
            known = ", ".join(spec.model_fields)
            hint = f"; it knows {known}" if len(fault["loc"]) == 1 else ""
            lines.append(f"  {place}: no such key{hint}")
        elif fault["type"] == "missing":
            lines.append(f"  {place}: is needed and not given")
        else:
            words = fault["msg"].removeprefix("Value error, ")
            # The input of a check across fields is the whole spec: the words say enough.
            got = "" if isinstance(fault["input"], Mapping) else f"got {fault['input']!r}; "
            lines.append(f"  {place}: {got}{words}")
    return "\n".join(lines)
