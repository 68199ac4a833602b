//! Tests of the engine over a store in memory that can be made to fail, with a clock that stands
//! still until somebody waits.

mod alone;
mod faults;
mod hints;
mod kit;
mod life;
mod shared;
mod upkeep;
mod watching;
