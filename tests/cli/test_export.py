"""The library as a manifest: complete, readable by anybody, and without a secret."""

import csv
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from hashtagd.catalog.catalog import Catalog
from hashtagd.catalog.tables import question
from hashtagd.cli.context import load_settings
from hashtagd.core.manifest import Entry, read_json_lines
from hashtagd.core.manifest_csv import csv_line, read_csv
from hashtagd.service.clock import SystemClock
from support.commands import Home
from support.entries import HOSTILE
from support.serving import served

PROGRAM = "from hashtagd.cli.main import main; main()"


def worked_through(home: Home) -> None:
    environ = dict(os.environ)
    with served(load_settings(home.config, environ), environ) as run:
        assert run.turn(3) == []
        assert run.ears.bugs == []


def open_catalog(home: Home) -> Catalog:
    url = f"sqlite:///{home.state}/catalog.db"
    return Catalog.open(url, clock=SystemClock(), owner="test", chance=lambda: 0.5)


def test_each_file_is_a_line_with_what_is_known(library: Home) -> None:
    done = library.cli("export")
    assert done.code == 0
    private, ink = done.lines
    sha256 = library.cli("show", "--json", "ink").json["hashes"]["sha256"]
    (listing,) = library.site.library.by_hash[sha256.upper()]
    assert ink == {
        "root": "loras",
        "path": "styles/ink.safetensors",
        "size_bytes": (library.loras / "styles" / "ink.safetensors").stat().st_size,
        "sha256": sha256,
        "model_id": 11,
        "version_id": 22,
        "file_id": listing.file_id,
        "model_name": "ink",
        "version_name": "v1.0",
        "kind": "LORA",
        "base_model": "SDXL 1.0",
        "urls": [
            {
                "url": f"{library.site.url}/api/download/models/22?fileId={listing.file_id}",
                "source": "civitai",
            }
        ],
    }
    assert private["path"] == "private.safetensors"
    assert private["sha256"] == library.cli("show", "--json", "private").json["hashes"]["sha256"]
    assert (private["version_id"], private["urls"]) == (None, [])


def test_a_table_has_the_same_in_columns(library: Home) -> None:
    lines = library.cli("export").lines
    done = library.cli("export", "--format", "csv")
    rows = list(csv.DictReader(done.out.splitlines()))
    assert [row["path"] for row in rows] == [line["path"] for line in lines]
    assert rows[1]["urls"] == lines[1]["urls"][0]["url"]
    assert rows[0]["version_id"] == ""


def test_gone_files_are_left_out_and_waiting_ones_are_there_without_a_claim(library: Home) -> None:
    (library.loras / "private.safetensors").unlink()
    half = library.loras / "half.safetensors"
    half.write_bytes((library.loras / "styles" / "ink.safetensors").read_bytes()[:-1])
    worked_through(library)
    half_line, ink = library.cli("export").lines
    assert ink["path"] == "styles/ink.safetensors"
    assert half_line == {
        **dict.fromkeys(ink),
        "root": "loras",
        "path": "half.safetensors",
        "size_bytes": half.stat().st_size,
        "urls": [],
    }


def test_roots_can_be_chosen_and_a_typing_error_is_no_empty_backup(library: Home) -> None:
    assert len(library.cli("export", "--root", "loras", "--root", "loras").lines) == 2
    done = library.cli("export", "--root", "lora")
    assert (done.code, done.out) == (1, "")
    assert "there is no root called lora" in done.err
    assert "loras" in done.err


def test_a_root_that_is_not_watched_any_more_can_still_be_listed(library: Home) -> None:
    library.settle(roots=[])
    (library.state / "presence.json").unlink(missing_ok=True)
    assert len(library.cli("export", "--root", "loras").lines) == 2


def test_without_a_catalog_there_is_nothing_to_list(home: Home) -> None:
    done = home.cli("export")
    assert (done.code, done.out) == (0, "")
    assert "no file is known of these roots" in done.err
    assert home.cli("export", "--format", "csv").out.count("\n") == 1
    assert not home.state.exists()


def test_a_file_gets_the_manifest_whole_or_stays_as_it_was(library: Home) -> None:
    target = library.folder / "library.jsonl"
    target.write_bytes(b"old")
    done = library.cli("export", "--output", target)
    assert (done.code, done.out) == (0, f"2 files are listed in {target}\n")
    assert target.read_text("utf-8") == library.cli("export").out
    before = sorted(library.folder.iterdir())
    done = library.cli("export", "--format", "csv", "--output", target)
    assert done.out == f"2 files are listed in {target}\n"
    assert target.read_bytes().decode() == library.cli("export", "--format", "csv").out
    assert sorted(library.folder.iterdir()) == before
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


@pytest.mark.parametrize("target", ["nowhere/x.jsonl", "/dev/full"])
def test_a_file_that_cannot_be_written_is_told(library: Home, target: str) -> None:
    done = library.cli("export", "--output", library.folder / target)
    assert done.code == 1
    assert "cannot be written" in done.err
    assert "Traceback" not in done.err


def test_a_pipe_gets_it_too(library: Home) -> None:
    assert library.cli("export", "--output", "/dev/null").code == 0


def test_a_reader_that_has_seen_enough_is_no_error(library: Home) -> None:
    words = [sys.executable, "-c", PROGRAM, "--config", str(library.config), "export"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(words, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_is_lost_is_a_failure(library: Home) -> None:
    words = [sys.executable, "-c", PROGRAM, "--config", str(library.config), "export"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "the output could not be written" in done.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_terminal_gets_no_control_characters(library: Home, form: str) -> None:
    """F97."""
    (library.loras / "private.safetensors").rename(library.loras / "a\x1b[31m\nb.safetensors")
    worked_through(library)
    words = [sys.executable, "-c", PROGRAM, "--config", str(library.config), "export", "--format", form]
    reading, writing = os.openpty()
    try:
        subprocess.run(words, stdout=writing, check=True)
        printed = os.read(reading, 1 << 16).decode().replace("\r\n", "\n")
    finally:
        os.close(reading)
        os.close(writing)
    assert len(printed.splitlines()) == 2 + (form == "csv")
    assert all(line.isprintable() for line in printed.splitlines())
    assert "[31m" in printed


def test_titles_by_strangers_survive_both_forms(home: Home) -> None:
    for number, title in enumerate(HOSTILE):
        home.site.add(sha256=home.put(f"{number:03}.safetensors", known=False), name=title)
    worked_through(home)
    printed = home.cli("export").out
    assert all(line.isprintable() for line in printed.split("\n"))
    read = list(read_json_lines(printed.split("\n")))
    names = [it.model_name for it in read if isinstance(it, Entry)]
    assert len(names) == len(HOSTILE)
    assert {'=HYPERLINK("http://evil.example";"click")', "مرحبا بالعالم"} <= set(names)
    target = home.folder / "library.csv"
    home.cli("export", "--format", "csv", "--output", target)
    with target.open(encoding="utf-8", newline="") as lines:
        table = list(read_csv(lines))
    plain = [replace(it, urls=()) for it in read if isinstance(it, Entry)]
    assert [replace(it, urls=()) for it in table if isinstance(it, Entry)] == plain
    addresses = [[url.url for url in it.urls] for it in read if isinstance(it, Entry)]
    assert [[url.url for url in it.urls] for it in table if isinstance(it, Entry)] == addresses
    assert csv_line(plain[0]).split(",")[7].startswith("\"'=HYPERLINK")


def test_an_address_that_is_more_than_one_is_left_out(library: Home) -> None:
    """R14."""
    with closing(open_catalog(library)) as catalog:
        stored = select(question.c.id, question.c.card).where(question.c.card.is_not(None))
        rows = catalog.database.read(lambda it, _now: it.execute(stored).all())
        (row,) = [it for it in rows if it.card["version_id"] == 22]
        signed = {
            "url": "https://cdn.example/ink?X-Amz-Signature=SECRET",
            "source": "x",
            "gated": None,
            "paid": None,
        }
        row.card["downloads"][0]["urls"].append(signed)
        changed = update(question).where(question.c.id == row.id).values(card=row.card)
        catalog.database.write(lambda it, _now: it.execute(changed))
    assert "SECRET" in json.dumps(library.cli("show", "--json", "ink").json)
    for form in ("jsonl", "csv"):
        assert "SECRET" not in library.cli("export", "--format", form).out
