//! `[web]`: the page and the metrics.

use super::error::ConfigError;
use crate::daemon::WebSettings;
use serde::Deserialize;
use serde::Serialize;
use std::net::SocketAddr;

/// `[web]`: a page and metrics over HTTP, for reading only; absent: none.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Web {
    /// Address and port on which browsers are served.
    pub listen: String,
    /// Insists on an address that others than this machine reach: whoever reaches it reads everything.
    #[serde(default)]
    pub allow_public: bool,
}

impl Web {
    pub(super) fn settings(&self) -> Result<WebSettings, ConfigError> {
        let wrong = |message: String| Err(ConfigError::value("web.listen", message));
        if cfg!(not(feature = "web")) {
            return Err(ConfigError::value("web", "this fuotad was built without the page"));
        }
        let Ok(listen) = self.listen.parse::<SocketAddr>() else {
            return wrong(format!("{:?} is no address with a port, like 127.0.0.1:8970", self.listen));
        };
        if !listen.ip().is_loopback() && !self.allow_public {
            return wrong(format!(
                "{listen} is reached from elsewhere, and the page asks for no password: write 127.0.0.1:{}, or allow-public = true",
                listen.port()
            ));
        }
        Ok(WebSettings { listen })
    }
}

#[cfg(all(test, feature = "web"))]
mod tests {
    use super::*;

    fn settings(listen: &str, allow_public: bool) -> Result<WebSettings, String> {
        Web { listen: listen.to_owned(), allow_public }.settings().map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_that_others_reach_must_be_insisted_on() {
        assert!(settings("127.0.0.1:8970", false).is_ok() && settings("[::1]:8970", false).is_ok());
        for listen in ["0.0.0.0:8970", "192.0.2.7:8970", "[::]:8970"] {
            let error = settings(listen, false).unwrap_err();
            assert!(error.contains("web.listen") && error.contains("allow-public = true"), "{error}");
            assert!(settings(listen, true).is_ok());
        }
        assert!(settings("8970", true).unwrap_err().contains("no address with a port"));
    }
}
