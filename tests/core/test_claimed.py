"""Whose bytes a file claims to hold."""

import pytest
from hypothesis import given

from hashtagd.core.claimed import ClaimedVersion, claimed_tensors_sha256, claimed_version
from hashtagd.core.digests import SHA256_OF_NOTHING, is_sha256
from hashtagd.core.header import Header
from support.hearsay import CHANGES, RETYPED, changed

FIRST = "ab" * 32
SECOND = "cd" * 32


def header(metadata: dict[str, str]) -> Header:
    return Header(length_bytes=100, tensor_count=1, metadata=metadata)


@pytest.mark.parametrize(
    "metadata,claim",
    [
        ({}, None),
        ({"sshs_model_hash": FIRST}, FIRST),
        ({"sshs_model_hash": f" 0x{FIRST.upper()}\n"}, FIRST),
        ({"sshs_model_hash": f"0X{FIRST}"}, FIRST),
        ({"modelspec.hash_sha256": f"0x{SECOND}"}, SECOND),
        ({"sshs_model_hash": FIRST, "modelspec.hash_sha256": SECOND}, FIRST),
        ({"sshs_model_hash": FIRST[:12], "modelspec.hash_sha256": SECOND}, SECOND),
        ({"sshs_model_hash": SHA256_OF_NOTHING, "modelspec.hash_sha256": SECOND}, SECOND),
        ({"modelspec.hash_sha256": f"0x{SHA256_OF_NOTHING}"}, None),
        ({"sshs_model_hash": FIRST[1:]}, None),
        ({"sshs_model_hash": f"{FIRST}0"}, None),
        ({"sshs_model_hash": f"0x0x{FIRST}"}, None),
        ({"sshs_model_hash": "g" * 64}, None),
        ({"sshs_model_hash": "٣" * 64}, None),
        ({"sshs_legacy_hash": FIRST}, None),
    ],
)
def test_only_a_full_hash_of_something_is_a_claim(metadata: dict[str, str], claim: str | None) -> None:
    assert claimed_tensors_sha256(header(metadata)) == claim


def version(model_id: int, version_id: int | None = None, air: str | None = None) -> ClaimedVersion:
    return ClaimedVersion(model_id=model_id, version_id=version_id, air=air)


AIR = "urn:air:sdxl:lora:civitai:12@34"


@pytest.mark.parametrize(
    "text,claim",
    [
        (AIR, version(12, 34, AIR)),
        (f" {AIR.upper()}\n", version(12, 34, AIR.upper())),
        (f"{AIR}:0.safetensors", version(12, 34, AIR)),
        (f"{AIR}.safetensors", version(12, 34, AIR)),
        ("urn:air:sdxl:lora:civitai:12", version(12, None, "urn:air:sdxl:lora:civitai:12")),
        ("urn:air:flux1:lora:huggingface:somelab/x@main", None),
        ("urn:air:sdxl:lora:civitai:0@1", None),
        ("urn:air:sdxl:lora:civitai:12@x", None),
        (f"urn:air:sdxl:lora:civitai:{'9' * 19}@1", None),
        (f"see {AIR}", None),
    ],
)
@pytest.mark.parametrize("key", ["air", "modelspec.air"])
def test_a_resource_name_is_read(key: str, text: str, claim: ClaimedVersion | None) -> None:
    assert claimed_version({key: text}) == claim


@pytest.mark.parametrize(
    "key,text,claim",
    [
        ("source_arn", "civitai:model:12:version:34", version(12, 34)),
        ("source_arn", "urn:civitai:model:12", version(12)),
        ("source_arn", "civitai:model:12:version:", None),
        ("source_url", "https://civitai.com/models/12", version(12)),
        ("source_url", "https://civitai.com/models/12/", version(12)),
        ("source_url", "https://www.civitai.com/models/12/made-style", version(12)),
        ("source_url", "https://civitai.com/models/12/x?modelVersionId=34", version(12, 34)),
        ("source_url", "https://civitai.red/models/12?a=1&modelVersionId=34&b=2#c", version(12, 34)),
        ("source_url", "https://civitai.com/models/12?modelVersionId=x", version(12)),
        ("source_url", f"https://civitai.com/models/12?modelVersionId={'9' * 19}", version(12)),
        ("source_url", "https://civitai.com/models/12abc", None),
        ("source_url", "https://civitai.com.example/models/12", None),
        ("source_url", "https://civitai.com@models.example/models/12", None),
        ("source_url", "https://models.example/?u=https://civitai.com/models/12", None),
        ("source_url", "https://civitai.com/models/12" + "?" * 3_000, None),
        ("source_url", "https://[", None),
        ("repo_url", "https://civitai.com/models/12", None),
    ],
)
def test_a_page_and_a_source_are_read(key: str, text: str, claim: ClaimedVersion | None) -> None:
    assert claimed_version({key: text}) == claim


def test_the_first_claim_that_names_a_version_wins() -> None:
    page = {"source_url": "https://civitai.com/models/12?modelVersionId=34"}
    assert claimed_version({"source_arn": "civitai:model:12", **page}) == version(12, 34)
    assert claimed_version({"air": AIR.replace("34", "35"), **page}) == version(
        12, 35, AIR.replace("34", "35")
    )
    assert claimed_version(
        {"source_arn": "civitai:model:1", "source_url": "https://civitai.com/models/2"}
    ) == version(1)


@given(CHANGES, RETYPED)
def test_no_metadata_make_a_claim_that_cannot_be_stored(
    changes: list[tuple[str, str, str]], odd: str
) -> None:
    metadata = changed(changes)
    for made in (metadata, {**metadata, "sshs_model_hash": odd, "air": odd}):
        claim = claimed_tensors_sha256(header(made))
        assert claim is None or is_sha256(claim)
        found = claimed_version(made)
        if found is not None:
            assert 0 < found.model_id < 2**63
            assert found.version_id is None or 0 < found.version_id < 2**63
