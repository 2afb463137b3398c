from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hashtagd.core.card import Availability, Card, Confidence, Download, DownloadUrl, Preview, Update
from hashtagd.core.joining import as_claim, as_of, joined, vanished

NOW = datetime(2026, 3, 4, tzinfo=UTC)
PICTURE = Preview(url="https://images.example/1", media="image", width_px=4, height_px=5, nsfw_level=1)


def file(sha256: str | None, *urls: str, source: str = "somebody") -> Download:
    return Download(
        file_id=1,
        name="x.safetensors",
        type="Model",
        primary=True,
        size_bytes=9,
        sha256=sha256,
        autov3=None,
        urls=tuple(DownloadUrl(url=url, source=source) for url in urls),
    )


SITE = Card(
    provider="civitai",
    by="sha256",
    confidence=Confidence.EXACT,
    availability=Availability.PUBLIC,
    model_name="Known",
    downloads=(file("a" * 64, "https://site.example/1"), file("b" * 64, "https://site.example/2")),
    update=Update(version_id=9),
)
ARCHIVE = replace(
    SITE,
    provider="civarchive",
    model_name="As the archive spells it",
    downloads=(file("a" * 64, "https://mirror.example/1"), file(None, "https://mirror.example/3")),
    previews=(PICTURE,),
)


def test_nobody_said_anything() -> None:
    assert joined([]) is None


def test_what_its_site_gives_out_needs_nobody_else() -> None:
    weaker = replace(ARCHIVE, confidence=Confidence.CLAIMED)
    assert joined([weaker, SITE, ARCHIVE]) == SITE


@pytest.mark.parametrize("gone", [Availability.ARCHIVED, Availability.TAKEN_DOWN, Availability.DELETED])
def test_what_its_site_does_not_give_out_gets_the_addresses_of_those_who_have_it(gone: Availability) -> None:
    card = replace(SITE, availability=gone, not_downloadable_because="it is gone")
    seen = joined([card, ARCHIVE])
    assert seen is not None
    assert (seen.model_name, seen.availability, seen.downloadable) == ("Known", gone, True)
    assert [[url.url for url in item.urls] for item in seen.downloads] == [
        ["https://mirror.example/1", "https://site.example/1"],
        ["https://mirror.example/3"],
        ["https://site.example/2"],
    ]
    assert seen.previews == (PICTURE,)


def test_a_picture_of_its_own_stays() -> None:
    own = replace(PICTURE, url="https://images.example/own")
    card = replace(SITE, availability=Availability.DELETED, previews=(own,))
    seen = joined([card, ARCHIVE])
    assert seen is not None
    assert seen.previews == (own,)


def test_only_those_who_know_the_same_bytes_lend_their_addresses() -> None:
    card = replace(SITE, availability=Availability.DELETED, not_downloadable_because="it is gone")
    others = [
        replace(ARCHIVE, confidence=Confidence.TENSORS),
        replace(ARCHIVE, not_downloadable_because="every copy is gone", previews=()),
    ]
    assert joined([card, *others]) == card


def test_a_model_that_vanished_is_marked_once_and_keeps_the_rest() -> None:
    marked = vanished(SITE, NOW)
    assert (marked.model_name, marked.downloads) == (SITE.model_name, SITE.downloads)
    assert (marked.availability, marked.update, marked.downloadable) == (Availability.DELETED, None, False)
    assert "2026-03-04" in str(marked.not_downloadable_because)
    assert vanished(marked, NOW.replace(year=2027)) is marked


def test_before_a_hash_was_compared_every_card_is_a_claim() -> None:
    assert as_claim(SITE) == replace(SITE, confidence=Confidence.CLAIMED)


def test_of_equal_answers_one_that_has_a_name_is_shown() -> None:
    nameless = replace(SITE, model_name=None, availability=Availability.UNKNOWN)
    assert joined([nameless, ARCHIVE]) == ARCHIVE
    assert joined([nameless]) == nameless
    assert joined([replace(ARCHIVE, confidence=Confidence.CLAIMED), nameless]) == nameless


def test_an_early_access_is_over_when_its_end_has_passed() -> None:
    early = replace(
        SITE,
        availability=Availability.EARLY_ACCESS,
        early_access_ends_at="2026-03-04T00:00:00Z",
        not_downloadable_because="early access",
    )
    assert as_of(early, NOW.replace(day=3)) == early
    assert as_of(SITE, NOW) == SITE
    over = as_of(early, NOW)
    assert (over.availability, over.early_access_ends_at, over.downloadable) == (
        Availability.PUBLIC,
        None,
        True,
    )
    assert as_of(replace(early, downloads=()), NOW).not_downloadable_because == "no address is known"


def test_paid_access_that_has_ended_leaves_no_mark_on_the_addresses_of_the_site() -> None:
    paid = DownloadUrl(url="https://site.example/1", source="civitai", gated=True, paid=True)
    mirror = DownloadUrl(url="https://mirror.example/1", source="huggingface", gated=True)
    early = replace(
        SITE,
        availability=Availability.EARLY_ACCESS,
        early_access_ends_at="2026-03-04T00:00:00Z",
        downloads=(replace(file("a" * 64), urls=(paid, mirror)),),
    )
    assert as_of(early, NOW).downloads[0].urls == (replace(paid, gated=None, paid=None), mirror)


def test_an_address_of_the_site_that_does_not_give_the_file_out_stands_last() -> None:
    archived = replace(
        SITE,
        availability=Availability.ARCHIVED,
        downloads=(),
        not_downloadable_because="the creator archived it",
    )
    dead = DownloadUrl(url="https://civitai.com/api/download/models/1", source="civitai")
    live = DownloadUrl(url="https://mirror.example/1", source="huggingface")
    kept = replace(ARCHIVE, downloads=(replace(file("a" * 64), urls=(dead, live)),))
    seen = joined([archived, kept])
    assert seen is not None
    assert seen.downloads[0].urls == (live, dead)
    assert seen.downloadable


def test_an_archive_that_knows_only_the_address_of_the_site_makes_nothing_downloadable() -> None:
    archived = replace(
        SITE,
        availability=Availability.ARCHIVED,
        downloads=(),
        not_downloadable_because="the creator archived it",
    )
    kept = replace(ARCHIVE, downloads=(file("a" * 64, "https://civitai.com/1", source="civitai"),))
    seen = joined([archived, kept])
    assert seen is not None
    assert (seen.downloadable, seen.not_downloadable_because) == (False, "the creator archived it")
    assert seen.downloads == ()


def test_what_only_an_archive_knows_is_deleted_however_the_archive_saw_it_last() -> None:
    numbered = replace(ARCHIVE, model_id=5, update=Update(version_id=9))
    assert joined([numbered]) == numbered
    seen = joined([numbered], is_denied=True)
    assert seen is not None
    assert (seen.availability, seen.update, seen.downloadable) == (Availability.DELETED, None, True)


@pytest.mark.parametrize("downloads", [(), (file("a" * 64, "https://civitai.com/1", source="civitai"),)])
def test_what_only_an_archive_knows_and_nobody_keeps_says_why_it_cannot_be_had(
    downloads: tuple[Download, ...],
) -> None:
    seen = joined([replace(ARCHIVE, model_id=5, downloads=downloads)], is_denied=True)
    assert seen is not None
    assert (seen.downloadable, seen.availability) == (False, Availability.DELETED)
    assert "nobody is known to have another copy" in str(seen.not_downloadable_because)


@pytest.mark.parametrize(
    "card",
    [
        replace(ARCHIVE, model_id=None),
        replace(SITE, model_id=5),
        replace(ARCHIVE, model_id=5, confidence=Confidence.CLAIMED),
        replace(ARCHIVE, model_id=5, availability=Availability.DELETED),
    ],
    ids=["of another platform", "told by the site", "a claim", "deleted already"],
)
def test_the_word_of_the_site_changes_no_other_card(card: Card) -> None:
    assert joined([card], is_denied=True) == card
