import json

import pytest

from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater, trouble_from_json

TROUBLES = [
    TryLater("timed out", does="asks again", you="wait", scope=Scope.PROVIDER, kind="timeout", after_s=30.0),
    TryLater("busy", does="tries again", you="wait", scope=Scope.FILE, kind="busy"),
    GiveUp("no model", does="leaves it", you="delete it", scope=Scope.FILE, kind="not_a_model"),
    AskOperator("disk full", does="pauses", you="make room", scope=Scope.ROOT, kind="disk_full"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_survives_the_way_through_json(trouble: Trouble) -> None:
    stored = json.loads(json.dumps(trouble.to_json()))
    again = trouble_from_json(stored)
    assert type(again) is type(trouble)
    assert again.to_json() == trouble.to_json()
    assert str(again) == str(trouble)


def test_a_trouble_prints_its_three_clauses() -> None:
    assert str(TROUBLES[2]) == "no model; leaves it; delete it"


def test_something_that_is_no_stored_trouble_is_refused() -> None:
    with pytest.raises(KeyError):
        trouble_from_json({**TROUBLES[0].to_json(), "class": "ValueError"})
    with pytest.raises(KeyError):
        trouble_from_json({})
