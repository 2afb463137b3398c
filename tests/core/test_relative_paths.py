"""Which paths of a list may become files, and which are a stranger's attempt at something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.filenames import safe_name
from hashtagd.core.place import Place
from hashtagd.core.relative_paths import MODEL_SUFFIXES, broken_rule


@pytest.mark.parametrize(
    "path",
    [
        "x.safetensors",
        "styles/Öl & Aquarell/x.SafeTensors",
        "characters/原神/герой 🦊.gguf",
        "a..b/c...d.sft",
        "[v2] (final), 100%.ckpt",
        "auxiliary/console/nullify.pt",
        "com10/lpt.pth",
        "two\nlines.bin",
    ],
)
def test_paths_of_models_below_a_root_are_taken(path: str) -> None:
    assert broken_rule(path) is None
    assert Place(root="loras", relpath=path).relpath == path


@pytest.mark.parametrize(
    "path,rule",
    [
        ("", "part without a name"),
        ("/etc/x.safetensors", "absolute"),
        ("//server/share/x.safetensors", "absolute"),
        ("C:/x.safetensors", "absolute"),
        ("c:\\x.safetensors", "backslash"),
        ("\\\\server\\x.safetensors", "backslash"),
        ("..\\x.safetensors", "backslash"),
        ("../x.safetensors", "leaves its root"),
        ("a/../../x.safetensors", "leaves its root"),
        ("a/..", "leaves its root"),
        ("a//x.safetensors", "part without a name"),
        ("a/./x.safetensors", "part without a name"),
        ("./x.safetensors", "part without a name"),
        ("a/x.safetensors/", "part without a name"),
        ("a/.. /x.safetensors", "part without a name"),
        ("a/ . ./x.safetensors", "part without a name"),
        ("a/\0/x.safetensors", "characters"),
        ("a/\ud800.safetensors", "characters"),
        (".hashtagd-0123.safetensors", "hidden"),
        (".ssh/x.safetensors", "hidden"),
        ("~/x.safetensors", "hidden"),
        ("a/.x.safetensors", "hidden"),
        ("aux.safetensors", "device"),
        ("a/NUL/x.safetensors", "device"),
        ("Com1.x.safetensors", "device"),
        ("lpt\u00b9.safetensors", "device"),
        ("con .safetensors", "device"),
        ("conin$.safetensors", "device"),
        ("x", "end as a model file"),
        ("authorized_keys", "end as a model file"),
        ("x.safetensors.py", "end as a model file"),
        ("x.part", "end as a model file"),
    ],
)
def test_every_way_out_is_named(path: str, rule: str) -> None:
    assert rule in (broken_rule(path) or "")


@given(st.text(alphabet="ab./\\~ :\0", max_size=12), st.sampled_from(("", *MODEL_SUFFIXES)))
def test_what_is_taken_is_always_a_place_below_the_root(text: str, suffix: str) -> None:
    path = text + suffix
    if broken_rule(path) is None:
        parts = Place(root="loras", relpath=path).relpath.split("/")
        assert not {"", ".", ".."} & {part.strip() for part in parts}


@given(st.text(), st.sampled_from(MODEL_SUFFIXES))
def test_a_name_that_was_made_safe_is_one_that_lists_may_have(text: str, suffix: str) -> None:
    assert broken_rule(safe_name(text + suffix, otherwise="model.safetensors")) is None
