"""What sources that are made of other models of the project have in common."""

from __future__ import annotations

from edgebuild.nn.joined import Join
from edgebuild.spec import tasks
from edgebuild.spec.joining import Joined
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.source import Making
from edgebuild.steps.join_members import JoinMembers

KEY = "source.members"


def making(model: ModelSpec, join: Join, *, fitted: bool = False) -> Making:
    """What makes one module of the members' float models."""
    declared, names = model.declared, tuple(member.name for member in model.members)
    step = JoinMembers(join, names, declared.signature.bare, fitted, declared.augment, declared.fit, model.origin)
    roles = {f"member/{number}": name for number, name in enumerate(names)}
    return Making(step, code=tasks.modules(declared.heads) if fitted else (), models=roles)


def joined(name: str, model: ModelSpec) -> Joined:
    """What is known of a member, or of the whole."""
    declared = model.declared
    return Joined(name, declared.signature.bare, declared.heads, declared.preprocess)
