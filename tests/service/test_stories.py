from dataclasses import replace
from typing import Any

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.questions import Wanted
from hashtagd.core.card import Update
from hashtagd.core.troubles import Scope
from hashtagd.core.work import (
    Absent,
    Advance,
    Answered,
    Claim,
    Defer,
    Digested,
    Forget,
    Found,
    Outcome,
    Park,
    Published,
    QuestionClaim,
    Release,
    Restart,
    Settled,
    Stage,
    Swept,
)
from hashtagd.service.counting import Tally
from hashtagd.service.stories import count_outcome, tell_answer, tell_outcome
from support.library import (
    BROKEN,
    BUSY,
    HEADER,
    Library,
    card,
    digests,
    intended,
    question,
    stamp_of,
    written,
)
from support.serving import Ears, later

ANSWERED = Answered(answer=Absent(), again_in_s=1.0)


@pytest.fixture
def claim(library: Library) -> Claim:
    library.note("a.safetensors")
    return library.claim_one(Stage.SETTLE)


@pytest.mark.parametrize(
    "outcome, event, values",
    [
        (Advance(facts=Settled(header=HEADER)), "file_settled", {"size_bytes": 1000}),
        (
            Advance(facts=Digested(digests=digests("a"))),
            "file_digested",
            {"size_bytes": 1000, "sha256": digests("a").sha256},
        ),
        (
            Advance(facts=Published(publications=(written("a.json", "x"),))),
            "file_published",
            {"artifacts": 1},
        ),
        (
            Advance(facts=Published(publications=(), trouble=BUSY)),
            "file_published",
            {"artifacts": 0, "kind": "busy", "what": BUSY.what, "does": BUSY.does, "you": BUSY.you},
        ),
        (
            Park(trouble=BROKEN),
            "file_parked",
            {
                "stage": "settle",
                "kind": "not_a_model",
                "what": BROKEN.what,
                "does": BROKEN.does,
                "you": BROKEN.you,
            },
        ),
        (Restart(stamp=stamp_of("a", 1)), "file_changed", {"stage": "settle"}),
        (Forget(), "file_gone", {}),
    ],
)
def test_each_outcome_of_a_file_is_one_event(
    claim: Claim, ears: Ears, outcome: Outcome, event: str, values: dict[str, Any]
) -> None:
    tell_outcome(ears.tell, claim, outcome)
    assert ears.events == [(event, {"root": "loras", "path": "a.safetensors", **values})]


def test_a_sweep_is_told_where_it_removed_something(claim: Claim, ears: Ears) -> None:
    left, removed = written("a.json", "x"), written("b.json", "x")
    swept = replace(claim, publications=(left, removed))
    tell_outcome(ears.tell, swept, Advance(facts=Swept(publications=(left, removed))))
    assert ears.events == []
    tell_outcome(ears.tell, swept, Advance(facts=Swept(publications=(left,))))
    assert ears.events == [("artifacts_swept", {"root": "loras", "path": "a.safetensors", "artifacts": 1})]


@pytest.mark.parametrize(
    "outcome", [Defer(trouble=BUSY, wait_s=1.0), Release(trouble=later(scope=Scope.DAEMON))]
)
def test_what_waits_for_a_reason_is_told_with_it(claim: Claim, ears: Ears, outcome: Outcome) -> None:
    tell_outcome(ears.tell, claim, outcome)
    assert ears.names() in (["file_deferred"], ["file_released"])
    assert ears.events[0][1]["you"] == "wait"


def test_a_full_disk_is_told_for_the_root_and_not_once_more_for_each_of_its_files(
    claim: Claim, ears: Ears
) -> None:
    """O5."""
    tell_outcome(ears.tell, claim, Release(trouble=later(scope=Scope.ROOT)))
    assert ears.events == []


def test_a_share_that_is_gone_is_told_by_the_scan_and_not_once_more_for_each_file_on_it(
    claim: Claim, ears: Ears
) -> None:
    tell_outcome(ears.tell, claim, Release(trouble=BUSY, wait_s=300.0))
    assert ears.events == []


@pytest.mark.parametrize("outcome", [Defer(trouble=None, wait_s=1.0), Release(), Advance(facts=ANSWERED)])
def test_plain_waiting_is_no_event(claim: Claim, ears: Ears, outcome: Outcome) -> None:
    tell_outcome(ears.tell, claim, outcome)
    assert ears.events == []


@pytest.fixture
def asked(library: Library, catalog: Catalog) -> QuestionClaim:
    library.note("a")
    library.settle()
    library.digest()
    return catalog.claim_questions(Wanted(provider="civitai", limit=1))[0]


def test_an_answer_names_ids_and_never_the_creator(asked: QuestionClaim, ears: Ears) -> None:
    found = Found(card=card(creator="somebody", description_html="<p>secret</p>"))
    tell_answer(ears.tell, asked, Advance(facts=Answered(answer=found, again_in_s=1.0)))
    tell_answer(ears.tell, asked, Advance(facts=ANSWERED))
    newer = Found(card=card(creator="somebody", update=Update(version_id=71, name="by somebody")))
    tell_answer(ears.tell, asked, Advance(facts=Answered(answer=newer, again_in_s=1.0)), newer.card.update)
    about = {"provider": "civitai", "sha256": question("a").hash}
    assert ears.events == [
        ("model_found", {**about, "model_id": 7, "version_id": 70}),
        ("model_absent", about),
        ("model_found", {**about, "model_id": 7, "version_id": 70}),
        ("update_found", {"provider": "civitai", "model_id": 7, "version_id": 71}),
    ]


def test_a_question_that_waits_or_ends_is_told_with_the_reason(asked: QuestionClaim, ears: Ears) -> None:
    silent = later("no_answer", Scope.FILE)
    for outcome in (
        Defer(trouble=silent, wait_s=1.0),
        Park(trouble=BROKEN),
        Release(),
        Defer(trouble=None, wait_s=1),
    ):
        tell_answer(ears.tell, asked, outcome)
    assert [(name, values["kind"]) for name, values in ears.events] == [
        ("question_deferred", "no_answer"),
        ("question_parked", "not_a_model"),
    ]


def test_only_what_was_written_anew_is_counted(claim: Claim) -> None:
    tally = Tally()
    count_outcome(tally, claim, Advance(facts=Digested(digests=digests("a"))))
    assert (tally.sum("files_hashed"), tally.sum("bytes_hashed")) == (1, 1000)
    old, new = written("a.json", "old"), written("b.json", "new")
    before = Claim(
        **{
            **{name: getattr(claim, name) for name in Claim.__slots__},
            "publications": (old, intended("c.json", "lost")),
        }
    )
    count_outcome(tally, before, Advance(facts=Published(publications=(old, new))))
    count_outcome(tally, before, Advance(facts=Published(publications=(old,))))
    count_outcome(tally, before, Forget())
    assert tally.sum("written") == 1
