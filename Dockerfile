FROM rust:1.94-bookworm AS builder

WORKDIR /src
COPY . .
# The queries are checked against .sqlx/, and the embedded PostgreSQL stays out.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --no-default-features --bins \
    && install -D --target-directory=/out/bin target/release/catalog-service target/release/migrate \
    && mkdir /out/data

# Has glibc, the certificates of the authorities and the time zones, and nothing to run but what is copied here.
FROM gcr.io/distroless/cc-debian12:nonroot

WORKDIR /app
COPY --from=builder /out/bin ./bin
COPY configs ./configs
COPY migrations ./migrations
# Where the development keys go when no key is configured.
COPY --from=builder --chown=nonroot:nonroot /out/data /var/lib/catalog
ENV TZ=Asia/Ho_Chi_Minh \
    CATALOG_DATA_DIR=/var/lib/catalog \
    MIGRATION_PATH=/app/migrations

WORKDIR /app/bin
# nonroot, as a number: Kubernetes can then check that it is not root.
USER 65532
# REST and gRPC-Web, gRPC, the metrics where PROMETHEUS_PORT says so.
EXPOSE 8001 9001 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["./catalog-service", "healthcheck", "-conf", "../configs"]
CMD ["./catalog-service", "-conf", "../configs"]
