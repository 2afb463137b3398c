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


def test_settings_without_a_home_make_no_roots(home: Home) -> None:
    home.config.write_text("")
    assert home.cli("check-config").code == 0
