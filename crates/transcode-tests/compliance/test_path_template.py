"""Requests that google-api-core builds from the rules of the contract, sent to the engine."""

import json
import os
from urllib.parse import unquote

import pytest
import requests
from cases import CASES
from compliance.v1 import compliance_pb2
from google.api import annotations_pb2
from google.api_core import path_template, rest_helpers
from google.protobuf import json_format

URL = os.environ["COMPLIANCE_URL"]
SERVICE = compliance_pb2.DESCRIPTOR.services_by_name["Compliance"]


def options(rule):
    """The rule and its additional bindings, as google-api-core has them."""
    for one in [rule, *rule.additional_bindings]:
        method = one.WhichOneof("pattern")
        option = {"method": method, "uri": getattr(one, method)}
        if one.body:
            option["body"] = one.body
        yield option


def send(method, request, numbers):
    """Sends a request, with the numbers of enums or with their names."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    built = path_template.transcode(list(options(rule)), message=request)

    def text(message):
        return json_format.MessageToJson(message, use_integers_for_enums=numbers)

    query = json.loads(text(built["query_params"]))
    body = text(built["body"]) if "body" in built else None
    response = requests.request(
        built["method"],
        URL + built["uri"],
        params=rest_helpers.flatten_query_params(query, strict=True),
        data=body,
        headers={"Content-Type": "application/json"} if body is not None else {},
        timeout=10,
    )
    return built, response


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize(("rpc", "request_json", "verb", "path"), CASES)
def test_a_request_arrives_as_it_was(rpc, request_json, verb, path, numbers):
    method = SERVICE.methods_by_name[rpc]
    request = json_format.ParseDict(request_json, getattr(compliance_pb2, method.input_type.name)())
    built, response = send(method, request, numbers)
    assert (built["method"].upper(), unquote(built["uri"])) == (verb, path)
    assert response.status_code == 200, response.text
    if rpc == "DeleteSample":
        assert response.json() == {}
        return
    answer = json_format.Parse(response.text, getattr(compliance_pb2, method.output_type.name)())
    assert answer.rpc == rpc
    # By text: NaN is not equal to itself.
    assert str(answer.request) == str(request)


def test_every_rpc_has_a_case():
    assert {case[0] for case in CASES} == set(SERVICE.methods_by_name)


def test_an_error_has_its_status():
    method = SERVICE.methods_by_name["DeleteSample"]
    _, response = send(method, compliance_pb2.DeleteSampleRequest(name="samples/missing"), False)
    assert (response.status_code, response.json()["message"]) == (404, "No such sample")
