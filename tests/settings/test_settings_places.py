import os
import tempfile
from pathlib import Path

import pytest

from hashtagd.settings import (
    SettingsMistakes,
    check_roots,
    find_api_key,
    find_config,
    load,
    look_at_roots,
    read_config,
    read_key_file,
    state_folder,
)
from hashtagd.settings.schema import Root, Settings
from support.stage_fakes import as_nobody

KEY = "0123456789abcdef0123456789abcdef"


def made(text: str | None, environ: dict[str, str]) -> Settings:
    return load(text, environ, source="config.yaml", known_providers=["civitai"], known_writers=[])


def roots(*paths: str | Path) -> list[Root]:
    return [Root(name=f"r{index}", path=Path(path)) for index, path in enumerate(paths)]


@pytest.mark.parametrize(
    "environ,expected",
    [
        (
            {"HOME": "/h", "STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "HASHTAGD_STATE_DIR": "/c"},
            "/var/lib/a",
        ),
        ({"HOME": "/h", "HASHTAGD_STATE_DIR": "/c"}, "/c"),
        ({"HOME": "/h", "HASHTAGD_STATE_DIR": "~/c"}, "/h/c"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/x"}, "/x/hashtagd"),
        ({"HOME": "/h", "XDG_STATE_HOME": "relative"}, "/h/.local/state/hashtagd"),
        ({"HOME": "/h"}, "/h/.local/state/hashtagd"),
    ],
)
def test_the_state_folder_is_the_first_that_the_environment_names(
    environ: dict[str, str], expected: str
) -> None:
    assert state_folder(environ) == Path(expected)


@pytest.mark.parametrize("environ", [{}, {"HASHTAGD_STATE_DIR": "~/c"}, {"HOME": "relative"}])
def test_without_any_name_there_is_no_state_folder(environ: dict[str, str]) -> None:
    assert state_folder(environ) is None


def test_the_settings_file_named_by_hand_wins_over_all_others(tmp_path: Path) -> None:
    users = tmp_path / "hashtagd" / "config.yaml"
    users.parent.mkdir()
    users.write_text("")
    environ = {"HOME": "/h", "HASHTAGD_CONFIG": "/env.yaml", "XDG_CONFIG_HOME": str(tmp_path)}
    assert find_config(environ, Path("/given.yaml")) == Path("/given.yaml")
    assert find_config(environ) == Path("/env.yaml")
    assert find_config({**environ, "HASHTAGD_CONFIG": "~/env.yaml"}) == Path("/h/env.yaml")
    assert find_config({**environ, "HASHTAGD_CONFIG": ""}) == users


@pytest.mark.parametrize(
    "content,said",
    [
        (b"log: {level: caf\xe9}", "is not UTF-8 text"),
        (b"\xff\xfel\0o\0g\0", "is not UTF-8"),
        (b"x" * 1048577, "is larger"),
    ],
)
def test_a_file_that_is_no_text_is_a_mistake(tmp_path: Path, content: bytes, said: str) -> None:
    """F89."""
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsMistakes, match=said):
        read_config(path)


def test_a_settings_file_that_is_missing_or_a_folder_is_a_mistake(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsMistakes, match=said):
            read_config(path)


def test_a_settings_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """F89."""
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbflog: {level: debug}\r\n")
    assert made(read_config(path), {"HOME": "/h"}).log.level == "debug"


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "civitai-api-key"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" \n\n"])
def test_white_space_around_the_key_in_a_file_is_dropped(tmp_path: Path, end: bytes) -> None:
    """F91."""
    secret = read_key_file(key_file(tmp_path, KEY.encode() + end))
    assert secret.get_secret_value() == KEY
    assert KEY not in repr(secret)
    assert KEY not in str(secret)


@pytest.mark.parametrize(
    "content,mode,said",
    [
        (b"", 0o600, "holds no key"),
        (b"\n", 0o600, "holds no key"),
        (KEY.encode(), 0o604, "everybody may read; run: chmod 600"),
        (b"schl\xc3\xbcssel-0123", 0o600, "holds something that is no key"),
        (b"two\nlines-of-text", 0o600, "holds something that is no key"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07\x08", 0o600, "holds something that is no key"),
        (b"sh0rt77", 0o600, "too short for a key: at least 8"),
        (b"k" * 5000, 0o600, "too large to be a key"),
    ],
)
def test_a_key_file_that_will_not_do_is_refused_and_its_content_not_told(
    tmp_path: Path, content: bytes, mode: int, said: str
) -> None:
    """F91."""
    key_file(tmp_path, content, mode)
    text = "log: {}\nproviders:\n  - kind: civitai\n    api_key_file: ~/civitai-api-key\n"
    environ = {"HOME": str(tmp_path)}
    with pytest.raises(SettingsMistakes) as caught:
        find_api_key(made(text, environ), environ, source="config.yaml")
    line = str(caught.value)
    assert line.startswith("config.yaml: providers[0].api_key_file: ")
    assert said in line
    assert not content.strip() or content.decode("latin-1") not in line


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    """F91."""
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_key_file(tmp_path / "none")


def test_the_key_comes_from_the_environment_then_the_file_then_the_credential(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key_file(credentials, b"from-credential\n", 0o400)
    key_file(tmp_path, b"from-a-file\n")
    environ = {"HOME": str(tmp_path), "CREDENTIALS_DIRECTORY": str(credentials)}
    with_file = made("providers: [{kind: civitai, api_key_file: ~/civitai-api-key}]", environ)
    without = made("providers: [{kind: civitai, api_key_file: null}]", environ)
    by_environment = find_api_key(with_file, {**environ, "CIVITAI_API_KEY": "from-environment\n"})
    found = [by_environment, find_api_key(with_file, environ), find_api_key(without, environ)]
    assert [secret.get_secret_value() for secret in found if secret] == [
        "from-environment",
        "from-a-file",
        "from-credential",
    ]
    assert (
        find_api_key(without, {"HOME": str(tmp_path), "CREDENTIALS_DIRECTORY": str(tmp_path / "x")}) is None
    )


def test_a_key_file_of_root_is_what_the_credential_was_made_from() -> None:
    """A unit of the machine runs as a user of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        key_file(folder, b"from-a-file-of-root\n", 0o600 if os.geteuid() == 0 else 0o000)
        credentials = folder / "credentials"
        credentials.mkdir()
        credential = key_file(credentials, b"from-credential\n", 0o400)
        if os.geteuid() == 0:
            os.chown(credential, 65534, 65534)
        environ = {"HOME": name, "CREDENTIALS_DIRECTORY": str(credentials)}
        settings = made("providers: [{kind: civitai, api_key_file: ~/civitai-api-key}]", environ)
        with as_nobody():
            found = find_api_key(settings, environ)
            with pytest.raises(SettingsMistakes, match="Permission denied"):
                find_api_key(settings, {"HOME": name})
    assert found is not None
    assert found.get_secret_value() == "from-credential"


@pytest.mark.parametrize(
    "paths,said",
    [
        (["/"], "roots[0].path: must not be / itself"),
        (["/home/bob"], "roots[0].path: must not be your home folder"),
        (["/home"], "roots[0].path: must not be your home folder or a folder around it"),
        (["/var/state"], "roots[0].path: must not be hashtagd's own state folder"),
        (["/var/state/x"], "roots[0].path: must not be hashtagd's own state folder"),
        (["/a", "/b", "/a"], "roots[2].path: is the path of roots[0] too"),
        (["/a", "/a/b"], "roots[1].path: lies inside roots[0]"),
        (["/a/b", "/a"], "roots[1].path: holds roots[0]"),
    ],
)
def test_roots_that_would_be_watched_twice_or_never_should_be_are_refused(
    paths: list[str], said: str
) -> None:
    """F90."""
    found = check_roots(roots(*paths), home=Path("/home/bob"), state_folder=Path("/var/state"))
    assert [mistake.text("c").removeprefix("c: ").startswith(said) for mistake in found.mistakes] == [True]
    assert found.warnings == ()


def test_a_root_around_the_state_folder_is_only_warned_of() -> None:
    """F90."""
    found = check_roots(roots("/var"), home=None, state_folder=Path("/var/state"))
    assert found.mistakes == ()
    assert [warning.path for warning in found.warnings] == ["roots[0].path"]


def test_neighbours_with_a_common_beginning_are_no_trouble() -> None:
    found = check_roots(roots("/a/b", "/a/bc", "/a/b c"), home=Path("/home/bob"), state_folder=Path("/a/bcd"))
    assert (found.mistakes, found.warnings) == ((), ())


def test_a_look_at_the_disk_refuses_files_and_second_names_and_only_warns_of_what_is_away(
    tmp_path: Path,
) -> None:
    """F90."""
    (tmp_path / "models").mkdir()
    (tmp_path / "other").symlink_to("models")
    (tmp_path / "file").write_bytes(b"")
    found = look_at_roots(roots(*(tmp_path / name for name in ("models", "other", "file", "away"))))
    assert [mistake.text("c") for mistake in found.mistakes] == [
        "c: roots[1].path: is the same folder as roots[0] under another name",
        "c: roots[2].path: is not a folder",
    ]
    assert [warning.path for warning in found.warnings] == ["roots[3].path"]
