//! Credentials of a profile of `~/.aws/config` and `~/.aws/credentials`: keys, a program (`credential_process`), a role
//! (`role_arn` with `source_profile` or `credential_source = Environment`), or a role by a token in a file
//! (`web_identity_token_file`).

use std::fmt;
use std::path::Path;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::Result as Provided;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_runtime::env_config::file::EnvConfigFileKind;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::section::EnvConfigSections;
use aws_runtime::env_config::section::Profile as Section;
use aws_types::os_shim_internal::Env;

use super::caller::Caller;
use super::credential_process;
use super::operation::ASSUME_BY_TOKEN;
use super::operation::ASSUME_PROFILE_ROLE;
use super::sdk_config::profiles;
use super::settings::Settings;
use super::sts::AssumedRole;

/// More roles in a row than this are a circle.
const MAX_ROLES: usize = 8;
/// A token is no longer.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// The credentials in the environment.
pub(super) fn from_environment(env: &Env) -> Option<Credentials> {
    let of =
        |name: &str| env.get(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let key = of("AWS_ACCESS_KEY_ID")?;
    let secret = of("AWS_SECRET_ACCESS_KEY").or_else(|| of("SECRET_ACCESS_KEY"))?;
    Some(Credentials::new(key, secret, of("AWS_SESSION_TOKEN"), None, "environment"))
}

/// The environment, unless a file is named, and then the profile. Each is read anew each time: a helper may write
/// other credentials there.
pub(super) struct Configured {
    pub settings: Settings,
    pub env: Env,
    /// Client for STS, which gives the credentials of a role.
    pub caller: Caller,
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Configured")
    }
}

impl ProvideCredentials for Configured {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

impl Configured {
    async fn provide(&self) -> Provided {
        let file = self.settings.credentials_file.as_deref();
        if file.is_none()
            && let Some(credentials) = from_environment(&self.env)
        {
            return Ok(credentials);
        }
        let files = file.map_or_else(EnvConfigFiles::default, |path| {
            EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, path).build()
        });
        let profile = self.settings.profile.as_deref();
        let sections = profiles(&self.env, &files, profile).await;
        let sections = sections.ok_or_else(|| CredentialsError::not_loaded("the file cannot be read"))?;
        let mut visited = Vec::new();
        let base = self.base(&sections, sections.selected_profile(), &mut visited).await?;
        self.assumed(&sections, visited, base).await
    }

    /// The credentials that the roles of `name` begin with. `roles` are the profiles on the way there, in order.
    async fn base(&self, sections: &EnvConfigSections, name: &str, roles: &mut Vec<String>) -> Provided {
        let mut name = name.to_owned();
        loop {
            let missing = || CredentialsError::not_loaded("the profile is not there, or has no credentials");
            let section = sections.get_profile(&name).ok_or_else(missing)?;
            // Keys of a profile that is a source, its own or another's, are what roles begin with.
            let is_source_with_keys = !roles.is_empty() && section.get("aws_access_key_id").is_some();
            if section.get("role_arn").is_none() || is_source_with_keys {
                return own(section).await?.ok_or_else(missing);
            }
            if roles.len() >= MAX_ROLES || roles.contains(&name) {
                return Err(CredentialsError::invalid_configuration("its roles are a circle"));
            }
            roles.push(name.clone());
            if section.get("web_identity_token_file").is_some() {
                return self.by_token(section).await;
            }
            match (section.get("source_profile"), section.get("credential_source")) {
                (Some(source), None) => name = source.to_owned(),
                (None, Some("Environment")) => return from_environment(&self.env).ok_or_else(missing),
                _ => return Err(CredentialsError::invalid_configuration("role_arn without a source")),
            }
        }
    }

    /// The credentials of the last role, each assumed with those before it.
    async fn assumed(
        &self,
        sections: &EnvConfigSections,
        mut roles: Vec<String>,
        base: Credentials,
    ) -> Provided {
        let mut credentials = base;
        while let Some(name) = roles.pop() {
            let Some(section) = sections.get_profile(&name) else { continue };
            if section.get("web_identity_token_file").is_some() {
                continue;
            }
            let mut fields = fields(section, "AssumeRole");
            fields.extend(section.get("external_id").map(|id| ("ExternalId", id.to_owned())));
            let caller = self.caller.with_credentials(SharedCredentialsProvider::new(credentials));
            let role = AssumedRole { caller, operation: &ASSUME_PROFILE_ROLE, fields };
            credentials = role.provide_credentials().await?;
        }
        Ok(credentials)
    }

    /// The token vouches for itself: the call is not signed.
    async fn by_token(&self, section: &Section) -> Provided {
        let unreadable = || CredentialsError::invalid_configuration("web_identity_token_file cannot be read");
        let path = section.get("web_identity_token_file").map(Path::new).ok_or_else(unreadable)?;
        let metadata = tokio::fs::metadata(path).await.map_err(|_| unreadable())?;
        if metadata.len() > MAX_TOKEN_BYTES || !metadata.is_file() {
            return Err(unreadable());
        }
        let token = tokio::fs::read_to_string(path).await.map_err(|_| unreadable())?;
        let mut fields = fields(section, "AssumeRoleWithWebIdentity");
        fields.push(("WebIdentityToken", token.trim().to_owned()));
        let role = AssumedRole { caller: self.caller.clone(), operation: &ASSUME_BY_TOKEN, fields };
        role.provide_credentials().await
    }
}

fn fields(section: &Section, action: &str) -> Vec<(&'static str, String)> {
    let of = |name: &str| section.get(name).map(str::to_owned);
    let session = of("role_session_name").unwrap_or_else(|| "fuotad".to_owned());
    let mut fields = vec![("Action", action.to_owned()), ("RoleSessionName", session)];
    fields.extend(of("role_arn").map(|role| ("RoleArn", role)));
    fields.extend(of("duration_seconds").map(|duration| ("DurationSeconds", duration)));
    fields
}

/// The credentials that stand in a profile, or that its program gives.
async fn own(section: &Section) -> Result<Option<Credentials>, CredentialsError> {
    let of = |name: &str| section.get(name).map(str::to_owned).filter(|text| !text.is_empty());
    if let Some(program) = of("credential_process") {
        return credential_process::run(&program).await.map(Some);
    }
    match (of("aws_access_key_id"), of("aws_secret_access_key")) {
        (Some(key), Some(secret)) => {
            Ok(Some(Credentials::new(key, secret, of("aws_session_token"), None, "profile")))
        }
        (None, None) => Ok(None),
        _ => Err(CredentialsError::invalid_configuration("a key without its secret")),
    }
}
