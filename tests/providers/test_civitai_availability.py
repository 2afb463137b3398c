"""Whether a version can be had, until when it cannot, and why not: every card without an address says so."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.card import Availability, Card
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.shapes import bare_card, card_of
from support.civitai_samples import SHA, file, model, version
from support.surroundings import START

SITE = Addresses("https://civitai.com")
AHEAD, PAST = "2027-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"


def card(about: dict[str, Any] | None = None, **changes: Any) -> Card:
    return card_of(version(**changes), about, sha256=SHA, addresses=SITE, now=START)


@pytest.mark.parametrize(
    "said,ends_at,paid",
    [
        ({"earlyAccessEndsAt": AHEAD}, "2027-01-01T00:00:00Z", None),
        ({"earlyAccessEndsAt": AHEAD, "earlyAccessTimeFrame": 0}, "2027-01-01T00:00:00Z", None),
        ({"earlyAccessTimeFrame": 7, "publishedAt": "2026-08-31T00:00:00"}, "2026-09-07T00:00:00Z", None),
        ({"paidAccess": {"permanent": False, "endsAt": AHEAD}}, "2027-01-01T00:00:00Z", True),
        ({"paidAccess": {"permanent": True, "endsAt": AHEAD}}, None, True),
        ({"paidAccess": {"permanent": False, "endsAt": None}}, None, True),
        ({"paidAccess": {"permanent": True, "endsAt": PAST}}, None, True),
        ({"paidAccess": True}, None, True),
        ({"availability": "EarlyAccess"}, None, None),
    ],
)
def test_what_is_not_free_yet_says_until_when(
    said: dict[str, Any], ends_at: str | None, paid: object
) -> None:
    made = card(**said)
    assert made.availability is Availability.EARLY_ACCESS
    assert made.early_access_ends_at == ends_at
    assert not made.downloadable
    assert (ends_at is None) is ("until" not in (made.not_downloadable_because or ""))
    assert {(url.paid, url.gated) for item in made.downloads for url in item.urls} == {(paid, paid)}


@pytest.mark.parametrize(
    "said",
    [
        {"earlyAccessEndsAt": PAST},
        {"earlyAccessEndsAt": PAST, "availability": "EarlyAccess"},
        {"earlyAccessTimeFrame": 7, "publishedAt": "2026-08-01T00:00:00"},
        {"earlyAccessTimeFrame": 7, "publishedAt": None},
        {"earlyAccessTimeFrame": 9_999, "publishedAt": "9999-12-01T00:00:00"},
        {"paidAccess": {"permanent": False, "endsAt": PAST}},
        {"paidAccess": None, "earlyAccessEndsAt": None},
        {"usageControl": None},
        {"usageControl": 7},
        {"usageControl": ...},
    ],
)
def test_what_has_become_free_is_free(said: dict[str, Any]) -> None:
    made = card(**said)
    assert (made.availability, made.early_access_ends_at) == (Availability.PUBLIC, None)
    assert made.downloadable
    assert {url.paid for item in made.downloads for url in item.urls} == {None}


def test_the_end_of_early_access_is_judged_by_the_clock_alone() -> None:
    for hours, availability in ((-1, Availability.PUBLIC), (1, Availability.EARLY_ACCESS)):
        until = START + timedelta(hours=hours)
        assert card(earlyAccessEndsAt=until.isoformat()).availability is availability


@pytest.mark.parametrize(
    "said,availability,word",
    [
        ({"model": {"mode": "Archived"}, "paidAccess": {"endsAt": AHEAD}}, Availability.ARCHIVED, "archived"),
        ({"model": {"mode": "TakenDown"}}, Availability.TAKEN_DOWN, "took the model down"),
        ({"model": {"mode": "Archived"}, "usageControl": "Generation"}, Availability.ARCHIVED, "archived"),
        (
            {"usageControl": "Generation", "earlyAccessEndsAt": AHEAD},
            Availability.GENERATION_ONLY,
            "(Generation)",
        ),
        ({"files": []}, Availability.PUBLIC, "lists no file"),
        ({"files": [file(id=..., downloadUrl=...)]}, Availability.PUBLIC, "no address"),
        ({"files": [file(hashes={"SHA256": "cd" * 32})]}, Availability.PUBLIC, "does not list it"),
    ],
)
def test_the_reason_that_lasts_longest_is_the_one_that_is_told(
    said: dict[str, Any], availability: Availability, word: str
) -> None:
    made = card(**said)
    assert made.availability is availability
    assert word in (made.not_downloadable_because or "")
    assert not made.downloadable
    assert made.early_access_ends_at is None


def test_the_model_s_own_document_may_say_that_it_is_archived() -> None:
    assert card(model(mode="Archived")).availability is Availability.ARCHIVED


FIELDS = {
    "usageControl": ["Download", "Generation", None, 7, ...],
    "paidAccess": [None, {}, {"permanent": True}, {"endsAt": AHEAD}, {"endsAt": PAST}, "yes", ...],
    "earlyAccessEndsAt": [None, AHEAD, PAST, "soon", 7, ...],
    "earlyAccessTimeFrame": [None, 0, 7, 10**9, "7", ...],
    "publishedAt": ["2026-08-31T00:00:00", None, "9999-12-31", ...],
    "availability": ["Public", "EarlyAccess", "Private", ...],
    "model": [{}, {"mode": "Archived"}, {"mode": "TakenDown"}, None],
    "files": [[], ..., [file()], [file(id=..., downloadUrl=...)], [file(hashes={})], [None]],
}


@given(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()}))
def test_a_card_is_downloadable_or_says_in_words_why_not(said: dict[str, Any]) -> None:
    made = card(**said)
    assert made.downloadable is (made.not_downloadable_because is None)
    assert made.early_access_ends_at is None or made.availability is Availability.EARLY_ACCESS
    assert made.early_access_ends_at is None or made.early_access_ends_at > "2026-09-01T12:00:00Z"
    assert any(item.urls for item in made.downloads) or made.not_downloadable_because


def test_a_version_that_is_shown_nowhere_says_why_it_cannot_be_had() -> None:
    assert bare_card(50, 5, model(), SITE).not_downloadable_because
    assert bare_card(50, None, None, SITE).not_downloadable_because
