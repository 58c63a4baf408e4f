// Everything a client imports: the messages and the services of catalog.v1 and identity.v1.
export * from "./gen/catalog/v1/catalog_service_pb.js";
export * from "./gen/catalog/v1/error_reason_pb.js";
export * from "./gen/catalog/v1/events_pb.js";
export * from "./gen/catalog/v1/product_pb.js";
export * from "./gen/identity/v1/identity_service_pb.js";
export * from "./gen/identity/v1/user_pb.js";
// What `ConnectError.findDetails` finds in the service's errors.
export * from "./gen/google/rpc/error_details_pb.js";
