//! Generated code of the published gRPC API, and its descriptors.
