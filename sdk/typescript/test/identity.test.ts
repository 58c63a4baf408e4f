// Signs in to a running service over gRPC-Web, as a browser does.
// CATALOG_HTTP_URL and CATALOG_ADMIN_TOKEN say where it is and who makes users; scripts/test-sdk.sh sets them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import {
  Code,
  ConnectError,
  createClient,
  type Interceptor,
} from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";

import { IdentityService, UserStatus } from "../src/index.js";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new Error(`${name} is not set: run scripts/test-sdk.sh`);
  }
  return value;
}

function client(token?: string) {
  const authorize: Interceptor = (next) => (request) => {
    if (token !== undefined) {
      request.header.set("Authorization", `Bearer ${token}`);
    }
    return next(request);
  };
  const transport = createGrpcWebTransport({
    baseUrl: setting("CATALOG_HTTP_URL"),
    httpVersion: "1.1",
    interceptors: [authorize],
  });
  return createClient(IdentityService, transport);
}

test("a user signs in, and out", async () => {
  const email = `${randomUUID()}@example.com`;
  const password = "correct horse battery staple";
  const admin = client(setting("CATALOG_ADMIN_TOKEN"));
  const created = await admin.createUser({ email, password, roles: ["viewer"] });
  assert.equal(created.user?.status, UserStatus.ACTIVE);

  const anybody = client();
  const session = await anybody.signIn({ email, password });
  assert.equal(session.tokenType, "Bearer");
  const me = await client(session.accessToken).getMe({});
  assert.equal(me.user?.id, created.user?.id);

  const next = await anybody.refreshToken({
    refreshToken: session.refreshToken,
  });
  await anybody.signOut({ refreshToken: next.refreshToken });
  await assert.rejects(
    anybody.refreshToken({ refreshToken: next.refreshToken }),
    (error) =>
      error instanceof ConnectError && error.code === Code.Unauthenticated,
  );
});
