# The service with its page and the default network: see docs/deploy.md.

FROM node:22-bookworm-slim AS page
WORKDIR /page
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11-slim-bookworm AS build
# Of gingham; `cluster` brings Ray and the client of Qdrant, and makes the image half as large again.
ARG EXTRAS=oidc,postgresql,service,storage
ENV PIP_CONSTRAINT=/build/constraints.txt PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY constraints.txt ./
# Without pip: the environment is copied as it is, and nothing is installed into it later.
RUN python -m venv --without-pip /opt/gingham
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY --from=page /page/node_modules node_modules
RUN python -I src/gingham/service/libraries.py node_modules \
 && python -m pip wheel --no-deps --wheel-dir dist . \
 && python -m pip --python /opt/gingham/bin/python install --only-binary :all: \
    "gingham[$EXTRAS] @ file://$(echo /build/dist/*.whl)"
# Nothing uses these, and they are a fifth of the image: the network is built by OpenVINO's operations
# and runs on the CPU; files of Arrow are read and written, not sent; of Amazon's services only those
# that give credentials are asked by way of botocore.
WORKDIR /opt/gingham/lib/python3.11/site-packages
RUN rm openvino/libs/libopenvino_intel_[gn]pu_plugin.so pyarrow/_flight.*.so pyarrow/lib*_flight.so* \
 && find openvino/libs -name 'libopenvino_*_frontend.so*' ! -name '*_ir_*' -delete \
 && rm -r openvino/include pyarrow/include pyarrow/tests \
 && { [ ! -e botocore ] || find botocore/data -mindepth 1 -maxdepth 1 -type d \
      ! -name 'sso*' ! -name sts ! -name signin -exec rm -r {} +; }

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="gingham" \
      org.opencontainers.image.description="Visual attributes of images and search by looks" \
      org.opencontainers.image.licenses="Apache-2.0"
# The first process of a container gets no signal that it has not asked for: tini passes SIGTERM on
# while gingham starts, too.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && install --directory --owner=10001 --group=10001 /data
COPY --from=build /opt/gingham /opt/gingham
ENV PATH=/opt/gingham/bin:$PATH \
    GINGHAM_CACHE=/data/.cache/gingham \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, not a name: Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "gingham"]
CMD ["serve", "shop", "--host=0.0.0.0"]
