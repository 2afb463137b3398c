from dataclasses import replace

import pytest

from hashtagd.core.card import Availability, Card, Confidence, Download, DownloadUrl
from hashtagd.core.picking import Choice, choice_in, pick_file, with_first
from hashtagd.core.troubles import GiveUp

URL = DownloadUrl(url="https://civitai.com/api/download/models/1?fileId=2", source="civitai")


def file(number: int, name: str = "m.safetensors", **changes: object) -> Download:
    made = Download(
        file_id=number,
        name=name,
        type="Model",
        primary=False,
        size_bytes=10,
        sha256=f"{number:064x}",
        autov3=None,
        urls=(URL,),
    )
    return replace(made, **changes)  # type: ignore[arg-type] # fields by name


def card(*files: Download, **changes: object) -> Card:
    made = Card(
        provider="civitai",
        by="owner",
        confidence=Confidence.OWNER,
        availability=Availability.PUBLIC,
        version_id=7,
        downloads=files,
    )
    return replace(made, **changes)  # type: ignore[arg-type] # fields by name


def test_the_primary_file_is_meant_where_nothing_is_said() -> None:
    first, second = file(1), file(2, primary=True)
    assert pick_file(card(first, second), Choice()) == second


def test_training_data_is_meant_only_by_its_number() -> None:
    data, model = file(1, "d.zip", type="Training Data", primary=True), file(2)
    assert pick_file(card(data, model), Choice()) == model
    assert pick_file(card(data, model), Choice(file_id=1)) == data


def test_of_equals_a_safetensors_file_comes_first() -> None:
    pickle, safe = file(1, "m.ckpt"), file(2, "m.SafeTensors")
    assert pick_file(card(pickle, safe), Choice()) == safe


def test_precision_and_format_are_compared_as_people_write_them() -> None:
    raw = {
        "files": [
            {"id": 1, "metadata": {"fp": "fp16", "format": "SafeTensor"}},
            {"id": 2, "metadata": {"fp": "fp32", "format": "SafeTensor"}},
            {"id": 3, "metadata": {"fp": "fp32", "format": "PickleTensor"}},
            {"id": "4", "metadata": None},
            "nonsense",
        ]
    }
    known = card(file(1), file(2), file(3, "m.ckpt"), raw=raw)
    assert pick_file(known, Choice(fp="FP32")).file_id == 2
    assert pick_file(known, Choice(fp="fp32", format="pickletensor")).file_id == 3
    assert pick_file(known, Choice(format=".ckpt")).file_id == 3
    assert pick_file(known, Choice(sha256=f"{1:064x}")).file_id == 1


@pytest.mark.parametrize("raw", [{}, {"files": None}, {"files": [{"id": 1, "metadata": {"fp": 16}}]}])
def test_what_does_not_fit_is_answered_with_what_there_is(raw: dict[str, object]) -> None:
    with pytest.raises(GiveUp, match=r"1 m\.safetensors") as refused:
        pick_file(card(file(1), raw=raw), Choice(fp="fp16"))
    assert refused.value.kind == "no_such_file"


def test_a_version_without_addresses_says_why() -> None:
    gone = card(file(1, urls=()), not_downloadable_because="the creator archived the model")
    with pytest.raises(GiveUp, match="archived the model"):
        pick_file(gone, Choice())
    with pytest.raises(GiveUp, match="no address of its files is known"):
        pick_file(card(), Choice())


def test_the_chosen_file_stands_first_on_the_card() -> None:
    first, second = file(1), file(2)
    assert with_first(card(first, second), second).downloads == (second, first)


@pytest.mark.parametrize("kind", ["Training Data", "Config"])
def test_what_is_no_model_is_not_meant_where_there_is_nothing_else(kind: str) -> None:
    """A version may have lost its model and kept what it was trained with."""
    only = file(1, "d.zip", type=kind, primary=True)
    with pytest.raises(GiveUp, match=r"1 d\.zip") as refused:
        pick_file(card(only), Choice())
    assert refused.value.kind == "no_such_file"
    assert pick_file(card(only), Choice(file_id=1)) == only
    assert pick_file(card(only), Choice(type=kind.lower())) == only


def test_an_archive_is_meant_where_there_is_nothing_else() -> None:
    archive, model = file(1, "all.zip", type="Archive", primary=True), file(2)
    assert pick_file(card(archive, model), Choice()) == model
    assert pick_file(card(archive), Choice()) == archive


DOWNLOAD = "https://civitai.com/api/download/models/22"


@pytest.mark.parametrize(
    "text, choice",
    [
        (DOWNLOAD, Choice()),
        (f"{DOWNLOAD}?fileId=34", Choice(file_id=34)),
        (f"{DOWNLOAD}?type=Model&format=SafeTensor&fileId=34&token=planted", Choice(file_id=34)),
        (
            f"{DOWNLOAD}?type=Model&format=PickleTensor&size=full&fp=fp32",
            Choice(type="Model", format="PickleTensor", size="full", fp="fp32"),
        ),
        (f"{DOWNLOAD}?fp=fp16&fp=fp32&size=full", Choice(size="full")),
        (f"{DOWNLOAD}?fileId=x&fp=fp16", Choice(fp="fp16")),
        (f"{DOWNLOAD}?fileId=\u0665&quantType=Q8", Choice()),
        ("https://civitai.com/models/11?modelVersionId=22&type=Model&fp=fp16", Choice()),
        ("https://mirror.example/api/download/models/22?fileId=34", Choice()),
        ("22", Choice()),
        ("x" * 3000, Choice()),
    ],
)
def test_a_download_address_says_which_file_is_meant(text: str, choice: Choice) -> None:
    assert choice_in(text) == choice


def test_what_the_owner_says_beside_an_address_counts_more() -> None:
    said = Choice(fp="fp32", type="Model").or_else(Choice(fp="fp16", size="full"))
    assert said == Choice(fp="fp32", type="Model", size="full")
    assert Choice().or_else(Choice(file_id=3)) == Choice(file_id=3)


def test_files_are_told_apart_by_type_and_size() -> None:
    raw = {"files": [{"id": 1, "metadata": {"size": "full"}}, {"id": 2, "metadata": {"size": "pruned"}}]}
    known = card(file(1, primary=True), file(2), file(3, type="VAE"), raw=raw)
    assert pick_file(known, Choice(size="pruned")).file_id == 2
    assert pick_file(known, Choice(type="vae")).file_id == 3
