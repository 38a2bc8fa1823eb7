"""Mode "describe": what each model takes and gives.

This file travels with runner.py: Python 3.9 and numpy, nothing of edgebuild beside its like.
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

if __package__:
    from . import model_values as values
    from . import runner_models as opened
else:
    import model_values as values  # type: ignore[import-not-found,no-redef]
    import runner_models as opened  # type: ignore[import-not-found,no-redef]


def describe(folder: str, job: Dict[str, Any]) -> Dict[str, Dict[str, Any]]:
    """The ports of each model, by position."""
    described = {}
    for spec in job["models"]:
        model, _ = opened.open_model(folder, spec)
        described[spec["name"]] = {"inputs": plain(model.inputs), "outputs": plain(model.outputs)}
    return described


def plain(ports: Sequence[values.Port]) -> List[Dict[str, Any]]:
    """Ports as plain data: name, shape (-1 is open), names of axes, element type, whether it stands for real values."""
    import numpy as np

    rows = []
    for port in ports:
        about = {"name": port.name, "shape": list(port.shape), "axes": list(port.axes)}
        rows.append(dict(about, dtype=np.dtype(port.dtype).name, quantized=bool(port.scale)))
    return rows
