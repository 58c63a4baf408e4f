//! A database server for this test run.
