"""A library from its list: what is there stays, what lies elsewhere is linked, the rest has addresses."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hashtagd.cli.context import load_settings
from hashtagd.core.manifest import Entry, json_line
from hashtagd.core.relative_paths import MODEL_SUFFIXES
from support.commands import Done, Home
from support.safetensors import lora
from support.serving import served

INK = "styles/ink.safetensors"


def worked_through(home: Home) -> None:
    environ = dict(os.environ)
    with served(load_settings(home.config, environ), environ) as run:
        assert run.turn(3) == []
        assert run.ears.bugs == []


@pytest.fixture
def manifest(library: Home) -> Path:
    """The list of a library of two files, one of them known to the site."""
    path = library.folder / "library.jsonl"
    assert library.cli("export", "--output", path).code == 0
    library.site.forget_requests()
    return path


def second_root(home: Home, name: str = "nas") -> Path:
    """Add a root, and let the daemon see what is in both."""
    folder = home.folder / name
    folder.mkdir(exist_ok=True)
    roots = [("loras", home.loras), (name, folder)]
    home.settle(roots=[{"name": it, "path": str(path), "quiet_s": 0} for it, path in roots])
    return folder


def files(done: Done) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in done.json["files"]}


def endings(done: Done) -> dict[str, str]:
    return {path: file["ending"] for path, file in files(done).items()}


def listed(home: Home, *entries: Entry | str, name: str = "list") -> Path:
    path = home.folder / name
    lines = [it if isinstance(it, str) else json_line(it) for it in entries]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def stamps(folder: Path) -> dict[Path, tuple[int, ...]]:
    looks = ((path, path.lstat()) for path in folder.rglob("*"))
    return {path: (it.st_ino, it.st_mode, it.st_size, it.st_mtime_ns, it.st_ctime_ns) for path, it in looks}


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- what is there


def test_a_library_that_is_there_costs_no_request_and_no_change(library: Home, manifest: Path) -> None:
    before = stamps(library.loras)
    done = library.cli("restore", manifest)
    assert (done.code, done.out, done.err) == (0, "2 already there\n", "")
    assert library.site.requests == ()
    assert stamps(library.loras) == before


def test_without_a_catalog_files_are_known_by_reading_them(library: Home, manifest: Path) -> None:
    shutil.rmtree(library.state)
    done = library.cli("restore", manifest, "--json")
    assert (done.code, set(endings(done).values())) == (0, {"there"})
    (library.loras / INK).write_bytes(bytes((library.loras / INK).stat().st_size))
    assert endings(library.cli("restore", manifest, "--json"))[INK] == "occupied"


@pytest.mark.parametrize("kind", ["other bytes", "longer", "folder", "link to nowhere"])
def test_whatever_else_lies_at_a_place_is_told_and_stays(library: Home, manifest: Path, kind: str) -> None:
    """P6."""
    ink = library.loras / INK
    size_bytes = ink.stat().st_size
    ink.unlink()
    if kind == "folder":
        ink.mkdir()
    elif kind == "link to nowhere":
        ink.symlink_to("nowhere")
    else:
        ink.write_bytes(bytes(size_bytes + (kind == "longer")))
    before = stamps(library.loras)
    done = library.cli("restore", manifest)
    assert done.code == 1
    assert "in the way\tloras/styles/ink.safetensors" in done.out
    assert stamps(library.loras) == before


# ---- what lies elsewhere


def test_bytes_that_lie_in_another_root_get_a_second_name(library: Home, manifest: Path) -> None:
    nas = second_root(library)
    (library.loras / INK).rename(nas / "moved.safetensors")
    worked_through(library)
    library.site.forget_requests()
    dry = library.cli("restore", manifest, "--dry-run")
    assert (dry.code, dry.out) == (
        0,
        "lies elsewhere\tloras/styles/ink.safetensors\t17.6 KB\t\n1 already there, 1 lies elsewhere\n",
    )
    assert not (library.loras / INK).exists()
    done = library.cli("restore", manifest, "--json")
    assert (done.code, endings(done)) == (0, {INK: "linked", "private.safetensors": "there"})
    assert (library.loras / INK).samefile(nas / "moved.safetensors")
    assert library.site.requests == ()
    assert library.cli("restore", manifest).out == "2 already there\n"


def test_an_owner_may_want_bytes_of_their_own(library: Home, manifest: Path) -> None:
    nas = second_root(library)
    (library.loras / INK).rename(nas / "moved.safetensors")
    worked_through(library)
    done = library.cli("restore", "--copy", manifest)
    assert done.code == 0
    assert "copied\tloras/styles/ink.safetensors" in done.out
    assert (library.loras / INK).read_bytes() == (nas / "moved.safetensors").read_bytes()
    assert (library.loras / INK).with_suffix(".metadata.json").exists()
    assert not (library.loras / INK).samefile(nas / "moved.safetensors")


def test_what_changed_since_it_was_hashed_is_no_source(library: Home, manifest: Path) -> None:
    """P5."""
    nas = second_root(library)
    (library.loras / INK).rename(nas / "moved.safetensors")
    worked_through(library)
    (nas / "moved.safetensors").write_bytes(lora(99))
    assert endings(library.cli("restore", manifest, "--json"))[INK] == "fetched"
    assert (library.loras / INK).read_bytes() == lora(0)
    assert (nas / "moved.safetensors").read_bytes() == lora(99)


def test_a_place_behind_a_link_that_leads_out_of_the_root_gets_nothing(library: Home, manifest: Path) -> None:
    """F94."""
    nas, outside = second_root(library), library.folder / "outside"
    outside.mkdir()
    (library.loras / INK).rename(nas / "moved.safetensors")
    shutil.rmtree(library.loras / "styles")
    (library.loras / "styles").symlink_to(outside)
    worked_through(library)
    done = library.cli("restore", manifest)
    assert done.code == 1
    assert "leads out of the root" in done.out
    assert list(outside.iterdir()) == []


# ---- what is missing


def test_what_is_missing_is_told_with_its_size_and_a_fresh_address(library: Home, manifest: Path) -> None:
    (library.loras / INK).unlink()
    done = library.cli("restore", manifest, "--dry-run", "--json")
    assert done.code == 0
    assert done.json["totals"]["bytes_to_fetch"] == files(done)[INK]["size_bytes"]
    assert files(done)[INK]["ending"] == "missing"
    assert files(done)[INK]["target"] == {"root": "loras", "path": INK}
    address = f"{library.site.url}/api/download/models/22?fileId={files(done)[INK]['file_id']}"
    assert files(done)[INK]["urls"][0] == {"url": address, "source": "civitai"}
    assert not (library.loras / INK).exists()
    printed = library.cli("restore", manifest, "--dry-run").out
    assert f"to fetch\tloras/{INK}\t17.6 KB\t{address}\n" in printed
    assert printed.endswith("1 already there, 1 to fetch\nto fetch: 17.6 KB\n")


def test_two_hundred_models_cost_four_requests(home: Home) -> None:
    entries = []
    for number in range(200):
        sha256 = hashlib.sha256(str(number).encode()).hexdigest()
        home.site.add(sha256=sha256)
        entries.append(Entry(root="loras", path=f"{number}.safetensors", sha256=sha256))
    done = home.cli("restore", "--dry-run", "--json", listed(home, *entries))
    assert (done.code, done.json["totals"]["missing"]) == (0, 200)
    assert done.json["totals"]["unknown_sizes"] == 200
    assert len(home.site.requests) == 4


def test_what_nobody_knows_is_gone_and_the_list_s_own_addresses_are_the_last_hope(
    library: Home, manifest: Path
) -> None:
    (library.loras / "private.safetensors").unlink()
    done = library.cli("restore", manifest)
    assert done.code == 1
    assert "gone\tloras/private.safetensors\t17.6 KB\tno site knows it\n" in done.out
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    lines[0]["urls"] = [{"url": "https://mirror.example/private.safetensors?token=SECRET"}]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    done = library.cli("restore", "--json", manifest)
    assert files(done)["private.safetensors"]["urls"] == [
        {"url": "https://mirror.example/private.safetensors", "source": "mirror.example"}
    ]
    assert "SECRET" not in done.out + done.err


def test_a_site_that_is_away_is_not_taken_for_gone(library: Home, manifest: Path) -> None:
    (library.loras / "private.safetensors").unlink()
    library.site.fail_next(None, status=503)
    done = library.cli("restore", manifest)
    assert done.code == 75
    assert "not asked\tloras/private.safetensors" in done.out


def test_what_cannot_be_named_because_a_site_is_away_is_asked_again_later(home: Home) -> None:
    home.site.fail_next(None, status=503)
    done = home.cli("restore", "--to", "loras", listed(home, "ab" * 32, "5"))
    assert done.code == 75
    assert done.out.splitlines()[-1] == "2 not asked"
    home.put("x.safetensors", known=False)
    done = home.cli("restore", listed(home, Entry(root="loras", path="x.safetensors", version_id=5)))
    assert (done.code, done.out.splitlines()[-1]) == (75, "1 not asked")


def test_why_a_model_is_not_given_out_is_told(home: Home) -> None:
    sha256 = "ab" * 32
    home.site.add(sha256=sha256, archived=True)
    done = home.cli("restore", listed(home, Entry(root="loras", path="x.safetensors", sha256=sha256)))
    assert done.code == 1
    assert "archived" in done.out


def test_copies_of_one_missing_file_are_fetched_once(library: Home) -> None:
    ink = library.loras / INK
    sha256, size_bytes = sha256_of(ink), ink.stat().st_size
    ink.unlink()
    twins = [
        Entry(root="loras", path=f"{name}.safetensors", sha256=sha256, size_bytes=size_bytes) for name in "ab"
    ]
    done = library.cli("restore", "--json", "--dry-run", listed(library, *twins, twins[0]))
    assert done.json["totals"]["bytes_to_fetch"] == size_bytes
    assert done.json["list"] == {"kind": "manifest", "entries": 3, "repeats": 1, "mistakes": []}
    assert endings(done) == {"a.safetensors": "missing", "b.safetensors": "elsewhere"}
    assert endings(library.cli("restore", "--json", listed(library, *twins))) == {
        "a.safetensors": "fetched",
        "b.safetensors": "linked",
    }
    assert library.site.counts["storage"] == 1
    assert (library.loras / "b.safetensors").samefile(library.loras / "a.safetensors")
    assert sha256_of(library.loras / "b.safetensors") == sha256


def test_a_disk_that_is_too_small_is_told_before_anything_happens(library: Home, manifest: Path) -> None:
    (library.loras / INK).unlink()
    library.settle(downloads={"min_free_bytes": 1 << 50})
    done = library.cli("restore", "--dry-run", manifest)
    assert "loras: 17.6 KB are needed, and 0 B may be used" in done.err
    (shortage,) = library.cli("restore", "--dry-run", "--json", manifest).json["shortages"]
    assert (shortage["roots"], shortage["free_bytes"]) == (["loras"], 0)


# ---- where it goes


def test_a_machine_without_a_root_of_that_name_is_told_what_to_say(library: Home, manifest: Path) -> None:
    library.settle(roots=[{"name": "other", "path": str(library.loras), "quiet_s": 0}])
    shutil.rmtree(library.state)
    done = library.cli("restore", manifest)
    assert done.code == 1
    assert "there is no root called loras here; `--to` says where it shall go" in done.out
    assert library.cli("restore", manifest, "--to", "other").out == "2 already there\n"
    assert library.cli("restore", manifest, "--to", library.loras).out == "2 already there\n"


def test_a_rented_machine_needs_no_settings(library: Home, manifest: Path) -> None:
    library.settle(roots=[])
    shutil.rmtree(library.state)
    models = library.folder / "rented"
    models.mkdir()
    done = library.cli("restore", manifest, "--to", models, "--dry-run", "--json")
    assert done.code == 1
    assert {file["target"]["path"]: file["ending"] for file in done.json["files"]} == {
        "private.safetensors": "gone",
        INK: "missing",
    }


def test_a_folder_of_a_root_can_be_named_and_what_lies_elsewhere_is_linked_there(
    library: Home, manifest: Path
) -> None:
    (library.loras / "again").mkdir()
    done = library.cli("restore", manifest, "--to", library.loras / "again")
    assert done.code == 0
    assert (library.loras / "again" / INK).samefile(library.loras / INK)


@pytest.mark.parametrize("to", ["nowhere", "library.jsonl", "/"])
def test_what_is_no_root_and_no_folder_is_told(library: Home, manifest: Path, to: str) -> None:
    done = library.cli("restore", manifest, "--to", to)
    assert done.code in (1, 78)
    assert "what you can do" in done.err


def test_a_root_that_is_away_holds_up_only_itself(library: Home, manifest: Path) -> None:
    shutil.rmtree(library.loras)
    second_root(library)
    done = library.cli("restore", manifest)
    assert done.code == 1
    assert done.out.count("unusable\tloras/") == 2


def test_names_that_the_root_does_not_look_after_are_not_made(home: Home) -> None:
    done = home.cli("restore", listed(home, Entry(root="loras", path="x.ckpt", sha256="ab" * 32)))
    assert done.code == 1
    assert "the root loras does not look after files of this name" in done.out


# ---- other lists


def test_hashes_numbers_and_addresses_are_resolved_to_files(library: Home) -> None:
    one = library.site.add(sha256="11" * 32, file_name="one.safetensors", size_bytes=111)
    two = library.site.add(sha256="22" * 32, file_name="sub/two:2.safetensors", size_bytes=222)
    there = sha256_of(library.loras / INK)
    source = listed(
        library,
        "# mine",
        one.sha256.upper(),
        str(two.version_id),
        there,
        f"https://civitai.com/models/1?modelVersionId={two.version_id}",
        "0123456789 # AutoV2",
    )
    done = library.cli("restore", "--to", "loras", "--dry-run", "--json", source)
    assert done.code == 1
    assert done.json["list"]["kind"] == "names"
    assert done.json["list"]["repeats"] == 1
    (mistake,) = done.json["list"]["mistakes"]
    assert mistake["where"] == "line 6"
    found = {
        file["target"]["path"]: (file["ending"], file["size_bytes"], file["sha256"])
        for file in done.json["files"]
    }
    assert found == {
        "one.safetensors": ("missing", 111, one.sha256),
        "two 2.safetensors": ("missing", 222, two.sha256),
        INK: ("there", None, there),
    }


def test_a_number_whose_bytes_lie_here_is_not_fetched(library: Home) -> None:
    done = library.cli("restore", "--to", "loras", "--json", listed(library, "22"))
    (file,) = done.json["files"]
    assert (done.code, file["ending"], file["model_name"]) == (0, "there", "ink")


def test_what_has_no_place_and_no_name_says_so(home: Home) -> None:
    vae = home.site.add(sha256="cd" * 32, kind="VAE", file_name="x.safetensors")
    lost = home.cli("restore", listed(home, vae.sha256, name="vae"))
    assert (lost.code, "the list does not say where it lay" in lost.out) == (1, True)
    source = listed(home, "ab" * 32, "5")
    done = home.cli("restore", "--to", "loras", source)
    assert done.out.count("no site says what its file is called") == 2
    nameless = home.cli("restore", listed(home, Entry(root="loras", path="x.safetensors"), name="bare"))
    assert "nothing says which model it was" in nameless.out


def test_sums_and_tables_are_lists_too(library: Home) -> None:
    sha256 = sha256_of(library.loras / INK)
    sums = listed(library, f"{sha256}  ./{INK}")
    assert library.cli("restore", "--to", "loras", sums).out == "1 already there\n"
    table = library.folder / "library.csv"
    library.cli("export", "--format", "csv", "--output", table)
    assert library.cli("restore", table).out == "2 already there\n"


def test_a_folder_with_sidecars_tells_what_lay_beside_them(library: Home) -> None:
    ink = library.loras / INK
    ink.unlink()
    done = library.cli("restore", "--json", library.loras)
    assert done.json["list"]["kind"] == "sidecars"
    assert endings(done) == {INK: "fetched", "private.safetensors": "there"}
    assert ink.read_bytes() == lora(0)
    one = library.cli("restore", "--json", library.loras / "styles" / "ink.metadata.json")
    assert files(one)["ink.safetensors"]["target"] == {"root": "loras", "path": INK}


def test_mistakes_are_told_with_their_lines_and_the_rest_is_used(library: Home, manifest: Path) -> None:
    with manifest.open("a") as lines:
        lines.write('{"path": "../../etc/x.safetensors", "sha256": "x\x1b[2J"}\n{"path": "\\u001b[31m"}\n')
    done = library.cli("restore", manifest)
    assert (done.code, done.out) == (1, "2 already there\n")
    assert done.err.splitlines() == [
        f"{manifest}: line 3: is not JSON",
        f"{manifest}: line 4: `path` does not end as a model file does ({', '.join(MODEL_SUFFIXES)})",
    ]


def test_paths_without_a_root_begin_where_their_list_lies(library: Home) -> None:
    sums = library.loras / "styles" / "SHA256SUMS"
    sums.write_text(f"{sha256_of(library.loras / INK)}  ink.safetensors\n")
    assert library.cli("restore", sums).out == "1 already there\n"


def test_a_root_without_a_path_gets_the_name_that_the_site_tells(home: Home) -> None:
    listing = home.site.add(sha256="ab" * 32, file_name="ink.safetensors")
    done = home.cli("restore", "--json", listed(home, Entry(root="loras", sha256=listing.sha256)))
    assert done.json["files"][0]["target"] == {"root": "loras", "path": "ink.safetensors"}


def test_what_is_no_list_is_told(home: Home) -> None:
    done = home.cli("restore", home.config)
    assert done.code == 1
    assert "that is no list of models" in done.err
    assert home.cli("restore", home.folder / "nowhere").code == 1
    assert home.cli("restore").code == 2
