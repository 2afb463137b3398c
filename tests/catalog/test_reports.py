from collections import Counter

import pytest
from sqlalchemy import text

from hashtagd.catalog.asked import Askers
from hashtagd.catalog.counts import RootCount
from hashtagd.catalog.filters import Filters
from hashtagd.catalog.questions import put_questions
from hashtagd.catalog.reports import Reports, Summary
from hashtagd.core.card import Availability, Confidence
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Defer,
    Found,
    HashKind,
    Park,
    Published,
    Stage,
)
from support.library import (
    BROKEN,
    BUSY,
    CLOSED,
    ROOT,
    Library,
    card,
    digests,
    place,
    put,
    question,
    sha256,
    written,
)


def counted(reports: Reports) -> tuple[int, int, int]:
    """Give how many questions are due, wait, and stand behind all others."""
    count = reports.questions()
    return count.due, count.waiting, count.background


@pytest.fixture
def full(library: Library) -> Library:
    """One file in every state."""
    library.publish_whole("styles/Ärger 100%.safetensors", card("Ölgemälde", tags=("oil", "Straße")))
    library.publish_whole("unknown.safetensors")
    header = card(
        "Own word", provider="header", confidence=Confidence.CLAIMED, base_model="SDXL", version_id=None
    )
    library.note("only-header.safetensors")
    library.settle()
    library.digest(provider="header")
    library.answer(header, "header")
    library.publish()
    library.note("parked")
    library.catalog.apply([(library.claim_one(Stage.SETTLE), Park(trouble=BROKEN))])
    library.publish_whole("gone", card("Gone"))
    library.lose("gone")
    library.note("asking")
    library.settle()
    library.digest()
    library.note("hashing")
    library.settle()
    library.note("waiting", "other", root="second")
    return library


def names(rows: object) -> list[str]:
    return [it.relpath for it in rows]  # type: ignore[attr-defined] # rows of any report


def test_files_are_counted_by_the_words_people_read(full: Library) -> None:
    assert full.catalog.reports.states() == {
        "waiting": 2,
        "hashing": 1,
        "asking": 1,
        "published": 1,
        "unknown": 2,
        "parked": 1,
        "gone": 1,
    }
    assert full.catalog.reports.states("second") == dict.fromkeys(full.catalog.reports.states(), 0) | {
        "waiting": 2
    }


def test_a_file_published_before_anybody_answered_is_still_asked_about(full: Library) -> None:
    full.clock.advance(60)
    full.publish()
    assert full.state("asking") == "asking"


def test_the_end_of_a_run_is_summed_up(full: Library) -> None:
    summary = full.catalog.reports.summary()
    assert summary == Summary(files=8, named=1, unknown=2, waiting=4, parked=1, bytes=8000)


def test_an_empty_catalog_has_empty_reports(library: Library) -> None:
    reports = library.catalog.reports
    assert reports.summary() == Summary(files=0, named=0, unknown=0, waiting=0, parked=0, bytes=0)
    assert counted(reports) == (0, 0, 0)
    assert (reports.roots(), reports.troubles(), list(reports.gates()), reports.list_files()) == (
        [],
        [],
        [],
        [],
    )
    assert reports.file(1) is None


def test_roots_are_counted(full: Library) -> None:
    assert full.catalog.reports.roots() == [
        RootCount(name=ROOT, files=6, bytes=6000),
        RootCount(name="second", files=2, bytes=2000),
    ]


def test_a_census_says_of_all_files_what_the_reports_say_one_by_one(full: Library) -> None:
    full.publish_whole("owned", card("Theirs"))
    full.catalog.wishes.match(sha256("owned"), card(confidence=Confidence.OWNER), again_in_s=9e5)
    full.publish_whole("other bytes", card("Taken down", availability=Availability.TAKEN_DOWN))
    full.catalog.database.write(
        lambda it, _now: it.execute(text("update file set root = 'third' where relpath = 'other bytes'"))
    )
    census, reports = full.catalog.reports.census(), full.catalog.reports
    assert (list(census.roots), census.states) == (reports.roots(), reports.states())
    assert census.states["gone"] == 1
    known = [row.card for row in reports.list_files() if row.card is not None]
    assert {name: count for name, count in census.confidence.items() if count} == Counter(
        it.confidence.value for it in known
    )
    assert census.availability == Counter(it.availability.value for it in known)
    assert set(census.availability) == {"public", "taken_down"}
    some = reports.census(roots=["third"])
    assert (some.roots, sum(some.states.values())) == (census.roots, 1)
    assert (some.availability, some.states) == ({"taken_down": 1}, reports.states(roots=["third"]))


@pytest.mark.parametrize("by", [Confidence.CLAIMED, Confidence.EXACT])
def test_of_two_answers_about_a_file_a_census_counts_the_stronger(library: Library, by: Confidence) -> None:
    """By its tensors a file is known better than by its own word, and worse than by all its bytes."""
    library.publish_whole("x", card(confidence=by))
    key = question("x", "other", HashKind.TENSORS)
    library.catalog.database.write(lambda it, now: put_questions(it, now, put(key)))
    library.answer(card("By its tensors", confidence=Confidence.TENSORS), "other")
    (row,) = library.catalog.reports.list_files()
    assert row.card is not None
    counts = library.catalog.reports.census().confidence
    assert {name for name, count in counts.items() if count} == {row.card.confidence.value}
    assert row.card.confidence is min(by, Confidence.TENSORS, key=lambda it: it.rank)


def test_questions_are_counted_by_class(full: Library) -> None:
    then = question("asking", "civitai", HashKind.TENSORS)
    (claim,) = full.ask()
    absent = Advance(facts=Answered(answer=Absent(), again_in_s=99.0, then=put(then)))
    full.catalog.apply_answers([(claim, absent)])
    # nobody is asked about the file that is gone
    assert counted(full.catalog.reports) == (0, 4, 1)


def test_questions_of_those_who_are_no_longer_asked_are_not_told_of(full: Library) -> None:
    reports = full.catalog.reports
    assert counted(reports.of(Askers(names=["nobody"]))) == (0, 0, 0)
    assert reports.of(Askers()).questions() == reports.questions()


def test_troubles_name_files_questions_and_gates(full: Library) -> None:
    (claim,) = full.ask()
    full.catalog.apply_answers([(claim, Defer(trouble=BUSY, wait_s=9.0))])
    full.catalog.gates({}, 1).close("https://a.example", CLOSED)
    where = [it.where for it in full.catalog.reports.troubles()]
    assert where == [f"{ROOT}/parked", f"civitai {sha256('asking')}", "https://a.example"]


@pytest.mark.parametrize(
    "filters,expected",
    [
        (Filters(state="published"), ["styles/Ärger 100%.safetensors"]),
        (Filters(state="gone"), ["gone"]),
        (Filters(root="second", limit=1), ["other"]),
        (Filters(trouble=True), ["parked"]),
        (Filters(kind="lora", base="illustrious"), ["styles/Ärger 100%.safetensors"]),
        (Filters(base="SDXL"), ["only-header.safetensors"]),
        (Filters(unmatched=True, state="unknown"), ["only-header.safetensors", "unknown.safetensors"]),
        (Filters(duplicates=True), []),
    ],
)
def test_lists_are_filtered(full: Library, filters: Filters, expected: list[str]) -> None:
    assert names(full.catalog.reports.list_files(filters)) == expected


def test_copies_are_listed_as_duplicates(library: Library) -> None:
    for name in ("x", "copy"):
        library.publish_whole(name, card(), text="same")
    library.publish_whole("single")
    assert names(library.catalog.reports.list_files(Filters(duplicates=True))) == ["copy", "x"]
    library.lose("copy")
    assert library.catalog.reports.list_files(Filters(duplicates=True)) == []


@pytest.mark.parametrize(
    "words,found",
    [
        (["ärger"], 1),
        (["ÖLGEMÄLDE", "STRASSE"], 1),
        (["100%"], 1),
        (["1_0"], 0),
        (["oil", "nowhere"], 0),
        (["safetensors"], 3),
    ],
)
def test_search_compares_words_whatever_their_case(full: Library, words: list[str], found: int) -> None:
    assert len(full.catalog.reports.list_files(Filters(words=tuple(words)))) == found


def test_a_model_is_shown_by_place_hash_short_hash_and_number(full: Library) -> None:
    reports = full.catalog.reports
    name = "styles/Ärger 100%.safetensors"
    known = digests(name)
    (row,) = reports.show(place(name))
    for wanted in (known.sha256.upper(), known.autov2, known.autov3, known.tensors_sha256, 7, 70):
        assert wanted is not None
        assert row in reports.show(wanted)
    assert reports.file(row.file_id) == row
    assert reports.show("0" * 64) == []
    for nothing in (12345, 2**70, "abc", "%", "no\0hash\udcff"):
        assert reports.show(nothing) == []
    assert names(reports.show(place("gone"))) == ["gone"]


def test_the_story_of_a_file_is_told_in_order(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest()
    library.answer(card())
    library.publish(publications=(written("x.json", "a"),))
    (row,) = library.catalog.reports.show(place("x"))
    history = library.catalog.reports.history(row)
    assert [it.name for it in history.events] == [
        "file_settled",
        "file_digested",
        "model_found",
        "file_published",
    ]
    assert history.events[2].detail == {"provider": "civitai"}
    assert [(it.writer, it.relpath) for it in history.sidecars] == [("json", "x.json")]
    library.note("y")
    (young,) = library.catalog.reports.show(place("y"))
    assert library.catalog.reports.history(young).events == ()


def test_the_view_for_owners_has_one_row_a_live_file(full: Library) -> None:
    rows = full.catalog.database.read(
        lambda it, _now: it.execute(text("select path, model_name, autov2 from model order by path")).all()
    )
    assert len(rows) == 8
    assert (
        "styles/Ärger 100%.safetensors",
        "Ölgemälde",
        sha256("styles/Ärger 100%.safetensors")[:10],
    ) in rows


def test_the_strongest_card_is_shown_everywhere(library: Library) -> None:
    library.note("x")
    library.settle()
    library.digest()
    weak = card("Weak", confidence=Confidence.CLAIMED)
    then = question("x", "b")
    (first,) = library.ask()
    library.catalog.apply_answers(
        [(first, Advance(facts=Answered(answer=Found(card=weak), again_in_s=9e5, then=put(then))))]
    )
    library.answer(card("Strong"), "b")
    library.catalog.apply([(library.claim_one(Stage.PUBLISH), Advance(facts=Published(publications=())))])
    (row,) = library.catalog.reports.show(place("x"))
    assert row.card is not None
    assert row.card.model_name == "Strong"
    names_in_view = library.catalog.database.read(
        lambda it, _now: it.execute(text("select model_name from model")).scalars().all()
    )
    assert names_in_view == ["Strong"]


def test_reports_of_some_roots_leave_all_others_out(library: Library) -> None:
    library.publish_whole("a", card())
    library.note("c", root="vae")
    assert library.catalog.reports.states(roots=["vae"])["waiting"] == 1
    assert library.catalog.reports.states(roots=[])["waiting"] == 0
    assert [
        row.root for row in library.catalog.reports.list_files(Filters(words=("c",), roots=("vae",)))
    ] == ["vae"]
    assert library.catalog.reports.list_files(Filters(words=("c",), roots=(ROOT,))) == []
    sure = [
        library.catalog.reports.census(roots=roots).confidence["exact"] for roots in (None, [ROOT], ["vae"])
    ]
    assert sure == [1, 1, 0]
    assert library.catalog.reports.troubles(roots=["vae"]) == []
    assert library.catalog.reports.list_files(Filters(duplicates=True, roots=("vae",))) == []


def test_a_file_is_called_by_the_end_of_its_path_with_or_without_its_suffix(library: Library) -> None:
    library.note("styles/ink.v2.safetensors", "ink.d/100%", "sub/ink")
    library.note("ink", root="vae")

    def named(tail: str, **roots: list[str]) -> list[str]:
        return [f"{row.root}/{row.relpath}" for row in library.catalog.reports.named(tail, **roots)]

    assert named("ink.v2") == named("styles/ink.v2.safetensors") == [f"{ROOT}/styles/ink.v2.safetensors"]
    assert named("ink") == [f"{ROOT}/sub/ink", "vae/ink"]
    assert named("ink", roots=["vae"]) == ["vae/ink"]
    assert named("100%") == [f"{ROOT}/ink.d/100%"]
    assert named("INK") == named("nk") == named("10_%") == []
