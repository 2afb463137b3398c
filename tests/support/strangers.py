"""People and programs who work in the same folders, and the books of what is theirs."""

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hashtagd.core.artifacts import JsonMerge, TreeFile, Xattr
from support.household import NUMBERS, ROOTS, content_of
from support.publish_fakes import card, target
from support.writer_samples import WRITERS, writer

#: relative to a root; some share a name up to the extension, to letter case, or to a dot
NAMES: Final = ("a.safetensors", "a.sft", "b.safetensors", "A.safetensors", "a.b.sft", "deep/a.safetensors")
PLACES: Final = tuple(f"{root}/{name}" for root in ROOTS for name in NAMES)
#: everything that any writer puts beside a model
_ARTIFACTS: Final = [
    item
    for name in WRITERS
    for item in writer(name).render(card(), target())
    if not isinstance(item, Xattr | TreeFile)
]
#: what others put under names that a writer uses, or beside them
_PLANTED: Final = (*(item.suffix for item in _ARTIFACTS), ".txt", ".png", ".webp", ".PNG")
#: files into which we merge, and keys in them that a person may set
_SHARED: Final = {
    item.suffix: tuple(
        key
        for key, value in {"mine": "", **item.fill, **item.renewed, **item.absent}.items()
        if isinstance(value, str) and key not in item.paths | item.names.keys()
    )
    for item in sorted(_ARTIFACTS, key=lambda item: -len(item.suffix))
    if isinstance(item, JsonMerge)
}
COMMENT: Final = "user.xdg.comment"


@dataclass
class Theirs:
    """What somebody wrote into one file: all of it, or some keys of a JSON object."""

    content: bytes
    keys: dict[str, Any] | None = None


@dataclass
class Strangers:
    """Act on the folders below `top` and keep the books; paths in them are relative to it."""

    top: Path
    #: models by path: content and time
    models: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    theirs: dict[str, Theirs] = field(default_factory=dict)
    #: bytes of ours that somebody put there
    placed: dict[str, bytes] = field(default_factory=dict)
    #: extended attributes by the model's path
    comments: dict[str, bytes] = field(default_factory=dict)
    #: what once lay at a path
    former: dict[str, bytes] = field(default_factory=dict)
    #: roots whose models may be others now
    touched: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    # ---- models

    def arrive(self, number: int, at: int) -> None:
        """A downloader puts a model there, over whatever it finds."""
        path, temporary = _pick(PLACES, at), self.top / "download.tmp"
        self._replaced(path)
        self._write(temporary, content_of(_pick(NUMBERS, number)))
        (self.top / path).parent.mkdir(exist_ok=True)
        temporary.replace(self.top / path)
        self._note_model(path)

    def overwrite(self, which: int, number: int) -> None:
        """Other bytes are written into a model's file: it keeps its inode and its attributes."""
        if path := _pick(self._models(), which):
            self._write(self.top / path, content_of(_pick(NUMBERS, number)))
            self._note_model(path)

    def rename(self, which: int, at: int) -> None:
        """A model gets another name, and nothing else does."""
        path, new = _pick(self._models(), which), _pick(PLACES, at)
        if path and path != new:
            self._move(path, new)

    def rename_all(self, which: int, at: int) -> None:
        """A manager moves everything whose name begins as the model's does."""
        path, new = _pick(self._models(), which), _pick(PLACES, at)
        if path and path != new:
            old_stem, new_stem = stem_of(path), stem_of(new)
            for each in self._beside(path):
                self._move(each, new_stem + each.removeprefix(old_stem))
            self._move(path, new)

    def copy(self, which: int, at: int) -> None:
        """A model is copied, and what lies beside it as well if `at` is odd."""
        path, new = _pick(self._models(), which), _pick(PLACES, at)
        if not path or path == new:
            return
        old_stem, new_stem = stem_of(path), stem_of(new)
        (self.top / new).parent.mkdir(exist_ok=True)
        for each in self._beside(path) if at % 2 else []:
            self._put(new_stem + each.removeprefix(old_stem), (self.top / each).read_bytes(), like=each)
        self._replaced(new)
        self._write(self.top / new, (self.top / path).read_bytes())
        self._note_model(new)

    def delete(self, which: int, how: int) -> None:
        """A model is deleted; if `how` is odd, with everything beside it."""
        if path := _pick(self._models(), which):
            for each in self._beside(path) if how % 2 else []:
                self._remove(each)
            self._remove(path)

    def move_folder(self, which: int, back: int) -> None:
        """A whole folder gets another name."""
        old, new = ("deep", "else") if back % 2 else ("else", "deep")
        root = _pick(ROOTS, which)
        if (self.top / root / old).is_dir() and not (self.top / root / new).exists():
            for book in (self.models, self.theirs, self.placed, self.comments, self.former):
                for path in [it for it in book if it.startswith(f"{root}/{old}/")]:
                    book[path.replace(f"/{old}/", f"/{new}/", 1)] = book.pop(path)  # type: ignore[attr-defined]
            (self.top / root / old).rename(self.top / root / new)
            self.touched.add(root)
            for path in self.files():
                if path.startswith(f"{root}/{new}/") and path not in self.models | self.theirs:
                    self.placed[path] = (self.top / path).read_bytes()

    def comment(self, which: int, _how: int) -> None:
        """A file manager attaches a comment to a model."""
        if path := _pick(self._models(), which):
            value = self._mark().encode()
            os.setxattr(self.top / path, COMMENT, value)
            self.comments[path] = value

    # ---- what lies beside models

    def add_key(self, which: int, how: int) -> None:
        """A program adds a key of its own to a JSON object; to anything else, a line."""
        if path := _pick(self._files(), which):
            self._edit(path, f"zz {how % 3}")

    def change_key(self, which: int, how: int) -> None:
        """A person changes what a key says."""
        if path := _pick(self._files(), which):
            self._edit(path, _pick(_keys_of(path) or ("zz",), how))

    def replace(self, which: int, how: int) -> None:
        """A file becomes somebody's own: an object, broken JSON, or nothing at all."""
        if path := _pick(self._files(), which):
            self._put(path, self._some_content(how))

    def plant(self, at: int, what: int) -> None:
        """Somebody puts a file under a name that we use, or a picture, or notes."""
        path = stem_of(_pick(PLACES, at)) + _pick(_PLANTED, what)
        if not (self.top / path).is_dir():
            (self.top / path).parent.mkdir(exist_ok=True)
            self._put(path, self._some_content(what // len(_PLANTED)))

    def remove(self, which: int, _how: int) -> None:
        """Somebody deletes a file."""
        if path := _pick(self._files(), which):
            self._remove(path)

    def make_folder(self, which: int, _how: int) -> None:
        """A folder stands where a file was."""
        if path := _pick(self._files(), which):
            self._remove(path)
            (self.top / path).mkdir()
            self._put(f"{path}/inside.txt", self._mark().encode())

    def put_aside(self, which: int, _how: int) -> None:
        """A file is kept for later where no model is."""
        if path := _pick(self._files(), which):
            (self.top / "aside").mkdir(exist_ok=True)
            self._move(path, f"aside/{path.replace('/', '|')}")

    def put_back(self, which: int, _how: int) -> None:
        """What was put aside comes back."""
        folder = self.top / "aside"
        names = sorted(it.name for it in folder.iterdir()) if folder.is_dir() else []
        if name := _pick(names, which):
            path = name.replace("|", "/")
            if not (self.top / path).is_dir():
                (self.top / path).parent.mkdir(exist_ok=True, parents=True)
                self._move(f"aside/{name}", path)

    def undo(self, which: int, _how: int) -> None:
        """An edit is taken back."""
        path = _pick(sorted(self.former), which)
        if path and (self.top / path).is_file():
            self._put(path, self.former.pop(path))

    # ---- the books

    def files(self) -> list[str]:
        """List every file there is."""
        return sorted(
            os.path.relpath(f"{at}/{name}", self.top) for at, _, names in os.walk(self.top) for name in names
        )

    def looks(self) -> dict[str, os.stat_result]:
        """Look at every file there is."""
        return {it: os.lstat(self.top / it) for it in self.files()}

    def _models(self) -> list[str]:
        return sorted(self.models)

    def _files(self) -> list[str]:
        """List what lies beside models, and the cards."""
        return [
            it
            for it in self.files()
            if it not in self.models
            and not it.startswith("aside/")
            and not it.endswith(("readme.txt", "inside.txt"))
            and "/.hashtagd-" not in it
        ]

    def _beside(self, model: str) -> list[str]:
        stem = stem_of(model) + "."
        return [it for it in self._files() if it.startswith(stem) and "/" not in it.removeprefix(stem)]

    def _note_model(self, path: str) -> None:
        self.touched.add(path.partition("/")[0])
        found = self.top / path
        self.models[path] = (found.read_bytes(), found.stat().st_mtime_ns)

    def _move(self, old: str, new: str) -> None:
        if (self.top / new).is_dir():
            return
        (self.top / new).parent.mkdir(exist_ok=True)
        self._replaced(new)
        data = (self.top / old).read_bytes()
        (self.top / old).rename(self.top / new)
        self.touched |= {old.partition("/")[0], new.partition("/")[0]}
        for book in (self.models, self.theirs, self.comments):
            if old in book:
                book[new] = book.pop(old)  # type: ignore[attr-defined]
        self.placed.pop(old, None)
        if new not in self.models and new not in self.theirs:
            self.placed[new] = data

    def _remove(self, path: str) -> None:
        (self.top / path).unlink()
        self.touched.add(path.partition("/")[0])
        self._replaced(path)

    def _replaced(self, path: str) -> None:
        """What lay there is gone by somebody's own hand."""
        for book in (self.models, self.theirs, self.placed, self.comments):
            book.pop(path, None)  # type: ignore[attr-defined]

    def _edit(self, path: str, key: str) -> None:
        data = (self.top / path).read_bytes()
        self.former[path] = data
        said, mark = read_object(data), self._mark()
        if said is None:
            self._put(path, data + mark.encode())
            return
        known = self.theirs.get(path)
        keys = {} if known is None or known.keys is None else known.keys
        self._put(path, json.dumps({**said, key: mark}, indent=1).encode())
        if is_shared(path):
            self.theirs[path].keys = {**keys, key: mark}

    def _put(self, path: str, data: bytes, *, like: str | None = None) -> None:
        """Write a file; what carries a mark is somebody's, what does not was ours (or is nothing)."""
        if (self.top / path).is_dir():
            return
        known = self.theirs.get(path if like is None else like)
        self._write(self.top / path, data)
        self._replaced(path)
        if b"their " in data:
            said = read_object(data) if is_shared(path) else None
            keys = None if said is None else {k: v for k, v in said.items() if "their " in str(v)}
            if like is not None and known is not None and keys is not None:
                keys = known.keys
            self.theirs[path] = Theirs(content=data, keys=keys)
        else:
            self.placed[path] = data

    def _write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        # two writes within one tick of the disk's clock may not look alike
        moment_ns = 1_700_000_000 * 10**9 + next(self._numbers) * 10**9
        os.utime(path, ns=(moment_ns, moment_ns))

    def _some_content(self, kind: int) -> bytes:
        mark = self._mark()
        return (
            json.dumps({"mine": mark, "notes": mark}).encode(),
            f'{{"mine": "{mark}"'.encode(),
            mark.encode(),
            b"",
            b"{}",
            json.dumps([mark]).encode(),
        )[kind % 6]

    def _mark(self) -> str:
        return f"their {next(self._numbers)}"


VERBS: Final = (
    *("arrive", "overwrite", "rename", "rename_all", "copy", "delete", "move_folder", "comment"),
    *("add_key", "change_key", "replace", "plant", "remove", "make_folder", "put_aside", "put_back", "undo"),
)


def _pick(items: Any, which: int) -> Any:
    return items[which % len(items)] if items else None


def stem_of(path: str) -> str:
    """Give a model's path without its extension."""
    return path.removesuffix(".safetensors").removesuffix(".sft")


def is_shared(path: str) -> bool:
    """Tell whether we merge into a file of this name."""
    return any(path.endswith(suffix) for suffix in _SHARED) and not path.startswith("cards/")


def _keys_of(path: str) -> tuple[str, ...]:
    return next((keys for suffix, keys in _SHARED.items() if path.endswith(suffix)), ())


def read_object(data: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None: it is none."""
    try:
        said = json.loads(data)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
