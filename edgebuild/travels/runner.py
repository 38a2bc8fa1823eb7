#!/usr/bin/env python3
"""Runs models on a device: `python runner.py JOBDIR` reads JOBDIR/job.json and writes JOBDIR/result.json.

`python runner.py --fingerprint` prints what the device is and what is installed there, as JSON.

This file travels to the device, with one file for each mode and the loaders of models beside it.  They need Python 3.9,
numpy and the runtime of the models (each loader says which), and import nothing else of ours.

job.json
    mode               "outputs", "latency", "count", "layers", "layer-counts", or "describe", which needs no inputs
    models             [{"name", "file", "threads" = 1, "providers" = ["CPUExecutionProvider"], "batch" = 1,
                         "layouts" = {"inputs": [null, …], "outputs": [null, …]}}]
                       "batch" is the batch given to a model that leaves it open; a static one is obeyed
                       a layout is "nhwc" where the file has channels last; arrays have them first, as in PyTorch
    inputs             an .npz of arrays "0", "1", … by argument position, examples on axis 0; where each array has one
                       axis more than the model's input, an example is all that the model takes, batch and all
    seconds            of CPU time after which no further example is begun: outputs; left out: all are run
    seed = 0, warmup_iterations = 60, warmup_seconds = 2.0, iterations = 200      latency
    longest            seconds of warm-up, and of rounds, that slow models have to themselves (at least 30 rounds are
                       run, and warm-up lasts warmup_seconds); left out: they take what the iterations take  latency
    count_inferences = 1, count_warmups = 2, count_repeats = 1 (regions a model)  count
    count_warmups = 1                                             layer-counts, of one model
    layer_inferences = 50, layer_warmups = 10                                     layers
result.json
    runner, python, runtimes, fingerprint, cpu_s (of the process), models {name: …}
    outputs: each model has the examples that were run, and the CPU time that they took, cpu_s
    latency: base_rss_bytes (before any model is loaded), peak_rss_bytes, fingerprint_after
    a model's "told" is one line on work that ran elsewhere than was asked, else null
    layers: each model has layers [{"name", "op", "output", "median_us", "share"}], or null and the reason
    layer-counts: the model has operators [{"name", "op", "output", "region"}] and how often a clock was read, at
                  "least" and at "most", so that many regions and one more were counted; or null and the reason
    on failure, with exit code 3: {"error": {"kind", "message"}}, kind being one of ERRORS
<name>.outputs.npz     mode "outputs": arrays "0", "1", … by output position, examples on axis 0
<name>.done            mode "outputs": how many examples have been run so far, for whoever waits
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from typing import Any, Callable, Dict, Sequence

if __package__:
    from . import model_values as values
    from . import runner_count as count
    from . import runner_describe as describe
    from . import runner_device as device
    from . import runner_latency as latency
    from . import runner_layer_counts as layer_counts
    from . import runner_layers as layers
    from . import runner_loaders as loaders
    from . import runner_models as opened
    from . import runner_outputs as outputs
else:  # on a device; last in the search path, so that no file beside this one hides a package
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import model_values as values  # type: ignore[import-not-found,no-redef]
    import runner_count as count  # type: ignore[import-not-found,no-redef]
    import runner_describe as describe  # type: ignore[import-not-found,no-redef]
    import runner_device as device  # type: ignore[import-not-found,no-redef]
    import runner_latency as latency  # type: ignore[import-not-found,no-redef]
    import runner_layer_counts as layer_counts  # type: ignore[import-not-found,no-redef]
    import runner_layers as layers  # type: ignore[import-not-found,no-redef]
    import runner_loaders as loaders  # type: ignore[import-not-found,no-redef]
    import runner_models as opened  # type: ignore[import-not-found,no-redef]
    import runner_outputs as outputs  # type: ignore[import-not-found,no-redef]

VERSION = "1"
ERRORS = (
    "bad-job", "runtime-missing", "provider-missing", "bad-model", "bad-input", "inference-failed",
    "out-of-memory", "internal",
)  # fmt: skip
FAILED = 3  # exit code
DESCRIBE = "describe"  # needs no inputs, so it is no work on them
PROFILED = ("layers", "layer-counts")
MODES: Dict[str, Callable[[opened.Work], Dict[str, Any]]] = {
    "outputs": outputs.outputs, "latency": latency.latency, "count": count.count, "layers": layers.layers,
    "layer-counts": layer_counts.layer_counts,
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
        raise values.RunnerError("bad-job", "job.json: %s %s" % (type(error).__name__, error)) from error
    if not known or not names or len(set(names)) != len(job["models"]):
        raise values.RunnerError("bad-job", "job.json: unknown mode, nothing to run, or two models of one name")
    if not all(fit):
        raise values.RunnerError("bad-job", "job.json: a model's name is not fit for a file: %s" % names)
    return job


def perform(folder: str) -> Dict[str, Any]:
    """Do the job; the result to be written."""
    job = read_job(folder)
    loaders.bring(folder)
    if job["mode"] == DESCRIBE:
        described = {"models": describe.describe(folder, job), "runtimes": device.runtimes()}
        return {"runner": VERSION, "mode": DESCRIBE, **described}
    arrays = opened.read_inputs(os.path.join(folder, job["inputs"]))
    before = device.fingerprint()
    base = device.rss_without_models(job["models"]) if job["mode"] == "latency" else None
    profiled = {"profile": job["mode"] in PROFILED}
    models = [opened.load(folder, dict(spec, **profiled), own_inputs(folder, spec, arrays)) for spec in job["models"]]
    results = MODES[job["mode"]](opened.Work(job, folder, arrays, models))
    for loaded in models:
        results[loaded.name].update(batch=loaded.batch, load_ns=loaded.load_ns, told=loaded.model.told)
    result: Dict[str, Any] = {"runner": VERSION, "python": platform.python_version(), "runtimes": device.runtimes()}
    result.update(mode=job["mode"], models=results, fingerprint=before, cpu_s=time.process_time())
    if job["mode"] == "latency":
        result.update(base_rss_bytes=base, peak_rss_bytes=device.rss("VmHWM"), fingerprint_after=device.fingerprint())
    return result


def own_inputs(folder: str, spec: Dict[str, Any], arrays: Sequence[Any]) -> Any:
    """What one model is fed: what all are, unless it has a file of its own."""
    return opened.read_inputs(os.path.join(folder, spec["inputs"])) if spec.get("inputs") else arrays


def write_result(folder: str, result: Dict[str, Any]) -> None:
    """result.json, in one step."""
    path = os.path.join(folder, "result.json")
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(path + ".part", path)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0, 2 for wrong usage, or FAILED."""
    if list(arguments) == ["--fingerprint"]:
        print(json.dumps({"runner": VERSION, **device.about()}))
        return 0
    if len(arguments) != 1 or not os.path.isdir(arguments[0]):
        print("usage: python runner.py JOBDIR", file=sys.stderr)
        return 2
    try:
        result, code = perform(arguments[0]), 0
    except values.RunnerError as error:
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
