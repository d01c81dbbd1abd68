# The image of every service of the reference system: `sagas run <service>`.
FROM python:3.11-slim AS build
WORKDIR /app
COPY requirements.lock pyproject.toml LICENSE README*.md ./
# uv comes from the lock, by hash, and installs the pins of the lock, by hash.
RUN python -m venv /venv \
    && sed -n '/^uv==/,/[^\\]$/p' requirements.lock > /tmp/uv.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r /tmp/uv.lock \
    && uv pip install --no-cache --python /venv/bin/python --constraints requirements.lock \
        --requirements pyproject.toml --extra sql --extra web --extra faust --extra uvloop
        --requirements pyproject.toml --extra sql --extra web --extra uvloop \
        --extra metrics --extra tracing
COPY sagas ./sagas
RUN uv pip install --no-cache --python /venv/bin/python --no-deps \
        --build-constraints requirements.lock .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 sagas \
    && install --directory --owner sagas /var/lib/monitor
WORKDIR /app
COPY --from=build /venv /venv
COPY pyproject.toml ./
COPY events ./events
COPY services ./services
# The services are not part of the wheel; they run from here.
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER sagas
ENTRYPOINT ["sagas"]
CMD ["--help"]
