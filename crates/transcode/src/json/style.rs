//! Which JSON is written: the contract's, with the names that it gives to enums and with decimals as numbers, or
//! ProtoJSON as it is, which clients expect that know nothing of the contract's options.

use std::cell::Cell;

use serde::Serialize;

thread_local! {
    /// Whether this thread is writing ProtoJSON as it is. Serde hands nothing from one value to those inside it.
    static CANONICAL: Cell<bool> = const { Cell::new(false) };
}

/// Puts the style back, also when writing panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        CANONICAL.set(self.0);
    }
}

/// Writes a value as ProtoJSON.
///
/// # Errors
/// When the value has no JSON form.
pub fn write_canonical(
    value: &impl Serialize,
    json: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    let _restore = Restore(CANONICAL.replace(true));
    serde_json::to_writer(json, value)
}

/// Whether what is being written is ProtoJSON as it is.
pub(super) fn is_canonical() -> bool {
    CANONICAL.get()
}
