"""Has a model's module built: by the user's own `model.py`, which is executed here alone and always in a worker, or by
a package that knows it by name.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgebuild.nn import answers, chance, compiled_torchvision, redrawn, taking
from edgebuild.nn.network import Network
from edgebuild.nn.usable import usable
from edgebuild.spec.errors import EdgebuildError, UsageError, exhausted
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

_MODULE = "edgebuild_user_model"  # what model.py is imported as
_TRIED = 2  # examples that a new module is shown: one would hide a lost batch axis


@dataclass(frozen=True, slots=True)
class ModelCode:
    """A snapshot of a model's folder, where it has code of its own; `origin` is how messages name that folder, `name`
    the file with the code.
    """

    folder: Path | None
    origin: str
    name: str = "model.py"

    @property
    def file(self) -> str:
        """The code file as messages show it."""
        return f"{self.origin}/{self.name}"

    def function(self, name: str, key: str) -> Callable[..., Any]:
        """The function `name` of model.py; UsageError when the file fails to import or has no such function."""
        module = self._guarded(self._import, key)
        function = vars(module).get(name)
        if not callable(function):
            raise UsageError(f"has no function {name!r}", file=self.file, key=key)
        return functools.wraps(function)(
            lambda *args, **options: self._guarded(lambda: function(*args, **options), f"{name}()")
        )

    def build(
        self, builder: str | Network, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...] | None = None
    ) -> nn.Module:
        """The module that a function of model.py returns, or a network; UsageError unless it takes the declared inputs.

        With `outputs`, its answers must be these: as many, of these shapes and types.
        """
        if isinstance(builder, Network):
            file, key, module = f"{self.origin}/model.toml", "source", self._named(builder)
        else:
            file, key, module = self.file, f"{builder}()", self.module(builder)
        called: list[str] = []
        hook = module.register_forward_hook(lambda _, __, answer: called.extend(answers.names(answer)), prepend=True)
        before = chance.state()
        try:
            answer = self._try(module, inputs, key)
        finally:
            hook.remove()
        wrong = (
            answers.mistake(answer, outputs, _TRIED) or answers.misplaced(called, outputs)
            if outputs is not None
            else None
        )
        if wrong:
            raise UsageError(f"its model answers {wrong}", file=file, key=key)
        asked = outputs is not None and not chance.state().equal(before)
        if asked and (place := chance.drawn(module, example(inputs, _TRIED))):
            hint = "let it draw where self.training alone, as nn.Dropout does; functional.dropout must be told so"
            reason = f"its model draws random numbers in evaluation: {place} makes other answers to the same examples"
            raise UsageError(reason, file=file, key=key, hint=hint)
        if outputs is not None and (
            names := redrawn.aside(module, lambda: self.build(builder, inputs), example(inputs, _TRIED))
        ):
            hint = "register_buffer or nn.Parameter keeps tensors, nn.ModuleList layers; or draw from a seed of its own"
            reason = f"its model answers by what is drawn anew whenever it is built, and is in no state dict: {names}"
            raise UsageError(reason, file=file, key=key, hint=hint)
        return module

    def _named(self, network: Network) -> nn.Module:
        try:
            return network.module()
        except UsageError as error:
            file, key = f"{self.origin}/model.toml", ".".join(filter(None, ("source", error.key)))
            raise UsageError(error.reason, file=file, key=key, hint=error.hint) from error.__cause__

    def module(self, builder: str, options: Mapping[str, Any] | None = None) -> nn.Module:
        """What a function or class of the file returns, given these keyword arguments; UsageError unless a module."""
        from torch import nn

        module = _unwrapped(self.function(builder, "builder")(**options or {}))
        if not isinstance(module, nn.Module):
            message = f"returned {type(module).__name__}, not a torch.nn.Module"
            raise UsageError(message, file=self.file, key=f"{builder}()")
        if (scripted := _scripted(module)) is not None:
            hint = "build it from its class, and give its state_dict() as weights"
            raise UsageError(f"{scripted} is a program of TorchScript", file=self.file, key=f"{builder}()", hint=hint)
        return usable(module)

    def _try(self, module: nn.Module, inputs: tuple[TensorSpec, ...], key: str) -> Any:
        import torch

        shapes = ", ".join(f"{spec.name} {list(spec.shape)} {spec.dtype}" for spec in inputs)
        try:
            with torch.no_grad():
                return taking.answered(module.eval(), inputs, example(inputs, _TRIED))
        except Exception as error:  # a forward pass may fail in any way
            if exhausted(error):
                raise
            reason = f"its model does not accept the declared inputs ({shapes}): {_first_line(error)}"
            hint = taking.hint(module, inputs)
            raise UsageError(reason, file=f"{self.origin}/model.toml", key=f"inputs, {key}", hint=hint) from None

    def _import(self) -> ModuleType:
        if self.folder is None or not (self.folder / self.name).is_file():
            raise UsageError("no such file", file=self.file)
        sys.dont_write_bytecode = True  # the folder is an artifact: nothing may be added to it
        _forget_neighbours(self.folder)
        sys.path.insert(0, str(self.folder))  # so that model.py may import its neighbours
        spec = importlib.util.spec_from_file_location(
            _MODULE,
            self.folder / self.name,
            submodule_search_locations=[str(self.folder)],  # for relative imports: the folder is a package
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        compiled_torchvision.stand_in_when_imported()  # timm and transformers import it, and so may this code
        spec.loader.exec_module(module)
        return module

    def _guarded(self, call: Callable[[], Any], key: str) -> Any:
        try:
            with _as_a_program(self.name), _unscripted():
                return call()
        except (EdgebuildError, KeyboardInterrupt):
            raise
        except BaseException as error:  # the user's code may raise anything
            if exhausted(error):
                raise
            reason = f"raised {_first_line(error)}{self._line(error)}"
            raise UsageError(reason, file=self.file, key=key, hint=self._place(error)) from None

    def _place(self, error: BaseException) -> str | None:
        """Of a file that was not found from the working folder, or beside the code, what lets the code find it; of a
        module that was not, whose it is.
        """
        if isinstance(error, ImportError):
            return self._whose(error)
        name = error.filename if isinstance(error, FileNotFoundError) else None
        if not isinstance(name, str) or self.folder is None:
            return None
        if Path(name).is_absolute():
            beside = Path(name).is_relative_to(self.folder)
            missing = Path(name).relative_to(self.folder) if beside else None
            told = f'beside code are the files that model.toml names: include = ["{missing}"] (init: --include)'
            return told if beside else None
        if (self.folder / name).exists():
            return f"Path(__file__).parent / {name!r} is the one beside {self.name}"
        return f"it was looked for from {Path.cwd()}: Path(__file__).parent is the code's own folder"

    def _whose(self, error: ImportError) -> str | None:
        """A file of a package finds the rest of it only where it is imported as a part of that."""
        top = (error.name or "").partition(".")[0]
        if self.folder is not None and (self.folder / "__init__.py").is_file() and top in ("", self.folder.name):
            whole = self.folder.name
            return f"it is part of {whole}: pip install that, and name {whole}.{Path(self.name).stem}:… in its place"
        if not top or not isinstance(error, ModuleNotFoundError):
            return None
        return f"pip install what has {top}, in the environment of edgebuild, or put it beside {self.name}"

    def _line(self, error: BaseException) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame.lineno for frame in frames if Path(frame.filename).parent == self.folder]
        return f" at line {own[-1]}" if own else ""


@contextmanager
def _as_a_program(name: str) -> Iterator[None]:
    """Called without arguments, as a script that reads its own (argparse, at import) expects; where the code goes to
    another folder, or has no gradients taken any more, that ends with it.
    """
    words, here = sys.argv, os.open(".", os.O_PATH)
    gradients = sys.modules["torch"].is_grad_enabled() if "torch" in sys.modules else True  # data may do without it
    sys.argv = [name]
    try:
        yield
    finally:
        sys.argv = words
        os.fchdir(here)
        os.close(here)
        if "torch" in sys.modules:
            sys.modules["torch"].set_grad_enabled(gradients)


@contextmanager
def _unscripted() -> Iterator[None]:
    """`torch.jit.script` and `trace` give back what they are given, as PYTORCH_JIT=0 has it: a program of TorchScript
    can be neither exported nor pruned.
    """
    if "torch" not in sys.modules:  # data may do without it
        yield
        return
    import torch

    switch = torch.jit._state._enabled
    before, switch.enabled = switch.enabled, False
    try:
        yield
    finally:
        switch.enabled = before


def example(inputs: tuple[TensorSpec, ...], batch: int) -> tuple[Tensor, ...]:
    """Zeros of the declared shapes and types with this batch size."""
    import torch

    return tuple(torch.zeros((batch, *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in inputs)


def _forget_neighbours(folder: Path) -> None:
    """Let files of this folder be imported where another model's, such as a teacher's, have the same names."""
    before = getattr(sys.modules.get(_MODULE), "__path__", [str(folder)])[0]
    if before == str(folder):
        return
    for name in [name for name, module in [*sys.modules.items()] if _lies_in(module, before)]:
        del sys.modules[name]


def _lies_in(module: Any, folder: str) -> bool:
    """Whether it was imported from there: a file, or a folder without one (a namespace)."""
    own = getattr(module, "__dict__", {})  # asking a lazy module for more would import what it stands for
    spec = own.get("__spec__")
    places = [own.get("__file__"), *(getattr(spec, "submodule_search_locations", None) or ())]
    return any(Path(place).is_relative_to(folder) for place in places if isinstance(place, str))


def _scripted(module: nn.Module) -> str | None:
    """The first part, or the whole, of which only TorchScript knows what it computes."""
    import torch

    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            return repr(name) if name else "what it returned"
    return None


def _unwrapped(module: Any) -> Any:
    """What torch.compile, DataParallel or DistributedDataParallel was given: compiling is done by formats, and would
    need a C compiler here; the others spread a batch over devices.
    """
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    while isinstance(module, DataParallel | DistributedDataParallel) or hasattr(module, "_orig_mod"):
        module = getattr(module, "_orig_mod", None) or module.module
    return module


def _first_line(error: BaseException) -> str:
    try:
        text = str(error).strip().split("\n")[0]
    except Exception:  # an exception of somebody's own, which cannot be shown
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
