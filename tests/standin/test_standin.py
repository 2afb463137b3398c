"""The stand-in keeps the habits of the site that the provider must survive."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from hashtagd.standin import Fault, Standin
from hashtagd.standin.pictures import png

BY_HASH = "/api/v1/model-versions/by-hash"


def sha(number: int) -> str:
    return f"{number:064x}"


def ask(
    site: Standin, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=5)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers or {})
        response = connection.getresponse()
        return (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


def ask_json(site: Standin, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    status, _, content = ask(site, method, path, body)
    return status, json.loads(content)


def test_the_batch_drops_misses_and_turns_the_order() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11)
        site.add(sha256=sha(2), version_id=12)
        status, entries = ask_json(site, "POST", BY_HASH, [sha(1), sha(9), sha(2)])
        assert status == 200
        assert [entry["id"] for entry in entries] == [12, 11]
        assert entries[0]["downloadUrl"] == "https://undefined/api/download/models/12"
        assert entries[0]["files"][0]["hashes"]["SHA256"] == sha(2).upper()


@pytest.mark.parametrize("body", [["x"], [sha(1)] * 101, {"hashes": []}, [sha(1)[:-1]], [7]])
def test_one_bad_hash_or_one_too_many_spoils_the_batch(body: Any) -> None:
    with Standin() as site:
        status, answer = ask_json(site, "POST", BY_HASH, body)
        assert status == 400
        assert isinstance(answer["error"], str)


def test_ids_knows_what_the_batch_hides() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), missing_from_by_hash=True, version_id=11, model_id=1)
        site.add(sha256=sha(2), null_entry=True)
        assert ask_json(site, "POST", BY_HASH, [sha(1), sha(2)]) == (200, [None])
        status, rows = ask_json(site, "POST", f"{BY_HASH}/ids", [sha(1)])
        assert (status, rows) == (200, [{"modelVersionId": 11, "modelId": 1, "hash": sha(1).upper()}])


def test_any_recorded_hash_finds_a_version_in_any_case() -> None:
    with Standin() as site:
        site.add(sha256=sha(0xABC), autov3="abcdef012345", version_id=11)
        for text in (sha(0xABC), sha(0xABC).upper(), "ABCDEF012345", sha(0xABC)[:10]):
            assert ask_json(site, "GET", f"{BY_HASH}/{text}")[1]["id"] == 11
        assert ask_json(site, "GET", f"{BY_HASH}/{sha(5)}") == (404, {"error": "Model not found"})


def test_the_list_of_models_omits_some() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), model_id=1)
        site.add(sha256=sha(2), model_id=2, omitted_by_models_ids=True)
        site.add(sha256=sha(3), model_id=3, nsfw_level=8)
        plain = ask_json(site, "GET", "/api/v1/models?ids=1,2,3")[1]
        grown = ask_json(site, "GET", "/api/v1/models?ids=1,2,3&nsfw=true")[1]
        assert [item["id"] for item in plain["items"]] == [1]
        assert [item["id"] for item in grown["items"]] == [1, 3]
        assert ask_json(site, "GET", "/api/v1/models/2")[1]["id"] == 2
        assert ask_json(site, "GET", "/api/v1/models/9")[0] == 404


def test_pages_follow_a_cursor() -> None:
    with Standin() as site:
        for number in range(1, 4):
            site.add(sha256=sha(number), model_id=number)
        first = ask_json(site, "GET", "/api/v1/models?ids=1,2,3&nsfw=true&limit=2")[1]
        cursor = first["metadata"]["nextCursor"]
        second = ask_json(site, "GET", f"/api/v1/models?ids=1,2,3&nsfw=true&limit=2&cursor={cursor}")[1]
        assert [item["id"] for item in (*first["items"], *second["items"])] == [1, 2, 3]
        assert "nextCursor" not in second["metadata"]


def test_a_models_versions_leave_empty_fields_out() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), model_id=1, archived=True)
        site.add(sha256=sha(2), model_id=2, training_data_first=True, trained_words=("a",))
        archived = ask_json(site, "GET", "/api/v1/models/1")[1]["modelVersions"][0]
        assert {"files", "images", "trainedWords", "description", "downloadUrl"}.isdisjoint(archived)
        files = ask_json(site, "GET", "/api/v1/models/2")[1]["modelVersions"][0]["files"]
        assert [(file["type"], file.get("primary")) for file in files] == [
            ("Training Data", None),
            ("Model", True),
        ]


def test_versions_by_id_hide_the_unrated() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11)
        site.add(sha256=sha(2), version_id=12, unrated=True)
        assert ask_json(site, "GET", "/api/v1/model-versions/11")[0] == 200
        assert ask_json(site, "GET", "/api/v1/model-versions/12")[0] == 404
        assert ask_json(site, "GET", "/api/v1/model-versions/x")[0] == 400


def test_a_wrong_path_is_a_page() -> None:
    with Standin() as site:
        status, headers, content = ask(site, "GET", "/api/v1/nothing")
        assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert content.startswith(b"<!DOCTYPE html>")


def test_pictures_lie_about_their_type() -> None:
    with Standin() as site:
        listing = site.add(sha256=sha(1), previews=(png(),))
        url = site.library.version(listing.version_id, base="")["images"][0]["url"]
        status, headers, content = ask(site, "GET", urlsplit(url).path)
        assert (status, headers["content-type"], content) == (200, "image/jpeg", png())
        assert ask(site, "GET", urlsplit(url).path.replace("-0/", "-7/"))[0] == 404


def test_a_download_leads_to_a_signed_address_with_ranges() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11, file_id=21, content=b"0123456789")
        status, headers, _ = ask(site, "GET", "/api/download/models/11?fileId=21")
        assert status == 307
        parts = urlsplit(headers["location"])
        target = f"{parts.path}?{parts.query}"
        assert ask(site, "GET", target)[2] == b"0123456789"
        status, headers, content = ask(site, "GET", target, headers={"Range": "bytes=4-"})
        assert (status, content, headers["content-range"]) == (206, b"456789", "bytes 4-9/10")
        assert ask(site, "GET", target, headers={"Range": "bytes=10-"})[0] == 416
        assert ask(site, "GET", target, headers={"Authorization": "Bearer x"})[0] == 403


@pytest.mark.parametrize(
    "facts, status",
    [
        ({"archived": True}, 410),
        ({"paid": True}, 403),
        ({"generation_only": True}, 401),
        ({"needs_key": True}, 401),
        ({"content": None}, 404),
    ],
)
def test_some_downloads_are_refused(facts: dict[str, Any], status: int) -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11, **{"content": b"x", **facts})
        assert ask_json(site, "GET", "/api/download/models/11")[0] == status


def test_a_download_may_need_the_key() -> None:
    with Standin() as site:
        site.routes.key = "k" * 32
        site.add(sha256=sha(1), version_id=11, content=b"x", needs_key=True)
        headers = {"Authorization": f"Bearer {site.routes.key}"}
        assert ask(site, "GET", "/api/download/models/11", headers=headers)[0] == 307


def test_faults_come_in_order_for_their_route_and_end() -> None:
    with Standin() as site:
        site.add(sha256=sha(1))
        site.fail_next(2, status=429, headers={"Retry-After": "7"}, html=True, route="by-hash")
        assert ask(site, "POST", f"{BY_HASH}/ids", [sha(1)])[0] == 200
        status, headers, content = ask(site, "POST", BY_HASH, [sha(1)])
        assert (status, headers["retry-after"]) == (429, "7")
        assert content.startswith(b"<!DOCTYPE")
        assert [ask(site, "POST", BY_HASH, [sha(1)])[0] for _ in range(2)] == [429, 200]
        site.fail_next(None, status=503)
        assert [ask(site, "GET", "/api/v1/models/1")[0] for _ in range(3)] == [503] * 3
        site.clear_faults()
        assert ask(site, "POST", BY_HASH, [sha(1)])[0] == 200


def test_an_answer_can_be_cut_or_kept_back() -> None:
    with Standin() as site:
        site.add(sha256=sha(1))
        site.spoil_next(fault=Fault(cut=True))
        with pytest.raises(http.client.IncompleteRead):
            ask(site, "POST", BY_HASH, [sha(1)])
        site.spoil_next(fault=Fault(hang_up=True))
        with pytest.raises(http.client.RemoteDisconnected):
            ask(site, "POST", BY_HASH, [sha(1)])
        assert [request.status for request in site.requests] == [200, 0]


def test_the_log_keeps_what_was_asked() -> None:
    with Standin() as site:
        ask(site, "POST", BY_HASH, [sha(1)], {"X-Thing": "1"})
        ask(site, "GET", "/api/v1/models?ids=1")
        first, second = site.requests
        assert (first.number, first.route, first.method, first.items) == (1, "by-hash", "POST", (sha(1),))
        assert first.headers["x-thing"] == "1"
        assert second.query == {"ids": "1"}
        assert site.counts == {"by-hash": 1, "models": 1}
        site.forget_requests()
        assert site.requests == ()


def test_what_was_removed_is_unknown() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), model_id=1, version_id=11, autov3="abcdef012345")
        site.library.remove(sha(1))
        assert ask_json(site, "POST", BY_HASH, [sha(1)]) == (200, [])
        assert ask_json(site, "GET", "/api/v1/models/1")[0] == 404
        assert ask_json(site, "GET", "/api/v1/model-versions/11")[0] == 404
        assert ask_json(site, "GET", f"{BY_HASH}/ABCDEF012345")[0] == 404


def test_a_deleted_model_is_gone_from_every_route() -> None:
    with Standin() as site:
        listing = site.add(sha256=sha(1), model_id=1, version_id=11, content=b"x")
        site.delete(listing)
        assert ask_json(site, "POST", f"{BY_HASH}/ids", [sha(1)]) == (200, [])
        for path in ("/api/v1/models/1", "/api/v1/model-versions/11", "/api/download/models/11"):
            assert ask_json(site, "GET", path)[0] == 404


def test_a_newer_version_stands_first_in_its_model() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), model_id=1, version_id=11)
        site.add(sha256=sha(2), model_id=1, version_id=12, published_at="2025-07-01T00:00:00.000Z")
        versions = ask_json(site, "GET", "/api/v1/models/1")[1]["modelVersions"]
        assert [(item["id"], item["index"], item["status"]) for item in versions] == [
            (12, 0, "Published"),
            (11, 1, "Published"),
        ]
        listed = ask_json(site, "GET", "/api/v1/models?ids=1")[1]["items"][0]["modelVersions"][0]
        assert {"status", "createdAt", "modelId", "air"}.isdisjoint(listed)


@pytest.mark.parametrize(
    "facts,name,deadline",
    [
        (
            {"early_access_ends_at": "2027-01-01T00:00:00.000Z"},
            "earlyAccessEndsAt",
            "2027-01-01T00:00:00.000Z",
        ),
        ({"paid": True, "paid_until": "2027-02-01T00:00:00.000Z"}, "paidAccess", "2027-02-01T00:00:00.000Z"),
        ({"paid": True}, "paidAccess", None),
    ],
)
def test_what_is_not_free_yet_says_until_when(facts: dict[str, Any], name: str, deadline: str | None) -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11, content=b"x", **facts)
        assert ask_json(site, "GET", "/api/v1/model-versions/11")[1][name]
        status, refusal = ask_json(site, "GET", "/api/download/models/11")
        assert (status, refusal["error"], refusal["deadline"]) == (403, "Early Access", deadline)


def test_a_version_may_be_there_without_its_file() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11, missing_by_id=True)
        answer = ask_json(site, "GET", "/api/v1/model-versions/11")
        assert answer == (404, {"error": "Missing model file"})


def test_a_blocked_region_blocks_the_api_alone() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11, content=b"x")
        site.routes.region_blocked = True
        for method, path in (("GET", "/api/v1/models?ids=1"), ("POST", BY_HASH)):
            status, answer = ask_json(site, method, path, [sha(1)])
            assert (status, answer["code"]) == (451, "REGION_BLOCKED")
        assert ask(site, "GET", "/api/download/models/11")[0] == 307


def test_who_is_not_logged_in_may_be_led_to_a_login_page() -> None:
    with Standin() as site:
        site.routes.login_page = True
        site.add(sha256=sha(1), version_id=11, content=b"x", needs_key=True)
        status, headers, _ = ask(site, "GET", "/api/download/models/11")
        assert status == 307
        assert headers["location"].startswith("/login?")
        assert "reason=download-auth" in headers["location"]


def test_half_a_surrogate_pair_in_a_title_is_sent_escaped() -> None:
    with Standin() as site:
        site.add(sha256=sha(1), version_id=11, name="half \ud83c", version_name="海")
        status, _, body = ask(site, "GET", "/api/v1/model-versions/11")
        assert status == 200
        assert b"half \\ud83c" in body
        assert "海".encode() in body
        assert json.loads(body)["model"]["name"] == "half \ud83c"


def test_it_listens_on_loopback_only() -> None:
    with Standin() as site:
        assert urlsplit(site.url).hostname == "127.0.0.1"
