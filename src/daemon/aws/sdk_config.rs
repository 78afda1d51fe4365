//! What AWS's own settings say, read by AWS's reader: the environment and the profile of `~/.aws/config`.

use std::convert::Infallible;

use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::section::EnvConfigSections;
use aws_runtime::env_config::source;
use aws_types::os_shim_internal::Env;
use aws_types::os_shim_internal::Fs;
use http::Uri;

use super::endpoint::EndpointError;
use super::endpoint::Service;
use super::endpoint::Variant;
use super::endpoint::endpoint;

/// Profiles of `files`, `profile` selected; `None`: `AWS_PROFILE`, else `default`. `None` where a file is not there
/// that must be, or cannot be read as one.
pub(super) async fn profiles(
    env: &Env,
    files: &EnvConfigFiles,
    profile: Option<&str>,
) -> Option<EnvConfigSections> {
    let mut source = source::load(env, &Fs::real(), files).await.ok()?;
    if let Some(profile) = profile {
        source.profile = profile.to_owned().into();
    }
    EnvConfigSections::parse(source).ok()
}

/// Addresses of services, from the environment and the profile.
#[derive(Clone)]
pub(super) struct Endpoints {
    env: Env,
    profiles: Option<EnvConfigSections>,
    /// Instead of all of AWS's hosts.
    address: Option<String>,
}

impl Endpoints {
    /// As the environment and the profile say, unless the configuration names an `address`.
    pub(super) fn new(env: Env, profiles: Option<EnvConfigSections>, address: Option<String>) -> Endpoints {
        Endpoints { env, profiles, address }
    }

    /// Whether the bucket is part of the path: a stand-in for S3 rarely answers to bucket.host.
    pub(super) fn is_path_style(&self) -> bool {
        self.address.is_some()
    }

    /// The address of `service` in `region`.
    ///
    /// # Errors
    /// There is none, or a setting about it is none.
    pub(super) fn of(&self, service: Service, region: &str) -> Result<String, EndpointError> {
        if let Some(address) = self.address.clone().or_else(|| self.configured(service)) {
            let is_address = address.parse::<Uri>().is_ok_and(|uri| {
                uri.host().is_some()
                    && uri.query().is_none()
                    && matches!(uri.scheme_str(), Some("http" | "https"))
            });
            return if is_address {
                Ok(address)
            } else {
                Err(EndpointError::Address(printable_address(&address)))
            };
        }
        let fips = self.switch("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?;
        let dual_stack = self.switch("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?;
        endpoint(service, region, Variant { fips, dual_stack })
    }

    /// `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, or their like in the profile.
    fn configured(&self, service: Service) -> Option<String> {
        let ignored = self.switch("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
        if ignored == Ok(true) {
            return None;
        }
        let value =
            EnvConfigValue::new().env("AWS_ENDPOINT_URL").profile("endpoint_url").service_id(service.id());
        self.text(value)
    }

    fn switch(&self, env: &'static str, profile: &'static str) -> Result<bool, EndpointError> {
        match self.text(EnvConfigValue::new().env(env).profile(profile)) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(EndpointError::Variant(format!("{env} is {:?}", printable_address(&text)))),
        }
    }

    fn text(&self, value: EnvConfigValue<'_>) -> Option<String> {
        let read =
            value.validate(&self.env, self.profiles.as_ref(), |text| Ok::<_, Infallible>(text.to_owned()));
        read.ok().flatten()
    }
}

/// What of an address may be shown: not what may be a password.
fn printable_address(address: &str) -> String {
    let shown = address.rsplit('@').next().unwrap_or_default();
    shown.chars().filter(|c| !c.is_control()).take(64).collect()
}
