"""Which file of which version an entry means, and where it can be fetched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hashtagd.core.card import Availability, Card, Confidence, Download, DownloadUrl
from hashtagd.core.manifest import Entry
from hashtagd.core.ports import Provider
from hashtagd.core.troubles import Scope, TryLater
from hashtagd.core.work import Absent, Found
from hashtagd.service.resolving import Told, resolve
from support.oracle import Oracle
from support.serving import later

ONE, TWO, THREE = "11" * 32, "22" * 32, "33" * 32


def url(name: str, **marks: Any) -> DownloadUrl:
    return DownloadUrl(url=f"https://{name}.example/x", source=name, **marks)


def file(sha256: str | None = ONE, **facts: Any) -> Download:
    plain = Download(
        file_id=7,
        name="ink.safetensors",
        type="Model",
        primary=True,
        size_bytes=100,
        sha256=sha256,
        autov3=None,
        urls=(url("civitai"),),
    )
    return replace(plain, **facts)


def card(*downloads: Download, **facts: Any) -> Card:
    plain = Card(
        provider="civitai",
        by="sha256",
        confidence=Confidence.EXACT,
        availability=Availability.PUBLIC,
        model_id=1,
        version_id=2,
        model_name="Ink",
        version_name="v1",
        kind="LORA",
        base_model="SDXL 1.0",
        downloads=downloads,
    )
    return replace(plain, **facts)


@dataclass
class Site(Oracle):
    """A site that can be asked for versions, too."""

    versions: Oracle | None = None
    origin: str | None = "https://site.example"

    def by_version(self) -> Provider:
        assert self.versions is not None
        return self.versions


def site(words: dict[str, Any] | None = None, **facts: Any) -> Site:
    return Site("site", words or {}, **{"versions": Oracle("owner"), **facts})


def resolved(entries: Sequence[Entry], *providers: Provider) -> dict[Entry, Told]:
    return {told.listed: told for told in resolve(entries, providers)}


def test_a_hash_gets_names_numbers_size_and_addresses_and_keeps_its_own_words() -> None:
    entry = Entry(
        sha256=ONE, path="mine.safetensors", model_name="My name", urls=(url("list"), url("civitai"))
    )
    told = resolved([entry], site({ONE: Found(card=card(file(TWO), file()))}))[entry]
    assert told.entry == replace(
        entry,
        model_id=1,
        version_id=2,
        file_id=7,
        size_bytes=100,
        version_name="v1",
        kind="LORA",
        base_model="SDXL 1.0",
    )
    assert [it.source for it in told.urls] == ["civitai", "list"]
    assert (told.why_not, told.trouble) == (None, None)


def test_a_number_is_resolved_to_the_file_that_is_meant() -> None:
    training = file("44" * 32, file_id=5, type="Training Data")
    found = Found(card=card(training, file(), file(TWO, file_id=8, name="other.safetensors")))
    plain, exact, wrong = Entry(version_id=2), Entry(version_id=2, file_id=8), Entry(version_id=2, file_id=99)
    told = resolved([plain, exact, wrong], site(versions=Oracle("owner", {"2": found})))
    assert [told[it].entry.sha256 for it in (plain, exact, wrong)] == [ONE, TWO, None]
    assert [told[it].entry.file_id for it in (plain, exact, wrong)] == [7, 8, 99]
    assert told[exact].download is not None
    assert told[wrong].urls == ()


def test_each_hash_and_each_number_is_asked_about_once_and_in_portions() -> None:
    versions = Oracle("owner", {"2": Absent()})
    asked = site({ONE: Absent(), TWO: Absent(), THREE: Absent()}, versions=versions, batch_limit=2)
    entries = [
        *(Entry(sha256=it, path=f"{number}.sft") for it in (ONE, TWO, THREE) for number in (1, 2)),
        Entry(version_id=2, path="a.sft"),
        Entry(version_id=2, path="b.sft"),
        Entry(path="x.sft"),
    ]
    told = resolved(entries, asked)
    assert asked.asked == [[ONE, TWO], [THREE]]
    assert versions.asked == [["2"]]
    assert set(told) == set(entries)
    assert all(not it.cards and it.trouble is None for it in told.values())


def test_an_archive_is_asked_about_what_the_site_does_not_know_or_does_not_give_out() -> None:
    closed = card(file(), not_downloadable_because="early access")
    shown_other = card(file(TWO))
    mirror = card(file(THREE, urls=(url("mirror"),)), provider="civarchive")
    first = site({ONE: Found(card=closed), TWO: Absent(), THREE: Found(card=shown_other)})
    archive = Oracle(
        "civarchive",
        {ONE: Absent(), TWO: Absent(), THREE: Found(card=mirror)},
        origin="https://archive.example",
    )
    told = resolved([Entry(sha256=it) for it in (ONE, TWO, THREE)], first, archive)
    assert archive.asked == [[ONE, TWO, THREE]]
    one, two, three = (told[Entry(sha256=it)] for it in (ONE, TWO, THREE))
    assert one.why_not == "early access"
    assert [it.source for it in one.urls] == ["civitai"]
    assert (two.cards, two.urls, two.why_not) == ((), (), None)
    assert [it.source for it in three.urls] == ["mirror"]
    assert [it.provider for it in three.cards] == ["civarchive", "civitai"]


def test_silence_is_no_answer_and_nobody_else_is_asked() -> None:
    outage = later("outage", Scope.PROVIDER)
    first = site({ONE: Absent()}, ends=outage)
    archive = Oracle("civarchive", {ONE: Absent()}, origin="https://archive.example")
    told = resolved([Entry(sha256=ONE), Entry(sha256=TWO)], first, archive)
    assert told[Entry(sha256=TWO)].trouble is outage
    assert told[Entry(sha256=ONE)].trouble is None
    assert archive.asked == [[ONE]]


def test_what_was_found_before_a_silence_is_kept() -> None:
    closed = card(file(), not_downloadable_because="early access")
    outage = later("outage", Scope.PROVIDER)
    archive = Oracle("civarchive", ends=outage, origin="https://archive.example")
    told = resolved([Entry(sha256=ONE)], site({ONE: Found(card=closed)}), archive)[Entry(sha256=ONE)]
    assert told.trouble is outage
    assert told.cards == (closed,)


def test_a_hash_that_the_site_refuses_or_passes_over_has_its_own_trouble() -> None:
    refused = later("refused", Scope.FILE)
    told = resolved([Entry(sha256=ONE), Entry(sha256=TWO)], site({ONE: refused, THREE: Absent()}))
    assert told[Entry(sha256=ONE)].trouble is refused
    assert isinstance(told[Entry(sha256=TWO)].trouble, TryLater)


def test_who_always_can_answer_knows_no_addresses_and_is_not_asked() -> None:
    header = Oracle("header")
    entry = Entry(sha256=ONE)
    assert resolved([entry], header)[entry] == Told(listed=entry, entry=entry)
    assert header.asked == []
