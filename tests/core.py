"""A small core's profile, for targets that tests declare: what an emulated device and a prediction need."""

from __future__ import annotations

CORE = """\
[hardware.core]
part = 0xd08
variant = 0
revision = 3
features = ["fp"]
caches = [
    {level = 1, kind = "Data", size = "32 KiB", ways = 2},
    {level = 2, kind = "Unified", size = "1 MiB", ways = 16},
]
[hardware.core.time]
mcpu = "cortex-a72"
miss_cycles = {l1d = 5.0}
dram = "2.75 GB/s"
bands = [{threads = 1, error = 0.3}]
ratio_band = 0.25
sources = ["a paper"]
"""
