"""What a LoRA was trained on, told by whichever of its tensors are there."""

import pytest

from hashtagd.core.family import family_of
from hashtagd.core.family_lora import Tensors, rank_of

LORA_K = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
DOWN = "lora_down.weight"

FLUX = "lora_unet_double_blocks_{}_img_attn_qkv.lora_down.weight"
FLUX_SINGLE = "lora_unet_single_blocks_{}_linear1.lora_down.weight"
DIFFUSERS = "transformer.transformer_blocks.{}.attn.to_q.lora_A.weight"
DIFFUSERS_SINGLE = "transformer.single_transformer_blocks.{}.attn.to_q.lora_A.weight"


def blocks(double: int, single: int, width: int, names: tuple[str, str] = (FLUX, FLUX_SINGLE)) -> Tensors:
    """Train every block of a network with so many of both kinds."""
    made = [names[0].format(number) for number in range(double)]
    return dict.fromkeys(made + [names[1].format(number) for number in range(single)], (4, width))


UNETS: list[tuple[Tensors, str | None]] = [
    ({f"{LORA_K}.{DOWN}": (4, 768)}, "SD 1.x"),
    ({f"{LORA_K}.{DOWN}": (4, 1024)}, "SD 2.x"),
    ({f"{LORA_K}.{DOWN}": (4, 2048)}, "SDXL"),
    ({f"{LORA_K}.{DOWN}": (4, 1280)}, "SDXL Refiner"),
    ({f"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.{DOWN}": (4, 2048)}, "SDXL"),
    ({"unet.down_blocks.0.attn2.to_k.lora_A.weight": (4, 2048)}, "SDXL"),
    ({"unet.up_blocks.1.attn2.to_k.lora.down.weight": (4, 768)}, "SD 1.x"),
    ({"unet.up_blocks.1.attn2.processor.to_k_lora.down.weight": (4, 1024)}, "SD 2.x"),
    ({"lycoris_down_blocks_0_attn2_to_k.lora_down.weight": (4, 768)}, "SD 1.x"),
    ({f"{LORA_K}.hada_w1_a": (640, 4), f"{LORA_K}.hada_w1_b": (4, 768)}, "SD 1.x"),
    ({f"lora_te2_text_model_layers_0.{DOWN}": (4, 1280)}, "SDXL"),
    ({f"lora_te1_text_model_layers_0.{DOWN}": (4, 768)}, None),
    ({f"lora_te_text_model_layers_0.{DOWN}": (4, 768)}, None),
    ({f"{LORA_K}.{DOWN}": (4, 999)}, None),
    ({f"{LORA_K}.{DOWN}": (4,)}, None),
    # video transformers have a cross attention of that width, too
    ({"transformer.transformer_blocks.0.attn2.to_k.lora_A.weight": (4, 2048)}, None),
    ({f"lora_unet_transformer_blocks_0_attn2_to_k.{DOWN}": (4, 2048)}, None),
]

FLUXES: list[tuple[Tensors, str | None]] = [
    (blocks(19, 38, 3072), "Flux.1"),
    (blocks(19, 38, 3072, (DIFFUSERS, DIFFUSERS_SINGLE)), "Flux.1"),
    (blocks(1, 0, 3072), "Flux.1"),
    ({DIFFUSERS_SINGLE.format(37): (4, 3072)}, "Flux.1"),
    ({f"lora_transformer_single_transformer_blocks_7_attn_to_q.{DOWN}": (4, 3072)}, "Flux.1"),
    ({f"lora_unet_double_blocks_0_img_mlp_2.{DOWN}": (4, 12288)}, "Flux.1"),
    ({"diffusion_model.double_blocks.0.img_attn.qkv.lokr_w1": (4, 4)}, "Flux.1"),
    ({**blocks(1, 1, 3072), f"lora_unet_distilled_guidance_layer_in_proj.{DOWN}": (4, 64)}, "Chroma"),
    (blocks(8, 48, 6144), "Flux.2 D"),
    (blocks(1, 0, 6144), "Flux.2 D"),
    ({f"lora_unet_single_blocks_47_linear2.{DOWN}": (4, 24576)}, "Flux.2 D"),
    ({"transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj.lora_A.weight": (4, 6144)}, "Flux.2 D"),
    (blocks(8, 24, 4096), "Flux.2 Klein 9B"),
    (blocks(8, 24, 4096, (DIFFUSERS, DIFFUSERS_SINGLE)), "Flux.2 Klein 9B"),
    (blocks(5, 20, 3072), "Flux.2 Klein 4B"),
    (blocks(5, 20, 3072, (DIFFUSERS, DIFFUSERS_SINGLE)), "Flux.2 Klein 4B"),
    (blocks(20, 40, 3072), "Hunyuan Video"),
    ({FLUX_SINGLE.format(39): (4, 3072)}, "Hunyuan Video"),
    ({f"lora_unet_double_blocks_0_img_mlp_fc1.{DOWN}": (4, 3072)}, "Hunyuan Video"),
    # as many blocks, another width: a network of the same names that is in no list here
    (blocks(20, 40, 3584), None),
    ({FLUX_SINGLE.format(60): (4, 3072)}, None),
    ({f"lora_unet_single_blocks_39_linear2.{DOWN}": (4, 15360)}, None),
]

OTHERS: list[tuple[Tensors, str | None]] = [
    ({"diffusion_model.blocks.0.cross_attn.k.lora_A.weight": (4, 1536)}, "Wan 1.3B"),
    ({"diffusion_model.blocks.0.cross_attn.k.lora_A.default.weight": (4, 5120)}, "Wan 14B"),
    ({f"lora_unet_blocks_9_cross_attn_k.{DOWN}": (4, 3072)}, "Wan 2.2 5B"),
    (
        {
            "diffusion_model.blocks.0.cross_attn.k.lora_A.weight": (4, 5120),
            "diffusion_model.blocks.0.cross_attn.k_img.lora_A.weight": (4, 5120),
        },
        "Wan 14B I2V",
    ),
    ({f"lora_unet_joint_blocks_0_context_block_attn_qkv.{DOWN}": (4, 1536)}, "SD 3"),
    ({f"lora_unet_joint_blocks_0_x_block_attn_qkv.{DOWN}": (4, 2432)}, "SD 3.5 Large"),
    # SD 3 has the second text encoder of SDXL
    (
        {
            f"lora_te2_text_model_layers_0.{DOWN}": (4, 1280),
            f"lora_unet_joint_blocks_0_x_block_attn_qkv.{DOWN}": (4, 1536),
        },
        "SD 3",
    ),
    # the second text encoder of others is no CLIP
    ({f"lora_te2_encoder_block_0_layer_0_SelfAttention_k.{DOWN}": (4, 4096)}, None),
    ({"blocks.0.attn.lokr_w1": (4, 4)}, None),
    ({"transformer.transformer_blocks.0.attn.to_q.lora_A.weight": (4, 3072)}, None),
]


@pytest.mark.parametrize("tensors,family", [*UNETS, *FLUXES, *OTHERS])
def test_a_lora_names_its_base_where_its_tensors_do(tensors: Tensors, family: str | None) -> None:
    assert family_of(tensors) == (family, "LORA")


@pytest.mark.parametrize(
    "name",
    [
        *("lora_unet_x.alpha", "lora_te_x.alpha", "lora_te1_x.alpha", "lora_te2_x.alpha"),
        *("lora_transformer_x.alpha", "x.lora_A.weight", "x.lora_B.weight", "x.lora_down.weight"),
        *("x.lokr_w1", "x.hada_w1_a", "x.to_k_lora.down.weight", "x.lora_A.default.weight"),
    ],
)
def test_one_name_is_enough_to_know_a_lora(name: str) -> None:
    assert family_of({"something": (1,), name: (4, 4)}) == (None, "LORA")


@pytest.mark.parametrize(
    "tensors,rank",
    [
        ({}, None),
        ({"w": (4, 768)}, None),
        ({f"a.{DOWN}": (16, 768)}, 16),
        ({"a.lora_A.weight": (32, 768), "a.lora_B.weight": (640, 32)}, 32),
        ({"a.to_k_lora.down.weight": (8, 768)}, 8),
        ({"a.hada_w1_a": (640, 4), "a.hada_w1_b": (4, 768)}, 4),
        ({"a.lokr_w1": (4, 4), "a.lokr_w2_a": (160, 12), "a.lokr_w2_b": (12, 192)}, 12),
        ({f"a.{DOWN}": (16, 9), f"b.{DOWN}": (16, 9), f"c.{DOWN}": (64, 9, 3, 3)}, 16),
        ({f"a.{DOWN}": (8, 9), f"b.{DOWN}": (16, 9)}, 16),
        ({f"a.{DOWN}": (), f"b.{DOWN}": (0, 9), f"c.{DOWN}": (2**64 - 1, 0)}, None),
    ],
)
def test_the_rank_is_what_most_layers_have(tensors: Tensors, rank: int | None) -> None:
    assert rank_of(tensors) == rank
