"""Calls a running service over gRPC.

CATALOG_GRPC_ADDR and CATALOG_TOKEN say where it is and who calls; scripts/test-sdk.sh sets them.
"""

import os
import uuid
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

from catalog.v1 import catalog_service_pb2 as pb
from catalog.v1 import product_pb2
from catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub

SECONDS = 10


@pytest.fixture(name="channel")
def open_channel() -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(os.environ["CATALOG_GRPC_ADDR"]) as channel:
        yield channel


@pytest.fixture(name="catalog")
def open_catalog(channel: grpc.Channel) -> "Catalog":
    return Catalog(channel, os.environ["CATALOG_TOKEN"])


class Catalog:
    """The generated stub, called with a token and a deadline."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._stub = CatalogServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def create(self, request: pb.CreateProductRequest) -> product_pb2.Product:
        return self._stub.CreateProduct(request, SECONDS, self._metadata).product

    def get(self, request: pb.GetProductRequest) -> product_pb2.Product:
        return self._stub.GetProduct(request, SECONDS, self._metadata).product

    def list(self, request: pb.ListProductsRequest) -> pb.ListProductsResponse:
        return self._stub.ListProducts(request, SECONDS, self._metadata)

    def update(self, request: pb.UpdateProductRequest) -> product_pb2.Product:
        return self._stub.UpdateProduct(request, SECONDS, self._metadata).product

    def watch(self, request: pb.WatchProductsRequest) -> Iterator[pb.WatchProductsResponse]:
        return iter(self._stub.WatchProducts(request, SECONDS, self._metadata))

    def delete(self, product_id: str) -> None:
        self._stub.DeleteProduct(pb.DeleteProductRequest(id=product_id), SECONDS, self._metadata)


def details(error: grpc.RpcError) -> tuple[str, set[str]]:
    """The reason and the fields at fault that an error carries."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None, "the error has no google.rpc.Status"
    reason, fields = "", set[str]()
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(bad_request):
            fields = {violation.field for violation in bad_request.field_violations}
    return reason, fields


def unique_sku() -> str:
    return f"PY-{uuid.uuid4()}"


def test_product_is_created_read_listed_changed_and_deleted(catalog: Catalog) -> None:
    sku = unique_sku()
    request = pb.CreateProductRequest(
        sku=sku,
        name="Business Laptop",
        category="electronics",
        price=product_pb2.Money(amount="1299.99", currency="USD"),
        warehouse=sku,
    )
    request.attributes.update({"color": "Silver", "ports": 4})
    created = catalog.create(request)
    assert created.id.startswith("prod_")
    assert created.sku == sku
    assert created.status == product_pb2.PRODUCT_STATUS_ACTIVE
    assert created.version == 1

    assert catalog.get(pb.GetProductRequest(id=created.id)) == created
    assert catalog.get(pb.GetProductRequest(sku=sku)) == created

    page = catalog.list(pb.ListProductsRequest(warehouse=sku, limit=10))
    assert [product.id for product in page.products] == [created.id]
    assert page.pagination == pb.Pagination(page=1, limit=10, total=1, total_pages=1)

    changed = catalog.update(
        pb.UpdateProductRequest(
            product=product_pb2.Product(id=created.id, name="Gaming Laptop"),
            update_mask=FieldMask(paths=["name", "category"]),
        )
    )
    assert changed.name == "Gaming Laptop"
    assert not changed.HasField("category")
    assert changed.price == created.price
    assert changed.version == 2

    catalog.delete(created.id)
    with pytest.raises(grpc.RpcError) as gone:
        catalog.get(pb.GetProductRequest(id=created.id))
    assert gone.value.code() == grpc.StatusCode.NOT_FOUND
    assert details(gone.value)[0] == "NOT_FOUND"


def test_bad_request_names_every_field_at_fault(catalog: Catalog) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        catalog.create(pb.CreateProductRequest(sku="not a SKU"))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details(refused.value) == ("INVALID_PARAMETERS", {"sku", "name"})


def test_sku_is_taken_once(catalog: Catalog) -> None:
    request = pb.CreateProductRequest(sku=unique_sku(), name="First")
    first = catalog.create(request)
    with pytest.raises(grpc.RpcError) as taken:
        catalog.create(request)
    assert taken.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert details(taken.value)[0] == "CONFLICT"
    catalog.delete(first.id)


def test_watch_tells_what_happens_and_goes_on_where_it_was(catalog: Catalog) -> None:
    sku = unique_sku()
    watch = catalog.watch(pb.WatchProductsRequest(warehouse=sku))
    assert next(watch).WhichOneof("change") is None
    created = catalog.create(pb.CreateProductRequest(sku=sku, name="Laptop", warehouse=sku))
    told = next(watch)
    assert told.created.data.product_id == created.id
    assert told.effect == pb.LIST_EFFECT_ENTERED

    # While nobody watches.
    catalog.delete(created.id)
    request = pb.WatchProductsRequest(warehouse=sku, resume_token=told.resume_token)
    changes = (message for message in catalog.watch(request) if message.WhichOneof("change"))
    told = next(changes)
    assert told.deleted.data.product_id == created.id
    assert told.effect == pb.LIST_EFFECT_LEFT


def test_caller_with_a_bad_token_is_told_so(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        Catalog(channel, "nonsense").list(pb.ListProductsRequest())
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert details(refused.value)[0] == "UNAUTHORIZED"


def test_reflection_describes_the_service(channel: grpc.Channel) -> None:
    reflection = ProtoReflectionDescriptorDatabase(channel)
    assert "catalog.v1.CatalogService" in reflection.get_services()
    service = DescriptorPool(reflection).FindServiceByName("catalog.v1.CatalogService")
    known = pb.DESCRIPTOR.services_by_name["CatalogService"]
    assert {method.name for method in service.methods} == {method.name for method in known.methods}
