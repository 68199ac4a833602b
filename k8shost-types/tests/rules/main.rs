//! Tests of the rules as a caller meets them: whole objects in, objects or errors out.

mod addresses;
mod common;
mod containers;
mod defaults;
mod kinds;
mod names;
mod namespaces;
mod nodes;
mod pods;
mod quantities;
mod robust;
mod selectors;
mod services;
mod updates;
