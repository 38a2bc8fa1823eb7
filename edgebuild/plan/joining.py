"""What joins the parts of a model that is an assembly, and whether they fit."""

from __future__ import annotations

from edgebuild.spec.checked import check
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import ASSEMBLIES, Joined, Joining
from edgebuild.spec.model import ModelSpec


def joining_of(model: ModelSpec) -> Joining:
    """What joins the parts of an assembly; UsageError for an unknown kind or option, and parts that do not fit."""
    declared = model.declared.joining
    assert declared is not None
    kind = ASSEMBLIES.get(declared.use, file=model.file, key="assembly.use")
    joining: Joining = check(kind, declared.options, file=model.file, prefix="assembly")
    count, key = len(model.parts), "assembly.parts"
    if not kind.least <= count <= kind.most:
        many = str(kind.least) if kind.least == kind.most else f"{kind.least} or {kind.most}"
        raise UsageError(f"{declared.use!r} joins {many} parts, and {count} are declared", file=model.file, key=key)
    try:
        joining.check(_joined("the whole", model), [_joined(part.name, part.model) for part in model.parts])
    except ValueError as error:
        raise UsageError(str(error), file=model.file, key=key) from None
    return joining


def _joined(name: str, model: ModelSpec) -> Joined:
    declared = model.declared
    return Joined(name, declared.signature.bare, declared.heads, declared.preprocess)


def use(model: ModelSpec) -> str:
    """The kind of assembly that a model declares."""
    assert model.declared.joining is not None
    return model.declared.joining.use


def names_of(model: ModelSpec, joining: Joining) -> tuple[str, ...]:
    """What the files of an assembly are called."""
    return joining.files or tuple(part.name for part in model.parts)
