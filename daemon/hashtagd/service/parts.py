"""The pieces that settings name: providers, writers, gates, stage options."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from hashtagd import providers, writers
from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.gates import Gates
from hashtagd.core.card import Card
from hashtagd.core.ports import Clock, Gatekeeper, Pause, Writer
from hashtagd.nudges import Program, programs_at
from hashtagd.providers import ClosableProvider, ProviderClass, Surroundings, Tell
from hashtagd.providers.downloads import FileDownloader
from hashtagd.providers.entrance import origin_of
from hashtagd.providers.fetcher import PreviewFetcher
from hashtagd.service.manners import Manners
from hashtagd.settings import Loaded, ProviderEntry, Settings, WriterEntry, find_api_key, validate_options
from hashtagd.stages.digest import DigestOptions
from hashtagd.stages.gather import GatherOptions
from hashtagd.stages.settle import SettleOptions
from hashtagd.watch.roots import RootFolder
from hashtagd.writers import WriterClass
from hashtagd.writers.preview import PreviewOptions, PreviewPicture

#: requests a minute to hosts the settings say nothing of: image hosts, built to serve a page full of
#: pictures at once
DEFAULT_RPM: Final = 1200
#: where downloads are asked for when the settings name no other place
_CIVITAI: Final = "https://civitai.com"
#: more workers gain nothing on one disk
_MOST_WORKERS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What providers and the fetcher are given."""

    loaded: Loaded
    environ: Mapping[str, str]
    clock: Clock
    pause: Pause
    gates: Gatekeeper
    tell: Tell
    #: where providers may keep what they can make anew
    state_folder: Path | None = None


def make_gates(loaded: Loaded, catalog: Catalog) -> Gates:
    """Make the gatekeeper, kept by the catalog, with the request budget of each configured provider.

    Raises:
        SettingsMistakes: an option of a provider is wrong.
    """
    budgets: dict[str, int] = {}
    for _, options in check_providers(loaded):
        base_url, rpm = getattr(options, "base_url", None), getattr(options, "requests_per_minute", None)
        if base_url is not None and rpm is not None:
            budgets[origin_of(base_url)] = rpm
    return catalog.gates(budgets, DEFAULT_RPM)


def make_providers(outside: Outside) -> list[ClosableProvider]:
    """Make the chain of providers in the order of the settings.

    Raises:
        SettingsMistakes: an option is wrong, or the key cannot be used.
    """
    loaded = outside.loaded
    key = find_api_key(loaded.settings, outside.environ, source=loaded.source, lines=loaded.lines)
    made: list[ClosableProvider] = []
    for entry, (cls, options) in entries_of(loaded):
        surroundings = Surroundings(
            clock=outside.clock,
            pause=outside.pause,
            gatekeeper=outside.gates,
            tell=outside.tell,
            key=key if entry.kind == "civitai" else None,
            proxy=loaded.settings.network.proxy,
            state_folder=outside.state_folder,
        )
        made.append(cls(options, surroundings))
    return made


def check_providers(loaded: Loaded) -> list[tuple[ProviderClass, BaseModel]]:
    """Check the options of each provider.

    Raises:
        SettingsMistakes: an option is wrong.
    """
    return [provider_options(loaded, index) for index in range(len(loaded.settings.providers))]


def provider_options(loaded: Loaded, index: int) -> tuple[ProviderClass, BaseModel]:
    """Check the options of one provider.

    Raises:
        SettingsMistakes: an option is wrong.
    """
    entry = loaded.settings.providers[index]
    cls = providers.provider_class(entry.kind)
    options = validate_options(
        cls.Options, entry.options, ("providers", index), lines=loaded.lines, source=loaded.source
    )
    return cls, options


def make_writers(loaded: Loaded) -> dict[str | None, Sequence[Writer]]:
    """Make the writers of each root that has a list of its own, and under None those of all others.

    Raises:
        SettingsMistakes: an option is wrong.
    """
    settings = loaded.settings
    made: dict[str | None, Sequence[Writer]] = {None: _writers(loaded, settings.writers, ("writers",))}
    for index, root in enumerate(settings.roots):
        if root.writers is not None:
            made[root.name] = _writers(loaded, root.writers, ("roots", index, "writers"))
    return made


def writer_options(
    loaded: Loaded, entry: WriterEntry, where: tuple[str | int, ...]
) -> tuple[WriterClass, BaseModel]:
    """Check the options of one writer, which stand at `where`.

    Raises:
        SettingsMistakes: an option is wrong.
    """
    cls = writers.writer_class(entry.name)
    options = {**_common_options(loaded.settings, cls.Options.model_fields), **entry.options}
    return cls, validate_options(cls.Options, options, where, lines=loaded.lines, source=loaded.source)


def writers_fingerprint(loaded: Loaded, root: str) -> str:
    """Sum up which writers, with which options, a root is published with."""
    settings = loaded.settings
    own = next((item.writers for item in settings.roots if item.name == root), None)
    entries = settings.writers if own is None else own
    known = [[entry.name, dict(entry.options)] for entry in entries]
    # galleries lie elsewhere: no file is published anew for them
    preview = settings.preview.model_dump(mode="json", exclude={"gallery", "gallery_max_bytes"})
    text = json.dumps([known, preview], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def make_fetcher(outside: Outside) -> PreviewFetcher:
    """Make what fetches pictures."""
    network = outside.loaded.settings.network
    surroundings = Surroundings(
        clock=outside.clock,
        pause=outside.pause,
        gatekeeper=outside.gates,
        tell=outside.tell,
        proxy=network.proxy,
    )
    return PreviewFetcher(surroundings, allowed_origins=network.allowed_origins)


def make_downloader(outside: Outside) -> FileDownloader:
    """Make what fetches model files; without Civitai among the providers nobody is shown the key.

    Raises:
        SettingsMistakes: an option is wrong, or the key cannot be used.
    """
    loaded = outside.loaded
    network = loaded.settings.network
    found = [options for entry, (_, options) in entries_of(loaded) if entry.kind == "civitai"]
    key = find_api_key(loaded.settings, outside.environ, source=loaded.source, lines=loaded.lines)
    surroundings = Surroundings(
        clock=outside.clock,
        pause=outside.pause,
        gatekeeper=outside.gates,
        tell=outside.tell,
        key=key if found else None,
        proxy=network.proxy,
    )
    base_url = getattr(found[0], "base_url", _CIVITAI) if found else _CIVITAI
    return FileDownloader(surroundings, base_url=base_url, allowed_origins=network.allowed_origins)


def entries_of(loaded: Loaded) -> Iterator[tuple[ProviderEntry, tuple[ProviderClass, BaseModel]]]:
    """Give the providers of the settings, each with its class and its checked options.

    Raises:
        SettingsMistakes: an option is wrong.
    """
    return zip(loaded.settings.providers, check_providers(loaded), strict=True)


def gather_options(settings: Settings) -> GatherOptions:
    """Say how much galleries may hold."""
    preview = settings.preview
    return GatherOptions(
        pictures=preview.gallery, max_bytes=preview.max_bytes, total_bytes=preview.gallery_max_bytes
    )


def gallery_addresses(loaded: Loaded) -> Callable[[Card | None], Sequence[str]]:
    """Say which pictures of a card a gallery holds: those that may lie beside its model, the best first."""
    options = PreviewOptions.model_validate(_common_options(loaded.settings, PreviewOptions.model_fields))
    picture = PreviewPicture(options)
    return lambda card: tuple(picture.candidates(card))


def make_programs(loaded: Loaded, clock: Clock) -> list[Program]:
    """Make those that are told what was published; none where there is no address to tell them at."""
    url = loaded.settings.comfyui.url
    return [] if url is None else programs_at(url, clock)


def make_manners(loaded: Loaded, clock: Clock, pause: Pause, changed: Callable[[bool], None]) -> Manners:
    """Make what holds hashing up while ComfyUI generates; it asks nobody where the owner wants none of it."""
    settings = loaded.settings
    url = settings.comfyui.url if settings.digests.pause_while_generating else None
    return Manners(url, clock=clock, pause=pause, changed=changed)


def settle_options(folders: Sequence[RootFolder]) -> dict[str, SettleOptions]:
    """Give the settle stage what each root's owner decided."""
    return {folder.name: SettleOptions(quiet_s=folder.quiet_s) for folder in folders}


def digest_options(settings: Settings) -> DigestOptions:
    """Give the digest stage its options; `auto` takes one worker a core, within reason."""
    workers = settings.digests.workers
    count = min(os.cpu_count() or 1, _MOST_WORKERS) if workers == "auto" else workers
    return DigestOptions(workers=count, blake3=settings.digests.blake3)


def _writers(loaded: Loaded, entries: Sequence[WriterEntry], path: tuple[str | int, ...]) -> list[Writer]:
    made: list[Writer] = []
    for index, entry in enumerate(entries):
        cls, options = writer_options(loaded, entry, (*path, index, entry.name))
        made.append(cls(options))
    return made


def _common_options(settings: Settings, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Hand the `preview` and `network` sections to writers that have options of these names."""
    common = {
        **settings.preview.model_dump(mode="json"),
        "image_origins": list(settings.network.allowed_origins),
    }
    return {name: value for name, value in common.items() if name in fields}
