//! Reports: one JSON object each, which any tool reads. It says its own number and sum, so that damage shows.

use crate::store::record;
use crate::store::record::Kind;
use crate::store::record::RecordId;
use crate::store::record::Sealed;
use serde_json::Map;
use serde_json::Value;

/// The most bytes of one report: 16 KiB, so that 64 of them stay within 1 MiB.
pub const REPORT_BYTES_MAX: usize = 16 << 10;

/// Which of all reports it is: the lowest makes room first.
const SEQUENCE: &str = "sequence";
/// CRC-32C of the object without this member, without blanks and with its names in order, as 8 hex digits.
const SUM: &str = "crc32c";

/// The file of a report. Its own members of the two names are replaced.
pub(super) fn close(report: &Map<String, Value>, seq: u64) -> Vec<u8> {
    let mut report = report.clone();
    report.insert(SEQUENCE.to_owned(), seq.into());
    report.remove(SUM);
    let sum = sum(&report);
    report.insert(SUM.to_owned(), sum.into());
    format!("{:#}\n", Value::Object(report)).into_bytes()
}

/// A report as it was read back, its text whole. Earlier releases put a trailer behind theirs.
pub(super) fn open(file: Vec<u8>) -> Sealed {
    let Ok(mut report) = serde_json::from_slice::<Map<String, Value>>(&file) else {
        return record::open(Kind::Report, file);
    };
    let (said, seq) = (report.remove(SUM), report.get(SEQUENCE).and_then(Value::as_u64));
    match seq {
        Some(seq) if said == Some(sum(&report).into()) => {
            Sealed::Whole { id: RecordId([0; 16]), seq, bytes: file }
        }
        _ => Sealed::Damaged,
    }
}

fn sum(report: &Map<String, Value>) -> String {
    // Whatever order the text has, or a crate's feature gives the map: the names are sorted here.
    let mut report = Value::Object(report.clone());
    report.sort_all_objects();
    format!("{:08x}", crc32c::crc32c(report.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn report() -> Map<String, Value> {
        let report =
            serde_json::json!({ "task": "lamps-1", "sent": 32, "end": null, "planned": { "key": "00" } });
        report.as_object().unwrap().clone()
    }

    #[test]
    fn a_report_is_one_json_object_with_its_number_and_its_sum() {
        let file = close(&report(), 7);
        let read: Value = serde_json::from_slice(&file).unwrap();
        assert_eq!(
            (&read["task"], &read["sent"], &read["sequence"]),
            (&"lamps-1".into(), &32.into(), &7.into())
        );
        let summed = r#"{"end":null,"planned":{"key":"00"},"sent":32,"sequence":7,"task":"lamps-1"}"#;
        assert_eq!(read["crc32c"], format!("{:08x}", crc32c::crc32c(summed.as_bytes())));
        assert_eq!(open(file.clone()), Sealed::Whole { id: RecordId([0; 16]), seq: 7, bytes: file });
    }

    #[test]
    fn another_order_and_other_blanks_are_the_same_report() {
        let mut read: Map<String, Value> = serde_json::from_slice(&close(&report(), 7)).unwrap();
        let sum = read.remove(SUM).unwrap();
        let members: Vec<String> =
            read.iter().rev().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
        let file = format!("{{ \"crc32c\":{sum}, {} }}", members.join(",\n"));
        assert!(matches!(open(file.into_bytes()), Sealed::Whole { seq: 7, .. }));
    }

    #[test]
    fn a_report_cut_short_or_changed_in_a_value_is_damaged() {
        let file = close(&report(), 7);
        for length in 0..file.len() - 2 {
            assert_eq!(open(file[..length].to_vec()), Sealed::Damaged, "{length} bytes");
        }
        let text = String::from_utf8(file).unwrap();
        for (value, another) in [("32", "33"), ("lamps-1", "lamps-2"), (": 7", ": 8"), ("null", "true")] {
            let changed = text.replacen(value, another, 1);
            assert!(changed != text);
            assert_eq!(open(changed.into_bytes()), Sealed::Damaged, "{value} became {another}");
        }
        let bare = serde_json::to_vec(&report()).unwrap();
        assert_eq!(open(bare), Sealed::Damaged, "no number and no sum");
    }

    #[test]
    fn a_report_of_an_earlier_release_is_read() {
        let old = record::close(Kind::Report, RecordId([0; 16]), 5, b"{\"task\":\"t\"}\n");
        let expected = Sealed::Whole { id: RecordId([0; 16]), seq: 5, bytes: b"{\"task\":\"t\"}\n".to_vec() };
        assert_eq!(open(old), expected);
    }

    proptest! {
        #[test]
        fn hostile_reports_never_panic(file in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = open(file);
        }
    }
}
