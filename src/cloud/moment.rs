//! The two forms of a timestamp in AWS's documents: epoch seconds (`CreatedAt` on the wire) and ISO 8601
//! (`StartTime`). Which tool prints which form for which member differs, so both are read everywhere.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serializer;
use serde::de::Error as _;
use serde_json::Value;

use crate::task::gps_from_rfc3339;
use crate::task::rfc3339_from_gps;
use crate::time::GpsTime;

/// What may stand where a timestamp is expected.
pub(super) const ALLOWED: &str =
    "a time since 1980-01-06 as RFC 3339 with its offset (2026-11-22T02:00:00Z) or in epoch seconds";

/// A moment in either form, or in epoch milliseconds, as several SDKs write `CreatedAt`: it is only kept.
pub(super) fn deserialize_kept<'de, D: Deserializer<'de>>(from: D) -> Result<Option<GpsTime>, D::Error> {
    let value = Option::<Value>::deserialize(from)?.unwrap_or_default();
    let milliseconds = value.as_f64().filter(|number| *number > jiff::Timestamp::MAX.as_second() as f64);
    match milliseconds.and_then(|number| gps_from_epoch(number / 1000.0)) {
        Some(gps) => Ok(Some(gps)),
        None => deserialize(value).map_err(D::Error::custom),
    }
}

/// A moment in either form of a timestamp: epoch seconds or RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub GpsTime);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Moment, D::Error> {
        let value = Value::deserialize(from)?;
        let gps = gps_from_value(&value);
        gps.map(Moment).ok_or_else(|| D::Error::custom(format!("{value} is no time: {ALLOWED}")))
    }
}

/// A timestamp in either form; `null` is absent.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<GpsTime>, D::Error> {
    Ok(Option::<Moment>::deserialize(from)?.map(|moment| moment.0))
}

/// A timestamp in either form.
fn gps_from_value(value: &Value) -> Option<GpsTime> {
    match value {
        Value::String(text) => gps_from_rfc3339(text),
        Value::Number(number) => gps_from_epoch(number.as_f64()?),
        _ => None,
    }
}

/// Epoch milliseconds by mistake land after the year 9999 and are refused with it. A double is exact to a
/// quarter of a microsecond in this century.
fn gps_from_epoch(seconds: f64) -> Option<GpsTime> {
    let is_in_calendar = (0.0..=jiff::Timestamp::MAX.as_second() as f64).contains(&seconds);
    is_in_calendar.then_some((seconds * 1e6).round() as i64).and_then(GpsTime::from_unix_us)
}

/// As epoch seconds, the form of `CreatedAt` on the wire.
pub(super) fn serialize_epoch<S: Serializer>(gps: &Option<GpsTime>, to: S) -> Result<S::Ok, S::Error> {
    match gps {
        Some(gps) => to.serialize_f64(gps.to_unix_us() as f64 / 1e6),
        None => to.serialize_none(),
    }
}

/// As RFC 3339, the form of `StartTime` on the wire.
pub(super) fn serialize_rfc3339<S: Serializer>(gps: &Option<GpsTime>, to: S) -> Result<S::Ok, S::Error> {
    match gps {
        Some(gps) => to.serialize_str(&rfc3339_from_gps(*gps)),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-11-22T02:00:00Z in Unix microseconds.
    const UNIX_US: i64 = 1_795_312_800_000_000;

    fn unix_us(value: Value) -> Option<i64> {
        gps_from_value(&value).map(GpsTime::to_unix_us)
    }

    #[test]
    fn every_way_to_write_one_moment_is_that_moment() {
        for value in [
            json!("2026-11-22T02:00:00Z"),
            json!("2026-11-22T02:00:00.000Z"),
            json!("2026-11-22T03:00:00+01:00"),
            json!("2026-11-21T20:30:00-05:30"),
            json!("2026-11-22 02:00:00+00:00"),
            json!("2026-11-22t02:00:00z"),
            json!(1_795_312_800),
            json!(1_795_312_800.0),
            json!(1.7953128e9),
        ] {
            assert_eq!(unix_us(value.clone()), Some(UNIX_US), "{value}");
        }
    }

    #[test]
    fn fractions_of_a_second_count_to_the_microsecond_in_both_forms() {
        assert_eq!(unix_us(json!(1732233600.123)), Some(1_732_233_600_123_000));
        assert_eq!(unix_us(json!(1732233600.123457)), Some(1_732_233_600_123_457));
        assert_eq!(unix_us(json!("2024-11-22T00:00:00.123457+00:00")), Some(1_732_233_600_123_457));
        assert_eq!(unix_us(json!("2024-11-22T00:00:00.123457999Z")), Some(1_732_233_600_123_457));
    }

    #[test]
    fn what_is_no_moment_since_1980_is_refused() {
        for value in [
            json!("2026-11-22T02:00:00"),
            json!("2026-11-22"),
            json!("1795312800"),
            json!("tomorrow"),
            json!(""),
            json!("2026-02-30T00:00:00Z"),
            json!("1980-01-05T23:59:59Z"),
            json!(0),
            json!(-1),
            json!(-1e300),
            json!(1e300),
            json!(1_795_312_800_000_i64),
            json!(u64::MAX),
            json!(true),
            json!([1_795_312_800]),
        ] {
            assert_eq!(unix_us(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_prints_as_its_end() {
        assert!(rfc3339_from_gps(GpsTime::from_us(u64::MAX)).starts_with("9999-12-3"));
        assert_eq!(rfc3339_from_gps(GpsTime::from_us(0)), "1980-01-06T00:00:00Z");
    }
}
