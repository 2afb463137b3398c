from sqlalchemy import text

from hashtagd.catalog.whereabouts import Whereabouts
from hashtagd.core.restoring import Lying
from support.library import Library, place, sha256, stamp_of


def test_bytes_are_found_at_every_place_where_they_lie(library: Library) -> None:
    library.publish_whole("b/ink")
    library.publish_whole("gone")
    library.lose("gone")
    library.note("unread", root="second")
    whereabouts = Whereabouts(library.catalog.database)
    ink = Lying(place=place("b/ink"), stamp=stamp_of("b/ink"), sha256=sha256("b/ink"))
    unread = Lying(place=place("unread", "second"), stamp=stamp_of("unread"), sha256=None)
    assert whereabouts.of([sha256("b/ink"), sha256("gone"), "00" * 32]) == {sha256("b/ink"): [ink]}
    assert whereabouts.of([]) == {}
    places = [place("b/ink"), place("gone"), place("unread", "second"), place("nowhere")]
    assert whereabouts.at(places) == {ink.place: ink, unread.place: unread}


def test_more_than_one_statement_can_name_are_found(library: Library) -> None:
    names = [f"{number}" for number in range(1_100)]
    library.note(*names)
    whereabouts = Whereabouts(library.catalog.database)
    assert len(whereabouts.at(place(name) for name in names)) == len(names)
    assert whereabouts.of(sha256(name) for name in names) == {}


def test_a_path_that_leads_out_of_its_root_is_nobody_s(library: Library) -> None:
    """F98."""
    library.publish_whole("ink")
    library.catalog.database.write(
        lambda connection, _now: connection.execute(text("update file set relpath = '../ink'"))
    )
    assert Whereabouts(library.catalog.database).of([sha256("ink")]) == {}
