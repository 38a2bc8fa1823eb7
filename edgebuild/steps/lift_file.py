"""Takes a trained model that comes as a file as a PyTorch module, proved to answer as the file does."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edgebuild.spec import dataset, notes, sha256
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.errors import UsageError, exhausted
from edgebuild.spec.reader import NoGraphError, Reader
from edgebuild.spec.signature import Signature

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from edgebuild.nn.lift import Proof

    Sample = tuple[np.ndarray[Any, Any], ...]

_EXAMPLES = 16  # for the proof: real ones reach ranges and branches that zeros do not
_SKELETON, _OWN, _REFUSED = "skeleton.onnx", "own", "refused.json"
# The artifact is a checkpoint like any other, with this code in the place of the user's. The digest is that of the
# lift's own code: steps behind this one run it too, and must not take a module of today for one of tomorrow.
_CODE = f"""\
from pathlib import Path

from edgebuild.nn.lift import lift

LIFTED_BY = "{{digest}}"


def build():
    return lift(Path(__file__).with_name("{_SKELETON}").read_bytes())
"""
_AUGMENT = f"""

def augment(values, generator):
    from edgebuild.nn.model_code import ModelCode

    own = ModelCode(Path(__file__).with_name("{_OWN}"), {{origin!r}})
    return own.function({{name!r}}, "augment")(values, generator)
"""


def refusal(folder: Path) -> str | None:
    """Of an artifact, why there is no module in it; None where there is one."""
    try:
        return str(json.loads((folder / _REFUSED).read_text()))
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class LiftFile(Step):
    """`reader` makes the file what `edgebuild.nn.lift` takes: one of ONNX, with the declared shapes.

    What cannot become a module, or is not proved to answer as the file does in its own runtime, is refused in the
    artifact: a plan goes on with the file as it is then.
    """

    reader: Reader
    name: str
    signature: Signature
    augment: str | None = None
    origin: str = field(default="model", metadata=EXCUSED)
    shown: str = field(default="model", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("file", "data", "code")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors", "onnx", "onnxruntime", "numpy")

    def uses(self) -> tuple[str, ...]:
        """The model's own code is for its augmentation alone."""
        return self.needs if self.augment else self.needs[:2]

    def run(self, io: StepIO) -> None:
        """Lift, prove on validation examples, keep; UsageError for a file that is of no use as it is either."""
        from edgebuild.nn.lift import LiftError, lift

        try:
            model = self.reader.adopt(io.path("file") / self.name, self.signature.inputs)
            module = lift(model)
            proof = self._proof(module, model, io)
        except LiftError as error:
            self._refuse(f"cannot become a PyTorch module: {error.reason}", io)
            return
        except NoGraphError as error:
            self._refuse(f"cannot become a PyTorch module: {error.reason}", io)
            return
        except UsageError as error:
            raise UsageError(error.reason, file=self.shown, hint=error.hint) from None
        if not proof.equal:
            worst = f"output {proof.worst.output!r} of its PyTorch module is off by {proof.worst.largest:.1e}"
            self._refuse(f"{worst} of the file's largest value, and {proof.tolerance:g} is allowed", io)
            return
        if (why := self._alone(module)) is not None:
            self._refuse(f"its PyTorch module takes one example alone: {why}", io)
            return
        self._save(module, model, io)
        notes.write(io.output, [f"{self.shown}: {_said(proof)}"])

    @staticmethod
    def _refuse(why: str, io: StepIO) -> None:
        (io.output / _REFUSED).write_text(json.dumps(why) + "\n")

    def _proof(self, module: nn.Module, model: bytes, io: StepIO) -> Proof:
        """The module held against the file in its own runtime; UsageError where it does not answer as is declared."""
        import torch

        from edgebuild.nn import answers
        from edgebuild.nn.lift import prove
        from edgebuild.nn.model_code import example

        with torch.no_grad():
            answer = module(*example(self.signature.inputs, 1))
        if mistake := answers.mistake(answer, self.signature.outputs, 1):
            raise UsageError(f"the model answers {mistake}")
        held_out = dataset.validation(io.path("data"), _EXAMPLES, 0)
        samples = [tuple(values[row : row + 1] for values in held_out.inputs) for row in range(len(held_out))]
        return prove(module, model, samples, answers=self._answers(samples, io))

    def _alone(self, module: nn.Module) -> str | None:
        """Why two examples at once do not run, as whatever trains and measures modules hands them over; else None."""
        import torch

        from edgebuild.nn.model_code import example

        try:
            with torch.no_grad():
                module(*example(self.signature.inputs, 2))
        except Exception as error:  # a forward pass may fail in any way
            if exhausted(error):
                raise
            return str(error).strip().partition("\n")[0] or type(error).__name__
        return None

    def _answers(self, samples: list[Sample], io: StepIO) -> list[Sample]:
        """What the file as it came answers, before anything was made of it."""
        try:
            return list(self.reader.answers(io.path("file") / self.name, samples))
        except Exception as error:  # runtimes raise whatever they like
            if exhausted(error) or isinstance(error, UsageError):
                raise
            raise UsageError(f"cannot be run as it came: {str(error).strip().partition(chr(10))[0]}") from None

    def _save(self, module: nn.Module, model: bytes, io: StepIO) -> None:
        from edgebuild.nn import checkpoint
        from edgebuild.nn.lift import skeleton
        from edgebuild.nn.model_code import ModelCode

        folder = io.scratch / "code"
        folder.mkdir()
        text = _CODE.format(digest=_digest())
        if self.augment:
            shutil.copytree(io.path("code"), folder / _OWN, copy_function=shutil.copyfile)
            text += _AUGMENT.format(origin=self.origin, name=self.augment)
        (folder / "model.py").write_text(text)
        (folder / _SKELETON).write_bytes(skeleton(model))
        code, (taken, outputs) = ModelCode(folder, self.origin), (self.signature.inputs, self.signature.outputs)
        augment = "augment" if self.augment else None
        checkpoint.save(checkpoint.Checkpoint(module, code, "build", taken, augment, outputs=outputs), io.output)


def _digest() -> str:
    """Of the code of the lift."""
    from edgebuild.nn import lift as lifting

    folder = Path(lifting.__file__).parent
    files = sorted(folder.rglob("*.py"))
    return sha256.of_bytes("".join(f"{file.relative_to(folder)} {sha256.of_file(file)}\n" for file in files).encode())


def _said(proof: Proof) -> str:
    line = f"answers as its file does, to {proof.worst.largest:.1e} of the largest value"
    return line + (f"; one example at a time ({proof.one_at_a_time})" if proof.one_at_a_time else "")
