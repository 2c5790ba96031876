# b2b-chat's recipes; `just` lists them.

set positional-arguments := true

export UV_COMPILE_BYTECODE := "1"

# List the recipes
default:
    @just --list --unsorted

# --- Work -------------------------------------------------------------------------------------------------------

# Install everything that development needs, and the pre-commit hooks
setup:
    uv sync
    uv run pre-commit install

# Send one message through the whole stack on embedded servers
demo *text:
    uv run b2b-chat demo "$@"

# Run the whole stack on embedded servers until Ctrl-C
up *options:
    uv run b2b-chat up "$@"

# --- Checks -----------------------------------------------------------------------------------------------------

# Run all tests, four files at a time: most tests wait more than they work
test *options:
    uv run pytest --numprocesses 4 --dist loadfile "$@"

# Run the tests that need no server
test-unit *options:
    uv run pytest tests/unit "$@"

# Run the fault suite in its long form, with this many seeds
faults seeds="3" *options:
    shift; FAULT_LONG=1 FAULT_SEEDS="{{ seeds }}" uv run pytest tests/system/faults -rA "$@"

# Show that the fault suite notices a missing guard
faults-mutants *words:
    uv run python tests/system/faults/mutants.py "$@"

# Measure: gateway, product, masking, streams [N], latency, hot-company, compare BASE, all; page puts the figures into GROWTH.md
bench *what:
    PYTHONPATH=tests uv run --extra bench python -m bench "$@"

# Measure product_api alone: CPU of a chat and of a delta, memory of a stream
bench-product-cpu *options:
    PYTHONPATH=tests uv run python tests/bench/product_cpu.py "$@"

# Measure the gateway's CPU for each call and each delta, beside nginx or another checkout's gateway
bench-gateway-cpu *options:
    PYTHONPATH=tests uv run python tests/bench/gateway_cpu.py "$@"

# Measure what a delta costs when another process follows the answer
bench-relay *options:
    PYTHONPATH=tests uv run python tests/bench/relay_cpu.py "$@"

# Measure what the web client costs a browser: a delta early and late in an answer, and a conversation of 200 turns
bench-web *options:
    PYTHONPATH=tests uv run python tests/bench/web_page.py "$@"

# Show how well masking finds what is labelled in a file of the corpus's form, and what it costs; --json for programs
masking-eval file *options:
    @PYTHONPATH=tests uv run python tests/bench/masking_eval.py "$@"

# Ask the real model (OPENAI_API_KEY_FILE or OPENAI_API_KEY) to use tokens, and show how many come back; it says the cost first
masking-survival *options:
    @PYTHONPATH=tests uv run python tests/bench/masking_survival.py "$@"

# Measure masking's CPU; or, with --fuzz STREAMS, restore so many streams cut in every way and try the mutants
bench-masking *options:
    PYTHONPATH=tests uv run python tests/bench/masking_cpu.py "$@"

# Run all tests and report the lines that they do not reach
coverage:
    uv run coverage erase
    uv run coverage run -m pytest
    uv run coverage combine -q
    uv run coverage report
    uv run coverage report --include '*/b2b_chat/contract/*,*/b2b_chat/gateway/*' --fail-under 100
    uv run coverage report --omit '*/b2b_chat/contract/*,*/b2b_chat/gateway/*' --fail-under 90

# Lint and check the format
lint:
    uv run ruff check
    uv run ruff format --check

# Format, and apply the linter's fixes
format:
    uv run ruff check --fix
    uv run ruff format

# Check the types; the client's for the oldest Python that it supports, too
types:
    uv run mypy
    uv run mypy --python-version 3.10 src/b2b_chat_client

# Generate the types and operations of both clients from product_api's OpenAPI description
client-types:
    uv run b2b-chat openapi product | PYTHONPATH=src uv run python -m b2b_chat_client_codegen
    uv run ruff check --quiet --fix-only src/b2b_chat_client
    uv run ruff format --quiet src/b2b_chat_client

# Keep product_api's OpenAPI document as the last release's, which later changes may not break
api-released:
    uv run b2b-chat openapi product | PYTHONPATH=tests uv run python -m support.api_changes > tests/data/api/released.json

# Check the import contracts
arch:
    uv run lint-imports

# Check that migrations and models agree
migrate-check:
    uv run b2b-chat migrate-check

# Run every check, tests last
check: lint types arch migrate-check test

# --- Images and nginx ---------------------------------------------------------------------------------------------

# Build both images with Docker, named and labelled by version and commit
images-build *options:
    VERSION="$(uv version --short)" REVISION="$(git rev-parse HEAD)" CREATED="$(git show -s --format=%cI HEAD)" \
        docker compose build "$@" product_api gateway_api

# Pull what the tags of compose.yaml's images name now, and print each digest as a line for `.env`: an update of them
images-pin:
    #!/usr/bin/env bash
    set -euo pipefail
    sed -nE 's/.*\$\{([A-Z]+_IMAGE):-([^@]+)@[^}]+\} # (.+)/\1 \2:\3/p' compose.yaml | sort -u | while read -r name image; do
        docker pull --quiet "$image" > /dev/null
        echo "$name=$(docker image inspect --format '{{{{ index .RepoDigests 0 }}' "$image")"
    done

# Build both images, drive chats through them, and run compose.yaml; needs root, buildah, debootstrap, bubblewrap, slirp4netns
images-test *options:
    uv run pytest tests/images "$@"

# Print the contents of an app's image, as CycloneDX: product or gateway
images-sbom app:
    @uv export --quiet --locked --no-dev --extra "$1" --format cyclonedx1.5

# Test deploy/nginx with a real nginx
nginx-test *options:
    uv run pytest tests/system/nginx "$@"

# --- Parts ------------------------------------------------------------------------------------------------------

# Run product_api alone; settings from the environment
product:
    uv run b2b-chat product

# Run gateway_api alone; settings from the environment
gateway:
    uv run b2b-chat gateway

# Apply the migrations to DATABASE_URL, as the owner in MIGRATIONS_DATABASE_URL where that is set
migrate:
    uv run b2b-chat migrate

# Write a migration from DATABASE_URL to the models
revision message:
    uv run alembic revision --autogenerate -m "$1"

# Check this deployment with the settings in the environment: product or gateway
doctor app:
    uv run b2b-chat doctor "$1"

# Send a test mail to an address, by the mail settings in the environment
mail-test address:
    uv run b2b-chat mail-test "$1"

# Save the database at DATABASE_URL to a new file, as its owner
backup file:
    uv run b2b-chat backup "$1"

# Restore a backup into the empty database at DATABASE_URL as its owner, and check every invariant of the money
restore file:
    uv run b2b-chat restore "$1"
    uv run b2b-chat ledger verify

# Check every invariant of the money in DATABASE_URL
ledger-verify:
    uv run b2b-chat ledger verify

# Print a settings file with every variable: product, gateway or migrations
env-example app:
    uv run b2b-chat env-example "$1"

# --- Releases ---------------------------------------------------------------------------------------------------

# Check everything, and write a release into dist: the wheel, the SBOM of each app, and the checksums
release: check audit-dependencies package

# Write a release into dist, unchecked
package: sbom
    uv build --wheel --quiet
    cd dist && sha256sum *.whl *.cdx.json | tee SHA256SUMS

# Write both clients into dist/clients: the Python wheel, and the npm package
package-clients:
    uv build --quiet --wheel --package b2b-chat-client --out-dir dist/clients
    cd src/b2b_chat_client_ts && npm ci --silent && npm run --silent build && npm pack --silent --pack-destination ../../dist/clients

# Audit the dependencies of both apps for known vulnerabilities; needs pypi.org, or an index with its advisories
audit-dependencies:
    #!/usr/bin/env bash
    set -euo pipefail
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    for app in product gateway; do
        uv export --quiet --locked --no-dev --extra "$app" --no-emit-project --output-file "$folder/$app.txt"
        echo "Dependencies of $app:"
        uvx --quiet pip-audit@2.10.1 --strict --disable-pip --require-hashes --requirement "$folder/$app.txt" || {
            echo "Update the vulnerable package (uv lock --upgrade-package NAME). If the message is «not found on PyPI»," \
                "run this where pypi.org is reachable: this machine's index has no advisories, so nothing was audited." >&2
            exit 1
        }
    done

# Write the SBOM of each app (CycloneDX 1.5) into dist
sbom:
    mkdir -p dist
    uv export --quiet --locked --no-dev --extra product --format cyclonedx1.5 --preview-features sbom-export --output-file dist/product_api.cdx.json
    uv export --quiet --locked --no-dev --extra gateway --format cyclonedx1.5 --preview-features sbom-export --output-file dist/gateway_api.cdx.json

# --- Operators' commands; they need DATABASE_URL ------------------------------------------------------------------

# Make a person an operator and print a key for /admin
operator-create email:
    uv run b2b-chat operator-create "$1"

# Remove a person from the operators
operator-remove email:
    uv run b2b-chat operator-remove "$1"

# Create a company and print its id
company-create name owner:
    uv run b2b-chat company-create "$1" --owner "$2"

# Block a company: nobody can act in it
company-block company:
    uv run b2b-chat company-block "$1"

# Unblock a company
company-unblock company:
    uv run b2b-chat company-unblock "$1"

# Add credits that a company paid for, under an invoice's number
credits-add company amount external_id:
    uv run b2b-chat credits-add "$1" "$2" --external-id "$3"

# Correct an entry of a company's ledger, named by its position, up or down
credits-adjust company amount external_id corrects reason:
    uv run b2b-chat credits-adjust "$1" "$2" --external-id "$3" --corrects "$4" --reason "$5"

# Show or set the least that masking does for every company, as people=mask PASSPORT=block; --clear for nothing
masking-floor *rules:
    uv run b2b-chat masking-floor "$@"

# Show or set what masking does for a company, as contacts=off CARD=block; --clear for the defaults
masking-policy company *rules:
    uv run b2b-chat masking-policy "$@"

# Replace a company's own words (--terms FILE) or what it lets through (--allowed FILE), one a line
masking-terms company *files:
    uv run b2b-chat masking-terms "$@"

# Block a person, by id or address, in every company
user-block user:
    uv run b2b-chat user-block "$1"

# Unblock a person, by id or address
user-unblock user:
    uv run b2b-chat user-unblock "$1"

# Print the audit log, newest first; --help lists the filters
audit *options:
    uv run b2b-chat audit "$@"
