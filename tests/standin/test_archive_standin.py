"""The archive's stand-in keeps the habits of the site that the provider must survive."""

import http.client
import json
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from hashtagd.standin import ArchiveStandin, Standin, copy_at

SHA = "ab" * 32


def ask(site: ArchiveStandin, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_hash_is_known_in_lower_case_only() -> None:
    with ArchiveStandin() as site:
        site.add(sha256=SHA, model_id=5, version_id=50)
        assert ask(site, f"/api/sha256/{SHA}")[1]["version"]["id"] == "50"
        assert ask(site, f"/api/sha256/{SHA.upper()}") == (404, {"error": "Model not found"})
        assert ask(site, f"/api/sha256/{'cd' * 32}")[0] == 404
        assert [request.route for request in site.requests] == ["sha256"] * 3


def test_a_version_is_found_under_any_model() -> None:
    with ArchiveStandin() as site:
        site.add(sha256=SHA, model_id=5, version_id=50)
        site.add(sha256="cd" * 32, model_id=5, version_id=51)
        assert ask(site, "/api/models/1?modelVersionId=50")[1]["id"] == "5"
        assert ask(site, "/api/models/5")[1]["version"]["id"] == "51"
        assert ask(site, "/api/models/6")[0] == 404
        assert ask(site, "/api/models/5?modelVersionId=x")[0] == 404


@pytest.mark.parametrize("text", ["904473536033245248", "100000000", "x"])
def test_ids_of_other_platforms_make_it_fail(text: str) -> None:
    with ArchiveStandin() as site:
        assert ask(site, f"/api/models/{text}")[0] == 500


@pytest.mark.parametrize("wrapping", ["data", "model"])
def test_answers_come_wrapped_and_in_two_spellings(wrapping: Literal["data", "model"]) -> None:
    with ArchiveStandin() as site:
        site.add(sha256=SHA)
        site.archive.wrapping = wrapping
        file = ask(site, f"/api/sha256/{SHA}")[1][wrapping]["version"]["files"][0]
        assert (file["sizeKB"], file["is_primary"], file["deletedAt"]) == (1024.0, False, None)
        site.archive.snake_case = True
        file = ask(site, f"/api/sha256/{SHA}")[1][wrapping]["version"]["files"][0]
        assert (file["size_kb"], file["is_primary"], file["deleted_at"]) == (1024.0, False, None)


def test_what_is_deleted_is_marked_and_copies_have_no_ids() -> None:
    with ArchiveStandin() as site:
        listing = site.add(sha256=SHA)
        site.keep(listing, mirrors=[{"url": "/x", "source": "y"}], deleted=["version", "mirror"])
        document = ask(site, f"/api/sha256/{SHA}")[1]
        assert document["deletedAt"] is None
        assert document["version"]["deletedAt"]
        own, copy = document["version"]["files"][0]["mirrors"]
        assert own["deletedAt"]
        assert (copy["url"], copy["modelId"]) == ("/x", None)


def test_what_one_site_deleted_the_archive_keeps_with_copies_of_every_kind() -> None:
    with Standin() as site, ArchiveStandin() as archive:
        listing = site.add(sha256=SHA, model_id=5, version_id=50)
        site.delete(listing)
        mirrors = [
            copy_at("/a", "live"),
            copy_at("/b", "dead", dead=True),
            copy_at("/c", "gated", gated=True),
            copy_at("/d", "paid", paid=True),
        ]
        archive.adopt(listing, mirrors=mirrors, deleted=["model"])
        document = ask(archive, f"/api/sha256/{SHA}")[1]
        assert document["deletedAt"]
        kept = document["version"]["files"][0]["mirrors"][1:]
        assert [(bool(one["deletedAt"]), one["is_gated"], one["is_paid"]) for one in kept] == [
            (False, False, False),
            (True, False, False),
            (False, True, False),
            (False, False, True),
        ]
