"""What writers call things where models have odd names, or roots are more than one kind's folder."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from hashtagd.core.artifacts import JsonMerge
from hashtagd.core.place import Place
from hashtagd.writers import make_writer
from support.publish_fakes import card, target
from support.writer_samples import WRITERS


def at(root: str, relpath: str) -> Any:
    path = PurePosixPath(root) / relpath
    return target(place=Place(root="models", relpath=relpath), path=path)


@pytest.mark.parametrize(
    "root,relpath,file",
    [
        ("/ComfyUI/models", "loras/styles/wisp.safetensors", "styles/wisp.safetensors"),
        ("/ComfyUI/models", "checkpoints/wisp.safetensors", "wisp.safetensors"),
        ("/ComfyUI/models/loras", "styles/wisp.safetensors", "styles/wisp.safetensors"),
        ("/ComfyUI/models/loras", "loras/wisp.safetensors", "loras/wisp.safetensors"),
        ("/ComfyUI/models", "loras.safetensors", "loras.safetensors"),
    ],
)
def test_rgthree_is_told_where_a_model_lies_below_the_folder_of_its_kind(
    root: str, relpath: str, file: str
) -> None:
    [artifact] = make_writer("rgthree").render(card(), at(root, relpath))
    assert isinstance(artifact, JsonMerge)
    assert artifact.fill["file"] == file


@pytest.mark.parametrize("stem", ["wisp.metadata", "wisp.swarm", "wisp.cm-info", "wisp.rgthree-info"])
def test_no_model_has_the_file_in_one_format_that_is_another_models_in_another(stem: str) -> None:
    """Both would be written into one document."""
    odd, plain = at("/loras", f"{stem}.safetensors"), at("/loras", "wisp.safetensors")
    names: list[str] = []
    for view in (odd, plain):
        for name in WRITERS:
            made = make_writer(name, {"path": "/cards"} if name == "json-tree" else None)
            merges = [it for it in made.render(card(), view) if isinstance(it, JsonMerge)]
            names += [view.place.stem + it.suffix for it in merges]
    assert len(names) == len(set(names)) > len(WRITERS) / 2
