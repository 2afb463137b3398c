"""The archive as it is asked: one request at a time, through a gate of its own, without any key."""

import json
import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from hashtagd.core.card import Availability, Confidence
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.ports import Closed, Stopping
from hashtagd.core.troubles import AskOperator, GiveUp, Trouble, TryLater
from hashtagd.core.work import Absent, Found
from hashtagd.providers.civarchive import CivArchive
from hashtagd.providers.civitai import Civitai
from hashtagd.standin import ArchiveStandin, Fault, Standin
from support.civarchive_samples import FACE_URL, SHA, file, model, version
from support.fault_server import Answer, FaultServer, Line, reply
from support.surroundings import World, sha, subject

Answers = dict[str, Found | Absent | Trouble]


class Setting:
    """A stand-in, a provider that asks it, and the world around them."""

    def __init__(self, site: ArchiveStandin) -> None:
        self.site = site
        self.world = World(key="a-key-of-civitai")
        self.provider = CivArchive(CivArchive.Options(base_url=site.url), self.world.surroundings)

    def ask(self, *numbers: int) -> Answers:
        return dict(self.provider.ask([subject(sha(number)) for number in numbers]))

    def found(self, number: int) -> Found:
        answer = self.ask(number)[sha(number)]
        assert isinstance(answer, Found)
        return answer

    def paths(self) -> list[str]:
        return [request.path for request in self.site.requests]


@pytest.fixture
def setting() -> Iterator[Setting]:
    with ArchiveStandin() as site:
        made = Setting(site)
        try:
            yield made
        finally:
            made.provider.close()


def asked(*answers: Answer, times: int = 1) -> tuple[list[Any], FaultServer, World]:
    """Ask a server that answers as it is told; give what came, a trouble that ended it included."""
    world = World(key="a-key-of-civitai", running=True)
    with FaultServer(*answers) as server:
        provider = CivArchive(CivArchive.Options(base_url=server.url), world.surroundings)
        came: list[Any] = []
        try:
            for text, answer in provider.ask([subject(SHA), *(subject(sha(n)) for n in range(1, times))]):
                assert text
                came.append(answer)
        except Trouble as trouble:
            came.append(trouble)
        finally:
            provider.close()
        return came, server, world


def test_a_known_hash_is_found_with_one_request(setting: Setting) -> None:
    setting.site.add(sha256=sha(10), name="Found again", trained_words=["a word"], model_id=5, version_id=50)
    card = setting.found(10).card
    assert (card.provider, card.model_name, card.trained_words) == ("civarchive", "Found again", ("a word",))
    assert (card.model_id, card.version_id, card.confidence) == (5, 50, Confidence.EXACT)
    assert card.page_url == f"{setting.site.url}/models/5?modelVersionId=50"
    assert setting.paths() == [f"/api/sha256/{sha(10)}"]


def test_an_unknown_hash_is_absent_and_the_next_is_asked(setting: Setting) -> None:
    setting.site.add(sha256=sha(2))
    answers = setting.ask(1, 2, 1)
    assert isinstance(answers[sha(1)], Absent)
    assert isinstance(answers[sha(2)], Found)
    assert len(setting.site.requests) == 2


def test_hashes_are_asked_for_in_lower_case(setting: Setting) -> None:
    """Quirk 48."""
    setting.site.add(sha256=sha(0xABCDEF))
    setting.found(0xABCDEF)
    assert setting.paths() == [f"/api/sha256/{sha(0xABCDEF)}"]


@pytest.mark.parametrize("spelling", ["camelCase", "snake_case"])
@pytest.mark.parametrize("wrapping", [None, "data", "model", "files"])
def test_every_dress_of_an_answer_is_the_same_card(
    setting: Setting, wrapping: Literal["data", "model", "files"] | None, spelling: str
) -> None:
    """Quirk 48."""
    setting.site.add(sha256=sha(1), creator="someone", tags=["a"])
    plainly = setting.found(1)
    setting.site.archive.wrapping = wrapping
    setting.site.archive.snake_case = spelling == "snake_case"
    assert setting.found(1) == plainly


def test_an_answer_that_only_points_elsewhere_is_followed(setting: Setting) -> None:
    """Quirk 48."""
    setting.site.add(sha256=sha(1), model_id=5, version_id=50)
    setting.site.archive.wrapping = "files"
    assert setting.found(1).card.version_id == 50
    assert [request.route for request in setting.site.requests] == ["sha256", "archived-model"]
    assert setting.site.requests[1].path == "/api/models/5"
    assert setting.site.requests[1].query == {"modelVersionId": "50"}


def test_a_pointer_without_a_proper_model_is_followed_by_the_version_alone(setting: Setting) -> None:
    """Quirk 48: a made-up model will do."""
    setting.site.add(sha256=sha(1), model_id=904_473_536_033_245, version_id=50)
    setting.site.archive.wrapping = "files"
    setting.found(1)
    assert setting.site.requests[1].path == "/api/models/1"


def test_pointers_to_other_platforms_are_not_followed(setting: Setting) -> None:
    """Quirk 48: the site fails over their ids."""
    setting.site.add(sha256=sha(1), model_id=100_000_000, version_id=904_473_536_033_245)
    setting.site.archive.wrapping = "files"
    assert isinstance(setting.ask(1)[sha(1)], Absent)
    assert len(setting.site.requests) == 1


def test_a_pointer_to_another_file_leads_to_nothing() -> None:
    """Quirk 48."""
    pointer = json.dumps({"files": [{"model_id": 5, "model_version_id": 50}, {"model_id": 6}]}).encode()
    other = json.dumps(model(version(file(sha256=sha(3))))).encode()
    came, server, _ = asked(reply(pointer), reply(other), reply(b"{}", status="404 Not Found"))
    assert [type(answer) for answer in came] == [Absent]
    assert len(server.requests) == 3


@pytest.mark.parametrize("what", ["model", "version", "file", "mirror"])
def test_a_deleted_model_is_found_with_the_copies_that_are_left(setting: Setting, what: str) -> None:
    listing = setting.site.add(sha256=sha(1))
    face = {"url": FACE_URL, "source": "huggingface", "deleted_at": None, "is_gated": True, "is_paid": False}
    own = {"url": "/api/download/models/7", "source": "tensorart", "deleted_at": None}
    dead = {"url": "https://files.example/a", "source": "x", "deleted_at": "2025-01-01T00:00:00Z"}
    setting.site.keep(listing, mirrors=[face, own, dead], deleted=[what])
    card = setting.found(1).card
    assert card.availability is Availability.DELETED
    assert card.downloadable
    found = {item.source: (item.url, item.gated) for item in card.downloads[0].urls}
    assert found["huggingface"] == (FACE_URL, True)
    assert found["tensorart"] == (f"{setting.site.url}/api/download/models/7", None)
    assert "x" not in found
    assert ("civitai" in found) == (what != "mirror")


def test_no_key_is_ever_shown(setting: Setting) -> None:
    setting.site.add(sha256=sha(1))
    setting.site.archive.wrapping = "files"
    setting.ask(1, 2)
    assert len(setting.site.requests) == 3
    assert all("authorization" not in request.headers for request in setting.site.requests)
    assert all("a-key-of-civitai" not in str(request) for request in setting.site.requests)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_site_that_wants_a_key_gets_none_and_is_left_alone_for_a_day(status: str) -> None:
    came, server, world = asked(reply(b'{"error":"Unauthorized"}', status=status), times=3)
    (trouble,) = came
    assert isinstance(trouble, AskOperator)
    assert "CIVITAI" not in str(trouble)
    assert "api_key_file" not in str(trouble)
    assert len(server.requests) == 1
    assert all(b"a-key-of-civitai" not in request for request in server.requests)
    assert world.gates.closings[-1][2] == 86_400.0


def test_a_wish_for_half_an_hour_of_silence_holds_up_nobody_else() -> None:
    """Quirk 49."""
    world = World()
    with ArchiveStandin() as archive, Standin() as site:
        archive.fail_next(status=429, headers={"Retry-After": "1500"})
        site.add(sha256=sha(1))
        provider = CivArchive(CivArchive.Options(base_url=archive.url), world.surroundings)
        civitai = Civitai(Civitai.Options(base_url=site.url), world.surroundings)
        with pytest.raises(TryLater) as caught:
            list(provider.ask([subject(sha(1))]))
        assert caught.value.kind == "rate_limited"
        assert [(origin, wait_s) for origin, _, wait_s in world.gates.closings] == [(archive.url, 1500.0)]
        assert isinstance(world.gates.look(archive.url), Closed)
        assert isinstance(dict(civitai.ask([subject(sha(1))]))[sha(1)], Found)
        with pytest.raises(TryLater):
            list(provider.ask([subject(sha(1))]))
        assert len(archive.requests) == 1
        world.clock.elapsed_s += 1501
        assert isinstance(dict(provider.ask([subject(sha(1))]))[sha(1)], Absent)
        provider.close()
        civitai.close()


@pytest.mark.parametrize(
    "answer,kind",
    [
        (reply(b"<html>Not found</html>", status="404 Not Found", kind="text/html"), "not_json"),
        (reply(b"<html>Just a moment</html>", kind="text/html"), "not_json"),
        (reply(b"[]"), "unknown_shape"),
        (reply(b"", status="302 Found", headers=["Location: https://elsewhere.example/"]), "redirected"),
        (reply(b"{}", status="451 No"), "region_blocked"),
        (reply(b"oops", status="502 Bad Gateway"), "unreachable"),
        (reply(b'{"error":"away"}', status="503 Away"), "unreachable"),
    ],
)
def test_what_is_no_answer_closes_the_gate_and_is_never_absent(answer: bytes, kind: str) -> None:
    """F44, F45, F55."""
    came, _, world = asked(answer, times=3)
    (trouble,) = came
    assert isinstance(trouble, Trouble)
    assert trouble.kind == kind
    assert len(world.gates.closings) == 1


@pytest.mark.parametrize(
    "answer,kind,expected",
    [
        (reply(b'{"error":"x"}', status="500 Oops"), "unreachable", TryLater),
        (reply(b'{"error":"x"}', status="400 Bad"), "hash_refused", GiveUp),
        (reply(b'{"error":"x"}', status="418 Tea"), "unreachable", TryLater),
        (reply(b'{"data":null}'), "unknown_shape", TryLater),
    ],
)
def test_one_question_that_fails_costs_only_itself(answer: bytes, kind: str, expected: type[Trouble]) -> None:
    came, _, world = asked(
        *[answer] * (3 if b"500" in answer[:16] else 1), reply(b"{}", status="404 No"), times=2
    )
    first, second = came
    assert isinstance(first, expected)
    assert first.kind == kind
    assert isinstance(second, Absent)
    assert world.gates.closings == []


def test_three_failures_in_a_row_are_the_site_s_and_close_its_gate(setting: Setting) -> None:
    setting.site.fail_next(None, status=500)
    came: list[Any] = []
    with pytest.raises(TryLater, match="3 questions in a row"):
        came.extend(setting.provider.ask([subject(sha(number)) for number in range(1, 9)]))
    assert len(setting.world.gates.closings) == 1
    # three brief tries for each of the three
    assert len(setting.site.requests) == 9


def test_failures_that_are_not_in_a_row_close_nothing(setting: Setting) -> None:
    for number in range(1, 9):
        if number % 3:
            setting.site.fail_next(status=400)
        setting.ask(number)
    assert setting.world.gates.closings == []


def test_failures_are_counted_over_rounds(setting: Setting) -> None:
    """A gate that has just opened lets one question through; a site that fails on is left alone at once."""
    setting.site.fail_next(None, status=500)
    for _ in range(2):
        setting.ask(1)
    with pytest.raises(TryLater):
        setting.ask(1)


def test_a_blip_is_tried_again_and_heals(setting: Setting) -> None:
    """F40."""
    setting.site.add(sha256=sha(1))
    setting.site.spoil_next(fault=Fault(cut=True))
    setting.found(1)
    assert len(setting.site.requests) == 2


def test_what_was_answered_before_an_outage_is_kept(setting: Setting) -> None:
    setting.site.add(sha256=sha(1))
    came: Answers = {}
    stream = setting.provider.ask([subject(sha(1)), subject(sha(2)), subject(sha(3))])
    came.update([next(stream)])
    setting.site.fail_next(None, status=429)
    with pytest.raises(TryLater):
        next(stream)
    assert list(came) == [sha(1)]


def test_the_hash_of_nothing_is_not_asked_for(setting: Setting) -> None:
    """Quirk 50."""
    (answer,) = dict(setting.provider.ask([subject(SHA256_OF_NOTHING)])).values()
    assert isinstance(answer, GiveUp)
    assert setting.site.requests == ()


def test_the_budget_is_waited_for_between_questions(setting: Setting) -> None:
    setting.world.gates.scarce_s = 6.0
    setting.ask(1, 2, 3)
    assert sum(setting.world.pause.waits_s) == pytest.approx(12.0, abs=1e-3)


def test_a_stop_ends_the_wait_for_the_budget(setting: Setting) -> None:
    setting.world.gates.scarce_s = 6.0
    setting.world.pause.stop_after = 1
    with pytest.raises(Stopping):
        setting.ask(1, 2, 3)
    assert len(setting.site.requests) == 1


def test_one_request_runs_at_a_time_over_all_threads() -> None:
    alone, company = threading.Lock(), threading.Event()

    def slowly(line: Line) -> None:
        if not alone.acquire(blocking=False):
            company.set()
            return
        company.wait(0.05)  # long enough for another one, if it were let through
        alone.release()
        line.send(reply(b"{}", status="404 Not Found"))

    with FaultServer(slowly) as server:
        provider = CivArchive(CivArchive.Options(base_url=server.url), World(running=True).surroundings)
        lanes = [
            threading.Thread(target=lambda n=n: list(provider.ask([subject(sha(n))]))) for n in range(1, 6)
        ]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        provider.close()
        assert len(server.requests) == 5
    assert not company.is_set()


def test_a_round_is_about_a_minute_of_the_usual_budget() -> None:
    options = CivArchive.Options()
    provider = CivArchive(options, World().surroundings)
    assert (options.base_url, options.requests_per_minute) == ("https://civarchive.com", 10)
    assert provider.batch_limit <= options.requests_per_minute
    assert provider.origin == "https://civarchive.com"
    provider.close()
