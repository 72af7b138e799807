"""Native circuits as IonQ's API has them."""

from __future__ import annotations

from typing import Any

import numpy as np


def native_gates(skeleton: list[tuple[str, list[int]]], rng: np.random.Generator) -> list[Any]:
    out = []
    for name, targets in skeleton:
        gate: dict[str, Any] = {"gate": name, "targets": targets}
        if name == "ms":
            gate |= {"phases": rng.uniform(-1, 1, 2).tolist(), "angle": rng.uniform(0, 0.25)}
        elif name == "zz":
            gate["angle"] = rng.uniform(-0.25, 0.25)
        else:
            gate["phase"] = rng.uniform(-1, 1)
        out.append(gate)
    return out
