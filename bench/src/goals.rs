//! What is to be reached on two cores, where gRPC and REST differ.

/// Goals of one API.
pub(crate) struct Goals {
    /// In a second, at the least.
    pub(crate) creates: f64,
    /// The same; where it is a part of the echo, it is known when that was measured.
    pub(crate) gets: Option<f64>,
    pub(crate) updates: f64,
    pub(crate) deletes: f64,
    /// Half of the lists of all pods are to take less.
    pub(crate) list_ms: f64,
}

impl Goals {
    /// Those of gRPC; some depend on how often in a second the bare echo is answered.
    pub(crate) fn grpc(echo: Option<f64>) -> Self {
        Self {
            creates: echo.map_or(12_000.0, |echo| (0.25 * echo).max(12_000.0)),
            gets: echo.map(|echo| 0.6 * echo),
            updates: 8000.0,
            deletes: 8000.0,
            list_ms: 100.0,
        }
    }

    /// Those of REST.
    pub(crate) fn rest() -> Self {
        Self {
            creates: 8000.0,
            gets: Some(20_000.0),
            updates: 6000.0,
            deletes: 6000.0,
            list_ms: 50.0,
        }
    }
}
