# The gateway as an image. It runs as a non-root user, writes nowhere, and needs no capability:
#   docker build -t anyrouter:local .
#   docker run --rm --read-only --cap-drop ALL -p 127.0.0.1:8080:8080 -e ANTHROPIC_API_KEY -e ANYROUTER_KEY anyrouter:local
# With a configuration of your own: -v "$PWD/config.yaml:/etc/anyrouter/anthropic.yaml:ro", readable by user 10001 and
# with the port left at 8080, where the health check asks.
# A tag moves; to build what was built before, name the base by its digest, which `docker inspect` shows of a base that
# was pulled, as RepoDigests:
#   docker build --build-arg BASE=python:3.13-slim@sha256:… -t anyrouter:local .
# No digest is written here: none was verified when this was written, and one that nobody renews keeps old faults in.
# BuildKit is not needed: no syntax line, no mounts.

ARG BASE=python:3.13-slim
FROM ${BASE} AS build
WORKDIR /build
# The tools have their own environment, and install into that of the image, which holds no pip.
RUN python -m venv tools && python -m venv --without-pip /opt/anyrouter
COPY requirements/build.txt requirements/image.txt requirements/
RUN tools/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/build.txt \
 && tools/bin/pip --python /opt/anyrouter/bin/python install --no-cache-dir --no-deps --require-hashes -r requirements/image.txt
COPY pyproject.toml README.md LICENSE config.yaml ./
COPY schemas schemas
COPY proxy proxy
# Installed below /app, so that a change of the code leaves the layer of the dependencies as it was.
RUN tools/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
 && tools/bin/pip --python /opt/anyrouter/bin/python install --root /app --no-deps --no-index dist/*.whl
COPY deploy/healthcheck.py /app/opt/anyrouter/healthcheck.py
COPY config.yaml deploy/sandbox.yaml deploy/anthropic.yaml /app/etc/anyrouter/
# A checkout made under a strict umask must not make files that the image's user cannot read.
RUN chmod -R a+rX /app

FROM ${BASE}
LABEL org.opencontainers.image.title="anyrouter" \
      org.opencontainers.image.description="An Anthropic Messages gateway" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/anyrouter /opt/anyrouter
COPY --from=build /app /
ENV PATH=/opt/anyrouter/bin:$PATH
# The base image ships its standard library uncompiled, and at run time nothing can be written: compile what is
# imported now, for a start and health checks that cost little.
RUN anyrouter --help >/dev/null
ENV PYTHONDONTWRITEBYTECODE=1
# For `store.state_dir`: a volume that is mounted here is made with this owner.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/anyrouter
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-IS", "/opt/anyrouter/healthcheck.py"]
ENTRYPOINT ["anyrouter"]
CMD ["serve", "--config", "/etc/anyrouter/anthropic.yaml"]
