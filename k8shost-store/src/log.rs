//! The tenant log: see `docs/engine.md`.
