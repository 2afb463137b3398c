"""Publishing between, before and after whatever others do, and over the end of the process.

What others wrote is never lost, nothing of ours is left without a record and a model, nothing says what is
untrue, and once all is quiet another publishing changes nothing.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from support.books import Books
from support.household import LATER_S, ROOTS, Household
from support.stage_fakes import StillClock
from support.strangers import VERBS, Strangers

_LONG = os.environ.get("HASHTAGD_LONG") == "1"
#: the long run: so many shares of so many lives, each share with a seed of its own
_SHARES, _LIVES = (20, 500) if _LONG else (1, 50)
#: what the daemon does or meets while nobody else does anything; in all others a stranger does something
_OURS = ("round", "wait", "news", "kill")

#: what happens; two numbers that say to what and how; and at which moment of a publishing, -1 for before it
Step = tuple[str, int, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from((*VERBS, *_OURS, "unpublish")),
        st.integers(0, 23),
        st.integers(0, 83),
        st.one_of(st.integers(-1, 140), st.integers(140, 500)),
    ),
    min_size=1,
    max_size=5,
)


#: lives that once went wrong, by what was the matter
ONCE_WRONG: dict[str, list[Step]] = {
    "a copy in another root, with all that lies beside it, is ours there, too": [
        ("arrive", 0, 0, 82),
        ("copy", 0, 81, 0),
        ("arrive", 0, 6, 0),
    ],
    "so it is when the copy was made while the model was published": [
        ("arrive", 0, 0, 0),
        ("copy", 0, 21, 86),
        ("arrive", 0, 6, 0),
    ],
    "what moves on under the name of another model is known by a model that lives in another root": [
        ("arrive", 0, 0, 0),
        ("arrive", 0, 0, 0),
        ("arrive", 0, 1, 0),
        ("rename_all", 0, 8, 0),
        ("arrive", 0, 6, 0),
    ],
    "what was moved three times is ours, however much was written for the same bytes": [
        ("rename_all", 0, 80, 96),
        ("rename_all", 0, 1, 51),
        ("rename_all", 0, 14, 42),
    ],
}


@pytest.fixture(scope="module")
def household() -> Iterator[Household]:
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        top = Path(os.path.realpath(name))
        made = Household(top / "disk", top / "state", StillClock())
        yield made
        made.close()


def memory_folder() -> str | None:
    """Give a folder in memory where there is one: the disk is not what is tested."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a random folder is made in it


def live(household: Household, steps: list[Step]) -> None:
    """Live one life, come to rest, and compare disk and catalog with the books."""
    household.begin()
    strangers = Strangers(household.top)
    strangers.arrive(0, 0)
    for verb, one, other, at in steps:
        if verb in _OURS:
            notice(household, strangers)
            ours(household, verb, at)
        elif at < 0:
            getattr(strangers, verb if verb in VERBS else VERBS[one % len(VERBS)])(one, other)
        else:
            notice(household, strangers)
            between(household, strangers, (verb, one, other, at))
    household.clock.advance(3600)
    household.look()
    # after everything was taken back, what others copied is known to be ours only once it is written anew
    for _ in range(2 if "unpublish" in {verb for verb, *_ in steps} else 1):
        household.catalog.wake_publish(ROOTS)
        household.rest()
    problems = Books(household, strangers).problems()
    assert not problems, "; ".join(problems)
    before = strangers.looks()
    household.moments.changes.clear()
    household.catalog.wake_publish(ROOTS)
    household.publish()
    assert not household.moments.changes, f"not at rest: {household.moments.changes}"
    assert strangers.looks() == before


def notice(household: Household, strangers: Strangers) -> None:
    """Let time pass, and the daemon see what others did."""
    household.clock.advance(20)
    household.look(strangers.touched)
    strangers.touched.clear()


def ours(household: Household, verb: str, at: int) -> None:
    if verb == "kill":
        household.killed(max(at, 0))
    elif verb == "news":
        household.news()
    else:
        household.clock.advance(LATER_S if verb == "wait" else 0)
        household.publish()


def between(household: Household, strangers: Strangers, step: Step) -> None:
    """Let a stranger act at some moment of our work; at odd ones a scout sees it before the work goes on."""
    verb, one, other, at = step

    def act() -> None:
        getattr(strangers, verb if verb in VERBS else VERBS[one % len(VERBS)])(one, other)
        if at % 2:
            household.look(strangers.touched)
            strangers.touched.clear()

    if verb == "unpublish":
        household.unpublish(at, act)
    else:
        household.publish_all(at, act)


@pytest.mark.parametrize("steps", ONCE_WRONG.values(), ids=ONCE_WRONG)
def test_a_life_that_once_went_wrong_comes_to_rest(household: Household, steps: list[Step]) -> None:
    """F83, P6."""
    live(household, steps)


@pytest.mark.slow
@pytest.mark.timeout(3600 if _LONG else 120)
@pytest.mark.parametrize("share", range(_SHARES))
def test_publishing_and_whatever_others_do_go_together(
    household: Household, share: int, record_property: Callable[[str, object], None]
) -> None:
    """F83, P6. A failing life is printed as its list of steps."""
    lives = 0

    @seed(share)
    @settings(
        max_examples=_LIVES,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(steps=STEPS)
    def any_life(steps: list[Step]) -> None:
        nonlocal lives
        lives += 1
        live(household, steps)

    any_life()
    assert lives >= _LIVES
    record_property("interleavings", lives)
