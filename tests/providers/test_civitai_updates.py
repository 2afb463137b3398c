"""Which newer version counts as an update."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.card import Update
from hashtagd.providers.civitai.updates import remembered, update_of
from support.civitai_asking import standing
from support.civitai_samples import model, version
from support.surroundings import sha, subject

OURS = version(id=50, publishedAt="2025-01-02T00:00:00.000Z", baseModel="SDXL 1.0")


def sibling(number: int, day: str | None = "2025-06-01", **changes: Any) -> dict[str, Any]:
    """Make a version as the model's document lists it; a change to `...` leaves the field out."""
    document = {
        "id": number,
        "name": f"v{number}",
        "baseModel": "SDXL 1.0",
        "publishedAt": day and f"{day}T00:00:00.000Z",
        "files": [{"id": 1}],
        **changes,
    }
    return {name: value for name, value in document.items() if value is not ... and value is not None}


def newest(*siblings: dict[str, Any], ours: dict[str, Any] | None = None, **about: Any) -> int | None:
    """Give the update's number; what is remembered of a model must lead to the same."""
    whole = model(modelVersions=list(siblings), **about)
    found = update_of(ours or OURS, whole)
    assert update_of(ours or OURS, {**whole, "modelVersions": remembered(whole)}) == found
    return found.version_id if found else None


def test_a_newer_version_of_the_same_base_model_is_an_update() -> None:
    whole = model(modelVersions=[sibling(60), sibling(50, "2025-01-02")])
    assert update_of(OURS, whole) == Update(version_id=60, name="v60", published_at="2025-06-01T00:00:00Z")


def test_of_several_the_newest_published_counts_in_any_order() -> None:
    siblings = [sibling(60, "2025-06-01"), sibling(55, "2025-08-01"), sibling(70, "2025-07-01")]
    assert newest(*siblings) == newest(*reversed(siblings)) == 55


def test_of_two_that_were_published_in_one_moment_the_higher_id_counts() -> None:
    assert newest(sibling(61), sibling(60)) == newest(sibling(60), sibling(61)) == 61


@pytest.mark.parametrize(
    "changes",
    [
        {"baseModel": "Flux.1 D"},
        {"baseModel": None},
        {"publishedAt": "2025-01-02T00:00:00.000Z"},
        {"publishedAt": "2024-12-31T00:00:00.000Z"},
        {"status": "Draft"},
        {"status": "Scheduled"},
        {"status": "Unpublished"},
        {"availability": "Private"},
        {"files": []},
        {"id": 50},
        {"id": None},
        {"id": "x"},
    ],
)
def test_a_version_of_another_kind_is_no_update(changes: dict[str, Any]) -> None:
    assert newest(sibling(60, **changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "Published"},
        {"status": None},
        {"status": 7},
        {"availability": "Public"},
        {"availability": "EarlyAccess"},
        {"baseModel": " sdxl 1.0 "},
        {"files": ...},
        {"files": "x"},
        {"name": None},
        {"index": 3},
    ],
)
def test_a_version_of_which_little_is_said_still_is(changes: dict[str, Any]) -> None:
    unlisted = {**OURS}
    del unlisted["files"]
    assert newest(sibling(60, **changes), ours=unlisted) == 60


def test_a_version_without_a_list_of_files_has_none_where_others_have_theirs() -> None:
    assert newest(sibling(70, "2025-07-01", files=...), sibling(60)) == 60
    assert newest(sibling(60, files=...)) is None  # ours has files


@pytest.mark.parametrize(
    "number,index,our_index,expected",
    [
        (60, 0, 1, 60),
        (60, 1, 0, None),
        (60, None, 1, 60),
        (60, 0, None, 60),
        (40, 0, 1, None),
        (40, None, None, None),
    ],
)
@pytest.mark.parametrize("without", ["theirs", "ours", "both"])
def test_without_a_time_the_id_and_the_index_decide(
    number: int, index: int | None, our_index: int | None, expected: int | None, without: str
) -> None:
    day = None if without in ("theirs", "both") else "2025-06-01"
    ours = version(id=50, publishedAt=... if without in ("ours", "both") else OURS["publishedAt"])
    here = sibling(50, None, index=our_index)
    assert newest(sibling(number, day, index=index), here, ours=ours) == expected


@pytest.mark.parametrize("mode", ["Archived", "TakenDown"])
def test_a_model_whose_versions_nobody_can_have_has_no_update(mode: str) -> None:
    assert newest(sibling(60), mode=mode) is None


@pytest.mark.parametrize("versions", [None, ..., [], {}, "x", [None, 7, []]])
def test_a_model_without_versions_has_no_update(versions: object) -> None:
    assert update_of(OURS, model(modelVersions=versions)) is None
    assert update_of(OURS, None) is None


@pytest.mark.parametrize("base", [None, ..., "", 7])
def test_where_our_base_model_is_not_said_nothing_is_guessed(base: object) -> None:
    assert newest(sibling(60), ours=version(baseModel=base)) is None
    # unless the model's own list says it
    assert newest(sibling(60), sibling(50, "2025-01-02"), ours=version(baseModel=base)) == 60 or base in (
        "",
        7,
    )


def test_what_is_remembered_of_a_model_is_small() -> None:
    whole = model(modelVersions=[version(), sibling(60)] * 50)
    assert len(json.dumps(remembered(whole))) < 150 * 100
    assert all("images" not in item and "description" not in item for item in remembered(whole))


@given(
    st.lists(
        st.tuples(
            st.integers(40, 70),
            st.one_of(st.none(), st.sampled_from(["2024-01-01", "2025-03-01", "2025-06-01"])),
            st.one_of(st.none(), st.integers(0, 5)),
        ),
        max_size=6,
        unique_by=lambda item: item[0],
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_versions_are_listed_does_not_matter(siblings: list[Any], random: Any) -> None:
    made = [sibling(number, day, index=index) for number, day, index in siblings]
    first = newest(*made)
    random.shuffle(made)
    assert newest(*made) == first
    dated = [day for number, day, _ in siblings if day and number != 50 and day > "2025-01-02"]
    assert not dated or first is not None


def test_an_update_costs_no_further_request() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), model_id=5, version_id=50, published_at="2025-01-01T00:00:00.000Z")
        setting.site.add(sha256=sha(2), model_id=5, version_id=60, version_name="v2")
        answers = setting.ask(1, 2)
        assert setting.site.counts == {"by-hash": 1, "models": 1}
        cards = [answers[sha(number)].card for number in (1, 2)]  # type: ignore[union-attr]
        assert cards[0].update == Update(version_id=60, name="v2", published_at="2025-06-01T12:00:00Z")
        assert cards[1].update is None
        assert "modelVersions" not in json.dumps(cards[0].to_json())


def test_an_update_is_told_by_every_way_to_a_card() -> None:
    with standing() as setting:
        old = "2025-01-01T00:00:00.000Z"
        setting.site.add(sha256=sha(1), autov3=sha(3)[:12], model_id=5, version_id=50, published_at=old)
        setting.site.add(sha256=sha(2), model_id=5, version_id=60)
        tensors = dict(setting.provider.by_tensors().ask([subject(sha(9), tensors=sha(3))]))
        named = setting.provider.by_version().card(50)
        assert named is not None
        for card in (tensors[sha(3)].card, named):  # type: ignore[union-attr]
            assert card.update is not None
            assert card.update.version_id == 60
        # a version that is shown nowhere but in its model's list
        setting.site.add(
            sha256=sha(4), model_id=5, version_id=51, published_at=old, null_entry=True, unrated=True
        )
        hidden = setting.card(4)
        assert hidden.update is not None
        assert hidden.update.version_id == 60
