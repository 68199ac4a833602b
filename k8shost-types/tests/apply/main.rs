//! Field ownership and server-side apply, as a caller of the crate sees them.

mod laws;
mod lists;
mod ownership;
mod sets;
mod support;
mod toy;
mod wire;
