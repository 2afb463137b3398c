import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.watch.filters import Kind, Names, companions_of, is_temporary


@pytest.mark.parametrize(
    "relpath",
    [
        "x.safetensors",
        "a/b/x.sft",
        "X.SafeTensors",
        "with space.safetensors",
        "ünïcode.safetensors",
        "a.b.c.sft",
    ],
)
def test_model_files_are_ours(relpath: str) -> None:
    assert Names().kind_of(relpath) is Kind.OURS


@pytest.mark.parametrize(
    "relpath",
    [
        "x.safetensors.part",
        "x.safetensors.PART",
        "x.safetensors.part12",
        "x.safetensors.crdownload",
        "Unconfirmed 4711.crdownload",
        "Unconfirmed 1234567.smdownload",
        "x.safetensors.aria2",
        "x.download.tmp",
        "x.downloading",
        "x.safetensors.tmp2",
        "x.safetensors.0123abcd.partial",
        "abcdef.12345678.incomplete",
        "x.safetensors.opdownload",
        "x.safetensors.!qB",
        "x.safetensors.!ut",
        "x.safetensors.filepart",
        ".x.safetensors.Ab12Cd",
        ".x.safetensors",
        ".syncthing.x.safetensors.tmp",
        "~syncthing~x.safetensors.tmp",
        "~x.safetensors",
        ".hashtagd-1234.safetensors",
        ".x.safetensors.hashtagd-part",
    ],
)
def test_unfinished_and_hidden_files_are_temporary(relpath: str) -> None:
    """F12. Our own temporary names are among them."""
    assert Names().kind_of(relpath) is Kind.TEMPORARY
    assert is_temporary(relpath)


@pytest.mark.parametrize(
    "relpath",
    [
        "x.metadata.json",
        "x.civitai.info",
        "x.preview.png",
        "x.sha256",
        "x.txt",
        "safetensors",
        "x.safetensors.rgthree-info.json",
        "x.gguf",
    ],
)
def test_sidecars_and_other_files_are_foreign(relpath: str) -> None:
    """F12."""
    assert Names().kind_of(relpath) is Kind.FOREIGN


@pytest.mark.parametrize(
    "folder",
    [".git", ".cache", ".lm-pending-delete", "tmpinstall_ab12", "x.safetensors.download", "~trash", ".x/y"],
)
def test_folders_of_unfinished_or_deleted_files_are_not_entered(folder: str) -> None:
    assert not Names().enters(folder)
    assert not Names().enters(f"a/{folder}/b")
    assert Names().kind_of(f"a/{folder}/x.safetensors") is Kind.FOREIGN


def test_ordinary_folders_are_entered() -> None:
    assert all(Names().enters(folder) for folder in ["", "a", "a/b c/ü", "downloads", "cache"])


def test_names_that_are_not_utf8_are_told_apart() -> None:
    """F18."""
    name = b"\xff\xfe.safetensors".decode(errors="surrogateescape")
    assert Names().kind_of(name) is Kind.UNSPEAKABLE
    assert Names().kind_of(f"{name}/x.safetensors") is Kind.UNSPEAKABLE
    assert not Names().enters_child(name)


@pytest.mark.parametrize(
    "name", ["a\nb.safetensors", "\u202egpj.safetensors", "\x1b[2J.safetensors", "n" * 243 + ".safetensors"]
)
def test_strange_but_valid_names_are_ours(name: str) -> None:
    """F18."""
    assert Names().kind_of(name) is Kind.OURS


def test_extensions_are_by_choice() -> None:
    names = Names(extensions=(".GGUF",))
    assert names.kind_of("x.gguf") is Kind.OURS
    assert names.kind_of("x.safetensors") is Kind.FOREIGN


@pytest.mark.parametrize(
    "glob,relpath,excluded",
    [
        ("*test*", "a/mytest.safetensors", True),
        ("old", "a/old/b/x.safetensors", True),
        ("old", "a/older/x.safetensors", False),
        ("old/", "old/x.safetensors", True),
        ("a/*", "a/x.safetensors", True),
        ("a/*", "b/a/x.safetensors", False),
        ("/a/x.safetensors", "a/x.safetensors", True),
        ("**/x.safetensors", "x.safetensors", True),
        ("**/x.safetensors", "a/b/x.safetensors", True),
        ("a/**/c", "a/b/b/c/x.safetensors", True),
        ("a/*/x.safetensors", "a/b/c/x.safetensors", False),
    ],
)
def test_globs_exclude_files_and_whole_folders(glob: str, relpath: str, excluded: bool) -> None:  # noqa: FBT001 - a table's column
    kind = Names(exclude=(glob,)).kind_of(relpath)
    assert kind is (Kind.FOREIGN if excluded else Kind.OURS)


def test_companions_are_what_downloaders_put_beside_a_model() -> None:
    companions = companions_of("x.safetensors")
    assert companions[:2] == ("x.safetensors.part", "x.safetensors.partial")
    expected = {
        "x.safetensors.aria2",
        "x.safetensors.crdownload",
        "x.download.tmp",
        "x.downloading",
        "x.part",
    }
    assert expected <= set(companions)
    assert "x.safetensors" not in companions


def test_a_name_without_a_dot_has_companions_too() -> None:
    assert "model.aria2" in companions_of("model")


@given(st.text(alphabet=st.characters(blacklist_characters="/\0"), min_size=1, max_size=40))
def test_every_companion_is_temporary(stem: str) -> None:
    assert all(is_temporary(name) for name in companions_of(f"{stem}.safetensors"))


@given(st.lists(st.text(min_size=1, max_size=8).filter(lambda part: "/" not in part), min_size=1, max_size=5))
def test_any_path_gets_a_verdict_and_folders_decide_alike(parts: list[str]) -> None:
    names = Names(exclude=("skip*", "a/**"))
    path = "/".join(parts)
    if names.kind_of(f"{path}/x.safetensors") is Kind.OURS:
        assert names.enters(path)
