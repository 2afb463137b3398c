"""The key of a service: put into a file for its owner alone, and taken back only as it was left."""

import os
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from hashtagd.service.installing import Installer
from hashtagd.service.key_file import KeyFile, choose, mark_of, put, take_back, usual_place
from hashtagd.service.units import DROP_IN, Machine, Manager, rendered
from support.stage_fakes import as_nobody
from support.untouched import untouched

KEY, OTHER = "planted0key1for2the3service4only", "another0key1for2the3service4only"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return usual_place(Manager.USER, {}, tmp_path)


def units_of(home: Path) -> Path:
    return home / ".config" / "systemd" / "user"


def install(home: Path, given: str | None) -> KeyFile | None:
    """Install as the command does; returns what it decided on the key."""
    chosen = choose(Manager.USER, {}, home, None if given is None else SecretStr(given))
    machine = Machine(
        program=["/bin/true"],
        config=None,
        folders=[home / "models"],
        key_file=None if chosen is None else chosen.path,
        key_mark=None if chosen is None else chosen.mark,
    )
    list(installer(home).install(rendered(Manager.USER, machine), chosen))
    return chosen


def installer(home: Path) -> Installer:
    return Installer(Manager.USER, units_of(home), key_place=usual_place(Manager.USER, {}, home), runs=False)


def test_each_manager_has_a_place_for_it(tmp_path: Path) -> None:
    assert usual_place(Manager.SYSTEM, {}, tmp_path) == Path("/etc/hashtagd/civitai-api-key")
    assert usual_place(Manager.USER, {}, tmp_path) == tmp_path / ".config/hashtagd/civitai-api-key"
    configured = {"XDG_CONFIG_HOME": "/x"}
    assert usual_place(Manager.USER, configured, tmp_path) == Path("/x/hashtagd/civitai-api-key")


def test_it_is_for_its_owner_alone_and_goes_again(tmp_path: Path, place: Path) -> None:
    install(tmp_path, KEY)
    assert place.read_text(encoding="ascii") == f"{KEY}\n"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    drop_in = (units_of(tmp_path) / DROP_IN).read_text(encoding="utf-8")
    assert f"LoadCredential=civitai-api-key:{place}" in drop_in
    assert KEY not in drop_in
    steps = list(installer(tmp_path).uninstall())
    assert all(step.well for step in steps)
    assert not place.parent.exists()
    assert not any(KEY in step.did for step in steps)


def test_without_the_environment_the_next_time_it_stays_known_as_ours(tmp_path: Path, place: Path) -> None:
    install(tmp_path, KEY)
    before = untouched(place)
    assert install(tmp_path, None) == KeyFile(path=place, mark=mark_of(KEY))
    assert install(tmp_path, KEY) == KeyFile(path=place, mark=mark_of(KEY))
    assert untouched(place) == before
    list(installer(tmp_path).uninstall())
    assert not place.exists()


def test_a_new_key_replaces_the_one_that_we_put_there(tmp_path: Path, place: Path) -> None:
    install(tmp_path, KEY)
    install(tmp_path, OTHER)
    assert place.read_text(encoding="ascii") == f"{OTHER}\n"
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    list(installer(tmp_path).uninstall())
    assert not place.exists()


@pytest.mark.parametrize("given", [None, OTHER])
def test_a_key_that_somebody_put_there_is_used_and_stays(
    tmp_path: Path, place: Path, given: str | None
) -> None:
    put(place, SecretStr(KEY))
    assert install(tmp_path, given) == KeyFile(path=place)
    list(installer(tmp_path).uninstall())
    assert place.read_text(encoding="ascii") == f"{KEY}\n"


def test_one_that_was_changed_since_stays_and_that_is_said(tmp_path: Path, place: Path) -> None:
    install(tmp_path, KEY)
    place.write_text(OTHER, encoding="ascii")
    assert install(tmp_path, KEY) == KeyFile(path=place)
    install(tmp_path, None)
    assert take_back(place, mark_of(KEY)) is False
    assert place.read_text(encoding="ascii") == OTHER


def test_a_changed_one_is_told_of_when_all_else_goes(tmp_path: Path, place: Path) -> None:
    install(tmp_path, KEY)
    place.write_text(OTHER, encoding="ascii")
    told = [step for step in installer(tmp_path).uninstall() if not step.well]
    assert [step.did for step in told] == [f"{place} stays: it holds another key than hashtagd put there"]
    assert place.exists()


def test_a_link_at_its_place_is_followed_by_nobody(tmp_path: Path, place: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched", encoding="ascii")
    place.parent.mkdir(parents=True)
    place.symlink_to(victim)
    install(tmp_path, KEY)
    assert victim.read_text(encoding="ascii") == "untouched"
    assert not place.is_symlink()


@pytest.mark.parametrize("given", [None, SecretStr(OTHER)])
def test_one_that_only_root_may_read_is_named_in_the_unit_whoever_looks(
    public_folder: Path, given: SecretStr | None
) -> None:
    """`service print --system` is for everybody."""
    place = usual_place(Manager.USER, {}, public_folder)
    put(place, SecretStr(KEY))
    if os.geteuid() != 0:
        place.chmod(0)
    with as_nobody():
        assert choose(Manager.USER, {}, public_folder, given) == KeyFile(path=place)


def test_nobody_has_a_key_and_nothing_is_made(tmp_path: Path, place: Path) -> None:
    assert install(tmp_path, None) is None
    assert not place.parent.exists()
    assert "LoadCredential" not in (units_of(tmp_path) / DROP_IN).read_text(encoding="utf-8")
