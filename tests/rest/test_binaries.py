"""A Binary is read and written as its content, unless FHIR is asked for by name."""

from __future__ import annotations

from tests.rest.world import INSURER, World


async def test_content_is_stored_and_comes_back_as_it_is(api: World) -> None:
    body = bytes(range(256))
    kind = "application/pdf"
    made = await api.call("POST", "/Binary", body, content_type=kind)
    assert made.status_code == 201, made.text
    assert made.json()["contentType"] == kind
    place = f"/Binary/{made.json()['id']}"
    for accept in (kind, "application/*;q=0.5, text/html", "*/*"):
        answer = await api.call("GET", place, accept=accept)
        assert answer.status_code == 200
        assert answer.content == body
        assert answer.headers["content-type"] == kind
        assert answer.headers["etag"] == 'W/"1"'
        assert answer.headers["content-disposition"] == "attachment"
    version = await api.call("GET", f"{place}/_history/1", accept=kind)
    assert version.content == body
    for accept in ("application/fhir+json", "application/json"):
        answer = await api.call("GET", place, accept=accept)
        assert answer.json()["resourceType"] == "Binary"
    answer = await api.call("GET", f"{place}?_format=json")
    assert answer.json()["resourceType"] == "Binary"
    answer = await api.call("GET", place, accept="image/png")
    assert answer.status_code == 406
    answer = await api.call("GET", place, accept=kind, if_none_match='W/"1"')
    assert answer.status_code == 304


async def test_content_is_replaced_and_says_whose_it_is(api: World) -> None:
    patient = (await api.call("POST", "/Patient", {"resourceType": "Patient"})).json()
    context = f"Patient/{patient['id']}"
    answer = await api.call(
        "PUT",
        "/Binary/scan",
        b"one",
        content_type="text/plain",
        x_security_context=context,
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["securityContext"] == {"reference": context}
    read = await api.call("GET", "/Binary/scan", accept="text/plain")
    assert (read.text, read.headers["x-security-context"]) == ("one", context)
    # the content is guarded as the resource is
    refused = await api.call("GET", "/Binary/scan", caller=INSURER, accept="text/plain")
    assert refused.status_code == 403
    assert b"one" not in refused.content
    gone = await api.call("GET", "/Binary/nowhere", accept="text/plain")
    assert gone.status_code == 404
    wrong = await api.call("POST", "/Patient", b"one", content_type="text/plain")
    assert wrong.status_code == 415
