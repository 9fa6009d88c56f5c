# One small image for every room: `docker build -t xuqi .`; what it runs is the command `xuqi`.

FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /opt/xuqi
RUN python -m venv .venv
COPY requirements/build.txt requirements/run.txt requirements/production.txt requirements/
RUN .venv/bin/python -m pip install --require-hashes --no-deps --no-build-isolation -r requirements/build.txt \
 && .venv/bin/python -m pip install --require-hashes --no-deps --no-build-isolation -r requirements/run.txt -r requirements/production.txt
COPY . .
# Editable, as `make setup` installs it: what runs here is laid out like what was tested.
RUN .venv/bin/python -m pip install --no-deps --no-build-isolation --editable . \
 && .venv/bin/python -m pip uninstall --yes setuptools pip \
 && python -m compileall -q schema templates renewal scheduler producers consumers token_station web centre back_office xuqi simulation

FROM python:3.11.13-slim-bookworm
# The number, not the name: the secrets' files on the host belong to it (deploy/make-secrets.sh).
RUN groupadd --gid 10001 xuqi && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin xuqi \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/xuqi
COPY --from=build /opt/xuqi /opt/xuqi
ENV PATH=/opt/xuqi/.venv/bin:$PATH PYTHONUNBUFFERED=1 XUQI_HOME=/var/lib/xuqi
USER 10001:10001
WORKDIR /var/lib/xuqi
VOLUME /var/lib/xuqi
ENTRYPOINT ["xuqi"]
CMD ["serve"]
