"""Sidecars of other programs, read as entries of a list."""

from typing import Any

import pytest

from hashtagd.core.card import DownloadUrl
from hashtagd.core.foreign_lists import entry_in, sidecars_in
from hashtagd.core.manifest import Entry, UnusableLine

SHA = "ab" * 32
#: as LoRA Manager keeps a model of Civitai
LORA_MANAGER: dict[str, Any] = {
    "file_name": "ink",
    "model_name": "Ink Wash",
    "file_path": "/home/joe/ComfyUI/models/loras/styles/ink.safetensors",
    "size": 57427724.0,
    "modified": 1755869871.5,
    "sha256": SHA,
    "base_model": "Illustrious",
    "preview_url": "",
    "notes": "mine",
    "civitai": {
        "id": 2130994,
        "modelId": 1882733,
        "name": "v1.0",
        "model": {"type": "LORA"},
        "files": [
            {"id": 1, "hashes": {"SHA256": "CD" * 32}},
            {
                "id": 77,
                "name": "ink_v1.safetensors",
                "hashes": {"SHA256": SHA.upper()},
                "downloadUrl": "https://civitai.com/api/download/models/2130994?fileId=77",
            },
        ],
    },
}
STABILITY_MATRIX: dict[str, Any] = {
    "ModelId": 1882733,
    "ModelName": "Ink Wash",
    "VersionId": 2130994,
    "VersionName": "v1.0",
    "RemoteFileId": 77,
    "RemoteFileName": "ink_v1.ckpt",
    "ModelType": "LORA",
    "BaseModel": "Illustrious",
    "Hashes": {"SHA256": SHA.upper(), "BLAKE3": "00"},
}
KNOWN = Entry(
    path="styles/ink.safetensors",
    size_bytes=57427724,
    sha256=SHA,
    model_id=1882733,
    version_id=2130994,
    file_id=77,
    model_name="Ink Wash",
    version_name="v1.0",
    kind="LORA",
    base_model="Illustrious",
    urls=(DownloadUrl(url="https://civitai.com/api/download/models/2130994?fileId=77", source="civitai"),),
)


def lora_manager(*names: str, **changes: Any) -> Entry:
    return entry_in({**LORA_MANAGER, **changes}, ".metadata.json", "styles/ink", names)


def stability_matrix(*names: str, **changes: Any) -> Entry:
    return entry_in({**STABILITY_MATRIX, **changes}, ".cm-info.json", "styles/ink", names)


def test_a_sidecar_of_lora_manager_is_an_entry_without_its_owner_s_folders() -> None:
    assert lora_manager() == KNOWN


def test_a_sidecar_of_stability_matrix_is_an_entry() -> None:
    entry = stability_matrix()
    assert entry.path == "styles/ink.ckpt"
    assert (entry.model_id, entry.version_id, entry.file_id) == (1882733, 2130994, 77)
    assert (entry.sha256, entry.size_bytes, entry.urls) == (SHA, None, ())
    assert (entry.model_name, entry.version_name, entry.kind) == ("Ink Wash", "v1.0", "LORA")


@pytest.mark.parametrize(
    "names,changes,path",
    [
        (("ink.gguf", "ink.metadata.json", "x.ckpt"), {}, "styles/ink.gguf"),
        ((), {"file_path": "C:/models/other.CKPT"}, "styles/ink.ckpt"),
        ((), {"file_path": None}, "styles/ink.safetensors"),
        ((), {"file_path": "x.txt", "civitai": {}}, "styles/ink.safetensors"),
    ],
)
def test_the_model_s_ending_is_the_one_that_lies_there_or_is_told(
    names: tuple[str, ...], changes: dict[str, Any], path: str
) -> None:
    assert lora_manager(*names, **changes).path == path


@pytest.mark.parametrize(
    "changes",
    [{"civitai": {}}, {"civitai": None}, {"civitai": {"files": 5}}, {"civitai": {"files": [None]}}],
)
def test_a_model_that_lora_manager_knows_by_its_hash_only_is_one_too(changes: dict[str, Any]) -> None:
    entry = lora_manager(**changes)
    assert (entry.sha256, entry.model_id, entry.version_id, entry.urls) == (SHA, None, None, ())


def test_a_hash_that_is_still_to_be_computed_is_unknown() -> None:
    assert lora_manager(sha256="", hash_status="pending", size=1.75).sha256 is None
    assert lora_manager(size=1.75).size_bytes == 2


def test_numbers_of_other_sites_are_not_taken_for_civitai_s() -> None:
    assert stability_matrix(Source=0).version_id == 2130994
    entry = stability_matrix(Source=1)
    assert (entry.model_id, entry.version_id, entry.file_id) == (None, None, None)


def test_a_hash_that_is_none_is_a_mistake() -> None:
    with pytest.raises(UnusableLine, match="SHA-256"):
        lora_manager(sha256="nonsense")
    with pytest.raises(UnusableLine, match="SHA-256"):
        stability_matrix(Hashes={"SHA256": "nonsense"})
    with pytest.raises(UnusableLine, match="bytes"):
        lora_manager(size=float("inf"))


def test_what_is_no_object_is_a_mistake() -> None:
    with pytest.raises(UnusableLine, match="object"):
        entry_in([], ".metadata.json", "x", ())


def test_of_two_sidecars_of_one_model_one_is_read() -> None:
    names = {"b.cm-info.json", "a.metadata.json", "a.cm-info.json", "a.safetensors", ".metadata.json"}
    assert list(sidecars_in(names)) == [("a", ".metadata.json"), ("b", ".cm-info.json")]
