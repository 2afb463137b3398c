"""Every mistake of the settings that takes more than their shape to find: options, roots as a set, the key.

`settings` knows neither the classes of providers and writers nor the disk; here both are asked, also for
settings that are wrong elsewhere, so that nobody corrects one mistake only to be told of the next.
"""

from collections.abc import Callable, Mapping
from functools import partial

from hashtagd import providers, writers
from hashtagd.service import parts
from hashtagd.service.roots import look_in_time
from hashtagd.settings import (
    Draft,
    Lines,
    Loaded,
    Mistake,
    SettingsMistakes,
    WriterEntry,
    check_roots,
    find_api_key,
    state_folder,
)
from hashtagd.settings.values import home_folder


def check_settings(loaded: Loaded, environ: Mapping[str, str], *, with_roots: bool = True) -> None:
    """Check settings whose shape is right before they are used.

    Args:
        loaded: the settings.
        environ: the environment, for the key and for folders that are no roots.
        with_roots: judge the roots too; not where the command line replaces them.

    Raises:
        SettingsMistakes: all that is wrong.
    """
    draft = Draft(settings=loaded.settings, roots=loaded.settings.roots)
    mistakes = further_mistakes(draft, loaded.lines, environ, with_roots=with_roots)
    if mistakes:
        raise SettingsMistakes(loaded.source, mistakes)


def further_mistakes(
    draft: Draft, lines: Lines, environ: Mapping[str, str], *, with_roots: bool = True
) -> list[Mistake]:
    """List what is wrong with options, roots and key; looks at the folders of the roots."""
    settings = draft.settings
    loaded = Loaded(settings=settings, source="", lines=lines)
    found = [
        mistake
        for index, entry in enumerate(settings.providers)
        if entry.kind in providers.known_names()
        for mistake in _met(partial(parts.provider_options, loaded, index))
    ]
    found += _of_writers(loaded, settings.writers, ("writers",))
    for index, root in enumerate(draft.roots):
        if root is not None and root.writers is not None:
            found += _of_writers(loaded, root.writers, ("roots", index, "writers"))
    found += _met(lambda: find_api_key(settings, environ, lines=lines))
    return [*found, *(_of_roots(draft, lines, environ) if with_roots else ())]


def _of_writers(
    loaded: Loaded, entries: tuple[WriterEntry, ...], path: tuple[str | int, ...]
) -> list[Mistake]:
    return [
        mistake
        for index, entry in enumerate(entries)
        if entry.name in writers.known_names()
        for mistake in _met(partial(parts.writer_options, loaded, entry, (*path, index, entry.name)))
    ]


def _of_roots(draft: Draft, lines: Lines, environ: Mapping[str, str]) -> list[Mistake]:
    home, state = home_folder(environ), state_folder(environ)
    by_path = check_roots(draft.roots, home=home, state_folder=state, lines=lines).mistakes
    # a folder that is refused for its path is not refused for its other name as well
    told = {mistake.path for mistake in by_path}
    looked = look_in_time(draft.roots, lines=lines).mistakes
    return [*by_path, *(mistake for mistake in looked if mistake.path not in told)]


def _met(check: Callable[[], object]) -> tuple[Mistake, ...]:
    try:
        check()
    except SettingsMistakes as met:
        return met.mistakes
    return ()
