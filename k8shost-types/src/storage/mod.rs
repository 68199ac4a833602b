//! Kinds of storage.k8s.io/v1: classes of storage, drivers, and what is attached where.

mod classes;
mod drivers;

pub use classes::{STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS};
pub use drivers::{CSI_DRIVER, CSI_NODE, CSI_STORAGE_CAPACITY, VOLUME_ATTACHMENT};

use crate::strategy::Strategy;

/// The rows of these kinds.
pub static ALL: &[&Strategy] = &[
    &STORAGE_CLASS,
    &CSI_DRIVER,
    &CSI_NODE,
    &VOLUME_ATTACHMENT,
    &CSI_STORAGE_CAPACITY,
    &VOLUME_ATTRIBUTES_CLASS,
];
