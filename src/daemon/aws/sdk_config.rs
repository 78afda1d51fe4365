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
        let fips = self.switch("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?;
        let dual_stack = self.switch("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?;
        if let Some(address) = self.address.clone().or_else(|| self.configured(service)) {
            let is_address = address.parse::<Uri>().is_ok_and(|uri| {
                uri.host().is_some()
                    && uri.query().is_none()
                    && matches!(uri.scheme_str(), Some("http" | "https"))
            });
            return match is_address {
                false => Err(EndpointError::Address(printable_address(&address))),
                // AWS's own clients refuse the pair, too.
                true if fips || dual_stack => {
                    Err(EndpointError::VariantOfAddress(printable_address(&address)))
                }
                true => Ok(address),
            };
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_runtime::env_config::file::EnvConfigFileKind;

    const REGION: &str = "eu-west-1";

    /// Addresses by these variables and this `~/.aws/config`.
    fn endpoints(variables: &[(&str, &str)], config: &str) -> Endpoints {
        let env = Env::from_slice(variables);
        let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, config).build();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let profiles = runtime.block_on(profiles(&env, &files, None));
        Endpoints::new(env, Some(profiles.unwrap()), None)
    }

    #[test]
    fn the_environment_and_the_profile_ask_for_fips_and_dual_stack() {
        let of = |variables: &[(&str, &str)], config| endpoints(variables, config).of(Service::Iot, REGION);
        let iot = |rest: &str| Ok(format!("https://iot{rest}"));
        assert_eq!(of(&[], ""), iot(".eu-west-1.amazonaws.com"));
        let both = [("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "TRUE")];
        assert_eq!(of(&both, ""), iot("-fips.eu-west-1.api.aws"));
        let profile = "[default]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n";
        assert_eq!(of(&[], profile), iot("-fips.eu-west-1.api.aws"));
        let fips_off = [("AWS_USE_FIPS_ENDPOINT", "false")];
        assert_eq!(of(&fips_off, profile), iot(".eu-west-1.api.aws"), "the environment comes first");
        let refused = of(&[("AWS_USE_FIPS_ENDPOINT", "yes")], "").unwrap_err().to_string();
        assert!(refused.contains("AWS_USE_FIPS_ENDPOINT is \"yes\""), "{refused}");
    }

    #[test]
    fn each_service_may_have_an_address_of_its_own() {
        let named = [
            (Service::IotWireless, "AWS_ENDPOINT_URL_IOT_WIRELESS", "iot_wireless"),
            (Service::Iot, "AWS_ENDPOINT_URL_IOT", "iot"),
            (Service::Signer, "AWS_ENDPOINT_URL_SIGNER", "signer"),
            (Service::Sts, "AWS_ENDPOINT_URL_STS", "sts"),
            (Service::S3, "AWS_ENDPOINT_URL_S3", "s3"),
        ];
        let (own, all) = ("http://own.lan:1".to_owned(), "http://all.lan:2".to_owned());
        for (service, variable, section) in named {
            let variables = [(variable, own.as_str()), ("AWS_ENDPOINT_URL", all.as_str())];
            let config =
                format!("[default]\nservices = here\n[services here]\n{section} =\n  endpoint_url = {own}\n");
            for (other, ..) in named {
                let wanted = if other == service { &own } else { &all };
                assert_eq!(endpoints(&variables, "").of(other, REGION).as_ref(), Ok(wanted), "{variable}");
            }
            assert_eq!(endpoints(&[], &config).of(service, REGION), Ok(own.clone()), "{section}");
        }
        let profile = format!("[default]\nendpoint_url = {all}\n");
        assert_eq!(endpoints(&[], &profile).of(Service::Iot, REGION), Ok(all));
        let ignored = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
        let of_aws = endpoints(&ignored, &profile).of(Service::Sts, REGION);
        assert_eq!(of_aws, Ok("https://sts.eu-west-1.amazonaws.com".to_owned()));
    }

    #[test]
    fn fips_or_dual_stack_beside_an_address_is_refused_with_both() {
        for variable in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
            let variables = [(variable, "true"), ("AWS_ENDPOINT_URL", "https://user:CANARY@s3.lan")];
            let refused = endpoints(&variables, "").of(Service::S3, REGION).unwrap_err().to_string();
            assert!(refused.contains(variable) && refused.contains("\"s3.lan\""), "{refused}");
        }
    }
}
