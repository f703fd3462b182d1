# The server with the shipped models, without torch. ARG EXTRAS=server,cuda adds the CUDA libraries.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=server
WORKDIR /source
COPY constraints.txt ./
RUN python3 -m venv /opt/rhapsode && /opt/rhapsode/bin/pip install --no-cache-dir hatchling editables -c constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY protos protos
COPY server server
COPY exporter exporter
COPY clients clients
RUN /opt/rhapsode/bin/pip install --no-cache-dir --no-build-isolation -c constraints.txt ".[${EXTRAS}]" \
    && /opt/rhapsode/bin/pip uninstall --yes hatchling editables pip

FROM ${BASE}
LABEL org.opencontainers.image.title="rhapsode-server" \
      org.opencontainers.image.description="A gRPC server for the neural nets that create" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/rhapsode /opt/rhapsode
COPY models /models
# Nothing is written at run time: the root file system may be read-only.
ENV PATH=/opt/rhapsode/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    RHAPSODE_MODELS=/models \
    RHAPSODE_ADDRESS=0.0.0.0:50051 \
    RHAPSODE_METRICS_ADDRESS=0.0.0.0:9464
USER 10001:10001
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["rhapsode-server"]
