"""A folder with a folder for each class, of whatever files: how most pictures and many recordings come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebuild.data import _splits
from edgebuild.data._prepared import Prepared
from edgebuild.data._splits import ALIASES, LABELLED, cut
from edgebuild.data._without import FEWEST, unlabelled
from edgebuild.spec import tasks
from edgebuild.spec.data import DataRequest, Loaded
from edgebuild.spec.errors import UsageError
from edgebuild.spec.names import suggest

KEY = "data.folder"


@dataclass(frozen=True, slots=True)
class Folders:
    """One loading of `folder`, as model.toml names it; files are known by their `endings`, and are called `what`.

    Folders are named as the model's labels; where none is, they may be the numbers of classes. With `slices`, folders
    below those of the classes name slices of the test split.
    """

    request: DataRequest
    folder: str
    what: str
    endings: Sequence[str]
    test: float
    seed: int
    slices: bool = False

    def loaded(self) -> Loaded:
        """All splits; UsageError for folders of no class, and for what cannot be read when it comes to it."""
        if self.request.preprocess is None or self.request.preprocess.what != self.what:
            raise self.wrong(f"is missing: it says how a {self.what} becomes the model's input", key="preprocess")
        if all(tasks.of(head).original for head in self.request.heads):
            return self._unlabelled()
        if not self.request.classes or len(self.request.heads) != 1:
            raise self.wrong("has a folder for each class, which is for a model whose one answer is a class")
        top = Path(self.request.reads[0].place)
        if not top.is_dir():
            raise self.wrong(f"{self.folder!r} is no folder")
        folders = {split: place for split in ALIASES if (place := _split_folder(top, split)) is not None}
        if "train" not in folders and "test" in folders:
            raise self.wrong(f"{self.folder!r} has a folder 'test' and none 'train'")
        if "train" not in folders:
            folders = {"train": top}
        splits: dict[str, Any] = {name: self._classes(folders[name]) for name in LABELLED if name in folders}
        notes = tuple(self._left_out([folders[name] for name in splits]))
        if missing := [name for name in LABELLED if name not in splits]:
            splits, cut_notes = self._cut(splits)
            notes += cut_notes
        prepared: dict[str, Any] = {name: (self._prepared(files), labels) for name, (files, labels) in splits.items()}
        if self.slices:
            prepared["slices"] = _splits.masks([self._slice(path) for path in splits["test"][0]])
        if "unlabelled" in folders:
            prepared["unlabelled"] = self._prepared(below(folders["unlabelled"], self.endings))
        return Loaded(prepared, "validation" in missing, notes)

    def _unlabelled(self) -> Loaded:
        """Every file below the folder, for a model that is judged by what the original answers."""
        top = Path(self.request.reads[0].place)
        files = below(top, self.endings) if top.is_dir() else []
        if len(files) < FEWEST:
            message = (
                f"{self.folder!r} has {len(files)} {self.what}s ({', '.join(self.endings)}), and {FEWEST} are needed"
            )
            raise self.wrong(f"{message} to choose and to judge by")
        origin = f"{self.what}s of {top.name}"
        note = f"there are no labels: answers are held against the original's on {origin}, which is no accuracy"
        prepared = self._prepared(files)
        return unlabelled(self.request, [prepared], len(files), origin, note, test=self.test, seed=self.seed)

    def _cut(self, splits: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """With the splits that are missing cut from the training examples."""
        files, labels = splits["train"]
        try:
            rows, note = cut(len(files), labels, splits, test=self.test, seed=self.seed)
        except ValueError as error:
            raise self.wrong(f"{self.folder!r} {error}") from None
        return splits | {name: ([files[row] for row in own], labels[own]) for name, own in rows.items()}, (note,)

    def _classes(self, top: Path) -> tuple[list[Path], Any]:
        """Files in order, and the number of each one's class, int64 [N]."""
        import numpy as np

        places = [place for place in sorted(top.iterdir()) if place.is_dir() and not place.name.startswith(".")]
        if not places:
            raise self.wrong(f"{self._shown(top)} has no folders, and one for each class is needed")
        known = {name: number for number, name in enumerate(self.request.classes)}
        if not any(place.name in known for place in places):
            known |= {str(number): number for number in range(len(self.request.classes))}
        files, labels = list[Path](), list[int]()
        for place in places:
            if place.name not in known:
                message = f"folder {self._shown(place)} is none of the model's labels"
                raise self.wrong(message, hint=suggest(place.name, self.request.classes))
            own = below(place, self.endings)
            files += own
            labels += [known[place.name]] * len(own)
        if not files:
            raise self.wrong(f"{self._shown(top)} has no {self.what}s ({', '.join(self.endings)}) in its folders")
        return files, np.array(labels, np.int64)

    def _left_out(self, tops: Sequence[Path]) -> Iterator[str]:
        """A line on files that are no examples by their names, hidden ones aside."""
        places = (place for top in tops for place in top.iterdir() if place.is_dir() and place.name[0] != ".")
        others = [path for place in places for path in _sorted_out(place, self.endings)[1]]
        if others:
            endings = ", ".join(sorted({path.suffix.lower() or "no ending" for path in others}))
            counted = "1 file is" if len(others) == 1 else f"{len(others)} files are"
            yield f"{counted} left out of {self.folder!r}, no {self.what} by its name ({endings})"

    def _slice(self, path: Path) -> str:
        """The folder below that of its class; "" for none."""
        top = Path(self.request.reads[0].place)
        parts = path.relative_to(top).parts
        if any((top / alias) in path.parents for aliases in ALIASES.values() for alias in aliases):
            parts = parts[1:]
        return parts[1] if len(parts) > 2 else ""

    def _prepared(self, files: list[Path]) -> Prepared:
        assert self.request.preprocess is not None
        return Prepared(files, self.request.preprocess, self._unreadable)

    def _unreadable(self, path: Path, reason: str) -> UsageError:
        return self.wrong(f"{self._shown(path)} is no {self.what} that can be read: {reason}")

    def _shown(self, path: Path) -> str:
        return repr(os.path.normpath(Path(self.folder) / path.relative_to(self.request.reads[0].place)))

    def wrong(self, reason: str, hint: str | None = None, key: str = KEY) -> UsageError:
        """The error that names the model's file and the key."""
        return UsageError(reason, file=f"{self.request.origin}/model.toml", key=key, hint=hint)


def _split_folder(top: Path, split: str) -> Path | None:
    return next((top / alias for alias in ALIASES[split] if (top / alias).is_dir()), None)


def classes_in(top: Path, endings: Sequence[str]) -> tuple[str, ...]:
    """Folders of classes in the order of their names, of what is learnt from; empty where none has such a file."""
    place = (_split_folder(top, "train") or top) if top.is_dir() else None
    folders = [] if place is None else sorted(one for one in place.iterdir() if one.is_dir() and one.name[0] != ".")
    return tuple(one.name for one in folders) if any(below(one, endings) for one in folders) else ()


def training(top: Path) -> Path:
    """The folder of the split that is learnt from, or of all."""
    return _split_folder(top, "train") or top


def below(place: Path, endings: Sequence[str]) -> list[Path]:
    """The files of a folder by their names' endings, in order; hidden ones are left out.

    A link that leads nowhere is one of them, which reading it will tell: what it stood for would be missed by nobody.
    """
    return _sorted_out(place, endings)[0]


def _sorted_out(place: Path, endings: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The files with these endings and all others, each in order, without hidden ones."""
    paths = sorted(path for path in place.rglob("*") if not path.name.startswith("."))
    files = [path for path in paths if path.is_file() or (path.is_symlink() and not path.exists())]
    own = [path for path in files if path.suffix.lower() in endings]
    return own, [path for path in files if path.suffix.lower() not in endings]
