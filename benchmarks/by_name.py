"""Networks by name in int8: how near the answers of both formats stay to the float network's, or why not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks._tables import Table
from edgebuild.spec.errors import EdgebuildError

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    Array = np.ndarray[Any, Any]
    Sample = tuple[Array, ...]

FORMATS = ("onnx", "tflite")
WANTED = 0.99  # mean cosine
_INPUTS, _ROUNDS, _BATCH = 16, 10, 8
_WORDS, LENGTH = 1000, 32
_BERT = {"vocab_size": _WORDS, "num_labels": 10}
_COLUMNS = {
    "network": ("network", ""),
    "source": ("source", ""),
    "format": ("format", ""),
    "parity": ("float file, largest difference", ".1e"),
    "cosine": ("cosine of int8", ".4f"),
    "bytes": ("bytes of int8 / float", ".2f"),
    "why": ("why not", ""),
}


@dataclass(frozen=True, slots=True)
class Net:
    """A network of a package; `size` is that of its pictures, None for one that takes words and their mask."""

    source: str
    name: str
    size: int | None = 96
    options: dict[str, Any] = field(default_factory=lambda: {"num_classes": 10})


_PACKAGES = {
    "torchvision": (
        *("mobilenet_v2", "squeezenet1_1", "mnasnet0_5", "googlenet", "efficientnet_b0", "shufflenet_v2_x0_5"),
    ),
    "timm": (
        *("mobilenetv3_small_100", "efficientnet_lite0", "convnext_atto", "ghostnet_100", "fbnetc_100", "resnet18"),
        *("regnetx_002", "edgenext_xx_small"),
    ),
}
NETS = (
    *(Net(source, name) for source, names in _PACKAGES.items() for name in names),
    Net("timm", "mobilevit_xxs", 128),
    Net("timm", "vit_tiny_patch16_224", 96, {"num_classes": 10, "img_size": 96}),
    Net(
        "transformers",
        "BertForSequenceClassification",
        None,
        _BERT | {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128},
    ),
    Net(
        "transformers",
        "DistilBertForSequenceClassification",
        None,
        _BERT | {"dim": 64, "n_layers": 3, "n_heads": 4, "hidden_dim": 128},
    ),
)
SMALL = (
    Net("transformers", "DistilBertForSequenceClassification", None, _BERT | {"dim": 32, "n_layers": 1, "n_heads": 2}),
)


def run(*, small: bool) -> list[Table]:
    """Every network in every format; `small`: a tiny one."""
    count = 2 if small else _INPUTS
    rows = [row for net in (SMALL if small else NETS) for row in _rows(net, count)]
    wanted = [row for row in rows if row["cosine"] is not None and row["cosine"] >= WANTED]
    notes = [
        f"{len(wanted)} of {len(rows)} files have a cosine of at least {WANTED}.",
        "Random weights of seed 0, branches that begin at 0 undone, norms settled on such inputs. Pictures have the "
        "spectrum of photographs (amplitude as 1 / frequency) and their mean and deviation; sentences end in padding "
        f"that their mask hides. {count} inputs calibrate the recipe `int8`, as many others are compared.",
    ]
    return [Table("Networks by name", _COLUMNS, rows, notes)]


def _rows(net: Net, count: int) -> Iterator[dict[str, Any]]:
    import numpy as np

    print(f"  {net.source} {net.name}", file=sys.stderr, flush=True)
    module = network(net)
    samples = [inputs(net, 1, seed) for seed in range(2 * count)]
    calibration, judged = samples[:count], samples[count:]
    wanted = np.stack([_answer(module, sample) for sample in judged])
    for kind in FORMATS:
        yield {
            "network": net.name,
            "source": net.source,
            "format": kind,
            **_made(kind, module, calibration, judged, wanted),
        }


def _made(
    kind: str, module: nn.Module, calibration: list[Sample], judged: list[Sample], wanted: Array
) -> dict[str, Any]:
    """The figures of one format, and the reason for those that are not there."""
    import numpy as np
    import torch

    from edgebuild.spec import registry
    from edgebuild.steps.techniques.int8 import Int8

    made = registry.FORMATS.get(kind)()
    told: dict[str, Any] = dict.fromkeys(("parity", "cosine", "bytes", "why"))
    try:
        floating = made.convert(module, tuple(map(torch.from_numpy, judged[0])))
        given = np.stack([outputs[0] for outputs in made.run(floating, judged)])
        told["parity"] = float(np.abs(given - wanted).max() / np.abs(wanted).max())
        quantized = made.quantize(floating, Int8().quantization(), calibration)
        told["cosine"] = _cosine(np.stack([outputs[0] for outputs in made.run(quantized, judged)]), wanted)
        told["bytes"] = len(quantized) / len(floating)
    except EdgebuildError as error:
        told["why"] = error.line
    except Exception as error:  # a converter may raise whatever it likes
        told["why"] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return told


def _cosine(given: Array, wanted: Array) -> float:
    """The mean over all inputs."""
    import numpy as np

    one, other = given.reshape(len(given), -1), wanted.reshape(len(wanted), -1)
    return float(((one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)).mean())


def _answer(module: nn.Module, sample: Sample) -> Array:
    import torch

    from edgebuild.nn.answers import listed

    with torch.no_grad():
        answer: Array = listed(module(*map(torch.from_numpy, sample)))[0].numpy()
    return answer


def network(net: Net, seed: int = 0) -> nn.Module:
    """In evaluation mode, with random weights that let every branch do something.

    Packages start residual branches at 0 (the scale of their last norm), so that an untrained one is dead.
    """
    import torch

    from edgebuild.nn.network import Network

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    module = Network(net.source, net.name, net.options).module()
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for layer in norms:
            if layer.weight is not None and not layer.weight.any():
                layer.weight.fill_(1.0)
        for round_ in range(_ROUNDS if norms else 0):
            module.train()(*map(torch.from_numpy, inputs(net, _BATCH, 1000 + round_)))
    return module.eval()


def inputs(net: Net, count: int, seed: int) -> Sample:
    """So many pictures, or sentences and their masks."""
    import numpy as np

    generator = np.random.default_rng(seed)
    if net.size is not None:
        return (pictures(generator, count, net.size),)
    lengths = generator.integers(LENGTH // 4, LENGTH + 1, count)
    mask = (np.arange(LENGTH) < lengths[:, None]).astype(np.int64)
    return generator.integers(1, _WORDS, (count, LENGTH)) * mask, mask


def pictures(generator: np.random.Generator, count: int, size: int) -> Array:
    """[count, 3, size, size] with amplitudes as 1 / frequency, as photographs have them (Field 1987); normalised.

    The three channels are nearly the same, as they are in photographs.
    """
    import numpy as np

    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    frequency[0, 0] = 1 / size
    noise = np.fft.rfft2(generator.standard_normal((count, 4, size, size))) / frequency
    drawn = np.fft.irfft2(noise, (size, size))
    drawn /= drawn.std((2, 3), keepdims=True)
    mixed = 0.9 * drawn[:, :1] + 0.3 * drawn[:, 1:]
    return mixed.astype(np.float32)
