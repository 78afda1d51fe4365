//! The openssl program as a signer and as a judge that nobody here wrote. It must be there: a test that cannot ask
//! it fails.

use super::scratch::Scratch;
use std::path::Path;
use std::process::Command;

/// What a code-signing certificate says of itself.
pub const CODE_SIGNING: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n";
/// What a certificate of a web server says.
pub const SERVER: &str = "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n";

/// The kinds of keys that are taken.
pub const KEYS: [&str; 4] = ["P-256", "P-384", "RSA-2048", "RSA-4096"];

/// A folder with keys and certificates: `NAME.key`, `NAME.pem`. Gone when the test is over.
pub struct Pki(Scratch);

impl Pki {
    /// A folder of its own for the test called `name`.
    pub fn new(name: &str) -> Pki {
        Pki(Scratch::new(&format!("pki-{name}")))
    }

    /// An authority called `name`.
    pub fn authority(&self, name: &str, key: &str) {
        self.key(name, key);
        self.write(
            &format!("{name}.ext"),
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n",
        );
        self.request(name);
        self.openssl(&format!(
            "x509 -req -in {name}.csr -signkey {name}.key -days 3650 -sha256 -extfile {name}.ext -out {name}.pem"
        ));
    }

    /// A signer called `name` under `authority` (itself: self-signed), valid for `days` from now on.
    pub fn signer(&self, name: &str, key: &str, authority: &str, extensions: &str, days: i32) {
        self.key(name, key);
        self.certify(name, authority, extensions, days, "-sha256");
    }

    /// A certificate for a key that is there.
    pub fn certify(&self, name: &str, authority: &str, extensions: &str, days: i32, hash: &str) {
        self.write(&format!("{name}.ext"), format!("basicConstraints=critical,CA:FALSE\n{extensions}"));
        self.request(name);
        let by = match name == authority {
            true => format!("-signkey {name}.key"),
            false => format!("-CA {authority}.pem -CAkey {authority}.key -CAcreateserial"),
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr {by} -days {days} {hash} -extfile {name}.ext -out {name}.pem"
        ));
    }

    /// An authority in the middle.
    pub fn intermediate(&self, name: &str, key: &str, authority: &str) {
        self.key(name, key);
        self.request(name);
        self.write(
            &format!("{name}.ext"),
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n",
        );
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days 3650 \
             -sha256 -extfile {name}.ext -out {name}.pem"
        ));
    }

    /// A key of a kind like "P-256" or "RSA-2048".
    pub fn key(&self, name: &str, kind: &str) {
        let how = match kind.split_once('-') {
            Some(("RSA", bits)) => format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits}"),
            _ => format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{kind}"),
        };
        self.openssl(&format!("{how} -out {name}.key"));
        self.openssl(&format!("pkey -in {name}.key -pubout -out {name}.pub"));
    }

    fn request(&self, name: &str) {
        self.openssl(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
    }

    /// `openssl dgst -sign` over `bytes`: DER, or the bytes of RSA.
    pub fn sign(&self, name: &str, hash: &str, bytes: &[u8]) -> Vec<u8> {
        self.write("signed.bin", bytes);
        self.openssl(&format!("dgst -{hash} -sign {name}.key -out signed.sig signed.bin"));
        self.read("signed.sig")
    }

    /// What `openssl dgst -verify` says.
    pub fn agrees(&self, name: &str, hash: &str, bytes: &[u8], signature: &[u8]) -> bool {
        self.write("judged.bin", bytes);
        self.write("judged.sig", signature);
        self.try_openssl(&format!("dgst -{hash} -verify {name}.pub -signature judged.sig judged.bin")).0
    }

    /// Whether openssl succeeds, and what it prints.
    pub fn try_openssl(&self, words: &str) -> (bool, String) {
        let run = Command::new("openssl").args(words.split_whitespace()).current_dir(self.dir()).output();
        let run = run.expect("the openssl program must be installed: apt-get install openssl");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (run.status.success(), text(&run.stdout) + &text(&run.stderr))
    }

    /// openssl, which must succeed.
    pub fn openssl(&self, words: &str) -> String {
        let (is_good, said) = self.try_openssl(words);
        assert!(is_good, "openssl {words}: {said}");
        said
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.0.write(name, bytes);
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        self.0.read(name)
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub fn dir(&self) -> &Path {
        self.0.dir()
    }
}
