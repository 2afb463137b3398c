from hashtagd.catalog.catalog import Catalog
from hashtagd.core.ports import Closed
from hashtagd.core.troubles import Scope
from hashtagd.core.work import Park, Stage
from hashtagd.service.counting import Tally
from hashtagd.service.once import Verdict
from hashtagd.service.summary import Summary, sum_up
from support.library import BROKEN, ROOT, Library, card
from support.serving import for_a_person, later

SITE = "https://site.example"
DONE = Verdict(finished=True, gates={}, growing=0, stalled=0, questions_waiting=0)
KEYS = {"files", "named", "unknown", "waiting", "parked", "requests", "bytes_hashed", "written", "took_s"}


def summed(catalog: Catalog, verdict: Verdict = DONE, **changes: object) -> Summary:
    tally = Tally()
    tally.requested(SITE)
    tally.add("bytes_hashed", 12)
    tally.add("written", 3)
    made = {"roots": [ROOT, "vae"], "troubled_roots": {}, "tally": tally, "took_s": 1.23456}
    return sum_up(catalog=catalog, verdict=verdict, **{**made, **changes})  # type: ignore[arg-type]


def test_the_documented_keys_are_there_and_count_only_these_roots(catalog: Catalog, library: Library) -> None:
    library.publish_whole("known", card())
    library.publish_whole("strange", None)
    library.note("arriving", "gone")
    library.note("elsewhere", root="other")
    library.note("beside", root="vae")
    library.lose("gone")
    told = summed(catalog).to_json()
    assert set(told) >= KEYS
    assert {name: told[name] for name in KEYS} == {
        "files": 4,
        "named": 1,
        "unknown": 1,
        "waiting": 2,
        "parked": 0,
        "requests": {SITE: 1},
        "bytes_hashed": 12,
        "written": 3,
        "took_s": 1.235,
    }
    assert not told["for_a_person"]


def test_a_parked_file_a_dead_copy_and_a_full_disk_are_for_a_person(
    catalog: Catalog, library: Library
) -> None:
    stalled = Verdict(finished=True, gates={}, growing=0, stalled=1, questions_waiting=0)
    assert summed(catalog, stalled).for_a_person
    assert summed(catalog, troubled_roots={ROOT: for_a_person()}).for_a_person
    library.note("bad")
    catalog.apply([(library.claim_one(Stage.SETTLE), Park(trouble=BROKEN))])
    assert summed(catalog).for_a_person


def test_what_a_scan_met_inside_a_root_is_named_and_may_be_for_a_person(catalog: Catalog) -> None:
    waits = summed(catalog, remarks={"vae": [later("a folder", Scope.FILE)], "elsewhere": []})
    assert not waits.for_a_person
    assert waits.to_json()["troubles"] == [
        {"scope": "file", "where": "vae", "what": "it is a folder", "does": "waits", "you": "wait"}
    ]
    asks = summed(catalog, remarks={ROOT: [for_a_person("a name", Scope.FILE)]})
    assert asks.for_a_person


def test_a_closed_gate_is_named_only_if_somebody_waits_for_it(catalog: Catalog, library: Library) -> None:
    closed = Closed(opens_at=library.clock.now(), trouble=later("outage", Scope.PROVIDER))
    waited = Verdict(finished=True, gates={SITE: closed}, growing=0, stalled=0, questions_waiting=2)
    assert summed(catalog, waited).closed_gates == {SITE: "it is outage; opens 2026-01-01 00:00:00 UTC"}
    nobody = Verdict(finished=True, gates={SITE: closed}, growing=0, stalled=0, questions_waiting=0)
    assert summed(catalog, nobody).closed_gates == {}
