"""What each answer to a download address means, and who acts next."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater, trouble_from_json
from hashtagd.providers.civitai.download_answers import Bytes, DownloadAnswer, Elsewhere, judge_download
from support.surroundings import START

URL = "https://civitai.com/api/download/models/50?fileId=60"
HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"


def judged(
    status: int, body: Any = None, *, url: str = URL, key: bool = False, **headers: str
) -> Bytes | Elsewhere | Trouble:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return judge_download(
        url, DownloadAnswer(status=status, headers=names, body=raw), with_key=key, now=START
    )


@pytest.mark.parametrize(
    "status,body,kind,acts,scope",
    [
        (400, {"error": "Invalid fileId"}, "address_refused", GiveUp, Scope.FILE),
        (401, {"error": "Unauthorized"}, "login_wanted", AskOperator, Scope.FILE),
        (401, {"error": "Unauthorized", "message": None}, "login_wanted", AskOperator, Scope.FILE),
        (
            401,
            {
                "error": "Unauthorized",
                "message": "The creator of this asset has disabled downloads on this file",
            },
            "downloads_disabled",
            GiveUp,
            Scope.FILE,
        ),
        (403, {"error": "Early Access", "deadline": None}, "early_access", AskOperator, Scope.FILE),
        (403, {"error": "Early Access", "deadline": "2026-08-01"}, "early_access", AskOperator, Scope.FILE),
        (403, {"error": "Forbidden"}, "no_access", AskOperator, Scope.FILE),
        (403, {"error": "You do not have access"}, "no_access", AskOperator, Scope.FILE),
        (403, {"error": {"code": 1}}, "no_access", AskOperator, Scope.FILE),
        (404, {"error": "File not found"}, "file_not_found", TryLater, Scope.FILE),
        (410, {"error": "Model archived, not available for download"}, "archived", GiveUp, Scope.FILE),
        (429, {"error": "We've noticed an unusual amount"}, "rate_limited", TryLater, Scope.PROVIDER),
        (429, HTML, "rate_limited", TryLater, Scope.PROVIDER),
        (451, {"code": "REGION_BLOCKED"}, "region_blocked", AskOperator, Scope.PROVIDER),
        (500, {"error": "oops"}, "unreachable", TryLater, Scope.PROVIDER),
        (524, HTML, "unreachable", TryLater, Scope.PROVIDER),
        (499, b"", "unreachable", TryLater, Scope.PROVIDER),
        (200, HTML, "not_json", TryLater, Scope.PROVIDER),
        (403, HTML, "not_json", TryLater, Scope.PROVIDER),
        (401, b"Unauthorized", "not_json", TryLater, Scope.PROVIDER),
        (404, HTML, "not_json", TryLater, Scope.PROVIDER),
        (404, [1], "not_json", TryLater, Scope.PROVIDER),
        (418, {"error": "teapot"}, "unknown_shape", TryLater, Scope.PROVIDER),
        (304, b"", "not_json", TryLater, Scope.PROVIDER),
    ],
)
def test_each_refusal_has_its_kind_its_scope_and_somebody_who_acts(
    status: int, body: Any, kind: str, acts: type[Trouble], scope: Scope
) -> None:
    trouble = judged(status, body)
    assert type(trouble) is acts
    assert isinstance(trouble, Trouble)
    assert (trouble.kind, trouble.scope) == (kind, scope)
    assert all((trouble.what, trouble.does, trouble.you))
    assert trouble_from_json(trouble.to_json()).to_json() == trouble.to_json()


def test_early_access_that_ends_is_waited_for() -> None:
    trouble = judged(403, {"error": "Early Access", "deadline": "2026-09-02T12:00:00.000Z"})
    assert isinstance(trouble, TryLater)
    assert trouble.after_s == 86_400.0
    assert "2026-09-02 12:00 UTC" in trouble.what


def test_a_quota_is_left_alone_for_hours_unless_the_site_says_how_long() -> None:
    body = {"error": "We've noticed an unusual amount of downloading from your account."}
    for trouble, wait_s in (
        (judged(429, body), 3 * 3_600.0),
        (judged(429, body, retry_after="90"), 90.0),
        (judged(429, HTML), None),
        (judged(503, HTML, retry_after="7"), 7.0),
    ):
        assert isinstance(trouble, TryLater)
        assert trouble.after_s == wait_s


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_the_place_of_the_bytes(status: int) -> None:
    place = "https://storage.example/model/5/x.safetensors?X-Amz-Signature=feed"
    assert judged(status, b"", location=place) == Elsewhere(url=place)
    relative = judged(status, b"", location="/api/download/models/50?fileId=61")
    assert relative == Elsewhere(url="https://civitai.com/api/download/models/50?fileId=61")
    # pages of the site are no files; the same path elsewhere may be one
    page = judged(status, b"", location="https://civitai.red/models/5?modelVersionId=50")
    assert isinstance(page, TryLater)
    for path in ("models/5/x.safetensors", "login"):
        assert isinstance(judged(status, b"", location=f"https://storage.example/{path}"), Elsewhere)


@pytest.mark.parametrize(
    "place",
    [
        "",
        "javascript:alert(1)",
        "https://[",
        "http://storage.example/x",
        "file:///etc/passwd",
        "https://x:99999/",
    ],
)
def test_a_redirect_to_nowhere_or_out_of_safety_is_no_place(place: str) -> None:
    trouble = judged(307, b"", location=place)
    assert isinstance(trouble, TryLater)
    assert trouble.kind == "unreachable"
    assert isinstance(judged(307, b""), TryLater)


@pytest.mark.parametrize(
    "place", ["//evil.example/x", "https:///x", "https:x", "x.bin", "https:\\\\evil.example"]
)
def test_a_redirect_that_is_clever_is_refused(place: str) -> None:
    """F49: `https:///x` would be a path on the site itself, `//host` another host."""
    trouble = judged(307, b"", location=place)
    assert isinstance(trouble, GiveUp)
    assert (trouble.kind, trouble.scope) == ("address_refused", Scope.FILE)


def test_the_file_itself_may_come_at_once() -> None:
    assert judged(200, b"\x08\x00\x00\x00") == Bytes()
    assert judged(206, b"") == Bytes()
    assert isinstance(judged(200, b"\x08", content_type="text/html; charset=utf-8"), TryLater)


def test_a_demand_for_a_key_tells_whether_one_was_shown() -> None:
    for key in (False, True):
        trouble = judged(401, {"error": "Unauthorized"}, key=key)
        assert isinstance(trouble, AskOperator)
        assert ("the key it was shown" in trouble.what) is key


@given(
    st.integers(100, 599),
    st.one_of(st.binary(max_size=60), st.text(max_size=20).map(lambda text: json.dumps(text).encode())),
    st.dictionaries(
        st.sampled_from(["location", "retry-after", "content-type"]),
        st.lists(st.text(max_size=20), max_size=2),
    ),
    st.booleans(),
)
def test_any_answer_at_all_is_bytes_a_place_or_a_trouble(
    status: int,
    body: bytes,
    headers: dict[str, list[str]],
    key: bool,  # noqa: FBT001
) -> None:
    answer = DownloadAnswer(status=status, headers=headers, body=body)
    said = judge_download(URL, answer, with_key=key, now=START)
    assert isinstance(said, Bytes | Elsewhere | Trouble)
    assert isinstance(said, Bytes) <= (status in (200, 206))
