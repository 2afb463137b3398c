"""Which architecture is it, and what kind of file? Told by the names and shapes of its tensors alone.

Fine-tunes keep the tensors of what they were tuned from: Pony and Illustrious are SDXL here, and that is all
that can honestly be said. Where two families share their names, the answer is None rather than a guess.

Source: the signs by which the programs that load such files tell them apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hashtagd.core.family_lora import TEXT_WIDTHS, Tensors, is_lora, lora_family

_LORA: Final = "LORA"
_CHECKPOINT: Final = "Checkpoint"
_CONTROLNET: Final = "Controlnet"
_EMBEDDING: Final = "TextualInversion"
_VAE: Final = "VAE"
_UPSCALER: Final = "Upscaler"

#: containers put one of these before every name of the network itself
_WRAPPERS: Final = ("model.diffusion_model.", "diffusion_model.", "control_model.", "net.")


@dataclass(frozen=True, slots=True)
class _Sign:
    """A family's tensors; `*` at the end of a name stands for anything."""

    family: str
    has: tuple[str, ...]
    lacks: str | None = None
    #: a tensor and the length of its first axis
    rows: tuple[str, int] | None = None


_FLUX: Final = "double_blocks.0.img_attn.norm.key_norm.*"
_FLUX2: Final = "double_stream_modulation_img.lin.weight"
_JOINT: Final = "joint_blocks.0.context_block.attn."
_LUMINA: Final = ("cap_embedder.1.weight", "noise_refiner.0.attention.k_norm.weight")
_QWEN: Final = (
    "time_text_embed.timestep_embedder.linear_1.bias",
    "img_in.bias",
    "transformer_blocks.0.attn.add_k_proj.bias",
)
_WAN: Final = "blocks.0.cross_attn.k.bias"
_WAN_IMAGE: Final = "blocks.0.cross_attn.k_img.bias"

#: the first that fits wins, so the more special stands before the more general
_SIGNS: Final = (
    _Sign("SDXL", ("conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight",)),
    _Sign("SDXL Refiner", ("conditioner.embedders.0.model.ln_final.bias",)),
    _Sign("SD 2.x", ("cond_stage_model.model.ln_final.bias",)),
    _Sign("SD 1.x", ("cond_stage_model.transformer.text_model.embeddings.position_ids",)),
    _Sign("SD 3.5 Large", (f"{_JOINT}qkv.weight",), rows=(f"{_JOINT}proj.bias", 2432)),
    _Sign("SD 3", (f"{_JOINT}qkv.weight",)),
    _Sign("Flux.2 D", (_FLUX,), rows=(_FLUX2, 36864)),
    _Sign("Flux.2 Klein 9B", (_FLUX,), rows=(_FLUX2, 24576)),
    _Sign("Flux.2 Klein 4B", (_FLUX,), rows=(_FLUX2, 18432)),
    _Sign("Flux.2", (_FLUX, _FLUX2)),
    _Sign("Chroma", (_FLUX, "distilled_guidance_layer.*")),
    _Sign("Hunyuan Video", ("txt_in.individual_token_refiner.blocks.0.*",)),
    _Sign("Flux.1 D", (_FLUX, "guidance_in.in_layer.bias")),
    _Sign("Flux.1 S", (_FLUX,)),
    _Sign("Z-Image", (*_LUMINA, "layers.0.adaLN_modulation.0.bias")),
    _Sign("Lumina 2", _LUMINA),
    _Sign("Qwen-Image", _QWEN),
    _Sign("Wan 1.3B I2V", (_WAN_IMAGE,), rows=(_WAN, 1536)),
    _Sign("Wan 14B I2V", (_WAN_IMAGE,), rows=(_WAN, 5120)),
    _Sign("Wan 1.3B", (), lacks=_WAN_IMAGE, rows=(_WAN, 1536)),
    _Sign("Wan 14B", (), lacks=_WAN_IMAGE, rows=(_WAN, 5120)),
    _Sign("Wan 2.2 5B", (), rows=(_WAN, 3072)),
    _Sign("LTX", ("adaln_single.emb.timestep_embedder.linear_1.bias",)),
    _Sign("Mochi", ("t5_yproj.weight",)),
    _Sign("AuraFlow", ("double_layers.0.attn.w1q.weight",)),
    _Sign("Stable Cascade", ("clf.1.weight",)),
)

_UNET_PARTS: Final = ("input_blocks.", "down_blocks.")
_UNET_TEXT: Final = "attn2.to_k.weight"

_CONTROL_STARTS: Final = ("control_model.", "controlnet_")
_VAE_STARTS: Final = ("encoder.", "decoder.", "quant_conv", "post_quant_conv", "first_stage_model.")
#: text encoders, whose names begin like those of a VAE
_TEXT_STARTS: Final = ("encoder.block.", "encoder.layer.", "encoder.embed_tokens.")
_EMBEDDING_NAMES: Final = frozenset({"emb_params", "clip_l", "clip_g"})
_UPSCALER_NAMES: Final = ("conv_first.weight", "model.0.weight")
_UPSCALER_TENSORS: Final = 2_000
_CONVOLUTION_AXES: Final = 4


def family_of(tensors: Tensors) -> tuple[str | None, str | None]:
    """Tell the architecture and the kind of file by the names and shapes of its tensors.

    Returns (family, kind); each is None where the tensors do not say.
    """
    if any(name.startswith(_CONTROL_STARTS) for name in tensors) or "lora_controlnet" in tensors:
        return _network(tensors), _CONTROLNET
    if is_lora(tensors):
        return lora_family(tensors), _LORA
    family = _network(tensors)
    if family is not None:
        return family, _CHECKPOINT
    kind = _part(tensors)
    return _embedding(tensors) if kind == _EMBEDDING else None, kind


def _part(tensors: Tensors) -> str | None:
    """Tell the kind of a file that is no whole network."""
    if not tensors:
        return None
    if tensors.keys() <= _EMBEDDING_NAMES:
        return _EMBEDDING
    if all(name.startswith(_VAE_STARTS) and not name.startswith(_TEXT_STARTS) for name in tensors):
        return _VAE
    return _UPSCALER if _is_upscaler(tensors) else None


def _network(tensors: Tensors) -> str | None:
    bare = {_unwrapped(name): shape for name, shape in tensors.items()}
    family = next((sign.family for sign in _SIGNS if _fits(sign, bare)), None)
    return family or _by_text_width(
        shape for name, shape in bare.items() if name.startswith(_UNET_PARTS) and name.endswith(_UNET_TEXT)
    )


def _unwrapped(name: str) -> str:
    for wrapper in _WRAPPERS:
        if name.startswith(wrapper):
            return name.removeprefix(wrapper)
    return name


def _fits(sign: _Sign, tensors: Tensors) -> bool:
    if sign.rows is not None and tensors.get(sign.rows[0], ())[:1] != (sign.rows[1],):
        return False
    return all(_present(name, tensors) for name in sign.has) and sign.lacks not in tensors


def _present(pattern: str, tensors: Tensors) -> bool:
    if pattern.endswith("*"):
        return any(name.startswith(pattern[:-1]) for name in tensors)
    return pattern in tensors


def _by_text_width(shapes: Iterable[tuple[int, ...]]) -> str | None:
    """Name the U-Net by the text it looks at; a linear layer's second axis is what goes in."""
    return next((TEXT_WIDTHS[shape[1]] for shape in shapes if shape[1:2] and shape[1] in TEXT_WIDTHS), None)


def _embedding(tensors: Tensors) -> str | None:
    if "clip_g" in tensors:
        return "SDXL"
    return _by_text_width(shape for name, shape in tensors.items() if name == "emb_params")


def _is_upscaler(tensors: Tensors) -> bool:
    return len(tensors) <= _UPSCALER_TENSORS and any(
        len(tensors.get(name, ())) == _CONVOLUTION_AXES for name in _UPSCALER_NAMES
    )
