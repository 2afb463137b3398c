"""Habits of the site's look-up routes, one test each; the numbers are those of the list the project keeps."""

import json

import pytest

from hashtagd.core import schedule
from hashtagd.core.card import Availability, Confidence
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.troubles import GiveUp, TryLater
from hashtagd.core.work import Absent, Found
from support.civitai_asking import standing
from support.civitai_samples import file, version
from support.surroundings import sha, subject


def test_quirk_01_addresses_on_a_host_called_undefined_are_stored_on_the_canonical_one() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), version_id=50, file_id=60)
        card = setting.card(1)
        assert [url.url for url in card.downloads[0].urls] == [
            f"{setting.site.url}/api/download/models/50?fileId=60"
        ]
        # the site did say it
        assert setting.site.library.version(50, base="https://undefined")["downloadUrl"].startswith(
            "https://undefined/"
        )
        assert "undefined" not in json.dumps(card.to_json())


def test_quirk_02_nulls_repeats_another_order_and_missing_hashes_do_not_mix_answers_up() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), model_id=5, version_id=50)
        setting.site.add(sha256=sha(2), model_id=5, version_id=50, file_type="Pruned Model")
        setting.site.add(sha256=sha(3), model_id=6, version_id=60, null_entry=True)
        setting.site.add(sha256=sha(5), model_id=7, version_id=70)
        answers = setting.ask(1, 2, 3, 4, 5)
        numbers = [
            answer.card.version_id if isinstance(answer, Found) else None
            for answer in (answers[sha(number)] for number in range(1, 6))
        ]
        assert numbers == [50, 50, 60, None, 70]
        assert isinstance(answers[sha(4)], Absent)
        for number in (1, 2):
            found = answers[sha(number)]
            assert isinstance(found, Found)
            assert found.card.downloads[0].sha256 == sha(number)


def test_quirk_03_one_hash_that_the_site_dislikes_does_not_spoil_its_batch() -> None:
    with standing() as setting:
        for number in (1, 2, 3):
            setting.site.add(sha256=sha(number))
        setting.site.routes.disliked = sha(2).upper()
        answers = setting.ask(1, 2, 3)
        refused = answers.pop(sha(2))
        assert isinstance(refused, GiveUp)
        assert refused.kind == "hash_refused"
        assert all(isinstance(answer, Found) for answer in answers.values())
    with pytest.raises(ValueError, match="64"):
        subject("ab" * 31)  # what is no SHA-256 never gets as far as a batch


def test_quirk_04_more_than_a_batch_may_hold_is_cut_into_parts() -> None:
    with standing() as setting:
        for number in range(1, 102):
            setting.site.add(sha256=sha(number))
        assert len(setting.ask(*range(1, 102))) == 101
        assert [len(one.items) for one in setting.site.requests if one.route == "by-hash"] == [100, 1]
    with standing() as setting:
        assert len(setting.ask(*range(1, 10_002))) == 10_001
        assert [len(one.items) for one in setting.site.requests] == [10_000, 1]


@pytest.mark.parametrize("turned", [False, True])
def test_quirk_05_one_hash_in_two_versions_takes_the_oldest_published_then_the_lowest_id(
    turned: bool,  # noqa: FBT001
) -> None:
    versions = [(103, "2024-05-01T00:00:00.000Z"), (102, "2024-05-01T00:00:00.000Z"), (101, "2025-01-01")]
    with standing() as setting:
        for version_id, published_at in reversed(versions) if turned else versions:
            setting.site.add(sha256=sha(9), version_id=version_id, published_at=published_at)
        assert setting.card(9).version_id == 102
    with standing() as setting:  # the same where the versions do not show the file
        for version_id, published_at in reversed(versions) if turned else versions:
            setting.site.add(sha256=sha(9), version_id=version_id, published_at=published_at, archived=True)
        assert setting.card(9).version_id == 102


def test_quirk_06_rows_without_a_model_id_still_lead_to_the_model() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), null_entry=True, model_id=5, version_id=50, tags=("a",))
        rows = [{"modelVersionId": 50, "hash": sha(1).upper()}]
        setting.site.fail_next(status=200, body=json.dumps(rows).encode(), route="ids")
        card = setting.card(1)
        assert (card.model_id, card.version_id, card.tags) == (5, 50, ("a",))


def test_quirk_07_a_no_that_an_edge_may_have_kept_for_hours_is_never_got_for_a_sha256() -> None:
    with standing() as setting:
        setting.ask(1)
        setting.site.add(sha256=sha(1))
        assert setting.found(1)
        assert {(one.method, one.route) for one in setting.site.requests} == {
            ("POST", "by-hash"),
            ("GET", "models"),
        }
    # the tensor hash has no POST: its no is not asked for again before the edge has forgotten
    assert schedule.miss_again_s(1, 0.0) >= 90 * 60


def test_quirk_08_hashes_are_always_asked_for_in_capitals() -> None:
    with standing() as setting:
        known = sha(0xABCDEF01)
        list(setting.provider.ask([subject(known)]))
        list(setting.provider.by_tensors().ask([subject(sha(2), tensors=known)]))
        batch, lone = setting.site.requests
        assert batch.items == (known.upper(),)
        assert lone.path.rpartition("/")[2] == known[:12].upper()


def test_quirk_09_missing_model_file_is_not_an_unknown_hash() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), autov3=sha(3)[:12], null_entry=True, version_name="v7")
        assert setting.card(1).version_name == "v7"
        answers = dict(setting.provider.by_tensors().ask([subject(sha(2), tensors=sha(3))]))
        assert isinstance(answers[sha(3)], TryLater)
        setting.site.add(sha256=sha(4), version_id=40, missing_by_id=True)
        with pytest.raises(GiveUp, match="shows no file"):
            setting.provider.by_version().card(40)
        # only the proper words are a no
        assert setting.provider.by_version().card(41) is None


def test_quirk_10_a_version_without_a_rating_is_named_though_its_id_is_404() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), unrated=True, null_entry=True, model_id=5, version_id=50, tags=("a",))
        card = setting.card(1)
        assert setting.site.counts["version"] == 1
        assert (card.model_id, card.version_id, card.tags) == (5, 50, ("a",))
        assert card.confidence is Confidence.EXACT
        assert card.not_downloadable_because == "the site knows the file but does not show its version"


def test_quirk_11_a_match_that_is_not_among_the_files_is_kept_and_flagged() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), version_id=50, hash_not_in_files=True)
        setting.site.add(sha256=sha(2), version_id=50)
        card = setting.card(1)
        assert (card.version_id, card.confidence) == (50, Confidence.EXACT)
        assert [item.sha256 for item in card.downloads] == [sha(2)]
        assert not card.downloadable
        assert "does not list it" in (card.not_downloadable_because or "")
        # the file that is there is not blamed for it
        assert setting.card(2).downloadable


def test_quirk_12_an_archived_version_without_files_and_address_is_still_described() -> None:
    with standing() as setting:
        setting.site.add(sha256=sha(1), archived=True, trained_words=("word",), tags=("a",), model_id=5)
        card = setting.card(1)
        assert card.availability is Availability.ARCHIVED
        assert (card.model_id, card.trained_words, card.tags) == (5, ("word",), ("a",))
        assert card.raw["trainedWords"] == ["word"]
        assert card.downloads == ()
        assert "archived" in (card.not_downloadable_because or "")
        assert {"downloadUrl"}.isdisjoint(card.raw)


def test_quirk_31_models_that_the_list_leaves_out_are_asked_for_one_by_one() -> None:
    with standing() as setting:
        for number in (1, 2, 3):
            setting.site.add(sha256=sha(number), omitted_by_models_ids=number > 1, tags=(f"tag {number}",))
        answers = setting.ask(1, 2, 3)
        for number in (1, 2, 3):
            found = answers[sha(number)]
            assert isinstance(found, Found)
            assert found.card.tags == (f"tag {number}",)
        assert setting.site.counts == {"by-hash": 1, "models": 1, "model": 2}
        # asked so, fewer are left out
        listed = next(one for one in setting.site.requests if one.route == "models")
        assert listed.query["nsfw"] == "true"


def test_quirk_50_the_hash_of_nothing_is_never_asked_for() -> None:
    with standing() as setting:
        empty = subject(SHA256_OF_NOTHING)
        assert isinstance(dict(setting.provider.ask([empty]))[SHA256_OF_NOTHING], GiveUp)
        no_tensors = subject(sha(1), tensors=SHA256_OF_NOTHING)
        assert list(setting.provider.by_tensors().ask([no_tensors])) == []
        assert setting.site.requests == ()
        # and where it is stated of a file, it matches nothing
        setting.site.add(sha256=sha(5), autov3=SHA256_OF_NOTHING[:12])
        assert isinstance(setting.ask(1)[sha(1)], Absent)


def test_a_version_that_states_no_hash_may_be_ours_and_is_not_blamed() -> None:
    with standing() as setting:
        pending = version(files=[file(hashes={})])
        rows = [{"modelVersionId": 50, "modelId": 5, "hash": sha(1).upper()}]
        setting.site.fail_next(status=200, body=json.dumps([pending]).encode(), route="by-hash")
        setting.site.fail_next(status=200, body=json.dumps(rows).encode(), route="ids")
        assert setting.card(1).not_downloadable_because is None
