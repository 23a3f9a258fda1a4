# `just` lists what can be done here.

default:
    @just --list

# Format, lint, test, document: what every change passes.
check: fmt-check lint test doc

# Format all code.
fmt:
    cargo fmt --all

fmt-check:
    cargo fmt --all --check

# Clippy with warnings denied, with all features: those that are off by default add code only.
lint:
    cargo clippy --workspace --all-targets --all-features -- --deny warnings

# Everything that needs nothing installed.
test:
    cargo test --workspace

# The documentation, with warnings denied.
doc:
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps

# The suites that need outside programs, which it installs into target/real.
test-real:
    bash tests/real/run

# Fuzzes the readers of manifests, segments, pieces and configuration; `just fuzz 600 segment`.
fuzz *args:
    bash fuzz/run {{args}}

# The whole loop on a temporary folder vault.
demo:
    cargo run --release -- demo

# Microbenches of the store and sync.
bench:
    cargo bench --workspace

# Times the real binary against the budgets.
bench-binary:
    python3 tests/real/bench

# Licences, advisories and duplicate versions of dependencies (needs cargo-deny).
deny:
    cargo deny check
