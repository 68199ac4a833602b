//! Tests of the rules as a caller meets them: whole objects in, objects or errors out.

mod common;
mod defaults;
mod pods;
mod updates;
