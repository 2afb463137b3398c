import pytest

from hashtagd.core.chain import Chain, Link
from hashtagd.core.digests import SHA256_OF_NOTHING, Digests
from hashtagd.core.work import HashKind, Put, QuestionKey

SHA, TENSORS = "a" * 64, "b" * 64
BYTES = Digests(sha256=SHA, tensors_sha256=TENSORS)
WHOLE = Chain(
    (
        Link(name="civitai", by_tensors=True),
        Link(name="archive", slow=True),
        Link(name="other archive", slow=True),
        Link(name="header"),
    )
)


def asked(provider: str, *, background: bool = False) -> Put:
    key = QuestionKey(hash_kind=HashKind.SHA256, hash=SHA, provider=provider)
    return Put(key=key, background=background)


TENSORS_TOO = Put(
    key=QuestionKey(hash_kind=HashKind.TENSORS, hash=TENSORS, provider="civitai"), background=True
)


def test_a_new_hash_is_put_to_the_first_provider() -> None:
    assert WHOLE.first(SHA) == (asked("civitai"),)
    assert Chain().first(SHA) == ()


def test_nobody_waits_for_slow_providers_that_stand_first() -> None:
    chain = Chain((Link(name="archive", slow=True), Link(name="civitai"), Link(name="header")))
    assert chain.first(SHA) == (asked("archive", background=True), asked("civitai"))
    assert Chain((Link(name="archive", slow=True),)).first(SHA) == (asked("archive", background=True),)


def test_a_miss_asks_the_slow_ones_the_next_one_and_about_the_tensors() -> None:
    assert WHOLE.after("civitai", BYTES) == (
        asked("archive", background=True),
        asked("other archive", background=True),
        asked("header"),
        TENSORS_TOO,
    )
    assert WHOLE.after("header", BYTES) == ()
    assert WHOLE.after("a provider of former settings", BYTES) == ()


@pytest.mark.parametrize("tensors", [None, SHA256_OF_NOTHING])
def test_tensors_that_tell_nothing_apart_are_not_asked_about(tensors: str | None) -> None:
    """Quirk 50."""
    puts = WHOLE.after("civitai", Digests(sha256=SHA, tensors_sha256=tensors))
    assert [put.key.hash_kind for put in puts] == [HashKind.SHA256] * 3


def test_a_file_that_its_site_does_not_give_out_is_looked_for_in_the_archives_behind_it() -> None:
    assert WHOLE.elsewhere("civitai", SHA) == (
        asked("archive", background=True),
        asked("other archive", background=True),
    )
    assert WHOLE.elsewhere("header", SHA) == ()
    assert WHOLE.elsewhere("nobody", SHA) == ()


def test_the_first_that_can_be_asked_about_tensors_is() -> None:
    assert WHOLE.asked_by_tensors == "civitai"
    assert Chain((Link(name="header"),)).asked_by_tensors is None
