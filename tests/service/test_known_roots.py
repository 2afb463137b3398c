from pathlib import Path

from hashtagd.service.known_roots import free_name, read_known_roots, remember_roots


def test_a_folder_keeps_the_name_it_had(tmp_path: Path) -> None:
    remember_roots(tmp_path, {"models": Path("/a/models"), "b-models": Path("/b/models")})
    known = read_known_roots(tmp_path)
    assert free_name("models", Path("/b/models"), known) == "b-models"
    assert free_name("models", Path("/a/models"), known) == "models"


def test_a_second_folder_of_the_same_name_gets_a_name_of_its_own() -> None:
    known = {"models": Path("/a/models"), "b-models": Path("/elsewhere/b/models")}
    assert free_name("models", Path("/b/models"), {"models": Path("/a/models")}) == "b-models"
    assert free_name("models", Path("/b/models"), known) == "models-2"


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    remember_roots(tmp_path, {"models": Path("/a/models")})
    before = (tmp_path / "roots.json").stat()
    remember_roots(tmp_path, {"models": Path("/a/models")})
    after = (tmp_path / "roots.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_memory_that_cannot_be_read_is_an_empty_one(tmp_path: Path) -> None:
    assert read_known_roots(tmp_path) == {}
    (tmp_path / "roots.json").write_text("[not json")
    assert read_known_roots(tmp_path) == {}
    remember_roots(tmp_path / "missing", {"models": Path("/a/models")})
    assert not (tmp_path / "missing").exists()
