"""The 40 architectures at reduced resolution, with random weights: what every side of the comparison prunes.

It needs torch and the libraries that have the architectures, and nothing of ours: the other tools import it too.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
Entry = tuple[Callable[[], nn.Module], Shape]  # an input of whole numbers has one axis, a picture three
CLASSES = 10
_WORDS, _LENGTH = 200, 16
_PICTURE = (3, 64, 64)
_SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": _WORDS,
    "num_labels": CLASSES,
}
_DISTIL: dict[str, Any] = {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128}
_DISTIL |= {"vocab_size": _WORDS, "num_labels": CLASSES}


_LIBRARY: list[Any] = []  # what is declared lasts as long as this holds it


def _importable() -> None:
    """Let torchvision be imported beside a torch of another build: its own operators are then declared, not there."""
    with contextlib.suppress(RuntimeError):
        import torchvision  # noqa: F401

        return
    _LIBRARY.append(torch.library.Library("torchvision", "DEF"))  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        _LIBRARY[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _timm(name: str, shape: Shape = _PICTURE, **options: Any) -> Entry:
    def build() -> nn.Module:
        import timm

        net: nn.Module = timm.create_model(name, num_classes=CLASSES, **options)
        return net

    return build, shape


def _torchvision(name: str, shape: Shape = _PICTURE, **options: Any) -> Entry:
    def build() -> nn.Module:
        import torchvision

        net: nn.Module = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)
        return net

    return build, shape


def _vision_transformer() -> nn.Module:
    """torchvision's, at a small size."""
    import torchvision

    net: nn.Module = torchvision.models.VisionTransformer(64, 16, 3, 6, 192, 384, num_classes=CLASSES)
    return net


class _Logits(nn.Module):
    """An encoder with its head, of token numbers alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, numbers: Tensor) -> Tensor:
        logits: Tensor = self.net(input_ids=numbers).logits
        return logits


def _transformers(config: str, kind: str, **options: Any) -> Entry:
    def build() -> nn.Module:
        import transformers

        return _Logits(getattr(transformers, kind)(getattr(transformers, config)(**options)))

    return build, (_LENGTH,)


class _Map(nn.Module):
    """A segmenter's map of classes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor) -> Tensor:
        classes: Tensor = self.net(picture)["out"]
        return classes


def _segmenter(name: str) -> Entry:
    def build() -> nn.Module:
        import torchvision

        maker = getattr(torchvision.models.segmentation, name)
        return _Map(maker(weights=None, weights_backbone=None, num_classes=CLASSES))

    return build, _PICTURE


class _Detector(nn.Module):
    """A detector's network: boxes and classes of every anchor, before what picks some of them."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.backbone, self.head = net.backbone, net.head

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        maps = self.head([*self.backbone(picture).values()])
        return tuple(maps.values())


def _detector(name: str, side: int) -> Entry:
    def build() -> nn.Module:
        import torchvision

        maker = getattr(torchvision.models.detection, name)
        return _Detector(maker(weights=None, weights_backbone=None, num_classes=CLASSES))

    return build, (3, side, side)


ARCHITECTURES: dict[str, Entry] = {
    "timm/resnet18": _timm("resnet18"),
    "timm/resnet50": _timm("resnet50"),
    "timm/resnext50_32x4d": _timm("resnext50_32x4d"),
    "timm/mobilenetv2_100": _timm("mobilenetv2_100"),
    "timm/mobilenetv3_small_100": _timm("mobilenetv3_small_100"),
    "timm/efficientnet_lite0": _timm("efficientnet_lite0"),
    "timm/convnext_atto": _timm("convnext_atto"),
    "timm/ghostnet_100": _timm("ghostnet_100"),
    "timm/fbnetc_100": _timm("fbnetc_100"),
    "timm/regnetx_002": _timm("regnetx_002"),
    "timm/regnety_002": _timm("regnety_002"),
    "timm/vit_tiny_patch16_224": _timm("vit_tiny_patch16_224", img_size=64),
    "timm/mobilevit_xxs": _timm("mobilevit_xxs", (3, 128, 128)),
    "timm/edgenext_xx_small": _timm("edgenext_xx_small"),
    "timm/res2net50_26w_4s": _timm("res2net50_26w_4s"),
    "timm/mixer_s16_224": _timm("mixer_s16_224", img_size=64),
    "timm/poolformer_s12": _timm("poolformer_s12"),
    "timm/mobileone_s0": _timm("mobileone_s0"),
    "timm/dla34": _timm("dla34"),
    "timm/levit_128s": _timm("levit_128s", (3, 224, 224)),
    "torchvision/alexnet": _torchvision("alexnet", (3, 96, 96)),
    "torchvision/vgg11_bn": _torchvision("vgg11_bn", (3, 32, 32)),
    "torchvision/resnet34": _torchvision("resnet34"),
    "torchvision/squeezenet1_1": _torchvision("squeezenet1_1"),
    "torchvision/densenet121": _torchvision("densenet121"),
    "torchvision/googlenet": _torchvision("googlenet", init_weights=False, aux_logits=False),
    "torchvision/shufflenet_v2_x1_0": _torchvision("shufflenet_v2_x1_0"),
    "torchvision/mobilenet_v3_large": _torchvision("mobilenet_v3_large"),
    "torchvision/mnasnet0_5": _torchvision("mnasnet0_5"),
    "torchvision/efficientnet_b0": _torchvision("efficientnet_b0"),
    "torchvision/swin_t": _torchvision("swin_t"),
    "torchvision/vision_transformer": (_vision_transformer, _PICTURE),
    "transformers/bert": _transformers("BertConfig", "BertForSequenceClassification", **_SMALL),
    "transformers/distilbert": _transformers("DistilBertConfig", "DistilBertForSequenceClassification", **_DISTIL),
    "transformers/roberta": _transformers("RobertaConfig", "RobertaForSequenceClassification", **_SMALL),
    "transformers/electra": _transformers(
        "ElectraConfig", "ElectraForSequenceClassification", embedding_size=32, **_SMALL
    ),
    "segmenter/deeplabv3_mobilenet_v3_large": _segmenter("deeplabv3_mobilenet_v3_large"),
    "segmenter/lraspp_mobilenet_v3_large": _segmenter("lraspp_mobilenet_v3_large"),
    "segmenter/fcn_resnet50": _segmenter("fcn_resnet50"),
    "detector/ssdlite320_mobilenet_v3_large": _detector("ssdlite320_mobilenet_v3_large", 320),
}


def network(name: str) -> nn.Module:
    """An architecture with seeded weights in eval mode.

    Norms are drawn, for those of 1 and 0 hide mistakes, and so are layers that start from nothing (Mixer's last one):
    behind weights of 0 all answers are equal, whatever was cut.
    """
    warnings.simplefilter("ignore")
    _importable()
    torch.manual_seed(0)
    net = ARCHITECTURES[name][0]()
    draw = torch.Generator().manual_seed(1)
    for part in net.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm) and part.weight is not None:
            part.weight.data.uniform_(0.5, 1.5, generator=draw)
            part.bias.data.normal_(generator=draw)
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for value, low, high in ((part.running_mean, -1, 1), (part.running_var, 0.5, 2)):
                if value is not None:
                    value.uniform_(low, high, generator=draw)
        if isinstance(part, nn.Linear | nn.Conv2d) and not part.weight.any():
            part.weight.data.normal_(std=0.1, generator=draw)
    return net.eval()


def example(name: str, batch: int = 1) -> tuple[Tensor, ...]:
    """Inputs of an architecture."""
    shape = ARCHITECTURES[name][1]
    draw = torch.Generator().manual_seed(2)
    if len(shape) == 1:
        return (torch.randint(0, _WORDS, (batch, *shape), generator=draw),)
    return (torch.randn(batch, *shape, generator=draw),)


def parameters(net: nn.Module) -> int:
    """How many there are."""
    return sum(each.numel() for each in net.parameters())


def output_layers(net: nn.Module) -> list[nn.Module]:
    """The layers that make outputs, for tools that must be told: by the number of classes, and a detector's heads."""
    layers = {name: part for name, part in net.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)}
    return [part for name, part in layers.items() if _width(part) == CLASSES or _predicts(net, name)]


def _width(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _predicts(net: nn.Module, name: str) -> bool:
    return isinstance(net, _Detector) and name.startswith("head.") and name.endswith(".1")
