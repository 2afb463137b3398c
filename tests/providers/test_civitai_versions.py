"""A version by its number, for matches that the owner makes."""

import json

import pytest

from hashtagd.core.card import Availability, Confidence
from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, TryLater
from support.civitai_asking import standing
from support.civitai_samples import version
from support.surroundings import World, sha


def test_a_version_that_the_owner_names_becomes_a_card() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), model_id=5, version_id=50, tags=("a",), creator="somebody")
        card = setting.provider.by_version().card(50)
        assert card is not None
        assert (card.by, card.confidence, card.provider) == ("owner", Confidence.OWNER, "civitai")
        assert (card.model_id, card.version_id, card.tags, card.creator) == (5, 50, ("a",), "somebody")
        assert card.downloadable
        assert setting.site.counts == {"version": 1, "model": 1}


def test_the_owner_s_file_stands_first_where_the_version_lists_it_and_need_not_be_listed() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), model_id=5, version_id=50)
        setting.site.add(sha256=sha(2), model_id=5, version_id=50)
        versions = setting.provider.by_version()
        for mine, first in ((sha(2), sha(2)), (sha(1), sha(1)), (None, sha(1)), (sha(3), sha(1))):
            card = versions.card(50, mine)
            assert card is not None
            assert card.downloads[0].sha256 == first
            assert card.not_downloadable_because is None


def test_what_the_site_does_not_know_is_none() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), version_id=50, unrated=True)
        assert setting.provider.by_version().card(50) is None
        assert setting.provider.by_version().card(51) is None
        assert setting.world.gates.closings == []


def test_what_the_site_only_hides_is_not_none() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), version_id=50, missing_by_id=True)
        with pytest.raises(GiveUp) as caught:
            setting.provider.by_version().card(50)
        assert (caught.value.kind, caught.value.scope) == ("version_hidden", Scope.FILE)


def test_an_archived_version_is_named_too() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), version_id=50, archived=True)
        card = setting.provider.by_version().card(50, sha(1))
        assert card is not None
        assert card.availability is Availability.ARCHIVED


def test_a_model_that_the_site_does_not_show_leaves_its_facts_out() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), version_id=50, model_id=5, tags=("a",))
        setting.site.fail_next(status=404, body=b'{"error":"No model with id 5"}', route="model")
        card = setting.provider.by_version().card(50)
        assert card is not None
        assert (card.model_name, card.tags) == ("A model", ())
        document = json.dumps(version(modelId=...)).encode()
        setting.site.fail_next(status=200, body=document, route="version")
        card = setting.provider.by_version().card(50)
        assert card is not None
        assert card.model_id is None


@pytest.mark.parametrize("route", ["version", "model"])
def test_a_failure_over_one_version_is_a_trouble_and_closes_no_gate(route: str) -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), version_id=50)
        setting.site.fail_next(
            3, status=500, body=b'{"error":"Failed to fetch model version details"}', route=route
        )
        with pytest.raises(TryLater) as caught:
            setting.provider.by_version().card(50)
        assert caught.value.kind == "unreachable"
        assert setting.world.gates.closings == []


@pytest.mark.parametrize(
    "status,body",
    [
        (200, b"{}"),
        (200, b'{"id":51}'),
        (200, b'{"id":"x"}'),
        (400, b'{"error":"invalid"}'),
        (410, b"{}"),
    ],
)
def test_an_answer_about_something_else_is_no_answer(status: int, body: bytes) -> None:
    with standing() as setting:
        setting.site.fail_next(status=status, body=body, route="version")
        with pytest.raises(TryLater) as caught:
            setting.provider.by_version().card(50)
        assert caught.value.kind == "unknown_shape"


def test_an_outage_and_a_blocked_region_close_the_gate_for_everybody() -> None:
    with standing() as setting:
        setting.site.fail_next(None, status=503, html=True)
        with pytest.raises(TryLater):
            setting.provider.by_version().card(50)
        assert len(setting.world.gates.closings) == 1
    with standing() as setting:
        setting.site.routes.region_blocked = True
        with pytest.raises(AskOperator):
            setting.provider.by_version().card(50)
        assert len(setting.site.requests) == 1


def test_a_stop_ends_the_wait_for_the_budget() -> None:
    world = World()
    world.gates.scarce_s = 4.0
    world.pause.stop_after = 1
    with standing(world) as setting:
        setting.site.add(sha256=sha(1), version_id=50)
        with pytest.raises(Stopping):
            setting.provider.by_version().card(50)
        assert len(setting.site.requests) == 1
