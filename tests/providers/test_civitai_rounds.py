"""Rounds of questions against the stand-in: who is asked what, how often, and what is concluded."""

import itertools
from collections.abc import Iterator

import pytest

from hashtagd.core.card import Availability, Confidence
from hashtagd.core.digests import SHA256_OF_NOTHING
from hashtagd.core.troubles import GiveUp, Scope, TryLater
from hashtagd.core.work import Absent, Found
from hashtagd.providers.civitai.rounds import is_sieve_worthwhile
from hashtagd.standin import Fault
from support.civitai_asking import Answers, Setting, standing
from support.surroundings import sha, subject


@pytest.fixture
def setting() -> Iterator[Setting]:
    with standing() as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_ten_thousand_known_files_cost_two_hundred_and_one_requests(setting: Setting) -> None:
    for number in range(1, 10_001):
        setting.site.add(sha256=sha(number), name=f"Model {number}")
    answers = setting.ask(*range(1, 10_001))
    assert len(answers) == 10_000
    assert all(isinstance(answer, Found) for answer in answers.values())
    assert setting.site.counts == {"ids": 1, "by-hash": 100, "models": 100}


def test_up_to_a_hundred_go_straight_to_the_batch_route(setting: Setting) -> None:
    for number in range(1, 101):
        setting.site.add(sha256=sha(number))
    assert len(setting.ask(*range(1, 101))) == 100
    assert setting.site.counts == {"by-hash": 1, "models": 1}


def test_versions_of_one_model_cost_one_look_at_the_model(setting: Setting) -> None:
    for number in range(1, 301):
        setting.site.add(sha256=sha(number), model_id=7)
    setting.ask(*range(1, 301))
    assert setting.site.counts == {"by-hash": 3, "models": 1}


def test_a_sieve_goes_first_only_where_it_saves_requests() -> None:
    worthwhile = {
        (hashes, share): is_sieve_worthwhile(hashes, share)
        for hashes, share in [(100, 0.8), (400, 0.8), (500, 0.8), (10_000, 0.8), (10_000, 1.0), (200, 0.0)]
    }
    assert worthwhile == {
        (100, 0.8): False,
        (400, 0.8): False,
        (500, 0.8): True,
        (10_000, 0.8): True,
        (10_000, 1.0): False,
        (200, 0.0): True,
    }


def test_a_library_that_is_known_almost_whole_costs_two_requests_a_hundred(setting: Setting) -> None:
    for number in range(1, 1_201):
        setting.site.add(sha256=sha(number))
    setting.ask(*range(1, 201))
    setting.ask(*range(201, 1_201))
    assert setting.site.counts == {"by-hash": 12, "models": 12}


def test_unknown_hashes_of_a_large_round_are_absent_after_one_request(setting: Setting) -> None:
    answers = setting.ask(*range(1, 1_001))
    assert all(isinstance(answer, Absent) for answer in answers.values())
    assert setting.site.counts == {"ids": 1}


def test_copies_are_asked_for_once(setting: Setting) -> None:
    setting.site.add(sha256=sha(1))
    assert list(setting.ask(1, 1, 1)) == [sha(1)]
    assert setting.site.requests[0].items == (sha(1).upper(),)


def test_a_model_that_the_list_omits_is_asked_for_alone(setting: Setting) -> None:
    """Quirk 31."""
    setting.site.add(sha256=sha(1), omitted_by_models_ids=True, tags=("one", "two"))
    setting.site.add(sha256=sha(2))
    card = setting.ask(1, 2)[sha(1)]
    assert isinstance(card, Found)
    assert card.card.tags == ("one", "two")
    assert setting.site.counts == {"by-hash": 1, "models": 1, "model": 1}


def test_nulls_repeats_and_another_order_do_not_matter(setting: Setting) -> None:
    """Quirk 2."""
    setting.site.add(sha256=sha(1), model_id=5, version_id=50)
    setting.site.add(sha256=sha(2), model_id=5, version_id=50, file_type="Pruned Model")
    setting.site.add(sha256=sha(3), null_entry=True)
    answers = setting.ask(1, 2, 3, 4)
    assert [type(answers[sha(number)]) for number in (1, 2, 3, 4)] == [Found, Found, Found, Absent]


def test_addresses_on_a_host_called_undefined_are_rebuilt(setting: Setting) -> None:
    """Quirk 1."""
    setting.site.add(sha256=sha(1), version_id=50, file_id=60)
    card = setting.found(1).card
    assert card.downloads[0].urls[0].url == f"{setting.site.url}/api/download/models/50?fileId=60"
    assert "undefined" not in str(card.to_json())


def test_one_refused_hash_costs_only_itself(setting: Setting) -> None:
    """Quirk 3: a batch that the site refuses is halved until the culprit stands alone."""
    for number in range(1, 9):
        setting.site.add(sha256=sha(number))
    setting.site.routes.disliked = sha(3).upper()
    answers = setting.ask(*range(1, 9))
    refused = answers.pop(sha(3))
    assert isinstance(refused, GiveUp)
    assert (refused.scope, refused.kind) == (Scope.PROVIDER, "hash_refused")
    assert len(answers) == 7
    assert all(isinstance(answer, Found) for answer in answers.values())
    assert setting.site.counts["by-hash"] == 7


def test_a_site_that_refuses_every_question_is_not_asked_ten_thousand_times(setting: Setting) -> None:
    setting.site.fail_next(None, status=400, body=b'{"error":"invalid"}')
    with pytest.raises(TryLater) as caught:
        setting.ask(*range(1, 1001))
    assert caught.value.kind == "unknown_shape"
    assert len(setting.site.requests) < 40


def test_a_hundred_and_one_are_asked_for_in_portions(setting: Setting) -> None:
    """Quirk 4."""
    for number in range(1, 102):
        setting.site.add(sha256=sha(number))
    assert len(setting.ask(*range(1, 102))) == 101
    assert all(len(request.items) <= 100 for request in setting.site.requests if request.route == "by-hash")


def test_more_than_the_ids_route_takes_is_cut(setting: Setting) -> None:
    """Quirk 4."""
    answers = setting.ask(*range(1, 10_003))
    assert len(answers) == 10_002
    assert [len(request.items) for request in setting.site.requests] == [10_000, 2]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_versions_the_oldest_published_wins(setting: Setting, order: tuple[int, int]) -> None:
    """Quirk 5. F63."""
    dates = {1: "2025-01-01T00:00:00.000Z", 2: "2024-01-01T00:00:00.000Z"}
    for which in order:
        setting.site.add(sha256=sha(9), version_id=100 + which, published_at=dates[which])
    assert setting.found(9).card.version_id == 102


def test_of_two_versions_of_one_moment_the_lowest_id_wins(setting: Setting) -> None:
    """Quirk 5."""
    setting.site.add(sha256=sha(9), version_id=102)
    setting.site.add(sha256=sha(9), version_id=101)
    assert setting.found(9).card.version_id == 101


def test_questions_use_upper_case_and_are_posted(setting: Setting) -> None:
    """Quirks 7 and 8: a POST is never cached, and case never splits the cache."""
    setting.site.add(sha256=sha(0xABCDEF01))
    setting.ask(0xABCDEF01)
    assert setting.site.requests[0].method == "POST"
    assert setting.site.requests[0].items == (sha(0xABCDEF01).upper(),)


def test_a_version_without_a_usable_file_is_not_unknown(setting: Setting) -> None:
    """Quirk 9: the batch says null for it."""
    setting.site.add(sha256=sha(1), null_entry=True, version_name="v7")
    assert setting.found(1).card.version_name == "v7"
    assert setting.site.counts == {"by-hash": 1, "ids": 1, "version": 1, "models": 1}


def test_a_version_that_is_hidden_by_its_rating_is_still_named(setting: Setting) -> None:
    """Quirk 10: by hash it is there, by its id it is 404."""
    setting.site.add(sha256=sha(1), unrated=True, null_entry=True, model_id=5, version_id=50, tags=("a",))
    card = setting.found(1).card
    assert (card.model_id, card.version_id, card.tags) == (5, 50, ("a",))
    assert card.availability is Availability.UNKNOWN
    assert card.not_downloadable_because is not None


def test_a_hash_that_is_not_among_the_files_keeps_its_match(setting: Setting) -> None:
    """Quirk 11."""
    setting.site.add(sha256=sha(1), hash_not_in_files=True, version_id=50)
    card = setting.found(1).card
    assert card.version_id == 50
    assert card.confidence is Confidence.EXACT
    assert card.downloads == ()


def test_an_archived_model_is_named_though_it_shows_no_files(setting: Setting) -> None:
    """Quirk 12."""
    setting.site.add(sha256=sha(1), archived=True, trained_words=("word",), tags=("a",))
    card = setting.found(1).card
    assert card.availability is Availability.ARCHIVED
    assert card.trained_words == ("word",)
    assert card.tags == ("a",)
    assert "archived" in (card.not_downloadable_because or "")


def test_an_archived_model_in_a_large_round_needs_no_second_ids(setting: Setting) -> None:
    """Quirk 12."""
    for number in range(1, 121):
        setting.site.add(sha256=sha(number), archived=number == 5)
    answers = setting.ask(*range(1, 121))
    assert all(isinstance(answer, Found) for answer in answers.values())
    assert setting.site.counts == {"ids": 1, "by-hash": 2, "models": 2, "model": 1}


def test_an_answer_about_another_file_is_no_match(setting: Setting) -> None:
    """F62: the whole SHA-256 decides."""
    other = setting.site.library
    setting.site.add(sha256=sha(2), version_id=50)
    # a mix-up: the batch answers for 1 with the file of 2
    other.by_hash[sha(1).upper()] = list(other.by_hash[sha(2).upper()])
    answers = setting.ask(1)
    assert isinstance(answers[sha(1)], Absent)


def test_the_hash_of_nothing_is_never_asked_for(setting: Setting) -> None:
    """Quirk 50."""
    answers = dict(setting.provider.ask([subject(SHA256_OF_NOTHING)]))
    assert isinstance(answers[SHA256_OF_NOTHING], GiveUp)
    assert setting.site.requests == ()


def test_a_model_removed_later_is_absent(setting: Setting) -> None:
    """F63."""
    setting.site.add(sha256=sha(1))
    assert isinstance(setting.ask(1)[sha(1)], Found)
    setting.site.library.remove(sha(1))
    assert isinstance(setting.ask(1)[sha(1)], Absent)


def test_an_outage_midway_loses_one_hundred_at_most(setting: Setting) -> None:
    for number in range(1, 401):
        setting.site.add(sha256=sha(number))
    answers: Answers = {}
    stream = setting.provider.ask([subject(sha(number)) for number in range(1, 401)])
    for text, answer in itertools.islice(stream, 200):
        answers[text] = answer
    setting.site.fail_next(None, status=503)
    with pytest.raises(TryLater):
        answers.update(stream)
    assert len(answers) == 200
    assert all(isinstance(answer, Found) for answer in answers.values())


def test_an_outage_is_never_absent(setting: Setting) -> None:
    """Quirk 33."""
    for status, html in ((503, True), (200, True), (404, True), (403, True), (524, True)):
        with standing() as fresh:
            fresh.site.fail_next(None, status=status, html=html)
            with pytest.raises(TryLater):
                fresh.ask(1)
    assert setting.world.gates.closings == []


def test_a_cut_answer_is_repeated(setting: Setting) -> None:
    """F40."""
    setting.site.add(sha256=sha(1))
    setting.site.spoil_next(1, fault=Fault(cut=True))
    assert setting.found(1)
    setting.site.spoil_next(1, fault=Fault(hang_up=True))
    assert setting.found(1)


def test_one_model_that_makes_the_site_fail_costs_only_itself(setting: Setting) -> None:
    setting.site.add(sha256=sha(1), omitted_by_models_ids=True)
    setting.site.add(sha256=sha(2))
    setting.site.fail_next(3, status=500, body=b'{"message":"An unexpected error occurred"}', route="model")
    answers = setting.ask(1, 2)
    assert isinstance(answers[sha(1)], TryLater)
    assert isinstance(answers[sha(2)], Found)
    assert setting.world.gates.closings == []


def test_a_list_of_models_without_its_list_names_the_field(setting: Setting) -> None:
    """F55."""
    setting.site.add(sha256=sha(1))
    setting.site.fail_next(1, status=200, body=b'{"metadata":{}}', route="models")
    with pytest.raises(TryLater, match="`items`") as caught:
        setting.ask(1)
    assert caught.value.kind == "unknown_shape"


def test_pages_that_repeat_their_cursor_end(setting: Setting) -> None:
    """F63."""
    setting.site.add(sha256=sha(1))
    page = b'{"items":[],"metadata":{"nextCursor":"again"}}'
    setting.site.fail_next(None, status=200, body=page, route="models")
    assert setting.found(1)
    assert setting.site.counts["models"] == 2


def test_too_many_pages_is_answered_by_asking_for_each_model() -> None:
    """Quirk 37."""
    with standing() as setting:
        setting.site.add(sha256=sha(1), tags=("a",))
        body = b'{"error":"You\'ve requested too many pages, please use cursors instead"}'
        setting.site.fail_next(1, status=429, body=body, route="models")
        assert setting.found(1).card.tags == ("a",)
        assert setting.world.gates.closings == []


def test_a_listing_without_a_model_is_found_without_its_facts(setting: Setting) -> None:
    setting.site.add(sha256=sha(1), model_id=5)
    setting.site.fail_next(1, status=200, body=b'{"items":[]}', route="models")
    setting.site.fail_next(1, status=404, body=b'{"error":"No model with id 5"}', route="model")
    card = setting.found(1).card
    assert card.model_name == "A model"
    assert card.tags == ()
    assert card.creator is None


@pytest.mark.parametrize(
    "rows",
    [
        b'[{"modelVersionId":50,"hash":"%s"}]',
        b'[{"modelVersionId":"50","modelId":null,"hash":"%s"},null,7,{"hash":3}]',
    ],
)
def test_rows_without_a_model_id_are_enough(setting: Setting, rows: bytes) -> None:
    """Quirk 6."""
    setting.site.add(sha256=sha(1), null_entry=True, model_id=5, version_id=50, tags=("a",))
    setting.site.fail_next(1, status=200, body=rows % sha(1).upper().encode(), route="ids")
    card = setting.found(1).card
    assert (card.model_id, card.version_id, card.tags) == (5, 50, ("a",))


def test_entries_that_are_no_versions_do_not_hurt(setting: Setting) -> None:
    """F55."""
    setting.site.fail_next(
        1, status=200, body=b'[1,"x",[],{},{"files":7},{"id":1,"files":[1]}]', route="by-hash"
    )
    assert isinstance(setting.ask(1)[sha(1)], Absent)


def test_a_version_without_a_number_is_a_trouble_of_that_hash_alone(setting: Setting) -> None:
    """F55."""
    setting.site.add(sha256=sha(2))
    body = b'[{"name":"x","files":[{"hashes":{"SHA256":"%s"}}]}]' % sha(1).encode()
    setting.site.fail_next(1, status=200, body=body, route="by-hash")
    answer = setting.ask(1)[sha(1)]
    assert isinstance(answer, TryLater)
    assert "`id`" in answer.what


def test_the_tensor_hash_finds_a_file_with_an_edited_header(setting: Setting) -> None:
    """Quirk 19."""
    setting.site.add(sha256=sha(1), autov3=sha(3)[:12], tags=("a",))
    again = setting.provider.by_tensors()
    answers = dict(again.ask([subject(sha(2), tensors=sha(3))]))
    found = answers[sha(3)]
    assert isinstance(found, Found)
    assert found.card.confidence is Confidence.TENSORS
    assert found.card.by == "tensors"
    assert found.card.tags == ("a",)
    assert setting.site.requests[0].path.endswith(sha(3)[:12].upper())


def test_a_tensor_hash_that_fits_only_by_its_short_form_is_no_match(setting: Setting) -> None:
    """F62."""
    longer = sha(3)[:12] + "f" * 52
    listing = setting.site.add(sha256=sha(1), autov3=longer)
    setting.site.library.by_short[sha(3)[:12].upper()].append(listing)
    answers = dict(setting.provider.by_tensors().ask([subject(sha(2), tensors=sha(3))]))
    assert isinstance(answers[sha(3)], Absent)


def test_an_unknown_tensor_hash_is_absent_and_the_hash_of_nothing_is_not_asked(setting: Setting) -> None:
    """Quirk 50."""
    asked = [subject(sha(1), tensors=sha(3)), subject(sha(2), tensors=SHA256_OF_NOTHING)]
    answers = dict(setting.provider.by_tensors().ask(asked))
    assert answers == {sha(3): Absent()}
    assert setting.site.counts == {"by-hash-one": 1}


def test_a_tensor_hash_whose_file_is_hidden_is_no_no(setting: Setting) -> None:
    """Quirk 9."""
    setting.site.add(sha256=sha(1), autov3=sha(3)[:12], null_entry=True)
    answers = dict(setting.provider.by_tensors().ask([subject(sha(2), tensors=sha(3))]))
    assert isinstance(answers[sha(3)], TryLater)
