"""Samples and diffractometers at random: what training profiles and conditions differ in.

Needs torch, numpy and pydantic alone.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ..errors import SpecError
from ..imaging import ProfileContract
from ..imaging.profiles import K_ALPHA, scaled
from .profile import DeviceLines, ProfileConditions, draw_lines, grid_angles

Condition = Literal["clean", "standard", "hard"]
Limits = tuple[float, float]

DOUBLETS = tuple(
    (*pair, share) for pair, share in zip(K_ALPHA, (0.72, 0.08, 0.08, 0.04, 0.03), strict=False)
)
"""Kα1, Kα2 [Å] and how often a tube has the anode."""

GRAPHITE = 0.8
"""``cos² 2θ`` of a graphite monochromator for Cu Kα."""


class ProfileRange(BaseModel):
    """What samples and diffractometers a batch is drawn from; pairs are limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radiation: Literal["xray", "neutron"] = Field("xray", description="What is scattered.")
    doublets: float = Field(0.95, description="Share measured with the doublet of a tube.")
    anodes: bool = Field(False, description="Whether other anodes than copper occur.")
    wavelength: Limits = Field((0.4, 2.2), description="Of all others, log-uniform [Å].")
    start: Limits = Field((4.0, 15.0), description="First angle [degrees].")
    stop: Limits = Field((60.0, 110.0), description="Last angle [degrees].")
    width: Limits = Field((0.04, 0.25), description="Instrumental FWHM at 40 degrees [degrees].")
    spread: float = Field(0.6, description="How much the instrumental FWHM changes with angle.")
    size_width: Limits = Field((0.005, 0.25), description="Of crystallites, log-uniform [degrees].")
    strain_width: Limits = Field((0.01, 0.25), description="Of strain, log-uniform [degrees].")
    zero_shift: float = Field(0.05, description="Largest shift of all angles [degrees].")
    displacement: float = Field(6e-4, description="Largest height of the sample over the radius.")
    textured: float = Field(0.5, description="Share of samples with texture.")
    texture: Limits = Field((0.5, 1.6), description="March's r, log-uniform.")
    stretch: float = Field(0.06, description="Largest change of all spacings.")
    background: Limits = Field((0.002, 0.3), description="Over the highest peak, log-uniform.")
    hump: float = Field(0.15, description="Share of samples with an amorphous part.")
    impure: float = Field(0.15, description="Share of samples with a second phase.")
    impurity: Limits = Field((0.005, 0.15), description="Its strongest line, log-uniform.")
    counts: Limits = Field((1000.0, 1e5), description="At the highest peak, log-uniform.")
    noise: bool = Field(True, description="Whether counts scatter.")

    @classmethod
    def training(cls, radiation: str) -> ProfileRange:
        """Return the wide range that models are trained on."""
        if radiation == "xray":
            return cls()
        return cls(
            radiation="neutron", doublets=0.0, wavelength=(1.1, 2.5), start=(5.0, 20.0),
            stop=(110.0, 165.0), width=(0.15, 0.6), size_width=(0.005, 0.2),
            background=(0.02, 1.0), hump=0.2, displacement=0.0, texture=(0.6, 1.6),
        )  # fmt: skip

    @classmethod
    def park(cls) -> ProfileRange:
        """Return the samples of Park et al. (2017), IUCrJ 4, 486-494, section 2.

        Copper Kα with a graphite monochromator from 10 to 110 degrees, random peak shape and
        polynomial background, Poisson noise; no texture, shift or second phase. The paper gives no
        widths and counts, so those are ours.
        """
        return cls(
            doublets=1.0, start=(10.0, 10.0), stop=(110.0, 110.0), zero_shift=0.0,
            displacement=0.0, textured=0.0, stretch=0.0, impure=0.0, hump=0.0,
            counts=(1e4, 1e4), background=(0.01, 0.3),
        )  # fmt: skip

    @classmethod
    def of(cls, condition: str, radiation: str) -> ProfileRange:
        """Return the range of a named evaluation condition; see ``docs/conventions.md``.

        Raises
        ------
        SpecError
            If there is no condition of that name.
        """
        is_xray = radiation == "xray"
        common = {
            "radiation": radiation, "doublets": float(is_xray), "anodes": False, "stretch": 0.0,
            "wavelength": (1.54, 1.54), "start": (10.0, 10.0), "width": (0.08, 0.08),
            "stop": (90.0, 90.0), "size_width": (0.05, 0.05), "strain_width": (0.05, 0.05),
        }  # fmt: skip
        if not is_xray:
            common |= {"stop": (150.0, 150.0), "width": (0.3, 0.3)}
        nothing = {"zero_shift": 0.0, "displacement": 0.0, "textured": 0.0, "impure": 0.0,
                   "hump": 0.0, "background": (1e-6, 1e-6), "noise": False}  # fmt: skip
        if condition == "clean":
            return cls.model_validate(common | nothing)
        if condition == "standard":
            return cls.model_validate(
                common | {"zero_shift": 0.02, "displacement": 2e-4 * is_xray, "textured": 1.0,
                          "texture": (0.85, 1.15), "size_width": (0.03, 0.12), "impure": 0.0,
                          "strain_width": (0.02, 0.12), "hump": 0.0, "background": (0.01, 0.1),
                          "counts": (1e4, 1e4)}
            )  # fmt: skip
        if condition == "hard":
            return cls.model_validate(
                common | {"zero_shift": 0.05, "displacement": 5e-4 * is_xray, "textured": 1.0,
                          "texture": (0.5, 1.6), "size_width": (0.05, 0.4), "impure": 0.5,
                          "impurity": (0.02, 0.1), "strain_width": (0.05, 0.3), "hump": 0.5,
                          "background": (0.05, 0.5), "counts": (1e3, 1e3)}
            )  # fmt: skip
        raise SpecError(f"no condition {condition!r}; choose one of clean, standard, hard")

    def draw(self, count: int, generator: torch.Generator) -> ProfileConditions:
        """Return samples and instruments of ``count`` profiles."""
        device = generator.device

        def uniform(low: float, high: float) -> Tensor:
            drawn = torch.rand(count, generator=generator, device=device)
            return low + (high - low) * drawn

        def log_uniform(limits: Limits) -> Tensor:
            return torch.exp(uniform(math.log(limits[0]), math.log(limits[1])))

        def chance(share: float) -> Tensor:
            return uniform(0, 1) < share

        anodes = torch.tensor(DOUBLETS, device=device)
        weights = anodes[:, 2] if self.anodes else torch.eye(len(DOUBLETS), device=device)[0]
        picked = torch.multinomial(weights, count, replacement=True, generator=generator)
        has_doublet = chance(self.doublets)
        wavelength = torch.where(has_doublet, anodes[picked, 0], log_uniform(self.wavelength))
        ratio = torch.where(has_doublet, anodes[picked, 1] / anodes[picked, 0], 1.0)
        polarization = torch.where(chance(0.5), GRAPHITE, 1.0)
        if self.radiation == "neutron":
            polarization = torch.full_like(polarization, -1.0)
        width = log_uniform(self.width)
        slope = self.spread * uniform(-1, 1)
        tangent = math.tan(math.radians(20))
        # Squared width is a parabola in tan θ through the drawn width at 40 degrees.
        bend = self.spread * uniform(0, 1)
        return ProfileConditions(
            wavelength=wavelength,
            second_ratio=ratio,
            second_share=torch.where(has_doublet, 0.5, 0.0),
            polarization=polarization,
            caglioti_u=width**2 * bend,
            caglioti_v=width**2 * (slope - 2 * bend * tangent),
            caglioti_w=width**2 * (1 - slope * tangent + bend * tangent**2),
            size_width=log_uniform(self.size_width),
            strain_width=log_uniform(self.strain_width),
            zero_shift=self.zero_shift * uniform(-1, 1),
            displacement=self.displacement * uniform(-1, 1),
            texture=torch.where(chance(self.textured), log_uniform(self.texture), 1.0),
            stretch=1 + self.stretch * uniform(-1, 1),
            impurity=torch.where(chance(self.impure), log_uniform(self.impurity), 0.0),
        )

    def finish(
        self,
        peaks: Tensor,
        conditions: ProfileConditions,
        contract: ProfileContract,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return profiles with background and noise, and where they were measured.

        Parameters
        ----------
        peaks
            As :func:`~.profile.draw_lines` gives them, shape ``(n, points)``.
        """
        count = len(peaks)
        angles, widths = grid_angles(conditions.mean_wavelength, contract)
        first = _uniform(self.start, count, generator)[:, None]
        last = _uniform(self.stop, count, generator)[:, None]
        inside = (angles >= first) & (angles <= last) & (widths > 0)
        rates = peaks + self._background(angles, first, last, conditions, generator)
        if self.noise:
            highest = torch.where(inside, rates, 0.0).amax(1, keepdim=True).clamp_min(1e-9)
            low, high = (math.log(v) for v in self.counts)
            level = torch.exp(_uniform((low, high), count, generator))[:, None] / highest
            # Counts of a step of 0.02 degrees, averaged over a cell of the grid.
            exposure = level * (widths / 0.02).clamp_min(0.2)
            rates = torch.poisson(rates.clamp_min(0) * exposure, generator=generator)
            rates = rates / exposure.clamp_min(1e-12)
        return torch.where(inside, rates, 0.0), inside

    def _background(
        self,
        angles: Tensor,
        first: Tensor,
        last: Tensor,
        conditions: ProfileConditions,
        generator: torch.Generator,
    ) -> Tensor:
        """Return a Chebyshev series with air scatter at low angles, and humps."""
        count, device = len(angles), generator.device
        place = (2 * (angles - first) / (last - first) - 1).clamp(-1, 1)
        total = torch.ones_like(angles)
        before, now = torch.ones_like(place), place
        for order in range(1, 7):
            draws = torch.randn(count, 1, generator=generator, device=device)
            total = total + draws * now * 0.35 / order
            before, now = now, 2 * place * now - before
        total = total - total.amin(1, keepdim=True).clamp(max=0) + 0.05
        air = _uniform((0.0, 2.0), count, generator)[:, None]
        total = total + air * (8 / angles.clamp_min(3.0)) ** 1.5
        low, high = (math.log(v) for v in self.background)
        level = torch.exp(_uniform((low, high), count, generator))[:, None]
        total = level * total / total.mean(1, keepdim=True)
        if self.hump:
            has_hump = (_uniform((0.0, 1.0), count, generator) < self.hump)[:, None]
            spacing = _uniform((2.8, 5.0), count, generator)[:, None]
            sine = conditions.wavelength[:, None] / (2 * spacing)
            middle = torch.rad2deg(2 * torch.asin(sine.clamp(max=0.99)))
            broad = _uniform((3.0, 9.0), count, generator)[:, None]
            height = _uniform((0.02, 0.5), count, generator)[:, None]
            hump = height * torch.exp(-0.5 * ((angles - middle) / broad) ** 2)
            total = total + torch.where(has_hump, hump, 0.0)
        return total


def draw_profiles(
    lines: DeviceLines,
    chosen: Tensor,
    scope: ProfileRange,
    contract: ProfileContract,
    generator: torch.Generator,
) -> Tensor:
    """Return the network's inputs for profiles of some crystals, shape ``(n, 1, 1, points)``.

    Parameters
    ----------
    lines
        Where the crystals are; impurities are drawn from them too.
    chosen
        Crystal of each profile, shape ``(n,)``.
    scope
        Samples and instruments.
    contract
        What the network expects.
    generator
        Source of all that is random; its device is where profiles are drawn.
    """
    with torch.no_grad():
        values, inside = raw_profiles(lines, chosen, scope, contract, generator)
        return scaled(values, inside, contract)[:, None, None]


def raw_profiles(
    lines: DeviceLines,
    chosen: Tensor,
    scope: ProfileRange,
    contract: ProfileContract,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return profiles as measured, on the grid, and where they were; see draw_profiles."""
    conditions = scope.draw(len(chosen), generator)
    second = torch.randint(
        len(lines.starts), (len(chosen),), generator=generator, device=generator.device
    )
    peaks = draw_lines(lines, chosen, conditions, contract)
    impure = (conditions.impurity > 0).nonzero()[:, 0]
    if len(impure):
        some = ProfileConditions(
            **{name: value[impure] for name, value in vars(conditions).items()}
        )
        extra = draw_lines(lines, second[impure], some, contract)
        peaks[impure] += some.impurity[:, None] * extra
    return scope.finish(peaks, conditions, contract, generator)


def _uniform(limits: Limits, count: int, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(count, generator=generator, device=generator.device)
    return limits[0] + (limits[1] - limits[0]) * drawn
