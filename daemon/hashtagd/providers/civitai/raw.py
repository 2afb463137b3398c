"""The site's own document as it is kept: filled in from the model, every address in its stored form."""

from collections.abc import Mapping
from typing import Any

from hashtagd.providers.civitai.addresses import Addresses, file_id_in, names_linked_vae
from hashtagd.providers.civitai.fields import identity, listed, mapping

#: what a model's document adds to the `model` object of a version
_MODEL_FACTS = (
    "name",
    "type",
    "mode",
    "nsfw",
    "nsfwLevel",
    "poi",
    "minor",
    "sfwOnly",
    "availability",
    "description",
    "allowNoCredit",
    "allowCommercialUse",
    "allowDerivatives",
    "allowDifferentLicense",
)


def enriched(
    version: Mapping[str, Any], model: Mapping[str, Any] | None, *, model_id: int | None, addresses: Addresses
) -> dict[str, Any]:
    """Give a version's document with `model` and `creator` filled in and every address in its stored form."""
    document: dict[str, Any] = {name: _stored(value, addresses) for name, value in version.items()}
    for name in ("files", "images", "trainedWords"):  # some routes leave empty lists out
        document.setdefault(name, [])
    if model_id is not None:
        document["modelId"] = model_id
    about = slim(model) if model else {}
    creator = about.pop("creator", None)
    document["model"] = {**mapping(document.get("model")), **about}
    if creator is not None:
        document["creator"] = _stored(creator, addresses)
    _exact_downloads(document, addresses)
    return document


def slim(model: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a version takes over from its model's document: small enough to remember thousands."""
    facts = {name: model[name] for name in _MODEL_FACTS if model.get(name) is not None}
    if "tags" in model:
        facts["tags"] = list(listed(model["tags"]))
    if isinstance(model.get("creator"), Mapping):
        facts["creator"] = dict(model["creator"])
    return facts


def _exact_downloads(document: dict[str, Any], addresses: Addresses) -> None:
    version_id = identity(document.get("id"))
    files = document["files"] if isinstance(document["files"], list) else []
    for file in files:
        if not isinstance(file, dict):
            continue
        given = file.get("downloadUrl")
        file_id = identity(file.get("id")) or file_id_in(given)
        if version_id and file_id and not names_linked_vae(given):
            file["downloadUrl"] = addresses.download(version_id, file_id)


def _stored(value: Any, addresses: Addresses) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        # a text that merely begins like an address (a prompt, a note) is no address
        return value if " " in value or "\n" in value else addresses.stored(value)
    if isinstance(value, Mapping):
        return {name: _stored(item, addresses) for name, item in value.items()}
    return [_stored(item, addresses) for item in value] if isinstance(value, list) else value
