//! Power and gain in exact hundredths of a decibel. A limit of law such as 16.15 dBm has no exact float.

use core::fmt;
use core::ops::Add;
use core::ops::Sub;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;

/// A power in dBm or a gain in dB, in hundredths. Sums saturate at the ends of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dbm {
    centi: i32,
}

/// Largest magnitude accepted from a float, in dB: beyond any transmitter, noise floor and antenna.
const MAX_ABS_F64: f64 = 1000.0;

impl Dbm {
    /// The value of `centi` hundredths: `from_centi(1615)` is 16.15 dBm.
    pub const fn from_centi(centi: i32) -> Self {
        Dbm { centi }
    }

    /// The value of `whole` dBm or dB, saturated at the ends of the range.
    pub const fn from_whole(whole: i32) -> Self {
        Dbm { centi: whole.saturating_mul(100) }
    }

    /// The value of a float, rounded to the nearest hundredth. `None` for NaN and beyond 1000 either way.
    pub fn from_f64(dbm: f64) -> Option<Self> {
        // The comparison is false for NaN; the cast cannot overflow behind it.
        (dbm.abs() <= MAX_ABS_F64).then(|| Dbm { centi: (dbm * 100.0).round() as i32 })
    }

    /// The value in hundredths of a dBm or dB.
    pub const fn centi(self) -> i32 {
        self.centi
    }
}

impl Add for Dbm {
    type Output = Dbm;
    fn add(self, gain: Dbm) -> Dbm {
        Dbm { centi: self.centi.saturating_add(gain.centi) }
    }
}

impl Sub for Dbm {
    type Output = Dbm;
    fn sub(self, gain: Dbm) -> Dbm {
        Dbm { centi: self.centi.saturating_sub(gain.centi) }
    }
}

/// Writes the number without unit and without needless zeros: `27`, `16.15`, `-0.5`.
impl fmt::Display for Dbm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.centi < 0 { "-" } else { "" };
        let (whole, rest) = (self.centi.unsigned_abs() / 100, self.centi.unsigned_abs() % 100);
        match (rest, rest % 10) {
            (0, _) => write!(f, "{sign}{whole}"),
            (_, 0) => write!(f, "{sign}{whole}.{}", rest / 10),
            _ => write!(f, "{sign}{whole}.{rest:02}"),
        }
    }
}

/// Writes a number of dBm; whole ones without a fraction.
impl Serialize for Dbm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.centi % 100 == 0 {
            serializer.serialize_i32(self.centi / 100)
        } else {
            serializer.serialize_f64(f64::from(self.centi) / 100.0)
        }
    }
}

/// Reads a whole number or a float of dBm, between -1000 and 1000.
impl<'de> Deserialize<'de> for Dbm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DbmVisitor)
    }
}

struct DbmVisitor;

impl de::Visitor<'_> for DbmVisitor {
    type Value = Dbm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of dBm between -1000 and 1000")
    }

    fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Dbm, E> {
        self.visit_f64(whole as f64)
    }

    fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Dbm, E> {
        self.visit_f64(whole as f64)
    }

    fn visit_f64<E: de::Error>(self, dbm: f64) -> Result<Dbm, E> {
        Dbm::from_f64(dbm).ok_or_else(|| E::invalid_value(de::Unexpected::Float(dbm), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_is_written_as_people_write_it() {
        let rows = [
            (2700, "27"),
            (1615, "16.15"),
            (1650, "16.5"),
            (1605, "16.05"),
            (0, "0"),
            (-50, "-0.5"),
            (-5, "-0.05"),
            (-13_700, "-137"),
            (i32::MIN, "-21474836.48"),
        ];
        for (centi, text) in rows {
            assert_eq!(Dbm::from_centi(centi).to_string(), text);
        }
    }

    #[test]
    fn floats_are_rounded_to_hundredths_and_nonsense_is_refused() {
        assert_eq!(Dbm::from_f64(16.15), Some(Dbm::from_centi(1615)));
        assert_eq!(Dbm::from_f64(29.15), Some(Dbm::from_centi(2915)));
        assert_eq!(Dbm::from_f64(-0.006), Some(Dbm::from_centi(-1)));
        assert_eq!(Dbm::from_f64(-1000.0), Some(Dbm::from_whole(-1000)));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1000.01, 1e300] {
            assert_eq!(Dbm::from_f64(bad), None);
        }
    }

    #[test]
    fn gains_add_up_exactly() {
        let erp = Dbm::from_whole(27);
        let eirp = erp + Dbm::from_centi(215);
        assert_eq!(eirp, Dbm::from_centi(2915));
        assert_eq!(eirp - Dbm::from_centi(215), erp);
        assert!(eirp < Dbm::from_centi(2916));
        assert_eq!(Dbm::from_centi(i32::MAX) + erp, Dbm::from_centi(i32::MAX));
    }

    #[test]
    fn toml_and_json_may_write_whole_numbers_or_fractions() {
        assert_eq!(serde_json::from_str::<Dbm>("27").unwrap(), Dbm::from_whole(27));
        assert_eq!(serde_json::from_str::<Dbm>("-3").unwrap(), Dbm::from_whole(-3));
        assert_eq!(serde_json::from_str::<Dbm>("16.15").unwrap(), Dbm::from_centi(1615));
        assert_eq!(
            serde_json::to_string(&[Dbm::from_whole(27), Dbm::from_centi(1615)]).unwrap(),
            "[27,16.15]"
        );
        for bad in ["1001", "-1e9", "\"27\"", "null", "18446744073709551615"] {
            assert!(serde_json::from_str::<Dbm>(bad).is_err(), "{bad}");
        }
        let table: std::collections::BTreeMap<String, Dbm> = toml::from_str("a = 27\nb = 16.15").unwrap();
        assert_eq!(table["a"], Dbm::from_whole(27));
        assert_eq!(table["b"], Dbm::from_centi(1615));
    }
}
