# sandbox: a laptop's OpenAI and mail server (compose.yaml, profile dev)
# Built from the root of the project: docker build -f docker/sandbox.Dockerfile .
# This is python:3.13-slim-trixie; a digest names the bytes, and a tag may move. `just images-pin` prints the digest that the tag has now.
ARG PYTHON_IMAGE=docker.io/library/python@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${PYTHON_IMAGE} AS build
ENV PIP_ROOT_USER_ACTION=ignore UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/app/.venv \
    UV_PYTHON=/usr/local/bin/python3 UV_PYTHON_DOWNLOADS=never
COPY docker/uv.txt /uv.txt
RUN pip install --no-cache-dir --require-hashes --requirement /uv.txt
WORKDIR /source
# The dependencies come first: a change of our own code keeps their layer.
COPY pyproject.toml uv.lock ./
COPY src/b2b_chat_client/pyproject.toml src/b2b_chat_client/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev --no-install-project --extra sandbox
COPY README.md LICENSE ./
COPY migrations migrations
COPY src src
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev --no-editable --extra sandbox && rm /app/.venv/.lock

FROM ${PYTHON_IMAGE}
ARG VERSION=unreleased
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="b2b-chat sandbox" \
      org.opencontainers.image.description="A simulated OpenAI and a mail catcher, for a laptop" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-trixie"
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin b2b-chat
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM
# It runs one of two programs, on ports that compose.yaml names: no single health check fits both.
HEALTHCHECK NONE
CMD ["b2b-chat", "--help"]
