# Stage 1: a wheel of this folder, and an environment with it and what it needs to run, of the versions that
# pyproject.toml allows (`exclude-newer`).
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install uv
WORKDIR /src
COPY . .
RUN uv build --wheel --out-dir /dist
RUN python -m venv --without-pip /opt/gradstep \
    && uv pip install --python /opt/gradstep/bin/python --compile-bytecode "$(ls /dist/*.whl)[valkey,metrics]"

# Stage 2: that environment alone. Nothing is written at run time, so that `docker run --read-only` works.
FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gradstep
COPY --from=build /opt/gradstep /opt/gradstep
ENV PATH=/opt/gradstep/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --start-interval=1s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
ENTRYPOINT ["gradstep", "--host", "0.0.0.0"]
