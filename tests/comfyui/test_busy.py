from typing import Any

import pytest

from hashtagd.comfyui.busy import is_generating


@pytest.mark.parametrize(
    "answer,busy",
    [
        ({"exec_info": {"queue_remaining": 1}}, True),
        ({"exec_info": {"queue_remaining": 12}}, True),
        ({"exec_info": {"queue_remaining": 0}}, False),
        ({"exec_info": {"queue_remaining": "many"}}, False),
        ({"exec_info": {"queue_remaining": True}}, False),
        ({"exec_info": None}, False),
        ({}, False),
        ([1], False),
        ("<html>", False),
        (None, False),
    ],
)
def test_busy_is_only_what_says_so(answer: Any, busy: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_generating("http://127.0.0.1:8188", lambda _url, _timeout_s: answer) is busy


def test_the_cheapest_route_is_asked_with_little_patience() -> None:
    asked: list[tuple[str, float]] = []
    is_generating("http://127.0.0.1:8188/", lambda url, timeout_s: asked.append((url, timeout_s)))
    [(url, timeout_s)] = asked
    assert url == "http://127.0.0.1:8188/prompt"
    assert timeout_s <= 1.0
