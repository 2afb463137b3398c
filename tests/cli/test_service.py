"""`hashtagd service` as people type it; systemd itself is not talked to."""

import os

import pytest

from support.commands import Home


def test_what_would_be_written_can_be_read_first(home: Home) -> None:
    done = home.cli("service", "print", "--user")
    assert done.code == 0
    assert f"ReadWritePaths=-{home.loras}" in done.out
    assert f"--config {home.config} run" in done.out
    assert "Type=notify" in done.out
    assert not list((home.folder / "user").rglob("*.service"))


def test_a_key_file_is_shown_to_the_service_alone(home: Home) -> None:
    home.settle(
        providers=[{"kind": "civitai", "base_url": home.site.url, "api_key_file": str(home.folder / "key")}]
    )
    (home.folder / "key").write_text("k" * 32, encoding="utf-8")
    (home.folder / "key").chmod(0o600)
    done = home.cli("service", "print", "--user")
    assert f"LoadCredential=civitai-api-key:{home.folder / 'key'}" in done.out
    assert "k" * 32 not in done.out


def test_a_key_in_the_environment_is_put_where_the_service_finds_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell's environment reaches a service."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("CIVITAI_API_KEY", "planted0key1for2the3service4only")
    place = home.folder / "user" / ".config" / "hashtagd" / "civitai-api-key"
    said = [home.cli("service", word, "--user") for word in ("print", "install", "uninstall")]
    assert f"# {place}\n# the key of $CIVITAI_API_KEY, for its owner alone (mode 600)" in said[0].out
    assert f"LoadCredential=civitai-api-key:{place}" in said[0].out
    assert f"{place} holds the key" in said[1].out
    assert f"{place} was removed" in said[2].out
    assert not any("planted0" in done.out + done.err for done in said)
    assert not place.exists()


def test_installing_for_oneself_and_taking_it_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    units = home.folder / "user" / ".config" / "systemd" / "user"
    done = home.cli("service", "install", "--user")
    assert (done.code, (units / "hashtagd.service").exists()) == (1, True)
    assert "systemd does not run here" in done.out
    assert str(home.loras) in (units / "hashtagd.service.d" / "10-hashtagd.conf").read_text(encoding="utf-8")
    assert home.cli("service", "uninstall", "--user").code == 0
    assert not (units / "hashtagd.service").exists()
    assert "nothing was installed" in home.cli("service", "uninstall", "--user").out


def test_without_folders_nothing_is_written(home: Home) -> None:
    home.settle(roots=[])
    done = home.cli("service", "install", "--user")
    assert done.code == 78
    assert "roots" in done.err


def test_a_service_of_the_machine_needs_settings_of_its_own(home: Home) -> None:
    done = home.bare("service", "print", "--system")
    assert done.code == 78


def test_all_that_the_settings_say_can_be_written_to_and_the_state_is_that_of_this_shell(home: Home) -> None:
    (home.folder / "cards").mkdir()
    home.settle(
        writers=[{"json-tree": {"path": str(home.folder / "cards")}}],
        log={"file": str(home.folder / "log" / "hashtagd.log")},
        web={"listen": "127.0.0.1:8765"},
    )
    printed = home.cli("service", "print", "--system").out
    lines = printed.splitlines()
    assert f"ReadWritePaths=-{home.folder / 'cards'}" in lines
    assert f"ReadWritePaths=-{home.folder / 'log'}" in lines
    assert "SocketBindAllow=ipv4:tcp:8765" in lines
    assert "HASHTAGD_STATE_DIR=" not in printed
    own = home.cli("service", "print", "--user").out
    assert f'Environment="HASHTAGD_STATE_DIR={home.state}"' in own.splitlines()


def test_the_service_of_a_user_gets_the_settings_that_this_shell_means(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$HASHTAGD_CONFIG` and `$XDG_CONFIG_HOME` reach no service."""
    monkeypatch.setenv("HASHTAGD_CONFIG", "config.yaml")
    assert f"--config {home.config} run" in home.bare("service", "print", "--user").out
    monkeypatch.delenv("HASHTAGD_CONFIG")
    usual = home.folder / "user" / ".config" / "hashtagd" / "config.yaml"
    usual.parent.mkdir(parents=True)
    home.config.rename(usual)
    assert "--config" not in home.bare("service", "print", "--user").out
    monkeypatch.setenv("XDG_CONFIG_HOME", str(usual.parent.parent))
    assert "--config" not in home.bare("service", "print", "--user").out
    monkeypatch.setenv("HOME", str(home.folder))
    assert f"--config {usual} run" in home.bare("service", "print", "--user").out


def test_settings_that_no_daemon_would_start_with_are_not_installed(home: Home) -> None:
    home.settle(
        providers=[{"kind": "civitai", "base_url": home.site.url, "api_key_file": str(home.folder / "none")}]
    )
    done = home.cli("service", "install", "--user")
    assert done.code == 78
    assert "api_key_file: cannot be read" in done.err
    assert not list((home.folder / "user").rglob("*.service"))


def test_a_service_of_the_machine_has_another_home_than_who_installs_it(home: Home) -> None:
    (home.folder / "user" / "loras").mkdir(parents=True)
    home.settle(roots=[{"path": "~/loras"}])
    assert home.cli("service", "print", "--user").code == 0
    done = home.cli("service", "print", "--system")
    assert done.code == 78
    assert "whole paths" in done.err
    key = {"kind": "civitai", "base_url": home.site.url, "api_key_file": "~/key"}
    home.settle(providers=[key])
    assert "whole paths" in home.cli("service", "print", "--system").err
    home.settle(providers=[{**key, "api_key_file": "/srv/key"}])
    assert home.cli("service", "print", "--system").code == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root installs for the machine")
def test_what_the_user_of_the_service_may_not_do_is_told_before_it_starts(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folders of a test are for the user that tests, and for nobody else."""
    monkeypatch.setattr("hashtagd.cli.service.SERVICE_USER", "nobody")
    monkeypatch.setattr("hashtagd.cli.service.unit_folder", lambda *_: home.folder / "units")
    done = home.cli("service", "install", "--system")
    assert done.code == 1
    assert (home.folder / "units" / "hashtagd.service").exists()
    for path in (home.config, home.loras):
        assert f"so not reach {path}: `setfacl -m u:nobody:x " in done.out
