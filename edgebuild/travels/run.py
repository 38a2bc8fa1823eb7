#!/usr/bin/env python3
"""Run the model of this bundle on an example: `python run.py sample.png`.

Of every output the likeliest labels are printed, its values, or the boxes of what it detects; manifest.json ("heads")
says which. A box is left, top, right and bottom as shares of the picture.
An .npy file holds the model's only input, an .npz file all of them as arrays "0", "1", … in their order or by their
names; `NAME=FILE` for each of several inputs is one example. Values are real, with a batch of 1, channels first as in
PyTorch. What the file stores instead (channels last, integers) is made of them here.

Needs Python 3.9, numpy and the runtime named in requirements.txt, nothing else.
"""

import argparse
import hashlib
import importlib.util
import json
import struct
import sys
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # PNG colour type → samples a pixel


def read_picture(path):
    """Pixels of a picture, uint8 [height, width, channels]: any that Pillow opens where it is there, else a PNG."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        if path.suffix.lower() != ".png":
            raise ValueError("without Pillow only .png pictures are read: python3 -m pip install pillow") from None
        return read_png(path)
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture)  # as the camera was held
        if upright.mode.startswith(("I", "F")):
            raise ValueError("only pictures of 8 bits a channel are read")
        pixels = np.asarray(upright.convert("L" if upright.mode in ("1", "L", "LA") else "RGB"))
    return pixels.reshape(*pixels.shape[:2], -1)


def read_png(path):
    """Pixels of an 8-bit grey or colour PNG without interlace, uint8 [height, width, channels]."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("%s is not a PNG file" % path.name)
    chunks = dict(read_chunks(data))
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if depth != 8 or colour not in CHANNELS or interlace:
        raise ValueError("%s: only 8-bit grey or colour PNGs without interlace are read" % path.name)
    channels = CHANNELS[colour]
    raw = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    return unfilter(raw, channels).reshape(height, width, channels)


def read_chunks(data):
    """(name, content) of every chunk; the parts of the picture are joined."""
    position, picture = 8, b""
    while position + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        picture += content if name == b"IDAT" else b""
        yield name, picture if name == b"IDAT" else content
        position += 12 + length


def unfilter(raw, step):
    """Undo the five PNG row filters (ISO/IEC 15948, section 9)."""
    above, lines = bytearray(step + raw.shape[1] - 1), []  # a row above and a pixel before, all zero
    for kind, values in zip(raw[:, 0], raw[:, 1:]):
        if kind > 4:
            raise ValueError("there is no PNG row filter %d" % kind)
        line = bytearray(len(above))
        for x, value in enumerate(values.tobytes(), start=step):
            left, up = line[x - step], above[x]
            guess = paeth(left, up, above[x - step]) if kind == 4 else (0, left, up, (left + up) // 2)[kind]
            line[x] = (value + guess) & 255
        lines.append(line[step:])
        above = line
    return np.frombuffer(b"".join(lines), np.uint8)


def paeth(left, up, corner):
    """The neighbour nearest to left + up - corner."""
    a, b, c = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    return left if a <= b and a <= c else up if b <= c else corner


def prepare(pixels, how):
    """Pixels [h, w, c] as the model's input [1, channels, height, width] float32, as preprocess.json says."""
    colours = 3 if pixels.shape[-1] >= 3 else 1  # what is more is alpha
    pixels = pixels[..., :colours].astype(np.float32)
    if how["channels"] == 1 and pixels.shape[-1] == 3:
        pixels = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601 luma
    if how["channels"] == 3 and pixels.shape[-1] == 1:
        pixels = pixels.repeat(3, axis=-1)
    pixels = resize(pixels, how["height"], how["width"], how["crop"])
    if how["invert"]:
        pixels = 255 - pixels
    scaled = (pixels / 255 - np.array(how["mean"], np.float32)) / np.array(how["std"], np.float32)
    axes = (0, 1, 2) if how["layout"] == "nhwc" else (2, 0, 1)
    return np.ascontiguousarray(scaled.transpose(axes)[None], np.float32)


def resize(pixels, height, width, crop=None):
    """Bilinear, with pixel centres at half coordinates; where it shrinks, each pixel is a mean of those that it covers.

    Without `crop` all of the picture is stretched; else the largest part in its middle that has the proportions of the
    result, times this share, becomes the result. What has the size is left as it is.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    parts = pixels.shape[:2]
    if crop is not None:
        scale = crop * min(parts[0] / height, parts[1] / width)
        parts = (scale * height, scale * width)
    for axis, size in ((0, height), (1, width)):
        if (pixels.shape[axis], parts[axis]) != (size, size):
            shares = weights(pixels.shape[axis], parts[axis], size)
            pixels = np.moveaxis(np.tensordot(shares, pixels, (1, axis)), 0, axis)
    return pixels


def weights(length, part, size):
    """Shares [size, length] float32 of pixels in those that a part in their middle becomes: a triangle around each."""
    step = part / size
    centre = (length - part) / 2 + (np.arange(size)[:, None] + 0.5) * step
    away = np.abs(np.arange(length) + 0.5 - centre) / max(step, 1)
    shares = np.maximum(1 - away, 0)
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)


def read_values(path):
    """The model's inputs in their order."""
    if path.suffix == ".npy":
        return [np.load(path, allow_pickle=False)]
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            names = [port["name"] for port in manifest()["inputs"]]
            keys = names if set(stored.files) == set(names) else map(str, range(len(stored.files)))
            return [stored[key] for key in keys]
    return [prepare(read_picture(path), json.loads((HERE / "preprocess.json").read_text(encoding="utf-8")))]


def read_named(files):
    """The model's inputs in their order, out of one file for each: {name: path}."""
    names = [port["name"] for port in manifest()["inputs"]]
    for name in names:
        if name not in files:
            raise ValueError("no file is given for input %s (known: %s)" % (name, ", ".join(names)))
    parts = [read_values(files[name]) for name in names]
    if any(len(part) != 1 for part in parts):
        raise ValueError("a file of several arrays is no single input")
    return [part[0] for part in parts]


def answer(values):
    """The model's outputs, without their batch axis, for its inputs: each part is given what is routed to it."""
    facts = manifest()
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
    sys.dont_write_bytecode = True
    sys.path[:] = [place for place in sys.path if place != str(HERE)] + [str(HERE)]
    spec = importlib.util.spec_from_file_location("bundle_" + path.stem, str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ranked(logits, labels):
    """[(label, probability)], most likely first."""
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return [(labels[k], float(shares[k])) for k in np.argsort(-shares, kind="stable")]


def told(outputs, top):
    """What to print of all outputs, with a name before each where there are several: by head, then what no head has."""
    facts = manifest()
    heads, taken = facts["heads"], {place for head in facts["heads"] for place in head["outputs"]}
    rest = [place for place in range(len(outputs)) if place not in taken]
    loose = [{"name": facts["outputs"][k]["name"], "outputs": [k], "show": "tensor"} for k in rest]
    parts = [(head["name"], shown(head, [outputs[k] for k in head["outputs"]], top)) for head in [*heads, *loose]]
    return "; ".join("%s: %s" % part for part in parts) if len(parts) > 1 else parts[0][1]


def shown(head, answers, top):
    """The answers of one head in words: its likeliest labels, all values, or the range of those that have no task."""
    if head["show"] == "ranked":
        ranks = ranked(answers[0].astype(np.float64), head["labels"])[:top]
        return ", ".join("%s (%.1f %%)" % (name, 100 * share) for name, share in ranks)
    if head["show"] == "boxes":
        return ", ".join(detected(head, answers)) or "nothing"
    if head["show"] == "tensor":
        return ", ".join("%s from %.6g to %.6g" % ([*one.shape], one.min(), one.max()) for one in answers)
    return " ".join("%.6g" % value for one in answers for value in one.astype(np.float64).reshape(-1))


def detected(head, answers):
    """Each detection that is sure enough: its label, score and box."""
    how = head["decoder"]
    rows = load(HERE / "boxes.py").decoded(how, [one[None] for one in answers])[0]
    for number, score, *corners in rows.tolist():
        if number >= 0 and score >= how["show"]:
            box = " ".join("%.3f" % corner for corner in corners)
            yield "%s (%.1f %%) at %s" % (head["labels"][int(number)], 100 * score, box)


def examples(arguments):
    """(what it is called, how to read it) of each example: a file, or together all that are NAME=FILE."""
    names = {port["name"] for port in manifest()["inputs"]}
    named = {}
    for text in arguments:
        name, _, path = text.partition("=")
        if path and name in names:
            named[name] = Path(path)
        else:
            yield text, Path(text).name, lambda path=Path(text): read_values(path)
    if named:
        text = " ".join("%s=%s" % (name, path) for name, path in named.items())
        yield text, ", ".join(path.name for path in named.values()), lambda: read_named(named)


def main():
    """Print the answer to each example."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", help="pictures, arrays (.npy, .npz), or NAME=FILE for each input")
    parser.add_argument("--top", type=int, default=1, help="how many labels to print")
    arguments = parser.parse_args()
    for path, name, read in examples(arguments.files):
        try:
            text = told(answer(read()), arguments.top)
        except Exception as error:  # runtimes and archives raise classes of their own, found in no common base
            sys.exit("run.py: %s: %s" % (path, error))
        print("%s: %s" % (name, text))


if __name__ == "__main__":
    main()
