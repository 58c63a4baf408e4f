//! Times as text, written digit by digit: formatting takes many times as long.

use time::OffsetDateTime;

/// Length of a time to the second.
pub(crate) const SECONDS: usize = "2024-01-15T10:30:00".len();

/// A time in UTC to the second, after RFC 3339 and without its zone. Of years beyond 9999 it has the last digits.
pub(crate) fn to_seconds(time: OffsetDateTime) -> [u8; SECONDS] {
    let mut text = *b"0000-00-00T00:00:00";
    for (places, number) in [
        (0..4, time.year().unsigned_abs()),
        (5..7, u8::from(time.month()).into()),
        (8..10, time.day().into()),
        (11..13, time.hour().into()),
        (14..16, time.minute().into()),
        (17..19, time.second().into()),
    ] {
        write_digits(&mut text[places], number);
    }
    text
}

/// Writes the last digits of a number, as many as there is room for.
pub(crate) fn write_digits(text: &mut [u8], mut number: u32) {
    for place in text.iter_mut().rev() {
        // A digit fits into a byte.
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
