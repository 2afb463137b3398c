"""Units as they are installed: real files, and systemd's own judge over them."""

import os
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from hashtagd.core.troubles import AskOperator
from hashtagd.service.installing import Installer, unwritten
from hashtagd.service.key_file import KeyFile, mark_of
from hashtagd.service.units import (
    DROP_IN,
    UNIT,
    Machine,
    Manager,
    program_of,
    rendered,
    unit_folder,
)
from support.tools import is_missing

needs_analyze = pytest.mark.skipif(is_missing("systemd-analyze"), reason="systemd-analyze is not here")
#: in tenths
EXPOSED_AT_MOST = {Manager.SYSTEM: 12, Manager.USER: 16}


def machine(tmp_path: Path, **changes: object) -> Machine:
    program = tmp_path / "bin" / "hashtagd"
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    facts = {"program": [str(program)], "config": None, "folders": [tmp_path / "models"], **changes}
    return Machine(**facts)  # type: ignore[arg-type] # facts by name


class Systemctl:
    """A program that writes down how it was called: there is no systemd to talk to where tests run."""

    def __init__(self, folder: Path, *, code: int = 0) -> None:
        self.path = folder / "systemctl"
        self._log = folder / "calls"
        self.path.write_text(
            f'#!/bin/sh\necho "$@" >> {self._log}\necho "no such thing" >&2\nexit {code}\n', encoding="utf-8"
        )
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []


def installed(tmp_path: Path, manager: Manager) -> Path:
    """Install for roots with all sorts of names and a key that we put there; returns the unit."""
    folders = [tmp_path / "models", tmp_path / 'with "quotes" and 50% more', tmp_path / "später"]
    key = KeyFile(path=tmp_path / "key", key=SecretStr("k" * 32), mark=mark_of("k" * 32))
    known = machine(
        tmp_path,
        folders=folders,
        state_folder=tmp_path / 'a "state" of 100%',
        listens=("127.0.0.1", 8765),
        key_file=key.path,
        key_mark=key.mark,
        config=tmp_path / "c",
    )
    *written, _ = Installer(manager, tmp_path / "units", runs=False).install(rendered(manager, known), key)
    assert all(step.well for step in written)
    return tmp_path / "units" / UNIT


def judge(unit: Path, manager: Manager, *words: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd about a unit and the drop-ins beside it."""
    whose = ["--user"] if manager is Manager.USER else []
    return subprocess.run(
        ["systemd-analyze", *words, *whose, unit],
        capture_output=True,
        text=True,
        check=False,
        # a user's manager would have such a folder
        env={**os.environ, "XDG_RUNTIME_DIR": str(unit.parent), "SYSTEMD_PAGER": ""},
    )


def exposure(unit: Path, manager: Manager) -> tuple[str, str, int]:
    limit = EXPOSED_AT_MOST[manager]
    judged = judge(unit, manager, "security", "--offline=true", "--no-pager", f"--threshold={limit}")
    return judged.stdout[-400:], judged.stderr, judged.returncode


@pytest.mark.parametrize("manager", list(Manager))
@needs_analyze
def test_what_is_installed_is_verified_without_a_word(tmp_path: Path, manager: Manager) -> None:
    verified = judge(installed(tmp_path, manager), manager, "verify", "--man=no")
    assert (verified.stdout, verified.stderr, verified.returncode) == ("", "", 0)


@pytest.mark.parametrize("manager", list(Manager))
@needs_analyze
def test_what_is_installed_is_as_closed_as_promised(tmp_path: Path, manager: Manager) -> None:
    told, complaints, code = exposure(installed(tmp_path, manager), manager)
    assert (complaints, code) == ("", 0), told


@pytest.mark.parametrize("manager", list(Manager))
@needs_analyze
def test_the_judge_reads_the_drop_in_too(tmp_path: Path, manager: Manager) -> None:
    """Without this the two tests above would show nothing of it."""
    unit = installed(tmp_path, manager)
    drop_in = unit.parent / DROP_IN
    with drop_in.open("a", encoding="utf-8") as file:
        file.write("NoNewPrivileges=no\nRestrictNamespaces=no\nLoadCredentail=x:/x\n")
    assert "LoadCredentail" in judge(unit, manager, "verify", "--man=no").stderr
    assert exposure(unit, manager)[2] != 0


def test_odd_paths_stand_in_the_unit_as_they_are(tmp_path: Path) -> None:
    files = rendered(
        Manager.USER,
        machine(
            tmp_path,
            program=["/opt/my tools/hashtagd"],
            config=Path("/home/me/100% $HOME.yaml"),
            folders=[Path("/srv/plain"), Path('/srv/a "b" c')],
        ),
    )
    lines = files[DROP_IN].splitlines()
    assert 'ExecStart="/opt/my tools/hashtagd" --config "/home/me/100%% $$HOME.yaml" run' in lines
    assert "ReadWritePaths=-/srv/plain" in lines
    assert 'ReadWritePaths="-/srv/a \\"b\\" c"' in lines
    assert lines.index("ExecStart=") < lines.index(
        'ExecStart="/opt/my tools/hashtagd" --config "/home/me/100%% $$HOME.yaml" run'
    )


@pytest.mark.parametrize("name", ["with space", "100%", "a$b", "${HOME}", "später"])
@needs_analyze
def test_a_program_in_a_folder_of_any_name_is_found_by_systemd(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    program = machine(tmp_path / name).program
    files = rendered(Manager.USER, machine(tmp_path, program=program))
    list(Installer(Manager.USER, tmp_path / "units", runs=False).install(files))
    verified = judge(tmp_path / "units" / UNIT, Manager.USER, "verify", "--man=no")
    assert (verified.stdout, verified.stderr, verified.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"program": ["/opt/it's/hashtagd"]},
        {"program": ["/opt/back\\slash/hashtagd"]},
        {"key_file": Path("/srv/key ")},
        {"key_file": Path("/srv/key\\")},
    ],
)
def test_what_systemd_would_read_otherwise_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(AskOperator) as refused:
        rendered(Manager.USER, machine(tmp_path, **changes))
    assert refused.value.kind == "unfit_path"


def test_the_page_gets_its_port_where_all_others_are_forbidden(tmp_path: Path) -> None:
    def lines(manager: Manager, host: str) -> list[str]:
        return rendered(manager, machine(tmp_path, listens=(host, 8765)))[DROP_IN].splitlines()

    assert "SocketBindAllow=ipv4:tcp:8765" in lines(Manager.SYSTEM, "127.0.0.1")
    assert "SocketBindAllow=ipv6:tcp:8765" in lines(Manager.SYSTEM, "[::1]")
    assert not any("SocketBind" in line for line in lines(Manager.USER, "127.0.0.1"))


def test_what_the_drop_in_lets_through_is_read_from_it_again(tmp_path: Path) -> None:
    """By `doctor`."""
    folders = [tmp_path / name for name in ("plain", 'with "quotes"', "back\\slash", "50%h off")]
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    units = unit_folder(Manager.USER, environ, tmp_path)
    assert unwritten(Manager.USER, environ, tmp_path, folders) is None
    list(
        Installer(Manager.USER, units, runs=False).install(
            rendered(Manager.USER, machine(tmp_path, folders=folders))
        )
    )
    other = tmp_path / "other"
    assert unwritten(Manager.USER, environ, tmp_path, [*folders, other]) == [other]
    (units / f"{UNIT}.d" / "20-mine.conf").write_text(
        "[Service]\nReadWritePaths = /srv/a -%h/other\n", "utf-8"
    )
    assert unwritten(Manager.USER, environ, tmp_path, [*folders, other]) == []


def test_a_path_that_no_unit_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AskOperator) as refused:
        rendered(Manager.USER, machine(tmp_path, folders=[Path("/srv/a\nExecStart=/bin/evil")]))
    assert refused.value.kind == "unfit_path"


def test_the_folder_of_units_is_the_manager_s(tmp_path: Path) -> None:
    assert unit_folder(Manager.SYSTEM, {}, tmp_path) == Path("/etc/systemd/system")
    assert unit_folder(Manager.USER, {}, tmp_path) == tmp_path / ".config" / "systemd" / "user"
    assert unit_folder(Manager.USER, {"XDG_CONFIG_HOME": "/x"}, tmp_path) == Path("/x/systemd/user")
    assert program_of()[0].startswith("/")


def test_installing_writes_starts_and_the_second_time_changes_nothing(tmp_path: Path) -> None:
    systemctl = Systemctl(tmp_path)
    folder = tmp_path / "units"
    files = rendered(Manager.USER, machine(tmp_path))
    installer = Installer(Manager.USER, folder, runs=True, systemctl=[str(systemctl.path), "--user"])
    steps = list(installer.install(files))
    assert all(step.well for step in steps)
    assert systemctl.calls == ["--user daemon-reload", "--user enable --now hashtagd.service"]
    assert (folder / UNIT).stat().st_mode & 0o777 == 0o644
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert [step.did for step in installer.install(files)][:2] == [
        f"{folder / UNIT} is as it should be",
        f"{folder / DROP_IN} is as it should be",
    ]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_without_systemd_it_says_what_is_left_to_do(tmp_path: Path) -> None:
    installer = Installer(Manager.USER, tmp_path / "units", runs=False)
    *written, last = installer.install(rendered(Manager.USER, machine(tmp_path)))
    assert all(step.well for step in written)
    assert not last.well
    assert "systemctl --user enable --now hashtagd.service" in last.did


def test_a_manager_that_refuses_is_quoted(tmp_path: Path) -> None:
    systemctl = Systemctl(tmp_path, code=1)
    installer = Installer(Manager.USER, tmp_path / "units", runs=True, systemctl=[str(systemctl.path)])
    steps = list(installer.install(rendered(Manager.USER, machine(tmp_path))))
    assert [step.well for step in steps] == [True, True, False, False]
    assert "no such thing" in steps[-1].did


def test_a_unit_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    (folder / UNIT).write_text("[Service]\nExecStart=/usr/bin/mine\n", encoding="utf-8")
    installer = Installer(Manager.USER, folder, runs=False)
    with pytest.raises(AskOperator) as refused:
        list(installer.install(rendered(Manager.USER, machine(tmp_path))))
    assert refused.value.kind == "unit_in_the_way"
    assert (folder / UNIT).read_text(encoding="utf-8").startswith("[Service]")
    (step,) = installer.uninstall()
    assert not step.well
    assert (folder / UNIT).exists()


def test_a_link_in_the_place_of_a_unit_is_somebody_s_wherever_it_leads(tmp_path: Path) -> None:
    """`systemctl link` and keepers of dotfiles make such links."""
    installer = Installer(Manager.USER, tmp_path / "units", runs=False)
    files = rendered(Manager.USER, machine(tmp_path))
    (tmp_path / "units").mkdir()
    (tmp_path / "dotfiles.service").write_text(files[UNIT], encoding="utf-8")
    for target in (tmp_path / "nowhere", tmp_path / "dotfiles.service"):
        (tmp_path / "units" / UNIT).symlink_to(target)
        with pytest.raises(AskOperator) as refused:
            list(installer.install(files))
        assert refused.value.kind == "unit_in_the_way"
        assert (tmp_path / "units" / UNIT).readlink() == target
        (tmp_path / "units" / UNIT).unlink()


def test_a_service_of_somebody_else_is_not_stopped(tmp_path: Path) -> None:
    systemctl = Systemctl(tmp_path)
    folder = tmp_path / "units"
    folder.mkdir()
    (folder / UNIT).write_text("[Service]\nExecStart=/usr/bin/mine\n", encoding="utf-8")
    list(Installer(Manager.USER, folder, runs=True, systemctl=[str(systemctl.path)]).uninstall())
    assert systemctl.calls == ["daemon-reload"]


def test_what_somebody_changed_in_our_files_is_neither_overwritten_nor_removed(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    installer = Installer(Manager.USER, folder, runs=False)
    list(installer.install(rendered(Manager.USER, machine(tmp_path))))
    with (folder / DROP_IN).open("a", encoding="utf-8") as file:
        file.write("ReadWritePaths=-/srv/mine\n")
    edited = (folder / DROP_IN).read_text(encoding="utf-8")
    with pytest.raises(AskOperator, match="somebody changed it"):
        list(installer.install(rendered(Manager.USER, machine(tmp_path, folders=[tmp_path / "new"]))))
    said = {Path(step.did.split()[0]).name: (step.did, step.well) for step in installer.uninstall()}
    assert (folder / DROP_IN).read_text(encoding="utf-8") == edited
    assert not (folder / UNIT).exists()
    assert said[Path(DROP_IN).name] == (f"{folder / DROP_IN} stays: somebody changed it", False)


def test_new_folders_reach_a_service_that_runs(tmp_path: Path) -> None:
    """Its sandbox is made when it starts."""
    systemctl = Systemctl(tmp_path)
    folder = tmp_path / "units"
    installer = Installer(Manager.USER, folder, runs=True, systemctl=[str(systemctl.path)])
    list(installer.install(rendered(Manager.USER, machine(tmp_path))))
    assert systemctl.calls == ["daemon-reload", "enable --now hashtagd.service"]
    steps = list(installer.install(rendered(Manager.USER, machine(tmp_path, folders=[tmp_path / "new"]))))
    assert f"{folder / DROP_IN} was written anew" in [step.did for step in steps]
    assert systemctl.calls[2:] == [
        "daemon-reload",
        "enable --now hashtagd.service",
        "restart hashtagd.service",
    ]


def test_uninstalling_removes_exactly_what_was_written(tmp_path: Path) -> None:
    systemctl = Systemctl(tmp_path)
    folder = tmp_path / "units"
    installer = Installer(Manager.USER, folder, runs=True, systemctl=[str(systemctl.path)])
    list(installer.install(rendered(Manager.USER, machine(tmp_path))))
    mine = folder / "hashtagd.service.d" / "20-mine.conf"
    mine.write_text("[Service]\nNice=5\n", encoding="utf-8")
    steps = list(installer.uninstall())
    assert all(step.well for step in steps)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["20-mine.conf"]
    assert systemctl.calls[-2:] == ["disable --now hashtagd.service", "daemon-reload"]
    assert list(Installer(Manager.USER, folder, runs=False).uninstall()) == []


def test_a_folder_that_may_not_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "units").write_bytes(b"")
    with pytest.raises(AskOperator, match="could not be changed"):
        list(
            Installer(Manager.USER, tmp_path / "units", runs=False).install(
                rendered(Manager.USER, machine(tmp_path))
            )
        )
