"""Signs in to a running service over gRPC.

CATALOG_GRPC_ADDR and CATALOG_ADMIN_TOKEN say where it is and who makes users; scripts/test-sdk.sh sets them.
"""

import os
import uuid

import grpc
import pytest

from identity.v1 import identity_service_pb2 as pb
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub

SECONDS = 10
PASSWORD = "correct horse battery staple"


def bearer(token: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


def test_a_user_signs_in_and_out() -> None:
    with grpc.insecure_channel(os.environ["CATALOG_GRPC_ADDR"]) as channel:
        stub = IdentityServiceStub(channel)
        email = f"{uuid.uuid4()}@example.com"
        new = pb.CreateUserRequest(email=email, password=PASSWORD, roles=["viewer"])
        user = stub.CreateUser(new, SECONDS, bearer(os.environ["CATALOG_ADMIN_TOKEN"])).user

        session = stub.SignIn(pb.SignInRequest(email=email, password=PASSWORD), SECONDS)
        me = stub.GetMe(pb.GetMeRequest(), SECONDS, bearer(session.access_token)).user
        assert (me.id, me.email) == (user.id, email)

        old = pb.RefreshTokenRequest(refresh_token=session.refresh_token)
        token = stub.RefreshToken(old, SECONDS).refresh_token
        stub.SignOut(pb.SignOutRequest(refresh_token=token), SECONDS)
        with pytest.raises(grpc.RpcError) as refused:
            stub.RefreshToken(pb.RefreshTokenRequest(refresh_token=token), SECONDS)
        assert isinstance(refused.value, grpc.Call)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
