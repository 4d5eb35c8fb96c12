# The commands of a day. `just` alone lists them.

_default:
    @just --list

# Build everything.
build:
    cargo build --workspace

# Run the tests; arguments go to nextest (`just test quarantine`).
test *args:
    cargo nextest run --workspace {{ args }}

# Look for mistakes.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo deny check bans licenses sources
    tests/layers

# Format.
fmt:
    cargo fmt --all

# All checks, as CI runs them.
ready:
    tests/run

# Measure what docs/benchmarks.md shows, and write it anew.
bench *args:
    cargo bench --package smelt-cli --bench performance -- {{ args }}

# The main job, end to end.
demo:
    cargo run --release -- demo

# The library's documentation, and the pages that are made from the code.
docs:
    SMELT_UPDATE_DOCS=1 cargo nextest run --workspace 'docs::'
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
