"""Architectures told by tensors, each by the least it takes."""

import pytest

from hashtagd.core.family import family_of

FLUX: dict[str, tuple[int, ...]] = {"double_blocks.0.img_attn.norm.key_norm.scale": (128,)}
LUMINA: dict[str, tuple[int, ...]] = {
    "cap_embedder.1.weight": (2, 2),
    "noise_refiner.0.attention.k_norm.weight": (2,),
}
JOINT = "joint_blocks.0.context_block.attn."
UNET = "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"

NETWORKS: list[tuple[dict[str, tuple[int, ...]], str]] = [
    ({"cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77)}, "SD 1.x"),
    ({"cond_stage_model.model.ln_final.bias": (1024,)}, "SD 2.x"),
    (
        {"conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight": (77, 768)},
        "SDXL",
    ),
    ({"conditioner.embedders.0.model.ln_final.bias": (1280,)}, "SDXL Refiner"),
    ({f"{JOINT}qkv.weight": (1, 1), f"{JOINT}proj.bias": (2432,)}, "SD 3.5 Large"),
    ({f"{JOINT}qkv.weight": (1, 1), f"{JOINT}proj.bias": (1536,)}, "SD 3"),
    ({**FLUX, "guidance_in.in_layer.bias": (3072,)}, "Flux.1 D"),
    (FLUX, "Flux.1 S"),
    ({"double_blocks.0.img_attn.norm.key_norm.weight": (128,)}, "Flux.1 S"),
    ({**FLUX, "distilled_guidance_layer.norms.0.scale": (1,)}, "Chroma"),
    ({**FLUX, "double_stream_modulation_img.lin.weight": (36864, 1)}, "Flux.2 D"),
    ({**FLUX, "double_stream_modulation_img.lin.weight": (24576, 1)}, "Flux.2 Klein 9B"),
    ({**FLUX, "double_stream_modulation_img.lin.weight": (18432, 1)}, "Flux.2 Klein 4B"),
    ({**FLUX, "double_stream_modulation_img.lin.weight": (7, 1)}, "Flux.2"),
    ({**FLUX, "txt_in.individual_token_refiner.blocks.0.norm1.weight": (1,)}, "Hunyuan Video"),
    (LUMINA, "Lumina 2"),
    ({**LUMINA, "layers.0.adaLN_modulation.0.bias": (1,)}, "Z-Image"),
    (
        {
            "time_text_embed.timestep_embedder.linear_1.bias": (1,),
            "img_in.bias": (1,),
            "transformer_blocks.0.attn.add_k_proj.bias": (1,),
        },
        "Qwen-Image",
    ),
    ({"blocks.0.cross_attn.k.bias": (1536,)}, "Wan 1.3B"),
    ({"blocks.0.cross_attn.k.bias": (5120,)}, "Wan 14B"),
    ({"blocks.0.cross_attn.k.bias": (3072,)}, "Wan 2.2 5B"),
    ({"blocks.0.cross_attn.k.bias": (5120,), "blocks.0.cross_attn.k_img.bias": (5120,)}, "Wan 14B I2V"),
    ({"blocks.0.cross_attn.k.bias": (1536,), "blocks.0.cross_attn.k_img.bias": (1536,)}, "Wan 1.3B I2V"),
    ({"adaln_single.emb.timestep_embedder.linear_1.bias": (1,)}, "LTX"),
    ({"t5_yproj.weight": (1,)}, "Mochi"),
    ({"double_layers.0.attn.w1q.weight": (1,)}, "AuraFlow"),
    ({"clf.1.weight": (1,)}, "Stable Cascade"),
    ({UNET: (640, 768)}, "SD 1.x"),
    ({UNET: (640, 1024)}, "SD 2.x"),
    ({UNET: (640, 1280)}, "SDXL Refiner"),
    ({UNET: (640, 2048)}, "SDXL"),
]


@pytest.mark.parametrize("tensors,family", NETWORKS)
@pytest.mark.parametrize("wrapper", ["", "model.diffusion_model.", "diffusion_model.", "net."])
def test_a_network_is_recognised_wrapped_or_bare(
    tensors: dict[str, tuple[int, ...]], family: str, wrapper: str
) -> None:
    wrapped = {f"{wrapper}{name}": shape for name, shape in tensors.items()}
    assert family_of(wrapped) == (family, "Checkpoint")


@pytest.mark.parametrize(
    "tensors,expected",
    [
        ({}, (None, None)),
        ({"something": (1,)}, (None, None)),
        ({"clip_g": (8, 1280), "something": (1,)}, (None, None)),
        ({f"control_model.{UNET}": (640, 768)}, ("SD 1.x", "Controlnet")),
        ({"controlnet_blocks.0.weight": (1, 1)}, (None, "Controlnet")),
        ({"lora_controlnet": (), "input_blocks.0.0.up": (1, 1)}, (None, "Controlnet")),
        ({"emb_params": (8, 768)}, ("SD 1.x", "TextualInversion")),
        ({"emb_params": (8, 1024)}, ("SD 2.x", "TextualInversion")),
        ({"clip_l": (8, 768), "clip_g": (8, 1280)}, ("SDXL", "TextualInversion")),
        ({"clip_l": (8, 768)}, (None, "TextualInversion")),
        ({"encoder.conv_in.weight": (1, 1), "post_quant_conv.bias": (4,)}, (None, "VAE")),
        ({"decoder.conv_in.weight": (1, 1), "quant_conv.bias": (4,)}, (None, "VAE")),
        ({"first_stage_model.decoder.conv_in.weight": (1, 1)}, (None, "VAE")),
        ({"decoder.conv_in.weight": (1, 1), "something": (1,)}, (None, None)),
        ({"encoder.block.0.layer.0.SelfAttention.k.weight": (4096, 4096)}, (None, None)),
        ({"encoder.embed_tokens.weight": (9, 9), "encoder.final_layer_norm.weight": (9,)}, (None, None)),
        ({"controlnet_blocks.0.weight": (1, 1), UNET: (640, 2048)}, ("SDXL", "Controlnet")),
        (
            {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)},
            (None, "Upscaler"),
        ),
        ({"model.0.weight": (64, 3, 3, 3)}, (None, "Upscaler")),
        ({"model.0.weight": (64, 3)}, (None, None)),
    ],
)
def test_other_kinds_are_told_apart(
    tensors: dict[str, tuple[int, ...]], expected: tuple[str | None, str | None]
) -> None:
    assert family_of(tensors) == expected


def test_a_network_of_thousands_of_tensors_is_no_upscaler() -> None:
    assert family_of({"model.0.weight": (1, 1, 1, 1), **{f"x{i}": (1,) for i in range(2_000)}}) == (
        None,
        None,
    )
