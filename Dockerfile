FROM rust:1.95-bookworm AS builder
WORKDIR /build

# The dependencies first, in a layer that lasts until Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -r src

# The new files may be older than what was just built: cargo looks at the time only.
COPY src src
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked \
    && mkdir /build/data


FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="polychat" \
      org.opencontainers.image.description="One chat server for four existing chat protocols" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"

COPY --from=builder /build/target/release/polychat /usr/local/bin/polychat
# A volume takes over the owner of the directory that it is first mounted on.
COPY --from=builder --chown=nonroot:nonroot /build/data /data

# The address is no loopback address, so the authentication is jwt unless you say otherwise:
# give POLYCHAT_JWT_SECRET, POLYCHAT_JWT_SECRET_FILE or POLYCHAT_JWT_KEYS.
ENV POLYCHAT_LISTEN=0.0.0.0:3000 \
    POLYCHAT_STORE=sqlite:/data/polychat.db

USER nonroot
WORKDIR /data
VOLUME /data
EXPOSE 3000
ENTRYPOINT ["/usr/local/bin/polychat"]
