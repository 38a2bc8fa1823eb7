"""Slices: they lie in one another, learn with the whole's weights, and are taken out without training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgebuild.nn import checkpoint, records
from edgebuild.nn.prune.time_budget import TimeBudget
from edgebuild.nn.restructure import slices
from edgebuild.nn.restructure.slices import EverySlice, Nest, Sliced
from edgebuild.spec import documents, notes
from edgebuild.spec.errors import UsageError
from edgebuild.spec.evidence import FILE, LayerShapes, Width, WidthCurve, WidthCurves
from edgebuild.steps.convert import Convert
from edgebuild.steps.evidence.layer_shapes import LayerShapes as LayerShapesOf
from edgebuild.steps.techniques.elastic import Elastic
from edgebuild.steps.techniques.slice import Slice
from tests import tiny
from tests.steps.techniques import nets

STEP = Elastic(widths=(0.25, 0.5), epochs=2, batch_size=32, learning_rate=0.02)


@pytest.fixture(scope="module")
def trained(made: tiny.Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    return tiny.perform(STEP, tmp_path_factory.mktemp("elastic") / "out", inputs)


def take(step: Slice, trained: Path, made: tiny.Made, output: Path) -> Path:
    return tiny.perform(step, output, {"model": ("torch", trained), "data": ("data", made["data"])})


def test_every_slice_has_all_that_a_smaller_one_has(trained: Path) -> None:
    model = checkpoint.load(trained)
    sliced = Sliced.of(model.module, model.example(), Nest.read(trained))
    gone = {width: {one.name: {*units} for one, units in sliced.gone(width)} for width in (0.25, 0.5, 1.0)}
    assert not any(gone[1.0].values())
    for name, less in gone[0.25].items():
        assert less >= gone[0.5].get(name, set())
    widths = {name: len(order) for name, order in sliced.nest.order.items()}
    assert {name: widths[name] - len(units) for name, units in gone[0.5].items()} == {
        name: width // 2 for name, width in widths.items()
    }


def test_a_width_keeps_the_nearest_multiple_to_its_share(trained: Path) -> None:
    """Two thirds of 24 channels, written in four digits, are 16 and not the whole."""
    model = checkpoint.load(trained)
    nest = Nest.read(trained)
    sliced = Sliced.of(model.module, model.example(), nest)
    counts = {one.name: len(one.members) for one in slices.able(sliced.stock)}
    for width in (0.2501, 0.4999, 0.55):
        for one, gone in sliced.gone(width):
            left = counts[one.name] - len(gone)
            assert abs(left - width * counts[one.name]) <= nest.round_to / 2


def test_a_slice_computes_with_the_parameters_of_the_whole_and_teaches_no_others(trained: Path) -> None:
    model = checkpoint.load(trained)
    sliced = Sliced.of(model.module, model.example(), Nest.read(trained))
    x, chosen = torch.randn(3, 1, 12, 12), slices.Slice(0.5)
    shared, (alone, _) = sliced.shared(chosen), sliced.cut(chosen)
    torch.testing.assert_close(shared.answers(model.module, (x,))[0], alone(x))
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.mul_(1.1)
    (now,) = shared.answers(model.module, (x,))
    torch.testing.assert_close(now, sliced.cut(chosen)[0](x))
    now.sum().backward()  # type: ignore[no-untyped-call]
    touched = model.module.get_submodule("stem").weight.grad.flatten(1).any(1)  # type: ignore[union-attr, operator]
    assert {*(~touched).nonzero().flatten().tolist()} == {*sliced.nest.order["stem"][:8]}


def test_slices_are_as_right_as_the_whole_and_smaller_files(trained: Path, made: tiny.Made, tmp_path: Path) -> None:
    table = json.loads((trained / records.FILE).read_text())["slices"]
    assert [(one["width"], one["removed"]) for one in table] == [(0.25, 0), (0.5, 0), (1.0, 0)]
    assert [one["share"] for one in table] == sorted(one["share"] for one in table)
    assert min(one["accuracy"] for one in table) > 0.9
    assert notes.read(trained)[-1].startswith("slices, by 48 validation examples: width 0.25 has ")
    small = take(Slice(width=0.25), trained, made, tmp_path / "small")
    files = {}
    for name, folder in (("whole", trained), ("small", small)):
        done = tiny.perform(Convert("onnx"), tmp_path / f"{name}-onnx", {"model": ("torch", folder)})
        files[name] = (done / "model.onnx").stat().st_size
    assert files["small"] < 0.25 * files["whole"]


def test_a_slice_of_untrained_statistics_is_another_network(trained: Path, made: tiny.Made, tmp_path: Path) -> None:
    """The whole's means and variances are not those of a slice."""
    taken = checkpoint.load(take(Slice(width=0.5), trained, made, tmp_path / "out")).module
    model = checkpoint.load(trained)
    bare, _ = Sliced.of(model.module, model.example(), Nest.read(trained)).cut(slices.Slice(0.5))
    assert all(torch.equal(a, b) for a, b in zip(taken.parameters(), bare.parameters(), strict=True))
    names = [name for name, _ in bare.named_buffers() if name.endswith("running_mean")]
    assert any(not torch.allclose(taken.get_buffer(name), bare.get_buffer(name), rtol=0.05) for name in names)


def test_a_slice_is_chosen_by_what_it_costs_or_by_what_it_takes(trained: Path, made: tiny.Made, tmp_path: Path) -> None:
    whole, cheap = (
        take(Slice(budget=1.0), trained, made, tmp_path / "a"),
        take(Slice(macs=0.5), trained, made, tmp_path / "b"),
    )
    records_of = [json.loads((done / records.FILE).read_text()) for done in (whole, cheap)]
    assert [one["width"] for one in records_of] == [0.25, min(records_of[1]["slices"][:2], key=_loss)["width"]]
    assert notes.read(cheap)[0].startswith(f"width {records_of[1]['width']:g} of 3 slices, by 48 validation examples: ")


def test_a_slice_is_chosen_by_its_counted_time(trained: Path, made: tiny.Made, tmp_path: Path) -> None:
    """Every layer takes as long at any width but for those that read one of 64 channels whole."""
    shapes = tiny.perform(LayerShapesOf(EverySlice()), tmp_path / "shapes", {"model": ("torch", trained)})
    known = documents.read(LayerShapes, shapes / FILE).shapes
    curves = tuple(WidthCurve(one, (Width(one.outputs, 3.0 if one.inputs == 64 else 1.0),), ()) for one in known)
    (tmp_path / "widths").mkdir()
    documents.write(tmp_path / "widths" / FILE, WidthCurves(curves, 0.2))
    given = {"model": ("torch", trained), "data": ("data", made["data"])}
    given |= {"widths/tflite": ("evidence", tmp_path / "widths")}
    done = tiny.perform(Slice(budget=TimeBudget(0.6)), tmp_path / "out", given)
    record = json.loads((done / records.FILE).read_text())
    layers = 9  # of which three of the whole read 64 channels
    assert [one["time"] for one in record["slices"]] == [pytest.approx(layers / (layers + 6))] * 2 + [1.0]
    assert record["width"] == min(record["slices"][:2], key=_loss)["width"]
    assert "by 48 validation examples: 60% of the layers' counted time, " in notes.read(done)[0]
    with pytest.raises(UsageError, match=r"^slice.budget.time: the smallest slice takes 0.60 of the layers' time, not"):
        tiny.perform(Slice(budget=TimeBudget(0.5)), tmp_path / "none", given)


def _loss(one: dict[str, float]) -> float:
    return one["loss"]


def test_slices_of_a_transformer_lack_heads_and_blocks(tmp_path: Path) -> None:
    inputs = {
        "model": ("torch", nets.save("Transformer", tmp_path / "net")),
        "data": ("data", nets.data("Transformer", tmp_path / "data")),
    }
    step = Elastic(widths=(0.5,), blocks=1, epochs=1, batch_size=32, drawn=2)
    done = tiny.perform(step, tmp_path / "elastic", inputs)
    nest = Nest.read(done)
    assert nest.blocks in (("blocks.0",), ("blocks.1",))
    assert [str(one) for one in nest.slices()] == [
        "width 0.5, 1 block fewer", "width 0.5", "width 1, 1 block fewer", "width 1"
    ]  # fmt: skip
    taken = tiny.perform(Slice(width=0.5, blocks=1), tmp_path / "slice", inputs | {"model": ("torch", done)})
    model = checkpoint.load(taken)
    assert isinstance(model.module.get_submodule(nest.blocks[0]), torch.nn.Identity)
    left = model.module.get_submodule({"blocks.0": "blocks.1", "blocks.1": "blocks.0"}[nest.blocks[0]])
    assert left.attention.qkv.weight.shape[0] < 96  # type: ignore[union-attr, operator]
    tiny.perform(Convert("onnx"), tmp_path / "onnx", {"model": ("torch", taken)})


def test_what_has_no_slices_is_refused_in_one_line(trained: Path, made: tiny.Made, tmp_path: Path) -> None:
    whole = {"model": ("torch", made["float"]), "data": ("data", made["data"])}
    sliced = whole | {"model": ("torch", trained)}
    cases = [
        (Slice(), whole, "slice: the model has no slices (put `elastic` before it, and nothing between)"),
        (Slice(width=0.3), sliced, "slice.width: there is no slice of width 0.3"),
        (Slice(macs=0.01), sliced, "slice.macs: the smallest slice takes 0."),
        (replace(STEP, blocks=1), whole, "elastic.blocks: 1 blocks cannot be left out: there are 0"),
        (replace(STEP, widths=(0.97,)), whole, "elastic.widths: widths 0.97 and 1 are the same"),
        (replace(STEP, keep=("stm",)), whole, "elastic.keep: the model has no layer 'stm'"),
    ]
    for number, (step, inputs, told) in enumerate(cases):
        with pytest.raises(UsageError) as caught:
            tiny.perform(step, tmp_path / str(number), inputs)
        assert caught.value.line.startswith(told)
