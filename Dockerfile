# Build:  docker build -t tailer .
# Run:    docs/deploying.md, which also lists what of this file was tested.

# The version that the test suite runs with.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY tailer tailer
RUN python -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --wheel-dir /dist .
RUN python -m venv --without-pip /opt/tailer
# Bytecode is compiled at build time because the root file system is read-only at run time.
RUN python -m pip --python /opt/tailer/bin/python install --no-cache-dir --disable-pip-version-check --compile -c constraints.txt /dist/*.whl

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="tailer" \
      org.opencontainers.image.description="Follows the logs of SAP AI Core deployments and executions" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tailer /opt/tailer
# The user is a number, so that Kubernetes can verify runAsNonRoot. It has no name and no home.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/tailer && install -d -o 10001 -g 10001 -m 0750 /var/log/aicore
ENV PATH=/opt/tailer/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    TAILER_STATUS__LISTEN=0.0.0.0:9464
USER 10001:10001
# The spool must outlive the container. The second volume is used by file sinks only.
VOLUME ["/var/lib/tailer", "/var/log/aicore"]
EXPOSE 9464
STOPSIGNAL SIGTERM
# The request bypasses any proxy. A 503, a refused connection and a timeout all exit with code 1.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:9464/healthz', timeout=8)"]
ENTRYPOINT ["tailer"]
CMD ["run", "--config", "/etc/tailer/config.toml", "--log-format", "json"]
