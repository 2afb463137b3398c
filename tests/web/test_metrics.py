from prometheus_client.parser import text_string_to_metric_families

from hashtagd.web.metrics import Figure, render


def test_a_collector_reads_what_was_written() -> None:
    text = render(
        [
            Figure(
                name="hashtagd_files",
                help="Files by state.",
                kind="gauge",
                samples=[({"state": "published"}, 3), ({"state": 'odd "name"\n\\'}, 0)],
            ),
            Figure(name="hashtagd_hashed_bytes", help="Bytes.", kind="counter", samples=[({}, 2**40)]),
            Figure(name="hashtagd_gate_open", help="Gates.", kind="gauge", samples=[]),
        ]
    ).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    files = {sample.labels["state"]: sample.value for sample in families["hashtagd_files"].samples}
    assert files == {"published": 3.0, 'odd "name"\n\\': 0.0}
    (hashed,) = families["hashtagd_hashed_bytes"].samples
    assert (hashed.name, hashed.value) == ("hashtagd_hashed_bytes_total", 2.0**40)
    assert families["hashtagd_gate_open"].samples == []
