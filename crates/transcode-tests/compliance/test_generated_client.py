"""Calls by a client that Google's generator for Python made of the contract, with its REST transport."""

import os
import re

import pytest
from cases import CASES
from engine import compliance_v1
from engine.compliance_v1.services.compliance.transports import ComplianceRestTransport
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.protobuf import json_format

URL = os.environ["COMPLIANCE_URL"]


@pytest.fixture(scope="module")
def client():
    scheme, host = URL.split("://")
    transport = ComplianceRestTransport(host=host, url_scheme=scheme, credentials=AnonymousCredentials())
    return compliance_v1.ComplianceClient(transport=transport)


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize(("rpc", "request_json", "verb", "path"), CASES)
def test_a_call_is_answered_with_what_it_was(client, rpc, request_json, verb, path):
    kind = {"UpdateSample": "UpdateSampleRequest", "DeleteSample": "DeleteSampleRequest"}.get(rpc, "EchoRequest")
    kind = getattr(compliance_v1, kind)
    request = json_format.ParseDict(request_json, kind.pb(kind()))
    answer = getattr(client, snake(rpc))(request=kind.wrap(request))
    if rpc == "DeleteSample":
        assert answer is None
        return
    answer = type(answer).pb(answer)
    assert answer.rpc == rpc
    assert str(answer.request) == str(request)


def test_an_error_is_the_exception_it_should_be(client):
    with pytest.raises(exceptions.NotFound):
        client.delete_sample(request={"name": "samples/missing"})
    with pytest.raises(exceptions.BadRequest):
        client.update_sample(request={"sample": {"text": "samples/1"}, "update_mask": {"paths": ["nope"]}})
