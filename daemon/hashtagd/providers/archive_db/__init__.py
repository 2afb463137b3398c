"""LoRA Manager's archive database: millions of answers on the own disk, for machines without a network."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict

from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import GiveUp, Scope, Trouble
from hashtagd.core.whole_paths import whole_path
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.providers.archive_db.database import ArchiveDatabase, opened
from hashtagd.providers.archive_db.index import HashIndex
from hashtagd.providers.archive_db.lookup import look_up
from hashtagd.providers.surroundings import Surroundings

__all__ = ["ArchiveDb", "ArchiveDbOptions"]

_INDEX_NAME: Final = "archive-db.index"
#: how many hashes are looked up while the database is open; each brings its whole documents into memory
_PORTION: Final = 100


class ArchiveDbOptions(BaseModel):
    """What the settings may say about this provider."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: `civitai.sqlite`, the folder that holds it, or LoRA Manager's own folder, which holds that folder
    path: Annotated[str, AfterValidator(whole_path)]


class ArchiveDb:
    """The provider. Make it once, close it at the end.

    It needs no network, but it has a gate: a database that is away is not looked for every second.
    """

    Options = ArchiveDbOptions

    def __init__(self, options: ArchiveDbOptions, surroundings: Surroundings) -> None:
        self.name = "archive-db"
        self.slow = False
        self.reads_headers = False
        self.origin: str | None = "archive-db"
        self.batch_limit = 1_000
        self._path = options.path
        self._around = surroundings
        self._index: HashIndex | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Remove the index, where it had no state folder to lie in."""
        self._index = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        """Answer for every SHA-256 of the subjects once, as `core.ports.Provider` says.

        The first question about a database builds an index of its hashes, which takes up to a minute for a
        million files. Nothing is held open between answers.
        """
        hashes = list(dict.fromkeys(subject.hash for subject in subjects))
        if SHA256_OF_NOTHING in hashes:
            hashes.remove(SHA256_OF_NOTHING)
            yield SHA256_OF_NOTHING, _nothing_to_ask()
        for start in range(0, len(hashes), _PORTION):
            yield from self._portion(hashes[start : start + _PORTION])

    def _portion(self, hashes: Sequence[str]) -> list[tuple[str, Found | Absent]]:
        if self._around.pause.stopping:
            raise Stopping
        try:
            answers = self._answers(hashes)
        except Trouble as trouble:
            self._around.gatekeeper.close(str(self.origin), trouble)
            raise
        self._around.gatekeeper.succeeded(str(self.origin))
        return answers

    def _answers(self, hashes: Sequence[str]) -> list[tuple[str, Found | Absent]]:
        with opened(_expanded(self._path)) as database:
            index = self._open_index()
            if not index.is_current(database.stamp):
                self._build(index, database)
            cards = look_up(database, index.rows_of(hashes), self._around.clock.now())
            database.check_unchanged()
        return [(text, Found(card=cards[text]) if text in cards else Absent()) for text in hashes]

    def _open_index(self) -> HashIndex:
        if self._index is None:
            folder = self._around.state_folder
            if folder is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="hashtagd-")
                folder = Path(self._scratch.name)
            self._index = HashIndex(folder / _INDEX_NAME)
        return self._index

    def _build(self, index: HashIndex, database: ArchiveDatabase) -> None:
        began_s = self._around.clock.monotonic_s()
        count = index.build(database, lambda: self._around.pause.stopping)
        took_s = self._around.clock.monotonic_s() - began_s
        self._around.tell("archive_indexed", {"files": count, "took_s": round(took_s, 1)})


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no home folder: then nothing is there either
        return Path(path)


def _nothing_to_ask() -> GiveUp:
    return GiveUp(
        "the file is empty, and every empty file has the same hash",
        does="hashtagd looks it up nowhere",
        you="delete the file or download it again",
        scope=Scope.FILE,
        kind="hash_of_nothing",
    )
