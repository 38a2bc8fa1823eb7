"""What sources that are made of other models of the project have in common."""

from __future__ import annotations

from edgebuild.nn.joined import Join
from edgebuild.spec import tasks
from edgebuild.spec.errors import UsageError
from edgebuild.spec.joining import Joined, alike
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.source import Making
from edgebuild.steps.join_members import JoinMembers

KEY = "source.members"


def making(model: ModelSpec, join: Join, *, fitted: bool = False) -> Making:
    """What makes one module of the members' float models."""
    declared, names = model.declared, tuple(member.name for member in model.members)
    step = JoinMembers(join, names, declared.signature.bare, fitted, declared.augment, declared.fit, model.origin)
    return Making(step, code=tasks.modules(declared.heads) if fitted else (), models=roles(model))


def roles(model: ModelSpec) -> dict[str, str]:
    """The names of the members by the roles that their float models have."""
    return {f"member/{number}": member.name for number, member in enumerate(model.members)}


def refuse_unlike(model: ModelSpec) -> None:
    """UsageError unless every member takes and answers what the model declares."""
    try:
        alike(_joined("the whole", model), [_joined(member.name, member) for member in model.members])
    except ValueError as error:
        raise UsageError(str(error).replace("part ", "member ", 1), file=model.file, key=KEY) from None


def _joined(name: str, model: ModelSpec) -> Joined:
    declared = model.declared
    return Joined(name, declared.signature.bare, declared.heads, declared.preprocess)
