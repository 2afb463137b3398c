"""Which questions are worth asking: those that a file is there for, and whose answer could be shown."""

from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select

from hashtagd.catalog.tables import file, question
from hashtagd.core.card import Confidence
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
#: a question nobody has a file for is kept, but not asked; nor is one whose answer could not be shown
HAS_A_FILE: Final[ColumnElement[bool]] = or_(
    and_(
        question.c.hash_kind == HashKind.SHA256.value,
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
    question.c.hash_kind == HashKind.SHA256.value, ~_IS_KNOWN_WHOLE, file.c.sha256.is_(None)
)
