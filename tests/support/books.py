"""Compares a disk and a catalog at rest with the books of what others did.

Nothing of theirs is lost, nothing of ours lies about without a record and a model, nothing is untrue, and
nothing is missing.
"""

import json
import os
from collections.abc import Iterator
from hashlib import sha256

from sqlalchemy import select

from hashtagd.catalog.tables import file, publication
from hashtagd.stages.pictures import PICTURE_SUFFIXES
from support.household import NUMBERS, PICTURELESS, UNKNOWN, Household, sha256_of
from support.strangers import COMMENT, Strangers, Theirs, is_shared, read_object, stem_of


class Books:
    """One look at everything."""

    def __init__(self, household: Household, strangers: Strangers) -> None:
        self.strangers = strangers
        self.top = household.top
        self.there = {it: (self.top / it).read_bytes() for it in strangers.files()}
        #: folders that hold something, in place of a file perhaps
        self.folders = {it.rpartition("/")[0] for it in self.there}
        #: what nobody may expect to be ours
        self.not_ours = strangers.theirs.keys() | strangers.placed.keys()
        wanted = select(publication, file.c.gone_at, file.c.relpath.label("model")).join(
            file, file.c.id == publication.c.file_id
        )
        self.records = household.catalog.database.read(lambda it, _now: it.execute(wanted).all())

    def problems(self) -> list[str]:
        """List what is not as it should be, in words."""
        return [*self.lost(), *self.orphans(), *self.untrue(), *self.missing()]

    def lost(self) -> Iterator[str]:
        """Find what others wrote and is not there any more as they wrote it."""
        for path, (content, mtime_ns) in self.strangers.models.items():
            if self.there.get(path) != content or (self.top / path).stat().st_mtime_ns != mtime_ns:
                yield f"lost: the model {path}"
        for path, theirs in self.strangers.theirs.items():
            yield from self._lost(path, theirs)
        for path, value in self.strangers.comments.items():
            if COMMENT not in os.listxattr(self.top / path) or os.getxattr(self.top / path, COMMENT) != value:
                yield f"lost: the comment of {path}"

    def _lost(self, path: str, theirs: Theirs) -> Iterator[str]:
        content = self.there.get(path)
        if content is None:
            yield f"lost: {path}"
        elif theirs.keys is None:
            if content != theirs.content:
                yield f"lost: {path} is {content[:60]!r}, was {theirs.content[:60]!r}"
        else:
            said = read_object(content) or {}
            for key, value in theirs.keys.items():
                if said.get(key) != value:
                    yield f"lost: {path} says {said.get(key)!r} of {key!r}, not {value!r}"

    def orphans(self) -> Iterator[str]:
        """Find what is of ours and has no record, or no model."""
        for path, content in self.there.items():
            if path in self.strangers.models or path in self.strangers.theirs or path.endswith("readme.txt"):
                continue
            placed = self.strangers.placed.get(path)
            # what we merged into is no more ours than before
            if placed is not None and (placed == content or is_shared(path)):
                continue
            if not self._is_recorded(path, content):
                yield f"orphan: {path} {content[:80]!r}"

    def _is_recorded(self, path: str, content: bytes) -> bool:
        fingerprint = sha256(content).hexdigest()
        for row in self.records:
            place = f"{row.root}/{row.relpath}"
            at = f"cards/{place}.json" if row.writer == "json-tree" else place
            if at == path and row.written_sha256 == fingerprint and row.gone_at is None:
                return f"{row.root}/{row.model}" in self.strangers.models
        return False

    def untrue(self) -> Iterator[str]:
        """Find sidecars that tell of other bytes than their model's."""
        for path in self._owners():
            stem, digest = stem_of(path), sha256(self.there[path]).hexdigest()
            line = f"{stem}.sha256"
            if line in self.there.keys() - self.not_ours and self.there[line] != digest.encode():
                yield f"untrue: {line}"
            said = read_object(self.there.get(f"{stem}.metadata.json", b""))
            if said is not None and said.get("sha256") != digest:
                yield f"untrue: {stem}.metadata.json"
            card = f"cards/{path}.json"
            told = json.loads(self.there[card]) if card in self.there.keys() - self.not_ours else None
            if told is not None and told["hashes"]["sha256"] != digest:
                yield f"untrue: {card}"

    def missing(self) -> Iterator[str]:
        """Find models that lack an artifact, while nothing is in its place."""
        lying = {path.casefold() for path in (*self.there, *self.folders)}
        numbers = {sha256_of(number): number for number in NUMBERS}
        for path in self._owners():
            stem, number = stem_of(path), numbers[sha256(self.there[path]).hexdigest()]
            for suffix in self._wanted(path, number):
                if not os.path.lexists(self.top / (stem + suffix)):
                    yield f"missing: {stem}{suffix}"
            # one in other letter case counts as the model's own
            pictures = {f"{stem}{it}".casefold() for it in PICTURE_SUFFIXES}
            if number not in (PICTURELESS, UNKNOWN) and pictures.isdisjoint(lying):
                yield f"missing: a picture of {path}"
        for path in self.strangers.models:
            if not os.path.lexists(self.top / f"cards/{path}.json"):
                yield f"missing: the card of {path}"
            if "user.checksum.sha256" not in os.listxattr(self.top / path):
                yield f"missing: the attributes of {path}"

    def _wanted(self, path: str, number: int) -> list[str]:
        stem = stem_of(path)
        wanted = [".metadata.json", ".sha256"]
        if number != UNKNOWN:
            wanted += [".civitai.info", ".cm-info.json", ".swarm.json", ".json"]
            wanted += [f"{path.removeprefix(stem)}.rgthree-info.json"]
            wanted += [] if os.path.lexists(self.top / f"{stem}.txt") else [".md"]
        return wanted

    def _owners(self) -> list[str]:
        """List the models that the sidecars of their names belong to."""
        first = {stem_of(path): path for path in sorted(self.strangers.models, reverse=True)}
        return sorted(first.values())
