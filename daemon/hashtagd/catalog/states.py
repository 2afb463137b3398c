"""The state words that people read, derived from rows. Never stored: rows keep their next work."""

from typing import Final

from sqlalchemy import ColumnElement, and_, case, select

from hashtagd.catalog.rows import ABOUT_FILE, HEADER_PROVIDER
from hashtagd.catalog.tables import file, question
from hashtagd.core.work import Stage

#: in the order of a file's life
STATES: Final = ("waiting", "hashing", "asking", "published", "unknown", "parked", "gone")

#: somebody other than the file itself knows the model
IS_NAMED: Final[ColumnElement[bool]] = (
    select(question.c.id)
    .where(ABOUT_FILE, question.c.strength.is_not(None), question.c.provider != HEADER_PROVIDER)
    .correlate(file)
    .exists()
)
_IS_ASKED: Final = select(question.c.id).where(ABOUT_FILE).correlate(file).exists()
_IS_ANSWERED: Final = (
    select(question.c.id).where(ABOUT_FILE, question.c.verdict.is_not(None)).correlate(file).exists()
)

#: a file that was published before anybody could be asked is still being asked about
STATE: Final[ColumnElement[str]] = case(
    (file.c.gone_at.is_not(None), "gone"),
    (file.c.parked_at.is_not(None), "parked"),
    (file.c.stage == Stage.SETTLE.value, "waiting"),
    (file.c.stage == Stage.DIGEST.value, "hashing"),
    (file.c.published_at.is_(None), "asking"),
    (IS_NAMED, "published"),
    (and_(_IS_ASKED, ~_IS_ANSWERED), "asking"),
    else_="unknown",
)
