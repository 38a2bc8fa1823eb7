#!/usr/bin/env python3
"""Runs models on a device: `python runner.py JOBDIR` reads JOBDIR/job.json and writes JOBDIR/result.json.

`python runner.py --fingerprint` prints what the device is and what is installed there, as JSON.

This file travels to the device, with the loaders of models beside it.  They need Python 3.9, numpy and the runtime of
the models (each loader says which), and import nothing else of ours.

job.json
    mode               "outputs", "latency", "count", "layers", or "describe", which needs no inputs
    models             [{"name", "file", "threads" = 1, "providers" = ["CPUExecutionProvider"], "batch" = 1,
                         "layouts" = {"inputs": [null, …], "outputs": [null, …]}}]
                       "batch" is the batch given to a model that leaves it open; a static one is obeyed
                       a layout is "nhwc" where the file has channels last; arrays have them first, as in PyTorch
    inputs             an .npz of arrays "0", "1", … by argument position, examples on axis 0; where each array has one
                       axis more than the model's input, an example is all that the model takes, batch and all
    seconds            of CPU time after which no further example is begun: outputs; left out: all are run
    seed = 0, warmup_iterations = 60, warmup_seconds = 2.0, iterations = 200      latency
    count_inferences = 1, count_warmups = 2, count_repeats = 1 (regions a model)  count
    layer_inferences = 50, layer_warmups = 10                                     layers
result.json
    runner, python, runtimes, fingerprint, cpu_s (of the process), models {name: …}
    outputs: each model has the examples that were run, and the CPU time that they took, cpu_s
    latency: base_rss_bytes (before any model is loaded), peak_rss_bytes, fingerprint_after
    a model's "told" is one line on work that ran elsewhere than was asked, else null
    layers: each model has layers [{"name", "op", "output", "median_us", "share"}], or null and the reason
    on failure, with exit code 3: {"error": {"kind", "message"}}, kind being one of ERRORS
<name>.outputs.npz     mode "outputs": arrays "0", "1", … by output position, examples on axis 0
<name>.done            mode "outputs": how many examples have been run so far, for whoever waits
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
import zipfile
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

if __package__:
    from .model_values import AnyModel, Port, RunnerError, check, import_first, in_file, to_raw, to_real
else:  # on a device; last in the search path, so that no file beside this one hides a package
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from model_values import (  # type: ignore[import-not-found,no-redef]
        AnyModel,
        Port,
        RunnerError,
        check,
        import_first,
        in_file,
        to_raw,
        to_real,
    )

VERSION = "1"
ERRORS = (
    "bad-job", "runtime-missing", "provider-missing", "bad-model", "bad-input", "inference-failed",
    "out-of-memory", "internal",
)  # fmt: skip
FAILED = 3  # exit code
MARK_SYSCALL, BEGIN, END, WATCH = 5000, 1, 2, 3  # agreed with the counting plugin; a real kernel answers ENOSYS
TELL_SECONDS = 0.5  # between two words on how far it is
DISTINCT_FEEDS = 32  # prepared ahead, so that timing sees varied data but memory stays small

Array = Any  # numpy.ndarray: numpy is imported late, so that its absence can be reported


def loaders(folder: str) -> List[str]:
    """The names of the modules in a folder that open models, `load_<format>.py` each."""
    return [name[:-3] for name in sorted(os.listdir(folder)) if re.match(r"load_\w+\.py$", name)]


def beside() -> List[Any]:
    """The loaders that are in this file's folder, as modules."""
    names = loaders(os.path.dirname(os.path.abspath(__file__)))
    return [importlib.import_module("." + name if __package__ else name, __package__) for name in names]


BESIDE = beside()
LOADERS: Dict[str, Any] = {suffix: loader.Model for loader in BESIDE for suffix in loader.SUFFIXES}
PACKAGES = ("numpy", *(package for loader in BESIDE for package in loader.PACKAGES))  # what arithmetic depends on
BROUGHT: List[str] = []  # distributions of the loaders that came with the job


def bring(folder: str) -> None:
    """Take the loaders in a job's folder, of formats that this program has none for."""
    names = loaders(folder)
    if names:
        sys.path.append(os.path.abspath(folder))
    for loader in map(importlib.import_module, names):
        LOADERS.update({suffix: loader.Model for suffix in loader.SUFFIXES if suffix not in LOADERS})
        BROUGHT.extend(loader.PACKAGES)


# ---------------------------------------------------------------- models and inputs


class Loaded(NamedTuple):
    """A model with its place in the job and what loading it took."""

    name: str
    model: AnyModel
    batch: int
    load_ns: int
    whole: bool = False  # an example is all that the model takes

    def feeds(self, arrays: List[Array], limit: Optional[int] = None) -> Iterator[Tuple[int, List[Array]]]:
        """(examples, raw inputs) a batch; a last short batch is filled by repeating its last example."""
        import numpy as np

        if self.whole:
            for one in range(len(arrays[0]))[:limit]:
                feed = [np.asarray(array[one]) for array in arrays]
                raw = [to_raw(array, port) for array, port in zip(feed, self.model.inputs)]
                yield 1, [each.reshape(()) if array.ndim == 0 else each for each, array in zip(raw, feed)]
            return
        starts = range(0, len(arrays[0]), self.batch)
        for start in starts[:limit]:
            wanted = np.arange(start, start + self.batch).clip(max=len(arrays[0]) - 1)
            real = min(self.batch, len(arrays[0]) - start)
            yield real, [to_raw(array[wanted], port) for array, port in zip(arrays, self.model.inputs)]


def read_inputs(path: str) -> List[Array]:
    """Arrays by position, each (examples, …)."""
    np = import_first("numpy")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = [archive[str(position)] for position in range(len(archive.files))]
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise RunnerError("bad-input", "inputs: %s" % error) from error
    if not arrays or any(array.ndim < 1 for array in arrays) or len({len(array) for array in arrays}) != 1:
        raise RunnerError("bad-input", "inputs differ in examples: %s" % [a.shape for a in arrays])
    if len(arrays[0]) == 0:
        raise RunnerError("bad-input", "inputs hold no example")
    return arrays


def open_model(folder: str, spec: Dict[str, Any]) -> Tuple[AnyModel, int]:
    """One model in its runtime, and the nanoseconds that loading it took."""
    name, path = spec["name"], os.path.join(folder, spec["file"])
    loader = LOADERS.get(os.path.splitext(path)[1])
    if loader is None or not os.path.isfile(path):
        raise RunnerError("bad-model", "%s: %s is not a file of %s" % (name, path, ", ".join(LOADERS)))
    loader.runtime()  # imported once a process, so not part of the time to load a model
    started = time.perf_counter_ns()
    with reported("bad-model", name):
        model: AnyModel = loader(path, spec)
    return model, time.perf_counter_ns() - started


def load(folder: str, spec: Dict[str, Any], arrays: List[Array]) -> Loaded:
    """Load one model, check the inputs against it and fix its open shapes."""
    name = spec["name"]
    model, load_ns = open_model(folder, spec)
    declared = [port.shape[0] for port in model.inputs if port.shape and port.shape[0] > 0]
    whole = all(array.ndim == len(port.shape) + 1 for array, port in zip(arrays, model.inputs))
    batch = 1 if whole else declared[0] if declared else int(spec.get("batch", 1))
    shapes = [array.shape[1:] if whole else (batch, *array.shape[1:]) for array in arrays]
    with reported("bad-input", name):
        check(model, shapes)
        model.fit([in_file(shape, port.layout) for shape, port in zip(shapes, model.inputs)])
    return Loaded(name, model, batch, load_ns, whole)


@contextlib.contextmanager
def reported(kind: str, name: str) -> Iterator[None]:
    """Give a runtime's exceptions a kind and the model's name."""
    try:
        yield
    except RunnerError as error:
        raise RunnerError(error.kind, "%s: %s" % (name, error)) from error
    except Exception as error:  # the runtimes raise classes of their own, found in no common base
        starved = isinstance(error, MemoryError) or re.search(r"bad_?alloc|(?i:allocate.*memory)", str(error))
        raise RunnerError("out-of-memory" if starved else kind, "%s: %s" % (name, error)) from error


# ---------------------------------------------------------------- the modes


class Work(NamedTuple):
    """A job with everything loaded."""

    job: Dict[str, Any]
    folder: str
    arrays: List[Array]
    models: List[Loaded]

    def feeds(self, loaded: Loaded) -> List[List[Array]]:
        """The few raw inputs that timing and counting cycle through."""
        return [feed for _, feed in loaded.feeds(self.arrays, DISTINCT_FEEDS)]


def outputs(work: Work) -> Dict[str, Any]:
    """Every example through every model, or as many as the CPU time allows: one at least."""
    results = {}
    for loaded in work.models:
        started, place = time.process_time(), os.path.join(work.folder, loaded.name)
        limit = started + float(work.job.get("seconds", "inf"))
        with reported("inference-failed", loaded.name):
            stacked = collect(loaded, work.arrays, limit, place + ".done")
        write_npz(place + ".outputs.npz", stacked)
        names = [port.name for port in loaded.model.outputs]
        taken = time.process_time() - started
        results[loaded.name] = {"examples": len(stacked[0]), "outputs": names, "cpu_s": taken}
    return results


def collect(loaded: Loaded, arrays: List[Array], limit: float, told: str) -> List[Array]:
    """Real outputs by position, each (examples, …), until the process has used `limit` seconds of CPU time."""
    import numpy as np

    parts: List[List[Array]] = [[] for _ in loaded.model.outputs]
    done, said = 0, time.monotonic()
    for count, feed in loaded.feeds(arrays):
        for part, raw, port in zip(parts, loaded.model.run(feed), loaded.model.outputs):
            raw = np.asarray(raw)
            if loaded.whole or raw.ndim == 0 or raw.shape[0] != loaded.batch:
                if loaded.batch != 1:
                    raise RunnerError("bad-model", "output %s %s has no batch axis" % (port.name, raw.shape))
                raw = raw[None]
            part.append(to_real(raw[:count], port))
        done += count
        if time.monotonic() - said > TELL_SECONDS:
            said = time.monotonic()
            with open(told + ".part", "w", encoding="utf-8") as file:
                file.write(str(done))
            os.replace(told + ".part", told)
        if time.process_time() >= limit:
            break
    return [np.concatenate(part) for part in parts]


def latency(work: Work) -> Dict[str, Any]:
    """The unit process: rounds in which every model runs once, in random order, on the same example."""
    job, models = work.job, work.models
    order = random.Random(int(job.get("seed", 0)))
    feeds = [work.feeds(loaded) for loaded in models]
    least, seconds = int(job.get("warmup_iterations", 60)), float(job.get("warmup_seconds", 2.0))
    warmups: List[List[int]] = [[] for _ in models]
    values: List[List[int]] = [[] for _ in models]
    with quiet_collector():
        started = time.perf_counter()
        while len(warmups[0]) < least or time.perf_counter() - started < seconds:
            one_round(order, models, feeds, warmups)
        for _ in range(int(job.get("iterations", 200))):
            one_round(order, models, feeds, values)
    return {
        loaded.name: {"values_ns": taken, "warmup_ns": warm, "median_ns": statistics.median(taken)}
        for loaded, taken, warm in zip(models, values, warmups)
    }


def one_round(
    order: random.Random, models: List[Loaded], feeds: List[List[List[Array]]], taken: List[List[int]]
) -> None:
    """Time each model once, nanoseconds appended to its list in `taken`."""
    for index in order.sample(range(len(models)), len(models)):
        feed = feeds[index][len(taken[index]) % len(feeds[index])]
        with reported("inference-failed", models[index].name):
            run = models[index].model.run
            started = time.perf_counter_ns()
            run(feed)
            taken[index].append(time.perf_counter_ns() - started)


def count(work: Work) -> Dict[str, Any]:
    """Inferences between the marks of one region or more a model, for an emulator that counts instructions."""
    inferences, warmups = int(work.job.get("count_inferences", 1)), int(work.job.get("count_warmups", 2))
    repeats = int(work.job.get("count_repeats", 1))
    results, mark = {}, marker()
    mark(WATCH, 0)
    for number, loaded in enumerate(work.models):
        feeds, run = work.feeds(loaded), loaded.model.run
        with reported("inference-failed", loaded.name), quiet_collector():
            for step in range(warmups):
                run(feeds[step % len(feeds)])
            chosen = [feeds[step % len(feeds)] for step in range(inferences)]
            for region in range(number * repeats, (number + 1) * repeats):
                mark(BEGIN, region)
                for feed in chosen:
                    run(feed)
                mark(END, region)
        results[loaded.name] = {"region": number * repeats, "regions": repeats, "inferences": inferences}
    return results


def layers(work: Work) -> Dict[str, Any]:
    """Time of each operator, by the runtime's own profile: it slows what it watches, so nothing else is timed here."""
    warmups, inferences = int(work.job.get("layer_warmups", 10)), int(work.job.get("layer_inferences", 50))
    results: Dict[str, Any] = {}
    for loaded in work.models:
        if loaded.model.layerless is not None:
            results[loaded.name] = {"layers": None, "reason": loaded.model.layerless}
            continue
        feeds, run = work.feeds(loaded), loaded.model.run
        with reported("inference-failed", loaded.name), quiet_collector():
            for step in range(warmups + inferences):
                run(feeds[step % len(feeds)])
            results[loaded.name] = {"layers": by_operator(loaded.model.trace(), warmups), "reason": None}
    return results


NODE_END = "_kernel_time"


def by_operator(events: Iterable[Dict[str, Any]], warmups: int) -> List[Dict[str, Any]]:
    """Operators in the order of execution: median µs an inference, and that as a share of what all take.

    `events` are those of ONNX Runtime's profile: an inference's operators come before its own "model_run". What runs
    several times an inference is added up. The parts of an operator that runs a graph of its own (Loop, If) are
    listed beside it, though their time is in its own too. Shares are of the sum of medians, not of the inference: one
    of a few milliseconds is often interrupted on a busy machine, an operator seldom.
    """
    runs: List[Dict[Tuple[str, str], float]] = []
    about: Dict[Tuple[str, str], Dict[str, Any]] = {}
    taken: Dict[Tuple[str, str], float] = {}
    for event in events:
        name, details = event["name"], event.get("args", {})
        if event.get("cat") == "Node" and name.endswith(NODE_END):
            key = (name[: -len(NODE_END)], str(details.get("node_index")))
            taken[key] = taken.get(key, 0.0) + event["dur"]
            first = [shape for each in details.get("output_type_shape", [])[:1] for shape in each.values()]
            shape = first[0] if first else None
            about.setdefault(key, {"name": key[0], "op": details.get("op_name"), "output": shape})
        elif name == "model_run":
            runs.append(taken)
            taken = {}
    medians = {key: statistics.median(run.get(key, 0.0) for run in runs[warmups:]) for key in about}
    whole = sum(medians.values()) or 1.0
    return [dict(about[key], median_us=took, share=took / whole) for key, took in medians.items()]


def marker() -> Callable[[int, int], Any]:
    """The raw system call that an emulator's plugin watches."""
    if not sys.platform.startswith("linux"):
        raise RunnerError("bad-job", "mode count needs Linux, this is %s" % sys.platform)
    libc = ctypes.CDLL(None)
    libc.syscall.argtypes = [ctypes.c_long] * 3
    return lambda kind, region: libc.syscall(MARK_SYSCALL, kind, region)


@contextlib.contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collection inside what is timed or counted."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# ---------------------------------------------------------------- the device


def fingerprint() -> Dict[str, Any]:
    """What this machine is and what state it is in; None where it does not say."""
    cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq/"
    temperature = whole(read("/sys/class/thermal/thermal_zone0/temp"))
    memory = re.search(r"MemTotal:\s+(\d+) kB", read("/proc/meminfo") or "")
    return {
        "machine": platform.machine(),
        "board": read("/proc/device-tree/model"),
        "cpu": cpu_model(),
        "microcode": cpu_field("microcode"),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "governor": read(cpufreq + "scaling_governor"),
        "frequency_khz": whole(read(cpufreq + "scaling_cur_freq")),
        "temperature_c": None if temperature is None else temperature / 1000,
        "throttle": throttle(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": int(memory.group(1)) * 1024 if memory else None,
        "memory_limit": read("/sys/fs/cgroup/memory.max"),
    }


def read(path: str) -> Optional[str]:
    """Content of a small system file without blanks and NULs at its ends, None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0 \n") or None
    except OSError:
        return None


def whole(text: Optional[str]) -> Optional[int]:
    """A whole number, None for anything else: some drivers answer <unknown>."""
    return int(text) if text and re.match(r"-?[0-9]+$", text) else None


def cpu_field(name: str) -> Optional[str]:
    """A field of the first processor in /proc/cpuinfo."""
    found = re.search(r"^%s\s*:\s*(.+?)\s*$" % re.escape(name), read("/proc/cpuinfo") or "", re.MULTILINE)
    return found.group(1) if found else None


def cpu_model() -> Optional[str]:
    """The processor's name, or on ARM, which prints none, its identification numbers."""
    named = cpu_field("model name")
    part = cpu_field("CPU part")
    if named or not part:
        return named or platform.processor() or None
    fields = ("CPU implementer", "CPU variant", "CPU revision")
    return "part %s " % part + " ".join("%s %s" % (f.split()[1], cpu_field(f)) for f in fields)


def throttle() -> Optional[str]:
    """Throttle bits of a Raspberry Pi, such as 0x0."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "get_throttled"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip().partition("=")[2] or None


def rss(which: str) -> Optional[int]:
    """This process's resident memory in bytes: VmRSS, what it is now, or VmHWM, its high-water mark.

    Not from getrusage: on Linux that starts at the size of the process which started this one.
    """
    found = re.search(r"%s:\s+(\d+) kB" % which, read("/proc/self/status") or "")
    return int(found.group(1)) * 1024 if found else None


def rss_without_models(specs: Sequence[Dict[str, Any]]) -> Optional[int]:
    """Resident memory with the runtimes imported; from here on the high-water mark starts anew, where that may be."""
    for loader in {LOADERS[end] for end in (os.path.splitext(spec["file"])[1] for spec in specs) if end in LOADERS}:
        loader.runtime()
    gc.collect()
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return rss("VmRSS")


def runtimes() -> Dict[str, Optional[str]]:
    """Versions of what has been imported."""
    modules = [package.replace("-", "_") for package in (*PACKAGES, *BROUGHT)]
    return {module.replace("ai_edge_", ""): version(module) for module in modules}


def version(module: str) -> Optional[str]:
    """Version of an imported module, from itself or from its package's metadata."""
    from importlib import metadata

    if module not in sys.modules:
        return None
    try:
        return str(getattr(sys.modules[module], "__version__", None) or metadata.version(module.replace("_", "-")))
    except metadata.PackageNotFoundError:
        return "unknown"


ANDROID = ("ro.product.model", "ro.soc.model", "ro.build.fingerprint")


def about() -> Dict[str, Any]:
    """The fingerprint, with what is installed here; nothing heavy is imported."""
    return {
        "runner": VERSION,
        "host": platform.node(),
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in PACKAGES},
        "android": {name: android(name) for name in ANDROID} if shutil.which("getprop") else {},
        "fingerprint": fingerprint(),
    }


def android(name: str) -> Optional[str]:
    """A property of an Android system."""
    said = subprocess.run(["getprop", name], capture_output=True, text=True, timeout=5, check=False)
    return said.stdout.strip() or None


def installed(package: str) -> Optional[str]:
    """Version of a package that can be imported, None where it cannot be found."""
    from importlib import metadata, util

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown" if util.find_spec(package.replace("-", "_")) else None


# ---------------------------------------------------------------- the job

DESCRIBE = "describe"  # needs no inputs, so it is no work on them
MODES: Dict[str, Callable[[Work], Dict[str, Any]]] = {
    "outputs": outputs, "latency": latency, "count": count, "layers": layers,
}  # fmt: skip


def read_job(folder: str) -> Dict[str, Any]:
    """job.json, checked as far as the modes rely on it."""
    try:
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            job: Dict[str, Any] = json.load(file)
        names = [spec["name"] for spec in job["models"] if spec["file"] and spec.get("batch", 1) >= 1]
        fit = [re.match(r"[A-Za-z0-9][\w.-]*$", name) for name in names]
        ready = job["mode"] == DESCRIBE or (job["mode"] in MODES and bool(job["inputs"]))
        known = ready and job.get("iterations", 1) >= 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunnerError("bad-job", "job.json: %s %s" % (type(error).__name__, error)) from error
    if not known or not names or len(set(names)) != len(job["models"]):
        raise RunnerError("bad-job", "job.json: unknown mode, nothing to run, or two models of one name")
    if not all(fit):
        raise RunnerError("bad-job", "job.json: a model's name is not fit for a file: %s" % names)
    return job


def perform(folder: str) -> Dict[str, Any]:
    """Do the job; the result to be written."""
    job = read_job(folder)
    bring(folder)
    if job["mode"] == DESCRIBE:
        return describe(folder, job)
    arrays = read_inputs(os.path.join(folder, job["inputs"]))
    before = fingerprint()
    base = rss_without_models(job["models"]) if job["mode"] == "latency" else None
    profiled = {"profile": job["mode"] == "layers"}
    models = [load(folder, dict(spec, **profiled), arrays) for spec in job["models"]]
    results = MODES[job["mode"]](Work(job, folder, arrays, models))
    for loaded in models:
        results[loaded.name].update(batch=loaded.batch, load_ns=loaded.load_ns, told=loaded.model.told)
    result: Dict[str, Any] = {"runner": VERSION, "python": platform.python_version(), "runtimes": runtimes()}
    result.update(mode=job["mode"], models=results, fingerprint=before, cpu_s=time.process_time())
    if job["mode"] == "latency":
        result.update(base_rss_bytes=base, peak_rss_bytes=rss("VmHWM"), fingerprint_after=fingerprint())
    return result


def describe(folder: str, job: Dict[str, Any]) -> Dict[str, Any]:
    """What each model takes and gives, by position: see `ports`."""
    models = {}
    for spec in job["models"]:
        model, _ = open_model(folder, spec)
        models[spec["name"]] = {"inputs": ports(model.inputs), "outputs": ports(model.outputs)}
    return {"runner": VERSION, "mode": DESCRIBE, "models": models, "runtimes": runtimes()}


def ports(given: Sequence[Port]) -> List[Dict[str, Any]]:
    """Ports as plain data: name, shape (-1 is open), names of axes, element type, whether it stands for real values."""
    import numpy as np

    found = []
    for port in given:
        about = {"name": port.name, "shape": list(port.shape), "axes": list(port.axes)}
        found.append(dict(about, dtype=np.dtype(port.dtype).name, quantized=bool(port.scale)))
    return found


def write_npz(path: str, arrays: List[Array]) -> None:
    """Arrays by position, in one step: a file that is there is whole."""
    import numpy as np

    with open(path + ".part", "wb") as file:
        np.savez(file, **{str(position): array for position, array in enumerate(arrays)})
    os.replace(path + ".part", path)


def write_result(folder: str, result: Dict[str, Any]) -> None:
    """result.json, in one step."""
    path = os.path.join(folder, "result.json")
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(path + ".part", path)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0, 2 for wrong usage, or FAILED."""
    if list(arguments) == ["--fingerprint"]:
        print(json.dumps(about()))
        return 0
    if len(arguments) != 1 or not os.path.isdir(arguments[0]):
        print("usage: python runner.py JOBDIR", file=sys.stderr)
        return 2
    try:
        result, code = perform(arguments[0]), 0
    except RunnerError as error:
        result, code = {"error": {"kind": error.kind, "message": one_line(error)}}, FAILED
    except MemoryError as error:
        result, code = {"error": {"kind": "out-of-memory", "message": one_line(error)}}, FAILED
    except Exception as error:  # whatever else goes wrong must reach the caller as a line, not as silence
        message = "%s: %s" % (type(error).__name__, one_line(error))
        result, code = {"error": {"kind": "internal", "message": message}}, FAILED
    write_result(arguments[0], result)
    return code


def one_line(error: BaseException) -> str:
    """The message without line breaks, at most 500 characters."""
    return " ".join(str(error).split())[:500] or type(error).__name__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
