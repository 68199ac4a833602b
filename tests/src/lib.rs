//! Helpers shared by the black-box tests: they start the real binary and talk to it as users do.
