//! Tests of the rules as a caller meets them: whole objects in, objects or errors out.

mod addresses;
mod common;
mod defaults;
mod namespaces;
mod nodes;
mod pods;
mod robust;
mod services;
mod updates;
