"""What a restore would do, decided over every way a target and its bytes can lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashtagd.core.manifest import Entry
from hashtagd.core.place import Place, Stamp
from hashtagd.core.restoring import (
    Ground,
    Lying,
    Occupant,
    Plan,
    Shortage,
    Space,
    Step,
    Verdict,
    Wish,
    plan_restore,
)

ONE, TWO = "11" * 32, "22" * 32


def place(relpath: str, root: str = "loras") -> Place:
    return Place(root=root, relpath=relpath)


def wish(relpath: str, sha256: str | None = ONE, size_bytes: int | None = 100, root: str = "loras") -> Wish:
    entry = Entry(path=relpath, sha256=sha256, size_bytes=size_bytes)
    return Wish(entry=entry, target=place(relpath, root))


def lying(*places: Place, sha256: str = ONE) -> dict[str, list[Lying]]:
    stamp = Stamp(size_bytes=100, mtime_ns=1, inode=1)
    return {sha256: [Lying(place=it, stamp=stamp, sha256=sha256) for it in places]}


def spaces(**free_bytes: int) -> dict[str, Space]:
    """Roots whose names begin alike share a disk."""
    return {name: Space(disk=name[0], free_bytes=free) for name, free in free_bytes.items()}


def only(plan: Plan) -> Step:
    (step,) = plan.steps
    return step


def test_the_same_bytes_at_the_same_place_are_there() -> None:
    ground = Ground(occupants={place("x.sft"): Occupant(sha256=ONE)}, spaces=spaces(loras=0))
    assert only(plan_restore([wish("x.sft")], ground)).verdict is Verdict.THERE


@pytest.mark.parametrize("sha256,occupant", [(ONE, TWO), (ONE, None), (None, ONE), (None, None)])
def test_whatever_else_lies_there_is_in_the_way(sha256: str | None, occupant: str | None) -> None:
    ground = Ground(
        lying=lying(place("other.sft")),
        occupants={place("x.sft"): Occupant(sha256=occupant)},
        spaces=spaces(loras=1000),
    )
    assert only(plan_restore([wish("x.sft", sha256)], ground)).verdict is Verdict.OCCUPIED


def test_bytes_that_lie_elsewhere_are_not_fetched_and_those_on_the_same_disk_come_first() -> None:
    far, near, here = place("a.sft", "nas"), place("b.sft", "lycoris"), place("c.sft")
    ground = Ground(lying=lying(far, near, here), spaces=spaces(loras=0, lycoris=0, nas=0))
    plan = plan_restore([wish("x.sft")], ground)
    step = only(plan)
    assert (step.verdict, step.waits, step.why) == (Verdict.ELSEWHERE, False, None)
    assert step.sources == (here, near, far)
    assert (plan.shortages, plan.bytes_to_fetch) == ((), 0)


def test_a_copy_from_another_disk_takes_room_and_roots_that_are_away_hold_nothing() -> None:
    ground = Ground(
        lying=lying(place("a.sft", "nas"), place("b.sft", "away")), spaces=spaces(loras=99, nas=0)
    )
    plan = plan_restore([wish("x.sft")], ground)
    assert only(plan).sources == (place("a.sft", "nas"),)
    assert plan.shortages == (Shortage(roots=("loras",), needed_bytes=100, free_bytes=99),)
    ground = Ground(lying=lying(place("b.sft", "away")), spaces=spaces(loras=100))
    assert only(plan_restore([wish("x.sft")], ground)).verdict is Verdict.FETCH


def test_what_lies_nowhere_is_fetched_once_and_its_copies_are_made_of_it() -> None:
    wishes = [wish("a.sft"), wish("b.sft"), wish("c.sft", TWO, None), wish("d.sft", None, 5)]
    plan = plan_restore(wishes, Ground(spaces=spaces(loras=1000)))
    assert [step.verdict for step in plan.steps] == [
        Verdict.FETCH,
        Verdict.ELSEWHERE,
        Verdict.FETCH,
        Verdict.FETCH,
    ]
    assert (plan.steps[1].sources, plan.steps[1].waits) == ((place("a.sft"),), True)
    assert (plan.bytes_to_fetch, plan.unknown_sizes, plan.shortages) == (105, 1, ())
    assert plan.counts() == {
        Verdict.THERE: 0,
        Verdict.ELSEWHERE: 1,
        Verdict.OCCUPIED: 0,
        Verdict.FETCH: 3,
        Verdict.UNUSABLE: 0,
    }


def test_two_roots_on_one_disk_share_what_is_free() -> None:
    wishes = [wish("a.sft", ONE, 600), wish("b.sft", TWO, 600, "lycoris"), wish("c.sft", "33" * 32, 5, "nas")]
    ground = Ground(spaces=spaces(loras=1100, lycoris=1100, nas=110), keep_free_bytes=100)
    shortage = Shortage(roots=("loras", "lycoris"), needed_bytes=1200, free_bytes=1000)
    assert plan_restore(wishes, ground).shortages == (shortage,)


def test_what_stays_free_is_not_counted_below_nothing() -> None:
    ground = Ground(spaces=spaces(loras=50), keep_free_bytes=100)
    assert plan_restore([wish("a.sft")], ground).shortages[0].free_bytes == 0


def test_a_root_without_a_known_disk_is_no_shortage() -> None:
    assert plan_restore([wish("a.sft")], Ground()).shortages == ()


def test_lines_that_say_the_same_are_one_and_the_first_of_two_others_has_the_place() -> None:
    number = Wish(entry=Entry(path="n.sft", version_id=5), target=place("n.sft"))
    nameless = Wish(entry=Entry(path="m.sft", model_name="x"), target=place("m.sft"))
    wishes = [
        wish("a.sft"),
        wish("a.sft"),
        wish("a.sft", TWO),
        wish("a.sft", None),
        number,
        Wish(entry=Entry(path="n.sft", version_id=5), target=place("n.sft")),
        Wish(entry=Entry(path="n.sft", version_id=6), target=place("n.sft")),
        nameless,
        Wish(entry=Entry(path="m.sft", model_name="x"), target=place("m.sft")),
    ]
    plan = plan_restore(wishes, Ground(spaces=spaces(loras=1000)))
    assert plan.repeats == 2
    assert [(step.verdict, step.why) for step in plan.steps] == [
        (Verdict.FETCH, None),
        (Verdict.UNUSABLE, "wants the place of another entry"),
        (Verdict.UNUSABLE, "wants the place of another entry"),
        (Verdict.FETCH, None),
        (Verdict.UNUSABLE, "wants the place of another entry"),
        (Verdict.FETCH, None),
        (Verdict.UNUSABLE, "wants the place of another entry"),
    ]


def test_what_has_no_place_is_unusable_and_says_why() -> None:
    entry = Entry(path="x.sft", sha256=ONE)
    steps = plan_restore(
        [Wish(entry=entry, target=None, why_not="there is no root"), Wish(entry=entry, target=None)], Ground()
    ).steps
    assert [step.why for step in steps] == ["there is no root", "has no place here"]


def test_bytes_without_a_path_are_there_wherever_they_lie() -> None:
    ground = Ground(lying=lying(place("a.sft", "nas"), place("b.sft")), spaces=spaces(loras=0, nas=0))
    nowhere = Wish(entry=Entry(sha256=ONE), target=None, why_not="it needs `--to`")
    step = only(plan_restore([nowhere], ground))
    assert (step.verdict, step.target) == (Verdict.THERE, place("b.sft"))
    assert only(plan_restore([nowhere], Ground())).verdict is Verdict.UNUSABLE


NAMES = st.sampled_from(("a.sft", "b.sft", "c.sft"))
HASHES = st.none() | st.sampled_from((ONE, TWO))


@given(
    st.lists(st.builds(wish, NAMES, HASHES, st.none() | st.integers(0, 99)), max_size=8),
    st.dictionaries(NAMES, HASHES, max_size=3),
    st.lists(NAMES, max_size=2),
)
def test_no_place_is_given_twice_and_what_lies_there_is_never_replaced(
    wishes: list[Wish], occupied: dict[str, str | None], held: list[str]
) -> None:
    ground = Ground(
        lying=lying(*(place(name) for name in held)),
        occupants={place(name): Occupant(sha256=sha256) for name, sha256 in occupied.items()},
        spaces=spaces(loras=1000),
    )
    plan = plan_restore(wishes, ground)
    made = [step.target for step in plan.steps if step.verdict in (Verdict.FETCH, Verdict.ELSEWHERE)]
    assert len(made) == len(set(made))
    assert not set(made) & set(ground.occupants)
    fetched = [step.entry.sha256 for step in plan.steps if step.verdict is Verdict.FETCH]
    known = [sha256 for sha256 in fetched if sha256 is not None]
    assert len(known) == len(set(known))
    assert len(plan.steps) + plan.repeats == len(wishes)
