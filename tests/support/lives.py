"""Models that can be told apart, for tests of what becomes of their artifacts."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from hashtagd.core.card import Card
from hashtagd.core.place import Place
from hashtagd.core.work import Claim, Outcome, Publication
from support.publish_fakes import World, card, png, preview, published, raw_version


def address(number: int) -> str:
    """Give the address of a model's picture."""
    return f"https://elsewhere.example/{number}.png"


def words(number: int) -> tuple[str, ...]:
    """Give a model's trigger words."""
    return (f"word{number}",)


def card_of(model_sha256: str, number: int) -> Card:
    """Make a card no part of which another model shares."""
    name, kind = f"Model {number}", f"Base {number}"
    model = {"name": name, "type": "LORA", "tags": [f"Tag{number}"], "description": f"<p>{number}</p>"}
    raw = raw_version(
        model_sha256, id=number, modelId=number, baseModel=kind, trainedWords=list(words(number)), model=model
    )
    return card(
        model_sha256,
        model_id=number,
        version_id=number,
        model_name=name,
        base_model=kind,
        trained_words=words(number),
        tags=(f"Tag{number}",),
        description_html=f"<p>{number}</p>",
        previews=(preview(address(number), nsfw_level=1 + number % 2),),
        raw=raw,
    )


@dataclass
class Neighbourhood:
    """One folder with models that are known by number."""

    world: World

    def put(self, name: str, number: int) -> Path:
        """Put the model of this number there; the site has a picture of it."""
        self.world.fetcher.pages[address(number)] = (png(number), "image/png")
        return self.world.model(name, content_of(number))

    def claim(self, name: str, file_id: int, **changes: Any) -> Claim:
        """Make the claim of whichever model lies there."""
        path = self.world.folder / name
        number = int(path.read_bytes().rpartition(b" ")[2])
        plain = self.world.claim(path, file_id=file_id)
        assert plain.digests is not None
        known = {"card": card_of(plain.digests.sha256, number), **changes}
        return self.world.claim(path, file_id=file_id, **known)

    def publish(self, name: str, file_id: int, **changes: Any) -> Outcome:
        """Publish whichever model lies there."""
        [outcome] = self.world.publish(self.claim(name, file_id, **changes))
        published(outcome)
        return outcome

    def sidecar(self, name: str) -> dict[str, Any]:
        """Read a sidecar."""
        data: dict[str, Any] = json.loads((self.world.folder / name).read_bytes())
        return data

    def tells_of(self, stem: str, number: int) -> bool:
        """Tell whether all that lies there under a stem is of this model."""
        data = self.sidecar(f"{stem}.metadata.json")
        said = (data["model_name"], data["base_model"], data["tags"], data["trainedWords"], data["file_name"])
        wanted = (f"Model {number}", f"Base {number}", [f"tag{number}"], [f"word{number}"], stem)
        picture = self.world.folder / f"{stem}.preview.png"
        return (
            said == wanted
            and data["civitai"]["id"] == number == self.sidecar(f"{stem}.civitai.info")["id"]
            and data["modelDescription"] == f"<p>{number}</p>"
            and data["preview_url"] == str(picture)
            and data["preview_nsfw_level"] == 1 + number % 2
            and picture.read_bytes() == png(number)
        )


def content_of(number: int) -> bytes:
    """Give the bytes of a model."""
    return f"the bytes of model {number}".encode()


def intended_over(known: Publication, old: bytes) -> Publication:
    """Make the record of a picture that was about to replace an older one of other bytes."""
    return replace(
        known,
        intended_sha256=known.written_sha256,
        intended_for=known.written_for,
        written_sha256=sha256(old).hexdigest(),
        written_for="0" * 64,
    )


def put_elsewhere(known: Publication) -> Publication:
    """Make the record of the same artifact in a folder that is not there."""
    return replace(known, place=Place(root=known.place.root, relpath=f"away/{known.place.relpath}"))


def aimed_at(known: Publication, world: World, victim: Path) -> Publication:
    """Make a record that claims a stranger's file as ours."""
    place = Place(root=known.place.root, relpath=victim.relative_to(world.folder).as_posix())
    return replace(known, place=place, written_sha256=sha256(victim.read_bytes()).hexdigest())
