"""What a remote device was found to be, remembered for a few seconds; and how long to let it cool between jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from edgebuild.spec.errors import DeviceError
from edgebuild.spec.units import SECONDS, parse
from edgebuild.travels import runner_loaders

FRESH = 5.0  # seconds during which a device is not asked again
POLL = 5.0  # seconds between two looks at the temperature
NEAR_C = 2.0  # as warm as at first
THROTTLED_NOW = 0xF  # a Raspberry Pi's bits 0-3; 16-19 say only that it happened since it was started

Facts = dict[str, Any]


def _wait(text: object) -> float:
    seconds = parse(text, SECONDS)
    if seconds < 0:
        raise ValueError(f"{text!r} must not be below zero")
    return seconds


# How long a job may wait for the device to be as cool as when the first one started; an option of remote devices.
Cooldown = Annotated[float, BeforeValidator(_wait), WithJsonSchema({"type": "string", "examples": ["2 min"]})]


@dataclass(slots=True)
class _Memory:
    """What this process knows of a device: when it was looked at and what came of it, how warm it was at first."""

    at: float = -FRESH
    found: Facts | DeviceError | None = None
    start_c: float | None = None


@cache
def _memory(device: Hashable) -> _Memory:
    return _Memory()


def look(device: Hashable, ask: Callable[[], Facts]) -> Facts:
    """What `ask` answers, asked again after FRESH seconds; DeviceError as it raised."""
    memory = _memory(device)
    if memory.found is None or time.monotonic() - memory.at > FRESH:
        try:
            memory.found = ask()
        except DeviceError as error:
            memory.found = error
        memory.at = time.monotonic()
    if isinstance(memory.found, DeviceError):
        raise DeviceError(memory.found.reason, hint=memory.found.hint)
    return memory.found


def seen(device: Hashable) -> Facts:
    """What it was when it was last looked at; nothing where it was not, or did not answer."""
    facts = _memory(device).found
    return facts if isinstance(facts, dict) else {}


def why_unusable(device: Hashable, ask: Callable[[], Facts], python: str) -> str | None:
    """One line: it cannot be reached, or lacks numpy or every runtime; None when it can run something."""
    try:
        packages = look(device, ask)["packages"]
    except DeviceError as error:
        return error.line
    if packages.get("numpy") is None:
        return f"numpy is not installed for {python} on the device"
    runtimes = [name for name in runner_loaders.PACKAGES if name != "numpy"]
    if not any(packages.get(name) for name in runtimes):
        return f"no runtime is installed for {python} on the device; it needs one of {', '.join(runtimes)}"
    return None


def stable(facts: Facts, names: Iterable[str]) -> dict[str, str]:
    """The facts that do not change from run to run: those named, the host, Python and the runtimes' versions."""
    lasting = {name: facts["fingerprint"].get(name) for name in names}
    lasting |= {"host": facts["host"], "python": facts["python"], **facts["android"], **facts["packages"]}
    return {name: "unknown" if value is None else str(value) for name, value in lasting.items()}


def cool_down(device: Hashable, ask: Callable[[], Facts], limit: float) -> None:
    """Wait, at most `limit` seconds, until nothing throttles and it is as warm as when the first job started.

    What a device does not tell is not waited for.
    """
    if limit <= 0:
        return
    memory, deadline = _memory(device), time.monotonic() + limit
    state = ask()["fingerprint"]
    while _hot(state, memory.start_c) and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(POLL, left))
        state = ask()["fingerprint"]
    if memory.start_c is None:
        memory.start_c = state.get("temperature_c")


def _hot(state: Facts, start_c: float | None) -> bool:
    throttled = int(state.get("throttle") or "0x0", 16) & THROTTLED_NOW
    now_c = state.get("temperature_c")
    return bool(throttled) or (start_c is not None and now_c is not None and now_c > start_c + NEAR_C)
