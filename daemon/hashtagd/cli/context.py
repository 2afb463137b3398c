"""What commands share: settings, where the state lies, the catalog; each made only when asked for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import click

from hashtagd import providers, writers
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.clock import SystemClock
from hashtagd.service.presence import read_presence
from hashtagd.service.randomness import chance, owner_id
from hashtagd.service.roots import RootPlan, plan_roots
from hashtagd.settings import Loaded, find_config, load_with_lines, read_config, state_folder

__all__ = ["Context", "pass_context"]


@dataclass
class Context:
    """One call of the command line.

    Args:
        config: `--config`.
        volume: `verbose`, `quiet` or None.
        environ: the environment, read once.
    """

    config: Path | None
    volume: str | None
    environ: Mapping[str, str]
    clock: SystemClock = field(default_factory=SystemClock)

    @cached_property
    def loaded(self) -> Loaded:
        """The settings with their lines.

        Raises:
            SettingsMistakes: all of them at once.
        """
        return load_settings(self.config, self.environ)

    @cached_property
    def state_folder(self) -> Path:
        """Where locks, and by default the catalog, lie.

        Raises:
            AskOperator: the environment names no place.
        """
        folder = state_folder(self.environ)
        if folder is None:
            raise AskOperator(
                "there is no folder for hashtagd's memory: HOME is not set",
                does="it does not start",
                you="set HASHTAGD_STATE_DIR to a folder that hashtagd may write to",
                scope=Scope.DAEMON,
                kind="no_state_folder",
            )
        return folder

    @cached_property
    def lock_folder(self) -> Path:
        """Where the lock lies: beside an SQLite catalog, so that a catalog has one daemon a machine."""
        url = self.loaded.settings.catalog.url
        prefix = "sqlite:///"
        return Path(url.removeprefix(prefix)).parent if url.startswith(prefix) else self.state_folder

    def roots(self, folders: tuple[Path, ...] = ()) -> RootPlan:
        """Plan the roots: those of the command line, else those of the settings."""
        return plan_roots(self.loaded, folders, environ=self.environ, state_folder=state_folder(self.environ))

    def known_roots(self) -> RootPlan:
        """Plan the roots as the settings and the daemon that ran last have them."""
        # also after the daemon has ended: what it watched last is what the catalog tells of
        paths = read_presence(self.lock_folder).get("paths", {})
        plan = self.roots()
        return plan.with_paths({name: Path(path) for name, path in paths.items()})

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """Open the catalog for the time of a block."""
        catalog = self.open_catalog()
        try:
            yield catalog
        finally:
            catalog.close()

    def open_catalog(self, owner: str | None = None) -> Catalog:
        """Open the catalog; a reading command needs no owner."""
        settings = self.loaded.settings
        return Catalog.open(
            settings.catalog.url,
            clock=self.clock,
            owner=owner or owner_id(),
            chance=chance,
        )


pass_context = click.make_pass_decorator(Context)


def load_settings(config: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Find, read and check the settings.

    Raises:
        SettingsMistakes: all mistakes at once.
    """
    path = find_config(environ, config)
    return load_with_lines(
        None if path is None else read_config(path),
        environ,
        source=str(path) if path else "the defaults",
        known_providers=providers.known_names(),
        known_writers=writers.known_names(),
    )
