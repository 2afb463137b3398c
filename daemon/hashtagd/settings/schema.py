"""The shape of the settings: every key, its unit, its default and its range.

Nothing here reads a file or the environment. Models are built by `load`, which checks in JSON mode and
strictly: a number in quotes is no number, `yes` is no boolean. The `~` of a path needs a home folder, which
comes as validation context; so `comfyui` and `catalog` have no default here, and `load(None, environ)` is the
way to all defaults.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hashtagd.settings.values import (
    absolute_path,
    catalog_url,
    http_url,
    listen_address,
    origin,
    root_name,
)

#: marks fields whose value may stand in a message, if it is a number or a boolean
HARMLESS = "harmless"

AbsolutePath = Annotated[Path, AfterValidator(absolute_path)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
Origin = Annotated[str, AfterValidator(origin)]
Flag = Annotated[bool, HARMLESS]
Extension = Literal[".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin"]

#: for every model here, and for options of providers and writers that are plain dataclasses
STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    allow_inf_nan=False,
    hide_input_in_errors=True,
)


class _Section(BaseModel):
    model_config = STRICT


class Comfyui(_Section):
    """The ComfyUI beside us."""

    #: its models folder and extra_model_paths.yaml become roots; None: no ComfyUI; `load` fills it in
    path: AbsolutePath | None
    #: programs there are told what was published; None: nobody is told
    url: HttpUrl | None = "http://127.0.0.1:8188"


class WriterEntry(_Section):
    """One writer that is switched on, with its options as they stand in the file."""

    name: str
    options: Mapping[str, Any] = Field(default_factory=dict)


class ProviderEntry(_Section):
    """One provider of the chain, with its options as they stand in the file."""

    kind: str
    options: Mapping[str, Any] = Field(default_factory=dict)


class Root(_Section):
    """One folder to watch."""

    #: shared by machines; the last part of the path when not given
    name: Annotated[str, AfterValidator(root_name)]
    #: this machine's own
    path: AbsolutePath
    watch: Literal["auto", "events", "poll", "off"] = "auto"
    quiet_s: Annotated[int, Field(ge=0, le=86_400), HARMLESS] = 10
    #: 3/4 to 5/4 of it, at random; also where events work
    scan_interval_s: Annotated[int, Field(ge=1, le=604_800), HARMLESS] = 900
    follow_symlinks: Flag = True
    extensions: Annotated[tuple[Extension, ...], Field(min_length=1)] = (".safetensors", ".sft")
    #: globs
    exclude: tuple[str, ...] = ()
    #: None: the list of the whole installation; empty: catalog only
    writers: tuple[WriterEntry, ...] | None = None


class Catalog(_Section):
    """Where the memory lies."""

    #: SQLAlchemy spelling, `~` expanded, never with a password; `load` puts the default in
    url: Annotated[str, AfterValidator(catalog_url)]


class Preview(_Section):
    """The picture beside a model."""

    #: Civitai's bit mask: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX
    max_nsfw_level: Annotated[int, Field(ge=0, le=63), HARMLESS] = 1
    width_px: Annotated[int, Field(ge=64, le=8192), HARMLESS] = 450
    max_bytes: Annotated[int, Field(ge=1024, le=1 << 30), HARMLESS] = 20 << 20
    #: so many pictures of each model in the state folder besides; 0: none
    gallery: Annotated[int, Field(ge=0, le=100), HARMLESS] = 0
    #: of all of those together
    gallery_max_bytes: Annotated[int, Field(ge=1024, le=1 << 50), HARMLESS] = 2 << 30


class Network(_Section):
    """Who may be talked to besides the providers."""

    #: extra origins that may be fetched from, for example a mirror in the LAN
    allowed_origins: tuple[Origin, ...] = ()
    proxy: HttpUrl | None = None


class Digests(_Section):
    """How files are hashed."""

    workers: Annotated[Annotated[int, Field(ge=1, le=64)] | Literal["auto"], HARMLESS] = "auto"
    blake3: Flag = False
    pause_while_generating: Flag = True


class Downloads(_Section):
    """How models are fetched."""

    max_parallel: Annotated[int, Field(ge=1, le=16), HARMLESS] = 2
    #: None: the folder that the model's type belongs to
    to: AbsolutePath | None = None
    min_free_bytes: Annotated[int, Field(ge=0, le=1 << 50), HARMLESS] = 2 << 30


class Log(_Section):
    """What is told, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    #: auto: console form on a terminal, JSON lines elsewhere
    format: Literal["auto", "console", "json"] = "auto"
    file: AbsolutePath | None = None


class Web(_Section):
    """The local page."""

    #: `host:port`; None: no page
    listen: Annotated[str, AfterValidator(listen_address)] | None = None


class Settings(_Section):
    """All settings of one process. Secrets are not among them: `keys.find_api_key` brings the key."""

    comfyui: Comfyui
    roots: tuple[Root, ...] = ()
    catalog: Catalog
    #: asked in this order
    providers: tuple[ProviderEntry, ...] = (
        ProviderEntry(kind="civitai"),
        ProviderEntry(kind="civarchive"),
        ProviderEntry(kind="header"),
    )
    writers: tuple[WriterEntry, ...] = (
        WriterEntry(name="lora-manager"),
        WriterEntry(name="civitai-info"),
        WriterEntry(name="preview"),
    )
    preview: Preview = Field(default_factory=Preview)
    network: Network = Field(default_factory=Network)
    digests: Digests = Field(default_factory=Digests)
    downloads: Downloads = Field(default_factory=Downloads)
    log: Log = Field(default_factory=Log)
    web: Web = Field(default_factory=Web)
