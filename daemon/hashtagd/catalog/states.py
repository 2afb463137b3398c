"""The state words that people read, derived from rows. Never stored: rows keep their next work."""

from typing import Final

from sqlalchemy import ColumnElement, and_, case, or_, select

from hashtagd.catalog.rows import ABOUT_TENSORS, ABOUT_WHOLE, HEADER_PROVIDER
from hashtagd.catalog.tables import file, question
from hashtagd.core.work import Stage

#: in the order of a file's life
STATES: Final = ("waiting", "hashing", "asking", "published", "unknown", "parked", "gone")
#: the state follows from what is asked about the file
ASKED_ABOUT: Final = ""


def _has(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say that there is such a question about a file; two looks, as SQLite is slow with either-or in one."""
    looks = (select(question.c.id).where(about, *which) for about in (ABOUT_WHOLE, ABOUT_TENSORS))
    return or_(*(look.correlate(file).exists() for look in looks))


#: somebody other than the file itself knows the model
IS_NAMED: Final = _has(question.c.strength.is_not(None), question.c.provider != HEADER_PROVIDER)
_IS_ASKED: Final = _has()
_IS_ANSWERED: Final = _has(question.c.verdict.is_not(None))

_BY_ITSELF: Final = (
    (file.c.gone_at.is_not(None), "gone"),
    (file.c.parked_at.is_not(None), "parked"),
    (file.c.stage == Stage.SETTLE.value, "waiting"),
    (file.c.stage == Stage.DIGEST.value, "hashing"),
    (file.c.published_at.is_(None), "asking"),
)
#: the state as far as the file's own row tells it
OWN_STATE: Final[ColumnElement[str]] = case(*_BY_ITSELF, else_=ASKED_ABOUT)
#: a file that was published before anybody could be asked is still being asked about
STATE: Final[ColumnElement[str]] = case(
    *_BY_ITSELF,
    (IS_NAMED, "published"),
    (and_(_IS_ASKED, ~_IS_ANSWERED), "asking"),
    else_="unknown",
)


def state_of(own: str, *, named: bool, asked: bool, answered: bool) -> str:
    """Derive the same word as `STATE` from a row and what is asked about it."""
    if own != ASKED_ABOUT:
        return own
    if named:
        return "published"
    return "asking" if asked and not answered else "unknown"
