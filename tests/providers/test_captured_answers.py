"""Every captured answer beside the project, whole and spoiled: what is right in it is used, no traceback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashtagd.core.card import Card
from hashtagd.core.digests import is_sha256
from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found
from hashtagd.providers.civarchive.answers import unwrapped
from hashtagd.providers.civarchive.mirrors import Places
from hashtagd.providers.civarchive.shapes import card_of as archive_card_of
from hashtagd.providers.civitai import Civitai
from hashtagd.providers.civitai.addresses import Addresses
from hashtagd.providers.civitai.download_answers import Bytes, DownloadAnswer, judge_download
from hashtagd.providers.civitai.fields import identity, mappings
from hashtagd.providers.civitai.files import hashes_of
from hashtagd.providers.civitai.shapes import card_of
from hashtagd.standin import Standin
from support.any_shape import changes, check_storable, received, spoil
from support.civitai_asking import standing
from support.civitai_samples import SHA, captured, captured_json
from support.fault_server import FaultServer, reply
from support.surroundings import START, World, subject

SITE = Addresses("https://civitai.com")
FOLDER = captured()
needs_captures = pytest.mark.skipif(FOLDER is None, reason="no captured answers beside the project")
#: read by tests of other rooms, or not by the product at all
ELSEWHERE = {"hash-vectors.json", "models/enums-2026-03.json"}


def names(folder: Path | None) -> list[str]:
    found = [] if folder is None else folder.rglob("*.json")
    return sorted(path.relative_to(folder or "").as_posix() for path in found)


def cards(name: str, document: Any) -> Iterator[Card]:
    """Make all cards that the product would make of a captured answer."""
    folder = name.partition("/")[0]
    if folder == "civarchive":
        said = unwrapped(document) if isinstance(document, dict) else None
        stated = [file.get("sha256") for file in said.files] if said else []
        for sha256 in (SHA, *(text for text in stated if isinstance(text, str) and is_sha256(text))):
            card = (
                archive_card_of(said, sha256=sha256, places=Places("https://civarchive.com"))
                if said
                else None
            )
            if card is not None:
                yield card
    elif folder in {"batch", "by-hash"}:
        for version in mappings(document if folder == "batch" else [document]):
            yield from _version_cards(version, None)
    elif isinstance(document, dict):
        for model in mappings(document["items"]) if "items" in document else (document,):
            for version in mappings(model.get("modelVersions")):
                yield from _version_cards(version, model)


def _version_cards(version: Any, model: Any) -> Iterator[Card]:
    for sha256 in sorted(hashes_of(version)) or [None]:
        if identity(version.get("id")) is not None:
            yield card_of(version, model, sha256=sha256, addresses=SITE, now=START)


CARDS = [name for name in names(FOLDER) if name not in ELSEWHERE and not name.startswith("errors/")]


@needs_captures
def test_every_captured_file_is_read_by_some_test() -> None:
    known = ("by-hash/", "models/", "batch/", "civarchive/", "errors/bodies.json")
    assert [name for name in names(FOLDER) if not name.startswith(known) and name not in ELSEWHERE] == []
    assert len(CARDS) > 20


@needs_captures
@pytest.mark.parametrize("name", CARDS)
def test_every_card_of_a_captured_answer_can_be_kept(name: str) -> None:
    made = list(cards(name, received(captured_json(name))))
    for card in made:
        check_storable(card)
        assert card.version_id
        assert card.downloadable is (card.not_downloadable_because is None)
    rows_or_extracts = ("batch/by-hash-request", "batch/ids-", "models/seed-")
    assert made or name.startswith(rows_or_extracts)


@needs_captures
@pytest.mark.parametrize("name", CARDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_captured_answer_may_be_spoiled_anywhere(name: str, data: st.DataObject) -> None:
    """F55, F56, F57."""
    document = captured_json(name)
    for way, how, junk in data.draw(changes(document)):
        spoil(document, way, how, junk)
    for card in cards(name, received(document)):
        check_storable(card)
        assert card.downloadable is (card.not_downloadable_because is None)


@needs_captures
@pytest.mark.parametrize("rows", ["batch/ids-response.constructed.json", "batch/ids-response-docs.json"])
def test_the_captured_batch_is_answered_hash_by_hash(rows: str) -> None:
    """Quirks 1, 2, 5."""
    asked = [subject(text) for text in captured_json("batch/by-hash-request.json")]
    with standing() as setting:
        _play(setting.site, "by-hash", captured_json("batch/by-hash-response.constructed.json"))
        _play(setting.site, "ids", captured_json(rows))
        answers = {text[:4]: answer for text, answer in setting.provider.ask(asked)}
        assert isinstance(answers["0000"], Absent)
        for start, numbers in {"a599": (215485, 242807), "9753": (1231067, 1387174)}.items():
            found = answers[start]
            assert isinstance(found, Found)
            assert (found.card.model_id, found.card.version_id) == numbers
            assert "undefined" not in json.dumps(found.card.to_json())


def _play(site: Standin, route: str, document: Any) -> None:
    site.fail_next(1, status=200, body=json.dumps(document).encode(), route=route)


def _bodies() -> list[dict[str, Any]]:
    return captured_json("errors/bodies.json") if FOLDER else []


@needs_captures
@pytest.mark.parametrize("case", _bodies(), ids=lambda case: case["case"])
def test_every_captured_error_is_a_refusal_or_a_trouble_and_never_a_no(case: dict[str, Any]) -> None:
    """Quirks 32 to 37."""
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    headers = [f"{name}: {value}" for name, value in case["headers"].items() if name != "Content-Type"]
    kind = case["headers"].get("Content-Type", "application/json")
    answer = reply(body.encode(), status=f"{case['status']} X", headers=headers, kind=kind)
    world = World(running=True)
    with FaultServer(answer) as server:
        provider = Civitai(Civitai.Options(base_url=server.url), world.surroundings)
        with pytest.raises(Trouble):
            list(provider.ask([subject(SHA)]))
        provider.close()
    named = {name.lower(): [value] for name, value in case["headers"].items()}
    url = "https://civitai.com/api/download/models/50"
    answered = DownloadAnswer(status=case["status"], headers=named, body=body.encode())
    said = judge_download(url, answered, with_key=False, now=START)
    assert isinstance(said, Trouble)
    assert not isinstance(said, Bytes)
