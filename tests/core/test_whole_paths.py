import pytest

from hashtagd.core.whole_paths import whole_path


@pytest.mark.parametrize("text", ["/srv/cards", "~/cards", "/srv/../cards"])
def test_a_path_that_means_the_same_from_everywhere_is_taken_as_it_is(text: str) -> None:
    assert whole_path(text) == text


@pytest.mark.parametrize("text", ["", "cards", "./cards", "../cards", "~", "~somebody/cards", "/srv/\0"])
def test_any_other_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an absolute path"):
        whole_path(text)
