"""Latencies that others measured on real boards, with their sources."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """`milliseconds` on `threads` threads; `fitted`: the constants of the target's time model were fitted with it."""

    milliseconds: float
    threads: int
    fitted: bool
    source: str


XNNPACK = "XNNPACK README, Raspberry Pi 4 (BCM2711, ARM64), multi-threaded, random weights, February 2022"
EXECUTORCH = "learn.arm.com, ExecuTorch on Arm, module 2: Raspberry Pi 5, ExecuTorch with XNNPACK, 50 runs"

# (target, network, numbers)
FIGURES = {
    ("rpi4", "v1", "float"): Published(77, 4, True, XNNPACK),
    ("rpi4", "v2", "float"): Published(46, 4, True, XNNPACK),
    ("rpi4", "v1", "int8"): Published(24, 4, True, XNNPACK),
    ("rpi4", "v2", "int8"): Published(17, 4, True, XNNPACK),
    ("rpi4", "v3-large", "float"): Published(40, 4, False, XNNPACK),
    ("rpi4", "v3-small", "float"): Published(15, 4, False, XNNPACK),
}

# The same kernels below another runtime; threads are not stated, 4 is that runtime's default on four equal cores.
OTHER_RUNTIME = {
    ("mobile-cpu", "v2", "float"): Published(10.89, 4, False, EXECUTORCH),
    ("mobile-cpu", "v2", "int8"): Published(4.01, 4, False, EXECUTORCH),
}
