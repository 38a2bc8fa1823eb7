"""Accuracy class by class: no class may be worse than with the float baseline by more than the margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from edgebuild.gates._groups import Grouped
from edgebuild.spec.evidence import Answers, Group


class ClassAccuracy(Grouped):
    """The limit is a margin such as "5 pp"; the examples of each class must suffice for it."""

    noun: ClassVar[str] = "class"

    @staticmethod
    def groups(answers: Answers) -> Mapping[str, Group]:
        """Every class that has examples."""
        return answers.classes
