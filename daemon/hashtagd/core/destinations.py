"""Which of ComfyUI's folders a model belongs into, by what its site calls it.

Source: the folders that ComfyUI searches, and the types that Civitai has for models and for files.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_BY_KIND: Final[Mapping[str, str]] = MappingProxyType(
    {
        "checkpoint": "checkpoints",
        "lora": "loras",
        "locon": "loras",
        "dora": "loras",
        "textualinversion": "embeddings",
        "hypernetwork": "hypernetworks",
        "vae": "vae",
        "controlnet": "controlnet",
        "upscaler": "upscale_models",
        "motionmodule": "animatediff_models",
        "detection": "ultralytics",
    }
)
#: files that are another kind of thing than the model they come with
_BY_FILE_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "vae": "vae",
        "unet": "diffusion_models",
        "diffusion model": "diffusion_models",
        "text encoder": "text_encoders",
        "clip vision": "clip_vision",
        "controlnet": "controlnet",
    }
)
#: what the folders are, or were, called on disks
ALIASES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "checkpoints": ("checkpoints", "Stable-diffusion", "StableDiffusion"),
        "loras": ("loras", "Lora", "LyCORIS"),
        "embeddings": ("embeddings", "Embeddings", "TextualInversion"),
        "diffusion_models": ("diffusion_models", "unet", "DiffusionModels"),
        "text_encoders": ("text_encoders", "clip", "TextEncoders"),
        "vae": ("vae", "VAE"),
        "controlnet": ("controlnet", "ControlNet", "t2i_adapter"),
        "upscale_models": ("upscale_models", "ESRGAN"),
        "hypernetworks": ("hypernetworks", "Hypernetwork"),
    }
)


def folder_key(kind: str | None, file_type: str | None) -> str | None:
    """Name ComfyUI's folder for a file; None: it has none for it.

    Args:
        kind: the type of the model, as the site says it.
        file_type: the type of the file (Model, VAE, UNet, ...).
    """
    by_type = _BY_FILE_TYPE.get((file_type or "").casefold())
    return by_type or _BY_KIND.get((kind or "").casefold().replace(" ", ""))


def folder_names(key: str) -> tuple[str, ...]:
    """List the names under which a folder is found on disks, ComfyUI's own first."""
    return ALIASES.get(key, (key,))
