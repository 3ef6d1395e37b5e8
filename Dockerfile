FROM rust:1.95-bookworm AS builder
WORKDIR /build

# The dependencies first, in a layer that lasts until Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --profile dist --locked \
    && rm -r src

# The new files may be older than the build above, and cargo compares times only: hence `touch`.
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --profile dist --locked \
    && mkdir data lib \
    # The one library that the runtime image below lacks.
    && cp "$(ldd target/dist/polychat | awk '/libgcc_s/ { print $3 }')" lib/


# The C library, certificates and an unprivileged user; no shell.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
LABEL org.opencontainers.image.title="polychat" \
      org.opencontainers.image.description="One chat server for four existing chat protocols" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

COPY --from=builder /build/lib/ /usr/lib/
COPY --from=builder /build/target/dist/polychat /usr/local/bin/polychat
# A volume takes over the owner of the directory that it is first mounted on.
COPY --from=builder --chown=nonroot:nonroot /build/data /data

# The address is not a loopback address, so the default of --auth is jwt:
# set POLYCHAT_JWT_SECRET, POLYCHAT_JWT_SECRET_FILE or POLYCHAT_JWT_KEYS.
ENV POLYCHAT_LISTEN=0.0.0.0:3000 \
    POLYCHAT_STORE=sqlite:/data/polychat.db

USER nonroot
WORKDIR /data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/polychat", "health"]
ENTRYPOINT ["/usr/local/bin/polychat"]
