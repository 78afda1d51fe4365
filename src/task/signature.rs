//! What is said to sign the image of a task, as it was received: nothing here is checked yet.

/// What is said to sign an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskSignature {
    /// The signature that the order itself brings.
    pub enclosed: Option<EnclosedSignature>,
    /// Whether a signing service made the object that holds the image: the signature may lie within it.
    pub is_signed_object: bool,
}

/// A signature that came with the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnclosedSignature {
    /// The part of the order that holds it, for people.
    pub origin: String,
    /// The signature: DER or RSA bytes, or base64 of them.
    pub signature: Vec<u8>,
    /// Certificates as text; empty without any.
    pub certificates: String,
    /// The hash by its name.
    pub hash: Option<String>,
    /// The algorithm by its name.
    pub algorithm: Option<String>,
    /// How many bytes are said to be signed.
    pub size: Option<u64>,
}

impl TaskSignature {
    /// Whether there is a signature, or a service that made one.
    pub fn is_present(&self) -> bool {
        self.enclosed.is_some() || self.is_signed_object
    }
}
