//! Everything that the cloud side asks with: one pool of connections, one set of credentials, AWS's endpoints.

use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::Env;
use serde_json::json;

use super::caller::Caller;
use super::credentials::Renewing;
use super::http_client::Http;
use super::iot_credentials::IotCredentials;
use super::operation::ASSUME_TASK_ROLE;
use super::profile::Configured;
use super::sdk_config::Endpoints;
use super::sdk_config::profiles;
use super::settings::Settings;
use super::source::SIGNATURE_ENDING;
use super::sts::AssumedRole;
use crate::task::ImageRef;

/// What the cloud side asks with.
pub(super) struct Clients {
    /// With the gateway's own credentials.
    pub(super) aws: Caller,
    /// For images that are not in S3.
    pub(super) http: Http,
    pub(super) credentials: Renewing,
}

impl Clients {
    /// As `settings`, the environment and the profile say. Nothing is asked yet.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(super) async fn new(settings: &Settings) -> Result<Clients, rustls::Error> {
        let answer: Duration = settings.timeouts.answer;
        let http = Http::new(answer)?;
        let env = Env::real();
        let profiles = profiles(&env, &EnvConfigFiles::default(), settings.profile.as_deref()).await;
        let endpoints = Endpoints::new(env.clone(), profiles, settings.endpoint_url.clone());
        let unsigned = Caller::new(settings, http.clone(), endpoints);
        let credentials = match &settings.iot_credentials {
            Some(iot) => Renewing::new(IotCredentials { settings: iot.clone(), timeout: answer }),
            None => {
                let (settings, caller) = (settings.clone(), unsigned.clone());
                Renewing::new(Configured { settings, env, caller })
            }
        };
        let aws = unsigned.with_credentials(SharedCredentialsProvider::new(credentials.clone()));
        Ok(Clients { aws, http, credentials })
    }

    /// What reads `image`: with the role that its task names where the configuration allows that role, and then with
    /// no more rights than this one object and its signature need; else with the gateway's own credentials.
    pub(super) fn for_image(&self, settings: &Settings, image: &ImageRef) -> Caller {
        let ImageRef::S3 { bucket, key, role: Some(role), .. } = image else { return self.aws.clone() };
        if !settings.assume_roles.contains(role) {
            return self.aws.clone();
        }
        let partition = role.split(':').nth(1).unwrap_or("aws");
        let object = format!("arn:{partition}:s3:::{bucket}/{key}");
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": [object, format!("{object}{SIGNATURE_ENDING}")],
        }]});
        let session = settings.gateway_eui.clone().unwrap_or_else(|| "fuotad".to_owned());
        let fields = vec![
            ("Action", "AssumeRole".to_owned()),
            ("RoleArn", role.clone()),
            ("RoleSessionName", session),
            ("Policy", policy.to_string()),
        ];
        let assumed = AssumedRole { caller: self.aws.clone(), operation: &ASSUME_TASK_ROLE, fields };
        self.aws.with_credentials(SharedCredentialsProvider::new(Renewing::new(assumed)))
    }
}
