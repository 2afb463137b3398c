"""What publishing one model takes, from the plan to the report."""

from dataclasses import dataclass, field, replace

from hashtagd.core.artifacts import Xattr
from hashtagd.core.place import Place
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Publication
from hashtagd.stages.effects import Folder, Here, Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A prepared file that waits for its intention to be committed."""

    writer: str
    place: Place
    fingerprint: str
    prepared: Prepared
    #: False for a merge into another program's file: that one must never count as ours
    ours: bool

    def intention(self) -> Publication:
        """Say what is about to be written."""
        return Publication(
            writer=self.writer, place=self.place, intended_sha256=self.fingerprint, written_sha256=None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingXattr:
    """An extended attribute that waits for its intention to be committed."""

    attribute: Xattr
    #: what is recorded once it is set
    record: Publication

    def intention(self) -> Publication:
        """Say what is about to be set."""
        return replace(self.record, intended_sha256=self.record.written_sha256, written_sha256=None)


@dataclass(slots=True, kw_only=True)
class Job:
    """What publishing one model takes, as far as it is known."""

    claim: Claim
    folder: Folder
    mode: int
    #: what is on the disk already as it should be
    kept: list[Publication] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    #: names of ours that describe something else by now, with what lay there when that was decided
    stale: dict[str, Here] = field(default_factory=dict)
    xattrs: list[PendingXattr] = field(default_factory=list)
    #: what went wrong on the disk: decides the outcome
    failures: list[Trouble] = field(default_factory=list)
    #: what a person should know, or time heals
    notes: list[Trouble] = field(default_factory=list)
    again_in_s: float | None = None
    #: places this run has decided on
    decided: set[Place] = field(default_factory=set)

    @property
    def writes(self) -> bool:
        """Tell whether anything on the disk is to change."""
        return bool(self.pending or self.stale or self.xattrs)

    def intentions(self) -> list[Publication]:
        """List what is to be recognised as ours even if the process dies before it is recorded."""
        return [
            *(item.intention() for item in self.pending if item.ours),
            *(item.intention() for item in self.xattrs),
        ]

    def recognises(self, place: Place, fingerprint: str) -> bool:
        """Tell whether bytes at a place are ours."""
        return any(
            known.place == place and known.recognises(fingerprint) for known in self.claim.publications
        )
