//! What was done, counted.

use std::fmt;

macro_rules! stats {
    ($($field:ident: $text:literal,)*) => {
        /// Totals of a run, or of many.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Stats {
            $(#[doc = $text] pub $field: u64,)*
        }

        impl Stats {
            /// Adds another run's.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }

        impl fmt::Display for Stats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let all = [$((self.$field, $text),)*];
                for (i, (count, text)) in all.into_iter().enumerate() {
                    write!(f, "{}{count} {text}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    };
}

stats! {
    kv: "KV requests",
    polls: "task polls",
    loads: "loads",
    barriers: "barriers",
    conflicts: "appends that found another's",
    fallen: "times that a server found the floor had passed",
    projections: "projections written",
    repairs: "projections repaired",
    operations: "client operations",
    commits: "commits in the log",
    births: "births",
    closes: "closes",
    refused: "refusals",
    reads: "reads answered",
    unknown: "unknown outcomes",
    given_up: "operations given up by clients",
    events: "watch events",
    expired: "watches expired",
    ghosts: "ghost loads",
    floors: "floor moves",
    deleted: "batches truncated",
    voids: "void batches",
    pauses: "pauses",
    crashes: "crashes",
    told: "runs ended by a digest",
    taken_back: "appends that a crash took back",
}
