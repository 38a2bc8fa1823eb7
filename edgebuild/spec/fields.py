"""Fields that several declared kinds share, and how strictly all of them are read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

# For every declared kind: no unknown keys, no infinities. (That nothing is converted is up to who reads.) Most are not
# read in most commands, so what checks one is made when the first of it is read.
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)
# Other keys are options of something that is looked up by its name.
OPEN = ConfigDict(extra="allow", defer_build=True)

Seed = Annotated[int, Field(ge=0, lt=2**32, description="of the random numbers; the same seed, the same bytes")]

Distribution = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$")]  # as PyPI names them


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or "\0" in path or "\\" in path or parts[0] == "/" or ".." in parts:
        raise ValueError(f"{path!r} must name something inside the model's folder")
    return path


Inside = Annotated[str, AfterValidator(_inside)]
