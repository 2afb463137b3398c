"""What commands share: settings, where the state lies, the catalog; each made only when asked for."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from hashtagd import providers, writers
from hashtagd.catalog.catalog import Catalog
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.service.askers import askers_of
from hashtagd.service.clock import SystemClock
from hashtagd.service.known_roots import read_known_roots
from hashtagd.service.lock import running_pid
from hashtagd.service.presence import read_presence
from hashtagd.service.randomness import chance, owner_id
from hashtagd.service.roots import RootPlan, plan_roots
from hashtagd.settings import (
    Draft,
    Lines,
    Loaded,
    Mistake,
    find_config,
    load_with_lines,
    read_config,
    state_folder,
)
from hashtagd.settings.places import CATALOG_FILE

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
        url = self._url
        prefix = "sqlite:///"
        if not url.startswith(prefix):
            return self.state_folder
        return Path(url.removeprefix(prefix).partition("?")[0]).expanduser().parent

    def roots(self, folders: tuple[Path, ...] = (), *, look: bool = True) -> RootPlan:
        """Plan the roots: those of the command line, else those of the settings."""
        return plan_roots(
            self.loaded,
            folders,
            environ=self.environ,
            state_folder=state_folder(self.environ),
            known=read_known_roots(self.lock_folder),
            look=look,
        )

    def known_roots(self) -> RootPlan:
        """Plan the roots as the settings and the daemon that runs, or ran last, have them."""
        # where a daemon runs, its paths are the true ones (`run FOLDER` knows no settings); once it has
        # ended, it only adds what the settings do not name: that is what the catalog tells of
        paths = read_presence(self.lock_folder).get("paths", {})
        plan = self.roots(look=False).with_paths(
            {name: Path(path) for name, path in paths.items()},
            moved=running_pid(self.lock_folder) is not None,
        )
        return replace(plan, shared=not self._url.startswith("sqlite:"))

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """Open the catalog as it is for the time of a block; where there is none yet, an empty one stands in.

        Raises:
            Trouble: scope `daemon`: it cannot be used, or has another shape than this code knows.
        """
        with ExitStack() as stack:
            catalog = Catalog.open_made(self._url, clock=self.clock, owner=owner_id(), chance=chance)
            if catalog is None:
                folder = stack.enter_context(TemporaryDirectory(prefix="hashtagd-"))
                catalog = self._open(f"sqlite:///{folder}/{CATALOG_FILE}", {})
            stack.callback(catalog.close)
            catalog.reports = catalog.reports.of(askers_of(self.loaded, catalog.reports.gates()))
            yield catalog

    @contextmanager
    def own_catalog(self, quiet_s: Mapping[str, float]) -> Iterator[Catalog]:
        """Open the catalog for writing for the time of a block; a missing one is made."""
        catalog = self._open(self._url, quiet_s)
        try:
            yield catalog
        finally:
            catalog.close()

    @property
    def _url(self) -> str:
        return self.loaded.settings.catalog.url

    def _open(self, url: str, quiet_s: Mapping[str, float]) -> Catalog:
        return Catalog.open(url, clock=self.clock, owner=owner_id(), chance=chance, quiet_s=quiet_s)


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
        further=partial(_further, environ=environ),
    )


def _further(draft: Draft, lines: Lines, *, environ: Mapping[str, str]) -> list[Mistake]:
    # only where something is wrong already: it imports every provider, and `list` has no use for that
    from hashtagd.service.checking import further_mistakes  # noqa: PLC0415

    return further_mistakes(draft, lines, environ)
