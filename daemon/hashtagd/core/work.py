"""Work as values: what is due, the right to do it, and how it ended.

Two rings. Files go `settle -> digest -> publish`; questions go `ask -> ask again later`, for ever. A row
stores the next work and its due time, never a past participle; what is known is facts in columns.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hashtagd.core.card import Card
from hashtagd.core.digests import Digests
from hashtagd.core.header import Header
from hashtagd.core.place import Place, Stamp
from hashtagd.core.troubles import Trouble


class Stage(StrEnum):
    """The work a file waits for next."""

    SETTLE = "settle"
    DIGEST = "digest"
    PUBLISH = "publish"
    #: of a file that is gone: what we wrote beside it goes as well; it never comes back to another stage
    SWEEP = "sweep"


class HashKind(StrEnum):
    """Which hash a question is about."""

    SHA256 = "sha256"
    #: the tensor part only; a background question
    TENSORS = "tensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One thing that a writer put (or was about to put) on disk for a file.

    The intention is committed before the rename, the result after it: whatever moment the process dies at,
    bytes of ours are recognised as ours.
    """

    writer: str
    #: where it lies: beside the model, or the model itself for what is attached to it
    place: Place
    #: SHA-256 of the bytes we were about to write; None once `written_sha256` says so
    intended_sha256: str | None
    #: SHA-256 of the bytes we know we wrote; None before the first commit after a write
    written_sha256: str | None
    #: SHA-256 of the model that the intended bytes tell of; None: nobody knows
    intended_for: str | None = None
    #: SHA-256 of the model that the written bytes tell of; None: nobody knows
    written_for: str | None = None
    #: how a picture is rated, as on the card; None for everything else, and where nobody rated it
    nsfw_level: int | None = None
    #: of which version of a model a picture is; None for everything else, and where nobody knows
    version_id: int | None = None

    def recognises(self, sha256: str) -> bool:
        """Tell whether bytes with this SHA-256 are ours."""
        return sha256 in (self.intended_sha256, self.written_sha256)

    def made_for(self, sha256: str) -> str | None:
        """Give the SHA-256 of the model that bytes of ours tell of; None: nobody knows."""
        return self.intended_for if sha256 == self.intended_sha256 else self.written_for

    def tells_of_others(self, sha256: str, model_sha256: str) -> bool:
        """Tell whether bytes of ours with this SHA-256 were made for another model than this."""
        return self.made_for(sha256) not in (None, model_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to do one stage for one file until the lease ends; a result with an old fence is dropped."""

    file_id: int
    fence: int
    stage: Stage
    place: Place
    stamp: Stamp
    #: this claim included: a file that kills the process is counted
    attempts: int
    #: since when the bytes are believed to rest
    still_since: datetime
    first_seen_at: datetime
    #: None before digest is done
    digests: Digests | None = None
    #: None before settle is done, and for files whose header is not read
    header: Header | None = None
    #: for publish: the strongest card so far; None when no provider has said Found
    card: Card | None = None
    #: for publish: names of the parts of `card` that the owner locked
    locked: tuple[str, ...] = ()
    #: for publish: True when at least one provider other than the file's own header has answered (Found or
    #: Absent) for this hash
    answered: bool = False
    #: for publish: when the answer that `card` and `answered` tell of was given; None before
    checked_at: datetime | None = None
    #: for publish and sweep: what we wrote for this file before
    publications: tuple[Publication, ...] = ()
    #: for publish: what we wrote beside this file for others that had or have its name up to the extension
    nearby: tuple[Publication, ...] = ()
    #: for publish: what we wrote elsewhere in the root, or for a file that is gone, for the same bytes, the
    #: newest first
    twins: tuple[Publication, ...] = ()
    #: for publish: the same of files that live in other roots: copies of it are recognised, but nobody looks
    #: there, where a disk may hang
    far_twins: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a provider may look at."""

    #: the hash that the question is about, by which answers are told apart: of the file, or of its tensors
    hash: str
    #: None before the file was read; only then the hash is no more than the file's own claim
    digests: Digests | None
    header: Header | None
    size_bytes: int
    #: how often in a row the asked provider did not know it: there is a cheaper way to ask about old misses
    times_absent: int = 0
    #: the version that the owner named for it; only who is asked on the owner's behalf looks at it
    version_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionKey:
    """One hash put to one provider. It belongs to the hash, not to a file: copies cost no request."""

    hash_kind: HashKind
    hash: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A question to be put; one that was put before is kept as it is."""

    key: QuestionKey
    #: asked behind all first answers; nobody waits for it
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionClaim:
    """The right to ask one question until the lease ends."""

    question_id: int
    fence: int
    key: QuestionKey
    subject: Subject
    #: how often an answer (Found or Absent) has been committed before
    times_answered: int
    #: how many of those in a row, up to now, were Absent
    times_absent: int
    #: when the last answer was committed
    answered_at: datetime | None

    @property
    def was_found(self) -> bool:
        """Tell whether the last answer was Found."""
        return self.times_answered > 0 and self.times_absent == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The provider knows the hash."""

    card: Card


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """The provider said, in a well-formed answer to a question with the hash, that it does not know it."""


Answer = Found | Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Fact: the file rests and is whole."""

    header: Header | None
    #: what the file itself says that the SHA-256 of its tensors is; kept only where it is asked about before
    #: the file was read
    claimed_tensors_sha256: str | None = None
    #: questions that need not wait until the file was read
    questions: tuple[Put, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Digested:
    """Fact: these are the hashes of the bytes with the claim's stamp."""

    digests: Digests
    #: the questions a new hash puts first; none when no provider is configured
    questions: tuple[Put, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Fact: the artifacts that could be made are on disk."""

    publications: tuple[Publication, ...]
    #: something is still missing for a reason that time heals (an image host is away): publish again then
    again_in_s: float | None = None
    #: why it is missing, or what a person should know (a foreign file was left alone is no trouble)
    trouble: Trouble | None = None
    #: of `Claim.nearby`: what was removed
    removed: tuple[Publication, ...] = ()
    #: something on the disk changed, perhaps in a file of another program, of which there is no record
    wrote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Fact: what we wrote beside a file that is gone was removed, but for what is not ours to remove."""

    #: what is still recorded: edited or moved away since, or its place is taken by another model
    publications: tuple[Publication, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Fact: the provider spoke."""

    answer: Answer
    #: when to ask the same question again
    again_in_s: float
    #: the questions that this answer puts (to the next providers, after Absent)
    then: tuple[Put, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """The stage is done: facts are written, the next stage is due, attempts start from 0."""

    facts: Settled | Digested | Published | Swept | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Defer:
    """This row, later: same stage, due in `wait_s`; the attempt counts. A trouble of None: plain waiting."""

    trouble: Trouble | None
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Not this row's fault, or we are stopping: same stage, the attempt is given back."""

    trouble: Trouble | None = None
    #: 0: due as it was; else it is due after this, and its trouble is kept with it till then
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """No point until something changes: not due; a new stamp or `hashtagd retry` wakes it."""

    trouble: Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The bytes changed: back to settle with this stamp, hashes cleared, fence + 1."""

    stamp: Stamp
    #: since when the new bytes rest, where the file's own times can be believed; None: since now
    still_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Nothing is at the place: marked gone, kept 30 days so that a move can be recognised."""


Outcome = Advance | Defer | Release | Park | Restart | Forget


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many questions wait for one provider, for the decision whether a round should go."""

    due: int
    #: due time of the question that has waited longest; None when nothing is due
    oldest_due_at: datetime | None
