"""What lanes ask the store again and again while nothing is due must not cost more in a larger library."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.questions import Wanted
from hashtagd.core.work import HashKind, Stage
from support.clock import FakeClock
from support.library import ROOT, Library, card

LOOKS: dict[str, Callable[[Catalog], object]] = {
    **{f"claim for {it}": lambda catalog, it=it: catalog.claim(it, [ROOT], 9) for it in Stage},
    **{f"next due of {it}": lambda catalog, it=it: catalog.next_due([it], [ROOT]) for it in Stage},
    "what is being hashed": lambda catalog: catalog.digesting([ROOT]),
    "questions": lambda catalog: catalog.claim_questions(
        Wanted(provider="civitai", kind=HashKind.SHA256, limit=9)
    ),
    "next question": lambda catalog: catalog.next_question_due("civitai"),
    "troubles": lambda catalog: catalog.reports.troubles(roots=[ROOT]),
}


def steps(library: Library, look: Callable[[Catalog], object]) -> int:
    """Count the steps of SQLite's own machine."""
    counted = 0

    def step() -> None:
        nonlocal counted
        counted += 1

    with library.catalog.database.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.set_progress_handler(step, 1)
    look(library.catalog)  # takes the same connection from the pool
    driver.set_progress_handler(None, 0)
    assert counted > 0
    return counted


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_at_a_library_at_rest_costs_the_same_however_large_it_is(name: str, tmp_path: Path) -> None:
    costs = []
    for files in (3, 60):
        clock = FakeClock()
        url = f"sqlite:///{tmp_path}/{files}.db"
        catalog = Catalog.open(url, clock=clock, owner="test", chance=lambda: 0.5)
        library = Library(catalog, clock)
        library.note(*(f"folder/{number}" for number in range(files)))
        library.settle()
        library.digest()
        library.answer(card())
        library.publish()
        costs.append(steps(library, LOOKS[name]))
        catalog.close()
    small, large = costs
    assert large < small + 60, "not a step for each file"
