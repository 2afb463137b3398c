from dataclasses import replace

from hashtagd.catalog.pages import FileRow
from hashtagd.service.duplicates import duplicates
from support.library import Library, card, sha256


def row(library: Library) -> FileRow:
    library.publish_whole("x", card())
    (found,) = library.catalog.reports.list_files()
    return replace(found, size_bytes=100, inode=5)


def test_the_same_inode_on_two_disks_is_no_hard_link_where_the_bytes_differ(library: Library) -> None:
    one = row(library)
    edited = replace(one, file_id=2, root="other disk", sha256=sha256("edited"), size_bytes=101)
    (group,) = duplicates([one, edited])
    assert (group.by, group.could_free_bytes) == ("tensors", 100)


def test_hard_links_cost_nothing_and_files_without_an_inode_count_for_themselves(library: Library) -> None:
    one = row(library)
    link = replace(one, file_id=2, relpath="link")
    assert [group.could_free_bytes for group in duplicates([one, link])] == [0]
    unnumbered = [replace(it, inode=0) for it in (one, link)]
    assert [group.could_free_bytes for group in duplicates(unnumbered)] == [100]
