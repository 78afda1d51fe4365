//! Credentials that outlive a backhaul: renewed at half of their life, and kept while they cannot be renewed. The
//! SDK's own cache asks for new ones only seconds before the old ones end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::Result as Provided;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::future;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Credentials without an end are looked for again after so long: a file may hold others by then.
const WITHOUT_END: Duration = Duration::from_secs(15 * 60);
/// A renewal that failed is tried again after so long, while the old ones are good.
const AGAIN: Duration = Duration::from_secs(60);

/// Credentials of `source`, in memory only.
#[derive(Clone)]
pub(super) struct Renewing(Arc<Inner>);

struct Inner {
    source: SharedCredentialsProvider,
    held: Mutex<Option<Held>>,
}

struct Held {
    credentials: Credentials,
    renew_at: Instant,
}

impl fmt::Debug for Renewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewing")
    }
}

impl Renewing {
    pub(super) fn new(source: impl ProvideCredentials + 'static) -> Renewing {
        let source = SharedCredentialsProvider::new(source);
        Renewing(Arc::new(Inner { source, held: Mutex::new(None) }))
    }

    /// A service did not accept them: the next call asks for new ones.
    pub(super) async fn forget(&self) {
        if let Some(held) = self.0.held.lock().await.as_mut() {
            held.renew_at = Instant::now();
        }
    }

    async fn current(&self) -> Provided {
        let mut held = self.0.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.renew_at) {
            return Ok(held.credentials.clone());
        }
        match self.0.source.provide_credentials().await {
            Ok(credentials) => {
                let renew_at = Instant::now() + renew_in(left(&credentials));
                *held = Some(Held { credentials: credentials.clone(), renew_at });
                Ok(credentials)
            }
            Err(error) => {
                match held.as_mut().filter(|held| left(&held.credentials).is_some_and(|left| !left.is_zero()))
                {
                    Some(held) => {
                        held.renew_at = Instant::now() + AGAIN;
                        tracing::warn!(
                            "temporary credentials cannot be renewed; the old ones are used to their end"
                        );
                        Ok(held.credentials.clone())
                    }
                    None => Err(error),
                }
            }
        }
    }
}

impl ProvideCredentials for Renewing {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// How long `credentials` are good by our clock; `None`: they have no end.
fn left(credentials: &Credentials) -> Option<Duration> {
    let end = credentials.expiry()?;
    Some(end.duration_since(SystemTime::now()).unwrap_or_default())
}

/// When credentials that are good for `left` are renewed.
fn renew_in(left: Option<Duration>) -> Duration {
    left.map_or(WITHOUT_END, |left| left / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::error::CredentialsError;
    use std::sync::Mutex as StdMutex;

    /// Gives out what it was told, one after the other.
    struct Source(Arc<StdMutex<Vec<Option<Duration>>>>);

    impl fmt::Debug for Source {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Source")
        }
    }

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let mut lives = self.0.lock().unwrap();
            let number = lives.len();
            let life = lives.pop().flatten();
            future::ProvideCredentials::ready(match life {
                Some(life) => {
                    let end = SystemTime::now() + life;
                    Ok(Credentials::new(format!("AKID{number}"), "s", None, Some(end), "test"))
                }
                None => Err(CredentialsError::not_loaded("the link is down")),
            })
        }
    }

    fn key(renewing: &Renewing) -> Result<String, ()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let current = runtime.block_on(renewing.current());
        current.map(|credentials| credentials.access_key_id().to_owned()).map_err(|_| ())
    }

    fn renewing(lives: &[Option<Duration>]) -> Renewing {
        let lives: Vec<_> = lives.iter().rev().copied().collect();
        Renewing::new(Source(Arc::new(StdMutex::new(lives))))
    }

    /// As if half of their life had gone by.
    fn age(renewing: &Renewing) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(renewing.forget());
    }

    const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

    #[test]
    fn credentials_are_renewed_at_half_of_their_life() {
        assert_eq!(renew_in(HOUR), Duration::from_secs(1800));
        assert_eq!(renew_in(None), WITHOUT_END);
        let renewing = renewing(&[HOUR, HOUR]);
        assert_eq!(key(&renewing), Ok("AKID2".to_owned()));
        assert_eq!(key(&renewing), Ok("AKID2".to_owned()), "they are kept until then");
        age(&renewing);
        assert_eq!(key(&renewing), Ok("AKID1".to_owned()));
    }

    #[test]
    fn credentials_are_kept_while_they_cannot_be_renewed_and_not_beyond_their_end() {
        let down = renewing(&[HOUR, None, HOUR]);
        assert_eq!(key(&down), Ok("AKID3".to_owned()));
        age(&down);
        assert_eq!(key(&down), Ok("AKID3".to_owned()), "the link is down");
        assert_eq!(key(&down), Ok("AKID3".to_owned()), "and not asked again at each call");
        age(&down);
        assert_eq!(key(&down), Ok("AKID1".to_owned()), "the link is back");
        let expired = renewing(&[Some(Duration::ZERO), None]);
        assert_eq!(key(&expired), Ok("AKID2".to_owned()), "whatever our clock says of them");
        assert_eq!(key(&expired), Err(()));
    }
}
