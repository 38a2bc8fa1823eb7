"""Reads an HDF5 file from end to end in a process of its own, with limits: `python -m … FILE SECONDS BYTES`.

A damaged file may keep libhdf5 in a loop that nothing in Python interrupts, or end the process. What this has read, any
other may read. One line of JSON says what the attributes `model_config` and `keras_version` hold, or what is wrong.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

ATTRIBUTE, VERSION = "model_config", "keras_version"


def main(path: str, seconds: int, memory: int) -> None:
    """Print {"config": …, "version": …} or {"error": …}."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        import h5py

        with h5py.File(path, "r") as file:
            said = {"config": file.attrs.get(ATTRIBUTE), "version": file.attrs.get(VERSION)}
            file.visititems(_read)
        reply = {key: text.decode() if isinstance(text, bytes) else text for key, text in said.items()}
        print(json.dumps(reply))
    except Exception as error:  # whatever h5py raises
        print(json.dumps({"error": str(error).strip().partition("\n")[0] or type(error).__name__}))


def _read(name: str, item: Any) -> None:
    """All attributes, and all values of what has any."""
    del name
    for key in item.attrs:
        item.attrs[key]
    if hasattr(item, "dtype"):
        item[()]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
