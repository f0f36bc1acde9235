"""Every operation of our own that says what it does has its definition where the statement says."""

from __future__ import annotations

import time

from pater.fhir.validation import validate
from tests.system.conftest import Clients


def test_the_statement_links_the_definition_of_each_operation(client: Clients) -> None:
    api = client("hospital-a")
    rest = api.get("/metadata").json()["rest"][0]
    listed = [(one["name"], one["definition"]) for one in rest["operation"]]
    for resource in rest["resource"]:
        listed += [(one["name"], one["definition"]) for one in resource.get("operation", ())]
    own = {name: link for name, link in listed if link.startswith(str(api.base_url))}
    assert own.keys() >= {"krp-find", "krp-identify", "nearby", "may", "emergency-access",
                          "access-explain", "isolation-ordered"}  # fmt: skip
    for name, link in own.items():
        at = link[link.index("/OperationDefinition/") :]
        for _ in range(300):  # they are written when a house has begun
            answer = api.get(at)
            if answer.status_code == 200:
                break
            time.sleep(0.1)
        body = answer.json()
        assert (body["code"], body["url"]) == (name, link)
        assert not [each for each in validate(body) if each.severity == "error"], validate(body)
