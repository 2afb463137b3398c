"""Whether a version can be had from the site, until when it cannot, and why not in words.

Every year had its own field for "not yet free": `earlyAccessTimeFrame` (days), then `earlyAccessEndsAt`, then
`paidAccess`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from hashtagd.core.card import Availability, Download
from hashtagd.providers.civitai.fields import mapping, moment, whole, words

_LONGEST_DAYS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a version can be had."""

    availability: Availability
    #: why it cannot be downloaded by everybody; None when it can, as far as the version's own fields say
    because: str | None = None
    #: when it becomes free for all, always ahead of us; None where it is free, or no end was set
    ends_at: datetime | None = None
    #: money is asked for; None where the site does not say
    paid: bool | None = None


def access_of(version: Mapping[str, Any], about: Mapping[str, Any], now: datetime) -> Access:
    """Judge a version by the fields that speak of it, not by its files.

    Args:
        version: the version's document.
        about: what is known of its model.
        now: decides whether early access has ended.
    """
    early = _early_access(version, now)
    paid = early.paid if early else None
    mode = words(about.get("mode"))
    if mode == "Archived":
        return Access(
            availability=Availability.ARCHIVED,
            because="the creator archived the model, so the site gives out no files",
            paid=paid,
        )
    if mode == "TakenDown":
        return Access(availability=Availability.TAKEN_DOWN, because="the site took the model down", paid=paid)
    usage = words(version.get("usageControl"))
    if usage not in (None, "Download"):
        return Access(
            availability=Availability.GENERATION_ONLY,
            because=f"the creator allows use on the site only ({usage})",
            paid=paid,
        )
    return early or Access(availability=Availability.PUBLIC)


def why_no_address(files: Sequence[Download], sha256: str | None) -> str | None:
    """Say why the files of a version that is free for all cannot be fetched; None when they can.

    Args:
        files: all that the version shows.
        sha256: what one of them has to be; None: any will do.
    """
    if not files:
        return "the site lists no file for this version"
    if not any(item.urls for item in files):
        return "the site gives no address for the files of this version"
    # a file whose scans are pending states no hash, and may be ours
    if sha256 is not None and all(item.sha256 not in (None, sha256) for item in files):
        return (
            "the site knows this very file but does not list it: the listed files of the version are others"
        )
    return None


def _early_access(version: Mapping[str, Any], now: datetime) -> Access | None:
    """Read all the fields that say that downloads are not free yet; None where they are free."""
    paid = version.get("paidAccess")
    if paid:
        until = moment(mapping(paid).get("endsAt"))
        if until is None or mapping(paid).get("permanent") is True:  # without an end it is paid for ever
            return Access(availability=Availability.EARLY_ACCESS, because="paid access", paid=True)
        return _until("paid access", until, paid=True) if until > now else None
    until = moment(version.get("earlyAccessEndsAt")) or _end_of_time_frame(version)
    if until is not None:
        return _until("early access", until, paid=None) if until > now else None
    if words(version.get("availability")) == "EarlyAccess":
        return Access(availability=Availability.EARLY_ACCESS, because="early access")
    return None


def _until(what: str, until: datetime, *, paid: bool | None) -> Access:
    return Access(
        availability=Availability.EARLY_ACCESS,
        because=f"{what} until {until:%Y-%m-%d %H:%M} UTC",
        ends_at=until,
        paid=paid,
    )


def _end_of_time_frame(version: Mapping[str, Any]) -> datetime | None:
    days = whole(version.get("earlyAccessTimeFrame"))
    published_at = moment(version.get("publishedAt"))
    if not days or days >= _LONGEST_DAYS or published_at is None:
        return None
    try:
        return published_at + timedelta(days=days)
    except OverflowError:  # published at the end of time
        return None
