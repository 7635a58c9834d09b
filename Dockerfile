# Build: docker build -t backdial .
# Compose files: conf/compose. The runtime is the pinned one of package.json (a test holds the two together).
# Agent: docker run --no-healthcheck -e BACKDIAL_SERVER -e BACKDIAL_DOMAIN -e BACKDIAL_SECRET -e BACKDIAL_PIN backdial http app:3000
# Server: docker run -p 443:443 -v ./conf:/etc/backdial:ro -v backdial:/var/lib/backdial backdial server
FROM node:26.10.0-slim AS build
WORKDIR /build
COPY package.json package-lock.json tsconfig.json ./
# The base image is the runtime: the pinned one is a development dependency whose install script is not needed here.
RUN npm ci --ignore-scripts
COPY src src
COPY conf conf
# What `npm run build` does, without npm, which would look for the pinned runtime.
RUN node node_modules/typescript/bin/tsc -p src && cp -r src/cli/page dist/cli/page && node dist/config/write-schemas.js \
  && chmod 755 dist/cli/main.js && npm prune --omit=dev --ignore-scripts

FROM node:26.10.0-slim
ENV NODE_ENV=production STATE_DIRECTORY=/var/lib/backdial
# A named volume takes over owner and mode of the folder in the image.
RUN install -d -o node -g node -m 700 /var/lib/backdial
WORKDIR /opt/backdial
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY LICENSE README.md CHANGELOG.md ./
COPY conf conf
USER node
STOPSIGNAL SIGTERM
# Asks the `admin` or `api` of the file in /etc/backdial. What runs without a file has none: --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["node", "/opt/backdial/dist/cli/main.js", "status", "--health"]
ENTRYPOINT ["node", "/opt/backdial/dist/cli/main.js"]
CMD ["--help"]
