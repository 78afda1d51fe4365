//! From bytes to UTC: the RMC sentences of NMEA 0183 (time, date and whether they are valid), nothing else.

use nmea::ParseResult;
use nmea::sentences::FaaMode;
use nmea::sentences::RmcData;
use nmea::sentences::rmc::RmcStatusOfFix;

/// NMEA 0183 allows 82 characters; receivers are wordier. What is longer is no sentence.
const LINE_MAX: usize = 128;
/// A year of two digits from 80 on, the first of GPS, is one of the last century; the parser says so from 83 on only.
/// 2080-01-01 00:00:00 UTC, Unix microseconds.
const YEAR_2080_UNIX_US: i64 = 3_471_292_800_000_000;
/// From a day of 19yy to the same day of 20yy, 80 <= yy: 36 525 days, microseconds.
const CENTURY_US: i64 = 36_525 * 86_400_000_000;

/// What an RMC sentence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sentence {
    /// A valid time: Unix microseconds.
    Utc(i64),
    /// The receiver has no fix: its time may be anything.
    NoFix,
}

/// Cuts a stream of bytes into lines; binary between them is passed over.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Takes in bytes and tells every RMC sentence among them.
    pub fn take(&mut self, bytes: &[u8], mut tell: impl FnMut(Sentence)) {
        for &byte in bytes {
            match byte {
                b'$' => {
                    self.line.clear();
                    self.line.push(byte);
                }
                b'\r' | b'\n' => {
                    if let Some(sentence) = sentence(&self.line) {
                        tell(sentence);
                    }
                    self.line.clear();
                }
                _ if self.line.is_empty() => {}
                _ if self.line.len() >= LINE_MAX => self.line.clear(),
                _ => self.line.push(byte),
            }
        }
    }
}

/// `None` for other sentences, bad checksums, and the leap second itself (23:59:60), which the parser does not know.
fn sentence(line: &[u8]) -> Option<Sentence> {
    match nmea::parse_bytes(line) {
        Ok(ParseResult::RMC(rmc)) => Some(read(&rmc)),
        _ => None,
    }
}

/// A receiver without a fix still tells a date and a time: of its last one, or of its own crystal.
fn read(rmc: &RmcData) -> Sentence {
    let is_invented = matches!(
        rmc.faa_mode,
        Some(FaaMode::Estimated | FaaMode::Manual | FaaMode::DataNotValid | FaaMode::Simulator)
    );
    if rmc.status_of_fix == RmcStatusOfFix::Invalid || is_invented {
        return Sentence::NoFix;
    }
    match rmc.fix_date.zip(rmc.fix_time) {
        Some((date, time)) => {
            let unix_us = date.and_time(time).and_utc().timestamp_micros();
            let is_of_the_last_century = unix_us >= YEAR_2080_UNIX_US;
            Sentence::Utc(if is_of_the_last_century { unix_us - CENTURY_US } else { unix_us })
        }
        None => Sentence::NoFix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sentence with its checksum and line end.
    fn line(body: &str) -> String {
        let checksum = body.bytes().fold(0, |sum, byte| sum ^ byte);
        format!("${body}*{checksum:02X}\r\n")
    }

    fn told(bytes: &[u8]) -> Vec<Sentence> {
        let mut told = Vec::new();
        Lines::default().take(bytes, |sentence| told.push(sentence));
        told
    }

    const FIX: &str = "GNRMC,120000.50,A,4614.400,N,00315.139,E,0.0,0.0,241226,,,A";
    /// 2026-12-24 12:00:00.5 UTC in Unix microseconds.
    const AT: Sentence = Sentence::Utc(1_798_113_600_500_000);

    #[test]
    fn a_valid_rmc_of_any_talker_is_a_time() {
        for talker in ["GP", "GN", "GL", "GA"] {
            assert_eq!(told(line(&FIX.replacen("GN", talker, 1)).as_bytes()), [AT], "{talker}");
        }
    }

    #[test]
    fn a_year_from_80_on_is_one_of_the_last_century() {
        for (year, unix_s) in [
            ("79", 3_439_756_800),
            ("80", 315_532_800),
            ("81", 347_155_200),
            ("82", 378_691_200),
            ("83", 410_227_200),
            ("99", 915_148_800),
        ] {
            let told = told(line(&format!("GPRMC,000000.00,A,,,,,,,0101{year},,,A")).as_bytes());
            assert_eq!(told, [Sentence::Utc(unix_s * 1_000_000)], "{year}");
        }
        let leap_day = told(line("GPRMC,000000.00,A,,,,,,,290280,,,A").as_bytes());
        assert_eq!(leap_day, [Sentence::Utc((315_532_800 + 59 * 86_400) * 1_000_000)]);
    }

    #[test]
    fn without_a_fix_a_date_and_a_time_are_nothing() {
        for (from, to) in [(",A,46", ",V,46"), (",,A", ",,N"), (",,A", ",,E"), (",,A", ",,M"), (",,A", ",,S")]
        {
            assert_eq!(told(line(&FIX.replacen(from, to, 1)).as_bytes()), [Sentence::NoFix], "{to}");
        }
        assert_eq!(told(line("GPRMC,,V,,,,,,,,,,N").as_bytes()), [Sentence::NoFix]);
    }

    #[test]
    fn bad_checksums_other_sentences_and_the_leap_second_are_passed_over() {
        let bad = line(FIX).replace("120000", "120001");
        assert_eq!(told(bad.as_bytes()), []);
        assert_eq!(told(line("GPGGA,120000,4614.4,N,315.1,E,1,08,0.9,145,M,46.9,M,,").as_bytes()), []);
        assert_eq!(told(line(&FIX.replace("120000.50", "235960.00")).as_bytes()), []);
        assert_eq!(told(b"$\n$*\n$GPRMC\n\n*00\n"), []);
    }

    #[test]
    fn sentences_come_in_pieces_and_among_binary() {
        let (fix, binary) = (line(FIX), b"\xb5\x62\x01\n\x10\x00");
        let bytes = [binary, fix.as_bytes(), binary, fix.as_bytes()].concat();
        assert_eq!(told(&bytes), [AT, AT]);
        let mut lines = Lines::default();
        let mut count = 0;
        for byte in &bytes {
            lines.take(&[*byte], |sentence| {
                assert_eq!(sentence, AT);
                count += 1;
            });
        }
        assert_eq!(count, 2);
    }

    #[test]
    fn a_line_without_an_end_is_forgotten_and_takes_no_room() {
        let mut lines = Lines::default();
        lines.take(b"$", |_| panic!());
        lines.take(&vec![b'A'; 1 << 20], |_| panic!());
        assert!(lines.line.capacity() <= 2 * LINE_MAX);
        let mut count = 0;
        lines.take(line(FIX).as_bytes(), |_| count += 1);
        assert_eq!(count, 1);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200)) {
            told(&bytes);
            told(&[b"$GPRMC,", &bytes[..], b"*00\n"].concat());
        }
    }
}
