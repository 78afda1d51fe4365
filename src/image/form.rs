//! What bytes look like that were named as a firmware image and are none: a build's other outputs, text, an error page.

use core::fmt;

/// So much of a document is looked at for what it says of itself, in bytes.
const HEAD_BYTES: usize = 4096;
/// Shorter text is not taken for an encoded image, in bytes.
const ENCODED_MIN_BYTES: usize = 64;
/// Where a tar archive has its magic.
const TAR_MAGIC_AT: usize = 257;

/// What an image looks like that no bootloader starts as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageForm {
    /// What a linker writes: code with its symbols and addresses.
    Elf,
    /// Intel's records of hexadecimal digits.
    IntelHex,
    /// Motorola's records of hexadecimal digits.
    SRecord,
    /// The container that USB bootloaders take.
    Uf2,
    /// Bytes written as base64 text.
    Base64,
    /// Bytes written as hexadecimal digits.
    HexDigits,
    /// A certificate, key or signature as text.
    Pem,
    /// A document in JSON.
    Json,
    /// A page of the web.
    Html,
    /// What S3 answers instead of an object.
    S3Error,
    /// Any other document in XML.
    Xml,
    /// What git has instead of a large file.
    GitLfs,
    /// An archive of zip.
    Zip,
    /// A stream of gzip.
    Gzip,
    /// A bzip2, xz or zstd stream.
    Compressed,
    /// An archive of tar.
    Tar,
}

impl ImageForm {
    /// What `bytes` look like; `None`: nothing that is known, as firmware does.
    pub fn of(bytes: &[u8]) -> Option<ImageForm> {
        by_magic(bytes).or_else(|| by_text(core::str::from_utf8(bytes).ok()?))
    }

    /// Whether devices may unpack it themselves, so that it may be what was meant.
    pub fn may_be_meant(self) -> bool {
        matches!(self, ImageForm::Zip | ImageForm::Gzip | ImageForm::Compressed | ImageForm::Tar)
    }

    /// What to do about it.
    pub fn way_out(self) -> &'static str {
        match self {
            ImageForm::Elf => "make the raw binary of it (objcopy -O binary app.elf app.bin)",
            ImageForm::IntelHex => "make the raw binary of it (objcopy -I ihex -O binary app.hex app.bin)",
            ImageForm::SRecord => "make the raw binary of it (objcopy -I srec -O binary app.srec app.bin)",
            ImageForm::Uf2 => "take the binary that it was made of",
            ImageForm::Base64 => "decode it (base64 -d)",
            ImageForm::HexDigits => "decode it (xxd -r -p)",
            ImageForm::Pem => "name the firmware, not what signs it",
            ImageForm::Json | ImageForm::Xml => "name the firmware, not a document about it",
            ImageForm::Html | ImageForm::S3Error => {
                "a server answered so instead of sending the firmware: download it again"
            }
            ImageForm::GitLfs => "fetch the file itself (git lfs pull)",
            ImageForm::Zip | ImageForm::Gzip | ImageForm::Compressed | ImageForm::Tar => {
                "devices that do not unpack it cannot start it"
            }
        }
    }
}

impl fmt::Display for ImageForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ImageForm::Elf => "an ELF file",
            ImageForm::IntelHex => "Intel HEX",
            ImageForm::SRecord => "S-records",
            ImageForm::Uf2 => "a UF2 container",
            ImageForm::Base64 => "base64 text",
            ImageForm::HexDigits => "text of hexadecimal digits",
            ImageForm::Pem => "PEM (a certificate, a key or a signature)",
            ImageForm::Json => "JSON",
            ImageForm::Html => "an HTML page",
            ImageForm::S3Error => "an error document of S3",
            ImageForm::Xml => "XML",
            ImageForm::GitLfs => "a pointer of Git LFS",
            ImageForm::Zip => "a zip archive",
            ImageForm::Gzip => "a gzip stream",
            ImageForm::Compressed => "a bzip2, xz or zstd stream",
            ImageForm::Tar => "a tar archive",
        })
    }
}

fn by_magic(bytes: &[u8]) -> Option<ImageForm> {
    const MAGIC: [(&[u8], ImageForm); 7] = [
        (b"\x7FELF", ImageForm::Elf),
        (b"UF2\n\x57\x51\x5D\x9E", ImageForm::Uf2),
        (b"PK\x03\x04", ImageForm::Zip),
        (b"\x1F\x8B\x08", ImageForm::Gzip),
        (b"BZh", ImageForm::Compressed),
        (b"\xFD7zXZ\0", ImageForm::Compressed),
        (b"\x28\xB5\x2F\xFD", ImageForm::Compressed),
    ];
    let known = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, form)| *form);
    let is_tar = bytes.get(TAR_MAGIC_AT..).is_some_and(|rest| rest.starts_with(b"ustar"));
    known.or(is_tar.then_some(ImageForm::Tar))
}

fn by_text(text: &str) -> Option<ImageForm> {
    let text = text.trim_start_matches('\u{FEFF}').trim();
    let head = text.get(..text.floor_char_boundary(HEAD_BYTES)).unwrap_or(text).to_ascii_lowercase();
    let first = text.lines().next().unwrap_or_default().trim_end();
    if head.starts_with("-----begin ") {
        Some(ImageForm::Pem)
    } else if head.starts_with("version https://git-lfs") {
        Some(ImageForm::GitLfs)
    } else if head.starts_with("<!doctype html") || head.starts_with("<html") {
        Some(ImageForm::Html)
    } else if head.starts_with("<error>") || (head.starts_with("<?xml") && head.contains("<error>")) {
        Some(ImageForm::S3Error)
    } else if head.starts_with("<?xml") {
        Some(ImageForm::Xml)
    } else if is_intel_hex(first) {
        Some(ImageForm::IntelHex)
    } else if is_s_record(first) {
        Some(ImageForm::SRecord)
    } else if text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        Some(ImageForm::Json)
    } else {
        encoded(text)
    }
}

/// A record is a colon, its length, an address, a type, data, and a sum that makes all of it 0.
fn is_intel_hex(line: &str) -> bool {
    let bytes = line.strip_prefix(':').and_then(unhex);
    bytes.is_some_and(|bytes| {
        bytes.len() == 5 + usize::from(bytes[0])
            && bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
    })
}

/// A record is S, its type, its length, an address, data, and a sum that makes all but the type 0xFF.
fn is_s_record(line: &str) -> bool {
    let rest = line.strip_prefix('S').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let bytes = rest.and_then(|rest| unhex(&rest[1..]));
    bytes.is_some_and(|bytes| {
        bytes.len() == 1 + usize::from(bytes[0])
            && bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0xFF
    })
}

/// At least one byte, from hexadecimal digits.
fn unhex(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty()
        || !digits.len().is_multiple_of(2)
        || !digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

fn encoded(text: &str) -> Option<ImageForm> {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    if digits < ENCODED_MIN_BYTES {
        return None;
    }
    let all = |is: fn(u8) -> bool| text.bytes().all(|byte| byte.is_ascii_whitespace() || is(byte));
    let is_base64 =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    if all(|byte| byte.is_ascii_hexdigit()) && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) {
        return Some(ImageForm::HexDigits);
    }
    // A text that merely has no other letters lacks one of the three.
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    (all(is_base64) && is_mixed && digits.is_multiple_of(4)).then_some(ImageForm::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_leaves_beside_the_binary_is_known_by_its_own_form() {
        for (bytes, form) in [
            (&b"\x7FELF\x01\x01\x01\0rest"[..], ImageForm::Elf),
            (b":10010000214601360121470136007EFE09D2190140\r\n:00000001FF\r\n", ImageForm::IntelHex),
            (b"S00F000068656C6C6F202020202000003C\nS9030000FC\n", ImageForm::SRecord),
            (b"UF2\n\x57\x51\x5D\x9E\0\0\0\0", ImageForm::Uf2),
            (b"PK\x03\x04\x14\0", ImageForm::Zip),
            (b"\x1F\x8B\x08\0", ImageForm::Gzip),
            (b"BZh91AY", ImageForm::Compressed),
            (b"-----BEGIN CERTIFICATE-----\nMIIB\n", ImageForm::Pem),
            (b"{\"a\": [1, 2]}\n", ImageForm::Json),
            (b"\n<!DOCTYPE html><html></html>", ImageForm::Html),
            (b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>", ImageForm::S3Error),
            (b"<?xml version=\"1.0\"?><a/>", ImageForm::Xml),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", ImageForm::GitLfs),
        ] {
            assert_eq!(ImageForm::of(bytes), Some(form), "{form}");
        }
        let base64 = "IDBGIAjRAQDFAQgAyQEI\nAM0BCADRAQgA1QEIAAAAAAAAAAAAAAAAAAAAAADZAQgA3QEI\nAAAAAADhAQgA";
        assert_eq!(ImageForm::of(base64.as_bytes()), Some(ImageForm::Base64));
        assert_eq!(
            ImageForm::of("200046200801d1000800c501".repeat(3).as_bytes()),
            Some(ImageForm::HexDigits)
        );
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(ImageForm::of(&tar), Some(ImageForm::Tar));
    }

    #[test]
    fn firmware_is_not_taken_for_something_else() {
        let vectors = [0x20, 0x46, 0x20, 0x08, 0xd1, 0x01, 0x00, 0x08];
        let lengths = [1, 2, 7, 63, 64, 65, 300, 5000];
        for image in lengths.map(|len| vectors.iter().copied().cycle().take(len).collect::<Vec<u8>>()) {
            assert_eq!(ImageForm::of(&image), None);
        }
        for text in
            ["", ":", ":00", "S", "S1", "S0030000FD", "{", "hello", &"a".repeat(400), &"7".repeat(400)]
        {
            assert_eq!(ImageForm::of(text.as_bytes()), None, "{text}");
        }
        // A colon and digits whose sum is wrong are no record.
        assert_eq!(ImageForm::of(b":10010000214601360121470136007EFE09D2190141\n"), None);
    }
}
