"""What columns are taken for by their names and first rows: the label, people, splits, words and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.data import _sheet
from edgebuild.data._sheet import Sheet
from edgebuild.data._splits import ALIASES
from edgebuild.spec.data import Guess
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import TensorSpec

if TYPE_CHECKING:
    from edgebuild.data._sheet import Cells

LABELS = ("label", "labels", "target", "class", "y", "category", "kind", "activity", "species")
PEOPLE = ("group", "subject", "person", "participant", "user", "patient", "speaker", "who")
UNUSED = ("", "id", "index", "time", "timestamp", "t", "date")
_WORDS = 64  # more of them in a column are texts


def wrong(place: Path) -> Callable[..., UsageError]:
    """What makes an error of a reason, before there is a model.toml."""

    def error(reason: str, hint: str | None = None, key: str = "") -> UsageError:
        return UsageError(reason, file=str(place), key="--data", hint=hint)

    return error


def named(sheet: Sheet, names: tuple[str, ...]) -> str | None:
    """The first column with one of these names."""
    return next((column for name in names for column in sheet.columns if column.lower() == name), None)


def labels(sheet: Sheet, column: str) -> Mapping[str, Any]:
    """What a column of labels says: `task`, and `classes` or their `count`."""
    import numpy as np

    if names := sheet.classes(column):
        return {"classes": names, "order": "as the data numbers them"}
    (cells,) = _sheet.whole(sheet, [column])
    try:
        values = cells if isinstance(cells, np.ndarray) else np.array([*cells], np.float64)
    except (ValueError, TypeError):
        return {"classes": tuple(sorted({*_sheet.words(cells)})), "order": "words of the label by the alphabet"}
    if values.ndim > 1 or not len(values) or (values != np.rint(values)).any():
        return {"task": "regression"}
    return {"count": int(values.max()) + 1}


def table(
    sheet: Sheet,
    inputs: tuple[TensorSpec, ...],
    options: Mapping[str, Any],
    what: str,
    files_of: Callable[[str], bool] = lambda column: False,
    sure: int = 1,
) -> Guess:
    """Rows that are examples; UsageError for none."""
    columns = [*sheet.columns]
    first = next(sheet.blocks(columns), None)
    if first is None:
        raise wrong(Path(sheet.name.strip("'")))("has no rows")
    label, person = named(sheet, LABELS) or columns[-1], named(sheet, PEOPLE)
    more: dict[str, Any] = {**options, "label": label}
    guesses = [f"the label is column {label!r}"]
    if person is not None and person != label:
        more |= {"group": person}
        guesses.append(f"column {person!r} says what rows have in common: nobody is in two splits")
    if (split := _split(sheet)) is not None:
        more |= {"split": split}
    rest = [name for name in columns if name not in more.values()]
    labelling, cells = labels(sheet, label), dict(zip(columns, first, strict=True))
    if files := [name for name in rest if files_of(name)]:
        pictures = len(inputs) == 1 and len(inputs[0].shape) == 3
        more |= {"picture" if pictures else "recording": files[0]}
        return Guess(what, more, pictures=pictures, guesses=tuple(guesses), sure=sure, **labelling)
    taken, words, notes = _columns(sheet, rest, cells)
    more |= {"categories": words} if words else {}
    if len(taken) < len(rest) and len(inputs) == 1:
        more |= {"columns": {inputs[0].name: taken}}
    pictures = len(taken) == 1 and _is_picture(cells[taken[0]])
    return Guess(what, more, pictures=pictures, guesses=(*guesses, *notes), sure=sure, **labelling)


def _split(sheet: Sheet) -> str | None:
    """The column whose words are all splits."""
    column, known = named(sheet, ("split", "subset")), {alias for names in ALIASES.values() for alias in names}
    return column if column is not None and {*_sheet.words(_sheet.whole(sheet, [column])[0])} <= known else None


def _columns(
    sheet: Sheet, columns: list[str], first: Mapping[str, Cells]
) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Those that are inputs, the words of those that have some, and what was guessed of either."""
    own, words, notes = list[str](), dict[str, list[str]](), list[str]()
    for name in columns:
        if name.lower() in UNUSED:
            notes.append(f"column {name!r} is left out")
        elif numeric(first[name]):
            own.append(name)
        else:
            known = sorted({*_sheet.words(_sheet.whole(sheet, [name])[0])})
            if len(known) > _WORDS:
                notes.append(f"column {name!r} has {len(known)} different words and is left out")
                continue
            own.append(name)
            words[name] = known
            notes.append(f"words of column {name!r} are numbered in the order of the alphabet")
    return own, words, notes


def numeric(cells: Cells) -> bool:
    """Whether these are numbers, or words that look like some."""
    import numpy as np

    if isinstance(cells, np.ndarray):
        return True
    try:
        np.array([*cells], np.float64)
    except (ValueError, TypeError):
        return False
    return True


def _is_picture(cells: Cells) -> bool:
    import numpy as np

    return isinstance(cells, np.ndarray) and cells.dtype == np.uint8 and cells.ndim in (3, 4)
