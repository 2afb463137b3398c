import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.place import Place


@pytest.mark.parametrize(
    "relpath", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a/.", "..", "a\0b", "/"]
)
def test_a_path_that_is_not_inside_its_root_is_refused(relpath: str) -> None:
    with pytest.raises(ValueError, match="not a path inside a root"):
        Place(root="loras", relpath=relpath)


@pytest.mark.parametrize(
    "relpath,name,folder,stem",
    [
        ("x.safetensors", "x.safetensors", "", "x"),
        ("styles/new/x.v2.safetensors", "x.v2.safetensors", "styles/new", "x.v2"),
        ("a/.hidden", ".hidden", "a", ".hidden"),
        ("no extension", "no extension", "", "no extension"),
        ("a/back\\slash.sft", "back\\slash.sft", "a", "back\\slash"),
    ],
)
def test_a_place_knows_its_parts(relpath: str, name: str, folder: str, stem: str) -> None:
    place = Place(root="loras", relpath=relpath)
    assert (place.name, place.folder, place.stem) == (name, folder, stem)


def test_a_sibling_lies_in_the_same_folder() -> None:
    assert Place(root="r", relpath="a/x.sft").sibling("x.json") == Place(root="r", relpath="a/x.json")
    assert Place(root="r", relpath="x.sft").sibling("x.json") == Place(root="r", relpath="x.json")


def test_a_sibling_cannot_leave_the_folder_upwards() -> None:
    with pytest.raises(ValueError, match="not a path"):
        Place(root="r", relpath="a/x.sft").sibling("../x.json")


def test_places_have_an_order_by_root_then_path() -> None:
    places = [Place(root="b", relpath="a"), Place(root="a", relpath="b"), Place(root="a", relpath="a")]
    assert [f"{place.root}/{place.relpath}" for place in sorted(places)] == ["a/a", "a/b", "b/a"]


@given(st.lists(st.text(alphabet="ab./\\ ", min_size=1, max_size=6), min_size=1, max_size=4))
def test_whatever_is_accepted_stays_inside(parts: list[str]) -> None:
    relpath = "/".join(parts)
    try:
        place = Place(root="r", relpath=relpath)
    except ValueError:
        return
    assert not relpath.startswith("/")
    assert ".." not in relpath.split("/")
    assert place.sibling(place.name) == place
