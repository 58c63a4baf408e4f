// Calls a running service over gRPC-Web and over Connect, as a browser does.
// CATALOG_HTTP_URL and CATALOG_TOKEN say where it is and who calls; scripts/test-sdk.sh sets them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createClient,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import {
  createConnectTransport as createConnectFetch,
  createGrpcWebTransport as createGrpcWebFetch,
} from "@connectrpc/connect-web";

import {
  BadRequestSchema,
  CatalogService,
  ErrorInfoSchema,
  ListEffect,
  MoneySchema,
  ProductSchema,
  ProductStatus,
} from "../src/index.js";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new Error(`${name} is not set: run scripts/test-sdk.sh`);
  }
  return value;
}

type Options = {
  baseUrl: string;
  httpVersion: "1.1";
  interceptors: Interceptor[];
};

// What a client may speak.
const protocols: [string, (options: Options) => Transport][] = [
  ["gRPC-Web", createGrpcWebTransport],
  // Reads are GETs.
  [
    "Connect in JSON",
    (options) => createConnectTransport({ ...options, useHttpGet: true }),
  ],
  [
    "Connect in protobuf",
    (options) => createConnectTransport({ ...options, useBinaryFormat: true }),
  ],
  [
    "Connect by HTTP/2",
    (options) => createConnectTransport({ ...options, httpVersion: "2" }),
  ],
  // What browsers have.
  ["Connect by fetch", createConnectFetch],
  ["gRPC-Web by fetch", createGrpcWebFetch],
];

function client(
  token: string | undefined,
  protocol: (options: Options) => Transport,
) {
  const authorize: Interceptor = (next) => (request) => {
    if (token !== undefined) {
      request.header.set("Authorization", `Bearer ${token}`);
    }
    return next(request);
  };
  const transport = protocol({
    baseUrl: setting("CATALOG_HTTP_URL"),
    httpVersion: "1.1",
    interceptors: [authorize],
  });
  return createClient(CatalogService, transport);
}

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ConnectError);
    return error;
  }
  assert.fail("the call succeeded");
}

for (const [name, protocol] of protocols) {
  const catalog = client(setting("CATALOG_TOKEN"), protocol);

  test(`${name}: a product is created, read, listed, changed and deleted`, async () => {
    const sku = `TS-${randomUUID()}`;
    const warehouse = sku.slice(0, 40);
    const { product: created } = await catalog.createProduct({
      sku,
      name: "Business Laptop",
      category: "electronics",
      attributes: { color: "Silver", ports: 4 },
      price: create(MoneySchema, { amount: "1299.99", currency: "USD" }),
      warehouse,
    });
    assert.ok(created);
    assert.match(created.id, /^prod_/);
    assert.equal(created.sku, sku);
    assert.equal(created.status, ProductStatus.ACTIVE);
    assert.equal(created.version, 1);

    const byId = await catalog.getProduct({
      key: { case: "id", value: created.id },
    });
    assert.deepEqual(byId.product, created);
    const bySku = await catalog.getProduct({
      key: { case: "sku", value: sku },
    });
    assert.deepEqual(bySku.product, created);

    const list = await catalog.listProducts({ warehouse, limit: 10 });
    assert.deepEqual(
      list.products.map((product) => product.id),
      [created.id],
    );
    assert.equal(list.pagination?.page, 1);
    assert.equal(list.pagination?.limit, 10);
    assert.equal(list.pagination?.total, 1);
    assert.equal(list.pagination?.totalPages, 1);

    const { product: changed } = await catalog.updateProduct({
      product: create(ProductSchema, { id: created.id, name: "Gaming Laptop" }),
      updateMask: create(FieldMaskSchema, { paths: ["name"] }),
    });
    assert.equal(changed?.name, "Gaming Laptop");
    assert.equal(changed?.category, "electronics");
    assert.equal(changed?.price?.amount, created.price?.amount);
    assert.equal(changed?.version, 2);

    await catalog.deleteProduct({ id: created.id });
    const gone = await failure(
      catalog.getProduct({ key: { case: "id", value: created.id } }),
    );
    assert.equal(gone.code, Code.NotFound);
  });

  test(`${name}: a bad request names every field at fault`, async () => {
    const error = await failure(
      catalog.createProduct({ sku: "not a SKU", name: "" }),
    );
    assert.equal(error.code, Code.InvalidArgument);
    const [reason] = error.findDetails(ErrorInfoSchema);
    assert.equal(reason?.reason, "INVALID_PARAMETERS");
    const [badRequest] = error.findDetails(BadRequestSchema);
    assert.deepEqual(
      badRequest?.fieldViolations.map((violation) => violation.field).sort(),
      ["name", "sku"],
    );
  });

  test(`${name}: a SKU is taken once`, async () => {
    const sku = `TS-${randomUUID()}`;
    const { product } = await catalog.createProduct({ sku, name: "First" });
    const error = await failure(catalog.createProduct({ sku, name: "Second" }));
    assert.equal(error.code, Code.AlreadyExists);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "CONFLICT");
    await catalog.deleteProduct({ id: product?.id ?? "" });
  });

  test(`${name}: a watch tells what happens, and goes on where it was`, async () => {
    const sku = `TS-${randomUUID()}`;
    const warehouse = sku.slice(0, 40);
    let resumeToken = "";
    let id = "";
    // To leave the loop does not end the call: the signal does.
    const first = new AbortController();
    for await (const message of catalog.watchProducts(
      { warehouse },
      { signal: first.signal },
    )) {
      resumeToken = message.resumeToken;
      if (message.change.case === undefined) {
        const { product } = await catalog.createProduct({
          sku,
          name: "Laptop",
          warehouse,
        });
        id = product?.id ?? "";
        continue;
      }
      assert.equal(message.change.case, "created");
      assert.equal(message.change.value.data?.sku, sku);
      assert.equal(message.effect, ListEffect.ENTERED);
      break;
    }
    first.abort();
    // While nobody watches.
    await catalog.deleteProduct({ id });
    const second = new AbortController();
    for await (const message of catalog.watchProducts(
      { warehouse, resumeToken },
      { signal: second.signal },
    )) {
      if (message.change.case === "deleted") {
        assert.equal(message.change.value.data?.productId, id);
        assert.equal(message.effect, ListEffect.LEFT);
        break;
      }
      assert.equal(message.change.case, undefined);
    }
    second.abort();
  });

  test(`${name}: a caller without a token is told so`, async () => {
    const error = await failure(client(undefined, protocol).listProducts({}));
    assert.equal(error.code, Code.Unauthenticated);
    assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "UNAUTHORIZED");
  });
}
