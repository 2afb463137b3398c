"""Makes a model library as people have it: nested folders, every alphabet, copies, and the odd broken file.

All contents follow from the seed, so two runs talk about the same hashes.
The files are small, but valid to the byte.
"""

import argparse
import hashlib
import json
import os
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

#: every file looks this old, so that nobody has to wait for it to settle
_AGE_S = 90 * 86_400

_BASES = {
    "sd_v1": ("SD 1.5", 768),
    "sd_v2_v": ("SD 2.1 768", 1024),
    "sdxl_base_v1-0": ("SDXL 1.0", 2048),
    "sdxl_pony": ("Pony", 2048),
    "sdxl_illustrious": ("Illustrious", 2048),
    "flux1": ("Flux.1 D", 3072),
}
_FOLDERS = (
    "",
    "styles",
    "styles/Öl & Aquarell",
    "characters",
    "characters/原神",
    "characters/原神/稲妻",
    "characters/герои",
    "clothing (SDXL)",
    "concepts [test]",
    "concepts [test]/🌸 seasons",
    "poses/very/deep/tree/of/folders",
    "tools 'n' sliders",
)
_WORDS = (
    "ink wash",
    "油彩画",
    "水彩スタイル",
    "Акварель",
    "Ночной город",
    "🦊 fox spirit",
    "héroïne",
    "Straße bei Nacht",
    "[v2] film grain",
    "detail slider (±5)",
    "pixel_art",
    "cyber-punk & neon",
    "수묵화",
    "ดอกไม้",
    "100% cotton",
    "old.style.v1.5",
)
_WEB_PAGE = b"<!DOCTYPE html><html><body>Log in to download</body></html>\n"
_TAGS = ("style", "character", "anime", "photorealistic", "clothing", "concept", "background", "tool", "花")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One distinct content of the library and what a catalog that knows it would say of it."""

    #: relative to the library, POSIX; copies of the same bytes follow the first path
    paths: tuple[str, ...]
    sha256: str
    tensors_sha256: str
    size_bytes: int
    #: whether the catalog on the other side shall know the hash
    known: bool
    model_id: int
    version_id: int
    model_name: str
    version_name: str
    base_model: str
    trained_words: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The truth about a made library."""

    folder: Path
    models: tuple[Model, ...]
    #: a file whose header declares more bytes than are there; None where broken things were not wanted
    half_written: str | None
    #: a web page under a model's name; None the same
    web_page: str | None
    #: a link to a folder above itself
    loop: str

    @property
    def known(self) -> tuple[Model, ...]:
        """The contents that the catalog on the other side shall know."""
        return tuple(model for model in self.models if model.known)

    @property
    def file_count(self) -> int:
        """How many valid files there are, copies included."""
        return sum(len(model.paths) for model in self.models)


def make_library(
    folder: Path, count: int = 2000, seed: int = 7, *, all_known: bool = False, broken: bool = True
) -> Manifest:
    """Make `count` valid files (one in fifty a copy of another), and one broken thing of each sort.

    Args:
        folder: made if it is not there.
        count: how many valid files, copies included.
        seed: another seed, other bytes.
        all_known: every content is known and has a model of its own; else every fifth is known to nobody.
        broken: also make a file that is half written, and a web page under a model's name.

    Repeats: the same arguments give the same paths and bytes.
    """
    dice = random.Random(seed)
    copies = count // 50
    models = [_make_model(folder, dice, number) for number in range(count - copies)]
    if all_known:
        models = [replace(model, known=True, model_id=model.version_id - 1) for model in models]
    models = _one_name_a_model(models)
    for number in sorted(dice.sample(range(len(models)), copies)):
        models[number] = _copy(folder, models[number], dice)
    half, page = None, None
    if broken:
        half = _write(folder, "downloads/half of it.safetensors", _half(dice))
        page = _write(folder, "downloads/log in please.safetensors", _WEB_PAGE)
    (folder / "poses").mkdir(exist_ok=True)
    (folder / "poses" / "up again").symlink_to("..", target_is_directory=True)
    return Manifest(
        folder=folder,
        models=tuple(models),
        half_written=half,
        web_page=page,
        loop="poses/up again",
    )


def _make_model(folder: Path, dice: random.Random, number: int) -> Model:
    """Write one file nobody else has; every fifth is known to nobody, some share a model."""
    word, trainer = dice.choice(_WORDS), dice.choice(tuple(_BASES))
    base_model, width = _BASES[trainer]
    trigger = f"trigger{number:04d}"
    data = dice.randbytes(dice.randrange(2, 64) * 1024)
    header = _header(_kohya(dice, trainer, trigger, word, data), data, width)
    content = struct.pack("<Q", len(header)) + header + data
    name = f"{word} {number:04d}.safetensors"
    path = _write(folder, "/".join(filter(None, (dice.choice(_FOLDERS), name))), content)
    return Model(
        paths=(path,),
        sha256=hashlib.sha256(content).hexdigest(),
        tensors_sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(content),
        known=number % 5 != 0,
        model_id=500_000 + (number - 1 if number % 3 == 2 and number % 5 > 1 else number),
        version_id=900_000 + number,
        model_name=f"{word} № {number:04d}",
        version_name=f"v{1 + number % 4}.0",
        base_model=base_model,
        trained_words=(trigger, f"{word} mood")[: 1 + number % 2],
        tags=tuple(dice.sample(_TAGS, 2)),
    )


def _one_name_a_model(models: Sequence[Model]) -> list[Model]:
    """Let versions of one model share what a site keeps with the model."""
    first: dict[int, Model] = {}
    for model in models:
        first.setdefault(model.model_id, model)
    heads = (first[model.model_id] for model in models)
    return [
        replace(model, model_name=head.model_name, tags=head.tags)
        for model, head in zip(models, heads, strict=True)
    ]


def _kohya(dice: random.Random, trainer: str, trigger: str, word: str, data: bytes) -> dict[str, str]:
    """Say what the usual trainer would say; no two say exactly the same keys."""
    rank = str(dice.choice((4, 8, 16, 32, 64, 128)))
    images = dice.randrange(12, 400)
    frequency = {f"10_{trigger}": {trigger: images, "1girl": images // 2, "屋外": images // 3}}
    metadata = {
        "ss_base_model_version": trainer,
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": str(int(rank) // 2),
        "ss_output_name": f"{word}_{trigger}",
        "ss_num_train_images": str(images),
        "ss_learning_rate": str(dice.choice((1e-4, 5e-5, 1.0))),
        "ss_training_comment": dice.choice(("None", "second try 🙂", "мой датасет")),
    }
    if dice.random() < 0.8:
        metadata["ss_tag_frequency"] = json.dumps(frequency, ensure_ascii=False)
    if dice.random() < 0.5:
        metadata["sshs_model_hash"] = hashlib.sha256(data).hexdigest()
    if dice.random() < 0.4:
        metadata["modelspec.title"] = word
        architecture = "stable-diffusion-xl-v1-base" if "xl" in trainer else trainer
        metadata["modelspec.architecture"] = f"{architecture}/lora"
    return metadata


def _header(metadata: dict[str, str], data: bytes, width: int) -> bytes:
    """Lay the tensors of a LoRA over the data without a hole, padded with spaces as the library does."""
    layer = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    down, rest = 2 * width // 8, len(data) - 2 * width // 8 - 2
    tensors: dict[str, object] = {"__metadata__": metadata}
    offset = 0
    for name, shape, size in (
        (f"{layer}.alpha", [], 2),
        (f"{layer}.lora_down.weight", [1, width // 8], down),
        (f"{layer}.lora_up.weight", [rest // 2, 1], rest),
    ):
        tensors[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(tensors, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)


def _half(dice: random.Random) -> bytes:
    header = b'{"w":{"dtype":"U8","shape":[65536],"data_offsets":[0,65536]}}'
    return struct.pack("<Q", len(header)) + header + dice.randbytes(30_000)


def _copy(folder: Path, model: Model, dice: random.Random) -> Model:
    """Put the same bytes under another name into another folder."""
    first = Path(model.paths[0])
    again = _write(folder, f"copies/{dice.choice(_WORDS)}/{first.name}", (folder / first).read_bytes())
    return replace(model, paths=(*model.paths, again))


def _write(folder: Path, relpath: str, content: bytes) -> str:
    path = folder / relpath
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    old = path.stat().st_mtime - _AGE_S
    os.utime(path, (old, old))
    return relpath


def main() -> None:
    """Make a library from the command line and say what it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    manifest = make_library(options.folder, options.count, options.seed)
    print(
        f"{manifest.file_count} files, {len(manifest.models)} contents, {len(manifest.known)} of them known"
    )


if __name__ == "__main__":
    main()
