import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from hashtagd.core.troubles import Scope, TryLater
from hashtagd.core.work import Absent, Found, Subject
from hashtagd.service.clock import SystemClock
from hashtagd.service.lookup import Looked, look_up, subject_of
from support.library import card
from support.oracle import Oracle
from support.safetensors import write
from support.serving import TickingPause, later
from support.surroundings import sha, subject


def looked(hashes: Sequence[str], *providers: Oracle) -> dict[str, Looked]:
    return {it.subject.hash: it for it in look_up([subject(it) for it in hashes], providers)}


def test_the_next_provider_is_asked_about_what_the_one_before_called_absent() -> None:
    first = Oracle("first", {sha(1): Found(card=card("one")), sha(2): Absent(), sha(3): Absent()})
    second = Oracle("second", {sha(2): Found(card=card("two")), sha(3): Absent()})
    found = looked([sha(1), sha(2), sha(3)], first, second)
    assert second.asked == [[sha(2), sha(3)]]
    names = {key: it.card.model_name if it.card else None for key, it in found.items()}
    assert names == {sha(1): "one", sha(2): "two", sha(3): None}
    assert found[sha(3)].trouble is None


def test_an_outage_is_never_taken_for_an_answer() -> None:
    outage = later("outage", Scope.PROVIDER)
    first = Oracle("first", {sha(1): Absent()}, ends=outage)
    second = Oracle("second", {sha(1): Absent()})
    found = looked([sha(1), sha(2)], first, second)
    assert found[sha(2)].trouble is outage
    assert second.asked == [[sha(1)]]


def test_a_site_without_a_word_about_a_hash_has_not_said_that_it_does_not_know_it() -> None:
    second = Oracle("second")
    found = looked([sha(1)], Oracle("first"), second)
    assert isinstance(found[sha(1)].trouble, TryLater)
    assert second.asked == []


def test_a_hash_the_site_refuses_has_its_own_trouble() -> None:
    refused = later("refused", Scope.FILE)
    found = looked([sha(1)], Oracle("first", {sha(1): refused, sha(9): Absent()}))
    assert found[sha(1)].trouble is refused
    assert set(found) == {sha(1)}


def test_without_providers_nobody_knows_anything() -> None:
    assert looked([sha(1)])[sha(1)] == Looked(subject=subject(sha(1)), card=None, trouble=None)


def test_a_file_is_hashed_as_the_daemon_would(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", metadata={"ss_output_name": "x"})
    found = subject_of(path, clock=SystemClock(), pause=TickingPause())
    assert isinstance(found, Subject)
    assert found.hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.header is not None
    assert found.header.metadata["ss_output_name"] == "x"
    assert found.size_bytes == path.stat().st_size


def test_a_file_of_another_kind_is_hashed_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    path.write_bytes(b"<html>log in</html>" * 9)
    found = subject_of(path, clock=SystemClock(), pause=TickingPause())
    assert isinstance(found, Subject)
    assert found.header is None


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        subject_of(tmp_path, clock=SystemClock(), pause=TickingPause())
