"""Processes that share every batch learn what one would, also by losses and layers that look at the whole of it."""

from __future__ import annotations

import copy
import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from edgebuild.nn.answers import listed
from edgebuild.nn.prune.slimming import penalized
from edgebuild.nn.quantize import fake_quant
from edgebuild.nn.train import kept, losses, machine, replicas, sandwich, taps, taught, training
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split
from edgebuild.spec.signature import Head
from edgebuild.spec.stage import Stage

CLASSES = Head("output", "classification")
HOW = Training(epochs=1, batch_size=7, learning_rate=0.05, seed=3)  # of seven examples one process has one more
State = dict[str, Tensor]


def data(*shape: int, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 64)
    values = rng.normal(size=(64, *shape)) + labels.reshape(-1, *[1] * len(shape))
    return Split((values.astype(np.float32),), (labels,))


@dataclass
class Case:
    """A training; `run` are modules that are run on its batches beside the one that learns."""

    module: nn.Module
    data: Split = field(default_factory=lambda: data(5))
    loss: losses.Loss = field(default_factory=lambda: losses.supervised([CLASSES]))
    how: Training = HOW
    run: Sequence[nn.Module] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def learn(self, group: replicas.Replicas | None = None, **options: Any) -> State:
        group = group or replicas.Replicas()
        options = {"sparse": (), "progress": lambda *_, **__: None} | self.options | options
        with group.answering([self.module, *self.run]):
            training.fit(self.module, self.data, self.loss, self.how, replicas=group, **options)
        return self.module.state_dict()


def layers(*last: nn.Module, seed: int = 7) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), *last, nn.ReLU(), nn.Linear(8, 3))


def plain(_: ExitStack) -> Case:
    def augment(x: Tensor, generator: torch.Generator) -> Tensor:
        return x + 0.1 * torch.randn(x.shape, generator=generator)

    return Case(layers(), how=replace(HOW, clip=0.5, optimizer="adamw"), options={"augment": augment})


def norms(_: ExitStack) -> Case:
    torch.manual_seed(7)
    first, second = nn.Conv2d(2, 4, 3, bias=False), nn.Linear(4, 6)
    second.weight.requires_grad_(False)
    body = [first, nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), second]
    module = nn.Sequential(*body, nn.BatchNorm1d(6, affine=False, momentum=None), nn.Linear(6, 3))
    module.register_parameter("unused", nn.Parameter(torch.ones(2, 2)))  # without a gradient, and so without decay
    return Case(module, data(2, 6, 6), how=replace(HOW, averaging="ema"), options={"validation": data(2, 6, 6, seed=1)})


def some_without_labels(_: ExitStack) -> Case:
    split = data(5)
    labels = np.where(np.arange(64) % 3 > 0, tasks.of(CLASSES).missing, split.labels[0])
    return Case(layers(), Split(split.inputs, (labels,)))


def stops_early(_: ExitStack) -> Case:
    split = data(5, seed=1)
    how = replace(HOW, epochs=6, patience=1, learning_rate=0.3)
    return Case(layers(), how=how, options={"validation": Split(split.inputs, (2 - split.labels[0],))})


def penalty(_: ExitStack) -> Case:
    module = layers(nn.BatchNorm1d(8))
    return Case(module, loss=penalized(losses.supervised([CLASSES]), [module[1].weight], 0.1))  # type: ignore[list-item]


def features(stack: ExitStack) -> Case:
    student, teacher = layers(), layers(seed=8).eval()
    torch.manual_seed(9)
    seen = tuple(stack.enter_context(taps.tapped(each, ["0"], "layers")) for each in (student, teacher))
    inner = taught.Features((seen[0], seen[1]), [("0", "0")], [(8, 8)])
    lesson = taught.lesson([CLASSES], "soft", 0.5, 2.0, [teacher])

    def loss(_: nn.Module, inputs: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor:
        return lesson(student, inputs, labels) + inner.distance()

    return Case(student, loss=loss, run=[teacher])


def quantized(_: ExitStack) -> Case:
    return Case(layers(fake_quant.moving_average(-0.1, 0.1, 0.3), fake_quant.learnt_scale(-1.0, 1.5)))


class Half:
    """A slice of a network: its first layer has half of its channels."""

    def __init__(self, module: nn.Module, scale: float) -> None:
        self.module, self.scale = copy.deepcopy(module), scale

    def answers(self, whole: nn.Module, inputs: losses.Answers) -> losses.Answers:
        parts = {name: self.scale * each for name, each in whole.named_parameters()}
        return listed(functional_call(self.module, parts, inputs))


def slices(_: ExitStack) -> Case:
    module = layers()
    least, *others = [Half(module, scale) for scale in (0.5, 0.7, 0.9)]
    loss = sandwich.lesson([CLASSES], least, others, 1, 0.5, 2.0)
    return Case(module, loss=loss, run=[one.module for one in (least, *others)])


ALIKE = (plain, norms, some_without_labels, stops_early, penalty, features, quantized, slices)


def by_chance(_: ExitStack) -> Case:
    return Case(layers(nn.Dropout(0.5)), how=replace(HOW, epochs=2, averaging="ema"))


class Killed(BaseException):
    """What stands for a kill."""


def stops_and_goes_on(group: replicas.Replicas, folder: Path) -> dict[str, Any]:
    """What a training is left with that nothing stops, and one that goes on from its checkpoint."""
    kept._LEAST, kept._SHARE = 0.0, 0  # a checkpoint after every step; this process is a copy
    steps: list[int] = []

    def progress(*_: object, step: int = 0, **__: object) -> None:
        steps.append(step)
        if len(steps) == 2:
            raise Killed

    def learn(**options: Any) -> State:
        group.forwards = 0
        return by_chance(ExitStack()).learn(group, **options)

    whole = learn()
    try:
        learn(folder=folder, progress=progress)
    except Killed:
        later: list[int] = []
        again = learn(folder=folder, progress=lambda *_, step=0, **__: later.append(step))
        return {"whole": whole, "again": again, "first": later[0]}
    raise AssertionError("it came to its end")


class Keeps(nn.Module):
    """Keeps what it has seen."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(5))
        self.linear = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.seen.copy_(x.detach().sum(0))
        answer: Tensor = self.linear(x)
        return answer


class Function(nn.Module):
    """A network that is one function."""

    def __init__(self, of: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.of = of

    def forward(self, x: Tensor) -> object:
        return self.of(x)


def masks(group: replicas.Replicas) -> Tensor:
    """What a dropout leaves of ones in a process."""
    module, own = nn.Dropout(0.5), list[Tensor]()
    module.register_forward_pre_hook(lambda _, args: own.append(args[0]))
    with group.answering([module]):
        before = torch.get_rng_state()
        answers = [module(torch.ones(8, 32)) for _ in range(2)]
        assert torch.equal(before, torch.get_rng_state())
    return torch.stack(answers)


def small() -> Case:
    split = data(5)
    return Case(layers(), Split((split.inputs[0][:9],), (split.labels[0][:9],)), how=replace(HOW, batch_size=1))


def process(index: int, folder: Path, line: Any) -> None:
    """Do all trainings as one of two processes."""
    torch.set_num_threads(1)
    try:
        results: dict[str, Any] = {}
        with replicas.joined(Stage(index, 2, folder / "meeting"), 3) as group, ExitStack() as stack:
            for case in ALIKE:
                results[case.__name__] = case(stack).learn(group)
            results["stops_and_goes_on"] = stops_and_goes_on(group, folder / "partial")
            results["masks"] = masks(group)
            with pytest.raises(UsageError) as refused:
                Case(Keeps()).learn(group)
            results["refused"] = str(refused.value)
            results["small"] = small().learn(group)
        torch.save(results, folder / str(index))
        line.send(None)
    except BaseException:
        line.send(traceback.format_exc())
        raise


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As a training has of so little work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def both(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes is left with, by the name of the training.

    They are no copies of this one: where other tests have trained, PyTorch lets none of its copies do.
    """
    folder, context = tmp_path_factory.mktemp("replicas"), multiprocessing.get_context("spawn")
    lines = [context.Pipe() for _ in range(2)]
    children = [context.Process(target=process, args=(k, folder, line[1])) for k, line in enumerate(lines)]
    for child in children:
        child.start()
    for _, theirs in lines:
        theirs.close()
    try:
        failures = [line.recv() if line.poll(180) else "it takes too long" for line, _ in lines]
    finally:
        for child in children:
            child.kill()
            child.join()
    assert failures == [None, None], "\n".join(filter(None, failures))
    return [torch.load(folder / str(index)) for index in range(2)]


def far(one: State, other: State) -> float:
    assert one.keys() == other.keys()
    return max(float(((one[name] - other[name]) / one[name].abs().clamp_min(1)).abs().max()) for name in one)


@pytest.mark.parametrize("case", ALIKE)
def test_two_processes_learn_what_one_does(case: Callable[[ExitStack], Case], both: list[dict[str, Any]]) -> None:
    with ExitStack() as stack:
        begun = case(stack)
        before = {name: each.clone() for name, each in begun.module.state_dict().items()}
        alone = begun.learn()
    first, second = (each[case.__name__] for each in both)
    assert far(first, second) == 0
    assert far(alone, first) < 1e-5
    assert far(alone, before) > 0.01


def test_a_batch_with_fewer_examples_than_processes_is_everybodys(both: list[dict[str, Any]]) -> None:
    assert far(small().learn(), both[0]["small"]) < 1e-5


def test_a_training_goes_on_from_the_first_ones_checkpoint_to_the_same_bytes(both: list[dict[str, Any]]) -> None:
    for each in both:
        made = each["stops_and_goes_on"]
        assert made["first"] > 1
        assert far(made["whole"], made["again"]) == 0


def test_each_draws_numbers_of_its_own_and_others_for_every_batch(both: list[dict[str, Any]]) -> None:
    drawn = both[0]["masks"]
    assert torch.equal(drawn, both[1]["masks"])
    halves = [drawn[0, :4], drawn[0, 4:], drawn[1, :4], drawn[1, 4:]]
    assert not any(torch.equal(one, other) for k, one in enumerate(halves) for other in halves[:k])


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)), None),
        (nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.5)), None),
        (Function(lambda x: {"a": x, "b": x[:, :2]}), None),
        (Function(lambda x: x - x.mean(0)), "depends on the others of the batch"),
        (Function(lambda x: x + torch.rand(len(x), 1)), "or on chance"),
        (Function(lambda x: x.mean(1).sum()), "examples cannot be answered one by one"),
        (Function(lambda x: x.view(2, 5)), "examples cannot be answered one by one"),
    ],
)
def test_a_network_that_answers_a_batch_otherwise_than_its_examples_cannot_share_it(
    module: nn.Module, why: str | None
) -> None:
    found = replicas.inseparable(module.train(), [torch.randn(2, 5)])
    assert (found is None) if why is None else (why in str(found))
    assert module.training


def test_where_there_are_several_devices_each_has_a_process_if_a_batch_is_work_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, example = nn.Linear(64, 64), (torch.zeros(1, 64),)
    assert machine.replicas(module, example, 10**8) == 1
    monkeypatch.setattr(machine, "devices", lambda: 4)
    enough = machine.PAYS_DEVICES / (2 * 64 * 64)
    assert [machine.replicas(module, example, int(enough) + more) for more in (-1, 1)] == [1, 4]


def test_a_buffer_that_follows_a_share_of_the_batch_is_refused(both: list[dict[str, Any]]) -> None:
    line = "replicas: buffer 'seen' follows the examples that each of 2 processes has of a batch"
    assert all(each["refused"].startswith(line) for each in both)
