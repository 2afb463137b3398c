import hashlib

import pytest

from hashtagd.core.digests import SHA256_OF_NOTHING, Digests, is_sha256

SHA256 = hashlib.sha256(b"whole file").hexdigest()
TENSORS = hashlib.sha256(b"tensors").hexdigest()


def test_the_short_names_are_the_first_digits() -> None:
    digests = Digests(sha256=SHA256, tensors_sha256=TENSORS)
    assert digests.autov2 == SHA256[:10]
    assert digests.autov3 == TENSORS[:12]


def test_a_file_without_a_tensor_part_has_no_autov3() -> None:
    assert Digests(sha256=SHA256).autov3 is None


def test_the_hash_of_nothing_is_no_name() -> None:
    assert hashlib.sha256(b"").hexdigest() == SHA256_OF_NOTHING
    assert Digests(sha256=SHA256, tensors_sha256=SHA256_OF_NOTHING).autov3 is None


@pytest.mark.parametrize(
    "text", ["", SHA256.upper(), SHA256[:-1], SHA256 + "0", "g" * 64, SHA256[:-1] + "\n"]
)
def test_what_is_not_64_lower_case_digits_is_refused(text: str) -> None:
    assert not is_sha256(text)
    with pytest.raises(ValueError, match="64 lower-case"):
        Digests(sha256=text)
    with pytest.raises(ValueError, match="64 lower-case"):
        Digests(sha256=SHA256, tensors_sha256=text)
