# Hyperliquid Nova in a container, without privileges and without a compiler.
#
#   docker build -t nova .
#   docker run --rm -it nova                              the demo
#   docker run --rm -it nova backtest
#   docker run --rm -it -v nova-sessions:/app/logs nova paper
#
# Keys come from the environment or from a file mounted at run time; never from the image.

ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1 \
    VIRTUAL_ENV=/venv
RUN python -m venv /tools && python -m venv --without-pip /venv
WORKDIR /source
COPY requirements-build.txt requirements.txt ./
RUN /tools/bin/pip install --require-hashes -r requirements-build.txt \
    && /tools/bin/uv pip install --require-hashes -r requirements-build.txt -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
RUN /tools/bin/uv pip install --no-deps --no-build-isolation . \
    && /tools/bin/uv pip uninstall uv setuptools

FROM ${BASE} AS run
LABEL org.opencontainers.image.title="Hyperliquid Nova" \
      org.opencontainers.image.licenses="MIT"
# Kernels are compiled for any processor of the architecture, so that the cache fits wherever the
# image runs; NUMBA_CACHE_DIR makes it part of the image.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=generic \
    NUMBA_CACHE_DIR=/app/kernels \
    MPLCONFIGDIR=/tmp/matplotlib
RUN useradd --system --uid 10001 --user-group --home-dir /app --no-create-home nova \
    && install -d -o nova -g nova /app /app/logs /app/kernels
COPY --from=build /venv /venv
COPY --chown=nova:nova configs /app/configs
WORKDIR /app
USER 10001:10001
RUN python -m core.runtime.warm_up
VOLUME /app/logs
# A session answers on its control socket; one that does not is not trading.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["nova", "status", "--state-dir", "/app/logs", "--json"]
STOPSIGNAL SIGINT
ENTRYPOINT ["nova"]
CMD ["demo", "--headless"]
