import signal
from pathlib import Path

import pytest

from hashtagd.cli.context import Context
from hashtagd.cli.reloading import Reloads
from hashtagd.core.troubles import Trouble
from hashtagd.service.clock import SystemClock
from support import fuse
from support.commands import Home
from support.daemon_process import until


class LongClock(SystemClock):
    """A clock that can be moved on."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


def reloads_of(config: Path, home: Home, clock: SystemClock, refused: list[Trouble]) -> Reloads:
    environ = {"HOME": str(home.folder), "HASHTAGD_STATE_DIR": str(home.state)}
    made = Reloads(Context(config=config, volume=None, environ=environ, clock=clock), ())
    made.refused = refused.append
    return made


def test_good_settings_are_given_to_the_next_round_once(home: Home) -> None:
    refused: list[Trouble] = []
    reloads = reloads_of(home.config, home, SystemClock(), refused)
    assert not reloads.is_due()
    assert reloads.ask()
    until(reloads.is_due)
    taken = reloads.take()
    assert taken is not None
    assert [folder.path for folder in taken.plan.folders] == [home.loras]
    assert reloads.take() is None
    assert not reloads.is_due()
    assert refused == []


@pytest.mark.skipif(fuse.WHY_NOT is not None, reason=str(fuse.WHY_NOT))
def test_settings_on_a_disk_that_hangs_are_given_up_and_may_be_asked_for_again(
    home: Home, tmp_path: Path
) -> None:
    behind, point = tmp_path / "behind", tmp_path / "cloud"
    behind.mkdir()
    point.mkdir()
    (behind / "config.yaml").write_bytes(home.config.read_bytes())
    refused: list[Trouble] = []
    clock = LongClock()
    with fuse.mounted(behind, point) as server:
        reloads = reloads_of(point / "config.yaml", home, clock, refused)
        server.send_signal(signal.SIGSTOP)
        try:
            reloads.ask()
            assert not reloads.is_due()
            clock.ahead_s += 3600
            assert not reloads.is_due()
            assert [trouble.kind for trouble in refused] == ["settings_silent"]
        finally:
            server.send_signal(signal.SIGCONT)
        reloads.ask()
        until(reloads.is_due)
    assert len(refused) == 1
