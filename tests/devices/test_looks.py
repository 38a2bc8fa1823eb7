"""Cooling down between jobs: what is waited for, what is not, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgebuild.devices.adb import Adb
from edgebuild.devices.jobs import looks
from edgebuild.devices.ssh import Ssh
from edgebuild.spec.checked import check
from edgebuild.spec.errors import DeviceError, UsageError

State = tuple[float | None, str | None]


@pytest.fixture
def cool(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[..., float]:
    """Cool a device down that is in these states, one a look; the seconds that passed."""
    now = [0.0]
    monkeypatch.setattr(looks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(looks.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    device = Ssh(f"host-of-{request.node.name}")

    def run(limit: float, *states: State) -> float:
        began, left = now[0], list(states)

        def ask() -> dict[str, Any]:
            temperature, throttle = left.pop(0) if len(left) > 1 else left[0]
            return {"fingerprint": {"temperature_c": temperature, "throttle": throttle}}

        looks.cool_down(device, ask, limit)
        return now[0] - began

    return run


def test_the_first_job_waits_only_for_the_throttle_bits_of_now(cool: Callable[..., float]) -> None:
    assert cool(60, (80.0, "0x4"), (79.0, "0x80000"), (10.0, "0x0")) == looks.POLL


def test_later_jobs_wait_until_it_is_as_cool_as_at_first(cool: Callable[..., float]) -> None:
    cool(60, (50.0, "0x0"))
    assert cool(60, (70.0, "0x0"), (60.0, "0x0"), (52.0, "0x0")) == 2 * looks.POLL
    assert cool(60, (51.9, "0x0")) == 0


def test_no_longer_than_the_limit(cool: Callable[..., float]) -> None:
    cool(60, (50.0, None))
    assert cool(7, (70.0, None)) == 7


def test_what_is_not_told_is_not_waited_for(cool: Callable[..., float]) -> None:
    assert cool(60, (None, None)) == 0
    assert cool(60, (90.0, None)) == 0
    assert cool(60, (None, None)) == 0


def test_without_a_limit_nothing_is_asked() -> None:
    looks.cool_down(Ssh("nowhere"), lambda: pytest.fail("asked"), 0)


@pytest.mark.parametrize(("kind", "options"), [(Ssh, {"host": "pi"}), (Adb, {})])
def test_boards_and_phones_take_a_time_to_cool(kind: Any, options: dict[str, str]) -> None:
    assert check(kind, options | {"cooldown": "2 min"}, file="x.toml").cooldown == 120
    with pytest.raises(UsageError, match="has no unit"):
        check(kind, options | {"cooldown": "2"}, file="x.toml")


def test_a_failure_is_remembered_for_a_few_seconds() -> None:
    asked = []

    def ask() -> dict[str, Any]:
        asked.append(1)
        raise DeviceError("dead")

    device = Ssh("dead")
    assert [looks.why_unusable(device, ask, "python3") for _ in range(3)] == ["dead"] * 3
    assert len(asked) == 1
