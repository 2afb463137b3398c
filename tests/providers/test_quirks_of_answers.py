"""Habits of the site's errors, one test each; the numbers are those of the list the project keeps."""

import json
from datetime import timedelta
from email.utils import format_datetime

import pytest

from hashtagd.core.ports import Closed
from hashtagd.core.troubles import AskOperator, Trouble, TryLater
from hashtagd.core.work import Absent, Found
from hashtagd.providers.civarchive import CivArchive
from hashtagd.providers.http import PoliteClient
from hashtagd.standin import ArchiveStandin
from support.civitai_asking import Setting, standing
from support.fault_server import FaultServer, reply
from support.surroundings import START, World, sha, subject

TOO_MANY_PAGES = {"error": "You've requested too many pages, please use cursors instead"}


def trouble_of(setting: Setting, number: int = 1) -> Trouble:
    with pytest.raises(Trouble) as caught:
        setting.ask(number)
    return caught.value


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"issues": [{"path": ["id"]}], "name": "ZodError"}},
        {"error": "one line\nand another"},
        {"message": "Invalid input"},
        {"message": [{"code": "too_big"}], "error": None},
        [{"code": "invalid_type"}],
        "no",
        None,
        {},
    ],
)
def test_quirk_32_an_error_is_an_object_several_lines_or_a_message(document: object) -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), omitted_by_models_ids=True)
        setting.site.fail_next(1, status=404, body=json.dumps(document).encode(), route="model")
        assert setting.card(1).model_name == "A model"
        # a refusal of any form is no "Model not found"
        setting.site.fail_next(1, status=404, body=json.dumps(document).encode(), route="by-hash-one")
        asked = setting.provider.by_tensors().ask([subject(sha(1), tensors=sha(2))])
        assert isinstance(dict(asked)[sha(2)], TryLater)
        assert setting.world.gates.closings == []


@pytest.mark.parametrize(
    "document", [{"error": "Model not found"}, {"message": "Model not found"}, {"error": " model NOT found "}]
)
def test_quirk_32_a_proper_no_is_read_from_either_field(document: object) -> None:
    with standing() as setting:
        setting.site.fail_next(2, status=404, body=json.dumps(document).encode())
        assert dict(setting.provider.by_tensors().ask([subject(sha(1), tensors=sha(2))])) == {
            sha(2): Absent()
        }
        assert setting.provider.by_version().card(5) is None


@pytest.mark.parametrize("route", ["by-hash", "ids", "models", "model", "by-hash-one", "version"])
@pytest.mark.parametrize("status", [200, 403, 404, 503])
def test_quirk_33_a_page_is_a_temporary_failure_at_any_status_and_never_a_no(status: int, route: str) -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), omitted_by_models_ids=True, null_entry=True, version_id=50)
        setting.site.fail_next(None, status=status, html=True, route=route)
        tensors = setting.provider.by_tensors().ask([subject(sha(1), tensors=sha(2))])
        with pytest.raises(TryLater) as caught:
            list(tensors) if route == "by-hash-one" else setting.ask(1)
        assert caught.value.kind in ("not_json", "unreachable")
        assert [origin for origin, _, _ in setting.world.gates.closings] == [setting.site.url]
        setting.site.clear_faults()
        setting.world.clock.elapsed_s += 3_600
        assert setting.found(1)


@pytest.mark.parametrize(
    "values,wait_s",
    [
        (["30"], 30.0),
        ([format_datetime(START + timedelta(seconds=120), usegmt=True)], 120.0),
        ([format_datetime(START - timedelta(days=1), usegmt=True)], 1.0),
        ([], None),
        (["-7"], None),
        (["soon"], None),
        (["1e9"], None),
        (["999999999999"], 86_400.0),
        (["5", "60"], 60.0),
    ],
)
def test_quirk_34_retry_after_comes_as_seconds_as_a_date_absurd_or_not_at_all(
    values: list[str], wait_s: float | None
) -> None:
    headers = [f"Retry-After: {value}" for value in values]
    world = World(running=True)
    with FaultServer(reply(b"slow down", status="429 X", kind="text/html", headers=headers)) as server:
        client = PoliteClient(server.url, world.surroundings)
        with pytest.raises(TryLater) as caught:
            client.get_json("/x")
        client.close()
        assert len(server.requests) == 1
    assert caught.value.kind == "rate_limited"
    ((_, _, closed_s),) = world.gates.closings
    # without a wish the catalog's schedule decides, which doubles
    assert closed_s == (wait_s if wait_s is None else pytest.approx(wait_s, abs=1.0))


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 522, 523, 524])
def test_quirk_35_every_failure_of_the_server_or_of_its_edge_is_tried_again(status: int) -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1))
        setting.site.fail_next(1, status=status, html=True, route="by-hash")
        assert setting.found(1)
        setting.site.fail_next(None, status=status, html=True)
        trouble = trouble_of(setting)
        assert isinstance(trouble, TryLater)
        assert (trouble.kind, str(status) in trouble.what) == ("unreachable", True)


def test_quirk_36_a_blocked_region_stops_the_site_and_says_what_helps() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1))
        setting.site.routes.region_blocked = True
        trouble = trouble_of(setting)
        assert isinstance(trouble, AskOperator)
        assert trouble.kind == "region_blocked"
        assert "region" in trouble.what
        assert "a day" in trouble.does
        for help_ in ("network.proxy", "`hashtagd retry`", "`providers`"):
            assert help_ in trouble.you
        assert trouble_of(setting).kind == "region_blocked"
        # the second time nobody was asked
        assert len(setting.site.requests) == 1
        assert isinstance(setting.world.gates.look(setting.site.url), Closed)
        setting.site.routes.region_blocked = False
        setting.world.clock.elapsed_s += 86_401
        assert setting.found(1)


def test_quirk_37_too_many_pages_is_no_rate_limit_and_is_not_retried() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), tags=("a",))
        body = json.dumps(TOO_MANY_PAGES).encode()
        setting.site.fail_next(None, status=429, body=body, route="models")
        assert setting.card(1).tags == ("a",)
        assert setting.site.counts["models"] == 1
        assert setting.world.gates.closings == []


def test_quirk_49_half_an_hour_of_silence_that_the_archive_wants_does_not_hold_up_civitai() -> None:
    world = World()
    with ArchiveStandin() as archive, standing(world) as setting:
        setting.site.add(sha256=sha(1))
        archive.fail_next(status=429, headers={"Retry-After": "1500"})
        provider = CivArchive(CivArchive.Options(base_url=archive.url), world.surroundings)
        try:
            with pytest.raises(TryLater, match="1500 s"):
                list(provider.ask([subject(sha(1))]))
            assert isinstance(setting.ask(1)[sha(1)], Found)
            assert world.clock.elapsed_s == 0.0
            assert [(origin, wait_s) for origin, _, wait_s in world.gates.closings] == [(archive.url, 1500.0)]
        finally:
            provider.close()
