"""Who may do what, as the kernel says; the user is one that every Linux has and nobody is."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashtagd.service.rights import LIST, READ, RUN, WRITE, lacking

pytestmark = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root may look as others"
)

USER = "nobody"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that everybody may reach, unlike those of tests."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def said(wanted: dict[Path, str]) -> list[str]:
    steps = list(lacking(USER, wanted))
    assert not any(step.well for step in steps)
    return [step.did for step in steps]


def test_a_folder_that_may_only_be_read_is_enough_where_nothing_is_written(folder: Path) -> None:
    assert said({folder: LIST}) == []
    (line,) = said({folder: WRITE})
    assert line == (
        f"the user nobody may not write to {folder}: `setfacl -R -m u:nobody:rwX,d:u:nobody:rwX {folder}`, "
        "then `systemctl restart hashtagd`"
    )
    folder.chmod(0o777)
    assert said({folder: WRITE}) == []


def test_a_group_that_may_write_is_the_smaller_change(folder: Path) -> None:
    folder.chmod(0o775)
    os.chown(folder, -1, 100)
    (line,) = said({folder: WRITE})
    assert f"may not write to {folder}: `usermod -aG users nobody`" in line
    folder.chmod(0o2770)
    (line,) = said({folder: WRITE})
    assert line.startswith(f"the user nobody may not look into {folder}: `usermod -aG users nobody`, then")


@pytest.mark.parametrize("name", ["root", "disk", "sudo"])
def test_nobody_is_put_into_a_group_of_administrators(folder: Path, name: str) -> None:
    folder.chmod(0o775)
    shutil.chown(folder, group=name)
    (line,) = said({folder: WRITE})
    assert "`setfacl -R" in line


def test_a_home_that_nobody_else_may_pass_hides_all_in_it(folder: Path) -> None:
    models = folder / "me" / "my models"
    models.mkdir(parents=True)
    models.chmod(0o777)
    (folder / "me").chmod(0o700)
    (line,) = said({models: WRITE})
    assert f"may not pass {folder}/me, so not reach {models}: `setfacl -m u:nobody:x {folder}/me`" in line
    (folder / "me").chmod(0o711)
    assert said({models: WRITE}) == []


def test_a_program_and_settings_are_files(folder: Path) -> None:
    program, config = folder / "hashtagd", folder / "config.yaml"
    for path, mode in ((program, 0o700), (config, 0o600)):
        path.write_bytes(b"")
        path.chmod(mode)
    assert said({program: RUN, config: READ}) == [
        f"the user nobody may not read {program}: `setfacl -m u:nobody:rX {program}`",
        f"the user nobody may not read {config}: `setfacl -m u:nobody:r {config}`",
    ]
    program.chmod(0o755)
    config.chmod(0o644)
    assert said({program: RUN, config: READ}) == []


def test_what_is_not_there_is_not_judged(folder: Path) -> None:
    assert said({folder / "none": WRITE}) == []
