"""The providers of one process, in the order in which they are asked, and the lines of questions to them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.chain import Chain, Link
from hashtagd.core.ports import AsksByTensors, AsksByVersion, Clock, Pause
from hashtagd.core.work import HashKind
from hashtagd.providers import ClosableProvider
from hashtagd.service import parts
from hashtagd.service.asking import Line
from hashtagd.settings import Loaded


class Providers:
    """All that is asked.

    Args:
        made: in the order of the settings.
    """

    def __init__(self, made: Sequence[ClosableProvider]) -> None:
        self.made = made
        self.chain = Chain(
            tuple(Link(name=it.name, slow=it.slow, by_tensors=isinstance(it, AsksByTensors)) for it in made)
        )
        self.lines = (
            *(Line(provider=it) for it in made),
            *(
                Line(provider=it.by_tensors(), kind=HashKind.TENSORS, behind=it.name)
                for it in made
                if isinstance(it, AsksByTensors)
            ),
            # the owner names a version of one site: the first that can be asked for it
            *[Line(provider=it.by_version(), behind=it.name) for it in made if isinstance(it, AsksByVersion)][
                :1
            ],
        )

    def close(self) -> None:
        """Let go of all connections, also when one of them fails to close."""
        with ExitStack() as stack:
            for provider in self.made:
                stack.callback(provider.close)


@contextmanager
def asked_now(
    loaded: Loaded, environ: Mapping[str, str], clock: Clock, pause: Pause, catalog: Catalog
) -> Iterator[Sequence[ClosableProvider]]:
    """Make the providers for a command that asks by itself, behind the same gates as the daemon.

    Raises:
        SettingsMistakes: an option is wrong, or the key cannot be used.
    """
    made = parts.make_providers(
        parts.Outside(
            loaded=loaded,
            environ=environ,
            clock=clock,
            pause=pause,
            gates=parts.make_gates(loaded, catalog),
            tell=lambda _event, _values: None,
        )
    )
    with ExitStack() as stack:
        for provider in made:
            stack.callback(provider.close)
        yield made
