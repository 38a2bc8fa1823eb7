"""Measures any model file on the devices of a target: no project, no data, no recipe."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgebuild.devices.jobs import job as jobs
from edgebuild.devices.jobs.job import JobModel, write_inputs
from edgebuild.devices.jobs.result import Described, Port, read
from edgebuild.devices.jobs.turns import turn
from edgebuild.devices.timing import feeds, layers, predicted
from edgebuild.devices.timing.latency import measure
from edgebuild.devices.timing.operators import with_operators
from edgebuild.plan.instruments import Instrument, Instruments, addressed
from edgebuild.spec.core import Band, TimeModel
from edgebuild.spec.device import Device
from edgebuild.spec.errors import DeviceError, UsageError
from edgebuild.spec.evidence import Counted
from edgebuild.spec.registry import FORMATS
from edgebuild.spec.target import Target, Timing

_TIMEOUT = 1800.0
_FAILED = "inference-failed"  # as runners call it that a runtime refuses the values
_COUNT = "count"  # the folder of the job that counts
# A quick look, not a verdict: no baseline is interleaved and no limit decides when to stop.
_REPEATS = 3  # whatever disturbs a count can only add to it, so the least of three is taken
_LOOK = Timing(looks=(3,), iterations=100, warmup=0.5)


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured: seconds with their band or spread, and the counted work where the device counts.

    `band` is that of a predicted time, and says what it rests on.
    `layers` are those of `timing/layers.py`, slowest first; None where there are none, and `layers_reason` says why.
    `outside` are seconds of a predicted time that are no layer's.
    """

    model: str
    target: str
    device: str
    fidelity: str
    threads: int
    seconds: float
    low: float
    high: float
    counted: Counted | None
    layers: layers.Layers | None
    layers_reason: str | None
    fed: tuple[feeds.Fed, ...]
    notices: tuple[str, ...]
    band: Band | None = None
    outside: float | None = None


@dataclass(frozen=True, slots=True)
class _Measured:
    """Seconds with their range, and its `band`; `counted` work; the `layers` and what is `outside`, or why not."""

    seconds: float
    low: float
    high: float
    counted: Counted | None
    layers: layers.Layers | None
    layers_reason: str | None
    band: Band | None = None
    outside: float | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """What the user wants the file to be fed: shapes such as "image=1,3,48,192", or an .npz of its inputs."""

    shapes: tuple[str, ...] = ()
    inputs: Path | None = None


def run(
    model: Path,
    target: Target,
    device: str | None = None,
    threads: int = 1,
    feed: Feed = Feed(),
    seed: int = 0,
) -> Bench:
    """Measure one file with random inputs of its own shapes, or what `feed` has; `device` names one in place of the
    target's.

    Raises UsageError for a file of no known format and for inputs that do not fit it or that it leaves open,
    DeviceError when the device or its runtime fails.
    """
    _check(model)
    instruments = Instruments(target)
    instrument = named(device, target) if device else instruments.best("latency")
    alone = not (instrument.device.counts or instrument.device.elsewhere)
    with tempfile.TemporaryDirectory(prefix="edgebuild-bench-") as folder, turn(alone=alone):
        inputs = Path(folder) / "inputs.npz"
        file, lines = _whole(model, Path(folder))
        feeder = feeds.Feeder(model, ports(instruments.host.device, file, Path(folder)))
        fed = _feed(feeder, feed, Path(folder), seed)
        with _told_what_was_fed(model, fed):
            if instrument.device.counts and target.hardware.core is not None and target.hardware.core.time is not None:
                result = _counted(instrument, target, target.hardware.core.time, file, inputs, Path(folder), threads)
            elif instrument.fidelity == "emulated":  # time under an emulator says nothing
                reason = "work cannot be counted here, and emulated time is no latency"
                raise DeviceError(reason, hint="edgebuild doctor")
            else:
                result = _timed(instrument, file, inputs, Path(folder), threads)
    return Bench(
        model=str(model),
        target=target.name,
        device=instrument.device.transport,
        fidelity=instrument.fidelity,
        threads=threads,
        seconds=result.seconds,
        low=result.low,
        high=result.high,
        counted=result.counted,
        layers=result.layers,
        layers_reason=result.layers_reason,
        fed=fed,
        notices=(*instruments.notices, *lines),
        band=result.band,
        outside=result.outside,
    )


@contextmanager
def _told_what_was_fed(model: Path, fed: tuple[feeds.Fed, ...]) -> Iterator[None]:
    """A file that does not answer is named, with what it was given: random values may be none that it takes."""
    try:
        yield
    except DeviceError as error:
        if not error.reason.startswith(_FAILED):
            raise
        values = ", ".join(f"{each.name} {list(each.shape)} {each.source}" for each in fed)
        hint = f"fed {values}; --inputs FILE.npz gives other values"
        raise DeviceError(error.reason, file=str(model), hint=hint) from None


def named(address: str, target: Target) -> Instrument:
    """The device that an address such as `ssh://pi@host` names; UsageError when it cannot be understood."""
    return Instruments.open(addressed(address), target)


def ports(host: Device, model: Path, folder: Path) -> tuple[Port, ...]:
    """The inputs of a model file by position, as the runner describes them; `folder` gets a job of its own."""
    job = folder / "describe"
    jobs.write(job, "describe", [JobModel("model", model)])
    host.execute(job, timeout=_TIMEOUT)
    return read(Described, job).models["model"].inputs


def _whole(model: Path, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The file, or where it does not run alone one in `folder` that does, and what is another in that."""
    try:
        content, lines = FORMATS.get(_format(model))().whole(model)
    except UsageError as error:
        raise UsageError(error.reason, file=str(model), hint=error.hint) from None
    if content is None:
        return model, lines
    alone = folder / f"whole{model.suffix}"
    alone.write_bytes(content)
    return alone, lines


def _feed(feeder: feeds.Feeder, feed: Feed, folder: Path, seed: int) -> tuple[feeds.Fed, ...]:
    """Write `inputs.npz`: one example, which is all that the model takes; what each input got."""
    shapes = feeds.parse_shapes(feed.shapes)
    arrays = feeds.read_arrays(feed.inputs) if feed.inputs is not None else None
    if arrays is not None and shapes:
        raise UsageError("goes without --inputs, which has shapes of its own", key="--shape")
    chosen, fed = feeder.random(shapes, seed) if arrays is None else feeder.from_file(arrays, str(feed.inputs))
    write_inputs(folder / "inputs.npz", tuple(values[None] for values in chosen))
    return fed


def _format(model: Path) -> str:
    """The name of the format of a file that was checked."""
    return next(name for name, kind in FORMATS.usable().items() if Path(kind.file).suffix == model.suffix)


def _check(model: Path) -> None:
    known = {Path(kind.file).suffix for kind in FORMATS.usable().values()}
    if model.suffix not in known:
        raise UsageError(
            f"{model.suffix or 'a file without ending'} is no known format",
            file=str(model),
            hint=", ".join(sorted(known)),
        )
    if not model.is_file():
        raise UsageError("no such file", file=str(model))
    try:
        with model.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", file=str(model)) from None


def _counted(
    instrument: Instrument, target: Target, model: TimeModel, file: Path, inputs: Path, folder: Path, threads: int
) -> _Measured:
    """Seconds that follow from counted work, with the target's band, and where they go."""
    kind = _format(file)
    counted = with_operators(_count(instrument, file, inputs, folder, model.mcpu), FORMATS.get(kind), file.read_bytes())
    predict, band = partial(_seconds, target.hardware.core_clock, model, threads), model.band(kind, threads)
    whole = layers.Whole(folder / _COUNT, counted, model.mcpu, predict)
    parts, reason = layers.count(instrument.device, file, inputs, folder / "layers", whole, _TIMEOUT)
    seconds = predict(counted)
    outside = None if parts is None else seconds - sum(part.median_us for part in parts) * 1e-6
    return _Measured(seconds, *band.limits(seconds), counted, parts, reason, band, outside)


def _seconds(clock: float, model: TimeModel, threads: int, counted: Counted) -> float:
    return predicted.seconds(counted, model, clock, threads)


def _timed(instrument: Instrument, file: Path, inputs: Path, folder: Path, threads: int) -> _Measured:
    """Seconds: the least, the middle and the largest of the processes' medians; then, apart, the time of the layers."""
    timed = JobModel("model", file, threads)
    timings = measure(instrument.device, [timed], inputs, folder / "jobs", lambda _: True, _LOOK)
    if timings.void:
        raise DeviceError(f"{instrument.device.transport}: {timings.void}")
    ordered = sorted(value * 1e-9 for value in timings.medians("model"))
    parts, reason = layers.measure(instrument.device, file, inputs, folder / "layers", threads, _TIMEOUT)
    return _Measured(ordered[len(ordered) // 2], ordered[0], ordered[-1], None, parts, reason)


def _count(instrument: Instrument, model: Path, inputs: Path, folder: Path, mcpu: str) -> Counted:
    job = folder / _COUNT
    jobs.write(job, "count", [JobModel("model", model)], inputs, count_repeats=_REPEATS)
    return instrument.device.count(job, mcpu, timeout=_TIMEOUT)
