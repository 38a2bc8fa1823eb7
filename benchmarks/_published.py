"""Latencies that others measured on real boards, with their sources."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """`milliseconds` on `threads` threads."""

    milliseconds: float
    threads: int
    source: str


XNNPACK = "XNNPACK README, Raspberry Pi 4 (BCM2711, ARM64), multi-threaded, random weights, February 2022"
EXECUTORCH = (
    "ExecuTorch, not LiteRT, over the same kernel library, on a Raspberry Pi 5; threads not stated, four assumed "
    "(learn.arm.com, ExecuTorch on Arm, module 2)"
)

# (target, network, numbers)
FIGURES = {
    ("rpi4", "v1", "float"): Published(77, 4, XNNPACK),
    ("rpi4", "v2", "float"): Published(46, 4, XNNPACK),
    ("rpi4", "v1", "int8"): Published(24, 4, XNNPACK),
    ("rpi4", "v2", "int8"): Published(17, 4, XNNPACK),
    ("rpi4", "v3-large", "float"): Published(40, 4, XNNPACK),
    ("rpi4", "v3-small", "float"): Published(15, 4, XNNPACK),
}

# No figure of LiteRT on this core was found. The same kernel library below another runtime, whose threads are not
# stated: four, for Arm's figure of ResNet-50 on the same board (int8, 20.6 ms) is beyond what two cores can multiply.
OTHER_RUNTIME = {
    ("mobile-cpu", "v2", "float"): Published(10.89, 4, EXECUTORCH),
    ("mobile-cpu", "v2", "int8"): Published(4.01, 4, EXECUTORCH),
}
