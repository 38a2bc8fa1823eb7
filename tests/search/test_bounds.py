"""A bound on what a recipe can leave: no file that it makes is below, and what is beyond a limit costs nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from edgebuild.search import bounds
from edgebuild.spec import documents
from edgebuild.spec.evidence import FILE, Footprint, Weight
from edgebuild.spec.target import Gate
from edgebuild.spec.technique import Technique
from edgebuild.steps.evidence.footprint import Footprint as Weigh
from edgebuild.steps.techniques.distill import Distill
from edgebuild.steps.techniques.dynamic_int8 import DynamicInt8
from edgebuild.steps.techniques.encode import Encode
from edgebuild.steps.techniques.float16 import Float16
from edgebuild.steps.techniques.int8 import Int8
from edgebuild.steps.techniques.low_rank import LowRank
from edgebuild.steps.techniques.prune_channels import PruneChannels
from tests import tiny

BALANCED: tuple[Technique, ...] = (PruneChannels(ratio=0.5), Distill(), Int8())


def weighed(made: tiny.Made, folder: Path, format_name: str, file: str, model: str) -> Footprint:
    roles = {"candidate": (format_name, made[f"{format_name}-{file}"]), "baseline": (format_name, made[format_name])}
    models = {"candidate_model": ("torch", made[model]), "baseline_model": ("torch", made["float"])}
    return documents.read(Footprint, tiny.perform(Weigh(), folder, roles | models) / FILE)


@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
def test_no_file_is_below_the_bound(made: tiny.Made, tmp_path: Path, format_name: str) -> None:
    pruned = weighed(made, tmp_path / "pruned", format_name, "small_int8", "distilled")
    half = weighed(made, tmp_path / "half", format_name, "float16", "float")
    for footprint, steps in ((pruned, BALANCED), (half, (Float16(),))):
        least, own = bounds.bound(steps, footprint.baseline), footprint.candidate
        assert 0.2 * own.bytes < least.bytes <= own.bytes
        assert least.macs <= own.macs
        assert least.parameters <= own.parameters


BASE = Weight(400_000, 400_000, 100_000, 10_000_000)


def refused(limit: str, *steps: Technique, metric: str = "size") -> list[str]:
    return [miss.gate for miss in bounds.refused(steps, BASE, [Gate(metric, limit), Gate("latency", "+3 %")])]


def test_what_cannot_be_small_enough_is_refused_and_what_may_be_is_not() -> None:
    assert refused("80 kB", Int8()) == ["size"]
    assert refused("100 kB", Int8()) == []
    assert refused("80 kB", PruneChannels(ratio=0.5), Int8()) == []
    assert refused("80 kB", DynamicInt8(weights="int4")) == []
    assert refused("2 M", PruneChannels(ratio=0.5), metric="macs") == ["macs"]
    assert refused("3 M", PruneChannels(ratio=0.5), metric="macs") == []
    assert refused("50 kB", Int8(), metric="download") == ["download"]


def test_what_its_options_do_not_say_is_not_refused() -> None:
    assert refused("1 kB", PruneChannels(scope="global")) == []
    assert refused("1 kB", LowRank()) == []
    assert refused("50 kB", Int8(), Encode(), metric="download") == []


def test_heads_may_go_beyond_the_ratio() -> None:
    assert math.isclose(PruneChannels(ratio=0.5).leaves(), 0.25)
    assert math.isclose(PruneChannels(ratio=0.5, heads=0.75).leaves(), 0.0625)
    assert Distill().leaves() == Int8().leaves() == 1


@pytest.mark.parametrize("bits", [8, 16])
def test_a_file_that_came_with_fewer_bits_may_stay_as_it_is(bits: int) -> None:
    """Floats were taken for what every file has, so that nothing at all could be done to one of integers."""
    came = replace(BASE, bytes=BASE.parameters * bits // 8)
    for steps in ((), (Encode(),)):
        assert bounds.refused(steps, came, [Gate("size", "+0 %")]) == ()
