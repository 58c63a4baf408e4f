//! All integration tests of the service, in one binary.

mod support;
