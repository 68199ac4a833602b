//! Tests of the rules as a caller meets them: whole objects in, objects or errors out.

mod addresses;
mod answers;
mod autoscalers;
mod cells;
mod columns;
mod common;
mod containers;
mod core;
mod defaults;
mod kinds;
mod names;
mod namespaces;
mod nodes;
mod pod_rows;
mod pods;
mod policies;
mod quantities;
mod robust;
mod samples;
mod selectors;
mod services;
mod tables;
mod updates;
mod ways;
mod work;
