"""Metadata as trainers write it, and the same after strangers had their hands on it. All of it is made up."""

import json
from typing import Any, Final

from hypothesis import strategies as st

#: what must never get out of a header: each is looked for in whatever is made of it
SECRETS: Final = (
    "/home/somebody/training/out",
    "C:\\Users\\somebody\\out",
    "somebody@example.com",
    "hf_" + "somebody" * 5,
    "~/somebody/out",
    "\\\\somebody\\share\\out",
    "https://somebody:word@models.example/x",
    "token=somebody123456",
)


def trained() -> dict[str, str]:
    """Make the metadata of a LoRA in which every key that is read says something."""
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": "32",
        "ss_network_alpha": "16.0",
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_sd_model_name": "/home/somebody/models/base_v1.0.safetensors",
        "base_model": "another base",
        "ss_num_train_images": "240",
        "ss_num_epochs": "10",
        "ss_epoch": "8",
        "ss_steps": "1920",
        "ss_max_train_steps": "2400",
        "ss_resolution": "(1024, 768)",
        "ss_clip_skip": "2",
        "ss_training_started_at": "1735689600.25",
        "ss_training_finished_at": "1735693200",
        "ss_training_comment": "a first\ntry",
        "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1)",
        "ss_learning_rate": "0.0001",
        "ss_tag_frequency": json.dumps({"10_madestyle": {"madestyle": 24, "1girl": 12, "outdoors": 3}}),
        "ss_dataset_dirs": json.dumps({"10_madestyle": {"n_repeats": 10, "img_count": 24}}),
        "ss_output_name": "made_style",
        "ss_v2": "False",
        "sshs_model_hash": "0x" + "ab" * 32,
        "modelspec.hash_sha256": "0x" + "cd" * 32,
        "modelspec.title": "Made Style",
        "modelspec.author": "somebody else",
        "modelspec.description": "<p>Paints &amp; draws.</p>\nBest at 0.8.",
        "modelspec.license": "CreativeML Open RAIL++-M",
        "modelspec.tags": "style, made up",
        "modelspec.trigger_phrase": "madestyle, painted",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "trained_words": '["one", "two"]',
        "air": "urn:air:sdxl:lora:civitai:1234@5678",
        "modelspec.air": "urn:air:sdxl:lora:civitai:1234@5679",
        "source_arn": "civitai:model:1234:version:5680",
        "source_url": "https://civitai.com/models/1234/made-style?modelVersionId=5681",
    }


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


_JUNK_VALUES: Final = (
    *("", " ", "None", "NaN", "-Infinity", "1e999", "-1", "0", "9" * 30, "9" * 5_000, "1e12", "True", "٣"),
    *("\x00", "\ud800", "a\x00b\ud800c", "\x1b[31m\u202e", "null", "[]", "{}", "[NaN]", '{"a": 1}', "{"),
    *(
        '{"10_a": {"x": 1e400}}',
        '{"10_a": {"x": NaN, "y": true, "z": "3"}}',
        '{"10_a": {"x": 1' + "0" * 400 + "}}",
    ),
    *(
        '{"10_\\ud800": {"\\ud800": 3, "\\u0000": 4}}',
        '{"/home/x/10_a": [1], "10_": {}, "3_b\\nc": {"d\\ne": 2}}',
    ),
    *(_nested(1_000), _nested(100_000), "x" * 300_000, "a," * 100_000, "http://[", "civitai:model:0"),
    *SECRETS,
)

#: one value that somebody changed
JUNK: Final = st.one_of(
    st.sampled_from(_JUNK_VALUES),
    st.text(max_size=40),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ).map(json.dumps),
)
#: what no header that was read holds, but a caller might: the types are only a promise
RETYPED: Final = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.just([]), st.just({"a": 1})
)

CHANGES: Final = st.lists(
    st.tuples(
        st.sampled_from(sorted(trained())), st.sampled_from(["drop", "rename", "replace", "append"]), JUNK
    ),
    max_size=10,
)


def changed(changes: list[tuple[str, str, str]]) -> dict[str, str]:
    """Make metadata with these changes, one after another."""
    metadata = trained()
    for key, how, junk in changes:
        value = metadata.pop(key, "")
        if how == "rename":
            metadata[junk[:50]] = value
        elif how != "drop":
            metadata[key] = junk if how == "replace" else value + junk
    return metadata


def stored(value: Any) -> str:
    """Write a value as JSON the way a store needs it, and fail where none could hold it."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    for leaf in _leaves(json.loads(text)):
        if isinstance(leaf, str) and "\0" in leaf:
            raise ValueError("NUL cannot be stored")
        if isinstance(leaf, int) and not -(2**63) <= leaf < 2**63:
            raise ValueError("the number cannot be stored")
    return text


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key, child in value.items() for leaf in (key, *_leaves(child))]
    return [leaf for child in value for leaf in _leaves(child)] if isinstance(value, list) else [value]
