//! What is in stock, as the warehouses say.

/// How much of a product there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Availability {
    /// Pieces that are there.
    pub quantity: i64,
    /// How many of them are reserved.
    pub reserved: i64,
    /// How many can be sold; below 0 when more are reserved than are there.
    pub available: i64,
}
