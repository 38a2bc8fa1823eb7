#!/usr/bin/env python3
"""Run the model of this bundle on an example: `python run.py sample.png`.

Of every output the likeliest labels are printed, its values, or the boxes of what it detects; manifest.json ("heads")
says which. A box is left, top, right and bottom as shares of the picture.
An .npy file holds the model's only input, an .npz file all of them as arrays "0", "1", … in their order or by their
names; `NAME=FILE` for each of several inputs is one example. A model with a state takes a whole stream, its steps on
the first axis, keeps the state and prints a line for each step. Values are real, with a batch of 1, channels first as
in PyTorch. What the file stores instead (channels last, integers) is made of them here. A folder stands for the files
in it that can be read, `-` for the files that standard input names, a line each, answered as they come. `--json` prints
a document on each line, `--draw FOLDER` writes pictures with boxes or areas on them. What cannot be read is told, the
rest is answered, and the exit code is 1. `--self-test` answers the bundle's golden inputs and compares: exit 1 where
the model answers otherwise here than when it was judged.

Needs Python 3.9, numpy and the runtime named in requirements.txt, nothing else.
"""

import argparse
import hashlib
import importlib.util
import json
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROUNDED = 0.02  # how far from 1 the rounding to 8 bits may take the sum of a softmax


def read_values(path):
    """The model's inputs in their order."""
    if path.suffix == ".npy":
        return [np.load(path, allow_pickle=False)]
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            names = [port["name"] for port in given()]
            keys = names if set(stored.files) == set(names) else map(str, range(len(stored.files)))
            return [stored[key] for key in keys]
    how = json.loads((HERE / "preprocess.json").read_text(encoding="utf-8"))
    values = load(HERE / ("prepare_%s.py" % how["kind"])).read_prepared(path, how)
    if "names" not in how:
        return values
    return [values[how["names"].index(port["name"])] for port in manifest()["inputs"]]


def read_named(files):
    """The model's inputs in their order, out of one file for each: {name: path}."""
    names = [port["name"] for port in given()]
    for name in names:
        if name not in files:
            raise ValueError("no file is given for input %s (known: %s)" % (name, ", ".join(names)))
    parts = [read_values(files[name]) for name in names]
    if any(len(part) != 1 for part in parts):
        raise ValueError("a file of several arrays is no single input")
    return [part[0] for part in parts]


def answer(values):
    """The model's outputs, without their batch axis, for its inputs: each part is given what is routed to it.

    Where a router decides which parts run, it is given them and opens no more than it needs.
    """
    facts = manifest()
    if facts.get("router"):
        parts = [lambda inputs, name=part["name"]: opened(name).answer(inputs) for part in facts["parts"]]
        outputs = load(HERE / facts["router"]["program"]).answer(facts["router"]["rule"], parts, values)
        return [np.asarray(output[0]) for output in outputs]
    known = {(None, port["name"]): value for port, value in zip(facts["inputs"], values)}
    origin = {tuple(route["to"]): tuple(route["from"]) for route in facts["routing"]}
    for part in facts["parts"]:  # in the order in which they need each other
        name = part["name"]
        outputs = opened(name).answer([known[origin[name, port["name"]]] for port in part["inputs"]])
        known.update({(name, port["name"]): output for port, output in zip(part["outputs"], outputs)})
    return [np.asarray(known[origin[None, port["name"]]][0]) for port in facts["outputs"]]


@lru_cache(maxsize=None)
def manifest():
    """What the bundle says of itself."""
    return json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=None)
def opened(name):
    """A part in its runtime; where that lacks what the model was measured on, standard error says so."""
    part = next(part for part in manifest()["parts"] if part["name"] == name)
    if not any((HERE / file["file"]).is_file() for file in (part, part["coded"] or part)):
        served = "seconds" in (manifest().get("router") or {"rule": ()})["rule"]
        hint = "; EDGEBUILD_SERVER=host:port says where it runs" if served else ""
        raise FileNotFoundError("%s, the file of part %r, is not in this folder%s" % (part["file"], name, hint))
    runtime, path = part["runtime"], model_file(part)
    layouts = {side: [port["layout"] for port in part[side]] for side in ("inputs", "outputs")}
    spec = {"threads": runtime["threads"], "providers": runtime["providers"], "layouts": layouts, "fallback": True}
    model = load(HERE / part["loader"]).Model(path if isinstance(path, bytes) else str(path), spec)
    if model.told:
        print("run.py: %s" % model.told, file=sys.stderr)
    return model


def model_file(part):
    """The file of a part: its path, or its content where it must be decoded and the folder cannot be written."""
    path, coded = HERE / part["file"], part["coded"]
    if coded is None or (path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == coded["sha256"]):
        return path
    decoder = load(HERE / coded["decoder"])
    try:
        decoder.rebuild(str(HERE / coded["file"]), str(path), coded["bytes"])
        return path
    except OSError:
        return decoder.decode((HERE / coded["file"]).read_bytes(), coded["bytes"])


def load(path):
    """A Python file of this bundle as a module; nothing is added to the bundle, and none of it hides a package."""
    if __package__:  # part of somebody's application
        return importlib.import_module("." + path.stem, __package__)
    sys.dont_write_bytecode = True
    sys.path[:] = [place for place in sys.path if place != str(HERE)] + [str(HERE)]
    spec = importlib.util.spec_from_file_location("bundle_" + path.stem, str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden():
    """The golden inputs and outputs, lists of arrays with examples on axis 0, and the tolerance of each output."""
    how = manifest().get("golden")
    if how is None:
        raise ValueError("the bundle has no golden inputs: whoever built it measured no answers")
    with np.load(HERE / how["file"], allow_pickle=False) as stored:
        inputs = [stored["input/%d" % place] for place in range(len(manifest()["inputs"]))]
        outputs = [stored["output/%d" % place] for place in range(len(manifest()["outputs"]))]
    return inputs, outputs, how["tolerance"]


def differing():
    """A line for each golden input that is answered otherwise here than when the bundle was judged."""
    inputs, outputs, tolerance = golden()
    for example in range(len(inputs[0])):
        answers = answer([values[example : example + 1] for values in inputs])
        for port, own, expected, most in zip(manifest()["outputs"], answers, outputs, tolerance):
            off = np.abs(own.astype(np.float64) - expected[example].astype(np.float64)).max(initial=0.0)
            if not off <= most:
                yield "%s of golden input %d is off by %.6g, and at most %.6g is allowed" % (
                    port["name"], example, off, most,
                )  # fmt: skip


def self_test():
    """Exit 1 with the first line of `differing`, or say that all is well."""
    try:
        wrong = next(differing(), None)
    except Exception as error:  # whatever a runtime raises
        wrong = str(error)
    if wrong:
        sys.exit("run.py: self-test: %s" % wrong)
    print("self-test: %d golden inputs are answered as when the model was judged" % len(golden()[0][0]))


def ranked(scores, labels, how=None):
    """[(label, probability)], most likely first, of logits or of what a softmax has made probabilities already.

    A single score is that of the second of two classes, a probability where `how` says so.
    """
    if scores.size == 1:
        second = alone(scores.reshape(1), how)
        scores = np.concatenate([1 - second, second])
    shares = scores
    if scores.min() < 0 or abs(scores.sum() - 1) > ROUNDED:
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
    return [(labels[k], float(shares[k])) for k in np.argsort(-shares, kind="stable")]


def alone(scores, how):
    """The probability of each class by itself: its score, or the sigmoid of what is a logit."""
    return scores if how == "probabilities" else 1 / (1 + np.exp(-scores))


def told(outputs, values, top):
    """What to print of all outputs, with a name before each where there are several: by head, then what no head has."""
    facts = manifest()
    heads, taken = facts["heads"], {place for head in facts["heads"] for place in head["outputs"]}
    rest = [place for place in range(len(outputs)) if place not in taken]
    loose = [{"name": facts["outputs"][k]["name"], "outputs": [k], "show": "tensor"} for k in rest]
    parts = [
        (head["name"], shown(head, [outputs[k] for k in head["outputs"]], values, top)) for head in [*heads, *loose]
    ]
    return "; ".join("%s: %s" % part for part in parts) if len(parts) > 1 else parts[0][1]


def shown(head, answers, values, top):
    """The answers of one head in words."""
    return SHOW[head["show"]](head, answers, values, top)


def show_ranked(head, answers, values, top):
    """Its likeliest labels, or the one that it answers."""
    if answers[0].dtype.kind in "iu":
        number = int(answers[0].reshape(()))
        return head["labels"][number] if 0 <= number < len(head["labels"]) else "class %d, which has no name" % number
    ranks = ranked(answers[0].astype(np.float64), head["labels"], head.get("scores"))[:top]
    return ", ".join("%s (%.1f %%)" % (name, 100 * share) for name, share in ranks)


def show_several(head, answers, values, top):
    """All labels that are likelier than not."""
    shares = alone(answers[0].astype(np.float64), head.get("scores"))
    there = [k for k in np.argsort(-shares, kind="stable") if shares[k] > 0.5]
    return ", ".join("%s (%.1f %%)" % (head["labels"][k], 100 * shares[k]) for k in there) or "nothing"


def show_areas(head, answers, values, top):
    """The share of the picture that each label has."""
    predicted = of_pixels(head, answers[0])
    areas = np.bincount(predicted.reshape(-1), minlength=len(head["labels"]))[: len(head["labels"])] / predicted.size
    order = [k for k in np.argsort(-areas, kind="stable") if areas[k] > 0]
    return ", ".join("%s (%.1f %% of the area)" % (head["labels"][k], 100 * areas[k]) for k in order)


def of_pixels(head, maps):
    """The class of each pixel, [H, W]: as it is answered, or the largest of maps in front or behind, or one of two."""
    if maps.ndim == 2:
        return maps
    whole, count = maps.dtype.kind in "iu", len(head["labels"])
    counts = [1] if whole else [count, 1] if count == 2 else [count]
    axis = next(axis for size in counts for axis in (0, 2) if maps.shape[axis] == size)
    maps = np.moveaxis(maps, axis, 0)
    if whole or len(maps) > 1:
        return maps[0] if whole else maps.argmax(0)
    return (maps[0] > (0.5 if head.get("scores") == "probabilities" else 0)).astype(int)


def show_boxes(head, answers, values, top):
    """Each detection that is sure enough."""
    return ", ".join(detected(head, answers)) or "nothing"


def show_distance(head, answers, values, top):
    """How far the answer is from the input that it should be like."""
    return "%.6g from what is normal" % np.mean((answers[0].astype(np.float64) - values[0][0]) ** 2)


def show_tensor(head, answers, values, top):
    """The range of values that have no task, or the only one."""
    if all(one.size == 1 for one in answers):
        return show_values(head, answers, values, top)
    return ", ".join("%s from %.6g to %.6g" % ([*one.shape], one.min(), one.max()) for one in answers)


def show_values(head, answers, values, top):
    """All values."""
    return " ".join("%.6g" % value for one in answers for value in one.astype(np.float64).reshape(-1))


SHOW = {name[5:]: function for name, function in list(globals().items()) if name.startswith("show_")}


def detected(head, answers):
    """Each detection that is sure enough: its label, score and box."""
    for number, score, corners in detections(head, answers):
        box = " ".join("%.3f" % corner for corner in corners)
        yield "%s (%.1f %%) at %s" % (head["labels"][number], 100 * score, box)


def detections(head, answers):
    """Class, score and corners of each detection that is sure enough."""
    how = head["decoder"]
    for number, score, *corners in load(HERE / "boxes.py").decoded(how, [one[None] for one in answers])[0].tolist():
        if number >= 0 and score >= how["show"]:
            yield int(number), score, corners


def answered(values):
    """Outputs and inputs of an example, or where outputs come back as inputs, of each step of the stream of a file."""
    states = [port for port in manifest()["inputs"] if port.get("state")]
    if not states:
        yield answer(values), values
        return
    names = [port["name"] for port in manifest()["outputs"]]
    last = {port["name"]: np.full(port["shape"], port["state"]["start"], port["dtype"]) for port in states}
    for step in range(len(values[0])):
        own = iter([value[step : step + 1] for value in values])
        inputs = [last[port["name"]] if port.get("state") else next(own) for port in manifest()["inputs"]]
        outputs = answer(inputs)
        last = {port["name"]: outputs[names.index(port["state"]["from"])][None] for port in states}
        yield outputs, inputs


def given():
    """The inputs that a caller brings: those that outputs come back as are kept here."""
    return [port for port in manifest()["inputs"] if not port.get("state")]


def examples(arguments):
    """(what it is called, how to read it) of each example: a file, or together all that are NAME=FILE."""
    names = {port["name"] for port in given()}
    named = {}
    for text in arguments:
        name, _, path = text.partition("=")
        if path and name in names:
            named[name] = Path(path)
            continue
        for path in listed(text):
            yield str(path), path.name, lambda path=path: read_values(path)
    if named:
        text = " ".join("%s=%s" % (name, path) for name, path in named.items())
        yield text, ", ".join(path.name for path in named.values()), lambda: read_named(named)


def listed(text):
    """The files that an argument stands for."""
    if text == "-":
        return (Path(line.strip()) for line in sys.stdin if line.strip())
    if not Path(text).is_dir():
        return [Path(text)]
    files = [path for path in sorted(Path(text).iterdir()) if path.suffix.lower() in readable()]
    if not files:
        sys.exit("run.py: %s: no file in this folder ends in one of %s" % (text, ", ".join(sorted(readable()))))
    return files


def readable():
    """Endings of files that a folder is searched for: arrays, and what is prepared as the model was taught."""
    how = HERE / "preprocess.json"
    if not how.is_file():
        return {".npy", ".npz"}
    kind = json.loads(how.read_text(encoding="utf-8"))["kind"]
    return {".npy", ".npz", *load(HERE / ("prepare_%s.py" % kind)).ENDINGS}


def documented(path, outputs, text):
    """An answer as it is printed for machines: numbers that JSON has no word for are null."""
    facts = manifest()
    named = {port["name"]: plain(output.tolist()) for port, output in zip(facts["outputs"], outputs)}
    document = {"file": path, "text": text, "outputs": named}
    for head in facts["heads"]:
        if head["show"] == "boxes":
            rows = detections(head, [outputs[k] for k in head["outputs"]])
            boxes = [{"label": head["labels"][k], "score": score, "box": corners} for k, score, corners in rows]
            document.setdefault("boxes", {})[head["name"]] = boxes
    return json.dumps(document)


def plain(value):
    """Lists of numbers with None for NaN and the infinities."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value if not isinstance(value, float) or np.isfinite(value) else None


def draw(path, outputs, folder):
    """Write the picture with boxes and areas on it, named by its path."""
    facts, boxes, areas = manifest(), [], None
    for head in facts["heads"]:
        answers = [outputs[k] for k in head["outputs"]]
        if head["show"] == "boxes":
            labels = head["labels"]
            boxes += [(k, "%s %.0f %%" % (labels[k], 100 * s), box) for k, s, box in detections(head, answers)]
        elif head["show"] == "areas":
            areas = of_pixels(head, answers[0])
    how = json.loads((HERE / "preprocess.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    name = "_".join(part for part in Path(path).with_suffix("").parts if part not in ("/", ".."))
    target = folder / (name + ".png")
    load(HERE / ("draw_%s.py" % how["kind"])).draw(Path(path), how, boxes, areas, target)


def drawable():
    """Whether there is anything to draw, and a picture to draw it on."""
    shown = any(head["show"] in ("boxes", "areas") for head in manifest()["heads"])
    return shown and bool(list(HERE.glob("draw_*.py")))


def main():
    """Print the answer to each example; exit 1 where one could not be read or answered."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    known = "pictures, arrays (.npy, .npz), folders of them, - for names on standard input, or NAME=FILE for each input"
    parser.add_argument("files", nargs="*", help=known)
    parser.add_argument("--top", type=int, default=1, help="how many labels to print")
    parser.add_argument("--json", action="store_true", help="print a JSON document on each line")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="write pictures with boxes or areas to this folder")
    parser.add_argument("--self-test", action="store_true", help="compare the answers to the bundle's golden inputs")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
    elif not arguments.files:
        parser.error("name a file to run the model on, or --self-test")
    if arguments.draw and not drawable():
        parser.error("--draw: this model answers nothing that could be drawn on a picture")
    failed = False
    for path, name, read in examples(arguments.files):
        try:
            steps = list(answered(read()))
            for place, (outputs, values) in enumerate(steps):
                text = told(outputs, values, arguments.top)
                shown = "%s%s: %s" % (name, "[%d]" % place if len(steps) > 1 else "", text)
                print(documented(path, outputs, text) if arguments.json else shown, flush=True)
                if arguments.draw:
                    draw(path, outputs, arguments.draw)
        except BrokenPipeError:
            raise
        except Exception as error:  # runtimes and archives raise classes of their own, found in no common base
            failed = True
            print("run.py: %s: %s" % (path, error), file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
