"""What the lift refuses, and why: the caller falls back to what can be done with the file alone."""

from __future__ import annotations

from typing import Self

from edgebuild.spec.errors import UsageError


class LiftError(UsageError):
    """An ONNX file that cannot become a torch module.

    node, operator: the ONNX node at which the lift stopped, both empty where it is the file as a whole.
    """

    def __init__(
        self,
        reason: str,
        *,
        node: str = "",
        operator: str = "",
        file: str | None = None,
        key: str | None = None,
        option: str | None = None,
        hint: str | None = None,
    ):
        self.node, self.operator = node, operator
        where = f"{operator} {node!r}: " if operator else ""
        super().__init__(f"{where}{reason}", file=file, key=key, option=option, hint=hint)

    def with_hint(self, more: str) -> Self:
        """The same error with one more thing to do or to look at."""
        hint = super().with_hint(more).hint
        error = type(self)(self.reason, file=self.file, key=self.key, option=self.option, hint=hint)
        error.node, error.operator = self.node, self.operator
        return error

    def to_json(self) -> dict[str, str | None]:
        """As plain data; who rebuilds it elsewhere gets a UsageError, whose exit code is the same."""
        return {**super().to_json(), "kind": UsageError.__name__}
