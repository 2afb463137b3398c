"""A file system whose inode numbers mean nothing: size and time alone tell whether bytes changed."""

from dataclasses import replace

import pytest

from hashtagd.catalog.notes import Noted
from hashtagd.core.work import Defer, Stage
from support.library import BUSY, ROOT, Library, card, stamp_of


@pytest.mark.parametrize("gone_between", [False, True])
def test_a_stamp_whose_inode_is_not_trusted_any_more_is_no_change(
    library: Library, *, gone_between: bool
) -> None:
    library.publish_whole("x", card())
    if gone_between:
        library.lose("x")
    untrusted = replace(stamp_of("x"), inode=0)
    expected = Noted(new=1) if gone_between else Noted(same=1)
    assert library.catalog.note([library.saw("x", untrusted)]) == expected
    assert library.catalog.scans.files_in(ROOT, "") == {"x": untrusted}
    assert library.claim(Stage.SETTLE) == []
    assert library.note("x") == Noted(same=1), "and a number it has again proves nothing either"
    assert library.catalog.scans.files_in(ROOT, "") == {"x": untrusted}
    before = library.catalog.change_token()
    assert library.catalog.note([library.saw("x", untrusted)]) == Noted(same=1)
    assert library.catalog.change_token() == before


def test_without_a_trusted_inode_size_and_time_still_tell_a_change(library: Library) -> None:
    library.publish_whole("x", card())
    for change in ({"size_bytes": 5}, {"mtime_ns": 6}):
        untrusted = replace(stamp_of("x"), inode=0, **change)
        assert library.catalog.note([library.saw("x", untrusted)]) == Noted(changed=1)
        library.settle()
        library.digest()


def test_a_worker_keeps_its_claim_when_only_the_trust_in_inodes_goes(library: Library) -> None:
    library.note("x")
    library.settle()
    claim = library.claim_one(Stage.DIGEST)
    assert library.catalog.note([library.saw("x", replace(stamp_of("x"), inode=0))]) == Noted(same=1)
    assert library.catalog.apply([(claim, Defer(trouble=BUSY, wait_s=1.0))]) == [True]
