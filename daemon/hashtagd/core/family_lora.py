"""What was a LoRA trained on, and with which rank? Told by the names and shapes of its tensors.

A LoRA holds only the layers that were trained, so a sign may be missing where the base is the right one: what
several bases share is left unnamed, or named by what all of them are.

Source: the programs that load such files, and the number and width of the blocks of each network.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

Tensors = Mapping[str, tuple[int, ...]]

_STARTS: Final = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_transformer_", "lycoris_")
_ENDS: Final = (
    *("lora_A.weight", "lora_B.weight", "lora_A.default.weight", "lora_B.default.weight"),
    *("lora_down.weight", "lora.down.weight", "lora_linear_layer.down.weight", "lokr_w1", "hada_w1_a"),
)
#: the matrix that the input of a layer meets first: its shape is rank x width of the input
_DOWN: Final = (
    r"[._](?:lora_down\.weight|lora_A(?:\.default)?\.weight|lora(?:_linear_layer)?\.down\.weight|hada_w1_b)"
)
_DOWN_ENDS: Final = (
    *("lora_down.weight", "lora_A.weight", "lora_A.default.weight"),
    *("lora.down.weight", "lora_linear_layer.down.weight", "hada_w1_b"),
)
_OTHER_PARTS: Final = (".alpha", "up.weight", "lora_B.weight", "dora_scale")
#: LoKr's matrices have the rank as well, but not the width
_RANKED_ENDS: Final = (*_DOWN_ENDS, "lokr_w1_b", "lokr_w2_b")
#: a rank beyond this is no rank
_MOST_RANK: Final = 65_536

#: how wide the text is that the cross attention of a U-Net looks at
TEXT_WIDTHS: Final[Mapping[int, str]] = {768: "SD 1.x", 1024: "SD 2.x", 1280: "SDXL Refiner", 2048: "SDXL"}

#: only inside the U-Net's blocks: video transformers have layers of the same name
_UNET_TEXT: Final = re.compile(
    rf"(?:lora_unet_|lycoris_|unet\.)(?:input|down|mid|middle|output|up)_blocks?[._][\w.]*attn2[._](?:processor\.)?to_k{_DOWN}"
)
#: layer -> width of its input -> family
_BY_WIDTH: Final = (
    (_UNET_TEXT, TEXT_WIDTHS),
    (
        re.compile(
            rf"(?:lora_unet_|diffusion_model\.|transformer\.)?blocks[._]\d+[._]cross_attn[._]k{_DOWN}"
        ),
        {1536: "Wan 1.3B", 5120: "Wan 14B", 3072: "Wan 2.2 5B"},
    ),
    (
        re.compile(rf"[\w.]*joint_blocks[._]\d+[._](?:x|context)_block[._]attn[._]qkv{_DOWN}"),
        {1536: "SD 3", 2432: "SD 3.5 Large"},
    ),
)
_WAN_IMAGE: Final = re.compile(r"blocks[._]\d+[._]cross_attn[._]k_img[._]")

_BLOCK: Final = re.compile(
    r"(?<![A-Za-z])(double|single_transformer|single|transformer)_blocks[._](\d{1,3})[._]"
)
#: layers of these blocks whose input is as wide as the network itself
_WIDE_INPUT: Final = re.compile(
    r"_blocks[._]\d{1,3}[._]"
    rf"(?:(?:img|txt)_attn[._]qkv|linear1|attn[._](?:to_[qkv]|to_qkv_mlp_proj)|proj_mlp){_DOWN}\Z"
)
_FLUX2_WIDTHS: Final[Mapping[int | None, str]] = {6144: "Flux.2 D", 4096: "Flux.2 Klein 9B"}
#: the width that all others share
_COMMON_WIDTH: Final = 3072
#: highest double and highest single block of Flux.2 Klein 4B: all blocks were trained, as is usual
_KLEIN_4B: Final = (4, 19)
#: Hunyuan Video names these layers in its own way
_HUNYUAN: Final = re.compile(r"double_blocks[._]\d{1,3}[._](?:img|txt)_mlp[._]fc1[._]")
#: Flux.1 has 19 double and 38 single blocks, Hunyuan Video 20 and 40, Flux.2 up to 48 single ones
_FLUX1_BLOCKS: Final = (19, 38)
_HUNYUAN_BLOCKS: Final = (20, 40)


def is_lora(tensors: Iterable[str]) -> bool:
    """Tell by the names whether these are changes to a network rather than a network."""
    return any(name.startswith(_STARTS) or name.endswith(_ENDS) for name in tensors)


def rank_of(tensors: Tensors) -> int | None:
    """Give the rank that most layers have; None where no layer tells one."""
    ranks = Counter(
        shape[0]
        for name, shape in tensors.items()
        if shape and 0 < shape[0] <= _MOST_RANK and name.endswith(_RANKED_ENDS)
    )
    # among equally frequent ones the larger: the small ones are layers that were too thin for it
    return max(ranks, key=lambda rank: (ranks[rank], rank), default=None)


def lora_family(tensors: Tensors) -> str | None:
    """Name what the LoRA was trained on; None where its tensors do not say."""
    family = _by_width(tensors) or _by_blocks(tensors)
    if family is None and any(name.startswith("lora_te2_text_model_") for name in tensors):
        return "SDXL"  # the second text encoder by itself: SD 3 has one too, but is known by its blocks
    return family


def _by_width(tensors: Tensors) -> str | None:
    for layer, families in _BY_WIDTH:
        for name, shape in tensors.items():
            family = families.get(shape[1]) if shape[1:2] else None
            if family is not None and layer.fullmatch(name):
                image = family.startswith("Wan ") and any(_WAN_IMAGE.search(other) for other in tensors)
                return f"{family} I2V" if image else family
    return None


def _by_blocks(tensors: Tensors) -> str | None:
    """Tell the networks of double and single blocks apart by their width and the number of their blocks."""
    blocks = _highest_blocks(tensors)
    if blocks is None:
        return None
    if any("distilled_guidance_layer" in name for name in tensors):
        return "Chroma"
    widths = Counter(
        shape[1]
        for name, shape in tensors.items()
        if shape[1:2] and name.endswith(_DOWN_ENDS) and _WIDE_INPUT.search(name)
    )
    width = next((width for width, _ in widths.most_common(1)), None)
    if width not in (None, _COMMON_WIDTH):
        return _FLUX2_WIDTHS.get(width)
    if any("fc1" in name and _HUNYUAN.search(name) for name in tensors):
        return "Hunyuan Video"
    return _by_numbers(blocks, is_width_known=width is not None)


def _highest_blocks(tensors: Iterable[str]) -> tuple[int, int] | None:
    """Give the highest number of a double and of a single block, -1 for none; None without such blocks."""
    highest = {"double": -1, "single": -1, "transformer": -1}
    for name in tensors:
        # the other parts of a layer say nothing new, and looking at each of them is most of the work
        if not name.endswith(_OTHER_PARTS) and (block := _BLOCK.search(name)):
            kind = block[1].removesuffix("_transformer")
            highest[kind] = max(highest[kind], int(block[2]))
    if highest["double"] < 0 and highest["single"] < 0:
        return None  # many networks have plain transformer blocks; only beside single ones are they double
    return max(highest["double"], highest["transformer"]), highest["single"]


def _by_numbers(blocks: tuple[int, int], *, is_width_known: bool) -> str | None:
    if blocks == _KLEIN_4B:
        return "Flux.2 Klein 4B"
    if blocks[0] < _FLUX1_BLOCKS[0] and blocks[1] < _FLUX1_BLOCKS[1]:
        return "Flux.1"
    if blocks[0] < _HUNYUAN_BLOCKS[0] and blocks[1] < _HUNYUAN_BLOCKS[1]:
        # Flux.2 has single blocks of these numbers as well, but is twice as wide
        return "Hunyuan Video" if is_width_known else None
    return None if is_width_known else "Flux.2 D"
