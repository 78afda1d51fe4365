//! Times as text: RFC 3339.

use crate::time::GpsTime;

/// The GPS time of an RFC 3339 / ISO 8601 time with its offset from UTC, to the microsecond. `None` when it is
/// not one (a time without an offset is not), or before the GPS epoch, 1980-01-06.
pub fn gps_from_rfc3339(text: &str) -> Option<GpsTime> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    GpsTime::from_unix_us(timestamp.as_microsecond())
}

/// `gps` as RFC 3339 in UTC; a time after the year 9999 as the last of that year.
pub fn rfc3339_from_gps(gps: GpsTime) -> String {
    jiff::Timestamp::from_microsecond(gps.to_unix_us()).unwrap_or(jiff::Timestamp::MAX).to_string()
}
