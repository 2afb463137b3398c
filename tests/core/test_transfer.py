import pytest

from hashtagd.core.place import Place
from hashtagd.core.transfer import Wanted

PLACE = Place(root="loras", relpath="x.safetensors")


@pytest.mark.parametrize("sha256", ["", "A" * 64, "a" * 63, "a" * 65, "g" * 64])
def test_what_is_no_hash_cannot_be_wanted(sha256: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hexadecimal digits"):
        Wanted(place=PLACE, sha256=sha256, size_bytes=None, sources=())


@pytest.mark.parametrize("sha256", [None, "0123456789abcdef" * 4])
def test_a_file_may_be_wanted_with_a_hash_or_without(sha256: str | None) -> None:
    assert Wanted(place=PLACE, sha256=sha256, size_bytes=None, sources=()).sha256 == sha256
