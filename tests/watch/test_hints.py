from pathlib import Path

from watchdog.events import (
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
)

from hashtagd.core.place import Place
from hashtagd.watch.hints import SCAN_FROM_PLACES, HintBox, Target
from hashtagd.watch.roots import RootFolder


def box_and_target(relpath: str = "") -> tuple[HintBox, Target, list[int]]:
    wakes: list[int] = []
    root = RootFolder(name="loras", path=Path("/spelled"))
    return HintBox(lambda: wakes.append(1)), Target(root=root, real_path="/real", relpath=relpath), wakes


def test_many_events_of_one_file_are_one_place() -> None:
    """F13."""
    box, target, _ = box_and_target()
    for _ in range(10_000):
        box.add(target, FileModifiedEvent("/real/a/x.safetensors"))
    hints = box.drain()
    assert hints.places == {Place(root="loras", relpath="a/x.safetensors")}
    assert not hints.scan_roots
    assert not box.drain()


def test_more_places_than_can_be_looked_at_become_one_scan() -> None:
    """F01. And memory stays bounded, however long nobody drains."""
    box, target, _ = box_and_target()
    for number in range(3 * SCAN_FROM_PLACES):
        box.add(target, FileCreatedEvent(f"/real/{number}.safetensors"))
    hints = box.drain()
    assert hints.scan_roots == {"loras"}
    assert len(hints.places) <= SCAN_FROM_PLACES


def test_what_lies_elsewhere_or_is_foreign_wakes_nobody() -> None:
    """F12."""
    box, target, wakes = box_and_target()
    for path in ("/realm/x.safetensors", "/real", "/real/", "/real/x.metadata.json", "/real/.hashtagd-1.tmp"):
        box.add(target, FileCreatedEvent(path))
    box.add(target, DirDeletedEvent("/real"))
    box.add(target, DirMovedEvent("/real/.cache/a", "/real/.cache/b"))
    assert (box.drain(), wakes) == (box.drain(), [])
    assert not box.drain()


def test_both_ends_of_a_move_count() -> None:
    """F16."""
    box, target, wakes = box_and_target()
    box.add(target, FileMovedEvent("/real/x.safetensors.part", "/real/x.safetensors"))
    box.add(target, DirMovedEvent("/real/a", "/real/b"))
    hints = box.drain()
    assert hints.places == {Place(root="loras", relpath="x.safetensors")}
    assert hints.folders == {("loras", "a"), ("loras", "b")}
    assert len(wakes) == 2


def test_a_folder_below_a_link_asks_for_a_scan_of_the_root() -> None:
    """F17. Which link a folder is walked under is decided from the top."""
    box, target, _ = box_and_target(relpath="link")
    box.add(target, DirMovedEvent("/real/a", "/real/b"))
    box.add(target, FileCreatedEvent("/real/x.safetensors"))
    hints = box.drain()
    assert hints.scan_roots == {"loras"}
    assert hints.places == {Place(root="loras", relpath="link/x.safetensors")}
