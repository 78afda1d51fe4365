//! The sums that S3 keeps of whole objects (`x-amz-checksum-*`), those that clients and S3 itself make by default.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc_fast::CrcAlgorithm;

use crate::image::Digest;

/// One sum of a whole object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    kind: Kind,
    value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha256,
}

impl Checksum {
    pub(super) fn crc32(text: &str) -> Option<Checksum> {
        Checksum::read(Kind::Crc32, 4, text)
    }

    pub(super) fn crc32c(text: &str) -> Option<Checksum> {
        Checksum::read(Kind::Crc32c, 4, text)
    }

    pub(super) fn crc64nvme(text: &str) -> Option<Checksum> {
        Checksum::read(Kind::Crc64Nvme, 8, text)
    }

    pub(super) fn sha256(text: &str) -> Option<Checksum> {
        Checksum::read(Kind::Sha256, 32, text)
    }

    /// What is no base64 of the right length (a sum of sums ends in `-N`) is none of ours.
    fn read(kind: Kind, bytes: usize, text: &str) -> Option<Checksum> {
        let value = BASE64_STANDARD.decode(text).ok().filter(|value| value.len() == bytes)?;
        Some(Checksum { kind, value })
    }

    /// Its name, if the sum of `bytes` is another one.
    pub(super) fn breach(&self, bytes: &[u8]) -> Option<&'static str> {
        let crc = |algorithm, length: usize| {
            crc_fast::checksum(algorithm, bytes).to_be_bytes()[8 - length..].to_vec()
        };
        let (name, found) = match self.kind {
            Kind::Crc32 => ("CRC32", crc(CrcAlgorithm::Crc32IsoHdlc, 4)),
            Kind::Crc32c => ("CRC32C", crc32c::crc32c(bytes).to_be_bytes().to_vec()),
            Kind::Crc64Nvme => ("CRC64NVME", crc(CrcAlgorithm::Crc64Nvme, 8)),
            Kind::Sha256 => ("SHA-256", Digest::of(bytes).as_bytes().to_vec()),
        };
        (found != self.value).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of each algorithm is that of "123456789" (catalogue of parametrised CRC algorithms).
    const CHECK: &[u8] = b"123456789";

    #[test]
    fn each_sum_is_the_published_one_and_notices_a_change() {
        let sums = [
            Checksum::crc32(&BASE64_STANDARD.encode(0xcbf4_3926_u32.to_be_bytes())),
            Checksum::crc32c(&BASE64_STANDARD.encode(0xe306_9283_u32.to_be_bytes())),
            Checksum::crc64nvme(&BASE64_STANDARD.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes())),
            Checksum::sha256("FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ];
        for (sum, name) in sums.into_iter().zip(["CRC32", "CRC32C", "CRC64NVME", "SHA-256"]) {
            let sum = sum.unwrap();
            assert_eq!(sum.breach(CHECK), None, "{name}");
            assert_eq!(sum.breach(b"123456788"), Some(name));
        }
    }

    #[test]
    fn a_sum_of_sums_is_none_of_ours() {
        for text in ["ZEXOGQ==-2", "", "AAAA", "ZEXOGQ"] {
            assert_eq!(Checksum::crc32(text), None, "{text}");
        }
    }
}
