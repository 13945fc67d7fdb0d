"""Decoding and encoding are part of what the statistics say of a request over HTTP."""

from tests.unit.ingress.rest_bodies import BODY, INFER


async def test_decoding_is_input_and_encoding_is_output(http):
    assert (await http.post(INFER, json=BODY)).status_code == 200
    (about,) = (await http.get("/v2/models/m/versions/2/stats")).json()["model_stats"]
    stats = about["inference_stats"]
    for part in ("compute_input", "compute_infer", "compute_output"):
        assert stats[part]["count"] == 1
        assert stats[part]["ns"] > 0
    parts = sum(stats[part]["ns"] for part in ("queue", "compute_input", "compute_infer"))
    assert stats["success"]["ns"] >= parts + stats["compute_output"]["ns"]
    # Of a batch it is what was spent on all of it: there was nothing to put together.
    assert about["batch_stats"][0]["compute_output"] == {"count": 1, "ns": 0}
