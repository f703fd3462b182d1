# The server with the shipped models, as the target cpu (the default) or cuda.
#
# The target cuda has never been built or run by us: no GPU here has a container engine beside it. Its lock resolves
# and its lines are linted, no more. Both targets are for x86_64. What a secret is for, and all else: docs/deployment.md.
ARG BASE=python:3.11-slim-bookworm

# What builds, and never leaves: pip, hatchling and the writer of the bill of materials.
FROM ${BASE} AS tools
ENV PIP_CONFIG_FILE=/run/secrets/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
COPY deploy/image/requirements-build.txt /locks/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --require-hashes --no-deps --only-binary :all: --requirement /locks/requirements-build.txt \
    && python3 -m venv --without-pip /opt/rhapsode

FROM tools AS own
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY protos protos
COPY server server
COPY exporter exporter
COPY clients clients
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && /opt/tools/bin/pip --python /opt/rhapsode/bin/python install --no-deps --no-index --prefix /own /wheels/*.whl

# onnxruntime-gpu runs on the CPU too: what it has for GPUs (285 of 350 MB) is left out here.
FROM tools AS libraries-cpu
COPY deploy/image/requirements-cpu.txt /locks/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    /opt/tools/bin/pip --python /opt/rhapsode/bin/python \
        install --require-hashes --no-deps --only-binary :all: --requirement /locks/requirements-cpu.txt \
    && rm /opt/rhapsode/lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime_providers_cuda.so \
          /opt/rhapsode/lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime_providers_tensorrt.so

FROM tools AS libraries-cuda
COPY deploy/image/requirements-cuda.txt /locks/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    /opt/tools/bin/pip --python /opt/rhapsode/bin/python \
        install --require-hashes --no-deps --only-binary :all: --requirement /locks/requirements-cuda.txt

# The whole environment once more, to be checked and listed.
FROM libraries-cpu AS checked-cpu
COPY --from=own /own /opt/rhapsode
COPY deploy/image/sbom.py pyproject.toml /source/
RUN /opt/tools/bin/pip --python /opt/rhapsode/bin/python check \
    && /opt/tools/bin/python /source/sbom.py /opt/rhapsode/bin/python /source/pyproject.toml /sbom/rhapsode.cdx.json

FROM libraries-cuda AS checked-cuda
COPY --from=own /own /opt/rhapsode
COPY deploy/image/sbom.py pyproject.toml /source/
RUN /opt/tools/bin/pip --python /opt/rhapsode/bin/python check \
    && /opt/tools/bin/python /source/sbom.py /opt/rhapsode/bin/python /source/pyproject.toml /sbom/rhapsode.cdx.json

# What both targets are but for their libraries. No pip, not even the one that Python carries for new environments.
# Nothing is written at run time: the root file system may be read-only, and no /tmp is needed.
FROM ${BASE} AS runtime
RUN groupadd --gid 10001 rhapsode \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin rhapsode \
    && rm -rf /usr/local/bin/pip* /usr/share/python-wheels /usr/lib/python3.*/ensurepip /usr/local/lib/python3.*/ensurepip \
        /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/site-packages/setuptools* \
        /usr/local/lib/python3.*/site-packages/wheel*
ENV PATH=/opt/rhapsode/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    RHAPSODE_MODELS=/models \
    RHAPSODE_ADDRESS=0.0.0.0:50051 \
    RHAPSODE_METRICS_ADDRESS=0.0.0.0:9464
ARG BASE
LABEL org.opencontainers.image.title="rhapsode-server" \
      org.opencontainers.image.description="A gRPC server for the neural nets that create" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${BASE}"
USER 10001:10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["rhapsode-server"]

# In both: what changes most often comes last.
FROM runtime AS cuda
COPY --from=libraries-cuda /opt/rhapsode /opt/rhapsode
COPY models /models
COPY --from=own /own /opt/rhapsode
COPY --from=checked-cuda /sbom /usr/share/sbom
# The host brings the driver, by NVIDIA's container toolkit, which reads these two.
ENV RHAPSODE_REQUIRE_GPU=true \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS cpu
COPY --from=libraries-cpu /opt/rhapsode /opt/rhapsode
COPY models /models
COPY --from=own /own /opt/rhapsode
COPY --from=checked-cpu /sbom /usr/share/sbom
ENV RHAPSODE_PROVIDER=cpu
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
