//! The load tool: drives a running server and prints what it measured.
fn main() {}
