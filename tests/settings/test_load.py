import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from hashtagd.settings import (
    Lines,
    Loaded,
    Settings,
    SettingsMistakes,
    load,
    load_with_lines,
    validate_options,
)

HOME = {"HOME": "/home/bob"}
PROVIDERS = ("civarchive", "civitai", "header")
WRITERS = ("lora-manager", "civitai-info", "preview", "json-tree")
EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


def loaded(text: str | None, environ: dict[str, str] | None = None) -> Loaded:
    return load_with_lines(
        text,
        HOME if environ is None else environ,
        source="config.yaml",
        known_providers=PROVIDERS,
        known_writers=WRITERS,
    )


def settings(text: str | None, environ: dict[str, str] | None = None) -> Settings:
    return loaded(text, environ).settings


def mistakes(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsMistakes) as caught:
        settings(text, environ)
    return str(caught.value).splitlines()


def test_without_a_file_every_key_has_a_default() -> None:
    found = load(None, HOME, source="defaults", known_providers=PROVIDERS, known_writers=WRITERS)
    assert found.comfyui.path == Path("/home/bob/ComfyUI")
    assert found.comfyui.url == "http://127.0.0.1:8188"
    assert found.catalog.url == "sqlite:////home/bob/.local/state/hashtagd/catalog.db"
    assert [entry.kind for entry in found.providers] == ["civitai", "civarchive", "header"]
    assert [entry.name for entry in found.writers] == ["lora-manager", "civitai-info", "preview"]
    assert (found.preview.max_nsfw_level, found.preview.width_px, found.preview.max_bytes) == (
        1,
        450,
        20971520,
    )
    assert (found.preview.gallery, found.preview.gallery_max_bytes) == (0, 2147483648)
    assert (found.digests.workers, found.digests.blake3, found.digests.pause_while_generating) == (
        "auto",
        False,
        True,
    )
    assert (found.downloads.max_parallel, found.downloads.to, found.downloads.min_free_bytes) == (
        2,
        None,
        2147483648,
    )
    assert (found.log.level, found.log.format, found.log.file) == ("info", "auto", None)
    assert (found.roots, found.network.allowed_origins, found.network.proxy, found.web.listen) == (
        (),
        (),
        None,
        None,
    )


def test_a_root_with_nothing_but_a_path_has_the_defaults_of_the_contract() -> None:
    (root,) = settings("roots:\n  - path: ~/models/loras/\n").roots
    assert (root.name, root.path) == ("loras", Path("/home/bob/models/loras"))
    assert (root.watch, root.quiet_s, root.scan_interval_s, root.follow_symlinks) == ("auto", 10, 900, True)
    assert (root.extensions, root.exclude, root.writers) == ((".safetensors", ".sft"), (), None)


def test_the_example_without_its_sample_roots_equals_the_defaults() -> None:
    example = settings(EXAMPLE.read_text(encoding="utf-8"))
    assert example.roots
    assert example.model_copy(update={"roots": ()}) == settings(None)


def test_the_sample_root_of_the_example_shows_the_defaults_too() -> None:
    (sample,) = settings(EXAMPLE.read_text(encoding="utf-8")).roots
    (plain,) = settings("roots: [{name: nas-loras, path: /mnt/nas/loras}]").roots
    assert sample == plain


def test_the_example_gives_every_field_of_the_schema_by_its_name() -> None:
    given = loaded(EXAMPLE.read_text(encoding="utf-8")).lines.by_path
    shown = {tuple(part for part in path if isinstance(part, str)) for path in given}
    missing = [path for path in _fields(Settings) if path not in shown]
    assert missing == []


def _fields(model: type[BaseModel], base: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        found.append((*base, name))
        if (*base, name) in {("providers",), ("writers",), ("roots", "writers")}:
            continue
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found += _fields(part, (*base, name))
    return found


def test_all_mistakes_come_at_once_each_with_its_line() -> None:
    text = """\
roots:
  - path: /data/loras
    quiet_s: -3
    quite_s: 10
    watch: sometimes
  - path: relative/path
providers:
  - kind: oracle
writers: [preview, nonsense]
digests: {workers: 0, blake3: 1}
log: loud
"""
    assert mistakes(text) == [
        "config.yaml:3: roots[0].quiet_s: must be at least 0 (got -3)",
        "config.yaml:4: roots[0].quite_s: unknown key; did you mean quiet_s?",
        "config.yaml:5: roots[0].watch: must be 'auto', 'events', 'poll' or 'off'",
        "config.yaml:6: roots[1].path: must be an absolute path, or begin with ~/",
        "config.yaml:8: providers[0].kind: must be one of civarchive, civitai, header",
        "config.yaml:9: writers[1]: must be one of civitai-info, json-tree, lora-manager, preview",
        "config.yaml:10: digests.blake3: must be true or false (got 1)",
        "config.yaml:10: digests.workers: must be at least 1, or must be 'auto' (got 0)",
        "config.yaml:11: log: must be a mapping",
    ]


#: F89, the traps: text, and a part of what must be said
TRAPS = {
    "scalar": ("hunter2hunter2", "must be a mapping of keys"),
    "list": ("- hunter2hunter2", "must be a mapping of keys"),
    "two documents": (
        "log: {level: info}\n---\nlog: {level: hunter2hunter2}",
        "2: a second document begins here",
    ),
    "tab": ("log:\n\tlevel: hunter2hunter2", "2: a tab stands here"),
    "duplicate key": ("log: {}\nlog: {level: info}", "2: a key is given twice (first in line 1)"),
    "no is text": ("digests: {blake3: no}", "digests.blake3: must be true or false"),
    "yes is text": ("digests:\n  blake3: yes", "2: digests.blake3: must be true or false"),
    "octal": ("roots: [{path: /a, quiet_s: 0644}]", "roots[0].quiet_s: must be a whole number"),
    "base 60": ("roots: [{path: /a, quiet_s: 1:30}]", "roots[0].quiet_s: must be a whole number"),
    "date": ("roots: [{path: /a, quiet_s: 2024-01-01}]", "roots[0].quiet_s: must be a whole number"),
    "quoted number": ('roots: [{path: /a, quiet_s: "10"}]', "roots[0].quiet_s: must be a whole number"),
    "fraction": ("roots: [{path: /a, quiet_s: 1.5}]", "roots[0].quiet_s: must be a whole number (got 1.5)"),
    "endless digits": (f"roots: [{{path: /a, quiet_s: {'9' * 5000}}}]", "must be a whole number"),
    "infinity": ("preview: {width_px: .inf}", "preview.width_px: must be a whole number"),
    "unknown key": ("netwrok: {proxy: hunter2hunter2}", "unknown key; did you mean network?"),
    "merge key": ("log:\n  <<: {level: info}", "unknown key"),
    "self reference": ("a: &a [*a]", "aliases (*) are not used here"),
    "alias bomb": (
        "a: &a [x, x]\n"
        + "\n".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]" for n in range(20)),
        "2: aliases (*) are not used here",
    ),
    "undefined alias": ("a: *hunter2hunter2", "aliases (*) are not used here"),
    "deep flow": ("[" * 5000, "nested deeper than 20 levels"),
    "deep block": ("\n".join(" " * n + "a:" for n in range(700)), "nested deeper than 20 levels"),
    "deep dashes": ("- " * 5000, "nested deeper than 20 levels"),
    "a megabyte": ("x" * (1 << 20), "is longer than 262144 characters"),
    "python tag": ("log: !!python/object/apply:os.system [hunter2hunter2]", "tags (!) are not used here"),
    "open bracket": ("log: {level: hunter2hunter2", "is not well-formed YAML here"),
    "control character": ("log: {level: \x07hunter2hunter2}", "has characters that YAML does not allow"),
    "escaped control": ('log: {file: "/a\\0hunter2hunter2"}', "log.file: has control characters"),
    "lone surrogate": ('log: {file: "/a\\ud800"}', "log.file: has control characters"),
    "a list as key": ("? [hunter2hunter2]\n: 1", "a key must be plain text"),
    "a number as key": ("31337313373133731337: 1", "1: ?: unknown key"),
    "number for text": ("roots: [{path: 31337}]", "roots[0].path: must be text; put it in quotes"),
    "list for a section": ("preview: [1]", "preview: must be a mapping"),
    "text for a list": ("roots: hunter2hunter2", "roots: must be a list"),
    "no path": ("roots: [{name: a}]", "roots[0].path: is required"),
    "one name twice": (
        "roots: [{path: /a/x}, {path: /b/x}]",
        "is the name of an earlier root too (roots[0])",
    ),
    "one writer twice": ("writers: [preview, preview]", "writers[1]: is listed twice"),
    "no kind": ("providers: [{base_url: hunter2hunter2}]", "providers[0].kind: is required"),
    "unknown writer of a root": (
        "roots: [{path: /a, writers: [preview, hunter2hunter2]}]",
        "roots[0].writers[1]: must be",
    ),
    "other home": ("comfyui: {path: ~hunter2hunter2/x}", "comfyui.path: must be an absolute path"),
    "upwards": ("comfyui: {path: /a/../hunter2hunter2}", "comfyui.path: must not contain .."),
    "login in address": ("comfyui: {url: 'http://u:hunter2hunter2@h'}", "comfyui.url: must not hold a login"),
    "database password": (
        "catalog: {url: 'postgresql://u:hunter2hunter2@h/d'}",
        "catalog.url: must not hold a password",
    ),
    "database password, other": (
        "catalog: {url: 'postgresql://h/d?password=hunter2hunter2'}",
        "must not hold a password",
    ),
    "other database": (
        "catalog: {url: 'mysql://hunter2hunter2/d'}",
        "must begin with sqlite:/// or postgresql://",
    ),
    "relative database": ("catalog: {url: 'sqlite:///hunter2hunter2.db'}", "must name an absolute path"),
    "bad port": ("comfyui: {url: 'http://h:hunter2hunter2'}", "comfyui.url: is not a well-formed address"),
    "bad listen": ("web: {listen: hunter2hunter2}", "web.listen: must be host:port"),
    "origin with path": (
        "network: {allowed_origins: ['http://h/hunter2hunter2']}",
        "must be scheme, host and port only",
    ),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_of_yaml_is_a_mistake_and_no_value_is_told(trap: str) -> None:
    """F89."""
    text, said = TRAPS[trap]
    found = mistakes(text)
    assert any(said in line for line in found), found
    assert not any("hunter2hunter2" in line or "31337" in line for line in found)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff", "---\n", "log:\nroots:\n", "{}"])
def test_an_empty_file_means_the_defaults(text: str) -> None:
    """F89."""
    assert settings(text) == settings(None)


def test_a_byte_order_mark_changes_nothing() -> None:
    """F89."""
    assert settings("\ufefflog: {level: debug}").log.level == "debug"


def test_off_is_a_word_here_not_a_boolean() -> None:
    """F89."""
    (root,) = settings("roots: [{name: no, path: /a, watch: off}]").roots
    assert (root.name, root.watch) == ("no", "off")


@given(st.text(max_size=300))
@limits(deadline=None)
def test_any_text_gives_settings_or_mistakes_never_a_traceback(text: str) -> None:
    """F89."""
    try:
        assert isinstance(settings(text), Settings)
    except SettingsMistakes as caught:
        assert caught.mistakes  # noqa: PT017 - either end is right


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(Settings.model_fields)), _TREES)
@limits(deadline=None)
def test_any_value_under_a_known_key_gives_settings_or_mistakes(key: str, value: object) -> None:
    """F89."""
    import json  # noqa: PLC0415 - JSON is YAML, near enough

    try:
        assert isinstance(settings(f"{key}: {json.dumps(value)}"), Settings)
    except SettingsMistakes as caught:
        assert caught.mistakes  # noqa: PT017 - either end is right


@pytest.mark.parametrize(
    "key", ["api_key", "API-KEY", "civitai_api_key", "token", "password", "access_token"]
)
def test_a_secret_in_the_file_is_refused_with_a_hint_and_not_told(key: str) -> None:
    """F91."""
    (line,) = mistakes(f"providers:\n  - kind: civitai\n    {key}: 0123456789abcdef\n")
    assert line.startswith(f"config.yaml:3: providers[0].{key}: a secret must not stand in this file")
    assert "$CIVITAI_API_KEY" in line
    assert "0123" not in line


@pytest.mark.parametrize("value", ["sh0rt77", "späcial-characters", "two words here", "a\nb\ncdefgh"])
def test_a_useless_key_in_the_environment_is_a_mistake_and_not_told(value: str) -> None:
    """F91."""
    (line,) = mistakes("", {**HOME, "CIVITAI_API_KEY": value})
    assert line.startswith("config.yaml: $CIVITAI_API_KEY: holds something")
    assert value not in line


def test_an_empty_key_in_the_environment_is_no_key() -> None:
    assert settings(None, {**HOME, "CIVITAI_API_KEY": ""}) == settings(None)


def test_home_is_expanded_in_paths_and_in_the_address_of_the_database() -> None:
    found = settings("catalog: {url: 'sqlite:///~/x/c.db'}\nlog: {file: ~/x.log}\ndownloads: {to: /srv}\n")
    assert found.catalog.url == "sqlite:////home/bob/x/c.db"
    assert found.log.file == Path("/home/bob/x.log")
    assert found.downloads.to == Path("/srv")


def test_without_a_home_the_defaults_need_a_state_folder_and_no_comfyui_is_assumed() -> None:
    (line,) = mistakes("", {})
    assert line.startswith("config.yaml: catalog.url: is required here: $HOME, $HASHTAGD_STATE_DIR and")
    found = settings(None, {"STATE_DIRECTORY": "/var/lib/hashtagd"})
    assert found.catalog.url == "sqlite:////var/lib/hashtagd/catalog.db"
    assert found.comfyui.path is None
    assert mistakes("comfyui: {path: ~/x}", {"STATE_DIRECTORY": "/s"})[0].startswith(
        "config.yaml:1: comfyui.path: cannot"
    )


def test_options_of_providers_and_writers_are_kept_as_they_stand() -> None:
    found = settings(
        "providers: [{kind: civitai, requests_per_minute: 6}]\nwriters: [{json-tree: {path: /x}}, preview]\n"
    )
    assert [(entry.kind, entry.options) for entry in found.providers] == [
        ("civitai", {"requests_per_minute": 6})
    ]
    assert [(entry.name, entry.options) for entry in found.writers] == [
        ("json-tree", {"path": "/x"}),
        ("preview", {}),
    ]


class ModelOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    requests_per_minute: int = Field(default=60, ge=1)
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlainOptions:
    requests_per_minute: int = 60
    names: tuple[str, ...] = ()
    path: Path = Path("/x")

    def __post_init__(self) -> None:
        if self.requests_per_minute < 1:
            raise ValueError("requests_per_minute must be at least 1")


@pytest.mark.parametrize("cls", [ModelOptions, PlainOptions])
def test_options_become_an_object_of_their_class(cls: type[ModelOptions | PlainOptions]) -> None:
    made = validate_options(cls, {"requests_per_minute": 6, "names": ["a"]}, ("providers", 0))
    assert isinstance(made, cls)
    assert (made.requests_per_minute, made.names) == (6, ("a",))


@pytest.mark.parametrize("cls", [ModelOptions, PlainOptions])
def test_mistakes_in_options_are_told_like_all_others(cls: type[ModelOptions | PlainOptions]) -> None:
    found = loaded("providers:\n  - kind: civitai\n    requests_per_minute: '6'\n    nmaes: []\n")
    with pytest.raises(SettingsMistakes) as caught:
        validate_options(
            cls,
            found.settings.providers[0].options,
            ("providers", 0),
            lines=found.lines,
            source="config.yaml",
        )
    assert str(caught.value).splitlines() == [
        "config.yaml:3: providers[0].requests_per_minute: must be a whole number",
        "config.yaml:4: providers[0].nmaes: unknown key; did you mean names?",
    ]


def test_what_a_dataclass_itself_refuses_is_a_mistake_too() -> None:
    with pytest.raises(SettingsMistakes, match=r"providers\[0\]: requests_per_minute must be at least 1"):
        validate_options(PlainOptions, {"requests_per_minute": 0}, ("providers", 0), lines=Lines())
