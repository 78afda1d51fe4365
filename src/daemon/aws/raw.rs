//! An answer as it came, beside what the SDK makes of it: the SDK drops members that it does not know and says of
//! a wrong type only that there is one.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use aws_sdk_s3::config::ConfigBag;
use aws_sdk_s3::config::Intercept;
use aws_sdk_s3::config::RuntimeComponents;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::error::SdkError;
use serde_json::Value;

use super::trouble::Trouble;
use crate::cloud::json_tree;

/// Keeps the body of the last answer to a call, and its date.
#[derive(Clone, Default)]
pub(super) struct Body(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    date: Option<String>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

impl Intercept for Body {
    fn name(&self) -> &'static str {
        "body"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let bytes = response.body().bytes().unwrap_or_default().to_vec();
        let date = response.headers().get("date").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept { bytes, date };
        Ok(())
    }
}

impl Body {
    /// The answer's `Date`.
    pub(super) fn date(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).date.clone()
    }

    /// The JSON of the answer to `action`. What the SDK could not read is read here: where it is JSON, whoever
    /// asked can say which member is wrong.
    pub(super) fn answer<T, E>(
        &self,
        action: &'static str,
        sent: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<Value, Trouble>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Err(error) = &sent {
            let trouble = Trouble::of(action, error);
            if !matches!(trouble, Trouble::Unreadable { .. }) {
                return Err(trouble);
            }
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        json_tree(&kept.bytes).map_err(|error| Trouble::Malformed { action, why: error.to_string() })
    }
}
