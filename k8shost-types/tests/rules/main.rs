//! Tests of the rules as a caller meets them: whole objects in, objects or errors out.

mod addresses;
mod common;
mod containers;
mod core;
mod defaults;
mod fields;
mod names;
mod namespaces;
mod nodes;
mod others;
mod pods;
mod policies;
mod quantities;
mod robust;
mod samples;
mod selectors;
mod services;
mod updates;
mod ways;
mod work;
