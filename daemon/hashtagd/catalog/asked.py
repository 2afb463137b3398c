"""Which questions are worth asking: those that a file is there for, and whose answer could be shown."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, case, literal, or_, select, true

from hashtagd.catalog.rows import OWNER
from hashtagd.catalog.tables import file, question
from hashtagd.catalog.types import UtcDateTime
from hashtagd.core.card import Confidence
from hashtagd.core.joining import GONE, SITE
from hashtagd.core.work import HashKind

_SAID: Final = question.alias("said")
#: some answer about the whole file stands: nobody needs to be asked about its tensors
_IS_KNOWN_WHOLE: Final[ColumnElement[bool]] = (
    select(_SAID.c.id)
    .where(
        _SAID.c.hash_kind == HashKind.SHA256.value,
        _SAID.c.hash == file.c.sha256,
        _SAID.c.strength <= Confidence.EXACT.rank,
        _SAID.c.verdict == "found",
    )
    .correlate(file)
    .exists()
)
_GIVEN: Final = question.alias("given")
#: the site itself gives the file out: no archive of volunteers needs to be asked
_IS_GIVEN_OUT: Final[ColumnElement[bool]] = (
    select(_GIVEN.c.id)
    .where(
        _GIVEN.c.hash_kind == HashKind.SHA256.value,
        _GIVEN.c.hash == question.c.hash,
        _GIVEN.c.provider == SITE,
        _GIVEN.c.strength <= Confidence.EXACT.rank,
        _GIVEN.c.verdict == "found",
        _GIVEN.c.availability.not_in(sorted(GONE)),
    )
    .correlate(question)
    .exists()
)
_IS_NEEDED: Final = or_(question.c.background.is_(False), question.c.provider == OWNER, ~_IS_GIVEN_OUT)
#: a question nobody has a file for is kept, but not asked; nor is one whose answer could not be shown
HAS_A_FILE: Final[ColumnElement[bool]] = or_(
    and_(
        question.c.hash_kind == HashKind.SHA256.value,
        _IS_NEEDED,
        select(file.c.id).where(file.c.sha256 == question.c.hash, file.c.gone_at.is_(None)).exists(),
    ),
    and_(
        question.c.hash_kind == HashKind.TENSORS.value,
        or_(
            select(file.c.id)
            .where(file.c.tensors_sha256 == question.c.hash, file.c.gone_at.is_(None), ~_IS_KNOWN_WHOLE)
            .exists(),
            select(file.c.id)
            .where(file.c.claimed_tensors_sha256 == question.c.hash, file.c.gone_at.is_(None))
            .exists(),
        ),
    ),
)
#: of the questions about one file, those that are worth asking: joins both tables
IS_ASKED: Final[ColumnElement[bool]] = or_(
    and_(question.c.hash_kind == HashKind.SHA256.value, _IS_NEEDED),
    and_(question.c.hash_kind == HashKind.TENSORS.value, or_(~_IS_KNOWN_WHOLE, file.c.sha256.is_(None))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Askers:
    """Who asks at all, by the settings, and who has to wait; other questions are kept, and not told of."""

    #: names of providers; None: whoever was ever asked
    names: Collection[str] | None = None
    #: until when a closed gate holds a provider up, by its name
    held_until: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def are_asked(self) -> ColumnElement[bool]:
        """Say that a question is put to one of them."""
        return true() if self.names is None else question.c.provider.in_(sorted(self.names))

    @property
    def at(self) -> ColumnElement[datetime]:
        """Say when a question is asked: at its time, but not before the gate opens."""
        held = [
            (
                and_(question.c.provider == name, question.c.due_at < literal(until, UtcDateTime())),
                literal(until, UtcDateTime()),
            )
            for name, until in sorted(self.held_until.items())
        ]
        return case(*held, else_=question.c.due_at) if held else question.c.due_at
