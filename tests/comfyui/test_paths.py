from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.comfyui.extra_paths import ExtraPath, expand, parse_extra_paths, read_extra_paths
from hashtagd.comfyui.paths import EXTRA_PATHS_NAME, model_folders, propose_roots


def make(top: Path, *folders: str, extra: str | None = None) -> Path:
    for folder in (".", *folders):
        (top / folder).mkdir(parents=True, exist_ok=True)
    if extra is not None:
        (top / EXTRA_PATHS_NAME).write_text(extra)
    return top


def proposed(*folders: Path) -> dict[str, Path]:
    return {root.name: root.path for root in propose_roots(folders, {}).roots}


def parse(text: str, environ: dict[str, str] | None = None) -> list[tuple[str, str, bool]]:
    found = parse_extra_paths(text.encode(), Path("/comfy/extra.yaml"), environ or {})
    assert found.warnings == ()
    return [(item.key, str(item.path), item.is_default) for item in found.paths]


def test_a_comfyui_folder_gives_its_models_folder(tmp_path: Path) -> None:
    comfy = make(tmp_path / "ComfyUI", "models/loras", "models/vae")
    assert proposed(comfy) == {"models": comfy / "models"}


def test_any_other_folder_is_a_root_of_its_own_name(tmp_path: Path) -> None:
    assert proposed(make(tmp_path / "my loras!")) == {"my-loras": tmp_path / "my loras!"}
    assert proposed(Path("/")) == {"root": Path("/")}
    assert proposed(tmp_path / "not-there-yet") == {"not-there-yet": tmp_path / "not-there-yet"}


def test_extra_paths_outside_become_roots_and_those_inside_do_not(tmp_path: Path) -> None:
    make(tmp_path / "webui", "models/Lora", "models/Lora/deep", "embeddings")
    text = """
a1111:
    base_path: ../webui
    loras: |
        models/Lora
        models/Lora/deep
    embeddings: embeddings
comfyui:
    checkpoints: models/checkpoints
    custom_nodes: ../webui
"""
    comfy = make(tmp_path / "ComfyUI", "models/checkpoints", extra=text)
    expected = {
        "models": comfy / "models",
        "Lora": tmp_path / "webui" / "models" / "Lora",
        "embeddings": tmp_path / "webui" / "embeddings",
    }
    assert proposed(comfy) == expected


def test_a_folder_that_a_link_in_models_leads_to_is_reached_already(tmp_path: Path) -> None:
    make(tmp_path / "shared" / "loras")
    comfy = make(tmp_path / "ComfyUI", "models", extra=f"x:\n  loras: {tmp_path}/shared/loras\n")
    (comfy / "models" / "loras").symlink_to(tmp_path / "shared" / "loras")
    assert proposed(comfy) == {"models": comfy / "models"}


def test_folders_that_link_to_each_other_are_not_both_dropped(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    (one / "link").symlink_to(two)
    (two / "link").symlink_to(one)
    assert proposed(one, two) == {"one": one}


def test_one_folder_named_twice_is_one_root(tmp_path: Path) -> None:
    one = make(tmp_path / "one")
    (tmp_path / "alias").symlink_to(one)
    assert proposed(one, tmp_path / "alias", one) == {"one": one}


def test_names_do_not_depend_on_the_order_of_folders(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a" / "loras"), make(tmp_path / "b" / "loras")
    assert proposed(a, b) == proposed(b, a) == {"a-loras": a, "b-loras": b}


def test_names_stay_unique_whatever_the_parents_are_called(tmp_path: Path) -> None:
    folders = [make(tmp_path / top / "same" / "loras") for top in ("x", "y", "z")]
    assert len(proposed(*folders)) == 3


def test_a_folder_that_does_not_exist_here_is_a_warning(tmp_path: Path) -> None:
    comfy = make(tmp_path / "ComfyUI", "models", extra="x:\n  loras: /nowhere/at/all\n")
    proposal = propose_roots([comfy], {})
    assert [root.name for root in proposal.roots] == ["models"]
    assert len(proposal.warnings) == 1
    assert "/nowhere" not in proposal.warnings[0]


def test_a_folder_that_no_disk_could_have_is_a_warning_and_no_folder_of_any_kind(tmp_path: Path) -> None:
    comfyui = make(
        tmp_path / "ComfyUI", "models/loras", extra=f"a:\n  loras: /{'q' * 5000}\n  is_default: true\n"
    )
    proposal = propose_roots([comfyui], {})
    assert [item.path for item in proposal.roots] == [comfyui / "models"]
    assert len(proposal.warnings) == 1
    assert model_folders(comfyui, {})["loras"] == (comfyui / "models" / "loras",)


def test_a_folder_that_no_root_may_be_is_left_out_however_it_is_spelled(tmp_path: Path) -> None:
    """A root that holds everything would take the place of all others, and a unit would open it."""
    comfyui, private, fine = tmp_path / "ComfyUI", tmp_path / "private", tmp_path / "fine"
    for folder in (comfyui / "models", private, fine):
        folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(private)
    lines = "\n".join(f"    {it}" for it in (private, tmp_path / "link", fine))
    (comfyui / EXTRA_PATHS_NAME).write_text(f"x:\n  loras: |\n{lines}\n", encoding="utf-8")
    proposal = propose_roots([comfyui], {}, lambda path: "must not be this" if path == private else None)
    assert [root.path for root in proposal.roots] == [comfyui / "models", fine]
    assert proposal.warnings == (
        f"{EXTRA_PATHS_NAME}: a folder of loras is left out: a root must not be this",
    )


def test_kinds_of_folder_are_listed_best_first(tmp_path: Path) -> None:
    make(tmp_path / "fast")
    make(tmp_path / "slow")
    text = f"a:\n  loras: {tmp_path}/slow\nb:\n  is_default: true\n  loras: {tmp_path}/fast\n"
    comfy = make(tmp_path / "ComfyUI", "models/loras", "models/unet", "models/configs", extra=text)
    found = model_folders(comfy, {})
    assert found["loras"] == (tmp_path / "fast", comfy / "models" / "loras", tmp_path / "slow")
    assert found["diffusion_models"] == (comfy / "models" / "unet",)
    assert "configs" not in found


def test_paths_are_joined_to_the_base_or_to_the_file() -> None:
    assert parse(
        "a:\n  base_path: sub\n  loras: x\nb:\n  loras: y\nc:\n  base_path: /abs\n  vae: /other\n"
    ) == [
        ("loras", "/comfy/sub/x", False),
        ("loras", "/comfy/y", False),
        ("vae", "/other", False),
    ]


def test_base_path_knows_home_and_variables_and_lines_do_not() -> None:
    text = "a:\n  base_path: ~/$DISK/${SUB}x\n  loras: $DISK\n"
    assert parse(text, {"HOME": "/home/u", "DISK": "d", "SUB": "s"}) == [
        ("loras", "/home/u/d/sx/$DISK", False)
    ]


def test_block_scalars_hold_one_path_a_line_and_blank_lines_nothing() -> None:
    assert parse("a:\n  loras: |\n    one\n\n    two words\n    one\n") == [
        ("loras", "/comfy/one", False),
        ("loras", "/comfy/two words", False),
    ]


def test_default_paths_come_first() -> None:
    text = "a:\n  loras: x\nb:\n  is_default: true\n  loras: y\n"
    assert parse(text) == [("loras", "/comfy/y", True), ("loras", "/comfy/x", False)]


def test_former_names_of_kinds_are_understood_and_own_ones_kept() -> None:
    assert [key for key, _, _ in parse("a:\n  unet: u\n  clip: c\n  my_kind: m\n")] == [
        "diffusion_models",
        "text_encoders",
        "my_kind",
    ]


@pytest.mark.parametrize("text", ["", "a:\n", "a:\nb:\n  loras:\n", "# only a comment\n"])
def test_empty_files_sections_and_keys_hold_nothing(text: str) -> None:
    assert parse(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "a:\n  loras: [x, y]\n",
        "a:\n  loras: 2026-01-01\n",
        "a:\n  base_path: [x]\n  loras: y\n",
        "a: text\n",
        "[1, 2]\n",
        "a: {secret: [\n",
        "a: !!python/object:os.system {}\n",
        "\x00",
        'a:\n  loras: "x\\0y"\n',
        'a:\n  base_path: "/\\ud800"\n  loras: x\n',
        "a: " + "[" * 1_500,
    ],
)
def test_what_is_wrong_is_a_warning_and_never_quotes_the_file(text: str) -> None:
    found = parse_extra_paths(text.encode(), Path("/comfy/extra.yaml"), {})
    assert found.paths == ()
    assert len(found.warnings) == 1
    assert "secret" not in found.warnings[0]


def test_one_wrong_key_does_not_cost_the_others() -> None:
    found = parse_extra_paths(b"a:\n  loras: [x]\n  vae: v\n", Path("/comfy/extra.yaml"), {})
    assert found.paths == (ExtraPath(key="vae", path=Path("/comfy/v"), is_default=False),)
    assert len(found.warnings) == 1


def test_a_file_that_is_not_there_or_too_large_holds_nothing(tmp_path: Path) -> None:
    assert read_extra_paths(tmp_path / "none.yaml", {}).warnings == ()
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 2_000_000)
    assert len(read_extra_paths(large, {}).warnings) == 1
    assert len(read_extra_paths(tmp_path, {}).warnings) == 1


def test_a_file_that_names_as_much_as_it_may_is_read_all_the_same() -> None:
    """If each were compared with all others, this would take minutes, and the limit of a test ends it."""
    lines = "".join(f"    p{number}\n" for number in range(30_000))
    assert len(parse(f"a:\n  loras: |\n{lines}")) == 30_000


def test_merges_that_would_grow_without_end_do_not() -> None:
    """PyYAML before 6.0.4 copies what is merged, once for each time it is merged."""
    laughs = "".join(
        f"b{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 8)}]}}\n" for level in range(1, 20)
    )
    assert parse(f"b0: &a0 {{loras: x}}\n{laughs}") == [("loras", "/comfy/x", False)]


def test_unknown_variables_stay_as_they_are() -> None:
    assert expand("$NO/${NEITHER}/~", {}) == "$NO/${NEITHER}/~"


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    parse_extra_paths(content, Path("/comfy/extra.yaml"), {})
