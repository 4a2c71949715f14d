# A PostgreSQL of Debian's packages, for scripts/test-deploy.sh where no registry is reachable. It
# understands as much of the environment of the usual image as deploy/docker-compose.postgresql.yml uses.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
COPY deploy/test/postgres.sh /usr/local/bin/
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/postgres.sh"]
