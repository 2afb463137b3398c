"""What publishing one model takes, from the plan to the report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from hashtagd.core.artifacts import Xattr
from hashtagd.core.place import Place
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Claim, Publication
from hashtagd.stages.effects import Folder, Prepared
from hashtagd.stages.looks import Here


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A prepared file that waits for its intention to be committed."""

    #: what is recorded once it has its name
    record: Publication
    prepared: Prepared
    #: False for a merge into another program's file: that one must never count as ours
    ours: bool
    #: of a file in a tree elsewhere: what is known of it, and stays known if this one comes to nothing; None:
    #: it lies beside the model
    elsewhere: tuple[Publication, ...] | None = None
    #: SHA-256 of what lies there now, where it is ours
    present_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingXattr:
    """An extended attribute that waits for its intention to be committed."""

    attribute: Xattr
    #: its value now; None: it has none
    instead_of: bytes | None
    #: what is recorded once it is set
    record: Publication

    @property
    def present_sha256(self) -> str | None:
        """The SHA-256 of its value now; None: it has none."""
        return None if self.instead_of is None else sha256(self.instead_of).hexdigest()


@dataclass(slots=True, kw_only=True)
class Job:
    """What publishing one model takes, as far as it is known."""

    claim: Claim
    #: of the model
    sha256: str
    folder: Folder
    mode: int
    #: tells of a place in the model's folder whether it is a model's own
    is_model: Callable[[Place], bool]
    #: what is on the disk already as it should be
    kept: list[Publication] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    #: folders in which names were given or taken, each with what was put there; None: beside the model
    touched: list[tuple[Folder, Pending | None]] = field(default_factory=list)
    #: names of ours that describe something else by now, with what lay there when that was decided
    stale: dict[str, Here] = field(default_factory=dict)
    xattrs: list[PendingXattr] = field(default_factory=list)
    #: records of attributes of ours that nobody wants any more
    stale_xattrs: list[Publication] = field(default_factory=list)
    #: what was written for others, and is removed
    removed: list[Publication] = field(default_factory=list)
    #: what went wrong on the disk: decides the outcome
    failures: list[Trouble] = field(default_factory=list)
    #: what a person should know, or time heals
    notes: list[Trouble] = field(default_factory=list)
    again_in_s: float | None = None
    #: places this run has decided on
    decided: set[Place] = field(default_factory=set)
    #: the writers, as records name them, of what is attached to the model and was decided on
    attached: set[str] = field(default_factory=set)

    @property
    def writes(self) -> bool:
        """Tell whether anything on the disk is to change."""
        return bool(self.pending or self.stale or self.xattrs or self.stale_xattrs)

    @property
    def adopted(self) -> list[Publication]:
        """List what lies there as it should be, and was not known to be this model's yet: it moved along."""
        mine = {(it.place, it.writer) for it in self.claim.publications}
        return [it for it in self.kept if (it.place, it.writer) not in mine]

    def intentions(self) -> list[Publication]:
        """List what is to be recognised as ours even if the process dies before it is recorded."""
        return [
            *(self._intention(item) for item in self.pending if item.ours),
            *(self._intention(item) for item in self.xattrs),
            *(
                replace(it, intended_sha256=it.written_sha256, intended_for=it.written_for)
                for it in self.adopted
            ),
        ]

    def _intention(self, item: Pending | PendingXattr) -> Publication:
        """Say what is about to be written, and what of ours lies there until then."""
        made, present = item.record, item.present_sha256
        known = None if present is None else self.known(made.place, present)
        return replace(
            made,
            intended_sha256=made.written_sha256,
            intended_for=made.written_for,
            written_sha256=None if known is None else present,
            written_for=None if known is None or present is None else known.made_for(present),
        )

    def record(self, writer: str, place: Place, fingerprint: str) -> Publication:
        """Make the record of bytes that tell of this model."""
        return Publication(
            writer=writer,
            place=place,
            intended_sha256=None,
            written_sha256=fingerprint,
            written_for=self.sha256,
        )

    def keep_edited(self, place: Place) -> None:
        """Keep the record of bytes of ours that somebody changed or replaced since: they may come back.

        No other bytes become ours by it.
        """
        self.keep_changed([it for it in self.claim.publications if it.place == place])

    def keep_changed(self, records: Sequence[Publication]) -> None:
        """Keep those records of bytes that somebody changed since which say what was surely written."""
        self.kept += [
            replace(it, intended_sha256=None, intended_for=None)
            for it in records
            if it.written_sha256 is not None
        ]

    def known(self, place: Place, fingerprint: str) -> Publication | None:
        """Find the record by which bytes at a place are ours, whatever model they tell of.

        What somebody moved or copied along with the model is ours as well: it was written elsewhere for the
        same bytes.
        """
        here = (*self.claim.publications, *self.claim.nearby)
        at = [it for it in here if it.place == place and it.recognises(fingerprint)]
        elsewhere = (*self.claim.twins, *self.claim.far_twins)
        moved = [it for it in elsewhere if it.recognises(fingerprint)]
        mine = [it for it in (*at, *moved) if not self.is_others(it, fingerprint)]
        return next(iter([*mine, *at]), None)

    def wrote(self, place: Place) -> bool:
        """Tell whether we wrote at a place, whatever lies there now."""
        return any(it.place == place for it in (*self.claim.publications, *self.claim.nearby))

    def is_others(self, known: Publication, fingerprint: str) -> bool:
        """Tell whether bytes of ours tell of another model."""
        return known.tells_of_others(fingerprint, self.sha256)

    def is_beside(self, place: Place) -> bool:
        """Tell whether a name belongs to the model as a sidecar's does, and is no model's own."""
        mine = self.claim.place
        same_folder = (place.root, place.folder) == (mine.root, mine.folder)
        return same_folder and place.name.startswith(mine.stem + ".") and not self.is_model(place)


def leave_to_owners(jobs: Sequence[Job]) -> None:
    """Let no job remove what another one of the batch keeps, or writes anew: the name is that model's now.

    Its record stays until that one has written it down as its own.
    """
    taken = {it.place for job in jobs for it in (*job.kept, *(item.record for item in job.pending))}
    for job in jobs:
        spared = {name for name in job.stale if job.claim.place.sibling(name) in taken}
        job.stale = {name: seen for name, seen in job.stale.items() if name not in spared}
        job.kept += [
            it for it in job.claim.publications if job.is_beside(it.place) and it.place.name in spared
        ]
