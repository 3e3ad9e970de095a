"""How often each space group is met among crystals."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


@cache
def space_group_shares() -> NDArray[np.float64]:
    """Return the share of each space group, 1 to 230, shape ``(230,)``, sum 1.

    Half by structures and half by prototypes of about 30,000 inorganic crystals, with a part
    given to all groups alike so that none is ruled out; ``recipes/powder/prior.py`` counts them.
    """
    text = (files(__package__) / "tables" / "space_group_shares.json").read_text("utf-8")
    shares = np.array(json.loads(text)["shares"], np.float64)
    shares /= shares.sum()
    shares.flags.writeable = False
    return shares
