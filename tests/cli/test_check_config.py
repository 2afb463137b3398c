import pytest

from support.commands import Home

KEY = "0123456789abcdef0123456789abcdef"


def test_good_settings_are_summed_up(home: Home) -> None:
    told = home.cli("check-config", "--json").json
    assert told == {
        "source": str(home.config),
        "roots": [{"name": "loras", "path": str(home.loras)}],
        "warnings": [],
        "providers": ["civitai", "header"],
        "writers": told["writers"],
        "api_key": "not set",
    }
    assert "lora-manager" in told["writers"]
    printed = home.cli("check-config").out
    assert f"{home.config}: no mistakes" in printed
    assert "providers: civitai, header" in printed


def test_a_key_is_shown_as_set_and_never_itself(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVITAI_API_KEY", KEY)
    for words in (["check-config"], ["check-config", "--json"]):
        done = home.cli(*words)
        assert done.code == 0
        assert KEY not in done.out + done.err
        assert "set" in done.out
    assert "API key: set" in home.cli("check-config").out


def test_a_root_that_is_away_is_a_note_and_no_mistake(home: Home) -> None:
    home.loras.rmdir()
    done = home.cli("check-config")
    assert done.code == 0
    assert done.err.startswith("note: ")


def test_no_writers_at_all_are_fine(home: Home) -> None:
    home.settle(writers=[])
    assert "writers: none" in home.cli("check-config").out


@pytest.mark.parametrize(
    "sections",
    [
        {"writers": [{"preview": {"no_such_option": 1}}]},
        {"providers": [{"kind": "civitai", "base_url": "ftp://x"}]},
        {"roots": [{"name": "a", "path": "/"}]},
    ],
)
def test_mistakes_are_told_with_their_line_and_end_with_78(home: Home, sections: dict[str, object]) -> None:
    home.settle(**sections)
    done = home.cli("check-config")
    assert done.code == 78
    assert f"{home.config}:" in done.err


def test_mistakes_of_every_sort_come_in_one_go_with_their_lines(home: Home) -> None:
    """F90."""
    for name in ("a/lib", "b"):
        (home.folder / name).mkdir(parents=True)
    (home.folder / "c").symlink_to("b")
    (home.folder / "key").write_text("0123456789")
    (home.folder / "key").chmod(0o644)
    home.config.write_text(f"""\
comfyui: {{path: null, url: 3}}
catalog: {{url: nonsense}}
roots:
  - {{path: {home.folder}/a}}
  - {{path: {home.folder}/a/lib, quiet_s: -1}}
  - {{path: /}}
  - {{path: relative}}
  - {{path: {home.folder}/b, writers: [{{preview: {{y: 1}}}}, nobody]}}
  - {{path: {home.folder}/c}}
  - 7
providers:
  - {{kind: civitai, base_url: "ftp://x", api_key_file: {home.folder}/key}}
  - {{kind: nobody}}
writers: [{{preview: {{x: 1}}}}]
log: {{level: LOUD}}
""")
    done = home.cli("check-config")
    assert done.code == 78
    told = [line.strip().removeprefix(f"{home.config}:") for line in done.err.splitlines() if "yaml:" in line]
    assert [line.partition(": ")[0] + " " + line.split(": ")[1] for line in told] == [
        "1 comfyui.url",
        "2 catalog.url",
        "5 roots[1].path",
        "5 roots[1].quiet_s",
        "6 roots[2].path",
        "7 roots[3].path",
        "8 roots[4].writers[0].preview.y",
        "8 roots[4].writers[1]",
        "9 roots[5].path",
        "10 roots[6]",
        "12 providers[0].api_key_file",
        "12 providers[0].base_url",
        "13 providers[1].kind",
        "14 writers[0].preview.x",
        "15 log.level",
    ]
    assert home.cli("run", "--once").err == done.err


def test_settings_of_the_right_shape_have_all_their_other_mistakes_told_in_one_go(home: Home) -> None:
    home.settle(
        writers=[{"preview": {"x": 1}}],
        roots=[{"name": "a", "path": "/"}, {"name": "b", "path": str(home.config)}],
        providers=[{"kind": "civitai", "base_url": "ftp://x"}],
    )
    for words in (["check-config"], ["run"]):
        done = home.cli(*words)
        assert done.code == 78
        for where in ("writers[0].preview.x", "roots[0].path", "roots[1].path", "providers[0].base_url"):
            assert where in done.err


def test_roots_that_the_command_line_replaces_stop_no_run(home: Home) -> None:
    home.settle(roots=[{"name": "a", "path": "/"}])
    assert home.cli("--quiet", "run", "--once", home.loras).code == 0


def test_settings_without_a_home_make_no_roots(home: Home) -> None:
    home.config.write_text("")
    assert home.cli("check-config").code == 0


def test_a_key_file_that_every_folder_would_mean_otherwise_is_refused(home: Home) -> None:
    """It would be found from where it was tried, and not by the service."""
    (home.folder / "key.txt").write_text("k" * 32, encoding="utf-8")
    (home.folder / "key.txt").chmod(0o600)
    home.settle(providers=[{"kind": "civitai", "api_key_file": "key.txt"}])
    done = home.cli("check-config")
    assert done.code == 78
    assert "providers[0].api_key_file: must be an absolute path, or begin with ~/" in done.err
    home.settle(providers=[{"kind": "civitai", "api_key_file": str(home.folder / "key.txt")}])
    assert home.cli("check-config").code == 0
