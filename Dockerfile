# Akosha as a server. Two stages: the second holds the program, libc and certificates, no shell.
#
#   docker build --tag akosha .
#   docker run --rm --volume akosha:/data --env AKOSHA_SYSTEM_ID=akosha-server akosha \
#     token create --name laptop --scope write
#   docker run --volume akosha:/data --env AKOSHA_SYSTEM_ID=akosha-server \
#     --publish 127.0.0.1:8682:8682 akosha
#
# The system id is named because the host name of a container is another one each time.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# SQLite and zstd are compiled with the C compiler of the image; nothing else is needed.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --package akosha \
    && cp target/release/akosha /akosha \
    && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="akosha" \
      org.opencontainers.image.description="Memory for AI coding assistants that outlives the session and the machine" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /akosha /usr/local/bin/akosha
# A volume takes over the owner of the folder that it covers.
COPY --from=build --chown=65532:65532 /data /data
ENV AKOSHA_HOME=/data
VOLUME ["/data"]
EXPOSE 8682
USER 65532:65532
# SIGTERM drains: give it longer than `shutdown_grace_seconds` before it is killed.
STOPSIGNAL SIGTERM
# There is nothing here to ask over HTTP with: whoever runs the container probes /health and /ready.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/akosha"]
CMD ["serve", "--listen", "0.0.0.0:8682"]
