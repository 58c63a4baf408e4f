//! The transcoder, from outside.

mod properties;
mod rest;
