import pytest

from hashtagd.core.destinations import folder_key, folder_names


@pytest.mark.parametrize(
    "kind, file_type, key",
    [
        ("LORA", "Model", "loras"),
        ("LoCon", "Model", "loras"),
        ("DoRA", None, "loras"),
        ("Checkpoint", "Model", "checkpoints"),
        ("Checkpoint", "Pruned Model", "checkpoints"),
        ("Checkpoint", "UNet", "diffusion_models"),
        ("Checkpoint", "Diffusion Model", "diffusion_models"),
        ("Checkpoint", "VAE", "vae"),
        ("Checkpoint", "Text Encoder", "text_encoders"),
        ("TextualInversion", "Model", "embeddings"),
        ("Upscaler", "Model", "upscale_models"),
        ("MotionModule", "Model", "animatediff_models"),
        ("Wildcards", "Archive", None),
        ("Workflows", None, None),
        (None, None, None),
    ],
)
def test_each_type_has_its_folder(kind: str | None, file_type: str | None, key: str | None) -> None:
    assert folder_key(kind, file_type) == key


def test_a_folder_is_found_under_its_names_on_disks() -> None:
    assert folder_names("loras")[0] == "loras"
    assert "unet" in folder_names("diffusion_models")
    assert folder_names("ultralytics") == ("ultralytics",)
